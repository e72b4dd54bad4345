"""What free questions of Twenty Questions are read as."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmrl_data.tasks.twenty_questions.comparison import compare, quantity
from lmrl_data.tasks.twenty_questions.knowledge import knowledge, noun_key, singular
from lmrl_data.tasks.twenty_questions.matching import spelled, stem
from lmrl_data.tasks.twenty_questions.parser import Reader, Reading, reader
from lmrl_data.tasks.twenty_questions.wording import MAX_LENGTH, clause, named, sentence

FACTS = knowledge()
read = reader().read
ATTRIBUTES = sorted(FACTS.attributes)
every_object = pytest.mark.parametrize("name", [thing.name for thing in FACTS.things])


def answer(question: str, name: str) -> bool:
    return bool(read(question).yes >> FACTS.find(name) & 1)


# --- guesses


@pytest.mark.parametrize(
    "text",
    [
        "Is it a lion?",
        "is it a lion",
        "Is it the lion?",
        "Lion?",
        "a lion?",
        "Is this a lion?",
        "Is the object a lion?",
        "is the object you're thinking of a lion",
        "I think it's the lion",
        "I think it is a lion.",
        "My guess is a lion.",
        "Could it be a lion?",
        "Are you thinking of a lion?",
        "Is it a lion, by any chance?",
        "Okay, is it a lion?",
        "So it's a lion?",
        "It is a lion.",
        "Is it lions?",
        "Would you call it a lion?",
        "IS IT A LION?",
        "Is it a lion? ",
        "Is it a type of lion?",
        "How about a lion?",
        "Is a lion the answer?",
        "Then it must be a lion!",
    ],
)
def test_a_name_and_nothing_else_is_a_guess(text: str) -> None:
    assert read(text).guess == FACTS.find("Lion")


@pytest.mark.parametrize(
    "text",
    [
        "Is it a lion cub?",
        "Is it like a lion?",
        "Is it bigger than a lion?",
        "Is it not a lion?",
        "Is it a lion or a tiger?",
        "is it a lion, a tiger, a bear",
        "Does it look like a lion?",
        "Is it a lion's mane?",
        "Is it a sea lion?",
        "Does it eat lions?",
        "Is it a big lion?",
        "Is it a lion and a tiger?",
        "Is it never a lion?",
        "Is it lion-like?",
        "Is it neither a lion nor a tiger?",
        "Is it part of a lion?",
        "Does a lion eat it?",
        "Is it a li0n?",
        "Is it a lіon?",
        "Is it a li\u200bon?",
        "lion tiger",
        "Is it a lion? Is it a tiger?",
        "What is a lion?",
        "Is it anything but a lion?",
        "Can you lion it?",
        "Is it made of lion?",
    ],
)
def test_a_name_among_other_words_is_no_guess(text: str) -> None:
    assert read(text).guess is None


@every_object
def test_every_name_of_an_object_names_it(name: str) -> None:
    number = FACTS.find(name)
    for variant in FACTS.things[number].variants:
        for text in (f"Is it a {variant}?", f"is it the {variant.lower()}", f"I think it's the {variant}."):
            assert read(text).guess == number, text
        for text in (f"Is it a {variant} cover?", f"Is it like a {variant}?", f"Is it not a {variant}?"):
            assert read(text).guess is None, text


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


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_every_form_of_an_attribute_has_its_answers(attribute: str) -> None:
    row = FACTS.attributes[attribute]
    for form in row.forms:
        assert read(form).yes == row.yes, form
        assert read(form.lower().rstrip("?")).yes == row.yes, form
        assert read(f"Okay, {form[0].lower()}{form[1:]}").yes == row.yes, form


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_a_form_and_its_negation_differ_for_every_object(attribute: str) -> None:
    row = FACTS.attributes[attribute]
    for form in row.forms:
        words = form.split()
        if words[0] in ("Is", "Does", "Can") and words[1] == "it":
            negated = " ".join([*words[:2], "not", *words[2:]])
            assert read(negated).yes == FACTS.everything & ~row.yes, negated
            # "Isn't it ...?" asks the same as "Is it ...?".
            contracted = " ".join([words[0].replace("Can", "Ca") + "n't", *words[1:]])
            assert read(contracted).yes == row.yes, contracted


# --- polarity


@pytest.mark.parametrize(
    ("question", "name", "yes"),
    [
        ("Is it not alive?", "Spoon", True),
        ("Isn't it alive?", "Spoon", False),
        ("Isn't it alive?", "Cat", True),
        ("Doesn't it fly?", "Airplane", True),
        ("Can't you eat it?", "Banana", True),
        ("It is alive, isn't it?", "Cat", True),
        ("Is it something that isn't alive?", "Spoon", True),
        ("Is it dead?", "Lion", False),
        ("Is it inanimate?", "Hammer", True),
        ("Is it a non-living thing?", "Cat", False),
        ("Is it lifeless?", "Key", True),
        ("Is it inedible?", "Banana", False),
        ("Is it something you can't eat?", "Desk", True),
        ("Does it work without electricity?", "Television", False),
        ("Does it have no wheels?", "Boat", True),
        ("Is it too big to carry?", "Airplane", True),
        ("Is it too big to carry?", "Pen", False),
        ("Is it small enough to fit in a shoebox?", "Ring", True),
        ("Is it too heavy to lift?", "Pen", False),
        ("Is it an animal that doesn't fly?", "Dog", True),
        ("Is it an animal that can fly?", "Dog", False),
        ("Is it neither a plant nor an animal?", "Spoon", True),
        ("Is it neither a plant nor an animal?", "Dog", False),
        ("Isn't it inedible?", "Banana", False),
        ("Is it unnatural?", "River", False),
        ("Is it cheap?", "Airplane", False),
        ("Is it an object without legs?", "Dog", False),
        ("Is it nonmetallic?", "Shirt", True),
        ("Is it never alive?", "Rock", True),
        ("Is it other than an animal?", "Rock", True),
    ],
)
def test_polarity(question: str, name: str, yes: bool) -> None:
    assert read(question).match is not None
    assert answer(question, name) == yes


# --- comparison


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10 pounds", ("mass", 4.536)),
        ("a meter", ("size", 100.0)),
        ("$ 100", ("price", 100.0)),
        ("half a kilogram", ("mass", 0.5)),
        ("two feet", ("size", 60.96)),
        ("one hundred dollars", ("price", 100.0)),
        ("a thousand dollars", ("price", 1000.0)),
        ("5", None),
        ("pounds", None),
        ("a lion", None),
    ],
)
def test_quantities_are_a_number_and_a_unit(text: str, found: tuple[str, float] | None) -> None:
    assert quantity(text.split()) == (None if found is None else (found[0], pytest.approx(found[1])))


@pytest.mark.parametrize(
    ("question", "name", "yes"),
    [
        ("Is it bigger than a cat?", "Elephant", True),
        ("Is it smaller than a cat?", "Elephant", False),
        ("Is it larger than a house?", "Mountain", True),
        ("Is it taller than a person?", "Tree", True),
        ("Does it weigh more than 10 pounds?", "Horse", True),
        ("Does it weigh more than 10 pounds?", "Ring", False),
        ("Does it weigh less than a kilogram?", "Pencil", True),
        ("Is it heavier than a car?", "Ship", True),
        ("Is it lighter than a brick?", "Refrigerator", False),
        ("Does it cost more than a car?", "Airplane", True),
        ("Could I buy it for under $10?", "Pencil", True),
        ("Is it worth over a thousand dollars?", "Pencil", False),
        ("Is it more expensive than a bicycle?", "Helicopter", True),
        ("Is it less expensive than a bicycle?", "Fork", True),
        ("Is it longer than a meter?", "Train", True),
        ("Would it fit in a shoebox?", "Ring", True),
        ("Would it fit inside a backpack?", "Couch", False),
        ("Is it about the size of a baseball?", "Apple", True),
        ("Is it at least 3 feet tall?", "Tree", True),
        ("Is it as big as a horse?", "Fork", False),
        ("Is it bigger than me?", "Bus", True),
        ("Is it not bigger than a cat?", "Elephant", False),
    ],
)
def test_comparisons(question: str, name: str, yes: bool) -> None:
    assert read(question).match is not None
    assert answer(question, name) == yes


@every_object
def test_nothing_is_bigger_or_smaller_than_itself(name: str) -> None:
    for words in ("bigger than", "smaller than", "heavier than", "lighter than"):
        reading = read(f"Is it {words} a {name}?")
        if reading.match in ("size", "mass"):
            assert not reading.yes >> FACTS.find(name) & 1


def test_what_cannot_be_compared_with_is_out_of_scope() -> None:
    assert read("Is it bigger than the Eiffel Tower's shadow?").match is None
    assert compare("is it a fruit") is None


# --- kinds, modifiers, several things


@pytest.mark.parametrize(
    ("question", "name", "yes"),
    [
        ("Is it a kind of stringed instrument?", "Violin", True),
        ("Is it a stringed instrument?", "Flute", False),
        ("Is it a feline?", "Lion", True),
        ("Is it a type of cat?", "Tiger", True),
        ("Is it a vertebrate?", "Cow", True),
        ("Would you call it a vehicle?", "Scooter", True),
        ("Is it a large animal?", "Elephant", True),
        ("Is it a large animal?", "Rabbit", False),
        ("Is it a large animal?", "Bus", False),
        ("Is it an animal with stripes?", "Tiger", True),
        ("Is it an animal with stripes?", "Horse", False),
        ("Is it a tool used in the garden?", "Rake", True),
        ("Is it a tool used in the garden?", "Wrench", False),
        ("Is it a fruit or a vegetable?", "Celery", True),
        ("Is it a fruit or a vegetable?", "Dog", False),
        ("Is it made of metal or plastic?", "Fork", True),
        ("Is it edible and green?", "Peas", True),
        ("Is it edible and green?", "Banana", False),
        ("Is it wooden?", "Desk", True),
        ("Is it red in color?", "Strawberry", True),
        ("Is it an animal but not a mammal?", "Dog", False),
        ("Is it a sofa?", "Couch", True),
        ("Does it belong to the feline family?", "Lion", True),
        ("is it somthing you can eat", "Peach", True),
    ],
)
def test_kinds_and_what_is_said_of_them(question: str, name: str, yes: bool) -> None:
    assert read(question).match is not None
    assert answer(question, name) == yes


def test_who_does_it_makes_a_difference() -> None:
    assert answer("Do you eat it?", "Apple")
    assert not answer("Do you eat it?", "Fork")
    assert answer("Do you eat with it?", "Fork")
    assert answer("Is it used to eat?", "Fork")


# --- what is no question, or none that can be answered


@pytest.mark.parametrize(
    "text",
    [
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
    ],
)
def test_what_is_no_single_question_is_invalid(text: str) -> None:
    assert read(text) == Reading(None, valid=False)


@pytest.mark.parametrize(
    "text",
    [
        "What is it?",
        "How big is it?",
        "Have you ever seen one?",
        "Do you like it?",
        "Is it mentioned in Hamlet?",
        "Does it start with the letter B?",
        "Is it made of antimatter?",
        "is it or not and not",
    ],
)
def test_what_nothing_known_answers_is_out_of_scope(text: str) -> None:
    assert read(text) == Reading(None)


WORDS = ["is", "it", "a", "an", "the", "not", "or", "and", "than", "more", "bigger", "lion", "car", "of", "that"]
WORDS += ["without", ",", "?", ".", "$", "10", "pounds", "like", "you", "eat", "can", "neither", "never", "lifeless"]
WORDS += ["something", "too", "enough", "to", "but", "object", "kind", "made", "with", "does"]


@settings(max_examples=500)
@given(
    st.one_of(
        st.text(),
        st.lists(st.sampled_from(WORDS)).map(" ".join),
    )
)
def test_any_text_has_a_reading_and_it_is_always_the_same(text: str) -> None:
    reading = read(text)
    if len(text) <= MAX_LENGTH:
        assert reading == Reader._read.__wrapped__(reader(), text)
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
    assert stem("wearing") == stem("worn") == stem("wearable")


def test_slips_of_the_pen_are_put_right_and_other_words_left_alone() -> None:
    known = {"animal", "something", "plane", "mower", "hunted"}
    for word, right in (("anmial", "animal"), ("somthing", "something"), ("annimal", "animal")):
        assert spelled(word, known) == right
    for word in ("planet", "tower", "haunted", "it"):
        assert spelled(word, known) == word


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
    assert named("is the object you are thinking of a lion") == ["lion"]
