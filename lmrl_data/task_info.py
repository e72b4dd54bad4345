"""What `lmrl-data info` says about a task: its rules, and all that a command line can choose of it."""

from collections.abc import Mapping

from lmrl_data.config import Config
from lmrl_data.task import Protocol, Task
from lmrl_data.terminal import aligned, wrapped

SHOWN_STARTS = 6  # of a protocol that has many


def describe_task(task: Task) -> str:
    """The rules of a task, its configs, options, protocols, policies and data, with commands to begin with."""
    parts = [
        wrapped(f"{task.id}, version {task.version}: {task.summary}"),
        wrapped(task.instructions),
        f"At most {task.max_turns} turns an episode.",
        _section("Configs (--config)", {name: _config(task, config) for name, config in task.configs.items()}),
        _section("Reset options (--option NAME=VALUE)", task.options),
        _section("Protocols (lmrl-eval run --protocol)", _protocols(task)),
        _section("Scripted policies (lmrl-eval run --policy)", {f"scripted:{name}": "" for name in task.policies}),
        _section("Tool (--answers tool)", {f"{task.tool.name}({task.tool.argument})": _tool(task)}),
        _section("Keys (lmrl-data play)", task.keys),
        _section("Behavior policies of the dataset", {each.name: f"{each.share:.0%}" for each in task.behaviors}),
        "Commands\n" + "\n".join(f"  {line}" for line in _commands(task)),
    ]
    return "\n\n".join(part for part in parts if part)


def dataset_sizes(task: Task, config: str) -> dict[str, int]:
    """The number of episodes of each split that `lmrl-data build` makes of a config by default."""
    return dict(task.config(config).num_episodes or task.num_episodes)


def _section(title: str, rows: Mapping[str, str]) -> str:
    return f"{title}\n{aligned(list(rows.items()), '  ')}" if rows else ""


def _config(task: Task, config: Config) -> str:
    seen = "all texts" if config.history is None else f"the latest {config.history} texts"
    seen = "the newest text" if config.markov else seen
    scale = config.reference
    sizes = " + ".join(f"{size:,} {split}" for split, size in dataset_sizes(task, config.name).items())
    return (
        f"{config.description}. The policy sees {seen}. Returns of {scale.minimum:g}, {scale.dataset_mean:g} and "
        f"{scale.maximum:g} score 0, 50 and 100. Dataset: {sizes} episodes."
    )


def _tool(task: Task) -> str:
    choices = f" One of: {', '.join(task.tool.choices)}." if task.tool.choices else ""
    return f"{task.tool.description} {task.tool.argument_description}{choices}"


def _protocols(task: Task) -> dict[str, str]:
    rows = {}
    for name, protocol in task.protocols.items():
        note = "" if name == "paper" else "; reports mark it as not the paper's"
        rows[name] = f"{protocol.description}: {protocol.n_episodes:,} episodes{_starts(protocol)}{note}"
    return rows


def _starts(protocol: Protocol) -> str:
    names = [name for name, options in protocol.starts.items() if options]
    if not names:
        return ""
    more = f" and {len(names) - SHOWN_STARTS} more" if len(names) > SHOWN_STARTS else ""
    return f"; starts {', '.join(names[:SHOWN_STARTS])}{more}"


def _commands(task: Task) -> list[str]:
    commands = [f"lmrl-data play {task.id}", f"lmrl-data build {task.id}"]
    return commands + [f"lmrl-eval run --task {task.id} --policy scripted:{name}" for name in list(task.policies)[:1]]
