"""The boundary for files that strangers published. They are checked here and nowhere else; what passes is trusted."""

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lmrl_data.errors import UserError
from lmrl_data.hub import check_repo_id, repo_url
from lmrl_data.task import Task
from lmrl_eval.leaderboard.entry import Entry
from lmrl_eval.results import ACTIONS, EPISODES, SCORE, TIMING, Results, read_results
from lmrl_eval.score import Score

PINNED = (SCORE, EPISODES, ACTIONS)  # the digest covers these; the timing differs from run to run
EPISODES_PATH = re.compile(r"[a-z0-9_]{1,80}/[0-9a-f]{16}")
Benchmarks = Mapping[tuple[str, str], tuple[Task, str]]  # (dataset, benchmark id) to (task, config)


@contextmanager
def checked(problem: str) -> Iterator[None]:
    """Raises `ValueError(problem)` for whatever happens inside: a parser of strangers' bytes can fail in any way."""
    try:
        yield
    except Exception:
        raise ValueError(problem) from None


def parse_yaml(content: bytes) -> Any:
    """The value of a YAML text.

    Raises:
        ValueError: if it is none.
    """
    import yaml

    with checked("it is no YAML"):
        return yaml.safe_load(content)


def parse_card(content: bytes) -> tuple[dict[str, Any], str]:
    """The head of a card and the text below it.

    Raises:
        ValueError: if it has no head.
    """
    match = re.match(r"---\r?\n(.*?\n)---\r?\n", content.decode("utf-8", errors="replace"), re.S)
    head = parse_yaml(match[1].encode()) if match else None
    if match is None or not isinstance(head, dict):
        raise ValueError("it has no head")
    return head, match.string[match.end() :]


# --- entries: the scores that a model's repository states


def parse_entries(content: bytes, model: str, known: Benchmarks) -> tuple[list[Entry], int]:
    """The entries of a file of `.eval_results` on known benchmarks, not yet verified, and how many are damaged.

    Raises:
        ValueError: if it is no list of results.
    """
    rows = parse_yaml(content)
    if not isinstance(rows, list):
        raise ValueError("it is no list of results")
    entries, damaged = [], 0
    for row in rows:
        try:
            with checked("the entry is damaged"):
                # The client logs the text of an error: such rows do not reach it.
                if {"error", "data"} & row.keys():
                    raise ValueError
                name = row["dataset"].get("id"), row["dataset"].get("task_id")
                if all(isinstance(part, str) for part in name) and name in known:
                    entries.append(_entry(row, model, *known[name]))
        except ValueError:
            damaged += 1
    return entries, damaged


def _entry(row: dict[str, Any], model: str, task: Task, config: str) -> Entry:
    from huggingface_hub import parse_eval_result_entries

    (stated,) = parse_eval_result_entries([row])
    value = stated.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("the value is no number")
    url = stated.source_url if isinstance(stated.source_url, str) else None
    # YAML reads a day as a date or a text. As text, any other value may grow from a few bytes to gigabytes.
    day = re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", str(stated.date) if isinstance(stated.date, str | date) else "")
    return Entry(model, stated_score(task, config, float(value)), date=day and day[0], episodes_url=url)


def stated_score(task: Task, config: str, value: float) -> Score:
    """The score of an entry whose episodes nobody has read: its normalized return, over 0 episodes."""
    scale = task.config(config).reference
    low, high = (scale.minimum, scale.dataset_mean) if value < 50 else (scale.dataset_mean, scale.maximum)
    mean = low + (high - low) * (value - (0 if value < 50 else 50)) / 50
    return Score(
        task=task.id, task_version=task.version, config=config, policy="not published", n_episodes=0,
        mean_return=mean, interval=(mean, mean), confidence_level=0.95, normalized=value,
        normalized_interval=(value, value), normalized_to_optimum=scale.normalize(mean, to_optimum=True),
        success_rate=0.0, mean_turns=0.0, invalid_rate=0.0, seed=0, n_resamples=0,
    )  # fmt: skip


# --- episodes: the folder that an entry links to


def episodes_place(url: str | None, benchmark_id: str) -> tuple[str, str] | None:
    """The dataset and the folder of a link that `lmrl-eval push` wrote; `None` for any other link."""
    home = re.escape(repo_url("", "dataset"))
    match = re.fullmatch(rf"{home}([\w.-]+/[\w.-]+)/tree/main/({benchmark_id}/[0-9a-f]{{16}})", url or "", re.ASCII)
    return (match[1], match[2]) if match and is_repo_id(match[1]) else None


def is_repo_id(name: object) -> bool:
    """Whether the Hub could have a repository of this name."""
    try:
        return isinstance(name, str) and bool(check_repo_id(name))
    except UserError:
        return False


def digest(files: Mapping[str, bytes]) -> str:
    """The name of the folder that holds these files: 16 hexadecimal digits of a SHA-256 over the `PINNED` ones."""
    sha256 = hashlib.sha256()
    for name in PINNED:
        sha256.update(f"{name} {len(files[name])}\n".encode() + files[name])
    return sha256.hexdigest()[:16]


def parse_results(files: Mapping[str, bytes], name: str, task: Task, config: str) -> Results:
    """The results in a published folder.

    Args:
        files (`Mapping[str, bytes]`): the `PINNED` files.
        name (`str`): the folder, with the digest of the files as its last part.
        task (`Task`), config (`str`): what the episodes have to be of.

    Raises:
        UserError: if the files are damaged, do not match the digest, or are of another task or config.
    """
    if digest(files) != name.rpartition("/")[2]:
        raise UserError("the files are not those that the folder is named by")
    with TemporaryDirectory() as folder:
        for path, content in (files | {TIMING: b"{}"}).items():
            Path(folder, path).write_bytes(content)
        try:
            results = read_results(folder)
        except UserError as error:
            raise UserError(str(error).replace(f"{folder}/", "").replace(folder, name)) from None
    if (results.score.task, results.score.config) != (task.id, config):
        raise UserError(f"the score is not of {task.id} {config}")
    return results
