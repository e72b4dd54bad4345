"""The house of Text-Nav: eight rooms, seven things, the commands that move them, and what the game answers.

It behaves as a game compiled by TextWorld (PyPI `textworld` 1.7.0; `test_parity.py` plays both). Fixed replies are
TextWorld's to the letter. TextWorld's grammar would draw the descriptions of rooms and things anew for every game;
ours are written by hand and never change.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

# Every link also leads back.
LINKS = (
    ("bedroom", "west", "living room"),
    ("living room", "west", "dining room"),
    ("dining room", "west", "kitchen"),
    ("kitchen", "north", "garden"),
    ("kitchen", "west", "backyard"),
    ("living room", "south", "office"),
    ("office", "east", "bathroom"),
    ("bedroom", "south", "bathroom"),
)
OPPOSITE = {"north": "south", "south": "north", "east": "west", "west": "east"}

# The paragraph that names the room, for the fully observed config.
ROOMS = {
    "bedroom": "You are in the bedroom. The curtains are half drawn.",
    "living room": "You are in the living room. A clock ticks.",
    "dining room": "You are in the dining room. It has seen many dinners.",
    "kitchen": "You are in the kitchen. It smells of toast.",
    "bathroom": "You are in the bathroom. A tap drips.",
    "garden": "You are in the garden. The grass wants cutting.",
    "office": "You are in the office. It is very quiet here.",
    "backyard": "You are in the backyard. A light wind blows.",
}


class Furniture(NamedTuple):
    """A thing that cannot be carried and holds other things."""

    name: str
    container: bool  # opens and closes, and hides its contents while closed; otherwise things lie on it
    contents: tuple[str, ...]  # at the start


FURNITURE = {
    "bedroom": Furniture("table", False, ("bowl",)),
    "living room": Furniture("table", False, ("stale food", "fresh food")),
    "dining room": Furniture("table", False, ("coffee cup", "plate")),
    "kitchen": Furniture("fridge", True, ("fruit",)),
    "office": Furniture("chest", True, ("utensils",)),
}
THINGS = tuple(thing for furniture in FURNITURE.values() for thing in furniture.contents)
NAMES = frozenset(THINGS) | {furniture.name for furniture in FURNITURE.values()}
FOOD = frozenset({"stale food", "fresh food", "fruit"})
GOAL, GOAL_ROOM = "stale food", "kitchen"  # the thing that belongs in the closed fridge; eating it loses the game


def _exits() -> dict[str, dict[str, str]]:
    exits: dict[str, dict[str, str]] = {room: {} for room in ROOMS}
    for room, direction, other in LINKS:
        exits[room][direction] = other
        exits[other][OPPOSITE[direction]] = room
    return {room: dict(sorted(ways.items())) for room, ways in exits.items()}


EXITS = _exits()

COMMANDS = "Admissible commands: "
PARDON = "I beg your pardon?"
NO_VERB = "That's not a verb I recognise."
NO_SENSE = "I didn't understand that sentence."
NO_SUCH_THING = "You can't see any such thing."
NO_WAY = "You can't go that way."
WHICH_WAY = "You'll have to say which compass direction to go in."
UNDERSTOOD = "I only understood you as far as wanting to {}."
QUESTION = "Would you like to RESTART, RESTORE a saved game, QUIT or UNDO the last command?"


# --- reading a command


class Command(NamedTuple):
    """The meaning of a line, independent of the room. `error` is the answer to a line without meaning."""

    verb: str
    noun: str = ""
    second: str = ""
    error: str = ""


COMPASS = {
    "n": "north",
    "s": "south",
    "e": "east",
    "w": "west",
    "u": "up",
    "d": "down",
    "ne": "northeast",
    "nw": "northwest",
    "se": "southeast",
    "sw": "southwest",
}
DIRECTIONS = frozenset(COMPASS.values())
VERBS = frozenset({"go", "look", "inventory", "examine", "open", "close", "take", "drop", "put", "insert", "eat"})
SHORT = {"i": "inventory", "inv": "inventory", "l": "look", "x": "examine", "get": "take"}
LINKING = {"take": ("from",), "put": ("on", "in", "into"), "insert": ("into", "in")}
ARTICLES = frozenset({"the", "a", "an"})
MAX_COMMAND = 120  # characters; what TextWorld's interpreter reads


@functools.lru_cache(maxsize=4096)
def _parse(line: str) -> Command:
    if not line.strip(" "):
        return Command("", error=PARDON)
    words = [word for word in line.rstrip(" .").lower().split(" ") if word]
    first, rest = (SHORT.get(words[0], words[0]), words[1:]) if words else ("", [])
    if COMPASS.get(first, first) in DIRECTIONS:
        first, rest = "go", words
    if first not in VERBS:
        return Command("", error=NO_VERB)
    if first == "go":
        return _parse_way(rest)
    if first == "inventory":
        return Command(first, error=UNDERSTOOD.format("take inventory") if rest else "")
    if first == "look":
        if not rest:
            return Command(first)
        if rest[0] != "at":
            return Command(first, error=NO_SUCH_THING)
        first, rest = "examine", rest[1:]
    if not rest:
        return Command(first, error=f"What do you want to {'put on' if first == 'put' else first}?")
    for link in LINKING.get(first, ()):
        if link in rest:
            noun, second = _name(rest[: rest.index(link)]), _name(rest[rest.index(link) + 1 :])
            verb = "insert" if first == "put" and link != "on" else first
            return Command(verb, noun, second) if noun and second else Command(verb, error=NO_SUCH_THING)
    if first in ("put", "insert"):
        known = _name(rest) in NAMES or (first == "insert" and "on" in rest)
        return Command(first, error=NO_SENSE if known else NO_SUCH_THING)
    return Command(first, _name(rest))


def _parse_way(words: list[str]) -> Command:
    if not words:
        return Command("go", error=WHICH_WAY)
    direction = COMPASS.get(words[0], words[0])
    if direction not in DIRECTIONS:
        return Command("go", error=NO_SUCH_THING)
    if len(words) > 1:
        return Command("go", error=UNDERSTOOD.format(f"go {direction}"))
    return Command("go", direction)


def _name(words: list[str]) -> str:
    return " ".join(words[1:] if words and words[0] in ARTICLES else words)


def parse(line: str) -> Command:
    """Parses a line of text: one command, with things called by their full names.

    Unlike TextWorld it does not parse shortened names (`cup`), pronouns, `all` or several commands in a line. It does
    not complete a lone verb (`open` for `open fridge`), and it does not know verbs of Inform's library without an
    effect here (`wait`, `jump`).
    """
    if len(line) > MAX_COMMAND or not line.isascii():
        return Command("", error=NO_VERB)
    return _parse(line)


# --- what is to be seen


def enumerate_things(things: Iterable[str]) -> str:
    """A list as the game writes it.

    Examples:
        >>> enumerate_things(["fresh food", "utensils", "plate"])
        'a fresh food, an utensils and a plate'
    """
    named = [f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}" for thing in things]
    return join_words(named, "and")


def join_words(words: list[str], last: str) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


class View(NamedTuple):
    """Everything that depends on the things in sight and in the player's hands."""

    scope: frozenset[str]  # what a command may name
    commands: tuple[str, ...]  # the admissible ones, sorted, without examine, look and inventory
    listing: str  # the same as the last paragraph of an observation
    inventory: str
    description: str  # of the room, without its name


