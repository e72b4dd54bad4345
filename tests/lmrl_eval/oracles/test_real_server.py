"""Whole dialogues with a real language model behind a real OpenAI-compatible server on this machine."""

import json
from pathlib import Path

import pytest

from lmrl_data import UserError, get_task, rollout
from lmrl_data.dialogue.simulator import reply_line
from lmrl_data.task import EVALUATION_SEED
from lmrl_eval.commands.main import main
from lmrl_eval.oracles.chat import ChatOracle
from lmrl_eval.results import read_results

pytestmark = pytest.mark.release

# Who plays one whole episode of each task; without a cache between turns, the server reads everything again each time.
PLAYERS = {"twenty_questions": "expert", "guess_my_city": "expert", "car_dealer": "concise"}


@pytest.mark.parametrize("name", list(PLAYERS))
def test_a_real_model_speaks_and_the_rules_decide(real_server: str, name: str) -> None:
    task = get_task(name)
    config = task.default_config
    policy = task.policy(PLAYERS[name], config)
    simulator = task.simulator(config=config)
    oracle = ChatOracle(real_server, max_tokens=min(simulator.reply_tokens, 24), concurrency=2)
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
    assert all(reply_line(reply) == reply for reply in replies)
    if name == "twenty_questions":
        assert set(replies) <= {"Yes.", "No."}
    if name == "guess_my_city" and not episode.success:
        assert all(str(episode.info["city"]).lower() not in reply.lower() for reply in replies)
    if name == "car_dealer" and episode.success:
        assert episode.total_reward <= episode.info["buyer"]["reservation"] / 1000


def test_whole_games_are_scored_with_the_oracles_name_and_counts(
    real_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["run", "--task", "twenty_questions", "--policy", "scripted:expert", "--episodes", "2", "--out", "r"]
    with pytest.raises(SystemExit) as left:
        main([*command, "--oracle", real_server])
    assert left.value.code == 0
    assert "oracle chat:" in capsys.readouterr().out.replace("\\", "")
    score = json.loads(Path("r/score.json").read_text())
    assert score["oracle"]["spec"] == real_server
    assert 0 < score["oracle"]["asked"] <= 2 * 20
    timing = json.loads(Path("r/timing.json").read_text())
    assert timing["oracle_requests"] >= score["oracle"]["asked"]


def test_a_real_model_plays_a_task_that_it_is_told_about(
    real_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = [
        "run",
        "--task",
        "wordle",
        "--policy",
        real_server,
        "--episodes",
        "2",
        "--temperature",
        "0",
        "--out",
        "r",
    ]
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


def test_a_model_the_server_does_not_have_is_one_line(real_server: str) -> None:
    task = get_task("twenty_questions")
    wrong = f"chat:nobody/nothing@{real_server.rpartition('@')[2]}"
    policy = task.policy("random", task.default_config)
    with pytest.raises(UserError, match="gives no answer: it answers 4") as caught:
        rollout(task, task.default_config, policy, [0], oracle=ChatOracle(wrong))
    assert len(str(caught.value)) < 300
