"""Where large files lie: another origin than the Hub, which knows no users and obeys signed addresses only."""

import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

from starlette.responses import Response

from hub.repository import Repository
from hub.web import Call, Routes, ranged, refuse


class Storage:
    """Objects by their SHA-256, apart for each repository."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url, self.secret = folder, url, secrets.token_bytes(16)

    def path(self, key: str, sha256: str) -> Path:
        return self.folder / key / sha256

    def size(self, repository: Repository, sha256: str) -> int | None:
        path = self.path(repository.key, sha256)
        return path.stat().st_size if path.exists() else None

    def read(self, repository: Repository, sha256: str) -> bytes:
        return self.path(repository.key, sha256).read_bytes()

    def signature(self, method: str, key: str, sha256: str) -> str:
        return hmac.new(self.secret, f"{method} {key} {sha256}".encode(), "sha256").hexdigest()

    def address(self, method: str, repository: Repository, sha256: str) -> str:
        """Where one may get or put one object, and nothing else."""
        signature = self.signature(method, repository.key, sha256)
        return f"{self.url}/objects/{repository.key}/{sha256}?signature={signature}"


def checked(call: Call, method: str) -> tuple[str, str]:
    """The object that is meant. Amazon's S3, too, refuses a request that brings a signature and credentials."""
    key, sha256 = call.parts["key"], call.parts["oid"]
    if "authorization" in call.headers:
        refuse(400, "Only one auth mechanism allowed")
    expected = call.hub.storage.signature(method, key, sha256)
    if not hmac.compare_digest(call.query.get("signature", ""), expected):
        refuse(403, "The signature does not match")
    return key, sha256


def put(call: Call) -> Response:
    key, sha256 = checked(call, "PUT")
    if hashlib.sha256(call.body).hexdigest() != sha256:
        refuse(400, "The content does not have this SHA-256")
    path = call.hub.storage.path(key, sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(call.body)
    os.replace(file.name, path)
    return Response(headers={"ETag": f'"{sha256}"'})


def get(call: Call) -> Response:
    key, sha256 = checked(call, "GET")
    path = call.hub.storage.path(key, sha256)
    if not path.exists():
        refuse(404, "No such object")
    return ranged(call, path.read_bytes(), {"ETag": f'"{sha256}"'})


def batch(call: Call) -> dict[str, Any]:
    """What git-lfs and huggingface_hub ask the Hub: where each object goes, or comes from."""
    asked = call.json()
    upload = asked.get("operation") == "upload"
    revision = asked.get("ref", {}).get("name", "main").removeprefix("refs/heads/")
    # The name of a pull request is not known before it is opened: any user may bring objects, as for create_pr.
    repository = call.writable(revision, create_pr=True) if upload else call.repository()
    store = call.hub.storage
    objects = []
    for item in asked["objects"]:
        oid, size = item["oid"], item["size"]
        answer: dict[str, Any] = {"oid": oid, "size": size, "authenticated": True}
        stored = store.size(repository, oid)
        if stored is not None and stored != size:
            answer["error"] = {"code": 422, "message": "the size is another"}
        elif upload and stored is None:
            verify = f"{call.hub.url}/api/{repository.kind}s/{repository.name}/lfs/verify"
            target = {"href": store.address("PUT", repository, oid), "header": {}}
            answer["actions"] = {"upload": target, "verify": {"href": verify, "header": {}}}
        elif not upload and stored is None:
            answer["error"] = {"code": 404, "message": "no such object"}
        elif not upload:
            answer["actions"] = {"download": {"href": store.address("GET", repository, oid), "header": {}}}
        objects.append(answer)
    return {"transfer": "basic", "objects": objects}


def verify(call: Call) -> dict[str, Any]:
    call.signed_in(write=True)
    asked = call.json()
    if call.hub.storage.size(call.repository(), asked["oid"]) != asked["size"]:
        refuse(404, "The object was not uploaded, or not as a whole")
    return {}


STORAGE_ROUTES: Routes = {"PUT /objects/{key}/{oid}": put, "GET /objects/{key}/{oid}": get}
ROUTES: Routes = {
    "POST {repo}/info/lfs/objects/batch": batch,
    "POST /api/{type}/{ns}/{name}/lfs/verify": verify,
}
