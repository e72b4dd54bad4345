"""What a seller's line says: which price it offers among all its numbers, for which car, and what it does.

A line has list prices, discounts, monthly rates, years and miles beside the price that is offered; each number is
classed by the words around it. A text is untrusted: it is cut to `LIMIT` characters, and no text decides a sale.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from lmrl_data.tasks.car_dealer_amounts import Amount
from lmrl_data.tasks.car_dealer_catalog import BRAND_WORDS, TYPE_WORDS, find_models
from lmrl_data.tasks.car_dealer_numbers import find_amounts
from lmrl_data.tasks.car_dealer_phrases import features_of, manners_of, named_features

LIMIT = 500  # characters of a line that are read
MIN_PRICE = 1_000
MAX_PRICE = 10_000_000


class SellerAct(NamedTuple):
    """What a seller's line says and does.

    Args:
        act (`str`): the most important of `acts`.
        acts (`frozenset[str]`): greet, ask, present, offer, discount, feature, answer, trade_in, pressure, firm,
            refuse, goodbye, smalltalk; empty if it is none.
        price (`int`, *optional*): what is asked for the car.
        list_price (`int`, *optional*), discount (`int`, *optional*), percent (`float`, *optional*): as named.
        features, missing (`tuple[str, ...]`): what the car is said to have, and not to have.
        cars (`tuple[int, ...]`): the numbers in the catalogue that the last model named may be.
        brand, type (`str`, *optional*): the last ones named.
        year (`int`, *optional*): of the car.
        asks (`frozenset[str]`): what is asked: type, brand, features, budget, open, close.
        agrees, yes, no (`bool`): whether it accepts what the buyer said; whether it begins with a yes or no.
        one (`bool`): whether it speaks of a car without a name: I have just the one.
        words (`int`): how long it is.
    """

    act: str
    acts: frozenset[str]
    price: int | None
    list_price: int | None
    discount: int | None
    percent: float | None
    features: tuple[str, ...]
    missing: tuple[str, ...]
    cars: tuple[int, ...]
    brand: str | None
    type: str | None
    year: int | None
    asks: frozenset[str]
    agrees: bool
    yes: bool
    no: bool
    one: bool
    words: int


# --- tokens

# A number with what belongs to it, a word, or a mark. Only ASCII digits are numbers.
_TOKEN = re.compile(
    r"(-\$|\$ ?-?|usd ?)?"
    r"([0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]{1,2})?(?![0-9])|[1-9][0-9]{1,2} [0-9]{3}(?![0-9,.]?[0-9])"
    r"|[0-9]+(?:\.[0-9]+)?)"
    r"( ?%| ?(?:k|grand|thousand|thou|large|million|mil)\b|[a-z]+)?"
    r"|([a-z][a-z0-9]*(?:[-'][a-z0-9]+|\.[0-9]+)*)"
    r"|([.,;:!?()/-])"
)
_PLAIN = {0x2018: "'", 0x2019: "'", 0x2013: "-", 0x2014: "-", 0xA0: " ", 0x2212: "-", 0x0A: " "}


def plain(text: str) -> str:
    """A text as it is read: its first characters, in lower case and in ASCII."""
    return text[:LIMIT].lower().translate(_PLAIN).encode("ascii", "replace").decode()


@lru_cache(maxsize=20_000)
def read(text: str) -> SellerAct:
    """What a seller's line says and does."""
    text = plain(text)
    tokens = _TOKEN.findall(text)
    keys = [number + suffix.strip() if number else word or mark for _, number, suffix, word, mark in tokens]
    brands = [BRAND_WORDS[key] for key in keys if key in BRAND_WORDS]
    types = [TYPE_WORDS[key] for key in keys if key in TYPE_WORDS]
    models = find_models(keys, brands)
    names = {place + i for place, size, _ in models for i in range(size)}
    masked, amounts = find_amounts(tokens, keys, names)
    manners = manners_of(masked)
    features, missing = features_of(masked)
    price, list_price, discount, percent, firm = _settle(amounts, manners.agrees)
    year = next((amount.value for amount in reversed(amounts) if amount.kind == "year"), None)
    acts = set(manners.acts)
    if price is not None:
        acts.add("offer")
    if discount is not None or percent is not None:
        acts.add("discount")
    if firm:
        acts.add("firm")
    if features or missing:
        acts.add("feature")
    if (models or brands or list_price is not None) and not manners.only_asks:
        acts.add("present")
    return SellerAct(
        act=next((act for act in ORDER if act in acts), "none"),
        acts=frozenset(acts),
        price=price,
        list_price=list_price,
        discount=discount,
        percent=percent,
        features=features,
        missing=missing,
        cars=models[-1][2] if models else (),
        brand=brands[-1] if brands else None,
        type=types[-1] if types else None,
        year=int(year) if year else None,
        asks=manners.asks,
        agrees=manners.agrees,
        yes=manners.yes,
        no=manners.no,
        one=manners.one,
        words=sum(1 for token in tokens if not token[4]),
    )


