"""Reads a question of Guess My City: its topic, and for a yes/no question the test of the facts.

The reader tries, in this order: guesses and questions for the name; the questions of `questions.txt` word for word;
names of places, languages and so on with the rules of `rules.txt`; the nearest known question. It never looks at the
hidden city, so it reads each text once.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from lmrl_data.dialogue.asset import lines
from lmrl_data.dialogue.numbers import ONES, SCALES, TENS
from lmrl_data.tasks.guess_my_city.facts import (
    Mention,
    all_cities,
    country_names,
    field_text,
    fold,
    holds,
    mentions,
    word_list,
)
from lmrl_data.tasks.guess_my_city.forms import INTENTS, Reading, known, nearest, stem
from lmrl_data.tasks.guess_my_city.guesses import asks_name, guess

MAX_TEXT = 500  # characters; a longer text is no question


# --- the rules


class Rules(NamedTuple):
    points: tuple[tuple[int, re.Pattern[str]], ...]
    tests: tuple[tuple[str, re.Pattern[str]], ...]


@cache
def rules() -> dict[str, Rules]:
    by_intent: dict[str, Rules] = {}
    intent = ""
    points: list[tuple[int, re.Pattern[str]]] = []
    tests: list[tuple[str, re.Pattern[str]]] = []
    for line in [*lines("guess_my_city", "rules.txt"), "@"]:
        if line.startswith("@"):
            if points:
                by_intent[intent] = Rules(tuple(points), tuple(tests))
            intent, points, tests = line[1:].strip(), [], []
        elif line[0].isdigit():
            number, _, pattern = line.partition(" ")
            points.append((int(number), re.compile(pattern)))
        else:
            name, _, rest = line.partition(" = ")
            _, mark, pattern = rest.partition(" :: ")
            if mark:
                tests.append((name, re.compile(pattern)))
    return by_intent


# The topic that a name of each kind speaks for, and with how many points.
ENTITY_POINTS = {
    "continent": ("continent", 6), "area": ("region", 5), "country": ("region", 5), "demonym": ("region", 5),
    "city": ("region", 1), "town": ("region", 1), "language": ("language", 4), "currency": ("currency", 5),
    "religion": ("religion", 6), "sea": ("coast", 9),
}  # fmt: skip
# Money whose name is also a plain word: it takes more than the word to be about money.
_PLAIN_WORDS = frozenset(["real", "won", "sol", "pound", "pounds", "rand", "dong"])
# Where a yes/no question's word is looked for.
FIELDS = {
    "climate": "climate", "terrain": "terrain+landmarks", "river": "river", "food": "food", "coast": "coast_name",
    "landmarks": "landmarks+known_for", "history": "history", "government": "government",
    "economy": "economy+known_for", "exports": "exports", "agriculture": "agriculture", "sport": "sport",
    "transport": "transport", "known_for": "known_for+landmarks+culture+food+economy+sport", "holiday": "holiday",
    "culture": "culture+known_for", "religion": "religion",
}  # fmt: skip
_NUMBER_FIELDS = {
    "population": "population", "elevation": "elevation_m", "time_zone": "utc_offset", "neighbours": "borders",
    "independence": "independence_year", "flag": "colours",
}  # fmt: skip


def points(text: str, mentioned: Sequence[Mention]) -> Counter[str]:
    """The points of each intent."""
    score: Counter[str] = Counter()
    for intent, (patterns, _) in rules().items():
        for worth, pattern in patterns:
            if pattern.search(text):
                score[intent] += worth
    for mention in mentioned:
        kinds = {place.kind for place in mention.places}
        for kind in kinds:
            intent, worth = ENTITY_POINTS.get(kind, ("", 0))
            if not intent or (kind == "currency" and mention.name in _PLAIN_WORDS and not score["currency"]):
                continue
            if kind == "language" and kinds & {"country", "demonym"} and not score["language"]:
                continue
            score[intent] += worth
    return score


# --- numbers

_TENS = {word: TENS[word] for word in ("thirty", "forty", "fifty")}
_NUMBER_WORDS: dict[str, float] = {**_TENS, "a": 1, "half a": 0.5, **ONES, "twenty": 20}
_SCALES = {**{word: float(scale) for word, scale in SCALES.items()}, "k": 1e3, "mio": 1e6, "m": 1e6}
_NUMBER = re.compile(
    r"\b(minus )?(\d{1,12}(?:p\d{1,4})?|half a|" + "|".join(_NUMBER_WORDS) + r") ?"
    r"((?:hundred |thousand )?(?:hundred|thousand|million|billion|mio|k|m)\b)?"
)


def _numbers(text: str, lengths: bool) -> list[float]:
    """The numbers in a text; `lengths` takes 1500 m for metres, not for millions."""
    numbers: list[float] = []
    for match in _NUMBER.finditer(text):
        sign, digits, scale = match.groups()
        if digits == "a" and not scale:
            continue
        number = float(digits.replace("p", ".")) if digits[0].isdigit() else _NUMBER_WORDS[digits]
        for word in (scale or "").split():
            if word == "m" and lengths:
                continue
            number *= _SCALES[word]
        numbers.append(-number if sign else number)
    return numbers


_MORE = re.compile(
    r"\b(more|over|above|larger|bigger|greater|exceed\w*|higher|least|after|older|ahead|beyond|taller|upwards)\b"
)
_LESS = re.compile(r"\b(less|fewer|under|below|smaller|lower|most|before|behind|younger|within)\b")


def _number_test(intent: str, text: str) -> str | None:
    field, numbers = _NUMBER_FIELDS.get(intent), _numbers(text, intent == "elevation")
    if field is None or not numbers or (field == "population" and max(numbers) < 1_000):
        return None
    if field == "utc_offset" and ("behind" in text or "minus" in text):
        numbers = [-abs(number) for number in numbers]
    if field == "elevation_m" and re.search(r"\b(feet|ft|foot)\b", text):
        numbers = [number * 0.3048 for number in numbers]
    if field == "independence_year" and not 1000 < numbers[0] < 2100:
        return None
    if len(numbers) > 1 and " between " in f" {text} ":
        low, high = sorted(numbers[:2])
        return f"{field}:{low:g}..{high:g}" if low > 1e3 or high < 1e6 else f"{field}:{low * 1e6:g}..{high:g}"
    number = numbers[0]
    if field == "utc_offset" and not re.search(r"\b(more|less) than\b|\b(over|under)\b", text):
        return f"{field}={number:g}"
    if _MORE.search(text) and not re.search(r"\bno more\b|\bnot more\b", text):
        return f"{field}>{number!r}"
    if _LESS.search(text):
        return f"{field}<{number!r}"
    if field in ("borders", "colours", "independence_year"):
        return f"{field}={number:g}"
    return f"{field}:{number * 0.75:.0f}..{number * 1.25:.0f}"


# --- the test of a yes/no question


def _city_test(intent: str, text: str, numbers: frozenset[int]) -> tuple[str, str] | None:
    """A comparison with another city: what it is about, and the test."""
    if not numbers:
        return None
    other = min(numbers)
    facts = all_cities()[other].facts
    hours = _numbers(text, False) if "hour" in text and facts["utc_offset"] is not None else []
    if hours and re.search(r"\b(ahead|later|behind|earlier)\b", text):
        shift = -hours[0] if re.search(r"\b(behind|earlier)\b", text) else hours[0]
        return "time_zone", f"utc_offset={facts['utc_offset'] + shift:g}"
    for pattern, about, test in (
        (r"\bsame country\b", "region", f"same_country=@{other}"),
        (r"\bsame continent\b", "continent", f"same_continent=@{other}"),
        (r"\bsame (hemisphere|side of the equator)\b", "hemisphere", f"hemisphere={facts['hemisphere']}"),
        (r"\bsame (time ?zone|time)\b", "time_zone", f"utc_offset={facts['utc_offset']}"),
        (r"\bsame currency\b", "currency", f"currency={facts['currency']}"),
        (r"\b(later|ahead)\b", "time_zone", f"utc_offset>@{other}"),
        (r"\b(earlier|behind)\b", "time_zone", f"utc_offset<@{other}"),
        (r"\bhigher\b|\babove\b", "elevation", f"elevation_m>@{other}"),
        (r"\blower\b", "elevation", f"elevation_m<@{other}"),
        (
            r"\b(bigger|larger|more (people|populous|inhabitants|residents|crowded)|greater)\b",
            "population",
            f"population>@{other}",
        ),
        (r"\b(smaller|fewer|less)\b", "population", f"population<@{other}"),
        (r"\bnorth(ern)?\b", "region", f"north_of=@{other}"),
        (r"\bsouth(ern)?\b", "region", f"!north_of=@{other}"),
        (r"\beast(ern)?\b", "region", f"east_of=@{other}"),
        (r"\bwest(ern)?\b", "region", f"!east_of=@{other}"),
        (r"\bfar\b", "region", f"!near=@{other}"),
        (r"\b(near|close|nearby|next|closer|neighbou?ring|around|outside)\b", "region", f"near=@{other}"),
    ):
        if re.search(pattern, text):
            return about, test
    return None


def _entity_test(intent: str, mentioned: Sequence[Mention]) -> str | None:
    for mention in mentioned:
        if intent == "continent" and (place := mention.one("continent")):
            return f"continent={place.value}"
        if intent == "region":
            if place := mention.one("area", "country", "demonym"):
                return f"{'area' if place.kind == 'area' else 'country'}={place.value}"
            if place := mention.one("continent"):
                return f"continent={place.value}"
        if intent in ("language", "currency", "religion") and (place := mention.one(intent)):
            field = "languages" if intent == "language" else intent
            return f"{field}~{place.value.replace('/', ',')}"
        if intent == "coast" and (place := mention.one("sea")):
            return f"coast_name~{place.value}"
        if intent == "neighbours" and (place := mention.one("country")):
            return f"neighbours={place.value}"
        if intent == "independence" and (place := mention.one("country", "demonym")):
            return f"independence~{','.join(country_names()[place.value])}"
        if intent == "independence" and mention.name in ("britain", "great britain"):
            return "independence~britain,british,united kingdom,uk,england"
        if intent == "flag" and mention.one("colour"):
            colours = [place.value for mention in mentioned if (place := mention.one("colour"))]
            return f"flag_colours={'+'.join(colours)}"
    return None


SURE = 4  # points from which no known question is looked up


_CONCRETE = (
    "food", "river", "landmarks", "sport", "exports", "agriculture", "economy", "culture", "known_for", "history",
)  # fmt: skip


def _known_words(words: Sequence[str]) -> Counter[str]:
    """Points for the intents in whose facts the words of a question are found: `Do you know churrasco?`"""
    score: Counter[str] = Counter()
    asked = [word for word in words if word not in word_list("common") and len(word) > 3 and not word.isdigit()]
    for intent in _CONCRETE:
        vocabulary = _vocabulary(FIELDS[intent].split("+")[0])
        if any({word, stem(word)} & vocabulary for word in asked):
            score[intent] += 3 if intent in ("food", "river", "landmarks") else 2
    return score


@cache
def _vocabulary(field: str) -> frozenset[str]:
    return frozenset(word for city in all_cities() for word in field_text(field, city).split())


def _word_test(intent: str, words: Sequence[str]) -> str | None:
    """The question's own words, looked for in the facts: `Do you eat sushi?`"""
    if intent not in FIELDS:
        return None
    asked = [word for word in words if word not in word_list("common") and len(word) > 2 and not word.isdigit()]
    if not asked:
        return None
    fields = FIELDS[intent].split("+")
    known = [word for word in asked if _commonness(FIELDS[intent], stem(word))]
    if known:
        # The rarest word is asked for: "lantern" in "lantern festival".
        return f"{'+'.join(fields)}~{stem(min(known, key=lambda word: _commonness(FIELDS[intent], stem(word))))}"
    if (
        intent == "food"
        and len(asked) < 3
        and re.search(r"\b(eat|drink|dish|dishes|popular|specialt\w*|cook)\b", " ".join(words))
    ):
        return f"food~{stem(asked[-1])}"
    return None  # no city's facts have these words, which does not make them untrue


