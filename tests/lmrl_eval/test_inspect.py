"""Inspect tasks: they play what a chat policy would play, and their logs become the same results."""

import dataclasses
import functools
import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import anyio
import inspect_ai
import pytest
import yaml
from cases import check_cases
from fake_server import FakeServer, Reaction, completion
from inspect_ai._eval.task.hf import HFTask, task_create_from_hf
from inspect_ai._util.decorator import parse_decorators
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.log import EvalLog, write_eval_log
from inspect_ai.model import ModelOutput, ModelUsage, get_model

import lmrl_eval.inspect
import lmrl_eval.inspect_tasks
from lmrl_data import Conversation, UserError, get_task
from lmrl_data.dataset.card import render_eval_yaml
from lmrl_data.episode import Turn
from lmrl_data.task import Task
from lmrl_data.tasks import TASKS
from lmrl_data.tasks.chess.engine import find_engine
from lmrl_eval import Evaluator, Results, read_results
from lmrl_eval.inspect_tasks import results_from_log
from lmrl_eval.policies.chat import ChatPolicy
from lmrl_eval.policies.prompt import EMPTY, HIDDEN
from lmrl_eval.verify import verify_results

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PLAYERS = {
    "maze": "optimal", "text_nav": "optimal", "wordle": "greedy", "chess": "random", "endgames": "optimal",
    "twenty_questions": "expert", "guess_my_city": "expert", "car_dealer": "concise",
}  # fmt: skip
# More than one window of history, and all forms of answers.
CASES: dict[str, dict[str, Any]] = {task: {"config": None, "answers": "plain"} for task in TASKS} | {
    "maze/memory": {"config": "partially_observed", "answers": "json"},
    "wordle/tool": {"config": None, "answers": "tool"},
    "maze/tool": {"config": "partially_observed", "answers": "tool"},
}
DRESSES = ("{}", "Action: `{}`", '"{}"', "```\n{}\n```", "<think>what now?</think>\n{}", "\n\n**{}**\nMy choice.")
EPISODES = 2
LONGEST = 25  # turns: more than the longest window, and soon over


def task_of(case: str) -> Task:
    return dataclasses.replace(get_task(case.partition("/")[0]), max_turns=LONGEST)


try:
    find_engine()
except UserError:
    del CASES["chess"]


def answer(messages: list[dict[str, Any]], seed: int) -> str | dict[str, str]:
    """What the model of these tests says: a move of a scripted policy, in some dress or as the arguments of a call;
    now and then nothing of use."""
    if seed % 7 == 0:
        return ("", "<think>and on, and on", "```\n```")[seed % 3]
    system = messages[0]["content"]
    task = next(each for each in map(get_task, TASKS) if system.startswith(each.instructions))
    as_call = task.tool.rule in system
    as_json = system != task.instructions and not as_call
    turns = []
    for message in messages[1:]:
        text = "" if message["content"] == EMPTY else message["content"]
        if message["role"] != "assistant":
            turns += [Turn("user", text)] * (text != HIDDEN)
        elif as_call:
            arguments = json.loads(message["tool_calls"][0]["function"]["arguments"])
            turns.append(Turn("assistant", task.tool.to_action(arguments[task.tool.argument])))
        else:
            turns.append(Turn("assistant", json.loads(text)["action"] if as_json else text))
    if task.id == "maze" and "goal" not in turns[-1].content:
        action = ("move up", "move left", "move right", "move down", "dance")[seed % 5]
    else:
        (action,) = task.policy(PLAYERS[task.id], task.default_config).act([Conversation(0, None, turns)])
    if as_call:
        return {"": ""} if seed % 5 == 1 else {task.tool.argument: task.tool.to_argument(action)}
    return f'Well: {{"action": {json.dumps(action)}}}' if as_json else DRESSES[seed % len(DRESSES)].format(action)


