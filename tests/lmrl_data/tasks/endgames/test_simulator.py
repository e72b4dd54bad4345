"""Endgames: starts, opponents, policies and data, held against the tables and against python-chess."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from cases import check_cases, release

from lmrl_data import Episode, UserError, get_task, rollout
from lmrl_data.dataset.statistics import Statistics
from lmrl_data.episode import Turn
from lmrl_data.policy import Conversation
from lmrl_data.task import EVALUATION_SEED
from lmrl_data.tasks.chess.simulator import spaced, unspaced_fen
from lmrl_data.tasks.endgames import simulator as endgames
from lmrl_data.tasks.endgames.simulator import (
    TEST_LEAST,
    TRICKY_LEAST,
    EndgamesSimulator,
    fen,
    frozen_positions,
    position_of,
    random_position,
    read_endgame,
    redraw,
)
from lmrl_data.tasks.endgames.tables import DRAW, SETS, Position, best_replies, moves_to_mate

pytestmark = pytest.mark.slow

chess = pytest.importorskip("chess")
ENDGAMES = get_task("endgames")
MATE_IN_TWO = "k7/8/2K5/8/8/8/8/1Q6 w - - 0 1"


def simulator() -> EndgamesSimulator:
    return ENDGAMES.simulator(config="standard")


def start(**options: object) -> str:
    """The FEN an episode begins with."""
    seed = options.pop("seed", 0)
    return unspaced_fen(simulator().reset(seed=seed, options=options)[0])


def left(text: str) -> int:
    return moves_to_mate(position_of(read_endgame(text)))


def play(actions: list[str], **options: object) -> tuple[list[float], dict]:
    """The rewards of these actions and the last step's info."""
    game = simulator()
    game.reset(seed=0, options=options)
    steps = [game.step(action) for action in actions]
    return [step[1] for step in steps], steps[-1][4]


@pytest.fixture(scope="module")
def games() -> list[Episode]:
    maker = simulator()
    return [ENDGAMES.generate(maker, seed) for seed in range(400)]


# --- starts


def test_starts_are_legal_and_white_is_to_move_and_not_in_check() -> None:
    for seed in range(200):
        board = chess.Board(start(seed=seed))
        assert board.is_valid()
        assert board.turn == chess.WHITE
        assert not board.is_check()
        assert len(board.pieces(chess.KING, chess.BLACK)) == board.occupied_co[chess.BLACK].bit_count() == 1


def test_the_four_sets_are_drawn_alike() -> None:
    drawn = Counter("".join(sorted(filter(str.isalpha, start(seed=seed).split()[0]))) for seed in range(400))
    assert set(drawn) == {"KQk", "KRk", "KQRk", "KRRk"}
    assert min(drawn.values()) > 70  # 100 each, standard error 9


@pytest.mark.parametrize(("name", "pieces"), SETS.items())
def test_the_option_pieces_names_a_set(name: str, pieces: str) -> None:
    for seed in range(20):
        men = start(seed=seed, pieces=name).split()[0]
        assert sorted(filter(str.isalpha, men)) == sorted(f"kK{pieces}")


def test_starts_are_uniform_over_the_legal_positions() -> None:
    random = np.random.default_rng(3)
    tally = Counter(moves_to_mate(random_position("R", random)) for _ in range(4_000))
    # On the whole board 916 of 175,168 positions take 16 moves, 21,480 take 12 (a known table).
    assert tally[12] / 4_000 == pytest.approx(21_480 / 175_168, abs=0.02)
    assert sum(tally.values()) == 4_000
    assert max(tally) == 16


def test_no_start_is_a_position_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = start(seed=5), start(seed=5, pieces="kQK")
    monkeypatch.setattr(endgames, "held_out_positions", lambda: frozenset([first, second]))
    assert start(seed=5) != first
    assert start(seed=5, pieces="kQK") != second


def test_a_position_can_be_given_spaced_or_not() -> None:
    assert start(position=MATE_IN_TWO) == start(position=spaced(MATE_IN_TWO)) == MATE_IN_TWO


def test_starts_that_cannot_be_are_refused_in_one_line() -> None:
    def check(options: dict, message: str) -> None:
        with pytest.raises(UserError, match=message) as caught:
            simulator().reset(seed=0, options=options)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300

    check_cases(
        [
            ({"position": "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"}, "bare black king"),
            ({"position": "k7/8/2K5/8/8/8/8/1B1N4 w - - 0 1"}, "bare black king"),
            ({"position": "k6r/8/2K5/8/8/8/8/1Q6 w - - 0 1"}, "bare black king"),
            ({"position": "k7/8/2K5/8/8/8/8/QQ6 w - - 0 1"}, "leads to|bare black king"),
            ({"position": "k7/8/2K5/8/8/8/7R/RR6 w - - 0 1"}, "leads to|bare black king"),
            ({"position": "k7/7P/2K5/8/8/8/8/1Q6 w - - 0 1"}, "bare black king"),
            ({"position": "8/8/8/4k3/8/8/8/4K2R w K - 0 1"}, "castling"),
            ({"position": "k7/8/2K5/8/8/8/8/1Q6 b - - 0 1"}, "Black is to move"),
            ({"position": "k7/8/2K5/8/8/8/8/Q7 w - - 0 1"}, "no game of chess"),
            ({"position": "8/8/8/8/8/8/8/8 w - - 0 1"}, "no game of chess"),
            ({"position": "nonsense"}, "FEN"),
            ({"position": 7}, "FEN"),
            ({"position": None}, "FEN"),
            ({"position": "k" * 10_000}, "FEN"),
            ({"pieces": "kBNK"}, "kQRK"),
            ({"pieces": ["kQK"]}, "kQRK"),
            ({"pieces": "kQK", "position": MATE_IN_TWO}, "either"),
            ({"opponent": "magnus"}, "tables"),
            ({"elo": 1_500}, "takes no elo"),
            ({"start": "kQK-000"}, "position"),
        ],
        check,
    )


