"""Collecting published scores: all that are there, each once, and none that its episodes do not give."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from published_score import ENTRIES, EPISODES, MODEL, become, commit, entries, play

from lmrl_data import UserError, get_task
from lmrl_data.hub import connect
from lmrl_eval.hub.push_results import push_results
from lmrl_eval.leaderboard.collect import _parameters, benchmarks, collect, verify_dataset
from lmrl_eval.leaderboard.entry import Entry, parse_entries
from lmrl_eval.results import Results, read_results
from lmrl_eval.score import score_episodes
from lmrl_eval.untrusted import digest

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from hub.server import Hub
    from huggingface_hub import HfApi


@pytest.fixture
def alice(hub: "Hub", monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "HfApi":
    """The user who is logged in, and who has published a score."""
    api = become(hub, monkeypatch, "alice")
    api.create_repo(MODEL)
    push_results(play(tmp_path / "results"), MODEL)
    return api


def only(found: list[Entry]) -> Entry:
    (entry,) = found
    return entry


def restate(hub: "Hub", change: dict[str, Any]) -> None:
    """Changes the entry of alice's model."""
    (entry,) = entries(hub)
    content = yaml.safe_dump([{**entry, **change}]).encode()
    hub.get("model", MODEL).commit("refs/heads/main", {ENTRIES: content}, "restated", "alice")


def publish_by_hand(hub: "Hub", api: "HfApi", files: dict[str, bytes], name: str = "") -> None:
    """Puts files where `push` would, and makes the entry link to them."""
    path = f"maze_fully_observed/{name or digest(files)}"
    commit(api, EPISODES, {f"{path}/{each}": content for each, content in files.items()}, "dataset")
    restate(hub, {"source": {"url": f"{hub.url}/datasets/{EPISODES}/tree/main/{path}"}})


def files_of(folder: Path, **changes: Any) -> dict[str, bytes]:
    """A results folder, as it would be published, with changes to `score.json`."""
    score = json.loads((folder / "score.json").read_text())
    score["checkpoint"]["source"] = MODEL
    files = {name: (folder / name).read_bytes() for name in ("episodes.parquet", "greedy_actions.json")}
    return files | {"score.json": json.dumps(score | changes).encode()}


def test_a_published_score_is_found_and_verified(hub: "Hub", alice: "HfApi", tmp_path: Path) -> None:
    entry = only(collect())
    results = read_results(tmp_path / "results")
    assert (entry.model, entry.status, entry.problems) == (MODEL, "verified", ())
    assert entry.score.normalized == results.score.normalized
    assert list(entry.episodes) == list(results.episodes[:3])
    assert entry.parameters == 1234
    assert entry.date == entries(hub)[0]["date"]
    assert entry.model_url == f"{hub.url}/{MODEL}"
    assert entry.episodes_url == entries(hub)[0]["source"]["url"]