class Model:
    """inspect-ai's mock model, which answers with what a function makes of the chat and the seed."""

    def __init__(self, say: Callable[[list[dict[str, Any]], int], Any]) -> None:
        self.say = say
        self.requests: list[dict[str, Any]] = []

    def __call__(self, chat: list[Any], tools: Any, choice: Any, config: Any) -> ModelOutput:
        messages = [as_sent(message) for message in chat]
        sent = {"messages": messages, "seed": config.seed, "temperature": config.temperature}
        self.requests.append(sent | {"max_tokens": config.max_tokens})
        said = self.say(messages, config.seed)
        if isinstance(said, str):
            return output(said)
        (tool,) = tools
        assert choice == "any"
        made = ModelOutput.for_tool_call("mockllm", tool.name, said, content="I do this.")
        made.usage = ModelUsage(input_tokens=10, output_tokens=2, total_tokens=12)
        return made


def as_sent(message: Any) -> dict[str, Any]:
    """A message of inspect-ai in the form of OpenAI's API."""
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": message.text}
    if message.role == "assistant" and message.tool_calls:
        calls = [
            {"id": c.id, "type": "function", "function": {"name": c.function, "arguments": json.dumps(c.arguments)}}
            for c in message.tool_calls
        ]
        return {"role": "assistant", "content": None, "tool_calls": calls}
    return {"role": message.role, "content": message.text}


def react(body: dict[str, Any], number: int) -> Reaction:
    """The same model behind an endpoint."""
    said = answer(body["messages"], body["seed"])
    if isinstance(said, str):
        return completion(said)
    function = {"name": body["tools"][0]["function"]["name"], "arguments": json.dumps(said)}
    message = {"content": "I do this.", "tool_calls": [{"id": "1", "type": "function", "function": function}]}
    return completion(None, choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}])


def output(text: str) -> ModelOutput:
    made = ModelOutput.from_content("mockllm", text)
    made.usage = ModelUsage(input_tokens=10, output_tokens=2, total_tokens=12)  # or tiktoken would count them
    return made


def play(tasks: Any, model: Any, folder: Path, **settings: Any) -> list[EvalLog]:
    settings = {"max_connections": 4, "max_tasks": 4, **settings}
    return inspect_ai.eval(
        tasks, model=get_model("mockllm/model", custom_outputs=model, memoize=False), log_dir=str(folder),
        display="none", ctl_server=False, **settings,
    )  # fmt: skip


def play_one(name: str, model: Any, folder: Path, task_args: dict[str, Any] | None = None, **settings: Any) -> EvalLog:
    task = getattr(lmrl_eval.inspect, name)(**{"episodes": EPISODES, **(task_args or {})})
    (log,) = play([task], model, folder, **settings)
    return log


