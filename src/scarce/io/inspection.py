"""Inspection folders with pixel masks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from scarce.dataset import normal_classes
from scarce.errors import DataError
from scarce.io._base import AbstractReader, Options
from scarce.io._listing import INFO, WARN, Listing, Note
from scarce.io._tree import list_tree
from scarce.io._walk import IMAGES, Found, is_hidden, walk

MASK_FOLDERS = frozenset("masks mask ground_truth groundtruth gt annotations segmentation segmentations".split())
_MASK_ENDING = re.compile(r"[_-](mask|gt|seg|segmentation|label|anno)s?$", re.IGNORECASE)


@final
@dataclass(frozen=True, kw_only=True)
class Inspection(AbstractReader):
    """Inspection folders as in MVTec AD: sound and defect folders, and pixel masks beside them.

    Use when there is a folder of masks: ``train/good``, ``test/<defect>``, ``ground_truth/<defect>/*_mask.png``; or
    ``<class>/*`` (or ``images/<class>/*``) and ``masks/<class>/*``.
    Writes: label, split, mask_uri. Where the training folder holds sound parts only, defects cannot be learned from
    that split: it is kept as meta.split and a new one will be made (``--split given`` takes it as it is).
    Source: Bergmann et al. 2019, MVTec AD, for the layout.
    """

    def accepts(self, path: Path) -> float:
        """Return 0.95 where a folder of masks stands beside pictures."""
        if not path.is_dir():
            return 0.0
        if len(inner_sets(path)) > 1:
            return 0.95
        pictures, masks = divide(walk(path).of(IMAGES))
        return 0.95 if masks and pictures else 0.85 if _is_mvtec(path) else 0.0

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the pictures with the masks that belong to them."""
        several = inner_sets(path)
        if len(several) > 1:
            what = f"{path} holds {len(several)} data sets"
            raise DataError("io.inspection", what, ", ".join(several), "read one of them")
        walked = walk(path)
        pictures, masks = divide(walked.of(IMAGES))
        if not pictures:
            raise DataError("io.inspection", f"{path} holds no pictures beside the masks", do="check the path")
        found = list_tree(path, walked, pictures, modality="image", options=options)
        found.columns["mask_uri"] = match_masks(pictures, masks)
        count = sum(uri is not None for uri in found.columns["mask_uri"])
        found.notes.append(Note("data", f"{count} pictures have a pixel mask ({len(masks)} masks found)", INFO))
        found.notes += _honest_split(found.columns, options)
        return found


def divide(files: Sequence[Found]) -> tuple[list[Found], list[Found]]:
    """Return the pictures and the masks among files."""
    masks = [file for file in files if any(part.lower() in MASK_FOLDERS for part in file.parts)]
    shut = {file.uri for file in masks}
    return [file for file in files if file.uri not in shut], masks


def match_masks(pictures: Sequence[Found], masks: Sequence[Found]) -> list[str | None]:
    """Return the mask of each picture: same name (an ending like ``_mask`` aside) and folder."""
    table: dict[tuple[str, str], str] = {}
    count: dict[str, int] = {}
    for mask in masks:
        stem = _MASK_ENDING.sub("", mask.stem)
        table[mask.parts[-1], stem] = mask.uri
        count[stem] = count.get(stem, 0) + 1
        table.setdefault(("", stem), mask.uri)
    flat = any(mask.parts[-1].lower() in MASK_FOLDERS for mask in masks)
    found: list[str | None] = []
    for picture in pictures:
        folder = picture.parts[-1] if picture.parts else ""
        own = table.get((folder, picture.stem))
        found.append(own or (table.get(("", picture.stem)) if flat and count.get(picture.stem) == 1 else None))
    return found


def inner_sets(path: Path) -> list[str]:
    """Return the folders below that are whole inspection sets of their own."""
    try:
        return sorted(item.name for item in path.iterdir() if not is_hidden(item.name) and _is_mvtec(item))
    except OSError:
        return []


def _is_mvtec(path: Path) -> bool:
    if not (path / "train").is_dir() or not (path / "test").is_dir():
        return False
    below = [item.name for item in (path / "train").iterdir() if item.is_dir() and not is_hidden(item.name)]
    tested = [item.name for item in (path / "test").iterdir() if item.is_dir() and not is_hidden(item.name)]
    return len(below) == 1 and below == list(normal_classes(below)) and len(tested) > 1


def _honest_split(columns: dict[str, Any], options: Options) -> list[Note]:
    splits, labels = columns.get("split"), columns["label"]
    if splits is None or options.split == "given":
        return []
    trained = {label for label, split in zip(labels, splits, strict=True) if split == "train"}
    lost = sorted({label for label in labels if label} - trained)
    if not lost:
        return []
    columns["meta.split"] = columns.pop("split")
    why = (
        f"the training folder has no {', '.join(lost)}, so the given split cannot teach them: a new split will be made "
        "(the given one is kept as meta.split; --split given takes it as it is)"
    )
    return [Note("data", why, WARN)]
