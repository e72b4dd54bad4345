"""The score: hand-computed numbers, intervals that cover, and a JSON form that cannot lie about its shape."""

import dataclasses
import json

import numpy as np
import pytest
from cases import check_cases

from lmrl_data import Episode, Turn, UserError, get_task
from lmrl_eval.score import Score, bootstrap_interval, score_episodes

MAZE = get_task("maze")


def episode(rewards: list[float], *, success: bool = False, invalid: int = 0, **changes: object) -> Episode:
    turns = [Turn("user", "There are no walls near you.")]
    for reward in rewards:
        turns += [Turn("assistant", "move up", reward), Turn("user", "There are no walls near you.")]
    info = {"success": success, "invalid": invalid}
    made = Episode("maze", "fully_observed", tuple(turns), success, not success, 7, "walker", info)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def test_numbers_of_three_small_episodes_are_those_computed_by_hand() -> None:
    episodes = [
        episode([-1, -1, 0], success=True),
        episode([-4] * 23, invalid=23, seed=8),
        episode([-1, -4, -1, -1], invalid=1, seed=6),
    ]
    score = score_episodes(episodes, MAZE)
    assert score.n_episodes == 3
    assert score.mean_return == pytest.approx((-2 - 92 - 7) / 3)
    assert score.normalized == pytest.approx(50 + 50 * (-101 / 3 + 83) / (83 - 6.84))
    assert score.success_rate == pytest.approx(1 / 3)
    assert score.mean_turns == pytest.approx(30 / 3)
    assert score.invalid_rate == pytest.approx(24 / 30)
    assert (score.seed, score.policy, score.task_version) == (6, "walker", MAZE.version)
    assert score.move_accuracy is None


def test_a_return_below_the_dataset_mean_uses_the_lower_branch_and_is_not_clipped() -> None:
    score = score_episodes([episode([-92.0]), episode([-92.0])], MAZE)
    assert score.normalized == 25.0
    assert score.normalized_interval == (25.0, 25.0)
    assert score_episodes([episode([-401.0]), episode([-401.0])], MAZE).normalized == pytest.approx(-833.33, abs=0.01)


def test_the_optimum_has_a_scale_of_its_own() -> None:
    episodes = [episode([-7.24], config="partially_observed")] * 2
    score = score_episodes(episodes, MAZE, "partially_observed")
    assert score.normalized == pytest.approx(50 + 50 * (83 - 7.24) / (83 - 25.75))
    assert score.normalized_to_optimum == 100.0


def test_several_policies_are_named_once_each() -> None:
    episodes = [episode([-1], policy=name) for name in ("b", "a", "b")]
    assert score_episodes(episodes, MAZE).policy == "b, a"


def test_the_same_episodes_give_the_same_score_text() -> None:
    episodes = [episode([float(-i)], seed=i) for i in range(20)]
    assert score_episodes(episodes, MAZE).to_json() == score_episodes(episodes, MAZE).to_json()


def test_differences_between_starts_are_no_noise() -> None:
    near = [episode([-1.0], info={"success": True, "invalid": 0, "start_name": "near"})] * 10
    far = [episode([-50.0], info={"success": True, "invalid": 0, "start_name": "far"})] * 10
    assert score_episodes(near + far, MAZE).interval == (-25.5, -25.5)
    mixed = [dataclasses.replace(one, info={"success": True, "invalid": 0}) for one in near + far]
    low, high = score_episodes(mixed, MAZE).interval
    assert low < -30 < -20 < high


def test_a_start_played_once_makes_the_interval_wide_and_not_empty() -> None:
    low, high = bootstrap_interval([[-1.0], [-9.0, -9.0]], confidence_level=0.95, n_resamples=999, seed=0)
    assert low < high


def test_an_interval_of_two_values_has_the_width_of_a_fair_coin() -> None:
    # Drawing n - 1 = 1 of two values gives one or the other: both ends are reached.
    assert bootstrap_interval([[0.0, 1.0]], confidence_level=0.9, n_resamples=999, seed=0) == (0.0, 1.0)


@pytest.mark.parametrize("size", [2, 8])
def test_the_interval_covers_the_true_mean_about_as_often_as_it_says(size: int) -> None:
    random = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        groups = [list(random.normal(start, 5, size=size)) for start in range(25)]
        low, high = bootstrap_interval(groups, confidence_level=0.9, n_resamples=400, seed=trial)
        hits += low <= 12 <= high
    # 180 expected; the standard deviation of the count is 4.
    assert 165 <= hits <= 194


def test_a_higher_confidence_level_gives_a_wider_interval() -> None:
    episodes = [episode([float(-i)]) for i in range(30)]
    narrow = score_episodes(episodes, MAZE, confidence_level=0.5).interval
    wide = score_episodes(episodes, MAZE, confidence_level=0.99).interval
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_one_episode_has_no_interval() -> None:
    score = score_episodes([episode([-1])], MAZE)
    assert (score.mean_return, score.interval, score.normalized_interval) == (-1, None, None)
    assert Score.from_json(score.to_json()) == score
    with pytest.raises(ValueError, match="only a score of one episode has no intervals"):
        dataclasses.replace(score, n_episodes=2)
    with pytest.raises(UserError, match="at least 1 episode, got 0"):
        score_episodes([], MAZE)


def test_an_episode_of_another_config_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="maze partially_observed, but one is of maze fully_observed"):
        score_episodes([episode([-1])] * 2, MAZE, "partially_observed")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"confidence_level": 1.0}, "between 0 and 1"),
        ({"confidence_level": float("nan")}, "between 0 and 1"),
        ({"n_resamples": 0}, "at least 1"),
        ({"strategy": "simple"}, "choose from: bootstrap"),
    ],
)
def test_a_setting_out_of_range_is_refused(setting: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        score_episodes([episode([-1])] * 2, MAZE, **setting)


def test_a_score_survives_its_json() -> None:
    score = score_episodes([episode([-1]), episode([-3])], MAZE)
    score = dataclasses.replace(score, move_accuracy=0.5, policy_seed=3, checkpoint={"beta": 4.0}, versions={"a": "1"})
    assert Score.from_json(score.to_json()) == score


def test_a_damaged_score_file_is_refused() -> None:
    def check(changes: dict) -> None:
        values = json.loads(score_episodes([episode([-1]), episode([-3])], MAZE).to_json())
        with pytest.raises(ValueError, match=next(iter(changes))):
            Score.from_json(json.dumps(values | changes))

    check_cases(
        [
            {"mean_return": "high"},
            {"mean_return": float("inf")},
            {"normalized": None},
            {"success_rate": True},
            {"interval": [1.0]},
            {"interval": [0.0, "x"]},
            {"move_accuracy": "all"},
            {"policy": ["a"]},
            {"an_extra_field": 1},
        ],
        check,
    )


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "{"])
def test_a_text_that_is_no_score_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any reason will do
        Score.from_json(text)
