"""The oracle: what answers inside a dialogue simulator (rules, a language model, an engine), asked in batches."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

Asked_contra = TypeVar("Asked_contra", contravariant=True)


class Oracle(Protocol[Asked_contra]):
    """Answers the prompts a `DialogueSimulator` makes."""

    def answer(self, prompts: Sequence[Asked_contra]) -> list[str]:
        """One reply per prompt, in order."""
        ...
