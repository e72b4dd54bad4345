"""The rules of the house that a reader relies on: who imports whom, what an import costs, what is never run."""

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from cases import check_cases

from lmrl_data.tasks import BUILT_IN

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
# Each package may import itself and those before it. `recipes/` is installed as `lmrl_recipes`.
FOLDERS = {"lmrl_data": "lmrl_data", "lmrl_eval": "lmrl_eval", "lmrl_recipes": "recipes"}
LAYERS = tuple(FOLDERS)
# No package may import these: what only a checkout has, and `recipes` by the name that only a checkout knows.
OUTSIDE = {"recipes", "cards", "tests", "benchmarks"}
FILES = {layer: sorted((ROOT / folder).rglob("*.py")) for layer, folder in FOLDERS.items()}
EVERY_FILE = [path for paths in FILES.values() for path in paths]
# These run code from the bytes they read.
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
# Rooms on the longest chain of imports within `lmrl_eval`, first and last included; a package in it is one room.
DEEPEST_CHAIN = 8
# Helpers of which there is to be one.
ONCE = ("plus_minus", "installed_versions")


def module_name(layer: str, path: Path) -> str:
    parts = path.relative_to(ROOT / FOLDERS[layer]).with_suffix("").parts
    return ".".join([layer, *(part for part in parts if part != "__init__")])


MODULES = {module_name(layer, path): path for layer, paths in FILES.items() for path in paths}


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules a file imports, at its top or in a function; `from a import b` gives `a.b`, whatever `b` is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            yield ast.unparse(node.args[0]).strip("'\"")


def wrong_imports(layer: str, source: str) -> list[str]:
    names = {name.split(".")[0] for name in imported(ast.parse(source))}
    return sorted(names & {*LAYERS[LAYERS.index(layer) + 1 :], *OUTSIDE})


def import_graph() -> dict[str, set[str]]:
    """Which of our modules each of our modules imports; a name that is no module stands for the module it is in."""
    graph = {}
    for module, path in MODULES.items():
        targets = imported(ast.parse(path.read_text("utf-8")))
        modules = {target if target in MODULES else target.rpartition(".")[0] for target in targets}
        graph[module] = (modules & MODULES.keys()) - {module}
    return graph


def rooms(layer: str) -> dict[str, set[str]]:
    """The imports within a layer, each package in it taken as one room."""
    graph: dict[str, set[str]] = {}
    for module, targets in import_graph().items():
        if module.split(".")[0] == layer:
            room = ".".join(module.split(".")[:2])
            inside = {".".join(target.split(".")[:2]) for target in targets if target.split(".")[0] == layer}
            graph[room] = graph.get(room, set()) | inside - {room}
    return graph


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one circle of imports, the first again at the end; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def deepest_chain(graph: dict[str, set[str]]) -> list[str]:
    """The longest way down a graph without circles."""
    chains: dict[str, list[str]] = {}
    for module in TopologicalSorter(graph).static_order():
        below = [chains[target] for target in sorted(graph[module])]
        chains[module] = [module, *max(below, key=len, default=[])]
    return max(chains.values(), key=len)


def unsafe(source: str) -> list[str]:
    """What in this source could run code that came with data or a model."""
    tree = ast.parse(source)
    found = [name for name in imported(tree) if name.split(".")[0] in UNSAFE_MODULES]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        refused = [keyword.arg for keyword in node.keywords if ast.unparse(keyword.value) == "False"]
        loads = name in ("np.load", "numpy.load") and "allow_pickle" not in refused
        if name in ("eval", "exec", "torch.load") or loads:
            found.append(name)
        # Without it transformers asks on the terminal whether to run the code.
        if re.search(r"\.(from_pretrained|from_config)$|^pipeline$", name) and not any(
            keyword.arg == "trust_remote_code" for keyword in node.keywords
        ):
            found.append(f"{name} without trust_remote_code=False")
        for keyword in node.keywords:
            fixed = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if keyword.arg in ("trust_remote_code", "allow_pickle") and not fixed:
                found.append(f"{keyword.arg}={ast.unparse(keyword.value)}")
    return found


# --- who imports whom


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_from_recipes_to_evaluation_to_data_and_never_back(layer: str) -> None:
    assert FILES[layer]
    wrong = {str(path.relative_to(ROOT)): wrong_imports(layer, path.read_text("utf-8")) for path in FILES[layer]}
    assert {name: found for name, found in wrong.items() if found} == {}


