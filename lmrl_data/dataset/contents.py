"""What a reader gets beside a dataset's shards: the card, the benchmark file, Croissant, pictures and notices."""

import functools
import hashlib
from collections.abc import Iterable, Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmrl_data.dataset import card as cards
from lmrl_data.dataset.card import LICENCES, Statistics, task_page
from lmrl_data.dataset.croissant import Shard, render_croissant
from lmrl_data.dataset.folder import SHARD_NAME, dataset_configs, read_episodes, read_manifest, read_statistics
from lmrl_data.errors import UserError
from lmrl_data.task import Task
from lmrl_data.tasks import task_files

if TYPE_CHECKING:
    from datasets import DatasetInfo

FIGURE = "figures/lengths_and_returns.png"
SPLITS = ("train", "test")  # in the order of every table


# --- what there is


def checksums(task: Task, manifest: Mapping[str, Any], configs: Iterable[str]) -> dict[str, str]:
    """For each dataset config, one checksum of all its files."""
    made = {}
    for name in [name for config in configs for name in dataset_configs(task, config)]:
        entries = [
            entry["sha256"] for path, entry in sorted(manifest["shards"].items()) if path.startswith(f"{name}/")
        ]
        made[name] = hashlib.sha256("".join(entries).encode()).hexdigest()[:16]
    return made


def _shards(manifest: Mapping[str, Any], name: str, split: str) -> list[str]:
    """The files of a split; none if some are missing."""
    found = sorted(path for path in manifest["shards"] if path.startswith(f"{name}/{split}-"))
    of = SHARD_NAME.fullmatch(found[0]) if found else None
    return found if of and len(found) == int(of[1]) else []


def finished_configs(task: Task, manifest: Mapping[str, Any]) -> dict[str, list[str]]:
    """The splits of each config of which all files are there, in the task's order."""
    found = {
        config: [split for split in SPLITS if split in manifest["configs"].get(config, {})] for config in task.configs
    }
    return {
        config: splits
        for config, splits in found.items()
        if splits and all(_shards(manifest, name, split) for name in dataset_configs(task, config) for split in splits)
    }


def dataset_infos(task: Task, folder: Path, manifest: Mapping[str, Any]) -> dict[str, "DatasetInfo"]:
    """What `datasets` would write of each finished dataset config when it pushes one: columns, splits, sizes."""
    import pyarrow.parquet as pq
    from datasets import DatasetInfo, Features, SplitDict, SplitInfo

    infos = {}
    for config, splits in finished_configs(task, manifest).items():
        for name in dataset_configs(task, config):
            found, download_size = SplitDict(), 0
            for split in splits:
                rows = size = 0
                for path in _shards(manifest, name, split):
                    file = pq.ParquetFile(folder / path)
                    rows += file.metadata.num_rows
                    size += sum(file.read_row_group(i).nbytes for i in range(file.num_row_groups))
                    download_size += (folder / path).stat().st_size
                found.add(SplitInfo(split, num_bytes=size, num_examples=rows))
            infos[name] = DatasetInfo(
                features=Features.from_arrow_schema(file.schema_arrow), splits=found, download_size=download_size,
                dataset_size=sum(each.num_bytes for each in found.values()),
            )  # fmt: skip
    return infos


# --- the files


def _texts(
    task: Task,
    folder: Path,
    manifest: Mapping[str, Any],
    statistics: Mapping[str, Mapping[str, Statistics]],
    url: str | None = None,
    **publication: Any,
) -> dict[str, str]:
    """The texts of a folder, or of the repo that `url` and `publication` describe; the card is the last of them."""
    infos = dataset_infos(task, folder, manifest)
    paths = [path for name, info in infos.items() for split in info.splits for path in _shards(manifest, name, split)]
    shards = [Shard(path, (folder / path).stat().st_size, manifest["shards"][path]["sha256"]) for path in paths]
    card = cards.render_dataset_card(
        task,
        {
            config: {split: functools.partial(read_episodes, folder, config, split) for split in splits}
            for config, splits in statistics.items()
        },
        manifest["libraries"],
        checksums(task, manifest, statistics),
        manifest.get("options", {}),
        statistics,
        infos,
        **publication,
    )
    croissant = render_croissant(task, infos, shards, url)
    return {"eval.yaml": cards.render_eval_yaml(task), "croissant.json": croissant, "README.md": card}


def _statistics(task: Task, folder: Path, manifest: Mapping[str, Any]) -> dict[str, dict[str, Statistics]]:
    return {
        config: {split: read_statistics(folder, config, split) for split in splits}
        for config, splits in finished_configs(task, manifest).items()
    }


def folder_files(task: Task, folder: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    """The texts that a build writes into its folder, in the order to write them."""
    return _texts(task, folder, manifest, _statistics(task, folder, manifest))


def notices(task: Task) -> dict[str, bytes]:
    """The licence, and what the owners of third-party data in the task want to be said wherever it goes."""
    page = task_page(task)
    if page.licence == "apache-2.0":
        text = distribution("lmrl").read_text("licenses/LICENSE")
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
    from huggingface_hub import constants

    from lmrl_data.dataset.figure import histograms

    manifest = read_manifest(folder)
    if manifest is None or "sources" in manifest:
        raise UserError(f"{folder} holds no dataset to publish; make it with: lmrl-data build {task.id}")
    statistics = _statistics(task, folder, manifest)
    terms = notices(task)
    texts = _texts(
        task, folder, manifest, statistics, f"{constants.ENDPOINT}/datasets/{repo_id}",
        repo_id=repo_id, revision=revision, figures=[FIGURE], notices=list(terms),
    )  # fmt: skip
    figure = histograms({config: splits["train"] for config, splits in statistics.items()})
    return {name: text.encode() for name, text in texts.items()} | {FIGURE: figure} | terms
