"""The buyer in a talk: its state, and the rules that choose its next move.

The buyer bargains as negotiation theory says (Faratin et al. 1998, Baarslag et al. 2013). Its bids for a car rise from
its target towards what the car is worth to it. It accepts a price that is no worse than its own next bid, or than any
bid it made, and pays a little more than that to be spared another turn. The rules choose moves only; the simulator
puts them into words.
"""

import random
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple

from lmrl_data.tasks.car_dealer.buyer_memory import CarNotes, Wishes, meant_car
from lmrl_data.tasks.car_dealer.catalog import BRANDS, FEATURES, TYPES, Car, catalogue, type_noun
from lmrl_data.tasks.car_dealer.grammar import listing, money, noun_phrase
from lmrl_data.tasks.car_dealer.profile import CONCESSIONS, Profile, worth
from lmrl_data.tasks.car_dealer.reading.line import NamedCar, Question, SellerLine
from lmrl_data.tasks.car_dealer.temper import TEMPERS

HOSTILE = frozenset(["abusive", "angry", "insulting", "rude", "toxic"])
SANE = 0.65  # a bid under this share of what the seller asks would not be taken seriously


class Move(NamedTuple):
    """What the buyer does.

    Args:
        rule (`str`): a rule of its grammar.
        slots (`Mapping[str, str]`): what stands in the slots of that rule.
        price (`int`, *optional*): the amount it names.
        feature (`str`, *optional*): the feature it speaks of.
        decision, reason (`str`, *optional*): accept or reject, and why, if the move ends the talk.
        first (`Move`, *optional*): what it says before, such as the answer to a question.
    """

    rule: str
    slots: Mapping[str, str] = MappingProxyType({})
    price: int | None = None
    feature: str | None = None
    decision: str | None = None
    reason: str | None = None
    first: "Move | None" = None

    @property
    def amounts(self) -> list[int]:
        """The amounts it names, in order."""
        mine = [] if self.price is None else [self.price]
        return [*self.first.amounts, *mine] if self.first else mine


class News(NamedTuple):
    """What a line changed."""

    car: bool = False  # it speaks of another car
    lies: tuple[str, ...] = ()  # features it claims that the car cannot have
    fraud: bool = False  # a list price that no such car has
    former: int | None = None  # what was asked for the same car before
    lacks: tuple[str, ...] = ()  # wanted features that it says the car lacks
    gone: str | None = None  # brand or type that the buyer gives up, as there is none


