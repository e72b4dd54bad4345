"""Verification: replays the episodes behind a published score and computes the score anew.

The simulators are deterministic: version, config, options, seed and actions determine every text and every reward. So
a score can be checked without the model that played. A replay cannot check who chose the actions (the policy's name,
its checkpoint, library versions and statistics), whether they were the first attempt, and `move_accuracy`, which
comes from actions outside the episodes.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal

from lmrl_data.dialogue.simulator import GroundedSimulator
from lmrl_data.episode import Episode
from lmrl_data.errors import UserError
from lmrl_data.rollout import EpisodeRecorder
from lmrl_data.simulator import Simulator, Step
from lmrl_data.task import Task
from lmrl_data.tasks import get_task
from lmrl_data.terminal import progress_bar
from lmrl_data.text import one_line, short_json
from lmrl_eval.results import SCORE, Results, read_results
from lmrl_eval.score import (
    NAMELESS,
    ORACLE_COUNTS,
    STRATEGIES,
    Score,
    departures,
    oracle_counts,
    player_of,
    score_episodes,
)

Status = Literal["verified", "oracle", "flagged", "unchecked"]

MAX_PROBLEMS = 5  # that are listed; the others are counted
MAX_SHARE = 10  # at most this many times the episodes of the task's largest protocol are replayed
MAX_DRAWS = 50_000_000  # of the bootstrap: resamples times different returns, each of 16 bytes
TOLERANCE = 1e-9
NUMBERS = (
    "mean_return",
    "interval",
    "normalized",
    "normalized_interval",
    "normalized_to_optimum",
    "success_rate",
    "mean_turns",
    "invalid_rate",
)


@dataclass(frozen=True)
class Verification:
    """The outcome of replaying a score's episodes.

    Args:
        status (`str`): `"verified"`: the replay gives the same episodes and score; `"oracle"`: it does so with the
            replies of a model that the episodes contain; `"flagged"`: it does not; `"unchecked"`: the episodes cannot
            be replayed here.
        problems (`tuple[str, ...]`): why it is flagged or unchecked, each one line that is safe to print.
        n_episodes (`int`): number of episodes.
        n_replayed (`int`): number of episodes whose replay gave the same.
        score (`Score`, *optional*): the published score with its numbers computed anew; `None` if an episode differs.
    """

    status: Status
    problems: tuple[str, ...]
    n_episodes: int
    n_replayed: int
    score: Score | None


def verify_results(results: str | Path | Results, *, progress: bool = False) -> Verification:
    """Replays the episodes of results that anyone may have made, and computes their score anew.

    Args:
        results (`str`, `Path` or `Results`): a results folder, or what was read from one.
        progress (`bool`, *optional*, defaults to `False`): whether to show a progress bar.

    Raises:
        UserError: if the folder holds no results at all.
    """
    if not isinstance(results, Results):
        folder = results
        try:
            results = read_results(folder)
        except UserError as error:
            if not Path(folder, SCORE).is_file():
                raise
            return _unplayed("flagged", error)
    n_episodes = len(results.episodes)
    try:
        return _verify(results, progress)
    except UserError as error:
        # The episodes may be right: they need something that is not installed here.
        return _unplayed("unchecked", error, n_episodes)
    except RecursionError:
        return _unplayed("flagged", "its options or infos are nested too deeply", n_episodes)


def _unplayed(status: Status, problem: object, n_episodes: int = 0) -> Verification:
    return Verification(status, (one_line(problem, 300),), n_episodes, 0, None)


def _verify(results: Results, progress: bool) -> Verification:
    score, episodes = results.score, results.episodes
    problems = contradictions(score, episodes)
    if problems:
        return _flagged(problems, len(episodes), 0)
    task = get_task(score.task)
    if score.task_version != task.version:
        raise UserError(
            f"version {score.task_version} of {task.id} was played and version {task.version} is installed; install "
            "the lmrl that has it"
        )
    task.config(score.config)
    starts = task.protocol(score.protocol).starts
    maximum = MAX_SHARE * max(protocol.n_episodes for protocol in task.protocols.values())
    if len(episodes) > maximum:
        raise UserError(f"there are {len(episodes):,} episodes; of {task.id} no more than {maximum:,} are replayed")
    for name in task.local_options:
        if name in score.options:
            raise UserError(f"the option {name} names a file of whoever played, which is not here")
    simulator = task.simulator(config=score.config, options=score.options)
    if score.oracle is not None and not isinstance(simulator, GroundedSimulator):
        return _flagged([f"{task.id} has no dialogue, yet an oracle is named"], len(episodes), 0)
    if task.check_replay is not None:
        task.check_replay(simulator, next(iter(starts.values())), episodes)
    n_replayed = 0
    with progress_bar(len(episodes), "replayed", "episodes", show=progress) as bar:
        for episode, (name, start) in zip(episodes, islice(cycle(starts.items()), len(episodes)), strict=True):
            differences = []
            if episode.info.get("start_name") != name:
                differences.append(
                    f"the episode of seed {episode.seed} began at {short_json(episode.info.get('start_name'))}, "
                    f"and the protocol has it begin at {short_json(name)}"
                )
            differences += replay_episode(task, simulator, episode, start, oracle=score.oracle is not None)
            n_replayed += not differences
            problems += differences
            bar.update()
    if problems:
        return _flagged(problems, len(episodes), n_replayed)
    return _check_numbers(score, episodes, task)


def contradictions(score: Score, episodes: Sequence[Episode]) -> list[str]:
    """Contradictions between a score and its episodes that show without replaying, including gaps in the seeds."""
    if not score.protocol:
        return ["no protocol is named, so it is unknown which starts should have been played"]
    problems = []
    if score.strategy not in STRATEGIES or score.n_resamples < 1 or not 0 < score.confidence_level < 1:
        problems.append("the interval has an impossible strategy, n_resamples or confidence_level")
    if not 0 <= score.seed < 2**62:
        problems.append(f"no evaluation begins with the seed {score.seed}; episodes of converted data have none")
    if score.n_episodes != len(episodes) or not episodes:
        problems.append(f"the score is over {score.n_episodes} episodes, and there are {len(episodes)}")
    for seed, episode in enumerate(episodes, score.seed):
        if episode.seed != seed:
            problems.append(
                f"the episode of seed {episode.seed} stands where that of seed {seed} should; all seeds from "
                f"{score.seed} on are played, each once and in turn"
            )
            break
        for name in ("task", "config", "policy"):
            if getattr(episode, name) != getattr(score, name):
                problems.append(f"the {name} of the episode of seed {seed} is not the score's")
                return problems
    return problems


# --- one episode


def replay_episode(
    task: Task, simulator: Simulator, episode: Episode, options: Mapping[str, Any], *, oracle: bool = False
) -> list[str]:
    """Replays an episode's actions; returns the differences, up to the first turn that has one.

    Args:
        task (`Task`): what was played.
        simulator (`Simulator`): of the episode's config, with the options of the whole score.
        episode (`Episode`): as the evaluator records it.
        options (`Mapping`): reset options of this episode.
        oracle (`bool`, *optional*, defaults to `False`): whether a model spoke for the other side. Its replies are
            then taken from the episode, where the rules of the task allow them.

    Raises:
        UserError: if the simulator does not accept these options.
    """
    where = f"the episode of seed {episode.seed}"
    recorder = EpisodeRecorder(task.id, simulator, max_turns=task.max_turns)
    observation = recorder.begin(episode.seed, options)
    first, *texts = episode.turns
    if (first.role, first.content) != ("user", observation):
        return [f"{where} begins with {_differs(first.content, observation)}"]
    replies = _Replies()
    ended = False
    for number, (action, seen) in enumerate(zip(texts[::2], texts[1::2], strict=False), 1):
        if ended:
            return [f"{where} goes on after its end with turn {number}"]
        # The record has no final newline any more, and the simulator removes one.
        text = f"{action.content}\n"
        if oracle and isinstance(simulator, GroundedSimulator):
            step, refusal = replies.step(simulator, text, seen.content)
            if refusal:
                return [f"{where}, turn {number}: {refusal}"]
        else:
            step = simulator.step(text)
        observation, reward, *_ = step
        if seen.content != observation:
            return [f"{where}, turn {number}: {_differs(seen.content, observation)}"]
        if action.reward != reward:
            return [f"{where}, turn {number}: the reward is {action.reward}, and the simulator's {reward}"]
        ended = recorder.add(action.content, step)
    if len(texts) % 2 or not ended:
        return [f"{where} stops before its end, after {episode.num_turns} turns"]
    if episode.terminated != recorder.terminated:
        return [f"{where} claims to be {'terminated' if episode.terminated else 'truncated'}, and it is not"]
    return [
        f"{where}: {problem}" for problem in _info_problems(episode.info, recorder.info, replies if oracle else None)
    ]


class _Replies:
    """The replies of a model as oracle in an episode, checked against the prompts that the simulator makes."""

    def __init__(self) -> None:
        self.asked = 0  # prompts for the model
        self.fallback = 0  # of these, prompts that the fallback answers

    def step(self, simulator: GroundedSimulator, action: str, reply: str) -> tuple[Step, str]:
        """The step with that reply, and why the rules refuse the reply, if they do."""
        prompt = simulator.ask(action)
        refusal = ""
        if prompt.view is None:
            if reply != prompt.grounded:
                refusal = f"the rules speak, and {_differs(reply, prompt.grounded)}"
        else:
            self.asked += 1
            self.fallback += reply == prompt.fallback
            if reply not in (prompt.fallback, prompt.parse(reply)):
                refusal = f"no oracle's reply is {short_json(reply)}: the rules refuse it"
        return simulator.finish(reply), refusal

    def problems(self, counts: Any) -> list[str]:
        """Contradictions in the episode's own counts."""
        if not isinstance(counts, Mapping) or any(type(counts.get(name)) is not int for name in ORACLE_COUNTS):
            return ["the counts of the oracle are missing"]
        asked, regenerated, replaced = (counts[name] for name in ORACLE_COUNTS)
        if asked != self.asked:
            return [f"the oracle was asked {self.asked} times, not {asked}"]
        if not 0 <= replaced <= min(self.fallback, regenerated) or regenerated > asked:
            return [f"of {asked} replies, {regenerated} regenerated and {replaced} replaced are impossible"]
        return []


