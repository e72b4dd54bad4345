"""The facts of Twenty Questions: names, attributes, kinds, sizes, masses and prices of the 158 objects.

The tables lie in `assets/`. A set of objects is a whole number, one bit an object, so that the operators `&`, `|` and
`~` of whole numbers are "and", "or" and "not" of answers.
"""

import functools
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lmrl_data.dialogue.asset import lines, table
from lmrl_data.errors import UserError

DIMENSIONS = ("size", "mass", "price")  # the columns in cm, kg and US dollars


class Thing(NamedTuple):
    """One hidden object."""

    name: str
    category: str
    variants: tuple[str, ...]  # the paper's names
    other_names: tuple[str, ...]


class Attribute(NamedTuple):
    """A property that each object has or lacks, with the questions that ask for it."""

    id: str
    forms: tuple[str, ...]
    yes: int  # the objects it is true of


IRREGULAR = {
    "children": "child", "people": "person", "persons": "person", "humans": "human", "men": "man", "women": "woman",
    "feet": "foot", "teeth": "tooth", "leaves": "leaf", "knives": "knife", "wolves": "wolf", "mice": "mouse",
    "geese": "goose", "shelves": "shelf", "halves": "half", "scarves": "scarf", "lives": "life", "oxen": "ox",
    "cacti": "cactus", "cactuses": "cactus", "loaves": "loaf", "calves": "calf", "hooves": "hoof", "shoes": "shoe",
    "toes": "toe", "canvas": "canvas", "canvases": "canvas", "lens": "lens", "lenses": "lens", "gas": "gas",
}  # fmt: skip


def singular(word: str) -> str:
    """A noun without its plural ending.

    Examples:
        >>> [singular(word) for word in ("peas", "batteries", "watches", "glass", "knives", "bus")]
        ['pea', 'battery', 'watch', 'glass', 'knife', 'bus']
    """
    if word in IRREGULAR:
        return IRREGULAR[word]
    if len(word) < 4 or word.endswith(("ss", "us", "is")) or not word.endswith("s"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes", "zes", "oes", "buses")):
        return word[:-2]
    return word[:-1]


def noun_key(words: Iterable[str]) -> str:
    """A key for a noun phrase that ignores spaces and plurals: `lawn mowers` and `lawnmower` share one."""
    return "".join(map(singular, words))


def _key(name: str) -> str:
    return noun_key(re.findall(r"[a-z0-9]+", name.lower()))


class Knowledge:
    """The tables, indexed for look-ups."""

    def __init__(self) -> None:
        rows = table("twenty_questions", "objects.tsv")
        self.things = tuple(
            Thing(row["object"], row["category"], _items(row["variants"]), _items(row["other_names"])) for row in rows
        )
        self.everything = (1 << len(rows)) - 1
        self.number = {thing.name: number for number, thing in enumerate(self.things)}
        # Exact names go before those that merely share their last word ("Computer keyboard;Keyboard").
        self.named: dict[str, int] = {}
        for column in ("variants", "other_names"):
            for number, thing in enumerate(self.things):
                for name in getattr(thing, column):
                    self.named.setdefault(_key(name), number)
        self.kinds: dict[str, int] = {}
        self.kind_names = tuple(dict.fromkeys(kind for row in rows for kind in _items(row["kinds"])))
        for number, row in enumerate(rows):
            for kind in (*_items(row["kinds"]), row["category"]):
                key = _key(kind)
                self.kinds[key] = self.kinds.get(key, 0) | 1 << number
        self.measures = {name: [_number(row[_COLUMNS[name]]) for row in rows] for name in DIMENSIONS}
        # The things that questions compare objects with: references, and the objects themselves.
        self.references: dict[str, dict[str, float | None]] = {}
        self.reference_names: dict[str, dict[str, float | None]] = {}
        for row in table("twenty_questions", "references.tsv"):
            values = {name: _number(row[_COLUMNS[name]]) for name in DIMENSIONS}
            names = _items(row["names"])
            self.reference_names[names[0]] = values
            for name in names:
                self.references.setdefault(_key(name), values)
        for key, number in self.named.items():
            self.references[key] = {name: self.measures[name][number] for name in DIMENSIONS}
        self.others = {_key(name) for name in lines("twenty_questions", "other_things.txt")}  # things never hidden
        self.attributes = {
            row["attribute"]: self._attribute(row) for row in table("twenty_questions", "attributes.tsv")
        }

    def _attribute(self, row: Mapping[str, str]) -> Attribute:
        yes = 0
        for name in _items(row["yes"]):
            yes |= 1 << self.number[name]
        for name in _items(row["sometimes"]):
            # True of some such objects and false of others: decided once for each category, so that every game agrees
            # and objects of one category do not differ by chance.
            category = self.things[self.number[name]].category
            if zlib.crc32(f"{category}/{row['attribute']}".encode()) & 1:
                yes |= 1 << self.number[name]
        return Attribute(row["attribute"], tuple(filter(None, row["question_forms"].split("|"))), yes)

    def find(self, name: str) -> int:
        """The number of the object of that name, or of one of its variants.

        Raises:
            UserError: if there is no such object; the message has the nearest names.
        """
        number = self.named.get(_key(name[:80]))
        if number is None:
            import difflib

            names = {variant.lower(): variant for thing in self.things for variant in thing.variants}
            close = difflib.get_close_matches(name[:80].lower(), names, n=5, cutoff=0.5)
            examples = [names[key] for key in close] or ["Lion", "Violin", "Frying pan", "..."]
            raise UserError(f"unknown object {name[:80]!r}; choose one such as: {', '.join(examples)}")
        return number

    def compared(self, dimension: str, low: float = 0.0, high: float = float("inf")) -> int:
        """The objects whose measure lies between two values, exclusively; never those without a measure."""
        return sum(
            1 << number
            for number, value in enumerate(self.measures[dimension])
            if value is not None and low < value < high
        )


_COLUMNS = {"size": "size_cm", "mass": "mass_kg", "price": "price_usd"}


def _items(cell: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in cell.split(";") if item.strip())


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


@functools.cache
def knowledge() -> Knowledge:
    """The tables, read once in a process."""
    return Knowledge()
