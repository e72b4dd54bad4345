"""Croissant: a reader that knows nothing of this project finds the same rows by it."""

import hashlib
import json

import mlcroissant
import pytest
from datasets import DatasetInfo, SplitDict, SplitInfo

from lmrl_data import TASKS, get_task
from lmrl_data.dataset.build import FEATURES, STEP_FEATURES, build_dataset, load_episodes, step_rows
from lmrl_data.dataset.contents import published_files
from lmrl_data.dataset.croissant import render_croissant

MAZE = get_task("maze")
SIZES = {"test": 2, "train": 20}  # in the order in which files are read


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_dataset(MAZE, num_episodes=SIZES["train"], output_dir=tmp_path_factory.mktemp("croissant"))


def plain(value):
    """A record as a row: no bytes, and no names of its record set."""
    if isinstance(value, dict):
        return {name.rpartition("/")[2]: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.decode() if isinstance(value, bytes) else value


def records(folder, config):
    return [plain(record) for record in mlcroissant.Dataset(jsonld=folder / "croissant.json").records(config)]


def test_mlcroissant_misses_nothing_but_a_date(folder):
    issues = mlcroissant.Dataset(jsonld=folder / "croissant.json").metadata.issues
    assert not issues.errors
    assert [warning for warning in issues.warnings if "datePublished" not in str(warning)] == []


@pytest.mark.parametrize("config", ["fully_observed", "partially_observed"])
def test_mlcroissant_reads_our_episodes(folder, config):
    expected = [
        {"split": split, **episode.to_row()} for split in SIZES for episode in load_episodes(folder, config, split)
    ]
    found = [{**record, "info": json.loads(record["info"])} for record in records(folder, config)]
    assert len(found) == sum(SIZES.values())
    assert found == expected


def test_mlcroissant_reads_our_steps(folder):
    expected = [
        {"split": split, **row}
        for split in SIZES
        for index, episode in enumerate(load_episodes(folder, "fully_observed", split))
        for row in step_rows(episode, index, MAZE.configs["fully_observed"].history)
    ]
    assert records(folder, "fully_observed_steps") == expected


def test_every_shard_is_listed_with_its_checksum(folder):
    listed = json.loads((folder / "croissant.json").read_text())["distribution"]
    found = {each["contentUrl"]: (each["sha256"], each["contentSize"]) for each in listed if "sha256" in each}
    assert found == {
        str(path.relative_to(folder)): (hashlib.sha256(data).hexdigest(), f"{len(data)} B")
        for path in folder.glob("*/*.parquet")
        for data in [path.read_bytes()]
    }


def test_a_published_one_differs_in_its_address_alone(folder, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    local = json.loads((folder / "croissant.json").read_text())
    published = json.loads(published_files(MAZE, folder, "me/x", "v1.0.0")["croissant.json"])
    assert published.pop("url") == "http://127.0.0.1:1/datasets/me/x"
    assert local.pop("url") == "https://arxiv.org/abs/2311.18232"
    assert published == local


@pytest.mark.parametrize("task_id", TASKS)
def test_every_task_has_what_croissant_asks_for(task_id):
    task = get_task(task_id)
    splits = SplitDict({name: SplitInfo(name) for name in SIZES})
    infos = {
        "one": DatasetInfo(features=FEATURES, splits=splits),
        "two": DatasetInfo(features=STEP_FEATURES, splits=splits),
    }
    croissant = json.loads(render_croissant(task, infos, []))
    issues = mlcroissant.Dataset(jsonld=croissant).metadata.issues
    assert not issues.errors
    assert croissant["version"] == task.version
    assert croissant["citeAs"].startswith("@misc{")
    assert croissant["citeAs"].endswith("}")
    assert len(croissant["rai:dataLimitations"]) > 100
