"""Every setting of every recipe: it acts, in code that a table names, or it is refused before anything is loaded."""

import dataclasses
import importlib
import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cases import check_cases, read_cases
from peft import PeftModel
from trl import ModelConfig, ScriptArguments

from lmrl_data import UserError
from lmrl_recipes import filtered_bc, grpo, ilql, mc, online_filtered_bc, oracle, ppo
from lmrl_recipes.training.offline import (
    adapters,
    load_language_model,
    model_settings,
    resume_path,
    value_model_for,
)
from lmrl_recipes.training.settings import CHOICES, RANGES, check_folder, check_machine, check_settings
from lmrl_recipes.training.start import parse

CONFIGS = {
    "filtered_bc": filtered_bc.FilteredBCConfig,
    "oracle": oracle.OracleConfig,
    "mc": mc.MCConfig,
    "ilql": ilql.ILQLConfig,
    "ppo": ppo.PPOConfig,
    "grpo": grpo.OnlineGRPOConfig,
    "online_filtered_bc": online_filtered_bc.OnlineFilteredBCConfig,
}
GROUPS = {
    "all": list(CONFIGS),
    "supervised": ["filtered_bc", "oracle"],
    "values": ["mc", "ilql"],
    "online": ["ppo", "grpo", "online_filtered_bc"],
}


def recipes_of(cell: str) -> list[str]:
    return [recipe for name in cell.split() for recipe in GROUPS.get(name, [name])]


def dataclasses_of(recipe: str) -> list[Any]:
    return [ScriptArguments, CONFIGS[recipe], ModelConfig]


def another(recipe: str, name: str) -> Any:
    """A value that is not the default of a setting; in range where the setting has one."""
    for config in dataclasses_of(recipe):
        for field in dataclasses.fields(config):
            if field.name == name:
                default = None if field.default is dataclasses.MISSING else field.default
    if name in CHOICES:
        return next(value for value in CHOICES[name] if value != default)
    if isinstance(default, bool) or default == "no":
        return default is False or default == "no"
    if name in RANGES:
        limits = RANGES[name]
        return next(value for value in (1, 2, 0.5, 0.25) if value in limits and value != default)
    return "another" if default is None or isinstance(default, str) else default + 1


@cache
def source(place: str) -> str:
    module, _, name = place.partition(":")
    value = importlib.import_module(module)
    for part in name.split("."):
        value = inspect.getattr_static(value, part) if inspect.isclass(value) else getattr(value, part)
    for inner in ("fget", "func", "__func__"):  # of a property, a cached property and a class method
        value = getattr(value, inner, None) or value
    return inspect.getsource(value)


def test_the_table_has_every_setting_of_every_recipe_once() -> None:
    listed: dict[tuple[str, str], int] = {}
    for name, recipes, *_ in read_cases("recipe_settings.tsv"):
        for recipe in recipes_of(recipes):
            listed[recipe, name] = listed.get((recipe, name), 0) + 1
    fields = {
        (recipe, field.name)
        for recipe in CONFIGS
        for config in dataclasses_of(recipe)
        for field in dataclasses.fields(config)
    }
    assert sorted(fields - set(listed)) == [], "in no row of tests/data/recipe_settings.tsv"
    assert sorted(set(listed) - fields) == [], "no setting any more"
    assert [key for key, count in listed.items() if count > 1] == []


