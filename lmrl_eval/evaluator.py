"""The evaluator: a policy plays a task by one of its protocols and gets a score."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any, NamedTuple

from lmrl_data.episode import Episode
from lmrl_data.errors import UserError
from lmrl_data.policy import Policy
from lmrl_data.rollout import rollout
from lmrl_data.task import EVALUATION_SEED, Task
from lmrl_data.tasks import get_task
from lmrl_data.terminal import progress_bar
from lmrl_eval.oracles.model import ModelOracle
from lmrl_eval.policies.function import Function, FunctionPolicy
from lmrl_eval.record import installed_versions
from lmrl_eval.results import Results, check_episodes
from lmrl_eval.score import oracle_counts, score_episodes


class Evaluator:
    """Scores policies in the simulator.

    Examples:
        >>> from lmrl_data import get_task
        >>> task = get_task("maze")
        >>> policy = task.policy("optimal", "fully_observed")
        >>> Evaluator().compute(policy, task).score.mean_return
        -6.84
    """

    def compute(
        self,
        policy: Policy | Function,
        task: Task | str,
        config: str | None = None,
        *,
        protocol: str | None = None,
        options: Mapping[str, Any] | None = None,
        n_episodes: int | None = None,
        seed: int = EVALUATION_SEED,
        strategy: str = "bootstrap",
        confidence_level: float = 0.95,
        n_resamples: int = 9999,
        batch_size: int = 64,
        progress: bool = False,
        move_accuracy: bool = True,
        policy_seed: int | None = None,
        checkpoint: Mapping[str, Any] | None = None,
        dataset_revision: str | None = None,
        oracle: ModelOracle | None = None,
        done: Sequence[Episode] = (),
        on_episode: Callable[[Episode], None] | None = None,
    ) -> Results:
        """Plays the task's starts in turn, episode `i` with seed `seed + i`, and scores the episodes.

        Args:
            policy (`Policy` or `Callable`): plays the assistant; a function of one's own is called with messages,
                see `FunctionPolicy`.
            task (`Task` or `str`): what is played.
            config (`str`, *optional*): the task's config; its default one otherwise.
            protocol (`str`, *optional*): a protocol of the task; the paper's otherwise.
            options (`Mapping`, *optional*): reset options of every episode, but those that the protocol's starts set.
            n_episodes (`int`, *optional*): spread evenly over the starts; the protocol's number otherwise.
            seed (`int`, *optional*, defaults to `2_000_000`): the seed of the first episode.
            strategy (`str`, *optional*, defaults to `"bootstrap"`): the method of the confidence interval.
            confidence_level (`float`, *optional*, defaults to `0.95`): the level of the interval.
            n_resamples (`int`, *optional*, defaults to `9999`): the number of bootstrap resamples.
            batch_size (`int`, *optional*, defaults to `64`): how many episodes run at the same time.
            progress (`bool`, *optional*, defaults to `False`): whether to show a progress bar.
            move_accuracy (`bool`, *optional*, defaults to `True`): whether to ask the greedy policy for its first
                action from each start, on tasks whose best first actions are known.
            policy_seed (`int`, *optional*): copied into the score.
            checkpoint (`Mapping`, *optional*): copied into the score.
            dataset_revision (`str`, *optional*): copied into the score.
            oracle (`ModelOracle`, *optional*): speaks for the other side of a dialogue; the simulator by default.
            done (`Sequence[Episode]`, *optional*): episodes that an earlier, interrupted call with the same settings
                passed to `on_episode`. They are not played again, and the score has no statistics of the policy.
            on_episode (`Callable`, *optional*): called with each episode as it ends.

        Returns:
            [`Results`]: the score, its episodes, the greedy first actions and the timing.

        Raises:
            UserError: for an unknown task, config or protocol, or a setting out of range.
        """
        task = get_task(task) if isinstance(task, str) else task
        if not isinstance(policy, Policy):
            policy = FunctionPolicy(policy, task)
            checkpoint = checkpoint or policy.describe()
        config = config or task.default_config
        protocol = protocol or next(iter(task.protocols))
        settings = EvaluationSettings(
            task,
            config,
            protocol,
            schedule(task, protocol, n_episodes, seed, options or {}),
            dict(options or {}),
            batch_size,
        )
        played = _play(policy, settings, oracle=oracle, done=done, on_episode=on_episode, progress=progress)
        actions: dict[str, str] = {}
        accuracy = None
        if move_accuracy and task.best_actions is not None:
            best = task.best_actions(config)
            actions = first_actions(policy.greedy(), task, config, seed=seed, batch_size=batch_size)
            accuracy = sum(actions[name] == action for name, action in best.items()) / len(best)
        score = score_episodes(
            played.episodes,
            task,
            config,
            strategy=strategy,
            confidence_level=confidence_level,
            n_resamples=n_resamples,
            protocol=protocol,
            options=settings.options,
            move_accuracy=accuracy,
            policy_seed=policy_seed,
            versions=installed_versions(),
            dataset_revision=dataset_revision,
            checkpoint=None if checkpoint is None else dict(checkpoint),
            statistics=played.statistics,
            oracle=None if oracle is None else oracle.describe() | oracle_counts(played.episodes),
            complaint=policy.complaint(),
        )
        return Results(score, played.episodes, actions, played.timing)


@dataclass(frozen=True)
class EvaluationSettings:
    """What an evaluation plays.

    Args:
        task (`Task`), config (`str`), protocol (`str`): the task, and names of one of its configs and protocols.
        starts (`dict[int, str]`): the name of the start that is played with each seed, see [`schedule`].
        options (`dict`): reset options of every episode.
        batch_size (`int`): how many episodes run at the same time.

    Raises:
        UserError: for an unknown config or a batch size below 1.
    """

    task: Task
    config: str
    protocol: str
    starts: dict[int, str]
    options: dict[str, Any]
    batch_size: int

    def __post_init__(self) -> None:
        self.task.config(self.config)
        if self.batch_size < 1:
            raise UserError(f"the batch size is at least 1, got {self.batch_size}")


class _Played(NamedTuple):
    episodes: list[Episode]
    statistics: dict[str, float]
    timing: dict[str, float]


def _play(
    policy: Policy,
    settings: EvaluationSettings,
    *,
    oracle: ModelOracle | None,
    done: Sequence[Episode],
    on_episode: Callable[[Episode], None] | None,
    progress: bool,
) -> _Played:
    """Plays all episodes but those that are done."""
    starts = settings.starts
    options = settings.task.protocol(settings.protocol).starts
    episodes = {episode.seed: episode for episode in done if episode.seed in starts}
    missing = [seed for seed in starts if seed not in episodes]
    batch_size = settings.batch_size
    statistics_before, work_before = policy.statistics(), {} if oracle is None else oracle.work()
    if oracle is not None:
        oracle.begin()
        batch_size = min(batch_size, oracle.batch_size or batch_size)

    def keep(episode: Episode) -> None:
        context: dict[str, Any] = {"start_name": starts[episode.seed]}
        if oracle is not None:
            context["oracle"] = oracle.counts(episode.seed)
        episodes[episode.seed] = episode = replace(episode, info={**episode.info, **context})
        if on_episode is not None:
            on_episode(episode)
        bar.update()

    begun = time.perf_counter()
    with progress_bar(len(starts), policy.name, "episodes", initial=len(episodes), show=progress) as bar:
        rollout(
            settings.task,
            settings.config,
            policy,
            missing,
            options=[options[starts[seed]] for seed in missing],
            simulator_options=settings.options,
            batch_size=batch_size,
            max_turns=settings.task.max_turns,
            oracle=oracle,
            on_episode=keep,
        )
    seconds = time.perf_counter() - begun
    statistics = _difference(policy.statistics(), statistics_before)
    timing = _timing(seconds, [episodes[seed] for seed in missing], statistics)
    if oracle is not None:
        timing |= {f"oracle_{name}": value for name, value in _difference(oracle.work(), work_before).items()}
    # The policy counted nothing of the episodes that an earlier call played.
    return _Played([episodes[seed] for seed in starts], statistics if len(missing) == len(starts) else {}, timing)


def _difference(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {name: value - before.get(name, 0) for name, value in after.items()}


def _timing(seconds: float, episodes: list[Episode], statistics: Mapping[str, float]) -> dict[str, float]:
    turns = sum(episode.num_turns for episode in episodes)
    rates: dict[str, float] = {"turns_per_second": turns, "episodes_per_second": len(episodes)}
    rates |= {f"{name}_per_second": value for name, value in statistics.items()}
    return {"seconds": seconds} | {name: value / max(seconds, 1e-9) for name, value in rates.items()}


def schedule(
    task: Task, protocol: str | None, n_episodes: int | None, seed: int, options: Iterable[str] = ()
) -> dict[int, str]:
    """The name of the start that is played with each seed: the protocol's starts in turn.

    Raises:
        UserError: for an unknown protocol, a number of episodes or a seed out of range, or one of the `options`, names
            of reset options, that the protocol's starts set.
    """
    chosen = task.protocol(protocol)
    if n_episodes is None:
        n_episodes = chosen.n_episodes
    check_episodes(n_episodes)
    if not 0 <= seed < 2**62:
        raise UserError(f"a seed is a number from 0 to 2**62, got {seed}")
    for name in options:
        if any(name in start for start in chosen.starts.values()):
            named = protocol or next(iter(task.protocols))
            raise UserError(f"the protocol {named} of {task.id} sets {name} itself; leave the option out")
    return dict(zip(range(seed, seed + n_episodes), islice(cycle(chosen.starts), n_episodes), strict=True))


def first_actions(policy: Policy, task: Task, config: str, *, seed: int, batch_size: int) -> dict[str, str]:
    """The policy's first action by the name of the start; episode `i` has the seed `seed + i`."""
    starts = task.protocol().starts
    episodes = rollout(
        task,
        config,
        policy,
        range(seed, seed + len(starts)),
        options=list(starts.values()),
        batch_size=batch_size,
        max_turns=1,
    )
    return {name: episode.turns[1].content for name, episode in zip(starts, episodes, strict=True)}
