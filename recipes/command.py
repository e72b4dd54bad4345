"""How every recipe starts: YAML and flags into dataclasses, and one line instead of a traceback for what is wrong."""

import os
import sys
from collections.abc import Callable
from typing import Any


def run(main: Callable[..., None], *dataclasses: type) -> None:
    """Parses `--config recipe.yaml` and flags (which win) into the dataclasses and calls `main` with them.

    An unknown key, a file that is not there or any `UserError` becomes one line on stderr and exit code 2.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # two spinning threads on a busy machine cost 4-18 times
    from trl import TrlParser

    from lmrl_data.errors import UserError

    try:
        arguments = TrlParser(dataclasses).parse_args_and_config()
        main(*arguments) if isinstance(arguments, tuple) else main(arguments)
    except (UserError, FileNotFoundError) as error:
        fail(error)
    except ValueError as error:
        if "Unknown arguments" not in str(error) and "not used by the" not in str(error):
            raise
        fail(error)
    except KeyboardInterrupt:
        print("interrupted; resume with --resume_from_checkpoint last", file=sys.stderr)
        sys.exit(130)


def fail(error: Any) -> None:
    """Prints the first line of an error and exits with code 2."""
    print(f"error: {str(error).strip().splitlines()[0]}", file=sys.stderr)
    sys.exit(2)
