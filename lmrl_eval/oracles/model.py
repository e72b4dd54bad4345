"""The model oracle: asks a model for a reply, checks it strictly, asks again, and falls back."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from lmrl_data.dialogue.simulator import Prompt
from lmrl_data.errors import UserError
from lmrl_data.policy import Conversation
from lmrl_eval.score import ORACLE_COUNTS

ATTEMPTS = 3  # the first without noise, the others sampled


class OracleError(UserError):
    """The oracle can answer no further prompt: its endpoint keeps failing, or its budget is spent."""


class Answer(NamedTuple):
    """The answer to one prompt.

    Args:
        reply (`str`): the reply that the simulator gets.
        texts (`tuple[str, ...]`): the model's texts, attempt by attempt; empty where the rules speak.
        replaced (`bool`): whether no text was a valid reply, so that the reply is the prompt's fallback.
    """

    reply: str
    texts: tuple[str, ...]
    replaced: bool


class ModelOracle(ABC):
    """Answers with a model's texts where the simulator can read them.

    All prompts of a turn are sent to the model together. A text that is not a valid reply is requested up to two more
    times, with sampling; then the prompt's fallback is used. Where the rules decide the reply, the model is not asked.

    Args:
        spec (`str`): the user's name for the oracle, copied into scores.
        seed (`int`): seed of the sampling, beside that of each episode.

    Attributes:
        batch_size (`int`, *optional*): the most episodes worth playing at a time; more are not faster, and they are
            lost if the oracle fails.
    """

    batch_size: int | None = None

    def __init__(self, spec: str, seed: int) -> None:
        if seed < 0:
            raise UserError(f"an oracle's seed is 0 or more, got {seed}")
        self.spec = spec
        self.seed = seed
        self._counts: Counter[str] = Counter()
        self._by_seed: dict[int, Counter[str]] = {}

    @abstractmethod
    def write(self, views: Sequence[Conversation], attempt: int) -> list[str]:
        """One text for each dialogue: the most likely one at attempt 0, a sample later.

        Raises:
            OracleError: if the model cannot answer.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The facts about this oracle that a score records; no secrets."""

    def work(self) -> dict[str, float]:
        """The cost of the answers (tokens, requests); only these counts may differ from run to run."""
        return {}

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        return [answer.reply for answer in self.ask(prompts)]

    def ask(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """`answer`, together with the model's texts."""
        views = {index: prompt.view() for index, prompt in enumerate(prompts) if prompt.view is not None}
        texts: dict[int, list[str]] = {index: [] for index in views}
        replies: dict[int, str] = {}
        for attempt in range(ATTEMPTS):
            waiting = [index for index in views if index not in replies]
            if not waiting:
                break
            for index, text in zip(waiting, self.write([views[index] for index in waiting], attempt), strict=True):
                texts[index].append(text)
                reply = prompts[index].parse(text)
                if reply is not None:
                    replies[index] = reply
        answers = []
        for index, prompt in enumerate(prompts):
            if index not in views:
                answers.append(Answer(prompt.grounded, (), False))
                continue
            replaced = index not in replies
            answers.append(Answer(replies.get(index, prompt.fallback), tuple(texts[index]), replaced))
            counts = {"asked": 1, "regenerated": int(len(texts[index]) > 1), "replaced": int(replaced)}
            self._counts.update(counts)
            self._by_seed.setdefault(views[index].seed, Counter()).update(counts)
        return answers

    def statistics(self) -> dict[str, float]:
        """Counts since the oracle was made: `asked` (prompts), `regenerated` (of those, asked more than once),
        `replaced` (of those, never answered), and `work`."""
        return {name: float(self._counts[name]) for name in ORACLE_COUNTS} | self.work()

    def begin(self) -> None:
        """Drops the counts of unfinished episodes."""
        self._by_seed.clear()

    def counts(self, seed: int) -> dict[str, int]:
        """The counts of the finished episode of that seed."""
        counts = self._by_seed.pop(seed, Counter())
        return {name: counts[name] for name in ORACLE_COUNTS}


def attempt_seed(seed: int, attempt: int) -> int:
    """The seed of a later attempt; mixed, because a policy may use a neighbor of `seed`."""
    import numpy as np

    return int(np.random.SeedSequence([seed, 0x0AC1E, attempt]).generate_state(1)[0])
