"""Maze: walk a small grid to the goal by saying `move up`, `move down`, `move left` or `move right`.

Fully observed, every text tells the goal, the position and the walls; partially observed, the walls only. Each move
costs 1, an unreadable action 4, the move that reaches the goal nothing. Paper section 4 and appendix C.
"""

import string
from collections.abc import Mapping
from typing import Any, NamedTuple

from gymnasium import spaces

from lmrl_data.config import Config
from lmrl_data.errors import UserError, unknown
from lmrl_data.simulator import Simulator, Step, check_options
from lmrl_data.tasks.maze.grid import Cell, Grid, as_text, grid

SUCCESS = "Success"
FAILURE = "Failure"
MAX_MOVES = 100  # the 101st action is ignored and ends the episode, so that legal actions return -101 at the least

STARTS: Mapping[str, Mapping[str, Cell]] = {
    "double_t": {
        "far_left": (1, 1),
        "far_right": (1, 11),
        "left_junction": (5, 3),
        "right_junction": (5, 9),
        "center": (5, 6),
    },
    "umaze": {"far_left": (3, 1)},
    "medium": {"far_left": (1, 1)},
    "large": {"far_left": (1, 1)},
}


class RewardFunction(NamedTuple):
    goal: float
    invalid: float
    move: float


# -4 and not -1 for an invalid action: an utterance that is no move costs more than a wasted one (original code).
REWARDS = {
    "standard": RewardFunction(goal=0.0, invalid=-4.0, move=-1.0),
    "illegal_penalty": RewardFunction(goal=1.0, invalid=-1.0, move=0.0),
    "illegal_penalty_diff_scale": RewardFunction(goal=1.0, invalid=-100.0, move=-1.0),
}


# --- the simulator


class MazeSimulator(Simulator):
    """The maze as a Gymnasium environment of texts.

    Args:
        config (`Config`): `"fully_observed"` or `"partially_observed"`.
        render_mode (`str`, *optional*): `"ansi"`, a drawing of the maze.
        options (`Mapping`, *optional*): reset options for every episode.

    Reset options: `start` (a cell `[row, column]` or a name such as `"far_left"`; uniform over the free cells by
    default), `goal` (a cell), `layout` (`double_t`, `umaze`, `medium`, `large`) and `reward` (`standard`,
    `illegal_penalty`, `illegal_penalty_diff_scale`).
    """

    observation_space = spaces.Text(max_length=160, min_length=1, charset=string.ascii_letters + string.digits + " ,.")
    action_space = spaces.Text(max_length=16, min_length=0, charset=string.ascii_lowercase + " ")

    def __init__(
        self,
        config: Config,
        render_mode: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(config, render_mode, options)
        self.cell: Cell = (0, 0)

    def _reset(self, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        check_options("maze", options, ("start", "goal", "layout", "reward"))
        layout = str(options.get("layout", "double_t"))
        self.grid = grid_of(options)
        reward = str(options.get("reward", "standard"))
        if reward not in REWARDS:
            raise unknown("maze reward function", reward, REWARDS)
        self.reward = REWARDS[reward]
        self.moves, self.goal, self.move_reward = self.grid.moves, self.grid.goal, self.reward.move
        self.cell = self._start(options.get("start"), layout)
        self.texts = self.grid.positions if self.config == "fully_observed" else self.grid.walls
        self.moves_made = 0
        return self.texts[self.cell], {"start": list(self.cell)}

    def _start(self, start: Any, layout: str) -> Cell:
        if start is None:
            starts = self.grid.starts
            return starts[int(self.np_random.integers(len(starts)))]
        if isinstance(start, str):
            if start not in STARTS[layout]:
                raise unknown(f"start of the {layout} maze", start, STARTS[layout])
            start = STARTS[layout][start]
        cell = _cell(start, "start")
        if cell not in self.grid.starts:
            raise UserError(f"the start {list(cell)} is no free cell other than the goal of the {layout} maze")
        return cell

    def _step(self, action: str) -> Step:
        if self.moves_made >= MAX_MOVES:
            # The simulator ignores the action: `Failure` costs 1 whatever it is.
            return FAILURE, -1.0, False, True, {"valid": True, "success": False}
        self.moves_made += 1
        target = self.moves[self.cell].get(action)
        if target is None:
            # An invalid action also wipes what the policy remembers (original code).
            return self.texts[self.cell], self.reward.invalid, False, False, {"valid": False, "history_reset": True}
        self.cell = target
        if target == self.goal:
            return SUCCESS, self.reward.goal, True, False, {"valid": True, "success": True}
        return self.texts[target], self.move_reward, False, False, {"valid": True}

    def render(self) -> str:
        """The maze with `@` where the walker stands and `G` at the goal."""
        return as_text(self.grid, self.cell)


def grid_of(options: Mapping[str, Any]) -> Grid:
    """The maze that reset options choose.

    Raises:
        UserError: for an unknown layout, or a goal that is no free cell.
    """
    layout = str(options.get("layout", "double_t"))
    return grid(layout, _cell(options["goal"], "goal") if options.get("goal") is not None else None)


def _cell(value: Any, what: str) -> Cell:
    try:
        row, column = (int(number) for number in value)
    except (OverflowError, TypeError, ValueError):
        raise UserError(f"a maze {what} is a cell [row, column], got {str(value)[:80]!r}") from None
    return row, column
