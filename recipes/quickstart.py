"""Builds a task's dataset, trains and scores policies, and prints the table.

    lmrl-train quickstart maze
    python recipes/quickstart.py maze partially_observed

Everything goes into the current folder: data to lmrl/, checkpoints and logs to
runs/, scores to results/. A second run skips the steps that are done. A change
to a step's settings, or to a step that it builds on, repeats it.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from lmrl_data.atomic import write_text
from lmrl_data.command import one_line_errors
from lmrl_data.errors import unknown
from lmrl_data.terminal import wrapped
from lmrl_recipes.training.start import recipes_folder

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "PYTHONWARNINGS": "ignore",
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
}
OFFLINE = ("bc", "filtered_bc", "mc", "ilql")
LOG_LINES = 15  # of a step that failed, so many of the last are shown
DATA, TRAIN, EVAL = (
    [sys.executable, "-m", module] for module in ("lmrl_data.cli", "lmrl_recipes.launch", "lmrl_eval.commands.main")
)


def quickstarts() -> list[str]:
    """The tasks that have one, such as `maze` and `maze/partially_observed`."""
    folder = recipes_folder()
    return sorted(path.parent.relative_to(folder).as_posix() for path in folder.glob("*/**/quickstart.yaml"))


class StepError(Exception):
    """A step has failed; the message ends with the last lines of its log."""


class Quickstart:
    """The steps of a task's quickstart.

    Args:
        name (`str`): the task's folder of recipes, such as `maze/partially_observed`.
    """

    def __init__(self, name: str) -> None:
        import yaml

        self.recipes = recipes_folder() / name
        self.settings = yaml.safe_load((self.recipes / "quickstart.yaml").read_text(encoding="utf-8"))
        self.task = name.partition("/")[0]
        self.config = yaml.safe_load((self.recipes / "ilql.yaml").read_text(encoding="utf-8"))["dataset_config"]
        self.online = tuple(self.settings.get("online", ()))
        self.runs = Path("runs", name.replace("/", "_"))
        self.results = Path("results", name.replace("/", "_"))
        self.running: set[subprocess.Popen] = set()
        self.stopped = False

    def run(self) -> None:
        """Does all steps that are not done.

        Raises:
            StepError: if one fails.
        """
        self.runs.mkdir(parents=True, exist_ok=True)
        print("Data", flush=True)
        episodes = self.settings.get("episodes")
        flags = ["--episodes", str(episodes)] if episodes else []
        self.call([*DATA, "build", self.task, "--config", self.config, *flags, "--num-proc", "2"])
        print("Model", flush=True)
        self.make_model()
        print("Training: two at a time, one thread each", flush=True)
        self.two_at_a_time(self.train, OFFLINE[:2])
        self.two_at_a_time(self.train, (*OFFLINE[2:], *self.online))
        print("Scores", flush=True)
        self.two_at_a_time(self.score, (*OFFLINE, *self.online))
        folders = [str(self.results / algorithm) for algorithm in (*OFFLINE, *self.online)]
        self.call([*EVAL, "report", *folders, "--out", str(self.results / "report")])
        if self.online:
            folders = [str(self.runs / algorithm) for algorithm in self.online]
            self.call([*EVAL, "report", "--curves", *folders, "--out", str(self.results / "curves")])

    # --- steps

    def make_model(self) -> None:
        command = [*TRAIN, "tiny_model", "--dataset_name", f"lmrl/{self.task}", "--dataset_config", self.config]
        command += [*flags_of(self.settings["model"], "_"), "--output_dir", str(self.runs / "base")]
        # The manifest names the files of the data by their checksums.
        manifest = Path("lmrl", self.task, "manifest.json").read_text(encoding="utf-8")
        self.step("base", command, [manifest, (recipes_folder() / "tiny_model.py").read_text(encoding="utf-8")])

    def train(self, algorithm: str) -> None:
        recipe = self.recipes / f"{algorithm}.yaml"
        before = "base" if algorithm in OFFLINE[:2] else "bc"
        self.step(
            algorithm,
            [*TRAIN, algorithm, "--config", str(recipe), "--overwrite_output_dir"],
            [recipe.read_text("utf-8"), self.made(before)],
        )

    def score(self, algorithm: str) -> None:
        command = [*EVAL, "run", "--task", self.task, "--config", self.config, "--policy", str(self.runs / algorithm)]
        command += [*flags_of(self.settings["score"], "-"), "--out", str(self.results / algorithm)]
        self.step(f"score_{algorithm}", command, [self.made(algorithm)])

    def step(self, name: str, command: list[str], sources: Iterable[str]) -> None:
        """Runs a command unless it was done with the same arguments and sources."""
        state, log = self.runs / f"{name}.step", self.runs / f"{name}.log"
        digest = hashlib.sha256(json.dumps([command[1:], *sources]).encode()).hexdigest()
        before = json.loads(state.read_text(encoding="utf-8")) if state.exists() else {}
        if before == {"made_from": digest, "done": True}:
            print(f"  {name}: done before", flush=True)
            return
        if before.get("made_from") != digest:
            # Episodes of an unfinished score of other settings.
            shutil.rmtree(self.results / f"{name.removeprefix('score_')}.partial", ignore_errors=True)
        write_text(state, json.dumps({"made_from": digest, "done": False}))
        start = time.monotonic()
        try:
            with log.open("w", encoding="utf-8", newline="\n") as output:
                self.call(command, output)
        except subprocess.CalledProcessError:
            if self.stopped:
                return
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
            raise StepError(f"{name} failed; the end of {log}:\n" + "\n".join(lines)) from None
        write_text(state, json.dumps({"made_from": digest, "done": True}))
        print(f"  {name}: {time.monotonic() - start:.0f} s", flush=True)

    def made(self, name: str) -> str:
        """What tells a step's result from that of other settings."""
        return str(json.loads((self.runs / f"{name}.step").read_text(encoding="utf-8"))["made_from"])

    # --- processes

    def call(self, command: Sequence[str], output: Any = None) -> None:
        """Runs a command.

        Raises:
            subprocess.CalledProcessError: if it fails, or is stopped.
        """
        process = subprocess.Popen(command, env=os.environ | ENVIRONMENT, stdout=output, stderr=output)
        self.running.add(process)
        if self.stopped:
            process.terminate()
        try:
            code = process.wait()
        finally:
            self.running.discard(process)
        if code:
            raise subprocess.CalledProcessError(code, command)

    def two_at_a_time(self, work: Any, names: Sequence[str]) -> None:
        """Calls `work` for every name; after one that fails, only what already runs is ended."""
        with ThreadPoolExecutor(2) as pool:
            futures: list[Future] = [pool.submit(work, name) for name in names]
            try:
                done, waiting = wait(futures, return_when=FIRST_EXCEPTION)
                for future in waiting:
                    future.cancel()
                for future in done:
                    future.result()
            except KeyboardInterrupt:
                self.stop()
                raise
            finally:
                pool.shutdown(cancel_futures=True)

    def stop(self) -> None:
        """Ends all commands that run, and starts no further."""
        self.stopped = True
        for process in list(self.running):
            process.terminate()


def flags_of(settings: dict[str, Any], joint: str) -> list[str]:
    """Settings as flags, such as `--batch-size 200`."""
    return [text for name, value in settings.items() for text in (f"--{name.replace('_', joint)}", str(value))]


def main(arguments: Sequence[str]) -> None:
    """Runs the quickstart of `TASK [CONFIG]`."""
    if {"-h", "--help"} & set(arguments):
        print(wrapped(f"usage: lmrl-train quickstart TASK [CONFIG]\n\n{__doc__}\ntasks: {', '.join(quickstarts())}"))
        return
    names = quickstarts()
    name = "/".join(arguments) or "maze"
    task, _, config = name.partition("/")
    # The config that a task's recipes train on may be named, too.
    if name not in names and task in names and Quickstart(task).config == config:
        name = task
    if name not in names:
        raise unknown("quickstart", name.replace("/", " "), [other.replace("/", " ") for other in names])
    quickstart = Quickstart(name)
    try:
        quickstart.run()
    except StepError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)  # the command has said why
    except KeyboardInterrupt:
        quickstart.stop()
        raise


if __name__ == "__main__":
    with one_line_errors("\ninterrupted; run the same command again to go on"):
        main(sys.argv[1:])
