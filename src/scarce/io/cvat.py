"""CVAT: one XML file with boxes, polygons, masks and tags of all pictures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, final
from xml.etree.ElementTree import Element

import numpy as np

from scarce.dataset import Array
from scarce.errors import DataError
from scarce.io import boxes as shape
from scarce.io._base import AbstractReader, Options
from scarce.io._extra import beside_row, read_beside, write_beside
from scarce.io._listing import Listing
from scarce.io._markup import begins, child, parse, text_of, to_text
from scarce.io._outlet import Outlet
from scarce.io._picture import BAD, Album, Locator, Picture, finite, repaired_note, several_notes, split_of, sure_size

_FILE: Final = "annotations.xml"


@final
@dataclass(frozen=True, kw_only=True)
class Cvat(AbstractReader):
    """CVAT for images 1.1: one XML file with boxes, polygons, masks and tags of all pictures.

    Use for what CVAT exports as "CVAT for images": the file, or the folder with ``annotations.xml`` and ``images``.
    Tags are the classes of a picture: one is its label, several are its set of labels. Tracks of videos, points and
    skeletons are counted and left out. A file with a document type is refused.
    Writes: meta.boxes (with polygons, masks, occluded, attributes), label, meta.label_set, meta.width, meta.height,
    split; what the format has no place for is in samples.csv.
    Source: docs.cvat.ai for the format.
    """

    exact: ClassVar[bool] = True
    writes: ClassVar[bool] = True
    ending: ClassVar[str] = ".xml"

    def accepts(self, path: Path) -> float:
        """Return 1 for an XML file whose root is ``annotations``, or a folder with one."""
        return 1.0 if _documents(path) else 0.0

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the pictures of the file."""
        documents = _documents(path)
        if not documents:
            raise DataError("io.cvat", f"{path} holds no CVAT annotations", do="it needs an annotations.xml")
        album = Album(base=path if path.is_dir() else path.parent)
        locator, counts = Locator(album.base), Counter[str]()
        for document in documents:
            root = parse(album.take(document), document)
            album.add_classes(name for label in root.iter("label") if (name := text_of(label, "name")))
            counts["tracks of a video are left out: export it as CVAT for images"] += sum(1 for _ in root.iter("track"))
            for image in root.iter("image"):
                album.pictures.append(_picture(image, locator, counts))
        if not album.pictures:
            raise DataError("io.cvat", f"{path} lists no pictures", "; ".join(counts), "export it as CVAT for images")
        album.add_classes(sorted({item["label"] for p in album.pictures for item in p.boxes or ()}))  # type: ignore[index]
        album.add_classes(sorted({name for p in album.pictures for name in (*(p.labels or ()), p.label) if name}))
        _one_label(album)
        repaired_note(locator, album)
        several_notes(album, counts, BAD)
        read_beside(album)
        return album.listing(path, options)

    def write(self, out: Outlet) -> None:
        """Write ``annotations.xml`` beside ``images/``, or one file."""
        root = Element("annotations")
        child(root, "version", "1.1")
        task = child(child(root, "meta"), "task")
        child(task, "name", "scarce")
        labels = child(task, "labels")
        for name in out.classes:
            child(child(labels, "label"), "name", name)
        rows = []
        folder = "images" if out.files != "none" else ""
        for number, (picture, name) in enumerate(out.place(lambda _: folder)):
            mask = out.place_mask(picture, f"masks/{name.removeprefix('images/')}")
            shown = name if out.name else name.removeprefix("images/")
            attributes = {"subset": picture.split} if picture.split else {}
            wide, high = picture.size or (0, 0)
            image = child(root, "image", id=str(number), name=shown, width=str(wide), height=str(high), **attributes)
            for item in picture.boxes or ():
                _add_shape(image, item, picture, out)  # type: ignore[arg-type]
            for label in picture.labels if picture.labels is not None else filter(None, [picture.label]):
                child(image, "tag", label=label, source="manual")
            shut = ["split"] if picture.split else []
            shut += ["label_set"] if picture.labels else ["label"] if picture.labels is None else []
            row = beside_row(picture, name, mask=mask, without=shut)
            rows.append(row if picture.boxes is not None else {**row, "looked": False})
        out.text(out.name or _FILE, to_text(root))
        if any(picture.boxes is not None for picture in out.pictures) or any(len(row) > 2 for row in rows):
            write_beside(out, rows)


def _documents(path: Path) -> list[Path]:
    if path.is_dir():
        return [item for item in sorted(path.glob("*.xml")) if begins(item, "annotations")]
    return [path] if path.suffix.lower() == ".xml" and begins(path, "annotations") else []


def _picture(image: Element, locator: Locator, counts: Counter[str]) -> Picture:
    name = image.get("name") or ""
    subset = image.get("subset")
    folders = ["", "images", *([f"images/{subset}", f"images/{subset.lower()}"] if subset else [])]
    uri, reason = locator.find(name, folders) if name else ("nameless", "missing: the image has no name")
    size = sure_size(image.get("width"), image.get("height"))
    found = Picture(uri=uri, reason=reason, size=size, split=split_of(subset or ""))
    items: list[dict[str, Any]] = []
    tags: list[str] = []
    for item in image:
        if item.tag == "tag":
            tags.append((item.get("label") or "").strip())
        elif item.tag in _SHAPES:
            try:
                items.append(_item(item, size))
            except (TypeError, ValueError, IndexError) as error:
                found.reason = found.reason or f"broken: a {item.tag} cannot be read ({error})"
        elif item.tag != "attribute":
            counts[f"marks of the kind {item.tag} are left out"] += 1
    found.boxes = items
    found.labels = list(dict.fromkeys(filter(None, tags)))
    return found


