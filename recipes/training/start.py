"""How every recipe starts: YAML and flags into dataclasses, and one line instead of a traceback for what is wrong."""

import argparse
import difflib
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

given: dict[str, Any] | None = None  # the settings that this command was started with, while it runs


def run(main: Callable[..., None], *dataclasses: Any) -> None:
    """Parses `--config recipe.yaml` and flags (which win) into the dataclasses and calls `main` with them.

    A setting that does not exist, a value it cannot take, a file that is not there or any `UserError` becomes one line
    on stderr and exit code 2.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # two spinning threads on a busy machine cost 4-18 times
    # TRL's own defaults use names that transformers is about to rename.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    import yaml
    from trl import TrlParser

    from lmrl_data.errors import UserError

    global given
    try:
        parser = TrlParser(dataclasses)
        # argparse's own would print the usage: 200 lines.
        parser.error = fail  # type: ignore[method-assign, assignment]
        *arguments, unknown = parser.parse_args_and_config(return_remaining_strings=True)
        if unknown:
            names = [name for each in dataclasses for name in each.__dataclass_fields__]
            fail(_unknown_setting(unknown[0], names))
        given = _given(parser, sys.argv[1:])
    except IndexError:
        fail("--config needs the path of a YAML file")
    except (ValueError, OSError, yaml.YAMLError) as error:
        fail(error)
    try:
        main(*arguments)
    except UserError as error:
        fail(error)
    except KeyboardInterrupt:
        # A progress bar stands on the line.
        print("\ninterrupted; resume with --resume_from_checkpoint last", file=sys.stderr)
        sys.exit(130)
    finally:
        given = None


def _given(parser: argparse.ArgumentParser, arguments: list[str]) -> dict[str, Any]:
    """The settings of the YAML, and of the flags, which win; without anything that is a default."""
    import yaml

    settings = {}
    if "--config" in arguments:
        place = arguments.index("--config")
        with open(arguments[place + 1]) as file:
            settings = yaml.safe_load(file)
        arguments = arguments[:place] + arguments[place + 2 :]
    # A parser sets no default where something stands already.
    absent = object()
    found = parser.parse_args(arguments, argparse.Namespace(**{each.dest: absent for each in parser._actions}))
    return settings | {name: value for name, value in vars(found).items() if value is not absent}


def _unknown_setting(given: str, names: list[str]) -> str:
    setting = given.lstrip("-").split("=")[0]
    close = difflib.get_close_matches(setting, names, n=1)
    return f"unknown setting {setting!r}; " + (f"did you mean {close[0]}?" if close else "--help lists all")


def fail(error: object) -> NoReturn:
    """Prints an error as one line and exits with code 2."""
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    sys.exit(2)
