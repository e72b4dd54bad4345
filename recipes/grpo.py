# /// script
# dependencies = ["lmrl[train]"]
# ///
"""GRPO over whole episodes: several begin alike, and each is judged by what the others earned.

lmrl-train grpo --config recipes/maze/grpo.yaml
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from trl import ModelConfig, ScriptArguments

from lmrl_recipes.training.online import OnlineConfig, OnlineTrainer, PlayedEpisode, train
from lmrl_recipes.training.settings import NO_DATASET, ONLINE, Reasons
from lmrl_recipes.training.start import Settings, run

LIMITATIONS = (
    "Every action of an episode was judged by the episode's return: in long episodes good and bad actions share it."
)


@dataclass
class OnlineGRPOConfig(OnlineConfig):
    """Settings of GRPO; the paper has no such baseline (Shao et al. 2024, arXiv 2402.03300)."""

    refused: ClassVar[Reasons] = ONLINE | NO_DATASET

    num_generations: int | None = field(default=8, metadata={"help": "Episodes per start."})
    beta: float = field(default=0.0, metadata={"help": "Weight of the KL from the initial policy, in the loss."})


def group_advantages(starts: np.ndarray, returns: np.ndarray, scale: str) -> np.ndarray:
    """How much better an episode did than those that began alike, `[episodes]`.

    Args:
        starts (`np.ndarray`): `[episodes]`, equal for episodes of one group.
        returns (`np.ndarray`): `[episodes]`.
        scale (`str`): divide by the deviation of the `"group"`, of the `"batch"`, or `"none"` (TRL's `scale_rewards`).
    """
    groups = defaultdict(list)
    for index, start in enumerate(starts):
        groups[start].append(index)
    advantages = np.zeros(len(returns))
    for members in groups.values():
        spread = returns[members].std(ddof=1) if len(members) > 1 else 0.0
        advantages[members] = (returns[members] - returns[members].mean()) / (spread + 1e-4 if scale == "group" else 1)
    return advantages / (returns.std(ddof=1) + 1e-4) if scale == "batch" else advantages


class OnlineGRPOTrainer(OnlineTrainer):
    """Group-relative advantages, the same for all action tokens of an episode."""

    _tag_names = ["trl", "grpo"]  # noqa: RUF012
    _name = "GRPO"
    args: Any  # an `OnlineGRPOConfig`
    shares_starts = True

    def assign(self, episodes: list[PlayedEpisode]) -> list[PlayedEpisode]:
        starts = np.array([episode.start for episode in episodes])
        returns = np.array([episode.total_reward for episode in episodes])
        advantages = group_advantages(starts, returns, str(self.args.scale_rewards))
        # A group that agrees says nothing.
        agree = [np.ptp(returns[starts == start]) == 0 for start in starts]
        self.record("frac_reward_zero_std", np.mean(agree))
        for episode, advantage in zip(episodes, advantages, strict=True):
            for sequence in episode.sequences:
                sequence.advantages = np.where(sequence.action_mask, advantage, 0.0).astype(np.float32)
        return episodes


def main(
    script_args: ScriptArguments, args: OnlineGRPOConfig, model_args: ModelConfig, recipe: Settings | None = None
) -> None:
    train(OnlineGRPOTrainer, args, model_args, "grpo", LIMITATIONS, recipe)


if __name__ == "__main__":
    run(main, ScriptArguments, OnlineGRPOConfig, ModelConfig)
