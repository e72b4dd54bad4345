"""The online recipes' trainer with advantages that mean nothing, on eight short episodes of the maze."""

from pathlib import Path
from typing import Any

import numpy as np
from trl import ModelConfig, get_peft_config

from lmrl_recipes.training.offline import load_language_model
from lmrl_recipes.training.online import OnlineConfig, OnlineTrainer, PlayedEpisode

QUIET: dict[str, Any] = {"use_cpu": True, "report_to": "none", "save_strategy": "no", "disable_tqdm": True}
# Eight short episodes a round; an untrained model says nonsense, and a Markov task repeats itself.
SMALL: dict[str, Any] = {
    "task": "maze", "task_config": "fully_observed", "max_turns": 3, "max_completion_length": 3, "rounds": 1,
    "per_device_train_batch_size": 8, "steps_per_generation": 1, "max_grad_norm": 0.0, "weight_decay": 0.0,
}  # fmt: skip


class PlainTrainer(OnlineTrainer):
    """Advantages that differ from token to token, and mean nothing."""

    _tag_names = ["trl", "plain"]  # noqa: RUF012
    _name = "plain"

    def assign(self, episodes: list[PlayedEpisode]) -> list[PlayedEpisode]:
        for number, episode in enumerate(episodes):
            for sequence in episode.sequences:
                waves = np.sin(number + np.arange(len(sequence.input_ids)) ** 2)
                sequence.advantages = np.where(sequence.action_mask, waves, 0.0)
        return episodes


def make_trainer(checkpoint: Path, folder: Path, peft: bool = False, **settings: Any) -> Any:
    args = OnlineConfig(output_dir=str(folder), **QUIET | SMALL | settings)
    model, tokenizer = load_language_model(str(checkpoint))
    lora = get_peft_config(ModelConfig(use_peft=peft, lora_r=4))
    return PlainTrainer(model=model, args=args, processing_class=tokenizer, peft_config=lora)
