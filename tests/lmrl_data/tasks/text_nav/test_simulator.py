"""Text-Nav: the house, its texts and endings, what the best policy needs, and the dataset's two behavior policies."""

import copy
from collections import Counter
from typing import Any

import numpy as np
import pytest
from cases import check_cases, read_cases
from hypothesis import given, settings
from hypothesis import strategies as st

from lmrl_data import Episode, Turn, UserError, get_task, rollout
from lmrl_data.policy import Conversation
from lmrl_data.task import EVALUATION_SEED
from lmrl_data.tasks.text_nav.house import EXITS, ROOMS, THINGS, House, parse
from lmrl_data.tasks.text_nav.players import HALVES, best_command, commands_in, room_of
from lmrl_data.tasks.text_nav.simulator import OBJECTIVE, TextNavSimulator

pytestmark = pytest.mark.slow

TEXT_NAV = get_task("text_nav")
FULLY, PARTIALLY = "fully_observed", "partially_observed"
OPTIMAL = {
    "living room": 6, "bedroom": 7, "office": 7, "dining room": 7, "kitchen": 8, "bathroom": 8, "garden": 9,
    "backyard": 9,
}  # fmt: skip
TO_WIN = [  # from the kitchen
    "go east", "go east", "take stale food from table", "go west", "go west", "open fridge",
    "insert stale food into fridge", "close fridge",
]  # fmt: skip


def at(room: str, config: str = FULLY) -> TextNavSimulator:
    simulator = get_task("text_nav").simulator(config)
    simulator.reset(options={"start": room})
    return simulator


def after(house: House, *lines: str) -> str:
    """The answer to the last of these lines."""
    for line in lines:
        answer = house.play(line)
    return answer.text


def listed(text: str) -> list[str]:
    return text.split("\n\nAdmissible commands: ")[1].split(", ")


# --- the house


def test_rooms_are_linked_as_on_the_map() -> None:
    assert EXITS == {
        "bedroom": {"south": "bathroom", "west": "living room"},
        "living room": {"east": "bedroom", "south": "office", "west": "dining room"},
        "dining room": {"east": "living room", "west": "kitchen"},
        "kitchen": {"east": "dining room", "north": "garden", "west": "backyard"},
        "garden": {"south": "kitchen"},
        "backyard": {"east": "kitchen"},
        "office": {"east": "bathroom", "north": "living room"},
        "bathroom": {"north": "bedroom", "west": "office"},
    }


def test_first_texts_list_what_each_room_allows() -> None:
    def check(config: str, room: str, commands: list[str]) -> None:
        text, info = get_task("text_nav").simulator(config).reset(options={"start": room})
        assert listed(text) == commands
        assert info == {"start": room}

    check_cases(
        [
            (config, room, commands)
            for config in [FULLY, PARTIALLY]
            for room, commands in [
                ("bedroom", ["go south", "go west", "take bowl from table"]),
                ("office", ["go east", "go north", "open chest"]),
                (
                    "living room",
                    ["go east", "go south", "go west", "take fresh food from table", "take stale food from table"],
                ),
                ("dining room", ["go east", "go west", "take coffee cup from table", "take plate from table"]),
                ("kitchen", ["go east", "go north", "go west", "open fridge"]),
                ("bathroom", ["go north", "go west"]),
                ("garden", ["go south"]),
                ("backyard", ["go east"]),
            ]
        ],
        check,
    )


def test_the_list_is_sorted_and_leaves_out_what_changes_nothing() -> None:
    simulator = at("dining room")
    commands = listed(simulator.step("take coffee cup from table")[0])
    assert commands == ["drop coffee cup", "go east", "go west", "put coffee cup on table", "take plate from table"]
    for hidden in ("examine table", "look", "inventory"):
        assert simulator.step(hidden)[4] == {"valid": True}


