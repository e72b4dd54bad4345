"""A real language model behind a real server plays through inspect-ai what it plays as a chat policy."""

from pathlib import Path

import inspect_ai
import pytest

import lmrl_eval.inspect
from lmrl_data import get_task
from lmrl_eval import Evaluator
from lmrl_eval.inspect import results_from_log
from lmrl_eval.policies.chat import ChatPolicy


@pytest.mark.release
def test_a_greedy_model_plays_the_same_episodes_both_ways(
    real_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = get_task("wordle")
    policy = ChatPolicy(real_server, task, task.default_config, temperature=0.0, max_new_tokens=12)
    expected = Evaluator().compute(policy, task, n_episodes=2, move_accuracy=False)
    assert expected.score.statistics["unparsable"] == 0  # or it would have been asked again, with dice
    name, _, url = real_server.removeprefix("chat:").partition("@")
    monkeypatch.setenv("LOCAL_API_KEY", "none")
    (log,) = inspect_ai.eval(
        lmrl_eval.inspect.wordle(episodes=2), model=f"openai-api/local/{name}", model_base_url=url, temperature=0.0,
        max_tokens=12, max_connections=2, log_dir=str(tmp_path), display="none", ctl_server=False,
    )  # fmt: skip
    results = results_from_log(log)
    assert [each.turns for each in results.episodes] == [each.turns for each in expected.episodes]
    assert results.score.policy == "chat:openai-api/local/smollm2"  # and not the folder it is in
    assert results.score.checkpoint["max_new_tokens"] == 12  # type: ignore[index]
    tokens = {"prompt_tokens", "completion_tokens"}
    told, said = results.score.statistics, expected.score.statistics
    assert {key: told[key] for key in tokens} == {key: said[key] for key in tokens}
