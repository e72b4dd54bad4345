"""How the test Hub speaks HTTP: a table of routes, a log of requests, faults, errors in the Hub's words."""

import asyncio
import json
import re
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote, urlencode

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, QueryParams
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.faults import strike
from hub.repository import MissingError, Repository

if TYPE_CHECKING:
    from hub.server import Hub, User

# What a placeholder in a route matches. {path} alone runs over slashes; {repo} is how pages and git name a repository.
PLACEHOLDERS = {
    "type": "(?P<type>models|datasets|spaces)",
    "path": "(?P<path>.+)",
    "repo": r"/(?:(?P<type>datasets|spaces)/)?(?P<ns>[\w.-]+)/(?P<name>[\w.-]+)",
}


class RefusedError(Exception):
    """An answer that is not what was asked for."""

    def __init__(self, status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, dict(headers or {})

    def response(self) -> Response:
        told = {"X-Error-Message": self.message.replace("\n", " ").encode("ascii", "replace").decode()}
        told |= {"X-Error-Code": self.code} if self.code else {}
        return JSONResponse({"error": self.message}, self.status, headers={**told, **self.headers})


@dataclass
class Request:
    """One line of the log. `received` counts the bytes of the body, `status` is 0 where the connection was cut."""

    method: str
    route: str
    path: str
    query: str
    headers: dict[str, str]
    origin: str
    status: int = 0
    received: int = 0


@dataclass
class Call:
    """A request as the function that answers it sees it."""

    hub: "Hub"
    parts: dict[str, str]
    query: QueryParams
    headers: Headers
    body: bytes
    user: "User | None" = None

    def json(self) -> Any:
        try:
            return json.loads(self.body or b"{}")
        except ValueError:
            raise RefusedError(400, "the body is not JSON") from None

    def signed_in(self, write: bool = False) -> "User":
        if self.user is None:
            raise RefusedError(401, "Invalid username or password.")
        if write and self.user.role == "read":
            raise RefusedError(403, "You must use a token with write access")
        return self.user

    def repository(self) -> Repository:
        """The repository that is asked for, if this user may see it."""
        kind = (self.parts.get("type") or "models").removesuffix("s")
        found = self.hub.find(kind, f"{self.parts['ns']}/{self.parts['name'].removesuffix('.git')}")
        if found is None or (found.private and not self.owns(found)):
            raise RefusedError(404 if self.user else 401, "Repository not found", "RepoNotFound")
        return found

    def owns(self, repository: Repository) -> bool:
        return self.user is not None and repository.namespace in self.user.namespaces

    def writable(self, branch: str = "main", create_pr: bool = False) -> Repository:
        """The repository, if this user may write to it: anyone to a pull request of their own, else its owners."""
        found, user = self.repository(), self.signed_in(write=True)
        number = re.fullmatch(r"refs/pr/(\d+)", branch)
        mine = number and any(d.number == int(number[1]) and d.author == user.name for d in found.discussions)
        if not (self.owns(found) or create_pr or mine):
            raise RefusedError(403, "You don't have write access; pass `create_pr=1` to open a pull request instead")
        return found


Handler = Callable[[Call], Any]
Routes = dict[str, Handler]


def compiled(routes: Routes) -> list[tuple[str, str, re.Pattern[str], Handler]]:
    """Method, template, pattern and function of each route. A GET route also answers HEAD."""
    table = []
    for route, handler in routes.items():
        method, _, template = route.partition(" ")
        pieces = re.split(r"\{(\w+)\}", template)
        pattern = "".join(
            (PLACEHOLDERS.get(piece) or f"(?P<{piece}>[^/]+)") if index % 2 else re.escape(piece)
            for index, piece in enumerate(pieces)
        )
        table.append((method, template, re.compile(pattern), handler))
    return table


class Application:
    """One origin of the Hub as an ASGI application."""

    def __init__(self, hub: "Hub", origin: str, routes: Routes) -> None:
        self.hub, self.origin, self.table = hub, origin, compiled(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The raw path keeps "refs%2Fpr%2F1" in one segment.
        method, path = scope["method"], scope["raw_path"].decode().partition("?")[0]
        headers, query = Headers(scope=scope), scope["query_string"].decode()
        route, handler, parts = self.route(method, path)
        entry = Request(method, route, path, query, dict(headers), self.origin)
        self.hub.log.append(entry)
        fault = strike(self.hub.faults, self.hub.faults_lock, route, f"{self.origin}{path}")
        kind = fault.kind if fault else None
        if fault and kind == "slow":
            await asyncio.sleep(fault.seconds)
        body = bytearray()
        more = True
        while more and not (kind == "cut" and body):
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            entry.received = len(body)
            more = message.get("more_body", False)
        if kind == "cut":
            await cut(receive)
            return
        if kind in ("429", "500", "412"):
            assert fault
            retry = {"Retry-After": str(int(fault.seconds))} if kind == "429" else {}
            response = RefusedError(int(kind), "as the test ordered", headers=retry).response()
        elif handler is None:
            self.hub.unlisted.append(f"{self.origin}: {method} {path}")
            response = RefusedError(404, f"no such route: {method} {path}", "RouteNotFound").response()
        else:
            call = Call(self.hub, parts | {"here": path}, QueryParams(query), headers, bytes(body))
            response = await run_in_threadpool(self.answer, handler, call)
        if kind == "cut_after":
            await cut(receive)
            return
        entry.status = response.status_code

        async def send_without_body(message: Message) -> None:
            if method == "HEAD" and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await response(scope, receive, send_without_body)

    def route(self, method: str, path: str) -> tuple[str, Handler | None, dict[str, str]]:
        for allowed, template, pattern, handler in self.table:
            match = pattern.fullmatch(path)
            if match and (method == allowed or (method, allowed) == ("HEAD", "GET")):
                parts = {name: unquote(part) for name, part in match.groupdict().items() if part is not None}
                return f"{method} {template}", handler, parts
        return f"{method} ?", None, {}

    def answer(self, handler: Handler, call: Call) -> Response:
        try:
            # One request at a time: what a commit reads is still so when it writes.
            with self.hub.lock:
                if self.origin == "hub":
                    call.user = self.hub.authenticate(call.headers)
                result = handler(call)
        except RefusedError as refusal:
            return refusal.response()
        except MissingError as missing:
            return RefusedError(404, str(missing), missing.code).response()
        except Exception:
            self.hub.crashes.append(traceback.format_exc())
            return RefusedError(500, "the test Hub itself failed").response()
        return result if isinstance(result, Response) else JSONResponse(result)


async def cut(receive: Receive) -> None:
    """Closes the connection without an answer. ASGI has no word for it: `receive` belongs to uvicorn's request."""
    receive.__self__.transport.abort()  # type: ignore[attr-defined]
    await asyncio.sleep(0)  # uvicorn hears of it, and no longer waits for an answer


def refuse(status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None) -> NoReturn:
    raise RefusedError(status, message, code, headers)


def page(call: Call, items: list[Any], size: int) -> Response:
    """A part of a list and, in the header, where the next is."""
    size = min(size, int(call.query.get("limit", size)))
    start = int(call.query.get("cursor", 0))
    headers = {"X-Total-Count": str(len(items))}
    if start + size < len(items):
        others = [(key, value) for key, value in call.query.multi_items() if key != "cursor"]
        query = urlencode([*others, ("cursor", start + size)])
        headers["Link"] = f'<{call.hub.url}{call.parts["here"]}?{query}>; rel="next"'
    return JSONResponse(items[start : start + size], headers=headers)


def ranged(call: Call, content: bytes, headers: dict[str, str]) -> Response:
    """A file, or the part of it that is asked for."""
    headers = {"Accept-Ranges": "bytes", **headers}
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", call.headers.get("range", ""))
    if not match or match.groups() == ("", ""):
        return Response(content, headers=headers, media_type="application/octet-stream")
    first, last = match.groups()
    start = int(first) if first else max(0, len(content) - int(last))
    end = min(int(last) + 1 if first and last else len(content), len(content))
    if start >= end:
        raise RefusedError(416, "Range not satisfiable", headers={"Content-Range": f"bytes */{len(content)}"})
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
    return Response(content[start:end], 206, headers=headers, media_type="application/octet-stream")


class Listener:
    """A uvicorn server in a thread of its own, on a free port of this machine."""

    def __init__(self) -> None:
        # asyncio sends small answers without delay only where the protocol is named.
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self.socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def start(self, app: ASGIApp) -> None:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", proxy_headers=False, http="h11", ws="none",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        while not self.server.started:
            self.thread.join(0.005)
            if not self.thread.is_alive():
                raise RuntimeError("the server did not start")

    def serve(self) -> None:
        sys.settrace(None)  # what a server of the tests runs is not what they measure
        self.server.run(sockets=[self.socket])

    def stop(self) -> None:
        self.server.should_exit = True  # it ends in its own time, a fifth of a second, in its daemon thread
