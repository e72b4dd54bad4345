"""Tables of cases: every miss is named at once, and an empty table is none."""

import cases
import pytest


def is_even(number: int) -> None:
    assert number % 2 == 0, f"{number} is odd"


def test_every_case_that_fails_is_named_with_its_reason() -> None:
    with pytest.raises(pytest.fail.Exception) as failure:
        cases.check_cases([1, 2, (3,), 4], is_even)
    assert str(failure.value).splitlines()[0] == "2 of 4 cases:"
    assert "1 is odd" in str(failure.value)
    assert "3 is odd" in str(failure.value)
    assert cases.checked_rows == 4
    cases.checked_rows = 0


def test_a_table_without_rows_fails() -> None:
    with pytest.raises(AssertionError, match="without cases"):
        cases.check_cases([], is_even)


def test_a_table_is_read_row_by_row(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(cases, "DATA", tmp_path)
    (tmp_path / "a.tsv").write_text("# a comment\none\ttwo\n\nthree\t\n", encoding="utf-8")
    (tmp_path / "b.json").write_text('[[1, null], "\\n"]')
    assert cases.read_cases("a.tsv") == [("one", "two"), ("three", "")]
    assert cases.read_cases("b.json") == [(1, None), ("\n",)]