@cache
def _commonness(fields: str, word: str) -> int:
    return sum(holds(f"{fields}~{word}", city) is True for city in all_cities())


def _test(intent: str, text: str, words: Sequence[str], mentioned: Sequence[Mention], code: str | None) -> str | None:
    test = _entity_test(intent, mentioned) or _number_test(intent, text)
    if test is None and intent == "airport" and code:
        test = f"airport={code.lower()}"
    if test is None:
        named = (name for name, pattern in rules()[intent].tests if pattern.search(text))
        test = next(named, None) or _word_test(intent, words)
    return test


_DENIED = re.compile(
    r"\b(not|never|without|isnt|arent|doesnt|dont|cannot|neither)\b|\b(is|are|it|lie|live|lies|located) outside\b"
)


# --- reading

_CONTRACTED = {
    "whats": "what is", "wheres": "where is", "whos": "who is", "hows": "how is", "whens": "when is", "im": "i am",
    "youre": "you are", "theres": "there is", "thats": "that is", "ur": "your", "u": "you", "its": "its",
}  # fmt: skip
_OPENING = re.compile(
    r"^(?:(?:tell me(?= (?:is|are|do|does|did|was|were|has|have|can|could|will|what|which|how|when|where|who)\b)|"
    r"so|well|ok|okay|now|hmm|hm|and|also|but|then|alright|great|nice|thanks|thank you|cool|interesting|i see|"
    r"good|please|hi|hello|hey|next question|question|let me ask|one more question|another question|just curious|"
    r"i wonder|im curious|i am curious|i would like to know|id like to know|i want to know|may i ask|can i ask|"
    r"could i ask) )+"
)
# Other words for the city, as the known questions call it.
_CITY = re.compile(r"\b(?:your (?:own )?(?:hometown|home town|town|home city)|this city)\b")
_INDIRECT = re.compile(
    r"^(?:(?:can|could|would|will) you (?:please )?(?:tell|say|confirm|let)(?: me| us)?(?: know)?|tell me|do you know|"
    r"let me know|would you say|is it true that|is it correct that|would you describe it as|i wonder|"
    r"are you able to say) (?:if |whether |that )?"
)
_TELL = re.compile(
    r"^(?:(?:can|could|would|will) you (?:please |kindly )?|please |do you mind )?(?:tell|describe|name|give|explain|"
    r"share|recommend|list|mention|talk|suggest|say|telling)\b"
)
_CHOICE = re.compile(
    r"\bor\b(?! (?:not|so|more|less|something|anything|another|other|even|at least|a similar|the like)\b)"
)


