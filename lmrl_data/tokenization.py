"""Turns to tokens and back: which ids a policy reads, which it wrote, and where the rewards sit.

The ids of an episode are those of its whole text, as `trl sft` tokenizes it. Each turn is tokenized with the text that
stands before it, so a history still grows by appending ids, and no text is tokenized twice.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from lmrl_data.episode import Episode, Turn
from lmrl_data.errors import UserError
from lmrl_data.text import one_line

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MARKS = tuple(f"{chr(0x2460 + i)}{'user' if i % 2 == 0 else 'assistant'}{chr(0x2460 + i)}" for i in range(6))
# What templates print as today's date. With another date each day, the same command would play other episodes.
DATE = {"%d": "26", "%m": "07", "%b": "Jul", "%B": "July", "%Y": "2024", "%y": "24", "%A": "Friday", "%a": "Fri"}
# Where a turn could hold thoughts: `<think>`, a channel of gpt-oss, a recipient of Muse.
THOUGHT = re.compile(r"think|thought|<\|channel\|>|assistant to=")
THINK = ("<think>", "</think>")
OTHER_TEMPLATE = "use another one, such as the recipes' text_game.jinja (trl sft: --chat_template_path)"
# Beginnings of episodes, each an observation, an action, an observation and an action, on which a tokenizer is tried.
PROBES = (
    ("The goal is at 8, 6. There are walls to your left, below you.", "move down", "There is a wall.", "move up"),
    ("Guess:", "s t a r e", "b b y g b", "c r a n e"),
    ("8 / 5 k 2 / 1 K 6 / 8 / 7 Q   w   -   -   0   1", "K c 5", "8 / 5 k 2 / 8   w   -   -   2   2", "O - O +"),
    ("Questions:", "Is it made of wood?", "Is it made of wood? Yes.", "Is it São Paulo?"),
    ("Start", "Hi! It's $12,500. Don't you think that's fair?", "I can pay 9,000.", "Well-done: a deal."),
    ("You are in a kitchen.\n\nThere is a fridge.", "take the stale food from table", "You take it.", "go west"),
)


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
class Frame:
    """The fixed texts around the contents of turns: those that a chat template writes, or line breaks.

    Args:
        opening (`str`): before the first user text.
        to_assistant (`str`): between a user's text and the agent's, with an empty block of thoughts where the template
            writes one.
        action_start (`str`): what the agent writes before its text: a space, which is one token with the first word.
        action_end (`str`): what the agent writes after its text.
        to_user (`str`): from there to the next user text.
        last_end (`str`): what ends the agent's last turn, where that is something else.
        thinking (`bool`, *optional*): `True` where the model may think before its text, `False` where the template
            could let it and the frame does not; `None` where the template knows no thinking.
        to_thoughts (`str`): instead of `to_assistant` where the agent is about to write, if it may think.
    """

    opening: str
    to_assistant: str
    action_end: str
    to_user: str
    last_end: str = ""
    action_start: str = ""
    thinking: bool | None = None
    to_thoughts: str = ""

    def facts(self) -> dict[str, Any]:
        """The facts that scores and training records have about the frame."""
        to_assistant = self.to_assistant + self.action_start
        texts = [self.opening, to_assistant, self.action_end, self.to_user, self.last_end]
        texts += [self.to_thoughts] if self.to_thoughts else []
        return {"prompt_frame_sha256": sha256("\0".join(texts).encode()).hexdigest(), "thinking": self.thinking}


RAW = Frame(opening="", to_assistant="\n", action_end="\n", to_user="")


def read_frame(tokenizer: "PreTrainedTokenizerBase") -> Frame:
    """The texts that the tokenizer's chat template writes around turns, or those of the paper's raw text without one.

    The agent's turns look as the template writes a conversation's last one, which is what a policy is trained on.
    Where the template takes the (empty) thoughts out of earlier turns, the frame leaves them in: what a policy wrote
    stays what it reads.

    Raises:
        UserError: if the template writes a turn differently depending on its place, or does not end it.
    """
    if tokenizer.chat_template is None:
        return replace(RAW, opening="".join(tokenizer.convert_ids_to_tokens(_leading_ids(tokenizer))))

    def texts_between(count: int) -> list[str]:
        return _around(render(tokenizer, _messages(count)), count)

    opening, to_assistant, tail = texts_between(2)
    first, inner, between, inner_again, between_again, last, last_tail = texts_between(6)
    if (
        (first, inner_again, between_again, last, last_tail) != (opening, inner, between, to_assistant, tail)
        or not last.startswith(inner)  # longer by the empty thoughts that only the last turn has
    ):
        raise UserError(f"the tokenizer's chat template changes earlier turns; {OTHER_TEMPLATE}")
    action_end, last_end = _turn_end(tokenizer, between, tail)
    thinking = False if _leaves_thoughts_out(tokenizer, to_assistant) else None
    to_user = between[len(action_end) :]
    start = to_assistant[len(to_assistant.rstrip(" ")) :]
    return Frame(opening, to_assistant.rstrip(" "), action_end, to_user, last_end, start, thinking)


def with_thinking(frame: Frame, tokenizer: "PreTrainedTokenizerBase") -> Frame:
    """The frame of a policy that may think, as its chat template writes turns: earlier thoughts are left out.

    Raises:
        UserError: if the template knows no thinking, or none between `<think>` and `</think>`.
    """
    if frame.thinking is None or not set(THINK) <= set(tokenizer.get_added_vocab()):
        knows = "no thinking" if frame.thinking is None else "thinking of another kind than <think> … </think>"
        raise UserError(f"the tokenizer's chat template knows {knows}; leave out --thinking on")
    texts = _around(render(tokenizer, _messages(5), add_generation_prompt=True, enable_thinking=True), 5)
    opening, inner, between, inner_again, between_again, to_thoughts = texts
    if (opening, inner, between) != (frame.opening, inner_again, between_again) or between != (
        frame.action_end + frame.to_user
    ):
        raise UserError("the tokenizer's chat template changes earlier turns where it thinks; leave out --thinking on")
    start = inner[len(inner.rstrip(" ")) :]
    return replace(frame, to_assistant=inner.rstrip(" "), action_start=start, thinking=True, to_thoughts=to_thoughts)


def _messages(count: int) -> list[dict[str, str]]:
    return [{"role": "assistant" if i % 2 else "user", "content": _MARKS[i]} for i in range(count)]


def render(tokenizer: "PreTrainedTokenizerBase", messages: list[dict[str, str]], **settings: Any) -> str:
    """The text that the chat template makes of messages, without today's date.

    Raises:
        UserError: if the template refuses the messages.
    """
    template = with_fixed_date(tokenizer.get_chat_template())
    try:
        return str(tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False, **settings))
    except Exception as error:  # a template is a program of others and may fail in any way
        reason = one_line(str(error), 100)
        roles = " and ".join(dict.fromkeys(message["role"] for message in messages))
        raise UserError(
            f"the tokenizer's chat template takes no texts of {roles} ({reason}); {OTHER_TEMPLATE}"
        ) from None


def with_fixed_date(template: str) -> str:
    """A chat template that prints `DATE` where it would print today's date.

    Examples:
        >>> with_fixed_date("{{ messages[0].content }}")
        '{{ messages[0].content }}'
    """
    if "strftime_now" not in template:
        return template
    replaced = "".join(f" | replace('{code}', '{text}')" for code, text in DATE.items())
    return f"{{%- macro strftime_now(format) -%}}{{{{- format{replaced} -}}}}{{%- endmacro -%}}{template}"


def _around(text: str, count: int) -> list[str]:
    """What stands before, between and after the first `count` marks."""
    parts = []
    for mark in _MARKS[:count]:
        part, found, text = text.partition(mark)
        if not found:
            raise UserError(
                f"the tokenizer's chat template leaves out turns that are plain texts, as those for images do; "
                f"{OTHER_TEMPLATE}"
            )
        parts.append(part)
    return [*parts, text]


def _leaves_thoughts_out(tokenizer: "PreTrainedTokenizerBase", to_assistant: str) -> bool:
    """Whether the model could think before its text where the frame goes on to the text.

    Raises:
        UserError: if the template asks for a turn in another form than it writes one.
    """
    for settings in ({}, {"enable_thinking": False}):
        _, asked = _around(render(tokenizer, _messages(1), add_generation_prompt=True, **settings), 1)
        if to_assistant.startswith(asked):
            return bool(settings or THOUGHT.search(to_assistant))
        if asked.startswith(to_assistant) and THOUGHT.search(asked):
            return True
    raise UserError(
        f"the tokenizer's chat template asks for a turn in another form than it writes one; {OTHER_TEMPLATE}"
    )


def _turn_end(tokenizer: "PreTrainedTokenizerBase", between: str, tail: str) -> tuple[str, str]:
    """What ends an agent's turn, and its last turn where that is something else.

    Args:
        between (`str`): the text between an agent's turn and the user's next.
        tail (`str`): the text after the last turn.
    """
    # White space after an end token belongs to the next turn. Raw text ends with its line break.
    end = tail.rstrip() or tail
    if end and between.startswith(end):
        return end, ""
    ends = [_first_token(tokenizer, between), _first_token(tokenizer, tail)]
    if ends[0] is None:
        raise UserError(
            f"the tokenizer's chat template does not end an assistant turn, so no policy could end its action; "
            f"{OTHER_TEMPLATE}"
        )
    return ends[0], ends[1] if ends[1] and ends[1] != ends[0] else ""


def _first_token(tokenizer: "PreTrainedTokenizerBase", text: str) -> str | None:
    """The added token, such as `<|end|>`, that a text begins with."""
    tokens = sorted(tokenizer.get_added_vocab(), key=len, reverse=True)
    return next((token for token in tokens if token and text.startswith(token)), None)


def _leading_ids(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """The ids that the tokenizer writes before every text by itself, such as that of `<bos>`."""
    ids, alone = list(tokenizer("a")["input_ids"]), list(tokenizer("a", add_special_tokens=False)["input_ids"])
    return next((ids[:start] for start in range(len(ids)) if ids[start : start + len(alone)] == alone), [])


class TurnTokenizer:
    """Writes turns as token ids with a tokenizer's own chat template, or as the paper's raw text without one.

    The ids are those of the whole text of an episode. Making a `TurnTokenizer` checks that on `PROBES`, and that the
    ids of an action read back as the action. Special tokens inside a content are encoded as plain text, so no policy
    can forge a turn.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): of the policy.
        thinking (`bool`, *optional*, defaults to `False`): whether the agent may think before an action. Its thoughts
            are no part of the action and of what it reads later.

    Attributes:
        frame (`Frame`): the texts around the contents.
        raw (`bool`): whether an action ends with a newline, as in the paper.
        action_end (`list[int]`): the ids that end an action.
        stop_ids (`frozenset[int]`): ids after which an action is over.

    Raises:
        UserError: if episodes cannot be written with this tokenizer and its chat template.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", *, thinking: bool = False) -> None:
        self.tokenizer = tokenizer
        self.frame = read_frame(tokenizer)
        if thinking:
            self.frame = with_thinking(self.frame, tokenizer)
        self.raw = self.frame.action_end == "\n"
        self._segments: dict[tuple[str, str, str, str], list[int]] = {}
        self._frames: dict[str, list[int]] = {}
        self._kept: set[str] = set()
        self._special = set(tokenizer.all_special_ids)
        self._special |= {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
        # Without a template the tokenizer's own first ids are not text: after `<s>`, some write a first word without
        # its space.
        self._leading = _leading_ids(tokenizer) if tokenizer.chat_template is None else []
        self._opening = "" if tokenizer.chat_template is None else self.frame.opening
        self.action_end = self._ids_after("a", self.frame.action_end)
        ends = {tokenizer.eos_token_id} - {None}
        if self.raw:
            ends |= self._newline_ids()
        else:
            # Some templates write a space before the end token.
            added = set(tokenizer.get_added_vocab().values())
            places = [place for place, i in enumerate(self.action_end) if i in added]
            self._stop = places[0] if places else 0
            ends |= {self.action_end[self._stop]}
            # What ends the last turn is not written where another turn follows.
            self._last_ends = set(self._frame_ids(self.frame.last_end)) - ends
            ends |= self._last_ends
        self.stop_ids = frozenset(ends)
        self._check()

    # --- texts

    def _frame_ids(self, text: str) -> list[int]:
        ids = self._frames.get(text)
        if ids is None:
            ids = list(self.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []
            if len(self._frames) < 1_000:
                self._frames[text] = ids
        return ids

    def _ids_after(self, context: str, text: str) -> list[int]:
        """The ids of a fixed text that follows another."""
        start, ids = self._frame_ids(context), self._frame_ids(context + text)
        return ids[len(start) :] if ids[: len(start)] == start else self._frame_ids(text)

    def _newline_ids(self) -> set[int]:
        # A byte-level vocabulary has tokens with a newline and more in them; each of them ends the line.
        ids = sorted(self.tokenizer.get_vocab().values())
        texts = self.tokenizer.batch_decode([[i] for i in ids])
        return {i for i, text in zip(ids, texts, strict=True) if "\n" in text}

    def content_ids(self, content: str) -> list[int]:
        """The ids of a text by itself, in which special tokens are plain text."""
        encoded = self.tokenizer(content, add_special_tokens=False, split_special_tokens=True)
        return list(encoded["input_ids"])

    def _segment(self, context: str, head: str, content: str, tail: str) -> list[int]:
        """The ids of a content with the fixed texts around it.

        Args:
            context (`str`): the fixed text before, whose ids are left out.
            head (`str`), tail (`str`): the fixed texts on both sides.
            content (`str`): a turn's text.
        """
        key = (context, head, content, tail)
        ids = self._segments.get(key)
        if ids is None:
            start = self._frame_ids(context)
            ids = list(self.tokenizer(context + head + content + tail, add_special_tokens=False)["input_ids"])
            if ids[: len(start)] != start or self._num_special(ids) != self._num_special(
                self._frame_ids(context + head + "a" + tail)
            ):
                # The content holds special tokens, or begins with what its context ends with.
                ids = start + self._ids_after(context, head) + self.content_ids(content) + self._frame_ids(tail)
            ids = ids[len(start) :]
            if len(self._segments) < 100_000 and len(content) < 1_000:
                self._segments[key] = ids
        return ids

    def _num_special(self, ids: Sequence[int]) -> int:
        return sum(i in self._special for i in ids)

    # --- turns

    def observation_ids(self, turns: Sequence[Turn], *, first: bool, last: bool = False) -> list[int]:
        """The ids of a user turn, and of a system turn before it, up to the place where the agent begins to write.

        Args:
            turns (`Sequence[Turn]`): the user turn, or a system turn and the user turn.
            first (`bool`): whether this is the beginning of the conversation.
            last (`bool`, *optional*, defaults to `False`): whether this is its end so far.
        """
        frame = self.frame
        to_assistant = (last and frame.to_thoughts) or frame.to_assistant
        if turns[0].role == "system":
            opening, between = self._system_frame()
            ids = self._leading + self._segment("", opening, turns[0].content, between)
            if len(turns) == 1:
                return ids  # raw text, and a window that begins with an action
            return ids + self._segment(between, "", turns[-1].content, to_assistant)
        if first:
            return self._leading + self._segment("", self._opening, turns[-1].content, to_assistant)
        return self._segment(frame.action_end, frame.to_user, turns[-1].content, to_assistant)

    def _system_frame(self) -> tuple[str, str]:
        """The texts before a system turn, and from there to the user's text.

        Raises:
            UserError: if the chat template takes no system turn.
        """
        if self.tokenizer.chat_template is None:
            return "", "\n"
        messages = [{"role": "system", "content": _MARKS[0]}, {"role": "user", "content": _MARKS[1]}]
        opening, between, _ = _around(render(self.tokenizer, messages), 2)
        return opening, between

    def action_ids(self, content: str) -> list[int]:
        """The ids of an action with its end."""
        return self._segment(self.frame.to_assistant, self.frame.action_start, content, self.frame.action_end)

    def with_end(self, ids: Sequence[int]) -> list[int]:
        """Sampled ids of an action as they stand before the next turn: with the end that they lack.

        Args:
            ids (`Sequence[int]`): up to and including the first of `stop_ids`, or fewer than an action has.
        """
        last, end = ids[-1], self.action_end
        if self.raw:
            ended = last in self.stop_ids and last != self.tokenizer.eos_token_id
            return [*ids] if ended else [*ids, *end]
        if last == end[self._stop] or last in self._last_ends:
            return [*ids[:-1], *end[self._stop :]]
        return [*ids, *end]

    def pieces(self, turns: Sequence[Turn]) -> Iterator[tuple[list[int], Turn | None]]:
        """The ids turn by turn, with the turn where they are an action (`None` for an observation)."""
        rules = 1 if turns and turns[0].role == "system" else 0
        if len(turns) > rules and turns[rules].role == "assistant":
            if not self.raw:
                # Chat templates begin with the user, so the action at the beginning of the window is dropped.
                turns = [*turns[:rules], *turns[rules + 1 :]]
            elif not rules and self.frame.opening:
                yield self._leading or self._frame_ids(self.frame.opening), None
        first = True
        index = 0
        while index < len(turns):
            turn = turns[index]
            if turn.role == "assistant":
                yield self.action_ids(turn.content), turn
                index += 1
            else:
                width = 2 if turn.role == "system" and turns[1].role == "user" else 1
                last = index + width == len(turns)
                yield self.observation_ids(turns[index : index + width], first=first, last=last), None
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

        Raises:
            UserError: if the tokenizer changes an action of the mask.
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
                self.check_action(turn.content)
                result.rewards[-1] = turn.reward
        return result

    def decode_action(self, ids: Sequence[int]) -> str:
        """The text of action ids, without their end."""
        if self.raw:
            return self._decode(ids).split("\n", 1)[0].removeprefix(self.frame.action_start)
        end = next((place for place, i in enumerate(ids) if i in self.stop_ids), len(ids))
        return self._decode(ids[:end]).strip()

    def decode_answer(self, ids: Sequence[int]) -> str:
        """The action of sampled ids: what follows the thoughts, if the agent may think; empty if they never end."""
        if not self.frame.to_thoughts:
            return self.decode_action(ids)
        vocabulary = self.tokenizer.get_added_vocab()
        begin, end = (vocabulary[token] for token in THINK)
        if end in ids:
            return self.decode_action(ids[len(ids) - ids[::-1].index(end) :])
        thinks = begin in ids or self.frame.to_thoughts.rstrip().endswith(THINK[0])
        return "" if thinks else self.decode_action(ids)

    def _decode(self, ids: Sequence[int]) -> str:
        text: Any = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)

    # --- checks

    def check_action(self, content: str) -> None:
        """Checks that an action's ids read back as the action, as far as the tokenizer knows its characters.

        Raises:
            UserError: if they do not.
        """
        if content in self._kept:
            return
        wanted = content.split("\n", 1)[0] if self.raw else content
        decoded = self.decode_action(self.action_ids(content))
        # Some tokenizers write composed characters, which are the same text.
        same = unicodedata.normalize("NFKC", decoded).strip() == unicodedata.normalize("NFKC", wanted).strip()
        if not same and self._knows(content):
            raise UserError(
                f"the tokenizer reads the action {wanted[:80]!r} back as {decoded[:80]!r}; use a model whose "
                "tokenizer keeps every character"
            )
        if len(self._kept) < 100_000:
            self._kept.add(content)

    def _knows(self, text: str) -> bool:
        """Whether the tokenizer has tokens for the characters of a text; that of a small model may lack some."""
        unknown = {self.tokenizer.unk_token_id} - {None}
        return all(
            self._decode(ids) and not unknown & set(ids)
            for ids in map(self.content_ids, {character for character in text if not character.isspace()})
        )

    def _check(self) -> None:
        kind = "raw text" if self.raw else "its chat template"
        if self.raw and self.tokenizer.chat_template is not None:
            leading = self.tokenizer.convert_ids_to_tokens(_leading_ids(self.tokenizer))
            if leading and not self.frame.opening.startswith("".join(leading)):
                raise UserError(
                    f"the tokenizer begins every text with {' '.join(leading)} and its chat template leaves that out; "
                    "use the recipes' text_game_bos.jinja"
                )
        if self.raw and "\n" not in self._decode(self._frame_ids("a\na")):
            raise UserError(
                "the tokenizer loses line breaks, so no action would end in raw text; use a chat template whose turns "
                "end with a token, such as the model's own"
            )
        start = self._decode(self.action_end[: self._stop]).strip() if not self.raw else ""
        if not self.raw and (start or self.action_end[self._stop] not in self.tokenizer.get_added_vocab().values()):
            raise UserError(
                f"{self.frame.action_end.strip()!r} ends a turn in the chat template, but is no special token of the "
                "tokenizer; add it with add_special_tokens, or use the recipes' text_game.jinja"
            )
        frame = self.frame
        for probe in PROBES:
            if not self._knows("".join(probe)):
                continue
            first, action, second, last = probe
            text = (
                f"{self._opening}{first}{frame.to_assistant}{frame.action_start}{action}{frame.action_end}"
                f"{frame.to_user}{second}{frame.to_assistant}{frame.action_start}{last}{frame.action_end}"
            )
            turns = [Turn("assistant" if index % 2 else "user", content) for index, content in enumerate(probe)]
            if self.prompt_ids(turns) != [*self._leading, *self._frame_ids(text)]:
                raise UserError(
                    f"the tokenizer joins the end of one turn and the beginning of the next in {kind}; use a chat "
                    "template with special tokens directly before and after each text"
                )
            for content in (action, last):
                ids = self.action_ids(content)
                if not any(i in self.stop_ids for i in ids):
                    raise UserError(
                        f"no token ends the action {content!r} in {kind}; use a chat template whose turns end with a "
                        "token, such as the model's own"
                    )
                self.check_action(content)


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
