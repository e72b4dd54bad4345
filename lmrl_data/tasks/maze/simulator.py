"""Maze: walk a small grid to the goal by saying `move up`, `move down`, `move left` or `move right`.

Fully observed, every text tells the goal, the position and the walls; partially observed, the walls only. Each move
costs 1, an unreadable action 4, the move that reaches the goal nothing. Paper section 4 and appendix C.
"""

import functools
import string
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from lmrl_data.config import Config
from lmrl_data.episode import Episode, Turn
from lmrl_data.errors import UserError, unknown
from lmrl_data.policy import Conversation, Policy, Streams
from lmrl_data.simulator import Simulator, Step, check_options
from lmrl_data.task import Behavior

Cell = tuple[int, int]  # (row, column), 0-based, row 0 at the top

ACTIONS = {"move up": (-1, 0), "move down": (1, 0), "move left": (0, -1), "move right": (0, 1)}
SUCCESS = "Success"
FAILURE = "Failure"
MAX_MOVES = 100  # the 101st action is ignored and ends the episode, so that legal actions return -101 at the least

# The paper's maze is double_t; the others lie in the original code, unused. "G" is the default goal.
ASSETS = Path(__file__).parent / "assets"
LAYOUTS = {name: (ASSETS / f"{name}.txt").read_text("utf-8") for name in ("double_t", "umaze", "medium", "large")}

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


# --- the texts, to the letter


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


# --- the simulator


