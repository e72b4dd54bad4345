"""Datasets of strangers: no card and no column makes us read anything but the files of the dataset."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import pyarrow.parquet
import pytest
import yaml
from cases import check_cases

from lmrl_data import UserError, get_task
from lmrl_data.dataset.folder import check_dataset, load_episodes
from lmrl_data.dataset.foreign import load_dataset, own_files_only
from lmrl_data.rows import episode_table
from lmrl_data.task import EVALUATION_SEED

if TYPE_CHECKING:
    from hub.server import Hub

MAZE = get_task("maze")
NAME = "mallory/maze"


class Elsewhere:
    """An address that nobody may ask for anything."""

    def __init__(self) -> None:
        self.visits = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.visits += 1
                connection.close()


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    place = Elsewhere()
    yield place
    place.listener.close()


def loaders() -> dict[str, Callable[[str], Any]]:
    """Everything of ours that loads a dataset by its name."""
    from lmrl_eval.policies.prompt import load_examples

    return {
        "load_episodes": lambda name: load_episodes(name, "fully_observed"),
        "check_dataset": lambda name: check_dataset(name, MAZE, "fully_observed"),
        "--shots-dataset": lambda name: load_examples(MAZE, "fully_observed", name, 1, 0),
        "recipes": lambda name: load_dataset(name, "fully_observed", split="train"),
        "trl sft": own_files_only(datasets.load_dataset),
    }


def head(**config: Any) -> str:
    return f"---\n{yaml.safe_dump({'configs': [{'config_name': 'fully_observed', **config}]})}---\n"


def cards(url: str) -> list[tuple[dict[str, str], str]]:
    """The files of a card, and a part of what refuses it."""
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join(['*' + old] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    merged = "a: &a {k: 1}\n" + "".join(
        f"{new}: &{new}\n  <<: [{', '.join(['*' + old] * 10)}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    elsewhere = f"{url}/train.parquet"
    files = [
        elsewhere,
        [elsewhere],
        [{"split": "train", "path": elsewhere}],
        [{"split": "train", "path": ["train.parquet", elsewhere]}],
        [{"split": "train", "path": f"zip://*.parquet::{url}/a.zip"}],
        [{"split": "train", "path": f"_a_::{url}/a.zip"}],
        [{"split": "train", "path": f"https://me:word@{url.removeprefix('http://')}/a.parquet"}],
        [{"split": "train", "path": "file:///etc/hostname"}],
        [{"split": "train", "path": "/etc/hostname"}],
        [{"split": "train", "path": "../other/train.parquet"}],
        [{"split": "train", "path": "data/../../../other/train.parquet"}],
        [{"split": "train", "path": "~/train.parquet"}],
        [{"split": "train", "path": "hf://datasets/alice/private/train.parquet"}],
    ]
    return [
        *(({"README.md": head(data_files=value)}, "not a file of the dataset") for value in files),
        ({"README.md": head(data_dir=url)}, "not a file of the dataset"),
        ({"README.md": head(data_dir="/etc")}, "not a file of the dataset"),
        ({".huggingface.yaml": head(data_files=elsewhere).strip("-\n")}, "not a file of the dataset"),
        ({"README.md": f"---\n{bomb}configs: *i\n---\n"}, "too large or too deep"),
        ({"README.md": f"---\n{merged}configs: *i\n---\n"}, "too large or too deep"),
        ({"README.md": f"---\nconfigs: {'[' * 5000}{']' * 5000}\n---\n"}, "too large or too deep"),
        ({"README.md": "---\na: &a [*a]\n---\n"}, "it is no YAML"),
        ({"README.md": f"---\na: {'x' * (1 << 20)}\n---\n"}, "more than 1 MB"),
        ({".huggingface.yaml": f"{bomb}configs: *i\n"}, "too large or too deep"),
    ]  # fmt: skip


def test_no_card_leads_out_of_its_dataset(tmp_path: Path, elsewhere: Elsewhere) -> None:
    numbers = iter(range(1000))

    def check(files: dict[str, str], line: str) -> None:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
        (folder / "train.jsonl").write_text('{"a": 1}\n')
        for name, load in loaders().items():
            with pytest.raises(UserError) as caught:
                load(str(folder))
            assert line in str(caught.value), f"{name}: {caught.value}"
            assert len(str(caught.value)) < 400

    check_cases(cards(elsewhere.url), check)
    assert elsewhere.visits == 0


def test_no_card_of_the_hub_sends_a_request_elsewhere(
    hub: "Hub", elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    from published_score import become, commit

    api = become(hub, monkeypatch, "mallory")
    api.create_repo(NAME, repo_type="dataset")
    for path in (elsewhere.url + "/train.parquet", "../other@main/train.parquet"):
        card = head(data_files=[{"split": "train", "path": path}])
        commit(api, NAME, {"README.md": card.encode(), "train.jsonl": b'{"a": 1}\n'}, "dataset")
        hub.log.clear()
        for load in loaders().values():
            with pytest.raises(UserError, match="not a file of the dataset"):
                load(NAME)
        asked = {request.path for request in hub.log}
        assert all(NAME in path or path.startswith("/api/agent") for path in asked), asked
    assert elsewhere.visits == 0


def test_no_column_of_a_dataset_names_files_to_read(tmp_path: Path, elsewhere: Elsewhere) -> None:
    """`datasets` fetches the address in a cell of a picture's column when the row is read."""
    row = MAZE.generate(MAZE.simulator(config="fully_observed"), EVALUATION_SEED).to_row()
    cell = {"bytes": None, "path": f"{elsewhere.url}/a.png"}

    def check(column: Any, value: Any) -> None:
        folder = tmp_path / type(column).__name__
        folder.mkdir()
        table = datasets.Dataset.from_list([{**row, "info": json.dumps(row["info"]), "picture": value}])
        features = datasets.Features({**table.features, "picture": column})
        pyarrow.parquet.write_table(table.data.table.cast(features.arrow_schema), folder / "train.parquet")
        (folder / "README.md").write_text(head(data_files="train.parquet"))
        for load in loaders().values():
            with pytest.raises(UserError, match="texts and numbers are read only"):
                load(str(folder))

    check_cases(
        [(datasets.Image(), cell), (datasets.List(datasets.Image()), [cell]), ({"a": datasets.Image()}, {"a": cell})],
        check,
    )
    assert elsewhere.visits == 0


def test_a_dataset_of_ones_own_is_read(tmp_path: Path) -> None:
    player = MAZE.simulator(config="fully_observed")
    episodes = [MAZE.generate(player, seed) for seed in range(4)]
    pyarrow.parquet.write_table(episode_table(episodes), tmp_path / "train.parquet")
    (tmp_path / "README.md").write_text(head(data_files=[{"split": "train", "path": "*.parquet"}]))
    assert load_episodes(tmp_path, "fully_observed") == episodes


def test_every_loader_goes_through_the_boundary() -> None:
    root = Path(__file__).parents[3]
    files = [path for folder in ("lmrl_data", "lmrl_eval", "recipes") for path in (root / folder).rglob("*.py")]
    loading = re.compile(
        r"datasets\.load_dataset|from datasets[\w.]* import [^\n]*\bload_dataset|load_dataset_builder"
    )
    places = {path.relative_to(root).as_posix() for path in files if loading.search(path.read_text("utf-8"))}
    assert places == {"lmrl_data/dataset/foreign.py", "recipes/training/guarded.py"}
