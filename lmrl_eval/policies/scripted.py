"""Scripted policies: the ones a task brings along, such as the optimal and the random one."""

from lmrl_data.policy import Policy
from lmrl_data.task import Task

PREFIX = "scripted:"


def load_scripted(spec: str, task: Task, config: str, *, seed: int = 0) -> Policy:
    """The policy behind `scripted:NAME`.

    Raises:
        UserError: if the task has no policy of that name; the message lists those it has.
    """
    return task.policy(spec.removeprefix(PREFIX), config, seed)
