"""Tells whether a text guesses a city or asks for its name.

A guess is a part of the text, between commas or the like, that names a city in a frame such as `is it @`, or beside
words of somebody who guesses, or alone. Words that compare a city with another one make it a question about places.
"""

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import cache
from typing import NamedTuple

from lmrl_data.tasks.guess_my_city.facts import (
    Mention,
    all_cities,
    field_text,
    fold,
    mentions,
    place_index,
    spellings,
    word_list,
)
from lmrl_data.tasks.guess_my_city.forms import Reading, known

# The words of a guess around the name, which is written @.
_HOME = (
    r"(?:(?:the|your|ur|this|that|my|our) )?(?:(?:hidden|secret|mystery|mysterious|home|unknown|correct|right) )?"
    r"(?:city|town|hometown|home|place|answer|name|location|metropolis|home town|birthplace)(?: name)?"
    r"(?: (?:that |which |where )?(?:you|u|were|we|im|i)"
    r"(?: (?:are|re|am|live|lived|come|were|was|born|looking|talking|thinking|have|had|in|mind|from|about|of|for|"
    r"describing|hiding|currently|living|do|call|home)){1,6})?(?: (?:called|named))?"
)
_WHERE = r"where (?:you|u) (?:are|live|come|were)(?: from| born)?"
_FRAME = re.compile(
    "|".join(
        (
            r"(?:is|was|could|can|might|may|would|must|should|isnt|wasnt) (?:it|this|that|he|" + _HOME + ")"
            r"(?: (?:be|happen|to|actually|called|named|known as|in|by any chance|perhaps|maybe|possibly|the|city|of|"
            r"just|really|then|about|town|located|situated|capital|your|hometown|beautiful|great|wonderful)){0,6} @",
            r"(?:it|this|that|its|thats|" + _HOME + ")"
            r"(?: (?:is|must|might|could|has|have|got|gotta|should|would|can|may|will|s|was|be|to|only)){0,4}"
            r"(?: (?:in|the city of|called))? @",
            r"(?:is|are|r|do|did|were|would|could|might) (?:you|u|ya|we|i)"
            r"(?: (?:be|from|in|living|live|come|born|reside|residing|a native of|native of|originally|currently|"
            r"actually|the city of|originate|speaking|calling|situated|located|based|at|home|happen|to|mean|hail|"
            r"inhabit|perhaps|maybe|by any chance|raised|now|talking about|thinking of|describing|writing)){1,5} @",
            r"(?:you|youre|u|your|ur)(?: (?:are|r|must|come|live|be|from|in|were|born|living|mean|might|could|"
            r"writing)){0,5} @",
            r"(?:is|could|was|would|might) @ (?:(?:be|maybe|perhaps) )?(?:the |your |my |ur |a )?"
            r"(?:" + _HOME + "|it|one|right|correct|" + _WHERE + ")",
            r"@ is (?:" + _HOME + "|it|right|correct|" + _WHERE + ")",
            r"(?:what|how) about @|(?:of )?@|do (?:you|u) call @ (?:your )?home|is your (?:home|city) in @|"
            r"sounds like @|the city of @|@ (?:in|on) (?:the )?\^",
        )
    )
)
_STARTS = frozenset(
    ["is", "are", "it", "its", "you", "u", "ur", "youre", "could", "might", "must", "would", "do", "the"]
)
# Words of somebody who guesses.
_CUE = re.compile(
    r"\b(?:guess\w*|answer\w*|final\w*|correct|right|must|gotta|has to be|have to be|conclu\w*|gonna say|"
    r"i say|i d say|"
    r"id say|going with|go with|goes with|going for|go for|bet|deduc\w*|think\w*|believe|confident|certain|sure\w*|"
    r"choose|pick|propos\w*|submit|suppose|lock\w*|hypothesis|candidate|solution|ventur\w*|evidence|"
    r"points? to|appears|"
    r"seems|suggests?|fits?|happen to be|resident of|native of|speaking with|writing from|in mind|reveal\w*|got it|"
    r"gave it away|definitely|obviously|probably|perhaps|duh|lol|easy|done|bingo|i take it|i wonder|i reckon|no doubt|"
    r"let me try|try|solved|all the clues|clues)\b"
)
# Words that set a city beside another one, or ask about something in it.
_RELATION = re.compile(
    r"\b(?:than|behind|ahead|above|below|time|born|near\w*|close|closer|closest|far|farther|further|same|similar\w*|compar\w*|rivals?|between|"
    r"within|border\w*|"
    r"neighbo\w*|distance|driv\w+|flights?|fly|flying|trains?|trip|visit\w*|been|ever|upriver|downriver|upstream|"
    r"downstream|across|next|outside|around|people of|club|speak|eat|rains?|weather|hours?|as \w+ as|"
    r"as (?:in|many|much)|"
    r"do they|are there|do you (?:have|eat|like|know)|does|follow|miles|kilomet\w+|km|apart|unlike|resembl\w*|rather|"
    r"beans?|before|after|besides|anywhere|somewhere|bigger|smaller|larger|older|younger|hotter|colder|warmer|richer|"
    r"cooler|wetter|drier|(?:north|south|east|west)(?:ern|ward)? of|to the (?:north|south|east|west)|"
    r"region of|state of|"
    r"province of|suburb|part of|lake|river|sea|team|beans?|like (?:in|the one|that|those)|what is|what are|"
    r"how|why|who|"
    r"capital like|famous as|(?:have|know) \w+ like|if|which (?:city|country)|other|day trip)\b"
)
# A question about the city that stands beside a remark on another one.
_ASKS = re.compile(
    r"\b(?:is|are|r|does|do|has|have|would|could|can|did|was|were|will) (?:you|u|your|yours|ur|its?|the|there|this|"
    r"people|folks?|nobody|they|one|locals|anyone|anybody|everyone)\b(?! (?:right|correct|it)\b)"
)
_NOT = re.compile(r"\b(?:not|isnt|wasnt|arent|never|no longer|neither|except|ruled out|cant be|cannot be)\b(?! it\b)")
_TAG = re.compile(
    r"\b(?:isnt|arent|dont|doesnt|wasnt|innit) ?(?:it|you|u|that|ya)?$|\bor (?:not|what)$|\bam i (?:right|wrong)$"
)
_OTHER_NAMES = re.compile(
    r"(?:\^ )*@(?: (?:or|aka|also|known|as|formerly|called|now|the|city|of|i|mean|that|is|which|used|to|be|once|"
    r"spelled|old|new|officially))*(?: @)+"
)
_NAMED_THINGS = frozenset([
    "airport", "language", "alphabet", "flag", "currency", "money", "river", "sea", "lake", "mountain", "dish", "food",
    "holiday", "festival", "landmark", "religion", "sport", "team", "street",
])  # fmt: skip
_PLACE = r"(?:city|country|town|place|hometown|nation)"
_ASKS_NAME = re.compile(
    "|".join(
        (
            r"\bnames? of (?:the|your|ur|this|that|it)\b ?(?:hidden |secret |home |own )?"
            r"(?:" + _PLACE + "|state|province|capital|home|home town)?$",
            r"\b(?:" + _PLACE + r"|it) (?:called|named)$|\b" + _PLACE + r"s? name\b|\bname (?:contain|have|consist)\b",
            r"\b(?:how many|what|which|first|last|second) letters?\b"
            r"(?!.*\b(?:alphabet|script|airport|code|signs?|street)\b)",
            r"\b(?:start|begin|end)s? with\b",
            r"\bsyllables?\b|\brhymes?\b|\bspell(?:ed|ing)?\b|\banagram\b|\binitials?\b|\bnationality\b|\bdemonym\b",
            r"\bvowels?\b|\bconsonants?\b",
            r"\b(?:tell|give|show|reveal|say|disclose)(?: me| us)?(?: just| simply)? (?:the|your|its|ur) "
            r"(?:name|answer|city|country|solution|secret)\b",
            r"^what (?:is|was) it(?: called)?$|^where are you from exactly$|^what is the answer$",
            r"\bwhat do (?:people|you|locals|they) call (?:your|the|this) " + _PLACE + r"\b",
            r"^(?:please )?name (?:the|your) " + _PLACE + r"\b|\bgive (?:me )?(?:a )?hint\b",
        )
    )
)


