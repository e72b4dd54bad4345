"""Filtered BC: which episodes are kept, what is learned from them, and runs of the recipe."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import release
from datasets import Dataset
from transformers import AutoModelForCausalLM
from trl import ModelConfig, ScriptArguments

from lmrl_data import UserError, get_task
from lmrl_eval.policies import load_policy
from lmrl_recipes import filtered_bc
from lmrl_recipes.filtered_bc import FilteredBCConfig, kept, main, sft_rows
from lmrl_recipes.training.offline import load_language_model, load_rows, make_items

RETURNS = np.array([-5.0, -1.0, -9.0, -1.0, -3.0])
SUCCESS = np.array([False, True, False, False, True])


# --- the filters


def test_success_keeps_the_successes_in_their_order() -> None:
    assert kept(RETURNS, SUCCESS, "success", 0.1).tolist() == [1, 4]


def test_all_is_plain_cloning() -> None:
    assert kept(RETURNS, SUCCESS, "all", 0.1).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("fraction", "expected"), [(0.01, [1]), (0.2, [1]), (0.4, [1, 3]), (0.6, [1, 3, 4]), (1.0, [0, 1, 2, 3, 4])]
)
def test_top_keeps_the_highest_returns_and_of_equal_ones_the_earlier(fraction: float, expected: list[int]) -> None:
    assert kept(RETURNS, SUCCESS, "top", fraction).tolist() == expected


@pytest.mark.parametrize(
    ("success", "how", "fraction", "complaint"),
    [
        (SUCCESS, "best", 0.1, "unknown filter 'best'; choose from: success, top, all"),
        (SUCCESS, "top", 0.0, "top_fraction"),
        (SUCCESS, "top", 1.5, "top_fraction"),
        (np.zeros(5, dtype=bool), "success", 0.1, "no episode of the dataset is a success"),
    ],
)
def test_a_filter_that_leaves_nothing_or_means_nothing_is_refused(
    success: np.ndarray, how: str, fraction: float, complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint):
        kept(RETURNS, success, how, fraction)


def test_only_the_agents_tokens_are_labels() -> None:
    (row,) = sft_rows(Dataset.from_list([{"input_ids": [5, 6, 7, 8, 9], "action_mask": [0, 0, 1, 1, 0]}]))
    assert row == {"input_ids": [5, 6, 7, 8, 9], "labels": [-100, -100, 7, 8, -100]}


# --- runs


def run(output_dir: Path, *, config: str = "fully_observed", peft: bool = False, **settings: Any) -> None:
    args = FilteredBCConfig(
        output_dir=str(output_dir), per_device_train_batch_size=8, use_cpu=True, report_to="none", disable_tqdm=True,
        logging_steps=1, **settings,
    )  # fmt: skip
    data = ScriptArguments(dataset_name="lmrl/maze", dataset_config=config)
    main(data, args, ModelConfig(model_name_or_path="bc", use_peft=peft, lora_r=4))


@pytest.mark.slow
@pytest.mark.parametrize("peft", [release(False), True])
def test_a_run_leaves_a_policy_that_everything_loads(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], peft: bool
) -> None:
    monkeypatch.chdir(workshop)
    run(
        tmp_path, peft=peft, filter="top", top_fraction=0.5, max_steps=3, save_steps=3, simulator_episodes=3,
        simulator_steps=3,
    )  # fmt: skip
    assert "15 of 30 episodes kept" in capfd.readouterr().out
    assert load_policy(str(tmp_path), get_task("maze"), "fully_observed").name == tmp_path.name
    trained = AutoModelForCausalLM.from_pretrained(tmp_path).state_dict()
    before = AutoModelForCausalLM.from_pretrained("bc").state_dict()
    assert peft or any(not torch.equal(trained[name], before[name]) for name in before)
    history = json.loads((tmp_path / "checkpoint-3" / "trainer_state.json").read_text())["log_history"]
    assert len([entry for entry in history if "loss" in entry]) == 3
    assert len([entry for entry in history if "eval_return" in entry]) == 1
    assert "filtered_bc" in (tmp_path / "README.md").read_text(encoding="utf-8")
    template = "{% for m in messages %}{{ '>\\n' + m.content + '\\n' }}{% endfor %}"
    (tmp_path / "chat_template.jinja").write_text(template)
    with pytest.raises(UserError, match="was trained with another chat template"):
        load_policy(str(tmp_path), get_task("maze"), "fully_observed")


@pytest.mark.slow
def test_the_loss_is_the_mean_cross_entropy_of_the_agents_tokens(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workshop)
    rows = load_rows("lmrl/maze", "partially_observed", "train")
    model, tokenizer = load_language_model("bc")
    items = make_items(rows, tokenizer, gamma=1.0, stride=10)
    total, tokens = 0.0, 0
    with torch.no_grad():
        for item in items:
            log_probs = model.eval()(torch.tensor([item["input_ids"]])).logits[0].log_softmax(-1)
            acted = [place for place, on in enumerate(item["action_mask"]) if on]
            total -= sum(log_probs[place - 1, item["input_ids"][place]].item() for place in acted)
            tokens += len(acted)
    run(tmp_path, config="partially_observed", filter="all", max_steps=1, save_steps=1,
        gradient_accumulation_steps=-(-len(items) // 8))  # fmt: skip
    (first, *_) = json.loads((tmp_path / "checkpoint-1" / "trainer_state.json").read_text())["log_history"]
    assert first["loss"] == pytest.approx(total / tokens, rel=1e-4)


def test_a_chat_template_of_a_file_is_there_before_the_first_text_is_tokenized(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TokenizedError(Exception):
        pass

    def trainer(train_dataset: Dataset, processing_class: Any, **_: Any) -> None:
        raise TokenizedError(processing_class.decode(train_dataset[0]["input_ids"]))

    monkeypatch.chdir(workshop)
    monkeypatch.setattr(filtered_bc, "SFTTrainer", trainer)
    with pytest.raises(UserError, match="chat_template_path is a"):
        run(tmp_path, filter="all", chat_template_path="text_game")
    template = tmp_path / "chat.jinja"
    template.write_text("{% for m in messages %}{{ 'go:\\n' + m.content + eos_token }}{% endfor %}")
    with pytest.raises(TokenizedError, match=r"go:\sThe goal is .*endoftext.*go:\smove "):
        run(tmp_path, filter="all", chat_template_path=str(template))


def test_a_dataset_without_a_success_is_refused(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workshop)

    def no_success(*args: Any) -> Any:
        rows = load_rows(*args)
        return rows.select([i for i, info in enumerate(rows["info"]) if not info["success"]])

    monkeypatch.setattr(filtered_bc, "load_rows", no_success)
    with pytest.raises(UserError, match="no episode of the dataset is a success"):
        run(tmp_path, max_steps=1)
