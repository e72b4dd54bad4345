"""The dataset folder: its manifest, its shards, and how their episodes are read and checked."""

import errno
import hashlib
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lmrl_data.atomic import replace, sha256, write_text
from lmrl_data.dataset.foreign import load_dataset
from lmrl_data.dataset.plan import dataset_configs
from lmrl_data.dataset.statistics import Statistics, count_episodes
from lmrl_data.episode import Episode
from lmrl_data.errors import UserError, unknown
from lmrl_data.parsing import read_json_file
from lmrl_data.rows import SCHEMA
from lmrl_data.task import Task

MANIFEST = "manifest.json"
FORMAT = 2  # of the manifest; that of release 1.0 has no number, and nothing of a shard but rows and checksum
LIBRARIES = ("numpy", "pandas", "pyarrow")  # their versions decide bytes
LARGEST_MANIFEST = 64 << 20  # bytes
SHARD_NAME = re.compile(r"\w+/\w+-\d{5}-of-(\d{5})\.parquet")
# As `datasets` writes Parquet: chunks that the Hub can share between versions, and groups a viewer can load.
CHUNKING = {"min_chunk_size": 262_144, "max_chunk_size": 1_048_576, "norm_level": 0}
ROW_GROUP_BYTES = 100_000_000


# --- writing


