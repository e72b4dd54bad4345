"""The whole way over HTTP: data, a model trained on it, its score by pull request, the leaderboard, and a forger."""

import json
import os
from pathlib import Path

import forked
import pytest
from hub.server import Hub
from huggingface_hub import CommitOperationAdd, HfApi

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
MODULES = {"lmrl-data": "lmrl_data.cli", "lmrl-eval": "lmrl_eval.commands.main"}
SETTINGS = [
    "--filter", "all", "--max_steps", "60", "--learning_rate", "1e-2", "--per_device_train_batch_size", "16",
    "--use_cpu", "true", "--report_to", "none", "--save_strategy", "no",
]  # fmt: skip


class Person:
    """Somebody with a token, a machine of their own and nothing on it."""

    def __init__(self, hub: Hub, name: str, folder: Path, orgs: tuple[str, ...] = ()) -> None:
        self.token = hub.user(name, orgs=orgs)
        self.folder = folder / name
        self.folder.mkdir()
        self.environment = hub.environment(self.token) | {"OMP_NUM_THREADS": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}

    def run(self, *command: str, expect: int = 0) -> str:
        """Runs a recipe or a command in a process of its own; returns all it wrote."""
        name, *words = command
        program = [MODULES[name]] if name in MODULES else [str(ROOT / name)]
        done = forked.run(
            ["-m"] * (name in MODULES) + program + words, folder=self.folder, output=self.folder / "output",
            environment=self.environment,
        )  # fmt: skip
        written = done.stdout + done.stderr
        assert done.returncode == expect, written
        assert self.token not in written
        assert "Traceback" not in written
        return written


@pytest.mark.release
def test_to_the_hub_and_back(hub: Hub, tmp_path: Path) -> None:
    # A dataset is published, and a model is trained on it elsewhere.
    alice = Person(hub, "alice", tmp_path, orgs=("lmrl",))
    alice.run("lmrl-data", "build", "maze", "--config", "fully_observed", "--episodes", "60")
    assert "/datasets/lmrl/maze: sent" in alice.run("lmrl-data", "push", "maze")
    bob = Person(hub, "bob", tmp_path)
    data = ["--dataset_name", "lmrl/maze", "--dataset_config", "fully_observed"]
    bob.run("recipes/tiny_model.py", *data, "--size", "tiny", "--output_dir", "base")
    model = ["--model_name_or_path", "base", "--output_dir", "bc"]
    bob.run(
        "recipes/filtered_bc.py", *data, *model, *SETTINGS, "--push_to_hub", "true", "--hub_model_id", "bob/maze-bc"
    )
    assert not (bob.folder / "lmrl").exists(), "the data came from the Hub"
    pushed = hub.files("model", "bob/maze-bc")
    assert json.loads(pushed["training.json"])["dataset"] == "lmrl/maze"
    assert not [path for path in pushed if path.endswith((".bin", ".pt", ".pkl"))]

    # Somebody else scores it, and proposes the score.
    carol = Person(hub, "carol", tmp_path)
    play = ["--task", "maze", "--policy", "bob/maze-bc", "--episodes", "50", "--max-new-tokens", "8"]
    carol.run("lmrl-eval", "run", *play, "--out", "results")
    assert "--create-pr" in carol.run("lmrl-eval", "push", "results", "--model", "bob/maze-bc", expect=2)
    for _ in range(2):
        carol.run("lmrl-eval", "push", "results", "--model", "bob/maze-bc", "--create-pr")
    (proposed,) = hub.pull_requests("model", "bob/maze-bc")
    hub.merge("model", "bob/maze-bc", proposed.number)
    score = json.loads((carol.folder / "results" / "score.json").read_text())

    # The leaderboard shows it, and anyone can check it without the model.
    dave = Person(hub, "dave", tmp_path)
    said = dave.run("lmrl-eval", "verify", "bob/maze-bc")
    assert "50 episodes" in said
    assert "verified" in said
    dave.run("lmrl-eval", "leaderboard", "--out", "board", "--push", "dave/leaderboard")
    table = (dave.folder / "board" / "leaderboard.md").read_text()
    assert "bob/maze-bc" in table
    assert f"{score['normalized']:.1f}" in table
    assert b"bob/maze-bc" in hub.files("space", "dave/leaderboard")["index.html"]

    # Better rewards than the moves earn: the command refuses them, and what is pushed without it is not ranked.
    mallory = Person(hub, "mallory", tmp_path)
    forge(carol.folder / "results", mallory.folder / "results")
    assert "is not published" in mallory.run("lmrl-eval", "push", "results", "--model", "bob/maze-bc", expect=2)
    publish_forgery(hub, mallory, score)
    said = dave.run("lmrl-eval", "verify", "mallory/champion", expect=1)
    assert "flagged" in said
    dave.run("lmrl-eval", "leaderboard", "--out", "board")
    ranked, _, flagged = (dave.folder / "board" / "leaderboard.md").read_text().partition("Not ranked")
    assert "mallory/champion" not in ranked
    assert "mallory/champion" in flagged
    assert not [token for token in hub.tokens if any(token in str(each.query) for each in hub.log)]


def forge(source: Path, target: Path) -> None:
    """Results in which every episode ends well, with a score that fits them."""
    from dataclasses import replace

    from lmrl_data import Turn, get_task
    from lmrl_eval.results import read_results
    from lmrl_eval.score import score_episodes

    results = read_results(source)
    episodes = []
    for episode in results.episodes:
        turns = [replace(turn, reward=0.0) if turn.role == "assistant" else turn for turn in episode.turns]
        turns[-1] = Turn("user", "Success")
        end = {"terminated": True, "truncated": False, "info": {**episode.info, "success": True}}
        episodes.append(replace(episode, turns=tuple(turns), **end))
    task = get_task("maze")
    made = score_episodes(episodes, task)
    kept = ("protocol", "options", "versions", "policy", "policy_seed", "checkpoint", "move_accuracy")
    score = replace(made, **{name: getattr(results.score, name) for name in kept})
    replace(results, score=score, episodes=episodes).save(target)


def publish_forgery(hub: Hub, mallory: Person, score: dict) -> None:
    """Mallory's own tools: the forged results, pushed as the command would have pushed them."""
    from lmrl_eval.untrusted import digest

    api = HfApi(endpoint=hub.url, token=mallory.token)
    names = ("score.json", "episodes.parquet", "greedy_actions.json", "timing.json")
    files = {name: (mallory.folder / "results" / name).read_bytes() for name in names}
    path = f"maze_fully_observed/{digest(files)}"
    real = hub.files("model", "bob/maze-bc")
    forged = json.loads(files["score.json"])
    entry = real[".eval_results/lmrl-maze.yaml"].decode()
    entry = entry.replace(f"{round(score['normalized'], 2):g}", f"{round(forged['normalized'], 2):g}")
    url = f"{hub.url}/datasets/mallory/champion-lmrl-episodes/tree/main/{path}"
    lines = [line if "url:" not in line else f"{line.split('url:')[0]}url: {url}" for line in entry.splitlines()]
    for repo, kind, content in (
        ("mallory/champion-lmrl-episodes", "dataset", {f"{path}/{name}": data for name, data in files.items()}),
        ("mallory/champion", "model", {"README.md": real["README.md"],
                                       ".eval_results/lmrl-maze.yaml": "\n".join(lines).encode()}),
    ):  # fmt: skip
        api.create_repo(repo, repo_type=kind)
        operations = [CommitOperationAdd(name, data) for name, data in content.items()]
        api.create_commit(repo, operations, commit_message="x", repo_type=kind)
    assert os.environ.get("HF_TOKEN") is None
