"""The leaderboard: what is known of every published score, and where it was found."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from lmrl_data.episode import Episode
from lmrl_eval.score import Score

Status = Literal["verified", "oracle", "flagged", "unchecked"]


@dataclass(frozen=True)
class Entry:
    """One published score.

    Args:
        model (`str`): the model repo, e.g. `"lmrl/maze-ilql-gpt2"`.
        score (`Score`): as published; text in it is whatever its author wrote.
        status (`str`): `"verified"`: replaying the actions gives these rewards; `"oracle"`: the same with the published
            replies of a model as oracle; `"flagged"`: it does not; `"unchecked"`: it could not be tried. Only the
            first two are ranked.
        problems (`Sequence[str]`): why it is flagged or unchecked, one line each.
        algorithm (`str`, *optional*): the recipe, as the model's card says.
        parameters (`int`, *optional*): number of weights, as the score says.
        date (`str`, *optional*): when it was published, e.g. `"2026-11-28"`.
        model_url (`str`, *optional*), episodes_url (`str`, *optional*): pages of the model and of the episodes.
        episodes (`Sequence[Episode]`): a few of them, to look at.
    """

    model: str
    score: Score
    status: Status
    problems: Sequence[str] = ()
    algorithm: str | None = None
    parameters: int | None = None
    date: str | None = None
    model_url: str | None = None
    episodes_url: str | None = None
    episodes: Sequence[Episode] = field(default=(), repr=False)
