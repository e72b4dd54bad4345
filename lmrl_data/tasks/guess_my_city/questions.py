"""Reads a question of Guess My City: its topic, and for a yes/no question the test of the facts.

The known questions are looked up word for word, guesses and questions for the name by their frames. Of any other
sentence the learned reader says what it is about, which fact it asks for, and whether it denies it. What the question
compares with the facts is logic: names of places, languages and so on, numbers, other cities, `or` and `outside`. A
reading never depends on the hidden city, so each text is read once.
"""

import re
from collections.abc import Sequence
from functools import cache, lru_cache

from lmrl_data.dialogue.numbers import ONES, SCALES, TENS
from lmrl_data.dialogue.reader import reader
from lmrl_data.tasks.guess_my_city.facts import (
    Mention,
    all_cities,
    country_names,
    facts,
    fold,
    holds,
    mentions,
    to_ascii,
    word_list,
)
from lmrl_data.tasks.guess_my_city.forms import INTENTS, Reading, known, simplified
from lmrl_data.tasks.guess_my_city.guesses import asks_name, guess, vocabulary

MAX_TEXT = 500  # characters; a longer text is no question
# The learned reader's least probability of what it is asked for; below it the question is not understood.
SURE_TOPIC, SURE_FACT = 0.2, 0.15
SURE_OF_PART = 0.5  # and of a fact in a part that "or" or "and" joins to another one
SURE_OF_WHOLE = 0.9  # probability of the fact that two joined parts ask for together


# --- numbers

_TENS = {word: TENS[word] for word in ("thirty", "forty", "fifty")}
_NUMBER_WORDS: dict[str, float] = {**_TENS, "a": 1, "half a": 0.5, **ONES, "twenty": 20}
_SCALES = {**{word: float(scale) for word, scale in SCALES.items()}, "k": 1e3, "mio": 1e6, "mil": 1e6, "m": 1e6}
_NUMBER = re.compile(
    r"\b(minus )?(\d{1,12}(?:p\d{1,4})?|half a|" + "|".join(_NUMBER_WORDS) + r") ?"
    r"((?:hundred |thousand )?(?:hundred|thousand|million|millon|milion|billion|mio|mil|k|m)\b)?"
)
_NUMBER_FIELDS = {
    "population": "population", "elevation": "elevation_m", "time_zone": "utc_offset", "neighbours": "borders",
    "independence": "independence_year", "flag": "colours", "tropics": "latitude",
}  # fmt: skip
_MORE = re.compile(
    r"\b(more|over|above|larger|bigger|greater|exceed\w*|higher|least|after|older|ahead|beyond|taller|upwards)\b"
)
_LESS = re.compile(r"\b(less|fewer|under|below|smaller|lower|most|before|behind|younger|within|beneath)\b")


def _numbers(text: str, lengths: bool) -> list[float]:
    """The numbers in a text; `lengths` takes 1500 m for metres, not for millions."""
    numbers: list[float] = []
    for match in _NUMBER.finditer(text):
        sign, digits, scale = match.groups()
        if digits == "a" and not scale:
            continue
        number = float(digits.replace("p", ".")) if digits[0].isdigit() else _NUMBER_WORDS[digits]
        for word in (scale or "").replace("millon", "million").replace("milion", "million").split():
            if word == "m" and lengths:
                continue
            number *= _SCALES[word]
        numbers.append(-number if sign else number)
    return numbers


def _number_test(topic: str, text: str) -> str | None:
    field, numbers = _NUMBER_FIELDS.get(topic), _numbers(text, topic == "elevation")
    if field is None or not numbers:
        return None
    if field == "latitude":
        return f"latitude={numbers[0]:g}" if "degree" in text and numbers[0] < 90 else None
    if field == "population":
        between = len(numbers) > 1 and "between" in text
        numbers = numbers if between else [number for number in numbers if number >= 1_000]
        if not numbers:
            return None
    if field == "elevation_m":
        numbers = [number for number in numbers if number >= 10]
        if not numbers:
            return None
    if field == "utc_offset" and re.search(r"\b(behind|minus)\b", text):
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
    if re.search(r"\b(no|not|isnt|dont|doesnt) (have )?(more|over|bigger|larger|above|higher)\b", text):
        return f"!{field}>{number!r}"
    if _MORE.search(text):
        return f"{field}>{number!r}"
    if _LESS.search(text):
        return f"{field}<{number!r}"
    if field in ("borders", "colours", "independence_year"):
        return f"{field}={number:g}"
    return f"{field}:{number * 0.75:.0f}..{number * 1.25:.0f}"


