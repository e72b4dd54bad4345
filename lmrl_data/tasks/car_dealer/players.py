"""The scripted sellers, three of which play the dataset's talks. They read only the visible texts."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from weakref import WeakKeyDictionary

from lmrl_data.episode import Episode
from lmrl_data.policy import Conversation, Policy
from lmrl_data.rollout import play_episode
from lmrl_data.simulator import Simulator
from lmrl_data.task import Behavior
from lmrl_data.tasks.car_dealer.catalog import BRANDS, BUDGETS, FEATURES, TYPES, Car, catalogue
from lmrl_data.tasks.car_dealer.grammar import listing, load, money
from lmrl_data.tasks.car_dealer.seller_memory import Talk

NO_MILES = ("It is brand new.", "That one is new, no miles at all.")
MILES = ("It has {miles} miles on it.", "The odometer shows {miles}.", "{miles} miles so far.")


@cache
def _cells() -> dict[tuple[str, str], list[Car]]:
    """The cars of each brand and type, and of each brand or type alone under `""`."""
    cells: dict[tuple[str, str], list[Car]] = {}
    for car in catalogue():
        for key in {(brand, kind) for brand in (car.brand, "") for kind in (*car.types, "")}:
            cells.setdefault(key, []).append(car)
    return cells


# --- how they sell


@dataclass
class Style:
    """How a seller sells.

    Args:
        tag (`str`): of the grammar.
        asks (`tuple[tuple[str, float], ...]`): what it asks before it shows a car, and how often.
        start (`tuple[float, float]`): its first price over the list price, from and to.
        cuts (`tuple[float, float]`): by how much of the list price it lowers a price, from and to.
        yields (`float`): how often it lowers the price when the buyer objects.
        floor (`tuple[float, float]`): the lowest price over the list price, from and to.
        boasts (`float`): how often it names features without being asked.
        answers (`float`): how often it answers a question about a feature.
        chats (`float`): how often it makes small talk, pitches or presses.
        quotes (`float`): how often it names a price as it shows a car.
    """

    tag: str
    asks: tuple[tuple[str, float], ...]
    start: tuple[float, float]
    cuts: tuple[float, float]
    yields: float
    floor: tuple[float, float]
    boasts: float
    answers: float
    chats: float
    quotes: float


STYLES = {
    "generous": Style(
        "generous", (("type", 0.7), ("brand", 0.5), ("budget", 0.95), ("features", 0.3)),
        (0.98, 1.0), (0.012, 0.03), 0.85, (0.79, 0.92), 0.0, 0.3, 0.2, 0.5,
    ),
    "features": Style(
        "features", (("features", 0.95), ("type", 0.6), ("brand", 0.4), ("budget", 0.95)),
        (1.0, 1.0), (0.01, 0.022), 0.65, (0.86, 0.95), 0.7, 1.0, 0.12, 0.2,
    ),
    "concise": Style(
        "concise", (("budget", 0.95), ("features", 0.25), ("type", 0.4)),
        (0.95, 0.99), (0.015, 0.035), 0.8, (0.86, 0.96), 0.0, 0.2, 0.0, 0.9,
    ),
}  # fmt: skip


class SellerPolicy(Policy):
    """A seller who remembers what was said, one memory a conversation.

    Args:
        config (`str`): what a sale is worth; only `reader` cares.
        seed (`int`): of the policy's noise.
    """

    def __init__(self, config: str, seed: int) -> None:
        self.config = config
        self.seed = seed
        self._talks: WeakKeyDictionary[Conversation, Talk] = WeakKeyDictionary()

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [self._reply(conversation) for conversation in conversations]

    def _reply(self, conversation: Conversation) -> str:
        talk = self._talks.get(conversation)
        turns = conversation.turns
        if talk is None or talk.read > len(turns):
            talk = self._talks[conversation] = self.talk(conversation.seed)
        for turn in turns[talk.read :]:
            if turn.role == "user":
                talk.hear(turn.content)
            elif turn.role == "assistant":
                talk.recall(turn.content)
        talk.read = len(turns) + 1  # its own line comes next
        return self.speak(talk)

    def talk(self, seed: int) -> Talk:
        return Talk(random.Random((self.seed << 64) + seed))

    def speak(self, talk: Talk) -> str:
        """The seller's next line."""
        talk.turn += 1
        if self.noise and talk.turn > 1 and talk.chance(self.noise):
            return self._stray(talk)
        return self._next(talk)

    def _stray(self, talk: Talk) -> str:
        """A line out of place."""
        rules = STRAY if talk.car is not None else STRAY[:-1]
        name = talk.car.name if talk.car is not None else ""
        return load("seller").say(rules[talk.draw(len(rules))], talk.draw, frozenset(["noisy"]), talk.spoken, car=name)

    def _next(self, talk: Talk) -> str:
        raise NotImplementedError

    # --- lines

    tag = frozenset(["plain"])
    noise = 0.0  # how often it says something out of place

    def _say(self, talk: Talk, rule: str, **slots: str) -> str:
        talk.rule = rule
        return load("seller").say(rule, talk.draw, self.tag, talk.spoken, **slots)

    def _ask(self, talk: Talk, topic: str) -> str:
        talk.asked.append(topic)
        return self._say(talk, f"ask_{topic}")

    def _offer(self, talk: Talk, price: float, short: float = 0.5) -> str:
        """Names a price for the car, as an amount, a discount or a percentage."""
        car = talk.car
        assert car is not None
        amount = _round(price)
        first, talk.price = talk.price is None, amount
        share = 1 - amount / car.price
        if share >= 0.02 and "generous" in self.tag and talk.chance(0.6):
            percent = round(100 * share)
            if talk.chance(0.4) and percent >= 2:
                talk.price = amount = int(car.price * (100 - percent) / 100 + 0.5)
                return self._say(talk, "offer_percent", car=car.name, price=money(amount), percent=f"{percent}%")
            return self._say(
                talk, "offer_discount", car=car.name, price=money(amount), list_price=money(car.price),
                discount=money(car.price - amount),
            )  # fmt: skip
        if first or not talk.chance(short):
            return self._say(talk, "offer", car=car.name, price=money(amount))
        return self._say(talk, "offer_short", price=money(amount))

    def _claim(self, talk: Talk, name: str) -> str:
        assert talk.car is not None
        talk.claimed.append(name)
        return self._say(talk, "feature_claim", car=talk.car.name, feature=name)

    def _mileage(self, talk: Talk) -> str:
        talk.rule = "mileage"
        lines = MILES if talk.car is not None and talk.car.miles else NO_MILES
        return lines[talk.draw(len(lines))].replace("{miles}", f"{talk.car.miles if talk.car else 0:,}")


