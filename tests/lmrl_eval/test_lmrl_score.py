"""The `evaluate` module gives the numbers of `lmrl-eval` from nothing but episode rows."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

import lmrl_eval
from lmrl_data import UserError, get_task
from lmrl_eval import Evaluator, Results

FOLDER = Path(lmrl_eval.__file__).parent / "lmrl_score"


@pytest.fixture(scope="module")
def results() -> Results:
    task = get_task("maze")
    return Evaluator().compute(task.policy("random", "fully_observed"), task, n_episodes=50)


@pytest.fixture(scope="module")
def metric(tmp_path_factory: pytest.TempPathFactory) -> Any:
    import evaluate

    return evaluate.load(str(FOLDER), cache_dir=str(tmp_path_factory.mktemp("evaluate")))


def rows(results: Results) -> list[dict[str, Any]]:
    return [episode.to_row() for episode in results.episodes]


def test_the_module_gives_the_numbers_of_the_score(metric: Any, results: Results) -> None:
    computed = metric.compute(predictions=rows(results))
    score = dataclasses.asdict(results.score)
    assert computed == {name: score[name] for name in computed}
    assert {"mean_return", "interval", "normalized", "success_rate", "mean_turns", "invalid_rate"} <= set(computed)


def test_rows_may_be_a_dataset_or_carry_info_as_text(metric: Any, results: Results, tmp_path: Path) -> None:
    from datasets import Dataset

    expected = metric.compute(predictions=rows(results))
    path = str(results.save(tmp_path / "r") / "episodes.parquet")
    assert metric.compute(predictions=Dataset.from_parquet(path, cache_dir=str(tmp_path / "cache"))) == expected
    texts = [{**row, "info": json.dumps(row["info"])} for row in rows(results)]
    assert metric.compute(predictions=texts) == expected


def test_rows_may_come_one_by_one(metric: Any, results: Results) -> None:
    for row in rows(results)[:10]:
        metric.add(prediction=row)
    assert metric.compute()["n_episodes"] == 10


def test_settings_reach_the_score(metric: Any, results: Results) -> None:
    wide, narrow = (
        metric.compute(predictions=rows(results), confidence_level=level)["interval"] for level in (0.99, 0.5)
    )
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_no_rows_bad_rows_and_references_are_refused_and_the_module_stays_usable(
    metric: Any, results: Results
) -> None:
    with pytest.raises(UserError, match="at least 1 episode"):
        metric.compute(predictions=[])
    with pytest.raises(ValueError, match="column 'messages' is missing"):
        metric.compute(predictions=[{"task": "maze"}] * 2)
    with pytest.raises(UserError, match="unknown task 'go'"):
        metric.compute(predictions=[{**row, "task": "go"} for row in rows(results)])
    with pytest.raises(UserError, match="no references"):
        metric.add_batch(predictions=rows(results), references=[0] * 50)
    assert metric.compute(predictions=rows(results))["n_episodes"] == 50
