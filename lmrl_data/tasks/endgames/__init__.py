"""Chess endgames: mate a bare king with a queen, a rook, or two pieces; texts and rewards are those of chess."""

from lmrl_data.config import Config, ReferenceReturns, by_name
from lmrl_data.task import Behavior, Protocol, Task
from lmrl_data.tasks.chess.original import ORIGINAL
from lmrl_data.tasks.chess.players import RandomPolicy
from lmrl_data.tasks.chess.screen import comment, picture
from lmrl_data.tasks.chess.simulator import ELO_RANGE, MAX_MOVES, MOVE, check_engine
from lmrl_data.tasks.endgames.players import OptimalPolicy, data_facts, play_epsilon
from lmrl_data.tasks.endgames.simulator import TEST_STARTS, EndgamesSimulator, starts_of
from lmrl_data.tasks.endgames.tables import SETS

TASK = Task(
    id="endgames",
    version="1.0.0",
    summary="Mate a bare king with a queen, a rook, or two pieces; stitching parts of many games, and late reward.",
    configs=by_name(
        Config(
            "standard",
            "four endgames from random positions; only the newest position counts",
            history=1,
            # -1 is the paper's and can be undercut: an illegal move every time returns -401.
            reference=ReferenceReturns(-1.0, 0.586, 1.0, 1.0, "Table 5; the true floor is -401"),
        ),
    ),
    simulator_class=EndgamesSimulator,
    behaviors=(Behavior("epsilon", 1.0, play_epsilon),),
    num_episodes={"train": 97_756, "test": 9_776},
    max_turns=MAX_MOVES + 1,
    protocols={
        "paper": Protocol("645 frozen positions, mate in 5 or more, one game each", 1, TEST_STARTS),
        "tricky": Protocol("645 frozen positions, the longest mates of each set", 1, starts_of("tricky", "t")),
        "quick": Protocol("the first 64 of the paper's protocol", 1, dict(list(TEST_STARTS.items())[:64])),
    },
    policies={"optimal": OptimalPolicy, "random": RandomPolicy},
    instructions=(
        "You are playing White in a chess endgame against a bare king; mate it. The position is a FEN with a space "
        "between all characters. Answer with one legal move in standard algebraic notation, with a space between all "
        "characters, and nothing else, for example: Q h 7 #"
    ),
    tool=MOVE,
    picture=picture,
    comment=comment,
    data_facts=data_facts,
    shard_episodes=5_000,
    original=ORIGINAL,
    options={
        "opponent": f"{', '.join(EndgamesSimulator.opponents)}; tables by default",
        "elo": f"strength of the opponent seeded, {ELO_RANGE[0]} to {ELO_RANGE[1]}; 1350 by default",
        "position": "a FEN of one of the sets, spaced or not, with White to move; a random one by default",
        "pieces": f"{', '.join(SETS)}; any of them by default",
    },
    check_replay=check_engine,
)
