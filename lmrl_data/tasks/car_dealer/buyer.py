"""The buyer in a talk: its state, and the rules that choose its next move.

During a talk, the price a buyer accepts rises from its target to its reservation value. The curve, and what moves it
along, depend on the buyer. The rules choose moves only; the simulator puts them into words.
"""

import random
from typing import NamedTuple

from lmrl_data.tasks.car_dealer.catalog import Car, catalogue
from lmrl_data.tasks.car_dealer.profile import CONCESSIONS, Profile, worth
from lmrl_data.tasks.car_dealer.reading.line import SellerLine

TOLERANCE = {
    "abusive": 5.0, "angry": 5.0, "insulting": 5.5, "polite": 7.0, "respectful": 7.0, "rude": 5.5, "sarcastic": 6.0,
    "talkative": 7.0, "toxic": 5.0, "uncommunicative": 6.0,
}  # fmt: skip
CLOSED = frozenset(["uncommunicative", "rude", "sarcastic", "abusive", "toxic"])  # prefer not to tell the budget


class Move(NamedTuple):
    """What the buyer does: a rule of its grammar, the price it names, and at the end of the talk its decision."""

    rule: str
    price: int | None = None
    feature: str | None = None
    decision: str | None = None  # accept or reject, if the move ends the talk
    reason: str | None = None


