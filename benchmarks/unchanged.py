"""What a change of the code's shape must leave as it is: rows, scores, training steps, files of release 1.0, commands.

`benchmarks/unchanged.json` was recorded with the code of commit 3c9aebe and is compared with what today's code does.
Only public names, commands and files are used, so the comparison holds for any layout of the packages.

    python benchmarks/unchanged.py                        compare every part with the record
    python benchmarks/unchanged.py --part rows --only maze
    python benchmarks/unchanged.py --part scores --record

Each item that differs is one line, and the exit code is then 1. Numbers of one kind of processor are compared exactly,
those of another one to five digits.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import io
import json
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "PYTHONWARNINGS": "ignore",
    "TERM": "dumb",
    "COLUMNS": "200",
}
os.environ |= QUIET

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "benchmarks" / "unchanged.json"
WRITTEN = ROOT / "tests" / "data" / "written_by_1_0"
BIN = Path(sys.executable).parent
EXACT = "sha256 on this kind of processor"
TOLERANCE = 1e-5  # relative, between two kinds of processor
Items = dict[str, Any]


# --- what is compared


def digest(values: Iterable[Any]) -> str:
    """The SHA-256 of values in order, each as JSON with sorted keys."""
    sha = hashlib.sha256()
    for value in values:
        sha.update(json.dumps(value, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    return sha.hexdigest()


def file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rows_of(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """The rows of Parquet files in order, `info` as the object that its JSON says."""
    from pyarrow.parquet import ParquetFile

    for path in sorted(paths):
        with ParquetFile(path, arrow_extensions_enabled=False) as file:
            for row in file.read().to_pylist():
                if "info" in row:
                    row["info"] = json.loads(row["info"])
                yield row


def columns_of(path: Path) -> str:
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path, arrow_extensions_enabled=False) as file:
        return ", ".join(f"{field.name} {field.type}" for field in file.schema_arrow)


def processor() -> str:
    """The kind of processor; floating-point sums may differ in the last digits from kind to kind."""
    facts: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            facts.setdefault(name.strip(), value.strip())
    flags = facts.get("flags", "").split()
    known = [facts.get("model name", platform.processor())]
    known += [f"{name} {facts[name]}" for name in ("cpu family", "model", "stepping") if name in facts]
    known += [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    return ", ".join(known)


def engine() -> str | None:
    """The name and version of Stockfish, which full chess is played against; `None` without."""
    path = shutil.which("stockfish") or shutil.which("/usr/games/stockfish")
    if path is None:
        return None
    answer = subprocess.run([path], input="uci\nquit\n", capture_output=True, text=True, timeout=60, check=False)
    return next((line[8:] for line in answer.stdout.splitlines() if line.startswith("id name ")), None)


def command(*words: object, folder: Path | str, timeout: float = 900) -> str:
    """What a command of the environment prints.

    Raises:
        RuntimeError: if it fails; the message ends with what it printed last.
    """
    line = [str(word) for word in words]
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode:
        tail = " | ".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise RuntimeError(f"{' '.join(line)[:200]} ends with {done.returncode}: {tail}")
    return done.stdout


class Scope:
    """Which items of a part are wanted, and which were left out for want of an engine.

    Args:
        only (`str`, *optional*): the start of the wanted items' names.
        engine_recorded (`str`, *optional*): the engine of the record, while it is compared with.
    """

    def __init__(self, only: str | None, engine_recorded: str | None = None, *, recording: bool = False) -> None:
        self.only = only or ""
        self.recording = recording
        self.engine_recorded = engine_recorded
        self.left_out: list[str] = []

    def wants(self, name: str) -> bool:
        if not (name.startswith(self.only) or self.only.startswith(f"{name}/")):
            return False
        if name.split("/")[0] != "chess":
            return True
        there = engine()
        if there is not None and (self.recording or there == self.engine_recorded):
            return True
        self.left_out.append(f"{name} needs {self.engine_recorded or 'Stockfish'}; here is {there or 'none'}")
        return False


# --- rows: what `lmrl-data build` writes


def rows(scope: Scope) -> Items:
    """The rows of a build of 300 + 30 episodes of every task and config."""
    from lmrl_data import TASKS

    items: Items = {}
    with tempfile.TemporaryDirectory() as folder:
        for task_id in TASKS:
            if not scope.wants(task_id):
                continue
            command(BIN / "lmrl-data", "build", task_id, "--episodes", 300, "--out", folder, folder=folder)
            for config in sorted(path for path in Path(folder, task_id).iterdir() if path.is_dir()):
                for split in ("train", "test"):
                    shards = sorted(config.glob(f"{split}-*.parquet"))
                    found = list(rows_of(shards))
                    items[f"{task_id}/{config.name}/{split}"] = {
                        "rows": len(found),
                        "columns": columns_of(shards[0]),
                        "sha256": digest(found),
                    }
    return items


# --- golden: what the simulators say


def golden(scope: Scope) -> Items:
    """The golden transcripts: the files themselves, and the same actions played again."""
    from lmrl_data import get_task

    items: Items = {}
    for path in sorted((ROOT / "tests" / "golden").glob("*.json")):
        if not scope.wants(path.stem):
            continue
        task = get_task(path.stem)
        played = []
        for transcript in json.loads(path.read_text(encoding="utf-8")):
            simulator = task.simulator(config=transcript["config"])
            first, _ = simulator.reset(seed=transcript["seed"], options=transcript["options"])
            turns, end = [], "running"
            for action, *_ in transcript["turns"]:
                text, reward, terminated, truncated, _ = simulator.step(action)
                turns.append([action, reward, text])
                end = "terminated" if terminated else "truncated" if truncated else "running"
            played.append({**transcript, "first": first, "turns": turns, "end": end})
        items[path.stem] = {"file": file_digest(path), "played": digest(played)}
    return items


# --- scores: what `lmrl-eval run` writes of a scripted policy

POLICIES: dict[str, list[tuple[str, int, dict[str, Any]]]] = {
    "maze": [("optimal", 50, {}), ("random", 25, {})],
    "text_nav": [("optimal", 24, {}), ("random", 16, {})],
    "wordle": [("greedy", 10, {}), ("mixture", 20, {}), ("wrong", 10, {})],
    "chess": [("engine", 4, {}), ("random", 10, {}), ("random", 10, {"options": {"opponent": "random"}})],
    "endgames": [
        ("optimal", 24, {}),
        ("random", 16, {}),
        ("optimal", 12, {"protocol": "tricky", "options": {"opponent": "errant"}}),
    ],
    "twenty_questions": [("expert", 12, {}), ("random", 12, {})],
    "guess_my_city": [("expert", 12, {}), ("noisy", 8, {}), ("random", 8, {})],
    "car_dealer": [("reader", 12, {}), ("generous", 8, {}), ("random", 8, {})],
}
NOT_OF_THE_SCORE = ("versions", "created", "date", "time")


def results_items(folder: Path) -> Items:
    """A results folder: its score without versions and dates, its greedy first actions, and its episodes."""
    score = json.loads((folder / "score.json").read_text(encoding="utf-8"))
    return {
        "score": {name: value for name, value in score.items() if name not in NOT_OF_THE_SCORE},
        "greedy_actions": digest([json.loads((folder / "greedy_actions.json").read_text(encoding="utf-8"))]),
        "columns": columns_of(folder / "episodes.parquet"),
        "episodes": digest(rows_of([folder / "episodes.parquet"])),
    }


def scores(scope: Scope) -> Items:
    """Scores of scripted policies, with fixed seeds."""
    from lmrl_data import get_task
    from lmrl_eval import Evaluator, load_policy

    items: Items = {}
    with tempfile.TemporaryDirectory() as folder:
        for task_id, players in POLICIES.items():
            if not scope.wants(task_id):
                continue
            task = get_task(task_id)
            for config in task.configs:
                for name, n_episodes, settings in players:
                    item = "/".join([task_id, config, name, *(f"{k}={v}" for k, v in settings.items())])
                    policy = load_policy(f"scripted:{name}", task, config)
                    results = Evaluator().compute(
                        policy, task, config, n_episodes=n_episodes, policy_seed=0, batch_size=8, **settings
                    )
                    items[item] = results_items(Path(results.save(Path(folder, str(len(items))))))
    return items


# --- training: two optimizer steps of every recipe

ONLINE = {"per_device_train_batch_size": 8, "steps_per_generation": 1, "num_iterations": 2, "max_turns": 8}
ONLINE |= {"rollout_batch_size": 8, "simulator_episodes": 4, "simulator_steps": 2}
OFFLINE = {"per_device_train_batch_size": 16}
# The rate that the YAML lets rise and fall over 1,200 steps would be next to nothing in two.
CONSTANT = {"lr_scheduler_type": "constant", "lr_scheduler_kwargs": "{}", "warmup_steps": 0}
# By the name of the item: the recipe, its YAML, and the settings that make it small.
RUNS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bc": ("bc", "maze/bc.yaml", OFFLINE | {"save_strategy": "steps", "save_steps": 2}),
    "filtered_bc": ("filtered_bc", "maze/filtered_bc.yaml", OFFLINE | {"simulator_episodes": 4}),
    "filtered_bc_lora": ("filtered_bc", "maze/filtered_bc.yaml", OFFLINE | {"use_peft": "true", "lora_r": 2}),
    "mc": ("mc", "maze/mc.yaml", OFFLINE),
    "ilql": ("ilql", "maze/ilql.yaml", OFFLINE | CONSTANT | {"simulator_episodes": 4}),
    "ilql_partially_observed": ("ilql", "maze/partially_observed/ilql.yaml", {"per_device_train_batch_size": 4}),
    "ppo": ("ppo", "maze/ppo.yaml", ONLINE),
    "ppo_partially_observed": ("ppo", "maze/partially_observed/ppo.yaml", ONLINE),
    "online_filtered_bc": ("online_filtered_bc", "maze/online_filtered_bc.yaml", ONLINE),
    "grpo": ("grpo", "maze/grpo.yaml", ONLINE | {"num_generations": 4}),
    "oracle": ("oracle", "twenty_questions/oracle.yaml", OFFLINE | {"max_examples": 64}),
}
RENAMED = {"oracle": "simulator"}  # recipes by the names they had before
CLOCKS = ("time", "per_second", "flos", "memory")


def training(scope: Scope) -> Items:
    """The logs and weights after two optimizer steps of each recipe, from checkpoints of release 1.0."""
    items: Items = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["HF_DATASETS_CACHE"] = f"{folder}/cache"
        for checkpoint in ("plain", "oracle"):
            shutil.copytree(WRITTEN / checkpoint, folder / "from" / checkpoint)
        for task_id, n_episodes in (("maze", 40), ("twenty_questions", 30)):
            command(BIN / "lmrl-data", "build", task_id, "--episodes", n_episodes, folder=folder)
        if scope.wants("tiny_model"):
            made = {"dataset_name": "lmrl/maze", "dataset_config": "fully_observed", "size": "tiny"}
            flags = _flags(made | {"vocab_size": 300, "output_dir": "base"})
            command(sys.executable, ROOT / "recipes" / "tiny_model.py", *flags, folder=folder)
            tokenizer = file_digest(folder / "base" / "tokenizer.json")
            items["tiny_model"] = {"tokenizer": tokenizer, "weights": weights_of(folder / "base")}
        for item, (recipe, yaml, settings) in RUNS.items():
            if not scope.wants(item):
                continue
            model = "from/oracle" if recipe == "oracle" else "from/plain"
            given = settings | {"model_name_or_path": model, "output_dir": f"runs/{item}", "max_steps": 2}
            flags = _flags(given | {"logging_steps": 1})
            script, config = _file(recipe, ".py"), _file(yaml.removesuffix(".yaml"), ".yaml")
            launch = [BIN / "trl", "sft"] if recipe == "bc" else [BIN / "accelerate", "launch", script]
            command(*launch, "--config", config, *flags, folder=folder)
            items[item] = run_items(folder / "runs" / item)
    return items


def _flags(settings: dict[str, Any]) -> list[str]:
    return [f"{word}" for name, value in settings.items() for word in (f"--{name}", value)]


def _file(name: str, suffix: str) -> Path:
    """A file of `recipes/`, by the name it had before if it has not got its own yet."""
    path = ROOT / "recipes" / f"{name}{suffix}"
    old = path.with_name(f"{RENAMED.get(path.stem, path.stem)}{suffix}")
    return path if path.is_file() else old


def run_items(folder: Path) -> Items:
    """What a run logged, without what a clock measured, and the weights that it saved."""
    (state,) = [*folder.glob("trainer_state.json")] or [*folder.glob("checkpoint-2/trainer_state.json")]
    logged = json.loads(state.read_text(encoding="utf-8"))["log_history"]
    kept = [{k: v for k, v in entry.items() if not any(word in k for word in CLOCKS)} for entry in logged]
    return {"log": kept, "weights": weights_of(folder)}


def weights_of(folder: Path) -> Items:
    """The Euclidean norms of all tensors of a checkpoint and, for processors of the same kind, a digest."""
    from safetensors.torch import load_file

    items: Items = {}
    for path in sorted(folder.rglob("*.safetensors")):
        name = path.relative_to(folder)
        if name.parts[0].startswith("checkpoint-"):
            continue
        tensors = load_file(path)
        sha = hashlib.sha256()
        for key in sorted(tensors):
            sha.update(f"{key} {tensors[key].dtype} {tuple(tensors[key].shape)}".encode())
            sha.update(tensors[key].contiguous().float().numpy().tobytes())
        norms = {key: tensors[key].double().norm().item() for key in sorted(tensors)}
        items[name.as_posix()] = {EXACT: sha.hexdigest(), "norms": norms}
    return items


# --- folders: files that release 1.0 wrote

PLAYED: dict[str, list[object]] = {
    "plain": ["--task", "maze", "--policy", "plain", "--max-new-tokens", 8, "--episodes", 25],
    "plain greedy": ["--task", "maze", "--policy", "plain", "--temperature", 0, "--episodes", 25],
    "lora": ["--task", "maze", "--policy", "lora", "--max-new-tokens", 8, "--episodes", 25],
    "value_guided": ["--task", "maze", "--policy", "value_guided", "--max-new-tokens", 8, "--episodes", 25],
    "value_guided beta": ["--task", "maze", "--policy", "value_guided", "--beta", 1, "--episodes", 25],
    "oracle": ["--task", "twenty_questions", "--policy", "scripted:expert", "--oracle", "lm:oracle", "--episodes", 6],
}


def folders(scope: Scope) -> Items:
    """Checkpoints, results and a dataset that release 1.0 wrote: they load, score, verify and read as they did."""
    from datasets import load_dataset

    items: Items = {}
    with tempfile.TemporaryDirectory() as out, contextlib.chdir(WRITTEN):
        for name, words in PLAYED.items():
            if scope.wants(name):
                folder = Path(out, name)
                code, text = called("lmrl-eval", "run", *map(str, words), "--out", str(folder))
                items[name] = results_items(folder) if code == 0 else text
        for results in sorted(Path("results").iterdir()):
            if scope.wants(f"results {results.name}"):
                code, _ = called("lmrl-eval", "verify", str(results))
                items[f"results {results.name}"] = results_items(results) | {"verify": code}
        if scope.wants("report"):
            every = [str(path) for path in sorted(Path("results").glob("maze-*"))]
            items["report"] = called("lmrl-eval", "report", *every, "--out", f"{out}/report")[0]
        if scope.wants("dataset"):
            found: Items = {}
            for config in sorted(path.name for path in Path("lmrl/maze").iterdir() if path.is_dir()):
                data = load_dataset("lmrl/maze", config, cache_dir=f"{out}/cache")
                columns = {name: str(kind) for name, kind in data["train"].features.items()}
                found[config] = {"columns": columns} | {split: digest(data[split]) for split in data}
            # `stats` draws a figure into the folder.
            shutil.copytree("lmrl", f"{out}/lmrl")
            here = ["--data", f"{out}/lmrl"]
            code, text = called("lmrl-data", "stats", "maze", *here)
            found["stats"] = [code, re.findall(r"\d[\d.,]*", text.replace(out, ""))]
            found["show"] = called("lmrl-data", "show", "maze", "--split", "test", *here)[0]
            # A build takes the folder as finished or, of another format, makes it anew: the rows are the same.
            again = ["--episodes", "20", "--out", f"{out}/lmrl", "--overwrite"]
            found["build"] = called("lmrl-data", "build", "maze", *again)[0]
            found["built"] = digest(rows_of(Path(out, "lmrl", "maze").glob("*/*.parquet")))
            items["dataset"] = found
    return items


# --- quickstart: the table of `make quickstart`


def quickstart(scope: Scope) -> Items:
    """The rows of the table that `make quickstart` prints, from the `results/maze` that it left; it is not run here.

    What is compared with is the table in the README of commit 3c9aebe, made on an AMD EPYC. Digits of the online
    recipes are others on other kinds of processor.
    """
    found = sorted(Path("results", "maze").glob("*/score.json"))
    if not found:
        raise SystemExit("error: results/maze is missing; run `make quickstart` first")
    return {
        path.parent.name: table_row(json.loads(path.read_text(encoding="utf-8")))
        for path in found
        if scope.wants(path.parent.name)
    }


def table_row(score: dict[str, Any]) -> list[str]:
    def half(low: float, high: float) -> float:
        return (high - low) / 2

    return [
        f"{score['normalized']:.1f} ± {half(*score['normalized_interval']):.1f}",
        f"{score['mean_return']:.2f} ± {half(*score['interval']):.2f}",
        f"{score['success_rate']:.1%}",
        f"{score['mean_turns']:.1f}",
        f"{score['invalid_rate']:.1%}",
        f"{score['move_accuracy']:.1%}",
        f"{score['n_episodes']}",
    ]


# --- commands: what is called by name


def called(program: str, *arguments: str) -> tuple[int, str]:
    """The exit code and the output of a command of ours, run in this process: dozens are started here."""
    (entry,) = entry_points(group="console_scripts", name=program)
    output, before, code = io.StringIO(), sys.argv, 0
    sys.argv = [program, *arguments]
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            entry.load()()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    finally:
        sys.argv = before
    return code, output.getvalue()


def section(text: str, title: str) -> list[str]:
    """The lines of a help text below a title."""
    lines = iter(re.sub("[│╭╮╰╯─]", " ", text).splitlines())
    for line in lines:
        if line.strip().rstrip(":") == title:
            break
    found = []
    for line in lines:
        if line and not line.startswith(" "):
            break
        found.append(line)
    return found


def options_of(text: str) -> dict[str, str | None]:
    """The options in a help text with their defaults, as far as these are shown."""
    options: dict[str, list[str]] = {}
    names: list[str] = []
    for line in section(text, "Options"):
        if start := re.match(r"\s*\*?\s*(?:-\w,\s*)?(--[\w-]+)((?:[\s,/]+--[\w-]+)*)", line):
            names = [start[1], *re.findall(r"--[\w-]+", start[2])]
        for name in names:
            options.setdefault(name, []).append(line.strip())
    found = {name: re.search(r"\[default:\s*([^;\]]*)", " ".join(lines)) for name, lines in options.items()}
    return {name: default and default[1].strip() for name, default in sorted(found.items())}


def commands(scope: Scope) -> Items:
    """The commands and their options, names to import, Gymnasium ids, launch lines, columns, Inspect's tasks."""
    import gymnasium
    from datasets import load_dataset

    import lmrl_data
    import lmrl_eval

    items: Items = {}
    for program in ("lmrl-data", "lmrl-eval"):
        _, text = called(program, "--help")
        items[program] = options_of(text)
        for line in section(text, "Commands"):
            if name := re.match(r" {1,3}([a-z][\w-]*)", line):
                items[f"{program} {name[1]}"] = options_of(called(program, name[1], "--help")[1])
    for package in (lmrl_data, lmrl_eval):
        items[f"names of {package.__name__}"] = sorted(name for name in package.__all__ if hasattr(package, name))
    items["tasks"] = {task_id: list(lmrl_data.get_task(task_id).configs) for task_id in lmrl_data.TASKS}
    items["gymnasium ids"] = sorted(name for name in gymnasium.registry if name.startswith("lmrl/"))
    if importlib.util.find_spec("inspect_ai"):
        (entry,) = entry_points(group="inspect_ai", name="lmrl_eval")
        items["inspect tasks"] = [name for name in lmrl_data.TASKS if hasattr(entry.load(), name)]
    for path in sorted((ROOT / "recipes").rglob("*.yaml")):
        name = path.relative_to(ROOT).as_posix()
        # Table 3's settings are kept elsewhere by now, and an oracle's training is called so.
        if "/paper" not in name and "/accelerate/" not in name and name != "recipes/twenty_questions/simulator.yaml":
            items[name] = path.read_text(encoding="utf-8").splitlines()[0]
    with tempfile.TemporaryDirectory() as folder:
        called("lmrl-data", "build", "maze", "--config", "fully_observed", "--episodes", "3", "--out", folder)
        for config in ("fully_observed", "fully_observed_steps"):
            data = load_dataset(f"{folder}/maze", config, split="train", cache_dir=f"{folder}/cache")
            items[f"columns of {config}"] = {name: str(kind) for name, kind in data.features.items()}
    return {name: value for name, value in items.items() if scope.wants(name)}


