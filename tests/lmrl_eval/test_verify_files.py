"""Verification of files that anyone may have made: what is no result is one line, and no bomb goes off."""

import functools
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from published_score import check_printable

from lmrl_data import UserError, get_task
from lmrl_eval import Evaluator, Results
from lmrl_eval.verify import verify_results


@functools.cache
def played() -> Results:
    task = get_task("maze")
    policy = task.policy("random", "partially_observed")
    return Evaluator().compute(policy, task, "partially_observed", n_episodes=12, n_resamples=50, move_accuracy=False)


def test_what_a_run_wrote_is_read_by_a_new_process(tmp_path: Path) -> None:
    """Memory that a library takes at its first use is no bomb."""
    folder = played().save(tmp_path / "r")
    code = f"from lmrl_eval.results import read_results; print(len(read_results({str(folder)!r}).episodes))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert (done.stdout, done.returncode) == ("12\n", 0), done.stderr


# --- the score

GARBAGE: Sequence[dict[str, Any]] = [
    {"protocol": None}, {"protocol": ""}, {"protocol": ["paper"]}, {"options": []}, {"options": None}, {"seed": 2e6},
    {"seed": -1}, {"seed": 2**62}, {"n_episodes": 12.0}, {"n_episodes": 1}, {"n_resamples": 0}, {"n_resamples": 5.5},
    {"confidence_level": 2}, {"strategy": "luck"}, {"mean_return": 10**400}, {"mean_return": float("nan")},
    {"interval": [0]}, {"versions": 7}, {"versions": {"numpy": ["\x1b"]}, "interval": [0.0, 0.0]}, {"oracle": {}},
    {"oracle": {"spec": "\x1b[2J" * 1000}}, {"policy": "\x1b[2J"}, {"policy": 3}, {"colour": "red"},
    {"options": {"goal": None, "\x1b[2J": 1}}, {"options": {"goal": "x" * 10**6}}, {"options": {"goal": {"a": 1}}},
    {"checkpoint": ["\x1b"]}, {"checkpoint": "me"}, {"dataset_revision": 7}, {"dataset_revision": ["\x1b"]},
]  # fmt: skip


@pytest.mark.parametrize("change", GARBAGE, ids=[json.dumps(each)[:40] for each in GARBAGE])
def test_a_garbled_score_is_one_line(tmp_path: Path, change: dict[str, Any]) -> None:
    path = played().save(tmp_path / "r") / "score.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    found = verify_results(tmp_path / "r")
    assert found.status in ("flagged", "unchecked")
    check_printable(found)


@pytest.mark.parametrize("depth", [200, 900, 5_000, 100_000])
@pytest.mark.parametrize("place", ["options", "info"])
def test_deep_json_is_one_line(tmp_path: Path, depth: int, place: str) -> None:
    deep = "[" * depth + "]" * depth
    results = played()
    folder = results.save(tmp_path / "r")
    if place == "options":
        text = json.dumps(json.loads((folder / "score.json").read_text()) | {"options": "HERE"})
        (folder / "score.json").write_text(text.replace('"HERE"', f'{{"goal": {deep}}}'))
    else:
        table = pyarrow.parquet.read_table(folder / "episodes.parquet")
        infos = [text.replace("{", f'{{"deep": {deep}, ', 1) for text in table.column("info").to_pylist()]
        write_columns(folder, table, info=pa.array(infos))
    found = verify_results(folder)
    assert found.status in ("flagged", "unchecked")
    check_printable(found)


def test_values_that_are_too_deep_to_be_shown_are_flagged() -> None:
    deep: list[Any] = []
    for _ in range(20_000):
        deep = [deep]
    results = played()
    first, *others = results.episodes
    for changed in (
        replace(results, score=replace(results.score, options={"goal": deep})),
        replace(results, episodes=[replace(first, info=first.info | {"deep": deep}), *others]),
    ):
        assert verify_results(changed).problems == ("its options or infos are nested too deeply",)


def write_columns(folder: Path, table: pa.Table, **columns: pa.Array) -> None:
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, values)
    pyarrow.parquet.write_table(table, folder / "episodes.parquet", store_schema=False)


def test_no_folder_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no results"):
        verify_results(tmp_path)
    with pytest.raises(UserError, match="holds no results"):
        verify_results(tmp_path / "nowhere")


# --- the files


