"""Text-Nav: walk through a house of eight rooms, find the stale food and shut it in the fridge of the kitchen."""

from lmrl_data.config import Config, ReferenceReturns, by_name
from lmrl_data.task import Behavior, Protocol, Task
from lmrl_data.tasks.text_nav.original import ORIGINAL
from lmrl_data.tasks.text_nav.players import HALVES, SHARES, OptimalPolicy, behavior, best_actions, half_policy
from lmrl_data.tasks.text_nav.simulator import MAX_COMMANDS, START_ROOMS, TextNavSimulator, picture
from lmrl_data.tool import Tool

TASK = Task(
    id="text_nav",
    version="1.0.0",
    summary="Find a thing in a house and bring it to its place; commands and text of a text adventure.",
    configs=by_name(
        Config(
            "fully_observed",
            "rooms are named, and what one carries is told; only the newest observation counts",
            history=1,
            reference=ReferenceReturns(0.0, 0.26, 1.0, 1.0, "Table 5; 0.26 is the data's success rate"),
        ),
        Config(
            "partially_observed",
            "neither is told; the whole history counts",
            history=None,
            reference=ReferenceReturns(0.0, 0.26, 1.0, 1.0, "Table 5; 0.26 is the data's success rate"),
        ),
    ),
    simulator_class=TextNavSimulator,
    behaviors=tuple(Behavior(name, share, behavior(name)) for name, share in SHARES.items()),
    num_episodes={"train": 2_500, "test": 250},
    max_turns=MAX_COMMANDS,
    protocols={
        "paper": Protocol(
            "every room 32 times; the paper does not state a number, 32 is its script's default",
            32,
            {room: {"start": room} for room in START_ROOMS},
        ),
        "quick": Protocol("every room 8 times", 8, {room: {"start": room} for room in START_ROOMS}),
    },
    policies={
        "optimal": OptimalPolicy,
        "random": half_policy("random", frozenset()),
        **{name: half_policy(name, rooms) for name, rooms in HALVES.items()},
    },
    best_actions=best_actions,
    instructions=(
        "You are playing a text adventure in a house. Take the stale food from the table in the living room, carry it "
        "to the kitchen, put it into the fridge and close the fridge, in 15 commands at most. Do not eat it. Each "
        "text ends with the commands that can be given now. Answer with one of them and nothing else."
    ),
    tool=Tool("act", "Gives a command.", "command", "One of the commands that can be given now."),
    keys={"n": "go north", "s": "go south", "e": "go east", "w": "go west", "i": "inventory", "l": "look"},
    picture=picture,
    original=ORIGINAL,
    options={"start": f"{', '.join(START_ROOMS)}; any of them by default"},
)
