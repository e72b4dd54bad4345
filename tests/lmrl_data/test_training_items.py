"""Training items: every action is learned once, from what the policy sees, with the returns of the whole episode."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from cases import check_cases

from lmrl_data import Conversation, Episode, Turn
from lmrl_data.tokenization import TrainingItem, TurnTokenizer, training_items
from lmrl_recipes.tiny_model import train_tokenizer

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXTS = ["see 0 1 2 3 4 5 6 7 8 9", "go 0 1 2 3 4 5 6 7 8 9", "Rules.", "move down", "move up", "Success"] * 3


@pytest.fixture(scope="module")
def raw() -> TurnTokenizer:
    return TurnTokenizer(train_tokenizer([text + "\n" for text in TEXTS], 400))


@pytest.fixture(scope="module")
def chatml() -> TurnTokenizer:
    tokenizer = train_tokenizer([text + "\n" for text in TEXTS], 400)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = CHATML
    return TurnTokenizer(tokenizer)


def episode(num_actions: int, *, system: bool = False, terminated: bool = True) -> Episode:
    """Every text and reward is told apart from every other."""
    turns = [Turn("system", "Rules.")] if system else []
    for index in range(num_actions):
        turns += [Turn("user", f"see {index}"), Turn("assistant", f"go {index}", float(index + 1))]
    turns.append(Turn("user", "Success"))
    return Episode("maze", "fully_observed", tuple(turns), terminated, not terminated, 0, "test")


def items_of(
    tokenizer: TurnTokenizer, played: Episode, history: int | None, gamma: float = 1.0, stride: int = 10
) -> list[TrainingItem]:
    return list(training_items(tokenizer, played, history, gamma=gamma, stride=stride))


def seen(played: Episode, turn: int, history: int | None) -> list[Turn]:
    """What the policy sees before it writes that turn."""
    return Conversation(0, history, list(played.turns[:turn])).visible


def learned(item: TrainingItem, values: Sequence[Any]) -> list[Any]:
    return [value for value, acted in zip(values, item.action_mask, strict=True) if acted]


def actions(played: Episode) -> list[int]:
    return [index for index, turn in enumerate(played.turns) if turn.role == "assistant"]


def action_of_item(item: TrainingItem, tokenizer: TurnTokenizer, played: Episode) -> list[int]:
    """The turns an item learns, found by their text."""
    text = tokenizer.tokenizer.decode(learned(item, item.input_ids))
    return [index for index in actions(played) if f"{played.turns[index].content}{tokenizer.frame.action_end}" in text]


HISTORIES = [1, 2, 7, 40, None]
LENGTHS = [1, 2, 20, 21, 45]


# --- returns


def test_a_three_token_action_is_discounted_three_times_and_its_reward_is_on_the_last(raw: TurnTokenizer) -> None:
    turns = (
        Turn("user", "see 1"),
        Turn("assistant", "move down", -1.0),
        Turn("user", "see 2 3 4 5"),
        Turn("assistant", "move up", -4.0),
        Turn("user", "Success"),
    )
    (item,) = items_of(raw, Episode("maze", "x", turns, True, False, 0, "test"), None, gamma=0.99)
    assert learned(item, item.rewards) == [0, 0, -1, 0, 0, -4]
    # Time passes on action tokens only: the first token of the next action is one step after this one's last.
    second = [0.99**2 * -4, 0.99 * -4, -4.0]
    first = [0.99**2 * -1 + 0.99**3 * second[0], 0.99 * -1 + 0.99**2 * second[0], -1 + 0.99 * second[0]]
    assert second == pytest.approx([-3.9204, -3.96, -4.0])
    assert first == pytest.approx([-4.7840602, -4.8323840, -4.881196], abs=1e-6)
    assert learned(item, item.returns) == pytest.approx(first + second)
    other = [value for value, acted in zip(item.returns, item.action_mask, strict=True) if not acted]
    assert set(other) == {0.0}


@pytest.mark.parametrize("history", HISTORIES)
def test_returns_run_on_past_the_end_of_a_window(raw: TurnTokenizer, history: int | None) -> None:
    played = episode(45)
    items = items_of(raw, played, history, gamma=0.9)
    rewards = [reward for item in items for reward in learned(item, item.rewards)]
    expected, future = [], 0.0
    for reward in reversed(rewards):
        future = reward + 0.9 * future
        expected.append(future)
    returns = [value for item in items for value in learned(item, item.returns)]
    assert returns == pytest.approx(expected[::-1])


def test_a_cut_off_episode_has_the_returns_of_what_was_played(raw: TurnTokenizer) -> None:
    cut, ended = (items_of(raw, episode(5, terminated=terminated), 1) for terminated in (False, True))
    assert [item.returns for item in cut] == [item.returns for item in ended]


# --- windows


def test_every_action_is_learned_exactly_once_and_in_order(raw: TurnTokenizer, chatml: TurnTokenizer) -> None:
    def check(history: int | None, num_actions: int, stride: int, system: bool) -> None:
        played = episode(num_actions, system=system)
        for tokenizer in (raw, chatml):
            items = items_of(tokenizer, played, history, stride=stride)
            written = [token for item in items for token in learned(item, item.input_ids)]
            assert written == [i for turn in actions(played) for i in tokenizer.action_ids(played.turns[turn].content)]
            paid = [reward for item in items for reward in item.rewards if reward]
            assert paid == [float(index + 1) for index in range(num_actions)]
            assert all(len(set(map(len, item[:4]))) == 1 for item in items)

    check_cases(product(HISTORIES, LENGTHS, [1, 10, 1000], [False, True]), check)


def test_no_context_is_longer_than_what_the_policy_sees_and_the_last_is_all_of_it(
    raw: TurnTokenizer, chatml: TurnTokenizer
) -> None:
    def check(history: int | None, stride: int, system: bool) -> None:
        played = episode(45, system=system)
        rules = list(played.turns[:1]) if system else []
        for tokenizer in (raw, chatml):
            for item in items_of(tokenizer, played, history, stride=stride):
                runs = action_of_item(item, tokenizer, played)
                for turn in runs:
                    action = tokenizer.action_ids(played.turns[turn].content)
                    before = item.input_ids[: find(item.input_ids, action)]
                    visible = seen(played, turn, history)[len(rules) :]
                    suffixes = [tokenizer.prompt_ids([*rules, *visible[cut:]]) for cut in range(len(visible))]
                    assert before in suffixes
                    if turn == runs[-1]:
                        assert before == suffixes[0]
                        assert item.input_ids == before + action

    check_cases(product(HISTORIES, [1, 10, 1000], [False, True]), check)


def find(ids: list[int], part: list[int]) -> int:
    (place,) = [i for i in range(len(ids)) if ids[i : i + len(part)] == part]
    return place


def test_a_markov_policy_learns_each_action_from_the_newest_text_alone(raw: TurnTokenizer) -> None:
    items = items_of(raw, episode(5), 1)
    texts = [raw.tokenizer.decode(item.input_ids) for item in items]
    # One item an action: the last step is not there twice, as in the original data.
    assert texts == [f"see {index}\ngo {index}\n" for index in range(5)]


def test_what_fits_into_the_history_is_one_window(raw: TurnTokenizer) -> None:
    assert len(items_of(raw, episode(45), None)) == 1
    assert len(items_of(raw, episode(20), 40)) == 1
    counts = [sum(reward > 0 for reward in item.rewards) for item in items_of(raw, episode(45), 40, stride=10)]
    assert counts == [20, 10, 10, 5]


def test_the_system_turn_stands_before_every_window(chatml: TurnTokenizer) -> None:
    for item in items_of(chatml, episode(45, system=True), 40):
        assert chatml.tokenizer.decode(item.input_ids).startswith("<|im_start|>system\nRules.<|im_end|>")
        if item.next_input_ids:
            assert chatml.tokenizer.decode(item.next_input_ids).startswith("<|im_start|>system\nRules.<|im_end|>")


# --- successors


def test_the_successor_is_what_the_policy_would_see_next_and_nothing_once_terminated(
    raw: TurnTokenizer, chatml: TurnTokenizer
) -> None:
    def check(history: int | None, terminated: bool, system: bool) -> None:
        played = episode(45, system=system, terminated=terminated)
        for tokenizer in (raw, chatml):
            items = items_of(tokenizer, played, history, stride=3)
            for item in items:
                last = action_of_item(item, tokenizer, played)[-1]
                expected = tokenizer.prompt_ids(seen(played, last + 2, history))
                over = terminated and item is items[-1]
                assert item.next_input_ids == ([] if over else expected)
            assert [not item.next_input_ids for item in items] == [False] * (len(items) - 1) + [terminated]

    check_cases(product(HISTORIES, [False, True], [False, True]), check)


def test_the_recipes_chat_template_is_the_raw_text(raw: TurnTokenizer) -> None:
    template = Path(__file__).parents[2] / "recipes" / "text_game.jinja"
    assert raw.tokenizer.chat_template == template.read_text(encoding="utf-8")
    assert raw.raw
