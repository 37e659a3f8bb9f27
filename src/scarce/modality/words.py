"""What samples that are words or numbers say, for people who have only a list of names before them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from scarce.dataset import Array, Dataset
from scarce.modality import raw as raw_content
from scarce.modality._base import BrokenSampleError
from scarce.modality._run import of

SAID: Final = ("text", "tabular")
"""The kinds of data whose samples can be shown as words."""
MOST_VALUES: Final = 24


def words_of(ds: Dataset, rows: Sequence[int] | Array) -> list[str]:
    """Return what some rows say: a text whole, a row of a table as ``name: value; ...``; empty for all else.

    What cannot be read any more, and rows that were made from others, are empty too.
    """
    places = raw_content.addresses(ds, np.asarray(rows, np.int64))
    if ds.schema.modality not in SAID:
        return [""] * len(places)
    kind, found = of(ds), []
    for place in places:
        try:
            if ds.schema.modality == "tabular":
                found.append(raw_content.told(place, most=MOST_VALUES).replace("\n", "; "))
            else:
                found.append(str(kind.decode(raw_content.content(place, "text"))))
        except (BrokenSampleError, OSError):
            found.append("")
    return found


def shortened(text: str, most: int = 60) -> str:
    """Return the beginning of a text on one line, with an ellipsis where it was cut."""
    line = re.sub(r"\s+", " ", text).strip()
    return line if len(line) <= most else line[: most - 1].rstrip() + "\u2026"
