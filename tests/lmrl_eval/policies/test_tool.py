"""Tool mode: a chat model calls the task's tool, and whatever else it sends is counted and never an error."""

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cases import check_cases
from fake_server import FakeServer, Reaction, completion

from lmrl_data import Conversation, Policy, UserError, get_task, rollout
from lmrl_data.episode import Turn
from lmrl_data.task import Task
from lmrl_data.tasks import BUILT_IN
from lmrl_data.tasks.chess.engine import find_engine
from lmrl_data.tool import Tool
from lmrl_eval import read_results
from lmrl_eval.endpoint import ChatError
from lmrl_eval.policies.chat import ChatPolicy
from lmrl_eval.policies.prompt import EMPTY, HIDDEN

MAZE, WORDLE = get_task("maze"), get_task("wordle")
Run = Callable[..., tuple[int, str, str]]
PLAYERS = {
    "maze": "optimal", "text_nav": "optimal", "wordle": "greedy", "chess": "random", "endgames": "optimal",
    "twenty_questions": "expert", "guess_my_city": "expert", "car_dealer": "concise",
}  # fmt: skip
TOOLS = {
    "maze": "move(direction)", "text_nav": "act(command)", "wordle": "guess(word)", "chess": "move(move)",
    "endgames": "move(move)", "twenty_questions": "ask(question)", "guess_my_city": "ask(question)",
    "car_dealer": "say(message)",
}  # fmt: skip


def calling(*calls: Any, content: Any = None) -> Reaction:
    """An answer that calls tools: each call is a name and its arguments, or whatever a server may send."""
    entries = [
        {"id": str(i), "type": "function", "function": {"name": call[0], "arguments": call[1]}}
        if isinstance(call, tuple)
        else call
        for i, call in enumerate(calls)
    ]
    message = {"role": "assistant", "content": content, "tool_calls": entries}
    return completion(None, choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}])


def policy(server: FakeServer, task: Task = MAZE, config: str | None = None, **settings: Any) -> ChatPolicy:
    settings = {"answers": "tool", "first_wait": 0.01, **settings}
    return ChatPolicy(f"chat:me/model@{server.url}", task, config or task.default_config, **settings)


def conversation(*texts: str, history: int | None = None, seed: int = 0) -> Conversation:
    roles = ("user", "assistant")
    return Conversation(seed, history, [Turn(roles[i % 2], text) for i, text in enumerate(texts)])  # type: ignore[arg-type]


def scripted(task: Task, turns: list[Turn]) -> str:
    """What a scripted policy does after these turns."""
    (action,) = task.policy(PLAYERS[task.id], task.default_config).act([Conversation(0, None, turns)])
    return action


class Scripted(Policy):
    """The same by text."""

    name = "scripted"

    def __init__(self, task: Task) -> None:
        self.task = task

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [scripted(self.task, conversation.visible) for conversation in conversations]


def read_turns(messages: list[dict[str, Any]], tool: Tool) -> list[Turn]:
    """The turns of a chat in the API's form; checks that each call is followed by its result."""
    turns: list[Turn] = []
    for before, message in itertools.pairwise(messages):
        if message["role"] == "assistant":
            (call,) = message["tool_calls"]
            assert call["function"]["name"] == tool.name
            argument = json.loads(call["function"]["arguments"])[tool.argument]
            turns.append(Turn("assistant", tool.to_action(argument)))
            continue
        calls = before.get("tool_calls")
        expected = {"role": "tool", "tool_call_id": calls[0]["id"]} if calls else {"role": "user"}
        assert message == expected | {"content": message["content"]}
        turns.append(Turn("user", "" if message["content"] == EMPTY else message["content"]))
    return turns


@pytest.mark.slow
def test_a_player_returns_by_its_tool_what_it_returns_by_text(server: FakeServer) -> None:
    def check(name: str) -> None:
        task = get_task(name)
        tool = task.tool

        def react(body: dict[str, Any], number: int) -> Reaction:
            action = scripted(task, read_turns(body["messages"], tool))
            return calling((tool.name, json.dumps({tool.argument: tool.to_argument(action)})))

        server.react = react
        settings = {"max_turns": min(task.max_turns, 25)}
        players = Scripted(task), policy(server, task)
        expected, played = (
            rollout(task, task.default_config, player, [2_000_000, 2_000_001], **settings)  # type: ignore[arg-type]
            for player in players
        )
        assert [episode.turns for episode in played] == [episode.turns for episode in expected]
        assert players[1].statistics()["unparsable"] == 0
        (sent,) = server.requests[-1]["tools"]
        assert f"{sent['function']['name']}({', '.join(sent['function']['parameters']['properties'])})" == TOOLS[name]

    names = set(BUILT_IN)
    try:
        find_engine()
    except UserError:
        names.remove("chess")
    check_cases(sorted(names), check)


