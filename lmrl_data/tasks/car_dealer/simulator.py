"""Car Dealer: sell a car to a customer whose wishes, budget and way of bargaining have to be found out by talking.

The policy is the seller and speaks first. The seed draws the buyer, which follows rules: its moves depend on what the
seller's lines offer and ask, never on what they claim has happened. A sale is worth its price. Paper section 4.
"""

import random
import re
from collections.abc import Mapping
from typing import Any

from gymnasium import spaces

from lmrl_data.config import Config
from lmrl_data.dialogue.asset import asset
from lmrl_data.dialogue.simulator import MAX_REPLY, REPLY_CHARSET, Answer, GroundedSimulator, Prompt, reply_line
from lmrl_data.simulator import Oracle, Step, check_options
from lmrl_data.tasks.car_dealer.buyer import Buyer, Move
from lmrl_data.tasks.car_dealer.buyer_memory import Wishes
from lmrl_data.tasks.car_dealer.catalog import PERSONALITIES
from lmrl_data.tasks.car_dealer.grammar import load, money
from lmrl_data.tasks.car_dealer.profile import Profile, draw_profile, fancy, revenue
from lmrl_data.tasks.car_dealer.reading.line import SellerLine, hear, is_readable, read
from lmrl_data.text import one_line, quoted

FIRST = "Start"
MAX_TURNS = 25
GROUPS = {"kind": ("polite", "respectful"), "hostile": ("abusive", "angry", "insulting", "rude", "toxic")}
TAGS = {
    name: frozenset([name, *(group for group, names in GROUPS.items() if name in names)]) for name in PERSONALITIES
}
SHORT_TAGS = {name: tags | {"short"} for name, tags in TAGS.items()}  # for an answer with something said after it


# --- the simulator


