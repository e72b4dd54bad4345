"""What a scripted seller reads in the buyer's lines, and what it remembers of a talk."""

import random
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from lmrl_data.tasks.car_dealer.catalog import BUDGETS, Car, catalogue
from lmrl_data.tasks.car_dealer.reading.line import hear, read


class BuyerLine(NamedTuple):
    """What a buyer's line says.

    Args:
        does (`frozenset[str]`): price, confirm (is that your price?), mileage, expensive, hurry, more (cars), wrong
            (car): what it asks for or complains of.
        amounts (`list[int]`): the amounts of money it names.
        brand, type (`str`, *optional*), features (`list[str]`): those it names.
    """

    does: frozenset[str]
    amounts: list[int]
    brand: str | None
    type: str | None
    features: list[str]


_DOES = {
    name: re.compile(rf"\b(?:{words})")
    for name, words in {
        "price": r"how much (?:is|for|would|do)|the price (?:of|for)|name your price|make me an offer|"
        r"what (?:does|would|will|do you (?:want|charge))\b.*(?:cost|for|back)|price, please|the price, ?\b",
        "confirm": r"is # (?:your|the) price|# is your price|is that (?:it|the price|what you want)|is # what you",
        "mileage": r"miles\b|mileage|odometer|driven",
        "expensive": r"too (?:much|high|steep|expensive|rich)|afford|cannot pay|budget|out of my|beyond|blows|"
        r"above what|nobody pays|for somebody else|robbery|robbed|far apart|miles apart|nowhere near|not even close",
        "hurry": r"hurry|to the point|speech|faster|too long|all day|my time|short version|keep it short|speed|"
        r"leaving soon|to go soon|to leave soon|not here to chat|fewer words|less talk|too many words|sales talk",
        "more": r"what do you have|what can you (?:show|recommend)|my options|something cheaper|cheaper car|"
        r"another one|one like it|show me (?:what|a car|something|some of|one)|a few options|"
        r"would you (?:suggest|recommend)|"
        r"got anything|anything like that|you choose|where you show me",
        "wrong": r"not what i|wrong car|not (?:that|this) one|that one away|does not match|rather (?:see|have|buy)|"
        r"instead|asked for an? [a-z0-9-]+ [a-z]|i said an? |not this\b",
    }.items()
}


@lru_cache(maxsize=10_000)
def _does(masked: str) -> frozenset[str]:
    return frozenset(name for name, pattern in _DOES.items() if pattern.search(masked))


def listen(text: str) -> BuyerLine:
    """What a buyer's line says."""
    masked, amounts, brand, kind, features = hear(text)
    return BuyerLine(frozenset().union(*map(_does, masked)), amounts, brand, kind, features)


NOTHING = BuyerLine(frozenset(), [], None, None, [])


@dataclass
class Talk:
    """What a seller remembers of a talk."""

    rng: random.Random
    read: int = 0  # texts of the conversation taken in
    turn: int = 0
    brand: str | None = None
    type: str | None = None
    features: list[str] = field(default_factory=list)
    budget: int | None = None
    car: Car | None = None
    price: int | None = None
    floor: float = 0.0
    bids: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    claimed: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    balks: int = 0
    insisted: int = 0
    shown: int = 0
    last: BuyerLine = NOTHING
    rule: str = ""  # of the grammar, by which it spoke last
    signs: dict[str, int] = field(default_factory=dict)
    spoken: set[int] = field(default_factory=set)  # the lines of the grammar it has said

    def draw(self, size: int) -> int:
        return int(self.rng.random() * size)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def between(self, bounds: tuple[float, float]) -> float:
        return bounds[0] + (bounds[1] - bounds[0]) * self.rng.random()

    def hear(self, text: str) -> None:
        """Notes what a line of the buyer says."""
        line = self.last = listen(text)
        self.brand = line.brand if line.brand and "price" not in line.does else self.brand or line.brand
        self.type = line.type if line.type and "price" not in line.does else self.type or line.type
        self.features += [name for name in line.features if name not in self.features]
        for sign in line.does:
            self.signs[sign] = self.signs.get(sign, 0) + 1
        if line.features:
            self.signs["features"] = self.signs.get("features", 0) + 1
        if line.amounts:
            amount = line.amounts[-1]
            if self.rule == "ask_budget" and amount in BUDGETS:
                self.budget = amount
            elif self.car is not None and amount != self.price and "confirm" not in line.does:
                self.bids.append(amount)

    def recall(self, text: str) -> None:
        """Notes a seller's line that another policy wrote."""
        act = read(text)
        if act.cars:
            self.car = catalogue()[act.cars[0]]
            self.shown += 1
        self.price = act.price or self.price
        self.turn += 1
