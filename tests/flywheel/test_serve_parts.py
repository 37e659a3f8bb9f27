"""Limits, batches and the door, without a server."""

from __future__ import annotations

import asyncio
import io
import struct
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.flywheel.malformed import picture

from scarce.errors import ConfigError
from scarce.flywheel._gather import Gatherer, Item
from scarce.flywheel._guard import Guard
from scarce.flywheel._limits import Limits, RefusedError, no_room
from scarce.flywheel.serve import Door, read_token
from scarce.modality import raw

LIMITS = Limits(size=2**20, pixels=1_000_000, most=4, seconds=0.5)


def test_a_disk_without_room_is_told(tmp_path: Path) -> None:
    assert no_room(tmp_path) == ""
    assert "MB left, too little to log" in no_room(tmp_path, least=1 << 60)
    assert "cannot be reached" in no_room(tmp_path / "gone")


def bomb(width: int, height: int) -> bytes:
    """A whole PNG of a few kilobytes that says it has so many pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(100_000)))
        + chunk(b"IEND", b"")
    )


def jpeg(size: tuple[int, int] = (40, 30)) -> bytes:
    body = io.BytesIO()
    Image.new("RGB", size, "gray").save(body, "JPEG")
    return body.getvalue()


def test_a_picture_is_judged_by_its_header() -> None:
    assert LIMITS.picture(jpeg()) == 1200
    for content, status in ((b"", 422), (b"GIF", 415), (b"%PDF-1.7", 415), (bomb(30_000, 30_000), 413)):
        with pytest.raises(RefusedError) as caught:
            LIMITS.picture(content)
        assert caught.value.status == status
    with pytest.raises(RefusedError, match="scans"):
        LIMITS.picture(jpeg() + b"\xff\xda" * 200)
    with pytest.raises(RefusedError, match="empty"):
        LIMITS.text("  ")


def test_no_broken_picture_breaks_the_limits() -> None:
    told: set[int] = set()
    for number in range(400):
        content = picture(np.random.default_rng(number), [jpeg(), bomb(28, 28)])
        try:
            assert 0 < LIMITS.picture(content) <= LIMITS.pixels
        except RefusedError as error:
            told.add(error.status)
    assert told == {413, 415, 422}


def items(n: int, weight: int = 1) -> list[Item]:
    return [Item(request=str(k), content=b"", sample=str(k), weight=weight) for k in range(n)]


def gatherer(answer: Callable[[list[Item]], None], **changes: Any) -> Gatherer:
    return Gatherer(answer, **{"batch": 8, "weight": 100, "wait": 0.2, "waiting": 20, **changes})


def test_samples_of_many_requests_go_to_the_model_together() -> None:
    sizes: list[int] = []

    def answer(batch: list[Item]) -> None:
        sizes.append(len(batch))
        for item in batch:
            item.settle({"request": item.request})

    door = gatherer(answer)
    waiting = items(19)
    door.put(waiting[:12])
    door.put(waiting[12:])
    with pytest.raises(RefusedError) as caught:
        door.put(items(2))
    assert (caught.value.status, caught.value.after) == (503, 1)
    waiting[3].future.cancel()  # its client went away
    door.start()
    door.stop(5)
    assert sizes == [8, 8, 2]
    assert [item.future.result(0)["request"] for item in waiting if not item.future.cancelled()] == [
        str(k) for k in range(12) if k != 3] + [str(k) for k in range(12, 19)]  # fmt: skip
    with pytest.raises(RefusedError, match="stopping"):
        door.put(items(1))


def test_while_nothing_waits_the_thread_looks_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scarce.flywheel._gather.IDLE_SECONDS", 0.01)
    looked, answered = threading.Event(), threading.Event()
    door = Gatherer(lambda _: answered.set(), batch=8, weight=100, wait=0.0, waiting=20, idle=looked.set)
    door.start()
    assert looked.wait(10)
    door.put(items(1))
    assert answered.wait(10)
    door.stop(10)
    assert not door.alive


def test_heavy_samples_go_alone_and_a_broken_model_is_told() -> None:
    sizes: list[int] = []

    def answer(batch: list[Item]) -> None:
        sizes.append(len(batch))
        raise ValueError("broken")

    door = gatherer(answer, weight=10)
    waiting = items(4, weight=6)
    door.put(waiting)
    door.start()
    door.stop(5)
    assert sizes == [1, 1, 1, 1]
    assert all(isinstance(item.future.exception(0), ValueError) for item in waiting)


def test_one_request_alone_does_not_wait_and_announced_ones_are_waited_for() -> None:
    sizes: list[int] = []

    def answer(batch: list[Item]) -> None:
        sizes.append(len(batch))
        for item in batch:
            item.settle({})

    door = gatherer(answer, wait=5.0)
    door.start()
    since = time.perf_counter()
    (alone,) = items(1)
    door.put([alone])
    alone.future.result(4)
    assert time.perf_counter() - since < 4
    door.expect(1)
    first, second = items(2)
    door.put([first])
    threading.Timer(0.05, lambda: (door.put([second]), door.expect(-1))).start()
    second.future.result(4)
    door.stop(5)
    assert sizes == [1, 2]


class Told:
    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def request(self, path: str, status: int, seconds: float) -> None:
        self.seen.append((path, status))


async def reading(scope: Any, receive: Any, send: Any) -> None:
    """Read the whole body, then answer."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"fine"})


