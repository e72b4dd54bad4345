"""The leaderboard as a page: static files that anyone can host, readable without JavaScript, and the same in Markdown.

Scores of different games never share a table. Everything in an entry was written by others: it is shown as text.
"""

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lmrl_data.dataset.card import cards_folder, task_page, templates
from lmrl_data.errors import UserError
from lmrl_data.tasks import TASKS, get_task
from lmrl_data.text import markdown_line, one_line
from lmrl_eval.leaderboard.collect import Entry
from lmrl_eval.leaderboard.text import (
    NO_SIZE,
    SIZES,
    Sample,
    bucket,
    claim,
    half_width,
    link,
    number,
    plot,
    plus_minus,
    sample,
    seeds,
    size,
    weights,
)
from lmrl_eval.report import figure_of, oracle_name
from lmrl_eval.score import Score
from lmrl_eval.verify import PAPER, sampling

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure

RANKED = ("verified", "oracle")
STATUS = {
    "verified": "verified",
    "oracle": "verified with the oracle's own replies",
    "flagged": "flagged",
    "unchecked": "not checked",
}
NO_ALGORITHM = "not stated"
MAX_EPISODES = 3  # of an entry; the others are where they were published
RULE = (
    "An entry's rank is one more than the number of entries whose whole interval lies above its score, so entries "
    "that the episodes cannot tell apart share a rank."
)


# --- what stands together, and in which order


class Group(NamedTuple):
    """The entries of one table: all of the same game."""

    task: str
    config: str
    version: str
    oracle: str  # empty where the simulator speaks for itself
    conditions: str  # protocol, reset options, seeds and kind of interval, where they are not the task's own
    ranked: list[tuple[int, Entry]]
    unranked: list[Entry]

    @property
    def entries(self) -> list[Entry]:
        return [entry for _, entry in self.ranked] + self.unranked


def rank(entries: Iterable[Entry]) -> list[tuple[int, Entry]]:
    """The entries with their ranks, best first: see `RULE`.

    Intervals are compared with scores and not with one another: nobody gets a better rank by playing fewer episodes.
    """
    entries = list(entries)
    above = [
        sum(other.score.normalized_interval[0] > entry.score.normalized for other in entries if other is not entry)
        for entry in entries
    ]
    pairs = [(1 + better, entry) for better, entry in zip(above, entries, strict=True)]
    return sorted(pairs, key=lambda pair: (pair[0], *_order(pair[1])))


def _order(entry: Entry) -> tuple[object, ...]:
    return -entry.score.normalized, entry.model, entry.score.policy, repr(entry)


def group(entries: Iterable[Entry]) -> list[Group]:
    """The tables: tasks in the registry's order, newest versions first."""
    members: dict[tuple[str, str, str, str, str], list[Entry]] = {}
    for entry in entries:
        score = entry.score
        key = score.task, score.config, score.task_version, oracle_name(score), _conditions(score)
        members.setdefault(key, []).append(entry)
    known = list(TASKS)

    def order(key: tuple[str, ...]) -> tuple[object, ...]:
        task, config, version, *rest = key
        numbers = [-int(number) for number in re.findall(r"[0-9]{1,9}", version)]
        return known.index(task) if task in known else len(known), task, config, numbers, version, rest

    return [
        Group(
            *key,
            rank(entry for entry in members[key] if entry.status in RANKED),
            sorted(
                (entry for entry in members[key] if entry.status not in RANKED),
                key=lambda entry: (entry.status, *_order(entry)),
            ),
        )
        for key in sorted(members, key=order)
    ]


def _conditions(score: Score) -> str:
    options = score.options if isinstance(score.options, Mapping) else {"options": score.options}
    parts = [f"{name}={json.dumps(value)}" for name, value in sorted(options.items())]
    if score.protocol not in (None, PAPER):
        parts.insert(0, f"protocol {score.protocol}")
    # Seeds can be chosen and an interval made narrow. What an entry states without episodes says nothing of either.
    if score.n_episodes and score.task in TASKS:
        parts += sampling(score)
    return ", ".join(parts)


# --- the page


class Row(NamedTuple):
    """One entry as the page shows it."""

    id: str
    rank: int | None
    entry: Entry
    algorithm: str
    bucket: str
    samples: list[Sample]


class Table(NamedTuple):
    """One table as the page shows it."""

    group: Group
    about: str
    ranked: list[Row]
    unranked: list[Row]

    @property
    def rows(self) -> list[Row]:
        return self.ranked + self.unranked


class Section(NamedTuple):
    """All tables of a task."""

    id: str
    name: str
    title: str
    summary: str
    tables: list[Table]


