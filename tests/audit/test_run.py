from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from scarce import audit, columns, registry
from scarce.audit import AbstractCheck
from scarce.dataset import Dataset, Schema
from scarce.errors import ConfigError, DataError, UnknownNameError


def made(n: int = 240, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % 3
    features = rng.standard_normal((n, 12)).astype(np.float32) * 0.4
    features[np.arange(n), codes] += 3.0
    codes = codes.copy()
    codes[:6] = (codes[:6] + 1) % 3
    ids = [f"{value:016x}" for value in rng.permutation(10 * n)[:n]]
    values = {
        "id": ids, "label": ["abc"[code] for code in codes],
        "split": [("train", "test")[row % 4 == 0] for row in range(n)],
        "content_hash": [f"{row % (n - 5):032x}" for row in range(n)],
        "source": [("own", "public")[row % 2] for row in range(n)], "meta.light": np.sin(np.arange(n)).tolist(),
    }  # fmt: skip
    ds = Dataset.from_columns(Schema(classes=("a", "b", "c")), values)
    place = {sample: row for row, sample in enumerate(ids)}
    order = [place[sample] for sample in ds.ids]
    scan = {
        "scan.width": np.full(n, 640), "scan.height": np.full(n, 480), "scan.std": rng.uniform(20, 60, n),
        "scan.sharpness": rng.uniform(100, 400, n), "scan.p01": rng.uniform(0, 20, n),
        "scan.p95": rng.uniform(180, 250, n),
        "scan.entropy": rng.uniform(6, 7.5, n), "scan.thumbnail": rng.integers(0, 255, (n, 32, 32), dtype=np.uint8),
    }  # fmt: skip
    said = [{"sample": one, "voter": who, "kind": "human", "label": "a"} for one in ids[:9] for who in ("anna", "ben")]
    votes = pa.Table.from_pylist(said, schema=columns.VOTE)
    return dataclasses.replace(ds.with_columns({"embedding.x": features[order], **scan}), votes=votes)


def test_every_check_writes_a_score_and_is_found_by_file_name() -> None:
    ds = audit.run(made())
    for name in registry.names("audit"):
        score = ds[f"audit.{name}.score"]
        assert score.shape == (len(ds),)
        assert np.isnan(score).all() or (np.nanmin(score) >= 0 and np.nanmax(score) <= 1), name
    assert {step.name for step in ds.steps if step.stage == "audit"} == set(registry.names("audit"))
    skipped = {row["check"] for row in ds.findings.to_pylist() if row["why"].startswith("skipped")}
    assert skipped == {"box_error", "crowd_label", "mask_error", "multi_label_error", "number_error"}, "other labels"


def test_order_of_rows_changes_nothing() -> None:
    ds = made()
    shuffled = ds.take(np.random.default_rng(1).permutation(len(ds)))
    one, two = audit.run(ds), audit.run(shuffled)
    back = two.rows_of(one.ids)
    for name in registry.names("audit"):
        np.testing.assert_array_equal(one[f"audit.{name}.score"], two[f"audit.{name}.score"][back], err_msg=name)
    assert one.findings.to_pylist() == two.findings.to_pylist()


def test_set_aside_and_grown_rows_are_not_judged() -> None:
    ds = made()
    keep = np.ones(len(ds), bool)
    keep[:40] = False
    origin = np.where(np.arange(len(ds)) % 10 == 9, "augmented", "real")
    ds = audit.run(ds.with_columns({"keep": keep, "origin": origin.tolist()}), only=["imbalance", "outlier"])
    hidden = ~keep | (origin != "real")
    for name in ("imbalance", "outlier"):
        assert np.isnan(ds[f"audit.{name}.score"][hidden]).all()
        assert np.isfinite(ds[f"audit.{name}.score"][~hidden]).all()


def test_a_check_that_cannot_run_says_why() -> None:
    bare = Dataset.from_columns(Schema(), {"id": ["a", "b"]})
    ds = audit.run(bare)
    why = {row["check"]: row["why"] for row in ds.findings.to_pylist()}
    assert why["label_error"] == "skipped: it needs label, embedding"
    assert why["near_duplicate"] == "skipped: it needs scan.thumbnail or scan.text_hash or embedding"
    empty = audit.run(bare.with_columns({"keep": [False, False]}), only="imbalance")
    assert empty.findings.to_pylist()[0]["why"] == "skipped: there are no usable samples"


def test_names_and_settings_are_checked() -> None:
    ds = made(30)
    with pytest.raises(UnknownNameError, match="near_duplicate"):
        audit.run(ds, only="near_duplicat")
    with pytest.raises(UnknownNameError, match="label_error"):
        audit.run(ds, settings={"label_eror": {}})
    with pytest.raises(ConfigError, match="threshold"):
        audit.run(ds, only="near-duplicate", settings={"near-duplicate": {"treshold": 0.9}})
    one = ds.with_columns({"label": ["a"] * 30})
    with pytest.raises(DataError, match="fewer than two classes"):
        audit.run(one, only="label_error")
    why = {row["check"]: row["why"] for row in audit.run(one).findings.to_pylist() if row["check"] == "label_error"}
    assert why["label_error"].startswith("skipped: it could not run")


def test_settings_reach_the_check_and_the_lineage() -> None:
    ds = audit.run(made(60), only="imbalance", settings={"imbalance": {"caution": 1.01}}, seed=3, workers=1)
    step = ds.steps[-1]
    assert step.params == {"caution": 1.01, "serious": 10.0}
    assert step.seed == 3


def test_wrong_labels_are_found_and_explained() -> None:
    ds = audit.run(made(), only="label_error")
    rows = [row for row in ds.findings.to_pylist() if row["level"] == "sample"]
    assert len(rows) == 6
    assert all('more likely "' in row["why"] for row in rows)
    data = next(row for row in ds.findings.to_pylist() if row["level"] == "data")
    assert "95 % interval" in data["why"]


def test_exact_copies_and_leaks_are_found() -> None:
    ds = audit.run(made(), only=["exact_duplicate", "leakage"])
    groups = [
        row["members"]
        for row in ds.findings.to_pylist()
        if row["level"] == "group" and row["check"] == "exact_duplicate"
    ]
    assert [len(members) for members in groups] == [2] * 5
    split = ds["split"]
    crossing = [members for members in groups if len({split[ds.rows_of([member])[0]] for member in members}) == 2]
    score = ds["audit.leakage.score"]
    assert (score == 1).sum() == len(crossing) > 0
    assert np.isnan(score[split == "train"]).all()


def test_every_check_is_documented() -> None:
    for name in registry.names("audit"):
        text = registry.load("audit", name, AbstractCheck).__doc__ or ""
        for part in ("Use ", "Do not use", "Needs:", "Writes:"):
            assert part in text, f"{name} lacks {part!r}"


def test_checks_share_one_cross_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Label errors and weak slices ask for the same probabilities: fitted once a run, equal to what each gets alone."""
    from scarce import probe

    asked: list[tuple[int, ...]] = []
    fitted = probe.cross_val_probs

    def counted(features: np.ndarray, *rest: Any, **more: Any) -> np.ndarray:
        asked.append(features.shape)
        return fitted(features, *rest, **more)

    monkeypatch.setattr(probe, "cross_val_probs", counted)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 600)
    rows = (np.eye(3)[labels] @ rng.normal(0, 1, (3, 12)) + rng.normal(0, 0.8, (600, 12))).astype(np.float32)
    names = [f"{row:04d}" for row in range(600)]
    ds = Dataset.from_columns(Schema(classes=("a", "b", "c")), {"id": names, "label": [*np.array(list("abc"))[labels]]})
    ds = ds.with_columns({"embedding.x": rows})
    both = audit.run(ds, ["slice", "label_error"])
    assert asked == [(600, 12)]
    for name in ("label_error", "slice"):
        alone = audit.run(ds, [name])
        np.testing.assert_array_equal(both[f"audit.{name}.score"], alone[f"audit.{name}.score"])
    assert len(asked) == 3
