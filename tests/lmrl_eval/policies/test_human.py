"""The human policy: a person reads the rules, a map and the end, and sees no more than a model does."""

import io

import pytest

from lmrl_data import UserError, get_task
from lmrl_data.rollout import rollout
from lmrl_data.tasks.maze.grid import grid
from lmrl_eval.policies import load_policy
from lmrl_eval.policies.human import HumanPolicy


def screens(task_id: str, typed: str, config: str | None = None, start: dict | None = None, **options: object) -> str:
    """What a person sees who types these lines in an episode."""
    task = get_task(task_id)
    config = config or task.default_config
    screen = io.StringIO()
    policy = HumanPolicy(task, config, options, io.StringIO(typed), screen)
    try:
        (episode,) = rollout(task, config, policy, [0], options=[start or {}], simulator_options=options)
        policy.show_end(episode)
    except UserError:  # the typed lines are fewer than the episode needs
        pass
    return screen.getvalue()


def test_the_rules_stand_before_the_first_question_and_the_end_after_the_last() -> None:
    shown = screens("maze", "d\ndance\ns\n", start={"start": [7, 6]})
    task = get_task("maze")
    assert shown.startswith(f"{task.instructions}\nShort: w = move up,")
    assert shown.count(task.instructions) == 1
    assert shown.count("@ ") == 3
    assert "> That is no move. (-4)\n\n██" in shown
    assert shown.endswith("> Success\nYou did it. Return: -5.\n\n")


def test_the_map_is_that_of_the_layout_and_shows_no_more_than_the_texts() -> None:
    height = len(grid("umaze").rows)
    shown = screens("maze", "", layout="umaze")
    assert sum(line.startswith("██") for line in shown.splitlines()) == height
    assert "@" in shown
    hidden = screens("maze", "d\n", "partially_observed")
    assert "G " in hidden
    assert "@" not in hidden


def test_a_board_is_shown_for_a_position_and_for_guesses() -> None:
    pytest.importorskip("chess")
    shown = screens("endgames", "Qg7\n", start={"position": "7k/8/5KQ1/8/8/8/8/8 w - - 0 1"})
    assert "8  · · · · · · · ♚" in shown
    assert "> The game is over: checkmate.\n" in shown
    assert shown.endswith("You did it. Return: 1.\n\n")
    shown = screens("wordle", "about\nzzzzz\n", target="other")
    assert "A B O U T" in shown
    assert "That is no word of the list, and cost a try." in shown
    assert "(not in the list)" in shown


def test_rooms_are_on_a_map_where_they_are_named() -> None:
    assert "kitchen ---- dining room" in screens("text_nav", "look\n")
    assert "kitchen ---- dining room" not in screens("text_nav", "look\n", "partially_observed")


def test_a_task_without_pictures_shows_its_texts() -> None:
    shown = screens("twenty_questions", "Is it an animal?\n")
    assert "Questions:" in shown
    assert isinstance(load_policy("human", get_task("twenty_questions"), "standard"), HumanPolicy)
