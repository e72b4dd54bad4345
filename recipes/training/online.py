"""What the online recipes share: rounds of playing and learning inside TRL's `GRPOTrainer`."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
import torch
from accelerate.utils import gather_object
from datasets import Dataset
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer
from trl.import_utils import is_vllm_available
from trl.trainer.utils import use_adapter

from lmrl_data import UserError, get_task
from lmrl_data.task import TEST_SEED, TRAIN_SEED
from lmrl_data.tokenization import TurnTokenizer
from lmrl_eval.oracles import load_oracle
from lmrl_eval.policies.attention import kept_length
from lmrl_eval.policies.language_model import LanguageModelPolicy
from lmrl_recipes.training.finish import Data, finish, push_target, training_record
from lmrl_recipes.training.offline import adapters, load_language_model, model_settings, policy_callback, run_trainer
from lmrl_recipes.training.rollout import RolloutPolicy, TokenSequence, Trajectory, play
from lmrl_recipes.training.settings import ONLINE, Reasons, check_settings
from lmrl_recipes.training.start import Settings

FORWARD_TOKENS = 16_384  # a forward pass without gradients has at most so many tokens, padding included
STARTS, NOISE, ORDER, OFFLINE = range(4)  # the random numbers of a run, by their use
# The private methods of TRL that the online recipes override. `tests/recipes/test_trl_seams.py` holds each of them.
OVERRIDDEN = {
    "GRPOTrainer._prepare_inputs": "TRL would generate here; `compute_loss` takes its batch from the round",
    "GRPOTrainer._get_per_token_logps_and_entropies": (
        "each distinct sequence goes through the network once, and a critic reads the states of that pass"
    ),
    "VLLMGeneration._iter_named_params": "vLLM gets the policy's weights and not those of PPO's critic",
}
# What they use of TRL's private parts without overriding it.
USED = {
    "GRPOTrainer._step": "counts micro-batches; the place in a round follows from it",
    "GRPOTrainer._metrics": "numbers for the next line of the log",
    "GRPOTrainer._generate_single_turn": "samples with vLLM, with sharded weights, or without a kept cache",
}


@dataclass
class OnlineConfig(GRPOConfig):
    """Settings of every online recipe.

    A round is `per_device_train_batch_size` × processes × `steps_per_generation` episodes. Each of `num_iterations`
    passes over it makes `steps_per_generation` / `gradient_accumulation_steps` updates.
    """

    refused: ClassVar[Reasons] = ONLINE

    task: str = field(default="maze", metadata={"help": "What is played."})
    task_config: str | None = field(default=None, metadata={"help": "The task's config; its default otherwise."})
    rounds: int = field(
        default=50,
        metadata={"help": "Rounds of playing and learning; --max_steps, rounded up to whole ones, goes before it."},
    )
    rollout_batch_size: int = field(default=64, metadata={"help": "Episodes that run at the same time, per process."})
    max_turns: int | None = field(default=None, metadata={"help": "Truncates an episode after so many actions."})
    max_tokens: int | None = field(default=None, metadata={"help": "Truncates an episode after so many tokens."})
    oracle: str | None = field(default=None, metadata={"help": "Who answers: grounded, lm:FOLDER, chat:MODEL@URL."})
    reuse_cache: bool = field(default=True, metadata={"help": "Keep keys and values over turns; not with vLLM."})
    simulator_episodes: int = field(default=0, metadata={"help": "Episodes per evaluation in the simulator; 0: none."})
    simulator_steps: int = field(default=0, metadata={"help": "Evaluate every so many steps; 0: only at the end."})
    overwrite_output_dir: bool = field(default=False, metadata={"help": "Write over the run in the output folder."})

    max_completion_length: int | None = field(default=32, metadata={"help": "The longest action, in tokens."})
    logging_steps: float = field(default=0, metadata={"help": "Log every so many steps; 0: once a round."})
    num_generations: int | None = field(default=2, metadata={"help": "Episodes per start, where starts are shared."})
    learning_rate: float = field(default=1e-5)
    lr_scheduler_type: str = field(default="constant")
    adam_beta2: float = field(default=0.95)
    beta: float = field(default=0.0, metadata={"help": "Weight of the KL divergence from the initial policy."})
    disable_dropout: bool = field(default=True)
    gradient_checkpointing: bool = field(default=False)
    bf16: bool | None = field(default=False)  # type: ignore[assignment]
    # Old log-probabilities are the training model's own, whichever engine sampled.
    vllm_importance_sampling_correction: bool = field(default=False)

    def __post_init__(self) -> None:
        check_settings(vars(self), [type(self)])
        once_a_round = not self.logging_steps
        self.logging_steps = self.logging_steps or 1
        super().__post_init__()
        steps = self.steps_per_generation or 1
        if steps % self.gradient_accumulation_steps:
            raise UserError(
                f"steps_per_generation ({steps}) is a multiple of gradient_accumulation_steps "
                f"({self.gradient_accumulation_steps})"
            )
        if once_a_round:
            self.logging_steps = self.updates_per_round
        if self.max_completion_length is None:
            raise UserError("max_completion_length is at least 1 token, got none")
        # Runs end and are saved between rounds, so that a checkpoint needs no episodes.
        rounds = self.rounds if self.max_steps <= 0 else math.ceil(self.max_steps / self.updates_per_round)
        self.max_steps = rounds * self.updates_per_round
        # A number below 1 is a share of all steps.
        asked = self.save_steps if self.save_steps >= 1 else self.save_steps * self.max_steps
        self.save_steps = self.updates_per_round * math.ceil(asked / self.updates_per_round)

    @property
    def updates_per_round(self) -> int:
        return self.num_iterations * (self.steps_per_generation or 1) // self.gradient_accumulation_steps


@dataclass
class Experience:
    """A token sequence with arrays about its tokens; all are `[tokens]`, and 0 where the policy did not act.

    Args:
        logps (`np.ndarray`): log-probabilities under the policy that sampled.
        ref_logps (`np.ndarray`, *optional*): under the initial policy, where `beta` is not 0.
        values (`np.ndarray`, *optional*): a critic's values of the states in which the tokens were chosen.
        advantages (`np.ndarray`, *optional*): the algorithm's.
        returns (`np.ndarray`, *optional*): the critic's targets.
    """

    input_ids: np.ndarray
    action_mask: np.ndarray
    rewards: np.ndarray
    logps: np.ndarray
    ref_logps: np.ndarray | None = None
    values: np.ndarray | None = None
    advantages: np.ndarray | None = None
    returns: np.ndarray | None = None


@dataclass
class PlayedEpisode:
    """One episode of a round; every process has all of them.

    Args:
        start (`int`): the seed; episodes with the same one begin alike.
        total_reward (`float`): undiscounted.
        success (`bool`): by the task's own measure.
        num_turns (`int`): actions.
        num_invalid (`int`): actions that the simulator could not parse.
        sequences (`list[Experience]`): in order.
        next_value (`float`): of the state after the last action; 0 where the episode terminated.
    """

    start: int
    total_reward: float
    success: bool
    num_turns: int
    num_invalid: int
    sequences: list[Experience]
    next_value: float = 0.0


class StepClock(TrainerCallback):
    """Adds the seconds of the optimizer to those of training."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds

    def on_pre_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        self.began = time.perf_counter()

    def on_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        self.seconds["training"] += time.perf_counter() - self.began


