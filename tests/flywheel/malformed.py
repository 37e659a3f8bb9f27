"""Requests that no honest client sends: broken pictures, JSON, forms, headers; each is drawn from a seed."""

from __future__ import annotations

import collections
import contextlib
import io
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

Draw = np.random.Generator
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
KINDS = (
    "image/png", "image/jpeg", "application/octet-stream", "application/json", "text/plain; charset=\xff", "a/b", "",
    "multipart/form-data", "multipart/form-data; boundary=" + "x" * 300, "image/*", "a" * 4000,
)  # fmt: skip
PATHS = (
    "/predict", "/predict/batch", "/feedback", "/nothing", "/predict/../feedback", "/%00", "/predict?source=%ff",
    "/predict?source=" + "x" * 200, "/feedback?new_classes=perhaps", "/ready?" + "&" * 500, "//predict",
)  # fmt: skip
JSONS: tuple[Any, ...] = (
    None, 0, -1, 1e308, 2**70, "", "\x00", "\ud800", "x" * 3000, [], {}, [[]], True, {"request": 1}, [None] * 50,
)  # fmt: skip


def request(draw: Draw, pictures: Sequence[bytes]) -> bytes:
    """Return the bytes of one request."""
    makers: tuple[Callable[[Draw, Sequence[bytes]], bytes], ...] = (
        _picture, _picture, _picture, _picture, _form, _feedback, _feedback, _head,
    )  # fmt: skip
    return makers[int(draw.integers(len(makers)))](draw, pictures)


