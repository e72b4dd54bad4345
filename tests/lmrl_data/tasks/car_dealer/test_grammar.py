"""Car Dealer's language: every line of both grammars speaks cleanly and says its act; the cars of the catalogue."""

import csv
import itertools
import math
import random
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from cases import check_cases, read_cases
from hypothesis import given
from hypothesis import strategies as st

from lmrl_data.tasks.car_dealer import grammar as car_dealer_grammar
from lmrl_data.tasks.car_dealer.grammar import Choice, Grammar, Slot, listing, load, money, noun_phrase
from lmrl_data.tasks.car_dealer.simulator import GROUPS
from lmrl_data.tasks.car_dealer.simulator import TAGS as BUYER_TAGS

pytestmark = pytest.mark.slow

ASSETS = Path(car_dealer_grammar.__file__).parent / "assets"
PERSONALITIES = (
    "abusive", "angry", "insulting", "polite", "respectful", "rude", "sarcastic", "talkative", "toxic",
    "uncommunicative",
)  # fmt: skip
SPEAKERS = {"buyer": PERSONALITIES, "seller": ("generous", "features", "concise", "noisy", "plain")}
TAGS = {tag: frozenset([tag]) for tag in SPEAKERS["seller"]} | BUYER_TAGS  # each speaker's, with its groups
# Each act with the slots that its every line shows.
ACTS = {
    "buyer": {
        "accept": "price", "again": "answer", "answer_brand": "brand", "answer_budget": "budget",
        "answer_budget_dodge": "", "answer_features": "features", "answer_finance": "", "answer_name": "",
        "answer_test_drive": "", "answer_type": "type", "answer_when": "", "any_will_do": "",
        "ask_feature": "feature", "ask_mileage": "", "ask_more": "", "ask_price": "car", "cannot_say": "",
        "choose": "choice", "counter": "price", "counter_last": "price", "distrust": "feature", "distrust_price": "",
        "far_apart": "price", "hold": "price", "hurry_up": "", "impatient": "", "insist_feature": "feature",
        "is_price": "price", "lacks": "feature", "needed": "feature", "no_deal_yet": "", "no_trade_in": "",
        "not_needed": "feature", "nothing_else": "", "only_price": "price", "open": "want",
        "over_budget": "price", "pressure_reply": "",
        "raised": "price", "rather": "choice", "relax": "want", "relax_feature": "feature", "request_discount": "",
        "smalltalk_reply": "", "too_expensive": "", "unclear": "", "wait": "", "walk_away": "",
        "walk_away_price": "", "walk_away_rude": "", "wants": "want", "which_car": "", "why_feature": "feature",
        "why_price": "", "would_do_no": "want", "would_do_yes": "", "wrong_car": "want", "wrong_car_told": "want",
    },
    "seller": {
        "greet": "", "greet_ask": "", "ask_type": "", "ask_brand": "", "ask_features": "", "ask_budget": "",
        "present": "car list_price", "present_features": "car features", "offer": "car price", "offer_short": "price",
        "offer_discount": "price", "offer_percent": "price percent", "feature_claim": "feature",
        "feature_missing": "feature", "answer_yes": "", "answer_no": "", "pitch": "car", "firm": "price",
        "pressure": "", "trade_in": "", "close_question": "", "goodbye": "", "meet_halfway": "price", "thanks": "",
        "smalltalk": "",
    },
}  # fmt: skip
SAID = {
    "want": "a Toyota SUV with a sunroof", "car": "2019 Mercedes-Benz C-Class", "price": "$28,500", "type": "SUV",
    "feature": "sunroof", "features": "a sunroof and heated seats", "brand": "Audi", "budget": "$30,000",
    "list_price": "$31,000", "discount": "$2,500", "percent": "8%", "answer": "a Toyota", "choice": "truck",
}  # fmt: skip
PLAIN = tuple(SAID.items())
CASES = [(name, act) for name, acts in ACTS.items() for act in acts]
BRANDS = (
    "Volkswagen", "Lexus", "Ford", "Mazda", "Hyundai", "Toyota", "Mercedes-Benz", "BMW", "Audi", "Subaru", "Honda",
    "Porsche", "Tesla",
)  # fmt: skip
TYPES = ("luxury", "sedan", "convertible", "truck", "electric", "SUV")
BUDGETS = (10_000, 30_000, 50_000, 70_000, 90_000)
FEATURES = (
    "backup camera", "navigation system", "heated seats", "leather seats", "third-row seating",
    "blind spot monitoring", "sunroof", "Apple CarPlay",
)  # fmt: skip


