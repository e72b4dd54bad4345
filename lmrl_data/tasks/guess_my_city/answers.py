"""The answers of Guess My City: sentences made from a city's facts, in several wordings that do not give it away.

`answers.txt` holds the sentences, `facts.txt` one for each fact. A sentence with a slot is written out once for each
value of the slot; one that would name the city or its country is dropped. An open question is answered with what many
cities have in common first; what is true of few or of one city comes later, see `tiers`.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, product
from typing import Any, NamedTuple

from lmrl_data.dialogue.asset import lines
from lmrl_data.tasks.guess_my_city.facts import (
    City,
    Fact,
    Test,
    cities,
    fact_of,
    facts,
    holds,
    leaks,
    parsed,
    to_ascii,
)
from lmrl_data.tasks.guess_my_city.forms import Reading

YES = ("Yes, ", "Yes, indeed, ", "Yes, certainly, ")
NO = ("No, ", "No, I'm afraid ", "No, sorry, ")
FEWEST = 4  # wordings of an answer
# The topics whose answer is one value. An answer may name it from 3 cities on that share it; the items of a list, as
# dishes or sights, from 8 cities on. What is true of one city only is never among the first answers.
ONE_VALUE = frozenset([
    "continent", "region", "hemisphere", "tropics", "coast", "climate", "temperature", "snow", "population",
    "elevation", "river", "capital", "language", "currency", "religion", "independence", "government", "airport",
    "driving_side", "time_zone", "neighbours", "holiday", "flag",
])  # fmt: skip
MANY, FEW = {True: 3, False: 8}, {True: 2, False: 3}


class Template(NamedTuple):
    test: str | None
    text: str
    slots: tuple[str, ...]


@cache
def templates() -> dict[str, tuple[Template, ...]]:
    by_intent: dict[str, list[Template]] = {}
    for line in lines("guess_my_city", "answers.txt"):
        if line.startswith("@"):
            listed = by_intent.setdefault(line[1:].strip(), [])
        else:
            test, mark, text = line.rpartition(" :: ")
            listed.append(Template(test if mark else None, text, tuple(re.findall(r"\{(\w+)\}", text))))
    return {intent: tuple(listed) for intent, listed in by_intent.items()}


@cache
def fixed(kind: str) -> tuple[str, ...]:
    """The sentences of a part of the game that is no fact: `none`, `name`, `several`, `city`, `wrong` and so on."""
    return tuple(template.text for template in templates()[kind])


# --- slots


def count_words(number: float) -> str:
    """A number of people in round numbers."""
    if number >= 1e6:
        return f"{number / 1e6:.1f}".removesuffix(".0") + " million"
    return f"{round(number, -4 if number >= 1e5 else -3):,.0f}"


def _pairs(items: Sequence[str]) -> list[str]:
    if len(items) < 2:
        return list(items)
    return [f"{item} and {items[(place + 1) % len(items)]}" for place, item in enumerate(items)][: len(items) * 2 - 2]


def listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _with_the(name: str, words: Iterable[str]) -> str:
    return f"the {name}" if any(word in name for word in words) and not name.startswith(("the ", "Lake ")) else name


def _clock(offset: float) -> str:
    hours, minutes = divmod(int(offset * 60) + 12 * 60, 60)
    text = f"{(hours - 1) % 12 + 1}{f':{minutes:02d}' if minutes else ''} {'pm' if hours % 24 >= 12 else 'am'}"
    return {"12 pm": "noon", "12 am": "midnight"}.get(text, text)


def _offset(offset: float) -> str:
    hours, minutes = divmod(round(abs(offset) * 60), 60)
    return f"UTC{'-' if offset < 0 else '+'}{hours}{f':{minutes:02d}' if minutes else ''}"


def _ahead(offset: float) -> str:
    hours = f"{abs(offset):g} hour{'' if abs(offset) == 1 else 's'}"
    return f"{hours} {'behind' if offset < 0 else 'ahead of'}" if offset else "on the same time as"


def _government(name: str) -> str:
    if name.endswith(" rule") and " under " not in name:
        return name
    return f"{'an' if name[:1].lower() in 'aeio' else 'a'} {name}"


def _independence(text: str) -> tuple[list[str], list[str]]:
    match = re.match(r"(\d{4})(?: from (?:the )?(.+))?$", text)
    if match is None:
        year = re.search(r"\d{4}", text)
        return ([year[0]] if year else []), []
    ruler = match[2]
    return [match[1]], [] if ruler is None else [
        _with_the(ruler, ("Kingdom", "Union", "Empire", "States", "Netherlands"))
    ]


# Slots that stand for some of a list: the fact, and how many of it are named.
_LISTS: dict[str, tuple[str, Callable[[Sequence[str]], list[str]]]] = {
    "terrain": ("terrain", list), "languages": ("languages", lambda items: [listed(items)] if items else []),
    "food": ("food", _pairs), "food_one": ("food", list), "landmark": ("landmarks", list),
    "landmarks": ("landmarks", _pairs), "history": ("history", list), "economy": ("economy", _pairs),
    "economy_one": ("economy", list), "exports": ("exports", _pairs), "export_one": ("exports", list),
    "agriculture": ("agriculture", _pairs), "farm_one": ("agriculture", list), "sport": ("sport", _pairs),
    "sport_one": ("sport", list), "transport": ("transport", list), "neighbours": ("neighbours", _pairs),
    "neighbour": ("neighbours", list), "known_for": ("known_for", _pairs), "known": ("known_for", list),
    "culture": ("culture", _pairs), "culture_one": ("culture", list),
}  # fmt: skip
_THE = ("Kingdom", "States", "Netherlands", "Philippines", "Republic of", "Emirates", "Maldives", "Gambia", "Comoros")


@cache
def used_slots(intent: str) -> frozenset[str]:
    return frozenset(name for template in templates()[intent] for name in template.slots)


@cache
def slots(city: City, intent: str) -> dict[str, tuple[str, ...]]:
    """The values each slot can take for a city, without those that would give it away."""
    values = dict(_single_values(city))
    for slot in used_slots(intent) & _LISTS.keys():
        field, choose = _LISTS[slot]
        items = [_with_the(item, _THE) if field == "neighbours" else item for item in city.facts[field]]
        values[slot] = choose([item for item in map(to_ascii, items) if not leaks(city, item, intent)])
    return {slot: tuple(to_ascii(value) for value in values[slot] if value) for slot in used_slots(intent)}


@cache
def _single_values(city: City) -> dict[str, list[Any]]:
    facts = city.facts
    values: dict[str, list[Any]] = {
        "continent": [facts["continent"]],
        "region": [
            _with_the(facts["region"] or "", ("Middle", "Caribbean", "Balkan", "Caucasus", "Baltic", "Mediterr"))
        ],
        "hemisphere": [facts["hemisphere"]],
        "latitude": [f"{abs(facts['lat']):.0f}"],
        "sea": [_with_the(facts["coast_name"] or "", ("Ocean", "Sea", "Gulf", "Bay", "Strait", "Channel"))],
        "coast_km": [f"{facts['coast_km']:.0f}"],
        "climate": [facts["climate"]],
        "people": [count_words(facts["population"])],
        "metres": [] if facts["elevation_m"] is None else [f"{round(facts['elevation_m'], -1):,.0f}"],
        "feet": [] if facts["elevation_m"] is None else [f"{round(facts['elevation_m'] * 3.281, -2):,.0f}"],
        "river": [facts["river"]],
        "language": facts["languages"][:1],
        "currency": [facts["currency"]],
        "money": [(facts["currency"] or "").removeprefix("the ")],
        "religion": [facts["religion"]],
        "government": [_government(facts["government"])] if facts["government"] else [],
        "airport": [facts["airport"]],
        "side": [facts["driving_side"]],
        "wheel": ["left" if facts["driving_side"] == "right" else "right"],
        "holiday": [facts["holiday"]],
        "flag": [listed(facts["flag_colours"])] if facts["flag_colours"] else [],
    }
    if facts["utc_offset"] is not None:
        offset = facts["utc_offset"]
        values |= {"utc": [_offset(offset)], "ahead": [_ahead(offset)], "noon": [_clock(offset)]}
    else:
        values |= {"utc": [], "ahead": [], "noon": []}
    values["year"], values["ruler"] = _independence(facts["independence"] or "")
    return values


# --- sentences


def _written(
    city: City, intent: str, spoken: Collection[str] = frozenset()
) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """The sentences, the slots and the values in them, without those whose values are all spoken already."""
    known = slots(city, intent)
    for test, text, names in templates()[intent]:
        if test is not None and not holds(test, city):
            continue
        for values in product(*(known.get(name, ()) for name in names)):
            if spoken and values and all(value in spoken for value in values):
                continue
            filled = text
            for name, value in zip(names, values, strict=True):
                filled = filled.replace(f"{{{name}}}", value, 1)
            if not leaks(city, filled, intent):
                yield filled, names, values


@cache
def topic_facts(intent: str) -> tuple[Fact, ...]:
    """The named facts of a topic."""
    return tuple(fact for fact in facts().values() if fact.topic == intent)


def _true_facts(city: City, intent: str) -> list[Fact]:
    """The facts of a topic that an open answer may tell: true ones; who asks for food is not told about drinks."""
    return [
        fact
        for fact in topic_facts(intent)
        if fact.name not in ("tea", "coffee", "alcohol")
        and fact.verdict(city) is True
        and not leaks(city, fact.say, intent)
    ]


@cache
def _shared(config: str, intent: str) -> Counter[str]:
    """How many cities share each value, each sentence without a value, and each fact of a topic."""
    counts: Counter[str] = Counter()
    for city in cities(config):
        known = slots(city, intent)
        found = {f"{slot}={value}" for slot, values in known.items() for value in values}
        found.update(
            text for test, text, names in templates()[intent] if not names and (test is None or holds(test, city))
        )
        found.update(fact.say for fact in _true_facts(city, intent))
        counts.update(found)
    return counts


@cache
def tiers(
    config: str, city: City, intent: str, narrow: bool = False
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The sentences that answer an open question, by how many cities share what they say: many, few, or one or two.

    A question for one thing (`narrow`), as a dish, is answered with values alone. An empty tier holds the sentences of
    the next one that tells less, or else of the one that tells least.
    """
    counts = _shared(config, intent)
    one_value = intent in ONE_VALUE
    named = [
        (counts[fact.say], frame.replace("{}", fact.say))
        for fact in ([] if narrow else _true_facts(city, intent))
        for frame in fixed("frame")
    ]
    written = [
        (min(map(counts.__getitem__, map("{}={}".format, names, values) if values else (text,))), text)
        for text, names, values in _written(city, intent)
    ]
    many, few = MANY[one_value], FEW[one_value]
    # A value that enough cities share answers the question better than a fact about it.
    telling = [text for count, text in written if count >= many]
    general = [text for count, text in named if count >= many]
    ranks = [
        telling if one_value and telling else telling + general,
        [text for count, text in written + named if few <= count < many],
        [text for count, text in written if count < few],
    ]
    if narrow and len(ranks[0]) < FEWEST:
        ranks[0] = ranks[0] + ranks[1]
    first = next((rank for rank in ranks if rank), [])
    if len({*chain(*ranks)}) < FEWEST:
        first += fixed("unknown")
    general_tier = tuple(dict.fromkeys(ranks[0] or first))
    middle_tier = tuple(dict.fromkeys(ranks[1])) or general_tier
    return general_tier, middle_tier, tuple(dict.fromkeys(ranks[2])) or middle_tier


