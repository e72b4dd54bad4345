"""The score: what a policy earned on a task, with its interval, its seeds and everything that reproduces it."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from lmrl_data.episode import Episode
from lmrl_data.errors import UserError, unknown
from lmrl_data.task import EVALUATION_SEED, Task
from lmrl_data.tasks import get_task
from lmrl_data.text import one_line, short_json
from lmrl_eval.record import Record

STRATEGIES = ("bootstrap",)
PAPER = "paper"  # every task's first protocol
INTERVAL = (0.95, 9999)  # the default confidence level and number of resamples
ORACLE_COUNTS = ("asked", "regenerated", "replaced")
Number = int | float  # JSON may write 100.0 as 100


@dataclass(frozen=True)
class Score(Record):
    """One policy's result on one task config, as in a `score.json`.

    Args:
        task (`str`), task_version (`str`), config (`str`), policy (`str`): what was played, and by which policy.
        n_episodes (`int`): number of episodes.
        mean_return (`float`): mean undiscounted sum of rewards.
        interval (`tuple[float, float]`, *optional*): confidence interval of `mean_return`; `None` for one episode.
        confidence_level (`float`): confidence level of the intervals.
        normalized (`float`): 0 / 50 / 100 at the task's minimum / dataset mean / maximum; never clipped.
        normalized_interval (`tuple[float, float]`, *optional*): confidence interval of `normalized`.
        normalized_to_optimum (`float`): `normalized` on a scale with the best possible return at 100.
        success_rate (`float`): share of the episodes that reached the task's aim.
        mean_turns (`float`): mean number of actions in an episode.
        invalid_rate (`float`): share of all actions that the simulator could not read.
        seed (`int`): the seed of the first episode.
        n_resamples (`int`): number of bootstrap resamples behind the intervals.
        strategy (`str`): the method of the intervals.
        protocol (`str`, *optional*): the protocol of the task that was played.
        options (`dict`): reset options of every episode that differ from the task's own.
        move_accuracy (`float`, *optional*): share of the starts where the greedy first action is a best one.
        policy_seed (`int`, *optional*): the seed of the policy's own noise.
        versions (`dict[str, str]`): versions of the libraries that took part.
        dataset_revision (`str`, *optional*): revision of the data that the policy was trained on, where it is known.
        checkpoint (`dict`, *optional*): the origin of the weights and the settings of the sampling; of a chat model
            its name and host, and digests of its instructions.
        statistics (`dict[str, float]`): the policy's own counts, e.g. of tokens.
        oracle (`dict`, *optional*): the model that spoke for the other side of a dialogue (`spec`), and how often it
            was `asked`, asked again (`regenerated`) and replaced by the fallback (`replaced`); `None` for the
            simulator itself.
        complaint (`str`, *optional*): what the policy says of its own answers, e.g. that many could not be read.
    """

    task: str
    task_version: str
    config: str
    policy: str
    n_episodes: int
    mean_return: Number
    interval: tuple[Number, Number] | None
    confidence_level: Number
    normalized: Number
    normalized_interval: tuple[Number, Number] | None
    normalized_to_optimum: Number
    success_rate: Number
    mean_turns: Number
    invalid_rate: Number
    seed: int
    n_resamples: int
    strategy: str = "bootstrap"
    protocol: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    move_accuracy: Number | None = None
    policy_seed: int | None = None
    versions: dict[str, str] = field(default_factory=dict)
    dataset_revision: str | None = None
    checkpoint: dict[str, Any] | None = None
    statistics: dict[str, Number] = field(default_factory=dict)
    oracle: dict[str, Any] | None = None
    complaint: str | None = None

    def check(self) -> None:
        if self.oracle is not None and not isinstance(self.oracle.get("spec"), str):
            raise ValueError(f"oracle must have a spec, got {self.oracle!r}")
        intervals = (self.interval, self.normalized_interval)
        if None in intervals and (self.n_episodes > 1 or intervals != (None, None)):
            raise ValueError("only a score of one episode has no intervals")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        # JSON has no tuples.
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**fields)


def score_episodes(
    episodes: Sequence[Episode],
    task: Task,
    config: str | None = None,
    *,
    strategy: str = "bootstrap",
    confidence_level: float = 0.95,
    n_resamples: int = 9999,
    **context: Any,
) -> Score:
    """The score of these episodes.

    Args:
        episodes (`Sequence[Episode]`): episodes of `task` and `config`, at least two for an interval. Those with the
            same `info["start_name"]` have the same start.
        task (`Task`): the task of the episodes.
        config (`str`, *optional*): the config of the episodes; the task's default one otherwise.
        strategy (`str`, *optional*, defaults to `"bootstrap"`): the method of the confidence interval.
        confidence_level (`float`, *optional*, defaults to `0.95`): the level of the interval.
        n_resamples (`int`, *optional*, defaults to `9999`): the number of bootstrap resamples.
        context (`Any`): fields of [`Score`] that do not follow from the episodes, e.g. `protocol` or `versions`.

    Raises:
        UserError: for no episodes, one of another task or config, or a setting out of range.
    """
    config = config or task.default_config
    reference = task.config(config).reference
    if strategy not in STRATEGIES:
        raise unknown("strategy", strategy, STRATEGIES)
    if not episodes:
        raise UserError("a score needs at least 1 episode, got 0")
    for episode in episodes:
        if (episode.task, episode.config) != (task.id, config):
            raise UserError(
                f"these should be episodes of {task.id} {config}, but one is of {episode.task} {episode.config}"
            )
    mean_return = math.fsum(episode.total_reward for episode in episodes) / len(episodes)
    seed = min(episode.seed for episode in episodes)
    interval = bootstrap_interval(
        _by_start(episodes), confidence_level=confidence_level, n_resamples=n_resamples, seed=seed
    )
    turns = sum(episode.num_turns for episode in episodes)
    return Score(
        task=task.id,
        task_version=task.version,
        config=config,
        policy=", ".join(dict.fromkeys(episode.policy for episode in episodes)),
        n_episodes=len(episodes),
        mean_return=mean_return,
        interval=interval,
        confidence_level=confidence_level,
        normalized=reference.normalize(mean_return),
        # Normalization is increasing, so the bounds may be normalized one by one.
        normalized_interval=interval and (reference.normalize(interval[0]), reference.normalize(interval[1])),
        normalized_to_optimum=reference.normalize(mean_return, to_optimum=True),
        success_rate=sum(episode.success for episode in episodes) / len(episodes),
        mean_turns=turns / len(episodes),
        invalid_rate=sum(episode.info["invalid"] for episode in episodes) / turns,
        seed=seed,
        n_resamples=n_resamples,
        strategy=strategy,
        **context,
    )


def oracle_counts(episodes: Sequence[Episode]) -> dict[str, int]:
    """How often the oracle of these episodes was asked, asked again and replaced by the fallback."""
    return {name: sum(episode.info["oracle"][name] for episode in episodes) for name in ORACLE_COUNTS}


def _by_start(episodes: Sequence[Episode]) -> list[list[float]]:
    groups: dict[Any, list[float]] = {}
    for episode in episodes:
        groups.setdefault(episode.info.get("start_name"), []).append(episode.total_reward)
    return list(groups.values())


def bootstrap_interval(
    groups: Sequence[Sequence[float]], *, confidence_level: float, n_resamples: int, seed: int
) -> tuple[float, float] | None:
    """The percentile bootstrap interval of the mean of all values; `None` for one value, whose noise is unknown.

    The protocol fixes how often each start is played, so differences between the starts are not noise, and values are
    resampled within their group. Each resample draws `n - 1` of a group's `n` values: then the resampled mean has the
    unbiased variance of the mean, also in small groups (Rao and Wu, 1988). The noise of a group of one is unknown. If
    there is such a group, all values count as one group, and the interval is too wide rather than too narrow.

    Args:
        groups (`Sequence[Sequence[float]]`): the values by start.
        confidence_level (`float`): between 0 and 1.
        n_resamples (`int`): at least 1.
        seed (`int`): seed of the resampling.

    Raises:
        UserError: for a setting out of range.
    """
    if not 0 < confidence_level < 1:
        raise UserError(f"the confidence level is between 0 and 1, got {confidence_level}")
    if n_resamples < 1:
        raise UserError(f"the number of resamples is at least 1, got {n_resamples}")
    if any(len(group) < 2 for group in groups):
        groups = [[value for group in groups for value in group]]
    if sum(map(len, groups)) < 2:
        return None
    random = np.random.default_rng(seed)
    total = np.zeros(n_resamples)
    for group in groups:
        values, counts = np.unique(np.asarray(group, dtype=float), return_counts=True)
        draws = random.multinomial(len(group) - 1, counts / len(group), size=n_resamples)
        total += (draws * values).sum(axis=1) * len(group) / (len(group) - 1)
    means = total / sum(len(group) for group in groups)
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


# --- for readers


def oracle_name(score: Score) -> str:
    """The model that spoke for the other side; empty for the simulator itself. Each oracle makes a game of its own."""
    return "" if score.oracle is None else oracle_label(score.oracle, None)


def oracle_label(oracle: Mapping[str, Any], limit: int | None = 80) -> str:
    """The name of an oracle, of at most so many characters, with the beginning of its weights' digest."""
    weights = oracle.get("weights_sha256")
    name = one_line(str(oracle["spec"]), limit) or "without a name"
    return f"{name} ({one_line(weights[:8])})" if isinstance(weights, str) else name


