"""The leaderboard as static files: a page that is readable without JavaScript, the same tables in Markdown, a figure.

Only scores of the same game share a table. Others wrote the texts of an entry, so they are shown as text and never
as markup.
"""

import functools
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from lmrl_data.dataset.page import cards_folder, task_page, templates
from lmrl_data.errors import UserError
from lmrl_data.tasks import TASKS, get_task
from lmrl_data.text import markdown_line, one_line
from lmrl_eval.leaderboard.entry import RANKED, Entry, conditions, game, tables
from lmrl_eval.leaderboard.text import (
    NO_SIZE,
    SIZES,
    bucket,
    claim,
    lines,
    link,
    number,
    plot,
    seeds,
    size,
    spread,
    total,
    weights,
)
from lmrl_eval.report import draw_scores, figure_of, half_width, legend, markdown_table, save_report
from lmrl_eval.score import Score, oracle_name

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure

FIGURE = "leaderboard.png"
STATUS = {
    "verified": "verified",
    "oracle": "verified with the oracle's own replies",
    "flagged": "flagged",
    "unchecked": "not checked",
}
MAX_EPISODES = 3  # episodes shown of an entry
FIGURE_ROWS, FIGURE_SCALE = 20, (-100.0, 200.0)  # of the figure: a score beyond its scale is an arrow at the edge
RULE = (
    "An entry's rank is one more than the number of entries whose whole interval lies above its score, so entries "
    "that the episodes cannot tell apart share a rank."
)
COLUMNS = (
    "rank", "model", "algorithm", "size", "normalized", "return", "success", "length", "invalid", "episodes", "seeds",
    "status",
)  # fmt: skip


def write_leaderboard(entries: Sequence[Entry], folder: Path, *, command: str) -> list[str]:
    """Writes the page, the Markdown tables and, if an entry is ranked, the figure; returns the names of the files.

    Args:
        entries (`Sequence[Entry]`): in any order.
        folder (`Path`): created if it is missing.
        command (`str`): the user's command, shown below the tables.

    Raises:
        UserError: if the folder cannot be written.
    """
    files: dict[str, str | Figure] = {"leaderboard.md": leaderboard_markdown(entries)}
    if any(entry.status in RANKED for entry in entries):
        files[FIGURE] = leaderboard_figure(entries)
    # The page is written last, so it never stands without its script and style.
    files |= page_files(entries, command=command)
    save_report(folder, files, "leaderboard")
    if FIGURE not in files:
        (folder / FIGURE).unlink(missing_ok=True)
    return list(files)


# --- the page


def page_files(entries: Sequence[Entry], *, command: str) -> dict[str, str]:
    """The page with its script, its style and the card of a static Space, by name. The same entries in any order make
    the same texts."""
    drawn = tables(entries)
    rows = [entry for table in drawn for entry in table]
    buckets = {bucket(weights(entry.parameters)) for entry in rows}
    page = _templates().get_template("index.html.jinja").render(
        command=one_line(command, 2_000),
        sections=[(task, list(members)) for task, members in groupby(drawn, lambda table: table[0].score.task)],
        n_entries=len(rows),
        n_ranked=sum(entry.rank is not None for entry in rows),
        algorithms=sorted({algorithm(entry) for entry in rows}),
        buckets=[name for name in [*(name for _, name in SIZES), NO_SIZE] if name in buckets],
        levels=sorted({f"{entry.score.confidence_level:.0%}" for entry in rows}),
    )  # fmt: skip
    card = _templates().get_template("README.md.jinja").render(command=one_line(command, 2_000))
    fixed = {name: cards_folder() / "leaderboard" / name for name in ("leaderboard.js", "style.css")}
    texts = {name: path.read_text(encoding="utf-8") for name, path in fixed.items()}
    return {"README.md": card, **texts, "index.html": page}


def task_title(task: str) -> str:
    """A task's title on the page."""
    return task_page(get_task(task)).title.removeprefix("LMRL-Gym ") if task in TASKS else one_line(task)


def task_summary(task: str) -> str:
    """The sentence below a task's title."""
    return get_task(task).summary if task in TASKS else ""


def config_description(score: Score) -> str:
    """The sentence below a table's title."""
    configs = get_task(score.task).configs if score.task in TASKS else {}
    return configs[score.config].description if score.config in configs else ""


