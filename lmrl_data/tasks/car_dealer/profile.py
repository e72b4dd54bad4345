"""A buyer's profile, the worth of a car to the buyer, and the reward of a talk."""

import random
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from lmrl_data.errors import UserError, unknown
from lmrl_data.tasks.car_dealer.catalog import BRANDS, BUDGETS, FEATURES, PERSONALITIES, TYPES, Car, catalogue

STRATEGIES = ("discounts", "features", "impatient")
CONCESSIONS = {"boulware": 1.6, "linear": 1.2, "conceder": 0.9}  # the exponent of the curve


class Profile(NamedTuple):
    """Who the buyer is. `reservation`, `target` and `patience` are never said.

    Args:
        personality, brand, type, features, budget: the paper's, drawn uniformly.
        strategy (`str`): the paper's kinds of buyer: wants discounts, wants all features, or is impatient.
        concession (`str`): how what it would pay rises: late (boulware), evenly or early (conceder).
        reservation (`int`): the most it ever pays, for a car that has everything.
        target (`int`): what it hopes to pay for such a car.
        discount (`float`): the share of the list price that it wants off.
        patience (`int`): the turns it stays.
    """

    personality: str
    brand: str
    type: str
    features: tuple[str, ...]
    budget: int
    strategy: str
    concession: str
    reservation: int
    target: int
    discount: float
    patience: int


def draw_profile(rng: random.Random, given: object = None) -> Profile:
    """Draws a buyer. The parts in `given` replace the drawn ones and change nothing else.

    Raises:
        UserError: if `given` names an unknown part or an impossible value.
    """
    fixed = _checked(given)
    personality, brand, kind = rng.choice(PERSONALITIES), rng.choice(BRANDS), rng.choice(TYPES)
    features = tuple(rng.sample(FEATURES, rng.randint(1, 4)))
    budget, strategy, concession = rng.choice(BUDGETS), rng.choice(STRATEGIES), rng.choice(list(CONCESSIONS))
    stretch, hope, off, stay = rng.random(), rng.random(), rng.random(), rng.random()
    budget, strategy = fixed.get("budget", budget), fixed.get("strategy", strategy)
    least, most = {"discounts": (0.94, 1.02), "features": (1.0, 1.08), "impatient": (0.97, 1.05)}[strategy]
    reservation = fixed.get("reservation", 100 * int(budget * (least + (most - least) * stretch) / 100))
    target = fixed.get("target", 100 * int(reservation * (0.72 + 0.12 * hope) / 100))
    first, last = (17, 22) if strategy == "impatient" else (18, 24)
    profile = Profile(
        personality, brand, kind, features, budget, strategy, concession, reservation, min(target, reservation),
        round(0.04 + 0.06 * off, 3) if strategy == "discounts" else 0.0, first + int((last - first) * stay),
    )  # fmt: skip
    return profile._replace(**{name: value for name, value in fixed.items() if name not in ("target",)})


def _checked(given: object) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise UserError(f'buyer is a JSON object like {{"budget": 30000, "strategy": "impatient"}}, got {given!r:.80}')
    made: dict[str, Any] = {}
    choices = {
        "personality": PERSONALITIES, "brand": BRANDS, "type": TYPES, "budget": BUDGETS, "strategy": STRATEGIES,
        "concession": tuple(CONCESSIONS),
    }  # fmt: skip
    ranges = {"reservation": (1_000, 200_000), "target": (500, 200_000), "patience": (3, 25), "discount": (0, 0.5)}
    for name, value in given.items():
        if name in choices:
            if value not in choices[name]:
                raise unknown(f"{name} of a buyer", value, choices[name])
        elif name == "features":
            value = [value] if isinstance(value, str) else value
            if not isinstance(value, (list, tuple)) or not value or len({*map(str, value)}) < len(value):
                raise UserError(f"features of a buyer are different ones of: {', '.join(FEATURES)}")
            for each in value:
                if each not in FEATURES:
                    raise unknown("feature of a buyer", each, FEATURES)
            value = tuple(value)
        elif name in ranges:
            least, most = ranges[name]
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not least <= value <= most or (name != "discount" and value != int(value)):
                raise UserError(f"{name} of a buyer is a number from {least} to {most}, got {value!r:.80}")
            value = float(value) if name == "discount" else int(value)
        else:
            raise unknown("part of a buyer", name, Profile._fields)
        made[name] = value
    return made


# --- what a car is worth to a buyer


def worth(profile: Profile, car: Car, features: Collection[str] | None = None) -> float:
    """The most a buyer ever pays for a car: never above its reservation price, nor above the car's list price.

    Args:
        profile (`Profile`): who buys.
        car (`Car`): what is sold.
        features (`Collection[str]`, *optional*): what the buyer believes it has, all it has by default.
    """
    if features is None:
        features = car.features
    fits, off = 1.0, profile.discount
    if car.brand != profile.brand:
        fits -= 0.12
    if profile.type not in car.types:
        fits -= 0.2
    picky = profile.strategy == "features"
    for name in profile.features:
        if name not in features:
            if not picky:
                fits -= 0.03
            elif name in car.features:  # nobody has confirmed it
                fits -= 0.07
                off += 0.07
            else:
                fits -= 0.14
                off += 0.05
    return min(profile.reservation * fits, car.price * (1.0 - off))


def best_price(profile: Profile) -> float:
    """The best price any seller can get of this buyer: what the car is worth that is worth most to it."""
    return max(worth(profile, car) for car in catalogue())


def revenue(price: int | None) -> float:
    """The reward in thousands of dollars; 0 without a sale."""
    return 0.0 if price is None else price / 1000


def fancy(price: int | None, budget: int, list_price: int | None) -> float:
    """The price over the mean of budget and list price; without a sale how far the list price is above the budget.

    The last is the paper's: a refusal is worth more, the dearer the car. Where no car was spoken of it is 0.

    Examples:
        >>> round(fancy(83_000, 90_000, 80_000), 5), fancy(None, 90_000, 80_000)
        (0.97647, -0.125)
    """
    if list_price is None:
        return 0.0
    if price is None:
        return -(budget - list_price) / list_price
    return price / ((budget + list_price) / 2)


def fancy_optimum(profile: Profile) -> float:
    """The best fancy return any seller can get of this buyer, by a sale or by a refusal."""
    return max(
        max(fancy(int(worth(profile, car)), profile.budget, car.price), fancy(None, profile.budget, car.price))
        for car in catalogue()
    )
