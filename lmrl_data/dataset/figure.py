"""Pictures of a dataset: how long its episodes are and what they return; and how any figure becomes a file."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lmrl_data.dataset.statistics import Statistics
from lmrl_data.errors import UserError, unknown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BARS = 40  # of a histogram at most
# The types of files, by suffix, with what Matplotlib would write of its version and of the time.
FORMATS: Mapping[str, Mapping[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Creator": None, "Date": None},
    ".pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


def figure_bytes(figure: "Figure", suffix: str = ".png") -> bytes:
    """A figure as a file: same numbers, same bytes.

    Raises:
        UserError: for a suffix that is none of `FORMATS`.
    """
    from matplotlib import rc_context

    if suffix not in FORMATS:
        raise unknown("type of a figure", suffix, FORMATS)
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "lmrl"}):
        figure.savefig(file, format=suffix[1:], metadata=dict(FORMATS[suffix]))
    return file.getvalue()


def edges(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """The edges of a histogram's bars: whole numbers have a bar each, or as many of them as it takes have one.

    Examples:
        >>> edges([1, 3]).tolist()
        [0.5, 1.5, 2.5, 3.5]
    """
    if not _whole(values):
        return np.histogram_bin_edges(values, BARS)
    low, high = np.min(values), np.max(values)
    width = math.ceil((high - low + 1) / BARS)
    return np.arange(low, high + width + 1, width) - 0.5


def _whole(values: Sequence[float] | np.ndarray) -> bool:
    return bool(np.all(np.mod(values, 1) == 0))


def histograms(statistics: Mapping[str, Statistics], suffix: str = ".png") -> bytes:
    """A picture with a row for each config: a histogram of lengths and one of returns.

    Raises:
        UserError: if Matplotlib is not installed, or for a suffix that is none of `FORMATS`.
    """
    try:
        from matplotlib import style
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError('the histograms need Matplotlib: pip install "lmrl[eval]"') from None

    with style.context("default"):  # whatever the reader's own style is
        figure = Figure(figsize=(9, 3 * len(statistics)), layout="constrained", dpi=120)
        grid = figure.subplots(len(statistics), 2, squeeze=False)
        for (config, each), axes in zip(statistics.items(), grid, strict=True):
            for panel, values, name in zip(axes, (each.lengths, each.returns), ("actions", "return"), strict=True):
                panel.hist(values, edges(values), rwidth=0.9)
                panel.xaxis.get_major_locator().set_params(integer=_whole(values))
                panel.set(title=config, xlabel=f"{name} per episode", ylabel="episodes")
        return figure_bytes(figure, suffix)


def draw_histograms(statistics: Mapping[str, Statistics], path: Path) -> None:
    """Writes that picture to a file, whose suffix says of which type.

    Raises:
        UserError: if Matplotlib is not installed, or for a suffix that is none of `FORMATS`.
    """
    picture = histograms(statistics, path.suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture)
