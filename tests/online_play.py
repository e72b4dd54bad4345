"""Runs of the online recipes that tests look into: every update's gradients, weights and optimizer state."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from offline import load_language_model
from online import Experience, OnlineConfig, OnlineTrainer
from transformers import AutoModelForCausalLM, TrainerCallback

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

    def on_train_begin(self, args: Any, state: Any, control: Any, *, model: Any, **kwargs: Any) -> None:
        self.weights.append(copied(model.state_dict()))

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, *, model: Any, **kwargs: Any) -> None:
        found = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
        self.gradients.append(copied(found))

    def on_step_end(self, args: Any, state: Any, control: Any, *, model: Any, optimizer: Any, **kwargs: Any) -> None:
        self.weights.append(copied(model.state_dict()))
        slots = optimizer.state_dict()["state"].values()
        self.momentum.append([torch.as_tensor(value).clone() for slot in slots for value in slot.values()])
        self.experience.append(self.trainer.experience)


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
    assert set(expected) <= set(found)
    rest = [found[name].abs().max().item() for name in found if name not in expected]
    return max([(found[name] - expected[name]).abs().max().item() for name in expected] + rest)


def same(first: State, second: State) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)
