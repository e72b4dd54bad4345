"""What the original release has of a task: the formats of its files, and how an episode in them ended."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from lmrl_data.dataset.convert.record import Play


class End(NamedTuple):
    """How a play of the original release ended.

    Args:
        terminated (`bool`): the task itself ended it; otherwise a limit cut it short.
        success (`bool`): the agent reached the task's aim.
        invalid (`int`): how many actions the simulator could not read.
    """

    terminated: bool
    success: bool
    invalid: int


class Original(NamedTuple):
    """A task's files in the original release.

    Args:
        formats (`Mapping[str, str]`): the format of each config's files, a name in `READERS`.
        end (`Callable[[Play], End]`): tells how a play ended.
        ends (`str`): the same rule in words, for the dataset card.
    """

    formats: Mapping[str, str]
    end: Callable[[Play], End]
    ends: str

    @property
    def lines(self) -> bool:
        """Whether a file always holds JSON lines; otherwise it may also be one JSON array."""
        return "steps" in self.formats.values()
