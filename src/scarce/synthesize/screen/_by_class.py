"""Distances of whole sets, class by class."""

from __future__ import annotations

from typing import Any

import numpy as np

from scarce.synthesize.screen._base import Exam, Judgement


def by_class(exam: Exam, measure: Any, name: str, knobs: tuple[int, float, int]) -> Judgement:
    """Return the distance of each class's synthetic samples from its real ones.

    Args:
        exam: what is compared.
        measure: of real (R, D), synthetic (M, D) and both groups: value, corrected value, low, high.
        name: what the distance is called.
        knobs: principal components (0 = features as they are), limit (0 = none), samples that both sides need.
    """
    from scarce.probe import Projection

    components, limit, least = knobs
    real, made = exam.real_features, exam.made_features
    if components:
        projection = Projection.fit(real, components=components)
        real, made = projection(real), projection(made)
    reasons: dict[int, str] = {}
    warnings, score = [], np.full(len(exam.made), np.nan)
    told: dict[str, dict[str, Any]] = {}
    for code in exam.codes():
        rows = exam.sound[exam.wanted[exam.sound] == code]
        own = np.flatnonzero(exam.labels == code)
        if min(len(rows), len(own)) < least:
            why = f"{len(own)} real and {len(rows)} synthetic samples; {least} of both are needed"
            told[exam.name(code)] = {"not_measured": why}
            continue
        groups = (exam.groups[exam.real[own]], exam.groups[exam.made[rows]])
        value, corrected, low, high = measure(real[own], made[rows], groups)
        told[exam.name(code)] = {"value": value, "corrected": corrected, "low": low, "high": high,
                                 "real": len(own), "synthetic": len(rows)}  # fmt: skip
        if limit and low > limit:
            why = f"{name} of its class is {corrected:.4g} ({low:.4g} to {high:.4g}), over the limit of {limit:g}"
            reasons |= dict.fromkeys(rows.tolist(), why)
            score[rows] = 1.0
            warnings.append(f"{exam.name(code)}: all {len(rows)} refused: {why}")
    return Judgement(score, reasons, {"distance": name, "classes": told}, warnings)
