"""Car Dealer: what a sale is worth, how buyers bargain, what a model may word, and how the sellers differ."""

import itertools
import random
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from cases import check_cases

from lmrl_data import Episode, Turn, UserError, get_task, rollout
from lmrl_data.dialogue.simulator import REPLY_CHARSET
from lmrl_data.options import parse_options
from lmrl_data.policy import Conversation
from lmrl_data.tasks.car_dealer.buyer import BIDS, Buyer, Move
from lmrl_data.tasks.car_dealer.buyer_memory import Wishes
from lmrl_data.tasks.car_dealer.catalog import BRANDS, BUDGETS, FEATURES, PERSONALITIES, TYPES, catalogue
from lmrl_data.tasks.car_dealer.grammar import listing, load, money
from lmrl_data.tasks.car_dealer.profile import (
    STRATEGIES,
    best_price,
    draw_profile,
    fancy,
    fancy_optimum,
    revenue,
    worth,
)
from lmrl_data.tasks.car_dealer.reading.line import NamedCar, Question, read
from lmrl_data.tasks.car_dealer.seller_memory import listen
from lmrl_data.tasks.car_dealer.simulator import DIRECTIVES, SHORT_TAGS, TAGS, CarDealerSimulator, want

pytestmark = pytest.mark.slow

TASK = get_task("car_dealer")


class Turned(NamedTuple):
    """A turn of a talk, with the car that is spoken of, the buyer's bid for it and what is asked."""

    line: str
    move: Move
    reply: str
    car: str | None
    bid: int | None
    offer: int | None = None


BUYER: dict[str, Any] = {
    "personality": "polite", "brand": "Toyota", "type": "SUV", "features": ["backup camera", "heated seats"],
    "budget": 50_000, "strategy": "discounts", "concession": "linear", "reservation": 50_000, "target": 40_000,
    "discount": 0.05, "patience": 20,
}  # fmt: skip


def simulator(config: str = "revenue", seed: int = 0, **buyer: Any) -> CarDealerSimulator:
    made = get_task("car_dealer").simulator(config, options={"buyer": BUYER | buyer})
    made.reset(seed=seed)
    return made


def car(name: str) -> Any:
    return next(each for each in catalogue() if each.name == name)


# --- what a talk is worth


def test_rewards_are_the_papers() -> None:
    # Specification 11.7: budget 90,000 and list price 80,000.
    assert fancy(83_000, 90_000, 80_000) == pytest.approx(83 / 85)
    assert fancy(78_000, 90_000, 80_000) == pytest.approx(0.91765, abs=1e-5)
    assert fancy(None, 90_000, 80_000) == pytest.approx(-0.125)
    assert fancy(None, 50_000, 100_000) == pytest.approx(0.5)
    assert fancy(None, 90_000, None) == 0
    assert revenue(83_000) == 83.0
    assert revenue(None) == 0


@pytest.mark.parametrize("config", ["revenue", "fancy"])
def test_only_the_last_turn_is_rewarded(config: str) -> None:
    for seed in range(30):
        episode = TASK.generate(TASK.simulator(config=config), seed)
        rewards = [turn.reward for turn in episode.turns if turn.role == "assistant"]
        assert not any(rewards[:-1])
        outcome = episode.info["outcome"]
        if config == "revenue":
            assert rewards[-1] == revenue(outcome["price"])
        else:
            assert rewards[-1] == fancy(outcome["price"], episode.info["buyer"]["budget"], outcome["list_price"])
        assert episode.success == (outcome["decision"] == "accept") == (outcome["price"] is not None)


# --- buyers


def test_buyers_are_drawn_from_the_papers_lists() -> None:
    assert (len(PERSONALITIES), len(BRANDS), len(TYPES), len(FEATURES), len(BUDGETS)) == (10, 13, 6, 8, 5)
    drawn = [draw_profile(random.Random(seed)) for seed in range(3_000)]
    for part, names in {"personality": PERSONALITIES, "brand": BRANDS, "type": TYPES, "strategy": STRATEGIES}.items():
        counts = [sum(getattr(each, part) == name for each in drawn) for name in names]
        assert min(counts) > 0.8 * 3_000 / len(names)
    assert {len(each.features) for each in drawn} == {1, 2, 3, 4}
    assert all(len(set(each.features)) == len(each.features) for each in drawn)
    assert all(each.target <= each.reservation <= 1.08 * each.budget for each in drawn)
    assert all(each.patience <= 25 for each in drawn)


