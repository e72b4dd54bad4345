"""Histograms: a bar a whole number, or as many to each bar; the suffix of the file says of which type it is."""

from pathlib import Path

import numpy as np
import pytest
from cases import check_cases

from lmrl_data import UserError
from lmrl_data.dataset.figure import BARS, draw_histograms, edges
from lmrl_data.dataset.statistics import Statistics

# Policy, length, return, success, and how many episodes.
STATISTICS = {"standard": Statistics.of_counts([["me", 3, -3.0, True, 4], ["me", 6, -6.0, False, 2]])}


def test_a_whole_number_is_never_cut_and_never_shares_its_bar_unequally() -> None:
    def check(values: list[float]) -> None:
        marks = edges(values)
        width = marks[1] - marks[0]
        assert len(marks) <= BARS + 2
        assert np.allclose(np.diff(marks), width)
        assert marks[0] == min(values) - 0.5
        assert marks[-1] > max(values)
        assert width == int(width)
        assert (width == 1) == (max(values) - min(values) < BARS)

    check_cases([([1],), ([0, -6],), ([1, 40],), ([1, 41],), (list(range(-401, 2)),), ([7, 1_000_003],)], check)


def test_other_numbers_have_bars_of_one_width() -> None:
    assert len(edges([0.25, 3.5])) == BARS + 1


def test_the_suffix_decides_the_type_of_the_file(tmp_path: Path) -> None:
    for suffix, head in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        for name in ("one", "two"):
            draw_histograms(STATISTICS, tmp_path / name / f"figure{suffix}")
        contents = [(tmp_path / name / f"figure{suffix}").read_bytes() for name in ("one", "two")]
        assert contents[0].startswith(head)
        assert contents[0] == contents[1]
    with pytest.raises(UserError, match=r"unknown type of a figure '.jpg'; choose from: .png, .svg, .pdf"):
        draw_histograms(STATISTICS, tmp_path / "figure.jpg")
