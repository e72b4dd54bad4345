"""How much longer an ILQL step takes than a step of behavior cloning of the same model on the same batch.

Twice: on fully observed maze steps, where equal sequences go through the networks once, and on sequences of the
partially observed maze's lengths in which nothing repeats. One thread; the rounds of the two are interleaved.
"""

import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from transformers import AutoModelForCausalLM
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from lmrl_data import get_task
from lmrl_data.tokenization import TurnTokenizer, training_items
from lmrl_eval.policies.value_guided import new_value_model
from lmrl_recipes.ilql import HEADS, ILQLConfig, ILQLTrainer
from lmrl_recipes.tiny_model import make_model, train_tokenizer
from lmrl_recipes.training.offline import ItemCollator

ROUNDS = 9
BATCH_SIZES = {"fully_observed": 128, "partially_observed": 16}
Items = list[dict[str, Any]]


def maze_items(config: str, tokenizer: Any) -> Items:
    task = get_task("maze")
    simulator = task.simulator(config=config)
    turns, history = TurnTokenizer(tokenizer), task.config(config).history
    episodes = (task.generate(simulator, seed) for seed in range(150))
    return [item._asdict() for episode in episodes for item in training_items(turns, episode, history)]


def scramble(items: Items, vocabulary: int, rng: random.Random) -> Items:
    """Items of the same lengths and masks in which no sequence repeats."""
    ids = {"input_ids", "next_input_ids"}
    return [
        {name: [rng.randrange(2, vocabulary) for _ in value] if name in ids else value for name, value in item.items()}
        for item in items
    ]


def ilql_step(checkpoint: Path, tokenizer: Any) -> Callable[[Items], None]:
    args = ILQLConfig(output_dir=str(checkpoint / "out"), use_cpu=True, report_to="none")
    trainer = ILQLTrainer(
        behavior=None,
        model=new_value_model(str(checkpoint), HEADS, dtype=torch.float32),
        args=args,
        train_dataset=[],
        data_collator=ItemCollator(tokenizer.pad_token_id),
        processing_class=tokenizer,
    )
    optimizer = torch.optim.AdamW(trainer.model.parameters(), lr=1e-4)

    def step(items: Items) -> None:
        trainer.compute_loss(trainer.model, trainer.data_collator(items)).backward()
        optimizer.step()
        optimizer.zero_grad()
        trainer.update_target(args.polyak)

    return step


def bc_step(checkpoint: Path, tokenizer: Any) -> Callable[[Items], None]:
    model = AutoModelForCausalLM.from_pretrained(checkpoint, trust_remote_code=False)
    collator = DataCollatorForLanguageModeling(tokenizer.pad_token_id)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step(items: Items) -> None:
        rows = [{"input_ids": item["input_ids"], "labels": labels(item)} for item in items]
        model(**collator(rows), use_cache=False).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def labels(item: dict[str, Any]) -> list[int]:
    return [i if acted else -100 for i, acted in zip(item["input_ids"], item["action_mask"], strict=True)]


def seconds(step: Callable[[Items], None], items: Items) -> float:
    start = time.perf_counter()
    step(items)
    return time.perf_counter() - start


def main() -> None:
    torch.set_num_threads(1)
    rng = random.Random(0)
    task = get_task("maze")
    texts = [
        f"{turn.content}\n"
        for config in BATCH_SIZES
        for turn in task.generate(task.simulator(config=config), 0).turns * 2
    ]
    tokenizer = train_tokenizer(texts, 512)
    result: dict[str, Any] = {"benchmark": "ilql_step", "model": "small"}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder)
        make_model(tokenizer, "small", seed=0).save_pretrained(checkpoint)
        ilql, bc = ilql_step(checkpoint, tokenizer), bc_step(checkpoint, tokenizer)
        for config, batch_size in BATCH_SIZES.items():
            items = maze_items(config, tokenizer)
            name = config
            if config == "partially_observed":
                items, name = scramble(items, len(tokenizer), rng), "unrepeated"
            times: list[tuple[float, float]] = []
            for _ in range(ROUNDS + 2):
                batch = rng.sample(items, batch_size)
                times.append((seconds(ilql, batch), seconds(bc, batch)))
            times = times[2:]  # warm
            result[f"{name}_ilql_ms"] = round(1000 * statistics.median(one for one, _ in times), 1)
            result[f"{name}_bc_ms"] = round(1000 * statistics.median(other for _, other in times), 1)
            result[f"{name}_ratio"] = round(statistics.median(one / other for one, other in times), 2)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
