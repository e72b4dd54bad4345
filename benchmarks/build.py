"""How many episodes a second one process builds, Parquet and card included."""

import json
import tempfile
import time

from lmrl_data import get_task
from lmrl_data.dataset.build import build_dataset

EPISODES = 4_000


def main() -> None:
    task = get_task("maze")
    with tempfile.TemporaryDirectory() as folder:
        build_dataset(task, num_episodes=10, output_dir=f"{folder}/warm")
        start = time.perf_counter()
        build_dataset(task, num_episodes=EPISODES, output_dir=folder)
        seconds = time.perf_counter() - start
    episodes = len(task.configs) * (EPISODES + EPISODES // 10)
    result = {"benchmark": "build", "task": task.id, "episodes": episodes, "episodes_per_second": episodes / seconds}
    print(json.dumps({key: round(value) if isinstance(value, float) else value for key, value in result.items()}))


if __name__ == "__main__":
    main()
