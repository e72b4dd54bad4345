"""How fast the maze walks, and what the episode loop adds: one line of JSON, for one core.

    python benchmarks/simulator.py

`loop_us_batch_32` is the episode loop's own time per step, in microseconds: the time of `rollout` with a policy that
costs nothing, less the time of the bare simulator with seeded resets.

Times are CPU seconds of this process, the best of several runs, so that a busy machine disturbs them little. `unit_ns`
is what one addition in a plain Python loop costs here, for comparing machines.
"""

import itertools
import json
import platform
import random
import time
from collections.abc import Callable, Sequence
from functools import partial

from lmrl_data import Conversation, Policy, get_task, rollout
from lmrl_data.tasks.maze.grid import ACTIONS

MAZE = get_task("maze")
STEPS = 100_000
REPEATS = 5


def best_rate(run: Callable[[], int]) -> float:
    """Things done per CPU second, in the best of the repeats."""
    rates = []
    for _ in range(REPEATS):
        begin = time.process_time()
        count = run()
        rates.append(count / (time.process_time() - begin))
    return max(rates)


def walk(config: str, *, seeded: bool) -> int:
    """Uniformly random moves, with a reset at the end of each episode: a seeded one, or one that goes on drawing."""
    simulator = MAZE.simulator(config=config)
    actions = random.Random(0).choices(list(ACTIONS), k=STEPS)
    seed = 0
    simulator.reset(seed=seed)
    for action in actions:
        _, _, terminated, truncated, _ = simulator.step(action)
        if terminated or truncated:
            seed += 1
            simulator.reset(seed=seed if seeded else None)
    return STEPS


class Prepared(Policy):
    """Random moves drawn beforehand, so that playing costs nothing but the loop and the simulator."""

    name = "prepared"

    def __init__(self) -> None:
        random_moves = random.Random(0)
        self.batches = itertools.cycle([random_moves.choices(list(ACTIONS), k=32) for _ in range(1_000)])

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return next(self.batches)[: len(conversations)]


def play(config: str, policy: Policy) -> int:
    """Whole episodes through `rollout`, 32 at a time."""
    episodes = rollout(MAZE, config, policy, range(320), batch_size=32)
    return sum(episode.num_turns for episode in episodes)


def count() -> int:
    total = 0
    for number in range(1_000_000):
        total += number
    return 1_000_000


def main() -> None:
    result: dict[str, object] = {"benchmark": "simulator", "task": "maze", "python": platform.python_version()}
    for config in MAZE.configs:
        seeded = best_rate(partial(walk, config, seeded=True))
        looped = best_rate(partial(play, config, Prepared()))
        result[config] = {
            "steps_per_s": round(best_rate(partial(walk, config, seeded=False))),
            "steps_per_s_seeded_resets": round(seeded),
            "rollout_steps_per_s_batch_32": round(best_rate(partial(play, config, MAZE.policy("random", config)))),
            "loop_us_batch_32": round(1e6 / looped - 1e6 / seeded, 2),
        }
    result["unit_ns"] = round(1e9 / best_rate(count), 1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
