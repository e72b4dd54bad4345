"""Verification: plays the episodes behind a published score again, action by action, and sees what they are worth.

The simulators are deterministic: version, config, options, seed and actions fix every text and every reward. So a
score can be checked without the model that it is of. What cannot be checked so: who chose the actions (the policy's
name, its checkpoint, library versions and statistics) and whether at the first try, and `move_accuracy`, which is of
actions outside the episodes.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from lmrl_data.dialogue.simulator import GroundedSimulator
from lmrl_data.episode import Episode
from lmrl_data.errors import UserError
from lmrl_data.rollout import EpisodeRecorder
from lmrl_data.simulator import Simulator, Step
from lmrl_data.task import EVALUATION_SEED, Task
from lmrl_data.tasks import get_task
from lmrl_data.text import one_line, short_json
from lmrl_eval.evaluator import counts_of
from lmrl_eval.oracles.model import COUNTS
from lmrl_eval.results import SCORE, Results, read_results
from lmrl_eval.score import STRATEGIES, Score, score_episodes

Status = Literal["verified", "oracle", "flagged", "unchecked"]

MAX_PROBLEMS = 5  # that are told; the others are counted
MAX_SHARE = 10  # so many times the episodes of a task's largest protocol, and no more, are played again
MAX_DRAWS = 50_000_000  # of the bootstrap: resamples times different returns; the memory they take is 16 bytes each
TOLERANCE = 1e-9
PAPER = "paper"  # every task's first protocol
INTERVAL = (0.95, 9999)  # level and resamples, unless somebody asks for others
NUMBERS = (
    "mean_return", "interval", "normalized", "normalized_interval", "normalized_to_optimum", "success_rate",
    "mean_turns", "invalid_rate",
)  # fmt: skip


@dataclass(frozen=True)
class Verification:
    """What came of playing a score's episodes again.

    Args:
        status (`str`): `"verified"`: all is the same; `"oracle"`: the same with the replies that a model gave, as the
            episodes tell them; `"flagged"`: it is not; `"unchecked"`: it cannot be tried here.
        problems (`tuple[str, ...]`): why it is flagged or unchecked, a line each that is safe to print.
        n_episodes (`int`): how many episodes there are.
        n_replayed (`int`): how many of them were played the same again.
        score (`Score`, *optional*): as published, its numbers computed anew; `None` if not all episodes are the same.
    """

    status: Status
    problems: tuple[str, ...]
    n_episodes: int
    n_replayed: int
    score: Score | None


def verify_results(given: str | Path | Results, *, progress: bool = False) -> Verification:
    """Plays the episodes of results again and computes their score anew; whoever made them is not trusted.

    Args:
        given (`str`, `Path` or `Results`): a results folder, or what was read from one.
        progress (`bool`, *optional*, defaults to `False`): whether to show a progress bar.

    Raises:
        UserError: if the folder holds no results at all.
    """
    if isinstance(given, Results):
        results = given
    else:
        try:
            results = read_results(given)
        except UserError as error:
            if not Path(given, SCORE).is_file():
                raise
            return Verification("flagged", (one_line(str(error), 300),), 0, 0, None)
    number = len(results.episodes)
    try:
        return _verify(results, progress)
    except UserError as error:
        # Nothing is known against these episodes: they ask for what is not to be had here.
        return Verification("unchecked", (one_line(str(error), 300),), number, 0, None)
    except RecursionError:
        return Verification("flagged", ("its options or infos are nested too deeply",), number, 0, None)


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
    most = MAX_SHARE * max(protocol.n_episodes for protocol in task.protocols.values())
    if len(episodes) > most:
        raise UserError(f"there are {len(episodes):,} episodes; of {task.id} no more than {most:,} are played again")
    for name in task.local_options:
        if name in score.options:
            raise UserError(f"the option {name} names a file of whoever played, which is not here")
    simulator = task.simulator(config=score.config, options=score.options)
    if score.oracle is not None and not isinstance(simulator, GroundedSimulator):
        return _flagged([f"{task.id} has no dialogue, yet an oracle is named"], len(episodes), 0)
    if task.check_replay is not None:
        task.check_replay(simulator, next(iter(starts.values())), episodes)
    same = 0
    with tqdm(total=len(episodes), desc="replayed", unit="episode", disable=None if progress else True) as bar:
        for episode, (name, start) in zip(episodes, islice(cycle(starts.items()), len(episodes)), strict=True):
            found = []
            if episode.info.get("start_name") != name:
                found.append(
                    f"the episode of seed {episode.seed} began at {short_json(episode.info.get('start_name'))}, "
                    f"and the protocol has it begin at {short_json(name)}"
                )
            found += replay_episode(task, simulator, episode, start, oracle=score.oracle is not None)
            same += not found
            problems += found
            bar.update()
    if problems:
        return _flagged(problems, len(episodes), same)
    return _check_numbers(score, episodes, task)


def contradictions(score: Score, episodes: Sequence[Episode]) -> list[str]:
    """What a score and its episodes cannot both say; nothing is played for it. Nor are seeds left out."""
    problems = []
    for name in ("n_episodes", "seed", "n_resamples"):
        if not isinstance(getattr(score, name), int):
            problems.append(f"{name} is no whole number: {getattr(score, name)}")
    if not isinstance(score.options, Mapping) or not all(isinstance(name, str) for name in score.options):
        problems.append("options is no table of reset options")
    if not isinstance(score.protocol, str) or not score.protocol:
        problems.append("no protocol is named, so nobody knows which starts were to be played")
    if problems:
        return problems
    if score.strategy not in STRATEGIES or score.n_resamples < 1 or not 0 < score.confidence_level < 1:
        problems.append("no interval is made like that (strategy, n_resamples or confidence_level)")
    if not 0 <= score.seed < 2**62:
        problems.append(f"no evaluation begins with the seed {score.seed}; episodes of converted data have none")
    if score.n_episodes != len(episodes) or len(episodes) < 2:
        problems.append(f"the score is over {score.n_episodes} episodes, of 2 at least, and there are {len(episodes)}")
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
    """Plays an episode's actions again; returns what is not the same, and stops at the first turn that is not.

    Args:
        task (`Task`): what was played.
        simulator (`Simulator`): of the episode's config, with the options that hold for all its episodes.
        episode (`Episode`): as the evaluator records it.
        options (`Mapping`): reset options of this episode.
        oracle (`bool`, *optional*, defaults to `False`): whether a model spoke for the other side: then its replies
            are taken from the episode, as far as the rules of the task allow them.

    Raises:
        UserError: if the simulator cannot be played with these options.
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
        # A record has lost one final newline already, and the simulator takes off another.
        text = f"{action.content}\n"
        if oracle and isinstance(simulator, GroundedSimulator):
            step, refused = replies.say(simulator, text, seen.content)
            if refused:
                return [f"{where}, turn {number}: {refused}"]
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
        return [f"{where} is told as {'terminated' if episode.terminated else 'truncated'}, and it is not"]
    return [
        f"{where}: {problem}" for problem in _info_problems(episode.info, recorder.info, replies if oracle else None)
    ]


