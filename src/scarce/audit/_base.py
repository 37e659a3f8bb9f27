"""The frame of a check: what it needs, the one hook it fills, and what it returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from scarce import columns
from scarce.ballot import holds_content
from scarce.dataset import Array, Dataset, Floats
from scarce.errors import DataError
from scarce.registry import Plugin

Finding = Mapping[str, Any]
"""One row of the findings: ``level``, ``members``, ``score``, ``why``; see :func:`finding`."""

FEW_VALUES, MANY_EACH = 20, 10
"""A label is a number if it has more than so many different values, all numbers, and fewer samples each than this."""


@dataclass(frozen=True)
class Measurement:
    """What a check returns about N samples.

    Attributes:
        score: (N,) in [0, 1], 1 = worst; NaN where the check does not apply.
        findings: what a person should look at.
    """

    score: Floats
    findings: Sequence[Finding] = field(default_factory=tuple)


@dataclass(frozen=True, kw_only=True)
class AbstractCheck(Plugin, ABC):
    """Base of every check: it measures and never decides.

    ``needs`` lists columns; ``a|b`` means either; a bare first name (``embedding``) means any column below it.
    """

    modalities: ClassVar[tuple[str, ...]] = ()
    """The modalities it can judge; empty = all."""
    reads_content: ClassVar[bool] = True
    """Whether it judges what the samples show; one that looks at labels or votes alone needs no content."""
    after: ClassVar[tuple[str, ...]] = ()
    """Checks whose findings it reads; the driver runs those first."""

    @abstractmethod
    def measure(self, ds: Dataset) -> Measurement:
        """Judge all rows of a dataset whose rows are kept, real and sorted by id.

        Args:
            ds: N rows; columns named in ``needs`` are present. A check that draws has a field ``seed``.
        """

    def unmet(self, ds: Dataset) -> str:
        """Return why the check cannot run on this dataset; empty if it can."""
        if self.modalities and ds.schema.modality not in self.modalities:
            return f"it judges {' and '.join(self.modalities)}, this is {ds.schema.modality}"
        if self.reads_content and not holds_content(ds):
            return "there are votes and no content: a sample's name says nothing about it"
        if "label" in self.needs and numeric_label(ds):
            return f"the label is a number ({len(ds.schema.classes)} values); number_error judges it"
        lacking = [need for need in self.needs if not any(has_column(ds, name) for name in need.split("|"))]
        return "it needs " + ", ".join(need.replace("|", " or ") for need in lacking) if lacking else ""


def numeric_label(ds: Dataset) -> bool:
    """Return whether the label is a number rather than a class: more than 20 different ones, few samples each."""
    names = ds.schema.classes
    if len(names) <= FEW_VALUES or len(names) * MANY_EACH < len(ds):
        return False
    try:
        return all(np.isfinite(float(name)) for name in names)
    except ValueError:
        return False


def has_column(ds: Dataset, name: str) -> bool:
    """Return whether a column holds anything; ``label`` must know a class, a bare first name means any column below."""
    if name == "label":
        return bool(ds.schema.classes) and bool((ds["label"] >= 0).any())
    if name in columns.WIDE:
        return any(column.startswith(name + ".") for column in ds.wide)
    return name in ds


def finding(level: str, members: Sequence[str] | Array, score: float, why: str) -> Finding:
    """Return one row of the findings.

    Args:
        level: one of :data:`scarce.columns.LEVELS`.
        members: sample ids, or class names for level ``class``.
        score: in [0, 1], 1 = worst.
        why: one sentence for a person, with the numbers.
    """
    if level not in columns.LEVELS:
        raise DataError("audit", f"unknown level {level!r}", f"known are {', '.join(columns.LEVELS)}")
    members = [str(member) for member in members]
    return {"level": level, "members": members, "score": float(min(max(score, 0.0), 1.0)), "why": why}


def percent(share: float) -> str:
    """Return a share as ``5.61 %``; one below 0.01 % with two digits, so that a share above 0 is never shown as 0."""
    return f"{100 * share:.2f} %" if share == 0 or share >= 1e-4 else f"{100 * share:.1g} %"


def ds_embedding(ds: Dataset, name: str = "") -> tuple[str, Floats]:
    """Return the name and the (N, D) float32 features to judge by: the named encoder's, or the newest.

    Raises:
        DataError: the dataset has no embedding.
    """
    found = [column for column in ds.wide if column.startswith("embedding.")]
    wanted = f"embedding.{name}" if name else (found[-1] if found else "embedding")
    if wanted not in ds.wide:
        raise DataError(
            "audit", f"there is no {wanted}", f"there is {', '.join(found) or 'no embedding'}", "run scarce encode"
        )
    return wanted, np.asarray(ds.wide[wanted], np.float32)


def unit_rows(features: Floats) -> Floats:
    """Return (N, D) float32 rows of length 1; rows with NaN or without length become zero."""
    rows = np.array(features, np.float32)
    rows[~np.isfinite(rows).all(axis=1)] = 0.0
    length = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
    length[length < 1e-12] = np.inf
    rows /= length[:, None].astype(np.float32)
    return rows
