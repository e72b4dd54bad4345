"""The cards: what a reader sees of a dataset, rendered from the data themselves."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lmrl_data.episode import Episode
from lmrl_data.errors import UserError
from lmrl_data.task import TEST_SEED, TRAIN_SEED, Task
from lmrl_data.tasks import task_files
from lmrl_data.text import markdown_block, markdown_code, markdown_line

if TYPE_CHECKING:
    from datasets import DatasetInfo
    from jinja2 import Environment

Splits = Mapping[str, Callable[[], Iterable[Episode]]]  # how to read the episodes of each split


def cards_folder() -> Path:
    """The folder of the templates and of the tasks' pages."""
    return Path(str(files("lmrl_cards")))


# --- statistics


class Summary(NamedTuple):
    """One line of the paper's Table 1. Deviations are of the population."""

    size: int
    length: tuple[float, float]  # mean and deviation of the number of agent turns
    success_rate: float
    total_reward: tuple[float, float]  # mean and deviation of the return


class Statistics(NamedTuple):
    """One entry per episode; all arrays of shape [episodes]."""

    lengths: np.ndarray
    returns: np.ndarray
    successes: np.ndarray
    policies: np.ndarray

    @classmethod
    def of(cls, episodes: Iterable[Episode]) -> "Statistics":
        rows = [(each.num_turns, each.total_reward, each.success, each.policy) for each in episodes]
        return cls(*(np.array(column) for column in zip(*rows, strict=True)))

    def summary(self, policy: str | None = None) -> Summary:
        """Of all episodes, or of those that one behavior policy played."""
        chosen = np.full(len(self.policies), True) if policy is None else self.policies == policy
        lengths, returns = self.lengths[chosen], self.returns[chosen]
        return Summary(
            int(chosen.sum()),
            (float(lengths.mean()), float(lengths.std())),
            float(self.successes[chosen].mean()),
            (float(returns.mean()), float(returns.std())),
        )

    def by_policy(self) -> dict[str, Summary]:
        return {str(policy): self.summary(policy) for policy in np.unique(self.policies)}


# --- a task's own page


class TaskPage(NamedTuple):
    """A task's page, `cards/tasks/<task>.md`, or `card.md` in the package of a task that is not ours."""

    title: str
    paper: Summary | None  # its Table 1; `None` for a task that the paper does not have
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
    """The page of a task.

    Raises:
        UserError: if a task that is not ours comes without a page.
    """
    import yaml

    page = cards_folder() / "tasks" / f"{task.id}.md"
    file = page if page.is_file() else task_files(task.id) / "card.md"
    if not file.is_file():
        raise UserError(f"the task {task.id} has no page: write card.md beside its TASK")
    _, head, text = file.read_text(encoding="utf-8").split("---\n", 2)
    facts = yaml.safe_load(head)
    paper = facts.get("table_1")
    if paper is not None:
        paper = Summary(paper["size"], tuple(paper["length"]), paper["success_rate"], tuple(paper["total_reward"]))
    licence, attribution = facts.get("license", "apache-2.0"), facts.get("attribution", "")
    return TaskPage(facts["title"], paper, text.strip(), licence, attribution)


def page_section(page: TaskPage, title: str) -> str:
    """The text of a page below one of its headings."""
    return page.text.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0].strip()


# --- rendering


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
    import yaml

    return f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}---\n"


def _size_category(size: int) -> str:
    bounds = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]
    return next((name for bound, name in bounds if size < bound), "1M<n<10M")


def _example(episodes: Iterable[Episode]) -> Episode:
    """The first episode of four to eight actions, or the first of all."""
    first = None
    for episode in episodes:
        first = first or episode
        if 4 <= episode.num_turns <= 8:
            return episode
    assert first is not None
    return first


def leaderboard_id(task: Task, config: str) -> str:
    """The `task_id` of a config on a leaderboard: the task's, and the config's name where there are several."""
    return task.id if len(task.configs) == 1 else f"{task.id}_{config}"


def _statistics(data: Mapping[str, Splits]) -> dict[str, dict[str, Statistics]]:
    return {
        config: {split: Statistics.of(read()) for split, read in splits.items()} for config, splits in data.items()
    }


def _names(task: Task, configs: Iterable[str]) -> list[str]:
    """The dataset configs of a task's configs, steps included."""
    return [name for config in configs for name in ([config] + [f"{config}_steps"] * task.configs[config].markov)]