_SHAPES: Final = ("box", "polygon", "mask", "ellipse")


def _item(item: Element, size: tuple[int, int] | None) -> dict[str, Any]:
    found: dict[str, Any] = {"label": (item.get("label") or "").strip()}
    if not found["label"]:
        raise ValueError("it has no label")
    if item.tag == "box":
        left, top, right, bottom = finite(item.get(name) for name in ("xtl", "ytl", "xbr", "ybr"))
        found["bbox"] = [shape.number(value) for value in (left, top, right - left, bottom - top)]
    elif item.tag == "ellipse":
        x, y, rx, ry = finite(item.get(name) for name in ("cx", "cy", "rx", "ry"))
        turns = np.linspace(0, 2 * np.pi, 36, endpoint=False)
        points = np.stack([x + rx * np.cos(turns), y + ry * np.sin(turns)], axis=1).ravel()
        found["segmentation"] = [[shape.number(value) for value in points]]
        found["bbox"] = [shape.number(value) for value in (x - rx, y - ry, 2 * rx, 2 * ry)]
    elif item.tag == "polygon":
        outline = [shape.number(value) for value in finite((item.get("points") or "").replace(";", ",").split(","))]
        if len(outline) < 6 or len(outline) % 2:
            raise ValueError("it has fewer than three points")
        found["bbox"], found["segmentation"] = shape.hull([outline]), [outline]
    else:
        mask = _mask(item, size)
        found["bbox"], found["segmentation"] = shape.mask_box(mask), shape.encode_mask(mask)
    if item.get("occluded") == "1":
        found["occluded"] = 1
    for name in ("rotation", "group_id", "z_order"):
        value = float(item.get(name) or 0)
        if value:
            found[name] = shape.number(value)
    more = {part.get("name") or "": (part.text or "").strip() for part in item.iter("attribute")}
    flags = {name: 1 for name in _FLAGS if more.pop(name, "").lower() in ("true", "1")}
    return {**found, **flags, **({"attributes": more} if more else {})}


_FLAGS: Final = ("iscrowd", "difficult", "truncated")


def _mask(item: Element, size: tuple[int, int] | None) -> Array:
    """Return the (H, W) pixels of runs inside a box."""
    if size is None:
        raise ValueError("the size of the picture is not given")
    left, top, width, height = (int(value) for value in finite(item.get(n) for n in ("left", "top", "width", "height")))
    runs = np.array([int(run) for run in (item.get("rle") or "").split(",")], np.int64)
    inner = left >= 0 and top >= 0 and width > 0 and height > 0 and left + width <= size[0] and top + height <= size[1]
    if not inner or (runs < 0).any() or runs.sum() != width * height:
        raise ValueError("its runs do not fill it")
    out = np.zeros((size[1], size[0]), bool)
    out[top : top + height, left : left + width] = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    return out


def _add_shape(image: Element, item: dict[str, Any], picture: Picture, out: Outlet) -> None:
    plain = {"label": item["label"], "source": "manual", "occluded": str(int(bool(item.get("occluded"))))}
    plain |= {name: str(item[name]) for name in ("rotation", "group_id") if item.get(name)}
    plain["z_order"] = str(item.get("z_order", 0))
    outline = item.get("segmentation")
    parts = [part for part in outline if len(part) >= 6] if isinstance(outline, list) else []
    if len(parts) == 1:
        points = [f"{parts[0][i]:.10g},{parts[0][i + 1]:.10g}" for i in range(0, len(parts[0]) - 1, 2)]
        found = child(image, "polygon", points=";".join(points), **plain)
    elif outline and picture.size:
        mask = shape.shape_mask(item, picture.size)
        left, top, width, height = shape.mask_box(mask)
        cut = np.concatenate([[False], mask[top : top + height, left : left + width].ravel(), [False]])
        edges = np.flatnonzero(cut[1:] != cut[:-1])
        runs = np.diff(np.concatenate([[0], edges, [width * height]])).tolist()
        place = {"left": str(left), "top": str(top), "width": str(width), "height": str(height)}
        found = child(image, "mask", rle=",".join(map(str, runs)), **place, **plain)
    else:
        left, top, width, height = item["bbox"]
        corners = (("xtl", left), ("ytl", top), ("xbr", left + width), ("ybr", top + height))
        found = child(image, "box", **{name: f"{value:.10g}" for name, value in corners}, **plain)
    more = {name: "true" for name in _FLAGS if item.get(name)}
    for name, value in {**(item.get("attributes") or {}), **more}.items():
        child(found, "attribute", value, name=str(name))
    shut = {"label", "bbox", "segmentation", "id", "occluded", "rotation", "group_id", "z_order", "attributes", *_FLAGS}
    for key in item.keys() - shut:
        out.lost[key] += bool(item[key])


def _one_label(album: Album) -> None:
    """Make tags labels where no picture has several; pictures then have boxes only where one has any."""
    if all(len(picture.labels or ()) < 2 for picture in album.pictures):
        for picture in album.pictures:
            picture.label, picture.labels = next(iter(picture.labels or ()), None), None
    if not any(picture.boxes for picture in album.pictures) and any(p.label or p.labels for p in album.pictures):
        for picture in album.pictures:
            picture.boxes = None
