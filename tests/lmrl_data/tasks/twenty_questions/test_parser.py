"""What free questions of Twenty Questions are read as."""

import pytest
from cases import check_cases, read_cases
from hypothesis import given, settings
from hypothesis import strategies as st

from lmrl_data.tasks.twenty_questions.comparison import compare, quantity
from lmrl_data.tasks.twenty_questions.knowledge import knowledge, noun_key, singular
from lmrl_data.tasks.twenty_questions.negation import affirmations
from lmrl_data.tasks.twenty_questions.parser import Reader, Reading, reader
from lmrl_data.tasks.twenty_questions.phrasing import beyond, openings, wordings
from lmrl_data.tasks.twenty_questions.wording import MAX_LENGTH, clause, sentence

pytestmark = pytest.mark.slow

FACTS = knowledge()
read = reader().read
ATTRIBUTES = sorted(FACTS.attributes)
NAMES = [thing.name for thing in FACTS.things]


def answer(question: str, name: str) -> bool:
    return bool(read(question).yes >> FACTS.find(name) & 1)


# --- guesses


def test_only_a_name_and_nothing_else_is_a_guess() -> None:
    def check(text: str, expected: str) -> None:
        assert read(text).guess == (FACTS.find("Lion") if expected == "guess" else None)

    check_cases(read_cases("twenty_questions/guesses.tsv"), check)


def test_every_name_of_an_object_names_it() -> None:
    def check(name: str) -> None:
        number = FACTS.find(name)
        for variant in FACTS.things[number].variants:
            for text in (f"Is it a {variant}?", f"is it the {variant.lower()}", f"I think it's the {variant}."):
                assert read(text).guess == number, text
            for text in (f"Is it a {variant} cover?", f"Is it like a {variant}?", f"Is it not a {variant}?"):
                assert read(text).guess is None, text

    check_cases(NAMES, check)


def test_spaces_in_names_make_no_difference() -> None:
    for text, name in (
        ("Is it a lawnmower?", "Lawn mower"),
        ("Is it a smart phone?", "Smartphone"),
        ("Is it a T.V.?", "Television"),
        ("Is it a jig-saw puzzle?", "Puzzle"),
        ("Is it a pair of scissors?", "Scissors"),
        ("Are they shoes?", "Shoes"),
    ):
        assert read(text).guess == FACTS.find(name), text


def test_a_colour_is_asked_for_without_an_article_and_the_fruit_with_one() -> None:
    assert read("Is it orange?").guess is None
    assert answer("Is it orange?", "Carrot")
    assert read("Is it an orange?").guess == FACTS.find("Orange")


def test_several_names_are_answered_as_one_question() -> None:
    assert answer("Is it a lion or a tiger?", "Tiger")
    assert answer("is it a lion, a tiger, a bear", "Bear")
    assert not answer("Is it a dog, a cat, or a rabbit?", "Bear")
    assert answer("Is it a bus or a train?", "Train")


# --- the table's own questions


def test_every_form_of_an_attribute_has_its_answers() -> None:
    def check(attribute: str) -> None:
        row = FACTS.attributes[attribute]
        for form in row.forms:
            assert read(form).yes == row.yes, form
            assert read(form.lower().rstrip("?")).yes == row.yes, form
            assert read(f"Okay, {form[0].lower()}{form[1:]}").yes == row.yes, form

    check_cases(ATTRIBUTES, check)


def test_a_form_and_its_negation_differ_for_every_object() -> None:
    def check(attribute: str) -> None:
        row = FACTS.attributes[attribute]
        for form in row.forms:
            words = form.split()
            if words[0] in ("Is", "Does", "Can") and words[1] == "it":
                negated = " ".join([*words[:2], "not", *words[2:]])
                assert read(negated).yes == FACTS.everything & ~row.yes, negated
                # "Isn't it ...?" asks the same as "Is it ...?".
                contracted = " ".join([words[0].replace("Can", "Ca") + "n't", *words[1:]])
                assert read(contracted).yes == row.yes, contracted

    check_cases(ATTRIBUTES, check)


def test_every_wording_of_the_players_is_read_without_the_learned_reader() -> None:
    rules = reader().by_rules()

    def check(attribute: str) -> None:
        row = FACTS.attributes[attribute]
        texts = {wording for form in row.forms for wording in wordings(form)}
        assert len(texts) >= 15
        assert len(texts) * (1 + len(openings())) >= 200
        for text in texts:
            assert rules.read(text) == Reading(attribute, row.yes, None, True, attribute), text

    check_cases(ATTRIBUTES, check)
    for question in beyond():
        assert rules.read(question) == Reading(None), question
    for opening in openings():
        assert rules.read(f"{opening} is it alive?").match == "alive", opening


# --- polarity, comparisons and kinds


