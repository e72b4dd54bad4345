"""Inspect tasks: a model of inspect-ai's plays the simulators in inspect-ai's own loop, and its log becomes results.

    inspect eval lmrl_eval/wordle --model openai/gpt-5 -T config=words_400 -T episodes=64
    inspect eval lmrl_eval/inspect.py@wordle ...     (in a checkout, or with an editable install)

The model is told, shown and understood as a chat policy is (`lmrl_eval/policies/chat.py`), so both ways give the same
episodes. What can follow `-T` are the arguments of `_task`.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from lmrl_data.episode import Episode, Turn
from lmrl_data.errors import UserError, unknown
from lmrl_data.policy import Conversation
from lmrl_data.rollout import rollout
from lmrl_data.task import EVALUATION_SEED, Task
from lmrl_data.tasks import get_task
from lmrl_data.text import one_line
from lmrl_eval.endpoint import ChatClient, Endpoint, Question
from lmrl_eval.evaluator import schedule
from lmrl_eval.policies.chat import READERS, ChatPolicy, system_message
from lmrl_eval.record import installed_versions
from lmrl_eval.results import Results
from lmrl_eval.score import Score, score_episodes

try:
    import anyio
    import inspect_ai
    from inspect_ai import task
    from inspect_ai._util.error import PrerequisiteError
    from inspect_ai.dataset import Sample
    from inspect_ai.log import EvalLog, read_eval_log
    from inspect_ai.model import (
        ChatMessage,
        ChatMessageAssistant,
        ChatMessageSystem,
        ChatMessageUser,
        GenerateConfig,
        Model,
        ModelOutput,
        get_model,
    )
    from inspect_ai.scorer import Metric, SampleScore, Scorer, Target, metric, scorer, stderr
    from inspect_ai.scorer import Score as InspectScore
    from inspect_ai.solver import Generate, Solver, TaskState, solver
except ImportError as missing:
    raise UserError(f"inspect-ai cannot be loaded ({missing}); run: pip install 'lmrl[inspect]'") from None

# A chat policy's own settings; --temperature and --max-tokens go before them.
GENERATION = GenerateConfig(temperature=1.0, max_tokens=256)
MESSAGES: Mapping[str, Any] = {
    "system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant
}  # fmt: skip
KINDS: Mapping[str, tuple[type, str]] = {
    "config": (str, "NAME"), "episodes": (int, "64"), "seed": (int, "0"), "protocol": (str, "quick"),
    "options": (Mapping, '\'{"NAME": "VALUE"}\''), "answers": (str, "json"), "policy_seed": (int, "1"),
}  # fmt: skip


# --- who plays


class InspectClient(ChatClient):
    """Asks inspect-ai's model, from the thread in which an episode is played."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.endpoint = Endpoint(_model_name(str(model)), "", local=False, key=None)
        self.output = ModelOutput()

    def ask(self, questions: Sequence[Question]) -> list[str]:
        return [anyio.from_thread.run(self._generate, question) for question in questions]

    async def _generate(self, question: Question) -> str:
        messages: list[ChatMessage] = [MESSAGES[each["role"]](content=each["content"]) for each in question.messages]
        seed = int(np.random.default_rng(question.noise).integers(2**31))  # the one `ChatClient` would send
        config = GenerateConfig(seed=seed, temperature=question.temperature or None)
        self.output = await self.model.generate(messages, config=config)
        return self.output.completion


class InspectPolicy(ChatPolicy):
    """A chat policy whose answers come from inspect-ai's model, and which writes down the sample's transcript."""

    def __init__(self, state: TaskState, task: Task, config: str, *, answers: str, seed: int) -> None:
        # Not the parent's, which is about an endpoint and examples.
        self.state = state
        self.client: InspectClient = InspectClient(get_model())
        self.seed = seed
        # A question is asked at the temperature of the evaluation, and asked again at 1 at least: see `act`.
        self.temperature = 0.0
        self.shots = 0
        self.answers = answers
        self.system = system_message(task.instructions, (), answers, markov=task.config(config).markov)
        self.name = self._name()
        self._counts: Counter[str] = Counter()
        state.messages = [ChatMessageSystem(content=self.system)]

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        self.write_down(conversations[0].turns)
        return super().act(conversations)

    def write_down(self, turns: Sequence[Turn]) -> None:
        """Adds what is new to the sample's messages; the model may see less of it."""
        for turn in turns[len(self.state.messages) - 1 :]:
            self.state.messages.append(MESSAGES[turn.role](content=turn.content))


