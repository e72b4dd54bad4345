"""Chess: texts against python-chess, rules on positions made by hand, opponents, and games for the dataset."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import chess
import numpy as np
import pytest
from cases import check_cases
from hypothesis import given, settings
from hypothesis import strategies as st

from lmrl_data import Episode, UserError, get_task, rollout
from lmrl_data.episode import Turn
from lmrl_data.policy import Conversation
from lmrl_data.tasks.chess.engine import find_engine, read_reply
from lmrl_data.tasks.chess.players import WHITE_ELO
from lmrl_data.tasks.chess.simulator import (
    OPPONENTS,
    START,
    ChessSimulator,
    Opponent,
    SeededOpponent,
    ending,
    fen,
    read_move,
    read_position,
    spaced,
    unspaced_fen,
)

pytestmark = pytest.mark.slow

CHESS = get_task("chess")
SPACED_START = (
    "r n b q k b n r / p p p p p p p p / 8 / 8 / 8 / 8 / P P P P P P P P / R N B Q K B N R   w   K Q k q   -   0   1"
)


def has_engine() -> bool:
    try:
        find_engine()
    except UserError:
        return False
    return True


needs_stockfish = pytest.mark.skipif(not has_engine(), reason="Stockfish is not installed")


class Script(Opponent):
    """Plays moves written down beforehand."""

    name = "script"
    engine = False
    moves: ClassVar[Sequence[str]] = ()

    def __init__(self) -> None:
        self.left = list(self.moves)

    def choose(self, board: chess.Board, reply: str, random: np.random.Generator) -> chess.Move:
        return board.parse_san(self.left.pop(0))


def scripted(*moves: str, position: str = START) -> ChessSimulator:
    """A simulator in which Black plays these moves."""

    class Scripted(ChessSimulator):
        opponents: ClassVar[Mapping[str, Any]] = {"script": type("Moves", (Script,), {"moves": moves})}

    simulator = Scripted(get_task("chess").config(), options={"position": position})
    simulator.reset(seed=0)
    return simulator


def against_random(**options: Any) -> ChessSimulator:
    simulator = get_task("chess").simulator(options={"opponent": "random", **options})
    simulator.reset(seed=0)
    return simulator


# --- texts


def test_the_start_position_is_spaced_as_in_the_paper() -> None:
    assert spaced(START) == SPACED_START
    assert get_task("chess").simulator(options={"opponent": "random"}).reset(seed=0)[0] == SPACED_START
    assert unspaced_fen(SPACED_START) == unspaced_fen(START) == START


def test_moves_are_spaced_as_in_the_paper() -> None:
    moves = {"e4": "e 4", "Nf3": "N f 3", "Qxh4+": "Q x h 4 +", "O-O": "O - O", "e8=Q#": "e 8 = Q #"}
    assert {move: spaced(move) for move in moves} == moves


def random_positions(number: int, seed: int) -> Iterator[chess.Board]:
    """The positions of uniformly random games, one after the other."""
    random = np.random.default_rng(seed)
    board = chess.Board()
    for _ in range(number):
        if board.is_game_over():
            board = chess.Board()
        yield board
        moves = list(board.legal_moves)
        board.push(moves[int(random.integers(len(moves)))])


def check_texts(number: int, every: int = 1) -> int:
    """Holds our texts against python-chess; returns how many moves, one in `every`, went there and back."""
    moves = 0
    for index, board in enumerate(random_positions(number, seed=3)):
        text = board.fen()
        assert fen(board) == text
        assert unspaced_fen(spaced(text)) == text
        over = board.is_game_over()
        assert bool(ending(board)) == over
        for move in list(board.legal_moves)[index % every :: every]:
            said = board.san(move)
            assert read_move(board, spaced(said)) == read_move(board, f" {said} ") == move
            moves += 1
        if board.turn and not over:
            assert fen(read_position(spaced(text))) == text
    return moves


def test_texts_agree_with_python_chess_over_random_games() -> None:
    assert check_texts(200) > 3_000


@pytest.mark.release
def test_texts_agree_with_python_chess_over_ten_thousand_positions() -> None:
    assert check_texts(10_000, every=8) > 20_000


@pytest.mark.parametrize(
    "text",
    [
        "r3k2r/8/8/8/8/8/8/R3K2R w Kq - 0 1",
        "r3k2r/8/8/8/8/8/8/R3K2R w - - 12 40",
        # The pawn that could be taken in passing shields its king: no such move, so no such field.
        "8/8/8/K2pP2q/8/8/8/7k w - d6 0 2",
        "4k3/8/8/3pP3/8/8/8/4K3 w - d6 0 2",
        # Rights that the pieces do not back up are dropped.
        "1r2k2r/8/8/8/8/8/8/R3K1R1 w KQkq - 0 1",
    ],
)
def test_castling_and_passing_fields_agree_with_python_chess(text: str) -> None:
    board = chess.Board(text)
    assert fen(board) == board.fen()


# --- actions


def test_what_python_chess_forgives_is_a_move() -> None:
    def check(action: str) -> None:
        text, reward, *_, info = against_random().step(action)
        assert info["valid"]
        assert reward == 0
        assert "P 3 / 8 / P P P P 1 P P P" in text

    check_cases(["e 4", "e4", "e 4\n", " e 4 ", "e2e4", "e 2 e 4", "e 2 - e 4", "e 4 +", "e 4 #"], check)


def test_an_illegal_move_costs_1_and_black_does_not_move() -> None:
    def check(action: str) -> None:
        simulator = against_random()
        text, reward, terminated, truncated, info = simulator.step(action)
        assert (text, reward, terminated, truncated) == (SPACED_START, -1.0, False, False)
        assert info == {"valid": False}
        assert simulator.step("e 4")[4]["valid"]

    check_cases(
        [
            "",
            "K e 3",
            "e 5",
            "e 2 f 3",
            "N e 2",
            "--",
            "Z 0",
            "0000",
            "@@@@",
            "e 4 e 5",
            "e\t4",
            "E 4",
            "e 4 ?",
            "1. e 4",
            "e 4\ne 5",
            "e4\0",
            "resign",
            "O - O",
            "N f 3 " * 20_000,
        ],
        check,
    )


@settings(max_examples=300)
@given(st.text(st.sampled_from("abcdefghNBRQKO12345678x=-+# \n"), max_size=12))
def test_a_text_of_the_right_letters_is_a_legal_move_or_costs_1(action: str) -> None:
    simulator = against_random()
    text, reward, *_, info = simulator.step(action)
    assert reward == (0 if info["valid"] else -1)
    assert (text == SPACED_START) != info["valid"]


# --- how games end


def test_mate_pays_1_and_the_text_has_black_to_move() -> None:
    simulator = scripted("e5", "Nc6", "Nf6")
    for action in ("e 4", "B c 4", "Q h 5"):
        assert simulator.step(action)[1:4] == (0.0, False, False)
    text, reward, terminated, truncated, info = simulator.step("Q x f 7 #")
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert info == {"valid": True, "result": "1-0", "termination": "checkmate", "success": True}
    assert "   b   " in text


def test_being_mated_costs_1() -> None:
    simulator = scripted("e5", "Qh4#")
    simulator.step("f 3")
    text, reward, terminated, _, info = simulator.step("g 4")
    assert (reward, terminated) == (-1.0, True)
    assert info == {"valid": True, "result": "0-1", "termination": "checkmate", "success": False}
    assert "   w   " in text


@pytest.mark.parametrize(
    ("position", "action", "replies", "how"),
    [
        ("7k/8/6K1/5Q2/8/8/8/8 w - - 0 1", "Q f 7", (), "stalemate"),
        ("5bk1/8/8/8/8/8/6qP/7K w - - 0 1", "K x g 2", (), ""),
        ("7K/8/8/8/6q1/8/8/k7 w - - 0 1", "K h 7", ("Qg5",), ""),
        ("7K/8/8/8/6q1/8/8/5k2 w - - 0 1", "K h 7", ("Qg3",), ""),
        ("8/8/8/8/8/7k/8/4Kr2 w - - 0 1", "K x f 1", (), "insufficient material"),
        ("4k3/8/8/8/8/8/8/4KB1n w - - 0 1", "B g 2", ("Ng3",), ""),
        ("7k/8/8/8/8/8/R7/K7 w - - 149 100", "R a 3", (), "seventy-five moves"),
        ("7k/8/8/8/8/8/R7/K7 w - - 148 100", "R a 3", ("Kg8",), "seventy-five moves"),
        ("7k/8/8/8/8/8/R7/K7 w - - 110 100", "R a 3", ("Kg8",), ""),
        ("8/8/8/8/8/5k2/4q3/6K1 w - - 0 1", "K h 1", ("Qf2",), "stalemate"),
    ],
)
def test_draws_pay_nothing(position: str, action: str, replies: Sequence[str], how: str) -> None:
    if how == "" and not replies:
        replies = ("Bc5",)
    _, reward, terminated, truncated, info = scripted(*replies, position=position).step(action)
    assert (reward, terminated, truncated) == (0.0, bool(how), False)
    if how:
        assert info == {"valid": True, "result": "1/2-1/2", "termination": how, "success": False}


def test_a_position_ends_the_game_when_it_comes_the_fifth_time_not_the_third() -> None:
    simulator = scripted(*["Nf6", "Ng8"] * 8)
    for times in range(2, 6):  # the start position has been there once
        simulator.step("N f 3")
        *_, terminated, _, info = simulator.step("N g 1")
        assert terminated == (times == 5)
    assert info["termination"] == "fivefold repetition"


def test_401_illegal_moves_cost_401_and_end_the_game() -> None:
    simulator = against_random()
    steps = [simulator.step("K e 3") for _ in range(401)]
    assert [step[2:4] for step in steps] == [(False, False)] * 400 + [(False, True)]
    assert sum(step[1] for step in steps) == -401
    assert steps[-1][4] == {"valid": False, "result": "*", "termination": "move limit", "success": False}


def test_the_401st_action_still_counts() -> None:
    simulator = against_random(position="7k/8/6K1/8/8/8/5Q2/8 w - - 0 1")
    for _ in range(400):
        simulator.step("x")
    assert simulator.step("Q f 8 #")[1:4] == (1.0, True, False)
    simulator.reset(seed=0)
    for _ in range(400):
        simulator.step("x")
    assert simulator.step("K g 5")[1:4] == (0.0, False, True)


# --- options


def test_wrong_options_are_refused_in_one_line() -> None:
    def check(options: dict[str, Any], said: str) -> None:
        with pytest.raises(UserError, match=said) as caught:
            get_task("chess").simulator().reset(seed=0, options=options)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300

    check_cases(
        [
            ({"position": "8/8/8"}, "is a FEN"),
            ({"position": ""}, "is a FEN"),
            ({"position": 7}, "is a FEN"),
            ({"position": "x" * 1_000_000}, "is a FEN"),
            ({"position": f"{START[:-3]}{'9' * 100} 1"}, "the game is over"),
            ({"position": f"{START[:-1]}{'9' * 100}"}, "no game of chess"),
            ({"position": START.replace("K", "Q", 1)}, "no game of chess"),
            ({"position": "8/8/8/8/8/8/8/8 w - - 0 1"}, "no game of chess"),
            ({"position": START.replace(" w ", " b ")}, "Black is to move"),
            ({"position": "7k/8/8/8/8/8/8/K7 w - - 0 1"}, "the game is over"),
            ({"position": "k7/8/8/8/8/5n2/4q3/7K w - - 150 90"}, "the game is over"),
            ({"position": f"{START}\nquit"}, "is a FEN"),
            ({"opponent": "kasparov"}, "choose from: seeded"),
            ({"opponent": "random", "elo": 1200}, "takes no elo"),
            ({"elo": 100}, "from 800 to 2000"),
            ({"elo": "strong"}, "from 800 to 2000"),
            ({"start": START}, "choose from: opponent, elo, position"),
        ],
        check,
    )


@settings(max_examples=300)
@given(st.text(st.sampled_from("pnbrqkPNBRQK12345678/ wb-KQkq0abcdefgh１²\n"), max_size=90))
def test_no_position_raises_anything_but_a_user_error(text: str) -> None:
    for position in (text, f"{text} w - - 0 1"):
        with suppress(UserError):
            assert read_position(position).is_valid()


def test_a_spaced_position_is_read_as_it_is_written() -> None:
    position = "8 / 8 / 8 / 4 k 3 / 8 / 8 / Q 7 / K 7   w   -   -   1 2   4 0"
    assert get_task("chess").simulator().reset(options={"opponent": "random", "position": position})[0] == position


def test_the_engine_and_the_effective_strength_are_stated() -> None:
    assert get_task("chess").simulator().reset(options={"opponent": "random"})[1] == {"opponent": "random"}
    if has_engine():
        info = get_task("chess").simulator().reset(options={"opponent": "seeded", "elo": 1200})[1]
        assert (info["opponent"], info["elo"]) == ("seeded", 1200)
        assert "Stockfish" in info["engine"]
        assert get_task("chess").simulator().reset(options={"opponent": "movetime100"})[1]["elo"] == 1350


def test_without_python_chess_the_rest_works_and_the_error_says_what_to_install() -> None:
    program = """
