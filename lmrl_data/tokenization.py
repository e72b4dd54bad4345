"""Turns to tokens and back: which ids a policy reads, which it wrote, and where the rewards sit.

Every text is tokenized by itself, so a history grows by appending ids and no text is tokenized twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from lmrl_data.episode import Episode, Turn
from lmrl_data.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MARKS = ("\u2460user\u2460", "\u2461assistant\u2461", "\u2462user\u2462", "\u2463assistant\u2463")


class TokenTrajectory(NamedTuple):
    """A stretch of an episode as tokens; all lists have the same length.

    Args:
        input_ids (`list[int]`): observation and action tokens.
        action_mask (`list[int]`): 1 where the agent wrote the token, its end token included.
        rewards (`list[float]`): an action's reward sits on its last token.
    """

    input_ids: list[int]
    action_mask: list[int]
    rewards: list[float]


@dataclass(frozen=True)
class _Frame:
    """The fixed texts a chat template writes around the contents."""

    opening: str  # before the first user text
    to_assistant: str  # between a user's text and the agent's
    action_end: str  # what the agent writes after its text
    to_user: str  # from there to the next user text


RAW = _Frame(opening="", to_assistant="\n", action_end="\n", to_user="")


def read_frame(tokenizer: "PreTrainedTokenizerBase") -> _Frame:
    """The texts that the tokenizer's chat template writes around turns, or those of the paper's raw text without one.

    Raises:
        UserError: if the template writes a turn differently depending on its place.
    """
    if tokenizer.chat_template is None:
        return RAW

    def render(count: int, prompt: bool = False) -> str:
        messages = [{"role": "assistant" if i % 2 else "user", "content": _MARKS[i]} for i in range(count)]
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt))

    full = render(4)
    parts = []
    for mark in _MARKS:
        head, found, full = full.partition(mark)
        if not found:
            raise UserError("the tokenizer's chat template leaves out turns, so episodes cannot be written with it")
        parts.append(head)
    opening, to_assistant, between, to_assistant_again = parts
    if to_assistant != to_assistant_again or render(1, prompt=True) != f"{opening}{_MARKS[0]}{to_assistant}":
        raise UserError("the tokenizer's chat template changes earlier turns, so episodes cannot be written with it")
    # The agent writes its end token; white space after it belongs to the next turn. Raw text ends with the newline.
    action_end = full.rstrip() or full
    if not action_end or not between.startswith(action_end):
        raise UserError(
            "the tokenizer's chat template does not end an assistant turn, so no policy could end its action"
        )
    return _Frame(opening, to_assistant, action_end, between[len(action_end) :])


class TurnTokenizer:
    """Writes turns as token ids with a tokenizer's own chat template, or as the paper's raw text without one.

    Special tokens inside a content are encoded as plain text, so no policy can forge a turn.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): of the policy.

    Attributes:
        raw (`bool`): whether an action ends with a newline, as in the paper.
        action_end (`list[int]`): the ids that end an action.
        stop_ids (`frozenset[int]`): ids after which an action is over.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self.tokenizer = tokenizer
        self.frame = read_frame(tokenizer)
        self.raw = self.frame.action_end == "\n"
        self._contents: dict[str, list[int]] = {}
        self._opening = self._frame_ids(self.frame.opening)
        self._to_assistant = self._frame_ids(self.frame.to_assistant)
        self._to_user = self._frame_ids(self.frame.to_user)
        self.action_end = self._frame_ids(self.frame.action_end)
        end = {tokenizer.eos_token_id} - {None}
        self.stop_ids = frozenset(end | (self._newline_ids() if self.raw else {self.action_end[0]}))

    def _frame_ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []

    def _newline_ids(self) -> set[int]:
        # A byte-level vocabulary has tokens with a newline and more in them; each of them ends the line.
        ids = sorted(self.tokenizer.get_vocab().values())
        texts = self.tokenizer.batch_decode([[i] for i in ids])
        return {i for i, text in zip(ids, texts, strict=True) if "\n" in text}

    def content_ids(self, content: str) -> list[int]:
        """The ids of one text, without what the template writes around it."""
        ids = self._contents.get(content)
        if ids is None:
            encoded = self.tokenizer(content, add_special_tokens=False, split_special_tokens=True)
            ids = list(encoded["input_ids"])
            if len(self._contents) < 100_000 and len(content) < 1_000:
                self._contents[content] = ids
        return ids

    def observation_ids(self, turns: Sequence[Turn], *, first: bool) -> list[int]:
        """The ids of a user turn, and of a system turn before it, up to the place where the agent begins to write.

        Args:
            turns (`Sequence[Turn]`): the user turn, or a system turn and the user turn.
            first (`bool`): whether this is the beginning of the conversation.
        """
        if turns[0].role == "system":
            messages = [{"role": "system", "content": _MARKS[0]}, {"role": "user", "content": _MARKS[1]}]
            opening, between = "", "\n"
            if self.tokenizer.chat_template is not None:
                text = str(self.tokenizer.apply_chat_template(messages, tokenize=False))
                opening, _, rest = text.partition(_MARKS[0])
                between = rest.partition(_MARKS[1])[0]
            head = self._frame_ids(opening) + self.content_ids(turns[0].content) + self._frame_ids(between)
            if len(turns) == 1:
                return head  # raw text, and a window that begins with an action
        else:
            head = self._opening if first else self._to_user
        return head + self.content_ids(turns[-1].content) + self._to_assistant

    def action_ids(self, content: str) -> list[int]:
        """The ids of an action with its end."""
        return self.content_ids(content) + self.action_end

    def pieces(self, turns: Sequence[Turn]) -> Iterator[tuple[list[int], Turn | None]]:
        """The ids turn by turn, with the turn where they are an action (`None` for an observation)."""
        rules = 1 if turns and turns[0].role == "system" else 0
        if not self.raw and len(turns) > rules and turns[rules].role == "assistant":
            # Chat templates begin with the user, so the action at the beginning of the window is dropped.
            turns = [*turns[:rules], *turns[rules + 1 :]]
        first = True
        index = 0
        while index < len(turns):
            turn = turns[index]
            if turn.role == "assistant":
                yield self.action_ids(turn.content), turn
                index += 1
            else:
                width = 2 if turn.role == "system" and turns[1].role == "user" else 1
                yield self.observation_ids(turns[index : index + width], first=first), None
                index += width
            first = False

    def prompt_ids(self, turns: Sequence[Turn]) -> list[int]:
        """The ids of the texts a policy sees, up to where it begins to write."""
        return [i for ids, _ in self.pieces(turns) for i in ids]

    def trajectory(self, turns: Sequence[Turn], *, first_action: int = 0) -> TokenTrajectory:
        """The tokens of these turns with masks and rewards.

        Args:
            turns (`Sequence[Turn]`): a stretch of an episode.
            first_action (`int`, *optional*, defaults to `0`): actions before this one are context and not in the mask.
        """
        result = TokenTrajectory([], [], [])
        action = 0
        for ids, turn in self.pieces(turns):
            counts = turn is not None and action >= first_action
            action += turn is not None
            result.input_ids.extend(ids)
            result.action_mask.extend([int(counts)] * len(ids))
            result.rewards.extend([0.0] * len(ids))
            if turn is not None and counts:
                result.rewards[-1] = turn.reward
        return result

    def decode_action(self, ids: Sequence[int]) -> str:
        """The text of sampled action ids, without their end."""
        text: Any = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return str(text).split("\n", 1)[0] if self.raw else str(text).strip()


