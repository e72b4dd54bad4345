"""Reads comparisons: bigger than a breadbox, over ten pounds, small enough for a shoebox."""

import re
from typing import NamedTuple

from lmrl_data.dialogue.numbers import ONES, SCALES, TENS
from lmrl_data.tasks.twenty_questions.knowledge import knowledge, noun_key

INFINITE = float("inf")


class Comparison(NamedTuple):
    """A range in which a measure may lie; both ends are left out.

    Args:
        dimension (`str`, *optional*): `size`, `mass` or `price`; `None` where the thing compared with is not known.
        low (`float`), high (`float`): the ends, in cm, kg or dollars.
    """

    dimension: str | None
    low: float = 0.0
    high: float = INFINITE

    @property
    def meaning(self) -> str:
        return f"{self.dimension} {self.low:g}..{self.high:g}"


UNKNOWN = Comparison(None)

_UNITS = {
    "size": {
        "millimeter": 0.1, "millimetre": 0.1, "mm": 0.1, "centimeter": 1, "centimetre": 1, "cm": 1, "inch": 2.54,
        "inche": 2.54, "foot": 30.48, "ft": 30.48, "yard": 91.44, "meter": 100, "metre": 100, "m": 100, "mile":
        160_934, "kilometer": 100_000, "kilometre": 100_000, "km": 100_000,
    },
    "mass": {
        "gram": 0.001, "g": 0.001, "ounce": 0.02835, "oz": 0.02835, "pound": 0.4536, "lb": 0.4536, "lbs": 0.4536,
        "kilogram": 1, "kilo": 1, "kg": 1, "ton": 907, "tonne": 1000, "stone": 6.35,
    },
    "price": {"dollar": 1, "buck": 1, "usd": 1, "cent": 0.01, "euro": 1.1},
}  # fmt: skip
_ROUND = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve", "fifteen")
_NUMBERS: dict[str, float] = {
    **{word: ONES[word] for word in _ROUND}, **TENS, "a": 1, "an": 1, "half": 0.5, "couple": 2, "few": 3, "dozen": 12,
}  # fmt: skip
_SCALES = {**SCALES, "k": 1_000}

# The dimension of each comparative; the second table holds those that mean less.
_MORE = {
    "bigger": "size", "larger": "size", "taller": "size", "longer": "size", "wider": "size", "greater": "size",
    "broader": "size", "higher": "size", "huger": "size", "heavier": "mass", "costlier": "price", "pricier":
    "price", "deeper": "size", "thicker": "size",
}  # fmt: skip
_LESS = {
    "smaller": "size", "tinier": "size", "shorter": "size", "littler": "size", "narrower": "size", "thinner":
    "size", "lighter": "mass", "cheaper": "price",
}  # fmt: skip
_ADJECTIVES = {
    "big": ("size", 1), "large": ("size", 1), "tall": ("size", 1), "long": ("size", 1), "wide": ("size", 1),
    "high": ("size", 1), "huge": ("size", 1), "small": ("size", -1), "tiny": ("size", -1), "short": ("size", -1),
    "heavy": ("mass", 1), "light": ("mass", -1), "expensive": ("price", 1), "costly": ("price", 1), "valuable":
    ("price", 1), "cheap": ("price", -1), "pricey": ("price", 1), "inexpensive": ("price", -1),
}  # fmt: skip
_ABOUT = 1.5  # "about as big as" a thing is within this factor


def quantity(words: list[str]) -> tuple[str, float] | None:
    """A number with a unit, as the dimension and the value in cm, kg or dollars.

    Examples:
        >>> quantity("ten pounds".split())
        ('mass', 4.536)
    """
    words = [word for word in words if word not in ("of", "and", "us")]
    factor, value, unit = 1.0, None, None
    dollars = "$" in words
    for word in words:
        if word == "$":
            continue
        if re.fullmatch(r"\d+(?:\.\d+)?", word):
            value = float(word)
        elif word in _SCALES:
            value, factor = 1.0 if value is None else value, factor * _SCALES[word]
        elif word == "half":
            factor *= 0.5
        elif word in _NUMBERS:
            value = _NUMBERS[word] if value is None else value if word in ("a", "an") else value + _NUMBERS[word]
        elif unit is None:
            unit = word
        else:
            return None
    if dollars and unit is None and value is not None:
        return "price", value * factor
    if unit is None:
        return None
    name = noun_key([unit])
    for dimension, units in _UNITS.items():
        size = units.get(unit, units.get(name))
        if size is not None and not (value is None and factor == 1.0):
            return dimension, round((1.0 if value is None else value) * factor * size, 6)
    return None


def _reference(words: list[str], dimension: str) -> tuple[str, float] | None:
    """The measure of the thing or quantity on the other side of a comparison."""
    measure = quantity(words)
    if measure is not None:
        return measure
    while words:
        values = knowledge().references.get(noun_key(word for word in words if word != "s"))
        if values is not None:
            value = values[dimension]
            return None if value is None else (dimension, value)
        words = words[1:]  # "a standard kitchen chair" is a kitchen chair is a chair
    return None


