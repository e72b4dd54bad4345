"""Tokenizers of the maze's words and small language models with random weights, of several architectures."""

from collections.abc import Callable
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lmrl_data.tasks.maze.grid import ACTIONS, grid

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEMPLATES = {"raw": None, "chatml": CHATML}


def make_tokenizer(template: str | None) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of about 300 tokens that knows the maze's words."""
    maze = grid()
    texts = [*maze.positions.values(), *maze.walls.values(), *ACTIONS]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|end|>", "<|im_start|>", "<|im_end|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator([f"{text}\n" for text in texts * 3], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>" if template else "<|end|>")
    fast.chat_template = template
    return fast


TOKENIZERS = {name: make_tokenizer(template) for name, template in TEMPLATES.items()}
VOCABULARY = len(TOKENIZERS["raw"])
ENDS = TOKENIZERS["raw"].convert_tokens_to_ids(["<|im_end|>", "Ċ"])


def make_llama(**settings: Any) -> LlamaForCausalLM:
    config: dict[str, Any] = {
        "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048,
    }  # fmt: skip
    return LlamaForCausalLM(LlamaConfig(**config | settings))


def make_gpt2(**settings: Any) -> GPT2LMHeadModel:
    config: dict[str, Any] = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 1024}
    return GPT2LMHeadModel(GPT2Config(**config | settings))


class TwoNetworks(nn.Module):
    """A value-guided model's shape: a second network, run first, with layers numbered behind the first one's."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = make_llama(), make_llama(num_hidden_layers=1, num_key_value_heads=1)
        for layer in self.second.model.layers:
            layer.self_attn.layer_idx += 2
        self.config = self.first.config

    def forward(self, **inputs: Any) -> Any:
        tilt = self.second(**inputs).logits
        output = self.first(**inputs)
        output.logits = output.logits + 0.5 * tilt
        return output


MODELS: dict[str, Callable[[], nn.Module]] = {"llama": make_llama, "gpt2": make_gpt2, "two": TwoNetworks}


def make_model(kind: str, seed: int = 0, **settings: Any) -> nn.Module:
    """Random weights in double precision, so that two ways to the same logits differ by 1e-15, and larger than usual,
    so that the likeliest tokens depend on the whole context. The tokens that end an action come up often."""
    torch.manual_seed(seed)
    model = MODELS[kind](**settings).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)
            if len(parameter) == VOCABULARY:
                parameter[ENDS] *= 2
    return model
