"""Files in the original release's formats become our rows, to the letter; whatever else they hold is one line."""

import dataclasses
import errno
import functools
import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from datasets import Features, load_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from lmrl_data import Episode, Turn, UserError, cli, get_task
from lmrl_data.dataset.build import build_dataset
from lmrl_data.dataset.convert import dataset, file, record
from lmrl_data.dataset.convert.dataset import convert_dataset, read_original
from lmrl_data.dataset.convert.file import SourceFile
from lmrl_data.dataset.folder import check_dataset, load_episodes, read_manifest
from lmrl_data.rollout import play_episode
from lmrl_data.rows import SCHEMA, STEP_SCHEMA

pytestmark = pytest.mark.slow

MAZE = get_task("maze")
GOAL = "The goal is at position 8, 6. Your current position is at position"
WALLS = "There are walls to your right, to your left."
START = (
    "r n b q k b n r / p p p p p p p p / 8 / 8 / 8 / 8 / P P P P P P P P / R N B Q K B N R   w   K Q k q   -   0   1"
)
BEFORE_MATE = "7k/8/5KQ1/8/8/8/8/8 w - - 0 1"


def maze_steps(*rewards, done=True):
    """A line of the fully observed maze."""
    steps = [
        {"state": f"{GOAL} {6 + i}, 6. {WALLS}\n", "action": "move down\n", "reward": reward, "done": False}
        for i, reward in enumerate(rewards)
    ]
    steps[-1]["done"] = done
    return steps


def game(*rewards, states=None, done=True):
    """A line of whole games."""
    states = states or [START] * len(rewards)
    last = len(rewards) - 1
    return [
        {"state": state, "action": "e 4\n", "reward": reward, "done": done and i == last}
        for i, (state, reward) in enumerate(zip(states, rewards, strict=True))
    ]


def text_nav_record(texts, rewards, *, done=True):
    return {"text_history": texts, "rewards": rewards, "dones": [*[False] * (len(rewards) - 1), done]}


