"""What each number of a seller's line is, by the words around it: the offer, a list price, a discount, the mileage."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from lmrl_data.tasks.car_dealer_clues import (
    AFTER_NUMBER,
    BREAK,
    FOLLOWS,
    JUST_TO,
    L_ANYTHING,
    L_ASKED,
    L_BOSS,
    L_BY,
    L_CHARGE,
    L_COLON,
    L_COME_UP,
    L_DEAL,
    L_DOWN,
    L_EITHER,
    L_FEE,
    L_FINANCE,
    L_FIRED,
    L_FLOOR,
    L_GET_YOU,
    L_HEDGE,
    L_IF,
    L_LIST,
    L_LOSS,
    L_LOWER,
    L_MARKET,
    L_MATCH,
    L_MILES,
    L_MODEL,
    L_MOVED,
    L_NAMED,
    L_NO_FLOOR,
    L_NOBODY,
    L_OFF,
    L_OFFERED,
    L_ONLY_YOU,
    L_OTHERS,
    L_PAST,
    L_PERCENT,
    L_RANGE,
    L_RATE,
    L_REFUSE,
    L_SELLING,
    L_SERVICE,
    L_SMALL,
    L_SOLD,
    L_SPEC,
    L_SPREAD,
    L_TAKE,
    L_THEIR_CAR,
    L_THEIRS,
    L_TOOK,
    L_TRADE,
    L_UP,
    L_WAS,
    L_WAS_MINE,
    L_WILL,
    R_ACCEPT,
    R_CANNOT,
    R_DOWN,
    R_DREAM,
    R_FEE,
    R_HONOR,
    R_LATER,
    R_LIST,
    R_LOSS,
    R_MINE,
    R_NO_PERCENT,
    R_NOUN,
    R_OFF,
    R_OKAY,
    R_PERCENT,
    R_RANGE,
    R_RATE,
    R_REFUSED,
    R_SMALL,
    R_STRONG,
    R_THEIRS,
    R_TRADE,
    R_UNIT,
    R_USED,
    R_WE_LOSE,
    R_WOE,
    SHIFT,
    SPAN,
    TO,
)  # fmt: skip


class Amount(NamedTuple):
    """A number and what it is: offer, firm, hedged, theirs (the buyer's), list, discount, percent, year or other."""

    value: float
    kind: str


# A number before it is classed, and the mark that stands for it in the masked text.
class Number(NamedTuple):
    value: float
    # '#' money, 'N' a bare number from 1,000 on, '@' a small bare number, '%', '~' a year, 'X' none of these. The text
    # is in lower case: no word of it can look like one.
    form: str


_SENTENCE = frozenset(".!?;")
FORMS = frozenset("#N@%~X")


def classed(words: Sequence[str], numbers: Sequence[Number]) -> list[Amount]:
    """What the numbers are."""
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
    return amounts


@lru_cache(maxsize=10_000)
def _kind(before: str, right: str, form: str, size: str) -> str:
    """What a number is, by the words of its sentence before it and the first ones after it."""
    stripped = before.rstrip(" ,:-")
    whole = BREAK.split(f" {stripped} ")[-1].strip()
    left = AFTER_NUMBER.split(whole)[-1].strip()
    if before.endswith((",", ", -")) and (not L_NAMED.search(left) or (L_NAMED.fullmatch(left) and left != whole)):
        left = ""  # the words before a comma say nothing of the number behind it, but for: the list price, $30,000
    if before.endswith(":") and L_REFUSE.search(left) and not L_COLON.search(left):
        left = ""  # let's not fight: $30,000
    adjacent = before.endswith(stripped)
    if form == "%":
        if TO.search(before) or R_NO_PERCENT.match(right) or L_FINANCE.search(left) or L_REFUSE.search(left):
            return "other"
        return "percent" if R_PERCENT.match(right) or L_PERCENT.search(left) else "other"
    refused = L_REFUSE.search(left) and not L_ONLY_YOU.search(left)
    if R_OFF.match(right):
        return "other" if refused else "discount"
    if L_BY.search(left) and not refused and not L_UP.search(left) and size in ("tens", "tiny", "small"):
        return "discount"
    if L_EITHER.search(before):
        return "theirs"
    if form in "#N" and size != "tiny":
        theirs = L_THEIRS.search(left)
        up = L_COME_UP.search(left)
        if up and (up[0].split()[1:2] == ["you"] or not theirs):
            return "offer"
        if not theirs and (R_HONOR.match(right) or (R_USED.match(right) and L_SELLING.search(left))) and not refused:
            return "offer"
        if L_OFFERED.search(left) and R_ACCEPT.match(right):
            return "offer"
        if L_TOOK.search(left) and R_WOE.match(right):
            return "other"
        if L_WILL.search(left) and R_LATER.match(right) and not right.startswith("today"):
            return "other"
        if L_LOWER.search(left) and (L_FIRED.search(left) or R_CANNOT.match(right)):
            return "firm"
        if L_ANYTHING.search(left) and R_WE_LOSE.match(right):
            return "firm"
    if L_LOSS.search(left) or R_LOSS.match(right):
        return "other"
    if L_NOBODY.search(left) or L_ASKED.search(left) or R_DREAM.match(right):
        return "other"
    if form == "N" and L_SERVICE.search(left):
        return "other"
    if form in "#N" and (R_MINE.match(right) or L_SOLD.search(whole)) and not L_THEIRS.search(left):
        return "offer"
    if L_PAST.search(left) or L_UP.search(left) or L_FIRED.search(left) or L_THEIR_CAR.search(left):
        return "offer" if form == "@" and L_SOLD.search(whole) and size == "tens" else "other"
    if form == "~":
        return (
            "discount"
            if size != "large" and re.search(r"(?:knock|another|additional|save you|shave)$", left)
            else "year"
        )
    if R_RATE.match(right) or R_UNIT.match(right) or R_DOWN.match(right) or R_TRADE.match(right):
        return "other"
    if form == "@":
        if refused or L_OTHERS.search(left) or L_THEIRS.search(left) or L_MARKET.search(left) or L_TRADE.search(left):
            return "firm" if size == "tens" and L_FLOOR.search(left) and R_SMALL.match(right) and refused else "other"
        alone = not whole and right in (".", "!", "") and size == "tens"
        if alone or (size == "tens" and (R_STRONG.match(right) or (L_SMALL.search(left) and R_SMALL.match(right)))):
            return "hedged" if L_HEDGE.search(left) else "offer"
        return "firm" if L_FLOOR.search(left) and R_SMALL.match(right) and not L_NO_FLOOR.search(left) else "other"
    if form == "N" and (L_SPEC.search(left) or (L_MODEL.search(before.rstrip()) and size in ("tiny", "small"))):
        return "other"
    if (L_BOSS.search(left) or R_OKAY.match(right)) and not refused and not L_THEIRS.search(left):
        return "offer"
    if L_MARKET.search(left) or (size != "large" and L_CHARGE.search(left)):
        return "other"
    if JUST_TO.search(before) and not SHIFT.search(before):
        return "other"
    if L_WAS.search(left) or L_GET_YOU.search(left) or L_IF.search(before):
        return "other"
    if L_SPREAD.search(left) or (R_RANGE.match(right) and not (left.endswith("from") and L_MOVED.search(whole))):
        return "other"
    if L_WAS_MINE.search(left) or SPAN.search(before):
        return "other"
    if R_FEE.match(right) and (size != "large" or "credit" in right or not right.startswith(("tax", "title", "more"))):
        return "other"
    if L_MATCH.search(left) and not refused:
        return "offer"
    if R_LIST.match(right):
        return "list"
    if R_THEIRS.match(right):
        return "theirs"
    if R_NOUN.match(right):
        return "other"
    if L_FLOOR.search(left) and not R_REFUSED.match(right):
        if L_NO_FLOOR.search(left):
            return "other"
        if size not in ("tens", "tiny") or not refused:
            return "list" if re.search(r"(?:from|off)(?: [^ ]+)?$", left) and not refused else "firm"
    if refused or R_REFUSED.match(right):
        return "other"
    if L_RATE.search(left) or L_DOWN.search(left) or L_MILES.search(left) or L_TRADE.search(left):
        return "other"
    if L_FINANCE.search(left) or L_OTHERS.search(left):
        return "other"
    if L_THEIRS.search(left):
        return "theirs"
    if L_OFF.search(left) or L_TAKE.search(before):
        return "discount"
    if L_LIST.search(left) and (adjacent or not left.endswith("off")):
        return "list"
    if (adjacent and L_RANGE.search(left)) or (size != "large" and L_FEE.search(left)):
        return "other"
    if form == "N" and ((size != "large" and not left) or not FOLLOWS.match(right)):
        return "other" if right else "offer"
    if size == "tiny" and whole and not L_DEAL.search(left):
        return "other"
    return "hedged" if L_HEDGE.search(left) else "offer"
