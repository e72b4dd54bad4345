"""What the online recipes share: the numbers of a round, its updates, the settings, and other engines that sample."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.accelerator import Accelerator
from cases import release
from plain_trainer import make_trainer
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, TrainerCallback

from lmrl_recipes.training.online import Experience, PlayedEpisode, groups_of

pytestmark = pytest.mark.slow

HISTORY: dict[str, Any] = {"task_config": "partially_observed"}


def played(trainer: Any, round_: int = 0) -> list[PlayedEpisode]:
    trainer.begin_round(round_)
    return trainer.episodes


def plain_logps(model: Any, sequence: Experience, temperature: float = 1.0) -> torch.Tensor:
    """`[tokens]`, of one sequence alone in one plain forward pass, 0 off the mask."""
    ids = torch.tensor(sequence.input_ids)[None]
    log_probs = (model(input_ids=ids).logits[0] / temperature).log_softmax(-1)
    found = torch.cat([torch.zeros(1), log_probs[:-1].gather(1, ids[0, 1:, None])[:, 0]])
    return found * torch.tensor(sequence.action_mask)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    """A model whose positions are learned, each by its number, and which would drop out."""
    folder = tmp_path_factory.mktemp("models") / "gpt2"
    tokenizer = AutoTokenizer.from_pretrained(base)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=256, bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id, initializer_range=0.3,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


# --- what the networks say about a round


@torch.no_grad()
@pytest.mark.parametrize("game", [{}, HISTORY, {"task": "wordle", "task_config": None}], ids=str)
@pytest.mark.parametrize("kind", ["base", "gpt2"])
def test_log_probabilities_are_those_of_each_sequence_alone(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, game: dict[str, Any]
) -> None:
    checkpoint = request.getfixturevalue(kind)
    trainer = make_trainer(checkpoint, tmp_path, beta=0.1, temperature=0.7, **game)
    sequences = [sequence for episode in played(trainer) for sequence in episode.sequences]
    if trainer.task.id == "maze":
        assert len({len(sequence.input_ids) for sequence in sequences}) > 1  # so that some are padded
    plain = AutoModelForCausalLM.from_pretrained(checkpoint).eval()
    for sequence in sequences:
        expected = plain_logps(plain, sequence, 0.7).numpy()
        assert sequence.logps == pytest.approx(expected, abs=2e-5)
        assert sequence.ref_logps == pytest.approx(expected, abs=2e-5)
        assert (sequence.logps[sequence.action_mask] < 0).all()
        assert (sequence.logps[~sequence.action_mask] == 0).all()


def test_every_distinct_sequence_goes_through_the_network_once(base: Path, tmp_path: Path) -> None:
    trainer = make_trainer(base, tmp_path, beta=0.1)
    # The padding token behind an end is not the same token inside: the last two rows differ.
    ids = torch.tensor([[5, 6, 7], [5, 6, 8], [5, 6, 7], [5, 6, 8], [5, 6, 0], [5, 6, 0]])
    mask = torch.ones_like(ids)
    mask[4, 2] = 0
    rows: list[int] = []
    trainer.model.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    found = trainer.logps(trainer.model, ids, mask)
    assert rows == [4]
    with torch.no_grad():
        alone = torch.cat([trainer.logps(trainer.model, ids[i : i + 1], mask[i : i + 1]) for i in range(6)])
    assert torch.allclose(found * mask[:, 1:], alone * mask[:, 1:], atol=1e-6)
    # What was computed once counts as often as it occurs.
    weights = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    (found[:, 0] * weights).sum().backward()
    gradient = next(trainer.model.parameters()).grad.clone()
    trainer.model.zero_grad()
    parts = [trainer.logps(trainer.model, ids[i : i + 1], mask[i : i + 1])[0, 0] * weights[i] for i in range(6)]
    torch.stack(parts).sum().backward()
    assert torch.allclose(gradient, next(trainer.model.parameters()).grad, rtol=1e-3, atol=1e-4)


def test_groups_hold_all_are_of_similar_length_and_fit() -> None:
    assert groups_of([5, 1, 3, 9, 2], limit=6) == [[1, 4], [2], [0], [3]]
    assert groups_of([], limit=6) == []
    assert groups_of([4] * 5, limit=8) == [[0, 1], [2, 3], [4]]
    random = np.random.default_rng(0)
    lengths = random.integers(1, 60, 200).tolist()
    groups = groups_of(lengths, limit=100)
    assert sorted(index for group in groups for index in group) == list(range(200))
    assert all(len(group) == 1 or len(group) * max(lengths[i] for i in group) <= 100 for group in groups)


def test_with_adapters_the_reference_is_the_model_without_them(base: Path, tmp_path: Path) -> None:
    trainer = make_trainer(base, tmp_path, peft=True, beta=0.1)
    assert trainer.ref_model is None
    with torch.no_grad():
        for name, parameter in trainer.model.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.3)
    plain = AutoModelForCausalLM.from_pretrained(base).eval()
    sequences = [sequence for episode in played(trainer) for sequence in episode.sequences]
    for sequence in sequences:
        assert sequence.ref_logps == pytest.approx(plain_logps(plain, sequence).detach().numpy(), abs=2e-5)
    assert max(np.abs(sequence.ref_logps - sequence.logps).max() for sequence in sequences) > 0.1


# --- a round


def test_a_round_follows_from_the_seed_and_its_number_alone(base: Path, tmp_path: Path) -> None:
    def tokens(trainer: Any, round_: int) -> list[list[int]]:
        return [sequence.input_ids.tolist() for episode in played(trainer, round_) for sequence in episode.sequences]

    one, other = make_trainer(base, tmp_path), make_trainer(base, tmp_path, seed=1)
    later = tokens(one, 1)
    first = tokens(one, 0)
    assert later == tokens(one, 1) != first
    assert tokens(make_trainer(base, tmp_path, rollout_batch_size=3), 0) == first != tokens(other, 0)
    starts = [episode.start for episode in played(one, 0)]
    assert len(set(starts)) == 8
    assert not set(starts) & {episode.start for episode in played(one, 1)}


def test_a_round_does_not_depend_on_how_many_processes_share_it(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(base, tmp_path)
    whole = played(trainer)
    shares = []
    monkeypatch.setattr(Accelerator, "num_processes", 3)
    for rank in range(3):
        monkeypatch.setattr(Accelerator, "process_index", rank)
        monkeypatch.setattr("lmrl_recipes.training.online.gather_object", lambda pairs: pairs)
        with torch.no_grad():
            shares.append(trainer.play_round(0))
    for rank, share in enumerate(shares):
        assert len(share) == len(whole[rank::3])
        for episode, expected in zip(share, whole[rank::3], strict=True):
            assert (episode.start, episode.total_reward) == (expected.start, expected.total_reward)
            for one, other in zip(episode.sequences, expected.sequences, strict=True):
                assert one.input_ids.tolist() == other.input_ids.tolist()
                assert one.logps == pytest.approx(other.logps, abs=2e-6)


@pytest.mark.parametrize("keep", [1, 2, 100])  # sequences in a round: fewer than parts, and many
@pytest.mark.parametrize("world", [release(1), 2, release(3)])
@pytest.mark.parametrize("steps", [1, release(2), 4])
def test_in_each_pass_every_sequence_is_learned_from_once(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int, world: int, keep: int
) -> None:
    trainer = make_trainer(
        base, tmp_path, steps_per_generation=steps, per_device_train_batch_size=8 // steps, num_iterations=2,
        gradient_accumulation_steps=2 if steps == 4 else 1,
    )  # fmt: skip
    played(trainer)
    trainer.experience = trainer.experience[:keep]
    monkeypatch.setattr(Accelerator, "num_processes", world)
    # Told apart by their log-probabilities: a Markov task has the same tokens many times.
    for number, sequence in enumerate(trainer.experience):
        sequence.logps = np.where(sequence.action_mask, number + 1.0, 0.0)
    orders, expected = [], Counter(range(1, len(trainer.experience) + 1))
    for iteration in range(2):
        seen: list[int] = []
        for index in range(steps):
            trainer._step = iteration * steps + index
            batches = []
            for rank in range(world):
                monkeypatch.setattr(Accelerator, "process_index", rank)
                batches.append(trainer.micro_batch())
            # All processes have equally many rows, and know the tokens of the whole update.
            assert len({len(batch["completion_ids"]) for batch in batches}) == 1
            assert len({float(batch["num_items_in_batch"]) for batch in batches}) == 1
            for batch in batches:
                for row, mask in enumerate(batch["tool_mask"].bool()):
                    if mask.any():
                        (number,) = set(batch["old_per_token_logps"][row][mask].int().tolist())
                        sequence = trainer.experience[number - 1]
                        length = len(sequence.input_ids)
                        ids = torch.cat([batch["prompt_ids"][row], batch["completion_ids"][row]])
                        assert ids[:length].tolist() == sequence.input_ids.tolist()
                        assert batch["completion_mask"][row].sum() == length - 1
                        assert mask.sum() == sequence.action_mask.sum()
                        advantages = batch["advantages"][row][: length - 1]
                        assert torch.allclose(advantages, torch.tensor(sequence.advantages[1:]).float())
                        seen.append(number)
        assert Counter(seen) == expected
        orders.append(seen)
    assert keep < 3 or orders[0] != orders[1]


class Watch(TrainerCallback):
    """The weights before every update, and its gradients."""

    def __init__(self) -> None:
        self.weights: list[dict[str, torch.Tensor]] = []
        self.gradients: list[dict[str, torch.Tensor]] = []

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        model = kwargs["model"]
        self.weights.append({name: each.detach().clone() for name, each in model.named_parameters()})
        self.gradients.append({name: each.grad.clone() for name, each in model.named_parameters()})


def watched(trainer: Any) -> tuple[Watch, list[list[int]]]:
    """Trains; returns what every update saw, and which sequences of the round it learned from."""
    watch, parts = Watch(), list[list[int]]()
    trainer.add_callback(watch)
    collate = trainer.collate

    def note(members: list[Experience], spare: int = 0) -> Any:
        places = [next(i for i, each in enumerate(trainer.experience) if each is member) for member in members]
        parts.append(places)
        return collate(members, spare)

    trainer.collate = note
    trainer.train()
    size = trainer.args.gradient_accumulation_steps
    return watch, [
        [place for part in parts[start : start + size] for place in part] for start in range(0, len(parts), size)
    ]


@pytest.mark.parametrize("game", [{}, HISTORY], ids=["markov", "history"])
@pytest.mark.parametrize("accumulation", [1, *(release(n) for n in (2, 4))])
def test_every_update_is_the_gradient_of_a_mean_over_its_own_tokens(
    base: Path, tmp_path: Path, accumulation: int, game: dict[str, Any]
) -> None:
    """The clipped objective with its KL, sequence by sequence in plain forward passes, at the update's weights."""
    trainer = make_trainer(
        base, tmp_path, per_device_train_batch_size=2, steps_per_generation=4, num_iterations=2, beta=0.1,
        gradient_accumulation_steps=accumulation, optim="sgd", learning_rate=0.5, **game,
    )  # fmt: skip
    watch, updates = watched(trainer)
    assert len(updates) == len(watch.gradients) == 2 * 4 // accumulation
    model = AutoModelForCausalLM.from_pretrained(base).eval()
    clipped = 0
    for places, weights, gradients in zip(updates, watch.weights, watch.gradients, strict=True):
        model.load_state_dict(weights, strict=False)
        model.zero_grad()
        members = [trainer.experience[place] for place in places]
        total, tokens = torch.zeros(()), sum(int(member.action_mask.sum()) for member in members)
        for member in members:
            mask = torch.tensor(member.action_mask)
            logps = plain_logps(model, member)
            ratio = (logps - torch.tensor(member.logps)).exp()
            advantages = torch.tensor(member.advantages)
            kept = torch.min(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)
            away = torch.tensor(member.ref_logps) - logps
            total = total + ((0.1 * ratio * (away.exp() - away - 1) - kept) * mask).sum() / tokens
            clipped += int(((kept != ratio * advantages) & mask).sum())
        total.backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None
            assert torch.allclose(gradients[name], parameter.grad, rtol=1e-3, atol=1e-5), name
    assert clipped


