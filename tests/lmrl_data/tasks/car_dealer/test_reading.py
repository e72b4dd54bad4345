"""What is read from a seller's line: the price among its numbers, the car, the features, and what it does."""

import csv
import random
import time
from pathlib import Path
from typing import Any

from cases import DATA, check_cases, read_cases
from hypothesis import given, settings
from hypothesis import strategies as st

from lmrl_data.tasks.car_dealer.catalog import FEATURES, catalogue
from lmrl_data.tasks.car_dealer.grammar import listing, load, money
from lmrl_data.tasks.car_dealer.reading.line import MAX_PRICE, MIN_PRICE, SellerLine, hear, is_readable, read


def labelled(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_lines_are_read_as_labelled() -> None:
    def check(line: str, expected: str) -> None:
        act = read(line)
        for label in expected.split():
            name, _, value = label.partition("=")
            found: Any = getattr(act, name)
            assert ("none" if found is None else f"{found:g}" if isinstance(found, float) else str(found)) == value

    check_cases(read_cases("car_dealer/lines.tsv"), check)


def as_labelled(act: SellerLine, row: dict[str, str]) -> bool:
    price, list_price, discount = row["price"], row["list_price"], row["discount"].strip()
    if discount.endswith("%"):
        reduced = act.percent == float(discount.rstrip("% "))
    else:
        reduced = act.discount == (int(discount) if discount else None) and (discount or act.percent is None)
    return bool(
        act.price == (int(price) if price else None)
        and act.list_price == (int(list_price) if list_price else None)
        and reduced
    )


def test_lines_of_the_development_are_read_as_well_as_ever() -> None:
    rows = labelled(DATA / "car_dealer" / "development.tsv")
    misses = [row["utterance"] for row in rows if not as_labelled(read(row["utterance"].replace("\\n", "\n")), row)]
    assert len(rows) == 983
    # As many as when the lines became a test. Who reads more of them right lowers the number.
    assert len(misses) <= 10, "\n".join(misses)


def test_list_prices_and_discounts_are_told_apart_from_offers() -> None:
    act = read("The sticker says $47,000; you save $3,000 today.")
    assert (act.list_price, act.discount, act.price) == (47_000, 3_000, 44_000)
    assert read("I can give you eight percent off.").percent == 8
    assert read("two grand off and it's yours").discount == 2_000
    assert read("We don't give 10% discounts.").percent is None


def test_a_model_is_known_by_the_names_people_use() -> None:
    def check(text: str, name: str) -> None:
        assert name in {f"{catalogue()[number].brand} {catalogue()[number].model}" for number in read(text).cars}

    cases = [
        ("The CX-5 seats five.", "Mazda CX-5"),
        ("May I show you a Model Y?", "Tesla Model Y"),
        ("We have an ID.4 here.", "Volkswagen ID.4"),
        ("How about the f150?", "Ford F-150"),
        ("The BMW 3 Series is here.", "BMW 3 Series"),
        ("Look at this Subaru Outback.", "Subaru Outback"),
    ]
    check_cases(cases, check)


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


def test_no_text_takes_long_to_read() -> None:
    def check(text: str) -> None:
        begin = time.process_time()
        for _ in range(3):
            read(text)
            hear(text)
        assert time.process_time() - begin < 0.5

    texts = [
        "a " * 50_000, "can't " * 20_000, "$1 " * 30_000, "thirty " * 20_000, "the list price is " * 9_000,
        "1,000," * 20_000, "so and but then " * 9_000, "?" * 100_000, "yes, and " * 20_000, "model 3 " * 20_000,
        "between 1 and " * 9_000, "x" * 100_000, "not below off " * 9_000,
    ]  # fmt: skip
    check_cases(texts, check)


def test_wonder_repeated_many_times_takes_no_time() -> None:
    def check(word: str) -> None:
        start = time.process_time()
        assert read(f"{word} " * 60 + "x. $25,000?").words > 0
        assert read(f"{word} " * 60 + "$25,000 x? No way.").words > 0
        assert time.process_time() - start < 1

    check_cases(["wow", "oh no", "ha", "lol,", "haha!", "what", "you said", "wow ?"], check)