# --- comparisons with another city

_COMPARISONS = tuple(
    (re.compile(pattern), about, test)
    for pattern, about, test in (
        (r"\bsame country\b", "region", "same_country=@{city}"),
        (r"\bsame continent\b", "continent", "same_continent=@{city}"),
        (r"\bsame (hemisphere|side of the equator)\b", "hemisphere", "hemisphere={hemisphere}"),
        (r"\bsame (time ?zone|time)\b", "time_zone", "utc_offset={utc_offset}"),
        (r"\bsame (currency|money)\b", "currency", "currency={currency}"),
        (r"\b(later|ahead)\b", "time_zone", "utc_offset>@{city}"),
        (r"\b(earlier|behind)\b", "time_zone", "utc_offset<@{city}"),
        (r"\bhigher\b|\babove\b", "elevation", "elevation_m>@{city}"),
        (r"\blower\b", "elevation", "elevation_m<@{city}"),
        (
            r"\b(bigger|larger|more (people|populous|inhabitants|residents|crowded)|greater)\b",
            "population",
            "population>@{city}",
        ),
        (r"\b(smaller|fewer|less (people|populous))\b", "population", "population<@{city}"),
        (r"\bnorth(ern)?\b", "region", "north_of=@{city}"),
        (r"\bsouth(ern)?\b", "region", "!north_of=@{city}"),
        (r"\beast(ern)?\b", "region", "east_of=@{city}"),
        (r"\bwest(ern)?\b", "region", "!east_of=@{city}"),
        (r"\bfar\b", "region", "!near=@{city}"),
        (r"\b(near|close|nearby|next|closer|neighbou?ring|around|outside|within)\b", "region", "near=@{city}"),
    )
)


def _city_test(text: str, mentioned: Sequence[Mention]) -> tuple[str, str] | None:
    """A comparison with another city: what it is about, and the test."""
    city = next((place for mention in mentioned if (place := mention.one("city")) and place.numbers), None)
    if city is None:
        return None
    other = all_cities()[min(city.numbers)]
    hours = _numbers(text, False) if "hour" in text and other.facts["utc_offset"] is not None else []
    if hours and re.search(r"\b(ahead|later|behind|earlier)\b", text):
        shift = -hours[0] if re.search(r"\b(behind|earlier)\b", text) else hours[0]
        return "time_zone", f"utc_offset={other.facts['utc_offset'] + shift:g}"
    for pattern, about, test in _COMPARISONS:
        if pattern.search(text):
            return about, test.format(city=other.number, **other.facts)
    return None


# --- values: names of places, languages and so on

