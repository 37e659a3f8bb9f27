from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scarce import evaluate, train
from scarce.dataset import FoldView
from scarce.errors import ConfigError
from scarce.train.blend import Blend, BlendModel, best_share, mixed
from scarce.train.linear_probe import LinearProbe

FEW = {"epochs": 6, "batch": 16, "network": "small_resnet", "augment": "none", "validation": 0.25}


@pytest.fixture(scope="module")
def model(featured: FoldView) -> BlendModel:
    pytest.importorskip("torch")
    made = train.fit(featured, Blend(**FEW))
    assert isinstance(made, BlendModel)
    return made


def test_it_answers_for_both_and_its_share_is_measured(featured: FoldView, model: BlendModel) -> None:
    report = evaluate.run(featured, model, oof=model.held_out)
    assert report.balanced_accuracy["value"] > 0.85
    assert 0 <= model.card["share"] <= 1
    assert model.held_out is not None
    assert len(model.held_out[0]) == model.card["held_back_rows"] > 10
    assert set(model.card["members"]) == {"finetune", "linear_probe"}
    wanted = mixed(
        (model.net.logits(featured.eval), model.head.logits(featured.eval)), model.card["scales"], model.card["share"]
    )
    np.testing.assert_allclose(model.logits(featured.eval), wanted)


def test_saved_and_loaded_it_says_the_same(featured: FoldView, model: BlendModel, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    again = train.load(tmp_path / "m")
    np.testing.assert_allclose(again.predict_proba(featured.eval), model.predict_proba(featured.eval), atol=1e-6)
    assert again.card["share"] == model.card["share"]


def test_evaluation_labels_change_nothing(featured: FoldView, model: BlendModel) -> None:
    ds = featured.dataset
    labels = ds["label"].copy()
    judged = ds.rows_of(featured.eval_ids)
    labels[judged] = np.random.default_rng(0).integers(0, 3, len(judged))
    other = train.fit(ds.with_columns({"label": labels}).fold(featured.train_ids, featured.eval_ids), Blend(**FEW))
    for name, array in model.tensors().items():
        np.testing.assert_array_equal(array, other.tensors()[name])
    assert other.card["share"] == model.card["share"]


def test_a_given_share_is_kept(featured: FoldView) -> None:
    pytest.importorskip("torch")
    made = train.fit(featured, Blend(**FEW, share=1.0))
    head = train.fit(featured, LinearProbe(loss="balanced_softmax", folds=0))
    np.testing.assert_array_equal(
        made.predict_proba(featured.eval).argmax(1), head.predict_proba(featured.eval).argmax(1)
    )
    with pytest.raises(ConfigError, match="share"):
        Blend(share=1.5)
    with pytest.raises(ConfigError, match="validation"):
        Blend(validation=2.0)


def test_nothing_held_back_means_half_and_half(featured: FoldView) -> None:
    pytest.importorskip("torch")
    made = train.fit(featured, Blend(**{**FEW, "validation": 0.0, "epochs": 1}))
    assert made.card["share"] == 0.5
    assert made.held_out is None
    assert made.card["operating_point"] is None


@pytest.mark.parametrize(("good", "low", "high"), [("net", 0.0, 0.45), ("head", 0.55, 1.0), ("both", 0.5, 0.5)])
def test_the_share_goes_to_the_one_that_knows(good: str, low: float, high: float) -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 400)
    knows = 4.0 * np.eye(3)[labels] + rng.normal(size=(400, 3))
    guesses = 4.0 * np.eye(3)[rng.integers(0, 3, 400)] + rng.normal(size=(400, 3))
    sides = {"net": (knows, guesses), "head": (guesses, knows), "both": (knows, knows)}[good]
    assert low <= best_share(sides, [1.0, 1.0], labels, None) <= high
    assert best_share((knows[:9], guesses[:9]), [1.0, 1.0], labels[:9], None) == 0.5
