"""The cities of Guess My City: their facts, the words that would give one away, and the cities a text names.

A test is a short text such as `continent=asia`, `population>5000000`, `food~sushi` or `coastal`; `holds` tells whether
it is true of a city. A yes/no question asks for a test.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from math import acos, cos, radians, sin
from operator import mul
from typing import Any, NamedTuple

from lmrl_data.dialogue.asset import asset, lines
from lmrl_data.errors import UserError, unknown

CONFIGS = ("standard", "extended")
# Texts that a question may look for a word in.
TEXT_FIELDS = (
    "terrain", "river", "coast_name", "landmarks", "food", "history", "economy", "exports", "agriculture", "sport",
    "transport", "known_for", "culture", "holiday", "religion", "government", "independence", "climate", "languages",
    "currency",
)  # fmt: skip
# The fields whose text is complete: what it does not name is not so.
CLOSED = frozenset(["coast_name", "languages", "currency", "religion", "government", "holiday", "climate"])
# Letters that Unicode does not decompose into a plain letter and an accent; apostrophes are dropped.
_LETTERS = str.maketrans("łŁøØđĐıħæœßþð", "lLoOdDihaostd") | dict.fromkeys(map(ord, "'\u2019\u2018`\u02bb\u02bc"))


@dataclass(frozen=True, eq=False)
class City:
    """A city and its facts.

    Args:
        number (`int`): its place in the file; the cities of `standard` come first.
        name (`str`): its usual English name, in plain letters.
        country (`str`): the English name of its country.
        facts (`dict`): everything in the file, by the file's names.
    """

    number: int
    name: str
    country: str
    facts: dict[str, Any]

    def __reduce__(self) -> tuple[Any, ...]:
        return _city, (self.number,)  # one object in a process: caches compare cities by identity


def to_ascii(text: str) -> str:
    """The text without accents, in printable ASCII."""
    if text.isascii() and text.isprintable():
        return text
    text = unicodedata.normalize("NFKD", text.translate(_LETTERS | {0x2013: "-", 0x2014: "-", 0x2019: "'"}))
    return "".join(letter for letter in text if letter.isascii() and letter.isprintable())


@lru_cache(65536)
def fold(text: str) -> str:
    """The words of a text, lower case, without accents and punctuation, one space between them.

    Examples:
        >>> fold("Is it São Paulo, or St. Petersburg?")
        'is it sao paulo or st petersburg'
    """
    if text.isascii():
        text = text.replace("'", "").replace("`", "").lower()
    else:
        text = unicodedata.normalize("NFKD", text.translate(_LETTERS)).encode("ascii", "ignore").decode().lower()
    text = text.replace("utc-", "utc minus ").replace("gmt-", "gmt minus ")
    return " ".join(re.sub(r"(?<=\d),(?=\d{3})", "", text).translate(_PUNCTUATION).split())


_PUNCTUATION = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalnum()})


@cache
def all_cities() -> tuple[City, ...]:
    rows = json.loads(asset("guess_my_city", "cities.json"))["cities"]
    rows.sort(key=lambda row: bool(row["extended"]))
    for row in rows:
        if (row["river"] or "").startswith("no "):
            row["river"] = None
        year = re.search(r"\b1\d{3}\b|\b20\d\d\b", row["independence"] or "")
        row["independence_year"] = int(year[0]) if year else None
        row["borders"] = len(row["neighbours"])
        row["colours"] = len(row["flag_colours"]) or None
    return tuple(City(number, to_ascii(row["name"]), to_ascii(row["country"]), row) for number, row in enumerate(rows))


def _city(number: int) -> City:
    return all_cities()[number]


@cache
def cities(config: str) -> tuple[City, ...]:
    """The cities that may be hidden in a config: 100, or all."""
    return tuple(city for city in all_cities() if config == "extended" or not city.facts["extended"])


def find_city(config: str, name: str) -> City:
    """The config's city of a name or alias.

    Raises:
        UserError: if there is none; the message lists the nearest names.
    """
    from difflib import get_close_matches

    folded = _saint(fold(name[:200]))
    matches = [city for city in cities(config) if folded in spellings(city)]
    if matches:
        return matches[0]
    names = {city.name.lower(): city.name for city in cities(config)}
    close = get_close_matches(folded, names, n=5, cutoff=0.5) or list(names)[:5]
    if any(folded in spellings(city) for city in all_cities()):
        raise UserError(f"the city {to_ascii(name[:80])!r} is played in the config extended only")
    raise unknown("city", name, [*(names[key] for key in close), "..."])


# --- names


def _saint(folded: str) -> str:
    return re.sub(r"\bsaint\b", "st", folded)


@cache
def spellings(city: City) -> frozenset[str]:
    """The city's names and aliases, folded."""
    names = {_saint(fold(name)) for name in (city.name, city.facts["original"] or "", *city.facts["aliases"])}
    countries = {fold(city.facts["country"]), *map(fold, city.facts["country_aliases"])}
    names = {name for name in names if len(name) > 1 and (name not in countries or name == fold(city.name))}
    return frozenset(names)