def test_fixing_a_part_of_a_buyer_leaves_the_rest_to_the_seed() -> None:
    free = draw_profile(random.Random(3))
    other = "Audi" if free.brand != "Audi" else "BMW"
    assert draw_profile(random.Random(3), {"brand": other}) == free._replace(brand=other)
    fixed = draw_profile(random.Random(3), {"features": ["sunroof"], "personality": "rude"})
    assert fixed == free._replace(features=("sunroof",), personality="rude")


def test_a_buyer_that_cannot_be_is_refused_in_one_line() -> None:
    def check(buyer: Any) -> None:
        with pytest.raises(UserError) as caught:
            get_task("car_dealer").simulator().reset(seed=0, options={"buyer": buyer})
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300

    buyers = [
        {"budget": 12_345}, {"brand": "Lada"}, {"type": "tank"}, {"features": []}, {"features": ["wings"]},
        {"features": ["sunroof", "sunroof"]}, {"patience": 0}, {"patience": 2.5}, {"reservation": "much"},
        {"reservation": True}, {"strategy": None}, {"mood": "good"}, "rich", 7, ["brand"], {"target": float("nan")},
    ]  # fmt: skip
    check_cases(buyers, check)


def test_a_buyer_can_be_given_on_the_command_line() -> None:
    options = parse_options(['buyer={"strategy": "impatient", "budget": 30000}'])
    _, info = get_task("car_dealer").simulator().reset(seed=0, options=options)
    assert (info["buyer"]["strategy"], info["buyer"]["budget"]) == ("impatient", 30_000)


def test_a_car_is_worth_less_where_it_is_not_what_is_wanted_and_never_more_than_it_lists_for() -> None:
    profile = draw_profile(random.Random(0), BUYER | {"features": ["sunroof"], "strategy": "impatient", "discount": 0})
    cars = {"right": car("Toyota Sequoia"), "brand": car("Ford Expedition"), "cheap": car("Toyota RAV4")}
    assert cars["right"].price > 50_000
    assert worth(profile, cars["right"]) == 50_000
    assert worth(profile, cars["right"], ()) == pytest.approx(0.97 * 50_000)  # without the sunroof
    assert worth(profile, cars["brand"]) == pytest.approx(0.88 * 50_000)
    assert worth(profile, cars["cheap"]) == cars["cheap"].price
    frugal = profile._replace(strategy="discounts", discount=0.1)
    assert worth(frugal, cars["cheap"]) == pytest.approx(0.9 * cars["cheap"].price)


def test_what_a_buyer_hopes_to_pay_rises_from_the_target_to_what_the_car_is_worth() -> None:
    profile = draw_profile(random.Random(0), BUYER)
    for concession, half in (("boulware", 0.5**1.6), ("linear", 0.5**1.2), ("conceder", 0.5**0.9)):
        buyer = Buyer(profile._replace(concession=concession), random.Random(0))
        buyer.car = car("Toyota Sequoia")
        low, high = buyer.aspiration(), buyer.ceiling()
        assert low == pytest.approx(0.8 * high)  # target over reservation
        buyer.progress = 0.5
        assert buyer.aspiration() == pytest.approx(low + half * (high - low))
        buyer.progress = 3
        assert buyer.aspiration() == high


def test_the_best_price_is_that_of_the_car_worth_most() -> None:
    profile = draw_profile(random.Random(0), BUYER | {"discount": 0})
    assert best_price(profile) == 50_000
    assert fancy_optimum(profile) >= fancy(49_999, 50_000, min(c.price for c in catalogue() if c.price > 50_000)) - 0.2


def test_a_buyer_buys_at_a_good_price_and_walks_at_a_bad_one() -> None:
    lines = ["Hello!", "The Toyota Highlander comes with a backup camera and heated seats."]
    for price, decision in (("$30,000", "accept"), ("$49,900", "reject")):
        made = simulator()
        for text in (*lines, *[f"I can do {price}."] * 23):
            *_, over, _, info = made.step(text)
            if over:
                break
        assert info["outcome"]["decision"] == decision


