"""What a person who plays reads: the rules, a picture with the newest text, a comment on the last action, the end."""

import os
import re
from collections.abc import Sequence

from lmrl_data.episode import Turn
from lmrl_data.task import Task
from lmrl_data.terminal import wrapped
from lmrl_data.text import printable

COLOR = re.compile(r"\x1b\[[0-9;]*m")


def introduction(task: Task) -> str:
    """The rules, and the short forms of actions."""
    keys = ", ".join(f"{key} = {action}" for key, action in task.keys.items())
    return wrapped(f"{task.instructions}\nShort: {keys}." if keys else task.instructions)


def scene(task: Task, picture: str, turns: Sequence[Turn]) -> str:
    """The comment on the last action, the picture, and the newest text unless the picture has it.

    Colors are left out if the environment variable NO_COLOR asks for it; a command leaves them out of a file, too.
    """
    if os.environ.get("NO_COLOR"):
        picture = COLOR.sub("", picture)
    comment = task.comment(turns) if task.comment is not None and len(turns) > 2 else ""
    text = turns[-1].content
    parts = [
        comment,
        f"\n{picture}" if picture else "",
        "" if picture and text in picture else wrapped(printable(text)),
    ]
    return "\n".join(part for part in parts if part)


def outcome(turns: Sequence[Turn], success: bool) -> str:
    """How an episode ended."""
    return f"{'You did it' if success else 'It is over'}. Return: {sum(turn.reward for turn in turns):g}."
