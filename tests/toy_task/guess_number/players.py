"""The players of Guess Number: scripted policies, and the same two as behavior policies that make the dataset."""

from collections.abc import Callable, Sequence

import numpy as np

from lmrl_data.episode import Episode
from lmrl_data.policy import Conversation, Policy, Streams
from lmrl_data.rollout import play_episode
from lmrl_data.simulator import Simulator
from lmrl_data.task import Behavior


def bounds(texts: Sequence[str]) -> tuple[int, int]:
    """The lowest and the highest number that agree with an episode's texts: an observation, an action, and so on."""
    low, high = 1, 8
    for action, answer in zip(texts[1::2], texts[2::2], strict=True):
        if answer == "higher":
            low = int(action) + 1
        elif answer == "lower":
            high = int(action) - 1
    return low, high


class BisectPolicy(Policy):
    """The middle of the numbers that are still possible."""

    name = "scripted:bisect"

    def __init__(self, config: str, seed: int) -> None: ...

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        texts = [[turn.content for turn in conversation.visible] for conversation in conversations]
        return [str(sum(bounds(each)) // 2) for each in texts]


class RandomPolicy(Policy):
    """Any number that is still possible, uniformly."""

    name = "scripted:random"

    def __init__(self, config: str, seed: int) -> None:
        self.streams = Streams(seed)  # a stream of random numbers for each episode

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        actions = []
        for conversation in conversations:
            low, high = bounds([turn.content for turn in conversation.visible])
            actions.append(str(self.streams[conversation].integers(low, high + 1)))
        return actions


# --- the dataset


def _behavior(name: str, draw: Callable[[np.random.Generator, int, int], int]) -> Behavior:
    def play(simulator: Simulator, seed: int) -> Episode:
        random = np.random.default_rng([seed, 1])  # a stream of its own, beside the simulator's
        texts: list[str] = []

        def act(observation: str) -> str:
            texts.append(observation)
            texts.append(str(draw(random, *bounds(texts))))
            return texts[-1]

        return play_episode("guess_number", simulator, seed, name, act)

    return Behavior(name, 0.5, play)


BEHAVIORS = (
    _behavior("bisect", lambda random, low, high: (low + high) // 2),
    _behavior("random", lambda random, low, high: int(random.integers(low, high + 1))),
)
