"""Learning curves: what training runs logged, read from their folders and drawn as a figure, a CSV and a table.

A run is the `output_dir` of any transformers `Trainer`, with the `trainer_state.json` that it leaves there.
"""

import csv
import io
import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lmrl_data.errors import UserError
from lmrl_data.text import markdown_line, one_line
from lmrl_eval.report import figure_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STATE = "trainer_state.json"
SCORE = "eval_normalized"
# What is drawn, in this order, where a run logs it: of several names, the first that any run has.
PANELS = (
    ("score in the simulator", (SCORE, "eval_return")),
    ("return of the episodes played", ("return/mean", "reward")),
    ("success rate", ("success_rate", "eval_success_rate")),
    ("KL from the initial policy", ("kl/initial", "kl")),
    ("KL from the policy that played", ("kl/old",)),
    ("entropy", ("entropy",)),
    ("explained variance of the values", ("explained_variance",)),
    ("share of clipped tokens", ("clip_ratio/region_mean",)),
    ("loss of the values", ("loss/value",)),
    ("loss", ("loss",)),
    ("evaluation loss", ("eval_loss",)),
)
COLUMNS = ("run", "steps", "episodes", "first score", "best score", "last score", "KL", "time")
TIMES = ("time/generation", "time/simulator", "time/training")
SEED = re.compile(r"[-_./ ]?seed[-_=]?\d+$", re.I)
# Numbers and steps beyond these say no more than infinity does, and cannot be put on an axis.
LARGEST, LAST_STEP = 1e30, 10**15

Series = list[tuple[int, float]]


@dataclass(frozen=True)
class TrainingRun:
    """What one run logged.

    Args:
        label (`str`): its folder's name, with parents where names alone would be ambiguous.
        family (`str`): the folder's path without a trailing seed; runs that share one are seeds of each other.
        series (`dict[str, list[tuple[int, float]]]`): step and value, by name, in the order of the steps.
        episodes (`list[tuple[int, float]]`): step and episodes played so far; empty where none are played.
    """

    label: str
    family: str
    series: dict[str, Series]
    episodes: Series

    @property
    def steps(self) -> int:
        return max(points[-1][0] for points in [self.episodes, *self.series.values()] if points)

    def episodes_at(self, step: int) -> float | None:
        """Episodes played by then: what was logged, and a straight line between two logs."""
        if not self.episodes:
            return None
        steps, counts = zip((0, 0.0), *self.episodes, strict=True)
        # A count that falls was not this one.
        return float(np.interp(step, steps, np.maximum.accumulate(counts)))


class Curve(NamedTuple):
    """Points of a line, `[points]` each."""

    x: np.ndarray
    y: np.ndarray


class Band(NamedTuple):
    """Several lines as one, `[points]` each."""

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def series_of(history: Sequence[Any]) -> dict[str, Series]:
    """The finite numbers of a `log_history`, by name; what is logged twice for a step counts as it was last.

    Examples:
        >>> series_of([{"step": 1, "loss": 2.5, "note": "x"}, {"step": 2, "loss": None}])
        {'loss': [(1, 2.5)]}
    """
    found: dict[str, dict[int, float]] = {}
    for entry in history:
        step = finite(entry.get("step")) if isinstance(entry, dict) else None
        if step is None or not 0 <= step <= LAST_STEP or not step.is_integer():
            continue
        for key, value in entry.items():
            name, number = one_line(key), finite(value)
            # A spreadsheet would take a name like "=1" for a formula.
            if number is not None and name[:1].isalpha() and name not in ("step", "epoch"):
                found.setdefault(name, {})[int(step)] = number
    return {name: sorted(points.items()) for name, points in found.items()}


