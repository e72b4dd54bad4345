"""The chat policy: a model behind an OpenAI-compatible endpoint plays by its prompt."""

import copy
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from lmrl_data.errors import UserError, unknown
from lmrl_data.policy import Conversation, Policy
from lmrl_data.task import Task
from lmrl_eval.endpoint import CONCURRENCY, FIRST_WAIT, PREFIX, TIMEOUT, Answer, ChatClient, Endpoint, Question
from lmrl_eval.policies.answer import ADVICE, FORMS, READERS, complaint, first_line, read_calls
from lmrl_eval.policies.prompt import chat_messages, load_examples, prompt_facts, system_message

ATTEMPTS = 2  # an answer that cannot be read is requested once more
MAX_SHOTS = 32
NOISE = 0xC4A7  # separates the policy's random stream from others with the same seed


class Client(Protocol):
    """Answers a chat policy's questions, as `ChatClient` does."""

    endpoint: Endpoint

    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """One answer per question, in order."""
        ...

    def work(self) -> dict[str, float]:
        """Counts of requests and tokens; may be empty."""
        ...


class ChatPolicy(Policy):
    """Plays through an endpoint (see `ChatClient`): the system message has the rules and `shots` examples, and the
    conversation follows as any policy sees it.

    An answer that cannot be read is requested once more at a temperature of at least 1; after that its first line is
    played unchanged. Where a tool is called, an answer is read if it has one call, of the task's tool, with its
    argument as a text, whatever is written beside it. After the second try, the first such call of several is played.

    Args:
        spec (`str`): `chat:MODEL@URL`.
        task (`Task`): what it will play.
        config (`str`): the task's config.
        seed (`int`, *optional*, defaults to `0`): picks the examples and, mixed with the episode's seed, goes with
            each request.
        temperature (`float`, *optional*, defaults to `1.0`): of the endpoint's sampling.
        max_new_tokens (`int`, *optional*, defaults to `256`): the most tokens of an answer.
        shots (`int`, *optional*, defaults to `0`): the number of successful episodes in the system message.
        dataset (`str`, *optional*, defaults to `lmrl/<task>`): the dataset with these episodes.
        answers (`str`, *optional*, defaults to `"plain"`): `"plain"`, `"json"` for `{"action": "..."}`, or `"tool"`
            for a call of the task's tool.
        budget (`int`, *optional*): the most requests, including retries.
        concurrency (`int`, *optional*, defaults to `8`): the most requests at the same time.
        timeout (`float`, *optional*, defaults to `120`): seconds for one answer.
        first_wait (`float`, *optional*, defaults to `0.5`): seconds before the second try; doubled with each try.
        client (`Client`, *optional*): answers the questions; an endpoint's client otherwise, made from the spec and
            the settings above.

    Raises:
        UserError: for a bad spec, a number out of range, or a dataset that cannot be read.
    """

    def __init__(
        self,
        spec: str,
        task: Task,
        config: str,
        *,
        seed: int = 0,
        temperature: float = 1.0,
        max_new_tokens: int = 256,
        shots: int = 0,
        dataset: str | None = None,
        answers: str = "plain",
        budget: int | None = None,
        concurrency: int = CONCURRENCY,
        timeout: float = TIMEOUT,
        first_wait: float = FIRST_WAIT,
        client: Client | None = None,
    ) -> None:
        if answers not in FORMS:
            raise unknown("form of answers", answers, FORMS)
        if not 0 <= shots <= MAX_SHOTS:
            raise UserError(f"the shots are 0 to {MAX_SHOTS} examples, got {shots}")
        if dataset is not None and not shots:
            raise UserError("a dataset is for examples; say how many with --shots, e.g. --shots 2")
        if not 0 <= temperature < math.inf:
            raise UserError(f"temperature is 0 (greedy) or more, got {temperature}")
        for name, number, least in (
            ("seed", seed, 0), ("max_new_tokens", max_new_tokens, 1), ("batch size", concurrency, 1),
        ):  # fmt: skip
            if number < least:
                raise UserError(f"the {name} of a chat policy is at least {least}, got {number}")
        self.client: Client = client or ChatClient(
            spec,
            "policy",
            max_tokens=max_new_tokens,
            budget=budget,
            concurrency=concurrency,
            timeout=timeout,
            first_wait=first_wait,
        )
        self.seed = seed
        self.temperature = temperature
        self.max_new_tokens = max_new_tokens
        self.shots = shots
        self.dataset = (dataset or f"lmrl/{task.id}") if shots else None
        self.answers = answers
        self.tool = task.tool
        self.instructions = task.instructions
        examples = load_examples(task, config, self.dataset, shots, seed) if self.dataset else []
        self.system = system_message(
            task.instructions, examples, answers, markov=task.config(config).markov, tool=task.tool
        )
        self.name = self._name()
        self._counts: Counter[str] = Counter()

    def _name(self) -> str:
        model = self.client.endpoint.model
        # Some local servers name a model by its folder.
        model = model.rstrip("/").rpartition("/")[2] if model.startswith("/") else model
        notes = [f"{self.shots} shots"] * bool(self.shots) + [self.answers] * (self.answers != "plain")
        return f"{PREFIX}{model}" + (f" ({', '.join(notes)})" if notes else "")

    def describe(self) -> dict[str, Any]:
        """What a score says about this policy, without secrets."""
        return {
            "source": f"{PREFIX}{self.client.endpoint.model}",
            # Without the path, where some proxies have a key.
            "host": urlsplit(self.client.endpoint.url).netloc,
            "temperature": self.temperature,
            "max_new_tokens": self.max_new_tokens,
            "answers": self.answers,
            "shots": self.shots,
            "dataset": self.dataset,
            **prompt_facts(self.instructions, self.system, self.answers, self.tool),
        }

    def greedy(self) -> "ChatPolicy":
        """The same policy at temperature 0; it shares the endpoint, the budget and the counts."""
        twin = copy.copy(self)
        twin.temperature = 0.0
        return twin

    def statistics(self) -> dict[str, float]:
        """Counts since the policy was made: `requests`, among them `retries` and `errors`; `cut` and `unparsable`
        answers; `raw` answers that were played unparsed; and `prompt_tokens` and `completion_tokens`, if the endpoint
        counts them."""
        work = self.client.work()
        tokens = {name: work.pop(name, 0.0) for name in ("prompt_tokens", "completion_tokens")}
        counts = {name: float(self._counts[name]) for name in ("unparsable", "raw")}
        return work | counts | {name: number for name, number in tokens.items() if number}

    def complaint(self) -> str | None:
        """Says so if more than one answer in ten was cut or could not be read."""
        counts = self.statistics()
        answers = counts.get("requests", 0.0) - counts.get("errors", 0.0)
        advice = ADVICE[self.answers]
        return complaint(answers, counts["unparsable"], counts.get("cut", 0.0), self.max_new_tokens, advice)

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        prompts = [self.messages(conversation) for conversation in conversations]
        actions: dict[int, str] = {}
        texts = [""] * len(prompts)
        for attempt in range(ATTEMPTS):
            waiting = [index for index in range(len(prompts)) if index not in actions]
            if not waiting:
                break
            temperature = self.temperature if attempt == 0 else max(1.0, self.temperature)
            questions = []
            for index in waiting:
                conversation = conversations[index]
                noise = (self.seed, NOISE, conversation.seed, len(conversation.turns), attempt)
                tool = self.tool if self.answers == "tool" else None
                questions.append(Question(prompts[index], temperature, noise, tool))
            for index, answer in zip(waiting, self.client.ask(questions), strict=True):
                action, text = self.read(answer)
                if action is None:
                    self._counts["unparsable"] += 1
                    texts[index] = text if first_line(text) else texts[index]
                else:
                    actions[index] = action
        self._counts["raw"] += len(prompts) - len(actions)
        return [actions.get(index, first_line(text)) for index, text in enumerate(texts)]

    def read(self, answer: Answer) -> tuple[str | None, str]:
        """The action of an answer, `None` if it cannot be read, and the text whose first line is played then."""
        if self.answers == "tool":
            actions = read_calls(answer.calls, self.tool)
            action = actions[0] if len(answer.calls) == len(actions) == 1 else None
            text = actions[0] if actions else answer.text
        else:
            action, text = READERS[self.answers](answer.text), answer.text
        # Half a surrogate pair can neither be stored nor sent.
        return action and _whole(action), _whole(text)

    def messages(self, conversation: Conversation) -> list[dict[str, Any]]:
        """The chat that is sent for a conversation."""
        return chat_messages(self.system, conversation.visible, self.answers, self.tool)


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
