"""Value-guided decoding: a frozen behavior LM whose logits are tilted by the action values of a second network.

A checkpoint is one folder. Its root is the behavior LM, which plain transformers loads; `value_model/` is a second
trunk with Q and V heads. By the paper's appendix A the policy's logits are log pi_beta + beta * min(Q1, Q2).
"""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import (
    AutoModel,
    Cache,
    DynamicCache,
    GenerationMixin,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.cache_utils import DynamicLayer
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.utils import logging

from lmrl_data.errors import UserError
from lmrl_eval.policies.attention import check_plays, kept_length
from lmrl_eval.policies.language_model import LanguageModelPolicy
from lmrl_eval.policies.loader import load_config, load_language_model, load_tokenizer, weights_digest

VALUE_FOLDER = "value_model"
Q_HEADS = ("q1", "q2")


class Values(NamedTuple):
    """A value model's output at the chosen positions.

    Args:
        q (`list[torch.Tensor]`): one tensor `[..., vocab]` per Q head: the value of every next token.
        v (`torch.Tensor`, *optional*): the values of the states `[...]`; `None` without a V head.
    """

    q: list[torch.Tensor]
    v: torch.Tensor | None


class ValueHead(nn.Module):
    """Two layers with a ReLU between them; the second starts at zero, so every value starts at the bias."""

    def __init__(self, hidden_size: int, num_outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(hidden_size, hidden_size)
        self.output = nn.Linear(hidden_size, num_outputs)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.output(torch.relu(self.hidden(states)))

    def reset(self, bias: float) -> None:
        nn.init.normal_(self.hidden.weight, std=self.hidden.in_features**-0.5)
        nn.init.zeros_(self.hidden.bias)
        nn.init.zeros_(self.output.weight)
        nn.init.constant_(self.output.bias, bias)


@functools.cache
def value_model_class(trunk: type) -> Any:
    """A transformers trunk's class (e.g. `LlamaModel`) with value heads; its config lists them as `value_heads`."""

    class ValueModel(trunk):
        def __init__(self, config: PreTrainedConfig, *args: Any, **kwargs: Any) -> None:
            super().__init__(config, *args, **kwargs)
            text = config.get_text_config()
            for name in config.value_heads:
                setattr(self, name, ValueHead(text.hidden_size, 1 if name == "v" else text.vocab_size))
            self.post_init()

        def forward(self, *args: Any, positions: Any = slice(None), **kwargs: Any) -> Values:
            """The values at `positions`: a slice of the time axis, or a boolean mask `[batch, time]`."""
            states = super().forward(*args, **kwargs).last_hidden_state
            states = states[positions] if isinstance(positions, torch.Tensor) else states[:, positions]
            heads = self.config.value_heads
            return Values(
                [getattr(self, name)(states) for name in heads if name in Q_HEADS],
                self.v(states).squeeze(-1) if "v" in heads else None,
            )

    # transformers writes the class's name into config.json and looks it up when it loads the model. By name and module
    # it knows how a checkpoint stores weights, e.g. those of experts; a class of another module keeps random ones.
    ValueModel.__name__ = ValueModel.__qualname__ = trunk.__name__
    ValueModel.__module__ = trunk.__module__
    return ValueModel


def _value_class(config: PreTrainedConfig) -> Any:
    try:
        trunk = AutoModel._model_mapping[type(config)]
    except KeyError:
        raise UserError(f"a model of type {config.model_type} has no trunk that could carry value heads") from None
    return value_model_class(trunk)


def new_value_model(checkpoint: str, heads: tuple[str, ...], bias: float = 0.0, **kwargs: Any) -> Any:
    """A value model with a language model's trunk and new heads.

    Args:
        checkpoint (`str`): the language model, usually the behavior-cloned one.
        heads (`tuple[str, ...]`): some of `"q1"`, `"q2"`, `"v"`.
        bias (`float`, *optional*, defaults to `0.0`): the initial value of every state and action.

    Raises:
        UserError: if the model has no trunk that could carry heads, or the checkpoint lacks weights of it.
    """
    config = load_config(checkpoint, **{name: kwargs[name] for name in ("revision",) if name in kwargs})
    config.value_heads = list(heads)
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # transformers would warn at length that the checkpoint has no heads
    try:
        model, loading = _value_class(config).from_pretrained(
            checkpoint,
            config=config,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **kwargs,
        )
    finally:
        logging.set_verbosity(verbosity)
    new = tuple(f"{name}." for name in (*heads, "pooler"))  # BERT's pooler, which no language model has, is not run
    if missing := [name for name in loading["missing_keys"] if not name.startswith(new)]:
        raise UserError(f"{checkpoint} is no trunk for value heads: it has no weights for {min(missing)}")
    for name in heads:
        getattr(model, name).reset(bias)
    return model


def load_value_model(folder: str, **kwargs: Any) -> Any:
    """Loads a value model that `save_pretrained` wrote.

    Raises:
        UserError: if the folder holds another model, or lacks weights of a head.
    """
    try:
        config = load_config(folder)
    except UserError:
        raise
    except (OSError, ValueError):
        raise UserError(f"{folder} is no value model: it has no config.json that transformers can read") from None
    if not getattr(config, "value_heads", None):
        raise UserError(
            f"{folder} is no value model: its config.json names no value_heads; train one with recipes/ilql.py"
        )
    model, loading = _value_class(config).from_pretrained(
        folder, trust_remote_code=False, use_safetensors=True, output_loading_info=True, **kwargs
    )
    if loading["missing_keys"]:
        raise UserError(f"{folder} is damaged: it has no weights for {min(loading['missing_keys'])}")
    return model


class _UpperLayers(Cache):
    """The layers of a cache from number `first` on, as a cache of their own: the value model's half of it."""

    def __init__(self, cache: Cache, first: int) -> None:
        super().__init__(layers=cache.layers[first:])
        self.cache, self.first = cache, first

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self.cache.update(key_states, value_states, self.first + layer_idx, *args, **kwargs)


class ValueGuidedModel(PreTrainedModel, GenerationMixin):
    """A causal LM whose logits are its behavior LM's plus `beta` * min(Q) of a value model; `generate` works.

    Both networks share one cache: the behavior LM has its first layers and the value model those above.

    Args:
        behavior (`PreTrainedModel`): the causal LM.
        value_model (`ValueModel`): a model with Q heads, of the same vocabulary.
        beta (`float`): the weight of the values.
    """

    _supports_sdpa = _supports_flash_attn = _supports_flex_attn = _supports_attention_backend = True

    def __init__(self, behavior: Any, value_model: Any, beta: float) -> None:
        super().__init__(behavior.config)
        self.generation_config = behavior.generation_config
        self.behavior = behavior
        self.value_model = value_model
        self.beta = beta
        self.training = behavior.training

    def prepare_inputs_for_generation(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What `generate` passes to the next `forward`, as the behavior LM wants it."""
        return self.behavior.prepare_inputs_for_generation(*args, **kwargs)

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """As every model's. Only types whose keys and values can be kept write with a cache: the state of a recurrent
        network has no place for a second one."""
        if not kept_length(self):
            kwargs["use_cache"] = False
        return super().generate(*args, **kwargs)  # type: ignore[misc, operator, unused-ignore]

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        config = self.config.get_text_config()
        use_cache = config.use_cache if use_cache is None else use_cache
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache()
        first, values_cache = config.num_hidden_layers, None
        if past_key_values is not None:
            if isinstance(past_key_values, DynamicCache):
                missing = first + self.value_model.config.get_text_config().num_hidden_layers
                past_key_values.layers += [DynamicLayer() for _ in range(missing - len(past_key_values.layers))]
            values_cache = _UpperLayers(past_key_values, first)
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "position_ids": position_ids}
        values = self.value_model(**inputs, past_key_values=values_cache, use_cache=use_cache, positions=keep)
        output = self.behavior(
            **inputs, past_key_values=past_key_values, use_cache=use_cache, logits_to_keep=logits_to_keep, **kwargs
        )
        output.logits = output.logits + self.beta * functools.reduce(torch.minimum, values.q)
        return output


def save_value_model(model: Any, folder: Path) -> None:
    """Saves a value model as `value_model/` in the checkpoint of its behavior LM, which is saved before.

    Its `config.json` names the behavior LM's weights by digest: beside other weights its values mean nothing.
    """
    model.config.behavior_sha256 = weights_digest(folder)
    model.save_pretrained(folder / VALUE_FOLDER)


def load_value_guided(
    path: str,
    *,
    beta: float | None = None,
    name: str,
    seed: int = 0,
    temperature: float = 1.0,
    max_new_tokens: int = 32,
    device: str = "cpu",
) -> LanguageModelPolicy:
    """Loads the policy of a value-guided checkpoint.

    Args:
        path (`str`): the checkpoint folder.
        beta (`float`, *optional*): the weight of the values; by default the one its recipe recommends.

    Raises:
        UserError: if the value model is missing or of other weights, nobody names a beta, or the model cannot play.
    """
    behavior = load_language_model(path, dtype=torch.float32)
    value_model = load_value_model(str(Path(path) / VALUE_FOLDER), dtype=torch.float32)
    if getattr(value_model.config, "behavior_sha256", None) != weights_digest(Path(path)):
        raise UserError(
            f"{path} is no checkpoint: its {VALUE_FOLDER}/ was trained beside other weights; train it again, "
            f"or remove {VALUE_FOLDER}/ to score the language model alone"
        )
    if beta is None:
        beta = getattr(value_model.config, "beta", None)
    if beta is None:
        raise UserError(f"{path} recommends no beta: give one, e.g. --beta 16")
    model: Any = ValueGuidedModel(behavior, value_model, beta)
    model = model.to(device)
    check_plays(model)
    tokenizer = load_tokenizer(path)
    return LanguageModelPolicy(
        model, tokenizer, name=name, seed=seed, temperature=temperature, max_new_tokens=max_new_tokens
    )
