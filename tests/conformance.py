"""Whether a policy of a model writes what the model itself writes from the whole conversation, one row at a time."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from random_model import TOKENIZERS
from transformers import GenerationConfig

from lmrl_data import Conversation, Turn
from lmrl_eval.policies.attention import context_length, kept_length
from lmrl_eval.policies.language_model import LanguageModelPolicy
from lmrl_recipes.training.rollout import RolloutPolicy

ROWS, TURNS, NEW_TOKENS = 4, 6, 5


class Action(NamedTuple):
    """What a policy read and wrote, and the uniform numbers it wrote it with."""

    prompt: list[int]
    written: list[int]
    noise: np.ndarray


def recording(kind: type[LanguageModelPolicy]) -> Any:
    """A kind of policy that lists its actions."""

    class Recording(kind):  # type: ignore[valid-type, misc]
        def sample(self, conversations: Sequence[Conversation], prompts: Sequence[Any]) -> list[list[int]]:
            noise = [self.noise_generator(each).random(self.max_new_tokens) for each in conversations]
            written = super().sample(conversations, prompts)
            self.actions += [Action(prompt.ids, *rest) for prompt, *rest in zip(prompts, written, noise, strict=True)]
            return written

    return Recording


def play(model: Any, temperature: float, kind: type[LanguageModelPolicy] = LanguageModelPolicy) -> Any:
    """A policy that has played a ragged batch of conversations; a slot is refilled when its conversation ends."""
    policy = recording(kind)(
        model, TOKENIZERS["raw"], name="tested", temperature=temperature, max_new_tokens=NEW_TOKENS
    )
    if isinstance(policy, RolloutPolicy):
        policy.start([(seed,) for seed in range(100)])
    policy.actions = []
    seeds = iter(range(100))

    def begin() -> Conversation:
        seed = next(seeds)
        return Conversation(seed, None, [Turn("user", f"begin {'at 1, 2 ' * (seed % 4)}")], index=seed)

    slots = [begin() for _ in range(ROWS)]
    for turn in range(TURNS):
        for slot, (conversation, action) in enumerate(zip(slots, policy.act(slots), strict=True)):
            conversation.turns += (Turn("assistant", action), Turn("user", "move up " * (1 + (slot + turn) % 3)))
            if (slot, turn) in ((1, 1), (2, 3)):
                slots[slot] = begin()
    return policy


@torch.no_grad()
def misses(model: Any, actions: Sequence[Action], temperature: float, stop_ids: frozenset[int]) -> list[str]:
    """The actions that the model itself would not have written: by `generate` where they are greedy, else by the
    logits of a pass over the whole sequence."""
    wrong = []
    for number, (prompt, written, noise) in enumerate(actions):
        ids = torch.tensor([prompt])
        if temperature == 0:
            settings = GenerationConfig(max_new_tokens=NEW_TOKENS, eos_token_id=sorted(stop_ids), pad_token_id=0)
            expected = generate(model, ids, settings)
        else:
            if 0 < kept_length(model) < context_length(model):  # positions change with the length
                starts = [prompt + written[:end] for end in range(len(written))]
                logits = torch.stack([model(input_ids=torch.tensor([ids])).logits[0, -1] for ids in starts])
            else:
                sequence = torch.tensor([prompt + written[:-1]])
                logits = model(input_ids=sequence, use_cache=False).logits[0, len(prompt) - 1 :]
            cumulative = (logits.double() / temperature).softmax(-1).numpy().cumsum(-1)
            points = noise[: len(written)] * cumulative[:, -1]
            expected = [int(np.searchsorted(*pair, side="right")) for pair in zip(cumulative, points, strict=True)]
        if written != expected:
            wrong.append(f"action {number} after {len(prompt)} tokens: {written}, but generate: {expected}")
    return wrong


def generate(model: Any, ids: torch.Tensor, settings: GenerationConfig) -> list[int]:
    kept, model.generation_config = model.generation_config, GenerationConfig()
    try:
        output = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=settings)
    finally:
        model.generation_config = kept
    written: list[int] = output[0, ids.shape[1] :].tolist()
    return written


def check(make: Callable[[], Any], kind: type[LanguageModelPolicy] = LanguageModelPolicy) -> Any:
    """Raises with the first of the misses, greedy and sampled; returns the policy."""
    written = set()
    for temperature in (0.0, 1.0):
        model = make()
        policy = play(model, temperature, kind)
        wrong = misses(model, policy.actions, temperature, policy.turns.stop_ids)
        assert not wrong, f"{len(wrong)} of {len(policy.actions)} at temperature {temperature}: {wrong[0]}"
        written |= {tuple(action.written) for action in policy.actions}
        assert max(len(action.prompt) for action in policy.actions) > 48
    assert len(written) > 10, "the model writes the same all the time: this shows nothing"
    return policy
