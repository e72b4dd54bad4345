"""The language-model oracle: a checkpoint answers all running episodes at once and encodes no dialogue twice."""

from collections.abc import Mapping, Sequence
from typing import Any

from lmrl_data.policy import Conversation
from lmrl_eval.oracles.model import ATTEMPTS, ModelOracle, attempt_seed
from lmrl_eval.policies.language_model import LanguageModelPolicy


class LanguageModelOracle(ModelOracle):
    """Plays a language-model policy with the roles swapped: in an oracle's dialogue the model is the assistant.

    Replies depend on the model, the seeds and the dialogue. A dialogue that is longer than the model's context is
    truncated on the left, instructions first; use a model whose context takes a whole episode.

    Args:
        policy (`LanguageModelPolicy`): of temperature 0; writes at most as many tokens as a reply has.
        spec (`str`): the user's name for the oracle.
        seed (`int`, *optional*, defaults to `0`): seed of the sampling when the model is asked again.
        checkpoint (`Mapping`, *optional*): the origin of the weights, copied into scores.
    """

    def __init__(
        self, policy: LanguageModelPolicy, *, spec: str, seed: int = 0, checkpoint: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(spec, seed)
        self.checkpoint = dict(checkpoint or {})
        self.policies = [policy]
        for attempt in range(1, ATTEMPTS):
            # A copy with a cache of its own: few dialogues are asked again, and the first policy keeps its cache.
            sampler = policy.greedy()
            sampler.temperature = 1.0
            sampler.seed = attempt_seed(seed, attempt)
            self.policies.append(sampler)

    def write(self, views: Sequence[Conversation], attempt: int) -> list[str]:
        return self.policies[attempt].act(views)

    def describe(self) -> dict[str, Any]:
        settings = {"seed": self.seed, "reply_tokens": self.policies[0].max_new_tokens}
        return {"spec": self.spec, "weights_sha256": self.checkpoint.get("weights_sha256"), **settings}

    def work(self) -> dict[str, float]:
        statistics = [policy.statistics() for policy in self.policies]
        return {name: sum(counts[name] for counts in statistics) for name in statistics[0]}