def test_open_containers_can_be_filled_and_closed_ones_hide_what_they_hold() -> None:
    house = House("kitchen", named=False)
    assert after(house, "take fruit from fridge") == "You can't see any such thing."
    assert after(house, "open fridge") == "You open the fridge, revealing a fruit."
    assert after(house, "take fruit from fridge") == "You take the fruit from the fridge."
    assert after(house, "close fridge", "insert fruit into fridge") == "The fridge is closed."
    assert after(house, "open fridge") == "You open the fridge."
    assert after(house, "insert fruit into fridge") == "You put the fruit into the fridge."
    assert house.look() == (
        "There is a fridge here. It is open. In it you can see a fruit.\n\nYou can go east, north or west."
    )


def test_what_is_dropped_lies_on_the_floor_the_newest_first() -> None:
    house = House("dining room", named=False)
    text = after(house, "take plate from table", "take coffee cup from table", "drop plate", "drop coffee cup", "look")
    assert text == (
        "There is a table here. There is nothing on it.\n\nYou can go east or west.\n\n"
        "There is a coffee cup and a plate on the floor."
    )
    assert house.view.commands == ("go east", "go west", "take coffee cup", "take plate")
    assert after(house, "take plate") == "You pick up the plate from the ground."


def test_things_carried_are_listed_the_newest_first() -> None:
    house = House("living room", named=False)
    lines = ["take stale food from table", "take fresh food from table", "go south", "open chest"]
    assert after(house, *lines, "take utensils from chest", "inventory") == (
        "You are carrying: an utensils, a fresh food and a stale food."
    )


def test_what_cannot_be_done_is_answered_as_textworld_answers_and_costs_a_command() -> None:
    def check(line: str, answer: str) -> None:
        simulator = at("kitchen", PARTIALLY)
        for command in ("open fridge", "take fruit from fridge", "go east"):
            simulator.step(command)
        before = simulator.house.view
        text, reward, terminated, truncated, info = simulator.step(line)
        assert text.split("\n\nAdmissible")[0] == answer
        assert (reward, terminated, truncated, info) == (0.0, False, False, {"valid": False})
        assert simulator.house.view == before
        assert simulator.commands_given == 4

    check_cases(read_cases("text_nav_refused.tsv"), check)


def test_other_ways_to_say_a_command() -> None:
    def check(line: str, same: str) -> None:
        assert parse(line) == parse(same)
        assert not parse(line).error

    check_cases(read_cases("text_nav_wordings.tsv"), check)


def test_no_look_alike_is_read_as_a_command() -> None:
    def check(line: str) -> None:
        simulator = at("kitchen")
        before = simulator.house.view
        assert simulator.step(line)[4] == {"valid": False}
        assert simulator.house.view == before

    check_cases(
        [
            "go\u00a0east",
            "go\teast",
            "go\neast",
            "\uff47o east",
            "loo\u212a",
            "go east\0",
            "go east, go east",
            "go east. go east",
            "go east" + " " * 200,
            "x" * 10**6,
            "open fridge" * 10**5,
        ],
        check,
    )


# --- texts of the two configs


def test_fully_observed_texts_name_rooms_and_tell_what_is_carried() -> None:
    simulator = get_task("text_nav").simulator(FULLY)
    assert simulator.reset(options={"start": "backyard"})[0] == (
        f"{OBJECTIVE}\n\nYou are in the backyard. A light wind blows.\n\nYou can go east.\n\n"
        "Admissible commands: go east"
    )
    assert simulator.step("go east")[0] == (
        "You are in the kitchen. It smells of toast.\n\nThere is a fridge here. It is closed.\n\n"
        "You can go east, north or west.\n\nYou are carrying nothing.\n\n"
        "Admissible commands: go east, go north, go west, open fridge"
    )
    simulator.step("open fridge")
    assert simulator.step("take fruit from fridge")[0] == (
        "You take the fruit from the fridge.\n\nYou are carrying: a fruit.\n\nAdmissible commands: "
        "close fridge, drop fruit, eat fruit, go east, go north, go west, insert fruit into fridge"
    )


