"""Chess endgames: mate a bare king with a queen, a rook, or two pieces; texts and rewards are those of chess.

Black needs no engine: tables hold the moves to mate of every position. Paper section 4 and appendix C.
"""

import functools
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lmrl_data.errors import UserError, require, unknown
from lmrl_data.tasks.chess.simulator import OPPONENTS, ChessSimulator, Opponent, read_position
from lmrl_data.tasks.endgames.tables import (
    FOLDER,
    FOLDS,
    ILLEGAL,
    PLACES,
    SETS,
    Move,
    Position,
    best_replies,
    black_moves,
    moves_to_mate,
    read,
)

if TYPE_CHECKING:
    import chess


# --- positions


def fen(position: Position) -> str:
    """The FEN of a position with White to move.

    Examples:
        >>> fen(Position("Q", (3,), 4, 60))
        '4k3/8/8/8/8/8/8/3QK3 w - - 0 1'
    """
    board = ["1"] * 64
    board[position.black_king], board[position.white_king] = "k", "K"
    for piece, square in zip(position.pieces, position.men, strict=True):
        board[square] = piece
    text = "/".join("".join(board[rank : rank + 8]) for rank in range(56, -1, -8))
    for run in range(8, 1, -1):
        text = text.replace("1" * run, str(run))
    return f"{text} w - - 0 1"


def position_of(board: "chess.Board") -> Position:
    """The men of a board on which Black has a bare king and White a queen and rooks at the most."""
    queens, rooks = _squares(board.queens), _squares(board.rooks)
    men = (*queens, *rooks)
    white_king, black_king = board.king(True), board.king(False)
    assert white_king is not None
    assert black_king is not None
    return Position("Q" * len(queens) + "R" * len(rooks), men, white_king, black_king)


def _squares(bits: int) -> list[int]:
    squares = []
    while bits:
        squares.append((bits & -bits).bit_length() - 1)
        bits &= bits - 1
    return squares


def read_endgame(text: object) -> "chess.Board":
    """The board of a FEN that is one of the four endgames, spaced or not.

    Raises:
        UserError: if it is another position; the message describes the four endgames.
    """
    board = read_position(text)
    shown = str(text)[:80]
    white, black = (board.occupied_co[color].bit_count() for color in (True, False))
    pieces = "Q" * board.queens.bit_count() + "R" * board.rooks.bit_count()
    if black > 1 or white != 1 + len(pieces) or pieces not in SETS.values():
        raise UserError(
            f"an endgame is a bare black king against White's king and Q, R, Q and R, or R and R, not {shown!r}"
        )
    if board.castling_rights:
        raise UserError(f"there is no castling in an endgame: write - in its place in {shown!r}")
    return board


def random_position(pieces: str, random: np.random.Generator) -> Position:
    """The men on random squares until White is to move in a legal position (paper appendix C)."""
    while True:
        # This also rejects two men on one square.
        black_king, white_king, *men = random.integers(64, size=2 + len(pieces)).tolist()
        position = Position(pieces, tuple(men), white_king, black_king)
        if moves_to_mate(position) != ILLEGAL:
            return position


def draw_positions(least: Mapping[str, int], count: int, seed: int, without: Collection[str] = ()) -> list[str]:
    """Random positions in FEN, the four sets in turn, that take at least so many moves to mate.

    Args:
        least (`Mapping[str, int]`): the fewest moves to mate, by set.
        count (`int`): how many positions.
        seed (`int`): decides them.
        without (`Collection[str]`, *optional*): positions to leave out.
    """
    random = np.random.default_rng(seed)
    folds, places = np.array(FOLDS), np.array(PLACES)
    by_set: list[list[str]] = []
    for name, pieces in SETS.items():
        table, drawn = read(pieces), dict[str, None]()
        while len(drawn) < count:  # enough even if some are left out
            squares = random.integers(64, size=(10_000, 2 + len(pieces)))
            others = folds[squares[:, :1], squares[:, 1:]]
            hard = table[places[squares[:, 0]], *others.T] >= least[name]
            for black_king, white_king, *men in squares[hard].tolist():
                drawn[fen(Position(pieces, tuple(men), white_king, black_king))] = None
        by_set.append([text for text in drawn if text not in without])
    return [text for turn in zip(*by_set, strict=False) for text in turn][:count]