def _round(price: float) -> int:
    return 50 * int(price / 50) if price < 20_000 else 100 * int(price / 100)


class StyledSeller(SellerPolicy):
    """One of the paper's three sellers."""

    style: Style

    def __init__(self, config: str, seed: int) -> None:
        super().__init__(config, seed)
        self.tag = frozenset([self.style.tag])

    def _next(self, talk: Talk) -> str:
        style, last = self.style, talk.last
        if talk.turn == 1:
            return self._say(talk, "greet_ask" if talk.chance(0.6) else "greet")
        if talk.chance(style.chats * (0.5 if talk.car is None else 1.0)):
            return self._chat(talk)
        if talk.car is None or "more" in last.does or ("wrong" in last.does and talk.price is None):
            return self._before(talk)
        return self._objection(talk)

    def _chat(self, talk: Talk) -> str:
        if talk.car is None or talk.chance(0.3):
            return self._say(talk, "smalltalk")
        if talk.price is not None and talk.chance(0.35):
            return self._say(talk, "pressure" if talk.chance(0.6) else "trade_in")
        return self._say(talk, "pitch", car=talk.car.name)

    def _before(self, talk: Talk) -> str:
        """Finds out what the buyer wants, and shows a car."""
        style = self.style
        if talk.brand is None and talk.type is None and len(talk.asked) < 2:
            return self._ask(talk, "type" if "type" not in talk.asked else "brand")
        if talk.brand is None and "brand" not in talk.asked and talk.chance(0.7):
            return self._ask(talk, "brand")
        if talk.type is None and "type" not in talk.asked and talk.chance(0.7):
            return self._ask(talk, "type")
        for topic, often in style.asks:
            known = {"type": talk.type, "brand": talk.brand, "budget": talk.budget, "features": None}[topic]
            if topic not in talk.asked:
                if known is None and talk.chance(often):
                    return self._ask(talk, topic)
                talk.asked.append(topic)
        if talk.car is not None and "wrong" in talk.last.does and talk.insisted < 1 and talk.chance(0.3):
            talk.insisted += 1
            return self._say(talk, "pitch", car=talk.car.name)
        return self._show(talk, self._choose(talk))

    def _choose(self, talk: Talk) -> Car:
        """A car that is wanted and costs about what the buyer has, if need be of another brand."""
        cells = _cells()
        goal = (talk.budget or 35_000 + talk.draw(30_000)) * (0.92 + 0.16 * talk.rng.random())
        brand, kind = talk.brand or "", talk.type or ""
        best: Car | None = None
        for cars in (cells.get((brand, kind)), cells.get(("", kind)), catalogue()):
            others = [car for car in cars or () if car is not talk.car]
            if self.style.boasts:
                others = [car for car in others if car.features.issuperset(talk.features)] or others
            if not others:
                continue
            near = min(others, key=lambda car: abs(car.price - goal))
            if best is None or abs(near.price - goal) < 0.5 * abs(best.price - goal):
                best = near
            if abs(best.price - goal) < 0.3 * goal:
                break
        assert best is not None
        return best

    def _show(self, talk: Talk, car: Car) -> str:
        style = self.style
        talk.car, talk.price, talk.shown, talk.claimed = car, None, talk.shown + 1, []
        talk.denied.clear()
        talk.bids.clear()
        talk.floor = car.price * talk.between(style.floor)
        if talk.chance(style.quotes):
            return self._offer(talk, car.price * talk.between(style.start))
        if talk.chance(style.boasts):
            names = [name for name in FEATURES if name in car.features]
            wanted = [name for name in names if name in talk.features]
            chosen = (wanted + [name for name in names if name not in wanted])[: 1 + talk.draw(3)]
            if chosen:
                talk.claimed += chosen
                return self._say(talk, "present_features", car=car.name, features=listing(chosen))
        return self._say(talk, "present", car=car.name, list_price=money(car.price))

    def _objection(self, talk: Talk) -> str:
        """Answers what the buyer said of the car or its price."""
        style, last, car = self.style, talk.last, talk.car
        assert car is not None
        if "mileage" in last.does:
            return self._mileage(talk)
        if "confirm" in last.does:
            return self._offer(talk, talk.price or car.price, short=1.0)
        name = last.features[0] if last.features else None
        if name is not None and name not in talk.denied and talk.chance(style.answers):
            if name in car.features:
                if style.tag == "features" or talk.chance(0.5):
                    return self._claim(talk, name)
                talk.claimed.append(name)
                return self._say(talk, "answer_yes")
            talk.denied.append(name)
            return (
                self._say(talk, "feature_missing", feature=name) if talk.chance(0.7) else self._say(talk, "answer_no")
            )
        if talk.price is None:
            return self._offer(talk, car.price * talk.between(style.start))
        bid = talk.bids[-1] if talk.bids and last.amounts else None
        if "expensive" in last.does and not talk.bids:
            talk.balks += 1
            if talk.balks >= 2 and talk.shown < 4 and talk.chance(0.5 if talk.budget is None else 0.1):
                talk.balks, talk.budget = 0, int(0.65 * talk.price)
                return self._show(talk, self._choose(talk))
        if bid is not None and bid >= talk.floor and (bid >= 0.97 * talk.price or talk.chance(0.15)):
            talk.price = bid
            return (
                self._say(talk, "offer_short", price=money(bid)) if talk.chance(0.5) else self._say(talk, "answer_yes")
            )
        if talk.chance(style.boasts):
            left = [name for name in (*talk.features, *FEATURES) if name in car.features and name not in talk.claimed]
            if left:
                return self._claim(talk, left[0])
        if talk.chance(style.yields):
            lower = talk.price - car.price * talk.between(style.cuts)
            if bid is not None and talk.chance(0.3):
                lower = max(lower, (talk.price + bid) / 2)
            if bid is not None:
                lower = max(lower, bid)
            if lower >= talk.floor:
                if bid is not None and talk.chance(0.25):
                    talk.price = _round(lower)
                    return self._say(talk, "meet_halfway", price=money(talk.price))
                return self._offer(talk, lower, short=0.7)
        if talk.chance(0.6):
            return self._say(talk, "firm", price=money(talk.price))
        return self._say(talk, "close_question")


