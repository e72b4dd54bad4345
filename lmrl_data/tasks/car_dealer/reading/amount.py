"""Tells what an amount of a seller's line is: its offer, a list price, its price of before, the buyer's, or another.

Each clue around an amount, each word beside it and each fact about it votes for roles. Votes are learned from the
sentences of `recipes/sentences/car_dealer` by `recipes/clues.py`; the role with the largest sum has the amount.
"""

import math
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from lmrl_data.dialogue.asset import asset
from lmrl_data.tasks.car_dealer.reading.clue import matches
from lmrl_data.tasks.car_dealer.reading.number import Number

ROLES = ("offer", "list", "past", "theirs", "discount", "other")
LEAST = 3_000  # what a car may cost, if a number is to be its price
MOST = {"money": 10_000_000, "plain": 200_000, "short": 200_000}
_STOPS = frozenset(".,;:!?()-#&")
_END = "<end>"
_DENIALS = frozenset([
    "no", "not", "never", "can't", "cannot", "won't", "wouldn't", "couldn't", "don't", "doesn't",
    "isn't", "ain't", "cant", "wont", "dont", "nor", "unable",
])  # fmt: skip


class Amount(NamedTuple):
    """An amount in dollars (or per cent), its role and how likely it is each of `ROLES`."""

    value: float
    form: str
    sentence: int
    place: int  # among the sentence's words
    chances: tuple[float, ...]

    @property
    def role(self) -> str:
        return ROLES[self.chances.index(max(self.chances))]

    @property
    def offered(self) -> float:
        """How likely it is the price of the car."""
        return self.chances[0]


def dollars(number: Number) -> float:
    """A number in dollars: 24.5 is 24,500, and 500 is 500."""
    return number.value * 1_000 if number.form == "short" and 4 <= number.value < 200 else number.value


def is_price(number: Number) -> bool:
    """Whether a number may be the price of a car."""
    return LEAST <= dollars(number) <= MOST.get(number.form, 0)


def is_part(number: Number) -> bool:
    """Whether a number may be a discount."""
    return number.form == "percent" or (number.form in ("money", "plain", "short") and 50 <= dollars(number) < LEAST)


Words = Sequence[tuple[Sequence[str], Sequence[tuple[int, Number]]]]


class Context(NamedTuple):
    """What stands around an amount: the words before and after it, its sentence, and the facts about it."""

    left: str
    right: str
    sentence: str
    facts: tuple[str, ...]


def contexts_of(sentences: Words, bid: int | None) -> list[Context]:
    """The context of each amount of a line.

    Args:
        sentences (`Words`): the words of each sentence, in which numbers are marks, and its numbers by their place.
        bid (`int`, *optional*): the buyer's last one.
    """
    places = [(index, *number) for index, (_, numbers) in enumerate(sentences) for number in numbers]
    prices = [(index, place) for index, place, number in places if is_price(number)]
    parts = [(index, place) for index, place, number in places if is_part(number)]
    splits = any(clue.tells == "split" for words, _ in sentences for clue in matches("does", " ".join(words) + " "))
    contexts = []
    for index, (words, numbers) in enumerate(sentences):
        if not numbers:
            continue
        shown = list(words)
        for place, number in numbers:
            if shown[place] == "#" and bid is not None and abs(dollars(number) - bid) < 1:
                shown[place] = "&"
        # The words of its neighbors tell little but for a short sentence or a question: $24,000? You must be joking.
        before = sentences[index - 1][0][-5:] if index and len(words) <= 5 else ()
        after = sentences[index + 1][0][:4] if index + 1 < len(sentences) and words[-1] in "?!" else ()
        sentence = " ".join(shown) + " "
        for place, number in numbers:
            left = " ".join([*before, *shown[:place]][-14:]) + " "
            right = " ".join([*shown[place + 1 :], *after][:11]) + f" {_END} "
            facts = _facts(number, bid, shown, place, prices, index)
            if is_price(number):
                facts += ("a part before",) * any(part < (index, place) for part in parts)
                facts += ("a part after",) * any(part > (index, place) for part in parts)
                facts += ("split", f"split {facts[2]}") * splits
            contexts.append(Context(left, right, sentence, facts))
    return contexts


