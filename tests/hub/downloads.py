"""Reading a repository: listings of files, commits and refs, the files themselves, and git's own protocol."""

import gzip
import subprocess
from typing import Any
from urllib.parse import parse_qsl, quote

from starlette.responses import Response

from hub.repository import Entry, MissingError, Repository
from hub.web import Call, Routes, page, ranged, refuse


def row(item: Entry | tuple[str, str]) -> dict[str, Any]:
    """A file or folder as the Hub's answers show it."""
    if not isinstance(item, Entry):
        return {"type": "directory", "path": item[0], "oid": item[1], "size": 0}
    answer: dict[str, Any] = {"type": "file", "path": item.path, "oid": item.oid, "size": item.size}
    if item.sha256:
        answer["lfs"] = {"oid": item.sha256, "size": item.size, "pointerSize": item.pointer_size}
    return answer


def expanded(repository: Repository, commit: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    changes = repository.last_changes(commit)
    for item in rows:
        below = [sha for path, sha in changes.items() if path == item["path"] or path.startswith(f"{item['path']}/")]
        newest = next(sha for sha in repository.history(commit) if sha in below)
        told = repository.describe(newest)
        item["lastCommit"] = {key: told[key] for key in ("id", "title", "date")}
    return rows


def tree(call: Call) -> Response:
    repository = call.repository()
    commit = repository.resolve(call.parts["rev"])
    recursive, expand = (call.query.get(key, "").lower() in ("true", "1") for key in ("recursive", "expand"))
    rows = [row(item) for item in repository.listing(commit, call.parts.get("path", "").strip("/"), recursive)]
    return page(call, expanded(repository, commit, rows) if expand else rows, 50 if expand else 1000)


def paths_info(call: Call) -> list[dict[str, Any]]:
    """Only of paths that exist."""
    repository = call.repository()
    commit = repository.resolve(call.parts["rev"])
    asked = parse_qsl(call.body.decode())
    paths = {value.strip("/") for key, value in asked if key == "paths"}
    rows = [item for item in map(row, repository.listing(commit, "", recursive=True)) if item["path"] in paths]
    return (
        expanded(repository, commit, rows)
        if any(key == "expand" and value.lower() == "true" for key, value in asked)
        else rows
    )


def refs(call: Call) -> dict[str, Any]:
    repository = call.repository()
    answer: dict[str, Any] = {"branches": [], "converts": [], "tags": []}
    if call.query.get("include_prs"):
        answer["pullRequests"] = []
    for ref in repository.refs():
        kind = {"heads": "branches", "tags": "tags", "pr": "pullRequests"}[ref.split("/")[1]]
        if kind in answer:
            name = ref.split("/", 2)[2]
            answer[kind].append({"name": name, "ref": ref, "targetCommit": repository.resolve(ref)})
    return answer


def commits(call: Call) -> Response:
    repository = call.repository()
    history = repository.history(repository.resolve(call.parts["rev"]))
    return page(call, [repository.describe(sha) for sha in history], 50)


def resolve(call: Call) -> Response:
    """Sends the reader to where the file is: the storage for a large file, else a cached address of this commit."""
    repository = call.repository()
    commit = repository.resolve(call.parts["rev"])
    path = call.parts["path"]
    headers = {"X-Repo-Commit": commit}
    try:
        entry = repository.file(commit, path)
    except MissingError as missing:
        refuse(404, str(missing), missing.code, headers)
    headers |= {"X-Linked-Size": str(entry.size), "X-Linked-ETag": f'"{entry.etag}"', "ETag": f'"{entry.etag}"'}
    if entry.sha256:
        headers["Location"] = call.hub.storage.address("GET", repository, entry.sha256)
        return Response(status_code=302, headers=headers)
    headers["Location"] = f"/api/resolve-cache/{repository.kind}s/{repository.name}/{commit}/{quote(path)}"
    return Response(status_code=307, headers=headers)


def resolve_cache(call: Call) -> Response:
    repository = call.repository()
    commit = repository.resolve(call.parts["rev"])
    entry = repository.file(commit, call.parts["path"])
    if entry.sha256:
        refuse(404, "large files are in the storage", "EntryNotFound")
    return ranged(call, repository.read(entry.oid), {"X-Repo-Commit": commit, "ETag": f'"{entry.oid}"'})


def git_refs(call: Call) -> Response:
    """The first of the two requests of `git clone`."""
    if call.query.get("service") != "git-upload-pack":
        refuse(403, "only to read")
    listing = git(call, "--http-backend-info-refs")
    head = b"# service=git-upload-pack\n"
    content = b"%04x%s0000%s" % (len(head) + 4, head, listing)
    return Response(content, media_type="application/x-git-upload-pack-advertisement")


def git_objects(call: Call) -> Response:
    return Response(git(call), media_type="application/x-git-upload-pack-result")


def git(call: Call, *options: str) -> bytes:
    command = ["git", "upload-pack", "--stateless-rpc", *options, str(call.repository().path)]
    body = gzip.decompress(call.body) if call.headers.get("content-encoding") == "gzip" else call.body
    return subprocess.run(command, input=body, stdout=subprocess.PIPE, check=True).stdout


API = "/api/{type}/{ns}/{name}"
ROUTES: Routes = {
    f"GET {API}/tree/{{rev}}": tree,
    f"GET {API}/tree/{{rev}}/{{path}}": tree,
    f"POST {API}/paths-info/{{rev}}": paths_info,
    f"GET {API}/refs": refs,
    f"GET {API}/commits/{{rev}}": commits,
    "GET /api/resolve-cache/{type}/{ns}/{name}/{rev}/{path}": resolve_cache,
    "GET {repo}/resolve/{rev}/{path}": resolve,
    "GET {repo}/info/refs": git_refs,
    "POST {repo}/git-upload-pack": git_objects,
}