def write_shard(path: Path, parts: Sequence[pa.Table], *, example: bool = False) -> dict[str, Any]:
    """Writes the Parquet file of a shard and returns its entry in the manifest.

    Args:
        path (`Path`): where to.
        parts (`Sequence[pa.Table]`): its rows, in order.
        example (`bool`, *optional*, defaults to `False`): whether the entry keeps an episode for the card to show.
    """
    table = pa.concat_tables(parts).combine_chunks()
    sink = pa.BufferOutputStream()  # a Parquet writer whose disk is full cannot be closed without noise
    rows = max(1, table.num_rows * ROW_GROUP_BYTES // max(1, table.nbytes))
    pq.write_table(table, sink, row_group_size=rows, use_content_defined_chunking=CHUNKING, write_page_index=True)
    content = sink.getvalue()
    replace(path, lambda temporary: temporary.write_bytes(content))
    return _entry(table, content, hashlib.sha256(content).hexdigest(), example)


def _entry(table: pa.Table, content: pa.Buffer, checksum: str, example: bool) -> dict[str, Any]:
    """What a manifest says of a shard: everything that a card, a figure or a push needs to know of it."""
    file = pq.ParquetFile(pa.BufferReader(content))
    memory = sum(file.read_row_group(index).nbytes for index in range(file.num_row_groups))  # as a reader has it
    entry = {"rows": table.num_rows, "sha256": checksum, "bytes": content.size, "bytes_in_memory": memory}
    if table.schema.names != SCHEMA.names:
        return entry
    return entry | {"episodes": count_episodes(table)} | ({"example": _example(table)} if example else {})


def _example(table: pa.Table) -> dict[str, Any]:
    """The row of the first episode of four to eight actions, or of the first of all."""
    chosen = 0
    for index, messages in enumerate(table["messages"]):
        if 4 <= sum(message["role"].as_py() == "assistant" for message in messages) <= 8:
            chosen = index
            break
    row = table.slice(chosen, 1).to_pylist()[0]
    return row | {"info": json.loads(row["info"])}


@contextmanager
def write_errors(folder: Path, progress: Callable[[], str] = str) -> Iterator[None]:
    """Turns a full disk and missing rights into one line.

    Args:
        folder (`Path`): what is written.
        progress (`Callable[[], str]`, *optional*): says what is done already, and ends in "; ".
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise UserError(
                f"no space left for {folder}; {progress()}free some space and run the same command again"
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UserError(
                f"{error.filename or folder} cannot be used ({error.strerror}); choose another --out"
            ) from None
        raise


def check_path(path: Path | str) -> None:
    """Refuses a folder that `load_dataset` could not read, or would read together with others.

    Args:
        path (`Path` or `str`): the folder of a dataset, which need not exist.

    Raises:
        UserError: if the path, made absolute, holds a character of file patterns.
    """
    folder = Path(path).resolve()
    if marks := re.search(r"[*?]|\[.*\]|::", str(folder)):
        raise UserError(
            f"load_dataset takes the {marks[0]!r} in {folder} for a pattern of file names; choose a folder without it"
        )


# --- the manifest


def made_by(task: Task) -> dict[str, Any]:
    """What a manifest says of the program that wrote it."""
    return {
        "format": FORMAT,
        "task": task.id,
        "task_version": task.version,
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def is_whole(path: Path, entry: Mapping[str, Any]) -> bool:
    """Whether a shard is as it was written."""
    return path.is_file() and sha256(path) == entry["sha256"]


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a dataset folder; `None` if it has none.

    It has `format`, `task`, `task_version`, `libraries`, `configs` (the seeds of each split) and `shards`; `options`
    if there are any, `facts` where the task has some to tell, and `sources` if the files were converted.

    Raises:
        UserError: if the file is no manifest.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = dict(read_json_file(path, LARGEST_MANIFEST))
        # A folder may come from anyone.
        well_formed = (
            {"task", "task_version", "libraries"} <= manifest.keys()
            and all(SHARD_NAME.fullmatch(name) and entry["sha256"] for name, entry in manifest["shards"].items())
            and all(last > first >= 0 for config in manifest["configs"].values() for first, last in config.values())
            and all(isinstance(manifest.get(name, {}), dict) for name in ("options", "facts"))
            and all(isinstance(manifest[name], str) for name in ("task", "task_version"))
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        well_formed = False
    if not well_formed:
        raise UserError(f"{path} is damaged; remove {folder} and build the dataset again")
    return manifest


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Writes the manifest, with one line for each shard."""
    head = json.dumps({key: manifest[key] for key in manifest if key != "shards"}, indent=2, sort_keys=True)
    shards = ",\n".join(
        f"    {json.dumps(path)}: {json.dumps(entry, sort_keys=True)}"
        for path, entry in sorted(manifest["shards"].items())
    )
    text = f'{head[:-2]},\n  "shards": {{\n{shards}\n  }}\n}}\n'
    write_text(folder / MANIFEST, text)


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


def shard_names(manifest: Mapping[str, Any], config: str, split: str) -> list[str]:
    """The shards of a split of a dataset config, in order; none if some are missing."""
    names = sorted(name for name in manifest["shards"] if name.startswith(f"{config}/{split}-"))
    of = SHARD_NAME.fullmatch(names[0]) if names else None
    return names if of and len(names) == int(of[1]) else []


def shard_paths(
    folder: Path, manifest: Mapping[str, Any], config: str, split: str, *, check: bool = True
) -> list[Path]:
    """The files of a split, all there and as they were written.

    Args:
        folder (`Path`): a local build.
        manifest (`dict`): its `read_manifest`.
        config (`str`): a dataset config, `<config>_steps` included.
        split (`str`): `"train"` or `"test"`.
        check (`bool`, *optional*, defaults to `True`): compares the files' checksums with the manifest's.

    Raises:
        UserError: for an unknown config or split, an unfinished build, or a damaged shard.
    """
    base = config.removesuffix("_steps")
    if base not in manifest["configs"]:
        raise unknown(f"config of {folder}", config, manifest["configs"])
    if split not in manifest["configs"][base]:
        raise unknown(f"split of {folder}", split, manifest["configs"][base])
    names = shard_names(manifest, config, split)
    if not names:
        raise UserError(f"{folder} is not finished; `{_command(folder, manifest, base)}` goes on with it")
    for name in names:
        path, entry = folder / name, manifest["shards"][name]
        whole = is_whole(path, entry) if check else path.is_file() and path.stat().st_size == entry.get("bytes")
        # A manifest of release 1.0 does not know the size.
        if not whole and (check or "bytes" in entry or not is_whole(path, entry)):
            raise UserError(f"{path} is damaged; `{_command(folder, manifest, base)}` makes it again")
    return [folder / name for name in names]


def dataset_manifest(folder: Path, task_id: str | None = None) -> dict[str, Any]:
    """The manifest of a folder that has to be a dataset.

    Raises:
        UserError: if it is none.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise UserError(f"{folder} holds no dataset; make it with: lmrl-data build {task_id or folder.name}")
    return manifest


def read_episodes(folder: Path, config: str, split: str, *, check: bool = True) -> Iterator[Episode]:
    """The episodes of a local build in order, one shard in memory at a time.

    Args:
        folder (`Path`), config (`str`), split (`str`), check (`bool`, *optional*): as for `shard_paths`.

    Raises:
        UserError: if there is no build, or as `shard_paths` does.
    """
    for path in shard_paths(folder, dataset_manifest(folder), config, split, check=check):
        for batch in pq.ParquetFile(path).iter_batches(batch_size=500):
            columns = batch.to_pydict()
            columns["info"] = [json.loads(info) for info in columns["info"]]
            for values in zip(*columns.values(), strict=True):
                yield Episode.from_row(dict(zip(columns, values, strict=True)))


def shard_entries(folder: Path, manifest: Mapping[str, Any], config: str, split: str) -> list[dict[str, Any]]:
    """What the manifest says of each shard of a split; one of release 1.0 is completed from the files.

    Raises:
        UserError: as `shard_paths` does.
    """
    paths = shard_paths(folder, manifest, config, split, check=False)
    entries = [manifest["shards"][path.relative_to(folder).as_posix()] for path in paths]
    return [
        entry
        if "bytes" in entry
        else _entry(pq.read_table(path), pa.py_buffer(path.read_bytes()), entry["sha256"], example=path == paths[0])
        for path, entry in zip(paths, entries, strict=True)
    ]


def read_statistics(folder: Path, config: str, split: str) -> Statistics:
    """The statistics of a split's episodes, from the manifest.

    Raises:
        UserError: if there is no build, or as `shard_paths` does.
    """
    entries = shard_entries(folder, dataset_manifest(folder), config, split)
    return Statistics.of_counts(count for entry in entries for count in entry["episodes"])


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
    """What `load_dataset` finds.

    Raises:
        UserError: if it finds no dataset.
    """
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HfHubHTTPError

    if Path(path_or_repo).exists():
        check_path(path_or_repo)
    try:
        return load_dataset(str(path_or_repo), config, split=split, streaming=streaming)
    except UserError:
        raise
    except (OSError, ValueError, RuntimeError, HfHubHTTPError, DatasetsError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
        raise UserError(
            f"cannot load the dataset {str(path_or_repo)!r} ({config}, {split}): {reason}; "
            f"make it with: lmrl-data build {Path(path_or_repo).name}"
        ) from None