class _Replies:
    """What a model as oracle said in an episode, by what the simulator would have asked it."""

    def __init__(self) -> None:
        self.asked = 0  # replies that were the model's to give
        self.fallback = 0  # of those, such as are said if it gives none

    def say(self, simulator: GroundedSimulator, action: str, said: str) -> tuple[Step, str]:
        """The step with that reply, and why the rules would not have let it pass, if so."""
        prompt = simulator.ask(action)
        refused = ""
        if prompt.view is None:
            if said != prompt.grounded:
                refused = f"the rules speak, and {_differs(said, prompt.grounded)}"
        else:
            self.asked += 1
            self.fallback += said == prompt.fallback
            if said not in (prompt.fallback, prompt.parse(said)):
                refused = f"no oracle's reply is {short_json(said)}: the rules refuse it"
        return simulator.finish(said), refused

    def problems(self, counts: Any) -> list[str]:
        """What is wrong with the episode's own counts."""
        if not isinstance(counts, Mapping) or [type(counts.get(name)) for name in COUNTS] != [int] * len(COUNTS):
            return ["how often the oracle was asked is not told"]
        asked, regenerated, replaced = (counts[name] for name in COUNTS)
        if asked != self.asked:
            return [f"the oracle was asked {self.asked} times, not {asked}"]
        if not 0 <= replaced <= min(self.fallback, regenerated) or regenerated > asked:
            return [f"of {asked} replies {regenerated} asked for again and {replaced} replaced cannot be"]
        return []


def _info_problems(told: Mapping[str, Any], info: Mapping[str, Any], replies: _Replies | None) -> list[str]:
    problems = [] if replies is None else replies.problems(told.get("oracle"))
    # Which start it was and what the oracle did, the evaluator adds.
    names = {*told, *info} - {"start_name"} - (set() if replies is None else {"oracle"})
    for name in sorted(names):
        # As JSON, which has no tuples and tells 1 from true.
        ours, theirs = (json.dumps(each.get(name), sort_keys=True) for each in (info, told))
        if ours != theirs or name not in told or name not in info:
            problems.append(f"its {short_json(name)} is {theirs[:60]}, and the simulator's {ours[:60]}")
    return problems


# --- the numbers


