"""The command `lmrl-train`: launches a recipe with accelerate, from a checkout or from the installed package."""

import argparse
import logging
import os
import runpy
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module, resources
from typing import Any

from lmrl_data import __version__
from lmrl_data.command import fail, one_line_errors
from lmrl_data.errors import UserError, require, unknown
from lmrl_data.terminal import wrapped
from lmrl_recipes.training.start import check_output, read_recipe, recipe_path, recipes_folder, shipped, split_config

LAUNCHED = {
    "bc": "behavior cloning of all episodes",
    "filtered_bc": "behavior cloning of the best episodes",
    "mc": "Monte-Carlo returns, beside a cloned policy",
    "ilql": "implicit language Q-learning, beside a cloned policy",
    "ppo": "multi-turn PPO in the simulator",
    "online_filtered_bc": "imitates its own best episodes in the simulator",
    "grpo": "compares episodes that began alike in the simulator",
    "oracle": "trains the other side of a dialogue",
}
PLAIN = {
    "tiny_model": "makes a small model and its tokenizer from a dataset",
    "reader": "trains what reads the sentences of the dialogue tasks",
    "quickstart": "builds, trains and scores a task, and prints the table",
}
COMMANDS = LAUNCHED | PLAIN
# Options that both have: the recipe gets them.
SHARED = {"--debug", "--gradient_accumulation_steps", "--gradient-accumulation-steps", "--help"}
HELP = f"""\
usage: lmrl-train COMMAND [--config TASK|FILE] [--preset paper]
                  [--SETTING VALUE ...] [accelerate's options]

Trains a policy. Settings come from a recipe, which --config names: a YAML file,
or a task, for which there is one. A preset and then flags go over them.

commands:
{chr(10).join(f"  {name:20}{text}" for name, text in COMMANDS.items())}

examples:
  lmrl-train quickstart maze
  lmrl-train ilql --config maze
  lmrl-train ilql --config maze/partially_observed --tau 0.7 \\
    --output_dir runs/maze/ilql_07
  lmrl-train ppo --config my_recipe.yaml --num_processes 2 \\
    --mixed_precision bf16
  lmrl-train bc --config wordle --preset paper

`lmrl-train COMMAND --help` lists the settings of a command, and
`accelerate launch --help` the options of accelerate.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command; whatever the user got wrong is one line on stderr and exit code 2."""
    name, *rest = (sys.argv[1:] if arguments is None else list(arguments)) or ["--help"]
    with one_line_errors("\ninterrupted"):
        if name in ("-h", "--help"):
            print(HELP, end="")
        elif name == "--version":
            print(f"lmrl {__version__}")
        elif name not in COMMANDS:
            raise unknown("command", name, COMMANDS)
        elif name == "quickstart":
            run_script("quickstart", rest)
        else:
            require("trl", extra="train")
            if name in PLAIN or {"-h", "--help"} & set(rest):
                show_or_run(name, rest)
            else:
                launch(*script_and_arguments(name, rest))


def show_or_run(name: str, arguments: Sequence[str]) -> None:
    """Runs a command that needs no accelerate: `tiny_model`, or the help of a recipe."""
    if name in LAUNCHED:
        tasks = ", ".join(shipped(name))
        print(wrapped(f"lmrl-train {name}: {LAUNCHED[name]}\n--config takes a YAML file or one of: {tasks}\n"))
    run_script("filtered_bc" if name == "bc" else name, arguments)


def run_script(name: str, arguments: Sequence[str]) -> None:
    """Runs a file of this folder as `python recipes/NAME.py` does."""
    silence_bars()
    path = str(recipes_folder() / f"{name}.py")
    sys.argv = [path, *arguments]
    runpy.run_path(path, run_name="__main__")


def silence_bars() -> None:
    """Switches the bars of all libraries off where the output is no terminal; the trainers log lines there."""
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")


