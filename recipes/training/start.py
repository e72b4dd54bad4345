"""How every recipe starts: a YAML, a preset and flags become dataclasses, and errors become one line."""

import argparse
import difflib
import errno
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from lmrl_data.command import fail, one_line_errors
from lmrl_data.errors import UserError, unknown
from lmrl_data.parsing import parse_yaml
from lmrl_recipes.training.settings import check_machine, check_settings

Settings = dict[str, Any]
PRESETS = ("paper",)
CHECKPOINT_STATE = "trainer_state.json"
DESCRIPTION = (
    "Settings come from --config (a YAML file, or the name of a task such as maze), then from --preset paper (the "
    "paper's settings for that task), then from flags; the last one wins. The settings are:"
)


def run(main: Callable[..., None], *dataclasses: Any) -> None:
    """Parses `--config`, `--preset` and flags into the dataclasses and calls `main` with them and with the recipe.

    The recipe is the settings that were given, without the defaults. A setting that does not exist, a value it cannot
    take, a file that is not there or any `UserError` becomes one line on stderr and exit code 2.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # two spinning threads on a busy machine cost 4-18 times
    # TRL's own defaults use names that transformers is about to rename.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    import yaml

    # A progress bar stands on the line.
    with one_line_errors("\ninterrupted"):
        try:
            arguments, recipe = parse(dataclasses, sys.argv[1:], Path(sys.argv[0]).stem)
        except (ValueError, yaml.YAMLError) as error:
            fail(error)
    with one_line_errors("\ninterrupted; nothing was saved"):
        for settings in arguments:
            if hasattr(settings, "overwrite_output_dir"):
                check_output(settings.output_dir, settings.overwrite_output_dir, settings.resume_from_checkpoint)
        folders = [Path(part.output_dir) for part in arguments if hasattr(part, "output_dir")]
        before = [] if any(map(resumes, arguments)) else [times(folder) for folder in folders]
        try:
            main(*arguments, recipe)
        except KeyboardInterrupt:
            # Checkpoints of a run that this one was about to write over are not its own.
            if before == [times(folder) for folder in folders] or not any(map(newest_checkpoint, folders)):
                raise
            print("\ninterrupted; resume with --resume_from_checkpoint last", file=sys.stderr)
            sys.exit(130)
        except Exception as error:
            if not no_space_left(error):
                raise
            fail("no space left on the disk; free some and resume with --resume_from_checkpoint last")


def no_space_left(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, is a full disk, in whichever words a library says it."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(words in str(error) for words in ("No space left on device", "os error 28", "Disk quota exceeded")):
            return True
        error = error.__cause__ or error.__context__
    return False


def resumes(settings: Any) -> bool:
    """Whether these settings of a run let it go on from a checkpoint."""
    return str(getattr(settings, "resume_from_checkpoint", None)).lower() not in ("none", "false", "")


def times(folder: Path) -> dict[Path, float]:
    """When each checkpoint of a run's output folder was completed."""
    return {path: path.stat().st_mtime for path in folder.glob(f"checkpoint-*/{CHECKPOINT_STATE}")}


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint of a run's output folder."""
    # The trainer's state is written last: a checkpoint without it is incomplete.
    whole = [state.parent for state in folder.glob(f"checkpoint-*/{CHECKPOINT_STATE}")]
    return max(whole, key=lambda checkpoint: int(checkpoint.name.split("-")[1])) if whole else None


def check_output(folder: str, overwrite: bool, resume: str | None) -> None:
    """Refuses to write into the folder of another run.

    Args:
        folder (`str`): where the run will write.
        overwrite (`bool`): whether it may.
        resume (`str`, *optional*): where it goes on from; the checkpoints of a run are in its own folder.

    Raises:
        UserError: if there is a run in the folder, and this one neither goes on with it nor may write over it.
    """
    path = Path(folder)
    run = [
        name
        for name in ("config.json", "adapter_config.json", "training.json", "value_model")
        if (path / name).exists()
    ]
    saved = any(path.glob("checkpoint-*"))
    if overwrite or not (run or saved) or (saved and str(resume).lower() not in ("none", "false", "")):
        return
    raise UserError(
        f"{folder} holds a run; choose another output_dir, go on with that run (--resume_from_checkpoint last), or "
        "write over it (--overwrite_output_dir)"
    )


def parse(dataclasses: Sequence[Any], arguments: Sequence[str], algorithm: str) -> tuple[tuple[Any, ...], Settings]:
    """The dataclasses that the arguments of a recipe make, and the settings that were given, without defaults.

    Raises:
        ValueError: for a setting that does not exist, or a value that one of the dataclasses rejects.
        OSError, yaml.YAMLError: for a file that cannot be read.
    """
    from trl import TrlParser

    config, preset, flags = split_config(arguments)
    usage = "%(prog)s [--config TASK|FILE] [--preset paper] [--SETTING VALUE ...]"
    parser = TrlParser(dataclasses, usage=usage, description=DESCRIPTION)
    parser.error = fail  # type: ignore[method-assign, assignment]
    recipe = read_recipe(config, algorithm) if config is not None else {}
    environment = recipe.pop("env", None) or {}
    undefined = parser.set_defaults_with_config(**recipe)
    given = _given(parser, flags)
    if preset is not None:
        recipe |= preset_settings(preset, recipe | given, algorithm)
        undefined = parser.set_defaults_with_config(**recipe)
    os.environ.update({name: str(value) for name, value in environment.items()})
    values, remaining = parser.parse_known_args(flags)
    if undefined or remaining:
        names = ["config", "preset", *(name for kind in dataclasses for name in kind.__dataclass_fields__)]
        raise UserError(_unknown_setting([*undefined, *remaining][0], names))
    check_settings(vars(values), dataclasses)
    parsed = parser.parse_args_into_dataclasses(args=flags)
    for part in parsed:
        if hasattr(part, "report_to"):
            check_machine(part)
    return tuple(parsed), recipe | given