def by_seed(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(requests, key=lambda each: (each["seed"], len(each["messages"])))


@pytest.fixture(scope="module", autouse=True)
def _packages_are_looked_up_once() -> Iterator[None]:
    """inspect-ai reads the list of everything that is installed for every task that it runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inspect_ai._util.package.packages_distributions", functools.cache(packages_distributions))
        yield


# --- the same as a chat policy


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[EvalLog, list[dict[str, Any]]]]:
    """The log of each case, and what its model was asked."""
    model = Model(answer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lmrl_eval.inspect_tasks, "get_task", task_of)
        tasks = [
            getattr(lmrl_eval.inspect, task_of(case).id)(episodes=EPISODES, policy_seed=5, **settings)
            for case, settings in CASES.items()
        ]
        logs = play(tasks, model, tmp_path_factory.mktemp("logs"))
    asked: dict[str, list[dict[str, Any]]] = {case: [] for case in CASES}
    systems = {log.samples[0].messages[0].text: case for log, case in zip(logs, CASES, strict=True) if log.samples}
    for request in model.requests:
        asked[systems[request["messages"][0]["content"]]].append(request)
    return {case: (log, asked[case]) for log, case in zip(logs, CASES, strict=True)}


@pytest.fixture(scope="module")
def chatted() -> Iterator[Callable[[str], tuple[Results, list[dict[str, Any]]]]]:
    """Lets a chat policy play a case over HTTP."""
    server = FakeServer()
    server.react = react

    def run(case: str) -> tuple[Results, list[dict[str, Any]]]:
        server.requests.clear()
        task, settings = task_of(case), CASES[case]
        config = settings["config"] or task.default_config
        policy = ChatPolicy(f"chat:mockllm/model@{server.url}", task, config, answers=settings["answers"], seed=5)
        results = Evaluator().compute(
            policy, task, config, n_episodes=EPISODES, move_accuracy=False, policy_seed=5, checkpoint=policy.describe()
        )
        return results, list(server.requests)

    yield run
    server.close()


@pytest.mark.parametrize("case", CASES)
def test_a_model_plays_the_episodes_that_it_would_play_as_a_chat_policy(case: str, played: Any, chatted: Any) -> None:
    (log, asked), (expected, asked_by_chat) = played[case], chatted(case)
    results = results_from_log(log)
    assert results.episodes == expected.episodes
    assert results.score.n_episodes == EPISODES
    # And it was asked the same: the same windows of the history, seeds, limits, and second tries.
    assert by_seed(asked) == [
        {key: each[key] for key in ("messages", "seed", "temperature", "max_tokens")}
        for each in by_seed(asked_by_chat)
    ]
    score = dataclasses.asdict(results.score)
    assert score.pop("versions").pop("inspect-ai") == inspect_ai.__version__
    said = dataclasses.asdict(expected.score)
    said.pop("versions")
    assert score.pop("statistics").items() <= said.pop("statistics").items()
    assert score.pop("checkpoint").items() <= said.pop("checkpoint").items()
    assert score == said
    assert results.timing["seconds"] > 0


def test_the_players_of_these_tests_win_and_lose(played: Any) -> None:
    rates = {case: results_from_log(log).score for case, (log, _) in played.items()}
    assert {case for case, score in rates.items() if score.success_rate == 1} >= {"maze", "endgames"}
    assert rates["maze/memory"].success_rate < 1
    assert sum(score.statistics["unparsable"] for score in rates.values()) > 5
    assert sum(score.statistics["raw"] for score in rates.values()) > 0


def test_the_metrics_are_those_of_the_score(played: Any) -> None:
    for log, _ in played.values():
        score = results_from_log(log).score
        metrics = {name: each.value for part in log.results.scores for name, each in part.metrics.items()}
        assert metrics["mean_return"] == pytest.approx(score.mean_return)
        assert metrics["normalized"] == pytest.approx(score.normalized)
        assert metrics["success_rate"] == pytest.approx(score.success_rate)
        assert metrics["stderr"] >= 0


def test_a_sample_keeps_the_whole_transcript_and_what_it_earned(played: Any) -> None:
    log, asked = played["maze"]
    assert max(len(request["messages"]) for request in asked) == 2  # the rules and the newest text
    for sample, episode in zip(log.samples, results_from_log(log).episodes, strict=True):
        assert [(each.role, each.text) for each in sample.messages[1:]] == [(t.role, t.content) for t in episode.turns]
        assert sample.input == episode.turns[0].content
        assert sample.id == episode.seed
        (score,) = sample.scores.values()
        assert score.value == episode.total_reward
        assert score.metadata["turns"] == episode.num_turns
        assert score.metadata["success"] == episode.success


def test_options_protocol_and_seed_reach_the_simulator(tmp_path: Path) -> None:
    args = {"protocol": "quick", "seed": 7, "options": {"reward": "illegal_penalty"}}
    results = results_from_log(play_one("maze", Model(answer), tmp_path, args))
    expected = Evaluator().compute(
        get_task("maze").policy("optimal", "fully_observed"), "maze", protocol="quick", seed=7, n_episodes=2,
        options={"reward": "illegal_penalty"}, move_accuracy=False,
    )  # fmt: skip
    assert [each.info for each in results.episodes] == [each.info for each in expected.episodes]
    assert {turn.reward for each in results.episodes for turn in each.turns} <= {0.0, 1.0, -1.0}
    assert (results.score.protocol, results.score.options) == ("quick", {"reward": "illegal_penalty"})
    assert (results.score.seed, results.score.interval) == (7, expected.score.interval)


def test_the_temperature_of_the_command_line_holds_until_an_answer_cannot_be_read(tmp_path: Path) -> None:
    model = Model(lambda *_: "<think>")
    log = play_one("wordle", model, tmp_path, temperature=0.0, max_tokens=9)
    assert [each["temperature"] for each in model.requests].count(0.0) == 12
    assert [each["temperature"] for each in model.requests].count(1.0) == 12
    assert {each["max_tokens"] for each in model.requests} == {9}
    assert results_from_log(log).score.checkpoint["max_new_tokens"] == 9  # type: ignore[index]


# --- what may go wrong


def test_no_text_of_a_model_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["", "\x00\x1b[2J", "a\ud800b", "x" * 200_000, "{" * 5_000, "```", "<think>", "</think>", "\u2028",
             "𝕏" * 3_000, "{% for x in y %}", "[bold]", "../../etc/passwd", "[INST]", "\n" * 1_000]  # fmt: skip

    def model(chat: Any, tools: Any, choice: Any, config: Any) -> ModelOutput:
        if config.seed % 11 == 0:
            return ModelOutput(model="mockllm", usage=ModelUsage())  # no choice at all
        return output(texts[config.seed % len(texts)])

    # Some tasks would let a player go on with nonsense for hundreds of turns.
    monkeypatch.setattr(
        lmrl_eval.inspect_tasks, "get_task", lambda name: dataclasses.replace(get_task(name), max_turns=8)
    )
    tasks = [getattr(lmrl_eval.inspect, task_of(case).id)(episodes=2) for case in CASES if case != "maze_from_memory"]
    for log in play(tasks, model, tmp_path):
        assert log.status == "success"
        folder = results_from_log(log.location).save(tmp_path / "results")
        assert len(read_results(folder).episodes) == 2


def test_a_log_becomes_a_folder_that_can_be_verified(played: Any, tmp_path: Path) -> None:
    log, _ = played["wordle"]
    results = results_from_log(log.location)
    again = read_results(results.save(tmp_path / "r"))
    assert again.score == results.score
    assert list(again.episodes) == list(results.episodes) == list(results_from_log(log).episodes)
    assert verify_results(tmp_path / "r").status == "verified"


def test_the_command_makes_a_results_folder_of_a_log(lmrl_eval: Any, tmp_path: Path) -> None:
    log = play_one("maze", lambda *_: output("move down"), tmp_path, {"episodes": 2})
    code, out, err = lmrl_eval("from-inspect", log.location, "--out", "results")
    assert (code, err) == (0, "")
    assert "wrote results" in out
    assert "verified: 2 episodes" in lmrl_eval("verify", "results")[1]
    code, _, err = lmrl_eval("from-inspect", str(tmp_path / "no.eval"))
    assert (code, err.count("\n")) == (2, 1)


def test_an_episode_that_a_limit_cut_off_is_no_result(tmp_path: Path) -> None:
    async def slow(*_: Any) -> ModelOutput:
        await anyio.sleep(60)
        raise AssertionError

    log = play_one("wordle", slow, tmp_path, time_limit=1)
    assert log.status == "success"
    assert {sample.limit.type for sample in log.samples} == {"time"}
    with pytest.raises(UserError, match=r"not complete \(success, 2 episodes cut off\); run inspect eval-retry"):
        results_from_log(log)
    log = play_one("wordle", Model(lambda *_: "c r a n e"), tmp_path, message_limit=4)
    assert {sample.limit.type for sample in log.samples} == {"message"}
    with pytest.raises(UserError, match="2 episodes cut off"):
        results_from_log(log)


def test_a_model_that_fails_is_an_error_of_the_sample_and_no_result(tmp_path: Path) -> None:
    def broken(*_: Any) -> ModelOutput:
        raise RuntimeError("no connection")

    log = play_one("wordle", broken, tmp_path, fail_on_error=False)
    assert [sample.error.message for sample in log.samples] == ["RuntimeError('no connection')"] * 2
    with pytest.raises(UserError, match="2 episodes cut off"):
        results_from_log(log)


def test_episodes_picked_by_hand_or_played_twice_are_no_result(tmp_path: Path) -> None:
    model = Model(lambda *_: "c r a n e")
    for settings in ({"sample_id": [2_000_001, 2_000_002]}, {"epochs": 2}):
        log = play_one("wordle", model, tmp_path, {"episodes": 3}, **settings)
        assert log.status == "success"
        with pytest.raises(UserError, match="does not hold the first episodes"):
            results_from_log(log)
    assert results_from_log(play_one("wordle", model, tmp_path, {"episodes": 3}, limit=2)).score.n_episodes == 2


def test_a_damaged_or_foreign_log_is_one_line(played: Any, tmp_path: Path) -> None:
    log, _ = played["wordle"]

    def spoilt(change: Callable[[EvalLog], Any]) -> EvalLog:
        copy = log.model_copy(deep=True)
        change(copy)
        return copy

    def told(copy: EvalLog) -> Any:
        return copy.eval.metadata["lmrl"]

    for change in (
        lambda copy: copy.eval.metadata.clear(),
        lambda copy: told(copy).update(task=["wordle"]),
        lambda copy: told(copy).update(task="mazes"),
        lambda copy: told(copy).update(config="words_800"),
        lambda copy: told(copy).update(options={"x": float("nan")}),
        lambda copy: told(copy).update(seed="x"),
        lambda copy: told(copy).pop("versions"),
        lambda copy: setattr(copy.eval, "task_version", "0.9"),
        lambda copy: copy.samples[0].store["episode"].pop("rewards"),
        lambda copy: copy.samples[0].store["episode"]["messages"][1].update(content=3),
        lambda copy: copy.samples[0].store["episode"]["rewards"].__setitem__(1, float("inf")),
        lambda copy: copy.samples[0].store.update(counts=None),
        lambda copy: setattr(copy, "samples", None),
    ):
        with pytest.raises(UserError) as caught:
            results_from_log(spoilt(change))
        assert "\n" not in str(caught.value)
    other = tmp_path / "other.eval"
    other.write_bytes(b"PK\x03\x04 and then nothing")
    written = tmp_path / "log.json"
    write_eval_log(log, str(written))
    assert list(results_from_log(written).episodes) == list(results_from_log(log).episodes)
    half = tmp_path / "half.json"
    half.write_text(written.read_text()[:5_000])
    for path in (other, half, tmp_path, tmp_path / "none.eval", __file__):
        with pytest.raises(UserError, match=r"is no (log of inspect-ai|file)") as caught:
            results_from_log(path)
        assert "\n" not in str(caught.value)


def test_a_wrong_setting_is_one_line() -> None:
    def check(settings: dict[str, Any], message: str) -> None:
        with pytest.raises(PrerequisiteError) as caught:
            lmrl_eval.inspect.maze(**settings)
        assert str(caught.value.message).startswith("error: ")
        assert message in str(caught.value.message)

    check_cases(
        [
            ({"episode": 8}, "unknown setting of maze 'episode'; choose from: config, episodes"),
            ({"config": "big"}, "unknown config of maze 'big'"),
            ({"config": ["a"]}, "config cannot be"),
            ({"protocol": "slow"}, "unknown protocol of maze 'slow'"),
            ({"options": {"lay": 1}}, "unknown reset option of maze 'lay'"),
            ({"options": "layout=umaze"}, "options cannot be 'layout=umaze'; write for example -T options='{"),
            ({"answers": "xml"}, "unknown form of answers 'xml'"),
            ({"episodes": 0}, "1 to 200,000 episodes"),
            ({"episodes": "many"}, "episodes cannot be 'many'"),
            ({"episodes": True}, "episodes cannot be 'True'"),
            ({"seed": -1}, "a seed is a number"),
            ({"policy_seed": -1}, "policy_seed is at least 0"),
        ],
        check,
    )


def test_without_inspect_ai_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    monkeypatch.delitem(sys.modules, "lmrl_eval.inspect")
    monkeypatch.delitem(sys.modules, "lmrl_eval.inspect_tasks")
    with pytest.raises(UserError, match=r"inspect-ai cannot be loaded \(.+\); run: pip install 'lmrl\[inspect\]'"):
        importlib.import_module("lmrl_eval.inspect")


def test_a_local_models_folder_is_not_published() -> None:
    assert lmrl_eval.inspect_tasks._model_name("hf//home/me/models/smol") == "hf/smol"
    assert lmrl_eval.inspect_tasks._model_name("openai/gpt-5") == "openai/gpt-5"


# --- how inspect-ai finds them


def test_there_is_a_function_for_every_task() -> None:
    found = parse_decorators(ROOT / "lmrl_eval" / "inspect.py", "task")
    assert {name for name, _ in found} == set(TASKS)


def test_eval_yaml_is_read_by_inspect_ai_and_names_the_command_that_scores() -> None:
    def check(name: str) -> None:
        text = render_eval_yaml(get_task(name))
        tasks = [HFTask.model_validate(each) for each in yaml.safe_load(text)["tasks"]]
        assert [each.config for each in tasks] == list(get_task(name).configs)
        for each in tasks:
            command = f"inspect eval lmrl_eval/{name} -T config={each.config}"
            assert each.field_spec.target.endswith(command)
        assert f"#   inspect eval lmrl_eval/{name} -T config={tasks[0].config} --model MODEL\n" in text

    check_cases(TASKS, check)


def test_the_hubs_own_route_gives_no_score_but_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "eval.yaml"
    path.write_text(render_eval_yaml(get_task("wordle")))
    row = {"messages": [{"role": "user", "content": "Wordle:"}], "total_reward": -1.0}
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda **_: str(path))
    monkeypatch.setattr("inspect_ai._eval.task.hf.hf_dataset", lambda **given: [given["sample_fields"](row)])
    with pytest.raises(KeyError, match="to score a policy, run: inspect eval lmrl_eval/wordle -T config=words_400"):
        task_create_from_hf("hf/lmrl/wordle/wordle_words_400")


# --- the real command


def inspect_command(
    *arguments: str, cwd: Path, server: FakeServer, **environment: str
) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ, "LOCAL_API_KEY": "none", "LOCAL_BASE_URL": server.url, "INSPECT_LOG_DIR": str(cwd / "logs"),
        "COLUMNS": "200", "NO_PROXY": "127.0.0.1", **environment,
    }  # fmt: skip
    command = [str(Path(sys.executable).with_name("inspect")), "eval", *arguments]
    return subprocess.run(
        [*command, "--model", "openai-api/local/me/model", "--display", "plain"],
        capture_output=True, text=True, cwd=cwd, env=environment, timeout=300,
    )  # fmt: skip


@pytest.mark.release
def test_the_command_plays_a_file_from_anywhere(tmp_path: Path, server: FakeServer) -> None:
    server.react = react
    file = os.path.relpath(ROOT / "lmrl_eval" / "inspect.py", tmp_path)
    settings = ["-T", "episodes=2", "-T", "protocol=quick"]
    done = inspect_command(f"{file}@maze", *settings, cwd=tmp_path, server=server)
    assert done.returncode == 0, done.stdout + done.stderr
    (log,) = tmp_path.glob("logs/*.eval")
    results = results_from_log(log)
    assert (results.score.n_episodes, results.score.success_rate) == (2, 1.0)
    assert results.score.policy == "chat:openai-api/local/me/model"
    assert f"mean_return   {results.score.mean_return:.3f}"[:18] in done.stdout
    done = inspect_command(f"{file}@maze", "-T", "episode=2", cwd=tmp_path, server=server)
    assert done.returncode != 0
    assert "error: unknown setting of maze 'episode'" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.release
def test_an_installed_package_offers_its_tasks_by_name(tmp_path: Path, server: FakeServer) -> None:
    server.react = react
    # What an installer makes of the project file; inspect-ai knows packages by the folder's name.
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    entries = project["entry-points"]["inspect_ai"]
    site = tmp_path / "site-packages"
    (site / "lmrl-9.dist-info").mkdir(parents=True)
    for package in ("lmrl_data", "lmrl_eval"):
        (site / package).symlink_to(ROOT / package)
    (site / "lmrl-9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: lmrl\nVersion: 9\n")
    lines = [f"{name} = {value}" for name, value in entries.items()]
    (site / "lmrl-9.dist-info" / "entry_points.txt").write_text("\n".join(["[inspect_ai]", *lines, ""]))
    done = inspect_command("lmrl_eval/maze", "-T", "episodes=2", cwd=tmp_path, server=server, PYTHONPATH=str(site))
    assert done.returncode == 0, done.stdout + done.stderr
    (log,) = (tmp_path / "logs").glob("*.eval")
    assert results_from_log(log).score.success_rate == 1.0
    assert re.search(r"lmrl_eval/maze|maze \(2 samples\)", done.stdout)
