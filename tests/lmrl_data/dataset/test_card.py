"""The cards: numbers come from the data, and no text from the data can do anything."""

import dataclasses
import re

import matplotlib
import pytest
import yaml
from datasets import load_dataset, load_dataset_builder
from huggingface_hub import DatasetCard

from lmrl_data import TASKS, Episode, Turn, UserError, get_task
from lmrl_data.dataset import card as cards
from lmrl_data.dataset.build import build_dataset
from lmrl_data.dataset.card import ConfigData
from lmrl_data.dataset.contents import notices, published_files
from lmrl_data.dataset.page import task_page
from lmrl_data.dataset.statistics import Statistics, Summary
from lmrl_data.tasks.maze.grid import ACTIONS, describe_walls
from lmrl_data.tasks.maze.grid import grid as make_grid

MAZE = get_task("maze")
LIBRARIES = {"datasets": "1.2.3"}
CHECKSUMS = dict.fromkeys(("fully_observed", "fully_observed_steps", "partially_observed"), "0123")


def episode(length, total, success, policy="left_t", text="There is a wall above you."):
    turns = [Turn("user", text)]
    for index in range(length):
        turns += [Turn("assistant", "move up", total if index == length - 1 else 0), Turn("user", text)]
    info = {"success": success, "invalid": 0}
    return Episode("maze", "partially_observed", tuple(turns), success, not success, 5, policy, info)


def render(episodes, task=MAZE):
    statistics = {"train": Statistics.of(episodes), "test": Statistics.of(episodes[:1])}
    facts = task.data_facts("partially_observed", episodes)
    data = {"partially_observed": ConfigData(statistics, episodes[0], facts)}
    return cards.render_dataset_card(task, data, LIBRARIES, CHECKSUMS)


def test_statistics_are_computed_from_the_episodes():
    statistics = Statistics.of([episode(2, -2, False), episode(4, -3, True, "stem"), episode(6, -4, True)])
    assert statistics.summary() == Summary(
        3, (4.0, pytest.approx((8 / 3) ** 0.5)), pytest.approx(2 / 3), (-3.0, pytest.approx((2 / 3) ** 0.5))
    )
    assert statistics.by_policy() == {
        "left_t": Summary(2, (4.0, 2.0), 0.5, (-3.0, 1.0)),
        "stem": Summary(1, (4.0, 0.0), 1.0, (-3.0, 0.0)),
    }


def test_the_dataset_card_shows_the_statistics_beside_the_papers():
    text = render([episode(2, -2, False), episode(4, -4, True, "stem")])
    assert "| `partially_observed` | train | 2 | 3 ± 1 | 0.500 | −3 ± 1 |" in text
    assert "| `partially_observed` | test | 1 | 2 ± 0 | 0.000 | −2 ± 0 |" in text
    assert "| paper | | 1,240 | 19.7 ± 24.5 | 0.11 | −19.7 ± 24.5 |" in text
    assert "| `partially_observed` | `stem` | 0.500 | 4 ± 0 | 1.000 | −4 ± 0 |" in text


def test_the_head_lists_exactly_the_configs_that_there_are():
    one = [episode(2, -2, False)]
    data = ConfigData({"train": Statistics.of(one), "test": Statistics.of(one)}, one[0], {})
    text = cards.render_dataset_card(MAZE, dict.fromkeys(MAZE.configs, data), LIBRARIES, CHECKSUMS)
    head = DatasetCard(text).data.to_dict()
    assert [each["config_name"] for each in head["configs"]] == [
        "fully_observed", "fully_observed_steps", "partially_observed",
    ]  # fmt: skip
    assert [each.get("default", False) for each in head["configs"]] == [True, False, False]
    assert head["license"] == "apache-2.0"
    assert head["size_categories"] == ["n<1K"]


def test_texts_of_episodes_are_neither_templates_nor_terminal_escapes_nor_markdown():
    nasty = "{{ 7 * 7 }} {% include 'x' %}\n# title\x1b[2J\u202e"
    text = render([episode(5, -5, False, policy="a|b<script>`\n{{ 7 * 7 }}", text=nasty)])
    assert "    user: {{ 7 * 7 }} {% include 'x' %}\n    # title\\x1b[2J\\u202e\n" in text
    assert "`a¦b&lt;script>' {{ 7 * 7 }}`" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("task_id", TASKS)
def test_every_task_has_a_page_with_what_a_reader_must_know(task_id):
    page = task_page(get_task(task_id))
    sections = dict(re.findall(r"^## (.*)\n\n((?:(?!## ).*\n?)*)", page.text, flags=re.MULTILINE))
    for title in ("What the task tests", "Rules", "How the data was generated", "Limitations and bias",
                  "Values from the paper", "Citation"):  # fmt: skip
        assert len(sections[title]) > 100, title
    assert "{{" not in page.text.replace("{{LMRL}", "")


def test_the_maze_page_quotes_the_simulator_to_the_letter():
    page = task_page(MAZE).text
    grid = make_grid()
    assert grid.positions[5, 3] in page
    assert describe_walls([]) in page
    for row, line in enumerate(re.findall(r"^    ([#.G]{13})$", page, flags=re.MULTILINE)):
        assert line == "".join("G" if (row, i) == grid.goal else mark for i, mark in enumerate(grid.rows[row]))
    assert len({grid.walls[cell] for cell in grid.starts}) == 7
    for action in ACTIONS:
        assert f"`{action}`" in page


