"""What a task is made of: a simulator with its rules, policies that play it, and the returns that set the scale."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakKeyDictionary

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded

from lmrl_data.episode import Episode, Turn
from lmrl_data.errors import UserError, unknown
from lmrl_data.oracle import Oracle

if TYPE_CHECKING:
    import pyarrow as pa

TRAIN_SEED = 0
TEST_SEED = 1_000_000
EVALUATION_SEED = 2_000_000


# What `Simulator.step` returns, in Gymnasium's order: observation, reward, terminated, truncated, info. A plain tuple,
# because a named one would cost as much to make as the rest of a maze step.
Step = tuple[str, float, bool, bool, dict[str, Any]]

# What a step's info tells of that one turn; an episode's info has the rest.
TURN_INFO = frozenset({"valid", "history_reset", "match", "intent", "in_scope", "guess", "seller_act"})


class Simulator(gymnasium.Env[str, str]):
    """A task's rules as a Gymnasium environment whose observations and actions are texts.

    Subclasses write `_reset` and `_step`; this class keeps the contract that all of them share. Same seed, same
    episode; all randomness comes from `self.np_random`. Any string is an action: what cannot be read is an invalid
    action with a price, never an error. `config` names the task's config. `info` always holds `valid` after a step
    and `success` at the end; `history_reset=True` says that what came before this observation is hidden from the
    policy from now on.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012
    config: str
    _over = True

    def __init__(self, render_mode: str | None = None, options: Mapping[str, Any] | None = None) -> None:
        if render_mode not in (None, "ansi"):
            raise unknown("render mode", render_mode, ["ansi"])
        self.render_mode = render_mode
        self.options = dict(options or {})

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Starts an episode.

        Args:
            seed (`int`, *optional*): decides everything random; without it the last reset's stream goes on.
            options (`dict`, *optional*): the task's own settings, e.g. a start position; they go before those the
                simulator was made with.

        Raises:
            UserError: for an option the task does not know, a value it cannot take, or a seed below 0.
        """
        if seed is not None and (not isinstance(seed, int) or seed < 0):
            raise UserError(f"a seed is a whole number from 0 upwards, got {str(seed)[:80]!r}")
        super().reset(seed=seed)
        observation, info = self._reset(self.options | (options or {}))
        self._over = False
        return observation, info

    def step(self, action: str) -> Step:
        """Plays one action. One final newline is taken off first, as raw-text policies write it.

        Raises:
            ResetNeeded: if the episode has ended, or none was begun.
        """
        if self._over:
            raise ResetNeeded("this episode has ended: call reset before the next step")
        step = self._step(action.removesuffix("\n"))
        _, _, terminated, truncated, _ = step
        self._over = terminated or truncated
        return step

    @abstractmethod
    def _reset(self, options: dict[str, Any]) -> tuple[str, dict[str, Any]]: ...

    @abstractmethod
    def _step(self, action: str) -> Step: ...


Asked = TypeVar("Asked")


class DialogueSimulator(Simulator, Generic[Asked]):
    """A simulator whose replies come from an oracle, split in two so that a rollout can ask for a batch at once."""

    def __init__(
        self, oracle: Oracle[Asked], render_mode: str | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(render_mode, options)
        self.oracle = oracle

    @abstractmethod
    def prompt(self, action: str) -> Asked:
        """What the oracle is asked after the agent's `action`."""

    @abstractmethod
    def advance(self, reply: str) -> Step:
        """Ends the turn that `prompt` began with the oracle's `reply`."""

    def ask(self, action: str) -> Asked:
        """`prompt` under the contract of `Simulator.step`."""
        if self._over:
            raise ResetNeeded("this episode has ended: call reset before the next step")
        return self.prompt(action.removesuffix("\n"))

    def finish(self, reply: str) -> Step:
        """`advance` under the contract of `Simulator.step`."""
        step = self.advance(reply)
        self._over = step[2] or step[3]
        return step

    def _step(self, action: str) -> Step:
        return self.advance(self.oracle.answer([self.prompt(action)])[0])


@dataclass(eq=False, slots=True, weakref_slot=True)
class Conversation:
    """A running episode as its policy may see it; one object from the first turn to the last.

    Args:
        seed (`int`): the episode's seed; a policy draws its sampling noise from it, so that an episode does not
            depend on which others are played beside it.
        history (`int`, *optional*): how many of the latest texts are visible (the paper's `last_k`); `None`: all.
        turns (`list[Turn]`): everything said so far.
        start (`int`): texts before this index are hidden for good.
        index (`int`): which of a rollout's episodes it is.
    """

    seed: int
    history: int | None
    turns: list[Turn] = field(default_factory=list)
    start: int = 0
    index: int = 0

    @property
    def visible(self) -> list[Turn]:
        """The texts the policy acts on: the system turn, if any, and the latest `history` texts."""
        system = [turn for turn in self.turns[:1] if turn.role == "system"]
        first = max(self.start, len(system))
        if self.history is not None:
            first = max(first, len(self.turns) - self.history)
        return system + self.turns[first:]


