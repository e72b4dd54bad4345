"""The registry: a task's id and where its `TASK` lives, imported when it is asked for.

An installed package adds tasks of its own through the entry-point group `lmrl_data.tasks`:

    [project.entry-points."lmrl_data.tasks"]
    coin = "coin_task:TASK"
"""

from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable

from lmrl_data.errors import UserError, unknown
from lmrl_data.task import Task

GROUP = "lmrl_data.tasks"
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
BUILT_IN = frozenset(TASKS)
_clashes: dict[str, list[str]] = {}  # the places of an id that several packages claim


def add_entry_points() -> None:
    """Adds the tasks of installed packages to `TASKS`; nothing of them is imported."""
    for entry in entry_points(group=GROUP):
        place = TASKS.setdefault(entry.name, entry.value)
        if place != entry.value:
            _clashes.setdefault(entry.name, [place]).append(entry.value)


add_entry_points()


def get_task(task_id: str) -> Task:
    """The task of that id.

    Raises:
        UserError: if there is no such task (the message lists the choices), if several packages claim the id, or if
            the package that has the task cannot be imported.
    """
    if task_id not in TASKS:
        raise unknown("task", task_id, TASKS)
    if task_id in _clashes:
        places = " and ".join(_clashes[task_id])
        raise UserError(f"several installed packages have a task {task_id!r}: {places}; uninstall all but one")
    place = TASKS[task_id]
    if task_id in BUILT_IN:
        return _load(place)
    try:
        task = _load(place)
    except Exception as error:  # a stranger's module may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(f"the task {task_id!r} cannot be loaded from {place} ({reason}); fix its package") from error
    if not isinstance(task, Task) or task.id != task_id:
        raise UserError(f"the entry point {task_id!r} names {place}, which is no Task of that id; fix its package")
    return task


def _load(place: str) -> Task:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def task_files(task_id: str) -> Traversable:
    """The folder of a task's package: its `assets/` and, for a task that is not ours, its page `card.md`."""
    return files(TASKS[task_id].partition(":")[0])
