from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scarce import evaluate, train
from scarce.dataset import FoldView, Schema
from scarce.errors import DataError, TrainError, UnknownNameError
from scarce.loss_spec import LossSpec
from scarce.train.linear_probe import LinearProbe


def test_learns_and_gives_probabilities(featured: FoldView) -> None:
    model = train.fit(featured)
    probs = model.predict_proba(featured.eval)
    np.testing.assert_allclose(probs.sum(1), 1)
    report = evaluate.run(featured, model, oof=model.held_out)
    assert report.balanced_accuracy["value"] > 0.85
    assert report.balanced_accuracy["baseline"] == pytest.approx(1 / 3)
    point = report.operating_point
    assert point is not None
    assert not point["in_sample"]
    assert model.card["operating_point"]["threshold"] == pytest.approx(point["threshold"])


def test_same_data_same_weights_and_evaluation_rows_change_nothing(featured: FoldView) -> None:
    first = train.fit(featured).tensors()
    ds = featured.dataset
    rng = np.random.default_rng(0)
    judged = ds.rows_of(featured.eval_ids)
    labels, features = ds["label"].copy(), ds["embedding.pixels"].copy()
    labels[judged], features[judged] = rng.integers(0, 3, len(judged)), rng.random((len(judged), features.shape[1]))
    other = ds.with_columns({"label": labels, "embedding.pixels": features})
    second = train.fit(other.fold(featured.train_ids, featured.eval_ids)).tensors()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


def test_soft_labels_and_weights_are_used(featured: FoldView) -> None:
    ds, plain = featured.dataset, train.fit(featured)
    soft = [[0.0, 0.0, 1.0]] * len(ds)
    judged = set(featured.eval_ids)
    wrong = ds.with_columns(
        {"label_probs": [row if key not in judged else None for key, row in zip(ds.ids, soft, strict=True)]}
    )
    with pytest.raises(TrainError, match="two classes"):
        train.fit(wrong.fold(featured.train_ids, featured.eval_ids))
    weight = np.where(ds["label"] == 2, 50.0, 1.0)
    heavy = train.fit(
        ds.with_columns({"weight": weight}).fold(featured.train_ids, featured.eval_ids), LinearProbe(l2=1.0)
    )
    light = train.fit(featured, LinearProbe(l2=1.0))
    assert heavy.predict_proba(featured.eval)[:, 2].mean() > light.predict_proba(featured.eval)[:, 2].mean() + 0.05
    zero = train.fit(ds.with_columns({"weight": np.where(ds["label"] == 2, 0.0, 1.0)}).fold(featured.train_ids, ()))
    assert zero.predict_proba(featured.eval)[:, 2].max() < 1e-6
    assert zero.card["absent_classes"] == ["Bag"]
    assert plain.card["absent_classes"] == []


def test_grown_rows_are_fitted_on_but_never_calibrated_on(featured: FoldView) -> None:
    ds = featured.dataset
    parents = [featured.train_ids[0], featured.train_ids[1]]
    grown = ds.append({
        "id": ["g0", "g1"], "label": ["Bag", "Bag"], "origin": ["synthetic"] * 2, "parents": [[parents[0]], parents],
        "split": ["train"] * 2,
    })  # fmt: skip
    features = grown["embedding.pixels"].copy()
    features[grown.rows_of(["g0", "g1"])] = 0.5
    view = grown.with_columns({"embedding.pixels": features}).fold(featured.train_ids, featured.eval_ids)
    model = train.fit(view)
    assert model.card["fitted_rows"] == len(featured.train_ids) + 2
    assert model.held_out is not None
    assert len(model.held_out[0]) == len(featured.train_ids)


def test_losses_shift_answers_to_the_rare_class(featured: FoldView) -> None:
    plain = train.fit(featured, LinearProbe(l2=1.0)).predict_proba(featured.eval)
    for loss in ("class_weight", "class_balanced", "balanced_softmax"):
        shifted = train.fit(featured, LinearProbe(l2=1.0, loss=loss)).predict_proba(featured.eval)  # type: ignore[arg-type]
        assert shifted[:, 2].mean() > plain[:, 2].mean()


def test_given_rows_weights_and_loss(featured: FoldView) -> None:
    class Given:
        rows = np.repeat(np.flatnonzero(featured.train["label"] != 1), 2)
        weights = np.ones(len(rows))
        loss = LossSpec(kind="focal", gamma=1.0)
        between = None

    model = train.fit(featured, given=Given())
    assert model.card["absent_classes"] == ["Trouser"]
    assert model.card["loss"]["kind"] == "focal"
    assert model.card["fitted_rows"] == len(Given.rows)


def test_settings_survive_toml(featured: FoldView) -> None:
    trainer = LinearProbe(loss=LossSpec(prior=(-1.0, -2.0, -3.0)), l2=0.1)
    assert LinearProbe.from_params(trainer.params()) == trainer


def test_refusals_say_what_to_do(featured: FoldView) -> None:
    ds = featured.dataset
    with pytest.raises(TrainError, match=r"there are embedding\.pixels"):
        train.fit(featured, LinearProbe(embedding="clip"))
    with pytest.raises(UnknownNameError, match="linear_probe"):
        train.fit(featured, "linear_prob")
    one = ds.take(ds["label"] == 0)
    with pytest.raises(TrainError, match=r"two classes.*all 'normal'"):
        train.fit(one.fold(one.ids, ()))
    with pytest.raises(TrainError, match="empty"):
        train.fit(ds.fold((), featured.eval_ids))
    model = train.fit(featured)
    renamed = replace(featured.eval, schema=Schema(classes=("normal", "Trouser", "Sack")))
    with pytest.raises(DataError, match=r"\['Sack'\].*\['Bag'\]"):
        model.predict_proba(renamed)
    turned = replace(featured.eval, schema=Schema(classes=("Bag", "Trouser", "normal")))
    np.testing.assert_allclose(model.predict_proba(turned)[:, ::-1], model.predict_proba(featured.eval))
