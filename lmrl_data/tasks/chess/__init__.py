"""Chess: play White against Stockfish; a move is standard notation with a space between all characters, `N f 3`."""

from lmrl_data.config import Config, ReferenceReturns, by_name
from lmrl_data.task import Behavior, Protocol, Task
from lmrl_data.tasks.chess.original import ORIGINAL
from lmrl_data.tasks.chess.players import EnginePolicy, RandomPolicy, data_facts, play_games
from lmrl_data.tasks.chess.screen import comment, picture
from lmrl_data.tasks.chess.simulator import ELO_RANGE, MAX_MOVES, MOVE, OPPONENTS, ChessSimulator, check_engine

TASK = Task(
    id="chess",
    version="1.0.0",
    summary="Play White against a weakened Stockfish; planning, and a reward that comes once.",
    configs=by_name(
        Config(
            "standard",
            "full games from the start position; only the newest position counts",
            history=1,
            reference=ReferenceReturns(-401.0, 0.21, 1.0, 1.0, "Table 5; -401 is an illegal move every time"),
        ),
    ),
    simulator_class=ChessSimulator,
    behaviors=(Behavior("seeded", 1.0, play_games),),
    num_episodes={"train": 8_000, "test": 800},
    max_turns=MAX_MOVES + 1,
    protocols={
        "paper": Protocol("1000 games from the start position", 1_000),
        "quick": Protocol("50 games from the start position", 50),
    },
    policies={"engine": EnginePolicy, "random": RandomPolicy},
    instructions=(
        "You are playing chess as White. The position is a FEN with a space between all characters. Answer with one "
        "legal move in standard algebraic notation, with a space between all characters, and nothing else, for "
        "example: N f 3"
    ),
    tool=MOVE,
    picture=picture,
    comment=comment,
    data_facts=data_facts,
    shard_episodes=500,
    original=ORIGINAL,
    options={
        "opponent": f"{', '.join(OPPONENTS)}; seeded by default",
        "elo": f"strength of the opponent seeded, {ELO_RANGE[0]} to {ELO_RANGE[1]}; 1350 by default",
        "position": "a FEN, spaced or not, with White to move; the start of the game by default",
    },
    check_replay=check_engine,
)
