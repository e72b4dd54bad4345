"""The answers of Guess My City: sentences made from a city's facts, in several wordings that do not give it away.

`answers.txt` holds the sentences. A sentence with a slot is written out once for each value of the slot; one that
would name the city or its country is dropped.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache
from itertools import product
from typing import Any, NamedTuple

from lmrl_data.dialogue.asset import lines
from lmrl_data.tasks.guess_my_city.facts import City, fold, has_word, holds, leaks, sought, to_ascii
from lmrl_data.tasks.guess_my_city.forms import Reading

YES = ("Yes, ", "Yes, that's right: ", "Yes, indeed, ")
NO = ("No, ", "No, not really: ", "No, I'm afraid not: ")
UNSURE = ("I'm not sure, but ", "Hard to say; ", "I can't tell for certain, but ")
FEWEST = 4  # wordings of an answer


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


@cache
def wordings(city: City, intent: str) -> tuple[str, ...]:
    """Every sentence that answers an open question about a city, as it follows `Yes, `."""
    clauses = list(dict.fromkeys(text for text, _ in _written(city, intent)))
    if len(clauses) < FEWEST:
        clauses += fixed("unknown")
    return tuple(clauses)


def _written(city: City, intent: str, spoken: Collection[str] = frozenset()) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The sentences with the values in them, without those whose values are all spoken already."""
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
                yield filled, values


def sentence(clause: str) -> str:
    """A wording on its own: with a capital letter."""
    return clause[0].upper() + clause[1:]


def _openings(city: City, reading: Reading) -> tuple[str, ...]:
    """How a reply begins; nothing where it is not a yes or no."""
    if reading.test is None:
        return ("",)
    verdict = holds(reading.test, city)
    return UNSURE if verdict is None else YES if verdict else NO


@cache
def _clauses(city: City, intent: str, words: tuple[str, ...]) -> tuple[str, ...]:
    """The wordings that name one of the words, if any do: a yes about football is followed by football."""
    clauses = wordings(city, intent)
    return tuple(text for text in clauses if any(has_word(f" {fold(text)} ", word) for word in words)) or clauses


def _sayings(city: City, reading: Reading) -> tuple[str, ...]:
    assert reading.intent is not None
    confirmed = reading.test is not None and holds(reading.test, city) is True
    return _clauses(city, reading.intent, sought(reading.test or "") if confirmed else ())


def _is_named_country(city: City, reading: Reading) -> bool:
    """Whether a question names the city's country; any fact added to the yes would give the city away."""
    test = reading.test or ""
    return test.startswith(("country=", "same_country=")) and holds(test, city) is True


def answer(city: City, reading: Reading, number: int) -> str:
    """The reply to a question in scope; the number chooses the words."""
    if _is_named_country(city, reading):
        return pick(fixed("country_yes"), number)
    clause = pick(_sayings(city, reading), number)
    openings = _openings(city, reading)
    opening = pick(openings, number // 64)
    return opening + clause if opening else sentence(clause)


def answers(city: City, reading: Reading) -> tuple[str, ...]:
    """Every reply that a question in scope may get: the same facts in other words."""
    if _is_named_country(city, reading):
        return fixed("country_yes")
    openings, clauses = _openings(city, reading), _sayings(city, reading)
    return tuple(opening + clause if opening else sentence(clause) for opening in openings for clause in clauses)


@cache
def phrases(city: City, intent: str) -> frozenset[str]:
    """The phrases that an answer about an intent may contain for this city: slot values, or whole sentences."""
    spoken: set[str] = set()
    for filled, values in _written(city, intent, spoken):
        spoken.update(values or (filled,))
    for slot in used_slots(intent) & _LISTS.keys():
        spoken.update(to_ascii(item) for item in city.facts[_LISTS[slot][0]])
    return frozenset(spoken)


def pick(choices: Sequence[str], number: int) -> str:
    """One of the choices, by any number."""
    return choices[number % len(choices)]