class Policy(ABC):
    """Plays the assistant. Always batched: a single conversation is a batch of one."""

    name: str

    @abstractmethod
    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        """One action per conversation, in order."""

    def greedy(self) -> "Policy":
        """The same policy without sampling noise; a policy that has none is its own greedy twin."""
        return self

    def statistics(self) -> dict[str, float]:
        """What the policy counted while it played (tokens written, encoded, reused), for reports; may be empty."""
        return {}


class Streams:
    """A policy's own noise: a generator for each conversation.

    An episode then does not depend on which others are played beside it.

    Args:
        seed (`int`): the policy's seed; the episode's is added to it.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: WeakKeyDictionary[Conversation, np.random.Generator] = WeakKeyDictionary()

    def __getitem__(self, conversation: Conversation) -> np.random.Generator:
        if conversation not in self._streams:
            self._streams[conversation] = np.random.default_rng([self.seed, conversation.seed])
        return self._streams[conversation]


@dataclass(frozen=True)
class ReferenceReturns:
    """The returns that mean 0, 50 and 100 (paper appendix E); scores in between are linear and never clipped.

    Args:
        minimum (`float`): scores 0.
        dataset_mean (`float`): scores 50.
        maximum (`float`): scores 100 in the paper.
        optimum (`float`): what the best possible policy returns, where that is known to differ from `maximum`.
        source (`str`): where the numbers are from.
    """

    minimum: float
    dataset_mean: float
    maximum: float
    optimum: float
    source: str

    def __post_init__(self) -> None:
        if not self.minimum < self.dataset_mean < self.maximum:
            raise ValueError(f"reference returns must rise, got {self}")

    def normalize(self, mean_return: float, *, to_optimum: bool = False) -> float:
        """0 at the minimum, 50 at the dataset's mean, 100 at the maximum (or the true optimum).

        Examples:
            >>> ReferenceReturns(-101, -83, -6.84, -6.84, "Table 5").normalize(-92)
            25.0
        """
        top = self.optimum if to_optimum else self.maximum
        if mean_return < self.dataset_mean:
            return 50 * (mean_return - self.minimum) / (self.dataset_mean - self.minimum)
        return 50 + 50 * (mean_return - self.dataset_mean) / (top - self.dataset_mean)


@dataclass(frozen=True)
class Config:
    """A variant of a task: a dataset config, and the rules it was played by.

    Args:
        description (`str`): one line for tables and cards.
        history (`int`, *optional*): how many of the latest texts the policy sees; `None`: all of them.
        reference (`ReferenceReturns`): the returns behind the normalised score.
        num_episodes (`Mapping[str, int]`, *optional*): size of each split, where it is not the task's.
    """

    description: str
    history: int | None
    reference: ReferenceReturns
    num_episodes: Mapping[str, int] | None = None

    @property
    def markov(self) -> bool:
        """Whether the policy sees the newest observation only; such a config also has a `<config>_steps` dataset."""
        return self.history == 1


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


def play_episode(
    task_id: str,
    simulator: Simulator,
    seed: int,
    name: str,
    act: Callable[[str], str],
    *,
    options: Mapping[str, Any] | None = None,
    max_turns: int | None = None,
) -> Episode:
    """Plays one episode by asking `act` for the action to each observation.

    Args:
        task_id (`str`): fills the `task` column.
        simulator (`Simulator`): plays it.
        seed (`int`): of the reset.
        name (`str`): fills the `policy` column.
        act (`Callable[[str], str]`): from the newest observation to an action; it may look at the simulator.
        options (`Mapping`, *optional*): reset options.
        max_turns (`int`, *optional*): cuts the episode (truncated) after so many actions.
    """
    observation, info = simulator.reset(seed=seed, options=dict(options or {}))
    turns = [Turn("user", observation)]
    info = {**info, "success": False, "invalid": 0}
    terminated = truncated = False
    while not (terminated or truncated):
        action = act(observation)
        observation, reward, terminated, truncated, step_info = simulator.step(action)
        turns += (Turn("assistant", action, reward), Turn("user", observation))
        info["invalid"] += not step_info.get("valid", True)
        info.update({key: value for key, value in step_info.items() if key not in TURN_INFO})
        truncated = truncated or (max_turns is not None and len(turns) // 2 >= max_turns)
    return Episode(task_id, simulator.config, tuple(turns), terminated, not terminated, seed, name, info)


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
        simulator (`Callable[..., Simulator]`): makes one: `simulator(config=..., render_mode=..., options=...)`.
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
    """

    id: str
    version: str
    summary: str
    configs: Mapping[str, Config]
    simulator: Callable[..., Simulator]
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


def check_options(task: str, options: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raises a `UserError` that names the first reset option a task does not know."""
    for name in options:
        if name not in known:
            raise unknown(f"reset option of {task}", name, known)


__all__ = [
    "EVALUATION_SEED",
    "TEST_SEED",
    "TRAIN_SEED",
    "TURN_INFO",
    "Behavior",
    "Config",
    "Conversation",
    "DialogueSimulator",
    "Policy",
    "Protocol",
    "ReferenceReturns",
    "Simulator",
    "Step",
    "Streams",
    "Task",
    "UserError",
    "check_options",
    "play_episode",
]
