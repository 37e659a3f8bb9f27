"""Test samples that a model was trained on: in another split, or in another project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scarce._places import HIDDEN
from scarce.dataset import Dataset
from scarce.errors import ScarceError
from scarce.project import Project


def seen_by(folder: Path, card: Mapping[str, Any], test: Dataset) -> str | None:
    """Return a warning where a model was trained on samples that it is judged by; None where it was not.

    The version that the model was trained on, in the project that its folder lies in, says which samples those were;
    nothing is said where that is gone. Samples are known by their content, and by their id.

    Args:
        folder: of the model.
        card: of the model.
        test: N samples that it is judged by.
    """
    place = folder.absolute()
    if place.parent.parent.name != HIDDEN:
        return None
    try:
        with Project.open(place.parents[2]) as project:
            then = project.store.open(card["data"]["version"])
    except (ScarceError, KeyError):
        return None
    if "split" not in then:
        return None
    used = then["keep"].astype(bool) & (then["label"] >= 0) & np.isin(then["split"].astype(str), ("train", "val"))
    known = {
        name: {value for value in then[name][used].tolist() if value is not None}
        for name in ("id", "content_hash") if name in then and name in test
    }  # fmt: skip
    hits = np.zeros(len(test), bool)
    for name, values in known.items():
        hits |= np.array([value in values for value in test[name].tolist()], bool)
    if not hits.any():
        return None
    return (
        f"{int(hits.sum()):,} of {len(test):,} test samples were training samples of {place.name}: its figures promise "
        "too much. Train again on this split."
    )
