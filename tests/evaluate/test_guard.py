from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_digits

from scarce import encode, io, modality, registry, train
from scarce.dataset import Dataset
from scarce.evaluate._foreign import foreign_rows
from scarce.evaluate.conformal import conformal_sets, conformal_threshold
from scarce.evaluate.guard import guard
from scarce.evaluate.out_of_distribution.detection import detection
from scarce.evaluate.robustness import disturbed, robustness
from scarce.loop.fitting import guarded, training_view
from scarce.modality.raw import feature_columns
from scarce.train._said import foreign_scores
from scarce.train.linear_probe import LinearProbe
from scarce.train.model import Model, load
from scarce.train.predict import predict

QUICK = LinearProbe(folds=2, iterations=30, components=64)


@pytest.fixture(scope="module")
def garments_ready(some_garments: Dataset) -> Dataset:
    """Garments with features of their pixels."""
    kind = registry.load("encode", "pixel", encode.AbstractEncoder)  # type: ignore[type-abstract]
    return encode.run(some_garments, kind())


@pytest.fixture(scope="module")
def model(garments_ready: Dataset) -> Model:
    """A linear head with its guard."""
    view = training_view(garments_ready)
    ready: Model = guarded(train.fit(view, QUICK, seed=0), view, seed=0)
    return ready


def test_the_threshold_of_the_sets_lies_between_probabilities(model: Model) -> None:
    """On one of them, the last digits of a sum decide whether a sample of that very probability is ambiguous."""
    assert model.held_out is not None
    labels, probs = model.held_out
    threshold = model.card["ambiguous"]["threshold"]
    exact = conformal_threshold(labels, probs, coverage=0.95)
    assert threshold < exact
    assert np.abs(probs - threshold).min() >= min(5e-5, 0.49 * (exact - probs[probs < exact].max()))
    np.testing.assert_array_equal(conformal_sets(probs, threshold), conformal_sets(probs, exact))


def test_digits_are_unknown_to_a_model_of_garments(model: Model, tmp_path: Path, garments_ready: Dataset) -> None:
    entry = model.card["unknown"]
    assert entry["detectors"][entry["detector"]]["auroc"] == max(row["auroc"] for row in entry["detectors"].values())
    for number, image in enumerate(load_digits().images[:60]):
        picture = cv2.resize((image * 255 / 16).astype(np.uint8), (28, 28), interpolation=cv2.INTER_LINEAR)
        cv2.imwrite(str(tmp_path / f"{number:03d}.png"), picture)
    again = load(model.save(tmp_path / "model"))
    pictures = [tmp_path / f"{number:03d}.png" for number in range(60)]
    found = predict(again, pictures)
    test = garments_ready.take(garments_ready["split"] == "test")
    logits, features = again.answers(test)
    known = foreign_scores(again, logits, features)
    common = test["label"] != test.schema.classes.index("Bag")  # of bags, next to none are in training
    called = (known > entry["threshold"])[common].mean()
    assert called < 0.06, "80 samples were held back, so the highest of 80 is the threshold"
    assert np.mean([row.verdict == "unknown" for row in found]) > called + 0.1
    assert detection(known, np.array([row.unknown_score for row in found])).auroc > 0.75
    json.dumps(again.card, allow_nan=False)


def test_labels_of_the_test_change_no_threshold(garments_ready: Dataset, model: Model) -> None:
    labels = garments_ready.table["label"].to_pylist()
    rows = np.flatnonzero(garments_ready["split"] == "test")
    order = np.random.default_rng(3).permutation(rows)
    mixed = list(labels)
    for row, other in zip(rows, order, strict=True):
        mixed[row] = labels[other]
    assert mixed != labels
    view = training_view(garments_ready.with_columns({"label": mixed}))
    other = guarded(train.fit(view, QUICK, seed=0), view, seed=0)
    for name in ("unknown", "ambiguous", "operating_point", "temperature"):
        assert other.card[name] == model.card[name]


def test_few_held_back_samples_promise_nothing(garments_ready: Dataset, model: Model) -> None:
    view = training_view(garments_ready)
    bare = replace(model, held_ids=None, held_logits=None, held_out=None)
    found = guard(bare, view)
    assert found.unknown is None
    assert found.ambiguous is None
    assert not found.arrays


