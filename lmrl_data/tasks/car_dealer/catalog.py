"""The cars a dealer sells: the catalogue, and what people call its models, brands and types."""

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from lmrl_data.dialogue.asset import table

PERSONALITIES = (
    "abusive", "angry", "insulting", "polite", "respectful", "rude", "sarcastic", "talkative", "toxic",
    "uncommunicative",
)  # fmt: skip
BRANDS = (
    "Volkswagen", "Lexus", "Ford", "Mazda", "Hyundai", "Toyota", "Mercedes-Benz", "BMW", "Audi", "Subaru", "Honda",
    "Porsche", "Tesla",
)  # fmt: skip
TYPES = ("luxury", "sedan", "convertible", "truck", "electric", "SUV")
FEATURES = (
    "backup camera", "navigation system", "heated seats", "leather seats", "third-row seating",
    "blind spot monitoring", "sunroof", "Apple CarPlay",
)  # fmt: skip
BUDGETS = (10_000, 30_000, 50_000, 70_000, 90_000)

BRAND_WORDS = {brand.lower(): brand for brand in BRANDS} | {
    "vw": "Volkswagen", "volkswagens": "Volkswagen", "mercedes": "Mercedes-Benz", "merc": "Mercedes-Benz",
    "benz": "Mercedes-Benz", "beemer": "BMW", "bimmer": "BMW", "bmws": "BMW", "fords": "Ford", "hondas": "Honda",
    "toyotas": "Toyota", "audis": "Audi", "teslas": "Tesla", "porsches": "Porsche", "subarus": "Subaru",
    "mazdas": "Mazda", "hyundais": "Hyundai",
}  # fmt: skip
TYPE_WORDS = {
    "luxury": "luxury", "luxurious": "luxury", "premium": "luxury", "sedan": "sedan", "sedans": "sedan",
    "saloon": "sedan", "convertible": "convertible", "convertibles": "convertible", "cabriolet": "convertible",
    "cabrio": "convertible", "roadster": "convertible", "truck": "truck", "trucks": "truck", "pickup": "truck",
    "pickups": "truck", "pick-up": "truck", "electric": "electric", "ev": "electric", "evs": "electric",
    "suv": "SUV", "suvs": "SUV", "crossover": "SUV", "crossovers": "SUV",
}  # fmt: skip

# Other names of a model, beside its own with and without hyphens and spaces.
_ALIASES = {
    "718 Boxster": ("boxster", "718"), "911 Carrera Cabriolet": ("911", "carrera", "911 cabriolet", "911 carrera"),
    "MX-5 Miata": ("miata", "mx-5", "mx5"), "Mustang Convertible": ("mustang",), "Mustang Mach-E": ("mach-e",),
    "F-150 Lightning": ("lightning",), "ES 350": ("es",), "LS 500": ("ls",), "UX 250h": ("ux",),
    "NX 350": ("nx",), "RX 350": ("rx",), "GX 460": ("gx",), "LX 600": ("lx",), "RZ 450e": ("rz",),
    "LC 500 Convertible": ("lc", "lc 500"), "E-Class Cabriolet": ("e-class convertible",),
    "A5 Cabriolet": ("a5", "a5 convertible"), "4 Series Convertible": ("4 series",), "CR-V": ("crv",),
    "C-Class": ("c300", "c 300"), "E-Class": ("e350", "e 350"), "3 Series": ("330i", "330"), "5 Series": ("530i",),
}  # fmt: skip
# Names that are also words: these need an article, a year or their brand before them.
_WORDS = frozenset((
    "330", "718", "911", "accent", "accord", "ascent", "atlas", "carrera", "civic", "crown", "es", "escape", "escapes",
    "expedition", "explorer", "lc", "legacy", "lightning", "ls", "maverick", "mustang", "outback", "passport", "pilot",
    "ranger", "rx", "venue",
))  # fmt: skip
_WITH_BRAND = frozenset(["roadster", "focus", "fusion", "is"])  # and these always need it
_BEFORE = frozenset(["a", "an", "the", "this", "that", "our", "my", "new", "used", "your", "'s", "of"])