def finite(value: Any) -> float | None:
    """`value` if it is a number that can be drawn."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < LARGEST else None


def read_run(folder: Path, label: str = "") -> TrainingRun | None:
    """What the run in `folder` logged, as its trainer or its newest checkpoint says; `None` if neither does.

    Raises:
        UserError: if there is no such folder or the state is damaged.
    """
    if not folder.exists():
        raise UserError(f"{_place(folder)} does not exist; give the output folder of a training run")
    checkpoints = [
        path for path in folder.glob(f"checkpoint-*/{STATE}") if re.fullmatch(r"checkpoint-\d{1,18}", path.parent.name)
    ]
    newest = sorted(checkpoints, key=lambda path: int(path.parent.name.split("-")[1]))[-1:]
    runs = []
    for path in [folder / STATE, *newest]:
        if path.is_file():
            series = _read_state(path)
            episodes = series.pop("episodes", [])
            if series:
                family = SEED.sub("", os.path.abspath(folder))
                runs.append(TrainingRun(label or folder.name, family, series, episodes))
    # A run that was taken up again and not finished has a checkpoint that is newer than its end.
    return max(runs, key=lambda run: run.steps, default=None)


def _read_state(path: Path) -> dict[str, Series]:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        history = state.get("log_history") if isinstance(state, dict) else None
        if not isinstance(history, list):
            raise ValueError("it has no log_history")
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{_place(path)} is damaged ({one_line(str(error), 100)}); leave this run out, or try again if it is "
            "being written"
        ) from None
    return series_of(history)


def _place(path: Path) -> str:
    """The end of a path, which names the run."""
    return one_line(str(path)[-120:], 120)


def labels(paths: Sequence[str]) -> list[str]:
    """The shortest ends of absolute paths that tell the runs apart, and their families too.

    Examples:
        >>> labels(["/runs/maze/ppo", "/runs/wordle/ppo", "/runs/wordle/bc"])
        ['maze/ppo', 'wordle/ppo', 'wordle/bc']
    """
    parts = [Path(path).parts for path in paths]
    found: list[str] = []
    for depth in range(1, 1 + max(map(len, parts), default=0)):
        found = ["/".join(each[-depth:]) for each in parts]
        names = {SEED.sub("", label) for label in found}
        distinct = len(set(found)) == len(set(paths)) and len(names) == len({SEED.sub("", path) for path in paths})
        if distinct and "" not in names:
            break
    return found


def families(runs: Sequence[TrainingRun]) -> list[list[TrainingRun]]:
    """The runs, those that differ only in a trailing seed together."""
    groups: dict[str, list[TrainingRun]] = {}
    for run in runs:
        groups.setdefault(run.family, []).append(run)
    return list(groups.values())


def family_label(members: Sequence[TrainingRun]) -> str:
    if len(members) == 1:
        return members[0].label
    return f"{SEED.sub('', members[0].label)}, mean of {len(members)} seeds"


def curve(run: TrainingRun, name: str, by_episodes: bool) -> Curve | None:
    """A series against episodes or steps; `None` if the run did not log it."""
    points = run.series.get(name)
    if not points:
        return None
    x = [run.episodes_at(step) if by_episodes else step for step, _ in points]
    return Curve(np.array(x, dtype=float), np.array([value for _, value in points]))


def band(curves: Sequence[Curve]) -> Band | None:
    """Mean, lowest and highest of several lines where all of them are; `None` if that is nowhere."""
    first, last = max(each.x[0] for each in curves), min(each.x[-1] for each in curves)
    x = np.unique(np.concatenate([each.x for each in curves]))
    x = x[(x >= first) & (x <= last)]
    if not len(x):
        return None
    lines = np.array([np.interp(x, each.x, each.y) for each in curves])
    return Band(x, lines.mean(0), lines.min(0), lines.max(0))


def shown_panels(runs: Sequence[TrainingRun]) -> list[tuple[str, str]]:
    """Title and series of each panel that some run has numbers for."""
    shown = []
    for title, names in PANELS:
        name = next((name for name in names if any(name in run.series for run in runs)), None)
        if name is not None:
            shown.append((title, name))
    return shown


def curves_figure(runs: Sequence[TrainingRun]) -> "Figure":
    """A panel for each number that is logged, all runs in each; against episodes if all runs count them."""
    panels = shown_panels(runs)
    groups = families(runs)
    by_episodes = all(run.episodes for run in runs)
    names = [one_line(family_label(members), 40) for members in groups]
    columns = max(1, min(4, 110 // (max(map(len, names)) + 8)))
    rows = (len(panels) + 1) // 2
    legend_height = 0.1 + 0.2 * -(-len(names) // columns)
    figure, cells = figure_of(10, 0.3 + 2.3 * rows + legend_height, rows, 2)
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    cells = list(cells)
    if len(panels) % 2:
        grid = cells[0].get_gridspec()
        for cell in cells[:2]:
            cell.remove()
        cells[:2] = [figure.add_subplot(grid[0, :])]
    end = 0.0
    for axes, (title, name) in zip(cells, panels, strict=True):
        for number, members in enumerate(groups):
            style = {"color": f"C{number % 10}", "linestyle": ("-", "--", ":")[number // 10 % 3]}
            drawn = [each for each in (curve(run, name, by_episodes) for run in members) if each is not None]
            end = max([end, *(each.x[-1] for each in drawn)])
            _draw(axes, drawn, style, alone=len(members) == 1)
        axes.set_title(title, fontsize=10, loc="left")
        if name != title:
            axes.set_title(name, fontsize=8, loc="right", color="0.5")
        axes.grid(color="0.93")
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        if name == SCORE:
            for mark in (0, 50, 100):
                axes.axhline(mark, color="0.6", linewidth=1, zorder=1.6)
        low, high = axes.get_ylim()
        if name == "explained_variance" and high > -1:
            # Values that know nothing begin at any depth, and would flatten what they come to.
            axes.set_ylim(bottom=max(low, -1.05))
    for axes in cells:
        axes.set_xlim(-0.02 * (end or 1), 1.02 * (end or 1))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    figure.supxlabel("episodes played" if by_episodes else "optimizer steps", fontsize=10)
    handles = [Line2D([], [], color=f"C{n % 10}", linestyle=("-", "--", ":")[n // 10 % 3]) for n in range(len(names))]
    # Matplotlib would leave out a name that begins with an underscore, and read mathematics into dollar signs.
    legend = figure.legend(
        handles, ["run"] * len(names), loc="outside upper center", ncols=columns, fontsize=9, frameon=False
    )
    for text, shown in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(shown)
    return figure


def _draw(axes: Any, curves: Sequence[Curve], style: dict[str, Any], *, alone: bool) -> None:
    """One run as a line; seeds as thin lines, with their mean and the range between the lowest and the highest."""
    for each in curves:
        if alone:
            axes.plot(each.x, each.y, marker="o" if len(each.x) <= 40 else "", markersize=3, linewidth=1.5, **style)
        else:
            axes.plot(each.x, each.y, linewidth=0.6, alpha=0.5, marker="." if len(each.x) == 1 else "", **style)
    joined = None if alone or not curves else band(curves)
    if joined is not None:
        axes.fill_between(joined.x, joined.low, joined.high, color=style["color"], alpha=0.15, linewidth=0)
        marker = "o" if len(joined.x) <= 40 else ""
        axes.plot(joined.x, joined.mean, marker=marker, markersize=3, linewidth=1.8, **style)


def curves_csv(runs: Sequence[TrainingRun]) -> str:
    """A row for each number that was logged: run, step, episodes played by then, name, value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "step", "episodes", "name", "value"])
    for run in runs:
        for name, points in sorted(run.series.items()):
            for step, value in points:
                writer.writerow([one_line(run.label, 500), step, _number(run.episodes_at(step)), name, _number(value)])
    return text.getvalue()


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def curves_table(runs: Sequence[TrainingRun]) -> str:
    """A Markdown table with a row for each run, and what the numbers mean."""
    rows = [list(COLUMNS), ["---"] + ["---:"] * (len(COLUMNS) - 1)]
    for members in families(runs):
        rows += [_row(run) for run in members]
        scored = [run.series[SCORE] for run in members if SCORE in run.series]
        if len(members) > 1 and len(scored) == len(members):
            first = np.mean([points[0][1] for points in scored])
            last = [points[-1][1] for points in scored]
            spread = f"{np.mean(last):.1f} ({min(last):.1f} to {max(last):.1f})"
            rows.append([markdown_line(family_label(members)), "", "", f"{first:.1f}", "", spread, "", ""])
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return (
        f"{lines}\n\nScores are the normalized returns (`{SCORE}`) that were logged during training, by few episodes "
        "and without an interval; 0, 50 and 100 are the minimum, the dataset's mean and the maximum that the task's "
        "card names. The best of many is a lucky one: what to report is what `lmrl-eval run` measures. `KL` is from "
        "the initial policy, at the last log. `time` is the trainer's own, with what it spent on scores; a run that "
        "was taken up again counts from there. Episodes played between two logs are interpolated.\n"
    )


