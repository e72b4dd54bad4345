"""Loading a checkpoint from a server that means harm: nothing is written but where it belongs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import huggingface_hub
import pytest
from cases import check_cases
from huggingface_hub.utils._http import default_client_factory

from lmrl_data import UserError
from lmrl_eval.policies import checkpoint_folder, download

COMMIT = "a" * 40
CONFIG = b'{"model_type": "llama"}'
Serve = Callable[..., None]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Puts a server in the Hub's place that has one file and says what a test tells it to say."""
    cache = tmp_path / "deep" / "down" / "cache"
    for name, value in {"HF_HUB_OFFLINE": False, "HF_HUB_CACHE": str(cache), "ENDPOINT": "http://hub.test"}.items():
        monkeypatch.setattr(huggingface_hub.constants, name, value)

    def start(*, commit: str = COMMIT, path: str = "config.json", etag: str = "b" * 40, told: str = COMMIT) -> None:
        def answer(request: httpx2.Request) -> httpx2.Response:
            if "/tree/" in request.url.path:
                entry: dict[str, Any] = {"type": "file", "oid": "b" * 40, "size": len(CONFIG), "path": path}
                return httpx2.Response(200, json=[entry])
            if "/resolve/" in request.url.path:
                named = {"ETag": f'"{etag}"', "X-Repo-Commit": told, "Content-Length": str(len(CONFIG))}
                return httpx2.Response(200, headers=named, content=b"" if request.method == "HEAD" else CONFIG)
            return httpx2.Response(200, json={"id": "alice/x", "sha": commit, "siblings": []})

        huggingface_hub.set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(answer)))

    yield start
    huggingface_hub.set_client_factory(default_client_factory)


def test_an_honest_server_is_believed(serve: Serve) -> None:
    serve()
    assert (checkpoint_folder("alice/x") / "config.json").read_bytes() == CONFIG


def test_a_revision_is_a_name_that_git_could_have(serve: Serve, tmp_path: Path) -> None:
    serve()
    for name in ("main", "v1.0", "refs/pr/3", "0a" * 20):
        assert (checkpoint_folder("alice/x", name) / "config.json").read_bytes() == CONFIG

    def check(name: str) -> None:
        with pytest.raises(UserError, match="is no revision"):
            checkpoint_folder("alice/x", name)
        assert {path.name for path in tmp_path.iterdir()} == {"deep"}

    check_cases(
        ["../../evil", "/evil", "a/../../evil", "v1\n", "\u202ev1", "a b", "v" * 300, "..", "\0", "%2e%2e"], check
    )


def test_what_a_server_says_leads_nowhere_else(serve: Serve, tmp_path: Path) -> None:
    def check(said: dict[str, str], complaint: str) -> None:
        serve(**{name: value.format(outside=tmp_path / "evil") for name, value in said.items()})
        with pytest.raises(UserError, match=complaint) as caught:
            checkpoint_folder("alice/x")
        assert "\n" not in str(caught.value)
        evil = ("evil", "evil.json", "config.json", "run.py")
        assert [path for path in tmp_path.rglob("*") if path.name in evil] == []
        assert {path.name for path in tmp_path.iterdir()} <= {"deep"}

    cases = [
        ({"etag": "../../../../../evil"}, "etag that names no file"),
        ({"etag": "{outside}"}, "etag that names no file"),
        ({"etag": ".."}, "etag that names no file"),
        ({"told": "../../../../evil"}, "x-repo-commit that names no file"),
        ({"commit": "../../../../evil"}, "names no commit"),
        ({"commit": "{outside}"}, "names no commit"),
        ({"path": "../../../../../config.json"}, "none of the files"),
        ({"path": "{outside}/config.json"}, "none of the files"),
        ({"path": "value_model/../../../../evil.json"}, "none of the files"),
        ({"path": "run.py"}, "none of the files"),
        ({"path": ".config.json"}, "none of the files"),
    ]
    check_cases(cases, check)


def test_sizes_are_looked_at_before_anything_is_downloaded(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(sizes: dict[str, int], complaint: str) -> None:
        with pytest.raises(UserError, match=complaint):
            download.check_sizes("alice/x", sizes, COMMIT)

    cases = [
        ({"tokenizer.json": 1 << 40}, "its tokenizer.json has 1,099,512 MB"),
        ({"config.json": 1, "model.safetensors": 1 << 60}, "has 1,152,921,504.6 GB to download, and"),
        ({f"a{number}.json": 1 for number in range(5000)}, "it has 5,000 files"),
    ]
    check_cases(cases, check)
    download.check_sizes("alice/x", {"model.safetensors": 1}, COMMIT)
