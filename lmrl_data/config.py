"""A task's variants, each with the returns that set the scale of its scores."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ReferenceReturns:
    """The returns that mean 0, 50 and 100 (paper appendix E); scores in between are linear and never clipped.

    Args:
        minimum (`float`): scores 0.
        dataset_mean (`float`): scores 50.
        maximum (`float`): scores 100 in the paper.
        optimum (`float`): the best possible mean return, or `maximum` where it is unknown.
        source (`str`): where the numbers come from.
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
        name (`str`): its name, as in `load_dataset("lmrl/maze", "partially_observed")`.
        description (`str`): one line for tables and cards.
        history (`int`, *optional*): how many of the latest texts the policy sees; `None`: all of them.
        reference (`ReferenceReturns`): the returns behind the normalized score.
        num_episodes (`Mapping[str, int]`, *optional*): default size of each split, if it differs from the task's.
    """

    name: str
    description: str
    history: int | None
    reference: ReferenceReturns
    num_episodes: Mapping[str, int] | None = None

    @property
    def markov(self) -> bool:
        """Whether the policy sees the newest observation only; such a config also has a `<config>_steps` dataset."""
        return self.history == 1


def by_name(*configs: Config) -> dict[str, Config]:
    """The configs of a task, by their names; the first is the default."""
    return {config.name: config for config in configs}
