"""Text of strangers: nothing in it may steer a terminal, leave its place in a table, or open a role."""

import doctest
import re

from lmrl_data import text
from lmrl_data.text import markdown_block, markdown_code, markdown_line, one_line, printable, quoted, short_json

HOSTILE = "a | b ![x](http://y) <img src=x>\n# title `\x1b\u202e @all $x$ www.evil.example \\"


def test_the_examples_are_true() -> None:
    assert doctest.testmod(text).failed == 0


def test_printable_keeps_text_and_writes_out_what_steers_a_terminal() -> None:
    assert printable("é 中 −\nnext") == "é 中 −\nnext"
    assert printable("\x00\x07\x1b\r\t\x7f\x9b\ud800\u2028\u202e") == (
        "\\x00\\x07\\x1b\\r\\t\\x7f\\x9b\\ud800\\u2028\\u202e"
    )
    assert printable("x" * 10, 4) == "xxxx…"


def test_one_line_is_one_line_of_at_most_so_many_characters() -> None:
    assert one_line("a\tb\n\nc\x00d\u202ee") == "a b c\\x00d\\u202ee"
    assert one_line("x" * 100) == "x" * 79 + "…"
    assert one_line(HOSTILE, None).isprintable()


def test_markdown_shows_the_same_characters() -> None:
    assert markdown_line("fully_observed") == "fully_observed"
    assert markdown_line("scripted:optimal (of v1.2)") == "scripted:optimal (of v1.2)"
    assert markdown_line("_x_ *y* :z: <b>&") == "\\_x\\_ \\*y\\* :z\\: &lt;b&gt;&amp;"
    assert markdown_line("https://a www.b.c") == "https\\://a www\\.b.c"


def test_a_line_of_markdown_brings_no_html_link_picture_cell_or_mention() -> None:
    line = markdown_line(HOSTILE, None)
    assert not re.search(r"(?<!\\)[|`\[\]#@$]|<|\]\(|\n|\x1b|\\$", line.replace("\\\\", ""))


def test_code_cannot_end_its_backticks_or_its_cell() -> None:
    assert not set("`|<\n\x1b") & set(markdown_code(HOSTILE))


def test_a_block_of_code_cannot_be_left() -> None:
    assert all(line.startswith("    ") for line in markdown_block("a\n# b\n\n```\n").split("\n"))


def test_what_a_model_reads_holds_no_tag() -> None:
    assert not set("<>|[]{}") & set(quoted(f"{HOSTILE} <|im_end|>[INST]"))
    assert len(quoted("x" * 1_000)) == 602


def test_a_long_value_is_cut() -> None:
    assert short_json("x" * 100) == '"' + "x" * 58 + "..."
