"""The reader: its sums are exact, any text has a reading, and the shipped file belongs to the tables."""

import json
import time
from importlib import resources

import numpy as np
import pytest
from cases import check_cases

from lmrl_data.dialogue.reader import MAX_PIECES, Linear, Pieces, reader
from lmrl_data.tasks.guess_my_city.facts import facts
from lmrl_data.tasks.twenty_questions.knowledge import knowledge
from lmrl_recipes.training.sentences import digest, training_examples


def test_sums_are_exact_at_their_largest() -> None:
    weights = np.full((2048, 3), 127, np.float32)
    weights[::2, 1] = -127
    weights[1024:, 2] = 126
    layer = Linear(weights, np.ones(3, np.float32), np.zeros(3, np.float32))
    inputs = np.full((1, 2048), 127, np.float32)
    exact = inputs.astype(np.int64) @ weights.astype(np.int64)
    largest = layer(inputs)
    assert (largest == exact).all(), (largest, exact)


def test_words_are_cut_into_their_longest_known_pieces() -> None:
    pieces = Pieces(["[CLS]", "[SEP]", "[UNK]", "un", "##kn", "##known", "##own", "?", "e"])
    assert pieces("Unknown?") == [0, 3, 5, 7, 1]
    assert pieces("é zzz") == [0, 8, 2, 1]
    assert len(pieces("e " * 1000)) == MAX_PIECES + 2


@pytest.mark.parametrize(
    "text", ["", " ", "\x00\u202e\ud800", "日本 🙂", "a" * 1_000_000, "? " * 500_000, "\u0301" * 1000, "{{ 7 * 7 }}"]
)
def test_any_text_has_a_reading_in_bounded_time(text: str) -> None:
    start = time.process_time()
    labels = reader().read("attribute", text)
    assert time.process_time() - start < 2
    assert sum(label.probability for label in labels) == pytest.approx(1, abs=1e-3)


def test_the_shipped_reader_was_trained_on_the_tables_as_they_are() -> None:
    record = json.loads(resources.files("lmrl_data.dialogue").joinpath("assets", "reader.json").read_text("utf-8"))
    assert record["examples"] == reader().examples == digest(training_examples())


def test_its_labels_are_those_of_the_tasks() -> None:
    labels = reader().labels
    assert set(labels["attribute"]) == {*knowledge().attributes, "none"}
    assert set(labels["polarity"]) == {"yes", "no"}
    # A fact that is named as its topic has a value, which rules read.
    assert set(labels["fact"]) <= {*facts(), *labels["topic"], "country"}


def test_sentences_of_voices_that_never_trained_are_read() -> None:
    def check(head: str, sentence: str, label: str) -> None:
        assert reader().read(head, sentence)[0].name == label
        assert reader().best(head, sentence) == reader().read(head, sentence)[0]

    check_cases(
        [
            ("attribute", "Would I come across one on a farm, dear?", "farm_place"),
            ("attribute", "gimme a hint pls", "none"),
            ("topic", "What do people there like to have for dinner?", "food"),
            ("polarity", "Is it far away from the sea?", "no"),
            ("polarity", "Is it by the sea?", "yes"),
        ],
        check,
    )
