"""From a question in free text to its answer for every object of Twenty Questions.

A question has one answer for each object, so the game can never contradict itself. What a question asks for is looked
up among the questions of the tables, or learned (`lmrl_data.dialogue.reader`). Logic is done by rules: guesses,
negation, comparison, "or" and "and". A question that none of these reads is out of scope.
"""

import copy
import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

from lmrl_data.dialogue.reader import reader as encoder
from lmrl_data.tasks.twenty_questions.comparison import compare
from lmrl_data.tasks.twenty_questions.guess import guessed
from lmrl_data.tasks.twenty_questions.knowledge import knowledge, noun_key
from lmrl_data.tasks.twenty_questions.negation import affirmations
from lmrl_data.tasks.twenty_questions.phrasing import beyond, denied, guesses, openings, wordings
from lmrl_data.tasks.twenty_questions.wording import (
    MAX_LENGTH,
    OPEN,
    OPENERS,
    as_question,
    clause,
    plain,
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

SURE = 0.1  # the least probability of a learned reading of a whole text
SURE_OF_PART = 0.6  # and of a part that "or" or "and" joins to others

_JOINT = re.compile(r"(?: ,)? (?:or|and|but|nor) (?:is it |does it )?| , ")
_WHICH = "that|which|with|without|used|made|found|worn|you|people|for|where|in|on|of|powered|played|eaten|kept|grown"
_CLAUSE = re.compile(rf"is it ((?:a|an|the|some|any) .+?) ((?:{_WHICH})\b.*)$")
# Questions about the other player, not about the object.
_PERSONAL = re.compile(
    r"(?:do|did|would|have|has|had) (?:you|i|we) (?:ever |personally )?"
    r"(?:own|like|love|want|prefer|believe|seen|hate|enjoy|have it|have one|think)\b"
)
MOST_WORDS = 14  # of a question that is taken apart; longer ones are read as a whole
# Adjectives that a noun may have beside what it is.
_ADJECTIVES = frozenset(
    ("large", "big", "small", "tiny", "huge", "heavy", "light", "flat", "round", "long", "tall", "soft", "hard",
     "sharp", "red", "yellow", "green", "blue", "orange", "white", "black", "brown", "gray", "pink", "purple",
     "colorful", "wooden", "metal", "plastic", "wild", "dangerous", "living", "dead", "fast", "loud", "quiet",
     "edible", "sweet", "expensive", "cheap", "electric", "electronic", "common")
)  # fmt: skip


class Reader:
    """Reads questions; readings are cached."""

    def __init__(self) -> None:
        self.learned = True  # whether the learned reader is asked where the rules read nothing
        self.facts = knowledge()
        self.comparisons = dict[str, str]()
        self.forms = dict[str, str]()  # the attribute that a question in its plain form asks for
        self.wordings = dict[str, Reading]()  # and the reading of a question in one of the players' wordings
        for attribute in self.facts.attributes.values():
            for form in attribute.forms:
                for wording in wordings(form):
                    self.wordings.setdefault(_key(wording), self._attribute(attribute.id))
                question = sentence(form)
                if question is None:
                    raise ValueError(f"a question of {attribute.id} cannot be read: {form!r}")
                text = clause(question.text)
                self.forms.setdefault(text, attribute.id)
                comparison = compare(text)
                if comparison is not None and comparison.dimension is not None:
                    self.comparisons.setdefault(comparison.meaning, attribute.id)
        for attribute in self.facts.attributes.values():
            for text in filter(None, map(denied, attribute.forms)):
                self.wordings.setdefault(_key(text), self._flip(self._attribute(attribute.id)))
        for number, texts in enumerate(guesses()):
            self.wordings |= dict.fromkeys(map(_key, texts), _guess(number))
        self.wordings |= dict.fromkeys(map(_key, beyond()), OUT_OF_SCOPE)
        starts = sorted({opening.lower().rstrip(",") for opening in openings()}, key=len, reverse=True)
        self.opening = re.compile(rf"^(?:{'|'.join(map(re.escape, starts))}),? (?=\w)")

    def by_rules(self) -> "Reader":
        """A reader with the same tables that asks no learned one."""
        other = copy.copy(self)
        other.learned = False
        return other

    def read(self, text: str) -> Reading:
        """The reading of a text."""
        if len(text) > MAX_LENGTH:  # the agent decides how long its texts are, and readings are kept
            return INVALID
        known = self.wordings.get(_key(text))
        return known or self._read(self.opening.sub("", text.strip().lower(), count=1))

    @functools.lru_cache(100_000)  # noqa: B019 (a reader lives as long as the process)
    def _read(self, text: str) -> Reading:
        known = self.wordings.get(_key(text))
        if known is not None:
            return known
        question = sentence(text)
        if question is None:
            return INVALID
        number = guessed(plain(text))
        if number is not None:
            guess = _guess(number)
            if re.search(r"\b(?:kind|type|sort) of\b", question.text):  # a tiger is a type of cat
                yes = guess.yes | (self._learned(text, SURE) or OUT_OF_SCOPE).yes
                return guess._replace(yes=yes, meaning=f"guess {question.text}")
            return guess
        words = question.text.split()
        if "#" in words or _PERSONAL.match(question.text):
            return OUT_OF_SCOPE
        if OPEN.match(question.text):
            return OUT_OF_SCOPE if question.marked else INVALID
        reading = self._question(as_question(question.text), text)
        if words[0] not in OPENERS and not question.marked:  # a statement, or a mere word such as "Edible"
            return reading if reading is not None and words[0] not in ("it", "that", "this", "i") else INVALID
        return reading or OUT_OF_SCOPE

    def _question(self, text: str, whole: str) -> Reading | None:
        """The reading of a question, denied or not, that ends a whole text."""
        listed = clause(text)
        direct = self._known(listed.replace(" ,", "")) or self._qualified(listed)
        if direct is not None:
            return direct
        denied = False
        for positive, denied in affirmations(text):
            listed = clause(positive)
            reading = self._known(listed)
            if reading is not None:
                return self._flip(reading) if denied else reading
            whole = positive
        reading = self._affirmative(listed, whole)
        return self._flip(reading) if reading is not None and denied else reading

    def _affirmative(self, text: str, whole: str) -> Reading | None:
        if len(text.split()) <= MOST_WORDS:
            reading = self._compared(text) or self._several(text) or self._qualified(text)
            if reading is not None:
                return reading
        return self._learned(whole, SURE)

    def _learned(self, text: str, least: float) -> Reading | None:
        """What the learned reader says that a text asks for."""
        if not self.learned:
            return None
        best = encoder().best("attribute", text)
        return self._attribute(best.name) if best.name != "none" and best.probability >= least else None

    def _known(self, text: str) -> Reading | None:
        """The reading of a question of the table, a kind or a name, in these very words."""
        attribute = self.forms.get(text)
        if attribute is not None:
            return self._attribute(attribute)
        match = re.match(r"is it (kindof )?((?:a|an|the|some|any) )?(?:kindof )?(.+)$", text)
        if match is None:
            return None
        kind = " kindof " in text
        name = noun_key(match[3].split())
        number = self.facts.named.get(name)
        if number is not None and not kind:
            return Reading("kind", 1 << number, None, True, f"kind {number}")
        if not (kind or match[2]):
            return None  # a mere word may be an adjective
        yes = self.facts.kinds.get(name, 0) | (1 << number if number is not None else 0)
        if yes or name in self.facts.references or name in self.facts.others:
            return Reading("kind", yes, None, True, f"kind {name}")
        return None

    def _compared(self, text: str) -> Reading | None:
        """A comparison: bigger than a breadbox."""
        comparison = compare(text)
        if comparison is None:
            return None
        if comparison.dimension is None:
            return OUT_OF_SCOPE
        known = self.comparisons.get(comparison.meaning)
        if known is not None:
            return self._attribute(known)
        yes = self.facts.compared(comparison.dimension, comparison.low, comparison.high)
        return Reading(comparison.dimension, yes, None, True, comparison.meaning)

    def _several(self, text: str) -> Reading | None:
        """Parts joined by "or" or "and"; each is read with the beginning of the first."""
        parts = [part for part in _JOINT.split(text) if part]
        if len(parts) < 2:
            return None
        if not re.search(r" (?:or|and|but|nor) ", text):  # "a lion, a tiger, a bear"; other commas are no "or"
            names = [self._known(clause(as_question(part))) for part in parts]
            return self._join([*filter(None, names)], "or") if all(names) else None
        first = self._part(parts[0])
        if first is None:
            return None
        readings = [first]
        for part in parts[1:]:
            reading = self._continued(part, parts[0].split())
            if reading is None:
                return None
            readings.append(reading)
        if any(reading.match is None for reading in readings):
            return OUT_OF_SCOPE
        return self._join(readings, "and" if re.search(r" (?:and|but) ", text) else "or")

    def _continued(self, part: str, beginning: Sequence[str]) -> Reading | None:
        """A part behind "or" or "and", with as much of the first part's beginning as makes it a known question."""
        if part.startswith("not "):
            reading = self._continued(part.removeprefix("not "), beginning)
            return reading and self._flip(reading)
        if part.split()[0] in OPENERS:
            return self._part(part)
        for end in range(len(beginning) - 1, 1, -1):
            if not {part.split()[0], beginning[end - 1]} <= {"a", "an", "the"}:
                text = clause(" ".join([*beginning[:end], part]))
                reading = self._known(text) or self._compared(text)
                if reading is not None:
                    return reading
        return self._part(" ".join([*beginning[:2], part]))

    def _part(self, text: str) -> Reading | None:
        text = clause(text)
        return self._known(text) or self._compared(text) or self._qualified(text) or self._learned(text, SURE_OF_PART)

    def _qualified(self, text: str) -> Reading | None:
        """A known noun with adjectives or a clause, "a large animal that has no legs": all must hold."""
        match = _CLAUSE.match(text)
        if match is not None:
            head = self._known(f"is it {match[1]}") or self._qualified(f"is it {match[1]}")
            rest = head and self._question(f"is it something {match[2]}", f"is it something {match[2]}")
            return self._join([head, rest], "and") if head and rest and rest.match else None
        match = re.match(r"is it (?:kindof )?(?:a|an|the|some|any) (?:kindof )?(.+)$", text)
        words = match[1].split() if match else []
        for start in range(1, min(len(words), 4)):
            head = self._known(f"is it a {' '.join(words[start:])}")
            adjectives = [self._question(f"is it {word}", f"is it {word}") for word in words[:start]] if head else []
            if head is not None and all(adjectives) and _ADJECTIVES.issuperset(words[:start]):
                return self._join([head, *filter(None, adjectives)], "and")
        return None

    def _attribute(self, name: str) -> Reading:
        return Reading(name, self.facts.attributes[name].yes, None, True, name)

    def _flip(self, reading: Reading) -> Reading:
        if reading.match is None:
            return reading
        meaning = reading.meaning[4:] if reading.meaning.startswith("not ") else f"not {reading.meaning}"
        return reading._replace(yes=self.facts.everything & ~reading.yes, guess=None, meaning=meaning)

    def _join(self, readings: Sequence[Reading], word: str) -> Reading:
        yes = readings[0].yes
        for reading in readings[1:]:
            yes = yes & reading.yes if word == "and" else yes | reading.yes
        match = f" {word} ".join(dict.fromkeys(str(reading.match) for reading in readings))
        return Reading(match, yes, None, True, f" {word} ".join(f"({reading.meaning})" for reading in readings))


def _guess(number: int) -> Reading:
    return Reading("guess", 1 << number, number, True, f"guess {number}")


def _key(text: str) -> str:
    """A question without capitals and the mark at its end."""
    return text.strip().lower().rstrip("?. ")


@functools.cache
def reader() -> Reader:
    """The reader of questions, made once in a process."""
    return Reader()
