"""Replay: plays an episode again turn by turn, to see what a model as oracle would be asked in it."""

from typing import Any

from lmrl_data.dialogue.simulator import GroundedSimulator, Prompt
from lmrl_data.episode import Episode
from lmrl_data.errors import UserError


class Replay:
    """An episode on its way through the simulator again: `ask`, then `finish`, until there is nothing more to ask.

    Args:
        simulator (`Simulator`): of the episode's task and config.
        episode (`Episode`): what the agent and the other side said.

    Raises:
        UserError: if the episode cannot be played again.
    """

    def __init__(self, simulator: Any, episode: Episode) -> None:
        if not isinstance(simulator, GroundedSimulator):
            raise UserError(f"{episode.task} has no dialogue, so there is no oracle to ask or to train")
        self.where = f"the episode of seed {episode.seed}"
        if episode.seed < 0:
            raise UserError(f"{self.where} cannot be played again: converted data has no seeds; use a dataset of ours")
        self.simulator = simulator
        self.episode = episode
        self.reply: str
        texts = [turn for turn in episode.turns if turn.role != "system"]
        self._left = list(zip(texts[1::2], texts[2::2], strict=False))
        observation, _ = simulator.reset(seed=episode.seed)
        self._ended = False
        self._check(observation == texts[0].content, self.episode.num_turns)

    def ask(self) -> Prompt | None:
        """What the oracle is asked next; its view is good until `finish`. `None` at the end."""
        while self._left:
            prompt = self._prompt()
            if prompt.view is not None:
                self.reply = self._left[0][1].content
                return prompt
            self.finish()
        return None

    def _prompt(self) -> Prompt:
        self._check(not self._ended, len(self._left))
        return self.simulator.ask(self._left[0][0].content)

    def finish(self) -> str:
        """Says the episode's own reply; returns what the turn was about, as far as the simulator tells."""
        action, said = self._left.pop(0)
        observation, reward, terminated, truncated, info = self.simulator.finish(said.content)
        self._check((observation, reward) == (said.content, action.reward), len(self._left))
        self._ended = terminated or truncated
        return self.simulator.topic(info)

    def _check(self, same: bool, left: int) -> None:
        if not same:
            turn = self.episode.num_turns - left
            raise UserError(f"{self.where} is not played the same again (turn {turn}); build the dataset anew")
