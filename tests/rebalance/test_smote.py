"""The SMOTE family on real tables, beside imbalanced-learn."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce import rebalance
from scarce.dataset import Dataset, Schema
from scarce.errors import ConfigError, DataError
from scarce.rebalance import AbstractRebalance
from scarce.rebalance._nearest import nearest
from scarce.rebalance.adasyn import Adasyn, shares_of
from scarce.rebalance.borderline_smote import BorderlineSmote, at_border
from scarce.rebalance.class_weight import ClassWeight
from scarce.rebalance.oversample import Oversample
from scarce.rebalance.smote import Smote
from scarce.rebalance.smote_enn import SmoteEnn
from scarce.rebalance.smote_nc import SmoteNc
from scarce.rebalance.smote_tomek import SmoteTomek
from scarce.rebalance.undersample import Undersample

Table = tuple[np.ndarray, np.ndarray]
MAKERS = (Smote(), BorderlineSmote(), Adasyn(), SmoteTomek(), SmoteEnn(), Oversample(ratio=1.0, cap=None))


@pytest.fixture(scope="module")
def mammography(shared_data: Path) -> Table:
    """7,849 different rows of real mammograms, 253 of them rare."""
    rows = np.loadtxt(shared_data / "tabular_imbalanced" / "mammography.csv", delimiter=",", skiprows=1)
    rows = np.unique(rows, axis=0)
    return rows[:, :-1], rows[:, -1].astype(int)


@pytest.fixture(scope="module")
def phoneme(shared_data: Path) -> Table:
    rows = np.loadtxt(shared_data / "tabular_imbalanced" / "phoneme.csv", delimiter=",", skiprows=1)
    rows = np.unique(rows, axis=0)[::2]
    return rows[:, :-1], rows[:, -1].astype(int)


def imblearn(path: str, **settings: Any) -> Any:
    module, _, name = path.rpartition(".")
    pytest.importorskip("imblearn")
    return getattr(__import__(f"imblearn.{module}", fromlist=[name]), name)(**settings)


def test_neighbors_are_scikit_learns(mammography: Table) -> None:
    from sklearn.neighbors import NearestNeighbors

    X = (mammography[0] - mammography[0].mean(0)) / mammography[0].std(0)
    rows = np.arange(0, len(X), 7)
    theirs, _ = NearestNeighbors(n_neighbors=7, algorithm="brute").fit(X).kneighbors(X[rows])
    ours = nearest(X[rows], X, 6, own=rows)
    np.testing.assert_allclose(np.linalg.norm(X[ours] - X[rows][:, None], axis=2), theirs[:, 1:], atol=1e-9)
    assert (ours != rows[:, None]).all()
    np.testing.assert_array_equal(nearest(X[rows[:99]] * 1e25, X * 1e25, 6, own=rows[:99]), ours[:99])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Smote(), "over_sampling.SMOTE"), (BorderlineSmote(), "over_sampling.BorderlineSMOTE"),
        (Adasyn(), "over_sampling.ADASYN"), (Oversample(ratio=1.0, cap=None), "over_sampling.RandomOverSampler"),
        (Undersample(ratio=1.0), "under_sampling.RandomUnderSampler"),
    ],
)  # fmt: skip
def test_sizes_are_imbalanced_learns(ours: AbstractRebalance, theirs: str, mammography: Table) -> None:
    X, y = ours.fit_resample(*mammography)
    their_X, their_y = imblearn(theirs, random_state=0).fit_resample(*mammography)
    assert X.dtype == their_X.dtype
    assert X.shape == their_X.shape
    assert np.bincount(y).tolist() == np.bincount(their_y).tolist()
    if not isinstance(ours, Undersample):
        np.testing.assert_array_equal(X[: len(mammography[0])], mammography[0])


def test_new_points_come_from_the_same_lines_as_imbalanced_learns(mammography: Table) -> None:
    X, y = mammography
    found = Smote(neighbors=3).resample(X, y)
    own = np.flatnonzero(y == 1)
    kin = own[nearest(X[own], X[own], 3, own=np.arange(len(own)))]
    lines = {(int(row), int(one)) for row, kins in zip(own, kin, strict=True) for one in kins}
    assert {(int(first), int(second)) for first, second in found.parents} == lines
    assert (found.weight >= 0).all()
    assert (found.weight < 1).all()
    theirs = imblearn("over_sampling.SMOTE", random_state=0, k_neighbors=3).fit_resample(X, y)[0][len(X) :]
    ends = np.array(sorted(lines))
    start, along = X[ends[:, 0]], X[ends[:, 1]] - X[ends[:, 0]]
    for point in theirs[::97]:
        share = np.einsum("ld,ld->l", point - start, along) / np.maximum(np.einsum("ld,ld->l", along, along), 1e-300)
        gap = np.linalg.norm(point - start - share[:, None] * along, axis=1)
        assert gap[(share > -1e-9) & (share < 1 + 1e-9)].min() < 1e-6


def test_who_lies_at_the_border_is_as_imbalanced_learn_says(mammography: Table) -> None:
    X, y = mammography
    theirs = imblearn("over_sampling.BorderlineSMOTE", random_state=0)
    theirs.fit_resample(X, y)
    found = BorderlineSmote().resample(X, y)
    assert set(found.parents[:, 0].tolist()) == set(theirs.in_danger_indices[1].tolist())


def test_the_hardest_samples_get_the_most(mammography: Table) -> None:
    X, y = mammography
    found = Adasyn().resample(X, y)
    own = np.flatnonzero(y == 1)
    around = nearest(X[own], X, 5, own=own)
    times = np.bincount(found.parents[:, 0], minlength=len(X))[own]
    strange = (y[around] == 0).mean(1)
    assert np.corrcoef(times, strange)[0, 1] > 0.999
    assert shares_of(np.array([[0, 0], [0, 1], [1, 1]]), 1, 6).tolist() == [4, 2, 0]
    assert at_border(np.array([[0, 0], [0, 1], [1, 1]]), 1).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("ours", "cleaner"),
    [(SmoteTomek(), ("under_sampling.TomekLinks", {})),
     (SmoteEnn(), ("under_sampling.EditedNearestNeighbours", {"kind_sel": "all"}))],
)  # fmt: skip
def test_cleaning_leaves_out_what_imbalanced_learn_does(ours: Any, cleaner: tuple[str, Any], phoneme: Table) -> None:
    X, y = phoneme
    before = Smote().fit_resample(X, y)
    after, labels = ours.fit_resample(X, y)
    theirs = imblearn(cleaner[0], sampling_strategy="all", **cleaner[1])
    theirs.fit_resample(*before)
    kept = np.sort(theirs.sample_indices_)
    assert len(before[0]) - len(after) > 0
    np.testing.assert_array_equal(after, before[0][kept])
    np.testing.assert_array_equal(labels, before[1][kept])


def test_tables_with_categories(mammography: Table) -> None:
    X, y = mammography
    names = np.array(["low", "mid", "high"], object)
    mixed = X.astype(object)
    mixed[:, 2] = names[np.digitize(X[:, 2], [-0.5, 0.5])]
    found = SmoteNc(categories=(2,), neighbors=5).resample(mixed, y)
    out, labels = found.arrays()
    theirs = imblearn("over_sampling.SMOTENC", categorical_features=[2], random_state=0)
    theirs_X, theirs_y = theirs.fit_resample(mixed, y)
    assert out.shape == theirs_X.shape
    assert np.bincount(labels).tolist() == np.bincount(theirs_y).tolist()
    new, their_new = out[len(X) :, 2], theirs_X[len(X) :, 2]
    assert set(new) <= set(names)
    for name in names:
        assert abs((new == name).mean() - (their_new == name).mean()) < 0.03
    assert found.donors is not None
    assert (mixed[found.donors[:, 0], 2] == new).all()
    first, second = found.parents.T
    plain = [0, 1, 3, 4, 5]
    low = np.minimum(X[first], X[second])[:, plain] - 1e-9
    high = np.maximum(X[first], X[second])[:, plain] + 1e-9
    assert ((out[len(X) :, plain].astype(float) >= low) & (out[len(X) :, plain].astype(float) <= high)).all()
    by_number = SmoteNc(categories=(-4,)).fit_resample(np.c_[X[:, :2], np.digitize(X[:, 2], [0]), X[:, 3:]], y)[0]
    assert set(by_number[:, 2]) == {0.0, 1.0}


@pytest.mark.parametrize("method", MAKERS)
def test_rows_made_for_a_batch_are_those_of_the_whole(method: AbstractRebalance, mammography: Table) -> None:
    X, y = mammography[0].astype(np.float32), mammography[1]
    found = method.resample(X, y, seed=3)
    whole, labels = found.arrays()
    assert len(found) == len(whole) == len(labels)
    drawn = np.random.default_rng(0).permutation(len(found))[:500]
    np.testing.assert_array_equal(found.rows(drawn), whole[drawn])
    assert found.parents.nbytes + found.weight.nbytes == 12 * len(found.weight)
    again, other = method.resample(X, y, seed=3), method.resample(X, y, seed=4)
    assert np.array_equal(found.parents, again.parents)
    assert not np.array_equal(found.parents, other.parents)


def test_a_known_graph_saves_the_search_and_changes_nothing(mammography: Table, monkeypatch: Any) -> None:
    X, y = mammography
    graph = nearest(X, X, 10, own=np.arange(len(X)))
    for method in (BorderlineSmote(), Adasyn()):
        searched = method.resample(X, y)
        widest: list[int] = []

        def watched(queries: Any, among: Any, *rest: Any, seen: list[int] = widest, **more: Any) -> Any:
            seen.append(len(among))
            return nearest(queries, among, *rest, **more)

        monkeypatch.setattr("scarce.rebalance._nearest.nearest", watched)
        looked_up = method.resample(X, y, neighbors=graph)
        monkeypatch.undo()
        assert np.array_equal(searched.parents, looked_up.parents)
        assert max(widest) == (y == 1).sum()


def test_lineage_names_parents_and_weight(mammography: Table) -> None:
    X, y = mammography
    found = Smote(ratio=3.0).resample(X, y)
    assert np.bincount(found.labels)[1] == int(np.ceil((y == 0).sum() / 3))
    told = found.lineage([f"row {row}" for row in range(len(X))])
    first, second = (int(name.removeprefix("row ")) for name in told[0]["parents"])
    np.testing.assert_allclose(
        found.arrays()[0][len(X)], X[first] + told[0]["weight"] * (X[second] - X[first]), rtol=1e-6, atol=1e-9
    )


def test_targets_caps_and_several_classes() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], [60, 20, 6])
    X = rng.normal(size=(86, 4)) + (y == "b")[:, None]
    count = lambda method: dict(zip(*np.unique(method.fit_resample(X, y)[1], return_counts=True), strict=True))  # noqa: E731
    assert count(Smote(ratio=2.0)) == {"a": 60, "b": 30, "c": 30}
    assert count(Smote(cap=2)) == {"a": 60, "b": 60, "c": 18}
    assert count(Smote(target_count={"b": 25})) == {"a": 60, "b": 25, "c": 6}
    assert count(Oversample(target_count={"c": 50}, cap=3)) == {"a": 60, "b": 20, "c": 24}
    used = np.bincount(Oversample(ratio=1.0, cap=3).resample(X, y).parents[:, 0], minlength=86)
    assert used.max() == 3


def test_what_is_met_already_is_left_alone_and_said(mammography: Table) -> None:
    X, y = mammography
    found = Smote(ratio=100.0).resample(X, y)
    assert len(found) == len(X)
    assert any("met already" in note for note in found.notes)
    assert any("met already" in note for note in Undersample(ratio=1000.0).resample(X, y).notes)
    far = np.concatenate([np.zeros((50, 2)), np.full((9, 2), 100.0)]) + np.random.default_rng(0).normal(size=(59, 2))
    labels = np.repeat([0, 1], [50, 9])
    assert any("take smote" in note for note in Adasyn().resample(far, labels).notes)
    assert any("border" in note for note in BorderlineSmote(around=4).resample(far, labels).notes)
    few = Smote().resample(far[:53], labels[:53])
    assert any("2 neighbors are used in place of 5" in note for note in few.notes)


def test_bad_input_is_explained() -> None:
    from scipy import sparse

    X, y = np.random.default_rng(0).normal(size=(30, 3)), np.repeat([0, 1], [29, 1])
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: Smote().fit_resample(X, y), "one sample"),
        (lambda: Smote().fit_resample(np.where(X > 2, np.nan, X), y), "missing or infinite.*SimpleImputer"),
        (lambda: Smote().fit_resample(X, np.zeros(30)), "y holds 1 classes"),
        (lambda: Smote().fit_resample(X, y[:5]), "y \\(5,\\)"),
        (lambda: Smote().fit_resample(sparse.csr_matrix(X), y), "sparse"),
        (lambda: Smote().fit_resample(X.astype(str).astype(object) + "x", y), "no number.*smote_nc"),
        (lambda: Smote(target_count={"2": 40}).fit_resample(X, y), "'2', which is not there"),
        (lambda: Smote(target_count={"0": 5}).fit_resample(X, y), "has 29 samples.*undersample"),
        (lambda: Smote().fit_resample(X, y, neighbors=np.zeros((3, 2), int)), "neighbors have shape"),
        (lambda: SmoteNc().fit_resample(X, y), "name some columns"),
        (lambda: SmoteNc(categories=(7,)).fit_resample(X, y), "name columns of X"),
        (lambda: ClassWeight().fit_resample(X, y), "changes the loss and no samples"),
        (lambda: Oversample(target_count={"a": 5}).adjust({"a": 0, "b": 3}), "'a' has no sample"),
    ]
    for call, message in cases:
        with pytest.raises((DataError, ConfigError), match=message):
            call()
    for settings in ({"ratio": 0.5}, {"cap": -1}, {"target_count": {"a": -1}}, {"neighbors": 0}):
        with pytest.raises(ConfigError, match=r"rebalance\.smote"):
            Smote.from_params(settings)


def test_raw_pixels_warn_and_point_to_features() -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (40, 8, 8), np.uint8)
    y = np.repeat([0, 1], [30, 10])
    with pytest.warns(UserWarning, match="scarce encode"):
        X, labels = Smote().fit_resample(pictures, y)
    assert X.shape == (60, 8, 8)
    assert np.bincount(labels).tolist() == [30, 30]
    assert Undersample(ratio=1.0).fit_resample(pictures, y)[0].dtype == np.uint8


def test_features_of_a_dataset_are_interpolated_in_training_only() -> None:
    rng = np.random.default_rng(0)
    label = ["a"] * 40 + ["b"] * 8 + ["b"] * 5
    ds = Dataset.from_columns(
        Schema(classes=("a", "b")),
        {"id": [f"{row:02d}" for row in range(53)], "label": label, "split": ["train"] * 48 + ["test"] * 5},
    ).with_columns({"embedding.net": rng.normal(size=(53, 6)).astype(np.float32)})
    found, rows = rebalance.resample(ds, "smote")
    assert np.unique(found.labels, return_counts=True)[1].tolist() == [40, 40]
    assert rows.max() < 48
    assert set(found.lineage(ds.ids[rows])[0]["parents"]) <= set(ds.ids[40:48])
    with pytest.raises(DataError, match="run scarce encode"):
        rebalance.resample(ds, "smote", embedding="clip")
    with pytest.warns(UserWarning, match="raw pixels"):
        rebalance.resample(ds.with_columns({"embedding.pixel": rng.normal(size=(53, 6)).astype(np.float32)}), "smote")


def test_gray_levels_as_numbers_are_warned_of_and_other_columns_are_not() -> None:
    rng = np.random.default_rng(0)
    levels, y = rng.integers(0, 256, (60, 100)), np.repeat([0, 1], [45, 15])
    for X in (levels.astype(np.float32), levels / 255):
        with pytest.warns(UserWarning, match="raw pixels"):
            Smote().fit_resample(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Smote().fit_resample(rng.normal(size=(60, 100)), y)
        Smote().fit_resample(rng.random((60, 100)), y)
        Smote().fit_resample(levels[:, :10].astype(float), y)


def test_a_target_count_without_classes_is_refused() -> None:
    with pytest.raises(ConfigError, match="target_count = 100 has the wrong type"):
        Smote(target_count=100)  # type: ignore[arg-type]
