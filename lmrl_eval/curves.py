"""Learning curves: the logs of training runs as one figure and one table.

A run is the `output_dir` of any transformers `Trainer`, with the `trainer_state.json` that the trainer writes there.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lmrl_data.dataset.figure import FORMATS
from lmrl_data.errors import UserError
from lmrl_data.parsing import read_json_file
from lmrl_data.text import markdown_line, one_line
from lmrl_eval.report import figure_of, markdown_table, save_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STATE = "trainer_state.json"
SCORE = "eval_normalized"
# The panels in their order, each with the names that recipes and TRL log its quantity by.
PANELS = (
    ("score in the simulator", (SCORE,)),
    ("return in the simulator", ("eval_return",)),  # where no run has a score
    ("return of the episodes played", ("return/mean", "reward")),
    ("KL from the initial policy", ("kl/initial", "kl")),
    ("entropy", ("entropy",)),
    ("loss of the values", ("loss/value",)),
    ("loss", ("loss",)),
    ("evaluation loss", ("eval_loss",)),
)
COLUMNS = ("run", "steps", "episodes", "first score", "best score", "last score", "KL", "time")
SEED = re.compile(r"[-_./ ]?seed[-_=]?\d+$", re.I)
LARGEST_STATE = 64 << 20  # bytes
LARGEST = 1e30  # Matplotlib cannot put larger numbers on an axis

Series = list[tuple[int, float]]


class TrainingRun(NamedTuple):
    """What one run logged: step and value, by name, in the order of the steps."""

    label: str
    series: dict[str, Series]

    @property
    def steps(self) -> int:
        return max(points[-1][0] for points in self.series.values())

    def last(self, *names: str) -> float | None:
        """The last value of the first of these series that was logged."""
        return next((self.series[name][-1][1] for name in names if name in self.series), None)

    def episodes_at(self, steps: Sequence[int]) -> np.ndarray:
        """Episodes played by these steps, interpolated between two logs."""
        logged, counts = zip((0, 0.0), *self.series["episodes"], strict=True)
        return np.interp(steps, logged, counts)


# --- reading


def series_of(history: Sequence[Any]) -> dict[str, Series]:
    """The finite numbers of a `log_history`, by name; of two logs of a step the later one counts.

    Examples:
        >>> series_of([{"step": 1, "loss": 2.5, "note": "x"}, {"step": 2, "loss": None}])
        {'loss': [(1, 2.5)]}
    """
    series: dict[str, dict[int, float]] = {}
    for entry in history:
        step = entry.get("step") if isinstance(entry, dict) else None
        if type(step) is not int or not 0 <= step < LARGEST:
            continue
        for name, value in entry.items():
            if type(value) in (int, float) and abs(value) < LARGEST and name not in ("step", "epoch"):
                series.setdefault(one_line(name), {})[step] = float(value)
    return {name: sorted(points.items()) for name, points in series.items()}


def read_run(folder: Path, label: str = "") -> TrainingRun | None:
    """The log of the run in `folder`, from its trainer or its newest checkpoint; `None` if neither has one.

    Raises:
        UserError: if there is no such folder or the state is damaged.
    """
    if not folder.exists():
        raise UserError(f"{_ending(folder)} does not exist; give the output folder of a training run")
    checkpoints = {
        int(path.parent.name.partition("-")[2]): path
        for path in folder.glob(f"checkpoint-*/{STATE}")
        if path.parent.name.partition("-")[2].isdecimal()
    }
    paths = [folder / STATE, *(checkpoints[step] for step in sorted(checkpoints)[-1:])]
    runs = [TrainingRun(label or str(folder), _read_state(path)) for path in paths if path.is_file()]
    # A run that was resumed and not finished has a checkpoint that is newer than its end.
    return max((run for run in runs if run.series), key=lambda run: run.steps, default=None)


def _read_state(path: Path) -> dict[str, Series]:
    try:
        state = read_json_file(path, LARGEST_STATE)
        history = state.get("log_history") if isinstance(state, dict) else None
        if not isinstance(history, list):
            raise ValueError("it has no log_history")
    except ValueError as error:
        raise UserError(
            f"{_ending(path)} is damaged ({one_line(error, 100)}); leave this run out, or try again if it is being "
            "written"
        ) from None
    return series_of(history)


def _ending(path: Path) -> str:
    return one_line(str(path)[-120:], 120)


# --- the figure


def by_family(runs: Sequence[TrainingRun]) -> dict[str, list[TrainingRun]]:
    """The runs by label without a trailing seed: runs that differ only in it are seeds of each other."""
    families: dict[str, list[TrainingRun]] = {}
    for run in runs:
        families.setdefault(SEED.sub("", run.label) or run.label, []).append(run)
    return {
        members[0].label if len(members) == 1 else f"{name}, mean of {len(members)} seeds": members
        for name, members in families.items()
    }


def shown_panels(runs: Sequence[TrainingRun]) -> list[tuple[str, tuple[str, ...]]]:
    """Title and series of each panel that some run has numbers for; of each run the first of them is drawn."""
    logged = {name for run in runs for name in run.series}
    hidden = {"eval_return"} if SCORE in logged else set()
    panels = [(title, tuple(name for name in names if name in logged - hidden)) for title, names in PANELS]
    return [(title, names) for title, names in panels if names]


def curves_figure(runs: Sequence[TrainingRun]) -> "Figure":
    """A panel for each quantity that is logged, all runs in each; against episodes if all runs count them."""
    panels, families = shown_panels(runs), by_family(runs)
    by_episodes = all("episodes" in run.series for run in runs)
    names = [one_line(name, 60) for name in families]
    rows = (len(panels) + 1) // 2
    figure, cells = figure_of(10, 0.4 + 2.3 * rows + 0.2 * -(-len(names) // 2), rows, 2)
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    for axes, (title, series) in zip(cells, panels, strict=False):
        for number, members in enumerate(families.values()):
            color = f"C{number % 10}"
            drawn = [(run, next((name for name in series if name in run.series), None)) for run in members]
            lines = [_line(run, name, by_episodes) for run, name in drawn if name is not None]
            for x, y in lines:
                style = {"marker": "o", "linewidth": 1.5} if len(members) == 1 else {"linewidth": 0.6, "alpha": 0.5}
                axes.plot(x, y, color=color, markersize=3, **style)
            if len(lines) > 1:
                axes.plot(*_mean(lines), color=color, linewidth=1.8)
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_title(", ".join(series), fontsize=8, loc="right", color="0.5")
        axes.grid(color="0.93")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        for mark in (0, 50, 100) if series == (SCORE,) else ():
            axes.axhline(mark, color="0.6", linewidth=1, zorder=1.6)
    for axes in cells[len(panels) :]:
        axes.remove()
    figure.supxlabel("episodes played" if by_episodes else "optimizer steps", fontsize=10)
    handles = [Line2D([], [], color=f"C{number % 10}") for number in range(len(names))]
    legend = figure.legend(handles, ["run"] * len(names), loc="outside upper center", ncols=2, fontsize=9)
    # Set late: Matplotlib leaves out labels that begin with an underscore and reads dollar signs as mathematics.
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(name)
    return figure


def _line(run: TrainingRun, name: str, by_episodes: bool) -> tuple[np.ndarray, np.ndarray]:
    steps, values = zip(*run.series[name], strict=True)
    return run.episodes_at(steps) if by_episodes else np.array(steps, dtype=float), np.array(values)


def _mean(lines: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The mean of several lines where all of them are."""
    x = np.unique(np.concatenate([x for x, _ in lines]))
    x = x[(x >= max(x[0] for x, _ in lines)) & (x <= min(x[-1] for x, _ in lines))]
    return x, np.mean([np.interp(x, *line) for line in lines], axis=0)