def _dataset_head(
    task: Task,
    title: str,
    statistics: Mapping[str, Mapping[str, Statistics]],
    checksums: Mapping[str, str],
    licence: str,
    infos: Mapping[str, "DatasetInfo"] | None = None,
    **facts: object,
) -> str:
    """The head that tells `load_dataset` where the files are, and the Hub's viewer what is in them."""
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    described = DatasetCardData()
    DatasetInfosDict(infos or {}).to_dataset_card_data(described)
    return front_matter(
        language=["en"],
        license=licence,
        pretty_name=title,
        **facts,
        task_categories=["reinforcement-learning", "text-generation"],
        tags=["lmrl-gym", "offline-rl", "multi-turn"],
        size_categories=[
            _size_category(max(len(each.lengths) for splits in statistics.values() for each in splits.values()))
        ],
        **described.to_dict(),
        configs=[
            {
                "config_name": name,
                "description": f"task version {task.version}, files {checksums[name]}",
                **({"default": True} if name == task.default_config else {}),
                "data_files": [
                    {"split": split, "path": f"{name}/{split}-*.parquet"}
                    for split in statistics[name.removesuffix("_steps")]
                ],
            }
            for name in _names(task, statistics)
        ],
    )


def render_dataset_card(
    task: Task,
    data: Mapping[str, Splits],
    libraries: Mapping[str, str],
    checksums: Mapping[str, str],
    options: Mapping[str, Any] | None = None,
    statistics: Mapping[str, Mapping[str, Statistics]] | None = None,
    infos: Mapping[str, "DatasetInfo"] | None = None,
    repo_id: str | None = None,
    revision: str | None = None,
    figures: Sequence[str] = (),
    notices: Sequence[str] = (),
) -> str:
    """The README of a dataset, with the head that tells `load_dataset` where the files are.

    Args:
        task (`Task`): whose data it is.
        data (`Mapping[str, Mapping[str, Callable]]`): for each finished config and split, how to read its episodes.
        libraries (`Mapping[str, str]`): the library versions that wrote the files.
        checksums (`Mapping[str, str]`): for each dataset config, a checksum of all its files. `load_dataset` caches a
            local folder under this head alone: without it a rebuilt dataset would be read from the old cache.
        options (`Mapping[str, Any]`, *optional*): reset options of every episode, if not the task's own.
        statistics (`Mapping[str, Mapping[str, Statistics]]`, *optional*): of each config and split, where they are
            known; otherwise all episodes of `data` are read.
        infos (`Mapping[str, DatasetInfo]`, *optional*): what the Hub's viewer is told of each config.
        repo_id (`str`, *optional*), revision (`str`, *optional*): where the dataset is published; by default the
            card is of a local build.
        figures (`Sequence[str]`, *optional*), notices (`Sequence[str]`, *optional*): files beside the card, of
            pictures to show and of licences to name.
    """
    statistics = statistics or _statistics(data)
    page = task_page(task)
    head = _dataset_head(
        task, page.title, statistics, checksums, page.licence, infos,
        annotations_creators=["machine-generated"], source_datasets=["original"],
    )  # fmt: skip
    facts = {
        config: task.data_facts(config, splits["train"]()) if task.data_facts else {}
        for config, splits in data.items()
    }
    return head + templates().get_template("dataset.md.jinja").render(
        task=task,
        page=page,
        licence=LICENCES[page.licence],
        repo_id=repo_id or f"lmrl/{task.id}",
        revision=revision,
        figures=figures,
        notices=notices,
        data={config: task.configs[config] for config in data},
        options=options or {},
        names=_names(task, data),
        statistics=statistics,
        facts=facts,
        examples={config: _example(splits["train"]()) for config, splits in data.items()},
        first_seeds={"train": TRAIN_SEED, "test": TEST_SEED},
        libraries=libraries,
    )


def render_converted_card(
    task: Task,
    statistics: Mapping[str, Mapping[str, Statistics]],
    examples: Mapping[str, Callable[[], Iterable[Episode]]],
    checksums: Mapping[str, str],
    sources: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]],
    ends: str,
) -> str:
    """The README of a dataset that was converted from files of the original release.

    Args:
        task (`Task`), checksums (`Mapping`): as for `render_dataset_card`.
        statistics (`Mapping`): of each config and split.
        examples (`Mapping`): for each config, how to read episodes of which one is shown.
        sources (`Mapping`): for each config and split, what its files were: `file`, `bytes`, `episodes`, `sha256`.
        ends (`str`): how the end of an episode was told.
    """
    page = task_page(task)
    title = f"{page.title}, original data"
    # The release states no licence for its data.
    return _dataset_head(task, title, statistics, checksums, "unknown") + templates().get_template(
        "converted.md.jinja"
    ).render(
        task=task,
        title=title,
        paper=page.paper,
        names=_names(task, statistics),
        statistics=statistics,
        examples={config: _example(read()) for config, read in examples.items()},
        sources=sources,
        ends=ends,
    )


def render_eval_yaml(task: Task) -> str:
    """The file by which the Hub knows a dataset as a benchmark."""
    tasks = [{"id": leaderboard_id(task, config), "config": config} for config in task.configs]
    return templates().get_template("eval.yaml.jinja").render(task=task, title=task_page(task).title, tasks=tasks)
