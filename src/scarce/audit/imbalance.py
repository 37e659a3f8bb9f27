"""Classes that are much smaller than others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit._base import AbstractCheck, Finding, Measurement, finding
from scarce.dataset import Dataset, Ints


def imbalance_ratio(counts: Ints) -> float:
    """Return the largest class over the smallest class that has samples; 1 for fewer than two such classes."""
    present = np.asarray(counts)[np.asarray(counts) > 0]
    return float(present.max() / present.min()) if len(present) > 1 else 1.0


@final
@dataclass(frozen=True, kw_only=True)
class Imbalance(AbstractCheck):
    """Show how many samples each class has, and which are scarce.

    Use always; it decides how the rare classes are grown and how they are judged.
    Do not use as a fault: a rare defect is rare, and that is why this package exists.
    Needs: label.
    Writes: score (N,) = 1 - size of the sample's class over the largest; class findings with count and per cent,
    "caution" above ``caution`` and "serious" above ``serious`` (largest class over this one); a data finding with the
    ratio.
    """

    needs: ClassVar[tuple[str, ...]] = ("label",)
    reads_content: ClassVar[bool] = False
    caution: float = 3.0
    serious: float = 10.0

    def measure(self, ds: Dataset) -> Measurement:
        """Count the classes."""
        labels, classes = ds["label"], ds.schema.classes
        counts = np.bincount(labels[labels >= 0], minlength=len(classes))
        largest, total = int(counts.max()), int(counts.sum())
        ratio = imbalance_ratio(counts)
        table = ", ".join(
            f"{name} {count} ({100 * count / total:.1f} %)" for name, count in zip(classes, counts, strict=True)
        )
        found: list[Finding] = [
            finding("data", (), self._grade(ratio), f"imbalance {ratio:.1f}:1 ({self._word(ratio)}): {table}")
        ]
        for code in np.argsort(counts, kind="stable"):
            times = largest / max(int(counts[code]), 1)
            if counts[code] == 0:
                found.append(finding("class", (classes[code],), 1.0, f"serious: {classes[code]} has no sample"))
            elif times > self.caution:
                share = 100 * counts[code] / total
                why = (
                    f"{self._word(times)}: {classes[code]} has {counts[code]} samples ({share:.1f} %), 1 to {times:.1f}"
                )
                found.append(finding("class", (classes[code],), 1 - 1 / times, why))
        score = np.where(labels >= 0, 1 - counts[np.maximum(labels, 0)] / largest, np.nan)
        return Measurement(score, found)

    def _grade(self, ratio: float) -> float:
        """Return the score of the ratio as a whole: what is called fine stays below a warning."""
        return 1 - 1 / ratio if ratio > self.caution else min(1 - 1 / ratio, 0.49)

    def _word(self, ratio: float) -> str:
        return "serious" if ratio > self.serious else "caution" if ratio > self.caution else "fine"