# Where a yes/no question's word is looked for.
FIELDS = {
    "climate": "climate", "terrain": "terrain+landmarks", "river": "river", "food": "food", "coast": "coast_name",
    "landmarks": "landmarks+known_for", "history": "history", "government": "government",
    "economy": "economy+known_for", "exports": "exports", "agriculture": "agriculture", "sport": "sport",
    "transport": "transport", "known_for": "known_for+landmarks+culture+food+economy+sport", "holiday": "holiday",
    "culture": "culture+known_for", "religion": "religion",
}  # fmt: skip
# What the learned reader calls a question for a value, and the topic of its answer.
VALUES = {"continent": "continent", "country": "region", "region": "region"} | {
    name: name
    for name in (
        "language", "currency", "religion", "neighbours", "food", "sport", "river", "population", "elevation",
        "time_zone", "independence", "flag", "coast", "airport",
    )
}  # fmt: skip
_OUTSIDE = re.compile(
    r"\b(?:outside(?: of)?|not|nowhere|other than|except|besides|no longer|anything but|anywhere but|never|isnt|arent|"
    r"beyond|neither|nor|without|instead of|rather than|elsewhere than|apart from|somethi?ng? (?:else )?than)"
    r"(?: (?:in|the|on|at|a|part|of|from|located|country|countries|continent|any|speaking|use|be|within|to)){0,4} $"
)
_MAIN = re.compile(
    r"\b(?:main|primary|principal|first|official|dominant|mostly|majority|chief\w*|most(?! famous)|mainly)\b"
)
_PLAIN = frozenset(
    ["outside", "not", "isnt", "somewhere", "anywhere", "or", "any", "chance", "by", "part", "but", "nowhere"]
)
# What asks for the opposite of a fact without a negation.
_ANTONYMS = {
    fact: re.compile(rf"\b(?:{words})\b")
    for fact, words in {
        "inland": "(?:on|at|by|near) the (?:coast|sea|ocean|shore|water)|coastal", "by_sea": "inland|landlocked",
        "high_up": "low|lowland|low lying|sea level", "low_lying": "high|highland|elevated", "spicy": "bland|mild",
        "rich_country": "poor|developing", "expensive": "cheap|affordable|inexpensive", "communist": "capitalist",
        "big": "small|little|tiny", "small": "big|large|huge", "flat": "hilly|mountainous", "dry": "rainy|wet|humid",
        "rainy": "dry|arid", "ancient": "new|young|modern", "humid": "dry|arid", "smog": "clean|clear|fresh",
        "known_crime": "safe|safest|peaceful", "hot": "cool|cold|chilly", "cold_winter": "mild|warm",
        "metro": "without", "monarchy": "republic", "authoritarian": "democratic|democracy|free",
    }.items()
}  # fmt: skip
_NEGATED = re.compile(r"\b(?:not|never|no|isnt|arent|doesnt|dont|wasnt|hardly|neither|rather than|instead|or)\b")
_EARLIER = re.compile(
    r"\b(?:once|former|formerly|used to|previously|ever|in the past|historical\w*|ancient|old|imperial|empire)\b"
)
# A guess of a name that nobody knows: up to three words.
_NAME = re.compile(
    r"(?:(?:So|Then|OK|Okay|Hmm|Well),? )?"
    r"(?:is (?:it|this|your city|it the city of)|are you from|do you live in|could it be)"
    r"((?: [^\W\d_][\w'-]{2,20}){1,3})\s*\??",
    re.I,
)
_LENGTH = re.compile(r"\b\d+ ?(?:m|metres?|meters?|feet|ft)\b(?! people)")
_SIDE = re.compile(r"\b(north|south|east|west)")
_PLACES = ("state", "country", "demonym", "area", "continent")


def _signed(test: str, denied: bool) -> str:
    if not denied:
        return test
    return test.removeprefix("!") if test.startswith("!") else f"!{test}"


def _joined(parts: Sequence[tuple[str, bool]], either: bool) -> str:
    """Tests and whether each is denied, as one test."""
    return (" | " if either else " & ").join(dict.fromkeys(_signed(test, denied) for test, denied in parts))


def _place_test(words: Sequence[str], mentioned: Sequence[Mention], denied: bool) -> str | None:
    """A test of where the city is: `in Europe or Asia`, `in Western Europe but outside the United Kingdom`."""
    parts: list[tuple[str, bool]] = []
    for mention in mentioned:
        place = mention.one(*_PLACES)
        if place is None or any(
            other is not mention and other.start <= mention.start < other.end for other in mentioned
        ):
            continue
        kind = {"demonym": "country"}.get(place.kind, place.kind)
        before = " ".join(words[max(mention.start - 8, 0) : mention.start]) + " "
        parts.append((f"{kind}={place.value}", _OUTSIDE.search(before) is not None))
    if not parts:
        return None
    either = "or" in words
    if len(parts) == 1:
        test, outside = parts[0]
        return _signed(test, outside or denied)
    return _joined(parts, either)


