"""What `mc` and `ilql` share: the training items of a dataset, the collator, and a trainer that saves policies."""

import copy
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from accelerate import PartialState
from datasets import Dataset, Features, List, Value
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from trl import get_peft_config
from trl.trainer.base_config import _BaseConfig
from trl.trainer.base_trainer import _BaseTrainer
from trl.trainer.utils import pad

from lmrl_data import Episode, UserError, get_task
from lmrl_data.dataset.folder import check_path
from lmrl_data.dataset.foreign import load_dataset
from lmrl_data.tasks import TASKS
from lmrl_data.tokenization import TurnTokenizer, training_items
from lmrl_eval.policies import loader
from lmrl_eval.policies.attention import check_plays
from lmrl_eval.policies.download import check_revision
from lmrl_eval.policies.language_model import LanguageModelPolicy
from lmrl_eval.policies.value_guided import ValueGuidedModel, new_value_model, save_value_model
from lmrl_recipes.training.finish import data_of, finish, push_target, training_record
from lmrl_recipes.training.settings import VALUES, Reasons, check_settings
from lmrl_recipes.training.start import Settings, newest_checkpoint

Batch = dict[str, torch.Tensor]
# The private methods of transformers that `ValueTrainer` overrides; `tests/recipes/test_trl_seams.py` holds them.
OVERRIDDEN = {
    "Trainer._save": "a checkpoint is a behavior LM and a value model, with the targets to resume from",
    "Trainer._load_from_checkpoint": "reads the trained weights and the targets back",
    "Trainer._get_num_items_in_batch": "the loss is a mean over action tokens; transformers would count labels",
}
HELD_ITEMS = 100_000  # at most so many are kept in memory, where a batch of thousands is read 15 times faster
# The columns of a dataset of training items.
ITEM = Features(
    {name: List(Value("int32")) for name in ("input_ids", "action_mask", "next_input_ids")}
    | {name: List(Value("float32")) for name in ("rewards", "returns")}
)


@dataclass
class OfflineConfig(_BaseConfig):
    """Settings of every offline value-based recipe; the optimizer's are the paper's (appendix, Table 3)."""

    refused: ClassVar[Reasons] = VALUES

    gamma: float = field(default=0.99, metadata={"help": "Discount per action token (not per turn), as in the paper."})
    beta: float = field(default=16.0, metadata={"help": "Recommended weight of the values at decoding time."})
    cql_weight: float = field(default=0.01, metadata={"help": "Weight of the cross-entropy of softmax(Q)."})
    value_bias: float = field(default=0.0, metadata={"help": "What all values start at."})
    reward_scale: float = field(default=1.0, metadata={"help": "Rewards are multiplied by this; values then are too."})
    window_stride: int = field(default=10, metadata={"help": "New actions per window once the history is full."})
    simulator_episodes: int = field(default=0, metadata={"help": "Episodes per evaluation in the simulator; 0: none."})
    simulator_steps: int = field(default=0, metadata={"help": "Evaluate every so many steps; 0: only at the end."})
    overwrite_output_dir: bool = field(default=False, metadata={"help": "Write over the run in the output folder."})

    learning_rate: float = field(default=1e-4)
    lr_scheduler_type: str = field(default="constant")
    adam_beta2: float = field(default=0.95)
    gradient_checkpointing: bool = field(default=False)
    bf16: bool | None = field(default=False)
    remove_unused_columns: bool = field(default=False)
    average_tokens_across_devices: bool = field(default=True)

    def __post_init__(self) -> None:
        check_settings(vars(self), [type(self)])
        super().__post_init__()


def load_rows(dataset_name: str | None, config: str | None, split: str) -> Dataset:
    """The episodes of a dataset of ours.

    Raises:
        UserError: if there is no such dataset or config, or its rows are no episodes.
    """
    if not dataset_name:
        raise UserError("dataset_name is missing: name a dataset, e.g. lmrl/maze")
    if Path(dataset_name).exists():
        check_path(dataset_name)
    try:
        rows = load_dataset(dataset_name, config, split=split)
    except UserError:
        raise
    except (ValueError, FileNotFoundError, ConnectionError) as error:
        reason = str(error).strip().splitlines()[0]
        task = Path(dataset_name).name
        build = f"; run: lmrl-data build {task}" if task in TASKS and not Path(dataset_name).exists() else ""
        raise UserError(f"cannot load {dataset_name} {config or ''} {split}: {reason[:200]}{build}") from None
    missing = {"task", "config", "messages", "rewards"} - set(rows.column_names)
    if missing:
        raise UserError(f"{dataset_name} {config or ''} holds no episodes: it has no column {min(missing)!r}")
    tasks = set(rows.unique("task"))
    if len(tasks) > 1:
        raise UserError(f"{dataset_name} mixes episodes of {', '.join(sorted(tasks))}; train on one task at a time")
    return rows


