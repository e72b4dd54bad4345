"""The Hub: publishing a set of files as one repository, whatever breaks on the way, and reading a file back.

A push reads what the repository holds and sends what differs, again after a transient error. So a second push sends
nothing, an interrupted one goes on where it was, and a lost answer is found out instead of being sent again.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from lmrl_data.deadline import within
from lmrl_data.errors import UserError
from lmrl_data.text import one_line, without_secret

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.hf_api import RepoFile

RepoType = Literal["model", "dataset", "space"]
Files = Mapping[str, Path | bytes]  # by the path in the repository
Answer = TypeVar("Answer")
logger = logging.getLogger(__name__)

TRIES = 5  # attempts at the same thing before we give up
COMMIT_FILES = 200  # more than these go into several commits, the card in the last
LAST = ("manifest.json", "README.md")  # a repository without a card is not finished
SILENCE = 60.0  # seconds without a byte
READ_SECONDS = 600.0  # for everything that is read at a time, and for a commit without its bytes
SLOWEST = 50_000.0  # bytes a second of what is sent or downloaded; below that it is given up
MAX_BYTES = 1 << 30  # of a file that is read from someone's repository
MAX_FILES = 1_000_000  # of a repository
MAX_TEXT = 1 << 20  # of a card or a list of entries


@dataclass(frozen=True)
class Published:
    """What a push did.

    Args:
        repo_id (`str`), repo_type (`str`): where to.
        url (`str`): the page to look at: the repository's, or the pull request's.
        commit (`str`): the commit that now holds the files.
        sent (`int`), sent_bytes (`int`): files that went into new commits.
        kept (`int`): files that were there already.
        deleted (`int`): files of an older push that were removed.
        pull_request (`int`, *optional*): the number of the pull request that waits to be merged.
    """

    repo_id: str
    repo_type: RepoType
    url: str
    commit: str
    sent: int
    sent_bytes: int
    kept: int
    deleted: int
    pull_request: int | None = None

    def describe(self) -> str:
        """One line for whoever ran the command."""
        parts = []
        if self.sent:
            size = f"{self.sent_bytes / 1e6:.1f} MB" if self.sent_bytes >= 100_000 else f"{self.sent_bytes:,} bytes"
            parts.append(f"sent {_files(self.sent)} ({size})")
        if self.deleted:
            parts.append(f"removed {_files(self.deleted)}")
        if self.kept:
            parts.append(
                f"{_files(self.kept)} there already" if parts else f"nothing to do, {_files(self.kept)} there"
            )
        waits = "; the pull request waits to be merged" if self.pull_request is not None else ""
        return f"{self.url}: {', '.join(parts)}{waits}"


def _files(number: int) -> str:
    return f"{number:,} file{'' if number == 1 else 's'}"


# --- names and errors


def check_repo_id(repo_id: str) -> str:
    """The id, if it is a namespace and a name that the Hub would take.

    Raises:
        UserError: if not.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo_id)
        if repo_id.count("/") == 1:
            return repo_id
    except HFValidationError:
        pass
    raise UserError(
        f"a repo id is NAMESPACE/NAME, letters, digits, '-', '_' and '.', e.g. lmrl/maze, and not {repo_id[:100]!r}"
    )


