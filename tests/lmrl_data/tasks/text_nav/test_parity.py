"""Whether the house of Text-Nav does what the same house does when TextWorld has compiled it.

Skipped where TextWorld is not installed. It wants an environment of its own, since it pins what else uses other
versions of:

    python3.11 -m venv /tmp/textworld && /tmp/textworld/bin/pip install -e '.[textworld]' pytest hypothesis
    /tmp/textworld/bin/python -m pytest tests/lmrl_data/tasks/text_nav/test_parity.py -s

Each command goes to both games; after each, the admissible commands, the score, the end and the reply have to agree.
Only the number of turns in the closing text differs: TextWorld counts a command of its own.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from textworld_house import compile_house

from lmrl_data.tasks.text_nav.house import FURNITURE, ROOMS, House
from lmrl_data.tasks.text_nav.players import best_command
from lmrl_data.tasks.text_nav.simulator import OBJECTIVE

textworld = pytest.importorskip("textworld", reason="pip install textworld==1.7.0, in an environment of its own")
pytestmark = pytest.mark.slow

SEQUENCES = 200  # of each kind
MAX_LENGTH = 30  # twice what the task allows, to get further from the start
HIDDEN = ("examine", "look", "inventory")  # the first words of commands that the task's list leaves out


# --- what is typed

NOUNS = [*(thing for furniture in FURNITURE.values() for thing in furniture.contents), "table", "fridge", "chest"]
GRAMMAR = [
    *(f"{verb} {noun}" for verb in ("take", "drop", "eat", "open", "close", "examine") for noun in NOUNS),
    *(f"take {noun} from {holder}" for noun in NOUNS for holder in ("table", "fridge", "chest")),
    *(f"put {noun} on {second}" for noun in NOUNS for second in NOUNS),
    *(f"insert {noun} into {second}" for noun in NOUNS for second in NOUNS),
    *(f"go {way}" for way in ("north", "south", "east", "west", "up", "down", "northeast")),
]
# Short forms, other ways to say it, mistakes and nonsense. Not among them, since the games are known to differ: what
# `parse` says it does not read, and `get` for `take`, after which TextWorld's list of commands is wrong for good.
ODD = [
    "", " ", ".", "n", "s", "e", "w", "north", "up", "i", "inv", "l", "look", "inventory", "x fridge", "look at table",
    "get lamp", "take the stale food", "take the plate from the table", "TAKE STALE FOOD", "  go   east  ", "go east.",
    "go", "go away", "go east now", "go kitchen", "look around", "inventory now", "dance", "stale food", "fridge",
    "xyzzy", "take lamp", "take lamp from table", "take from table", "take stale food now", "open fridge quickly",
    "put stale food in fridge", "put fruit into fridge", "insert fruit in chest", "insert stale food on table",
    "insert lamp", "put lamp on table", "drop bowl now", "eat kitchen",
]  # fmt: skip


def random_lines(chance: random.Random, admissible: list[str]) -> str:
    return chance.choice((chance.choice(admissible), chance.choice(GRAMMAR), chance.choice(ODD)))


def guided_lines(chance: random.Random, admissible: list[str]) -> str:
    """Three in four times the best command, which leads to the end unless what is in between forbids it."""
    if chance.random() < 0.75:
        return best_command(tuple(command for command in admissible if not command.startswith(HIDDEN)))
    return random_lines(chance, admissible)


# --- both games


def paragraphs(text: str) -> list[str]:
    """The reply without TextWorld's banner, room titles, prompt and status line, and without spaces around it."""
    text = re.sub(r"\n *>[^\n]*$", "", text)
    text = re.sub(r"in \d+ turns", "in N turns", text)
    text = re.sub(r"-= .* =-\n", "\n", text)
    text = text.rpartition("$$$$$$")[2].lstrip("\\$ ")
    lines = (line.strip() for line in text.strip().split("\n"))
    return re.split(r"\n\n+", "\n".join(lines))


class DifferenceError(Exception):
    """Where the games part."""


def compare(theirs: Any, house: House, done: bool, reply: str, where: str) -> None:
    listed = [command for command in theirs["admissible_commands"] if not command.startswith(HIDDEN)]
    examined = {command for command in theirs["admissible_commands"] if command.startswith("examine")}
    pairs = {
        "admissible commands": (listed, list(house.view.commands)),
        "examinable": (examined, {f"examine {name}" for name in house.view.scope}),
        "score": (theirs["score"], int(house.won)),
        "end": (done, house.won or house.lost),
        "reply": (paragraphs(theirs.feedback), paragraphs(reply)),
    }
    for what, (one, other) in pairs.items():
        if one != other:
            raise DifferenceError(f"{what} {where}: TextWorld has {one!r}, the house {other!r}")


@pytest.fixture(scope="module")
def games(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("textworld")
    infos = textworld.EnvInfos(admissible_commands=True, score=True, won=True, lost=True)
    running = {start: textworld.start(compile_house(start, folder), infos) for start in ROOMS}
    yield running
    for game in running.values():
        game.close()


@pytest.mark.parametrize("lines", [random_lines, guided_lines])
def test_200_sequences_agree_after_every_command(games: dict[str, Any], lines: Any) -> None:
    commands, ends, differences = 0, Counter(), []
    for seed in range(SEQUENCES):
        chance = random.Random(seed)
        start = list(ROOMS)[seed % len(ROOMS)]
        game, house, said = games[start], House(start, named=True), []
        theirs, done = game.reset(), False
        try:
            compare(theirs, house, done, f"{OBJECTIVE}\n\n{house.look()}", f"at the start in the {start}")
            while not done and len(said) < MAX_LENGTH:
                said.append(lines(chance, theirs["admissible_commands"]))
                theirs, _, done = game.step(said[-1])
                commands += 1
                compare(theirs, house, done, house.play(said[-1]).text, f"after {said} from the {start}")
        except DifferenceError as difference:
            differences.append(str(difference))
        ends["won" if house.won else "lost" if house.lost else "running"] += 1
    print(f"\n{lines.__name__}: {SEQUENCES} sequences, {commands} commands, {dict(ends)}, {len(differences)} differ")
    assert not differences, "\n".join(differences[:20])
    assert ends["won"] or lines is random_lines
