"""Settings all tests share: offline, repeatable hypothesis, and a small dataset with models for the recipes."""

import functools
import os
import signal
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cases
import pytest
from fake_server import FakeServer
from hypothesis import HealthCheck, Phase, settings

if TYPE_CHECKING:
    from hub.server import Hub

os.environ["HF_HUB_OFFLINE"] = "1"
# Every client of HTTP reads all certificates of the machine, a tenth of a second; here nobody needs one.
ssl.create_default_context = functools.cache(ssl.create_default_context)
# A shell starts background jobs deaf to Ctrl-C; the commands that tests interrupt would be, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Hypothesis explains a failure by tracing every line of every example, which takes longer than the examples do.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    database=None,
    phases=set(Phase) - {Phase.explain},
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("repeatable")

# Files that take longest: they are begun first, so that the workers end together.
LONGEST = ("test_snippets", "test_online_runs", "test_offline", "test_contract", "test_inspect")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first; what only a release needs is slow; without an engine full chess is skipped."""
    from lmrl_data import UserError
    from lmrl_data.tasks.chess.engine import find_engine

    for item in items:
        if item.get_closest_marker("release"):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: (item.path.stem not in LONGEST, not item.get_closest_marker("slow")))
    try:
        find_engine()
    except UserError as error:
        for item in items:
            if item.path.name == "test_contract.py" and "[chess" in item.name:
                item.add_marker(pytest.mark.skip(reason=str(error)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[object]:
    """Measures what a test covers in its first 0.4 seconds: what takes longer repeats itself."""
    tracer = sys.gettrace()
    if tracer is None:
        return (yield)
    before = signal.signal(signal.SIGVTALRM, lambda *_: sys.settrace(None))
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.4)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        sys.settrace(tracer)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Says in a test's report how many rows of tables it checked."""
    if call.when == "call" and cases.checked_rows:
        item.user_properties.append(("rows", cases.checked_rows))
        cases.checked_rows = 0
    return (yield)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many tests were run, and how many cases they were: a table is as many cases as it has rows."""
    reports = [
        report
        for outcome in ("passed", "failed", "xfailed", "xpassed")
        for report in terminalreporter.getreports(outcome)
        if report.when == "call"
    ]
    rows = sum(dict(report.user_properties).get("rows", 1) for report in reports)
    if reports:
        terminalreporter.write_line(f"{len(reports):,} tests, {rows:,} cases")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained checkpoint that knows the words of the maze."""
    from lmrl_data.tasks.maze.grid import ACTIONS, grid
    from lmrl_recipes.tiny_model import make_model, train_tokenizer

    folder = tmp_path_factory.mktemp("models") / "base"
    texts = [*grid().positions.values(), *grid().walls.values(), "Success", "Failure", *ACTIONS]
    tokenizer = train_tokenizer([f"{text}\n" for text in texts * 2], vocab_size=400)
    make_model(tokenizer, "tiny", seed=0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Iterator[Path]:
    """A folder with a small dataset `lmrl/maze` and two checkpoints: `base` untrained, `bc` cloned from the data."""
    import datasets
    from trl import ModelConfig, ScriptArguments

    from lmrl_data import get_task
    from lmrl_data.dataset.build import build_dataset
    from lmrl_recipes.filtered_bc import FilteredBCConfig, main

    folder = tmp_path_factory.mktemp("workshop")
    (folder / "base").symlink_to(base)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "cache")
        patch.setenv("HF_DATASETS_CACHE", str(folder / "cache"))
        build_dataset(get_task("maze"), num_episodes=30)
        # The fewest steps after which it writes moves, so that episodes are short texts and quickly played.
        args = FilteredBCConfig(
            output_dir="bc", filter="all", max_steps=30, learning_rate=1e-2, per_device_train_batch_size=16,
            use_cpu=True, report_to="none", save_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        data = ScriptArguments(dataset_name="lmrl/maze", dataset_config="fully_observed")
        main(data, args, ModelConfig(model_name_or_path="base"))
        yield folder


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A chat endpoint on this machine that answers as a test tells it to."""
    fake = FakeServer()
    yield fake
    fake.close()


@pytest.fixture
def lmrl_eval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in an empty folder; returns exit code, output and errors."""
    from lmrl_eval.commands.main import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        code = caught.value.code
        assert isinstance(code, int)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Hub]":
    """A Hub on this machine, empty, with this process turned towards it; see tests/hub."""
    from hub.fixture import running_hub

    yield from running_hub(tmp_path, monkeypatch)
