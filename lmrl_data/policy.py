"""The policy: what plays the assistant, and the conversations it sees."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np

from lmrl_data.episode import Episode, Turn

LONGEST_ACTION = 1_000  # characters; no task reads more of an action


@dataclass(eq=False, slots=True, weakref_slot=True)
class Conversation:
    """A running episode as its policy sees it; one object from the first turn to the last.

    Args:
        seed (`int`): the episode's seed. A policy derives its sampling noise from it, so that an episode does not
            depend on the others in the batch.
        history (`int`, *optional*): how many of the latest texts are visible (the paper's `last_k`); `None`: all.
        turns (`list[Turn]`): all turns so far.
        start (`int`): texts before this index are hidden for good.
        index (`int`): index of the episode in its rollout.
    """

    seed: int
    history: int | None
    turns: list[Turn] = field(default_factory=list)
    start: int = 0
    index: int = 0

    @property
    def visible(self) -> list[Turn]:
        """The texts the policy acts on: the system turn, if any, and the latest `history` texts."""
        system = [turn for turn in self.turns[:1] if turn.role == "system"]
        first = max(self.start, len(system))
        if self.history is not None:
            first = max(first, len(self.turns) - self.history)
        return system + self.turns[first:]


class Policy(ABC):
    """Plays the assistant. Always batched: a single conversation is a batch of one."""

    name: str

    @abstractmethod
    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        """One action per conversation, in order."""

    def complaint(self) -> str | None:
        """What the user should know about the actions so far; `None` if all is well."""
        return None

    def show_end(self, episode: Episode) -> None:  # noqa: B027
        """Shows a person who plays how an episode ended; other policies show nothing."""

    def greedy(self) -> "Policy":
        """The same policy without sampling noise; by default the policy itself."""
        return self

    def statistics(self) -> dict[str, float]:
        """Counts for reports, such as the tokens written, encoded and reused; may be empty."""
        return {}


class Streams:
    """A policy's random generators, one for each conversation.

    An episode therefore does not depend on the others in the batch.

    Args:
        seed (`int`): the policy's seed; the episode's is added to it.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: WeakKeyDictionary[Conversation, np.random.Generator] = WeakKeyDictionary()

    def __getitem__(self, conversation: Conversation) -> np.random.Generator:
        stream = self._streams.get(conversation)
        if stream is None:
            stream = self._streams[conversation] = np.random.default_rng([self.seed, conversation.seed])
        return stream
