"""Reads a question of Guess My City: is it a guess, what is it about, and, for yes/no, which test of the facts it asks for.

In this order: guesses and questions for the name; the questions of `questions.txt` word for word; names of places,
languages and so on with the rules of `rules.txt`; the nearest of the known questions. Reading never looks at the hidden
city, so each text is read once.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from lmrl_data.tasks.guess_my_city_facts import (
    Mention,
    all_cities,
    country_names,
    field_text,
    fold,
    lines,
    mentions,
)
from lmrl_data.tasks.guess_my_city_forms import INTENTS, known, nearest, stem

MAX_TEXT = 500  # what is longer is no question


class Reading(NamedTuple):
    """What a text was taken for.

    Args:
        act (`str`): `ask` (a question in scope), `guess`, `name` (asks for the name), `several` (offers more than one
            city), `city` (is about a city in a way that is neither), `none` (out of scope) or `invalid`.
        intent (`str`, *optional*): what is asked for.
        test (`str`, *optional*): the test that a yes/no question asks for; `None` for an open question.
        polar (`bool`): whether the question can be answered with yes or no.
        numbers (`frozenset[int]`): the cities that a guess names; none, if they are never hidden.
        country (`str`, *optional*): the country that a guess names beside the city.
    """

    act: str
    intent: str | None = None
    test: str | None = None
    polar: bool = False
    numbers: frozenset[int] = frozenset()
    country: str | None = None


# --- the rules


class Rules(NamedTuple):
    points: tuple[tuple[int, re.Pattern[str]], ...]
    tests: tuple[tuple[str, re.Pattern[str]], ...]


@cache
def rules() -> dict[str, Rules]:
    found: dict[str, Rules] = {}
    points: list[tuple[int, re.Pattern[str]]] = []
    tests: list[tuple[str, re.Pattern[str]]] = []
    for line in [*lines("rules.txt"), "@"]:
        if line.startswith("@"):
            if points:
                found[intent] = Rules(tuple(points), tuple(tests))
            intent, points, tests = line[1:].strip(), [], []
        elif line[0].isdigit():
            number, _, pattern = line.partition(" ")
            points.append((int(number), re.compile(pattern)))
        else:
            name, _, rest = line.partition(" = ")
            _, mark, pattern = rest.partition(" :: ")
            if mark:
                tests.append((name, re.compile(pattern)))
    return found


# What a name of this kind says a question is about, and with how many points.
ENTITY_POINTS = {
    "continent": ("continent", 6), "area": ("region", 5), "country": ("region", 5), "demonym": ("region", 5),
    "city": ("region", 1), "town": ("region", 1), "language": ("language", 4), "currency": ("currency", 5),
    "religion": ("religion", 6), "sea": ("coast", 5),
}  # fmt: skip
# Money whose name is also a plain word: it takes more than the word to be about money.
_PLAIN_WORDS = frozenset("real won sol pound pounds rand dong".split())
# Where a yes/no question's word is looked for.
FIELDS = {
    "climate": "climate", "terrain": "terrain+landmarks", "river": "river", "food": "food", "coast": "coast_name",
    "landmarks": "landmarks+known_for", "history": "history", "independence": "independence", "government": "government",
    "economy": "economy+known_for", "exports": "exports", "agriculture": "agriculture", "sport": "sport",
    "transport": "transport", "known_for": "known_for+landmarks+culture+food+economy+sport", "holiday": "holiday",
    "culture": "culture+known_for", "religion": "religion",
}  # fmt: skip
_NUMBER_FIELDS = {
    "population": "population", "elevation": "elevation_m", "time_zone": "utc_offset", "neighbours": "borders",
    "independence": "independence_year", "flag": "colours",
}  # fmt: skip


def points(text: str, found: Sequence[Mention]) -> Counter[str]:
    """How much each intent has for it."""
    score: Counter[str] = Counter()
    for intent, (patterns, _) in rules().items():
        for worth, pattern in patterns:
            if pattern.search(text):
                score[intent] += worth
    for mention in found:
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

_NUMBER_WORDS = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty".split()
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "a": 1, "half a": 0.5}  # fmt: skip
_SCALES = {"hundred": 1e2, "thousand": 1e3, "k": 1e3, "million": 1e6, "mio": 1e6, "m": 1e6, "billion": 1e9}
_NUMBER = re.compile(
    r"\b(minus )?(\d{1,12}(?:p\d{1,4})?|half a|" + "|".join(_NUMBER_WORDS) + r") ?"
    r"((?:hundred |thousand )?(?:hundred|thousand|million|billion|mio|k|m)\b)?"
)


def _numbers(text: str) -> list[float]:
    found = []
    for match in _NUMBER.finditer(text):
        sign, digits, scale = match.groups()
        if digits == "a" and not scale:
            continue
        number = _NUMBER_WORDS.get(digits) if not digits[0].isdigit() else float(digits.replace("p", "."))
        for word in (scale or "").split():
            if word == "m" and "sea level" in text:
                continue  # metres, not millions
            number *= _SCALES[word]
        found.append(-number if sign else number)
    return found


_MORE = re.compile(r"\b(more|over|above|larger|bigger|greater|exceed\w*|higher|least|after|older|ahead|beyond|taller|upwards)\b")
_LESS = re.compile(r"\b(less|fewer|under|below|smaller|lower|most|before|behind|younger|within)\b")


def _number_test(intent: str, text: str) -> str | None:
    field, numbers = _NUMBER_FIELDS.get(intent), _numbers(text)
    if field is None or not numbers:
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
    for pattern, about, test in (
        (r"\bsame country\b", "region", f"same_country=@{other}"),
        (r"\bsame continent\b", "continent", f"same_continent=@{other}"),
        (r"\bsame (hemisphere|side of the equator)\b", "hemisphere", f"hemisphere={facts['hemisphere']}"),
        (r"\bsame (time ?zone|time)\b", "time_zone", f"utc_offset={facts['utc_offset']}"),
        (r"\bsame currency\b", "currency", f"currency={facts['currency']}"),
        (r"\bhigher\b|\babove\b", "elevation", f"elevation_m>@{other}"),
        (r"\blower\b", "elevation", f"elevation_m<@{other}"),
        (r"\b(bigger|larger|more (people|populous|inhabitants|residents|crowded)|greater)\b", "population", f"population>@{other}"),
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


def _entity_test(intent: str, found: Sequence[Mention], text: str) -> str | None:
    for mention in found:
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
        if intent == "flag" and (place := mention.one("colour")):
            return f"flag_colours={place.value}"
    return None


_COMMON = frozenset(
    "is it are do does did was were has have had can could would will should may might a an the of in on at to for from "
    "with by and or not no any some there here that this these those your you my me i we they them people person city "
    "town country place hometown home area region local locals inhabitants citizens famous well known popular common "
    "typical main major big important good great many much lot lots very really quite most mostly often usually ever "
    "still also part kind type sort like likes liked love loves eat eats eating drink play plays played playing grow "
    "grows grown have use used uses get gets go goes food foods dish dishes sport sports export exports exported produce "
    "produces produced industry industries economy built build made make makes found located near close around big "
    "large small old new world one more than been be being its it's their our what which who when where why how as "
    "called named name because so such too only just about people's try serve served come comes live lives living "
    "celebrate celebrated celebrates holiday holidays festival transport crops crop farmers farm raised raise culture "
    "cultural tradition traditional landmark landmarks history historic historical government religion climate weather "
    "hosted host host consider considered say said think see seen visit visited tourists tourist visitors everyday day "
    "days year years every all over across through way ways number team teams best enjoy enjoyed if specific special "
    "particular certain anything something national state official know want need right correct true".split()
)


@cache
def _vocabulary(field: str) -> frozenset[str]:
    return frozenset(word for city in all_cities() for word in field_text(field, city).split())


def _word_test(intent: str, words: Sequence[str]) -> str | None:
    """The question's own words, looked for in the facts: `Do you eat sushi?`"""
    if intent not in FIELDS:
        return None
    asked = [word for word in words if word not in _COMMON and len(word) > 2 and not word.isdigit()]
    if not asked:
        return None
    fields = FIELDS[intent].split("+")
    known = [word for word in asked if any({word, word.removesuffix("s")} & _vocabulary(field) for field in fields)]
    if not known and (len(asked) > 2 or intent in ("history", "independence", "government", "climate", "religion")):
        return None
    return f"{'+'.join(fields)}~{','.join(stem(word) for word in (known or asked)[:6])}"


