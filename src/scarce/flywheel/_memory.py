"""Memory that a server no longer needs, given back to the system.

The allocator of glibc keeps what was freed between blocks that are still used, so that a process that once held large
pictures stays as large as it was at its peak. ``malloc_trim`` gives whole free pages back; it costs milliseconds.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable
from functools import cache
from typing import Final

EVERY_SECONDS: Final = 20.0


async def keep_small(every: float = EVERY_SECONDS) -> None:
    """Give free memory back every so many seconds, until cancelled; nothing where the allocator is another one."""
    trim = _trim()
    while trim is not None:
        await asyncio.sleep(every)
        await asyncio.to_thread(trim, 0)


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # not glibc
        return None
