"""Reads the text files in the `assets/` folder of a task."""

from lmrl_data.tasks import task_files


def asset(task: str, name: str) -> str:
    """The text of a file of a task."""
    return task_files(task).joinpath("assets", name).read_text(encoding="utf-8")


def lines(task: str, name: str) -> list[str]:
    """The lines of a file without empty ones and comments, which start with `#`."""
    return [line.strip() for line in asset(task, name).splitlines() if line.strip() and not line.startswith("#")]


def table(task: str, name: str) -> list[dict[str, str]]:
    """The rows of a tab-separated file, each by the names in its first line.

    The first line may explain a column in brackets behind its name. Cells that are missing at the end of a row are
    empty.
    """
    head, *rows = [line for line in asset(task, name).splitlines() if line.strip() and not line.startswith("#")]
    names = [cell.split(" ")[0] for cell in head.split("\t")]
    cells = [row.split("\t") for row in rows]
    return [dict(zip(names, [*row, *[""] * (len(names) - len(row))], strict=True)) for row in cells]
