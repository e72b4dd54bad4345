"""The Hub of the tests, asked by the real clients: what is written is read back, what is refused stays undone."""

import base64
import json
import socket
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi, HfFileSystem, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hub.faults import Fault
from hub.server import Hub

pytestmark = pytest.mark.slow

MODEL = "lmrl/maze-bc"
BINARY = bytes(range(256)) * 20


@pytest.fixture
def api(hub: Hub) -> HfApi:
    """The owner, with an empty model."""
    api = HfApi(token=hub.user("alice", orgs=["lmrl"]))
    api.create_repo(MODEL)
    return api


def upload(api: HfApi, path: str, content: bytes, **options: Any) -> None:
    api.upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=MODEL, **options)


def commit(hub: Hub, api: HfApi, operation: dict[str, Any]) -> httpx2.Response:
    """A commit that the client itself would not send."""
    lines = [{"key": "header", "value": {"summary": "by hand"}}, operation]
    headers = {"Authorization": f"Bearer {api.token}"}
    body = "\n".join(json.dumps(line) for line in lines)
    return httpx2.post(f"{hub.url}/api/models/{MODEL}/commit/main", content=body, headers=headers)


def received(hub: Hub, origin: str = "storage") -> int:
    return sum(request.received for request in hub.log if request.origin == origin)


names = st.text("abé x-", min_size=1, max_size=6).filter(lambda name: name == name.strip())
paths = st.lists(names, min_size=1, max_size=3).map("/".join)


@settings(max_examples=12)
@given(files=st.dictionaries(paths, st.binary(max_size=600), min_size=1, max_size=5))
def test_any_files_come_back_byte_for_byte(hub: Hub, api: HfApi, files: dict[str, bytes]) -> None:
    assume(not any(other.startswith(f"{path}/") for path in files for other in files))
    repo_id = f"lmrl/any-{len(hub.log)}"
    api.create_repo(repo_id)
    operations = [CommitOperationAdd(path, content) for path, content in files.items()]
    api.create_commit(repo_id, operations, commit_message="any")
    got = hub.files("model", repo_id)
    del got[".gitattributes"]
    assert got == files
    assert {path: Path(hf_hub_download(repo_id, path)).read_bytes() for path in files} == files


