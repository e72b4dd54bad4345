"""The dataset builder: the same bytes whatever happens, and one line for whatever is wrong."""

import dataclasses
import errno
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cases import release
from datasets import Features, load_dataset
from datasets.exceptions import DatasetNotFoundError

from lmrl_data import Episode, UserError, get_task
from lmrl_data.atomic import lock
from lmrl_data.dataset import build as builder
from lmrl_data.dataset.build import build_dataset
from lmrl_data.dataset.contents import published_files
from lmrl_data.dataset.folder import check_dataset, load_episodes, read_statistics
from lmrl_data.dataset.statistics import Statistics
from lmrl_data.rows import SCHEMA, STEP_SCHEMA

pytestmark = pytest.mark.slow

MAZE = dataclasses.replace(get_task("maze"), shard_episodes=25)
EPISODES = 60
# The command with shards small enough for a test; the arguments follow.
COMMAND = """
import dataclasses, os, signal, sys, time
from multiprocessing.context import SpawnProcess
from lmrl_data.dataset import build, plan
from lmrl_data.tasks import maze
maze.TASK = dataclasses.replace(maze.TASK, shard_episodes=25)
plan.CHUNKS = 3
{patch}
from lmrl_data.cli import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A build that nothing disturbed."""
    return build_dataset(MAZE, num_episodes=EPISODES, output_dir=tmp_path_factory.mktemp("clean") / "lmrl")


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rebuild(folder, **kwargs):
    return build_dataset(MAZE, num_episodes=EPISODES, output_dir=folder.parent, **kwargs)


def copy(folder, target):
    for name, data in contents(folder).items():
        (target / folder.name / name).parent.mkdir(parents=True, exist_ok=True)
        (target / folder.name / name).write_bytes(data)
    return target / folder.name


def command(*arguments, patch="", **kwargs):
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND.format(patch=patch), "build", "maze", *arguments],
        env=os.environ | {"HF_HUB_OFFLINE": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs,
    )  # fmt: skip


def children(process):
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()


