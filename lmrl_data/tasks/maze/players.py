"""The players of the maze: scripted policies, and the walkers that make the dataset."""

import functools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lmrl_data.episode import Episode
from lmrl_data.policy import Conversation, Policy, Streams
from lmrl_data.rollout import EpisodeRecorder
from lmrl_data.simulator import Simulator
from lmrl_data.task import Behavior
from lmrl_data.tasks.maze.grid import ACTIONS, Cell, Grid, grid, start_name
from lmrl_data.tasks.maze.simulator import MAX_MOVES, SUCCESS, MazeSimulator


class RandomPolicy(Policy):
    """One of the four moves, uniformly."""

    name = "scripted:random"

    def __init__(self, config: str, seed: int) -> None:
        self.streams = Streams(seed)

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [list(ACTIONS)[self.streams[conversation].integers(4)] for conversation in conversations]


class OptimalPolicy(Policy):
    """The shortest path; partially observed, the fewest expected moves given all observations since the start."""

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
    """The beliefs after `action`, by the next observation."""
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
        # Each walker that has not reached the goal pays 1 and goes on.
        after = children[belief][action].items()
        return sum(len(b) * (1 + cost[b]) for text, b in after if text != SUCCESS) / len(belief)

    # Costs rise from 0 to the optimum; no plan needs more moves than there are cells.
    while True:
        updated = {belief: min(action_cost(belief, action) for action in ACTIONS) for belief in children}
        if all(abs(updated[belief] - cost[belief]) < 1e-12 for belief in children):
            break
        cost = updated
    return {
        belief: BeliefAction(min(ACTIONS, key=lambda action: action_cost(belief, action)), cost[belief])
        for belief in children
    }


def best_actions(config: str) -> dict[str, str]:
    """The best first action from each start: by position, or by what the walls of the start alone tell."""
    policy = OptimalPolicy(config, 0)
    maze = grid()
    texts = maze.positions if config == "fully_observed" else maze.walls
    return {start_name(cell): policy._act([texts[cell]]) for cell in maze.starts}


# --- the dataset

LEFT_T = frozenset({(1, c) for c in range(1, 6)} | {(r, 3) for r in range(2, 5)})
RIGHT_T = frozenset((r, 12 - c) for r, c in LEFT_T)
STEM = frozenset({(5, c) for c in range(3, 10)} | {(r, 6) for r in range(6, 9)})
# Chosen so that 1,240 episodes have the statistics of Table 1; the card says what the paper leaves open.
SOLVER_RATE = 0.17  # of the moves of an episode; 15 % of all moves, since the solver rests on its target
SOLVER_KNOWS_GOAL = 0.4  # of the episodes; in the others the solver is mistaken about where the goal is
START_SCALE = 1.0  # starts in a T are likelier near its exit: probability falls by e every so many cells
MAX_DATA_MOVES = 70


def _wander(name: str, region: frozenset[Cell]) -> Callable[[Simulator, int], Episode]:
    """A walker that stays in one of the three sub-mazes, so that no episode leads from a far end to the goal.

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
        recorder = EpisodeRecorder("maze", simulator)
        recorder.begin(seed, {"start": start})
        for who, which in zip(uniform[3::2], uniform[4::2], strict=True):
            cell = simulator.cell
            actions = allowed[cell]
            action = actions[int(which * len(actions))]
            if who < SOLVER_RATE and distance[cell] > 0:
                solver = min(maze.moves[cell], key=lambda a: distance[maze.moves[cell][a]])
                action = solver if solver in actions else action
            if recorder.add(action, simulator.step(action)) or simulator.cell not in region:
                break
        return recorder.finish(name)

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
