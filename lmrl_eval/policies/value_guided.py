"""Value-guided decoding: a frozen behaviour LM whose logits are tilted by the action values of a second network.

A checkpoint is one folder: the root is the behaviour LM, which plain transformers loads; `value_model/` is a trunk
with Q and V heads of its own. Paper appendix A: the policy's logits are log pi_beta + beta * min(Q1, Q2).
"""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.utils import logging

from lmrl_data.errors import UserError
from lmrl_eval.policies.language_model import LanguageModelPolicy

VALUE_FOLDER = "value_model"
Q_HEADS = ("q1", "q2")


class Values(NamedTuple):
    """What a value model says at the chosen positions.

    Args:
        q (`list[torch.Tensor]`): one tensor `[..., vocab]` per Q head, the values of every next token.
        v (`torch.Tensor`, *optional*): the values of the states `[...]`, where the model has a V head.
    """

    q: list[torch.Tensor]
    v: torch.Tensor | None


class ValueHead(nn.Module):
    """Two layers with a ReLU between; the second starts at zero, so that every value starts at the bias."""

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
    """The class of a transformers trunk (e.g. `LlamaModel`) with value heads; the heads' names are in its config."""

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

    # transformers writes the class's name into config.json and looks it up again when loading.
    ValueModel.__name__ = ValueModel.__qualname__ = trunk.__name__
    return ValueModel


def _value_class(config: PreTrainedConfig) -> Any:
    return value_model_class(AutoModel._model_mapping[type(config)])


def new_value_model(checkpoint: str, heads: tuple[str, ...], bias: float = 0.0, **kwargs: Any) -> Any:
    """A value model whose trunk is a language model's, with fresh heads.

    Args:
        checkpoint (`str`): the language model, usually the behaviour-cloned one.
        heads (`tuple[str, ...]`): among `"q1"`, `"q2"`, `"v"`.
        bias (`float`, *optional*, defaults to `0.0`): what all values start at.
    """
    config = AutoConfig.from_pretrained(checkpoint)
    config.value_heads = list(heads)
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # or it would report, at length, that the heads are not in the checkpoint
    try:
        model = _value_class(config).from_pretrained(checkpoint, config=config, **kwargs)
    finally:
        logging.set_verbosity(verbosity)
    for name in heads:
        getattr(model, name).reset(bias)
    return model


def load_value_model(folder: str, **kwargs: Any) -> Any:
    """A value model saved with `save_pretrained`.

    Raises:
        UserError: if the folder holds some other model, or not all of the heads.
    """
    try:
        config = AutoConfig.from_pretrained(folder)
    except (OSError, ValueError):
        raise UserError(f"{folder} is no value model: it has no config.json that transformers can read") from None
    if not getattr(config, "value_heads", None):
        raise UserError(
            f"{folder} is no value model: its config.json names no value_heads; train one with recipes/ilql.py"
        )
    model, loading = _value_class(config).from_pretrained(
        folder, use_safetensors=True, output_loading_info=True, **kwargs
    )
    if loading["missing_keys"]:
        raise UserError(f"{folder} is damaged: it has no weights for {min(loading['missing_keys'])}")
    return model


@functools.cache
def guided_class(base: type) -> Any:
    """The class of a causal LM whose `forward` adds `beta` * min(Q) of `value_model` to the logits.

    One cache serves both networks: the value model's attention layers are numbered after the LM's. It runs first,
    while the cache's layer 0 still tells the length of the past.
    """

    class ValueGuidedModel(base):
        beta: float = 0.0

        def attach(self, value_model: Any, beta: float) -> None:
            self.value_model = value_model
            self.beta = beta
            offset = self.config.get_text_config().num_hidden_layers
            attentions = [module for module in value_model.modules() if hasattr(module, "layer_idx")]
            for module in attentions:
                module.layer_idx += offset
            self.num_cache_layers = 1 + max(module.layer_idx for module in attentions)

        def forward(
            self,
            input_ids: torch.Tensor | None = None,
            past_key_values: Any = None,
            use_cache: bool | None = None,
            logits_to_keep: int | torch.Tensor = 0,
            **kwargs: Any,
        ) -> CausalLMOutputWithPast:
            if use_cache is None:
                use_cache = self.config.get_text_config().use_cache
            if use_cache and past_key_values is None:
                past_key_values = DynamicCache()
            if isinstance(past_key_values, DynamicCache):
                missing = self.num_cache_layers - len(past_key_values.layers)
                past_key_values.layers.extend(DynamicLayer() for _ in range(missing))
            shared = {"past_key_values": past_key_values, "use_cache": use_cache, **kwargs}
            keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
            both = {name: shared[name] for name in ("attention_mask", "position_ids") if name in shared}
            values = self.value_model(
                input_ids, past_key_values=past_key_values, use_cache=use_cache, positions=keep, **both
            )
            output = super().forward(input_ids, logits_to_keep=logits_to_keep, **shared)
            output.logits = output.logits + self.beta * functools.reduce(torch.minimum, values.q)
            return output

    ValueGuidedModel.__name__ = ValueGuidedModel.__qualname__ = base.__name__
    return ValueGuidedModel


def guide(behavior: Any, value_model: Any, beta: float) -> Any:
    """Turns a loaded causal LM into a value-guided one, in place; `generate` and all else work as before."""
    base: Any = type(behavior)
    behavior.__class__ = guided_class(base)
    behavior.attach(value_model, beta)
    return behavior


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
    """The policy of a value-guided checkpoint.

    Args:
        path (`str`): the checkpoint folder.
        beta (`float`, *optional*): how much the values count; by default what the recipe recommends.
    """
    behavior = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, use_safetensors=True)
    value_model = load_value_model(str(Path(path) / VALUE_FOLDER), dtype=torch.float32)
    if beta is None:
        beta = getattr(value_model.config, "beta", None)
    if beta is None:
        raise UserError(f"{path} recommends no beta: give one, e.g. --beta 16")
    model = guide(behavior, value_model, beta).to(device)
    tokenizer = AutoTokenizer.from_pretrained(path)
    return LanguageModelPolicy(
        model, tokenizer, name=name, seed=seed, temperature=temperature, max_new_tokens=max_new_tokens
    )
