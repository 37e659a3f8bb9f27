"""Simple properties of samples that a person can name: brightness, size, duration, camera, file name ..."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np

from scarce.audit._quality import log_of
from scarce.dataset import Array, Dataset, Floats, Ints

CONTENT: Final[Mapping[str, tuple[str, str, bool]]] = {
    "mean": ("brightness", "image", False), "std": ("contrast", "image", False),
    "sharpness": ("sharpness", "image", True), "entropy": ("detail", "image", False),
    "edge_density": ("edges", "image", False), "rms": ("loudness", "audio", True), "peak": ("peak", "audio", False),
    "silence": ("silence", "audio", False), "seconds": ("duration", "audio", False),
    "length": ("length", "text", True), "digits": ("digits", "text", False), "capitals": ("capitals", "text", False),
    "missing": ("share of missing values", "", False), "zeros": ("share of zeros", "", False),
}  # fmt: skip
"""Numbers of the scan that the content itself moves: name for people, kind of data (empty = any), logarithm."""
MOST_KINDS = 60
"""A column with more different words names samples, not kinds."""
_EXIF_NAMES = (".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".png")
_MAKE, _MODEL, _DATE, _DETAILS, _TAKEN = 271, 272, 306, 0x8769, 36867


@dataclass(frozen=True, eq=False)
class Property:
    """One property of N samples.

    Attributes:
        name: as people call it.
        values: (N,) float64, NaN = not known; or (N,) str, "" = not known.
        by_content: what the sample shows moves it (a dark coat is dark), unlike how it was taken or filed.
        log: the values are natural logarithms of what people want to read.
        is_time: the values are times, in days.
    """

    name: str
    values: Array
    by_content: bool
    log: bool = False
    is_time: bool = False

    @property
    def is_number(self) -> bool:
        """Whether the values are numbers."""
        return self.values.dtype.kind == "f"

    def text(self, value: Any) -> str:
        """Return a value for people."""
        if self.is_time:
            return str(np.datetime64(0, "s") + np.timedelta64(int(value * 86_400), "s"))
        if not self.is_number:
            return f'"{value}"'
        return f"{np.exp(value) if self.log else value:.4g}"

    @property
    def varies(self) -> bool:
        """Whether there are two values at least."""
        known = self.values[np.isfinite(self.values)] if self.is_number else self.values[self.values != ""]
        return len(known) > 1 and len(np.unique(known)) > 1


def properties(ds: Dataset, *, files: bool = True) -> list[Property]:
    """Return the properties that differ between the samples, in a fixed order.

    Args:
        ds: N rows; ``scan.*``, ``meta.*``, ``captured_at``, ``source`` and the uris are used as far as they are there.
        files: open the files of pictures for the camera and the time in their EXIF data; pixels are not decoded.
    """
    found = [*_measured(ds), *_filed(ds), *_columns(ds)]
    if files and ds.schema.modality == "image":
        found += _exif(ds)
    unique = {item.name: item for item in reversed(found) if item.varies}
    return [unique[item.name] for item in found if unique.get(item.name) is item]


def groups_of(ds: Dataset) -> Ints:
    """Return (N,) numbers of what belongs together: split groups or the user's groups; others stand alone."""
    names = np.array([f"\0{row}" for row in range(len(ds))], object)
    for column in ("split_group", "group"):
        if column in ds:
            own = ds[column]
            names = np.where(own == None, names, own)  # noqa: E711  elementwise
            break
    return np.asarray(np.unique(names.astype(str), return_inverse=True)[1], np.int64)


def _measured(ds: Dataset) -> Iterator[Property]:
    for column, (name, modality, log) in CONTENT.items():
        values = _scan(ds, column)
        if values is not None and modality in ("", ds.schema.modality):
            yield Property(name, log_of(values, 1e-6) if log else values, by_content=True, log=log)
    width, height, size = (_scan(ds, name) for name in ("width", "height", "bytes"))
    thumbnail = ds.wide.get("scan.thumbnail")
    if thumbnail is not None and len(thumbnail):
        yield Property("border brightness", border_brightness(thumbnail), by_content=True)
    for color in ("red", "green", "blue"):
        values = _scan(ds, color)
        mean = _scan(ds, "mean")
        if values is not None and mean is not None:
            yield Property(color, values - mean, by_content=True)
    if width is not None and height is not None:
        yield Property("picture size", 0.5 * (log_of(width, 1) + log_of(height, 1)), by_content=False, log=True)
        yield Property("aspect ratio", log_of(width, 1) - log_of(height, 1), by_content=False, log=True)
        if size is not None:
            per_pixel = log_of(size, 1) - log_of(width, 1) - log_of(height, 1)
            yield Property("bytes per pixel", per_pixel, by_content=True, log=True)
    for column in ("rate", "channels", "bits"):
        values = _scan(ds, column)
        if values is not None:
            yield Property(column, np.array([f"{value:g}" for value in values]), by_content=False)


def border_brightness(thumbnails: Array) -> Floats:
    """Return (N,) mean gray level of the outermost ring of (N, H, W) thumbnails."""
    rows = np.asarray(thumbnails)
    ring = np.ones(rows.shape[1:3], bool)
    ring[1:-1, 1:-1] = False
    return np.asarray(rows[:, ring].mean(axis=1, dtype=np.float64))