class Car(NamedTuple):
    """A car of the catalogue; `year` and `miles` are 0 for a new one."""

    brand: str
    model: str
    types: tuple[str, ...]
    price: int
    features: frozenset[str]
    year: int
    miles: int

    @property
    def name(self) -> str:
        return f"{self.year} {self.brand} {self.model}" if self.year else f"{self.brand} {self.model}"


def type_noun(name: str) -> str:
    """A type as a noun: 'luxury' is a luxury car."""
    return f"{name} car" if name in ("luxury", "electric") else name


@cache
def catalogue() -> tuple[Car, ...]:
    """All cars, as `assets/catalog.tsv` lists them."""
    return tuple(
        Car(
            row["brand"],
            row["model"],
            tuple(row["types"].split(",")),
            int(row["price"]),
            frozenset(name.strip() for name in row["features"].split(",")),
            int(row["year"] or 0),
            int(row["miles"] or 0),
        )
        for row in table("car_dealer", "catalog.tsv")
    )


def _spellings(model: str) -> set[tuple[str, ...]]:
    """The ways to write a model, each as the tokens a text is cut into."""
    made = set()
    for name in (model.lower(), *_ALIASES.get(model, ())):
        for text in (name, name.replace("-", " "), name.replace("-", ""), name.replace(" ", "-")):
            made.add(tuple(text.split()))
        joined = name.replace(" ", "").replace("-", "").replace(".", "")
        made.add((joined,))
    spaced = re.sub(r"(?<=[a-z])(?=[0-9])", " ", model.lower())  # Mazda3 is also a Mazda 3
    if model.startswith("Mazda"):
        made.add(tuple(spaced.split()))
    return {tokens for tokens in made if tokens}


@cache
def _models() -> dict[str, list[tuple[tuple[str, ...], tuple[int, ...]]]]:
    """By the first token of a model's name: its tokens and the cars so called, longest names first."""
    cars: dict[tuple[str, str], list[int]] = {}
    for number, car in enumerate(catalogue()):
        cars.setdefault((car.brand, car.model), []).append(number)
    index: dict[str, dict[tuple[str, ...], tuple[int, ...]]] = {}
    for (_, model), numbers in cars.items():
        for tokens in _spellings(model):
            same = index.setdefault(tokens[0], {})
            same[tokens] = (*same.get(tokens, ()), *numbers)
    return {first: sorted(names.items(), key=lambda item: -len(item[0])) for first, names in index.items()}


def model_starts() -> frozenset[str]:
    """The first words of all names of models."""
    return frozenset(_models())


def find_models(
    keys: Sequence[str], places: Sequence[int], brands: Sequence[str]
) -> list[tuple[int, int, tuple[int, ...]]]:
    """The models named in a sentence, in order: the first token's place, how many tokens, and the cars so called.

    Args:
        keys (`Sequence[str]`): the sentence's tokens, in lower case.
        places (`Sequence[int]`): where one may begin.
        brands (`Sequence[str]`): the brands it names.
    """
    models = _models()
    models_named: list[tuple[int, int, tuple[int, ...]]] = []
    done = 0
    for place in places:
        key = keys[place]
        if key not in models or place < done:
            continue
        for tokens, numbers in models[key]:
            if len(tokens) > 1 and tuple(keys[place : place + len(tokens)]) != tokens:
                continue
            brand = catalogue()[numbers[0]].brand
            if len(tokens) == 1 and key in _WORDS and brand not in brands:
                before = keys[place - 1] if place else ""
                if not (before in _BEFORE or (before.isdigit() and len(before) == 4)):
                    continue
            if key in _WITH_BRAND and brand not in brands:
                continue
            models_named.append((place, len(tokens), numbers))
            done = place + len(tokens)
            break
    return models_named
