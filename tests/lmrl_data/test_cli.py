"""The `lmrl-data` command: what it prints, and one line for every mistake."""

import io
import re
import shutil
import subprocess
import sys

import pytest
from cases import check_cases

from lmrl_data import TASKS, Episode, Turn, UserError, cli, get_task
from lmrl_data.dataset.build import build_dataset


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build_dataset(get_task("maze"), num_episodes=30, output_dir=tmp_path_factory.mktemp("data")).parent


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Runs the command in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, typed=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as end:
            cli.main([str(argument) for argument in arguments])
        return end.value.code, *capsys.readouterr()

    return run


def test_list_shows_each_task_with_the_sizes_of_its_configs(run):
    code, out, _ = run("list")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("maze                  Walk a small grid")
    assert lines[1:3] == [f"  {name:20}    1,240 train        124 test" for name in get_task("maze").configs]
    assert "  words_400           1,000,000 train    100,000 test" in lines
    assert "  words_200             100,000 train     10,000 test" in lines


def test_info_tells_what_a_command_line_can_choose(run):
    def check(task_id):
        task = get_task(task_id)
        code, out, _ = run("info", task_id)
        assert code == 0
        chosen = [*task.configs, *task.protocols, *task.options, *(f"scripted:{name}" for name in task.policies)]
        assert {*chosen} <= {*out.split()}
        assert f"  {task.tool.name}({task.tool.argument})  {task.tool.description}" in out
        assert " ".join(task.instructions.split()) in out
        for line in out.split("Commands\n")[1].splitlines():
            assert task_id in line.split()

    check_cases(TASKS, check)


def test_a_task_describes_the_reset_options_that_its_simulator_knows():
    def check(task_id):
        task = get_task(task_id)
        with pytest.raises(UserError) as caught:
            task.simulator().reset(seed=0, options={"no such option": 1})
        known = str(caught.value).split("choose from: ")[1].split(", ")
        assert sorted(known) == sorted(task.options)

    check_cases(TASKS, check)


