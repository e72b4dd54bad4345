"""Finds the amounts in a sentence, in digits or in words: $24,500, 24.5k, 24 and a half, twenty-four five."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from lmrl_data.dialogue.numbers import ONES, TENS


class Token(NamedTuple):
    """A word, a mark or a number of a text in lower case."""

    currency: str
    digits: str
    suffix: str
    word: str
    mark: str

    @property
    def key(self) -> str:
        return self.digits + self.suffix.strip() if self.digits else self.word or self.mark


class Number(NamedTuple):
    """A number and how it is written.

    Args:
        value (`float`): as written: 24.5 for 24 and a half.
        form (`str`): `money`, `plain` (bare, from 1,000 on), `short` (bare, below 1,000), `percent`, `year` or
            `other`.
    """

    value: float
    form: str


# Only ASCII digits are numbers.
_TOKEN = re.compile(
    r"(-\$|(?:us)?\$ ?-?|(?:usd?|eur)(?= ?[0-9]) ?)?('?[0-9]+(?:[,.'/][0-9]+)*)"
    r"(%| ?(?:k|grand|thou(?:sand)?)\b|[a-z]+|\$)?"
    r"|([a-z][a-z0-9]*(?:[-'][a-z0-9]+|\.[0-9]+)*)|([.,;:!?()/+-])"
)
_WORDS: dict[str, int] = ONES | TENS | {"fourty": 40}
_COMPOUND = {ten + one: TENS[ten] + ONES[one] for ten in TENS for one in list(ONES)[1:10]}  # sixtyfour
_THOUSAND = frozenset(["thousand", "thou", "grand", "k", "large"])
_SUFFIXES = {"k": 1_000, "m": 1_000_000, "mil": 1_000_000, "million": 1_000_000} | dict.fromkeys(_THOUSAND, 1_000)
_MONEY = frozenset(["dollars", "dollar", "bucks", "usd", "eur", "euro", "euros", "$"])
_PERCENT = frozenset(["percent", "per-cent", "pct"])
_FRACTIONS = {("and", "a", "half"): 0.5, ("and", "a", "quarter"): 0.25, ("and", "an", "half"): 0.5,
              ("an", "a", "half"): 0.5, ("an", "a", "quarter"): 0.25, ("and", "three", "quarters"): 0.75,
              ("1/2",): 0.5, ("1/4",): 0.25, ("3/4",): 0.75}  # fmt: skip
# A lone figure before one of these is no part of an amount: 24 4 doors.
_UNITS = frozenset(
    [
        "seats",
        "seat",
        "doors",
        "door",
        "year",
        "years",
        "months",
        "month",
        "days",
        "weeks",
        "cylinders",
        "cyl",
        "speed",
        "miles",
        "mile",
    ]
)


def _misspelled() -> dict[str, str]:
    """Number words with a letter left out or two exchanged."""
    right = [word for word in [*_WORDS, "hundred", "thousand", "quarter"] if len(word) >= 6]
    made = {}
    for word in right:
        for i in range(1, len(word)):
            made[word[:i] + word[i + 1 :]] = word
            made[word[: i - 1] + word[i] + word[i - 1] + word[i + 1 :]] = word
    return {wrong: word for wrong, word in made.items() if wrong not in _WORDS and wrong != word}


_SPELT = _misspelled()
_NUMBER_WORDS = frozenset(_WORDS) | frozenset(_COMPOUND) | {"hundred"}


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text in lower case; spelled numbers are one token a word, and spelled rightly."""
    tokens = []
    for parts in _TOKEN.findall(text):
        word = _SPELT.get(parts[3], parts[3])
        pieces = word.split("-")
        if (
            len(pieces) > 1
            and word != "ten-four"
            and all(piece in _NUMBER_WORDS or piece in _THOUSAND for piece in pieces)
        ):
            tokens += [Token("", "", "", piece, "") for piece in pieces]
        else:
            tokens.append(Token(parts[0], parts[1], parts[2], word, parts[4]))
    return tokens


