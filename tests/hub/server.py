"""A Hugging Face Hub on this machine, for tests: real HTTP, real git repositories, users, and faults on demand."""

import os
import secrets
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple

from starlette.datastructures import Headers

from hub import about, discussions, downloads, storage, uploads
from hub.faults import Fault
from hub.repository import Repository
from hub.storage import Storage
from hub.web import Application, Listener, RefusedError, Request

__all__ = ["Fault", "Hub", "PullRequest", "Request", "User"]

ROUTES = about.ROUTES | uploads.ROUTES | storage.ROUTES | downloads.ROUTES | discussions.ROUTES


@dataclass(frozen=True)
class User:
    """Who a token belongs to; writes to the own namespace and those of the organizations."""

    name: str
    orgs: tuple[str, ...]
    role: str

    @property
    def namespaces(self) -> tuple[str, ...]:
        return (self.name, *self.orgs)


class PullRequest(NamedTuple):
    number: int
    title: str
    author: str
    status: str


class Hub:
    """Use as a context manager. The Hub answers at `url`, large files lie at `storage_url`, another origin."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.faults_lock = threading.Lock()
        self.log: list[Request] = []
        self.unlisted: list[str] = []
        self.crashes: list[str] = []
        self.faults: list[Fault] = []
        self.tokens: dict[str, User] = {}
        self.benchmarks: set[str] = set()
        self._repositories: dict[tuple[str, str], Repository] = {}
        self._listeners = (Listener(), Listener())
        self.url, self.storage_url = (listener.url for listener in self._listeners)
        self.storage = Storage(folder / "storage", self.storage_url)

    def __enter__(self) -> "Hub":
        hub, stored = self._listeners
        hub.start(Application(self, "hub", ROUTES))
        stored.start(Application(self, "storage", storage.STORAGE_ROUTES))
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for listener in self._listeners:
            listener.stop()
        for repository in self.repositories():
            repository.git.close()

    # For tests

    def user(self, name: str, orgs: Sequence[str] = (), role: Literal["write", "read"] = "write") -> str:
        """Makes a user, or another token for one, and returns the token."""
        token = f"hf_{secrets.token_hex(17)}"
        self.tokens[token] = User(name, tuple(orgs), role)
        return token

    def files(self, kind: str, name: str, revision: str = "main") -> dict[str, bytes]:
        """Path -> content, also of the large files."""
        with self.lock:
            repository = self.get(kind, name)
            blobs = repository.blobs(repository.resolve(revision))
            entries = [repository.entry(path, blob) for path, blob in blobs.items()]
            return {
                entry.path: self.storage.read(repository, entry.sha256) if entry.sha256 else repository.read(entry.oid)
                for entry in entries
            }

    def commits(self, kind: str, name: str, revision: str = "main") -> list[str]:
        """The titles, newest first."""
        with self.lock:
            repository = self.get(kind, name)
            return [repository.describe(sha)["title"] for sha in repository.history(repository.resolve(revision))]

    def pull_requests(self, kind: str, name: str) -> list[PullRequest]:
        found = self.get(kind, name).discussions
        return [PullRequest(d.number, d.title, d.author, d.status) for d in found if d.base is not None]

    def merge(self, kind: str, name: str, number: int) -> None:
        """Merges a pull request as the owner does on its page. Raises `ValueError` on a conflict."""
        with self.lock:
            repository = self.get(kind, name)
            repository.merge(repository.discussions[number - 1], repository.namespace)

    def allow_leaderboard(self, name: str) -> None:
        """Makes a dataset one of the benchmarks for which the Hub shows a leaderboard."""
        self.benchmarks.add(name)

    def environment(self, token: str = "") -> dict[str, str]:
        """What a subprocess needs to use this Hub with nothing in its cache."""
        home = self.folder / "homes" / secrets.token_hex(4)
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))},
            "HF_ENDPOINT": self.url, "HF_TOKEN": token, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "HF_UPDATE_DOWNLOAD_COUNTS": "0", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }  # fmt: skip

    # For the routes

    def authenticate(self, headers: Headers) -> User | None:
        given = headers.get("authorization", "")
        if not given:
            return None
        user = self.tokens.get(given.removeprefix("Bearer "))
        if user is None:
            raise RefusedError(401, "Invalid credentials in Authorization header")
        return user

    def repositories(self) -> list[Repository]:
        return list(self._repositories.values())

    def find(self, kind: str, name: str) -> Repository | None:
        return self._repositories.get((kind, name))

    def get(self, kind: str, name: str) -> Repository:
        return self._repositories[kind, name]

    def create(self, kind: str, name: str, owner: str, private: bool, sdk: str | None = None) -> Repository:
        path = self.folder / "git" / f"{kind}s" / f"{name}.git"
        made = Repository(path, kind, name, owner, private, sdk)
        self._repositories[kind, name] = made
        return made

    def delete(self, kind: str, name: str) -> None:
        repository = self._repositories.pop((kind, name))
        repository.git.close()
        shutil.rmtree(repository.path)

    def page(self, repository: Repository) -> str:
        """The address of a repository's page."""
        prefix = "" if repository.kind == "model" else f"{repository.kind}s/"
        return f"{self.url}/{prefix}{repository.name}"