def _row(run: TrainingRun) -> list[str]:
    scores = run.series.get(SCORE, [])
    divergence = run.series.get("kl/initial") or run.series.get("kl")
    episodes = run.episodes_at(run.steps)
    # The first of equals: the cheapest.
    best = max(scores, key=lambda point: (point[1], -point[0]), default=None)
    return [
        markdown_line(run.label),
        f"{run.steps:,}",
        "" if episodes is None else f"{episodes:,.0f}",
        f"{scores[0][1]:.1f}" if scores else "",
        f"{best[1]:.1f} (step {best[0]:,})" if best else "",
        f"{scores[-1][1]:.1f}" if scores else "",
        f"{divergence[-1][1]:.3g}" if divergence else "",
        _duration(run),
    ]


def _duration(run: TrainingRun) -> str:
    """The trainer's own seconds at the end, or what the online recipes add up round by round."""
    parts = [run.series[name][-1][1] for name in ("train_runtime",) if name in run.series]
    parts = parts or [run.series[name][-1][1] for name in TIMES if name in run.series]
    if not parts:
        return ""
    seconds = math.fsum(parts)
    if not 0 <= seconds < 1e9:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60:02d} min"


class Written(NamedTuple):
    """What `write_curves` made: the table, and the folders that hold nothing of a training run."""

    table: str
    skipped: list[Path]


