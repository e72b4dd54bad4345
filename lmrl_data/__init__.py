"""LMRL-Gym's tasks and what turns them into episodes: simulators, rollouts, dataset builders."""

from lmrl_data.episode import Episode, Turn
from lmrl_data.errors import UserError
from lmrl_data.gym import register
from lmrl_data.policy import Conversation, Policy
from lmrl_data.rollout import rollout
from lmrl_data.simulator import Simulator
from lmrl_data.task import Task
from lmrl_data.tasks import TASKS, get_task

__version__ = "0.1.0"
__all__ = [
    "TASKS",
    "Conversation",
    "Episode",
    "Policy",
    "Simulator",
    "Task",
    "Turn",
    "UserError",
    "get_task",
    "rollout",
]

register()
