"""The endpoint: an OpenAI-compatible server that writes texts for oracles and policies, with retries and a budget."""

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
from huggingface_hub import is_offline_mode

from lmrl_data.deadline import within
from lmrl_data.errors import UserError
from lmrl_data.text import one_line, without_secret
from lmrl_data.tool import Tool

PREFIX = "chat:"
CONCURRENCY = 8
TRIES = 6  # of one request: with these waits an endpoint may be away for half a minute
FIRST_WAIT, LONGEST_WAIT = 0.5, 20.0  # seconds, doubled from try to try
LONGEST_RETRY_AFTER = 300.0  # what an endpoint may ask for; beyond that the run had better be continued later
TIMEOUT = 120.0  # seconds for one answer
GRACE = 1.0  # seconds beyond its own timeout after which a request is abandoned
LONGEST_ANSWER = 1_000_000  # bytes
HINTS = {
    401: "set LMRL_API_KEY to its key, which is sent over https only",
    403: "set LMRL_API_KEY to a key that may use this model",
    404: "check the model and the URL, which mostly ends on /v1",
}
HF_HOSTS = re.compile(r"(.+\.)?(huggingface\.co|hf\.co|huggingface\.cloud)")


class ChatError(UserError):
    """No further request can succeed: the endpoint keeps failing or the request budget is spent."""


class Question(NamedTuple):
    """A chat that the endpoint is asked to continue.

    Args:
        messages (`list[dict]`): the chat, in the API's form.
        temperature (`float`): of the sampling.
        noise (`tuple[int, ...]`): seeds the random stream of the request's seed and of the pauses before retries.
        tool (`Tool`, *optional*): what the model is to call.
    """

    messages: list[dict[str, Any]]
    temperature: float
    noise: tuple[int, ...]
    tool: Tool | None = None


class Call(NamedTuple):
    """A call of a tool as a model wrote it; nothing about it is checked.

    Args:
        name (`str`): of the tool.
        arguments (`str`): as JSON.
    """

    name: str
    arguments: str


class Answer(NamedTuple):
    """What an endpoint answers.

    Args:
        text (`str`): empty if it sent none.
        calls (`tuple[Call, ...]`): of tools.
    """

    text: str
    calls: tuple[Call, ...] = ()


class Endpoint(NamedTuple):
    """The address of a chat model.

    Args:
        model (`str`): the name of the model at the endpoint.
        url (`str`): an http or https URL without credentials.
        local (`bool`): whether the endpoint is on this machine.
        key (`str`, *optional*): sent as the bearer token.
    """

    model: str
    url: str
    local: bool
    key: str | None


