"""What label_error tells: the rate with its interval, scarce classes, confused pairs, look-alikes of a flagged row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import numpy as np

from scarce.audit._base import Finding, finding, unit_rows
from scarce.audit._evidence import nearest
from scarce.dataset import Array, Floats, Ints, Mask

if TYPE_CHECKING:
    from scarce.audit.label_error import LabelJudgement

SCARCE: Final = 100
"""Classes of so few samples are told one by one."""


def look_alikes(
    features: Floats, labels: Ints, suggested: Ints, flagged: Mask, groups: Array | None
) -> dict[int, tuple[tuple[int, float], ...]]:
    """Return, per flagged row, the nearest row of its label and the nearest of the suggested one, with cosines.

    Flagged rows are nobody's evidence; -1 = there is none.
    """
    unit = unit_rows(features - features.mean(axis=0, dtype=np.float64).astype(np.float32))
    member = np.arange(len(labels)) if groups is None else groups
    found: dict[int, list[tuple[int, float]]] = {int(i): [] for i in np.flatnonzero(flagged)}
    for codes in (labels, suggested):
        for code in np.unique(codes[flagged]):
            rows = np.flatnonzero(flagged & (codes == code))
            near, value = nearest(unit, rows, np.flatnonzero(~flagged & (labels == code)), member)
            for i, j, cosine in zip(rows.tolist(), near.tolist(), value.tolist(), strict=True):
                found[i].append((j, cosine))
    return {i: tuple(pair) for i, pair in found.items()}


def name(text: str) -> str:
    """Return a class name in quotes."""
    return json.dumps(text, ensure_ascii=False)


def overall(opinion: LabelJudgement, flagged: int, n: int) -> Finding:
    """Return the error rate of the data set with its interval."""
    why = (
        f"about {100 * opinion.rate:.1f} % of the labels are wrong (95 % interval {100 * opinion.low:.1f} to "
        f"{100 * opinion.high:.1f} %); {flagged} of {n} are flagged"
    )
    return finding("data", (), opinion.rate, why)


def scarce_classes(labels: Ints, opinion: LabelJudgement, classes: tuple[str, ...]) -> list[Finding]:
    """Return, for every class of few samples, how many of its labels are wrong, with an interval."""
    from scipy.stats import beta

    found = []
    for code, count in enumerate(np.bincount(labels, minlength=len(classes)).tolist()):
        if not 0 < count <= SCARCE or opinion.blind[code]:
            continue
        wrong = opinion.wrong[labels == code]
        hits = float(wrong.sum())
        doubt = np.sqrt(max(float((wrong * (1 - wrong)).sum()), 0.0))
        low = float(beta.ppf(0.025, hits - doubt, count - hits + doubt + 1)) if hits > doubt else 0.0
        high = float(beta.ppf(0.975, min(hits + doubt + 1, count + 1), max(count - hits - doubt, 1e-9)))
        why = (
            f"of {count} samples labelled {name(classes[code])} about {hits:.0f} are wrong (95 % interval "
            f"{100 * low:.0f} to {100 * high:.0f} %)"
        )
        found.append(finding("class", (classes[code],), hits / count, why))
    return found


def blind_classes(labels: Ints, opinion: LabelJudgement, classes: tuple[str, ...]) -> list[Finding]:
    """Return the classes on whose labels the features have no opinion."""
    counts = np.bincount(labels, minlength=len(classes))
    return [
        finding("class", (classes[code],), 0.0, f"the features tell {name(classes[code])} from the others hardly "
                f"better than chance: none of its {counts[code]} labels is flagged, right or wrong")
        for code in np.flatnonzero(opinion.blind & (counts > 0))
    ]  # fmt: skip


def confusions(
    labels: Ints, flagged: Mask, opinion: LabelJudgement, classes: tuple[str, ...], most: int = 10
) -> list[Finding]:
    """Return the pairs of classes that are confused, the most frequent first."""
    k = len(classes)
    pairs = np.bincount(labels[flagged] * k + opinion.suggested[flagged], minlength=k * k)
    sizes = np.bincount(labels, minlength=k)
    found = []
    for pair in np.argsort(-pairs, kind="stable")[:most]:
        given, better = divmod(int(pair), k)
        if pairs[pair] < 2:
            break
        share = pairs[pair] / sizes[given]
        why = (
            f"{pairs[pair]} of {sizes[given]} samples labelled {name(classes[given])} ({100 * share:.1f} %) "
            f"are more likely {name(classes[better])}"
        )
        found.append(finding("class", (classes[given], classes[better]), float(share), why))
    return found