def make_items(rows: Dataset, tokenizer: Any, *, gamma: float, stride: int, reward_scale: float = 1.0) -> Dataset:
    """The training items of all episodes, in their order, on disk: a million games do not fit in memory.

    `reward_scale` is for rewards of 0 and 1. The CQL loss is a softmax over values; between 0 and 1 it is never small,
    so it keeps pushing up the values of the data's tokens, and the bootstrap multiplies them.
    """
    turn_tokenizer = TurnTokenizer(tokenizer)
    history = get_task(rows[0]["task"]).config(rows[0]["config"]).history

    def cut(batch: dict[str, list]) -> dict[str, list]:
        columns: dict[str, list] = {name: [] for name in ITEM}
        for values in zip(*batch.values(), strict=True):
            episode = Episode.from_row(dict(zip(batch, values, strict=True)))
            for item in training_items(turn_tokenizer, episode, history, gamma=gamma, stride=stride):
                for name, value in item._asdict().items():
                    scaled = name in ("rewards", "returns") and reward_scale != 1.0
                    columns[name].append([reward_scale * number for number in value] if scaled else value)
        return columns

    return rows.map(
        cut, batched=True, batch_size=256, remove_columns=rows.column_names, features=ITEM, desc="Tokenizing"
    )


class ItemCollator:
    """Pads items to the batch's longest, on the right, and keeps one copy of each distinct sequence.

    Markov tasks repeat themselves: a batch of 128 maze steps has some 50 different ones. Each of them goes through the
    networks once. `rows` and `next_rows` are the indices of an item's sequences.
    """

    def __init__(self, pad_token_id: int) -> None:
        self.pad_token_id = pad_token_id

    def __call__(self, items: list[dict[str, Any]]) -> Batch:
        """A batch of `items` items with `sequences` distinct sequences.

        Returns:
            `input_ids`, `attention_mask`, `action_mask` `[sequences, time]`; `rows` `[items]`; `rewards`, `returns`
            `[tokens]`, one per action token, item by item; `next_input_ids` `[successors, time]`; `next_length`
            `[successors]`; and `next_rows` `[items]`, -1 where an item has no successor.
        """
        order: dict[tuple[int, ...], int] = {}
        rows = [order.setdefault((*item["input_ids"], -1, *item["action_mask"]), len(order)) for item in items]
        following: dict[tuple[int, ...], int] = {}
        next_keys = [tuple(item["next_input_ids"]) for item in items]
        next_rows = [following.setdefault(key, len(following)) if key else -1 for key in next_keys]
        first = [items[rows.index(row)] for row in range(len(order))]
        lengths = torch.tensor([len(item["input_ids"]) for item in first])
        acted = flat(items, "action_mask", torch.bool)
        batch = {
            "input_ids": self.pad([item["input_ids"] for item in first], torch.long, self.pad_token_id),
            "action_mask": self.pad([item["action_mask"] for item in first], torch.bool),
            "rows": torch.tensor(rows),
            "rewards": flat(items, "rewards", torch.float32)[acted],
            "returns": flat(items, "returns", torch.float32)[acted],
            "next_input_ids": self.pad([list(key) for key in following] or [[]], torch.long, self.pad_token_id),
            "next_length": torch.tensor([len(key) for key in following], dtype=torch.long),
            "next_rows": torch.tensor(next_rows),
        }
        batch["attention_mask"] = torch.arange(batch["input_ids"].shape[1])[None] < lengths[:, None]
        return batch

    def pad(self, lists: list[list], dtype: torch.dtype, value: int = 0) -> torch.Tensor:
        return pad([torch.tensor(values, dtype=dtype) for values in lists], padding_value=value)


def flat(items: list[dict[str, Any]], name: str, dtype: torch.dtype) -> torch.Tensor:
    """A column of all items, concatenated."""
    return torch.tensor(list(chain.from_iterable(item[name] for item in items)), dtype=dtype)


