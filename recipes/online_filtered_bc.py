# /// script
# dependencies = ["lmrl[train]"]
# ///
"""Online filtered behavior cloning: play, keep the best episodes, imitate them, play again.

lmrl-train online_filtered_bc --config recipes/maze/online_filtered_bc.yaml
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from trl import ModelConfig, ScriptArguments

from lmrl_recipes.filtered_bc import check_filter, kept
from lmrl_recipes.training.online import OnlineConfig, OnlineTrainer, PlayedEpisode, train
from lmrl_recipes.training.settings import NO_DATASET, NO_GROUPS, NO_KL, ONLINE, Reasons
from lmrl_recipes.training.start import Settings, run

LIMITATIONS = (
    "It imitates the best of its own episodes: it sharpens what it sometimes did well and finds nothing that it "
    "never did."
)


@dataclass
class OnlineFilteredBCConfig(OnlineConfig):
    """Settings of online filtered BC; the filters are the paper's (section 4.8 of its code: success, or a share)."""

    refused: ClassVar[Reasons] = ONLINE | NO_DATASET | NO_GROUPS | NO_KL

    filter: str = field(default="success", metadata={"help": "success, top (by return) or all."})
    top_fraction: float = field(default=0.3, metadata={"help": "Share of a round's episodes that --filter top keeps."})

    def __post_init__(self) -> None:
        super().__post_init__()
        check_filter(self.filter, self.top_fraction)


class OnlineFilteredBCTrainer(OnlineTrainer):
    """Advantage 1 for the episodes that are kept; the others are left out. The gradient is that of cloning."""

    _tag_names = ["trl", "online-filtered-bc"]  # noqa: RUF012
    _name = "online filtered BC"
    args: Any  # an `OnlineFilteredBCConfig`
    # Without them the ratio is 1 and its gradient that of the log-probability: the clip never bites.
    uses_old_logps = False

    def assign(self, episodes: list[PlayedEpisode]) -> list[PlayedEpisode]:
        returns = np.array([episode.total_reward for episode in episodes])
        success = np.array([episode.success for episode in episodes])
        # A round without a success teaches nothing, which is no reason to stop.
        nothing = self.args.filter == "success" and not success.any()
        indices: Any = [] if nothing else kept(returns, success, self.args.filter, self.args.top_fraction)
        chosen = [episodes[index] for index in indices]
        self.record("kept", len(chosen) / len(episodes))
        for episode in chosen:
            for sequence in episode.sequences:
                sequence.advantages = sequence.action_mask.astype(np.float32)
        return chosen


def main(
    script_args: ScriptArguments, args: OnlineFilteredBCConfig, model_args: ModelConfig, recipe: Settings | None = None
) -> None:
    train(OnlineFilteredBCTrainer, args, model_args, "online_filtered_bc", LIMITATIONS, recipe)


if __name__ == "__main__":
    run(main, ScriptArguments, OnlineFilteredBCConfig, ModelConfig)
