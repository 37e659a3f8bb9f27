"""Shortcuts: properties that have nothing to do with the matter, and give the label away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit._base import AbstractCheck, Finding, Measurement, finding
from scarce.audit._property import Property, groups_of, properties
from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.errors import DataError

MOST_BINS = 12
FEWEST = 10
MOST_TOLD = 3
"""Properties of a class that are shown with four pictures each; further ones are named."""
"""Samples that a class needs to be judged."""


@dataclass(frozen=True)
class Tell:
    """How well one property tells one class from the others.

    Attributes:
        auroc: cross-fitted; 0.5 = not at all, 1 = always.
        low: lower bound of the simultaneous interval over all that was tried.
        evidence: (N,) cross-fitted log likelihood ratio for the class; NaN where the property is not known.
    """

    auroc: float
    low: float
    evidence: Floats


def tell(values: Array, inside: Mask, groups: Ints, folds: Ints, *, z: float = 1.96) -> Tell:
    """Return how well a property tells the samples of one class from all others.

    The densities of the property inside and outside the class are counted on the other folds (in quantile bins, or by
    word), so that nothing is fitted to the rows that are judged. The area under the curve does not depend on how rare
    the class is; 0.5 is what the class shares alone would give. Its error is DeLong's, over whole groups.

    Args:
        values: (N,) numbers (NaN = not known) or words ("" = not known).
        inside: (N,) which samples are of the class.
        groups: (N,) numbers of groups that belong together.
        folds: (N,) number of the fold that judges a sample; groups are not cut.
        z: standard errors below the estimate; raise it with the number of things that are tried.
    """
    known = np.isfinite(values) if values.dtype.kind == "f" else values != ""
    evidence = np.full(len(values), np.nan)
    rows = np.flatnonzero(known)
    own, place, seen = inside[rows], folds[rows], values[rows]
    if min(own.sum(), (~own).sum()) < FEWEST:
        return Tell(0.5, 0.0, evidence)
    found = np.zeros(len(rows))
    for fold in np.unique(place):
        judged = place == fold
        if own[~judged].any() and (~own[~judged]).any():
            found[judged] = _log_ratio(seen[~judged], own[~judged], seen[judged])
    evidence[rows] = found
    area, error = auroc_with_error(found, own, groups[rows])
    return Tell(area, area - z * error, evidence)


def _log_ratio(values: Array, own: Mask, asked: Array) -> Floats:
    if values.dtype.kind == "f":
        bins = int(np.clip(np.sqrt(own.sum()), 4, MOST_BINS))
        both, mine = (
            np.quantile(part, np.arange(1, k) / k) for part, k in ((values, 2 * MOST_BINS), (values[own], bins))
        )
        edges = np.unique(np.r_[both, mine])
        at, to, k = np.searchsorted(edges, values), np.searchsorted(edges, asked), len(edges) + 1
    else:
        kinds, at = np.unique(values, return_inverse=True)
        to = np.minimum(np.searchsorted(kinds, asked), len(kinds) - 1)
        to, k = np.where(kinds[to] == asked, to, len(kinds)), len(kinds) + 1
    both = np.bincount(at, minlength=k) + 0.5
    share = (np.bincount(at[own], minlength=k) + 2 * both / both.sum()) / (own.sum() + 2)
    rest = (np.bincount(at[~own], minlength=k) + 2 * both / both.sum()) / ((~own).sum() + 2)
    return np.asarray(np.log(share / rest)[to])


def auroc_with_error(score: Floats, own: Mask, groups: Ints) -> tuple[float, float]:
    """Return the area under the ROC curve and its standard error (DeLong), counted by whole groups.

    Args:
        score: (N,) higher = more likely inside.
        own: (N,) which are inside.
        groups: (N,) numbers of groups.
    """
    inside, outside = np.sort(score[own]), np.sort(score[~own])
    below = np.searchsorted(outside, score[own], "left") + np.searchsorted(outside, score[own], "right")
    under = np.searchsorted(inside, score[~own], "left") + np.searchsorted(inside, score[~own], "right")
    above = 2 * len(inside) - under
    area = float(below.mean() / (2 * len(outside)))
    member = np.unique(groups, return_inverse=True)[1]
    part = np.zeros(len(score))
    part[own] = (below / (2 * len(outside)) - area) / len(inside)
    part[~own] = (above / (2 * len(inside)) - area) / len(outside)
    variance = float((np.bincount(member, part) ** 2).sum())
    units = min(len(np.unique(member[own])), len(np.unique(member[~own])))
    shy = (area * units + 0.5) / (units + 1)  # an area of 1 in ten samples is no certainty
    return area, float(np.sqrt(max(variance, shy * (1 - shy) / (3 * units))))


@final
@dataclass(frozen=True, kw_only=True)
class Spurious(AbstractCheck):
    """Find shortcuts: brightness, size, color, file or camera that give the label away.

    Use before a model is believed: it takes such a shortcut if there is one, and fails where it is missing.
    Do not use as proof: a stain may well be dark. What the content moves (brightness, color, duration) is named only
    where it alone nearly separates a class; how a sample was taken or filed (size, camera, source, file name, columns)
    already where it tells a class clearly.
    Needs: label, and ``scan.*``, ``meta.*``, ``captured_at`` or files with EXIF data. Folders and file names that
    merely spell the class are left out.
    Writes: score (N,), how surely the properties alone give the class of a sample away, 0 where none does; findings
    per class with the area under the ROC curve and its lower bound over all that was tried, and the samples that show
    it best.
    Source: DeLong et al. 1988 for the error; the cross-fitted densities are ours. The idea is that of the spurious
    correlations of cleanlab's Datalab, which judges the label as a whole and so overlooks a rare class.

    Args:
        content_bar: area from which a property that the content moves is named, in (0.5, 1].
        capture_bar: area from which a property of taking and filing is named, in (0.5, 1].
        margin: how far below the bar the lower bound may lie.
        ignore: names of properties that are no shortcut here.
        files: open the files of pictures for camera and time.
        seed: of the folds.
    """

    needs: ClassVar[tuple[str, ...]] = ("label",)
    content_bar: float = 0.95
    capture_bar: float = 0.75
    margin: float = 0.15
    ignore: tuple[str, ...] = ()
    files: bool = True
    seed: int = 0

    def measure(self, ds: Dataset) -> Measurement:
        """Try every property on every class.

        Raises:
            DataError: a bar is outside (0.5, 1].
        """
        if not (0.5 < self.content_bar <= 1 and 0.5 < self.capture_bar <= 1):
            what = f"content_bar is {self.content_bar} and capture_bar {self.capture_bar}"
            raise DataError("audit.spurious", what, do="use areas in (0.5, 1]")
        order = np.argsort(ds.ids.astype(str), kind="stable")
        order = order[ds["label"][order] >= 0]
        rows = ds.take(order)
        score = np.full(len(ds), np.nan)
        score[order] = 0.0
        tried = [item for item in properties(rows, files=self.files) if item.name not in self.ignore]
        judged = judged_classes(rows["label"], len(ds.schema.classes))
        found: list[Finding] = []
        passed = self._tried(rows, tried, judged)
        for code, item, told in passed:
            inside = np.flatnonzero(rows["label"] == code)
            given_away = 1 / (1 + np.exp(-np.nan_to_num(told.evidence[inside])))
            score[order[inside]] = np.maximum(score[order[inside]], given_away)
            mine = [other.name for one, other, _ in passed if one == code]
            if item.name in mine[:MOST_TOLD]:
                also = mine[MOST_TOLD:] if item.name == mine[0] else []
                found += _told(rows, code, item, told, (len(tried) * len(judged), also))
        return Measurement(score, found)

    def _tried(self, rows: Dataset, tried: list[Property], judged: Ints) -> list[tuple[int, Property, Tell]]:
        """Return class, property and evidence of what passes its bar, the clearest first."""
        from scipy.special import ndtri

        from scarce.probe import fold_of

        if not tried or not len(judged):
            return []
        labels, groups = rows["label"], groups_of(rows)
        folds = fold_of(labels, groups.astype(str), 5, seed=self.seed)
        z = float(-ndtri(0.05 / (len(tried) * len(judged))))
        passed = []
        for item in tried:
            bar = self.content_bar if item.by_content else self.capture_bar
            for code in judged.tolist():
                told = tell(item.values, labels == code, groups, folds, z=z)
                if told.auroc >= bar and told.low >= max(bar - self.margin, 0.5):
                    passed.append((code, item, told))
        return sorted(passed, key=lambda one: -one[2].auroc)


def judged_classes(labels: Ints, k: int) -> Ints:
    """Return the codes of the classes with enough samples; of two classes the smaller one stands for both."""
    counts = np.bincount(labels[labels >= 0], minlength=k)
    enough = np.flatnonzero(counts >= FEWEST)
    if (counts > 0).sum() == 2 and len(enough):
        return np.asarray(enough[[int(counts[enough].argmin())]])
    return np.asarray(enough)


def _told(rows: Dataset, code: int, item: Property, told: Tell, beside: tuple[int, list[str]]) -> list[Finding]:
    """Return what is said of one property; ``beside`` are the number of trials and further properties to be named."""
    trials, also = beside
    name, inside = rows.schema.classes[code], rows["label"] == code
    if item.is_number:
        usual = [np.nanmedian(item.values[mask]) for mask in (inside, ~inside)]
        told_by = f"its middle is {item.text(usual[0])} here and {item.text(usual[1])} elsewhere"
    else:
        kinds, counts = np.unique(item.values[inside], return_counts=True)
        most = kinds[counts.argmax()]
        told_by = (
            f'"{most}" in {100 * counts.max() / inside.sum():.0f} % here and '
            f"{100 * (item.values[~inside] == most).mean():.0f} % elsewhere"
        )
    alone = f'the {item.name} alone tells "{name}" from all others'
    why = f"{alone}: area under the curve {told.auroc:.3f}, at least {told.low:.3f} over {trials} trials; {told_by}"
    why += f"; {len(also)} more properties tell it, too: {', '.join(also)}" * bool(also)
    found = [finding("class", (name,), 2 * told.auroc - 1, why)]
    ranked = np.argsort(np.where(np.isfinite(told.evidence), -told.evidence, np.inf), kind="stable")
    typical = ranked[inside[ranked]][:3]
    alike = ranked[~inside[ranked]][:1]
    for row in [*typical, *alike]:
        kind = "typical of it" if inside[row] else "another class that looks like it"
        found.append(
            finding("sample", [rows.ids[row]], 2 * told.auroc - 1, f"{alone}; {kind}: {item.text(item.values[row])}")
        )
    return found
