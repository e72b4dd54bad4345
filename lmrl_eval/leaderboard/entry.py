"""A leaderboard entry: one published score. Entries of the same game form a table, in which they are ranked."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lmrl_data.episode import Episode
from lmrl_data.tasks import TASKS
from lmrl_eval.report import oracle_name
from lmrl_eval.score import Score
from lmrl_eval.verify import PAPER, Status, sampling

TAG = "lmrl-gym"  # the tag of models with our scores
RANKED = ("verified", "oracle")
Table = list["Entry"]  # the entries of one game: the ranked ones, then the others


@dataclass(frozen=True)
class Entry:
    """One published score.

    Args:
        model (`str`): the model repository, e.g. `"lmrl/maze-ilql-gpt2"`.
        score (`Score`): the published score; its texts are whatever the author wrote. Without episodes to read, it is
            the stated number over 0 episodes.
        status (`str`, *optional*, defaults to `"unchecked"`): `"verified"`: a replay of the actions gives the same
            rewards; `"oracle"`: it does with the published replies of an oracle model; `"flagged"`: it does not;
            `"unchecked"`: no replay was possible. Only the first two are ranked.
        problems (`Sequence[str]`, *optional*): the reasons for `"flagged"` or `"unchecked"`, one line each.
        algorithm (`str`, *optional*): the recipe, by the score or the model's tags.
        parameters (`int`, *optional*): the number of weights.
        date (`str`, *optional*): the day of publication, e.g. `"2026-11-28"`.
        model_url (`str`, *optional*), episodes_url (`str`, *optional*): pages of the model and of the episodes.
        episodes (`Sequence[Episode]`, *optional*): a few episodes to show.
        rank (`int`, *optional*), anchor (`str`, *optional*): rank in its table and name in addresses; `tables` sets
            both.
    """

    model: str
    score: Score
    status: Status = "unchecked"
    problems: Sequence[str] = ()
    algorithm: str | None = None
    parameters: int | None = None
    date: str | None = None
    model_url: str | None = None
    episodes_url: str | None = None
    episodes: Sequence[Episode] = field(default=(), repr=False)
    rank: int | None = field(default=None, repr=False)
    anchor: str = field(default="", repr=False)


def game(score: Score) -> tuple[str, str, str, str, str]:
    """Task, config, version, oracle and conditions: only scores that agree in all of them are compared."""
    return score.task, score.config, score.task_version, oracle_name(score), conditions(score)


def conditions(score: Score) -> str:
    """Protocol, reset options, seeds and kind of interval, where they are not the task's own."""
    options = score.options if isinstance(score.options, Mapping) else {"options": score.options}
    parts = [f"{name}={json.dumps(value)}" for name, value in sorted(options.items())]
    if score.protocol not in (None, PAPER):
        parts.insert(0, f"protocol {score.protocol}")
    # Authors can choose seeds and narrow an interval. A score without episodes says nothing of either.
    if score.n_episodes and score.task in TASKS:
        parts += sampling(score)
    return ", ".join(parts)


def tables(entries: Iterable[Entry]) -> list[Table]:
    """The tables of a leaderboard, tasks in the registry's order and newest versions first; every entry has its rank
    and its anchor."""
    members: dict[tuple[str, str, str, str, str], list[Entry]] = {}
    for entry in entries:
        members.setdefault(game(entry.score), []).append(entry)
    known = list(TASKS)

    def order(key: tuple[str, ...]) -> tuple[object, ...]:
        task, config, version, *rest = key
        numbers = [-int(number) for number in re.findall(r"[0-9]{1,9}", version)]
        return known.index(task) if task in known else len(known), task, config, numbers, version, rest

    anchors: set[str] = set()
    return [
        [_anchored(entry, anchors) for entry in sorted(ranked(members[key]), key=_order)]
        for key in sorted(members, key=order)
    ]


def ranked(entries: Sequence[Entry]) -> list[Entry]:
    """The entries of one table with their ranks.

    Intervals are compared with scores and not with one another, so nobody ranks higher by playing fewer episodes.
    """
    rivals = [entry for entry in entries if entry.status in RANKED]

    def rank(entry: Entry) -> int:
        return 1 + sum(other.score.normalized_interval[0] > entry.score.normalized for other in rivals
                       if other is not entry)  # fmt: skip

    return [replace(entry, rank=rank(entry) if entry.status in RANKED else None) for entry in entries]


def _order(entry: Entry) -> tuple[object, ...]:
    place = entry.status if entry.rank is None else entry.rank
    return entry.rank is None, place, -entry.score.normalized, entry.model, entry.score.policy, repr(entry)


def _anchored(entry: Entry, anchors: set[str]) -> Entry:
    score = entry.score
    key = (entry.model, score.task, score.config, score.task_version, score.policy, oracle_name(score),
           conditions(score), score.seed, score.policy_seed)  # fmt: skip
    # A digest of the entry itself: a link to an episode stays good when other entries come and go.
    anchor = digest = hashlib.sha256(repr(key).encode("utf-8", "replace")).hexdigest()[:10]
    while anchor in anchors:
        anchor = f"{digest}-{len(anchors)}"
    anchors.add(anchor)
    return replace(entry, anchor=anchor)