import sys
sys.modules["chess"] = None
from lmrl_data import UserError, get_task
task = get_task("chess")
simulator = task.simulator()
try:
    simulator.reset(seed=0)
except UserError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install 'lmrl[chess]'" in done.stdout


def test_the_board_is_drawn_with_white_below() -> None:
    lines = against_random().render().split("\n")
    assert lines[0] == "8  ♜ ♞ ♝ ♛ ♚ ♝ ♞ ♜"
    assert lines[7] == "1  ♖ ♘ ♗ ♕ ♔ ♗ ♘ ♖"
    assert lines[-1].split() == list("abcdefgh")


# --- opponents and policies


def play(simulator: ChessSimulator, seed: int, actions: Sequence[str]) -> list[Any]:
    return [simulator.reset(seed=seed), *map(simulator.step, actions)]


@needs_stockfish
@pytest.mark.parametrize("name", OPPONENTS)
def test_every_opponent_answers_with_a_legal_move(name: str) -> None:
    simulator = get_task("chess").simulator(options={"opponent": name})
    simulator.reset(seed=0)
    text, reward, *_, info = simulator.step("e 4")
    assert (reward, info) == (0.0, {"valid": True})
    board = chess.Board()
    board.push_san("e4")
    texts = []
    for move in list(board.legal_moves):
        board.push(move)
        texts.append(spaced(board.fen()))
        board.pop()
    assert text in texts


