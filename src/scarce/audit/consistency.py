"""Samples whose form or label does not agree with the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit._base import AbstractCheck, Finding, Measurement, finding
from scarce.audit._group import label_conflict
from scarce.audit.odd_aspect_ratio import OddAspectRatio
from scarce.audit.odd_size import OddSize
from scarce.dataset import Array, Dataset, Ints, Mask
from scarce.kin import COPIES

Told = tuple[Mask, Callable[[int], str]]
FORMS = {
    "image": (("channels", "channels"), ("bits", "bits a channel")),
    "audio": (("channels", "channels"), ("rate", "samples a second")),
    "time_series": (("channels", "channels"),),
    "tabular": (("length", "features"),),
}
"""Modality to the properties of the scan that one process keeps the same, with the words for them."""


CLASS_SHARE, CLASS_LEAST = 0.95, 20
"""Where all samples have no usual value, a class of so many samples has one if this share of it agrees."""


def unusual(values: Array, *, share: float = 0.8, labels: Ints | None = None) -> Mask:
    """Return (N,) bool: which values differ from the one that at least ``share`` of all have.

    Where there is no such value, a class nearly all of whose samples agree has one of its own; 52 % of color pictures
    beside 48 % of gray ones make neither unusual.

    Args:
        values: (N,) or (N, P) whole numbers; rows are compared as a whole.
        share: in (0, 1].
        labels: (N,) codes, -1 = none; None = classes are not looked at.
    """
    rows = np.asarray(values)
    out = np.zeros(len(rows), bool)
    if not len(rows):
        return out
    place = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
    counts = np.bincount(place)
    if counts.max() >= share * len(rows):
        return np.asarray(place != counts.argmax())
    for code in np.unique(labels[labels >= 0]) if labels is not None else ():
        mine = np.flatnonzero(labels == code)
        own = np.bincount(place[mine])
        if len(mine) >= CLASS_LEAST and own.max() >= CLASS_SHARE * len(mine):
            out[mine] = place[mine] != own.argmax()
    return out


@final
@dataclass(frozen=True, kw_only=True)
class Consistency(AbstractCheck):
    """Find samples whose form or label disagrees with the others: other size or channels, two labels for one thing.

    Use when all samples should come from one process; a color photo among gray ones is a shortcut for a model.
    Do not use as a fault of pictures of the world: where no form is usual, only the odd sizes are named.
    Needs: nothing; scan.* widen it (image: width, height, channels, bits; sound: rate, channels; series: channels;
    table: length), and groups that the duplicate checks found.
    Writes: score (N,) = 1 where something disagrees, else 0; sample findings for the form, group findings for copies
    and pictures of one object that carry different labels, class findings for one name in two spellings.

    Args:
        share: of the samples that must have one size, number of channels or depth before others count as unusual; where
            none is so common, of a class of 20 samples or more 95 % must.
    """

    after: ClassVar[tuple[str, ...]] = COPIES
    share: float = 0.8

    def measure(self, ds: Dataset) -> Measurement:
        """Compare every sample's form with the usual one, and the labels inside each group."""
        wrong, found = np.zeros(len(ds), bool), list[Finding]()
        reasons: dict[int, list[str]] = {}
        for mask, say in self._forms(ds):
            wrong |= mask
            for row in np.flatnonzero(mask).tolist():
                reasons.setdefault(row, []).append(say(row))
        found += [finding("sample", [ds.ids[row]], 1.0, "; ".join(why)) for row, why in sorted(reasons.items())]
        for rows, why in _conflicts(ds):
            wrong[rows] = True
            found.append(finding("group", ds.ids[rows], 1.0, why))
        for codes, why in _spellings(ds):
            wrong |= np.isin(ds["label"], codes[1:])
            found.append(finding("class", [ds.schema.classes[code] for code in codes], 1.0, why))
        return Measurement(wrong.astype(np.float32), found)

    def _forms(self, ds: Dataset) -> Iterator[Told]:
        """Yield which samples differ in a property, and what is said about each."""
        for name, unit in FORMS.get(ds.schema.modality, ()):
            if f"scan.{name}" in ds and len(ds):
                values = ds[f"scan.{name}"]
                yield unusual(values, share=self.share, labels=ds["label"]), _saying(values, unit)
        if ds.schema.modality == "image" and "scan.width" in ds and "scan.height" in ds and len(ds):
            yield _sizes(ds, self.share)


def _saying(values: Array, unit: str) -> Callable[[int], str]:
    """Return what is said about a row whose value is not the commonest."""
    known, counts = np.unique(values, return_counts=True)
    usual = known[counts.argmax()]
    return lambda row: f"{values[row]} {unit}, commonest {usual}"


def _sizes(ds: Dataset, share: float) -> Told:
    """Return which pictures have another size than at least ``share`` of all; where none is usual, the odd sizes."""
    width, height = ds["scan.width"], ds["scan.height"]
    both = np.sort(np.stack([width, height], axis=1), axis=1)
    known, counts = np.unique(both, axis=0, return_counts=True)
    short, long = known[counts.argmax()]
    mask = unusual(both, share=share)
    if not mask.any() and len(known) > 1:
        odd = [check.measure(ds).score for check in (OddSize(), OddAspectRatio())]
        mask = np.asarray(np.nan_to_num(np.maximum(*odd)) >= 0.5)
    return mask, lambda row: f"{width[row]} x {height[row]} pixels, commonest {long} x {short}"


def _conflicts(ds: Dataset) -> Iterator[tuple[Array, str]]:
    """Yield the rows of every group with more than one label, once."""
    place = {sample: row for row, sample in enumerate(ds.ids.tolist())}
    seen: set[tuple[int, ...]] = set()
    for found in ds.findings.to_pylist():
        if found["check"] not in COPIES or found["level"] != "group":
            continue
        rows = tuple(sorted(place[sample] for sample in found["members"] if sample in place))
        why = label_conflict(ds, np.array(rows, np.int64)) if len(rows) > 1 else ""
        if why and rows not in seen:
            seen.add(rows)
            what = "pictures of one object" if found["check"] == "same_object" else "copies"
            yield np.array(rows, np.int64), f"{len(rows)} {what} with {why}"


def _spellings(ds: Dataset) -> Iterator[tuple[list[int], str]]:
    """Yield the codes of classes whose names differ only in case, spaces or dashes, the largest class first."""
    known: dict[str, list[int]] = {}
    for code, name in enumerate(ds.schema.classes):
        spelled = re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", name).strip().casefold()  # a sign before a number is no dash
        known.setdefault(spelled, []).append(code)
    counts = np.bincount(ds["label"][ds["label"] >= 0], minlength=len(ds.schema.classes))
    for codes in known.values():
        if len(codes) > 1:
            ranked = sorted(codes, key=lambda code: (-counts[code], code))
            names = ", ".join(f"{ds.schema.classes[code]!r} ({counts[code]})" for code in ranked)
            yield ranked, f"one class in {len(codes)} spellings: {names}"
