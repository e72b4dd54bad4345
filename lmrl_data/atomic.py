"""Files that are never half written: temporary names, checksums, and a lock that keeps a second writer out."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lmrl_data.errors import UserError


def replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Writes a file under a temporary name and moves it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically."""
    replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder, which is a file beside it and goes when the process does.

    Raises:
        UserError: if another process holds the lock.
    """
    from filelock import FileLock, Timeout

    path = folder.with_name(f".{folder.name}.lock")
    try:
        with FileLock(path, timeout=0):
            try:
                yield
            finally:
                # While it is held: `filelock` refuses a lock on a file that has gone in the meantime.
                with suppress(OSError):
                    path.unlink()
    except Timeout:
        raise UserError(f"another build is writing {folder}; wait for it, or choose another --out") from None
