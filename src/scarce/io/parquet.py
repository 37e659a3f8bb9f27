"""Parquet manifests and Parquet files with embedded pictures or sounds."""

from __future__ import annotations

import json
import posixpath
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, final

import pyarrow as pa
import pyarrow.parquet as pq

from scarce.io._base import AbstractReader, Options
from scarce.io._listing import Listing
from scarce.io._manifest import list_manifest
from scarce.io._outlet import Outlet
from scarce.io._rows import FILES, rows_of
from scarce.io._tables import sniff
from scarce.io.boxes import MORE
from scarce.modality.table import PARQUET

ROWS_AT_ONCE: Final = 200
_SPLITS: Final = {"val": "validation", None: "train"}
_VALUES: Final = ((bool, "bool"), (int, "int64"), (float, "float64"), (str, "string"))


@final
@dataclass(frozen=True, kw_only=True)
class Parquet(AbstractReader):
    """Parquet: manifests that name files, and tables whose cells hold pictures or sounds.

    Use when a Parquet file (or one per split, or shards of the ``datasets`` library) has a column of file names, or of
    bytes, or of structs with ``bytes``. Class numbers get the names that the schema keeps for them.
    Writes: label, split, group, captured_at, mask_uri; every other column as meta.<name>.
    """

    writes: ClassVar[bool] = True
    ending: ClassVar[str] = ".parquet"

    def accepts(self, path: Path) -> float:
        """Return how sure it is that a delimited table names files."""
        return sniff(path, ("manifest", "embedded"), PARQUET)

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the files that the table names."""
        return list_manifest(path, options)

    def write(self, out: Outlet) -> None:
        """Write ``data/<split>-00000-of-00001.parquet`` as the ``datasets`` library does, or one file."""
        modality = out.ds.schema.modality
        out.files = "copy" if modality in FILES else "none"
        pairs = [(picture.split, row) for picture, row in rows_of(out, modality, folder="files")]
        if any(row["mask"] for _, row in pairs):
            out.lost["mask"] += sum(bool(row["mask"]) for _, row in pairs)
        if not out.name and {None} < {split for split, _ in pairs}:
            out.lost["samples without a split: written as pool"] = sum(split is None for split, _ in pairs)
            pairs = [(split or "pool", row) for split, row in pairs]
        shut = {"mask"} if out.name else {"mask", "split"}
        keys = list(dict.fromkeys(key for _, row in pairs for key, value in row.items() if value is not None))
        columns = {key: _column(key, [row.get(key) for _, row in pairs], out) for key in keys if key not in shut}
        for split in dict.fromkeys(None if out.name else split for split, _ in pairs):
            name = out.name or f"data/{_SPLITS.get(split, split)}-00000-of-00001.parquet"
            rows = [row for of, row in pairs if out.name or of == split]
            _write_file(out, name, rows, columns, modality)
        for folder in ("files", "masks"):
            shutil.rmtree(out.root / folder, ignore_errors=True)


Column = tuple[pa.DataType, dict[str, Any]]
"""Arrow type, and the feature of the ``datasets`` library."""


def _column(key: str, values: Sequence[Any], out: Outlet) -> Column:
    """Return how a column is stored."""
    if key == out.ds.schema.modality and key in FILES:
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())]), {"_type": key.capitalize()}
    names = {"names": out.classes, "_type": "ClassLabel"}
    if key == "label":
        return pa.int64(), names
    if key == "label_set":
        return pa.list_(pa.string()), {"feature": {"dtype": "string", "_type": "Value"}, "_type": "Sequence"}
    if key in ("boxes", "predicted_boxes"):
        number, text = {"dtype": "float64", "_type": "Value"}, {"dtype": "string", "_type": "Value"}
        lists = pa.list_(pa.list_(pa.float64()))
        kind = pa.struct([
            ("bbox", lists), ("category", pa.list_(pa.int64())), (MORE, pa.list_(pa.string())),
        ])  # fmt: skip
        inner = {"bbox": {"feature": number, "_type": "Sequence"}, "category": names, MORE: text}
        return kind, {"feature": inner, "_type": "Sequence"}
    kinds = {type(value) for value in values if value is not None}
    dtype = next(
        (name for kind, name in _VALUES if kinds <= {kind, int} and (kind is float or kinds == {kind})), "string"
    )
    return pa.type_for_alias(dtype), {"dtype": dtype, "_type": "Value"}


def _write_file(
    out: Outlet, name: str, rows: Sequence[dict[str, Any]], columns: dict[str, Column], modality: str
) -> None:
    features = {key: feature for key, (_, feature) in columns.items()}
    schema = pa.schema(
        [(key, kind) for key, (kind, _) in columns.items()],
        {"huggingface": json.dumps({"info": {"features": features}}, ensure_ascii=False)},
    )
    target = out.root / name
    target.parent.mkdir(parents=True, exist_ok=True)
    code_of = {label: code for code, label in enumerate(out.classes)}
    with pq.ParquetWriter(target, schema) as writer:
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = rows[start : start + ROWS_AT_ONCE]
            cells = {key: [_cell(key, row.get(key), out, code_of, modality) for row in part] for key in columns}
            texts = {key for key, (kind, _) in columns.items() if pa.types.is_string(kind)}
            arrays = [
                pa.array(
                    [None if v is None else str(v) for v in values] if key in texts else values, schema.field(key).type
                )
                for key, values in cells.items()
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _cell(key: str, value: Any, out: Outlet, code_of: dict[str, int], modality: str) -> Any:
    if value is None:
        return None
    if key == modality and key in FILES:
        return {"bytes": (out.root / value).read_bytes(), "path": posixpath.basename(value)}
    if key == "label":
        return code_of[value]
    if key in ("boxes", "predicted_boxes"):
        items = json.loads(value)
        more = [{name: part for name, part in item.items() if name not in ("label", "bbox")} for item in items]
        return {
            "bbox": [item["bbox"] for item in items], "category": [code_of[item["label"]] for item in items],
            MORE: [json.dumps(one, ensure_ascii=False) if one else None for one in more],
        }  # fmt: skip
    return value
