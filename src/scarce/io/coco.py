"""COCO: boxes, polygons and run-length masks in JSON."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, final

from scarce.errors import DataError
from scarce.io import boxes as shape
from scarce.io._base import AbstractReader, Options
from scarce.io._extra import from_extra, to_extra
from scarce.io._listing import Listing
from scarce.io._outlet import Outlet
from scarce.io._picture import BAD, Album, Locator, Picture, repaired_note, several_notes, split_of, sure_size
from scarce.io._stream import holds, stream

OWN: Final = "scarce"
"""Key of an image under which we keep what COCO has no place for."""
OF_MASK: Final = "of_mask"
"""Key of an annotation that only repeats the picture's own mask file."""
_SHUT: Final = frozenset(("image_id", "category_id", "bbox", "area", "iscrowd", "segmentation", "label"))
_NUMBERS: Final = frozenset((int, float))
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
Box = tuple[Any, str]


@final
@dataclass(frozen=True, kw_only=True)
class Coco(AbstractReader):
    """COCO: boxes, polygons and run-length masks in JSON; one file, or one per split beside its pictures.

    Use for detection and segmentation data: a ``.json`` file, a folder with ``annotations/*.json`` (``instances_
    train2017.json`` is the training split), or a folder per split with its JSON inside. Large files are read member by
    member. A picture with a box of an undefined category, or with a box that is none, is set aside; boxes outside the
    picture or without area are kept: ``box_error`` finds them.
    Writes: meta.boxes (with segmentation, iscrowd and all else), meta.width, meta.height, split.
    Source: Lin et al. 2014, and cocodataset.org for the format.
    """

    exact: ClassVar[bool] = True
    writes: ClassVar[bool] = True
    ending: ClassVar[str] = ".json"

    def accepts(self, path: Path) -> float:
        """Return 1 for a JSON object with lists of images and of annotations or categories, or a folder of such."""
        return 1.0 if find_documents(path) else 0.0

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the pictures of all documents."""
        documents = find_documents(path)
        if not documents:
            raise DataError("io.coco", f"{path} holds no COCO JSON", do="it needs lists of images and annotations")
        home = documents[0].parent
        base = path if path.is_dir() else home.parent if home.name.lower() == "annotations" else home
        album, locator = Album(base=base), Locator(base)
        for document in documents:
            split = split_of(document.stem) or (split_of(document.parent.name) if document.parent != base else None)
            _Document(album, locator, document, split).read()
        repaired_note(locator, album)
        return album.listing(path, options)

    def write(self, out: Outlet) -> None:
        """Write ``annotations/instances_<split>.json`` beside ``images/``, or one file."""
        folder = "images" if out.files != "none" else ""
        by_split: dict[str, dict[str, Any]] = {}
        numbers = Counter[str]()
        ids = _annotation_ids(out.pictures)
        categories = [{"id": code, "name": name, "supercategory": ""} for code, name in enumerate(out.classes, 1)]
        code_of = {name: code for code, name in enumerate(out.classes, 1)}
        for picture, name in out.place(lambda _: folder):
            split = "" if out.name else picture.split or "all"
            body = by_split.setdefault(split, {"images": [], "annotations": []})
            numbers["images"] += 1
            mask = out.place_mask(picture, f"masks/{name.removeprefix('images/')}")
            shown = name if out.name else name.removeprefix("images/")
            image = {"id": numbers["images"], "file_name": shown}
            if picture.size:
                image |= {"width": picture.size[0], "height": picture.size[1]}
            extra = to_extra(picture, mask=mask)
            if picture.boxes is None:
                extra["looked"] = False
            body["images"].append({**image, OWN: extra} if extra else image)
            for item in _items(out, picture, mask):
                number = next(ids) if item.get("id") is None or ids.again else item["id"]
                body["annotations"].append(_annotation(item, number, numbers["images"], code_of[item["label"]]))
        for split, body in by_split.items():
            name = out.name or f"annotations/instances_{split}.json"
            info = {"description": "written by scarce"}
            out.text(name, _encode({"info": info, "licenses": [], "categories": categories, **body}) + "\n")


def find_documents(path: Path) -> list[Path]:
    """Return the COCO documents at a path: the file, or those in a folder, its ``annotations`` or its splits."""
    if path.is_file():
        return [path] if path.suffix.lower() == ".json" and _is_coco(path) else []
    if not path.is_dir():
        return []
    for pattern in ("*.json", "annotations/*.json", "*/*.json"):
        try:
            found = sorted(item for item in path.glob(pattern) if not item.name.startswith(".") and _is_coco(item))
        except OSError:
            continue
        if found:
            instances = [item for item in found if item.name.lower().startswith("instances")]
            return instances or found
    return []


def _is_coco(path: Path) -> bool:
    return holds(path, b"{", rb'"images"\s*:\s*\[', rb'"(annotations|categories)"\s*:\s*\[')


@dataclass
class _Document:
    """One document while it is read."""

    album: Album
    locator: Locator
    path: Path
    split: str | None
    images: list[Any] = field(default_factory=list)
    boxes: defaultdict[Any, list[Box]] = field(default_factory=lambda: defaultdict(list))
    broken: dict[Any, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    numbers: set[Any] = field(default_factory=set)

    def read(self) -> None:
        """Add the pictures of the document to the album."""
        data = self.album.take(self.path)
        rest = stream(data, self.path, {"images": self.images.append, "annotations": self.annotation})
        names = self.names(rest.get("categories"))
        looked = bool(self.boxes) or b'"annotations"' in data
        del data
        self.album.add_classes(names.values())
        relative = self.path.parent.resolve().relative_to(self.album.base.resolve()).as_posix()
        own = "" if relative in (".", "annotations") else relative
        word = self.path.stem.removeprefix("instances_")
        folders = list(dict.fromkeys((own, "", "images", f"images/{word}", word, f"{own}/images".lstrip("/"))))
        seen: set[Any] = set()
        coded = {code: _encode(name) for code, name in names.items()}
        for image in self.images:
            if not isinstance(image, dict):
                self.counts["images are no objects: left out"] += 1
                continue
            self.album.pictures.append(self.picture(image, seen, coded, folders, looked=looked))
        lost = sum(len(found) for key, found in self.boxes.items() if key not in seen)
        self.counts[f"boxes of {self.path.name} are of pictures that it does not list: left out"] = lost
        several_notes(self.album, self.counts, BAD)

    def names(self, categories: Any) -> dict[Any, str]:
        """Return the name of each category's number, in the document's order."""
        found: dict[Any, str] = {}
        for item in categories if isinstance(categories, list) else ():
            if not isinstance(item, dict) or "id" not in item or not _hashable(item["id"]):
                self.counts["categories have no id: left out"] += 1
                continue
            name = str(item.get("name") or item["id"]).strip() or str(item["id"])
            if item["id"] in found:
                self.counts[f"categories repeat the id of another (such as {item['id']}): the first one counts"] += 1
                continue
            if name in found.values():
                self.counts[f"categories have the name of another ({name!r}): taken as one"] += 1
            found[item["id"]] = name
        return found

    def annotation(self, item: Any) -> None:
        """Take one annotation: its category, and the text of its cell behind the label."""
        try:
            image, category, number = item["image_id"], item["category_id"], item.get("id")
            hash((image, category, number))
        except (TypeError, KeyError, AttributeError):
            self.counts["annotations have no image_id or category_id: left out"] += 1
            return
        if number is not None:
            before = len(self.numbers)
            self.numbers.add(number)
            if len(self.numbers) == before:
                self.counts["annotations repeat the id of another: both are kept"] += 1
        try:
            text = _text(item)
        except (TypeError, ValueError, KeyError, IndexError) as error:
            self.broken.setdefault(image, f"broken: annotation {number} has no box ({error})")
            return
        if OF_MASK not in item:
            self.boxes[image].append((category, text))

    def picture(
        self, image: dict[str, Any], seen: set[Any], names: dict[Any, str], folders: Sequence[str], *, looked: bool
    ) -> Picture:
        """Return one picture with its boxes."""
        key = image.get("id")
        name = image.get("file_name") or image.get("coco_url") or ""
        uri, reason = self.locator.find(str(name), folders) if name else ("nameless", "missing: no file_name")
        if not _hashable(key) or key is None:
            reason, key = reason or "broken: the image has no id", None
        elif key in seen:
            reason = reason or f"repeated: image id {key} is given before"
        own = self.boxes.get(key, []) if key not in seen else []
        seen.add(key)
        strange = next((code for code, _ in own if code not in names), None)
        if strange is not None:
            reason = reason or f"broken: category {strange} is not defined"
        cells = ",".join([f'{{"label":{names.get(code) or _encode(str(code))},{text}}}' for code, text in own])
        said = image.get(OWN)
        extra: dict[str, Any] = said if isinstance(said, dict) else {}
        found = Picture(
            uri=uri, reason=reason or self.broken.get(key), size=sure_size(image.get("width"), image.get("height")),
            boxes=f"[{cells}]" if looked else None, split=self.split,
        )  # fmt: skip
        from_extra(found, extra, self.album)
        return found


def _hashable(value: Any) -> bool:
    return isinstance(value, int | str | float)


def _text(item: dict[str, Any]) -> str:
    """Return the text of an annotation's cell behind the label: its box and all the rest."""
    box, outline = item.get("bbox"), item.get("segmentation")
    if not box and outline:
        box = shape.hull(outline) if isinstance(outline, list) else shape.mask_box(shape.decode_mask(outline))
    left, top, width, height = box  # type: ignore[misc]
    total = left + top + width + height
    if total - total != 0 or not {left.__class__, top.__class__, width.__class__, height.__class__} <= _NUMBERS:
        raise ValueError(f"{box} are no four finite numbers")
    text = f'"bbox":[{left!r},{top!r},{width!r},{height!r}]'
    if item.get("iscrowd"):
        text += ',"iscrowd":1'
    if outline:
        text += f',"segmentation":{_encode(outline)}'
    for key in [key for key in item if key not in _SHUT]:
        value = item[key]
        if value.__class__ is int:
            text += f',"{key}":{value}' if key == "id" else f",{_encode(key)}:{value}"
        elif value is not None:
            text += f",{_encode(key)}:{_encode(value)}"
    return text


