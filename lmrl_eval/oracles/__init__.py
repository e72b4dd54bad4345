"""Oracles by name: `grounded`, `lm:FOLDER` or `chat:MODEL@URL` speaks for the other side of a dialogue."""

from lmrl_data.dialogue.simulator import GroundedSimulator
from lmrl_data.errors import UserError
from lmrl_data.task import Task
from lmrl_eval.oracles.model import ModelOracle, OracleError

GROUNDED, LM, CHAT = "grounded", "lm:", "chat:"

__all__ = ["GROUNDED", "ModelOracle", "OracleError", "load_oracle"]


def load_oracle(
    spec: str | None, task: Task, *, seed: int = 0, budget: int | None = None, device: str = "cpu"
) -> ModelOracle | None:
    """The oracle that `spec` names.

    Args:
        spec (`str`, *optional*): `grounded` (the simulator's own replies, the default), `lm:` and a checkpoint folder
            or a model id of the Hub, or `chat:MODEL@URL`, an OpenAI-compatible endpoint.
        task (`Task`): a dialogue task.
        seed (`int`, *optional*, defaults to `0`): seed of the oracle's own noise.
        budget (`int`, *optional*): the maximum number of requests of a chat oracle.
        device (`str`, *optional*, defaults to `"cpu"`): the device of a language model.

    Returns:
        [`ModelOracle`] or `None`: `None` for the grounded one.

    Raises:
        UserError: for an unknown oracle, a task without a dialogue, or an invalid checkpoint or URL.
    """
    spec = spec or GROUNDED
    if budget is not None and not spec.startswith(CHAT):
        raise UserError("a budget is the number of requests of a chat oracle; give it with --oracle chat:MODEL@URL")
    if spec == GROUNDED:
        return None
    if not spec.startswith((LM, CHAT)):
        raise UserError(
            f"unknown oracle {spec[:80]!r}: an oracle speaks for the other side of a dialogue; choose from: grounded "
            "(the rules), lm:FOLDER (or a model id of the Hub), chat:MODEL@URL"
        )
    simulator = task.simulator(config=task.default_config)
    if not isinstance(simulator, GroundedSimulator):
        raise UserError(f"{task.id} has no dialogue, so no oracle can speak in it; leave --oracle away")
    if spec.startswith(CHAT):
        from lmrl_eval.oracles.chat import ChatOracle

        return ChatOracle(spec, seed=seed, max_tokens=simulator.reply_tokens, budget=budget)
    from lmrl_eval.policies import describe_checkpoint, is_checkpoint, load_policy

    name = spec.removeprefix(LM)
    if not name or not is_checkpoint(name):
        raise UserError("an lm: oracle is a checkpoint folder or a model id of the Hub, e.g. --oracle lm:runs/oracle")
    policy = load_policy(
        name, task, task.default_config, temperature=0.0, max_new_tokens=simulator.reply_tokens, device=device
    )
    from lmrl_eval.oracles.language_model import LanguageModelOracle
    from lmrl_eval.policies.language_model import LanguageModelPolicy

    assert isinstance(policy, LanguageModelPolicy)
    return LanguageModelOracle(policy, spec=spec, seed=seed, checkpoint=describe_checkpoint(name, policy))