class ActionTokens(NamedTuple):
    """Where a batch's action tokens are.

    Args:
        positions (`torch.Tensor`): `[sequences, time]`, true where the next token is an action token.
        actions (`torch.Tensor`): `[distinct]`, those tokens, sequence by sequence.
        places (`torch.Tensor`): `[tokens]`, for every action token of every item its place among the distinct ones.
        items (`torch.Tensor`): `[tokens]`, which item a token belongs to.
        rewards (`torch.Tensor`): `[tokens]`.
        returns (`torch.Tensor`): `[tokens]`.
    """

    positions: torch.Tensor
    actions: torch.Tensor
    places: torch.Tensor
    items: torch.Tensor
    rewards: torch.Tensor
    returns: torch.Tensor


def action_tokens(inputs: Batch) -> ActionTokens:
    """The action tokens of a batch; the policy chooses token t + 1 at position t of a sequence."""
    mask = inputs["action_mask"][:, 1:]
    place = torch.zeros_like(mask, dtype=torch.long)
    place[mask] = torch.arange(int(mask.sum()), device=mask.device)
    rows = inputs["rows"]
    wide = mask[rows]
    return ActionTokens(
        positions=F.pad(mask, (0, 1)),
        actions=inputs["input_ids"][:, 1:][mask],
        places=place[rows][wide],
        items=wide.nonzero()[:, 0],
        rewards=inputs["rewards"],
        returns=inputs["returns"],
    )


