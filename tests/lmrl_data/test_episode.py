"""Turns and episodes refuse what no play of a task could be, and come back whole from a row."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest
from cases import check_cases

from lmrl_data import Episode, Turn

EPISODE = Episode(
    task="maze",
    config="fully_observed",
    turns=(
        Turn("user", "here"),
        Turn("assistant", "go", -1.0),
        Turn("user", "there"),
        Turn("assistant", "stop", -0.5),
    ),
    terminated=True,
    truncated=False,
    seed=7,
    policy="someone",
    info={"success": True, "invalid": 0},
)


@pytest.mark.parametrize("role", ["user", "system"])
def test_only_the_agents_turn_carries_reward(role: str) -> None:
    assert Turn(role, "text").reward == 0  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=f"a {role} turn cannot carry reward, got 1.5"):
        Turn(role, "text", 1.5)  # type: ignore[arg-type]


def test_an_unknown_role_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="got 'tool'"):
        Turn("tool", "text")  # type: ignore[arg-type]


def test_turns_and_episodes_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        EPISODE.turns[0].content = "elsewhere"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        EPISODE.seed = 8  # type: ignore[misc]


@pytest.mark.parametrize("end", [True, False])
def test_an_episode_ends_in_exactly_one_way(end: bool) -> None:
    with pytest.raises(ValueError, match=f"exactly one way, got terminated={end} and truncated={end}"):
        replace(EPISODE, terminated=end, truncated=end)


@pytest.mark.parametrize(
    ("turns", "complaint"),
    [
        ((), "an observation and an action, got 0 turns"),
        ((Turn("user", "here"),), "an observation and an action, got 1 turns"),
        ((Turn("system", "rules"), Turn("user", "here")), "an observation and an action, got 2 turns"),
        ((Turn("assistant", "go"), Turn("user", "here")), "turn 0 should be the user's, got role 'assistant'"),
        ((Turn("user", "here"), Turn("user", "there")), "turn 1 should be the assistant's, got role 'user'"),
        ((*EPISODE.turns, Turn("assistant", "go")), "turn 4 should be the user's, got role 'assistant'"),
        ((*EPISODE.turns, Turn("system", "rules")), "turn 4 should be the user's, got role 'system'"),
    ],
)
def test_user_and_assistant_alternate_from_an_observation_on(turns: tuple[Turn, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(EPISODE, turns=turns)


def test_a_system_turn_may_stand_first() -> None:
    assert replace(EPISODE, turns=(Turn("system", "rules"), *EPISODE.turns)).num_turns == EPISODE.num_turns


def test_return_and_length_count_the_agents_turns() -> None:
    assert EPISODE.total_reward == -1.5
    assert EPISODE.num_turns == 2
    assert EPISODE.success is True


def test_a_row_has_one_reward_per_message() -> None:
    row = EPISODE.to_row()
    assert [message["role"] for message in row["messages"]] == ["user", "assistant", "user", "assistant"]
    assert row["rewards"] == [0.0, -1.0, 0.0, -0.5]
    assert row["total_reward"] == -1.5
    with pytest.raises(ValueError, match="one reward per message, got 3 for 4"):
        Episode.from_row({**row, "rewards": [0.0, -1.0, 0.0]})


def test_a_row_gives_the_episode_back() -> None:
    assert Episode.from_row(json.loads(json.dumps(EPISODE.to_row()))) == EPISODE


def test_a_row_without_a_column_is_refused_by_its_name() -> None:
    def check(column: str) -> None:
        row = {name: value for name, value in EPISODE.to_row().items() if name != column}
        with pytest.raises(ValueError, match=f"column '{column}' is missing"):
            Episode.from_row(row)

    check_cases(["task", "config", "messages", "rewards", "terminated", "truncated", "policy", "seed"], check)
