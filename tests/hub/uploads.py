"""Writing to a repository: which files are large, and commits that come as lines of JSON."""

import base64
import codecs
import json
from fnmatch import fnmatch
from typing import Any

import yaml
from dulwich.ignore import IgnoreFilter
from starlette.responses import JSONResponse

from hub.repository import MissingError, Repository, front_matter, pointer
from hub.web import Call, Routes, refuse

LARGE = 10 * 1024 * 1024


def is_large(path: str, size: int, sample: bytes, attributes: str) -> bool:
    """Whether a file goes to the storage: .gitattributes names it, it is no text, or it is big."""
    for line in attributes.splitlines():
        pattern, *rest = line.split() or [""]
        if "filter=lfs" in rest and (fnmatch(path, pattern) or fnmatch(path.rpartition("/")[2], pattern)):
            return True
    try:  # A sample may end within a character.
        text = codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return True
    return "\0" in text or size > LARGE


def preupload(call: Call) -> dict[str, Any]:
    revision = call.parts["rev"]
    repository = call.writable(revision, "create_pr" in call.query)
    head = repository.resolve(revision)
    asked = call.json()
    if len(asked["files"]) > 256:
        refuse(400, "at most 256 files a call")
    attributes = repository.text(head, ".gitattributes")
    rules = asked.get("gitIgnore") or repository.text(head, ".gitignore")
    ignore = IgnoreFilter(line.encode() for line in rules.splitlines() if line.strip() and line[0] != "#")
    blobs = repository.blobs(head)
    files = []
    for file in asked["files"]:
        path = valid(file["path"])
        large = is_large(path, file["size"], base64.b64decode(file["sample"]), attributes)
        answer: dict[str, Any] = {"path": path, "uploadMode": "lfs" if large else "regular"}
        answer["shouldIgnore"] = bool(ignore.is_ignored(path))
        if path in blobs:
            answer["oid"] = repository.entry(path, blobs[path]).etag
        files.append(answer)
    return {"files": files, "commitOid": head}


def commit(call: Call) -> dict[str, Any]:
    revision, create_pr = call.parts["rev"], "create_pr" in call.query
    repository = call.writable(revision, create_pr)
    user = call.signed_in().name
    ref = revision if revision.startswith("refs/") else f"refs/heads/{revision}"
    if ref not in repository.refs():
        raise MissingError("RevisionNotFound", f"Invalid rev id: {revision}")
    header, *lines = [json.loads(line) for line in call.body.splitlines() if line.strip()]
    if header["key"] != "header":
        refuse(400, "the first line is the header")
    told = header["value"]
    head = repository.resolve(ref)
    if told.get("parentCommit") and told["parentCommit"] != head:
        refuse(412, f"A commit has happened since. Please refresh and try again: {revision} is at {head}")
    change = operations(call, repository, head, lines)
    message = f"{told['summary']}\n\n{told.get('description') or ''}".strip()
    number = None
    if create_pr:
        opened = repository.open(told["summary"], user, "open", told.get("description") or "", pull_request=True)
        ref, number = opened.ref, opened.number
    try:
        sha = repository.commit(ref, change, message, user)
    except ValueError as error:
        refuse(400, str(error))
    for discussion in repository.discussions:
        if discussion.ref == ref:
            repository.happen(discussion, user, "commit", {"subject": told["summary"], "oid": sha})
    page = call.hub.page(repository)
    pull_request = f"{page}/discussions/{number}" if number else None
    answer = {"success": True, "commitOid": sha, "commitUrl": f"{page}/commit/{sha}", "hookOutput": ""}
    return {**answer, "pullRequestUrl": pull_request}


def operations(call: Call, repository: Repository, head: str, lines: list[Any]) -> dict[str, bytes | None]:
    """The new content of each path that a commit touches; None where it is gone."""
    change: dict[str, bytes | None] = {}
    paths = repository.blobs(head)
    for line in lines:
        key, value = line["key"], line["value"]
        path = valid(value["path"].removesuffix("/") if key == "deletedFolder" else value["path"])
        if key == "file":
            content = base64.b64decode(value["content"], validate=True)
            if path == "README.md":
                check_card(content.decode("utf-8", "replace"))
            change[path] = content
        elif key == "lfsFile":
            size = call.hub.storage.size(repository, value["oid"])
            if size is None:
                refuse(400, f"{path}: LFS pointer pointed to a file that does not exist")
            if value.get("size", size) != size:
                refuse(400, f"{path}: the size is {size}")
            change[path] = pointer(value["oid"], size)
        elif key in ("deletedFile", "deletedFolder"):
            gone = [old for old in paths if old == path or (key == "deletedFolder" and old.startswith(f"{path}/"))]
            if not gone:
                raise MissingError("EntryNotFound", f"{path} does not exist")
            change |= dict.fromkeys(gone)
        else:
            refuse(400, f"unknown operation {key!r}")
    return change


def valid(path: str) -> str:
    """A path that is safe to check out."""
    if "\\" in path or "\0" in path or any(part in ("", ".", "..", ".git") for part in path.split("/")):
        refuse(400, f"invalid path {path!r}")
    return path


def check_card(text: str) -> None:
    try:
        front_matter(text)
    except yaml.YAMLError as error:
        refuse(400, f"Invalid YAML in the card's metadata: {error}")


def validate_yaml(call: Call) -> Any:
    """What huggingface_hub asks before it commits a README.md."""
    try:
        front_matter(call.json()["content"])
    except yaml.YAMLError as error:
        return JSONResponse({"errors": [{"message": str(error)}], "warnings": []}, 400)
    return {"errors": [], "warnings": []}


ROUTES: Routes = {
    "POST /api/validate-yaml": validate_yaml,
    "POST /api/{type}/{ns}/{name}/preupload/{rev}": preupload,
    "POST /api/{type}/{ns}/{name}/commit/{rev}": commit,
}
