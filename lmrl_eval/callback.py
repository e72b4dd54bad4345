"""The training callback: scores the policy in the simulator during training."""

from collections.abc import Callable
from typing import Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lmrl_data.errors import UserError
from lmrl_data.policy import Policy
from lmrl_data.task import EVALUATION_SEED, Task
from lmrl_eval.evaluator import Evaluator


class SimulatorEvalCallback(TrainerCallback):
    """Plays episodes with the current model every `eval_every` steps and at the end, and logs the score.

    Logs `eval_return`, `eval_normalized`, `eval_success_rate` and `eval_invalid_rate` through the trainer, to where
    its other numbers go. Only the main process plays; the other processes wait for it at their next step.

    Args:
        trainer (`Trainer`): the trainer whose model is scored; add the callback with `trainer.add_callback`.
        task (`Task` or `str`): the task to play.
        config (`str`): the config of the task.
        make_policy (`Callable[[model], Policy]`): makes a policy from the model.
        eval_every (`int`, *optional*): optimizer steps between two scores; without it only the end is scored.
        n_episodes (`int`, *optional*, defaults to `50`): episodes per score, spread evenly over the starts.
        seed (`int`, *optional*, defaults to `2_000_000`): the seed of the first episode, the same for every score.
        batch_size (`int`, *optional*, defaults to `64`): how many episodes run at the same time.

    Raises:
        UserError: if `eval_every` is below 1.

    Examples:

    ```py
    trainer.add_callback(SimulatorEvalCallback(trainer, "maze", "fully_observed", make_policy, eval_every=100))
    ```
    """

    def __init__(
        self,
        trainer: Trainer,
        task: Task | str,
        config: str,
        make_policy: Callable[[Any], Policy],
        *,
        eval_every: int | None = None,
        n_episodes: int = 50,
        seed: int = EVALUATION_SEED,
        batch_size: int = 64,
    ) -> None:
        if eval_every is not None and eval_every < 1:
            raise UserError(f"eval_every is at least 1 step, got {eval_every}")
        self.trainer = trainer
        self.task = task
        self.config = config
        self.make_policy = make_policy
        self.eval_every = eval_every
        self.n_episodes = n_episodes
        self.seed = seed
        self.batch_size = batch_size
        self._scored_at = -1

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.eval_every is not None and state.global_step % self.eval_every == 0:
            should_log = control.should_log
            self._score(state)
            # `log` marks the step as logged, on this process only; the others would then wait for its loss.
            control.should_log = should_log

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._score(state)

    def _score(self, state: TrainerState) -> None:
        if not state.is_world_process_zero or state.global_step == self._scored_at:
            return
        self._scored_at = state.global_step
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        training = model.training
        model.eval()
        try:
            score = (
                Evaluator()
                .compute(
                    self.make_policy(model),
                    self.task,
                    self.config,
                    n_episodes=self.n_episodes,
                    seed=self.seed,
                    batch_size=self.batch_size,
                    move_accuracy=False,
                    # The interval is not logged.
                    n_resamples=1,
                )
                .score
            )
            # Still in eval mode: TRL's trainers would otherwise flush their running means of the training steps.
            self.trainer.log(
                {
                    "eval_return": score.mean_return,
                    "eval_normalized": score.normalized,
                    "eval_success_rate": score.success_rate,
                    "eval_invalid_rate": score.invalid_rate,
                }
            )
        finally:
            model.train(training)
