"""How many moves a won endgame still takes: tables of every position of four piece sets, made by retrograde analysis.

Nothing here knows a chess library. Squares count from a1 = 0 to h8 = 63, ranks outermost. A position is White to move,
with Black's bare king folded by the board's eight symmetries into the ten squares of the triangle a1-d1-d4.
"""

import functools
import hashlib
import lzma
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

FOLDER = Path(__file__).with_name("assets")
SETS = {"kQK": "Q", "kRK": "R", "kQRK": "QR", "kRRK": "RR"}  # White's pieces beside the king, by the paper's name
CHECKSUMS = {
    "Q": "00ffb9cddc6b0a46820acae6f5eb0257278052b1b121b886a422172fbf5eb4e4",
    "R": "5f925cf304221ee1fecb6f435a28ee41af14c39cee5d2393f0423363eec0e64e",
    "QR": "ad6bb0e9d137eb641b2db1fae807d3faa464ea6052e161bca6123120f39a8171",
    "RR": "97bc95630cb8702f514ce8ae03c642ac4ff902f7a0f0da3ea9121b71c9bcbd35",
}  # of the shipped files

ILLEGAL = 0  # in a table: no such position with White to move
DRAW = 255  # compares as longer than any mate

STRAIGHT = ((1, 0), (-1, 0), (0, 1), (0, -1))
DIAGONAL = ((1, 1), (1, -1), (-1, 1), (-1, -1))
DIRECTIONS = {"R": STRAIGHT, "Q": STRAIGHT + DIAGONAL}


# --- the board


def step(square: int, direction: tuple[int, int]) -> int | None:
    """The next square in a direction (files, ranks), or `None` beyond the edge."""
    column, row = square % 8 + direction[0], square // 8 + direction[1]
    return row * 8 + column if 0 <= column < 8 and 0 <= row < 8 else None


def ray(square: int, direction: tuple[int, int]) -> Iterator[int]:
    """The squares in a direction up to the edge, nearest first."""
    target = step(square, direction)
    while target is not None:
        yield target
        target = step(target, direction)


NEIGHBOURS = tuple(
    tuple(target for direction in STRAIGHT + DIAGONAL if (target := step(square, direction)) is not None)
    for square in range(64)
)
RAYS = {
    piece: tuple(tuple(tuple(ray(square, direction)) for direction in directions) for square in range(64))
    for piece, directions in DIRECTIONS.items()
}
TRIANGLE = (0, 1, 2, 3, 9, 10, 11, 18, 19, 27)


