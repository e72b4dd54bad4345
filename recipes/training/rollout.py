"""Plays episodes with the model in training, and keeps the tokens it read and sampled."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from lmrl_data import Episode, Task
from lmrl_data.policy import Conversation
from lmrl_data.rollout import rollout
from lmrl_data.simulator import Oracle
from lmrl_eval.policies.language_model import LanguageModelPolicy

Generate = Callable[[list[list[int]]], list[list[int]]]  # prompts to sampled ids


@dataclass
class TokenSequence:
    """The tokens that the policy read and sampled; all lists have the same length.

    Args:
        input_ids (`list[int]`): observations and actions.
        action_mask (`list[int]`): 1 where the policy sampled the token (TRL's `env_mask`).
        rewards (`list[float]`): an action's reward sits on its last sampled token.
    """

    input_ids: list[int] = field(default_factory=list)
    action_mask: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)

    def extend(self, ids: Sequence[int], sampled: int) -> None:
        self.input_ids += ids
        self.action_mask += [sampled] * len(ids)
        self.rewards += [0.0] * len(ids)


class Trajectory(NamedTuple):
    """An episode and the tokens to train on.

    Args:
        episode (`Episode`): names the task, the seed, how it ended and what it earned.
        sequences (`list[TokenSequence]`): in order. One, if the policy sees the whole history. A new one begins where
            an observation does not continue the last sequence, such as at every step of a Markov task.
        next_ids (`list[int]`): the next prompt; empty if the episode terminated.
    """

    episode: Episode
    sequences: list[TokenSequence]
    next_ids: list[int]


class RolloutPolicy(LanguageModelPolicy):
    """The model in training as a policy that remembers its tokens.

    Actions are sampled with the keys and values of earlier turns (see [`LanguageModelPolicy`]). Every episode has its
    own random numbers, so its actions do not depend on the episodes or processes beside it.

    Args:
        generate (`Generate`, *optional*): samples instead of the model, for example TRL's generation with vLLM.
    """

    def __init__(self, *args: Any, generate: Generate | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.generate = generate
        self.seconds = 0.0
        self.start([])

    def start(self, noise: Sequence[Sequence[int]]) -> None:
        """Forgets all episodes; `noise` has one seed for each of the next episodes."""
        self.noise = noise
        self.sequences: dict[int, list[TokenSequence]] = {}
        self.ends: dict[int, list[tuple[TokenSequence, int]]] = {}
        self.conversations: dict[int, Conversation] = {}
        self.clear_cache()

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        begin = time.perf_counter()
        try:
            return super().act(conversations)
        finally:
            self.seconds += time.perf_counter() - begin

    def noise_generator(self, conversation: Conversation) -> np.random.Generator:
        turn = len(self.ends.get(conversation.index, ()))
        return np.random.default_rng([*self.noise[conversation.index], turn])

    def sample(self, conversations: Sequence[Conversation], prompts: Sequence[Any]) -> list[list[int]]:
        if self.generate is None:
            return super().sample(conversations, prompts)
        # A generator may continue after the end of an action, or return nothing.
        return [self._first_action(ids) for ids in self.generate([prompt.ids for prompt in prompts])]

    def _first_action(self, ids: list[int]) -> list[int]:
        ids = ids[: self.max_new_tokens] or [min(self.turns.stop_ids)]
        end = next((place for place, token in enumerate(ids) if token in self.turns.stop_ids), len(ids) - 1)
        return ids[: end + 1]

    def record(self, conversation: Conversation, prompt: list[int], written: list[int]) -> None:
        sequences = self.sequences.setdefault(conversation.index, [])
        self.conversations[conversation.index] = conversation
        known = len(sequences[-1].input_ids) if sequences else 0
        if not sequences or prompt[:known] != sequences[-1].input_ids:
            sequences.append(TokenSequence())
            known = 0
        sequence = sequences[-1]
        sequence.extend(prompt[known:], 0)
        sequence.extend(written, 1)
        self.ends.setdefault(conversation.index, []).append((sequence, len(sequence.input_ids) - 1))

    def trajectory(self, index: int, episode: Episode) -> Trajectory:
        """The tokens of episode `index`."""
        rewards = [turn.reward for turn in episode.turns if turn.role == "assistant"]
        for reward, (sequence, end) in zip(rewards, self.ends[index], strict=True):
            sequence.rewards[end] = reward
        following = [] if episode.terminated else self.prompt(self.conversations[index]).ids
        return Trajectory(episode, self.sequences[index], following)


class Played(NamedTuple):
    """Trajectories, one for each seed, and the seconds of generation and of the simulators."""

    trajectories: list[Trajectory]
    generation: float
    simulator: float


def play(
    policy: RolloutPolicy,
    task: Task,
    config: str,
    seeds: Sequence[int],
    *,
    noise: Sequence[Sequence[int]],
    batch_size: int = 64,
    max_turns: int | None = None,
    max_tokens: int | None = None,
    oracle: Oracle[Any] | None = None,
) -> Played:
    """Plays one episode per seed; dialogue tasks ask their oracle once per turn for all running episodes.

    Args:
        policy (`RolloutPolicy`): the model in training.
        task (`Task`): what is played.
        config (`str`): the task's config.
        seeds (`Sequence[int]`): one per episode, of the simulator.
        noise (`Sequence[Sequence[int]]`): one per episode, of the sampling.
        batch_size (`int`, *optional*, defaults to `64`): how many episodes run at the same time.
        max_turns (`int`, *optional*): an episode is truncated after so many actions.
        max_tokens (`int`, *optional*): an episode is truncated once its sequences hold so many tokens.
        oracle (`Oracle`, *optional*): answers in dialogue tasks; without one the simulators answer.
    """

    def spent(conversation: Conversation) -> bool:
        return sum(len(sequence.input_ids) for sequence in policy.sequences[conversation.index]) >= (max_tokens or 0)

    policy.start(noise)
    before, begin = policy.seconds, time.perf_counter()
    episodes = rollout(
        task,
        config,
        policy,
        seeds,
        batch_size=batch_size,
        max_turns=max_turns,
        cut=spent if max_tokens is not None else None,
        oracle=oracle,
    )
    seconds = time.perf_counter() - begin
    generation = policy.seconds - before
    trajectories = [policy.trajectory(index, episode) for index, episode in enumerate(episodes)]
    policy.start([])
    return Played(trajectories, generation, seconds - generation)
