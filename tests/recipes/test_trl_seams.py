"""The inner seams of TRL and transformers that the recipes stand on: an upgrade that moves one fails here, by name."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import check_cases
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaModel, Trainer
from transformers.trainer_callback import CallbackHandler, TrainerCallback, TrainerState
from trl import SFTConfig, SFTTrainer

from lmrl_recipes import grpo, ilql, mc, online_filtered_bc, ppo
from lmrl_recipes.training import offline, online


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


# --- what the recipes override


def private_overrides(trainer: type) -> set[str]:
    """The private methods of TRL and transformers that a trainer of ours overrides."""
    ours = [each for each in trainer.__mro__ if each.__module__.startswith("lmrl_recipes")]
    theirs = [each for each in trainer.__mro__ if each not in ours]
    names = {name for each in ours for name, value in vars(each).items() if callable(value)}
    return {
        name
        for name in names
        if name.startswith("_") and not name.endswith("__") and any(hasattr(each, name) for each in theirs)
    }


@pytest.mark.parametrize("trainer", [mc.MCTrainer, ilql.ILQLTrainer])
def test_the_offline_trainers_override_what_their_table_names(trainer: type) -> None:
    assert private_overrides(trainer) == {name.removeprefix("Trainer.") for name in offline.OVERRIDDEN}


def test_the_online_trainers_override_what_their_table_names() -> None:
    named = {name.removeprefix("GRPOTrainer.") for name in online.OVERRIDDEN} - {"VLLMGeneration._iter_named_params"}
    trainers = (ppo.PPOTrainer, grpo.OnlineGRPOTrainer, online_filtered_bc.OnlineFilteredBCTrainer)
    assert {trainer.__name__: private_overrides(trainer) for trainer in trainers} == {
        trainer.__name__: named for trainer in trainers
    }


def test_accelerate_launches_one_process_by_a_function_that_can_be_replaced() -> None:
    from accelerate.commands import launch

    assert "simple_launcher(args)" in inspect.getsource(launch.launch_command)
    assert parameters_of(launch.simple_launcher) == ["args"]


def test_a_callbacks_state_is_saved_with_a_checkpoint() -> None:
    from transformers.trainer_callback import ExportableState

    assert {"state"} <= set(vars(ExportableState))
    assert "stateful_callbacks" in TrainerState.__dataclass_fields__


# --- what the online recipes stand on


def grpo_trainer(base: Path, folder: Path) -> Any:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    args = GRPOConfig(
        output_dir=str(folder), use_cpu=True, bf16=False, report_to="none", per_device_train_batch_size=2,
        num_generations=2, max_completion_length=3, loss_type="dapo", disable_dropout=True,
    )  # fmt: skip
    return GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(base),
        reward_funcs=[lambda completions, **_: [0.0] * len(completions)],
        args=args,
        train_dataset=Dataset.from_dict({"prompt": ["-"]}),
        processing_class=AutoTokenizer.from_pretrained(base),
    )


def test_the_grpo_trainer_calls_what_the_online_recipes_override() -> None:
    def check(method: str, expected: list[str]) -> None:
        from trl import GRPOTrainer

        assert parameters_of(getattr(GRPOTrainer, method))[: len(expected)] == expected

    check_cases(
        [
            ("training_step", ["self", "model", "inputs", "num_items_in_batch"]),
            ("_prepare_inputs", ["self", "generation_batch"]),
            ("compute_loss", ["self", "model", "inputs", "return_outputs", "num_items_in_batch"]),
            ("_generate_single_turn", ["self", "prompt_ids", "images", "multimodal_fields", "num_generations"]),
            (
                "_get_per_token_logps_and_entropies",
                ["self", "model", "input_ids", "attention_mask", "logits_to_keep", "batch_size", "compute_entropy"],
            ),
            ("log", ["self", "logs", "start_time"]),
            ("create_optimizer", ["self"]),
            ("save_model", ["self", "output_dir", "_internal_call"]),
        ],
        check,
    )


def test_the_grpo_config_counts_a_round_as_the_online_recipes_do(tmp_path: Path) -> None:
    from trl import GRPOConfig

    args = GRPOConfig(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, per_device_train_batch_size=2,
        gradient_accumulation_steps=3, num_generations=2,
    )  # fmt: skip
    assert (args.steps_per_generation, args.generation_batch_size, args.world_size) == (3, 6, 1)
    assert {"num_iterations", "loss_type", "temperature", "top_p", "top_k", "min_p", "repetition_penalty",
            "generation_kwargs", "vllm_importance_sampling_correction", "scale_rewards", "use_bias_correction_kl",
            "ddp_find_unused_parameters"} <= set(GRPOConfig.__dataclass_fields__)  # fmt: skip


def test_the_grpo_trainer_keeps_what_the_online_recipes_read(base: Path, tmp_path: Path) -> None:
    trainer = grpo_trainer(base, tmp_path)
    assert trainer._step == 0
    trainer._metrics["train"]["name"].append(1.0)
    assert trainer.ref_model is None
    assert {
        "beta",
        "temperature",
        "num_iterations",
        "max_completion_length",
        "use_vllm",
        "use_transformers_continuous_batching",
        "is_deepspeed_enabled",
        "is_fsdp_enabled",
    } <= set(dir(trainer))
    # It stops at the ids of the model's generation config, which the recipes set.
    assert set(trainer.eos_token_ids) == set(trainer.model.generation_config.eos_token_id)
    written, _ = trainer._generate_single_turn([[5, 6], [7]], None, {}, 1)
    assert all(1 <= len(ids) <= 3 for ids in written)


def test_the_loss_takes_advantages_by_token_a_mask_and_the_tokens_of_the_update(base: Path, tmp_path: Path) -> None:
    """For two sequences, the second of which is padded, and whose first completion token is not the policy's."""
    trainer = grpo_trainer(base, tmp_path)
    trainer.args.steps_per_generation = 4
    trainer.current_gradient_accumulation_steps = 2
    ids, acted = torch.tensor([[5, 6, 7, 8], [5, 9, 10, 0]]), torch.tensor([[0, 1, 1], [0, 1, 0]])
    completion_mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    advantages = torch.tensor([[9.0, 1.0, -2.0], [9.0, 3.0, 9.0]])
    trainer.model.train()
    with torch.no_grad():
        logps, entropies, _ = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, torch.cat([torch.ones(2, 1), completion_mask], 1), 3
        )
        plain = AutoModelForCausalLM.from_pretrained(base)(input_ids=ids).logits.log_softmax(-1)
        loss = trainer.compute_loss(
            trainer.model,
            {
                "prompt_ids": ids[:, :1], "prompt_mask": torch.ones(2, 1), "completion_ids": ids[:, 1:],
                "completion_mask": completion_mask, "tool_mask": acted, "advantages": advantages,
                "old_per_token_logps": logps - torch.tensor(0.1), "num_items_in_batch": torch.tensor(6.0),
            },
        )  # fmt: skip
    assert entropies is None
    expected = plain[:, :-1].gather(2, ids[:, 1:, None])[:, :, 0]
    assert torch.allclose(logps * acted, expected * acted, atol=1e-5)
    # The ratio is exp(0.1) and not clipped; 6 tokens, two of four steps.
    assert loss.item() == pytest.approx(-1.1051709 * (1 - 2 + 3) / (6 * 2 / 4), rel=1e-4)


