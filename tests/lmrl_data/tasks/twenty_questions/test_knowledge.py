"""The tables of Twenty Questions: whole, consistent in themselves, and true as far as a person can check by hand."""

import itertools
import re
from importlib import resources

import pytest

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


OBJECTS = _table("objects.tsv", 7)
NAMES = [row[0] for row in OBJECTS]
VARIANTS = {row[0]: _items(row[2]) for row in OBJECTS}
KINDS = {row[0]: _items(row[6]) for row in OBJECTS}
SIZE = {row[0]: float(row[3]) for row in OBJECTS}
MASS = {row[0]: float(row[4]) for row in OBJECTS}
PRICE = {row[0]: float(row[5]) for row in OBJECTS if row[5]}
ATTRIBUTES = _table("attributes.tsv", 4)
FORMS = {row[0]: row[1].split("|") for row in ATTRIBUTES}
YES = {row[0]: set(_items(row[2])) for row in ATTRIBUTES}
SOMETIMES = {row[0]: set(_items(row[3])) for row in ATTRIBUTES}
REFERENCES = _table("references.tsv", 4)
REFERENCE = {name: row for row in REFERENCES for name in _items(row[0])}

# What is true of whatever the first is true of.
IMPLICATIONS = [
    "animal alive", "animal mammal", "animal natural", "animal grows", "animal needs_water", "animal walks",
    "plant alive", "plant planted", "alive needs_water", "alive grows", "alive natural", "planted grows",
    "fruit food", "vegetable food", "food planted", "food food_related", "food natural", "food spoils", "food kitchen",
    "kitchenware kitchen", "kitchenware food_related", "cooking kitchen", "heats gets_hot", "stove cooking",
    "frying stove", "boiling stove", "utensil eatwith", "utensil tableware", "utensil kitchenware", "dish tableware",
    "drink_from dish", "drink_from container", "pet domestic", "farm domestic", "domestic animal", "milk farm",
    "wild animal", "zoo wild", "carnivore eats_meat", "predator eats_meat", "feline carnivore", "roars feline",
    "canine eats_meat", "herbivore animal", "hooves herbivore", "horns hooves", "meat farm", "paws fur", "claws paws",
    "mane fur", "four_legs legs", "walks legs", "walks moves", "self_move moves", "purrs feline", "purrs pet",
    "vehicle manmade", "vehicle transport", "inside vehicle", "onroad land_vehicle", "land_vehicle vehicle",
    "land_vehicle wheels", "tires wheels", "fourwheels wheels", "twowheels wheels", "engine motor", "fuel engine",
    "aircraft vehicle", "aircraft flies", "wings aircraft", "rotor aircraft", "onwater vehicle", "onwater floats",
    "rails public", "public manypeople", "manypeople inside", "windows inside", "ocean_going manypeople",
    "electronic electricity", "electronic manmade", "electricity manmade", "plugged electricity", "screen electronic",
    "battery_powered electricity", "appliance electricity", "kitchen_appliance appliance", "computes electronic",
    "internet computes", "call communicate", "call internet", "typing buttons", "channels screen", "power_tool tool",
    "power_tool electricity", "hand_tool tool", "toolbox tool", "nails toolbox", "screws toolbox", "bolts toolbox",
    "instrument music", "instrument manmade", "instrument sound", "wind instrument", "brass wind", "woodwind wind",
    "brass metal", "made_of_brass metal", "valves brass", "slide brass", "reed woodwind", "stringed instrument",
    "stringed strings", "pluck stringed", "bowed stringed", "strum pluck", "percussion instrument", "wind hollow",
    "clothing worn", "clothing manmade", "jewelry worn", "jewelry accessory", "feet clothing", "sole feet",
    "sleeves upperbody", "upperbody clothing", "lowerbody clothing", "outer_layer upperbody", "wrist hand",
    "finger jewelry", "finger hand", "covers_fingers hand", "neck worn", "head worn", "ears worn", "hair head",
    "chain_hang neck", "has_chain neck", "pierced ears", "photo_inside chain_hang", "washed fabric", "knitted fabric",
    "two pair", "ball sports", "ball ballsport", "inflated ball", "inflated hollow", "sphere round", "throw ball",
    "kick ball", "team ballsport", "tennis sports", "golf ball", "toy kids_play", "toy manmade", "bricks pieces",
    "furniture manmade", "furniture indoors", "seat sit", "seat furniture", "bed_frame sleep", "books shelves",
    "clothes_storage drawers", "drawers furniture", "bedside bedroom", "writing writing_related",
    "ink writing_or_print",
    "office manmade", "permanent ink", "handwriting writing", "graphite writing", "teeth_care hygiene",
    "hygiene bathroom", "artwork art", "artwork manmade", "three_dim_art artwork", "bodyofwater landform",
    "bodyofwater liquid", "bodyofwater natural", "salt bodyofwater", "freshwater bodyofwater", "landform natural",
    "landform huge", "summit hike", "space natural", "stone natural", "metal metal_parts", "plastic plastic_parts",
    "rubber rubber_parts", "magnetic metal_parts", "precious metal_parts", "huge large", "bigger_house huge",
    "bigger_house bigger_car", "bigger_car bigger_person", "bigger_person bigger_microwave",
    "bigger_microwave bigger_basketball", "heavier_person heavy", "tiny small", "pocket handheld", "palm handheld",
    "tiny palm", "handheld lift", "light lift", "citrus fruit", "melon fruit", "berry fruit", "pit fruit",
    "tropical fruit", "tree_grown fruit", "melon largefruit", "wine fruit", "underground vegetable",
    "leafy_green vegetable", "leafy_green leafy", "usually_raw raw", "cooked vegetable", "seeds_inside seeds",
    "produce grocery", "grocery bought", "hardware_store bought", "garden hardware_store", "cuts blade",
    "blade metal_parts",
    "crash protect", "loud sound", "omnivore eats_meat", "steering_wheel driver", "driver vehicle", "very_fast fast",
    "wraps neck", "apply_paint bristles", "hits_ball usedtohit", "smoothies mixing", "movies screen", "rind fruit",
    "sheds_leaves leafy", "roots plant", "deep bodyofwater", "store_food storage", "formal worn", "zipper clothing",
    "sport_net sports", "senses animal", "in_soup vegetable", "pizza food", "has_camera picture",
    "expensive valuable_or_dear",
]  # fmt: skip
UNIONS = {"writing_or_print": ("writing", "print"), "valuable_or_dear": ("valuable", "hundred_dollars")}

