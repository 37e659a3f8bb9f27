"""A machine-learning backend for Label Studio: our predictions, and the order of our queue as their scores.

It answers ``/health``, ``/setup``, ``/predict`` and ``/webhook`` as Label Studio 1.x asks them, and ``/queue`` for
people. A prediction's score is 1 - priority, so that Label Studio's "uncertainty sampling" (the lowest score first)
asks in our order. New versions of the project are noticed by themselves.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.errors import ConfigError, ScarceError
from scarce.io.label_studio import ID
from scarce.label_studio.task import choice, model_name
from scarce.loop.asking import questions
from scarce.loop.rounds import featured
from scarce.loop.standing import probabilities, spoken

if TYPE_CHECKING:
    from scarce.dataset import Array, Dataset
    from scarce.project import Project

_log = logging.getLogger("scarce.label_studio")
MOST_BYTES: Final = 64_000_000
"""Longer requests are refused."""


@dataclass(eq=False)
class Backend:
    """What is answered, without the network.

    Args:
        project: whose newest version and queue are served.
    """

    project: Project
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _known: tuple[str, Dataset, Array | None] | None = None

    def answer(self, path: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what a request is answered with; None = there is no such address."""
        place = path.partition("?")[0].rstrip("/")
        if place in ("", "/health"):
            return {"status": "UP", "model_class": "scarce", "v2": False}
        if place == "/setup":
            return {"model_version": self.version()}
        if place == "/versions":
            return {"versions": [self.version()]}
        if place == "/queue":
            return {"model_version": self.version(), "queue": self.queue()}
        if place == "/predict":
            return {"results": self.predict(body.get("tasks") or []), "model_version": self.version()}
        if place == "/webhook":
            return {"result": str(body.get("action") or "noted"), "status": "ok"}
        return None

    def version(self) -> str:
        """Return the name of the version that is served."""
        return model_name(self.project)

    def queue(self) -> list[dict[str, Any]]:
        """Return the questions that wait, the most urgent first."""
        return [
            {"sample": item.sample, "priority": item.priority, "reason": item.reason, "kind": item.kind}
            for item in questions(self.project, self._current()[0])
        ]  # fmt: skip

    def predict(self, tasks: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return one prediction for each task; an empty one where the sample is unknown or no model is there yet."""
        ds, probs = self._current()
        row_of = {sample: row for row, sample in enumerate(ds.ids.tolist())}
        priority = {item.sample: item.priority for item in questions(self.project, ds)[::-1]}
        found = []
        for task in tasks:
            sample = (task.get("data") or {}).get(ID) or (task.get("meta") or {}).get(ID)
            row = row_of.get(sample)
            if row is None or probs is None or not np.isfinite(probs[row]).all():
                found.append({"result": [], "score": 0.0, "model_version": self.version()})
                continue
            best = int(probs[row].argmax())
            score = 1 - priority[sample] if sample in priority else float(probs[row, best])
            result = {**choice(ds, ds.schema.classes[best]), "score": round(float(probs[row, best]), 6)}
            found.append({"result": [result], "score": round(score, 6), "model_version": self.version()})
        return found

    def _current(self) -> tuple[Dataset, Array | None]:
        """Return the newest version and its probabilities, made once a version."""
        with self._lock:
            head = self.project.head or ""
            if self._known is None or self._known[0] != head:
                ds, features = featured(self.project)
                mine = ds.with_columns({"label": np.where(spoken(ds), ds["label"], -1)})
                self._known = (head, ds, probabilities(mine, features))
            return self._known[1], self._known[2]


def serve(project: Project, *, host: str = "127.0.0.1", port: int = 9090) -> ThreadingHTTPServer:
    """Return a server that is bound and ready; ``serve_forever()`` runs it, ``server_port`` says where.

    Args:
        project: whose predictions and queue are served.
        host: address to listen on; the default is reached from this machine only.
        port: 0 = any free one.

    Raises:
        ConfigError: the address cannot be used.
    """
    backend = Backend(project)

    class Requests(_Requests):
        served = backend

    try:
        return ThreadingHTTPServer((host, port), Requests)
    except OSError as error:
        what = f"{host}:{port} cannot be used ({error.strerror or error})"
        raise ConfigError("label studio backend", what, do="choose another --port") from error


class _Requests(BaseHTTPRequestHandler):
    """One request."""

    served: Backend
    timeout = 60

    def do_GET(self) -> None:
        self._reply({})

    def do_POST(self) -> None:
        try:
            length = int(self.headers.get("Content-Length") or 0)
            if not 0 <= length <= MOST_BYTES:
                self._send(413, {"error": f"more than {MOST_BYTES} bytes"})
                return
            body = json.loads(self.rfile.read(length) or b"{}")
        except ValueError:
            self._send(400, {"error": "no JSON"})
            return
        if not isinstance(body, dict):
            self._send(400, {"error": "no JSON object"})
            return
        self._reply(body)

    def _reply(self, body: Mapping[str, Any]) -> None:
        try:
            found = self.served.answer(self.path, body)
        except (ScarceError, TypeError, AttributeError) as error:
            _log.warning("%s: %s", self.path, error)
            self._send(500 if isinstance(error, ScarceError) else 400, {"error": str(error)})
            return
        self._send(*((404, {"error": f"there is no {self.path}"}) if found is None else (200, found)))

    def _send(self, code: int, body: Mapping[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        _log.info(format, *args)
