"""Hugging Face: folders of pictures or sounds with a table of metadata in each."""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

from scarce.errors import DataError
from scarce.io._base import AbstractReader, Options
from scarce.io._listing import Listing
from scarce.io._manifest import list_manifest
from scarce.io._outlet import Outlet
from scarce.io._picture import Picture
from scarce.io._rows import FILES, rows_of
from scarce.io._tables import split_tables


@final
@dataclass(frozen=True, kw_only=True)
class Huggingface(AbstractReader):
    """Hugging Face: ``imagefolder`` and ``audiofolder``, a folder per split with pictures and ``metadata.jsonl``.

    Use for folders that ``datasets.load_dataset("imagefolder", data_dir=...)`` reads: ``train/metadata.jsonl`` (or
    csv, parquet) with a column ``file_name``. ``objects`` of ``bbox`` and ``category`` become boxes. Its Parquet files
    are read and written by ``parquet``.
    Writes: label, split, group, captured_at, mask_uri, meta.boxes; every other column as meta.<name>.
    Source: huggingface.co/docs/datasets for the layout.
    """

    exact: ClassVar[bool] = True
    writes: ClassVar[bool] = True

    def accepts(self, path: Path) -> float:
        """Return 1 for a folder whose split folders each have a table called ``metadata``."""
        return 1.0 if path.is_dir() and not (path / "data.yaml").exists() and split_tables(path) else 0.0

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the files that the tables name."""
        return list_manifest(path, options)

    def write(self, out: Outlet) -> None:
        """Write ``<split>/metadata.jsonl`` with the files beside it."""
        if out.files == "none" or out.ds.schema.modality not in FILES:
            what = "Hugging Face keeps pictures or sounds beside their metadata"
            raise DataError("io.huggingface", what, do="use files='copy' or 'link'; for texts and tables take parquet")
        lines: dict[str, list[str]] = {}
        folders: dict[str, str] = {}

        for picture, row in rows_of(out, "file_name", folder="files"):
            split = folders.setdefault(picture.split or "", _folder(picture))
            row["file_name"] = posixpath.relpath(_moved(out, row["file_name"], split), split)
            if row["mask"]:
                row["mask"] = posixpath.relpath(row["mask"], split)
            boxes = row.pop("boxes")
            kept = {key: value for key, value in row.items() if value is not None and key != "split"}
            if boxes is not None:
                kept["objects"] = _objects(json.loads(boxes))
            lines.setdefault(split, []).append(json.dumps(kept, ensure_ascii=False))
        for split, body in lines.items():
            out.text(f"{split}/metadata.jsonl", "".join(f"{line}\n" for line in body))


def _folder(picture: Picture) -> str:
    return {"val": "validation", None: "train"}.get(picture.split, picture.split or "train")


def _moved(out: Outlet, name: str, split: str) -> str:
    """Move a file that was put down into the folder of its split; return its new name."""
    target = posixpath.join(split, name.removeprefix("files/"))
    place = out.root / target
    place.parent.mkdir(parents=True, exist_ok=True)
    (out.root / name).rename(place)
    for folder in (out.root / name).parents:
        if folder == out.root or any(folder.iterdir()):
            break
        folder.rmdir()
    return target


def _objects(items: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return boxes as ``datasets`` shows them: a list of boxes and one of classes, and what else is known."""
    more = [{key: value for key, value in item.items() if key not in ("label", "bbox")} for item in items]
    found: dict[str, list[Any]] = {
        "bbox": [[float(value) for value in item["bbox"]] for item in items],
        "category": [item["label"] for item in items],
    }
    return {**found, "more": [json.dumps(one, ensure_ascii=False) if one else "" for one in more]}
