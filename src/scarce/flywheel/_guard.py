"""The door of the server: who may ask, how much may come, and how long it may take. Plain ASGI, before any parsing."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

from scarce.flywheel._limits import Limits, RefusedError
from scarce.flywheel._meter import Meter

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

OPEN: Final = ("/health", "/ready")
"""Paths that need no token: a load balancer has none."""
LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
HELD: Final = 256 << 20
"""Bytes of all bodies together that may be in memory."""


class Guard:
    """Stands before the application.

    Args:
        app: what answers.
        limits: sizes and time.
        token: what a client must show; None = only programs of this machine are answered.
        meter: is told about every request.
    """

    def __init__(self, app: App, *, limits: Limits, token: str | None, meter: Meter) -> None:
        self._app, self._limits, self._meter = app, limits, meter
        self._token = None if token is None else token.encode()
        self._held = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        passage = _Passage(receive, send, self._limits.size)
        try:
            self._check(scope)
            async with asyncio.timeout(self._limits.seconds):
                await self._app(scope, self._counted(passage), passage.send)
        except RefusedError as error:
            await passage.refuse(error)
        except TimeoutError:
            limit = f"{self._limits.seconds:g} seconds ([serve] seconds)"
            await passage.refuse(
                RefusedError(503, f"there was no answer within {limit}", after=2) if passage.whole
                else RefusedError(408, f"the body did not arrive within {limit}")
            )  # fmt: skip
        finally:
            self._held -= passage.count
            self._meter.request(str(scope["path"]), passage.status, time.perf_counter() - passage.since)

    def _check(self, scope: Message) -> None:
        """Refuse strangers, and bodies that are announced as too long.

        Raises:
            RefusedError: 401, 403 or 413.
        """
        headers = {bytes(name).lower(): bytes(value) for name, value in scope["headers"]}
        if self._token is None:
            _only_local(headers)
        elif scope["path"] not in OPEN:
            kind, _, shown = headers.get(b"authorization", b"").partition(b" ")
            if not hmac.compare_digest(shown.strip(), self._token) or kind.lower() != b"bearer":
                raise RefusedError(401, "a token is needed: Authorization: Bearer TOKEN")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._limits.size:
            raise too_long(self._limits.size)

    def _counted(self, passage: _Passage) -> Receive:
        async def receive() -> Message:
            before = passage.count
            try:
                message = await passage.receive()
            finally:
                self._held += passage.count - before
            if self._held > HELD:
                raise RefusedError(503, "too many bytes of other requests are in memory", after=1)
            return message

        return receive


class _Passage:
    """One request on its way through."""

    def __init__(self, receive: Receive, send: Send, most: int) -> None:
        self._receive, self._send, self._most = receive, send, most
        self.count, self.status, self.whole, self.begun = 0, 499, False, False
        self.since = time.perf_counter()

    async def receive(self) -> Message:
        """Return the next part of the body.

        Raises:
            RefusedError: there was too much of it.
        """
        message = await self._receive()
        if message["type"] == "http.request":
            self.count += len(message.get("body", b""))
            self.whole = not message.get("more_body", False)
            if self.count > self._most:
                raise too_long(self._most)
        return message

    async def send(self, message: Message) -> None:
        """Hand a part of the answer on."""
        if message["type"] == "http.response.start":
            self.begun, self.status = True, int(message["status"])
        await self._send(message)

    async def refuse(self, error: RefusedError) -> None:
        """Answer with the reason, if nothing was answered yet; the connection ends where the body is not read."""
        if self.begun:
            return
        body = json.dumps({"detail": error.why}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(b"www-authenticate", b"Bearer")] if error.status == 401 else []
        headers += [(b"retry-after", str(error.after).encode())] if error.after is not None else []
        headers += [] if self.whole else [(b"connection", b"close")]
        await self.send({"type": "http.response.start", "status": error.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def too_long(most: int) -> RefusedError:
    """Return the refusal of a body over the limit."""
    return RefusedError(413, f"the body is over {most / 2**20:g} MiB ([serve] mib)")


def _only_local(headers: MutableMapping[bytes, bytes]) -> None:
    """Refuse pages of other sites that a browser of this machine shows: they would be let in without a token.

    Raises:
        RefusedError: 403.
    """
    for name, prefix in ((b"host", "//"), (b"origin", "")):
        shown = headers.get(name)
        if shown is None:
            continue
        try:
            host = urlsplit(prefix + shown.decode("latin-1")).hostname
        except ValueError:
            host = None
        if host not in LOCAL:
            raise RefusedError(403, f"{name.decode()} {shown.decode('latin-1')!r} is not this machine; start with a "
                               "token to be asked by others")  # fmt: skip


def statuses(codes: Iterable[int]) -> dict[int, str]:
    """Return what the statuses of refusals mean, for the documentation."""
    meanings = {
        400: "The body cannot be read.", 401: "A token is needed.", 403: "Asked by a page of another site.",
        408: "The body did not arrive in time.", 413: "Too many bytes, pixels or samples.",
        415: "No sample of the kind that the model reads.", 422: "A sample or row that cannot be used.",
        503: "Busy, stopping, or nothing can be written; Retry-After says when to come again.",
    }  # fmt: skip
    return {code: meanings[code] for code in codes}
