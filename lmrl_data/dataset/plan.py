"""What a build consists of: its dataset configs, its splits, and the shards that hold them."""

from collections.abc import Mapping
from typing import NamedTuple

from lmrl_data.errors import UserError
from lmrl_data.task import TEST_SEED, TRAIN_SEED, Task

FIRST_SEED = {"train": TRAIN_SEED, "test": TEST_SEED}
CHUNKS = 40  # a shard is played in so many pieces, each by one process


class Chunk(NamedTuple):
    """A range of episodes that one process plays without a pause."""

    config: str
    split: str
    start: int  # index in the split
    stop: int


class Shard(NamedTuple):
    """A range of episodes, and the files that hold them."""

    config: str
    split: str
    start: int
    stop: int
    paths: tuple[str, ...]  # the episodes' file, and a Markov config's steps

    def chunks(self, size: int) -> list[Chunk]:
        """The shard in pieces of `size` episodes."""
        starts = range(self.start, self.stop, size)
        return [Chunk(self.config, self.split, start, min(start + size, self.stop)) for start in starts]


def dataset_configs(task: Task, config: str) -> list[str]:
    """The dataset configs that a config of a task fills: its episodes and, where it is Markov, its steps."""
    return [config, f"{config}_steps"] if task.config(config).markov else [config]


def split_sizes(task: Task, config: str, num_episodes: int | None) -> dict[str, int]:
    """The number of episodes of each split.

    Raises:
        UserError: for a train split that would take seeds of the test split.
    """
    if num_episodes is None:
        return dict(task.config(config).num_episodes or task.num_episodes)
    if not 1 <= num_episodes <= TEST_SEED - TRAIN_SEED:
        raise UserError(f"a train split has 1 to {TEST_SEED - TRAIN_SEED:,} episodes, got {num_episodes:,}")
    return {"train": num_episodes, "test": max(1, num_episodes // 10)}


def plan(task: Task, config: str, sizes: Mapping[str, int]) -> list[Shard]:
    """The shards of a config; they depend on the sizes of the splits and nothing else."""
    shards = []
    for split, size in sizes.items():
        starts = range(0, size, task.shard_episodes)
        for index, start in enumerate(starts):
            file = f"{split}-{index:05d}-of-{len(starts):05d}.parquet"
            paths = tuple(f"{name}/{file}" for name in dataset_configs(task, config))
            shards.append(Shard(config, split, start, min(start + task.shard_episodes, size), paths))
    return shards
