"""The quickstart: its steps in their order, what it repeats, and what it says when a step fails."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from lmrl_data import get_task
from lmrl_data.tasks import TASKS
from lmrl_recipes import quickstart
from lmrl_recipes.quickstart import Quickstart, main, quickstarts
from lmrl_recipes.tiny_model import SIZES, TinyModelArguments
from lmrl_recipes.training.start import recipes_folder

MAZE = ("bc", "filtered_bc", "mc", "ilql", "ppo", "online_filtered_bc", "grpo")
STEPS = ("base", *MAZE, *(f"score_{name}" for name in MAZE))


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands are listed and not run, in an empty folder, with recipes that a test may change."""
    shutil.copytree(recipes_folder() / "maze", tmp_path / "recipes" / "maze")
    shutil.copy(recipes_folder() / "tiny_model.py", tmp_path / "recipes")
    monkeypatch.setattr(quickstart, "recipes_folder", lambda: tmp_path / "recipes")
    monkeypatch.chdir(tmp_path)
    commands: list[list[str]] = []

    def call(self: Quickstart, command: Sequence[str], output: Any = None) -> None:
        commands.append(list(command[2:]))
        Path("lmrl", "maze").mkdir(parents=True, exist_ok=True)
        if "build" in command:
            Path("lmrl/maze/manifest.json").write_text(json.dumps(commands[-1]))

    monkeypatch.setattr(Quickstart, "call", call)
    return commands


def repeated(capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The steps that were not done before, as the output says; it names every step."""
    lines = [
        line.strip().split(": ") for line in capsys.readouterr().out.splitlines() if ": " in line and line[0] == " "
    ]
    assert {name for name, _ in lines} == set(STEPS)
    return {name for name, told in lines if told != "done before"}


def test_a_quickstart_builds_trains_scores_and_reports_in_this_order(ran: list[list[str]]) -> None:
    main(["maze"])
    modules = [command[0] for command in ran]
    assert modules[0] == "lmrl_data.cli"
    assert ran[0][1:] == ["build", "maze", "--config", "fully_observed", "--num-proc", "2"]
    assert ran[1][:2] == ["lmrl_recipes.launch", "tiny_model"]
    trained = [command[1] for command in ran if command[0] == "lmrl_recipes.launch"][1:]
    # Two at a time, so those of one pair may change places.
    assert set(trained[:2]) == {"bc", "filtered_bc"}
    assert sorted(trained) == sorted(MAZE)
    assert modules[9:16] == ["lmrl_eval.commands.main"] * 7
    folders = [f"results/maze/{name}" for name in MAZE]
    assert ran[16][1:] == ["report", *folders, "--out", "results/maze/report"]
    curves = [f"runs/maze/{name}" for name in MAZE[4:]]
    assert ran[17][1:] == ["report", "--curves", *curves, "--out", "results/maze/curves"]
    assert len(ran) == 18


def test_what_is_done_is_skipped_and_what_changed_is_repeated(
    ran: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["maze"])
    assert repeated(capsys) == set(STEPS)
    main(["maze", "fully_observed"])
    assert repeated(capsys) == set()
    recipes = Path("recipes/maze")
    (recipes / "ilql.yaml").write_text((recipes / "ilql.yaml").read_text().replace("max_steps: 1200", "max_steps: 9"))
    partial = Path("results/maze/ilql.partial")
    partial.mkdir(parents=True)  # episodes of the other policy
    main(["maze"])
    assert repeated(capsys) == {"ilql", "score_ilql"}
    assert not partial.exists()
    # A change to the clone repeats what starts from it, and leaves what does not.
    (recipes / "bc.yaml").write_text((recipes / "bc.yaml").read_text().replace("max_steps: 300", "max_steps: 9"))
    main(["maze"])
    assert repeated(capsys) == set(STEPS) - {"base", "filtered_bc", "score_filtered_bc"}
    settings = yaml.safe_load((recipes / "quickstart.yaml").read_text())
    (recipes / "quickstart.yaml").write_text(json.dumps({**settings, "episodes": 40}))
    main(["maze"])
    assert repeated(capsys) == set(STEPS)
    assert ran[-18][-4:] == ["--episodes", "40", "--num-proc", "2"]


def test_a_failure_shows_the_end_of_its_log_and_is_repeated(
    ran: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call = Quickstart.call

    def failing(self: Quickstart, command: Sequence[str], output: Any = None) -> None:
        call(self, command, output)
        if "filtered_bc" in command:
            output.write("\n".join(f"line {number}" for number in range(99)))
            output.flush()
            raise subprocess.CalledProcessError(2, list(command))

    monkeypatch.setattr(Quickstart, "call", failing)
    with pytest.raises(SystemExit) as end:
        main(["maze"])
    assert end.value.code == 1
    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == "error: filtered_bc failed; the end of runs/maze/filtered_bc.log:"
    assert shown[1:] == [f"line {number}" for number in range(84, 99)]
    monkeypatch.setattr(Quickstart, "call", call)
    capsys.readouterr()
    main(["maze"])
    assert repeated(capsys) == set(STEPS) - {"base", "bc"}


def test_every_task_has_a_quickstart_with_settings_that_exist() -> None:
    assert {name.partition("/")[0] for name in quickstarts()} == set(TASKS)
    for name in quickstarts():
        start = Quickstart(name)
        get_task(start.task).config(start.config)
        assert start.settings.keys() <= {"episodes", "model", "online", "score"}
        assert start.settings["model"].keys() <= TinyModelArguments.__dataclass_fields__.keys()
        assert start.settings["model"]["size"] in SIZES
        head = (recipes_folder() / name / "quickstart.yaml").read_text().splitlines()[0]
        assert head == f"# lmrl-train quickstart {name.replace('/', ' ')}"


def test_ctrl_c_ends_the_commands_that_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    start = Quickstart("maze")
    processes: list[subprocess.Popen] = []

    def sleep(name: str) -> None:
        start.call([sys.executable, "-c", "import time; time.sleep(60)"])

    def interrupt() -> None:
        while len(start.running) < 2:
            time.sleep(0.01)
        processes.extend(start.running)
        # The terminal's Ctrl-C reaches the main thread, which waits for the commands.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        start.two_at_a_time(sleep, ["first", "second", "third"])
    assert [process.poll() for process in processes] == [-signal.SIGTERM, -signal.SIGTERM]
    assert not start.running