def _model_name(model: str) -> str:
    """A model's name without the folders of this machine that a local one may be known by."""
    return re.sub(r"//.*/", "/", model)


@solver
def play(task_id: str, config: str, protocol: str, options: dict[str, Any], answers: str, policy_seed: int) -> Solver:
    """Plays the episode of a sample, whose id is its seed."""
    chosen = get_task(task_id)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        seed, start = state.metadata["seed"], state.metadata["start_name"]
        policy = InspectPolicy(state, chosen, config, answers=answers, seed=policy_seed)

        def played() -> Episode:
            (episode,) = rollout(
                chosen, config, policy, [seed], options=[chosen.protocol(protocol).starts[start]],
                simulator_options=options, max_turns=chosen.max_turns,
            )  # fmt: skip
            return replace(episode, info={**episode.info, "start_name": start})

        try:
            # In a thread, for a simulator may wait for an engine. Of a limiter of its own: a local model needs threads
            # of the common one to answer, and would wait for this one to end.
            episode = await anyio.to_thread.run_sync(played, limiter=anyio.CapacityLimiter(1))
        except CancelledError:
            await anyio.lowlevel.checkpoint()  # where inspect-ai has cancelled the sample, it is told so here
            raise
        finally:
            state.output = policy.client.output
        policy.write_down(episode.turns)
        counts = {name: policy._counts[name] for name in ("unparsable", "raw")}
        state.store.set("episode", episode.to_row())
        state.store.set("counts", counts)
        state.completed = True
        return state

    return solve


# --- what it earned


@scorer(metrics=[])
def total_reward() -> Scorer:
    """The sum of the episode's rewards."""

    async def score(state: TaskState, target: Target) -> InspectScore:
        row = state.store.get("episode")
        if row is None:
            return InspectScore.unscored(explanation="the episode did not come to its end")
        episode = Episode.from_row(row)
        normalized = get_task(episode.task).config(episode.config).reference.normalize(episode.total_reward)
        told = {
            "normalized": normalized, "success": episode.success, "turns": episode.num_turns,
            "invalid": episode.info["invalid"],
        }  # fmt: skip
        return InspectScore(value=episode.total_reward, metadata=told | state.store.get("counts"))

    return score


@metric
def mean_return() -> Metric:
    """The mean of the episodes' total rewards."""
    return _mean


def _mean(scores: list[SampleScore]) -> float:
    return sum(each.score.as_float() for each in scores) / max(1, len(scores))


@metric
def normalized(task_id: str, config: str) -> Metric:
    """The mean return on the task's scale: 0 at the minimum, 50 at the dataset's mean, 100 at the maximum."""
    reference = get_task(task_id).config(config).reference

    # inspect-ai goes by the annotations.
    def compute(scores: list[SampleScore]) -> float:
        return reference.normalize(_mean(scores))

    return compute


# Of every episode, also where samples are played several times: that a mean of rewards would hide.
@metric(scores="unreduced")
def success_rate() -> Metric:
    """The share of the episodes that reached the task's aim."""

    def compute(scores: list[SampleScore]) -> float:
        return sum(bool((each.score.metadata or {})["success"]) for each in scores) / max(1, len(scores))

    return compute


# --- the tasks