def test_nobody_stays_longer_than_the_patience() -> None:
    for patience in (3, 10, 25):
        made = simulator(patience=patience)
        for turn in range(1, 26):
            *_, over, _, info = made.step(f"Let me tell you more about the Toyota Highlander, part {turn} of many.")
            if over:
                break
        assert turn <= patience
        assert info["success"] is False


def test_an_impatient_buyer_leaves_a_talker_before_others_do() -> None:
    turns = {}
    for strategy in STRATEGIES:
        made = simulator(strategy=strategy, patience=25)
        for turn in range(1, 26):
            text = f"How is your family, and what about the weather on day {turn}, did you see the game last night?"
            if made.step(text)[2]:
                break
        turns[strategy] = turn
    assert turns["impatient"] < min(turns["discounts"], turns["features"])


def test_a_buyer_who_wants_features_pays_more_once_they_are_confirmed() -> None:
    made = simulator(strategy="features", discount=0)
    made.step("Hello!")
    made.step("This is the Toyota Highlander.")
    before = made.buyer.ceiling()
    made.step("It has a backup camera.")
    between = made.buyer.ceiling()
    made.step("And it comes with heated seats.")
    assert before < between < made.buyer.ceiling()


def test_an_offer_without_a_name_is_for_the_kind_of_car_that_is_spoken_of() -> None:
    made = simulator()
    made.step("Hello, how can I help?")
    made.step("I have a Toyota SUV for $40,000.")
    assert made.buyer.car.brand == "Toyota"
    assert "SUV" in made.buyer.car.types
    assert made.buyer.offer == 40_000


# --- how a buyer bargains, and what it remembers


def talks(sellers: tuple[str, ...], count: int) -> Iterator[tuple[CarDealerSimulator, list[Turned]]]:
    """Whole talks of scripted sellers; each turn with the seller's line, the buyer's move and its reply."""
    for name in sellers:
        policy = TASK.policy(name, "revenue")
        for seed in range(7_000, 7_000 + count):
            made = TASK.simulator(config="revenue")
            text, _ = made.reset(seed=seed)
            turns: list[Turn] = [Turn("user", text)]
            seen: list[Turned] = []
            over = False
            while not over:
                line = policy.act([Conversation(seed, None, list(turns))])[0]
                reply, _, over, _, _ = made.step(line)
                turns += [Turn("assistant", line), Turn("user", reply)]
                car = made.buyer.car
                offer = made.buyer.offer
                seen.append(Turned(line, made.move, reply, car.name if car else None, made.buyer.bid, offer))
            yield made, seen


def moves_of(turn: Turned) -> list[Move]:
    return [turn.move.first, turn.move] if turn.move.first else [turn.move]


def fitting_cars(buyer: dict[str, Any]) -> list[Any]:
    """New cars with all that a buyer wants, of models that are sold new only."""
    return [
        car
        for car in catalogue()
        if car.brand == buyer["brand"] and buyer["type"] in car.types and car.features.issuperset(buyer["features"])
        and sum(other.model == car.model for other in catalogue()) == 1 and car.price <= buyer["budget"]
    ]  # fmt: skip


def test_a_bargain_with_every_wish_is_taken_within_two_turns() -> None:
    bargains = 0
    for seed in range(250):
        made = TASK.simulator()
        _, info = made.reset(seed=seed)
        cars = fitting_cars(info["buyer"])
        if not cars:
            continue
        bargains += 1
        car = max(cars, key=lambda car: car.price)
        made.step("Hello, what are you looking for?")
        features = listing(info["buyer"]["features"])
        for text in (f"The new {car.name} with {features} is yours for {money(car.price // 2)}.", "Shall we do it?"):
            _, _, over, _, info = made.step(text)
            if over:
                break
        assert over, (seed, car.name)
        assert info["outcome"]["price"] == car.price // 2
    assert bargains > 40


def test_a_buyer_never_refuses_what_it_bid_itself() -> None:
    sales = 0
    for seed in range(120):
        made = simulator(
            seed=seed, **dict.fromkeys(("strategy",), STRATEGIES[seed % 3]), personality=PERSONALITIES[seed % 10]
        )
        made.step("Hello, what are you looking for?")
        text = "I can let you have the Toyota Highlander for $46,000. It has a backup camera and heated seats."
        for turn in range(20):
            if made.step(text)[2]:
                break
            if made.move.rule in BIDS and turn >= seed % 4:
                bid = made.buyer.bid
                wording = ("I say {}.", "Very well, {} it is.", "{}.", "Okay, {}, the Highlander is yours.", "Deal!")
                _, reward, over, _, _ = made.step(wording[seed % 5].format(money(bid)))
                assert over, (seed, bid, made.lines[-1])
                assert reward == bid / 1000
                sales += 1
                break
            text = "I stay at $46,000."
    assert sales > 80