class Buyer:
    """A buyer in a talk.

    Args:
        profile (`Profile`): who it is.
        rng (`random.Random`): chooses between moves of equal standing.
    """

    def __init__(self, profile: Profile, rng: random.Random) -> None:
        self.profile = profile
        self.temper = TEMPERS[profile.personality]
        self.random = rng
        self.turn = 0
        self.wishes = Wishes(profile)
        self.known: frozenset[str] = frozenset()  # the wishes that it had told before this turn
        self.car: Car | None = None
        self.loose = False  # the seller named only a brand or type; the price tells which car it means
        self.cars: dict[str, CarNotes] = {}  # by name
        self.notes = CarNotes()  # of the car that is spoken of
        self.progress = 0.0  # 0 at the target, 1 where it would pay what the car is worth
        self.annoyance = 0.0
        self.trust = 1.0
        self.answers: dict[str, int] = {}  # how often it answered a question about a topic
        self.pending: Move | None = None  # what it said last
        self.seller_texts: set[str] = set()
        self.questions = 0  # of the seller
        self.warned = 0  # the turn of its last word, 0 before it
        self._worths: dict[tuple[int | bool, ...], float] = {}
        self.stuck = 0  # turns without a lower price, once it has said its last word

    # --- prices

    @property
    def offer(self) -> int | None:
        """What the seller asks for the car that is spoken of."""
        return self.notes.offer

    @property
    def asked(self) -> int:
        """What the seller asks for that car, as far as the buyer can tell."""
        assert self.car is not None
        return self.notes.offer or self.notes.listed or self.car.price

    @property
    def bid(self) -> int | None:
        """What the buyer last said it would pay for that car."""
        return self.notes.bid

    @property
    def named_amount(self) -> int | None:
        """What the seller takes for the bid: the bid, or what the buyer just said it has as it was asked for one."""
        asked = self.pending if self.offer is not None else None
        budget = asked.price if asked is not None and asked.rule in ("again", "answer_budget") else None
        return self.bid if self.bid is not None else budget

    def limit(self) -> float:
        """The most the car can be worth to the buyer, with all that it has."""
        assert self.car is not None
        return self._worth(self.car.features)

    def _worth(self, known: Collection[str]) -> float:
        """What the car is worth with the features that are known; each case is computed once."""
        assert self.car is not None
        case = (id(self.car), *[name in known for name in self.profile.features])
        if case not in self._worths:
            self._worths[case] = worth(self.profile, self.car, known)
        return self._worths[case]

    def ceiling(self) -> float:
        """The most the buyer would ever pay for the car, by what it knows of it."""
        assert self.car is not None
        known = self.notes.confirmed if self.profile.strategy == "features" else self.car.features
        return self.trust * self._worth(known)

    def aspiration(self) -> float:
        """What the buyer hopes to pay at this point of the talk."""
        ceiling = self.ceiling()
        start = ceiling * self.profile.target / self.profile.reservation
        return start + (ceiling - start) * min(1.0, self.progress) ** CONCESSIONS[self.profile.concession]

    def next_bid(self) -> int:
        """What the buyer would bid now: never less than it bid before, and never more than the car is worth."""
        step = self.temper.step if self.ceiling() > 15_000 else 100
        bid = step * int(self.aspiration() / step) or 100 * int(self.aspiration() / 100)
        return min(max(bid, self.bid or 0), int(self.limit()))

    def acceptable(self) -> float:
        """The most the buyer would pay now: its next bid, and what it is worth to it to be spared another turn."""
        cost = self.temper.cost * (1.5 if self.profile.strategy == "impatient" else 1.0)
        spared = cost * self.ceiling() * min(1.0, self.turn / self.profile.patience)
        return max(
            min(self.ceiling(), max(self.aspiration(), self.next_bid()) + spared), min(self.bid or 0, self.limit())
        )

    # --- a turn

    def hear(self, line: SellerLine, text: str, valid: bool) -> Move:
        """The buyer's move after a seller's line."""
        self.turn += 1
        self.known = frozenset(self.wishes.told)
        news = self._note(line)
        self._concede(line, news)
        self._annoy(line, news, text, valid)
        move = self._decide(line, news, text, valid)
        if move.price is None and any(question.about in ABOUT_PRICE for question in line.questions):
            self.notes.asked.add("evaded")
        self.pending = move
        return move

    def last_word(self) -> Move:
        """The move that ends the talk: it buys at the last offer if the car is worth that."""
        if self.offer is not None and self.car is not None and self.offer <= min(self.ceiling(), self.limit()):
            return self._accept(self.offer, "last offer")
        return self._reject("patience" if self.offer is None else "price")

    # --- what a line says

    def _note(self, line: SellerLine) -> News:
        before, offered = self.car, self.offer
        lies: list[str] = []
        lacks: list[str] = []
        fraud = False
        model = False  # whether a model was named: it is our Tesla SUV says nothing more of it
        for part in line.said:
            price = part.price if part.price is not None else part.list_price
            says = price is not None or bool(part.features or part.missing)
            here = part.car not in line.gone and "refuse" not in line.acts and "present" in line.acts
            if says or here:
                named = part.car if part.car is None or part.car.model or not model else None
                self._turn_to(named, price, line, part.features)
            model |= part.car is not None and part.car.model
            if self.car is None:
                continue
            notes = self.notes
            claimed = set(part.features)
            notes.confirmed |= claimed & self.car.features
            if not self.loose:
                lies += sorted(claimed - self.car.features)
            notes.missing = (notes.missing - claimed) | set(part.missing) | (claimed - self.car.features)
            lacks += [name for name in part.missing if name in self.wishes.features]
            if part.list_price is not None:
                notes.listed = part.list_price
                fraud |= not self.loose and not 0.6 * self.car.price <= part.list_price <= 1.5 * self.car.price
            if part.price is not None:
                notes.offer = part.price
        if self.car is not None and self.bid is None and line.agrees:  # to what the buyer said it has
            self.notes.offer = line.price or self.offer
        if line.car is not None and line.car.model and line.price is not None and line.said[-1].car != line.car:
            self._turn_to(line.car, line.price, line)
        for question in line.questions:  # Would you take it at $21,000?
            amount = question.amount if question.about == "price_ok" and self.car and line.price is None else None
            if amount and (self.offer is None or amount >= SANE * self.offer):  # else it wonders at a low figure
                self.notes.offer = amount
        self._note_answer(line, lacks)
        self._note_discount(line)
        if line.miles:
            self.notes.asked.add("mileage")
        gone = next((name for name in map(self.wishes.give_up, line.gone) if name), None)
        for name in lacks:
            if not self.wishes.exist(name):
                self.wishes.dropped.add(name)
        same = self.car is before
        return News(
            not same, tuple(lies), fraud, offered if same and offered is not None and offered != self.offer else None,
            tuple(lacks), gone,
        )  # fmt: skip

    def _turn_to(
        self, named: NamedCar | None, price: int | None, line: SellerLine, claimed: tuple[str, ...] = ()
    ) -> None:
        """Makes the car that a line speaks of the car that is spoken of."""
        if named is None or named == NamedCar():
            if self.car is not None and not (self.loose and price):
                return
            if self.car is None and "brand" not in self.wishes.told and not line.one:
                return
            kind = self.profile.type if self.car is None else None
            named = NamedCar(brand=self.car.brand if self.car else self.profile.brand, type=kind)
        current = None if self.loose and price and not named.model else self.car
        car, loose = meant_car(named, current, price, self.wishes, claimed)
        if car is None or car is self.car:
            return
        same_brand = self.car is not None and named.brand in (None, self.car.brand)
        if loose and not self.loose and same_brand and (price or 0) < 0.55 * car.price:
            return  # too vague to mean another car
        if self.loose and self.car is not None and self.car.brand == car.brand:  # the guess was another one
            self.cars[car.name] = self.cars.pop(self.car.name)
        self.car, self.loose = car, loose
        self.notes = self.cars.setdefault(car.name, CarNotes())

    def _note_answer(self, line: SellerLine, lacks: list[str]) -> None:
        """Notes the answer to what the buyer asked last."""
        asked = self.pending
        if asked is None or self.car is None:
            return
        if asked.rule in ("ask_feature", "insist_feature") and asked.feature and line.price is None:
            if line.yes and not line.features:
                self.notes.confirmed |= {asked.feature} & self.car.features
            elif line.no and not line.missing and asked.feature not in self.notes.confirmed:
                self.notes.missing.add(asked.feature)
                lacks.append(asked.feature)
        elif asked.rule == "is_price" and line.yes and line.price is None:
            self.notes.offer = asked.price

    def _note_discount(self, line: SellerLine) -> None:
        """A discount applies to the price asked before. It counts only if the new price is plausible."""
        if self.car is None or line.price is not None or line.list_price is not None:
            return
        base = self.offer or self.car.price
        price = None
        if line.discount is not None:
            price = base - line.discount
        elif line.percent is not None:
            price = int(self.car.price * (1 - line.percent / 100) + 0.5)
        if price is not None and 0.4 * base <= price < base:
            self.notes.offer = price

    def _concede(self, line: SellerLine, news: News) -> None:
        """How far a line moves the buyer from its target towards what the car is worth to it."""
        strategy, steps = self.profile.strategy, 0.3
        lower = news.former is not None and self.offer is not None and self.offer < news.former
        if news.car:
            steps = 0.8
        if line.price is not None:
            steps = max(steps, 0.7)
        if line.features:
            wanted = any(name in self.profile.features for name in line.features)
            steps = max(steps, {"discounts": 0.3, "features": 1.8 if wanted else 0.8, "impatient": 0.3}[strategy])
        if lower:
            steps = max(steps, {"discounts": 1.5, "features": 0.7, "impatient": 0.8}[strategy])
        if strategy == "impatient":
            if line.words <= 15 and steps >= 0.5:
                steps += 0.5
            elif line.words > 18:
                steps *= 0.5
        if "firm" in line.acts and not lower:
            steps = max(steps, 0.5)
        self.progress += steps / (0.7 * self.profile.patience)

    def _annoy(self, line: SellerLine, news: News, text: str, valid: bool) -> None:
        profile, asked = self.profile, self.pending
        miles = asked is not None and asked.rule == "ask_mileage" and any(map(str.isdigit, text))
        more = 1.0 * (text in self.seller_texts) + 1.0 * (not valid and not miles)
        self.seller_texts.add(text)
        more += 1.2 * bool(news.former and self.offer and self.offer > news.former)
        more += 1.2 * len(news.lies) + 0.8 * news.fraud + 0.6 * ("insult" in line.acts)
        self.trust *= 0.9 ** len(news.lies) * 0.97**news.fraud
        if "pressure" in line.acts:
            more += 0.6 if profile.concession == "boulware" else 0.4
        more += 0.4 * sum(
            self.answers.get(question.about, 0) > 0 for question in line.questions if question.about in FACTS
        )
        if asked is not None and asked.rule in ("ask_price", "ask_feature", "ask_mileage"):
            more += 0.3 * (line.acts <= {"smalltalk", "greet", "pressure", "ask"})
            if asked.rule == "ask_feature" and profile.strategy == "features":
                more += 0.4 * (not (line.features or line.missing or line.yes or line.no))
        if line.price is not None and line.price > 2 * profile.reservation:
            more += 0.3
        if profile.strategy == "impatient":
            more += min(0.5, max(0, line.words - 13) / 24) + 0.6 * ("smalltalk" in line.acts)
            self.questions += any(question.about != "price_ok" for question in line.questions)
            more += 0.3 * (self.questions > 3 and bool(line.questions))
        self.annoyance += more

    # --- what the buyer does

    def _decide(self, line: SellerLine, news: News, text: str, valid: bool) -> Move:
        sale = self._buy(line, news)
        if sale is not None:
            return sale
        bears = self.temper.bears * (0.8 if self.profile.strategy == "impatient" else 1.0)
        lowered = news.former is not None and self.offer is not None and self.offer < news.former
        if self.turn >= 4 and self.annoyance >= bears and not lowered:
            return self._reject("annoyed")
        if self.turn >= self.profile.patience:
            return self.last_word()
        if self.turn >= 3 and line.act == "goodbye":
            return self._reject("goodbye")
        if self.stuck >= 3:
            return self._reject("price")
        asked = self.pending.rule if self.pending else ""
        if not valid and not (asked == "ask_mileage" and any(map(str.isdigit, text))):
            return Move("unclear" if self.annoyance < bears / 2 else "impatient")
        answer = self._answer(line)
        if self.turn == 1 and answer is not None:
            return answer
        plain = not news.lies and not news.gone and not news.lacks
        if answer is not None and plain and (line.price is None or answer.price is not None):
            return answer
        move = self._react(line, news)
        if answer is not None and answer.rule != move.rule and not {*answer.amounts} & {*move.amounts}:
            move = move._replace(first=answer)
        return move

    def _buy(self, line: SellerLine, news: News) -> Move | None:
        """The move that buys the car, if the seller agrees to the bid or asks what the buyer would pay."""
        if self.car is None or self.turn < 2:
            return None
        plain = line.price in (None, self.bid) and not (
            line.features or line.missing or news.car or {"refuse", "defer"} & line.acts
        )
        yes = line.yes and self.pending is not None and self.pending.rule in BIDS and not line.questions
        if self.bid is not None and plain and (line.agrees or yes) and self.bid <= self.limit():
            return self._accept(self.bid, "counter")
        if self.offer is None or news.lies or news.fraud or self.offer > min(self.acceptable(), self.limit()):
            return None
        owes = self._owes_amount(line)
        if self.offer > max(self.bid or 0, self.start()) and not owes and self._keen() and (unsure := self._unsure()):
            return self._ask_feature(unsure[0])
        return self._accept(self.offer, "offer")

    def _owes_amount(self, line: SellerLine) -> bool:
        """Whether a line asks about the price of the car once more, after the buyer spoke of something else."""
        return "evaded" in self.notes.asked and any(question.about in ABOUT_PRICE for question in line.questions)

    def start(self) -> float:
        """What the buyer hoped to pay for the car at first."""
        return self.ceiling() * self.profile.target / self.profile.reservation

    def _unsure(self) -> list[str]:
        """The wanted features of the car that nobody spoke of."""
        known = self.notes.confirmed | self.notes.missing | self.notes.asked
        return [name for name in self.wishes.features if name not in known]

    def _keen(self) -> bool:
        """Whether the buyer wants to hear more of the car's features."""
        eager = {"features": 0.7, "discounts": 0.25, "impatient": 0.12}[self.profile.strategy]
        return self.random.random() < eager * self.temper.asks

    def _ask_feature(self, name: str) -> Move:
        self.notes.asked.add(name)
        self.wishes.told.add(name)
        return Move("ask_feature", {"feature": name}, feature=name)

    def _accept(self, price: int, reason: str) -> Move:
        return Move("accept", {"price": money(price)}, price, decision="accept", reason=reason)

    def _reject(self, reason: str) -> Move:
        rule = "walk_away"
        if reason == "price":
            rule = "walk_away_price"
        elif reason == "annoyed" and self.profile.personality in HOSTILE:
            rule = "walk_away_rude"
        return Move(rule, decision="reject", reason=reason)

    # --- answers

    def _answer(self, line: SellerLine) -> Move | None:
        """The answer to the last question of a line that can be answered."""
        if self.turn == 1:
            return self._open(line)
        if "trade_in" in line.acts and line.price is None and line.questions:
            return Move("no_trade_in")
        for question in reversed(line.questions):
            move = self._answer_to(question, line)
            if move is not None:
                self.answers[question.about] = self.answers.get(question.about, 0) + 1
                return move
        return None

    def _open(self, line: SellerLine) -> Move:
        """The first thing it says: what it wants."""
        told = self.wishes.told
        if self.profile.personality == "uncommunicative" and line.car is None:
            told.add("type")
            return Move("answer_type", {"type": type_noun(self.profile.type)})
        told |= {"brand", "type"}
        count = int(self.random.random() * (self.temper.opens + 1))
        features = self.profile.features[:count]
        told |= set(features)
        return Move("open", {"want": self.wishes.phrase(features)})

    def _answer_to(self, question: Question, line: SellerLine) -> Move | None:
        about = question.about
        if about in ("budget", "in_mind") and self.car is not None and self.offer is not None:
            return self._would_pay()
        if about == "in_mind":
            return self._tell(Question("open"))
        if about in ("open", "type", "brand", "features", "budget"):
            return self._tell(question)
        if about == "either":
            return self._choose(question.options)
        if about == "would_do":
            return self._would_do(question.car)
        if about == "would_pay":
            return self._would_pay()
        if about == "anything_else":
            return self._more_wishes()
        if about == "why":
            return self._why()
        if about == "smalltalk":
            return Move("hurry_up" if self.profile.strategy == "impatient" and self.turn > 2 else "smalltalk_reply")
        if about in ("trade_in", "finance", "test_drive", "when", "name"):
            return Move({"trade_in": "no_trade_in"}.get(about, f"answer_{about}"))
        if about == "other" and self.offer is None and not (line.price or line.features or line.missing or line.cars):
            return Move("cannot_say")
        return None

    def _tell(self, question: Question) -> Move | None:
        """The answer to a question about what it wants."""
        told, about, profile = self.wishes.told, question.about, self.profile
        if (
            about == "features"
            and len(question.options) == 1
            and question.options[0] not in told - self.wishes.dropped
        ):
            name = question.options[0]
            if name not in self.wishes.features:
                return Move("not_needed", {"feature": name})
            told.add(name)
            return Move("needed", {"feature": name}, feature=name)
        if about == "open":
            if {"brand", "type"} <= told:
                return Move("again", {"answer": self.wishes.phrase()})
            told |= {"brand", "type"}
            return Move("open", {"want": self.wishes.phrase()})
        if about == "budget":
            if "budget" in told:
                return Move("again", {"answer": f"about {money(profile.budget)}"}, profile.budget)
            if "dodged" not in told and self.random.random() >= self.temper.tells:
                told.add("dodged")
                return Move("answer_budget_dodge")
            told.add("budget")
            return Move("answer_budget", {"budget": money(profile.budget)}, profile.budget)
        if about == "features":
            wanted = self.wishes.features or list(profile.features)
            if set(wanted) <= told:
                return Move("again", {"answer": listing(wanted)})
            told |= set(wanted)
            return Move("answer_features", {"features": listing(wanted)})
        if about in self.wishes.dropped:
            return Move("any_will_do")
        value = profile.brand if about == "brand" else type_noun(profile.type)
        if about in told:
            return Move("again", {"answer": noun_phrase(value)})
        told.add(about)
        return Move(f"answer_{about}", {about: value})

    def _choose(self, options: tuple[str, ...]) -> Move | None:
        """The answer to an either/or question: what is wanted, or else what comes nearest."""
        profile, wishes = self.profile, self.wishes
        brands = [name for name in options if name in BRANDS]
        types = [name for name in options if name in TYPES]
        features = [name for name in options if name in FEATURES]
        amounts = [name for name in options if name.startswith("$")]
        if amounts:
            return self._tell(Question("budget"))
        if "cash" in options or "finance" in options:
            return Move("answer_finance")
        if "new" in options or "used" in options:
            kind = "used" if profile.budget <= 30_000 and profile.strategy == "discounts" else "new"
            return Move("choose", {"choice": f"{kind} car"})
        models = {name: car for name in options for car in catalogue() if car.model == name}
        if models:  # of two models the one that is worth more
            return Move("choose", {"choice": max(models, key=lambda name: worth(profile, models[name]))})
        if profile.brand in brands:
            wishes.told.add("brand")
            return Move("choose", {"choice": profile.brand})
        if profile.type in types:
            wishes.told.add("type")
            if features and not wishes.exist(features[0]):
                wishes.dropped.add(features[0])
            return Move("choose", {"choice": type_noun(profile.type)})
        wanted = [name for name in features if name in wishes.features]
        if wanted:
            wishes.told.add(wanted[0])
            return Move("needed", {"feature": wanted[0]}, feature=wanted[0])
        if brands or types:
            named = [NamedCar(brand=name) for name in brands] or [NamedCar(type=name) for name in types]
            best = max(named, key=self._best)
            self.wishes.dropped.add("brand" if brands else "type")
            return Move("rather", {"choice": best.brand or type_noun(best.type or "")})
        if features:
            return Move("not_needed", {"feature": features[0]})
        return None

    def _best(self, named: NamedCar) -> float:
        """What the best car of a brand or type is worth to the buyer."""
        return max(
            worth(self.profile, car)
            for car in catalogue()
            if named.brand in (None, car.brand) and (named.type is None or named.type in car.types)
        )

    def _would_do(self, named: NamedCar | None) -> Move | None:
        """Whether another car would do: yes if there is none that it wants, or if the other fits nearly as well."""
        if named is None:
            return None
        wishes, profile = self.wishes, self.profile
        cars = [catalogue()[number] for number in named.cars]
        brand = named.brand or (cars[0].brand if cars else None)
        kinds = set(cars[0].types) if cars else {named.type} if named.type else set()
        other_brand = brand is not None and wishes.brand not in (None, brand)
        other_type = bool(kinds) and wishes.type is not None and wishes.type not in kinds
        if named.condition == "used" and profile.budget > 50_000 and not (other_brand or other_type):
            return Move("would_do_no", {"want": f"a new {profile.brand}"})
        if not other_brand and not other_type:
            wishes.told |= {"brand"} if brand == profile.brand else set()
            return Move("would_do_yes")
        if not wishes.exist() or (other_brand and not other_type and self.random.random() < 0.6):
            wishes.dropped |= {"brand"} if other_brand else set()
            wishes.dropped |= {"type"} if other_type else set()
            return Move("would_do_yes")
        wishes.told |= {"brand", "type"}
        return Move("would_do_no", {"want": wishes.phrase()})

    def _would_pay(self) -> Move | None:
        """What it would pay, asked for: its bid for the car, or what it can spend if that is far from the price."""
        if self.car is None or (self.offer is None and not {"budget", "dodged"} & self.wishes.told):
            return self._tell(Question("budget"))
        if max(self.bid or 0, self.limit()) < SANE * self.asked and self.profile.budget < self.asked:
            rule = "again" if "budget" in self.wishes.told else "answer_budget"
            amount = money(self.profile.budget)
            self.wishes.told.add("budget")
            slots = {"answer": f"about {amount}"} if rule == "again" else {"budget": amount}
            return Move(rule, slots, self.profile.budget)
        return self._named_bid()

    def _more_wishes(self) -> Move:
        left = [name for name in self.wishes.features if name not in self.wishes.told]
        if left:
            self.wishes.told |= set(left)
            return Move("answer_features", {"features": listing(left)})
        if self.offer is not None and self.bid is not None:
            return Move("only_price", {"price": money(self.bid)}, self.bid)
        return Move("nothing_else")

    def _why(self) -> Move:
        """Why it does not buy, or bids what it bids."""
        lost = [name for name in self.wishes.features if name in self.notes.missing and name in self.wishes.told]
        if self.car is not None and lost and self.random.random() < 0.5:
            return Move("why_feature", {"feature": lost[0]}, feature=lost[0])
        if self.car is not None and not self.wishes.fits(self.car):
            self.wishes.told |= {"brand", "type"}
            return Move("wrong_car", {"want": self.wishes.phrase()})
        return Move("why_price" if self.offer is not None else "cannot_say")

    # --- the car and its price

    def _react(self, line: SellerLine, news: News) -> Move:
        """The move about what the line says of a car or its price."""
        if news.lies:
            return Move("distrust", {"feature": news.lies[0]}, feature=news.lies[0])
        if news.fraud:
            return Move("distrust_price")
        if self.car is None:
            if line.price is not None or line.unclear:
                return Move("which_car")
            if news.gone:
                return Move("relax", {"want": self.wishes.other()})
            return self._go_on(line)
        if line.unclear and line.price is None and "is_price" not in self.notes.asked:
            price, known = line.unclear[0], (self.offer, self.notes.listed, self.car.price)
            if price not in known and 0.3 * self.car.price <= price <= 1.5 * self.car.price:
                self.notes.asked.add("is_price")
                return Move("is_price", {"price": money(price)}, price)
        if news.gone and self.wishes.fits(self.car) is False:
            return Move("relax", {"want": self.wishes.other()})
        elsewhere = line.questions or line.car is not None or "pressure" in line.acts
        if "defer" in line.acts and line.price is None and self.bid is not None and not elsewhere:
            return Move("wait")
        return self._look(line, news) or self._haggle(line, news)

    def _look(self, line: SellerLine, news: News) -> Move | None:
        """The move about the car: it is another one than was wanted, lacks a feature, or has to be asked about."""
        car, notes, wishes = self.car, self.notes, self.wishes
        assert car is not None
        if not wishes.fits(car) and "wrong" not in notes.asked and not self.loose:
            notes.asked.add("wrong")
            refused = sum("wrong" in other.asked for other in self.cars.values())
            if refused <= (2 if wishes.exist() else 1):
                rule = "wrong_car_told" if {"brand", "type"} <= self.known else "wrong_car"
                wishes.told |= {"brand", "type"}
                return Move(rule, {"want": wishes.phrase()})
        lacks = [name for name in news.lacks if f"no {name}" not in notes.asked]
        if lacks:
            name = lacks[0]
            notes.asked.add(f"no {name}")
            told = name in self.known
            wishes.told.add(name)
            if name in wishes.dropped:
                return Move("relax_feature", {"feature": name}, feature=name)
            if self.profile.strategy == "features" or self.random.random() < 0.6:
                return Move(
                    "insist_feature" if told and wishes.exist(name) else "lacks", {"feature": name}, feature=name
                )
        if self._owes_amount(line):
            return None
        if line.price in (None, self.offer) and self._keen() and (unsure := self._unsure()):
            return self._ask_feature(unsure[0])
        if (
            car.year
            and not self.loose
            and "mileage" not in notes.asked
            and self.random.random() < 0.5 * self.temper.asks
        ):
            notes.asked.add("mileage")
            return Move("ask_mileage")
        return None

    def _haggle(self, line: SellerLine, news: News) -> Move:
        """The move about the price."""
        assert self.car is not None
        offer = self.offer
        if offer is None:
            if self.notes.listed is not None and "price" in self.notes.asked:
                return self._bid()
            self.notes.asked.add("price")
            return Move("ask_price", {"car": self.car.name})
        if news.former is not None and offer > news.former:
            return Move("raised", {"price": money(news.former)}, news.former)
        if self._owes_amount(line) and (answer := self._would_pay()):
            return answer
        if self.warned and not (news.former is not None and offer < news.former):
            self.stuck += 1
        chance = self.random.random()
        if "pressure" in line.acts and chance < 0.6:
            return Move("pressure_reply")
        if "scorned" not in self.notes.asked and (offer > 1.4 * self.ceiling() or chance < self.temper.scorns):
            self.notes.asked.add("scorned")
            rule = "over_budget" if offer > max(self.profile.budget, self.profile.reservation) else "too_expensive"
            return Move(rule, {"price": money(offer)}, offer)
        if self.progress >= 1 and self.next_bid() >= 0.985 * self.ceiling() and not self.warned:
            self.warned = self.turn
            if self._is_far():
                return self._bid()
            self.notes.bid = self.next_bid()
            return Move("counter_last", {"price": money(self.bid or 0)}, self.bid)
        if offer > 1.5 * self.ceiling() and chance < 0.5 and "far" not in self.notes.asked:
            self.notes.asked.add("far")
            return Move("far_apart", {"price": money(offer)}, offer)
        often = self.temper.bids * (0.75 if self.profile.strategy == "discounts" else 1.0)
        if self.random.random() < often:
            return self._bid()
        again = news.former is None and self.pending is not None and self.pending.rule == "request_discount"
        if not again and (self.random.random() < 0.55 or (news.former is None and self.bid is None)):
            return Move("request_discount", {"price": money(offer)}, offer)
        return Move("no_deal_yet") if news.former is not None else self._bid()

    def _is_far(self) -> bool:
        """Whether its bid would be too far from the price that the seller asks to be named."""
        return self.next_bid() < SANE * self.asked

    def _bid(self) -> Move:
        """Names what it would pay, or says that the price is far from that."""
        if not self._is_far():
            return self._named_bid()
        dear = self.asked > max(self.profile.budget, self.profile.reservation)
        rules = ("over_budget" if dear else "too_expensive", "far_apart", "request_discount")
        last = self.pending.rule if self.pending else ""
        rule = rules[(rules.index(last) + 1) % len(rules)] if last in rules else rules[0]
        return Move(rule, {"price": money(self.asked)}, self.asked)

    def _named_bid(self) -> Move:
        """Names what it would pay, or says that it stays at its bid."""
        bid = self.next_bid()
        if self.bid is not None and bid <= self.bid:
            return Move("hold", {"price": money(self.bid)}, self.bid)
        self.notes.bid = bid
        return Move("counter", {"price": money(bid)}, bid)

    def _go_on(self, line: SellerLine) -> Move:
        """The move if there is no car to speak of."""
        if self.profile.strategy == "impatient" and self.turn > 4:
            return Move("hurry_up")
        if "smalltalk" in line.acts:
            return Move("smalltalk_reply")
        left = [name for name in ("brand", "type") if name not in self.wishes.told]
        if left:
            self.wishes.told |= {"brand", "type"}
            return Move("wants", {"want": self.wishes.phrase()})
        return Move("ask_more")


FACTS = ("type", "brand", "features", "budget", "trade_in", "finance")  # who asks for these twice, did not listen
ABOUT_PRICE = ("price_ok", "would_pay", "budget", "in_mind", "echo")  # questions that an amount answers
BIDS = ("counter", "counter_last", "hold")  # moves that name what the buyer would pay
