"""What a person who plays sees of the maze, besides its texts."""

from collections.abc import Mapping, Sequence
from typing import Any

from lmrl_data.episode import Turn
from lmrl_data.tasks.maze.grid import ACTIONS, as_text
from lmrl_data.tasks.maze.simulator import FAILURE, grid_of


def picture(config: str, options: Mapping[str, Any], turns: Sequence[Turn]) -> str:
    """The map with the goal, and with the walker where the newest text names the position."""
    maze = grid_of(options)
    return as_text(maze, next((cell for cell, text in maze.positions.items() if text == turns[-1].content), None))


def comment(turns: Sequence[Turn]) -> str:
    """Says that the last action was none."""
    _, action, reply = turns[-3:]
    if action.content in ACTIONS or reply.content == FAILURE:
        return ""
    return f"That is no move. ({action.reward:+g})"
