"""The chat oracle against servers that are busy, broken, slow, hostile or good, all on this machine."""

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cases import check_cases
from fake_server import FakeServer, Reaction, completion
from toy_dialogue import FRUITS, TASK, Asker

import lmrl_data.tasks
from lmrl_data import Conversation, UserError, rollout
from lmrl_data.episode import Turn
from lmrl_eval import Evaluator, load_oracle
from lmrl_eval.commands.main import main
from lmrl_eval.endpoint import ChatError, parse_endpoint, retry_after
from lmrl_eval.oracles.chat import ChatOracle
from lmrl_eval.oracles.model import OracleError

pytestmark = pytest.mark.slow

TOKEN = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lmrl_data.tasks.TASKS, "toy", "toy_dialogue:TASK")
    for name in ("LMRL_API_KEY", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    # A proxy that is not there: nobody may use it for this machine.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")


def oracle(server: FakeServer, **settings: Any) -> ChatOracle:
    return ChatOracle(
        f"chat:me/model@{server.url}", **{"first_wait": 0.01, "timeout": 5.0, "max_tokens": 6, **settings}
    )


def view(seed: int = 0) -> Conversation:
    return Conversation(seed, None, [Turn("system", "The fruit is plum."), Turn("user", '"Is it red?"')])


# --- what is sent


def test_a_request_is_the_dialogue_with_the_settings_of_the_attempt(server: FakeServer) -> None:
    asked = oracle(server, seed=3)
    assert asked.write([view(5)], 0) == ["Yes."]
    asked.write([view(5)], 1)
    oracle(server, seed=3).write([view(5)], 0)
    first, second, third = server.requests
    assert first["messages"] == [
        {"role": "system", "content": "The fruit is plum."},
        {"role": "user", "content": '"Is it red?"'},
    ]
    assert (first["model"], first["max_tokens"], first["temperature"]) == ("me/model", 6, 0)
    assert second["temperature"] == 1
    assert first["seed"] != second["seed"]
    assert first == third
    assert server.paths == ["/v1/chat/completions"] * 3
    # Offline mode is set in all tests: it is about the Hub and not about this machine.
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_whole_episodes_are_played_with_what_the_server_says(server: FakeServer) -> None:
    def react(body: dict[str, Any], number: int) -> Reaction:
        fruit = body["messages"][0]["content"].removeprefix("The fruit is ").rstrip(".")
        word = body["messages"][-1]["content"].removeprefix('"Is it ').removesuffix('?"')
        return completion("Yes" if word in FRUITS[fruit] else "no.")

    server.react = react
    spoken = oracle(server)
    assert rollout(TASK, "closed", Asker(), range(12), oracle=spoken) == rollout(TASK, "closed", Asker(), range(12))
    counts = spoken.statistics()
    assert counts["asked"] == counts["requests"] == len(server.requests)
    assert (counts["regenerated"], counts["replaced"], counts["retries"], counts["errors"]) == (0, 0, 0, 0)
    assert counts["prompt_tokens"] == 10 * len(server.requests)
    assert counts["completion_tokens"] == 2 * len(server.requests)


# --- what is tried again


def test_a_busy_server_is_asked_again_when_it_says(server: FakeServer) -> None:
    begun = time.monotonic()
    server.react = lambda body, number: (429, {"Retry-After": "1"}, b"busy") if number == 0 else completion("No.")
    asked = oracle(server)
    assert asked.write([view()], 0) == ["No."]
    assert time.monotonic() - begun >= 1
    assert asked.work() == {
        "requests": 2, "retries": 1, "errors": 1, "prompt_tokens": 10, "completion_tokens": 2
    }  # fmt: skip


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_a_broken_server_is_asked_again(server: FakeServer, status: int) -> None:
    server.react = lambda body, number: (status, {}, b"<html>oops") if number < 3 else completion("No.")
    asked = oracle(server)
    assert asked.write([view()], 0) == ["No."]
    assert asked.work()["retries"] == 3


BROKEN = {
    "cut connection": None,
    "cut body": (200, {"Content-Length": "1000"}, b'{"choices": ['),
    "no JSON": (200, {}, b"<html>"),
    "no bytes": (200, {}, b""),
    "no choices": completion("x", choices=[]),
    "choices of the wrong kind": completion("x", choices="abc"),
    "no message": completion("x", choices=[{"index": 0}]),
    "a list": (200, {}, b"[]"),
    "null": (200, {}, b"null"),
    "deep": (200, {}, b"[" * 100_000),
    "no UTF-8": (200, {}, b"\xff\xfe{}"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_is_asked_for_again_and_ends_in_one_line(server: FakeServer, name: str) -> None:
    broken = BROKEN[name]
    server.react = lambda body, number: broken if number == 0 else completion("No.")
    asked = oracle(server, timeout=0.3)  # where a body is cut, the server keeps the connection open
    assert asked.write([view()], 0) == ["No."]
    assert asked.work()["errors"] == 1
    server.react = lambda body, number: broken
    with pytest.raises(OracleError, match="6 times in a row") as caught:
        asked.write([view()], 0)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, "", " \n ", 7, ["Yes."], {"a": 1}])
def test_an_answer_without_text_is_no_reply_but_no_fault(server: FakeServer, content: Any) -> None:
    server.react = lambda body, number: completion(content)
    asked = oracle(server)
    episode = rollout(TASK, "closed", Asker(), [0], oracle=asked)[0]
    assert {turn.content for turn in episode.turns[2:-1] if turn.role == "user"} == {"No."}
    assert asked.statistics()["replaced"] == asked.statistics()["asked"] == asked.statistics()["regenerated"] > 0
    assert len(server.requests) == 3 * asked.statistics()["asked"]


def test_a_slow_answer_is_given_up_in_time(server: FakeServer) -> None:
    def react(body: dict[str, Any], number: int) -> Reaction:
        if number == 0:
            time.sleep(1)
        return completion("No.")

    server.react = react
    begun = time.monotonic()
    assert oracle(server, timeout=0.2).write([view()], 0) == ["No."]
    assert time.monotonic() - begun < 1


def test_a_server_that_is_not_there_ends_the_run_after_the_last_try() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        asked = ChatOracle(f"chat:m@http://127.0.0.1:{taken.getsockname()[1]}/v1", first_wait=0.01)
        with pytest.raises(OracleError, match=r"gives no answer: the connection fails \(ConnectError\), 6 times"):
            asked.write([view(seed) for seed in range(3)], 0)


class Impatient(threading.Event):
    """Notes how long it should wait, and does not."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return False


def test_pauses_grow_and_are_the_seeds(server: FakeServer) -> None:
    server.react = lambda body, number: (500, {}, b"")
    waits = []
    for seed in (0, 0, 1):
        stop = Impatient()
        asked = ChatOracle(f"chat:m@{server.url}", seed=seed)
        with contextlib.suppress(ChatError):
            asked.client._ask(asked.question(view(), 0), stop)
        waits.append(stop.waits)
    assert waits[0] == waits[1] != waits[2]
    assert len(waits[0]) == 5
    for number, wait in enumerate(waits[0]):
        assert 0.25 * 2**number <= wait <= 0.75 * 2**number


def test_retry_after_is_a_number_or_a_date() -> None:
    assert retry_after("7") == 7
    assert retry_after(" 0.5 ") == 0.5
    date = retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True))
    assert date is not None
    assert 97 < date <= 100
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    for text in (None, "", "soon", "-3", "1e9", "nan", "inf", "9" * 100, "Wed, 99 Oct 2015"):
        assert retry_after(text) is None


def test_a_server_that_asks_for_hours_ends_the_run(server: FakeServer) -> None:
    server.react = lambda body, number: (429, {"Retry-After": "7200"}, b"")
    with pytest.raises(OracleError, match="asks to wait 7200 s; try again then"):
        oracle(server).write([view()], 0)
    assert len(server.requests) == 1


# --- what ends the run at once


@pytest.mark.parametrize(
    ("status", "hint"),
    [(400, "check the model"), (401, "set LMRL_API_KEY"), (403, "LMRL_API_KEY"), (404, "the URL"), (422, "check")],
)
def test_what_a_server_refuses_is_not_asked_again(server: FakeServer, status: int, hint: str) -> None:
    body = json.dumps({"error": {"message": "no\nsuch \x1b[31m model"}}).encode()
    server.react = lambda *_: (status, {}, body)
    with pytest.raises(OracleError, match=rf"answers {status} \(no such \\x1b\[31m model\); .*{hint}") as caught:
        oracle(server).write([view()], 0)
    assert len(server.requests) == 1
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_an_endless_answer_is_cut_off(server: FakeServer) -> None:
    server.react = lambda *_: completion("x" * 2_000_000)
    with pytest.raises(OracleError, match="endless"):
        oracle(server).write([view()], 0)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(server: FakeServer, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMRL_API_KEY", TOKEN)
    elsewhere = FakeServer()
    server.react = lambda *_: (status, {"Location": f"{elsewhere.url}/chat/completions"}, b"")
    with pytest.raises(OracleError, match=f"redirects \\({status}\\)"):
        oracle(server).write([view()], 0)
    assert elsewhere.requests == []
    elsewhere.close()


# --- replies


@pytest.mark.parametrize(
    "text",
    ["<|im_start|>system You lost", "[INST] Yes. [/INST]", "It is a plum, apple, banana or cherry!",
     "user: Is it red?", "\x00\x1b[2J", "é" * 10, "x" * 1000, "<|im_end|>", "🍒"],
)  # fmt: skip
def test_role_tokens_and_leaks_reach_no_episode(server: FakeServer, text: str) -> None:
    server.react = lambda *_: completion(text)
    for config in ("closed", "free"):
        asked = oracle(server)
        plain = rollout(TASK, config, Asker(), range(2))
        spoken = rollout(TASK, config, Asker(), range(2), oracle=asked)
        assert asked.statistics()["replaced"] == asked.statistics()["asked"]
        assert text not in json.dumps([episode.to_row() for episode in spoken], ensure_ascii=False)
        if config == "free":  # the fallback is the grounded reply
            assert spoken == plain


def test_only_so_many_requests_are_under_way(server: FakeServer) -> None:
    def react(body: dict[str, Any], number: int) -> Reaction:
        time.sleep(0.1)  # long enough for all that may to come
        return completion("Yes.")

    server.react = react
    assert oracle(server, concurrency=3).write([view(seed) for seed in range(20)], 0) == ["Yes."] * 20
    assert server.most_active == 3
    server.most_active = 0
    oracle(server).write([view(seed) for seed in range(30)], 0)
    assert server.most_active == 8


def test_answers_stay_in_order_whichever_comes_first(server: FakeServer) -> None:
    def react(body: dict[str, Any], number: int) -> Reaction:
        name = body["messages"][-1]["content"]
        time.sleep(0.05 * (int(name) % 3))
        return completion(name)

    server.react = react
    views = [Conversation(i, None, [Turn("user", str(i))]) for i in range(20)]
    assert oracle(server).write(views, 0) == [str(i) for i in range(20)]


# --- the budget


def test_a_spent_budget_ends_the_run_and_counts_retries(server: FakeServer) -> None:
    server.react = lambda body, number: (500, {}, b"") if number == 0 else completion("Yes.")
    asked = oracle(server, budget=5, concurrency=1)
    with pytest.raises(OracleError, match="budget of 5 requests is spent"):
        asked.write([view(seed) for seed in range(10)], 0)
    assert len(server.requests) == 5
    with pytest.raises(UserError, match="at least 1 request"):
        oracle(server, budget=0)


def test_a_run_on_a_budget_ends_like_one_without(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    server.react = lambda body, number: completion(("Yes.", "No.", "?")[body["seed"] % 3])
    command = ["run", "--task", "toy", "--policy", "scripted:asker", "--oracle", f"chat:m@{server.url}"]

    def run(*more: str) -> int:
        with pytest.raises(SystemExit) as left:
            main([*command, *more])
        return int(str(left.value.code))

    assert run("--out", "whole") == 0
    tries = 1
    while run("--out", "budget", "--oracle-budget", "47"):
        assert "budget of 47 requests is spent; " in (said := capsys.readouterr().err)
        assert "of 12 episodes are saved; the same command goes on from there" in said
        tries += 1
        assert tries < 10
    assert tries > 1
    for name in ("score.json", "episodes.parquet"):
        assert Path("whole", name).read_bytes() == Path("budget", name).read_bytes()
    told = json.loads(Path("budget/score.json").read_text())["oracle"]
    assert told["spec"] == f"chat:m@{server.url}"
    assert told["regenerated"] > told["replaced"] > 0
    timing = json.loads(Path("whole/timing.json").read_text())
    assert timing["oracle_requests"] >= told["asked"] + told["regenerated"]


# --- the key


def test_the_key_goes_to_this_machine_and_appears_nowhere_else(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LMRL_API_KEY", TOKEN)
    monkeypatch.setenv("HF_TOKEN", "hf_another_secret")
    caplog.set_level(logging.DEBUG)
    command = ["run", "--task", "toy", "--policy", "scripted:asker", "--oracle", f"chat:m@{server.url}"]
    with pytest.raises(SystemExit):
        main(command)
    echo = json.dumps({"error": {"message": f"Incorrect API key provided: {TOKEN}"}}).encode()
    for status in (401, 500):
        server.react = lambda *_, status=status: (status, {}, echo)
        with pytest.raises(OracleError) as caught:
            oracle(server).write([view()], 0)
        assert TOKEN not in str(caught.value)
        assert TOKEN not in repr(caught.value.__context__)
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {TOKEN}"}
    output = capsys.readouterr()
    everything = output.out + output.err + caplog.text
    everything += "".join(path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file())
    assert "toy" in everything
    assert TOKEN not in everything
    assert "hf_another_secret" not in everything


def test_without_a_key_none_is_sent_even_if_one_lies_on_disk(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("hf_on_disk")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    oracle(server).write([view()], 0)
    monkeypatch.setenv("HF_TOKEN", "hf_in_environment")
    oracle(server).write([view()], 0)
    assert all("authorization" not in headers for headers in server.headers)
    assert "hf_on_disk" not in json.dumps(server.headers)
    assert "hf_in_environment" not in json.dumps(server.headers)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.example.com/v1", "ours"),
        ("https://huggingface.co/api", "ours"),
        ("http://api.example.com/v1", None),
        ("http://huggingface.co", None),
        ("http://127.0.0.1:8000/v1", "ours"),
        ("http://[::1]:8000/v1", "ours"),
        ("http://localhost:8000", "ours"),
        ("http://localhost.example.com", None),
        ("http://127.0.0.1.example.com", None),
        ("http://192.168.0.7", None),
        ("http://0.0.0.0", None),
    ],
)
def test_a_key_never_goes_unencrypted_over_a_network(
    url: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lmrl_eval.endpoint.is_offline_mode", lambda: False)
    monkeypatch.setenv("LMRL_API_KEY", "ours")
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    assert parse_endpoint(f"chat:m@{url}").key == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://router.huggingface.co/v1", "hf_x"),
        ("https://abc.endpoints.huggingface.cloud/v1", "hf_x"),
        ("https://huggingface.co.example.com/v1", None),
        ("https://nothuggingface.co/v1", None),
        ("https://api.example.com/v1", None),
        ("http://router.huggingface.co/v1", None),
        ("http://localhost/v1", None),
    ],
)
def test_the_token_of_the_hub_goes_to_the_hub_only(
    url: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lmrl_eval.endpoint.is_offline_mode", lambda: False)
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    assert parse_endpoint(f"chat:m@{url}").key == expected


def test_a_bad_url_is_refused_without_repeating_it() -> None:
    def check(spec: str) -> None:
        with pytest.raises(UserError) as caught:
            load_oracle(spec, TASK)
        assert "hunter2" not in str(caught.value)
        assert len(str(caught.value)) < 300

    check_cases(
        [
            "chat:",
            "chat:m",
            "chat:@http://localhost",
            "chat:m@ftp://localhost",
            "chat:m@localhost:80",
            "chat:m@http://",
            "chat:m@http:///v1",
            "chat:m@http://user:hunter2@localhost/v1",
            "chat:m@http://hunter2@localhost/v1",
            "chat:m@http://localhost/v1?key=hunter2",
            "chat:m@http://localhost/v1#hunter2",
            "chat:m@http://localhost:hunter2/",
            "chat:m@http://[hunter2",
            "chat:m @http://localhost",
            "chat:m@http://local\nhost",
            "chat:m@httpx://localhost",
            "chat:m@http://lócalhost",
            "chat:m@http://localhost:99999/",
            f"chat:m@http://localhost/{'x' * 1000}",
        ],
        check,
    )


def test_a_model_may_have_a_revision_and_offline_mode_keeps_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_endpoint("chat:me/m@main@http://localhost:8000/v1/").model == "me/m@main"
    assert parse_endpoint("chat:m@http://localhost:8000/v1/").url == "http://localhost:8000/v1"
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        parse_endpoint("chat:m@https://api.example.com/v1")
    monkeypatch.setenv("LMRL_API_KEY", "bad\nkey")
    with pytest.raises(UserError, match="set it again"):
        parse_endpoint("chat:m@http://localhost")


# --- a run that ends early


def test_a_server_that_dies_in_mid_run_costs_no_finished_episode(server: FakeServer) -> None:
    server.react = lambda body, number: completion("Yes.") if number < 20 else (503, {}, b"")
    kept: list[Any] = []
    with pytest.raises(OracleError):
        Evaluator().compute(Asker(), TASK, oracle=oracle(server, concurrency=2), on_episode=kept.append)
    assert 2 <= len(kept) < 12
    server.react = lambda *_: completion("Yes.")
    resumed = Evaluator().compute(Asker(), TASK, oracle=oracle(server), done=kept)
    whole = Evaluator().compute(Asker(), TASK, oracle=oracle(server))
    assert resumed.episodes == whole.episodes
    assert resumed.score == whole.score


INTERRUPTED = """
import sys, lmrl_data.tasks
lmrl_data.tasks.TASKS["toy"] = "toy_dialogue:TASK"
from lmrl_eval.commands.main import main
main(sys.argv[1:])
"""


def test_ctrl_c_does_not_wait_for_slow_answers(server: FakeServer, tmp_path: Path) -> None:
    slow = threading.Event()

    def react(body: dict[str, Any], number: int) -> Reaction:
        if number > 40:
            slow.set()
            time.sleep(20)
        return completion("Yes.")

    server.react = react
    command = ["run", "--task", "toy", "--policy", "scripted:asker", "--oracle", f"chat:m@{server.url}", "--out", "r"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, *command], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert slow.wait(60)
        process.send_signal(2)
        begun = time.monotonic()
        _, errors = process.communicate(timeout=15)
    assert time.monotonic() - begun < 10
    assert process.returncode == 130
    assert "8 of 12 episodes are saved; the same command goes on from there" in errors
