"""Undoes the negation of a question: what it denies, asked as if it did not.

`assets/negations.tsv` has a pattern a row, and what stands for it in the question that is not denied.
"""

import functools
import re
from collections.abc import Iterator

from lmrl_data.dialogue.asset import table


@functools.cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(row["pattern"]), row["affirmed"]) for row in table("twenty_questions", "negations.tsv"))


def affirmations(text: str) -> Iterator[tuple[str, bool]]:
    """A question with ever fewer of its negations, and whether an odd number of them is gone.

    Examples:
        >>> list(affirmations("does it have no legs"))
        [('does it have legs', True)]
        >>> list(affirmations("is it not unsafe"))
        [('is it unsafe', True), ('is it safe', False)]
    """
    denied = False
    for pattern, replacement in _patterns():
        text, count = pattern.subn(replacement, text, count=1)
        if count:
            text, denied = " ".join(text.split()), not denied
            yield text, denied
