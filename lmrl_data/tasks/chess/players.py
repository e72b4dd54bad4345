"""The players of chess: scripted policies, and the seeded Stockfish that makes the dataset."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from lmrl_data.episode import Episode
from lmrl_data.policy import Conversation, Policy, Streams
from lmrl_data.rollout import play_episode
from lmrl_data.simulator import Simulator
from lmrl_data.tasks.chess.engine import EnginePool, full_strength, read_reply, shared_pool
from lmrl_data.tasks.chess.simulator import ChessSimulator, SeededOpponent, fen, read_position, spaced


class RandomPolicy(Policy):
    """A legal move, uniformly."""

    name = "scripted:random"

    def __init__(self, config: str, seed: int) -> None:
        self.streams = Streams(seed)

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [self._act(conversation) for conversation in conversations]

    def _act(self, conversation: Conversation) -> str:
        board = read_position(conversation.turns[-1].content)
        moves = list(board.generate_legal_moves())
        return spaced(board.san(moves[int(self.streams[conversation].integers(len(moves)))]))


ENGINE_LIMIT = "nodes 10000"


class EnginePolicy(Policy):
    """Stockfish at full strength, ten thousand nodes a move; the same position gets the same move."""

    name = "scripted:engine"

    def __init__(self, config: str, seed: int) -> None:
        self.pool: EnginePool = shared_pool()

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        boards = [read_position(conversation.turns[-1].content) for conversation in conversations]
        replies = self.pool.answer([full_strength(fen(board), ENGINE_LIMIT) for board in boards])
        return [
            spaced(board.san(board.parse_uci(read_reply(reply).move)))
            for board, reply in zip(boards, replies, strict=True)
        ]


# --- the dataset

# From Stockfish's least rating, for 800 to 1600 in the paper, to where White wins six games in ten (Table 1).
WHITE_ELO = (1350, 2000)


def play_games(simulator: Simulator, seed: int) -> Episode:
    """White is the seeded handicap too, of a random rating; its dice are its own."""
    assert isinstance(simulator, ChessSimulator)
    random = np.random.default_rng([seed, 0xC4])
    white = SeededOpponent(int(random.integers(WHITE_ELO[0], WHITE_ELO[1] + 1)))

    def act(observation: str) -> str:
        board = simulator.board
        reply = simulator.oracle.answer([white.question(board)])[0]
        return spaced(board.san(white.choose(board, reply, random)))

    episode = play_episode("chess", simulator, seed, "seeded", act)
    episode.info["white_elo"] = white.elo
    return episode


def data_facts(config: str, episodes: Iterable[Episode]) -> dict[str, str]:
    """Wins, losses and draws, how games ended, and who played."""
    results: Counter[str] = Counter()
    terminations: Counter[str] = Counter()
    players: Counter[str] = Counter()
    for episode in episodes:
        results[episode.info["result"]] += 1
        terminations[episode.info["termination"]] += 1
        players[f"{episode.info['opponent']}, Elo {episode.info['elo']}, {episode.info['engine']}"] += 1
    games = results.total()
    return {
        "White won, lost, drew": ", ".join(f"{results[r] / games:.1%}" for r in ("1-0", "0-1", "1/2-1/2")),
        "games ended by": ", ".join(f"{name} {n / games:.1%}" for name, n in terminations.most_common()),
        "Black is": "; ".join(players),
    }
