"""The offline value-based recipes, MC and ILQL: batches without repetitions, and runs from data to policy."""

import json
import math
import os
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import forked
import pytest
import torch
from cases import release
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import ModelConfig, ScriptArguments

from lmrl_data import UserError, get_task
from lmrl_eval.policies import load_policy
from lmrl_eval.policies.value_guided import VALUE_FOLDER, load_value_model, new_value_model
from lmrl_recipes import ilql, mc
from lmrl_recipes.training.offline import (
    ItemCollator,
    action_tokens,
    load_behavior,
    load_language_model,
    load_rows,
    make_items,
    resume_path,
)

pytestmark = pytest.mark.slow

RECIPES: dict[str, tuple[ModuleType, type, type]] = {
    "mc": (mc, mc.MCConfig, mc.MCTrainer),
    "ilql": (ilql, ilql.ILQLConfig, ilql.ILQLTrainer),
}
LOGGED = {
    "mc": {"loss", "loss/q", "loss/cql", "q/mean", "return/mean"},
    "ilql": {"loss", "loss/q", "loss/v", "loss/cql", "q/mean", "v/mean", "target_q/mean"},
}
QUIET = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "logging_steps": 1}
GAMMA = 0.9


def item(ids: list[int], mask: list[int], reward: float, following: list[int]) -> dict[str, Any]:
    """An item whose reward sits on its last action token, with returns that are told apart."""
    last = max(i for i, acted in enumerate(mask) if acted)
    return {
        "input_ids": ids,
        "action_mask": mask,
        "rewards": [reward if i == last else 0.0 for i in range(len(ids))],
        "returns": [reward * GAMMA ** (last - i) if acted else 0.0 for i, acted in enumerate(mask)],
        "next_input_ids": following,
    }


SEEN, OTHER = [5, 6, 7], [5, 6, 8, 9]
# Equal sequences with different rewards and successors, equal tokens with different masks, a shared successor, two
# turns in one item, and ends.
ITEMS = [
    item([*SEEN, 20, 21], [0, 0, 0, 1, 1], -1.0, OTHER),
    item([*SEEN, 20, 21], [0, 0, 0, 1, 1], -4.0, SEEN),
    item([*SEEN, 20, 21], [0, 0, 0, 1, 1], 0.0, []),
    item([*SEEN, 30, 21], [0, 0, 0, 1, 1], -1.0, OTHER),
    item([*OTHER, 20, 21, *OTHER, 30, 31, 21], [0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1], -2.0, [40, 41]),
    item([*OTHER, 20, 21, *OTHER, 30, 31, 21], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1], -3.0, []),
]


