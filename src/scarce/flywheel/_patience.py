"""Connections on which no whole head of a request arrives are closed: each of them takes the place of a client."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class Patient(H11Protocol):  # type: ignore[misc, unused-ignore]
    """uvicorn's protocol with a limit on the time that the head of a request may take.

    uvicorn has one between requests only: a client that sends a byte now and then could stay for ever.
    """

    seconds: ClassVar[float] = 10.0
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override, unused-ignore]
        """Begin to wait."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Wait on where the head is not whole."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._late is None:
            self._late = self.loop.call_later(self.seconds, self._close)

    def _forget(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _close(self) -> None:
        self._late = None
        transport: Any = self.transport
        if self.conn.their_state is h11.IDLE and not transport.is_closing():
            transport.close()


def patient(seconds: float) -> type[Patient]:
    """Return the protocol with a limit.

    Args:
        seconds: from the first moment of a connection, or the first byte of a later request, to the end of its head.
    """
    return type("Patient", (Patient,), {"seconds": seconds})
