"""What a round of PPO spends its time on: sampling actions, the simulator, or learning.

With the settings of recipes/maze/ppo.yaml and recipes/wordle/ppo.yaml, but with a quarter of a round's episodes and
no round left early, and models of the sizes those train, cloned for some seconds: what matters is that they write
actions, not how good they are. The first round is for warming up. One thread; wall time, as the trainer counts it.
"""

import contextlib
import io
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import yaml
from transformers import TrainerCallback
from trl import ModelConfig, ScriptArguments

from lmrl_data import get_task
from lmrl_data.tokenization import TurnTokenizer, training_items
from lmrl_recipes.ppo import PPOConfig, make_trainer
from lmrl_recipes.tiny_model import make_model, train_tokenizer
from lmrl_recipes.training.offline import ItemCollator, load_language_model

RECIPES = Path(__file__).parent.parent / "recipes"
SIZES = {"maze": "tiny", "wordle": "wide"}
STEPS = 60  # of cloning
ROUNDS = 2


def clone(task_id: str, config: str, folder: str) -> None:
    """Saves a model that writes actions."""
    task = get_task(task_id)
    simulator = task.simulator(config=config)
    episodes = [task.generate(simulator, seed) for seed in range(60)]
    tokenizer = train_tokenizer([f"{turn.content}\n" for each in episodes for turn in each.turns * 2], 512)
    model = make_model(tokenizer, SIZES[task_id], seed=0)
    turns, history = TurnTokenizer(tokenizer), task.config(config).history
    items = [item for each in episodes for item in training_items(turns, each, history)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        drawn = torch.randint(len(items), (16,), generator=generator).tolist()
        batch = ItemCollator(tokenizer.pad_token_id)([items[index]._asdict() for index in drawn])
        labels = torch.where(batch["action_mask"].bool(), batch["input_ids"], -100)
        model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


class Rounds(TrainerCallback):
    """Notes the seconds and the time at the end of every round."""

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self.seen: list[dict[str, float]] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step % args.updates_per_round == 0:
            self.seen.append({**self.trainer.seconds, "all": time.perf_counter()})


def measure(task_id: str) -> dict[str, Any]:
    settings = yaml.safe_load((RECIPES / task_id / "ppo.yaml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        clone(task_id, settings["task_config"], folder)
        settings |= {"output_dir": f"{folder}/out", "rounds": ROUNDS, "simulator_episodes": 0, "kl_stop": None}
        settings["per_device_train_batch_size"] //= 4
        del settings["model_name_or_path"]
        args = PPOConfig(**settings)
        model, tokenizer = load_language_model(folder)
        model_args = ModelConfig(model_name_or_path=folder)
        trainer = make_trainer(
            ScriptArguments(dataset_name="-"), model_args, model=model, args=args, processing_class=tokenizer
        )
        rounds = Rounds(trainer)
        trainer.add_callback(rounds)
        trainer.train()
        first, last = rounds.seen[0], rounds.seen[-1]
        spent = {name: last[name] - first[name] for name in first}
        (log, *_) = [entry for entry in reversed(trainer.state.log_history) if "turns/mean" in entry]
    count = len(rounds.seen) - 1
    shares = {f"{name}_percent": round(100 * spent[name] / spent["all"], 2) for name in spent if name != "all"}
    return {
        "model": SIZES[task_id],
        "episodes_a_round": args.generation_batch_size,
        "turns": round(log["turns/mean"], 1),
        "round_s": round(spent["all"] / count, 2),
        **shares,
    }


def main() -> None:
    torch.set_num_threads(1)
    for task_id in SIZES:
        print(json.dumps({"benchmark": "ppo_time", "task": task_id, **measure(task_id)}), flush=True)


if __name__ == "__main__":
    main()