def stat(pid):
    """The state of a process, S for one that waits, and the time it has run."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], int(fields[11]) + int(fields[12])


# --- what a build holds


def test_a_split_holds_the_episodes_of_its_seeds_in_order(built):
    for config in MAZE.configs:
        simulator = MAZE.simulator(config=config)
        for split, first, size in (("train", 0, EPISODES), ("test", 1_000_000, EPISODES // 10)):
            expected = [MAZE.generate(simulator, seed) for seed in range(first, first + size)]
            assert load_episodes(built, config, split) == expected


def test_shards_follow_from_the_number_of_episodes(built):
    assert sorted(path.name for path in (built / "partially_observed").iterdir()) == [
        "test-00000-of-00001.parquet",
        "train-00000-of-00003.parquet",
        "train-00001-of-00003.parquet",
        "train-00002-of-00003.parquet",
    ]


def test_load_dataset_reads_every_config_from_the_folder_above(built, monkeypatch, tmp_path):
    monkeypatch.chdir(built.parent.parent)
    episodes = load_dataset("lmrl/maze", "partially_observed", cache_dir=tmp_path)
    assert {split: len(rows) for split, rows in episodes.items()} == {"train": EPISODES, "test": EPISODES // 10}
    assert Episode.from_row(episodes["train"][7]) == MAZE.generate(MAZE.simulator(config="partially_observed"), 7)
    default = load_dataset("lmrl/maze", split="test", cache_dir=tmp_path)
    assert set(default["config"]) == {"fully_observed"}
    assert default.features == Features.from_arrow_schema(SCHEMA)


def test_load_dataset_does_not_read_an_older_build_from_its_cache(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for size in (4, 6):
        build_dataset(get_task("maze"), num_episodes=size, output_dir=Path("lmrl"), overwrite=True)
        assert len(load_dataset("lmrl/maze", "partially_observed", split="train")) == size


def test_load_dataset_streams(built, monkeypatch, tmp_path):
    monkeypatch.chdir(built.parent.parent)
    rows = load_dataset("lmrl/maze", "fully_observed", split="train", streaming=True, cache_dir=tmp_path)
    assert [Episode.from_row(row).seed for row in rows] == list(range(EPISODES))


def test_steps_show_what_the_policy_sees_before_and_after_an_action(built, monkeypatch, tmp_path):
    monkeypatch.chdir(built.parent.parent)
    steps = load_dataset("lmrl/maze", "fully_observed_steps", split="train", cache_dir=tmp_path)
    assert steps.features == Features.from_arrow_schema(STEP_SCHEMA)
    rows = iter(steps)
    for index, episode in enumerate(load_episodes(built, "fully_observed")):
        for turn in range(episode.num_turns):
            before, action, after = episode.turns[2 * turn : 2 * turn + 3]
            last = turn == episode.num_turns - 1
            assert next(rows) == {
                "prompt": [{"role": "user", "content": before.content}],
                "completion": [{"role": "assistant", "content": action.content}],
                "reward": action.reward,
                "terminated": last and episode.terminated,
                "truncated": last and episode.truncated,
                "episode": index,
                "turn": turn,
                "next_prompt": [{"role": "user", "content": after.content}],
            }
    assert next(rows, None) is None


# --- the same bytes


def test_two_processes_write_the_same_bytes_as_one(built, tmp_path):
    assert contents(rebuild(tmp_path / "maze", num_proc=2)) == contents(built)


KILLS = {
    "before the file is in place": "before = os.replace\n"
    "def replace(a, b):\n"
    "    if 'train-00001' in str(b): os.kill(os.getpid(), signal.SIGKILL)\n"
    "    before(a, b)\n"
    "os.replace = replace",
    "before the manifest knows it": "before = os.replace\n"
    "def replace(a, b):\n"
    "    before(a, b)\n"
    "    if 'train-00001' in str(b): os.kill(os.getpid(), signal.SIGKILL)\n"
    "os.replace = replace",
    "before the card": "build.folder_files = lambda *a: os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.parametrize("moment", ["before the card", *map(release, list(KILLS)[:2])])
def test_a_killed_build_goes_on_and_ends_with_the_same_bytes(built, tmp_path, moment):
    patch = KILLS[moment]
    process = command("--episodes", str(EPISODES), "--out", str(tmp_path), patch=patch)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "maze" / "README.md").exists()
    if "folder_files" not in patch:
        with pytest.raises(
            UserError, match="not finished; `lmrl-data build maze --config fully_observed --episodes 60"
        ):
            check_dataset(tmp_path / "maze", MAZE)
    assert contents(rebuild(tmp_path / "maze")) == contents(built)


def test_workers_die_with_a_build_that_is_killed_from_outside(built, tmp_path):
    process = command("--episodes", "100000", "--num-proc", "2", "--out", str(tmp_path))
    manifest = tmp_path / "maze" / "manifest.json"
    while not (manifest.is_file() and json.loads(manifest.read_text())["shards"]):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    born = children(process)
    assert len(born) >= 2
    process.kill()
    process.communicate()
    limit = time.monotonic() + 20
    while any(Path("/proc", child).exists() for child in born) and time.monotonic() < limit:
        time.sleep(0.05)
    assert not [child for child in born if Path("/proc", child).exists()]
    assert contents(rebuild(tmp_path / "maze", overwrite=True)) == contents(built)


def after_progress(errors):
    return [line for line in errors.splitlines() if not re.match(r"maze: [\d,]+ of [\d,]+ episodes \(", line)]


@pytest.mark.parametrize("processes", ["1", "2"])
def test_ctrl_c_ends_a_build_with_one_line_and_a_rerun_goes_on(tmp_path, processes):
    process = command("--episodes", "100000", "--num-proc", processes, "--out", str(tmp_path), start_new_session=True)
    manifest = tmp_path / "maze" / "manifest.json"
    while not (manifest.is_file() and json.loads(manifest.read_text())["shards"]):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert after_progress(errors) == ["interrupted; run the same command again to go on"]
    assert not list(tmp_path.rglob(".*.tmp"))


def test_workers_that_are_killed_end_the_build_with_one_line(built, tmp_path):
    process = command("--episodes", "100000", "--num-proc", "2", "--out", str(tmp_path))
    manifest = tmp_path / "maze" / "manifest.json"
    while not (manifest.is_file() and json.loads(manifest.read_text())["shards"]):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    # A command that does not read: its workers play what is in the queue, and wait.
    process.send_signal(signal.SIGSTOP)
    workers = [child for child in children(process) if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]
    assert len(workers) == 2
    before = None
    while before != (now := [stat(worker) for worker in workers]) or {state for state, _ in now} != {"S"}:
        before = now
        time.sleep(0.5)
    for worker in workers:
        os.kill(int(worker), signal.SIGKILL)
    process.send_signal(signal.SIGCONT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert after_progress(errors) == [
        "error: a building process died, perhaps for want of memory; "
        "the same command with a smaller --num-proc continues"
    ]
    assert not list(tmp_path.rglob(".*.tmp"))
    assert contents(rebuild(tmp_path / "maze", overwrite=True)) == contents(built)


def test_ctrl_c_while_the_workers_start_is_one_line(tmp_path):
    patch = (
        "start = SpawnProcess.start\n"
        "def press(worker):\n"
        "    start(worker)\n"
        "    for _ in range(20):\n"
        "        time.sleep(0.02)\n"
        "        os.killpg(0, signal.SIGINT)\n"
        "SpawnProcess.start = press"
    )
    process = command("--num-proc", "2", "--out", str(tmp_path), patch=patch, start_new_session=True)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "interrupted; run the same command again to go on\n")


def test_what_goes_wrong_in_a_worker_is_what_the_build_raises(tmp_path, monkeypatch):
    monkeypatch.setattr(builder, "task_page", lambda task: None)
    with pytest.raises(UserError, match="unknown task 'nowhere'") as raised:  # here it is not looked up
        build_dataset(dataclasses.replace(MAZE, id="nowhere"), num_episodes=60, num_proc=2, output_dir=tmp_path)
    assert "in _play_to_files" in str(raised.value.__cause__)


# --- going on


@pytest.mark.parametrize(
    "damage",
    [lambda p: p.write_bytes(p.read_bytes()[:-20]), lambda p: p.write_bytes(b"\0" * 99), lambda p: p.unlink()],
    ids=["truncated", "overwritten", "gone"],
)
def test_only_a_damaged_shard_is_built_again(built, tmp_path, damage, caplog):
    folder = copy(built, tmp_path)
    shard = folder / "fully_observed" / "train-00001-of-00003.parquet"
    damage(shard)
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet") if path != shard}
    rebuild(folder)
    assert contents(folder) == contents(built)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert [record.getMessage() for record in caplog.records] == [f"{shard} is missing or damaged: building it again"]


def test_a_shard_that_the_manifest_does_not_list_is_built_again(built, tmp_path):
    folder = copy(built, tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    name = "partially_observed/train-00000-of-00003.parquet"
    del manifest["shards"][name]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / name).write_bytes(b"half")
    assert contents(rebuild(folder)) == contents(built)


def test_left_over_temporary_files_are_removed(built, tmp_path):
    folder = copy(built, tmp_path)
    (folder / "fully_observed" / ".train-00000-of-00003.parquet.tmp").write_bytes(b"half")
    (folder / ".manifest.json.tmp").write_bytes(b"half")
    assert contents(rebuild(folder)) == contents(built)


def test_another_size_leaves_no_shard_of_the_old_one(built, tmp_path):
    build_dataset(MAZE, num_episodes=80, output_dir=tmp_path)
    assert contents(rebuild(tmp_path / "maze", overwrite=True)) == contents(built)


def test_another_version_of_the_task_is_built_again(built, tmp_path):
    folder = copy(built, tmp_path)
    newer = dataclasses.replace(MAZE, version="9.0.0")
    with pytest.raises(UserError) as refused:
        build_dataset(newer, num_episodes=EPISODES, output_dir=tmp_path)
    assert '"1.0.0"' in str(refused.value)
    assert '"9.0.0"' in str(refused.value)
    assert contents(folder) == contents(built)
    build_dataset(newer, num_episodes=EPISODES, output_dir=tmp_path, overwrite=True)
    assert "version 9.0.0" in (folder / "README.md").read_text()
    assert contents(rebuild(folder, overwrite=True)) == contents(built)


def test_a_build_with_other_settings_leaves_the_old_one_until_it_is_whole(built, tmp_path, monkeypatch):
    folder = copy(built, tmp_path)
    (folder / "notes.txt").write_text("mine")
    before = contents(folder)
    refused = [
        {"num_episodes": 10},
        {"num_episodes": 10, "config": "partially_observed"},
        {"num_episodes": EPISODES, "options": {"layout": "umaze"}},
        {"num_episodes": EPISODES, "options": {"layout": "umaze"}, "overwrite": True},  # no maze of the data is one
    ]
    for settings in refused:
        with pytest.raises(UserError):
            build_dataset(MAZE, output_dir=tmp_path, **settings)
        assert contents(folder) == before
        assert [path.name for path in tmp_path.iterdir()] == ["maze"]
    with monkeypatch.context() as patch:
        patch.setattr(builder, "folder_files", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            build_dataset(MAZE, "partially_observed", 10, output_dir=tmp_path, overwrite=True)
    assert contents(folder) == before
    build_dataset(MAZE, "partially_observed", 10, output_dir=tmp_path, overwrite=True)
    assert len(load_episodes(folder, "partially_observed")) == 10
    assert len(load_episodes(folder, "fully_observed")) == EPISODES
    assert (folder / "notes.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["maze"]
    # A build that was killed between the two moves.
    folder.rename(tmp_path / ".maze.old")
    build_dataset(MAZE, "partially_observed", 10, output_dir=tmp_path)
    assert len(load_episodes(folder, "fully_observed")) == EPISODES


def test_a_build_that_is_refused_leaves_nothing(tmp_path):
    with pytest.raises(UserError):
        build_dataset(MAZE, num_episodes=EPISODES, options={"layout": "umaze"}, output_dir=tmp_path)
    assert not any(tmp_path.iterdir())


def test_configs_can_be_built_one_after_the_other(built, tmp_path):
    folder = rebuild(tmp_path / "maze", config="partially_observed")
    card = (folder / "README.md").read_text()
    assert "fully_observed_steps" not in card
    assert contents(rebuild(folder, config="fully_observed")) == contents(built)


def test_the_manifest_knows_what_a_card_says(built, monkeypatch):
    from lmrl_data.dataset import contents as files
    from lmrl_data.dataset import folder as store

    expected = (built / "README.md").read_text()
    for name in ("sha256", "read_episodes"):
        monkeypatch.setattr(store, name, None)
    monkeypatch.setattr(files, "read_episodes", None)
    monkeypatch.setattr("pyarrow.parquet.ParquetFile", None)
    assert files.folder_files(MAZE, built, store.dataset_manifest(built))["README.md"] == expected


def test_statistics_of_the_manifest_are_those_of_the_episodes(built):
    for config in MAZE.configs:
        ours, theirs = (
            sorted(zip(*(column.tolist() for column in statistics), strict=True))
            for statistics in (read_statistics(built, config, "train"), Statistics.of(load_episodes(built, config)))
        )
        assert ours == theirs


def test_a_folder_of_release_1_0_is_read_as_before(built, tmp_path):
    folder = copy(built, tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["shards"] = {
        name: {"rows": entry["rows"], "sha256": entry["sha256"]} for name, entry in manifest["shards"].items()
    }
    del manifest["format"], manifest["facts"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    check_dataset(folder, MAZE)
    assert load_episodes(folder, "fully_observed") == load_episodes(built, "fully_observed")
    ours, theirs = (published_files(MAZE, each, "me/maze", "v1.0.0") for each in (built, folder))
    assert ours == theirs


def test_one_config_of_an_older_build_is_not_built_at_the_cost_of_the_others(built, tmp_path):
    folder = copy(built, tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"task_version": "0.9.0"}))
    before = contents(folder)
    with pytest.raises(UserError, match="again would remove partially_observed; build all configs"):
        build_dataset(MAZE, "fully_observed", num_episodes=40, output_dir=folder.parent, overwrite=True)
    assert contents(folder) == before


# --- what goes wrong


def test_a_full_disk_says_how_far_the_build_came_and_a_rerun_goes_on(built, tmp_path, monkeypatch):
    write_bytes, calls = Path.write_bytes, []

    def fill_up(path, data):
        calls.append(path)
        if len(calls) > 4:
            write_bytes(path, b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_bytes(path, data)

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(UserError, match=r"2 of 8 shards are done.*run the same command"):
        rebuild(tmp_path / "maze")
    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    assert not list(tmp_path.rglob(".*.tmp"))
    assert contents(rebuild(tmp_path / "maze")) == contents(built)


def test_a_limit_on_file_sizes_is_a_full_disk(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, hard))
    try:
        with pytest.raises(UserError, match=r"no space left for .*; 0 of 8 shards"):
            rebuild(tmp_path / "maze")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.rglob(".*.tmp"))


def test_a_second_build_of_the_same_folder_is_refused(built):
    with lock(built), pytest.raises(UserError, match="another build is writing"):
        rebuild(built)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "maze").mkdir()
    (tmp_path / "maze" / "README.md").write_text("mine")
    with pytest.raises(UserError, match="holds no dataset of this tool; choose another --out"):
        rebuild(tmp_path / "maze")
    assert contents(tmp_path / "maze") == {"README.md": b"mine"}


def test_a_folder_whose_name_load_dataset_would_take_for_a_pattern_is_refused(built, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("data[1]", "data*", "da?ta", "my::data"):
        with pytest.raises(UserError, match=r"load_dataset takes the .* in .* for a pattern of file names"):
            build_dataset(MAZE, num_episodes=2, output_dir=name)
        assert not any(tmp_path.iterdir())
        shutil.copytree(built, tmp_path / name / "maze")
        assert len(load_episodes(tmp_path / name / "maze", "fully_observed")) == EPISODES  # needs no load_dataset
        (tmp_path / name / "maze" / "manifest.json").unlink()
        with pytest.raises(UserError, match="choose a folder without it"):
            load_episodes(tmp_path / name / "maze", "fully_observed")
        shutil.rmtree(tmp_path / name)
    for name in ("data[1", "data {1}", "dätä ~"):
        folder = build_dataset(MAZE, num_episodes=2, output_dir=name)
        assert len(load_dataset(str(folder), "fully_observed", split="train", cache_dir=tmp_path / "cache")) == 2
        shutil.rmtree(tmp_path / name)


def test_a_file_where_the_folder_should_be_is_one_line(tmp_path):
    (tmp_path / "maze").write_text("mine")
    with pytest.raises(UserError, match=r"cannot be made.*choose another --out"):
        rebuild(tmp_path / "maze")


@pytest.mark.parametrize("size", [0, -1, 1_000_001])
def test_train_seeds_never_reach_the_test_seeds(tmp_path, size):
    with pytest.raises(UserError, match="1 to 1,000,000 episodes"):
        build_dataset(MAZE, num_episodes=size, output_dir=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_dataset_of_another_task_is_named_with_both_tasks(built, tmp_path):
    other = dataclasses.replace(MAZE, id="wordle")
    with pytest.raises(UserError, match="is a dataset of maze, not of wordle"):
        check_dataset(built, other)
    folder = copy(built, tmp_path).rename(tmp_path / "wordle")
    with pytest.raises(UserError, match="holds the dataset of maze, not of wordle"):
        build_dataset(other, output_dir=folder.parent)
    (folder / "manifest.json").unlink()
    with pytest.raises(UserError, match="is a dataset of maze, not of wordle"):
        check_dataset(folder, other)
    check_dataset(folder, MAZE)


@pytest.mark.parametrize("config", ["fully_observed", "fully_observed_steps"])
def test_a_damaged_shard_is_named_with_the_command_that_mends_it(built, tmp_path, config):
    folder = copy(built, tmp_path)
    check_dataset(folder, MAZE, "fully_observed")
    shard = folder / config / "train-00001-of-00003.parquet"
    shard.write_bytes(shard.read_bytes()[:-1])
    line = f"{shard} is damaged; `lmrl-data build maze --config fully_observed --episodes 60 --out {tmp_path}` makes"
    with pytest.raises(UserError, match=line):
        check_dataset(folder, MAZE, "fully_observed")
    check_dataset(folder, MAZE, "partially_observed")
    if config == "fully_observed":
        with pytest.raises(UserError, match=line):
            load_episodes(folder, config)


def test_what_a_folder_does_not_hold_is_listed(built, tmp_path):
    with pytest.raises(UserError, match="choose from: fully_observed, partially_observed"):
        load_episodes(built, "half_observed")
    with pytest.raises(UserError, match="choose from: test, train"):
        load_episodes(built, "fully_observed", "validation")
    with pytest.raises(UserError, match="give fully_observed"):
        load_episodes(built, "fully_observed_steps")
    half = rebuild(tmp_path / "maze", config="partially_observed")
    with pytest.raises(UserError, match="choose from: partially_observed"):
        check_dataset(half, MAZE, "fully_observed")


def test_a_dataset_that_is_nowhere_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def refuse(*args, **kwargs):
        raise DatasetNotFoundError("Dataset 'lmrl/maze' doesn't exist\nsecond line")

    with pytest.raises(UserError, match="lmrl-data build maze"):
        load_episodes(tmp_path / "maze", "fully_observed")
    monkeypatch.setattr("datasets.load_dataset", refuse)
    with pytest.raises(UserError, match=r"^cannot load .*doesn't exist; make it with: lmrl-data build maze$"):
        load_episodes("lmrl/maze", "fully_observed")


def test_rows_that_are_no_episodes_are_one_line(tmp_path):
    (tmp_path / "train.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="does not hold episodes: this is no episode row"):
        load_episodes(tmp_path, "default")
    with pytest.raises(UserError, match="of no known task, not of maze"):
        check_dataset(tmp_path, MAZE, "default")


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"task": "maze"}', '{"task": 1, "task_version": 1, "libraries": 1, "configs": [], "shards": []}',
     '{"task": 1, "task_version": 1, "libraries": 1, "configs": {}, "shards": {"../../x": {"sha256": "1"}}}'],
)  # fmt: skip
def test_a_damaged_manifest_is_one_line(built, tmp_path, text):
    folder = copy(built, tmp_path)
    (folder / "manifest.json").write_text(text)
    with pytest.raises(UserError, match="is damaged; remove"):
        check_dataset(folder, MAZE)
    with pytest.raises(UserError, match="is damaged; remove"):
        rebuild(folder)
