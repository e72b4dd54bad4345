"""Dialogue simulators with two kinds of reply behind one interface: grounded in rules and knowledge, or a model's.

The rules always decide: what a turn is worth, what is true, when it is over. They also write a reply of their own, the
grounded one, which costs nothing. A language model as oracle may say it in other words; what it writes is parsed
strictly and never decides the outcome.
"""

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from lmrl_data.config import Config
from lmrl_data.episode import Turn
from lmrl_data.policy import Conversation
from lmrl_data.simulator import DialogueSimulator, Oracle, Step
from lmrl_data.text import quoted

# Every reply is made of these: printable ASCII, one line.
REPLY_CHARSET = "".join(map(chr, range(32, 127)))
MAX_REPLY = 400  # characters


class Prompt(NamedTuple):
    """One turn of a dialogue, as an oracle is asked about it.

    Args:
        grounded (`str`): the reply that rules and knowledge give.
        view (`Callable[[], Conversation]`, *optional*): makes the dialogue as a model sees it, the same object in all
            turns of an episode: roles swapped, so that the model is the assistant, and the agent's texts quoted.
            `None` where the rules decide what is said, as after a right guess: then nobody is asked.
        parse (`Callable[[str], str | None]`): a model's text as a reply, or `None` if it is none.
        fallback (`str`): the reply, if the model never gives one.
    """

    grounded: str
    view: Callable[[], Conversation] | None
    parse: Callable[[str], str | None]
    fallback: str


class Grounded:
    """The default oracle: no model, the simulator's own reply."""

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        return [prompt.grounded for prompt in prompts]

    def __reduce__(self) -> str:
        return "GROUNDED"  # one object in a process, also after pickling


GROUNDED = Grounded()


def reply_line(text: str, roles: Sequence[str] = ()) -> str | None:
    """A model's text as one line of printable ASCII, or `None` where it is empty, long, or plays another role.

    Args:
        text (`str`): what the model wrote.
        roles (`Sequence[str]`, *optional*): the speakers of this dialogue, in lower-case letters; a line that begins
            with a speaker's label plays a role.
    """
    line = " ".join(text.strip().split("\n", 1)[0].split())
    line = line.translate({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2013: "-", 0x2014: "-"})
    if not 0 < len(line) <= MAX_REPLY or not line.isascii() or not line.isprintable():
        return None
    labels = "|".join(("user", "assistant", "system", "question", *roles))
    if re.search(rf"<\||\|>|\[/?INST\]|</?s>|^\W*(?:{labels})\W*:", line, re.I):
        return None
    return line


class GroundedSimulator(DialogueSimulator[Prompt]):
    """A dialogue simulator that can answer by itself.

    Subclasses write `_begin` (a new episode), `_consider` (reads the agent's text, decides, and writes the grounded
    reply) and `_conclude` (the step, given the reply that was said); and for models `_system`, `_quote` and `_parse`.

    Args:
        oracle (`Oracle`, *optional*): who speaks; the rules themselves by default.
    """

    reply_tokens = 64  # the longest reply of a model
    view_history: int | None = None  # how many of the latest texts a model sees
    roles: ClassVar[tuple[str, ...]] = ()  # the speakers, whose labels a model's reply must not begin with
    _rules_speak = False  # set by `_consider`: this turn's reply is the rules' own

    def __init__(
        self,
        config: Config,
        oracle: Oracle[Prompt] | None = None,
        render_mode: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(config, oracle or GROUNDED, render_mode, options)

    def _reset(self, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        self._texts: list[str] = []  # what a model was told and what was replied, in turn
        self._shown: Conversation | None = None
        return self._begin(options)

    def prompt(self, action: str) -> Prompt:
        self._rules_speak = False
        grounded = self._consider(action)
        self._texts.append(self._quote(action))
        return Prompt(grounded, None if self._rules_speak else self._view, self._parse, self._fallback(grounded))

    def advance(self, reply: str) -> Step:
        self._texts.append(reply)
        return self._conclude(reply)

    def _view(self) -> Conversation:
        if self._shown is None:
            self._shown = Conversation(self.np_random_seed or 0, self.view_history, [Turn("system", self._system())])
        turns = self._shown.turns
        for index in range(len(turns) - 1, len(self._texts)):
            turns.append(Turn("assistant" if index % 2 else "user", self._texts[index]))
        return self._shown

    def topic(self, info: Mapping[str, Any]) -> str:
        """What a turn was about, by the step's `info`; `lmrl-eval agreement` groups replies by it."""
        return "other"

    @abstractmethod
    def _begin(self, options: dict[str, Any]) -> tuple[str, dict[str, Any]]: ...

    @abstractmethod
    def _consider(self, action: str) -> str: ...

    @abstractmethod
    def _conclude(self, reply: str) -> Step: ...

    @abstractmethod
    def _system(self) -> str:
        """What a model is told of its part in this episode."""

    def _quote(self, action: str) -> str:
        """The agent's text as a model is shown it: data, never more."""
        return quoted(action)

    def _parse(self, text: str) -> str | None:
        return reply_line(text, self.roles)

    def _fallback(self, grounded: str) -> str:
        """What is said if a model gives no reply."""
        return grounded