# What is never true of one object at once.
EXCLUSIONS = [
    "manmade natural", "animal plant", "solid liquid", "tiny huge", "small large", "light heavy",
    "lift heavier_person",
    "soft hard", "herbivore carnivore", "food alive", "salt freshwater", "clothing jewelry", "brass woodwind",
    "pocket bigger_basketball", "handheld bigger_person", "twowheels fourwheels", "wild pet", "office food",
    "animal bought", "usually_raw cooked", "aircraft onwater", "glow food", "vehicle furniture", "upperbody feet",
]  # fmt: skip

# Cells that were wrong or doubtful in a first draft, and some that nobody would doubt.
CELLS = """
    Apple alive no | Carrot alive no | Tree alive yes | Cat grows yes | Cow food no | Rabbit food no | Horse vehicle no
    Horse ride yes | Horse transport yes | Cow ride no | Helmet clothing no | Hat jewelry no | Belt accessory yes
    Hairclip jewelry sometimes | Piano electronic no | Piano electricity no | Guitar electricity sometimes
    Smartphone instrument no | Smartphone music sometimes | Tennis racket ballsport yes | Tennis racket ball no
    Plate tool no | Cup tool no | Hammer tool yes | Basketball toy no | Basketball kids_play yes | Computer office no
    Computer office_place yes | Onion cooking no | Pan cooking yes | Cup eatwith no | Cup drink_from yes
    Whisk eatwith no | Ring artwork no | Painting artwork yes | Paper writing no | Paper writing_related yes
    Cup bodyofwater no | Golf ball metal no | Bookcase metal no | Battery metal yes | Tennis racket wood no
    Baseball bat wood yes | Helmet plastic yes | Toothpaste plastic no | Toothpaste plastic_parts yes
    Television glass no | Television glass_parts yes | Car rubber no | Car rubber_parts yes | Boots leather yes
    Meteorite bigger_car no | Bush bigger_person no | Tiger bigger_person yes | Lion heavier_person yes
    Guitar bigger_microwave yes | Watermelon bigger_microwave no | Watermelon handheld no | Shoes handheld yes
    Printer handheld no | Baseball pocket no | Toothbrush pocket sometimes | Rock heavy no | Piano heavy yes
    Sheep heavier_person no | Cup round yes | Banana sphere no | Refrigerator flat no | Calculator flat yes
    Train fourwheels no | Car fourwheels yes | Train tires no | Bus tires yes | Scooter engine no | Blender motor yes
    Blender engine no | Scooter onroad no | Train rails yes | Helicopter manypeople no | Nightstand legs yes
    Bookcase legs no | Elephant fur no | Dog carnivore sometimes | Dog eats_meat yes | Bear carnivore sometimes
    Elephant horns no | Elephant tusks yes | Horse hooves yes | Horse horns no | Drill blade no | Lawn mower sharp yes
    Flute woodwind yes | Flute reed no | Clarinet reed yes | Saxophone brass no | Saxophone made_of_brass yes
    Hammer percussion no | Piano percussion no | Trumpet keys no | Pliers pair yes | Pliers two no | Socks two yes
    Scissors two no | Earring head no | Earring ears yes | Socks lowerbody no | Skirt lowerbody yes
    Chair comfortable no | Nightstand sleep no | Nightstand bedroom yes | Car storage no | Bowl storage no
    Bowl container yes | Toothpaste liquid no | Toothpaste paste yes | Watch sound no | Television communicate no
    Calendar time no | Calendar dates yes | Watch time yes | Soccer ball kick yes | Football kick sometimes
    Football oval yes | Volleyball hitball no | Tennis ball team no | Golf ball golf yes | Grape red no
    Guitar brown yes | Tomato sweet no | Tomato fruit yes | Tomato vegetable yes | Orange tropical no | Peach pit yes
    Strawberry seeds yes | Strawberry seeds_inside no | Banana berry no | Banana bunches yes | Peas raw yes
    Potato raw no | Scissors everyday no | Car everyday yes | Boots everyday no | Elephant expensive no
    Car expensive yes | Diary school no | Pencil school yes | Ocean salt yes | Lake salt no | Ocean continents yes
    Sea continents no | Boat ocean_going no | Ship ocean_going yes | Violin bowed yes | Guitar bowed no
    Harp pluck yes
    Wrench bolts yes | Pliers hinged yes | Wrench hinged no | Sharpie permanent yes | Marker permanent no
    Cow milk yes | Horse milk no | Lion mane yes | Tiger stripes yes | Cat purrs yes | Pencil graphite yes
    Key opens yes | Refrigerator cold yes | Microwave cold no | Microwave heats yes | Refrigerator heats no
    Elephant trunk yes | Tree trunk yes | Pants trunk no | Doll animal no | Stuffed animal animal no
    Bear omnivore yes | Lion omnivore no | Dog trained yes | Doll has_hair yes | Elephant has_hair sometimes
    Tomato ancient no | Ring ancient yes | Airplane old_invention no | Camera old_invention yes | Smartphone movies yes
    Monitor computes no | Car steering_wheel yes | Motorcycle steering_wheel no | Piano pedals yes
    Watch has_hands yes
    Cat has_hands no | Ocean deep yes | Tree roots yes | Lake waves no | Watermelon rind yes | Banana rind no
    Rock common yes | Meteorite common no | Lion bought no | Pen waterproof no | Spoon waterproof yes | Paper burns yes
    Knife burns no | Refrigerator store_food yes | Bookcase store_food no | Plate hold_food yes
    Airplane many_wheels yes
    Stuffed animal alive no | Stuffed animal teddy yes | Doll teddy no | Mountain person no | Doll person no
"""


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
    every = [variant.lower() for variants in VARIANTS.values() for variant in variants]
    assert len(every) == len(set(every)), "one name for two objects"
    assert VARIANTS["Painting"] == ["Painting", "Canvas painting", "Oil painting", "Watercolor painting"]
    assert VARIANTS["Computer keyboard"] == ["Computer keyboard", "Keyboard"]


