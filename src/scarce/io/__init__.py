"""Reading data where it lies: folders of pictures and sounds, manifests, Parquet, texts, tables, series.

``read`` finds out what a path holds, lists its samples and writes down what it guessed; ``fetch`` gives the raw content
of rows; ``merge_sources`` adds another source. ``write`` gives what others read. No file of yours is moved or changed.
"""

from __future__ import annotations

from scarce.io._base import AbstractReader, Options
from scarce.io._outlet import sample_file
from scarce.io._run import as_test, choose, fetch, merge_sources, read, with_normal
from scarce.io._write import Written, formats, write

MODULES: tuple[str, ...] = ("boxes",)

__all__ = [
    "MODULES", "AbstractReader", "Options", "Written", "as_test", "choose", "fetch", "formats", "merge_sources", "read",
    "sample_file", "with_normal", "write",
]  # fmt: skip
