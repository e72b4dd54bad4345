"""Reads a seller's line: the price it offers, the cars it speaks of, what it asks, and what it does.

A line may name list prices, discounts, monthly rates, years and miles beside the offered price; the words around a
number tell what it is. A text is untrusted: the reader looks at its first `LIMIT` characters only, and no text decides
a sale.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from lmrl_data.tasks.car_dealer.catalog import catalogue
from lmrl_data.tasks.car_dealer.reading import agreement
from lmrl_data.tasks.car_dealer.reading.amount import LEAST, MOST, Amount, amounts_of, dollars, is_price
from lmrl_data.tasks.car_dealer.reading.clue import matches
from lmrl_data.tasks.car_dealer.reading.sentence import LIMIT, Mention, Sentence, clauses_of, sentences_of

MIN_PRICE = 1_000
MAX_PRICE = 10_000_000
OFFERED = 0.45  # how likely an amount has to be the price to count as it
AGREES = 0.4  # how likely a line has to agree to count as agreement
LIKELY = 0.3  # to be the price of a car that stands beside it
UNCLEAR = 0.2  # and to be asked about


# --- what is read


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
        about (`str`): open, in_mind, type, brand, features, budget, either, would_do, would_pay, price_ok, echo (of
            the bid), anything_else, why, trade_in, finance, test_drive, when, name, smalltalk or other.
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
        miles (`bool`): whether it says how far the car was driven.
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
    miles: bool
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


_TOPIC_OF = {name: name for name in ("type", "brand", "features", "budget", "open")} | {
    "price_ok": "close", "in_mind": "open"
}  # fmt: skip
# The first of these that a line does is its act.
ORDER = (
    "offer", "agree", "discount", "firm", "present", "trade_in", "feature", "pressure", "defer", "wish", "refuse",
    "ask", "answer", "goodbye", "greet", "thank", "smalltalk", "insult",
)  # fmt: skip
_DOES = frozenset(ORDER) - {"offer", "agree", "discount", "present", "feature", "ask", "answer"}


# --- cars and features


def _named(sentence: Sentence, mention: Mention) -> NamedCar:
    """The car of a mention, with the year and the condition that the words around it say."""
    begin, end = next((b, e) for b, e in clauses_of(sentence.words) if b <= mention.place < e)
    others = [other.place for other in sentence.mentions if other.place != mention.place]
    begin = max([begin, mention.place - 4, *(place + 1 for place in others if place < mention.place)])
    end = min([end, mention.place + 12, *(place - 3 for place in others if place > mention.place)])
    around = " ".join(sentence.words[begin : max(end, mention.place)]) + " "
    years = [int(number.value) for place, number in sentence.numbers if number.form == "year" and begin <= place < end]
    used = {clue.tells for clue in matches("does", around)} & {"used", "new"}
    miles = "miles " in around and any(
        number.value > 1_000 and sentence.words[place + 1 : place + 2] == ("miles",)
        for place, number in sentence.numbers if begin <= place < end
    )  # fmt: skip
    year = years[0] if years else None
    cars = mention.cars
    condition = "used" if "used" in used or miles else "new" if "new" in used else None
    if year and condition != "new" and any(catalogue()[car].year == year for car in cars):
        condition, cars = "used", tuple(car for car in cars if catalogue()[car].year == year)
    elif condition:
        cars = tuple(car for car in cars if bool(catalogue()[car].year) == (condition == "used"))
    return NamedCar(cars, mention.brand, mention.type, condition, year, bool(mention.cars))


def features_named(text: str) -> tuple[str, ...]:
    """The features that a text in words names, claimed or not."""
    places: dict[str, int] = {}
    for clue in matches("feature", text):
        match = clue.pattern.search(text)
        places[clue.tells] = min(places.get(clue.tells, len(text)), match.start() if match else len(text))
    return tuple(sorted(places, key=places.__getitem__))


def _claims(text: str, asks: bool) -> tuple[tuple[str, ...], bool]:
    """The features that a clause says a car has, or lacks; and whether it has them."""
    features = features_named(text)
    does = {clue.tells for clue in matches("does", text)} if features else set()
    if asks or ("wanted" in does and "has" not in does):
        return (), True
    return features, "not" not in does or "harmless" in does


# --- questions

_ABOUT = (
    "trade_in", "finance", "test_drive", "anything_else", "would_pay", "why", "budget", "features", "brand", "type",
    "in_mind", "open", "price_ok", "when", "name", "smalltalk",
)  # fmt: skip

_DEAL = frozenset(["agree", "agreed", "deal", "settle", "shake", "sign", "sold"])


def _question(sentence: Sentence, amounts: Sequence[Amount], bid: int | None) -> Question:
    """What a question asks. One that only repeats what the buyer named echoes it, unless it speaks of a deal."""
    text = sentence.text
    abouts = {clue.tells for clue in matches("asks", text)}
    prices = [int(amount.value) for amount in amounts if amount.form in ("money", "plain", "short") and
              MIN_PRICE <= amount.value <= MAX_PRICE]  # fmt: skip
    features = features_named(text)
    if " or " in text:
        brands = [mention.brand for mention in sentence.mentions if mention.brand]
        types = [mention.type for mention in sentence.mentions if mention.type]
        names = [catalogue()[mention.cars[0]].model for mention in sentence.mentions if mention.cars]
        conditions = [word for word in ("new", "used") if f" {word} " in f" {text}"]
        for options in (names, brands, types, list(features), conditions, [f"${price:,}" for price in prices]):
            if len(dict.fromkeys(options)) > 1:
                return Question("either", tuple(dict.fromkeys(options)))
    if prices and "budget" not in abouts:
        theirs = {int(amount.value) for amount in amounts if amount.role == "theirs" and amount.offered < LIKELY}
        echoes = theirs.issuperset(prices) or (bid is not None and max(prices) <= bid)
        return Question("echo" if echoes and _DEAL.isdisjoint(sentence.words) else "price_ok", amount=prices[-1])
    if sentence.mentions and "would_do" in abouts:
        return Question("would_do", car=_named(sentence, sentence.mentions[-1]))
    if features:
        return Question("features", features)
    return Question(next((about for about in _ABOUT if about in abouts), "other"))


# --- a line


@lru_cache(maxsize=10_000)
def read(text: str, bid: int | None = None) -> SellerLine:
    """What a seller's line says and does, after the buyer's last `bid`, if there is one."""
    sentences = sentences_of(
        text if len(text[:LIMIT].strip().lstrip("0")) > 1 else ""
    )  # a lone 4 is no price of $4,000
    amounts = amounts_of([(sentence.words, sentence.numbers) for sentence in sentences], bid)
    acts: set[str] = set()
    questions: list[Question] = []
    said: list[CarSaid] = []
    gone: list[NamedCar] = []
    one = miles = False
    yes: bool | None = None
    asked_features: tuple[str, ...] = ()
    for index, sentence in enumerate(sentences):
        words = sentence.text
        own = [amount for amount in amounts if amount.sentence == index]
        does = {clue.tells for clue in matches("does", words)}
        asks = sentence.words[-1:] == ("?",)
        acts |= does & _DOES
        one = one or "one" in does
        says = True if "yes" in does else False if "no" in does and "no_no" not in does else None
        if yes is None and not asks:
            yes = says
        if asked_features and says is not None:  # Heated seats? Yes, it has them.
            _add(said, None, **{"features" if says else "missing": asked_features})
        asked_features = ()
        if asks:
            questions.append(_question(sentence, own, bid))
            asked_features = features_named(words)
        if "wants_bid" in does and not any(question.about == "would_pay" for question in questions):
            questions.append(Question("would_pay"))
        miles = miles or "miles" in does
        _tell_cars(sentence, own, asks, "gone" in does, said, gone)
    price, list_price, discount, percent = _settle(amounts, said, sentences, bid)
    others = [amount for amount in amounts if amount.form in ("money", "plain", "short") and amount.value >= MIN_PRICE]
    agrees = price in (None, bid) and not any(
        amount.value >= LEAST and amount.value != bid and amount.role != "other" for amount in others
    ) and agreement.chance(*agreement_text(sentences, bid)) >= AGREES  # fmt: skip
    if agrees and price is None and bid is not None:
        price = bid
    main = next((entry for entry in reversed(said) if entry.price == price is not None), said[-1] if said else None)
    if main is None or (price is not None and main.price != price):
        main = (main or CarSaid(None))._replace(price=price)
    echoed = [question.amount or 0 for question in questions if question.about == "echo"]  # $8,300? At least 31.
    unclear = () if price is not None or agrees else tuple(
        int(amount.value) for amount in sorted(others, key=lambda amount: -amount.offered)
        if amount.value != bid and (amount.offered >= UNCLEAR or (
            echoed and not miles and amount.role == "other" and max(echoed) < amount.value <= MOST["short"]
        ))
    )  # fmt: skip
    acts |= {
        name for name, holds in (
            ("agree", agrees), ("offer", price is not None and not agrees), ("ask", bool(questions)),
            ("discount", discount is not None or percent is not None), ("answer", yes is not None or agrees),
            ("feature", any(entry.features or entry.missing for entry in said)),
            ("present", any(entry.car or entry.list_price for entry in said)),
        ) if holds
    }  # fmt: skip
    return SellerLine(
        next((act for act in ORDER if act in acts), "none"), frozenset(acts), price, list_price, discount, percent,
        main.features, main.missing, main.car, tuple(said), tuple(gone), unclear,
        tuple(int(amount.value) for amount in others if amount.role == "theirs"), tuple(questions), agrees,
        yes is True, yes is False, one, miles, sum(sentence.length for sentence in sentences),
    )  # fmt: skip


def agreement_text(sentences: Sequence[Sentence], bid: int | None) -> tuple[tuple[str, ...], bool]:
    """The words of a line, in which the buyer's bid is `&`, and whether another amount may be a price."""
    texts, others = [], False
    for sentence in sentences:
        words = list(sentence.words)
        for place, number in sentence.numbers:
            if bid is not None and abs(dollars(number) - bid) < 1:
                words[place] = "&"
            else:
                others = others or is_price(number)
        texts.append(" ".join(words) + " ")
    return tuple(texts), others


