"""`lmrl-eval push`, `verify` and `leaderboard`: what they print, write and send, and that each mistake is one line."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cases import check_cases
from published_score import ENTRIES, EPISODES, MODEL, become, commit, entries, play

if TYPE_CHECKING:
    from hub.server import Hub
    from huggingface_hub import HfApi

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def alice(hub: "Hub", monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "HfApi":
    """The user who is logged in, with results in the working folder."""
    api = become(hub, monkeypatch, "alice")
    api.create_repo(MODEL)
    play(tmp_path / "results")
    return api


def writes(hub: "Hub") -> int:
    return sum("/commit/" in request.path for request in hub.log)


def test_from_a_push_to_the_leaderboard(hub: "Hub", alice: "HfApi", lmrl_eval: Run) -> None:
    code, out, _ = lmrl_eval("push", "results", "--model", MODEL)
    assert code == 0
    assert "results: verified: 4 episodes of maze fully_observed replayed" in out
    assert f"{hub.url}/datasets/{EPISODES}: sent 5 files" in out
    assert f"{hub.url}/{MODEL}: sent 2 files" in out

    for target in ("results", MODEL, f"datasets/{EPISODES}"):
        code, out, _ = lmrl_eval("verify", target)
        assert code == 0
        assert "verified: 4 episodes" in out

    code, out, _ = lmrl_eval("leaderboard", "--task", "maze", "--push", "alice/board")
    assert code == 0
    assert f"| 1 | [{MODEL}]" in out
    names = {path.name for path in Path("leaderboard").iterdir()}
    assert {"README.md", "index.html", "leaderboard.md", "leaderboard.png"} < names
    assert hub.files("space", "alice/board").keys() - {".gitattributes"} == names
    assert MODEL in Path("leaderboard/index.html").read_text()

    # All of it again, from another folder: nothing is sent.
    before = writes(hub)
    lmrl_eval("push", "results", "--model", MODEL)
    code, out, _ = lmrl_eval("leaderboard", "--task", "maze", "--out", "else/where", "--push", "alice/board")
    assert code == 0
    assert "nothing to do" in out
    assert writes(hub) == before


def test_the_token_is_shown_to_nobody(
    hub: "Hub", alice: "HfApi", lmrl_eval: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = [lmrl_eval("push", "results", "--model", MODEL), lmrl_eval("leaderboard", "--push", "alice/board")]
    become(hub, monkeypatch, "bob")
    said += [lmrl_eval("push", "results", "--model", MODEL)]
    # The same page would be nothing to send.
    said += [lmrl_eval("leaderboard", "--model", MODEL, "--push", "alice/board")]
    assert [code for code, _, _ in said] == [0, 0, 2, 2]
    kept = b"".join(path.read_bytes() for path in (tmp_path / "leaderboard").iterdir())
    for kind, name in (("model", MODEL), ("dataset", EPISODES), ("space", "alice/board")):
        kept += b"".join(hub.files(kind, name).values())
    for token in hub.tokens:
        assert token not in str(said)
        assert token.encode() not in kept


def test_an_empty_leaderboard_is_a_page(hub: "Hub", alice: "HfApi", lmrl_eval: Run, tmp_path: Path) -> None:
    (tmp_path / "leaderboard").mkdir()
    (tmp_path / "leaderboard" / "leaderboard.png").write_bytes(b"of last week")
    code, out, errors = lmrl_eval("leaderboard", "--push", "alice/board")
    assert (code, errors) == (0, "")
    assert "There are no scores yet" in out
    assert not Path("leaderboard/leaderboard.png").exists()
    assert "index.html" in hub.files("space", "alice/board")


def test_a_forged_score_is_not_ranked_and_verify_says_so(hub: "Hub", alice: "HfApi", lmrl_eval: Run) -> None:
    lmrl_eval("push", "results", "--model", MODEL)
    forged = hub.files("model", MODEL)[ENTRIES].replace(b"value: 97.93", b"value: 100.0")
    hub.get("model", MODEL).commit("refs/heads/main", {ENTRIES: forged}, "forged", "alice")
    assert entries(hub)[0]["value"] == 100
    code, out, _ = lmrl_eval("verify", MODEL)
    assert code == 1
    assert f"{MODEL}, maze_fully_observed: flagged" in out
    assert "states 100.00, and its episodes 97.93" in out
    # The episodes themselves are as they were.
    assert lmrl_eval("verify", f"datasets/{EPISODES}")[0] == 0
    code, out, _ = lmrl_eval("leaderboard")
    assert code == 0
    assert "Not ranked" in out
    assert "| 1 |" not in out
    assert not Path("leaderboard/leaderboard.png").exists()


def test_what_cannot_be_checked_is_no_success(hub: "Hub", alice: "HfApi", lmrl_eval: Run, tmp_path: Path) -> None:
    play(tmp_path / "old", task_version="0.9.0")
    code, out, _ = lmrl_eval("verify", "old")
    assert code == 1
    assert out.startswith("old: unchecked")
    assert lmrl_eval("push", "old", "--model", MODEL)[0] == 0
    assert lmrl_eval("verify", MODEL)[0] == 1


def test_a_stranger_is_told_of_pull_requests(
    hub: "Hub", alice: "HfApi", lmrl_eval: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(hub, monkeypatch, "bob")
    code, _, errors = lmrl_eval("push", "results", "--model", MODEL)
    assert (code, errors.count("\n")) == (2, 1)
    assert "add --create-pr" in errors
    code, out, _ = lmrl_eval("push", "results", "--model", MODEL, "--create-pr")
    assert code == 0
    assert f"{hub.url}/{MODEL}/discussions/1: sent 2 files" in out


def test_a_mistake_is_one_line(hub: "Hub", alice: "HfApi", lmrl_eval: Run) -> None:
    def check(arguments: list[str], message: str) -> None:
        code, _, errors = lmrl_eval(*arguments)
        assert code == 2
        assert message in errors
        assert errors.startswith("error: ")
        assert errors.count("\n") == 1

    cases = [
        (["verify", "nowhere"], "no folder here and no repo id"),
        (["verify", "alice/nothing"], "alice/nothing does not exist"),
        (["verify", "datasets/alice/nothing"], "alice/nothing does not exist"),
        (["verify", MODEL], "states no score on a dataset of lmrl"),
        (["verify", "."], "holds no results"),
        (["push", "nowhere", "--model", MODEL], "holds no results"),
        (["push", "results", "--model", "alice/nothing"], "alice/nothing does not exist"),
        (["verify", "results/maze"], "results/maze is no folder here, and results/maze does not exist"),
        (["push-model", "nowhere", "--model", MODEL], "nowhere does not exist"),
        (["leaderboard", "--task", "mazes"], "unknown task"),
        (["leaderboard", "--create-pr"], "add --push"),
        (["leaderboard", "--push", "board"], "a repo id is"),
        (["leaderboard", "--out", "results/score.json"], "cannot write the leaderboard"),
    ]
    check_cases(cases, check)


def test_without_the_hub_it_is_one_line(lmrl_eval: Run, tmp_path: Path) -> None:
    play(tmp_path / "results")
    assert lmrl_eval("verify", "results")[0] == 0
    for arguments in (["leaderboard"], ["verify", MODEL], ["push", "results", "--model", MODEL]):
        code, _, errors = lmrl_eval(*arguments)
        assert code == 2
        assert "HF_HUB_OFFLINE is set" in errors


def test_a_space_of_something_else_is_not_written_over(hub: "Hub", alice: "HfApi", lmrl_eval: Run) -> None:
    alice.create_repo("alice/app", repo_type="space", space_sdk="gradio")
    commit(alice, "alice/app", {"README.md": b"---\nsdk: gradio\n---\n", "app.py": b"mine"}, "space")
    before = hub.files("space", "alice/app")
    code, _, err = lmrl_eval("leaderboard", "--task", "maze", "--push", "alice/app")
    assert (code, hub.files("space", "alice/app")) == (2, before)
    assert "alice/app holds something else, e.g. app.py" in err


def test_without_matplotlib_the_leaderboard_says_so_before_it_plays(
    hub: "Hub", alice: "HfApi", lmrl_eval: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    asked = len(hub.log)
    code, _, errors = lmrl_eval("leaderboard")
    assert (code, errors.count("\n"), len(hub.log)) == (2, 1, asked)
    assert "pip install" in errors
    assert not (tmp_path / "leaderboard").exists()


def test_a_model_by_its_id_says_why_it_is_not_there(
    hub: "Hub", alice: "HfApi", lmrl_eval: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for setting, value, why in (
        ("ENDPOINT", "http://127.0.0.1:9", "; the Hub cannot be reached now"),
        ("HF_HUB_OFFLINE", True, "; HF_HUB_OFFLINE is set"),
    ):
        monkeypatch.setattr(f"huggingface_hub.constants.{setting}", value)
        code, _, errors = lmrl_eval("run", "--task", "maze", "--policy", "alice/nothing")
        assert (code, errors.count("\n")) == (2, 1)
        assert f"nor a model that the Hub lets you read{why}" in errors