NAMELESS = "names no checkpoint: nobody knows which model played"


def player_of(score: Score) -> str | None:
    """What played: a checkpoint folder, a model of the Hub, `chat:MODEL`, `scripted:NAME` or `human`.

    `None` if the score does not say: anybody may give such a result any name.
    """
    source = (score.checkpoint or {}).get("source")
    if isinstance(source, str) and source.strip():
        return source
    return score.policy if score.checkpoint is None and re.fullmatch(r"scripted:\w+|human", score.policy) else None


def departures(score: Score) -> list[str]:
    """Differences between how a score was played and the paper's protocol; the score is true, but of something else.

    Args:
        score (`Score`): of a task that is installed.
    """
    lines = [] if score.protocol == PAPER else [f"protocol {one_line(str(score.protocol))}, not {PAPER}"]
    lines += sampling(score)
    lines += [f"option {one_line(name)}={short_json(value)}" for name, value in score.options.items()]
    return lines


def sampling(score: Score) -> list[str]:
    """Differences between a score's episodes or interval and those of its protocol.

    Args:
        score (`Score`): of a task that is installed.
    """
    protocol = get_task(score.task).protocols.get(score.protocol or PAPER)
    lines = []
    if protocol is not None and score.n_episodes != protocol.n_episodes:
        lines.append(f"{score.n_episodes} episode{'s' * (score.n_episodes != 1)}, not {protocol.n_episodes}")
    if score.seed != EVALUATION_SEED:
        lines.append(f"seeds from {score.seed}, not from {EVALUATION_SEED}")
    if (score.confidence_level, score.n_resamples) != INTERVAL:
        lines.append(f"interval of {100 * score.confidence_level:g}% from {score.n_resamples} resamples")
    return lines