def test_questions_have_the_right_answer() -> None:
    def check(question: str, name: str, expected: str) -> None:
        assert read(question).match is not None
        assert answer(question, name) == (expected == "yes")

    check_cases(read_cases("twenty_questions/answers.tsv"), check)


def test_quantities_are_a_number_and_a_unit() -> None:
    def check(text: str, dimension: str, value: str) -> None:
        measure = quantity(text.split())
        if dimension == "none":
            assert measure is None
        else:
            assert measure == (dimension, pytest.approx(float(value)))

    check_cases(read_cases("twenty_questions/quantities.tsv"), check)


def test_nothing_is_bigger_or_smaller_than_itself() -> None:
    def check(name: str) -> None:
        for words in ("bigger than", "smaller than", "heavier than", "lighter than"):
            reading = read(f"Is it {words} a {name}?")
            if reading.match in ("size", "mass"):
                assert not reading.yes >> FACTS.find(name) & 1

    check_cases(NAMES, check)


def test_what_cannot_be_compared_with_is_out_of_scope() -> None:
    assert read("Is it bigger than the Eiffel Tower's shadow?").match is None
    assert compare("is it a fruit") is None


def test_who_does_it_makes_a_difference() -> None:
    assert answer("Do you eat it?", "Apple")
    assert not answer("Do you eat it?", "Fork")
    assert answer("Do you eat with it?", "Fork")
    assert answer("Is it used to eat?", "Fork")


# --- what is no question, or none that can be answered


def test_what_is_no_single_question_is_invalid() -> None:
    def check(text: str) -> None:
        assert read(text) == Reading(None, valid=False)

    texts = [
        "",
        " ",
        "\n",
        "???",
        "Yes.",
        "It is alive.",
        "hello there",
        "x" * 100_000,
        "is " * 41 + "it alive?",
        "\x00" * 20,
        "Is it alive? Is it a tool?",
        "Is it alive?\nYes.\nIs it a lion?",
        "{{ 7*7 }}",
        "Is it" + " very" * 40 + " big?",
    ]
    check_cases(texts, check)


def test_what_nothing_known_answers_is_out_of_scope() -> None:
    def check(text: str) -> None:
        assert read(text) == Reading(None)

    check_cases(read_cases("twenty_questions/out_of_scope.tsv"), check)


WORDS = ["is", "it", "a", "an", "the", "not", "or", "and", "than", "more", "bigger", "lion", "car", "of", "that"]
WORDS += ["without", ",", "?", ".", "$", "10", "pounds", "like", "you", "eat", "can", "neither", "never", "lifeless"]
WORDS += ["something", "too", "enough", "to", "but", "object", "kind", "made", "with", "does"]


@settings(max_examples=200)
@given(
    st.one_of(
        st.text(),
        st.lists(st.sampled_from(WORDS)).map(" ".join),
    )
)
def test_any_text_has_a_reading_and_it_is_always_the_same(text: str) -> None:
    reading = read(text)
    if len(text) <= MAX_LENGTH:
        again = reader().opening.sub("", text.strip().lower(), count=1)
        assert reading == Reader._read.__wrapped__(reader(), again)
    assert 0 <= reading.yes <= FACTS.everything
    assert reading.valid or (reading.match is None and reading.yes == 0 and reading.guess is None)
    if reading.guess is not None:
        assert reading.yes >> reading.guess & 1


def test_equal_meanings_have_equal_answers() -> None:
    meanings = dict[str, int]()
    for attribute in FACTS.attributes.values():
        for form in attribute.forms:
            for text in (form, form.replace("Is it ", "Is it not "), form.replace("it", "the object", 1)):
                reading = read(text)
                assert meanings.setdefault(reading.meaning, reading.yes) == reading.yes


# --- words


def test_words_lose_their_endings() -> None:
    assert [singular(word) for word in ("peas", "batteries", "watches", "glass", "knives", "bus", "shoes")] == [
        "pea",
        "battery",
        "watch",
        "glass",
        "knife",
        "bus",
        "shoe",
    ]
    assert noun_key(["lawn", "mowers"]) == noun_key(["lawnmower"])


def test_a_negation_is_undone_word_by_word() -> None:
    def check(text: str, positive: str, denied: str) -> None:
        assert [*affirmations(text), (text, False)][-2 if any(affirmations(text)) else -1] == (
            positive,
            denied == "yes",
        )

    check_cases(read_cases("twenty_questions/negations.tsv"), check)


def test_questions_are_brought_to_one_form() -> None:
    for text, plain in (
        ("Okay, is the object you're thinking of usually heavy?", "is it heavy"),
        ("Is it something that you can eat?", "do you eat"),
        ("Can you tell me if it is alive?", "it is alive"),
        ("Does it have fur, right?", "does it have fur"),
    ):
        found = sentence(text)
        assert found is not None
        assert clause(found.text) == plain
