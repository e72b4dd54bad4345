"""What a reader gets beside a dataset's shards: the card, the benchmark file, pictures and notices."""

import hashlib
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmrl_data.dataset.card import ConfigData, render_dataset_card, render_eval_yaml
from lmrl_data.dataset.folder import dataset_manifest, read_episodes, shard_entries, shard_names
from lmrl_data.dataset.page import LICENCES, task_page
from lmrl_data.dataset.plan import dataset_configs
from lmrl_data.dataset.statistics import Statistics
from lmrl_data.episode import Episode
from lmrl_data.errors import UserError
from lmrl_data.rows import SCHEMA, STEP_SCHEMA
from lmrl_data.task import Task
from lmrl_data.tasks import task_files

if TYPE_CHECKING:
    from datasets import DatasetInfo

FIGURE = "figures/lengths_and_returns.png"
SPLITS = ("train", "test")  # in the order of every table


# --- what there is


def checksums(task: Task, manifest: Mapping[str, Any], configs: Iterable[str]) -> dict[str, str]:
    """For each dataset config, one checksum of all its files."""
    sums = {}
    for name in [name for config in configs for name in dataset_configs(task, config)]:
        entries = [
            entry["sha256"] for path, entry in sorted(manifest["shards"].items()) if path.startswith(f"{name}/")
        ]
        sums[name] = hashlib.sha256("".join(entries).encode()).hexdigest()[:16]
    return sums


def finished_configs(task: Task, manifest: Mapping[str, Any]) -> dict[str, list[str]]:
    """The splits of each config of which all files are there, in the task's order."""
    found = {
        config: [split for split in SPLITS if split in manifest["configs"].get(config, {})] for config in task.configs
    }
    return {
        config: splits
        for config, splits in found.items()
        if splits
        and all(shard_names(manifest, name, split) for name in dataset_configs(task, config) for split in splits)
    }


def dataset_infos(task: Task, folder: Path, manifest: Mapping[str, Any]) -> dict[str, "DatasetInfo"]:
    """What `datasets` would write of each finished dataset config when it pushes one: columns, splits, sizes."""
    from datasets import DatasetInfo, Features, SplitDict, SplitInfo

    infos = {}
    for config, splits in finished_configs(task, manifest).items():
        for name in dataset_configs(task, config):
            sizes, download_size = SplitDict(), 0
            for split in splits:
                entries = shard_entries(folder, manifest, name, split)
                download_size += sum(entry["bytes"] for entry in entries)
                memory, rows = (sum(entry[key] for entry in entries) for key in ("bytes_in_memory", "rows"))
                sizes.add(SplitInfo(split, num_bytes=memory, num_examples=rows))
            infos[name] = DatasetInfo(
                features=Features.from_arrow_schema(SCHEMA if name == config else STEP_SCHEMA),
                splits=sizes,
                download_size=download_size,
                dataset_size=sum(each.num_bytes for each in sizes.values()),
            )
    return infos


def add_facts(task: Task, folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with what the task has to tell of each finished train split, read from its files once."""
    facts = dict(manifest.get("facts", {}))
    for config in finished_configs(task, manifest):
        if task.data_facts is not None and config not in facts:
            # Pairs, because the manifest sorts its keys and a card does not.
            found = task.data_facts(config, read_episodes(folder, config, "train", check=False))
            facts[config] = [[label, value] for label, value in found.items()]
    return {**manifest, "facts": facts} if facts else dict(manifest)


def config_data(task: Task, folder: Path, manifest: Mapping[str, Any]) -> dict[str, ConfigData]:
    """What the manifest knows of each finished config."""
    data = {}
    for config, splits in finished_configs(task, manifest).items():
        entries = {split: shard_entries(folder, manifest, config, split) for split in splits}
        data[config] = ConfigData(
            {
                split: Statistics.of_counts(count for entry in shards for count in entry["episodes"])
                for split, shards in entries.items()
            },
            Episode.from_row(entries[splits[0]][0]["example"]),
            dict(manifest.get("facts", {}).get(config, ())),
        )
    return data


# --- the files


def _texts(
    task: Task, folder: Path, manifest: Mapping[str, Any], data: Mapping[str, ConfigData], **publication: Any
) -> dict[str, str]:
    """The texts of a folder, or of the repo that `publication` describes; the card is the last of them."""
    card = render_dataset_card(
        task,
        data,
        manifest["libraries"],
        checksums(task, manifest, data),
        manifest.get("options", {}),
        dataset_infos(task, folder, manifest),
        **publication,
    )
    return {"eval.yaml": render_eval_yaml(task), "README.md": card}


def folder_files(task: Task, folder: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    """The texts that a build writes into its folder, in the order to write them."""
    return _texts(task, folder, manifest, config_data(task, folder, manifest))


def notices(task: Task) -> dict[str, bytes]:
    """The licence, and what the owners of third-party data in the task want to be said wherever it goes."""
    page = task_page(task)
    if page.licence == "apache-2.0":
        # A checkout may be found twice: its own egg-info has no licenses.
        texts = (found.read_text("licenses/LICENSE") for found in distributions(name="lmrl"))
        text = next((text for text in texts if text), None)
        if text is None:
            raise UserError("the installed package lmrl has lost its LICENSE; install it again")
    else:
        text = f"{LICENCES[page.licence].name}, {LICENCES[page.licence].url}\n\n{page.attribution}\n"
    found = {"LICENSE": text.encode()}
    assets = task_files(task.id) / "assets"
    if assets.is_dir():
        found |= {each.name: each.read_bytes() for each in assets.iterdir() if each.name.endswith("NOTICE.txt")}
    return dict(sorted(found.items()))


def published_files(task: Task, folder: Path, repo_id: str, revision: str) -> dict[str, bytes]:
    """Everything that a dataset repo holds beside the Parquet files and the manifest, by path.

    Args:
        task (`Task`), folder (`Path`): whose data it is, and the finished build.
        repo_id (`str`), revision (`str`): where it goes and by which tag it is found there, as the card says.

    Raises:
        UserError: if there is no build of ours, or without Matplotlib.
    """
    from lmrl_data.dataset.figure import histograms

    manifest = dataset_manifest(folder, task.id)
    if "sources" in manifest:
        raise UserError(f"{folder} holds no dataset to publish; make it with: lmrl-data build {task.id}")
    manifest = add_facts(task, folder, manifest)  # one of release 1.0 has none yet
    data = config_data(task, folder, manifest)
    terms = notices(task)
    texts = _texts(
        task, folder, manifest, data, repo_id=repo_id, revision=revision, figures=[FIGURE], notices=list(terms)
    )
    figure = histograms({config: each.statistics["train"] for config, each in data.items()})
    return {name: text.encode() for name, text in texts.items()} | {FIGURE: figure} | terms
