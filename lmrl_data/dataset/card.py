"""The cards of datasets: what a reader sees first, rendered from what the manifest knows of the files."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lmrl_data.dataset.convert.file import left_out
from lmrl_data.dataset.page import LICENCES, front_matter, task_page, templates
from lmrl_data.dataset.plan import FIRST_SEED, dataset_configs
from lmrl_data.dataset.statistics import Statistics
from lmrl_data.episode import Episode
from lmrl_data.task import Task

if TYPE_CHECKING:
    from datasets import DatasetInfo


class ConfigData(NamedTuple):
    """What a card says of a config's episodes.

    Args:
        statistics (`Mapping[str, Statistics]`): of each split.
        example (`Episode`): one to show.
        facts (`Mapping[str, str]`): what the task has to tell beyond the statistics.
    """

    statistics: Mapping[str, Statistics]
    example: Episode
    facts: Mapping[str, str]


def _size_category(size: int) -> str:
    bounds = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]
    return next((name for bound, name in bounds if size < bound), "1M<n<10M")


def leaderboard_id(task: Task, config: str) -> str:
    """The `task_id` of a config on a leaderboard: the task's, and the config's name where there are several."""
    return task.id if len(task.configs) == 1 else f"{task.id}_{config}"


def _dataset_head(
    task: Task,
    title: str,
    data: Mapping[str, ConfigData],
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
    sizes = [len(each.lengths) for config in data.values() for each in config.statistics.values()]
    return front_matter(
        language=["en"],
        license=licence,
        pretty_name=title,
        **facts,
        task_categories=["reinforcement-learning", "text-generation"],
        tags=["lmrl-gym", "offline-rl", "multi-turn"],
        size_categories=[_size_category(max(sizes))],
        **described.to_dict(),
        configs=[
            {
                "config_name": name,
                "description": f"task version {task.version}, files {checksums[name]}",
                **({"default": True} if name == task.default_config else {}),
                "data_files": [
                    {"split": split, "path": f"{name}/{split}-*.parquet"} for split in data[config].statistics
                ],
            }
            for config in data
            for name in dataset_configs(task, config)
        ],
    )


def render_dataset_card(
    task: Task,
    data: Mapping[str, ConfigData],
    libraries: Mapping[str, str],
    checksums: Mapping[str, str],
    options: Mapping[str, Any] | None = None,
    infos: Mapping[str, "DatasetInfo"] | None = None,
    repo_id: str | None = None,
    revision: str | None = None,
    figures: Sequence[str] = (),
    notices: Sequence[str] = (),
) -> str:
    """The README of a dataset, with the head that tells `load_dataset` where the files are.

    Args:
        task (`Task`): whose data it is.
        data (`Mapping[str, ConfigData]`): what is known of each finished config.
        libraries (`Mapping[str, str]`): the library versions that wrote the files.
        checksums (`Mapping[str, str]`): for each dataset config, a checksum of all its files. `load_dataset` caches a
            local folder under this head alone: without it a rebuilt dataset would be read from the old cache.
        options (`Mapping[str, Any]`, *optional*): reset options of every episode, if not the task's own.
        infos (`Mapping[str, DatasetInfo]`, *optional*): what the Hub's viewer is told of each config.
        repo_id (`str`, *optional*), revision (`str`, *optional*): where the dataset is published; by default the
            card is of a local build.
        figures (`Sequence[str]`, *optional*), notices (`Sequence[str]`, *optional*): files beside the card, of
            pictures to show and of licences to name.
    """
    page = task_page(task)
    head = _dataset_head(
        task,
        page.title,
        data,
        checksums,
        page.licence,
        infos,
        annotations_creators=["machine-generated"],
        source_datasets=["original"],
    )
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
        names=[name for config in data for name in dataset_configs(task, config)],
        statistics={config: each.statistics for config, each in data.items()},
        facts={config: each.facts for config, each in data.items()},
        examples={config: each.example for config, each in data.items()},
        first_seeds=FIRST_SEED,
        libraries=libraries,
    )


def render_converted_card(
    task: Task,
    data: Mapping[str, ConfigData],
    checksums: Mapping[str, str],
    sources: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]],
    ends: str,
) -> str:
    """The README of a dataset that was converted from files of the original release.

    Args:
        task (`Task`), data (`Mapping`), checksums (`Mapping`): as for `render_dataset_card`.
        sources (`Mapping`): for each config and split, what its files were: `file`, `bytes`, `episodes`, `sha256`.
        ends (`str`): how the end of an episode was told.
    """
    page = task_page(task)
    title = f"{page.title}, original data"
    # The release states no licence for its data.
    head = _dataset_head(task, title, data, checksums, "unknown")
    return head + templates().get_template("converted.md.jinja").render(
        task=task,
        title=title,
        paper=page.paper,
        names=[name for config in data for name in dataset_configs(task, config)],
        statistics={config: each.statistics for config, each in data.items()},
        examples={config: each.example for config, each in data.items()},
        sources=sources,
        skipped=[
            left_out(file)
            for splits in sources.values()
            for files in splits.values()
            for file in files
            if "skipped" in file
        ],
        ends=ends,
    )


def render_eval_yaml(task: Task) -> str:
    """The file by which the Hub knows a dataset as a benchmark."""
    tasks = [{"id": leaderboard_id(task, config), "config": config} for config in task.configs]
    return templates().get_template("eval.yaml.jinja").render(task=task, title=task_page(task).title, tasks=tasks)
