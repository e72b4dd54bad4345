"""The players of Text-Nav: the best commands by room, and policies that play them in some rooms only."""

import functools
from collections.abc import Callable, Sequence

import numpy as np

from lmrl_data.episode import Episode
from lmrl_data.policy import Conversation, Policy, Streams
from lmrl_data.rollout import play_episode
from lmrl_data.simulator import Simulator
from lmrl_data.tasks.text_nav.house import COMMANDS, EXITS, GOAL, GOAL_ROOM
from lmrl_data.tasks.text_nav.simulator import MAX_COMMANDS, START_ROOMS

# The same lists of commands come back all the time.
_remember = functools.lru_cache(maxsize=4096)


def commands_in(text: str) -> tuple[str, ...]:
    """The commands that a text of the simulator lists."""
    return _split(text.rpartition("\n")[2])


@_remember
def _split(line: str) -> tuple[str, ...]:
    return tuple(line.removeprefix(COMMANDS).split(", ")) if line.startswith(COMMANDS) else ()


# No two rooms have exits in the same directions, so the list of commands identifies the room.
ROOM_BY_EXITS = {frozenset(f"go {direction}" for direction in ways): room for room, ways in EXITS.items()}


@_remember
def room_of(commands: tuple[str, ...]) -> str | None:
    """The room in which these are the admissible commands."""
    return ROOM_BY_EXITS.get(frozenset(command for command in commands if command.startswith("go ")))


def _ways(target: str) -> dict[str, str]:
    """The first command on a shortest way to `target`, from every other room."""
    ways, queue = {}, [target]
    for room in queue:
        for other, exits in EXITS.items():
            direction = next((direction for direction, next_room in exits.items() if next_room == room), None)
            if direction and other != target and other not in ways:
                ways[other] = f"go {direction}"
                queue.append(other)
    return ways


TO_FOOD, TO_FRIDGE = _ways("living room"), _ways(GOAL_ROOM)


@_remember
def best_command(commands: tuple[str, ...]) -> str:
    """The best of the admissible commands, as long as the stale food was not put out of sight."""
    room = room_of(commands)
    if room is None:
        return "look"
    if f"take {GOAL} from fridge" in commands:
        return "close fridge"
    if f"drop {GOAL}" in commands:
        if room != GOAL_ROOM:
            return TO_FRIDGE[room]
        return "open fridge" if "open fridge" in commands else f"insert {GOAL} into fridge"
    take = next((command for command in commands if command.startswith(f"take {GOAL}")), None)
    return take or TO_FOOD.get(room, "look")


class OptimalPolicy(Policy):
    """The shortest way to success, from the newest text alone."""

    name = "scripted:optimal"

    def __init__(self, config: str, seed: int) -> None: ...

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [best_command(commands_in(conversation.turns[-1].content)) for conversation in conversations]


class HalfPolicy(Policy):
    """Plays the best command in some rooms, and in the others any command that the text lists, uniformly."""

    def __init__(self, name: str, rooms: frozenset[str], seed: int) -> None:
        self.name = f"scripted:{name}"
        self.rooms = rooms
        self.streams = Streams(seed)

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [
            half_command(self.rooms, conv.turns[-1].content, self.streams[conv].random()) for conv in conversations
        ]


def half_policy(name: str, rooms: frozenset[str]) -> Callable[[str, int], Policy]:
    return lambda config, seed: HalfPolicy(name, rooms, seed)


def half_command(rooms: frozenset[str], text: str, point: float) -> str:
    """The best command in `rooms`; elsewhere the listed command at `point`, a number from 0 up to 1."""
    commands = commands_in(text)
    if room_of(commands) in rooms:
        return best_command(commands)
    return commands[int(point * len(commands))] if commands else "look"


# --- the dataset

# The paper says "halves by distance to the kitchen"; these are the halves of the original generator.
HALVES = {
    "far_rooms": frozenset({"office", "bathroom", "garden", "backyard"}),
    "near_rooms": frozenset({"kitchen", "dining room", "living room", "bedroom"}),
}
SHARES = {"far_rooms": 0.75, "near_rooms": 0.25}


def behavior(name: str) -> Callable[[Simulator, int], Episode]:
    def play(simulator: Simulator, seed: int) -> Episode:
        # A random stream of its own; the simulator draws the start from the seed's stream.
        points = iter(np.random.default_rng([seed, 0xAC]).random(MAX_COMMANDS).tolist())
        return play_episode(
            "text_nav", simulator, seed, name, lambda text: half_command(HALVES[name], text, next(points))
        )

    return play


def best_actions(config: str) -> dict[str, str]:
    """The best first command from each room."""
    return {room: TO_FOOD.get(room, f"take {GOAL} from table") for room in START_ROOMS}
