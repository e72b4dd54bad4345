"""Whole runs of the online recipes: processes, interruptions, adapters, other engines, and what is refused."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forked
import pytest
import torch
from cases import release
from plain_trainer import PlainTrainer, make_trainer
from recipe_command import call, error_line
from safetensors.torch import load_file
from toy_dialogue import TASK as TOY
from transformers import AutoModelForCausalLM
from trl import ModelConfig, ScriptArguments, get_peft_config
from trl.generation.vllm_generation import VLLMGeneration

import lmrl_data.tasks
from lmrl_data import Conversation, Turn, UserError, get_task
from lmrl_data.tokenization import TurnTokenizer
from lmrl_eval.policies import load_policy
from lmrl_recipes import grpo, online_filtered_bc, ppo
from lmrl_recipes.training import online
from lmrl_recipes.training.offline import load_language_model
from lmrl_recipes.training.online import OnlineConfig
from lmrl_recipes.training.rollout import RolloutPolicy

pytestmark = pytest.mark.slow

RECIPES: dict[str, tuple[Any, Any]] = {
    "ppo": (ppo, ppo.PPOConfig),
    "grpo": (grpo, grpo.OnlineGRPOConfig),
    "online_filtered_bc": (online_filtered_bc, online_filtered_bc.OnlineFilteredBCConfig),
}
OWN: dict[str, dict[str, Any]] = {
    "ppo": {"beta": 0.1, "kl_target": 0.001, "kl_horizon": 40.0},
    "grpo": {"beta": 0.05, "num_generations": 4},
    "online_filtered_bc": {"filter": "top", "top_fraction": 0.5},
}
QUIET: dict[str, Any] = {"use_cpu": True, "report_to": "none", "save_strategy": "no", "disable_tqdm": True}
# Two rounds of four updates; hot, so that the cloned policy now and then says nonsense and returns differ.
SMALL: dict[str, Any] = {
    "task": "maze", "task_config": "fully_observed", "max_turns": 3, "max_completion_length": 8, "rounds": 2,
    "per_device_train_batch_size": 8, "steps_per_generation": 2, "num_iterations": 2, "temperature": 1.5,
    "learning_rate": 1e-3,
}  # fmt: skip
FOLDER = Path(ppo.__file__).parent
MEASURED = ("time", "step_time", "runtime", "per_second")


def run(name: str, output_dir: Path, model: Path, *, peft: bool = False, **settings: Any) -> None:
    """The recipe in this process."""
    module, config = RECIPES[name]
    args = config(output_dir=str(output_dir), **QUIET | SMALL | OWN[name] | settings)
    module.main(ScriptArguments(), args, ModelConfig(model_name_or_path=str(model), use_peft=peft, lora_r=4))


def command(name: str, model: Path, output_dir: Path, **settings: Any) -> list[str]:
    flags = QUIET | SMALL | OWN[name] | {"model_name_or_path": model, "output_dir": output_dir} | settings
    return [str(FOLDER / f"{name}.py"), *(str(word) for key, value in flags.items() for word in (f"--{key}", value))]


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def history_of(folder: Path) -> list[dict[str, Any]]:
    """What was logged, without what was measured with a clock."""
    entries = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    kept = [{k: v for k, v in e.items() if not any(word in k for word in MEASURED)} for e in entries]
    return [entry for entry in kept if "return/mean" in entry]


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    (path,) = folder.glob("*model.safetensors")
    return load_file(path)


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max((one[name] - other[name]).abs().max().item() for name in one)


# --- processes


@pytest.mark.parametrize(
    "name", ["online_filtered_bc", *(release(name) for name in RECIPES if name != "online_filtered_bc")]
)
def test_two_processes_are_one_with_twice_the_batch(workshop: Path, tmp_path: Path, name: str) -> None:
    model = workshop / "bc"
    # Plain gradient descent: where a gradient is next to nothing, Adam makes a full step of its rounding error.
    settings: dict[str, Any] = {"optim": "sgd", "learning_rate": 0.01, "max_turns": 4}
    run(name, tmp_path / "one", model, **settings)
    half = command(
        name, model, tmp_path / "two", per_device_train_batch_size=4, simulator_episodes=2, **settings
    )  # fmt: skip
    if name == "ppo":  # the others leave out the ten seconds that the launcher and its two processes need to import
        launch = [
            sys.executable, "-m", "accelerate.commands.launch", "--main_process_port", "0",
            "--config_file", str(FOLDER / "accelerate" / "two_cpus.yaml"),
        ]  # fmt: skip
        done = [
            subprocess.run(launch + half, env=environment(), capture_output=True, text=True, timeout=500, check=False)
        ]
    else:
        done = forked.run_twice(half, folder=tmp_path, output=tmp_path / "log", environment=environment())
    assert [each.returncode for each in done] == [0] * len(done), done[0].stderr[-3000:]
    one, two = history_of(tmp_path / "one"), history_of(tmp_path / "two")
    assert len(one) == len(two) == 2
    for entry, other in zip(one, two, strict=True):
        assert entry["return/std"] > 0
        assert entry["grad_norm"] > 0
        for column in ("return/mean", "return/std", "episodes", "num_tokens", "turns/mean", "action_tokens/mean"):
            assert entry[column] == other[column]
        for column in ("loss", "grad_norm", "entropy"):
            assert entry[column] == pytest.approx(other[column], rel=1e-3, abs=1e-5)
    weights = weights_of(tmp_path / "one")
    assert distance(weights, weights_of(tmp_path / "two")) < 1e-6
    assert distance(weights, weights_of(model)) > 1e-4
    # Only the main process plays for the score, and the other does not wait for it in vain.
    entries = json.loads((tmp_path / "two" / "trainer_state.json").read_text())["log_history"]
    assert any("eval_return" in entry for entry in entries)


# --- interruptions


@pytest.mark.parametrize(("name", "peft"), [*(release(name, False) for name in RECIPES), ("ppo", True)])
def test_a_resumed_run_ends_where_an_unbroken_one_ends(workshop: Path, tmp_path: Path, name: str, peft: bool) -> None:
    settings: dict[str, Any] = {"rounds": 4, "save_strategy": "steps", "save_steps": 1, "peft": peft}
    run(name, tmp_path / "whole", workshop / "bc", **settings)
    steps = sorted(int(path.name.split("-")[1]) for path in (tmp_path / "whole").glob("checkpoint-*"))
    assert steps == [4, 8, 12, 16]  # after whole rounds only
    if name == "ppo":
        critic = {key for key in weights_of(tmp_path / "whole" / "checkpoint-8") if ppo.is_critic(key)}
        assert critic > {key for key in weights_of(tmp_path / "whole") if ppo.is_critic(key)} == set()
    shutil.copytree(tmp_path / "whole" / "checkpoint-8", tmp_path / "resumed" / "checkpoint-8")
    (tmp_path / "resumed" / "checkpoint-12").mkdir()  # torn off while it was written
    run(name, tmp_path / "resumed", workshop / "bc", resume_from_checkpoint="last", **settings)
    assert distance(weights_of(tmp_path / "whole"), weights_of(tmp_path / "resumed")) == 0.0
    whole, resumed = history_of(tmp_path / "whole"), history_of(tmp_path / "resumed")
    assert len(whole) == 4
    for entry, other in zip(whole, resumed, strict=True):
        assert entry == pytest.approx(other, rel=1e-6, nan_ok=True)
    # It did go on, and did not begin again.
    halfway, end = (weights_of(tmp_path / "whole" / f"checkpoint-{step}") for step in (8, 16))
    assert distance(halfway, end) > 1e-5
    if name == "ppo":
        coefficients = [entry["kl/coef"] for entry in whole]
        assert len(set(coefficients)) == 4


def test_a_killed_run_goes_on_as_if_nothing_had_happened(workshop: Path, tmp_path: Path) -> None:
    saving: dict[str, Any] = {"save_strategy": "steps", "save_steps": 4}
    words = command("ppo", workshop / "bc", tmp_path / "killed", rounds=100_000, **saving)
    log = tmp_path / "log"
    running = forked.start(words, folder=tmp_path, output=log, environment=environment())
    try:
        deadline = time.monotonic() + 400
        while not (tmp_path / "killed" / "checkpoint-8" / "trainer_state.json").exists():
            assert running.exitcode is None, log.with_suffix(".stderr").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        running.kill()
        running.join()
    states = (tmp_path / "killed").glob("checkpoint-*/trainer_state.json")
    rounds = max(int(state.parent.name.split("-")[1]) for state in states) // 4 + 1
    run("ppo", tmp_path / "killed", workshop / "bc", rounds=rounds, resume_from_checkpoint="last", **saving)
    run("ppo", tmp_path / "whole", workshop / "bc", rounds=rounds)
    # As two processes on one machine agree: threads may add up in another order.
    assert distance(weights_of(tmp_path / "whole"), weights_of(tmp_path / "killed")) < 1e-5
    whole, killed = history_of(tmp_path / "whole"), history_of(tmp_path / "killed")
    for column in ("return/mean", "episodes", "num_tokens", "kl/coef"):
        assert [entry[column] for entry in whole] == pytest.approx([entry[column] for entry in killed], rel=1e-4)


@pytest.mark.parametrize(
    ("asked", "kept"), [(1, 6), (6, 6), (7, 12), (500, 504), (0.5, 18), (0.001, 6)]
)  # fmt: skip
def test_checkpoints_are_made_after_whole_rounds(tmp_path: Path, asked: float, kept: int) -> None:
    args = OnlineConfig(
        output_dir=str(tmp_path), steps_per_generation=4, gradient_accumulation_steps=2, num_iterations=3,
        rounds=6, save_steps=asked, **{name: QUIET[name] for name in ("use_cpu", "report_to")},
    )  # fmt: skip
    assert (args.updates_per_round, args.max_steps, args.save_steps, args.logging_steps) == (6, 36, kept, 6)


# --- adapters


@pytest.mark.parametrize("name", ["ppo", release("online_filtered_bc"), release("grpo")])
def test_adapters_are_trained_and_leave_a_policy_that_everything_loads(
    workshop: Path, tmp_path: Path, name: str
) -> None:
    run(name, tmp_path, workshop / "bc", peft=True, learning_rate=1e-2)
    policy: Any = load_policy(str(tmp_path), get_task("maze"), "fully_observed", temperature=0.0, max_new_tokens=8)
    (action,) = policy.act([Conversation(0, 1, [Turn("user", "There is a wall above.")])])
    assert isinstance(action, str)
    before = AutoModelForCausalLM.from_pretrained(workshop / "bc").state_dict()
    moved = {key for key, tensor in policy.model.state_dict().items() if not torch.allclose(tensor, before[key])}
    assert moved
    assert all(".q_proj." in key or ".v_proj." in key for key in moved)
    # The policy's adapters and nothing else.
    assert all("lora_" in key for key in weights_of(tmp_path))
    assert not json.loads((tmp_path / "adapter_config.json").read_text())["modules_to_save"]
    assert any(entry["grad_norm"] > 0 for entry in history_of(tmp_path))


def test_adapters_are_on_the_policy_and_not_on_its_critic(base: Path, tmp_path: Path) -> None:
    args = ppo.PPOConfig(output_dir=str(tmp_path), **QUIET | SMALL)
    model, tokenizer = load_language_model(str(base))
    model_args = ModelConfig(model_name_or_path=str(base), use_peft=True, lora_r=4)
    trainer = ppo.make_trainer(
        ScriptArguments(), model_args, model=model, args=args, processing_class=tokenizer,
        peft_config=get_peft_config(model_args),
    )  # fmt: skip
    trained = {name for name, parameter in trainer.model.named_parameters() if parameter.requires_grad}
    critic = {name for name in trained if ppo.is_critic(name)}
    assert trained - critic
    assert all("lora_" in name for name in trained - critic)
    assert not any("lora_" in name for name in critic)
    # The whole critic learns: as many parameters as the trunk has, and a head.
    trunk = sum(parameter.numel() for parameter in AutoModelForCausalLM.from_pretrained(base).parameters())
    sizes = {name: parameter.numel() for name, parameter in trainer.model.named_parameters()}
    assert sum(sizes[name] for name in critic) == trunk + 65


# --- other engines


class VLLM(VLLMGeneration):
    """TRL's own client, with a model in the place of the engine: what is sent to it, and what it is asked."""

    def _init_vllm(self) -> None:
        self.synced: list[list[str]] = []
        self.asked: list[int] = []
        self.llm = self

    def sync_weights(self) -> None:
        self.synced.append([name for name, _ in self._iter_named_params()])

    def generate(self, prompts: Any, images: Any, num_generations: int, profiler: Any = None) -> Any:
        assert images is None
        assert num_generations == 1
        self.asked.append(len(prompts))
        turns = TurnTokenizer(self.processing_class)  # type: ignore[arg-type]
        # More than an action: what is behind its end was never said.
        ids = [*turns.content_ids("move up"), *turns.action_end, *turns.content_ids("move")]
        return prompts, [ids for _ in prompts], [[[-1.0]] * len(ids) for _ in prompts], None


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trl.trainer.grpo_trainer.VLLMGeneration", VLLM)
    monkeypatch.setattr(online, "is_vllm_available", lambda: True)


