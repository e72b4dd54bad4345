"""Gymnasium's ids: what its vectors of simulators return is what the simulators say, or is refused."""

import gymnasium
import pytest

import lmrl_data  # noqa: F401  registers the ids


def test_shared_memory_that_holds_no_texts_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match="shared_memory=False") as refused:
        gymnasium.make_vec("lmrl/Maze-v0", num_envs=2, vectorization_mode="async")
    assert "vector_kwargs={'shared_memory': False}" in str(refused.value.__cause__)


def test_a_vector_in_processes_of_its_own_says_what_one_in_this_process_says() -> None:
    texts = []
    for settings in (
        {"vectorization_mode": "sync"},
        {"vectorization_mode": "async", "vector_kwargs": {"shared_memory": False}},
    ):
        simulators = gymnasium.make_vec("lmrl/Maze-v0", num_envs=2, **settings)
        texts.append((simulators.reset(seed=3)[0], simulators.step(("move up", "move left"))[0]))
        simulators.close()
    assert texts[0] == texts[1]
    assert texts[0][0] != texts[0][1]