def test_the_return_of_action_frequencies_is_exact():
    def value(config, episodes):
        (number,) = MAZE.data_facts(config, episodes).values()
        return float(number)

    grid = make_grid()
    best = [
        Episode("maze", "fully_observed", (Turn("user", grid.positions[cell]),
                Turn("assistant", grid.best_action(cell), -1.0)), False, True, 0, "best")
        for cell in grid.starts
    ]  # fmt: skip
    assert value("fully_observed", []) == -85.89  # uniform random
    assert value("fully_observed", best) == -6.84  # the shortest paths
    assert MAZE.data_facts("fully_observed", best) != MAZE.data_facts("partially_observed", best)


def test_eval_yaml_names_the_tasks_of_a_benchmark():
    benchmark = yaml.safe_load(cards.render_eval_yaml(MAZE))
    tasks = benchmark.pop("tasks")
    assert benchmark == {
        "name": "LMRL-Gym Maze",
        "description": MAZE.summary,
        "evaluation_framework": "inspect-ai",
    }
    assert [(each["id"], each["config"], each["split"]) for each in tasks] == [
        ("maze_fully_observed", "fully_observed", "test"),
        ("maze_partially_observed", "partially_observed", "test"),
    ]


def test_a_leaderboard_id_is_the_tasks_where_there_is_one_config():
    single = dataclasses.replace(MAZE, configs={"only": MAZE.configs["fully_observed"]})
    assert cards.leaderboard_id(single, "only") == "maze"


# --- of a folder


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build_dataset(MAZE, num_episodes=20, output_dir=tmp_path_factory.mktemp("built") / "lmrl")


@pytest.fixture(scope="module")
def published(built):
    return published_files(MAZE, built, "me/labyrinth", "v1.0.0")


@pytest.mark.parametrize("config", ["fully_observed", "fully_observed_steps", "partially_observed"])
def test_the_head_says_what_datasets_finds_in_the_files(built, tmp_path, config):
    told = load_dataset_builder(str(built), config, cache_dir=str(tmp_path)).info
    files = {split: f"{built}/{config}/{split}-*.parquet" for split in ("train", "test")}
    found = load_dataset("parquet", data_files=files, cache_dir=str(tmp_path))  # which knows of no card
    assert told.features == found["train"].features
    sizes = {split: (each.num_examples, each.num_bytes) for split, each in told.splits.items()}
    real = found["train"].info
    assert sizes == {split: (each.num_examples, each.num_bytes) for split, each in real.splits.items()}
    assert (told.download_size, told.dataset_size) == (real.download_size, real.dataset_size)


def test_a_head_with_columns_and_sizes_still_loads_and_streams(built, tmp_path):
    rows = load_dataset(str(built), "fully_observed", split="train", cache_dir=str(tmp_path))
    streamed = load_dataset(str(built), "fully_observed", split="train", streaming=True)
    simulator = MAZE.simulator(config="fully_observed")
    expected = [MAZE.generate(simulator, seed) for seed in range(20)]
    assert [Episode.from_row(row) for row in rows] == [Episode.from_row(row) for row in streamed] == expected


def test_a_repository_holds_every_file_that_its_card_names(published):
    card = published["README.md"].decode()
    named = re.findall(r"\]\((?!http)(.*?)\)", card)
    assert {"figures/lengths_and_returns.png", "LICENSE"} <= set(named) <= set(published)
    assert 'load_dataset("me/labyrinth", "partially_observed", split="train", revision="v1.0.0")' in card
    assert published["figures/lengths_and_returns.png"].startswith(b"\x89PNG")
    assert published["LICENSE"].lstrip().startswith(b"Apache License")


def test_a_card_of_a_local_build_names_no_file_that_is_not_there(built):
    assert re.findall(r"\]\((?!http)(.*?)\)", (built / "README.md").read_text()) == []


def test_what_is_published_of_a_build_is_the_same_each_time(built, published, monkeypatch):
    monkeypatch.setitem(matplotlib.rcParams, "axes.facecolor", "red")  # as a reader's own settings may
    assert published_files(MAZE, built, "me/labyrinth", "v1.0.0") == published
    assert b"Matplotlib" not in published["figures/lengths_and_returns.png"]


@pytest.mark.parametrize(
    ("task_id", "names", "licence"),
    [
        (
            "guess_my_city",
            ["LICENSE", "NOTICE.txt"],
            "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/\n\nCity",
        ),
        ("wordle", ["LICENSE", "SCOWL-NOTICE.txt", "WORDNET-NOTICE.txt"], "Apache License"),
        ("twenty_questions", ["LICENSE", "WORDNET-NOTICE.txt"], "Apache License"),
    ],
)
def test_notices_of_third_party_data_go_where_the_data_goes(task_id, names, licence):
    found = notices(get_task(task_id))
    assert list(found) == names
    assert found["LICENSE"].decode().lstrip().startswith(licence)
    assert all(len(text) > 100 for text in found.values())


def test_a_folder_without_a_build_is_not_published(tmp_path):
    with pytest.raises(UserError, match="lmrl-data build maze"):
        published_files(MAZE, tmp_path, "me/x", "v1")
