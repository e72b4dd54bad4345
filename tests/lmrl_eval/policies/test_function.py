"""One's own function as a policy: what it is given, what its score says, and that its mistakes are one line."""

import functools
import json
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cases import check_cases

from lmrl_data import UserError, get_task
from lmrl_eval import Evaluator, load_policy, read_results
from lmrl_eval.policies import is_checkpoint, is_function
from lmrl_eval.policies.prompt import HIDDEN

Run = Callable[..., tuple[int, str, str]]
AGENT = """
import json

WAYS = ["move up", "move left", "move down", "move right"]

def play(chats):
    return [WAYS[len(chat[-1]["content"]) % 4] for chat in chats]

def calls(limit):
    state = {"left": limit}
    def play(chats):
        if not state["left"]:
            return json.loads("{")
        state["left"] -= 1
        return [f"move {chat[0]['role']}" for chat in chats]
    return play

class Agent:
    def __call__(self, chats):
        return tuple("move up" for _ in chats)

def none(chats): return None
def fewer(chats): return ["move up"] * (len(chats) - 1)
def mixed(chats): return ["move up"] * (len(chats) - 1) + [7]
def text(chats): return "move up"
def leave(chats): raise SystemExit(0)
def bad(chats): raise KeyError("two\\nlines")
def late(chats): return (text for text in chats)
agent, dies, number = Agent(), calls(20), 3
"""


@pytest.fixture(autouse=True)
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module `my_agent` in the folder where commands run."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "my_agent.py"
    path.write_text(AGENT)
    yield path
    for name in ("my_agent", "broken"):
        sys.modules.pop(name, None)


def test_a_function_is_given_the_messages_of_a_chat_model() -> None:
    batches: list[Any] = []

    def play(chats: list[list[dict[str, Any]]]) -> list[str]:
        batches.append(chats)
        return ["move up"] * len(chats)

    results = Evaluator().compute(play, "maze", "partially_observed", n_episodes=2, batch_size=2, move_accuracy=False)
    first, second = batches[0], batches[1]
    rules = {"role": "system", "content": get_task("maze").instructions}
    start = {"role": "user", "content": results.episodes[0].turns[0].content}
    assert first[0] == [rules, start]
    assert second[0][:3] == [rules, start, {"role": "assistant", "content": "move up"}]
    assert len(first) == 2
    assert max(len(chats[0]) for chats in batches) == 42  # the rules, a note on what is hidden, and 40 texts
    assert {chats[0][1]["content"] for chats in batches if len(chats[0]) == 42} == {HIDDEN}
    assert results.score.mean_return == sum(e.total_reward for e in results.episodes) / 2
    assert results.score.checkpoint is not None
    assert results.score.checkpoint["source_sha256"] == sha256(Path(__file__).read_bytes()).hexdigest()


def test_the_command_scores_a_function_and_says_so(lmrl_eval: Run, agent: Path) -> None:
    command = ("run", "--task", "maze", "--episodes", "4", "--policy")
    code, out, errors = lmrl_eval(*command, "my_agent:play")
    assert code == 0, errors
    assert "callable:my_agent:play" in out
    score = read_results("results/maze-fully_observed-callable_my_agent_play").score
    assert (score.policy, score.policy_seed, score.move_accuracy) == ("callable:my_agent:play", None, None)
    assert score.checkpoint is not None
    assert score.checkpoint.pop("prompt_sha256") == score.checkpoint.pop("instructions_sha256")
    assert score.checkpoint == {
        "source": "callable:my_agent:play", "callable": "my_agent:play",
        "source_sha256": sha256(agent.read_bytes()).hexdigest(),
    }  # fmt: skip
    assert lmrl_eval(*command, "my_agent:agent", "--out", "object")[0] == 0
    assert lmrl_eval("verify", "object")[0] == 0


def test_names_of_functions_and_of_checkpoints_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder:name").mkdir()

    def check(spec: str, checkpoint: bool) -> None:
        assert is_checkpoint(spec) is checkpoint

    check_cases(
        [
            ("my_agent:play", False), ("package.module:Agent.play", False), ("chat:m@http://h/v1", False),
            ("scripted:optimal", False), ("runs/maze/bc", True), ("org/model", True), ("folder:name", True),
            ("C:/models/bc", True), ("org/model:tag", True), ("bc", True),
        ],
        check,
    )  # fmt: skip


