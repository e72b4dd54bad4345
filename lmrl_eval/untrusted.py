"""The boundary for what strangers publish on the Hub: files are checked here, and what passes is trusted.

What a push publishes and others look for has its names here, too.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from lmrl_data.errors import UserError
from lmrl_data.hub import check_repo_id, repo_url
from lmrl_data.task import Task
from lmrl_eval.results import ACTIONS, EPISODES, SCORE, TIMING, Results, read_results

TAG = "lmrl-gym"  # the tag of models with our scores
PINNED = (SCORE, EPISODES, ACTIONS)  # the digest covers these; the timing differs from run to run
EPISODES_PATH = re.compile(r"[a-z0-9_]{1,80}/[0-9a-f]{16}")


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
        for path, content in {**files, TIMING: b"{}"}.items():
            Path(folder, path).write_bytes(content)
        try:
            results = read_results(folder)
        except UserError as error:
            raise UserError(str(error).replace(f"{folder}/", "").replace(folder, name)) from None
    if (results.score.task, results.score.config) != (task.id, config):
        raise UserError(f"the score is not of {task.id} {config}")
    return results
