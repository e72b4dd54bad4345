"""A server on this machine that answers chat completions as a test says, and remembers what it was asked."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reaction = tuple[int, dict[str, str], bytes]


def completion(content: Any, **more: Any) -> Reaction:
    message = {"role": "assistant", "content": content}
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "system_fingerprint": "",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}  # fmt: skip
    return 200, {}, json.dumps(body | more).encode()


class FakeServer:
    """Answers each request with what `react` makes of its body and number; remembers what it was sent."""

    def __init__(self) -> None:
        self.react: Callable[[dict[str, Any], int], Reaction | None] = lambda body, number: completion("Yes.")
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.active = self.most_active = 0
        self.lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else each answer waits 40 ms between its head and its body

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with fake.lock:
                    number = len(fake.requests)
                    fake.requests.append(body)
                    fake.headers.append({name.lower(): value for name, value in self.headers.items()})
                    fake.paths.append(self.path)
                    fake.active += 1
                    fake.most_active = max(fake.most_active, fake.active)
                try:
                    reaction = fake.react(body, number)
                finally:
                    with fake.lock:
                        fake.active -= 1
                if reaction is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                status, headers, content = reaction
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    for name, value in ({"Content-Length": str(len(content))} | headers).items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *_: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None: ...  # clients of ours hang up, which is no news

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
