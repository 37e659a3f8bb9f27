"""Image headers: size, channels, depth and orientation from the first bytes, without decoding a pixel."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

_FRAMES = frozenset((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF))
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_TIFF_SIZES = {1: 1, 3: 2, 4: 4}


@dataclass(frozen=True, kw_only=True)
class Header:
    """What an image file says about itself.

    Args:
        format: ``jpeg``, ``png``, ``bmp``, ``gif``, ``webp`` or ``tiff``.
        width: columns in pixels, as stored (before the EXIF rotation).
        height: rows in pixels, as stored.
        channels: 1 gray, 2 gray and alpha, 3 color, 4 color and alpha (or CMYK in a JPEG).
        bits: bits per channel.
        alpha: whether pixels may be transparent.
        orientation: EXIF orientation, 1 to 8.
        scan_at: where the picture's own data starts (JPEG), 0 where unknown.
    """

    format: str
    width: int
    height: int
    channels: int = 3
    bits: int = 8
    alpha: bool = False
    orientation: int = 1
    scan_at: int = 0

    @property
    def shown(self) -> tuple[int, int]:
        """(width, height) after the EXIF rotation."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def read_header(data: bytes) -> Header | None:
    """Return the header, or None where the bytes are no image that is known here (or are cut inside the header)."""
    try:
        for sign, parse in _PARSERS:
            if data.startswith(sign):
                found = parse(data)
                return found if found is None or (found.width > 0 and found.height > 0) else None
    except (struct.error, LookupError, ValueError):
        return None
    return None


def complete(data: bytes, header: Header) -> bool:
    """Return whether the file carries its format's end mark or full length; False = worth a strict second look."""
    if header.format == "jpeg":
        return data.rfind(b"\xff\xd9", max(header.scan_at, 2)) >= 0
    if header.format == "png":
        return data.rfind(b"IEND", max(0, len(data) - 4096)) >= 0
    if header.format == "webp":
        return int(struct.unpack_from("<I", data, 4)[0]) + 8 <= len(data) + 1
    if header.format == "bmp":
        stated = int(struct.unpack_from("<I", data, 2)[0])
        return stated <= len(data)
    return True


def _jpeg(data: bytes) -> Header | None:
    at, orientation, found = 2, 1, None
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            at += 1
            continue
        mark = data[at + 1]
        if mark in (0x00, 0x01, 0xFF) or 0xD0 <= mark <= 0xD8:
            at += 1 if mark == 0xFF else 2
            continue
        length = int(struct.unpack_from(">H", data, at + 2)[0])
        if mark == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            orientation = _orientation(data[at + 10 : at + 2 + length])
        elif mark in _FRAMES:
            bits, height, width, channels = struct.unpack_from(">BHHB", data, at + 4)
            found = Header(format="jpeg", width=width, height=height, channels=channels, bits=bits)
        elif mark == 0xDA:
            return found and replace(found, orientation=orientation, scan_at=at + 2 + length)
        elif mark == 0xD9:
            break
        at += 2 + length
    return found and replace(found, orientation=orientation, scan_at=min(at, len(data)))


def _png(data: bytes) -> Header | None:
    width, height, bits, kind = struct.unpack_from(">IIBB", data, 16)
    channels = _PNG_CHANNELS[kind]
    found = Header(format="png", width=width, height=height, channels=channels, bits=bits, alpha=kind in (4, 6))
    at = 8
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"IDAT":
            break
        if name == b"tRNS":
            found = replace(found, alpha=True)
        elif name == b"eXIf":
            found = replace(found, orientation=_orientation(data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def _bmp(data: bytes) -> Header | None:
    size = struct.unpack_from("<I", data, 14)[0]
    width, height, _, depth = struct.unpack_from("<HHHH" if size == 12 else "<iiHH", data, 18)
    channels = 4 if depth == 32 else 3
    return Header(format="bmp", width=abs(width), height=abs(height), channels=channels, alpha=False)


def _gif(data: bytes) -> Header | None:
    width, height = struct.unpack_from("<HH", data, 6)
    return Header(format="gif", width=width, height=height, alpha=True)


def _webp(data: bytes) -> Header | None:
    if data[8:12] != b"WEBP":
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        flags = data[20]
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
        at = data.find(b"EXIF", 30)
        exif = data[at + 8 :].removeprefix(b"Exif\0\0") if flags & 8 and at > 0 else b""
        found = Header(format="webp", width=width, height=height, alpha=bool(flags & 16))
        return replace(found, channels=4 if found.alpha else 3, orientation=_orientation(exif))
    if kind == b"VP8L":
        packed = int(struct.unpack_from("<I", data, 21)[0])
        alpha = bool(packed >> 28 & 1)
        width, height = 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
        return Header(format="webp", width=width, height=height, channels=4 if alpha else 3, alpha=alpha)
    width, height = struct.unpack_from("<HH", data, 26)
    return Header(format="webp", width=width & 0x3FFF, height=height & 0x3FFF)


def _tiff(data: bytes) -> Header | None:
    tags = _tags(data)
    if 256 not in tags or 257 not in tags:
        return None
    channels = tags.get(277, 1)
    return Header(
        format="tiff", width=tags[256], height=tags[257], channels=3 if tags.get(262) == 3 else channels,
        bits=tags.get(258, 1), alpha=338 in tags and channels in (2, 4), orientation=_sane(tags.get(274, 1)),
    )  # fmt: skip


def _orientation(exif: bytes) -> int:
    try:
        return _sane(_tags(exif).get(274, 1))
    except (struct.error, IndexError):
        return 1


def _sane(value: int) -> int:
    return value if 1 <= value <= 8 else 1


def _tags(data: bytes) -> dict[int, int]:
    """Return the first whole-number value of each tag in the first directory of a TIFF block."""
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return {}
    end = "<" if data[:2] == b"II" else ">"
    start = struct.unpack_from(end + "I", data, 4)[0]
    found: dict[int, int] = {}
    for index in range(struct.unpack_from(end + "H", data, start)[0]):
        at = start + 2 + 12 * index
        tag, kind, count = struct.unpack_from(end + "HHI", data, at)
        if kind not in _TIFF_SIZES:
            continue
        inside = _TIFF_SIZES[kind] * count <= 4
        at = at + 8 if inside else struct.unpack_from(end + "I", data, at + 8)[0]
        found[tag] = struct.unpack_from(end + {1: "B", 3: "H", 4: "I"}[kind], data, at)[0]
    return found


_PARSERS = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"BM", _bmp),
    (b"GIF8", _gif),
    (b"RIFF", _webp),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
)
