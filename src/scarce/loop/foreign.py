"""How a saved model tells samples of none of its classes: its stored threshold, and every detector beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from scarce.dataset import Array, Dataset


def foreign_told(
    model: Any, train: Dataset, seen: tuple[Array, Array | None], right: Array, foreign: Dataset | None
) -> dict[str, Any] | None:
    """Return how the stored threshold does on the test, and every detector on the foreign samples where given.

    Args:
        model: that is judged.
        train: what the detectors know.
        seen: logits and features of the N test samples.
        right: (N,) whether it answers rightly.
        foreign: samples of none of the classes.
    """
    from scarce.evaluate._base import plain
    from scarce.evaluate.guard import fitted, known_of, settings_of, unlabelled
    from scarce.evaluate.out_of_distribution.detection import detection, sweep
    from scarce.evaluate.out_of_distribution.knn import evenly
    from scarce.metric.interval import clopper_pearson
    from scarce.train._said import foreign_scores

    stored = model.card.get("unknown")
    if not stored and foreign is None:
        return None
    logits, features = seen
    body: dict[str, Any] = {"stored": None, "foreign": 0, "detectors": {}, "sweep": [],
                            "tried": (stored or {}).get("detectors") or {}}  # fmt: skip
    others = None if foreign is None else unlabelled(model, foreign)
    if stored:
        scores = foreign_scores(model, logits, features)
        cut = stored["threshold"] if stored["threshold"] is not None else np.inf
        called = scores > cut
        low, high = clopper_pearson(int(called.sum()), len(called))
        body["stored"] = {
            "detector": stored["detector"], "threshold": stored["threshold"], "kept": stored["kept"],
            "chosen_on": stored["chosen_on"], "tried_on": stored["foreign"],
            "known_called_unknown": float(called.mean()), "low": low, "high": high,
            "accuracy": float(right.mean()), "accuracy_passed": float((right & ~called).mean()),
        }  # fmt: skip
        if others is not None:
            caught = int((foreign_scores(model, others.logits, others.features) > cut).sum())
            low, high = clopper_pearson(caught, len(others.logits))
            body["stored"]["foreign_found"] = {"value": caught / max(1, len(others.logits)), "low": low, "high": high}
    if others is not None and len(others.logits):
        known = known_of(model, train.take(evenly(train["label"], 5000)))
        body["foreign"] = len(others.logits)
        for name, one in fitted(known, settings_of(model.card)).items():
            own = one.score(features, logits)
            body["detectors"][name] = detection(own, one.score(others.features, others.logits), right).to_json()
        labels = np.where(right, logits.argmax(1), -1)
        body["sweep"] = sweep(logits, labels, others.logits)
    return plain(body)  # type: ignore[no-any-return]
