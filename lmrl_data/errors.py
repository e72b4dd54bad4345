"""The one exception a command turns into a one-line message and exit code 2."""

from collections.abc import Iterable


class UserError(ValueError):
    """Something the user gave is wrong; the message is one line that says what, and what to do."""


def unknown(kind: str, value: object, choices: Iterable[object]) -> UserError:
    """The error for a name that is not among the `choices`.

    Examples:
        >>> str(unknown("task", "mazes", ["maze"]))
        "unknown task 'mazes'; choose from: maze"
    """
    return UserError(f"unknown {kind} {str(value)[:80]!r}; choose from: {', '.join(map(str, choices))}")
