"""A file of the original release, JSON lines or one JSON array, read piece by piece and never trusted."""

import codecs
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lmrl_data.errors import UserError

LONGEST_RECORD = 16 * 2**20  # bytes; no episode of the release comes near
CHUNK = 2**20


# A file with more unreadable records than one in so many is damaged, and is refused.
READABLE = 100
_DECODER = json.JSONDecoder()
_SPACE = " \t\r\n"


def _json_error(error: ValueError | RecursionError) -> str:
    """What is wrong with a text that is no JSON."""
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON ({error.msg})"
    return "holds a number that is too long"


class SourceFile:
    """A file of the original release, read once from beginning to end.

    Args:
        path (`Path`): the file.
        advance (`Callable`): is told how many bytes were read.

    Attributes:
        episodes (`int`): how many of its records were episodes.
        skipped (`int`): how many of its records could not be read and were left out.
        first_skipped (`str`): the place of the first of them, and what is wrong there.
    """

    def __init__(self, path: Path, advance: Callable[[int], object]) -> None:
        self.path, self.advance = path, advance
        self.digest = hashlib.sha256()
        self.size = 0
        self.episodes = self.skipped = 0
        self.first_skipped = ""

    def skip(self, place: str, what: str) -> None:
        """Leaves a record out.

        Raises:
            UserError: if hardly anything can be read.
        """
        self.first_skipped = self.first_skipped or f"{place}{what}"
        self.skipped += 1
        if self.skipped > 10 * READABLE and self.skipped > self.episodes:
            raise self._damaged()

    def check_skipped(self) -> None:
        """Raises a `UserError` if too many records of the file, which is read to its end, were left out."""
        if self.skipped * READABLE > self.episodes + self.skipped:
            raise self._damaged()

    def _damaged(self) -> UserError:
        return UserError(
            f"{self.path}{self.first_skipped}; {self.skipped:,} of {self.episodes + self.skipped:,} records cannot be "
            f"read, and at most 1 in {READABLE} is left out"
        )

    def _seen(self, data: bytes) -> bytes:
        self.digest.update(data)
        self.size += len(data)
        self.advance(len(data))
        return data

    def records(self, *, lines: bool) -> Iterator[tuple[str, Any]]:
        """The records, each with its place: `":12"` for line 12 of JSON lines, `"[3]"` for an element of an array.

        A line that is no JSON is skipped.

        Args:
            lines (`bool`): it cannot be one array, even if it begins like one.

        Raises:
            UserError: one line that names the place, for an array that is no JSON, where no next record can be found,
                and for a line or element that is too long.
        """
        with self.path.open("rb") as file:
            array = not lines and file.peek(CHUNK).lstrip()[:1] == b"["
            yield from self._elements(file.read) if array else self._lines(file.readline)

    def _lines(self, readline: Callable[[int], bytes]) -> Iterator[tuple[str, Any]]:
        number = 0
        while line := self._seen(readline(LONGEST_RECORD + 1)):
            number += 1
            if len(line) > LONGEST_RECORD:
                raise self._wrong(f":{number}", f"is longer than {LONGEST_RECORD:,} bytes")
            if not line.strip():
                continue
            try:
                # `decode` wants the whole line to be one value; leading space is not its business.
                value = _DECODER.decode(line.decode().strip(_SPACE))
            except (ValueError, RecursionError) as error:
                self.skip(f":{number} ", _json_error(error))
                continue
            yield f":{number}", value

    def _elements(self, read: Callable[[int], bytes]) -> Iterator[tuple[str, Any]]:
        """The elements of an array of any length and layout, a chunk of the file in memory at a time."""
        decode = codecs.getincrementaldecoder("utf-8")().decode
        buffer, position, index, ended = "", 0, -1, False

        def more() -> bool:
            """Reads on, and forgets what lies before `position`."""
            nonlocal buffer, position, ended
            data = self._seen(read(CHUNK))
            ended = ended or not data
            buffer, position = buffer[position:] + decode(data, ended), 0
            return not ended

        def mark() -> str:
            """The next character that is no space; "" at the end."""
            nonlocal position
            while True:
                while position < len(buffer) and buffer[position] in _SPACE:
                    position += 1
                if position < len(buffer):
                    return buffer[position]
                if not more():
                    return ""

        try:
            mark()
            position += 1  # the bracket
            if mark() == "]":
                return
            while True:
                index += 1
                mark()
                while True:
                    try:
                        value, position = _DECODER.raw_decode(buffer, position)
                        break
                    except json.JSONDecodeError:
                        if len(buffer) - position > LONGEST_RECORD or not more():
                            raise
                yield f"[{index}]", value
                separator = mark()
                position += 1
                if separator not in ("]", ","):
                    raise json.JSONDecodeError("Expecting ',' delimiter", "", 0)
                if separator == "]":
                    break
            if mark():
                raise json.JSONDecodeError("Extra data", "", 0)
        except (ValueError, RecursionError) as error:
            raise self._wrong(f"[{max(index, 0)}]", _json_error(error)) from None

    def _wrong(self, place: str, what: str) -> UserError:
        return UserError(f"{self.path}{place} {what}")

    def entry(self) -> dict[str, Any]:
        """What the manifest says of the file, once it is read."""
        return {
            "file": self.path.name,
            "bytes": self.size,
            "sha256": self.digest.hexdigest(),
            "episodes": self.episodes,
        } | ({"skipped": self.skipped, "first_skipped": self.first_skipped} if self.skipped else {})


def left_out(source: Mapping[str, Any]) -> str:
    """What was left out of the file of this `SourceFile.entry`, in one sentence."""
    return (
        f"{source['file']}: {source['skipped']:,} of {source['skipped'] + source['episodes']:,} records could not be "
        f"read and were left out; the first is {source['file']}{source['first_skipped']}"
    )
