"""The endgame tables, held against python-chess and against numbers that are known from elsewhere."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from cases import release

from lmrl_data.tasks.endgames import tables as endgame_tables
from lmrl_data.tasks.endgames.tables import (
    CHECKSUMS,
    DRAW,
    FOLDER,
    FOLDS,
    ILLEGAL,
    PLACES,
    SETS,
    TRIANGLE,
    Position,
    best_moves,
    best_replies,
    black_moves,
    geometry,
    moves_to_mate,
    pack,
    read,
    solve,
    unpack,
    white_moves,
)

chess = pytest.importorskip("chess")
PIECES = tuple(SETS.values())
every_set = pytest.mark.parametrize("pieces", PIECES)


def squares(*names: str) -> tuple[int, ...]:
    return tuple(chess.parse_square(name) for name in names)


def position(pieces: str, men: str, white_king: str, black_king: str) -> Position:
    return Position(pieces, squares(*men.split()), *squares(white_king, black_king))


def board_of(position: Position, turn: bool) -> "chess.Board":
    board = chess.Board(None)
    board.turn = turn
    board.set_piece_at(position.black_king, chess.Piece.from_symbol("k"))
    board.set_piece_at(position.white_king, chess.Piece.from_symbol("K"))
    for piece, square in zip(position.pieces, position.men, strict=True):
        board.set_piece_at(square, chess.Piece.from_symbol(piece))
    return board


def position_of(board: "chess.Board") -> Position:
    queens, rooks = (sorted(board.pieces(kind, chess.WHITE)) for kind in (chess.QUEEN, chess.ROOK))
    pieces = "Q" * len(queens) + "R" * len(rooks)
    return Position(pieces, (*queens, *rooks), board.king(chess.WHITE), board.king(chess.BLACK))


def random_positions(pieces: str, count: int) -> list[Position]:
    """Distinct squares, nothing else: many of these cannot be on a board."""
    random = np.random.default_rng(7)
    drawn = (random.choice(64, 2 + len(pieces), replace=False).tolist() for _ in range(count))
    return [Position(pieces, tuple(men), king, black_king) for king, black_king, *men in drawn]


def both_ways(moves: list) -> list[tuple[int, int]]:
    return sorted((move.origin, move.target) for move in moves)


def on_the_whole_board(table: np.ndarray) -> int:
    """How often something holds, counted over all 64 squares of Black's king."""
    per_place = table.reshape(len(TRIANGLE), -1).sum(axis=1)
    return int(per_place @ np.bincount(PLACES))


# --- numbers known from elsewhere


@pytest.mark.parametrize(("pieces", "longest"), [("Q", 10), ("R", 16), ("QR", 6), ("RR", 7)])
def test_the_longest_win_takes_as_long_as_is_known(pieces: str, longest: int) -> None:
    table = read(pieces)
    assert table.max() == longest


@pytest.mark.parametrize(("pieces", "legal"), [("Q", 368_452), ("R", 399_112)])
def test_there_are_as_many_legal_positions_as_is_known(pieces: str, legal: int) -> None:
    facts = geometry(pieces)  # with White and with Black to move
    assert on_the_whole_board(facts.legal) + on_the_whole_board(facts.apart) == legal


@every_set
def test_white_to_move_wins_every_legal_position(pieces: str) -> None:
    table = read(pieces)
    assert ((table != ILLEGAL) == geometry(pieces).legal).all()
    assert not (table == DRAW).any()


def test_mates_and_draws_that_can_be_seen_by_eye() -> None:
    assert moves_to_mate(position("R", "a1", "g6", "g8")) == 1  # Ra8#
    assert [(m.origin, m.target) for m in best_moves(position("R", "a1", "g6", "g8"))] == [squares("a1", "a8")]
    assert moves_to_mate(position("R", "a1", "g6", "h8")) == 1
    assert moves_to_mate(position("R", "a1", "g6", "h1")) == ILLEGAL  # the rook attacks the king
    assert moves_to_mate(position("R", "a1", "g6", "g7")) == ILLEGAL  # the kings touch
    assert moves_to_mate(position("R", "a1", "a1", "h8")) == ILLEGAL  # two men on a square


