"""The processes that play a build's episodes. Which process plays what leaves no trace in the files."""

import gc
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from typing import Any

import pyarrow as pa

from lmrl_data.dataset import plan
from lmrl_data.dataset.plan import FIRST_SEED, Chunk, Shard
from lmrl_data.errors import UserError
from lmrl_data.rows import tables
from lmrl_data.task import Task
from lmrl_data.tasks import get_task

PARTS = ".parts.tmp"  # the folder, in a dataset's, of what workers have played and no shard holds yet
Tables = tuple[pa.Table, ...]  # what was played, one table for each file of a shard


def play(task: Task, options: Mapping[str, Any], chunk: Chunk) -> Tables:
    """The rows of a chunk's episodes."""
    simulator = task.simulator(config=chunk.config, options=options)
    rules = task.config(chunk.config)
    first = FIRST_SEED[chunk.split]
    seeds = range(first + chunk.start, first + chunk.stop)
    if task.table is not None and not rules.markov:
        return (task.table(simulator, seeds),)
    # Episodes contain no reference cycles; turning the cyclic GC off saves up to 20 %.
    collecting = gc.isenabled()
    gc.disable()
    try:
        episodes = [task.generate(simulator, seed) for seed in seeds]
    finally:
        if collecting:
            gc.enable()
    return tables(rules, episodes, chunk.start)


# --- in a worker


def _start() -> None:
    """Leaves Ctrl-C to the parent, and ends with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        parent_process().join()  # type: ignore[union-attr]
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _play_to_files(task_id: str, options: Mapping[str, Any], folder: Path, chunk: Chunk) -> list[Path]:
    """Writes the rows of a chunk as Arrow files and returns their paths."""
    paths = []
    for number, table in enumerate(play(get_task(task_id), options, chunk)):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        paths.append(folder / f"{chunk.config}-{chunk.split}-{chunk.start}-{number}.arrow")
        paths[-1].write_bytes(sink.getvalue())
    return paths


# --- in the parent


@contextmanager
def _late_interrupt() -> Iterator[None]:
    """Puts Ctrl-C off to the end of the block, also for the processes that it starts, where the system can."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def players(
    task: Task, options: Mapping[str, Any], num_proc: int, folder: Path
) -> Iterator[Callable[[Shard], Iterator[Tables]]]:
    """Gives a function that plays a shard, here or in `num_proc` processes, and yields its rows chunk by chunk.

    Args:
        task (`Task`), options (`Mapping`): what is played, with which reset options.
        num_proc (`int`): 1 plays in this process.
        folder (`Path`): where workers may put their files.

    Raises:
        UserError: if a process dies.
    """
    size = max(1, task.shard_episodes // plan.CHUNKS)
    parts = folder / PARTS
    shutil.rmtree(parts, ignore_errors=True)  # of a build that was killed
    if num_proc == 1:
        yield lambda shard: (play(task, options, chunk) for chunk in shard.chunks(size))
        return

    parts.mkdir(parents=True)
    work = partial(_play_to_files, task.id, dict(options), parts)
    others = set(active_children())
    # Not forked, because Arrow has threads.
    pool = ProcessPoolExecutor(num_proc, get_context("spawn"), _start)

    def play_shard(shard: Shard) -> Iterator[Tables]:
        try:
            # This starts the workers. They send nothing but paths: a message larger than a pipe, cut off in the middle
            # because its sender was killed, would be waited for without an end.
            with _late_interrupt():
                played = pool.map(work, shard.chunks(size))
            for paths in played:
                yield tuple(pa.ipc.open_file(path.read_bytes()).read_all() for path in paths)
                for path in paths:
                    path.unlink()
        except BrokenProcessPool:
            raise UserError(
                "a building process died, perhaps for want of memory; the same command with a smaller --num-proc "
                "continues"
            ) from None

    try:
        yield play_shard
    finally:
        with _late_interrupt():
            for worker in set(active_children()) - others:
                worker.kill()
            pool.shutdown(cancel_futures=True)
            shutil.rmtree(parts, ignore_errors=True)
