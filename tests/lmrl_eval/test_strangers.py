"""What strangers publish: files that would take all memory or time, and numbers that their episodes do not give."""

import json
import socket
import threading
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cases import check_cases
from published_score import play

from lmrl_data import Episode, Turn, UserError
from lmrl_eval.leaderboard import text
from lmrl_eval.oracles.chat import ChatOracle
from lmrl_eval.results import Results, read_results


def restated(folder: Path, **changes: Any) -> None:
    path = folder / "score.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def stretched(folder: Path, change: Callable[[Episode], Episode]) -> None:
    """Puts other episodes beside the score; their returns stay."""
    results = read_results(folder)
    Results(results.score, [change(episode) for episode in results.episodes]).save(folder)


def long_episode(episode: Episode) -> Episode:
    pause = (Turn("assistant", "move up", 0.0), Turn("user", "There is a wall."))
    return replace(episode, turns=(*episode.turns, *pause * 1_000))


def long_info(episode: Episode) -> Episode:
    return replace(episode, info={**episode.info, "a": [[]] * 40_000})


HOSTILE: list[tuple[Callable[[Path], None], str]] = [
    (lambda folder: restated(folder, normalized=999.0), "says normalized 999.000"),
    (lambda folder: restated(folder, normalized_to_optimum=999.0), "says normalized_to_optimum 999.000"),
    (lambda folder: restated(folder, mean_turns=1.0), "says mean_turns 1.000"),
    (lambda folder: restated(folder, normalized_interval=[98.0, 99.0]), "two intervals that do not agree"),
    (lambda folder: stretched(folder, long_episode), "one of this task has at most"),
    (lambda folder: stretched(folder, long_info), "the info of its episodes has"),
]


def test_results_that_are_too_large_or_edited_are_refused(tmp_path: Path) -> None:
    numbers = iter(range(len(HOSTILE)))

    def check(attack: Callable[[Path], None], line: str) -> None:
        folder = play(tmp_path / str(next(numbers)))
        attack(folder)
        with pytest.raises(UserError) as caught:
            read_results(folder)
        assert line in str(caught.value), str(caught.value)

    check_cases(HOSTILE, check)


def test_a_result_whose_player_nobody_knows_is_marked_wherever_it_is_shown(tmp_path: Path) -> None:
    from lmrl_eval.report import table
    from lmrl_eval.verify import describe, verify_results

    scripted = read_results(play(tmp_path / "scripted", checkpoint=None))

    def check(policy: str, checkpoint: dict[str, Any] | None, marked: bool) -> None:
        results = Results(
            replace(scripted.score, policy=policy, checkpoint=checkpoint),
            [replace(episode, policy=policy) for episode in scripted.episodes],
        )
        found = verify_results(results)
        assert found.status == "verified"
        assert ("nobody knows which model played" in describe(found)) == marked
        assert ("nobody knows which model played" in table([results.score])) == marked

    cases = [
        ("alice/maze-ppo", None, True),
        ("alice/maze-ppo", {}, True),
        ("alice/maze-ppo", {"source": None, "parameters": 1}, True),
        ("scripted:optimal\n", None, True),
        ("scripted:optimal", {"parameters": 1}, True),
        ("scripted:optimal", None, False),
        ("human", None, False),
        ("maze-ppo", {"source": "runs/maze-ppo"}, False),
    ]
    check_cases(cases, check)


def test_the_page_adds_up_a_long_episode_in_one_pass(tmp_path: Path) -> None:
    class Reward(float):
        additions = 0

        def __add__(self, other: float) -> "Reward":
            Reward.additions += 1
            return Reward(float(self) + float(other))

        __radd__ = __add__

    episode = read_results(play(tmp_path / "results")).episodes[0]
    turns = [Turn("user", "a"), Turn("assistant", "b", 0.0)] * 500
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "_finite", lambda value: Reward(value))
        assert len(text.lines(replace(episode, turns=turns))) == text.MAX_TURNS
    assert Reward.additions <= len(turns)


def test_a_log_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path: Path) -> None:
    inspect_tasks = pytest.importorskip("lmrl_eval.inspect_tasks")
    path = tmp_path / "bomb.eval"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("header.json", "w") as file,
    ):
        for _ in range(257):
            file.write(bytes(2**20))
    with pytest.raises(UserError, match="which is too much to read"):
        inspect_tasks._read(path)


class Trickle:
    """A server that sends the same bytes of a head again and again, and never comes to its end."""

    def __init__(self, sent: bytes, pause: float) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.over = threading.Event()
        self.sent, self.pause = sent, pause
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            if self.pause > 0.1:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not self.over.wait(self.pause):
                connection.sendall(self.sent)

    def close(self) -> None:
        self.over.set()
        self.listener.close()


@pytest.mark.parametrize(
    ("sent", "pause"),
    [(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", 0.02), (b"a", 0.3)],
    ids=["endless 103s", "a byte each 0.3 s"],
)
def test_no_server_holds_a_client_beyond_its_deadline(
    sent: bytes, pause: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from hub.fixture import turn_to

    from lmrl_data import hub
    from lmrl_eval import endpoint
    from lmrl_eval.leaderboard.collect import collect
    from lmrl_eval.policies import download

    server = Trickle(sent, pause)
    monkeypatch.setattr(endpoint, "GRACE", 0.1)
    for module in (hub, download):
        monkeypatch.setattr(module, "READ_SECONDS", 0.4)
    monkeypatch.setattr(hub.persistently, "__defaults__", (0.4,))
    turn_to(server.url, tmp_path, monkeypatch)
    huggingface_hub.close_session()
    chat = endpoint.ChatClient(f"chat:m@{server.url}/v1", "policy", max_tokens=4, timeout=0.3)
    oracle = ChatOracle(f"chat:m@{server.url}/v1", timeout=0.3)

    def check(ask: Callable[[], Any], line: str) -> None:
        begun = time.monotonic()
        with pytest.raises((UserError, endpoint._RequestError)) as caught:
            ask()
        assert line in str(caught.value), str(caught.value)
        assert time.monotonic() - begun < 5

    def read() -> bytes:
        with hub.hub_errors("alice/x"):
            return hub.fetch("alice/x", "model", "README.md")

    cases = [
        (lambda: chat._answer({}), "did not come in time"),
        (lambda: oracle.client._answer({}), "did not come in time"),
        (read, "the Hub does not answer"),
        (lambda: collect(models=["alice/x"]), "the Hub does not answer"),
        (lambda: download.download_checkpoint("alice/x"), "the Hub does not answer"),
    ]
    try:
        check_cases(cases, check)
    finally:
        server.close()
        huggingface_hub.close_session()