# --- rules


def test_mate_pays_one() -> None:
    rewards, info = play(["Q b 2", "Q b 7 #"], position=MATE_IN_TWO)
    assert rewards == [0, 1]
    assert info["success"] is True
    assert info["termination"] == "checkmate"


def test_stalemate_and_a_lost_piece_pay_nothing_and_end_the_game() -> None:
    rewards, info = play(["Q b 6"], position="k7/8/4Q3/8/8/8/8/7K w - - 0 1")
    assert (rewards, info["success"], info["termination"]) == ([0], False, "stalemate")
    rewards, info = play(["R a 2"], position="8/8/8/8/8/1k6/8/R6K w - - 0 1")
    assert (rewards, info["success"], info["termination"]) == ([0], False, "insufficient material")


def test_a_game_of_illegal_moves_alone_ends_at_minus_401() -> None:
    rewards, info = play(["K e 9"] * 401, position=MATE_IN_TWO)
    assert sum(rewards) == -401
    assert info["success"] is False


# --- opponents


def test_the_defence_needs_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMRL_STOCKFISH", "/nowhere")
    assert play(["Q b 2", "Q b 7 #"], position=MATE_IN_TWO)[0] == [0, 1]


def test_the_defence_always_holds_out_the_longest() -> None:
    game = simulator()
    for seed in range(30):
        game.reset(seed=seed)
        over = False
        while not over:
            board = game.board.copy()
            move = next(iter(board.legal_moves))
            board.push(move)
            expected = {reply.target for reply in best_replies(position_of(board))}
            *_, terminated, truncated, _ = game.step(spaced(game.board.san(move)))
            over = terminated or truncated
            if game.board.turn == chess.WHITE:
                assert game.board.peek().to_square in expected


def test_ties_of_the_defence_are_drawn_from_the_seed() -> None:
    def reply(seed: int) -> str:
        game = simulator()
        game.reset(seed=seed, options={"position": "8/8/8/3k4/8/8/8/K3R2R w - - 0 1"})
        return game.step("R e 2")[0]

    assert reply(1) == reply(1)
    assert len({reply(seed) for seed in range(20)}) > 1


def test_the_errant_opponent_sometimes_gives_moves_away() -> None:
    def errors(opponent: str) -> int:
        game, count = simulator(), 0
        for seed in range(150):
            game.reset(seed=seed, options={"opponent": opponent})
            move = next(iter(game.board.legal_moves))
            board = game.board.copy()
            board.push(move)
            if len(expected := {reply.target for reply in best_replies(position_of(board))}):
                game.step(spaced(game.board.san(move)))
                count += game.board.peek().to_square not in expected
        return count

    assert errors("tables") == 0
    assert 5 < errors("errant") < 60


def test_the_random_opponent_of_chess_plays_here_too() -> None:
    assert play(["Q b 2"], position=MATE_IN_TWO, opponent="random")[0] == [0]


# --- policies


@pytest.mark.parametrize("protocol", ["paper", release("tricky")])
def test_the_optimal_policy_mates_from_every_test_position_in_as_many_moves_as_the_table_says(protocol: str) -> None:
    starts = ENDGAMES.protocol(protocol).starts
    policy = ENDGAMES.policy("optimal", "standard")
    seeds = range(EVALUATION_SEED, EVALUATION_SEED + len(starts))
    episodes = rollout(ENDGAMES, "standard", policy, seeds, options=list(starts.values()))
    assert len(episodes) == 645
    for episode, options in zip(episodes, starts.values(), strict=True):
        assert episode.success
        assert episode.total_reward == 1
        assert episode.num_turns == left(options["position"])


def test_the_optimal_policy_uses_every_mistake() -> None:
    policy = ENDGAMES.policy("optimal", "standard")
    for seed in range(20):
        game = simulator()
        text, _ = game.reset(seed=seed, options={"opponent": "random"})
        least, over, turns = left(unspaced_fen(text)), False, 0
        while not over:
            text, reward, over, _, _ = game.step(policy.act([Conversation(seed, 1, [Turn("user", text)])])[0])
            turns += 1
        assert reward == 1
        assert turns <= least


