"""Maze: walk a small grid to the goal by saying `move up`, `move down`, `move left` or `move right`."""

from lmrl_data.config import Config, ReferenceReturns, by_name
from lmrl_data.task import Protocol, Task
from lmrl_data.tasks.maze.grid import LAYOUTS, STARTS_BY_NAME, draw
from lmrl_data.tasks.maze.original import ORIGINAL
from lmrl_data.tasks.maze.players import BEHAVIORS, OptimalPolicy, RandomPolicy, best_actions, data_facts
from lmrl_data.tasks.maze.screen import comment, picture
from lmrl_data.tasks.maze.simulator import MAX_MOVES, REWARDS, MazeSimulator
from lmrl_data.tool import Tool

TASK = Task(
    id="maze",
    version="1.0.0",
    summary="Walk a small grid to its goal; credit assignment and trajectory stitching.",
    configs=by_name(
        Config(
            "fully_observed",
            "goal, own position and walls; only the newest observation counts",
            history=1,
            reference=ReferenceReturns(-101.0, -83.0, -6.84, -6.84, "Table 5; -6.84 is the shortest-path mean"),
        ),
        Config(
            "partially_observed",
            "walls only, the last 40 texts",
            history=40,
            # -25.75 is undocumented and can be beaten; -7.24 is the best expected return over histories.
            reference=ReferenceReturns(-101.0, -83.0, -25.75, -7.24, "Table 5; optimum by exact belief states"),
        ),
    ),
    simulator_class=MazeSimulator,
    behaviors=BEHAVIORS,
    num_episodes={"train": 1_240, "test": 124},
    max_turns=MAX_MOVES + 1,
    protocols={
        "paper": Protocol("32 episodes from each of the 25 starts", 32, STARTS_BY_NAME),
        "quick": Protocol("4 episodes from each of the 25 starts", 4, STARTS_BY_NAME),
    },
    policies={"optimal": OptimalPolicy, "random": RandomPolicy},
    instructions=(
        "You are walking in a maze of square cells. Positions are (row, column); moving down adds one to the row, "
        "moving right adds one to the column. Reach the goal in as few moves as you can. Answer with one of these "
        "lines and nothing else: move up, move down, move left, move right."
    ),
    tool=Tool(
        "move",
        "Moves to the next cell in a direction.",
        "direction",
        "Where to go.",
        ("up", "down", "left", "right"),
        to_action=lambda direction: f"move {direction.removeprefix('move ')}",
        to_argument=lambda action: action.removeprefix("move "),
    ),
    best_actions=best_actions,
    draw=draw,
    keys={"w": "move up", "a": "move left", "s": "move down", "d": "move right"},
    picture=picture,
    comment=comment,
    data_facts=data_facts,
    original=ORIGINAL,
    options={
        "start": "a free cell, as [1,1], or a name, as far_left; any free cell by default",
        "goal": "a free cell, as [8,6]; that of the layout by default",
        "layout": f"{', '.join(LAYOUTS)}; double_t by default",
        "reward": f"{', '.join(REWARDS)}; standard by default",
    },
)
