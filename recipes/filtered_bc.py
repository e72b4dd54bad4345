# /// script
# dependencies = ["lmrl[train]"]
# ///
"""Filtered behavior cloning: supervised training on the successful episodes, or on those with the highest return.

    lmrl-train filtered_bc --config recipes/maze/filtered_bc.yaml

Every action is learned from exactly what the policy will see before it. `--filter all` is plain behavior cloning.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import numpy as np
from datasets import Dataset
from trl import ModelConfig, ScriptArguments, SFTConfig, SFTTrainer

from lmrl_data.errors import UserError, unknown
from lmrl_eval.policies.language_model import LanguageModelPolicy
from lmrl_recipes.training.finish import data_of, finish, push_target, training_record
from lmrl_recipes.training.offline import (
    adapters,
    load_language_model,
    load_rows,
    make_items,
    model_settings,
    policy_callback,
    run_trainer,
    set_chat_template,
)
from lmrl_recipes.training.settings import SUPERVISED, Reasons, check_settings
from lmrl_recipes.training.start import Settings, run

FILTERS = ("success", "top", "all")
LIMITATIONS = (
    "The policy imitates the episodes it was given: where those never went it has nothing to imitate, "
    "and what they did by luck it repeats."
)


@dataclass
class FilteredBCConfig(SFTConfig):
    """Settings of filtered BC; the filters are the paper's (Table 3)."""

    refused: ClassVar[Reasons] = SUPERVISED | {"max_length": "an item is what the policy sees in play, never cut"}

    filter: str = field(default="success", metadata={"help": "success, top (by return) or all."})
    top_fraction: float = field(default=0.1, metadata={"help": "Share of the episodes that --filter top keeps."})
    window_stride: int = field(default=10, metadata={"help": "New actions per window once the history is full."})
    simulator_episodes: int = field(default=0, metadata={"help": "Episodes per evaluation in the simulator; 0: none."})
    simulator_steps: int = field(default=0, metadata={"help": "Evaluate every so many steps; 0: only at the end."})
    overwrite_output_dir: bool = field(default=False, metadata={"help": "Write over the run in the output folder."})

    max_length: int | None = field(default=None)
    gradient_checkpointing: bool = field(default=False)
    bf16: bool | None = field(default=False)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        check_settings(vars(self), [type(self)])
        super().__post_init__()
        check_filter(self.filter, self.top_fraction)


def check_filter(how: str, top_fraction: float) -> None:
    """Raises a `UserError` for an unknown filter, or a fraction outside (0, 1]."""
    if how not in FILTERS:
        raise unknown("filter", how, FILTERS)
    if not 0 < top_fraction <= 1:
        raise UserError(f"top_fraction is above 0 and at most 1, got {top_fraction}")


def kept(returns: np.ndarray, success: np.ndarray, how: str, top_fraction: float) -> np.ndarray:
    """Indices of the episodes to learn from, in their order; ties in return go to the earlier episode.

    Args:
        returns (`np.ndarray`): `[episodes]`, total rewards.
        success (`np.ndarray`): `[episodes]`, booleans.
        how (`str`): `"success"`, `"top"` or `"all"`.
        top_fraction (`float`): for `"top"`; at least one episode is kept.

    Raises:
        UserError: for an unknown filter, a fraction outside (0, 1], or if nothing is left.
    """
    check_filter(how, top_fraction)
    if how == "all":
        return np.arange(len(returns))
    if how == "success":
        indices = np.flatnonzero(success)
        if not len(indices):
            raise UserError("no episode of the dataset is a success; use --filter top")
        return indices
    count = max(1, round(top_fraction * len(returns)))
    return np.sort(np.argsort(-returns, kind="stable")[:count])


def sft_rows(items: Dataset) -> Dataset:
    """Items as SFTTrainer takes them: `input_ids`, and `labels` that are -100 on all but the action tokens."""

    def label(batch: dict[str, list]) -> dict[str, list]:
        pairs = zip(batch["input_ids"], batch["action_mask"], strict=True)
        return {"labels": [np.where(mask, ids, -100).tolist() for ids, mask in pairs]}

    unused = [name for name in items.column_names if name != "input_ids"]
    return items.map(label, batched=True, remove_columns=unused, desc="Labelling")


def main(
    script_args: ScriptArguments, args: FilteredBCConfig, model_args: ModelConfig, recipe: Settings | None = None
) -> None:
    target = push_target(args, model_args.model_name_or_path if model_args.use_peft else None)
    model, tokenizer = load_language_model(model_args.model_name_or_path, **model_settings(model_args))
    set_chat_template(tokenizer, args.chat_template_path)
    rows = load_rows(script_args.dataset_name, script_args.dataset_config, script_args.dataset_train_split)
    success = np.array([info["success"] for info in rows["info"]])
    indices = kept(np.array(rows["total_reward"]), success, args.filter, args.top_fraction)
    items = make_items(rows.select(indices), tokenizer, gamma=1.0, stride=args.window_stride)
    trainer = SFTTrainer(
        model=model,
        args=args,
        train_dataset=sft_rows(items),
        processing_class=tokenizer,
        peft_config=adapters(model_args, model),
    )
    policy = partial(LanguageModelPolicy, tokenizer=tokenizer, name="bc", seed=args.seed)
    policy_callback(trainer, rows[0]["task"], rows[0]["config"], policy)
    trainer.accelerator.print(f"{len(indices):,} of {len(rows):,} episodes kept, {len(items):,} items")
    run_trainer(trainer, args)
    data = data_of(script_args, rows)
    finish(trainer, training_record(args, "filtered_bc", data, model_args, limitations=LIMITATIONS), target, recipe)


if __name__ == "__main__":
    run(main, ScriptArguments, FilteredBCConfig, ModelConfig)
