"""What a training says of itself when it is done."""

from __future__ import annotations

from tests.train.conftest import featured, fold  # noqa: F401 - fixtures

from scarce import train
from scarce.dataset import FoldView
from scarce.loop.fitting import guarded, held_told, unguarded
from scarce.train.linear_probe import LinearProbe


def test_without_a_threshold_for_foreign_samples_the_reason_is_told(featured: FoldView) -> None:  # noqa: F811
    model = guarded(train.fit(featured, LinearProbe(folds=3)), featured)
    assert model.card["unknown"] is None
    assert unguarded(model, featured) == (
        "No sample will be called unknown: a threshold is chosen on 20 held-back samples or more, and there are "
        f"{len(model.held_ids) // 5}."
    )
    bare = guarded(train.fit(featured, LinearProbe(folds=0)), featured)
    assert "linear_probe keeps no answers about held-back samples" in str(unguarded(bare, featured))
    assert unguarded(model.stamped(unknown={"detector": "knn", "threshold": 1.0}), featured) is None


def test_a_training_says_how_good_the_model_was_on_what_it_held_back(featured: FoldView) -> None:  # noqa: F811
    model = train.fit(featured, LinearProbe(folds=3))
    found = model.card["metrics"]["held_out"]
    told = str(held_told(model.card))
    assert f"({found['n']} samples)" in told
    assert f"balanced accuracy {100 * found['balanced_accuracy']:.1f} %" in told
    assert told.endswith("That is no test.")
    assert held_told(train.fit(featured, LinearProbe(folds=0)).card) is None
    assert "mAP .50 to .95 12.0 %" in str(held_told({"metrics": {"held_out": {"mean_average_precision": 0.12}}}))