def _value_test(topic: str, text: str, words: Sequence[str], mentioned: Sequence[Mention], denied: bool) -> str | None:
    if topic in ("language", "currency", "religion"):
        field = "languages" if topic == "language" else topic
        named = [place.value.replace("/", ",") for mention in mentioned if (place := mention.one(topic))]
        if not named:
            return None
        if topic == "language" and re.search(r"\bminority\b", text):
            return f"!main_language={named[0]}"
        if topic == "language" and _MAIN.search(text):
            return _signed(f"main_language={named[0]}", denied)
        return _joined([(f"{field}~{value}", denied) for value in named], either=not denied and "or" in words)
    if topic == "coast":
        sea = next((place for mention in mentioned if (place := mention.one("sea"))), None)
        return None if sea is None else _signed(f"coast_name~{sea.value}", denied)
    if topic == "flag":
        colours = [place.value for mention in mentioned if (place := mention.one("colour"))]
        return _signed(f"flag_colours={'+'.join(colours)}", denied) if colours else None
    country = next((place for mention in mentioned if (place := mention.one("country", "demonym"))), None)
    if topic == "neighbours" and country is not None:
        return _signed(f"neighbours={country.value}", denied)
    if topic == "independence" and country is not None:
        ruled = f"ruled_by_{country.value.replace(' ', '_')}"
        named_test = ruled if ruled in facts() else f"independence~{','.join(country_names()[country.value])}"
        return _signed(named_test, denied)
    if topic == "independence" and re.search(r"\bbrit(ain|ish)\b|\benglish\b|\bengland\b", text):
        return _signed("ruled_by_united_kingdom", denied)
    test = _number_test(topic, text)
    if test is not None:
        return test
    return _word_test(topic, words, denied)


def _word_test(topic: str, words: Sequence[str], denied: bool) -> str | None:
    """The question's own words, looked for in the facts: `Do you eat sushi?`"""
    if topic not in FIELDS:
        return None
    named = [test for name, test in _things().items() if f" {name} " in f" {' '.join(map(stem, words))} "]
    if named:
        return _signed(max(named, key=len), denied)
    asked = [word for word in words if word not in word_list("common") and len(word) > 2 and not word.isdigit()]
    found = [word for word in asked if _commonness(FIELDS[topic], stem(word))]
    if not found:
        return None  # no city's facts have these words, which does not make them untrue
    # The rarest word is asked for: "lantern" in "lantern festival".
    rarest = min(found, key=lambda word: _commonness(FIELDS[topic], stem(word)))
    return _signed(f"{FIELDS[topic]}~{stem(rarest)}", denied)


def stem(word: str) -> str:
    if word.endswith("ies") and len(word) > 5:
        return f"{word[:-3]}y"
    return word.removesuffix("s") if len(word) > 4 and not word.endswith("ss") else word


@cache
def _things() -> dict[str, str]:
    """The dishes and sports that have a fact of their own, by the stems of their words."""
    return {" ".join(map(stem, name.split("_")[1:])): name for name in facts() if name.startswith(("dish_", "sport_"))}


@cache
def _commonness(fields: str, word: str) -> int:
    return sum(holds(f"{fields}~{word}", city) is True for city in all_cities())


# --- reading

_FRAMED = re.compile(
    r"^(?:(?:can|could|would|will) you (?:please )?(?:tell|say|confirm|let)(?: me| us)?(?: know)?|tell me|do you know|"
    r"let me know|would you say|is it true that|is it correct that|i wonder|are you able to say) (?:if |"
    r"whether |that )?"
)
_OPEN = re.compile(
    r"(?:(?:in|on|at|from|to|for|by|of|with|about|roughly|under) )?(?:what|which|where|who|whose|whom|how|"
    r"when|why|describe|"
    r"name|tell|list)\b|(?:can|could|would|will) you (?:please |kindly )?(?:tell|describe|name|give|explain|share|"
    r"recommend|list|mention|talk|suggest)\b"
)
# A question that offers all there is: "left or right?"
_EITHER = re.compile(
    r"\b(north\w*|left|hot|cold|inside|inland|coast\w*|above|ahead|high\w*|big|large|flat|hilly|dry|wet|old|"
    r"new|capital|"
    r"president|republic|tropic\w*|top|summer|winter|in|one)\b.*\bor\b.*\b(south\w*|right|cold|hot|warm|"
    r"outside|inland|coast\w*|below|mild|"
    r"behind|low\w*|small|hilly|mountain\w*|flat|wet|rainy|dry|young|old|not|monarch\w*|king|out|bottom|more|"
    r"several|what|else)\b"
)
_THERE = re.compile(r"(?:are|is) there|do (?:you|they) have|any\b|got\b|has your city|does your city have|do people")


