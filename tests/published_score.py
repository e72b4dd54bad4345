"""What the tests of published scores share: results of a few episodes, users of the Hub, and what a model states."""

import functools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from lmrl_data import get_task
from lmrl_eval.evaluator import Evaluator
from lmrl_eval.results import Results
from lmrl_eval.verify import Verification, describe

if TYPE_CHECKING:
    from hub.server import Hub
    from huggingface_hub import HfApi

MODEL, EPISODES = "alice/maze-bc", "alice/maze-bc-lmrl-episodes"
ENTRIES = ".eval_results/lmrl-maze.yaml"


@functools.cache
def played(policy: str, config: str) -> Results:
    task = get_task("maze")
    return Evaluator().compute(
        task.policy(policy, config), task, config, n_episodes=4, policy_seed=0,
        checkpoint={"source": "/home/alice/secret/run", "parameters": 1234},
    )  # fmt: skip


def play(
    folder: Path, policy: str = "optimal", config: str = "fully_observed", seconds: float = 1.0, **changes: Any
) -> Path:
    """Results of a scripted policy that says it is a checkpoint of this machine; with `changes` to the score."""
    results = played(policy, config)
    score = replace(results.score, **changes)
    return Results(score, results.episodes, results.greedy_actions, {"seconds": seconds}).save(folder)


def become(hub: "Hub", monkeypatch: pytest.MonkeyPatch, name: str, *orgs: str) -> "HfApi":
    """Makes a user, and is that user from now on."""
    from huggingface_hub import HfApi

    monkeypatch.setenv("HF_TOKEN", hub.user(name, orgs=orgs))
    return HfApi(endpoint=hub.url)


def entries(hub: "Hub", model: str = MODEL, revision: str = "main") -> list[Any]:
    return yaml.safe_load(hub.files("model", model, revision)[ENTRIES])


def commit(api: "HfApi", repo: str, files: dict[str, bytes], kind: str = "model") -> None:
    """Somebody's own commit."""
    from huggingface_hub import CommitOperationAdd

    operations = [CommitOperationAdd(path, content) for path, content in files.items()]
    api.create_commit(repo, operations, repo_type=kind, commit_message="by hand")


def check_printable(found: Verification) -> None:
    """What a verification says fits a terminal, whatever was in the files."""
    text = describe(found)
    assert text.replace("\n", "").isprintable()
    assert len(text) < 3_000
    assert found.problems
    assert all("\n" not in problem and len(problem) <= 300 for problem in found.problems)