def script_and_arguments(name: str, arguments: Sequence[str]) -> tuple[str, list[str], list[str]]:
    """What `accelerate launch` gets: the script, accelerate's own options, and the script's arguments.

    Raises:
        UserError: if `--config` names no recipe.
    """
    config, preset, rest = split_config(arguments)
    settings: dict[str, Any] = {}
    if config is not None:
        settings, config = read_recipe(config, name), str(recipe_path(config, name).resolve())
    options, flags = split_options(rest)
    script = str(recipes_folder() / f"{name}.py")
    if name == "bc":
        filtered = "filter" in settings or any(flag.partition("=")[0] == "--filter" for flag in flags)
        if preset is not None and not filtered:
            flags, filtered = [*flags, "--filter", "all"], True
        sft = str(resources.files("trl.scripts") / "sft.py")
        script = str(recipes_folder() / "filtered_bc.py") if filtered else sft
        if not filtered:
            flags = check_sft_output(settings, flags)
    return (
        script,
        options,
        [
            *(["--config", config] if config is not None else []),
            *(["--preset", preset] if preset is not None else []),
            *flags,
        ],
    )


def check_sft_output(settings: dict[str, Any], flags: Sequence[str]) -> list[str]:
    """The flags of `trl sft` without `--overwrite_output_dir`, which is not its own.

    Raises:
        UserError: if there is a run in the output folder that `trl sft` would write over.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--overwrite_output_dir", nargs="?", const="true", default="false")
    for name in ("output_dir", "resume_from_checkpoint"):
        parser.add_argument(f"--{name}")
    named, rest = parser.parse_known_args(list(flags))
    own = {name: value for name, value in vars(named).items() if value is not None and name != "overwrite_output_dir"}
    output_dir, resume = ((settings | own).get(name) for name in ("output_dir", "resume_from_checkpoint"))
    if output_dir:
        check_output(str(output_dir), named.overwrite_output_dir.lower() in ("true", "1", "yes"), resume)
    return rest + [f"--{name}={value}" for name, value in own.items()]


def split_options(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Splits arguments into those of `accelerate launch` and those of the recipe.

    Raises:
        UserError: if an option of accelerate lacks its value.
    """
    launcher = import_module("accelerate.commands.launch").launch_command_parser()
    actions = {option: action for action in launcher._actions for option in action.option_strings}
    options: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        name, equals, _ = argument.partition("=")
        if name in SHARED or not name.startswith("--") or name not in actions:
            rest.append(argument)
            continue
        options.append(argument)
        if actions[name].nargs != 0 and not equals:
            value = next(remaining, None)
            if value is None:
                raise UserError(f"{name} needs a value")
            # The files in accelerate/ can be given by name.
            shipped_file = recipes_folder() / "accelerate" / f"{value}.yaml"
            options.append(str(shipped_file) if name == "--config_file" and shipped_file.is_file() else value)
    return options, rest


def launch(script: str, options: Sequence[str], arguments: Sequence[str]) -> None:
    """Does what `accelerate launch` does, and exits with the script's code; a single process replaces this one."""
    accelerate = import_module("accelerate.commands.launch")
    # It lists the options that were left out.
    logging.getLogger(accelerate.__name__).setLevel(logging.ERROR)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # two spinning threads on a busy machine cost 4-18 times
    silence_bars()
    parser = accelerate.launch_command_parser()
    parser.error = fail
    # It would start the script as a child, and end with exit code 1 whatever the code of the script.
    vars(accelerate)["simple_launcher"] = become
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        guarded = str(recipes_folder() / "training" / "guarded.py")
        accelerate.launch_command(parser.parse_args([*options, guarded, script, *arguments]))
    except ValueError as error:  # options that do not go together
        fail(error)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    except ChildFailedError as error:
        sys.exit(error.get_first_failure()[1].exitcode)
    except SignalException:
        raise KeyboardInterrupt from None


def become(args: Any) -> None:
    """Accelerate's launcher of one process, without a parent that hides the exit code and misses Ctrl-C."""
    from accelerate.utils import prepare_simple_launcher_cmd_env

    command, environment = prepare_simple_launcher_cmd_env(args)
    sys.stdout.flush()
    if sys.platform == "win32":  # where a process cannot be replaced
        sys.exit(subprocess.call(command, env=environment))
    os.execve(command[0], command, environment)


if __name__ == "__main__":
    main()