class Place(NamedTuple):
    """A name in a text.

    Args:
        kind (`str`): `city`, or what else `places.txt` calls it: `country`, `continent`, `language` and so on.
        value (`str`): what it stands for, as tests write it; for a city nothing.
        numbers (`frozenset[int]`): for a city, those that have this name; none, if it is known but never hidden.
    """

    kind: str
    value: str
    numbers: frozenset[int] = frozenset()


@cache
def place_index() -> dict[str, tuple[Place, ...]]:
    """What each folded name stands for; some stand for several things, as `chinese` or `singapore`."""
    index: dict[str, list[Place]] = {}
    for kind, value, names in listed_places():
        for name in names:
            _add(index, _saint(fold(name)), Place(kind, value))
    countries = {name: place.value for name, places in index.items() for place in places if place.kind == "country"}
    owners: dict[str, set[int]] = {}
    for city in all_cities():
        for name in spellings(city):
            for form in (name, f"{name} city"):
                owners.setdefault(form, set()).add(city.number)
        country = countries.get(fold(city.country), fold(city.country))
        for kind, names in (
            ("country", [city.facts["country"], *city.facts["country_aliases"]]),
            ("demonym", city.facts["demonyms"]),
        ):
            for name in names:
                if len(fold(name)) > 1 and fold(name) not in owners:
                    _add(index, _saint(fold(name)), Place(kind, country))
        for language in city.facts["languages"]:
            _add(index, fold(language), Place("language", fold(language)))
    for name, numbers in owners.items():
        index[name] = [place for place in index.get(name, ()) if place.kind not in ("town", "demonym")]
        index[name].insert(0, Place("city", "", frozenset(numbers)))
    return {name: tuple(places) for name, places in index.items()}


def _add(index: dict[str, list[Place]], name: str, place: Place) -> None:
    places = index.setdefault(name, [])
    if not any(other.kind == place.kind for other in places):
        places.append(place)


def listed_places() -> Iterator[tuple[str, str, list[str]]]:
    kind = ""
    for line in lines("guess_my_city", "places.txt"):
        if line.startswith("@"):
            kind = line[1:].strip()
            continue
        value, _, names = (part.strip() for part in line.partition("="))
        listed = [name.strip() for name in (names or value).split(",")]
        if kind == "state":
            yield kind, names.strip(), [name.strip() for name in value.split(",")]
        elif kind == "country":
            yield "country", fold(value), [value, *(name for name in listed if not name.startswith("+"))]
            yield "demonym", fold(value), [name[1:] for name in listed if name.startswith("+")]
        elif names:
            yield kind, value.strip(), listed
        else:
            for name in listed:
                yield kind, fold(name), [name]


@lru_cache(65536)
def country_of(name: str) -> str:
    """The folded name by which tests call a country; any other word as it is, folded."""
    folded = fold(name)
    return next((place.value for place in place_index().get(folded, ()) if place.kind == "country"), folded)


@cache
def country_names() -> dict[str, tuple[str, ...]]:
    """Every folded name and adjective of each country."""
    names: dict[str, list[str]] = {}
    for name, places in place_index().items():
        for place in places:
            if place.kind in ("country", "demonym"):
                names.setdefault(place.value, []).append(name)
    return {country: tuple(sorted(forms)) for country, forms in names.items()}