def repo_url(repo_id: str, repo_type: RepoType) -> str:
    """The repository's page."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{'' if repo_type == 'model' else f'{repo_type}s/'}{repo_id}"


def connect(*, write: bool = True) -> "HfApi":
    """The Hub's client, with the token from the usual places (`hf auth login`, `HF_TOKEN`).

    Raises:
        UserError: if `HF_HUB_OFFLINE` is set, or there is no token to write with.
    """
    from huggingface_hub import HfApi, constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise UserError("HF_HUB_OFFLINE is set, so the Hub cannot be asked; unset it and try again")
    if write and not get_token():
        raise UserError("there is no token to publish with; run `hf auth login`, or set HF_TOKEN")
    return HfApi(endpoint=constants.ENDPOINT)


@contextmanager
def hub_errors(where: str) -> Iterator[None]:
    """Turns whatever the Hub or the way to it answers into one line about `where`."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except UserError:
        raise
    except errors.OfflineModeIsEnabled:
        raise UserError("HF_HUB_OFFLINE is set, so the Hub cannot be asked; unset it and try again") from None
    except errors.RevisionNotFoundError:
        raise UserError(f"{where} has no such revision") from None
    except errors.RemoteEntryNotFoundError as error:
        raise UserError(f"{where} has no such file{_server_message(error)}") from None
    except errors.RepositoryNotFoundError:
        raise UserError(f"{where} does not exist, or your token may not see it") from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        todo = {
            401: "the token is not valid; run `hf auth login`",
            403: "your token may not do this; it needs the right to write there (or use --create-pr)",
            409: "somebody else writes there; run the same command again",
            412: "somebody else writes there; run the same command again",
            429: "too many requests; wait some minutes and run the same command again",
        }.get(status, "run the same command again" if status >= 500 else "")
        raise UserError(f"{where}: the Hub answered {status}{_server_message(error)}; {todo}".rstrip("; ")) from None
    except TimeoutError as error:
        raise UserError(f"{where}: the Hub does not answer: {error}; run the same command again") from None
    except httpx2.HTTPError as error:
        raise UserError(
            f"{where}: the Hub cannot be reached ({_safe(str(error) or type(error).__name__)}); "
            "run the same command again"
        ) from None
    except (errors.HFValidationError, errors.EntryNotFoundError, ValueError) as error:
        # `ValueError` is also how the client says that a card's head was refused.
        raise UserError(f"{where}: {_safe(str(error))}") from None


def _server_message(error: Any) -> str:
    return f" ({_safe(error.server_message)})" if error.server_message else ""


def _safe(text: str) -> str:
    """A server's text on one line, without our token."""
    from huggingface_hub import get_token

    return one_line(without_secret(text, get_token()), 300)


def _passing(error: Exception) -> bool:
    """Whether the same request may work a moment later; 409 and 412 say that somebody else was faster."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in (408, 409, 412, 429) or error.response.status_code >= 500
    return isinstance(error, httpx2.TransportError)


def persistently(action: Callable[[], Answer], seconds: float | None = READ_SECONDS) -> Answer:
    """Calls `action`, retrying transient errors up to `TRIES` times. `action` must be idempotent.

    Args:
        action (`Callable`): what to do.
        seconds (`float`, *optional*, defaults to `600`): the longest that one try may take; `None` if `action` has its
            own deadlines.

    Raises:
        TimeoutError: if a try takes longer: a server that sends a byte now and then is not asked again.
    """
    for failures in range(TRIES):
        try:
            return action() if seconds is None else within(seconds, action)
        except Exception as error:
            if not _passing(error) or failures == TRIES - 1:
                raise
            logger.warning("the Hub does not answer as it should; trying again in %d s", 2**failures)
        time.sleep(2**failures)
    raise AssertionError("not reached")


# --- reading


def fetch(repo_id: str, repo_type: RepoType, path: str, revision: str = "main", limit: int = MAX_BYTES) -> bytes:
    """A file of a repository, into memory: nothing that a stranger's server says names a file here.

    Raises:
        UserError: if it is larger than `limit` bytes.
        TimeoutError: if it does not come within `READ_SECONDS`.
        HfHubHTTPError: if there is no such file, or whatever the Hub answers; see `hub_errors`.
    """
    return within(READ_SECONDS, lambda: _fetch(repo_id, repo_type, path, revision, limit))


def _fetch(repo_id: str, repo_type: RepoType, path: str, revision: str, limit: int) -> bytes:
    from huggingface_hub import constants, get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    url = hf_hub_url(check_repo_id(repo_id), path, repo_type=repo_type, revision=revision, endpoint=constants.ENDPOINT)
    content = bytearray()
    # The client takes the token off where it is led to another host.
    headers = build_hf_headers()
    with get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=SILENCE) as response:
        hf_raise_for_status(response)
        for block in response.iter_bytes():
            content += block
            if len(content) > limit:
                raise UserError(
                    f"{path} of {repo_id} is larger than {limit / 1e6:.0f} MB and than any file this package writes"
                )
    return bytes(content)


def present_text(repo_id: str, repo_type: RepoType, path: str) -> bytes | None:
    """A card or the like as it is on `main` now, or `None`; raises as `fetch` for all else."""
    from huggingface_hub.errors import RemoteEntryNotFoundError

    try:
        return fetch(repo_id, repo_type, path, limit=MAX_TEXT)
    except RemoteEntryNotFoundError:
        return None


def tree(api: "HfApi", repo_id: str, repo_type: RepoType, revision: str) -> "tuple[str, dict[str, RepoFile]]":
    """The commit that a revision names, and its files by path."""
    from huggingface_hub.hf_api import RepoFile

    def read() -> "tuple[str, dict[str, RepoFile]]":
        commit = api.repo_info(repo_id, repo_type=repo_type, revision=revision).sha
        assert commit is not None
        entries = api.list_repo_tree(repo_id, repo_type=repo_type, revision=commit, recursive=True)
        return commit, {entry.path: entry for entry in islice(entries, MAX_FILES) if isinstance(entry, RepoFile)}

    return within(READ_SECONDS, read)


# --- writing


def _differs(operation: "CommitOperationAdd", remote: "RepoFile | None") -> bool:
    """Whether the repository has other bytes: large files are known by SHA-256, small ones by git's object id."""
    # `create_commit` skips unchanged files itself, but does not say which, and warns where nothing is left to send.
    from huggingface_hub.utils.sha import git_hash

    if remote is None or remote.size != operation.upload_info.size:
        return True
    if remote.lfs:
        return remote.lfs.sha256 != operation.upload_info.sha256.hex()
    with operation.as_file() as file:
        return remote.blob_id != git_hash(file.read())


