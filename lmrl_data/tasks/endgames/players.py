"""The players of the endgames: the tables' best move, and the mixture that makes the dataset."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from lmrl_data.episode import Episode
from lmrl_data.errors import require
from lmrl_data.policy import Conversation, Policy
from lmrl_data.rollout import play_episode
from lmrl_data.simulator import Simulator
from lmrl_data.tasks.chess.simulator import read_position, spaced, unspaced_fen
from lmrl_data.tasks.endgames.simulator import (
    EndgamesSimulator,
    ErrantOpponent,
    held_out_positions,
    position_of,
    random_move,
)
from lmrl_data.tasks.endgames.tables import best_moves, white_moves


class OptimalPolicy(Policy):
    """Mates as soon as possible: the first of the tables' best moves."""

    name = "scripted:optimal"

    def __init__(self, config: str, seed: int) -> None:
        pass

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [self._act(conversation.turns[-1].content) for conversation in conversations]

    def _act(self, text: str) -> str:
        board = read_position(text)
        move = best_moves(position_of(board))[0]
        return spaced(board.san(require("chess", extra="chess").Move(move.origin, move.target)))


# --- the dataset

EPSILON = 0.95  # drawn uniformly up to here, for each game; with `ErrantOpponent` near Table 1's line


def play_epsilon(simulator: Simulator, seed: int) -> Episode:
    """White plays a random legal move with a probability drawn for the game, otherwise one of the tables' best."""
    assert isinstance(simulator, EndgamesSimulator)
    random = np.random.default_rng([seed, 0xE9])
    epsilon = random.uniform(0.0, EPSILON)
    best = 0

    def act(observation: str) -> str:
        nonlocal best
        board = simulator.board
        errs = random.random() < epsilon
        best += not errs
        choices = white_moves if errs else best_moves
        return spaced(board.san(random_move(choices(position_of(board)), random)))

    options = {"opponent": ErrantOpponent.name, **simulator.options}  # unless the build asks for another
    episode = play_episode("endgames", simulator, seed, "epsilon", act, options=options)
    episode.info.update(epsilon=round(epsilon, 4), best_moves=best)
    return episode


def data_facts(config: str, episodes: Iterable[Episode]) -> dict[str, str]:
    """The facts that the paper states about its data beyond Table 1, for our data."""
    held_out = {text.partition(" ")[0] for text in held_out_positions()}
    texts: set[str] = set()
    endings: Counter[str] = Counter()
    moves = {True: 0, False: 0}  # by whether the game was won
    best = {True: 0, False: 0}
    for episode in episodes:
        texts.update(turn.content for turn in episode.turns[:-1:2])
        endings[episode.info["termination"]] += 1
        moves[episode.success] += episode.num_turns
        best[episode.success] += episode.info["best_moves"]
    positions = {unspaced_fen(text).partition(" ")[0] for text in texts}
    every, games = sum(moves.values()), endings.total()
    return {
        "different texts to move in (paper: 1,086,314, 93 %)": f"{len(texts):,}, {len(texts) / every:.1%} of all",
        "without the clocks at their end": f"{len(positions):,} different positions",
        "test positions that games pass through": f"{len(positions & held_out):,} of {len(held_out):,}",
        "moves chosen by the tables (paper: 38.28 %)": f"{sum(best.values()) / every:.2%}",
        "the same in won games (paper: 41.78 %)": f"{best[True] / max(moves[True], 1):.2%}",
        "moves that belong to won games (paper: 58.62 %)": f"{moves[True] / every:.2%}",
        "games ended by": ", ".join(f"{name} {n / games:.1%}" for name, n in endings.most_common()),
    }
