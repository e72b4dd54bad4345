"""Inspect tasks: a model of inspect-ai plays the simulators in inspect-ai's own loop, and its log becomes results.

The model gets the same messages as a chat policy (`lmrl_eval/policies/chat.py`), and its answers are read in the same
way, so both give the same episodes. `lmrl_eval/inspect.py` is where inspect-ai finds the tasks.
"""

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np
from huggingface_hub.errors import StrictDataclassError

from lmrl_data.episode import Episode, Turn
from lmrl_data.errors import UserError, unknown
from lmrl_data.policy import Conversation
from lmrl_data.rollout import rollout
from lmrl_data.task import EVALUATION_SEED, Task
from lmrl_data.tasks import get_task
from lmrl_data.text import one_line
from lmrl_data.tool import Tool
from lmrl_eval.endpoint import Answer, Call, Endpoint, Question
from lmrl_eval.evaluator import schedule
from lmrl_eval.policies.answer import ADVICE, FORMS, complaint
from lmrl_eval.policies.chat import ChatPolicy
from lmrl_eval.policies.prompt import chat_messages, prompt_facts, system_message
from lmrl_eval.record import installed_versions
from lmrl_eval.results import Results
from lmrl_eval.score import Score, score_episodes

try:
    import anyio
    import inspect_ai
    from inspect_ai import Task as InspectTask
    from inspect_ai import task as task
    from inspect_ai._util.error import PrerequisiteError
    from inspect_ai.dataset import Sample
    from inspect_ai.log import EvalLog, read_eval_log
    from inspect_ai.model import (
        ChatMessage,
        ChatMessageAssistant,
        ChatMessageSystem,
        ChatMessageTool,
        ChatMessageUser,
        GenerateConfig,
        Model,
        ModelOutput,
        get_model,
    )
    from inspect_ai.scorer import Metric, SampleScore, Scorer, Target, metric, scorer, stderr
    from inspect_ai.scorer import Score as InspectScore
    from inspect_ai.solver import Generate, Solver, TaskState, solver
    from inspect_ai.tool import ToolCall, ToolInfo, ToolParams
except ImportError as missing:
    raise UserError(f"inspect-ai cannot be loaded ({missing}); run: pip install 'lmrl[inspect]'") from None

LARGEST_LOG = 2**28  # bytes of a log when unpacked
MOST_MEMBERS = 250_000  # files in a log: an episode has one
# The defaults of a chat policy; --temperature and --max-tokens override them.
GENERATION = GenerateConfig(temperature=1.0, max_tokens=256)
# The type of each setting that may follow -T, and an example.
SETTINGS: Mapping[str, tuple[type, str]] = {
    "config": (str, "NAME"),
    "episodes": (int, "64"),
    "seed": (int, "0"),
    "protocol": (str, "quick"),
    "options": (Mapping, '\'{"NAME": "VALUE"}\''),
    "answers": (str, "json"),
    "policy_seed": (int, "1"),
}


# --- who plays


class InspectClient:
    """Asks inspect-ai's model, from the thread in which an episode is played; a chat policy's client."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.endpoint = Endpoint(_model_name(str(model)), "", local=False, key=None)
        self.output = ModelOutput()

    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        return [anyio.from_thread.run(self._generate, question) for question in questions]

    def work(self) -> dict[str, float]:
        """Nothing: inspect-ai counts requests and tokens itself."""
        return {}

    async def _generate(self, question: Question) -> Answer:
        messages = [chat_message(message, question.tool) for message in question.messages]
        seed = int(np.random.default_rng(question.noise).integers(2**31))  # the one `ChatClient` would send
        config = GenerateConfig(seed=seed, temperature=question.temperature or None)
        schemas = [question.tool.schema()] if question.tool is not None else []
        tools = [ToolInfo(**schema | {"parameters": ToolParams(**schema["parameters"])}) for schema in schemas]
        self.output = await self.model.generate(messages, tools, "any" if tools else None, config)
        calls = (self.output.choices[0].message.tool_calls if self.output.choices else None) or []
        return Answer(
            self.output.completion,
            tuple(Call(call.function, "" if call.parse_error else json.dumps(call.arguments)) for call in calls),
        )


class InspectPolicy(ChatPolicy):
    """A chat policy whose answers come from inspect-ai's model, and which writes down the sample's transcript."""

    def __init__(self, state: TaskState, task: Task, config: str, *, answers: str, seed: int) -> None:
        self.inspect_client = InspectClient(get_model())
        # Temperature 0 stands for the evaluation's own; a second try is at 1 at least, see `act`.
        super().__init__("", task, config, seed=seed, temperature=0.0, answers=answers, client=self.inspect_client)
        self.state = state
        state.messages = [ChatMessageSystem(content=self.system)]

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        self.write_down(conversations[0].turns)
        return super().act(conversations)

    def output(self) -> ModelOutput:
        """The model's last output."""
        return self.inspect_client.output

    def write_down(self, turns: Sequence[Turn]) -> None:
        """Adds the new turns to the sample's messages; the model may see fewer of them."""
        messages = chat_messages(self.system, turns, self.answers, self.tool)
        self.state.messages += [chat_message(message, self.tool) for message in messages[len(self.state.messages) :]]


