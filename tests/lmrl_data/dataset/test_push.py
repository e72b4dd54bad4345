"""Publishing a dataset: what was built is what others load, nothing goes twice, and a version never changes."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import datasets
import pytest
from cases import release
from hub.server import Fault, Hub
from huggingface_hub import CommitOperationAdd, HfApi

from lmrl_data import UserError, get_task
from lmrl_data import hub as client
from lmrl_data.cli import main
from lmrl_data.dataset import push
from lmrl_data.dataset.build import build_dataset
from lmrl_data.dataset.push import push_dataset

pytestmark = pytest.mark.slow

MAZE = get_task("maze")
SENDS = ("commit", "PUT", "create", "tag/")  # what changes something there


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_dataset(MAZE, num_episodes=20, output_dir=tmp_path_factory.mktemp("built") / "lmrl")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Data of the same version with other bytes."""
    return build_dataset(MAZE, num_episodes=30, output_dir=tmp_path / "other")


@pytest.fixture
def owner(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Somebody who may write to `lmrl`, away from any local build; neither waiting nor drawing takes time."""
    monkeypatch.setenv("HF_TOKEN", hub.user("alice", orgs=["lmrl"]))
    monkeypatch.chdir(hub.folder.parent)
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr("lmrl_data.dataset.figure.histograms", lambda statistics: b"a picture")
    return hub


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.parquet")}


def changes(hub: Hub) -> list[str]:
    return [each.route for each in hub.log if any(word in each.route for word in SENDS)]


# --- there and back


def test_others_load_what_was_built(owner: Hub, built: Path, tmp_path: Path) -> None:
    published = push_dataset(MAZE, built, "lmrl/maze")
    assert published.sent == len(owner.files("dataset", "lmrl/maze")) - 1  # .gitattributes is the Hub's own
    tag = datasets.load_dataset("lmrl/maze", "partially_observed", revision="v1.0.0")
    local = datasets.load_dataset("parquet", data_files=str(built / "partially_observed/train-*"), split="train")
    assert tag["train"].to_list() == [json_info(row) for row in local.to_list()]
    assert len(tag["test"]) == 2
    streamed = datasets.load_dataset("lmrl/maze", "fully_observed_steps", split="train", streaming=True)
    steps = datasets.load_dataset("lmrl/maze", "fully_observed_steps", split="train")
    assert list(streamed) == steps.to_list()
    name = "fully_observed/train-00000-of-00001.parquet"
    read = datasets.load_dataset("parquet", data_files=f"hf://datasets/lmrl/maze/{name}", split="train")
    assert read.num_rows == 20
    assert {path: data for path, data in owner.files("dataset", "lmrl/maze").items() if path.endswith("parquet")} == (
        bytes_of(built)
    )


def json_info(row: dict) -> dict:
    return {**row, "info": json.loads(row["info"])} if isinstance(row["info"], str) else row


def test_one_commit_holds_the_data_the_card_the_benchmark_and_the_licence(owner: Hub, built: Path) -> None:
    push_dataset(MAZE, built, "lmrl/maze")
    files = owner.files("dataset", "lmrl/maze")
    assert {"README.md", "eval.yaml", "manifest.json", "LICENSE"} <= files.keys()
    assert owner.commits("dataset", "lmrl/maze")[:-1] == ["maze v1.0.0"]
    assert b'load_dataset("lmrl/maze"' in files["README.md"]


def test_a_second_push_sends_nothing(owner: Hub, built: Path) -> None:
    push_dataset(MAZE, built, "lmrl/maze")
    owner.log.clear()
    again = push_dataset(MAZE, built, "lmrl/maze")
    assert (again.sent, again.deleted) == (0, 0)
    assert changes(owner) == []
    assert "nothing to do" in again.describe()


def test_a_private_dataset_is_seen_by_its_owner_only(owner: Hub, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    push_dataset(MAZE, built, "alice/maze", private=True)
    assert datasets.load_dataset("alice/maze", "fully_observed", split="test").num_rows == 2
    monkeypatch.setenv("HF_TOKEN", owner.user("eve"))
    with pytest.raises(UserError, match="does not exist, or your token may not see it"):
        client.publish(HfApi(), "alice/maze", "dataset", {"x": b""}, message="x", create_pr=True)


def test_notices_of_others_data_go_with_it(owner: Hub, tmp_path: Path) -> None:
    task = get_task("guess_my_city")
    folder = build_dataset(task, "standard", num_episodes=10, output_dir=tmp_path)
    push_dataset(task, folder, "lmrl/guess_my_city")
    files = owner.files("dataset", "lmrl/guess_my_city")
    assert any("NOTICE" in path and b"GeoNames" in data for path, data in files.items())
    assert b"license: cc-by-4.0" in files["README.md"]


# --- what is somebody's own


@pytest.mark.parametrize("path", ["data/train-00000-of-00001.parquet", "words.csv"])
@pytest.mark.parametrize("create_pr", [False, True])
def test_a_repository_of_something_else_is_not_touched(owner: Hub, built: Path, path: str, create_pr: bool) -> None:
    api = HfApi()
    api.create_repo("lmrl/maze", repo_type="dataset")
    for name in (path, "README.md"):
        api.upload_file(path_or_fileobj=b"mine", path_in_repo=name, repo_id="lmrl/maze", repo_type="dataset")
    before = owner.files("dataset", "lmrl/maze")
    with pytest.raises(UserError, match=f"lmrl/maze holds something else, e.g. {path}; .*choose another"):
        push_dataset(MAZE, built, "lmrl/maze", create_pr=create_pr)
    assert owner.files("dataset", "lmrl/maze") == before
    assert owner.pull_requests("dataset", "lmrl/maze") == []


def test_another_tasks_dataset_is_something_else(owner: Hub, built: Path) -> None:
    wordle = {"task": "wordle", "task_version": "0.5.0", "shards": {}}
    client.publish(HfApi(), "lmrl/x", "dataset", {"manifest.json": json.dumps(wordle).encode()}, message="wordle")
    with pytest.raises(UserError, match="lmrl/x holds data of the task wordle"):
        push_dataset(MAZE, built, "lmrl/x")


def test_a_repository_that_was_just_made_by_hand_is_filled(owner: Hub, built: Path) -> None:
    HfApi().create_repo("lmrl/maze", repo_type="dataset")
    for name in ("README.md", "LICENSE"):
        HfApi().upload_file(path_or_fileobj=b"x", path_in_repo=name, repo_id="lmrl/maze", repo_type="dataset")
    assert push_dataset(MAZE, built, "lmrl/maze").sent > 5


def test_files_that_were_put_beside_the_data_stay(owner: Hub, built: Path, other: Path) -> None:
    push_dataset(MAZE, built, "lmrl/maze")
    for name in ("mine/a.parquet", "fully_observed/notes/b.parquet"):
        HfApi().upload_file(path_or_fileobj=b"mine", path_in_repo=name, repo_id="lmrl/maze", repo_type="dataset")
    push_dataset(MAZE, other, "lmrl/maze", revision_tag="larger")
    assert {"mine/a.parquet", "fully_observed/notes/b.parquet"} <= owner.files("dataset", "lmrl/maze").keys()


# --- a version never changes


def test_other_bytes_under_a_published_version_are_refused(owner: Hub, built: Path, other: Path) -> None:
    push_dataset(MAZE, built, "lmrl/maze")
    before = owner.files("dataset", "lmrl/maze")
    with pytest.raises(UserError, match=r"has published v1\.0\.0 with other data, and a version never changes"):
        push_dataset(MAZE, other, "lmrl/maze")
    assert owner.files("dataset", "lmrl/maze") == before


def test_another_tag_may_hold_other_data_and_shards_of_the_first_go(owner: Hub, built: Path, other: Path) -> None:
    push_dataset(MAZE, built, "lmrl/maze")
    push_dataset(MAZE, other, "lmrl/maze", revision_tag="larger")
    sizes = [
        datasets.load_dataset("lmrl/maze", "fully_observed", split="train", revision=tag).num_rows
        for tag in ("v1.0.0", "larger", "main")
    ]
    assert sizes == [20, 30, 30]


def test_an_old_build_does_not_replace_newer_data(owner: Hub, built: Path, other: Path) -> None:
    push_dataset(MAZE, built, "lmrl/maze")
    push_dataset(MAZE, other, "lmrl/maze", revision_tag="larger")
    with pytest.raises(UserError, match="main is newer: there is nothing to push"):
        push_dataset(MAZE, built, "lmrl/maze")


def test_merged_data_without_a_tag_is_not_overwritten(owner: Hub, built: Path, other: Path) -> None:
    client.publish(HfApi(), "lmrl/maze", "dataset", {}, message="empty")
    push_dataset(MAZE, built, "lmrl/maze", create_pr=True)
    owner.merge("dataset", "lmrl/maze", 1)
    with pytest.raises(UserError, match=r"holds other data of version 1\.0\.0 that has no tag yet"):
        push_dataset(MAZE, other, "lmrl/maze")
    assert push_dataset(MAZE, built, "lmrl/maze").sent == 0
    assert datasets.load_dataset("lmrl/maze", "fully_observed", split="train", revision="v1.0.0").num_rows == 20


# --- pull requests


def test_a_stranger_proposes_and_proposing_twice_changes_nothing(
    owner: Hub, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.publish(HfApi(), "lmrl/maze", "dataset", {}, message="empty")
    monkeypatch.setenv("HF_TOKEN", owner.user("bob"))
    with pytest.raises(UserError, match=r"403.*--create-pr"):
        push_dataset(MAZE, built, "lmrl/maze")
    first = push_dataset(MAZE, built, "lmrl/maze", create_pr=True)
    again = push_dataset(MAZE, built, "lmrl/maze", create_pr=True)
    assert (first.pull_request, again.pull_request, again.sent) == (1, 1, 0)
    assert first.url.endswith("/datasets/lmrl/maze/discussions/1")
    assert [(each.title, each.author) for each in owner.pull_requests("dataset", "lmrl/maze")] == [
        ("maze v1.0.0", "bob")
    ]


# --- what breaks on the way


def test_a_conflicting_commit_is_seen_and_stays(owner: Hub, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client.publish(HfApi(), "lmrl/maze", "dataset", {"README.md": b"old\n", "manifest.json": b"{}"}, message="old")
    create_commit, done = HfApi.create_commit, []

    def slow(api: HfApi, *args: object, **kwargs: object) -> object:
        if not done:  # somebody is faster
            done.append(1)
            note = [CommitOperationAdd("note.txt", b"mine")]
            create_commit(api, "lmrl/maze", note, commit_message="note", repo_type="dataset")
        return create_commit(api, *args, **kwargs)

    monkeypatch.setattr(HfApi, "create_commit", slow)
    push_dataset(MAZE, built, "lmrl/maze")
    files = owner.files("dataset", "lmrl/maze")
    assert files["note.txt"] == b"mine"
    assert bytes_of(built).items() <= files.items()
    assert 412 in [each.status for each in owner.log]


@pytest.mark.parametrize("kind", ["429", "cut_after", release("500"), release("cut")])
@pytest.mark.parametrize("route", ["/commit/", "PUT", *map(release, ("create", "tree", "batch", "tag/"))])
def test_a_passing_fault_is_outlived(owner: Hub, built: Path, kind: str, route: str) -> None:
    owner.faults.append(Fault(kind, route))  # type: ignore[arg-type]
    push_dataset(MAZE, built, "lmrl/maze")
    assert owner.faults[0].struck == 1
    assert bytes_of(built).items() <= owner.files("dataset", "lmrl/maze").items()
    assert owner.commits("dataset", "lmrl/maze")[:-1] == ["maze v1.0.0"]
    assert datasets.load_dataset("lmrl/maze", "fully_observed", split="train", revision="v1.0.0").num_rows == 20


@pytest.mark.parametrize("kind", ["cut", "cut_after"])
def test_a_lost_answer_makes_no_second_pull_request(owner: Hub, built: Path, kind: str) -> None:
    client.publish(HfApi(), "lmrl/maze", "dataset", {}, message="empty")
    owner.faults.append(Fault(kind, "/commit/"))  # type: ignore[arg-type]
    assert push_dataset(MAZE, built, "lmrl/maze", create_pr=True).pull_request == 1
    assert len(owner.pull_requests("dataset", "lmrl/maze")) == 1


def test_a_hub_that_does_not_hold_what_it_was_sent_is_reported(owner: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    api = HfApi()
    head = api.create_repo("lmrl/x", repo_type="dataset") and api.repo_info("lmrl/x", repo_type="dataset").sha
    answer = SimpleNamespace(oid=head, pr_num=None)  # as if the commit had been made
    monkeypatch.setattr(HfApi, "create_commit", lambda *args, **settings: answer)
    with pytest.raises(UserError, match=r"lmrl/x does not hold what it was sent, e.g. a; push again"):
        client.publish(HfApi(), "lmrl/x", "dataset", {"a": b"a"}, message="x")


def test_what_is_sent_has_a_deadline_by_its_size(owner: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines = []

    def within(seconds: float, action: Callable[[], object]) -> object:
        deadlines.append(seconds)
        if seconds > client.READ_SECONDS:
            raise TimeoutError(f"it took more than {seconds:.0f} s")
        return action()

    monkeypatch.setattr(client, "within", within)
    with pytest.raises(
        UserError, match="lmrl/x: the Hub does not answer: it took more than 620 s; run the same command"
    ):
        client.publish(HfApi(), "lmrl/x", "dataset", {"a": b"a" * 1_000_000}, message="x")
    assert deadlines[-1] == client.READ_SECONDS + 20
    assert len(deadlines) > 2  # looking and making the repository, too


def test_a_pull_request_is_known_by_the_answer_that_made_it(owner: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    HfApi().create_repo("lmrl/x", repo_type="dataset")
    monkeypatch.setattr(HfApi, "get_repo_discussions", lambda *args, **settings: iter(()))  # lists lag behind
    published = client.publish(HfApi(), "lmrl/x", "dataset", {"a": b"a"}, message="x", create_pr=True)
    assert (published.pull_request, len(owner.pull_requests("dataset", "lmrl/x"))) == (1, 1)


def test_somebody_who_is_always_faster_is_told(owner: Hub, built: Path) -> None:
    owner.faults.append(Fault("412", "/commit/", times=None))
    with pytest.raises(UserError, match=r"answered 412 .*somebody else writes there; run the same command again"):
        push_dataset(MAZE, built, "lmrl/maze")


def test_a_fault_that_stays_is_one_line_and_the_same_command_goes_on(owner: Hub, built: Path) -> None:
    owner.faults.append(Fault("500", "/commit/", times=None))
    with pytest.raises(UserError, match=r"the Hub answered 500.*; run the same command again"):
        push_dataset(MAZE, built, "lmrl/maze")
    owner.faults.clear()
    owner.log.clear()
    push_dataset(MAZE, built, "lmrl/maze")
    assert not [each for each in owner.log if each.method == "PUT"], "large files had been sent before"
    assert bytes_of(built).items() <= owner.files("dataset", "lmrl/maze").items()


def test_many_files_go_in_several_commits_with_the_card_in_the_last(
    owner: Hub, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "COMMIT_FILES", 3)
    owner.faults.append(Fault("500", "/commit/", after=2, times=None))
    with pytest.raises(UserError):
        push_dataset(MAZE, built, "lmrl/maze")
    half = owner.files("dataset", "lmrl/maze")
    assert len(half) == 7
    assert not {"README.md", "manifest.json"} & half.keys()
    owner.faults.clear()
    push_dataset(MAZE, built, "lmrl/maze")
    assert set(owner.commits("dataset", "lmrl/maze")[:-1]) == {"maze v1.0.0"}
    assert datasets.load_dataset("lmrl/maze", "fully_observed", split="train").num_rows == 20


def test_no_name_of_a_tag_that_the_hub_answers_matters(
    owner: Hub, built: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(push, "_tag", lambda *arguments: None)
        push_dataset(MAZE, built, "lmrl/maze")
    names = ["\u202ev1", "<script>", "'; drop", "%2e%2e%2fmain", "../../x", "é" * 60, "refs/heads/x", "\x1b[2J\n"]
    monkeypatch.setattr(push, "_tags", lambda api, repo_id: dict.fromkeys(names, "a" * 40))
    monkeypatch.setattr(push, "MAX_TAGS", 6)
    owner.log.clear()
    with pytest.raises(UserError, match=r"other data of version \S+ that has no tag yet"):
        push_dataset(MAZE, other, "lmrl/maze")
    asked = sum("manifest.json" in request.path for request in owner.log)
    assert 6 < asked < len(names) + 2  # that of main, too, and where its bytes are


# --- the command


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert isinstance(caught.value.code, int)
        return caught.value.code, *capsys.readouterr()

    return run


def test_the_command_says_what_it_did(owner: Hub, built: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = run("push", "maze", "--namespace", "alice", "--data", str(built.parent))
    assert code == 0
    assert f"{owner.url}/datasets/alice/maze: sent " in out
    assert "nothing to do" in run("push", "maze", "--namespace", "alice", "--data", str(built.parent))[1]


def test_without_a_token_one_line_says_how_to_get_one(
    hub: Hub, built: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, err = run("push", "maze", "--data", str(built.parent))
    assert (code, err.count("\n")) == (2, 1)
    assert "hf auth login" in err


def test_a_wrong_token_is_one_line_that_does_not_show_it(
    hub: Hub, built: Path, run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_and_secret")
    code, out, err = run("push", "maze", "--data", str(built.parent))
    assert (code, err.count("\n")) == (2, 1)
    assert "hf_wrong_and_secret" not in out + err


@pytest.mark.parametrize("namespace", ["../etc", "a/b", "", "a b", "-a", "x" * 200])
def test_a_wrong_namespace_is_refused_before_anything_is_asked(
    owner: Hub, built: Path, run: Callable[..., tuple[int, str, str]], namespace: str
) -> None:
    code, _, err = run("push", "maze", "--namespace", namespace, "--data", str(built.parent))
    assert code == 2
    assert "a repo id is NAMESPACE/NAME" in err
    assert owner.log == []


def test_a_server_that_is_not_there_is_one_line(built: Path, owner: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="lmrl/maze: the Hub cannot be reached"):
        push_dataset(MAZE, built, "lmrl/maze")


def test_offline_is_said(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        push_dataset(MAZE, built, "lmrl/maze")


def test_what_a_server_says_cannot_steer_the_terminal_or_show_the_token(
    owner: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert client._safe("\x1b[2Jyou sent hf_secret\nx") == "\\x1b[2Jyou sent … x"


@pytest.mark.parametrize("damage", ["shard", "card", "version", "sources", "nothing"])
def test_only_a_finished_build_of_this_version_is_published(
    owner: Hub, built: Path, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "lmrl" / "maze"
    shutil.copytree(built, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    if damage == "shard":
        next(folder.rglob("*.parquet")).write_bytes(b"PAR1")
    elif damage == "card":
        (folder / "README.md").unlink()
    elif damage == "nothing":
        shutil.rmtree(folder)
    else:
        manifest |= {"task_version": "0.9"} if damage == "version" else {"sources": {}}
        (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"damaged|not finished|which is now|no licence|holds no dataset"):
        push_dataset(MAZE, folder, "lmrl/maze")
    assert owner.log == []


@pytest.mark.release
def test_a_push_that_is_killed_goes_on_where_it_was(hub: Hub, built: Path) -> None:
    env = hub.environment(hub.user("alice", orgs=["lmrl"]))
    command = [sys.executable, "-m", "lmrl_data.cli", "push", "maze", "--data", str(built.parent)]
    hub.faults.append(Fault("slow", "/commit/", seconds=60))
    killed = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not [each for each in hub.log if each.method == "PUT"] and killed.poll() is None:
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    hub.faults.clear()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert "sent" in done.stdout
    assert bytes_of(built).items() <= hub.files("dataset", "lmrl/maze").items()
    assert hub.commits("dataset", "lmrl/maze")[:-1] == ["maze v1.0.0"]
