"""Replays an episode turn by turn to find the prompts that a model as oracle would get in it."""

from typing import Any

from lmrl_data.dialogue.simulator import GroundedSimulator, Prompt
from lmrl_data.episode import Episode
from lmrl_data.errors import UserError
from lmrl_data.rollout import EpisodeRecorder


class DialogueReplay:
    """Replays an episode: call `ask`, then `finish`, until `ask` returns `None`.

    Args:
        simulator (`Simulator`): of the episode's task and config.
        episode (`Episode`): the dialogue of the agent and the other side.

    Raises:
        UserError: if the episode cannot be replayed.
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
        self._recorder = EpisodeRecorder(episode.task, simulator)
        observation = self._recorder.begin(episode.seed)
        self._ended = False
        self._check(observation == texts[0].content, self.episode.num_turns)

    def ask(self) -> Prompt | None:
        """The next prompt for the oracle, or `None` at the end; the prompt's view is valid until `finish`."""
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
        """Gives the simulator the episode's own reply and returns what the turn was about."""
        action, reply = self._left.pop(0)
        step = self.simulator.finish(reply.content)
        self._check(step[:2] == (reply.content, action.reward), len(self._left))
        self._ended = self._recorder.add(action.content, step)
        return self.simulator.topic(step[4])

    def _check(self, same: bool, left: int) -> None:
        if not same:
            turn = self.episode.num_turns - left
            raise UserError(f"{self.where} is not played the same again (turn {turn}); build the dataset anew")
