"""What a sample's features depend on, and where its bytes lie."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from scarce.dataset import Array, Dataset
from scarce.lineage import digest


def content_keys(ds: Dataset, rows: Array) -> list[str]:
    """Return (len(rows),) keys of the samples' content; empty where it is not known (not scanned).

    A grown row's key covers its recipe and the content of all its parents.
    """
    part = ds.table.select(["content_hash", "recipe", "parents"])
    taken = part.take(pa.array(rows, pa.int64()))
    hashes, recipes, families = (taken[name].to_pylist() for name in ("content_hash", "recipe", "parents"))
    if not any(recipes):
        return [text or "" for text in hashes]
    everything = ds.table.select(["id", "content_hash", "recipe"]).to_pydict()
    known = {
        sample: (text or "", recipe or "")
        for sample, text, recipe in zip(*(everything[name] for name in ("id", "content_hash", "recipe")), strict=True)
    }
    keys = []
    for text, recipe, family in zip(hashes, recipes, families, strict=True):
        if not recipe:
            keys.append(text or "")
            continue
        parts = [known.get(parent, ("", "")) for parent in sorted(family or ())]
        whole = all(content or grown for content, grown in parts)
        keys.append(digest(recipe, *(piece for part in parts for piece in part)) if whole and parts else "")
    return keys


def as_on_disk(ds: Dataset, rows: Array, places: Array) -> Array:
    """Return the places in the order in which their bytes lie on disk; grown rows beside their first parent."""
    part = ds.table.select(["source", "uri"]).take(pa.array(rows[places], pa.int64()))
    keys = list(zip(*([text or "" for text in part[name].to_pylist()] for name in ("source", "uri")), strict=True))
    order = sorted(range(len(places)), key=lambda place: (*_natural(keys[place]), place))
    return places[np.array(order, np.int64)]


def _natural(key: tuple[str, str]) -> tuple[str, str, int]:
    source, uri = key
    head, mark, tail = uri.rpartition("#")
    number = tail.partition(":")[0]
    return (source, head, int(number)) if mark and number.isdigit() else (source, uri, 0)