def _add(said: list[CarSaid], car: NamedCar | None, **facts: Any) -> None:
    """Adds what is said about a car to the last entry, or to a new one if it is another car."""
    if not said or (car is not None and said[-1].car not in (None, car)):
        said.append(CarSaid(car))
    elif said[-1].car is None:
        said[-1] = said[-1]._replace(car=car)
    for name, value in facts.items():
        if isinstance(value, tuple):
            value = tuple(dict.fromkeys([*getattr(said[-1], name), *value]))
        said[-1] = said[-1]._replace(**{name: value})


def _tell_cars(
    sentence: Sentence, amounts: Sequence[Amount], asks: bool, denies: bool, said: list[CarSaid], gone: list[NamedCar]
) -> None:
    """Adds what a sentence says about each car: a price or a feature belongs to the car of its clause."""
    priced = {amount.place: amount for amount in amounts if amount.role == "list" or amount.offered >= LIKELY}
    mentions = {mention.place: mention for mention in sentence.mentions}
    places = sorted({amount.place for amount in amounts} | set(mentions))
    for begin, end in clauses_of(sentence.words):
        car = None
        for place in (place for place in places if begin <= place < end):
            mention = mentions.get(place)
            if mention is not None and (
                priced or not asks or (mention.cars and not denies and " or " not in sentence.text)
            ):
                car = _named(sentence, mention)
                if denies and not priced:
                    gone.append(car)
                else:
                    _add(said, car)
            amount = priced.get(place) or _beside(sentence, car, place, amounts)
            if amount is not None and MIN_PRICE <= amount.value <= MAX_PRICE:
                behind = next((mentions[at] for at in range(place, min(place + 6, end)) if at in mentions), None)
                if behind is not None and sentence.words[place + 1] in ("for", "on", "buys", "gets"):
                    car = _named(sentence, behind)
                field = "list_price" if amount.role == "list" else "price"
                _add(said, car, **{field: int(amount.value + 0.5)})
        features, has = _claims(" ".join(sentence.words[begin:end]) + " ", asks)
        if features:
            _add(said, car, **{"features" if has else "missing": features})