def chat_message(message: Mapping[str, Any], tool: Tool | None) -> ChatMessage:
    """A message of OpenAI's API, with calls and results of the tool, as inspect-ai has it."""
    text = message["content"] or ""
    match message["role"]:
        case "system":
            return ChatMessageSystem(content=text)
        case "user":
            return ChatMessageUser(content=text)
        case "tool":
            return ChatMessageTool(
                content=text, tool_call_id=message["tool_call_id"], function=None if tool is None else tool.name
            )
    functions = {call["id"]: call["function"] for call in message.get("tool_calls", ())}
    calls = [
        ToolCall(id=name, function=function["name"], arguments=json.loads(function["arguments"]))
        for name, function in functions.items()
    ]
    return ChatMessageAssistant(content=text, tool_calls=calls or None)


def _model_name(model: str) -> str:
    """A model's name without the local folders in it."""
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
                chosen,
                config,
                policy,
                [seed],
                options=[chosen.protocol(protocol).starts[start]],
                simulator_options=options,
                max_turns=chosen.max_turns,
            )
            return replace(episode, info={**episode.info, "start_name": start})

        try:
            # In a thread, because a simulator may wait for an engine. With a limiter of its own, because a local model
            # needs threads of the common limiter to answer, and the episode waits for that answer.
            episode = await anyio.to_thread.run_sync(played, limiter=anyio.CapacityLimiter(1))
        except CancelledError:
            await anyio.lowlevel.checkpoint()  # raises if inspect-ai has cancelled the sample
            raise
        finally:
            state.output = policy.output()
        policy.write_down(episode.turns)
        counts = {name: int(number) for name, number in policy.statistics().items()}
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
        facts = {
            "normalized": normalized,
            "success": episode.success,
            "turns": episode.num_turns,
            "invalid": episode.info["invalid"],
        }
        return InspectScore(value=episode.total_reward, metadata=facts | state.store.get("counts"))

    return score


@metric
def mean_return() -> Metric:
    """The mean of the episodes' total rewards."""
    return _mean


def _mean(scores: list[SampleScore]) -> float:
    return sum(sample.score.as_float() for sample in scores) / max(1, len(scores))


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
        return sum(bool((sample.score.metadata or {})["success"]) for sample in scores) / max(1, len(scores))

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
) -> InspectTask:
    """The Inspect task of that id: a sample is an episode.

    Args:
        task_id (`str`): one of ours, e.g. `"maze"`.
        config (`str`, *optional*): the task's config; its default one otherwise.
        episodes (`int`, *optional*): how many; the protocol's number otherwise.
        seed (`int`, *optional*, defaults to `2_000_000`): the first episode's seed.
        protocol (`str`, *optional*): a protocol of the task; the paper's otherwise.
        options (`Mapping`, *optional*): reset options of every episode, on the command line as JSON:
            `-T options='{"opponent": "depth1"}'`.
        answers (`str`, *optional*, defaults to `"plain"`): `"plain"`, `"json"` for `{"action": "..."}`, or `"tool"`
            for a call of the task's tool.
        policy_seed (`int`, *optional*, defaults to `0`): what the seed of each request is drawn from.

    Raises:
        UserError: for an unknown config, protocol, option or form of answers, or a number out of range.
    """
    if policy_seed < 0:
        raise UserError(f"policy_seed is at least 0, got {policy_seed}")
    if answers not in FORMS:
        raise unknown("form of answers", answers, FORMS)
    chosen = get_task(task_id)
    config = config or chosen.default_config
    markov = chosen.config(config).markov
    protocol = protocol or next(iter(chosen.protocols))
    options = dict(options or {})
    simulator = chosen.simulator(config=config, options=options)
    samples = []
    for each, start in schedule(chosen, protocol, episodes, seed, options).items():
        first, _ = simulator.reset(seed=each, options=dict(chosen.protocol(protocol).starts[start]))
        samples.append(Sample(id=each, input=first, metadata={"seed": each, "start_name": start}))
    system = system_message(chosen.instructions, (), answers, markov=markov, tool=chosen.tool)
    facts = {
        "task": task_id,
        "config": config,
        "protocol": protocol,
        "options": options,
        "seed": seed,
        "policy_seed": policy_seed,
        "answers": answers,
        **prompt_facts(chosen.instructions, system, answers, chosen.tool),
        "versions": installed_versions() | {"inspect-ai": inspect_ai.__version__},
    }
    return InspectTask(
        name=task_id,
        dataset=samples,
        solver=play(task_id, config, protocol, options, answers, policy_seed),
        scorer=total_reward(),
        metrics=[mean_return(), stderr(), normalized(task_id, config), success_rate()],
        config=GENERATION,
        version=chosen.version,
        metadata={"lmrl": facts},
        description=chosen.summary,
    )


