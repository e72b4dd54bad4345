"""Which settings a recipe refuses because nothing would read them, which ones need another, and the range of numbers.

TRL's and transformers' configs have some 250 fields. `tests/data/recipe_settings.tsv` says of each which code reads it
in which recipe; the others are refused here, before anything is loaded.
"""

import math
import tempfile
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from lmrl_data.errors import UserError, require, unknown

Reasons = Mapping[str, str]
_T = TypeVar("_T")

_NOT_EVALUATED = "policies are scored in the simulator, with simulator_episodes and simulator_steps"
_NOT_QUANTIZED = "the recipes do not quantize; use_peft saves memory"
_PUSHED_ONCE = "push_to_hub pushes the finished run, once"
_OWN_ITEMS = "the recipe makes the token ids and labels of an episode itself"
_OWN_MODEL = "the recipe loads the model itself; dtype, attn_implementation and model_revision are settings of its own"
_OWN_ROUNDS = "batches come from the simulator, and rounds or max_steps say how long"
_OWN_LOSS = "loss_type is dapo: a mean over the action tokens of an update, on all processes"
_OWN_VALUE_LOSS = "the loss is a mean over the action tokens of a step, on all processes"
_WHOLE_DISTRIBUTION = "online recipes sample from the whole distribution"
_NOT_RESAMPLED = "old log-probabilities are the training model's own, whichever engine sampled"
_ONE_REWARD = "rewards are the simulator's"
_NOT_SHOWN = "lmrl-eval run saves episodes"


def _all(names: str, value: _T) -> dict[str, _T]:
    return dict.fromkeys(names.split(), value)


REFUSED: dict[str, str] = {
    **_all(
        "eval_strategy eval_steps eval_delay per_device_eval_batch_size prediction_loss_only eval_on_start "
        "eval_do_concat_batches eval_use_gather_object eval_accumulation_steps include_for_metrics batch_eval_metrics "
        "do_eval do_predict load_best_model_at_end metric_for_best_model greater_is_better bf16_full_eval "
        "fp16_full_eval label_names dataset_test_split",
        _NOT_EVALUATED,
    ),
    **_all(
        "load_in_8bit load_in_4bit bnb_4bit_quant_type use_bnb_nested_quant bnb_4bit_quant_storage", _NOT_QUANTIZED
    ),
    **_all("hub_strategy hub_always_push hub_revision", _PUSHED_ONCE),
    **_all("remove_unused_columns length_column_name", _OWN_ITEMS),
    "hub_token": "it does not belong in a recipe; run `hf auth login`",
    "do_train": "a recipe always trains",
    "dataset_streaming": "a dataset is read as a whole",
    "ignore_bias_buffers": "models are wrapped as they are",
    "lora_task_type": "a policy is a causal language model",
}
SUPERVISED: Reasons = REFUSED | {
    **_all(
        "dataset_text_field dataset_kwargs dataset_num_proc completion_only_loss assistant_only_loss packing "
        "packing_strategy padding_free truncation_mode",
        _OWN_ITEMS,
    ),
    **_all("eos_token pad_token", "they are the checkpoint's; save them there first"),
    "eval_packing": _NOT_EVALUATED,
    "model_init_kwargs": _OWN_MODEL,
    "trust_remote_code": "no code of a checkpoint is run",
}
VALUES: Reasons = REFUSED | {
    **_all("label_smoothing_factor average_tokens_across_devices", _OWN_VALUE_LOSS),
    **_all("use_liger_kernel liger_kernel_config", "its kernels do not know value models"),
    "dtype": "values are trained in float32; bf16 computes in bfloat16",
}
ONLINE: Reasons = REFUSED | {
    **_all(
        "num_train_epochs data_seed train_sampling_strategy auto_find_batch_size shuffle_dataset ignore_data_skip "
        "include_num_input_tokens_seen pad_to_multiple_of dataloader_drop_last dataloader_num_workers "
        "dataloader_pin_memory dataloader_persistent_workers dataloader_prefetch_factor "
        "dataloader_multiprocessing_context dataloader_in_order",
        _OWN_ROUNDS,
    ),
    **_all(
        "loss_type label_smoothing_factor average_tokens_across_devices importance_sampling_level "
        "mask_truncated_completions sapo_temperature_neg sapo_temperature_pos vespo_k_pos vespo_lambda_pos "
        "vespo_k_neg vespo_lambda_neg",
        _OWN_LOSS,
    ),
    **_all("top_p top_k min_p repetition_penalty", _WHOLE_DISTRIBUTION),
    **_all(
        "vllm_importance_sampling_correction vllm_importance_sampling_mode vllm_importance_sampling_clip_max "
        "vllm_importance_sampling_clip_min vllm_importance_sampling_cap",
        _NOT_RESAMPLED,
    ),
    **_all("reward_weights multi_objective_aggregation", _ONE_REWARD),
    **_all(
        "log_completions num_completions_to_print log_unique_prompts log_multimodal log_completions_hub_repo",
        _NOT_SHOWN,
    ),
    "num_generations_eval": _NOT_EVALUATED,
    "max_tool_calling_iterations": "actions are texts",
    "chat_template_kwargs": "the chat template is the checkpoint's",
    "model_init_kwargs": _OWN_MODEL,
    "trust_remote_code": "no code of a checkpoint is run",
}
NO_DATASET = _all("dataset_name dataset_config dataset_train_split", "the recipe plays; task and task_config say what")
NO_GROUPS = _all("num_generations scale_rewards", "only GRPO compares episodes of the same start")
NO_LOSS_KL = _all("use_bias_correction_kl", "there is no KL divergence in the loss")
NO_SYNC = _all("sync_ref_model ref_model_mixup_alpha ref_model_sync_steps", "the initial policy stays what it is")
NO_KL = NO_LOSS_KL | NO_SYNC | {"beta": "online filtered BC has no KL penalty"}


