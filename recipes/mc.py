# /// script
# dependencies = ["lmrl[train]"]
# ///
"""Monte-Carlo returns on offline episodes: one Q head regressed on the discounted rest of the return.

lmrl-train mc --config recipes/maze/mc.yaml
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from trl import ModelConfig, ScriptArguments

from lmrl_recipes.training.offline import Batch, OfflineConfig, ValueTrainer, action_tokens, train_values
from lmrl_recipes.training.start import Settings, run

HEADS = ("q1",)
LIMITATIONS = (
    "Values are those of the behavior policies that made the data, not of this policy:"
    " one step of improvement, no stitching across episodes beyond it."
)


@dataclass
class MCConfig(OfflineConfig):
    """Settings of MC returns: those of every offline value-based recipe."""


class MCLoss(NamedTuple):
    """Sums over action tokens; `total` is `q + cql_weight * cql`."""

    total: torch.Tensor
    q: torch.Tensor
    cql: torch.Tensor


def mc_loss(q: torch.Tensor, cql: torch.Tensor, returns: torch.Tensor, *, cql_weight: float) -> MCLoss:
    """The MC loss of action tokens: half the squared distance to the return, and the cross-entropy of softmax(Q).

    Args:
        q (`torch.Tensor`): `[tokens]`, at the tokens taken.
        cql (`torch.Tensor`): `[tokens]`, cross-entropy of softmax(Q) at the tokens taken.
        returns (`torch.Tensor`): `[tokens]`, discounted per action token.
    """
    q_loss = 0.5 * (q - returns).square().sum()
    return MCLoss(q_loss + cql_weight * cql.sum(), q_loss, cql.sum())


class MCTrainer(ValueTrainer):
    """Trains trunk and Q head on returns; no targets, no V."""

    _tag_names = ["trl", "mc"]  # noqa: RUF012
    _name = "MC returns"
    args: MCConfig

    def token_losses(self, model: Any, inputs: Batch) -> tuple[torch.Tensor, Batch]:
        tokens = action_tokens(inputs)
        network = {name: inputs[name] for name in ("input_ids", "attention_mask")} | {"use_cache": False}
        (head,) = model(**network, positions=tokens.positions).q
        # Every item counts, however many of them share a sequence.
        q = head.gather(-1, tokens.actions[:, None]).squeeze(-1)[tokens.places]
        cql = F.cross_entropy(head, tokens.actions, reduction="none")[tokens.places]
        loss = mc_loss(q, cql, tokens.returns, cql_weight=self.args.cql_weight)
        logged = {"loss/q": loss.q, "loss/cql": loss.cql}
        return loss.total, logged | {"q/mean": q.sum(), "return/mean": tokens.returns.sum()}


def main(
    script_args: ScriptArguments, args: MCConfig, model_args: ModelConfig, recipe: Settings | None = None
) -> None:
    train_values(MCTrainer, HEADS, "mc", LIMITATIONS, script_args, args, model_args, recipe)


if __name__ == "__main__":
    run(main, ScriptArguments, MCConfig, ModelConfig)
