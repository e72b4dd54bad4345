"""A human at the keyboard, or any program that writes one action a line."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from typer import echo

from lmrl_data.episode import Episode, Turn
from lmrl_data.errors import UserError
from lmrl_data.policy import Conversation, Policy
from lmrl_data.screen import introduction, outcome, scene
from lmrl_data.task import Task


class HumanPolicy(Policy):
    """Shows the rules once and then what a policy sees, and reads actions, or their short forms, from standard input.

    Args:
        task (`Task`), config (`str`): what is played.
        options (`Mapping`, *optional*): the reset options of the episodes, which a map depends on.
        source (`TextIO`, *optional*), screen (`TextIO`, *optional*): standard input, and standard error, as standard
            output is for the score.

    Raises:
        UserError: if the input ends before the episode does.
    """

    name = "human"

    def __init__(
        self,
        task: Task,
        config: str,
        options: Mapping[str, Any] | None = None,
        source: TextIO | None = None,
        screen: TextIO | None = None,
    ) -> None:
        self.task, self.config, self.options = task, config, options or {}
        self.source = source or sys.stdin
        self.screen = screen or sys.stderr
        self._introduced = False

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [self._ask(conversation) for conversation in conversations]

    def show_end(self, episode: Episode) -> None:
        """Shows the last text of an episode and its return."""
        self._show(scene(self.task, "", episode.turns))
        self._show(f"{outcome(episode.turns, episode.success)}\n")

    def _ask(self, conversation: Conversation) -> str:
        if not self._introduced:
            self._show(f"{introduction(self.task)}\n")
            self._introduced = True
        self._show(scene(self.task, self._picture(conversation.visible), conversation.turns))
        echo("> ", file=self.screen, nl=False)
        line = self.source.readline()
        if not line:
            raise UserError("the input ended before the episode did; give one action a line")
        # A terminal may send bytes that are no valid text, and an episode has to be valid.
        action = line.rstrip("\n").encode("utf-8", "replace").decode("utf-8")
        return self.task.keys.get(action.strip(), action)

    def _picture(self, turns: Sequence[Turn]) -> str:
        return "" if self.task.picture is None else self.task.picture(self.config, self.options, turns)

    def _show(self, text: str) -> None:
        echo(text, file=self.screen)