def test_given_foreign_samples_choose_the_detector(garments_ready: Dataset, model: Model) -> None:
    view = training_view(garments_ready)
    told = guard(model, view, foreign=garments_ready.take(np.arange(40)))
    assert told.unknown is not None
    assert told.unknown["foreign"] == "given"
    assert told.unknown["detectors"]["knn"]["auroc"] < 0.8, "these foreign samples are garments themselves"


def test_made_rows_break_what_ties_columns_together_or_leave_their_range(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    table = pa.table({
        "class": ["a", "b"] * 100, "kind": pa.array(np.where(x > 0, "up", "down")), "whole": (x * 100).astype(np.int64),
        "x": x, "twice": 2 * x, "empty": pa.nulls(200, pa.float64()),
    })  # fmt: skip
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    pq.write_table(table, tmp_path / "in" / "rows.parquet")
    ds = modality.scan(io.read(tmp_path / "in" / "rows.parquet"))
    found = foreign_rows(ds, ds.ids, tmp_path / "out", count=100, seed=0)
    assert found is not None
    assert found["keep"].all()
    made = feature_columns(found)
    assert set(made) == {"kind", "whole", "x", "twice"}
    one, two, kind = (made[name].to_pylist() for name in ("x", "twice", "kind"))
    half = slice(0, 50)
    assert set(one[half]) <= set(x.tolist())
    assert abs(np.corrcoef(one[half], two[half])[0, 1]) < 0.5
    assert set(kind) == {"up", "down"}
    beyond = np.array([(np.abs(one[50:]) > np.abs(x).max()), (np.abs(two[50:]) > 2 * np.abs(x).max()),
                       np.abs(made["whole"].to_pylist()[50:]) > 100 * np.abs(x).max()])  # fmt: skip
    assert beyond.any(0).all(), "each has a number beyond the range"
    assert (beyond.mean(1) < 0.9).all(), "and most have others within it"
    again = foreign_rows(ds, ds.ids, tmp_path / "in", count=100, seed=0)
    assert again is not None
    assert feature_columns(again)["x"].equals(made["x"])


def test_a_second_training_encodes_no_foreign_picture_again(
    garments_ready: Dataset, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = registry.load("encode", "pixel", encode.AbstractEncoder)  # type: ignore[type-abstract]
    embed, seen = kind.embed, []

    def counted(self: encode.AbstractEncoder, batch: Sequence[np.ndarray | str]) -> np.ndarray:
        seen.append(len(batch))
        return embed(self, batch)

    monkeypatch.setattr(kind, "embed", counted)
    view, bare = training_view(garments_ready), model.stamped(unknown=None)
    cache = encode.FeatureCache(tmp_path / "features")
    first = guarded(bare, view, seed=0, cache=cache)
    made = sum(seen)
    assert made > 200, "nearly all of the 300 made pictures differ"
    again = guarded(bare, view, seed=0, cache=cache)
    assert sum(seen) == made
    guarded(bare, view, seed=1, cache=cache)
    assert sum(seen) > made + 200, "another seed makes other pictures"
    assert again.card["unknown"] == first.card["unknown"] == model.card["unknown"]


def test_accuracy_falls_with_the_disturbance(garments_ready: Dataset, model: Model) -> None:
    test = garments_ready.take(garments_ready["split"] == "test")
    found = robustness(model, test, most=24)
    bare = Dataset(test.schema, test.table, test.sources)
    plain = robustness(model, bare, most=24)
    assert plain == found, "features of the clean pictures are not used for the disturbed ones"
    assert found["n"] == 24
    assert found["clean"]["accuracy"] > 0.7
    assert found["curves"]["noise"][-1]["accuracy"] <= found["clean"]["accuracy"] + 0.05
    assert max(row["lost"] for rows in found["curves"].values() for row in rows) > 0.05
    image = np.full((20, 20), 100, np.uint8)
    assert disturbed(image, "light", 30.0, np.random.default_rng(0)).mean() == 130