@pytest.mark.parametrize("peft", [False, True])
def test_vllm_samples_gets_the_weights_once_an_update_and_never_the_critic(
    vllm: None, base: Path, tmp_path: Path, peft: bool
) -> None:
    args = ppo.PPOConfig(output_dir=str(tmp_path), use_vllm=True, **QUIET | SMALL | {"beta": 0.0})
    model, tokenizer = load_language_model(str(base))
    model_args = ModelConfig(model_name_or_path=str(base), use_peft=peft, lora_r=4)
    trainer: Any = ppo.make_trainer(
        ScriptArguments(), model_args, model=model, args=args, processing_class=tokenizer,
        peft_config=get_peft_config(model_args),
    )  # fmt: skip
    turns = TurnTokenizer(tokenizer)
    assert trainer.vllm_generation.generation_kwargs == {"stop_token_ids": sorted(turns.stop_ids)}
    trainer.train()
    # Two rounds of three turns; within a round the weights stay.
    assert trainer.vllm_generation.asked == [16, 16, 16] * 2
    assert len(trainer.vllm_generation.synced) == 2
    policy = {name for name, _ in AutoModelForCausalLM.from_pretrained(base).named_parameters()}
    assert all(set(names) == policy for names in trainer.vllm_generation.synced)
    said = [*turns.content_ids("move up"), *turns.action_end]
    for episode in trainer.episodes:
        for sequence in episode.sequences:
            assert sequence.input_ids[sequence.action_mask].tolist() == said
            assert (sequence.logps[sequence.action_mask] < 0).all()  # the training model's own


