"""What use would have seen of the test: the verdicts of ``scarce predict`` against the truth."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Dataset, Mask, Schema

VERDICTS: Final = ("accept", "ambiguous", "unknown", "reject")


def verdicts_of(model: Any, test: Dataset, logits: Array, features: Array | None) -> dict[str, Any] | None:
    """Return how often each verdict fell, by class, and how many defects pass and sound ones do not.

    The operating point counts scores alone; in use what may be a defect goes to a person, and so does what is unknown.

    Args:
        model: that is judged, with its stored thresholds.
        test: N labelled samples.
        logits: (N, K) of the model.
        features: (N, D), or None.

    Returns:
        None where the model decides nothing; else ``counts`` (class to verdict to samples), and where there are sound
        classes ``defects_accepted`` and ``sound_not_accepted``: ``count``, ``n``, and the share ``value`` with ``low``
        and ``high`` (95 %, counted by group).
    """
    from scarce.folds import groups_of
    from scarce.train._said import foreign_scores, verdict

    card = model.card
    point = card.get("operating_point") or {}
    foreign = foreign_scores(model, logits, features) if card.get("unknown") else np.full(len(test), np.nan)
    probs = model.probabilities(logits, Schema(classes=model.classes))
    good = np.isfinite(probs).all(1)
    said = np.array([
        (verdict(model, row, score, point.get("threshold")) or "") if fine else ""
        for row, score, fine in zip(probs, foreign, good, strict=True)
    ], object)  # fmt: skip
    if not (said != "").any():
        return None
    names = np.array(test.schema.classes, object)[test["label"]]
    body: dict[str, Any] = {"counts": {
        name: {one: int(((names == name) & (said == one)).sum()) for one in VERDICTS} for name in test.schema.classes
    }}  # fmt: skip
    sound = np.isin(names.astype(str), list(card.get("normal_classes", ())))
    if sound.any() and not sound.all():
        groups = np.asarray(groups_of(test))
        body["defects_accepted"] = _share((said == "accept")[~sound], groups[~sound])
        body["sound_not_accepted"] = _share((said != "accept")[sound], groups[sound])
    return body


def _share(hits: Mask, groups: Array) -> dict[str, Any]:
    from scarce.metric.interval import clopper_pearson, group_codes

    low, high = clopper_pearson(int(hits.sum()), len(hits), groups=len(np.unique(group_codes(groups))))
    return {"count": int(hits.sum()), "n": len(hits), "value": float(hits.mean()), "low": low, "high": high}
