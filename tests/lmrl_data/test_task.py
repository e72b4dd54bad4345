"""Normalised scores by hand, what a policy may see, and the ids by which tasks are found."""

import pytest
from cases import check_cases

from lmrl_data import Conversation, Turn, UserError, get_task
from lmrl_data.config import Config, ReferenceReturns
from lmrl_data.errors import unknown
from lmrl_data.gym import gymnasium_id
from lmrl_data.simulator import check_options
from lmrl_data.task import Behavior, Task

MAZE = ReferenceReturns(-101, -83, -6.84, -6.84, "the paper")
WORDLE = ReferenceReturns(-6, -4.121715, -1.935, -1.935, "the original code")


def test_a_score_is_0_at_the_minimum_50_at_the_data_and_100_at_the_maximum() -> None:
    def check(reference: ReferenceReturns, mean_return: float, score: float) -> None:
        assert reference.normalize(mean_return) == pytest.approx(score, abs=1e-3)

    check_cases(
        [
            (MAZE, -101, 0),
            (MAZE, -92, 25),
            (MAZE, -83, 50),
            (MAZE, -44.92, 75),
            (MAZE, -6.84, 100),
            # Linear beyond both ends: nothing is clipped.
            (MAZE, -119, -50),
            (MAZE, 69.32, 150),
            (WORDLE, -4.121715, 50),
            (WORDLE, -1.935, 100),
            (WORDLE, -2.1, 96.227),
        ],
        check,
    )


def test_a_score_towards_the_optimum_uses_the_optimum_above_the_data_only() -> None:
    reference = ReferenceReturns(-101, -83, -25.75, -7.24, "partially observed maze")
    assert reference.normalize(-25.75) == 100
    assert reference.normalize(-7.24) == pytest.approx(116.17, abs=0.01)
    assert reference.normalize(-7.24, to_optimum=True) == 100
    assert reference.normalize(-92, to_optimum=True) == reference.normalize(-92) == 25


@pytest.mark.parametrize("returns", [(0, 0, 1), (0, 1, 1), (1, 0, 2)])
def test_reference_returns_must_rise(returns: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="must rise"):
        ReferenceReturns(*returns, optimum=9, source="nowhere")


def conversation(history: int | None, *roles: str, start: int = 0) -> Conversation:
    turns = [Turn(role, str(index)) for index, role in enumerate(roles)]  # type: ignore[arg-type]
    return Conversation(seed=0, history=history, turns=turns, start=start)


@pytest.mark.parametrize(
    ("history", "start", "visible"),
    [(None, 0, "01234"), (1, 0, "4"), (3, 0, "234"), (40, 0, "01234"), (None, 2, "234"), (40, 2, "234"), (1, 2, "4")],
)
def test_a_policy_sees_the_latest_texts_that_are_not_hidden(history: int | None, start: int, visible: str) -> None:
    turns = conversation(history, "user", "assistant", "user", "assistant", "user", start=start).visible
    assert "".join(turn.content for turn in turns) == visible


@pytest.mark.parametrize(
    ("history", "start", "visible"), [(1, 0, "03"), (2, 0, "023"), (None, 3, "03"), (None, 0, "0123")]
)
def test_the_system_turn_is_always_seen(history: int | None, start: int, visible: str) -> None:
    turns = conversation(history, "system", "user", "assistant", "user", start=start).visible
    assert "".join(turn.content for turn in turns) == visible


def test_a_config_is_markov_when_only_the_newest_text_counts() -> None:
    assert [Config("any", "", history, MAZE).markov for history in (1, 2, 40, None)] == [True, False, False, False]


def test_shares_of_behavior_policies_add_up_to_one() -> None:
    task = get_task("maze")
    behaviors = (Behavior("one", 0.5, task.behaviors[0].play), Behavior("other", 0.4, task.behaviors[0].play))
    with pytest.raises(ValueError, match=r"add up to 1, got 0\.9"):
        Task(**{**vars(task), "behaviors": behaviors})


def test_an_unknown_name_is_answered_with_the_choices_and_cut_short() -> None:
    assert str(unknown("task", "mazes", ["maze", "chess"])) == "unknown task 'mazes'; choose from: maze, chess"
    assert len(str(unknown("task", "x" * 10_000, ["maze"]))) < 200
    with pytest.raises(UserError, match="choose from: start, goal"):
        check_options("maze", {"start": 1, "strat": 2}, ["start", "goal"])


def test_a_gymnasium_id_is_written_in_camel_case() -> None:
    assert gymnasium_id("twenty_questions") == "lmrl/TwentyQuestions-v0"