@cache
def word_list(kind: str) -> frozenset[str]:
    """A list of `words.txt`."""
    lists: dict[str, set[str]] = {}
    for line in lines("guess_my_city", "words.txt"):
        if line.startswith("@"):
            listed = lists.setdefault(line[1:].strip(), set())
        else:
            listed.update(line.split())
    return frozenset(lists[kind])


class Mention(NamedTuple):
    """A name in a text: where its words are, and what it may stand for."""

    name: str
    start: int
    end: int
    places: tuple[Place, ...]

    def one(self, *kinds: str) -> Place | None:
        """What the name stands for, of these kinds."""
        return next((place for kind in kinds for place in self.places if place.kind == kind), None)


def mentions(words: Sequence[str]) -> list[Mention]:
    """The names in the words of a folded text, the longest first where they overlap."""
    index = place_index()
    mentioned, start = [], 0
    while start < len(words):
        for end in range(min(start + 6, len(words)), start, -1):
            places = index.get(" ".join(words[start:end]))
            if places:
                mentioned.append(Mention(" ".join(words[start:end]), start, end, places))
                start = end - 1
                break
        start += 1
    return mentioned


# --- words that give a city away

_HARMLESS = re.compile(r"\b(?:north|south|central|latin) america(?:n|s)?\b|\bsouth east\b")


@cache
def _secret(city: City) -> re.Pattern[str]:
    facts = city.facts
    names = {*spellings(city), *(name.replace("st ", "saint ", 1) for name in spellings(city))}
    for name in (
        facts["country"], *facts["aliases"], *facts["country_aliases"], *facts["demonyms"], *facts["giveaways"]
    ):  # fmt: skip
        names.add(fold(name))
    ordered = sorted((name for name in names if len(name) > 2), key=len, reverse=True)
    return re.compile(f"\\b(?:{'|'.join(map(re.escape, ordered))})\\b")


@cache
def _secret_letters(city: City) -> re.Pattern[str]:
    """Names of two letters, as US, which are looked for in capitals only: us is a word."""
    names = [city.facts["country"], *city.facts["country_aliases"], *city.facts["aliases"]]
    short = {re.escape(name) for name in names if len(fold(name).replace(" ", "")) < 3}
    return re.compile(f"\\b(?:{'|'.join(sorted(short))})\\b" if short else "(?!)")


@cache
def _own_words(city: City) -> re.Pattern[str]:
    """The names of its languages and its money, which the answers about these may use."""
    names = [*city.facts["languages"], city.facts["currency"] or ""]
    words = {word for name in map(fold, names) for word in (name, name.removeprefix("the ")) if word}
    return re.compile(f"\\b(?:{'|'.join(map(re.escape, words))})\\b") if words else re.compile("(?!)")


@lru_cache(65536)
def leaks(city: City, text: str, intent: str | None = None) -> bool:
    """Whether a text gives the city away: by its name, its country's name, or words that belong to nothing else.

    Args:
        city (`City`): the hidden city.
        text (`str`): the reply.
        intent (`str`, *optional*): the topic of the reply; with `language` and `currency` it may name these.
    """
    folded = fold(text)
    if "america" in folded or "south east" in folded:
        folded = _HARMLESS.sub("", folded)
    if intent in ("language", "currency"):
        folded = _own_words(city).sub("", folded)
    return _secret(city).search(folded) is not None or _secret_letters(city).search(text) is not None


# --- facts with a name


class Fact(NamedTuple):
    """A named fact of `facts.txt`.

    Args:
        name (`str`): what tests call it.
        topic (`str`): the intent that it belongs to.
        test (`str`, *optional*): the test that decides it; `None` where hand-written lists do.
        listed (`dict[str, bool | None]`): the verdict for the folded names of cities and countries, and for
            `""`, the paper's cities that no list names.
        hint (`str`, *optional*): a test that makes it true where the lists leave it open.
        say (`str`): the sentence that says it, as it follows `Yes, `.
        deny (`str`): the sentence that denies it, as it follows `No, `.
    """

    name: str
    topic: str
    test: str | None
    listed: dict[str, bool | None]
    hint: str | None
    say: str
    deny: str

    def verdict(self, city: City) -> bool | None:
        """Whether the fact is true of a city; `None` if that is not known."""
        if self.test is not None:
            return holds(self.test, city)
        for name in (fold(city.name), country_of(city.country)):
            if name in self.listed:
                verdict = self.listed[name]
                break
        else:
            verdict = None if city.facts["extended"] else self.listed[""]
        return True if verdict is None and self.hint is not None and holds(self.hint, city) else verdict


