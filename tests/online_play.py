"""Runs of the online recipes that tests look into: every update's gradients, weights and optimizer state."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from chain import GOAL, see
from gymnasium import spaces
from transformers import AutoModelForCausalLM, TrainerCallback

from lmrl_data import get_task
from lmrl_data.config import Config, ReferenceReturns
from lmrl_data.simulator import Simulator, Step
from lmrl_recipes.training import online
from lmrl_recipes.training.offline import load_language_model
from lmrl_recipes.training.online import Experience, OnlineConfig, OnlineTrainer

State = dict[str, torch.Tensor]
QUIET = {"use_cpu": True, "report_to": "none", "save_strategy": "no", "disable_tqdm": True}
# Four episodes of three short turns a round, whole histories: an untrained model writes no word, and is cut there.
SMALL = {
    "task": "wordle", "rounds": 1, "max_turns": 3, "max_completion_length": 4,
    "per_device_train_batch_size": 2, "steps_per_generation": 2, "num_iterations": 1,
    "max_grad_norm": 0.0, "weight_decay": 0.0,
}  # fmt: skip


class Watch(TrainerCallback):
    """Copies of what every update saw and left; `weights[n]` are those before update `n`."""

    def __init__(self) -> None:
        self.gradients: list[State] = []
        self.weights: list[State] = []
        self.momentum: list[list[torch.Tensor]] = []
        self.experience: list[list[Experience]] = []
        self.trainer: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.weights.append(copied(kwargs["model"].state_dict()))

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        found = {name: each.grad for name, each in kwargs["model"].named_parameters() if each.grad is not None}
        self.gradients.append(copied(found))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.weights.append(copied(kwargs["model"].state_dict()))
        slots = kwargs["optimizer"].state_dict()["state"].values()
        self.momentum.append([torch.as_tensor(value).clone() for slot in slots for value in slot.values()])
        self.experience.append(self.trainer.experience)


def batches_of(trainer: Any) -> list[list[Experience]]:
    """What will be in the trainer's batches."""
    seen: list[list[Experience]] = []
    collate = trainer.collate

    def seeing(members: list[Experience], spare: int) -> Any:
        seen.append(members)
        return collate(members, spare)

    trainer.collate = seeing
    return seen


def copied(state: State) -> State:
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def make(
    trainer: type[OnlineTrainer],
    config: type[OnlineConfig],
    checkpoint: Path,
    output_dir: Path,
    *,
    prepare: Callable[[Any], None] = lambda model: None,
    extra: dict[str, Any] | None = None,
    **settings: Any,
) -> tuple[Any, Watch]:
    """A trainer that is watched; `prepare` is called with the model before."""
    model, tokenizer = load_language_model(str(checkpoint))
    prepare(model)
    args = config(output_dir=str(output_dir), **{**QUIET, **SMALL, **settings})
    made: Any = trainer(model=model, args=args, processing_class=tokenizer, **(extra or {}))
    watch = Watch()
    watch.trainer = made
    made.add_callback(watch)
    return made, watch


def policy_with(checkpoint: Path, weights: State) -> Any:
    """The plain language model with the policy's part of these weights."""
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    model.load_state_dict({name: weights[name] for name in model.state_dict()})
    return model.eval()


def logps_of(model: Any, sequence: Experience) -> torch.Tensor:
    """The log-probabilities of a sequence's action tokens, by itself."""
    ids = torch.from_numpy(sequence.input_ids)
    places = torch.from_numpy(sequence.action_mask).nonzero()[:, 0]
    return model(ids[None]).logits[0].log_softmax(-1)[places - 1, ids[places]]


def gradients_of(loss: torch.Tensor, model: Any) -> State:
    model.zero_grad()
    loss.backward()
    return copied({name: each.grad for name, each in model.named_parameters() if each.grad is not None})


def acted(sequence: Experience, name: str) -> torch.Tensor:
    """An array of a sequence on its action tokens."""
    return torch.as_tensor(getattr(sequence, name)[sequence.action_mask])


def largest_difference(found: State, expected: State) -> float:
    """Between two gradients, as a share of the largest entry of the expected one."""
    assert set(expected) <= set(found)
    rest = [found[name].abs().max().item() for name in found if name not in expected]
    apart = [(found[name] - expected[name]).abs().max().item() for name in expected]
    return float(max(apart + rest) / max(each.abs().max().item() for each in expected.values()))


def same(first: State, second: State) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


# --- learning


class Chain(Simulator):
    """The ILQL tests' chain as a simulator: a step costs 1, the last one nothing, and there are at most twelve."""

    observation_space = spaces.Text(99)
    action_space = spaces.Text(99)

    def _reset(self, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        self.state, self.steps = 0, 0
        return see(0), {}

    def _step(self, action: str) -> Step:
        self.steps += 1
        self.state = self.state + 1 if action == "right" else max(0, self.state - 1)
        over = self.state == GOAL
        info = {"valid": action in ("left", "right"), "success": over}
        return "Success" if over else see(self.state), float(over) - 1, over, not over and self.steps == 12, info


CHAIN = replace(
    get_task("maze"),
    id="chain",
    configs={"chain": Config("chain", "", history=1, reference=ReferenceReturns(-12, -8, -3, -3, "made up"))},
    simulator_class=Chain,
)


def on_the_chain(
    monkeypatch: pytest.MonkeyPatch, trainer: type[OnlineTrainer], config: type[OnlineConfig], *args: Any, **more: Any
) -> Any:
    """A trainer that plays eight rounds of 64 episodes on the chain."""
    monkeypatch.setattr(online, "get_task", lambda task: CHAIN)
    settings = {
        "task": "chain", "rounds": 8, "max_turns": None, "per_device_train_batch_size": 32, "learning_rate": 1e-3,
        "max_grad_norm": 1.0,
    }  # fmt: skip
    return make(trainer, config, *args, **{**settings, **more})[0]


def returns_of(trainer: Any) -> list[float]:
    """The mean return of each round."""
    return [entry["return/mean"] for entry in trainer.state.log_history if "return/mean" in entry]
