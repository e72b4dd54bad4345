"""The house of Text-Nav for TextWorld (PyPI `textworld` 1.7.0), which compiles it to a game for the Z-machine.

Our descriptions of rooms and things are written in as Inform 7 source, in place of those that its grammar would draw.
"""

from pathlib import Path
from typing import Any

from lmrl_data.tasks.text_nav.house import EXITS, FOOD, FURNITURE, GOAL, LINKS, OPPOSITE, ROOMS, join_words
from lmrl_data.tasks.text_nav.simulator import OBJECTIVE


def inform_furniture(room: str, entity: str) -> str:
    """`describe_furniture` in Inform 7."""
    furniture = FURNITURE[room]
    place = f"{'in' if furniture.container else 'on'} the {entity}"
    seen = f"{'In' if furniture.container else 'On'} it you can see [a list of things {place}]."
    if not furniture.container:
        return f"[if there is something {place}]{seen}[otherwise]There is nothing on it.[end if]"
    return (
        f"[if {entity} is closed]It is closed.[otherwise if there is something {place}]It is open. {seen}"
        "[otherwise]It is open and empty.[end if]"
    )


def compile_house(start: str, folder: Path) -> str:
    """Compiles the house for one start (TextWorld fixes it in the game) and returns the game's file."""
    import textworld

    options = textworld.GameOptions()
    options.seeds = 1234
    options.path = str(folder / f"{start.replace(' ', '_')}.z8")
    options.grammar.allowed_variables_numbering = True  # there are three tables
    maker = textworld.GameMaker(options)
    rooms = {name: maker.new_room(name) for name in ROOMS}
    things: dict[str, Any] = {}
    for room, direction, other in LINKS:
        maker.connect(rooms[room].exits[direction], rooms[other].exits[OPPOSITE[direction]])
    for name, room in rooms.items():
        paragraphs = [ROOMS[name]]
        if furniture := FURNITURE.get(name):
            things[furniture.name] = holder = maker.new(type="c" if furniture.container else "s", name=furniture.name)
            room.add(holder)
            holder.infos.desc = f"Nothing about the {furniture.name} is out of the ordinary."
            if furniture.container:
                holder.add_property("closed")
                holder.infos.desc += f" It is [if {holder.id} is open]open[otherwise]closed[end if]."
            for thing in furniture.contents:
                things[thing] = maker.new(type="f" if thing in FOOD else "o", name=thing)
                things[thing].infos.desc = f"Nothing about the {thing} is out of the ordinary."
                if thing in FOOD:
                    things[thing].add_property("edible")
                holder.add(things[thing])
            paragraphs.append(f"There is a {furniture.name} here. {inform_furniture(name, holder.id)}")
        paragraphs.append(f"You can go {join_words(list(EXITS[name]), 'or')}.")
        room.infos.desc = "\n\n".join(paragraphs)
    maker.set_player(rooms[start])
    event, quest = textworld.generator.game.Event, textworld.generator.game.Quest
    won = {maker.new_fact("in", things[GOAL], things["fridge"]), maker.new_fact("closed", things["fridge"])}
    lost = {maker.new_fact("eaten", things[GOAL])}
    maker.quests = [
        quest(win_events=[event(conditions=won)], fail_events=[event(conditions=lost)], reward=1, desc=OBJECTIVE)
    ]
    return maker.compile(options.path)