def _task(
    task_id: str,
    *,
    config: str | None = None,
    episodes: int | None = None,
    seed: int = EVALUATION_SEED,
    protocol: str | None = None,
    options: Mapping[str, Any] | None = None,
    answers: str = "plain",
    policy_seed: int = 0,
) -> inspect_ai.Task:
    """The Inspect task of that id: a sample is an episode.

    Args:
        task_id (`str`): one of ours, e.g. `"maze"`.
        config (`str`, *optional*): the task's config; its default one otherwise.
        episodes (`int`, *optional*): how many; the protocol's number otherwise.
        seed (`int`, *optional*, defaults to `2_000_000`): the first episode's seed.
        protocol (`str`, *optional*): a protocol of the task; the paper's otherwise.
        options (`Mapping`, *optional*): reset options of every episode, on the command line as JSON:
            `-T options='{"opponent": "depth1"}'`.
        answers (`str`, *optional*, defaults to `"plain"`): `"plain"`, or `"json"` for `{"action": "..."}`.
        policy_seed (`int`, *optional*, defaults to `0`): what the seed of each request is drawn from.

    Raises:
        UserError: for an unknown config, protocol, option or form of answers, or a number out of range.
    """
    given = {"config": config, "episodes": episodes, "seed": seed, "protocol": protocol, "options": options,
             "answers": answers, "policy_seed": policy_seed}  # fmt: skip
    for name, value in given.items():
        # inspect-ai reads what follows -T as YAML.
        kind, example = KINDS[name]
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise UserError(f"{name} cannot be {str(value)[:80]!r}; write for example -T {name}={example}")
    if policy_seed < 0:
        raise UserError(f"policy_seed is at least 0, got {policy_seed}")
    if answers not in READERS:
        raise unknown("form of answers", answers, READERS)
    chosen = get_task(task_id)
    config = config or chosen.default_config
    markov = chosen.config(config).markov
    protocol = protocol or next(iter(chosen.protocols))
    options = dict(options or {})
    simulator = chosen.simulator(config=config, options=options)
    samples = []
    for each, start in schedule(chosen, protocol, episodes, seed).items():
        first, _ = simulator.reset(seed=each, options=dict(chosen.protocol(protocol).starts[start]))
        samples.append(Sample(id=each, input=first, metadata={"seed": each, "start_name": start}))
    system = system_message(chosen.instructions, (), answers, markov=markov)
    told = {
        "task": task_id, "config": config, "protocol": protocol, "options": options, "seed": seed,
        "policy_seed": policy_seed, "answers": answers,
        "instructions_sha256": sha256(chosen.instructions.encode()).hexdigest(),
        "prompt_sha256": sha256(system.encode()).hexdigest(),
        "versions": installed_versions() | {"inspect-ai": inspect_ai.__version__},
    }  # fmt: skip
    return inspect_ai.Task(
        name=task_id,
        dataset=samples,
        solver=play(task_id, config, protocol, options, answers, policy_seed),
        scorer=total_reward(),
        metrics=[mean_return(), stderr(), normalized(task_id, config), success_rate()],
        config=GENERATION,
        version=chosen.version,
        metadata={"lmrl": told},
        description=chosen.summary,
    )


def _named(task_id: str, settings: Mapping[str, Any]) -> inspect_ai.Task:
    """`_task`, with a user's mistake as inspect-ai prints it in one line."""
    try:
        for name in settings:
            if name not in KINDS:
                # inspect-ai would only warn, and then play thousands of episodes.
                raise unknown(f"setting of {task_id}", name, KINDS)
        return _task(task_id, **settings)
    except UserError as error:
        raise PrerequisiteError(f"error: {error}") from None


# inspect-ai finds tasks by reading this file, so each is a function by its name.


@task
def maze(**settings: Any) -> inspect_ai.Task:
    return _named("maze", settings)


@task
def text_nav(**settings: Any) -> inspect_ai.Task:
    return _named("text_nav", settings)


@task
def wordle(**settings: Any) -> inspect_ai.Task:
    return _named("wordle", settings)


@task
def chess(**settings: Any) -> inspect_ai.Task:
    return _named("chess", settings)


@task
def endgames(**settings: Any) -> inspect_ai.Task:
    return _named("endgames", settings)


@task
def twenty_questions(**settings: Any) -> inspect_ai.Task:
    return _named("twenty_questions", settings)


