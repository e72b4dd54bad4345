"""The table of clues: words that tell what an amount is, what a line does, what a question is about.

A clue is words with a blank between them. `a/b` is one of two words, `a?` may be left out, `*` is up to three words,
`**` up to seven, `#` an amount, `^` the begin of a clause, and a mark is itself.
"""

import re
from functools import cache, lru_cache
from typing import NamedTuple

from lmrl_data.dialogue.asset import table

# Words that may stand between a clue and the amount: the list price is about $30,000.
_LIGHT = (
    "a|an|the|about|around|just|only|even|like|roughly|exactly|cool|at|for|to|of|is|be|another|:|-|say|maybe|now|down|"
    "up"
)
_ENDS = {
    "before": rf"(?:(?:{_LIGHT}) ){{0,3}}$",
    "after": "",
    "anywhere": "",
}


class Clue(NamedTuple):
    """A row of the table: where the clue stands, and what it tells."""

    row: tuple[str, str, str]  # side, clue, what it tells
    pattern: re.Pattern[str]
    words: frozenset[str]  # one of them is in every text that has the clue

    @property
    def tells(self) -> str:
        return self.row[2]

    @property
    def name(self) -> str:
        return " ".join(self.row)


def _compiled(side: str, clue: str) -> tuple[re.Pattern[str], frozenset[str]]:
    parts: list[str] = []
    needed: frozenset[str] = frozenset()
    for word in clue.split(" "):
        if word in ("*", "**"):
            parts.append(rf"(?:[a-z~%][a-z0-9'-]* ){{0,{3 if word == '*' else 7}}}?")
        elif word == "^":
            parts.append(r"(?:^|(?<=[,.;:!?()-] )|(?<=but )|(?<=and ))")
        else:
            optional = len(word) > 1 and word.endswith("?")
            plain = word.removesuffix("?").removesuffix("/") if optional else word
            choices = ["/"] if plain == "/" else plain.split("/")
            some = "|".join("[#&]" if choice == "#" else re.escape(choice) for choice in choices)
            parts.append(f"(?:(?:{some}) )?" if optional else f"(?:{some}) ")
            if not optional and not needed and "#" not in choices:
                needed = frozenset(choices)
    start = r"(?:(?:even|flat|cash|total|,) )?" if side == "after" else r"(?:^|(?<= ))"
    return re.compile(start + "".join(parts) + _ENDS.get(side, "")), needed


@cache
def clues(side: str) -> tuple[Clue, ...]:
    """The clues of one side: before, after or anywhere (of an amount), does, asks, feature."""
    return tuple(
        Clue((side, row["clue"], row["tells"]), *_compiled(side, row["clue"]))
        for row in table("car_dealer", "clues.tsv")
        if row["side"] == side
    )


@cache
def _by_word(side: str) -> dict[str, list[Clue]]:
    """The clues of one side by the words one of which each needs; those that need none are under the empty word."""
    index: dict[str, list[Clue]] = {}
    for clue in clues(side):
        for word in clue.words or ("",):
            index.setdefault(word, []).append(clue)
    return index


@lru_cache(maxsize=20_000)
def matches(side: str, text: str) -> tuple[Clue, ...]:
    """The clues of one side that a text has; its words have one blank between them, and one behind the last."""
    index = _by_word(side)
    likely = {clue.row: clue for word in {"", *text.split(" ")} if word in index for clue in index[word]}
    return tuple(
        clue for clue in likely.values()
        if (clue.pattern.match(text) if side == "after" else clue.pattern.search(text))
    )  # fmt: skip