def publish(
    api: "HfApi",
    repo_id: str,
    repo_type: RepoType,
    files: Files | Callable[[], Files],
    *,
    message: str,
    private: bool = False,
    create_pr: bool = False,
    replaces: Sequence[str] = (),
    marker: str | None = None,
    checksums: Mapping[str, str] | None = None,
    guard: Callable[[], None] = lambda: None,
) -> Published:
    """Makes the repository hold these files; other files in it stay.

    One atomic commit, or several of `COMMIT_FILES` where there are more, the card in the last. Large files are sent
    before the commit and kept by the Hub under their checksum, so an interrupted push does not send them again.

    Args:
        api (`HfApi`): from `connect`.
        repo_id (`str`), repo_type (`str`): where to; made if need be, unless `create_pr`.
        files (`Mapping[str, Path | bytes]` or `Callable`): by their path there; what depends on the repository's own
            files is a function that reads them, called again each time.
        message (`str`): title of the commit, or of the pull request; an open one of ours with this title is gone on
            with.
        private (`bool`, *optional*, defaults to `False`): of a repository that is made.
        create_pr (`bool`, *optional*, defaults to `False`): as a pull request, for a repository that is not ours.
        replaces (`Sequence[str]`, *optional*): patterns of paths that are removed if they are not among `files`.
        marker (`str`, *optional*): a path by which a repository of ours is known: one that lacks it and holds other
            files is somebody's own, and left as it is.
        checksums (`Mapping[str, str]`, *optional*): the SHA-256, in hexadecimal, that files of these paths must have.
        guard (`Callable`, *optional*): called before anything is sent, each time; raises if it must not be.

    Raises:
        UserError: if a file has another checksum, the Hub refuses, cannot be reached in `TRIES` attempts at the same
            thing, or does not hold afterwards what it was sent.
    """
    make = files if callable(files) else lambda: files
    push = _Push(
        api,
        check_repo_id(repo_id),
        repo_type,
        make,
        message,
        private,
        create_pr,
        tuple(replaces),
        marker,
        checksums or {},
        guard,
    )
    with hub_errors(repo_id):
        persistently(push.attempt, seconds=None)
        if push.sent:
            persistently(push.check)
    return push.published()


