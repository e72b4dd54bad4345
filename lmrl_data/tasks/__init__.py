"""The registry: a task's id and where its `TASK` lives, imported when it is asked for."""

from importlib import import_module

from lmrl_data.errors import unknown
from lmrl_data.task import Task

TASKS = {
    "maze": "lmrl_data.tasks.maze:TASK",
    "wordle": "lmrl_data.tasks.wordle:TASK",
    "text_nav": "lmrl_data.tasks.text_nav:TASK",
    "chess": "lmrl_data.tasks.chess:TASK",
    "endgames": "lmrl_data.tasks.endgames:TASK",
    "twenty_questions": "lmrl_data.tasks.twenty_questions:TASK",
    "guess_my_city": "lmrl_data.tasks.guess_my_city:TASK",
    "car_dealer": "lmrl_data.tasks.car_dealer:TASK",
}


def get_task(task_id: str) -> Task:
    """The task of that id.

    Raises:
        UserError: if there is no such task; the message lists the choices.
    """
    if task_id not in TASKS:
        raise unknown("task", task_id, TASKS)
    module, name = TASKS[task_id].split(":")
    return getattr(import_module(module), name)
