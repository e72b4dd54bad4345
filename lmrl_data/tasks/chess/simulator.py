"""Chess: play White against Stockfish; a move is standard notation with a space between all characters, `N f 3`.

A text is the position as a spaced FEN, and nothing that came before it is needed. Winning pays 1, losing costs 1, a
text that is no legal move costs 1 and the game goes on. Paper section 4 and appendix C.
"""

import functools
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from gymnasium import spaces

from lmrl_data.config import Config
from lmrl_data.episode import Episode
from lmrl_data.errors import UserError, require, unknown
from lmrl_data.simulator import DialogueSimulator, Simulator, Step, check_options
from lmrl_data.tasks.chess.engine import (
    full_strength,
    handicapped,
    limited_strength,
    read_reply,
    shared_pool,
    skill_level,
)
from lmrl_data.tool import Tool, spelled, unspelled

if TYPE_CHECKING:
    from chess import Board, Move

START = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"
MAX_MOVES = 400  # the 401st action still counts, and ends the game whatever it is
LONGEST_ACTION = 16  # no move is longer, spaces left out
LONGEST_POSITION = 250
MOVE = Tool(
    "move", "Plays a move of White.", "move", "A legal move in standard algebraic notation, for example Nf3.", (),
    spelled, unspelled,
)  # fmt: skip


# --- the texts, to the letter


def spaced(text: str) -> str:
    """Puts a space between all characters, as the paper does so that each is a token; a space becomes three.

    Examples:
        >>> spaced("Qxh4+"), spaced("w KQ")
        ('Q x h 4 +', 'w   K Q')
    """
    return " ".join(text)


def unspaced_fen(text: str) -> str:
    """The FEN of a spaced one; a FEN that is not spaced stays as it is."""
    if "   " not in text:
        return text.strip()
    return " ".join(field.replace(" ", "") for field in text.strip().split("   "))


@functools.lru_cache(maxsize=1 << 16)
def _rank(white: int, pawns: int, knights: int, bishops: int, rooks: int, queens: int, kings: int) -> str:
    """One rank of a FEN; each number holds a bit a file."""
    text, empty = "", 0
    for file in range(8):
        bit = 1 << file
        kinds = zip((pawns, knights, bishops, rooks, queens, kings), "pnbrqk", strict=True)
        piece = next((letter for bits, letter in kinds if bits & bit), None)
        if piece is None:
            empty += 1
            continue
        text += (str(empty) if empty else "") + (piece.upper() if white & bit else piece)
        empty = 0
    return text + (str(empty) if empty else "")


def fen(board: "Board") -> str:
    """What `board.fen()` says, in a quarter of its time: python-chess asks all 64 squares one by one."""
    white, pawns, knights = board.occupied_co[True], board.pawns, board.knights
    bishops, rooks, queens, kings = board.bishops, board.rooks, board.queens, board.kings
    ranks = "/".join(
        [
            _rank(
                white >> shift & 255,
                pawns >> shift & 255,
                knights >> shift & 255,
                bishops >> shift & 255,
                rooks >> shift & 255,
                queens >> shift & 255,
                kings >> shift & 255,
            )
            for shift in (56, 48, 40, 32, 24, 16, 8, 0)
        ]
    )
    rights = board.clean_castling_rights()
    castling = "".join([letter for letter, rook in CASTLING_ROOKS if rights & rook]) if rights else ""
    passant = "-"
    if board.ep_square is not None and board.has_legal_en_passant():
        passant = "abcdefgh"[board.ep_square & 7] + "12345678"[board.ep_square >> 3]
    turn = "w" if board.turn else "b"
    return f"{ranks} {turn} {castling or '-'} {passant} {board.halfmove_clock} {board.fullmove_number}"


CASTLING_ROOKS = (("K", 1 << 7), ("Q", 1 << 0), ("k", 1 << 63), ("q", 1 << 56))


# --- the rules


def read_position(text: object) -> "Board":
    """The board of a FEN, spaced or not.

    Raises:
        UserError: if the text is no FEN, or if White cannot move in the position.
    """
    shown = str(text)[:80]
    if not isinstance(text, str) or len(text) > LONGEST_POSITION:
        raise UserError(f"a chess position is a FEN, spaced or not, got {shown!r}")
    board_type = require("chess", extra="chess").Board
    try:
        board = board_type(unspaced_fen(text))
    except ValueError:
        raise UserError(f"a chess position is a FEN, spaced or not, got {shown!r}") from None
    if not board.is_valid() or not 1 <= board.fullmove_number < 10_000:
        raise UserError(f"no game of chess leads to the position {shown!r}")
    if not board.turn:
        raise UserError(f"it is White who is played here, and Black is to move in {shown!r}")
    if ending(board):
        raise UserError(f"the game is over in the position {shown!r}")
    return board


