"""What a person who plays sees of Wordle, besides its texts."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from lmrl_data.episode import Turn
from lmrl_data.tasks.wordle.simulator import INVALID, WordleSimulator, board
from lmrl_data.tasks.wordle.words import spoken_word


def picture(config: str, options: Mapping[str, Any], turns: Sequence[Turn]) -> str:
    """The board of the guesses so far."""
    pairs = [(guess.content, text.content) for guess, text in pairwise(turns) if guess.role == "assistant"]
    return board([((spoken_word(guess) or "") if text != INVALID else "", text) for guess, text in pairs])


def comment(turns: Sequence[Turn]) -> str:
    """Says that the last guess was no word of the list, whose answer is an empty line."""
    return "That is no word of the list, and cost a try." if turns[-1].content == INVALID else ""


def objection(simulator: WordleSimulator, action: str) -> str:
    """Why a guess would cost a try for nothing."""
    if simulator.game.number(action) is not None:
        return ""
    return f"That is none of the {len(simulator.game.words):,} words that can be guessed here, and costs no try."
