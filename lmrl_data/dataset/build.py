"""The dataset builder: plays a task's behavior policies and writes the episodes as Parquet that `load_dataset` reads.

A build is a pure function of (task version, config, seeds): the number of processes, interruptions and the machine do
not change a byte. `manifest.json` lists the shards that are finished; a re-run checks them and makes the missing ones.
"""

import errno
import fcntl
import gc
import io
import json
import logging
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from multiprocessing import connection, parent_process, resource_tracker
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import pyarrow as pa
from datasets import Dataset, Features, Json, List, Value
from tqdm import tqdm

from lmrl_data.config import Config
from lmrl_data.dataset.contents import folder_files
from lmrl_data.dataset.folder import (
    check_dataset,
    dataset_configs,
    is_whole,
    load_episodes,
    read_episodes,
    read_manifest,
    replace,
    sha256,
    write_manifest,
    write_text,
)
from lmrl_data.episode import Episode, Turn
from lmrl_data.errors import UserError
from lmrl_data.policy import Conversation
from lmrl_data.task import TEST_SEED, TRAIN_SEED, Task
from lmrl_data.tasks import get_task

CHUNKS = 40  # a shard is played in so many pieces, each by one process
FIRST_SEED = {"train": TRAIN_SEED, "test": TEST_SEED}
LIBRARIES = ("datasets", "numpy", "pyarrow")  # their versions decide bytes
__all__ = [
    "FEATURES",
    "STEP_FEATURES",
    "build_dataset",
    "check_dataset",
    "load_episodes",
    "read_episodes",
    "read_manifest",
]
logger = logging.getLogger(__name__)


# --- rows


_MESSAGES = List({"role": Value("string"), "content": Value("string")})
FEATURES = Features(
    {
        "task": Value("string"),
        "config": Value("string"),
        "messages": _MESSAGES,
        "rewards": List(Value("float64")),
        "total_reward": Value("float64"),
        "terminated": Value("bool"),
        "truncated": Value("bool"),
        "policy": Value("string"),
        "seed": Value("int64"),
        "info": Json(),
    }
)
STEP_FEATURES = Features(
    {
        "prompt": _MESSAGES,
        "completion": _MESSAGES,
        "reward": Value("float64"),
        "terminated": Value("bool"),
        "truncated": Value("bool"),
        "episode": Value("int64"),
        "turn": Value("int64"),
        "next_prompt": _MESSAGES,
    }
)


def step_rows(episode: Episode, index: int, history: int | None) -> list[dict[str, Any]]:
    """One row an action, with the texts the policy sees before and after it.

    Args:
        episode (`Episode`): what was played.
        index (`int`): the episode's place in its split; fills the `episode` column.
        history (`int`, *optional*): how many of the latest texts the policy sees.
    """
    conversation = Conversation(episode.seed, history)
    prompts: list[list[dict[str, str]]] = []
    actions: list[Turn] = []
    for turn in episode.turns:
        conversation.turns.append(turn)
        if turn.role == "assistant":
            actions.append(turn)
        elif turn.role == "user":
            prompts.append([{"role": seen.role, "content": seen.content} for seen in conversation.visible])
    if len(prompts) == len(actions):
        prompts.append([])  # the episode ends on an action: there is no next observation
    last = len(actions) - 1
    return [
        {
            "prompt": prompts[i],
            "completion": [{"role": "assistant", "content": action.content}],
            "reward": float(action.reward),
            "terminated": episode.terminated and i == last,
            "truncated": episode.truncated and i == last,
            "episode": index,
            "turn": i,
            "next_prompt": prompts[i + 1],
        }
        for i, action in enumerate(actions)
    ]


