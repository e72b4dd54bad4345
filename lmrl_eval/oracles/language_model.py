"""The language-model oracle: a checkpoint answers for all running episodes at once and encodes no dialogue twice."""

from collections.abc import Mapping, Sequence
from typing import Any

from lmrl_data.policy import Conversation
from lmrl_eval.oracles.model import ATTEMPTS, ModelOracle, attempt_seed
from lmrl_eval.policies.language_model import LanguageModelPolicy


class LanguageModelOracle(ModelOracle):
    """Speaks as a policy does, with the roles swapped: in an oracle's dialogue the model is the assistant.

    What it says depends on the model, the seeds and the dialogue. A dialogue longer than the model can read is cut off
    on the left, its instructions first; use a model that takes a whole episode.

    Args:
        policy (`LanguageModelPolicy`): at temperature 0; writes at most as many tokens as a reply has.
        spec (`str`): what the user named it by.
        seed (`int`, *optional*, defaults to `0`): of the sampling when it is asked again.
        checkpoint (`Mapping`, *optional*): where the weights are from, kept in scores.
    """

    def __init__(
        self, policy: LanguageModelPolicy, *, spec: str, seed: int = 0, checkpoint: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(spec, seed)
        self.checkpoint = dict(checkpoint or {})
        self.policies = [policy]
        for attempt in range(1, ATTEMPTS):
            # A twin with a memory of its own: few are asked again, and the others' keys and values stay at hand.
            twin = policy.greedy()
            twin.temperature = 1.0
            twin.seed = attempt_seed(seed, attempt)
            self.policies.append(twin)

    def write(self, views: Sequence[Conversation], attempt: int) -> list[str]:
        return self.policies[attempt].act(views)

    def describe(self) -> dict[str, Any]:
        settings = {"seed": self.seed, "reply_tokens": self.policies[0].max_new_tokens}
        return {"spec": self.spec, "weights_sha256": self.checkpoint.get("weights_sha256"), **settings}

    def work(self) -> dict[str, float]:
        counted = [policy.statistics() for policy in self.policies]
        return {name: sum(each[name] for each in counted) for name in counted[0]}
