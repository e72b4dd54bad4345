"""Wordle's words: the lists, and look-up tables of a list under a feedback rule."""

import functools
import itertools
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmrl_data.errors import UserError, unknown
from lmrl_data.tasks.wordle.counter_random import draw

LENGTH = 5
RULES = ("paper", "official")
ASSETS = Path(__file__).parent / "assets"
# As many words as the original's lists of these names have; the files' other words are drawn anew by `sample`.
SIZES = {"words_200": 236, "words_400": 431, "words_800": 826}
MAX_FILE_BYTES = 10_000_000
MAX_WORDS = 20_000  # the table of all pairs takes this number squared in bytes

WORD = re.compile(rf"[a-z]{{{LENGTH}}}")
FEEDBACKS = tuple(" ".join(marks) for marks in itertools.product("byg", repeat=LENGTH))
CODES = {text: code for code, text in enumerate(FEEDBACKS)}  # five digits to base 3, the first letter's in front


def feedback(guess: str, target: str, rules: str = "paper") -> str:
    """What the simulator answers to a guess: `g` right, `y` elsewhere in the word, `b` not in it.

    Args:
        guess (`str`), target (`str`): five letters each.
        rules (`str`, *optional*, defaults to `"paper"`): the paper's simulator does not count: a letter is `y`
            wherever it stands wrongly, if the target has it at all. `"official"` marks each letter of the target
            once, first those in place, then from left to right.

    Examples:
        >>> feedback("speed", "abide"), feedback("speed", "abide", "official")
        ('b b y y y', 'b b y b y')
    """
    if rules == "paper":
        # Written out, as this is most of what a step costs, and a loop takes three times as long.
        (a, b, c, d, e), (v, w, x, y, z) = tuple(guess), tuple(target)
        return (
            f"{'g' if a == v else 'y' if a in target else 'b'} {'g' if b == w else 'y' if b in target else 'b'} "
            f"{'g' if c == x else 'y' if c in target else 'b'} {'g' if d == y else 'y' if d in target else 'b'} "
            f"{'g' if e == z else 'y' if e in target else 'b'}"
        )
    rest = [b for a, b in zip(guess, target, strict=True) if a != b]
    marks = []
    for a, b in zip(guess, target, strict=True):
        if a != b and a in rest:
            rest.remove(a)
            marks.append("y")
        else:
            marks.append("g" if a == b else "b")
    return " ".join(marks)


# --- the lists


def read_words(text: str) -> tuple[str, ...]:
    """The five-letter words of a list, one a line, each once; other lines are skipped, as in the original."""
    return tuple(dict.fromkeys(word for line in text.splitlines() if WORD.fullmatch(word := line.strip())))


@functools.cache
def list_words(config: str) -> tuple[str, ...]:
    """The words of a config, in the alphabet's order.

    Raises:
        UserError: for a config that Wordle does not have.
    """
    configs = (*SIZES, "full")
    if config not in configs:
        raise unknown("config of wordle", config, configs)
    name = "answers" if config == "full" else config
    return read_words((ASSETS / f"{name}.txt").read_text("utf-8"))


def sample(answers: Sequence[str], size: int) -> tuple[str, ...]:
    """The `size` words that are drawn from the answers; this is how the files of `SIZES` were made."""
    order = sorted(range(len(answers)), key=lambda index: draw(size, index))
    return tuple(sorted(answers[index] for index in order[:size]))


