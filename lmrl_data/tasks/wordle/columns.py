"""The games of the dataset made by the column: a million games without a million simulators."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lmrl_data.tasks.wordle.counter_random import below, draw
from lmrl_data.tasks.wordle.players import is_smart, pick
from lmrl_data.tasks.wordle.simulator import FIRST, MAX_TRIES, TARGET, WordleSimulator
from lmrl_data.tasks.wordle.words import FEEDBACKS, WordGame

if TYPE_CHECKING:
    import pyarrow as pa


def table(simulator: WordleSimulator, seeds: Sequence[int]) -> "pa.Table":
    """The rows of the games of many seeds, as `play_mixture` plays them one by one, made by the column."""
    simulator.reset(seed=seeds[0])
    game = simulator.game
    numbers = np.array(seeds, dtype=np.uint64)
    target = below(draw(numbers, TARGET), len(game.words)).astype(np.int64)
    if simulator.options.get("target") is not None:
        target[:] = game.words.index(simulator.target)
    guesses = np.empty((len(numbers), MAX_TRIES), dtype=np.int64)
    codes = np.empty((len(numbers), MAX_TRIES), dtype=np.uint8)
    solved = np.full(len(numbers), False)
    tries = np.full(len(numbers), MAX_TRIES)
    for attempt in range(MAX_TRIES):
        # Finished games play on here and are cut below.
        guesses[:, attempt] = pick(numbers, attempt, len(game.words))
        smart = np.flatnonzero(is_smart(numbers, attempt) & ~solved) if attempt else np.array([], dtype=np.int64)
        possible = np.ones((len(smart), len(game.words)), dtype=bool)
        for before in range(attempt):
            possible &= game.codes[guesses[smart, before]] == codes[smart, before, None]
        _, words = np.nonzero(possible)
        counts = possible.sum(1)
        firsts = np.cumsum(counts) - counts
        which = pick(numbers[smart], attempt, counts.astype(np.uint64)).astype(np.int64)
        guesses[smart, attempt] = words[firsts + which]
        codes[:, attempt] = game.codes[guesses[:, attempt], target]
        now = ~solved & (guesses[:, attempt] == target)
        tries[now] = attempt + 1
        solved |= now
    return _rows(simulator.config, game, numbers, target, guesses, codes, tries, solved)


def _rows(
    config: str,
    game: WordGame,
    seeds: np.ndarray,
    target: np.ndarray,
    guesses: np.ndarray,
    codes: np.ndarray,
    tries: np.ndarray,
    solved: np.ndarray,
) -> "pa.Table":
    """The dataset's columns of games; arrays of shape [games] and [games, tries], cut to each game's `tries`."""
    import json

    import pyarrow as pa

    from lmrl_data.rows import SCHEMA

    # Every text is looked up by its number in one list: the opening, then the guesses, then the answers.
    texts = pa.array([FIRST, *game.actions, *FEEDBACKS])
    turns = np.zeros((len(seeds), 1 + 2 * MAX_TRIES), dtype=np.int32)
    turns[:, 1::2] = 1 + guesses
    turns[:, 2::2] = 1 + len(game.actions) + codes.astype(np.int32)
    lengths = 1 + 2 * tries
    said = np.arange(turns.shape[1]) < lengths[:, None]
    rewards = np.zeros(turns.shape)
    rewards[:, 1::2] = -1.0
    rewards[np.flatnonzero(solved), lengths[solved] - 2] = 0.0
    speakers = np.broadcast_to(np.arange(turns.shape[1], dtype=np.int32) % 2, turns.shape)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    messages = pa.StructArray.from_arrays(
        [pa.array(["user", "assistant"]).take(pa.array(speakers[said])), texts.take(pa.array(turns[said]))],
        fields=list(SCHEMA.field("messages").type.value_type),
    )
    info = pa.array(
        [
            json.dumps({"target": word, "success": success, "invalid": 0}, separators=(",", ":"))
            for word in game.words
            for success in (False, True)
        ]
    )
    columns = {
        "task": pa.repeat("wordle", len(seeds)),
        "config": pa.repeat(config, len(seeds)),
        "messages": pa.ListArray.from_arrays(offsets, messages, type=SCHEMA.field("messages").type),
        "rewards": pa.ListArray.from_arrays(offsets, pa.array(rewards[said]), type=SCHEMA.field("rewards").type),
        "total_reward": pa.array(-1.0 * (tries - solved)),
        "terminated": pa.repeat(True, len(seeds)),
        "truncated": pa.repeat(False, len(seeds)),
        "policy": pa.repeat("mixture", len(seeds)),
        "seed": pa.array(seeds.astype(np.int64)),
        "info": pa.ExtensionArray.from_storage(SCHEMA.field("info").type, info.take(pa.array(2 * target + solved))),
    }
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)