def test_bids_for_a_car_never_fall_and_never_pass_what_the_car_is_worth() -> None:
    for made, turns in talks(("generous", "random"), 25):
        bids: dict[str, int] = {}
        for turn in turns:
            if turn.bid is not None and turn.car is not None:
                assert turn.bid >= bids.get(turn.car, 0)
                bids[turn.car] = turn.bid
                assert turn.bid <= worth(made.profile, car(turn.car)) + 1
                assert turn.bid <= made.profile.reservation


def test_a_buyer_goes_on_from_its_bid_after_another_car_was_spoken_of() -> None:
    made = simulator(strategy="impatient", personality="respectful", patience=25)
    made.step("Hello!")
    for _ in range(8):
        made.step("The Toyota Highlander is $47,500.")
        if made.buyer.bid:
            break
    bid = made.buyer.bid
    assert bid
    made.step("Or take the Ford Explorer for $44,000.")
    made.step("Back to the Toyota Highlander, it is $47,400.")
    assert made.buyer.bid >= bid


def test_a_buyer_claims_to_have_said_only_what_it_said() -> None:
    claims = 0
    for made, turns in talks(("generous", "features", "random"), 25):
        said = ""
        for turn in turns:
            for move in moves_of(turn):
                claims += move.rule in ("insist_feature", "again", "wrong_car_told")
                if move.rule == "insist_feature":
                    assert (move.feature or "?").lower() in said
                elif move.rule == "again":
                    words = re.findall(r"[$\w-]+", move.slots["answer"].lower())
                    assert all(word in said for word in words if word not in ("a", "an", "about", "and")), turn
                elif move.rule == "wrong_car_told":
                    assert made.profile.brand.lower() in said
            said += turn.reply.lower() + " "
    assert claims > 30


def test_a_buyer_asks_each_thing_once_and_nothing_that_it_was_told() -> None:
    for made, turns in talks(("generous", "features", "concise"), 20):
        asked = set()
        for turn in turns:
            for move in moves_of(turn):
                if move.rule == "ask_feature":
                    assert (turn.car, move.feature) not in asked
                    asked.add((turn.car, move.feature))
        for notes in made.buyer.cars.values():
            assert not notes.confirmed & notes.missing


def test_a_wish_that_no_car_meets_is_given_up_once_it_is_told() -> None:
    made = simulator(brand="Hyundai", type="convertible", features=["third-row seating"], strategy="features")
    made.step("Hello, what are you looking for?")
    made.step("This is the Mazda MX-5 Miata. It has no third-row seating.")
    assert "third-row seating" in made.buyer.wishes.dropped
    for _ in range(6):
        made.step("The Mazda MX-5 Miata is $29,500.")
        assert not any(move.feature == "third-row seating" for move in moves_of(Turned("", made.move, "", None, None)))


@pytest.mark.parametrize(("asked", "kinds"), [
    (Question("either", ("Mazda", "Toyota")), "choose"),
    (Question("either", ("SUV", "sedan")), "choose"),
    (Question("either", ("BMW", "Audi")), "rather"),
    (Question("either", ("cash", "finance")), "answer_finance"),
    (Question("features", ("heated seats",)), "needed"),
    (Question("features", ("sunroof",)), "not_needed"),
    (Question("would_do", car=NamedCar(type="SUV")), "would_do_yes"),
    (Question("would_do", car=NamedCar(type="truck")), "would_do_no"),
    (Question("anything_else"), "answer_features"),
    (Question("budget"), "answer_budget answer_budget_dodge"),
    (Question("would_pay"), "answer_budget answer_budget_dodge"),
    (Question("trade_in"), "no_trade_in"),
    (Question("brand"), "answer_brand"),
])  # fmt: skip
def test_a_question_gets_its_answer(asked: Question, kinds: str) -> None:
    made = simulator()
    line = read("Hm, well, so be it.")._replace(questions=(asked,))
    made.buyer.turn = 1
    assert made.buyer.hear(line, "?", True).rule in kinds.split()


