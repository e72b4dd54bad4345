"""The simulator: a task's rules as a Gymnasium environment of texts, alone or with an oracle that answers."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import gymnasium
from gymnasium.error import ResetNeeded

from lmrl_data.config import Config
from lmrl_data.errors import UserError, unknown

# What `Simulator.step` returns, in Gymnasium's order: observation, reward, terminated, truncated, info. A plain tuple,
# because making a named one takes as long as the rest of a maze step.
Step = tuple[str, float, bool, bool, dict[str, Any]]


def check_options(task: str, options: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raises a `UserError` that names the first reset option a task does not know."""
    for name in options:
        if name not in known:
            raise unknown(f"reset option of {task}", name, known)


class Simulator(gymnasium.Env[str, str]):
    """A task's rules as a Gymnasium environment whose observations and actions are texts.

    A task writes `_reset` and `_step`; this class checks what all tasks share. All randomness comes from
    `self.np_random`, so the same seed gives the same episode. Any text is an action: an unreadable one has a price and
    is no error. `config` names the task's config. A step's `info` always holds `valid`, and `success` at the end;
    `history_reset=True` hides all earlier texts from the policy from now on. `turn_info` names the entries of a step's
    `info` that describe that turn only; all others become part of the episode's `info`.
    """

    turn_info: ClassVar[frozenset[str]] = frozenset({"valid", "history_reset"})

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012
    config: str
    _over = True

    def __init__(
        self, config: Config, render_mode: str | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        if render_mode not in (None, "ansi"):
            raise unknown("render mode", render_mode, ["ansi"])
        self.config = config.name
        self.render_mode = render_mode
        self.options = dict(options or {})

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Starts an episode.

        Args:
            seed (`int`, *optional*): decides everything random; without it the last random stream goes on.
            options (`dict`, *optional*): reset options of the task, e.g. a start position; they override those the
                simulator was made with.

        Raises:
            UserError: for an unknown option, a value out of range, or a seed below 0.
        """
        if seed is not None and (not isinstance(seed, int) or seed < 0):
            raise UserError(f"a seed is a whole number from 0 upwards, got {str(seed)[:80]!r}")
        super().reset(seed=seed)
        observation, info = self._reset(self.options | (options or {}))
        self._over = False
        return observation, info

    def step(self, action: str) -> Step:
        """Plays one action. One final newline, which raw-text policies write, is removed first.

        Raises:
            ResetNeeded: if the episode has ended or was never begun.
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


Asked_contra = TypeVar("Asked_contra", contravariant=True)


class Oracle(Protocol[Asked_contra]):
    """Answers the prompts of a `DialogueSimulator`."""

    def answer(self, prompts: Sequence[Asked_contra]) -> list[str]:
        """One reply per prompt, in order."""
        ...


Asked = TypeVar("Asked")


class DialogueSimulator(Simulator, Generic[Asked]):
    """A simulator whose replies come from an oracle.

    A step is split into `prompt` and `advance`, so that a rollout can send the prompts of a whole batch at once.
    """

    def __init__(
        self,
        config: Config,
        oracle: Oracle[Asked],
        render_mode: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(config, render_mode, options)
        self.oracle = oracle

    @abstractmethod
    def prompt(self, action: str) -> Asked:
        """The prompt for the oracle after the agent's `action`."""

    @abstractmethod
    def advance(self, reply: str) -> Step:
        """Ends the turn that `prompt` began, given the oracle's `reply`."""

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
