"""The answer of a chat model: the action in a text, in a JSON object or in the call of a tool."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from lmrl_data.policy import LONGEST_ACTION
from lmrl_data.tool import Tool

if TYPE_CHECKING:
    from lmrl_eval.endpoint import Call

LONGEST_TEXT = 20_000  # the most characters of an answer that are read
FENCE = re.compile(r"(```|~~~)[\w+-]*")
LABEL = re.compile(r"([*_]{0,2})(action|answer|command|guess|move|question)(\1\s*:|\s*:\s*\1)\s*", re.I)
MARKS = (("```", "```"), ("`", "`"), ("**", "**"), ('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"), ("«", "»"))


def read_plain(text: str) -> str | None:
    """The first line with content, without quotes, backticks, fences and labels; `None` if there is none."""
    for line in _without_thoughts(text).splitlines():
        bare = _without_marks(line)
        if bare:
            return bare[:LONGEST_ACTION]
    return None


def read_json(text: str) -> str | None:
    """The action of the last JSON object that has one, whatever text is around it; `None` if there is none."""
    text = _without_thoughts(text)
    decoder = json.JSONDecoder()
    # The last one, because some models think aloud with examples before they answer.
    last = None
    position = text.find("{")
    for _ in range(100):
        if position < 0:
            break
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            value, end = None, position + 1
        action = value.get("action") if isinstance(value, dict) else None
        if isinstance(action, str) and first_line(action):
            last = first_line(action)
        position = text.find("{", end)
    return last


def first_line(text: str) -> str:
    """The first line that is not empty, unchanged."""
    lines = (line.strip() for line in text[:LONGEST_TEXT].splitlines())
    return next(filter(None, lines), "")[:LONGEST_ACTION]


def _without_thoughts(text: str) -> str:
    """The answer after a model's thoughts; empty if the thoughts never end."""
    text = text.rpartition("</think>")[2].strip()
    return "" if text.startswith("<think>") else text[:LONGEST_TEXT]


def _without_marks(line: str) -> str:
    line = line.strip()
    if FENCE.fullmatch(line):
        return ""
    while True:
        before = line
        line = LABEL.sub("", line, count=1) if LABEL.match(line) else line.removeprefix(">").strip()
        for opening, closing in MARKS:
            inner = line[len(opening) : -len(closing)]
            if line == opening + inner + closing and opening not in inner and closing not in inner:
                line = inner.strip()
        if line == before:
            return line


def read_calls(calls: Sequence["Call"], tool: Tool) -> list[str]:
    """The actions of those calls that name the tool and have its argument, a text that is not empty."""
    actions = []
    for call in calls:
        try:
            arguments = json.loads(call.arguments[:LONGEST_TEXT])
        except (ValueError, RecursionError):
            continue
        argument = arguments.get(tool.argument) if isinstance(arguments, dict) else None
        if call.name == tool.name and isinstance(argument, str) and first_line(argument):
            actions.append(tool.to_action(first_line(argument))[:LONGEST_ACTION])
    return actions


READERS: Mapping[str, Callable[[str], str | None]] = {"plain": read_plain, "json": read_json}
FORMS = (*READERS, "tool")
# What may help where answers cannot be read, by their form.
ADVICE = {
    "plain": "look at the episodes, or try --answers json",
    "json": "look at the episodes, or try --answers plain",
    "tool": "look at the episodes and at what the server makes of the model's calls, or leave out --answers tool",
}


def complaint(answers: float, unread: float, cut: float, max_new_tokens: int | None, advice: str) -> str | None:
    """What to say if more than one answer in ten was cut or could not be read; `None` otherwise."""
    if max(cut, unread) * 10 <= answers or not answers:
        return None
    limit = "" if max_new_tokens is None else f" at {max_new_tokens} tokens"
    advice = "raise --max-new-tokens" if cut else advice
    return f"of {answers:.0f} answers {unread:.0f} could not be read and {cut:.0f} were cut{limit}: {advice}"
