"""The report: a Markdown table and a figure of scores, and a picture of each result where the task can draw one."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmrl_data.atomic import write_text
from lmrl_data.dataset.figure import FORMATS, figure_bytes
from lmrl_data.errors import UserError, require
from lmrl_data.tasks import TASKS, get_task
from lmrl_data.text import markdown_line, one_line
from lmrl_eval.results import Results
from lmrl_eval.score import NAMELESS, PAPER, Score, oracle_name, player_of, short_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = (
    "policy",
    "normalized",
    "to optimum",
    "return",
    "success",
    "length",
    "invalid",
    "move accuracy",
    "episodes",
    "seeds",
)


NOTE = 300  # characters of the note on a marked row
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def plus_minus(
    mean: float,
    interval: tuple[float, float] | None,
    digits: int,
    number: Callable[[float, int], str] = "{:.{}f}".format,
) -> str:
    """The mean and half the width of its interval, if it has one, both as `number` writes them."""
    return number(mean, digits) + (f" ± {number(half_width(interval), digits)}" if interval else "")


def half_width(interval: tuple[float, float]) -> float:
    """Half the distance of the two bounds."""
    return (interval[1] - interval[0]) / 2


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]], texts: Sequence[str] | None = None) -> str:
    """A Markdown table; the columns named in `texts`, by default the first, are texts and the others numbers."""
    texts = columns[:1] if texts is None else texts
    lines = [columns, ["---" if name in texts else "---:" for name in columns], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def table(scores: Sequence[Score]) -> str:
    """A Markdown table for each task, version, config and oracle, with notes on marked rows and on the numbers."""
    groups: dict[tuple[str, str, str, str], list[Score]] = {}
    for score in scores:
        groups.setdefault((score.task, score.config, score.task_version, oracle_name(score)), []).append(score)
    parts = []
    for (task, config, version, oracle), members in groups.items():
        spoken = f", oracle {markdown_line(oracle)}" if oracle else ""
        parts.append(f"### {markdown_line(task)}, {markdown_line(config)} (version {markdown_line(version)}){spoken}")
        rows: list[list[str]] = []
        notes: list[str] = []
        for score in members:
            row = _row(score)
            if note := marks(score):
                sign = str(len(notes) + 1).translate(SUPERSCRIPTS)
                notes.append(f"- {sign} {row[0]}: {markdown_line(', '.join(note), NOTE)}")
                row[0] += f" {sign}"
            rows.append(row)
        parts.append(markdown_table(COLUMNS, rows))
        if notes:
            parts.append("Compare marked rows with care:\n\n" + "\n".join(notes))
    parts.append(legend(scores, "; `to optimum` puts 100 at the best possible one"))
    return "\n\n".join(parts) + "\n"


def marks(score: Score) -> list[str]:
    """What makes a score incomparable: another protocol, options, a policy that was trained for something else, an
    unknown player, and answers that were cut or could not be read."""
    lines = [] if score.protocol in (None, PAPER) else [f"protocol {score.protocol}"]
    lines += [f"option {name}={short_json(value)}" for name, value in score.options.items()]
    trained_for = (score.checkpoint or {}).get("trained_for")
    lines += [f"trained for {trained_for}"] if trained_for else []
    lines += [NAMELESS] if player_of(score) is None else []
    return lines + ([score.complaint] if score.complaint else [])


def legend(scores: Iterable[Score], more: str = "") -> str:
    """What the numbers of a table mean; `more` is said of the scale."""
    scores = list(scores)
    levels = sorted({f"{score.confidence_level:.0%}" for score in scores})
    single = "" if all(score.interval for score in scores) else ", which one episode does not have"
    return (
        f"± is half the width of the {' or '.join(levels)} bootstrap interval{single}. 0, 50 and 100 are the "
        f"minimum, the dataset's mean and the maximum that the task's card names{more}. "
        "`length` and `invalid` count actions; `seeds` are the first episode's and, after the slash, the policy's."
    )


def _row(score: Score) -> list[str]:
    policy_seed = "" if score.policy_seed is None else f" / {score.policy_seed}"
    return [
        markdown_line(score.policy),
        plus_minus(score.normalized, score.normalized_interval, 1),
        f"{score.normalized_to_optimum:.1f}",
        plus_minus(score.mean_return, score.interval, 2),
        f"{score.success_rate:.1%}",
        f"{score.mean_turns:.1f}",
        f"{score.invalid_rate:.1%}",
        "" if score.move_accuracy is None else f"{score.move_accuracy:.1%}",
        str(score.n_episodes),
        f"{score.seed}{policy_seed}",
    ]


def write_report(results: Mapping[str, Results], folder: str | Path, *, command: str) -> str:
    """Writes `report.md`, `scores.png` and the pictures, or the figure of the scores alone, and returns the table.

    Args:
        results (`Mapping[str, Results]`): the results by a name for files, in the order of the rows.
        folder (`str` or `Path`): the folder to write to; made if need be. A file whose suffix is one of `FORMATS`
            gets the figure of the scores, and nothing else is written.
        command (`str`): the command that the user ran, printed below the table.

    Raises:
        UserError: if Matplotlib is missing, or the folder cannot be written.
    """
    text = table([result.score for result in results.values()]) + f"\nMade by:\n\n    {one_line(command, 2_000)}\n"
    scores = scores_figure([result.score for result in results.values()])
    if (file := Path(folder)).suffix in FORMATS:
        save_report(file.parent, {file.name: scores}, "report")
        return text
    figures = {"scores.png": ("normalized scores", scores)}
    for name, result in results.items():
        figure = starts_figure(result)
        if figure is not None:
            figures[f"starts-{name}.png"] = (f"return and greedy action by start, {result.score.policy}", figure)
    pictures = "\n\n".join(f"![{markdown_line(title)}]({name})" for name, (title, _) in figures.items())
    files = {name: figure for name, (_, figure) in figures.items()}
    save_report(folder, {**files, "report.md": f"{text}\n{pictures}\n"}, "report")
    return text


def save_report(folder: str | Path, files: "Mapping[str, str | Figure]", name: str) -> None:
    """Writes texts and figures to a folder, which is made if need be.

    Raises:
        UserError: if the folder cannot be written.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            if isinstance(content, str):
                write_text(Path(folder, file), content)
            else:
                Path(folder, file).write_bytes(figure_bytes(content, Path(file).suffix))
    except OSError as error:
        raise UserError(f"cannot write the {name} to {folder}: {error.strerror or error}") from None