@needs_stockfish
def test_the_seeded_opponent_plays_by_its_seed() -> None:
    actions = ["e 4", "d 4", "N f 3", "B d 3"]
    games = [play(get_task("chess").simulator(), seed, actions) for seed in (0, 0, 1, 2, 3)]
    assert games[0] == games[1]
    assert len({str(game) for game in games}) > 2


@needs_stockfish
def test_a_stronger_opponent_plays_stronger_moves() -> None:
    boards = [board.copy() for board in random_positions(60, seed=1)]
    pool, random = get_task("chess").simulator().oracle, np.random.default_rng(0)

    def best_moves(elo: int) -> int:
        opponent, count = SeededOpponent(elo), 0
        for board, reply in zip(boards, pool.answer([opponent.question(board) for board in boards]), strict=True):
            best = read_reply(reply).lines[0].move
            count += sum(opponent.choose(board, reply, random).uci() == best for _ in range(20))
        return count

    assert best_moves(800) < best_moves(2000)


@needs_stockfish
def test_a_game_does_not_depend_on_those_played_beside_it() -> None:
    policy = CHESS.policy("random", "standard", seed=4)
    together = rollout(CHESS, "standard", policy, range(4), batch_size=4)
    alone = [rollout(CHESS, "standard", policy, [seed], batch_size=1)[0] for seed in range(4)]
    assert together == alone
    assert all(episode.info["invalid"] == 0 for episode in together)