def amounts_of(sentences: Words, bid: int | None) -> list[Amount]:
    """The amounts of a line."""
    numbers = [(index, *number) for index, (_, numbers) in enumerate(sentences) for number in numbers]
    return [
        Amount(dollars(number), number.form, index, place, _chances(*context))
        for (index, place, number), context in zip(numbers, contexts_of(sentences, bid), strict=True)
    ]


def _facts(
    number: Number, bid: int | None, words: Sequence[str], place: int, prices: Sequence[tuple[int, int]], index: int
) -> tuple[str, ...]:
    """What is known of an amount beside the words around it."""
    if number.form in ("percent", "year", "other"):
        return (number.form,)
    value = dollars(number)
    size = "tiny" if value < 1_000 else "small" if value < LEAST else "car" if is_price(number) else "huge"
    if bid is None:
        to_bid = "no_bid"
    elif abs(value - bid) < 1:
        to_bid = "bid"
    else:
        to_bid = "above" if bid < value <= 2 * bid else "below" if 0.8 * bid <= value < bid else "far"
    facts = [size, f"{size} {number.form}", to_bid, f"{number.form} {to_bid}"]
    if size == "car":
        rank = "only" if len(prices) == 1 else "last" if prices[-1] == (index, place) else (
            "first" if prices[0] == (index, place) else "middle")  # fmt: skip
        facts += [rank, f"{rank} {to_bid}"]
    if number.form == "short" and number.value != int(number.value):
        facts.append("decimal")
    begins = place == 0 or words[place - 1] in ".,;:!?-()"
    ends = place + 1 >= len(words) or words[place + 1] in ".,;!?-)"
    facts += ["begins"] * begins + ["ends"] * ends
    if begins and ends:
        facts += ["alone", f"alone {to_bid}"]
        facts += [f"alone in its sentence {to_bid}"] * (len(words) <= 3)
    if words[-1] == "?":
        facts += ["asked", f"asked {to_bid}"]
    return tuple(facts)


def _beside(left: str, right: str) -> Iterator[str]:
    """The words beside an amount, and those of its clause."""
    before, after = left.split(), right.split()
    for size in (1, 2, 3):
        if len(before) >= size:
            yield "left " + " ".join(before[-size:])
        if len(after) >= size:
            yield "right " + " ".join(after[:size])
    for side, words in (("before", before[::-1]), ("after", after)):
        clause = []
        for word in words[:8]:
            if word in _STOPS:
                break
            clause.append(word)
        if side == "before":
            clause.reverse()
        denial = "not " if not _DENIALS.isdisjoint(clause) else ""
        yield from (f"clause {side} {denial}{word}" for word in clause)
        yield from (f"clause {side} {one} {two}" for one, two in pairwise(clause))


def votes_of(left: str, right: str, sentence: str, facts: Sequence[str]) -> Iterator[str]:
    """The names of all that votes on the role of an amount."""
    yield "always"
    yield from (f"fact {fact}" for fact in facts)
    for side, text in (("before", left), ("after", right), ("anywhere", sentence)):
        yield from (clue.name for clue in matches(side, text))
    yield from _beside(left, right)


@cache
def _votes() -> tuple[dict[str, int], np.ndarray]:
    """The row of each voter, and its votes in hundredths."""
    rows = [line.split("\t") for line in asset("car_dealer", "votes.tsv").splitlines()[1:]]
    return {row[0]: place for place, row in enumerate(rows)}, np.array([row[1:] for row in rows], np.int64)


@lru_cache(maxsize=20_000)
def _chances(left: str, right: str, sentence: str, facts: tuple[str, ...]) -> tuple[float, ...]:
    rows, votes = _votes()
    sums = votes[[rows[name] for name in set(votes_of(left, right, sentence, facts)) if name in rows]].sum(0).tolist()
    exponents = [math.exp((total - max(sums)) / 100) for total in sums]
    whole = sum(exponents)
    return tuple(exponent / whole for exponent in exponents)
