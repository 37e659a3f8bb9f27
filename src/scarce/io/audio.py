"""Class folders of sounds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from scarce.errors import DataError
from scarce.io._base import AbstractReader, Options
from scarce.io._listing import Listing
from scarce.io._tree import list_tree
from scarce.io._walk import IMAGES, SOUNDS, walk


@final
@dataclass(frozen=True, kw_only=True)
class Audio(AbstractReader):
    """Class folders of sounds: WAV, and through the extra ``audio`` FLAC, OGG, AIFF, MP3.

    Use when the folder names are the labels; a table that lists sound files is read by csv, parquet or jsonl.
    Writes: label, split, meta.folder (deeper folders); group from ``--group stem``, ``parent`` or a pattern.
    """

    def accepts(self, path: Path) -> float:
        """Return 0.7 for folders that hold more sounds than pictures."""
        if not path.is_dir():
            return 0.0
        walked = walk(path)
        return 0.7 if len(walked.of(SOUNDS)) > len(walked.of(IMAGES)) else 0.0

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the sounds of a folder tree."""
        walked = walk(path)
        files = walked.of(SOUNDS)
        if not files:
            raise DataError("io.audio", f"{path} holds no sounds", do="check the path")
        return list_tree(path, walked, files, modality="audio", options=options)
