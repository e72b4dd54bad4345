"""The oracle: the answering model inside a dialogue simulator, asked in batches."""

from collections.abc import Sequence
from typing import Protocol


class Oracle(Protocol):
    """Answers the prompts a `DialogueSimulator` writes."""

    def answer(self, prompts: Sequence[str]) -> list[str]:
        """One reply per prompt, in order."""
        ...
