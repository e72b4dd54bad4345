"""Value-guided decoding: the behaviour LM's logits plus beta times the lower Q, with or without a cache."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from lmrl_data import Conversation, Turn, UserError, get_task, rollout
from lmrl_eval.policies import load_policy
from lmrl_eval.policies.language_model import LanguageModelPolicy
from lmrl_eval.policies.value_guided import (
    VALUE_FOLDER,
    ValueGuidedModel,
    load_value_guided,
    load_value_model,
    new_value_model,
    save_value_model,
    value_model_class,
)

pytestmark = pytest.mark.slow

MAZE = get_task("maze")
TEXTS = [
    "The goal is at position 8, 6. Your current position is at position 1, 1. There is a wall above you.\n",
    "There are walls to your left, below you.\nmove up\nThere is a wall above you.\n",
]


@pytest.fixture(scope="module")
def gpt2_base(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    folder = tmp_path_factory.mktemp("gpt2")
    tokenizer = AutoTokenizer.from_pretrained(base)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=512, eos_token_id=1, pad_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_value_model_beside_other_weights_is_refused(base: Path, tmp_path: Path) -> None:
    save_guided(base, tmp_path)
    load_policy(str(tmp_path), MAZE, "fully_observed")
    model = AutoModelForCausalLM.from_pretrained(base)
    torch.nn.init.normal_(model.lm_head.weight)
    model.save_pretrained(tmp_path)  # as a later run of `trl sft` does
    with pytest.raises(UserError, match="value_model/ was trained beside other weights"):
        load_policy(str(tmp_path), MAZE, "fully_observed")
    shutil.rmtree(tmp_path / VALUE_FOLDER)
    load_policy(str(tmp_path), MAZE, "fully_observed")


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def checkpoint(request: pytest.FixtureRequest, base: Path, gpt2_base: Path) -> Path:
    return base if request.param == "llama" else gpt2_base


def values_for(checkpoint: Path, heads: tuple[str, ...] = ("q1", "q2", "v"), seed: int = 1) -> Any:
    """A value model whose heads say something: fresh ones are constant."""
    torch.manual_seed(seed)
    model = new_value_model(str(checkpoint), heads, dtype=torch.float32)
    for name in heads:
        torch.nn.init.normal_(getattr(model, name).output.weight, std=0.5)
    for parameter in model.parameters():
        # Its own trunk: no accident may hide that the other network's states were used.
        parameter.data += 0.01 * torch.randn_like(parameter)
    return model.eval()


def behavior_of(checkpoint: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()


def guided_by(checkpoint: Path, beta: float, heads: tuple[str, ...] = ("q1", "q2", "v")) -> Any:
    return ValueGuidedModel(behavior_of(checkpoint), values_for(checkpoint, heads), beta)


def encode(checkpoint: Path, text: str) -> torch.Tensor:
    return AutoTokenizer.from_pretrained(checkpoint)(text, return_tensors="pt")["input_ids"]


def save_guided(checkpoint: Path, folder: Path, heads: tuple[str, ...] = ("q1", "q2", "v"), beta: float = 3.5) -> Path:
    """A checkpoint folder as the recipes write it."""
    behavior_of(checkpoint).save_pretrained(folder)
    AutoTokenizer.from_pretrained(checkpoint).save_pretrained(folder)
    model = values_for(checkpoint, heads)
    model.config.beta = beta
    save_value_model(model, folder)
    return folder


# --- the value model


def test_fresh_heads_say_the_bias_everywhere(checkpoint: Path) -> None:
    model = new_value_model(str(checkpoint), ("q1", "q2", "v"), bias=-4.4)
    values = model(encode(checkpoint, TEXTS[0]))
    for value in (*values.q, values.v):
        assert torch.all(value == -4.4)


def test_a_value_models_trunk_begins_as_the_language_models(checkpoint: Path) -> None:
    model = new_value_model(str(checkpoint), ("q1",), dtype=torch.float32).eval()
    behavior = behavior_of(checkpoint)
    ids = encode(checkpoint, TEXTS[0])
    trunk = super(value_model_class(type(behavior.base_model)), model).forward(ids).last_hidden_state
    assert torch.equal(trunk, behavior.base_model(ids).last_hidden_state)


def test_values_at_chosen_positions_are_those_of_all_positions(checkpoint: Path) -> None:
    model = values_for(checkpoint)
    ids = encode(checkpoint, TEXTS[0])
    chosen = torch.zeros_like(ids, dtype=torch.bool)
    chosen[0, [2, 5]] = True
    whole, part = model(ids), model(ids, positions=chosen)
    assert torch.allclose(part.q[1], whole.q[1][chosen], atol=1e-5)
    assert torch.allclose(part.v, whole.v[chosen], atol=1e-5)
    assert part.v.shape == (2,)


# --- the logits


@torch.no_grad()
def test_without_beta_it_is_the_behaviour_model(checkpoint: Path) -> None:
    ids = encode(checkpoint, TEXTS[0])
    assert torch.equal(guided_by(checkpoint, 0.0)(ids).logits, behavior_of(checkpoint)(ids).logits)


@torch.no_grad()
@pytest.mark.parametrize("heads", [("q1", "q2", "v"), ("q1",)])
def test_the_logits_are_the_behaviour_models_plus_beta_times_the_lower_q(
    checkpoint: Path, heads: tuple[str, ...]
) -> None:
    ids = encode(checkpoint, TEXTS[0])
    values = values_for(checkpoint, heads)
    states = super(type(values), values).forward(ids).last_hidden_state
    lowest = torch.full((1, ids.shape[1], values.config.vocab_size), torch.inf)
    for name in heads:
        if name != "v":
            head = getattr(values, name)
            hidden = torch.relu(states @ head.hidden.weight.T + head.hidden.bias)
            lowest = torch.minimum(lowest, hidden @ head.output.weight.T + head.output.bias)
    expected = behavior_of(checkpoint)(ids).logits + 2.5 * lowest
    assert torch.allclose(guided_by(checkpoint, 2.5, heads)(ids).logits, expected, atol=1e-4)
    assert torch.allclose(guided_by(checkpoint, 2.5, heads)(ids, logits_to_keep=1).logits, expected[:, -1:], atol=1e-4)


# --- generation


@torch.no_grad()
def test_generating_with_a_cache_writes_what_generating_without_one_writes(checkpoint: Path) -> None:
    model = guided_by(checkpoint, 4.0)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, padding_side="left")
    batch = tokenizer(TEXTS, return_tensors="pt", padding=True)
    settings = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    cached, plain = (model.generate(**batch, **settings, use_cache=use_cache) for use_cache in (True, False))
    assert torch.equal(cached, plain)
    unguided = behavior_of(checkpoint).generate(**batch, **settings)
    assert not torch.equal(cached, unguided)


@torch.no_grad()
def greedy_anew(model: Any, ids: list[int], stop: frozenset[int], limit: int) -> list[int]:
    """Greedy decoding that encodes everything for every token."""
    written: list[int] = []
    while len(written) < limit and (not written or written[-1] not in stop):
        written.append(int(model(torch.tensor([ids + written]), use_cache=False).logits[0, -1].argmax()))
    return written


def test_a_policy_writes_what_encoding_everything_anew_writes(checkpoint: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    policy = LanguageModelPolicy(
        guided_by(checkpoint, 4.0), tokenizer, name="guided", temperature=0.0, max_new_tokens=5
    )
    conversations = [Conversation(seed, None, [Turn("user", text)]) for seed, text in enumerate(["a wall", "move"])]
    for turn in range(4):
        actions = policy.act(conversations)
        for conversation, action in zip(conversations, actions, strict=True):
            ids = policy.prompt(conversation).ids
            written = greedy_anew(policy.model, ids, policy.turns.stop_ids, 5)
            assert action == policy.turns.decode_action(written)
            conversation.turns += [Turn("assistant", action), Turn("user", f"There is a wall, {turn}")]
    assert policy.statistics()["tokens_reused"] > 0


# --- checkpoints


def test_the_root_of_a_checkpoint_is_the_behaviour_model_for_plain_transformers(
    checkpoint: Path, tmp_path: Path
) -> None:
    folder = save_guided(checkpoint, tmp_path)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert type(model) is type(behavior_of(checkpoint))
    ids = encode(checkpoint, TEXTS[0])
    assert torch.equal(model.eval()(ids).logits, behavior_of(checkpoint)(ids).logits)


@torch.no_grad()
@pytest.mark.parametrize("heads", [("q1", "q2", "v"), ("q1",)])
def test_a_saved_policy_comes_back_with_the_same_logits(
    checkpoint: Path, tmp_path: Path, heads: tuple[str, ...]
) -> None:
    folder = save_guided(checkpoint, tmp_path, heads)
    ids = encode(checkpoint, TEXTS[1])
    policy = load_value_guided(str(folder), beta=2.0, name="x")
    assert torch.equal(policy.model(ids).logits, guided_by(checkpoint, 2.0, heads)(ids).logits)
    assert not [path for path in folder.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]


def test_beta_is_what_the_checkpoint_recommends_unless_it_is_given(base: Path, tmp_path: Path) -> None:
    folder = str(save_guided(base, tmp_path, beta=3.5))
    assert load_value_guided(folder, name="x").model.beta == 3.5
    assert load_value_guided(folder, name="x", beta=0.0).model.beta == 0.0
    assert load_policy(folder, MAZE, "fully_observed", beta=7).model.beta == 7  # type: ignore[attr-defined]


def test_a_loaded_policy_plays(base: Path, tmp_path: Path) -> None:
    folder = str(save_guided(base, tmp_path, beta=3.5))
    policy = load_policy(folder, MAZE, "partially_observed", max_new_tokens=3)
    (episode,) = rollout(MAZE, "partially_observed", policy, [2_000_000], max_turns=3)
    assert episode.num_turns == 3
    assert "beta=3.5" in policy.name


def test_a_folder_without_value_heads_is_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no value model"):
        load_value_model(str(base))
    folder = save_guided(base, tmp_path)
    behavior_of(base).save_pretrained(folder / VALUE_FOLDER)
    with pytest.raises(UserError, match="no value model"):
        load_policy(str(folder), MAZE, "fully_observed")


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no value model"):
        load_value_model(str(tmp_path))


def drop_a_head(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("q2")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def pickle_the_weights(folder: Path) -> None:
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def forget_beta(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["beta"]
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("damage", [drop_a_head, pickle_the_weights, forget_beta])
def test_a_damaged_value_model_is_refused_in_one_line(
    base: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    folder = save_guided(base, tmp_path)
    damage(folder / VALUE_FOLDER)
    with pytest.raises(UserError) as caught:
        load_policy(str(folder), MAZE, "fully_observed")
    assert "\n" not in str(caught.value)
