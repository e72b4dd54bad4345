"""Training of the reader: the same command gives the same file, and the file says what the trained net says."""

from pathlib import Path

import numpy as np

from lmrl_data.dialogue.reader import Reader
from lmrl_recipes.reader import ReaderArguments, main
from lmrl_recipes.training.sentences import training_examples, typed


def train(folder: Path, seed: int = 0) -> bytes:
    arguments = ReaderArguments(str(folder), encoder="", layers=1, epochs=8, student_epochs=8, only="wheel", seed=seed)
    main(arguments, {})
    return (folder / "reader.npz").read_bytes()


def test_a_small_reader_is_trained_alike_twice_and_reads_what_it_learned(tmp_path: Path) -> None:
    one, same, other = train(tmp_path / "one"), train(tmp_path / "same"), train(tmp_path / "other", seed=1)
    assert one == same != other
    with np.load(tmp_path / "one" / "reader.npz", allow_pickle=False) as arrays:
        reader = Reader(dict(arrays))
    rows = [row for row in training_examples() if row.labels.get("attribute", ("",))[0].startswith("wheel")]
    right = [reader.read("attribute", row.sentence)[0].name == row.labels["attribute"][0] for row in rows]
    assert sum(right) > 0.9 * len(right)


def test_typing_mistakes_are_seeded_and_keep_most_of_a_sentence() -> None:
    sentence = "Is it something that people wear on their feet?"
    versions = [typed(sentence, np.random.default_rng(seed)) for seed in range(100)]
    assert versions == [typed(sentence, np.random.default_rng(seed)) for seed in range(100)]
    assert 20 < len(set(versions)) < 90
    assert all(len(version) > len(sentence) - 15 for version in versions)