@pytest.mark.parametrize("name", ["score.json", "episodes.parquet", "greedy_actions.json", "timing.json"])
def test_damaged_or_missing_files_are_flagged(tmp_path: Path, name: str) -> None:
    path = played().save(tmp_path / "r") / name
    for content in (b"", b"{", b"PAR1\0\0PAR1", b"[1]", b"\xff", b"[" * 100_000, b" " * (16 * 2**20 + 1)):
        path.write_bytes(content)
        found = verify_results(tmp_path / "r")
        assert found.status == "flagged"
        check_printable(found)
    if name != "score.json":
        path.unlink()
        assert verify_results(tmp_path / "r").status == "flagged"


def repeated(value: str, times: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0] * times, pa.int32()), pa.array([value]))


@pytest.mark.parametrize("where", ["content", "info", "policy"])
def test_a_small_file_of_huge_texts_is_not_spread_out(tmp_path: Path, where: str) -> None:
    folder = played().save(tmp_path / "r")
    number, big = 20_000, "x" * 10_000_000  # 200 GB in a file of half a megabyte
    texts = {"content": "y", "info": '{"a": 1}', "policy": "p"} | {where: f'{{"a": "{big}"}}'}
    offsets = pa.array(range(0, 2 * number + 1, 2), pa.int32())
    roles = pa.DictionaryArray.from_arrays(pa.array([0, 1] * number, pa.int32()), pa.array(["user", "assistant"]))
    turns = pa.StructArray.from_arrays([roles, repeated(texts["content"], 2 * number)], ["role", "content"])
    table = pa.table(
        {
            "task": repeated("maze", number), "config": repeated("fully_observed", number),
            "messages": pa.ListArray.from_arrays(offsets, turns),
            "rewards": pa.ListArray.from_arrays(offsets, pa.array([0.0] * 2 * number)),
            "total_reward": pa.array([0.0] * number), "terminated": pa.array([True] * number),
            "truncated": pa.array([False] * number), "policy": repeated(texts["policy"], number),
            "seed": pa.array(range(number)), "info": repeated(texts["info"], number),
        }
    )  # fmt: skip
    pyarrow.parquet.write_table(table, folder / "episodes.parquet", store_schema=False)
    assert (folder / "episodes.parquet").stat().st_size < 2_000_000
    begun = time.monotonic()
    found = verify_results(folder)
    assert found.status == "flagged"
    assert "too much to read" in found.problems[0]
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("limit", ["MAX_EPISODES", "MAX_TEXTS", "MAX_BYTES"])
def test_what_a_file_says_of_its_size_is_believed_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    folder = played().save(tmp_path / "r")
    monkeypatch.setattr(f"lmrl_eval.results.{limit}", 10)
    assert "too much to read" in verify_results(folder).problems[0]


def test_other_columns_and_gaps_are_flagged(tmp_path: Path) -> None:
    folder = played().save(tmp_path / "r")
    table = pyarrow.parquet.read_table(folder / "episodes.parquet")
    number = len(table)
    turns = table.column("messages").combine_chunks()
    rewards = [[None] * len(each) for each in table.column("rewards").to_pylist()]
    gaps = pa.StructArray.from_arrays(
        [turns.values.field("role"), pa.array([None] * len(turns.values), pa.string())], ["role", "content"]
    )
    for columns, message in (
        ({"rewards": pa.array(rewards, pa.list_(pa.float64()))}, "empty cells"),
        ({"rewards": pa.array([None] * number, pa.list_(pa.float64()))}, "empty cells"),
        ({"messages": pa.ListArray.from_arrays(turns.offsets, gaps)}, "empty cells"),
        ({"seed": pa.array([None] * number, pa.int64())}, "empty cells"),
        ({"seed": pa.array(["1"] * number)}, "'seed'"),
        ({"policy": pa.array([b"\xff"] * number, pa.binary())}, "'policy'"),
        ({"info": pa.array(["[]"] * number)}, "no JSON object"),
        ({"total_reward": pa.array([5.0] * number)}, "not the sum of its rewards"),
    ):
        write_columns(folder, table, **columns)
        assert message in verify_results(folder).problems[0]
    write_columns(folder, table.append_column("more", pa.array([1] * number)))
    assert "'more'" in verify_results(folder).problems[0]
    write_columns(folder, table)
    assert verify_results(folder).status == "verified"


def test_a_score_made_of_nothing_is_flagged() -> None:
    results = played()
    for episodes in ([], results.episodes[:1]):
        score = replace(results.score, n_episodes=len(episodes))
        assert verify_results(Results(score, episodes)).status == "flagged"