def read_move(board: "Board", action: str) -> "Move | None":
    """The legal move of an action, or `None`. Spaces do not matter, and python-chess parses leniently.

    It accepts a missing or wrong check mark, and `e2e4` for a pawn's move; a null move is not a move.
    """
    text = action.replace(" ", "").strip()
    if len(text) > LONGEST_ACTION:
        return None
    try:
        return board.parse_san(text) or None
    except ValueError:
        return None


def ending(board: "Board") -> str:
    """How the game has ended, or "" if it goes on. Draws that a player must claim do not count."""
    if not any(board.generate_legal_moves()):
        return "checkmate" if board.is_check() else "stalemate"
    if not (board.pawns or board.rooks or board.queens) and board.is_insufficient_material():
        return "insufficient material"
    if board.halfmove_clock >= 150:
        return "seventy-five moves"
    # Five times the same position takes at least 16 half-moves without a capture or a pawn's move.
    if board.halfmove_clock >= 16 and board.is_fivefold_repetition():
        return "fivefold repetition"
    return ""


# --- opponents


class Opponent(ABC):
    """Plays Black: asks the oracle about the position and chooses a move from the reply.

    `name` is its name in the reset options; `elo` is its measured strength, where known.
    """

    name: str
    elo: int | None = None
    engine = True  # whether it needs Stockfish

    def question(self, board: "Board") -> str:
        """The question for the oracle; "" if none is needed."""
        return ""

    @abstractmethod
    def choose(self, board: "Board", reply: str, random: np.random.Generator) -> "Move":
        """Black's move; all randomness comes from `random`."""


class RandomOpponent(Opponent):
    """Any legal move, uniformly; needs no engine."""

    name = "random"
    engine = False

    def choose(self, board: "Board", reply: str, random: np.random.Generator) -> "Move":
        moves = list(board.generate_legal_moves())
        return moves[int(random.integers(len(moves)))]


SEEDED_LIMIT = "nodes 500"
SEEDED_LINES = 4  # as in Stockfish
# Stockfish also chooses its handicapped move early, but its search remembers earlier ones. Ours does not and is weaker
# at the same level. This many more rating points in the formula make up for it; the card has the matches.
SEEDED_SHIFT = 200
DEFAULT_ELO = 1350  # what "Elo 1200" was: Stockfish 15.1 ignores values below 1350, and that is its default


class SeededOpponent(Opponent):
    """Stockfish's handicap with our own dice: a search at full strength, then errors by Stockfish's formula.

    Args:
        elo (`int`, *optional*, defaults to 1350): its strength on Stockfish's scale; the card has the matches.
        limit (`str`, *optional*): the search limit in the words of UCI's `go`; see `benchmarks/chess_match.py`.
    """

    name = "seeded"

    def __init__(self, elo: int = DEFAULT_ELO, limit: str = SEEDED_LIMIT) -> None:
        self.elo, self.limit = elo, limit
        self.level = skill_level(elo + SEEDED_SHIFT)

    def question(self, board: "Board") -> str:
        return full_strength(fen(board), self.limit, SEEDED_LINES)

    def choose(self, board: "Board", reply: str, random: np.random.Generator) -> "Move":
        return board.parse_uci(handicapped(read_reply(reply).lines, self.level, random))


class EngineOpponent(Opponent):
    """Stockfish with its own handicap, which no seed governs.

    Args:
        name (`str`): its name in the reset options.
        limit (`str`): the search limit in the words of UCI's `go`.
    """

    elo = 1350

    def __init__(self, name: str, limit: str) -> None:
        self.name, self.limit = name, limit

    def question(self, board: "Board") -> str:
        return limited_strength(fen(board), self.limit, self.elo)

    def choose(self, board: "Board", reply: str, random: np.random.Generator) -> "Move":
        return board.parse_uci(read_reply(reply).move)


OPPONENTS: Mapping[str, Callable[[], Opponent]] = {
    "seeded": SeededOpponent,
    "movetime100": lambda: EngineOpponent("movetime100", "movetime 100"),  # the paper's; depends on the machine
    "nodes10000": lambda: EngineOpponent("nodes10000", "nodes 10000"),
    "depth1": lambda: EngineOpponent("depth1", "depth 1"),  # fast and weaker
    "random": RandomOpponent,
}
ELO_RANGE = (800, 2000)


# --- the simulator


