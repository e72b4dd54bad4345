"""The tasks as inspect-ai finds them; `lmrl_eval/inspect_tasks.py` says what each does and which settings it takes.

inspect eval lmrl_eval/wordle --model openai/gpt-5 -T config=words_400 -T episodes=64
inspect eval lmrl_eval/inspect.py@wordle ...     (in a checkout, or with an editable install)
"""

from collections.abc import Callable
from typing import Any

from lmrl_data.tasks import BUILT_IN, TASKS
from lmrl_eval.inspect_tasks import InspectTask, make_task, results_from_log, task

__all__ = ["results_from_log"]

# `inspect list tasks` and `inspect eval FILE` read this source for functions below `@task`, so each of our tasks is
# written out. Tasks of other packages are registered at the end; `lmrl_eval/NAME` and `inspect.py@NAME` find them.


@task
def maze(**settings: Any) -> InspectTask:
    return make_task("maze", settings)


@task
def text_nav(**settings: Any) -> InspectTask:
    return make_task("text_nav", settings)


@task
def wordle(**settings: Any) -> InspectTask:
    return make_task("wordle", settings)


@task
def chess(**settings: Any) -> InspectTask:
    return make_task("chess", settings)


@task
def endgames(**settings: Any) -> InspectTask:
    return make_task("endgames", settings)


@task
def twenty_questions(**settings: Any) -> InspectTask:
    return make_task("twenty_questions", settings)


@task
def guess_my_city(**settings: Any) -> InspectTask:
    return make_task("guess_my_city", settings)


@task
def car_dealer(**settings: Any) -> InspectTask:
    return make_task("car_dealer", settings)


def _task_function(task_id: str) -> Callable[..., InspectTask]:
    def make(**settings: Any) -> InspectTask:
        return make_task(task_id, settings)

    make.__name__ = task_id
    return make


for _task_id in TASKS.keys() - BUILT_IN:
    task(_task_function(_task_id))