# --- comparing


def differences(recorded: Any, now: Any, *, exact: bool, losses_only: bool, place: str = "") -> Iterator[str]:
    """One line a difference; with `losses_only` more than was recorded is none."""
    rule: dict[str, Any] = {"exact": exact, "losses_only": losses_only}
    if isinstance(recorded, dict) and isinstance(now, dict):
        for name, value in recorded.items():
            inside = f"{place} {name}".strip()
            if name == EXACT and not exact:
                continue
            if name in now:
                yield from differences(value, now[name], place=inside, **rule)
            else:
                yield f"{inside}: is gone, was {_short(value)}"
        if not losses_only:
            for name in now.keys() - recorded.keys():
                yield f"{place} {name}: is new, {_short(now[name])}".strip()
    elif isinstance(recorded, list) and isinstance(now, list) and losses_only:
        if gone := [value for value in recorded if value not in now]:
            yield f"{place}: {_short(gone)} of {_short(recorded)} is gone, now {_short(now)}"
    elif isinstance(recorded, list) and isinstance(now, list) and len(recorded) == len(now):
        for number, pair in enumerate(zip(recorded, now, strict=True)):
            yield from differences(*pair, place=f"{place}[{number}]", **rule)
    elif isinstance(recorded, float) and isinstance(now, int | float) and not exact:
        if not math.isclose(recorded, now, rel_tol=TOLERANCE, abs_tol=TOLERANCE / 100):
            yield f"{place}: was {recorded!r}, is {now!r}"
    elif recorded != now and not (recorded != recorded and now != now):  # NaN is NaN
        yield f"{place}: was {_short(recorded)}, is {_short(now)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 1000 else f"{text[:1000]}…"