@pytest.fixture
def write(tmp_path):
    """Writes a file: records as JSON lines, a text or bytes as they are."""

    def write(content, name="data.jsonl"):
        path = tmp_path / name
        if isinstance(content, list):
            content = "".join(f"{json.dumps(each)}\n" for each in content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def read(write):
    """The episodes of a file of records."""

    def read(task, records, config=None, **kwargs):
        return list(read_original(get_task(task), [SourceFile(write(records, **kwargs), lambda _: None)], config))

    return read


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- the formats


def test_steps_of_the_fully_observed_maze(read):
    (episode,) = read("maze", [maze_steps(-1.0, 0.0)])
    assert episode.turns == (
        Turn("user", f"{GOAL} 6, 6. {WALLS}"),
        Turn("assistant", "move down", -1.0),
        Turn("user", f"{GOAL} 7, 6. {WALLS}"),
        Turn("assistant", "move down", 0.0),
    )
    assert (episode.config, episode.terminated, episode.truncated) == ("fully_observed", True, False)
    assert (episode.seed, episode.policy) == (-1, "original")
    assert episode.info == {"success": True, "invalid": 0, "source": "data.jsonl:1"}


def test_a_text_history_of_the_partially_observed_maze(read):
    line = {
        "text_history": [f"{WALLS}\n", "go down\n", f"{WALLS}\n", "move down\n"],
        "rewards": [0, -4, 0, 0],
        "dones": [False, False, False, True],
    }
    (episode,) = read("maze", [line])
    assert episode.turns == (
        Turn("user", WALLS),
        Turn("assistant", "go down", -4.0),
        Turn("user", WALLS),
        Turn("assistant", "move down", 0.0),
    )
    assert (episode.config, episode.terminated) == ("partially_observed", True)
    assert episode.info == {"success": True, "invalid": 1, "source": "data.jsonl:1"}


def test_values_beside_observations_do_not_count(read):
    line = {"text_history": ["a\n", "move up\n"], "rewards": [None, -1], "dones": ["", True]}
    assert read("maze", [line])[0].total_reward == -1


def test_a_maze_walk_that_misses_the_goal_is_cut_short_whatever_done_says(read):
    episodes = read("maze", [maze_steps(-1, -1, done=True), maze_steps(-1, done=False)])
    assert [(each.terminated, each.truncated, each.success) for each in episodes] == [(False, True, False)] * 2


def wordle_line(*pairs, done=True):
    """A line of a game whose guesses and answers are `pairs`."""
    sequence, rewards = [["Wordle:\n", 0.0]], []
    for guess, answer in pairs:
        sequence += [[f"{guess}\n", 1.0], [f"{answer}\n", 0.0]]
        rewards += [0 if answer == "g g g g g" else -1, 0.0]
    return {"sequence": sequence, "reward": rewards, "done": done}


def test_a_sequence_of_wordle(read):
    pairs = [("p a n i c", "b b b b b"), ("d o i n g", "b g b b b"), ("m o t t o", "g g g g g")]
    line = wordle_line(*pairs)
    assert line["reward"] == [-1, 0.0, -1, 0.0, 0, 0.0]
    (episode,) = read("wordle", [line])
    assert [turn.content for turn in episode.turns] == ["Wordle:", *[text for pair in pairs for text in pair]]
    assert [turn.reward for turn in episode.turns] == [0, -1, 0, -1, 0, 0, 0]
    assert (episode.config, episode.terminated, episode.success) == ("words_400", True, True)


@pytest.mark.parametrize(
    ("answers", "done", "terminated", "invalid"),
    [
        (["b b b b b"] * 6, True, True, 0),
        (["b b b b b"] * 5 + [""], True, True, 1),
        (["", "y b b b b"], False, False, 1),
        (["y b b b b"], True, False, 0),
    ],
)
def test_a_game_of_wordle_ends_after_six_guesses(read, answers, done, terminated, invalid):
    (episode,) = read("wordle", [wordle_line(*[("p a n i c", answer) for answer in answers], done=done)])
    assert (episode.terminated, episode.success, episode.info["invalid"]) == (terminated, False, invalid)


OBJECTIVE = (
    "Your objective is to put ...\n\nYou can see a table.\n\nAdmissible commands: go east, take plate from table"
)


def test_a_text_nav_history_has_a_last_text_and_values_per_action(read):
    texts = [OBJECTIVE, "go east", "A kitchen.\n\nAdmissible commands: close fridge", "close fridge", "The End"]
    (episode,) = read("text_nav", [text_nav_record(texts, [0, 1])], "partially_observed")
    assert [turn.content for turn in episode.turns] == texts
    assert [turn.reward for turn in episode.turns] == [0, 0, 0, 1, 0]
    assert (episode.config, episode.terminated, episode.success) == ("partially_observed", True, True)


@pytest.mark.parametrize(
    ("command", "reply", "invalid", "terminated"),
    [
        ("go east", "A kitchen.", 0, False),
        ("take plate from table", "You take the plate from the table.", 0, False),
        ("dance", "That's not a verb I recognise.", 1, False),
        ("examine plate", "A plate.", 0, False),
        ("go east", "You eat the stale food.\n\n*** You lost! ***", 0, True),
    ],
)
def test_a_text_nav_episode_ends_by_its_texts(read, command, reply, invalid, terminated):
    (episode,) = read("text_nav", [text_nav_record([OBJECTIVE, command, reply], [0])], "fully_observed")
    assert (episode.info["invalid"], episode.terminated, episode.success) == (invalid, terminated, False)


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("num_episodes", [1, 3])
def test_text_nav_may_be_one_array_in_any_layout(read, indent, num_episodes):
    records = [text_nav_record([OBJECTIVE, f"go {i}", "é✓"], [0]) for i in range(num_episodes)]
    text = json.dumps(records, indent=indent, ensure_ascii=False)
    episodes = read("text_nav", f"\n {text}\n", "fully_observed", name="bc_full_info.json")
    assert [each.turns[1].content for each in episodes] == [f"go {i}" for i in range(num_episodes)]
    assert episodes[-1].info["source"] == f"bc_full_info.json[{num_episodes - 1}]"


@pytest.mark.parametrize("task", ["chess", "endgames"])
def test_a_whole_game_keeps_its_spaced_positions(read, task):
    moved = START.replace("w", "b", 1)
    (episode,) = read(task, [game(0, 1, states=[START, f"{moved}\n"])])
    assert episode.turns == (
        Turn("user", START), Turn("assistant", "e 4"), Turn("user", moved), Turn("assistant", "e 4", 1.0),
    )  # fmt: skip
    assert (episode.task, episode.terminated, episode.success) == (task, True, True)


@pytest.mark.parametrize(
    ("rewards", "done", "terminated", "success", "invalid"),
    [
        ([0, 1], True, True, True, 0),
        ([0, -1], True, True, False, 0),  # mated
        ([0, 0], True, True, False, 0),  # a draw
        ([0, 0], False, False, False, 0),
        ([-1, -1, 0, 1], True, True, True, 2),
        ([-1] * 401, True, False, False, 401),
        ([0] * 401, True, False, False, 0),
        ([0] * 400 + [1], True, True, True, 0),
    ],
)
def test_the_end_of_a_game_is_in_its_rewards(read, rewards, done, terminated, success, invalid):
    (episode,) = read("chess", [game(*rewards, done=done)])
    found = (episode.terminated, episode.truncated, episode.success, episode.info["invalid"])
    assert found == (terminated, not terminated, success, invalid)


# --- what the folder holds


def test_load_dataset_reads_episodes_and_steps(write, tmp_path, monkeypatch):
    lines = [maze_steps(-1, -1, 0), maze_steps(-1)]
    convert_dataset(MAZE, [write(lines)], output_dir=tmp_path / "original")
    monkeypatch.chdir(tmp_path)
    episodes = load_dataset("original/maze", split="train", cache_dir=tmp_path / "cache")
    assert episodes.features == Features.from_arrow_schema(SCHEMA)
    assert episodes["total_reward"] == [-2.0, -1.0]
    steps = load_dataset("original/maze", "fully_observed_steps", split="train", cache_dir=tmp_path / "cache")
    assert steps.features == Features.from_arrow_schema(STEP_SCHEMA)
    assert steps["episode"] == [0, 0, 0, 1]
    assert steps["terminated"] == [False, False, True, False]
    assert steps["truncated"] == [False, False, False, True]
    assert [len(each) for each in steps["next_prompt"]] == [1, 1, 0, 0]
    assert steps[1]["prompt"] == [{"role": "user", "content": f"{GOAL} 7, 6. {WALLS}"}]


@pytest.mark.parametrize(
    ("task", "records", "config"),
    [
        ("maze", [maze_steps(-1, 0)], None),
        ("wordle", [wordle_line(("m o t t o", "g g g g g"))], None),
        ("text_nav", [text_nav_record([OBJECTIVE, "go east", "A kitchen."], [0])], "fully_observed"),
        ("chess", [game(0, 1)], None),
        ("endgames", [game(-1, 1)], None),
    ],
)
def test_every_task_has_a_folder_that_load_dataset_reads(write, read, tmp_path, monkeypatch, task, records, config):
    folder = convert_dataset(get_task(task), [write(records)], config, output_dir=tmp_path / "original")
    check_dataset(folder, get_task(task))
    expected = read(task, records, config)
    assert load_episodes(folder, expected[0].config) == expected
    monkeypatch.chdir(tmp_path)
    rows = load_dataset(f"original/{task}", split="train", cache_dir=tmp_path / "cache")
    assert [Episode.from_row(row) for row in rows] == expected


def test_the_order_of_conversions_leaves_no_trace(write, tmp_path):
    lines = {"fo.jsonl": [maze_steps(0)], "po.jsonl": [text_nav_record([WALLS, "move up"], [-1])]}
    for out, names in (("a", ["fo.jsonl", "po.jsonl"]), ("b", ["po.jsonl", "fo.jsonl"])):
        for name in names:
            convert_dataset(MAZE, [write(lines[name], name)], output_dir=tmp_path / out)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_splits_and_configs_are_added_to_and_replaced(write, tmp_path):
    def add(records, split="train"):
        return convert_dataset(MAZE, [write(records)], split=split, output_dir=tmp_path)

    history = {"text_history": [WALLS, "move up"], "rewards": [0, -1], "dones": [False, True]}
    add([maze_steps(-1)] * 3, "test")
    add([maze_steps(0)] * 2)
    add([history])
    folder = add([maze_steps(-1, 0)] * 4)
    check_dataset(folder, MAZE)
    sizes = {("fully_observed", "train"): 4, ("fully_observed", "test"): 3, ("partially_observed", "train"): 1}
    assert {key: len(load_episodes(folder, *key)) for key in sizes} == sizes
    text = (folder / "README.md").read_text()
    assert text.count("| `data.jsonl` |") == 3
    assert "path: fully_observed_steps/test-*.parquet" in text
    assert "path: partially_observed/test" not in text
    with pytest.raises(UserError, match=r"unknown split .* 'test'; choose from: train"):
        load_episodes(folder, "partially_observed", "test")


def test_several_files_make_one_split_in_their_order(write, tmp_path):
    paths = [write([maze_steps(-1)] * 2, "b.jsonl"), write([maze_steps(0)], "a.jsonl")]
    folder = convert_dataset(MAZE, paths, output_dir=tmp_path)
    sources = [each.info["source"] for each in load_episodes(folder, "fully_observed")]
    assert sources == ["b.jsonl:1", "b.jsonl:2", "a.jsonl:1"]
    entries = read_manifest(folder)["sources"]["fully_observed"]["train"]
    assert [(entry["file"], entry["episodes"]) for entry in entries] == [("b.jsonl", 2), ("a.jsonl", 1)]
    for entry, path in zip(entries, paths, strict=True):
        data = path.read_bytes()
        assert (entry["bytes"], entry["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


def test_blank_lines_count_as_lines_and_no_more(read):
    text = f"\n{json.dumps(maze_steps(0))}\r\n  \n{json.dumps(maze_steps(-1))}"
    assert [each.info["source"] for each in read("maze", text)] == ["data.jsonl:2", "data.jsonl:4"]


def test_the_card_says_that_this_is_the_originals_data(write, tmp_path):
    folder = convert_dataset(MAZE, [write([maze_steps(0)], "a|b`<i>.jsonl")], output_dir=tmp_path)
    text = (folder / "README.md").read_text()
    assert "license: unknown" in text
    assert hashlib.sha256((tmp_path / "a|b`<i>.jsonl").read_bytes()).hexdigest() in text
    assert "a¦b'&lt;i>.jsonl" in text
    assert "<i>" not in text
    assert MAZE.original.ends in text
    assert "The Apache-2.0 licence of this toolkit\ncovers the conversion program, not these texts." in text
    assert not (folder / "eval.yaml").exists()  # no benchmark


@pytest.mark.parametrize("num_episodes", [1, 3, 5, 6, 7])
def test_shards_hold_all_episodes_whatever_their_number(write, tmp_path, monkeypatch, num_episodes):
    monkeypatch.setattr(dataset, "CHUNK_EPISODES", 2)
    task = dataclasses.replace(MAZE, shard_episodes=3)
    lines = [maze_steps(*[-1] * (i + 1)) for i in range(num_episodes)]
    folder = convert_dataset(task, [write(lines)], output_dir=tmp_path)
    assert [each.num_turns for each in load_episodes(folder, "fully_observed")] == list(range(1, num_episodes + 1))
    shards = -(-num_episodes // 3)
    assert sorted(path.name for path in (folder / "fully_observed_steps").iterdir()) == [
        f"train-{i:05d}-of-{shards:05d}.parquet" for i in range(shards)
    ]
    steps = load_dataset("parquet", data_dir=str(folder / "fully_observed_steps"), cache_dir=tmp_path / "cache")
    assert steps["train"]["episode"] == [i for i in range(num_episodes) for _ in range(i + 1)]


def test_the_same_files_give_the_same_bytes(write, tmp_path):
    path = write([maze_steps(-1, 0), maze_steps(-1)])
    first, second = (convert_dataset(MAZE, [path], output_dir=tmp_path / name) for name in "ab")
    assert contents(first) == contents(second)
    assert contents(convert_dataset(MAZE, [path], output_dir=tmp_path / "a")) == contents(second)


def test_a_file_is_not_read_further_than_its_episodes_are_needed(write):
    path = write([maze_steps(-1)] * 50_000)
    read = []
    assert next(read_original(MAZE, [SourceFile(path, read.append)])).num_turns == 1
    assert sum(read) < 1_000


# --- mistakes and interruptions


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("task", "content", "line"),
    [
        ("maze", [maze_steps(0), {"a": 1}], ":2: this is no episode in any format of the original release"),
        ("maze", [3], ":1: this is no episode in any format"),
        ("maze", "{", ":1 is not JSON (Expecting property name"),
        ("maze", "[] []", ":1 is not JSON (Extra data)"),
        ("maze", b"\xff\n", ":1 is not UTF-8"),
        ("maze", DEEP, ":1 is nested too deeply"),
        ("maze", [maze_steps(float("nan"))], ":1: the reward of step 0 is no finite number, got NaN"),
        ("maze", [maze_steps(float("inf"))], ":1: the reward of step 0 is no finite number, got Inf"),
        ("maze", json.dumps(maze_steps(0)).replace("0", "1e999"), ":1: the reward of step 0 is no finite number"),
        ("maze", json.dumps(maze_steps(0)).replace("0", "9" * 5_000), ":1 holds a number that is too long"),
        ("maze", json.dumps(maze_steps(0)).replace("0", "9" * 400), ":1: the reward of step 0 is no finite number"),
        ("maze", [maze_steps("0")], ':1: the reward of step 0 is no finite number, got "0"'),
        ("maze", [maze_steps(True)], ":1: the reward of step 0 is no finite number, got true"),
        ("maze", [maze_steps(0, done="yes")], ':1: done of step 0 is neither true nor false, got "yes"'),
        ("maze", [maze_steps(0) + maze_steps(0)], ":1: step 1 comes after a step that is done"),
        ("maze", [[]], ":1: an episode needs an observation before every action, got 0 texts"),
        ("maze", [[7]], ":1: step 0 must be an object, got 7"),
        ("maze", [[{"state": "a"}]], ":1: 'reward' is missing"),
        ("maze", [[maze_steps(0)[0] | {"state": None}]], ":1: the state of step 0 is no text, got null"),
        ("maze", [[maze_steps(0)[0] | {"action": "\ud800"}]], ":1: the action of step 0 holds half a character"),
        ("maze", [{"text_history": "ab", "rewards": [], "dones": []}], ":1: text_history must be a list, got \"ab\""),
        ("maze", [{"text_history": ["a", "b"], "rewards": [0, 0, 0], "dones": [1]}], ":1: rewards has 3 values for 2"),
        ("maze", [{"text_history": list("abcd"), "rewards": [0, 0], "dones": [1, 1]}], ":1: action 0 is done, but 2"),
        ("maze", [maze_steps(0), text_nav_record(["a", "b"], [0])], ":2: this is no episode of fully_observed"),
        ("maze", "", " holds no episodes"),
        ("wordle", [wordle_line(("a", "b")) | {"reward": [0]}], ":1: reward has 1 values for a sequence of 3: one"),
        ("wordle", [wordle_line(("a", "b")) | {"reward": [0, 1]}], ":1: text 2 of sequence is no action, but has"),
        ("wordle", [wordle_line() | {"sequence": ["ab"], "reward": []}], ":1: element 0 of sequence must be a pair"),
        ("wordle", [{"sequence": [["a", 1.0]], "reward": [], "done": 1}], ":1: an episode needs an observation"),
        ("wordle", [wordle_line() | {"sequence": [["a", 0.5]], "reward": []}], ":1: the flag of element 0 of"),
        ("wordle", [{"sequence": [["a", 0], ["b", 0], ["c", 1], ["d", 1]], "reward": [0, 0, 0], "done": 1}],
         ":1: turn 1 should be the assistant's, got role 'user'"),
        ("text_nav", "[]", " holds no episodes"),
        ("text_nav", [text_nav_record(["a", "b", "c"], [0])], ":1: this format does not tell the config of text_nav"),
        ("text_nav", "[" + json.dumps({"text_history": []}) + ",", "[0]: this format does not tell the config"),
        ("text_nav", "[", "[0] is not JSON"),
        ("text_nav", '[{"a": }]', "[0] is not JSON (Expecting value)"),
        ("text_nav", "[" + DEEP, "[0] is nested too deeply"),
        ("text_nav", b"[\xff", "[0] is not UTF-8"),
        ("chess", [{"from_state": "8/8", "action": "e4"}], ":1: these are single moves out of games"),
        ("chess", ["8/8/8/8/8/8/8/8 w - - 0 1"], ":1: this is a bare text and no episode"),
        ("chess", [game(0, states=["8/8/8/8/8/8/8/8 w - - 0 1"])], ":1: state 0 is no FEN with a space between"),
        ("endgames", [text_nav_record(["a", "b"], [0])], ":1: this is no episode of endgames, but of another format"),
    ],
)  # fmt: skip
def test_a_file_without_episodes_is_one_line_that_names_the_first_record(write, tmp_path, task, content, line):
    path = write(content)
    with pytest.raises(UserError) as error:
        convert_dataset(get_task(task), [path], output_dir=tmp_path / "out")
    assert str(error.value).startswith(f"{path}{line}")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500
    assert not any((tmp_path / "out").iterdir())


def test_a_few_records_that_are_no_episodes_are_left_out_counted_and_named(write, tmp_path, caplog):
    good = [json.dumps(maze_steps(-1, 0))] * 99
    path = write("\n".join([*good, "{", *good, json.dumps(maze_steps("0"))]))
    folder = convert_dataset(MAZE, [path], output_dir=tmp_path)
    episodes = load_episodes(folder, "fully_observed")
    assert [each.info["source"] for each in episodes[98:100]] == ["data.jsonl:99", "data.jsonl:101"]
    sentence = "data.jsonl: 2 of 200 records could not be read and were left out; the first is data.jsonl:100 is not"
    assert len(episodes) == 198
    assert [record.message.startswith(sentence) for record in caplog.records] == [True]
    assert "2 of 200 records could not be read and were left out" in (folder / "README.md").read_text()
    entry = read_manifest(folder)["sources"]["fully_observed"]["train"][0]
    assert (entry["episodes"], entry["skipped"]) == (198, 2)
    with pytest.raises(UserError, match=r"data.jsonl:99 is not JSON .*; 2 of 199 records cannot be read"):
        convert_dataset(MAZE, [write("\n".join([*good[1:], "{", *good, "{"]))], output_dir=tmp_path / "bad")
    assert not any((tmp_path / "bad").iterdir())


def test_a_file_of_which_hardly_anything_can_be_read_is_not_read_to_its_end(write):
    read = []
    with pytest.raises(UserError, match=r":2 is not JSON .*1,001 of 1,002 records"):
        list(read_original(MAZE, [SourceFile(write(json.dumps(maze_steps(0)) + "\n{" * 50_000), read.append)]))
    assert sum(read) < 10_000


def test_the_array_of_a_wrong_tail_is_one_line(write, tmp_path):
    whole = json.dumps([text_nav_record(["a", "b", "c"], [0])] * 2)
    for tail, line in ((whole[:-1], "[1] is not JSON"), (f"{whole} 1", "[1] is not JSON (Extra data)")):
        with pytest.raises(UserError) as error:
            convert_dataset(get_task("text_nav"), [write(tail)], "fully_observed", output_dir=tmp_path / "out")
        assert line in str(error.value)


@pytest.mark.parametrize("task", ["maze", "text_nav"])
def test_a_huge_record_is_refused_before_it_is_read(write, tmp_path, monkeypatch, task):
    monkeypatch.setattr(file, "LONGEST_RECORD", 5_000)
    monkeypatch.setattr(file, "CHUNK", 100)
    path = write('["' + "a" * 100_000)
    seen = []
    source = SourceFile(path, seen.append)
    with pytest.raises(UserError, match=r"is longer than 5,000 bytes|is not JSON"):
        list(source.records(lines=task == "maze"))
    assert sum(seen) < 10_000


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"config": "half"}, "unknown config of the original maze files 'half'; choose from: fully_observed"),
        ({"config": "partially_observed"}, "this is no episode of partially_observed, but of another format: A list"),
        ({"split": "eval"}, "unknown split 'eval'; choose from: train, test"),
        ({"files": []}, "name at least one file"),
        ({"files": ["/nowhere"]}, "/nowhere is no file"),
        ({"files": ["/dev/null"]}, "/dev/null is no file"),
        ({"output_dir": "/proc"}, "/proc/maze cannot be made (No such file or directory); choose another --out"),
        ({"output_dir": "/dev/null"}, "/dev/null/maze cannot be made (Not a directory); choose another --out"),
    ],
)
def test_settings_that_cannot_be_are_one_line(write, tmp_path, change, line):
    settings = {"files": [write([maze_steps(0)])], "output_dir": tmp_path / "out"} | change
    with pytest.raises(UserError) as error:
        convert_dataset(MAZE, **settings)
    assert line in str(error.value)