class Buyer:
    """A buyer in a talk.

    Args:
        profile (`Profile`): who it is.
        rng (`random.Random`): chooses between moves of equal standing.
    """

    def __init__(self, profile: Profile, rng: random.Random) -> None:
        self.profile = profile
        self.random = rng
        self.turn = 0
        self.car: Car | None = None
        self.loose = False  # the seller named only a brand or type; the price tells which car it means
        self.offer: int | None = None  # what the seller last asked for the car
        self.listed: int | None = None
        self.bid: int | None = None  # what the buyer last said it would pay for the car
        self.progress = 0.0  # 0 at the target, 1 where it would pay what the car is worth
        self.annoyance = 0.0
        self.trust = 1.0
        self.confirmed: set[str] = set()
        self.missing: set[str] = set()
        self.promised: set[str] = set()
        self.answered: set[str] = set()
        self.refused: set[str] = set()  # cars it said were wrong
        self.pending: Move | None = None  # what it said last
        self.seller_texts: set[str] = set()
        self.questions = 0

    # --- prices

    def ceiling(self) -> float:
        """The most the buyer would ever pay for the car, by what it knows of it."""
        assert self.car is not None
        known = self.confirmed if self.profile.strategy == "features" else self.car.features
        return self.trust * worth(self.profile, self.car, known)

    def acceptable(self) -> float:
        """The most the buyer would pay at this point of the talk."""
        ceiling = self.ceiling()
        start = ceiling * self.profile.target / self.profile.reservation
        return start + (ceiling - start) * min(1.0, self.progress) ** CONCESSIONS[self.profile.concession]

    # --- a turn

    def hear(self, act: SellerLine, text: str, valid: bool) -> Move:
        """The buyer's move after a seller's line."""
        self.turn += 1
        offered, asked = self.offer, self.pending
        substance = self._note_car(act)
        lied = self._note_features(act)
        fraud = self._note_price(act)
        raised = offered is not None and self.offer is not None and self.offer > offered
        lower = offered is not None and self.offer is not None and self.offer < offered
        self._concede(act, substance, lower, asked)
        self._annoy(act, text, valid, raised, asked)
        self.annoyance += 1.2 * lied + 0.8 * fraud
        self.trust *= 0.9**lied * 0.97**fraud
        move = self._decide(act, valid, bool(lied or fraud), lower or (self.offer is not None and offered is None))
        self.pending = move
        return move

    def last_word(self) -> Move:
        """The move that ends the talk: it buys at the last offer if that is acceptable."""
        if self.offer is not None and self.car is not None and self.offer <= self.acceptable():
            return self._accept(self.offer, "last offer")
        return self._reject("patience" if self.offer is None else "price")

    def _note_car(self, act: SellerLine) -> bool:
        """Whether the line brings another car."""
        before = self.car
        speaks = act.price is not None or act.list_price is not None or "present" in act.acts
        if act.cars and ("refuse" not in act.acts or act.price is not None):
            self.car, self.loose = self._meant(act), False
        elif speaks and (act.brand or act.type) and "refuse" not in act.acts and not act.no:
            matches = (
                before is not None
                and act.brand in (None, before.brand)
                and (act.type is None or act.type in before.types)
            )
            if not matches:
                self._suppose(act.brand or self.profile.brand, act.type or self.profile.type, act)
        elif before is None and act.one and speaks and "want" in self.answered:
            self._suppose(self.profile.brand, self.profile.type, act)
        elif before is not None and self.loose and speaks:
            self._suppose(before.brand, act.type or self.profile.type, act)
        if self.car is before:
            return False
        if not (self.loose and before is not None and self.car is not None and before.brand == self.car.brand):
            self.offer = self.listed = self.bid = None
            self.confirmed, self.missing = set(), set()
        return True

    def _meant(self, act: SellerLine) -> Car:
        cars = [catalogue()[number] for number in act.cars]
        if act.year:
            cars = [car for car in cars if car.year == act.year] or cars
        if self.car in cars:
            assert self.car is not None
            return self.car
        price = act.list_price or act.price
        return min(cars, key=lambda car: abs(car.price - price)) if price else cars[0]

    def _suppose(self, brand: str, kind: str, act: SellerLine) -> None:
        """Assumes the car of a brand and type whose list price is nearest; the seller named no model."""
        price = act.list_price or act.price or self.profile.budget
        cars = [car for car in catalogue() if car.brand == brand and kind in car.types]
        if cars:
            self.car, self.loose = min(cars, key=lambda car: abs(car.price - price)), True

    def _note_features(self, act: SellerLine) -> int:
        """Notes the features a line claims; returns how many of them the car cannot have."""
        self.promised.update(act.features)
        pending = self.pending
        if pending is not None and pending.feature and pending.rule in ("ask_feature", "request_feature"):
            if act.yes and act.price is None:
                self.promised.add(pending.feature)
            elif act.no:
                self.missing.add(pending.feature)
        self.missing.update(act.missing)
        if self.car is None:
            return 0
        lies = self.promised - self.car.features
        self.confirmed |= self.promised & self.car.features
        self.missing = (self.missing - self.promised) | lies
        self.promised = set()
        return len(lies)

    def _note_price(self, act: SellerLine) -> int:
        """Notes the price of a line; returns 1 for a list price that no such car has."""
        if self.car is None:
            return 0
        fraud = 0
        if act.list_price is not None:
            self.listed = act.list_price
            fraud = int(not 0.75 * self.car.price <= act.list_price <= 1.25 * self.car.price)
        if act.price is not None:
            self.offer = act.price
            return fraud
        # A discount applies to the price asked before. It counts only if the new price is plausible.
        base = self.offer or self.car.price
        price = None
        if act.discount is not None and act.list_price is None:
            price = base - act.discount
        elif act.percent is not None and act.list_price is None:
            price = int(self.car.price * (1 - act.percent / 100) + 0.5)
        if price is not None and 0.4 * base <= price < base:
            self.offer = price
        return fraud

    def _concede(self, act: SellerLine, substance: bool, lower: bool, asked: Move | None) -> None:
        strategy, steps = self.profile.strategy, 0.25
        if substance:
            steps = 0.8
        if act.price is not None:
            steps = max(steps, 0.7)
        if act.features:
            wanted = any(name in self.profile.features for name in act.features)
            steps = max(steps, {"discounts": 0.3, "features": 2.6 if wanted else 1.0, "impatient": 0.3}[strategy])
        if lower or act.discount is not None or act.percent is not None:
            steps = max(steps, {"discounts": 2.0, "features": 0.7, "impatient": 0.9}[strategy])
        if strategy == "impatient" and act.words <= 15 and steps >= 0.5:
            steps += 1.0
        if asked is not None and asked.rule in ("ask_feature", "ask_mileage", "ask_price") and "answer" in act.acts:
            steps = max(steps, 0.8)
        if "firm" in act.acts and not lower:
            steps = max(steps, 0.5)
        if strategy == "impatient" and act.words > 18:
            steps *= 0.5
        self.progress += steps / (0.58 * self.profile.patience)

    def _annoy(self, act: SellerLine, text: str, valid: bool, raised: bool, asked: Move | None) -> None:
        profile, more = self.profile, 0.0
        same = text in self.seller_texts
        self.seller_texts.add(text)
        more += 1.0 * same + 1.0 * (not valid) + 1.2 * raised
        if "pressure" in act.acts:
            more += 0.6 if profile.concession == "boulware" else 0.4
        known = act.asks & self.answered
        more += 0.3 * len(known)
        ignored = (
            asked is not None
            and asked.rule in ("ask_price", "ask_feature", "ask_mileage")
            and act.acts <= {"smalltalk", "greet", "pressure", "ask"}
        )
        more += 0.3 * ignored
        if asked is not None and asked.rule == "ask_feature" and profile.strategy == "features":
            more += 0.4 * (not (act.features or act.missing or act.yes or act.no))
        if act.price is not None and act.price > 2 * profile.reservation:
            more += 0.3
        if profile.strategy == "impatient":
            more += min(0.5, max(0, act.words - 13) / 24)
            self.questions += bool(act.asks - {"close", "open"})
            more += 0.3 * (self.questions > 2 and bool(act.asks)) + 0.6 * ("smalltalk" in act.acts)
        self.annoyance += more

    def _decide(self, act: SellerLine, valid: bool, distrust: bool, news: bool) -> Move:
        profile, last = self.profile, self.pending
        if self.car is not None and self.turn >= 2:
            plain = not (act.features or act.missing or act.asks - {"close"} or "present" in act.acts)
            agreed = plain and (act.agrees or (act.yes and last is not None and last.rule == "counter"))
            if agreed and self.bid is not None and act.price in (None, self.bid) and self.bid <= self.ceiling():
                return self._accept(self.bid, "counter")
            fresh = news or act.price is not None or bool(act.asks) or act.agrees or "firm" in act.acts
            if self.offer is not None and fresh and self.offer <= self.acceptable() and not distrust:
                if self.turn >= 0.53 * profile.patience:
                    return self._accept(self.offer, "offer")
                return (
                    self._answer(act) or self._look(act) or Move("stall" if self.random.random() < 0.7 else "ask_more")
                )
        limit = TOLERANCE[profile.personality] * (0.75 if profile.strategy == "impatient" else 1.0)
        if self.turn >= 4 and self.annoyance >= limit:
            return self._reject("annoyed")
        if self.turn >= profile.patience:
            return self.last_word()
        if self.turn >= 3 and act.act == "goodbye":
            return self._reject("goodbye")
        if not valid:
            return Move("unclear" if self.annoyance < limit / 2 else "impatient")
        if distrust:
            return Move("distrust")
        return self._answer(act) or self._look(act) or self._haggle(act) or self._go_on(act)

    def _accept(self, price: int, reason: str) -> Move:
        return Move("accept", price, decision="accept", reason=reason)

    def _reject(self, reason: str) -> Move:
        rude = self.profile.personality in ("abusive", "angry", "insulting", "rude", "toxic")
        if reason == "price":
            rule = "walk_away_price"
        elif reason == "annoyed" and rude:
            rule = "walk_away_rude"
        else:
            rule = "walk_away"
        return Move(rule, self.offer, decision="reject", reason=reason)

    def _answer(self, act: SellerLine) -> Move | None:
        """The answer to a question about what the buyer wants, if the line asks one."""
        profile = self.profile
        topics = [topic for topic in ("budget", "type", "brand", "features", "open") if topic in act.asks]
        if "want" not in self.answered and (topics or not act.cars):
            if topics and topics[0] in ("budget", "type", "brand", "features") and "greet" not in act.acts:
                self.answered.add(topics[0])
                return self._tell(topics[0])
            if profile.personality == "uncommunicative" and "type" not in self.answered:
                self.answered |= {"type", "open"}
                return Move("answer_type")
            self.answered |= {"want", "brand", "type", "open"}
            return Move("open")
        if topics:
            topic = topics[0]
            if topic in self.answered:
                return Move("already_told")
            self.answered.add(topic)
            return self._tell(topic)
        if "trade_in" in act.acts and act.price is None and act.asks:
            return Move("no_trade_in")
        if act.asks and act.features == () and act.price is None and "other" in act.asks and "smalltalk" in act.acts:
            return Move("hurry_up" if profile.strategy == "impatient" else "smalltalk_reply")
        return None

    def _tell(self, topic: str) -> Move:
        if topic == "budget":
            dodges = 0.3 if self.profile.personality in CLOSED or self.profile.strategy == "discounts" else 0.1
            return Move("answer_budget_dodge" if self.random.random() < dodges else "answer_budget")
        if topic == "open":
            self.answered |= {"want", "brand", "type"}
            return Move("open")
        return Move(f"answer_{topic}")

    def _look(self, act: SellerLine) -> Move | None:
        """The move about the car that is presented: a wrong car, or features to ask for."""
        car, profile = self.car, self.profile
        if car is None:
            return None
        wrong = car.brand != profile.brand or profile.type not in car.types
        if wrong and car.name not in self.refused:
            self.refused.add(car.name)
            exists = any(profile.type in car.types for car in catalogue() if car.brand == profile.brand)
            far = profile.type not in car.types
            if (exists or far) and len(self.refused) <= 3:
                return Move("wrong_car")
        unsure = [name for name in profile.features if name not in self.confirmed | self.missing]
        eager = {"features": 0.75, "discounts": 0.25, "impatient": 0.12}[profile.strategy]
        if unsure and self.random.random() < eager:
            rule = "request_feature" if self.offer is not None and self.random.random() < 0.4 else "ask_feature"
            return Move(rule, feature=unsure[0])
        lost = [name for name in act.missing if name in profile.features and name not in self.answered]
        if lost and profile.strategy == "features":
            self.answered.add(lost[0])
            return Move("request_feature", feature=lost[0])
        return None

    def _haggle(self, act: SellerLine) -> Move | None:
        """The move about the price."""
        if self.car is None:
            return None
        asked = self.offer if self.offer is not None else self.listed
        if asked is None:
            if self.car.miles and "mileage" not in self.answered and self.random.random() < 0.5:
                self.answered.add("mileage")
                return Move("ask_mileage")
            return Move("ask_price")
        if "pressure" in act.acts and self.random.random() < 0.6:
            return Move("pressure_reply")
        now = self.acceptable()
        start = self.ceiling() * self.profile.target / self.profile.reservation
        bid = 100 * int((start + 0.8 * (now - start)) / 100)
        bid = min(max(bid, self.bid or 0), 100 * int(now / 100))
        if asked > 1.6 * now:
            return Move("too_expensive", asked)
        chance = self.random.random()
        if bid < asked and chance < (0.55 if self.profile.strategy != "discounts" else 0.4):
            self.bid = bid
            return Move("counter", bid)
        if chance < 0.8:
            return Move("request_discount", asked)
        return Move("too_expensive", asked) if chance < 0.9 else Move("no_deal_yet")

    def _go_on(self, act: SellerLine) -> Move:
        """The move if there is nothing to decide."""
        if self.profile.strategy == "impatient" and self.turn > 4:
            return Move("hurry_up")
        if "smalltalk" in act.acts:
            return Move("smalltalk_reply")
        if "trade_in" in act.acts:
            return Move("no_trade_in")
        if "budget" not in self.answered and self.random.random() < 0.3:
            return Move("ask_more")
        return Move("ask_more" if self.random.random() < 0.7 else "stall")