@dataclass
class _Push:
    """A push on its way; the arguments are those of `publish`."""

    api: "HfApi"
    repo_id: str
    repo_type: RepoType
    make: Callable[[], Files]
    message: str
    private: bool
    create_pr: bool
    replaces: tuple[str, ...]
    marker: str | None
    checksums: Mapping[str, str]
    guard: Callable[[], None]
    number: int | None = None  # of the pull request
    commit: str = ""
    n_files: int = 0
    sent: "dict[str, CommitOperationAdd]" = field(default_factory=dict)  # by path
    deleted: set[str] = field(default_factory=set)

    def attempt(self) -> None:
        """Looks at the repository, and sends what differs."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        there = self._look()
        # After the look: a commit that comes after both fails, because its parent is not what was looked at.
        self.guard()
        files = self.make()
        self.n_files = len(files)
        stale = [
            path
            for path in there
            if path not in files and any(fnmatchcase(path, pattern) for pattern in self.replaces)
        ]
        strangers = sorted(there.keys() - files.keys() - {*stale, ".gitattributes"})
        if self.marker is not None and self.marker not in there and strangers:
            raise UserError(
                f"{self.repo_id} holds something else, e.g. {_safe(strangers[0])}; it is left as it is, so choose "
                "another repository"
            )
        added = (
            CommitOperationAdd(path, files[path]) for path in sorted(files, key=lambda path: (path in LAST, path))
        )
        changed = [
            operation
            for operation in map(self._whole, added)
            if _differs(operation, there.get(operation.path_in_repo))
        ]
        for start in range(0, max(len(changed), bool(stale)), COMMIT_FILES):
            part = changed[start : start + COMMIT_FILES]
            last = start + COMMIT_FILES >= len(changed)
            # A file that is no longer listed goes in the same commit as the list.
            self._commit([*part, *(CommitOperationDelete(path) for path in stale if last)])
            self.sent |= {operation.path_in_repo: operation for operation in part}
        self.deleted |= set(stale)

    def _whole(self, operation: "CommitOperationAdd") -> "CommitOperationAdd":
        """The operation, if its file has the checksum that it should have.

        Raises:
            UserError: if not: it is damaged, or was replaced since somebody looked.
        """
        path = operation.path_in_repo
        expected = self.checksums.get(path)
        if expected is not None and expected != operation.upload_info.sha256.hex():
            raise UserError(f"{path} is damaged, or was replaced while it was pushed to {self.repo_id}; push again")
        return operation

    def check(self) -> None:
        """Reads the last commit back.

        Raises:
            UserError: if a file in it is not the one that was sent.
        """
        _, there = tree(self.api, self.repo_id, self.repo_type, self.commit)
        for path, operation in self.sent.items():
            if _differs(operation, there.get(path)):
                raise UserError(f"{self.repo_id} does not hold what it was sent, e.g. {_safe(path)}; push again")

    def _look(self) -> "dict[str, RepoFile]":
        """The files of the repository, which is made, or of our open pull request."""
        from huggingface_hub.errors import RepositoryNotFoundError

        if self.create_pr and self.number is None:
            self.number = within(READ_SECONDS, self._open_pull_request)
        try:
            self.commit, there = tree(self.api, self.repo_id, self.repo_type, self._revision)
        except RepositoryNotFoundError:
            if self.create_pr:
                raise
            sdk = "static" if self.repo_type == "space" else None
            within(
                READ_SECONDS,
                lambda: self.api.create_repo(
                    self.repo_id, repo_type=self.repo_type, private=self.private, exist_ok=True, space_sdk=sdk
                ),
            )
            self.commit, there = tree(self.api, self.repo_id, self.repo_type, self._revision)
        return there

    @property
    def _revision(self) -> str:
        return "main" if self.number is None else f"refs/pr/{self.number}"

    def _commit(self, operations: "list[CommitOperationAdd | CommitOperationDelete]") -> None:
        from huggingface_hub import CommitOperationAdd

        opens = self.create_pr and self.number is None
        sent = [operation for operation in operations if isinstance(operation, CommitOperationAdd)]
        info = within(
            READ_SECONDS + sum(operation.upload_info.size for operation in sent) / SLOWEST,
            lambda: self.api.create_commit(
                self.repo_id,
                operations,
                commit_message=self.message,
                repo_type=self.repo_type,
                revision=self._revision,
                create_pr=opens,
                # What was compared is what is replaced; a pull request need not be on top of the newest.
                parent_commit=None if opens else self.commit,
            ),
        )
        self.commit = info.oid
        if opens:
            self.number = info.pr_num  # the list of pull requests may not have it yet

    def _open_pull_request(self) -> int | None:
        """Ours of this title, if there is one: the answer to the request that made it may have been lost."""
        discussions = self.api.get_repo_discussions(
            self.repo_id,
            repo_type=self.repo_type,
            author=self.api.whoami()["name"],
            discussion_type="pull_request",
            discussion_status="open",
        )
        return next((request.num for request in discussions if request.title == self.message), None)

    def published(self) -> Published:
        url = repo_url(self.repo_id, self.repo_type)
        return Published(
            self.repo_id,
            self.repo_type,
            url if self.number is None else f"{url}/discussions/{self.number}",
            self.commit,
            len(self.sent),
            sum(operation.upload_info.size for operation in self.sent.values()),
            self.n_files - len(self.sent),
            len(self.deleted),
            self.number,
        )