PARTS: dict[str, Callable[[Scope], Items]] = {
    "golden": golden,
    "commands": commands,
    "folders": folders,
    "rows": rows,
    "scores": scores,
    "training": training,
    "quickstart": quickstart,
}
ONLY_ASKED = ("quickstart",)


def check(name: str, record: dict[str, Any], only: str | None) -> tuple[Items, list[str], list[str]]:
    """A part of today, the lines of what differs from the record, and the lines of what was left out."""
    scope = Scope(only, record["engine"])
    now = json.loads(json.dumps(PARTS[name](scope)))
    left_out = {line.split(" ")[0] for line in scope.left_out}
    recorded = {
        item: value
        for item, value in record["parts"][name].items()
        if scope.only in ("", item[: len(scope.only)]) and item.split("/")[0] not in left_out
    }
    exact = record["processors"][name] == processor()
    found = [f"{name}: {line}" for line in differences(recorded, now, exact=exact, losses_only=name == "commands")]
    return now, found, [f"{name}: {line}" for line in scope.left_out]


def save(record: dict[str, Any], name: str, only: str | None) -> Items:
    """Plays a part and puts it into the record, in place of what was there of it."""
    items = PARTS[name](Scope(only, recording=True))
    parts = record.setdefault("parts", {})
    kept = parts.get(name, {}) if only else {}
    parts[name] = kept | json.loads(json.dumps(items))
    record.setdefault("processors", {})[name] = processor()
    record["engine"] = engine() or record.get("engine")
    write(record)
    return items