def test_a_plausible_amount_of_unclear_role_is_asked_back() -> None:
    made = simulator()
    made.step("Hello!")
    made.step("This is the Toyota Highlander.")
    move = made.buyer.hear(read("Forty-two, you know.")._replace(price=None, said=(), unclear=(42_000,)), "?", True)
    assert (move.rule, move.price) == ("is_price", 42_000)
    made.buyer.hear(read("Yes."), "Yes.", True)
    assert made.buyer.offer == 42_000


def told(made: CarDealerSimulator, *lines: str) -> Move:
    """The buyer's move after some lines of a seller."""
    for line in ("Hello, what are you looking for?", *lines):
        made.step(line)
    return made.move


@pytest.mark.parametrize("echo", [
    "{}??? That's a joke, min 46 for this one.",
    "{}? For that you get the wheels. I could, with a heavy heart, go to forty-six.",
    "{}? I cannot feed my children with that. How much can you really spend?",
    "Only {}?",
])  # fmt: skip
@pytest.mark.parametrize(("amount", "bid"), [("38,000", 38_000), ("10,000", None)])
def test_an_amount_that_a_seller_only_repeats_is_not_taken_for_a_sale(echo: str, amount: str, bid: int | None) -> None:
    made = simulator()
    told(made, "The Toyota Highlander is $48,000.")
    made.buyer.notes.bid = bid
    if bid is None:
        made.buyer.pending = Move("answer_budget", {"budget": "$10,000"}, 10_000)
    _, _, over, _, _ = made.step(echo.format(amount))
    assert not over
    assert made.buyer.offer in (46_000, 48_000)


@pytest.mark.parametrize("text", ["36,000, do we have a deal?", "Shall we shake hands on 36,000?"])
def test_a_seller_may_ask_whether_the_bid_is_a_deal(text: str) -> None:
    made = simulator()
    told(made, "The Toyota Highlander is $48,000.")
    made.buyer.notes.bid = 36_000
    _, reward, over, _, _ = made.step(text)
    assert over
    assert reward == 36


def test_a_buyer_names_no_bid_far_below_what_is_asked() -> None:
    """Of a car far above its means it says so, and what it has if it is asked."""
    for seed in range(40):
        made = simulator(
            seed=seed, budget=10_000, reservation=9_700, target=7_500, personality=PERSONALITIES[seed % 10]
        )
        told(made, "The Toyota Highlander is $44,000.")
        for turn in range(8):
            _, _, over, _, _ = made.step("What would you pay?" if turn == 3 else f"It is ${43_900 - 100 * turn:,}.")
            if over:
                break
            assert made.buyer.bid is None
            assert turn != 3 or (made.move.rule in ("answer_budget", "again") and made.move.price == 10_000)
    for _, turns in talks(("generous", "concise", "random"), 25):
        for turn in turns:
            if turn.move.rule == "counter" and not read(turn.line).questions:
                assert turn.move.price is not None
                assert turn.move.price >= 0.65 * (turn.offer or 0)


@pytest.mark.parametrize("question", [
    "What would you pay, then?", "What did you have in mind?", "How much could you spend?", "Give me a number.",
    "So what's your price?", "What should I tell my boss? Make us an offer.",
])  # fmt: skip
@pytest.mark.parametrize("personality", PERSONALITIES)
def test_a_question_about_the_price_of_a_car_gets_an_amount(question: str, personality: str) -> None:
    made = simulator(personality=personality)
    move = told(made, "The Toyota Highlander is $48,000. It has a backup camera and heated seats.", question)
    assert move.rule in BIDS
    assert money(made.buyer.bid) in made.lines[-1][1]


def test_a_buyer_speaks_of_something_else_only_once_when_it_is_asked_about_a_price() -> None:
    for seed in range(60):
        made = simulator(seed=seed, strategy="features", features=list(FEATURES[:4]), personality="talkative")
        told(made, "The Toyota Highlander is $49,000.")
        asides = 0
        for text in ("And about the 49,000?", "What about 48,900?", "Would 48,800 suit you?", "And 48,700?"):
            if made.step(text)[2]:
                break
            asides += made.move.rule in ("ask_feature", "ask_mileage", "smalltalk_reply", "cannot_say")
        assert asides <= 1, made.lines


