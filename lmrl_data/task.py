"""The task: its simulator, its policies, its ways to evaluate, and the hooks for what it does differently."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lmrl_data.config import Config
from lmrl_data.episode import Episode, Turn
from lmrl_data.errors import UserError, unknown
from lmrl_data.policy import Policy
from lmrl_data.simulator import Simulator
from lmrl_data.tool import ACT, Tool

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
        share (`float`): its expected share of the episodes.
        play (`Callable[[Simulator, int], Episode]`): plays the episode of a seed.
    """

    name: str
    share: float
    play: Callable[[Simulator, int], Episode]


@dataclass(frozen=True)
class Protocol:
    """A named way to evaluate: which starts are played, and how often.

    Args:
        description (`str`): one line that names its source.
        episodes_per_start (`int`): episodes from each start.
        starts (`Mapping[str, dict]`): reset options by the name of the start; the starts are played in turn. The
            default is one start that the seed alone decides.
    """

    description: str
    episodes_per_start: int
    starts: Mapping[str, dict[str, Any]] = field(default_factory=lambda: {"any": {}})

    @property
    def n_episodes(self) -> int:
        return self.episodes_per_start * len(self.starts)


@dataclass(frozen=True)
class Task:
    """A task, with everything that generic code asks about it. Optional fields are hooks: without one, the task does
    what all tasks do.

    Args:
        id (`str`): its one name: package, dataset repo, recipe folder, card, command-line argument.
        version (`str`): raised whenever the rules or the data change; scores of different versions are never compared.
        summary (`str`): one line.
        configs (`Mapping[str, Config]`): the variants; the first is the default.
        simulator_class (`Callable[..., Simulator]`): called as `simulator_class(config, render_mode=..., options=...)`
            with a `Config`; that of a dialogue also takes an `oracle`.
        behaviors (`tuple[Behavior, ...]`): the behavior policies of the dataset; their shares add up to 1.
        num_episodes (`Mapping[str, int]`): default size of each split, `train` and `test`.
        max_turns (`int`): the most agent turns of an episode.
        protocols (`Mapping[str, Protocol]`): the ways to evaluate; the first is named `paper` and is the default.
        policies (`Mapping[str, Callable[[str, int], Policy]]`): scripted policies, made from a config and a seed.
        instructions (`str`): the rules, as prompted and instruct models get them.
        tool (`Tool`, *optional*): the action as a tool that a model calls; `act(text)` by default.
        best_actions (`Callable[[str], Mapping[str, str]]`, *optional*): from a config to the best first action of each
            start of the first protocol.
        draw (`Callable`, *optional*): `draw(axes, values, actions)` draws the mean return and the first action of each
            start on Matplotlib axes, and returns the image for the colorbar.
        keys (`Mapping[str, str]`, *optional*): short forms of actions for a human player.
        picture (`Callable[[str, Mapping, Sequence[Turn]], str]`, *optional*): from a config, reset options and the
            turns that a policy sees to a picture in text that shows a person no more than they do.
        comment (`Callable[[Sequence[Turn]], str]`, *optional*): what to say to a person about the last action and the
            text after it; "" for nothing.
        objection (`Callable[[Simulator, str], str]`, *optional*): why a person may want to take an action back before
            it is played; "" for nothing. Only `lmrl-data play` asks.
        data_facts (`Callable[[str, Iterable[Episode]], Mapping[str, str]]`, *optional*): facts about a config's
            episodes for the dataset card, by label.
        shard_episodes (`int`, *optional*, defaults to `10_000`): episodes per file; an interrupted build loses one
            unfinished file.
        table (`Callable[[Simulator, Sequence[int]], pyarrow.Table]`, *optional*): makes the rows of many seeds by the
            column, where that is faster; the rows must be those of `generate`.
        original (`Original`, *optional*): the formats of the task's files in the original release, and how an episode
            in them ended.
        options (`Mapping[str, str]`, *optional*): what each reset option takes, its range and its default, in a line.
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
    tool: Tool = ACT
    best_actions: Callable[[str], Mapping[str, str]] | None = None
    draw: Callable[..., Any] | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    picture: Callable[[str, Mapping[str, Any], Sequence[Turn]], str] | None = None
    comment: Callable[[Sequence[Turn]], str] | None = None
    objection: Callable[[Any, str], str] | None = None
    data_facts: Callable[[str, Iterable[Episode]], Mapping[str, str]] | None = None
    shard_episodes: int = 10_000
    table: Callable[[Any, Sequence[int]], "pa.Table"] | None = None
    original: "Original | None" = None
    options: Mapping[str, str] = field(default_factory=dict)
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
            if name.endswith((".yaml", ".yml")):
                names = ", ".join(self.configs)
                raise UserError(f"{name} is no config of {self.id} ({names}); recipes are for lmrl-train --config")
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
        if seed < 0:
            raise UserError(f"a policy's seed is 0 or more, got {seed}")
        if name not in self.policies:
            raise unknown(f"scripted policy of {self.id}", name, self.policies)
        return self.policies[name](config, seed)

    def generate(self, simulator: Simulator, seed: int) -> Episode:
        """The dataset's episode of a seed, which alone picks the behavior policy and all of its actions."""
        # A random stream of its own keeps the choice of the policy independent of the episode.
        point = np.random.default_rng([seed, 0xB1]).random()
        for behavior in self.behaviors:
            point -= behavior.share
            if point < 0:
                break
        return behavior.play(simulator, seed)