_JOINT = re.compile(r" (or|and|but) (?:also )?")
# What a yes/no question begins with.
_START = re.compile(
    r"(?:is|are|was|were|do|does|did|has|have|can|could|would|will)(?: (?:it|there|you|they|i|people|your (?:city|"
    r"country|food|summers|winters)|the (?:city|country|food|summers|winters|people|locals)))"
    r"(?: (?:have|got|get|see|eat|speak|grow|play|find|known for|famous for))?(?= )"
)
# Words that narrow the facts of a topic, which these do not tell.
_NARROWING = {
    topic: re.compile(rf"\b(?P<word>{words})(?: \w+)? (?:{nouns})")
    for topic, words, nouns in (
        (
            "terrain",
            "big|huge|high|highest|tall|tallest|great|massive|snowy|snow ?(?:capped|covered)|active|famous|famed",
            "mountain|peak|hill|volcano|lake",
        ),
        ("river", "famous|famed|well known|longest|largest|biggest|huge|mighty|great", "river"),
        ("landmarks", "tallest|highest|oldest|biggest|largest|most famous", ""),
    )
}
_GREAT_RIVERS = (
    "amazon,danube,euphrates,ganges,hudson,huangpu,indus,mekong,mississippi,neva,nile,seine,thames,tiber,tigris,volga,"
    "yangtze,yellow river,congo,han river"
)
_MONTH = re.compile(
    r"\b(?:in|during|around|by) (?:(?P<december>december|january|february|christmas)|(?P<july>june|july|august)|"
    r"(?P<other>march|april|may|september|october|november))\b"
)
_DISH = re.compile(r"\b(?:dish|dishes|special(?:i?ty|i?ties)|delicac(?:y|ies)|meals?|snacks?|try|taste)\b")
_NO_DENIAL = re.compile(
    r"\b(?:just |right |shortly )?outside (?:of )?(?:(?:the|your|this) )?(?:city|town|gates|walls|cent(?:er|re))\b",
    re.I,
)
_FROM_COAST = re.compile(
    r"\b(?:far|away|distant|removed) from (?:the |any )?(?:coast|sea|ocean|shore|water)|"
    r"\bnot (?:on|at|by|near) the (?:coast|sea|ocean|shore|water)"
)
_NARROW = re.compile(r"\b(called|names? of|exactly|exact|specific|precise(ly)?|in particular|which one)\b")


@lru_cache(32768)
def read(text: str) -> Reading:
    """The reading of a text."""
    if len(text) > MAX_TEXT:
        return Reading("invalid")
    question = simplified(text)
    form = known().get(fold(text)) or known().get(question) or known().get(_FRAMED.sub("", question))
    if form is not None and form.intent in INTENTS:
        return Reading("ask", form.intent, form.test, form.test is not None, narrow=_is_narrow(question))
    if not re.search("[a-z]{2}", question):
        return Reading("invalid")
    if form is not None and form.intent == "none":
        return Reading("none")
    guessed = guess(text)
    if guessed is not None:
        return guessed
    words = question.split()
    if asks_name(words):
        return Reading("name")
    last = _last_question(text)
    if last != text:
        return read(last)
    return _joined_asks(text, question, words) or _ask(text, question, words)


def _last_question(text: str) -> str:
    """The last sentence of a text, if it is a question by its first words; else the whole text."""
    *before, last = re.split(r"(?<=[.?!])\s+", text.strip())
    words = simplified(last).split()
    if not before or len(words) < 3 or (words[0] not in word_list("auxiliary") and not _OPEN.match(" ".join(words))):
        return text
    return last


def _is_place_only(words: Sequence[str]) -> bool:
    """Whether a part of a question has nothing but a name of a place, a language or the like, and plain words."""
    named = {place for mention in mentions(words) for place in range(mention.start, mention.end)}
    rest = {word for place, word in enumerate(words) if place not in named}
    return bool(named) and rest <= word_list("name_rest") | _PLAIN


