from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scarce import audit
from scarce.audit.outlier import (
    conformal_p_value,
    isolation_score,
    local_outlier_factor,
    outlier_score,
    strangeness_in_class,
    tail_p_value,
)
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError

METHODS = ("neighbor", "isolation_forest", "local_outlier_factor")


@pytest.fixture(scope="module")
def mammography(shared_data: Path) -> tuple[np.ndarray, np.ndarray]:
    """2,500 real rows of 6 numbers, standardized, 260 of them of the rare class (malignant)."""
    table = np.genfromtxt(shared_data / "tabular_imbalanced" / "mammography.csv", delimiter=",", skip_header=1)
    rows = np.r_[np.flatnonzero(table[:, -1] == 1), np.flatnonzero(table[:, -1] == 0)[:2240]]
    features = table[rows, :-1]
    return ((features - features.mean(0)) / features.std(0)).astype(np.float32), table[rows, -1].astype(int)


def as_dataset(features: np.ndarray, labels: np.ndarray, sources: list[str] | None = None) -> Dataset:
    n = len(features)
    values = {"id": [f"{row:06d}" for row in range(n)], "label": [("usual", "rare")[code] for code in labels]}
    if sources:
        values["source"] = sources
    ds = Dataset.from_columns(Schema(modality="tabular", classes=("usual", "rare")), values)
    return ds.with_columns({"embedding.x": features})


def flagged(ds: Dataset) -> np.ndarray:
    found = [row["members"][0] for row in ds.findings.to_pylist() if row["level"] == "sample"]
    return ds.rows_of(found) if found else np.zeros(0, int)


def test_local_outlier_factor_equals_scikit_learn() -> None:
    from sklearn.neighbors import LocalOutlierFactor

    rows = np.random.default_rng(0).standard_normal((400, 8)).astype(np.float32) + 1
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    model = LocalOutlierFactor(n_neighbors=15, contamination=0.1).fit(unit)
    factor, marked = local_outlier_factor(rows, neighbors=15, contamination=0.1)
    np.testing.assert_allclose(factor, -model.negative_outlier_factor_, rtol=1e-3)
    assert (marked == (model.fit_predict(unit) == -1)).mean() > 0.99


def test_contamination_flags_that_share_and_is_refused_outside() -> None:
    rows = np.random.default_rng(1).standard_normal((300, 5)).astype(np.float32)
    rows[0] = 30
    rows[1] = np.nan
    score, marked = isolation_score(rows, contamination=0.1)
    assert marked.sum() == 30
    assert np.nanargmax(score) == 0
    assert np.isnan(score[1])
    for share in (0.0, 0.6):
        with pytest.raises(DataError, match="contamination"):
            isolation_score(rows, contamination=share)
        with pytest.raises(DataError, match="contamination"):
            audit.run(as_dataset(rows, np.zeros(300, int)), "outlier", settings={"outlier": {"contamination": share}})


@pytest.mark.parametrize("shape", ["normal", "skewed", "uniform"])
def test_the_false_alarm_rate_is_kept_on_clean_data(shape: str) -> None:
    rng = np.random.default_rng(2)
    values = {"normal": rng.standard_normal, "skewed": lambda n: rng.gamma(3, 1, n), "uniform": rng.random}[shape](
        20_000
    )
    p = tail_p_value(values)
    for rate in (0.1, 0.01):
        assert (p <= rate).mean() <= 1.6 * rate
    assert (p <= 0.001).mean() <= 0.004
    if shape == "normal":
        assert (p <= 0.01).mean() >= 0.004


def test_real_outliers_do_not_hide_each_other() -> None:
    rng = np.random.default_rng(3)
    values = np.r_[rng.standard_normal(1900), rng.normal(8, 1, 100)]
    assert (tail_p_value(values)[1900:] < 1e-3).mean() > 0.95
    assert (tail_p_value(values)[:1900] < 1e-3).mean() < 0.005


def test_conformal_p_values_are_uniform_on_clean_data_and_need_some() -> None:
    values = np.random.default_rng(4).gamma(1, 1, 5000)
    clean = np.arange(5000) < 2500
    p = conformal_p_value(values, clean)
    for part in (p[clean], p[~clean]):
        assert (part <= 0.05).mean() == pytest.approx(0.05, abs=0.02)
    with pytest.raises(DataError, match="too few"):
        conformal_p_value(values, np.arange(5000) < 5)


def test_a_rare_class_is_not_flagged_for_being_rare(mammography: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = mammography
    strange = isolation_score(features)[0]
    alone, by_class = outlier_score(strange), outlier_score(strange, labels)
    far = np.quantile(alone, 0.95), np.quantile(by_class, 0.95)
    share = [(score[labels == 1] >= edge).mean() for score, edge in zip((alone, by_class), far, strict=True)]
    assert share[0] > 0.12, "without classes the rare class is called strange"
    assert share[1] < 0.08


def test_classes_of_any_size_get_a_number() -> None:
    strange = np.r_[np.full(50, 1.0) + np.linspace(0, 0.1, 50), 5.0, np.nan, np.full(5, 2.0)]
    labels = np.r_[np.zeros(50, int), 1, 0, np.full(5, 2)]
    inside = strangeness_in_class(strange, labels)
    assert np.isnan(inside[51])
    assert np.isfinite(np.delete(inside, 51)).all()
    assert np.isnan(strangeness_in_class(np.full(3, np.nan), np.zeros(3, int))).all()


@pytest.mark.parametrize("method", METHODS)
def test_foreign_rows_in_a_real_table_are_found(method: str, mammography: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = mammography
    rng = np.random.default_rng(5)
    rows = rng.choice(len(features), 40, replace=False)
    bad = features.copy()
    bad[rows] = rng.uniform(-8, 8, (40, features.shape[1]))
    settings = {"outlier": {"method": method, "false_alarm_rate": 0.01}}
    clean = audit.run(as_dataset(features, labels), "outlier", settings=settings)
    ds = audit.run(as_dataset(bad, labels), "outlier", settings=settings)
    score = ds["audit.outlier.score"]
    above = (score[rows][:, None] > np.delete(score, rows)[None]).mean()
    assert above > {"neighbor": 0.85, "isolation_forest": 0.9, "local_outlier_factor": 0.8}[method]
    assert len(flagged(clean)) <= 0.03 * len(features)


def test_known_good_samples_set_what_is_usual() -> None:
    rng = np.random.default_rng(6)
    rows = (rng.standard_normal((600, 12)) + 3).astype(np.float32)
    rows[550:] = rng.standard_normal((50, 12)) * 3 - 3
    sources = ["good"] * 400 + ["field"] * 200
    settings = {"outlier": {"clean": "good", "false_alarm_rate": 0.01}}
    found = flagged(audit.run(as_dataset(rows, np.zeros(600, int), sources), "outlier", settings=settings))
    assert (found >= 550).sum() >= 30
    assert (found < 550).sum() <= 15