def test_without_the_cache_trl_samples(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(base, tmp_path, reuse_cache=False)
    asked: list[int] = []
    inner = trainer._generate_single_turn

    def counting(prompts: Any, *rest: Any) -> Any:
        asked.append(len(prompts))
        return inner(prompts, *rest)

    monkeypatch.setattr(trainer, "_generate_single_turn", counting)
    monkeypatch.setattr(RolloutPolicy, "_write", lambda *_: pytest.fail("the policy sampled by itself"))
    trainer.train()
    assert asked == [8, 8, 8]
    stop = trainer.rollout_policy.turns.stop_ids
    for episode in trainer.episodes:
        assert len(episode.sequences) == 3
        for sequence in episode.sequences:
            action = sequence.input_ids[sequence.action_mask].tolist()
            assert 1 <= len(action) <= 3
            assert not stop & set(action[:-1])


# --- oracles


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lmrl_data.tasks.TASKS, TOY.id, "toy_dialogue:TASK")


def test_a_model_can_answer_in_a_dialogue(toy: None, base: Path, tmp_path: Path) -> None:
    settings = {"task": "toy", "task_config": None, "max_turns": None}
    trainer = make_trainer(base, tmp_path, oracle=f"lm:{base}", **settings)
    trainer.train()
    assert trainer.oracle.statistics()["asked"] > 0
    assert all(episode.num_turns <= 4 for episode in trainer.episodes)
    assert make_trainer(base, tmp_path, oracle="grounded", **settings).oracle is None


