"""The ways in which players word a question of the table or a guess; each is read as what it words."""

import functools
import re

from lmrl_data.dialogue.article import with_article
from lmrl_data.dialogue.asset import lines, table
from lmrl_data.tasks.twenty_questions.knowledge import knowledge


@functools.cache
def _templates() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(row["form"]), row["wording"]) for row in table("twenty_questions", "phrasings.tsv"))


@functools.lru_cache(20_000)
def wordings(form: str) -> tuple[str, ...]:
    """A question of the table in its own words and in others.

    Examples:
        >>> wordings("Is it heavy?")[:3]
        ('Is it heavy?', 'Is the object heavy?', 'Is this thing heavy?')
    """
    texts = dict.fromkeys([form])
    for pattern, template in _templates():
        match = pattern.fullmatch(form)
        if match is not None:
            texts[template.replace("\\1", match[1])] = None
    return tuple(texts)


def denied(form: str) -> str | None:
    """A question of the table with a "not" in it; `None` for a form that has no place for one.

    Examples:
        >>> denied("Is it heavy?")
        'Is it not heavy?'
    """
    text = re.sub(r"^(Is|Does|Can|Do) (it|you|people) ", r"\1 \2 not ", form)
    return None if text == form else text


@functools.cache
def openings() -> tuple[str, ...]:
    """What may stand before a question."""
    return tuple(lines("twenty_questions", "openings.txt"))


@functools.cache
def beyond() -> tuple[str, ...]:
    """Questions that the tables do not answer."""
    return tuple(lines("twenty_questions", "beyond.txt"))


# Names that take no article, beside the plurals.
_MASS = frozenset({"paper", "toothpaste", "broccoli", "spinach", "corn", "celery", "glue"})
_CAPITALS = frozenset({"TV", "Lego", "Sharpie"})
_FRAMES = ("Is it {}?",) * 12 + (
    "Is the object {}?", "Could it be {}?", "Is the object you are thinking of {}?", "Is it {}, by any chance?",
    "Is this {}?", "I think it's {}.", "Is the answer {}?", "My guess is {}.", "Am I right that it is {}?",
    "Would it be {}?", "Are you thinking of {}?", "I would say it's {}.", "Is your object {}?", "Might it be {}?",
    "I believe it is {}. Is that correct?", "It must be {}.", "Then it is {}, right?", "Let me guess: {}?",
    "Based on your answers, I think it is {}.", "So is it {}?", "Is {} the answer?", "Do you mean {}?",
)  # fmt: skip


def noun_phrase(variant: str) -> str:
    """A name as it stands in a sentence.

    Examples:
        >>> [noun_phrase(name) for name in ("Orange", "Scissors", "Pair of scissors", "Glue")]
        ['an orange', 'scissors', 'a pair of scissors', 'glue']
    """
    name = " ".join(word if word in _CAPITALS else word.lower() for word in variant.split())
    last = name.split()[-1]
    if " of " not in name and (name in _MASS or (last.endswith("s") and not last.endswith(("ss", "us", "vas")))):
        return name
    return with_article(name)


@functools.cache
def guesses() -> tuple[tuple[str, ...], ...]:
    """For each object the ways to name it."""
    return tuple(
        tuple(frame.format(noun_phrase(variant)) for variant in thing.variants for frame in _FRAMES)
        for thing in knowledge().things
    )
