"""Sources that a classifier can tell apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np

from scarce.audit._base import AbstractCheck, Finding, Measurement, ds_embedding, finding
from scarce.audit._group import tied
from scarce.dataset import Dataset, Floats, Ints, Mask
from scarce.errors import DataError
from scarce.kin import COPIES
from scarce.two_sample import LEAST, Shift, told_apart


@final
@dataclass(frozen=True, kw_only=True)
class SourceShift(AbstractCheck):
    """Tell sources apart by their features: public and own data, training and service, two cameras.

    Use when samples come from more than one place, or when new data is to be compared with what was trained on.
    Do not use as a reason to drop a source: it says that sources differ, not which one is right. A model may learn to
    know the source in place of the class, above all where a class comes from one source only.
    Needs: embedding (N, D), scan.* where it is there; a column with two values or more (``source`` by default).
    Samples of one group, of one split group, and known copies stay in one fold.
    Writes: score (N,) = probability of the sample's own source, out of fold, times how far the sources are told apart
    (0 at AUROC 0.5, 1 at 1; the lower end counts); data findings with the AUROC and its interval, class findings,
    and the samples that betray their source most.
    Source: classifier two-sample tests, Lopez-Paz and Oquab 2017; the comparison within classes is ours.

    Args:
        column: what separates the sources: ``source``, ``split`` or ``meta.<name>``.
        first: one value of it; empty = all that are not ``second``.
        second: another value; empty = every value in turn against all others.
        encoder: whose features; empty = the newest.
        folds: of the cross-fitting.
        shown: samples of each side that are named where sources are told apart.
        most: values that are compared, the largest first.
        seed: of the folds.
    """

    needs: ClassVar[tuple[str, ...]] = ("embedding",)
    after: ClassVar[tuple[str, ...]] = COPIES
    column: str = "source"
    first: str = ""
    second: str = ""
    encoder: str = ""
    folds: int = 5
    shown: int = 6
    most: int = 12
    seed: int = 0

    def unmet(self, ds: Dataset) -> str:
        """Return why it cannot run: no features, or nothing to compare."""
        return AbstractCheck.unmet(self, ds) or self._alone(ds)

    def _alone(self, ds: Dataset) -> str:
        if self.column not in ds:
            return f"there is no column {self.column}"
        pairs = self._pairs(ds)
        return "" if pairs else f"column {self.column} has no two values with {LEAST} samples or more"

    def _pairs(self, ds: Dataset) -> list[tuple[str, Mask, Mask]]:
        """Return what is compared: in words, the second source's rows, the first source's rows."""
        known = np.array(["" if value is None else str(value) for value in ds[self.column]], object)
        names, counts = np.unique(known[known != ""].astype(str), return_counts=True)
        names = names[np.argsort(-counts, kind="stable")][: self.most]
        if self.second or (self.first and len(names) == 2):
            second = self.second or str(names[names != self.first][0])
            asked = [(second, self.first)]
        elif len(names) == 2:
            asked = [(str(names[1]), str(names[0]))]
        else:
            asked = [(str(name), self.first) for name in names if name != self.first]
        found = []
        for second, first in asked:
            one, two = known == second, known == first if first else (known != second) & (known != "")
            if min(one.sum(), two.sum()) >= LEAST:
                found.append((f"{second!r} and {first!r}" if first else f"{second!r} and the rest", one, two))
        return found

    def measure(self, ds: Dataset) -> Measurement:
        """Compare each pair of sources."""
        features = np.hstack([ds_embedding(ds, self.encoder)[1], _measurements(ds)])
        finite = np.isfinite(features).all(axis=1)
        score, overall, details = np.full(len(ds), np.nan), [], []
        parts = tied(ds)
        pairs, order = self._pairs(ds), np.argsort(ds.ids.astype(str), kind="stable")
        for words, one, two in pairs:
            rows = order[((one | two) & finite)[order]]
            try:
                shift = told_apart(
                    features[rows], one[rows], ds["label"][rows], groups=parts[rows], folds=self.folds,
                    confidence=1 - 0.05 / len(pairs), seed=self.seed,
                )  # fmt: skip
            except DataError as error:
                overall.append(finding("data", (), 0.0, f"{self.column} {words} cannot be compared: {error.what}"))
                continue
            apart = max(0.0, 2 * shift.low - 1)
            score[rows] = np.fmax(score[rows], apart * shift.own)
            overall.append(self._told(words, shift, (int(one[rows].sum()), int(two[rows].sum()))))
            if apart > 0:
                details += self._classes(ds, words, shift)
                details += self._betrayed(ds, rows, shift, (words, one[rows]))
        overall.sort(key=lambda item: -item["score"])
        return Measurement(score, [*overall, *details])

    def _told(self, words: str, shift: Shift, sizes: tuple[int, int]) -> Finding:
        sure = f"AUROC {shift.auroc:.3f}, interval {shift.low:.3f} to {shift.high:.3f}"
        verdict = _verdict(shift.auroc, shift.low)
        why = f"{self.column} {words} {verdict} ({sure}; {sizes[0]} and {sizes[1]} samples)"
        return finding("data", (), max(0.0, 2 * shift.auroc - 1) if shift.low > 0.5 else 0.0, why)

    def _classes(self, ds: Dataset, words: str, shift: Shift) -> list[Finding]:
        known = [item for item in shift.per_class.items() if item[1][1] > 0.5]
        return [
            finding("class", (ds.schema.classes[code],), 2 * auroc - 1,
                    f"{ds.schema.classes[code]}: {self.column} {words} {_verdict(auroc, low)} "
                    f"(AUROC {auroc:.3f}, interval {low:.3f} to {high:.3f})")
            for code, (auroc, low, high) in sorted(known, key=lambda item: -item[1][0])
        ]  # fmt: skip

    def _betrayed(self, ds: Dataset, rows: Ints, shift: Shift, what: tuple[str, Mask]) -> list[Finding]:
        found = []
        for side in (True, False):
            here = np.flatnonzero(what[1] == side)
            worst = here[np.lexsort((ds.ids[rows[here]].astype(str), -shift.own[here]))][: self.shown]
            found += [
                finding("sample", [ds.ids[rows[place]]], max(0.0, 2 * shift.low - 1) * shift.own[place],
                        f"betrays its {self.column} {ds[self.column][rows[place]]!r}: probability "
                        f"{shift.own[place]:.3f} ({what[0]})")
                for place in worst if shift.own[place] > 0.5
            ]  # fmt: skip
        return found


def _measurements(ds: Dataset) -> Floats:
    """Return (N, M) brightness, sharpness, sizes and whatever else the one pass over the bytes measured.

    Encoders are trained to overlook what tells cameras apart.
    """
    found = []
    for name, values in ds.wide.items():
        if name.startswith("scan.") and name != "scan.bytes" and values.ndim == 1 and values.dtype.kind in "fi":
            column = values.astype(np.float32)
            column = np.sign(column) * np.log1p(np.abs(column)) if values.dtype.kind == "i" else column
            known = np.isfinite(column)
            found.append(np.where(known, column, np.median(column[known]) if known.any() else 0.0))
    return np.stack(found, axis=1).astype(np.float32) if found else np.zeros((len(ds), 0), np.float32)


def _verdict(auroc: float, low: float) -> str:
    if not low > 0.5:
        return "are not proven to differ"
    return f"are {next(word for limit, word in WORDS if auroc < limit)} told apart"


WORDS: Final = ((0.6, "barely"), (0.75, "often"), (0.9, "mostly"), (1.1, "nearly always"))
