"""The contract checks must fail where something is wrong: each fault is planted once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pytest

from scarce.audit import AbstractCheck, Measurement, finding
from scarce.dataset import Dataset
from scarce.testing import check_audit, check_form, tiny_dataset


@final
@dataclass(frozen=True, kw_only=True)
class Far(AbstractCheck):
    """Find samples whose features lie far from the middle.

    Args:
        share: of the samples that is named.
    """

    share: float = 0.1

    def measure(self, ds: Dataset) -> Measurement:
        features = ds["embedding.tiny"]
        length = np.linalg.norm(features - np.median(features, 0), axis=1)
        score = length / length.max()
        worst = np.flatnonzero(score >= np.quantile(score, 1 - self.share))
        return Measurement(score, [finding("sample", [ds.ids[row]], score[row], "far away") for row in worst])


def test_a_good_check_passes() -> None:
    check_form(Far, AbstractCheck)
    check_audit(Far())


def open_class() -> type[Any]:
    @dataclass(frozen=True, kw_only=True)
    class Open(AbstractCheck):
        """Not final."""

        def measure(self, ds: Dataset) -> Measurement:
            return Measurement(np.zeros(len(ds)))

    return Open


def silent_class() -> type[Any]:
    @final
    @dataclass(frozen=True, kw_only=True)
    class Silent(AbstractCheck):
        """Say nothing about the parameter."""

        strength: float = 1.0

        def measure(self, ds: Dataset) -> Measurement:
            return Measurement(np.zeros(len(ds)))

    return Silent


def mumbling_class() -> type[Any]:
    @final
    @dataclass(frozen=True, kw_only=True)
    class Mumbling(AbstractCheck):
        """no sentence"""

        def measure(self, ds: Dataset) -> Measurement:
            return Measurement(np.zeros(len(ds)))

    return Mumbling


def hidden_class() -> type[Any]:
    @final
    @dataclass(frozen=True, kw_only=True)
    class Hidden(AbstractCheck):
        """Forget the ``words`` that it was given."""

        words: tuple[str, ...] = ("a",)

        def params(self) -> dict[str, Any]:
            return {"words": []}

        def measure(self, ds: Dataset) -> Measurement:
            return Measurement(np.zeros(len(ds)))

    return Hidden


@pytest.mark.parametrize(
    ("make", "reason"),
    [(open_class, "@final"), (silent_class, "strength"), (mumbling_class, "no sentence"), (hidden_class, "survive")],
)
def test_bad_form_is_found(make: Any, reason: str) -> None:
    with pytest.raises((AssertionError, ValueError), match=reason):
        check_form(make(), AbstractCheck)


class Stub:
    """A check that answers whatever the test says."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def unmet(self, ds: Dataset) -> str:
        return ""

    def measure(self, ds: Dataset) -> Measurement:
        return self.answer(ds)


COUNTER = iter(range(1000))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda _: Measurement(np.zeros(3)), "shape"),
        (lambda ds: Measurement(np.full(len(ds), 1.5)), "leaves"),
        (lambda ds: Measurement(np.linspace(0, 1, len(ds))), "order"),
        (lambda ds: Measurement(np.full(len(ds), next(COUNTER) / 1000)), "same data"),
        (lambda ds: Measurement(np.zeros(len(ds)), [finding("sample", ["nobody"], 0.5, "why")]), "does not exist"),
        (lambda ds: Measurement(np.zeros(len(ds)), [finding("sample", [ds.ids[0]], 0.5, "")]), "no reason"),
    ],
)
def test_a_bad_check_is_found(answer: Any, reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        check_audit(Stub(answer))


def test_tiny_dataset_is_what_it_says() -> None:
    ds = tiny_dataset()
    assert dict(zip(*np.unique(ds.table["label"].to_pylist(), return_counts=True), strict=True)) == {
        "good": 60, "scratch": 20, "stain": 8,
    }  # fmt: skip
    assert (ds["pred_probs.tiny"].argmax(1) == ds["label"]).mean() > 0.9
    assert ds.schema.normal_classes == ("good",)