def test_a_trunks_hook_hears_the_pass_that_the_fused_head_makes(base: Path) -> None:
    from trl.trainer.grpo_trainer import add_fused_lm_head

    model = AutoModelForCausalLM.from_pretrained(base).eval()
    add_fused_lm_head(model, temperature=1.0, cast_lm_head_to_fp32=False, outputs=("log_probs", "entropy"))
    states: list[torch.Tensor] = []
    model.base_model.register_forward_hook(lambda module, args, output: states.append(output.last_hidden_state))
    ids = torch.tensor([[5, 6, 7]])
    fused = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids, fused_lm_head=True)
    assert len(states) == 1
    assert states[0].shape[:2] == (1, 3)
    # Without the word it is the plain head, as a policy that plays wants it.
    logits = model(input_ids=ids, logits_to_keep=1).logits
    assert logits.shape == (1, 1, model.config.vocab_size)
    chosen = model(input_ids=ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
    assert torch.allclose(fused.log_probs[0, -2:], chosen, atol=1e-5)


def test_without_a_name_an_adapted_model_is_the_model_as_it_was(base: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from trl.trainer.utils import use_adapter

    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=2, init_lora_weights=False)).eval()
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        before = model(input_ids=ids).logits
        with use_adapter(model, adapter_name=None):
            plain = model(input_ids=ids).logits
        after = model(input_ids=ids).logits
        expected = AutoModelForCausalLM.from_pretrained(base)(input_ids=ids).logits
    assert torch.allclose(plain, expected, atol=1e-6)
    assert torch.allclose(before, after)
    assert not torch.allclose(before, plain, atol=1e-3)


def test_vllm_is_reached_through_one_object() -> None:
    from trl import GRPOTrainer
    from trl.generation.vllm_generation import VLLMGeneration
    from trl.import_utils import is_vllm_available

    assert is_vllm_available() in (True, False)
    assert parameters_of(VLLMGeneration.generate) == ["self", "prompts", "images", "num_generations", "profiler"]
    assert parameters_of(VLLMGeneration._iter_named_params) == ["self"]
    # Weights are read through that method, and once for every step of the optimizer.
    assert "self._iter_named_params()" in inspect.getsource(VLLMGeneration.sync_weights)
    source = inspect.getsource(GRPOTrainer._generate_single_turn)
    assert "self.state.global_step != self._last_loaded_step" in source
    assert "self.vllm_generation.sync_weights()" in source


def test_callbacks_hear_before_the_optimizer_steps() -> None:
    assert callable(CallbackHandler.on_pre_optimizer_step)
    assert "self.callback_handler.on_pre_optimizer_step" in inspect.getsource(Trainer)