def asks_name(words: Sequence[str]) -> bool:
    text = " ".join(words)
    if _ASKS_NAME.search(text) and not _NAMED_THINGS & set(words):
        return True
    for index, word in enumerate(words[:6]):
        if word in ("what", "which"):
            rest = [word for word in words[index + 1 :] if word not in ("the", "is", "your")]
            return (
                bool(rest)
                and rest[0] in word_list("named")
                and all(word in word_list("name_rest") for word in rest[1:])
            )
        if word not in word_list("before") and word not in ("can", "could", "you", "tell", "me", "in", "from", "of"):
            return False
    return False


class Part(NamedTuple):
    """A part of a text: its words with @ for a city and ^ for another place, and what these may be."""

    text: str
    cities: tuple[frozenset[int], ...]
    places: tuple[Mention, ...]


def guess(text: str) -> Reading | None:
    """The reading of a text that names cities; `None` if it is a question about something else."""
    raw = re.sub(r"\bst\.", "st", text, flags=re.I)
    parts = [part for piece in re.split(r"[,.;:!?()\n]| - |\u2014", raw) if (part := _part(fold(piece))).text]
    respelled = not any(part.cities for part in parts)
    if respelled and len(text.split()) < 12:
        parts = list(_respelled(parts))
    named = [part for part in parts if part.cities]
    if not named:
        return None
    asks = any(_ASKS.search(part.text) for part in parts if not part.cities)
    cue = not asks and any(_CUE.search(part.text) for part in parts)
    last = parts[-1]
    hits = [part for part in named if _frames(part) or (not asks and _states(part, cue, respelled))]
    if not hits and any(re.search(r"\b(?:it|you|u|this|that|city) not (?:in |from )?@$", part.text) for part in named):
        return Reading("city", polar=True)
    if not hits:
        several = [part for part in named if len(set(part.cities)) > 1 and not _RELATION.search(part.text)]
        return Reading("several", polar=True) if several else None
    if any(_NOT.search(_TAG.sub("", part.text)) for part in hits):
        return Reading("city", polar=True)
    numbers = [cities for part in hits for cities in part.cities]
    same = frozenset.intersection(*numbers)
    if not same and len({min(cities, default=-1) for cities in numbers}) > 1:
        return Reading("several", polar=True)
    country = None
    for part in parts:
        if part in hits or not part.cities:
            for place in part.places:
                if state := place.one("state"):
                    same &= {city.number for city in all_cities() if city.name in state.value.split(", ")}
                elif (one := place.one("country")) and not (part is last and part not in hits and "not" in part.text):
                    country = one.value
    towns = {
        mention.name for mention in mentions(fold(raw).split()) if mention.one("town") and not mention.one("city")
    }
    name = towns.pop().title() if len(towns) == 1 and not same else None
    return Reading("guess", polar=True, numbers=same, country=country, name=name)


