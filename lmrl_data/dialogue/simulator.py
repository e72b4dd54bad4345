"""Dialogue simulators whose replies come from rules and knowledge, or from a language model that words them.

The rules decide what a turn is worth, what is true and when the episode ends. They also write a reply, the grounded
one, which costs nothing. A language model as oracle may reword it. The simulator parses the model's text strictly, and
that text never decides the outcome.
"""

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from lmrl_data.config import Config
from lmrl_data.episode import Turn
from lmrl_data.errors import UserError
from lmrl_data.policy import Conversation
from lmrl_data.simulator import DialogueSimulator, Oracle, Step
from lmrl_data.text import quoted

REPLY_CHARSET = "".join(map(chr, range(32, 127)))  # every reply is one line of printable ASCII
MAX_REPLY = 400  # characters


class Prompt(NamedTuple):
    """What an oracle gets to answer one turn of a dialogue.

    Args:
        grounded (`str`): the reply that rules and knowledge give.
        view (`Callable[[], Conversation]`, *optional*): returns the dialogue as a model sees it: the model is the
            assistant, and the agent's texts are quoted. All turns of an episode share one object. `None` where only
            the rules may reply, as after a right guess; then no model is asked.
        parse (`Callable[[str], str | None]`): turns a model's text into a reply; `None` rejects the text.
        fallback (`str`): the reply if every text of the model is rejected.
    """

    grounded: str
    view: Callable[[], Conversation] | None
    parse: Callable[[str], str | None]
    fallback: str


class Grounded:
    """The default oracle: it asks no model and gives the grounded reply."""

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        return [prompt.grounded for prompt in prompts]

    def __reduce__(self) -> str:
        return "GROUNDED"  # unpickling gives the process's one object


GROUNDED = Grounded()


def without_matcher(options: Mapping[str, Any]) -> dict[str, Any]:
    """Reset options without `matcher`, which older results name.

    Raises:
        UserError: if it is anything but `lexical`, the only matcher that is left.
    """
    if options.get("matcher", "lexical") != "lexical":
        raise UserError(f"matcher={str(options['matcher'])[:80]} is gone: questions are matched by their words only")
    return {name: value for name, value in options.items() if name != "matcher"}


def reply_line(text: str, roles: Sequence[str] = ()) -> str | None:
    """A model's text as one line of printable ASCII, or `None` if it is empty, too long, or speaks for a role.

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


class Answer(NamedTuple):
    """What the rules reply to one text of the agent.

    Args:
        grounded (`str`): the rules' own reply.
        fallback (`str`, *optional*): the reply if a model is asked and gives none. `None` where only the rules may
            reply: then no model is asked.
    """

    grounded: str
    fallback: str | None = None


class GroundedSimulator(DialogueSimulator[Prompt]):
    """A dialogue simulator that can answer by itself.

    Subclasses write `_begin` (starts an episode), `_consider` (reads the agent's text, decides, and returns the rules'
    answer) and `_conclude` (makes the step from the reply that was given). For models they write `_system`, and may
    override `_quote` and `_parse`.

    Args:
        config (`Config`): the task's config.
        oracle (`Oracle`, *optional*): gives the replies; the rules themselves by default.
        render_mode (`str`, *optional*): `"ansi"`, or `None` for none.
        options (`Mapping`, *optional*): reset options that hold for every reset.
    """

    roles: ClassVar[tuple[str, ...]] = ()  # the speakers, whose labels a model's reply must not begin with
    reply_tokens = 64  # the most tokens of a model's reply
    view_history: int | None = None  # how many of the latest texts a model sees; `None` for all

    def __init__(
        self,
        config: Config,
        oracle: Oracle[Prompt] | None = None,
        render_mode: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(config, oracle or GROUNDED, render_mode, options)

    def _reset(self, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        self._texts: list[str] = []  # the agent's quoted texts and the replies, in turn
        self._conversation: Conversation | None = None  # as a model sees it; made when a model first asks for it
        return self._begin(options)

    def prompt(self, action: str) -> Prompt:
        grounded, fallback = self._consider(action)
        self._texts.append(self._quote(action))
        if fallback is None:
            return Prompt(grounded, None, self._parse, grounded)
        return Prompt(grounded, self._view, self._parse, fallback)

    def advance(self, reply: str) -> Step:
        self._texts.append(reply)
        return self._conclude(reply)

    def _view(self) -> Conversation:
        if self._conversation is None:
            system = Turn("system", self._system())
            self._conversation = Conversation(self.np_random_seed or 0, self.view_history, [system])
        turns = self._conversation.turns
        for index in range(len(turns) - 1, len(self._texts)):
            turns.append(Turn("assistant" if index % 2 else "user", self._texts[index]))
        return self._conversation

    def topic(self, info: Mapping[str, Any]) -> str:
        """What a turn was about, by the step's `info`; `lmrl-eval agreement` groups replies by it."""
        return "other"

    @abstractmethod
    def _begin(self, options: dict[str, Any]) -> tuple[str, dict[str, Any]]: ...

    @abstractmethod
    def _consider(self, action: str) -> Answer: ...

    @abstractmethod
    def _conclude(self, reply: str) -> Step: ...

    @abstractmethod
    def _system(self) -> str:
        """The system text that tells a model its part in this episode."""

    def _quote(self, action: str) -> str:
        """The agent's text as a model sees it, as data."""
        return quoted(action)

    def _parse(self, text: str) -> str | None:
        """A model's text as a reply, or `None` if it is not usable."""
        return reply_line(text, self.roles)