class CarDealerSimulator(GroundedSimulator):
    """Car Dealer as a Gymnasium environment of texts.

    Args:
        config (`Config`): the reward: `"revenue"` or `"fancy"`.
        oracle (`Oracle`, *optional*): who words what the buyer does; a grammar by default.
        render_mode (`str`, *optional*): `"ansi"`, the talk so far.
        options (`Mapping`, *optional*): reset options that hold for every reset.

    Reset options: `buyer`, a mapping that fixes parts of the buyer (`personality`, `brand`, `type`, `features`,
    `budget`, `strategy`, `concession`, `reservation`, `target`, `discount`, `patience`); the rest is the seed's.
    """

    observation_space = spaces.Text(max_length=MAX_REPLY, min_length=1, charset=REPLY_CHARSET)
    action_space = spaces.Text(max_length=500, min_length=0, charset=REPLY_CHARSET)
    roles = ("seller", "buyer")
    turn_info = GroundedSimulator.turn_info | {"seller_act"}

    def __init__(
        self,
        config: Config,
        oracle: Oracle[Prompt] | None = None,
        render_mode: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(config, oracle, render_mode, options)
        self.lines: list[tuple[str, str]] = []  # who said what

    def _begin(self, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        check_options("car_dealer", options, ("buyer",))
        self.random = random.Random(int(self.np_random.integers(2**63)))
        self.profile = draw_profile(self.random, options.get("buyer"))
        self.buyer = Buyer(self.profile, self.random)
        self.lines = []
        self.spoken: set[int] = set()  # the lines of the grammar that the buyer has said
        return FIRST, {"buyer": {**self.profile._asdict(), "features": list(self.profile.features)}}

    def _consider(self, action: str) -> Answer:
        bid = self.buyer.named_amount
        self.act = read(action, bid)
        if self.act.agrees and bid is not None and asks_or_pitches(self.act) and money(bid) not in action:
            self.act = read(action)
        self.valid = is_readable(self.act, action)
        self.move = self.buyer.hear(self.act, action[:500], self.valid)
        if self.move.decision is None and self.buyer.turn >= MAX_TURNS:
            self.move = self.buyer.last_word()
        self.lines.append(("Seller", action))
        reply = self._say(self.move)
        return Answer(reply, fallback=reply)

    def _conclude(self, reply: str) -> Step:
        act, move, car = self.act, self.move, self.buyer.car
        self.lines.append(("Buyer", reply))
        info: dict[str, Any] = {
            "valid": self.valid,
            "seller_act": {
                "act": act.act,
                "price": act.price,
                "list_price": act.list_price,
                "discount": act.discount,
                "percent": act.percent,
                "features": list(act.features),
                "car": car.name if car else None,
            },
        }
        if move.decision is None:
            return reply, 0.0, False, False, info
        price = move.price if move.decision == "accept" else None
        list_price = car.price if car else None
        info["outcome"] = {
            "decision": move.decision, "price": price, "list_price": list_price, "reason": move.reason
        }  # fmt: skip
        info["success"] = price is not None
        reward = revenue(price) if self.config == "revenue" else fancy(price, self.profile.budget, list_price)
        return reply, reward, True, False, info

    # --- what the buyer says

    def _draw(self, size: int) -> int:
        return int(self.random.random() * size)

    def _say(self, move: Move) -> str:
        """The grammar's words for what the buyer does; it says no line of the grammar twice while there are others."""
        grammar, personality = load("buyer"), self.profile.personality
        text = grammar.say(move.rule, self._draw, TAGS[personality], self.spoken, **move.slots)
        if move.first is None:
            return text
        first = grammar.say(move.first.rule, self._draw, SHORT_TAGS[personality], self.spoken, **move.first.slots)
        return f"{first} {text}"

    # --- for a model that says it instead

    def topic(self, info: Mapping[str, Any]) -> str:
        return str(info["seller_act"]["act"] or "other")

    def _system(self) -> str:
        text = asset("car_dealer", "oracle.txt").strip()
        for name, value in {
            "{personality}": self.profile.personality,
            "{want}": want(self.profile),
            "{budget}": money(self.profile.budget),
        }.items():
            text = text.replace(name, value)
        return text

    def _quote(self, action: str) -> str:
        return f"{quoted(action)}\nYou: {self._directive()}"

    def _directive(self) -> str:
        """What the buyer does now, for a model that is to say it."""
        moves = [self.move.first, self.move] if self.move.first else [self.move]
        return "; then ".join(DIRECTIVES[move.rule].format_map(move.slots) for move in moves)

    def _parse(self, text: str) -> str | None:
        line = reply_line(text, self.roles)
        if line is None:
            return None
        amounts, named = self.move.amounts, hear(line).amounts
        if not {*named} <= {*amounts} or (amounts and not named):
            return None
        agrees, leaves = _AGREES.search(line.lower()), _LEAVES.search(line.lower())
        if self.move.decision == "accept":
            return line if agrees and not leaves else None
        if agrees or (leaves and self.move.decision is None):
            return None
        return line

    def render(self) -> str:
        """The talk so far, and how it ended."""
        colours = {"Seller": "\x1b[36m", "Buyer": "\x1b[33m"}
        rows = [f"{colours[who]}{who}:\x1b[0m {one_line(text, 500)}" for who, text in self.lines]
        if self.lines and self.move.decision is not None:
            price = self.move.price if self.move.decision == "accept" else None
            rows.append("(no sale)" if price is None else f"(sold for {money(price)})")
        return "\n".join(rows) or "(the seller speaks first)"


_AGREES = re.compile(
    r"\b(?:i accept|i'll take it|i will take it|(?:we|you) have a deal|(?:it|that)(?:'s| is) a deal|deal!|"
    r"^deal\b|i agree|sold|agreed|you(?:'ve| have) got a deal|i'll buy it|"
    r"i will buy it|done deal|shake on it|where do i sign)"
)
_LEAVES = re.compile(
    r"\b(?:no deal|goodbye|good-bye|bye\b|i'm leaving|i am leaving|i'm out\b|i'm done|walk(?:ing)? away|i'll pass|"
    r"not buying|won't buy|will not buy|elsewhere)"
)
DIRECTIVES = {
    "accept": "accept, you buy it for {price}",
    "again": "say once more: {answer}",
    "answer_brand": "answer, you want a {brand}",
    "answer_budget": "answer, your budget is {budget}",
    "answer_budget_dodge": "do not tell your budget, name no amount",
    "answer_features": "answer, you want {features}",
    "answer_finance": "answer, you pay in cash",
    "answer_name": "say that you give your name once there is a deal",
    "answer_test_drive": "say that you want to settle the price before you drive it",
    "answer_type": "answer, you want a {type}",
    "answer_when": "answer, you need it soon if the price is right",
    "any_will_do": "answer, that does not matter to you any more",
    "ask_feature": "ask whether it has: {feature}",
    "ask_mileage": "ask how many miles it has",
    "ask_more": "ask what the dealer has for you",
    "ask_price": "ask for the price of the {car}",
    "cannot_say": "say that you cannot answer that, and come back to the car",
    "choose": "answer, a {choice}",
    "counter": "reject, counter {price}",
    "counter_last": "reject, say that {price} is your last word",
    "distrust": "say that you do not believe that it has: {feature}",
    "distrust_price": "say that you do not believe that list price, name no amount",
    "far_apart": "say that {price} is far from what you would pay",
    "hold": "reject, say that your offer stays {price}",
    "hurry_up": "say that you have little time",
    "impatient": "ask to come to the point",
    "insist_feature": "say that you asked for: {feature}",
    "is_price": "ask whether {price} is the price",
    "lacks": "say that it is a pity that it lacks: {feature}",
    "needed": "answer yes, you want: {feature}",
    "no_deal_yet": "reject, say that it is not enough yet",
    "no_trade_in": "say that you have no car to trade in",
    "not_needed": "answer no, you can do without: {feature}",
    "nothing_else": "answer that you need nothing else",
    "only_price": "answer that only the price is missing, and you pay {price}",
    "open": "say that you are looking for {want}",
    "over_budget": "reject, say that {price} is more than you have",
    "pressure_reply": "say that you will not be hurried",
    "raised": "complain that it was {price} before",
    "rather": "answer, then rather a {choice}",
    "relax": "say that {want} would do, then",
    "relax_feature": "say that it may be without: {feature}",
    "request_discount": "reject, ask for a discount on {price}",
    "smalltalk_reply": "answer briefly, and come back to the car",
    "too_expensive": "reject, {price} is too much",
    "unclear": "say that you did not understand",
    "wait": "tell the seller to go and ask, you wait",
    "walk_away": "reject and leave",
    "walk_away_price": "reject and leave, it is too expensive",
    "walk_away_rude": "reject and leave, you were not treated well",
    "wants": "say that you want {want}",
    "which_car": "ask which car that is",
    "why_feature": "answer, it lacks: {feature}",
    "why_price": "answer, it costs too much",
    "would_do_no": "answer no, you want {want}",
    "would_do_yes": "answer yes, that would do",
    "wrong_car": "say that you want {want} instead",
    "wrong_car_told": "say that you asked for {want}",
}


def asks_or_pitches(line: SellerLine) -> bool:
    """Whether a line asks for a deal, or speaks of a car: then it agrees to a bid only if it names it."""
    return (
        line.car is not None
        or bool(line.features or {"pressure", "greet"} & line.acts)
        or any(question.about == "price_ok" for question in line.questions)
    )


def want(profile: Profile) -> str:
    """All that a buyer is looking for."""
    return Wishes(profile).phrase(profile.features)
