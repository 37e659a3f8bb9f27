"""Tables as people hold them: frames, holes, text, labels that are missing, and settings of another library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scarce.errors import ConfigError, DataError
from scarce.rebalance.adasyn import Adasyn
from scarce.rebalance.focal import Focal
from scarce.rebalance.oversample import Oversample
from scarce.rebalance.smote import Smote
from scarce.rebalance.smote_nc import SmoteNc
from scarce.rebalance.smote_tomek import SmoteTomek
from scarce.rebalance.undersample import Undersample

LABELS = np.repeat(["sound", "torn"], [40, 10])


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"width": rng.normal(size=50), "count": np.arange(50), "maker": rng.choice(["x", "y"], 50)}, index=range(7, 57)
    )


@pytest.mark.parametrize(
    "labels",
    [
        np.where(np.arange(50) % 7 == 0, np.nan, np.arange(50) % 2),
        [None if row % 7 == 0 else str(row % 2) for row in range(50)],
        [float("nan") if row % 7 == 0 else str(row % 2) for row in range(50)],
        pd.Series([pd.NA if row % 7 == 0 else row % 2 for row in range(50)], dtype="Int64"),
        pd.Series([None if row % 7 == 0 else "a" for row in range(50)]),
    ],
)
@pytest.mark.parametrize("method", [Smote(), Oversample(), Undersample()])
def test_missing_labels_are_refused(method: Any, labels: Any) -> None:
    with pytest.raises(DataError, match="8 of 50 labels are missing"):
        method.fit_resample(np.random.default_rng(0).normal(size=(50, 3)), labels)


def test_labels_of_several_types_are_refused() -> None:
    with pytest.raises(DataError, match="several types"):
        Oversample().fit_resample(np.zeros((4, 1)), np.array([1, "a", 1, "a"], object))


def test_what_computes_nothing_takes_holes_text_and_frames() -> None:
    X = frame()
    X.loc[10, "width"] = np.nan
    X.loc[50, "maker"] = None
    for method, sizes in ((Oversample(ratio=1.0, cap=None), [40, 40]), (Undersample(ratio=1.0), [10, 10])):
        found, y = method.fit_resample(X, pd.Series(LABELS, name="kind"))
        assert isinstance(found, pd.DataFrame)
        assert (found.dtypes == X.dtypes).all()
        assert found.index.tolist() == list(range(len(y)))
        assert isinstance(y, pd.Series)
        assert y.name == "kind"
        assert y.value_counts(sort=False).sort_index().tolist() == sizes
        for row in range(len(found)):
            old = X.iloc[int(found["count"].iloc[row])]
            assert found.iloc[row].equals(old.rename(row))
        whole = method.fit_resample(X.to_numpy(), LABELS)[0]
        assert whole.shape == found.shape
        assert whole[:, 1].tolist() == found["count"].tolist()
    words = X[["maker"]].astype(str).to_numpy(str)
    assert set(Oversample().fit_resample(words, LABELS)[0].ravel()) <= set(words.ravel())
    assert Oversample().fit_resample(np.arange(50)[:, None], LABELS)[0].dtype.kind == "i"
    infinite = np.where(np.arange(50) == 45, np.inf, 1.0)[:, None]
    assert not np.isnan(Oversample(ratio=1.0).fit_resample(infinite, LABELS)[0]).any()


def test_smote_gives_a_frame_back() -> None:
    X = frame()
    for method in (Smote(), Adasyn(), SmoteTomek()):
        found, y = method.fit_resample(X[["width", "count"]], LABELS)
        assert found.columns.tolist() == ["width", "count"]
        assert isinstance(y, np.ndarray)
        np.testing.assert_array_equal(found, method.fit_resample(X[["width", "count"]].to_numpy(), LABELS)[0])
    mixed, _ = SmoteNc(categories=(2,)).fit_resample(X, LABELS)
    assert mixed["width"].dtype == float
    assert set(mixed["maker"]) == {"x", "y"}
    with pytest.raises(DataError, match="what is no number"):
        Smote().fit_resample(X, LABELS)


def test_large_classes_are_cut_to_a_target_count() -> None:
    X = np.arange(50.0)[:, None]
    found, y = Undersample(target_count={"sound": 15}).fit_resample(X, LABELS)
    assert dict(zip(*np.unique(y, return_counts=True), strict=True)) == {"sound": 15, "torn": 10}
    assert len(np.unique(found)) == 25
    assert Undersample(target_count={"sound": 15}).adjust({"sound": 40, "torn": 10}).keep == (15, 10)
    assert Undersample.from_params({"target_count": {"sound": 15}}) == Undersample(target_count={"sound": 15})
    assert any("met already" in note for note in Undersample(target_count={"torn": 10}).resample(X, LABELS).notes)
    cases: list[tuple[dict[str, int], str]] = [
        ({"sound": 41}, "has 40 samples. target_count wants 41. to add samples, use oversample"),
        ({"sund": 4}, "did you mean 'sound'"), ({"sound": 0}, "a class is not emptied"), ({"sound": -3}, "is -3"),
    ]  # fmt: skip
    for wanted, said in cases:
        with pytest.raises((ConfigError, DataError), match=said):
            Undersample(target_count=wanted).fit_resample(X, LABELS)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: Smote(sampling_strategy="auto"),
            "unknown setting 'sampling_strategy'. here it is ratio, or target_count",
        ),
        (lambda: Oversample(sampling_strategy=0.5), "here it is ratio, or target_count"),
        (lambda: Undersample(sampling_strategy={"a": 5}), "here it is ratio, or target_count"),
        (lambda: Smote(k_neighbors=3), "here it is neighbors. its settings are neighbors, ratio, cap, target_count"),
        (lambda: Adasyn(random_state=0), "here it is seed"),
        (lambda: Smote(neighbours=3), "did you mean 'neighbors'"),
        (lambda: Smote(ratio="auto"), "ratio = 'auto' has the wrong type"),
        (lambda: Smote(neighbors=2.5), "neighbors = 2.5 has the wrong type"),
        (lambda: SmoteNc(categories=("c",)), "categories = 'c' has the wrong type"),
        (lambda: Focal(gamma="2"), "gamma = '2' has the wrong type"),
        (lambda: Undersample(ratio=float("nan")), "ratio = nan"),
        (lambda: Undersample(ratio=0.5), "ratio = 0.5"),
        (lambda: Oversample().fit_resample(np.zeros((50, 1)), LABELS, seed="x"), "seed = 'x'"),
    ],
)
def test_settings_of_another_library_or_type_are_told(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()


def test_numbers_of_numpy_are_numbers() -> None:
    found = Smote(neighbors=np.int64(3), ratio=np.float32(2.0), target_count={"torn": np.int64(20)})  # type: ignore[arg-type]
    assert len(found.fit_resample(frame()[["width"]], LABELS)[1]) == 60
