"""Answers over HTTP by the model that ``@champion`` means now; each is logged before it is given.

One thread gathers the samples of all requests and asks the model once for many. Another model is loaded in the
background when the alias moves and takes over between two batches. Only programs of this machine are answered unless
there is a token.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scarce import progress
from scarce.errors import ConfigError, StoreError
from scarce.execute.local import cores
from scarce.extras import need

if TYPE_CHECKING:
    from scarce.project import Project

WHO: Final = "flywheel.serve"
TOKEN: Final = "SCARCE_TOKEN"  # noqa: S105 - a variable's name
SHORTEST: Final = 16
CONNECTIONS: Final = 1024
STOP_SECONDS: Final = 5
"""Beyond the time of a request, until a stop no longer waits for those in flight."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """Where a server listens, and who may come in.

    Attributes:
        host: name or address.
        port: 0 = a free one.
        token: what clients must show; None = nothing, on this machine only.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None

    def __post_init__(self) -> None:
        """Refuse what would be open to others.

        Raises:
            ConfigError: another host than this machine without a token, or a short one.
        """
        if self.token is None and not is_local(self.host):
            raise ConfigError(WHO, f"--host {self.host} is open to other machines and there is no token",
                              do=f"set {TOKEN}, or give --token-file")  # fmt: skip
        if self.token is not None and (len(self.token) < SHORTEST or not self.token.isascii()):
            raise ConfigError(WHO, f"the token has {len(self.token)} characters",
                              f"at least {SHORTEST} of ASCII are needed", "openssl rand -hex 32 makes one")  # fmt: skip


def is_local(host: str) -> bool:
    """Return whether only programs of this machine reach a host.

    Example:
        >>> is_local("127.0.0.1"), is_local("::1"), is_local("0.0.0.0")
        (True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(path: Path | None) -> str | None:
    """Return the token: what a file holds, else what the environment names, else None.

    Raises:
        ConfigError: the file cannot be read, or is empty.
    """
    if path is None:
        return os.environ.get(TOKEN) or None
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(WHO, f"{path} cannot be read ({error})", do="give a file that holds the token") from error
    if not token:
        raise ConfigError(WHO, f"{path} is empty", do="write the token into it")
    return token


def application(project: Project, *, token: str | None = None) -> Any:
    """Return the ASGI application of a project, for a server of your own.

    The process computes algebra with one thread from here on, and networks with ``[serve] threads``.

    Args:
        project: with a ``@champion``; it stays open as long as the application lives.
        token: what clients must show; None = only programs of this machine are answered.

    Raises:
        MissingExtraError: FastAPI is not installed.
        DataError: there is no ``@champion``, or it cannot be loaded.
    """
    for module in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        need(module, extra="serve")
    from scarce.flywheel import _web
    from scarce.flywheel._answering import Answering
    from scarce.flywheel._deployed import Deployment
    from scarce.flywheel._gather import Gatherer
    from scarce.flywheel._guard import Guard
    from scarce.flywheel._limits import Limits
    from scarce.flywheel._meter import Meter

    own = project.config.serve
    limits = Limits(
        size=int(own.mib * 2**20), pixels=int(own.megapixels * 1e6), most=own.most, seconds=own.seconds
    )  # fmt: skip
    meter = Meter()
    deployment = Deployment(project, challenger=own.shadow or own.share > 0, warm=_warm)
    _give_threads(own.threads)
    answering = Answering(project, deployment, meter)
    gatherer = Gatherer(
        answering, batch=own.batch, weight=limits.pixels, wait=own.wait_ms / 1000, waiting=own.waiting,
        idle=answering.idle,
    )  # fmt: skip
    service = _web.Service(
        project, limits, deployment=deployment, answering=answering, gatherer=gatherer, meter=meter
    )  # fmt: skip
    return Guard(_web.application(service), limits=limits, token=token, meter=meter)


def serve(project: Project, door: Door | None = None, *, started: Callable[[str], None] | None = None) -> None:
    """Answer until SIGTERM or SIGINT; requests in flight are finished.

    Args:
        project: with a ``@champion``.
        door: where to listen; by default port 8000 of this machine.
        started: called with the address when requests are taken.

    Raises:
        ConfigError: the address cannot be used.
        DataError: there is no ``@champion``, or it cannot be loaded.
    """
    door = door or Door()
    uvicorn: Any = need("uvicorn", extra="serve")
    from scarce.flywheel._patience import patient

    listening = _bound(door)  # before the model is loaded, which takes seconds
    try:
        progress.say(f"loading {project.state.aliases().get('champion', 'the champion')}")
        app = application(project, token=door.token)
        _listen(listening, door)
    except BaseException:
        listening.close()
        raise
    shown = f"[{door.host}]" if ":" in door.host else door.host
    config = uvicorn.Config(
        app, http=patient(project.config.serve.seconds), ws="none", log_config=None, access_log=False, lifespan="on",
        server_header=False, limit_concurrency=CONNECTIONS, h11_max_incomplete_event_size=65536,
        timeout_graceful_shutdown=int(project.config.serve.seconds) + STOP_SECONDS,
    )  # fmt: skip
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    before = {number: signal.signal(number, _nothing) for number in (signal.SIGTERM, signal.SIGINT)}
    if started is not None:
        started(f"http://{shown}:{listening.getsockname()[1]}")
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        listening.close()
        for number, handler in before.items():
            signal.signal(number, handler)


def _nothing(_number: int, _frame: object) -> None:
    """End quietly: uvicorn hands a signal on once everything in flight is finished."""


def _bound(door: Door) -> socket.socket:
    """Return a socket that has the address; nobody can connect before :func:`_listen`."""
    family = socket.AF_INET6 if ":" in door.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # or asyncio leaves Nagle on
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((door.host, door.port))
    except OSError as error:
        listening.close()
        raise _taken(door, error) from error
    return listening


def _listen(listening: socket.socket, door: Door) -> None:
    try:
        listening.listen(CONNECTIONS)
    except OSError as error:  # another one that had the address at the same time was faster
        raise _taken(door, error) from error


def _taken(door: Door, error: OSError) -> ConfigError:
    what = f"{door.host}:{door.port} cannot be used ({error.strerror})"
    return ConfigError(WHO, what, do="choose another --port or --host")


def _give_threads(wanted: int) -> None:
    """Let a network compute with so many threads, and algebra with one: threads wait for each other, and spin."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=1, user_api="blas")
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(wanted or max(1, cores() // 2))


def _warm(deployed: Any) -> None:
    """Let a model answer once, so that the first client does not wait for what is made at the first call.

    Raises:
        StoreError: it cannot answer.
    """
    import cv2
    import numpy as np

    sample = b"warm" if deployed.modality == "text" else cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1]
    found = deployed.answer([bytes(sample)])
    if found[0].error is not None:
        raise StoreError(WHO, f"{deployed.name} cannot answer: {found[0].error}", do="train it again")
