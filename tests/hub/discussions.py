"""Discussions and pull requests."""

import difflib
from typing import Any

from hub.repository import Discussion, Repository, timestamp
from hub.web import Call, Routes, refuse

PAGE = 10


def row(repository: Repository, discussion: Discussion) -> dict[str, Any]:
    """A discussion as a list shows it."""
    return {
        "num": discussion.number, "title": discussion.title, "status": discussion.status,
        "author": {"type": "user", "name": discussion.author, "fullname": discussion.author, "avatarUrl": ""},
        "createdAt": timestamp(discussion.created), "isPullRequest": discussion.base is not None,
        "repo": {"name": repository.name, "type": repository.kind}, "numComments": len(discussion.events),
        "pinned": False,
    }  # fmt: skip


def asked(call: Call) -> tuple[Repository, Discussion]:
    repository = call.repository()
    number = call.parts["num"]
    found = [discussion for discussion in repository.discussions if str(discussion.number) == number]
    if not found:
        refuse(404, f"there is no discussion {number}", "EntryNotFound")
    return repository, found[0]


def listing(call: Call) -> dict[str, Any]:
    repository = call.repository()
    kind, status, author = (call.query.get(key, "all") for key in ("type", "status", "author"))
    found = [
        row(repository, discussion)
        for discussion in reversed(repository.discussions)
        if kind in ("all", "pull_request" if discussion.base else "discussion")
        and (status == "all" or (status == "open") == (discussion.status in ("open", "draft")))
        and author in ("all", discussion.author)
    ]
    start = PAGE * int(call.query.get("p", 0))
    return {"discussions": found[start : start + PAGE], "count": len(found), "start": start}


def create(call: Call) -> dict[str, Any]:
    """A pull request that is opened before its first commit is a draft."""
    repository, user, told = call.repository(), call.signed_in(write=True), call.json()
    pull_request = bool(told.get("pullRequest"))
    status = "draft" if pull_request else "open"
    made = repository.open(told["title"], user.name, status, told.get("description", ""), pull_request)
    url = f"{call.hub.page(repository)}/discussions/{made.number}"
    return {"num": made.number, "pullRequest": pull_request, "url": url}


def details(call: Call) -> dict[str, Any]:
    repository, discussion = asked(call)
    answer = {**row(repository, discussion), "events": discussion.events}
    if discussion.base:
        changes = {"base": "refs/heads/main"}
        if discussion.merge_commit:
            changes["mergeCommitId"] = discussion.merge_commit
        live = discussion.status in ("open", "draft")
        answer |= {"changes": changes, "filesWithConflicts": repository.conflicts(discussion) if live else []}
        if call.query.get("diff"):
            answer["diff"] = diff(repository, discussion)
    return answer


def diff(repository: Repository, discussion: Discussion) -> str:
    assert discussion.base
    old, new = (repository.blobs(commit) for commit in (discussion.base, repository.resolve(discussion.ref)))
    text = ""
    for path in sorted(old.keys() | new.keys()):
        if old.get(path) != new.get(path):
            contents = [repository.read(blobs[path]) if path in blobs else b"" for blobs in (old, new)]
            before, after = (content.decode("utf-8", "replace").splitlines(keepends=True) for content in contents)
            text += f"diff --git a/{path} b/{path}\n" + "".join(
                difflib.unified_diff(before, after, f"a/{path}", f"b/{path}")
            )
    return text


def comment(call: Call) -> dict[str, Any]:
    repository, discussion = asked(call)
    user = call.signed_in(write=True)
    latest = {"raw": call.json()["comment"], "html": "", "author": {"name": user.name}}
    data = {"edited": False, "hidden": False, "latest": latest, "history": []}
    return {"newMessage": repository.happen(discussion, user.name, "comment", data)}


def status(call: Call) -> dict[str, Any]:
    repository, discussion = asked(call)
    user = call.signed_in(write=True)
    if not (call.owns(repository) or user.name == discussion.author):
        refuse(403, "only the author and the owners may do this")
    if discussion.status == "merged":
        refuse(400, "it is merged")
    discussion.status = call.json()["status"]
    return {"newStatus": repository.happen(discussion, user.name, "status-change", {"status": discussion.status})}


def merge(call: Call) -> dict[str, Any]:
    repository, discussion = asked(call)
    user = call.signed_in(write=True)
    if not call.owns(repository):
        refuse(403, "only the owners may merge")
    try:
        repository.merge(discussion, user.name)
    except ValueError as error:
        refuse(409, str(error))
    return {}


API = "/api/{type}/{ns}/{name}/discussions"
ROUTES: Routes = {
    f"GET {API}": listing,
    f"POST {API}": create,
    f"GET {API}/{{num}}": details,
    f"POST {API}/{{num}}/comment": comment,
    f"POST {API}/{{num}}/status": status,
    f"POST {API}/{{num}}/merge": merge,
}
