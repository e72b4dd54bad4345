"""The rows of a dataset: the schemas are those that `datasets` makes, and it reads what we write."""

import dataclasses

import pytest
from datasets import Dataset, Features, Json, List, Value

from lmrl_data import Episode, Turn, get_task
from lmrl_data.rows import SCHEMA, STEP_SCHEMA, episode_table, step_rows, stored_types, tables


@pytest.mark.parametrize("schema", [SCHEMA, STEP_SCHEMA], ids=["episodes", "steps"])
def test_a_schema_is_the_one_that_datasets_makes_of_its_features(schema) -> None:
    features = Features.from_arrow_schema(schema)
    assert features.arrow_schema.equals(schema, check_metadata=True)
    messages = List({"role": Value("string"), "content": Value("string")})
    assert features["messages" if schema is SCHEMA else "prompt"] == messages
    assert schema is STEP_SCHEMA or features["info"] == Json()


def test_rows_are_the_bytes_that_datasets_makes() -> None:
    task = get_task("car_dealer")
    simulator = task.simulator()
    episodes = [task.generate(simulator, seed) for seed in range(5)]
    theirs = Dataset.from_list([each.to_row() for each in episodes], features=Features.from_arrow_schema(SCHEMA))
    assert theirs.data.table.equals(episode_table(episodes), check_metadata=True)


def test_info_keeps_texts_that_look_like_numbers() -> None:
    task = get_task("maze")
    odd = dataclasses.replace(task.generate(task.simulator(), 0), info={"success": False, "invalid": 0, "word": "5"})
    (row,) = Dataset(episode_table([odd]))
    assert Episode.from_row(row) == odd


def test_an_episode_that_ends_on_an_action_has_no_next_prompt() -> None:
    turns = (Turn("system", "s"), Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c"), Turn("assistant", "d"))
    first, last = step_rows(Episode("x", "y", turns, True, False, 0, "p"), 3, history=1)
    assert [message["content"] for message in first["next_prompt"]] == ["s", "c"]
    assert (last["prompt"], last["next_prompt"], last["episode"]) == (first["next_prompt"], [], 3)


def test_a_markov_config_has_a_second_table_of_steps() -> None:
    task = get_task("maze")
    episodes = [task.generate(task.simulator(), seed) for seed in range(3)]
    rows, steps = tables(task.config(), episodes, 7)
    assert (rows.schema, steps.schema) == (SCHEMA, STEP_SCHEMA)
    assert steps.num_rows == sum(each.num_turns for each in episodes)
    assert steps["episode"].unique().to_pylist() == [7, 8, 9]


def test_json_is_stored_as_text() -> None:
    assert str(stored_types()["info"]) == "string"
