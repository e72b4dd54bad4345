# /// script
# dependencies = ["lmrl[train]"]
# ///
"""Implicit language Q-learning (Snell et al., 2023) on offline episodes: twin Q heads, V, expectile and CQL losses.

lmrl-train ilql --config recipes/maze/ilql.yaml
"""

import copy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from transformers import TrainerCallback
from trl import ModelConfig, ScriptArguments

from lmrl_recipes.training.offline import Batch, OfflineConfig, ValueTrainer, action_tokens, train_values
from lmrl_recipes.training.start import Settings, run

HEADS = ("q1", "q2", "v")
LIMITATIONS = (
    "Values are learned from the dataset alone;"
    " states it does not visit have values nobody checked. "
    "They are values of tokens, so a large `beta` can favor tokens that end in no action."
)


@dataclass
class ILQLConfig(OfflineConfig):
    """Settings of ILQL; defaults are the paper's for most tasks (Table 3)."""

    tau: float = field(default=0.7, metadata={"help": "Expectile of the V loss."})
    polyak: float = field(default=0.005, metadata={"help": "Share of the online weights in each target update."})


# --- losses: sums over action tokens, so that any split of a batch adds up


def next_values(v: torch.Tensor, items: torch.Tensor, successor: torch.Tensor) -> torch.Tensor:
    """V of the state in which the next action token is chosen.

    Args:
        v (`torch.Tensor`): `[tokens]`, V before each action token, item by item.
        items (`torch.Tensor`): `[tokens]`, which item of the batch a token is in.
        successor (`torch.Tensor`): `[items]`, V of what the policy sees after the item; 0 where it terminated.

    Returns:
        `torch.Tensor`: `[tokens]`. Time passes on action tokens only, whatever lies between them.
    """
    shifted = torch.cat([v[1:], v[:1]])
    last = torch.ones_like(items, dtype=torch.bool)
    last[:-1] = items[1:] != items[:-1]
    return torch.where(last, successor[items], shifted)


class ILQLLoss(NamedTuple):
    """Sums over action tokens; `total` is `q + v + cql_weight * cql`."""

    total: torch.Tensor
    q: torch.Tensor
    v: torch.Tensor
    cql: torch.Tensor


def ilql_loss(
    q: list[torch.Tensor],
    v: torch.Tensor,
    target_q: torch.Tensor,
    cql: torch.Tensor,
    rewards: torch.Tensor,
    next_v: torch.Tensor,
    *,
    gamma: float,
    tau: float,
    cql_weight: float,
) -> ILQLLoss:
    """The ILQL loss of action tokens.

    Args:
        q (`list[torch.Tensor]`): online heads at the tokens taken, each `[tokens]`.
        v (`torch.Tensor`): `[tokens]`, online.
        target_q (`torch.Tensor`): `[tokens]`, the lower of the target heads at the tokens taken.
        cql (`torch.Tensor`): `[tokens]`, cross-entropy of softmax(Q) at the tokens taken, summed over the heads.
        rewards (`torch.Tensor`): `[tokens]`.
        next_v (`torch.Tensor`): `[tokens]`, from `next_values`.
    """
    target = (rewards + gamma * next_v).detach()
    q_loss = torch.stack([0.5 * (value - target).square().sum() for value in q]).sum()
    error = target_q.detach() - v
    weight = torch.where(error >= 0, tau, 1 - tau)
    v_loss = (weight * 0.5 * error.square()).sum()
    return ILQLLoss(q_loss + v_loss + cql_weight * cql.sum(), q_loss, v_loss, cql.sum())


# --- trainer


class PolyakCallback(TrainerCallback):
    """Moves the target network towards the online one after every optimizer step (not after accumulation steps)."""

    def __init__(self, trainer: "ILQLTrainer") -> None:
        self.trainer = trainer

    def on_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        self.trainer.update_target(self.trainer.args.polyak)


