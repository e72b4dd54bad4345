"""Model cards: they tell where a checkpoint comes from, and no text of a training record is more than text."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cases import check_cases
from huggingface_hub import ModelCard

from lmrl_eval.model_card import render_model_card
from lmrl_eval.training_record import TrainingRecord


def record(**changes: Any) -> TrainingRecord:
    facts: dict[str, Any] = {
        "task": "maze", "task_version": "1.0.0", "config": "fully_observed", "algorithm": "ilql",
        "base_model": "me/tiny", "dataset": "lmrl/maze", "settings": {"beta": 16.0},
        "limitations": "It knows one maze.",
    }  # fmt: skip
    return TrainingRecord(**(facts | changes))


def test_a_model_card_shows_settings_and_data() -> None:
    settings = {"learning_rate": 1e-4, "a|b": "x\ny"}
    text = render_model_card(record(dataset_revision="abc123", settings=settings))
    for row in ("| dataset revision | abc123 |", "| learning_rate | 0.0001 |", "| a\\|b | x y |"):
        assert row in text
    head = ModelCard(text).data.to_dict()
    assert (head["base_model"], head["datasets"]) == ("me/tiny", ["lmrl/maze"])


def test_a_model_card_links_no_folder_as_if_it_were_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me" / "here").mkdir(parents=True)

    def check(name: str) -> None:
        text = render_model_card(record(base_model=name, dataset=name))
        assert not {"base_model", "datasets"} & ModelCard(text).data.to_dict().keys()
        assert f"| base model | {name}" in text

    check_cases(["runs/maze/base", "/models/tiny", "../tiny", "tiny", "me/here", "not recorded", "a/b c"], check)


def test_a_dataset_that_was_built_here_is_still_the_one_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lmrl" / "maze").mkdir(parents=True)
    assert ModelCard(render_model_card(record())).data.to_dict()["datasets"] == ["lmrl/maze"]


def test_a_model_card_tells_where_it_comes_from_and_how_to_use_it() -> None:
    made = record(
        dataset_revision="v1.0.0", dataset_fingerprint="0123abcd", seed=0, versions={"torch": "2.1", "trl": "1.0"}
    )
    text = render_model_card(made, recipe=True, figures=["figures/loss (1).png"], repo="me/maze-ilql")
    for row in ("| dataset revision | v1.0.0 |", "| dataset's files | 0123abcd |", "| seed | 0 |",
                "| trained with | torch 2.1, trl 1.0 |", "| recipe | [recipe.yaml](recipe.yaml) |"):  # fmt: skip
        assert f"\n{row}\n" in text
    assert "](figures/loss%20%281%29.png)\n" in text
    assert 'AutoModelForCausalLM.from_pretrained("me/maze-ilql")' in text
    assert "lmrl-eval run --task maze --policy me/maze-ilql\n" in text
    assert yaml.safe_load(text.split("---\n")[1])["library_name"] == "transformers"


def test_what_is_told_of_a_checkpoint_can_neither_link_nor_leave_its_cell() -> None:
    short = "a | b ![x](http://y) <img src=x> # title `"
    nasty = "a | b ![x](http://y) <img src=x>\n# title `\x1b"
    text = render_model_card(
        record(
            base_model=short, dataset=short, dataset_revision=short, dataset_fingerprint=short, algorithm=short,
            versions={nasty: nasty}, settings={nasty: nasty},
        ),
        figures=[nasty],
    )  # fmt: skip
    assert text.count("a \\| b !\\[x\\]\\(http\\://y) &lt;img src=x&gt; \\# title \\`") >= 9
    assert not re.search(r"\]\(http|<img|\x1b|^# title", text.split("---\n", 2)[2], flags=re.MULTILINE)


def test_a_model_card_says_that_nothing_was_evaluated_yet_or_where_scores_are() -> None:
    assert "Not evaluated yet" in render_model_card(record())
    # On the Hub that would be wrong after the first push of a score.
    published = render_model_card(record(), repo="me/model")
    assert "Not evaluated yet" not in published
    assert "lmrl-eval verify me/model" in published


def test_a_model_card_without_limitations_is_refused() -> None:
    with pytest.raises(ValueError, match="limitations is empty"):
        render_model_card(record(limitations=" "))


def test_a_card_of_an_oracle_warns_and_names_its_data() -> None:
    text = render_model_card(record(kind="oracle", base_model="b | <b>", dataset="lmrl/d", n_examples=1234))
    assert "1,234" in text
    assert "| b \\| &lt;b&gt; |" in text
    assert "not comparable" in text
    assert text.startswith("---\nlicense: apache-2.0\n")
    assert "- simulator\n" in text
