"""A task's own page, with the paper's values for its data, and the templates that cards are rendered from."""

import functools
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lmrl_data.dataset.statistics import Summary
from lmrl_data.errors import UserError
from lmrl_data.task import Task
from lmrl_data.tasks import task_files
from lmrl_data.text import markdown_block, markdown_code, markdown_line

if TYPE_CHECKING:
    from jinja2 import Environment

PAGE = "card.md"  # of a task, in its own package


def cards_folder() -> Path:
    """The folder of the templates and of our tasks' pages."""
    return Path(str(files("lmrl_cards")))


# --- a task's own page


class TaskPage(NamedTuple):
    """The page of a task: the paper's values for the data, and the text about the task."""

    title: str
    paper: Summary | None  # `None` for a task that is not the paper's
    text: str
    licence: str  # of the dataset, as the Hub writes it
    attribution: str  # what the licence asks to be said beside it; may be empty


class Licence(NamedTuple):
    """How a licence is called, and where it stands."""

    name: str
    url: str


# Of our own datasets, by the name the Hub has for each.
LICENCES = {
    "apache-2.0": Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
    "cc-by-4.0": Licence("CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/"),
}


def task_page(task: Task) -> TaskPage:
    """The page of a task: `cards/tasks/<task>.md`, or `card.md` in the task's own package.

    Raises:
        UserError: if a task that is not ours comes without a page.
    """
    import yaml

    page: Traversable = cards_folder() / "tasks" / f"{task.id}.md"
    if not page.is_file():
        page = task_files(task.id) / PAGE
    if not page.is_file():
        raise UserError(f"the task {task.id} has no page: write {PAGE} beside its TASK")
    _, head, text = page.read_text(encoding="utf-8").split("---\n", 2)
    facts = yaml.safe_load(head)
    paper = facts.get("table_1")
    if paper is not None:
        paper = Summary(paper["size"], tuple(paper["length"]), paper["success_rate"], tuple(paper["total_reward"]))
    licence, attribution = facts.get("license", "apache-2.0"), facts.get("attribution", "")
    return TaskPage(facts["title"], paper, text.strip(), licence, attribution)


# --- templates


def _spread(pair: Sequence[float]) -> str:
    return f"{pair[0]:.3g} ± {pair[1]:.3g}".replace("-", "−")


@functools.cache
def templates(folder: str = ".") -> "Environment":
    """The templates of a folder in `cards/`. Only files of ours are templates; episodes, names and numbers are values
    and never parsed. HTML is escaped; Markdown has the filters `line`, `code`, `block` and `spread`."""
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        loader=FileSystemLoader(cards_folder() / folder), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
        autoescape=lambda name: name is not None and name.endswith(".html.jinja"),
    )  # fmt: skip
    environment.filters.update(
        line=functools.partial(markdown_line, limit=500), code=markdown_code, block=markdown_block, spread=_spread
    )
    return environment


def front_matter(**values: Any) -> str:
    """The head of a card, which the Hub reads."""
    import yaml

    return f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}---\n"
