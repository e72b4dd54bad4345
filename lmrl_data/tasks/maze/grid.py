"""The maze as a map: layouts, look-up tables of each cell, and the picture of a score by start."""

import functools
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lmrl_data.errors import UserError, unknown

Cell = tuple[int, int]  # (row, column), 0-based, row 0 at the top

ACTIONS = {"move up": (-1, 0), "move down": (1, 0), "move left": (0, -1), "move right": (0, 1)}

# The paper's maze is double_t; the others lie in the original code, unused. "G" is the default goal.
ASSETS = Path(__file__).parent / "assets"
LAYOUTS = {name: (ASSETS / f"{name}.txt").read_text("utf-8") for name in ("double_t", "umaze", "medium", "large")}


def describe_walls(walls: Sequence[str]) -> str:
    """The wall sentence for phrases in the order right, left, above, below."""
    if not walls:
        return "There are no walls near you."
    if len(walls) == 1:
        return f"There is a wall {walls[0]}."
    return f"There are walls {', '.join(walls)}."


def describe_cell(cell: Cell) -> str:
    """Numbers are written digit by digit: column 11 is `1 1`."""
    return ", ".join(" ".join(str(number)) for number in cell)


class Grid(NamedTuple):
    """A layout with a goal, as look-up tables."""

    rows: tuple[str, ...]
    goal: Cell
    free: tuple[Cell, ...]
    starts: tuple[Cell, ...]  # the free cells but the goal
    moves: Mapping[Cell, Mapping[str, Cell]]
    walls: Mapping[Cell, str]  # the partially observed text
    positions: Mapping[Cell, str]  # the fully observed text
    distance: Mapping[Cell, int]

    def best_action(self, cell: Cell) -> str:
        """The action on a shortest path to the goal (the first, in the order of `ACTIONS`, if there are several)."""
        return min(ACTIONS, key=lambda action: self.distance[self.moves[cell][action]])

    def distances(self, goal: Cell) -> dict[Cell, int]:
        """Shortest-path distances to `goal` of all cells that can reach it."""
        return _distances(self.moves, goal)


def _distances(moves: Mapping[Cell, Mapping[str, Cell]], goal: Cell) -> dict[Cell, int]:
    distance, queue = {goal: 0}, deque([goal])
    while queue:
        cell = queue.popleft()
        for neighbour in moves[cell].values():
            if neighbour not in distance:
                distance[neighbour] = distance[cell] + 1
                queue.append(neighbour)
    return distance


@functools.lru_cache(maxsize=64)
def grid(layout: str = "double_t", goal: Cell | None = None) -> Grid:
    """The tables of a layout, by default with its own goal.

    Raises:
        UserError: for an unknown layout, or a goal that is no free cell.
    """
    if layout not in LAYOUTS:
        raise unknown("maze layout", layout, LAYOUTS)
    rows = tuple(LAYOUTS[layout].strip().split("\n"))
    free = tuple((r, c) for r, row in enumerate(rows) for c, mark in enumerate(row) if mark != "#")
    if goal is None:
        goal = next((r, c) for r, c in free if rows[r][c] == "G")
    if goal not in free:
        raise UserError(f"the goal {list(goal)} is no free cell of the {layout} maze")
    open_cells = frozenset(free)

    def step(cell: Cell, delta: Cell) -> Cell:
        target = (cell[0] + delta[0], cell[1] + delta[1])
        return target if target in open_cells else cell

    moves = {cell: {action: step(cell, delta) for action, delta in ACTIONS.items()} for cell in free}
    phrases = {"move right": "to your right", "move left": "to your left"}
    phrases |= {"move up": "above you", "move down": "below you"}
    walls = {
        cell: describe_walls([phrase for action, phrase in phrases.items() if moves[cell][action] == cell])
        for cell in free
    }
    positions = {
        cell: f"The goal is at position {describe_cell(goal)}. "
        f"Your current position is at position {describe_cell(cell)}. {walls[cell]}"
        for cell in free
    }
    starts = tuple(cell for cell in free if cell != goal)
    return Grid(rows, goal, free, starts, moves, walls, positions, _distances(moves, goal))


def as_text(maze: Grid, cell: Cell | None) -> str:
    """The maze with `G` at the goal and `@` where the walker stands, if that is known."""
    marks = {maze.goal: "G"} | ({cell: "@"} if cell is not None else {})
    lines = []
    for r, row in enumerate(maze.rows):
        cells = (marks.get((r, c), "█" if mark == "#" else "·") for c, mark in enumerate(row))
        lines.append("".join(mark * 2 if mark == "█" else f"{mark} " for mark in cells))
    return "\n".join(lines)


def start_name(cell: Cell) -> str:
    return f"{cell[0]},{cell[1]}"


STARTS_BY_NAME = {start_name(cell): {"start": list(cell)} for cell in grid().starts}


def draw(axes: Any, values: Mapping[str, float], actions: Mapping[str, str]) -> Any:
    """Draws the maze on Matplotlib `axes`: each start colored by its value, with its action as an arrow."""
    maze = grid()
    image = np.full((len(maze.rows), len(maze.rows[0])), np.nan)
    for cell in maze.starts:
        image[cell] = values.get(start_name(cell), np.nan)
    axes.set_facecolor("0.25")
    mesh = axes.imshow(image, cmap="viridis", vmin=-101, vmax=0)
    row, column = maze.goal
    axes.fill_between([column - 0.5, column + 0.5], row - 0.5, row + 0.5, color="white")
    axes.text(column, row, "goal", ha="center", va="center", color="black", fontsize=8, fontweight="bold")
    for cell in maze.starts:
        if (action := actions.get(start_name(cell))) in ACTIONS:
            dy, dx = ACTIONS[action]
            head = (cell[1] + 0.35 * dx, cell[0] + 0.35 * dy)
            tail = (cell[1] - 0.35 * dx, cell[0] - 0.35 * dy)
            bright = values.get(start_name(cell), -101) > -40  # the cell is green or yellow
            axes.annotate("", head, tail, arrowprops={"arrowstyle": "->", "color": "black" if bright else "white"})
    axes.set_xticks([])
    axes.set_yticks([])
    return mesh
