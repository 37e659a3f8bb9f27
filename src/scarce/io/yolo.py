"""YOLO: a text file of boxes or outlines beside each picture, or a folder for each class."""

from __future__ import annotations

import json
import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, final

from scarce.errors import DataError, ReadError
from scarce.extras import need
from scarce.io import boxes as shape
from scarce.io._base import AbstractReader, Options
from scarce.io._extra import beside_row, read_beside, write_beside
from scarce.io._listing import Listing
from scarce.io._outlet import Outlet
from scarce.io._picture import BAD, WARN, Album, Picture, finite, inside, picture_size, read_file, several_notes
from scarce.io._tree import SPLIT_NAMES, split_name
from scarce.io._walk import IMAGES, Found, is_hidden, walk

_YAML: Final = (".yaml", ".yml")


@final
@dataclass(frozen=True, kw_only=True)
class Yolo(AbstractReader):
    """YOLO: ``images/`` and ``labels/`` with a text file for each picture, and ``data.yaml``; boxes, outlines, classes.

    Use for the layouts of Ultralytics, Roboflow and CVAT: ``images/train`` and ``labels/train``, ``train/images`` and
    ``train/labels``, lists of pictures in text files. A line of five numbers is a box, of six a box with a score,
    of more an outline. With ``data.yaml`` and class folders it is classification. A picture without a text file was not
    looked at, one with an empty file has nothing on it. A picture with a line that is no box is set aside.
    Writes: meta.boxes, meta.width, meta.height, split, label; what the layout has no place for is in samples.csv.
    Source: docs.ultralytics.com for the format.
    """

    exact: ClassVar[bool] = True
    writes: ClassVar[bool] = True

    def accepts(self, path: Path) -> float:
        """Return 1 where there is a data.yaml with names, or folders of images and of labels."""
        if path.is_file():
            return 1.0 if path.suffix.lower() in _YAML and _has_names(path) else 0.0
        if not path.is_dir():
            return 0.0
        return 1.0 if _settings(path) or any(_label_folders(path)) else 0.0

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the pictures with what their text files say."""
        base = path if path.is_dir() else path.parent
        settings = path if path.is_file() else _settings(path)
        album = Album(base=base)
        said = _load(album.take(settings), settings) if settings else {}
        names = _names(said.get("names"), base)
        album.add_classes(names)
        pictures = dict(_pictures(base, said, album))
        if not pictures:
            raise DataError(
                "io.yolo", f"{path} names no pictures that are there", do="check train and val in data.yaml"
            )
        marks = {file.uri: file for file in walk(base).files if file.suffix == ".txt"}
        by_class = not any(_label_uri(uri) in marks for uri in pictures)
        counts: Counter[str] = Counter()
        for uri, (split, reason) in pictures.items():
            picture = Picture(uri=uri, split=split, reason=reason)
            album.pictures.append(picture)
            if by_class:
                folder = posixpath.basename(posixpath.dirname(uri))
                picture.label = folder if folder in names else None
                continue
            mark = marks.pop(_label_uri(uri), None)
            if mark is None:
                counts["pictures have no text file: nobody looked at them"] += 1
                continue
            picture.size = picture_size(base / uri) if reason is None else None
            _fill(picture, album.take(base / mark.uri) if mark.reason != "empty: 0 bytes" else b"", names)
        lonely = sum("labels" in file.parts for file in marks.values())
        several_notes(album, counts, WARN)
        several_notes(album, {"text files of labels have no picture: left out": lonely}, BAD)
        album.inputs = {name: value for name, value in album.inputs.items() if not name.endswith(".txt")}
        found = {item["label"] for picture in album.pictures for item in picture.boxes or ()}  # type: ignore[index]
        album.add_classes(sorted(found))
        read_beside(album)
        return album.listing(path, options)

    def write(self, out: Outlet) -> None:
        """Write ``images/<split>``, ``labels/<split>`` and ``data.yaml``, or class folders where there are no boxes."""
        if out.files == "none":
            raise DataError("io.yolo", "YOLO finds labels beside pictures", do="use files='copy' or 'link'")
        marked = any(p.boxes is not None or p.mask for p in out.pictures)
        outlined = any(p.boxes is None and p.mask for p in out.pictures) or any(
            item.get("segmentation") for p in out.pictures for item in p.boxes or () if isinstance(item, dict)
        )
        code_of = {name: code for code, name in enumerate(out.classes)}
        rows, splits = [], dict[str, None]()

        def folder(picture: Picture) -> str:
            split = picture.split or "train"
            return f"images/{split}" if marked else posixpath.join(split, picture.label or "unlabeled")

        for picture, name in out.place(folder, flat=True):
            splits[folder(picture) if marked else picture.split or "train"] = None
            mask = out.place_mask(picture, f"masks/{posixpath.basename(name)}")
            if marked:
                _write_marks(out, picture, name, code_of, outlined=outlined)
            kept = {"split"} if picture.split else set()
            rows.append(beside_row(picture, name, mask=mask, without=[*kept, *(() if marked else ("label",))]))
        order = sorted(splits, key=lambda name: ["train", "val", "test", "pool"].index(posixpath.basename(name)))
        out.text("data.yaml", settings_text(order, out.classes))
        write_beside(out, rows)


def settings_text(folders: Sequence[str], classes: Sequence[str]) -> str:
    """Return what stands in ``data.yaml``.

    Args:
        folders: of pictures, relative; each is named after its split.
        classes: names in the order of their numbers.
    """
    lines = [f"{posixpath.basename(folder)}: {folder}" for folder in folders]
    names = [f"  {code}: {json.dumps(name, ensure_ascii=False)}" for code, name in enumerate(classes)]
    return "\n".join(["# written by scarce", *lines, f"nc: {len(classes)}", "names:", *names]) + "\n"


def label_text(
    items: Sequence[Mapping[str, Any]], size: tuple[int, int], classes: Mapping[str, int], *, outlined: bool = False
) -> str:
    """Return the text file of one picture: a line for each object.

    Args:
        items: objects in the form of :mod:`scarce.io.boxes`.
        size: width and height of the picture in pixels.
        classes: name to number.
        outlined: write outlines; else boxes.
    """
    return "".join(f"{_line(item, size, classes, outlined=outlined)}\n" for item in items)


def _write_marks(out: Outlet, picture: Picture, name: str, code_of: dict[str, int], *, outlined: bool) -> None:
    items: list[dict[str, Any]] = list(picture.boxes or ())  # type: ignore[arg-type]
    if picture.boxes is None:
        pixels = out.mask_pixels(picture)
        if pixels is None:
            return
        label = picture.label or "object"
        parts = shape.mask_polygons(pixels)
        items = [{"label": label, "bbox": shape.hull([part]), "segmentation": [part]} for part in parts]
    if picture.size is None:
        out.lost["boxes of pictures of unknown size"] += len(items)
        return
    for key in sorted({key for item in items for key in item} - {"label", "bbox", "segmentation", "id"}):
        out.lost[key] += sum(bool(item.get(key)) for item in items)
    out.text(_label_uri(name), label_text(items, picture.size, code_of, outlined=outlined))


def _line(item: Mapping[str, Any], size: tuple[int, int], code_of: Mapping[str, int], *, outlined: bool) -> str:
    left, top, width, height = item["bbox"]
    if outlined:
        right, bottom = left + width, top + height
        box = [left, top, right, top, right, bottom, left, bottom]
        values = _bridged(shape.polygons_of(item) or [box])
        numbers = [value / size[i % 2] for i, value in enumerate(values)]
    else:
        numbers = [(left + width / 2) / size[0], (top + height / 2) / size[1], width / size[0], height / size[1]]
    return " ".join([str(code_of[item["label"]]), *(f"{value:.10g}" for value in numbers)])


def _bridged(parts: Sequence[Sequence[float]]) -> list[float]:
    """Return several outlines as one: there and back over bridges without width."""
    first = parts[0]
    found = list(first)
    for part in parts[1:]:
        found += [*first[:2], *part, *part[:2]]
    return found + ([*first[:2]] if len(parts) > 1 else [])


def _label_uri(uri: str) -> str:
    """Return the text file of a picture: the last folder ``images`` becomes ``labels``."""
    parts = posixpath.splitext(uri)[0].split("/")
    at = max((i for i, part in enumerate(parts[:-1]) if part.lower() == "images"), default=None)
    if at is not None:
        parts[at] = "labels"
    return "/".join(parts) + ".txt"


def _fill(picture: Picture, data: bytes, names: Sequence[str]) -> None:
    """Read a text file of labels into a picture."""
    items: list[dict[str, Any]] = []
    lines = [line for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    if lines and picture.size is None:
        picture.reason = picture.reason or "broken: its size cannot be read, so its boxes have no pixels"
        return
    for number, line in enumerate(lines, 1):
        try:
            items.append(_item(line, picture.size or (1, 1), names))
        except (ValueError, IndexError) as error:
            picture.reason = picture.reason or f"broken: line {number} of its labels is no box ({error})"
    picture.boxes = items


def _item(line: str, size: tuple[int, int], names: Sequence[str]) -> dict[str, Any]:
    code, *texts = line.split()
    values = finite(texts)
    which = int(float(code))
    if which < 0 or (names and which >= len(names)):
        raise ValueError(f"class {which} has no name")
    label = names[which] if names else str(which)
    if len(values) in (4, 5):
        x, y, width, height = (value * size[i % 2] for i, value in enumerate(values[:4]))
        box = [shape.number(value) for value in (x - width / 2, y - height / 2, width, height)]
        return {"label": label, "bbox": box, **({"score": values[4]} if len(values) == 5 else {})}
    if len(values) < 6 or len(values) % 2:
        raise ValueError(f"it has {len(values) + 1} numbers")
    outline = [shape.number(value * size[i % 2]) for i, value in enumerate(values)]
    left, top, width, height = box = shape.hull([outline])
    right, bottom = shape.number(left + width), shape.number(top + height)
    if outline == [left, top, right, top, right, bottom, left, bottom]:
        return {"label": label, "bbox": box}
    return {"label": label, "bbox": box, "segmentation": [outline]}


def _settings(base: Path) -> Path | None:
    files = sorted(item for item in base.iterdir() if item.suffix.lower() in _YAML and not is_hidden(item.name))
    return next((item for item in files if _has_names(item)), None)


def _has_names(path: Path) -> bool:
    try:
        text = read_file(path)[: 1 << 20].decode("utf-8", "replace")
    except ReadError:
        return False
    keys = {line.split(":")[0] for line in text.splitlines() if ":" in line}
    return "names" in keys and bool(keys & {"train", "val", "test", "nc", "path"})


def _load(data: bytes, path: Path) -> dict[str, Any]:
    yaml = need("yaml", extra="yolo")
    try:
        found = yaml.safe_load(data.decode("utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        what = f"{path} is no readable YAML ({str(error).splitlines()[0][:120]})"
        raise ReadError("io.yolo", what, do="mend it") from None
    if not isinstance(found, dict):
        raise ReadError("io.yolo", f"{path} holds no settings", do="it needs names, train and val")
    return found


def _names(said: Any, base: Path) -> list[str]:
    """Return class names by number, from the settings or ``classes.txt``."""
    if isinstance(said, dict):
        codes = {int(code): str(name) for code, name in said.items() if str(code).isdecimal()}
        said = [codes.get(code, str(code)) for code in range(min(max(codes, default=-1) + 1, 1 << 20))]
    if isinstance(said, list):
        return [str(name) for name in said]
    for name in ("classes.txt", "labels/classes.txt", "obj.names"):
        if (base / name).is_file():
            lines = read_file(base / name).decode("utf-8", "replace").splitlines()
            return [line.strip() for line in lines if line.strip()]
    return []


def _label_folders(base: Path) -> Iterator[str]:
    """Yield the folders of pictures that have a folder ``labels`` with text files beside them."""
    if not (base / "labels").is_dir() and not any((base / name / "labels").is_dir() for name in SPLIT_NAMES):
        return
    texts = {posixpath.splitext(file.uri)[0] for file in walk(base).files if file.suffix == ".txt"}
    seen: set[str] = set()
    for file in walk(base).of(IMAGES):
        folder = "/".join(file.parts)
        if folder not in seen and "images" in file.parts and posixpath.splitext(_label_uri(file.uri))[0] in texts:
            seen.add(folder)
            yield folder


def _pictures(base: Path, said: dict[str, Any], album: Album) -> Iterator[tuple[str, tuple[str | None, str | None]]]:
    """Yield uri, split and trouble of every picture that the settings, or the folders, name."""
    files = {file.uri: file for file in walk(base).of(IMAGES)}
    named = {key: value for key, value in said.items() if split_name(key) and isinstance(value, str | list)}
    below = said.get("path") if isinstance(said.get("path"), str) else ""
    roots = [root for root in (inside(str(below)), "") if root is not None and (base / root).is_dir()]
    for key, value in named.items():
        for entry in value if isinstance(value, list) else [value]:
            uri = _entry(base, str(entry), roots)
            if uri is None:
                album.note(f"{key}: {str(entry)[:80]} is not below the folder: left out", BAD)
            elif (base / uri).is_file():
                yield from _listed(base, uri, files, split_name(key), album)
            else:
                inner = [file for file in files.values() if uri == "." or file.uri.startswith(uri + "/")]
                yield from ((file.uri, (split_name(key), file.reason)) for file in inner)
    if not named:
        for file in files.values():
            if "images" in file.parts or not any(_label_folders(base)):
                split = next((split for part in file.parts if (split := split_name(part))), None)
                yield file.uri, (split, file.reason)


def _entry(base: Path, entry: str, roots: Sequence[str]) -> str | None:
    """Return what an entry of the settings names below the base; leading ``../`` are dropped, as Roboflow needs it."""
    text = entry.strip().replace("\\", "/")
    while text.startswith(("../", "./")):
        text = text.partition("/")[2]
    for root in roots:
        uri = inside(posixpath.join(root, text)) if text not in ("", ".") else root or "."
        if uri and (base / uri).exists():
            return uri
    return None


def _listed(
    base: Path, uri: str, files: dict[str, Found], split: str | None, album: Album
) -> Iterator[tuple[str, tuple[str | None, str | None]]]:
    """Yield the pictures that a text file lists."""
    folder = posixpath.dirname(uri)
    for line in album.take(base / uri).decode("utf-8", "replace").splitlines():
        text = line.strip().removeprefix("./")
        name = inside(text)
        if not text:
            continue
        if name is None:
            album.note(f"{uri}: {text[:80]} leaves the folder: left out", BAD)
            continue
        known = next((one for one in (name, posixpath.join(folder, name)) if one in files), name)
        yield known, (split, files[known].reason if known in files else "missing: no such file")
