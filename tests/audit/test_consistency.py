from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scarce import quality
from scarce.audit.consistency import unusual
from scarce.dataset import Dataset, Schema


def test_only_what_a_clear_majority_lacks_is_unusual() -> None:
    assert not unusual(np.array([3] * 52 + [1] * 48)).any(), "half and half is no fault"
    assert np.flatnonzero(unusual(np.array([3] * 90 + [1] * 10))).tolist() == list(range(90, 100))


def test_a_class_of_one_form_has_its_own_usual_value() -> None:
    values, labels = np.array([3] * 49 + [1] * 51), np.array([0] * 50 + [1] * 50)
    assert np.flatnonzero(unusual(values, labels=labels)).tolist() == [49]
    assert not unusual(np.tile([1, 3], 50), labels=labels).any(), "no class agrees"


def test_real_classes_of_gray_and_color_pictures_are_consistent(shared_data: Path) -> None:
    from scarce.loop.measure import judged

    ds = judged(shared_data / "fabric_defects", ["consistency"])
    share = {name: parts["consistency"].value for name, parts in quality.measure(ds).classes.items()}
    gray = ds["scan.channels"] == 1
    assert 0.3 < float(gray.mean()) < 0.7
    assert sum(value == 1.0 for value in share.values()) >= 12
    assert sum(value == 0.0 for value in share.values()) <= 2, "four pictures each, in a mode of their own"


def numbers(n: int = 200) -> Dataset:
    values = [f"{value:.2f}" for value in np.linspace(0, 9, n)]
    ids = [f"s{row:04d}" for row in range(n)]
    schema = Schema(classes=tuple(sorted(set(values))))
    return Dataset.from_columns(schema, {"id": ids, "uri": ids, "label": values})


def test_numbers_are_no_classes() -> None:
    ds = numbers()
    found = quality.measure(ds.with_columns({"audit.number_error.score": np.full(len(ds), 0.02, np.float32)}))
    assert not found.classes
    assert "number" in found.parts["balance"].why
    assert not found.parts["balance"].known
    assert found.parts["label_quality"].value == pytest.approx(0.98)
    assert "run scarce audit" in quality.measure(ds).parts["label_quality"].why


def test_one_share_has_one_interval(garments: Path) -> None:
    from scarce import audit, encode, io, modality

    ds = modality.scan(io.read(garments))
    ds = audit.run(encode.run(ds.take(np.arange(0, len(ds), max(1, len(ds) // 400))), "pixel"), ["label_error"])
    why = next(
        row["why"] for row in ds.findings.to_pylist() if row["check"] == "label_error" and row["level"] == "data"
    )
    part = quality.measure(ds).parts["label_quality"]
    told = f"95 % interval {100 * (1 - part.high):.1f} to {100 * (1 - part.low):.1f} %"
    assert told in why
    assert f"about {100 * (1 - part.value):.1f} %" in why