def _filed(ds: Dataset) -> Iterator[Property]:
    classes = {_plain(name) for name in ds.schema.classes}
    names = [PurePosixPath(str(uri or "").partition("#")[0]) for uri in ds["uri"]]
    yield Property("file type", np.array([name.suffix.lower() for name in names]), by_content=False)
    yield from _words(ds, "source", [str(value or "") for value in ds["source"]], classes)
    for depth in range(min((len(name.parts) for name in names), default=1) - 1):
        yield from _words(ds, f"folder {depth + 1}", [name.parts[depth] for name in names], classes)
    heads = [found[0] if (found := re.match(r"^[^\d]+", name.stem)) else "" for name in names]
    yield from _words(ds, "file name", heads, classes)


def _words(ds: Dataset, name: str, values: list[str], classes: set[str]) -> Iterator[Property]:
    """Yield a property of words, unless it names samples or merely spells the label."""
    kinds = set(values)
    if 2 <= len(kinds) <= MOST_KINDS and not _spells_label(ds, values, classes):
        yield Property(name, np.array(values), by_content=False)


def _spells_label(ds: Dataset, values: list[str], classes: set[str]) -> bool:
    """Return whether the words are class names, or one word of its own for each class, as in a filing system."""
    kinds, member = np.unique(np.array(values), return_inverse=True)
    if sum(_plain(kind) in classes for kind in kinds) >= 0.5 * len(kinds):
        return True
    labels, k = ds["label"], len(ds.schema.classes)
    table = np.zeros((len(kinds), k + 1))
    np.add.at(table, (member, labels), 1.0)
    table = table[:, :k]
    if not table.sum():
        return False
    purest = table.max(axis=1).sum() / table.sum()
    own = len(np.unique(table.argmax(axis=1)[table.sum(axis=1) > 0]))
    return bool(purest >= 0.995 and own == int((table.sum(axis=0) > 0).sum()))


def _plain(text: str) -> str:
    return re.sub(r"[\W_\d]+", "", str(text)).casefold()


def _columns(ds: Dataset) -> Iterator[Property]:
    classes = {_plain(name) for name in ds.schema.classes}
    for name in ds.table.column_names:
        if not name.startswith("meta.") or name not in ds:
            continue
        values, short = ds[name], name.removeprefix("meta.")
        if short.casefold() in {"row", "index", "id"}:
            continue
        if values.dtype.kind in "iuf" and not np.array_equal(np.sort(values), np.arange(len(values))):
            yield Property(f"column {short}", values.astype(np.float64), by_content=False)
        elif values.dtype.kind == "M":
            yield from _time(values.astype("datetime64[s]"), f"column {short}")
        elif values.dtype.kind in "Ob":
            words = ["" if value is None else str(value) for value in values]
            yield from _words(ds, f"column {short}", words, classes)
    if "captured_at" in ds:
        yield from _time(ds["captured_at"].astype("datetime64[s]"), "time of capture")


def _time(when: Array, name: str) -> Iterator[Property]:
    known = ~np.isnat(when)
    seconds = np.where(known, when.astype("datetime64[s]").astype(np.int64), 0).astype(np.float64)
    yield Property(name, np.where(known, seconds / 86_400, np.nan), by_content=False, is_time=True)
    hour = np.where(known, seconds % 86_400 / 3_600, np.nan)
    if len(np.unique(hour[known])) > 1:
        yield Property(f"hour of {name}", hour, by_content=False)


def _exif(ds: Dataset) -> Iterator[Property]:
    read = [read_exif(sample.path) if sample.path is not None else ("", None) for sample in ds.samples()]
    cameras = np.array([camera for camera, _ in read])
    if len(np.unique(cameras)) > 1:
        yield Property("camera", cameras, by_content=False)
    times = np.array([np.datetime64(when or "NaT", "s") for _, when in read], "datetime64[s]")
    if "captured_at" not in ds and (~np.isnat(times)).sum() > 1:
        yield from _time(times, "time of capture")


def read_exif(path: Path) -> tuple[str, datetime | None]:
    """Return the camera (maker and model, "" = not known) and the time of a picture file; pixels are not decoded."""
    if path.suffix.lower() not in _EXIF_NAMES:
        return "", None
    from PIL import Image

    try:
        with Image.open(path) as opened:
            found: Any = opened.getexif()
            stamp = found.get_ifd(_DETAILS).get(_TAKEN) or found.get(_DATE)
            camera = " ".join(str(found.get(tag) or "").strip("\0 ") for tag in (_MAKE, _MODEL)).strip()
    except (OSError, ValueError, SyntaxError, TypeError, KeyError):
        return "", None
    try:
        return camera, datetime.strptime(str(stamp)[:19], "%Y:%m:%d %H:%M:%S") if stamp else None  # noqa: DTZ007
    except ValueError:
        return camera, None


def _scan(ds: Dataset, name: str) -> Floats | None:
    values = ds.wide.get(f"scan.{name}")
    return None if values is None else np.asarray(values, np.float64)
