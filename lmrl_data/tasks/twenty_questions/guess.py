"""Finds the object that a text guesses: its name in a frame such as "I think it is a ..." that does not change it.

A text is cut into parts at its punctuation. A part names an object if it holds, in this order, words of frames ("it",
"think", "answer"), perhaps a unit ("a pair of") and adjectives, the name, and a tail that leaves the name what it is
("that you wear"). The text is a guess if its parts name one object, and no other part asks a question.
`assets/guess_words.tsv` says what each word may do.
"""

import functools
import re
from collections.abc import Sequence

from lmrl_data.dialogue.asset import table
from lmrl_data.tasks.twenty_questions.knowledge import knowledge, noun_key

LONGEST = 5  # words of a name
MOST_WORDS = 20  # of a guess; longer texts that name an object tell a story and ask something else
SEVERAL = -1  # for a number: a part names several things
CLOSED = 9  # for a count of words before a name: no more may come

# What has another subject than the object, or asks for a part of it: "does it have keys", "are there keys".
_OTHER = re.compile(
    r"\b(?:does|has|have|had|did|hav) (?:it|this|that|ur|your)\b|\b(?:it|this|that) (?:have|has|got|hav)\b|"
    r"\b(?:is|are) there\b|^(?:what|which|who|where|when|why|how) (?:is|are|was|do|does|can)\b"
)
_ASKS = re.compile(
    r"\b(?:is|are|was|were|do|does|did|can|could|will|would|has|have|should|might|may) "
    r"(?:it|you|u|this|that|yours|your|people|ppl|one|they|there|we|i)\b"
)


@functools.cache
def words_of(*roles: str) -> frozenset[str]:
    """The words that have one of the roles in guesses."""
    rows = table("twenty_questions", "guess_words.tsv")
    return frozenset(word for row in rows if row["role"] in roles for word in row["words"].split())


@functools.cache
def _phrases() -> re.Pattern[str]:
    """Phrases of frames that are no single words, such as "in mind"."""
    phrases = [row["words"] for row in table("twenty_questions", "guess_words.tsv") if row["role"] == "phrase"]
    return re.compile(rf"\b(?:{'|'.join(sorted(phrases, key=len, reverse=True))})\b")


def guessed(text: str) -> int | None:
    """The number of the object that a text guesses; `None` if the text is no guess.

    Args:
        text (`str`): in small letters, with its contractions written out, and with its punctuation.
    """
    if len(text.split()) > MOST_WORDS or "#" in text:
        return None
    numbers = set[int]()
    for part in re.split(r"[.?!;:,()\"/\n]+|-(?: |$)", text):
        words = _phrases().sub(" ", part).split()
        if not words:
            continue
        number = _named(words)
        if number is not None:
            numbers.add(number)
        elif _asks(words, bool(numbers)):
            return None
    number = numbers.pop() if len(numbers) == 1 else SEVERAL
    return None if number == SEVERAL else number


# --- one part of a text


def _named(words: Sequence[str]) -> int | None:
    """The number of the object that a part names; `SEVERAL` if it names other things beside it."""
    inside = True  # whether all words so far belong to a frame
    modifiers = CLOSED  # how many other words stand between an article and here, as in "a rusty old car"
    for start, word in enumerate(words):
        before = words[:start]
        if inside and _OTHER.search(" ".join(before)):
            return None
        known = word in words_of("frame", "noun", "adjective")
        if (inside and _leads(before)) or _tells(before):
            for end in range(min(len(words), start + LONGEST), start, -1):
                span, rest = words[start:end], words[end:]
                number = knowledge().named.get(noun_key(span)) if known else object_named(span)
                if number is not None and _whole(before, span) and _keeps(before, rest):
                    return number if _alone(rest, number) else SEVERAL
        of = word in ("of", "o") and start and before[-1] in words_of("unit", "of")
        if word in words_of("article", "determiner"):
            modifiers = 0
        elif known or of or (word in words_of("unit") and words[start + 1 : start + 2] in (["of"], ["o"])):
            if word not in words_of("adjective"):
                inside, modifiers = inside and modifiers in (0, CLOSED), CLOSED
        else:
            inside = inside and modifiers < 2 and word not in words_of("no_modifier")
            modifiers += 1
    return None


def _leads(before: Sequence[str]) -> bool:
    """Whether words of a frame may stand before a name: "is it" may, "can you" may not."""
    if not before or before[-1] not in words_of("pronoun"):
        return True
    return before[-1] in ("it", "this", "that", "they") and before[-2:-1] not in (["do"], ["can"], ["will"])