class Generous(StyledSeller):
    """Gives discounts, and seldom speaks of anything else."""

    name = "scripted:generous"
    style = STYLES["generous"]


class Features(StyledSeller):
    """Speaks of what the car has, and hardly lowers a price."""

    name = "scripted:features"
    style = STYLES["features"]


class Concise(StyledSeller):
    """Says what is needed in few words."""

    name = "scripted:concise"
    style = STYLES["concise"]


class Reader(SellerPolicy):
    """Finds out budget and wishes, picks the car that is worth most to the buyer, and comes down to its bids late."""

    name = "scripted:reader"

    def _next(self, talk: Talk) -> str:
        last = talk.last
        if talk.turn == 1:
            return self._say(talk, "greet_ask")
        if talk.car is None:
            if talk.type is None and "type" not in talk.asked:
                return self._ask(talk, "type")
            if talk.brand is None and "brand" not in talk.asked:
                return self._ask(talk, "brand")
            for topic in ("budget", "features"):
                if topic not in talk.asked and (topic != "budget" or talk.budget is None):
                    return self._ask(talk, topic)
            talk.car = self._best(talk)
            talk.shown += 1
            return self._offer(talk, self._first(talk, talk.car))
        car = talk.car
        if "mileage" in last.does:
            return self._mileage(talk)
        if "confirm" in last.does:
            return self._offer(talk, talk.price or car.price, short=1.0)
        if last.features and last.features[0] in car.features and last.features[0] not in talk.claimed:
            return self._claim(talk, last.features[0])
        wanted = [name for name in talk.features if name in car.features and name not in talk.claimed]
        if wanted and not (self._hurried(talk) and talk.signs.get("features", 0) < 2):
            return self._claim(talk, wanted[0])
        assert talk.price is not None
        bid = max((bid for bid in talk.bids if bid < talk.price), default=None)
        patience = 8 if self._hurried(talk) else 13
        left = patience - talk.turn
        if bid is not None and (left <= 0 or bid >= 0.985 * talk.price):
            talk.price = bid
            return self._say(talk, "offer_short", price=money(bid))
        goal = 1.04 * bid if bid is not None else 0.88 * talk.price
        step = max(0.006 * talk.price, (talk.price - goal) / max(2, left))
        if "expensive" in last.does and bid is None and talk.shown < 2 and talk.budget is None and left < 6:
            talk.budget = self._guess(talk)
        return self._offer(talk, max(talk.price - step, bid or 0), short=1.0)

    def _hurried(self, talk: Talk) -> bool:
        return talk.signs.get("hurry", 0) >= 2

    def _guess(self, talk: Talk) -> int:
        """The budget that goes best with the bids."""
        if not talk.bids:
            return 50_000
        return min(BUDGETS, key=lambda budget: abs(budget * 0.85 - talk.bids[-1]))

    def _first(self, talk: Talk, car: Car) -> float:
        return min(car.price, 1.05 * (talk.budget or car.price))

    def _best(self, talk: Talk) -> Car:
        budget = talk.budget or 50_000

        def value(car: Car) -> float:
            fits = 1 - 0.12 * (talk.brand not in (None, car.brand)) - 0.2 * (talk.type not in (None, *car.types))
            fits -= 0.06 * sum(name not in car.features for name in talk.features)
            price = min(budget * fits, 0.95 * car.price)
            return price / (budget + car.price) if self.config == "fancy" else price

        return max(catalogue(), key=value)


