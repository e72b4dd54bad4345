"""How fast chess is played: one line of JSON with the time of a step without an engine, and of each opponent's reply.

    python benchmarks/chess_step.py

A step is White's move, Black's (known beforehand) and the new text. Steps are CPU seconds of this process, the best
of several runs; `plain` is the same in python-chess as one would write it first. Replies are CPU seconds of the engine
and wall time, one at a time.
"""

import json
import platform
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import chess
import numpy as np

from lmrl_data import get_task
from lmrl_data.tasks.chess.engine import EnginePool
from lmrl_data.tasks.chess.simulator import OPPONENTS, ChessSimulator, Opponent

GAMES = 20
REPEATS = 3
REPLIES = {"seeded": 200, "movetime100": 20, "nodes10000": 50, "depth1": 200}

Game = tuple[int, list[str], list[chess.Move]]  # a seed, White's actions, Black's moves


def random_game(seed: int) -> Game:
    """A game of random moves on both sides."""
    random = np.random.default_rng([seed, 1])
    simulator = get_task("chess").simulator(options={"opponent": "random"})
    simulator.reset(seed=seed)
    actions, replies, over = [], [], False
    while not over:
        board = simulator.board
        moves = list(board.legal_moves)
        actions.append(" ".join(board.san(moves[int(random.integers(len(moves)))])))
        plies = len(board.move_stack)
        _, _, terminated, truncated, _ = simulator.step(actions[-1])
        replies += board.move_stack[plies + 1 :]
        over = terminated or truncated
    return seed, actions, replies


class Replay(Opponent):
    """Plays the moves it played before."""

    name = "replay"
    engine = False
    moves: Iterator[chess.Move]

    def choose(self, board: chess.Board, reply: str, random: np.random.Generator) -> chess.Move:
        return next(self.moves)


class ReplaySimulator(ChessSimulator):
    opponents: ClassVar[Mapping[str, Any]] = {"replay": Replay}


def ours(games: Sequence[Game]) -> float:
    simulator = ReplaySimulator(get_task("chess").config())
    seconds = 0.0
    for seed, actions, replies in games:
        simulator.reset(seed=seed)
        simulator.opponent.moves = iter(replies)  # type: ignore[attr-defined]
        begin = time.process_time()
        for action in actions:
            simulator.step(action)
        seconds += time.process_time() - begin
    return seconds


def plain(games: Sequence[Game]) -> float:
    seconds = 0.0
    for _, actions, replies in games:
        board, left = chess.Board(), iter(replies)
        begin = time.process_time()
        for action in actions:
            board.push_san(action.replace(" ", "").strip())
            if not board.is_game_over():
                board.push(next(left))
                board.is_game_over()
            " ".join(board.fen())
        seconds += time.process_time() - begin
    return seconds


def best_us(run: Callable[[Sequence[Game]], float], games: Sequence[Game]) -> float:
    steps = sum(len(actions) for _, actions, _ in games)
    return min(run(games) for _ in range(REPEATS)) / steps * 1e6


def reply_times(name: str, boards: Sequence[chess.Board]) -> dict[str, float]:
    opponent, pool = OPPONENTS[name](), EnginePool(size=1)
    pool.answer([opponent.question(chess.Board())])
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    for board in boards:
        pool.answer([opponent.question(board)])
    wall = time.monotonic() - begin
    pool.close()  # an engine's time is known when it has ended
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_ms": round(cpu / len(boards) * 1e3, 2), "wall_ms": round(wall / len(boards) * 1e3, 2)}


def positions(games: Sequence[Game], number: int) -> list[chess.Board]:
    """Different positions with Black to move."""
    boards = []
    for _, actions, replies in games:
        board = chess.Board()
        for action, reply in zip(actions, replies, strict=False):
            board.push_san(action.replace(" ", ""))
            boards.append(board.copy(stack=False))
            board.push(reply)
    return boards[:: max(1, len(boards) // number)][:number]


def main() -> None:
    games = [random_game(seed) for seed in range(GAMES)]
    step, reference = best_us(ours, games), best_us(plain, games)
    result: dict[str, object] = {
        "benchmark": "chess_step", "python": platform.python_version(), "step_us": round(step, 1),
        "plain_us": round(reference, 1), "times_faster": round(reference / step, 2),
    }  # fmt: skip
    result["reply"] = {name: reply_times(name, positions(games, number)) for name, number in REPLIES.items()}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
