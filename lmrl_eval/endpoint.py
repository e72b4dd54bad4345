"""Chat: asks an OpenAI-compatible endpoint for texts, with patience and within a budget, for oracles and policies."""

import contextlib
import json
import os
import queue
import re
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
import numpy as np
from huggingface_hub import InferenceClient, is_offline_mode
from huggingface_hub.errors import HfHubHTTPError

from lmrl_data.errors import UserError
from lmrl_data.text import one_line, without_secret

PREFIX = "chat:"
CONCURRENCY = 8
TRIES = 6  # of one request: with these waits an endpoint may be away for half a minute
FIRST_WAIT, LONGEST_WAIT = 0.5, 20.0  # seconds, doubled from try to try
LONGEST_RETRY_AFTER = 300.0  # what an endpoint may ask for; beyond that the run had better be continued later
TIMEOUT = 120.0  # seconds for one answer
LONGEST_ANSWER = 1_000_000  # bytes
HINTS = {
    401: "set LMRL_API_KEY to its key, which is sent over https only",
    403: "set LMRL_API_KEY to a key that may use this model",
    404: "check the model and the URL, which mostly ends on /v1",
}
HF_HOSTS = re.compile(r"(.+\.)?(huggingface\.co|hf\.co|huggingface\.cloud)")


class ChatError(UserError):
    """Nothing more can be asked, whatever it is: the endpoint fails, or the budget is spent."""


class Question(NamedTuple):
    """What is sent.

    Args:
        messages (`list[dict[str, str]]`): the chat, each with `role` and `content`.
        temperature (`float`): of the sampling.
        noise (`tuple[int, ...]`): what the request's seed and the pauses before its retries are drawn from.
    """

    messages: list[dict[str, str]]
    temperature: float
    noise: tuple[int, ...]


class Endpoint(NamedTuple):
    """Where a chat model is.

    Args:
        model (`str`): the model's name there.
        url (`str`): begins with http:// or https:// and holds no credentials.
        local (`bool`): whether it is on this machine.
        key (`str`, *optional*): what it is sent as a bearer token.
    """

    model: str
    url: str
    local: bool
    key: str | None


