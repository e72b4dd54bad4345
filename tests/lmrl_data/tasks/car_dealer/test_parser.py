"""What is read from a seller's line: the price among its numbers, the car, the features, and what it does."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmrl_data.tasks.car_dealer.catalog import FEATURES, catalogue
from lmrl_data.tasks.car_dealer.grammar import listing, load, money
from lmrl_data.tasks.car_dealer.reading.line import MAX_PRICE, MIN_PRICE, hear, is_readable, read

OFFERS = [
    ("I can do $31,500 for the RAV4.", 31_500),
    ("How about $27,900?", 27_900),
    ("thirty-four five and it's yours", 34_500),
    ("Let's call it thirty-four even.", 34_000),
    ("How about 85 grand?", 85_000),
    ("41.5k out the door", 41_500),
    ("32 500 dollars", 32_500),
    ("Final offer: $31,999.", 31_999),
    ("The price is forty-two thousand five hundred dollars.", 42_500),
    ("I can go as low as fifty-five thousand.", 55_000),
    ("$38,995.00", 38_995),
    ("USD 30,000", 30_000),
    ("So 41 it is.", 41_000),
    ("I could meet you at 38.", 38_000),
    # with other numbers beside it
    ("The MSRP on this one is $42,000, but I can let you have it for $39,500.", 39_500),
    ("Was $38,000, now $35,500.", 35_500),
    ("Down from $38,000 to $35,500.", 35_500),
    ("$28,000 won't work, but I could do $30,000.", 30_000),
    ("I was at $33,000, but I can do $32,500.", 32_500),
    ("I can do $32,500, maybe $32,000 if my manager agrees.", 32_500),
    ("I have a 2019 Honda Civic with 41,000 miles for $15,400.", 15_400),
    ("With the $2,000 rebate it comes to $33,000.", 33_000),
    ("Delivery is $900 and the car is $36,000.", 36_000),
    ("$16,000 with only 38k miles.", 16_000),
    ("At $28,300 it fits your budget.", 28_300),
    ("No, I can't take $22,000, the least I'd take is $24,000.", 24_000),
    ("I can't go below $31,000.", 31_000),
    # names of models with numbers in them
    ("The Model 3 is $42,000 and the Model Y is $49,000.", 49_000),
    ("The 911 costs $119,200.", 119_200),
    ("The F-150 goes for $34,600.", 34_600),
    ("The 3 Series at 41 even.", 41_000),
    # what a discount on a list price comes to
    ("It's listed at $36,800 and I can take 10% off.", 33_120),
    ("7% discount on the $50,000 list price", 46_500),
    ("That's $2,000 off the $34,000 sticker.", 32_000),
    ("The retail price is $52,000. We are offering a 12% discount.", 45_760),
    # to agree with the buyer's number is to offer it
    ("I accept your offer of $28,500.", 28_500),
    ("Deal! $28,500 it is.", 28_500),
]

NO_OFFERS = [
    "It lists for $36,800.",
    "Our trucks start at $28,000.",
    "I'll knock another $500 off.",
    "You'd pay $450 a month for 60 months.",
    "With $5,000 down, your payments are $399 per month.",
    "You said your budget is $30,000, right?",
    "What's your budget? Around $50,000?",
    "This 2021 Camry has 32,000 miles on it.",
    "28k miles, one owner, very clean.",
    "It comes with a 5-year, 60,000-mile warranty.",
    "I can't do $25,000, sorry.",
    "Your offer of $26,000 is too low.",
    "We have SUVs between $30,000 and $45,000.",
    "Another customer offered me $41,000 this morning.",
    "A guy paid $45,000 for one just like it last week.",
    "I'll give you $4,000 for your trade-in.",
    "The doc fee is $499.",
    "The extended warranty is $1,800.",
    "Invoice is $33,000, so I'd lose money.",
    "You already agreed to $45,000.",
    "That fits your $50,000 budget.",
    "We have many cars under $30,000.",
    "An Audi A4 has 201 horsepower.",
    "0 to 60 in 4.2 seconds.",
    "Call me at 555-1234.",
    "It is one of the best cars for two people.",
    "-$5,000",
    "I'll sell it for $0.",
    "Price: NaN",
    "$٩٠,٠٠٠",
    "$1e9",
    "$99,999,999,999,999,999",
]


@pytest.mark.parametrize(("text", "price"), OFFERS)
def test_the_price_that_is_offered_is_found_among_other_numbers(text: str, price: int) -> None:
    assert read(text).price == price


@pytest.mark.parametrize("text", NO_OFFERS)
def test_a_number_that_is_no_offer_is_not_taken_for_one(text: str) -> None:
    assert read(text).price is None


def test_list_prices_and_discounts_are_told_apart_from_offers() -> None:
    act = read("The sticker says $47,000; you save $3,000 today.")
    assert (act.list_price, act.discount, act.price) == (47_000, 3_000, 44_000)
    assert read("I can give you eight percent off.").percent == 8
    assert read("two grand off and it's yours").discount == 2_000
    assert read("We don't give 10% discounts.").percent is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The CX-5 seats five.", "Mazda CX-5"),
        ("May I show you a Model Y?", "Tesla Model Y"),
        ("We have an ID.4 here.", "Volkswagen ID.4"),
        ("How about the f150?", "Ford F-150"),
        ("The BMW 3 Series is here.", "BMW 3 Series"),
        ("Look at this Subaru Outback.", "Subaru Outback"),
    ],
)
def test_a_model_is_known_by_the_names_people_use(text: str, name: str) -> None:
    assert name in {f"{catalogue()[number].brand} {catalogue()[number].model}" for number in read(text).cars}


def test_a_word_that_is_also_a_model_needs_more_to_be_one() -> None:
    assert read("You speak without accent.").cars == ()
    assert read("Can you escape your old contract").cars == ()


def test_features_are_claimed_denied_or_asked_for() -> None:
    assert read("It has a sunroof and heated seats.").features == ("sunroof", "heated seats")
    assert read("It does not have a backup camera.").missing == ("backup camera",)
    assert read("Do you want leather seats?").features == ()
    assert read("Leather seats? Yes, it has them.").features == ("leather seats",)
    assert read("You said you wanted navigation.").features == ()
    assert read("It has navigation, at no extra charge.").features == ("navigation system",)


@pytest.mark.parametrize(
    ("text", "act"),
    [
        ("Hello there!", "greet"),
        ("What is your budget?", "ask"),
        ("This is the Toyota Camry.", "present"),
        ("You can have it for $20,000.", "offer"),
        ("I'll take another $500 off.", "discount"),
        ("It has a sunroof.", "feature"),
        ("Do you have a car to trade in?", "trade_in"),
        ("This offer is for today only.", "pressure"),
        ("I can't go any lower.", "firm"),
        ("Goodbye and take care.", "goodbye"),
        ("Purple elephants sing.", "none"),
    ],
)
def test_a_line_is_named_by_the_most_important_thing_it_does(text: str, act: str) -> None:
    assert read(text).act == act


def test_only_the_sellers_own_plain_word_is_agreement() -> None:
    assert all(read(text).agrees for text in ("Deal!", "Sold.", "You have a deal.", "That works for me.", "Agreed!"))
    for text in ("Do we have a deal?", "No deal.", "You already agreed.", "That is a great deal.", "I can't accept."):
        assert not read(text).agrees


def test_the_parser_reads_the_prices_of_the_sellers_own_grammar() -> None:
    rng = random.Random(11)
    rules = ("offer", "offer_short", "offer_discount", "offer_percent", "meet_halfway", "firm", "pitch", "ask_budget")
    right = 0
    for _ in range(2_000):
        car, rule = rng.choice(catalogue()), rng.choice(rules)
        price = max(1_000, 100 * int(car.price * rng.uniform(0.7, 0.99) / 100))
        text = load("seller").say(
            rule, rng.randrange, frozenset([rng.choice(("generous", "features", "concise", "noisy"))]), car=car.name,
            price=money(price), list_price=money(car.price), discount=money(car.price - price), percent="5%",
            feature=FEATURES[0], features=listing(FEATURES[:2]),
        )  # fmt: skip
        right += read(text).price == (price if rule not in ("pitch", "ask_budget") else None)
    assert right >= 0.995 * 2_000


@settings(max_examples=500)
@given(st.text(max_size=2_000))
def test_any_text_is_read_and_no_price_is_absurd(text: str) -> None:
    act = read(text)
    assert act.price is None or MIN_PRICE <= act.price <= MAX_PRICE
    assert act.list_price is None or MIN_PRICE <= act.list_price <= MAX_PRICE
    assert isinstance(is_readable(act, text), bool)


@pytest.mark.parametrize(
    "text",
    [
        "a " * 50_000, "can't " * 20_000, "$1 " * 30_000, "thirty " * 20_000, "the list price is " * 9_000,
        "1,000," * 20_000, "so and but then " * 9_000, "?" * 100_000, "yes, and " * 20_000, "model 3 " * 20_000,
        "between 1 and " * 9_000, "x" * 100_000, "not below off " * 9_000,
    ],
)  # fmt: skip
def test_no_text_takes_long_to_read(text: str) -> None:
    begin = time.process_time()
    for _ in range(3):
        read(text)
        hear(text)
    assert time.process_time() - begin < 0.5
