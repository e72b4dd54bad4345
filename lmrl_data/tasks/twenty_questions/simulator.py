"""Twenty Questions: find out by yes-or-no questions which of 158 everyday objects is hidden.

Each question costs 1; the question that names the object ends the game and is free. After twenty questions it is lost.
Answers come from tables of facts and never contradict each other. Paper section 4 and appendix C.
"""

import re
from collections.abc import Mapping
from typing import Any

from gymnasium import spaces

from lmrl_data.config import Config
from lmrl_data.dialogue.asset import asset
from lmrl_data.dialogue.simulator import REPLY_CHARSET, Answer, GroundedSimulator, Prompt, without_matcher
from lmrl_data.errors import UserError
from lmrl_data.simulator import Oracle, Step, check_options
from lmrl_data.tasks.twenty_questions.knowledge import knowledge
from lmrl_data.tasks.twenty_questions.parser import reader
from lmrl_data.tasks.twenty_questions.wording import MAX_LENGTH
from lmrl_data.text import one_line

FIRST = "Questions:"
YES, NO, CANNOT = "Yes.", "No.", "I can't answer that."
MAX_QUESTIONS = 20


# --- the simulator


class TwentyQuestionsSimulator(GroundedSimulator):
    """Twenty Questions as a Gymnasium environment of texts.

    Args:
        config (`Config`): the only one.
        oracle (`Oracle`, *optional*): gives the answers; the tables of facts by default. A model sees one question at
            a time. The rules decide whether a guess is right.
        render_mode (`str`, *optional*): `"ansi"`, the questions and answers so far.
        options (`Mapping`, *optional*): reset options that hold for every reset.

    Reset options: `object` (a name such as `Lion`; by default the seed's) and `strict` (`True` by default: a question
    out of scope is answered `I can't answer that.`; `False`: it is answered `No.`).
    """

    observation_space = spaces.Text(max_length=len(CANNOT), min_length=0, charset=REPLY_CHARSET)
    action_space = spaces.Text(max_length=MAX_LENGTH, min_length=0, charset=REPLY_CHARSET)
    reply_tokens = 8
    view_history = 1  # each question is answered without those before it
    turn_info = GroundedSimulator.turn_info | {"match", "in_scope", "guess"}

    def __init__(
        self,
        config: Config,
        oracle: Oracle[Prompt] | None = None,
        render_mode: str | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(config, oracle, render_mode, options)
        self.asked: list[tuple[str, str, bool]] = []  # question, answer, and whether it was understood

    def _begin(self, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        check_options("twenty_questions", without_matcher(options), ("object", "strict"))
        self.strict = _flag(options.get("strict", True))
        reader()
        facts = knowledge()
        given = options.get("object")
        self.object = int(self.np_random.integers(len(facts.things))) if given is None else facts.find(str(given))
        self.asked = []
        self.won = False
        return FIRST, {"object": facts.things[self.object].name}

    def _consider(self, action: str) -> Answer:
        self._reading = reading = reader().read(action)
        self._action = action
        self.won = reading.guess == self.object
        unknown = CANNOT if self.strict else NO
        # Whether a name is right, and the reply to a text that is no question, are for the rules and no model.
        fallback = None if reading.guess is not None or not reading.valid else unknown
        if reading.valid and reading.match is None:
            return Answer(unknown, fallback)
        return Answer(YES if reading.yes >> self.object & 1 else NO, fallback)

    def _conclude(self, reply: str) -> Step:
        reading = self._reading
        self.asked.append((self._action[:MAX_LENGTH], reply, reading.match is not None))
        info = {
            "valid": reading.valid,
            "match": reading.match,
            "in_scope": reading.match is not None,
            "guess": reading.guess is not None,
        }
        if self.won:
            return reply, 0.0, True, False, {**info, "success": True}
        if len(self.asked) < MAX_QUESTIONS:
            return reply, -1.0, False, False, info
        # The game is twenty questions long, so running out of them loses it: terminated, not truncated.
        return reply, -1.0, True, False, {**info, "success": False}

    def topic(self, info: Mapping[str, Any]) -> str:
        return str(info["match"] or "other")

    def _system(self) -> str:
        return (
            asset("twenty_questions", "oracle.txt")
            .strip()
            .replace("{object}", ", ".join(knowledge().things[self.object].variants))
        )

    def _parse(self, text: str) -> str | None:
        if self.strict and re.match(r"\W{0,8}(?:I )?can(?:'t|not) (?:answer|say)\b", text, re.IGNORECASE):
            return CANNOT
        match = re.match(r"\W{0,8}(yes|no)\b", text, re.IGNORECASE)
        return None if match is None else YES if match[1].lower() == "yes" else NO

    def render(self) -> str:
        """The questions and answers so far, and how many are left; after the last one, the object."""
        rows = []
        for number, (question, answer, understood) in enumerate(self.asked, 1):
            text = one_line(question, None)
            rows.append(f"{number:>2}. {text[:90]:<52} {answer}{'' if understood else ' (not understood)'}")
        left = MAX_QUESTIONS - len(self.asked)
        if self.won:
            rows.append(f"Found with question {len(self.asked)}.")
        elif left:
            rows.append(f"{left} question{'s' * (left > 1)} left.")
        else:
            rows.append(f"The object was: {knowledge().things[self.object].name}.")
        return "\n".join(rows)


def _flag(value: Any) -> bool:
    flags = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    flag = flags.get(str(value).lower())
    if flag is None:
        raise UserError(f"strict is true or false, got {str(value)[:80]!r}")
    return flag
