"""Tells how likely a line says that the seller sells at the buyer's bid, rather than that it wishes, asks or defers.

Clues and words of the line vote. The votes are learned by `recipes/clues.py` from labeled lines. A sale by agreement
is at the buyer's own bid, whatever the line says.
"""

import math
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import pairwise

from lmrl_data.dialogue.asset import asset
from lmrl_data.tasks.car_dealer.reading.clue import matches

UNSAID = 70  # votes against a line that has neither a plain word of agreement nor the bid
_MANNERS = frozenset(["agree", "no_agree", "refuse", "wish", "defer", "thank", "goodbye", "yes", "no", "firm"])


def voters(sentences: Sequence[str], has_price: bool) -> Iterator[str]:
    """The names of all that votes.

    Args:
        sentences (`Sequence[str]`): the words of each, in which the buyer's bid is `&`.
        has_price (`bool`): whether the line names another amount that may be the price.
    """
    yield "always"
    bid = any("&" in sentence for sentence in sentences)
    yield "another price" if has_price else "the bid" if bid else "no amount"
    yield f"{min(4, sum(sentence.count(' ') for sentence in sentences) // 5)} times five words"
    for sentence in sentences:
        words = ["^", *sentence.split()]
        mood = "asked" if words[-1] == "?" else "said"
        manners = {clue.tells for clue in matches("does", sentence)} & _MANNERS
        yield from (f"{mood} {manner}" for manner in manners)
        if "agree" in manners:
            yield f"{mood} agree but {' '.join(sorted(manners - {'agree', 'yes', 'thank'}))}"
        yield from (f"{mood}: {word}" for word in words)
        yield from (f"{mood}: {' '.join(pair)}" for pair in pairwise(words))
        yield from (f"{mood}: {' '.join(three)}" for three in zip(words, words[1:], words[2:], strict=False))


@cache
def _votes() -> dict[str, int]:
    rows = [line.split("\t") for line in asset("car_dealer", "agreement.tsv").splitlines()[1:]]
    return {name: int(vote) for name, vote in rows}


@lru_cache(maxsize=20_000)
def chance(sentences: tuple[str, ...], has_price: bool) -> float:
    """How likely the line agrees; 0 if it refuses, wishes or defers and no other sentence agrees in plain words."""
    manners = [{clue.tells for clue in matches("does", sentence)} for sentence in sentences]
    against = [bool(them & {"refuse", "defer", "wish"}) for them in manners]
    plain = any(
        "agree" in them and not no and not sentence.endswith("? ")
        for them, no, sentence in zip(manners, against, sentences, strict=True)
    )
    if any(against) and not plain:
        return 0.0
    votes = _votes()
    total = sum(votes.get(name, 0) for name in set(voters(sentences, has_price)))
    if not plain and not any("&" in sentence for sentence in sentences):
        total -= UNSAID
    return 1 / (1 + math.exp(-total / 100))
