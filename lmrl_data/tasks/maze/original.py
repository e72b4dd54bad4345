"""The original release's mazes: how an episode in its files ended."""

from lmrl_data.dataset.convert.original import End, Original
from lmrl_data.dataset.convert.record import Play
from lmrl_data.tasks.maze.grid import ACTIONS
from lmrl_data.tasks.maze.simulator import MAX_MOVES


def end(play: Play) -> End:
    success = play.actions[-1].reward == 0
    # The simulator ignores the action that `Failure` answers, so it does not count as invalid.
    return End(success, success, sum(action.content not in ACTIONS for action in play.actions[:MAX_MOVES]))


ORIGINAL = Original(
    {"fully_observed": "steps", "partially_observed": "history"},
    end,
    "An episode reached the goal, and terminated, if its last reward is 0; every other one was cut short, even if "
    "the file calls it done. `invalid` counts the actions that are none of the four moves.",
)