def _info_problems(published: Mapping[str, Any], info: Mapping[str, Any], replies: _Replies | None) -> list[str]:
    problems = [] if replies is None else replies.problems(published.get("oracle"))
    # The evaluator adds the name of the start and the oracle's counts.
    names = {*published, *info} - {"start_name"} - (set() if replies is None else {"oracle"})
    for name in sorted(names):
        # Compared as JSON, which has no tuples and distinguishes 1 from true.
        ours, theirs = (json.dumps(values.get(name), sort_keys=True) for values in (info, published))
        if ours != theirs or name not in published or name not in info:
            problems.append(f"its {short_json(name)} is {theirs[:60]}, and the simulator's {ours[:60]}")
    return problems


# --- the numbers


def _check_numbers(score: Score, episodes: Sequence[Episode], task: Task) -> Verification:
    """Compares the score with that of its episodes, which the replay has confirmed."""
    returns = {(episode.info["start_name"], episode.total_reward) for episode in episodes}
    if score.n_resamples * len(returns) > MAX_DRAWS:
        raise UserError(f"its interval is from {score.n_resamples:,} resamples, more than are drawn again here")
    recomputed = score_episodes(
        episodes,
        task,
        score.config,
        strategy=score.strategy,
        confidence_level=score.confidence_level,
        n_resamples=score.n_resamples,
    )
    problems = []
    for name in NUMBERS:
        theirs, ours = getattr(score, name), getattr(recomputed, name)
        if theirs is None or ours is None:
            problems += [f"{name} is stated, and one episode has none"] if theirs != ours else []
            continue
        pairs = zip(theirs, ours, strict=True) if isinstance(ours, tuple) else [(theirs, ours)]
        if not all(math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE) for a, b in pairs):
            problems.append(f"{name} is {_number(theirs)}, and of these episodes {_number(ours)}{_numpy(score, name)}")
    counts = oracle_counts(episodes) if score.oracle is not None else {}
    for name, value in counts.items():
        if (score.oracle or {}).get(name) != value:
            problems.append(f"the oracle's {name} is not the {value} of these episodes")
    score = replace(score, **{name: getattr(recomputed, name) for name in NUMBERS})
    if problems:
        return replace(_flagged(problems, len(episodes), len(episodes)), score=score)
    return Verification("verified" if score.oracle is None else "oracle", (), len(episodes), len(episodes), score)