def _part(folded: str) -> Part:
    words = re.sub(r"\bsaint\b", "st", folded).split()
    named, shown, place = [], list[str](), 0
    for mention in mentions(words):
        kinds = {each.kind for each in mention.places}
        if not kinds & {"city", "town", "country", "state", "area", "continent", "sea", "demonym"}:
            continue
        named.append(mention)
        shown += [*words[place : mention.start], "@" if kinds & {"city", "town"} else "^"]
        place = mention.end
    shown += words[place:]
    cities = tuple(
        city.numbers if (city := mention.one("city")) else frozenset[int]()
        for mention in named
        if mention.one("city", "town")
    )
    return Part(" ".join(shown), cities, tuple(mention for mention in named if not mention.one("city", "town")))


def _core(part: Part) -> tuple[str, list[str]]:
    """The words of a part of a text with one @ for all names of a city, and those without fillers around them."""
    text = _OTHER_NAMES.sub("@", _TAG.sub("", part.text).strip())
    text = re.sub(
        r"@(?: (?:in|city in|the capital of|capital of|the biggest city of|on))? (?:the )?\^(?: \^)*", "@", text
    )
    text = re.sub(r"\bthe (?:\^ )?capital (?:city )?(?:of (?:\^ )?)?@", "@", text)
    core = text.split()
    while core and core[-1] in word_list("after") and core[-1] != "@" and not _FRAME.fullmatch(" ".join(core)):
        core.pop()
    while core and core[0] in word_list("before") and not _FRAME.fullmatch(" ".join(core)):
        core.pop(0)
    return text, core


