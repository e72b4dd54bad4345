"""What of a run is published: settings by an allow-list, values without places and secrets, texts after a last look.

`detect-secrets` was considered and left out: its last release is of 2024, it knows no token of the Hub, and its search
for random texts takes every digest in a record for a secret.
"""

import json
import math
import re
from collections.abc import Mapping
from enum import Enum
from importlib import resources
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lmrl_data.errors import UserError

# Credentials, by their names. They are not on the list of settings, and may be anywhere else.
PRIVATE = re.compile(
    r"env|environ(ment)?|(.*[_-])?(token|key|api-?key|password|passwd|pwd|secret|credentials?|auth|authorization|"
    r"bearer|cookie|session|dsn|webhook)s?",
    re.IGNORECASE,
)
TOKENS = ("eos_token", "pad_token")  # of a tokenizer
# What services hand out, by a word for it.
SECRETS = {
    "a token of the Hub": r"\b(hf|api_org)_[A-Za-z0-9]{20,}",
    "a key of a payment service": r"\b(sk|rk|whsec)_(live|test)_\w{16,}",
    "a key of a model provider": r"\b(sk|gsk|nvapi|xai|pplx|r8|csk)[-_](?=[\w-]*\d)[\w-]{19,}",
    "a token of a forge": r"\b(gh[pousr]_\w{20,}|github_pat_\w{20,}|gl[a-z]{2,4}-[\w-]{20,})",
    "a key of a cloud": r"\b((AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{35}|AccountKey=\S{20,}|dop_v1_\w{20,})",
    "a token of a package registry": r"\b(npm_\w{30,}|pypi-[\w-]{30,})",
    "a token of a messenger": r"\b(xox[a-z]-[\w-]{10,}|SG\.[\w-]{16,}\.[\w-]{16,}|\d{8,10}:AA[\w-]{30,})"
    r"|hooks\.slack\.com/services/\w+|discord(app)?\.com/api/webhooks/\w+",
    "a key of a tracker": r"\b(wandb_v\d_\w{20,}|local-[0-9a-f]{40})",
    "a web token": r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "a header with credentials": r"\b(Bearer|Basic)\s+(?=\S*\d)[\w.+/=-]{8,}",
    "a password in an address": r"://[^/@\s\"'<>{}]*:[^/@\s\"'<>{}]+@",
}
SECRET = re.compile("|".join(f"({pattern})" for pattern in SECRETS.values()), re.ASCII)
# A name of a secret and, after it, a long text of letters and digits.
NAMED = re.compile(
    r"(api[_-]?key|access[_-]?key|secret|passwo?r?d|auth[_-]?token|authorization)[\"']?\s*[:=]\s*[\"']?"
    r"(?=[\w+/-]*[0-9])(?=[\w+/-]*[A-Za-z])[\w+/-]{16,}",
    re.IGNORECASE | re.ASCII,
)
ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]{1,20})://(?P<rest>[^\s\"'<>]*)", re.IGNORECASE)
# Absolute paths, home folders and paths out of the folder, as they are written on Linux, macOS and Windows.
PLACE = re.compile(
    r"(?<![\w.<>/\\])(?:file:/*)?(?:~[\w.-]*[/\\]|\$\{?HOME\}?[/\\]|\$env:USERPROFILE[/\\]|%\w+%[/\\]|[A-Za-z]:[/\\]|"
    r"\\\\|//?(?=[\w.~-])|(?:\.[/\\])?(?:[\w.-]+[/\\])*?\.\.[/\\])[^\s\"'<>|,;]*",
    re.IGNORECASE,
)
PRIVATE_HOST = re.compile(
    r"[^.]*|.*\.(local|localdomain|internal|intranet|lan|home|corp|arpa|private|test)", re.IGNORECASE
)


# --- settings


