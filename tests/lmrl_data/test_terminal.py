"""What commands show in a terminal, and in a file or a pipe."""

import io
import sys

import pytest
from cases import check_cases

from lmrl_data import terminal
from lmrl_data.terminal import ProgressLines, aligned, print_markdown, progress_bar, wrapped

WIDE = "| policy | normalized | mean return of all episodes |\n| --- | ---: | ---: |\n"
TABLE = (
    "### maze, \\`fully\\_observed\\`\n\n"
    + WIDE
    + "| a\\*b ¹ | 100.0 ± 0.0 | -6.84 ± 0.00 |\n| second-policy | 41.1 ± 16.2 |  |\n\n"
    + "- ¹ a\\*b: protocol quick\n\n`normalized` is 0, 50 and 100 at the three reference returns.\n\n"
    + "Made by:\n\n    lmrl-eval report results/maze/a 'results/the second' --out x\n"
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch):
    """What a terminal of so many columns shows of a text."""

    def drawn(text: str, columns: int, show=print_markdown, **environment: str) -> str:
        for name, value in {"COLUMNS": str(columns), "TERM": "xterm-256color", **environment}.items():
            monkeypatch.setenv(name, value)
        output = Terminal()
        monkeypatch.setattr(sys, "stdout", output)
        show(text)
        return output.getvalue()

    return drawn


def test_a_table_is_drawn_and_no_word_of_it_breaks(drawn) -> None:
    words = {"`fully_observed`", "a*b", "¹", "second-policy", "returns.", "results/maze/a", "normalized"}

    def check(columns: int) -> None:
        text = drawn(TABLE, columns, TERM="dumb")
        assert max(len(line.rstrip()) for line in text.splitlines()) <= columns
        assert "|" not in text
        assert "\\*" not in text
        assert words <= set(text.split())
        assert "100.0 ± 0.0" in text
        assert "41.1 ± 16.2" in text

    check_cases([200, 80, 60, 40], check)


def test_a_wide_table_is_turned(drawn) -> None:
    wide, narrow = (drawn(TABLE, columns, TERM="dumb") for columns in (80, 40))
    assert "policy          normalized" in wide
    assert "\nnormalized" in narrow


def test_a_long_command_stays_one_that_can_be_copied(drawn) -> None:
    text = drawn(TABLE, 40, TERM="dumb")
    assert "    lmrl-eval report results/maze/a \\\n      'results/the second' --out x" in text


def test_what_is_no_terminal_gets_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    print_markdown(TABLE)
    assert capsys.readouterr().out == TABLE + "\n"


def test_no_color_is_respected(drawn) -> None:
    colors = [f"\x1b[{code}" for code in range(30, 50)]
    text = drawn(TABLE, 80, NO_COLOR="1")
    assert not any(color in text for color in colors)
    assert "\x1b" not in drawn(TABLE, 80, TERM="dumb")


def test_lines_break_between_words_only_in_a_terminal(drawn) -> None:
    text = "one two-three four\nfive"
    assert wrapped(text) == text
    assert aligned([("a", "first"), ("long", "second")], " ") == " a     first\n long  second"
    assert drawn(text, 8, lambda text: print(wrapped(text, "  "))) == "one\n  two-three\n  four\nfive\n"
    rows = [("name", "one two three four five six seven")]
    assert drawn("", 30, lambda _: print(aligned(rows))) == "name  one two three four five\n      six seven\n"
    assert drawn("", 24, lambda _: print(aligned(rows))) == "name  one two three four\n    five six seven\n"


def test_progress_elsewhere_is_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: clock[0])

    def lines_of(seconds_each: float, total: int) -> list[str]:
        with progress_bar(total, "maze", "episodes") as bar:
            assert isinstance(bar, ProgressLines)
            for _ in range(total):
                clock[0] += seconds_each
                bar.update()
        errors = capsys.readouterr().err
        assert "\r" not in errors
        return errors.splitlines()

    assert lines_of(0.001, 100) == []  # over before anybody asks
    fast = lines_of(0.25, 100)
    assert fast[0] == "maze: 10 of 100 episodes (10 %), 2 s"
    assert fast[-1] == "maze: 100 of 100 episodes (100 %), 25 s"
    assert len(fast) == 10
    # An error is one line, without a last one of progress.
    lines = ProgressLines(100, "maze", "episodes")
    lines.update(5)
    clock[0] += 2
    lines.__exit__(ValueError, ValueError("x"), None)
    assert capsys.readouterr().err == ""
    slow = lines_of(1, 3_000)
    assert slow[0] == "maze: 10 of 3,000 episodes (0 %), 10 s"
    assert 10 < len(slow) < 80


def test_progress_that_is_not_wanted_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(2, "maze", "episodes", show=False) as bar:
        bar.update(2)
    assert capsys.readouterr().err == ""
