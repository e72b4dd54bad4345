"""Programs that we did not write agree with the Hub of the tests: the `hf` command, git with git-lfs, and olah."""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import datasets
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from hub.server import Hub
from lmrl_data import get_task
from lmrl_data.dataset.build import build_dataset
from lmrl_data.dataset.push import push_dataset

pytestmark = pytest.mark.slow

HF = Path(sys.executable).with_name("hf")
# Its dependencies contradict ours, so `make` gives it an environment of its own.
OLAH = Path(sys.prefix) / "olah" / "bin" / "olah-cli"
LFS = [
    *("-c", "filter.lfs.smudge=git-lfs smudge -- %f", "-c", "filter.lfs.process=git-lfs filter-process"),
    *("-c", "filter.lfs.required=true"),
]
CONFIGS = ("fully_observed", "fully_observed_steps", "partially_observed")
needs_git_lfs = pytest.mark.skipif(not shutil.which("git-lfs"), reason="git-lfs is not installed")
needs_olah = pytest.mark.skipif(not OLAH.exists(), reason="olah is not installed: make .venv/olah")


def run(*command: str | Path, environment: dict[str, str] | None = None, folder: Path | None = None) -> str:
    result = subprocess.run(
        [*map(str, command)], env=environment, cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def token(hub: Hub) -> str:
    return hub.user("alice", orgs=["lmrl"])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_dataset(get_task("maze"), num_episodes=20, output_dir=tmp_path_factory.mktemp("built") / "lmrl")


@pytest.fixture
def pushed(hub: Hub, token: str, built: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A dataset that was pushed as users push, and a file with a name of its own."""
    with monkeypatch.context() as patch:
        patch.setenv("HF_TOKEN", token)
        push_dataset(get_task("maze"), built, "lmrl/maze")
    HfApi(token=token).upload_file(
        path_or_fileobj="# für alle".encode(), path_in_repo="notes/a b.md", repo_id="lmrl/maze", repo_type="dataset"
    )
    return "lmrl/maze"


def clone(hub: Hub, name: str, folder: Path) -> dict[str, bytes]:
    """What git and git-lfs make of a dataset: path -> content."""
    run("git", *LFS, "clone", f"{hub.url}/datasets/{name}", folder)
    paths = [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.relative_to(folder).parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_the_hf_command_uploads_opens_a_pull_request_and_downloads(hub: Hub, token: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "sub" / "model.safetensors").write_bytes(bytes(range(256)) * 4096)
    environment = hub.environment(token)
    assert "alice" in run(HF, "auth", "whoami", environment=environment)
    run(HF, "upload", "lmrl/maze-bc", folder, ".", environment=environment)
    change = tmp_path / "change.txt"
    change.write_text("by a stranger")
    stranger = hub.environment(hub.user("bob"))
    run(HF, "upload", "lmrl/maze-bc", change, "change.txt", "--create-pr", environment=stranger)
    assert [(pull.author, pull.status) for pull in hub.pull_requests("model", "lmrl/maze-bc")] == [("bob", "open")]
    assert "change.txt" not in hub.files("model", "lmrl/maze-bc")
    hub.merge("model", "lmrl/maze-bc", 1)
    run(HF, "download", "lmrl/maze-bc", "--local-dir", tmp_path / "down", environment=hub.environment())
    files = hub.files("model", "lmrl/maze-bc")
    assert files.keys() == {".gitattributes", "config.json", "sub/model.safetensors", "change.txt"}
    assert files == {path: (tmp_path / "down" / path).read_bytes() for path in files}
    assert files["sub/model.safetensors"] == (folder / "sub" / "model.safetensors").read_bytes()


@needs_git_lfs
def test_git_and_git_lfs_clone_what_was_pushed(hub: Hub, pushed: str, built: Path, tmp_path: Path) -> None:
    asked = len(hub.log)
    files = clone(hub, pushed, tmp_path / "clone")
    assert files == hub.files("dataset", pushed)
    shards = {path.relative_to(built).as_posix(): path.read_bytes() for path in built.rglob("*.parquet")}
    assert shards.items() <= files.items()
    # Not to be taken for success: pointers left as they are, or files that came from elsewhere.
    routes = [request.route for request in hub.log[asked:]]
    assert routes.count("POST {repo}/info/lfs/objects/batch") == 1
    assert routes.count("GET /objects/{key}/{oid}") == len(shards) + 1  # and a picture
    log = run("git", "-C", tmp_path / "clone", "log", "--format=%s").splitlines()
    assert log == hub.commits("dataset", pushed)
    assert len(log) >= 3


def test_git_finds_no_fault_with_a_repository(hub: Hub, pushed: str) -> None:
    HfApi(token=hub.user("bob")).upload_file(
        path_or_fileobj=b"x", path_in_repo="b.txt", repo_id=pushed, repo_type="dataset", create_pr=True
    )
    run("git", "-C", hub.get("dataset", pushed).path, "fsck", "--strict", "--full")
    heads = run("git", "ls-remote", f"{hub.url}/datasets/{pushed}")
    assert {line.split("\t")[1] for line in heads.splitlines()} == {
        "HEAD", "refs/heads/main", "refs/tags/v1.0.0", "refs/pr/1",
    }  # fmt: skip


@pytest.fixture
def olah(hub: Hub, pushed: str, tmp_path: Path) -> Iterator[str]:
    """Another Hub, written by others, that serves a clone of what was pushed to ours; without a network."""
    clone(hub, pushed, tmp_path / "mirror" / "datasets" / pushed)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = f"127.0.0.1:{port}"
    (tmp_path / "olah.toml").write_text(
        f'[basic]\nhost = "127.0.0.1"\nport = {port}\nmirror-netloc = "{here}"\nmirror-lfs-netloc = "{here}"\n'
        f'mirrors-path = ["{tmp_path}/mirror"]\nrepos-path = "{tmp_path}/repos"\n[accessibility]\noffline = true\n'
    )
    command = [str(OLAH), "--config", "olah.toml", "--log-path", "logs"]
    with (tmp_path / "olah.log").open("w") as log:
        server = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT)
        try:
            for _ in range(600):
                assert server.poll() is None, (tmp_path / "olah.log").read_text()
                with socket.socket() as knock:
                    if knock.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield f"http://{here}"
        finally:
            server.terminate()
            server.wait(10)


@pytest.mark.release
@needs_git_lfs
@needs_olah
def test_olah_serves_a_clone_from_which_the_same_rows_load(
    hub: Hub, pushed: str, built: Path, olah: str, tmp_path: Path
) -> None:
    asked = len(hub.log)
    code = (
        "import sys, json, datasets\n"
        "for config in sys.argv[2:]:\n"
        "    for streaming in (False, True):\n"
        "        loaded = datasets.load_dataset(sys.argv[1], config, streaming=streaming)\n"
        "        print(json.dumps({split: list(rows) for split, rows in loaded.items()}))\n"
    )
    # In a folder without a local build, which `load_dataset` would read instead.
    environment = hub.environment() | {"HF_ENDPOINT": olah}
    printed = run(sys.executable, "-c", code, pushed, *CONFIGS, environment=environment, folder=tmp_path)
    rows = [
        {split: list(each) for split, each in datasets.load_dataset(str(built), config).items()}
        for config in CONFIGS
        for _ in range(2)
    ]
    assert [json.loads(line) for line in printed.splitlines()] == rows
    assert hub.log[asked:] == [], "the rows came from our Hub"


def test_sixteen_writers_at_once_lose_nothing(hub: Hub, token: str) -> None:
    api = HfApi(token=token)
    api.create_repo("lmrl/busy")

    def write(number: int) -> str:
        content = bytes([number]) * 5000
        return api.upload_file(path_or_fileobj=content, path_in_repo=f"{number}.bin", repo_id="lmrl/busy").oid

    with ThreadPoolExecutor(16) as pool:
        commits = list(pool.map(write, range(16)))
    files = hub.files("model", "lmrl/busy")
    assert {path: content for path, content in files.items() if path != ".gitattributes"} == {
        f"{number}.bin": bytes([number]) * 5000 for number in range(16)
    }
    assert len(set(commits)) == 16
    assert len(hub.commits("model", "lmrl/busy")) == 17

    head = api.model_info("lmrl/busy").sha

    def overtake(number: int) -> int:
        content = str(number).encode()
        try:
            api.upload_file(path_or_fileobj=content, path_in_repo="new.txt", repo_id="lmrl/busy", parent_commit=head)
        except HfHubHTTPError as error:
            return error.response.status_code
        return 200

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(overtake, range(8))) == [200, *[412] * 7]
