"""The chess engine: Stockfish processes behind an oracle, and a weaker player made of their lines and our own dice.

A prompt is a text of UCI commands that ends in `go`. A reply is the engine's result:
`e2e4; e2e4 cp 31; d2d4 cp 28; g1f3 mate -3`, the move it would play and then the lines of the last finished depth. A
prompt that clears the engine first (`ucinewgame`) and limits nodes or depth has the same reply on every machine.

We speak UCI ourselves because a round trip then takes 124 µs; with python-chess's `chess.engine` it takes 337 µs.
"""

import atexit
import os
import re
import select
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple
from weakref import WeakSet

import numpy as np

from lmrl_data.errors import UserError

# One thread, or two runs differ; little hash, because clearing it is what a short search spends its time on.
SETUP = "uci\nsetoption name Threads value 1\nsetoption name Hash value 1\nisready\n"
TIMEOUT = 60.0  # seconds without a word, after which an engine counts as hung
ATTEMPTS = 3
MOVE = re.compile(r"[a-h][1-8][a-h][1-8][nbrq]?|\(none\)")
CACHE = 50_000  # replies remembered: an episode that is played again asks nothing


# --- prompts and replies


def full_strength(fen: str, limit: str, lines: int = 1) -> str:
    """The prompt for the best moves of a position, from a cleared engine: the same reply every time."""
    return (
        f"setoption name UCI_LimitStrength value false\nsetoption name MultiPV value {lines}\n"
        f"ucinewgame\nposition fen {fen}\ngo {limit}\n"
    )


def limited_strength(fen: str, limit: str, elo: int) -> str:
    """The prompt for the engine's own handicap, which draws its dice from the clock: no two replies are alike."""
    return (
        f"setoption name UCI_LimitStrength value true\nsetoption name UCI_Elo value {elo}\n"
        f"setoption name MultiPV value 1\nposition fen {fen}\ngo {limit}\n"
    )


class Line(NamedTuple):
    """A move and its value for the side to move, in Stockfish 15.1's own units."""

    move: str
    score: int


class Reply(NamedTuple):
    move: str  # "" where there is no legal move
    lines: tuple[Line, ...]


def read_reply(text: str) -> Reply:
    """The reply of an engine as values."""
    move, *lines = text.split("; ")
    return Reply(move, tuple(_line(line) for line in lines))


