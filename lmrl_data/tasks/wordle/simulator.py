"""Wordle: find a hidden five-letter word in six tries, told letter by letter how near each guess is.

A guess is `s h i r e`, the answer to it `b y g g b`: g right, y elsewhere in the word, b not in it. Each guess that is
not the word costs 1. One list has the targets and the legal guesses. Paper section 4 and appendix C.
"""

import itertools
import string
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from lmrl_data.config import Config
from lmrl_data.episode import Episode
from lmrl_data.errors import UserError
from lmrl_data.policy import Conversation, Policy, Streams
from lmrl_data.rollout import play_episode
from lmrl_data.simulator import Simulator, Step, check_options
from lmrl_data.tasks.wordle.counter_random import RANGE, Number, below, draw
from lmrl_data.tasks.wordle.words import (
    FEEDBACKS,
    LENGTH,
    WordGame,
    feedback,
    file_words,
    list_words,
    word_game,
)

if TYPE_CHECKING:
    import pyarrow as pa

FIRST = "Wordle:"
INVALID = ""  # a guess that is no word of the list is answered by an empty line
SOLVED = "g g g g g"
MAX_TRIES = 6
ALPHABET = string.ascii_lowercase

# Which of a seed's numbers decide what; those of a try follow each other.
TARGET = 0
FIRST_TRY = 1


def load_game(config: str, vocab: object = None, rules: object = "paper") -> WordGame:
    """The words of a config, or of a file, under a feedback rule.

    Raises:
        UserError: for an unknown config or rule, or a file that is no word list.
    """
    return word_game(list_words(config) if vocab is None else file_words(vocab), str(rules))


# --- the simulator


