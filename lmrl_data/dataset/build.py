"""The dataset builder: plays a task's behavior policies and writes the episodes as Parquet that `load_dataset` reads.

A build is a pure function of (task version, config, seeds): the number of processes, interruptions and the machine do
not change a byte. `manifest.json` lists the shards that are finished; a re-run checks them and makes the missing ones.
"""

import json
import logging
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lmrl_data.atomic import lock, write_text
from lmrl_data.dataset.contents import add_facts, folder_files
from lmrl_data.dataset.folder import (
    check_path,
    is_whole,
    made_by,
    read_manifest,
    write_errors,
    write_manifest,
    write_shard,
)
from lmrl_data.dataset.page import task_page
from lmrl_data.dataset.plan import FIRST_SEED, dataset_configs, plan, split_sizes
from lmrl_data.dataset.workers import players
from lmrl_data.errors import UserError
from lmrl_data.task import TRAIN_SEED, Task
from lmrl_data.terminal import progress_bar

logger = logging.getLogger(__name__)

MAKER = ("format", "task_version", "libraries", "options")  # what decides the bytes of a build, besides its size


def _difference(
    task: Task, folder: Path, sizes: Mapping[str, Mapping[str, int]], options: Mapping[str, Any]
) -> str | None:
    """How a build with these settings would differ from the shards of the folder; `None` if it goes on with them."""
    manifest = read_manifest(folder)
    if not manifest or not manifest["shards"] or "sources" in manifest or manifest["task"] != task.id:
        return None
    head = _head(task, options)
    if changed := [name for name in MAKER if manifest.get(name) != head.get(name)]:
        was, now = (json.dumps([each.get(name) for name in changed])[1:-1] for each in (manifest, head))
        return f"was built with {', '.join(changed)} {was}, which is now {now}"
    for config, wanted in sizes.items():
        seeds = _seeds(wanted)
        if manifest["configs"].get(config, seeds) != seeds:
            counts = [seeds["train"][1] - seeds["train"][0] for seeds in (manifest["configs"][config], seeds)]
            return f"has {counts[0]:,} episodes of {config}, which are now {counts[1]:,}"
    return None


def _head(task: Task, options: Mapping[str, Any]) -> dict[str, Any]:
    return {**made_by(task), **({"options": dict(options)} if options else {})}


def _maker(head: Mapping[str, Any]) -> list[Any]:
    return [head.get(name) for name in MAKER]


def _seeds(wanted: Mapping[str, int]) -> dict[str, list[int]]:
    return {split: [FIRST_SEED[split], FIRST_SEED[split] + size] for split, size in wanted.items()}


# --- a successor is made beside the folder, and moved into place when it is whole


def _begin_successor(task: Task, folder: Path, configs: Iterable[str], options: Mapping[str, Any]) -> Path:
    """The folder beside this one in which a build is made that will replace it; configs that stay are copied."""
    successor, head = folder.with_name(f".{folder.name}.new"), _head(task, options)
    try:
        begun = read_manifest(successor)
    except UserError:
        begun = None
    if begun is None or _maker(begun) != _maker(head):
        shutil.rmtree(successor, ignore_errors=True)
    successor.mkdir(exist_ok=True)
    manifest = read_manifest(folder) or {}
    others = sorted(manifest["configs"].keys() - set(configs))
    if others and _maker(manifest) != _maker(head):
        raise UserError(
            f"{folder} was built with other settings: building {', '.join(configs)} again would remove "
            f"{', '.join(others)}; build all configs (without --config), or choose another --out"
        )
    kept = read_manifest(successor) or {**head, "configs": {}, "shards": {}}
    for config in others:
        kept["configs"][config] = manifest["configs"][config]
        if facts := manifest.get("facts", {}).get(config):
            kept.setdefault("facts", {})[config] = facts
        for path in [path for path in manifest["shards"] if path.split("/")[0] in dataset_configs(task, config)]:
            (successor / path).parent.mkdir(exist_ok=True)
            shutil.copy2(folder / path, successor / path)
            kept["shards"][path] = manifest["shards"][path]
    write_manifest(successor, kept)
    return successor


def _move_into_place(successor: Path, folder: Path) -> None:
    """Replaces a folder by its successor; files in it that are not of a dataset stay."""
    old = folder.with_name(f".{folder.name}.old")
    folder.rename(old)
    successor.rename(folder)
    for path in old.iterdir():
        if not path.name.endswith(".tmp") and not (folder / path.name).exists():
            path.rename(folder / path.name)
    shutil.rmtree(old)