def _test(intent: str, text: str, words: Sequence[str], found: Sequence[Mention], code: str | None) -> str | None:
    test = _number_test(intent, text) or _entity_test(intent, found, text)
    if test is None and intent == "airport" and code:
        test = f"airport={code.lower()}"
    if test is None:
        named = (name for name, pattern in rules()[intent].tests if pattern.search(text))
        test = next(named, None) or _word_test(intent, words)
    return test


_DENIED = re.compile(r"\b(not|never|outside|without|isnt|arent|doesnt|dont|cannot|neither)\b")


# --- guesses, and what is near to one

_LEAD = frozenset(
    "so well ok okay now then hmm hm oh ah aha maybe perhaps i would id say guess think believe bet suppose that my "
    "final answer let me lets try going with the and possibly probably it must be am im pretty sure last guessing "
    "yes no right alright please sir dear friend got know is".split()
)
_TAIL = frozenset(
    "right correct then perhaps maybe by any chance or not isnt it is that am i please yes no really possibly you there "
    "here my friend dear final answer guess as a last from do live think are in".split()
)
_HOME = (
    r"(?:(?:the|your|this|that|my|our) )?(?:(?:hidden|secret|mystery|mysterious|home|unknown|correct|right) )?"
    r"(?:city|town|hometown|home|place|answer|name|location|metropolis|home town|birthplace)(?: name)?"
    r"(?: (?:that |which |where )?(?:you|were|we|i)(?: (?:are|re|am|live|lived|come|were|was|born|looking|talking|thinking|"
    r"have|had|in|mind|from|about|of|for|describing|hiding|currently|living|do)){1,6})?(?: (?:called|named))?"
)
_GUESS = re.compile(
    r"(?:(?:is|was|could|can|might|may|would|must|isnt|wasnt) (?:it|this|that|he|" + _HOME + r")"
    r"(?: (?:be|actually|called|named|in|the city of|by any chance|perhaps|maybe|possibly|the|city|of|just|really|then|"
    r"about|town|located in|situated in|the capital|the city|your|hometown|beautiful|great|wonderful)){0,4} @"
    r"|(?:it|this|that|its|thats|it is|that is|" + _HOME + r")(?: (?:is|must be|might be|could be|has to be|s|was|may be)){0,2}"
    r"(?: (?:in|the city of|called))? @"
    r"|(?:is|are|do|did|were|would|could|might) (?:you|u|ya|we|i)(?: (?:be|from|in|living|live|come|born|reside|residing|"
    r"a native of|native of|originally|currently|actually|the city of|originate|speaking|calling|situated|located|based|"
    r"at|home in|mean|hail|inhabit|perhaps|maybe|by any chance|raised|now|talking about|thinking of|describing)){1,5} @"
    r"|(?:you|youre|u|you are|you must be|your)(?: (?:are|must be|come|live|be|from|in|were|born|living|mean|might|could)){0,4} @"
    r"|(?:is|could|was|would|might) @ (?:(?:be|maybe|perhaps) )?(?:the |your |my |a )?(?:" + _HOME + r"|it|one|right|correct|where you (?:are|live|come|were)(?: from| born)?)"
    r"|@ is (?:" + _HOME + r"|it|right|correct|where you (?:are|live|come)(?: from)?)"
    r"|(?:what|how) about @|(?:of )?@|do you call @ (?:your )?home|is your (?:home|city) in @|sounds like @|the city of @)"
)  # fmt: skip
_ASKS_NAME = re.compile(
    r"\b(?:name|names) of (?:the|your|this|that|it)\b ?(?:hidden |secret |home |own )?(?:city|country|town|hometown|place|nation|"
    r"state|province|capital|home|home town)?$|\b(?:city|country|town|place|hometown|nation|it) (?:called|named)$"
    r"|\b(?:city|country|town|place|hometown|nation)s? name\b|\bletters?\b(?!.*\b(?:alphabet|airport|code)\b)"
    r"|\b(?:start|begin|end)s? with\b|\bfirst letter\b|\bsyllables?\b|\brhymes?\b|\bspell(?:ed|ing)?\b|\banagram\b"
    r"|\binitials?\b|\bnationality\b|\bdemonym\b"
    r"|\b(?:tell|give|show|reveal|say|disclose)(?: me| us)?(?: just| simply)? (?:the|your|its) (?:name|answer|city|country|solution|secret)\b"
    r"|^what (?:is|was) it(?: called)?$|^where are you from exactly$|^what is the answer$|\bvowels?\b|\bconsonants?\b"
    r"|\bwhat do (?:people|you|locals|they) call (?:your|the|this) (?:city|country|town)\b"
    r"|^(?:please )?name (?:the|your) (?:city|country|town)\b|\bgive (?:me )?(?:a )?hint\b"
)  # fmt: skip
_NAME_NOUNS = frozenset("city country town nation place province state hometown".split())
_NAME_REST = frozenset(
    "is it are you do does did am i the your this that live lives living from in come comes belong belongs to city "
    "country located born were we we're currently right now called part of was have mind thinking about exactly on "
    "be can tell me situated resident a home talking guessing looking for".split()
)


