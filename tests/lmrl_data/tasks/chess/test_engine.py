"""The engine: what is asked and read, the handicap by hand, and processes that die, hang or lose their parent."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lmrl_data import UserError
from lmrl_data.tasks.chess.engine import (
    Engine,
    EnginePool,
    Line,
    Reply,
    _shorten,
    find_engine,
    full_strength,
    handicapped,
    limited_strength,
    read_reply,
    shared_pool,
    skill_level,
)

pytestmark = pytest.mark.slow

START = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"
MATED = "7k/6Q1/6K1/8/8/8/8/8 b - - 0 1"


def has_engine() -> bool:
    try:
        find_engine()
    except UserError:
        return False
    return True


needs_stockfish = pytest.mark.skipif(not has_engine(), reason="Stockfish is not installed")


@pytest.fixture
def pool() -> Iterator[EnginePool]:
    pool = EnginePool(size=2, timeout=20)
    yield pool
    pool.close()


# --- reading


def test_the_newest_lines_of_one_depth_count() -> None:
    output = textwrap.dedent("""\
        info string NNUE evaluation using a.nnue enabled
        info depth 1 seldepth 1 multipv 1 score cp 19 nodes 105 pv e2e4 e7e5
        info depth 1 seldepth 1 multipv 2 score cp 13 nodes 105 pv d2d4
        info depth 2 seldepth 2 multipv 1 score mate 2 nodes 240 pv d2d4 d7d5
        info depth 2 seldepth 2 multipv 2 score cp -50 nodes 240 pv e2e4
        info depth 3 seldepth 3 multipv 1 score cp 7 nodes 300 pv g1f3
        info depth 2 seldepth 2 multipv 2 score cp 50 nodes 300 pv d2d4
        bestmove g1f3 ponder d7d5
        """)
    assert _shorten(output) == "g1f3; d2d4 mate 2; e2e4 cp -50"
    assert read_reply("g1f3; d2d4 mate 2; e2e4 cp 100").lines == (Line("d2d4", 31_997), Line("e2e4", 361))


def test_a_bound_is_no_score() -> None:
    lines = ["info depth 1 multipv 1 score cp 5 pv a2a3", "info depth 2 multipv 1 score cp 900 lowerbound pv a2a4"]
    assert _shorten("\n".join([*lines, "bestmove a2a3\n"])) == "a2a3; a2a3 cp 5"


def test_being_mated_is_worse_the_sooner_it_comes() -> None:
    one, two = (line.score for line in read_reply("a2a3; a2a3 mate -1; a2a4 mate -2").lines)
    assert one == -31_998
    assert two == -31_996


def test_a_position_without_a_move_has_an_empty_reply() -> None:
    assert _shorten("info depth 0 score mate 0\nbestmove (none)\n") == ""
    assert read_reply("") == Reply("", ())


# --- the handicap


@pytest.mark.parametrize(("elo", "level"), [(1346.6, 0), (1490, 1), (1350, 0.00963), (1203.2, -1), (5000, 20)])
def test_skill_levels_by_hand(elo: float, level: float) -> None:
    assert skill_level(elo) == pytest.approx(level, abs=1e-5)


class Dice:
    """A generator that throws what it is told."""

    def __init__(self, *throws: int) -> None:
        self.throws = throws

    def integers(self, high: int, size: int) -> np.ndarray:
        assert size == len(self.throws)
        assert max(self.throws) < high
        return np.array(self.throws)


def test_the_handicap_formula_by_hand() -> None:
    # Level 0: weakness 120. 100 - 40 = 60 points behind, so delta is 60 and the push int((120*60 + 60*dice) / 128).
    lines = [Line("good", 100), Line("bad", 40)]
    # 100 + int(60*5/128) = 102; 40 + int((7200 + 60*12)/128) = 101
    assert handicapped(lines, 0, Dice(5, 12)) == "good"  # type: ignore[arg-type]
    # 40 + int((7200 + 60*14)/128) = 102: the later of two equals wins
    assert handicapped(lines, 0, Dice(5, 14)) == "bad"  # type: ignore[arg-type]
    # A pawn (126) is the most that dice weigh: 1000 behind gets int((120000 + 126*119)/128) = 1054 at the most.
    assert handicapped([Line("good", 1000), Line("bad", 0)], 0, Dice(0, 119)) == "bad"  # type: ignore[arg-type]
    assert handicapped([Line("good", 1000), Line("bad", 0)], 0, Dice(60, 119)) == "good"  # type: ignore[arg-type]
    # Level 20: weakness 80. 40 + int((80*60 + 60*49)/128) = 100 draws level, one pip less does not.
    assert handicapped(lines, 20, Dice(0, 49)) == "bad"  # type: ignore[arg-type]
    assert handicapped(lines, 20, Dice(0, 47)) == "good"  # type: ignore[arg-type]


def test_a_weaker_player_errs_more_often() -> None:
    lines = [Line("best", 120), Line("second", 60), Line("third", 30), Line("worst", 0)]
    shares = []
    for elo in (800, 1350, 2000, 2800):
        random = np.random.default_rng(0)
        picks = Counter(handicapped(lines, skill_level(elo), random) for _ in range(2_000))
        shares.append(picks["best"] / 2_000)
    assert shares == sorted(shares)
    assert shares[-1] - shares[0] > 0.2


def test_the_order_of_the_lines_does_not_matter() -> None:
    lines = [Line("a", 50), Line("b", 20), Line("c", -10)]
    for seed in range(20):
        picks = {handicapped(each, 0, np.random.default_rng(seed)) for each in (lines, lines[::-1])}
        assert len(picks) == 1


# --- Stockfish


@needs_stockfish
def test_a_cleared_engine_gives_the_same_reply_whatever_it_was_asked_before(pool: EnginePool) -> None:
    question = full_strength(START, "nodes 500", 4)
    first = pool.answer([question])[0]
    other = EnginePool(size=1)
    other.answer([limited_strength(START, "nodes 3000", 1350), full_strength(MATED, "depth 3", 1)])
    assert other.answer([question])[0] == first
    other.close()
    assert len(read_reply(first).lines) == 4
    assert "Stockfish" in pool.version


@needs_stockfish
def test_a_batch_is_answered_in_order_by_several_engines(pool: EnginePool) -> None:
    fens = [f"{START[:-1]}{number}" for number in range(1, 8)]
    prompts = [full_strength(fen, "nodes 200", 2) for fen in fens]
    single = EnginePool(size=1)
    alone = [single.answer([prompt])[0] for prompt in prompts[:2]]
    single.close()
    replies = pool.answer([prompts[0], "", *prompts, full_strength(MATED, "depth 1")])
    assert replies[0] == replies[2]
    assert replies[1] == replies[-1] == ""
    assert replies[2:4] == alone
    assert sum(engine is not None for engine in pool.engines) == 2


@needs_stockfish
def test_an_engine_that_was_killed_is_replaced_and_nothing_is_lost(pool: EnginePool) -> None:
    pool.answer([limited_strength(START, "depth 1", 1350)])
    victim = pool.engines[0]
    assert victim is not None
    victim.process.kill()
    victim.process.wait()
    assert read_reply(pool.answer([full_strength(START, "nodes 300", 4)])[0]).move
    assert pool.engines[0] is not victim


@needs_stockfish
def test_closing_ends_every_process(pool: EnginePool) -> None:
    pool.answer([full_strength(START, f"nodes {n}") for n in (10, 20, 30)])
    processes = [engine.process for engine in pool.engines if engine]
    assert len(processes) == 2
    pool.close()
    assert all(process.poll() is not None for process in processes)
    assert pool.answer([full_strength(START, "nodes 40")])  # and it can begin anew


def alive(pid: int) -> bool:
    """Whether a process still runs; one that waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