@functools.lru_cache(maxsize=4096)
def view(room: str, is_open: bool, held: tuple[str, ...], floor: tuple[str, ...], carried: tuple[str, ...]) -> View:
    """The view of a room in a given state.

    Args:
        room (`str`): where the player is.
        is_open (`bool`): whether the room's container, if it has one, is open.
        held (`tuple[str, ...]`): things in or on the room's furniture, the newest first.
        floor (`tuple[str, ...]`): things on the floor.
        carried (`tuple[str, ...]`): things the player has.
    """
    furniture = FURNITURE.get(room)
    commands = [f"go {direction}" for direction in EXITS[room]]
    commands += [f"drop {thing}" for thing in carried]
    commands += [f"eat {thing}" for thing in carried if thing in FOOD]
    commands += [f"take {thing}" for thing in floor]
    scope = {*floor, *carried}
    paragraphs = []
    if furniture:
        scope.add(furniture.name)
        paragraphs.append(f"There is a {furniture.name} here. {describe_furniture(furniture, is_open, held)}")
        if furniture.container:
            commands.append(f"{'close' if is_open else 'open'} {furniture.name}")
        if is_open or not furniture.container:
            scope.update(held)
            into = "insert {} into {}" if furniture.container else "put {} on {}"
            commands += [into.format(thing, furniture.name) for thing in carried]
            commands += [f"take {thing} from {furniture.name}" for thing in held]
    paragraphs.append(f"You can go {join_words(list(EXITS[room]), 'or')}.")
    if floor:
        paragraphs.append(f"There is {enumerate_things(floor)} on the floor.")
    inventory = f"You are carrying: {enumerate_things(carried)}." if carried else "You are carrying nothing."
    commands.sort()
    listing = COMMANDS + ", ".join(commands)
    return View(frozenset(scope), tuple(commands), listing, inventory, "\n\n".join(paragraphs))