def _number(value: float | tuple[float, float]) -> str:
    return f"{value[0]:.6g} to {value[1]:.6g}" if isinstance(value, tuple) else f"{value:.6g}"


def _numpy(score: Score, name: str) -> str:
    """An innocent reason why an interval may differ: another NumPy may draw other resamples."""
    theirs = score.versions.get("numpy")
    if "interval" not in name or theirs in (None, version("numpy")):
        return ""
    return f" (NumPy {one_line(theirs, 20)} drew it, and NumPy {version('numpy')} draws here)"


def _flagged(problems: Sequence[str], n_episodes: int, n_replayed: int) -> Verification:
    lines = [one_line(problem, 300) for problem in problems[:MAX_PROBLEMS]]
    if len(problems) > MAX_PROBLEMS:
        lines.append(f"and {len(problems) - MAX_PROBLEMS:,} more")
    return Verification("flagged", tuple(lines), n_episodes, n_replayed, None)


def _differs(theirs: str, ours: str) -> str:
    """The two texts around their first difference."""
    pairs = enumerate(zip(theirs, ours, strict=False))
    place = next((i for i, (a, b) in pairs if a != b), min(len(theirs), len(ours)))
    begin = max(0, place - 20)
    window = slice(begin, begin + 50)
    return f"{short_json(theirs[window])} stands where the simulator says {short_json(ours[window])}"


