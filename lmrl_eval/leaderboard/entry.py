"""A leaderboard entry: one published score. Entries of the same game form a table, in which they are ranked."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from lmrl_data.episode import Episode
from lmrl_data.parsing import checked, parse_yaml
from lmrl_data.task import Task
from lmrl_data.tasks import TASKS
from lmrl_eval.score import PAPER, Score, oracle_name, sampling
from lmrl_eval.verify import Status

RANKED = ("verified", "oracle")
Benchmarks = Mapping[tuple[str, str], tuple[Task, str]]  # (dataset, benchmark id) to (task, config)
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


# --- reading: the scores that a model's repository states


def parse_entries(content: bytes, model: str, known: Benchmarks) -> tuple[list[Entry], int]:
    """The entries of a file of `.eval_results` on known benchmarks, not yet verified, and how many are damaged.

    Raises:
        ValueError: if it is no list of results.
    """
    rows = parse_yaml(content)
    if not isinstance(rows, list):
        raise ValueError("it is no list of results")
    entries, damaged = [], 0
    for row in rows:
        try:
            with checked("the entry is damaged"):
                # The client logs the text of an error: such rows do not reach it.
                if {"error", "data"} & row.keys():
                    raise ValueError
                name = row["dataset"].get("id"), row["dataset"].get("task_id")
                if all(isinstance(part, str) for part in name) and name in known:
                    entries.append(_entry(row, model, *known[name]))
        except ValueError:
            damaged += 1
    return entries, damaged


def _entry(row: dict[str, Any], model: str, task: Task, config: str) -> Entry:
    from huggingface_hub import parse_eval_result_entries

    (stated,) = parse_eval_result_entries([row])
    value = stated.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("the value is no number")
    url = stated.source_url if isinstance(stated.source_url, str) else None
    # YAML reads a day as a date or a text. As text, any other value may grow from a few bytes to gigabytes.
    day = re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", str(stated.date) if isinstance(stated.date, str | date) else "")
    return Entry(model, stated_score(task, config, float(value)), date=day and day[0], episodes_url=url)


def stated_score(task: Task, config: str, value: float) -> Score:
    """The score of an entry whose episodes nobody has read: its normalized return, over 0 episodes."""
    scale = task.config(config).reference
    low, high = (scale.minimum, scale.dataset_mean) if value < 50 else (scale.dataset_mean, scale.maximum)
    mean = low + (high - low) * (value - (0 if value < 50 else 50)) / 50
    return Score(
        task=task.id, task_version=task.version, config=config, policy="not published", n_episodes=0,
        mean_return=mean, interval=(mean, mean), confidence_level=0.95, normalized=value,
        normalized_interval=(value, value), normalized_to_optimum=scale.normalize(mean, to_optimum=True),
        success_rate=0.0, mean_turns=0.0, invalid_rate=0.0, seed=0, n_resamples=0,
    )  # fmt: skip


# --- tables


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
        return 1 + sum(_lowest(other.score) > entry.score.normalized for other in rivals if other is not entry)

    return [replace(entry, rank=rank(entry) if entry.status in RANKED else None) for entry in entries]


def _lowest(score: Score) -> float:
    return score.normalized_interval[0] if score.normalized_interval else score.normalized


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
