"""Golden transcripts: seeds and actions by hand, rewards and texts as the simulator gave them when they were reviewed.

`python tests/golden/record.py maze` plays the actions of `maze.json` again and writes down what comes back. Read the
difference before committing it: whatever changes here changes what every policy sees, and wants a new task version.
"""

import json
import sys
from pathlib import Path
from typing import Any

from lmrl_data import get_task
from lmrl_data.rollout import EpisodeRecorder

FOLDER = Path(__file__).parent


def replay(task_id: str, transcript: dict[str, Any]) -> dict[str, Any]:
    """The transcript as the simulator plays it now; each turn is `[action, reward, text]`."""
    simulator = get_task(task_id).simulator(config=transcript["config"])
    recorder = EpisodeRecorder(task_id, simulator)
    observation = recorder.begin(transcript["seed"], transcript["options"])
    turns = []
    for action, *_ in transcript["turns"]:
        step = simulator.step(action)
        recorder.add(action, step)
        turns.append([action, step[1], step[0]])
    end = "terminated" if recorder.terminated else "truncated" if recorder.truncated else "running"
    return {**transcript, "first": observation, "turns": turns, "end": end}


def load(task_id: str) -> list[dict[str, Any]]:
    return json.loads((FOLDER / f"{task_id}.json").read_text(encoding="utf-8"))


def save(task_id: str, transcripts: list[dict[str, Any]]) -> None:
    """One turn a line, so that a difference reads well."""
    blocks = []
    for transcript in transcripts:
        turns = ",\n  ".join(json.dumps(turn) for turn in transcript["turns"])
        head = ", ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in transcript.items() if k != "turns")
        blocks.append(f'{{{head}, "turns": [\n  {turns}\n]}}')
    text = "[\n" + ",\n".join(blocks) + "\n]\n"
    (FOLDER / f"{task_id}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        save(name, [replay(name, transcript) for transcript in load(name)])
