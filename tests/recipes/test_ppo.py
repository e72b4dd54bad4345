"""PPO: advantages and gradients of a round by hand, what it saves, and that it learns."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import release
from online_play import (
    Watch,
    acted,
    batches_of,
    gradients_of,
    largest_difference,
    logps_of,
    make,
    on_the_chain,
    policy_with,
    returns_of,
    same,
)
from torch import nn
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer
from trl import ModelConfig, ScriptArguments

from lmrl_data import Episode, get_task
from lmrl_eval.policies import load_policy
from lmrl_recipes.ppo import (
    PPOConfig,
    PPOTrainer,
    add_critic,
    is_critic,
    main,
)
from lmrl_recipes.training.online import Experience, PlayedEpisode

pytestmark = pytest.mark.slow

# --- advantages of a round


def critic_of(checkpoint: Path, kind: str, bias: float = 0.0, scale: float = 0.5) -> Any:
    """What gives a model a critic whose values differ from state to state."""

    def prepare(model: Any) -> None:
        torch.manual_seed(5)
        add_critic(model, str(checkpoint), kind, bias)
        nn.init.normal_(model.v_head.weight, std=scale)

    return prepare


def make_ppo(base: Path, folder: Path, kind: str = "head", extra: Any = None, **settings: Any) -> tuple[Any, Watch]:
    prepare = critic_of(base, kind)
    settings = {"kl_stop": None, **settings}
    return make(PPOTrainer, PPOConfig, base, folder, prepare=prepare, extra=extra, critic=kind, **settings)


@pytest.fixture(scope="module")
def idle(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A trainer that is only asked for advantages; tests change its settings."""
    return make_ppo(base, tmp_path_factory.mktemp("idle"), beta=0.0)[0]


def experience(**columns: list[float]) -> Experience:
    """A sequence whose action tokens are those with a value."""
    mask = np.array([value is not None for value in columns["values"]])
    arrays = {name: np.array([x or 0.0 for x in column], dtype=np.float32) for name, column in columns.items()}
    arrays.setdefault("logps", np.zeros(len(mask), dtype=np.float32))
    return Experience(input_ids=np.arange(len(mask)), action_mask=mask, **arrays)


def episode(*sequences: Experience, next_value: float = 0.0) -> PlayedEpisode:
    return PlayedEpisode(0, 0.0, False, 1, 0, list(sequences), next_value)


def set_up(trainer: Any, monkeypatch: pytest.MonkeyPatch, kl_coef: float = 0.0, **settings: Any) -> None:
    monkeypatch.setattr(trainer, "kl_coef", kl_coef)
    for name, value in settings.items():
        monkeypatch.setattr(trainer.args, name, value)


HALF = {"gamma": 0.5, "gae_lambda": 0.5, "whiten_advantages": False}
_: Any = None