def _open_folder(
    task: Task, folder: Path, sizes: Mapping[str, Mapping[str, int]], options: Mapping[str, Any]
) -> dict[str, Any]:
    """The manifest to go on with: shards that are listed are whole, shards that are not listed are gone."""
    manifest = read_manifest(folder)
    if manifest is None and any(not path.name.endswith(".tmp") for path in folder.iterdir()):
        raise UserError(f"{folder} is not empty and holds no dataset of this tool; choose another --out")
    if manifest and "sources" in manifest:
        raise UserError(f"{folder} holds converted files of the original release; choose another --out")
    if manifest and manifest["task"] != task.id:
        raise UserError(f"{folder} holds the dataset of {manifest['task']}, not of {task.id}; choose another --out")
    head = _head(task, options)
    if manifest and _maker(manifest) != _maker(head):
        manifest = None  # it has no shards
    manifest = manifest or {**head, "configs": {}, "shards": {}}
    for config, wanted in sizes.items():
        seeds = _seeds(wanted)
        planned = {path for shard in plan(task, config, wanted) for path in shard.paths}
        listed = {path for path in manifest["shards"] if path.split("/")[0] in dataset_configs(task, config)}
        if manifest["configs"].get(config) not in (None, seeds) or not listed <= planned:
            for path in listed:
                del manifest["shards"][path]
            manifest.get("facts", {}).pop(config, None)
        manifest["configs"][config] = seeds
        for path in sorted(listed & manifest["shards"].keys()):
            if not is_whole(folder / path, manifest["shards"][path]):
                logger.warning("%s is missing or damaged: building it again", folder / path)
                del manifest["shards"][path]
    write_manifest(folder, manifest)
    for path in [*folder.glob("**/.*.tmp"), *folder.glob("*/*-?????-of-?????.parquet")]:
        if path.is_file() and path.relative_to(folder).as_posix() not in manifest["shards"]:
            path.unlink()
    return manifest


def build_dataset(
    task: Task,
    config: str | None = None,
    num_episodes: int | None = None,
    num_proc: int = 1,
    output_dir: Path | str = "lmrl",
    options: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Builds a task's dataset, or what is missing of it, and returns its folder `<output_dir>/<task id>`.

    Args:
        task (`Task`): what is played.
        config (`str`, *optional*): builds this config only; all of them by default.
        num_episodes (`int`, *optional*): size of the train split; the test split gets a tenth. The task's own sizes
            by default.
        num_proc (`int`, *optional*, defaults to `1`): processes that play; the files do not depend on it.
        output_dir (`Path`, *optional*, defaults to `"lmrl"`): the parent folder; `load_dataset("lmrl/<task id>")` run
            beside a folder named `lmrl` reads the build.
        options (`Mapping`, *optional*): reset options for every episode; the manifest and the card name them.
        overwrite (`bool`, *optional*, defaults to `False`): replaces a build that has other settings, once the new
            one is whole.

    Raises:
        UserError: for an unknown config, a size or folder that cannot be used, a build with other settings, a full
            disk, or a second build that writes the same folder.
    """
    if num_proc < 1:
        raise UserError(f"a build needs at least 1 process, got {num_proc}")
    if config is not None:
        task.config(config)
    sizes = {name: split_sizes(task, name, num_episodes) for name in ([config] if config else task.configs)}
    options = dict(options or {})
    if options:
        # A wrong option is refused before anything is written.
        task.simulator(config=config or task.default_config, options=options).reset(seed=TRAIN_SEED)
    task_page(task)  # the card needs it: a task without a page fails now and not after the last episode
    folder = target = Path(output_dir) / task.id
    if folder.is_symlink():
        folder = target = folder.resolve()
    check_path(folder)
    shards = [shard for name, size in sizes.items() for shard in plan(task, name, size)]
    done = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}); choose another --out") from None
    with write_errors(folder, lambda: f"{done} of {len(shards)} shards are done; "), lock(target):
        if not any(target.iterdir()) and (old := target.with_name(f".{target.name}.old")).is_dir():
            target.rmdir()
            old.rename(target)  # a build was killed while it replaced this one
        new = not any(target.iterdir())
        if difference := _difference(task, target, sizes, options):
            if not overwrite:
                raise UserError(
                    f"{target} {difference}; "
                    "--overwrite replaces it when the new one is whole; or choose another --out"
                )
            folder, new = _begin_successor(task, target, sizes, options), True
        try:
            manifest = _open_folder(task, folder, sizes, options)
            missing = [shard for shard in shards if not set(shard.paths) <= manifest["shards"].keys()]
            done = len(shards) - len(missing)
            if missing:
                # The card comes last: a folder without one is not finished.
                (folder / "README.md").unlink(missing_ok=True)
            episodes = sum(shard.stop - shard.start for shard in missing)
            with (
                players(task, options, num_proc, folder) as play,
                progress_bar(episodes, task.id, "episodes") as bar,
            ):
                for shard in missing:
                    parts = []
                    for part in play(shard):
                        parts.append(part)
                        bar.update(len(part[0]))
                    first = shard.split == "train" and shard.start == 0
                    for path, tables in zip(shard.paths, zip(*parts, strict=True), strict=True):
                        if path not in manifest["shards"]:
                            manifest["shards"][path] = write_shard(folder / path, tables, example=first)
                            write_manifest(folder, manifest)
                    done += 1
            manifest = add_facts(task, folder, manifest)
            write_manifest(folder, manifest)
            for name, text in folder_files(task, folder, manifest).items():
                write_text(folder / name, text)
            if folder != target:
                _move_into_place(folder, target)
        except BaseException:
            if new and not done:  # nothing in it would help the next build
                shutil.rmtree(folder)
            raise
    return target