def number_at(tokens: Sequence[Token], start: int) -> tuple[Number, int] | None:
    """The number that begins at a place, and the place behind it; `None` if no number does."""
    token = tokens[start]
    if not token.digits and token.word not in _NUMBER_WORDS and token.word not in ("half", "a", "an"):
        return None
    if token.word in ("half", "a", "an"):
        after = tokens[start + 1].word if start + 1 < len(tokens) else ""
        if token.word == "half":
            return (Number(50.0, "percent"), start + 1) if after in ("off", "price") else None
        if after not in ("hundred", "thousand", "grand"):
            return None
    if token.digits:
        value, form = _written(token)
        place = start + 1
        if form in ("other", "year", "percent"):
            if place < len(tokens) and form == "year" and tokens[place].word in _MONEY:
                return Number(value, "money"), place + 1
            return Number(value, form), place
        if value >= 1_000 and not token.suffix.strip():
            place, form = (place + 1, "money") if _key(tokens, place) in _MONEY else (place, form)
            return Number(value, form), place
    if not token.digits or form == "short" or token.suffix.strip() in _THOUSAND:
        spoken = _spoken(tokens, start)
        if spoken is None:
            return (Number(value, form), place) if token.digits else None
        value, form, place = spoken
    after = _key(tokens, place)
    if after in _MONEY:
        form, place = "money", place + 1
    elif after in _PERCENT or (after == "per" and _key(tokens, place + 1) == "cent"):
        return Number(value, "percent"), place + (1 if after in _PERCENT else 2)
    if value < 4 and form == "short":
        return None
    return Number(value, form), place


def _key(tokens: Sequence[Token], place: int) -> str:
    return tokens[place].key if place < len(tokens) else ""


def _written(token: Token) -> tuple[float, str]:
    """The value and the form of a number in digits."""
    suffix = token.suffix.strip()
    parts = re.split("[,.']", token.digits.lstrip("'"))
    if "/" in token.digits or "-" in token.currency or sum(map(len, parts)) > 12:
        return 0.0, "other"
    if token.digits[0] == "'":
        return (2000.0 + int(parts[0]), "year") if len(parts[0]) == 2 and not suffix else (0.0, "other")
    thousands = len(parts[0]) <= 3 and all(len(part) == 3 for part in parts[1:]) and suffix not in _SUFFIXES
    if len(parts) == 1 or thousands:
        value = float("".join(parts))
    elif all(len(part) == 3 for part in parts[1:-1]):
        value = float("".join(parts[:-1]) + "." + parts[-1])
    else:
        return 0.0, "other"
    if suffix == "%":
        return value, "percent"
    if suffix in _SUFFIXES and (suffix != "m" or token.currency):
        return value * _SUFFIXES[suffix], "money"
    if suffix and suffix not in _MONEY:
        return 0.0, "other"  # 2nd, 300hp, 330i
    if token.currency or suffix:
        return value, "money" if value >= 200 or value == 0 else "short"
    if len(parts) == 1 and 1950 <= value <= 2035:
        return value, "year"
    return value, "plain" if value >= 1_000 else "short"


