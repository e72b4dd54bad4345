"""The tables of Twenty Questions: whole, consistent in themselves, and true as far as a person can check by hand."""

import itertools
import re
from importlib import resources

import pytest
from cases import check_cases, read_cases

from lmrl_data.tasks.twenty_questions.guess import guessed
from lmrl_data.tasks.twenty_questions.wording import plain

ASSETS = resources.files("lmrl_data.tasks").joinpath("twenty_questions", "assets")

# The paper's categories, in the order that gives an object its number.
CATEGORIES = {
    "Sports": 10, "Animals": 10, "Fruits": 10, "Vehicles": 10, "Clothes": 11, "Electronics": 10,
    "Musical Instruments": 10, "Furniture": 10, "Office Supplies": 14, "Vegetables": 10, "Art": 7, "Kitchen Tools": 10,
    "Nature": 11, "Toys": 5, "Jewelry": 9, "Garden Supplies": 5, "Tools": 6,
}  # fmt: skip


def _table(name: str, columns: int) -> list[list[str]]:
    lines = ASSETS.joinpath(name).read_text(encoding="ascii").splitlines()
    rows = [line.split("\t") for line in lines]
    assert all(len(row) == columns for row in rows), f"{name}: a row without {columns} cells"
    return rows[1:]


def _items(cell: str) -> list[str]:
    return cell.split(";") if cell else []


OBJECTS = _table("objects.tsv", 8)
NAMES = [row[0] for row in OBJECTS]
VARIANTS = {row[0]: _items(row[2]) for row in OBJECTS}
OTHER_NAMES = {row[0]: _items(row[3]) for row in OBJECTS}
KINDS = {row[0]: _items(row[7]) for row in OBJECTS}
SIZE = {row[0]: float(row[4]) for row in OBJECTS}
MASS = {row[0]: float(row[5]) for row in OBJECTS}
PRICE = {row[0]: float(row[6]) for row in OBJECTS if row[6]}
ATTRIBUTES = _table("attributes.tsv", 4)
FORMS = {row[0]: row[1].split("|") for row in ATTRIBUTES}
YES = {row[0]: set(_items(row[2])) for row in ATTRIBUTES}
SOMETIMES = {row[0]: set(_items(row[3])) for row in ATTRIBUTES}
REFERENCES = _table("references.tsv", 4)
REFERENCE = {name: row for row in REFERENCES for name in _items(row[0])}

UNIONS = {"writing_or_print": ("writing", "print"), "valuable_or_dear": ("valuable", "hundred_dollars")}


def _answer(name: str, attribute: str) -> str:
    return "yes" if name in YES[attribute] else "sometimes" if name in SOMETIMES[attribute] else "no"