class Need(NamedTuple):
    """The setting without which another one does nothing; `True` stands for any value but 0 and none."""

    setting: str
    value: Any = True


NEEDS: Mapping[str, Need] = {
    **_all(
        "lora_r lora_alpha lora_dropout lora_target_modules lora_target_parameters lora_modules_to_save "
        "use_rslora use_dora",
        Need("use_peft"),
    ),
    **_all(
        "vllm_mode vllm_model_impl vllm_enable_sleep_mode vllm_structured_outputs_regex "
        "vllm_server_base_url vllm_server_host vllm_server_port vllm_server_timeout vllm_group_port "
        "vllm_gpu_memory_utilization vllm_max_model_length vllm_tensor_parallel_size",
        Need("use_vllm"),
    ),
    "top_fraction": Need("filter", "top"),
    "cache_implementation": Need("reuse_cache", False),
    "generation_kwargs": Need("reuse_cache", False),
    "ds3_gather_for_generation": Need("deepspeed"),
    "transformers_continuous_batching_config": Need("use_transformers_continuous_batching"),
    "entropy_coef_min": Need("use_adaptive_entropy"),
    "entropy_coef_max": Need("use_adaptive_entropy"),
    "entropy_coef_delta": Need("use_adaptive_entropy"),
    "entropy_target": Need("use_adaptive_entropy"),
    "sync_ref_model": Need("beta"),
    "use_bias_correction_kl": Need("beta"),
    "ref_model_mixup_alpha": Need("sync_ref_model"),
    "ref_model_sync_steps": Need("sync_ref_model"),
    "kl_horizon": Need("kl_target"),
}
CLONING_NEEDS = dict.fromkeys(
    ("dataset_name", "dataset_config", "dataset_train_split", "bc_batch_size", "window_stride"), Need("bc_weight")
)


class Range(NamedTuple):
    """The numbers that a setting takes."""

    low: float
    high: float = math.inf
    above: bool = False  # whether `low` itself is refused
    below: bool = False  # whether `high` itself is refused

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        return (self.low < value if self.above else self.low <= value) and (
            value < self.high if self.below else value <= self.high
        )

    def __str__(self) -> str:
        low = f"above {self.low:.12g}" if self.above else f"at least {self.low:.12g}"
        if self.low == -math.inf:
            return "a finite number"
        if self.high == math.inf:
            return low
        if not self.above and not self.below:
            return f"from {self.low:.12g} to {self.high:.12g}"
        return f"{low} and {'below' if self.below else 'at most'} {self.high:.12g}"