def write_page(
    entries: Sequence[Entry], folder: Path, *, title: str = "LMRL-Gym leaderboard", command: str
) -> list[str]:
    """Writes the page and the card of the Space that shows it; same entries, same bytes.

    Args:
        entries (`Sequence[Entry]`): all that was found, in any order.
        folder (`Path`): where to; made if need be.
        title (`str`, *optional*, defaults to `"LMRL-Gym leaderboard"`): of the page.
        command (`str`): what the user ran, to stand below the tables.

    Returns:
        `list[str]`: the names of the files.

    Raises:
        UserError: if the folder cannot be written.
    """
    import yaml

    from lmrl_data.dataset.folder import write_text

    sections = _sections(entries)
    rows = [row for section in sections for table in section.tables for row in table.rows]
    page = _templates().get_template("index.html.jinja").render(
        title=title,
        command=one_line(command, 2_000),
        sections=sections,
        n_entries=len(rows),
        n_ranked=sum(row.rank is not None for row in rows),
        algorithms=sorted({row.algorithm for row in rows}),
        buckets=[name for name in [*(name for _, name in SIZES), NO_SIZE] if name in {row.bucket for row in rows}],
        levels=sorted({f"{row.entry.score.confidence_level:.0%}" for row in rows}),
    )  # fmt: skip
    head = yaml.safe_dump(
        {
            "title": title,
            "emoji": "🏆",
            "colorFrom": "indigo",
            "colorTo": "green",
            "sdk": "static",
            "pinned": False,
            "license": "apache-2.0",
            "short_description": "Verified scores on LMRL-Gym's tasks",
        },
        sort_keys=False,
        allow_unicode=True,
    )
    card = (
        _templates()
        .get_template("README.md.jinja")
        .render(title=markdown_line(title), command=one_line(command, 2_000))
    )
    files = {"README.md": f"---\n{head}---\n{card}", "index.html": page}
    for name in ("leaderboard.js", "style.css"):
        files[name] = (cards_folder() / "leaderboard" / name).read_text(encoding="utf-8")
    try:
        # The page comes last, so that it never stands without what it needs.
        for name in sorted(files, key=lambda name: (name == "index.html", name)):
            write_text(folder / name, files[name])
    except OSError as error:
        raise UserError(f"cannot write the leaderboard to {folder}: {error.strerror or error}") from None
    return sorted(files)


def _sections(entries: Sequence[Entry]) -> list[Section]:
    sections: dict[str, Section] = {}
    taken: set[str] = set()
    for each in group(entries):
        if each.task not in sections:
            name, title, summary = one_line(each.task), one_line(each.task), ""
            if each.task in TASKS:
                task = get_task(each.task)
                title, summary = task_page(task).title.removeprefix("LMRL-Gym "), task.summary
            sections[each.task] = Section(f"task-{len(sections) + 1}", name, title, summary, [])
        ranked = [_row(entry, place, taken) for place, entry in each.ranked]
        unranked = [_row(entry, None, taken) for entry in each.unranked]
        sections[each.task].tables.append(Table(each, _about(each), ranked, unranked))
    return list(sections.values())


def _about(each: Group) -> str:
    if each.task in TASKS and each.config in get_task(each.task).configs:
        return get_task(each.task).configs[each.config].description
    return ""


def _row(entry: Entry, place: int | None, taken: set[str]) -> Row:
    score = entry.score
    key = (entry.model, score.task, score.config, score.task_version, score.policy, oracle_name(score),
           _conditions(score), score.seed, score.policy_seed)  # fmt: skip
    # A link to an episode stays good when other entries come and go.
    name = digest = hashlib.sha256(repr(key).encode("utf-8", "replace")).hexdigest()[:10]
    while name in taken:
        name = f"{digest}-{len(taken)}"
    taken.add(name)
    return Row(
        name,
        place,
        entry,
        NO_ALGORITHM if entry.algorithm is None else one_line(entry.algorithm, 40),
        bucket(weights(entry)),
        [sample(episode) for episode in entry.episodes[:MAX_EPISODES]],
    )


@functools.cache
def _templates() -> "Environment":
    environment = templates("leaderboard")
    filters = (one_line, number, half_width, plus_minus, claim, size, seeds, weights, link, plot)
    environment.filters.update({each.__name__: each for each in filters})
    environment.globals.update(STATUS=STATUS, RULE=RULE)
    return environment


# --- the same as Markdown and as a picture

COLUMNS = (
    "rank", "model", "algorithm", "size", "normalized", "return", "success", "length", "invalid", "episodes", "seeds",
    "status",
)  # fmt: skip


