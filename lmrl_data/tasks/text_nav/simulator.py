"""Text-Nav: walk through a house of eight rooms, find the stale food and shut it in the fridge of the kitchen.

Each text tells what happened and lists the possible commands. Fully observed, it also names the rooms and ends with
the inventory. Success pays 1, everything else nothing; an episode has at most 15 commands. Paper section 4.
"""

import string
from collections.abc import Mapping, Sequence
from typing import Any

from gymnasium import spaces

from lmrl_data.config import Config
from lmrl_data.episode import Turn
from lmrl_data.errors import unknown
from lmrl_data.simulator import Simulator, Step, check_options
from lmrl_data.tasks.text_nav.house import ROOMS, House

OBJECTIVE = "Your objective is to put the stale food on the table in the living room into the fridge in the kitchen."
# The original simulator has no limit; its data generator and its human players stop here.
MAX_COMMANDS = 15

MAP = """\
                garden
                  |
 backyard ---- kitchen ---- dining room ---- living room ---- bedroom
                                                  |              |
                                               office ------ bathroom"""


# --- the simulator


class TextNavSimulator(Simulator):
    """The house as a Gymnasium environment of texts.

    Args:
        config (`Config`): `"fully_observed"` or `"partially_observed"`.
        render_mode (`str`, *optional*): `"ansi"`, a map of the house.
        options (`Mapping`, *optional*): reset options for every episode.

    Reset options: `start`, the name of a room; uniform over the eight by default. `info["valid"]` says whether the
    game obeyed: commands that it does not understand or refuses (`That's already open.`) are invalid.
    """

    observation_space = spaces.Text(max_length=2_000, min_length=1, charset=string.printable)
    action_space = spaces.Text(max_length=40, min_length=0, charset=string.ascii_lowercase + " ")

    def __init__(
        self,
        config: Config,
        render_mode: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(config, render_mode, options)
        self.fully = config.name == "fully_observed"
        self.house = House("kitchen", self.fully)

    def _reset(self, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        check_options("text_nav", options, ("start",))
        start = options.get("start")
        if start is None:
            start = START_ROOMS[int(self.np_random.integers(len(START_ROOMS)))]
        if start not in START_ROOMS:
            raise unknown("start of text_nav", start, START_ROOMS)
        self.house = House(start, self.fully)
        self.commands_given = 0
        # The original code shows the inventory after commands only.
        return f"{OBJECTIVE}\n\n{self.house.look()}\n\n{self.house.view.listing}", {"start": start}

    def _step(self, action: str) -> Step:
        house = self.house
        text, done = house.play(action)
        self.commands_given += 1
        if house.won or house.lost:
            return text, float(house.won), True, False, {"valid": True, "success": house.won}
        if self.fully:
            text += f"\n\n{house.view.inventory}"
        text += f"\n\n{house.view.listing}"
        if self.commands_given < MAX_COMMANDS:
            return text, 0.0, False, False, {"valid": done}
        return text, 0.0, False, True, {"valid": done, "success": False}

    def render(self) -> str:
        """The map of the house with `@` where the player is."""
        return MAP.replace(f" {self.house.room}", f"@{self.house.room}")


def picture(config: str, options: Mapping[str, Any], turns: Sequence[Turn]) -> str:
    """For a person: the map, where rooms are named, before the first command."""
    return MAP if config == "fully_observed" and turns[-1].content.startswith(OBJECTIVE) else ""


START_ROOMS = tuple(ROOMS)


# --- the dataset
