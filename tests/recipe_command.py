"""A recipe called as a command in this process, and the line with which it refuses."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from lmrl_recipes.training.start import run


def call(
    main: Callable[..., None], arguments: list[str], dataclasses: list[Any], monkeypatch: pytest.MonkeyPatch
) -> int | str | None:
    """The exit code of a command in this process."""
    monkeypatch.setattr(sys, "argv", ["recipe.py", *arguments])
    try:
        run(main, *dataclasses)
    except SystemExit as left:
        return left.code
    return 0


def error_line(stderr: str) -> str:
    """The line that says what is wrong; libraries may have warned before it."""
    assert "Traceback" not in stderr
    last = stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert stderr.count("error: ") == 1
    return last
