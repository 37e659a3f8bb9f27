"""Answers of labelling functions, kept by what they saw and by the function's source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scarce.dataset import Array, Floats, Ints, Mask
from scarce.label.rule._function import LabelingFunction
from scarce.lineage import digest


@dataclass(frozen=True, eq=False)
class Memory:
    """One file a function and source; failures are not kept, so that they are tried again.

    Args:
        folder: where the files lie.
        keys: (N,) hash of what a function sees of each sample.
        classes: names of the classes, which codes depend on.
    """

    folder: Path
    keys: Sequence[str]
    classes: Sequence[str]

    def recall(self, function: LabelingFunction) -> tuple[Ints, Ints, Floats | None]:
        """Return the rows that are known, their codes, and their probabilities if there are some."""
        none = np.zeros(0, np.int64)
        path = self._path(function)
        if not path.is_file():
            return none, none, None
        try:
            with np.load(path, allow_pickle=False) as kept:
                keys, votes = kept["keys"], kept["votes"]
                soft = kept["soft"] if "soft" in kept.files else None
        except (OSError, ValueError, KeyError, EOFError):
            return none, none, None
        wanted = np.array(self.keys, "S32")
        place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
        rows = np.flatnonzero(keys[place] == wanted) if len(keys) else none
        return rows, votes[place[rows]], None if soft is None else soft[place[rows]]

    def keep(self, function: LabelingFunction, votes: Array, soft: Array | None, failed: Mask) -> None:
        """Keep a function's answers, beside those that are there already."""
        keys = np.array(self.keys, "S32")[~failed]
        values, probs = votes[~failed], None if soft is None else soft[~failed]
        path = self._path(function)
        if path.is_file():
            try:
                with np.load(path, allow_pickle=False) as kept:
                    if ("soft" in kept.files) == (probs is not None):
                        keys, values = np.concatenate([keys, kept["keys"]]), np.concatenate([values, kept["votes"]])
                        probs = None if probs is None else np.concatenate([probs, kept["soft"]])
            except (OSError, ValueError, KeyError, EOFError):
                pass
        keys, first = np.unique(keys, return_index=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            if probs is None:
                np.savez(file, keys=keys, votes=values[first])
            else:
                np.savez(file, keys=keys, votes=values[first], soft=probs[first])
        part.replace(path)

    def _path(self, function: LabelingFunction) -> Path:
        name = "".join(letter if letter.isalnum() else "_" for letter in function.name)[:60]
        return self.folder / f"{name}-{digest(function.source_hash(), *self.classes)[:20]}.npz"