def test_a_task_without_known_formats_is_refused(write):
    with pytest.raises(UserError, match="the original release has no files of sudoku"):
        convert_dataset(dataclasses.replace(MAZE, id="sudoku", original=None), [write([])])


def test_a_build_and_converted_files_do_not_share_a_folder(write, tmp_path):
    path = write([maze_steps(0)])
    build_dataset(MAZE, "partially_observed", num_episodes=2, output_dir=tmp_path / "built")
    before = contents(tmp_path / "built")
    with pytest.raises(UserError, match="holds a dataset that `lmrl-data build` made; choose another --out"):
        convert_dataset(MAZE, [path], output_dir=tmp_path / "built")
    assert contents(tmp_path / "built") == before
    convert_dataset(MAZE, [path], output_dir=tmp_path / "converted")
    before = contents(tmp_path / "converted")
    with pytest.raises(UserError, match="holds converted files of the original release; choose another --out"):
        build_dataset(MAZE, num_episodes=2, output_dir=tmp_path / "converted")
    assert contents(tmp_path / "converted") == before


def test_a_foreign_folder_is_left_alone(write, tmp_path):
    (tmp_path / "out" / "maze").mkdir(parents=True)
    (tmp_path / "out" / "maze" / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="is not empty and holds no converted files; choose another --out"):
        convert_dataset(MAZE, [write([maze_steps(0)])], output_dir=tmp_path / "out")
    assert contents(tmp_path / "out") == {"maze/thesis.tex": b"mine"}


