"""A local server that speaks the protocols of image and chat services, with faults that a test orders."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

if TYPE_CHECKING:
    from scarce.dataset import Dataset


@dataclass
class Call:
    """One request as it came."""

    path: str
    head: dict[str, str]
    body: Any
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Service:
    """The server's state: what came, what goes wrong next, and how it answers chats.

    ``faults`` are taken one by one, for each request: None = fine, a number = that status, a text = a name below.
    """

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    faults: list[int | str | None] = field(default_factory=list)
    chat: Callable[[str], str] = lambda prompt: "{}"  # noqa: ARG005
    retry_after: str = "0"
    answer: str = "b64_json"
    whole: Any = None
    """Answered as it is, where it is not None."""

    def picture(self, call: Call) -> bytes:
        """Return a new picture: noise, or the photo that came with its masked (or middle) part painted."""
        rng = np.random.default_rng(len(self.calls))
        if "image" not in call.files:
            return png(rng.integers(0, 256, (48, 48, 3), np.uint8))
        photo = cv2.imdecode(np.frombuffer(call.files["image"], np.uint8), cv2.IMREAD_COLOR_RGB)
        if "mask" in call.files:
            alpha = cv2.imdecode(np.frombuffer(call.files["mask"], np.uint8), cv2.IMREAD_UNCHANGED)[..., 3]
            assert alpha.shape == photo.shape[:2]
        return png(rng.integers(0, 256, photo.shape, np.uint8))


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()


class _Handler(BaseHTTPRequestHandler):
    service: Service

    def log_message(self, *args: Any) -> None:
        return

    def do_GET(self) -> None:
        self.service.calls.append(Call(self.path, dict(self.headers), None))
        rng = np.random.default_rng(len(self.service.calls))
        self._send(200, png(rng.integers(0, 256, (40, 40, 3), np.uint8)), "image/png")

    def do_POST(self) -> None:
        service = self.service
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        call = Call(self.path, dict(self.headers), None)
        if self.headers["Content-Type"].startswith("multipart/form-data"):
            call.body = {}
            whole = message_from_bytes(
                b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + raw, policy=HTTP
            )
            for part in whole.iter_parts():
                name = part.get_param("name", header="content-disposition")
                if part.get_filename():
                    call.files[name] = part.get_payload(decode=True)
                else:
                    call.body[name] = part.get_content().strip()
        else:
            call.body = json.loads(raw)
        service.calls.append(call)
        fault = service.faults.pop(0) if service.faults else None
        if fault == "hang up":
            self.connection.close()
            return
        if fault == "no json":
            self._send(200, b"<html>busy</html>", "text/html")
            return
        if isinstance(fault, int):
            head = {"Retry-After": service.retry_after} if fault == 429 else {}
            head |= {"Location": "http://127.0.0.1:1/elsewhere"} if fault == 307 else {}
            self._send(fault, json.dumps({"error": {"message": f"ordered {fault}"}}).encode(), "application/json", head)
            return
        whole = self._answer(call, str(fault or "")) if service.whole is None else service.whole
        self._send(200, json.dumps(whole).encode(), "application/json")

    def _answer(self, call: Call, fault: str) -> dict[str, Any]:
        service = self.service
        if call.path.endswith("/chat/completions"):
            text = service.chat(call.body["messages"][-1]["content"])
            return {"model": call.body["model"], "choices": [{"message": {"role": "assistant", "content": text}}]}
        if ":generateContent" in call.path:
            parts = call.body["contents"][0]["parts"]
            inline = [part["inline_data"]["data"] for part in parts if "inline_data" in part]
            call.files |= {"image": base64.b64decode(inline[0])} if inline else {}
            if fault == "blocked":
                return {"promptFeedback": {"blockReason": "SAFETY"}, "candidates": []}
            data = base64.b64encode(service.picture(call)).decode()
            picture = {"inlineData": {"mimeType": "image/png", "data": data}}
            return {"candidates": [{"content": {"parts": [{"text": "Here"}, picture]}}], "modelVersion": "tiny-2"}
        items: list[dict[str, str]] = []
        for index in range(int(call.body.get("n", 1))):
            if service.answer == "url":
                items.append({"url": f"{service.url}/files/{index}.png"})
                continue
            body = (
                base64.b64encode(service.picture(call)).decode()
                if not index
                else base64.b64encode(
                    png(np.random.default_rng([len(service.calls), index]).integers(0, 256, (48, 48, 3), np.uint8))
                ).decode()
            )
            broken = {"broken base64": "@@" + body[2:], "broken picture": body[: len(body) // 8 * 4]}
            items.append({"b64_json": broken.get(fault, body), "revised_prompt": "as told"})
        return {"created": 1, "data": items}

    def _send(self, code: int, body: bytes, kind: str, head: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for key, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(head or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def service() -> Iterator[Service]:
    """A server on this machine."""
    state = Service()
    handler = type("Handler", (_Handler,), {"service": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def parts(some_garments: Dataset) -> Dataset:
    """Garments with trousers as the sound class and bags as the rare one."""
    return replace(some_garments, schema=replace(some_garments.schema, normal_classes=("Trouser",)))
