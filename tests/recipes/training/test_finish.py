"""Recipes with `push_to_hub: true`: one push of the finished run, which loses nothing if it fails."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from datasets import Dataset
from huggingface_hub import HfApi
from trl import ModelConfig, ScriptArguments

from lmrl_data import get_task
from lmrl_eval import load_oracle
from lmrl_eval.policies import load_policy
from lmrl_eval.training_record import TrainingRecord
from lmrl_recipes import filtered_bc, ilql, ppo
from lmrl_recipes import oracle as oracle_recipe
from lmrl_recipes.training.finish import next_command
from lmrl_recipes.training.start import run

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from hub.server import Hub


def test_a_finished_run_names_the_command_that_measures_it() -> None:
    record = TrainingRecord("maze", "1.0.0", "fully_observed", "bc", None, "lmrl/maze")
    command = "lmrl-eval run --task maze --config fully_observed --policy 'my runs/bc'"
    assert next_command(Path("my runs/bc"), record) == command
    oracle = replace(record, kind="oracle")
    assert next_command(Path("runs/o"), oracle) == "lmrl-eval oracle --task maze --oracle lm:runs/o"


RECIPE = """\
# lmrl-train filtered_bc --config recipe.yaml
model_name_or_path: bc
dataset_name: lmrl/maze
dataset_config: fully_observed
output_dir: {out}
filter: all
max_steps: 2
per_device_train_batch_size: 4
save_strategy: steps
save_steps: 1
logging_steps: 1
use_cpu: true
disable_tqdm: true
report_to: none
push_to_hub: true
"""
RECIPES = {
    "filtered_bc": (filtered_bc.main, filtered_bc.FilteredBCConfig),
    "ilql": (ilql.main, ilql.ILQLConfig),
    "ppo": (ppo.main, ppo.PPOConfig),
    "oracle": (oracle_recipe.main, oracle_recipe.OracleConfig),
}
Start = Callable[..., int]


@pytest.fixture
def token(hub: "Hub", monkeypatch: pytest.MonkeyPatch) -> str:
    """Alice is logged in."""
    token = hub.user("alice", orgs=["lmrl"])
    monkeypatch.setenv("HF_TOKEN", token)
    return token


@pytest.fixture
def start(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Runs a recipe as its command does, beside the workshop's dataset; returns the exit code."""
    monkeypatch.chdir(workshop)

    def started(name: str, *flags: str, recipe: str = RECIPE) -> int:
        path = tmp_path / "recipe.yaml"
        path.write_text(recipe.format(out=tmp_path / "out"))
        monkeypatch.setattr(sys, "argv", [f"{name}.py", "--config", str(path), *flags])
        main, config = RECIPES[name]
        try:
            run(main, ScriptArguments, config, ModelConfig)
        except SystemExit as left:
            return int(str(left.code))
        return 0

    return started


def made_from(hub: "Hub", repo: str) -> TrainingRecord:
    return TrainingRecord.from_json(hub.files("model", repo)["training.json"].decode())


