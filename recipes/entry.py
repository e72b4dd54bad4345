"""Where the commands start: Ctrl-C while Python imports is one line, and a second one while it ends is silent."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import FrameType


def leave(number: int, frame: FrameType | None) -> None:
    """Ends the program at once, with a line on stderr."""
    os.write(2, b"interrupted\n")
    os._exit(130)


def leave_silently(number: int, frame: FrameType | None) -> None:
    """Ends the program at once: the line was printed before."""
    os._exit(130)


@contextmanager
def quiet_end() -> Iterator[None]:
    """Lets Ctrl-C be a `KeyboardInterrupt` inside, and end the program silently from then on: libraries print
    tracebacks if one comes while Python waits for their threads."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:  # a second one, while the first was told
        sys.exit(130)
    finally:
        signal.signal(signal.SIGINT, leave_silently)


def run(module: str) -> None:
    """Imports the module of a command and calls its `main`."""
    signal.signal(signal.SIGINT, leave)
    main = import_module(module).main
    with quiet_end():
        main()


def data() -> None:
    """`lmrl-data`."""
    run("lmrl_data.cli")


def evaluate() -> None:
    """`lmrl-eval`."""
    run("lmrl_eval.commands.main")


def train() -> None:
    """`lmrl-train`."""
    run("lmrl_recipes.launch")
