from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scarce import rebalance
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError, UnknownNameError
from scarce.rebalance.undersample import Undersample


def data(**columns: Any) -> Dataset:
    label = ["a"] * 40 + ["b"] * 8 + ["a"] * 5 + [None]
    values = {
        "id": [f"{row:02d}" for row in range(54)],
        "label": label,
        "split": ["train"] * 48 + ["test"] * 5 + ["train"],
    }
    return Dataset.from_columns(Schema(classes=("a", "b")), {**values, **columns})


def test_only_training_rows_are_counted() -> None:
    assert rebalance.adjust(data(), "balanced_softmax").loss.prior == pytest.approx(tuple(np.log([40 / 48, 8 / 48])))
    assert rebalance.adjust(data(split=[None] * 54), "oversample").extra == (0, 7)


def test_class_weights_become_sample_weights_of_training_rows() -> None:
    found = rebalance.run(data(), "class_weight")
    assert np.allclose(found["weight"][:40], 48 / 80)
    assert np.allclose(found["weight"][40:48], 3)
    assert np.allclose(found["weight"][48:], 1)
    assert found.steps[-1].stage == "rebalance"


def test_undersampling_leaves_rows_out_by_weight_and_never_deletes() -> None:
    first, second, other = (rebalance.run(data(), Undersample(ratio=2.0), seed=seed) for seed in (0, 0, 1))
    assert len(first) == 54
    assert (first["weight"][:40] == 0).sum() == 24
    assert (first["weight"][40:] == 1).all()
    assert np.array_equal(first["weight"], second["weight"])
    assert not np.array_equal(first["weight"], other["weight"])


def test_which_rows_stay_does_not_hang_on_the_others() -> None:
    whole = rebalance.run(data(), Undersample(ratio=2.0))
    kept = set(whole.ids[(whole["weight"] > 0)])
    part = rebalance.run(data().take(np.arange(54) % 5 > 0), Undersample(ratio=2.0))
    both = [one for one in part.ids[:32] if one in kept]
    assert set(both) <= set(part.ids[part["weight"] > 0])


def test_methods_without_weights_say_so() -> None:
    with pytest.raises(DataError, match="sets no sample weights"):
        rebalance.run(data(), "focal")
    with pytest.raises(UnknownNameError, match="balanced_softmax"):
        rebalance.adjust(data(), "balanced-softmx")