def test_a_request_offers_the_one_tool_and_history_is_calls_and_results(server: FakeServer) -> None:
    server.react = lambda *_: calling(("guess", '{"word": "crane"}'))
    assert policy(server, WORDLE).act([conversation("Wordle:", "s h i r e", "b y g g b", "I resign.", "")]) == [
        "c r a n e"
    ]
    (body,) = server.requests
    (tool,) = body["tools"]
    assert body["tool_choice"] == "required"
    assert tool["type"] == "function"
    assert tool["function"]["parameters"] == {
        "type": "object", "properties": {"word": {"type": "string", "description": "Five lower-case letters."}},
        "required": ["word"], "additionalProperties": False,
    }  # fmt: skip

    def call(identity: str, word: str) -> dict[str, Any]:
        function = {"name": "guess", "arguments": json.dumps({"word": word})}
        return {"id": identity, "type": "function", "function": function}

    assert body["messages"] == [
        {"role": "system", "content": f"{WORDLE.instructions}\n\n{WORDLE.tool.rule}"},
        {"role": "user", "content": "Wordle:"},
        {"role": "assistant", "content": None, "tool_calls": [call("call00002", "shire")]},
        {"role": "tool", "tool_call_id": "call00002", "content": "b y g g b"},
        {"role": "assistant", "content": None, "tool_calls": [call("call00004", "I resign.")]},
        {"role": "tool", "tool_call_id": "call00004", "content": EMPTY},
    ]


def test_a_window_that_begins_with_a_call_begins_with_a_user(server: FakeServer) -> None:
    sent = policy(server, config="partially_observed").messages(conversation("a", "move up", "c", history=2))
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool"]
    assert sent[1]["content"] == HIDDEN
    sent = policy(server, config="partially_observed").messages(conversation("a", "move up", "c", history=1))
    assert [message["role"] for message in sent] == ["system", "user"]


UP, DOWN = '{"direction": "up"}', '{"direction": "down"}'
# What a server sends, what is played, and whether the answer could be read.
ANSWERS: list[tuple[Reaction, str, bool]] = [
    (calling(("move", UP)), "move up", True),
    (calling(("move", {"direction": "up"})), "move up", True),
    (calling(("move", UP), content="I go up.\nmove down"), "move up", True),
    (calling(("move", '{"direction": "move up"}')), "move up", True),
    (calling(("move", '{"direction": "up\\nor down", "why": 3}')), "move up", True),
    (calling(("move", '{"direction": "north"}')), "move north", True),
    (calling(("move", UP), ("move", DOWN)), "move up", False),
    (calling(("jump", UP), ("move", DOWN)), "move down", False),
    (calling(7, ("move", UP)), "move up", False),
    (calling(("jump", UP)), "", False),
    (calling(("", UP)), "", False),
    (calling((["move"], UP)), "", False),
    (calling(("move", "up")), "", False),
    (calling(("move", '{"direction": "u')), "", False),
    (calling(("move", '"up"')), "", False),
    (calling(("move", '["up"]')), "", False),
    (calling(("move", "null")), "", False),
    (calling(("move", None)), "", False),
    (calling(("move", "")), "", False),
    (calling(("move", '{"Direction": "up"}')), "", False),
    (calling(("move", '{"direction": 3}')), "", False),
    (calling(("move", '{"direction": ["up"]}')), "", False),
    (calling(("move", '{"direction": " \\n"}')), "", False),
    (calling(("move", json.dumps({"direction": "x" * 300_000}))), "", False),
    (calling(("move", "[" * 15_000)), "", False),
    (calling(("move", '{"direction":' * 4_000)), "", False),
    (calling(("move", "9" * 10_000)), "", False),
    (calling(("move", '{"direction": "\\ud83d"}')), "move ?", True),
    (calling(("move", json.dumps({"direction": "x" * 5_000}))), f"move {'x' * 995}", True),
    (calling(*[("move", UP)] * 500), "move up", False),
    (calling(), "", False),
    (calling("move", None, [], {"function": 3}, {"function": {}}), "", False),
    (calling(content="  move down\nbecause"), "move down", False),
    (completion("move down"), "move down", False),
    (completion("move down", choices=[{"message": {"content": "move down", "tool_calls": 7}}]), "move down", False),
    (completion(None, choices=[{"message": {"content": None, "tool_calls": {"a": 1}}}]), "", False),
    (completion('<tool_call>{"name": "move", "arguments": {"direction": "up"}}</tool_call>'),
     '<tool_call>{"name": "move", "arguments": {"direction": "up"}}</tool_call>', False),
]  # fmt: skip


