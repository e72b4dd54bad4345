"""A task of another package, `tests/toy_task`, can do everything that ours can, by its entry point alone."""

import io
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import inspect_ai
import pytest
from datasets import load_dataset
from fake_server import FakeServer, completion
from gymnasium.utils.env_checker import check_env
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from recipe_command import call
from trl import ModelConfig, ScriptArguments

import lmrl_data.tasks
from lmrl_data import UserError, cli, get_task
from lmrl_data.tasks import TASKS, add_entry_points
from lmrl_eval import read_results
from lmrl_eval.commands import main as lmrl_eval_command
from lmrl_recipes import filtered_bc
from lmrl_recipes.tiny_model import make_model, train_tokenizer

PROJECT = Path(__file__).parent / "toy_task"
TASK_ID = "guess_number"
Run = Callable[..., str]


def install(folder: Path, entry_points: dict[str, str]) -> None:
    """What `pip install tests/toy_task` leaves in a folder of installed packages."""
    shutil.copytree(PROJECT / TASK_ID, folder / TASK_ID, ignore=shutil.ignore_patterns("__pycache__"))
    described = folder / "guess_number-1.0.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: guess-number\nVersion: 1.0.0\n")
    lines = [f"{name} = {place}\n" for name, place in entry_points.items()]
    (described / "entry_points.txt").write_text("[lmrl_data.tasks]\n" + "".join(lines))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    install(folder, project["entry-points"]["lmrl_data.tasks"])
    return folder


@pytest.fixture(scope="module")
def installed(site: Path) -> Iterator[None]:
    """The package is installed in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setitem(TASKS, TASK_ID, "")
        del TASKS[TASK_ID]
        add_entry_points()
        yield
    for name in [name for name in sys.modules if name.partition(".")[0] == TASK_ID]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands run, one after the other."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture
def run(installed: None, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command of ours and returns what it prints."""
    monkeypatch.chdir(folder)
    mains = {"lmrl-data": cli.main, "lmrl-eval": lmrl_eval_command.main}

    def run(command: str, *arguments: str, typed: str = "") -> str:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as end:
            mains[command](list(arguments))
        out, err = capsys.readouterr()
        assert end.value.code == 0, err
        return out

    return run


def test_its_action_is_a_tool_without_a_line_for_it(run: Run, server: FakeServer) -> None:
    def react(body: dict[str, Any], number: int) -> Any:
        function = {"name": body["tools"][0]["function"]["name"], "arguments": '{"text": "4"}'}
        message = {"content": None, "tool_calls": [{"id": "1", "type": "function", "function": function}]}
        return completion(None, choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}])

    server.react = react
    command = ("run", "--task", TASK_ID, "--policy", f"chat:m@{server.url}", "--answers", "tool", "--episodes", "8")
    run("lmrl-eval", *command, "--out", "called")
    assert read_results("called").score.success_rate == 1 / 8
    assert {body["tools"][0]["function"]["name"] for body in server.requests} == {"act"}


def test_an_installed_task_is_listed_in_a_process_of_its_own(site: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(site)}
    code = "import sys; from lmrl_data.cli import main; sys.exit(main(['list']))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    name = next(number for number, row in enumerate(rows) if row[:1] == [TASK_ID])
    assert rows[name + 1] == ["standard", "1,000", "train", "100", "test"]


def test_it_keeps_gymnasiums_contract(installed: None) -> None:
    check_env(get_task(TASK_ID).simulator(), skip_render_check=True)


def test_it_is_played(run: Run) -> None:
    out = run("lmrl-data", "play", TASK_ID, "--start", "6", typed="4\nseven\n6\n")
    assert out.splitlines()[-1] == "You did it. Return: -2."


def test_it_is_built_loaded_learned_scored_verified_and_run_by_inspect(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("lmrl-data", "build", TASK_ID, "--episodes", "60")
    rows = load_dataset(f"lmrl/{TASK_ID}", split="train")
    assert (len(rows), set(rows["task"])) == (60, {TASK_ID})
    assert "# Guess Number" in (folder / "lmrl" / TASK_ID / "README.md").read_text(encoding="utf-8")
    assert "scripted" not in run("lmrl-data", "stats", TASK_ID)

    tokenizer = train_tokenizer([f"{turn['content']}\n" for row in rows for turn in row["messages"]], vocab_size=300)
    make_model(tokenizer, "tiny", seed=0).save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    settings = {
        "model_name_or_path": "base", "dataset_name": f"lmrl/{TASK_ID}", "output_dir": "bc", "max_steps": "2",
        "per_device_train_batch_size": "4", "use_cpu": "true", "report_to": "none", "save_strategy": "no",
    }  # fmt: skip
    flags = [text for name, value in settings.items() for text in (f"--{name}", value)]
    dataclasses: list[Any] = [ScriptArguments, filtered_bc.FilteredBCConfig, ModelConfig]
    assert call(filtered_bc.main, flags, dataclasses, monkeypatch) == 0

    for policy, out in (("scripted:bisect", "scripted"), ("bc", "learned")):
        run("lmrl-eval", "run", "--task", TASK_ID, "--policy", policy, "--episodes", "8", "--out", out)
        assert "verified: 8 episodes of guess_number standard" in run("lmrl-eval", "verify", out)

    from lmrl_eval import inspect, inspect_tasks

    output = ModelOutput.from_content("mockllm", "4")
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # else inspect-ai wants to count them
    model = get_model("mockllm/model", custom_outputs=lambda *_: output, memoize=False)
    (log,) = inspect_ai.eval(
        f"{inspect.__file__}@{TASK_ID}",
        model=model,
        task_args={"episodes": 8},
        log_dir="logs",
        display="none",
        ctl_server=False,
    )
    results = inspect_tasks.results_from_log(log)
    assert results.score.success_rate == 1 / 8


# --- packages that are not as they should be


@pytest.fixture
def with_entry_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    def add(entry_points: dict[str, str]) -> None:
        install(tmp_path, entry_points)
        monkeypatch.syspath_prepend(tmp_path)
        for name in entry_points:
            monkeypatch.setitem(TASKS, name, TASKS.get(name, ""))
            if not TASKS[name]:
                del TASKS[name]
        monkeypatch.setattr(lmrl_data.tasks, "_clashes", {})
        add_entry_points()

    return add


@pytest.mark.parametrize(
    ("name", "place", "message"),
    [
        ("gone", "no_such_package:TASK", "the task 'gone' cannot be loaded from no_such_package:TASK (ModuleNotFound"),
        ("gone", "guess_number:NONE", "cannot be loaded from guess_number:NONE (AttributeError"),
        ("gone", "guess_number", "the task 'gone' cannot be loaded from guess_number ("),
        ("other", "guess_number:TASK", "the entry point 'other' names guess_number:TASK, which is no Task of that id"),
        ("maze", "guess_number:TASK", "several installed packages have a task 'maze': lmrl_data.tasks.maze:TASK and "),
    ],
)
def test_a_broken_entry_point_is_one_line_when_its_task_is_asked_for(
    name: str, place: str, message: str, with_entry_points: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with_entry_points({name: place})
    assert get_task("wordle").id == "wordle"
    with pytest.raises(UserError) as caught:
        get_task(name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(SystemExit) as end:
        cli.main(["list"])
    assert end.value.code == 0
    assert f"{name}  " in capsys.readouterr().out