_TAIL = re.compile(
    r" (?:(?:in|by) (?:size|weight|length|height|width|mass|price|cost|general|volume|value)|is|are|does|do|would|"
    r"tall|long|wide|high|or (?:more|less|so)|across|each|to buy|in total|on average|in the (?:world|store)|"
    r"when fully grown)$"
)
_ADJECTIVE = "|".join(_ADJECTIVES)
_COMPARATIVE = re.compile(rf"\b({'|'.join([*_MORE, *_LESS])})(?: (?:in|by) \w+)? (?:than|then) (.+)$")
_AMOUNT = re.compile(r"\b(more|less)(?: (\w+))?(?: in \w+)? (?:than|then) (.+)$")
_VERB = re.compile(r"\b(weigh(?:s|ing)?|costs?|costing|worth|sells?|pay|priced?|measure|money)\b")
_LIMIT = re.compile(r"\b(over|above|at least|under|below|at most|up to|exceeds?) (.+)$")
_EQUAL = re.compile(rf"\bas (?:({_ADJECTIVE})|much) as (.+)$")
_SAME = re.compile(r"\b(size|weight|height|length|price|cost)(?: of| as| to) (.+)$")
_FIT = re.compile(
    r"\bfit(?: \w+)? (?:into|inside of|inside|in|through|on top of|on (?=(?:a|your|my) (?:table|desk))) (.+)$"
)
_LIFT = re.compile(
    r"(?:do|can) you (?:lift|carry|move|pick) (?:it|this|one)(?: (?:up|alone|around|yourself|by \w+))*"
    r"( (?:with|in) one hand)?$"
)
_LIFTED, _LIFTED_BY_HAND = 25.0, 8.0  # kg that one person can carry, with both hands and with one
_NO_THING = frozenset(("about", "roughly", "average", "typical", "normal"))


def compare(clause: str) -> Comparison | None:
    """The comparison in a clause; `None` if there is none."""
    while match := _TAIL.search(clause):
        clause = clause[: match.start()]
    if match := _COMPARATIVE.search(clause):
        return _range(_MORE.get(match[1]) or _LESS[match[1]], match[1] in _MORE, match[2])
    if match := _AMOUNT.search(clause):
        return _amount(clause, match[1] == "more", match[2], match[3])
    if match := _LIMIT.search(clause):
        measure = _measured(match[2])
        if measure is not None:
            return _bounds(measure, match[1] in ("over", "above", "at least", "exceed", "exceeds"), "at " in match[1])
    if match := _EQUAL.search(clause):
        dimension, sign = _ADJECTIVES[match[1]] if match[1] else ("mass" if "weigh" in clause else "price", 1)
        return _range(dimension, sign > 0, match[2], equal=True)
    if match := _SAME.search(clause):
        dimension = {"weight": "mass", "price": "price", "cost": "price"}.get(match[1], "size")
        measure = _reference(match[2].split(), dimension)
        return UNKNOWN if measure is None else Comparison(measure[0], measure[1] / _ABOUT, measure[1] * _ABOUT)
    if match := _FIT.search(clause):
        measure = _reference(match[1].split(), "size")
        return UNKNOWN if measure is None else Comparison("size", 0.0, measure[1])
    if match := _LIFT.match(clause):
        return Comparison("mass", 0.0, _LIFTED_BY_HAND if match[1] else _LIFTED)
    return None


def _amount(clause: str, more: bool, word: str | None, rest: str) -> Comparison | None:
    """More expensive than, weighs more than; two legs or more are no measure."""
    if word in _ADJECTIVES:
        dimension, sign = _ADJECTIVES[word]
        return _range(dimension, more == (sign > 0), rest)
    if word not in (None, "money"):
        return None
    verb = _VERB.search(clause)
    if verb is not None:
        dimension = "mass" if verb[1].startswith("weigh") else "size" if verb[1] == "measure" else "price"
        return _range(dimension, more, rest)
    measure = _measured(rest)
    return None if measure is None else _bounds(measure, more, False)


def _measured(rest: str) -> tuple[str, float] | None:
    return quantity([word for word in rest.split() if word not in _ADJECTIVES])


def _range(dimension: str, more: bool, rest: str, equal: bool = False) -> Comparison:
    words = [word for word in rest.split() if word not in _NO_THING]
    if {"me", "you"} & set(words):
        words = ["person"]
    measure = None if "than" in words else _reference(words, dimension)
    return UNKNOWN if measure is None else _bounds(measure, more, equal)


def _bounds(measure: tuple[str, float], more: bool, equal: bool) -> Comparison:
    dimension, value = measure
    if more:
        return Comparison(dimension, value * (1 - 1e-6) if equal else value, INFINITE)
    return Comparison(dimension, 0.0, value * (1 + 1e-6) if equal else value)
