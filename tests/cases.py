"""Tables of cases: one test checks every row and lists all rows that fail.

Few rows are parametrized; a table is read and checked: `check_cases(read_cases("maze.tsv"), check)`. Rows are counted:
the last line of a run says how many cases its tests were. A table is one case a row, any other test is one case.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parent / "data"
SHOWN = 50  # of the cases that fail
# Rows that the running test has checked; conftest.py takes them away after each test.
checked_rows = 0


def read_cases(name: str) -> list[tuple[Any, ...]]:
    """The rows of `tests/data/<name>`.

    A `.tsv` has one case a line and tabs between its cells; empty lines and lines that begin with `# ` are comments.
    A `.json` is a list of lists: for numbers, and for texts with tabs or line breaks.
    """
    text = (DATA / name).read_text(encoding="utf-8")
    if name.endswith(".json"):
        return [tuple(row) if isinstance(row, list) else (row,) for row in json.loads(text)]
    lines = text.removesuffix("\n").split("\n")
    return [tuple(line.split("\t")) for line in lines if line and not line.startswith("# ")]


def check_cases(cases: Iterable[Any], check: Callable[..., object]) -> None:
    """Calls `check(*case)` for every case, and fails with the list of all that raise.

    Args:
        cases (`Iterable`):
            The rows; one that is no tuple is the only argument.
        check (`Callable`):
            Raises, as `assert` does, where a case is not as it should be.
    """
    global checked_rows
    rows = [case if isinstance(case, tuple) else (case,) for case in cases]
    assert rows, "a table without cases"
    checked_rows += len(rows)
    misses = []
    for row in rows:
        try:
            check(*row)
        except (Exception, pytest.fail.Exception) as error:
            reason = str(error).strip() or type(error).__name__
            misses.append(f"{', '.join(map(repr, row))}\n    {reason.splitlines()[0]}")
    if misses:
        left_out = [f"and {len(misses) - SHOWN} more"] if len(misses) > SHOWN else []
        pytest.fail("\n".join([f"{len(misses)} of {len(rows)} cases:", *misses[:SHOWN], *left_out]), pytrace=False)


def release(*values: Any) -> Any:
    """A parameter with which a test runs only for a release."""
    return pytest.param(*values, marks=pytest.mark.release)