def _asks_name(words: Sequence[str]) -> bool:
    text = " ".join(words)
    if _ASKS_NAME.search(text):
        return True
    for index, word in enumerate(words[:6]):
        if word in ("what", "which"):
            rest = [each for each in words[index + 1 :] if each not in ("the", "is", "your")]
            return bool(rest) and rest[0] in _NAME_NOUNS and all(each in _NAME_REST for each in rest[1:])
        if word not in _LEAD and word not in ("can", "could", "you", "tell", "me", "in", "from", "of"):
            return False
    return False


def _guess(words: Sequence[str], found: Sequence[Mention]) -> Reading | None:
    """A reading of a text that names cities, as far as it is not a question about something else."""
    named = [mention for mention in found if mention.one("city", "town")]
    if not named:
        return None
    shortened, country, place = [], None, 0
    for mention in found:
        if mention in named:
            shortened += [*words[place : mention.start], "@"]
        elif mention.one("country"):
            country = mention.one("country").value  # type: ignore[union-attr]
            shortened += words[place : mention.start]
        else:
            shortened += words[place : mention.end]
        place = mention.end
    shortened += words[place:]
    numbers = [each.numbers if (each := mention.one("city")) else frozenset[int]() for mention in named]
    same = frozenset.intersection(*numbers)
    text = re.sub(r"@(?: (?:or|aka|also|known|as|formerly|called|now|and|the city of|i mean|that is))*(?: @)+", "@ @", " ".join(shortened))
    several = "@ @" in text or len(named) > 1
    if several and same:
        text = text.replace("@ @", "@")
    text = re.sub(r"@ (?:in|city in|the capital of|capital of|the biggest city of)$", "@", text.strip())
    text = re.sub(r"\bthe capital (?:city )?(?:of )?@", "@", text)
    core = text.split()
    for _ in range(2):
        if _GUESS.fullmatch(" ".join(core)):
            break
        while core and core[-1] in _TAIL and core[0] != "@":
            core.pop()
            if _GUESS.fullmatch(" ".join(core)):
                break
        while core and core[0] in _LEAD and not _GUESS.fullmatch(" ".join(core)):
            core.pop(0)
        if core and core[0] == "@" and all(word in _TAIL for word in core[1:]):
            core = ["@"]
    if not _GUESS.fullmatch(" ".join(core)):
        return Reading("several", polar=True) if several and not same and "@ @" in text else None
    if several and not same:
        return Reading("several", polar=True)
    if words[0] in ("isnt", "wasnt") or "not" in core:
        return Reading("city", polar=True)
    return Reading("guess", polar=True, numbers=same, country=country)


