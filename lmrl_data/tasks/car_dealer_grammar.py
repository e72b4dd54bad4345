"""What the people in Car Dealer say: two small grammars, read from text files, and the expander that draws sentences.

`assets/car_dealer/buyer.txt` and `seller.txt` hold rules. A rule is an act, as `counter`, or a part of sentences:

    == counter [-uncommunicative] ==        tags in the head hold for every line below it
    [rude,angry] Nonsense. {price}, tops.   tags in front of a line say who may say it; a minus, who may not
    <opening> I could do {price}( today|).  <rule>, {slot}, (either|or)

Case, spaces and a/an are put right after drawing, so that lines need not care what their parts turn out to be.
"""

import functools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

ASSETS = Path(__file__).parent / "assets" / "car_dealer"
SLOTS = frozenset("want car price feature features type brand budget list_price discount percent".split())
WITHOUT_ARTICLE = frozenset(
    ["heated seats", "leather seats", "third-row seating", "blind spot monitoring", "Apple CarPlay"]
)
NO_TAGS: frozenset[str] = frozenset()

_HEAD = re.compile(r"== (\w+)(?: \[([\w,-]+)\])? ==")
_LINE = re.compile(r"(?:\[([\w,-]+)\] )?(.*)")
_TOKEN = re.compile(r"(?:(?<![\w'])([Aa]) )?\{(\w+)\}|<(\w+)>|\(([^()]*)\)")
_SENTENCE = re.compile(r"(?:^|(?<!\.)[.!?] )[a-z]")
_AN = re.compile(r"[AEIOaeio]|[Uu](?!s|ni)|[FHLMNRSX](?![a-z])|\$?(?:8|1[18](?:,|k|\.\d+k|$))")
_DIGITS = 30


def money(dollars: int) -> str:
    """An amount as it is printed.

    Examples:
        >>> money(28500)
        '$28,500'
    """
    return f"${dollars:,}"


@functools.lru_cache(maxsize=4096)
def with_article(noun: str) -> str:
    """A noun behind a or an, by its sound; features that take no article are left alone.

    Examples:
        >>> with_article("SUV"), with_article("used Audi"), with_article("heated seats")
        ('an SUV', 'a used Audi', 'heated seats')
    """
    if noun in WITHOUT_ARTICLE:
        return noun
    return ("an " if _AN.match(noun) else "a ") + noun


def listing(features: Iterable[str]) -> str:
    """Features as they are listed in a sentence: what the slot `features` wants.

    Examples:
        >>> listing(["sunroof", "heated seats", "Apple CarPlay"])
        'a sunroof, heated seats and Apple CarPlay'
    """
    *front, last = map(with_article, features)
    return f"{', '.join(front)} and {last}" if front else last


class _Slot(NamedTuple):
    name: str
    article: str  # "a", "A" or none


class _Rule(NamedTuple):
    name: str


class _Choice(NamedTuple):
    lines: tuple["_Line", ...]


_Line = tuple[str | _Slot | _Rule | _Choice, ...]  # once its rules are resolved for a speaker, without `_Rule`


