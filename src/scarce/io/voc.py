"""Pascal VOC: an XML file of boxes for each picture."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, final
from xml.etree.ElementTree import Element

import numpy as np

from scarce.errors import DataError, ReadError
from scarce.io import boxes as shape
from scarce.io._base import AbstractReader, Options
from scarce.io._extra import beside_row, read_beside, write_beside
from scarce.io._listing import Listing
from scarce.io._markup import begins, child, parse, text_of, to_text
from scarce.io._outlet import Outlet
from scarce.io._picture import (
    BAD,
    Album,
    Locator,
    Picture,
    finite,
    repaired_note,
    several_notes,
    split_of,
    sure_size,
)  # fmt: skip
from scarce.io._walk import IMAGES, walk
from scarce.modality.raw import MISSING

_FLAGS: Final = ("difficult", "truncated", "occluded")
_CORNERS: Final = ("xmin", "ymin", "xmax", "ymax")
CLASSES: Final = "classes.txt"


@final
@dataclass(frozen=True, kw_only=True)
class Voc(AbstractReader):
    """Pascal VOC: ``Annotations/*.xml``, ``JPEGImages``, ``ImageSets``; or an XML file beside each picture.

    Use for boxes in XML. Corners are taken as they stand, as LabelImg and CVAT write them; in the files
    of the VOC challenges themselves (``<database>The VOC2007 Database``) the first pixel is 1, and they are shifted.
    A picture whose file cannot be read, or has a document type, is set aside.
    Writes: meta.boxes (with difficult, truncated, occluded, pose), meta.width, meta.height, split, mask_uri from
    ``SegmentationClass``; what the format has no place for is in samples.csv.
    Source: Everingham et al. 2010, and the VOC2012 development kit for the format.
    """

    exact: ClassVar[bool] = True
    writes: ClassVar[bool] = True

    def accepts(self, path: Path) -> float:
        """Return 1 for a folder with XML files whose root is ``annotation``."""
        return 1.0 if path.is_dir() and _documents(path, most=1) else 0.0

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the pictures of all XML files, and those without one."""
        documents = _documents(path)
        if not documents:
            raise DataError("io.voc", f"{path} holds no VOC annotations", do="they are XML files in Annotations")
        album, locator = Album(base=path), Locator(path)
        splits, counts = _splits(path, album), Counter[str]()
        if (path / CLASSES).is_file():
            album.add_classes(
                line for line in album.take(path / CLASSES).decode("utf-8", "replace").splitlines() if line
            )
        for uri in documents:
            try:
                root = parse(album.take(path / uri), path / uri)
            except ReadError as error:
                counts["annotations cannot be read: their pictures are set aside"] += 1
                picture = Picture(uri=_beside(locator, uri)[0], reason=f"broken: {error.what[:160]}")
                album.pictures.append(picture)
                continue
            picture = _picture(root, uri, locator)
            picture.split = (
                splits.get(posixpath.basename(_stem(uri))) or splits.get(_stem(uri)) or split_of(uri.split("/")[0])
            )
            mask = f"SegmentationClass/{posixpath.basename(_stem(picture.uri))}.png"
            picture.mask = mask if (path / mask).is_file() else None
            album.pictures.append(picture)
        album.inputs = {name: value for name, value in album.inputs.items() if not name.endswith(".xml")}
        _add_unlisted(path, album, splits)
        album.add_classes(sorted({item["label"] for p in album.pictures for item in p.boxes or ()}))  # type: ignore[index]
        repaired_note(locator, album)
        several_notes(album, counts, BAD)
        read_beside(album)
        return album.listing(path, options)

    def write(self, out: Outlet) -> None:
        """Write ``JPEGImages``, ``Annotations``, ``ImageSets/Main``, ``SegmentationClass`` and ``classes.txt``."""
        if out.files == "none":
            raise DataError("io.voc", "VOC keeps pictures in JPEGImages", do="use files='copy' or 'link'")
        code_of = {name: code for code, name in enumerate(out.classes, 1)}
        rows, sets = [], dict[str, list[str]]()
        for picture, name in out.place(lambda _: "JPEGImages", flat=True):
            stem = posixpath.basename(_stem(name))
            sets.setdefault(picture.split or "all", []).append(stem)
            _write_mask(out, picture, stem, code_of)
            if picture.boxes is not None:
                out.text(f"Annotations/{stem}.xml", to_text(_document(picture, name, out)))
            rows.append(beside_row(picture, name, without=("split",) if picture.split else ()))
        if not any(picture.boxes is not None for picture in out.pictures):
            raise DataError("io.voc", "no picture has boxes, and VOC holds boxes", do="take another format: csv, coco")
        for split, stems in sets.items():
            out.text(f"ImageSets/Main/{split}.txt", "".join(f"{stem}\n" for stem in stems))
        out.text(CLASSES, "".join(f"{name}\n" for name in out.classes))
        write_beside(out, rows)


def _documents(path: Path, most: int = 0) -> list[str]:
    """Return the uris of XML annotations below a folder, at most some of them (0 = all)."""
    found: list[str] = []
    for file in walk(path).files:
        if (
            file.suffix == ".xml"
            and file.reason is None
            and len(file.parts) < 4
            and begins(path / file.uri, "annotation")
        ):
            found.append(file.uri)
            if len(found) == most:
                break
    return found


def _stem(uri: str) -> str:
    return posixpath.splitext(uri)[0]


def _beside(locator: Locator, uri: str, named: str = "") -> tuple[str, str | None]:
    """Return the picture of an annotation: the named one, else the one called like the annotation."""
    here = posixpath.dirname(uri)
    above = posixpath.dirname(here)
    folders = [here, *(posixpath.join(above, name) for name in ("JPEGImages", "images", "Images")), ""]
    found = locator.find(named, folders) if named else (f"{_stem(uri)}.jpg", MISSING)
    if found[1] is None or not found[1].startswith("missing"):
        return found
    for ending in sorted(IMAGES, key=[".jpg", ".png", ".jpeg"].__contains__, reverse=True):
        other = locator.find(posixpath.basename(_stem(uri)) + ending, folders)
        if other[1] is None:
            return other
    return found


def _picture(root: Element, uri: str, locator: Locator) -> Picture:
    named, reason = _beside(locator, uri, text_of(root, "filename") or "")
    size = sure_size(root.findtext("size/width"), root.findtext("size/height"))
    found = Picture(uri=named, reason=reason, size=size, boxes=[])
    first = 1.0 if "The VOC" in (root.findtext("source/database") or "") else 0.0
    items: list[dict[str, Any]] = []
    for number, item in enumerate(root.iter("object"), 1):
        try:
            items.append(_item(item, first))
        except (TypeError, ValueError) as error:
            found.reason = found.reason or f"broken: object {number} is no box ({error})"
    found.boxes = items
    return found


def _item(item: Element, first: float) -> dict[str, Any]:
    """Return an object; ``first`` is the number of the first pixel."""
    label = text_of(item, "name")
    if label is None:
        raise ValueError("it has no name")
    left, top, right, bottom = finite(item.findtext(f"bndbox/{name}") for name in _CORNERS)
    left, top = left - first, top - first
    found: dict[str, Any] = {"label": label, "bbox": [shape.number(v) for v in (left, top, right - left, bottom - top)]}
    outline = item.find("polygon")
    if outline is not None:
        points = {part.tag: float(part.text or "nan") - first for part in outline}
        found["segmentation"] = [
            [shape.number(points[f"{axis}{i}"]) for i in range(1, len(points) // 2 + 1) for axis in "xy"]
        ]
    for name in _FLAGS:
        if (text_of(item, name) or "0") not in ("0", "false"):
            found[name] = 1
    for name in ("pose", "annotator"):
        if text_of(item, name) not in (None, "Unspecified"):
            found[name] = text_of(item, name)
    return found


def _splits(path: Path, album: Album) -> dict[str, str]:
    """Return the split of each stem that ``ImageSets`` names."""
    found: dict[str, str] = {}
    for folder in ("ImageSets/Main", "ImageSets"):
        for file in sorted((path / folder).glob("*.txt")) if (path / folder).is_dir() else ():
            split = split_of(file.stem)
            if split and "_" not in file.stem:
                lines = album.take(file).decode("utf-8", "replace").splitlines()
                found |= {line.strip(): split for line in lines if line.strip() and line.strip() not in found}
    return found


def _add_unlisted(path: Path, album: Album, splits: dict[str, str]) -> None:
    """Add pictures of ``JPEGImages`` that have no annotation: nobody looked at them."""
    seen = {picture.uri for picture in album.pictures}
    for file in walk(path).of(IMAGES):
        if file.uri not in seen and "JPEGImages" in file.parts:
            album.pictures.append(Picture(uri=file.uri, reason=file.reason, split=splits.get(file.stem)))


def _document(picture: Picture, name: str, out: Outlet) -> Element:
    root = Element("annotation")
    child(root, "folder", posixpath.dirname(name))
    child(root, "filename", posixpath.basename(name))
    child(child(root, "source"), "database", "Unknown")
    size = child(root, "size")
    for key, value in zip(("width", "height", "depth"), (*(picture.size or (0, 0)), 3), strict=True):
        child(size, key, value)
    child(root, "segmented", int(bool(picture.mask)))
    items: Sequence[dict[str, Any]] = picture.boxes or ()  # type: ignore[assignment]
    for item in items:
        _add_object(root, item, out)
    return root


def _add_object(root: Element, item: dict[str, Any], out: Outlet) -> None:
    found = child(root, "object")
    child(found, "name", item["label"])
    child(found, "pose", item.get("pose", "Unspecified"))
    for name in _FLAGS:
        child(found, name, int(bool(item.get(name))))
    if item.get("annotator"):
        child(found, "annotator", item["annotator"])
    left, top, width, height = item["bbox"]
    box = child(found, "bndbox")
    for name, value in zip(_CORNERS, (left, top, left + width, top + height), strict=True):
        child(box, name, shape.number(value))
    outlines = shape.polygons_of(item)
    if outlines:
        outline = child(found, "polygon")
        for i, value in enumerate(outlines[0]):
            child(outline, f"{'xy'[i % 2]}{i // 2 + 1}", shape.number(value))
        out.lost["outlines of several parts: the first is written"] += len(outlines) > 1
    known = {"label", "bbox", "segmentation", "id", "pose", "annotator", *_FLAGS}
    for key in item.keys() - known:
        out.lost[key] += bool(item[key])


def _write_mask(out: Outlet, picture: Picture, stem: str, code_of: dict[str, int]) -> None:
    """Write a picture's mask as VOC has it: a gray file whose numbers are classes."""
    pixels = out.mask_pixels(picture)
    if pixels is None:
        return
    from PIL import Image

    target = out.root / f"SegmentationClass/{stem}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    code = min(code_of.get(picture.label or "", 1), 254)
    Image.fromarray(pixels.astype(np.uint8) * np.uint8(code)).save(target)
    out.written += 1