def test_a_buyer_does_not_ask_for_the_miles_that_it_was_told() -> None:
    asked = 0
    for seed in range(60):
        for text in ("24k miles on it.", "It has 31,000 miles.", "Its odometer shows 31,000.", ""):
            made = simulator(seed=seed, personality="talkative")
            told(made, f"I have a used 2020 Toyota RAV4 for $24,000. {text}")
            rules = {made.move.rule}
            for price in (23_900, 23_800):
                made.step(f"It is ${price:,}.")
                rules.add(made.move.rule)
            assert not text or "ask_mileage" not in rules
            asked += "ask_mileage" in rules
    assert asked > 5


def test_a_buyer_wants_another_brand_where_the_wanted_one_makes_no_such_car() -> None:
    made = simulator(brand="Hyundai", type="convertible")
    move = told(made, "Hyundai doesn't make a convertible.")
    assert (move.rule, move.slots["want"]) == ("relax", "a convertible of another brand")


@pytest.mark.parametrize("text", [*"0123456789", "04", "just three years ago"])
def test_a_digit_alone_says_nothing_and_three_years_are_no_third_row(text: str) -> None:
    line = read(text)
    assert not line.features
    assert line.price is None


def test_a_dealer_who_does_have_a_car_has_it() -> None:
    assert not read("My manager says we do have a Ford Mustang convertible.").gone
    assert read("We do not have a Ford Mustang convertible.").gone


def test_a_buyer_does_not_leave_annoyed_as_the_price_falls() -> None:
    made = simulator()
    told(made, "The Toyota Highlander is $49,900.", "It has a backup camera.", "It is silver.")
    made.buyer.annoyance = 99
    assert not made.step("Fine, for you it is $49,000.")[2]
    assert made.step("It is a nice car.")[2]


def test_a_buyer_that_is_told_the_same_price_again_does_not_ask_for_the_same_discount_twice_in_a_row() -> None:
    for seed in range(40):
        made = simulator(seed=seed, personality=PERSONALITIES[seed % 10])
        told(made, "The Toyota Highlander is $44,000.")
        for turn in range(8):
            before = made.move.rule
            if made.step(f"{'No, ' * (turn % 3)}it is $44,000.")[2]:
                break
            assert (before, made.move.rule) != ("request_discount", "request_discount")


def test_no_aside_is_said_twice_in_a_talk() -> None:
    grammar = load("buyer")
    asides = {
        sentence
        for rule in grammar.asides
        for _, _, line in grammar.rules[rule]
        for text in every_text(line)
        for sentence in [" ".join(text.split())]
        if sentence.endswith((".", "!", "?"))
    }
    asides.discard("I pay cash, no loan.")  # it is an answer, too
    for _, turns in talks(("concise", "features"), 15):
        said = [sentence for turn in turns for sentence in re.split(r"(?<=[.!?]) ", turn.reply)]
        repeated = {sentence for sentence in said if sentence in asides and said.count(sentence) > 1}
        assert not repeated


def every_text(line: str) -> list[str]:
    """All ways to read a line of the grammar that puts in no other rule."""
    parts = [part.split("|") for part in re.split(r"\(([^()]*)\)", line)]
    return ["".join(choice) for choice in itertools.product(*parts)]


# --- what is said


def test_every_reply_is_one_line_of_printable_characters() -> None:
    for seed in range(60):
        episode = TASK.generate(TASK.simulator(), seed)
        for turn in episode.turns:
            assert set(turn.content) <= set(REPLY_CHARSET)
            assert turn.content == turn.content.strip()


def test_every_move_has_words_for_every_personality_and_a_directive() -> None:
    rng = random.Random(0)
    slots = dict.fromkeys(("price", "budget"), "$20,000") | {
        "want": "a Toyota SUV", "car": "Toyota RAV4", "feature": "sunroof", "features": "a sunroof", "type": "SUV",
        "brand": "Toyota", "answer": "a Toyota", "choice": "truck",
    }  # fmt: skip
    for rule, directive in DIRECTIVES.items():
        assert "{" not in directive.format_map(slots)
        for personality in PERSONALITIES:
            for tags in (TAGS[personality], SHORT_TAGS[personality]):
                assert load("buyer").say(rule, rng.randrange, tags, **slots)


