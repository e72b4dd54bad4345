"""Downloads a checkpoint from the Hub; nothing that a server says can name a file outside the client's cache."""

import re
import shutil
from collections.abc import Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from lmrl_data.deadline import within
from lmrl_data.errors import UserError
from lmrl_data.hub import READ_SECONDS, SLOWEST

if TYPE_CHECKING:
    import httpx2

CHECKPOINT_FILES = re.compile(
    r"((value_model|additional_chat_templates)/)?[\w-][\w.-]*\.(json|safetensors|jinja|model|txt)", re.ASCII
)
HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
REVISION = re.compile(r"[\w-][\w./-]{0,200}", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}")
# The client names a file in its cache by these headers and does not check them: an ETag `../../x` leads out of it.
NAMING = ("etag", "x-linked-etag", "x-repo-commit")
MAX_LISTED = 100_000  # entries of a listing
MAX_FILES = 2_000  # of a checkpoint
MAX_TEXT_FILE = 1 << 28  # bytes of a file that holds no weights
NAME = re.compile(r'(W/)?"?[\w-][\w.-]*"?', re.ASCII)


def checkpoint_folder(spec: str, revision: str | None = None) -> Path:
    """The folder of a checkpoint, downloaded from the Hub if `spec` is a model id and no folder here.

    Args:
        spec (`str`): a folder or a model id.
        revision (`str`, *optional*): a branch, a tag or a commit of the model on the Hub; `main` by default.

    Raises:
        UserError: if there is no checkpoint there.
    """
    if not spec:
        raise UserError("an empty name is no checkpoint; give a checkpoint folder, or a model id of the Hub")
    folder = Path(spec).expanduser()
    if not folder.exists() and HUB_ID.fullmatch(spec):
        folder = download_checkpoint(spec, revision)
    if not folder.exists():
        raise UserError(f"{spec} does not exist; give a checkpoint folder, or a model id of the Hub")
    if not (folder / "config.json").is_file() and not (folder / "adapter_config.json").is_file():
        raise UserError(
            f"{spec} is no checkpoint: it has no config.json; give a folder that a recipe or save_pretrained wrote"
        )
    return folder


def check_revision(revision: str) -> str:
    """A name that git could give to a branch or a tag, or a commit; the client names a file of its cache by it.

    Raises:
        UserError: if it is none.
    """
    if not REVISION.fullmatch(revision) or ".." in revision:
        raise UserError(f"{revision[:80]!r} is no revision; give a branch, a tag or a commit")
    return revision


def download_checkpoint(repo_id: str, revision: str | None = None) -> Path:
    """The folder of a checkpoint in the client's cache, downloaded if it is not there. Offline, the cached files.

    Args:
        repo_id (`str`): the model.
        revision (`str`, *optional*): a branch, a tag or a commit; `main` by default.

    Raises:
        UserError: if there is no such model, the token may not read it, or the server sends impossible names.
    """
    import httpx2
    from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RevisionResolutionError,
    )
    from huggingface_hub.hf_api import RepoFile

    api = HfApi(endpoint=constants.ENDPOINT)
    _check_answers()
    try:
        name = revision and check_revision(revision)
        commit = within(READ_SECONDS, lambda: api.resolve_revision(repo_id, revision=name))
        if not COMMIT.fullmatch(commit.resolved):
            raise UserError(f"{repo_id}: the server names no commit ({commit.resolved[:80]!r}); nothing is loaded")
        try:
            entries = within(
                READ_SECONDS,
                lambda: list(islice(api.list_repo_tree(repo_id, revision=commit, recursive=True), MAX_LISTED)),
            )
        except (OfflineModeIsEnabled, httpx2.TransportError):
            return Path(snapshot_download(repo_id, revision=commit, local_files_only=True))
        sizes = {
            entry.path: entry.size
            for entry in entries
            if isinstance(entry, RepoFile) and CHECKPOINT_FILES.fullmatch(entry.path)
        }
        names = list(sizes)
        if not names:
            raise UserError(f"{repo_id} is no checkpoint: it has none of the files of one")
        check_sizes(repo_id, sizes, commit.resolved)
        # One by one: `snapshot_download` would note the whole listing, and offline miss the files that are not wanted.
        files = [
            within(
                READ_SECONDS + sizes[name] / SLOWEST,
                partial(hf_hub_download, repo_id, name, revision=commit, endpoint=constants.ENDPOINT),
            )
            for name in names
        ]
        return Path(files[0]).parents[names[0].count("/")]
    except TimeoutError as error:
        raise UserError(f"{repo_id}: the Hub does not answer: {error}") from None
    except (HfHubHTTPError, HFValidationError, RevisionResolutionError, httpx2.HTTPError, OSError) as error:
        why = ""
        if constants.HF_HUB_OFFLINE:
            why = "; HF_HUB_OFFLINE is set, so only what was downloaded before is known"
        elif isinstance(error, httpx2.TransportError) or isinstance(error.__cause__, httpx2.TransportError):
            why = "; the Hub cannot be reached now"
        raise UserError(f"{repo_id} is neither a folder here nor a model that the Hub lets you read{why}") from None


def check_sizes(repo_id: str, sizes: Mapping[str, int], commit: str) -> None:
    """Refuses a checkpoint of many files or large texts, or of more than fits on the disk.

    Raises:
        UserError: if it is one; the sizes are those of the listing, and the client checks that it gets no other ones.
    """
    from huggingface_hub import constants, try_to_load_from_cache

    if len(sizes) > MAX_FILES:
        raise UserError(f"{repo_id} is refused: it has {len(sizes):,} files, more than any checkpoint")
    for name, size in sizes.items():
        if not name.endswith(".safetensors") and size > MAX_TEXT_FILE:
            raise UserError(f"{repo_id} is refused: its {name} has {size / 1e6:,.0f} MB, which is too much to read")
    cache = Path(constants.HF_HUB_CACHE)
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    missing = [name for name in sizes if not isinstance(try_to_load_from_cache(repo_id, name, revision=commit), str)]
    total, free = sum(sizes[name] for name in missing), shutil.disk_usage(existing).free
    if total > free:
        raise UserError(
            f"{repo_id} has {total / 1e9:,.1f} GB to download, and {existing} has {free / 1e9:,.1f} GB left"
        )


def _check_answers() -> None:
    """Adds `_check_answer` to the client's session, which all downloads of this process share."""
    from huggingface_hub import get_session

    client = get_session()
    hooks = client.event_hooks
    if _check_answer not in hooks["response"]:
        client.event_hooks = {**hooks, "response": [*hooks["response"], _check_answer]}


def _check_answer(response: "httpx2.Response") -> None:
    if response.request.method != "HEAD":
        return
    for name in NAMING:
        value = response.headers.get(name)
        if value is not None and not NAME.fullmatch(value):
            raise UserError(f"the server sent an {name} that names no file ({value[:80]!r}); nothing is loaded")
