"""How a saved model tells samples of none of its classes: its stored threshold, and every detector beside it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Dataset

TEST: Final = "the test samples themselves, so what is told of them is too good"


def foreign_told(
    model: Any,
    sides: tuple[Dataset, Dataset],
    seen: tuple[Array, Array | None, Array],
    foreign: Dataset | None,
    *,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Return how the stored threshold does on the test, and every detector on the foreign samples where given.

    Args:
        model: that is judged.
        sides: what the detectors learn, and the N test samples.
        seen: logits, features and probabilities of the test samples.
        foreign: samples of none of the classes.
        seed: of the bootstraps.

    Returns:
        None where there is nothing to tell; else ``stored``: the detector and threshold of the model, and what they do;
        ``detectors``: AUROC and FPR95 with intervals, and what they cost: the model's own as it is stored, the others
        learned anew from ``train``; ``sweep``, whose thresholds were chosen on ``sweep_chosen_on``.
    """
    from scarce.evaluate._base import plain
    from scarce.evaluate.guard import FEWEST, fitted, known_of, settings_of, unlabelled
    from scarce.evaluate.out_of_distribution.detection import bounds, detection, sweep
    from scarce.evaluate.out_of_distribution.knn import evenly
    from scarce.folds import groups_of
    from scarce.metric.interval import clopper_pearson, group_codes
    from scarce.train._said import foreign_scores

    stored = model.card.get("unknown")
    if not stored and foreign is None:
        return None
    (train, test), (logits, features, probs) = sides, seen
    right, groups = probs.argmax(1) == test["label"], groups_of(test)
    body: dict[str, Any] = {"stored": None, "foreign": 0, "detectors": {}, "sweep": [],
                            "tried": (stored or {}).get("detectors") or {}}  # fmt: skip
    others = None if foreign is None else unlabelled(model, foreign)
    scores: Array = np.zeros(0)
    if stored:
        scores = foreign_scores(model, logits, features)
        cut = stored["threshold"] if stored["threshold"] is not None else np.inf
        called = scores > cut
        low, high = clopper_pearson(int(called.sum()), len(called), groups=len(np.unique(group_codes(groups))))
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
            if stored and name == stored["detector"]:
                own, other = scores, foreign_scores(model, others.logits, others.features)
            else:
                own, other = one.score(features, logits), one.score(others.features, others.logits)
            body["detectors"][name] = {
                **detection(own, other, right).to_json(), **bounds(own, other, groups, seed=seed),
            }  # fmt: skip
        labels = np.where(right, logits.argmax(1), -1)
        held = model.held_logits
        good = None if held is None else held[np.isfinite(held).all(1)]
        chosen = good if good is not None and len(good) >= FEWEST else None
        body["sweep"] = sweep(logits, labels, others.logits, chosen=chosen)
        body["sweep_chosen_on"] = TEST if chosen is None else f"{len(chosen)} samples held back from training"
    return plain(body)  # type: ignore[no-any-return]
