"""The known question that is nearest to one that no rule can read, by the words both have."""

import functools
import math
import re
import string
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from lmrl_data.dialogue.asset import table
from lmrl_data.tasks.twenty_questions.knowledge import IRREGULAR

# Weights of stems that many questions share; above 0, because a question may have no other stem.
WEAK = {
    "mak": 0.55, "use": 0.35, "find": 0.25, "under": 0.5, "over": 0.5, "up": 0.4, "out": 0.4, "off": 0.4,
    "around": 0.4, "into": 0.3, "onto": 0.3, "inside": 0.4,
}  # fmt: skip


@functools.cache
def _words(part: str) -> dict[str, str]:
    """The words of one part in `words.tsv`, each with the word that stands for it.

    `same` words share a meaning, `opposite` words deny another, `stop` words do not tell what is asked, and `count`
    words must be the same in two questions that are near each other: two wheels are not four.
    """
    heads = dict[str, str]()
    for row in table("twenty_questions", "words.tsv"):
        if row["role"] == part:
            heads.update((word, row["word"]) for word in row["words"].split(";") if word not in heads)
    return heads


def meant() -> set[str]:
    """All words of `words.tsv`."""
    parts = ("same", "opposite", "stop", "count")
    return {word for part in parts for pair in _words(part).items() for word in pair}


def opposite(word: str) -> str | None:
    """The positive word that a word denies: `dead` denies `alive`."""
    return _words("opposite").get(word)


@functools.lru_cache(20_000)
def stem(word: str) -> str:
    """A word without its endings, replaced by the word that stands for its meaning.

    Examples:
        >>> stem("wearing") == stem("worn") == stem("wearable")
        True
    """
    word = _words("same").get(word, word)
    return _bare(IRREGULAR.get(word, word))


@functools.lru_cache(20_000)
def _bare(word: str) -> str:
    for ending, least in (
        ("fulness", 3), ("ingly", 3), ("ness", 3), ("able", 3), ("ible", 3), ("ing", 3), ("ies", 3), ("ied", 3),
        ("ed", 3), ("ers", 4), ("er", 4), ("ly", 3), ("ic", 4), ("en", 4), ("es", 3), ("s", 3), ("y", 3), ("e", 3),
    ):  # fmt: skip
        if word.endswith(ending) and len(word) - len(ending) >= least and not word.endswith(("ss", "us", "is")):
            word = word[: -len(ending)]
            return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls" else word
    return word


def content(words: Iterable[str], *, same: bool = True) -> tuple[str, ...]:
    """The stems of all words but stop words, in order; with `same`, words of one meaning have one stem."""
    stemmed = stem if same else _bare
    stop = _words("stop")
    return tuple(stemmed(word) for word in words if word not in stop)


def role(text: str) -> str:
    """The role of the object in a question: "does it eat", "do you eat it" and "do you eat with it" differ."""
    if re.search(r" with (?:it|this)$|\bused? (?:to|for) ", text):
        return "with"
    return "it" if re.match(r"(?:does|can|will) it (?!have|come|get|need|use|contain|fit)", text) else ""


def counts(words: Iterable[str]) -> frozenset[str]:
    """The numbers in a question, and the words that change their meaning."""
    count = _words("count")
    return frozenset(word for word in words if word in count or word[0].isdigit())


def asked(words: Sequence[str], *, same: bool = True) -> tuple[str, ...]:
    """The stems of a question; "use" is left out where the role already says that the object is a means."""
    used = role(" ".join(words)) == "with"
    return content((word for word in words if not (used and word in ("use", "used"))), same=same)


OTHER_ROLE = 0.85  # factor on the score of questions with different roles


class Match(NamedTuple):
    """The attribute of the nearest known question, and the score."""

    attribute: str
    score: float


def _best(attributes: Sequence[str], scores: Mapping[int, float]) -> Match | None:
    if not scores:
        return None
    # Of equals the first in the table, on every machine.
    number = max(scores, key=lambda each: (round(scores[each], 9), -each))
    return Match(attributes[number], scores[number])