def test_a_bad_file_leaves_an_earlier_conversion_as_it_was(write, tmp_path):
    folder = convert_dataset(MAZE, [write([maze_steps(0)])], output_dir=tmp_path)
    before = contents(folder)
    with pytest.raises(UserError, match=":2"):
        convert_dataset(MAZE, [write([maze_steps(-1), 1])], output_dir=tmp_path)
    assert contents(folder) == before


def test_what_a_killed_conversion_left_does_not_matter(write, tmp_path):
    path = write([maze_steps(0)])
    expected = contents(convert_dataset(MAZE, [path], output_dir=tmp_path / "clean"))
    (tmp_path / "out" / ".maze.converting").mkdir(parents=True)
    (tmp_path / "out" / ".maze.converting" / "fully_observed-7.parquet").write_bytes(b"half")
    assert contents(convert_dataset(MAZE, [path], output_dir=tmp_path / "out")) == expected
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["maze"]


def test_a_conversion_that_was_stopped_while_moving_files_can_be_run_again(write, tmp_path, monkeypatch):
    path = write([maze_steps(0)])
    expected = contents(convert_dataset(MAZE, [path], output_dir=tmp_path / "clean"))
    folder = convert_dataset(MAZE, [write([maze_steps(-1)] * 5, "old.jsonl")], output_dir=tmp_path / "out")

    replace = os.replace

    def stop(source, target):
        if Path(target).parent.parent == folder:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            convert_dataset(MAZE, [path], output_dir=tmp_path / "out")
    with pytest.raises(UserError, match=r"`lmrl-data convert maze FILES --out .*` goes on with it"):
        check_dataset(folder, MAZE, "fully_observed")
    convert_dataset(MAZE, [path], output_dir=tmp_path / "out")
    assert contents(folder) == expected