@cache
def wordings(city: City, intent: str) -> tuple[str, ...]:
    """Every sentence that may answer an open question about a city, as it follows `Yes, `."""
    config = "extended" if city.facts["extended"] else "standard"
    return tuple(dict.fromkeys(text for tier in tiers(config, city, intent) for text in tier))


def sentence(clause: str) -> str:
    """A wording on its own: with a capital letter."""
    return clause[0].upper() + clause[1:]


# --- yes or no


@cache
def _value_sentences() -> dict[tuple[str, str], tuple[str, ...]]:
    """What is said beside a yes or no about a value: by the test's field and the verdict."""
    kept: dict[tuple[str, str], tuple[str, ...]] = {}
    for line in fixed("value"):
        key, _, text = line.partition(": ")
        field, _, verdict = key.partition(" ")
        kept[field, verdict] = (*kept.get((field, verdict), ()), text)
    return kept


def support(city: City, test: str) -> tuple[str, ...]:
    """The sentences that say exactly what makes a test true or false of a city; none if there is nothing to add."""
    if fact := fact_of(test):
        verdict = fact.verdict(city)
        return () if verdict is None else (fact.say if verdict else fact.deny,)
    if test.startswith("!"):
        return support(city, test[1:])
    parts = parsed(test)
    if isinstance(parts, Test):
        said = _value_sentences().get((parts.field + parts.operator, "yes" if holds(test, city) else "no"), ())
        said = said or _value_sentences().get((parts.field, "yes" if holds(test, city) else "no"), ())
        return tuple(text.replace("{continent}", city.facts["continent"]) for text in said)
    if parts is None:
        return ()
    verdicts = {part: holds(part, city) for part in parts[1]}
    if parts[0] == "|":
        true = next((part for part, verdict in verdicts.items() if verdict), None)
        if true is None:
            return fixed("neither")
        # "It lies there" would not say which of the two is right.
        return (f"it lies in {city.facts['continent']}.",) if true.startswith("continent=") else support(city, true)
    false = next((part for part, verdict in verdicts.items() if verdict is False), None)
    if false is not None:
        return support(city, false)
    sentences = [support(city, part) for part in parts[1]]
    return (", and ".join(texts[0].removesuffix(".") for texts in sentences) + ".",) if all(sentences) else ()


