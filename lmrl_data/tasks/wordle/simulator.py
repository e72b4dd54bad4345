"""Wordle: find a hidden five-letter word in six tries, told letter by letter how near each guess is.

A guess is `s h i r e`, the answer to it `b y g g b`: g right, y elsewhere in the word, b not in it. Each guess that is
not the word costs 1. One list has the targets and the legal guesses. Paper section 4 and appendix C.
"""

import string
from collections.abc import Sequence
from typing import Any

from gymnasium import spaces

from lmrl_data.config import Config
from lmrl_data.errors import UserError
from lmrl_data.simulator import Simulator, Step, check_options
from lmrl_data.tasks.wordle.counter_random import below, draw
from lmrl_data.tasks.wordle.words import LENGTH, WordGame, feedback, file_words, list_words, word_game

FIRST = "Wordle:"
INVALID = ""  # a guess that is no word of the list is answered by an empty line
SOLVED = "g g g g g"
MAX_TRIES = 6
ALPHABET = string.ascii_lowercase

TARGET = 0  # index of the random number that draws the target


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
        render_mode (`str`, *optional*): `"ansi"`, the board in colors.
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
        # The original draws, at every guess, a word that agrees with all answers so far. One target from the start has
        # the same distribution, and the episode can be replayed.
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
        # Six tries are the rules, so an episode that ends here is lost and not cut short.
        return text, reward, True, False, {**info, "success": False}

    def render(self) -> str:
        """The board and what is known of each letter: green in place, yellow elsewhere in the word, grey not in it."""
        lost = len(self.guesses) == MAX_TRIES and self.guesses[-1][0] != self.target
        return board(self.guesses, f"The word was {self.target}." if lost else None)


def board(guesses: Sequence[tuple[str, str]], end: str | None = None) -> str:
    """The tries and their answers, and below them `end`, or what is known of each letter.

    Args:
        guesses (`Sequence[tuple[str, str]]`): each word in plain letters with its answer; "" for no word of the list.
        end (`str`, *optional*): the last line.
    """
    rows, best = [], dict[str, str]()
    for word, text in guesses:
        marks = text.split()
        rows.append(" ".join(map(_tile, word.upper(), marks)) if word else "(not in the list)")
        for letter, mark in zip(word, marks, strict=True):
            best[letter] = max(best.get(letter, "b"), mark, key="byg".index)
    rows += [" ".join("·" * LENGTH)] * (MAX_TRIES - len(rows))
    known = " ".join(_tile(letter, best.get(letter)) for letter in ALPHABET)
    return "\n".join([*rows, "", known if end is None else end])


_COLORS = {"g": "\x1b[30;42m", "y": "\x1b[30;43m", "b": "\x1b[97;100m"}


def _tile(letter: str, mark: str | None) -> str:
    return f"{_COLORS[mark]}{letter}\x1b[0m" if mark else letter


def _reward(value: Any) -> float:
    try:
        reward = float(value)
    except (OverflowError, TypeError, ValueError):
        reward = 1.0
    if not -1e9 <= reward <= 0:
        raise UserError(f"invalid_reward is a number that is not above 0, got {str(value)[:80]!r}")
    return reward
