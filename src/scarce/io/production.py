"""Samples that a served model kept: one JSON file lists which of them join the data, and with what."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final, final

import pyarrow as pa

from scarce.dataset import Dataset
from scarce.errors import DataError, ReadError
from scarce.io._base import AbstractReader, Options
from scarce.io._listing import Listing
from scarce.lineage import Step, canonical_json, digest
from scarce.modality.raw import MISSING

ENDING: Final = ".samples.json"
MARK: Final = "samples of production"
SOURCE: Final = "production"
KEYS: Final = ("sample", "at", "split", "inclusion", "worth")


@final
@dataclass(frozen=True, kw_only=True)
class Production(AbstractReader):
    """Samples that a served model kept: ``.scarce/production/NAME.samples.json`` beside the files it lists.

    Use when ``scarce queue`` or ``scarce collect`` take production samples into a project; both write such files, so
    that a version can be made again from them.
    Writes: captured_at, split, meta.inclusion (probability with which it was drawn; null = not drawn), meta.worth.
    """

    exact: ClassVar[bool] = True

    def accepts(self, path: Path) -> float:
        """Return how sure it is: by the ending and the first words."""
        if not path.name.endswith(ENDING) or not path.is_file():
            return 0.0
        with path.open("rb") as file:
            return float(f'"kind":"{MARK}"'.encode() in file.read(200))

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the samples that the file lists."""
        try:
            raw = path.read_bytes()
            body = json.loads(raw)
            found = listed(path.parent, str(body["modality"]), body["samples"], options.source or SOURCE)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ReadError("io.production", f"{path} cannot be read ({error})", do="restore it from a backup"
                            ) from error  # fmt: skip
        found.inputs = {path.name: digest(raw)}
        return found


def listed(folder: Path, modality: str, rows: Sequence[Mapping[str, Any]], source: str = SOURCE) -> Listing:
    """Return kept samples as a listing.

    Args:
        folder: where they lie, each under the hash of its content.
        modality: kind of data.
        rows: ``sample`` (the hash), ``at`` (ISO 8601), and ``split``, ``inclusion``, ``worth`` where there are any.
        source: name of the source.

    Raises:
        DataError: a name is that of no file in the folder.
    """
    uris = [str(row["sample"]) for row in rows]
    strange = next((uri for uri in uris if not uri.isalnum()), None)
    if strange is not None:
        raise DataError("io.production", f"{strange!r} is no hash of a sample", do="leave the list as it was written")
    moments = [datetime.fromisoformat(row["at"]).astimezone(UTC).replace(tzinfo=None) for row in rows]
    columns: dict[str, Any] = {
        "captured_at": pa.array(moments, pa.timestamp("us")),
        "split": pa.array([row.get("split") for row in rows], pa.string()),
        "meta.inclusion": pa.array([row.get("inclusion") for row in rows], pa.float64()),
        "meta.worth": pa.array([row.get("worth") for row in rows], pa.string()),
    }
    reasons = [None if (folder / uri).is_file() else MISSING for uri in uris]
    return Listing(base=folder, source=source, modality=modality, uris=uris, columns=columns, reasons=reasons)


def write_samples(folder: Path, modality: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write a list of kept samples beside them and return it; the same rows give the same file.

    Args:
        folder: where the samples lie.
        modality: kind of data.
        rows: see :func:`listed`.
    """
    told = [{key: row[key] for key in KEYS if row.get(key) is not None} for row in rows]
    text = canonical_json({"kind": MARK, "modality": modality, "samples": told})
    place = folder / f"{digest(text)[:12]}{ENDING}"
    part = place.with_name(f".{place.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(place)
    return place


def drawn(ds: Dataset, shares: Mapping[str, float]) -> Dataset:
    """Return the data with samples that chance drew as test samples, with the probability of each.

    Args:
        ds: the data.
        shares: id to probability with which it was drawn, in (0, 1].
    """
    rows = ds.rows_of(list(shares))
    names = ds.table.column_names
    known = ds.table["meta.inclusion"].to_pylist() if "meta.inclusion" in names else [None] * len(ds)
    splits = ds.table["split"].to_pylist()
    for row, share in zip(rows, shares.values(), strict=True):
        known[row], splits[row] = float(share), "test"
    step = Step(stage="io", name="drawn", params={"shares": dict(sorted(shares.items()))})
    return ds.with_columns({"meta.inclusion": pa.array(known, pa.float64()), "split": splits}).with_step(step)
