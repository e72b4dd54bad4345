"""Pictures of a dataset: how long its episodes are and what they return."""

import io
from collections.abc import Mapping
from pathlib import Path

from lmrl_data.dataset.statistics import Statistics
from lmrl_data.errors import UserError


def histograms(statistics: Mapping[str, Statistics]) -> bytes:
    """A PNG with a row for each config: a histogram of lengths and one of returns. Same statistics, same bytes.

    Raises:
        UserError: if Matplotlib is not installed.
    """
    try:
        from matplotlib import style
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError('the histograms need Matplotlib: pip install "lmrl[eval]"') from None

    file = io.BytesIO()
    with style.context("default"):  # whatever the reader's own style is
        figure = Figure(figsize=(9, 3 * len(statistics)), layout="constrained")
        grid = figure.subplots(len(statistics), 2, squeeze=False)
        for (config, each), axes in zip(statistics.items(), grid, strict=True):
            for panel, values, name in zip(axes, (each.lengths, each.returns), ("actions", "return"), strict=True):
                panel.hist(values, bins=40)
                panel.set(title=config, xlabel=f"{name} per episode", ylabel="episodes")
        figure.savefig(file, format="png", dpi=120, metadata={"Software": None})
    return file.getvalue()


def draw_histograms(statistics: Mapping[str, Statistics], path: Path) -> None:
    """Writes that picture to a file.

    Raises:
        UserError: if Matplotlib is not installed.
    """
    picture = histograms(statistics)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture)