# The first of these that a line does is its act.
ORDER = (
    "offer", "discount", "firm", "present", "trade_in", "feature", "pressure", "refuse", "ask", "answer", "goodbye",
    "greet", "smalltalk",
)  # fmt: skip


def _settle(amounts: Sequence[Amount], agrees: bool) -> tuple[int | None, int | None, int | None, float | None, bool]:
    """The price of a line, its list price, its discount in dollars or per cent, and whether the price is firm.

    Of several offers the last counts, and a hedged one only where there is no other. A discount on a list price that
    is named is an offer, too.
    """
    last: dict[str, float] = {}
    for amount in amounts:
        last[amount.kind] = amount.value
    list_price, discount, percent = last.get("list"), last.get("discount"), last.get("percent")
    price = last.get("offer", last.get("firm", last.get("hedged")))
    if "firm" in last and "offer" in last:
        price = next(amount.value for amount in reversed(amounts) if amount.kind in ("offer", "firm"))
    if price is None and agrees:
        price = last.get("theirs")
    if price is None and list_price is not None and not last.get("percent_paid"):
        if discount is not None and 0 < discount < list_price:
            price = list_price - discount
        elif percent is not None:
            price = list_price * (1 - percent / 100)
    if price is not None and not MIN_PRICE <= price <= MAX_PRICE:
        price = None
    if list_price is not None and not MIN_PRICE <= list_price <= MAX_PRICE:
        list_price = None
    return (
        None if price is None else int(price + 0.5),
        None if list_price is None else int(list_price + 0.5),
        None if discount is None else int(discount + 0.5),
        percent,
        "firm" in last,
    )


def is_readable(act: SellerAct, text: str) -> bool:
    """Whether a line is language at all: it does something, or has three words and few other marks."""
    if act.acts:
        return True
    text = text[:LIMIT]
    letters = sum(each.isascii() and (each.isalpha() or each in " ,.?!'") for each in text)
    return act.words >= 3 and letters >= 0.8 * len(text)


class Heard(NamedTuple):
    """A line of any speaker without its meaning: its text with numbers masked, and what it names."""

    masked: str
    amounts: tuple[int, ...]  # of money, from 1,000 on
    brand: str | None
    type: str | None
    features: tuple[str, ...]


def hear(text: str) -> Heard:
    """What a line of any speaker names."""
    text = plain(text)
    tokens = _TOKEN.findall(text)
    keys = [number + suffix.strip() if number else word or mark for _, number, suffix, word, mark in tokens]
    brands = [BRAND_WORDS[key] for key in keys if key in BRAND_WORDS]
    types = [TYPE_WORDS[key] for key in keys if key in TYPE_WORDS]
    names = {place + i for place, size, _ in find_models(keys, brands) for i in range(size)}
    masked, amounts = find_amounts(tokens, keys, names)
    money = tuple(int(each.value) for each in amounts if each.kind not in ("year", "percent") and each.value >= 1_000)
    return Heard(masked, money, brands[0] if brands else None, types[0] if types else None, named_features(masked))


def amounts_of(text: str) -> tuple[int, ...]:
    """All amounts of money from 1,000 on that a text names, whatever they are."""
    return hear(text).amounts