def seeded(seed: int) -> Callable[[int], int]:
    return random.Random(seed).randrange


# --- the expander


SMALL = """
# a comment
== offer ==
[rude] {price}, take it.
[polite,rude] (would|could) you take {price}?
<lead> I say {price}( today|).
== lead [-rude] ==
(well,|listen.|)
== lead [rude] ==
hey!
== find ==
here is a {car}. A {car}? {feature}. it has a {feature}.
"""


def spoken(rule: str, tag: str = "", text: str = SMALL, **slots: str) -> set[str]:
    grammar = Grammar(text)
    return {grammar.say(rule, seeded(seed), {tag} if tag else frozenset(), **slots) for seed in range(300)}


def test_a_speaker_says_the_lines_for_everyone_and_its_own():
    everyone = {f"{lead}I say $9{when}." for lead in ("Well, ", "Listen. ", "") for when in ("", " today")}
    assert spoken("offer", price="$9") == everyone
    assert spoken("offer", "polite", price="$9") == everyone | {"Would you take $9?", "Could you take $9?"}
    assert spoken("offer", "rude", price="$9") == {
        "$9, take it.", "Would you take $9?", "Could you take $9?", "Hey! I say $9.", "Hey! I say $9 today.",
    }  # fmt: skip


def test_articles_and_capitals_follow_what_stands_in_a_slot():
    said = spoken("find", car="Audi A4", feature="sunroof")
    assert said == {"Here is an Audi A4. An Audi A4? Sunroof. It has a sunroof."}
    said = spoken("find", car="used BMW X3", feature="heated seats")
    assert said == {"Here is a used BMW X3. A used BMW X3? Heated seats. It has heated seats."}


def test_a_or_an_goes_by_the_sound() -> None:
    def check(noun: str, phrase: str) -> None:
        assert noun_phrase(noun) == phrase

    check_cases(read_cases("car_dealer/articles.tsv"), check)


def test_amounts_and_lists_as_they_are_printed():
    assert (money(950), money(28_500)) == ("$950", "$28,500")
    assert listing(["sunroof"]) == "a sunroof"
    assert listing(["sunroof", "heated seats", "Apple CarPlay"]) == "a sunroof, heated seats and Apple CarPlay"


@given(st.text(min_size=1))
def test_what_stands_in_a_slot_is_neither_read_nor_changed(text: str):
    said = load("buyer").say("counter", seeded(3), {"rude"}, price=text)
    assert text in said or text[:1].upper() + text[1:] in said


@pytest.mark.parametrize("text", ["== x ==\n<y>", "== x ==\n{nothing}", "== x ==\n(a|<y>)"])
def test_unknown_rules_and_slots_are_found_at_load(text: str):
    with pytest.raises(KeyError):
        Grammar(text)


@pytest.mark.parametrize(
    "text", ["== x ==\n(a", "== x ==\na)", "== x ==\n((a)|b)", "== x ==\n{a b}", "== x=\na", "== x ==\n[a] [b] c"]
)
def test_lines_that_cannot_be_read_are_found_at_load(text: str):
    with pytest.raises((ValueError, KeyError)):
        Grammar(text)


def test_who_asks_for_what_does_not_exist_is_told():
    with pytest.raises(KeyError):
        load("buyer").say("sing", seeded(0))
    with pytest.raises(KeyError):
        load("buyer").say("counter", seeded(0), {"rude"})
    with pytest.raises(KeyError):
        Grammar("== x ==\n[rude] a").say("x", seeded(0), {"polite"})