class WordleSimulator(Simulator):
    """Wordle as a Gymnasium environment of texts.

    Args:
        config (`Config`): `"words_200"`, `"words_400"`, `"words_800"` or `"full"`.
        render_mode (`str`, *optional*): `"ansi"`, the board in colours.
        options (`Mapping`, *optional*): reset options that hold for every reset.

    Reset options: `target` (a word of the list; by default the seed's), `rules` (`paper`, or `official`, which marks
    each letter of the target once), `vocab` (the path of a word list to play with instead of the config's) and
    `invalid_reward` (for a guess that is no word of the list, -1 by default; the original trained with -10).
    """

    observation_space = spaces.Text(max_length=2 * LENGTH - 1, min_length=0, charset="Wordle:byg ")
    action_space = spaces.Text(max_length=2 * LENGTH - 1, min_length=0, charset=ALPHABET + " ")

    def __init__(self, config: Config, render_mode: str | None = None, options: dict[str, Any] | None = None) -> None:
        super().__init__(config, render_mode, options)
        self.guesses: list[tuple[str, str]] = []  # what was guessed, in plain letters, and the answers

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        self._seed = seed
        return super().reset(seed=seed, options=options)

    def _reset(self, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        check_options("wordle", options, ("target", "rules", "vocab", "invalid_reward"))
        self.game = load_game(self.config, options.get("vocab"), options.get("rules", "paper"))
        self.invalid_reward = _reward(options.get("invalid_reward", -1.0))
        # The original draws a word that agrees with all answers so far at every guess, and has no target in the end.
        # One target from the start has the same distribution, and lets an episode be played again.
        seed = int(self.np_random.integers(2**63)) if self._seed is None else self._seed
        given = options.get("target")
        number = below(draw(seed, TARGET), len(self.game.words)) if given is None else self.game.number(str(given))
        if number is None:
            raise UserError(f"the target {str(given)[:80]!r} is none of the {len(self.game.words):,} words played")
        self.target = self.game.words[number]
        self.guesses = []
        return FIRST, {"target": self.target}

    def _step(self, action: str) -> Step:
        number = self.game.number(action)
        if number is None:
            text, reward, info = INVALID, self.invalid_reward, {"valid": False}
            self.guesses.append(("", text))
        else:
            word = self.game.words[number]
            text = feedback(word, self.target, self.game.rules)
            reward, info = -1.0, {"valid": True}
            self.guesses.append((word, text))
            if word == self.target:
                return text, 0.0, True, False, {"valid": True, "success": True}
        if len(self.guesses) < MAX_TRIES:
            return text, reward, False, False, info
        # Six tries are the game: what ends here is lost, not cut short.
        return text, reward, True, False, {**info, "success": False}

    def render(self) -> str:
        """The board and what is known of each letter: green in place, yellow elsewhere in the word, grey not in it."""
        rows, best = [], dict[str, str]()
        for word, text in self.guesses:
            marks = text.split()
            rows.append(" ".join(map(_tile, word.upper(), marks)) if word else "(not in the list)")
            for letter, mark in zip(word, marks, strict=True):
                best[letter] = max(best.get(letter, "b"), mark, key="byg".index)
        rows += [" ".join("·" * LENGTH)] * (MAX_TRIES - len(rows))
        known = " ".join(_tile(letter, best.get(letter)) for letter in ALPHABET)
        lost = len(self.guesses) == MAX_TRIES and self.guesses[-1][0] != self.target
        return "\n".join([*rows, "", f"The word was {self.target}." if lost else known])


_COLOURS = {"g": "\x1b[30;42m", "y": "\x1b[30;43m", "b": "\x1b[97;100m"}


def _tile(letter: str, mark: str | None) -> str:
    return f"{_COLOURS[mark]}{letter}\x1b[0m" if mark else letter


def _reward(value: Any) -> float:
    try:
        reward = float(value)
    except (OverflowError, TypeError, ValueError):
        reward = 1.0
    if not -1e9 <= reward <= 0:
        raise UserError(f"invalid_reward is a number that is not above 0, got {str(value)[:80]!r}")
    return reward


# --- policies


class WordlePolicy(Policy):
    """A policy that knows the list, and guesses from what the visible texts tell of the target.

    Args:
        config (`str`): whose words are guessed.
        seed (`int`): of the policy's noise.
        vocab (`str`, *optional*), rules (`str`, *optional*): what the simulator plays with, if not the config's words
            and the paper's feedback.
    """

    def __init__(self, config: str, seed: int, vocab: str | None = None, rules: str = "paper") -> None:
        self.game = load_game(config, vocab, rules)
        self.streams = Streams(seed)

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [self.game.actions[self._choose(conversation)] for conversation in conversations]

    def _choose(self, conversation: Conversation) -> int:
        raise NotImplementedError

    def _possible(self, conversation: Conversation) -> np.ndarray:
        """The places in the list of the words that agree with the visible texts; of all words, if none does."""
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
    """At each try, as `consistent` with probability `P_SMART` and as `random` otherwise: who plays the dataset."""

    name = "scripted:mixture"

    def _choose(self, conversation: Conversation) -> int:
        if self.streams[conversation].random() < P_SMART:
            return self._any(conversation, self._possible(conversation))
        return int(self.streams[conversation].integers(len(self.game.words)))


class GreedyPolicy(WordlePolicy):
    """The word that tells most about the target among those that may be it (the original's optimal policy)."""

    name = "scripted:greedy"

    def _choose(self, conversation: Conversation) -> int:
        return self.game.most_informative(self._possible(conversation))


class WrongPolicy(WordlePolicy):
    """A word that cannot be the target, uniformly; as long as all can be, any."""

    name = "scripted:wrong"

    def _choose(self, conversation: Conversation) -> int:
        possible = self._possible(conversation)
        wrong = np.delete(np.arange(len(self.game.words)), possible)
        return self._any(conversation, wrong if len(wrong) else possible)


# --- the dataset

# The paper says 66 % random; of 0.33, 1/3 and 0.34, on the original's words 0.33 has Table 1's numbers to the digit.
P_SMART = 0.33


def _is_smart(seed: Number, attempt: int) -> Any:
    return draw(seed, FIRST_TRY + 2 * attempt) < int(P_SMART * RANGE)


def _pick(seed: Number, attempt: int, size: int | np.ndarray) -> Any:
    return below(draw(seed, FIRST_TRY + 2 * attempt + 1), size)


def play_mixture(simulator: Simulator, seed: int) -> Episode:
    """The dataset's game of a seed, by the simulator; `table` makes many at once."""
    assert isinstance(simulator, WordleSimulator)

    def act(observation: str) -> str:
        game, tries = simulator.game, simulator.guesses
        words = np.flatnonzero(game.consistent(tries)) if _is_smart(seed, len(tries)) else range(len(game.words))
        return game.actions[words[_pick(seed, len(tries), len(words))]]

    return play_episode("wordle", simulator, seed, "mixture", act)


def table(simulator: WordleSimulator, seeds: Sequence[int]) -> "pa.Table":
    """The rows of the games of many seeds, as `play_mixture` plays them one by one, made by the column."""
    simulator.reset(seed=seeds[0])
    game = simulator.game
    numbers = np.array(seeds, dtype=np.uint64)
    target = below(draw(numbers, TARGET), len(game.words)).astype(np.int64)
    if simulator.options.get("target") is not None:
        target[:] = game.words.index(simulator.target)
    guesses = np.empty((len(numbers), MAX_TRIES), dtype=np.int64)
    codes = np.empty((len(numbers), MAX_TRIES), dtype=np.uint8)
    solved = np.full(len(numbers), False)
    tries = np.full(len(numbers), MAX_TRIES)
    for attempt in range(MAX_TRIES):
        # Games that are over are played on, and cut below.
        guesses[:, attempt] = _pick(numbers, attempt, len(game.words))
        smart = np.flatnonzero(_is_smart(numbers, attempt) & ~solved) if attempt else np.array([], dtype=np.int64)
        possible = np.ones((len(smart), len(game.words)), dtype=bool)
        for before in range(attempt):
            possible &= game.codes[guesses[smart, before]] == codes[smart, before, None]
        _, words = np.nonzero(possible)
        counts = possible.sum(1)
        firsts = np.cumsum(counts) - counts
        which = _pick(numbers[smart], attempt, counts.astype(np.uint64)).astype(np.int64)
        guesses[smart, attempt] = words[firsts + which]
        codes[:, attempt] = game.codes[guesses[:, attempt], target]
        now = ~solved & (guesses[:, attempt] == target)
        tries[now] = attempt + 1
        solved |= now
    return _rows(simulator.config, game, numbers, target, guesses, codes, tries, solved)


def _rows(
    config: str,
    game: WordGame,
    seeds: np.ndarray,
    target: np.ndarray,
    guesses: np.ndarray,
    codes: np.ndarray,
    tries: np.ndarray,
    solved: np.ndarray,
) -> "pa.Table":
    """The dataset's columns of games; arrays of shape [games] and [games, tries], cut to each game's `tries`."""
    import json

    import pyarrow as pa

    from lmrl_data.dataset.build import FEATURES

    # Every text is looked up by its number in one list: the opening, then the guesses, then the answers.
    texts = pa.array([FIRST, *game.actions, *FEEDBACKS])
    turns = np.zeros((len(seeds), 1 + 2 * MAX_TRIES), dtype=np.int32)
    turns[:, 1::2] = 1 + guesses
    turns[:, 2::2] = 1 + len(game.actions) + codes.astype(np.int32)
    lengths = 1 + 2 * tries
    said = np.arange(turns.shape[1]) < lengths[:, None]
    rewards = np.zeros(turns.shape)
    rewards[:, 1::2] = -1.0
    rewards[np.flatnonzero(solved), lengths[solved] - 2] = 0.0
    speakers = np.broadcast_to(np.arange(turns.shape[1], dtype=np.int32) % 2, turns.shape)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    schema = FEATURES.arrow_schema
    messages = pa.StructArray.from_arrays(
        [pa.array(["user", "assistant"]).take(pa.array(speakers[said])), texts.take(pa.array(turns[said]))],
        fields=list(schema.field("messages").type.value_type),
    )
    info = pa.array(
        [
            json.dumps({"target": word, "success": success, "invalid": 0}, separators=(",", ":"))
            for word in game.words
            for success in (False, True)
        ]
    )
    columns = {
        "task": pa.repeat("wordle", len(seeds)),
        "config": pa.repeat(config, len(seeds)),
        "messages": pa.ListArray.from_arrays(offsets, messages, type=schema.field("messages").type),
        "rewards": pa.ListArray.from_arrays(offsets, pa.array(rewards[said]), type=schema.field("rewards").type),
        "total_reward": pa.array(-1.0 * (tries - solved)),
        "terminated": pa.repeat(True, len(seeds)),
        "truncated": pa.repeat(False, len(seeds)),
        "policy": pa.repeat("mixture", len(seeds)),
        "seed": pa.array(seeds.astype(np.int64)),
        "info": pa.ExtensionArray.from_storage(schema.field("info").type, info.take(pa.array(2 * target + solved))),
    }
    return pa.table([columns[name] for name in schema.names], schema=schema)


SOURCE = "our data's mean; greedy information gain, the mean over all targets"
