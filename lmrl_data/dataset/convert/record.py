"""The formats of the original release: what each record says, as chat turns with rewards."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lmrl_data.episode import Turn
from lmrl_data.errors import UserError
from lmrl_data.text import short_json


class Play(NamedTuple):
    """What a record of any format says."""

    turns: tuple[Turn, ...]
    done: bool  # the flag on the last action

    @property
    def actions(self) -> list[Turn]:
        return [turn for turn in self.turns if turn.role == "assistant"]

    @property
    def replies(self) -> list[str | None]:
        """The text after each action; `None` where the file has none."""
        texts = [turn.content for turn in self.turns if turn.role == "user"]
        return [*texts[1:], *[None] * (len(self.actions) - len(texts) + 1)]


def read_steps(record: Any) -> Play:
    """A list of `{"state", "action", "reward", "done"}`: fully observed maze, chess, endgames."""
    turns, done = [], False
    for index, step in enumerate(_list(record, "a record of steps")):
        if not isinstance(step, dict):
            raise ValueError(f"step {index} must be an object, got {short_json(step)}")
        if done:
            raise ValueError(f"step {index} comes after a step that is done")
        reward = _number(_field(step, "reward"), "the reward of step {}", index)
        turns.append(Turn("user", _text(_field(step, "state"), "the state of step {}", index)))
        turns.append(Turn("assistant", _text(_field(step, "action"), "the action of step {}", index), reward))
        done = _flag(_field(step, "done"), "done of step {}", index)
    return Play(tuple(turns), done)


def read_history(record: Any) -> Play:
    """`{"text_history", "rewards", "dones"}`: partially observed maze, text-nav.

    `rewards` and `dones` have one value a text, of which only those of actions count, or one an action.
    """
    texts = _list(_field(record, "text_history"), "text_history")
    lists = {name: _list(_field(record, name), name) for name in ("rewards", "dones")}
    num_actions = len(texts) // 2
    for name, values in lists.items():
        if len(values) == len(texts):
            lists[name] = values[1::2]
        elif len(values) != num_actions:
            raise ValueError(f"{name} has {len(values)} values for {len(texts)} texts with {num_actions} actions")
    turns = []
    for index, text in enumerate(texts):
        content = _text(text, "text {} of text_history", index)
        if index % 2:
            turns.append(Turn("assistant", content, _number(lists["rewards"][index // 2], "reward {}", index // 2)))
        else:
            turns.append(Turn("user", content))
    dones = [_flag(value, "done {}", index) for index, value in enumerate(lists["dones"])]
    if any(dones[:-1]):
        raise ValueError(f"action {dones.index(True)} is done, but {num_actions} actions are there")
    return Play(tuple(turns), dones[-1] if dones else False)


def read_sequence(record: Any) -> Play:
    """`{"sequence": [[text, is_action], ...], "reward", "done"}`: Wordle. `reward` begins at the first action."""
    sequence = _list(_field(record, "sequence"), "sequence")
    rewards = _list(_field(record, "reward"), "reward")
    if len(rewards) != len(sequence) - 1:
        raise ValueError(f"reward has {len(rewards)} values for a sequence of {len(sequence)}: one fewer is right")
    turns = []
    for index, (pair, reward) in enumerate(zip(sequence, [0, *rewards], strict=True)):
        if not isinstance(pair, list) or len(pair) != 2:
            raise ValueError(
                f"element {index} of sequence must be a pair of a text and a flag, got {short_json(pair)}"
            )
        content = _text(pair[0], "text {} of sequence", index)
        number = _number(reward, "reward {}", index - 1)
        if _flag(pair[1], "the flag of element {} of sequence", index):
            turns.append(Turn("assistant", content, number))
        elif number:
            raise ValueError(f"text {index} of sequence is no action, but has the reward {number:g}")
        else:
            turns.append(Turn("user", content))
    return Play(tuple(turns), _flag(_field(record, "done"), "done"))


def read_questions(record: Any) -> Play:
    """`{"lines": ["Is it an animal? Yes.", ...], "correct", "word"}`: twenty questions, guess my city.

    A line is parted at its last question mark that a space follows. The record has no rewards: every question costs 1,
    the last of a conversation that is `correct` nothing.
    """
    lines = _list(_field(record, "lines"), "lines")
    correct = _flag(_field(record, "correct"), "correct")
    turns = [Turn("user", "Questions:")]
    for index, line in enumerate(lines):
        question, mark, answer = _text(line, "line {}", index).rpartition("? ")
        if not mark:
            raise ValueError(f"line {index} must be a question with an answer, got {short_json(line)}")
        free = correct and index == len(lines) - 1
        turns += [Turn("assistant", f"{question}?", 0.0 if free else -1.0), Turn("user", answer)]
    return Play(tuple(turns), correct or len(lines) >= MAX_QUESTIONS)


def read_negotiation(record: Any) -> Play:
    """`{"lines": [{"role", "text"}, ...], "output": {"car_bought", "msrp", "buy_price"}}`: car dealer.

    Paid in revenue. Lines of one speaker that follow each other are joined by a space. The machine-readable outcome
    that the buyer may end with is taken off, as the original does before anybody reads it.
    """
    texts = ["Start"]  # the user's and the agent's, in turn
    for index, line in enumerate(_list(_field(record, "lines"), "lines")):
        role, text = _field(line, "role"), _text(_field(line, "text"), "the text of line {}", index)
        if role not in ("Seller", "Buyer"):
            raise ValueError(f"the role of line {index} is neither Seller nor Buyer, got {short_json(role)}")
        text = OUTCOME.sub("", text).strip()
        if (role == "Seller") == bool(len(texts) % 2):
            texts.append(text)
        else:
            texts[-1] = f"{texts[-1]} {text}".strip()
    output = _field(record, "output")
    bought = _flag(_field(output, "car_bought"), "car_bought")
    price = _field(output, "buy_price") if bought else None
    reward = 0.0 if price is None else _number(price, "buy_price") / 1000  # a sale without a price is worth nothing
    last = (len(texts) - 2) // 2 * 2 + 1
    turns = [
        Turn("assistant", text, reward if index == last else 0.0) if index % 2 else Turn("user", text)
        for index, text in enumerate(texts)
    ]
    return Play(tuple(turns), True)


MAX_QUESTIONS = 20
OUTCOME = re.compile(r"\s*Output: Decision=.*", re.DOTALL)
READERS: Mapping[str, Callable[[Any], Play]] = {
    "steps": read_steps,
    "history": read_history,
    "sequence": read_sequence,
    "questions": read_questions,
    "negotiation": read_negotiation,
}


def format_of(record: Any) -> str:
    """The name of a record's format in `READERS`.

    Raises:
        UserError: for anything else; the message says what to convert instead, where that is known.
    """
    if isinstance(record, list):
        return "steps"
    if isinstance(record, str):
        raise UserError("this is a bare text and no episode; from a position you can play: --option position=FEN")
    if isinstance(record, dict):
        if "text_history" in record:
            return "history"
        if "sequence" in record:
            return "sequence"
        if "lines" in record:
            return "questions" if "correct" in record else "negotiation"
        if "from_state" in record:
            raise UserError(
                "these are single moves out of games that cannot be put together again; "
                "convert the file of whole games: train_trajectories.jsonl of chess, train.jsonl of the endgames"
            )
    raise UserError("this is no episode in any format of the original release")


def _field(record: Any, name: str) -> Any:
    if not isinstance(record, dict) or name not in record:
        raise ValueError(f"{name!r} is missing")
    return record[name]


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list, got {short_json(value)}")
    return value


def _text(value: Any, name: str, index: int = 0) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name.format(index)} is no text, got {short_json(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{name.format(index)} holds half a character") from None
    return value.removesuffix("\n")


def _number(value: Any, name: str, index: int = 0) -> float:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:
        pass
    raise ValueError(f"{name.format(index)} is no finite number, got {short_json(value)}")


def _flag(value: Any, name: str, index: int = 0) -> bool:
    if value not in (0, 1) or not isinstance(value, bool | int | float):
        raise ValueError(f"{name.format(index)} is neither true nor false, got {short_json(value)}")
    return bool(value)