def make_task(task_id: str, settings: Mapping[str, Any]) -> InspectTask:
    """The Inspect task of a task of ours, with what follows `-T` as settings; `_task` names them.

    Raises:
        PrerequisiteError: for a wrong setting; inspect-ai prints it as one line.
    """
    try:
        for name, value in settings.items():
            if name not in SETTINGS:
                # inspect-ai would only warn, and then play thousands of episodes.
                raise unknown(f"setting of {task_id}", name, SETTINGS)
            kind, example = SETTINGS[name]  # inspect-ai reads the value as YAML
            if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
                raise UserError(f"{name} cannot be {str(value)[:80]!r}; write for example -T {name}={example}")
        return _task(task_id, **settings)
    except UserError as error:
        raise PrerequisiteError(f"error: {error}") from None


# --- from a log to results


def results_from_log(log: EvalLog | str | Path) -> Results:
    """The results of a log of inspect-ai, as `lmrl-eval run` would have written them.

    The log says who played and how; everything else is computed from the episodes, so `lmrl-eval verify` can replay
    them.

    Args:
        log (`EvalLog`, `str` or `Path`): the log, or the file it is in.

    Raises:
        UserError: for a file that is no log of these tasks, a missing episode, or another version of the task.
    """
    if not isinstance(log, EvalLog):
        log = _read(Path(log))
    name = one_line(log.location, 200) or "this log"
    try:
        facts = (log.eval.metadata or {})["lmrl"]
        chosen = get_task(facts["task"])
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
        episodes = sorted((Episode.from_row(store["episode"]) for store in stores), key=lambda episode: episode.seed)
        # A protocol is a row of seeds, each played once.
        if [episode.seed for episode in episodes] != list(range(facts["seed"], facts["seed"] + len(episodes))):
            raise UserError(f"{name} does not hold the first episodes, each once; leave out --sample-id and --epochs")
        if not all(isinstance(turn.content, str) for episode in episodes for turn in episode.turns):
            raise ValueError("a turn is no text")
        counts = {key: float(sum(store["counts"][key] for store in stores)) for key in ("unparsable", "raw")}
        # Each action has one answer that was played, and each answer that was asked for again is one more.
        answers = sum(episode.num_turns for episode in episodes) + counts["unparsable"] - counts["raw"]
        usage = log.stats.model_usage.get(log.eval.model)
        if usage is not None:
            counts |= {"prompt_tokens": float(usage.input_tokens), "completion_tokens": float(usage.output_tokens)}
        score = score_episodes(
            episodes,
            chosen,
            facts["config"],
            protocol=facts["protocol"],
            options=dict(facts["options"]),
            policy_seed=facts["policy_seed"],
            versions=dict(facts["versions"]),
            checkpoint={
                "source": f"chat:{_model_name(log.eval.model)}",
                "temperature": log.plan.config.temperature,
                "max_new_tokens": log.plan.config.max_tokens,
                "answers": facts["answers"],
                "shots": 0,
                "dataset": None,
                "instructions_sha256": facts["instructions_sha256"],
                "prompt_sha256": facts["prompt_sha256"],
            },
            statistics=counts,
            complaint=complaint(
                answers, counts["unparsable"], 0, log.plan.config.max_tokens, ADVICE[facts["answers"]]
            ),
        )
        score = Score.from_json(score.to_json())
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, StrictDataclassError) as error:
        raise UserError(
            f"{name} is no log of these tasks, or damaged ({one_line(str(error) or type(error).__name__, 80)})"
        ) from None
    return Results(score, episodes, {}, _timing(log, episodes))


def _read(path: Path) -> EvalLog:
    if not path.is_file():
        raise UserError(f"{path} is no file; give a log that `inspect eval` wrote, mostly logs/*.eval")
    try:
        if path.stat().st_size > LARGEST_LOG:
            raise UserError(f"{path} holds {path.stat().st_size:,} bytes, which is too much to read")
        if is_zipfile(path):  # the older format is JSON
            _check_archive(path)
        return read_eval_log(str(path), resolve_attachments="full")
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError, BadZipFile, NotImplementedError) as error:
        raise UserError(
            f"{path} is no log of inspect-ai ({one_line(str(error) or type(error).__name__, 80)})"
        ) from None


def _check_archive(path: Path) -> None:
    """Refuses an archive that is larger than any log, or whose directory lies about what is in it.

    Raises:
        UserError: if it is one.
    """
    with ZipFile(path) as archive:
        members = archive.infolist()
        size = sum(member.file_size for member in members)
        if size > LARGEST_LOG or len(members) > MOST_MEMBERS:
            raise UserError(
                f"{path} holds {len(members):,} files of {size:,} bytes when unpacked, which is too much to read"
            )
        # A member that holds more than its directory says has another checksum up to there.
        if len({member.filename for member in members}) < len(members) or archive.testzip() is not None:
            raise BadZipFile("its directory is not that of its files")


def _timing(log: EvalLog, episodes: Sequence[Episode]) -> dict[str, float]:
    try:
        begun, ended = (datetime.fromisoformat(time) for time in (log.stats.started_at, log.stats.completed_at))
        seconds = max((ended - begun).total_seconds(), 1e-9)
    except (ValueError, TypeError):
        return {}
    turns = sum(episode.num_turns for episode in episodes)
    return {"seconds": seconds, "turns_per_second": turns / seconds, "episodes_per_second": len(episodes) / seconds}
