"""Pictures as data URIs, small enough that the whole page keeps under its limit."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from scarce.report.model import Exhibit

SIDES = (320, 240, 180, 128, 96, 64, 48)
SMALL = 64
"""Pictures up to this side stay exact (PNG); larger ones become JPEG."""


@dataclass(frozen=True)
class Shown:
    """A picture as the page holds it: the data URI, and its size in pixels."""

    uri: str
    width: int
    height: int
    pixels: bool
    """True if the original is so small that it is enlarged without smoothing."""


class Album:
    """The pictures of one page, reduced together until they fit ``limit`` bytes.

    A picture that cannot be decoded is left out; the page then shows its name.
    """

    def __init__(self, exhibits: Iterable[Exhibit], *, limit: int) -> None:
        wanted = {exhibit.data: exhibit for exhibit in exhibits if exhibit.data}
        opened = {data: picture for data in wanted if (picture := _open(data)) is not None}
        self._shown: dict[bytes, Shown] = {}
        self.side = 0
        for side in SIDES:
            self._shown = {data: _encode(picture, side) for data, picture in opened.items()}
            self.side = side
            if sum(len(shown.uri) for shown in self._shown.values()) <= limit:
                return
        room = limit
        for data, shown in list(self._shown.items()):
            room -= len(shown.uri)
            if room < 0:
                del self._shown[data]

    def __getitem__(self, exhibit: Exhibit) -> Shown | None:
        """Return the picture of an exhibit, or None where there is none."""
        return self._shown.get(exhibit.data) if exhibit.data else None

    def __len__(self) -> int:
        """Return the number of pictures that fit."""
        return len(self._shown)


def _open(data: bytes) -> Any:
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data)) as file:
            file.draft("RGB", (2 * SIDES[0], 2 * SIDES[0]))
            picture = ImageOps.exif_transpose(file)
            if picture.mode.startswith(("I", "F")):
                picture = _stretch(picture)
            elif picture.mode not in ("L", "RGB"):
                clear = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
                picture = _on_white(picture) if clear else picture.convert("RGB")
            small = picture.copy()
            small.thumbnail((SIDES[0], SIDES[0]))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return small


def _stretch(picture: Any) -> Any:
    """Return a 16- or 32-bit picture as 8-bit gray over its own range."""
    from PIL import Image

    low, high = picture.getextrema()
    scale = 255.0 / max(float(high) - float(low), 1e-9)
    return Image.fromarray(((_array(picture) - float(low)) * scale).astype("uint8"))


def _array(picture: Any) -> Any:
    import numpy as np

    return np.asarray(picture, np.float64)


def _on_white(picture: Any) -> Any:
    from PIL import Image

    layer = picture.convert("RGBA")
    ground = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(ground, layer).convert("RGB")


def _encode(picture: Any, side: int) -> Shown:
    small = picture.copy()
    pixels = max(picture.size) <= SMALL
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    if max(small.size) <= SMALL:
        small.save(buffer, "PNG", optimize=True)
        kind = "png"
    else:
        small.save(buffer, "JPEG", quality=80, optimize=True)
        kind = "jpeg"
    text = base64.b64encode(buffer.getvalue()).decode()
    return Shown(f"data:image/{kind};base64,{text}", small.width, small.height, pixels)