def test_nobody_needs_a_token_to_look(hub: "Hub", alice: "HfApi", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert only(collect()).status == "verified"


def test_a_hub_without_scores_has_an_empty_leaderboard(hub: "Hub") -> None:
    assert collect() == []


def test_only_the_tasks_that_were_asked_for(hub: "Hub", alice: "HfApi", tmp_path: Path) -> None:
    assert collect(tasks=["wordle"]) == []
    push_results(play(tmp_path / "other", config="partially_observed"), MODEL)
    assert [entry.score.config for entry in collect(tasks=["maze"])] == ["fully_observed", "partially_observed"]
    assert collect(namespace="other") == []
    with pytest.raises(UserError, match="unknown task"):
        collect(tasks=["mazes"])


def test_a_model_without_our_tag_is_found_if_it_is_named(hub: "Hub", alice: "HfApi") -> None:
    commit(alice, MODEL, {"README.md": b"# No head\n"})
    assert collect() == []
    assert only(collect(models=[MODEL])).status == "verified"


def test_the_hubs_own_leaderboard_names_the_models(
    hub: "Hub", alice: "HfApi", monkeypatch: pytest.MonkeyPatch
) -> None:
    # Neither our tag, nor that it was made from another model, decides who is there.
    commit(alice, MODEL, {"README.md": b"---\nbase_model: openai-community/gpt2\n---\n"})
    become(hub, monkeypatch, "carol", "lmrl").create_repo("lmrl/maze", repo_type="dataset")
    hub.allow_leaderboard("lmrl/maze")
    assert only(collect(tasks=["maze"])).model == MODEL
    assert not [request for request in hub.log if request.path == "/api/models"]
    # Found in both ways it is one entry.
    assert len(collect(tasks=["maze", "wordle"], models=[MODEL])) == 1


def test_a_pull_request_counts_when_it_is_merged(
    hub: "Hub", alice: "HfApi", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(hub, monkeypatch, "carol", "lmrl").create_repo("lmrl/maze", repo_type="dataset")
    hub.allow_leaderboard("lmrl/maze")
    become(hub, monkeypatch, "bob")
    push_results(play(tmp_path / "other", config="partially_observed"), MODEL, create_pr=True)
    assert only(collect()).score.config == "fully_observed"
    hub.merge("model", MODEL, 1)
    assert [entry.status for entry in collect()] == ["verified", "verified"]


def test_the_algorithm_is_one_that_we_know(hub: "Hub", alice: "HfApi", tmp_path: Path) -> None:
    for tags, algorithm in (("[lmrl-gym, maze, ilql]", "ilql"), ("[lmrl-gym, '<b>best</b>']", None)):
        commit(alice, MODEL, {"README.md": f"---\ntags: {tags}\n---\n".encode()})
        assert only(collect()).algorithm == algorithm
    for told, algorithm in (({"host": "localhost:8000"}, "prompted"), ({"algorithm": "ppo"}, "ppo")):
        publish_by_hand(hub, alice, files_of(tmp_path / "results", checkpoint={"source": MODEL, **told}))
        assert only(collect()).algorithm == algorithm


# --- what must not be believed


def test_an_entry_that_states_more_than_its_episodes_is_flagged(hub: "Hub", alice: "HfApi") -> None:
    restate(hub, {"value": 99.9})
    entry = only(collect())
    assert entry.status == "flagged"
    assert "states 99.90, and its episodes 97.93" in entry.problems[0]


def test_an_entry_may_round(hub: "Hub", alice: "HfApi") -> None:
    restate(hub, {"value": 97.9})
    assert only(collect()).status == "verified"


def test_forged_episodes_are_flagged(hub: "Hub", alice: "HfApi", tmp_path: Path) -> None:
    results = read_results(play(tmp_path / "random", policy="random"))
    episodes = [
        replace(each, turns=tuple(replace(turn, reward=turn.reward / 100) for turn in each.turns))
        for each in results.episodes
    ]
    score = replace(
        score_episodes(episodes, get_task("maze")), protocol="paper", checkpoint={"source": MODEL}
    )  # fmt: skip
    forged = Results(score, episodes, results.greedy_actions, {}).save(tmp_path / "forged")
    publish_by_hand(hub, alice, files_of(forged))
    restate(hub, {"value": round(score.normalized, 2)})
    entry = only(collect())
    assert entry.status == "flagged"
    assert "the reward is" in entry.problems[0]


def test_files_that_were_exchanged_are_flagged(hub: "Hub", alice: "HfApi", tmp_path: Path) -> None:
    (folder,) = {path.rpartition("/")[0] for path in hub.files("dataset", EPISODES) if path.endswith("score.json")}
    commit(alice, EPISODES, {f"{folder}/greedy_actions.json": b"{}"}, "dataset")
    entry = only(collect())
    assert entry.status == "flagged"
    assert "not those that the folder is named by" in entry.problems[0]


def test_the_episodes_of_another_model_are_flagged(
    hub: "Hub", alice: "HfApi", monkeypatch: pytest.MonkeyPatch
) -> None:
    thief = become(hub, monkeypatch, "mallory")
    thief.create_repo("mallory/best")
    files = {path: hub.files("model", MODEL)[path] for path in (ENTRIES, "README.md")}
    commit(thief, "mallory/best", files)
    found = {entry.model: entry for entry in collect()}
    assert found[MODEL].status == "verified"
    assert found["mallory/best"].status == "flagged"
    assert found["mallory/best"].problems == (f"it was {MODEL} that played these episodes",)


def test_a_model_that_was_renamed_keeps_its_score(hub: "Hub", alice: "HfApi", monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import HfApi

    alice.create_repo("alice/new-name")
    commit(alice, "alice/new-name", {path: hub.files("model", MODEL)[path] for path in (ENTRIES, "README.md")})
    hub.delete("model", MODEL)
    asked = HfApi.model_info  # as on the Hub, which leads from an old name to the new one
    names = {MODEL: "alice/new-name"}
    monkeypatch.setattr(HfApi, "model_info", lambda api, name, **more: asked(api, names.get(name, name), **more))
    assert only(collect()).status == "verified"
    names.clear()
    assert only(collect()).status == "flagged"


def test_a_model_is_no_smaller_than_its_weights(hub: "Hub", alice: "HfApi") -> None:
    weights = type("Weights", (), {"total": 7_000_000_000})
    info = type("Info", (), {"safetensors": weights, "tags": []})
    (entry,) = collect()
    assert entry.parameters == 1234
    assert _parameters(entry.score, info) == 7_000_000_000
    assert _parameters(replace(entry.score, checkpoint={"parameters": 8_000_000_000}), info) == 8_000_000_000
    assert _parameters(replace(entry.score, checkpoint={"parameters": -1}), info) == 7_000_000_000


def test_private_episodes_are_unchecked_for_others(
    hub: "Hub", alice: "HfApi", monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.get("dataset", EPISODES).private = True
    assert only(collect()).status == "verified"
    become(hub, monkeypatch, "bob")
    entry = only(collect())
    assert entry.status == "unchecked"
    assert "does not exist, or your token may not see it" in entry.problems[0]
    # What is shown is the claim, over no episodes.
    assert (entry.score.normalized, entry.score.n_episodes, entry.episodes) == (97.93, 0, ())
    assert entry.score.mean_return == pytest.approx(-10, abs=0.01)


LINKS = [
    None, 3, "https://evil.example/datasets/alice/x/tree/main/maze_fully_observed/0123456789abcdef",
    "{hub}.evil.example/datasets/alice/x/tree/main/maze_fully_observed/0123456789abcdef",
    "{hub}/datasets/alice/x/tree/main/maze_fully_observed/../../../secret0123456789",
    "{hub}/datasets/../x/tree/main/maze_fully_observed/0123456789abcdef",
    "{hub}/datasets/alice/x/tree/main/wordle/0123456789abcdef",
    "{hub}/datasets/alice/x/tree/main/maze_fully_observed/0123456789abcdef?download",
    "{hub}/datasets/alice/x/tree/main/maze_fully_observed/0123456789abcdef\n",
]  # fmt: skip


def test_no_other_link_is_followed(hub: "Hub", alice: "HfApi") -> None:
    for link in LINKS:
        url = link.format(hub=hub.url) if isinstance(link, str) else link
        restate(hub, {"source": {"url": url}})
        before = len(hub.log)
        entry = only(collect())
        assert (entry.status, entry.episodes_url) == ("unchecked", None), link
        assert "names no episodes" in entry.problems[0]
        assert not [request for request in hub.log[before:] if "/datasets/alice" in request.path]


def test_a_link_to_nothing_is_unchecked(hub: "Hub", alice: "HfApi") -> None:
    for repo in ("alice/nothing", EPISODES):
        url = f"{hub.url}/datasets/{repo}/tree/main/maze_fully_observed/0123456789abcdef"
        restate(hub, {"source": {"url": url}})
        assert only(collect()).status == "unchecked"


def test_hostile_files_are_flagged(hub: "Hub", alice: "HfApi", tmp_path: Path) -> None:
    honest = files_of(tmp_path / "results")
    for name, content in (
        ("score.json", b"\xff"), ("score.json", b'{"task": "\\u001b[2J"}'), ("score.json", b"[" * 100_000),
        ("episodes.parquet", b"PAR1"), ("greedy_actions.json", b"[]"),
    ):  # fmt: skip
        publish_by_hand(hub, alice, honest | {name: content})
        entry = only(collect())
        assert entry.status == "flagged"
        assert f"{name} is damaged" in entry.problems[0]
        assert entry.problems[0].isprintable()
        assert str(tmp_path.parent.parent) not in entry.problems[0]


def test_episodes_of_another_config_are_flagged(hub: "Hub", alice: "HfApi", tmp_path: Path) -> None:
    publish_by_hand(hub, alice, files_of(play(tmp_path / "partial", config="partially_observed")))
    entry = only(collect())
    assert (entry.status, entry.problems) == ("flagged", ("the score is not of maze fully_observed",))


def test_a_file_that_is_too_large_is_not_read(hub: "Hub", alice: "HfApi", tmp_path: Path) -> None:
    publish_by_hand(hub, alice, files_of(tmp_path / "results") | {"score.json": b" " * (1 << 20) + b"{}"})
    entry = only(collect())
    assert entry.status == "unchecked"
    assert "larger than" in entry.problems[0]


NAMED = "- dataset: {id: lmrl/maze, task_id: maze_fully_observed}\n  "
HOSTILE = [
    b"text", b"\xff\xfe", b"", b"- !!python/object/apply:os.system [ls]", b"- 1\n- [2]\n- null\n", b"- " * 3000,
    b'- error: "\\e[2Jowned"\n  filename: x\n',
    *(f"{NAMED}{rest}\n".encode() for rest in ("", "value: 1\n  source: text")),
    *(f"{NAMED}value: {value}\n".encode() for value in ("high", ".nan", ".inf", "true", "[1]", "0x" + "f" * 400)),
]  # fmt: skip


def test_entries_that_cannot_be_read_are_a_warning_and_stop_nobody(
    hub: "Hub", alice: "HfApi", monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from lmrl_eval.leaderboard import collect as leaderboard

    become(hub, monkeypatch, "mallory").create_repo("mallory/bad")
    bad = hub.get("model", "mallory/bad")
    bad.commit("refs/heads/main", {"README.md": b"---\ntags: [lmrl-gym]\n---\n", ENTRIES: b"[]"}, "bad", "mallory")
    fetch = leaderboard.fetch
    for content in HOSTILE:
        # Read in place of the file, for this Hub looks into the files, too, and may stumble.
        monkeypatch.setattr(
            leaderboard, "fetch", lambda repo, *rest, text=content: text if repo == bad.name else fetch(repo, *rest)
        )
        warnings: list[str] = []
        assert only(collect(warn=warnings.append)).model == MODEL
        (warning,) = warnings
        assert warning.startswith(f"mallory/bad, {ENTRIES}: skipped"), content
    assert "owned" not in "".join(capfd.readouterr())


def test_a_list_of_entries_that_is_too_large_is_not_read(hub: "Hub", alice: "HfApi") -> None:
    commit(alice, MODEL, {".eval_results/lmrl-a.yaml": b"#" * 40_000})
    warnings: list[str] = []
    assert only(collect(warn=warnings.append)).status == "verified"
    assert warnings == [f"{MODEL}, .eval_results/lmrl-a.yaml: skipped, it is too large for a list of results"]


def test_an_entry_of_hostile_yaml_costs_no_memory(hub: "Hub", alice: "HfApi") -> None:
    (entry,) = entries(hub)
    text = yaml.safe_dump([{**entry, "date": None}])
    # Each line stands for ten times the one before, by aliases or by merged keys.
    bomb = "- &a0 {k: 0}\n" + "".join(f"- &a{n} [" + f"*a{n - 1}," * 10 + "]\n" for n in range(1, 12))
    merged = "- &a0 {k: 0}\n" + "".join(f"- &a{n} {{<<: [" + f"*a{n - 1}," * 10 + "]}\n" for n in range(1, 12))
    for hostile in (bomb + text.replace("date: null", "date: *a11"), merged + text, "[" * 10_000):
        with pytest.raises(ValueError, match="too large or too deep"):
            parse_entries(hostile.encode(), MODEL, benchmarks("lmrl"))
    # A date of many values is no date, and not written out.
    (parsed,), _ = parse_entries(
        text.replace("date: null", "date: [[2026-01-01]]").encode(), MODEL, benchmarks("lmrl")
    )
    assert parsed.date is None


def test_two_entries_of_one_benchmark_are_one(hub: "Hub", alice: "HfApi") -> None:
    (entry,) = entries(hub)
    other = yaml.safe_dump([{**entry, "value": 100}]).encode()
    commit(alice, MODEL, {".eval_results/a.yaml": other, ".eval_results/notes.txt": b"x"})
    assert only(collect()).status == "verified"


def test_a_model_that_cannot_be_read_is_a_warning(hub: "Hub", alice: "HfApi") -> None:
    warnings: list[str] = []
    assert len(collect(models=["alice/nothing"], warn=warnings.append)) == 1
    assert warnings == ["alice/nothing does not exist, or your token may not see it"]


def test_older_results_of_a_dataset_are_verified_too(hub: "Hub", alice: "HfApi", tmp_path: Path) -> None:
    push_results(play(tmp_path / "worse", policy="random"), MODEL)
    found = verify_dataset(connect(write=False), EPISODES)
    assert [verification.status for verification in found.values()] == ["verified", "verified"]
    alice.create_repo("alice/empty", repo_type="dataset")
    with pytest.raises(UserError, match="holds no episodes"):
        verify_dataset(alice, "alice/empty")


def test_a_card_that_the_client_cannot_read_costs_its_model_only(
    hub: "Hub", alice: "HfApi", monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.get("model", MODEL).commit("refs/heads/main", {"README.md": b"---\nself: 1\n---\n"}, "by hand", "alice")
    warnings: list[str] = []
    collect(models=[MODEL], warn=warnings.append)
    assert warnings in ([], [f"{MODEL}: skipped, its card cannot be read"])

    def fail(*_: Any, **__: Any) -> None:
        raise TypeError("ModelCardData got multiple values for argument 'self'")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", fail)
    assert collect(models=[MODEL], warn=warnings.append) == []
    assert warnings[-1] == f"{MODEL}: skipped, its card cannot be read"


def test_episodes_that_name_no_checkpoint_are_nobodys(hub: "Hub", alice: "HfApi", tmp_path: Path) -> None:
    files = files_of(tmp_path / "results", checkpoint=None)
    publish_by_hand(hub, alice, files)
    entry = only(collect())
    assert entry.status == "flagged"
    assert "names no checkpoint" in entry.problems[0]