def test_every_setting_acts_or_is_refused() -> None:
    def check(name: str, recipes: str, status: str, why: str) -> None:
        for recipe in recipes_of(recipes):
            given = {name: another(recipe, name)}
            if status == "refused":
                with pytest.raises(UserError, match=f"leave {name} out: {re.escape(why)}$"):
                    check_settings(given, dataclasses_of(recipe))
                continue
            assert re.search(rf"\.{name}\b|\"{name}\"", source(why)), f"{why} does not read it"
            if status == "acts":
                check_settings(given, dataclasses_of(recipe))
                continue
            needed, _, value = status.removeprefix("acts with ").partition("=")
            lacking: Any
            present: Any
            lacking, present = {"false": (True, False), "top": ("success", "top"), "": (0, 1)}[value]
            if needed.startswith(("use_", "sync_")):
                lacking, present = False, True
            elif needed == "kl_target":
                lacking = None
            with pytest.raises(UserError, match=f"{name} does nothing without {needed}"):
                check_settings({needed: lacking, **given}, dataclasses_of(recipe))
            also = {"beta": 1.0} if needed == "sync_ref_model" else {}
            check_settings({**also, needed: present, **given}, dataclasses_of(recipe))

    check_cases(read_cases("recipe_settings.tsv"), check)


def test_numbers_out_of_range_are_one_line() -> None:
    def check(recipe: str, flag: str, value: str, complaint: str) -> None:
        with pytest.raises(UserError) as caught:
            parse(dataclasses_of(recipe), [f"--{flag}", value, "--use_cpu", "true"], recipe)
        assert str(caught.value).startswith(complaint)

    check_cases(
        [
            ("ilql", "tau", "2", "tau is above 0 and below 1, got 2.0"),
            ("ilql", "gamma", "5", "gamma is from 0 to 1, got 5.0"),
            ("ilql", "polyak", "7", "polyak is above 0 and at most 1, got 7.0"),
            ("ilql", "beta", "-3", "beta is at least 0, got -3.0"),
            ("mc", "cql_weight", "nan", "cql_weight is at least 0, got nan"),
            ("mc", "reward_scale", "0", "reward_scale is above 0, got 0.0"),
            ("mc", "value_bias", "inf", "value_bias is a finite number, got inf"),
            ("mc", "learning_rate", "-1", "learning_rate is at least 0, got -1.0"),
            ("filtered_bc", "per_device_train_batch_size", "0", "per_device_train_batch_size is at least 1, got 0"),
            ("filtered_bc", "seed", "-1", "seed is from 0 to 4294967295, got -1"),
            ("filtered_bc", "max_length", "8", "leave max_length out: "),
            ("filtered_bc", "attn_implementation", "me/kernel", "unknown attn_implementation 'me/kernel'"),
            ("filtered_bc", "lora_r", "4", "lora_r does nothing without use_peft"),
            ("ppo", "rounds", "-1", "rounds is at least 1, got -1"),
            ("ppo", "steps_per_generation", "0", "steps_per_generation is at least 1, got 0"),
            ("ppo", "dataset_name", "lmrl/maze", "dataset_name does nothing without bc_weight"),
            ("grpo", "beta", "-1", "beta is at least 0, got -1.0"),
            ("grpo", "scale_rewards", "sometimes", "unknown scale_rewards 'sometimes'"),
            ("oracle", "max_examples", "-1", "max_examples is at least 0, got -1"),
            ("mc", "report_to", "wandbb", "unknown report_to 'wandbb'; choose from: none, "),
            ("mc", "optim", "adamw_8bit", "optim adamw_8bit: "),
        ],
        check,
    )


def test_a_value_of_the_wrong_kind_in_a_yaml_is_one_line(tmp_path: Path) -> None:
    def check(line: str, complaint: str) -> None:
        (tmp_path / "recipe.yaml").write_text(f"use_cpu: true\n{line}\n")
        with pytest.raises(UserError, match=complaint):
            parse(dataclasses_of("ilql"), ["--config", str(tmp_path / "recipe.yaml")], "ilql")

    check_cases([("gamma: null", "gamma is from 0 to 1, got None"), ("tau: [1]", "tau is above 0")], check)


def test_a_tracker_that_is_not_installed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.integrations.get_available_reporting_integrations", list)
    args = mc.MCConfig(output_dir=str(tmp_path), use_cpu=True, report_to="mlflow")
    with pytest.raises(UserError, match="report_to mlflow: it is not installed"):
        check_machine(args)


