"""What a writer works with: the samples as pictures with marks, and a folder that becomes visible when it is whole."""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
import shutil
import wave
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from scarce.columns import split_uri
from scarce.dataset import Array, Dataset
from scarce.errors import DataError
from scarce.io import boxes as shape
from scarce.io._picture import Picture, inside, picture_size, sure_size
from scarce.io._walk import trouble
from scarce.modality import open_samples
from scarce.modality._base import BrokenSampleError
from scarce.modality.audio import RATE
from scarce.modality.header import read_header
from scarce.modality.raw import Address, addresses, content, read_bytes

Files = Literal["copy", "link", "none"]
CELL: Final = "no file of its own, so it must be written out: use files='copy'"
_ENDINGS = {"jpeg": ".jpg", "png": ".png", "bmp": ".bmp", "gif": ".gif", "webp": ".webp", "tiff": ".tif"}
_SOUND = {b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg"}


@dataclass(kw_only=True)
class Outlet:
    """The samples to write, and where.

    Args:
        whole: the dataset, with what is set aside: parents of grown samples may be.
        root: the folder to write into; it is moved to its place when all went well.
        target: the place it will have.
        name: the one file to write in it; empty = the format's own layout.
        files: ``copy`` or ``link`` pictures into the folder, or ``none``: name them where they lie.
        written: pictures, sounds and masks written so far.
        skipped: reason to the number of samples that were left out.
        lost: what the format has no place for, to how often it was there.
    """

    whole: Dataset
    root: Path
    target: Path
    name: str = ""
    files: Files = "copy"
    written: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    _real: dict[Path, str] = field(default_factory=dict)

    @cached_property
    def ds(self) -> Dataset:
        """The rows that are kept."""
        return self.whole.usable()

    @cached_property
    def pictures(self) -> list[Picture]:
        """All kept samples with their marks, sorted by source and uri; ``id`` is always set."""
        return pictures_of(self.ds)

    @cached_property
    def classes(self) -> list[str]:
        """Names of all classes: the data set's own in their order, then others that marks have, sorted."""
        return all_classes(self.ds.schema.classes, self.pictures)

    @cached_property
    def _places(self) -> dict[str, Address]:
        return dict(zip(self.ds.ids.tolist(), addresses(self.ds, np.arange(len(self.ds))), strict=True))

    @cached_property
    def _bases(self) -> dict[str, Path]:
        """Id to the folder that its uris are relative to."""
        sources = self.ds.table["source"].to_pylist()
        bases = {source: Path(self.ds.sources.get(source or "", "")) for source in set(sources)}
        return {name: bases[source] for name, source in zip(self.ds.ids.tolist(), sources, strict=True)}

    @cached_property
    def _recipes(self) -> set[str]:
        pairs = zip(self.ds.ids.tolist(), self.ds.table["recipe"].to_pylist(), strict=True)
        return {name for name, recipe in pairs if recipe}

    def place(
        self, folder: Callable[[Picture], str] = lambda _: "", *, flat: bool = False
    ) -> Iterator[tuple[Picture, str]]:
        """Put the samples' files where a format wants them; yield each with the name of its file below the root.

        A sample whose file cannot be read is left out and counted. ``size`` is filled in where a header tells it.

        Args:
            folder: gives the folder of a picture's file.
            flat: leave no folders below it, and let no two names differ in their ending only.
        """
        taken: set[str] = set()
        many = len(self.ds.sources) > 1
        bare = Counter(_stem(picture.uri) for picture in self.pictures)
        for picture in self.pictures:
            place = self._places[picture.id or ""]
            if self.files == "none":
                name = self._seen(picture, place)
            else:
                own = _own_name(picture, place, many=many, grown=picture.id in self._recipes)
                if flat:
                    own = own.replace("/", "__") if bare[_stem(own)] > 1 else posixpath.basename(own)
                name = _unique(posixpath.join(folder(picture), own), taken, by_stem=flat)
            reason, name = self._put(picture, place, name)
            if reason:
                self.skipped[reason] += 1
                continue
            if picture.size is None and self.ds.schema.modality == "image":
                picture.size = picture_size(place.path if self.files == "none" else self.root / name)
            yield picture, name

    def _seen(self, picture: Picture, place: Address) -> str:
        """Return the name of a file that stays where it lies: seen from the target, or from its source."""
        return self._below(place.path) or picture.uri

    def _below(self, path: Path) -> str | None:
        """Return the name of a file as seen from the target, with links followed; None where it lies elsewhere."""
        for folder in (self.target, path.parent):
            if folder not in self._real:
                self._real[folder] = folder.resolve().as_posix()
        linked = path.name in ("", "..") or path.is_symlink()
        real = path.resolve().as_posix() if linked else posixpath.join(self._real[path.parent], path.name)
        return inside(posixpath.relpath(real, self._real[self.target]))

    def _put(self, picture: Picture, place: Address, name: str) -> tuple[str | None, str]:
        """Write one file; return why not (None = done) and its name, with the ending that its content has."""
        grown = picture.id in self._recipes
        if place.row is None and not grown:
            reason = trouble(str(place.path))
            if reason or self.files == "none":
                return reason, name
            self._copy(place.path, self.root / name)
            return None, name
        if self.files == "none":
            return CELL, name
        try:
            data, ending = self._bytes(picture, place, grown=grown)
        except (BrokenSampleError, DataError) as error:
            return str(error), name
        name = posixpath.splitext(name)[0] + ending
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        self.written += 1
        return None, name

    def _bytes(self, picture: Picture, place: Address, *, grown: bool) -> tuple[bytes, str]:
        if not grown:
            raw = content(place, self.ds.schema.modality)
            if isinstance(raw, bytes):
                return raw, _ending(raw)
            if isinstance(raw, str):
                return raw.encode(), ".txt"
        (pixels,) = open_samples(self.whole, self.whole.rows_of([picture.id or ""]))
        return sample_file(pixels, self.ds.schema.modality)

    def _copy(self, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if self.files == "link":
            target.symlink_to(source.resolve())
        else:
            shutil.copyfile(source, target)
        self.written += 1

    def place_mask(self, picture: Picture, name: str) -> str | None:
        """Put the mask of a picture below the root; return its name, or None where there is none to be read."""
        found = self.mask_path(picture)
        if found is None:
            return None
        if self.files == "none":
            return self._below(found) or picture.mask
        name = posixpath.splitext(name)[0] + found.suffix
        self._copy(found, self.root / name)
        return name

    def mask_path(self, picture: Picture) -> Path | None:
        """Return the file of a picture's mask, or None where there is none that can be read."""
        if not picture.mask or picture.id in self._recipes:
            return None
        path = self._bases[picture.id or ""] / picture.mask
        if trouble(str(path)):
            self.lost["masks that cannot be read"] += 1
            return None
        return path

    def mask_pixels(self, picture: Picture) -> Array | None:
        """Return the (H, W) bool pixels of a picture's mask, or None where there is none."""
        path = self.mask_path(picture)
        return None if path is None else read_mask(path)

    def text(self, name: str, body: str) -> None:
        """Write a text file below the root."""
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(body, encoding="utf-8", newline="\n")

    def rows(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write a CSV file below the root; columns without any value are left out."""
        self.text(name, csv_text(rows))


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV; columns without any value are left out."""
    keys = list(dict.fromkeys(key for row in rows for key, value in row.items() if value is not None))
    body = io.StringIO()
    writer = csv.writer(body, lineterminator="\n")
    writer.writerow(keys)
    writer.writerows([plain(row.get(key)) for key in keys] for row in rows)
    return body.getvalue()


def plain(value: Any) -> Any:
    """Return a value as JSON and CSV hold it."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def pictures_of(ds: Dataset) -> list[Picture]:
    """Return all samples with their marks, sorted by source and uri.

    Raises:
        DataError: a cell of boxes cannot be read.
    """
    table = ds.table
    held = [name.removeprefix("meta.") for name in table.column_names if name.startswith("meta.")]
    columns = {name: table[f"meta.{name}"].to_pylist() for name in held}
    boxes, predicted, labels = (next((n for n in known if n in columns), "") for known in KNOWN)
    marked = {boxes, predicted, labels, "width", "height"}
    names = ("id", "uri", "source", "label", "label_source", "split", "group", "captured_at", "mask_uri")
    cells = {name: table[name].to_pylist() for name in names}
    found = []
    for row in range(len(ds)):
        meta = {name: columns[name][row] for name in held if name not in marked and columns[name][row] is not None}
        cell = {name: columns[name][row] for name in marked if name in columns}
        found.append(
            Picture(
                uri=cells["uri"][row] or "", id=cells["id"][row], label=cells["label"][row], meta=meta,
                label_source=cells["label_source"][row], split=cells["split"][row], group=cells["group"][row],
                captured_at=cells["captured_at"][row], mask=cells["mask_uri"][row],
                size=sure_size(cell.get("width"), cell.get("height")) or _scanned(ds, row),
                labels=None if cell.get(labels) is None else shape.names_in(cell[labels]),
                boxes=_objects(cells["uri"][row], boxes, cell.get(boxes)),
                predicted=_objects(cells["uri"][row], predicted, cell.get(predicted)),
            )
        )  # fmt: skip
    rank = sorted(range(len(found)), key=lambda row: (cells["source"][row] or "", natural_key(found[row].uri)))
    return [found[row] for row in rank]


KNOWN: Final = (shape.BOXES, shape.PREDICTED, shape.SETS)


def natural_key(uri: str) -> tuple[str, int]:
    """Return what sorts uris by file, then by row."""
    file, row, _ = split_uri(uri)
    return file, -1 if row is None else row


def _scanned(ds: Dataset, row: int) -> tuple[int, int] | None:
    if "scan.width" not in ds.wide or "scan.height" not in ds.wide:
        return None
    return sure_size(ds["scan.width"][row], ds["scan.height"][row])


def _objects(uri: str, column: str, cell: Any) -> list[dict[str, Any]] | None:
    try:
        return shape.objects_in(cell)
    except ValueError as error:
        what, there = f"column {column!r} of {uri} cannot be read as boxes ({error})", f"it begins {str(cell)[:60]!r}"
        raise DataError("io.write", what, there, "see docs/stages/io.md for their form") from None


def all_classes(given: Sequence[str], pictures: Sequence[Picture]) -> list[str]:
    """Return the given names, then the others that pictures have, sorted."""
    found: set[str] = set()
    for picture in pictures:
        found |= {picture.label} if picture.label else set()
        found.update(picture.labels or ())
        for item in (*(picture.boxes or ()), *(picture.predicted or ())):
            found.add(item["label"])
    return [*given, *sorted(found - set(given))]


def read_mask(path: Path) -> Array:
    """Return the (H, W) bool pixels of a mask's file: nonzero = marked; paletted files count by their numbers.

    Raises:
        DataError: it cannot be decoded.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(read_bytes(path))) as opened:
            pixels = np.asarray(opened)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError("io.write", f"the mask {path} cannot be decoded ({error})", do="mend or remove it") from error
    return np.asarray(pixels > 0 if pixels.ndim == 2 else pixels[..., :3].any(axis=2))


def _own_name(picture: Picture, place: Address, *, many: bool, grown: bool) -> str:
    """Return the name of a sample's file: its own path, or its id where it has no file."""
    if place.row is not None or grown:
        return f"{picture.id}.png"
    name = inside(picture.uri) or posixpath.basename(picture.uri) or f"{picture.id}"
    return posixpath.join(_safe(place.path, name), name) if many else name


def _safe(path: Path, name: str) -> str:
    """Return the name of the folder that a uri is relative to."""
    parts = path.parts[: len(path.parts) - len(Path(name).parts)]
    return re.sub(r"[^\w.-]", "_", parts[-1]) if parts else "source"


def _stem(uri: str) -> str:
    return posixpath.splitext(posixpath.basename(uri))[0].casefold()


def _unique(name: str, taken: set[str], *, by_stem: bool) -> str:
    stem, ending = posixpath.splitext(name)
    turn, found = 2, name
    while (posixpath.splitext(found)[0] if by_stem else found).casefold() in taken:
        found, turn = f"{stem}-{turn}{ending}", turn + 1
    taken.add((posixpath.splitext(found)[0] if by_stem else found).casefold())
    return found


def _ending(data: bytes) -> str:
    header = read_header(data)
    return _ENDINGS.get(header.format, ".png") if header else _SOUND.get(data[:4], ".bin")


def sample_file(sample: Array | str, modality: str) -> tuple[bytes, str]:
    """Return the bytes of a decoded sample as a file, and its ending: .png, .txt, .wav (16 bit) or .npy."""
    if isinstance(sample, str):
        return sample.encode(), ".txt"
    if modality == "audio":
        return _wav(sample), ".wav"
    body = io.BytesIO()
    if modality == "image":
        return _png(sample), ".png"
    np.save(body, sample, allow_pickle=False)
    return body.getvalue(), ".npy"


def _wav(sound: Array) -> bytes:
    body = io.BytesIO()
    with wave.open(body, "wb") as out:
        out.setparams((1, 2, RATE, len(sound), "NONE", ""))
        out.writeframes(np.rint(np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return body.getvalue()


def _png(pixels: Array) -> bytes:
    from PIL import Image

    body = io.BytesIO()
    Image.fromarray(pixels).save(body, "PNG")
    return body.getvalue()