class OnlineTrainer(GRPOTrainer):
    """Plays a round of episodes with the current policy, learns from it, and plays again.

    TRL's `GRPOTrainer` runs the loop: optimizer, accumulation, checkpoints, logs, vLLM, and the loss of a batch of
    tokens with advantages. It would also generate completions and ask reward functions about them, once per prompt of
    a dataset. A round replaces that: the dataset's rows are placeholders that only count micro-batches, and the reward
    function is never called. `training_step` plays a round when the last one is used up; `compute_loss` takes the
    micro-batch that is due from it.

    Every process plays its share of a round. Then all processes know the whole round, compute the same advantages from
    it and take their share of the same updates, so a run does not depend on the number of processes. All randomness
    follows from the seed and the number of the round, so a run does not depend on interruptions.

    Subclasses write `assign`, which gives every sequence its advantages, and may add to `loss`.
    """

    args: Any  # an `OnlineConfig`
    model: Any
    processing_class: Any
    shares_starts = False  # whether `num_generations` episodes begin alike
    uses_old_logps = True  # whether the ratio in the loss is to the policy that played

    def __init__(self, *, model: Any, args: Any, processing_class: Any, peft_config: Any = None) -> None:
        self.task = get_task(args.task)
        self.task_config = args.task_config or self.task.default_config
        self.task.config(self.task_config)
        turns = TurnTokenizer(processing_class)
        model.generation_config.eos_token_id = sorted(turns.stop_ids)
        if args.use_vllm:
            if not is_vllm_available():
                raise UserError("vllm is not installed; run: pip install 'trl[vllm]', or leave use_vllm out")
            if args.world_size > 1:
                raise UserError(
                    "with vLLM these recipes run in one training process; start one, or leave use_vllm out"
                )
            args.generation_kwargs = {"stop_token_ids": sorted(turns.stop_ids), **(args.generation_kwargs or {})}
        super().__init__(
            model=model,
            reward_funcs=[total_reward],
            args=args,
            # Placeholders: what is played follows from the seed and the number of the round.
            train_dataset=Dataset.from_dict({"prompt": ["-"] * (args.generation_batch_size // args.num_generations)}),
            processing_class=processing_class,
            peft_config=peft_config,
        )
        self.oracle = load_oracle(args.oracle, self.task, seed=args.seed, device=str(args.device))
        self.seconds = dict.fromkeys(("generation", "simulator", "training"), 0.0)
        self.add_callback(StepClock(self.seconds))
        self.episodes: list[PlayedEpisode] | None = None
        self.experience: list[Experience] = []
        self.latest_logps = torch.zeros(0)  # of the last forward pass
        self.stopped = False
        self.data = Data(f"lmrl/{self.task.id}", self.task.id, self.task_config)  # for the training record

    # --- a round

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        if self._step == 0:  # a resumed run starts at the beginning of a round
            self._step = self.state.global_step * self.args.gradient_accumulation_steps
        round_, iteration, part, first = self.place()
        if self.episodes is None or iteration == part == 0:
            self.begin_round(round_)
        if part == first:
            self.stopped = self.stopped or self.should_stop()
        # Parts of a round get smaller, see `micro_batch`; from here on all are empty.
        if self.stopped or first >= len(self.experience):
            # Without gradients the optimizer leaves the weights as they are.
            self._step += 1
            return torch.zeros((), device=self.accelerator.device)
        begin = time.perf_counter()
        try:
            return super().training_step(model, inputs, num_items_in_batch)
        finally:
            self.seconds["training"] += time.perf_counter() - begin

    def place(self) -> tuple[int, int, int, int]:
        """The place of the run: round, pass over it, part of the pass, and the first part of that part's update."""
        args = self.args
        round_, step = divmod(self._step, args.steps_per_generation * self.num_iterations)
        iteration, part = divmod(step, args.steps_per_generation)
        return round_, iteration, part, part - part % args.gradient_accumulation_steps

    def should_stop(self) -> bool:
        """Whether to leave the rest of the round unused; called before every update."""
        return False

    def begin_round(self, round_: int) -> None:
        """Plays the episodes of a round and gives their tokens advantages."""
        self.stopped = False
        self.model.eval()
        try:
            with torch.no_grad():
                self.episodes = self.play_round(round_)
        finally:
            self.model.train()
        learned = self.assign(self.episodes)
        self.experience = [sequence for episode in learned for sequence in episode.sequences]
        self.experience = [sequence for sequence in self.experience if sequence.action_mask.any()]
        self.log_round(round_)

    def play_round(self, round_: int) -> list[PlayedEpisode]:
        """All episodes of a round, on every process: each plays and scores its share."""
        args = self.args
        alike = args.num_generations if self.shares_starts else 1
        rng = np.random.default_rng([args.seed, STARTS, round_])
        starts = TRAIN_SEED + rng.choice(TEST_SEED - TRAIN_SEED, args.generation_batch_size // alike, replace=False)
        starts = starts.repeat(alike)
        mine = range(self.accelerator.process_index, args.generation_batch_size, self.accelerator.num_processes)
        played = play(
            self.rollout_policy,
            self.task,
            self.task_config,
            [int(starts[index]) for index in mine],
            noise=[(args.seed, NOISE, round_, index) for index in mine],
            batch_size=args.rollout_batch_size,
            max_turns=args.max_turns,
            max_tokens=args.max_tokens,
            oracle=self.oracle,
        )
        self.seconds["generation"] += played.generation
        self.seconds["simulator"] += played.simulator
        begin = time.perf_counter()
        episodes = self.score(played.trajectories)
        self.seconds["training"] += time.perf_counter() - begin
        pairs = gather_object(list(zip(mine, episodes, strict=True)))
        return [episode for _, episode in sorted(pairs, key=lambda pair: pair[0])]

    @cached_property
    def rollout_policy(self) -> RolloutPolicy:
        """The current model as a policy; with vLLM, sharded weights or `reuse_cache: false` it samples as TRL does.

        TRL pads prompts on the left, which not every model can tell from text: a model whose keys and values cannot be
        kept samples by itself."""
        sharded = self.is_deepspeed_enabled or self.is_fsdp_enabled
        own = self.args.reuse_cache or not kept_length(self.accelerator.unwrap_model(self.model))
        own = own and not (self.use_vllm or self.use_transformers_continuous_batching or sharded)
        return RolloutPolicy(
            self.accelerator.unwrap_model(self.model),
            self.processing_class,
            name=self._name,
            temperature=self.temperature,
            max_new_tokens=self.max_completion_length,
            generate=None if own else lambda prompts: self._generate_single_turn(prompts, None, {}, 1)[0],
        )

    # --- log-probabilities of a round

    def score(self, trajectories: Sequence[Trajectory]) -> list[PlayedEpisode]:
        """Adds log-probabilities, and in subclasses values, to the token sequences of episodes."""
        sequences = [sequence for trajectory in trajectories for sequence in trajectory.sequences]
        known = [self._unscored(sequence) for sequence in sequences]
        for group in groups_of([len(sequence.input_ids) for sequence in known]):
            members = [known[index] for index in group]
            ids, mask = self.right_padded([member.input_ids for member in members])
            self.read(members, "logps", self.logps(self.model, ids, mask))
            self.score_group(members)
            if self.needs_reference:
                with self.reference() as model:
                    self.read(members, "ref_logps", self.logps(model, ids, mask))
        found = iter(known)
        return [
            PlayedEpisode(
                start=trajectory.episode.seed,
                total_reward=trajectory.episode.total_reward,
                success=bool(trajectory.episode.info.get("success", False)),
                num_turns=sum(turn.role == "assistant" for turn in trajectory.episode.turns),
                num_invalid=int(trajectory.episode.info.get("invalid", 0)),
                sequences=[next(found) for _ in trajectory.sequences],
            )
            for trajectory in trajectories
        ]

    def score_group(self, members: Sequence[Experience]) -> None:
        """For subclasses: called once these sequences have log-probabilities."""

    @property
    def needs_reference(self) -> bool:
        return self.beta != 0.0

    def _unscored(self, sequence: TokenSequence) -> Experience:
        return Experience(
            np.array(sequence.input_ids),
            np.array(sequence.action_mask, dtype=bool),
            np.array(sequence.rewards, dtype=np.float32),
            logps=np.zeros(len(sequence.input_ids), dtype=np.float32),
        )

    def right_padded(self, rows: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and attention mask, `[rows, time]`."""
        width = max(map(len, rows))
        ids = np.full((len(rows), width), self.processing_class.pad_token_id)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
            mask[place, : len(row)] = 1
        device = self.accelerator.device
        return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)

    def read(self, members: Sequence[Experience], name: str, found: torch.Tensor) -> None:
        """Copies `[rows, time - 1]`, which starts at the second token, into an array of each sequence."""
        for row, member in zip(found.float().cpu().numpy(), members, strict=True):
            array = np.zeros(len(member.input_ids), dtype=np.float32)
            array[1:] = row[: len(array) - 1]
            setattr(member, name, np.where(member.action_mask, array, 0.0).astype(np.float32))

    def logps(self, model: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """`[rows, time - 1]`, of every token but the first."""
        return self._get_per_token_logps_and_entropies(model, ids, mask, ids.shape[1] - 1)[0]

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, logits_to_keep: int, **kwargs: Any
    ) -> Any:
        # A Markov task repeats itself: each distinct sequence goes through the network once.
        marked = torch.where(attention_mask.bool(), input_ids, -1)
        _, inverse, counts = torch.unique(marked, dim=0, return_inverse=True, return_counts=True)
        first = inverse.argsort(stable=True)[counts.cumsum(0) - counts]
        found = super()._get_per_token_logps_and_entropies(
            model, input_ids[first], attention_mask[first], logits_to_keep, **kwargs
        )
        self.network_ran(model, input_ids[first], attention_mask[first], inverse)
        logps, entropies, aux_loss = found
        self.latest_logps = logps[inverse]
        return self.latest_logps, None if entropies is None else entropies[inverse], aux_loss

    def network_ran(self, model: Any, ids: torch.Tensor, mask: torch.Tensor, inverse: torch.Tensor) -> None:
        """For subclasses: called with the distinct rows that `model` has read, and which of them each row is."""

    @contextmanager
    def reference(self) -> Iterator[Any]:
        """The initial policy: TRL's reference model, or the model without its adapters."""
        if self.ref_model is not None:
            yield self.ref_model
            return
        model = self.accelerator.unwrap_model(self.model)
        with use_adapter(model, adapter_name="ref" if "ref" in model.peft_config else None):
            yield self.model

    # --- learning

    def assign(self, episodes: list[PlayedEpisode]) -> list[PlayedEpisode]:
        """Gives sequences their advantages, and returns the episodes to learn from."""
        raise NotImplementedError

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        return generation_batch  # the dataset's rows, which say nothing

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        return self.loss(model, self.micro_batch())

    def loss(self, model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """GRPO's loss (`dapo`): the clipped objective of every action token with its own advantage, and the KL."""
        return super().compute_loss(model, batch)

    def micro_batch(self) -> dict[str, torch.Tensor]:
        """This process's part of the micro-batch that is due."""
        args = self.args
        round_, iteration, part, first = self.place()
        order = np.random.default_rng([args.seed, ORDER, round_, iteration]).permutation(len(self.experience))
        parts = np.array_split(order, args.steps_per_generation)
        update = np.concatenate(parts[first : first + args.gradient_accumulation_steps])
        tokens = sum(int(self.experience[index].action_mask.sum()) for index in update)
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        mine = [self.experience[index] for index in parts[part][rank::world]]
        # TRL gathers metrics, so all processes need equally many rows; a spare row has no action tokens.
        spare = math.ceil(max(1, len(parts[part])) / world) - len(mine)
        batch = self.collate(mine, spare)
        # TRL divides by this, times accumulation steps, over steps per generation and processes.
        batch["num_items_in_batch"] = torch.tensor(
            tokens * args.steps_per_generation / args.gradient_accumulation_steps, device=self.accelerator.device
        )
        return batch

    def collate(self, members: Sequence[Experience], spare: int = 0) -> dict[str, torch.Tensor]:
        """A batch as TRL's loss reads it. Sequences are padded on the right and the first token is
        the whole prompt: padding on the left would move the positions of models that learn them."""
        rows = [*members, *[self.experience[0]] * spare]
        ids, mask = self.right_padded([row.input_ids for row in rows])
        batch = {
            "prompt_ids": ids[:, :1],
            "prompt_mask": mask[:, :1],
            "completion_ids": ids[:, 1:],
            "completion_mask": mask[:, 1:],
            "tool_mask": self.padded([row.action_mask for row in rows]).long(),
            "advantages": self.padded([row.advantages for row in rows]),
        }
        batch["tool_mask"][len(members) :] = 0
        if self.uses_old_logps:
            batch["old_per_token_logps"] = self.padded([row.logps for row in rows])
        if self.beta != 0.0:
            batch["ref_per_token_logps"] = self.padded([row.ref_logps for row in rows])
        return batch

    def padded(self, arrays: Sequence[Any]) -> torch.Tensor:
        """`[rows, time - 1]`, without the first token."""
        out = np.zeros((len(arrays), max(map(len, arrays)) - 1), dtype=np.float32)
        for place, array in enumerate(arrays):
            out[place, : len(array) - 1] = array[1:]
        return torch.from_numpy(out).to(self.accelerator.device)

    # --- numbers

    def record(self, name: str, value: Any) -> None:
        self._metrics["train"][name].append(float(value))

    def log_round(self, round_: int) -> None:
        episodes = self.episodes or []
        returns = np.array([episode.total_reward for episode in episodes])
        turns = sum(episode.num_turns for episode in episodes)
        tokens = sum(int(sequence.action_mask.sum()) for e in episodes for sequence in e.sequences)
        self.state.num_input_tokens_seen += sum(len(sequence.input_ids) for e in episodes for sequence in e.sequences)
        self.record("return/mean", returns.mean())
        self.record("return/std", returns.std())
        self.record("return/normalized", self.task.config(self.task_config).reference.normalize(returns.mean()))
        self.record("success_rate", np.mean([episode.success for episode in episodes]))
        self.record("turns/mean", turns / len(episodes))
        self.record("invalid_rate", sum(episode.num_invalid for episode in episodes) / max(1, turns))
        self.record("action_tokens/mean", tokens / len(episodes))
        self._metrics["train"]["episodes"] = [(round_ + 1) * len(episodes)]
        self._metrics["train"]["num_tokens"] = [self.state.num_input_tokens_seen]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if self.model.training:
            logs |= {f"time/{name}": round(seconds, 3) for name, seconds in self.seconds.items()}
        super().log(logs, start_time)


def total_reward(completions: list[Any], total_reward: list[float | None], **_: Any) -> list[float | None]:
    """The episodes' returns, for TRL, which wants to name a reward; advantages are made from the turns' rewards."""
    return total_reward


def groups_of(lengths: Sequence[int], limit: int = FORWARD_TOKENS) -> list[list[int]]:
    """Indices in groups of similar length; a group of several has at most `limit` tokens, padding included."""
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if not groups or (len(groups[-1]) + 1) * lengths[index] > limit:
            groups.append([])
        groups[-1].append(index)
    return groups


def train(
    make_trainer: Callable[..., OnlineTrainer],
    args: OnlineConfig,
    model_args: Any,
    algorithm: str,
    limitations: str,
    recipe: Settings | None = None,
) -> None:
    """Loads a model, trains it in the simulator, and saves it."""
    target = push_target(args, model_args.model_name_or_path if model_args.use_peft else None)
    model, tokenizer = load_language_model(model_args.model_name_or_path, **model_settings(model_args))
    trainer = make_trainer(model=model, args=args, processing_class=tokenizer, peft_config=adapters(model_args, model))
    policy = partial(
        LanguageModelPolicy,
        tokenizer=tokenizer,
        name=algorithm,
        seed=args.seed,
        temperature=args.temperature,
        max_new_tokens=int(trainer.max_completion_length or 32),
    )
    policy_callback(trainer, trainer.task.id, trainer.task_config, policy)
    run_trainer(trainer, args)
    finish(
        trainer, training_record(args, algorithm, trainer.data, model_args, limitations=limitations), target, recipe
    )