def split_config(arguments: Sequence[str]) -> tuple[str | None, str | None, list[str]]:
    """The value of `--config`, that of `--preset`, and the other arguments.

    Examples:
        >>> split_config(["--config", "maze", "--tau=0.7", "--preset=paper"])
        ('maze', 'paper', ['--tau=0.7'])
    """
    found: dict[str, str | None] = {"--config": None, "--preset": None}
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        name, equals, value = argument.partition("=")
        if name not in found:
            rest.append(argument)
            continue
        found[name] = value if equals else next(remaining, "")
        if not found[name]:
            wanted = "the path of a YAML file or the name of a task" if name == "--config" else "a name, such as paper"
            raise UserError(f"{name} needs {wanted}")
    return found["--config"], found["--preset"], rest


def _given(parser: argparse.ArgumentParser, flags: Sequence[str]) -> Settings:
    """The settings that the flags set, without anything that is a default."""
    # A parser sets no default where something stands already.
    absent = object()
    namespace = argparse.Namespace(**{action.dest: absent for action in parser._actions})
    found, _ = parser.parse_known_args(list(flags), namespace)
    return {name: value for name, value in vars(found).items() if value is not absent}


def _unknown_setting(given: str, names: list[str]) -> str:
    setting = given.lstrip("-").split("=")[0]
    if setting == "thinking":
        return (
            "leave thinking out: recipes train without it; a checkpoint plays with it by lmrl-eval run --thinking on"
        )
    close = difflib.get_close_matches(setting, names, n=1)
    return f"unknown setting {setting!r}; " + (f"did you mean {close[0]}?" if close else "--help lists all")


# --- recipes and presets


def recipes_folder() -> Path:
    """The folder of the recipes, in a checkout or in the installed package."""
    return Path(str(resources.files("lmrl_recipes")))


def shipped(algorithm: str) -> list[str]:
    """The names that `--config` takes for an algorithm, such as `maze` and `maze/partially_observed`."""
    folder = recipes_folder()
    return sorted(path.parent.relative_to(folder).as_posix() for path in folder.glob(f"*/**/{algorithm}.yaml"))


def recipe_path(config: str, algorithm: str) -> Path:
    """The YAML file that `--config` names: a file, or the shipped one of a task.

    Raises:
        UserError: if it is neither.
    """
    path = recipes_folder() / config / f"{algorithm}.yaml"
    if Path(config).is_file() or not path.is_file():
        path = Path(config)
    if not path.is_file():
        names = ", ".join(shipped(algorithm))
        raise UserError(f"--config {config}: there is no such file" + (f"; tasks are: {names}" if names else ""))
    return path


def read_recipe(config: str, algorithm: str) -> Settings:
    """The settings of the YAML file that `--config` names.

    Raises:
        UserError: if there is none, or it is no mapping.
        OSError: if it cannot be read.
    """
    path = recipe_path(config, algorithm)
    try:
        settings = parse_yaml(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    if not isinstance(settings, dict):
        raise UserError(f"{path} must contain a YAML mapping of settings")
    return settings


def preset_settings(preset: str, settings: Mapping[str, Any], algorithm: str) -> Settings:
    """What a preset says about a run of these settings.

    Args:
        preset (`str`): its name.
        settings (`Mapping`): those of the YAML and the flags; they name the task.
        algorithm (`str`): the name of the recipe; filtered BC with the filter `all` is BC.

    Raises:
        UserError: if there is no such preset, or it does not know the task or the algorithm.
    """
    import yaml

    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    table = yaml.safe_load((recipes_folder() / f"{preset}.yaml").read_text(encoding="utf-8"))
    if algorithm == "filtered_bc" and settings.get("filter") == "all":
        algorithm = "bc"
    task = str(settings.get("task") or Path(str(settings.get("dataset_name") or "no task")).name)
    config = str(settings.get("task_config") or settings.get("dataset_config")).removesuffix("_steps")
    if f"{task}/{config}" in table["tasks"]:
        task = f"{task}/{config}"
    rows = table["tasks"].get(task, {})
    if algorithm not in rows:
        known = [name for name, algorithms in table["tasks"].items() if algorithm in algorithms]
        raise UserError(f"the preset {preset} has no {algorithm} for {task}; it has it for: {', '.join(known)}")
    run = task.replace("/", "_")
    merged = table["algorithms"][algorithm] | rows[algorithm]
    return {name: value.format(run=run) if isinstance(value, str) else value for name, value in merged.items()}
