"""The example sentences of `recipes/sentences/`, with the labels that a reader of each head learns."""

import csv
import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from lmrl_recipes.training.start import recipes_folder

TRAINING = frozenset("ABCEGHJKLMN")  # the voices that train; all others only test
# The tables, and the column in which each head has its label; a head without a column is to say `none`.
TABLES: tuple[tuple[str, dict[str, str | None]], ...] = (
    ("twenty_questions/questions.tsv", {"attribute": "attribute"}),
    ("twenty_questions/none.tsv", {"attribute": None}),
    ("guess_my_city/open.tsv", {"topic": "topic", "fact": None}),
    ("guess_my_city/facts.tsv", {"topic": "topic", "fact": "fact", "polarity": "answer"}),
    ("car_dealer/lines.tsv", {"act": "acts"}),
)
HEADS = tuple(dict.fromkeys(head for _, columns in TABLES for head in columns))
SEVERAL = frozenset({"act"})  # heads whose labels do not exclude each other


class Example(NamedTuple):
    """A sentence and what the heads are to say of it.

    Args:
        labels (`dict[str, tuple[str, ...]]`): one label for each head that reads such sentences, or any number for a
            head of `SEVERAL`.
        sentence (`str`): the sentence.
        voice (`str`): who wrote it.
        kind (`str`): the register, or the kind of line.
    """

    labels: dict[str, tuple[str, ...]]
    sentence: str
    voice: str
    kind: str


def table(name: str) -> list[dict[str, str]]:
    """The rows of a table of `recipes/sentences/`."""
    text = (recipes_folder() / "sentences" / name).read_text(encoding="ascii")
    return list(csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))


def examples() -> list[Example]:
    """All sentences, of all voices."""
    return [
        Example(
            {
                head: tuple(filter(None, row[column].split(";"))) if column else ("none",)
                for head, column in columns.items()
            },
            row["sentence"],
            row["voice"],
            row.get("register") or row.get("kind", ""),
        )
        for name, columns in TABLES
        for row in table(name)
    ]


def training_examples() -> list[Example]:
    """The sentences of the voices that train."""
    return [example for example in examples() if example.voice in TRAINING]


def digest(sentences: Iterable[Example]) -> str:
    """SHA-256 of examples, by which a reader knows the tables that it was trained on."""
    text = "\n".join(f"{row.labels}\t{row.sentence}" for row in sentences)
    return hashlib.sha256(text.encode()).hexdigest()


# --- typing mistakes

SHORT = {
    "you": "u", "your": "ur", "are": "r", "because": "cuz", "people": "ppl", "would": "wud", "something": "smth",
    "with": "w", "what": "wat", "though": "tho", "please": "pls", "and": "n", "to": "2", "for": "4",
}  # fmt: skip
OPENINGS = (
    "ok so ", "hmm ", "so ", "Well, ", "Let me think. ", "Ok, ", "Next question: ", "Right, ", "Alright, ", "Good. ",
    "just wondering, ", "I was wondering, ", "Tell me, ", "Can you tell me: ", "and ", "Thank you. ", "I see. ",
)  # fmt: skip
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def typed(sentence: str, random: np.random.Generator) -> str:
    """A sentence as another person may type it: small letters, abbreviations, an opening, or wrong letters."""
    if random.random() < 0.35:
        return sentence
    if random.random() < 0.4:
        sentence = sentence.lower()
    if random.random() < 0.3:
        sentence = sentence.rstrip("?.! ")
    if random.random() < 0.15:
        sentence = OPENINGS[random.integers(len(OPENINGS))] + sentence
    if random.random() < 0.15:
        words = sentence.split()
        sentence = " ".join(SHORT.get(word.lower(), word) if random.random() < 0.7 else word for word in words)
    if random.random() < 0.15:
        sentence = sentence.replace("'", "")
    for _ in range(random.choice(3, p=(0.6, 0.28, 0.12))):
        sentence = with_wrong_letter(sentence, random)
    return sentence


def with_wrong_letter(sentence: str, random: np.random.Generator) -> str:
    """A sentence with a letter left out, doubled, swapped with the next, or replaced."""
    place = int(random.integers(max(1, len(sentence) - 1)))
    before, letter, after = sentence[:place], sentence[place : place + 1], sentence[place + 1 :]
    if not letter.isalpha():
        return sentence
    other = LETTERS[random.integers(len(LETTERS))]
    changed = ("", letter + letter, after[:1] + letter, other)
    way = int(random.choice(4, p=(0.3, 0.2, 0.3, 0.2)))
    return before + changed[way] + (after[1:] if way == 2 else after)