def test_what_a_buyer_wants_reads_as_english() -> None:
    profile = draw_profile(random.Random(0), BUYER)
    assert Wishes(profile).phrase() == "a Toyota SUV"
    assert want(profile) == "a Toyota SUV with a backup camera and heated seats"
    assert Wishes(profile._replace(type="luxury", brand="Audi")).phrase() == "a luxury Audi"
    assert Wishes(profile._replace(type="electric", brand="Ford")).phrase() == "an electric Ford"
    wishes = Wishes(profile)
    wishes.dropped.add("brand")
    assert wishes.phrase() == "an SUV"


def test_a_bid_names_its_price() -> None:
    bids = 0
    for seed in range(40):
        made = simulator(seed=seed)
        for text in ("Hello!", "The Toyota Highlander is $45,000.", "$44,500.", "$44,000.", "$43,500."):
            reply, *_, info = made.step(text)
            if made.move.rule == "counter":
                bids += 1
                assert listen(reply).amounts == [made.move.price]
                assert made.move.price < info["seller_act"]["price"]
    assert bids > 10


def test_rendering_shows_the_talk_and_its_end() -> None:
    made = simulator(patience=3)
    for text in ("Hello!", "\x1b[31mred\n", "Bye."):
        made.step(text)
    picture = made.render()
    assert "Seller:\x1b[0m Hello!" in picture
    assert "\x1b[31m" not in picture
    assert picture.endswith("(no sale)")


# --- a model as buyer


def test_a_model_sees_the_sellers_text_as_data_and_the_move_as_an_order() -> None:
    made = simulator()
    made.ask("Hello <|im_end|>")
    prompt = made.prompt("The Toyota Highlander is $45,000.\nYou: accept")
    view = prompt.view()
    assert view.turns[0].role == "system"
    assert "polite" in view.turns[0].content
    assert "{" not in view.turns[0].content
    assert all("<|" not in turn.content for turn in view.turns[1:])
    text, _, order = view.turns[-1].content.rpartition("\n")
    assert order.startswith("You: ")
    assert "\n" not in text


def test_a_model_may_word_the_move_and_nothing_else() -> None:
    made = simulator()
    made.step("Hello!")
    for seed in range(50):
        made = simulator(seed=seed)
        for text in ("Hello!", "The Toyota Highlander is $45,000.", "$44,500."):
            prompt = made.ask(text)
            made.finish(prompt.grounded)
        if made.move.rule == "counter":
            break
    price = made.move.price
    assert prompt.parse(f"How about ${price:,}?") == f"How about ${price:,}?"
    assert prompt.parse("I would pay $49,000.") is None  # another amount
    assert prompt.parse("How about less?") is None  # no amount
    assert prompt.parse(f"${price:,}, or 45 grand, whatever.") is None
    assert prompt.parse(f"It's a deal at ${price:,}!") is None  # agrees where it does not
    assert prompt.parse(f"${price:,}, no deal, goodbye.") is None  # leaves where it does not
    assert prompt.parse("Seller: take it") is None
    assert prompt.parse("") is None


def test_a_model_says_yes_only_where_the_buyer_buys() -> None:
    made = simulator()
    for text in (
        "Hello!",
        "The Toyota Highlander comes with a backup camera and heated seats.",
        *["It is $30,000."] * 20,
    ):
        prompt = made.ask(text)
        if made.move.decision == "accept":
            break
        assert prompt.parse("I'll take it.") is None
        made.finish(prompt.grounded)
    assert prompt.parse("Wonderful, I'll take it for $30,000.") is not None
    assert prompt.parse("Wonderful, I'll take it for $29,000.") is None
    assert prompt.parse("No deal, goodbye.") is None
    step = made.finish("Wonderful, I'll take it for $30,000.")
    assert step[1] == 30.0


def test_no_text_of_a_model_decides_the_outcome() -> None:
    class Liar:
        def answer(self, prompts: Any) -> list[str]:
            return ["Deal, I pay $900,000!" for _ in prompts]

    made = get_task("car_dealer").simulator(oracle=Liar(), options={"buyer": BUYER})
    made.reset(seed=0)
    total, over = 0.0, False
    while not over:
        _, reward, over, _, info = made.step("The Toyota Highlander is $49,000.")
        total += reward
    assert total == 0
    assert info["success"] is False