def test_a_second_upload_of_the_same_sends_nothing_and_makes_no_commit(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    (tmp_path / "push").mkdir()
    (tmp_path / "push" / "model.safetensors").write_bytes(BINARY)
    (tmp_path / "push" / "config.json").write_text("{}")
    api.upload_folder(folder_path=tmp_path / "push", repo_id=MODEL)
    commits, sent = hub.commits("model", MODEL), received(hub)
    assert sent == len(BINARY)
    api.upload_folder(folder_path=tmp_path / "push", repo_id=MODEL)
    # The same large file under another name is in the storage already.
    upload(api, "copy.bin", BINARY)
    assert received(hub) == sent
    assert hub.commits("model", MODEL) == ["Upload copy.bin with huggingface_hub", *commits]


def test_large_files_go_to_the_storage_and_text_to_git(hub: Hub, api: HfApi) -> None:
    contents = {
        "a.txt": "é".encode() * 400,
        "b.dat": BINARY,
        "c.parquet": b"text by a name for data",
        "empty.bin": b"",
    }
    api.create_commit(MODEL, [CommitOperationAdd(*item) for item in contents.items()], commit_message="all")
    info = api.model_info(MODEL, files_metadata=True)
    assert info.siblings
    assert {file.rfilename for file in info.siblings if file.lfs} == {"b.dat", "c.parquet"}
    assert {file.rfilename: file.size for file in info.siblings if file.rfilename in contents} == {
        path: len(content) for path, content in contents.items()
    }


def test_only_owners_write_and_only_they_see_what_is_private(hub: Hub, api: HfApi) -> None:
    reader, stranger = (HfApi(token=token) for token in (hub.user("alice", ["lmrl"], role="read"), hub.user("bob")))
    nobody, wrong = HfApi(token=False), HfApi(token="hf_wrong")
    for someone, status in ((reader, 403), (stranger, 403), (nobody, 401), (wrong, 401)):
        with pytest.raises(HfHubHTTPError) as caught:
            upload(someone, "a.txt", b"a")
        assert caught.value.response.status_code == status
    assert hub.commits("model", MODEL) == ["initial commit"]
    assert stranger.model_info(MODEL).private is False
    api.update_repo_settings(MODEL, private=True)
    assert reader.model_info(MODEL).private
    for someone in (stranger, nobody):
        with pytest.raises(RepositoryNotFoundError):
            someone.model_info(MODEL)
        assert list(someone.list_models(author="lmrl")) == []
    with pytest.raises(HfHubHTTPError, match="403"):
        stranger.create_repo("lmrl/other")


def test_a_commit_on_what_is_no_longer_the_newest_is_refused(hub: Hub, api: HfApi) -> None:
    head = api.model_info(MODEL).sha
    upload(api, "a.txt", b"first", parent_commit=head)
    with pytest.raises(HfHubHTTPError) as caught:
        upload(api, "a.txt", b"second", parent_commit=head)
    assert caught.value.response.status_code == 412
    assert hub.files("model", MODEL)["a.txt"] == b"first"


@pytest.mark.parametrize("path", ["../a", "a/../../b", ".git/config", "a//b", "/etc/passwd"])
def test_a_path_out_of_the_repository_is_refused(hub: Hub, api: HfApi, path: str) -> None:
    assert commit(hub, api, {"key": "file", "value": {"path": path, "content": ""}}).status_code == 400
    assert hub.commits("model", MODEL) == ["initial commit"]


def test_a_strangers_pull_request_is_merged_or_conflicts(hub: Hub, api: HfApi) -> None:
    bob, carol = HfApi(token=hub.user("bob")), HfApi(token=hub.user("carol"))
    upload(api, "a.txt", b"old")
    upload(bob, "b.txt", b"by bob", create_pr=True)
    upload(bob, "b.bin", BINARY, revision="refs/pr/1")
    upload(carol, "a.txt", b"by carol", create_pr=True)
    with pytest.raises(HfHubHTTPError, match="403"):
        upload(carol, "b.txt", b"not hers", revision="refs/pr/1")
    upload(api, "a.txt", b"new")
    api.comment_discussion(MODEL, 1, "Thank you")
    hub.merge("model", MODEL, 1)
    files = hub.files("model", MODEL)
    assert (files["a.txt"], files["b.txt"], files["b.bin"]) == (b"new", b"by bob", BINARY)
    assert api.get_discussion_details(MODEL, 2).conflicting_files == ["a.txt"]
    with pytest.raises(ValueError, match=r"a\.txt"):
        hub.merge("model", MODEL, 2)
    assert hub.files("model", MODEL) == files
    assert [(pull.author, pull.status) for pull in hub.pull_requests("model", MODEL)] == [
        ("bob", "merged"), ("carol", "open"),
    ]  # fmt: skip
    mine = list(bob.get_repo_discussions(MODEL, author="bob", discussion_type="pull_request"))
    assert [(discussion.num, discussion.status) for discussion in mine] == [(1, "merged")]


def test_a_long_tree_comes_in_pages(hub: Hub, api: HfApi) -> None:
    files = [CommitOperationAdd(f"{number % 7}/{number}.txt", b"") for number in range(1100)]
    api.create_commit(MODEL, files, commit_message="many")
    asked = len(hub.log)
    assert sum(1 for item in api.list_repo_tree(MODEL, recursive=True)) == 1100 + 7 + 1
    assert [request.query.rpartition("&")[2] for request in hub.log[asked:]][1:] == ["cursor=1000"]


@pytest.mark.parametrize("path", ["small.txt", "large.bin"])
def test_parts_of_a_file_can_be_read(hub: Hub, api: HfApi, path: str) -> None:
    content = BINARY if path == "large.bin" else b"0123456789" * 100
    upload(api, path, content)
    with HfFileSystem(token=api.token).open(f"{MODEL}/{path}", "rb", block_size=100) as file:
        file.seek(550)
        assert file.read(30) == content[550:580]
        file.seek(-5, 2)
        assert file.read() == content[-5:]
    beyond = httpx2.get(
        f"{hub.url}/{MODEL}/resolve/main/{path}", headers={"Range": "bytes=99999-"}, follow_redirects=True
    )
    assert beyond.status_code == 416


def test_the_leaderboard_takes_results_from_main_and_from_open_pull_requests(hub: Hub, api: HfApi) -> None:
    api.create_repo("lmrl/maze", repo_type="dataset")
    with pytest.raises(HfHubHTTPError, match="404"):
        api.get_dataset_leaderboard("lmrl/maze")
    hub.allow_leaderboard("lmrl/maze")
    entry = "- dataset: {id: lmrl/maze, task_id: maze}\n  value: %d\n"
    upload(api, ".eval_results/maze.yaml", (entry % 40).encode())
    upload(api, ".eval_results/broken.yaml", b"- value: high")
    bob = HfApi(token=hub.user("bob"))
    upload(bob, ".eval_results/more.yaml", (entry % 90).encode(), create_pr=True)
    ranked = api.get_dataset_leaderboard("lmrl/maze")
    assert [(line.rank, line.value, line.pull_request) for line in ranked] == [(1, 90, 1), (2, 40, None)]
    results = api.model_info(MODEL, expand=["evalResults"]).eval_results
    assert [(result.task_id, result.value) for result in results or []] == [("maze", 40)]
    upload(api, "README.md", b"---\nbase_model: org/base\n---\n")
    assert api.get_dataset_leaderboard("lmrl/maze") == []
    assert len(api.get_dataset_leaderboard("lmrl/maze", base_model_only=False)) == 2


@pytest.mark.parametrize("kind", ["429", "500", "cut", "cut_after", "slow"])
@pytest.mark.parametrize("match", ["preupload", "storage", "/lfs/verify"])
def test_the_client_gets_over_a_fault_that_passes(
    hub: Hub, api: HfApi, kind: Any, match: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.faults.append(Fault(kind, match, seconds=0.01 if kind == "slow" else 0))
    upload(api, "a.bin", BINARY)
    assert hub.faults[0].struck == 1
    assert hub.files("model", MODEL)["a.bin"] == BINARY
    assert len(hub.commits("model", MODEL)) == 2
    # A connection that is cut before the storage kept anything means that all is sent again; after it, too.
    twice = match == "storage" and kind != "slow"
    assert received(hub) == len(BINARY) * (2 if twice else 1)


@pytest.mark.parametrize(("kind", "commits"), [("cut", 1), ("cut_after", 2), ("500", 1), ("412", 1)])
def test_a_fault_at_the_commit_strikes_before_or_after_it_was_made(
    hub: Hub, api: HfApi, kind: Any, commits: int
) -> None:
    hub.faults.append(Fault(kind, "/commit/"))
    with pytest.raises((HfHubHTTPError, httpx2.RemoteProtocolError)):
        upload(api, "a.txt", b"a")
    assert len(hub.commits("model", MODEL)) == commits
    upload(api, "a.txt", b"a")
    assert len(hub.commits("model", MODEL)) == 2


def test_drawn_faults_are_the_same_for_the_same_seed() -> None:
    def drawn(seed: int) -> list[bool]:
        fault = Fault("500", probability=0.3, seed=seed, times=None, after=2)
        return [fault.strikes("GET /", "/") for _ in range(200)]

    assert drawn(7) == drawn(7) != drawn(8)
    assert 40 <= sum(drawn(7)) <= 80
    assert drawn(7)[:2] == [False, False]


def test_the_storage_keeps_only_whole_objects_and_obeys_only_signed_addresses(hub: Hub, api: HfApi) -> None:
    headers = {"Authorization": f"Bearer {api.token}"}
    oid = "0" * 64
    batch = {"operation": "upload", "objects": [{"oid": oid, "size": 100}]}
    answer = httpx2.post(f"{hub.url}/{MODEL}.git/info/lfs/objects/batch", json=batch, headers=headers).json()
    href = answer["objects"][0]["actions"]["upload"]["href"]
    assert href.startswith(hub.storage_url)
    assert httpx2.put(href, content=b"something else").status_code == 400
    assert httpx2.put(href.partition("?")[0], content=b"").status_code == 403
    assert httpx2.get(href).status_code == 403
    with socket.create_connection(("127.0.0.1", int(hub.storage_url.rpartition(":")[2]))) as half:
        path = href.removeprefix(hub.storage_url)
        half.sendall(f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode() + b"half of it")
    refused = commit(hub, api, {"key": "lfsFile", "value": {"path": "a", "oid": oid}})
    assert (refused.status_code, "does not exist" in refused.json()["error"]) == (400, True)
    assert [path for path in (hub.folder / "storage").rglob("*") if path.is_file()] == []


def test_a_broken_card_is_refused(hub: Hub, api: HfApi) -> None:
    with pytest.raises(ValueError, match="Invalid"):
        upload(api, "README.md", b"---\ntags: [\n---\n")
    content = base64.b64encode(b"---\n- a list\n---\n").decode()
    assert commit(hub, api, {"key": "file", "value": {"path": "README.md", "content": content}}).status_code == 400
    assert hub.commits("model", MODEL) == ["initial commit"]


def test_what_the_hub_does_not_know_is_refused_and_remembered(hub: Hub) -> None:
    answer = httpx2.get(f"{hub.url}/api/unheard-of")
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (404, "RouteNotFound")
    assert hub.unlisted == ["hub: GET /api/unheard-of"]
    hub.unlisted.clear()


def test_a_token_that_reaches_the_storage_is_refused(hub: Hub, api: HfApi) -> None:
    upload(api, "a.bin", BINARY)
    headers = {"Authorization": f"Bearer {api.token}"}
    address = httpx2.head(f"{hub.url}/{MODEL}/resolve/main/a.bin").headers["Location"]
    assert httpx2.get(address).content == BINARY
    assert httpx2.get(address, headers=headers).status_code == 400
    hub.log.clear()