def test_a_full_disk_is_one_line_and_leaves_nothing(write, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(dataset, "write_shard", full)
    with pytest.raises(UserError, match=r"no space left for .*; free some space and run the same command again"):
        convert_dataset(MAZE, [write([maze_steps(0)])], output_dir=tmp_path / "out")
    assert not any((tmp_path / "out").iterdir())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["state", "action", "reward", "done", "text_history", "rewards", "dones", "sequence"]), inner
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
@settings(max_examples=150)
def test_any_json_is_an_episode_or_a_value_error(value):
    try:
        play = record.READERS[record.format_of(value)](value)
    except ValueError as error:
        message = str(error)
    else:
        message = "".join(turn.role for turn in play.turns)
    assert "\n" not in message


@given(
    st.lists(JSON.filter(lambda value: json.dumps(value).find("NaN") < 0), max_size=5),
    st.integers(1, 9),
    st.booleans(),
)
@settings(max_examples=40)
def test_an_array_is_read_as_json_reads_it_wherever_its_chunks_end(tmp_path_factory, values, chunk, indented):
    path = tmp_path_factory.mktemp("array") / "a.json"
    values = json.loads(json.dumps(values).replace("Infinity", "1"))
    try:
        text = json.dumps([{"x": value} for value in values], indent=indented or None, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    path.write_bytes(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file, "CHUNK", chunk)
        found = list(SourceFile(path, lambda _: None).records(lines=False))
    assert found == [(f"[{i}]", {"x": value}) for i, value in enumerate(values)]


# --- there and back: our own episodes, written as the original wrote them


def as_steps(episode):
    texts = [turn.content for turn in episode.turns if turn.role == "user"]
    actions = [turn for turn in episode.turns if turn.role == "assistant"]
    return [
        {"state": text, "action": f"{action.content}\n", "reward": action.reward, "done": i == len(actions) - 1}
        for i, (text, action) in enumerate(zip(texts, actions, strict=False))
    ]


def as_maze_steps(episode):
    return [step | {"state": step["state"] + "\n"} for step in as_steps(episode)]


def as_maze_history(episode):
    turns = episode.turns[: 2 * episode.num_turns]
    return {
        "text_history": [f"{turn.content}\n" for turn in turns],
        "rewards": [turn.reward for turn in turns],
        "dones": [i == len(turns) - 1 for i in range(len(turns))],
    }


def as_sequence(episode):
    sequence = [[f"{turn.content}\n", float(turn.role == "assistant")] for turn in episode.turns]
    return {"sequence": sequence, "reward": [turn.reward for turn in episode.turns[1:]], "done": True}


def as_text_nav(episode):
    rewards = [turn.reward for turn in episode.turns if turn.role == "assistant"]
    return text_nav_record([turn.content for turn in episode.turns], rewards)


@functools.cache
def simulator(task, config):
    return get_task(task).simulator(config=config)


def play(task, config, seed, choose, noise, **kwargs):
    """An episode of random actions, some of which mean nothing."""
    random = np.random.default_rng(seed)

    def act(observation):
        if random.random() < noise:
            return str(random.choice(["", "go  down", "\N{SNOWMAN} {{ x }}", "MOVE UP"]))
        return choose(simulator(task, config), observation, random)

    return play_episode(task, simulator(task, config), seed, "original", act, **kwargs)


def maze_action(simulator, observation, random):
    return simulator.grid.best_action(simulator.cell) if random.random() < 0.6 else "move up"


def wordle_action(simulator, observation, random):
    words = simulator.game.words
    return " ".join(simulator.target if random.random() < 0.2 else words[random.integers(len(words))])


def text_nav_action(simulator, observation, random):
    return str(random.choice(observation.rpartition("Admissible commands: ")[2].split(", ")))


def chess_action(simulator, observation, random):
    moves = list(simulator.board.legal_moves)
    mate = next((move for move in moves if simulator.board.san(move).endswith("#")), None)
    return " ".join(simulator.board.san(mate or moves[random.integers(len(moves))]))


def same(original, converted, *, last_text):
    """Whether all that the format keeps came back."""
    turns = original.turns if last_text else original.turns[: 2 * original.num_turns]
    kept = {key: original.info[key] for key in ("success", "invalid")}
    expected = dataclasses.replace(original, turns=turns, seed=-1, info=kept | {"source": converted.info["source"]})
    return expected == converted


def there_and_back(tmp_path_factory, episode, write, config=None):
    path = tmp_path_factory.mktemp("trip") / "data.jsonl"
    path.write_text(json.dumps(write(episode)) + "\n", encoding="utf-8")
    (converted,) = read_original(get_task(episode.task), [SourceFile(path, lambda _: None)], config)
    return converted


SEEDS = st.integers(0, 10_000)
NOISE = st.sampled_from([0.0, 0.3, 1.0])


@given(SEEDS, NOISE, st.sampled_from([("fully_observed", as_maze_steps), ("partially_observed", as_maze_history)]))
@settings(max_examples=25)
def test_maze_there_and_back(tmp_path_factory, seed, noise, form):
    episode = play("maze", form[0], seed, maze_action, noise)
    assert same(episode, there_and_back(tmp_path_factory, episode, form[1]), last_text=False)


@given(SEEDS, NOISE)
@settings(max_examples=25)
def test_wordle_there_and_back(tmp_path_factory, seed, noise):
    episode = play("wordle", "words_400", seed, wordle_action, noise)
    assert same(episode, there_and_back(tmp_path_factory, episode, as_sequence), last_text=True)


@given(SEEDS, NOISE, st.sampled_from(["fully_observed", "partially_observed"]))
@settings(max_examples=25)
def test_text_nav_there_and_back(tmp_path_factory, seed, noise, config):
    episode = play("text_nav", config, seed, text_nav_action, noise)
    assert same(episode, there_and_back(tmp_path_factory, episode, as_text_nav, config), last_text=True)


def test_a_text_nav_win_comes_back(tmp_path_factory):
    task = get_task("text_nav")
    simulator = task.simulator(config="fully_observed")
    episode = next(e for e in (task.generate(simulator, seed) for seed in range(100)) if e.success)
    converted = there_and_back(tmp_path_factory, episode, as_text_nav, "fully_observed")
    assert same(dataclasses.replace(episode, policy="original"), converted, last_text=True)


@given(SEEDS, NOISE, st.sampled_from([None, BEFORE_MATE]))
@settings(max_examples=12)
def test_chess_there_and_back(tmp_path_factory, seed, noise, position):
    pytest.importorskip("chess")
    options = {"opponent": "random"} | ({"position": position} if position else {})
    episode = play("chess", "standard", seed, chess_action, noise, options=options, max_turns=40)
    if episode.truncated:  # the limit is the test's, which the files would not call done
        return
    assert same(episode, there_and_back(tmp_path_factory, episode, as_steps), last_text=False)


def test_a_game_of_illegal_moves_comes_back(tmp_path_factory):
    pytest.importorskip("chess")
    episode = play("chess", "standard", 0, chess_action, 1.0, options={"opponent": "random"})
    assert (episode.total_reward, episode.truncated) == (-401, True)
    assert same(episode, there_and_back(tmp_path_factory, episode, as_steps), last_text=False)


# --- the command


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Runs the command in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main([str(argument) for argument in arguments])
        return end.value.code, *capsys.readouterr()

    return run


def test_the_command_converts_and_the_others_read_it(run, write):
    write([maze_steps(-1, 0)])
    assert run("convert", "maze", "data.jsonl", "--out", "original") == (0, "original/maze is ready\n", "")
    code, out, _ = run("show", "maze", "--data", "original")
    assert code == 0
    assert out.startswith(
        "maze fully_observed, seed -1, played by original: 2 turns, return -1, terminated, success\n"
    )
    code, out, _ = run("stats", "maze", "--data", "original")
    assert code == 0
    assert "fully_observed  all       1         2.0 ± 0.0    1.000    -1.0 ± 0.0" in out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["maze", "data.jsonl", "--out", "out"],
            "error: data.jsonl:1 is not JSON (Expecting value); 1 of 1 records cannot be read",
        ),
        (["mazes", "data.jsonl", "--out", "out"], "error: unknown task 'mazes'; choose from: maze"),
        (["maze", "missing.jsonl", "--out", "out"], "error: missing.jsonl is no file\n"),
        (["maze", "--out", "out"], "FILES"),
        (["maze", "data.jsonl"], "--out"),
    ],
)
def test_a_mistake_of_the_command_is_one_line(run, write, arguments, line):
    write("nonsense")
    code, out, errors = run("convert", *arguments)
    assert (code, out, errors.count("\n")) == (2, "", 1)
    assert line in errors


def test_the_recursion_limit_is_left_as_it_was(write, tmp_path):
    before = sys.getrecursionlimit()
    with pytest.raises(UserError, match="nested too deeply"):
        convert_dataset(MAZE, [write(DEEP)], output_dir=tmp_path)
    assert sys.getrecursionlimit() == before