def _joined_asks(text: str, question: str, words: list[str]) -> Reading | None:
    """The reading of a yes/no question whose parts, joined by `or` or `and`, ask for facts of their own.

    A part without an auxiliary is read behind the words that the first part begins with. If one part is surely read
    and another one is not, the whole is not answered: a yes or no would be to the part. If the whole is read surely,
    it is one question ("temples and shrines").
    """
    joint = _JOINT.search(question)
    if joint is None or words[0] not in word_list("auxiliary") or "between" in words or _EITHER.search(question):
        return None
    first, second = question[: joint.start()], question[joint.end() :]
    start = _START.match(first)
    if start is None or _is_place_only(second.split()):
        return None
    if not (_START.match(second) or second.split()[0] in word_list("auxiliary")):
        second = f"{start[0]} {second}"
    readings = [(known().get(part), reader().best("fact", part)) for part in (first, second)]
    sure = [form is not None or fact.probability >= SURE_OF_PART for form, fact in readings]
    if not any(sure):
        topic, fact = (reader().best(head, text) for head in ("topic", "fact"))
        known_topic = topic.name not in ("none", "name") and topic.probability >= SURE_TOPIC
        if not known_topic or mentions(words) or fact.probability >= SURE_OF_PART:
            return None
        return Reading("ask", VALUES.get(topic.name, topic.name), polar=True)
    if not all(sure) and reader().best("fact", text).probability >= SURE_OF_WHOLE:
        return None
    parts = [read(part) for part in (first, second)]
    if all(sure):
        tests = list(dict.fromkeys(part.test for part in parts))
        if None in tests or len(tests) < 2:
            return None
        if any(" | " in str(test) or " & " in str(test) for test in tests):
            return parts[0]._replace(test=None)
        return parts[0]._replace(test=f" {'|' if joint[1] == 'or' else '&'} ".join(map(str, tests)))
    return parts[sure.index(True)]._replace(test=None, polar=True)


def _ask(text: str, question: str, words: list[str]) -> Reading:
    framed = _FRAMED.match(question)
    whether = framed is not None and framed[0].rstrip().endswith(("if", "whether", "that"))
    if framed is not None and whether:
        question = question[framed.end() :]
        words = question.split() or words
    mentioned = mentions(words)
    compared = _city_test(question, mentioned)
    if compared is not None and not _OPEN.match(question):
        return Reading("ask", compared[0], _signed(compared[1], _OUTSIDE.search(f"{question} ") is not None), True)
    if plain := _plain_place(words, mentioned):
        return plain
    read_by = reader()
    topic, topic_share = read_by.best("topic", text)
    fact, fact_share = read_by.best("fact", text)
    # "Just outside the city" denies nothing, and "far from the coast" says inland.
    denied = read_by.best("polarity", _NO_DENIAL.sub("", text)).name == "no"
    if fact in ("inland", "landlocked"):
        denied = _FROM_COAST.search(question) is None and denied
    name = _unknown_name(text) if not mentioned and fact_share < 0.6 else None
    if name is not None and (name.istitle() or topic_share < SURE_TOPIC):
        return Reading("guess", polar=True, name=name.title())
    is_open = (not whether and _OPEN.match(fold(text)) is not None) or _OPEN.match(
        _FRAMED.sub("", question)
    ) is not None
    if _EITHER.search(question) and len(words) < 15:
        fact, is_open = "none", True
    if _LENGTH.search(question):
        topic = fact = "elevation"
    if fact != "none" and fact_share >= (0.9 if is_open else SURE_FACT) and topic not in ("none", "name"):
        asked = facts()[fact].topic if fact in facts() else VALUES.get(fact, topic)
        test = _fact_test(fact, asked, question, words, mentioned, denied)
        return Reading("ask", asked, test, True)
    if topic in ("none", "name") or topic_share < SURE_TOPIC:
        if any(mention.one("city", "town") for mention in mentioned):
            return Reading("city", polar=True)
        return Reading("name" if topic == "name" and topic_share >= SURE_TOPIC else "none")
    intent = VALUES.get(topic, topic)
    if intent == "climate" and _MONTH.search(question):
        intent = "temperature"  # it tells of summer and winter
    polar = not is_open and words[0] in word_list("auxiliary")
    if polar:
        test = _fact_test(intent, intent, question, words, mentioned, denied)
        return Reading("ask", intent, test, test is not None or _THERE.match(question) is None)
    dish = intent == "food" and _DISH.search(question) is not None
    return Reading("ask", intent, narrow=dish or _is_narrow(question))