class ChessSimulator(DialogueSimulator[str]):
    """A game of chess as a Gymnasium environment of texts; the agent is White.

    Args:
        config (`Config`).
        render_mode (`str`, *optional*): `"ansi"`, a drawing of the board.
        options (`Mapping`, *optional*): reset options for every reset.

    Reset options: `opponent` (a name in `opponents`), `elo` (of the `seeded` opponent) and `position` (a FEN, spaced
    or not, with White to move; the start position by default).

    A subclass with its own starts overrides `start_board`; one with its own opponents overrides `opponents`.
    """

    task_id: ClassVar[str] = "chess"
    opponents: ClassVar[Mapping[str, Callable[[], Opponent]]] = OPPONENTS

    observation_space = spaces.Text(max_length=200, min_length=1, charset="pnbrqkPNBRQKwacdefgh0123456789/- ")
    action_space = spaces.Text(max_length=16, min_length=0, charset="abcdefghNBRQKO12345678x=-+# ")

    def __init__(
        self, config: Config, render_mode: str | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(config, shared_pool(), render_mode, options)

    def _reset(self, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        check_options(self.task_id, options, self.known_options)
        self.opponent = self._opponent(options)
        self.board = self.start_board(options)
        self.text = spaced(fen(self.board))
        self.actions = 0
        info: dict[str, Any] = {"opponent": self.opponent.name}
        if self.opponent.elo is not None:
            info["elo"] = self.opponent.elo
        if self.opponent.engine:
            # A rollout may use another oracle, but the name in the info is the pool's.
            info["engine"] = shared_pool().version
        return self.text, info

    known_options: ClassVar[tuple[str, ...]] = ("opponent", "elo", "position")

    def _opponent(self, options: Mapping[str, Any]) -> Opponent:
        name = str(options.get("opponent", next(iter(self.opponents))))
        if name not in self.opponents:
            raise unknown(f"opponent of {self.task_id}", name, self.opponents)
        if (elo := options.get("elo")) is None:
            return self.opponents[name]()
        if name != SeededOpponent.name:
            raise UserError(f"the opponent {name!r} takes no elo; it is an option of {SeededOpponent.name!r}")
        if not isinstance(elo, int) or not ELO_RANGE[0] <= elo <= ELO_RANGE[1]:
            raise UserError(f"an elo is a whole number from {ELO_RANGE[0]} to {ELO_RANGE[1]}, got {str(elo)[:80]!r}")
        return SeededOpponent(elo)

    def start_board(self, options: Mapping[str, Any]) -> "Board":
        """Where the episode begins; `self.np_random` is seeded."""
        return read_position(options.get("position", START))

    # One turn is `prompt`, the oracle's reply, and `advance`.

    def prompt(self, action: str) -> str:
        self.actions += 1
        move = read_move(self.board, action)
        self.valid, self.ending = move is not None, ""
        if move is None:
            return ""
        self.board.push(move)
        self.ending = ending(self.board)
        return "" if self.ending else self.opponent.question(self.board)

    def advance(self, reply: str) -> Step:
        board, reward = self.board, 0.0
        if not self.valid:
            reward = -1.0
        else:
            if not self.ending:
                board.push(self._answer(reply))
                self.ending = ending(board)
            if self.ending == "checkmate":
                reward = -1.0 if board.turn else 1.0
            self.text = spaced(fen(board))
        terminated = bool(self.ending)
        truncated = not terminated and self.actions > MAX_MOVES
        info: dict[str, Any] = {"valid": self.valid}
        if terminated or truncated:
            drawn = "1/2-1/2" if terminated else "*"
            info["result"] = {1.0: "1-0", -1.0: "0-1"}.get(reward, drawn) if self.valid else drawn
            info["termination"] = self.ending or "move limit"
            info["success"] = info["result"] == "1-0"
        return self.text, reward, terminated, truncated, info

    def _answer(self, reply: str) -> "Move":
        try:
            return self.opponent.choose(self.board, reply, self.np_random)
        except (LookupError, ValueError):
            raise UserError(
                f"the opponent {self.opponent.name!r} answered {reply[:80]!r} to {self.board.fen()}, which holds no "
                "move to play"
            ) from None

    def render(self) -> str:
        """The board with its coordinates, White below."""
        return as_text(self.board)


def as_text(board: "Board") -> str:
    """The board with its coordinates, White below."""
    rows = board.unicode(invert_color=False, empty_square="·").split("\n")
    return "\n".join([f"{8 - i}  {row}" for i, row in enumerate(rows)] + ["", "   a b c d e f g h"])


def check_engine(simulator: Simulator, options: Mapping[str, Any], episodes: Sequence[Episode]) -> None:
    """Raises a `UserError` if the engine that Black plays with here cannot replay these games.

    Args:
        simulator (`Simulator`): made with the options of the games.
        options (`Mapping`): reset options of the first game.
        episodes (`Sequence[Episode]`): the games.
    """
    assert isinstance(simulator, ChessSimulator)
    _, info = simulator.reset(seed=episodes[0].seed, options=dict(options))
    if isinstance(simulator.opponent, EngineOpponent):
        raise UserError(
            f"the opponent {simulator.opponent.name!r} draws its dice from the clock: no game is played the same again"
        )
    theirs = episodes[0].info.get("engine")
    # Games that do not all name the same engine are compared one by one.
    same = all(episode.info.get("engine") == theirs for episode in episodes)
    if "engine" in info and theirs != info["engine"] and same:
        raise UserError(
            f"these games are against {json.dumps(theirs)[:60]}, and here is {json.dumps(info['engine'])[:60]}, which "
            "may answer otherwise; let LMRL_STOCKFISH name that engine"
        )