def _fold(square: int) -> tuple[int, ...]:
    """Where each square goes under the symmetry that brings `square` into the triangle."""

    def move(column: int, row: int) -> int:
        column = 7 - column if square % 8 > 3 else column
        row = 7 - row if square // 8 > 3 else row
        return row * 8 + column

    folded = tuple(move(square % 8, square // 8) for square in range(64))
    if folded[square] // 8 > folded[square] % 8:
        return tuple(square % 8 * 8 + square // 8 for square in folded)
    return folded


FOLDS = tuple(_fold(square) for square in range(64))
PLACES = tuple(TRIANGLE.index(FOLDS[square][square]) for square in range(64))


# --- retrograde analysis


class Geometry(NamedTuple):
    """Facts about the positions of a piece set that need no search.

    Arrays of shape [10, 64, 64] or [10, 64, 64, 64], by Black's king in the triangle, White's king, White's pieces.
    """

    distinct: np.ndarray  # no two men on a square
    apart: np.ndarray  # and the kings do not touch; with Black to move the position is then legal
    check: np.ndarray  # Black's king is attacked

    @property
    def legal(self) -> np.ndarray:
        """Positions with White to move."""
        return self.apart & ~self.check


def geometry(pieces: str) -> Geometry:
    """The geometry of a set of White's pieces, `"Q"`, `"R"`, `"QR"` or `"RR"`."""
    men = 2 + len(pieces)
    shape = (len(TRIANGLE),) + (64,) * (men - 1)

    def spread(table: np.ndarray, *axes: int) -> np.ndarray:
        """A table over the squares of some of the men, in rising order, made to broadcast over all of them."""
        table = table[list(TRIANGLE)] if 0 in axes else table
        return table.reshape([size if axis in axes else 1 for axis, size in enumerate(shape)])

    same = np.eye(64, dtype=bool)
    near = np.zeros((64, 64), bool)
    between = np.zeros((64, 64, 64), bool)  # [from, to, a square strictly between]
    attacks = {piece: np.zeros((64, 64), bool) for piece in DIRECTIONS}
    for square in range(64):
        near[square, list(NEIGHBOURS[square])] = True
        for piece, lines in RAYS.items():
            for line in lines[square]:
                attacks[piece][square, list(line)] = True
                for distance, target in enumerate(line):
                    between[square, target, list(line[:distance])] = True
    distinct = np.ones(shape, bool)
    for one in range(men):
        for other in range(one + 1, men):
            distinct &= ~spread(same, one, other)
    apart = distinct & ~spread(near, 0, 1)
    check = np.zeros(shape, bool)
    for axis, piece in enumerate(pieces, 2):
        seen = spread(attacks[piece], 0, axis) & ~spread(between.transpose(0, 2, 1), 0, 1, axis)
        for other in range(2, men):
            if other != axis:
                blocked = between if axis < other else between.transpose(0, 2, 1)
                seen = seen & ~spread(blocked, 0, *sorted((axis, other)))
        check |= seen
    return Geometry(distinct, apart, check)


def _reach(targets: np.ndarray, distinct: np.ndarray, pieces: str) -> np.ndarray:
    """Where White has a move into `targets`, which are positions with Black to move. All of the table's shape."""
    reached = np.zeros_like(targets)
    for square in range(64):
        reached[:, square] = targets[:, list(NEIGHBOURS[square])].any(axis=1)
    for axis, piece in enumerate(pieces, 2):
        # The moving piece's axis first: each of its squares is then one block.
        free, goals = (np.ascontiguousarray(np.moveaxis(array, axis, 0)) for array in (distinct, targets))
        found = np.moveaxis(reached, axis, 0)
        for direction in DIRECTIONS[piece]:
            along = np.zeros_like(goals)
            # From the edge inwards: what can be reached from a square is known before the squares behind it.
            for square in sorted(range(64), key=lambda origin: len(list(ray(origin, direction)))):
                target = step(square, direction)
                if target is not None:
                    along[square] = free[target] & (goals[target] | along[target])
            found |= along
    return reached


def solve(pieces: str) -> np.ndarray:
    """The table of a set of White's pieces: White's moves to mate under best play by both.

    Each round finds the positions one move further from mate: with Black to move, those where Black is mated or every
    reply is known to lose; with White to move, those with a move into one of these.

    Args:
        pieces (`str`): `"Q"`, `"R"`, `"QR"` or `"RR"`.

    Returns:
        `np.ndarray`: bytes of shape [10, 64, 64] or [10, 64, 64, 64], by Black's king in the triangle, White's king
        and White's pieces; `ILLEGAL`, `DRAW` or the number of White's moves.
    """
    facts = geometry(pieces)
    table = np.where(facts.legal, DRAW, ILLEGAL).astype(np.uint8)
    # After a capture a smaller table has the value, or the bare kings draw.
    smaller = [pieces[:i] + pieces[i + 1 :] for i in range(len(pieces))]
    captures = [solve(left) if left else _kings() for left in smaller]
    longest = max(int(table[table < DRAW].max(initial=0)) for table in captures)
    mated = facts.apart & facts.check & (_worst_replies(table, captures) == ILLEGAL)
    moves = 0
    while True:
        worst = _worst_replies(table, captures)
        lost = mated | (facts.apart & (worst != ILLEGAL) & (worst <= moves))
        moves += 1
        won = (table == DRAW) & _reach(lost, facts.distinct, pieces)
        if not won.any() and moves > longest:
            return table
        table[won] = moves


def _kings() -> np.ndarray:
    """The table of the two kings alone, shape [10, 64]: they draw wherever they do not touch."""
    table = np.full((len(TRIANGLE), 64), DRAW, np.uint8)
    for place, square in enumerate(TRIANGLE):
        table[place, [square, *NEIGHBOURS[square]]] = ILLEGAL
    return table


def _worst_replies(table: np.ndarray, captures: list[np.ndarray]) -> np.ndarray:
    """With Black to move: the longest that Black's king can still run, `ILLEGAL` where it has no legal move."""
    worst = np.zeros_like(table)
    for place, square in enumerate(TRIANGLE):
        for target in NEIGHBOURS[square]:
            fold = np.array(FOLDS[target])
            after = table[PLACES[target]]
            for axis in range(after.ndim):
                after = after.take(fold, axis)
            for axis, smaller in enumerate(captures, 1):
                taken = smaller[PLACES[target]]
                for other in range(taken.ndim):
                    taken = taken.take(fold, other)
                np.moveaxis(after, axis, 0)[target] = taken
            np.maximum(worst[place], after, out=worst[place])
    return worst


# --- the shipped tables


def pack(pieces: str, table: np.ndarray) -> bytes:
    """A table as it is shipped: the entries of its legal positions in order, compressed."""
    return lzma.compress(table[geometry(pieces).legal].tobytes(), preset=9 | lzma.PRESET_EXTREME)


def unpack(pieces: str, packed: bytes) -> np.ndarray:
    """The inverse of `pack`."""
    legal = geometry(pieces).legal
    table = np.zeros(legal.shape, np.uint8)
    table[legal] = np.frombuffer(lzma.decompress(packed), np.uint8)
    return table


def read(pieces: str) -> np.ndarray:
    """The shipped table of a set of White's pieces.

    Raises:
        OSError: if the file differs from the shipped one.
    """
    if not pieces:
        return _kings()
    path = FOLDER / f"k{pieces}K.xz"
    packed = path.read_bytes()
    if hashlib.sha256(packed).hexdigest() != CHECKSUMS[pieces]:
        raise OSError(f"{path} is damaged: install lmrl again")
    return unpack(pieces, packed)


class Table(NamedTuple):
    """Both sides of a table as bytes, which are indexed faster than an array."""

    white: bytes  # White to move: moves to mate
    black: bytes  # Black to move: White's moves to mate after the best reply; 0 is mate, `DRAW` stalemate too


@functools.cache
def load(pieces: str) -> Table:
    """The tables of a set of White's pieces, `""` for none, made ready once in a process."""
    table = read(pieces)
    if not pieces:
        return Table(table.tobytes(), b"")
    captures = [read(pieces[:i] + pieces[i + 1 :]) for i in range(len(pieces))]
    worst = _worst_replies(table, captures)
    stuck = worst == ILLEGAL
    worst[stuck & ~geometry(pieces).check] = DRAW
    return Table(table.tobytes(), worst.tobytes())


def _index(black_king: int, white_king: int, men: Sequence[int]) -> int:
    fold = FOLDS[black_king]
    index = PLACES[black_king] * 64 + fold[white_king]
    for man in men:
        index = index * 64 + fold[man]
    return index


# --- play


class Position(NamedTuple):
    """Where the men stand.

    Args:
        pieces (`str`): White's pieces beside the king: `"Q"`, `"R"`, `"QR"`, `"RR"`, or none.
        men (`tuple[int, ...]`): their squares, in that order.
        white_king (`int`), black_king (`int`): the kings' squares.
    """

    pieces: str
    men: tuple[int, ...]
    white_king: int
    black_king: int


class Move(NamedTuple):
    origin: int
    target: int
    moves_to_mate: int  # White's further moves after this one; `DRAW` if there is no mate any more


def moves_to_mate(position: Position) -> int:
    """White's moves to mate with White to move, under best play by both; `ILLEGAL` where that cannot be on a board."""
    return load(position.pieces).white[_index(position.black_king, position.white_king, position.men)]


def white_moves(position: Position) -> list[Move]:
    """White's legal moves and what they are worth."""
    pieces, men, king, black_king = position
    black, fold = load(pieces).black, FOLDS[black_king]
    taken = {king, *men}
    here = _index(black_king, king, men)
    weight = 64 ** len(men)  # what a square of the man that moves counts in the index
    rest = here - fold[king] * weight
    moves = [
        Move(king, target, black[rest + fold[target] * weight])
        for target in NEIGHBOURS[king]
        if target not in taken and target not in NEIGHBOURS[black_king]
    ]
    for piece, origin in zip(pieces, men, strict=True):
        weight //= 64
        rest = here - fold[origin] * weight
        for line in RAYS[piece][origin]:
            for target in line:
                if target in taken:
                    break
                moves.append(Move(origin, target, black[rest + fold[target] * weight]))
    return moves


def black_moves(position: Position) -> list[Move]:
    """The bare king's legal moves, captures among them, and what they are worth to White."""
    pieces, men, white_king, king = position
    white = load(pieces).white
    moves = []
    for target in NEIGHBOURS[king]:
        if target in men:
            i = men.index(target)
            left = Position(pieces[:i] + pieces[i + 1 :], men[:i] + men[i + 1 :], white_king, target)
            value = moves_to_mate(left)
        else:
            value = white[_index(target, white_king, men)]
        if value != ILLEGAL:
            moves.append(Move(king, target, value))
    return moves


def best_moves(position: Position) -> list[Move]:
    """White's moves that mate soonest."""
    moves = white_moves(position)
    best = min((move.moves_to_mate for move in moves), default=DRAW)
    return [move for move in moves if move.moves_to_mate == best]


def best_replies(position: Position) -> list[Move]:
    """Black's moves that hold out the longest; a draw is longer than any mate."""
    moves = black_moves(position)
    best = max((move.moves_to_mate for move in moves), default=DRAW)
    return [move for move in moves if move.moves_to_mate == best]


def main() -> None:
    """Makes the shipped files anew and prints their checksums."""
    for pieces in SETS.values():
        packed = pack(pieces, solve(pieces))
        (FOLDER / f"k{pieces}K.xz").write_bytes(packed)
        print(f'    "{pieces}": "{hashlib.sha256(packed).hexdigest()}",')


if __name__ == "__main__":
    main()