def markdown_table(entries: Sequence[Entry]) -> str:
    """The page's tables as Markdown, with what the numbers mean."""
    parts = []
    for each in group(entries):
        notes = [each.oracle and f"oracle {each.oracle}", each.conditions]
        more = "".join(f", {markdown_line(note)}" for note in notes if note)
        title = f"{each.task}, {each.config} (version {each.version})"
        parts.append(f"### {markdown_line(title, None)}{more}")
        if each.ranked:
            rows = [list(COLUMNS), ["---:", "---", "---", *["---:"] * (len(COLUMNS) - 4), "---"]]
            rows += [_cells(place, entry) for place, entry in each.ranked]
            parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
        if each.unranked:
            parts.append("Not ranked:\n\n" + "\n".join(_unranked(entry) for entry in each.unranked))
    if not parts:
        return "There are no scores yet.\n"
    levels = sorted({f"{entry.score.confidence_level:.0%}" for entry in entries})
    parts.append(
        f"± is half the width of the {' or '.join(levels)} bootstrap interval. 0, 50 and 100 are the minimum, the "
        "dataset's mean and the maximum that the task's card names. `length` and `invalid` count actions; `seeds` are "
        f"the first episode's and, after the slash, the policy's. {RULE}"
    )
    return "\n\n".join(parts) + "\n"


def _cells(place: int, entry: Entry) -> list[str]:
    score = entry.score
    url = link(entry.model_url)
    return [
        str(place),
        # In angle brackets, a URL with round ones in it does not end early.
        f"[{markdown_line(entry.model)}](<{url}>)" if url and not set("<>") & set(url) else markdown_line(entry.model),
        markdown_line(entry.algorithm or ""),
        size(weights(entry)),
        plus_minus(score.normalized, score.normalized_interval, 1),
        plus_minus(score.mean_return, score.interval, 2),
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
    """The ranked normalised scores with their intervals, a panel for each table.

    Raises:
        UserError: if nothing is ranked, or Matplotlib is missing.
    """
    groups = [each for each in group(entries) if each.ranked]
    if not groups:
        raise UserError("there is no ranked score to draw")
    shown = [each.ranked[:20] for each in groups]

    def place(value: float) -> float:
        return min(max(value, -100.0), 200.0)  # what lies outside is an arrow at the edge

    bounds = [place(bound) for rows in shown for _, entry in rows for bound in entry.score.normalized_interval]
    left, right = min(0.0, *bounds), max(100.0, *bounds)
    figure, panels = figure_of(9, 0.4 + sum(0.7 + 0.3 * len(rows) for rows in shown), len(groups))
    for axes, each, rows in zip(panels, groups, shown, strict=True):
        for position, (_, entry) in enumerate(rows):
            mean, low, high = map(place, (entry.score.normalized, *entry.score.normalized_interval))
            # The percentile interval of a skewed score may leave out its mean.
            errors = [[max(0.0, mean - low)], [max(0.0, high - mean)]]
            beyond = entry.score.normalized - mean
            marker = "<" if beyond < 0 else ">" if beyond > 0 else "o"
            axes.errorbar(mean, position, xerr=errors, fmt=marker, capsize=3, color="C0")
        for mark in (0, 50, 100):
            axes.axvline(mark, color="0.8", linewidth=1, zorder=0)
        names = [f"{one_line(entry.model, 40)}  {position}" for position, entry in rows]
        axes.set_yticks(range(len(rows)), names, parse_math=False)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        # All on one scale, with a little air at both ends.
        axes.set_xlim(left - 0.03 * (right - left), right + 0.03 * (right - left))
        title = ", ".join(one_line(part, 40) for part in each[:5] if part)
        axes.set_title(title, fontsize=10, loc="left", parse_math=False)
    panels[-1].set_xlabel("normalized return (0 minimum, 50 dataset mean, 100 maximum)")
    return figure


def write_leaderboard(entries: Sequence[Entry], folder: Path, *, command: str) -> list[str]:
    """Writes the page, the table and, if anything is ranked, the figure; returns the names of the files.

    Raises:
        UserError: if the folder cannot be written.
    """
    from lmrl_data.dataset.folder import write_text

    names = write_page(entries, folder, command=command)
    figure = folder / "leaderboard.png"
    try:
        write_text(folder / "leaderboard.md", markdown_table(entries))
        if any(entry.status in RANKED for entry in entries):
            # Without the software's version in the file, the same scores make the same picture.
            leaderboard_figure(entries).savefig(figure, metadata={"Software": None})
            names = [*names, figure.name]
        else:
            figure.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot write the leaderboard to {folder}: {error.strerror or error}") from None
    return [*names, "leaderboard.md"]
