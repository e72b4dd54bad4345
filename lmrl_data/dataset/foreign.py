"""The boundary for datasets of strangers: the one place that loads them, and what a dataset may make us read.

A card can name any address or file as the data of its dataset, and a column of pictures can name them row by row.
Only files of the dataset itself are read, and only columns of texts and numbers.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from lmrl_data.errors import UserError
from lmrl_data.parsing import HEAD, LARGEST_TEXT, parse_card, parse_yaml
from lmrl_data.text import one_line

# `datasets` reads `a::b` as the file a inside the archive b, and `scheme://` as an address.
ADDRESS = re.compile(r":|\\|^[/~]")


def load_dataset(path: str, *args: Any, **kwargs: Any) -> Any:
    """What `datasets.load_dataset` gives for the same arguments, from the dataset's own files only.

    Raises:
        UserError: if the card names files elsewhere, or a column could.
    """
    import datasets

    return own_files_only(datasets.load_dataset)(path, *args, **kwargs)


def own_files_only(load: Callable[..., Any]) -> Callable[..., Any]:
    """`datasets.load_dataset` with the checks of this module; `trl sft` gets it in place of the original."""

    def checked_load(path: str, *args: Any, **kwargs: Any) -> Any:
        with cards_checked(path):
            loaded = load(path, *args, **kwargs)
        for part in loaded.values() if isinstance(loaded, Mapping) else [loaded]:
            check_columns(path, part.features or {})
        return loaded

    return checked_load


@contextmanager
def cards_checked(name: str) -> Iterator[None]:
    """Lets `datasets` read no card whose data lie elsewhere, or whose head is a bomb.

    The checks are where `datasets` itself reads a card: so they see each card that is used, in the version that is
    used, and what a `.huggingface.yaml` adds.
    """
    import datasets.load

    class Card(datasets.load.DatasetCard):
        @classmethod
        def load(cls, path: Any, *args: Any, **kwargs: Any) -> Any:
            with refused(name):
                if Path(path).stat().st_size > LARGEST_TEXT:
                    raise ValueError(f"it has more than {LARGEST_TEXT >> 20} MB")
                content = Path(path).read_bytes()
                if HEAD.match(content.decode("utf-8", errors="replace")):
                    parse_card(content)
            return super().load(path, *args, **kwargs)

    class Yaml:
        @staticmethod
        def safe_load(content: str) -> Any:
            with refused(name):
                return parse_yaml(content)

    class Configs(datasets.load.MetadataConfigs):
        @classmethod
        def from_dataset_card_data(cls, dataset_card_data: Any) -> Any:
            configs = super().from_dataset_card_data(dataset_card_data)
            for settings in configs.values():
                for place in places([settings.get("data_files"), settings.get("data_dir")]):
                    check_place(name, place)
            return configs

    checks = {"DatasetCard": Card, "yaml": Yaml, "MetadataConfigs": Configs}
    originals = {attribute: getattr(datasets.load, attribute) for attribute in checks}
    try:
        for attribute, check in checks.items():
            setattr(datasets.load, attribute, check)
        yield
    finally:
        for attribute, original in originals.items():
            setattr(datasets.load, attribute, original)


@contextmanager
def refused(name: str) -> Iterator[None]:
    """Turns a card that cannot be read within the limits into one line."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{one_line(name)} is refused: the head of its card cannot be read ({error})") from None


def places(value: Any) -> Iterator[str]:
    """The paths in a setting of a card, which is a text, a list, or a list of splits with their paths.

    Examples:
        >>> list(places(["a", {"split": "test", "path": ["b", "c"]}]))
        ['a', 'b', 'c']
    """
    if isinstance(value, list | tuple):
        for part in value:
            yield from places(part)
    elif isinstance(value, Mapping):
        yield from places([part for name, part in value.items() if name != "split"])
    elif value is not None:
        yield str(value)


def check_place(name: str, place: str) -> None:
    """Refuses a path that is not relative to the dataset and inside it.

    Raises:
        UserError: for any other one.
    """
    if ADDRESS.search(place) or ".." in PurePosixPath(place).parts:
        raise UserError(
            f"{one_line(name)} is refused: its card reads {one_line(place)!r}, which is not a file of the dataset"
        )


def check_columns(name: str, features: Any) -> None:
    """Refuses columns whose cells name files or addresses to read, such as pictures and sounds.

    Raises:
        UserError: if there is one.
    """
    from datasets import ClassLabel, Features, Json, LargeList, List, Value

    if isinstance(features, Features | dict):
        parts = list(features.values())
    elif isinstance(features, List | LargeList):
        parts = [features.feature]
    elif isinstance(features, list | tuple):
        parts = list(features)
    elif isinstance(features, Value | Json | ClassLabel):
        return
    else:
        raise UserError(
            f"{one_line(name)} is refused: it has a column of type {type(features).__name__}, and datasets of texts "
            "and numbers are read only"
        )
    for part in parts:
        check_columns(name, part)