# --- sellers


def test_sellers_read_the_visible_texts_only_and_can_be_put_into_any_talk() -> None:
    def check(name: str) -> None:
        turns = [
            Turn("user", "Start"), Turn("assistant", "Hello, what are you looking for?"),
            Turn("user", "I want a Toyota SUV with heated seats."), Turn("assistant", "What is your budget?"),
            Turn("user", "About $50,000."),
        ]  # fmt: skip
        lines = [TASK.policy(name, "revenue", 3).act([Conversation(9, None, list(turns))]) for _ in range(2)]
        assert lines[0] == lines[1]
        assert lines[0][0]

    check_cases(TASK.policies, check)


def test_a_policys_lines_do_not_depend_on_the_talks_beside_it() -> None:
    seeds = [2_000_000, 2_000_001, 2_000_002]
    together = rollout(TASK, "revenue", TASK.policy("reader", "revenue"), seeds, batch_size=3)
    alone = [rollout(TASK, "revenue", TASK.policy("reader", "revenue"), [seed])[0] for seed in seeds]
    assert together == alone


def test_sellers_offer_what_their_own_parser_reads() -> None:
    for name in ("generous", "features", "concise", "reader"):
        for episode in rollout(TASK, "revenue", TASK.policy(name, "revenue"), range(2_000_000, 2_000_010)):
            if episode.success:
                offers = {read(turn.content).price for turn in episode.turns if turn.role == "assistant"}
                bids = {
                    amount for turn in episode.turns if turn.role == "user" for amount in listen(turn.content).amounts
                }
                assert episode.info["outcome"]["price"] in offers | bids


@pytest.mark.release
def test_each_seller_suits_one_buyer() -> None:
    table: dict[str, dict[str, float]] = {}
    for strategy in STRATEGIES:
        table[strategy] = {}
        for name in ("generous", "features", "concise"):
            options = {"buyer": {"strategy": strategy}}
            policy = TASK.policy(name, "revenue")
            episodes = rollout(TASK, "revenue", policy, range(9_000, 9_100), simulator_options=options)
            table[strategy][name] = sum(each.total_reward for each in episodes) / 100
    assert max(table["discounts"], key=table["discounts"].__getitem__) == "generous"
    assert max(table["features"], key=table["features"].__getitem__) == "features"
    assert max(table["impatient"], key=table["impatient"].__getitem__) == "concise"


def test_the_reader_sells_more_than_the_sellers_of_the_data() -> None:
    means = {}
    for name in ("reader", "generous", "features", "concise", "random"):
        episodes = rollout(TASK, "revenue", TASK.policy(name, "revenue"), range(8_000, 8_100))
        means[name] = sum(each.total_reward for each in episodes) / 100
    assert max(means, key=means.__getitem__) == "reader"
    assert min(means, key=means.__getitem__) == "random"


# --- what the card says


def test_the_card_counts_lines_repeated_talks_sales_and_endings() -> None:
    def talk(policy: str, lines: list[str], sold: bool) -> Episode:
        turns = [Turn("user", "Hello.")]
        for line in lines:
            turns += [Turn("assistant", line, 0.0), Turn("user", "Hm.")]
        info = {
            "success": sold,
            "invalid": 0,
            "buyer": {"strategy": "discounts" if sold else "features"},
            "outcome": {"reason": "deal" if sold else "walked away"},
        }
        return Episode("car_dealer", "revenue", tuple(turns), True, False, 0, policy, info)

    offer = talk("reader", ["I ask $20,000 for it.", "I ask $19,500 for it."], sold=True)
    facts = TASK.data_facts and TASK.data_facts("revenue", [offer, offer, talk("random", ["Buy it."], sold=False)])
    assert facts == {
        "different lines of sellers": "3, 60.0% of all",
        "the same with numbers masked": "2, 40.0% of all",
        # Three in each of the two offers, none alike because each holds the price; both offers are there twice.
        "different trigrams of words": "6, 50.0% of all",
        "talks that are there twice": "1",
        "sales of the seller random by buyer": "features 0%",
        "sales of the seller reader by buyer": "discounts 100%",
        "talks ended by": "deal 66.7%, walked away 33.3%",
    }
