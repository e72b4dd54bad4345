"""What the Hub says about users, repositories and results, and what one can do with a repository as a whole."""

import json
import struct
from typing import Any

import yaml
from starlette.responses import JSONResponse, Response

from hub.repository import Repository, front_matter, timestamp
from hub.web import Call, Routes, page, refuse

# Properties of a card that are also tags, with what stands before the value.
TAG_PREFIXES = {
    "tags": "", "library_name": "", "pipeline_tag": "", "language": "", "license": "license:", "datasets": "dataset:",
    "base_model": "base_model:", "task_categories": "task_categories:", "task_ids": "task_ids:",
    "size_categories": "size_categories:",
}  # fmt: skip


def whoami(call: Call) -> dict[str, Any]:
    user = call.signed_in()
    common = {"email": None, "canPay": False, "avatarUrl": "", "isPro": False}
    org = {**common, "type": "org", "roleInOrg": "write"}
    orgs = [{**org, "id": name, "name": name, "fullname": name} for name in user.orgs]
    token = {"displayName": "test", "role": user.role, "createdAt": timestamp(0)}
    return {
        **common, "type": "user", "id": user.name, "name": user.name, "fullname": user.name, "emailVerified": True,
        "orgs": orgs, "auth": {"type": "access_token", "accessToken": token},
    }  # fmt: skip


def card_data(repository: Repository, commit: str) -> dict[str, Any]:
    try:
        data = front_matter(repository.text(commit, "README.md"))
    except yaml.YAMLError:
        return {}
    return json.loads(json.dumps(data, default=str))


def tags(card: dict[str, Any]) -> list[str]:
    found = []
    for key, prefix in TAG_PREFIXES.items():
        values = card.get(key) or []
        found += [f"{prefix}{value}" for value in (values if isinstance(values, list) else [values])]
    return [*found, "region:us"]


def safetensors(call: Call, repository: Repository, commit: str) -> dict[str, Any] | None:
    """How many parameters of each type the weights have, from the heads of the files."""
    counts: dict[str, int] = {}
    for path, blob in repository.blobs(commit).items():
        entry = repository.entry(path, blob)
        if not path.endswith(".safetensors"):
            continue
        data = call.hub.storage.read(repository, entry.sha256) if entry.sha256 else repository.read(blob)
        try:
            (length,) = struct.unpack("<Q", data[:8])
            head = json.loads(data[8 : 8 + length])
            for name, tensor in head.items():
                if name != "__metadata__":
                    size = 1
                    for dimension in tensor["shape"]:
                        size *= dimension
                    counts[tensor["dtype"]] = counts.get(tensor["dtype"], 0) + size
        except (struct.error, ValueError, KeyError):
            return None
    return {"parameters": counts, "total": sum(counts.values())} if counts else None


def eval_results(repository: Repository, commit: str) -> list[dict[str, Any]]:
    """The entries of .eval_results/*.yaml; for a file that has none, why."""
    found: list[dict[str, Any]] = []
    for path in repository.blobs(commit):
        if path.startswith(".eval_results/") and path.endswith((".yaml", ".yml")):
            try:
                entries = json.loads(json.dumps(yaml.safe_load(repository.text(commit, path)), default=str))
                for entry in entries:
                    dataset = entry["dataset"]
                    if not ({"id", "task_id"} <= dataset.keys() and isinstance(entry["value"], int | float)):
                        raise ValueError("a result has a dataset with id and task_id, and a value")
                    found.append({"filename": path, "data": entry})
            except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
                found.append({"filename": path, "error": f"invalid: {error!r}"})
    return found


def describe(call: Call, repository: Repository, commit: str) -> dict[str, Any]:
    """All that this Hub knows of a repository; an answer is a part of it."""
    card = card_data(repository, commit)
    siblings = []
    for entry in (repository.entry(path, blob) for path, blob in repository.blobs(commit).items()):
        sibling: dict[str, Any] = {"rfilename": entry.path}
        if call.query.get("blobs", "").lower() in ("true", "1"):
            sibling |= {"size": entry.size, "blobId": entry.oid}
            if entry.sha256:
                sibling["lfs"] = {"sha256": entry.sha256, "size": entry.size, "pointerSize": entry.pointer_size}
        siblings.append(sibling)
    told = {
        "_id": repository.key, "id": repository.name, "author": repository.namespace, "sha": commit,
        "lastModified": repository.describe(commit)["date"], "createdAt": timestamp(repository.created),
        "private": repository.private, "gated": False, "disabled": False, "downloads": 0, "likes": 0,
        "tags": tags(card), "cardData": card, "siblings": siblings,
    }  # fmt: skip
    if repository.kind == "model":
        told["modelId"] = repository.name
        told |= {key: card[key] for key in ("pipeline_tag", "library_name", "model-index") if key in card}
        if counts := safetensors(call, repository, commit):
            told["safetensors"] = counts
        try:
            config = json.loads(repository.text(commit, "config.json"))
            told["config"] = {key: config[key] for key in ("architectures", "model_type") if key in config}
        except (ValueError, TypeError):
            pass
        told["evalResults"] = eval_results(repository, commit)
    if repository.kind == "space":
        told |= {"sdk": card.get("sdk", repository.sdk), "runtime": {"stage": "RUNNING", "hardware": {}}}
    return told