def parse_endpoint(spec: str, role: str = "oracle") -> Endpoint:
    """The endpoint of a `chat:MODEL@URL`, with a key from the environment.

    `LMRL_API_KEY` goes to any address, `HF_TOKEN` to Hugging Face's own only, and neither goes unencrypted over a
    network. `LMRL_ORACLE_API_KEY` and `LMRL_POLICY_API_KEY` go before it, for runs with two endpoints. Messages never
    repeat the URL of a bad one: it may hold a password.

    Raises:
        UserError: for anything but a model and a plain URL, or another machine's address in offline mode.
    """
    model, found, rest = spec.removeprefix(PREFIX).partition("@http")
    url = f"http{rest}".rstrip("/")
    if not found or not model or not spec.isascii() or not spec.isprintable() or " " in spec or len(spec) > 500:
        raise UserError(
            f"a chat {role} is chat:MODEL@URL with an http or https URL, e.g. chat:me/m@http://localhost:8000/v1"
        )
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise UserError(f"the URL of a chat {role} begins with http:// or https:// and names a host")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise UserError(f"the URL of a chat {role} has no user, query or fragment; put the key into LMRL_API_KEY")
    local = _is_loopback(host)
    if is_offline_mode() and not local:
        raise UserError(
            f"HF_HUB_OFFLINE is set, so a chat {role} must be on this machine; unset it to use another one"
        )
    key = None
    if parts.scheme == "https" or local:
        key = os.environ.get(f"LMRL_{role.upper()}_API_KEY") or os.environ.get("LMRL_API_KEY") or None
        if key is None and parts.scheme == "https" and HF_HOSTS.fullmatch(host):
            key = os.environ.get("HF_TOKEN") or None
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise UserError(f"the key of the chat {role} holds a space or a character that is not ASCII; set it again")
    return Endpoint(model, url, local, key)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class _RequestError(Exception):
    """One request that failed; `wait` is how long the endpoint asked us to, `final` says that no retry helps."""

    def __init__(self, reason: str, wait: float | None = None, final: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.final = final


class _StoppedError(Exception):
    """Another request has ended the run."""


class _Client(InferenceClient):
    """`InferenceClient` over a connection of its own.

    The library's own would refuse even this machine in offline mode, follow redirects with the whole dialogue, use
    proxies for local addresses, and send a token it finds on disk where none was given.
    """

    def __init__(self, endpoint: Endpoint, timeout: float, connections: int) -> None:
        super().__init__(base_url=endpoint.url, api_key=endpoint.key or "none", timeout=timeout)
        self.key = endpoint.key
        self.http = httpx2.Client(
            follow_redirects=False,
            trust_env=not endpoint.local,
            timeout=timeout,
            limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    def _inner_post(self, request_parameters: Any, *, stream: bool = False) -> Any:
        headers = {name.lower(): value for name, value in request_parameters.headers.items()}
        if self.key is None:
            headers.pop("authorization", None)
        deadline = time.monotonic() + (self.timeout or TIMEOUT)
        body = bytearray()
        with self.http.stream(
            "POST", request_parameters.url, json=request_parameters.json, headers=headers
        ) as response:
            for block in response.iter_bytes():
                body += block
                if len(body) > LONGEST_ANSWER:
                    raise _RequestError("its answer is endless", final=True)
                # The client's timeout is for each read: a slow trickle would never reach it.
                if time.monotonic() > deadline:
                    raise _RequestError("its answer did not come in time")
            if response.status_code != 200:
                raise _refusal(response, bytes(body), self.key)
        return bytes(body)


def _refusal(response: httpx2.Response, body: bytes, key: str | None) -> _RequestError:
    status = response.status_code
    if status in (408, 409, 425, 429) or status >= 500:
        return _RequestError(f"it answers {status}", wait=retry_after(response.headers.get("retry-after")))
    if 300 <= status < 400:
        return _RequestError(f"it redirects ({status}); give the address it leads to", final=True)
    try:
        error = json.loads(body)
        error = error.get("error", error.get("detail", "")) if isinstance(error, dict) else ""
        said = str(error.get("message", "") if isinstance(error, dict) else error)
        said = one_line(without_secret(said, key), 100)
    except (ValueError, RecursionError):
        said = ""
    hint = HINTS.get(status, "check the model and the URL")
    return _RequestError(f"it answers {status}{f' ({said})' if said else ''}; {hint}", final=True)


def retry_after(header: str | None) -> float | None:
    """The seconds a `Retry-After` header asks for, be it a number or a date; `None` where it says nothing."""
    if header is None or len(header) > 40:
        return None
    try:
        seconds = float(header) if re.fullmatch(r"\s*\d+(\.\d+)?\s*", header) else None
        if seconds is None:
            date = parsedate_to_datetime(header)
            seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except ValueError:
        return None
    return max(0.0, seconds)


class ChatClient:
    """Asks an endpoint many questions, a few at a time.

    Busy or broken servers, timeouts and cut connections are tried again with growing pauses; what a server refuses
    ends the run at once. Whether the same seed gives the same text is up to the endpoint.

    Args:
        spec (`str`): `chat:MODEL@URL`.
        role (`str`): `"oracle"` or `"policy"`: who it speaks for, in messages and in the name of the key.
        max_tokens (`int`): the longest text.
        budget (`int`, *optional*): the most requests, retries included.
        concurrency (`int`, *optional*, defaults to `8`): requests under way at the same time.
        timeout (`float`, *optional*, defaults to `120`): seconds for one answer.
        first_wait (`float`, *optional*, defaults to `0.5`): seconds before the second try; doubled from try to try.

    Raises:
        UserError: for a bad spec or a number out of range.
    """

    def __init__(
        self,
        spec: str,
        role: str,
        *,
        max_tokens: int,
        budget: int | None = None,
        concurrency: int = CONCURRENCY,
        timeout: float = TIMEOUT,
        first_wait: float = FIRST_WAIT,
    ) -> None:
        if budget is not None and budget < 1:
            raise UserError(f"the {role}'s budget is at least 1 request, got {budget}")
        self.endpoint = parse_endpoint(spec, role)
        self.role = role
        self.max_tokens = max_tokens
        self.budget = budget
        self.concurrency = concurrency
        self.first_wait = first_wait
        self._work: dict[str, float] = dict.fromkeys(
            ("requests", "retries", "errors", "prompt_tokens", "completion_tokens"), 0.0
        )
        self._lock = threading.Lock()
        self._client = _Client(self.endpoint, timeout, concurrency)

    def work(self) -> dict[str, float]:
        """What was asked so far: `requests`, of those `retries` and `errors`, and the tokens the endpoint counted."""
        with self._lock:
            return dict(self._work)

    def ask(self, questions: Sequence[Question]) -> list[str]:
        """One text for each question, in order; empty where the endpoint sent none.

        Raises:
            ChatError: if there is no answer to be had.
        """
        stop = threading.Event()
        todo = queue.SimpleQueue[int]()
        done = queue.SimpleQueue[tuple[int, str | BaseException]]()

        def work() -> None:
            with contextlib.suppress(queue.Empty, _StoppedError):
                while True:
                    index = todo.get_nowait()
                    try:
                        done.put((index, self._ask(questions[index], stop)))
                    except _StoppedError:
                        raise
                    except BaseException as error:
                        done.put((index, error))

        for index in range(len(questions)):
            todo.put(index)
        # Daemons and no pool: after Ctrl-C the program must not wait for slow answers.
        for _ in range(min(self.concurrency, len(questions))):
            threading.Thread(target=work, daemon=True).start()
        texts = [""] * len(questions)
        try:
            for _ in questions:
                index, outcome = done.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                texts[index] = outcome
        finally:
            stop.set()
        return texts

    def _ask(self, question: Question, stop: threading.Event) -> str:
        # A stream of its own for every question: other requests shift neither the text nor the pauses.
        stream = np.random.default_rng(question.noise)
        seed = int(stream.integers(2**31))
        failure = _RequestError("")
        for number in range(TRIES):
            if number:
                wait = min(LONGEST_WAIT, self.first_wait * 2 ** (number - 1)) * (0.5 + stream.random())
                if failure.wait is not None and failure.wait > LONGEST_RETRY_AFTER:
                    self._give_up(f"it asks to wait {failure.wait:.0f} s; try again then", stop)
                if stop.wait(max(wait, failure.wait or 0.0)):
                    raise _StoppedError
            self._spend(retry=number > 0, stop=stop)
            try:
                return self._request(question, seed)
            except _RequestError as error:
                failure = error
            with self._lock:
                self._work["errors"] += 1
            if stop.is_set():
                raise _StoppedError
            if failure.final:
                self._give_up(str(failure), stop)
        return self._give_up(f"{failure}, {TRIES} times in a row", stop)

    def _spend(self, *, retry: bool, stop: threading.Event) -> None:
        with self._lock:
            spent = self.budget is not None and self._work["requests"] >= self.budget
            if not spent and not stop.is_set():
                self._work["requests"] += 1
                self._work["retries"] += retry
        if stop.is_set():
            raise _StoppedError
        if spent:
            stop.set()
            raise ChatError(f"the {self.role}'s budget of {self.budget} requests is spent")

    def _give_up(self, reason: str, stop: threading.Event) -> str:
        stop.set()
        raise ChatError(f"the {self.role} at {one_line(self.endpoint.url, 80)} gives no answer: {reason}")

    def _request(self, question: Question, seed: int) -> str:
        try:
            # A plain dictionary goes out and comes in; what the library makes of the answer is checked below.
            output = self._client.chat_completion(
                question.messages,
                model=self.endpoint.model,
                max_tokens=self.max_tokens,
                temperature=question.temperature,
                seed=seed,
            )
            content = output.choices[0].message.content
            usage = output.usage
            counted = (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0)
        except _RequestError:
            raise
        except httpx2.TimeoutException:
            raise _RequestError("its answer did not come in time") from None
        except (httpx2.HTTPError, HfHubHTTPError, OSError, RuntimeError) as error:
            raise _RequestError(f"the connection fails ({type(error).__name__})") from None
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            raise _RequestError("its answer is no chat completion") from None
        with self._lock:
            for name, number in zip(("prompt_tokens", "completion_tokens"), counted, strict=True):
                self._work[name] += number if isinstance(number, int) and 0 <= number < 2**31 else 0
        # No text is no answer either: what becomes of that is for whoever asked.
        return without_secret(content, self.endpoint.key) if isinstance(content, str) else ""
