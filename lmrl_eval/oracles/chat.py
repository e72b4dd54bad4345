"""The chat oracle: an OpenAI-compatible endpoint answers, with retries and within a budget."""

from collections.abc import Sequence
from typing import Any

from lmrl_data.policy import Conversation
from lmrl_eval.endpoint import CONCURRENCY, FIRST_WAIT, TIMEOUT, ChatClient, ChatError, Question
from lmrl_eval.oracles.model import ModelOracle, OracleError, attempt_seed


class ChatOracle(ModelOracle):
    """Asks an endpoint for each reply: at temperature 0 first, at 1 when it asks again. See `ChatClient`.

    Args:
        spec (`str`): `chat:MODEL@URL`.
        seed (`int`, *optional*, defaults to `0`): sent with each request, mixed with the seed of the episode.
        max_tokens (`int`, *optional*, defaults to `64`): the maximum length of a reply.
        budget (`int`, *optional*): the maximum number of requests, retries included.
        concurrency (`int`, *optional*, defaults to `8`): the number of simultaneous requests.
        timeout (`float`, *optional*, defaults to `120`): seconds for one answer.
        first_wait (`float`, *optional*, defaults to `0.5`): seconds before the second try; doubled from try to try.

    Raises:
        UserError: for a bad spec or a number out of range.
    """

    def __init__(
        self,
        spec: str,
        *,
        seed: int = 0,
        max_tokens: int = 64,
        budget: int | None = None,
        concurrency: int = CONCURRENCY,
        timeout: float = TIMEOUT,
        first_wait: float = FIRST_WAIT,
    ) -> None:
        super().__init__(spec, seed)
        self.max_tokens = max_tokens
        self.batch_size = concurrency
        self.client = ChatClient(
            spec,
            "oracle",
            max_tokens=max_tokens,
            budget=budget,
            concurrency=concurrency,
            timeout=timeout,
            first_wait=first_wait,
        )

    def describe(self) -> dict[str, Any]:
        return {"spec": self.spec, "seed": self.seed, "reply_tokens": self.max_tokens}

    def work(self) -> dict[str, float]:
        return self.client.work()

    def write(self, views: Sequence[Conversation], attempt: int) -> list[str]:
        try:
            return [answer.text for answer in self.client.ask([self.question(view, attempt) for view in views])]
        except ChatError as error:
            raise OracleError(str(error)) from None

    def question(self, view: Conversation, attempt: int) -> Question:
        """The question that a dialogue becomes."""
        messages = [{"role": turn.role, "content": turn.content} for turn in view.visible]
        noise = (attempt_seed(self.seed, attempt), view.seed, len(view.turns))
        return Question(messages, 0.0 if attempt == 0 else 1.0, noise)