class ValueTrainer(_BaseTrainer):
    """Trains a value model beside a frozen behavior LM; every checkpoint is a complete value-guided policy.

    Subclasses write `token_losses`, a sum over the batch's action tokens. The loss is that sum divided by the number
    of action tokens of the whole optimizer step, over all processes and accumulation steps.
    """

    loss_is_scaled_for_ga = True  # type: ignore[assignment]
    args: OfflineConfig
    model: Any
    processing_class: Any

    def __init__(self, *, behavior: Any, **kwargs: Any) -> None:
        items = kwargs.get("train_dataset")
        if isinstance(items, Dataset) and len(items) <= HELD_ITEMS:
            kwargs["train_dataset"] = items.to_list()
        super().__init__(**kwargs)
        self.behavior = behavior
        self._sums: dict[str, torch.Tensor] = {}

    def token_losses(self, model: Any, inputs: Batch) -> tuple[torch.Tensor, Batch]:
        """The summed loss of the batch's action tokens, and sums to log (each is divided by the token count)."""
        raise NotImplementedError

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        total, sums = self.token_losses(model, inputs)
        count = torch.tensor(inputs["rewards"].numel(), device=total.device)  # one reward per action token
        for name, value in {**sums, "tokens": count}.items():
            self._sums[name] = self._sums.get(name, 0) + value.detach().float()
        # Gradients are averaged over processes, hence the factor.
        scale = self.accelerator.num_processes / num_items_in_batch if num_items_in_batch else 1 / count
        loss = total * scale
        return (loss, {}) if return_outputs else loss

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> Any:
        count = sum(batch["rewards"].numel() for batch in batch_samples)
        return self.accelerator.gather(torch.tensor(count, device=device)).sum() if batch_samples else None

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if self._sums and self.model.training:
            names = sorted(self._sums)
            sums = self.accelerator.reduce(torch.stack([self._sums[name] for name in names]), "sum").tolist()
            means = dict(zip(names, sums, strict=True))
            tokens = means.pop("tokens")
            logs |= {name: value / tokens for name, value in means.items()}
            self._sums = {}
        super().log(logs, start_time)

    # --- checkpoints: the behavior LM is the root, the value model is value_model/

    def plain_value_model(self) -> Any:
        """The value model without wrappers; adapters are merged into a copy."""
        model = self.accelerator.unwrap_model(self.model)
        if hasattr(model, "merge_and_unload"):
            return copy.deepcopy(model).merge_and_unload()
        return model

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(str(output_dir or self.args.output_dir))
        self.behavior.save_pretrained(folder)
        self.processing_class.save_pretrained(folder)
        model = self.plain_value_model()
        model.config.beta = self.args.beta
        save_value_model(model, folder)
        save_file(self.trainer_tensors(), folder / "trainer_state.safetensors")

    def trainer_tensors(self) -> dict[str, torch.Tensor]:
        """The tensors that a resumed run needs besides the optimizer: trained weights and, in subclasses, targets."""
        model = self.accelerator.unwrap_model(self.model)
        return {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        path = Path(resume_from_checkpoint) / "trainer_state.safetensors"
        if not path.is_file():
            raise UserError(f"cannot resume from {resume_from_checkpoint}: it has no {path.name}")
        self.load_trainer_tensors(load_file(path))

    def load_trainer_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        parameters = dict(self.accelerator.unwrap_model(self.model).named_parameters())
        with torch.no_grad():
            for name, parameter in parameters.items():
                if parameter.requires_grad:
                    parameter.copy_(tensors[name])


def model_settings(model_args: Any) -> dict[str, Any]:
    """How a recipe's `ModelConfig` wants a checkpoint to be loaded, as arguments of `from_pretrained`."""
    settings = {"dtype": model_args.dtype or "float32", "revision": check_revision(model_args.model_revision)}
    if model_args.attn_implementation is not None:
        settings["attn_implementation"] = model_args.attn_implementation
    return settings


def load_language_model(path: str | None, **settings: Any) -> tuple[Any, Any]:
    """A language model and its tokenizer.

    Args:
        path (`str`, *optional*): a folder or the id of a model.
        settings: those of `model_settings`; the weights are in float32 by default.

    Raises:
        UserError: if the path is no checkpoint, or its model cannot play.
    """
    if not path:
        raise UserError("model_name_or_path is missing: name a checkpoint, e.g. the output of recipes/tiny_model.py")
    if Path(path).is_dir() and not (Path(path) / "config.json").is_file():
        raise UserError(f"{path} is no checkpoint: it has no config.json")
    if not Path(path).exists() and path.count("/") > 1:  # a model id of the Hub has at most one
        raise UserError(f"{path} is no checkpoint: there is no such folder; train it first or name another")
    with readable(path):
        tokenizer = loader.load_tokenizer(path, revision=settings.get("revision", "main"))
        model = loader.load_language_model(path, **{"dtype": torch.float32} | settings)
    check_plays(model)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # GPT-2 has none; the attention mask hides what is padded
    return model, tokenizer


def set_chat_template(tokenizer: Any, path: str | None) -> None:
    """Gives a tokenizer the chat template of a file, before the first text is tokenized.

    Raises:
        UserError: if the path is no file with a chat template.
    """
    if path is None:
        return
    if not path.endswith((".jinja", ".j2")) or not Path(path).is_file():
        raise UserError(f"chat_template_path is a .jinja file, such as the recipes' text_game.jinja, got {path}")
    tokenizer.chat_template = Path(path).read_text(encoding="utf-8")


@contextmanager
def readable(path: str) -> Iterator[None]:
    """Turns whatever a damaged checkpoint, or a setting it does not know, makes a library raise into a `UserError`."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"{path} is no checkpoint that can be loaded: {lines[0]}") from None


def load_behavior(path: str | None, **settings: Any) -> tuple[Any, Any]:
    """The frozen behavior LM and its tokenizer; raises as `load_language_model`."""
    model, tokenizer = load_language_model(path, **settings)
    return model.eval().requires_grad_(False), tokenizer


def adapters(model_args: Any, model: Any) -> Any:
    """The LoRA settings of a run, if it has any, tried on a model of the same kind without weights.

    Raises:
        UserError: if they do not fit the model.
    """
    config: Any = get_peft_config(model_args)
    if config is None:
        return None
    from peft import get_peft_model

    config.revision = model_args.model_revision if model_args.model_revision != "main" else None
    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(copy.deepcopy(model.config), trust_remote_code=False)
    with fitting_adapters():
        get_peft_model(empty, copy.deepcopy(config), low_cpu_mem_usage=True)
    return config


@contextmanager
def fitting_adapters() -> Iterator[None]:
    """Turns PEFT's complaint about settings that do not fit a model into a `UserError`."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"the LoRA settings do not fit the model: {str(error).strip().splitlines()[0]}") from None


def value_model_for(model_args: Any, heads: tuple[str, ...], args: OfflineConfig) -> Any:
    """A fresh value model on the behavior LM's trunk; with `--use_peft`, adapters on the trunk and whole heads."""
    set_seed(args.seed)  # the heads are drawn before a trainer sets the seed
    settings = model_settings(model_args) | {"dtype": torch.float32}
    model = new_value_model(model_args.model_name_or_path, heads, args.value_bias, **settings)
    config: Any = get_peft_config(model_args)
    if config is None:
        return model
    from peft import get_peft_model

    config.task_type = None  # a value model is no language model
    config.modules_to_save = [*heads, *(config.modules_to_save or [])]
    if config.target_modules is None:
        matrices = {n for n, module in model.named_modules() if hasattr(module, "weight") and module.weight.dim() == 2}
        outside = (*heads, "embed", "wte", "wpe")
        config.target_modules = {
            name for name in matrices if name.split(".")[0] not in heads and not any(part in name for part in outside)
        }
    with fitting_adapters():
        return get_peft_model(model, config)


def resume_path(args: Any) -> str | None:
    """`--resume_from_checkpoint` as a path; `last` and `true` are the newest checkpoint of the output folder, if any.

    Raises:
        UserError: if the path is no folder.
    """
    path = args.resume_from_checkpoint
    if isinstance(path, bool) or str(path).lower() in ("true", "false"):
        path = "last" if str(path).lower() == "true" else None
    if path == "last":
        last = newest_checkpoint(Path(args.output_dir))
        return None if last is None else str(last)
    if path is not None and not Path(path).is_dir():
        raise UserError(f"cannot resume from {path}: there is no such folder")
    return path


class ReplacedCheckpoints(TrainerCallback):
    """Deletes the checkpoints of the run that this one writes over, just before it saves for the first time.

    Until then a run that is killed costs nothing. A run that was resumed keeps them: they are its own.
    """

    def __init__(self) -> None:
        self.old: list[Path] = []

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.old = [] if state.global_step else list(Path(str(args.output_dir)).glob("checkpoint-*"))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if control.should_save:
            self._delete(state)

    on_epoch_end = on_step_end

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._delete(state)

    def _delete(self, state: TrainerState) -> None:
        if not self.old:
            return
        if state.is_world_process_zero:
            for folder in self.old:
                shutil.rmtree(folder, ignore_errors=True)
        self.old = []
        PartialState().wait_for_everyone()  # another process may write into a folder of the same name


def run_trainer(trainer: Any, args: Any) -> None:
    """Trains, from a checkpoint if the settings say so; checkpoints of a run that is written over are deleted."""
    trainer.add_callback(ReplacedCheckpoints())
    trainer.train(resume_from_checkpoint=resume_path(args))


def train_values(
    trainer_class: type[ValueTrainer],
    heads: tuple[str, ...],
    algorithm: str,
    limitations: str,
    script_args: Any,
    args: OfflineConfig,
    model_args: Any,
    recipe: Settings | None = None,
) -> None:
    """Trains a value model beside a behavior LM on a dataset, and saves both as a value-guided policy.

    Args:
        trainer_class (`type[ValueTrainer]`): the algorithm.
        heads (`tuple[str, ...]`): of the value model.
        algorithm (`str`), limitations (`str`): for the card.
        script_args (`ScriptArguments`), args (`OfflineConfig`), model_args (`ModelConfig`): the settings.
        recipe (`dict`): the settings that were given, to be saved.
    """
    target = push_target(args)
    behavior, tokenizer = load_behavior(model_args.model_name_or_path, **model_settings(model_args))
    rows = load_rows(script_args.dataset_name, script_args.dataset_config, script_args.dataset_train_split)
    model = value_model_for(model_args, heads, args)
    check_plays(ValueGuidedModel(behavior, model, 0.0))
    trainer = trainer_class(
        behavior=behavior,
        model=model,
        args=args,
        train_dataset=make_items(
            rows, tokenizer, gamma=args.gamma, stride=args.window_stride, reward_scale=args.reward_scale
        ),
        data_collator=ItemCollator(tokenizer.pad_token_id),
        processing_class=tokenizer,
    )

    def make_policy(model: Any) -> LanguageModelPolicy:
        guided = ValueGuidedModel(
            copy.deepcopy(behavior), copy.deepcopy(trainer.plain_value_model()).eval(), args.beta
        )
        return LanguageModelPolicy(guided, tokenizer, name=trainer._name, seed=args.seed)

    policy_callback(trainer, rows[0]["task"], rows[0]["config"], make_policy)
    run_trainer(trainer, args)
    record = training_record(args, algorithm, data_of(script_args, rows), model_args, limitations=limitations)
    finish(trainer, record, target, recipe)


def policy_callback(trainer: Any, task: str, config: str, make_policy: Callable[[Any], LanguageModelPolicy]) -> None:
    """Scores the policy that `make_policy` makes of the model in the simulator, if the settings ask for it."""
    from lmrl_eval.callback import SimulatorEvalCallback

    args = trainer.args
    if args.simulator_episodes:
        every = args.simulator_steps or None
        callback = SimulatorEvalCallback(
            trainer, task, config, make_policy, n_episodes=args.simulator_episodes, eval_every=every
        )
        trainer.add_callback(callback)
