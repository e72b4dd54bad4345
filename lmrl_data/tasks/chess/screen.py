"""What a person who plays sees of chess and of its endgames, besides their texts."""

from collections.abc import Mapping, Sequence
from typing import Any

from lmrl_data.episode import Turn
from lmrl_data.errors import require
from lmrl_data.tasks.chess.simulator import as_text, ending, fen, read_move, spaced, unspaced_fen


def picture(config: str, options: Mapping[str, Any], turns: Sequence[Turn]) -> str:
    """The board of the newest position."""
    return as_text(require("chess", extra="chess").Board(unspaced_fen(turns[-1].content)))


def comment(turns: Sequence[Turn]) -> str:
    """Says whether the last move was legal, what Black replied, and how the game ended."""
    before, action, after = turns[-3:]
    board = require("chess", extra="chess").Board(unspaced_fen(before.content))
    move = read_move(board, action.content)
    if move is None:
        return f"That is no legal move. ({action.reward:+g})"
    board.push(move)
    for reply in list(board.legal_moves):
        name = board.san(reply)
        board.push(reply)
        if spaced(fen(board)) == after.content:
            return f"Black plays {name}{_end(board)}."
        board.pop()
    return f"The game is over{_end(board)}."


def _end(board: Any) -> str:
    how = ending(board)
    return f": {how}" if how else ""
