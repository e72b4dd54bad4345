"""What the people in Car Dealer say: two grammars, read from text files, and the expander that draws sentences.

`assets/buyer.txt` and `assets/seller.txt` hold rules. A rule is an act, as `counter`, or a part of sentences:

    == counter [-uncommunicative] ==        tags in the head hold for every line below it
    [rude,angry] Nonsense. {price}, tops.   tags in front of a line say who may say it; with a minus, who may not
    <pre> I could do {price}( today|).      <rule>, {slot}, (either|or|)

A speaker who remembers its lines takes each line of a rule once before it takes one again. Rules of asides, as
`== why! ==`, say nothing once all their lines were said.

Case, spaces and a/an are put right after drawing, so that lines need not care what their parts turn out to be.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from lmrl_data.dialogue.article import with_article
from lmrl_data.dialogue.asset import asset

SLOTS = (
    "want", "car", "price", "feature", "features", "type", "brand", "budget", "list_price", "discount", "percent",
    "answer", "choice",
)  # fmt: skip
NO_ARTICLE = ("heated seats", "leather seats", "third-row seating", "blind spot monitoring", "Apple CarPlay")

_HEAD = re.compile(r"== (\w+)(!?)(?: \[([\w,-]+)\])? ==")
_LINE = re.compile(r"(?:\[([\w,-]+)\] )?(.*)")
_TOKEN = re.compile(r"(?:\b([Aa]) )?\{(\w+)\}|<(\w+)>|\(([^()]*)\)")
_START = re.compile(r"(?:^|(?<!\.)[.!?] )[a-z]")
_BITS = 30


def money(dollars: int) -> str:
    """An amount as it is printed: $28,500."""
    return f"${dollars:,}"


@functools.lru_cache(maxsize=4096)
def noun_phrase(noun: str) -> str:
    """A noun behind its article; features that take none are left alone."""
    return noun if noun in NO_ARTICLE else with_article(noun)


def listing(features: Iterable[str]) -> str:
    """Features as a sentence lists them: a sunroof, heated seats and Apple CarPlay."""
    *front, last = map(noun_phrase, features)
    return f"{', '.join(front)} and {last}" if front else last


class Slot(NamedTuple):
    name: str
    article: str  # "a", "A" or none


class Choice(NamedTuple):
    lines: tuple[tuple["str | Slot | Choice", ...], ...]
    words: tuple[str, ...] | None = None  # the lines, where they are all plain words and need no expanding
    marks: tuple[int, ...] = ()  # of a rule: a number for each of its lines, the same for all speakers
    aside: bool = False


class Grammar:
    """A grammar, ready to speak; a `KeyError` tells of a rule or slot that does not exist."""

    def __init__(self, text: str) -> None:
        self.rules: dict[str, list[tuple[frozenset[str], frozenset[str], str]]] = {}  # who may say a line, who may not
        self.asides: set[str] = set()
        self._marks: dict[tuple[str, str], int] = {}
        self._speakers: dict[tuple[str, frozenset[str]], Choice] = {}
        rule = shared = ""
        lines = [line for line in map(str.strip, text.splitlines()) if line and line[0] != "#"]
        for line in lines:
            if head := _HEAD.fullmatch(line):
                rule, shared = head[1], head[3] or ""
                self.rules.setdefault(rule, [])
                if head[2]:
                    self.asides.add(rule)
                continue
            tags, body = _LINE.findall(line)[0]
            if re.search(r"[][<>{}()\0]|==", re.sub(r"<\w+>|\{\w+\}", "", re.sub(r"\(([^()]*)\)", r"\1", body))):
                raise ValueError(f"a line of the grammar that cannot be read: {line}")
            names = [name for name in f"{tags},{shared}".split(",") if name]
            only = frozenset(name for name in names if name[0] != "-")
            self.rules[rule].append((only, frozenset(name[1:] for name in names if name[0] == "-"), body))
        for pattern, known in (r"<(\w+)>", self.rules.keys()), (r"\{(\w+)\}", SLOTS):
            if unknown := sorted({name for line in lines for name in re.findall(pattern, line)} - set(known)):
                raise KeyError(f"no rule or slot {unknown[0]!r}")

    def say(
        self,
        rule: str,
        draw: Callable[[int], int],
        tags: frozenset[str] | set[str] = frozenset(),
        spoken: set[int] | None = None,
        **slots: str,
    ) -> str:
        """Draws a sentence.

        Args:
            rule (`str`): an act.
            draw (`Callable[[int], int]`): `draw(n)` is a whole number from 0 to n - 1; it is asked twice.
            tags (`frozenset[str]`, *optional*): who speaks: lines for others are left out.
            spoken (`set[int]`, *optional*): the lines that were said before; those said now are added to it.
            slots (`str`): what stands in the slots, as it is, but for a capital where a sentence starts.
        """
        tags = frozenset(tags)
        choice = self._speakers.get((rule, tags)) or self._choice(rule, tags)
        pieces: list[str] = []
        values: list[str] = []
        _expand(choice, draw(1 << _BITS) << _BITS | draw(1 << _BITS), slots, pieces, values, spoken)
        text = _START.sub(lambda start: start[0].upper(), " ".join("".join(pieces).split()))
        front, *rest = text.split("\0")
        for value, after in zip(values, rest, strict=True):
            starts = not front or (front.endswith((". ", "! ", "? ")) and not front.endswith(".. "))
            front += (value[:1].upper() + value[1:] if starts else value) + after
        return front

    def _choice(self, rule: str, tags: frozenset[str]) -> Choice:
        """What a speaker may say by a rule."""
        if (rule, tags) not in self._speakers:
            lines = [line for only, never, line in self.rules[rule] if (not only or only & tags) and not never & tags]
            if not lines:
                raise KeyError(f"{', '.join(sorted(tags)) or 'nobody'} has nothing to say by the rule {rule!r}")
            marks = tuple(self._marks.setdefault((rule, line), len(self._marks)) for line in lines)
            self._speakers[rule, tags] = self._read(lines, tags)._replace(
                marks=marks if len(lines) > 1 or rule in self.asides else (), aside=rule in self.asides
            )
        return self._speakers[rule, tags]

    def _read(self, lines: Iterable[str], tags: frozenset[str]) -> Choice:
        read = []
        for line in lines:
            parts: list[str | Slot | Choice] = []
            end = 0
            for match in _TOKEN.finditer(line):
                article, slot, rule, choice = match.groups()
                parts.append(line[end : match.start()])
                end = match.end()
                if slot:
                    parts.append(Slot(slot, article or ""))
                else:
                    parts.append(self._choice(rule, tags) if rule else self._read(choice.split("|"), tags))
            read.append(tuple(part for part in (*parts, line[end:]) if part))
        words = [part for line in read for part in line or ("",) if isinstance(part, str)]
        return Choice(tuple(read), tuple(words) if len(words) == sum(len(line or ("",)) for line in read) else None)


@functools.cache
def load(name: str) -> Grammar:
    """The grammar `"buyer"` or `"seller"`."""
    return Grammar(asset("car_dealer", f"{name}.txt"))


def _expand(
    choice: Choice,
    number: int,
    slots: Mapping[str, str],
    pieces: list[str],
    values: list[str],
    spoken: set[int] | None,
) -> int:
    """Adds a drawn line to `pieces` and what stands in its slots to `values`; returns what is left of the number."""
    number, index = divmod(number, len(choice[0]))
    if spoken is not None and choice[2]:
        marks = choice[2]
        for _ in marks:
            if marks[index] not in spoken:
                break
            index = (index + 1) % len(marks)
        else:
            if choice[3]:
                return number
        spoken.add(marks[index])
    for part in choice[0][index]:
        if type(part) is str:
            pieces.append(part)
        elif type(part) is Slot:
            value = slots[part[0]]
            noun = noun_phrase(value) if part[1] else value
            pieces.append("\0")
            values.append(noun if noun == value else part[1] + noun[1:])
        elif (words := part[1]) and not part[2]:  # type: ignore[misc]  # a `Choice`
            number, index = divmod(number, len(words))
            pieces.append(words[index])
        else:
            number = _expand(part, number, slots, pieces, values, spoken)  # type: ignore[arg-type]
    return number
