"""Reset options as a command line gives them: `--option NAME=VALUE`."""

import json
from collections.abc import Iterable
from typing import Any

from lmrl_data.errors import UserError


def parse_options(given: Iterable[str]) -> dict[str, Any]:
    """The reset options of `NAME=VALUE` texts; a value is parsed as JSON, and is a text if that fails.

    Raises:
        UserError: for a text without a name or an equals sign, or a name given twice.

    Examples:
        >>> parse_options(["start=[1, 11]", "layout=umaze"])
        {'start': [1, 11], 'layout': 'umaze'}
    """
    options: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UserError(f"an option is NAME=VALUE, got {text[:80]!r}; write for example --option layout=umaze")
        if name in options:
            raise UserError(f"the option {name[:80]!r} is given twice")
        try:
            options[name] = json.loads(value)
        except (ValueError, RecursionError):
            options[name] = value
    return options