def _simplified(text: str) -> str:
    text = re.sub(r"(?<=\d)\.(?=\d)", "p", text)
    words = [_CONTRACTED.get(word, word) for word in re.sub(r"\bsaint\b", "st", fold(text)).split()]
    return _CITY.sub("your city", _OPENING.sub("", " ".join(words)))


def _is_polar(text: str) -> tuple[str, bool]:
    """The question without a frame around it, and whether it can be answered with yes or no."""
    framed = _INDIRECT.match(text)
    if framed:
        rest = text[framed.end() :]
        if rest and (framed[0].rstrip().endswith(("if", "whether", "that")) or text.startswith("would you say")):
            return rest, True
        if re.match(r"(?:\w+ )?(?:what|which|where|who|how|when|why|about|something|more|the|a|your)\b", rest):
            return rest, False
    if _TELL.match(text):
        return text, False
    first = text.partition(" ")[0]
    if first in word_list("auxiliary"):
        return text, True
    if re.match(
        r"(?:in|on|at|from|to|for|by|of|with|about|roughly|under)? ?"
        r"(?:what|which|where|who|whose|whom|how|when|why)\b",
        text,
    ):
        return text, False
    return text, bool(re.match(r"(?:your?|you|it|this|the|there|people|that) ", text)) and bool(
        re.search(r"\b(?:right|correct|isnt it|is it|dont you|arent you|doesnt it|yes|no)$", text)
        or re.match(
            r"(?:you (?:are|live|have|eat|speak|drive|use)|it is|it has|your city (?:is|has)|there (?:is|are))\b", text
        )
    )