def _line(text: str) -> Line:
    move, unit, value = text.split()
    number = int(value)
    if unit == "cp":
        return Line(move, number * 361 // 100)  # 15.1 prints centipawns as v * 100 / 361
    return Line(move, 32_000 - 2 * number + 1 if number > 0 else -32_000 - 2 * number)


def _shorten(output: str) -> str:
    """The reply in an engine's output: its move, and the newest lines that all have the same depth.

    Raises:
        ValueError, LookupError: if the output holds no reply.
    """
    infos, _, best = output.rpartition("bestmove ")
    move = best.split()[0]
    if not MOVE.fullmatch(move):
        raise ValueError(f"it answered {move[:40]!r}")
    block: list[str] = []
    newest: list[str] = []
    for info in reversed(infos.splitlines()):
        words = info.split()
        if "multipv" not in words or "pv" not in words:
            continue
        block.append(info)
        if words[words.index("multipv") + 1] == "1":
            newest = newest or block
            if len({line.split()[2] for line in block}) == 1 and not any("bound " in line for line in block):
                newest = block
                break
            block = []
    lines = []
    for info in reversed(newest):
        words = info.split()
        score, pv = words.index("score"), words.index("pv")
        lines.append(" ".join((words[pv + 1], *words[score + 1 : score + 3])))
    reply = "; ".join(("" if move == "(none)" else move, *lines))
    read_reply(reply)
    return reply


# --- the handicap


def skill_level(elo: float) -> float:
    """Stockfish 15.1's skill level for an Elo rating, extrapolated below its lowest rating, 1350 (level 0)."""
    distance = (elo - 1346.6) / 143.4
    return min(20.0, np.sign(distance) * abs(distance) ** (1 / 0.806))


def handicapped(lines: Sequence[Line], level: float, random: np.random.Generator) -> str:
    """The move that a player of that level prefers, by the formula of Stockfish 15.1.

    Each line gains a share of its distance from the best line and a random number; both grow as the level falls.

    Args:
        lines (`Sequence[Line]`): the engine's lines (four in Stockfish), in any order.
        level (`float`): 20 is full strength, 0 is Stockfish's weakest; below 0 worse lines get preferred.
        random (`np.random.Generator`): the dice; one throw a line.
    """
    lines = sorted(lines, key=lambda line: -line.score)
    weakness = 120 - 2 * level
    top = lines[0].score
    delta = min(top - lines[-1].score, 126)  # a pawn
    dice = random.integers(int(weakness), size=len(lines)).tolist()
    values = [
        line.score + int((weakness * (top - line.score) + delta * throw) / 128)
        for line, throw in zip(lines, dice, strict=True)
    ]
    return max(zip(values, range(len(lines)), lines, strict=True))[2].move


# --- processes


def find_engine() -> str:
    """The path of Stockfish: `LMRL_STOCKFISH`, or found on PATH, or where Debian puts it.

    Raises:
        UserError: if there is none; the message says how to get it.
    """
    if named := os.environ.get("LMRL_STOCKFISH"):
        path = shutil.which(named)
        if path is None:
            raise UserError(f"LMRL_STOCKFISH names {named[:200]!r}, which is no program that can be run")
        return path
    path = shutil.which("stockfish") or shutil.which("/usr/games/stockfish")
    if path is None:
        raise UserError(
            "chess needs Stockfish: install it (apt-get install stockfish; brew install stockfish), or let "
            "LMRL_STOCKFISH name the program"
        )
    return path


class EngineError(Exception):
    """An engine died, hung, or wrote something other than UCI."""


class Engine:
    """One engine process and its pipe. It quits when the pipe closes, so that it never outlives its parent."""

    def __init__(self, path: str, timeout: float) -> None:
        self.timeout = timeout
        try:
            # A process group of its own, so that Ctrl-C does not reach the engine.
            self.process = subprocess.Popen(
                [path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                process_group=0,
            )
        except OSError as error:
            raise EngineError(error.strerror) from None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.input, self.output = self.process.stdin.fileno(), self.process.stdout.fileno()
        self.poll = select.poll()
        self.poll.register(self.output, select.POLLIN)
        _LIVE.add(self)
        try:
            greeting = self.ask(SETUP, b"readyok")
        except EngineError:
            self.kill()
            raise
        names = [line[8:].strip() for line in greeting.splitlines() if line.startswith("id name ")]
        self.version = names[0] if names else "an engine without a name"

    def ask(self, commands: str, until: bytes = b"bestmove") -> str:
        """Writes the commands and reads to the end of the line that begins with `until`.

        Raises:
            EngineError: if the engine is gone or silent for too long.
        """
        deadline = time.monotonic() + self.timeout
        try:
            os.write(self.input, commands.encode())
            heard = b""
            while not (heard.endswith(b"\n") and heard[heard.rfind(b"\n", 0, -1) + 1 :].startswith(until)):
                if not self.poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    raise EngineError(f"it said nothing for {self.timeout:g} seconds")
                said = os.read(self.output, 1 << 16)
                if not said:
                    raise EngineError("it ended")
                heard += said
        except OSError as error:
            raise EngineError(error.strerror) from None
        return heard.decode("utf-8", "replace")

    def kill(self) -> None:
        """Ends the process at once."""
        self.process.kill()
        self.process.wait()
        self.let_go()

    def let_go(self) -> None:
        """Closes our ends of the pipe."""
        _LIVE.discard(self)
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


_LIVE: WeakSet[Engine] = WeakSet()


class EnginePool:
    """An oracle of engine processes, at most one a core, started when they are first needed.

    An engine that dies or hangs is replaced and asked again. The prompt holds the whole position, so nothing is lost.

    Args:
        size (`int`, *optional*): how many processes at most; `LMRL_ENGINES`, or one a core, by default.
        timeout (`float`, *optional*): seconds of silence after which an engine counts as hung.
    """

    def __init__(self, size: int | None = None, timeout: float = TIMEOUT) -> None:
        self.size, self.timeout = size, timeout
        self.forget()

    def forget(self) -> None:
        """Begins anew without touching the engines, as a forked process must."""
        self.lock = threading.Lock()
        self.engines: list[Engine | None] = []
        self.cache: dict[str, str] = {}
        self.known_version: str | None = None

    def __reduce__(self) -> Any:
        return shared_pool, ()  # processes are not copied: whoever unpickles has engines of its own

    @property
    def version(self) -> str:
        """The engine's own name, e.g. `Stockfish 15.1`."""
        with self.lock:
            if self.known_version is None:
                self._engine(0)
            assert self.known_version is not None
            return self.known_version

    def answer(self, prompts: Sequence[str]) -> list[str]:
        """One reply per prompt, in order; an empty prompt has an empty reply.

        Raises:
            UserError: if there is no engine, or if it keeps failing.
        """
        if not any(prompts):
            return [""] * len(prompts)
        with self.lock:
            replies = {prompt: self.cache[prompt] for prompt in prompts if prompt in self.cache}
            replies[""] = ""
            fresh = [prompt for prompt in prompts if prompt not in replies]
            # Prompts that clear the engine have one reply; the others are asked as often as they come.
            fresh = [p for i, p in enumerate(fresh) if not _repeatable(p) or p not in fresh[:i]]
            answers = list(zip(fresh, self._ask_all(fresh), strict=True))
            for prompt, reply in answers:
                if _repeatable(prompt):
                    replies[prompt] = self.cache[prompt] = reply
            while len(self.cache) > CACHE:
                del self.cache[next(iter(self.cache))]
        once = iter([reply for prompt, reply in answers if not _repeatable(prompt)])
        return [replies[prompt] if prompt in replies else next(once) for prompt in prompts]

    def close(self) -> None:
        """Ends all engines."""
        with self.lock:
            for engine in self.engines:
                if engine is not None:
                    engine.kill()
            self.engines = []

    def _ask_all(self, prompts: Sequence[str]) -> list[str]:
        if not prompts:
            return []
        number = min(len(prompts), self.size or _default_size())
        while len(self.engines) < number:
            self.engines.append(None)
        if number <= 1:
            return [self._ask(0, prompt) for prompt in prompts]

        def ask(index: int) -> list[str]:
            return [self._ask(index, prompt) for prompt in prompts[index::number]]

        # The threads only wait: the work is done in the engines.
        with ThreadPoolExecutor(number) as threads:
            parts = list(threads.map(ask, range(number)))
        return [parts[i % number][i // number] for i in range(len(prompts))]

    def _ask(self, index: int, prompt: str) -> str:
        for attempt in range(ATTEMPTS):
            try:
                return _shorten(self._engine(index).ask(prompt))
            except (EngineError, LookupError, ValueError) as error:
                engine, self.engines[index] = self.engines[index], None
                if engine is not None:
                    engine.kill()
                if attempt == ATTEMPTS - 1:
                    raise UserError(
                        f"the chess engine {find_engine()} failed {ATTEMPTS} times ({error}); is it Stockfish?"
                    ) from None
        raise AssertionError

    def _engine(self, index: int) -> Engine:
        while len(self.engines) <= index:
            self.engines.append(None)
        engine = self.engines[index]
        if engine is None:
            path = find_engine()
            try:
                engine = self.engines[index] = Engine(path, self.timeout)
            except EngineError as error:
                raise UserError(f"the chess engine {path} cannot be used ({error}); is it Stockfish?") from None
            self.known_version = engine.version
        return engine


def _repeatable(prompt: str) -> bool:
    return "ucinewgame" in prompt and "movetime" not in prompt


def _default_size() -> int:
    text = os.environ.get("LMRL_ENGINES")
    if text is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"LMRL_ENGINES is how many engines may run, at least 1, got {text[:80]!r}")
    return int(text)


_SHARED = EnginePool()


def shared_pool() -> EnginePool:
    """The pool that all simulators of this process share."""
    return _SHARED


def _after_fork() -> None:
    # A child that kept our ends of the pipes open would keep the engines alive after we are gone.
    for engine in list(_LIVE):
        engine.process.returncode = 0  # not its child: it must not wait for it
        engine.let_go()
    _SHARED.forget()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_SHARED.close)