def algorithm(entry: Entry) -> str:
    """An entry's algorithm on the page."""
    return "not stated" if entry.algorithm is None else one_line(entry.algorithm, 40)


@functools.cache
def _templates() -> "Environment":
    environment = templates("leaderboard")
    filters = (
        one_line, number, half_width, spread, claim, size, seeds, weights, bucket, link, plot, lines, total,
        task_title, task_summary, config_description, algorithm, oracle_name, conditions,
    )  # fmt: skip
    environment.filters.update({function.__name__: function for function in filters})
    environment.globals.update(STATUS=STATUS, RULE=RULE, MAX_EPISODES=MAX_EPISODES)
    return environment


# --- the same as Markdown and as a figure


def leaderboard_markdown(entries: Sequence[Entry]) -> str:
    """The page's tables as Markdown, with a legend."""
    parts = []
    for table in tables(entries):
        task, config, version, oracle, setting = game(table[0].score)
        notes = [oracle and f"oracle {oracle}", setting]
        more = "".join(f", {markdown_line(note)}" for note in notes if note)
        parts.append(f"### {markdown_line(f'{task}, {config} (version {version})', None)}{more}")
        if ranked := [_cells(entry) for entry in table if entry.rank is not None]:
            parts.append(markdown_table(COLUMNS, ranked, texts=("model", "algorithm", "status")))
        if unranked := [_unranked(entry) for entry in table if entry.rank is None]:
            parts.append("Not ranked:\n\n" + "\n".join(unranked))
    if not parts:
        return "There are no scores yet.\n"
    parts.append(f"{legend(entry.score for entry in entries)} {RULE}")
    return "\n\n".join(parts) + "\n"


def _cells(entry: Entry) -> list[str]:
    score, model = entry.score, markdown_line(entry.model)
    url = link(entry.model_url)
    return [
        str(entry.rank),
        # Angle brackets, because a round one in the URL would end the link.
        f"[{model}](<{url}>)" if url and not set("<>") & set(url) else model,
        markdown_line(entry.algorithm or ""),
        size(weights(entry.parameters)),
        spread(score.normalized, score.normalized_interval, 1),
        spread(score.mean_return, score.interval, 2),
        f"{number(100 * score.success_rate, 1)}%",
        number(score.mean_turns, 1),
        f"{number(100 * score.invalid_rate, 1)}%",
        number(score.n_episodes),
        markdown_line(seeds(score)),
        STATUS[entry.status],
    ]


def _unranked(entry: Entry) -> str:
    reasons = "; ".join(markdown_line(one_line(problem, 200)) for problem in entry.problems) or "no reason given"
    return f"* {markdown_line(entry.model)}, which states {claim(entry.score)}: {STATUS[entry.status]}: {reasons}"


def leaderboard_figure(entries: Sequence[Entry]) -> "Figure":
    """The ranked normalized scores with their intervals, a panel for each table.

    Raises:
        UserError: if nothing is ranked, or Matplotlib is missing.
    """
    shown = [[entry for entry in table if entry.rank is not None][:FIGURE_ROWS] for table in tables(entries)]
    shown = [rows for rows in shown if rows]
    if not shown:
        raise UserError("there is no ranked score to draw")
    bounds = [bound for rows in shown for entry in rows for bound in entry.score.normalized_interval or ()]
    left = max(min(0.0, *bounds), FIGURE_SCALE[0])
    right = min(max(100.0, *bounds), FIGURE_SCALE[1])
    margin = 0.03 * (right - left)
    figure, panels = figure_of(9, 0.4 + sum(0.7 + 0.3 * len(rows) for rows in shown), len(shown))
    for axes, rows in zip(panels, shown, strict=True):
        names = [f"{one_line(entry.model, 40)}  {entry.rank}" for entry in rows]
        draw_scores(axes, [entry.score for entry in rows], names, FIGURE_SCALE)
        axes.set_xlim(left - margin, right + margin)
        title = ", ".join(one_line(part, 40) for part in game(rows[0].score) if part)
        axes.set_title(title, fontsize=10, loc="left", parse_math=False)
    panels[-1].set_xlabel("normalized return (0 minimum, 50 dataset mean, 100 maximum)")
    return figure