def _beside(sentence: Sentence, car: NamedCar | None, place: int, amounts: Sequence[Amount]) -> Amount | None:
    """The amount at a place, if it stands right behind a car as its price does: the used A3 for $9,700."""
    begin = next((at for at in range(place - 1, max(-1, place - 4), -1) if sentence.words[at] == "model"), None)
    if car is None or begin is None or not _LINKS.issuperset(sentence.words[begin + 1 : place]):
        return None
    return next(
        (amount for amount in amounts if amount.place == place and amount.value >= LEAST
         and amount.form in ("money", "plain", "short") and amount.role not in ("discount", "past")), None
    )  # fmt: skip


_LINKS = frozenset(
    ["for", "at", "is", "costs", ",", ":", "sedan", "suv", "truck", "convertible", "priced", "goes", "runs"]
)


def _settle(
    amounts: Sequence[Amount], said: Sequence[CarSaid], sentences: Sequence[Sentence], bid: int | None
) -> tuple[int | None, int | None, int | None, float | None]:
    """The price of a line, its list price, and its discount in dollars or per cent.

    Of several offers the last counts; of two cars with a price each, none. A discount on a price that is named is an
    offer, too, and so is half of the way between two bids.
    """
    offers = [amount.value for amount in amounts if amount.offered >= OFFERED and amount.form != "percent" and
              MIN_PRICE <= amount.value <= MAX_PRICE]  # fmt: skip
    lists = [amount.value for amount in amounts if amount.role == "list" and amount.form != "percent"]
    past = [amount.value for amount in amounts if amount.role == "past" and amount.form != "percent"]
    discounts = [amount.value for amount in amounts if amount.role == "discount" and amount.form != "percent"]
    percents = [amount.value for amount in amounts if amount.role == "discount" and amount.form == "percent"]
    theirs = [amount.value for amount in amounts if amount.role == "theirs"] or ([bid] if bid else [])
    price: float | None = offers[-1] if offers else None
    if len({entry.car for entry in said if entry.price in offers}) > 1:
        price = None
    does = {clue.tells for sentence in sentences for clue in matches("does", sentence.text)}
    bases = past or lists or (offers[-1:] if "reduces" in does else [])
    if bases and (not offers or bases == offers[-1:]):
        if "split" in does and theirs:
            price = (bases[-1] + theirs[-1]) / 2
        elif discounts or percents:
            price = (bases[-1] - sum(discounts)) * (1 - sum(percents[-1:]) / 100)
    discount = discounts[-1] if discounts else None
    return (
        _whole(price), _whole(lists[-1] if lists else None), None if discount is None else int(discount + 0.5),
        percents[-1] if percents else None,
    )  # fmt: skip


