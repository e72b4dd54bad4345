"""Finds the numbers of a seller's line, in digits or in words, and masks them."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lmrl_data.dialogue.numbers import ONES, TENS
from lmrl_data.tasks.car_dealer.catalog import BRAND_WORDS


# A number before it is classed, and the mark that stands for it in the masked text.
class Number(NamedTuple):
    value: float
    # '#' money, 'N' a bare number from 1,000 on, '@' a small bare number, '%', '~' a year, 'X' none of these. The text
    # is in lower case: no word of it can look like one.
    form: str


_TENS = {**TENS, "fourty": 40}
_UNITS = ONES | _TENS
_SCALES = {"hundred": 100, "thousand": 1_000, "grand": 1_000, "thou": 1_000, "k": 1_000, "million": 1_000_000}
_NUMBER_WORDS = frozenset(_UNITS) | frozenset(_SCALES) | {f"{ten}-{one}" for ten in _TENS for one in list(ONES)[1:10]}
# thirty-four-five, twelve-five; but ten-four is a word of its own
_NUMBER_WORDS |= {f"{ten}-{one}-{last}" for ten in _TENS for one in list(ONES)[1:10] for last in list(ONES)[1:10]}
_NUMBER_WORDS |= {f"{teen}-{one}" for teen in list(ONES)[11:] for one in list(ONES)[1:10]}
NUMBER_STARTS = _NUMBER_WORDS | {"half"}
_SUFFIXES = {"k": 1_000, "grand": 1_000, "thousand": 1_000, "thou": 1_000, "large": 1_000, "m": 1_000_000}
_SUFFIXES |= {"million": 1_000_000, "mil": 1_000_000}
_AFTER = frozenset(
    ["even", "flat", "cash", "and", "for", "today", "if", "with", "all", "then", "but", "or"]
)  # a price like 34 five
_MONEY = frozenset(("dollars", "dollar", "bucks", "usd", "eur", "euro", "euros"))
_PERCENT = frozenset(("percent", "per-cent", "pct"))


def find_numbers(
    tokens: Sequence[tuple[str, str, str, str, str]],
    keys: Sequence[str],
    places: Sequence[int],
    names: Mapping[int, int],
) -> tuple[list[str], list[Number]]:
    """The words of a sentence with its numbers and names masked, and the numbers.

    Args:
        tokens (`Sequence[tuple]`): currency, digits, suffix, word and mark of each token.
        keys (`Sequence[str]`): the tokens as words.
        places (`Sequence[int]`): where a number or a name may begin.
        names (`Mapping[int, int]`): where the names of models begin, and how many tokens they are.
    """
    words: list[str] = []
    numbers: list[Number] = []
    done = 0
    for start in places:
        if start < done:
            continue
        if start in names or keys[start] in BRAND_WORDS:
            words += keys[done:start]
            if words[-1:] != ["model"]:  # brand and model are one name
                words.append("model")
            done = start + names.get(start, 1)
        elif tokens[start][1] or keys[start] in NUMBER_STARTS:
            number, after = _number(tokens, keys, start)
            if number is not None:
                words += keys[done:start]
                words.append(number.form)
                numbers.append(number)
                done = after
    words += keys[done:]
    return words, numbers


def _number(
    tokens: Sequence[tuple[str, str, str, str, str]], keys: Sequence[str], start: int
) -> tuple[Number | None, int]:
    """The number that begins at this place, if any, and the place behind it."""
    size, key = len(tokens), keys[start]
    currency, digits, suffix, _, _ = tokens[start]
    place = start + 1
    follower = keys[place] if place < size else ""
    if digits:
        value, form = _from_digits(currency, digits, suffix)
        if form == "X":
            return None, place
        if form in "#N" and value >= 1_000 and value % 1_000 == 0 and suffix.strip() in ("thousand", "grand"):
            rest, used = _from_words(keys, place) if follower in _NUMBER_WORDS else (_small(tokens, place), 1)
            if rest is not None and 0 < rest < 1_000:
                value, place = value + rest, place + used
        elif form == "@" and 10 <= value < 200 and value == int(value) and 0 < _ones(tokens, keys, place) < 10:
            after = keys[place + 1] if place + 1 < size else "."
            if after in _AFTER or after in ".,!?":  # 34 five
                value, form, place = value * 1_000 + 100 * _ones(tokens, keys, place), "#", place + 1
    elif key == "half":
        if follower not in ("off", "price"):
            return None, place
        value, form = 50.0, "%"
    else:
        spelled, used = _from_words(keys, start)
        if spelled is None:
            return None, place
        value, place = spelled, start + used
        form = "@" if value < 100 else "#" if value >= 1_000 else "N"
    if digits and form == "@" and 10 <= value < 200 and value == int(value) and follower == "-":  # 27-five
        last = ONES.get(keys[place + 1], 0) if place + 1 < size else 0
        if 0 < last < 10:
            value, form, place = value * 1_000 + 100 * last, "#", place + 2
    if form == "@" and keys[place : place + 3] == ["and", "a", "half"]:
        value, place = value + 0.5, place + 3
        if place < size and keys[place] in _SUFFIXES:
            value, form, place = value * 1_000, "#", place + 1
    if place < size and keys[place] in _MONEY:
        form, place = ("#" if value >= 10 else "X"), place + 1
    elif place < size and keys[place] in _PERCENT:
        form, place = "%", place + 1
    if form == "@" and value < 4:
        return None, start + 1  # one of the best
    return Number(value, form), place


def _ones(tokens: Sequence[tuple[str, str, str, str, str]], keys: Sequence[str], place: int) -> int:
    """The number below 20 at this place in words, or below 10 in digits; otherwise 0."""
    if place >= len(keys):
        return 0
    currency, digits, suffix, _, _ = tokens[place]
    return int(digits) if len(digits) == 1 and not currency and not suffix else ONES.get(keys[place], 0)


_EUROPEAN = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+(?:,[0-9]{2})?")  # 27.500 and 27.500,00
_TENTHS = re.compile(r"[0-9]{1,3},[0-9]{1,2}")  # 17,2k


def _from_digits(currency: str, digits: str, suffix: str) -> Number:
    suffix = suffix.strip()
    if not suffix.startswith(("k", "l", "m", "h")) and _EUROPEAN.fullmatch(digits):
        digits = digits.split(",")[0].replace(".", "")
    elif _TENTHS.fullmatch(digits):
        digits = digits.replace(",", ".")
    plain = digits.replace(",", "").replace(" ", "").replace("'", "")
    if len(plain) > 12 or "-" in currency:
        return Number(0, "X")
    value = float(plain)
    if suffix == "%":
        return Number(value, "%")
    if suffix in _SUFFIXES:
        if suffix == "m" and not currency:
            return Number(0, "X")
        return Number(value * _SUFFIXES[suffix], "#")
    if suffix in _MONEY:
        return Number(value, "#")
    if suffix:
        return Number(0, "X")  # 2nd, 300hp, 330i
    if currency:
        return Number(value, "#" if value >= 100 or value == 0 else "@")
    if "," not in digits and " " not in digits and 1950 <= value <= 2035 and value == int(value):
        return Number(value, "~")
    return Number(value, "N" if value >= 1_000 else "@")


def _small(tokens: Sequence[tuple[str, str, str, str, str]], place: int) -> float | None:
    """The number below 1,000 at this place, as in '34 thousand 500'."""
    if place >= len(tokens):
        return None
    currency, digits, suffix, _, _ = tokens[place]
    return float(digits) if digits and not currency and not suffix and len(digits) == 3 and digits.isdigit() else None


def _from_words(keys: Sequence[str], start: int) -> tuple[float | None, int]:
    """The number spelled out from `start` on, and how many tokens it takes; 'thirty-four five' is 34,500."""
    parts: list[str] = []
    place = start
    while place < len(keys) and place - start < 12:
        key = keys[place]
        if key in _NUMBER_WORDS:
            parts += key.split("-")
        elif key == "and" and parts and parts[-1] in _SCALES and keys[place + 1 : place + 2] and (
            keys[place + 1] in _UNITS or keys[place + 1].split("-")[0] in _TENS
        ):  # fmt: skip
            pass
        else:
            break
        place += 1
    used = place - start
    total, group, seen = 0.0, 0.0, False
    groups: list[float] = []  # numbers that follow each other without a scale: thirty-four, five
    for i, part in enumerate(parts):
        if part in _SCALES and part != "hundred":
            group = sum(groups) + group if not groups else groups[0] if len(groups) == 1 and not group else group
            total += (group or 1) * _SCALES[part]
            group, groups, seen = 0.0, [], True
        elif part == "hundred":
            group = (group or 1) * 100
        else:
            value = _UNITS[part]
            fits = group == 0 or (group % 100 == 0) or (group % 10 == 0 and value < 10 and parts[i - 1] in _TENS)
            if fits:
                group += value
            else:
                groups.append(group)
                group = value
    if groups:
        return _shorthand([*groups, group], total), used
    if seen and 0 < group < 10 and total >= 10_000:
        group *= 100  # thirty-four thousand five
    return (total + group if parts else None), used


def _shorthand(groups: list[float], total: float) -> float | None:
    """'thirty-four five' is 34,500, 'thirty-one nine ninety-nine' 31,999."""
    if total or not 10 <= groups[0] < 200:
        return None
    if len(groups) == 2 and (0 < groups[1] < 10 or 100 <= groups[1] < 1_000):
        return groups[0] * 1_000 + (groups[1] * 100 if groups[1] < 10 else groups[1])
    if len(groups) == 3 and 0 < groups[1] < 10 <= groups[2] < 100:
        return groups[0] * 1_000 + groups[1] * 100 + groups[2]
    return None
