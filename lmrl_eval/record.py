"""The record: a frozen dataclass that is stored as JSON and checks the type of every field when it is made."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self

# `strict` of the same module checks assignments, and a frozen dataclass makes none that it could see.
from huggingface_hub.dataclasses import type_validator


@dataclass(frozen=True)
class Record:
    """A dataclass that is stored as JSON.

    Raises:
        ValueError: if a field has the wrong type, a number is not finite, or `check` fails.
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            try:
                type_validator(field.name, value, field.type)
            except TypeError:
                kind = field.type.__name__ if isinstance(field.type, type) else str(field.type).replace("typing.", "")
                raise ValueError(f"{field.name} must be {kind}, got {repr(value)[:80]}") from None
            for number in value if isinstance(value, tuple) else [value]:
                if isinstance(number, int | float) and not abs(number) <= sys.float_info.max:
                    raise ValueError(f"{field.name} must be a finite number, got {number}")
        self.check()

    def check(self) -> None:
        """Raises a `ValueError` for what the types do not exclude."""

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, as the JSON has them."""
        return asdict(self)

    def to_json(self) -> str:
        """The record as JSON text; `from_json` is the inverse."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The record with these fields."""
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads JSON text that anyone may have written.

        Raises:
            ValueError: if the text holds no such record.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("it is not a JSON object")
        try:
            return cls.from_dict(values)
        except TypeError as error:  # a field is missing or unknown
            raise ValueError(str(error).replace(".__init__()", "")) from None


def installed_versions(
    libraries: Iterable[str] = ("lmrl", "numpy", "torch", "transformers", "peft"),
) -> dict[str, str]:
    """The versions of those libraries that are installed; by default of all that a score can depend on."""
    versions = {}
    for name in libraries:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