def spelled(word: str, known: Container[str]) -> str:
    """A word with one typing error corrected: two letters swapped, one missing, or one doubled.

    Short words stay as they are, and so do first and last letters: planet is no misspelling of plane.
    """
    if len(word) < 6 or word in known:
        return word
    places = range(1, len(word) - 1)
    fixed = [word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in places[:-1]]
    fixed += [word[:i] + word[i + 1 :] for i in places if word[i] == word[i - 1]]
    fixed += [word[:i] + letter + word[i:] for i in range(1, len(word)) for letter in string.ascii_lowercase]
    return next((spelling for spelling in fixed if spelling in known), word)


def _grams(word: str) -> set[str]:
    padded = f"^{word}$"
    return {padded[i : i + n] for n in (2, 3) for i in range(len(padded) - n + 1)}


class Lexical:
    """Cosine of TF-IDF vectors of stems; an unknown word counts as the known word it shares most letter groups with.

    Args:
        forms (`Sequence[tuple[str, Sequence[str]]]`): the known questions, as the attribute and the words.
    """

    threshold = 0.57
    unknown = 0.9  # weight of an unknown word, relative to the rarest known one

    def __init__(self, forms: Sequence[tuple[str, Sequence[str]]]) -> None:
        self.attributes = [attribute for attribute, _ in forms]
        self.stems = [asked(form) for _, form in forms]
        often = Counter(word for stems in self.stems for word in set(stems))
        self.weights = {
            word: WEAK.get(word, 1.0) * math.log(1 + len(forms) / (2 + count)) for word, count in often.items()
        }
        self.rarest = max(self.weights.values())
        self.places: dict[str, list[int]] = defaultdict(list)
        for number, stems in enumerate(self.stems):
            for word in set(stems):
                self.places[word].append(number)
        self.lengths = [math.sqrt(sum(self.weights[word] ** 2 for word in set(stems))) for stems in self.stems]
        self.counts = [counts(form) for _, form in forms]
        self.roles = [role(" ".join(form)) for _, form in forms]
        self.grams = {word: _grams(word) for word in self.weights if len(word) > 3}

    def known(self, word: str) -> bool:
        return stem(word) in self.weights

    def _alike(self, word: str) -> tuple[str, float]:
        """The known word with the most similar spelling and the similarity (Dice), or the word itself and 0."""
        if len(word) < 5:
            return word, 0.0
        pieces = _grams(word)
        dice, best = max(
            ((2 * len(pieces & grams) / (len(pieces) + len(grams)), known) for known, grams in self.grams.items()
             if known[0] == word[0]),
            default=(0.0, word),
        )  # fmt: skip
        return (best, dice) if dice > 0.75 else (word, 0.0)

    def scores(self, words: Sequence[str]) -> dict[int, float]:
        """Cosines with the forms that share a word."""
        shares = dict[str, float]()
        norm = 0.0
        for word in set(asked(words)):
            weight = self.weights.get(word)
            if weight is None:
                word, dice = self._alike(word)
                weight = self.unknown * self.rarest
                if dice:
                    shares[word] = max(shares.get(word, 0.0), self.weights[word] * dice)
            else:
                shares[word] = max(shares.get(word, 0.0), weight)
            norm += weight**2
        products: dict[int, float] = defaultdict(float)
        for word, weight in shares.items():
            for number in self.places[word]:
                products[number] += weight * self.weights[word]
        length = math.sqrt(norm)
        same, part = counts(words), role(" ".join(words))
        return {
            number: value / (length * self.lengths[number]) * (1.0 if self.roles[number] == part else OTHER_ROLE)
            for number, value in products.items()
            if value and self.counts[number] == same
        }

    def nearest(self, words: Sequence[str]) -> Match | None:
        """What is asked by a question given as words; `None` if no known question is near it."""
        match = _best(self.attributes, self.scores(words))
        return match if match is not None and match.score >= self.threshold else None
