"""One Label Studio server: requests with a limit of time, tries again where that may help, and says what went wrong."""

from __future__ import annotations

import json
import logging
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from scarce.errors import ConfigError, DataError, ReadError

_log = logging.getLogger("scarce.label_studio")
WHO: Final = "label studio"
BUSY: Final = (429, 500, 502, 503, 504)
"""Answers after which it is worth to try again."""
PAGE: Final = 100
GO_ON: Final = "nothing is lost: the same command goes on where it stopped"


class UnansweredError(ReadError):
    """The server did not answer in time, or not at all; whether it did what was asked is unknown."""


class NobodyThereError(UnansweredError):
    """No server listens at the address, or the address does not exist: waiting would not help."""


@dataclass(eq=False, kw_only=True)
class Server:
    """A server and who speaks to it.

    Args:
        url: where it is, for example ``http://localhost:8080``.
        token: a personal access token, or a legacy one.
        timeout_seconds: how long one request may take, pauses and further tries included.
        tries: how often a request is sent at most, within its time; where nobody listens once is enough.
        pause_seconds: before the second try; doubled before each further one.

    Raises:
        ConfigError: the URL or the token is none.
    """

    url: str
    token: str = field(repr=False)
    timeout_seconds: float = 30.0
    tries: int = 4
    pause_seconds: float = 0.5
    _bearer: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be a server."""
        self.url = self.url.rstrip("/")
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).netloc:
            raise ConfigError(WHO, f"{self.url!r} is no address of a server", do="give http://HOST:PORT")
        if not self.token.strip():
            raise ConfigError(WHO, "the token is empty", do="copy it from Account & Settings of Label Studio")
        if self.tries < 1 or self.timeout_seconds <= 0:
            raise ConfigError(
                WHO, f"tries = {self.tries}, timeout = {self.timeout_seconds}", do="give at least 1 and > 0"
            )

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON at a path."""
        return self.call("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: Any, *, again: bool = True) -> Any:
        """Send JSON and return the JSON that comes back.

        Args:
            path: of the API.
            body: plain values.
            again: try again where the server did not answer; not for what must not happen twice.
        """
        return self.call("POST", path, body, again=again)

    def call(self, method: str, path: str, body: Any = None, *, again: bool = True) -> Any:
        """Send one request, more than once where that may help.

        Raises:
            UnansweredError: there was no answer in time.
            ConfigError: the token or the address is not accepted.
            DataError: the server refuses what was sent, or answers something that is no JSON.
        """
        pause, end = self.pause_seconds, time.monotonic() + self.timeout_seconds
        for left in reversed(range(self.tries)):
            try:
                return self._once(method, path, body)
            except NobodyThereError:
                raise
            except UnansweredError as error:
                if not left or not again or time.monotonic() + pause >= end:
                    raise
                _log.info("%s; trying again in %.1f s", error, pause)
                time.sleep(pause)
                pause *= 2
        raise AssertionError("unreachable")  # pragma: no cover

    def pages(self, path: str, key: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield the items of a list that comes in pages."""
        for page in range(1, 1_000_000):
            try:
                body = self.get(path, page=page, page_size=PAGE, **query)
            except DataError as error:
                if page > 1 and "404" in error.what:  # one beyond the last
                    return
                raise
            items = body[key] if isinstance(body, dict) else body
            yield from items
            if len(items) < PAGE:
                return

    def _once(self, method: str, path: str, body: Any) -> Any:
        data = None if body is None else json.dumps(body).encode()
        head = {"Content-Type": "application/json", "Accept": "application/json", "Authorization": self._authorized()}
        try:
            return self._send(method, path, data, head)
        except urllib.error.HTTPError as error:
            if error.code == 401 and self._bearer:  # its five minutes are over
                self._bearer = ""
                head["Authorization"] = self._authorized()
                try:
                    return self._send(method, path, data, head)
                except urllib.error.HTTPError as second:
                    raise self._refused(method, path, second) from second
            raise self._refused(method, path, error) from error

    def _send(self, method: str, path: str, data: bytes | None, head: dict[str, str]) -> Any:
        request = urllib.request.Request(self.url + path, data=data, headers=head, method=method)  # noqa: S310 - checked
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_seconds) as answer:  # noqa: S310 - checked
                text = answer.read()
        except urllib.error.HTTPError:
            raise
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, (ConnectionRefusedError, socket.gaierror)):
                what = f"nobody answers at {self.url} ({reason.strerror})"
                do = f"start the server, or mend the address; {GO_ON}"
                raise NobodyThereError(WHO, what, f"{method} {path.partition('?')[0]}", do) from error
            what = f"{self.url} does not answer ({str(reason).strip() or type(reason).__name__})"
            there = f"{method} {path.partition('?')[0]}, {self.timeout_seconds:g} seconds a try"
            raise UnansweredError(WHO, what, there, f"is it running? {GO_ON}") from error
        try:
            return json.loads(text) if text else None
        except ValueError as error:
            what = f"{self.url}{path.partition('?')[0]} answers something that is no JSON"
            raise DataError(WHO, what, text[:60].decode(errors="replace"), "is this Label Studio?") from error

    def _authorized(self) -> str:
        """Return the header's value: legacy tokens as they are, personal ones (JSON web tokens) exchanged."""
        if self.token.count(".") != 2:
            return f"Token {self.token}"
        if not self._bearer:
            body = json.dumps({"refresh": self.token}).encode()
            try:
                got = self._send("POST", "/api/token/refresh", body, {"Content-Type": "application/json"})
            except urllib.error.HTTPError as error:
                raise self._refused("POST", "/api/token/refresh", error) from error
            self._bearer = str(got["access"])
        return f"Bearer {self._bearer}"

    def _refused(self, method: str, path: str, error: urllib.error.HTTPError) -> Exception:
        path = path.partition("?")[0]
        there = _said(error)
        if error.code in BUSY:
            return UnansweredError(WHO, f"{self.url} is in trouble ({error.code} {error.reason})", there,
                                   f"wait a little; {GO_ON}")  # fmt: skip
        if error.code == 401:
            do = "check the token; legacy tokens must be allowed in the organization's settings of Label Studio"
            return ConfigError(WHO, f"{self.url} does not accept the token ({error.code})", there, do)
        return DataError(WHO, f"{self.url} refuses {method} {path} ({error.code})", there)


def _said(error: urllib.error.HTTPError) -> str:
    """Return what a server said about a refusal, short."""
    try:
        body = json.loads(error.read())
        return str(body.get("validation_errors") or body.get("detail") or body)[:300]
    except (ValueError, AttributeError, OSError):
        return ""
