"""The one exception a command turns into a one-line message and exit code 2."""

from collections.abc import Iterable
from importlib import import_module
from types import ModuleType


class UserError(ValueError):
    """A mistake of the user's; the message is one line that says what is wrong and what to do."""


def unknown(kind: str, value: object, choices: Iterable[object]) -> UserError:
    """The error for a name that is not among the `choices`.

    Examples:
        >>> str(unknown("task", "mazes", ["maze"]))
        "unknown task 'mazes'; choose from: maze"
    """
    return UserError(f"unknown {kind} {str(value)[:80]!r}; choose from: {', '.join(map(str, choices))}")


def require(module: str, *, extra: str) -> ModuleType:
    """Imports a module that an extra of this package installs.

    Raises:
        UserError: if it is not installed; the message has the command to install it.
    """
    try:
        return import_module(module)
    except ImportError:
        raise UserError(f"{module.partition('.')[0]} is not installed; run: pip install 'lmrl[{extra}]'") from None
