"""Tiny language models with random weights, one of every causal architecture that transformers knows."""

import json
from pathlib import Path
from typing import Any

import torch
from random_model import VOCABULARY
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

MODEL_TYPES = tuple(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
WINDOW, CONTEXT = 16, 160
DATA = json.loads((Path(__file__).parent / "data" / "tiny_models.json").read_text(encoding="utf-8"))
# By the name that a config gives it; a config takes those that it has.
SIZES: dict[str, Any] = DATA["sizes"]
# By model type: settings that its shape wants besides, or instead.
OVERRIDES: dict[str, dict[str, Any]] = DATA["overrides"]
# Types whose code allows single precision only.
SINGLE = frozenset(DATA["single"])
# By model type: why no tiny model can be made.
LEFT_OUT: dict[str, str] = DATA["left_out"]


def tiny_settings(config: PreTrainedConfig) -> dict[str, Any]:
    """The settings that make a config tiny: one layer of every kind that it has, and at least two."""
    names = {*vars(config), *config.attribute_map}
    settings = {name: value for name, value in SIZES.items() if name in names}
    if "kv_lora_rank" in names:  # latent attention has one key head a query head
        settings |= {"num_key_value_heads": SIZES["num_attention_heads"], "head_dim": SIZES["qk_rope_head_dim"]}
    kinds = list(dict.fromkeys(getattr(config, "layer_types", None) or ()))
    # Some types make the list themselves, from settings of another name.
    stored = config.attribute_map.get("layer_types", "layer_types")
    if kinds and not isinstance(getattr(type(config), stored, None), property):
        layers = kinds * 2 if len(kinds) == 1 else kinds
        settings |= {"layer_types": layers, "num_hidden_layers": len(layers)}
    return settings


def tiny_config(model_type: str) -> PreTrainedConfig:
    """The config of a tiny model of a type of transformers' causal language models."""
    config_class = CONFIG_MAPPING[model_type]
    default = config_class()
    settings = tiny_settings(default)
    text = default.get_text_config()
    for name, value in vars(default).items():
        if isinstance(value, PreTrainedConfig):
            nested = tiny_settings(value) | {"model_type": value.model_type}
            settings[name] = nested | (OVERRIDES.get(value.model_type, {}) if value is text else {})
    overrides = OVERRIDES.get(model_type, {})
    for name, value in overrides.items():
        if isinstance(value, dict) and isinstance(settings.get(name), dict):
            settings[name] = settings[name] | value
        else:
            settings[name] = value
    return config_class(**settings)


def tiny_model(model_type: str, seed: int = 0, **settings: Any) -> Any:
    """A tiny model in double precision whose likeliest tokens depend on the whole context.

    Args:
        model_type (`str`): one of transformers' causal language models.
        seed (`int`, *optional*, defaults to `0`): of the weights.
        settings: of its text config, besides those that make it tiny.
    """
    config = tiny_config(model_type)
    for name, value in settings.items():
        setattr(config.get_text_config(), name, value)
    for scale in (4.0, 2.0, 1.0, 8.0):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, experts_implementation="eager").eval()
        model = model.float() if model_type in SINGLE else model.double()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim >= 2:
                    parameter.mul_(scale)
            ids = torch.randint(3, VOCABULARY, (12, 20), generator=torch.Generator().manual_seed(seed))
            if len(set(model(input_ids=ids, use_cache=False).logits[:, -1].argmax(-1).tolist())) > 3:
                break
    return model