def describe_furniture(furniture: Furniture, is_open: bool, held: tuple[str, ...]) -> str:
    """The sentence of a room's description that tells what lies in or on its furniture."""
    if not furniture.container:
        return f"On it you can see {enumerate_things(held)}." if held else "There is nothing on it."
    if not is_open:
        return "It is closed."
    return f"It is open. In it you can see {enumerate_things(held)}." if held else "It is open and empty."


# --- the game


class Answer(NamedTuple):
    """The game's answer, and whether it obeyed the command."""

    text: str
    done: bool


class House:
    """A game in progress.

    Args:
        room (`str`): where the player starts.
        named (`bool`): whether descriptions of rooms begin with the paragraph that names them.
    """

    def __init__(self, room: str, named: bool) -> None:
        self.room = room
        self.named = named
        # Things by where they are, the newest first: in or on a room's furniture, on its floor, in the player's hands.
        self.held = {name: furniture.contents for name, furniture in FURNITURE.items()}
        self.floor: dict[str, tuple[str, ...]] = {}
        self.carried: tuple[str, ...] = ()
        self.open: frozenset[str] = frozenset()  # rooms whose container is open
        self.turns = 0  # commands that took time, as all do that are understood; TextWorld counts one of its own, too
        self.won = self.lost = False
        self._see()

    def _see(self) -> None:
        room = self.room
        is_open = room in self.open
        self.view = view(room, is_open, self.held.get(room, ()), self.floor.get(room, ()), self.carried)

    def look(self) -> str:
        """The description of the room."""
        return f"{ROOMS[self.room]}\n\n{self.view.description}" if self.named else self.view.description

    def play(self, line: str) -> Answer:
        """Does what a line of text says, if it can be done, and answers."""
        verb, noun, second, error = parse(line)
        if error:
            self.turns += error == WHICH_WAY  # the one that takes time
            return Answer(error, False)
        if verb not in ("go", "look", "inventory"):
            scope = self.view.scope
            if noun not in scope:
                return Answer(self._misheard(verb, noun), False)
            if second and (second not in scope or (verb == "take" and noun not in self._held_by(second))):
                return Answer(NO_SUCH_THING, False)
        self.turns += 1
        answer = ACTIONS[verb](self, noun, second)
        if self.won or self.lost:
            return Answer(self._end(answer.text), True)
        return answer

    def _misheard(self, verb: str, noun: str) -> str:
        known = next((name for name in self.view.scope if noun.startswith(f"{name} ")), None)
        return UNDERSTOOD.format(f"{verb} the {known}") if known else NO_SUCH_THING

    def _held_by(self, name: str) -> tuple[str, ...]:
        return self.held[self.room] if self._furniture(name) else ()

    def _end(self, text: str) -> str:
        paragraphs = [text]
        if self.won:
            paragraphs.append("Your score has just gone up by one point.")
        paragraphs.append(f"*** {'The End' if self.won else 'You lost!'} ***")
        paragraphs.append(f"You scored {int(self.won)} out of a possible 1, in {self.turns} turns.")
        return "\n\n".join([*paragraphs, QUESTION])

    # One method a verb. `play` has checked that everything the command names is in sight.

    def _go(self, direction: str, _: str) -> Answer:
        room = EXITS[self.room].get(direction)
        if room is None:
            return Answer(NO_WAY, False)
        self.room = room
        self._see()
        return Answer(self.look(), True)

    def _look(self, _: str, __: str) -> Answer:
        return Answer(self.look(), True)

    def _inventory(self, _: str, __: str) -> Answer:
        return Answer(self.view.inventory, True)

    def _examine(self, noun: str, _: str) -> Answer:
        text = f"Nothing about the {noun} is out of the ordinary."
        furniture = self._furniture(noun)
        if furniture is None:
            return Answer(text, True)
        is_open, held = self.room in self.open, self.held[self.room]
        if furniture.container:
            text += f" It is {'open' if is_open else 'closed'}."
        if held and (is_open or not furniture.container):
            where = f"{'In' if furniture.container else 'On'} the {noun}"
            text += f"\n\n{where} {'is' if len(held) == 1 else 'are'} {enumerate_things(held)}."
        return Answer(text, True)

    def _open(self, noun: str, _: str) -> Answer:
        furniture = self._furniture(noun)
        if furniture is None or not furniture.container:
            return Answer("It isn't something you can open.", False)
        if self.room in self.open:
            return Answer("That's already open.", False)
        self.open |= {self.room}
        self._see()
        held = self.held[self.room]
        return Answer(f"You open the {noun}{f', revealing {enumerate_things(held)}' if held else ''}.", True)

    def _close(self, noun: str, _: str) -> Answer:
        furniture = self._furniture(noun)
        if furniture is None or not furniture.container:
            return Answer("It isn't something you can close.", False)
        if self.room not in self.open:
            return Answer("That's already closed.", False)
        self.open -= {self.room}
        self._see()
        self.won = self.room == GOAL_ROOM and GOAL in self.held[GOAL_ROOM]
        return Answer(f"You close the {noun}.", True)

    def _take(self, noun: str, _: str) -> Answer:
        furniture = FURNITURE.get(self.room)
        if noun in self.carried:
            return Answer("You already have that.", False)
        if noun not in THINGS:
            return Answer("That's fixed in place.", False)
        if furniture and noun in self.held[self.room]:
            self.held[self.room] = _without(self.held[self.room], noun)
            text = f"You take the {noun} from the {furniture.name}."
        else:
            self.floor[self.room] = _without(self.floor[self.room], noun)
            text = f"You pick up the {noun} from the ground."
        self.carried = (noun, *self.carried)
        self._see()
        return Answer(text, True)

    def _drop(self, noun: str, _: str) -> Answer:
        if noun not in self.carried:
            held = noun in self.held.get(self.room, ())
            return Answer("You haven't got that." if held else f"The {noun} is already here.", False)
        self.carried = _without(self.carried, noun)
        self.floor[self.room] = (noun, *self.floor.get(self.room, ()))
        self._see()
        return Answer(f"You drop the {noun} on the ground.", True)

    def _put(self, noun: str, second: str) -> Answer:
        refusal = self._cannot_place(noun)
        if refusal is None and noun == second:
            refusal = "You can't put something on top of itself."
        furniture = self._furniture(second)
        if refusal is None and (furniture is None or furniture.container):
            refusal = f"Putting things on the {second} would achieve nothing."
        return self._place(noun, f"You put the {noun} on the {second}.", refusal)

    def _insert(self, noun: str, second: str) -> Answer:
        refusal = self._cannot_place(noun)
        if refusal is None and noun == second:
            refusal = "You can't put something inside itself."
        furniture = self._furniture(second)
        if refusal is None and (furniture is None or not furniture.container):
            refusal = "That can't contain things."
        if refusal is None and self.room not in self.open:
            refusal = f"The {second} is closed."
        return self._place(noun, f"You put the {noun} into the {second}.", refusal)

    def _eat(self, noun: str, _: str) -> Answer:
        if noun not in FOOD:
            return Answer("That's plainly inedible.", False)
        if noun not in self.carried:
            return Answer(f"You need to take the {noun} first.", False)
        self.carried = _without(self.carried, noun)
        self._see()
        self.lost = noun == GOAL
        return Answer(f"You eat the {noun}. Not bad.", True)

    def _furniture(self, name: str) -> Furniture | None:
        furniture = FURNITURE.get(self.room)
        return furniture if furniture and furniture.name == name else None

    def _cannot_place(self, noun: str) -> str | None:
        if noun not in THINGS:
            return f"The {noun} is fixed in place."
        return None if noun in self.carried else f"You need to take the {noun} first."

    def _place(self, noun: str, text: str, refusal: str | None) -> Answer:
        if refusal is not None:
            return Answer(refusal, False)
        self.carried = _without(self.carried, noun)
        self.held[self.room] = (noun, *self.held[self.room])
        self._see()
        return Answer(text, True)


def _without(things: tuple[str, ...], thing: str) -> tuple[str, ...]:
    return tuple(other for other in things if other != thing)


ACTIONS: Mapping[str, Callable[[House, str, str], Answer]] = {
    "go": House._go,
    "look": House._look,
    "inventory": House._inventory,
    "examine": House._examine,
    "open": House._open,
    "close": House._close,
    "take": House._take,
    "drop": House._drop,
    "put": House._put,
    "insert": House._insert,
    "eat": House._eat,
}