class TrainingItem(NamedTuple):
    """One sequence to train on: the tokens that a policy sees and writes, with the targets of a value learner.

    Args:
        input_ids (`list[int]`): tokens of a window of the episode.
        action_mask (`list[int]`): 1 on the action tokens to learn from.
        rewards (`list[float]`): per token; an action's reward sits on its last token.
        returns (`list[float]`): per token, the return of the rest of the episode, discounted per action token.
        next_input_ids (`list[int]`): what the policy would see next; empty where the episode terminated.
    """

    input_ids: list[int]
    action_mask: list[int]
    rewards: list[float]
    returns: list[float]
    next_input_ids: list[int]


def training_items(
    tokenizer: TurnTokenizer,
    episode: Episode,
    history: int | None,
    *,
    gamma: float = 1.0,
    stride: int = 10,
) -> Iterator[TrainingItem]:
    """Cuts an episode into windows of at most `history` texts before each action (paper's `last_k`).

    While the whole episode fits, one window holds all actions. Later windows hold `stride` actions each: the last
    action of a window sees exactly `history` texts, earlier ones a few less. So there are far fewer windows than
    actions.
    Discounting is per action token, as in the original code: a 3-token action is discounted three times.
    """
    turns = episode.turns
    system = 1 if turns[0].role == "system" else 0
    actions = [index for index, turn in enumerate(turns) if turn.role == "assistant"]
    returns: dict[int, list[float]] = {}
    future = 0.0
    for index in reversed(actions):
        discounted = []
        for position in range(len(tokenizer.action_ids(turns[index].content))):
            future = gamma * future + (turns[index].reward if position == 0 else 0.0)
            discounted.append(future)
        returns[index] = discounted[::-1]

    def start(index: int) -> int:
        return system if history is None else max(system, index - history)

    begin = 0
    while begin < len(actions):
        end = begin + 1
        # A window reaches back `history` texts, so it has room for half as many actions.
        limit = len(actions) if history is None or begin == 0 else begin + min(stride, (history + 1) // 2)
        while end < min(limit, len(actions)) and (begin > 0 or start(actions[end]) == system):
            end += 1
        last = actions[end - 1]
        window = turns[start(last) : last + 1]
        if window[0].role == "assistant" and not tokenizer.raw:
            window = window[1:]  # as `TurnTokenizer.pieces` reads it
        if system:
            window = turns[:1] + window
        context = sum(turn.role == "assistant" for turn in window) - (end - begin)
        input_ids, action_mask, rewards = tokenizer.trajectory(window, first_action=context)
        values = iter([value for index in actions[begin:end] for value in returns[index]])
        targets = [next(values) if acted else 0.0 for acted in action_mask]
        following: Sequence[Turn] = turns[: last + 2]
        ended = episode.terminated and end == len(actions)
        successor = [] if ended or len(following) < last + 2 else following[start(last + 2) :]
        if successor and system:
            successor = [*turns[:1], *successor]
        yield TrainingItem(input_ids, action_mask, rewards, targets, tokenizer.prompt_ids(successor))
        begin = end
