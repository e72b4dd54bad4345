"""The rules of the house that a reader relies on: who imports whom, what an import costs, what is never run."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Each may import itself and what stands before it.
LAYERS = ("lmrl_data", "lmrl_eval", "recipes")
FILES = {layer: sorted((ROOT / layer).rglob("*.py")) for layer in LAYERS}
EVERY_FILE = [path for paths in FILES.values() for path in paths]
# These run code from the bytes they read.
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules a file imports, at its top or in a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            yield ast.unparse(node.args[0]).strip("'\"")


def wrong_imports(layer: str, source: str) -> list[str]:
    above = LAYERS[LAYERS.index(layer) + 1 :]
    # A recipe is run as a script, so that its neighbours are modules of their own name.
    names = {name.split(".")[0] for name in imported(ast.parse(source))}
    recipes = {path.stem for path in FILES["recipes"]} - {"__init__"} if layer != "recipes" else set()
    return sorted(names & ({*above, "tests", "benchmarks"} | recipes))


def unsafe(source: str) -> list[str]:
    """What in this source could run code that came with data or a model."""
    tree = ast.parse(source)
    found = [name for name in imported(tree) if name.split(".")[0] in UNSAFE_MODULES]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name in ("eval", "exec", "torch.load", "np.load", "numpy.load"):
            found.append(name)
        for keyword in node.keywords:
            fixed = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if keyword.arg in ("trust_remote_code", "allow_pickle") and not fixed:
                found.append(f"{keyword.arg}={ast.unparse(keyword.value)}")
    return found


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_from_recipes_to_evaluation_to_data_and_never_back(layer: str) -> None:
    assert FILES[layer]
    wrong = {path.name: wrong_imports(layer, path.read_text("utf-8")) for path in FILES[layer]}
    assert {name: found for name, found in wrong.items() if found} == {}


def test_a_backward_import_is_noticed_wherever_it_stands() -> None:
    late = "def main():\n    from lmrl_eval.score import Score\n"
    assert wrong_imports("lmrl_data", late) == ["lmrl_eval"]
    assert wrong_imports("lmrl_eval", late) == []
    assert wrong_imports("lmrl_eval", "import recipes.ilql as ilql") == ["recipes"]
    assert wrong_imports("lmrl_data", "import_module('recipes.ilql')") == ["recipes"]
    assert wrong_imports("recipes", late) == []


@pytest.mark.parametrize("path", EVERY_FILE, ids=names(EVERY_FILE))
def test_no_file_runs_code_from_data_or_models(path: Path) -> None:
    assert unsafe(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from dill import loads", "torch.load(path)", "eval(text)", "exec(text)", "np.load(path)",
     "Model.from_pretrained(path, trust_remote_code=True)", "AutoModel.from_config(c, trust_remote_code=args.trust)"],
)  # fmt: skip
def test_what_would_run_code_is_noticed(source: str) -> None:
    assert len(unsafe(source)) == 1
    assert unsafe("model.eval()\nModel.from_pretrained(path, trust_remote_code=False)") == []


def test_files_stay_short_enough_to_read() -> None:
    paths = [*EVERY_FILE, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in paths}
    assert {
        name: length for name, length in lengths.items() if length > (800 if name.startswith("tests/") else 500)
    } == {}


@pytest.mark.parametrize("path", EVERY_FILE, ids=names(EVERY_FILE))
def test_every_module_opens_with_a_sentence_for_newcomers(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not text or ast.get_docstring(ast.parse(text))


def fresh_import(module: str) -> tuple[float, set[str]]:
    """The CPU seconds a new interpreter needs to start and import a module, and what it has loaded then."""
    code = f"import {module}, sys, time, json; print(json.dumps([time.process_time(), sorted(sys.modules)]))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    seconds, modules = json.loads(result.stdout)
    return seconds, set(modules)


def test_importing_the_data_package_is_quick_and_needs_no_training_library() -> None:
    measures = [fresh_import("lmrl_data") for _ in range(3)]
    _, modules = measures[0]
    assert "lmrl_data.rollout" in modules
    assert not modules & {"torch", "transformers", "datasets", "trl", "matplotlib", "pandas", "lmrl_eval"}
    assert min(seconds for seconds, _ in measures) < 1
