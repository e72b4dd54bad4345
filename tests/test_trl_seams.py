"""The inner seams of TRL and transformers that the recipes stand on: an upgrade that moves one fails here, by name."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaModel, Trainer
from transformers.trainer_callback import CallbackHandler, TrainerCallback
from trl import SFTConfig, SFTTrainer


def parameters_of(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_there_is_a_base_trainer_that_is_transformers_trainer() -> None:
    from trl.trainer.base_trainer import _BaseTrainer

    assert issubclass(_BaseTrainer, Trainer)
    assert {"_name", "_tag_names", "loss_is_scaled_for_ga"} <= set(vars(_BaseTrainer))
    assert "dataset_name" in parameters_of(_BaseTrainer.create_model_card)


def test_there_is_a_base_config() -> None:
    from trl.trainer.base_config import _BaseConfig

    assert {"gradient_checkpointing", "bf16", "average_tokens_across_devices"} <= set(_BaseConfig.__dataclass_fields__)


def test_pad_pads_on_the_right_to_the_longest() -> None:
    from trl.trainer.utils import pad

    padded = pad([torch.tensor([1, 2]), torch.tensor([3])], padding_value=9)
    assert padded.tolist() == [[1, 2], [3, 9]]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("_get_num_items_in_batch", ["self", "batch_samples", "device"]),
        ("_load_from_checkpoint", ["self", "resume_from_checkpoint", "model"]),
        ("_save", ["self", "output_dir", "state_dict"]),
        ("log", ["self", "logs", "start_time"]),
        ("compute_loss", ["self", "model", "inputs", "return_outputs", "num_items_in_batch"]),
        ("end", ["self"]),
    ],
)
def test_the_trainer_calls_what_the_recipes_override(method: str, expected: list[str]) -> None:
    assert parameters_of(getattr(Trainer, method)) == expected


def test_a_trainer_that_scales_its_loss_is_not_scaled_again() -> None:
    assert hasattr(Trainer, "loss_is_scaled_for_ga") or "loss_is_scaled_for_ga" in inspect.getsource(Trainer)


def test_callbacks_hear_of_optimizer_steps_and_not_of_accumulation_steps() -> None:
    assert callable(CallbackHandler.on_optimizer_step)
    assert callable(TrainerCallback.on_substep_end)


def test_the_class_of_a_trunk_is_found_by_its_config() -> None:
    assert AutoModel._model_mapping[LlamaConfig] is LlamaModel


def test_caches_are_lists_of_layers_that_can_grow() -> None:
    from transformers.cache_utils import DynamicCache, DynamicLayer

    cache = DynamicCache()
    cache.layers.extend(DynamicLayer() for _ in range(2))
    states = torch.zeros(1, 1, 3, 4)
    cache.update(states, states, 1)
    assert cache.get_seq_length(1) == 3
    assert cache.get_seq_length(0) == 0


def test_the_parser_reports_what_it_does_not_know(tmp_path: Path) -> None:
    from trl import TrlParser

    (tmp_path / "recipe.yaml").write_text("nothing: 1\n")
    parser = TrlParser((SFTConfig,))
    arguments = ["--config", str(tmp_path / "recipe.yaml"), "--use_cpu", "--bf16", "False", "--other"]
    *_, unknown = parser.parse_args_and_config(arguments, return_remaining_strings=True)
    assert unknown == ["--nothing", "1", "--other"]


def test_sft_takes_tokens_with_labels_as_they_are(base: Path, tmp_path: Path) -> None:
    from datasets import Dataset

    rows = [{"input_ids": [5, 6, 7, 8], "labels": [-100, -100, 7, 8]}, {"input_ids": [9, 4], "labels": [-100, 4]}]
    args = SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", max_length=None)
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(base),
        args=args,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(base),
    )
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(2)])
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8], [9, 4, 0, 0]]
    assert batch["labels"].tolist() == [[-100, -100, 7, 8], [-100, 4, -100, -100]]