# --- what is refused


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"loss_type": "grpo"}, "loss_type is dapo"),
        ({"top_p": 0.9}, "sample from the whole distribution"),
        ({"top_k": 5}, "sample from the whole distribution"),
        ({"temperature": 0.0}, "temperature"),
        ({"max_completion_length": 0}, "max_completion_length is at least 1, got 0"),
        ({"max_completion_length": None}, "at least 1 token, got none"),
        ({"eval_strategy": "steps"}, "scored in the simulator, with simulator_episodes"),
        ({"steps_per_generation": 3, "gradient_accumulation_steps": 2}, r"steps_per_generation \(3\) is a multiple"),
        ({"vllm_importance_sampling_correction": True}, "vllm_importance_sampling_correction"),
        ({"task": "mazes"}, "unknown task 'mazes'"),
        ({"task_config": "observed"}, "unknown config of maze 'observed'"),
        ({"oracle": "lm:somewhere"}, "maze has no dialogue"),
        ({"oracle": "someone"}, "unknown oracle"),
        ({"use_vllm": True}, "vllm is not installed"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_line(
    base: Path, tmp_path: Path, settings: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint) as caught:
        make_trainer(base, tmp_path, **settings)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_vllm_with_two_processes_is_refused_before_an_engine_starts(
    vllm: None, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VLLM, "_init_vllm", lambda self: pytest.fail("an engine was started"))
    args = OnlineConfig(output_dir=str(tmp_path), use_vllm=True, **QUIET)
    monkeypatch.setattr(OnlineConfig, "world_size", 2)
    model, tokenizer = load_language_model(str(base))
    with pytest.raises(UserError, match="one training process"):
        PlainTrainer(model=model, args=args, processing_class=tokenizer)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--model_name_or_path", "nowhere"], "nowhere is no checkpoint"),
        (["--task", "mazes"], "unknown task 'mazes'; choose from: maze"),
        (["--oracle", "lm:nowhere"], "maze has no dialogue"),
        (["--loss_type", "grpo"], "loss_type is dapo"),
        (["--roundz", "3"], "unknown setting 'roundz'; did you mean rounds?"),
        (["--resume_from_checkpoint", "nowhere"], "cannot resume from nowhere"),
    ],
)
def test_wrong_input_to_a_recipe_is_one_line_and_exit_code_2(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    name: str, flags: list[str], complaint: str,
) -> None:  # fmt: skip
    module, config = RECIPES[name]
    main: Callable[..., None] = module.main
    words = command(name, base, tmp_path)[1:]
    assert call(main, [*words, *flags], [ScriptArguments, config, ModelConfig], monkeypatch) == 2
    assert complaint in error_line(capsys.readouterr().err)
