"""How every command ends: what a user got wrong is one line on stderr and exit code 2, never a traceback."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, NoReturn

from lmrl_data.errors import UserError
from lmrl_data.text import one_line

if TYPE_CHECKING:
    import typer


def fail(error: object) -> NoReturn:
    """Prints an error as one line and exits with code 2."""
    print(f"error: {one_line(error, None)}", file=sys.stderr)
    sys.exit(2)


@contextmanager
def one_line_errors(interrupted: str = "interrupted") -> Iterator[None]:
    """Ends the program with one line for a `UserError`, an error of the operating system, and Ctrl-C.

    Args:
        interrupted (`str`, *optional*): the line for Ctrl-C, whose exit code is 130.
    """
    try:
        yield
    except UserError as error:
        fail(error)
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader has gone, e.g. `| head`; nothing may be written while Python shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        fail(f"{error.strerror}: {error.filename}" if error.strerror and error.filename else error.strerror or error)
    except BaseException as error:
        # How libraries in Rust fail, e.g. a tokenizer's regular expression that takes too long. It is no `Exception`.
        if type(error).__name__ != "PanicException":
            raise
        fail(f"a library stopped: {error}")


def make_app() -> "typer.Typer":
    """A Typer application with the settings of all our commands: plain help, `-h`, and completion for shells."""
    import typer

    settings = {"max_content_width": 110, "help_option_names": ["-h", "--help"]}
    return typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=settings)


def run_app(
    app: "typer.Typer", name: str, arguments: Sequence[str] | None = None, interrupted: str = "interrupted"
) -> NoReturn:
    """Runs a Typer application as the command `name`.

    Args:
        app (`typer.Typer`): the application.
        name (`str`): the command as its help names it.
        arguments (`Sequence[str]`, *optional*): those of the command line by default.
        interrupted (`str`, *optional*): the line for Ctrl-C.
    """
    import typer

    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with one_line_errors(interrupted):
        try:
            code = app(arguments, prog_name=name, standalone_mode=False)
        except typer.exceptions.TyperException as error:
            fail(error.format_message())
        except typer.Abort:
            code = 130
        if code == 130:  # what Typer makes of Ctrl-C
            raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else 0)
