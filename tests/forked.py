"""Programs in processes of their own that start at once: forked from a process that has imported the libraries.

A new interpreter needs ten seconds of CPU time to import torch, transformers and trl. Here one process imports them,
once for all tests of a worker, and every program is a fork of it. What libraries print when imported is not seen.
"""

import multiprocessing
import os
import runpy
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(
    [
        "lmrl_recipes.ppo",
        "lmrl_recipes.mc",
        "lmrl_eval.commands.main",
        "lmrl_eval.policies.value_guided",
        "trl.scripts.sft",
    ]
)
WAIT = 300  # seconds for a program to end


class Finished(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def execute(arguments: Sequence[str], folder: str, environment: Mapping[str, str], output: str) -> None:
    """Runs a script, or with `-m` first a module, as the interpreter would."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(f"{output}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    obey(environment)
    if arguments[0] == "-m":
        sys.argv = list(arguments[1:])
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(arguments)
        runpy.run_path(arguments[0], run_name="__main__")


def obey(environment: Mapping[str, str]) -> None:
    """Sets what the libraries, imported long ago, would have read from the environment."""
    import datasets
    import pytest
    from hub.fixture import turn_to

    if cache := environment.get("HF_DATASETS_CACHE"):
        datasets.config.HF_DATASETS_CACHE = Path(cache)
    if url := environment.get("HF_ENDPOINT"):
        turn_to(url, Path(environment["HF_HOME"]), pytest.MonkeyPatch())


def start(
    arguments: Sequence[str | Path], *, folder: Path, output: Path, environment: Mapping[str, str] = os.environ
) -> BaseProcess:
    """A program that runs in that folder and writes to `<output>.stdout` and `<output>.stderr`."""
    words = [str(argument) for argument in arguments]
    # The environment is sent along: the process that is forked has the one in which it began.
    process = FORKED.Process(target=execute, args=(words, str(folder), dict(environment), str(output)), daemon=True)
    process.start()
    return process


def finish(process: BaseProcess, output: Path) -> Finished:
    """What a program has left when it has ended."""
    process.join(WAIT)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(Path(f"{output}.stderr").read_text()[-2000:])
    return Finished(process.exitcode, *(Path(f"{output}.{name}").read_text() for name in ("stdout", "stderr")))


def run(
    arguments: Sequence[str | Path], *, folder: Path, output: Path, environment: Mapping[str, str] = os.environ
) -> Finished:
    return finish(start(arguments, folder=folder, output=output, environment=environment), output)


def run_twice(
    arguments: Sequence[str | Path], *, folder: Path, output: Path, environment: Mapping[str, str] = os.environ
) -> list[Finished]:
    """The same program in two processes that know each other, as `accelerate launch --num_processes 2` starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {
        **environment, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true",
    }  # fmt: skip
    outputs = [output.with_name(f"{output.name}{rank}") for rank in range(2)]
    processes = [
        start(arguments, folder=folder, output=place, environment=group | {"RANK": rank, "LOCAL_RANK": rank})
        for rank, place in zip("01", outputs, strict=True)
    ]
    return [finish(process, place) for process, place in zip(processes, outputs, strict=True)]
