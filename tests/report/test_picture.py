from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from scarce.report import Exhibit
from scarce.report.picture import Album


def encoded(array: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def opened(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_small_pictures_stay_exact() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    item = Exhibit(name="a", data=encoded(pixels))
    shown = Album([item], limit=10_000)[item]
    assert shown is not None
    assert shown.pixels
    np.testing.assert_array_equal(opened(shown.uri), pixels)


def test_many_large_pictures_are_reduced_together_until_they_fit() -> None:
    rng = np.random.default_rng(1)
    items = [
        Exhibit(name=str(i), data=encoded(rng.integers(0, 256, (400, 600, 3), np.uint8), "JPEG")) for i in range(30)
    ]
    album = Album(items, limit=300_000)
    assert len(album) == 30
    assert album.side < 320
    assert sum(len(album[item].uri) for item in items) <= 300_000


def test_what_cannot_fit_is_left_out() -> None:
    rng = np.random.default_rng(1)
    items = [Exhibit(name=str(i), data=encoded(rng.integers(0, 256, (64, 64, 3), np.uint8))) for i in range(9)]
    album = Album(items, limit=20_000)
    assert 0 < len(album) < 9


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_broken_pictures_are_left_out(data: bytes) -> None:
    item = Exhibit(name="a", data=data)
    assert Album([item], limit=10_000)[item] is None


def test_sixteen_bit_transparency_and_rotation() -> None:
    deep = np.linspace(0, 4095, 32 * 32).reshape(32, 32).astype(np.uint16)
    clear = np.zeros((32, 32, 4), np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    tall = encoded(np.zeros((40, 80, 3), np.uint8), "JPEG", exif=turned)
    items = [Exhibit(name=str(i), data=data) for i, data in enumerate((encoded(deep), encoded(clear), tall))]
    album = Album(items, limit=100_000)
    first, second, third = (album[item] for item in items)
    assert opened(first.uri).max() == 255
    assert (opened(second.uri) == 255).all()
    assert (third.width, third.height) == (40, 80)
