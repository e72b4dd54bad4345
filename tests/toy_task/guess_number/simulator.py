"""The rules of Guess Number: a wrong guess costs 1 and is answered `higher` or `lower`, any other text `what?`."""

import string
from typing import Any

from gymnasium import spaces

from lmrl_data.errors import UserError
from lmrl_data.simulator import Simulator, Step, check_options

FIRST = "Guess a number from 1 to 8."
MAX_GUESSES = 5


class GuessNumberSimulator(Simulator):
    """Guess Number as a Gymnasium environment of texts.

    Reset options: `number`, from 1 to 8; the seed's by default.
    """

    observation_space = spaces.Text(max_length=len(FIRST), min_length=1, charset=string.printable)
    action_space = spaces.Text(max_length=1, min_length=0, charset=string.digits)

    def _reset(self, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        check_options("guess_number", options, ("number",))
        # Everything random comes from `self.np_random`: the same seed gives the same episode.
        self.number = options.get("number", int(self.np_random.integers(1, 9)))
        if self.number not in range(1, 9):
            raise UserError(f"the number is from 1 to 8, got {str(self.number)[:80]!r}")
        self.guesses = 0
        return FIRST, {"number": self.number}  # this info becomes the episode's

    def _step(self, action: str) -> Step:
        self.guesses += 1
        valid = action in list("12345678")  # any text is an action; an unreadable one is a wasted guess
        if valid and int(action) == self.number:
            return "right", 0.0, True, False, {"valid": True, "success": True}
        text = "what?" if not valid else "higher" if int(action) < self.number else "lower"
        info = {"valid": valid}
        if self.guesses < MAX_GUESSES:
            return text, -1.0, False, False, info
        return text, -1.0, True, False, {**info, "success": False}
