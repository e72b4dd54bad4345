"""Two pushes to one repository at once: nothing is lost, nothing stays half, and whoever comes too late is told."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from cases import check_cases
from huggingface_hub import HfApi
from published_score import ENTRIES, EPISODES, MODEL, become, play
from safetensors.torch import load_file, save_file

from hub.server import Hub
from lmrl_data import UserError, get_task
from lmrl_data import hub as client
from lmrl_data.dataset.build import build_dataset
from lmrl_data.dataset.push import push_dataset
from lmrl_eval.hub.push_checkpoint import push_checkpoint
from lmrl_eval.hub.push_results import push_results

pytestmark = pytest.mark.slow

MAZE, WORDLE = get_task("maze"), get_task("wordle")


@pytest.fixture
def owner(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Somebody who pushes twice at once, away from any local build."""
    become(hub, monkeypatch, "alice")
    monkeypatch.chdir(hub.folder.parent)
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr("lmrl_data.dataset.figure.histograms", lambda statistics: b"a picture")
    return hub


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three builds: the maze, other data of its version, and another task."""
    folder = tmp_path_factory.mktemp("built")
    return {
        "maze": build_dataset(MAZE, num_episodes=10, output_dir=folder / "a"),
        "more": build_dataset(MAZE, num_episodes=20, output_dir=folder / "b"),
        "wordle": build_dataset(WORDLE, num_episodes=10, output_dir=folder / "c"),
    }


def outcome(push: Callable[[], Any]) -> Any:
    """What a push returns, or its error."""
    try:
        return push()
    except UserError as error:
        return error


def overtaken(patch: pytest.MonkeyPatch, method: str, push: Callable[[], Any], other: Callable[[], Any]) -> list[Any]:
    """The outcomes of a push and of another one, which happens whole before the first calls this method."""
    call, others = getattr(HfApi, method), []

    def late(*arguments: Any, **settings: Any) -> Any:
        if not others:
            others.append(None)
            others[0] = outcome(other)
        return call(*arguments, **settings)

    with patch.context() as context:
        context.setattr(HfApi, method, late)
        return [outcome(push), *others]


def at_once(*pushes: Callable[[], Any]) -> list[Any]:
    """The outcomes of pushes that run beside one another."""
    with ThreadPoolExecutor(len(pushes)) as threads:
        return list(threads.map(outcome, pushes))


def refusals(outcomes: list[Any]) -> list[str]:
    return [str(each) for each in outcomes if isinstance(each, UserError)]


def shards_of(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in files.items() if path.endswith(".parquet")}


def check_whole(hub: Hub, build: Path, *revisions: str) -> None:
    """Checks that revisions of a repository hold a build and no shard of another one."""
    for revision in revisions:
        files = hub.files("dataset", "alice/x", revision)
        assert shards_of(files) == {p.relative_to(build).as_posix(): p.read_bytes() for p in build.rglob("*.parquet")}
        assert files["manifest.json"] == (build / "manifest.json").read_bytes()


# --- datasets

CALLS = ("repo_info", "create_repo", "create_commit", "create_tag")


def test_of_two_datasets_of_one_name_the_first_stays_and_the_second_is_refused(
    owner: Hub, builds: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(name: str, method: str) -> None:
        if owner.find("dataset", "alice/x"):
            owner.delete("dataset", "alice/x")
        push = partial(push_dataset, MAZE, builds["maze"], "alice/x")
        other = partial(push_dataset, get_task(builds[name].name), builds[name], "alice/x")
        outcomes = overtaken(monkeypatch, method, push, other)
        assert len(refusals(outcomes)) == 1, outcomes
        winner = builds["maze"] if isinstance(outcomes[1], UserError) else builds[name]
        check_whole(owner, winner, "main", "v1.0.0")

    check_cases(list(product(("more", "wordle"), CALLS)), check)


def test_a_tag_never_names_other_data_than_its_push_says(
    owner: Hub, builds: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = dataclasses.replace(MAZE, version="9.0.0")
    build = Path(shutil.copytree(builds["more"], owner.folder / "newer" / "maze"))
    manifest = build / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"task_version": "1.0.0"', '"task_version": "9.0.0"'))
    outcomes = overtaken(
        monkeypatch,
        "create_tag",
        partial(push_dataset, MAZE, builds["maze"], "alice/x", revision_tag="small"),
        partial(push_dataset, newer, build, "alice/x", revision_tag="small"),
    )
    assert refusals(outcomes) == [str(outcomes[0])]
    assert "somebody else has just tagged other data as small" in str(outcomes[0])
    check_whole(owner, build, "main", "small")


def test_two_pushes_that_run_beside_one_another_leave_one_of_the_two_builds(
    owner: Hub, builds: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "COMMIT_FILES", 3)
    outcomes = at_once(*(partial(push_dataset, MAZE, builds[name], "alice/x") for name in ("maze", "more")))
    assert len(refusals(outcomes)) == 1, outcomes
    winner = builds["more" if isinstance(outcomes[0], UserError) else "maze"]
    check_whole(owner, winner, "main", "v1.0.0")


def test_a_build_that_is_replaced_while_it_is_pushed_is_refused(
    owner: Hub, builds: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    build = Path(shutil.copytree(builds["maze"], owner.folder / "mine" / "maze"))

    def exchange() -> None:
        shutil.rmtree(build)
        shutil.copytree(builds["more"], build)

    (refused, _) = overtaken(monkeypatch, "repo_info", partial(push_dataset, MAZE, build, "alice/x"), exchange)
    assert "was replaced while it was pushed" in str(refused)
    assert not shards_of(owner.files("dataset", "alice/x"))


# --- results and checkpoints


@pytest.fixture
def checkpoints(base: Path, tmp_path: Path) -> list[Path]:
    """Two checkpoints, of one file and of two files of weights."""
    one, two = (Path(shutil.copytree(base, tmp_path / name)) for name in ("one", "two"))
    weights = load_file(two / "model.safetensors")
    names = sorted(weights)
    parts = {f"model-0000{i + 1}-of-00002.safetensors": names[i::2] for i in range(2)}
    for file, members in parts.items():
        save_file({name: weights[name] + 1 for name in members}, two / file, {"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, members in parts.items() for name in members}}
    (two / "model.safetensors.index.json").write_text(json.dumps(index))
    (two / "model.safetensors").unlink()
    return [one, two]


def test_results_and_checkpoints_of_one_model_are_all_there_afterwards(
    owner: Hub, checkpoints: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {config: play(tmp_path / config, config=config) for config in MAZE.configs}
    pushes = [
        *(partial(push_results, folder, MODEL) for folder in folders.values()),
        partial(push_checkpoint, checkpoints[0], MODEL, task="maze"),
    ]

    def check(run: Callable[..., list[Any]]) -> None:
        for kind, name in (("model", MODEL), ("dataset", EPISODES)):
            if owner.find(kind, name):
                owner.delete(kind, name)
        HfApi().create_repo(MODEL)
        assert not refusals(run(*pushes))
        model, episodes = owner.files("model", MODEL), owner.files("dataset", EPISODES)
        assert len(yaml.safe_load(model[ENTRIES])) == len(folders)
        head = yaml.safe_load(model["README.md"].decode().split("---\n")[1])
        assert len(head["model-index"][0]["results"]) == len(folders)
        assert model["model.safetensors"] == (checkpoints[0] / "model.safetensors").read_bytes()
        head = yaml.safe_load(episodes["README.md"].decode().split("---\n")[1])
        assert {each["config_name"].removeprefix("maze_") for each in head["configs"]} == set(folders)
        assert sum(path.endswith("score.json") for path in episodes) == len(folders)

    check_cases(
        [at_once, *(partial(overtaken_twice, monkeypatch, call) for call in ("repo_info", "create_commit"))], check
    )


def overtaken_twice(patch: pytest.MonkeyPatch, method: str, first: Any, second: Any, third: Any) -> list[Any]:
    """The outcomes of three pushes, each of which happens whole within the one before."""
    return overtaken(patch, method, first, lambda: overtaken(patch, method, second, third))


def test_of_two_checkpoints_one_is_there_whole(
    owner: Hub, checkpoints: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(run: Callable[..., list[Any]]) -> None:
        assert not refusals(run(*(partial(push_checkpoint, folder, MODEL, task="maze") for folder in checkpoints)))
        files = owner.files("model", MODEL)
        weights = {name: content for name, content in files.items() if "safetensors" in name}
        assert weights in [{p.name: p.read_bytes() for p in folder.glob("*safetensors*")} for folder in checkpoints]

    check_cases([at_once, *(partial(overtaken, monkeypatch, call) for call in ("repo_info", "create_commit"))], check)


def test_results_that_are_replaced_while_they_are_pushed_are_refused(
    owner: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    HfApi().create_repo(MODEL)
    folder = play(tmp_path / "results")
    (refused, _) = overtaken(
        monkeypatch, "whoami", partial(push_results, folder, MODEL), lambda: play(folder, policy="random")
    )
    assert "was replaced while it was read" in str(refused)
    assert owner.find("dataset", EPISODES) is None