def figure_of(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple["Figure", Any]:
    """A new figure with its panels, from left to right and top to bottom.

    Raises:
        UserError: if Matplotlib is not installed.
    """
    # Not pyplot's figure: that would need a display and keep global state.
    figure = require("matplotlib.figure", extra="eval").Figure(figsize=(width, height), layout="constrained", dpi=150)
    return figure, figure.subplots(rows, columns, squeeze=False).ravel()


def scores_figure(scores: Sequence[Score]) -> "Figure":
    """The normalized scores with their intervals, a panel for each task, config and oracle."""
    groups: dict[tuple[str, str, str], list[Score]] = {}
    for score in scores:
        groups.setdefault((score.task, score.config, oracle_name(score)), []).append(score)
    height = sum(1.0 + 0.3 * len(members) for members in groups.values())
    figure, panels = figure_of(7, height, len(groups))
    for axes, ((task, config, oracle), members) in zip(panels, groups.items(), strict=True):
        draw_scores(axes, members, [one_line(score.policy, 40) for score in members])
        spoken = f", oracle {one_line(oracle, 40)}" if oracle else ""
        axes.set_title(f"{one_line(task)}, {one_line(config)}{spoken}", fontsize=10, parse_math=False)
        axes.set_xlabel("normalized return (0 minimum, 50 dataset mean, 100 maximum)")
    return figure


def draw_scores(
    axes: Any, scores: Sequence[Score], names: Sequence[str], scale: tuple[float, float] = (-math.inf, math.inf)
) -> None:
    """Draws normalized scores with their intervals, one a row; a score beyond the scale is an arrow at its edge."""
    for position, score in enumerate(scores):
        numbers = (score.normalized, *(score.normalized_interval or (score.normalized,) * 2))
        mean, low, high = (min(max(value, scale[0]), scale[1]) for value in numbers)
        # The percentile interval of a skewed score may exclude its mean.
        errors = [[max(0.0, mean - low)], [max(0.0, high - mean)]]
        marker = "<" if score.normalized < mean else ">" if score.normalized > mean else "o"
        axes.errorbar(mean, position, xerr=errors, fmt=marker, capsize=3, color="C0")
    for mark in (0, 50, 100):
        axes.axvline(mark, color="0.8", linewidth=1, zorder=0)
    axes.set_yticks(range(len(scores)), names, parse_math=False)
    axes.set_ylim(len(scores) - 0.5, -0.5)


def starts_figure(result: Results) -> "Figure | None":
    """The task's picture of the starts with mean return and greedy first action; `None` if the task has none."""
    task = get_task(result.score.task) if result.score.task in TASKS else None
    if task is None or task.draw is None:
        return None
    figure, panels = figure_of(6, 4.6)
    mesh = task.draw(panels[0], result.returns_by_start(), result.greedy_actions)
    panels[0].set_title(one_line(f"{result.score.policy}, {result.score.config}"), fontsize=10, parse_math=False)
    figure.colorbar(mesh, ax=panels[0], label="mean return", shrink=0.8)
    return figure