PARENT = """
import os, sys, time
from lmrl_data.tasks.chess.engine import full_strength, shared_pool
pool = shared_pool()
pool.size = 2
fen = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"
pool.answer([full_strength(fen, "nodes 10"), full_strength(fen, "nodes 20")])
engines = [engine.process.pid for engine in pool.engines]
child = os.fork() if "fork" in sys.argv else 0
if child == 0 and "fork" in sys.argv:
    pool.answer([full_strength(fen, "nodes 30")])
    assert [engine.process.pid for engine in pool.engines] != engines
    time.sleep(60)
print(*engines, flush=True)
if "search" in sys.argv:
    pool.answer([full_strength(fen, "infinite")])
time.sleep(60)
"""


@needs_stockfish
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("doing", ["nothing", "search", "fork"])
def test_engines_do_not_outlive_a_parent_that_is_killed(doing: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, doing], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert parent.stdout is not None
        engines = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(engines) == 2
        assert all(map(alive, engines))
        time.sleep(0.2)
        os.kill(parent.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while any(map(alive, engines)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not any(map(alive, engines))
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        parent.wait()


# --- programs that are no good engines


def program(folder: Path, body: str) -> str:
    path = folder / "engine"
    path.write_text(f"#!{sys.executable}\nimport sys, time, os\nHERE = {str(folder)!r}\n{textwrap.dedent(body)}")
    path.chmod(0o755)
    return str(path)


# Says what UCI wants; the first process goes wrong when it is asked for a move, the next ones do not.
MOODY = """
for line in sys.stdin:
    if line.startswith("isready"):
        print("id name Moody 1", "readyok", sep="\\n", flush=True)
    elif line.startswith("go"):
        first = not os.path.exists(HERE + "/asked")
        open(HERE + "/asked", "w").close()
        if first:
            {trouble}
        print("info depth 1 multipv 1 score cp 3 pv e2e4", "bestmove e2e4", sep="\\n", flush=True)
"""


@pytest.mark.parametrize(
    "trouble",
    [
        "sys.exit(1)",
        "time.sleep(60)",
        "print('bestmove', flush=True); time.sleep(60)",
        "print('bestmove now', flush=True); time.sleep(60)",
        "print('info depth 1 multipv 1 pv e2e4', 'bestmove e2e4', sep=chr(10), flush=True); time.sleep(60)",
        "print('info depth 1 multipv 1 score cp x pv e2e4', 'bestmove e2e4', sep=chr(10), flush=True); time.sleep(60)",
    ],
)
def test_an_engine_that_ends_hangs_or_talks_nonsense_is_replaced(
    trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMRL_STOCKFISH", program(tmp_path, MOODY.format(trouble=trouble)))
    pool = EnginePool(size=1, timeout=1)
    assert pool.answer([full_strength(START, "depth 1")]) == ["e2e4; e2e4 cp 3"]
    assert pool.version == "Moody 1"
    pool.close()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit(0)", "it ended"),
        ("time.sleep(60)", "said nothing"),
        ("print('readyok', flush=True)", "failed 3 times"),
    ],
)
def test_a_program_that_is_no_engine_is_refused_in_one_line(
    body: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMRL_STOCKFISH", program(tmp_path, body))
    with pytest.raises(UserError, match=said) as caught:
        EnginePool(size=1, timeout=0.5).answer([full_strength(START, "depth 1")])
    assert "\n" not in str(caught.value)


def test_a_missing_engine_is_told_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.delenv("LMRL_STOCKFISH", raising=False)
    with pytest.raises(UserError, match="apt-get install stockfish"):
        EnginePool().answer(["anything"])
    monkeypatch.setenv("LMRL_STOCKFISH", "/no/such/program")
    with pytest.raises(UserError, match="LMRL_STOCKFISH names '/no/such/program'"):
        find_engine()


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_a_wrong_number_of_engines_is_refused(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMRL_ENGINES", number)
    with pytest.raises(UserError, match="at least 1"):
        EnginePool().answer([full_strength(START, "depth 1")])


def test_a_program_that_cannot_be_started_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "engine"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    monkeypatch.setenv("LMRL_STOCKFISH", str(broken))
    with pytest.raises(UserError, match="is it Stockfish"):
        EnginePool().answer([full_strength(START, "depth 1")])


def test_a_pickled_pool_is_the_pool_of_whoever_unpickles_it() -> None:
    assert pickle.loads(pickle.dumps(EnginePool())) is shared_pool()


def test_nothing_to_ask_starts_no_engine(pool: EnginePool) -> None:
    assert pool.answer(["", ""]) == ["", ""]
    assert pool.answer([]) == []
    assert pool.engines == []


def test_an_engine_is_only_started_when_it_can_be_talked_to(tmp_path: Path) -> None:
    engine = Engine(program(tmp_path, MOODY.format(trouble="pass")), timeout=5)
    assert engine.version == "Moody 1"
    engine.kill()
    assert engine.process.poll() is not None