def _atoms(tokens: Sequence[Token], start: int) -> list[tuple[float, str, int]]:
    """The small numbers and scales from a place on: value, `digits`, `word`, `hundred` or `thousand`, place behind."""
    atoms: list[tuple[float, str, int]] = []
    place = start
    while place < len(tokens) and len(atoms) < 8:
        token = tokens[place]
        suffix = token.suffix.strip()
        fraction = next(
            (size for size in _FRACTIONS if atoms and tuple(t.key for t in tokens[place : place + len(size)]) == size),
            None,
        )
        if fraction:
            atoms.append((_FRACTIONS[fraction], "fraction", place + len(fraction)))
        elif token.digits:
            value, form = _written(Token("", token.digits, "", "", ""))
            if (token.currency and place > start) or form != "short" or (suffix and suffix not in _THOUSAND):
                break
            if atoms and len(token.digits) == 3 and 10 <= atoms[-1][0] < 1_000 and atoms[-1][1] == "digits":  # 29 000
                return [(atoms[-1][0] * 1_000 + value, "digits", place + 1)] if len(atoms) == 1 else atoms
            if atoms and (value != int(value) or _key(tokens, place + 1) in _UNITS):
                break
            atoms.append((value, "digits", place + 1))
            if suffix:
                atoms.append((1_000, "thousand", place + 1))
        elif token.word in _WORDS or token.word in _COMPOUND:
            value = _WORDS.get(token.word) or _COMPOUND.get(token.word, 0)
            if atoms and atoms[-1][1] == "word" and atoms[-1][0] in range(20, 100, 10) and 0 < value < 10:
                atoms[-1] = (atoms[-1][0] + value, "word", place + 1)
            else:
                atoms.append((value, "word", place + 1))
        elif token.word == "hundred":
            atoms.append((100, "hundred", place + 1))
        elif token.word in _THOUSAND and (atoms or token.word in ("thousand", "grand")):
            atoms.append((1_000, "thousand", place + 1))
        elif token.word == "point" and atoms and atoms[-1][1] in ("word", "digits") and place + 1 < len(tokens):
            tenth = ONES.get(tokens[place + 1].word, 0)
            if not 0 < tenth < 10:
                break
            atoms.append((tenth / 10, "fraction", place + 2))
        elif not (
            (place == start and token.word in ("a", "an"))
            or (token.word == "and" and atoms and atoms[-1][1] in ("hundred", "thousand"))
            or (token.mark == "," and atoms and atoms[-1][1] == "thousand" and _key(tokens, place + 2) == "hundred")
        ):
            break
        place = atoms[-1][2] if atoms and atoms[-1][2] > place else place + 1
    return atoms


def _spoken(tokens: Sequence[Token], start: int) -> tuple[float, str, int] | None:
    """The value, form and end of a number made of words and small figures."""
    groups: list[tuple[float, int]] = []  # numbers below a thousand, hundreds taken in
    thousands: float | None = None
    end = start + 1
    last = ""
    for value, kind, place in _atoms(tokens, start):
        if kind == "hundred":
            groups[-1:] = [((groups[-1][0] if groups else 1) * 100, place)]
        elif kind == "thousand":
            if thousands is not None or len(groups) > 1:
                break
            thousands, groups = (groups[0][0] if groups else 1) * 1_000, []
        elif kind == "fraction":
            if groups:
                groups[-1] = (groups[-1][0] + value, place)
        elif last == "hundred" and groups and value < 100 and groups[-1][0] % 100 == 0:
            groups[-1] = (groups[-1][0] + value, place)
        else:
            fits = [group for group, _ in groups] + [value]
            if groups and not _joins(thousands, fits):
                break
            groups.append((value, place))
        end, last = place, kind
    sizes = [group for group, _ in groups]
    if thousands is not None:
        if not sizes:
            return thousands, "money", end
        if sizes[0] >= 1_000:
            return thousands, "money", end
        rest = sizes[0] * 100 if len(sizes) == 1 and sizes[0] < 10 and thousands >= 10_000 else sizes[0]
        return thousands + (sizes[0] * 100 + sizes[1] if len(sizes) == 2 else rest), "money", end
    if not sizes:
        return None
    if len(sizes) == 1:
        return sizes[0], "short" if sizes[0] < 1_000 else "money", end
    hundreds = sizes[1] * 100 if sizes[1] < 10 else sizes[1]
    return sizes[0] * 1_000 + hundreds + (sizes[2] if len(sizes) == 3 else 0), "money", end


def _joins(thousands: float | None, sizes: Sequence[float]) -> bool:
    """Whether small numbers in a row are one amount: 42 six fifty, thirty-four five, 24 400."""
    if thousands is not None:
        return len(sizes) == 1 or (len(sizes) == 2 and 0 < sizes[0] < 10 <= sizes[1] < 100)
    if not 10 <= sizes[0] < 200 or sizes[0] != int(sizes[0]):
        return False
    if len(sizes) == 2:
        return 0 < sizes[1] < 10 or 100 <= sizes[1] < 1_000
    return len(sizes) == 3 and 0 < sizes[1] < 10 <= sizes[2] < 100
