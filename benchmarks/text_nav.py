"""How fast Text-Nav is: one line of JSON with steps, resets and episodes a second of one core.

    python benchmarks/text_nav.py

Times are CPU seconds of this process, the best of several runs. Where `textworld` is installed (the extra of that
name), the same commands are also played in the same house as TextWorld compiles it, in turns with ours; `step_ratio`
and `reset_ratio` are how many times as long that takes, with the list of admissible commands, as our texts have it.
"""

import importlib.util
import json
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lmrl_data import Simulator, get_task
from lmrl_data.dataset.build import build_dataset
from lmrl_data.tasks.text_nav.players import commands_in

TEXT_NAV = get_task("text_nav")
STEPS = 20_000
REPEATS = 5
EPISODES = 2_500


def best_time(run: Callable[[], int]) -> float:
    """CPU seconds for one of the things that `run` does, in the best of the repeats."""
    times = []
    for _ in range(REPEATS):
        begin = time.process_time()
        count = run()
        times.append((time.process_time() - begin) / count)
    return min(times)


def scripts(steps: int, start: str | None = None) -> list[list[str]]:
    """Episodes of uniformly random listed commands, of so many commands together."""
    chance = random.Random(0)
    simulator = TEXT_NAV.simulator(options={"start": start} if start else None)
    found = []
    while steps > 0:
        text, _ = simulator.reset(seed=len(found))
        said, over = [], False
        while not over:
            said.append(chance.choice(commands_in(text)))
            text, _, terminated, truncated, _ = simulator.step(said[-1])
            over = terminated or truncated
        found.append(said)
        steps -= len(said)
    return found


def play(simulator: Simulator, episodes: list[list[str]]) -> float:
    """CPU seconds of the steps alone."""
    total = 0.0
    for seed, said in enumerate(episodes):
        simulator.reset(seed=seed)
        begin = time.process_time()
        for command in said:
            simulator.step(command)
        total += time.process_time() - begin
    return total


def resets(simulator: Simulator, *, seeded: bool) -> int:
    for seed in range(2_000):
        simulator.reset(seed=seed if seeded else None)
    return 2_000


def generate(config: str) -> int:
    simulator = TEXT_NAV.simulator(config=config)
    for seed in range(1_000):
        TEXT_NAV.generate(simulator, seed)
    return 1_000


def build() -> float:
    """Episodes a wall second that one process builds, Parquet and card included."""
    with tempfile.TemporaryDirectory() as folder:
        build_dataset(TEXT_NAV, num_episodes=10, output_dir=f"{folder}/warm")
        begin = time.perf_counter()
        build_dataset(TEXT_NAV, num_episodes=EPISODES, output_dir=folder)
        return len(TEXT_NAV.configs) * (EPISODES + EPISODES // 10) / (time.perf_counter() - begin)


def beside_textworld() -> dict[str, float]:
    """TextWorld's times and how they compare, from rounds in which both play the same 20 episodes in turn."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    import textworld
    from textworld_house import compile_house

    start = "living room"
    episodes = scripts(300, start)
    steps = sum(map(len, episodes))
    simulator = TEXT_NAV.simulator(options={"start": start})
    ours, theirs, their_resets = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        infos = textworld.EnvInfos(admissible_commands=True, score=True, won=True, lost=True)
        game = textworld.start(compile_house(start, Path(folder)), infos)
        for _ in range(REPEATS):
            stepping = resetting = 0.0
            for said in episodes:
                begin = time.process_time()
                game.reset()
                middle = time.process_time()
                for command in said:
                    game.step(command)
                resetting += middle - begin
                stepping += time.process_time() - middle
            theirs.append(stepping / steps)
            their_resets.append(resetting / len(episodes))
            ours.append(play(simulator, episodes) / steps)
        game.close()
    reset = best_time(partial(resets, simulator, seeded=True))
    return {
        "textworld_step_us": round(1e6 * min(theirs)),
        "textworld_reset_us": round(1e6 * min(their_resets)),
        "step_us_beside_it": round(1e6 * min(ours), 1),
        "step_ratio": round(min(theirs) / min(ours)),
        "reset_ratio": round(min(their_resets) / reset),
    }


def count() -> int:
    total = 0
    for number in range(1_000_000):
        total += number
    return 1_000_000


def main() -> None:
    result: dict[str, object] = {"benchmark": "text_nav", "task": "text_nav", "python": platform.python_version()}
    episodes = scripts(STEPS)
    steps = sum(map(len, episodes))
    for config in TEXT_NAV.configs:
        simulator = TEXT_NAV.simulator(config=config)
        seconds = min(play(simulator, episodes) for _ in range(REPEATS)) / steps
        result[config] = {
            "step_us": round(1e6 * seconds, 1),
            "steps_per_s": round(1 / seconds),
            "resets_per_s": round(1 / best_time(partial(resets, simulator, seeded=False))),
            "seeded_resets_per_s": round(1 / best_time(partial(resets, simulator, seeded=True))),
            "episodes_per_s_generated": round(1 / best_time(partial(generate, config))),
        }
    result["episodes_per_s_built"] = round(build())
    if importlib.util.find_spec("textworld"):
        result |= beside_textworld()
    result["unit_ns"] = round(1e9 * best_time(count), 1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
