"""Files of strangers, each with something wrong: one line within seconds, no traceback, no file elsewhere."""

import json
import os
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cases import check_cases
from published_score import play

from lmrl_data import UserError, get_task
from lmrl_data.dataset.folder import check_dataset, read_statistics
from lmrl_eval.curves import curves_figure, read_run
from lmrl_eval.results import memory_limit, read_results
from lmrl_eval.training_record import read_recipe
from lmrl_eval.verify import describe, verify_results


def varint(number: int) -> bytes:
    """A number as Thrift's compact protocol writes it."""
    number <<= 1
    parts = []
    while True:
        parts.append(number & 0x7F | (0x80 if number > 0x7F else 0))
        number >>= 7
        if not number:
            return bytes(parts)


def forged(path: Path, numbers: set[int]) -> None:
    """Writes 2 in place of these numbers of a Parquet file's footer, in as many bytes."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[-8:-4], "little")
    footer = raw[-8 - length : -8]
    for number in numbers:
        old = varint(number)
        footer = footer.replace(old, bytes([4 | 0x80, *[0x80] * (len(old) - 2), 0]))
    path.write_bytes(raw[: -8 - length] + footer + raw[-8:])


def columns(folder: Path, **changes: pa.Array) -> pa.Table:
    table = pq.read_table(folder / "episodes.parquet", arrow_extensions_enabled=False)
    for name, array in changes.items():
        table = table.slice(0, 1).set_column(table.schema.get_field_index(name), table.schema.field(name), array)
    return table


def repeated_text(folder: Path) -> None:
    """One episode of three million texts in a file of some kB, whose footer says that there are two."""
    count = 3_000_000
    text = pa.array(["user"]).take(pa.array([0])).dictionary_encode()
    texts = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), count), text.dictionary).cast(
        pa.string()
    )
    messages = pa.ListArray.from_arrays([0, count], pa.StructArray.from_arrays([texts, texts], ["role", "content"]))
    path = folder / "episodes.parquet"
    pq.write_table(columns(folder, messages=messages), path)
    forged(path, {count})
    assert path.stat().st_size < 20_000


def dense(folder: Path) -> None:
    pq.write_table(columns(folder), folder / "episodes.parquet", compression="zstd")


def many_groups(folder: Path) -> None:
    pq.write_table(columns(folder), folder / "episodes.parquet")
    table = pa.concat_tables([columns(folder)] * 300)
    pq.write_table(table, folder / "episodes.parquet", row_group_size=1)


def long_footer(folder: Path) -> None:
    table = columns(folder)
    pq.write_table(table.replace_schema_metadata({"a": "b" * (2 << 20)}), folder / "episodes.parquet")


def replaced(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)


def special(folder: Path, name: str, make: Callable[[Path], Any]) -> None:
    (folder / name).unlink()
    make(folder / name)


def bound(path: Path) -> None:
    os.chdir(path.parent)  # the name of a socket is short
    socket.socket(socket.AF_UNIX).bind(path.name)


def score(folder: Path, **changes: Any) -> None:
    path = folder / "score.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


RESULTS: list[tuple[str, Callable[[Path], Any], str]] = [
    ("a forged number of texts", repeated_text, "3,000,000 texts"),
    ("dense compression", dense, "compressed by ZSTD"),
    ("a thousand row groups", many_groups, "which is too much to read"),
    ("a footer of megabytes", long_footer, "a footer of"),
    ("no footer", lambda f: replaced(f, "episodes.parquet", b"PAR1" + b"\xff" * 7 + b"\x7fPAR1"), "which is too much"),
    ("no Parquet", lambda f: replaced(f, "episodes.parquet", b"x" * 100), "damaged"),
    ("an empty file", lambda f: replaced(f, "episodes.parquet", b""), "damaged"),
    ("encrypted", lambda f: replaced(f, "episodes.parquet", b"PARE" + b"\0" * 50 + b"\0\0\0\0PARE"), "damaged"),
    ("other columns", lambda f: pq.write_table(pa.table({"a": [1]}), f / "episodes.parquet"), "not those of episodes"),
    ("deep JSON", lambda f: replaced(f, "greedy_actions.json", b"[" * 500_000), "damaged"),
    ("deep timing", lambda f: replaced(f, "timing.json", b'{"a":' * 500_000), "damaged"),
    ("a list of actions", lambda f: replaced(f, "greedy_actions.json", b'["a"]'), "not a table of texts"),
    ("no UTF-8", lambda f: replaced(f, "score.json", b"\xff\xfe{}"), "damaged"),
    ("a seed without end", lambda f: score(f, seed=10**400), "seed must be a finite number"),
    ("no number", lambda f: replaced(f, "score.json", (f / "score.json").read_bytes().replace(b"2000000,", b"NaN,")),
     "seed must be int"),
    ("a seed of 64 bits", lambda f: score(f, seed=2**63), "no evaluation begins with the seed"),
    ("resamples without end", lambda f: score(f, n_resamples=2**62), "resamples"),
    ("no confidence", lambda f: score(f, confidence_level=1e-320), "interval"),
    ("deep options", lambda f: score(f, options={"a": json.loads("[" * 500 + "]" * 500)}), ""),
    ("a task that is none", lambda f: score(f, task="__class__"), ""),
    ("a name that looks alike", lambda f: score(f, task="ma\u200bze"), ""),
    ("a pipe", lambda f: special(f, "timing.json", os.mkfifo), "incomplete"),
    ("a socket", lambda f: special(f, "timing.json", bound), "incomplete"),
    ("a device", lambda f: special(f, "greedy_actions.json", lambda p: p.symlink_to("/dev/zero")), "incomplete"),
    ("a folder", lambda f: special(f, "episodes.parquet", Path.mkdir), "incomplete"),
    ("a link to itself", lambda f: special(f, "timing.json", lambda p: p.symlink_to(p.name)), "incomplete"),
]  # fmt: skip


def test_no_results_of_strangers_cost_more_than_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    numbers = iter(range(100))

    def check(name: str, attack: Callable[[Path], Any], line: str) -> None:
        folder = play(tmp_path / str(next(numbers)))
        attack(folder)
        found = verify_results(folder)
        assert found.status in ("flagged", "unchecked"), found.status
        text = describe(found)
        assert line in text, text
        assert text.replace("\n", "").isprintable()
        assert len(text) < 1_000

    check_cases(RESULTS, check)


def test_damaged_bytes_of_episodes_are_never_a_traceback(tmp_path: Path) -> None:
    import random

    folder = play(tmp_path / "results")
    raw, noise = (folder / "episodes.parquet").read_bytes(), random.Random(0)
    for _ in range(100):
        damaged = bytearray(raw)
        for _ in range(noise.randint(1, 4)):
            damaged[noise.randrange(4, len(raw) - 4)] = noise.randrange(256)
        (folder / "episodes.parquet").write_bytes(damaged)
        verify_results(folder)


MANIFEST = {
    "task": "maze", "task_version": "1.0.0", "libraries": {}, "configs": {"fully_observed": {"train": [0, 10]}},
    "shards": {"fully_observed/train-00000-of-00001.parquet": {"sha256": "x", "rows": 1}},
}  # fmt: skip
MANIFESTS: list[Any] = [
    b"[" * 200_000, b"\xff", b" " * (65 << 20), {"options": 5}, {"options": ["a"]}, {"facts": 3}, {"task": ["maze"]},
    {"task_version": None}, {"configs": {"fully_observed": {"train": ["a", "b"]}}},
    {"configs": {"\ud800": {"train": [0, 1]}}},
    {"shards": {"fully_observed/train-00000-of-99999.parquet": {"sha256": 1}}}, {"shards": {"../x": {"sha256": "1"}}},
    {"shards": {"fully_observed/train-00000-of-00001.parquet": {"sha256": ["x"], "bytes": "a"}}},
]  # fmt: skip


def test_no_manifest_is_a_traceback(tmp_path: Path) -> None:
    def check(change: Any) -> None:
        content = change if isinstance(change, bytes) else json.dumps(MANIFEST | change).encode()
        (tmp_path / "manifest.json").write_bytes(content)
        with pytest.raises(UserError):
            check_dataset(tmp_path, get_task("maze"))
        with pytest.raises(UserError):
            read_statistics(tmp_path, "fully_observed", "train")

    check_cases(MANIFESTS, check)


BOMB = "".join(
    f"{new}: &{new} [{','.join(['*' + old] * 10)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)
RECIPES = [
    f"a: &a [x,x,x,x,x,x,x,x,x,x]\n{BOMB}",
    "seed: " + "[" * 100_000, "? " * 50_000, "- " * 10_000, "{" * 30_000, "a: &a\n  <<: *a\n", "a: !!timestamp x",
    "a: !!python/object/apply:os.mkdir ['pwned']", "%YAML 9.9\n---\na: 1", "a: " + "x" * (1 << 20), "[1]", "\x00",
]  # fmt: skip


def test_no_recipe_runs_code_or_takes_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def check(text: str) -> None:
        Path("recipe.yaml").write_text(text)
        with pytest.raises(UserError, match=r"recipe.yaml is no recipe"):
            read_recipe(Path("recipe.yaml"))

    check_cases(RECIPES, check)
    assert not Path("pwned").exists()


LOGS: list[Any] = [
    [{"step": 1, "loss": 1e29}, {"step": 2, "loss": -1e29}], [{"step": True, "loss": 1}],
    [{"step": 0, "loss": 5e-324}],
    [{"step": 10**29, "loss": 1}], [{"step": 1, "episodes": -5, "loss": 1}], [{"step": 1, "loss": 10**400}],
    b'{"log_history": [{"step": 1, "loss": NaN}, {"step": 2, "loss": -1e400}]}', b"[" * 100_000, b" " * (65 << 20),
]  # fmt: skip


def test_no_log_of_a_run_is_a_traceback(tmp_path: Path) -> None:
    def check(log: Any) -> None:
        content = log if isinstance(log, bytes) else json.dumps({"log_history": log}).encode()
        (tmp_path / "trainer_state.json").write_bytes(content)
        try:
            run = read_run(tmp_path, "run")
        except UserError:
            return
        if run is not None:
            curves_figure([run])

    check_cases(LOGS, check)


def test_no_archive_of_a_log_is_believed(tmp_path: Path) -> None:
    inspect_tasks = pytest.importorskip("lmrl_eval.inspect_tasks")
    path = tmp_path / "log.eval"

    def check(members: dict[str, str], lies: bool, line: str) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        if lies:  # of the size
            path.write_bytes(path.read_bytes().replace((8 << 20).to_bytes(4, "little"), (9).to_bytes(4, "little")))
        with pytest.raises(UserError, match=line):
            inspect_tasks._read(path)

    cases = [
        ({"../../evil.json": "x", "header.json": "{}"}, False, "is no log of inspect-ai"),
        ({str(tmp_path / "evil.json"): "x"}, False, "is no log of inspect-ai"),
        ({"header.json": "[" * 500_000}, False, "is no log of inspect-ai"),
        ({"header.json": "0" * (8 << 20)}, True, "its directory is not that of its files"),
    ]
    check_cases(cases, check)
    assert not [found for found in (tmp_path, tmp_path.parent) if (found / "evil.json").exists()]
    read_results(play(tmp_path / "honest"))


def test_the_last_of_several_reading_threads_lifts_the_limit_of_memory() -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_AS)
    first, second = memory_limit(1 << 32), memory_limit(1 << 32)
    for step in (first.__enter__, second.__enter__, lambda: first.__exit__(None, None, None)):
        step()
        assert resource.getrlimit(resource.RLIMIT_AS)[0] != before[0]
    second.__exit__(None, None, None)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