def shard_datasets(rules: Config, episodes: Sequence[Episode], start: int) -> tuple[Dataset, ...]:
    """The rows of a run of episodes, one dataset per file of a shard: the episodes, and a Markov config's steps.

    Args:
        rules (`Config`): what they were played by.
        episodes (`Sequence[Episode]`): one after the other.
        start (`int`): the first one's place in its split.
    """
    # As `Dataset.from_list` makes them, but without taking a fingerprint: that costs as much as the rest, or more.
    rows = [episode.to_row() for episode in episodes]
    schema, encode = FEATURES.arrow_schema, FEATURES["info"].encode_example
    columns = [
        pa.array([row[field.name] for row in rows], field.type)
        if field.name != "info"
        else pa.ExtensionArray.from_storage(field.type, pa.array([encode(row["info"]) for row in rows], pa.string()))
        for field in schema
    ]
    made = (Dataset(pa.Table.from_arrays(columns, schema=schema), fingerprint="episodes"),)
    if not rules.markov:
        return made
    steps = [row for i, episode in enumerate(episodes, start) for row in step_rows(episode, i, rules.history)]
    return (*made, Dataset(pa.Table.from_pylist(steps, schema=STEP_FEATURES.arrow_schema), fingerprint="steps"))


# --- the plan


class Shard(NamedTuple):
    """A range of episodes, and the files that hold them."""

    config: str
    split: str
    start: int  # index in the split
    stop: int
    paths: tuple[str, ...]  # the episodes' file, and a Markov config's steps


def plan(task: Task, config: str, sizes: Mapping[str, int]) -> list[Shard]:
    """The shards of a config; they depend on the sizes of the splits and nothing else."""
    shards = []
    for split, size in sizes.items():
        starts = range(0, size, task.shard_episodes)
        for index, start in enumerate(starts):
            file = f"{split}-{index:05d}-of-{len(starts):05d}.parquet"
            paths = tuple(f"{name}/{file}" for name in dataset_configs(task, config))
            shards.append(Shard(config, split, start, min(start + task.shard_episodes, size), paths))
    return shards