def write(record: dict[str, Any]) -> None:
    """Writes the record, one item a line, so that a difference between two commits reads well."""
    parts = []
    for name in PARTS:
        if name in record["parts"]:
            items = [
                f"{json.dumps(item)}: {json.dumps(value, ensure_ascii=False)}"
                for item, value in record["parts"][name].items()
            ]
            parts.append(f"{json.dumps(name)}: {{\n" + ",\n".join(items) + "\n}")
    head = "".join(f"{json.dumps(name)}: {json.dumps(record[name])},\n" for name in ("engine", "processors"))
    text = f'{{\n{head}"parts": {{\n' + ",\n".join(parts) + "\n}\n}\n"
    RECORD.write_text(text, encoding="utf-8", newline="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS, help="this part only; may be given several times")
    parser.add_argument("--only", metavar="NAME", help="only items whose names begin so, e.g. maze or maze/")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="compare with the record (the default)")
    how.add_argument("--record", action="store_true", help="write the record anew; for an intended change only")
    arguments = parser.parse_args()
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
    result: dict[str, Any] = {"benchmark": "unchanged"}
    different = skipped = 0
    for name in arguments.part or [name for name in PARTS if name not in ONLY_ASKED]:
        begun = time.perf_counter()
        if arguments.record:
            items = save(record, name, arguments.only)
        else:
            items, lines, left_out = check(name, record, arguments.only)
            different, skipped = different + len(lines), skipped + len(left_out)
            print(*lines, *(f"skipped {line}" for line in left_out), sep="\n", end="\n" if lines or left_out else "")
        result[name] = {"items": len(items), "seconds": round(time.perf_counter() - begun, 1)}
    print(json.dumps(result | {"different": different, "skipped": skipped}))
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
