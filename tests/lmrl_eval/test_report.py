"""The report: tables and pictures that show what the scores say, whatever the policies are called."""

import dataclasses
from pathlib import Path

import pytest
from cases import check_cases

from lmrl_data import UserError, get_task
from lmrl_eval import Evaluator, Results
from lmrl_eval.report import scores_figure, starts_figure, table, write_report

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


def test_a_policys_name_cannot_leave_its_cell(results: Results) -> None:
    def check(name: str) -> None:
        ordinary, hostile = table([results.score]), table([named(results, name).score])
        assert len(hostile.splitlines()) == len(ordinary.splitlines())
        cells = rows(hostile)[-1].replace("\\\\", "").replace("\\|", "").split("|")
        assert len(cells) == len(rows(ordinary)[-1].split("|"))
        assert len(cells[1]) < 250
        assert "<" not in hostile
        assert "](" not in hostile
        assert all(character.isprintable() for character in cells[1])

    check_cases(HOSTILE, check)


@pytest.mark.parametrize("name", HOSTILE)
def test_figures_take_any_name(results: Results, name: str, tmp_path: Path) -> None:
    hostile = named(results, name)
    scores_figure([hostile.score, results.score]).savefig(tmp_path / "a.png")
    figure = starts_figure(hostile)
    assert figure is not None
    figure.savefig(tmp_path / "b.png")
    assert (tmp_path / "a.png").stat().st_size > 1_000


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
