from __future__ import annotations

import numpy as np
import pytest

from scarce.errors import DataError
from scarce.flywheel._paired import OPEN, PROVEN, WORSE, Evidence, Samples, needed_for, per_class
from scarce.metric.paired import gain_bounds


def test_the_score_bounds_keep_their_promise() -> None:
    rng = np.random.default_rng(0)
    for n, lost, won in ((30, 0.05, 0.05), (60, 0.1, 0.03), (200, 0.02, 0.01)):
        known: dict[tuple[int, int], float] = {}
        counts = rng.multinomial(n, [lost, won, 1 - lost - won], size=1500)
        for first, second, _ in counts.tolist():
            known.setdefault((first, second), gain_bounds(first, second, n)[0])
        covered = np.mean([known[first, second] <= won - lost for first, second, _ in counts.tolist()])
        assert covered >= 0.93, (n, covered)


def test_bounds_of_swapped_models_are_mirrored_and_groups_widen_them() -> None:
    low, high = gain_bounds(9, 1, 50)
    assert gain_bounds(1, 9, 50) == pytest.approx((-high, -low))
    assert high < 0  # the second is worse
    assert gain_bounds(9, 1, 50, groups=10)[0] < low
    assert gain_bounds(20, 0, 20)[0] == -1.0
    assert gain_bounds(0, 0, 0) == (-1.0, 1.0)
    for least in (1e-16, 1e-13, 1e-11, 1e-7):  # shares that sum to all but what rounding leaves
        assert gain_bounds(3 * (1 - least), 0, 3)[0] == pytest.approx(-1.0, abs=1e-3)
        assert gain_bounds(0, 3 * (1 - least), 3)[1] == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(DataError, match="sum to n"):
        gain_bounds(3, 3, 5)


def test_each_class_is_proven_worse_or_open() -> None:
    labels = np.repeat([0, 1, 2, 3], [200, 60, 5, 0])
    champion = labels.copy()
    challenger = labels.copy()
    challenger[200:220] = 0  # class 1 loses a third
    samples = Samples(source="held-out", labels=labels, answers=(champion, challenger), groups=np.arange(len(labels)))
    rows = {row.name: row for row in per_class(samples, ("a", "b", "c", "d"), margin=0.05)}
    assert (rows["a"].verdict, rows["b"].verdict, rows["c"].verdict, rows["d"].verdict) == (PROVEN, WORSE, OPEN, OPEN)
    assert rows["b"].gain == pytest.approx(-1 / 3)
    assert rows["a"].needed == needed_for(0.05) == 52
    assert gain_bounds(0, 0, 52)[0] > -0.05 >= gain_bounds(0, 0, 51)[0]


def test_many_photos_of_few_parts_prove_less() -> None:
    labels = np.zeros(120, int)
    answers = (labels, labels)
    alone = per_class(Samples(source="x", labels=labels, answers=answers, groups=np.arange(120)), ("a",), margin=0.05)
    parts = per_class(
        Samples(source="x", labels=labels, answers=answers, groups=np.repeat(np.arange(12), 10)), ("a",), margin=0.05
    )
    assert (alone[0].verdict, parts[0].verdict) == (PROVEN, OPEN)


def test_what_a_model_was_trained_on_is_neither_left_out_nor_believed() -> None:
    labels = np.zeros(100, int)
    champion = np.where(np.arange(100) < 20, 1, 0)  # corrected there, and the challenger learned it
    learned = np.zeros((2, 100), bool)
    learned[1, :20] = True

    def evidence(answers: tuple[np.ndarray, np.ndarray], learned: np.ndarray | None = None) -> Evidence:
        samples = Samples(source="x", labels=labels, answers=answers, groups=np.arange(100), learned=learned)
        return per_class(samples, ("a", "b"), margin=0.05)[0]

    found = evidence((champion, labels), learned)
    assert (found.n, found.champion, found.challenger) == (100, 0.8, 0.8)
    assert found.low == evidence((champion, champion)).low
    assert found.high == evidence((champion, labels)).high > found.low
    assert found.verdict == PROVEN
    back = evidence((labels, champion), learned[::-1])  # the other way round it cannot be proven
    assert back.low == evidence((labels, champion)).low
    assert (back.high, back.verdict) == (evidence((champion, champion)).high, OPEN)


def test_unequal_inclusion_probabilities_count() -> None:
    labels = np.zeros(100, int)
    champion, challenger = np.zeros(100, int), np.where(np.arange(100) < 20, 1, 0)
    weights = np.where(np.arange(100) < 20, 10.0, 1.0)  # the lost ones stand for ten each
    plain = per_class(Samples(source="x", labels=labels, answers=(champion, challenger), groups=np.arange(100)),
                      ("a", "b"), margin=0.05)[0]  # fmt: skip
    scaled = per_class(Samples(source="x", labels=labels, answers=(champion, challenger), groups=np.arange(100),
                               weights=weights), ("a", "b"), margin=0.05)[0]  # fmt: skip
    assert plain.gain == pytest.approx(-0.2)
    assert scaled.gain == pytest.approx(-200 / 280)
    assert scaled.low < plain.low