def test_the_same_draws_give_the_same_text() -> None:
    def check(name: str, act: str) -> None:
        for tag in SPEAKERS[name]:
            first, again, other = (load(name).say(act, seeded(seed), TAGS[tag], **SAID) for seed in (5, 5, 6))
            assert first == again
            assert first != other or act not in FREQUENT or tag in ("uncommunicative", "concise")

    check_cases(CASES, check)


def test_a_grammar_read_again_says_the_same():
    fresh = Grammar((ASSETS / "seller.txt").read_text())
    assert fresh.say("offer", seeded(5), {"plain"}, **SAID) == load("seller").say(
        "offer", seeded(5), {"plain"}, **SAID
    )


# --- every line


@cache
def paths(choice: Choice) -> list[tuple[tuple[int, int], ...]]:
    """Ways through a choice, as what is drawn among how many, such that each line at any depth is on one of them."""
    ways = []
    for number, line in enumerate(choice.lines):
        below = [paths(part) for part in line if isinstance(part, Choice)]
        for turn in range(max(map(len, below), default=1)):
            deeper = tuple(itertools.chain.from_iterable(each[turn % len(each)] for each in below))
            ways.append(((number, len(choice.lines)), *deeper))
    return ways


@cache
def texts(name: str, act: str, tag: str, slots: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """What a speaker says by an act, with each of its lines, parts and alternatives at least once."""
    grammar = load(name)
    said = {}
    for way in paths(grammar._choice(act, TAGS[tag])):
        number = 0
        for index, size in reversed(way):
            number = number * size + index
        # So many ways at most that what is drawn last is drawn as evenly as what is drawn first.
        assert math.prod(size for _, size in way) < 2**50
        numbers = iter((number >> 30, number & 2**30 - 1))
        said[grammar.say(act, lambda _, numbers=numbers: next(numbers), TAGS[tag], **dict(slots))] = None
    return tuple(said)


@cache
def all_texts(name: str, act: str, slots: tuple[tuple[str, str], ...] = PLAIN) -> tuple[str, ...]:
    """The texts of all speakers, each once."""
    return tuple(dict.fromkeys(text for tag in SPEAKERS[name] for text in texts(name, act, tag, slots)))


def extreme(choice: Choice, longest: bool) -> str:
    """The longest text of a choice, or the shortest one, in words."""
    lines = [
        "".join(
            part if isinstance(part, str) else SAID[part.name] if isinstance(part, Slot) else extreme(part, longest)
            for part in line
        )
        for line in choice.lines
    ]
    return (max if longest else min)(lines, key=lambda line: len(line.split()))


def test_every_line_of_the_files_is_spoken_by_somebody():
    for name, acts in ACTS.items():
        grammar = load(name)
        spoken, waiting = set(), list(acts)
        while waiting:
            rule = waiting.pop()
            if rule not in spoken:
                spoken.add(rule)
                waiting += [part for _, _, line in grammar.rules[rule] for part in re.findall(r"<(\w+)>", line)]
        assert spoken == grammar.rules.keys()
        for lines in grammar.rules.values():
            for only, never, _ in lines:
                assert only | never <= {*SPEAKERS[name], *GROUPS, "short"}


def test_every_line_comes_out_clean() -> None:
    def check(name: str, act: str) -> None:
        for text in all_texts(name, act):
            assert re.fullmatch(r"[A-Z0-9$].*[.!?]", text), text
            assert text.isascii()
            assert text.isprintable()
            assert len(text) <= 400
            assert not re.search(r"[][<>{}()|]|  | [.,;:!?]|[,;:][.,;:!?]|\.\.|[.!?][,;:.]", text), text
            assert not re.search(r"(?<!\.)[.!?] [a-z]", text), text
            assert not re.search(
                r"\b[Aa] (?!one|us|uni)[aeio]|\b[Aa] SUV\b|\b[Aa]n (?!hour|hon|SUV|MX|F-|IQ)[^aeiouAEIOU]", text
            ), text

    check_cases(CASES, check)


# What is wrong in any sentence. A feature may be a plural, so that it must not be the subject of a verb.
WRONG = {
    "a word said twice": r"\b(\w+) \1\b",
    "a verb of another person": r"(?<!with )(?<!for )(?<!fits )\b(?:you|we|they) (?:is|was|has|does)\b"
    r"|\bi (?:is|has|does)\b|(?<!and )\bi are\b"
    r"|\b(?:he|she|it) (?:are|were(?! \$)|do)\b",
    "a verb without its helper": r"(?:^|[.!?:] |, )(?:it|this one|that one|the car) (?:have|come|include|cost)\b",
    "a plural with a singular verb": r"(?<!without )(?<!with )(?:heated|leather) seats "
    r"(?:is|was|has|does|comes|matters)\b|\b(?:is|was|isn't) (?:a |there )?(?:heated|leather) seats\b",
    "two verbs": r"\bhow much is [^.?!,]* (?:cost|go for)\b|\b(?:is|does) it (?:is|does|has)\b"
    r"|\bdoes \w+ (?:has|comes|is)\b",
    "a verb after its helper": r"\b(?:did|does|do|will|can|could) (?:you|i|we|it|they) (?:had|has|was|came|said)\b",
    "half a question": r"\banything else do\b|\bwhat about [^.?!]* cost\b|\bneed (?:a reason|something) than\b",
    "a question without its mark": r"\b(?:so|and|but) (?:what|why|how) "
    r"(?:do(?! i know)|does|is|are|can|happened)\b[^?!.]*\.$"
    r"|, (?:what else (?:can|do)|is (?:that|it|there)|(?:are|do|can|could|would) you|does it|do prices)\b[^?!.]*\.$",
    "an end in the middle": r",[.!?]|\b(?:and|or|but|a|an|the)[.!?]$",
    "an article too many": r"\b(?:a|an|the) (?:a|an|the|my|your)\b|\bno (?:a|an) |\ba (?:heated|leather) seats"
    r"|\ban? (?:third-row seating|blind spot monitoring|apple carplay)",
}  # fmt: skip
OTHERS = {
    "feature": "heated seats", "features": "third-row seating and Apple CarPlay", "want": "an SUV with leather seats",
    "car": "Audi e-tron", "answer": "about $30,000", "type": "electric car", "choice": "SUV", "brand": "Mercedes-Benz",
}  # fmt: skip


def test_every_line_is_grammatical_with_every_kind_of_name() -> None:
    wrong = {fault: re.compile(pattern) for fault, pattern in WRONG.items()}

    def check(name: str, act: str) -> None:
        others = tuple((SAID | OTHERS).items()) if {*ACTS[name][act].split()} & OTHERS.keys() - {"car"} else PLAIN
        said = {*all_texts(name, act), *all_texts(name, act, others)}
        for text in {sentence for whole in said for sentence in re.split(r"(?<=[.!?]) ", whole.lower())}:
            for fault, pattern in wrong.items():
                assert not pattern.search(text), (fault, text)

    check_cases(CASES, check)


def test_texts_have_2_to_45_words() -> None:
    def check(name: str, act: str) -> None:
        for tag in SPEAKERS[name]:
            choice = load(name)._choice(act, TAGS[tag])
            assert len(extreme(choice, longest=False).split()) >= 2
            assert len(extreme(choice, longest=True).split()) <= 45

    check_cases(CASES, check)


def test_every_line_shows_its_slots_and_no_other_amounts() -> None:
    def check(name: str, act: str) -> None:
        for text in all_texts(name, act):
            for slot in ACTS[name][act].split():
                assert SAID[slot].lower() in text.lower(), (slot, text)
            for value in SAID.values():
                text = text.replace(value, "")
            assert not re.search(r"[0-9$%]|\b(?:dollars?|bucks?|thousand|hundred|million|percent)\b", text), text

    check_cases(CASES, check)


# --- meaning


def lowered(name: str, act: str) -> Iterator[str]:
    return (text.lower() for text in all_texts(name, act))


NO = r"\b(?:no|not|never|nothing|nobody|none|nor|without|cannot|refuse|decline|pass)\b|n't"
YES = (
    r"\b(?:deal|accept(?:ed)?|agreed?|agreement|sold|yes|sign|done|tak(?:e|ing) it|buy|buying|buyer|mine|it is|"
    r"signature|in business|go with|(?:happy|ready) to pay)\b"
)
BYE = r"\b(?:goodbye|bye|farewell|see you never)\b"


def test_who_accepts_says_yes_and_nothing_else():
    for text in lowered("buyer", "accept"):
        assert re.search(YES, text), text
        assert not re.search(NO, text), text


def test_who_walks_away_says_goodbye_and_no_one_else_does():
    walks = {"walk_away", "walk_away_price", "walk_away_rude"}
    for act in ACTS["buyer"]:
        for text in lowered("buyer", act):
            assert bool(re.search(BYE, text)) == (act in walks), text


def test_only_who_accepts_accepts():
    for act in ACTS["buyer"].keys() - {"accept", "counter"}:  # a counter may say what would be accepted
        for text in lowered("buyer", act):
            assert not re.search(r"\bi (?:gladly |happily )?(?:accept|agree to)\b|i will take it for", text), text


def test_a_yes_is_no_no():
    for text in lowered("seller", "answer_yes"):
        assert re.search(r"\b(?:yes|yeah|sure|exactly|correct|certainly|absolutely|indeed|right|of course)\b", text), (
            text
        )
    for text in lowered("seller", "answer_no"):
        assert re.search(r"\b(?:no|nope|not|nah)\b", text), text


def test_features_are_there_or_missing():
    harmless = r"no extra charge|no worries|do not worry|do not charge|costs (?:you )?nothing"
    for text in lowered("seller", "feature_claim"):
        assert not re.search(NO + r"|\b(?:missing|lacks)\b", re.sub(harmless, "", text)), text
    for text in lowered("seller", "feature_missing"):
        assert re.search(r"\b(?:no|nope|not|without|lacks|missing)\b|n't", text), text


def test_questions_are_questions_and_offers_name_one_price():
    for name, acts in ACTS.items():
        for act in acts:
            if act.startswith("ask_") or act == "close_question":
                for text in lowered(name, act):
                    assert "?" in text or re.search(
                        r"\b(?:tell|show|give|name|want|like|see|hear|let|walk|forgot|make|need|out)\b", text
                    ), text
    for act in ("offer", "offer_short", "firm", "meet_halfway", "present"):
        for text in lowered("seller", act):
            assert text.count("$") == 1, text


# --- variety

FREQUENT = ("open", "counter", "hold", "too_expensive", "request_discount", "accept", "walk_away", "ask_feature")


def draws(name: str, act: str, number: int = 10_000) -> list[str]:
    draw, tags = seeded(0), [TAGS[tag] for tag in SPEAKERS[name]]
    return [load(name).say(act, draw, tags[i % len(tags)], **SAID) for i in range(number)]


# Shares of 10,000 texts that are different ones, all slots being the same, and of their word triples.
VARIETY = [
    ("buyer", "open", 0.75, 0.02), ("buyer", "counter", 0.65, 0.05), ("buyer", "too_expensive", 0.5, 0.05),
    ("buyer", "request_discount", 0.6, 0.05), ("buyer", "ask_feature", 0.4, 0.03),
    ("buyer", "accept", 0.55, 0.03), ("buyer", "walk_away", 0.75, 0.04), ("seller", "offer", 0.9, 0.045),
    ("seller", "offer_discount", 0.95, 0.035), ("seller", "present", 0.95, 0.035), ("seller", "pitch", 0.9, 0.055),
    ("seller", "feature_claim", 0.8, 0.035), ("seller", "offer_short", 0.9, 0.055), ("seller", "greet", 0.8, 0.03),
]  # fmt: skip


@pytest.mark.release
def test_few_sentences_are_said_twice() -> None:
    def check(name: str, act: str, distinct: float, triples: float) -> None:
        said = draws(name, act)
        assert len(set(said)) / len(said) >= distinct
        threes = [three for text in said for three in zip(*(text.lower().split()[i:] for i in range(3)), strict=False)]
        assert len(set(threes)) / len(threes) >= triples

    check_cases(VARIETY, check)


def test_every_personality_has_wordings_of_its_own() -> None:
    def check(act: str) -> None:
        grammar = load("buyer")
        for tag in SPEAKERS["buyer"]:
            rules, waiting, own = set(), [act], 0
            while waiting:
                rule = waiting.pop()
                if rule not in rules:
                    rules.add(rule)
                    lines = [
                        line
                        for line in grammar.rules[rule]
                        if (not line[0] or TAGS[tag] & line[0]) and not TAGS[tag] & line[1]
                    ]
                    own += sum(line.count("|") + 1 for only, _, line in lines if only)
                    waiting += [part for _, _, line in lines for part in re.findall(r"<(\w+)>", line)]
            assert own >= 15, tag

    check_cases(FREQUENT, check)


def test_personalities_can_be_told_apart():
    def words(tag: str, act: str) -> float:
        said = draws("buyer", act, 2_000)[SPEAKERS["buyer"].index(tag) :: 10]
        return sum(len(text.split()) for text in said) / len(said)

    for act in FREQUENT:
        assert words("uncommunicative", act) < words("polite", act) < words("talkative", act)
        polite, abusive = (set(texts("buyer", act, tag, PLAIN)) for tag in ("polite", "abusive"))
        assert len(polite & abusive) < 0.5 * len(polite)


# --- the cars


@cache
def cars() -> list[dict[str, str]]:
    with (ASSETS / "catalog.tsv").open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def has(car: dict[str, str], feature: str) -> bool:
    return feature in car["features"].split(",")


def test_cars_have_the_columns_and_only_known_values():
    assert list(cars()[0]) == ["brand", "model", "types", "price", "features", "year", "miles"]
    assert {car["brand"] for car in cars()} == set(BRANDS)
    for car in cars():
        assert set(car["types"].split(",")) <= set(TYPES)
        assert set(filter(None, car["features"].split(","))) <= set(FEATURES)
        assert bool(car["year"]) == bool(car["miles"])
        assert 4_000 <= int(car["price"]) <= 140_000
        assert int(car["price"]) % 100 == 0
        assert not car["year"] or (1999 <= int(car["year"]) <= 2023 and 9_000 <= int(car["miles"]) <= 180_000)
        assert all(text.isascii() and text.isprintable() for text in car.values())
    names = [(car["brand"], car["model"], car["year"]) for car in cars()]
    assert len(set(names)) == len(names)
    assert sum(not car["year"] for car in cars()) >= 110


def test_an_older_car_of_a_model_has_more_miles_and_costs_less():
    models: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
    for car in cars():
        year, miles = int(car["year"] or 2025), int(car["miles"] or 0)
        models.setdefault((car["brand"], car["model"]), []).append((year, -miles, int(car["price"])))
    for rows in models.values():
        rows.sort()
        for older, newer in itertools.pairwise(rows):
            assert older[1] < newer[1]
            assert older[2] < newer[2]


def test_every_budget_has_cars_of_every_brand_type_and_feature() -> None:
    def check(budget: int) -> None:
        within = [car for car in cars() if int(car["price"]) <= budget]
        for brand in BRANDS:
            assert sum(car["brand"] == brand for car in within) >= 3, brand
        for kind in TYPES:
            assert sum(kind in car["types"].split(",") for car in within) >= 6, kind
        for feature in FEATURES:
            assert sum(has(car, feature) for car in within) >= 3, feature

    check_cases(BUDGETS, check)


def test_features_are_those_a_car_can_have():
    for car in cars():
        types, year = car["types"].split(","), int(car["year"] or 2025)
        assert not (has(car, "sunroof") and "convertible" in types)
        assert not has(car, "third-row seating") or "SUV" in types
        assert not has(car, "Apple CarPlay") or (year >= 2015 and car["brand"] != "Tesla")
        assert not has(car, "blind spot monitoring") or year >= 2010
        assert has(car, "backup camera") or year < 2018  # the law of 2018