# --- reading

_AUXILIARY = frozenset(
    "is are do does did was were has have had can could would will should may might must am isnt arent dont doesnt didnt "
    "wasnt werent hasnt havent cant couldnt wouldnt".split()
)
_CONTRACTED = {
    "whats": "what is", "wheres": "where is", "whos": "who is", "hows": "how is", "whens": "when is", "im": "i am",
    "youre": "you are", "theres": "there is", "thats": "that is", "ur": "your", "u": "you", "its": "its",
}  # fmt: skip
_OPENING = re.compile(
    r"^(?:(?:so|well|ok|okay|now|hmm|hm|and|also|alright|great|nice|thanks|thank you|cool|interesting|good|please|hi|hello|hey|"
    r"next question|question|let me ask|one more question|another question|tell me then|just curious|i wonder|im curious|"
    r"i am curious|i would like to know|id like to know|i want to know|may i ask|can i ask|could i ask|but|then) )+"
)
_INDIRECT = re.compile(
    r"^(?:(?:can|could|would|will) you (?:please )?(?:tell|say|confirm|let)(?: me| us)?(?: know)?|tell me|do you know|let me know|would you say|"
    r"would you say that|is it true that|is it correct that|would you describe it as|i wonder|are you able to say) (?:if |whether |that )?"
)
_TELL = re.compile(
    r"^(?:(?:can|could|would|will) you (?:please |kindly )?|please |do you mind )?(?:tell|describe|name|give|explain|share|"
    r"recommend|list|mention|talk|suggest|say|telling)\b"
)
_CHOICE = re.compile(r"\bor\b(?! (?:not|so|more|less|something|anything|another|other|even|at least|a similar|the like)\b)")