def test_attributes_name_known_objects_once_and_in_one_column() -> None:
    assert len(ATTRIBUTES) == len(FORMS) >= 165
    for attribute, *_, yes, sometimes in ATTRIBUTES:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", attribute)
        named = [*_items(yes), *_items(sometimes)]
        assert len(named) == len(set(named)), attribute
        assert set(named) <= set(NAMES), attribute


def test_every_attribute_has_six_to_eight_questions() -> None:
    for attribute, forms in FORMS.items():
        assert 6 <= len(forms) <= 8, attribute
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
    named = {_words(variant) for variants in VARIANTS.values() for variant in variants}
    guess = re.compile(
        r"(?:is|could|can|might|would) (?:it|the object|this)(?: be)?(?: (?:a|an|the|some))?"
        r"(?: (?:kind|type|sort) of(?: an?)?)? (.*)"
    )
    for forms in FORMS.values():
        for form in forms:
            match = guess.fullmatch(_words(form))
            assert match is None or match[1] not in named, form


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


@pytest.mark.parametrize("rule", IMPLICATIONS)
def test_what_follows_is_true_too(rule: str) -> None:
    premise, conclusion = rule.split()
    either = UNIONS.get(conclusion, (conclusion,))
    assert YES[premise], f"nothing is {premise}"
    assert YES[premise] <= set().union(*(YES[each] for each in either))


