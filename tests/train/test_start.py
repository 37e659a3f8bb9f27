"""Training that begins with the weights of another model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from scarce import train
from scarce.dataset import Dataset, FoldView, Schema
from scarce.errors import TrainError
from scarce.train._start import Start
from scarce.train.blend import Blend
from scarce.train.finetune import Finetune


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def with_classes(fold: FoldView, names: tuple[str, ...]) -> FoldView:
    """Return the fold with the rows of these classes only, in this order of classes."""
    ds = fold.dataset
    told = np.asarray(ds.schema.classes)[ds["label"]]
    rows = np.flatnonzero(np.isin(told, names))
    columns = {name: ds.table[name].take(rows).to_pylist() for name in ("id", "uri", "source")}
    less = Dataset.from_columns(
        Schema(classes=names, normal_classes=("normal",)), {**columns, "label": told[rows].tolist()}, sources=ds.sources
    )
    own = set(columns["id"])
    return less.fold([name for name in fold.train_ids if name in own], [name for name in fold.eval_ids if name in own])


@pytest.fixture(scope="module")
def two(fold: FoldView, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows T-shirts and trousers only."""
    model = train.fit(with_classes(fold, ("Trouser", "normal")), Finetune(epochs=10, batch=16), seed=1)
    model = model.stamped(data={**model.card["data"], "version": "v3"})
    return model.save(tmp_path_factory.mktemp("start") / "v3-finetune")


def test_a_class_is_added_and_the_others_are_known_from_the_start(fold: FoldView, two: Path) -> None:
    start = Start.of("test", two)
    built = start.built(("normal", "Bag", "Trouser"), size=28, cosine=None)
    old, new = train.load(two).tensors(), built.module.state_dict()
    head = [name for name in old if old[name].shape[:1] == (2,)]
    assert sorted(name.rpartition(".")[2] for name in head) == ["bias", "weight"]
    for name in old:
        if name in head:
            np.testing.assert_array_equal(new[name][[2, 0]].numpy(), old[name])  # Trouser, normal: by name, not place
        else:
            np.testing.assert_array_equal(new[name].numpy(), old[name])

    cold = train.fit(fold, Finetune(epochs=1, batch=16), seed=1)
    warm = train.fit(fold, Finetune(epochs=1, batch=16, start=str(two)), seed=1)
    judged = fold.eval
    known = np.flatnonzero(judged["label"] < 2)
    right = [(one.predict_proba(judged).argmax(1) == judged["label"])[known].mean() for one in (cold, warm)]
    assert right[1] > max(right[0], 0.8), right
    assert warm.card["started_from"]["model"] == "v3-finetune"
    assert warm.card["started_from"]["versions"] == ["v3"]
    assert warm.card["params"]["start"] == "v3-finetune"  # no path: a project may be moved
    assert warm.card["mean"] == start.card["mean"]


def test_what_came_before_is_told_on(fold: FoldView, two: Path, tmp_path: Path) -> None:
    second = train.fit(fold, Finetune(epochs=1, batch=16, start=str(two)), seed=1)
    second.stamped(data={"version": "v5"}).save(tmp_path / "v5-finetune")
    third = train.fit(fold, Finetune(epochs=1, batch=16, start=str(tmp_path / "v5-finetune")), seed=1)
    assert third.card["started_from"]["versions"] == ["v3", "v5"]
    again = train.load(third.save(tmp_path / "third"))
    np.testing.assert_allclose(again.predict_proba(fold.eval), third.predict_proba(fold.eval), atol=1e-6)


def test_a_head_of_cosines_and_a_linear_one_do_not_mix(fold: FoldView, two: Path, tmp_path: Path) -> None:
    model = train.fit(fold, Finetune(epochs=1, batch=16, start=str(two), loss="ldam"), seed=1)
    assert train.load(model.save(tmp_path / "m")).card["cosine_scale"]


def test_a_blend_begins_with_the_network_of_another(featured: FoldView, two: Path, tmp_path: Path) -> None:
    first = train.fit(featured, Blend(epochs=1, batch=16, start=str(two)), seed=1)
    assert first.card["started_from"]["model"] == "v3-finetune"
    first.save(tmp_path / "blend")
    second = train.fit(featured, Finetune(epochs=1, batch=16, start=str(tmp_path / "blend")), seed=1)
    assert second.card["started_from"]["versions"][0] == "v3"


def test_what_cannot_be_started_from_is_refused(featured: FoldView, two: Path, tmp_path: Path) -> None:
    def fit(**more: object) -> None:
        train.fit(featured, Finetune.from_params({"epochs": 1, "batch": 16, **more}), seed=0)

    with pytest.raises(TrainError, match="cannot be loaded"):
        fit(start=str(tmp_path / "nothing"))
    with pytest.raises(TrainError, match="that one is a small_resnet"):
        fit(start=str(two), network="small_convnext")
    train.fit(featured, "linear_probe", seed=0).save(tmp_path / "probe")
    with pytest.raises(TrainError, match="no network on pixels"):
        fit(start=str(tmp_path / "probe"))


def test_gray_weights_refuse_pictures_with_color(two: Path) -> None:
    from scarce.train._pixels import Shape

    start = Start.of("test", two)
    with pytest.raises(TrainError, match="have color"):
        start.shape(Shape(28, 3), None)
    assert start.shape(Shape(64, 1), None) == Shape(28, 1)