def collate(items: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    return ItemCollator(pad_token_id=0)(items)


# --- batches


def test_equal_sequences_are_kept_once_and_every_item_finds_its_own() -> None:
    batch = collate(ITEMS)
    assert batch["input_ids"].shape == (4, 13)
    assert batch["rows"].tolist() == [0, 0, 0, 1, 2, 3]
    assert batch["next_input_ids"].shape == (3, 4)
    assert batch["next_rows"].tolist() == [0, 1, -1, 0, 2, -1]
    assert batch["next_length"].tolist() == [4, 3, 2]
    for index, each in enumerate(ITEMS):
        row, length = batch["rows"][index], len(each["input_ids"])
        assert batch["input_ids"][row, :length].tolist() == each["input_ids"]
        assert batch["action_mask"][row, :length].int().tolist() == each["action_mask"]
        assert batch["attention_mask"][row].sum() == length


def test_a_batch_of_nothing_but_ends_has_no_successors() -> None:
    batch = collate([ITEMS[2], ITEMS[5]])
    assert batch["next_rows"].tolist() == [-1, -1]
    assert len(batch["next_length"]) == 0


def test_the_action_tokens_of_a_batch_are_those_of_its_items_in_order() -> None:
    tokens = action_tokens(collate(ITEMS))
    acted = [(i, t) for i, each in enumerate(ITEMS) for t, on in enumerate(each["action_mask"]) if on]
    assert tokens.items.tolist() == [i for i, _ in acted]
    assert tokens.actions[tokens.places].tolist() == [ITEMS[i]["input_ids"][t] for i, t in acted]
    # An action token's reward and return, and none of what the policy only reads.
    assert tokens.rewards.tolist() == [ITEMS[i]["rewards"][t] for i, t in acted]
    assert tokens.returns.tolist() == pytest.approx([ITEMS[i]["returns"][t] for i, t in acted])
    # Values are read one place before the token they are about.
    assert tokens.positions[0].tolist() == [False, False, True, True] + 9 * [False]


# --- losses of a batch, against a plain computation item by item


def make_trainer(name: str, base: Path, folder: Path) -> Any:
    module, config, trainer = RECIPES[name]
    behavior, tokenizer = load_behavior(str(base))
    expectile = {"tau": 0.8} if name == "ilql" else {}
    args = config(output_dir=str(folder), gamma=GAMMA, cql_weight=0.5, **QUIET, **expectile)
    torch.manual_seed(1)
    model = new_value_model(str(base), module.HEADS, dtype=torch.float32)
    for head in module.HEADS:
        torch.nn.init.normal_(getattr(model, head).output.weight, std=0.3)
    return trainer(
        behavior=behavior, model=model, args=args, train_dataset=ITEMS, data_collator=ItemCollator(0),
        processing_class=tokenizer,
    )  # fmt: skip


def log_softmax(values: torch.Tensor, token: int) -> float:
    return (values[token] - values.logsumexp(0)).item()


def plain_mc_loss(model: Any, each: dict[str, Any]) -> float:
    q = model(torch.tensor([each["input_ids"]])).q[0][0]
    total = 0.0
    for place, acted in enumerate(each["action_mask"]):
        if acted:
            token = each["input_ids"][place]
            total += 0.5 * (q[place - 1, token].item() - each["returns"][place]) ** 2
            total -= 0.5 * log_softmax(q[place - 1], token)
    return total


def plain_ilql_loss(model: Any, target: Any, each: dict[str, Any]) -> float:
    values, targets = model(torch.tensor([each["input_ids"]])), target(torch.tensor([each["input_ids"]]))
    successor = target(torch.tensor([each["next_input_ids"]])).v[0, -1].item() if each["next_input_ids"] else 0.0
    places = [place for place, acted in enumerate(each["action_mask"]) if acted]
    total = 0.0
    for place, following in pairwise([*places, None]):
        token = each["input_ids"][place]
        v = values.v[0, place - 1].item()
        next_v = successor if following is None else targets.v[0, following - 1].item()
        for q in values.q:
            total += 0.5 * (q[0, place - 1, token].item() - (each["rewards"][place] + GAMMA * next_v)) ** 2
            total -= 0.5 * log_softmax(q[0, place - 1], token)
        error = min(q[0, place - 1, token].item() for q in targets.q) - v
        total += (0.8 if error >= 0 else 0.2) * 0.5 * error**2
    return total


@torch.no_grad()
def test_the_mc_loss_of_a_batch_is_that_of_its_items_one_by_one(base: Path, tmp_path: Path) -> None:
    trainer = make_trainer("mc", base, tmp_path)
    total, sums = trainer.token_losses(trainer.model, collate(ITEMS))
    assert total.item() == pytest.approx(sum(plain_mc_loss(trainer.model, each) for each in ITEMS), rel=1e-4)
    assert sums["return/mean"].item() == pytest.approx(sum(sum(each["returns"]) for each in ITEMS), rel=1e-5)


@torch.no_grad()
def test_the_ilql_loss_of_a_batch_is_that_of_its_items_one_by_one(base: Path, tmp_path: Path) -> None:
    trainer = make_trainer("ilql", base, tmp_path)
    for parameter in trainer.target.parameters():
        parameter += 0.02 * torch.randn_like(parameter)
    total, _ = trainer.token_losses(trainer.model, collate(ITEMS))
    expected = [plain_ilql_loss(trainer.model, trainer.target, each) for each in ITEMS]
    assert total.item() == pytest.approx(sum(expected), rel=1e-4)
    assert len(set(expected)) == len(ITEMS)


def test_the_loss_is_the_mean_over_the_action_tokens(base: Path, tmp_path: Path) -> None:
    trainer = make_trainer("ilql", base, tmp_path)
    batch = collate(ITEMS)
    total, _ = trainer.token_losses(trainer.model, batch)
    tokens = sum(sum(each["action_mask"]) for each in ITEMS)
    assert trainer._get_num_items_in_batch([batch], torch.device("cpu")) == tokens == 16
    assert trainer.compute_loss(trainer.model, batch).item() == pytest.approx(total.item() / tokens)
    # In one of several accumulation steps the divisor is the tokens of them all.
    assert trainer.compute_loss(trainer.model, batch, num_items_in_batch=32).item() == pytest.approx(total.item() / 32)


def test_the_target_moves_by_its_share_and_nothing_frozen_moves(base: Path, tmp_path: Path) -> None:
    trainer = make_trainer("ilql", base, tmp_path)
    before = [parameter.clone() for parameter in trainer.target.parameters()]
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter += 1.0
    frozen = next(iter(trainer.model.parameters())).requires_grad_(False)
    trainer.update_target(0.25)
    moved = [(now - old).mean().item() for now, old in zip(trainer.target.parameters(), before, strict=True)]
    assert moved[0] == 0.0
    assert frozen.requires_grad is False
    assert moved[1:] == pytest.approx([0.25] * (len(moved) - 1), abs=1e-5)


def test_the_reward_scale_multiplies_rewards_and_returns_and_nothing_else(
    workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workshop)
    rows = load_rows("lmrl/maze", "fully_observed", "train[:3]")
    tokenizer = load_language_model("base")[1]
    plain, scaled = (make_items(rows, tokenizer, gamma=0.9, stride=10, reward_scale=scale) for scale in (1.0, 20.0))
    assert any(value < 0 for each in plain for value in each["rewards"])
    for one, other in zip(plain, scaled, strict=True):
        for name in ("rewards", "returns"):
            assert other.pop(name) == pytest.approx([20 * value for value in one.pop(name)])
        assert one == other


def test_a_tokenizer_without_padding_pads_with_its_end_of_text(base: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    AutoModelForCausalLM.from_pretrained(base).save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path).pad_token is None
    assert load_language_model(str(tmp_path))[1].pad_token_id == tokenizer.eos_token_id


# --- what can be wrong


def test_a_dataset_that_is_none_or_holds_no_episodes_is_refused(
    workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workshop)
    assert len(load_rows("lmrl/maze", "fully_observed", "train")) == 30
    for name, config, split, complaint in [
        (None, None, "train", "dataset_name is missing"),
        ("lmrl/nothing", None, "train", "cannot load lmrl/nothing"),
        ("lmrl/maze", "fully", "train", "cannot load lmrl/maze fully"),
        ("lmrl/maze", "fully_observed", "dev", "cannot load lmrl/maze fully_observed dev"),
        ("lmrl/maze", "fully_observed_steps", "train", "holds no episodes"),
    ]:
        with pytest.raises(UserError, match=complaint) as caught:
            load_rows(name, config, split)
        assert "\n" not in str(caught.value)


def test_the_newest_checkpoint_is_the_whole_one_of_the_most_steps(tmp_path: Path) -> None:
    args = mc.MCConfig(output_dir=str(tmp_path), resume_from_checkpoint="last", use_cpu=True, report_to="none")
    assert resume_path(args) is None
    for step in (9, 100, 20):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").touch()
    (tmp_path / "checkpoint-200").mkdir()
    assert resume_path(args) == str(tmp_path / "checkpoint-100")
    args.resume_from_checkpoint = str(tmp_path / "checkpoint-7")
    with pytest.raises(UserError, match="no such folder"):
        resume_path(args)


# --- runs


def run(
    name: str,
    output_dir: Path,
    *,
    config: str = "fully_observed",
    split: str = "train",
    peft: bool = False,
    **settings: Any,
) -> None:
    """The recipe in this process, beside the workshop's dataset."""
    module, arguments, _ = RECIPES[name]
    args = arguments(output_dir=str(output_dir), **{**QUIET, **settings})
    data = ScriptArguments(dataset_name="lmrl/maze", dataset_config=config, dataset_train_split=split)
    module.main(data, args, ModelConfig(model_name_or_path="bc", use_peft=peft, lora_r=4, lora_alpha=8))


def history_of(checkpoint: Path) -> list[dict[str, float]]:
    return json.loads((checkpoint / "trainer_state.json").read_text())["log_history"]


def weights_of(checkpoint: Path) -> dict[str, torch.Tensor]:
    return load_file(checkpoint / VALUE_FOLDER / "model.safetensors")


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max((one[name] - other[name]).abs().max().item() for name in one)


@pytest.mark.parametrize(
    ("name", "peft"), [("mc", False), ("ilql", True), release("mc", True), release("ilql", False)]
)
def test_a_run_leaves_a_policy_that_everything_loads(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, peft: bool
) -> None:
    monkeypatch.chdir(workshop)
    settings = {"max_steps": 3, "save_steps": 3, "simulator_episodes": 3, "simulator_steps": 3, "beta": 2.0}
    run(name, tmp_path, peft=peft, per_device_train_batch_size=8, learning_rate=1e-2, **settings)

    policy: Any = load_policy(str(tmp_path), get_task("maze"), "fully_observed")
    assert policy.model.beta == 2.0
    plain = AutoModelForCausalLM.from_pretrained(tmp_path)
    cloned = AutoModelForCausalLM.from_pretrained("bc")
    assert distance(plain.state_dict(), cloned.state_dict()) == 0.0

    trained = load_value_model(str(tmp_path / VALUE_FOLDER)).state_dict()
    trunk = cloned.base_model.state_dict()
    moved = [key for key in trunk if not torch.equal(trained[key], trunk[key])]
    assert moved
    # LoRA is on the trunk's layers alone, and merged into what is saved.
    assert not peft or all(".self_attn." in key or ".mlp." in key for key in moved)
    assert not any("lora" in key for key in trained)
    assert all(trained[f"{head}.output.weight"].abs().max() > 0 for head in RECIPES[name][0].HEADS)

    steps = [entry for entry in history_of(tmp_path / "checkpoint-3") if "loss" in entry]
    assert len(steps) == 3
    assert all(LOGGED[name] <= entry.keys() for entry in steps)
    assert all(math.isfinite(value) for entry in steps for value in entry.values())
    (scored,) = [entry for entry in history_of(tmp_path / "checkpoint-3") if "eval_return" in entry]
    assert -401 <= scored["eval_return"] <= 0

    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "lmrl/maze" in card
    assert f"# {name} on" in card
    final = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert not [file for file in final if file.endswith((".bin", ".pt", ".pkl"))]
    assert "trainer_state.safetensors" not in final


@pytest.mark.parametrize(("name", "peft"), [release("mc", False), ("ilql", True)])
def test_a_resumed_run_ends_where_an_unbroken_one_ends(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, peft: bool
) -> None:
    monkeypatch.chdir(workshop)
    settings = {"per_device_train_batch_size": 8, "max_steps": 6, "save_steps": 3, "learning_rate": 1e-3, "peft": peft}
    run(name, tmp_path / "whole", **settings)
    run(name, tmp_path / "resumed", resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-3"), **settings)
    assert distance(weights_of(tmp_path / "whole"), weights_of(tmp_path / "resumed")) < 1e-6
    whole, resumed = (
        load_file(tmp_path / folder / "checkpoint-6" / "trainer_state.safetensors") for folder in ("whole", "resumed")
    )
    assert distance(whole, resumed) < 1e-6
    assert any(key.startswith("target.") for key in whole) == (name == "ilql")
    # It did go on from there, and did not begin again.
    halfway = weights_of(tmp_path / "whole" / "checkpoint-3")
    assert distance(halfway, weights_of(tmp_path / "resumed")) > 1e-4
    losses = [
        [entry["loss"] for entry in history_of(tmp_path / folder / "checkpoint-6") if "loss" in entry]
        for folder in ("whole", "resumed")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_folder_without_the_trainers_state_cannot_be_resumed(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workshop)
    with pytest.raises(UserError, match="cannot resume"):
        run("mc", tmp_path, max_steps=1, resume_from_checkpoint="base")


def test_the_seed_decides_the_run(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workshop)
    for folder, seed in (("one", 1), ("again", 1), ("other", 2)):
        run("ilql", tmp_path / folder, per_device_train_batch_size=4, max_steps=1, save_strategy="no", seed=seed)
    one, again, other = (weights_of(tmp_path / folder) for folder in ("one", "again", "other"))
    assert distance(one, again) == 0.0
    assert distance({"q1": one["q1.hidden.weight"]}, {"q1": other["q1.hidden.weight"]}) > 0.01


# --- one batch, split over processes or accumulation steps


FEW = "train[:6]"


@pytest.fixture(scope="module")
def ragged(workshop: Path) -> dict[str, Any]:
    """Settings that make one batch of all items, whose numbers of action tokens differ, so that its parts weigh
    differently, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workshop)
        rows = load_rows("lmrl/maze", "partially_observed", FEW)
    _, tokenizer = load_behavior(str(workshop / "bc"))
    items = make_items(rows, tokenizer, gamma=0.99, stride=10)
    lengths = [sum(each["action_mask"]) for each in items]
    assert len(items) % 2 == 0
    assert max(lengths) > 10 * min(lengths)
    # Plain gradient descent: where a gradient is next to nothing, Adam makes a full step of its rounding error.
    return {
        "per_device_train_batch_size": len(items), "max_steps": 3, "save_steps": 3, "optim": "sgd",
        "learning_rate": 1e-3, "max_grad_norm": 1e9,
    }  # fmt: skip


def assert_same_outcome(name: str, one: Path, other: Path) -> None:
    """That two runs of three steps logged the same, times apart, and learned the same."""
    columns = LOGGED[name] | {"grad_norm"}
    history, other_history = (
        [[entry[column] for column in columns] for entry in history_of(folder / "checkpoint-3") if "loss" in entry]
        for folder in (one, other)
    )
    assert len(history) == len(other_history) == 3
    for entry, other_entry in zip(history, other_history, strict=True):
        assert entry == pytest.approx(other_entry, rel=1e-3, abs=1e-6)
    assert history[0] != pytest.approx(history[2], rel=1e-3)
    state, other_state = (load_file(folder / "checkpoint-3" / "trainer_state.safetensors") for folder in (one, other))
    assert distance(state, other_state) < 3e-7


@pytest.fixture(scope="module", params=[release("mc"), "ilql"])
def whole_batch(
    request: pytest.FixtureRequest, workshop: Path, ragged: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A recipe, and the outcome of its run on one process with everything in one batch."""
    folder = tmp_path_factory.mktemp("whole_batch")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workshop)
        run(request.param, folder, config="partially_observed", split=FEW, **ragged)
    return request.param, folder


def test_two_accumulation_steps_are_one_step_of_twice_the_batch(
    workshop: Path,
    ragged: dict[str, Any],
    whole_batch: tuple[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(workshop)
    name, folder = whole_batch
    half = ragged["per_device_train_batch_size"] // 2
    parts = ragged | {"per_device_train_batch_size": half, "gradient_accumulation_steps": 2}
    run(name, tmp_path, config="partially_observed", split=FEW, **parts)
    assert_same_outcome(name, folder, tmp_path)


def test_two_processes_are_one_with_twice_the_batch(
    workshop: Path, ragged: dict[str, Any], whole_batch: tuple[str, Path], tmp_path: Path
) -> None:
    name, folder = whole_batch
    settings = QUIET | ragged | {
        "per_device_train_batch_size": ragged["per_device_train_batch_size"] // 2, "output_dir": tmp_path,
        "model_name_or_path": "bc", "dataset_name": "lmrl/maze", "dataset_config": "partially_observed",
        "dataset_train_split": FEW, "ddp_backend": "gloo", "simulator_episodes": 2, "simulator_steps": 1,
    }  # fmt: skip
    flags = [str(word) for setting, value in settings.items() for word in (f"--{setting}", value)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_DATASETS_CACHE": str(workshop / "cache")}
    command = [RECIPES[name][0].__file__, *flags]
    done = forked.run_twice(command, folder=workshop, output=tmp_path / "log", environment=environment)
    assert [each.returncode for each in done] == [0, 0], done[0].stderr[-3000:]
    # Only the main process plays, and the other does not wait for it in vain.
    assert any("eval_return" in entry for entry in history_of(tmp_path / "checkpoint-3"))
    assert_same_outcome(name, folder, tmp_path)
