from __future__ import annotations

import numpy as np
import pytest

from scarce.audit.source_shift import SourceShift
from scarce.dataset import Dataset
from scarce.errors import DataError
from scarce.testing import check_audit, tiny_dataset
from scarce.two_sample import told_apart


def drawn(n: int, shift: float, seed: int, k: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    second = rng.random(n) < np.linspace(0.2, 0.8, k)[labels]
    features = rng.normal(size=(n, 12)) + 3 * np.eye(k, 12)[labels]
    features[second, 5] += shift
    return features, second, labels


def test_auroc_is_that_of_a_known_shift() -> None:
    """A shift of d standard deviations in one direction gives an AUROC of Phi(d / sqrt 2) at best."""
    from scipy.stats import norm

    for shift in (0.5, 1.0, 2.0):
        features, second, labels = drawn(1500, shift, 1)
        found = told_apart(features, second, labels)
        best = norm.cdf(shift / np.sqrt(2))
        assert best - 0.03 <= found.auroc <= best + 0.03
        assert found.low < best < found.high
        assert set(found.per_class) == {0, 1, 2}
        assert found.own[second].mean() > 0.5


def test_another_mix_of_classes_is_no_shift() -> None:
    features, second, labels = drawn(2000, 0.0, 2)
    assert told_apart(features, second, labels).low < 0.5
    assert told_apart(features, second).low > 0.6, "without classes the mix tells the sources apart"


def test_false_alarms_are_rare_also_with_groups() -> None:
    alarms = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        part = rng.integers(0, 60, 240)
        features = rng.normal(size=(240, 10)) + rng.normal(size=(60, 10))[part]
        second = (rng.random(60) < 0.4)[part]
        alarms += told_apart(features, second, groups=part.astype(str), seed=seed).low > 0.5
    assert alarms <= 5


def test_groups_are_never_cut() -> None:
    """Each group has a mark of its own and groups do not differ otherwise: only a cut group gives the source away."""
    rng = np.random.default_rng(0)
    part = np.repeat(np.arange(100), 4)
    marks = rng.normal(size=(100, 40)) * 3
    features = marks[part] + 0.1 * rng.normal(size=(400, 40))
    second = (part % 2).astype(bool)
    assert told_apart(features, second, groups=part.astype(str)).low < 0.5
    assert told_apart(features, second).low > 0.5


def test_perfect_separation_of_few_samples_is_not_certain() -> None:
    features = np.r_[np.zeros((10, 2)), np.ones((10, 2))] + 0.01 * np.random.default_rng(0).normal(size=(20, 2))
    found = told_apart(features, np.arange(20) >= 10)
    assert found.auroc == 1
    assert 0.5 < found.low < 0.8


def test_wrong_input() -> None:
    features = np.zeros((20, 2))
    with pytest.raises(DataError, match="8 groups"):
        told_apart(features, np.arange(20) < 3)
    with pytest.raises(DataError, match="8 groups"):
        told_apart(features, np.arange(20) < 10, groups=np.repeat(["a", "b"], 10))
    with pytest.raises(DataError, match="shapes"):
        told_apart(features, np.zeros(7, bool))
    features[3, 1] = np.nan
    with pytest.raises(DataError, match="not finite"):
        told_apart(features, np.arange(20) < 10)


def sources(names: list[str], moved: str) -> Dataset:
    ds = tiny_dataset({"good": 120, "scratch": 60})
    source = np.random.default_rng(0).choice(names, len(ds)).astype(object)
    features = ds["embedding.tiny"].copy()
    features[source == moved, 3] += 4
    return ds.with_columns({"source": source.tolist(), "embedding.tiny": features})


def test_the_check_names_the_source_that_differs() -> None:
    ds = sources(["lab", "line", "web"], "web")
    found = SourceShift().measure(ds)
    overall = [row for row in found.findings if row["level"] == "data"]
    assert len(overall) == 3
    assert overall[0]["why"].startswith("source 'web' and the rest are nearly always told apart")
    own = SourceShift(first="lab", second="line").measure(ds)
    assert [row["score"] for row in own.findings] == [0.0]
    assert "not proven" in own.findings[0]["why"]
    assert np.isnan(own.score[ds["source"] == "web"]).all()
    check_audit(SourceShift(), ds)
    check_audit(SourceShift(column="split"), ds)


def test_one_source_is_nothing_to_compare() -> None:
    assert "no two values" in SourceShift().unmet(tiny_dataset())
    assert "no column" in SourceShift(column="meta.camera").unmet(tiny_dataset())