def _simplified(text: str) -> str:
    text = re.sub(r"(?<=\d)\.(?=\d)", "p", text)
    words = [_CONTRACTED.get(word, word) for word in re.sub(r"\bsaint\b", "st", fold(text)).split()]
    return _OPENING.sub("", " ".join(words))


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
    if first in _AUXILIARY:
        return text, True
    if re.match(r"(?:in|on|at|from|to|for|by|of|with|about|roughly|under)? ?(?:what|which|where|who|whose|whom|how|when|why)\b", text):
        return text, False
    return text, bool(re.match(r"(?:your?|you|it|this|the|there|people|that) ", text)) and bool(
        re.search(r"\b(?:right|correct|isnt it|is it|dont you|arent you|doesnt it|yes|no)$", text)
        or re.match(r"(?:you (?:are|live|have|eat|speak|drive|use)|it is|it has|your city (?:is|has)|there (?:is|are))\b", text)
    )


@lru_cache(32768)
def read(text: str, matcher: str = "lexical") -> Reading:
    """What a text asks.

    Args:
        text (`str`): any text.
        matcher (`str`, *optional*, defaults to `"lexical"`): finds the nearest known question where the rules find
            nothing: `"lexical"` by words and parts of words, `"embeddings"` by a small sentence model.
    """
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
    found = mentions(words)
    guess = _guess(words, found)
    if guess is not None:
        return guess
    if _asks_name(words):
        return Reading("name")
    return _ask(text, question, found, matcher)


def _ask(text: str, question: str, found: list[Mention], matcher: str) -> Reading:
    question, polar = _is_polar(question)
    words = question.split()
    for mention in found:
        if mention.one("city", "town"):
            question = re.sub(f"\\b{re.escape(mention.name)}\\b", "@city", question)
    city = next((place for mention in found if (place := mention.one("city", "town"))), None)
    if polar and city is not None and (compared := _city_test("", question, city.numbers)):
        return Reading("ask", compared[0], _signed(compared[1], question), True)
    score = points(question, found)
    ranked = score.most_common()
    intent = ranked[0][0] if ranked and ranked[0][1] >= 4 else None
    if intent == "none":
        return Reading("none")
    near = None
    if intent is None or ranked[0][1] < 5:
        near = nearest(text, question, matcher, ranked[0][0] if ranked else None)
        if near is not None and near.intent in INTENTS:
            intent = near.intent
        elif intent is None or (near is not None and near.intent == "none"):
            if city is not None:
                return Reading("city", polar=polar)
            if re.fullmatch(r"(?:Is|Is it|Are you from|Do you live in|Could it be)((?: [A-Z][\w'-]+){1,3})\s*\??", text):
                return Reading("guess", polar=True)  # a name nobody knows
            return Reading("name") if near is not None and near.intent == "name" else Reading("none")
    if not polar or _CHOICE.search(question):
        return Reading("ask", intent)
    code = re.search(r"\b[A-Z]{3}\b", text)
    test = _test(intent, question, words, found, code[0] if code else None)
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
