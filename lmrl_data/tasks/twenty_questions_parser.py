"""From a question in free text to its answer for every object of Twenty Questions, by rules and nothing else.

A question is read once and has one answer an object, so that it can never be answered in two ways. In this order: a
guess, a question of the table, negation, comparison, "or" and "and", kinds and modifiers, and the nearest question of
the table. What none of them reads is out of scope.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lmrl_data.tasks.twenty_questions_comparison import compare
from lmrl_data.tasks.twenty_questions_knowledge import knowledge, noun_key
from lmrl_data.tasks.twenty_questions_matching import Embeddings, Lexical, Matcher, content, opposite

MAX_WORDS = 40
MAX_LENGTH = 500  # characters; forty words have fewer


class Reading(NamedTuple):
    """What a text asks.

    Args:
        match (`str`, *optional*): an attribute's id, `size`, `mass`, `price`, `kind` or `guess`, several joined by
            `and` or `or`; `None` if the text asks nothing that is known.
        yes (`int`): the objects for which the answer is yes, one bit each.
        guess (`int`, *optional*): the object that is named, and no other.
        valid (`bool`): whether the text is one question at all.
        meaning (`str`): what is asked, without the words: equal meanings have equal answers.
    """

    match: str | None
    yes: int = 0
    guess: int | None = None
    valid: bool = True
    meaning: str = ""


INVALID = Reading(None, valid=False)
OUT_OF_SCOPE = Reading(None)


# --- from text to words

_PLAIN = {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2013: "-", 0x2014: "-", 0xA0: " ", ord("\t"): " "}
_OPENERS = frozenset("is are was were do does did can could will would has have had should might may must am".split())
_ASKING = frozenset("what which who whose whom where when why how".split())
_CONTRACTIONS = [
    (re.compile(pattern), text)
    for pattern, text in (
        (r"\bcan't\b|\bcannot\b|\bcant\b", "can not"), (r"\bwon't\b", "will not"), (r"\bain't\b", "is not"),
        (r"n't\b", " not"), (r"\b(is|does|do|are|was|has)nt\b", r"\1 not"), (r"\b(it|that|he|she|what|there)'s\b", r"\1 is"),
        (r"'re\b", " are"), (r"'m\b", " am"), (r"'d\b", " would"), (r"'ve\b", " have"), (r"'ll\b", " will"),
        (r"'s\b|s'\B", " s"), (r"\b([a-z])\.([a-z])\.?(?=[\s?]|$)", r"\1\2"),
    )
]  # fmt: skip
_WORD = re.compile(r"[a-z]+|\d+(?:[.,]\d+)*|[$#]")
# What people say before a question; the longest that fits is taken off, again and again.
_PREFIX = re.compile(
    r"(?:(?:okay|ok|so|well|hm+|um+|uh+|alright|all right|great|thanks|thank you|now|right|then|hello|hi|hey|let us see|"
    r"let me see|let me think|let me guess|please|next|first|finally|and|but|oh|ah|cool|good|nice|interesting|sure|yes|no|"
    r"q(?:uestion)?(?: \d+)?|\d+|user|assistant|my (?:next |first |last )?question is|i (?:would|want|need) (?:like )?to (?:know|ask)|"
    r"(?:can|could|would|will) you (?:please )?tell me|do you know|i wonder|i am wondering|tell me|can i ask|"
    r"if so|in that case|since it is \w+|given that|does that mean|would it be (?:fair|correct|right|accurate) to say|"
    r"is it (?:true|correct|right|fair to say|the case|safe to say|possible)) (?:(?:if|whether|that) )?)"
)
_TAIL = re.compile(
    r" (?:right|correct|or not|please|by any chance|maybe|perhaps|then|is it not|is not it|does it not|does not it|"
    r"can it not|can not it|am i right|yes or no|at all|though|too|as well|in general|or something|"
    r"(?:most|some|all) of the time|on average|(?:by|of) nature|these days)$"
)
_GUESSING = re.compile(
    r"(?:i (?:think|believe|guess|bet|say|suspect|would say|would guess|will guess|am guessing|will say|will go with|"
    r"am going to (?:guess|say|go with)|am (?:pretty |quite |fairly )?sure|am thinking)|"
    r"(?:my|the|your) (?:final |next |last |best |only )?(?:guess|answer|object|word|item) (?:is|would be|must be)|final (?:answer|guess)|"
    r"(?:is|must be) it|guess|it must be|it has to be|must it be|it is|how about|what about|could it be|is it) (?:that )?"
)


def _sentence(text: str) -> tuple[str, bool] | None:
    """The one sentence that asks, and whether it has a question mark; `None` if there are none or several."""
    text = text.translate(_PLAIN).lower().replace("’", "'")
    text = re.sub(r"[^\x20-\x7e\n]", "#", text)  # no letter that merely looks like one of ours
    text = re.sub(r"(?<=\d)[.,](?=\d)", "\x00", text)
    text = re.sub(r"\b(lbs?|ft|oz|kg|cm|in)\.", r"\1", re.sub(r"\bt\.\s?v\b\.?", "tv", text))
    sentences = [
        each.replace("\x00", ".") for each in re.findall(r"[^.?!;\n]+[.?!;]*", text) if re.search(r"[a-z]", each)
    ]
    asked = {each.strip() for each in sentences if "?" in each}
    if len(asked) == 1:
        return asked.pop(), True
    if asked or not sentences:
        return None
    return sentences[-1].strip(), False


def _tokens(sentence: str) -> list[str]:
    for pattern, text in _CONTRACTIONS:
        sentence = pattern.sub(text, sentence)
    sentence = re.sub(r"(\d),(?=\d{3})", r"\1", sentence)
    # A comma ends an opening word, or is one of a list; the second only matters where "or" or "and" follows.
    sentence = re.sub(r",(?! ?(?:or|and)\b)", " , ", sentence)
    return [word for word in re.findall(r"[a-z]+|\d+(?:[.,]\d+)*|[$#,]", sentence)]


# --- the words in one order

_THE_OBJECT = (
    r"(?:(?:the|this|that|your|our|said|these|those)(?: (?:mystery|secret|hidden|unknown|particular|actual|same|correct))*"
    r" (?:object|thing|item|answer|word|entity|product|noun|subject|article|objects|things|items)|this|that|these|those|they|it|he|she|"
    r"(?:what|the one))"
    r"(?: (?:that |which )?(?:you are|you have|you|i am|we are|you were|i have)(?: currently)?(?: thinking| thought| think| looking| in mind| guessing| hiding| chosen| picked)(?: of| about| for)?)?"
    r"(?: you have in mind)?(?: in question| here)?"
)
_AUX = "is|are|was|were|does|do|did|can|could|will|would|has|have|had|should|might|may|must"
_PEOPLE = (
    r"(?:you|people|one|someone|anyone|somebody|anybody|we|i|humans|a person|a human|most people|many people|"
    r"the average person|a typical person|the average human|a human being|human beings|everyone|folks|they)"
)
_ANYTHING = (
    r"(?:something|anything|(?:a|an|the|one of those|some)(?: (?:kind|type|sort) of)? (?:thing|object|item|product|one|things|objects|items)|"
    r"(?:the|a) (?:kind|type|sort) of (?:thing|object|item))"
)
_ADVERBS = (
    r"\b(?:usually|typically|generally|normally|often|commonly|mostly|mainly|primarily|sometimes|ever|also|actually|really|"
    r"perhaps|possibly|probably|maybe|likely|currently|very|quite|pretty|fairly|extremely|relatively|rather|somewhat|"
    r"frequently|regularly|always|traditionally|specifically|particularly|especially|just|simply|basically|essentially|"
    r"considered|ordinarily|still|even|truly|technically|predominantly|largely|originally|easily|some kind of|some type of|some sort of|"
    r"some form of|known (?:as|for)|more than likely|tend to|tends to|happen to|happens to|supposed to|meant to|designed to|intended to|"
    r"designed|intended|meant|require you to|allow you to|help you|help people)\b "
)
_REWRITES = [
    (re.compile(pattern), text)
    for pattern, text in (
        (rf"^(?:is|are|was) you thinking (?:of|about) ", "is it "),
        (r"^are you (?!able)", "is it "),
        (r"^am i (?:looking for|thinking of) ", "is it "),
        (r"^(?:would|could|do|can|should|might) (?:you|people|one|we|i|someone|most people) (?:say|call|consider|describe|classify|think of|think|believe|"
         r"categorize|regard|label)(?: that)? it (?:(?:as|to be|is) )?", "is it "),
        (rf"^({_AUX}) {_THE_OBJECT} ", r"\1 it "),
        (r"^(?:are|was|were) it ", "is it "), (r"^(?:do|did) it ", "does it "), (r"^(?:had|has) it got ", "does it have "),
        (r"^(?:has|have|had) it (?=a |an |any |\w+s )", "does it have "), (r"^have it ", "does it have "),
        (rf"^is it (?:classified|regarded|thought of|categorized|described|labeled|referred to|called|seen|viewed|counted|treated)(?: as| to be)? ", "is it "),
        (r"^is it to be ", "is it "),
        (r"^(?:can|could|might|may|will|would|should|must|does) it be (?:(?:considered|called|classified as|described as|regarded as|said to be|used as|thought of as) )?", "is it "),
        (r"^does it (?:count|qualify|serve|function|act|work) as ", "is it "),
        (r"^is it (?:able|possible|easy) to ", "can it "), (r"^is it capable of ", "can it "),
        (r"^does it (?:belong|fall) (?:to|in|into|under|within|with) (.*)$", r"is it in \1"),
        (r"^is it (?:a |an )?(?:member|part|in|from|within|one|under)(?: of)? the (?:category |family |class |group |realm |world )(?:of )?(.*)$", r"is it \1"),
        (r"^is it (?:a |an )?(?:member of|part of|in|from|one of|under)(?: the)? (.*) (?:category|family|group|class|genus|species)$", r"is it \1"),
        (r"^is it one of the ", "is it a "),
        (rf"^is it {_ANYTHING} (?:(?:that|which|where|for|whose) )?(?:can|could|would|will) be ", "is it "),
        (rf"^is it {_ANYTHING} (?:(?:that|which) )?{_PEOPLE} (?:might |would |can |could |may |will |should )?be able to ", "do you "),
        (rf"^is it {_ANYTHING} (?:(?:that|which) )?{_PEOPLE} (?:(?:might|would|can|could|may|will|should|do) )?", "do you "),
        (rf"^is it {_ANYTHING} (?:(?:that|which) )?(?:is|are|was|were|gets?) ", "is it "),
        (rf"^is it {_ANYTHING} (?:(?:that|which) )?(?:has|have|had|with|contains?|includes?) ", "does it have "),
        (rf"^is it {_ANYTHING} (?:that|which) (?:can|could|will|would) ", "can it "),
        (rf"^is it {_ANYTHING} (?:that|which) (?=(?:kids|children|students|women|men|doctors|athletes|farmers|adults|artists|chefs|carpenters|animals)\b)", "do "),
        (rf"^is it {_ANYTHING} (?:that|which) ", "does it "),
        (rf"^is it {_ANYTHING} to ", "do you "),
        (rf"^is it {_ANYTHING} (?=\w)", "is it "),
        (rf"^(?:do|does|did|can|could|would|will|should|may) {_PEOPLE} (?:be able to |want to |need to |have to |get to )?", "do you "),
        (r"^(?:can|could|will|would) it ", "can it "), (r"^would it ", "does it "),
        (r"^is it (?:with|having|equipped with) ", "does it have "),
        (r"^does it (?:possess|come with|feature|include|bear|contain any|got) ", "does it have "),
        (r"^is there (.*) (?:in|on|inside|to|about) it$", r"does it have \1"),
        (r"^do you need (.*) to (?:use|run|operate|work) it$", r"does it need \1 to work"),
        (r"^is its (?:main |primary |usual |typical )?(?:color|colour) ", "is it "), (r"^is the (?:color|colour)(?: of it)? ", "is it "),
        (r"^is it (\w+)(?: in)? (?:color|colour|colored|coloured|in shape|shaped|in size|in texture|in appearance)$", r"is it \1"),
        (r"^is it (?:a |an )?(\w+) (?:color|colour|shape)$", r"is it \1"),
        (r"^does it (?:have|come in) (?:a |an )?(\w+) (?:color|colour|shape)$", r"is it \1"),
        (r"^is its shape ", "is it "),
        (r"^is it (?:composed|constructed|built|manufactured|crafted|woven|formed|produced|fashioned|comprised|created|made)(?: out| up| mostly| mainly)?(?: of| from| with| using)(?: a)? ", "is it made of "),
        (r"^does it consist of ", "is it made of "), (r"^is (\w+) (?:its|the) (?:main |primary )?material$", r"is it made of \1"),
        (r"^is it (?:a |an |the |some )?(?:kind|type|sort|form|variety|example|species|breed|class|category|piece|item|article|style|brand|bit)(?: or (?:kind|type|sort))? of (?:a |an )?", "is it a "),
    )
]  # fmt: skip


def _clause(words: Sequence[str]) -> str:
    """The question in one form: `is it ...`, `does it ...`, `can it ...` or `do you ...`."""
    text = " ".join(word for word in words if word != ",")
    text = re.sub(_ADVERBS, "", text + " ").strip()
    for _ in range(2):
        for pattern, replacement in _REWRITES:
            text = pattern.sub(replacement, text).strip()
    return text


# --- reading

_NEGATIONS = re.compile(
    r"\b(?:not|never|non|neither|no longer|incapable of|unable to|impossible to|other than|anything but|free of|devoid of|except|"
    r"without(?: any)?|lack(?:s|ing)?(?: any)?|hardly|rarely|seldom|barely|no|none of|fail(?:s)? to)\b ?"
)
_SPLIT = re.compile(r" (?:, )?(?:or|and|but|,|nor) ")


class Reader:
    """Reads questions; one that was read before costs nothing.

    Args:
        matcher (`str`, *optional*, defaults to `"lexical"`): how the nearest question of the table is found,
            `"lexical"` or `"embeddings"`.
    """

    def __init__(self, matcher: str = "lexical") -> None:
        self.facts = knowledge()
        self.forms: dict[tuple[str, ...], tuple[str, bool]] = {}
        self.comparisons: dict[str, tuple[str, bool]] = {}
        rows: list[tuple[str, tuple[str, ...]]] = []
        for attribute in self.facts.attributes.values():
            for form in attribute.forms:
                clause = _clause(_tokens(form.lower()))
                self.forms.setdefault(_form_key(clause), (attribute.id, True))
                comparison = compare(clause)
                if comparison is not None and comparison.dimension is not None:
                    self.comparisons.setdefault(comparison.meaning, (attribute.id, True))
                else:
                    rows.append((attribute.id, tuple(clause.split())))
        self.rows = rows
        words = [row[1] for row in rows]
        self.lexical = Lexical(words)
        self.matcher: Matcher = self.lexical if matcher == "lexical" else Embeddings(words)

    @functools.lru_cache(100_000)  # noqa: B019 (a reader lives as long as the process)
    def read(self, text: str) -> Reading:
        """What a text asks, and the answers."""
        if len(text) > MAX_LENGTH or len(text.split()) > MAX_WORDS:
            return INVALID
        found = _sentence(text)
        if found is None:
            return INVALID
        sentence, marked = found
        words = _tokens(sentence)
        bare = " ".join(words)
        while match := _PREFIX.match(bare.replace(" , ", " ").removeprefix(", ")):
            if match.end() == 0 or match.end() >= len(bare):
                break
            bare = bare.replace(" , ", " ").removeprefix(", ")[match.end() :]
        bare = bare.removeprefix(", ")
        while match := _TAIL.search(bare):
            bare = bare[: match.start()].removesuffix(" ,")
        return self._read(bare.split(), marked)

    def _read(self, words: list[str], marked: bool) -> Reading:
        if not words:
            return INVALID
        guess = self._guess(" ".join(words))
        text = " ".join(words)
        if guess is not None:
            return Reading("guess", 1 << guess, guess, True, f"guess {guess}")
        if words[0] in _ASKING:
            return OUT_OF_SCOPE if marked else INVALID
        if words[0] not in _OPENERS:
            text = _as_question(text)
            if not marked:
                return INVALID
        if "#" in words:
            return OUT_OF_SCOPE
        return self._clauses(text, 0) or OUT_OF_SCOPE

    def _guess(self, text: str) -> int | None:
        """The object a text names and does nothing but name."""
        text = text.replace(" , ", " ")
        if _form_key(text) in self.forms and re.match(r"is it \w+$", text) and not text.endswith("s"):
            return None  # "Is it orange?" asks for the colour, "Is it an orange?" for the fruit
        for pattern, replacement in _REWRITES[:4]:
            text = pattern.sub(replacement, text + " ").strip()
        text = re.sub(rf"^(?:is|are|was) {_THE_OBJECT} ", "is it ", text)
        text = re.sub(
            rf"^is (.*) (?:what you are thinking(?: of| about)?|the answer|the object|the word|the item|it)$",
            r"is it \1",
            text,
        )
        text = re.sub(r" (?:that )?you are thinking (?:of|about)$", "", text)
        for _ in range(3):
            text = re.sub(
                r"^(?:maybe|perhaps|probably|possibly|just|simply|actually|really|definitely|be|by any chance|indeed) ",
                "",
                text,
            )
            text = re.sub(
                r"^(is it|it is|could it be) (?:maybe|perhaps|probably|possibly|just|simply|actually|really|definitely|by any chance|called|named) ",
                r"\1 ",
                text,
            )
            if match := _GUESSING.match(text):
                text = text[match.end() :]
        text = re.sub(r"^(?:(?:a|an|the|some|any|one|your|my|be|just|simply|actually|certain) )+", "", text)
        text = re.sub(r"^(?:kind|type|sort) of (?:(?:a|an|the) )?", "", text)
        name = text.split()
        if not 0 < len(name) <= 5:
            return None
        number = self.facts.named.get(noun_key(name))
        if number is None and name[:2] in (["pair", "of"], ["set", "of"], ["piece", "of"]):
            number = self.facts.named.get(noun_key(name[2:]))
        return number

    def _clauses(self, text: str, depth: int) -> Reading | None:
        """A question in any words, which may hold others."""
        clause = _clause(text.split())
        strict = self._strict(clause)
        if strict is not None or depth > 3:
            return strict
        for read in (self._relative, self._negated, self._several, self._compared, self._modified, self._opposed):
            reading = read(clause, depth)
            if reading is not None:
                return reading if reading.match is not None else None
        return self._nearest(clause)

    def _strict(self, clause: str) -> Reading | None:
        """A question of the table, of kinds, or of a name, in so many words."""
        found = self.forms.get(_form_key(clause))
        if found is not None:
            return self._attribute(*found)
        match = re.match(r"^is it (?:in |made of )?((?:a|an|the|some|any) )?(.+)$", clause)
        if match is None:
            return None
        name = noun_key(match[2].split())
        kinds = self.facts.kinds.get(name, 0)
        number = self.facts.named.get(name)
        if " made of " in clause or (not kinds and number is None and name not in self.facts.references):
            return None
        if number is not None:
            kinds |= 1 << number
        return Reading("kind", kinds, None, True, f"kind {name}")

    def _attribute(self, name: str, positive: bool) -> Reading:
        yes = self.facts.attributes[name].yes
        return Reading(name, yes if positive else self._not(yes), None, True, name if positive else f"not {name}")

    def _not(self, yes: int) -> int:
        return self.facts.everything & ~yes

    def _flip(self, reading: Reading | None) -> Reading:
        if reading is None or reading.match is None:
            return OUT_OF_SCOPE
        meaning = reading.meaning[4:] if reading.meaning.startswith("not ") else f"not {reading.meaning}"
        return reading._replace(yes=self._not(reading.yes), guess=None, meaning=meaning)

    def _join(self, readings: Sequence[Reading], word: str) -> Reading:
        yes = readings[0].yes
        for reading in readings[1:]:
            yes = yes & reading.yes if word == "and" else yes | reading.yes
        match = f" {word} ".join(dict.fromkeys(str(reading.match) for reading in readings))
        return Reading(match, yes, None, True, f" {word} ".join(f"({reading.meaning})" for reading in readings))

    def _relative(self, clause: str, depth: int) -> Reading | None:
        """An animal that has no legs: both must hold."""
        match = re.match(
            r"^is it ((?:a|an|the|some|any) .+?) ((?:that|which|with|without|used|made|found|worn|you|people|for|where|in|on|of)\b.*)$",
            clause,
        )
        if match is None or re.match(rf"^{_ANYTHING}$", match[1]):
            return None
        head = self._strict(_clause(f"is it {match[1]}".split())) or self._modified(f"is it {match[1]}", depth + 1)
        rest = self._clauses(f"is it something {match[2]}", depth + 1) if head else None
        return self._join([head, rest], "and") if head and rest and rest.match else None

    def _negated(self, clause: str, depth: int) -> Reading | None:
        too = re.match(
            r"^(?:is it|does it \w+) too (\w+) (?:for (?:you|me|a person|one person|someone|people|a human) )?to (.*)$",
            clause,
        )
        if too is not None:
            return self._flip(self._clauses(f"{_fitting(too[2])}", depth + 1))
        enough = re.match(
            r"^(?:is it|does it \w+) (\w+) enough (?:for (?:you|me|a person|one person|someone|people|a human) )?(?:to|that you can) (.*)$",
            clause,
        )
        if enough is not None:
            return self._clauses(_fitting(enough[2]), depth + 1)
        # What "but" and "and" bring together is denied one by one.
        found = list(_NEGATIONS.finditer(clause))
        if not found or re.search(r" (?:and|but) ", clause[: found[0].start()]):
            return None
        if found[0][0].strip() == "no" and re.match(
            r"no (?:more|less|bigger|larger|heavier|smaller)\b", clause[found[0].start() :]
        ):
            found = found[:1]
        rest = " ".join(_NEGATIONS.sub(self._without, clause).split())
        rest = re.sub(r"\b(?:either|any) ", "", rest.replace(" nor ", " or "))
        reading = self._clauses(rest, depth + 1)
        return self._flip(reading) if len(found) % 2 else reading or OUT_OF_SCOPE

    @staticmethod
    def _without(match: re.Match[str]) -> str:
        word = match[0].split()[0]
        return "with " if word in ("without", "lack", "lacks", "lacking", "free", "devoid") else ""

    def _several(self, clause: str, depth: int) -> Reading | None:
        """A or B, A and B: each part is read with the beginning of the first."""
        if not _SPLIT.search(clause):
            return None
        word = "or" if re.search(r" (?:or|nor) ", clause) else "and"
        parts = [part for part in _SPLIT.split(clause) if part]
        first = self._clauses(parts[0], depth + 1)
        if first is None or len(parts) > 20:
            return None
        readings = [first]
        beginning = parts[0].split()
        for part in parts[1:]:
            reading = next(filter(None, self._parts(part, beginning, depth)), None)
            if reading is None:
                return None
            readings.append(reading)
        return self._join(readings, word)

    def _parts(self, part: str, beginning: Sequence[str], depth: int) -> Iterator[Reading | None]:
        words = part.split()
        if words[0] in _OPENERS or words[0] == "it":
            yield self._clauses(_as_question(part), depth + 1)
            return
        if words[0] == "not":
            yield self._flip(next(filter(None, self._parts(" ".join(words[1:]), beginning, depth)), None))
            return
        for end in range(len(beginning) - 1, 1, -1):
            clause = _clause([*beginning[:end], *words])
            yield self._strict(clause) or self._compared(clause, depth)
        yield self._clauses(" ".join([*beginning[:2], *words]), depth + 1)

    def _compared(self, clause: str, depth: int) -> Reading | None:
        comparison = compare(clause)
        if comparison is None:
            return None
        known = self.comparisons.get(comparison.meaning)
        if known is not None:
            return self._attribute(*known)
        if comparison.dimension is None:
            return OUT_OF_SCOPE
        yes = self.facts.compared(comparison.dimension, comparison.low, comparison.high)
        return Reading(comparison.dimension, yes, None, True, comparison.meaning)

    def _modified(self, clause: str, depth: int) -> Reading | None:
        """A large animal: an animal, and large."""
        match = re.match(r"^is it (?:a|an|the|some|any) (.+)$", clause)
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

    def _opposed(self, clause: str, depth: int) -> Reading | None:
        """Dead is not alive, unnatural not natural, wireless without wire."""
        words = clause.split()
        for place, word in enumerate(words):
            positive = opposite(word)
            if positive is None and not self.lexical.known(word):
                for stripped in (
                    *(word[len(start) :] for start in ("non", "un", "in", "im", "dis") if word.startswith(start)),
                    *([word[:-4]] if word.endswith("less") else []),
                ):
                    if len(stripped) > 2 and self.lexical.known(stripped):
                        positive = stripped
                        break
            if positive is not None:
                rest = [*words[:place], positive, *words[place + 1 :]]
                reading = self._clauses(" ".join(rest), depth + 2)
                if reading is not None and reading.match is not None:
                    return self._flip(reading)
        return None

    def _nearest(self, clause: str) -> Reading | None:
        words = clause.split()
        if clause.startswith("is it made of ") and not all(map(self.lexical.known, words[4:])):
            return None
        match = self.matcher.nearest(words)
        return self._attribute(self.rows[match.number][0], True) if match else None


def _form_key(clause: str) -> tuple[str, ...]:
    """The content of a question; who does it matters: `does it eat` is not `do you eat it`."""
    active = re.match(r"^(?:does|can|will) it (?!have|come|be|get|need|use|contain|fit)", clause) is not None
    return ("it" if active else "", *content(clause.split()))


def _fitting(rest: str) -> str:
    """What a thing is too big, or small enough, for."""
    if re.match(r"^(?:fit|float|fly|be|go|stand|break)\b", rest):
        return f"can it {rest}"
    return f"can you {rest}" if re.search(r"\b(?:it|in|on|with)\b", rest) else f"can you {rest} it"


def _as_question(text: str) -> str:
    """A statement or a mere noun as a question."""
    text = re.sub(r"^(?:i (?:think|believe|guess|suppose|assume) )?(?:that )?", "", text)
    match = re.match(rf"^(?:it|this|that|they) ({_AUX}|has|have)\b ?(.*)$", text)
    if match is not None:
        return f"does it have {match[2]}" if match[1] in ("has", "have") else f"{match[1]} it {match[2]}"
    match = re.match(r"^it (\w+) ?(.*)$", text)
    if match is not None:
        return f"does it {match[1]} {match[2]}".strip()
    if text.split(" ", 1)[0] in _OPENERS:
        return text
    return f"is it {text}"


@functools.cache
def reader(matcher: str = "lexical") -> Reader:
    """The reader of questions, made once in a process."""
    return Reader(matcher)
