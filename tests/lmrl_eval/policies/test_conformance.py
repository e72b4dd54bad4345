"""Every causal architecture of transformers writes as its own `generate`, or is refused in one line."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import check_cases, read_cases
from conformance import check, play
from random_model import TOKENIZERS
from tiny_models import LEFT_OUT, MODEL_TYPES, tiny_model
from torch import nn

from lmrl_data import UserError
from lmrl_eval.policies.attention import DEFAULT_CONTEXT, KEPT, check_plays, context_length, kept_length
from lmrl_eval.policies.language_model import LanguageModelPolicy
from lmrl_eval.policies.value_guided import Q_HEADS, ValueGuidedModel, load_value_model, new_value_model
from lmrl_recipes.training.rollout import RolloutPolicy

pytestmark = pytest.mark.slow

CASES = read_cases("conformance.tsv")
# One of each kind: one window, chunks beside full layers, local attention; tests below play the others.
FEW = ("mistral", "llama4_text", "gpt_neo")
GUIDED = ("gemma3_text", "mixtral")


def guided(model_type: str) -> Any:
    """A tiny value-guided model whose values tilt its logits much."""
    behavior = tiny_model(model_type)
    with tempfile.TemporaryDirectory() as folder:
        behavior.save_pretrained(folder)
        values = new_value_model(folder, ("q1", "q2"))
    values.set_experts_implementation("eager")  # as the tiny model's: the faster ones know no double precision
    values = values.to(next(behavior.parameters()).dtype).eval()
    torch.manual_seed(1)
    for head in (values.q1, values.q2):
        nn.init.normal_(head.output.weight)
    model = ValueGuidedModel(behavior, values, 0.5).eval()
    check_plays(model)
    return model


def check_type(model_type: str, expected: str, make: Callable[[str], Any]) -> None:
    """Checks that a model plays as expected: the `same` with kept keys and values, `re-encoded`, or `refused`."""
    if expected == "refused":
        with pytest.raises(UserError, match=r"cannot play|no trunk"):
            play(make(model_type), 1.0)
    else:
        policy = check(lambda: make(model_type))
        assert (policy.statistics()["tokens_reused"] > 0) == (expected == "same"), f"it is not {expected}"


def test_one_architecture_of_each_kind_of_attention_writes_as_generate() -> None:
    plain = [(name, expected, tiny_model) for name, expected, _ in CASES if name in FEW]
    check_cases(plain + [(name, expected, guided) for name, _, expected in CASES if name in GUIDED], check_type)


@pytest.mark.release
def test_every_architecture_writes_as_generate_or_is_refused() -> None:
    check_cases([(name, expected, tiny_model) for name, expected, _ in CASES], check_type)


@pytest.mark.release
def test_values_on_every_architecture_write_as_generate_or_are_refused() -> None:
    check_cases([(name, expected, guided) for name, _, expected in CASES], check_type)


def check_trunk(model_type: str) -> None:
    """Checks that a value model begins with the weights of its behavior model, and is loaded as it was saved."""
    behavior = tiny_model(model_type)
    with tempfile.TemporaryDirectory() as folder:
        behavior.save_pretrained(folder)
        values = new_value_model(folder, Q_HEADS)
        values.save_pretrained(f"{folder}/values")
        loaded = load_value_model(f"{folder}/values")
    trunk = behavior.model if model_type.startswith("llama4") else behavior.base_model
    trunks, models = ({**dict(m.named_parameters()), **dict(m.named_buffers())} for m in (trunk, values))
    for name in set(trunks) & set(models):
        tensor = trunks[name]
        torch.testing.assert_close(models[name], tensor, check_dtype=False, msg=f"{name} differs")
    for name, tensor in {**dict(loaded.named_parameters()), **dict(loaded.named_buffers())}.items():
        torch.testing.assert_close(tensor, models[name], check_dtype=False, msg=f"{name} is lost")


def test_value_models_of_experts_and_parts_begin_with_the_trunk_of_their_behavior_model() -> None:
    check_cases(["mixtral", "gemma3", "falcon_h1"], check_trunk)


@pytest.mark.release
def test_every_value_model_begins_with_the_trunk_of_its_behavior_model() -> None:
    check_cases([name for name, _, expected in CASES if expected != "refused"], check_trunk)


@pytest.mark.release
def test_rollouts_of_the_online_recipes_write_as_generate() -> None:
    check_cases(
        [case[0] for case in CASES if case[1] != "refused"],
        lambda name: check(lambda: tiny_model(name), RolloutPolicy),
    )


def test_the_table_of_architectures_is_complete() -> None:
    assert {case[0] for case in CASES} | set(LEFT_OUT) == set(MODEL_TYPES)
    assert {case[0] for case in CASES if case[1] == "same"} == KEPT - set(LEFT_OUT)


def test_a_rollout_writes_as_generate_with_windows_and_without_kept_keys() -> None:
    check_cases(["gemma3_text", "lfm2"], lambda name: check(lambda: tiny_model(name), RolloutPolicy))


def long_rope() -> Any:
    rope = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0] * 4,
        "long_factor": [4.0] * 4,
        "original_max_position_embeddings": 56,
    }
    return tiny_model("phi3", rope_parameters=rope, original_max_position_embeddings=56, sliding_window=None)


def test_positions_that_change_with_the_length_are_encoded_anew() -> None:
    assert kept_length(long_rope()) == 56
    policy = check(long_rope)
    assert policy.statistics()["tokens_reused"] > 0


def test_falcon_with_alibi_is_encoded_anew() -> None:
    assert kept_length(tiny_model("falcon")) > 0 == kept_length(tiny_model("falcon", alibi=True))
    check(lambda: tiny_model("falcon", alibi=True))


def test_a_model_without_a_longest_context_has_a_default_one() -> None:
    assert context_length(tiny_model("mamba")) == DEFAULT_CONTEXT


def test_a_model_that_reads_ahead_is_refused() -> None:
    with pytest.raises(UserError, match="bert cannot play: its logits depend on later tokens"):
        LanguageModelPolicy(tiny_model("bert", is_decoder=False), TOKENIZERS["raw"], name="bert")


def test_a_checkpoints_own_generation_settings_change_nothing(tmp_path: Path) -> None:
    def make() -> Any:
        model = tiny_model("mamba")
        model.generation_config.update(repetition_penalty=9.0, no_repeat_ngram_size=1)
        return model

    penalty = check(make).model.generation_config.repetition_penalty
    assert penalty == 9.0