def test_partially_observed_texts_do_neither() -> None:
    full, partial = at("backyard"), at("backyard", PARTIALLY)
    for command in ("go east", "open fridge", "take fruit from fridge", "look", "go north", "dance"):
        expected = full.step(command)[0].replace(f"{full.house.view.inventory}\n\n", "")
        for sentence in ROOMS.values():
            expected = expected.replace(f"{sentence}\n\n", "")
        assert partial.step(command)[0] == expected
    assert not any(sentence in partial.house.look() for sentence in ROOMS.values())


def test_tables_are_described_alike_so_that_their_wording_does_not_tell_the_room() -> None:
    starts = [House(room, named=False).look() for room in ("bedroom", "living room", "dining room")]
    assert all(text.startswith("There is a table here. On it you can see a ") for text in starts)


def test_the_objective_is_told_once() -> None:
    (episode,) = rollout(TEXT_NAV, PARTIALLY, TEXT_NAV.policy("random", PARTIALLY), [0])
    assert [OBJECTIVE in turn.content for turn in episode.turns] == [True] + [False] * (len(episode.turns) - 1)


# --- endings


def test_closing_the_fridge_on_the_stale_food_wins_1() -> None:
    simulator = at("kitchen")
    steps = [simulator.step(command) for command in TO_WIN]
    assert [step[1] for step in steps] == [0.0] * 7 + [1.0]
    text, _, terminated, truncated, info = steps[-1]
    assert text.startswith("You close the fridge.\n\nYour score has just gone up by one point.\n\n*** The End ***\n\n")
    assert (terminated, truncated, info) == (True, False, {"valid": True, "success": True})


def test_eating_the_stale_food_loses() -> None:
    simulator = at("living room")
    simulator.step("take stale food from table")
    text, reward, terminated, truncated, info = simulator.step("eat stale food")
    assert text.startswith("You eat the stale food. Not bad.\n\n*** You lost! ***\n\n")
    assert (reward, terminated, truncated, info) == (0.0, True, False, {"valid": True, "success": False})


def test_other_food_in_the_fridge_or_eaten_changes_nothing() -> None:
    simulator = at("living room")
    for command in ("take fresh food from table", "go west", "go west", "open fridge", "insert fresh food into fridge",
                    "close fridge", "open fridge", "take fruit from fridge", "eat fruit"):  # fmt: skip
        assert simulator.step(command)[1:] == (0.0, False, False, {"valid": True})


def test_the_stale_food_in_the_chest_does_not_win() -> None:
    simulator = at("living room")
    commands = ("take stale food from table", "go south", "open chest", "insert stale food into chest", "close chest")
    assert [simulator.step(command)[1:3] for command in commands] == [(0.0, False)] * 5


def test_15_commands_are_all_there_is() -> None:
    simulator = at("kitchen")
    steps = [simulator.step(("go east", "go west", "nonsense")[turn % 3]) for turn in range(15)]
    assert [step[3] for step in steps] == [False] * 14 + [True]
    assert steps[-1][1:] == (0.0, False, True, {"valid": False, "success": False})
    assert "Admissible commands: " in steps[-1][0]  # a state to bootstrap from


def test_the_15th_command_can_still_win() -> None:
    simulator = at("kitchen")
    for command in ["look"] * 7 + TO_WIN[:-1]:
        simulator.step(command)
    assert simulator.step(TO_WIN[-1])[1:4] == (1.0, True, False)


# --- any play at all

play = st.lists(st.integers(0, 10**6), min_size=1, max_size=40)


