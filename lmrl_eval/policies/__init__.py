"""Policies by name: `scripted:NAME`, `human`, `chat:MODEL@URL`, `MODULE:NAME`, a checkpoint folder or a model id."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmrl_data.errors import UserError
from lmrl_data.policy import Policy
from lmrl_data.task import Task
from lmrl_eval.policies.download import checkpoint_folder
from lmrl_eval.policies.function import Function, FunctionPolicy, is_function, load_function
from lmrl_eval.policies.human import HumanPolicy

if TYPE_CHECKING:
    from lmrl_eval.training_record import TrainingRecord

SCRIPTED, CHAT = "scripted:", "chat:"


def load_policy(
    spec: str | Function,
    task: Task,
    config: str,
    *,
    seed: int = 0,
    temperature: float = 1.0,
    beta: float | None = None,
    max_new_tokens: int | None = None,
    thinking: bool = False,
    device: str = "cpu",
    chat: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Policy:
    """The policy that `spec` names.

    Args:
        spec (`str` or `Callable`): `scripted:NAME`, `human`, `chat:MODEL@URL` (an OpenAI-compatible endpoint), a
            checkpoint folder, or a model id of the Hub; or a function of one's own (see `FunctionPolicy`), also as
            `MODULE:NAME`, whose module is imported. A folder with `value_model/` is value-guided; adapters are merged
            into their base model.
        task (`Task`): what it will play.
        config (`str`): the task's config.
        seed (`int`, *optional*, defaults to `0`): of the policy's own random numbers.
        temperature (`float`, *optional*, defaults to `1.0`): of a language model's sampling; `0` is greedy.
        beta (`float`, *optional*): the weight of the values in a value-guided checkpoint; by default its own.
        max_new_tokens (`int`, *optional*): the most tokens of an action; 32 by default, 1,024 with thoughts, 256 for a
            chat model and for calls of a tool.
        thinking (`bool`, *optional*, defaults to `False`): whether a checkpoint may think before an action.
        device (`str`, *optional*, defaults to `"cpu"`): the device of a model.
        chat (`Mapping`, *optional*): settings of chat models only (`shots`, `dataset`, `answers`, `budget`,
            `concurrency`): see `ChatPolicy`. With `answers="tool"` a checkpoint plays, too: see `ToolCallingPolicy`.
        options (`Mapping`, *optional*): the reset options of the episodes, which the map that a human sees depends on.

    Raises:
        UserError: for an unknown config or policy, a path that is no checkpoint, or a missing library.
    """
    task.config(config)
    chat = {name: value for name, value in (chat or {}).items() if value is not None}
    if not isinstance(spec, str):
        return FunctionPolicy(spec, task)
    tool = is_checkpoint(spec) and chat.get("answers") == "tool"
    if tool:
        del chat["answers"]
    if chat and not spec.startswith(CHAT):
        raise UserError(f"{spec[:80]} has no {next(iter(chat))}; that is for a policy chat:MODEL@URL")
    if spec in task.policies and not Path(spec).exists():
        raise UserError(f"{spec} is a scripted policy of {task.id}; write {SCRIPTED}{spec}")
    if is_checkpoint(spec):
        longest = (1024 if thinking else 256 if tool else 32) if max_new_tokens is None else max_new_tokens
        return _load_checkpoint(
            spec,
            task if tool else None,
            config,
            seed=seed,
            temperature=temperature,
            beta=beta,
            max_new_tokens=longest,
            thinking=thinking,
            device=device,
        )
    if thinking:
        raise UserError(f"{spec[:80]} cannot be told to think; --thinking on is for checkpoints")
    if beta is not None:
        raise UserError(f"{spec[:80]} has no beta; it belongs to value-guided checkpoints (mc, ilql)")
    if spec.startswith(CHAT):
        from lmrl_eval.policies.chat import ChatPolicy

        if max_new_tokens is not None:
            chat["max_new_tokens"] = max_new_tokens
        return ChatPolicy(spec, task, config, seed=seed, temperature=temperature, **chat)
    if spec == HumanPolicy.name:
        return HumanPolicy(task, config, options)
    if not spec.startswith(SCRIPTED):
        return FunctionPolicy(load_function(spec), task, spec)
    return task.policy(spec.removeprefix(SCRIPTED), config, seed)


def is_checkpoint(spec: str) -> bool:
    """Whether `spec` names weights, and not a script, a human, an endpoint or a function."""
    return spec != HumanPolicy.name and not spec.startswith((SCRIPTED, CHAT)) and not is_function(spec)


def describe_checkpoint(
    spec: str, policy: Policy, task: Task | None = None, config: str | None = None
) -> dict[str, Any] | None:
    """What a score says about a policy that is neither scripted nor human.

    A chat model and a function describe themselves. Of a checkpoint it is the source, a digest of the weights, its
    size, how it was sampled, what stood around its turns, and what its `training.json` says about its training; also
    whether that was for another task or config than these, if they are given.
    """
    player: Any = policy
    if spec.startswith(CHAT) or isinstance(policy, FunctionPolicy):
        return player.describe()
    if not is_checkpoint(spec):
        return None
    settings = {
        "parameters": player.model.num_parameters(),
        "temperature": player.temperature,
        "beta": getattr(player.model, "beta", None),
        "max_new_tokens": player.max_new_tokens,
        **player.turns.frame.facts(),
        **player.facts(),
    }
    from lmrl_eval.policies.loader import weights_digest

    folder = checkpoint_folder(spec)
    digest = weights_digest(folder, "**/*.safetensors")
    # The cache of the Hub's client names the folder of a model by its commit.
    revision = {} if Path(spec).expanduser().exists() else {"revision": folder.name}
    return {"source": spec, **revision, "weights_sha256": digest, **settings, **_made_from(folder, task, config)}


def _made_from(folder: Path, task: Task | None, config: str | None) -> dict[str, str]:
    """The facts of a `training.json` that a score repeats; none from a damaged one.

    A checkpoint that was trained for another task, config or version than it plays says so as `trained_for`.
    """
    record = _training_record(folder)
    if record is None or record.kind != "policy":
        return {}
    facts = {"algorithm": record.algorithm, "dataset": record.dataset, "dataset_revision": record.dataset_revision}
    # The dataset of a local build is named by the version of the rules that made it.
    build = re.fullmatch(r"v(\d+\.\d+\.\d+)", record.dataset_revision or "")
    version = build[1] if build else record.task_version
    if task is not None and (record.task, record.config, version) != (task.id, config, task.version):
        older = f", version {version}" if record.task == task.id and version != task.version else ""
        facts["trained_for"] = f"{record.task} {record.config}{older}"
    return {name: value for name, value in facts.items() if value is not None}


def _training_record(folder: Path) -> "TrainingRecord | None":
    """The training record of a checkpoint; a policy plays without one, and with a damaged one."""
    from lmrl_eval.training_record import read_training_record

    try:
        return read_training_record(folder)
    except UserError:
        return None


def _load_checkpoint(
    spec: str,
    called: Task | None,
    config: str,
    *,
    seed: int,
    temperature: float,
    beta: float | None,
    max_new_tokens: int,
    thinking: bool,
    device: str,
) -> Policy:
    folder = checkpoint_folder(spec)
    name = folder.resolve().name if Path(spec).expanduser().exists() else spec
    if temperature < 0:
        raise UserError(f"the temperature is not negative, got {temperature}")
    if max_new_tokens < 1:
        raise UserError(f"an action has at least 1 token, got max_new_tokens={max_new_tokens}")
    sampling: dict[str, Any] = {"seed": seed, "temperature": temperature, "max_new_tokens": max_new_tokens}
    with _loading(spec):
        if (folder / "value_model").is_dir():
            if thinking or called is not None:
                setting = "--thinking on" if thinking else "--answers tool"
                raise UserError(f"{spec} has values, which know nothing but actions; leave out {setting}")
            from lmrl_eval.policies.value_guided import load_value_guided

            policy = load_value_guided(str(folder), beta=beta, name=name, device=device, **sampling)
            # One checkpoint is as many policies as there are betas.
            policy.name = f"{name} (beta={policy.model.beta:g})"
            _check_frame(spec, folder, policy)
            return policy
        if beta is not None:
            raise UserError(f"{spec} has no beta: it has no value_model/; train it with mc or ilql")
        from lmrl_eval.policies.language_model import LanguageModelPolicy
        from lmrl_eval.policies.loader import load_checkpoint, load_tokenizer

        model, tokenizer = load_checkpoint(folder).to(device), load_tokenizer(folder)
        settings = {**sampling, "thinking": thinking}
        if called is None:
            policy = LanguageModelPolicy(model, tokenizer, name=name, **settings)
        else:
            from lmrl_eval.policies.tool_calling import ToolCallingPolicy

            policy = ToolCallingPolicy(model, tokenizer, called, config, name=f"{name} (tool)", **settings)
        _check_frame(spec, folder, policy)
        return policy


def _check_frame(spec: str, folder: Path, policy: Any) -> None:
    """Checks that the texts around a policy's turns are those of its training, where `training.json` has them."""
    record = _training_record(folder)
    trained = record and record.prompt_frame_sha256
    if trained and policy.turns.frame.thinking:
        raise UserError(f"{spec} was trained without thinking, as its training.json says; leave out --thinking on")
    if trained and trained != policy.turns.frame.facts()["prompt_frame_sha256"]:
        raise UserError(
            f"{spec} was trained with another chat template than it has now: bring the old chat_template.jinja back, "
            "or take prompt_frame_sha256 out of its training.json"
        )


@contextmanager
def _loading(spec: str) -> Iterator[None]:
    """Hides the libraries' progress bars and turns any error that a damaged checkpoint causes into one line."""
    try:
        from transformers.utils import logging

        bars = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            yield
        finally:
            if bars:
                logging.enable_progress_bar()
    except UserError:
        raise
    except ModuleNotFoundError as error:
        raise UserError(f'{error.name} is not installed; run: pip install "lmrl[eval]"') from None
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"cannot load {spec}: {lines[0][:300]}") from None