def part(call: Call, told: dict[str, Any], left_out: set[str]) -> dict[str, Any]:
    """The properties that were asked for by `expand`, else those that are told anyway."""
    wanted = set(call.query.getlist("expand"))
    if wanted:
        return {key: value for key, value in told.items() if key in wanted | {"_id", "id"}}
    return {key: value for key, value in told.items() if key not in left_out | {"evalResults"}}


def info(call: Call) -> dict[str, Any]:
    repository = call.repository()
    commit = repository.resolve(call.parts.get("rev", "main"))
    return part(call, describe(call, repository, commit), set())


def unknown(call: Call) -> None:
    """A repository without a namespace; here there is none."""
    refuse(404 if call.user else 401, "Repository not found", "RepoNotFound")


def listing(call: Call) -> Response:
    """Repositories by `author`, a word in the name (`search`) and tags (`filter`)."""
    author, search = call.query.get("author"), call.query.get("search", "").lower()
    rows = []
    for repository in call.hub.repositories():
        hidden = repository.private and not call.owns(repository)
        if f"{repository.kind}s" != call.parts["type"] or hidden or search not in repository.name.lower():
            continue
        told = describe(call, repository, repository.resolve("main"))
        if author in (None, repository.namespace) and set(call.query.getlist("filter")) <= set(told["tags"]):
            full = "full" in call.query
            rows.append(part(call, told, set() if full else {"siblings", "cardData", "safetensors", "config"}))
    return page(call, rows, 1000)


def leaderboard(call: Call) -> list[dict[str, Any]]:
    """The results that models claim on this dataset, from main and from open pull requests, best first."""
    dataset = call.repository()
    if dataset.name not in call.hub.benchmarks:
        refuse(404, "This dataset has no leaderboard", "EntryNotFound")
    roots_only = call.query.get("base_model", "true").lower() == "true"
    rows = []
    for model in call.hub.repositories():
        if model.kind != "model" or (model.private and not call.owns(model)):
            continue
        if roots_only and card_data(model, model.resolve("main")).get("base_model"):
            continue
        opened = [d for d in model.discussions if d.base and d.status == "open"]
        seen: list[Any] = []
        for revision, number in [("main", None), *((d.ref, d.number) for d in opened)]:
            for result in eval_results(model, model.resolve(revision)):
                if "error" in result or result["data"]["dataset"]["id"] != dataset.name or result in seen:
                    continue
                seen.append(result)
                data = result["data"]
                author = {"type": "org", "name": model.namespace, "fullname": model.namespace, "avatarUrl": ""}
                line = {"modelId": model.name, "value": data["value"], "verified": False, "author": author}
                line |= {"filename": result["filename"], "pullRequest": number, "notes": data.get("notes")}
                rows.append(line | ({"source": data["source"]} if "source" in data else {}))
    rows.sort(key=lambda line: -line["value"])
    return [{"rank": rank, **line} for rank, line in enumerate(rows, start=1)]


def asked_repository(call: Call) -> tuple[str, str]:
    """Kind and name in a request to make or delete a repository."""
    asked, user = call.json(), call.signed_in(write=True)
    namespace = asked.get("organization") or user.name
    if namespace not in user.namespaces:
        refuse(403, f"You don't have the rights to do this under the namespace {namespace!r}")
    return asked.get("type") or "model", f"{namespace}/{asked['name']}"


def create(call: Call) -> Any:
    kind, name = asked_repository(call)
    asked = call.json()
    found = call.hub.find(kind, name)
    if found:
        return JSONResponse({"error": "You already created this repo", "url": call.hub.page(found)}, 409)
    if kind == "space" and asked.get("sdk") not in ("static", "gradio", "docker", "streamlit"):
        refuse(400, "a Space has an sdk: static, gradio or docker")
    private = asked.get("visibility") == "private" or bool(asked.get("private"))
    made = call.hub.create(kind, name, call.signed_in().name, private, asked.get("sdk"))
    return {"url": call.hub.page(made), "name": name, "id": made.key}


def owned(call: Call) -> Repository:
    found = call.writable()
    if not call.owns(found):
        refuse(403, "You don't have the rights to do this")
    return found


def delete(call: Call) -> dict[str, Any]:
    kind, name = asked_repository(call)
    if call.hub.find(kind, name) is None:
        unknown(call)
    call.hub.delete(kind, name)
    return {}


def settings(call: Call) -> dict[str, Any]:
    found, asked = owned(call), call.json()
    if "visibility" in asked or "private" in asked:
        found.private = asked.get("visibility", "") == "private" or bool(asked.get("private"))
    return asked


def create_tag(call: Call) -> Response:
    """In the address stands the revision, in the body the tag."""
    found, tag = owned(call), call.json()["tag"]
    if f"refs/tags/{tag}" in found.refs():
        refuse(409, "Tag reference exists already")
    found.git.refs[f"refs/tags/{tag}".encode()] = found.resolve(call.parts["rev"]).encode()
    return Response(status_code=201)


def nothing(call: Call) -> None:
    """What clients ask for by the way and can do without."""
    refuse(404, "not found")


API = "/api/{type}/{ns}/{name}"
ROUTES: Routes = {
    "GET /api/agent-harnesses": nothing,
    "GET /api/whoami-v2": whoami,
    "POST /api/repos/create": create,
    "DELETE /api/repos/delete": delete,
    "GET /api/{type}": listing,
    "GET /api/{type}/{name}": unknown,
    f"GET {API}": info,
    f"GET {API}/revision/{{rev}}": info,
    f"GET {API}/leaderboard": leaderboard,
    f"PUT {API}/settings": settings,
    f"POST {API}/tag/{{rev}}": create_tag,
}
