"""What every model that answers in a dialogue simulator shares: ask, read strictly, ask again, and fall back."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from lmrl_data.dialogue.simulator import Prompt
from lmrl_data.errors import UserError
from lmrl_data.policy import Conversation

ATTEMPTS = 3  # the first without noise, the others sampled
COUNTS = ("asked", "regenerated", "replaced")


class OracleError(UserError):
    """The oracle cannot answer any more, whatever is asked: its endpoint fails, or its budget is spent."""


class Answer(NamedTuple):
    """What came of one prompt.

    Args:
        reply (`str`): what is said.
        texts (`tuple[str, ...]`): what the model wrote, attempt by attempt; empty where the rules speak.
        replaced (`bool`): whether none of them was a reply, so that the prompt's fallback is said.
    """

    reply: str
    texts: tuple[str, ...]
    replaced: bool


class ModelOracle(ABC):
    """Answers with a model's words, as far as the simulator can read them.

    All prompts of a turn are asked together. What is no reply is asked again, sampled, twice at most; then the
    prompt's fallback is said. Where the rules decide what is said, nobody is asked.

    Args:
        spec (`str`): what the user named it by; kept in scores.
        seed (`int`): of the sampling, beside each episode's own.

    Attributes:
        batch_size (`int`, *optional*): more episodes at a time make nothing faster and are lost when it fails.
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
        """One text for each dialogue: the likeliest at attempt 0, a sample later.

        Raises:
            OracleError: if there is no answer to be had.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What a score tells about this oracle; no secrets."""

    def work(self) -> dict[str, float]:
        """What the answers cost (tokens, requests); the only counts that may differ from run to run."""
        return {}

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        return [answer.reply for answer in self.ask(prompts)]

    def ask(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """`answer`, with what the model wrote."""
        views = {index: prompt.view() for index, prompt in enumerate(prompts) if prompt.view is not None}
        texts: dict[int, list[str]] = {index: [] for index in views}
        replies: dict[int, str] = {}
        for attempt in range(ATTEMPTS):
            waiting = [index for index in views if index not in replies]
            if not waiting:
                break
            written = self.write([views[index] for index in waiting], attempt)
            for index, text in zip(waiting, written, strict=True):
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
        `replaced` (of those, never answered), and what it cost."""
        return {name: float(self._counts[name]) for name in COUNTS} | self.work()

    def begin(self) -> None:
        """Begins the episodes' counts anew: what was left unfinished is not counted."""
        self._by_seed.clear()

    def counts(self, seed: int) -> dict[str, int]:
        """The counts of the episode of that seed, which is over."""
        counted = self._by_seed.pop(seed, Counter())
        return {name: counted[name] for name in COUNTS}


def attempt_seed(seed: int, attempt: int) -> int:
    """The seed of a later attempt: not a neighbour of `seed`, which a policy may have."""
    import numpy as np

    return int(np.random.SeedSequence([seed, 0x0AC1E, attempt]).generate_state(1)[0])