@cache
def facts() -> dict[str, Fact]:
    """The named facts, by name."""
    groups: dict[str, list[str]] = {}
    named: dict[str, Fact] = {}
    topic = ""
    for line in lines("guess_my_city", "facts.txt"):
        mark, _, text = line.partition(" ")
        if mark == "%":
            group, _, members = text.partition(" = ")
            groups[group] = [name for member in members.split(", ") for name in groups.get(member, [member])]
        elif mark == "@":
            topic = text
        elif mark in ("+", "-", "~"):
            name = next(reversed(named))
            fact = named[name]
            named[name] = (
                fact._replace(say=text)
                if mark == "+"
                else fact._replace(deny=text)
                if mark == "-"
                else fact._replace(hint=text)
            )
        elif text.startswith("= "):
            named[mark] = Fact(mark, topic, text[2:], {}, None, "", "")
        else:
            named[mark] = Fact(mark, topic, None, _verdicts(text.removeprefix(":"), groups), None, "", "")
    return named


def _verdicts(text: str, groups: dict[str, list[str]]) -> dict[str, bool | None]:
    """The verdicts of a line of lists; a country that is named itself counts before one of a group."""
    single: dict[str, bool | None] = {}
    grouped: dict[str, bool | None] = {}
    verdicts: dict[str, bool | None] = {"": None if "!" in text and "*" not in text else False}
    verdict: bool | None = True
    for part in re.split(r" ?([?!]) ?", text):
        if part in ("?", "!"):
            verdict = None if part == "?" else False
            continue
        for name in (name for name in map(str.strip, part.split(",")) if name not in ("", "*")):
            members = groups.get(name, [name])
            for member in members:
                (grouped if len(members) > 1 else single).setdefault(country_of(member), verdict)
    return verdicts | grouped | single


# --- tests


def fact_of(test: str) -> Fact | None:
    """The named fact that a test, denied or not, asks for."""
    return facts().get(test.removeprefix("!"))


class Test(NamedTuple):
    """A test about one fact: the field, how it is compared, and with what."""

    field: str
    operator: str
    value: str


@lru_cache(65536)
def parsed(test: str) -> tuple[str, Sequence[str]] | Test | None:
    """A test as `|`, `&` or `!` and the tests these join, or as one about a fact; `None`, if it is a field's name."""
    for joint in (" | ", " & "):
        if joint in test:
            return joint.strip(), test.split(joint)
    if test.startswith("!"):
        return "!", [test[1:]]
    match = re.fullmatch(r"([a-z_+]+)([=<>~^:])(.*)", test)
    return Test(*match.groups()) if match else None


def holds(test: str, city: City) -> bool | None:
    """Whether a test is true of a city; `None`, if the facts do not say.

    Examples:
        >>> holds("population>5000000 & !is_capital", find_city("standard", "Shanghai"))
        True
    """
    if test in facts():
        return facts()[test].verdict(city)
    parts = parsed(test)
    if parts is None:
        return _truth(test, city)
    if len(parts) == 2:
        joint, joined = parts
        values = [holds(part, city) for part in joined]
        if joint == "!":
            return None if values[0] is None else not values[0]
        decisive = joint == "|"
        return decisive if decisive in values else None if None in values else not decisive
    field, operator, asked = parts
    if operator == "~":
        return _has_word(field.split("+"), asked.split(","), city)
    if field in _SPECIAL:
        return _SPECIAL[field](city, asked)
    fact: Any = city.facts[field]
    if fact is None or fact == "" or fact == []:
        return None
    if operator == "=":
        if isinstance(fact, (int, float)):
            return abs(fact - float(asked)) < 1e-6
        return set(map(fold, asked.split("+"))) <= {
            country_of(value) for value in ([fact] if isinstance(fact, str) else fact)
        }
    if operator == "^":
        return fact.startswith(tuple(asked.split(",")))
    if operator == ":":
        low, high = asked.split("..")
        return float(low) <= fact <= float(high)
    bound = all_cities()[int(asked[1:])].facts[field] if asked.startswith("@") else float(asked)
    if bound is None:
        return None
    return fact > bound if operator == ">" else fact < bound