def _frames(part: Part) -> bool:
    """Whether a part of a text is a guess in a known frame, such as `is it @`."""
    return _FRAME.fullmatch(" ".join(_core(part)[1])) is not None


def _states(part: Part, cue: bool, respelled: bool) -> bool:
    """Whether a part of a text states a guess in words of its own.

    Args:
        cue (`bool`): whether the text has words of somebody who guesses.
        respelled (`bool`): whether the name had to be spelt rightly first; then it takes such words, or little else.
    """
    text, core = _core(part)
    text = text.replace("so far", "")
    if _RELATION.search(text) or text.count("@") > 1:
        return False
    if any(word in _STARTS and _FRAME.fullmatch(" ".join(core[place:])) for place, word in enumerate(core)):
        return True
    if re.match(r"(?:is|are|do|does|did|was|were|has|have|had|can|could|would|will|r|any|there|in)\b", text):
        return _CUE.search(text) is not None
    if not cue and re.match(r"(?:so )?(?:im|i am|ive|i was|i got|i had|i keep|id|we|when|every|my|suppose)\b", text):
        return False
    if respelled and not cue:
        return text.startswith("@") and len(core) < 5 and not re.search(r"@ (?:is|n|not|mostly|there|thr|and)\b", text)
    # "tsingtao like the beer", "I say Bogor": a statement that sets it beside nothing.
    return cue or not re.search(r"@ (?:is|has|was|does|or|and)\b", text)


# --- misspelt names


@cache
def _names_by_letter() -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for city in all_cities():
        for name in spellings(city):
            if len(name) > 4:
                names.setdefault(name[0], []).append(name)
    return names


@cache
def vocabulary() -> frozenset[str]:
    """Words that are no misspelt names: those of the known questions, of the facts and of the lists."""
    words = {word for text in known() for word in text.split()}
    words |= {word for kind in ("common", "before", "after", "name_rest") for word in word_list(kind)}
    for city in all_cities():
        for field in ("food", "landmarks", "history", "economy", "known_for", "culture", "terrain"):
            words.update(field_text(field, city).split())
    names = {word for name in place_index() for word in name.split()}
    return frozenset(words - names) | {"country", "answer", "final"}


def _respelled(parts: Sequence[Part]) -> Iterator[Part]:
    """The parts with the names of cities in them spelt rightly."""
    for part in parts:
        words = part.text.split()
        for size in (3, 2, 1):
            for start in range(len(words) - size + 1):
                name = " ".join(words[start : start + size])
                if len(name) < 5 or name[0] in "@^" or (size == 1 and name in vocabulary()):
                    continue
                cutoff = 0.8 if len(name) < 8 else 0.84
                alike = [
                    other
                    for other in _names_by_letter().get(name[0], ())
                    if abs(len(other) - len(name)) < 3 and len({*other} ^ {*name}) < 5
                ]
                close = get_close_matches(name, alike, n=1, cutoff=cutoff)
                if close:
                    yield _part(" ".join([*words[:start], close[0], *words[start + size :]]))
                    break
            else:
                continue
            break
        else:
            yield part