@lru_cache(32768)
def read(text: str) -> Reading:
    """The reading of a text."""
    if len(text) > MAX_TEXT:
        return Reading("invalid")
    question = _simplified(text)
    form = known().get(fold(text)) or known().get(question)
    if form is not None and form.intent in INTENTS:
        return Reading("ask", form.intent, form.test, form.test is not None)
    words = question.split()
    if not re.search("[a-z]{2}", question):
        return Reading("invalid")
    if form is not None and form.intent == "none":
        return Reading("none")
    mentioned = mentions(words)
    guessed = guess(words, mentioned)
    if guessed is not None:
        return guessed
    if asks_name(words):
        return Reading("name")
    return _ask(text, question, mentioned)


def _ask(text: str, question: str, mentioned: list[Mention]) -> Reading:
    question, polar = _is_polar(question)
    words = question.split()
    for mention in mentioned:
        if mention.one("city", "town"):
            question = re.sub(f"\\b{re.escape(mention.name)}\\b", "@city", question)
        elif mention.one("country"):  # so that the Ivory Coast is no coast
            question = re.sub(f"\\b{re.escape(mention.name)}\\b", "@realm", question)
    city = next((place for mention in mentioned if (place := mention.one("city", "town"))), None)
    if polar and city is not None and (compared := _city_test("", question, city.numbers)):
        return Reading("ask", compared[0], _signed(compared[1], question), True)
    score = points(question, mentioned)
    ranked = score.most_common()
    if polar and (not ranked or ranked[0][1] < SURE):
        score.update(_known_words(words))
        ranked = score.most_common()
    intent = ranked[0][0] if ranked and ranked[0][1] >= 3 else None
    if intent == "none":
        return Reading("none")
    near = None
    if intent is None or ranked[0][1] < SURE:
        near = nearest(question, ranked[0][0] if ranked else None)
        if near is not None and near.intent in INTENTS:
            intent = near.intent if intent is None else intent
        elif intent is None or (near is not None and near.intent == "none"):
            if city is not None:
                return Reading("city", polar=polar)
            if re.fullmatch(
                r"(?:Is|Is it|Are you from|Do you live in|Could it be)((?: [A-Z][\w'-]+){1,3})\s*\??", text
            ):
                return Reading("guess", polar=True)  # a name nobody knows
            return Reading("name") if near is not None and near.intent == "name" else Reading("none")
    if not polar or _CHOICE.search(question):
        return Reading("ask", intent)
    code = re.search(r"\b[A-Z]{3}\b", text)
    test = _test(intent, question, words, mentioned, code[0] if code else None)
    if test is None and near is not None and near.intent == intent and near.test and "{" not in near.test:
        test = near.test
    if test is not None:
        test = _signed(test, question)
    return Reading("ask", intent, test, True)


def _signed(test: str, question: str) -> str:
    """The test, turned round where the question is a denial: `Is it not in Asia?`, but not `Isn't it in Asia?`."""
    if _DENIED.search(question.partition(" ")[2]):
        return test.removeprefix("!") if test.startswith("!") else f"!{test}"
    return test
