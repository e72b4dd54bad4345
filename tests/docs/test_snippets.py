"""Every snippet of the README and the documentation runs: all pages in their order, in one folder, on tiny sizes."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import forked
import pytest
from fake_server import FakeServer, completion
from hub.server import Hub
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "docs" / "getting_started.md",
    *sorted(page for page in (ROOT / "docs").glob("*.md") if page.name != "getting_started.md"),
]
# A snippet may be left out only if it starts one of these: they need the network, a person, an hour or a wheel.
LEFT_OUT = (
    "inspect eval",
    "lmrl-data convert maze fully_observed",
    "lmrl-data play",
    "lmrl-eval push results/maze/ilql --model someone/model",
    "lmrl-train ilql --config_file two_cpus",
    "lmrl-train reader",
    "python recipes/quickstart.py",
    "uv run",
)
# Flags that make a command quick. All else is as the page says it.
SMALLER = {
    r"lmrl-data build": "--episodes 40",
    r"lmrl-eval run (?!.*--episodes)": "--episodes 4",
    r"lmrl-eval run .*(runs/maze|my-name)/": "--episodes 2 --max-new-tokens 3",
    r"lmrl-eval oracle": "--episodes 4",
    r"lmrl-eval leaderboard": "--out board",
    r"lmrl-train (bc|ilql)": "--max_steps 2",
    r"lmrl-train ilql": "--simulator_episodes 0 --per_device_train_batch_size 64",
    r"lmrl-train oracle": "--max_steps 2 --max_examples 64",
    r"lmrl-train ppo": "--rounds 1 --per_device_train_batch_size 4 --steps_per_generation 1 --max_turns 3 "
    "--simulator_episodes 0",
}


class Shell:
    """Runs the command lines of a page; a line that ran on an earlier page is not repeated."""

    def __init__(self, folder: Path, replacements: dict[str, str]) -> None:
        self.folder = folder
        self.replacements = replacements
        self.done: set[str] = set()

    def __call__(self, example: Example) -> str | None:
        text = re.sub(r"\s*\\\n\s*", " ", example.parsed)
        failures = [self.run(line) for line in text.splitlines() if line.strip()]
        return "\n".join(failure for failure in failures if failure) or None

    def run(self, line: str) -> str | None:
        line = re.sub(r"(^|\s+)# .*", "", line).strip()
        if not line or line in self.done:
            return None
        self.done.add(line)
        for old, new in self.replacements.items():
            line = line.replace(old, new)
        smaller = [flags for pattern, flags in SMALLER.items() if re.match(pattern, line)]
        arguments = shlex.split(" ".join([line, *smaller]))
        code, output = self.start(arguments)
        return f"{shlex.join(arguments)} exited with {code}:\n{output[-1500:]}" if code else None

    def start(self, arguments: list[str]) -> tuple[int, str]:
        """In this process where the command is ours, because a new one imports for seconds."""
        mains = {"lmrl-data": data_main, "lmrl-eval": eval_main}
        if arguments[0] in mains:
            try:
                mains[arguments[0]](arguments[1:])
            except SystemExit as end:
                return int(end.code or 0), ""
            return 0, ""
        if script := recipe(arguments):
            done = forked.run(script, folder=self.folder, output=self.folder / "output")
            return done.returncode, done.stdout + done.stderr
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        run = subprocess.run(arguments, env=environment, capture_output=True, text=True)
        return run.returncode, run.stdout + run.stderr


def recipe(arguments: list[str]) -> list[str] | None:
    """The script and arguments that a command launches in one process; test_start.py tests the launchers."""
    from trl.scripts import sft

    from lmrl_recipes.launch import LAUNCHED, script_and_arguments
    from lmrl_recipes.training.start import recipes_folder

    match arguments:
        case ["lmrl-train", "tiny_model" as name, *rest]:
            return [str(recipes_folder() / f"{name}.py"), *rest]
        case ["lmrl-train", name, *rest] if name in LAUNCHED and "--help" not in rest:
            script, options, settings = script_and_arguments(name, rest)
            return None if options else [script, *settings]
        case ["accelerate", "launch", script, *rest] if script.endswith(".py"):
            return [script, *rest]
        case ["trl", "sft", *rest]:
            return [sft.__file__, *rest]
    return None


def data_main(arguments: list[str]) -> None:
    from lmrl_data.cli import main

    main(arguments)


def eval_main(arguments: list[str]) -> None:
    from lmrl_eval.commands.main import main

    main(arguments)


@pytest.fixture
def shell(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: FakeServer) -> Shell:
    """A folder like a checkout, a Hub with an account, a chat endpoint that says what each task understands, and an
    agent in `my_agent.py`."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("recipes", "lmrl_eval", "cards"):
        (folder / name).symlink_to(ROOT / name)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_TOKEN", hub.user("my-name"))
    for name, value in {"OMP_NUM_THREADS": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}.items():
        monkeypatch.setenv(name, value)
    (folder / "my_agent.py").write_text("def agent(chats):\n    return ['move up'] * len(chats)\n")
    server.react = lambda body, number: completion('{"action": "move up"}')
    return Shell(folder, {"http://127.0.0.1:8000/v1": server.url})


def documents(shell: Callable[[Example], str | None]) -> Iterator[tuple[Path, list[Example]]]:
    parsers = [PythonCodeBlockParser(), CodeBlockParser(language="bash", evaluator=shell), SkipParser()]
    for page in PAGES:
        yield page, list(Sybil(parsers=parsers, path=str(page.parent)).parse(page).examples())


def test_every_snippet_runs(shell: Shell) -> None:
    failures = []
    for page, examples in documents(shell):
        for example in examples:
            try:
                example.evaluate()
            except Exception as error:
                failures.append(f"{page.relative_to(ROOT)}:{example.line}: {error}")
    assert not failures, "\n\n".join(failures)


def test_only_what_needs_the_network_a_person_or_an_hour_is_left_out() -> None:
    pattern = re.compile(r"<!-- skip: next -->\n\s*```bash\n(.*?)\n\s*```", re.S)
    blocks = [block.strip() for page in PAGES for block in pattern.findall(page.read_text("utf-8"))]
    assert len(blocks) == sum(page.read_text("utf-8").count("<!-- skip") for page in PAGES)
    assert [block for block in blocks if not block.startswith(LEFT_OUT)] == []


def test_every_page_opens_with_a_snippet_that_runs() -> None:
    heads = {page.name: page.read_text("utf-8").split("\n\n")[1] for page in PAGES[1:]}
    assert {name: head for name, head in heads.items() if not head.startswith(("```bash", "```python"))} == {}


def test_every_link_to_a_file_has_its_file() -> None:
    pages = [*PAGES, ROOT / "CONTRIBUTING.md"]
    links = [(page, link) for page in pages for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text("utf-8"))]
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []


def test_the_readme_is_short_and_the_index_names_every_page() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 120
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    assert [page.name for page in PAGES[1:] if page.name != "index.md" and f"({page.name})" not in index] == []