class ILQLTrainer(ValueTrainer):
    """Trains trunk, twin Q and V heads against a slowly following copy.

    The original reads the next state's V from the online network. Bootstrapped over some 40 tokens that runs away with
    small models, so the target network says it here; at convergence the two are the same.
    """

    _tag_names = ["trl", "ilql"]  # noqa: RUF012
    _name = "ILQL"
    args: ILQLConfig

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target: Any = copy.deepcopy(self.model)
        self.target.requires_grad_(False).eval()
        self.add_callback(PolyakCallback(self))

    @torch.no_grad()
    def update_target(self, rate: float) -> None:
        """target <- rate * online + (1 - rate) * target, over everything that is trained."""
        online = self.accelerator.unwrap_model(self.model)
        for target, parameter in zip(self.target.parameters(), online.parameters(), strict=True):
            if parameter.requires_grad:
                target.lerp_(parameter, rate)

    def token_losses(self, model: Any, inputs: Batch) -> tuple[torch.Tensor, Batch]:
        tokens = action_tokens(inputs)
        network = {name: inputs[name] for name in ("input_ids", "attention_mask")} | {"use_cache": False}
        values = model(**network, positions=tokens.positions)
        taken = [head.gather(-1, tokens.actions[:, None]).squeeze(-1) for head in values.q]
        cql = torch.stack([F.cross_entropy(head, tokens.actions, reduction="none") for head in values.q]).sum(0)
        with torch.no_grad():
            target = self.target(**network, positions=tokens.positions)
            target_q = torch.minimum(*(head.gather(-1, tokens.actions[:, None]).squeeze(-1) for head in target.q))
        # From here on every item counts, however many of them share a sequence.
        taken, v = [value[tokens.places] for value in taken], values.v[tokens.places]
        target_q, cql = target_q[tokens.places], cql[tokens.places]
        next_v = next_values(target.v[tokens.places], tokens.items, self.successor_values(inputs))
        settings = {"gamma": self.args.gamma, "tau": self.args.tau, "cql_weight": self.args.cql_weight}
        loss = ilql_loss(taken, v, target_q, cql, tokens.rewards, next_v, **settings)
        logged = {"loss/q": loss.q, "loss/v": loss.v, "loss/cql": loss.cql}
        means = {"q/mean": torch.minimum(*taken).sum(), "v/mean": v.sum(), "target_q/mean": target_q.sum()}
        return loss.total, logged | means

    @torch.no_grad()
    def successor_values(self, inputs: Batch) -> torch.Tensor:
        """`[items]`: the target's V of what the policy sees next; 0 where the episode terminated."""
        ids, lengths, rows = inputs["next_input_ids"], inputs["next_length"], inputs["next_rows"]
        if not len(lengths):
            return torch.zeros(len(rows), device=rows.device)
        time = torch.arange(ids.shape[1], device=ids.device)[None]
        last = time == lengths[:, None] - 1
        v = self.target(ids, attention_mask=time < lengths[:, None], use_cache=False, positions=last).v
        return torch.where(rows >= 0, v[rows], 0.0)

    def trainer_tensors(self) -> dict[str, torch.Tensor]:
        online = self.accelerator.unwrap_model(self.model)
        pairs = zip(online.named_parameters(), self.target.parameters(), strict=True)
        targets = {f"target.{name}": target.clone() for (name, p), target in pairs if p.requires_grad}
        return {**super().trainer_tensors(), **targets}

    def load_trainer_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        super().load_trainer_tensors(tensors)
        for name, target in self.target.named_parameters():
            if f"target.{name}" in tensors:
                target.copy_(tensors[f"target.{name}"])


def main(
    script_args: ScriptArguments, args: ILQLConfig, model_args: ModelConfig, recipe: Settings | None = None
) -> None:
    train_values(ILQLTrainer, HEADS, "ilql", LIMITATIONS, script_args, args, model_args, recipe)


if __name__ == "__main__":
    run(main, ScriptArguments, ILQLConfig, ModelConfig)