def _words(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def test_the_objects_are_the_papers_in_the_papers_order() -> None:
    assert len(NAMES) == len(set(NAMES)) == 158
    assert [(category, len(list(rows))) for category, rows in itertools.groupby(row[1] for row in OBJECTS)] == list(
        CATEGORIES.items()
    )
    first = {category: next(row[0] for row in OBJECTS if row[1] == category) for category in CATEGORIES}
    assert " ".join(first.values()) == (
        "Basketball Cat Apple Car Shirt Computer Piano Chair Pen Carrot Painting Knife Rock Lego Earring Gloves Hammer"
    )
    assert (NAMES[50], NAMES[146], NAMES[157]) == ("Scarf", "Locket", "Drill")


def test_the_main_name_is_the_first_variant_and_28_objects_have_more() -> None:
    assert all(variants[0] == name for name, variants in VARIANTS.items())
    assert sum(len(variants) > 1 for variants in VARIANTS.values()) == 28
    every = [name.lower() for names in (VARIANTS, OTHER_NAMES) for row in names.values() for name in row]
    assert len(every) == len(set(every)), "one name for two objects"
    assert sum(map(len, OTHER_NAMES.values())) > 500
    assert VARIANTS["Painting"] == ["Painting", "Canvas painting", "Oil painting", "Watercolor painting"]
    assert VARIANTS["Computer keyboard"] == ["Computer keyboard", "Keyboard"]


def test_attributes_name_known_objects_once_and_in_one_column() -> None:
    assert len(ATTRIBUTES) == len(FORMS) >= 165
    for attribute, *_, yes, sometimes in ATTRIBUTES:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", attribute)
        named = [*_items(yes), *_items(sometimes)]
        assert len(named) == len(set(named)), attribute
        assert set(named) <= set(NAMES), attribute


def test_every_attribute_has_questions_in_good_form() -> None:
    for attribute, forms in FORMS.items():
        assert len(forms) >= 4, attribute
        for form in forms:
            assert len(form) <= 120, form
            assert re.fullmatch(r"[A-Z][^?|;]*[^?|; ]\?", form), form
            assert "  " not in form, form


def test_no_question_asks_for_two_attributes() -> None:
    seen: dict[str, str] = {}
    for attribute, forms in FORMS.items():
        for form in forms:
            other = seen.setdefault(_words(form), attribute)
            assert other == attribute, f"{form} under {other} and {attribute}"
    assert len(seen) == sum(map(len, FORMS.values())), "a question twice under one attribute"


def test_no_question_is_a_guess() -> None:
    assert [form for forms in FORMS.values() for form in forms if guessed(plain(form)) is not None] == []


def test_every_two_objects_differ_in_an_attribute_that_is_never_doubtful() -> None:
    alike = [
        (one, other)
        for one, other in itertools.combinations(NAMES, 2)
        if not any({_answer(one, each), _answer(other, each)} == {"yes", "no"} for each in YES)
    ]
    assert alike == []


def test_doubtful_cells_are_the_exception() -> None:
    cells = len(NAMES) * len(YES)
    assert sum(map(len, SOMETIMES.values())) < 0.025 * cells < sum(map(len, YES.values()))


def test_what_follows_is_true_too() -> None:
    def check(premise: str, conclusion: str) -> None:
        either = UNIONS.get(conclusion, (conclusion,))
        assert YES[premise], f"nothing is {premise}"
        assert YES[premise] <= set().union(*(YES[each] for each in either))

    check_cases(read_cases("twenty_questions/implications.tsv"), check)


def test_what_excludes_the_other_is_not_true_beside_it() -> None:
    def check(one: str, other: str) -> None:
        assert YES[one]
        assert YES[other]
        assert not YES[one] & YES[other]

    check_cases(read_cases("twenty_questions/exclusions.tsv"), check)


def test_everything_is_natural_or_made_by_people() -> None:
    assert YES["manmade"] | YES["natural"] == set(NAMES)
    assert not SOMETIMES["manmade"] | SOMETIMES["natural"]


def test_a_category_has_its_attribute() -> None:
    def check(category: str, attribute: str) -> None:
        assert {row[0] for row in OBJECTS if row[1] == category} <= YES[attribute]

    check_cases(read_cases("twenty_questions/categories.tsv"), check)


def test_cells_checked_by_hand() -> None:
    """Cells that were wrong or doubtful in a first draft, and some that nobody would doubt."""

    def check(name: str, attribute: str, expected: str) -> None:
        assert _answer(name, attribute) == expected

    check_cases(read_cases("twenty_questions/cells.tsv"), check)


def test_kinds_are_plain_names_and_never_another_object() -> None:
    named = {name.lower() for names in (VARIANTS, OTHER_NAMES) for row in names.values() for name in row}
    for name, kinds in KINDS.items():
        assert len(kinds) == len(set(kinds)) >= 2, name
        assert all(re.fullmatch(r"[a-z][a-z' -]*", kind) for kind in kinds), name
        # Else "Is it a cat?" would be answered "Yes." for the lion, without a guess having been right.
        assert not set(kinds) & named, name
        assert not set(kinds) & {"entity", "object", "whole", "thing", "abstraction", "matter"}, name


def test_a_kind_and_its_attribute_give_one_answer() -> None:
    def check(kind: str, attribute: str) -> None:
        is_kind = {name for name, kinds in KINDS.items() if kind in kinds}
        assert YES[attribute] <= is_kind <= YES[attribute] | SOMETIMES[attribute]

    check_cases(read_cases("twenty_questions/kinds.tsv"), check)


def test_sizes_masses_and_prices_are_sane() -> None:
    assert all(value > 0 for values in (SIZE, MASS, PRICE) for value in values.values())
    assert all(1e-4 < value < 2e9 for value in SIZE.values())
    # From wool to lead: what fills a cube of its longest side does not weigh more than iridium.
    assert all(MASS[name] < 0.023 * SIZE[name] ** 3 for name in NAMES)
    for chain in (
        "Peas|Grape|Strawberry|Golf ball|Apple|Cantaloupe|Watermelon", "Earring|Bracelet|Necklace",
        "Key|Pencil|Hammer|Rake", "Cup|Bowl|Microwave|Refrigerator|Bed",
        "Rabbit|Dog|Sheep|Bear|Horse|Elephant", "Scooter|Motorcycle|Car|Boat|Bus|Airplane|Train|Ship",
        "Ship|Lake|Mountain|River|Sea|Ocean", "Violin|Guitar|Harp", "Nightstand|Desk|Couch|Car",
    ):  # fmt: skip
        sizes = [SIZE[name] for name in chain.split("|")]
        assert sizes == sorted(sizes), chain
    for chain in (
        "Peas|Grape|Strawberry|Apple|Pineapple|Watermelon",
        "Paper|Pen|Cup|Hammer|Chair|Bed|Piano|Car|Truck|Bus|Train|Ship",
        "Rabbit|Cat|Dog|Sheep|Tiger|Horse|Cow|Elephant", "Golf ball|Tennis ball|Baseball|Basketball", "Car|Boat|Ship",
        "Ship|Forest|Lake|River|Mountain|Sea|Ocean",
    ):  # fmt: skip
        masses = [MASS[name] for name in chain.split("|")]
        assert masses == sorted(masses), chain


def test_what_nobody_sells_has_no_price_and_all_else_has_one() -> None:
    free = "Lion Tiger Bear Elephant Rock Tree Bush Mountain Forest Ocean Sea Lake River"
    assert " ".join(name for name in NAMES if name not in PRICE) == free
    for chain in (
        "Peas|Apple|Spoon|Shirt|Chair|Couch|Car|Bus|Helicopter|Train|Ship",
        "Pencil|Calculator|Printer|Computer",
    ):
        prices = [PRICE[name] for name in chain.split("|")]
        assert prices == sorted(prices), chain


@pytest.mark.parametrize(
    ("attribute", "reference"),
    [("bigger_person", "person"), ("bigger_car", "Car"), ("bigger_house", "house"), ("bigger_microwave", "breadbox")],
)
def test_sizes_agree_with_the_attributes_that_compare(attribute: str, reference: str) -> None:
    measure = SIZE[reference] if reference in SIZE else float(REFERENCE[reference][1])
    assert all(SIZE[name] > measure for name in YES[attribute])
    # Long and thin things are longer than a breadbox, but not bigger: only what is shorter is "no" for sure.
    assert not {name for name in NAMES if SIZE[name] < 0.9 * measure} & YES[attribute]


def test_masses_agree_with_the_attributes_that_compare() -> None:
    assert all(MASS[name] > float(REFERENCE["person"][2]) for name in YES["heavier_person"])
    assert {name for name in NAMES if MASS[name] > 100} == YES["heavier_person"]
    assert all(MASS[name] <= 15 for name in YES["lift"])
    assert all(MASS[name] > 25 for name in YES["heavy"])
    assert all(MASS[name] < 0.5 for name in YES["light"])
    assert all(PRICE[name] > 100 for name in YES["hundred_dollars"])


def test_references_are_everyday_things_with_numbers() -> None:
    names = [name for row in REFERENCES for name in _items(row[0])]
    assert len(REFERENCES) >= 70
    assert len(names) == len(set(names))
    assert all(name == name.lower() for name in names)
    for row in REFERENCES:
        assert min(float(cell) for cell in row[1:] if cell) > 0, row[0]
        assert row[1], row[0]
        assert row[2], row[0]
    asked = (
        "breadbox|bread box|house|hand|person|human|adult|child|coin|shoebox|football field|room|feather|brick|phone"
    )
    assert set(asked.split("|")) <= set(names)
    chain = "ant|coin|hand|shoebox|child|person|bicycle|room|house|football field|city|moon|planet"
    sizes = [float(REFERENCE[name][1]) for name in chain.split("|")]
    assert sizes == sorted(sizes)


def test_the_licence_of_the_kinds_lies_beside_them() -> None:
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in ASSETS.joinpath("WORDNET-NOTICE.txt").read_text(
        "utf-8"
    )