def test_a_recipe_pushes_once_and_nothing_but_the_finished_model(
    hub: "Hub", token: str, start: Start, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert start("filtered_bc", "--max_steps", "3", "--learning_rate", "1e-3") == 0
    assert hub.commits("model", "alice/out") == ["maze: filtered_bc", "initial commit"]
    files = hub.files("model", "alice/out")
    assert not [name for name in files if "checkpoint" in name or name.endswith((".bin", ".pt", ".pth", ".md5"))]
    assert (tmp_path / "out" / "checkpoint-3").is_dir()
    # The recipe is the YAML with the flags, and none of what is about this machine or this user.
    given = yaml.safe_load(RECIPE.format(out="out")) | {"max_steps": 3, "learning_rate": 1e-3}
    del given["push_to_hub"]
    assert yaml.safe_load(files["recipe.yaml"]) == given
    assert files["recipe.yaml"].startswith(b"# lmrl-train filtered_bc --config recipe.yaml\n")
    assert made_from(hub, "alice/out").settings["max_steps"] == 3
    assert b"filtered_bc" in files["README.md"]
    out, err = capfd.readouterr()
    assert f"{hub.url}/alice/out: sent" in out
    for kept in (out, err, *(content.decode("latin-1") for content in files.values())):
        assert token not in kept
    assert not [
        path for path in (tmp_path / "out").rglob("*") if path.is_file() and token.encode() in path.read_bytes()
    ]


def test_the_published_recipe_can_be_run_again(hub: "Hub", token: str, start: Start, tmp_path: Path) -> None:
    flags = ("--hub_model_id", "lmrl/bc", "--hub_private_repo", "true", "--save_strategy", "no")
    assert start("filtered_bc", *flags) == 0
    assert hub.get("model", "lmrl/bc").private
    first = hub.files("model", "lmrl/bc")
    recipe = first["recipe.yaml"].decode().replace("output_dir: out", f"output_dir: {tmp_path / 'again'}")
    assert start("filtered_bc", "--push_to_hub", "true", "--hub_model_id", "lmrl/again", recipe=recipe) == 0
    again = hub.files("model", "lmrl/again")
    assert again["training.json"] == first["training.json"]
    assert again["model.safetensors"] == first["model.safetensors"]


def test_a_run_that_cannot_be_pushed_is_saved_and_says_how_to_go_on(
    hub: "Hub", start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.user("alice", role="read"))
    assert start("filtered_bc", "--hub_model_id", "alice/bc", "--hub_private_repo", "true") == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "your token may not do this" in error
    assert f"the run is saved, push it with: lmrl-eval push-model {tmp_path / 'out'} --model alice/bc" in error
    assert error.endswith(" --private")
    load_policy(str(tmp_path / "out"), get_task("maze"), "fully_observed")
    monkeypatch.setenv("HF_TOKEN", hub.user("alice"))
    from lmrl_eval.commands.main import main

    with pytest.raises(SystemExit) as left:
        main(error.partition("lmrl-eval ")[2].split())
    assert left.value.code == 0
    assert made_from(hub, "alice/bc").algorithm == "filtered_bc"


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--hub_token", "hf_x"], "leave hub_token out: it does not belong in a recipe"),
        (["--hub_model_id", "a/b/c"], "a repo id is NAMESPACE/NAME"),
        (["--use_peft", "true"], "nobody else can use adapters of bc, a folder of this machine"),
    ],
)
def test_what_would_fail_after_the_training_fails_before_it(
    hub: "Hub", token: str, start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str],
    complaint: str,
) -> None:  # fmt: skip
    assert start("filtered_bc", *flags) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_a_token_nothing_is_trained(
    hub: "Hub", start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start("filtered_bc") == 2
    assert "there is no token to publish with" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# --- what is made from what


def test_rows_from_the_hub_are_named_by_their_commit(
    hub: "Hub", token: str, start: Start, workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lmrl_data.dataset.push import push_dataset

    commit = push_dataset(get_task("maze"), workshop / "lmrl" / "maze", "lmrl/maze").commit
    (tmp_path / "bc").symlink_to(workshop / "bc")
    monkeypatch.chdir(tmp_path)
    assert start("filtered_bc", "--save_strategy", "no") == 0
    assert (made_from(hub, "alice/out").dataset_revision, made_from(hub, "alice/out").dataset) == (commit, "lmrl/maze")


@pytest.mark.release
def test_adapters_of_a_published_model_play_from_the_hub(
    hub: "Hub", token: str, start: Start, workshop: Path, tmp_path: Path
) -> None:
    HfApi().create_repo("alice/base", private=True)
    HfApi().upload_folder(folder_path=workshop / "bc", repo_id="alice/base")
    assert start("filtered_bc", "--model_name_or_path", "alice/base", "--use_peft", "true", "--lora_r", "2") == 0
    files = hub.files("model", "alice/out")
    assert {"adapter_model.safetensors", "adapter_config.json"} <= set(files)
    assert "model.safetensors" not in files
    assert made_from(hub, "alice/out").base_model == "alice/base"
    policies: list[Any] = [
        load_policy(spec, get_task("maze"), "fully_observed") for spec in ("alice/out", str(tmp_path / "out"))
    ]
    first, second = (policy.model.state_dict() for policy in policies)
    assert all((first[name] == second[name]).all() for name in first)


@pytest.mark.release
def test_an_online_run_is_pushed_as_a_plain_policy(hub: "Hub", token: str, start: Start, tmp_path: Path) -> None:
    recipe = (
        "model_name_or_path: bc\noutput_dir: {out}\ntask: maze\nrounds: 1\nmax_turns: 3\nmax_completion_length: 8\n"
        "per_device_train_batch_size: 4\nnum_iterations: 1\nuse_cpu: true\ndisable_tqdm: true\nreport_to: none\n"
        "save_strategy: 'no'\npush_to_hub: true\n"
    )
    assert start("ppo", recipe=recipe) == 0
    made = made_from(hub, "alice/out")
    assert (made.algorithm, made.task, made.config, made.dataset_revision) == ("ppo", "maze", "fully_observed", None)
    assert made.settings["max_turns"] == 3
    policy: Any = load_policy("alice/out", get_task("maze"), "fully_observed")
    assert not [name for name in policy.model.state_dict() if "critic" in name or "v_head" in name]


def test_an_oracle_is_pushed_and_answers(
    hub: "Hub", token: str, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = get_task("twenty_questions")
    episodes = [task.generate(task.simulator(config=task.default_config), seed) for seed in range(2)]
    rows = Dataset.from_list([episode.to_row() for episode in episodes])
    monkeypatch.setattr(oracle_recipe, "load_rows", lambda *_: rows)
    flags = ("--dataset_name", "lmrl/twenty_questions", "--max_examples", "4", "--save_strategy", "no")
    recipe = "".join(line for line in RECIPE.splitlines(True) if not line.startswith("filter"))
    assert start("oracle", *flags, recipe=recipe) == 0
    made = made_from(hub, "alice/out")
    assert (made.kind, made.task, made.n_examples, made.algorithm) == ("oracle", "twenty_questions", 4, "oracle")
    assert b"- simulator\n" in hub.files("model", "alice/out")["README.md"]
    oracle = load_oracle("lm:alice/out", task)
    assert oracle is not None
    assert oracle.describe()["weights_sha256"]


@pytest.mark.release
def test_a_run_in_python_has_no_recipe_and_keeps_none_of_an_older_one(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workshop)
    (tmp_path / "recipe.yaml").write_text("of: another run")
    args = filtered_bc.FilteredBCConfig(
        output_dir=str(tmp_path), filter="all", max_steps=1, per_device_train_batch_size=2, use_cpu=True,
        report_to="none", disable_tqdm=True, save_strategy="no",
    )  # fmt: skip
    data = ScriptArguments(dataset_name="lmrl/maze", dataset_config="fully_observed")
    filtered_bc.main(data, args, ModelConfig(model_name_or_path=os.path.abspath("bc")))
    assert not (tmp_path / "recipe.yaml").exists()
    made = json.loads((tmp_path / "training.json").read_text())
    # Where somebody's files lie is nobody's business.
    assert made["base_model"] == "bc"
    assert str(workshop) not in json.dumps(made)