def _check_numbers(score: Score, episodes: Sequence[Episode], task: Task) -> Verification:
    """Whether the score is that of these episodes, which are as the simulator plays them."""
    returns = {(episode.info["start_name"], episode.total_reward) for episode in episodes}
    if score.n_resamples * len(returns) > MAX_DRAWS:
        raise UserError(f"its interval is from {score.n_resamples:,} resamples, more than are drawn again here")
    found = score_episodes(
        episodes, task, score.config, strategy=score.strategy, confidence_level=score.confidence_level,
        n_resamples=score.n_resamples,
    )  # fmt: skip
    problems = []
    for name in NUMBERS:
        theirs, ours = getattr(score, name), getattr(found, name)
        pairs = zip(theirs, ours, strict=True) if isinstance(ours, tuple) else [(theirs, ours)]
        if not all(math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE) for a, b in pairs):
            problems.append(f"{name} is {_number(theirs)}, and of these episodes {_number(ours)}{_numpy(score, name)}")
    counts = counts_of(episodes) if score.oracle is not None else {}
    for name, value in counts.items():
        if (score.oracle or {}).get(name) != value:
            problems.append(f"the oracle's {name} is not the {value} of these episodes")
    score = replace(score, **{name: getattr(found, name) for name in NUMBERS})
    if problems:
        return replace(_flagged(problems, len(episodes), len(episodes)), score=score)
    return Verification("verified" if score.oracle is None else "oracle", (), len(episodes), len(episodes), score)


def _number(value: float | tuple[float, float]) -> str:
    return f"{value[0]:.6g} to {value[1]:.6g}" if isinstance(value, tuple) else f"{value:.6g}"


def _numpy(score: Score, name: str) -> str:
    """A reason why the resamples of an honest interval may be others."""
    theirs = score.versions.get("numpy") if isinstance(score.versions, Mapping) else None
    if "interval" not in name or theirs in (None, version("numpy")):
        return ""
    return f" (NumPy {one_line(str(theirs), 20)} drew it, and NumPy {version('numpy')} draws here)"


def _flagged(problems: Sequence[str], n_episodes: int, n_replayed: int) -> Verification:
    told = [one_line(problem, 300) for problem in problems[:MAX_PROBLEMS]]
    if len(problems) > MAX_PROBLEMS:
        told.append(f"and {len(problems) - MAX_PROBLEMS:,} more")
    return Verification("flagged", tuple(told), n_episodes, n_replayed, None)


def _differs(theirs: str, ours: str) -> str:
    """Two texts from a little before where they part."""
    pairs = enumerate(zip(theirs, ours, strict=False))
    place = next((i for i, (a, b) in pairs if a != b), min(len(theirs), len(ours)))
    begin = max(0, place - 20)
    window = slice(begin, begin + 50)
    return f"{short_json(theirs[window])} stands where the simulator says {short_json(ours[window])}"


# --- for readers


def departures(score: Score) -> list[str]:
    """What was played otherwise than the task's protocol for papers says; such a score is true, but of something else.

    Args:
        score (`Score`): of a task that is installed.
    """
    found = [] if score.protocol == PAPER else [f"protocol {one_line(str(score.protocol))}, not {PAPER}"]
    found += sampling(score)
    found += [f"option {one_line(name)}={short_json(value)}" for name, value in score.options.items()]
    return found


def sampling(score: Score) -> list[str]:
    """How a score's episodes and its interval were drawn, where that is not the protocol's way.

    Args:
        score (`Score`): of a task that is installed.
    """
    protocol = get_task(score.task).protocols.get(score.protocol or PAPER)
    found = []
    if protocol is not None and score.n_episodes != protocol.n_episodes:
        found.append(f"{score.n_episodes} episodes, not {protocol.n_episodes}")
    if score.seed != EVALUATION_SEED:
        found.append(f"seeds from {score.seed}, not from {EVALUATION_SEED}")
    if (score.confidence_level, score.n_resamples) != INTERVAL:
        found.append(f"interval of {100 * score.confidence_level:g}% from {score.n_resamples} resamples")
    return found


def describe(verification: Verification) -> str:
    """What a command prints: a line for each fact."""
    score, found = verification.score, verification.n_replayed
    if verification.status == "unchecked":
        lines = [f"unchecked: none of {verification.n_episodes:,} episodes was replayed"]
    elif verification.status == "flagged":
        counted = f"{found:,} of {verification.n_episodes:,} episodes were replayed and are the same"
        lines = [f"flagged: {counted if verification.n_episodes else 'nothing was replayed'}"]
    else:
        assert score is not None
        what = f"{verification.n_episodes:,} episodes of {score.task} {score.config}"
        lines = [f"{verification.status}: {what} replayed, every observation and reward is the same"]
        if score.oracle is not None:
            spec = one_line(str(score.oracle["spec"]))
            lines.append(f"the other side spoke as the episodes say; who it was, {spec}, is not checked")
    lines += [f"problem: {problem}" for problem in verification.problems]
    if score is not None:
        lines.append(
            f"mean return {score.mean_return:.2f} ({score.interval[0]:.2f} to {score.interval[1]:.2f}), normalized "
            f"{score.normalized:.1f}, seeds {score.seed} to {score.seed + score.n_episodes - 1}"
        )
        lines += [f"not as in the paper: {each}" for each in departures(score)]
    if verification.status in ("verified", "oracle"):
        lines.append("not checked: who chose the actions (policy, checkpoint) and move accuracy")
    return "\n".join(lines)
