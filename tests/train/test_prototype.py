from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scarce import train
from scarce.dataset import FoldView
from scarce.errors import ConfigError, TrainError
from scarce.train.prototype import Prototype


def test_one_sample_a_class_is_enough(featured: FoldView, tmp_path: Path) -> None:
    ds, labels = featured.dataset, featured.train["label"]
    ids = [featured.train.ids[np.flatnonzero(labels == code)[0]] for code in range(3)]
    view = ds.fold(ids, featured.eval_ids)
    model = train.fit(view, "prototype")
    right = model.predict_proba(view.eval).argmax(1) == view.eval["label"]
    assert right.mean() > 0.6
    again = train.load(model.save(tmp_path / "m"))
    np.testing.assert_allclose(again.predict_proba(view.eval), model.predict_proba(view.eval), atol=1e-9)
    two = train.fit(ds.fold(ids[:2], ()), "prototype")
    assert two.card["absent_classes"] == ["Bag"]
    assert two.predict_proba(view.eval)[:, 2].max() < 1e-9


def test_more_samples_help_and_calibrate(featured: FoldView) -> None:
    model = train.fit(featured, Prototype(shrink=1.0))
    right = model.predict_proba(featured.eval).argmax(1) == featured.eval["label"]
    assert right.mean() > 0.85
    assert model.held_out is not None
    assert model.card["temperature"] != 1.0


def test_refusals(featured: FoldView) -> None:
    with pytest.raises(ConfigError, match="scale = 0"):
        Prototype(scale=0)
    with pytest.raises(TrainError, match="at least two classes"):
        train.fit(featured.dataset.fold(featured.train_ids[:1], ()), "prototype")