def has_word(text: str, word: str) -> bool:
    """Whether a folded text, with a space at both ends, has a word, in the singular or the plural."""
    forms = (
        (f" {word[:-1]}",) if word.endswith("*") else (f" {word} ", f" {word}s ", f" {word}es ", f" {word[:-1]}ies ")
    )
    return any(form in text for form in forms)


def _truth(field: str, city: City) -> bool | None:
    fact = city.facts[field]
    if field == "river" and not fact and city.facts["extended"]:
        return None  # not looked up; for the others, no river means that there is none
    if field in ("river", "coast_name", "airport", "independence"):
        return bool(fact)
    return None if fact is None else bool(fact)


@cache
def field_text(field: str, city: City) -> str:
    """A fact's words, folded, with a space at both ends."""
    fact = city.facts[field]
    return f" {fold('; '.join(fact) if isinstance(fact, list) else str(fact or ''))} "


def _has_word(fields: Sequence[str], words: Sequence[str], city: City) -> bool | None:
    texts = [field_text(field, city) for name in fields for field in (TEXT_FIELDS if name == "any" else (name,))]
    if fields == ["coast_name"] and (city.facts["coast_name"] or city.facts["coast_km"] > 60):
        texts.append(" inland ")  # no sea but its own, and none at all if it is far away
    texts = [text for text in texts if text.strip()]
    if any(has_word(text, word) for word in words for text in texts):
        return True
    # A dish that is not among a city's dishes may be eaten there all the same.
    return False if texts and CLOSED.issuperset(fields) else None


@cache
def _direction(city: City) -> tuple[float, float, float]:
    """The city as a point of a globe of radius 1."""
    lat, lon = radians(city.facts["lat"]), radians(city.facts["lon"])
    return cos(lat) * cos(lon), cos(lat) * sin(lon), sin(lat)


def kilometres(one: City, other: City) -> float:
    """The distance between two cities along a great circle."""
    cosine = sum(map(mul, _direction(one), _direction(other)))
    return 6_371 * acos(max(-1.0, min(1.0, cosine)))


def _numbered(value: str) -> City:
    return all_cities()[int(value.removeprefix("@"))]


def _in_country(city: City, value: str) -> bool:
    return country_of(city.country) == value


@cache
def _largest(country: str) -> int:
    return max((city.facts["population"], city.number) for city in all_cities() if city.country == country)[1]


def _on_continent(city: City, value: str) -> bool:
    return fold(city.facts["continent"]) == value or (
        value in ("asia", "europe") and facts()["two_continents"].verdict(city) is True
    )


# Tests that are not about one fact.
_SPECIAL = {
    "continent": _on_continent,
    "country": _in_country,
    "near": lambda city, value: kilometres(city, _numbered(value)) < 500,
    "same_country": lambda city, value: city.country == _numbered(value).country,
    "same_continent": lambda city, value: city.facts["continent"] == _numbered(value).facts["continent"],
    "north_of": lambda city, value: city.facts["lat"] > _numbered(value).facts["lat"],
    "east_of": lambda city, value: city.facts["lon"] > _numbered(value).facts["lon"],
    "area": lambda city, value: _in_area(city, value),
    "main_language": lambda city, value: any(
        has_word(f" {fold(city.facts['languages'][0])} ", word) for word in value.split(",")
    ),
    "latitude": lambda city, value: abs(city.facts["lat"]) < float(value),
    "state": lambda city, value: None if city.facts["extended"] else city.name in value.split(", "),
    "unknown": lambda city, value: None,  # what a question adds to a fact, of which nothing is known
    "rank": lambda city, value: _largest(city.country) == city.number,
}


@cache
def _areas() -> dict[str, frozenset[str]]:
    """For each part of the world, the folded regions and countries that make it up."""
    return {
        value.strip(): frozenset(country_of(member) for member in members.split(","))
        for value, _, members in (line.partition("=") for line in lines("guess_my_city", "areas.txt"))
    }


def _in_area(city: City, value: str) -> bool | None:
    places = {country_of(city.country), fold(city.facts["region"] or ""), fold(city.facts["continent"])}
    if value in _areas():
        return bool(places & _areas()[value])
    return value in places if city.facts["region"] else None
