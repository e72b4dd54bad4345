"""The `evaluate` module over episodes; `evaluate.load` takes the path of its folder."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import datasets
import evaluate

from lmrl_data.episode import Episode
from lmrl_data.errors import UserError
from lmrl_data.tasks import get_task
from lmrl_eval.score import score_episodes

DESCRIPTION = """\
Scores episodes of an LMRL-Gym task: mean return with a bootstrap interval, raw and normalized (0, 50 and 100 are the
task's minimum, dataset mean and maximum), success rate, length, and the rate of invalid actions.
"""

INPUTS_DESCRIPTION = """
Args:
    predictions (`list[dict]`): episode rows with the columns of the task's dataset, all of one task and config, at
        least two for an interval; the rows of an `episodes.parquet` that `lmrl-eval run` wrote will do. `info` may be
        JSON text.
    strategy (`str`, *optional*, defaults to `"bootstrap"`): the method of the confidence interval.
    confidence_level (`float`, *optional*, defaults to `0.95`): the level of the intervals.
    n_resamples (`int`, *optional*, defaults to `9999`): the number of bootstrap resamples.

Returns:
    The fields of `lmrl_eval.Score` that follow from the episodes, as a dictionary.
"""

CITATION = """\
@inproceedings{abdulhai2025lmrl,
  title={{LMRL Gym}: Benchmarks for Multi-Turn Reinforcement Learning with Language Models},
  author={Abdulhai, Marwa and White, Isadora and Snell, Charlie Victor and Sun, Charles and Hong, Joey and
          Zhai, Yuexiang and Xu, Kelvin and Levine, Sergey},
  booktitle={International Conference on Machine Learning},
  year={2025}
}
"""

# Fields of a score that do not follow from episodes.
CONTEXT = (
    "protocol",
    "options",
    "move_accuracy",
    "policy_seed",
    "versions",
    "dataset_revision",
    "checkpoint",
    "statistics",
    "oracle",
)


class LmrlScore(evaluate.Metric):
    """The score of episode rows."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS_DESCRIPTION,
            # A row goes through Arrow as JSON text: what `info` holds differs from task to task.
            features=datasets.Features({"predictions": datasets.Value("string")}),
        )

    def add_batch(
        self, *, predictions: Iterable[Mapping[str, Any]] | None = None, references: Any = None, **kwargs: Any
    ) -> None:
        """Adds episode rows; an episode has no reference."""
        if references is not None:
            raise UserError("lmrl_score takes no references; give predictions only")
        super().add_batch(predictions=[json.dumps(dict(row)) for row in predictions or []], **kwargs)

    def add(self, *, prediction: Mapping[str, Any] | None = None, reference: Any = None, **kwargs: Any) -> None:
        """Adds one episode row."""
        self.add_batch(predictions=[prediction or {}], references=reference, **kwargs)

    def _compute(self, predictions: list[str], **settings: Any) -> dict[str, Any]:
        rows = [json.loads(row) for row in predictions]
        for row in rows:
            if isinstance(row.get("info"), str):
                row["info"] = json.loads(row["info"])
        episodes = [Episode.from_row(row) for row in rows]
        if not episodes:
            raise UserError("a score needs at least 1 episode, got 0")
        first = episodes[0]
        score = score_episodes(episodes, get_task(first.task), first.config, **settings).to_dict()
        return {name: value for name, value in score.items() if name not in CONTEXT}