def _tells(before: Sequence[str]) -> bool:
    """Whether a statement in other words than those of frames may name something next: "my heart says a ..."."""
    if not before or before[0] not in words_of("teller") or not words_of("denial").isdisjoint(before):
        return False
    last = before[-2:-1] if before[-1] in words_of("article") else before[-1:]
    return words_of("preposition").isdisjoint(last) and before[-1] not in words_of("pronoun")


def _whole(before: Sequence[str], span: Sequence[str]) -> bool:
    """Whether a name is not a part of another ("sweet potato"), nor a material or color ("is it rubber")."""
    if before and (noun_key([before[-1], *span]) in words_of("other") or before[-1] in words_of("fake")):
        return False
    if before and before[-1] not in words_of("frame", "adjective") and noun_key(before[-1:]) in knowledge().named:
        return False  # a dog bowl
    return len(span) > 1 or span[0] not in words_of("material") or not words_of("article").isdisjoint(before)


def _keeps(before: Sequence[str], rest: Sequence[str]) -> bool:
    """Whether the words behind a name leave it what it is."""
    if rest and rest[0] in words_of("place") and words_of("article").isdisjoint(before):
        return False  # "keys on it"
    if words_of("frame", "filler").issuperset(rest):
        return True
    if before and words_of("copula", "article").issuperset(before) and before[0] not in words_of("article"):
        return rest[0] == "what"  # "is a lion what you think of", but not "is a lion in it"
    return rest[0] in words_of("tail")


def _alone(rest: Sequence[str], number: int) -> bool:
    """Whether the words behind a name name no other thing."""
    for place, word in enumerate(rest):
        other = rest[place + 1 :]
        joined = word in ("or", "and", "nor") and not words_of("frame", "filler").issuperset(other)
        if joined and _named(other) != number:
            return False
    return rest[:1] != ["not"]


def _asks(words: Sequence[str], named: bool) -> bool:
    """Whether a part that names nothing asks something else, or denies something."""
    if words_of("frame", "filler").issuperset(words):
        return False
    first = next((word for word in words if word not in words_of("opening")), "")
    openers = words_of("opener") if named else words_of("opener", "question")
    return first in openers or not words_of("denial").isdisjoint(words) or bool(_ASKS.search(" ".join(words)))


# --- names and their misspellings


def object_named(words: Sequence[str]) -> int | None:
    """The number of the object with that name, spelled rightly or nearly so."""
    key = noun_key(words)
    number = knowledge().named.get(key)
    # Words that were joined are spelled rightly more often than they are a wrong spelling of one word.
    if number is None and (len(words) == 1 or (len(words) == 2 and len(key) > 7 and min(map(len, words)) > 2)):
        number = _spelled(key, 1 if len(words) > 1 else 2)
    return number


@functools.lru_cache(50_000)
def _spelled(key: str, errors: int) -> int | None:
    """The number of the object whose name, and no other's, is one typing error away, or so many if it is long."""
    named = knowledge().named
    if key in _variants():
        return named[_variants()[key]]
    if len(key) < 4 or not key.isalpha() or key.endswith(("less", "like", "free")) or key in words_of("other"):
        return None
    near = {name for rest in _shortened(key, 2 if len(key) > 6 else 1) for name in _misspelled().get(rest, ())}
    numbers = {
        named[name]
        for name in near
        if name[0] == key[0] and _distance(key, name) <= (errors if min(len(name), len(key)) > 6 else 1)
    }
    return numbers.pop() if len(numbers) == 1 else None


@functools.cache
def _variants() -> dict[str, str]:
    """Misspellings that are farther off, with the names they stand for."""
    rows = [row["words"] for row in table("twenty_questions", "guess_words.tsv") if row["role"] == "misspelling"]
    return {wrong: noun_key([name]) for name, *variants in map(str.split, rows) for wrong in variants}


@functools.cache
def _misspelled() -> dict[str, list[str]]:
    """All strings that names become by losing up to two letters, with those names."""
    strings = dict[str, list[str]]()
    for name in knowledge().named:
        if len(name) > 3:
            for rest in _shortened(name, 2 if len(name) > 5 else 1):
                strings.setdefault(rest, []).append(name)
    return strings


def _shortened(word: str, letters: int) -> set[str]:
    """A word without up to so many of its letters."""
    words = {word}
    for _ in range(letters):
        words |= {each[:place] + each[place + 1 :] for each in words for place in range(len(each))}
    return words


def _distance(one: str, other: str) -> int:
    """How many letters too many, too few, wrong or swapped tell two words apart."""
    before, row = list[int](), list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, target in enumerate(other, 1):
            cost = min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != target))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == target:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]
