"""From a question in free text to its answer for every object of Twenty Questions, by rules and nothing else.

A question has one answer for each object, so the game can never contradict itself. The reader tries, in this order: a
guess, a question of the table, negation, comparison, "or" and "and", kinds and modifiers, and the nearest question of
the table. A question that none of these reads is out of scope.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lmrl_data.tasks.twenty_questions.comparison import compare
from lmrl_data.tasks.twenty_questions.knowledge import knowledge, noun_key
from lmrl_data.tasks.twenty_questions.matching import (
    Lexical,
    asked,
    counts,
    meant,
    opposite,
    role,
    spelled,
)
from lmrl_data.tasks.twenty_questions.wording import (
    ASKING,
    MAX_LENGTH,
    OPENERS,
    as_question,
    clause,
    named,
    sentence,
)


class Reading(NamedTuple):
    """What a text asks.

    Args:
        match (`str`, *optional*): an attribute's id, `size`, `mass`, `price`, `kind` or `guess`, several joined by
            `and` or `or`; `None` if the tables do not answer the text.
        yes (`int`): the objects for which the answer is yes, one bit each.
        guess (`int`, *optional*): the object that the text guesses.
        valid (`bool`): whether the text is one question.
        meaning (`str`): the meaning, whatever the wording; equal meanings have equal answers.
    """

    match: str | None
    yes: int = 0
    guess: int | None = None
    valid: bool = True
    meaning: str = ""


INVALID = Reading(None, valid=False)
OUT_OF_SCOPE = Reading(None)


# --- the questions of the table

_NEGATION = re.compile(
    r"\b(?:not|never|non|neither|nor|incapable of|unable to|impossible to|other than|anything but|except|none of|"
    r"fails? to|(?:without|free of|devoid of|lacks?|lacking)(?: any)?|hardly|rarely|seldom|barely|no(?: longer)?)\b ?"
)


class Forms:
    """Finds a question of the table by its words: the very same, the same stems, or stems of the same meaning."""

    def __init__(self, clauses: Sequence[tuple[str, str]]) -> None:
        self.levels: tuple[dict[object, str], ...] = ({}, {}, {})
        for attribute, text in clauses:
            for level, key in zip(self.levels, self._keys(text), strict=True):
                if key:
                    level.setdefault(key, attribute)

    def find(self, text: str) -> str | None:
        """The attribute that is asked for."""
        for level, key in zip(self.levels, self._keys(text), strict=True):
            if key in level:
                return level[key]
        return None

    @staticmethod
    def _keys(text: str) -> tuple[object, object, object]:
        words = text.split()
        how = role(text), counts(words), tuple(_NEGATION.findall(text))
        plain, same = asked(words, same=False), asked(words)
        return text, plain and (how, plain), same and (how, same)


# --- reading

_WITHOUT = re.compile(r"without|free|devoid|lack")
_JOINT = re.compile(r"(?: ,)? (?:or|and|but|nor) | , ")
_SOMEONE = r"(?:for (?:you|me|a person|one person|someone|people|a human) )?"
_TOO = re.compile(rf"(?:is it|does it \w+) too \w+(?: (?:and|or) \w+)? {_SOMEONE}(?:to|that you can not) (.*)$")
_ENOUGH = re.compile(rf"(?:is it|does it \w+) \w+ enough {_SOMEONE}(?:to|that you can) (.*)$")
_WHICH = "that|which|with|without|used|made|found|worn|you|people|for|where|in|on|of|powered|played|eaten|kept|grown"
_CLAUSE = re.compile(rf"is it ((?:a|an|the|some|any) .+?) ((?:{_WHICH})\b.*)$")
# Questions about the other player, not about the object.
_PERSONAL = re.compile(
    r"(?:do|did|would|have|has|had) (?:you|i|we) (?:ever |personally )?"
    r"(?:own|like|love|want|prefer|believe|seen|hate|enjoy|have it|have one|think)\b"
)
_MORPHEMES = ("non", "un", "in", "im", "dis")


class Reader:
    """Reads questions; readings are cached."""

    def __init__(self) -> None:
        self.facts = knowledge()
        self.comparisons = dict[str, str]()
        rows: list[tuple[str, str]] = []
        compared = set[str]()
        for attribute in self.facts.attributes.values():
            for form in attribute.forms:
                question = sentence(form)
                if question is None:
                    raise ValueError(f"a question of {attribute.id} cannot be read: {form!r}")
                text = clause(question.text)
                rows.append((attribute.id, text))
                comparison = compare(text)
                if comparison is not None and comparison.dimension is not None:
                    self.comparisons.setdefault(comparison.meaning, attribute.id)
                    compared.add(text)
        self.forms = Forms(rows)
        # Comparisons are left out: questions near them differ in the thing compared with.
        words = [(attribute, text.split()) for attribute, text in rows if text not in compared]
        self.lexical = Lexical(words)
        phrases = [text for _, text in rows] + [*self.facts.kind_names, *self.facts.reference_names]
        phrases += [variant for thing in self.facts.things for variant in thing.variants]
        self.vocabulary = {word for phrase in phrases for word in phrase.lower().split()} | meant()

    def read(self, text: str) -> Reading:
        """The reading of a text."""
        # Long texts are not cached: the agent decides how long its texts are.
        return self._read(text) if len(text) <= MAX_LENGTH else INVALID

    @functools.lru_cache(100_000)  # noqa: B019 (a reader lives as long as the process)
    def _read(self, text: str) -> Reading:
        question = sentence(text)
        if question is None:
            return INVALID
        words = question.text.split()
        guess = self._guess(question.text)
        if guess is not None:
            yes = 1 << guess
            if re.search(r"\b(?:kind|type|sort) of\b", question.text):  # a tiger is a type of cat
                yes |= (self._clauses(question.text, 0) or OUT_OF_SCOPE).yes
            return Reading("guess", yes, guess, True, f"guess {question.text}")
        if words[0] in ASKING:
            return OUT_OF_SCOPE if question.marked else INVALID
        if words[0] not in OPENERS and not question.marked:
            return INVALID
        if "#" in words or _PERSONAL.match(question.text):
            return OUT_OF_SCOPE
        corrected = " ".join(spelled(word, self.vocabulary) for word in words)
        return self._clauses(as_question(corrected), 0) or OUT_OF_SCOPE

    def _guess(self, text: str) -> int | None:
        """The object that a text guesses, if it is a guess."""
        plain = clause(text)
        if re.match(r"is it \w+$", plain) and plain in self.forms.levels[0]:
            return None  # "Is it orange?" asks for the colour, "Is it an orange?" for the fruit
        return self._object(named(text))

    def _object(self, words: Sequence[str]) -> int | None:
        number = self.facts.named.get(noun_key(words)) if len(words) <= 5 else None
        if number is None and len(words) > 2 and words[0] in ("pair", "set", "piece") and words[1] == "of":
            number = self.facts.named.get(noun_key(words[2:]))
        return number

    def _clauses(self, text: str, depth: int) -> Reading | None:
        """The reading of a question in any words, with its parts; `None` if it is out of scope."""
        plain, listed = clause(text.replace(" ,", "")), clause(text)
        strict = self._strict(plain)
        if strict is not None or depth > 4:
            return strict if _known(strict) else None
        for read, words in (
            (self._relative, listed), (self._negated, listed), (self._several, listed), (self._compared, plain),
            (self._near, plain), (self._modified, plain), (self._opposed, plain),
        ):  # fmt: skip
            reading = read(words, depth)
            if reading is not None:
                return reading if reading.match is not None else None
        return self._nearest(plain) or self._either(listed, depth)

    def _strict(self, text: str) -> Reading | None:
        """The reading of a question of the table, a kind or a name, in these very words."""
        match = re.match(r"is it (?:in )?(kindof )?(?:(?:a|an|the|some|any) )?(?:kindof )?(.+)$", text)
        kind = " kindof " in text
        words = match[2].split() if match else []
        number = self._object(words)
        if number is not None and not kind and text not in self.forms.levels[0]:
            return Reading("kind", 1 << number, None, True, f"kind {number}")
        text = " ".join(text.replace(" kindof ", " ").split())
        positive = opposite(words[0]) if len(words) == 1 else None
        if positive is not None and text not in self.forms.levels[0]:  # "dead" is no other word for "deadly"
            return self._flip(self._strict(f"is it {positive}"))
        attribute = self.forms.find(text)
        if attribute is not None:
            return self._attribute(attribute)
        name = noun_key(words)
        yes = self.facts.kinds.get(name, 0) | (1 << number if number is not None else 0)
        if not words or not (yes or name in self.facts.references):
            return None
        # Kinds are never wrong, but may lack some: an electrical device is also what is electrical, and a device.
        parts = self._modified(text, 4) if len(words) > 1 else None
        return Reading("kind", yes | (parts.yes if parts else 0), None, True, f"kind {name}")

    def _attribute(self, name: str) -> Reading:
        return Reading(name, self.facts.attributes[name].yes, None, True, name)

    def _flip(self, reading: Reading | None) -> Reading:
        if reading is None or reading.match is None:
            return OUT_OF_SCOPE
        meaning = reading.meaning[4:] if reading.meaning.startswith("not ") else f"not {reading.meaning}"
        return reading._replace(yes=self.facts.everything & ~reading.yes, guess=None, meaning=meaning)

    def _join(self, readings: Sequence[Reading], word: str) -> Reading:
        yes = readings[0].yes
        for reading in readings[1:]:
            yes = yes & reading.yes if word == "and" else yes | reading.yes
        match = f" {word} ".join(dict.fromkeys(str(reading.match) for reading in readings))
        return Reading(match, yes, None, True, f" {word} ".join(f"({reading.meaning})" for reading in readings))

    def _relative(self, text: str, depth: int) -> Reading | None:
        """A noun with a clause, as "an animal that has no legs": both must hold."""
        match = _CLAUSE.match(text)
        if match is None:
            return None
        noun = clause(f"is it {match[1]}")
        head = self._strict(noun) or self._modified(noun, depth + 1)
        rest = self._clauses(f"is it something {match[2]}", depth + 1) if head else None
        return self._join([head, rest], "and") if head and rest and rest.match else None

    def _negated(self, text: str, depth: int) -> Reading | None:
        """A negation, which is true of all other objects; "too big to" is one."""
        if match := _TOO.match(text):
            return self._flip(self._clauses(_possible(match[1]), depth + 1))
        if match := _ENOUGH.match(text):
            return self._clauses(_possible(match[1]), depth + 1)
        negations = _NEGATION.findall(text)
        first = _NEGATION.search(text)
        # Parts joined by "and" and "but" are negated one by one.
        if first is None or re.search(r" (?:and|but) ", text[: first.start()]):
            return None
        # A question of the table may hold a negation of its own.
        once = self._strict(clause(text[: first.start()] + text[first.end() :]))
        if once is not None and not _WITHOUT.match(first[0]):
            return self._flip(once)
        rest = text.replace("neither ", "not ").replace(" nor ", " or ")
        rest = re.sub(r"\b(?:either|any) ", "", rest)
        if " or " in rest or " , " in rest:
            negations = negations[:1]  # neither A nor B: not (A or B)
        rest = _NEGATION.sub(lambda match: "with " if _WITHOUT.match(match[0]) else "", rest)
        reading = self._clauses(" ".join(rest.split()), depth + 1)
        return self._flip(reading) if len(negations) % 2 else reading or OUT_OF_SCOPE

    def _several(self, text: str, depth: int) -> Reading | None:
        """Parts joined by "or" or "and"; each is read with the beginning of the first."""
        parts = [part for part in _JOINT.split(text) if part]
        if not 1 < len(parts) <= 20:
            return None
        first = self._clauses(parts[0], depth + 1)
        if first is None:
            return None
        readings = [first]
        for part in parts[1:]:
            reading = next(filter(None, self._parts(part, parts[0].split(), depth)), None)
            if reading is None or reading.match is None:
                return None
            readings.append(reading)
        return self._join(readings, "and" if re.search(r" (?:and|but) ", text) else "or")

    def _parts(self, part: str, beginning: Sequence[str], depth: int) -> Iterator[Reading | None]:
        words = part.split()
        if not words:
            return
        if words[0] in OPENERS or words[0] == "it":
            yield self._clauses(as_question(part), depth + 1)
            return
        if words[0] == "not":
            yield self._flip(next(filter(None, self._parts(" ".join(words[1:]), beginning, depth)), None))
            return
        for end in range(len(beginning) - 1, 1, -1):
            if {words[0], beginning[end - 1]} <= {"a", "an", "the"}:
                continue
            text = clause(" ".join([*beginning[:end], *words]))
            yield self._strict(text) or next(filter(_known, [self._compared(text, depth)]), None)
        yield self._clauses(" ".join([*beginning[:2], *words]), depth + 1)

    def _either(self, text: str, depth: int) -> Reading | None:
        """Parts joined by "or", of which only the first can be read."""
        parts = _JOINT.split(text) if " or " in text else []
        return next(filter(None, (self._clauses(part, 4) for part in parts[:1])), None)

    def _compared(self, text: str, depth: int) -> Reading | None:
        """A comparison: bigger than a breadbox."""
        comparison = compare(text)
        if comparison is None or comparison.dimension is None:
            return None if comparison is None else OUT_OF_SCOPE
        known = self.comparisons.get(comparison.meaning)
        if known is not None:
            return self._attribute(known)
        yes = self.facts.compared(comparison.dimension, comparison.low, comparison.high)
        return Reading(comparison.dimension, yes, None, True, comparison.meaning)

    def _modified(self, text: str, depth: int) -> Reading | None:
        """A noun with adjectives, as "a large animal": all must hold."""
        match = re.match(r"is it (?:kindof )?(?:a|an|the|some|any) (?:kindof )?(.+)$", text)
        words = match[1].split() if match else []
        for start in range(1, min(len(words), 4)):
            head = self._strict(f"is it a {' '.join(words[start:])}")
            if head is None:
                continue
            readings = [head]
            for word in words[:start]:
                reading = self._strict(f"is it {word}") or self._opposed(f"is it {word}", depth)
                if reading is None:
                    break
                readings.append(reading)
            else:
                return self._join(readings, "and")
        return None

    def _opposed(self, text: str, depth: int) -> Reading | None:
        """A word that denies another: dead is not alive, unnatural not natural, wireless without wire."""
        words = text.split()
        for place, word in enumerate(words):
            before, after = words[:place], words[place + 1 :]
            positive = opposite(word)
            if positive is not None and words[0] == "is":  # "does it emit light" is not about a weight
                reading = self._clauses(" ".join([*before, positive, *after]), depth + 2)
                if reading is not None:
                    return self._flip(reading)
            for stripped in (word.removeprefix(start) for start in _MORPHEMES if word.startswith(start)):
                reading = self._strict(" ".join([*before, stripped, *after])) if len(stripped) > 3 else None
                if reading is not None:
                    return self._flip(reading)
            if word.endswith("less") and len(word) > 6:
                reading = self._strict(f"does it have {word[:-4]}") or self._strict(f"does it have a {word[:-4]}")
                if reading is not None:
                    return self._flip(reading)
        return None

    def _near(self, text: str, depth: int) -> Reading | None:
        """A question in nearly the same words as one of the table."""
        match = self.lexical.nearest(text.split())
        return self._attribute(match.attribute) if match and match.score > 0.9 else None

    def _nearest(self, text: str) -> Reading | None:
        words = text.split()
        if text.startswith("is it made of ") and not all(map(self.lexical.known, words[4:])):
            return None
        match = self.lexical.nearest(words)
        return self._attribute(match.attribute) if match else None


def _known(reading: Reading | None) -> bool:
    return reading is not None and reading.match is not None


def _possible(rest: str) -> str:
    """The question behind "too big to" or "small enough to"."""
    if re.match(r"(?:fit|float|fly|be|go|stand|break)\b", rest):
        return f"can it {rest}"
    return f"can you {rest}" if re.search(r"\b(?:it|in|on|with)\b", rest) else f"can you {rest} it"


@functools.cache
def reader() -> Reader:
    """The reader of questions, made once in a process."""
    return Reader()