class _Numbers:
    """Free annotation ids in rising order; ``again`` = the given ones repeat, so that all are numbered anew."""

    def __init__(self, given: Sequence[Any]) -> None:
        self.again = len(set(given)) != len(given) or not all(type(number) is int and number > 0 for number in given)
        self._taken = set() if self.again else set(given)
        self._last = 0

    def __next__(self) -> int:
        self._last += 1
        while self._last in self._taken:
            self._last += 1
        return self._last


def _annotation_ids(pictures: Sequence[Picture]) -> _Numbers:
    return _Numbers([
        item["id"] for picture in pictures for item in picture.boxes or () if isinstance(item, dict) and "id" in item
    ])  # fmt: skip


def _items(out: Outlet, picture: Picture, mask: str | None) -> list[dict[str, Any]]:
    """Return the objects of a picture; one of its mask where it has no objects."""
    if picture.boxes is not None or mask is None or picture.label is None:
        return list(picture.boxes or ())  # type: ignore[arg-type]
    pixels = out.mask_pixels(picture)
    if pixels is None or not pixels.any():
        return []
    box, runs = shape.mask_box(pixels), shape.encode_mask(pixels)
    return [{"label": picture.label, "bbox": box, "segmentation": runs, OF_MASK: True}]


def _annotation(item: dict[str, Any], number: int, image: int, category: int) -> dict[str, Any]:
    rest = {key: value for key, value in item.items() if key not in {*_SHUT, "id"}}
    outline = item.get("segmentation", [])
    return {
        "id": number, "image_id": image, "category_id": category, "bbox": item["bbox"],
        "area": shape.number(shape.area_of(item)), "iscrowd": int(bool(item.get("iscrowd"))), "segmentation": outline,
        **rest,
    }  # fmt: skip
