"""The training callback: when it plays, what it logs, and that training goes on as before."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Trainer, TrainerState, TrainingArguments

from lmrl_data import Conversation, Policy, UserError
from lmrl_eval.callback import SimulatorEvalCallback

NAMES = {"eval_return", "eval_normalized", "eval_success_rate", "eval_invalid_rate"}


class Model(torch.nn.Module):
    """One number that training moves; it counts the mode it is asked in."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.config = type("Config", (), {"to_dict": lambda self: {}, "to_json_string": lambda self: "{}"})()

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": ((self.weight * x - labels) ** 2).mean()}


class Walker(Policy):
    name = "walker"

    def __init__(self, model: Model) -> None:
        self.training = model.training

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        assert not self.training
        return ["jump"] * len(conversations)


def trainer(folder: Path, **settings: Any) -> Trainer:
    arguments = TrainingArguments(
        str(folder), max_steps=5, per_device_train_batch_size=2, use_cpu=True, report_to=[], disable_tqdm=True,
        save_strategy="no", **settings,
    )  # fmt: skip
    data = [{"x": torch.ones(1), "labels": torch.ones(1)}] * 10
    return Trainer(Model(), arguments, train_dataset=data)


def test_scores_are_logged_every_so_many_steps_and_at_the_end(tmp_path: Path) -> None:
    train = trainer(tmp_path)
    asked: list[bool] = []

    def make_policy(model: Model) -> Walker:
        asked.append(isinstance(model, Model))
        return Walker(model)

    train.add_callback(
        SimulatorEvalCallback(train, "maze", "fully_observed", make_policy, eval_every=2, n_episodes=25)
    )
    train.train()
    logged = [entry for entry in train.state.log_history if "eval_return" in entry]
    assert [entry["step"] for entry in logged] == [2, 4, 5]
    assert all(set(entry) >= NAMES for entry in logged)
    assert logged[0]["eval_return"] == -401
    assert logged[0]["eval_invalid_rate"] == pytest.approx(100 / 101)
    assert asked == [True] * 3


def test_the_last_step_is_scored_once(tmp_path: Path) -> None:
    train = trainer(tmp_path)
    train.add_callback(SimulatorEvalCallback(train, "maze", "fully_observed", Walker, eval_every=5, n_episodes=25))
    train.train()
    assert sum("eval_return" in entry for entry in train.state.log_history) == 1


def test_training_is_the_same_with_and_without_it(tmp_path: Path) -> None:
    weights = []
    for play in (False, True):
        torch.manual_seed(0)
        train = trainer(tmp_path, seed=1)
        if play:
            train.add_callback(
                SimulatorEvalCallback(train, "maze", "fully_observed", Walker, eval_every=1, n_episodes=25)
            )
        train.train()
        weights.append(train.model.weight.item())
    assert weights[0] == weights[1] != 0


def test_the_model_is_back_in_its_mode_even_if_the_policy_fails(tmp_path: Path) -> None:
    train = trainer(tmp_path)

    def broken(model: Model) -> Policy:
        raise RuntimeError("no policy today")

    callback = SimulatorEvalCallback(train, "maze", "fully_observed", broken, eval_every=1)
    train.model.train()
    with pytest.raises(RuntimeError, match="no policy today"):
        callback.on_step_end(train.args, TrainerState(global_step=1), train.control)
    assert train.model.training


def test_only_the_main_process_plays(tmp_path: Path) -> None:
    train = trainer(tmp_path)

    def never(model: Model) -> Policy:
        raise AssertionError("another process played")

    callback = SimulatorEvalCallback(train, "maze", "fully_observed", never, eval_every=1)
    state = TrainerState(global_step=1, is_world_process_zero=False)
    callback.on_step_end(train.args, state, train.control)
    callback.on_train_end(train.args, state, train.control)


def test_an_interval_below_one_step_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 1 step"):
        SimulatorEvalCallback(trainer(tmp_path), "maze", "fully_observed", Walker, eval_every=0)
