"""GRPO: advantages of a group by hand, what a group shares, and the gradient of a round."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import release
from online_play import Watch, acted, gradients_of, largest_difference, logps_of, make, policy_with, same
from transformers import AutoModelForCausalLM
from trl import ModelConfig, ScriptArguments

from lmrl_data import UserError, get_task
from lmrl_eval.policies import load_policy
from lmrl_recipes.grpo import OnlineGRPOConfig, OnlineGRPOTrainer, group_advantages, main
from lmrl_recipes.training.online import PlayedEpisode

pytestmark = pytest.mark.slow

# Two groups, not in order: 1, 3 and 5, 5, 11.
STARTS = np.array([7, 9, 7, 9, 9])
RETURNS = np.array([1.0, 5, 3, 5, 11])

# --- advantages


def test_without_a_scale_an_advantage_is_the_distance_from_the_groups_mean() -> None:
    assert group_advantages(STARTS, RETURNS, "none").tolist() == [-1, -2, 1, -2, 4]


def test_by_group_it_is_divided_by_the_deviation_of_that_group() -> None:
    # With n - 1: sqrt(2) of 1, 3; sqrt((4 + 4 + 16) / 2) of 5, 5, 11.
    first, second = 2**0.5 + 1e-4, 12**0.5 + 1e-4
    expected = [-1 / first, -2 / second, 1 / first, -2 / second, 4 / second]
    assert group_advantages(STARTS, RETURNS, "group").tolist() == pytest.approx(expected)


def test_by_batch_it_is_divided_by_the_deviation_of_all_returns() -> None:
    # The mean is 5; (16 + 0 + 4 + 0 + 36) / 4 = 14.
    scale = 14**0.5 + 1e-4
    expected = [-1 / scale, -2 / scale, 1 / scale, -2 / scale, 4 / scale]
    assert group_advantages(STARTS, RETURNS, "batch").tolist() == pytest.approx(expected)


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_a_group_that_agrees_says_nothing(scale: str) -> None:
    advantages = group_advantages(np.array([1, 1, 2, 2]), np.array([-7.0, -7, 1, 2]), scale)
    assert advantages[:2].tolist() == [0, 0]
    assert advantages[2] < 0 < advantages[3]


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_a_round_that_agrees_says_nothing(scale: str) -> None:
    assert group_advantages(STARTS, np.full(5, -4.0), scale).tolist() == [0] * 5


# --- rounds


def make_grpo(base: Path, folder: Path, **settings: Any) -> tuple[Any, Watch]:
    settings = {"num_generations": 2, **settings}
    return make(OnlineGRPOTrainer, OnlineGRPOConfig, base, folder, **settings)


def worth_its_letters(trainer: Any) -> None:
    """Returns that differ, for an untrained model always earns the same: as many points as it wrote odd ids."""
    play = trainer.play_round

    def played(round_: int) -> list[PlayedEpisode]:
        episodes = play(round_)
        for episode in episodes:
            episode.total_reward = float(sum((s.input_ids[s.action_mask] % 2).sum() for s in episode.sequences))
        return episodes

    trainer.play_round = played


def test_a_group_begins_alike_and_goes_on_by_chance(base: Path, tmp_path: Path) -> None:
    trainer, _ = make_grpo(base, tmp_path, task="maze", num_generations=4, per_device_train_batch_size=4, rounds=2)
    trainer.train()
    episodes = trainer.episodes
    starts = [episode.start for episode in episodes]
    assert starts == [starts[0]] * 4 + [starts[4]] * 4
    assert starts[0] != starts[4]
    assert all(0 <= start < 1_000_000 for start in starts)
    for group in (episodes[:4], episodes[4:]):
        first = [each.sequences[0] for each in group]
        openings = {tuple(each.input_ids[: each.action_mask.argmax()]) for each in first}
        actions = {tuple(each.input_ids[each.action_mask]) for each in first}
        assert len(openings) == 1
        assert len(actions) == 4


def test_the_next_round_begins_elsewhere(base: Path, tmp_path: Path) -> None:
    trainer, _ = make_grpo(base, tmp_path, rounds=2, learning_rate=0.0)
    seen: list[list[PlayedEpisode]] = []
    play = trainer.play_round

    def played(round_: int) -> list[PlayedEpisode]:
        seen.append(play(round_))
        return seen[-1]

    trainer.play_round = played
    trainer.train()
    starts = [{episode.start for episode in episodes} for episodes in seen]
    assert len(starts) == 2
    assert not starts[0] & starts[1]
    actions = [tuple(seen[round_][0].sequences[0].input_ids[-4:]) for round_ in range(2)]
    assert actions[0] != actions[1]


def test_every_action_token_of_an_episode_has_its_advantage_and_no_other_token_any(base: Path, tmp_path: Path) -> None:
    trainer, _ = make_grpo(base, tmp_path, scale_rewards="none")
    worth_its_letters(trainer)
    trainer.train()
    returns = [episode.total_reward for episode in trainer.episodes]
    for place, episode in enumerate(trainer.episodes):
        expected = (returns[place] - returns[place ^ 1]) / 2
        for sequence in episode.sequences:
            assert set(acted(sequence, "advantages").tolist()) == {expected}
            assert not sequence.advantages[~sequence.action_mask].any()
    assert len(set(returns)) > 1


def test_the_share_of_groups_that_agree_counts_no_episode_that_is_just_average(base: Path, tmp_path: Path) -> None:
    trainer, _ = make_grpo(base, tmp_path)

    def share(returns: list[float]) -> float:
        episodes = [PlayedEpisode(place // 3, value, False, 1, 0, []) for place, value in enumerate(returns)]
        trainer.assign(episodes)
        return float(trainer._metrics["train"]["frac_reward_zero_std"][-1])

    assert share([1, 2, 3, 4, 4, 4]) == 0.5
    assert share([1, 2, 3, 4, 5, 6]) == 0


@pytest.mark.parametrize("task", ["wordle", "maze"])
@pytest.mark.parametrize(
    ("beta", "corrected"),
    [
        release(0.0, True),
        (0.3, True),
        release(0.3, False),
    ],
)
def test_a_rounds_gradient_is_that_of_the_clipped_objective_with_its_kl(
    base: Path, tmp_path: Path, task: str, beta: float, corrected: bool
) -> None:
    trainer, watch = make_grpo(
        base, tmp_path, task=task, num_iterations=2, gradient_accumulation_steps=2, learning_rate=1e-2,
        beta=beta, use_bias_correction_kl=corrected,
    )  # fmt: skip
    worth_its_letters(trainer)
    trainer.train()
    reference = policy_with(base, watch.weights[0])
    clipped = []
    for gradients, weights in zip(watch.gradients, watch.weights, strict=False):
        model = policy_with(base, weights)
        loss, count, beyond = torch.zeros(()), 0, 0
        for sequence in trainer.experience:
            logps, advantage = logps_of(model, sequence), acted(sequence, "advantages")
            ratio = (logps - acted(sequence, "logps")).exp()
            beyond += int(((advantage > 0) & (ratio > 1.2) | (advantage < 0) & (ratio < 0.8)).sum())
            away = logps_of(reference, sequence).detach() - logps
            surrogate = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
            # TRL weighs the KL of a token by its ratio, too, unless it is told not to.
            kl = (away.exp() - away - 1) * (ratio if corrected else 1)
            loss = loss + (beta * kl - surrogate).sum()
            count += len(logps)
        assert largest_difference(gradients, gradients_of(loss / count, model)) < 1e-5
        clipped.append(beyond)
    assert clipped[0] == 0
    assert clipped[1] > 0


def test_a_round_in_which_all_groups_agree_changes_nothing(base: Path, tmp_path: Path) -> None:
    # An untrained model earns -1 a turn, whatever it writes.
    trainer, watch = make_grpo(base, tmp_path, learning_rate=1e-2)
    trainer.train()
    assert same(watch.weights[0], watch.weights[-1])


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [({"loss_type": "grpo"}, "loss_type is dapo"), ({"top_k": 5}, "sample from the whole distribution")],
)
def test_settings_that_mean_something_else_here_are_refused(
    tmp_path: Path, settings: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint):
        OnlineGRPOConfig(output_dir=str(tmp_path), use_cpu=True, **settings)


def test_a_run_leaves_a_policy_that_everything_loads(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workshop)
    args = OnlineGRPOConfig(
        output_dir=str(tmp_path), task="maze", rounds=2, max_turns=8, per_device_train_batch_size=8,
        learning_rate=1e-3, num_generations=4, max_completion_length=8, use_cpu=True, report_to="none",
        disable_tqdm=True,
    )  # fmt: skip
    main(ScriptArguments(dataset_name="unused"), args, ModelConfig(model_name_or_path="bc"))
    assert load_policy(str(tmp_path), get_task("maze"), "fully_observed").name == tmp_path.name
    trained = AutoModelForCausalLM.from_pretrained(tmp_path).state_dict()
    before = AutoModelForCausalLM.from_pretrained("bc").state_dict()
    assert any(not torch.equal(trained[name], before[name]) for name in before)
    assert "grpo" in (tmp_path / "README.md").read_text(encoding="utf-8")
