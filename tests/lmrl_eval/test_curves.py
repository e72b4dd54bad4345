"""Learning curves: what a run's log says is read, joined and drawn as it stands, and nothing else is."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from cases import check_cases

from lmrl_data import UserError
from lmrl_eval.commands.main import main
from lmrl_eval.curves import (
    TrainingRun,
    by_family,
    curves_figure,
    curves_table,
    read_run,
    series_of,
    shown_panels,
    write_curves,
)

pytestmark = pytest.mark.slow

# Two rounds of 100 episodes and two updates each; the policy is scored in the middle of a round and at the end.
ONLINE = [
    {"step": 2, "return/mean": -80.0, "episodes": 100, "kl/initial": 0.1, "time/simulator": 5.0, "time/training": 9.0},
    {"step": 3, "eval_normalized": 40.0, "eval_return": -60.0},
    {"step": 4, "eval_normalized": 55.0, "eval_return": -45.0},
    {"step": 4, "return/mean": -50.0, "episodes": 200, "kl/initial": 0.2, "time/simulator": 25, "time/training": 45},
]  # fmt: skip


def write_state(folder: Path, history: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    return folder


def load(folder: Path) -> TrainingRun:
    run = read_run(folder, folder.name)
    assert run is not None
    return run


def cells(markdown: str) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines() if "|" in line]
    return {row[0]: row[1:] for row in rows}


def test_a_history_becomes_series_by_name_in_the_order_of_the_steps() -> None:
    history = [{"step": 20, "loss": 1, "epoch": 0.2}, {"step": 10, "loss": 2.5}, {"step": 10, "eval_return": -7.0}]
    assert series_of(history) == {"loss": [(10, 2.5), (20, 1.0)], "eval_return": [(10, -7.0)]}


def test_what_is_logged_twice_for_a_step_counts_as_it_was_last() -> None:
    assert series_of([{"step": 1, "loss": 5.0}, {"step": 1, "loss": 3.0}]) == {"loss": [(1, 3.0)]}


def test_a_value_that_is_no_finite_number_is_left_out() -> None:
    def check(value: Any) -> None:
        assert series_of([{"step": 1, "loss": value, "entropy": 0.5}]) == {"entropy": [(1, 0.5)]}

    check_cases([None, "1.0", True, [1], {}, math.nan, math.inf, -math.inf, 10**400, 1e31], check)


@pytest.mark.parametrize("step", [None, "1", -1, 1.5, math.nan, 10**40, True])
def test_an_entry_without_a_real_step_is_left_out(step: Any) -> None:
    assert series_of([{"step": step, "loss": 1.0}, {"loss": 1.0}, "junk", None, {"step": 2, "loss": 4.0}]) == {
        "loss": [(2, 4.0)]
    }


def test_a_name_from_the_log_is_one_plain_line() -> None:
    names = list(series_of([{"step": 1, "a\nb\u202e": 1, "y" * 500: 1}]))
    assert names == ["a b\\u202e", "y" * 79 + "…"]


def test_scores_are_placed_at_the_episodes_played_by_then(tmp_path: Path) -> None:
    run = load(write_state(tmp_path / "ppo", ONLINE))
    assert run.episodes_at((0, 1, 2, 3, 4, 9)).tolist() == [0.0, 50.0, 100.0, 150.0, 200.0, 200.0]
    line = curves_figure([run]).axes[0].get_lines()[0]
    assert [list(line.get_xdata()), list(line.get_ydata())] == [[150.0, 200.0], [40.0, 55.0]]


def test_a_run_that_plays_nothing_is_placed_by_steps(tmp_path: Path) -> None:
    run = load(write_state(tmp_path / "bc", [{"step": 7, "loss": 1.0}]))
    assert list(curves_figure([run]).axes[0].get_lines()[0].get_xdata()) == [7.0]


def test_the_newest_checkpoint_is_read_where_the_run_has_no_end(tmp_path: Path) -> None:
    for step in (90, 1000, 200):
        write_state(tmp_path / f"checkpoint-{step}", [{"step": step, "loss": float(step)}])
    write_state(tmp_path / "checkpoint-best", [{"step": 5000, "loss": 5000.0}])
    assert load(tmp_path).series == {"loss": [(1000, 1000.0)]}


def test_the_log_that_goes_furthest_counts_of_a_run_that_was_taken_up_again(tmp_path: Path) -> None:
    write_state(tmp_path, [{"step": 100, "loss": 1.0}])
    write_state(tmp_path / "checkpoint-50", [{"step": 50, "loss": 2.0}])
    assert load(tmp_path).steps == 100
    write_state(tmp_path / "checkpoint-150", [{"step": 100, "loss": 1.0}, {"step": 150, "loss": 0.5}])
    assert load(tmp_path).steps == 150


def test_only_neighbours_that_differ_in_a_trailing_seed_are_one_family() -> None:
    names = ["a/ppo_seed0", "a/ppo-seed10", "a/ppo_Seed_2", "b/ppo_seed1", "a/beta_0", "a/beta_4", "a/seed3_ppo"]
    runs = [TrainingRun(name, {"loss": [(1, 1.0)]}) for name in names]
    assert {name: [run.label for run in members] for name, members in by_family(runs).items()} == {
        "a/ppo, mean of 3 seeds": ["a/ppo_seed0", "a/ppo-seed10", "a/ppo_Seed_2"],
        "b/ppo_seed1": ["b/ppo_seed1"],
        "a/beta_0": ["a/beta_0"],
        "a/beta_4": ["a/beta_4"],
        "a/seed3_ppo": ["a/seed3_ppo"],
    }


def test_a_panel_shows_one_quantity_and_only_what_is_logged(tmp_path: Path) -> None:
    online = load(write_state(tmp_path / "ppo", ONLINE))
    other = load(write_state(tmp_path / "trl", [{"step": 1, "reward": 0.5, "kl": 0.1, "eval_return": 3.0}]))
    assert [names for _, names in shown_panels([online, other])] == [
        ("eval_normalized",), ("return/mean", "reward"), ("kl/initial", "kl"),
    ]  # fmt: skip
    assert [names for _, names in shown_panels([other])] == [("eval_return",), ("reward",), ("kl",)]
    # Every run is drawn, by the name that it logs the quantity by.
    kl = next(axes for axes in curves_figure([online, other]).axes if axes.get_title("left").startswith("KL"))
    assert [list(line.get_ydata()) for line in kl.get_lines()] == [[0.1, 0.2], [0.1]]


def test_the_figure_is_against_episodes_only_if_all_runs_count_them(tmp_path: Path) -> None:
    online = load(write_state(tmp_path / "ppo", ONLINE))
    offline = load(write_state(tmp_path / "bc", [{"step": 3, "eval_normalized": 50.0}]))
    assert curves_figure([online]).get_supxlabel() == "episodes played"
    assert curves_figure([online, offline]).get_supxlabel() == "optimizer steps"


def test_the_score_is_drawn_with_lines_at_0_50_and_100(tmp_path: Path) -> None:
    figure = curves_figure([load(write_state(tmp_path / "ppo", ONLINE))])
    score = next(axes for axes in figure.axes if axes.get_title("left") == "score in the simulator")
    lines = [list(line.get_ydata()) for line in score.get_lines()]
    assert lines == [[40.0, 55.0], [0, 0], [50, 50], [100, 100]]


def test_seeds_are_drawn_each_and_as_their_mean(tmp_path: Path) -> None:
    runs = []
    for seed, values in enumerate(([1.0, 2.0], [3.0, 6.0])):
        history = [{"step": step, "entropy": value} for step, value in zip((1, 2), values, strict=True)]
        runs.append(load(write_state(tmp_path / f"ppo_seed{seed}", history)))
    figure = curves_figure(runs)
    lines = [list(line.get_ydata()) for line in figure.axes[0].get_lines()]
    assert lines == [[1.0, 2.0], [3.0, 6.0], [2.0, 4.0]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ppo, mean of 2 seeds"]


def test_a_row_says_steps_episodes_scores_divergence_and_time(tmp_path: Path) -> None:
    history = [{"step": 1, "eval_normalized": 55.0}, *ONLINE, {"step": 1200, "eval_normalized": 40.0}]
    history.append({"step": 1200, "train_runtime": 3_900})
    assert cells(curves_table([load(write_state(tmp_path / "ppo", history))]))["ppo"] == [
        "1,200", "200", "55.0", "55.0 (step 1)", "40.0", "0.2", "65.0",
    ]  # fmt: skip


def test_a_row_leaves_empty_what_was_not_logged(tmp_path: Path) -> None:
    run = load(write_state(tmp_path / "bc", [{"step": 10, "loss": 1.0}]))
    assert cells(curves_table([run]))["bc"] == ["10", "", "", "", "", "", ""]


def test_the_same_logs_make_the_same_bytes(tmp_path: Path) -> None:
    folders = [write_state(tmp_path / f"ppo_seed{seed}", ONLINE) for seed in range(2)]
    for name in ("one", "two"):
        write_curves(folders, tmp_path / name, command="c")
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["curves.md", "curves.png"]
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_file_of_another_type_is_the_figure_alone(tmp_path: Path) -> None:
    write_curves([write_state(tmp_path / "ppo", ONLINE)], tmp_path / "made" / "curves.pdf", command="c")
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["curves.pdf"]
    assert (tmp_path / "made" / "curves.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    names = ["_x", "$\\frac{", "a|b", "<b>", "-x", "=1", "a\nb", "![x](y)", "\x1b[31m", "y" * 200]
    runs = [write_state(tmp_path / name, ONLINE) for name in names]
    text, _ = write_curves(runs, tmp_path / "out", command="".join(names))
    table = text.partition("\n\n")[0]
    assert len(table.splitlines()) == 2 + len(names)
    assert "<b>" not in table
    assert "](" not in table
    assert all(line.isprintable() for line in table.splitlines())


def test_every_run_is_in_the_legend_as_it_is_called(tmp_path: Path) -> None:
    runs = [load(write_state(tmp_path / name, ONLINE)) for name in ("_hidden", "$x$")]
    assert [text.get_text() for text in curves_figure(runs).legends[0].get_texts()] == ["_hidden", "$x$"]


def test_a_log_of_one_number_and_numbers_of_any_size_are_drawn(tmp_path: Path) -> None:
    for index, history in enumerate(
        ([{"step": 0, "loss": 0.0}], [{"step": 10**15, "loss": s * 9e29} for s in (1, -1)])
    ):
        write_curves([write_state(tmp_path / str(index), history)], tmp_path / "out", command="c")


def test_the_command_draws_prints_and_says_what_it_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_state(Path("runs/ppo"), ONLINE)
    Path("runs/base").mkdir()
    Path("runs/ppo.log").write_text("")
    with pytest.raises(SystemExit) as caught:
        main(["report", "--curves", "runs/ppo", "runs/base", "runs/ppo.log", "runs/ppo/", "--out", "made"])
    printed = capsys.readouterr()
    assert caught.value.code == 0
    assert cells(printed.out)["runs/ppo"][0] == "4"
    assert printed.err.splitlines() == ["skipped (no log of a training run): runs/base, runs/ppo.log"]
    page = Path("made/curves.md").read_text()
    assert page.startswith(printed.out.partition("\n\nwrote")[0])
    assert "    lmrl-eval report --curves runs/ppo runs/base runs/ppo.log runs/ppo --out made\n" in page
    assert Path("made/curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "run holds no log of a training run (trainer_state.json, in it or in a checkpoint-*)"),
        ('{"log_history": []}', "run holds no log of a training run"),
        ("{", "run/trainer_state.json is damaged (Expecting property name"),
        ("[]", "run/trainer_state.json is damaged (it has no log_history)"),
        ('{"log_history": 3}', "run/trainer_state.json is damaged (it has no log_history)"),
        ("[" * 100_000, "run/trainer_state.json is damaged (it is nested too deeply"),
        ('{"log_history": [{"step": 1, "foo": 2}]}', "nothing to draw: the runs log only foo"),
    ],
)
def test_a_run_that_cannot_be_read_is_one_line_and_leaves_nothing(
    text: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    if text is not None:
        Path("run/trainer_state.json").write_text(text)
    with pytest.raises(SystemExit) as caught:
        main(["report", "--curves", "run"])
    printed = capsys.readouterr()
    assert (caught.value.code, printed.out) == (2, "")
    assert printed.err.startswith(f"error: {message}")
    assert len(printed.err.splitlines()) == 1
    assert len(printed.err) < 300
    assert list(Path().iterdir()) == [Path("run")]


def test_a_folder_that_does_not_exist_is_not_skipped(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gone does not exist"):
        write_curves([write_state(tmp_path / "ppo", ONLINE), tmp_path / "gone"], tmp_path / "out", command="c")


def test_curves_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write the curves"):
        write_curves([write_state(tmp_path / "ppo", ONLINE)], tmp_path / "file", command="c")


def test_a_missing_matplotlib_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match="matplotlib is not installed"):
        write_curves([write_state(tmp_path / "ppo", ONLINE)], tmp_path / "out", command="c")
