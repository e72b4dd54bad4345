# /// script
# dependencies = ["lmrl[train]"]
# ///
"""Multi-turn PPO: rewards at every turn, a value for every action token, and advantages over the whole episode.

lmrl-train ppo --config recipes/maze/ppo.yaml
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModel, TrainerCallback, set_seed
from transformers.trainer_callback import ExportableState
from trl import ModelConfig, ScriptArguments

from lmrl_data.atomic import write_text
from lmrl_data.errors import UserError, unknown
from lmrl_recipes.training.finish import data_of
from lmrl_recipes.training.offline import load_rows, make_items, model_settings
from lmrl_recipes.training.online import (
    OFFLINE,
    Experience,
    OnlineConfig,
    OnlineTrainer,
    PlayedEpisode,
    groups_of,
    train,
)
from lmrl_recipes.training.rollout import Trajectory
from lmrl_recipes.training.settings import (
    CLONING_NEEDS,
    NO_GROUPS,
    NO_LOSS_KL,
    NO_SYNC,
    ONLINE,
    Need,
    Reasons,
)
from lmrl_recipes.training.start import Settings, run

CRITICS = ("model", "detached", "head")
LIMITATIONS = (
    "It learned from its own episodes in the simulator and from nothing else: what never happened there it does not "
    "know, and whatever the simulator rewards by mistake it may have found."
)


@dataclass
class PPOConfig(OnlineConfig):
    """Settings of PPO; the defaults are the paper's (Table 3) and its code's, but for `critic` and `kl_stop` (see
    README.md)."""

    refused: ClassVar[Reasons] = ONLINE | NO_GROUPS | NO_LOSS_KL | NO_SYNC
    needs: ClassVar[Mapping[str, Need]] = CLONING_NEEDS

    gamma: float = field(default=0.99, metadata={"help": "Discount per action token (not per turn), as in the paper."})
    gae_lambda: float = field(default=0.95, metadata={"help": "Lambda of generalized advantage estimation."})
    beta: float = field(default=0.01, metadata={"help": "Weight of the KL from the initial policy, in the reward."})
    kl_target: float | None = field(default=None, metadata={"help": "Adapt beta towards this KL per token; off."})
    kl_horizon: float = field(default=10_000.0, metadata={"help": "Episodes over which beta adapts."})
    kl_stop: float | None = field(
        default=0.02,
        metadata={"help": "Leave a round once the KL from the policy that played it is above; null: never."},
    )
    value_coef: float = field(default=0.5, metadata={"help": "Weight of the value loss."})
    value_clip: float | None = field(default=0.2, metadata={"help": "Clip of the value's change; null: none."})
    value_bias: float = field(default=0.0, metadata={"help": "What all values start at."})
    critic: str = field(
        default="model",
        metadata={"help": "model (a trunk of its own), head (on the policy's trunk) or detached (not training it)."},
    )
    critic_learning_rate: float | None = field(default=None, metadata={"help": "Of the critic; learning_rate's."})
    whiten_advantages: bool = field(default=True, metadata={"help": "Mean 0 and variance 1 over a round's tokens."})
    bc_weight: float = field(default=0.0, metadata={"help": "Weight of cloning on episodes of --dataset_name."})
    bc_batch_size: int = field(default=32, metadata={"help": "Offline items per micro-batch, over all processes."})
    window_stride: int = field(default=10, metadata={"help": "New actions per offline window, with a full history."})

    num_iterations: int = field(default=4, metadata={"help": "Passes over a round (PPO's epochs)."})
    # The critic runs beside the forward pass in which torch looks for unused parameters; it would be taken for one.
    ddp_find_unused_parameters: bool | None = field(default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.critic not in CRITICS:
            raise unknown("critic", self.critic, CRITICS)
        if self.bc_batch_size < self.world_size:
            raise UserError(f"bc_batch_size is at least 1 item per process, got {self.bc_batch_size}")


def gae(
    rewards: np.ndarray, values: np.ndarray, next_value: float, *, gamma: float, lam: float
) -> tuple[np.ndarray, np.ndarray]:
    """Advantages and returns of an episode's action tokens, in order; observation tokens take no time.

    delta_t = r_t + gamma V_{t+1} - V_t and A_t = delta_t + gamma lambda A_{t+1} (Schulman et al. 2016, equation 16).

    Args:
        rewards (`np.ndarray`): `[tokens]`.
        values (`np.ndarray`): `[tokens]`, of the state in which each token was chosen.
        next_value (`float`): of the state after the last token; 0 where the episode terminated.
    """
    advantages = np.zeros(len(rewards))
    following, advantage = float(next_value), 0.0
    for t in range(len(rewards) - 1, -1, -1):
        advantage = float(rewards[t]) + gamma * following - float(values[t]) + gamma * lam * advantage
        advantages[t] = advantage
        following = float(values[t])
    return advantages, advantages + values


def value_loss(
    values: torch.Tensor, old_values: torch.Tensor, returns: torch.Tensor, clip: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Half the squared error per token, the worse one of the value and of its change clipped (the original's code);
    and where the clip decides."""
    error = (values - returns).square()
    if clip is None:
        return 0.5 * error, torch.zeros_like(values)
    clipped = old_values + (values - old_values).clamp(-clip, clip)
    clipped_error = (clipped - returns).square()
    return 0.5 * torch.maximum(error, clipped_error), (clipped_error > error).float()


