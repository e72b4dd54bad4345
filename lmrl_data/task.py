"""What a task is made of: a simulator with its rules, policies that play it, and the returns that set the scale."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lmrl_data.config import Config
from lmrl_data.episode import Episode
from lmrl_data.errors import unknown
from lmrl_data.policy import Policy
from lmrl_data.simulator import Simulator

if TYPE_CHECKING:
    import pyarrow as pa

    from lmrl_data.dataset.convert.original import Original

TRAIN_SEED = 0
TEST_SEED = 1_000_000
EVALUATION_SEED = 2_000_000


@dataclass(frozen=True)
class Behavior:
    """A policy that makes offline data.

    Args:
        name (`str`): fills the dataset's `policy` column.
        share (`float`): its share of the episodes, by expectation.
        play (`Callable[[Simulator, int], Episode]`): plays the episode of a seed.
    """

    name: str
    share: float
    play: Callable[[Simulator, int], Episode]


@dataclass(frozen=True)
class Protocol:
    """A named way to evaluate: which starts are played, and how often.

    Args:
        description (`str`): one line that says where it is from.
        episodes_per_start (`int`): episodes from each start.
        starts (`Mapping[str, dict]`): reset options by the name of the start; all are played in turn. Without named
            starts the seed alone decides.
    """

    description: str
    episodes_per_start: int
    starts: Mapping[str, dict[str, Any]] = field(default_factory=lambda: {"any": {}})

    @property
    def n_episodes(self) -> int:
        return self.episodes_per_start * len(self.starts)


@dataclass(frozen=True)
class Task:
    """Everything the toolkit knows about a task.

    Args:
        id (`str`): its one name: module, dataset repo, recipe folder, card, CLI argument.
        version (`str`): raised whenever the rules or the data change, so that scores stay comparable.
        summary (`str`): one line.
        configs (`Mapping[str, Config]`): the variants; the first is the default.
        simulator_class (`Callable[..., Simulator]`): makes a simulator: `simulator_class(config, render_mode=...,
            options=...)`, with a `Config`; a dialogue's takes an `oracle`, too.
        behaviors (`tuple[Behavior, ...]`): who plays the dataset; the shares add up to 1.
        num_episodes (`Mapping[str, int]`): default size of each split, `train` and `test`.
        max_turns (`int`): no episode has more agent turns.
        protocols (`Mapping[str, Protocol]`): the ways to evaluate; the first, `paper`, is the paper's.
        policies (`Mapping[str, Callable[[str, int], Policy]]`): scripted policies, made from a config and a seed.
        best_actions (`Callable[[str], Mapping[str, str]]`, *optional*): the best first action by start of the paper's
            protocol, where known.
        instructions (`str`): the rules, for prompted and instruct models.
        draw (`Callable`, *optional*): a picture of a score, by start: `draw(axes, values, actions)`
            returns what a colorbar is made from.
        keys (`Mapping[str, str]`): short forms of actions for a human player.
        data_facts (`Callable[[str, Iterable[Episode]], Mapping[str, str]]`, *optional*): what a dataset card says of a
            config's episodes beyond their statistics: values by label.
        shard_episodes (`int`): episodes in a file; an interrupted build loses those of the file it was making.
        table (`Callable[[Simulator, Sequence[int]], pyarrow.Table]`, *optional*): the rows of `generate` for many
            seeds at once, for tasks that can make them by the column.
        original (`Original`, *optional*): the formats of the task's files in the original release, and how an episode
            in them ended.
        local_options (`tuple[str, ...]`): reset options that name something on the player's machine, such as a file;
            the episodes of such a score cannot be replayed elsewhere.
        check_replay (`Callable[[Simulator, Mapping, Sequence[Episode]], None]`, *optional*): raises a `UserError` if
            the simulator cannot replay these episodes on this machine; the mapping is the first one's reset options.
    """

    id: str
    version: str
    summary: str
    configs: Mapping[str, Config]
    simulator_class: Callable[..., Simulator]
    behaviors: tuple[Behavior, ...]
    num_episodes: Mapping[str, int]
    max_turns: int
    protocols: Mapping[str, Protocol]
    policies: Mapping[str, Callable[[str, int], Policy]]
    instructions: str
    best_actions: Callable[[str], Mapping[str, str]] | None = None
    draw: Callable[..., Any] | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    data_facts: Callable[[str, Iterable[Episode]], Mapping[str, str]] | None = None
    shard_episodes: int = 10_000
    table: Callable[[Any, Sequence[int]], "pa.Table"] | None = None
    original: "Original | None" = None
    local_options: tuple[str, ...] = ()
    check_replay: Callable[[Any, Mapping[str, Any], Sequence[Episode]], None] | None = None

    def __post_init__(self) -> None:
        if next(iter(self.protocols)) != "paper":
            raise ValueError(f"a task's first protocol is the paper's, got {list(self.protocols)}")
        total = sum(behavior.share for behavior in self.behaviors)
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the behavior policies' shares add up to 1, got {total}")

    @property
    def default_config(self) -> str:
        return next(iter(self.configs))

    def config(self, name: str | None = None) -> Config:
        """The config of that name, or the default one.

        Raises:
            UserError: if the task has no such config; the message lists those it has.
        """
        if name is None:
            name = self.default_config
        if name not in self.configs:
            raise unknown(f"config of {self.id}", name, self.configs)
        return self.configs[name]

    def protocol(self, name: str | None = None) -> Protocol:
        """The protocol of that name, or the paper's.

        Raises:
            UserError: if the task has no such protocol; the message lists those it has.
        """
        name = name or next(iter(self.protocols))
        if name not in self.protocols:
            raise unknown(f"protocol of {self.id}", name, self.protocols)
        return self.protocols[name]

    def simulator(self, config: str | None = None, **settings: Any) -> Simulator:
        """A simulator of the config of that name, or of the default one.

        Args:
            config (`str`, *optional*): the config's name.
            settings: `render_mode`, `options`, and a dialogue's `oracle`.

        Raises:
            UserError: if the task has no such config; the message lists those it has.
        """
        return self.simulator_class(self.config(config), **settings)

    def policy(self, name: str, config: str, seed: int = 0) -> Policy:
        """The scripted policy of that name.

        Raises:
            UserError: if the task has no such policy; the message lists those it has.
        """
        self.config(config)
        if name not in self.policies:
            raise unknown(f"scripted policy of {self.id}", name, self.policies)
        return self.policies[name](config, seed)

    def generate(self, simulator: Simulator, seed: int) -> Episode:
        """The dataset's episode of a seed: the seed alone picks the behavior policy and everything it does."""
        # A stream of its own, so that the choice of policy is independent of what happens in the episode.
        point = np.random.default_rng([seed, 0xB1]).random()
        for behavior in self.behaviors:
            point -= behavior.share
            if point < 0:
                break
        return behavior.play(simulator, seed)
