"""Online filtered BC: which episodes of a round are kept, and that learning from them is cloning them."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from online_play import (
    Watch,
    batches_of,
    gradients_of,
    largest_difference,
    logps_of,
    make,
    on_the_chain,
    policy_with,
    returns_of,
    same,
)
from transformers import AutoModelForCausalLM
from trl import ModelConfig, ScriptArguments

from lmrl_data import Episode, UserError, get_task
from lmrl_eval.policies import load_policy
from lmrl_recipes.online_filtered_bc import OnlineFilteredBCConfig, OnlineFilteredBCTrainer, main
from lmrl_recipes.training.online import PlayedEpisode

pytestmark = pytest.mark.slow


def make_bc(base: Path, folder: Path, **settings: Any) -> tuple[Any, Watch]:
    return make(OnlineFilteredBCTrainer, OnlineFilteredBCConfig, base, folder, **settings)


def succeed(trainer: Any, *which: int, only_in: int | None = None) -> None:
    """These episodes of every round, or of one round, are called successes; their returns are their numbers."""
    play = trainer.play_round

    def played(round_: int) -> list[PlayedEpisode]:
        episodes = play(round_)
        for number, episode in enumerate(episodes):
            episode.success = number in which and only_in in (None, round_)
            episode.total_reward = float(number)
        return episodes

    trainer.play_round = played


# --- what is kept


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"filter": "success"}, [0, 2]),
        ({"filter": "top", "top_fraction": 0.5}, [2, 3]),
        ({"filter": "top", "top_fraction": 0.01}, [3]),
        ({"filter": "all"}, [0, 1, 2, 3]),
    ],
)
def test_the_kept_episodes_are_learned_from_and_no_others(
    base: Path, tmp_path: Path, settings: dict[str, Any], expected: list[int]
) -> None:
    trainer, _ = make_bc(base, tmp_path, task="maze", **settings)
    succeed(trainer, 0, 2)
    trainer.train()
    kept = [sequence for number in expected for sequence in trainer.episodes[number].sequences]
    assert [id(sequence) for sequence in trainer.experience] == [id(sequence) for sequence in kept]
    assert all(each.advantages.tolist() == each.action_mask.astype(float).tolist() for each in kept)
    (log, *_) = [entry for entry in trainer.state.log_history if "kept" in entry]
    assert log["kept"] == len(expected) / 4


def test_a_kept_episode_of_a_markov_task_teaches_every_token_that_was_sampled(base: Path, tmp_path: Path) -> None:
    # The original cut its training segments from the end of the history. A Markov task's history is its newest
    # observation: no action was left, the mask's sum was 0, and nothing was learned.
    trainer, watch = make_bc(base, tmp_path, task="maze")
    succeed(trainer, 1, 3)
    sampled: list[list[int]] = []
    policy = trainer.rollout_policy
    record = policy.record

    def recording(conversation: Any, prompt: list[int], written: list[int]) -> None:
        if conversation.index in (1, 3):
            sampled.append(written)
        record(conversation, prompt, written)

    policy.record = recording
    trainer.train()
    learned = [each.input_ids[each.action_mask].tolist() for each in trainer.experience]
    assert len(sampled) == 2 * 3
    assert sorted(learned) == sorted(sampled)
    assert not same(watch.weights[0], watch.weights[1])


# --- the gradient


@pytest.mark.parametrize("task", ["wordle", "maze"])
def test_the_gradient_is_that_of_cloning_however_often_the_policy_moved(base: Path, tmp_path: Path, task: str) -> None:
    trainer, watch = make_bc(
        base, tmp_path, task=task, num_iterations=4, gradient_accumulation_steps=2, learning_rate=1e-2
    )
    succeed(trainer, 0, 3)
    trainer.train()
    assert len(watch.gradients) == 4
    for gradients, weights in zip(watch.gradients, watch.weights, strict=False):
        model = policy_with(base, weights)
        logps = torch.cat([logps_of(model, sequence) for sequence in trainer.experience])
        assert largest_difference(gradients, gradients_of(-logps.mean(), model)) < 1e-5
        assert max(each.abs().max().item() for each in gradients.values()) > 1e-2


def test_every_update_clones_its_own_part_of_what_was_kept(base: Path, tmp_path: Path) -> None:
    trainer, watch = make_bc(base, tmp_path, num_iterations=2, learning_rate=1e-2, filter="all")
    seen = batches_of(trainer)
    trainer.train()
    everything = sorted(id(each) for each in trainer.experience)
    for first, second in (seen[:2], seen[2:]):
        assert sorted(id(each) for each in [*first, *second]) == everything
    for members, gradients, weights in zip(seen, watch.gradients, watch.weights, strict=False):
        model = policy_with(base, weights)
        logps = torch.cat([logps_of(model, sequence) for sequence in members])
        assert largest_difference(gradients, gradients_of(-logps.mean(), model)) < 1e-5


# --- rounds that teach little or nothing


def test_a_round_without_a_success_changes_no_weight_and_the_next_one_may(base: Path, tmp_path: Path) -> None:
    # Weight decay and the optimizer's momentum would move weights that have no gradient.
    trainer, watch = make_bc(base, tmp_path, rounds=3, learning_rate=1e-2, weight_decay=0.1, num_iterations=2)
    succeed(trainer, 0, 1, 2, 3, only_in=0)
    trainer.train()
    moved = [not same(before, after) for before, after in pairwise(watch.weights)]
    assert moved == [True] * 4 + [False] * 8
    again, watch = make_bc(base, tmp_path, rounds=2, learning_rate=1e-2)
    succeed(again, 1, 2, only_in=1)
    again.train()
    assert [not same(before, after) for before, after in pairwise(watch.weights)] == [False, False, True, True]


def test_an_update_for_which_no_episode_is_left_changes_no_weight(base: Path, tmp_path: Path) -> None:
    # One kept episode of one sequence, and two updates a pass.
    trainer, watch = make_bc(base, tmp_path, num_iterations=2, learning_rate=1e-2, weight_decay=0.1)
    succeed(trainer, 2)
    trainer.train()
    assert len(trainer.experience) == 1
    assert [not same(before, after) for before, after in pairwise(watch.weights)] == [True, False, True, False]


# --- runs


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"filter": "best"}, "unknown filter 'best'; choose from: success, top, all"),
        ({"beta": 0.1}, "leave beta out: online filtered BC has no KL penalty"),
    ],
)
def test_settings_that_mean_nothing_are_refused(tmp_path: Path, settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        OnlineFilteredBCConfig(output_dir=str(tmp_path), use_cpu=True, **settings)


def test_cloning_its_own_best_episodes_finds_the_path_that_its_data_do_not_have(
    chain: tuple[Path, list[Episode]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trainer = on_the_chain(
        monkeypatch, OnlineFilteredBCTrainer, OnlineFilteredBCConfig, chain[0], tmp_path, filter="top",
        top_fraction=0.1, num_iterations=4,
    )  # fmt: skip
    trainer.train()
    returns = returns_of(trainer)
    assert returns[0] < -10
    assert np.mean(returns[-3:]) > -7


def test_a_run_leaves_a_policy_that_everything_loads(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workshop)
    args = OnlineFilteredBCConfig(
        output_dir=str(tmp_path), task="maze", rounds=2, max_turns=8, per_device_train_batch_size=8, filter="top",
        learning_rate=1e-3, max_completion_length=8, use_cpu=True, report_to="none", disable_tqdm=True,
    )  # fmt: skip
    main(ScriptArguments(dataset_name="unused"), args, ModelConfig(model_name_or_path="bc"))
    assert load_policy(str(tmp_path), get_task("maze"), "fully_observed").name == tmp_path.name
    trained = AutoModelForCausalLM.from_pretrained(tmp_path).state_dict()
    before = AutoModelForCausalLM.from_pretrained("bc").state_dict()
    assert any(not torch.equal(trained[name], before[name]) for name in before)
    assert "online_filtered_bc" in (tmp_path / "README.md").read_text(encoding="utf-8")