class Random(SellerPolicy):
    """Any line of the grammar about any car at any price."""

    name = "scripted:random"
    tag = frozenset(["noisy"])

    def _next(self, talk: Talk) -> str:
        rules = list(RULES)
        car = talk.car = catalogue()[talk.draw(len(catalogue()))] if talk.car is None or talk.chance(0.2) else talk.car
        price = _round(car.price * (0.7 + 0.6 * talk.rng.random()))
        names = [FEATURES[talk.draw(len(FEATURES))]]
        return self._say(
            talk, rules[talk.draw(len(rules))], car=car.name, price=money(price), list_price=money(car.price),
            discount=money(max(100, car.price - price)), percent=f"{1 + talk.draw(20)}%", feature=names[0],
            features=listing(names), type=TYPES[talk.draw(len(TYPES))], brand=BRANDS[talk.draw(len(BRANDS))],
        )  # fmt: skip


RULES = (
    "greet", "greet_ask", "ask_type", "ask_brand", "ask_features", "ask_budget", "present", "present_features",
    "offer", "offer_short", "offer_discount", "offer_percent", "feature_claim", "feature_missing", "answer_yes",
    "answer_no", "pitch", "firm", "pressure", "trade_in", "close_question", "meet_halfway", "thanks", "smalltalk",
)  # fmt: skip
STRAY = (
    "smalltalk", "thanks", "trade_in", "ask_type", "ask_brand", "ask_budget", "answer_yes", "answer_no", "pressure",
    "close_question", "pitch",
)  # fmt: skip
NOISE = 0.06


# --- the dataset


def play(style: type[SellerPolicy], name: str) -> Callable[[Simulator, int], Episode]:
    """A behavior policy: a seller of that kind, with the noise of the episode's seed."""

    def run(simulator: Simulator, seed: int) -> Episode:
        seller = style("", 1)
        seller.noise = NOISE
        talk = seller.talk(seed)

        def act(observation: str) -> str:
            talk.hear(observation)
            return seller.speak(talk)

        return play_episode("car_dealer", simulator, seed, name, act)

    return run


BEHAVIORS = tuple(
    Behavior(style.name.removeprefix("scripted:"), share, play(style, style.name.removeprefix("scripted:")))
    for style, share in ((Generous, 0.34), (Features, 0.33), (Concise, 0.33))
)
SOURCE = (  # of the reference returns
    "our data's mean; the reader's mean over 2,000 seeds; the mean of the best price each of these buyers would pay"
)
