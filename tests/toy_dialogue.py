"""A dialogue task of a few lines, for what holds for all of them: guess the fruit, in yes and no or in free words."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lmrl_data.config import Config, ReferenceReturns
from lmrl_data.dialogue.simulator import Answer, GroundedSimulator, reply_line
from lmrl_data.policy import Conversation, Policy
from lmrl_data.rollout import play_episode as play
from lmrl_data.simulator import Simulator, Step
from lmrl_data.task import Behavior, Protocol, Task
from lmrl_eval.oracles.model import ModelOracle

FRUITS = {"apple": {"red", "round"}, "banana": {"yellow", "long"}, "cherry": {"red", "small"}, "plum": {"round"}}
WORDS = ("red", "round", "yellow", "long", "small")
TURNS = 4


class FruitSimulator(GroundedSimulator):
    """`closed`: the model sees one question and says yes or no. `free`: it sees all, and may not say the name."""

    reply_tokens = 6
    turn_info = GroundedSimulator.turn_info | {"match"}

    def __init__(
        self, config: Config, oracle: Any = None, render_mode: str | None = None, options: Any = None
    ) -> None:
        super().__init__(config, oracle, render_mode, options)
        self.view_history = 1 if config.name == "closed" else None

    def _begin(self, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        self.fruit = str(self.np_random.choice(list(FRUITS)))
        self.asked = 0
        return "Questions:", {"fruit": self.fruit}

    def _consider(self, action: str) -> Answer:
        word = action[:50].lower().removeprefix("is it ").rstrip("?")
        self.won = word == self.fruit
        self.match = word if word in WORDS else None
        self.yes = self.won or word in FRUITS[self.fruit]
        reply = ("Yes" if self.yes else "No") + ("." if self.config == "closed" else f", {word[:20]}.")
        return Answer(reply, None if self.won else "No." if self.config == "closed" else reply)

    def _conclude(self, reply: str) -> Step:
        self.asked += 1
        ended = self.won or self.asked == TURNS
        info: dict[str, Any] = {"valid": True, "match": self.match}
        return reply, 0.0 if self.won else -1.0, ended, False, info | ({"success": self.won} if ended else {})

    def topic(self, info: Mapping[str, Any]) -> str:
        return str(info["match"] or "other")

    def _system(self) -> str:
        return f"The fruit is {self.fruit}."

    def _parse(self, text: str) -> str | None:
        line = reply_line(text)
        if line is None:
            return None
        if self.config == "closed":
            word = line.lower().rstrip(".!")
            return {"yes": "Yes.", "no": "No."}.get(word)
        return None if self.fruit in line.lower() else line


class Scripted(ModelOracle):
    """Says what a function of the dialogue and the attempt gives."""

    def __init__(self, say: Callable[[Conversation, int], str]) -> None:
        super().__init__("scripted", 0)
        self.say = say
        self.batches: list[tuple[int, int]] = []

    def write(self, views: Sequence[Conversation], attempt: int) -> list[str]:
        self.batches.append((attempt, len(views)))
        return [self.say(view, attempt) for view in views]

    def describe(self) -> dict[str, Any]:
        return {"spec": self.spec}


class Asker(Policy):
    """Asks for one word after the other, then for plums."""

    name = "asker"

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        asked = [len(conversation.turns) // 2 for conversation in conversations]
        return [f"Is it {(*WORDS[:3], 'plum')[number]}?" for number in asked]


def _generate(simulator: Simulator, seed: int) -> Any:
    questions = iter(f"Is it {WORDS[(seed + number) % len(WORDS)]}?" for number in range(TURNS))
    return play("toy", simulator, seed, "asker", lambda _: next(questions))


REFERENCE = ReferenceReturns(-4, -3, -1, -1, "made up")
POLICIES: Mapping[str, Any] = {"asker": lambda config, seed: Asker()}
TASK = Task(
    id="toy",
    version="1",
    summary="Guess the fruit.",
    configs={name: Config(name, name, None, REFERENCE) for name in ("closed", "free")},
    simulator_class=FruitSimulator,
    behaviors=(Behavior("asker", 1.0, _generate),),
    num_episodes={"train": 40, "test": 10},
    max_turns=TURNS,
    protocols={"paper": Protocol("twelve", 12)},
    policies=POLICIES,
    instructions="Guess the fruit.",
)
