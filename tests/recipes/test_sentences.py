"""The sentences of the dialogue tasks: every table is whole, and its labels are the tasks' own."""

from collections import Counter

from lmrl_data.tasks.guess_my_city.facts import cities, facts
from lmrl_data.tasks.twenty_questions.knowledge import knowledge
from lmrl_recipes.training.sentences import table

REGISTERS = ("model", "casual", "wordy", "short")


def read(name: str) -> list[dict[str, str]]:
    rows = table(name)
    assert all(None not in row and None not in row.values() and row["sentence"].strip() for row in rows), name
    return rows


def test_several_voices_ask_for_every_attribute_in_every_register() -> None:
    rows = read("twenty_questions/questions.tsv")
    asked = Counter(row["attribute"] for row in rows)
    registers = Counter((row["attribute"], row["register"]) for row in rows)
    voices = Counter(name for name, _ in {(row["attribute"], row["voice"]) for row in rows})
    names = set(knowledge().attributes)
    assert set(asked) == names
    assert min(asked.values()) >= 12
    assert min(registers[name, register] for name in names for register in REGISTERS) >= 2
    assert min(voices[name] for name in names) >= 4
    assert len(read("twenty_questions/none.tsv")) >= 500


def test_no_sentence_asks_for_two_attributes_or_for_one_and_none() -> None:
    labels: dict[str, set[str]] = {}
    for row in read("twenty_questions/questions.tsv"):
        labels.setdefault(row["sentence"].lower(), set()).add(row["attribute"])
    for row in read("twenty_questions/none.tsv"):
        labels.setdefault(row["sentence"].lower(), set()).add("none")
    assert {sentence: names for sentence, names in labels.items() if len(names) > 1} == {}


def test_guesses_name_every_object_and_every_city_of_the_paper() -> None:
    objects = Counter((row["object"], row["result"]) for row in read("twenty_questions/guesses.tsv"))
    expected = {(thing.name, result): count * 4 for thing in knowledge().things for result, count in
                (("hit", 3), ("near", 1))}  # fmt: skip
    assert objects == Counter(expected)
    guessed = Counter((row["city"], row["result"]) for row in read("guess_my_city/guesses.tsv"))
    names = [city.name for city in cities("standard")]
    assert guessed == Counter({(name, result): 2 for name in names for result in ("hit", "near")})


def test_questions_about_cities_ask_for_facts_that_the_task_tests() -> None:
    rows = read("guess_my_city/facts.tsv")
    named = Counter(row["fact"] for row in rows if row["topic"] != row["fact"])
    assert set(named) <= set(facts())
    assert len(named) >= 190
    assert min(named.values()) >= 12
    assert {row["answer"] for row in rows} == {"yes", "no"}


def test_pairs_are_asked_of_anything_and_have_one_of_two_relations() -> None:
    for task in ("twenty_questions", "guess_my_city"):
        rows = read(f"{task}/pairs.tsv")
        assert {row["answers"] for row in rows} == {"same", "opposite"}
        assert all(row["sentence"].lower() != row["other_sentence"].lower() for row in rows)


def test_a_line_of_a_seller_has_a_price_where_it_offers_or_agrees() -> None:
    for row in read("car_dealer/lines.tsv"):
        acts = row["acts"].split(";")
        assert (row["price"] != "") == ("offer" in acts or "agree" in acts), row
        assert row["price"] == "" or 5_000 <= int(row["price"]) <= 150_000, row
        if "agree" in acts:
            assert row["price"] == row["bid"], row
