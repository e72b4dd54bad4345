"""The known questions of Guess My City, by their words."""

import re
from functools import cache
from typing import NamedTuple

from lmrl_data.dialogue.asset import lines
from lmrl_data.tasks.guess_my_city.facts import all_cities, country_names, fold, listed_places, spellings

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
        name (`str`, *optional*): the name in a guess of a city that is never hidden, as the reply writes it.
        narrow (`bool`): whether an open question asks for one thing by its name, so that its answer may tell more.
    """

    act: str
    intent: str | None = None
    test: str | None = None
    polar: bool = False
    numbers: frozenset[int] = frozenset()
    country: str | None = None
    name: str | None = None
    narrow: bool = False


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
    # Singapore is guessed, not asked for as a country.
    cities = {name for city in all_cities() for name in spellings(city)}
    countries = [
        (f"the {name}" if name.startswith(THE) else name, value)
        for name, value in places["country"]
        if fold(name) not in cities
    ]
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
            if "main language" in form.text:
                test = test.replace("languages~", "main_language=")
            written.append(Form(form.intent, test, form.text.replace(slot[0], words)))
    return tuple(written)


# --- the same question in slightly other words

_CONTRACTED = {
    "whats": "what is", "wheres": "where is", "whos": "who is", "hows": "how is", "whens": "when is", "im": "i am",
    "youre": "you are", "theres": "there is", "thats": "that is", "ur": "your", "u": "you", "r": "are",
    "ppl": "people", "wats": "what is", "wat": "what",
}  # fmt: skip
_OPENING = re.compile(
    r"^(?:(?:tell me|so|well|ok|okay|now|hmm|hm|and|also|but|then|alright|great|nice|thanks|thank you|cool|"
    r"interesting|i see|"
    r"good|please|hi|hello|hey|next question|question|let me ask|one more question|another question|just curious|"
    r"i wonder|im curious|i am curious|i would like to know|id like to know|i want to know|may i ask|can i ask|"
    r"could i ask) )+"
)
# Other words for the city, as the known questions call it.
_CITY = re.compile(r"\b(?:your (?:own )?(?:hometown|home town|town|home city)|this city)(s?)\b")


def simplified(text: str) -> str:
    """The folded words of a text, without an opening, in the words of the known questions."""
    text = re.sub(r"(?<=\d)\.(?=\d)", "p", text)
    words = [_CONTRACTED.get(word, word) for word in re.sub(r"\bsaint\b", "st", fold(text)).split()]
    return _CITY.sub(r"your city\1", _OPENING.sub("", " ".join(words)))


@cache
def known() -> dict[str, Form]:
    """The known questions by their folded words, as they are written and simplified."""
    forms = {simplified(form.text): form for form in questions()}
    return forms | {fold(form.text): form for form in questions()}