@task
def guess_my_city(**settings: Any) -> inspect_ai.Task:
    return _named("guess_my_city", settings)


@task
def car_dealer(**settings: Any) -> inspect_ai.Task:
    return _named("car_dealer", settings)


# --- from a log to results


def results_from_log(log: EvalLog | str | Path) -> Results:
    """The results of a log that inspect-ai wrote of one of these tasks, as `lmrl-eval run` would have left them.

    Everything but who played and how is computed from the episodes; `lmrl-eval verify` can replay those.

    Args:
        log (`EvalLog`, `str` or `Path`): the log, or the file it is in.

    Raises:
        UserError: if it is no such log, an episode is missing, or the task has changed since.
    """
    if not isinstance(log, EvalLog):
        log = _read(Path(log))
    name = one_line(log.location, 200) or "this log"
    try:
        told = (log.eval.metadata or {})["lmrl"]
        chosen = get_task(told["task"])
        stores = [sample.store for sample in log.samples or ()]
        missing = sum("episode" not in store for store in stores)
        if log.status != "success" or missing:
            raise UserError(
                f"{name} is not complete ({log.status}, {missing} episodes cut off); run inspect eval-retry"
            )
        if log.eval.task_version != chosen.version:
            raise UserError(
                f"{name} is of version {one_line(str(log.eval.task_version), 20)} of {chosen.id}, and this is version "
                f"{chosen.version}; evaluate again"
            )
        episodes = sorted((Episode.from_row(store["episode"]) for store in stores), key=lambda each: each.seed)
        # Neither chosen by hand nor played several times: a protocol is a row of seeds.
        if [each.seed for each in episodes] != list(range(told["seed"], told["seed"] + len(episodes))):
            raise UserError(f"{name} does not hold the first episodes, each once; leave out --sample-id and --epochs")
        if not all(isinstance(turn.content, str) for each in episodes for turn in each.turns):
            raise ValueError("a turn is no text")
        counts = {key: float(sum(store["counts"][key] for store in stores)) for key in ("unparsable", "raw")}
        usage = log.stats.model_usage.get(log.eval.model)
        if usage is not None:
            counts |= {"prompt_tokens": float(usage.input_tokens), "completion_tokens": float(usage.output_tokens)}
        score = score_episodes(
            episodes,
            chosen,
            told["config"],
            protocol=told["protocol"],
            options=dict(told["options"]),
            policy_seed=told["policy_seed"],
            versions=dict(told["versions"]),
            checkpoint={
                "source": f"chat:{_model_name(log.eval.model)}",
                "temperature": log.plan.config.temperature,
                "max_new_tokens": log.plan.config.max_tokens,
                "answers": told["answers"],
                "shots": 0,
                "dataset": None,
                "instructions_sha256": told["instructions_sha256"],
                "prompt_sha256": told["prompt_sha256"],
            },
            statistics=counts,
        )
        score = Score.from_json(score.to_json())
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{name} is no log of these tasks, or damaged ({one_line(str(error) or type(error).__name__, 80)})"
        ) from None
    return Results(score, episodes, {}, _timing(log, episodes))


def _read(path: Path) -> EvalLog:
    if not path.is_file():
        raise UserError(f"{path} is no file; give a log that `inspect eval` wrote, mostly logs/*.eval")
    try:
        return read_eval_log(str(path), resolve_attachments="full")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, BadZipFile, NotImplementedError) as error:
        raise UserError(
            f"{path} is no log of inspect-ai ({one_line(str(error) or type(error).__name__, 80)})"
        ) from None


def _timing(log: EvalLog, episodes: Sequence[Episode]) -> dict[str, float]:
    try:
        begun, ended = (datetime.fromisoformat(each) for each in (log.stats.started_at, log.stats.completed_at))
        seconds = max((ended - begun).total_seconds(), 1e-9)
    except (ValueError, TypeError):
        return {}
    turns = sum(episode.num_turns for episode in episodes)
    return {"seconds": seconds, "turns_per_second": turns / seconds, "episodes_per_second": len(episodes) / seconds}