class Grammar:
    """A grammar, ready to speak.

    Args:
        text (`str`): the rules.

    Raises:
        KeyError: for a rule or a slot that does not exist.
        ValueError: for a line that cannot be read.
    """

    def __init__(self, text: str) -> None:
        self.rules: dict[str, list[tuple[frozenset[str], frozenset[str], _Line]]] = {}
        self._speakers: dict[tuple[str, frozenset[str]], tuple[_Line, ...]] = {}
        rule, shared = "", ""
        for line in filter(None, map(str.strip, text.splitlines())):
            if line.startswith("#"):
                continue
            if line.startswith("=="):
                if not (head := _HEAD.fullmatch(line)):
                    raise ValueError(f"not the head of a rule: {line}")
                rule, shared = head[1], head[2] or ""
                self.rules.setdefault(rule, [])
                continue
            tags, body = _LINE.fullmatch(line).groups()  # type: ignore[union-attr]  # it matches any line
            names = [name for name in f"{tags or ''},{shared}".split(",") if name]
            only = frozenset(name for name in names if not name.startswith("-"))
            never = frozenset(name[1:] for name in names if name.startswith("-"))
            self.rules[rule].append((only, never, _read(body)))
        for lines in self.rules.values():
            for _, _, parsed in lines:
                self._check(parsed)

    def say(
        self, rule: str, draw: Callable[[int], int], tags: frozenset[str] | set[str] = NO_TAGS, **slots: str
    ) -> str:
        """Draws a sentence.

        Args:
            rule (`str`): an act.
            draw (`Callable[[int], int]`): `draw(n)` is a whole number from 0 to n - 1. It is asked twice a sentence.
            tags (`frozenset`, *optional*): who speaks. Lines for others are left out.
            slots (`str`): what the slots stand for. It is inserted as it is, but for a capital at a sentence's start.
        """
        lines = self._speakers.get((rule, tags)) if isinstance(tags, frozenset) else None  # type: ignore[arg-type]
        if lines is None:
            lines = self._for(rule, frozenset(tags))
        pieces: list[str] = []
        values: list[str] = []
        _expand(_Choice(lines), draw(1 << _DIGITS) << _DIGITS | draw(1 << _DIGITS), pieces, values, slots)
        text = _SENTENCE.sub(_upper, " ".join("".join(pieces).split()))
        if not values:
            return text
        front, *rest = text.split("\0")
        for value, after in zip(values, rest, strict=True):
            starts = not front or front.endswith((". ", "! ", "? ")) and not front.endswith(".. ")
            front += (value[:1].upper() + value[1:] if starts else value) + after
        return front

    def _for(self, rule: str, tags: frozenset[str]) -> tuple[_Line, ...]:
        """The lines of a rule for a speaker, with the rules they use resolved."""
        if (rule, tags) not in self._speakers:
            lines = [line for only, never, line in self.rules[rule] if (not only or only & tags) and not never & tags]
            if not lines:
                raise KeyError(f"rule {rule!r} has nothing for {sorted(tags)}")
            self._speakers[rule, tags] = tuple(self._resolve(line, tags) for line in lines)
        return self._speakers[rule, tags]

    def _resolve(self, line: _Line, tags: frozenset[str]) -> _Line:
        parts: list[str | _Slot | _Rule | _Choice] = []
        for part in line:
            if isinstance(part, _Rule):
                part = _Choice(self._for(part.name, tags))
            elif isinstance(part, _Choice):
                part = _Choice(tuple(self._resolve(either, tags) for either in part.lines))
            parts.append(part)
        return tuple(parts)

    def _check(self, line: _Line) -> None:
        for part in line:
            if isinstance(part, _Rule) and part.name not in self.rules:
                raise KeyError(f"no rule {part.name!r}")
            if isinstance(part, _Slot) and part.name not in SLOTS:
                raise KeyError(f"no slot {part.name!r}")
            for either in part.lines if isinstance(part, _Choice) else ():
                self._check(either)


@functools.cache
def load(name: str) -> Grammar:
    """The grammar `"buyer"` or `"seller"`."""
    return Grammar((ASSETS / f"{name}.txt").read_text(encoding="ascii"))


def _read(text: str) -> _Line:
    parts: list[str | _Slot | _Rule | _Choice] = []
    end = 0
    for match in _TOKEN.finditer(text):
        parts.append(text[end : match.start()])
        end = match.end()
        article, slot, rule, choice = match.groups()
        if slot:
            parts.append(_Slot(slot, article or ""))
        elif rule:
            parts.append(_Rule(rule))
        else:
            parts.append(_Choice(tuple(_read(either) for either in choice.split("|"))))
    parts.append(text[end:])
    if any(isinstance(part, str) and re.search(r"[][<>{}()|\0]", part) for part in parts):
        raise ValueError(f"a bracket too many or too few: {text}")
    return tuple(part for part in parts if part != "")


def _expand(choice: _Choice, number: int, pieces: list[str], values: list[str], slots: dict[str, str]) -> int:
    """Adds a drawn line of a choice to `pieces`, its slots to `values`; returns what is left of the drawn number."""
    lines = choice[0]
    number, index = divmod(number, len(lines))
    for part in lines[index]:
        if type(part) is str:
            pieces.append(part)
        elif type(part) is _Slot:
            name, article = part
            value = slots[name]
            if article:
                value = article + with_article(value)[1:] if with_article(value) != value else value
            pieces.append("\0")
            values.append(value)
        else:
            number = _expand(part, number, pieces, values, slots)  # type: ignore[arg-type]
    return number


def _upper(match: re.Match[str]) -> str:
    return match[0].upper()