def published_settings() -> frozenset[str]:
    """The names of the settings that may be published, of every recipe."""
    text = resources.files(__package__).joinpath("published_settings.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


def public_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run that are published: those on the list, with what `public` leaves of their values.

    Examples:
        >>> public_settings({"learning_rate": 0.1, "hub_token": "x", "run_name": "alice", "oracle": "lm:/home/me/o"})
        {'learning_rate': 0.1, 'oracle': 'lm:o'}
    """
    names = published_settings()
    return {str(name): public(value) for name, value in settings.items() if str(name) in names}


def public(value: Any) -> Any:
    """A value as it may be published: plain JSON, without secrets, private hosts and places of a machine.

    Examples:
        >>> public({"model": "/home/me/runs/bc", "oracle": "lm:~/o", "hub_token": "x", "rate": 0.1})
        {'model': 'bc', 'oracle': 'lm:o', 'rate': 0.1}
    """
    if isinstance(value, Mapping):
        return {public_text(str(key)): public(each) for key, each in value.items() if not is_private(str(key))}
    if isinstance(value, list | tuple | set | frozenset):
        return [public(each) for each in value]
    if isinstance(value, Enum):
        return public(value.value)
    if isinstance(value, bool | int | None) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return public_text(str(value))


def is_private(name: str) -> bool:
    """Whether a value of this name is never published."""
    return bool(PRIVATE.fullmatch(name)) and name not in TOKENS


def public_text(text: str) -> str:
    """A text with the last name of each path, the host of each address, and nothing in place of a secret.

    Examples:
        >>> public_text("from /home/me/runs/bc by https://me:word@example.org/v1?key=1")
        'from bc by https://example.org'
    """
    parts: list[str] = []
    end = 0
    for match in ADDRESS.finditer(text):
        parts += [_without_places(text[end : match.start()]), _public_address(match["scheme"], match["rest"])]
        end = match.end()
    return SECRET.sub("(removed)", "".join([*parts, _without_places(text[end:])]))


def _without_places(text: str) -> str:
    return PLACE.sub(lambda match: _last_name(match[0]), text)


def _last_name(path: str) -> str:
    """The last name of a path; of a home folder not even that, because it is the user's name."""
    names = [name for name in re.split(r"[/\\]", path) if name.strip(".") and not name.endswith(":")]
    home = len(names) < 3 and names[:1] and names[0].lower() in ("home", "users")
    if not names or home or names == ["root"] or names[-1].startswith(("~", "$", "%")):
        return "(a folder)"
    return names[-1]


def _public_address(scheme: str, rest: str) -> str:
    if scheme.lower() == "file":
        return _last_name(rest)
    try:
        parts = urlsplit(f"http://{rest}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return f"{scheme}://(removed)"
    if scheme.lower() == "hf":  # a path on the Hub
        return f"{scheme}://{rest.partition('?')[0]}"
    return f"{scheme}://{public_host(host)}" + (f":{port}" if port else "")


def public_host(host: str) -> str:
    """The name of a host, if the whole world knows it, or it is this machine in the words of every machine.

    Examples:
        >>> [public_host(host) for host in ("example.org", "gpu7.internal", "10.0.0.3", "localhost")]
        ['example.org', '(a private host)', '(a private host)', 'localhost']
    """
    try:
        address = ip_address(host)
        return host if address.is_loopback or address.is_global else "(a private host)"
    except ValueError:
        return "(a private host)" if PRIVATE_HOST.fullmatch(host) and host != "localhost" else host


# --- whole files


def public_numbers(values: Any) -> dict[str, int | float]:
    """The finite numbers of a mapping whose names are those of quantities, such as `loss/value`."""
    return {
        name: value
        for name, value in (values.items() if isinstance(values, dict) else ())
        if re.fullmatch(r"[A-Za-z][\w./@ -]{0,79}", str(name))
        and type(value) in (int, float)
        and abs(value) <= 1e308
        and not SECRET.search(str(name))
    }


def public_json(content: bytes) -> bytes:
    """A JSON file of a checkpoint without places of the machine that wrote it.

    The libraries write the folder a model came from into its configuration. Only values that are a whole path are
    changed: a chat template, or a token such as `/`, is none.
    """
    settings = json.loads(content)
    changed = _without_whole_paths(settings)
    return content if changed == settings else json.dumps(changed, indent=2, ensure_ascii=False).encode() + b"\n"


def _without_whole_paths(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_whole_paths(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_whole_paths(each) for each in value]
    if isinstance(value, str) and len(value) < 4096:
        match = PLACE.fullmatch(value) or re.fullmatch(r"[a-z]+://[^/\s]*@\S*", value)
        if match and len(re.findall(r"[/\\][^/\\]", value)) > 1:
            return public_text(value)
    return value


def check_no_secret(name: str, content: bytes, own: str | None = None, *, prose: bool = True) -> None:
    """Looks once more for a secret in a text that is published.

    Args:
        name (`str`): of the file, for the message.
        content (`bytes`): its bytes.
        own (`str`, *optional*): the token of the user.
        prose (`bool`, *optional*, defaults to `True`): `False` for the vocabulary of a tokenizer, whose entries look
            like anything: only tokens of the Hub and private keys are looked for.

    Raises:
        UserError: if there is one; the message does not repeat it.
    """
    text = content.decode("utf-8", errors="replace")
    if own and own in text:
        raise UserError(f"{name} holds your token of the Hub: take it out before others read it")
    certain = ("a token of the Hub", "a private key")
    for kind, pattern in SECRETS.items():
        if (prose or kind in certain) and re.search(pattern, text, re.ASCII):
            raise UserError(f"{name} holds what looks like {kind}: take it out before others read it")
    if prose and NAMED.search(text):
        raise UserError(f"{name} holds what looks like a secret with its name: take it out before others read it")
    home = str(Path.home())
    if prose and home.count("/") + home.count("\\") > 1 and re.search(re.escape(home) + r"\b", text):
        raise UserError(f"{name} names your home folder: take it out before others read it")