@settings(max_examples=200)
@given(room=st.sampled_from(list(ROOMS)), choices=play)
def test_every_listed_command_is_carried_out_and_no_thing_is_lost_or_doubled(room: str, choices: list[int]) -> None:
    house = House(room, named=True)
    eaten: list[str] = []
    for choice in choices:
        command = house.view.commands[choice % len(house.view.commands)]
        answer = house.play(command)
        assert answer.done
        if command.startswith("eat "):
            eaten.append(command.removeprefix("eat "))
        places = [house.carried, *house.held.values(), *house.floor.values(), tuple(eaten)]
        assert sorted(thing for place in places for thing in place) == sorted(THINGS)
        if house.won or house.lost:
            assert house.won != house.lost
            return
        assert room_of(house.view.commands) == house.room
        assert list(house.view.commands) == sorted(set(house.view.commands))


@settings(max_examples=100)
@given(room=st.sampled_from(list(ROOMS)), lines=st.lists(st.text("aefoprt sl.", max_size=20), max_size=15))
def test_what_is_not_done_changes_nothing(room: str, lines: list[str]) -> None:
    house = House(room, named=True)
    for line in lines:
        before = copy.copy(vars(house))
        if not house.play(line).done:
            assert vars(house) | {"turns": 0} == before | {"turns": 0}


# --- what the best policy reaches


def successors(house: House) -> list[House]:
    children = []
    for command in house.view.commands:
        child = copy.copy(house)
        child.held, child.floor = dict(house.held), dict(house.floor)
        child.play(command)
        children.append(child)
    return children


def situation(house: House) -> tuple[object, ...]:
    """What decides the rest of the game: the order in which things lie does not."""
    held = tuple(frozenset(things) for things in house.held.values())
    floor = frozenset((room, frozenset(things)) for room, things in house.floor.items() if things)
    return house.room, house.open, frozenset(house.carried), held, floor


def commands_to_win(room: str) -> int:
    """By breadth-first search over everything that can be done."""
    layer = {situation(house): house for house in [House(room, named=False)]}
    seen = set(layer)
    for count in range(1, 16):
        children = [child for house in layer.values() for child in successors(house) if not child.lost]
        if any(child.won for child in children):
            return count
        layer = {key: child for child in children if (key := situation(child)) not in seen}
        seen |= layer.keys()
    raise AssertionError("no way to win")


def test_the_optimal_policy_wins_in_the_fewest_commands_from_every_room() -> None:
    def check(room: str) -> None:
        assert commands_to_win(room) == OPTIMAL[room]
        for config in TEXT_NAV.configs:
            (episode,) = rollout(TEXT_NAV, config, TEXT_NAV.policy("optimal", config), [0], options=[{"start": room}])
            assert (episode.num_turns, episode.total_reward) == (OPTIMAL[room], 1.0)
            assert TEXT_NAV.best_actions is not None
            assert TEXT_NAV.best_actions(config)[room] == episode.turns[1].content

    check_cases(ROOMS, check)


def test_exits_tell_every_room_apart() -> None:
    assert {room: room_of(tuple(f"go {way}" for way in EXITS[room])) for room in ROOMS} == {
        room: room for room in ROOMS
    }


def test_policies_cope_with_texts_that_list_nothing() -> None:
    assert commands_in("*** The End ***") == ()
    assert best_command(()) == "look"


def test_random_commands_are_uniform_over_those_listed() -> None:
    policy = TEXT_NAV.policy("random", FULLY, seed=3)
    text, _ = get_task("text_nav").simulator().reset(options={"start": "living room"})
    conversations = [Conversation(seed, 1, [Turn("user", text)]) for seed in range(1_000)]
    counts = Counter(policy.act(conversations))
    assert set(counts) == set(listed(text))
    # 200 expected each, standard deviation 13.
    assert all(140 < count < 260 for count in counts.values())


# --- reset options, map, protocols


def test_starts_are_uniform_over_the_8_rooms() -> None:
    simulator = get_task("text_nav").simulator()
    counts = Counter(simulator.reset(seed=seed)[1]["start"] for seed in range(1_600))
    assert set(counts) == set(ROOMS)
    # 200 expected each, standard deviation 13.
    assert all(140 < count < 260 for count in counts.values())