def test_tokens_that_were_read_take_no_time(idle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(idle, monkeypatch, **HALF)
    one = experience(values=[_, _, 2, _, _, 4, 1, _], rewards=[0, 0, -1, 0, 0, 0, -2, 0])
    (found,) = idle.assign([episode(one, next_value=8.0)])
    assert found.sequences[0].advantages.tolist() == [0, 0, -1.8125, 0, 0, -3.25, 1, 0]
    assert found.sequences[0].returns.tolist() == [0, 0, 0.1875, 0, 0, 0.75, 2, 0]


def test_an_episode_of_many_sequences_has_the_advantages_of_one(idle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(idle, monkeypatch, **HALF)
    first = experience(values=[_, 2], rewards=[0, -1])
    second = experience(values=[_, _, 4, 1], rewards=[0, 0, 0, -2])
    (found,) = idle.assign([episode(first, second)])
    assert [each.advantages.tolist() for each in found.sequences] == [[0, -2.0625], [0, 0, -4.25, -3]]
    assert [each.returns.tolist() for each in found.sequences] == [[0, -0.0625], [0, 0, -0.25, -2]]


def test_the_future_does_not_reach_into_another_episode(idle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(idle, monkeypatch, gamma=1.0, gae_lambda=1.0, whiten_advantages=False)
    found = idle.assign([episode(experience(values=[_, 0], rewards=[0, -1.0])) for _count in range(2)])
    assert [each.sequences[0].returns.tolist() for each in found] == [[0, -1], [0, -1]]


def test_the_kl_from_the_initial_policy_is_paid_at_every_token(idle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(idle, monkeypatch, kl_coef=0.5, gamma=1.0, gae_lambda=1.0, whiten_advantages=False)
    one = experience(values=[_, 0, _, 0], rewards=[0, -1, 0, -2], logps=[0, -1, 0, -2], ref_logps=[0, -3, 0, -1])
    (found,) = idle.assign([episode(one)])
    # log pi - log pi_0 is 2, then -1: rewards of -1 - 1 and -2 + 0.5.
    assert found.sequences[0].returns.tolist() == [0, -3.5, 0, -1.5]
    # The rewards themselves stay: the next round's returns are the task's.
    assert found.sequences[0].rewards.tolist() == [0, -1, 0, -2]
    # The mean of e^-x - 1 + x.
    expected = ((np.exp(-2) + 1) + (np.exp(1) - 2)) / 2
    assert idle._metrics["train"]["kl/initial"][-1] == pytest.approx(expected)


def test_the_kl_coefficient_adapts_by_the_episodes_of_a_round(idle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(idle, monkeypatch, kl_coef=0.5, kl_target=0.01, kl_horizon=100.0)
    columns = {"values": [_, 0], "rewards": [0, -1], "logps": [0, -1], "ref_logps": [0, -3]}
    idle.assign([episode(experience(**columns)) for _count in range(10)])
    assert idle.kl_coef == pytest.approx(0.5 * (1 + 0.2 * 10 / 100))


def test_advantages_are_whitened_over_the_whole_round(idle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(idle, monkeypatch, gamma=0.0, gae_lambda=0.0, whiten_advantages=True)
    first = experience(values=[_, 0, 0], rewards=[0, 1, 3])
    second = experience(values=[0, _], rewards=[8, 0])
    found = idle.assign([episode(first), episode(second)])
    # 1, 3, 8 have mean 4 and variance (9 + 1 + 16) / 3.
    scale = (26 / 3) ** 0.5
    assert found[0].sequences[0].advantages.tolist() == pytest.approx([0, -3 / scale, -1 / scale])
    assert found[1].sequences[0].advantages.tolist() == pytest.approx([4 / scale, 0])
    # What the critic learns stays as it is.
    assert found[1].sequences[0].returns.tolist() == [8, 0]


# --- gradients


class Plain(nn.Module):
    """A policy and a critic written the long way, on weights of a trainer's model."""

    def __init__(self, base: Path, weights: dict[str, torch.Tensor], kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.policy = policy_with(base, weights)
        self.v_head = nn.Linear(weights["v_head.weight"].shape[1], 1)
        if kind == "model":
            self.critic = AutoModel.from_pretrained(base)
        rest = {name: weights[name] for name in weights if is_critic(name)}
        self.load_state_dict(rest, strict=False)

    def values(self, sequence: Experience) -> torch.Tensor:
        """Of the states in which a sequence's action tokens were chosen."""
        trunk = self.critic if self.kind == "model" else self.policy.model
        states = trunk(torch.from_numpy(sequence.input_ids)[None]).last_hidden_state[0]
        places = torch.from_numpy(sequence.action_mask).nonzero()[:, 0]
        states = states.detach() if self.kind == "detached" else states
        return self.v_head(states)[places - 1, 0]

    def gradients(self, loss: torch.Tensor) -> dict[str, torch.Tensor]:
        return {name.removeprefix("policy."): each for name, each in gradients_of(loss, self).items()}


def ppo_loss(plain: Plain, sequences: list[Experience], value_clip: float | None) -> tuple[torch.Tensor, int]:
    """The objective token by token, and for how many tokens the clip of the ratio decides."""
    policy, critic, beyond, count = torch.zeros(()), torch.zeros(()), 0, 0
    for sequence in sequences:
        columns = (acted(sequence, name) for name in ("logps", "advantages", "values", "returns"))
        found = zip(logps_of(plain.policy, sequence), plain.values(sequence), *columns, strict=True)
        for logp, value, old_logp, advantage, old_value, target in found:
            ratio = (logp - old_logp).exp()
            beyond += bool((advantage > 0 and ratio > 1.2) or (advantage < 0 and ratio < 0.8))
            policy = policy - torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
            error = (value - target) ** 2
            if value_clip is not None:
                moved = old_value + (value - old_value).clamp(-value_clip, value_clip)
                error = torch.maximum(error, (moved - target) ** 2)
            critic = critic + error / 2
            count += 1
    return (policy + 0.5 * critic) / count, beyond


@pytest.mark.parametrize(
    ("kind", "task", "count"),
    [
        ("head", "wordle", 4), ("detached", "wordle", 4), ("model", "maze", 12),
        release("head", "maze", 12), release("detached", "maze", 12), release("model", "wordle", 4),
    ],
)  # fmt: skip
def test_a_rounds_gradient_is_that_of_the_clipped_objective(
    base: Path, tmp_path: Path, kind: str, task: str, count: int
) -> None:
    # One update a pass, from two micro-batches. The first pass moves the policy, the second finds it moved.
    trainer, watch = make_ppo(
        base, tmp_path, kind, task=task, num_iterations=2, gradient_accumulation_steps=2, learning_rate=1e-2
    )
    trainer.train()
    (sequences, _) = watch.experience
    assert len(sequences) == count
    beyond = []
    for gradients, weights in zip(watch.gradients, watch.weights, strict=False):
        plain = Plain(base, weights, kind)
        loss, clipped = ppo_loss(plain, sequences, 0.2)
        assert largest_difference(gradients, plain.gradients(loss)) < 1e-5
        beyond.append(clipped)
    assert beyond[0] == 0
    assert beyond[1] > 0
    assert max(each.abs().max().item() for each in watch.gradients[0].values()) > 1e-2


def test_every_update_of_a_round_is_a_mean_over_its_own_tokens(base: Path, tmp_path: Path) -> None:
    trainer, watch = make_ppo(base, tmp_path, value_clip=None, beta=0.0, whiten_advantages=False)
    seen = batches_of(trainer)
    trainer.train()
    assert sorted(id(each) for members in seen for each in members) == sorted(map(id, trainer.experience))
    for members, gradients, weights in zip(seen, watch.gradients, watch.weights, strict=False):
        plain = Plain(base, weights, "head")
        assert largest_difference(gradients, plain.gradients(ppo_loss(plain, members, None)[0])) < 1e-5


@pytest.mark.parametrize(("kind", "reaches"), [("head", True), ("detached", False), ("model", False)])
def test_only_a_head_on_the_policys_trunk_trains_that_trunk(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, reaches: bool
) -> None:
    trainer, watch = make_ppo(base, tmp_path, kind)
    assign = trainer.assign

    def nothing_to_gain(episodes: list[PlayedEpisode]) -> list[PlayedEpisode]:
        for each in assign(episodes):
            for sequence in each.sequences:
                sequence.advantages *= 0
        return episodes

    trainer.assign = nothing_to_gain
    trainer.train()
    largest = {False: 0.0, True: 0.0}
    for name, gradient in watch.gradients[0].items():
        largest[is_critic(name)] = max(largest[is_critic(name)], gradient.abs().max().item())
    assert largest[True] > 1e-3
    assert (largest[False] > 1e-3) == reaches
    assert reaches or largest[False] == 0
    trunk = any(name.startswith("critic.") for name in watch.gradients[0])
    assert trunk == (kind == "model")


def test_the_values_of_a_round_are_those_of_the_states_its_tokens_were_chosen_in(base: Path, tmp_path: Path) -> None:
    trainer, watch = make_ppo(base, tmp_path, "model", learning_rate=0.0, beta=0.0)
    trainer.train()
    plain = Plain(base, watch.weights[0], "model")
    for sequence in trainer.experience:
        assert torch.allclose(acted(sequence, "values"), plain.values(sequence), atol=1e-5)
        assert torch.allclose(acted(sequence, "logps"), logps_of(plain.policy, sequence), atol=1e-5)
    assert len({round(float(each.next_value), 4) for each in trainer.episodes}) > 1


def test_a_cut_episode_bootstraps_from_what_the_policy_would_see_next(base: Path, tmp_path: Path) -> None:
    # Markov: what is seen next is the newest observation alone, and nothing but -4 a turn is earned.
    trainer, watch = make_ppo(base, tmp_path, "model", task="maze", learning_rate=0.0, gamma=1.0,
                              gae_lambda=1.0, beta=0.0)  # fmt: skip
    trainer.train()
    plain = Plain(base, watch.weights[0], "model")
    for each in trainer.episodes:
        # It did not move: the next state is the one it is in.
        prompt = each.sequences[-1].input_ids[: each.sequences[-1].action_mask.argmax()]
        state = plain.critic(torch.from_numpy(prompt)[None]).last_hidden_state[0, -1]
        expected = plain.v_head(state).item()
        assert each.next_value == pytest.approx(expected, abs=1e-5)
        first = each.sequences[0]
        assert acted(first, "returns")[0].item() == pytest.approx(each.total_reward + expected, abs=1e-4)


def test_the_critic_has_its_own_learning_rate(base: Path, tmp_path: Path) -> None:
    trainer, watch = make_ppo(base, tmp_path, "model", learning_rate=0.0, critic_learning_rate=1e-2)
    trainer.train()
    groups = trainer.optimizer.param_groups
    members = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(members) == len(set(members)) == len(list(trainer.model.parameters()))
    for name, parameter in trainer.model.named_parameters():
        (rate,) = {group["lr"] for group in groups if any(each is parameter for each in group["params"])}
        assert rate == (1e-2 if is_critic(name) else 0.0)
    first, last = watch.weights[0], watch.weights[-1]
    assert same({name: first[name] for name in first if not is_critic(name)}, last)
    assert not torch.equal(first["v_head.weight"], last["v_head.weight"])
    assert not torch.equal(first["critic.norm.weight"], last["critic.norm.weight"])


class Recording(list[dict[str, Any]]):
    """Offline items that know which were drawn."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        super().__init__(items)
        self.drawn: list[dict[str, Any]] = []

    def __getitem__(self, index: Any) -> Any:
        self.drawn.append(super().__getitem__(index))
        return self.drawn[-1]


def offline_row(item: dict[str, Any]) -> Experience:
    mask = np.array(item["action_mask"], dtype=bool)
    return Experience(np.array(item["input_ids"]), mask, rewards=np.zeros(len(mask)), logps=np.zeros(len(mask)))


def test_cloning_adds_the_cross_entropy_of_the_offline_rows_and_nothing_else(base: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    items = [
        {"input_ids": random.integers(2, 250, length).tolist(), "action_mask": [0, 0, 0] + [1] * (length - 3)}
        for length in (5, 9, 40)
    ]
    settings: dict[str, Any] = {"gradient_accumulation_steps": 2, "beta": 0.0}
    without, plain_watch = make_ppo(base, tmp_path / "without", **settings)
    without.train()
    offline = Recording(items)
    trainer, watch = make_ppo(
        base, tmp_path / "with", extra={"offline": offline}, bc_weight=0.3, bc_batch_size=4, **settings
    )
    trainer.train()
    assert len(offline.drawn) == 8
    model = policy_with(base, watch.weights[0])
    cloning = torch.zeros(())
    for batch in (offline.drawn[:4], offline.drawn[4:]):
        logps = torch.cat([logps_of(model, offline_row(item)) for item in batch])
        cloning = cloning - logps.mean() / 2
    expected = gradients_of(0.3 * cloning, model)
    (gradients,), (before,) = watch.gradients, plain_watch.gradients
    added = {name: gradients[name] - before[name] for name in gradients}
    assert largest_difference(added, expected) < 1e-4
    assert max(each.abs().max().item() for each in expected.values()) > 1e-2


# --- leaving a round


def test_a_round_is_left_once_the_policy_moved_too_far_and_the_next_one_learns_again(
    base: Path, tmp_path: Path
) -> None:
    trainer, watch = make_ppo(
        base, tmp_path, rounds=2, num_iterations=4, gradient_accumulation_steps=2, learning_rate=1e-2, kl_stop=1e-6
    )
    trainer.train()
    # The first update moves the policy, the second notices, the others are left out.
    moved = [not same(before, after) for before, after in zip(watch.weights, watch.weights[1:], strict=False)]
    assert moved == [True, True, False, False] * 2
    for left in (2, 3, 6, 7):
        assert watch.gradients[left] == {}
        assert all(torch.equal(*pair) for pair in zip(watch.momentum[left], watch.momentum[1 if left < 4 else 5],
                                                      strict=True))  # fmt: skip


def test_without_a_limit_no_update_is_left_out(base: Path, tmp_path: Path) -> None:
    trainer, watch = make_ppo(base, tmp_path, num_iterations=4, gradient_accumulation_steps=2, learning_rate=1e-2)
    trainer.train()
    assert all(not same(*pair) for pair in zip(watch.weights, watch.weights[1:], strict=False))


# --- learning


@pytest.mark.parametrize(("kind", "critic_learning_rate"), [("head", None), release("model", 1e-2)])
def test_ppo_finds_the_path_that_its_data_do_not_have(
    chain: tuple[Path, list[Episode]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    critic_learning_rate: float | None,
) -> None:
    trainer = on_the_chain(
        monkeypatch, PPOTrainer, PPOConfig, chain[0], tmp_path,
        prepare=critic_of(chain[0], kind, bias=-6.0, scale=0.0), critic=kind,
        critic_learning_rate=critic_learning_rate, value_clip=None, num_iterations=4,
    )  # fmt: skip
    trainer.train()
    returns = returns_of(trainer)
    # Two of three steps of the cloned policy lead away: it hardly ever arrives.
    assert returns[0] < -10
    assert np.mean(returns[-3:]) > -7


# --- runs


def run(output_dir: Path, *, peft: bool = False, dataset: str = "lmrl/maze", **settings: Any) -> None:
    args = PPOConfig(
        output_dir=str(output_dir), task="maze", use_cpu=True, report_to="none", disable_tqdm=True,
        max_completion_length=8, **settings,
    )  # fmt: skip
    data = ScriptArguments(dataset_name=dataset, dataset_config="fully_observed")
    main(data, args, ModelConfig(model_name_or_path="bc", use_peft=peft, lora_r=4))


@pytest.mark.parametrize("kind", ["head", "model"])
def test_what_is_published_is_a_plain_policy_and_what_is_resumed_has_a_critic(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(workshop)
    run(
        tmp_path, critic=kind, rounds=2, max_turns=5, per_device_train_batch_size=4, save_steps=1, learning_rate=1e-3,
        num_iterations=1, bc_weight=0.1, bc_batch_size=4,
    )  # fmt: skip
    loaded: Any = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    model, found = loaded
    assert not any(found[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    trained, before = model.state_dict(), AutoModelForCausalLM.from_pretrained("bc").state_dict()
    assert any(not torch.equal(trained[name], before[name]) for name in before)
    assert load_policy(str(tmp_path), get_task("maze"), "fully_observed").name == tmp_path.name
    assert AutoTokenizer.from_pretrained(tmp_path).chat_template
    for step in (1, 2):
        folder = tmp_path / f"checkpoint-{step}"
        loaded = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
        found = loaded[1]
        assert {"v_head.weight", "v_head.bias"} <= set(found["unexpected_keys"])
        assert ("critic.norm.weight" in found["unexpected_keys"]) == (kind == "model")
        callbacks = json.loads((folder / "trainer_state.json").read_text())["stateful_callbacks"]
        assert callbacks["KLCoefficient"]["attributes"] == {"kl_coef": 0.01}
    assert "ppo" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_adapters_leave_a_policy_too(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workshop)
    run(tmp_path, peft=True, rounds=2, max_turns=5, per_device_train_batch_size=4, num_iterations=1, beta=0.1)
    assert load_policy(str(tmp_path), get_task("maze"), "fully_observed").name == tmp_path.name
