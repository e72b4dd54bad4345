"""A human at the keyboard, or any program that writes one action a line."""

import sys
from collections.abc import Sequence
from typing import TextIO

from lmrl_data.errors import UserError
from lmrl_data.policy import Conversation, Policy
from lmrl_data.text import printable


class HumanPolicy(Policy):
    """Shows the newest text and reads the action from standard input.

    Raises:
        UserError: if the input ends before the episode does.
    """

    name = "human"

    def __init__(self, source: TextIO | None = None, screen: TextIO | None = None) -> None:
        self.source = source or sys.stdin
        # Standard output is for the score.
        self.screen = screen or sys.stderr

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [self._ask(conversation.visible[-1].content) for conversation in conversations]

    def _ask(self, text: str) -> str:
        print(f"{printable(text)}\n> ", end="", file=self.screen, flush=True)
        line = self.source.readline()
        if not line:
            raise UserError("the input ended before the episode did; give one action a line")
        # A terminal may send bytes that are no valid text, and an episode has to be valid.
        return line.rstrip("\n").encode("utf-8", "replace").decode("utf-8")
