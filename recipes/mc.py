# /// script
# dependencies = ["lmrl[train]"]
# ///
"""Monte-Carlo returns on offline episodes: one Q head regressed on the discounted rest of the return.

accelerate launch recipes/mc.py --config recipes/maze/mc.yaml
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from lmrl_recipes.training.finish import data_of, finish, provenance_of, push_target
from lmrl_recipes.training.offline import (
    Batch,
    ItemCollator,
    OfflineConfig,
    ValueTrainer,
    action_tokens,
    load_behavior,
    load_rows,
    make_items,
    resume_path,
    simulator_callback,
    value_model_for,
)
from trl import ModelConfig, ScriptArguments

HEADS = ("q1",)
LIMITATIONS = (
    "Values are those of the behaviour policies that made the data, not of this policy:"
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


def main(script_args: ScriptArguments, args: MCConfig, model_args: ModelConfig) -> None:
    target = push_target(args)
    behavior, tokenizer = load_behavior(model_args.model_name_or_path)
    rows = load_rows(script_args.dataset_name, script_args.dataset_config, script_args.dataset_train_split)
    trainer = MCTrainer(
        behavior=behavior,
        model=value_model_for(model_args, HEADS, args),
        args=args,
        train_dataset=make_items(
            rows, tokenizer, gamma=args.gamma, stride=args.window_stride, reward_scale=args.reward_scale
        ),
        data_collator=ItemCollator(tokenizer.pad_token_id),
        processing_class=tokenizer,
    )
    simulator_callback(trainer, rows)
    trainer.train(resume_from_checkpoint=resume_path(args))
    data = data_of(script_args, rows)
    finish(trainer, provenance_of(args, "mc", data, model_args, limitations=LIMITATIONS), target)


if __name__ == "__main__":
    from lmrl_recipes.training.start import run

    run(main, ScriptArguments, MCConfig, ModelConfig)
