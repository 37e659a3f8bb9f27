"""Different labels on one and the same content or object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit._base import AbstractCheck, Finding, Measurement, finding
from scarce.dataset import Array, Dataset, Floats, Ints

SOURCES = {"exact_duplicate": 1.0, "near_duplicate": 0.95, "same_object": 0.8}
"""Whose groups are read, and how sure it is that members must carry one label."""


@final
@dataclass(frozen=True, kw_only=True)
class LabelConflict(AbstractCheck):
    """Find copies, and pictures of one object, that carry different labels.

    Use always where copies are sought: of two equal samples with two labels one is wrong, or the guideline is unclear.
    Do not use without labels. Pictures of one object may rightly differ where a defect shows in some light only.
    Needs: label, and the groups of exact_duplicate, near_duplicate and same_object; those that did not run say nothing.
    Writes: score (N,) = one less the label's share in the group, times how sure the group is: near 1 for the one among
    many; NaN in no group. Group findings: the members of each label side by side, the commonest label first.
    """

    needs: ClassVar[tuple[str, ...]] = ("label",)
    after: ClassVar[tuple[str, ...]] = tuple(SOURCES)

    def measure(self, ds: Dataset) -> Measurement:
        """Compare the labels inside every group."""
        place = {sample: row for row, sample in enumerate(ds.ids.tolist())}
        score, labels = np.full(len(ds), np.nan), ds["label"]
        found: list[Finding] = []
        told: set[tuple[int, ...]] = set()
        for check, sure in SOURCES.items():
            for row in ds.findings.to_pylist():
                if (row["check"], row["level"]) != (check, "group"):
                    continue
                members = np.sort([place[name] for name in row["members"] if name in place]).astype(np.int64)
                doubt = sure * label_doubt(labels[members])
                score[members] = np.fmax(score[members], doubt)
                if np.nanmax(doubt, initial=0) > 0 and tuple(members) not in told:
                    told.add(tuple(members))
                    found.append(_told(ds, members, check, float(np.nanmax(doubt))))
        return Measurement(score, sorted(found, key=lambda row: -row["score"]))


def label_doubt(labels: Array) -> Floats:
    """Return (N,) one less the share that each label has among samples which should carry one; NaN without a label.

    Args:
        labels: (N,) class codes, -1 = none.
    """
    codes = np.asarray(labels, np.int64)
    known = codes >= 0
    doubt = np.full(len(codes), np.nan)
    if known.any():
        count = np.bincount(codes[known])
        doubt[known] = 1 - count[codes[known]] / known.sum()
    return doubt


def _told(ds: Dataset, members: Ints, check: str, score: float) -> Finding:
    labels = ds["label"][members]
    codes, counts = np.unique(labels[labels >= 0], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    said = ", ".join(f"{ds.schema.classes[codes[k]]} ({counts[k]})" for k in order)
    rank = {int(code): place for place, code in enumerate(codes[order])}
    side = np.argsort([rank.get(int(code), len(rank)) for code in labels], kind="stable")
    what = "pictures of one object" if check == "same_object" else "copies"
    question = "is the defect seen in some pictures only?" if check == "same_object" else "which is right?"
    return finding("group", ds.ids[members[side]], score, f"{len(members)} {what} with labels {said}: {question}")