def test_the_random_policy_plays_legal_moves_and_rarely_wins() -> None:
    policy = ENDGAMES.policy("random", "standard")
    episodes = rollout(ENDGAMES, "standard", policy, range(EVALUATION_SEED, EVALUATION_SEED + 40))
    assert all(episode.info["invalid"] == 0 for episode in episodes)
    assert sum(episode.success for episode in episodes) < 8


# --- the frozen positions


@pytest.mark.parametrize(("name", "least"), [("test", TEST_LEAST), ("tricky", TRICKY_LEAST)])
def test_frozen_positions_are_balanced_legal_and_not_trivial(name: str, least: dict[str, int]) -> None:
    positions = frozen_positions(name)
    assert len(positions) == len(set(positions)) == 645
    for i, text in enumerate(positions):
        pieces = list(SETS)[i % 4]
        board = chess.Board(text)
        assert board.is_valid()
        assert sorted(filter(str.isalpha, text.split()[0])) == sorted("k" + pieces[1:])
        assert left(text) >= least[pieces] >= 5


def test_test_positions_and_tricky_ones_differ() -> None:
    assert not set(frozen_positions("test")) & set(frozen_positions("tricky"))


def test_frozen_positions_are_drawn_again_from_their_seeds() -> None:
    drawn = redraw()
    assert {name: tuple(positions) for name, positions in drawn.items()} == {
        name: frozen_positions(name) for name in ("test", "tricky")
    }


def test_a_damaged_list_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "test_positions.txt").write_text(f"{MATE_IN_TWO}\n")
    monkeypatch.setattr(endgames, "FOLDER", tmp_path)
    with pytest.raises(OSError, match="damaged"):
        frozen_positions.__wrapped__("test")


def test_protocols_name_their_starts_by_set_and_number() -> None:
    paper, tricky, quick = (ENDGAMES.protocol(name) for name in ("paper", "tricky", "quick"))
    assert list(paper.starts)[:5] == ["kQK-000", "kRK-000", "kQRK-000", "kRRK-000", "kQK-001"]
    assert list(tricky.starts)[:2] == ["kQK-t000", "kRK-t000"]
    assert len(paper.starts) == len(tricky.starts) == paper.n_episodes == tricky.n_episodes == 645
    assert quick.starts == dict(list(paper.starts.items())[:64])


def test_a_fen_and_its_position_are_the_same() -> None:
    random = np.random.default_rng(2)
    for pieces in SETS.values():
        for _ in range(50):
            position = random_position(pieces, random)
            board = chess.Board(fen(position))
            assert board.fen() == fen(position)
            read = position_of(board)
            assert (read.pieces, read.white_king, read.black_king) == (
                pieces,
                position.white_king,
                position.black_king,
            )
            assert sorted(read.men) == sorted(position.men)
    assert fen(Position("RR", (0, 7), 4, 60)) == "4k3/8/8/8/8/8/8/R3K2R w - - 0 1"


# --- the dataset


def test_data_has_the_statistics_of_table_1(games: list[Episode]) -> None:
    summary = Statistics.of(games).summary()
    # 400 games: standard errors of 0.025 and 0.6.
    assert summary.success_rate == pytest.approx(0.586, abs=0.08)
    assert summary.length[0] == pytest.approx(11.9, abs=2)
    assert summary.length[1] == pytest.approx(12.0, abs=3)
    assert summary.total_reward[0] == pytest.approx(summary.success_rate)


def test_data_has_legal_moves_only_and_ends_as_chess_does(games: list[Episode]) -> None:
    assert all(game.info["invalid"] == 0 and game.terminated for game in games)
    assert {game.info["termination"] for game in games} >= {"checkmate", "insufficient material"}
    assert all(game.info["opponent"] == "errant" for game in games)


def test_games_of_small_epsilon_follow_the_tables(games: list[Episode]) -> None:
    best = {low: [g.info["best_moves"] / g.num_turns for g in games if low <= g.info["epsilon"] < low + 0.2]
            for low in (0.0, 0.7)}  # fmt: skip
    assert np.mean(best[0.0]) == pytest.approx(0.9, abs=0.05)
    assert np.mean(best[0.7]) == pytest.approx(0.2, abs=0.07)
    won = [np.mean([g.success for g in games if low <= g.info["epsilon"] < low + 0.2]) for low in (0.0, 0.7)]
    assert won[0] > 0.8 > 0.5 > won[1]


def test_a_build_can_ask_for_another_opponent() -> None:
    maker = ENDGAMES.simulator(config="standard", options={"opponent": "tables"})
    assert ENDGAMES.generate(maker, 0).info["opponent"] == "tables"


def test_the_card_tells_who_chose_the_moves(games: list[Episode]) -> None:
    facts = ENDGAMES.data_facts("standard", games)
    share = sum(game.info["best_moves"] for game in games) / sum(game.num_turns for game in games)
    assert facts["moves chosen by the tables (paper: 38.28 %)"] == f"{share:.2%}"
    assert facts["games ended by"].startswith("checkmate")


def test_values_of_moves_tell_a_draw_from_any_mate() -> None:
    assert max(left(text) for text in frozen_positions("tricky")) < DRAW
