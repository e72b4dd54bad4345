"""Classes the numbers of a seller's line by the words around them: offer, list price, discount, mileage, and so on."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from lmrl_data.tasks.car_dealer.reading import clue
from lmrl_data.tasks.car_dealer.reading.number import Number
from lmrl_data.tasks.car_dealer.reading.offer import is_shown


class Amount(NamedTuple):
    """A number and what it is: offer, firm, hedged, theirs (the buyer's), list, discount, percent, year or other."""

    value: float
    kind: str


# Where the clause of a number begins: behind a comma, a bracket or a conjunction, and behind another number.
BREAK = re.compile(
    r"[,()/]| but | so (?=i |i'|we |we'|it|that|you|the|let)| - | and (?=i |i'|we |we'|it's|for you|"
    r"then|now)| then | though | however "
)
AFTER_NUMBER = re.compile(r"[#N@%] (?!to$|and$|-$)(?=.)|^[#N@%]$")
# The price on it, not the miles: I can do $20,000 on it.
_ON_IT = re.compile(r"\b(?:do|go|take|offer|accept|give you) \| on it\b")
# A list price that is asked in full: the full sticker of $40,000 is what we need, it is selling at MSRP, $40,000.
_IN_FULL = re.compile(
    r"\b(?:sell(?:s|ing)?|go(?:es|ing)?|priced|sold|yours) (?:at|for) (?:full )?(?:msrp|sticker|"
    r"list)(?: price)? [,:-]$"
)
_NEEDED = re.compile(r"is what (?:i|we) (?:have|need|want|ask|must|get)\b|is what (?:i'm|we're) asking\b")
_SENTENCE = frozenset(".!?;")
FORMS = frozenset("#N@%~X")


def classed(words: Sequence[str], numbers: Sequence[Number]) -> list[Amount]:
    """The kind of each number."""
    amounts = []
    index = first = 0
    for place, word in enumerate(words):
        if word in _SENTENCE:
            first = place + 1
        elif word in FORMS:
            number = numbers[index]
            index += 1
            end = next((i for i in range(place, min(place + 7, len(words))) if words[i] in _SENTENCE), place + 7)
            left, right = " ".join(words[max(first, place - 12) : place]), " ".join(words[place + 1 : end])
            value = number.value
            size = "tens" if 10 <= value < 200 else "tiny" if value < 2_500 else "small" if value < 6_000 else "large"
            mark = words[end] if end < len(words) and words[end] in _SENTENCE else ""
            kind = _kind(left, right or mark, number.form, size)
            if number.form == "@" and kind in ("offer", "firm", "hedged"):
                value *= 1_000
            amounts.append(Amount(value, kind))
            if kind == "list" and (_IN_FULL.search(" ".join(words[first:place])) or _NEEDED.match(right)):
                amounts.append(Amount(value, "offer"))
    return amounts


@lru_cache(maxsize=10_000)
def _kind(before: str, right: str, form: str, size: str) -> str:
    """The kind of a number, by the words before it in its sentence and the first ones after it. The order decides."""
    stripped = before.rstrip(" ,:-")
    whole = BREAK.split(f" {stripped} ")[-1].strip()
    left = AFTER_NUMBER.split(whole)[-1].strip()
    if before.endswith((",", ", -")) and (
        not clue.L_NAMED.search(left) or (clue.L_NAMED.fullmatch(left) and left != whole)
    ):
        left = ""  # the words before a comma say nothing of the number behind it, but for: the list price, $30,000
    if before.endswith(":") and clue.L_REFUSE.search(left) and not clue.L_COLON.search(left):
        left = ""  # let's not fight: $30,000
    adjacent = before.endswith(stripped)
    if form == "%":
        if (
            clue.TO.search(before)
            or clue.R_NO_PERCENT.match(right)
            or clue.L_FINANCE.search(left)
            or clue.L_REFUSE.search(left)
        ):
            return "other"
        return "percent" if clue.R_PERCENT.match(right) or clue.L_PERCENT.search(left) else "other"
    refused = clue.L_REFUSE.search(left) and not clue.L_ONLY_YOU.search(left)
    if clue.R_OFF.match(right):
        return "other" if refused else "discount"
    if clue.L_BY.search(left) and not refused and not clue.L_UP.search(left) and size in ("tens", "tiny", "small"):
        return "discount"
    if clue.L_EITHER.search(before):
        return "theirs"
    if form in "#N" and size != "tiny":
        theirs = clue.L_THEIRS.search(left)
        up = clue.L_COME_UP.search(left)
        if up and (up[0].split()[1:2] == ["you"] or not theirs):
            return "offer"
        if (
            not theirs
            and (clue.R_HONOR.match(right) or (clue.R_USED.match(right) and clue.L_SELLING.search(left)))
            and not refused
        ):
            return "offer"
        if clue.L_OFFERED.search(left) and clue.R_ACCEPT.match(right):
            return "offer"
        if clue.L_TOOK.search(left) and clue.R_WOE.match(right):
            return "other"
        if clue.L_WILL.search(left) and clue.R_LATER.match(right) and not right.startswith("today"):
            return "other"
        if clue.L_LOWER.search(left) and (clue.L_FIRED.search(left) or clue.R_CANNOT.match(right)):
            return "firm"
        if clue.L_ANYTHING.search(left) and clue.R_WE_LOSE.match(right):
            return "firm"
    if clue.L_LOSS.search(left) or clue.R_LOSS.match(right):
        return "other"
    if clue.L_NOBODY.search(left) or clue.L_ASKED.search(left) or clue.R_DREAM.match(right):
        return "other"
    if form == "N" and clue.L_SERVICE.search(left):
        return "other"
    if form in "#N" and (clue.R_MINE.match(right) or clue.L_SOLD.search(whole)) and not clue.L_THEIRS.search(left):
        return "offer"
    if (
        clue.L_PAST.search(left)
        or clue.L_UP.search(left)
        or clue.L_FIRED.search(left)
        or clue.L_THEIR_CAR.search(left)
    ):
        return "offer" if form == "@" and clue.L_SOLD.search(whole) and size == "tens" else "other"
    if form == "~":
        return (
            "discount"
            if size != "large" and re.search(r"(?:knock|another|additional|save you|shave)$", left)
            else "year"
        )
    if (
        clue.R_RATE.match(right)
        or (clue.R_UNIT.match(right) and not _ON_IT.search(f"{left} | {right}"))
        or clue.R_DOWN.match(right)
        or clue.R_TRADE.match(right)
    ):
        return "other"
    if form == "@":
        if (
            refused
            or clue.L_OTHERS.search(left)
            or clue.L_THEIRS.search(left)
            or clue.L_MARKET.search(left)
            or clue.L_TRADE.search(left)
        ):
            return (
                "firm"
                if size == "tens" and clue.L_FLOOR.search(left) and clue.R_SMALL.match(right) and refused
                else "other"
            )
        alone = not whole and right in (".", "!", "") and size == "tens"
        if alone or (
            size == "tens"
            and (clue.R_STRONG.match(right) or (clue.L_SMALL.search(left) and clue.R_SMALL.match(right)))
        ):
            return "hedged" if clue.L_HEDGE.search(left) else "offer"
        return (
            "firm"
            if clue.L_FLOOR.search(left) and clue.R_SMALL.match(right) and not clue.L_NO_FLOOR.search(left)
            else "other"
        )
    if form == "N" and (
        clue.L_SPEC.search(left) or (clue.L_MODEL.search(before.rstrip()) and size in ("tiny", "small"))
    ):
        return "other"
    if (clue.L_BOSS.search(left) or clue.R_OKAY.match(right)) and not refused and not clue.L_THEIRS.search(left):
        return "offer"
    if clue.L_MARKET.search(left) or (size != "large" and clue.L_CHARGE.search(left)):
        return "other"
    if clue.JUST_TO.search(before) and not clue.SHIFT.search(before):
        return "other"
    if clue.L_WAS.search(left) or clue.L_GET_YOU.search(left) or clue.L_IF.search(before):
        return "other"
    if clue.L_SPREAD.search(left) or (
        clue.R_RANGE.match(right) and not (left.endswith("from") and clue.L_MOVED.search(whole))
    ):
        return "other"
    if clue.L_WAS_MINE.search(left) or clue.SPAN.search(before):
        return "other"
    if clue.R_FEE.match(right) and (
        size != "large" or "credit" in right or not right.startswith(("tax", "title", "more"))
    ):
        return "other"
    if clue.L_MATCH.search(left) and not refused:
        return "offer"
    if clue.R_LIST.match(right):
        return "list"
    if right.startswith("asking"):
        return "other"
    if clue.R_THEIRS.match(right):
        return "theirs"
    if clue.R_NOUN.match(right):
        return "other"
    if clue.L_FLOOR.search(left) and not clue.R_REFUSED.match(right):
        if clue.L_NO_FLOOR.search(left):
            return "other"
        if size not in ("tens", "tiny") or not refused:
            return "list" if re.search(r"(?:from|off)(?: [^ ]+)?$", left) and not refused else "firm"
    if refused or clue.R_REFUSED.match(right):
        return "other"
    if clue.L_RATE.search(left) or clue.L_DOWN.search(left) or clue.L_MILES.search(left) or clue.L_TRADE.search(left):
        return "other"
    if clue.L_FINANCE.search(left) or clue.L_OTHERS.search(left):
        return "other"
    if clue.L_THEIRS.search(left):
        return "theirs"
    if clue.L_OFF.search(left) or clue.L_TAKE.search(before):
        return "discount"
    if clue.L_LIST.search(left) and (adjacent or not left.endswith("off")):
        return "list"
    if (adjacent and clue.L_RANGE.search(left)) or (size != "large" and clue.L_FEE.search(left)):
        return "other"
    if form == "N" and ((size != "large" and not left) or not clue.FOLLOWS.match(right)):
        return "other" if right else "offer"
    if size == "tiny" and whole and not clue.L_DEAL.search(left):
        return "other"
    if not is_shown(whole, AFTER_NUMBER.split(whole)[-1], before, right):
        return "other"
    return "hedged" if clue.L_HEDGE.search(left) else "offer"
