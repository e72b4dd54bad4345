"""What a buyer remembers of a talk: what it has said, and what was said about each car."""

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cache

from lmrl_data.tasks.car_dealer.catalog import Car, catalogue, type_noun
from lmrl_data.tasks.car_dealer.grammar import listing, noun_phrase
from lmrl_data.tasks.car_dealer.profile import Profile
from lmrl_data.tasks.car_dealer.reading.line import NamedCar


@dataclass
class CarNotes:
    """What was said about one car.

    Args:
        offer (`int`, *optional*): what the seller asks for it now.
        listed (`int`, *optional*): its list price, as the seller named it.
        bid (`int`, *optional*): what the buyer last said it would pay; it never falls.
        confirmed, missing (`set[str]`): the features the seller said it has, and those it said it lacks.
        asked (`set[str]`): what the buyer asked or said about it: features, mileage, wrong, lacks a feature.
    """

    offer: int | None = None
    listed: int | None = None
    bid: int | None = None
    confirmed: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)


class Wishes:
    """What the buyer wants: what of it the seller was told, and what the buyer has given up.

    Args:
        profile (`Profile`): whose wishes they are.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.told: set[str] = set()  # brand, type, budget, and features by name
        self.dropped: set[str] = set()  # brand, type, and features by name

    @property
    def brand(self) -> str | None:
        """The brand it still wants."""
        return None if "brand" in self.dropped else self.profile.brand

    @property
    def type(self) -> str | None:
        """The type it still wants."""
        return None if "type" in self.dropped else self.profile.type

    @property
    def features(self) -> list[str]:
        """The features it still wants."""
        return [name for name in self.profile.features if name not in self.dropped]

    def fits(self, car: Car) -> bool:
        """Whether a car has the brand and type that are wanted."""
        return self.brand in (None, car.brand) and (self.type is None or self.type in car.types)

    def phrase(self, features: tuple[str, ...] = ()) -> str:
        """The car it wants, with article: a Toyota SUV with heated seats."""
        brand, kind = self.brand, self.type
        if brand is None:
            text = noun_phrase(type_noun(kind)) if kind else "a good car"
        elif kind is None:
            text = noun_phrase(brand)
        else:
            text = noun_phrase(
                {"luxury": f"luxury {brand}", "electric": f"electric {brand}"}.get(kind, f"{brand} {kind}")
            )
        return f"{text} with {listing(features)}" if features else text

    def other(self) -> str:
        """What it wants once it gave up a brand or type: a convertible of another brand."""
        return f"{self.phrase()} of another brand" if self.brand is None and self.type is not None else self.phrase()

    def exist(self, feature: str | None = None) -> bool:
        """Whether any car has the brand and type that are wanted, and a feature."""
        return _exists(self.brand, self.type, feature)

    def give_up(self, gone: NamedCar) -> str | None:
        """Gives up what the dealer says it does not have: `brand` or `type`, or `None` if it is not wanted.

        Of a brand's type the brand is given up first: another brand is nearer to what is wanted than another type.
        """
        if gone.model or gone.condition is not None:
            return None
        brand, kind = self.brand, self.type
        if gone.brand is not None and gone.brand == brand and gone.type in (None, kind):
            self.dropped.add("brand")
            return "brand"
        if gone.brand is None and gone.type is not None and gone.type == kind:
            self.dropped.add("type")
            return "type"
        return None


@cache
def _exists(brand: str | None, kind: str | None, feature: str | None) -> bool:
    return any(
        brand in (None, car.brand)
        and (kind is None or kind in car.types)
        and (feature is None or feature in car.features)
        for car in catalogue()
    )


def meant_car(
    named: NamedCar, current: Car | None, price: int | None, wishes: Wishes, claimed: Collection[str] = ()
) -> tuple[Car | None, bool]:
    """The car of the catalogue that a seller means, and whether that is a guess, as no model was named.

    Args:
        named (`NamedCar`): how the seller names it.
        current (`Car`, *optional*): the car that is spoken of.
        price (`int`, *optional*): what the seller says it costs.
        wishes (`Wishes`): what the buyer wants; it takes an unnamed car for one of these.
        claimed (`Collection[str]`, *optional*): the features it is said to have; of several years one that has them.
    """

    def price_gap(car: Car, price: int | None) -> float:
        return abs(car.price - price) / car.price if price else 0.0

    if named.cars:
        cars = [catalogue()[number] for number in named.cars]
        if current in cars:
            return current, False
        claims = set(claimed)  # a claim that does not hold weighs as much as a price that is 15 % off
        return min(cars, key=lambda car: price_gap(car, price) + 0.15 * len(claims - car.features)), False

    def same_age(car: Car) -> bool:
        if named.year is not None and car.year:
            return car.year == named.year
        return named.condition is None or (named.condition == "used") == bool(car.year)

    brand, kind = named.brand, named.type
    fits = current is not None and brand in (None, current.brand) and (kind is None or kind in current.types)
    if current is not None and fits and not named.model and same_age(current):
        return current, False
    if current is not None and brand is None and kind is None:
        cars = [
            car for car in catalogue() if (car.brand, car.model) == (current.brand, current.model) and same_age(car)
        ]
    else:
        profile = wishes.profile
        cells = [(brand or profile.brand, kind or profile.type), (brand, kind)]
        for brand, kind in cells:
            cars = [
                car
                for car in catalogue()
                if brand in (None, car.brand) and (kind is None or kind in car.types) and same_age(car)
            ]
            if cars:
                break
    if not cars:
        return None, True
    goal = price or wishes.profile.budget
    return min(cars, key=lambda car: abs(car.price - goal)), True
