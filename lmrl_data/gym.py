"""Registers every task with Gymnasium: `gymnasium.make("lmrl/Maze-v0", config="partially_observed")`."""

from typing import Any

import gymnasium

from lmrl_data.simulator import Simulator
from lmrl_data.tasks import TASKS, get_task


def gymnasium_id(task_id: str) -> str:
    """`twenty_questions` is `lmrl/TwentyQuestions-v0`."""
    return f"lmrl/{task_id.title().replace('_', '')}-v0"


def make(task_id: str, **kwargs: Any) -> Simulator:
    """The entry point behind every id; it imports the task's module late."""
    return get_task(task_id).simulator(**kwargs)


def register() -> None:
    """Registers the ids once; a second call does nothing."""
    for task_id in filter(str.isidentifier, TASKS):  # an entry point may have a name that Gymnasium refuses
        if gymnasium_id(task_id) not in gymnasium.registry:
            gymnasium.register(
                gymnasium_id(task_id), "lmrl_data.gym:make", kwargs={"task_id": task_id}, order_enforce=False
            )
