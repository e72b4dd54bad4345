"""Behaviour cloning needs no code: `trl sft` trains from a built dataset, on the agent's tokens alone."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import forked
import pytest
import torch
from cases import release
from datasets import load_dataset
from tokenizer_kinds import build
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer
from trl.scripts import sft

from lmrl_data import Episode
from lmrl_data.tokenization import TurnTokenizer
from lmrl_recipes.filtered_bc import sft_rows
from lmrl_recipes.tiny_model import make_model
from lmrl_recipes.training import guarded
from lmrl_recipes.training.offline import load_rows, make_items

pytestmark = pytest.mark.slow

TEMPLATE = Path(__file__).parents[2] / "recipes" / "text_game.jinja"
CONFIGS: dict[str, dict[str, Any]] = {
    "fully_observed_steps": {},
    "partially_observed": {"assistant_only_loss": True, "chat_template_path": str(TEMPLATE)},
}


@pytest.mark.parametrize("config", CONFIGS)
def test_the_loss_is_on_the_agents_tokens_alone(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    monkeypatch.chdir(workshop)
    rows = load_dataset("lmrl/maze", config, split="train[:4]")
    args = SFTConfig(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", max_length=None, **CONFIGS[config]
    )
    tokenizer = AutoTokenizer.from_pretrained("bc")
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained("bc"), args=args, train_dataset=rows, processing_class=tokenizer
    )
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(len(rows))])
    turns = TurnTokenizer(tokenizer)
    for row, ids, labels in zip(rows, batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True):
        if "messages" in row:
            trajectory = turns.trajectory(Episode.from_row(row).turns)
            expected = [(i, acted) for i, acted in zip(trajectory.input_ids, trajectory.action_mask, strict=True)]
        else:
            prompt = [i for message in row["prompt"] for i in turns.content_ids(message["content"] + "\n")]
            action = turns.action_ids(row["completion"][0]["content"])
            expected = [(i, 0) for i in prompt] + [(i, 1) for i in action]
        # What the value recipes learn from is, token by token, what `trl sft` clones.
        assert ids[: len(expected)] == [i for i, _ in expected]
        assert labels[: len(expected)] == [i if acted else -100 for i, acted in expected]
        assert set(labels[len(expected) :]) <= {-100, tokenizer.eos_token_id}


@pytest.mark.parametrize("config", [release("partially_observed"), "fully_observed_steps"])
def test_trl_sft_trains_from_the_built_dataset(workshop: Path, tmp_path: Path, config: str) -> None:
    settings = {
        "model_name_or_path": "bc", "dataset_name": "lmrl/maze", "dataset_config": config, "output_dir": tmp_path,
        "max_steps": 2, "use_cpu": True, "bf16": False, "report_to": "none", "save_strategy": "no",
        "per_device_train_batch_size": 4, "max_length": 4096, **CONFIGS[config],
    }  # fmt: skip
    flags = [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
    if config == "partially_observed":  # the other leaves out the ten seconds that the command needs to import twice
        command = [str(Path(sys.executable).parent / "trl"), "sft", *flags]
        done = subprocess.run(command, cwd=workshop, capture_output=True, text=True, timeout=400, check=False)
    else:
        environment = os.environ | {"HF_DATASETS_CACHE": str(workshop / "cache")}
        # As `lmrl-train bc --overwrite_output_dir` runs it, over a run that was here before.
        (tmp_path / "checkpoint-99").mkdir()
        done = forked.run(
            [guarded.__file__, sft.__file__, *flags], folder=workshop, output=tmp_path / "log", environment=environment
        )
    assert done.returncode == 0, done.stderr[-3000:]
    AutoModelForCausalLM.from_pretrained(tmp_path)
    assert not (tmp_path / "checkpoint-99").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "template"),
    [release("llama2", "text_game_bos"), ("llama3", "text_game_bos"), release("gpt2_prefix_space", "text_game")],
)
def test_trl_sft_and_filtered_bc_train_the_same_policy(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, template: str
) -> None:
    monkeypatch.chdir(workshop)
    tokenizer = build(kind, (TEMPLATE.parent / f"{template}.jinja").read_text(encoding="utf-8"))
    episodes = load_rows("lmrl/maze", "fully_observed", "train").select(range(4))
    steps = load_dataset("lmrl/maze", "fully_observed_steps", split="train")
    steps = steps.filter(lambda row: row["episode"] < len(episodes))
    items = make_items(episodes, tokenizer, gamma=1.0, stride=10)
    trained = []
    for rows in (steps, sft_rows(items)):
        args = SFTConfig(
            output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", max_length=None, max_steps=3,
            learning_rate=1e-3, save_strategy="no", disable_tqdm=True, gradient_checkpointing=False,
        )  # fmt: skip
        model = make_model(tokenizer, "tiny", seed=0)
        trainer = SFTTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer)
        trainer.train()
        trained.append(model.state_dict())
    assert len(steps) == len(items)
    assert all(torch.equal(weights, trained[1][name]) for name, weights in trained[0].items())