# --- for readers


def describe(verification: Verification) -> str:
    """What a command prints: a line for each fact."""
    score, n_replayed = verification.score, verification.n_replayed
    if verification.status == "unchecked":
        lines = [f"unchecked: none of {verification.n_episodes:,} episodes was replayed"]
    elif verification.status == "flagged":
        counted = f"{n_replayed:,} of {verification.n_episodes:,} episodes were replayed and are the same"
        lines = [f"flagged: {counted if verification.n_episodes else 'nothing was replayed'}"]
    else:
        assert score is not None
        what = (
            f"{verification.n_episodes:,} episode{'s' * (verification.n_episodes != 1)} of {score.task} {score.config}"
        )
        lines = [f"{verification.status}: {what} replayed, every observation and reward is the same"]
        if score.oracle is not None:
            spec = one_line(str(score.oracle["spec"]))
            lines.append(f"the other side spoke as the episodes say; who it was, {spec}, is not checked")
    lines += [f"problem: {problem}" for problem in verification.problems]
    if score is not None:
        interval = f" ({score.interval[0]:.2f} to {score.interval[1]:.2f})" if score.interval else ""
        lines.append(
            f"mean return {score.mean_return:.2f}{interval}, normalized "
            f"{score.normalized:.1f}, seeds {score.seed} to {score.seed + score.n_episodes - 1}"
        )
        lines += [f"not as in the paper: {line}" for line in departures(score)]
        lines += [f"it {NAMELESS}"] if player_of(score) is None else []
    if verification.status in ("verified", "oracle"):
        lines.append("not checked: who chose the actions (policy, checkpoint) and move accuracy")
    return "\n".join(lines)
