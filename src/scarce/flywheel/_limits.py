"""What a request may bring: told before anything is decoded."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scarce.modality.header import read_header

KINDS: Final = ("image", "text")
"""Kinds of data that are answered over HTTP: a sample is one file, or one text."""
SCANS: Final = 100
"""A progressive JPEG with more scans than this would be decoded for minutes; cameras write at most about 20."""
LETTERS: Final = 1_000_000
"""Longest text."""


ROOM: Final = 16 << 20
"""Bytes that must be free on the disk of a project whose server is ready: what is not logged is not answered."""


class RefusedError(Exception):
    """A request, or one sample of it, that is not answered.

    Args:
        status: HTTP status that says so.
        why: for people.
        after: seconds after which it may be worth to try again; None = never.
    """

    def __init__(self, status: int, why: str, *, after: int | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.after = status, why, after


def no_room(folder: Path, *, least: int = ROOM) -> str:
    """Return what is wrong with the disk of a folder; empty = it has room for ``least`` bytes."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return f"the folder of the project cannot be reached: {error}"
    return "" if free >= least else f"the disk has {free / 1e6:.1f} MB left, too little to log predictions"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Sizes that a sample keeps to.

    Attributes:
        size: bytes of a request.
        pixels: of one picture.
        most: samples of a request.
        seconds: until a request is answered.
    """

    size: int
    pixels: int
    most: int
    seconds: float

    def picture(self, content: bytes) -> int:
        """Return the pixels of a picture, told by its header.

        Raises:
            RefusedError: it is none, has too many, or would take minutes to decode.
        """
        header = read_header(content)
        if header is None:
            what = "the body is empty" if not content else "this is no JPEG, PNG, WebP, BMP, GIF or TIFF"
            raise RefusedError(415 if content else 422, what)
        if header.width * header.height > self.pixels:
            raise RefusedError(413, f"{header.width} x {header.height} pixels are too many; the most is "
                               f"{self.pixels:,} in all ([serve] megapixels)")  # fmt: skip
        if header.format == "jpeg" and content.count(b"\xff\xda") > SCANS:
            raise RefusedError(413, f"a JPEG of more than {SCANS} scans is refused")
        return header.width * header.height

    def text(self, content: str) -> int:
        """Return 1, the weight of a text.

        Raises:
            RefusedError: it is empty or too long.
        """
        if not content.strip():
            raise RefusedError(422, "the text is empty")
        if len(content) > LETTERS:
            raise RefusedError(413, f"a text of {len(content):,} letters is too long; the most is {LETTERS:,}")
        return 1
