"""Conversations of the original release become rows: texts to the letter, rewards by the rules the files leave out."""

import json
from pathlib import Path

import pytest

from lmrl_data import Episode, Turn, UserError, get_task
from lmrl_data.dataset.convert.dataset import convert_dataset, read_original
from lmrl_data.dataset.convert.file import SourceFile


def read(tmp_path: Path, task: str, *records: object) -> list[Episode]:
    path = tmp_path / "data.json"
    path.write_text(json.dumps(records))
    return list(read_original(get_task(task), [SourceFile(path, lambda _: None)]))


def questions(*lines: str, correct: bool = False) -> dict[str, object]:
    return {"lines": list(lines), "correct": correct, "word": ["Lion"]}


def negotiation(*lines: tuple[str, str], bought: bool = True, price: object = 78_000) -> dict[str, object]:
    return {
        "buyer_info": {"personality": "polite", "budget": 90_000},
        "lines": [{"role": role, "text": text} for role, text in lines],
        "output": {"car_bought": bought, "msrp": 80_000, "buy_price": price},
    }


def test_a_won_conversation_costs_1_for_each_question_but_the_last(tmp_path: Path) -> None:
    (episode,) = read(
        tmp_path, "twenty_questions", questions("Is it an animal? Yes.", "Is it a lion? Yes.", correct=True)
    )
    assert episode.turns == (
        Turn("user", "Questions:"),
        Turn("assistant", "Is it an animal?", -1.0),
        Turn("user", "Yes."),
        Turn("assistant", "Is it a lion?", 0.0),
        Turn("user", "Yes."),
    )
    assert (episode.config, episode.terminated, episode.success) == ("standard", True, True)
    assert (episode.seed, episode.policy, episode.info["source"]) == (-1, "original", "data.json[0]")


@pytest.mark.parametrize(("length", "terminated"), [(1, False), (19, False), (20, True)])
def test_a_conversation_that_is_not_won_is_over_after_20_questions_and_cut_short_before(
    tmp_path: Path, length: int, terminated: bool
) -> None:
    (episode,) = read(tmp_path, "twenty_questions", questions(*["Is it big? No."] * length))
    assert (episode.terminated, episode.success, episode.total_reward) == (terminated, False, -length)


def test_an_open_question_of_the_city_task_keeps_its_whole_answer(tmp_path: Path) -> None:
    line = "Really? And the weather there? It is hot. Does that help?"
    (episode,) = read(tmp_path, "guess_my_city", questions("What is the weather like? It is hot.", line))
    assert [turn.content for turn in episode.turns[1:]] == [
        "What is the weather like?", "It is hot.", "Really? And the weather there?", "It is hot. Does that help?",
    ]  # fmt: skip


def test_a_sale_pays_the_last_line_of_the_seller_in_thousands(tmp_path: Path) -> None:
    record = negotiation(
        ("Seller", "Hello."), ("Seller", "How can I help?"), ("Buyer", "A Toyota SUV."), ("Seller", "$80,000."),
        ("Buyer", "Deal! Output: Decision=Accept MSRP=$80,000 Buy Price=$78,000"),
    )  # fmt: skip
    (episode,) = read(tmp_path, "car_dealer", record)
    assert episode.turns == (
        Turn("user", "Start"),
        Turn("assistant", "Hello. How can I help?"),
        Turn("user", "A Toyota SUV."),
        Turn("assistant", "$80,000.", 78.0),
        Turn("user", "Deal!"),
    )
    assert (episode.config, episode.terminated, episode.success) == ("revenue", True, True)


def test_a_conversation_without_a_sale_pays_nothing_and_may_end_on_the_seller(tmp_path: Path) -> None:
    record = negotiation(("Seller", "Hello."), ("Buyer", "No."), ("Seller", "Bye."), bought=False, price=None)
    (episode,) = read(tmp_path, "car_dealer", record)
    assert (episode.total_reward, episode.success, episode.num_turns) == (0.0, False, 2)
    assert episode.turns[-1] == Turn("assistant", "Bye.")


def test_a_sale_without_a_price_is_worth_nothing(tmp_path: Path) -> None:
    (episode,) = read(tmp_path, "car_dealer", negotiation(("Seller", "Hello."), ("Buyer", "Deal!"), price=None))
    assert (episode.total_reward, episode.success, episode.terminated) == (0.0, False, True)


def test_a_buyer_who_speaks_first_is_heard_with_the_start(tmp_path: Path) -> None:
    record = negotiation(("Buyer", "Hello?"), ("Seller", "Hi."), bought=False)
    (episode,) = read(tmp_path, "car_dealer", record)
    assert [turn.content for turn in episode.turns] == ["Start Hello?", "Hi."]


@pytest.mark.parametrize(
    ("task", "record", "complaint"),
    [
        ("twenty_questions", questions("Yes."), "line 0 must be a question with an answer"),
        ("twenty_questions", {"lines": "x", "correct": True}, "lines must be a list"),
        ("twenty_questions", questions() | {"correct": "yes"}, "correct is neither true nor false"),
        ("twenty_questions", questions(), "an episode needs an observation before every action"),
        ("twenty_questions", negotiation(("Seller", "Hi.")), "this is no episode of twenty_questions"),
        ("car_dealer", negotiation(("Dealer", "Hi.")), "the role of line 0 is neither Seller nor Buyer"),
        ("car_dealer", negotiation(("Seller", "Hi."), price="much"), "buy_price is no finite number"),
        ("car_dealer", {"lines": []}, "'output' is missing"),
        ("car_dealer", negotiation(), "an episode needs an observation before every action"),
    ],
)
def test_what_is_no_conversation_is_one_line_and_leaves_nothing(
    tmp_path: Path, task: str, record: object, complaint: str
) -> None:
    path = tmp_path / "data.json"
    path.write_text(json.dumps([record]))
    with pytest.raises(UserError, match=complaint) as caught:
        convert_dataset(get_task(task), [path], output_dir=tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not any((tmp_path / "out").iterdir())
