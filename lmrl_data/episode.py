"""The episode: one play of a task as chat turns with rewards, and the row that stores it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One text of an episode. The agent is always `assistant`, and only the agent carries reward.

    Args:
        role (`str`): `"system"`, `"user"` or `"assistant"`.
        content (`str`): the text, without a final newline.
        reward (`float`, *optional*, defaults to `0.0`): the simulator's reward for this turn.

    Raises:
        ValueError: for an unknown role, or a reward on a turn that is not the agent's.
    """

    role: Role
    content: str
    reward: float = 0.0

    def __post_init__(self) -> None:
        if self.role == "assistant":
            return
        if self.role not in ("system", "user"):
            raise ValueError(f"a role is system, user or assistant, got {self.role!r}")
        if self.reward:
            raise ValueError(f"a {self.role} turn cannot carry reward, got {self.reward}")


@dataclass(frozen=True, slots=True)
class Episode:
    """One play of a task, from the first observation to the end.

    Args:
        task (`str`): task id, e.g. `"maze"`.
        config (`str`): the task's config, e.g. `"fully_observed"`.
        turns (`tuple[Turn, ...]`): an optional system turn, then user and assistant turns alternately.
        terminated (`bool`): the task itself ended the episode (goal reached, game won or lost).
        truncated (`bool`): a limit cut the episode short. Exactly one of the two is true.
        seed (`int`): the seed the simulator was reset with.
        policy (`str`): who played the assistant.
        info (`dict`): further facts from the simulator; always holds `success` (`bool`) and `invalid` (`int`, the
            number of actions the simulator could not read).

    Raises:
        ValueError: if the roles do not alternate, nobody acted, or the episode did not end in exactly one way.
    """

    task: str
    config: str
    turns: tuple[Turn, ...]
    terminated: bool
    truncated: bool
    seed: int
    policy: str
    info: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.terminated == self.truncated:
            ways = f"terminated={self.terminated} and truncated={self.truncated}"
            raise ValueError(f"an episode ends in exactly one way, got {ways}")
        roles = [turn.role for turn in self.turns]
        first = 1 if roles[:1] == ["system"] else 0
        if len(roles) < first + 2:
            raise ValueError(f"an episode needs an observation and an action, got {len(roles)} turns")
        expected = ["user", "assistant"] * (len(roles) // 2 + 1)
        if roles[first:] != expected[: len(roles) - first]:
            index = next(i for i, role in enumerate(roles[first:]) if role != expected[i])
            raise ValueError(
                f"turn {first + index} should be the {expected[index]}'s, got role {roles[first + index]!r}"
            )

    @property
    def total_reward(self) -> float:
        """The undiscounted sum of the rewards (the paper's return)."""
        return float(sum(turn.reward for turn in self.turns))

    @property
    def num_turns(self) -> int:
        """The number of actions, which is the length in the paper's Table 1."""
        return sum(turn.role == "assistant" for turn in self.turns)

    @property
    def success(self) -> bool:
        """Whether the agent reached the task's aim."""
        return bool(self.info["success"])

    def to_row(self) -> dict[str, Any]:
        """The row a dataset stores; `Episode.from_row` is its inverse."""
        return {
            "task": self.task,
            "config": self.config,
            "messages": [{"role": turn.role, "content": turn.content} for turn in self.turns],
            "rewards": [float(turn.reward) for turn in self.turns],
            "total_reward": self.total_reward,
            "terminated": self.terminated,
            "truncated": self.truncated,
            "policy": self.policy,
            "seed": self.seed,
            "info": self.info,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Episode":
        """Rebuilds the episode of a dataset row.

        Raises:
            ValueError: if a column is missing, or the row is no valid episode.
        """
        try:
            messages, rewards = row["messages"], row["rewards"]
            if len(messages) != len(rewards):
                raise ValueError(f"a row needs one reward per message, got {len(rewards)} for {len(messages)}")
            return cls(
                task=row["task"],
                config=row["config"],
                turns=tuple(Turn(m["role"], m["content"], r) for m, r in zip(messages, rewards, strict=True)),
                terminated=row["terminated"],
                truncated=row["truncated"],
                seed=row["seed"],
                policy=row["policy"],
                info=dict(row["info"]),
            )
        except KeyError as error:
            raise ValueError(f"this is no episode row: column {error} is missing") from None