@pytest.mark.parametrize("rule", EXCLUSIONS)
def test_what_excludes_the_other_is_not_true_beside_it(rule: str) -> None:
    one, other = rule.split()
    assert YES[one]
    assert YES[other]
    assert not YES[one] & YES[other]


def test_everything_is_natural_or_made_by_people() -> None:
    assert YES["manmade"] | YES["natural"] == set(NAMES)
    assert not SOMETIMES["manmade"] | SOMETIMES["natural"]


@pytest.mark.parametrize(
    ("category", "attribute"),
    [
        ("Sports", "sports"), ("Animals", "animal"), ("Fruits", "fruit"), ("Vehicles", "vehicle"),
        ("Clothes", "clothing"), ("Electronics", "electronic"), ("Musical Instruments", "instrument"),
        ("Vegetables", "vegetable"), ("Kitchen Tools", "kitchenware"), ("Nature", "natural"), ("Toys", "toy"),
        ("Garden Supplies", "garden"), ("Tools", "tool"),
    ],
)  # fmt: skip
def test_a_category_has_its_attribute(category: str, attribute: str) -> None:
    assert {row[0] for row in OBJECTS if row[1] == category} <= YES[attribute]


def test_cells_checked_by_hand() -> None:
    cells = [cell.strip() for cell in CELLS.replace("\n", "|").split("|") if cell.strip()]
    assert len(cells) >= 60
    wrong = []
    for cell in cells:
        name, attribute, expected = cell.rsplit(" ", 2)
        if _answer(name, attribute) != expected:
            wrong.append(f"{cell}, not {_answer(name, attribute)}")
    assert wrong == []


def test_kinds_are_plain_names_and_never_another_object() -> None:
    named = {variant.lower() for variants in VARIANTS.values() for variant in variants}
    for name, kinds in KINDS.items():
        assert len(kinds) == len(set(kinds)) >= 2, name
        assert all(re.fullmatch(r"[a-z][a-z' -]*", kind) for kind in kinds), name
        # Else "Is it a cat?" would be answered "Yes." for the lion, without a guess having been right.
        assert not set(kinds) & named, name
        assert not set(kinds) & {"entity", "object", "whole", "thing", "abstraction", "matter"}, name


@pytest.mark.parametrize(
    ("kind", "attribute"),
    [
        ("animal", "animal"), ("mammal", "animal"), ("fruit", "fruit"), ("vegetable", "vegetable"), ("food", "food"),
        ("vehicle", "vehicle"), ("musical instrument", "instrument"), ("woodwind", "woodwind"), ("citrus", "citrus"),
        ("brass instrument", "brass"), ("wind instrument", "wind"), ("string instrument", "stringed"), ("toy", "toy"),
        ("predator", "predator"), ("feline", "feline"), ("body of water", "bodyofwater"), ("clothing", "clothing"),
        ("writing utensil", "writing"), ("aircraft", "aircraft"), ("watercraft", "onwater"), ("melon", "melon"),
        ("pet", "pet"), ("livestock", "farm"), ("hand tool", "hand_tool"), ("ball", "ball"),
        ("furniture", "furniture"),
        ("kitchen appliance", "kitchen_appliance"), ("tool", "tool"), ("container", "holds_things"),
        ("weapon", "weapon"), ("cutlery", "utensil"), ("jewelry", "jewelry"),
    ],
)  # fmt: skip
def test_a_kind_and_its_attribute_give_one_answer(kind: str, attribute: str) -> None:
    is_kind = {name for name, kinds in KINDS.items() if kind in kinds}
    assert YES[attribute] <= is_kind <= YES[attribute] | SOMETIMES[attribute]


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