def _sizes(task: Task, config: str, num_episodes: int | None) -> dict[str, int]:
    if num_episodes is None:
        return dict(task.config(config).num_episodes or task.num_episodes)
    if not 1 <= num_episodes <= TEST_SEED - TRAIN_SEED:
        raise UserError(f"a train split has 1 to {TEST_SEED - TRAIN_SEED:,} episodes, got {num_episodes:,}")
    return {"train": num_episodes, "test": max(1, num_episodes // 10)}


# --- playing


Chunk = tuple[str, str, int, int]  # config, split, start, stop
Part = tuple[Dataset, ...]  # what was played, one dataset per file of a shard
Workers = dict[connection.Connection, SpawnProcess]  # by the pipe to each; not forked, because Arrow has threads


def _play(task: Task, options: Mapping[str, Any], config: str, split: str, start: int, stop: int) -> Part:
    """The episodes `start` to `stop` of a split."""
    simulator = task.simulator(config=config, options=options)
    rules: Config = task.config(config)
    seeds = range(FIRST_SEED[split] + start, FIRST_SEED[split] + stop)
    if task.table is not None and not rules.markov:
        return (Dataset(task.table(simulator, seeds), fingerprint="episodes"),)
    # A chunk's episodes hold no cycles, and looking for some would cost up to a fifth of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        episodes = [task.generate(simulator, seed) for seed in seeds]
    finally:
        if collecting:
            gc.enable()
    with late_interrupt():
        return shard_datasets(rules, episodes, start)


def _work(pipe: connection.Connection, task_id: str, options: Mapping[str, Any]) -> None:
    """A worker: plays the chunks that come through `pipe`, leaves Ctrl-C to its parent, and dies with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        parent_process().join()  # type: ignore[union-attr]
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    with suppress(EOFError, OSError):  # the parent is gone
        while True:
            chunk = pipe.recv()
            try:
                part: Part | Exception = _play(get_task(task_id), options, *chunk)
            except Exception as error:
                error.add_note(traceback.format_exc())  # a traceback cannot be sent
                part = error
            pipe.send(part)


def _start_workers(workers: Workers, number: int, task: Task, options: Mapping[str, Any]) -> None:
    """Starts so many more."""
    resource_tracker.ensure_running()  # or the first worker starts it, which unblocks Ctrl-C
    # A worker inherits that Ctrl-C is blocked, which protects it until it ignores it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        for _ in range(number):
            pipe, end = connection.Pipe()
            with end:
                worker = SpawnProcess(target=_work, args=(end, task.id, options), daemon=True)
                worker.start()
            workers[pipe] = worker
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _results(workers: Iterable[connection.Connection], chunks: Sequence[Chunk]) -> Iterator[Part]:
    """Hands the chunks to the workers and yields what they made, in the chunks' order."""
    todo = iter(chunks)
    playing: dict[Any, Chunk] = {}
    made: dict[Chunk, Part | Exception] = {}
    for wanted in chunks:
        while wanted not in made:
            try:
                ready: list[Any] = connection.wait(playing) if playing else list(workers)
                for pipe in ready:
                    if pipe in playing:
                        made[playing.pop(pipe)] = pipe.recv()
                    if chunk := next(todo, None):
                        playing[pipe] = chunk
                        pipe.send(chunk)
            except (EOFError, OSError):
                reason = "a building process died, perhaps for want of memory"
                raise UserError(f"{reason}; the same command with a smaller --num-proc continues") from None
        part = made.pop(wanted)
        if isinstance(part, Exception):
            raise part
        yield part


@contextmanager
def _players(task: Task, options: Mapping[str, Any], num_proc: int) -> Iterator[Callable[[Shard], Iterator[Part]]]:
    """What turns a shard into the datasets of its chunks, in order, here or in `num_proc` processes."""

    def chunks(shard: Shard) -> list[Chunk]:
        size = max(1, task.shard_episodes // CHUNKS)
        return [(*shard[:2], i, min(i + size, shard.stop)) for i in range(shard.start, shard.stop, size)]

    if num_proc == 1:
        yield lambda shard: (_play(task, options, *chunk) for chunk in chunks(shard))
        return

    # No `ProcessPoolExecutor`: its workers share a pipe, so it waits for ever for the rest of a message whose writer
    # was killed. Here each worker has a pipe that ends with it.
    workers: Workers = {}
    try:
        with late_interrupt():
            _start_workers(workers, num_proc, task, options)
        yield lambda shard: _results(workers, chunks(shard))
    finally:
        with late_interrupt():
            for worker in workers.values():
                worker.kill()
                worker.join()


# --- files


@contextmanager
def late_interrupt() -> Iterator[None]:
    """Puts a Ctrl-C off to the end of the block: `datasets` hashes under a bare `except:`, which would swallow it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        signal.raise_signal(signal.SIGINT)


@late_interrupt()
def write_shard(path: Path, parts: Sequence[Dataset]) -> dict[str, Any]:
    """Writes the Parquet file of a shard and returns its entry in the manifest."""
    dataset = datasets.concatenate_datasets(list(parts))
    file = io.BytesIO()  # a Parquet writer whose disk is full cannot be closed without noise
    bars = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        dataset.to_parquet(file)
    finally:
        if not bars:
            datasets.enable_progress_bars()
    replace(path, lambda temporary: temporary.write_bytes(file.getbuffer()))
    return {"rows": len(dataset), "sha256": sha256(path)}


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Keeps a second build out of the folder; the lock goes when the process does."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another build is writing {folder}; wait for it, or choose another --out") from None
        yield
    finally:
        os.close(handle)


# --- the manifest


def origin(task: Task) -> dict[str, Any]:
    """What a manifest says of the program that wrote it."""
    return {"task": task.id, "task_version": task.version, "libraries": {name: version(name) for name in LIBRARIES}}


def _open_folder(
    task: Task, folder: Path, sizes: Mapping[str, Mapping[str, int]], options: Mapping[str, Any]
) -> dict[str, Any]:
    """The manifest to go on with: shards that are listed are whole, shards that are not listed are gone."""
    manifest = read_manifest(folder)
    if manifest is None and any(not path.name.endswith(".tmp") for path in folder.iterdir()):
        raise UserError(f"{folder} is not empty and holds no dataset of this tool; choose another --out")
    if manifest and "sources" in manifest:
        raise UserError(f"{folder} holds converted files of the original release; choose another --out")
    made_by = {**origin(task), **({"options": dict(options)} if options else {})}
    keys = dict.fromkeys([*made_by, "options"])
    if manifest and manifest["task"] != task.id:
        raise UserError(f"{folder} holds the dataset of {manifest['task']}, not of {task.id}; choose another --out")
    if manifest and (changed := [key for key in keys if manifest.get(key) != made_by.get(key)]):
        was, now = (json.dumps([each.get(key) for key in changed])[1:-1] for each in (manifest, made_by))
        logger.warning("%s was built by %s, which is now %s: building it again", folder, was, now)
        manifest = None
    manifest = manifest or {**made_by, "configs": {}, "shards": {}}
    for config, wanted in sizes.items():
        seeds = {split: [FIRST_SEED[split], FIRST_SEED[split] + size] for split, size in wanted.items()}
        found = manifest["configs"].get(config)
        planned = {path for shard in plan(task, config, wanted) for path in shard.paths}
        ours = {path for path in manifest["shards"] if path.split("/")[0] in dataset_configs(task, config)}
        if found not in (None, seeds) or not ours <= planned:
            logger.warning("%s has %s in another size: building that config again", folder, config)
            for path in ours:
                del manifest["shards"][path]
        manifest["configs"][config] = seeds
        for path in sorted(ours & manifest["shards"].keys()):
            if not is_whole(folder / path, manifest["shards"][path]):
                logger.warning("%s is missing or damaged: building it again", folder / path)
                del manifest["shards"][path]
    write_manifest(folder, manifest)
    for path in [*folder.glob("**/.*.tmp"), *folder.glob("*/*-?????-of-?????.parquet")]:
        if str(path.relative_to(folder)) not in manifest["shards"]:
            path.unlink()
    return manifest


# --- building


def build_dataset(
    task: Task,
    config: str | None = None,
    num_episodes: int | None = None,
    num_proc: int = 1,
    output_dir: Path | str = "lmrl",
    options: Mapping[str, Any] | None = None,
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

    Raises:
        UserError: for an unknown config, a size or folder that cannot be used, a full disk, or a second build that
            writes the same folder.
    """
    if num_proc < 1:
        raise UserError(f"a build needs at least 1 process, got {num_proc}")
    if config is not None:
        task.config(config)
    sizes = {name: _sizes(task, name, num_episodes) for name in ([config] if config else task.configs)}
    if options:
        # A wrong one is refused before anything is written.
        task.simulator(config=config or task.default_config, options=options).reset(seed=TRAIN_SEED)
    folder = Path(output_dir) / task.id
    done, total = 0, sum(len(plan(task, name, size)) for name, size in sizes.items())
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}); choose another --out") from None
    try:
        with lock(folder), _players(task, options or {}, num_proc) as play:
            manifest = _open_folder(task, folder, sizes, options or {})
            shards = [shard for name, size in sizes.items() for shard in plan(task, name, size)]
            missing = [shard for shard in shards if not set(shard.paths) <= manifest["shards"].keys()]
            done = total - len(missing)
            if missing:
                # The card comes last: a folder without one is not finished.
                (folder / "README.md").unlink(missing_ok=True)
            episodes = sum(shard.stop - shard.start for shard in missing)
            with tqdm(total=episodes, desc=task.id, unit=" episodes", disable=None) as bar:
                for shard in missing:
                    parts = []
                    for part in play(shard):
                        parts.append(part)
                        bar.update(len(part[0]))
                    for path, files in zip(shard.paths, zip(*parts, strict=True), strict=True):
                        if path not in manifest["shards"]:
                            manifest["shards"][path] = write_shard(folder / path, files)
                            write_manifest(folder, manifest)
                    with late_interrupt():  # `Dataset.__del__` would swallow it
                        del files, part, parts
                    done += 1
            for name, text in folder_files(task, folder, manifest).items():
                write_text(folder / name, text)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise UserError(
                f"no space left for {folder}: {done} of {total} shards are done; "
                "free some space and run the same command again, it goes on from there"
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UserError(f"{folder} cannot be written ({error.strerror}); choose another --out") from None
        raise
    return folder