@pytest.mark.parametrize("accumulation", [release(2), 4])
def test_accumulation_does_not_change_an_update(base: Path, tmp_path: Path, accumulation: int) -> None:
    whole, _ = watched(make_trainer(base, tmp_path, **HISTORY))
    parts: dict[str, Any] = {
        "per_device_train_batch_size": 8 // accumulation,
        "gradient_accumulation_steps": accumulation,
    }
    split, _ = watched(make_trainer(base, tmp_path, steps_per_generation=accumulation, **parts, **HISTORY))
    assert len(whole.gradients) == len(split.gradients) == 1
    for name, gradient in whole.gradients[0].items():
        assert torch.allclose(split.gradients[0][name], gradient, rtol=1e-4, atol=1e-6), name


# --- the log


def test_a_round_is_logged_with_what_it_earned_and_what_it_took(base: Path, tmp_path: Path) -> None:
    trainer = make_trainer(base, tmp_path, rounds=2, beta=0.1, num_iterations=2)
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "return/mean" in entry]
    # Three actions that say nothing cost 4 each.
    assert [entry["return/mean"] for entry in logs] == [-12.0, -12.0]
    assert [entry["episodes"] for entry in logs] == [8, 16]
    assert [entry["step"] for entry in logs] == [2, 4]
    for entry in logs:
        assert entry["return/normalized"] == pytest.approx(50 + 50 * (-12 + 83) / (-6.84 + 83))
        assert (entry["success_rate"], entry["turns/mean"], entry["invalid_rate"], entry["return/std"]) == (0, 3, 1, 0)
        assert 3 <= entry["action_tokens/mean"] <= 9
        assert {"loss", "kl", "entropy", "clip_ratio/region_mean", "learning_rate", "grad_norm"} <= entry.keys()
    assert 0 <= logs[0]["time/simulator"] <= logs[1]["time/simulator"]
    for name in ("time/generation", "time/training"):
        assert 0 < logs[0][name] < logs[1][name]
    assert 0 < logs[0]["num_tokens"] < logs[1]["num_tokens"]
