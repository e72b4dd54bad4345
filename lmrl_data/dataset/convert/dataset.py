"""A converted dataset: the episodes of the original release's files, and the folder they are written to."""

import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from lmrl_data.atomic import lock, write_text
from lmrl_data.dataset.card import render_converted_card
from lmrl_data.dataset.contents import checksums, config_data
from lmrl_data.dataset.convert.file import SourceFile, left_out
from lmrl_data.dataset.convert.original import Original
from lmrl_data.dataset.convert.record import READERS, format_of
from lmrl_data.dataset.folder import check_path, made_by, read_manifest, write_errors, write_manifest, write_shard
from lmrl_data.dataset.plan import dataset_configs
from lmrl_data.episode import Episode
from lmrl_data.errors import UserError, unknown
from lmrl_data.rows import tables
from lmrl_data.task import Task
from lmrl_data.terminal import progress_bar

logger = logging.getLogger(__name__)

POLICY = "original"
NO_SEED = -1
CHUNK_EPISODES = 1_000  # become rows together


def original_of(task: Task) -> Original:
    """What the original release has of a task.

    Raises:
        UserError: if it has nothing of that task.
    """
    if task.original is None:
        raise UserError(f"the original release has no files of {task.id}, so there is nothing to convert")
    return task.original


def _config(task: Task, original: Original, found: str, config: str | None) -> str:
    """The config that records of the format `found` are of."""
    fitting = [name for name, format_name in original.formats.items() if format_name == found]
    if config is None:
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise UserError(f"this format does not tell the config of {task.id}; give --config: {', '.join(fitting)}")
    elif config in fitting:
        return config
    what = READERS[found].__doc__ or ""
    raise UserError(f"this is no episode of {config or task.id}, but of another format: {what.splitlines()[0]}")


def read_original(task: Task, files: Sequence[SourceFile], config: str | None = None) -> Iterator[Episode]:
    """The episodes of files of the original release, in order; a few records that are no episodes are skipped.

    Args:
        task (`Task`): what they are of.
        files (`Sequence[SourceFile]`): one after the other.
        config (`str`, *optional*): needed where the format does not tell.

    Raises:
        UserError: one line that names the file and the line, for a file that begins with another format or holds more
            than one unreadable record in a hundred.
    """
    original = original_of(task)
    for file in files:
        for place, record in file.records(lines=original.lines):
            try:
                found = format_of(record)
                config = _config(task, original, found, config)
                play = READERS[found](record)
                # What is no conversation must not reach `end`, which looks at the last action.
                if not play.actions or len(play.actions) * 2 > len(play.turns):
                    raise ValueError(
                        f"an episode needs an observation before every action, got {len(play.turns)} texts"
                    )
                end = original.end(play)
                info = {"success": end.success, "invalid": end.invalid, "source": f"{file.path.name}{place}"}
                episode = Episode(
                    task.id, config, play.turns, end.terminated, not end.terminated, NO_SEED, POLICY, info
                )  # fmt: skip
            except ValueError as error:
                if isinstance(error, UserError) and not file.episodes:
                    raise UserError(f"{file.path}{place}: {error}") from None
                file.skip(f"{place}: ", str(error))
                continue
            file.episodes += 1
            yield episode
        file.check_skipped()


# --- the folder


def _manifest(task: Task, folder: Path) -> dict[str, Any]:
    """The manifest of the folder to add to, or a new one."""
    manifest = read_manifest(folder)
    if manifest is None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} is not empty and holds no converted files; choose another --out")
        return {**made_by(task), "configs": {}, "shards": {}, "sources": {}}
    if "sources" not in manifest:
        raise UserError(f"{folder} holds a dataset that `lmrl-data build` made; choose another --out")
    if any(manifest[key] != value for key, value in made_by(task).items()):
        raise UserError(f"{folder} was converted by another version; remove it, or choose another --out")
    return manifest


class _Shards:
    """The shards of a conversion, written one by one into a folder aside."""

    def __init__(self, task: Task, folder: Path) -> None:
        self.task, self.folder = task, folder
        self.entries: list[list[dict[str, Any]]] = []  # for each shard, one per file of it
        self.size = 0
        self.config = ""
        self._waiting: list[Episode] = []
        self._parts: list[tuple[pa.Table, ...]] = []

    def add(self, episode: Episode) -> None:
        self.config = episode.config
        self._waiting.append(episode)
        self.size += 1
        if len(self._waiting) == CHUNK_EPISODES:
            self._pack()
        if self.size % self.task.shard_episodes == 0:
            self._write()

    def finish(self) -> None:
        if self.size % self.task.shard_episodes:
            self._write()

    def _pack(self) -> None:
        if self._waiting:
            start = self.size - len(self._waiting)
            self._parts.append(tables(self.task.config(self.config), self._waiting, start))
            self._waiting = []

    def _write(self) -> None:
        self._pack()
        shard = len(self.entries)
        files = zip(dataset_configs(self.task, self.config), zip(*self._parts, strict=True), strict=True)
        self.entries.append([write_shard(self.path(name, shard), parts, example=shard == 0) for name, parts in files])
        self._parts = []

    def path(self, name: str, shard: int) -> Path:
        return self.folder / f"{name}-{shard}.parquet"


