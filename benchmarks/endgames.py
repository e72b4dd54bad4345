"""How fast endgames are played without an engine: one line of JSON.

    python benchmarks/endgames.py

Times are CPU seconds of one process, the best of several runs.
"""

import json
import platform
import time
from collections.abc import Callable

import numpy as np

from lmrl_data import get_task, rollout
from lmrl_data.tasks.chess.simulator import spaced
from lmrl_data.tasks.endgames.simulator import random_position
from lmrl_data.tasks.endgames.tables import SETS, Position, moves_to_mate, solve, white_moves

ENDGAMES = get_task("endgames")
REPEATS = 3
POSITIONS = 1_000


def best_rate(run: Callable[[], int], repeats: int = REPEATS) -> float:
    """Things done per CPU second, in the best of the repeats."""
    rates = []
    for _ in range(repeats):
        begin = time.process_time()
        count = run()
        rates.append(count / (time.process_time() - begin))
    return max(rates)


def steps() -> int:
    """Random legal moves against the tables' defence; finding and writing the moves is in the time."""
    simulator = ENDGAMES.simulator(config="standard")
    random = np.random.default_rng(0)
    count = 0
    for seed in range(100):
        simulator.reset(seed=seed)
        over = False
        while not over:
            moves = list(simulator.board.legal_moves)
            *_, over, cut, _ = simulator.step(spaced(simulator.board.san(moves[int(random.integers(len(moves)))])))
            over = over or cut
            count += 1
    return count


def replayed_steps() -> Callable[[], int]:
    """Games of the dataset with the moves known beforehand, so that only the simulator is timed."""
    games = [ENDGAMES.generate(ENDGAMES.simulator(config="standard"), seed) for seed in range(100)]
    scripts = [[turn.content for turn in game.turns if turn.role == "assistant"] for game in games]
    simulator = ENDGAMES.simulator(config="standard")

    def run() -> int:
        for seed, script in enumerate(scripts):
            simulator.reset(seed=seed, options={"opponent": games[seed].info["opponent"]})
            for action in script:
                simulator.step(action)
        return sum(map(len, scripts))

    return run


def drawn_positions() -> list[Position]:
    random = np.random.default_rng(1)
    return [random_position(pieces, random) for pieces in SETS.values() for _ in range(POSITIONS // len(SETS))]


def main() -> None:
    positions = drawn_positions()
    build = best_rate(lambda: len([ENDGAMES.generate(ENDGAMES.simulator(config="standard"), i) for i in range(200)]))
    policy = ENDGAMES.policy("optimal", "standard")
    result: dict[str, object] = {
        "benchmark": "endgames",
        "python": platform.python_version(),
        "steps_per_s": round(best_rate(replayed_steps())),
        "steps_per_s_random_policy_included": round(best_rate(steps)),
        "lookups_per_s": round(best_rate(lambda: sum(bool(moves_to_mate(each)) for each in positions))),
        "positions_per_s_all_white_moves_valued": round(
            best_rate(lambda: sum(bool(white_moves(each)) for each in positions))
        ),
        "generated_episodes_per_s": round(build),
        "optimal_policy_episodes_per_s_batch_64": round(
            best_rate(lambda: len(rollout(ENDGAMES, "standard", policy, range(128), batch_size=64)))
        ),
        "seconds_to_make_tables": {
            name: round(1 / best_rate(lambda pieces=pieces: len([solve(pieces)]), repeats=1), 2)  # type: ignore[misc]
            for name, pieces in SETS.items()
        },
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