class MazeSimulator(Simulator):
    """The maze as a Gymnasium environment of texts.

    Args:
        config (`Config`): or `"partially_observed"`.
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
        self.grid = grid(layout, _cell(options["goal"], "goal") if options.get("goal") is not None else None)
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
            # The action is not looked at: `Failure` costs 1 whatever was said.
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
        marks = {self.grid.goal: "G", self.cell: "@"}
        lines = []
        for r, row in enumerate(self.grid.rows):
            cells = (marks.get((r, c), "█" if mark == "#" else "·") for c, mark in enumerate(row))
            lines.append("".join(mark * 2 if mark == "█" else f"{mark} " for mark in cells))
        return "\n".join(lines)


def _cell(value: Any, what: str) -> Cell:
    try:
        row, column = (int(number) for number in value)
    except (OverflowError, TypeError, ValueError):
        raise UserError(f"a maze {what} is a cell [row, column], got {str(value)[:80]!r}") from None
    return row, column


# --- policies


class RandomPolicy(Policy):
    """One of the four moves, uniformly."""

    name = "scripted:random"

    def __init__(self, config: str, seed: int) -> None:
        self.streams = Streams(seed)

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [list(ACTIONS)[self.streams[conversation].integers(4)] for conversation in conversations]


class OptimalPolicy(Policy):
    """The shortest path; partially observed, the fewest moves expected from what was seen since the start."""

    name = "scripted:optimal"

    def __init__(self, config: str, seed: int) -> None:
        self.config = config

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [self._act([turn.content for turn in conversation.visible]) for conversation in conversations]

    def _act(self, texts: list[str]) -> str:
        maze = grid()
        if self.config == "fully_observed":
            cell = next((cell for cell in maze.free if maze.positions[cell] == texts[-1]), None)
            return maze.best_action(cell) if cell else next(iter(ACTIONS))
        belief = tuple(cell for cell in maze.starts if maze.walls[cell] == texts[0])
        for action, text in zip(texts[1::2], texts[2::2], strict=True):
            belief = _update(maze, belief, action).get(text, ())
        return belief_solution()[belief].action if belief in belief_solution() else next(iter(ACTIONS))


Belief = tuple[Cell, ...]  # where the walker may be, one entry per start that is still possible


class BeliefAction(NamedTuple):
    action: str
    cost: float  # expected number of further moves that cost 1


def _update(maze: Grid, belief: Belief, action: str) -> dict[str, Belief]:
    """The beliefs after `action`, by what is then seen."""
    after: dict[str, list[Cell]] = {}
    for cell in belief:
        target = maze.moves[cell].get(action, cell)
        text = SUCCESS if target == maze.goal else maze.walls[target]
        after.setdefault(text, []).append(target)
    return {text: tuple(sorted(cells)) for text, cells in after.items()}


@functools.lru_cache(maxsize=1)
def belief_solution() -> dict[Belief, BeliefAction]:
    """The best action for every belief the partially observed benchmark maze can lead to, by value iteration."""
    maze = grid()
    first: dict[str, list[Cell]] = {}
    for cell in maze.starts:
        first.setdefault(maze.walls[cell], []).append(cell)
    queue = deque(tuple(sorted(cells)) for cells in first.values())
    children: dict[Belief, dict[str, dict[str, Belief]]] = {}
    while queue:
        belief = queue.popleft()
        if belief not in children:
            children[belief] = {action: _update(maze, belief, action) for action in ACTIONS}
            queue.extend(b for after in children[belief].values() for text, b in after.items() if text != SUCCESS)
    cost = dict.fromkeys(children, 0.0)

    def action_cost(belief: Belief, action: str) -> float:
        # Everyone who has not reached the goal pays 1 and goes on.
        after = children[belief][action].items()
        return sum(len(b) * (1 + cost[b]) for text, b in after if text != SUCCESS) / len(belief)

    # Costs rise from 0 to the optimum; no plan needs more moves than there are cells to tell apart.
    while True:
        updated = {belief: min(action_cost(belief, action) for action in ACTIONS) for belief in children}
        if all(abs(updated[belief] - cost[belief]) < 1e-12 for belief in children):
            break
        cost = updated
    return {
        belief: BeliefAction(min(ACTIONS, key=lambda action: action_cost(belief, action)), cost[belief])
        for belief in children
    }


# --- the dataset

LEFT_T = frozenset({(1, c) for c in range(1, 6)} | {(r, 3) for r in range(2, 5)})
RIGHT_T = frozenset((r, 12 - c) for r, c in LEFT_T)
STEM = frozenset({(5, c) for c in range(3, 10)} | {(r, 6) for r in range(6, 9)})

# Set so that 1,240 episodes have Table 1's statistics; the card says what the paper leaves open.
SOLVER_RATE = 0.17  # of the moves of an episode; 15 % of all moves, since the solver rests on its target
SOLVER_KNOWS_GOAL = 0.4  # of the episodes; in the others the solver is mistaken about where the goal is
START_SCALE = 1.0  # starts in a T are likelier near its exit: probability falls by e every so many cells
MAX_DATA_MOVES = 70


def _wander(name: str, region: frozenset[Cell]) -> Callable[[Simulator, int], Episode]:
    """A walker that stays in one of the three sub-mazes: no episode leads from a far end to the goal.

    In a T it ends when it steps out into the stem. In the stem it does not walk up into a T and ends at the goal.
    """

    @functools.cache
    def tables() -> tuple[list[Cell], np.ndarray, dict[Cell, dict[Cell, int]], dict[Cell, list[str]]]:
        maze = grid()
        cells = sorted(region - {maze.goal})
        to_goal = np.array([maze.distance[cell] for cell in cells])
        weights = np.exp(-(to_goal - to_goal.min()) / START_SCALE) if maze.goal not in region else np.ones(len(cells))
        leaves = maze.goal not in region
        allowed = {
            cell: [a for a, b in maze.moves[cell].items() if b != cell and (leaves or b in region)] for cell in cells
        }
        distances = {target: maze.distances(target) for target in [*cells, maze.goal]}
        return cells, np.cumsum(weights / weights.sum()), distances, allowed

    def play(simulator: Simulator, seed: int) -> Episode:
        assert isinstance(simulator, MazeSimulator)
        maze = grid()
        cells, cumulative, distances, allowed = tables()
        random = np.random.default_rng(seed)
        uniform = random.random(3 + 2 * MAX_DATA_MOVES).tolist()
        start = cells[min(int(np.searchsorted(cumulative, uniform[0])), len(cells) - 1)]
        knows = uniform[1] < SOLVER_KNOWS_GOAL
        distance = distances[maze.goal if knows else cells[int(uniform[2] * len(cells))]]
        text, info = simulator.reset(seed=seed, options={"start": start})
        turns = [Turn("user", text)]
        success = False
        for who, which in zip(uniform[3::2], uniform[4::2], strict=True):
            cell = simulator.cell
            actions = allowed[cell]
            action = actions[int(which * len(actions))]
            if who < SOLVER_RATE and distance[cell] > 0:
                solver = min(maze.moves[cell], key=lambda a: distance[maze.moves[cell][a]])
                action = solver if solver in actions else action
            text, reward, success, _, _ = simulator.step(action)
            turns += (Turn("assistant", action, reward), Turn("user", text))
            if success or simulator.cell not in region:
                break
        info = {**info, "success": success, "invalid": 0}
        return Episode("maze", simulator.config, tuple(turns), success, not success, seed, name, info)

    return play


STEM_SHARE = 0.14
BEHAVIORS = (
    Behavior("left_t", (1 - STEM_SHARE) / 2, _wander("left_t", LEFT_T)),
    Behavior("right_t", (1 - STEM_SHARE) / 2, _wander("right_t", RIGHT_T)),
    Behavior("stem", STEM_SHARE, _wander("stem", STEM)),
)


def data_facts(config: str, episodes: Iterable[Episode]) -> dict[str, str]:
    """The exact expected return, over all starts, of playing each action as often as the data does."""
    counts: dict[str, Counter[str]] = {}
    for episode in episodes:
        for seen, said in zip(episode.turns[::2], episode.turns[1::2], strict=False):
            counts.setdefault(seen.content, Counter())[said.content] += 1
    maze = grid()
    texts = maze.positions if config == "fully_observed" else maze.walls
    value = dict.fromkeys(maze.starts, -1.0)  # the action after the last move costs 1
    for _ in range(MAX_MOVES):
        # Where the data has no action, all four are as likely.
        value = {
            cell: sum(
                n * (value[target] - 1)
                for action, n in chosen.items()
                if (target := maze.moves[cell][action]) != maze.goal
            )
            / chosen.total()
            for cell in maze.starts
            for chosen in [counts.get(texts[cell]) or Counter(ACTIONS.keys())]
        }
    mean = sum(value.values()) / len(value)
    label = "the exact return of playing each action as often as the data does after the newest text is"
    return {label: f"{mean:.2f}"}


def best_actions(config: str) -> dict[str, str]:
    """The best first action from each start: by position, or by what the walls of the start alone tell."""
    policy = OptimalPolicy(config, 0)
    maze = grid()
    texts = maze.positions if config == "fully_observed" else maze.walls
    return {start_name(cell): policy._act([texts[cell]]) for cell in maze.starts}


def start_name(cell: Cell) -> str:
    return f"{cell[0]},{cell[1]}"


def draw(axes: Any, values: Mapping[str, float], actions: Mapping[str, str]) -> Any:
    """Draws the maze on Matplotlib `axes`: each start coloured by its value, with its action as an arrow."""
    maze = grid()
    image = np.full((len(maze.rows), len(maze.rows[0])), np.nan)
    for cell in maze.starts:
        image[cell] = values.get(start_name(cell), np.nan)
    axes.set_facecolor("0.25")
    mesh = axes.imshow(image, cmap="viridis", vmin=-101, vmax=0)
    axes.text(maze.goal[1], maze.goal[0], "goal", ha="center", va="center", color="white", fontsize=8)
    for cell in maze.starts:
        if (action := actions.get(start_name(cell))) in ACTIONS:
            dy, dx = ACTIONS[action]
            axes.annotate(
                "", (cell[1] + 0.35 * dx, cell[0] + 0.35 * dy), (cell[1] - 0.35 * dx, cell[0] - 0.35 * dy),
                arrowprops={"arrowstyle": "->", "color": "white"},
            )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    return mesh


STARTS_BY_NAME = {start_name(cell): {"start": list(cell)} for cell in grid().starts}