def asked(guard: Guard, parts: list[bytes] | None = None, *, path: str = "/predict", **headers: str) -> int:
    """Send a body in parts through the door; None = it never comes. Return the status."""
    told: list[Any] = []
    left = list(parts or [])

    async def receive() -> Any:
        if not left:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message: Any) -> None:
        told.append(message)

    shown = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "path": path, "headers": shown}
    asyncio.run(guard(scope, receive, send))
    return int(told[0]["status"])


def test_the_door_counts_bytes_time_and_tokens() -> None:
    meter: Any = Told()
    local = Guard(reading, limits=LIMITS, token=None, meter=meter)
    assert asked(local, [b"x"]) == 200
    assert asked(local, content_length=str(2**30)) == 413
    assert asked(local, [bytes(2**19)] * 3) == 413
    assert asked(local, None) == 408
    assert asked(local, [b"x"], host="localhost:8000", origin="http://127.0.0.1:8000") == 200
    assert asked(local, [b"x"], host="evil.example") == asked(local, [b"x"], origin="https://evil.example") == 403
    assert asked(local, [b"x"], host="[::1") == 403
    closed = Guard(reading, limits=LIMITS, token="a" * 32, meter=meter)
    assert asked(closed, [b"x"]) == asked(closed, [b"x"], authorization="Bearer " + "a" * 31) == 401
    assert asked(closed, [b"x"], authorization="Basic " + "a" * 32) == 401
    assert asked(closed, [b"x"], authorization="bearer " + "a" * 32, host="line-7:8000") == 200
    assert asked(closed, [b"x"], path="/health") == 200
    assert local._held == closed._held == 0  # nothing is counted as held for ever
    assert len(meter.seen) == 13


async def sleeping(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await asyncio.sleep(60)


def test_a_model_that_takes_too_long_is_told() -> None:
    meter: Any = Told()
    assert asked(Guard(sleeping, limits=LIMITS, token=None, meter=meter), [b"x"]) == 503
    assert meter.seen == [("/predict", 503)]


def test_other_machines_need_a_token(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no token"):
        Door(host="0.0.0.0")
    with pytest.raises(ConfigError, match="at least 16"):
        Door(host="0.0.0.0", token="short")
    file = tmp_path / "token.txt"
    file.write_text("  " + "s" * 32 + "\n")
    monkeypatch.delenv("SCARCE_TOKEN", raising=False)
    assert read_token(None) is None
    assert Door(host="0.0.0.0", token=read_token(file)).token == "s" * 32
    monkeypatch.setenv("SCARCE_TOKEN", "e" * 32)
    assert read_token(None) == "e" * 32
    file.write_text("\n")
    for path, why in ((file, "empty"), (tmp_path / "none", "cannot be read")):
        with pytest.raises(ConfigError, match=why):
            read_token(path)


def test_contents_in_memory_are_read_like_files_while_they_are_held() -> None:
    with raw.held([b"one", b"two"]) as paths:
        assert [raw.read_bytes(path) for path in paths] == [b"one", b"two"]
    with pytest.raises(raw.BrokenSampleError, match="missing"):
        raw.read_bytes(paths[0])


def test_numbers_of_pictures_are_told_by_their_header() -> None:
    assert LIMITS.picture(jpeg((100, 50))) == 5000
    body = io.BytesIO()
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(body, "PNG")
    assert LIMITS.picture(body.getvalue()) == 600
