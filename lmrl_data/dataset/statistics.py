"""The statistics of a split: lengths, returns and successes of its episodes, as the paper's Table 1 has them."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lmrl_data.episode import Episode

if TYPE_CHECKING:
    import pyarrow as pa

# Policy, length, return and success, and the number of episodes that have them: what a manifest keeps of a shard.
Count = Sequence[str | int | float | bool]


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
        """The statistics of episodes, in their order."""
        rows = [(episode.num_turns, episode.total_reward, episode.success, episode.policy) for episode in episodes]
        return cls(*(np.array(column) for column in zip(*rows, strict=True)))

    @classmethod
    def of_counts(cls, counts: Iterable[Count]) -> "Statistics":
        """The statistics that `count_episodes` counted, in the order of the counts."""
        policies, lengths, returns, successes, numbers = zip(*counts, strict=True)
        columns = (lengths, returns, successes, policies)
        return cls(*(np.repeat(np.array(column), numbers) for column in columns))

    def summary(self, policy: str | None = None) -> Summary:
        """The summary of all episodes, or of those that one behavior policy played."""
        chosen = np.full(len(self.policies), True) if policy is None else self.policies == policy
        lengths, returns = self.lengths[chosen], self.returns[chosen]
        return Summary(
            int(chosen.sum()),
            (float(lengths.mean()), float(lengths.std())),
            float(self.successes[chosen].mean()),
            (float(returns.mean()), float(returns.std())),
        )

    def by_policy(self) -> dict[str, Summary]:
        """The summary of each behavior policy's episodes."""
        return {str(policy): self.summary(policy) for policy in np.unique(self.policies)}


def count_episodes(table: "pa.Table") -> list[Count]:
    """Counts the rows of `lmrl_data.rows.SCHEMA` by policy, length, return and success, without making episodes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = table.combine_chunks()
    messages, infos = rows["messages"].chunk(0), rows["info"].chunk(0).storage.dictionary_encode()
    acts = pc.equal(messages.values.field("role"), "assistant").cast(pa.int64()).to_numpy()
    lengths = np.add.reduceat(acts, messages.offsets.to_numpy()[:-1])
    success = np.array([bool(json.loads(info)["success"]) for info in infos.dictionary.to_pylist()])
    columns = (lengths, rows["total_reward"].to_numpy(), success[infos.indices.to_numpy()])
    counts = Counter(zip(rows["policy"].to_pylist(), *(column.tolist() for column in columns), strict=True))
    return [(*key, number) for key, number in sorted(counts.items())]
