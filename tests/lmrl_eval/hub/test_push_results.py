"""Publishing a score: what reaches the Hub, what does not, and that the same results change nothing."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cases import check_cases
from published_score import ENTRIES, EPISODES, MODEL, become, commit, entries, play

from lmrl_data import UserError
from lmrl_eval.hub import push_results as publication
from lmrl_eval.hub.push_results import notes, published_score, push_results
from lmrl_eval.results import read_results
from lmrl_eval.training_record import TrainingRecord

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from hub.server import Hub
    from huggingface_hub import HfApi


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return play(tmp_path / "results")


@pytest.fixture
def alice(hub: "Hub", monkeypatch: pytest.MonkeyPatch) -> "HfApi":
    """The user who is logged in, and whose model is there without a card."""
    api = become(hub, monkeypatch, "alice")
    api.create_repo(MODEL)
    return api


def writes(hub: "Hub") -> int:
    return sum("/commit/" in request.path or "/create" in request.path for request in hub.log)


def head(hub: "Hub", model: str = MODEL) -> dict[str, Any]:
    from huggingface_hub import ModelCard

    return ModelCard(hub.files("model", model)["README.md"].decode()).data.to_dict()


def test_an_entry_says_what_was_measured_and_where_its_episodes_are(hub: "Hub", alice: "HfApi", results: Path) -> None:
    pushed = push_results(results, MODEL)
    score = read_results(results).score
    (entry,) = entries(hub)
    (folder,) = {path.rpartition("/")[0] for path in hub.files("dataset", EPISODES) if path.endswith(".json")}
    assert entry["dataset"] == {"id": "lmrl/maze", "task_id": "maze_fully_observed"}
    assert entry["value"] == round(score.normalized, 2)
    assert entry["source"] == {
        "url": f"{hub.url}/datasets/{EPISODES}/tree/main/{folder}", "name": "LMRL-Gym episodes", "user": "alice",
    }  # fmt: skip
    for fact in ("mean return -10.00 (95% interval -10.67 to -9.33)", "4 episodes from seed 2000000", "protocol paper",
                 "policy scripted:optimal", "policy seed 0", "task version 1.0.0"):  # fmt: skip
        assert fact in entry["notes"]
    assert pushed.verification.status == "verified"
    # The entry and the card came in one commit.
    assert hub.commits("model", MODEL) == ["LMRL-Gym: maze_fully_observed", "initial commit"]
    (index,) = head(hub)["model-index"]
    assert [metric["value"] for metric in index["results"][0]["metrics"]] == [entry["value"], -10.0]
    assert "lmrl-gym" in head(hub)["tags"]


def test_of_the_score_only_the_local_folder_is_replaced(hub: "Hub", alice: "HfApi", results: Path) -> None:
    push_results(results, MODEL)
    published = {path.rpartition("/")[2]: content for path, content in hub.files("dataset", EPISODES).items()}
    ours = json.loads((results / "score.json").read_text())
    ours["checkpoint"]["source"] = MODEL
    assert json.loads(published["score.json"]) == ours
    for name in ("episodes.parquet", "greedy_actions.json", "timing.json"):
        assert published[name] == (results / name).read_bytes()
    for files in (hub.files("dataset", EPISODES), hub.files("model", MODEL)):
        assert not [path for path, content in files.items() if b"secret" in content]


def test_an_address_of_this_machine_or_with_a_key_is_not_published(results: Path) -> None:
    played = read_results(results).score

    def check(spec: str, published: str) -> None:
        score = replace(
            played, oracle={"spec": spec, "seed": 0}, options={"vocab": "/home/key-of-mine/words"},
            checkpoint={"source": "chat:m", "dataset": "/home/key-of-mine/data", "temperature": 0.5},
        )  # fmt: skip
        public = published_score(score, MODEL)
        assert public.oracle == {"spec": published, "seed": 0}
        assert public.checkpoint == {"source": MODEL, "dataset": "data", "temperature": 0.5}
        assert "key-of-mine" not in public.to_json() + notes(public)

    cases = [
        ("chat:m@https://proxy.example/key-of-mine/v1", "chat:m@https://proxy.example"),
        ("chat:m@http://me:key-of-mine@localhost:8000", "chat:m@http://localhost:8000"),
        ("lm:/home/key-of-mine/oracle", "lm:oracle"),
        ("lm:lmrl/oracle", "lm:lmrl/oracle"),
    ]
    check_cases(cases, check)


def test_the_model_is_named_as_the_hub_names_it(
    hub: "Hub", alice: "HfApi", results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import HfApi

    asked = HfApi.model_info  # as on the Hub, which leads from an old name to the new one
    monkeypatch.setattr(HfApi, "model_info", lambda api, name, **more: asked(api, name.lower(), **more))
    push_results(results, MODEL.upper())
    (path,) = [path for path in hub.files("dataset", EPISODES) if path.endswith("score.json")]
    assert json.loads(hub.files("dataset", EPISODES)[path])["checkpoint"]["source"] == MODEL


def test_the_episodes_are_a_dataset(hub: "Hub", alice: "HfApi", results: Path) -> None:
    from datasets import load_dataset

    push_results(results, MODEL)
    rows = load_dataset(EPISODES, "maze_fully_observed", split="test")
    assert [row["messages"] for row in rows] == [
        episode.to_row()["messages"] for episode in read_results(results).episodes
    ]


def test_the_same_results_again_change_nothing(hub: "Hub", alice: "HfApi", results: Path, tmp_path: Path) -> None:
    push_results(results, MODEL)
    before = writes(hub), hub.files("model", MODEL), hub.files("dataset", EPISODES)
    # A run of the same seeds takes another time, and that is no other result.
    for folder in (results, play(tmp_path / "again", seconds=2.0)):
        pushed = push_results(folder, MODEL)
        assert (pushed.episodes.sent, pushed.model.sent) == (0, 0)
    assert (writes(hub), hub.files("model", MODEL), hub.files("dataset", EPISODES)) == before


def test_another_config_is_added(hub: "Hub", alice: "HfApi", results: Path, tmp_path: Path) -> None:
    from datasets import get_dataset_config_names

    push_results(results, MODEL)
    first = entries(hub)
    other = play(tmp_path / "partial", config="partially_observed")
    push_results(other, MODEL)
    assert entries(hub)[:1] == first
    assert [each["dataset"]["task_id"] for each in entries(hub)] == ["maze_fully_observed", "maze_partially_observed"]
    assert [each["dataset"]["config"] for each in head(hub)["model-index"][0]["results"]] == [
        "fully_observed", "partially_observed",
    ]  # fmt: skip
    assert get_dataset_config_names(EPISODES) == ["maze_fully_observed", "maze_partially_observed"]
    # And the first one again is still nothing new.
    before = writes(hub)
    push_results(results, MODEL)
    assert writes(hub) == before


def test_a_new_result_takes_the_place_of_the_old_one(
    hub: "Hub", alice: "HfApi", results: Path, tmp_path: Path
) -> None:
    from datasets import load_dataset

    push_results(results, MODEL)
    push_results(play(tmp_path / "partial", config="partially_observed"), MODEL)
    old, other = entries(hub)
    kept = hub.files("dataset", EPISODES).keys() - {"README.md"}
    worse = play(tmp_path / "worse", policy="random")
    push_results(worse, MODEL)
    new, still = entries(hub)
    assert still == other
    assert new["dataset"] == old["dataset"]
    assert new["value"] < old["value"]
    assert len(head(hub)["model-index"][0]["results"]) == 2
    assert kept < hub.files("dataset", EPISODES).keys()
    rows = load_dataset(EPISODES, "maze_fully_observed", split="test")
    assert sum(rows["total_reward"]) / 4 == read_results(worse).score.mean_return


THEIRS = {
    "task": {"type": "text-generation"}, "dataset": {"name": "C4", "type": "allenai/c4"},
    "metrics": [{"type": "loss", "value": 3.5}],
}  # fmt: skip
HEAD = {"license": "mit", "model-index": [{"name": "other", "results": [THEIRS]}], "tags": ["mine"]}
CARDS = {
    "foreign": f"---\n{yaml.safe_dump(HEAD)}---\n# Café\n\n---\n\n<b>a</b> {{{{ b }}}}  \n".encode(),
    "no head": b"# Title\n\n* no newline at the end",
    "windows": b"---\r\nlicense: mit\r\n---\r\n# One\r\n\r\ntwo\r\n",
}  # fmt: skip


@pytest.mark.parametrize("name", CARDS)
def test_the_text_of_a_card_stays_byte_for_byte(hub: "Hub", alice: "HfApi", results: Path, name: str) -> None:
    text = CARDS[name].split(b"---\n", 2)[-1] if name == "foreign" else CARDS[name][-20:]
    commit(alice, MODEL, {"README.md": CARDS[name]})
    push_results(results, MODEL)
    card = hub.files("model", MODEL)["README.md"]
    assert card.endswith(text)
    assert card.startswith(b"---")
    if name == "foreign":
        found = head(hub)
        assert found["license"] == "mit"
        assert found["tags"] == ["mine", "lmrl-gym"]
        assert found["model-index"][0]["results"][0] == THEIRS


def test_what_others_wrote_into_the_list_stays(hub: "Hub", alice: "HfApi", results: Path) -> None:
    theirs = {"dataset": {"id": "cais/hle", "task_id": "hle"}, "value": 3, "new_field": [1, {"a": None}]}
    commit(alice, MODEL, {ENTRIES: yaml.safe_dump([theirs]).encode()})
    push_results(results, MODEL)
    assert entries(hub)[0] == theirs
    assert len(entries(hub)) == 2


def test_a_model_that_is_not_ours_asks_for_a_pull_request(
    hub: "Hub", alice: "HfApi", results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(hub, monkeypatch, "bob", "a-club")
    before = writes(hub)
    with pytest.raises(UserError, match="add --create-pr"):
        push_results(results, MODEL)
    assert writes(hub) == before


def test_a_stranger_opens_one_pull_request_and_the_owner_merges_it(
    hub: "Hub", alice: "HfApi", results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(hub, monkeypatch, "bob")
    pushed = push_results(results, MODEL, create_pr=True)
    assert pushed.episodes.repo_id == "bob/maze-bc-lmrl-episodes"
    assert "waits to be merged" in pushed.model.describe()
    ((number, title, author, _),) = hub.pull_requests("model", MODEL)
    assert (title, author) == ("LMRL-Gym: maze_fully_observed", "bob")
    assert ENTRIES not in hub.files("model", MODEL)
    assert entries(hub, revision=f"refs/pr/{number}")[0]["source"]["user"] == "bob"
    before = writes(hub)
    push_results(results, MODEL, create_pr=True)
    assert writes(hub) == before
    hub.merge("model", MODEL, number)
    assert len(entries(hub)) == 1
    push_results(results, MODEL, create_pr=True)
    assert writes(hub) == before
    assert len(hub.pull_requests("model", MODEL)) == 1


def test_a_member_of_an_organization_publishes_in_its_name(
    hub: "Hub", results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(hub, monkeypatch, "carol", "lmrl").create_repo("lmrl/model")
    push_results(results, "lmrl/model", private=True)
    assert entries(hub, "lmrl/model")[0]["source"]["org"] == "lmrl"
    assert hub.get("dataset", "lmrl/model-lmrl-episodes").private
    assert not hub.get("model", "lmrl/model").private


def test_a_score_that_its_episodes_do_not_give_is_refused(hub: "Hub", alice: "HfApi", tmp_path: Path) -> None:
    forged = play(tmp_path / "forged", policy="random", normalized=99.0, normalized_interval=(98.0, 100.0))
    before = writes(hub)
    with pytest.raises(UserError, match="its episodes give"):
        push_results(forged, MODEL)
    assert writes(hub) == before


def test_a_score_that_cannot_be_replayed_here_is_published(hub: "Hub", alice: "HfApi", tmp_path: Path) -> None:
    pushed = push_results(play(tmp_path / "old", task_version="0.9.0"), MODEL)
    assert pushed.verification.status == "unchecked"
    assert "task version 0.9.0" in entries(hub)[0]["notes"]


def test_somebody_elses_commit_in_between_stays(
    hub: "Hub", alice: "HfApi", results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge_card, calls = publication.merge_card, []

    def slow(*given: Any) -> bytes:
        calls.append(given)
        if len(calls) == 1:
            commit(alice, MODEL, {"README.md": b"# Theirs\n", "notes.txt": b"theirs"})
        return merge_card(*given)

    monkeypatch.setattr(publication, "merge_card", slow)
    push_results(results, MODEL)
    files = hub.files("model", MODEL)
    assert files["notes.txt"] == b"theirs"
    assert files["README.md"].endswith(b"# Theirs\n")
    assert len(entries(hub)) == 1
    assert 412 in [request.status for request in hub.log]


def test_a_damaged_file_is_told_and_left_alone(hub: "Hub", alice: "HfApi", results: Path) -> None:
    repository = hub.get("model", MODEL)

    def check(path: str, content: bytes) -> None:
        repository.commit("refs/heads/main", {path: content}, "damage", "alice")
        with pytest.raises(UserError, match=f"{path} of {MODEL} is damaged"):
            push_results(results, MODEL)
        assert hub.files("model", MODEL)[path] == content
        repository.commit("refs/heads/main", {path: None}, "undone", "alice")

    entries_files = [b"no list", b"- 1\n", b"\xff"]
    cards = [b"---\n- a\n- b\n---\n", b"---\nmodel-index: 3\n---\n", b"\xff"]
    check_cases([*((ENTRIES, each) for each in entries_files), *(("README.md", each) for each in cards)], check)


def test_a_list_that_is_nested_too_deeply_is_damaged() -> None:
    from huggingface_hub import EvalResultEntry

    with pytest.raises(ValueError, match="no list"):
        publication.merge_entries(b"- " * 5000, EvalResultEntry("lmrl/maze", "maze", 1.0))


def test_wrong_names_are_told_before_anything_is_made(hub: "Hub", alice: "HfApi", results: Path) -> None:
    before = writes(hub)
    for model, options, message in (
        ("alice/nothing", {}, "does not exist"),
        ("model", {}, "a repo id is"),
        (MODEL, {"episodes_repo": "a//b"}, "a repo id is"),
        (MODEL, {"namespace": "x/y"}, "a repo id is"),
    ):
        with pytest.raises(UserError, match=message):
            push_results(results, model, **options)
    assert writes(hub) == before


def test_a_dataset_of_something_else_is_not_written_to(hub: "Hub", alice: "HfApi", results: Path) -> None:
    alice.create_repo("alice/data", repo_type="dataset")
    for card in (b"# My data\n", b"---\nmodel: bob/other\nconfigs: []\n---\n", b"\xff"):
        hub.get("dataset", "alice/data").commit("refs/heads/main", {"README.md": card}, "card", "alice")
        with pytest.raises(UserError, match="name another --episodes-repo"):
            push_results(results, MODEL, episodes_repo="alice/data")
        assert hub.files("dataset", "alice/data")["README.md"] == card


def test_a_token_is_needed(hub: "Hub", results: Path) -> None:
    with pytest.raises(UserError, match="no token"):
        push_results(results, MODEL)


def test_a_result_is_linked_to_the_model_that_its_episodes_name_and_to_no_other(
    hub: "Hub", alice: "HfApi", tmp_path: Path
) -> None:
    alice.create_repo("alice/other")
    here = tmp_path / "checkpoint"
    here.mkdir()
    numbers = iter(range(100))

    def check(checkpoint: dict[str, Any] | None, line: str | None) -> None:
        results = play(tmp_path / str(next(numbers)), checkpoint=checkpoint)
        before = writes(hub)
        if line is None:
            assert push_results(results, MODEL).verification.status == "verified"
            return
        with pytest.raises(UserError, match=line):
            push_results(results, MODEL)
        assert writes(hub) == before

    commit_id = "0" * 40
    cases = [
        (None, "its episodes name scripted:optimal, which is no model, as their player"),
        ({"source": "callable:m:f", "callable": "m:f"}, "its episodes name callable:m:f, which is no model, as their"),
        ({"parameters": 1}, "its episodes name no model as their player"),
        ({"source": " "}, "its episodes name no model as their player"),
        ({"source": "alice/other"}, f"it was alice/other that played, and not {MODEL}"),
        ({"source": "alice/other", "revision": commit_id}, f"it was alice/other that played, and not {MODEL}"),
        ({"source": "alice/gone", "revision": commit_id}, f"it was alice/gone that played, and not {MODEL}"),
        ({"source": "chat:m", "host": "localhost:8000"}, f"it was chat:m that played, .*; serve it as {MODEL}"),
        ({"source": "chat:alice/other", "host": "localhost:8000"}, "it was chat:alice/other that played"),
        ({"source": str(here)}, None),
        ({"source": "runs/maze"}, None),
        ({"source": MODEL, "revision": commit_id}, None),
        ({"source": f"chat:{MODEL}", "host": "localhost:8000"}, None),
    ]
    check_cases(cases, check)


def test_the_score_of_another_algorithm_is_not_put_beside_a_model(hub: "Hub", alice: "HfApi", tmp_path: Path) -> None:
    """A slip in `--model`."""
    results = play(tmp_path / "results", checkpoint={"source": "runs/maze/ilql", "algorithm": "ilql"})
    made = TrainingRecord("maze", "1.0.0", "fully_observed", "bc", None, "lmrl/maze")
    commit(alice, MODEL, {"training.json": made.to_json().encode()})
    before = writes(hub)
    with pytest.raises(
        UserError, match=f"ilql played the episodes of .*, and {MODEL} was trained by bc; give the model"
    ):
        push_results(results, MODEL)
    assert writes(hub) == before
    commit(alice, MODEL, {"training.json": replace(made, algorithm="ilql").to_json().encode()})
    assert push_results(results, MODEL).model.sent == 2
