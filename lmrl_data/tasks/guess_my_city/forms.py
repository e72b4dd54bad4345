"""The known questions of Guess My City, and a look-up of the one nearest to a text."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from lmrl_data.dialogue.asset import lines
from lmrl_data.tasks.guess_my_city.facts import all_cities, country_names, fold, listed_places

INTENTS = (
    "continent", "region", "hemisphere", "tropics", "coast", "climate", "temperature", "snow", "population",
    "elevation", "terrain", "river", "capital", "language", "currency", "religion", "food", "landmarks", "history",
    "independence", "government", "economy", "exports", "agriculture", "sport", "transport", "airport", "driving_side",
    "time_zone", "neighbours", "known_for", "culture", "holiday", "flag",
)  # fmt: skip


class Form(NamedTuple):
    """A question of `questions.txt`.

    Args:
        intent (`str`): what it asks for; `name` or `none` for a question without an answer.
        test (`str`, *optional*): the test that a yes/no question asks for.
        text (`str`): the question; it may have one slot.
    """

    intent: str
    test: str | None
    text: str


class Reading(NamedTuple):
    """What a text means.

    Args:
        act (`str`): `ask` (a question in scope), `guess`, `name` (asks for the name), `several` (offers more than one
            city), `city` (is about a city in a way that is neither), `none` (out of scope) or `invalid`.
        intent (`str`, *optional*): what is asked for.
        test (`str`, *optional*): the test that a yes/no question asks for; `None` for an open question.
        polar (`bool`): whether the question can be answered with yes or no.
        numbers (`frozenset[int]`): the cities that a guess names; empty if they are never hidden.
        country (`str`, *optional*): the country that a guess names beside the city.
    """

    act: str
    intent: str | None = None
    test: str | None = None
    polar: bool = False
    numbers: frozenset[int] = frozenset()
    country: str | None = None


@cache
def forms() -> tuple[Form, ...]:
    intent, known_forms = "", []
    for line in lines("guess_my_city", "questions.txt"):
        if line.startswith("@"):
            intent = line[1:].strip()
        else:
            test, mark, text = line.rpartition(" :: ")
            known_forms.append(Form(intent, test if mark else None, text))
    return tuple(known_forms)


@cache
def slot_values() -> dict[str, tuple[tuple[str, str], ...]]:
    """The values of each slot of a question: the words, and how a test writes them."""
    places: dict[str, list[tuple[str, str]]] = {}
    for kind, value, names in listed_places():
        if names and kind not in ("demonym", "town"):
            places.setdefault(kind, []).append((names[0], value))
    words = {
        kind: [(name, f"{field}~{value.replace('/', ',')}") for name, value in places[kind]]
        for kind, field in (("language", "languages"), ("currency", "currency"), ("religion", "religion"))
    }
    countries = [(f"the {name}" if name.startswith(THE) else name, value) for name, value in places["country"]]
    regions = sorted({city.facts["region"] for city in all_cities() if city.facts["region"]})
    continents = {fold(city.facts["continent"]) for city in all_cities()}
    areas = {value for _, value in places["area"]}
    rulers = ("united kingdom", "france", "spain", "portugal", "netherlands", "japan", "belgium")
    return {
        "continent": tuple(places["continent"]),
        "region": (
            *places["area"],
            *((region, fold(region)) for region in regions if fold(region) not in areas | continents),
        ),
        "country": tuple(countries),
        "sea": tuple(
            (name if name.startswith("Lake") else f"the {name}", f"coast_name~{value}")
            for name, value in places["sea"]
        ),
        "ruler": tuple(
            (name, f"independence~{','.join(country_names()[value])}") for name, value in countries if value in rulers
        ),
        "people": tuple(
            (text, str(number))
            for text, number in (
                ("half a million", 500_000), ("a million", 1_000_000), ("two million", 2_000_000),
                ("three million", 3_000_000), ("five million", 5_000_000), ("eight million", 8_000_000),
                ("ten million", 10_000_000), ("15 million", 15_000_000),
            )
        ),
        "metres": tuple((f"{number:,}", str(number)) for number in (50, 100, 300, 500, 1_000, 2_000)),
        "city": tuple((city.name, str(city.number)) for city in all_cities()),
        "airport": tuple((city.facts["airport"],) * 2 for city in all_cities() if city.facts["airport"]),
        "offset": tuple((f"UTC{number:+d}", str(number)) for number in range(-8, 13)),
        "colour": tuple(places["colour"]),
        **{kind: tuple(values) for kind, values in words.items()},
    }  # fmt: skip


THE = (
    "United",
    "Philippines",
    "Netherlands",
    "Democratic",
    "Republic",
    "Dominican",
    "Central African",
    "Maldives",
    "Gambia",
)
_SLOT = re.compile(r"\{(\w+)\}")


@cache
def questions() -> tuple[Form, ...]:
    """The known questions, each written out once for every value of its slot."""
    written = []
    for form in forms():
        slot = _SLOT.search(form.text)
        if slot is None:
            written.append(form)
            continue
        for words, value in slot_values()[slot[1]]:
            test = (form.test or "").replace(slot[0], value)
            written.append(Form(form.intent, test, form.text.replace(slot[0], words)))
    return tuple(written)


@cache
def known() -> dict[str, Form]:
    """The known questions by their folded words."""
    return {fold(form.text): form for form in questions()}


# --- the nearest known question

_SYNONYMS = {
    "cuisine": "food", "meal": "food", "weather": "climate", "metropolis": "city", "town": "city", "hometown": "city",
    "nation": "country", "residents": "people", "inhabitants": "people", "citizens": "people", "tourist": "visitor",
    "well-known": "famous", "renowned": "famous", "located": "where", "situated": "where", "altitude": "elevation",
    "ocean": "sea", "automobile": "car", "subway": "metro", "soccer": "football", "holiday": "festival",
}  # fmt: skip
NEAR_ENOUGH = 0.42  # cosine, chosen on our own development questions


def stem(word: str) -> str:
    if word.endswith("ies") and len(word) > 5:
        return f"{word[:-3]}y"
    return word.removesuffix("s") if len(word) > 4 and not word.endswith("ss") else word


def _features(text: str) -> Iterator[tuple[str, float]]:
    words = [stem(_SYNONYMS.get(word, word)) for word in fold(text).split()]
    for word in words:
        yield word, 1.0
        padded = f"<{word}>"
        for start in range(max(len(padded) - 3, 0)):
            yield f"#{padded[start : start + 4]}", 0.35
    for one, other in pairwise(words):
        yield f"{one} {other}", 0.6


def without_slot(text: str) -> str:
    return _SLOT.sub("", text)


class Lexical:
    """The known questions as weighted words, pairs of words and parts of words."""

    def __init__(self) -> None:
        self.forms = forms()
        counts = [Counter[str]() for _ in self.forms]
        for count, form in zip(counts, self.forms, strict=True):
            for feature, weight in _features(without_slot(form.text)):
                count[feature] += weight  # type: ignore[assignment]
        seen = Counter(feature for count in counts for feature in count)
        self.rarity = {feature: math.log(len(counts) / number) + 0.3 for feature, number in seen.items()}
        self.places: dict[str, list[tuple[int, float]]] = {}
        for number, count in enumerate(counts):
            for feature, weight in self._weighted(count).items():
                self.places.setdefault(feature, []).append((number, weight))

    def _weighted(self, count: Counter[str]) -> dict[str, float]:
        unknown = math.log(len(self.forms))
        weights = {feature: weight * self.rarity.get(feature, unknown) for feature, weight in count.items()}
        length = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        return {feature: weight / length for feature, weight in weights.items()}

    def scores(self, text: str) -> list[float]:
        count: Counter[str] = Counter()
        for feature, weight in _features(text):
            count[feature] += weight  # type: ignore[assignment]
        totals = [0.0] * len(self.forms)
        for feature, weight in self._weighted(count).items():
            for number, other in self.places.get(feature, ()):
                totals[number] += weight * other
        return totals


@cache
def lexical() -> Lexical:
    return Lexical()


def nearest(question: str, leading: str | None) -> Form | None:
    """The known question that is nearest to a text's folded words, if it is near enough."""
    totals = lexical().scores(question)
    best = max(range(len(totals)), key=totals.__getitem__)
    form = forms()[best]
    # A question that the rules lean to as well may be a little further off.
    return form if totals[best] >= (NEAR_ENOUGH - 0.12 if form.intent == leading else NEAR_ENOUGH) else None
