"""The dataset folder: its manifest, its shards, and how their episodes are read and checked."""

import hashlib
import json
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets.exceptions import DatasetsError
from huggingface_hub.errors import HfHubHTTPError

from lmrl_data.dataset.card import Statistics
from lmrl_data.episode import Episode
from lmrl_data.errors import UserError, unknown
from lmrl_data.task import Task

MANIFEST = "manifest.json"
SHARD_NAME = re.compile(r"\w+/\w+-\d{5}-of-(\d{5})\.parquet")


def dataset_configs(task: Task, config: str) -> list[str]:
    """The dataset configs that a config of a task fills: its episodes and, where it is Markov, its steps."""
    return [config, f"{config}_steps"] if task.config(config).markov else [config]


# --- files


def replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Writes a file under a temporary name and moves it into place, so that `path` is never half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically."""
    replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_whole(path: Path, entry: Mapping[str, Any]) -> bool:
    return path.is_file() and sha256(path) == entry["sha256"]


# --- the manifest


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a dataset folder: `task`, `task_version`, `libraries`, `configs` and `shards`; `None` without.

    One of converted files also has `sources`.

    Raises:
        UserError: if the file is no manifest.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = dict(json.loads(path.read_text(encoding="utf-8")))
        # A folder may come from anyone.
        well_formed = (
            {"task", "task_version", "libraries"} <= manifest.keys()
            and all(SHARD_NAME.fullmatch(name) and entry["sha256"] for name, entry in manifest["shards"].items())
            and all(last > first >= 0 for config in manifest["configs"].values() for first, last in config.values())
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        well_formed = False
    if not well_formed:
        raise UserError(f"{path} is damaged; remove {folder} and build the dataset again")
    return manifest


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    write_text(folder / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True) + "\n")


# --- reading


def _command(folder: Path, manifest: Mapping[str, Any], config: str) -> str:
    """The command that builds a config of this folder, or what is missing of it."""
    if "sources" in manifest:
        return f"lmrl-data convert {manifest['task']} FILES --out {folder.parent}"
    first, last = manifest["configs"][config]["train"]
    out = f" --out {folder.parent}" if folder.parent != Path("lmrl") else ""
    options = "".join(
        f" --option {shlex.quote(f'{name}={value if isinstance(value, str) else json.dumps(value)}')}"
        for name, value in manifest.get("options", {}).items()
    )
    return f"lmrl-data build {manifest['task']} --config {config} --episodes {last - first}{options}{out}"


def shard_paths(folder: Path, manifest: Mapping[str, Any], config: str, split: str) -> list[Path]:
    """The files of a split, all there and as they were written.

    Args:
        folder (`Path`): a local build.
        manifest (`dict`): its `read_manifest`.
        config (`str`): a dataset config, `<config>_steps` included.
        split (`str`): `"train"` or `"test"`.

    Raises:
        UserError: for an unknown config or split, an unfinished build, or a damaged shard.
    """
    base = config.removesuffix("_steps")
    if base not in manifest["configs"]:
        raise unknown(f"config of {folder}", config, manifest["configs"])
    if split not in manifest["configs"][base]:
        raise unknown(f"split of {folder}", split, manifest["configs"][base])
    names = sorted(name for name in manifest["shards"] if name.startswith(f"{config}/{split}-"))
    of = SHARD_NAME.fullmatch(names[0]) if names else None
    if of is None or len(names) != int(of[1]):
        raise UserError(f"{folder} is not finished; `{_command(folder, manifest, base)}` goes on with it")
    for name in names:
        if not is_whole(folder / name, manifest["shards"][name]):
            raise UserError(f"{folder / name} is damaged; `{_command(folder, manifest, base)}` makes it again")
    return [folder / name for name in names]


def _split_paths(folder: Path, config: str, split: str) -> list[Path]:
    manifest = read_manifest(folder)
    if manifest is None:
        raise UserError(f"{folder} holds no dataset; make it with: lmrl-data build {folder.name}")
    return shard_paths(folder, manifest, config, split)


def read_episodes(folder: Path, config: str, split: str) -> Iterator[Episode]:
    """The episodes of a local build in order, one shard in memory at a time.

    Raises:
        UserError: if there is no build, or as `shard_paths` does.
    """
    for path in _split_paths(folder, config, split):
        # Without a fingerprint the whole table would be hashed once more; row by row is ten times slower.
        shard = datasets.Dataset(pq.read_table(path), fingerprint=path.stem)
        for batch in shard.iter(batch_size=500):
            for values in zip(*batch.values(), strict=True):
                yield Episode.from_row(dict(zip(batch, values, strict=True)))


def read_statistics(folder: Path, config: str, split: str) -> Statistics:
    """`Statistics.of(read_episodes(...))`, twenty times as fast: by the column, without making the episodes.

    Raises:
        UserError: as `read_episodes` does.
    """
    lengths, returns, successes, policies = [], [], [], []
    for path in _split_paths(folder, config, split):
        rows = pq.read_table(path, columns=["messages", "total_reward", "policy", "info"]).combine_chunks()
        messages, infos = rows["messages"].chunk(0), rows["info"].chunk(0).storage.dictionary_encode()
        acts = pc.equal(messages.values.field("role"), "assistant").cast(pa.int64()).to_numpy()
        lengths.append(np.add.reduceat(acts, messages.offsets.to_numpy()[:-1]))
        returns.append(rows["total_reward"].to_numpy())
        success = np.array([bool(json.loads(info)["success"]) for info in infos.dictionary.to_pylist()])
        successes.append(success[infos.indices.to_numpy()])
        policies.append(np.array(rows["policy"].to_pylist()))
    return Statistics(*(np.concatenate(column) for column in (lengths, returns, successes, policies)))


def load_episodes(path_or_repo: str | Path, config: str, split: str = "train") -> list[Episode]:
    """The episodes of a local build or of a dataset on the Hub.

    Args:
        path_or_repo (`str`): a dataset folder, or a Hub repo such as `"lmrl/maze"`.
        config (`str`): the task's config; not one of its `_steps` datasets.
        split (`str`, *optional*, defaults to `"train"`): `"train"` or `"test"`.

    Raises:
        UserError: if there is no such dataset, or it is unfinished, damaged or not made of episodes.
    """
    if config.endswith("_steps"):
        raise UserError(f"{config} of {path_or_repo} holds single steps; give {config.removesuffix('_steps')}")
    try:
        if (Path(path_or_repo) / MANIFEST).is_file():
            return list(read_episodes(Path(path_or_repo), config, split))
        return [Episode.from_row(row) for row in _load(path_or_repo, config, split)]
    except UserError:
        raise
    except (ValueError, TypeError) as error:
        raise UserError(f"{path_or_repo} ({config}, {split}) does not hold episodes: {error}") from None


def check_dataset(path_or_repo: str | Path, task: Task, config: str | None = None) -> None:
    """Refuses a dataset of another task, and a local build that is unfinished or damaged.

    Args:
        path_or_repo (`str`): a dataset folder, or a Hub repo such as `"lmrl/maze"`.
        task (`Task`): the task it should be of.
        config (`str`, *optional*): checks the shards of this config only, its steps included.

    Raises:
        UserError: one line that names both tasks, or the damaged file and the command that makes it again.
    """
    folder = Path(path_or_repo)
    manifest = read_manifest(folder)
    if manifest is None:
        row = next(iter(_load(path_or_repo, config or task.default_config, "train", streaming=True)), None)
        found = row and row.get("task")
        if found != task.id:
            raise UserError(f"{path_or_repo} is a dataset of {found or 'no known task'}, not of {task.id}")
        return
    if manifest["task"] != task.id:
        raise UserError(f"{folder} is a dataset of {manifest['task']}, not of {task.id}")
    for name in [config.removesuffix("_steps")] if config else manifest["configs"]:
        for dataset_config in dataset_configs(task, name):
            # A converted folder may have one split only.
            for split in manifest["configs"].get(name, task.num_episodes):
                shard_paths(folder, manifest, dataset_config, split)


def _load(path_or_repo: str | Path, config: str, split: str, *, streaming: bool = False) -> Any:
    try:
        return datasets.load_dataset(str(path_or_repo), config, split=split, streaming=streaming)
    except (OSError, ValueError, RuntimeError, HfHubHTTPError, DatasetsError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
        raise UserError(
            f"cannot load the dataset {str(path_or_repo)!r} ({config}, {split}): {reason}; "
            f"make it with: lmrl-data build {Path(path_or_repo).name}"
        ) from None
