"""How fast the maze walks: one line of JSON with steps per second of one core.

    python benchmarks/simulator.py

Times are CPU seconds of this process, the best of several runs, so that a busy machine disturbs them little. `unit_ns`
is what one addition in a plain Python loop costs here, for comparing machines.
"""

import json
import platform
import random
import time
from collections.abc import Callable
from functools import partial

from lmrl_data import get_task, rollout
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


def play(config: str) -> int:
    """Whole episodes of the random policy through `rollout`, 32 at a time."""
    episodes = rollout(MAZE, config, MAZE.policy("random", config), range(320), batch_size=32)
    return sum(episode.num_turns for episode in episodes)


def count() -> int:
    total = 0
    for number in range(1_000_000):
        total += number
    return 1_000_000


def main() -> None:
    result: dict[str, object] = {"benchmark": "simulator", "task": "maze", "python": platform.python_version()}
    for config in MAZE.configs:
        result[config] = {
            "steps_per_s": round(best_rate(partial(walk, config, seeded=False))),
            "steps_per_s_seeded_resets": round(best_rate(partial(walk, config, seeded=True))),
            "rollout_steps_per_s_batch_32": round(best_rate(partial(play, config))),
        }
    result["unit_ns"] = round(1e9 / best_rate(count), 1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