def test_a_queen_mates_stalemates_or_goes_on_from_the_square_she_moves_to() -> None:
    near = {chess.square_name(m.target): m.moves_to_mate for m in white_moves(position("Q", "b1", "c7", "a8"))}
    assert near["b7"] == 0  # covered by the king
    assert near["b2"] > 0
    far = {chess.square_name(m.target): m.moves_to_mate for m in white_moves(position("Q", "e6", "h1", "a8"))}
    assert far["b6"] == DRAW  # no check and nowhere to go
    assert far["e8"] not in (0, DRAW)


def test_the_bare_king_takes_what_is_not_covered_and_draws() -> None:
    replies = best_replies(position("R", "b2", "h8", "a1"))
    assert [(m.target, m.moves_to_mate) for m in replies] == [(*squares("b2"), DRAW)]
    covered = black_moves(position("R", "b2", "c3", "a1"))
    assert squares("b2")[0] not in [m.target for m in covered]


def test_the_bare_king_that_takes_one_of_two_goes_on_in_the_smaller_endgame() -> None:
    start = position("QR", "b2 h7", "f4", "a1")
    (reply,) = [m for m in black_moves(start) if m.target == squares("b2")[0]]
    assert reply.moves_to_mate == moves_to_mate(position("R", "h7", "f4", "b2")) > 6
    assert best_replies(start) == [reply]


# --- python-chess


@every_set
def test_moves_and_values_agree_with_python_chess_on_random_positions(pieces: str) -> None:
    random = np.random.default_rng(11)
    seen = 0
    for start in random_positions(pieces, 1_500):
        board = board_of(start, chess.WHITE)
        if not board.is_valid():
            assert moves_to_mate(start) == ILLEGAL
            continue
        seen += 1
        moves = white_moves(start)
        assert both_ways(moves) == sorted((m.from_square, m.to_square) for m in board.legal_moves)
        # One move nearer to mate, and no nearer: Bellman's equation for White ...
        assert moves_to_mate(start) == 1 + min(move.moves_to_mate for move in moves)
        move = moves[random.integers(len(moves))]
        board.push(chess.Move(move.origin, move.target))
        replies = black_moves(position_of(board))
        assert both_ways(replies) == sorted((m.from_square, m.to_square) for m in board.legal_moves)
        # ... and for Black.
        if replies:
            assert move.moves_to_mate == max(reply.moves_to_mate for reply in replies)
        else:
            assert move.moves_to_mate == (0 if board.is_checkmate() else DRAW)
    assert seen > 500


@every_set
def test_best_play_mates_in_the_tables_number_of_moves(pieces: str) -> None:
    random = np.random.default_rng(13)
    legal = [each for each in random_positions(pieces, 60) if moves_to_mate(each) != ILLEGAL]
    for start in legal:
        board = board_of(start, chess.WHITE)
        for left in range(moves_to_mate(start), 0, -1):
            assert moves_to_mate(position_of(board)) == left
            for best in (best_moves, best_replies):
                if choices := best(position_of(board)):
                    choice = choices[random.integers(len(choices))]
                    board.push(chess.Move(choice.origin, choice.target))
        assert board.is_checkmate()


def test_a_position_and_its_mirror_images_have_one_value() -> None:
    for start in random_positions("QR", 300):
        value = moves_to_mate(start)
        for square in (0, 7, 35, 56, 63, 26):
            fold = FOLDS[square]
            folded = [fold[each] for each in (start.white_king, start.black_king)]
            assert moves_to_mate(Position("QR", tuple(fold[each] for each in start.men), *folded)) == value


# --- the files


@pytest.mark.parametrize("pieces", ["Q", "R", *(release(pieces) for pieces in ("QR", "RR"))])
def test_the_shipped_tables_are_made_again_byte_by_byte(pieces: str) -> None:
    assert solve(pieces).tobytes() == read(pieces).tobytes()


@every_set
def test_the_shipped_files_are_small_and_have_their_checksums(pieces: str) -> None:
    packed = (FOLDER / f"k{pieces}K.xz").read_bytes()
    assert hashlib.sha256(packed).hexdigest() == CHECKSUMS[pieces]
    assert len(packed) < 100_000


def test_packing_a_table_loses_nothing() -> None:
    table = read("Q")
    assert unpack("Q", pack("Q", table)).tobytes() == table.tobytes()


def test_a_damaged_file_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kQK.xz").write_bytes(b"not what was shipped")
    monkeypatch.setattr(endgame_tables, "FOLDER", tmp_path)
    with pytest.raises(OSError, match="damaged"):
        read("Q")
