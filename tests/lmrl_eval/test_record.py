"""The record: what is wrong with a stranger's JSON is one line that names the field."""

import json
import re
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from lmrl_eval.record import installed_versions
from lmrl_eval.training_record import TrainingRecord, read_training_record

RECORD = TrainingRecord("maze", "1.0.0", "fully_observed", "bc", None, "lmrl/maze", versions={"torch": "2.1"})


def changed(**values: object) -> str:
    return json.dumps(json.loads(RECORD.to_json()) | values)


def test_a_record_survives_its_json() -> None:
    assert TrainingRecord.from_json(RECORD.to_json()) == RECORD


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        RECORD.task = "chess"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": True}, "seed must be int | None, got True"),
        ({"versions": {"torch": 2}}, "versions must be dict[str, str], got {'torch': 2}"),
        ({"kind": "judge"}, "kind must be Literal['policy', 'oracle'], got 'judge'"),
        ({"dataset": "two\nlines"}, "dataset must be a short text on one line, got 'two\\nlines'"),
        ({"config": "upside_down"}, "unknown config of maze 'upside_down'"),
        ({"extra": 1}, "TrainingRecord got an unexpected keyword argument 'extra'"),
        ({"format": 2}, "it is not of format 1"),
    ],
)
def test_what_is_wrong_is_one_line(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        TrainingRecord.from_json(changed(**values))
    assert "\n" not in str(caught.value)


def test_the_former_name_of_an_oracle_is_still_read(tmp_path: Path) -> None:
    (tmp_path / "training.json").write_text(changed(kind="simulator"))
    record = read_training_record(tmp_path)
    assert record is not None
    assert json.loads(record.to_json())["kind"] == "oracle"


def test_versions_are_of_what_is_installed() -> None:
    assert installed_versions(["numpy", "no-such-library"]).keys() == {"numpy"}
