"""What is no fit input is refused in words by every function that takes arrays, and odd input is judged right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scarce.audit.blurred import Blurred
from scarce.audit.crowd_label import crowd_consensus
from scarce.audit.label_error import flag_label_errors, label_error_score
from scarce.audit.mask_error import mask_disagreement
from scarce.audit.multi_label_error import multi_label_error_probability
from scarce.audit.near_duplicate import duplicate_pairs
from scarce.audit.number_error import number_error_probability
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError

NAN = float("nan")
VOTES = np.array([[0, 1, -1], [1, 1, 0], [0, 0, 0], [1, -1, 1]])
PROBS = np.array([[0.8, 0.2], [0.3, 0.7], [0.9, 0.1], [0.2, 0.8]])
MASK = np.zeros((8, 8), np.uint8)
Call = Callable[[], Any]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: duplicate_pairs(np.array([[1, 0], [NAN, 1], [1, 0], [np.inf, 1]])), "2 of 4 rows, first in row 1"),
        (lambda: crowd_consensus(VOTES, np.where(PROBS == 0.3, NAN, PROBS)), "1 rows of the probabilities are NaN"),
        (lambda: crowd_consensus(VOTES, np.zeros((4, 2))), "4 rows of the probabilities"),
        (lambda: crowd_consensus(VOTES + 0.5, PROBS), "no whole numbers"),
        (lambda: crowd_consensus(VOTES.astype(str), PROBS), "ratings holds no real numbers"),
        (lambda: crowd_consensus(VOTES, PROBS + 0j), "pred_probs holds no real numbers"),
        (lambda: crowd_consensus(VOTES[0], PROBS), r"ratings has shape \(3,\)"),
        (lambda: mask_disagreement(MASK[0], MASK[0]), r"given has shape \(8,\)"),
        (lambda: mask_disagreement(MASK, MASK[0]), r"predicted has shape \(8,\)"),
        (lambda: mask_disagreement(MASK.astype(str), MASK), "given holds no real numbers"),
        (lambda: mask_disagreement(MASK, MASK, tolerance=-1), "tolerance = -1 is negative"),
        (lambda: number_error_probability(np.array(["a", "b"]), np.zeros(2)), "values holds no real numbers"),
        (lambda: number_error_probability(np.zeros(2), np.array([1j, 2])), "predictions holds no real numbers"),
        (lambda: number_error_probability([[1], [2, 3]], np.zeros(2)), "values is ragged"),  # type: ignore[arg-type]
        (lambda: multi_label_error_probability(VOTES > 0, PROBS.astype(str)), "pred_probs holds no real numbers"),
        (lambda: flag_label_errors(np.zeros(4, int), PROBS + 0j), "probabilities are complex128"),
        (lambda: label_error_score(np.zeros(4, int), PROBS.astype(str)), "probabilities are <U"),
    ],
)  # fmt: skip
def test_input_that_cannot_be_judged_is_refused_in_words(call: Call, message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()


def test_votes_may_be_nan_where_nobody_voted() -> None:
    pytest.importorskip("cleanlab", reason="cleanlab is not installed: pip install 'scarce[crowd]'")
    floats = np.where(VOTES < 0, NAN, VOTES)
    for one, two in zip(crowd_consensus(VOTES, PROBS), crowd_consensus(floats, PROBS), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("length", [1e-30, 1e-12, 1.0, 1e18])
def test_rows_of_any_length_have_pairs_and_zeros_have_none(length: float) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 16))
    rows[[7, 9]] = rows[[3, 3]] * [[length], [2 * length]]
    rows[[20, 21]] = 0.0
    np.testing.assert_array_equal(duplicate_pairs(rows, threshold=0.99), [[3, 7], [3, 9], [7, 9]])
    if length > 1e-30:
        np.testing.assert_array_equal(
            duplicate_pairs(rows.astype(np.float32), threshold=0.99), [[3, 7], [3, 9], [7, 9]]
        )


def test_entropy_is_a_name_of_the_weighted_entropy() -> None:
    labels = np.array([0, 1, 1, 0])
    full = label_error_score(labels, PROBS, method="confidence_weighted_entropy")
    np.testing.assert_array_equal(label_error_score(labels, PROBS, method="entropy"), full)


def test_the_reason_of_a_blurred_picture_is_what_decided() -> None:
    rng = np.random.default_rng(0)
    n = 300
    contrast = np.full(n, 40.0)
    sharpness = np.exp(rng.normal(5, 0.1, n))
    robust = sharpness / np.exp(rng.normal(0.7, 0.05, n))
    sharpness[4], robust[4] = sharpness[4] / 40, robust[4] / 40  # little detail at all, as much less at half size
    robust[8] = sharpness[8] * 3  # detail at half size, as much as usual at full size
    ids = [f"s{row:03d}" for row in range(n)]
    wide = {"scan.sharpness": sharpness, "scan.std": contrast, "scan.sharpness_robust": robust}
    ds = Dataset.from_columns(Schema(), {"id": ids, "uri": ids}).with_columns(wide)
    told = {row["members"][0]: row["why"] for row in Blurred().measure(ds).findings if row["members"]}
    assert set(told) == {"s004", "s008"}
    assert told["s004"].startswith("blurred: sharpness ")
    assert told["s008"].startswith("blurred: detail at full size is 0.33 times that at half size, usual 2.0")