# --- the table


def curves_table(runs: Sequence[TrainingRun]) -> str:
    """A Markdown table with a row for each run, and what the numbers mean."""
    return (
        f"{markdown_table(COLUMNS, [_row(run) for run in runs])}\n\n"
        f"Scores are the normalized returns (`{SCORE}`) logged during training, over few episodes and without an "
        "interval; 0, 50 and 100 are the minimum, the dataset's mean and the maximum that the task's card names. The "
        "best of many scores is partly luck: report what `lmrl-eval run` measures. `KL` is from the initial policy, "
        "at the last log. `time` is the trainer's own, in minutes, and includes scoring.\n"
    )


def _row(run: TrainingRun) -> list[str]:
    scores = run.series.get(SCORE, [])
    # Of equal scores the first, which was the cheapest.
    best = max(scores, key=lambda point: (point[1], -point[0]), default=None)
    episodes, divergence, seconds = run.last("episodes"), run.last("kl/initial", "kl"), run.last("train_runtime")
    return [
        markdown_line(run.label),
        f"{run.steps:,}",
        "" if episodes is None else f"{episodes:,.0f}",
        f"{scores[0][1]:.1f}" if scores else "",
        f"{best[1]:.1f} (step {best[0]:,})" if best else "",
        f"{scores[-1][1]:.1f}" if scores else "",
        "" if divergence is None else f"{divergence:.3g}",
        "" if seconds is None else f"{seconds / 60:,.1f}",
    ]


def write_curves(folders: Sequence[Path], out: str | Path, *, command: str) -> tuple[str, list[Path]]:
    """Writes `curves.png` and `curves.md`; returns the table, and the folders without a log of a training run.

    Args:
        folders (`Sequence[Path]`): output folders of training runs; those without a log are left out.
        out (`str` or `Path`): the folder to write to; made if need be. A file whose suffix is one of `FORMATS` gets
            the figure, and nothing else is written.
        command (`str`): the command that the user ran, printed below the table.

    Raises:
        UserError: if a folder does not exist or is damaged, nothing can be drawn, Matplotlib is missing, or `out`
            cannot be written.
    """
    unique = {os.path.abspath(folder): folder for folder in folders}
    runs = {folder: read_run(folder) for folder in unique.values()}
    skipped = [folder for folder, run in runs.items() if run is None]
    logged = [run for run in runs.values() if run is not None]
    if not logged:
        raise UserError(
            f"{_ending(skipped[0])} holds no log of a training run ({STATE}, in it or in a checkpoint-*); give the "
            "output folder of a run that logged something and was saved"
        )
    if not shown_panels(logged):
        names = one_line(", ".join(sorted({name for run in logged for name in run.series})), 100)
        raise UserError(f"nothing to draw: the runs log only {names}; expected e.g. loss, {SCORE} or return/mean")
    text = curves_table(logged) + f"\nMade by:\n\n    {one_line(command, 2_000)}\n"
    figure = curves_figure(logged)
    if (file := Path(out)).suffix in FORMATS:
        save_report(file.parent, {file.name: figure}, "curves")
    else:
        page = f"{text}\n![learning curves](curves.png)\n"
        save_report(out, {"curves.png": figure, "curves.md": page}, "curves")
    return text, skipped