def _whole(price: float | None) -> int | None:
    return int(price + 0.5) if price is not None and MIN_PRICE <= price <= MAX_PRICE else None


def is_readable(line: SellerLine, text: str) -> bool:
    """Whether a line is language: it does something, or has three words and consists mostly of letters."""
    if line.acts or line.unclear:
        return True
    text = text[:LIMIT]
    letters = sum(letter.isascii() and (letter.isalpha() or letter in " ,.?!'") for letter in text)
    return line.words >= 3 and letters >= 0.8 * len(text)


class Heard(NamedTuple):
    """The amounts, brand, type and features a line names, of either speaker."""

    masked: list[str]  # sentence by sentence
    amounts: list[int]  # of money, from 1,000 on
    brand: str | None  # the first
    type: str | None
    features: list[str]


def hear(text: str) -> Heard:
    """The names and amounts in a line of either speaker."""
    sentences = sentences_of(text)
    mentions = [mention for sentence in sentences for mention in sentence.mentions]
    return Heard(
        [sentence.text.rstrip() for sentence in sentences],
        [int(number.value) for sentence in sentences for _, number in sentence.numbers
         if number.form in ("money", "plain") and number.value >= MIN_PRICE],
        next((mention.brand for mention in mentions if mention.brand), None),
        next((mention.type for mention in mentions if mention.type), None),
        [name for sentence in sentences for name in features_named(sentence.text)],
    )  # fmt: skip
