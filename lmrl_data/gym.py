"""Registers every task with Gymnasium: `gymnasium.make("lmrl/Maze-v0", config="partially_observed")`."""

from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.error import CustomSpaceError
from gymnasium.vector.utils import create_shared_memory

from lmrl_data.simulator import Simulator
from lmrl_data.tasks import TASKS, get_task


def gymnasium_id(task_id: str) -> str:
    """`twenty_questions` is `lmrl/TwentyQuestions-v0`."""
    return f"lmrl/{task_id.title().replace('_', '')}-v0"


class Texts(spaces.Text):
    """Observations that Gymnasium's shared memory refuses: it would read them once and give the same ones for ever."""


@create_shared_memory.register
def _refuse(space: Texts, *_: Any, **__: Any) -> Any:
    raise CustomSpaceError("shared memory holds no texts: give make_vec vector_kwargs={'shared_memory': False}")


def make(task_id: str, **kwargs: Any) -> Simulator:
    """The entry point behind every id; it imports the task's module late."""
    simulator = get_task(task_id).simulator(**kwargs)
    texts = simulator.observation_space
    if isinstance(texts, spaces.Text):
        simulator.observation_space = Texts(texts.max_length, min_length=texts.min_length, charset=texts.characters)
    return simulator


def register() -> None:
    """Registers the ids once; a second call does nothing."""
    for task_id in filter(str.isidentifier, TASKS):  # an entry point may have a name that Gymnasium refuses
        if gymnasium_id(task_id) not in gymnasium.registry:
            gymnasium.register(
                gymnasium_id(task_id), "lmrl_data.gym:make", kwargs={"task_id": task_id}, order_enforce=False
            )