# The paper does not publish its 645 positions. It calls a mate in one to four moves trivial, so these take at least
# five; the tricky ones are near the longest mates of their sets (10, 16, 6 and 7 moves).
NUM_POSITIONS = 645
TEST_LEAST = {"kQK": 5, "kRK": 5, "kQRK": 5, "kRRK": 5}
TRICKY_LEAST = {"kQK": 9, "kRK": 15, "kQRK": 5, "kRRK": 7}
CHECKSUMS = {
    "test": "b7f4a4485af3982d918b93f82ca0ac9ae130c4e0190377910fcf86c0bc26a932",
    "tricky": "9f15a25970a50e4d647f730d07c036aa3172949f665feee5261625d728b93a79",
}  # of the frozen lists


def redraw() -> dict[str, list[str]]:
    """The frozen lists, drawn again from their seeds."""
    test = draw_positions(TEST_LEAST, NUM_POSITIONS, seed=645)
    return {"test": test, "tricky": draw_positions(TRICKY_LEAST, NUM_POSITIONS, seed=646, without=test)}


@functools.cache
def frozen_positions(name: str) -> tuple[str, ...]:
    """The frozen list of start positions `"test"` or `"tricky"`, one FEN a line.

    Raises:
        OSError: if the file differs from the shipped one.
    """
    path = FOLDER / f"{name}_positions.txt"
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != CHECKSUMS[name]:
        raise OSError(f"{path} is damaged: install lmrl again")
    return tuple(content.decode().splitlines())


def starts_of(name: str, mark: str) -> dict[str, dict[str, Any]]:
    """Reset options by a short name: `kQK-000`, `kRK-000`, `kQRK-000`, `kRRK-000`, `kQK-001` ..."""
    return {
        f"{list(SETS)[i % len(SETS)]}-{mark}{i // len(SETS):03d}": {"position": text}
        for i, text in enumerate(frozen_positions(name))
    }


# --- opponents


class TableOpponent(Opponent):
    """Delays mate as long as possible and captures unprotected pieces; ties are drawn at random. Needs no engine."""

    name = "tables"
    engine = False

    def choose(self, board: "chess.Board", reply: str, random: np.random.Generator) -> "chess.Move":
        return random_move(best_replies(position_of(board)), random)


class ErrantOpponent(TableOpponent):
    """The same, but three in ten of its moves are random legal ones: Black in the dataset."""

    name = "errant"
    error_rate = 0.3

    def choose(self, board: "chess.Board", reply: str, random: np.random.Generator) -> "chess.Move":
        choices = black_moves if random.random() < self.error_rate else best_replies
        return random_move(choices(position_of(board)), random)


def random_move(moves: Sequence[Move], random: np.random.Generator) -> "chess.Move":
    """One of the moves, uniformly, as python-chess knows it."""
    move = moves[int(random.integers(len(moves)))]
    return require("chess", extra="chess").Move(move.origin, move.target)


# --- the simulator


class EndgamesSimulator(ChessSimulator):
    """Chess that begins with Black's king bare and ends as chess does; the agent is White.

    Reset options: `pieces` (one of the four sets, all by default), `position` (a FEN of one of them instead), and
    `opponent` and `elo` as in chess; the default opponent is `tables`. A drawn start is never one of the frozen
    positions that policies are tested on.
    """

    task_id: ClassVar[str] = "endgames"
    opponents: ClassVar[Mapping[str, Callable[[], Opponent]]] = {
        "tables": TableOpponent,
        "errant": ErrantOpponent,
        **OPPONENTS,
    }
    known_options: ClassVar[tuple[str, ...]] = (*ChessSimulator.known_options, "pieces")

    def start_board(self, options: Mapping[str, Any]) -> "chess.Board":
        pieces = options.get("pieces")
        if pieces is not None and (not isinstance(pieces, str) or pieces not in SETS):
            raise unknown("piece set of endgames", pieces, SETS)
        if "position" in options:
            if pieces is not None:
                raise UserError("a position has its own pieces: give either position or pieces")
            return read_endgame(options["position"])
        name = pieces or list(SETS)[int(self.np_random.integers(len(SETS)))]
        held_out = held_out_positions()
        while (text := fen(random_position(SETS[name], self.np_random))) in held_out:
            continue
        return require("chess", extra="chess").Board(text)


@functools.cache
def held_out_positions() -> frozenset[str]:
    """The frozen positions, which no drawn start may be."""
    return frozenset(frozen_positions("test") + frozen_positions("tricky"))


TEST_STARTS = starts_of("test", "")
