"""A server that the user named: JSON requests with a budget, a limit of time, and tries again where that may help."""

from __future__ import annotations

import json
import logging
import os
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, Final
from urllib.parse import urlsplit

from scarce.errors import ConfigError, DataError, ReadError
from scarce.synthesize.generate._base import Stopped

_log = logging.getLogger("scarce.synthesize")
BUSY: Final = (408, 409, 425, 429, 500, 502, 503, 504, 529)
"""Answers after which it is worth to try again."""
LONGEST_WAIT: Final = 60.0
LARGEST_ANSWER: Final = 200 * 2**20
GO_ON: Final = "what was finished is kept; the same command goes on from there"


class RefusedError(DataError):
    """The server understood and will not do this one thing, for example for its content."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How a server is spoken to, and what that may cost.

    Args:
        base_url: address, for example ``https://HOST/v1``.
        key_env: name of the environment variable with the key; empty = no key is sent.
        price: money for one sample, in the currency of the budget.
        most_calls: requests in all, failed ones included; 0 = no limit.
        most_money: in all; 0 = no limit.
        timeout_seconds: for one request.
        tries: of one request.
        pause_seconds: before the second try; doubled before each further one.
    """

    base_url: str
    key_env: str = ""
    price: float = 0.0
    most_calls: int = 0
    most_money: float = 0.0
    timeout_seconds: float = 120.0
    tries: int = 5
    pause_seconds: float = 1.0


