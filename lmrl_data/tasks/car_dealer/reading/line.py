"""Reads a seller's line: the price it offers, the car it speaks of, and what it does.

A line may name list prices, discounts, monthly rates, years and miles beside the offered price; the words around a
number tell what it is. A text is untrusted: the reader looks at its first `LIMIT` characters only, and no text decides
a sale.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple, TypeVar

from lmrl_data.tasks.car_dealer.catalog import BRAND_WORDS, TYPE_WORDS, find_models, model_starts
from lmrl_data.tasks.car_dealer.reading.amount import Amount, classed
from lmrl_data.tasks.car_dealer.reading.clue import GUESS
from lmrl_data.tasks.car_dealer.reading.echo import is_echo
from lmrl_data.tasks.car_dealer.reading.manner import Manners, features_of, manners_of, named_features
from lmrl_data.tasks.car_dealer.reading.number import NUMBER_STARTS, Number, find_numbers

LIMIT = 500  # characters of a line that are read
MIN_PRICE = 1_000
MAX_PRICE = 10_000_000


class NamedCar(NamedTuple):
    """A car that a seller names.

    Args:
        cars (`tuple[int, ...]`): the numbers in the catalogue that the name may mean; empty if there is no such car.
        brand, type (`str`, *optional*): as named, or as those of the model.
        condition (`str`, *optional*): `new` or `used`, where the line says so.
        year (`int`, *optional*): of the car.
        model (`bool`): whether a model is named, and not only a brand or a type.
    """

    cars: tuple[int, ...] = ()
    brand: str | None = None
    type: str | None = None
    condition: str | None = None
    year: int | None = None
    model: bool = False


class CarSaid(NamedTuple):
    """What a line says about one car; `car` is `None` for the one that is spoken of already."""

    car: NamedCar | None
    price: int | None = None
    list_price: int | None = None
    features: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Question(NamedTuple):
    """A question to the buyer.

    Args:
        about (`str`): open, type, brand, features, budget, either, would_do, would_pay, price_ok, anything_else, why,
            trade_in, finance, test_drive, when, name, smalltalk or other.
        options (`tuple[str, ...]`): what it gives to choose from.
        car (`NamedCar`, *optional*): the one that would have to do.
        amount (`int`, *optional*): the price that it asks about.
    """

    about: str
    options: tuple[str, ...] = ()
    car: NamedCar | None = None
    amount: int | None = None


class SellerLine(NamedTuple):
    """What a seller's line says and does.

    Args:
        act (`str`): the most important of `acts`.
        acts (`frozenset[str]`): greet, ask, present, offer, discount, feature, answer, trade_in, pressure, firm,
            refuse, agree, wish, defer, thank, insult, goodbye, smalltalk; empty if it is none.
        price (`int`, *optional*): what the car costs if the buyer says okay.
        list_price (`int`, *optional*), discount (`int`, *optional*), percent (`float`, *optional*): of the same car.
        features, missing (`tuple[str, ...]`): those it says the same car has, and those it says the car lacks.
        car (`NamedCar`, *optional*): the same car; `None` if it is the one that is spoken of already.
        said (`tuple[CarSaid, ...]`): what it says about each car, in the order of the line.
        gone (`tuple[NamedCar, ...]`): the cars that it says the dealer does not have.
        unclear (`tuple[int, ...]`): amounts that may be its price, if it has none: the buyer asks.
        repeats (`tuple[int, ...]`): amounts that it says are the buyer's.
        questions (`tuple[Question, ...]`): what it asks.
        agrees (`bool`): whether the seller sells at the buyer's bid.
        yes, no (`bool`): whether it begins with a yes or a no.
        one (`bool`): whether it speaks of a car without naming it: I have just the one.
        words (`int`): its length in words.
    """

    act: str
    acts: frozenset[str]
    price: int | None
    list_price: int | None
    discount: int | None
    percent: float | None
    features: tuple[str, ...]
    missing: tuple[str, ...]
    car: NamedCar | None
    said: tuple[CarSaid, ...]
    gone: tuple[NamedCar, ...]
    unclear: tuple[int, ...]
    repeats: tuple[int, ...]
    questions: tuple[Question, ...]
    agrees: bool
    yes: bool
    no: bool
    one: bool
    words: int

    @property
    def cars(self) -> tuple[int, ...]:
        return self.car.cars if self.car else ()

    @property
    def brand(self) -> str | None:
        return self.car.brand if self.car else None

    @property
    def type(self) -> str | None:
        return self.car.type if self.car else None

    @property
    def year(self) -> int | None:
        return self.car.year if self.car else None

    @property
    def asks(self) -> frozenset[str]:
        """The topics of its questions, in six classes and `other`."""
        return frozenset(_TOPIC_OF.get(question.about, "other") for question in self.questions)


_TOPIC_OF = {name: name for name in ("type", "brand", "features", "budget", "open")} | {"price_ok": "close"}


# --- tokens

# A number with what belongs to it, a word, or a mark. Only ASCII digits are numbers.
_TOKEN = re.compile(
    r"(-\$|(?:us)?\$ ?-?|(?:usd?|eur)(?= ?[0-9]) ?)?"
    r"([0-9]{1,3},[0-9]{1,2}(?= ?(?:k|grand|thousand)\b)|[0-9]{2},[0-9](?![0-9,])|"
    r"[0-9]{1,3}(?:\.[0-9]{3})+(?:,[0-9]{2})?(?![0-9])"
    r"|[0-9]{1,3}'[0-9]{3}(?![0-9])|[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]{1,2})?(?![0-9])|"
    r"[1-9][0-9]{1,2} [0-9]{3}(?![0-9,.]?[0-9])"
    r"|[0-9]+(?:\.[0-9]+)?)"
    r"( ?%| ?(?:k|grand|thousand|thou|large|million|mil)\b|[a-z]+)?"
    r"|([a-z][a-z0-9]*(?:[-'][a-z0-9]+|\.[0-9]+)*)"
    r"|([.,;:!?()/-])"
)
_MARKS = frozenset(".,;:!?()/-")
_PLAIN = {0x2018: "'", 0x2019: "'", 0x2013: "-", 0x2014: "-", 0xA0: " ", 0x2212: "-"}
_PLAIN |= {0x20AC: "$", 0xA3: "$"}  # a price is a number, whatever the currency


def simplified(text: str) -> str:
    """The first characters of a text, in lower case and ASCII."""
    text = text[:LIMIT].lower()
    if not text.isascii():
        text = text.translate(_PLAIN).encode("ascii", "replace").decode()
    return text.replace("\n", " ")


# Words as they are typed in haste.
_SPELT = {word.replace("'", ""): word for word in (
    "that's", "can't", "don't", "won't", "doesn't", "isn't", "didn't", "couldn't", "wouldn't", "let's", "you're",
    "you'll", "you'd", "i'm", "i've", "what's", "how's", "there's", "they're", "he's",
)} | {
    "u": "you", "ur": "your", "ya": "you", "ill": "i'll", "id": "i'd", "gotta": "have to", "wanna": "want to",
}  # fmt: skip


class Sentence(NamedTuple):
    """A sentence cut into words, and what it names."""

    masked: str  # names of models and brands are one word, and numbers are marks
    words: list[str]  # the same
    numbers: list[Number]
    brand: str | None  # the last
    type: str | None
    cars: tuple[int, ...]  # of the catalogue that the last model named may be
    length: int  # in words


# Where a sentence ends. Few lines are said twice, but many sentences are, so readings are cached by sentence.
_ENDS = re.compile(r"(?<=[.!?;]) +")


# One amount stands for all of five or six digits, so that sentences that differ only in prices share a cache entry.
_PRICE = re.compile(r"\$([1-9][0-9]{1,2},[0-9]{3})(?![0-9])")
_STAND_IN = "$99,999"
_STOOD_IN = 99_999


def _amounts_of(sentence: str, numbers: Sequence[Number | Amount]) -> list[float] | None:
    """The amounts of a sentence, given the numbers of the one with stand-ins; `None` if they do not match up."""
    values = [float(digits.replace(",", "")) for digits in _PRICE.findall(sentence)]
    if sum([number[0] == _STOOD_IN for number in numbers]) != len(values):
        return None
    known = iter(values)
    return [next(known) if number[0] == _STOOD_IN else number[0] for number in numbers]


Part = TypeVar("Part")


def _by_shape(sentence: str, read: Callable[[str], Part], field: str) -> Part:
    """What `read` returns for a sentence; sentences that differ only in prices are read once.

    Args:
        sentence (`str`): with its own prices.
        read (`Callable`): gives a named tuple.
        field (`str`): the field of the named tuple that holds the sentence's numbers, in order.
    """
    if "$" in sentence:
        shape = _PRICE.sub(_STAND_IN, sentence)
        if shape != sentence:
            part: Any = read(shape)
            numbers = getattr(part, field)
            values = _amounts_of(sentence, numbers)
            if values is not None:
                own = [number._replace(value=value) for value, number in zip(values, numbers, strict=True)]
                return part._replace(**{field: own})
    return read(sentence)


@lru_cache(maxsize=20_000)
def cut(sentence: str) -> Sentence:
    """A sentence as words."""
    return _by_shape(sentence, _cut, "numbers")


@lru_cache(maxsize=20_000)
def _cut(sentence: str) -> Sentence:
    tokens = _TOKEN.findall(sentence)
    keys = [
        number + suffix.strip() if number else _SPELT.get(word, word) or mark
        for _, number, suffix, word, mark in tokens
    ]
    length = len(keys) - sum([key in _MARKS for key in keys])
    known = _known()
    places = [place for place, key in enumerate(keys) if key in known or key[0] in "0123456789"]
    if not places:
        return Sentence(" ".join(keys), keys, [], None, None, (), length)
    brands = [BRAND_WORDS[key] for key in keys if key in BRAND_WORDS]
    types = [TYPE_WORDS[key] for key in keys if key in TYPE_WORDS]
    models = find_models(keys, places, brands)
    words, numbers = find_numbers(tokens, keys, places, {place: size for place, size, _ in models})
    return Sentence(
        " ".join(words), words, numbers, brands[-1] if brands else None, types[-1] if types else None,
        models[-1][2] if models else (), length,
    )  # fmt: skip


@cache
def _known() -> frozenset[str]:
    """The words at which a number or a name may begin."""
    return NUMBER_STARTS | frozenset(BRAND_WORDS) | frozenset(TYPE_WORDS) | model_starts()


class Meaning(NamedTuple):
    """What a sentence of a seller says and does, by itself."""

    sentence: Sentence
    amounts: list[Amount]
    manners: Manners
    features: tuple[str, ...]
    missing: tuple[str, ...]


@lru_cache(maxsize=20_000)
def understand(sentence: str) -> Meaning:
    """What a sentence of a seller says and does."""
    return _by_shape(sentence, _understand, "amounts")


@lru_cache(maxsize=20_000)
def _understand(sentence: str) -> Meaning:
    part = cut(sentence)
    amounts = classed(part.words, part.numbers) if part.numbers else []
    return Meaning(part, amounts, manners_of(part.masked), *features_of(part.masked))


@lru_cache(maxsize=10_000)
def read(text: str, bid: int | None = None) -> SellerLine:
    """What a seller's line says and does, after the buyer's last `bid`, if there is one."""
    meanings = [understand(sentence) for sentence in _ENDS.split(simplified(text))]
    amounts: list[Amount] = []
    features: list[str] = []
    missing: list[str] = []
    acts: set[str] = set()
    asks: set[str] = set()
    agrees = sure = statement = one = False
    yes = no = None
    cars: tuple[int, ...] = ()
    named: tuple[str, ...] = ()
    brand = kind = before = None
    length = 0
    for index, (part, part_amounts, manners, has, lacks) in enumerate(meanings):
        after = meanings[index + 1].sentence.masked if index + 1 < len(meanings) else ""
        if part_amounts and is_echo(part.masked, after, meanings[index - 1].sentence.masked if index else ""):
            part_amounts = [amount._replace(kind="theirs") for amount in part_amounts]
        if before is not None and before.asks:
            if part_amounts and "budget" in before.asks and GUESS.fullmatch(part.masked):
                part_amounts = [
                    amount._replace(kind="theirs") for amount in part_amounts
                ]  # What is your budget? About $30,000?
            if named and (manners.yes or manners.no):  # Heated seats? Yes, it has them.
                (features if manners.yes else missing).extend(named)
        amounts += part_amounts
        features += has
        missing += lacks
        acts |= manners.acts
        asks |= manners.asks
        agrees = agrees or manners.agrees
        sure = sure or manners.sure
        one = one or manners.one
        statement = statement or not manners.asks
        if yes is None and (manners.yes or manners.no):
            yes, no = manners.yes, manners.no
        cars = part.cars or cars
        brand, kind = part.brand or brand, part.type or kind
        length += part.length
        before = manners
        named = named_features(part.masked) if manners.asks and not (has or lacks) else ()
    weak = meanings[0].manners.weak
    if yes is None:
        yes = sure or weak == "yes"
        no = weak == "no" and not yes
    agrees = (agrees or (weak == "okay" and not asks)) and not ("refuse" in acts or "trade_in" in acts)
    price = list_price = discount = percent = year = None
    if amounts:
        price, list_price, discount, percent = _settle(amounts, agrees)
        for value, is_a in amounts:
            if is_a == "year":
                year = int(value)
            elif is_a == "firm":
                acts.add("firm")
        if price is not None:
            acts.add("offer")
        if discount is not None or percent is not None:
            acts.add("discount")
    if features or missing:
        acts.add("feature")
        features = [name for name in dict.fromkeys(features) if name not in missing]
    if statement and (cars or brand or list_price is not None):
        acts.add("present")
    if asks:
        acts.add("ask")
    if yes or no or agrees:
        acts.add("answer")
    main = "none"
    for act in ORDER:
        if act in acts:
            main = act
            break
    car = NamedCar(cars, brand, kind, None, year, bool(cars)) if cars or brand or kind or year else None
    if agrees:
        acts.add("agree")
    said = (CarSaid(car, price, list_price, tuple(features), tuple(missing)),)
    questions = tuple(Question("price_ok" if topic == "close" else topic) for topic in sorted(asks))
    repeats = tuple(int(amount.value) for amount in amounts if amount.kind == "theirs")
    return SellerLine(
        main, frozenset(acts), price, list_price, discount, percent, tuple(features), tuple(missing), car, said, (),
        (), repeats, questions, agrees, bool(yes), bool(no), one, length,
    )  # fmt: skip


# The first of these that a line does is its act.
ORDER = (
    "offer", "discount", "firm", "present", "trade_in", "feature", "pressure", "refuse", "ask", "answer", "goodbye",
    "greet", "smalltalk",
)  # fmt: skip


def _settle(amounts: Sequence[Amount], agrees: bool) -> tuple[int | None, int | None, int | None, float | None]:
    """The price of a line, its list price, and its discount in dollars or per cent.

    Of several offers the last counts, and a hedged one only where there is no other. A discount on a list price that
    is named is an offer, too.
    """
    last: dict[str, float] = {}
    price = None
    for value, kind in amounts:
        last[kind] = value
        if kind in ("offer", "firm"):
            price = value
    list_price, discount, percent = last.get("list"), last.get("discount"), last.get("percent")
    if price is None:
        price = last.get("hedged")
    if price is None and agrees:
        price = last.get("theirs")
    if price is None and list_price is not None:
        if discount is not None and 0 < discount < list_price:
            price = list_price - discount
        elif percent is not None:
            price = list_price * (1 - percent / 100)
    return _whole(price), _whole(list_price), None if discount is None else int(discount + 0.5), percent


def _whole(price: float | None) -> int | None:
    return int(price + 0.5) if price is not None and MIN_PRICE <= price <= MAX_PRICE else None


def is_readable(act: SellerLine, text: str) -> bool:
    """Whether a line is language: it does something, or has three words and consists mostly of letters."""
    if act.acts:
        return True
    text = text[:LIMIT]
    letters = sum(letter.isascii() and (letter.isalpha() or letter in " ,.?!'") for letter in text)
    return act.words >= 3 and letters >= 0.8 * len(text)


class Heard(NamedTuple):
    """The amounts, brand, type and features a line names, of either speaker."""

    masked: list[str]  # sentence by sentence
    amounts: list[int]  # of money, from 1,000 on
    brand: str | None  # the first
    type: str | None
    features: list[str]


def hear(text: str) -> Heard:
    """The names and amounts in a line of either speaker."""
    parts = [cut(sentence) for sentence in _ENDS.split(simplified(text))]
    amounts: list[int] = []
    features: list[str] = []
    brand = kind = None
    for part in parts:
        if part.numbers:
            amounts += [int(number.value) for number in part.numbers if is_money(number)]
        features += named_features(part.masked)
        brand, kind = brand or part.brand, kind or part.type
    return Heard([part.masked for part in parts], amounts, brand, kind, features)


def is_money(number: Number) -> bool:
    """Whether a number is an amount a car may cost."""
    return number.form in "#N" and number.value >= MIN_PRICE
