"""Guess My City: find out where somebody lives, in twenty questions that are answered in whole sentences.

Questions may be open (`What do you eat there?`) or yes/no (`Is it in Asia?`). Each costs 1, except the one that names
the city. The answers are made from facts about the city and never give away its name. Paper section 4 and appendix C.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any
from zlib import crc32

from gymnasium import spaces

from lmrl_data.config import Config
from lmrl_data.dialogue.asset import asset
from lmrl_data.dialogue.simulator import (
    MAX_REPLY,
    REPLY_CHARSET,
    Answer,
    GroundedSimulator,
    Prompt,
    reply_line,
    without_matcher,
)
from lmrl_data.simulator import Oracle, Step, check_options
from lmrl_data.tasks.guess_my_city.answers import answer, fixed, pick
from lmrl_data.tasks.guess_my_city.facts import (
    City,
    all_cities,
    cities,
    country_of,
    find_city,
    holds,
    leaks,
    to_ascii,
)
from lmrl_data.tasks.guess_my_city.questions import MAX_TEXT, Reading, read

FIRST = "Questions:"
MAX_QUESTIONS = 20
MAX_REPLY_WORDS = 40  # of a model's reply
FALLBACK = "I couldn't say."


def is_right(city: City, reading: Reading) -> bool:
    """Whether a text names the city in a guess, and no other city or country."""
    return (
        reading.act == "guess"
        and city.number in reading.numbers
        and reading.country in (None, country_of(city.country))
    )


class GuessMyCitySimulator(GroundedSimulator):
    """Guess My City as a Gymnasium environment of texts.

    Args:
        config (`Config`): `"standard"` (the paper's 100 cities) or
            `"extended"` (500).
        oracle (`Oracle`, *optional*): gives the answers; the rules themselves by default.
        render_mode (`str`, *optional*): `"ansi"`, the questions and answers so far.
        options (`Mapping`, *optional*): reset options that hold for every reset.

    Reset options: `city` (a name or alias; by default the seed's).
    """

    observation_space = spaces.Text(max_length=MAX_REPLY, min_length=1, charset=REPLY_CHARSET)
    action_space = spaces.Text(max_length=MAX_TEXT, min_length=0, charset=REPLY_CHARSET)
    turn_info = GroundedSimulator.turn_info | {"intent", "in_scope", "guess"}

    def __init__(
        self,
        config: Config,
        oracle: Oracle[Prompt] | None = None,
        render_mode: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(config, oracle, render_mode, options)
        self.asked: list[tuple[str, str]] = []

    def _begin(self, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        check_options("guess_my_city", without_matcher(options), ("city",))
        listed = cities(self.config)
        number, self._salt = map(int, self.np_random.integers(0, (len(listed), 2**32)))
        name = options.get("city")
        self.city = listed[number] if name is None else find_city(self.config, str(name))
        self.asked = []
        self._topics: Counter[str | None] = Counter()  # how often each topic was asked about
        self._replies: dict[int, str] = {}  # the same question gets the same answer
        return FIRST, {"city": self.city.name, "country": self.city.country}

    def _consider(self, action: str) -> Answer:
        self._action = action
        self._reading = reading = read(action) if len(action) <= MAX_TEXT else Reading("invalid")
        self._right = is_right(self.city, reading)
        reply = self._grounded(reading, crc32(action[:MAX_TEXT].encode("utf-8", "replace").lower()) ^ self._salt)
        # A model may reword the answer to a question. Replies to guesses and the like are the rules' alone.
        return Answer(reply, FALLBACK if reading.act in ("ask", "none") else None)

    def _grounded(self, reading: Reading, number: int) -> str:
        if self._right:
            return pick(fixed("right"), number).replace("{city}", self.city.name)
        if reading.act == "ask":
            reply = self._replies.get(number) or answer(self.config, self.city, reading, number, self._depth(reading))
            self._replies[number] = reply
            self._topics[reading.intent] += 1
        elif reading.act != "guess":
            reply = pick(fixed(reading.act), number)
        elif reading.name or (reading.numbers and self.city.number not in reading.numbers):
            name = reading.name or all_cities()[min(reading.numbers)].name
            reply = pick(fixed("wrong_named"), number).replace("{guess}", name)
        else:
            reply = pick(fixed("wrong"), number)
        if not leaks(self.city, reply, reading.intent):
            return reply
        return pick(fixed("wrong"), number) if reading.act == "guess" else FALLBACK

    def _depth(self, reading: Reading) -> int:
        """How much an open question may find out: more if its topic or much else was asked about before."""
        return min(self._topics[reading.intent] + reading.narrow, len(self.asked) // 2)

    def _conclude(self, reply: str) -> Step:
        reading = self._reading
        if not self._right and leaks(self.city, reply, reading.intent):
            reply = FALLBACK  # neither rules nor oracle may reveal the name
        self.asked.append((self._action, reply))
        info = {
            "valid": reading.act != "invalid",
            "intent": reading.intent,
            "in_scope": reading.act in ("ask", "guess"),
            "guess": reading.act == "guess",
        }
        if self._right:
            return reply, 0.0, True, False, {**info, "success": True}
        if len(self.asked) < MAX_QUESTIONS:
            return reply, -1.0, False, False, info
        # The game is twenty questions long, so running out of them loses it: terminated, not truncated.
        return reply, -1.0, True, False, {**info, "success": False}

    def topic(self, info: Mapping[str, Any]) -> str:
        return str(info["intent"] or "other")

    def _system(self) -> str:
        return (
            asset("guess_my_city", "oracle.txt")
            .strip()
            .replace("{city}", self.city.name)
            .replace("{country}", self.city.country)
        )

    def _parse(self, text: str) -> str | None:
        """A model's reply, or `None` if it is too long, reveals the city, or contradicts the facts."""
        line = reply_line(text, self.roles)
        reading = self._reading
        if line is None or len(line.split()) > MAX_REPLY_WORDS or leaks(self.city, line, reading.intent):
            return None
        verdict = holds(reading.test, self.city) if reading.test else None
        if (
            verdict is not None
            and line.lower().startswith(("no", "yes"))
            and line.lower().startswith("yes") != verdict
        ):
            return None
        return line

    def render(self) -> str:
        """The questions and answers so far, and how many questions are left."""
        rows = [
            f"{number:2}. {to_ascii(question[:100])}\n    {answer}"
            for number, (question, answer) in enumerate(self.asked, 1)
        ]
        left = MAX_QUESTIONS - len(self.asked)
        return "\n".join([*rows, f"{left} question{'' if left == 1 else 's'} left"])
