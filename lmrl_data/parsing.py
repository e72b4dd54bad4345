"""Parses YAML and JSON that strangers wrote, within limits of size, depth and repetition.

A few hundred bytes of YAML can stand for gigabytes: an alias repeats a value, and aliases of aliases multiply.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lmrl_data.text import one_line

LARGEST_TEXT = 1 << 20  # bytes of a YAML text
LARGEST_VALUE = 1 << 22  # characters of its values, each as often as it is repeated
DEEPEST = 50  # lists and mappings in each other
HEAD = re.compile(r"---\r?\n(.*?\n)---\r?\n", re.S)


@contextmanager
def checked(problem: str) -> Iterator[None]:
    """Raises `ValueError(problem)` for whatever happens inside: a parser of strangers' bytes can fail in any way."""
    try:
        yield
    except Exception:
        raise ValueError(problem) from None


def parse_yaml(content: bytes | str) -> Any:
    """The value of a YAML text.

    Raises:
        ValueError: if it is none, or too large or too deep once its aliases are written out.
    """
    import yaml

    # The parser in C, where it is installed, is ten times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    content = content.encode() if isinstance(content, str) else content
    if len(content) > LARGEST_TEXT:
        raise ValueError(f"it is a YAML text of more than {LARGEST_TEXT >> 20} MB")
    try:
        size, depth = _measures(yaml.parse(content, Loader=loader))
        value = yaml.load(content, Loader=loader) if size <= LARGEST_VALUE and depth <= DEEPEST else None
    except Exception as error:
        mark = getattr(error, "problem_mark", None)
        problem = one_line(f"line {mark.line + 1}: {error.problem}") if mark else type(error).__name__  # type: ignore
        raise ValueError(f"it is no YAML ({problem})") from None
    if size > LARGEST_VALUE or depth > DEEPEST:
        raise ValueError("it is a YAML text whose values are too large or too deep")
    return value


def _measures(events: Iterator[Any]) -> tuple[int, int]:
    """The size of a YAML text with its aliases written out, and its depth; both up to the first that is too much."""
    import yaml

    size = deepest = 0
    sizes: dict[str, int] = {}  # by anchor
    open_values: list[tuple[str | None, int]] = []
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            size += sizes[event.anchor]  # a value inside itself has no size yet: a KeyError
        elif isinstance(event, yaml.ScalarEvent):
            size += 1 + len(event.value)
            if event.anchor:
                sizes[event.anchor] = 1 + len(event.value)
        elif isinstance(event, yaml.CollectionStartEvent):
            open_values.append((event.anchor, size))
            size += 1
            deepest = max(deepest, len(open_values))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_values.pop()
            if anchor:
                sizes[anchor] = size - before
        if size > LARGEST_VALUE or deepest > DEEPEST:
            break
    return size, deepest


def read_json_file(path: Path, largest: int) -> Any:
    """The value in a JSON file.

    Args:
        path (`Path`): the file.
        largest (`int`): the most bytes that it may have.

    Raises:
        ValueError: if it is too large or too deep, no file, or no JSON.
        OSError: if it cannot be read.
    """
    if not path.is_file():  # a pipe would be waited for, and a device has no end
        raise ValueError("it is no file")
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"it has more than {largest:,} bytes")
    try:
        return json.loads(content.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def entries(value: Any) -> Iterator[tuple[str, Any]]:
    """The names and values of a nested JSON value."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def parse_card(content: bytes) -> tuple[dict[str, Any], str]:
    """The head of a card and the text below it.

    Raises:
        ValueError: if it has no head.
    """
    match = HEAD.match(content.decode("utf-8", errors="replace"))
    head = parse_yaml(match[1]) if match else None
    if match is None or not isinstance(head, dict):
        raise ValueError("it has no head")
    return head, match.string[match.end() :]
