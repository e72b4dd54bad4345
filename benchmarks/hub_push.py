"""What the pushes to the Hub cost in requests, and what is left of them when something breaks on the way.

Every push runs in a process of its own against the Hub of the tests (`tests/hub`), on this machine. A run with faults
is a push while faults strike (or that is killed), then the same push undisturbed; the repositories are then compared
with those of a push that nothing disturbed.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
HOME = tempfile.mkdtemp()
os.environ |= {
    "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HOME": HOME,
    "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1",
}  # fmt: skip

from hub.server import Fault, Hub  # noqa: E402

MODEL, STRANGERS = "lmrl/maze-small", "carol/maze-small"
FAULTS = ("429", "500", "cut", "kill -9")
PRELOADED = ["lmrl_data.dataset.push", "lmrl_eval.hub.push_results", "lmrl_eval.hub.push_checkpoint", "lmrl_eval.commands.hub", "matplotlib.figure", "safetensors.torch"]  # noqa: E501  # fmt: skip


# --- the pushes


def push_the_dataset(folder: Path) -> None:
    from lmrl_data import get_task
    from lmrl_data.dataset.push import push_dataset

    push_dataset(get_task("maze"), folder / "lmrl" / "maze", "lmrl/maze")


def push_the_model(folder: Path, model: str = MODEL) -> None:
    from lmrl_eval.hub.push_checkpoint import push_checkpoint

    push_checkpoint(folder / "model", model, task="maze", config="fully_observed")


def push_the_score(folder: Path) -> None:
    from lmrl_eval.hub.push_results import push_results

    push_results(folder / "results", MODEL)


def propose_the_score(folder: Path) -> None:
    from lmrl_eval.hub.push_results import push_results

    push_results(folder / "results", STRANGERS, create_pr=True)


def push_the_leaderboard(folder: Path) -> None:
    from lmrl_data.hub import connect, publish

    files = {path.name: path for path in sorted((folder / "page").iterdir())}
    publish(connect(), "lmrl/leaderboard", "space", files, message="Leaderboard")


PUSHES: dict[str, Callable[[Path], None]] = {
    "dataset": push_the_dataset,
    "model": push_the_model,
    "score": push_the_score,
    "score as a pull request": propose_the_score,
    "leaderboard": push_the_leaderboard,
}


def prepare(folder: Path) -> None:
    """What is pushed: a small dataset, a small model, results and a page."""
    from lmrl_data import get_task
    from lmrl_data.dataset.build import build_dataset
    from lmrl_data.tasks.maze.grid import ACTIONS, grid
    from lmrl_eval import Evaluator
    from lmrl_eval.leaderboard.entry import Entry
    from lmrl_eval.leaderboard.page import write_leaderboard
    from lmrl_recipes.tiny_model import make_model, train_tokenizer

    task = get_task("maze")
    build_dataset(task, num_episodes=50, output_dir=folder / "lmrl")
    texts = [*grid().positions.values(), *grid().walls.values(), "Success", "Failure", *ACTIONS]
    tokenizer = train_tokenizer([f"{text}\n" for text in texts * 2], vocab_size=400)
    make_model(tokenizer, "tiny", seed=0).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    results = Evaluator().compute(task.policy("optimal", "fully_observed"), task, n_episodes=50)
    results.save(folder / "results")
    write_leaderboard([Entry(MODEL, results.score, "verified", episodes=results.episodes[:3])], folder / "page",
                      command="lmrl-eval leaderboard")  # fmt: skip


# --- runs


def child(push: Callable[..., None], folder: Path, url: str, token: str, *arguments: Any) -> None:
    """Runs in a process of its own. A Hub that fails is not waited for as long as a real one."""
    from huggingface_hub import constants, hf_api

    from lmrl_data import UserError
    from lmrl_data.dataset import figure as figures

    constants.ENDPOINT = hf_api.api.endpoint = url
    constants.HUGGINGFACE_CO_URL_TEMPLATE = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    os.environ["HF_TOKEN"] = token
    sleep = time.sleep
    time.sleep = lambda seconds: sleep(min(seconds, 0.01))
    # Nor is the picture drawn a thousand times, or the client's log of its retries wanted.
    figures.histograms = lambda statistics: b"a picture"
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        push(folder, *arguments)
    except UserError:
        sys.exit(2)


class Stage:
    """A Hub with what a push needs to find there, and people who push."""

    def __init__(self, context: Any, folder: Path) -> None:
        self.context, self.folder = context, folder
        self.place = Path(tempfile.mkdtemp(dir=folder))
        self.hub = Hub(self.place)

    def __enter__(self) -> "Stage":
        self.hub.__enter__()
        self.tokens = {name: self.hub.user(name, orgs=orgs) for name, orgs in (("alice", ["lmrl"]), ("carol", []))}
        return self

    def __exit__(self, *caught: Any) -> None:
        self.hub.__exit__(*caught)
        shutil.rmtree(self.place)

    def start(self, push: Callable[..., None], *arguments: Any, who: str = "alice") -> Any:
        process = self.context.Process(
            target=child, args=(push, self.folder, self.hub.url, self.tokens[who], *arguments)
        )
        process.start()
        return process

    def run(self, push: Callable[..., None], *arguments: Any, who: str = "alice") -> float:
        begun = time.perf_counter()
        process = self.start(push, *arguments, who=who)
        process.join()
        assert process.exitcode == 0, f"{push.__name__} ended with {process.exitcode}"
        return time.perf_counter() - begun

    def setting(self, name: str) -> None:
        """The models that scores are of."""
        if name == "score":
            self.run(push_the_model)
        elif name == "score as a pull request":
            self.run(push_the_model, STRANGERS, who="carol")

    def state(self) -> dict[str, Any]:
        """All that is there: files, commits, tags and pull requests of every repository."""
        found: dict[str, Any] = {}
        for repository in self.hub.repositories():
            key = repository.kind, repository.name
            requests = self.hub.pull_requests(*key)
            for revision in ["main", *(f"refs/pr/{each.number}" for each in requests)]:
                files = self.hub.files(*key, revision)
                named = {path: data.replace(self.hub.url.encode(), b"HUB") for path, data in files.items()}
                found["/".join((*key, revision))] = named, sorted(self.hub.commits(*key, revision))
            found["/".join((*key, "requests"))] = [(each.title, each.author, each.status) for each in requests]
            found["/".join((*key, "tags"))] = sorted(ref for ref in repository.refs() if "tags" in ref)
        return found


def requests(context: Any, folder: Path, name: str) -> dict[str, Any]:
    """How many requests the first and the second push make, and what the second one sends."""
    counted: dict[str, Any] = {"measure": "hub_push_requests", "push": name}
    with Stage(context, folder) as stage:
        stage.setting(name)
        for time_ in ("first", "second"):
            stage.hub.log.clear()
            stage.run(PUSHES[name])
            log = list(stage.hub.log)
            changing = [each for each in log if each.method == "PUT" or "/commit/" in each.route]
            counted[time_] = {
                "requests": len(log),
                "of them that change something": len(changing),
                "bytes sent": sum(each.received for each in log),
                "bytes of files sent": sum(each.received for each in changing),
            }
            if time_ == "first":
                counted["routes"] = dict(Counter(each.route for each in log).most_common())
    return counted


def faults(context: Any, folder: Path, name: str, kind: str, runs: int) -> dict[str, Any]:
    """How many of the runs end with other repositories than an undisturbed push."""
    with Stage(context, folder) as stage:
        stage.setting(name)
        seconds = stage.run(PUSHES[name])
        expected = stage.state()
    wrong, struck, gave_up = [], 0, 0
    for seed in range(runs):
        random_ = random.Random(f"{name} {kind} {seed}")
        with Stage(context, folder) as stage:
            stage.setting(name)
            if kind == "kill -9":
                process = stage.start(PUSHES[name])
                process.join(random_.uniform(0, 1.1 * seconds))
                struck += process.is_alive()
                process.kill()
            else:
                kinds: list[Any] = ["cut", "cut_after"] if kind == "cut" else [kind]
                chance = random_.choice([0.1, 0.3, 0.6])
                made = [Fault(each, times=None, probability=chance, seed=seed) for each in kinds]
                stage.hub.faults.extend(made)
                process = stage.start(PUSHES[name])
            process.join()
            gave_up += process.exitcode not in (0, -9)
            struck += sum(fault.struck for fault in stage.hub.faults)
            stage.hub.faults.clear()
            stage.run(PUSHES[name])
            if stage.state() != expected:
                wrong.append(seed)
    return {
        "measure": "hub_push_faults", "push": name, "fault": kind, "runs": runs, "struck": struck,
        "gave up before the second run": gave_up, "seconds undisturbed": round(seconds, 2), "wrong": wrong,
    }  # fmt: skip


def main(arguments: Mapping[str, Any]) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        for name in arguments["push"] or PUSHES:
            print(json.dumps(requests(context, Path(folder), name)), flush=True)
            for kind in FAULTS:
                print(json.dumps(faults(context, Path(folder), name, kind, arguments["runs"])), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of every push with every fault")
    parser.add_argument("--push", action="append", choices=PUSHES, help="only this one")
    main(vars(parser.parse_args()))
