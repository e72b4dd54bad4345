"""A match between two chess opponents: one line of JSON with the score, its error and the CPU time of a reply.

    python benchmarks/chess_match.py --games 100 --first seeded --second movetime100
    python benchmarks/chess_match.py --first "seeded@1600" --second "seeded@1350/nodes 200"

A player is a name, with its Elo and its search limit if they are not the usual ones. Every opening, a few random
moves, is played twice with colours changed. Draws are given as players would claim them: threefold repetition, fifty
moves.
"""

import argparse
import json
import math
import resource
import time
from typing import NamedTuple

import chess
import numpy as np

from lmrl_data.tasks.chess.engine import EnginePool
from lmrl_data.tasks.chess.simulator import OPPONENTS, EngineOpponent, Opponent, SeededOpponent

OPENING_PLIES = (4, 8)
WIN = {"1-0": 1.0, "0-1": 0.0, "1/2-1/2": 0.5}


class Player(NamedTuple):
    opponent: Opponent
    pool: EnginePool  # its own: one engine, whose hash stays warm as in a game of the original


def player(text: str) -> Player:
    """`seeded`, `seeded@1600`, `seeded@1350/nodes 200`, `engine/nodes 3000`."""
    name, _, limit = text.partition("/")
    name, _, elo = name.partition("@")
    if name == "seeded" and (elo or limit):
        given = {"elo": int(elo) if elo else None, "limit": limit or None}
        return Player(SeededOpponent(**{k: v for k, v in given.items() if v is not None}), EnginePool(size=1))
    if name == "engine":
        return Player(EngineOpponent(text, limit), EnginePool(size=1))
    return Player(OPPONENTS[name](), EnginePool(size=1))


def opening(random: np.random.Generator) -> chess.Board:
    """A few random moves that do not end the game."""
    board = chess.Board()
    for _ in range(int(random.integers(OPENING_PLIES[0], OPENING_PLIES[1] + 1))):
        moves = list(board.legal_moves)
        board.push(moves[int(random.integers(len(moves)))])
    return board if not board.is_game_over() else opening(random)


def play(board: chess.Board, white: Player, black: Player, random: np.random.Generator) -> str:
    """The result of one game."""
    while not board.is_game_over(claim_draw=True):
        opponent, pool = white if board.turn else black
        reply = pool.answer([opponent.question(board)])[0]
        board.push(opponent.choose(board, reply, random))
    return board.result(claim_draw=True)


def cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--games", type=int, default=2)
    parser.add_argument("--first", default="seeded")
    parser.add_argument("--second", default="depth1")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    random = np.random.default_rng(args.seed)
    first, second = player(args.first), player(args.second)
    scores, plies, begin = [], 0, time.monotonic()
    start = chess.Board()
    for game in range(args.games):
        if game % 2 == 0:
            start = opening(random)
        board = start.copy()
        white, black = (first, second) if game % 2 == 0 else (second, first)
        result = WIN[play(board, white, black, random)]
        scores.append(result if game % 2 == 0 else 1 - result)
        plies += len(board.move_stack) - len(start.move_stack)
    wall, cpu = time.monotonic() - begin, []
    for each in (first, second):  # an engine's time is known when it has ended
        before = cpu_of_children()
        each.pool.close()
        cpu.append((cpu_of_children() - before) / max(1, plies / 2) * 1000)
    score = float(np.mean(scores))
    elo = -400 * math.log10(1 / score - 1) if 0 < score < 1 else None
    print(
        json.dumps(
            {
                "benchmark": "chess_match", "first": args.first, "second": args.second, "games": args.games,
                "score": round(score, 4), "standard_error": round(float(np.std(scores)) / math.sqrt(args.games), 4),
                "elo_difference": elo if elo is None else round(elo), "draws": scores.count(0.5),
                "plies_per_game": round(plies / args.games, 1), "wall_s": round(wall, 1),
                "cpu_ms_per_reply": {"first": round(cpu[0], 2), "second": round(cpu[1], 2)},
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
