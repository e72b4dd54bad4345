"""The players of Wordle: scripted policies that know the word list, and the mixture that makes the dataset."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from lmrl_data.episode import Episode
from lmrl_data.policy import Conversation, Policy, Streams
from lmrl_data.rollout import play_episode
from lmrl_data.simulator import Simulator
from lmrl_data.tasks.wordle.counter_random import RANGE, Number, below, draw
from lmrl_data.tasks.wordle.simulator import WordleSimulator, load_game


class WordlePolicy(Policy):
    """A policy that knows the word list and guesses from the visible answers.

    Args:
        config (`str`): whose words are guessed.
        seed (`int`): of the policy's noise.
        vocab (`str`, *optional*), rules (`str`, *optional*): the simulator's options, if it does not play with the
            config's words and the paper's feedback.
    """

    def __init__(self, config: str, seed: int, vocab: str | None = None, rules: str = "paper") -> None:
        self.game = load_game(config, vocab, rules)
        self.streams = Streams(seed)

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [self.game.actions[self._choose(conversation)] for conversation in conversations]

    def _choose(self, conversation: Conversation) -> int:
        raise NotImplementedError

    def _possible(self, conversation: Conversation) -> np.ndarray:
        """Indices of the words that agree with the visible answers; of all words, if none does."""
        pairs = itertools.pairwise(conversation.visible)
        known = ((said.content, seen.content) for said, seen in pairs if said.role == "assistant")
        possible = self.game.consistent(known).nonzero()[0]
        return possible if len(possible) else np.arange(len(self.game.words))

    def _any(self, conversation: Conversation, words: np.ndarray) -> int:
        return int(words[self.streams[conversation].integers(len(words))])


class RandomPolicy(WordlePolicy):
    """A word of the list, uniformly."""

    name = "scripted:random"

    def _choose(self, conversation: Conversation) -> int:
        return int(self.streams[conversation].integers(len(self.game.words)))


class ConsistentPolicy(WordlePolicy):
    """A word that agrees with all feedback so far, uniformly."""

    name = "scripted:consistent"

    def _choose(self, conversation: Conversation) -> int:
        return self._any(conversation, self._possible(conversation))


class MixturePolicy(WordlePolicy):
    """At each try, as `consistent` with probability `P_SMART` and as `random` otherwise, like the dataset."""

    name = "scripted:mixture"

    def _choose(self, conversation: Conversation) -> int:
        if self.streams[conversation].random() < P_SMART:
            return self._any(conversation, self._possible(conversation))
        return int(self.streams[conversation].integers(len(self.game.words)))


class GreedyPolicy(WordlePolicy):
    """The most informative of the words that may be the target (the original's optimal policy)."""

    name = "scripted:greedy"

    def _choose(self, conversation: Conversation) -> int:
        return self.game.most_informative(self._possible(conversation))


class WrongPolicy(WordlePolicy):
    """A word that cannot be the target, uniformly; any word while all are possible."""

    name = "scripted:wrong"

    def _choose(self, conversation: Conversation) -> int:
        possible = self._possible(conversation)
        wrong = np.delete(np.arange(len(self.game.words)), possible)
        return self._any(conversation, wrong if len(wrong) else possible)


# --- the dataset

FIRST_TRY = 1  # of a seed's random numbers: number 0 draws the target, and each try takes the next two
# The paper says 66 % random; of 0.33, 1/3 and 0.34, on the original's words 0.33 has Table 1's numbers to the digit.
P_SMART = 0.33


def is_smart(seed: Number, attempt: int) -> Any:
    """Whether the mixture plays this try as `consistent`; for one seed, or an array of them."""
    return draw(seed, FIRST_TRY + 2 * attempt) < int(P_SMART * RANGE)


def pick(seed: Number, attempt: int, size: int | np.ndarray) -> Any:
    """Which of `size` words the mixture guesses at this try."""
    return below(draw(seed, FIRST_TRY + 2 * attempt + 1), size)


def play_mixture(simulator: Simulator, seed: int) -> Episode:
    """The dataset's game of a seed, by the simulator; `table` makes many at once."""
    assert isinstance(simulator, WordleSimulator)

    def act(observation: str) -> str:
        game, tries = simulator.game, simulator.guesses
        words = np.flatnonzero(game.consistent(tries)) if is_smart(seed, len(tries)) else range(len(game.words))
        return game.actions[words[pick(seed, len(tries), len(words))]]

    return play_episode("wordle", simulator, seed, "mixture", act)


SOURCE = "our data's mean; greedy information gain, the mean over all targets"
