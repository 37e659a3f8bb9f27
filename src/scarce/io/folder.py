"""Class folders of pictures or text files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from scarce.errors import DataError
from scarce.io._base import AbstractReader, Options
from scarce.io._listing import Listing
from scarce.io._tree import list_tree, suspicious_pairs
from scarce.io._walk import IMAGES, SOUNDS, TEXTS, walk


@final
@dataclass(frozen=True, kw_only=True)
class Folder(AbstractReader):
    """Class folders: ``dir/<class>/*`` or ``dir/<split>/<class>/*``; a flat folder is unlabeled.

    Use when the folder names are the labels. Folders called train, val, test (and their many spellings) are splits as
    soon as there is a train; without one they are classes. A folder called unlabeled has no label.
    Do not use when a table beside the files has the labels; it is found and read instead.
    Writes: label, split, meta.folder (deeper folders); group from ``--group stem``, ``parent`` or a pattern.
    """

    def accepts(self, path: Path) -> float:
        """Return 0.7 for pictures in folders, 0.6 for a flat folder of them, 0.55 for class folders of text files."""
        if not path.is_dir():
            return 0.0
        walked = walk(path)
        images = walked.of(IMAGES)
        if images and len(images) >= len(walked.of(SOUNDS)):
            return 0.7 if any(file.parts for file in images) else 0.6
        texts = [file for file in walked.of(TEXTS) if file.parts]
        return 0.55 if len({file.parts for file in texts}) > 1 and not walked.of(SOUNDS) else 0.0

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the pictures (or, where there are none, the text files) of a folder tree."""
        walked = walk(path)
        files, modality = walked.of(IMAGES), "image"
        if not files:
            files, modality = [file for file in walked.of(TEXTS) if file.parts], "text"
        if not files:
            raise DataError("io.folder", f"{path} holds no pictures", do="check the path")
        found = list_tree(path, walked, files, modality=modality, options=options)
        pairs = suspicious_pairs(files)
        if pairs and "group" not in found.columns:
            found.notes.append(pairs)
        return found
