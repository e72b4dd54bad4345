"""Turns per CPU second of a language model with its keys and values kept, re-encoded, and by plain `generate`."""

import argparse
import itertools
import json
import os
import random
import statistics
import time
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from lmrl_data import Conversation, Turn
from lmrl_eval.policies.language_model import LanguageModelPolicy
from lmrl_recipes.tiny_model import train_tokenizer

BATCH, TURNS, NEW_TOKENS = 32, 20, 10
OBSERVATION_WORDS = (7, 13)  # 10 on average; with the line's end, 11 tokens
SIZES: dict[str, dict[str, Any]] = {
    "0.4M": {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1},
    "3M": {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 1},
}
WORDS = ["".join(letters) for letters in itertools.product("bdfgklmnpr", "aeio", "lnrst")]
VOCABULARY = 688


class Reencoding(LanguageModelPolicy):
    """The same policy without a memory."""

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        self.clear_cache()
        return super().act(conversations)


class Generating(LanguageModelPolicy):
    """Left-padded prompts and `model.generate`, as rollout loops usually do it."""

    def _encode(self, prompts: Sequence[Any]) -> Tensor:
        return torch.empty(0)

    def _write(self, conversations: Any, prompts: Sequence[Any], logits: Tensor) -> list[list[int]]:
        longest = max(len(prompt.ids) for prompt in prompts)
        pads = [longest - len(prompt.ids) for prompt in prompts]
        model: Any = self.model
        output = model.generate(
            torch.tensor([[0] * pad + prompt.ids for pad, prompt in zip(pads, prompts, strict=True)]),
            attention_mask=torch.tensor([[0] * pad + [1] * (longest - pad) for pad in pads]),
            max_new_tokens=self.max_new_tokens,
            do_sample=False,
            pad_token_id=0,
        )
        written: list[list[int]] = output[:, longest:].tolist()
        return written


WAYS = {"reuse": LanguageModelPolicy, "reencode": Reencoding, "generate": Generating}


def make_tokenizer() -> Any:
    """One token a word with the space before it, and one for the line's end."""
    return train_tokenizer([f"{word} {word}\n" for word in WORDS for _ in range(9)], vocab_size=VOCABULARY)


def make_model(size: str) -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = SIZES[size]
    config = LlamaConfig(
        vocab_size=VOCABULARY, intermediate_size=3 * sizes["hidden_size"], eos_token_id=None, bos_token_id=None,
        **sizes,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        # Random weights give nearly equal logits; the ways are to agree on every token.
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)
    return model


def play(policy: LanguageModelPolicy, turns: int = TURNS) -> tuple[float, list[list[str]]]:
    """CPU seconds of `turns` turns of `BATCH` conversations, and what was said."""
    # An action ends after a fixed number of tokens, so that every way does the same work.
    policy.turns.stop_ids = frozenset()
    draw = random.Random(0)

    def observe() -> Turn:
        return Turn("user", " ".join(draw.choices(WORDS, k=draw.randint(*OBSERVATION_WORDS))))

    conversations = [Conversation(seed, None, [observe()]) for seed in range(BATCH)]
    start = time.process_time()
    for _ in range(turns):
        for conversation, action in zip(conversations, policy.act(conversations), strict=True):
            conversation.turns += (Turn("assistant", action), observe())
    seconds = time.process_time() - start
    return seconds, [[turn.content for turn in conversation.turns] for conversation in conversations]


def measure(size: str, rounds: int) -> dict[str, Any]:
    model, tokenizer = make_model(size), make_tokenizer()
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    said = []
    for number in range(rounds + 1):
        for way, kind in WAYS.items():
            policy = kind(model, tokenizer, name=way, temperature=0, max_new_tokens=NEW_TOKENS)
            if number == 0:
                play(policy, turns=2)  # warms up
                continue
            spent, texts = play(policy)
            seconds[way].append(spent)
            said.append(texts)
            if way == "reuse":
                counts = policy.statistics()
    assert all(texts == said[0] for texts in said), "the three ways must write the same tokens"
    median = {way: statistics.median(values) for way, values in seconds.items()}
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "rounds": rounds,
        "turns_per_second": {way: round(BATCH * TURNS / value, 1) for way, value in median.items()},
        "reuse_over_reencode": round(median["reencode"] / median["reuse"], 2),
        "reuse_over_generate": round(median["generate"] / median["reuse"], 2),
        "tokens_reused": round(counts["tokens_reused"] / (counts["tokens_reused"] + counts["tokens_encoded"]), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of the small model; a third as many of the large one")
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    result: dict[str, Any] = {"benchmark": "rollout", "batch": BATCH, "turns": TURNS, "new_tokens": NEW_TOKENS}
    for size, count in zip(SIZES, (rounds, max(1, rounds // 3)), strict=True):
        result[size] = measure(size, count)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