_SHARE, _ANY = Range(0, 1), Range(-math.inf)
RANGES: Mapping[str, Range] = {
    **_all(
        "per_device_train_batch_size gradient_accumulation_steps window_stride lora_r lora_alpha rounds "
        "rollout_batch_size max_turns max_tokens max_completion_length num_iterations "
        "steps_per_generation num_generations bc_batch_size dataloader_prefetch_factor max_length "
        "ref_model_sync_steps torch_empty_cache_steps pad_to_multiple_of",
        Range(1),
    ),
    **_all(
        "learning_rate critic_learning_rate weight_decay max_grad_norm warmup_steps simulator_episodes "
        "simulator_steps cql_weight beta value_coef bc_weight max_examples epsilon epsilon_high "
        "logging_steps save_steps dataloader_num_workers neftune_noise_alpha adam_epsilon "
        "save_total_limit",
        Range(0),
    ),
    **_all(
        "num_train_epochs reward_scale temperature kl_target kl_horizon kl_stop value_clip delta",
        Range(0, above=True),
    ),
    **_all(
        "gamma gae_lambda ref_model_mixup_alpha label_smoothing_factor",
        _SHARE,
    ),
    **_all(
        "adam_beta1 adam_beta2 lora_dropout",
        Range(0, 1, below=True),
    ),
    **_all(
        "polyak top_fraction",
        Range(0, 1, above=True),
    ),
    "top_entropy_quantile": _SHARE,
    "tau": Range(0, 1, above=True, below=True),
    "seed": Range(0, 2**32 - 1),
    "data_seed": Range(0, 2**32 - 1),
    "max_steps": Range(-1),
    "value_bias": _ANY,
}
CHOICES: Mapping[str, Sequence[Any]] = {
    "attn_implementation": ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"),
    "scale_rewards": ("group", "batch", "none", "True", "False"),
    "loss_type": ("nll", "dft", "dapo"),
}


def check_settings(values: Mapping[str, Any], configs: Iterable[Any]) -> None:
    """Refuses settings that would do nothing, and numbers out of range.

    Args:
        values (`Mapping`): every setting by name, defaults included, before the configs are made of them.
        configs (`Iterable`): the config classes. `refused` and `needs` of one of them say what its recipe refuses.

    Raises:
        UserError: for the first setting that is refused; the message says why and what to do.
    """
    configs = list(configs)
    refused: Reasons = {}
    needs: Mapping[str, Need] = NEEDS
    for config in configs:
        refused = {**refused, **getattr(config, "refused", {})}
        needs = {**needs, **getattr(config, "needs", {})}
    for config in configs:
        hints = typing.get_type_hints(config)
        for name, field in config.__dataclass_fields__.items():
            default = field.default if field.default_factory is MISSING else field.default_factory()
            value = values.get(name, default)
            if value == default or (value is False and default == "no"):  # YAML and flags read "no" as false
                continue
            if name in refused:
                raise UserError(f"leave {name} out: {refused[name]}")
            optional = type(None) in typing.get_args(hints[name])
            if value is None and optional:
                continue
            if name in RANGES and value not in RANGES[name]:
                raise UserError(f"{name} is {RANGES[name]}, got {value}")
            if name in CHOICES and str(value) not in CHOICES[name]:
                raise unknown(name, value, CHOICES[name])
            if name in needs:
                _check_need(name, needs[name], values)


def _check_need(name: str, need: Need, values: Mapping[str, Any]) -> None:
    if need.setting not in values:
        return
    value = values[need.setting]
    if value == need.value or (need.value is True and value):
        return
    wanted = need.setting if need.value is True else f"{need.setting} {str(need.value).lower()}"
    raise UserError(f"{name} does nothing without {wanted}: set that, or leave {name} out")


# --- what the machine has


def check_machine(args: Any) -> None:
    """Refuses a run whose tracker or optimizer is not installed, or whose output folder cannot be written.

    Args:
        args (`TrainingArguments`): of the run.

    Raises:
        UserError: if the run would fail later; the message says what to install or to change.
    """
    from torch import nn
    from transformers import Trainer
    from transformers.integrations import get_available_reporting_integrations
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    for tracker in args.report_to:
        if tracker not in INTEGRATION_TO_CALLBACK:
            raise unknown("report_to", tracker, ["none", *sorted(INTEGRATION_TO_CALLBACK)])
        if tracker == "trackio":
            require("trackio", extra="track")
        elif tracker not in get_available_reporting_integrations():
            raise UserError(f"report_to {tracker}: it is not installed; install it, or set report_to none")
    try:
        model: Any = nn.Linear(1, 1)
        Trainer.get_optimizer_cls_and_kwargs(args, model)
    except (ImportError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        if "install" in reason:  # other complaints are about the small model above
            raise UserError(f"optim {args.optim.value}: {reason}") from None
    check_folder(Path(args.output_dir))


def check_folder(folder: Path) -> None:
    """Raises a `UserError` if the output folder of a run cannot be written; leaves nothing behind."""
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UserError(f"cannot write to output_dir {folder}: {error.strerror}") from None
