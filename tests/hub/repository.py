"""A repository of the test Hub: a bare git repository on disk, its owner, who may see it, and its discussions."""

import itertools
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from dulwich.index import commit_tree
from dulwich.object_store import iter_tree_contents
from dulwich.objects import Blob, Commit, Tag, Tree
from dulwich.repo import Repo

POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (\d+)\n")
# What the Hub writes into a new repository; the second row only into datasets.
LARGE_FILES = re.findall(
    r"\S+",
    "7z arrow bin bz2 ckpt ftz gz h5 joblib mlmodel model msgpack npy npz onnx ot parquet pb pickle pkl pt pth rar "
    "safetensors tar tflite tgz wasm xz zip zst",
)
LARGE_FILES_OF_DATASETS = re.findall(
    r"\S+", "lz4 mds pcm sam raw aac flac mp3 ogg wav bmp gif png tiff jpg jpeg webp mp4 webm"
)


class MissingError(Exception):
    """A revision or a file that is not there; `code` is what the Hub says in X-Error-Code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Entry(NamedTuple):
    """One file of a commit: `size` and `etag` are those of the content, also where git holds only a pointer to it."""

    path: str
    oid: str
    size: int
    sha256: str | None = None
    pointer_size: int = 0

    @property
    def etag(self) -> str:
        return self.sha256 or self.oid


@dataclass
class Discussion:
    """A discussion or pull request; what was said and done in it is `events`, in the Hub's own words."""

    number: int
    title: str
    author: str
    status: str
    base: str | None  # the commit of main from which a pull request started; None for a discussion
    created: float = field(default_factory=time.time)
    events: list[dict[str, Any]] = field(default_factory=list)
    merge_commit: str | None = None

    @property
    def ref(self) -> str:
        return f"refs/pr/{self.number}"


def timestamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def pointer(sha256: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def front_matter(text: str) -> dict[str, Any]:
    """The metadata of a card. Raises `yaml.YAMLError`."""
    match = re.match(r"\s*---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", text, re.DOTALL | re.MULTILINE)
    data = yaml.safe_load(match[1]) if match else None
    if data is not None and not isinstance(data, dict):
        raise yaml.YAMLError("the metadata of a card is a mapping")
    return data or {}


class Repository:
    """One model, dataset or Space. Its history has one line: every commit, merges too, has one parent."""

    numbers = itertools.count(1)

    def __init__(self, path: Path, kind: str, name: str, owner: str, private: bool, sdk: str | None = None) -> None:
        self.path, self.kind, self.name, self.private, self.sdk = path, kind, name, private, sdk
        self.key = f"{next(self.numbers):024x}"  # stays when the repository is renamed
        self.created = time.time()
        self.discussions: list[Discussion] = []
        path.mkdir(parents=True)
        self.git: Any = Repo.init_bare(path, default_branch=b"main")
        patterns = LARGE_FILES + (LARGE_FILES_OF_DATASETS if kind == "dataset" else [])
        lines = [f"*.{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in patterns]
        lines += [f"{name} filter=lfs diff=lfs merge=lfs -text\n" for name in ("saved_model/**/*", "*tfevents*")]
        self.commit("refs/heads/main", {".gitattributes": "".join(lines).encode()}, "initial commit", owner)

    @property
    def namespace(self) -> str:
        return self.name.partition("/")[0]

    # Reading

    def resolve(self, revision: str) -> str:
        """The commit that a branch, tag, pull request or (part of) a commit's name stands for."""
        for ref in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            if ref.startswith("refs/") and ref.encode() in self.git.refs:
                target = self.git[self.git.refs[ref.encode()]]
                return (target.object[1] if isinstance(target, Tag) else target.id).decode()
        if re.fullmatch("[0-9a-f]{7,40}", revision):
            for head in {self.resolve(ref) for ref in self.refs()}:
                for sha in self.history(head):
                    if sha.startswith(revision):
                        return sha
        raise MissingError("RevisionNotFound", f"Invalid rev id: {revision}")

    def refs(self) -> list[str]:
        return sorted(ref.decode() for ref in self.git.refs.allkeys() if ref != b"HEAD")

    def history(self, sha: str) -> Iterator[str]:
        """A commit and all before it, newest first."""
        yield sha
        while parents := self.git[sha.encode()].parents:
            sha = parents[0].decode()
            yield sha

    def blobs(self, commit: str) -> dict[str, str]:
        """Path -> blob of every file."""
        entries = iter_tree_contents(self.git.object_store, self.git[commit.encode()].tree)
        return {entry.path.decode(): entry.sha.decode() for entry in entries}

    def entry(self, path: str, blob: str) -> Entry:
        data = self.git[blob.encode()].data
        match = POINTER.fullmatch(data)
        if match:
            return Entry(path, blob, int(match[2]), match[1].decode(), len(data))
        return Entry(path, blob, len(data))

    def file(self, commit: str, path: str) -> Entry:
        blob = self.blobs(commit).get(path)
        if blob is None:
            raise MissingError("EntryNotFound", f"Entry not found: {path}")
        return self.entry(path, blob)

    def listing(self, commit: str, folder: str, recursive: bool) -> Iterator[Entry | tuple[str, str]]:
        """The files of a folder, and its folders as path and oid."""
        oid = self.git[commit.encode()].tree
        for name in filter(None, folder.split("/")):
            tree = self.git[oid]
            if not isinstance(tree, Tree) or name.encode() not in tree:
                raise MissingError("EntryNotFound", f"{folder} does not exist")
            oid = tree[name.encode()][1]
        if not isinstance(self.git[oid], Tree):
            raise MissingError("EntryNotFound", f"{folder} is not a folder")
        for item in self.git[oid].iteritems():
            path = f"{folder}/{item.path.decode()}".strip("/")
            if isinstance(self.git[item.sha], Tree):
                yield path, item.sha.decode()
                if recursive:
                    yield from self.listing(commit, path, recursive)
            else:
                yield self.entry(path, item.sha.decode())

    def read(self, blob: str) -> bytes:
        """The content of a blob as git has it: for a large file the pointer."""
        return self.git[blob.encode()].data

    def text(self, commit: str, path: str) -> str:
        """A small file's text, "" if there is none."""
        blob = self.blobs(commit).get(path)
        return self.read(blob).decode("utf-8", "replace") if blob else ""

    def last_changes(self, commit: str) -> dict[str, str]:
        """Path -> the commit that changed it last."""
        found: dict[str, str] = {}
        before: dict[str, str] = {}
        for sha in reversed(list(self.history(commit))):
            now = self.blobs(sha)
            found |= {path: sha for path, blob in now.items() if before.get(path) != blob}
            before = now
        return found

    # Writing

    def commit(
        self,
        ref: str,
        change: dict[str, bytes | None] | Callable[[dict[str, str]], dict[str, str]],
        message: str,
        author: str,
    ) -> str:
        """Puts a commit on a ref: files with new content (None removes one), or a function from old to new blobs."""
        parent = self.git.refs[ref.encode()] if ref in self.refs() else None
        blobs = self.blobs(parent.decode()) if parent else {}
        if callable(change):
            blobs = change(blobs)
        else:
            for path, content in change.items():
                if content is None:
                    del blobs[path]
                else:
                    blobs[path] = self.add_blob(content)
        for path in blobs:
            folders = path.split("/")[:-1]
            if any("/".join(folders[: depth + 1]) in blobs for depth in range(len(folders))):
                raise ValueError(f"{path}: a file cannot also be a folder")
        commit = Commit()
        entries: Any = [(path.encode(), blob.encode(), 0o100644) for path, blob in blobs.items()]
        commit.tree = commit_tree(self.git.object_store, entries)
        commit.parents = [parent] if parent else []
        commit.author = commit.committer = f"{author} <{author}@users.noreply.localhost>".encode()
        commit.author_time = commit.commit_time = int(time.time())
        commit.author_timezone = commit.commit_timezone = 0
        commit.encoding = b"UTF-8"
        commit.message = message.encode()
        self.git.object_store.add_object(commit)
        if not self.git.refs.set_if_equals(ref.encode(), parent, commit.id):
            raise RuntimeError(f"{ref} moved during a commit")
        return commit.id.decode()

    def add_blob(self, content: bytes) -> str:
        blob = Blob.from_string(content)
        self.git.object_store.add_object(blob)
        return blob.id.decode()

    def describe(self, sha: str) -> dict[str, Any]:
        """A commit as the Hub's answers show it."""
        commit = self.git[sha.encode()]
        title, _, message = commit.message.decode().partition("\n\n")
        author = commit.author.decode().partition(" <")[0]
        date = timestamp(commit.commit_time)
        return {"id": sha, "title": title, "message": message, "authors": [{"user": author}], "date": date}

    # Pull requests

    def open(self, title: str, author: str, status: str, description: str, pull_request: bool) -> Discussion:
        base = self.resolve("main") if pull_request else None
        discussion = Discussion(len(self.discussions) + 1, title, author, status, base)
        if base:
            self.git.refs[discussion.ref.encode()] = base.encode()
        self.discussions.append(discussion)
        comment = {"edited": False, "hidden": False, "latest": {"raw": description, "html": "", "updatedAt": ""}}
        self.happen(discussion, author, "comment", {**comment, "history": []})
        return discussion

    def happen(self, discussion: Discussion, author: str, what: str, data: dict[str, Any]) -> dict[str, Any]:
        """Adds an event to a discussion."""
        now = timestamp(time.time())
        if "latest" in data:
            data["latest"]["updatedAt"] = now
        event: dict[str, Any] = {
            "id": f"{discussion.number:08x}{len(discussion.events):016x}",
            "type": what,
            "createdAt": now,
        }
        event |= {"author": {"name": author, "type": "user"}, "data": data}
        discussion.events.append(event)
        return event

    def conflicts(self, discussion: Discussion) -> list[str]:
        """The files that main and the pull request changed in different ways since it was opened."""
        assert discussion.base
        base, ours = self.blobs(discussion.base), self.blobs(self.resolve("main"))
        theirs = self.blobs(self.resolve(discussion.ref))
        return sorted(
            path
            for path in base.keys() | ours.keys() | theirs.keys()
            if len({blobs.get(path) for blobs in (base, ours, theirs)}) == 3
            or (path not in base and path in ours and path in theirs and ours[path] != theirs[path])
        )

    def merge(self, discussion: Discussion, user: str) -> str:
        """Puts what a pull request changed on main as one commit. Raises `ValueError` on a conflict."""
        if discussion.base is None or discussion.status not in ("open", "draft"):
            raise ValueError(f"discussion {discussion.number} is not an open pull request")
        if conflicts := self.conflicts(discussion):
            raise ValueError(f"conflicting files: {', '.join(conflicts)}")
        base, theirs = self.blobs(discussion.base), self.blobs(self.resolve(discussion.ref))
        removed = base.keys() - theirs.keys()
        changed = {path: blob for path, blob in theirs.items() if base.get(path) != blob}
        sha = self.commit(
            "refs/heads/main",
            lambda ours: {path: blob for path, blob in (ours | changed).items() if path not in removed},
            f"{discussion.title} (#{discussion.number})",
            user,
        )
        discussion.status, discussion.merge_commit = "merged", sha
        self.happen(discussion, user, "status-change", {"status": "merged"})
        return sha