def test_an_oracle_that_is_no_engine_is_told_so() -> None:
    class Poet:
        def answer(self, prompts: Sequence[str]) -> list[str]:
            return ["a rose; is a rose" for _ in prompts]

    simulator = against_random()
    simulator.opponent = SeededOpponent()
    simulator.oracle = Poet()
    with pytest.raises(UserError, match="holds no move to play"):
        simulator.step("e 4")


def conversation(text: str) -> Conversation:
    return Conversation(0, 1, [Turn("user", spaced(text))])


@needs_stockfish
def test_the_engine_policy_mates_when_it_can() -> None:
    policy = CHESS.policy("engine", "standard")
    positions = ["7k/8/6K1/8/8/8/5Q2/8 w - - 0 1", "7k/4P3/6K1/8/8/8/8/8 w - - 0 1"]
    for text, action in zip(positions, policy.act([conversation(text) for text in positions]), strict=True):
        assert against_random(position=text).step(action)[1] == 1.0


def test_the_random_policy_plays_every_legal_move() -> None:
    policy = CHESS.policy("random", "standard", seed=0)
    asked = [Conversation(seed, 1, [Turn("user", SPACED_START)]) for seed in range(400)]
    assert set(policy.act(asked)) == {spaced(chess.Board().san(move)) for move in chess.Board().legal_moves}


# --- the dataset


@pytest.fixture(scope="module")
def games() -> list[Episode]:
    simulator = get_task("chess").simulator()
    return [CHESS.generate(simulator, seed) for seed in range(10)]


@needs_stockfish
def test_games_of_the_dataset_have_legal_moves_only_and_end_as_they_say(games: list[Episode]) -> None:
    for episode in games:
        assert episode.info["invalid"] == 0
        assert WHITE_ELO[0] <= episode.info["white_elo"] <= WHITE_ELO[1]
        assert episode.total_reward == {"1-0": 1, "0-1": -1, "1/2-1/2": 0, "*": 0}[episode.info["result"]]
        assert episode.success == (episode.info["result"] == "1-0")
        assert sum(turn.reward != 0 for turn in episode.turns) <= 1
    assert len({episode.info["white_elo"] for episode in games}) > 5


@needs_stockfish
def test_what_the_card_says_of_the_games(games: list[Episode]) -> None:
    assert CHESS.data_facts is not None
    facts = CHESS.data_facts("standard", games)
    wins = sum(episode.success for episode in games) / len(games)
    assert facts["White won, lost, drew"].startswith(f"{wins:.1%}")
    assert "Stockfish" in facts["Black is"]
    assert "checkmate" in facts["games ended by"]
