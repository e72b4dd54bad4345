"""What commands show: Markdown is drawn as tables in a terminal and stays Markdown elsewhere; progress is a bar there
and lines elsewhere."""

import functools
import re
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from lmrl_data.text import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDEST = 120  # columns of a paragraph: longer lines are hard to read
FIRST_LINE = 1.0  # seconds without a line of progress: what ends before needs none
LINE_EVERY = 10.0  # seconds between two lines of progress, at first
NARROWEST = 24  # columns of a last cell: where there are fewer, it goes on at the left
CELL_GAP = 2  # columns


def in_terminal() -> bool:
    """Whether the output goes to a terminal."""
    return sys.stdout.isatty()


def terminal_width() -> int:
    """The columns of the terminal, or 80 where there is none."""
    return shutil.get_terminal_size((80, 24)).columns


def wrapped(text: str, indent: str = "") -> str:
    """`text` with line breaks between words where the terminal ends; elsewhere unchanged.

    Args:
        indent (`str`, *optional*): begins all lines but the first.
    """
    import textwrap

    if not in_terminal():
        return text
    width = min(terminal_width(), WIDEST)
    lines = text.split("\n")
    fill = functools.partial(
        textwrap.fill, width=width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(line if len(line) <= width else fill(line) for line in lines)


def aligned(rows: Sequence[Sequence[str]], indent: str = "") -> str:
    """Rows of cells as lines whose columns are aligned; the last cell is wrapped in a terminal.

    Examples:
        >>> print(aligned([("a", "first"), ("long", "second")]))
        a     first
        long  second
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    gap = " " * CELL_GAP
    margin = indent + " " * (sum(widths) + CELL_GAP * len(widths))
    if len(margin) + NARROWEST > terminal_width():
        margin = indent + 2 * gap
    lines = []
    for *cells, last in rows:
        start = "".join(cell.ljust(width) + gap for cell, width in zip(cells, widths, strict=True))
        lines.append(wrapped(f"{indent}{start}{last}".rstrip(), margin))
    return "\n".join(lines)


# --- tables and Markdown


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> None:
    """Prints a table: drawn in a terminal, as aligned lines elsewhere.

    Args:
        columns (`Sequence[str]`), rows (`Sequence[Sequence[str]]`): the heads and the cells.
        texts (`int`, *optional*, defaults to `1`): how many columns, from the left, are texts; the others are numbers.
    """
    if not in_terminal():
        print(aligned([columns, *rows]))
        return
    from rich.text import Text

    heads = [Text(column, style="bold") for column in columns]
    cells = [[Text(cell) for cell in row] for row in rows]
    width = terminal_width()
    for part in draw_table(heads, cells, [index >= texts for index in range(len(columns))], width):
        _console().print(part)


def _console() -> "Console":
    from rich.console import Console
    from rich.theme import Theme

    styles = {"markdown.h3": "bold", "markdown.code": "bold", "markdown.table.header": "bold"}
    # Without a height, a width does not count where TERM is dumb.
    return Console(width=terminal_width(), height=25, theme=Theme(styles), highlight=False)


def print_markdown(text: str) -> None:
    """Prints Markdown: drawn in a terminal, as it is elsewhere."""
    if not in_terminal():
        print(text)
        return
    _console().print(_drawn_markdown(text))
    print()


def _drawn_markdown(text: str) -> Any:
    from rich.markdown import CodeBlock, Markdown, TableElement
    from rich.text import Text

    class Table(TableElement):
        """A table whose cells never break within a word."""

        def __rich_console__(self, console: Any, options: Any) -> Any:
            rows = [row.cells for row in self.body.rows] if self.body else []
            header = self.header.row.cells if self.header and self.header.row else []
            columns = [cell.content for cell in header]
            right = [cell.justify == "right" for cell in header]
            width = options.max_width
            yield from draw_table(columns, [[cell.content for cell in row] for row in rows], right, width)

    class Code(CodeBlock):
        """A command, continued on the next line where it is too long."""

        def __rich_console__(self, console: Any, options: Any) -> Any:
            for line in str(self.text).rstrip().split("\n"):
                yield Text(_continued(line, options.max_width), no_wrap=True, overflow="ignore")

    class Drawn(Markdown):
        elements = Markdown.elements | {"table_open": Table, "code_block": Code, "fence": Code}

    return Drawn(text, hyperlinks=False)


def _continued(command: str, width: int) -> str:
    lines = ["   "]
    for word in re.findall(r"(?:'[^']*'|\S)+", command):
        if len(lines[-1]) + len(word) + 3 > width and lines[-1].strip():
            lines[-1] += " \\"
            lines.append("     ")
        lines[-1] += f" {word}"
    return "\n".join(lines)


def draw_table(columns: Sequence["Text"], rows: Sequence[Sequence["Text"]], right: Sequence[bool], width: int) -> Any:
    """Yields a table as `rich` draws it. One that is too wide is turned: each column becomes a line, and the rows
    stand beside each other, as many as there is space for.

    Args:
        columns (`Sequence[Text]`): the heads of the columns; they may break between words.
        rows (`Sequence[Sequence[Text]]`): the cells; they break only in a table that has one row and is too wide.
        right (`Sequence[bool]`): which columns stand on the right, as numbers do.
        width (`int`): of the terminal.
    """
    from rich.text import Text

    columns, rows = [_upright(cell) for cell in columns], [[_upright(cell) for cell in row] for row in rows]
    kept = [index for index in range(len(columns)) if any(row[index].plain for row in rows)] or [0]
    columns, right = [columns[index] for index in kept], [right[index] for index in kept]
    rows = [[row[index] for index in kept] for row in rows]
    widths = [
        max([*map(len, head.plain.split()), *(row[index].cell_len for row in rows)])
        for index, head in enumerate(columns)
    ]
    if sum(widths) + CELL_GAP * len(widths) <= width or not rows:
        yield _table(columns, rows, right, widths)
        return
    sizes = [max(cell.cell_len for cell in row) for row in rows]
    # Names of columns break between words where even one row beside them is too wide.
    left = max(head.cell_len for head in columns)
    if left + CELL_GAP + max(sizes) > width:
        left = max(len(word) for head in columns for word in head.plain.split())
    blocks: list[list[int]] = [[]]
    for index, size in enumerate(sizes):
        used = left + sum(CELL_GAP + sizes[other] for other in blocks[-1])
        if blocks[-1] and used + CELL_GAP + size > width:
            blocks.append([])
        blocks[-1].append(index)
    for number, block in enumerate(blocks):
        if number:
            yield Text()
        names = [columns[0], *(rows[index][0] for index in block)]
        lines = [[head, *(rows[index][column] for index in block)] for column, head in enumerate(columns[1:], 1)]
        # A text that is longer than the terminal has to break somewhere.
        most = max(1, width - left - CELL_GAP)
        fitting = [left, *(min(sizes[index], most) for index in block)]
        yield _table(names, lines, [False, *[right[-1]] * len(block)], fitting)


def _upright(cell: "Text") -> "Text":
    """A copy of a cell; the column says on which side its text stands."""
    copy = cell.copy()
    copy.justify = None
    return copy


def _table(
    heads: Sequence["Text"], rows: Sequence[Sequence["Text"]], right: Sequence[bool], widths: Sequence[int]
) -> Any:
    from rich import box
    from rich.table import Table

    # The box has a space between two columns.
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, CELL_GAP - 1, 0, 0), show_edge=False)
    for head, is_right, columns in zip(heads, right, widths, strict=True):
        table.add_column(head, justify="right" if is_right else "left", width=columns, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


# --- progress


class Progress(Protocol):
    """What is done of a long work; used as a context manager."""

    def update(self, n: float = 1) -> object:
        """Says that so much more is done."""
        ...


def progress_bar(
    total: int, name: str, unit: str, *, initial: int = 0, show: bool = True
) -> AbstractContextManager[Progress]:
    """A bar on stderr in a terminal; elsewhere a line for each tenth that is done, and every ten seconds.

    Args:
        total (`int`): how much there is to do.
        name (`str`): what is done, in front of the bar.
        unit (`str`): what is counted, such as `episodes`; `B` for bytes.
        initial (`int`, *optional*, defaults to `0`): how much was done before.
        show (`bool`, *optional*, defaults to `True`): whether to show anything.
    """
    if not show or sys.stderr.isatty():
        from tqdm import tqdm

        unit = unit if unit == "B" else f" {unit}"
        return tqdm(total=total, initial=initial, desc=name, unit=unit, unit_scale=unit == "B", disable=not show)
    return ProgressLines(total, name, unit, initial)


class ProgressLines:
    """Progress as lines on stderr, for a file or a pipe. What takes less than a second writes none.

    Args:
        total (`int`), name (`str`), unit (`str`), initial (`int`): see [`progress_bar`].
    """

    def __init__(self, total: int, name: str, unit: str, initial: int = 0) -> None:
        self.total, self.name, self.unit = total, one_line(name), unit
        self.done: float = initial
        self._begun = time.monotonic()
        self._shown: float = initial
        self._shown_at = self._begun

    def update(self, n: float = 1) -> None:
        """Says that so much more is done, with a line if it is time for one."""
        self.done += n
        now = time.monotonic()
        # In a run of hours the lines become rarer: a tenth more time for each.
        pause = max(LINE_EVERY, (now - self._begun) / 10)
        if self.done >= self.total:
            return  # the last line comes at the end
        tenth = (self.done - self._shown) * 10 >= self.total
        if (tenth and now - self._shown_at >= FIRST_LINE) or now - self._shown_at >= pause:
            self._write(now)

    def _write(self, now: float) -> None:
        self._shown, self._shown_at = self.done, now
        share, seconds = f"{100 * self.done / max(self.total, 1):.0f} %", f"{now - self._begun:.0f} s"
        line = f"{self.name}: {self.done:,.0f} of {self.total:,} {self.unit} ({share}), {seconds}"
        print(line, file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        now = time.monotonic()
        if kind is None and self._shown != self.done and now - self._begun >= FIRST_LINE:
            self._write(now)
