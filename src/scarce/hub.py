"""The hub that models are fetched from: where it cannot be reached, that is known in seconds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock, Thread
from typing import Any, Final

from scarce.extras import available, need

WAIT: Final = 5.0
"""Seconds that the hub has to answer at all."""
BROKEN: Final = 500
"""The first HTTP status that says that nobody answers behind a proxy."""
_alone = RLock()


@contextmanager
def fetching(name: str) -> Iterator[None]:
    """Let a library open a model in the block; without the hub it takes what is in the cache, and does not wait.

    Args:
        name: of the model, or a path; a path needs no hub.

    Raises:
        OSError: the library failed, and the hub could not be reached. What the library raises else is passed on.
    """
    local = name.startswith((".", "/", "~")) or Path(name).expanduser().exists()
    with _alone:
        if local or not available("huggingface_hub"):
            yield
            return
        constants: Any = need("huggingface_hub.constants", extra="text")
        if constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE") == "1" or answers(constants.ENDPOINT):
            yield
            return
        constants.HF_HUB_OFFLINE = True
        try:
            yield
        except Exception as error:  # of any library
            raise OSError(f"{constants.ENDPOINT} cannot be reached, and the cache does not hold it") from error
        finally:
            constants.HF_HUB_OFFLINE = False


def answers(url: str) -> bool:
    """Return whether a server answers within seconds; looking up its name counts."""
    session = need("huggingface_hub", extra="text").get_session()
    status: list[int] = []

    def ask() -> None:
        try:
            status.append(session.head(url, timeout=WAIT).status_code)
        except Exception:  # noqa: BLE001  whatever it is, nobody answered
            return

    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(WAIT + 1)
    return bool(status) and status[0] < BROKEN