def test_a_backward_import_is_noticed_wherever_it_stands() -> None:
    late = "def main():\n    from lmrl_eval.score import Score\n"
    assert wrong_imports("lmrl_data", late) == ["lmrl_eval"]
    assert wrong_imports("lmrl_eval", late) == []
    assert wrong_imports("lmrl_eval", "import lmrl_recipes.ilql as ilql") == ["lmrl_recipes"]
    assert wrong_imports("lmrl_data", "import_module('lmrl_recipes.ilql')") == ["lmrl_recipes"]
    assert wrong_imports("lmrl_recipes", late) == []
    assert wrong_imports("lmrl_recipes", "from recipes import ilql") == ["recipes"]


def tasks_named(source: str) -> list[str]:
    """The single tasks that a file names, as a text or by importing their packages; docstrings may have examples."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value in BUILT_IN:
            found.append(str(node.value))
        elif isinstance(node, ast.ImportFrom) and re.match(r"lmrl_data\.tasks\.\w", node.module or ""):
            found.append(str(node.module))
    return found


def test_generic_code_names_no_task() -> None:
    named = {
        str(path.relative_to(ROOT)): tasks_named(path.read_text("utf-8"))
        for path in FILES["lmrl_data"] + FILES["lmrl_eval"]
        if ROOT / "lmrl_data" / "tasks" not in path.parents
    }
    # inspect-ai finds tasks by reading this file's source, so the functions in it must be written out.
    assert set(named.pop("lmrl_eval/inspect.py")) == BUILT_IN
    assert {name: found for name, found in named.items() if found} == {}
    assert set(tasks_named('"maze"\nfrom lmrl_data.tasks.chess import engine')) == {"maze", "lmrl_data.tasks.chess"}


def test_the_cards_are_templates_and_no_code() -> None:
    code = [str(path.relative_to(ROOT)) for path in (ROOT / "cards").rglob("*.py") if path.read_text("utf-8").strip()]
    assert [name for name in code if name != "cards/__init__.py"] == []
    assert list(imported(ast.parse((ROOT / "cards" / "__init__.py").read_text("utf-8")))) == []


def test_no_import_leads_back_to_where_it_began() -> None:
    assert circle(import_graph()) == []


def test_the_deepest_chain_of_imports_in_the_evaluation_package_stays_short() -> None:
    graph = rooms("lmrl_eval")
    assert circle(graph) == []
    chain = deepest_chain(graph)
    assert len(chain) <= DEEPEST_CHAIN, f"{len(chain)} rooms deep: {' -> '.join(chain)}"


def test_circles_and_chains_are_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) in (["b", "c", "b"], ["c", "b", "c"])
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    assert deepest_chain({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == ["a", "b", "c"]
    late = "def main():\n    from lmrl_eval import score\n    from lmrl_eval.score import Score\n"
    assert set(imported(ast.parse(late))) == {"lmrl_eval.score", "lmrl_eval.score.Score"}


# --- what stands once, and in every file


def test_there_is_one_of_each_of_these_helpers() -> None:
    defined = Counter(
        node.name
        for path in EVERY_FILE
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
    )
    assert {name: defined[name] for name in ONCE} == dict.fromkeys(ONCE, 1)


def test_every_module_opens_with_a_sentence_for_newcomers() -> None:
    def check(path: Path) -> None:
        text = path.read_text("utf-8")
        assert not text or ast.get_docstring(ast.parse(text)), "no docstring"

    check_cases(EVERY_FILE, check)


# --- what is never run


def test_no_file_runs_code_from_data_or_models() -> None:
    def check(path: Path) -> None:
        assert unsafe(path.read_text("utf-8")) == []

    check_cases([*EVERY_FILE, *(ROOT / "benchmarks").glob("*.py")], check)


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from dill import loads", "torch.load(path)", "eval(text)", "exec(text)", "np.load(path)",
     "Model.from_pretrained(path)", "AutoModel.from_config(config)", "pipeline(task)",
     "Model.from_pretrained(path, trust_remote_code=True)", "AutoModel.from_config(c, trust_remote_code=args.trust)"],
)  # fmt: skip
def test_what_would_run_code_is_noticed(source: str) -> None:
    assert len(unsafe(source)) == 1
    assert unsafe("model.eval()\nModel.from_pretrained(path, trust_remote_code=False)") == []
    assert unsafe("np.load(path, allow_pickle=False)") == []


# --- what an import costs


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