def broken(draw: Draw, content: bytes) -> bytes:
    """Return content with flipped bits, lost, doubled or foreign parts."""
    out = bytearray(content)
    for _ in range(int(draw.integers(1, 4))):
        at, to = sorted(int(place) for place in draw.integers(0, max(len(out), 1), 2))
        way = int(draw.integers(6))
        if not out:
            break
        if way == 0:
            for place in draw.integers(0, len(out), int(draw.integers(1, 100))).tolist():
                out[place] ^= 1 << int(draw.integers(8))
        elif way == 1:
            del out[at:]
        elif way == 2:
            del out[at:to]
        elif way == 3:
            out[at:at] = out[at:to]
        elif way == 4:
            out[at:to] = draw.bytes(min(to - at, 2000))
        else:
            out[at : at + 4] = draw.choice([b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff"])
    return bytes(out)


def picture(draw: Draw, pictures: Sequence[bytes]) -> bytes:
    """Return a picture that is broken, of an odd kind, or a bomb."""
    odd = int(draw.integers(10))
    if odd == 0:
        return png(int(draw.choice([1, 900, 30_000, 2**31 - 1, 0])), int(draw.choice([1, 900, 2**31 - 1, 0])))
    if odd == 1:
        extra = zlib.compress(bytes(20_000_000), 9) if draw.random() < 0.2 else draw.bytes(100)
        return png(28, 28, between=chunk(draw.choice([b"iCCP", b"zTXt", b"eXIf", b"tRNS"]), b"x\0\0" + extra))
    opened = Image.open(io.BytesIO(pictures[int(draw.integers(len(pictures)))]))
    image = opened.convert(str(draw.choice(["L", "RGB", "RGBA", "1", "P", "CMYK", "I;16"])) if odd == 2 else "RGB")
    body = io.BytesIO()
    name = "TIFF" if image.mode in {"CMYK", "I;16"} else str(draw.choice(FORMATS))
    if name == "JPEG" and image.mode in {"RGBA", "P"}:
        name = "PNG"
    image.save(body, name)
    return body.getvalue() if odd == 2 else broken(draw, body.getvalue())


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG with its check sum."""
    name = bytes(name)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, between: bytes = b"") -> bytes:
    """Return a whole PNG that says it has so many pixels, with few bytes of them."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(100_000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + between + data + chunk(b"IEND", b"")


def framed(path: str, body: bytes, kind: str, *, method: str = "POST", length: int | None = None) -> bytes:
    """Return a whole request."""
    size = len(body) if length is None else length
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n"
    return (head + "Connection: close\r\n\r\n").encode("latin-1") + body


def _any(draw: Draw, options: Sequence[str]) -> str:
    return options[int(draw.integers(len(options)))]


def _picture(draw: Draw, pictures: Sequence[bytes]) -> bytes:
    kind = _any(draw, KINDS) if draw.random() < 0.3 else "image/png"
    return framed(_any(draw, PATHS) if draw.random() < 0.2 else "/predict", picture(draw, pictures), kind)


def _form(draw: Draw, pictures: Sequence[bytes]) -> bytes:
    name = _any(draw, ("files", "file", "", "x" * 500, '"', "\xff"))
    body = b"".join(
        f'--edge\r\nContent-Disposition: form-data; name="{name}"; filename="a.png"\r\n\r\n'.encode("latin-1")
        + picture(draw, pictures) + b"\r\n" for _ in range(int(draw.integers(0, 6)))
    ) + b"--edge--\r\n"  # fmt: skip
    body = broken(draw, body) if draw.random() < 0.5 else body
    return framed(_any(draw, ("/predict/batch", "/predict")), body, "multipart/form-data; boundary=edge")


def _feedback(draw: Draw, _: Sequence[bytes]) -> bytes:
    row: dict[str, Any] = {"request": "x", "label": "Bag", "confirm": True, "voter": "ann", "note": ""}
    for _turn in range(int(draw.integers(0, 3))):
        key = _any(draw, [*row, "other"])
        row[key] = JSONS[int(draw.integers(len(JSONS)))]
    body = json.dumps([row] * int(draw.choice([0, 1, 2, 1001]))).encode()
    way = int(draw.integers(5))
    if way == 0:
        body = broken(draw, body)
    elif way == 1:
        body = b"[" * int(draw.integers(1, 60_000))
    elif way == 2:
        body = json.dumps(JSONS[int(draw.integers(len(JSONS)))]).encode()
    return framed(_any(draw, ("/feedback", "/feedback", "/predict")), body, "application/json")


def _head(draw: Draw, pictures: Sequence[bytes]) -> bytes:
    whole = framed("/predict", pictures[0], "image/png")
    head, _, body = whole.partition(b"\r\n\r\n")
    way = int(draw.integers(9))
    if way == 0:
        return broken(draw, head) + b"\r\n\r\n" + body
    if way == 1:
        return head + b"\r\nX: " + b"a" * int(draw.integers(1, 200_000)) + b"\r\n\r\n" + body
    if way == 2:
        return head + b"\r\nX: 1" * int(draw.integers(1, 5000)) + b"\r\n\r\n" + body
    if way == 3:
        return head + b"\r\nContent-Length: 5\r\n\r\n" + body
    if way == 4:
        return head + b"\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + body
    if way == 5:
        return framed("/predict", b"", "image/png", method=_any(draw, ("PUT", "GET", "TRACE", "\x00", "A" * 300)))
    if way == 6:
        return framed("/predict", pictures[0], "image/png", length=int(draw.choice([-1, 10, 2**40])))
    if way == 7:
        return bytes(draw.bytes(int(draw.integers(1, 5000)))) + b"\r\n\r\n"
    return head + b"\r\nHost: " + draw.bytes(20).replace(b"\n", b"") + b"\r\nOrigin: null\r\n\r\n" + body


def sent(port: int, whole: bytes, seconds: float) -> str:
    """Return the status of the answer, ``closed`` where there is none, or ``hang``."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=seconds) as link:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before everything was read
                link.sendall(whole)
            answer = b""
            while len(answer) < 12 and (part := link.recv(4096)):
                answer += part
    except TimeoutError:
        return "hang"
    except ConnectionResetError:
        return "closed"
    return answer[9:12].decode("latin-1") if answer.startswith(b"HTTP/") else "closed"


def storm(
    port: int, pictures: Sequence[bytes], *, first: int, count: int, threads: int = 4, seconds: float = 30.0
) -> tuple[dict[str, int], float]:
    """Send requests ``first`` to ``first + count`` and return how often each status came, and the longest time."""
    found: collections.Counter[str] = collections.Counter()
    longest = [0.0]
    numbers = iter(range(first, first + count))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            whole = request(np.random.default_rng(number), pictures)
            since = time.perf_counter()
            status = sent(port, whole, seconds)
            with lock:
                found[status] += 1
                longest[0] = max(longest[0], time.perf_counter() - since)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return dict(found), longest[0]