@dataclass(eq=False)
class Server:
    """A server and the budget.

    Args:
        terms: how it is spoken to.
        who: whose errors these are.
        before: calls and money that earlier sessions spent.
        spent: the same of this session.

    Raises:
        ConfigError: there is no address, or the variable with the key is not set.
    """

    terms: Terms
    who: str
    before: Mapping[str, float] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=lambda: {"calls": 0, "money": 0.0})

    def __post_init__(self) -> None:
        """Refuse what cannot be a server before anything is sent."""
        place = urlsplit(self.terms.base_url)
        if not self.terms.base_url:
            raise ConfigError(self.who, "base_url is empty, and nothing is sent anywhere unless you name an address",
                              do="set base_url, for example base_url = 'http://localhost:8000/v1'")  # fmt: skip
        if place.scheme not in ("http", "https") or not place.netloc:
            raise ConfigError(
                self.who, f"base_url = {self.terms.base_url!r} is no address", do="give https://HOST/PATH"
            )
        name = self.terms.key_env
        if name and not os.environ.get(name, "").strip():
            raise ConfigError(self.who, f"the environment variable {name} (key_env) is not set",
                              do=f"export {name}=..., or leave key_env empty for a server without keys")  # fmt: skip
        self._open = urllib.request.build_opener(_NoDetour).open

    @property
    def key(self) -> str:
        """The key; it is read when it is needed and never kept or shown."""
        return os.environ.get(self.terms.key_env, "").strip() if self.terms.key_env else ""

    def bearer(self) -> dict[str, str]:
        """Return the header with the key, as OpenAI's protocol has it."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def post(self, path: str, body: Mapping[str, Any], head: Mapping[str, str] | None = None) -> Any:
        """Send JSON and return the JSON that comes back; see :meth:`call`."""
        return self.call(path, json.dumps(body).encode(), {"Content-Type": "application/json", **(head or {})})

    def call(self, path: str, data: bytes, head: Mapping[str, str]) -> Any:
        """Send one request, more than once where that may help; every try counts as a call.

        Raises:
            Stopped: the budget does not allow it.
            ReadError: no usable answer came, however often it was tried.
            ConfigError: the key or address is not accepted.
            RefusedError: the server will not do this one thing.
        """
        pause, last = self.terms.pause_seconds, ""
        for left in reversed(range(self.terms.tries)):
            self.allow()
            self.spent["calls"] += 1
            try:
                return json.loads(self._send(self.terms.base_url.rstrip("/") + path, data, head))
            except urllib.error.HTTPError as error:
                last, wait = self._refused(error), _wanted_wait(error.headers)
            except (OSError, ValueError, EOFError) as error:  # refused, cut off, too late, or no JSON
                reason = getattr(error, "reason", None) or error
                last, wait = str(reason).strip() or type(reason).__name__, None
            if left:
                seconds = min(LONGEST_WAIT, pause if wait is None else max(wait, 0.0))
                _log.info("%s: %s; trying again in %.1f s", self.who, last, seconds)
                time.sleep(seconds)
                pause *= 2
        raise ReadError(self.who, f"{self.terms.base_url} gave no usable answer in {self.terms.tries} tries ({last})",
                        do=GO_ON)  # fmt: skip

    def fetch(self, url: str) -> bytes:
        """Return the bytes of a picture that the server answered with an address of; no key is sent there.

        Raises:
            DataError: it cannot be read.
        """
        if urlsplit(url).scheme not in ("http", "https"):
            raise DataError(self.who, f"the server names a picture at {url[:60]!r}", "http and https are followed")
        try:
            return self._send(url, None, {})
        except (OSError, EOFError) as error:
            raise DataError(self.who, f"the picture at {url[:80]} cannot be read ({error})") from error

    def allow(self) -> None:
        """End the session where the budget does not allow one more call."""
        calls = self.before.get("calls", 0) + self.spent["calls"]
        money = self.before.get("money", 0) + self.spent["money"]
        if self.terms.most_calls and calls >= self.terms.most_calls:
            raise Stopped(f"the budget of {self.terms.most_calls} calls is used up")
        if self.terms.most_money and money + self.terms.price > self.terms.most_money + 1e-9:
            raise Stopped(f"the budget of {self.terms.most_money:g} is used up ({money:g} spent)")

    def affordable(self, count: int) -> int:
        """Return how many samples of a call the budget of money still pays for; at least 1, :meth:`allow` says no."""
        if not self.terms.most_money or not self.terms.price:
            return count
        left = self.terms.most_money - self.before.get("money", 0) - self.spent["money"]
        return max(1, min(count, int((left + 1e-9) / self.terms.price)))

    def paid(self, samples: int) -> None:
        """Count what an answer costs: samples that came, whether they can be used or not."""
        self.spent["money"] = round(self.spent["money"] + samples * self.terms.price, 9)

    def _send(self, url: str, data: bytes | None, head: Mapping[str, str]) -> bytes:
        request = urllib.request.Request(url, data=data, headers=dict(head))  # noqa: S310 - the scheme was checked
        with self._open(request, timeout=self.terms.timeout_seconds) as answer:
            body: bytes = answer.read(LARGEST_ANSWER + 1)
        if len(body) > LARGEST_ANSWER:
            raise ValueError(f"the answer is larger than {LARGEST_ANSWER >> 20} MiB")
        return body

    def _refused(self, error: urllib.error.HTTPError) -> str:
        """Return what a busy server says, or raise what it will never do."""
        said = f"{error.code} {error.reason}{_said(error)}"
        if error.code in BUSY:
            return said
        if error.code in (401, 403):
            raise ConfigError(self.who, f"{self.terms.base_url} does not accept the key ({said})",
                              do=f"check the key in {self.terms.key_env or 'key_env'}") from error  # fmt: skip
        if error.code in (301, 302, 303, 307, 308, 404, 405):
            raise ConfigError(self.who, f"{self.terms.base_url} has no such service ({said})",
                              do="check base_url, protocol and model") from error  # fmt: skip
        raise RefusedError(self.who, f"the server refuses ({said})") from error


class _NoDetour(urllib.request.HTTPRedirectHandler):
    """Data and key go to the address that the user named and nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow no redirect."""
        return


def _said(error: urllib.error.HTTPError) -> str:
    try:
        body = json.loads(error.read(10_000))
        body = body.get("error", body)
        return f": {str(body.get('message', body) if isinstance(body, dict) else body)[:200]}"
    except (ValueError, AttributeError, OSError):
        return ""


def _wanted_wait(head: Message) -> float | None:
    try:
        return float(head["Retry-After"])
    except (TypeError, ValueError):
        return None


def multipart(fields: Mapping[str, str], files: Mapping[str, bytes]) -> tuple[bytes, dict[str, str]]:
    """Return the body and header of a form with PNG files."""
    mark = uuid.uuid4().hex
    parts = [f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
             for name, value in fields.items()]  # fmt: skip
    for name, body in files.items():
        head = f'--{mark}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}.png"\r\n'
        parts.append(head.encode() + b"Content-Type: image/png\r\n\r\n" + body + b"\r\n")
    return b"".join([*parts, f"--{mark}--\r\n".encode()]), {"Content-Type": f"multipart/form-data; boundary={mark}"}
