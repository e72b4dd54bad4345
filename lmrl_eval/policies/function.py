"""The function policy: the user's own function plays, given the messages that a chat model would get."""

import functools
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

from lmrl_data.errors import UserError
from lmrl_data.policy import Conversation, Policy
from lmrl_data.task import Task
from lmrl_data.text import one_line
from lmrl_eval.policies.prompt import chat_messages, prompt_facts

Function = Callable[[list[list[dict[str, Any]]]], list[str]]
PREFIX = "callable:"
# `scripted:NAME` and `chat:NAME` have the form of `MODULE:NAME`, too.
SPEC = re.compile(r"(?!scripted:|chat:)[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


class FunctionPolicy(Policy):
    """Plays what a function answers.

    The function gets a batch of conversations and returns one text for each, which is the action. A conversation is
    the list of messages that a chat model would get: the rules (`system`), then observations (`user`) and earlier
    actions (`assistant`), each a dict with `role` and `content`.

    Args:
        function (`Callable`): from a list of conversations to a list of texts.
        task (`Task`): what it will play.
        name (`str`, *optional*): stands in scores; made from the function's own name by default.

    Raises:
        UserError: if it cannot be called.
    """

    def __init__(self, function: Function, task: Task, name: str | None = None) -> None:
        self.label = name or _name(function)
        if not callable(function):
            raise UserError(f"{self.label} is a {type(function).__name__}, and no function")
        self.function = function
        self.instructions, self.tool = task.instructions, task.tool
        self.name = f"{PREFIX}{self.label}"

    def describe(self) -> dict[str, Any]:
        """What a score says about this policy."""
        return {
            "source": self.name,
            "callable": self.label,
            "source_sha256": source_digest(self.function),
            **prompt_facts(self.instructions, self.instructions, "plain", self.tool),
        }

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        chats = [chat_messages(self.instructions, conversation.visible) for conversation in conversations]
        with _one_line_errors(self.label, _file(self.function)):
            answers = self.function(chats)
        problem = None
        if not isinstance(answers, list | tuple):
            problem = f"a {type(answers).__name__}"
        elif len(answers) != len(chats):
            problem = f"{len(answers)} answers for {len(chats)} conversations"
        else:
            others = [(index, answer) for index, answer in enumerate(answers) if not isinstance(answer, str)]
            problem = f"a {type(others[0][1]).__name__} as answer {others[0][0]}" if others else None
        if problem:
            raise UserError(f"{self.label} returned {problem}; it must return a list of texts, one per conversation")
        return list(answers)


@contextmanager
def _one_line_errors(label: str, file: str | None = None) -> Iterator[None]:
    """Turns any error of the user's code into one line, with the last place in `file` that led to it."""
    try:
        yield
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        frame = next((frame for frame in reversed(frames) if frame.filename == file), frames[-1])
        reason = f"{type(error).__name__}: {one_line(str(error), 200)}"
        raise UserError(f"{label} raised {reason} ({Path(frame.filename).name}, line {frame.lineno})") from None


def load_function(spec: str) -> Any:
    """What `MODULE:NAME` names; the module is imported from the current folder or Python's path, and so runs.

    Raises:
        UserError: if there is no such module, it cannot be imported, or has no such name.
    """
    module_name, _, name = spec.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        with _one_line_errors(module_name):
            module = import_module(module_name)
    except UserError as error:
        cause = error.__context__
        if isinstance(cause, ModuleNotFoundError) and f"{module_name}.".startswith(f"{cause.name}."):
            raise UserError(
                f"there is no module {module_name!r} in this folder or on Python's path; a policy is MODULE:NAME, "
                "scripted:NAME, human, chat:MODEL@URL, a checkpoint folder or a model id"
            ) from None
        raise
    try:
        return attrgetter(name)(module)
    except AttributeError:
        raise UserError(f"the module {module_name!r} has no {name!r}") from None


def is_function(spec: str) -> bool:
    """Whether a policy's name has the form `MODULE:NAME` and names no folder."""
    return SPEC.fullmatch(spec) is not None and not os.path.isdir(spec)


def source_digest(function: Any) -> str | None:
    """A SHA-256 of the file in which a function is defined, or of its source where there is no file; `None` if it has
    neither. What the function itself imports is not in it."""
    try:
        path = Path(_file(function) or "")
        source = path.read_bytes() if path.is_file() else inspect.getsource(_definition(function)).encode()
    except (OSError, TypeError):
        return None
    return sha256(source).hexdigest()


def _file(function: Any) -> str | None:
    try:
        return inspect.getsourcefile(_definition(function))
    except TypeError:
        return None


def _definition(function: Any) -> Any:
    """The function or class whose source a callable comes from."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    return function if inspect.isroutine(function) or inspect.isclass(function) else type(function)


def _name(function: Any) -> str:
    definition = _definition(function)
    return f"{definition.__module__}:{definition.__qualname__}"