def write_curves(folders: Sequence[Path], out: str | Path, *, command: str) -> Written:
    """Writes `curves.png`, `curves.csv` and `curves.md`.

    Args:
        folders (`Sequence[Path]`): output folders of training runs; those without a log are left out.
        out (`str` or `Path`): where to; made if need be.
        command (`str`): what the user ran, to stand below the table.

    Raises:
        UserError: if a folder does not exist or is damaged, nothing can be drawn, Matplotlib is missing, or `out`
            cannot be written.
    """
    out = Path(out)
    # The same folder twice is one run.
    unique = {os.path.abspath(folder): folder for folder in folders}
    read = {path: read_run(folder) for path, folder in unique.items()}
    skipped = [unique[path] for path, run in read.items() if run is None]
    found = {path: run for path, run in read.items() if run is not None}
    if not found:
        raise UserError(
            f"{_place(skipped[0])} holds no log of a training run ({STATE}, in it or in a checkpoint-*); give the "
            "output folder of a run that logged something and was saved"
        )
    runs = [
        TrainingRun(label, run.family, run.series, run.episodes)
        for label, run in zip(labels(list(found)), found.values(), strict=True)
    ]
    if not shown_panels(runs):
        logged = one_line(", ".join(sorted({name for run in runs for name in run.series})), 100)
        raise UserError(f"nothing to draw: the runs log only {logged}; wanted is e.g. loss, {SCORE} or return/mean")
    figure = curves_figure(runs)
    text = curves_table(runs) + f"\nMade by:\n\n    {one_line(command, 2_000)}\n"
    page = f"{text}\n![learning curves](curves.png)\n\nAll that was logged: [curves.csv](curves.csv).\n"
    try:
        out.mkdir(parents=True, exist_ok=True)
        # Without the software's version in the file, the same logs make the same picture.
        figure.savefig(out / "curves.png", metadata={"Software": None})
        (out / "curves.csv").write_text(curves_csv(runs), encoding="utf-8")
        (out / "curves.md").write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write the curves to {out}: {error.strerror or error}") from None
    return Written(text, skipped)