def file_words(path: object) -> tuple[str, ...]:
    """The words of a list of the user's own.

    Raises:
        UserError: if it is no readable text file, or has no words or too many.
    """
    file = Path(str(path))
    shown = repr(str(path)[:80])
    try:
        if not file.is_file():
            raise UserError(f"the vocab {shown} is no file; give a list with one word a line")
        if file.stat().st_size > MAX_FILE_BYTES:
            raise UserError(f"the vocab {shown} has more than {MAX_FILE_BYTES:,} bytes; give a shorter list")
        words = read_words(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UserError(f"the vocab {shown} cannot be read ({reason}); give a list with one word a line") from None
    if not 2 <= len(words) <= MAX_WORDS:
        raise UserError(
            f"the vocab {shown} has {len(words):,} words of {LENGTH} letters a-z; give a list of 2 to {MAX_WORDS:,}"
        )
    return words


# --- a list under a rule


class WordGame:
    """A list of words, which are targets and legal guesses, under a feedback rule. Make it with `word_game`.

    Args:
        words (`tuple[str, ...]`): the list.
        rules (`str`): `"paper"` or `"official"`.
    """

    def __init__(self, words: tuple[str, ...], rules: str) -> None:
        self.words = words
        self.rules = rules
        self.actions = tuple(" ".join(word) for word in words)
        self.letters = np.array([[ord(letter) - ord("a") for letter in word] for word in words], dtype=np.uint8)
        # The most frequent texts are looked up whole.
        self._numbers = {text: number for number, word in enumerate(words) for text in (word, self.actions[number])}
        self._informative: dict[bytes, int] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return word_game, (self.words, self.rules)

    def number(self, action: str) -> int | None:
        """Index of the word in `action`, which may have spaces between its letters; `None` for any other text."""
        number = self._numbers.get(action)
        if number is None and (word := spoken_word(action)):
            number = self._numbers.get(word)
        return number

    @functools.cached_property
    def codes(self) -> np.ndarray:
        """The feedback of every guess on every target: indices of `FEEDBACKS`, `uint8` of shape [words, words]."""
        # In pieces, so that intermediate arrays stay small.
        size = max(1, 2_000_000 // len(self.words))
        return np.concatenate([self._codes(self.letters[i : i + size]) for i in range(0, len(self.words), size)])

    def row(self, action: str) -> np.ndarray | None:
        """The feedback of a guess, in the list or not, on every target; `None` if it is not five letters.

        Returns:
            `np.ndarray` of `uint8`, shape [words]: indices of `FEEDBACKS`.
        """
        number = self.number(action)
        if number is not None:
            return self.codes[number]
        word = spoken_word(action)
        if word is None:
            return None
        return self._codes(np.array([[ord(letter) - ord("a") for letter in word]], dtype=np.uint8))[0]

    def _codes(self, guesses: np.ndarray) -> np.ndarray:
        targets = self.letters
        has = (targets[:, :, None] == np.arange(26, dtype=np.uint8)).sum(1, dtype=np.uint8).T  # [letter, target]
        green = [guesses[:, p, None] == targets[None, :, p] for p in range(LENGTH)]
        code = np.zeros((len(guesses), len(targets)), dtype=np.uint8)
        for p in range(LENGTH):
            taken: np.ndarray | int = 0
            if self.rules == "official":
                # The target's letters that are in place, or went to the guess's same letters further left.
                taken = np.zeros(code.shape, dtype=np.uint8)
                for q in range(LENGTH):
                    same = (guesses[:, p] == guesses[:, q])[:, None]
                    taken += same & (green[q] | (q < p))
            yellow = (has[guesses[:, p]] > taken) & ~green[p]
            code = code * np.uint8(3) + (yellow + green[p] * np.uint8(2)).astype(np.uint8)
        return code

    def consistent(self, known: Iterable[tuple[str, str]]) -> np.ndarray:
        """The targets that agree with all answers so far, as a mask.

        Args:
            known (`Iterable[tuple[str, str]]`): actions with the texts that followed. What is no guess, or no feedback
                on one, tells nothing.

        Returns:
            `np.ndarray` of `bool`, shape [words].
        """
        possible = np.ones(len(self.words), dtype=bool)
        for action, text in known:
            code = CODES.get(text)
            if code is not None and (row := self.row(action)) is not None:
                possible &= row == code
        return possible

    def most_informative(self, possible: np.ndarray) -> int:
        """The possible word whose feedback is the most informative; the first in the list among equals.

        Args:
            possible (`np.ndarray` of `int`, shape [possible words]): which words may be the target; at least one.
        """
        key = possible.tobytes()
        if key not in self._informative:
            if len(self._informative) >= 100_000:
                self._informative.clear()
            self._informative[key] = self._most_informative(possible)
        return self._informative[key]

    def _most_informative(self, possible: np.ndarray) -> int:
        if len(possible) <= 2:
            return int(possible[0])
        # Information is log n - sum(c log c) / n over the sizes c of the groups that the feedback makes: least sum.
        table = np.array([0.0] + [count * math.log2(count) for count in range(1, len(possible) + 1)])
        codes = self.codes[np.ix_(possible, possible)].astype(np.int64)
        size = max(1, 1_000_000 // len(possible))
        sums = []
        for i in range(0, len(codes), size):
            part = codes[i : i + size]
            groups = part + len(FEEDBACKS) * np.arange(len(part))[:, None]
            counts = np.bincount(groups.ravel(), minlength=len(FEEDBACKS) * len(part))
            sums.append(table[counts].reshape(len(part), -1).sum(1))
        # Rounded, so that equals stay equal however a machine adds.
        return int(possible[np.argmin(np.round(np.concatenate(sums), 6))])


def spoken_word(action: str) -> str | None:
    """The five letters of a text, with or without spaces between them, or `None`.

    Examples:
        >>> spoken_word("s h i r e"), spoken_word("shire"), spoken_word("Shire")
        ('shire', 'shire', None)
    """
    if len(action) > 4 * LENGTH:
        return None
    word = action.replace(" ", "").replace("\n", "")
    return word if WORD.fullmatch(word) else None


@functools.lru_cache(maxsize=8)
def word_game(words: tuple[str, ...], rules: str = "paper") -> WordGame:
    """The tables of a list under a rule.

    Raises:
        UserError: for an unknown rule.
    """
    if rules not in RULES:
        raise unknown("wordle rules", rules, RULES)
    return WordGame(words, rules)