def test_a_mistake_in_a_function_is_one_line(lmrl_eval: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import json\njson.loads('{')\n")
    (tmp_path / "missing.py").write_text("import no_such_library\n")
    must = "; it must return a list of texts, one per conversation"

    def check(spec: str, message: str) -> None:
        code, _, errors = lmrl_eval("run", "--task", "maze", "--episodes", "4", "--policy", spec)
        assert code == 2
        (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
        assert line.startswith(f"error: {message}"), line
        assert "Traceback" not in errors

    check_cases(
        [
            ("my_agent:none", f"my_agent:none returned a NoneType{must}"),
            ("my_agent:text", f"my_agent:text returned a str{must}"),
            ("my_agent:late", f"my_agent:late returned a generator{must}"),
            ("my_agent:fewer", f"my_agent:fewer returned 3 answers for 4 conversations{must}"),
            ("my_agent:mixed", f"my_agent:mixed returned a int as answer 3{must}"),
            ("my_agent:leave", "my_agent:leave raised SystemExit: 0 (my_agent.py, line "),
            ("my_agent:bad", "my_agent:bad raised KeyError: 'two\\nlines' (my_agent.py, line "),
            ("my_agent:number", "my_agent:number is a int, and no function"),
            ("my_agent:nothing", "the module 'my_agent' has no 'nothing'"),
            ("no_agent:play", "there is no module 'no_agent' in this folder or on Python's path; a policy is "),
            ("broken:play", "broken raised JSONDecodeError: Expecting property name"),
            ("missing:play", "missing raised ModuleNotFoundError: No module named 'no_such_library' (missing.py"),
        ],
        check,
    )  # fmt: skip


def test_an_error_loses_no_finished_episode(lmrl_eval: Run, agent: Path) -> None:
    command = ("run", "--task", "wordle", "--episodes", "40", "--batch-size", "4", "--policy", "my_agent:dies")
    code, _, errors = lmrl_eval(*command)
    assert code == 2
    line = AGENT[: AGENT.index("json.loads")].count("\n") + 1
    reason = "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    saved = "12 of 40 episodes are saved; the same command goes on from there"
    assert errors.splitlines()[-1] == f"error: my_agent:dies raised {reason} (my_agent.py, line {line}); {saved}"
    agent.write_text(AGENT.replace("calls(20)", "calls(6000)"))
    assert "holds an unfinished run with another checkpoint" in lmrl_eval(*command)[2]


def test_settings_of_other_policies_are_refused(lmrl_eval: Run) -> None:
    command = ("run", "--task", "maze", "--policy", "my_agent:play")
    assert "my_agent:play has no answers" in lmrl_eval(*command, "--answers", "tool")[2]
    assert "my_agent:play has no beta" in lmrl_eval(*command, "--beta", "4")[2]


def test_any_callable_has_a_name_and_a_digest() -> None:
    def play(suffix: str, chats: list[Any]) -> list[str]:
        return [suffix] * len(chats)

    def describe(function: Any) -> dict[str, Any]:
        policy: Any = load_policy(function, get_task("maze"), "fully_observed")
        return policy.describe()

    described = describe(functools.partial(play, "move up"))
    assert described["source"].endswith("test_any_callable_has_a_name_and_a_digest.<locals>.play")
    assert len(described["source_sha256"]) == 64
    made = eval("lambda chats: chats")
    assert (describe(made)["callable"].endswith(":<lambda>"), describe(made)["source_sha256"]) == (True, None)
    assert json.dumps(describe(sorted))
    with pytest.raises(UserError, match="is a int, and no function"):
        load_policy(3, get_task("maze"), "fully_observed")  # type: ignore[arg-type]


def test_the_names_of_scripts_and_endpoints_are_no_functions() -> None:
    assert not any(is_function(spec) for spec in ("scripted:optimal", "chat:model", "human"))
    assert is_function("agent:answer")