@cache
def _verdict_replies(city: City, intent: str, test: str) -> tuple[str, ...]:
    verdict = holds(test, city)
    if verdict is None:
        return fixed("unsure")
    if verdict and test.startswith(("country=", "same_country=")):
        return fixed("country_yes")
    said = [text for text in support(city, test) if not leaks(city, text, intent)]
    alone = fixed("yes" if verdict else "no")
    # Beside four that say why, one that only says yes or no.
    joined = [opening + text for text in said for opening in (YES if verdict else NO)]
    if joined and " | " in test:
        return tuple(joined)  # a mere yes does not say to what
    return (*joined, *alone[: max(1, len(joined) // 3)]) if joined else alone


def replies(config: str, city: City, reading: Reading, depth: int) -> tuple[str, ...]:
    """Every reply that a question in scope may get after `depth` questions on its topic: the same in other words."""
    assert reading.intent is not None
    if reading.test is not None:
        return _verdict_replies(city, reading.intent, reading.test)
    if reading.polar:
        return fixed("unsure")
    return tiers(config, city, reading.intent, reading.narrow and reading.intent == "food")[min(depth, 2)]


def answer(config: str, city: City, reading: Reading, number: int, depth: int = 0) -> str:
    """The reply to a question in scope; the number chooses the words."""
    return sentence(pick(replies(config, city, reading, depth), number))


def answers(city: City, reading: Reading) -> tuple[str, ...]:
    """Every reply that a question in scope may get, however often its topic was asked about."""
    config = "extended" if city.facts["extended"] else "standard"
    texts = (text for depth in range(3) for text in replies(config, city, reading, depth))
    return tuple(dict.fromkeys(map(sentence, texts)))


@cache
def phrases(city: City, intent: str) -> frozenset[str]:
    """The phrases that an answer about an intent may contain for this city: values, or whole sentences."""
    spoken: set[str] = set()
    for filled, _, values in _written(city, intent, spoken):
        spoken.update(values or (filled,))
    for slot in used_slots(intent) & _LISTS.keys():
        spoken.update(to_ascii(item) for item in city.facts[_LISTS[slot][0]])
    for fact in topic_facts(intent):
        verdict = fact.verdict(city)
        if verdict is not None:
            spoken.add(fact.say if verdict else fact.deny)
    return frozenset(spoken)


def pick(choices: Sequence[str], number: int) -> str:
    """One of the choices, by any number."""
    return choices[number % len(choices)]