def adapted(beta: float, kl: float, target: float, count: int, horizon: float) -> float:
    """The adaptive KL coefficient after `count` more episodes (Ziegler et al. 2019, section 2.2)."""
    return beta * (1 + float(np.clip(kl / target - 1, -0.2, 0.2)) * count / horizon)


def explained_variance(values: np.ndarray, returns: np.ndarray) -> float:
    """1 for perfect values, 0 for a constant, NaN where there is nothing to explain."""
    spread = returns.var()
    return float("nan") if spread == 0 else float(1 - (returns - values).var() / spread)


def add_critic(model: nn.Module, checkpoint: str, kind: str, bias: float, **settings: Any) -> None:
    """Gives a language model a linear value head, and with `"model"` a trunk for it that is trained apart.

    They are parts of the model, so that whatever trains, wraps, saves or resumes the model takes them along.
    """
    text = model.config.get_text_config()  # type: ignore[operator, union-attr]
    model.v_head = nn.Linear(text.hidden_size, 1)
    nn.init.zeros_(model.v_head.weight)
    nn.init.constant_(model.v_head.bias, bias)
    if kind == "model":
        settings |= {"dtype": model.dtype, "use_safetensors": True}
        model.critic = AutoModel.from_pretrained(checkpoint, trust_remote_code=False, **settings)


def is_critic(name: str) -> bool:
    """Whether a parameter of the model is no part of the policy."""
    return any(part in ("v_head", "critic") for part in name.split("."))


def leave_critic_out(folder: Path) -> None:
    """Takes the critic out of a saved model, or out of saved adapters, so that the policy alone is published."""
    for path in folder.glob("*.safetensors"):
        tensors = load_file(path)
        if any(map(is_critic, tensors)):
            policy = {name: tensor for name, tensor in tensors.items() if not is_critic(name)}
            save_file(policy, path, metadata={"format": "pt"})
    index, adapter = folder / "model.safetensors.index.json", folder / "adapter_config.json"
    if index.is_file():  # of a model in several files
        content = json.loads(index.read_text(encoding="utf-8"))
        content["weight_map"] = {name: file for name, file in content["weight_map"].items() if not is_critic(name)}
        write_text(index, json.dumps(content, indent=2, sort_keys=True) + "\n")
    if adapter.is_file():
        content = json.loads(adapter.read_text(encoding="utf-8"))
        modules = [name for name in content["modules_to_save"] or [] if not is_critic(name)]
        content["modules_to_save"] = modules or None
        write_text(adapter, json.dumps(content, indent=2, sort_keys=True) + "\n")


