"""The evaluator: a policy plays a task by the paper's protocol, and what comes out is a score."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from itertools import cycle, islice
from typing import Any

from tqdm import tqdm

from lmrl_data.episode import Episode
from lmrl_data.errors import UserError
from lmrl_data.policy import Policy
from lmrl_data.rollout import EpisodeRecorder, rollout
from lmrl_data.task import EVALUATION_SEED, Task
from lmrl_data.tasks import get_task
from lmrl_eval.oracles.model import COUNTS, ModelOracle
from lmrl_eval.results import Results
from lmrl_eval.score import score_episodes


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
        policy: Policy,
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
            policy (`Policy`): plays the assistant.
            task (`Task` or `str`): what is played.
            config (`str`, *optional*): the task's config; its default one otherwise.
            protocol (`str`, *optional*): a protocol of the task; the paper's otherwise.
            options (`Mapping`, *optional*): reset options of every episode; the starts of the protocol go before them.
            n_episodes (`int`, *optional*): spread evenly over the starts; the protocol's number otherwise.
            seed (`int`, *optional*, defaults to `2_000_000`): the first episode's seed.
            strategy (`str`, *optional*, defaults to `"bootstrap"`): how the interval is made.
            confidence_level (`float`, *optional*, defaults to `0.95`): of the interval.
            n_resamples (`int`, *optional*, defaults to `9999`): of the bootstrap.
            batch_size (`int`, *optional*, defaults to `64`): how many episodes run at the same time.
            progress (`bool`, *optional*, defaults to `False`): whether to show a progress bar.
            move_accuracy (`bool`, *optional*, defaults to `True`): whether to ask the greedy policy for its first
                action from each start, on tasks whose best first actions are known.
            policy_seed (`int`, *optional*): kept in the score.
            checkpoint (`Mapping`, *optional*): kept in the score.
            dataset_revision (`str`, *optional*): kept in the score.
            oracle (`ModelOracle`, *optional*): speaks for the other side of a dialogue; the simulator by default.
            done (`Sequence[Episode]`, *optional*): what an earlier, unfinished call with the same settings handed to
                `on_episode`; these are not played again. The policy's statistics are then left out.
            on_episode (`Callable`, *optional*): is given each episode as it ends.

        Returns:
            [`Results`]: the score, its episodes, the greedy first actions and the timing.

        Raises:
            UserError: for an unknown task, config or protocol, or a setting out of range.
        """
        task = get_task(task) if isinstance(task, str) else task
        config = config or task.default_config
        task.config(config)
        protocol = protocol or next(iter(task.protocols))
        starts = task.protocol(protocol).starts
        names = schedule(task, protocol, n_episodes, seed)
        n_episodes = len(names)
        if batch_size < 1:
            raise UserError(f"the batch size is at least 1, got {batch_size}")
        by_seed = {episode.seed: episode for episode in done if episode.seed in names}
        missing = [each for each in names if each not in by_seed]
        before, work_before = policy.statistics(), oracle.work() if oracle else {}
        if oracle is not None:
            oracle.begin()
            batch_size = min(batch_size, oracle.batch_size or batch_size)
        begun = time.perf_counter()
        with tqdm(
            total=n_episodes,
            initial=len(by_seed),
            desc=policy.name,
            unit="episode",
            disable=None if progress else True,
        ) as bar:

            def keep(episode: Episode) -> None:
                told: dict[str, Any] = {"start_name": names[episode.seed]}
                if oracle is not None:
                    told["oracle"] = oracle.counts(episode.seed)
                by_seed[episode.seed] = episode = replace(episode, info={**episode.info, **told})
                if on_episode is not None:
                    on_episode(episode)
                bar.update()

            rollout(
                task,
                config,
                policy,
                missing,
                options=[starts[names[each]] for each in missing],
                simulator_options=options,
                batch_size=batch_size,
                max_turns=task.max_turns,
                oracle=oracle,
                on_episode=keep,
            )
        seconds = time.perf_counter() - begun
        counted = {name: value - before.get(name, 0) for name, value in policy.statistics().items()}
        episodes = [by_seed[each] for each in names]
        actions: dict[str, str] = {}
        accuracy = None
        if move_accuracy and task.best_actions is not None:
            best = task.best_actions(config)
            actions = first_actions(policy.greedy(), task, config, seed=seed, batch_size=batch_size)
            accuracy = sum(actions[name] == action for name, action in best.items()) / len(best)
        score = score_episodes(
            episodes,
            task,
            config,
            strategy=strategy,
            confidence_level=confidence_level,
            n_resamples=n_resamples,
        )
        score = replace(
            score,
            protocol=protocol,
            options=dict(options or {}),
            move_accuracy=accuracy,
            policy_seed=policy_seed,
            versions=versions(),
            dataset_revision=dataset_revision,
            checkpoint=checkpoint,
            statistics={} if len(missing) < n_episodes else counted,
            oracle=None if oracle is None else oracle.describe() | counts_of(episodes),
        )
        timing = _timing(seconds, [by_seed[each] for each in missing], counted)
        if oracle is not None:
            timing |= {f"oracle_{name}": value - work_before.get(name, 0) for name, value in oracle.work().items()}
        return Results(score, episodes, actions, timing)


def schedule(task: Task, protocol: str | None, n_episodes: int | None, seed: int) -> dict[int, str]:
    """Which start is played with which seed: all starts of the protocol in turn.

    Raises:
        UserError: for an unknown protocol, fewer than two episodes, or a seed out of range.
    """
    chosen = task.protocol(protocol)
    if n_episodes is None:
        n_episodes = chosen.n_episodes
    if n_episodes < 2:
        raise UserError(f"an interval needs at least 2 episodes, got {n_episodes}")
    if not 0 <= seed < 2**62:
        raise UserError(f"a seed is a number from 0 to 2**62, got {seed}")
    return dict(zip(range(seed, seed + n_episodes), islice(cycle(chosen.starts), n_episodes), strict=True))


def counts_of(episodes: Sequence[Episode]) -> dict[str, int]:
    """How often the oracle of these episodes was asked, asked again and not understood."""
    return {name: sum(episode.info["oracle"][name] for episode in episodes) for name in COUNTS}


def first_actions(policy: Policy, task: Task, config: str, *, seed: int, batch_size: int) -> dict[str, str]:
    """What the policy does first, by the name of the start."""
    recorder = EpisodeRecorder(task.id, task.simulator(config=config), task.config(config).history)
    starts = task.protocol().starts
    conversations = []
    for index, options in enumerate(starts.values()):
        recorder.begin(seed + index, options)
        conversations.append(recorder.conversation)
    batches = [conversations[i : i + batch_size] for i in range(0, len(conversations), batch_size)]
    actions = [action for batch in batches for action in policy.act(batch)]
    # As the simulator reads them: one final newline is no part of an action.
    return {name: action.removesuffix("\n") for name, action in zip(starts, actions, strict=True)}


def versions() -> dict[str, str]:
    """The versions of the libraries a score can depend on, of those that are installed."""
    found = {}
    for name in ("lmrl", "numpy", "torch", "transformers", "peft"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _timing(seconds: float, episodes: list[Episode], counted: Mapping[str, float]) -> dict[str, float]:
    turns = sum(episode.num_turns for episode in episodes)
    rates: dict[str, float] = {"turns_per_second": turns, "episodes_per_second": len(episodes)}
    rates |= {f"{name}_per_second": value for name, value in counted.items()}
    return {"seconds": seconds} | {name: value / max(seconds, 1e-9) for name, value in rates.items()}