def test_an_output_folder_that_cannot_be_written_is_one_line_and_nothing_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write to output_dir .*file/run: Not a directory"):
        check_folder(tmp_path / "file" / "run")
    check_folder(tmp_path / "new" / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# --- settings that were ignored


def test_dtype_and_attention_of_the_model_are_those_asked_for(base: Path) -> None:
    model_args = ModelConfig(str(base), dtype="bfloat16", attn_implementation="eager")
    model, _ = load_language_model(str(base), **model_settings(model_args))
    assert str(model.dtype) == "torch.bfloat16"
    assert model.config._attn_implementation == "eager"
    args = mc.MCConfig(use_cpu=True)
    value_model = value_model_for(ModelConfig(str(base), attn_implementation="eager"), ("q1",), args)
    assert value_model.config._attn_implementation == "eager"
    ppo.add_critic(model, str(base), "model", 0.0, **model_settings(model_args))
    assert model.critic.config._attn_implementation == "eager"
    assert model.critic.dtype == model.dtype


def test_the_revision_is_that_asked_for(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_args = ModelConfig(str(base), model_revision="v2", use_peft=True)
    asked = []

    def load(cls: Any, path: str, **settings: Any) -> Any:
        asked.append((cls.__name__, settings["revision"]))
        raise OSError("none")

    for name in ("AutoTokenizer", "AutoModelForCausalLM"):
        cls = getattr(importlib.import_module("transformers"), name)
        with monkeypatch.context() as patch:
            patch.setattr(cls, "from_pretrained", classmethod(load))
            with pytest.raises(UserError, match="no checkpoint"):
                load_language_model(str(base), **model_settings(model_args))
    model, _ = load_language_model(str(base))
    assert asked == [("AutoTokenizer", "v2"), ("AutoModelForCausalLM", "v2")]
    assert adapters(model_args, model).revision == "v2"


def test_adapters_of_a_value_model_are_those_asked_for(base: Path) -> None:
    model_args = ModelConfig(
        str(base), use_peft=True, lora_r=4, use_rslora=True, use_dora=True, lora_modules_to_save=["embed_tokens"]
    )
    model = value_model_for(model_args, ("q1",), mc.MCConfig(use_cpu=True))
    assert isinstance(model, PeftModel)
    config: Any = model.peft_config["default"]
    assert (config.r, config.use_rslora, config.use_dora) == (4, True, True)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert any("embed_tokens" in name for name in trained)
    assert any("q1" in name for name in trained)
    assert not any("lora" in name and "q1" in name for name in trained)


def test_adapters_for_parts_that_a_model_lacks_are_one_line(base: Path) -> None:
    model_args = ModelConfig(str(base), use_peft=True, lora_target_modules=["nothing"])
    model, _ = load_language_model(str(base))
    complaint = "the LoRA settings do not fit the model: "
    with pytest.raises(UserError, match=complaint):
        adapters(model_args, model)
    assert not any("lora" in name for name, _ in model.named_parameters())
    with pytest.raises(UserError, match=complaint):
        value_model_for(model_args, ("q1",), mc.MCConfig(use_cpu=True))


def test_damaged_weights_are_one_line(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    for file in base.iterdir():
        (folder / file.name).write_bytes(file.read_bytes()[: 500 if file.suffix == ".safetensors" else None])
    with pytest.raises(UserError, match="damaged is no checkpoint that can be loaded: ") as caught:
        load_language_model(str(folder))
    assert "\n" not in str(caught.value)


def test_true_resumes_from_the_newest_checkpoint_as_last_does(tmp_path: Path) -> None:
    for number in (9, 10):
        (tmp_path / f"checkpoint-{number}").mkdir()
        (tmp_path / f"checkpoint-{number}" / "trainer_state.json").touch()
    for value, expected in [
        ("last", "checkpoint-10"),
        (True, "checkpoint-10"),
        ("true", "checkpoint-10"),
        (False, None),
    ]:
        found = resume_path(mc.MCConfig(output_dir=str(tmp_path), use_cpu=True, resume_from_checkpoint=value))
        assert (None if found is None else Path(found).name) == expected