def _unknown_name(text: str) -> str | None:
    """The name in a guess such as `Is it Kunming?`, of words that no known question and no fact has."""
    match = _NAME.fullmatch(text.strip())
    name = to_ascii(match[1].strip()) if match else ""
    return name if name and not set(fold(name).split()) & (vocabulary() | _PLAIN) else None


def _is_narrow(question: str) -> bool:
    return _NARROW.search(question) is not None


def _plain_place(words: Sequence[str], mentioned: Sequence[Mention]) -> Reading | None:
    """The reading of a question with nothing but places and plain words: `Are you from Asia or Africa?`"""
    named = {place for mention in mentioned if mention.one(*_PLACES) for place in range(mention.start, mention.end)}
    others = {word for place, word in enumerate(words) if place not in named}
    if not named or not others <= word_list("name_rest") | _PLAIN:
        return None
    kinds = {place.kind for mention in mentioned if (place := mention.one(*_PLACES))}
    return Reading(
        "ask", "continent" if kinds == {"continent"} else "region", _place_test(words, mentioned, False), True
    )


def _narrowed(fact: str, question: str, mentioned: Sequence[Mention]) -> str | None:
    """The test of what a question adds to a fact: `snowy` mountains, cold `in January`; `None`, if it adds nothing."""
    topic = facts()[fact].topic
    months = _MONTH.search(question) if len(question.split()) < 15 else None
    if months and topic in ("climate", "temperature", "snow"):
        season = {"cold_winter": "winter", "snow": "winter", "snowy": "winter", "hot_summer": "summer"}.get(fact)
        if season is None or months["other"]:
            return "unknown=month"
        northern = (months["december"] is not None) == (season == "winter")
        return f"hemisphere={'northern' if northern else 'southern'}"
    if fact == "has_river" and _NARROWING["river"].search(question):
        return f"river~{_GREAT_RIVERS}"
    sea = next((place for mention in mentioned if (place := mention.one("sea"))), None)
    if sea is not None and topic in ("landmarks", "known_for", "economy"):
        return f"coast_name~{sea.value}"
    if topic in ("terrain", "landmarks") and (match := _NARROWING[topic].search(question)):
        return f"unknown={match['word']}"
    return None


def _fact_test(
    fact: str, topic: str, question: str, words: Sequence[str], mentioned: Sequence[Mention], denied: bool
) -> str | None:
    """The test of a yes/no question for a fact, or for a value of a topic."""
    if topic in ("continent", "region") and fact not in facts():
        return _place_test(words, mentioned, denied)
    if topic == "language" and any(mention.one("language") for mention in mentioned):
        return _value_test(topic, question, words, mentioned, denied)
    if "soviet" in question:
        return _signed("area=former soviet union", denied)
    if fact == "is_capital_p" and _EARLIER.search(question):
        fact = "old_capital"
    if (
        fact in _ANTONYMS
        and not _FROM_COAST.search(question)
        and _ANTONYMS[fact].search(question)
        and not _NEGATED.search(question)
    ):
        denied = True
    if fact.startswith("country_") and (sides := _SIDE.findall(question)):
        # East is not all that is not west.
        return _signed(f"country_{sides[0]}", _OUTSIDE.search(question[: question.index(sides[0])]) is not None)
    if fact in facts():
        # "More than two million?" is no question for a big city, but for that number.
        compares = topic in ("population", "elevation", "tropics") or (topic == "time_zone" and "hour" in question)
        number = _number_test(topic, question) if compares and fact != "half_hour" else None
        if topic == "independence" and fact == "colony":
            number = _value_test(topic, question, words, mentioned, denied)
        if number is not None and (":" not in number or "between" in question):
            return number
        narrowed = _narrowed(fact, question, mentioned)
        return _signed(fact, denied) if narrowed is None else f"{_signed(fact, denied)} & {narrowed}"
    return _value_test(topic, question, words, mentioned, denied)