@pytest.mark.parametrize("start", ["attic", "Kitchen", "", 3, ["kitchen"], {}])
def test_unknown_starts_are_refused_with_the_list_of_rooms(start: Any) -> None:
    with pytest.raises(UserError, match="dining room"):
        get_task("text_nav").simulator().reset(options={"start": start})


def test_the_map_shows_where_one_is() -> None:
    def check(room: str) -> None:
        picture = at(room).render()
        assert f"@{room}" in picture
        assert picture.count("@") == 1
        assert all(name in picture for name in ROOMS)

    check_cases(ROOMS, check)


def test_protocols_play_every_room_as_often() -> None:
    assert {name: protocol.n_episodes for name, protocol in TEXT_NAV.protocols.items()} == {"paper": 256, "quick": 64}
    for protocol in TEXT_NAV.protocols.values():
        starts = [
            get_task("text_nav").simulator().reset(seed=EVALUATION_SEED, options=o)[1]["start"]
            for o in protocol.starts.values()
        ]
        assert starts == list(protocol.starts) == list(ROOMS)


# --- the dataset


@pytest.fixture(scope="module")
def dataset() -> list[Episode]:
    simulator = get_task("text_nav").simulator(FULLY)
    return [TEXT_NAV.generate(simulator, seed) for seed in range(2_500)]


def test_the_dataset_has_the_derived_success_and_length(dataset: list[Episode]) -> None:
    assert TEXT_NAV.num_episodes["train"] == len(dataset)
    lengths = np.array([episode.num_turns for episode in dataset])
    # Standard errors: 0.009 and 0.07.
    assert np.mean([episode.success for episode in dataset]) == pytest.approx(0.246, abs=0.025)
    assert lengths.mean() == pytest.approx(12.65, abs=0.2)
    assert lengths.std() == pytest.approx(3.5, abs=0.15)
    assert lengths.max() == 15


def test_each_behavior_is_best_in_its_own_rooms_and_only_there(dataset: list[Episode]) -> None:
    elsewhere = Counter[bool]()
    for episode in dataset:
        for seen, said in zip(episode.turns[::2], episode.turns[1::2], strict=False):
            commands = commands_in(seen.content)
            assert said.content in commands
            best = said.content == best_command(commands)
            if room_of(commands) in HALVES[episode.policy]:
                assert best
            else:
                elsewhere[best] += 1
    assert elsewhere[False] > elsewhere[True] > 1_000


def test_the_behavior_that_knows_only_the_far_rooms_hardly_ever_wins(dataset: list[Episode]) -> None:
    wins = Counter(episode.policy for episode in dataset if episode.success)
    plays = Counter(episode.policy for episode in dataset)
    assert wins["far_rooms"] / plays["far_rooms"] < 0.01
    assert wins["near_rooms"] / plays["near_rooms"] > 0.95


def test_both_configs_hold_the_same_episodes_in_other_words() -> None:
    full, partial = get_task("text_nav").simulator(FULLY), get_task("text_nav").simulator(PARTIALLY)
    for seed in range(50):
        one, other = TEXT_NAV.generate(full, seed), TEXT_NAV.generate(partial, seed)
        assert [t for t in one.turns if t.role == "assistant"] == [t for t in other.turns if t.role == "assistant"]


def test_the_dataset_of_this_version_is_these_very_episodes(dataset: list[Episode]) -> None:
    # If this changes, the data changes: raise the task's version.
    assert TEXT_NAV.version == "1.0.0"
    assert Counter(episode.policy for episode in dataset) == {"far_rooms": 1854, "near_rooms": 646}
    assert sum(episode.num_turns for episode in dataset) == 31_628
    assert sum(episode.success for episode in dataset) == 641