def convert_dataset(
    task: Task,
    files: Sequence[Path],
    config: str | None = None,
    split: str = "train",
    output_dir: Path | str = "original",
) -> Path:
    """Converts files of the original release into a split of the dataset in `<output_dir>/<task id>`, and returns it.

    Nothing is in that folder before the last file is read to its end. A split that is there already is replaced; other
    splits and configs stay.

    Args:
        task (`Task`): what the files are of.
        files (`Sequence[Path]`): one after the other.
        config (`str`, *optional*): the config they are of; needed where their format does not tell.
        split (`str`, *optional*, defaults to `"train"`): `"train"` or `"test"`.
        output_dir (`Path`, *optional*, defaults to `"original"`): the parent folder.

    Raises:
        UserError: for a task, config, split, file or folder that cannot be used, and for a file of which more than
            one record in a hundred is no episode.
    """
    formats = original_of(task).formats
    if config is not None and config not in formats:
        raise unknown(f"config of the original {task.id} files", config, formats)
    if split not in task.num_episodes:
        raise unknown("split", split, task.num_episodes)
    paths = [Path(path) for path in files]
    if not paths:
        raise UserError("name at least one file to convert")
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path} is no file")
    folder = Path(output_dir) / task.id
    check_path(folder)
    aside = Path(output_dir) / f".{task.id}.converting"
    try:
        _manifest(task, folder)
        aside.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}); choose another --out") from None
    with write_errors(folder), lock(aside):
        try:
            for left in aside.iterdir():  # by a conversion that was killed
                left.unlink()
            shards, sources = _convert(task, paths, config, aside)
            folder.mkdir(exist_ok=True)
            with lock(folder):
                _install(task, folder, split, shards, sources)
            for source in sources:
                if "skipped" in source:
                    logger.warning("%s", left_out(source))
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return folder


def _convert(
    task: Task, paths: Sequence[Path], config: str | None, aside: Path
) -> tuple[_Shards, list[dict[str, Any]]]:
    """Writes the shards of the files' episodes, and tells what the files were."""
    shards = _Shards(task, aside)
    with progress_bar(sum(path.stat().st_size for path in paths), task.id, "B") as bar:
        files = [SourceFile(path, bar.update) for path in paths]
        for episode in read_original(task, files, config):
            shards.add(episode)
    shards.finish()
    for file in files:
        if not file.episodes:
            raise UserError(f"{file.path} holds no episodes")
    return shards, [file.entry() for file in files]


def _install(task: Task, folder: Path, split: str, shards: _Shards, sources: Sequence[Mapping[str, Any]]) -> None:
    """Moves finished shards into the folder. Until the manifest names them again, the split is not there."""
    manifest = _manifest(task, folder)
    names = dataset_configs(task, shards.config)
    (folder / "README.md").unlink(missing_ok=True)
    for path in [path for path in manifest["shards"] if path.startswith(tuple(f"{name}/{split}-" for name in names))]:
        del manifest["shards"][path]
    write_manifest(folder, manifest)
    for name in names:
        (folder / name).mkdir(exist_ok=True)
        for path in (folder / name).glob(f"{split}-*.parquet"):
            path.unlink()
    for shard, entries in enumerate(shards.entries):
        for name, entry in zip(names, entries, strict=True):
            path = f"{name}/{split}-{shard:05d}-of-{len(shards.entries):05d}.parquet"
            os.replace(shards.path(name, shard), folder / path)
            manifest["shards"][path] = entry
    manifest["configs"].setdefault(shards.config, {})[split] = [0, shards.size]
    manifest["sources"].setdefault(shards.config, {})[split] = list(sources)
    write_manifest(folder, manifest)
    write_text(folder / "README.md", _card(task, folder, manifest))


def _card(task: Task, folder: Path, manifest: Mapping[str, Any]) -> str:
    """The card of everything converted so far; the order in which it was converted leaves no trace."""
    data = config_data(task, folder, manifest)
    return render_converted_card(
        task,
        data,
        checksums(task, manifest, data),
        {
            config: {split: manifest["sources"][config][split] for split in each.statistics}
            for config, each in data.items()
        },
        original_of(task).ends,
    )
