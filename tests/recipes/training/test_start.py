"""The recipes as commands: what is wrong is said in one line, and Ctrl-C leaves something to resume from."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from recipe_command import call, error_line
from trl import ModelConfig, ScriptArguments

from lmrl_data import UserError
from lmrl_recipes import filtered_bc, ilql, mc

pytestmark = pytest.mark.slow

RECIPES = {
    "ilql": (ilql.main, ilql.ILQLConfig),
    "mc": (mc.main, mc.MCConfig),
    "filtered_bc": (filtered_bc.main, filtered_bc.FilteredBCConfig),
}
# It starts the recipe with accelerate and passes on its exit code, its output and Ctrl-C.
LMRL_TRAIN = (sys.executable, "-m", "lmrl_recipes.launch")
RECIPE = """\
model_name_or_path: bc
dataset_name: lmrl/maze
dataset_config: fully_observed
output_dir: {output_dir}
max_steps: 1
use_cpu: true
report_to: none
save_strategy: "no"
"""


@dataclass
class Settings:
    steps: int = field(default=1)
    rate: float = field(default=0.1)

    def __post_init__(self) -> None:
        if self.steps > 5:
            raise ValueError("too many\nsteps")


# --- settings


def test_flags_win_over_yaml_and_yaml_over_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipe.yaml").write_text("steps: 2\nrate: 3e-1\n")
    found: list[tuple[Settings, dict[str, Any]]] = []
    arguments = ["--config", str(tmp_path / "recipe.yaml"), "--steps", "3"]
    assert call(lambda *given: found.append(given), arguments, [Settings], monkeypatch) == 0
    assert found == [(Settings(3, 0.3), {"steps": 3, "rate": "3e-1"})]


@pytest.mark.parametrize(
    ("arguments", "yaml", "complaint"),
    [
        (["--stepz", "3"], "", "unknown setting 'stepz'; did you mean steps?"),
        (["--config", "recipe.yaml"], "stepz: 3", "unknown setting 'stepz'; did you mean steps?"),
        (["--zzz"], "", "unknown setting 'zzz'; --help lists all"),
        (["recipe.yaml"], "steps: 3", "unknown setting 'recipe.yaml'"),
        (["--steps", "many"], "", "invalid int value: 'many'"),
        (["--config", "recipe.yaml"], "steps: many", "invalid int value: 'many'"),
        (["--steps", "6"], "", "too many steps"),
        (["--config"], "", "--config needs the path of a YAML file or the name of a task"),
        (["--config", "elsewhere.yaml"], "", "--config elsewhere.yaml: there is no such file"),
        (["--config", "recipe.yaml"], "steps: [1", "recipe.yaml"),
        (["--config", "recipe.yaml"], "just words", "must contain a YAML mapping"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    yaml: str,
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(yaml)

    def main(settings: Settings, recipe: dict[str, Any]) -> None:
        pytest.fail(f"{settings} should not get here")

    assert call(main, arguments, [Settings], monkeypatch) == 2
    assert complaint in error_line(capsys.readouterr().err)


def test_what_a_user_got_wrong_is_one_line_and_a_bug_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(settings: Settings, recipe: dict[str, Any]) -> None:
        raise UserError("no such thing; choose another")

    def broken(settings: Settings, recipe: dict[str, Any]) -> None:
        raise ValueError("a bug")

    assert call(wrong, [], [Settings], monkeypatch) == 2
    assert error_line(capsys.readouterr().err) == "error: no such thing; choose another"
    with pytest.raises(ValueError, match="a bug"):
        call(broken, [], [Settings], monkeypatch)


@dataclass
class Run:
    output_dir: str = field(default="")


@pytest.mark.parametrize("saved", [True, False])
def test_an_interrupted_run_says_how_to_go_on_if_it_has_saved_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], saved: bool
) -> None:
    def main(run: Run, recipe: dict[str, Any]) -> None:
        if saved:
            state = Path(run.output_dir) / "checkpoint-5" / "trainer_state.json"
            state.parent.mkdir()
            state.touch()
        raise KeyboardInterrupt

    assert call(main, ["--output_dir", str(tmp_path)], [Run], monkeypatch) == 130
    assert ("--resume_from_checkpoint last" in capsys.readouterr().err) is saved


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("I/O error: os error 28")]
)
def test_a_full_disk_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def main(settings: Settings, recipe: dict[str, Any]) -> None:
        raise RuntimeError("cannot save") from error

    assert call(main, [], [Settings], monkeypatch) == 2
    assert "no space left on the disk" in error_line(capsys.readouterr().err)


# --- recipes


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--max_stepz", "3"], "unknown setting 'max_stepz'; did you mean max_steps?"),
        (["--learning_rate", "fast"], "invalid float value: 'fast'"),
        (["--save_strategy", "sometimes"], "sometimes"),
        (["--model_name_or_path", "nowhere"], "nowhere is no checkpoint"),
        (["--model_name_or_path", "lmrl"], "lmrl is no checkpoint: it has no config.json"),
        (["--dataset_name", "lmrl/nothing"], "cannot load lmrl/nothing"),
        (["--dataset_config", "observed"], "cannot load lmrl/maze observed"),
        (["--dataset_config", "fully_observed_steps"], "lmrl/maze fully_observed_steps holds no episodes"),
        (["--resume_from_checkpoint", "nowhere"], "cannot resume from nowhere"),
    ],
)
def test_wrong_input_to_a_recipe_is_one_line_and_exit_code_2(
    workshop: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    flags: list[str],
    complaint: str,
) -> None:
    monkeypatch.chdir(workshop)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(output_dir=tmp_path / "out"))
    main, config = RECIPES[name]
    arguments = ["--config", str(recipe), *flags]
    assert call(main, arguments, [ScriptArguments, config, ModelConfig], monkeypatch) == 2
    assert complaint in error_line(capsys.readouterr().err)


def test_a_mistyped_key_is_the_only_line_that_the_command_prints(workshop: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(output_dir=tmp_path).replace("max_steps", "max_stepz"))
    command = [*LMRL_TRAIN, "ilql", "--config", str(recipe)]
    done = subprocess.run(command, cwd=workshop, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: unknown setting 'max_stepz'; did you mean max_steps?\n"


def test_ctrl_c_leaves_a_checkpoint_that_the_same_command_resumes(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "recipe.yaml"
    out = tmp_path / "out"
    settings = RECIPE.format(output_dir=out).replace('"no"', "steps").replace("max_steps: 1", "max_steps: 1000000")
    recipe.write_text(settings + "save_steps: 5\nper_device_train_batch_size: 2\nresume_from_checkpoint: last\n")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_DATASETS_CACHE": str(workshop / "cache")}
    command = [*LMRL_TRAIN, "mc", "--config", str(recipe)]
    running = subprocess.Popen(command, cwd=workshop, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while not (out / "checkpoint-5" / "trainer_state.json").exists():
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in stderr
    assert "\ninterrupted; resume with --resume_from_checkpoint last\n" in stderr
    last = max(int(state.parent.name.split("-")[1]) for state in out.glob("checkpoint-*/trainer_state.json"))
    monkeypatch.chdir(workshop)
    arguments = ["--config", str(recipe), "--max_steps", str(last + 1), "--save_steps", "1"]
    assert call(mc.main, arguments, [ScriptArguments, mc.MCConfig, ModelConfig], monkeypatch) == 0
    assert json.loads((out / f"checkpoint-{last + 1}" / "trainer_state.json").read_text())["global_step"] == last + 1


def test_checkpoints_of_a_run_that_is_written_over_go_when_the_new_run_saves(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for number in (1, 99):
        (out / f"checkpoint-{number}").mkdir(parents=True)
        (out / f"checkpoint-{number}" / "trainer_state.json").write_text("{}")
        (out / f"checkpoint-{number}" / "of_the_old_run").touch()
    monkeypatch.chdir(workshop)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(output_dir=out).replace('"no"', "steps").replace("max_steps: 1", "max_steps: 2"))
    arguments = ["--config", str(recipe), "--overwrite_output_dir", "--save_steps", "1"]
    config = [ScriptArguments, mc.MCConfig, ModelConfig]
    with monkeypatch.context() as patch:
        patch.setattr(mc.MCTrainer, "compute_loss", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        assert call(mc.main, arguments, config, monkeypatch) == 130
    # Nothing of the old run is lost before there is something of the new one.
    assert "interrupted; nothing was saved\n" in capsys.readouterr().err
    assert len(list(out.glob("checkpoint-*/of_the_old_run"))) == 2
    assert call(mc.main, arguments, config, monkeypatch) == 0
    assert sorted(path.name for path in out.glob("checkpoint-*")) == ["checkpoint-1", "checkpoint-2"]
    assert not list(out.rglob("of_the_old_run"))
    # A run that goes on keeps its own.
    assert (
        call(mc.main, [*arguments, "--resume_from_checkpoint", "last", "--max_steps", "3"], config, monkeypatch) == 0
    )
    assert len(list(out.glob("checkpoint-*"))) == 3


def test_a_recipe_does_not_write_into_the_folder_of_another_run(tmp_path: Path) -> None:
    from lmrl_recipes.launch import check_sft_output
    from lmrl_recipes.training.start import check_output

    folder = tmp_path / "run"
    check_output(str(folder), False, None)
    folder.mkdir()
    (folder / "notes.txt").touch()
    check_output(str(folder), False, None)
    (folder / "checkpoint-3").mkdir()
    with pytest.raises(UserError, match=r"holds a run; .*--overwrite_output_dir"):
        check_output(str(folder), False, None)
    check_output(str(folder), False, "last")
    check_output(str(folder), True, None)
    (folder / "checkpoint-3").rmdir()
    (folder / "value_model").mkdir()
    with pytest.raises(UserError, match="holds a run"):  # `last` would begin anew
        check_output(str(folder), False, "last")
    # `lmrl-train bc` is `trl sft`, which does not know the flag.
    with pytest.raises(UserError, match="holds a run"):
        check_sft_output({"output_dir": str(folder)}, ["--seed", "1"])
    with pytest.raises(UserError, match="holds a run"):
        check_sft_output({}, [f"--output_dir={folder}"])
    flags = ["--overwrite_output_dir", "--output_dir", str(folder), "--seed", "1"]
    assert check_sft_output({}, flags) == ["--seed", "1", f"--output_dir={folder}"]
    assert check_sft_output({"output_dir": str(folder)}, ["--overwrite_output_dir", "--seed", "1"]) == ["--seed", "1"]


def test_every_recipe_asks_before_it_writes_over_a_run(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lmrl_recipes import grpo, online_filtered_bc, oracle, ppo

    (workshop / "old").mkdir(exist_ok=True)
    (workshop / "old" / "config.json").write_text("{}")
    monkeypatch.chdir(workshop)
    offline = {filtered_bc: filtered_bc.FilteredBCConfig, ilql: ilql.ILQLConfig, mc: mc.MCConfig}
    offline |= {oracle: oracle.OracleConfig}
    online = {grpo: grpo.OnlineGRPOConfig, ppo: ppo.PPOConfig}
    online |= {online_filtered_bc: online_filtered_bc.OnlineFilteredBCConfig}
    for config in [*offline.values(), *online.values()]:
        flags = ["--output_dir", "old", "--use_cpu", "true"]
        assert call(lambda *_: None, flags, [config], monkeypatch) == 2, config
        assert call(lambda *_: None, [*flags, "--overwrite_output_dir"], [config], monkeypatch) == 0, config
