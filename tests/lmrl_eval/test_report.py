"""The report: tables and pictures that show what the scores say, whatever the policies are called."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import check_cases
from matplotlib.backends.backend_agg import FigureCanvasAgg

from lmrl_data import UserError, get_task
from lmrl_data.text import markdown_line
from lmrl_eval import Evaluator, Results
from lmrl_eval.report import scores_figure, starts_figure, table, write_report
from lmrl_eval.results import read_results
from lmrl_eval.verify import describe, verify_results

pytestmark = pytest.mark.slow

HOSTILE = [
    "a | b | c",
    "<script>alert(1)</script>",
    "![x](https://evil.example/pixel.png)",
    "[click](javascript:alert(1))",
    "line one\nline two\r\n# heading",
    "`code` *bold* _it_ ~~no~~",
    "$\\frac{1}{0$ and \\undefined{",
    "\x1b[31mred\x1b[0m \u202eesrever \u2066",
    "&lt;b&gt;",
    "@someone www.evil.example https://evil.example",
    "\\|",
    "x" * 5_000,
    "",
]


@pytest.fixture(scope="module")
def results() -> Results:
    task = get_task("maze")
    return Evaluator().compute(task.policy("random", "fully_observed"), task, n_episodes=50, policy_seed=3)


def named(results: Results, name: str) -> Results:
    return dataclasses.replace(results, score=dataclasses.replace(results.score, policy=name))


def rows(markdown: str) -> list[str]:
    return [line for line in markdown.splitlines() if line.startswith("|")]


def test_a_row_says_score_interval_episodes_and_seeds(results: Results) -> None:
    score = dataclasses.replace(
        results.score,
        policy="scripted:random",
        mean_return=-85.5,
        interval=(-86.5, -84.5),
        normalized=43.06,
        normalized_interval=(40.0, 46.0),
        normalized_to_optimum=43.06,
        success_rate=0.25,
        mean_turns=85.2,
        invalid_rate=0.125,
        move_accuracy=0.24,
    )
    assert rows(table([score]))[-1] == (
        "| scripted:random | 43.1 ± 3.0 | 43.1 | -85.50 ± 1.00 | 25.0% | 85.2 | 12.5% | 24.0% | 50 | 2000000 / 3 |"
    )


def test_what_is_not_known_stays_empty(results: Results) -> None:
    row = rows(table([dataclasses.replace(results.score, move_accuracy=None, policy_seed=None)]))[-1]
    assert row.endswith("|  | 50 | 2000000 |")


def test_scores_that_cannot_be_compared_stand_in_tables_of_their_own(results: Results) -> None:
    score = results.score
    text = table(
        [
            score,
            dataclasses.replace(score, config="partially_observed"),
            dataclasses.replace(score, task_version="0.9"),
            dataclasses.replace(score, policy="other"),
        ]
    )
    headings = [line for line in text.splitlines() if line.startswith("###")]
    assert headings == [
        f"### maze, fully_observed (version {score.task_version})",
        f"### maze, partially_observed (version {score.task_version})",
        "### maze, fully_observed (version 0.9)",
    ]


def test_rows_to_compare_with_care_are_marked_and_say_why(results: Results) -> None:
    def check(changes: dict[str, Any], note: str) -> None:
        marked = dataclasses.replace(results.score, **changes)
        text = table([results.score, marked, dataclasses.replace(marked, policy="scripted:third")])
        names = [row.split(" | ")[0] for row in rows(text)[2:]]
        assert names == ["| scripted:random", "| scripted:random ¹", "| scripted:third ²"]
        assert (
            f"\n- ¹ scripted:random: {markdown_line(note, 300)}\n- ² scripted:third: {markdown_line(note, 300)}\n"
            in text
        )

    unread = "of 50 answers 20 could not be read and 8 were cut at 9 tokens: raise --max-new-tokens"
    check_cases(
        [
            ({"protocol": "quick"}, "protocol quick"),
            ({"options": {"layout": "umaze"}}, 'option layout="umaze"'),
            ({"checkpoint": {"source": "x", "trained_for": "wordle words_400"}}, "trained for wordle words_400"),
            ({"complaint": unread}, unread),
            ({"protocol": "quick", "complaint": unread}, f"protocol quick, {unread}"),
        ],
        check,
    )
    assert "with care" not in table([results.score])


def test_the_evaluator_keeps_what_a_policy_says_of_its_answers() -> None:
    policy = get_task("maze").policy("random", "fully_observed")
    policy.complaint = lambda: "nothing could be read"  # type: ignore[method-assign]
    score = Evaluator().compute(policy, "maze", n_episodes=2, move_accuracy=False).score
    assert score.complaint == "nothing could be read"


def test_one_episode_is_reported_without_an_interval(tmp_path: Path) -> None:
    policy = get_task("maze").policy("optimal", "fully_observed")
    results = Evaluator().compute(policy, "maze", n_episodes=1)
    results.save(tmp_path / "one")
    text = write_report({"one": read_results(tmp_path / "one")}, tmp_path / "report", command="x")
    assert [len(line.split("|")) for line in rows(text)] == [12] * 3
    assert "±" not in rows(text)[-1]
    assert "interval, which one episode does not have" in text
    assert describe(verify_results(tmp_path / "one")).startswith("verified: 1 episode of")


def test_a_policys_name_cannot_leave_its_cell(results: Results) -> None:
    def check(name: str) -> None:
        ordinary, hostile = (table([named(results, each).score]) for each in ("x", name))
        assert len(hostile.splitlines()) == len(ordinary.splitlines())
        cells = rows(hostile)[-1].replace("\\\\", "").replace("\\|", "").split("|")
        assert len(cells) == len(rows(ordinary)[-1].split("|"))
        assert len(cells[1]) < 250
        assert "<" not in hostile
        assert "](" not in hostile
        assert all(character.isprintable() for character in cells[1])

    check_cases(HOSTILE, check)


def test_figures_take_any_name(results: Results, tmp_path: Path) -> None:
    scores = [named(results, name).score for name in HOSTILE]
    scores_figure([*scores, results.score]).savefig(tmp_path / "scores.png")
    assert (tmp_path / "scores.png").stat().st_size > 1_000

    def check(name: str) -> None:
        figure = starts_figure(named(results, name))
        assert figure is not None
        figure.savefig(tmp_path / "starts.png", dpi=20)

    check_cases(HOSTILE, check)


def test_the_goal_does_not_look_like_a_wall(results: Results) -> None:
    figure = starts_figure(results)
    assert figure is not None
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    axes, pixels = figure.axes[0], np.asarray(canvas.buffer_rgba())

    def color(row: float, column: float) -> list[int]:
        x, y = axes.transData.transform((column, row))
        return pixels[len(pixels) - int(y), int(x), :3].tolist()

    assert color(8.4, 6.4) == [255, 255, 255]
    assert color(8.4, 5) == color(0, 0) == [64, 64, 64]


def test_a_figure_alone_is_written_to_a_file_of_its_type(results: Results, tmp_path: Path) -> None:
    write_report({"r": results}, tmp_path / "made" / "scores.svg", command="c")
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["scores.svg"]
    assert (tmp_path / "made" / "scores.svg").read_bytes().startswith(b"<?xml")


def test_untrusted_greedy_actions_draw_no_arrow_and_do_no_harm(results: Results) -> None:
    actions = dict.fromkeys(results.greedy_actions, "$\\frac{") | {"1,1": "move right", "no such start": "move up"}
    figure = starts_figure(dataclasses.replace(results, greedy_actions=actions))
    assert figure is not None
    drawn = [text for text in figure.axes[0].texts if hasattr(text, "arrow_patch")]
    assert len(drawn) == 1


def test_a_task_that_is_not_installed_here_gets_no_picture(results: Results) -> None:
    assert starts_figure(dataclasses.replace(results, score=dataclasses.replace(results.score, task="go"))) is None


def test_a_skewed_interval_that_leaves_out_its_mean_is_drawn(results: Results, tmp_path: Path) -> None:
    score = dataclasses.replace(results.score, normalized=10.0, normalized_interval=(11.0, 12.0))
    scores_figure([score]).savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").exists()


def test_a_report_holds_table_command_figure_and_a_picture_each(results: Results, tmp_path: Path) -> None:
    text = write_report({"a": results, "b": results}, tmp_path / "out", command="lmrl-eval report a b")
    page = (tmp_path / "out" / "report.md").read_text()
    assert page.startswith(text)
    assert "\n    lmrl-eval report a b\n" in page
    for name in ("scores.png", "starts-a.png", "starts-b.png"):
        assert f"]({name})" in page
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")


def test_the_same_results_make_the_same_pictures(results: Results, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report({"a": results}, tmp_path / name, command="c")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_report_that_cannot_be_written_is_one_line(results: Results, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write the report"):
        write_report({"a": results}, tmp_path / "file", command="c")
