"""Runs a script for `lmrl-train`: Ctrl-C during its imports and the errors of `trl sft` are one line, too."""

import runpy
import signal
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from lmrl_recipes.entry import leave, quiet_end

if __name__ == "__main__":
    signal.signal(signal.SIGINT, leave)  # the imports below take most of a second

from lmrl_data.command import fail, one_line_errors
from lmrl_data.dataset.foreign import own_files_only
from lmrl_data.tasks import TASKS


def main() -> None:
    """Runs the script that the first argument names with the other arguments, as `python SCRIPT ...` does."""
    _, script, *arguments = sys.argv
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).parent)
    with one_line_errors("\ninterrupted"):
        if Path(script).name == "sft.py":
            run_sft(script, arguments)
        else:
            runpy.run_path(script, run_name="__main__")


def run_sft(script: str, arguments: Sequence[str]) -> None:
    """Runs TRL's script, whose errors are tracebacks, after the checks that our recipes make of their settings."""
    import datasets
    import trl
    from trl import DatasetMixtureConfig, ModelConfig, ScriptArguments, SFTConfig

    from lmrl_recipes.training.offline import ReplacedCheckpoints
    from lmrl_recipes.training.start import parse

    # TRL's own defaults use names that transformers is about to rename.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    try:
        settings, _ = parse((ScriptArguments, SFTConfig, ModelConfig, DatasetMixtureConfig), arguments, "bc")
        if any(getattr(part, "trust_remote_code", False) for part in settings):
            fail("trust_remote_code is refused: no code of a checkpoint is run")
        datasets.load_dataset = own_files_only(datasets.load_dataset)
        vars(trl)["SFTTrainer"] = partial(trl.SFTTrainer, callbacks=[ReplacedCheckpoints()])
        runpy.run_path(script, run_name="__main__")
    except (ValueError, ImportError, OSError) as error:
        end_with(error)


def end_with(error: Exception) -> NoReturn:
    """Ends the program with the line of an error; that of a dataset which is not built names the command."""
    task = next((task for task in TASKS if f"lmrl/{task}'" in str(error)), None)
    if task is not None and not Path("lmrl", task).exists():
        fail(f"{error}; run: lmrl-data build {task}")
    if isinstance(error, OSError):
        raise error
    fail(error)


if __name__ == "__main__":
    with quiet_end():
        main()