def test_whatever_a_server_sends_is_played_or_counted(server: FakeServer) -> None:
    def check(reaction: Reaction, action: str, readable: bool) -> None:
        server.react = lambda *_: reaction
        player = policy(server)
        assert player.act([conversation("go")]) == [action]
        counts = player.statistics()
        assert (counts["unparsable"], counts["raw"]) == ((0, 0) if readable else (2, 1))
        assert (player.complaint() is None) == readable

    check_cases(ANSWERS, check)


def test_unread_answers_are_named_with_what_may_help(server: FakeServer) -> None:
    server.react = lambda *_: completion("move up")
    player = policy(server)
    player.act([conversation("go")])
    assert player.complaint() == (
        "of 2 answers 2 could not be read and 0 were cut at 256 tokens: look at the episodes and at what the server "
        "makes of the model's calls, or leave out --answers tool"
    )


@pytest.mark.parametrize(
    ("taken", "asked"),
    [(("required",), ["required"]), (("dict",), ["required", "dict"]), ((None,), ["required", "dict", None])],
)
def test_a_tool_is_asked_for_as_the_server_takes_it(server: FakeServer, taken: Any, asked: list[Any]) -> None:
    def form(body: dict[str, Any]) -> Any:
        choice = body.get("tool_choice")
        return "dict" if choice == {"type": "function", "function": {"name": "move"}} else choice

    def react(body: dict[str, Any], number: int) -> Reaction:
        if form(body) not in taken:
            return 400, {}, b'{"object": "error", "message": "`tool_choice` must be something else"}'
        return calling(("move", UP))

    server.react = react
    player = policy(server, budget=len(asked) + 1)
    assert [player.act([conversation("go")]) for _ in range(2)] == [["move up"]] * 2
    assert list(map(form, server.requests)) == [*asked, asked[-1]]
    counts = player.statistics()
    retries = len(asked) - 1
    assert (counts["requests"], counts["retries"], counts["errors"]) == (retries + 2, retries, retries)
    with pytest.raises(ChatError, match="budget of"):
        player.act([conversation("go")])


def test_a_request_in_another_form_is_paid_from_the_budget(server: FakeServer) -> None:
    server.react = lambda body, number: (400, {}, b'{"error": "use max_completion_tokens"}')
    with pytest.raises(ChatError, match="budget of 1 requests is spent"):
        policy(server, budget=1).act([conversation("go")])
    assert len(server.requests) == 1


def test_a_server_without_tools_is_one_line(lmrl_eval: Run, server: FakeServer) -> None:
    message = '"auto" tool choice requires --enable-auto-tool-choice'
    server.react = lambda *_: (400, {}, json.dumps({"object": "error", "message": message}).encode())
    code, _, errors = lmrl_eval(
        "run", "--task", "maze", "--policy", f"chat:m@{server.url}", "--answers", "tool", "--episodes", "2"
    )
    assert code == 2
    assert f"it answers 400 ({message})" in errors.splitlines()[-1]


def test_a_score_says_that_a_tool_was_called(lmrl_eval: Run, server: FakeServer) -> None:
    server.react = lambda *_: calling(("guess", '{"word": "shire"}'))
    command = ("run", "--task", "wordle", "--policy", f"chat:m@{server.url}", "--answers", "tool", "--episodes", "2")
    code, _, errors = lmrl_eval(*command, "--out", "tool")
    assert code == 0, errors
    score = json.loads(Path("tool/score.json").read_text())
    assert (score["checkpoint"]["answers"], score["policy"]) == ("tool", "chat:m (tool)")
    (episode, _) = read_results(Path("tool")).episodes
    assert {turn.content for turn in episode.turns if turn.role == "assistant"} == {"s h i r e"}


def test_a_checkpoint_takes_no_form_of_answers(lmrl_eval: Run) -> None:
    code, _, errors = lmrl_eval("run", "--task", "maze", "--policy", "scripted:optimal", "--answers", "tool")
    assert code == 2
    assert errors.startswith("error: scripted:optimal has no answers; ")


def test_a_tool_has_names_as_in_python() -> None:
    with pytest.raises(ValueError, match="names as in Python, got 'make a move'"):
        Tool("make a move", "", "text", "")