class KLCoefficient(TrainerCallback, ExportableState):
    """Keeps the adaptive KL coefficient in a checkpoint's trainer_state.json, and a resumed run goes on with it."""

    def __init__(self, trainer: "PPOTrainer") -> None:
        self.trainer = trainer

    def state(self) -> dict[str, Any]:
        return {"args": {}, "attributes": {"kl_coef": self.trainer.kl_coef}}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        saved: Any = state.stateful_callbacks.get(type(self).__name__, self.state())
        self.trainer.kl_coef = saved["attributes"]["kl_coef"]


class PPOTrainer(OnlineTrainer):
    """PPO with a critic, KL in the reward, and advantages that reach over all turns of an episode."""

    _tag_names = ["trl", "ppo"]  # noqa: RUF012
    _name = "PPO"
    args: Any  # a `PPOConfig`

    def __init__(self, *, offline: Dataset | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # By the config's beta TRL has made a reference model, or not. The KL is part of the reward, not of the loss.
        self.kl_coef = float(self.args.beta)
        self.beta = 0.0
        self.add_callback(KLCoefficient(self))
        self.offline = offline
        self.values = torch.zeros(0)
        self.kl_from_old = 0.0
        model = self.accelerator.unwrap_model(self.model)
        self.policy_model = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.policy_model.base_model.register_forward_hook(self._keep_states)
        if self.use_vllm:
            named = self.vllm_generation._iter_named_params
            # vLLM knows the policy alone.
            policy = lambda: (pair for pair in named() if not is_critic(pair[0]))  # noqa: E731
            setattr(self.vllm_generation, "_iter_named_params", policy)  # noqa: B010

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        optimizer = super().create_optimizer(*args, **kwargs)
        rate = self.args.critic_learning_rate
        parameters = {id(p) for name, p in self.model.named_parameters() if is_critic(name)}
        for group in list(optimizer.param_groups) if rate is not None else []:
            mine = [parameter for parameter in group["params"] if id(parameter) in parameters]
            if mine:
                group["params"] = [parameter for parameter in group["params"] if id(parameter) not in parameters]
                optimizer.add_param_group({**group, "params": mine, "lr": rate})
        return optimizer

    @property
    def needs_reference(self) -> bool:
        return self.kl_coef != 0.0

    # --- values

    def _keep_states(self, module: Any, args: Any, output: Any) -> None:
        self.states = output.last_hidden_state

    def network_ran(self, model: Any, ids: torch.Tensor, mask: torch.Tensor, inverse: torch.Tensor) -> None:
        if model is not self.ref_model:
            self.values = self.values_of(ids, mask, self.states)[:, :-1][inverse]

    def values_of(self, ids: torch.Tensor, mask: torch.Tensor, states: Any = None) -> torch.Tensor:
        """`[rows, time]`, the value after each token; `states` are the policy trunk's, where they are known."""
        if self.args.critic == "model" or states is None:
            trunk = self.policy_model.critic if self.args.critic == "model" else self.policy_model.base_model
            states = trunk(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        if self.args.critic == "detached":
            states = states.detach()
        head = self.policy_model.v_head
        return head(states.to(next(head.parameters()).dtype)).squeeze(-1)

    def score_group(self, members: Sequence[Experience]) -> None:
        self.read(members, "values", self.values)

    def score(self, trajectories: Sequence[Trajectory]) -> list[PlayedEpisode]:
        episodes = super().score(trajectories)
        cut = [index for index, trajectory in enumerate(trajectories) if trajectory.next_ids]
        seen = [np.array(trajectories[index].next_ids) for index in cut]
        for group in groups_of([len(ids) for ids in seen]):
            ids, mask = self.right_padded([seen[place] for place in group])
            values = self.values_of(ids, mask)
            for place, value in zip(group, values.gather(1, mask.sum(1, keepdim=True) - 1)[:, 0], strict=True):
                episodes[cut[place]].next_value = float(value)
        return episodes

    # --- advantages

    def assign(self, episodes: list[PlayedEpisode]) -> list[PlayedEpisode]:
        kls = []
        for episode in episodes:
            acted = [sequence.action_mask for sequence in episode.sequences]

            def tokens(name: str, episode: PlayedEpisode = episode) -> np.ndarray:
                return np.concatenate([getattr(part, name)[part.action_mask] for part in episode.sequences])

            rewards, values = tokens("rewards").astype(float), tokens("values")
            if self.needs_reference:
                kls.append(tokens("logps") - tokens("ref_logps"))
                rewards -= self.kl_coef * kls[-1]
            targets = gae(rewards, values, episode.next_value, gamma=self.args.gamma, lam=self.args.gae_lambda)
            ends = np.cumsum([mask.sum() for mask in acted])[:-1]
            for sequence, *parts in zip(
                episode.sequences, *(np.split(values, ends) for values in targets), strict=True
            ):
                for name, part in zip(("advantages", "returns"), parts, strict=True):
                    array = np.zeros(len(sequence.input_ids), dtype=np.float32)
                    array[sequence.action_mask] = part
                    setattr(sequence, name, array)
        sequences = [sequence for episode in episodes for sequence in episode.sequences]

        def everywhere(name: str) -> np.ndarray:
            return np.concatenate([getattr(sequence, name)[sequence.action_mask] for sequence in sequences])

        advantages, values, returns = everywhere("advantages"), everywhere("values"), everywhere("returns")
        self.record("explained_variance", explained_variance(values, returns))
        self.record("value/mean", values.mean())
        self.record("value/target", returns.mean())
        self.record("advantage/std", advantages.std())
        if self.args.whiten_advantages:
            mean, scale = advantages.mean(), np.sqrt(advantages.var() + 1e-8)
            for sequence in sequences:
                sequence.advantages = np.where(sequence.action_mask, (sequence.advantages - mean) / scale, 0.0)
        if kls:
            log_ratio = np.concatenate(kls)
            kl = float(np.mean(np.exp(-log_ratio) - 1 + log_ratio))
            self.record("kl/initial", kl)
            self.record("kl/coef", self.kl_coef)
            if self.args.kl_target is not None:
                self.kl_coef = adapted(self.kl_coef, kl, self.args.kl_target, len(episodes), self.args.kl_horizon)
        self.kl_from_old = 0.0
        return episodes

    def should_stop(self) -> bool:
        return self.args.kl_stop is not None and self.kl_from_old > self.args.kl_stop

    # --- losses

    def collate(self, members: Sequence[Experience], spare: int = 0) -> dict[str, torch.Tensor]:
        batch = super().collate(members, spare)
        rows = [*members, *[self.experience[0]] * spare]
        batch["old_values"] = self.padded([row.values for row in rows])
        batch["returns"] = self.padded([row.returns for row in rows])
        return self.with_offline(batch) if self.offline is not None and self.args.bc_weight else batch

    def with_offline(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Adds offline rows, which only the cloning loss sees: one forward pass does for both."""
        rng = np.random.default_rng([self.args.seed, OFFLINE, self._step])
        drawn: Any = rng.integers(len(self.offline), size=self.args.bc_batch_size).tolist()  # type: ignore[arg-type]
        items = [self.offline[index] for index in drawn]  # type: ignore[index]
        tokens = sum(sum(item["action_mask"]) for item in items)
        mine = items[self.accelerator.process_index :: self.accelerator.num_processes]
        ids, mask = self.right_padded([np.array(item["input_ids"]) for item in mine])
        acted = self.padded([np.array(item["action_mask"]) for item in mine])
        width = max(ids.shape[1] - 1, batch["completion_ids"].shape[1])

        def stacked(online: torch.Tensor, offline: torch.Tensor) -> torch.Tensor:
            parts = [nn.functional.pad(ids, (0, width - ids.shape[1])) for ids in (online, offline)]
            return torch.cat(parts)

        none = torch.zeros_like(acted)
        rows = {"completion_ids": ids[:, 1:], "completion_mask": mask[:, 1:]}
        joined = {
            name: stacked(value, rows.get(name, none.to(value.dtype)))
            for name, value in batch.items()
            if name not in ("prompt_ids", "prompt_mask", "num_items_in_batch")
        }
        joined["prompt_ids"] = torch.cat([batch["prompt_ids"], ids[:, :1]])
        joined["prompt_mask"] = torch.cat([batch["prompt_mask"], mask[:, :1]])
        # A mean over the items of all processes; gradients are averaged over processes.
        weight = self.args.bc_weight * self.accelerator.num_processes / max(1, tokens)
        joined["bc_weights"] = stacked(torch.zeros_like(batch["advantages"]), weight * acted)
        return joined

    def loss(self, model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        loss = super().loss(model, batch)
        accumulation = self.current_gradient_accumulation_steps
        mask = batch["completion_mask"] * batch["tool_mask"]
        errors, clipped = value_loss(self.values, batch["old_values"], batch["returns"], self.args.value_clip)
        tokens = batch["num_items_in_batch"] * accumulation / self.args.steps_per_generation
        critic = (errors * mask).sum() * self.accelerator.num_processes / tokens
        loss = loss + self.args.value_coef * critic
        with torch.no_grad():
            log_ratio = self.latest_logps - batch["old_per_token_logps"]
            kl = (log_ratio.exp() - 1 - log_ratio) * mask
            sums = torch.stack([kl.sum(), (errors * mask).sum(), (clipped * mask).sum(), mask.sum().float()])
            kl_sum, error_sum, clipped_sum, count = self.accelerator.reduce(sums, "sum").tolist()
        self.kl_from_old = kl_sum / max(1.0, count)
        self.record("kl/old", self.kl_from_old)
        self.record("loss/value", error_sum / max(1.0, count))
        self.record("clip_ratio/value", clipped_sum / max(1.0, count))
        if "bc_weights" in batch:
            cloning = -(self.latest_logps * batch["bc_weights"]).sum()
            loss = loss + cloning / accumulation
            self.record("loss/bc", cloning.item() / self.args.bc_weight)
        return loss

    # --- checkpoints

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        super().save_model(output_dir, _internal_call)
        if not _internal_call and self.args.should_save:
            # A checkpoint, saved by the trainer itself, keeps the critic to resume from.
            leave_critic_out(Path(output_dir or self.args.output_dir))


def make_trainer(script_args: ScriptArguments, model_args: ModelConfig, **kwargs: Any) -> PPOTrainer:
    """The trainer of a recipe: a model with a critic, and offline items if the settings ask for cloning."""
    args: PPOConfig = kwargs["args"]
    set_seed(args.seed)
    add_critic(
        kwargs["model"], str(model_args.model_name_or_path), args.critic, args.value_bias, **model_settings(model_args)
    )
    peft = kwargs.get("peft_config")
    if peft is not None:
        critic = ["v_head"] + (["critic"] if args.critic == "model" else [])
        peft.modules_to_save = [*critic, *(peft.modules_to_save or [])]
    if not args.bc_weight:
        return PPOTrainer(**kwargs)
    rows = load_rows(script_args.dataset_name, script_args.dataset_config, script_args.dataset_train_split)
    offline = make_items(rows, kwargs["processing_class"], gamma=1.0, stride=args.window_stride)
    trainer = PPOTrainer(offline=offline, **kwargs)
    trainer.data = data_of(script_args, rows)
    return trainer


def main(
    script_args: ScriptArguments, args: PPOConfig, model_args: ModelConfig, recipe: Settings | None = None
) -> None:
    train(partial(make_trainer, script_args, model_args), args, model_args, "ppo", LIMITATIONS, recipe)


if __name__ == "__main__":
    run(main, ScriptArguments, PPOConfig, ModelConfig)