@pytest.mark.parametrize("command", ["list", "info", "show", "play", "build", "convert", "stats"])
def test_every_help_has_an_example(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"  Example:\n    lmrl-data {command}" in out


def test_no_arguments_print_the_help(run):
    assert run() == run("--help")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["show", "mazes"], "unknown task 'mazes'; choose from: maze"),
        (["show", "maze", "--config", "half"], "unknown config of maze 'half'; choose from:"),
        (["build", "maze", "--config", "half"], "unknown config of maze 'half'; choose from:"),
        (["show", "maze", "--config", "my/ilql.yaml"], "partially_observed); recipes are for lmrl-train --config"),
        (["build", "maze", "--episodes", "0"], "'--episodes'"),
        (["build", "maze", "--episodes", "2000000"], "a train split has 1 to 1,000,000 episodes, got 2,000,000"),
        (["build", "maze", "--out", "/proc"], "choose another --out"),
        (["build"], "TASK"),
        (["build", "maze", "more"], "more"),
        (
            ["play", "maze", "--start", "nowhere"],
            "unknown start of the double_t maze 'nowhere'; choose from: far_left",
        ),
        (
            ["play", "wordle", "--start", "crane"],
            "wordle has no named starts; what there is to choose, --option NAME=",
        ),
        (["play", "endgames", "--start", "k"], "unknown start of endgames 'k'; choose from: kQK-000, kRK-000, "),
        (["stats", "maze"], "lmrl/maze holds no dataset; make it with: lmrl-data build maze"),
        (["unknown"], "'unknown'"),
        (["--unknown"], "--unknown"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(run, arguments, line):
    code, out, errors = run(*arguments)
    assert (code, out) == (2, "")
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert line in errors


def test_build_makes_a_dataset_and_says_that_it_hides_the_hubs(run, tmp_path):
    code, out, _ = run("build", "maze", "--episodes", 5, "--config", "partially_observed")
    assert code == 0
    assert (tmp_path / "lmrl" / "maze" / "README.md").is_file()
    assert out.splitlines()[0] == "lmrl/maze is ready"
    assert f'load_dataset("lmrl/maze") run in {tmp_path} reads this build, not the Hub\'s' in out


def test_build_elsewhere_hides_nothing(run):
    assert run("build", "maze", "--episodes", 1, "--config", "partially_observed", "--out", "mine")[1] == (
        "mine/maze is ready\n"
    )


def test_show_reads_the_local_build(run, built):
    code, out, _ = run("show", "maze", "--config", "partially_observed", "--index", 2, "--data", built)
    assert code == 0
    assert out.startswith(
        "maze partially_observed, seed 2, played by right_t: 4 turns, return -4, truncated, no success"
    )
    assert "     user         There are walls to your right, to your left.\nassistant     -1  move down\n" in out
    assert ", seed 1000001," in run("show", "maze", "--split", "test", "--index", 1, "--data", built)[1]


def test_show_names_the_indices_there_are(run, built):
    code, _, errors = run("show", "maze", "--index", 30, "--data", built)
    assert code == 2
    assert "has 30 episodes; give an --index from 0 to 29" in errors


def test_show_plays_a_seed_where_nothing_is_built(run):
    assert "holds no dataset; this is the episode that seed 2 makes" in run("show", "maze", "--index", 2)[1]
    assert run("show", "maze", "--seed", 9)[1].startswith("maze fully_observed, seed 9,")


def test_show_plays_a_seed_of_the_split(run):
    assert "seed 1000003 makes" in run("show", "maze", "--split", "test", "--index", 3)[1]
    code, _, errors = run("show", "maze", "--split", "dev")
    assert (code, errors) == (2, "error: unknown split 'dev'; choose from: train, test\n")


def test_show_writes_out_control_characters(capsys):
    turns = (Turn("user", "a\x1b[2J\nb"), Turn("assistant", "\r\u202e"))
    cli._print_episode(Episode("x", "y", turns, True, False, 0, "\x07", {"success": True}))
    out = capsys.readouterr().out
    assert "played by \\x07" in out
    assert "a\\x1b[2J\n                  b" in out
    assert "\\r\\u202e" in out


def test_a_human_plays_with_letters_and_with_texts(run):
    code, out, _ = run("play", "maze", "--start", "6,6", typed="q\nmove down\ns\n")
    assert code == 0
    assert out.count("@") == 4
    assert "Your current position is at position 7, 6." in out
    assert out.endswith("Success\nYou did it. Return: -5.\n")


def test_a_human_is_told_of_an_action_that_is_none(run):
    out = run("play", "maze", "--start", "6,6", typed="dance\ns\n")[1]
    assert out.count("That is no move. (-4)\n") == 1


def test_a_guess_that_is_no_word_of_the_list_costs_a_human_no_try(run):
    code, out, _ = run("play", "wordle", "--option", "target=about", typed="zzzzz\nabout\n")
    assert code == 0
    assert "That is none of the 431 words that can be guessed here, and costs no try.\n" in out
    assert out.endswith("g g g g g\nYou did it. Return: 0.\n")


def test_a_human_reads_what_black_plays_and_that_a_move_is_illegal(run):
    pytest.importorskip("chess")
    out = run("play", "chess", "--option", "opponent=random", typed="e 9\nd 4\n")[1]
    assert out.count("That is no legal move. (-1)\n") == 1
    reply = out.split("Black plays ")[1].split(".\n")[0]
    assert re.fullmatch("[a-h][56]|N[acfh]6", reply)
    out = run("play", "endgames", "--option", "position=7k/8/5KQ1/8/8/8/8/8 w - - 0 1", typed="Qg7\n")[1]
    assert "> The game is over: checkmate.\n" in out


def test_a_human_may_lose(run):
    out = run("play", "maze", "--config", "partially_observed", "--start", "far_left", typed="a\n" * 101)[1]
    assert out.endswith("Failure\nIt is over. Return: -101.\n")


def test_the_end_of_the_input_ends_the_play_politely(run):
    code, out, errors = run("play", "maze", "--seed", 3, typed="w\n")
    assert (code, errors) == (0, "")
    assert out.endswith("\nYou stopped. Return so far: -1.\n")


def test_stats_puts_the_data_beside_the_paper(run, built):
    code, out, _ = run("stats", "maze", "--data", built)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["train", "split", "policy", "episodes", "length", "success", "return"]
    assert lines[1].split() == [
        "paper,", "Table", "1", "1,240", "19.7", "±", "24.5", "0.110", "-19.7", "±", "24.5",
    ]  # fmt: skip
    assert [line.split()[:3] for line in lines if " all " in line] == [
        ["fully_observed", "all", "30"],
        ["partially_observed", "all", "30"],
    ]
    assert (built / "maze" / "figures" / "lengths_and_returns.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_beside_the_data_does_not_disturb_a_rebuild(run, built):
    (built / "maze" / "figures").mkdir(exist_ok=True)
    assert run("build", "maze", "--episodes", 30, "--out", built)[0] == 0


def test_stats_of_a_folder_that_cannot_be_written_are_shown_without_a_picture(run, built, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(built, data)
    shutil.rmtree(data / "maze" / "figures", ignore_errors=True)
    (data / "maze" / "figures").write_text("in the way")
    code, out, errors = run("stats", "maze", "--data", data)
    assert code == 0
    assert "fully_observed" in out
    assert errors.startswith(f"no histograms: {data}/maze/figures/lengths_and_returns.png cannot be written (")
    assert errors.count("\n") == 1
    code, _, errors = run("stats", "maze", "--data", data, "--figure", data / "maze" / "figures" / "a.png")
    assert (code, errors.count("\n")) == (2, 1)


def test_stats_without_matplotlib_say_what_to_install(run, built, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, out, errors = run("stats", "maze", "--data", built)
    assert code == 2
    assert "fully_observed" in out
    assert errors == 'error: the histograms need Matplotlib: pip install "lmrl[eval]"\n'


def test_help_loads_no_heavy_library():
    script = (
        "import sys\nfrom lmrl_data.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
        "sys.exit(', '.join({'datasets', 'matplotlib', 'pyarrow', 'torch', 'transformers'} & {*sys.modules}))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.stderr == "\n"


def test_a_reader_that_goes_away_leaves_no_traceback():
    command = f"{sys.executable} -m lmrl_data.cli show maze --seed 16 | head -c 10"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("maze fully", "")