def parse_endpoint(spec: str, role: str = "oracle") -> Endpoint:
    """The endpoint of a `chat:MODEL@URL`, with a key from the environment.

    `LMRL_API_KEY` is sent to any address, `HF_TOKEN` to hosts of Hugging Face only, and neither over a network without
    encryption. `LMRL_ORACLE_API_KEY` and `LMRL_POLICY_API_KEY` override `LMRL_API_KEY`, for runs with two endpoints.
    Error messages do not repeat a malformed URL, because it may contain a password.

    Raises:
        UserError: if the text is not a model and a plain URL, or the URL is of another machine in offline mode.
    """
    model, separator, rest = spec.removeprefix(PREFIX).partition("@http")
    url = f"http{rest}".rstrip("/")
    if not separator or not model or not spec.isascii() or not spec.isprintable() or " " in spec or len(spec) > 500:
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
    """A failed request.

    `wait` is the pause that the endpoint asks for. A `final` failure is not retried, unless the next request has
    another `form`.
    """

    def __init__(self, reason: str, wait: float | None = None, final: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.final = final
        self.form = False


class _StoppedError(Exception):
    """Another request of the batch has failed for good."""


def _refusal(response: httpx2.Response, body: bytes, key: str | None) -> _RequestError:
    status = response.status_code
    if status in (408, 409, 425, 429) or status >= 500:
        return _RequestError(f"it answers {status}", wait=retry_after(response.headers.get("retry-after")))
    if 300 <= status < 400:
        return _RequestError(f"it redirects ({status}); give the address it leads to", final=True)
    try:
        error = json.loads(body)
        error = error.get("error") or error.get("detail") or error if isinstance(error, dict) else ""
        message = str(error.get("message", "") if isinstance(error, dict) else error)
        message = one_line(without_secret(message, key), 200)
    except (ValueError, RecursionError):
        message = ""
    hint = HINTS.get(status, "check the model and the URL")
    return _RequestError(f"it answers {status}{f' ({message})' if message else ''}; {hint}", final=True)


def retry_after(header: str | None) -> float | None:
    """The seconds that a `Retry-After` header asks for as a number or a date; `None` if it cannot be read."""
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

    Requests that meet a busy or broken server, a timeout or a cut connection are retried with growing pauses. A
    refusal of the server ends the run at once. Whether the same seed gives the same text depends on the endpoint.

    Args:
        spec (`str`): `chat:MODEL@URL`.
        role (`str`): `"oracle"` or `"policy"`; stands in error messages and in the name of the key's variable.
        max_tokens (`int`): the maximum length of a text.
        budget (`int`, *optional*): the maximum number of requests, retries included.
        concurrency (`int`, *optional*, defaults to `8`): the number of simultaneous requests.
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
        self.timeout = timeout
        self.first_wait = first_wait
        self._limit, self._tool_choice = "max_tokens", 0  # the form of a request, see `_change_form`
        self._work: dict[str, float] = dict.fromkeys(
            ("requests", "retries", "errors", "cut", "prompt_tokens", "completion_tokens"), 0.0
        )
        self._lock = threading.Lock()
        key = self.endpoint.key
        authorization = {} if key is None else {"authorization": f"Bearer {key}"}
        # Local addresses use no proxy, and a redirect is never followed: it would take the whole dialogue elsewhere.
        self._http = httpx2.Client(
            headers={"user-agent": "lmrl", **authorization},
            follow_redirects=False,
            trust_env=not self.endpoint.local,
            timeout=timeout,
            limits=httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
        )

    def work(self) -> dict[str, float]:
        """Counts so far: `requests`, of those `retries` and `errors`, the answers that were `cut` at the limit of
        tokens, if any, and the tokens that the endpoint reported."""
        with self._lock:
            return {name: count for name, count in self._work.items() if count or name != "cut"}

    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """One answer for each question, in order.

        Raises:
            ChatError: if a request fails for good.
        """
        stop = threading.Event()
        todo = queue.SimpleQueue[int]()
        done = queue.SimpleQueue[tuple[int, Answer | BaseException]]()

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
        # Daemon threads instead of a pool: after Ctrl-C the program must not wait for slow answers.
        for _ in range(min(self.concurrency, len(questions))):
            threading.Thread(target=work, daemon=True).start()
        answers = [Answer("")] * len(questions)
        try:
            for _ in questions:
                index, outcome = done.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                answers[index] = outcome
        finally:
            stop.set()
        return answers

    def _ask(self, question: Question, stop: threading.Event) -> Answer:
        # Every question has its own random stream, so other requests change neither its seed nor its pauses.
        stream = np.random.default_rng(question.noise)
        seed = int(stream.integers(2**31))
        failure = _RequestError("")
        for number in range(TRIES):
            if number and not failure.form:
                wait = min(LONGEST_WAIT, self.first_wait * 2 ** (number - 1)) * (0.5 + stream.random())
                if failure.wait is not None and failure.wait > LONGEST_RETRY_AFTER:
                    raise self._give_up(f"it asks to wait {failure.wait:.0f} s; try again then", stop)
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
            if failure.final and not failure.form:
                raise self._give_up(str(failure), stop)
        raise self._give_up(f"{failure}, {TRIES} times in a row", stop)

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

    def _give_up(self, reason: str, stop: threading.Event) -> ChatError:
        stop.set()
        return ChatError(f"the {self.role} at {one_line(self.endpoint.url, 80)} gives no answer: {reason}")

    def _body(self, question: Question, seed: int) -> dict[str, Any]:
        body = {
            "model": self.endpoint.model,
            "messages": question.messages,
            self._limit: self.max_tokens,
            "seed": seed,
            "temperature": question.temperature,
            "stream": False,
        }
        if question.tool is not None:
            body["tools"] = [{"type": "function", "function": question.tool.schema()}]
            choice = tool_choices(question.tool)[self._tool_choice]
            body |= {} if choice is None else {"tool_choice": choice}
        return body

    def _change_form(self, question: Question, body: dict[str, Any], refusal: str) -> bool:
        """Whether the next request has another form than `body`, which was refused.

        Newer servers know the limit by another name only, and servers differ in how a tool is asked for. The form
        that a server takes is remembered.
        """
        if "max_tokens" in body and "max_completion_tokens" in refusal:
            self._limit = "max_completion_tokens"
            return True
        if question.tool is not None and "tool_choice" in body and "tool_choice" in refusal:
            # Several requests may be refused at the same time.
            self._tool_choice = max(self._tool_choice, tool_choices(question.tool).index(body["tool_choice"]) + 1)
            return True
        return False

    def _request(self, question: Question, seed: int) -> Answer:
        body = self._body(question, seed)
        try:
            answer = self._answer(body)
        except _RequestError as error:
            error.form = error.final and self._change_form(question, body, str(error))
            raise
        except (httpx2.HTTPError, OSError) as error:
            raise _RequestError(f"the connection fails ({type(error).__name__})") from None
        try:
            completion = json.loads(answer)
            choice = completion["choices"][0]
            text = text_of(choice["message"].get("content"))
            calls = calls_of(choice["message"].get("tool_calls"))
            cut = choice.get("finish_reason") == "length"
            usage = completion.get("usage") or {}
            counts = {name: usage.get(name) for name in ("prompt_tokens", "completion_tokens")}
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            raise _RequestError("its answer is no chat completion") from None
        with self._lock:
            self._work["cut"] += cut
            for name, count in counts.items():
                self._work[name] += count if isinstance(count, int) and 0 <= count < 2**31 else 0
        # The caller decides what a missing text means.
        key = self.endpoint.key
        calls = [Call(without_secret(name, key), without_secret(arguments, key)) for name, arguments in calls]
        return Answer(without_secret(text, key), tuple(calls))

    def _answer(self, body: dict[str, Any]) -> bytes:
        """What `_post` returns, within one deadline for the whole request: an endpoint can send headers for ever."""
        try:
            return within(self.timeout + GRACE, lambda: self._post(body))
        except (TimeoutError, httpx2.TimeoutException):
            raise _RequestError("its answer did not come in time") from None

    def _post(self, body: dict[str, Any]) -> bytes:
        deadline = time.monotonic() + self.timeout
        answer = bytearray()
        with self._http.stream("POST", completions_url(self.endpoint.url), json=body) as response:
            for block in response.iter_bytes():
                answer += block
                if len(answer) > LONGEST_ANSWER:
                    raise _RequestError("its answer is endless", final=True)
                # The client's timeout is for each read: a slow trickle would never reach it.
                if time.monotonic() > deadline:
                    raise TimeoutError
            if response.status_code != 200:
                raise _refusal(response, bytes(answer), self.endpoint.key)
        return bytes(answer)


def text_of(content: Any) -> str:
    """The text of a message: its content, or the joined text parts if the content is a list. Empty if it has no text.

    Examples:
        >>> text_of([{"type": "thinking", "thinking": []}, {"type": "text", "text": "move up"}])
        'move up'
    """
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def calls_of(calls: Any) -> list[Call]:
    """The calls of tools in a message, one for each entry, whatever it is.

    Examples:
        >>> calls_of([{"type": "function", "function": {"name": "move", "arguments": '{"direction": "up"}'}}, 7])
        [Call(name='move', arguments='{"direction": "up"}'), Call(name='', arguments='')]
    """
    if not isinstance(calls, list):
        return []
    functions = [call.get("function") if isinstance(call, dict) else None for call in calls]
    return [_call(function if isinstance(function, dict) else {"arguments": ""}) for function in functions]


def _call(function: dict[str, Any]) -> Call:
    name, arguments = function.get("name"), function.get("arguments")
    # Some servers send the arguments as an object, and not as JSON.
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return Call(name if isinstance(name, str) else "", text)


def tool_choices(tool: Tool) -> list[Any]:
    """The ways to ask a server for a call of the one tool; `None` leaves it to the model."""
    return ["required", {"type": "function", "function": {"name": tool.name}}, None]


def completions_url(url: str) -> str:
    """The address of the chat completions below a base URL, as `huggingface_hub.InferenceClient` finds it.

    Examples:
        >>> completions_url("http://localhost:8000/v1")
        'http://localhost:8000/v1/chat/completions'
    """
    if url.endswith("/chat/completions"):
        return url
    return f"{url}/chat/completions" if urlsplit(url).path.endswith("/v1") else f"{url}/v1/chat/completions"
