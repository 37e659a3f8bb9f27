"""What mistakes cost, and the answers that cost least."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scarce.errors import ConfigError, ReadError
from scarce.evaluate.cost import cost_report, costs_of

CLASSES = ("good", "torn", "stained")


def test_two_numbers_tell_misses_from_alarms() -> None:
    found = costs_of("10,1", CLASSES, ["good"])
    assert found.tolist() == [[0, 1, 1], [10, 0, 0], [10, 0, 0]]


def test_a_file_names_every_pair_in_any_order(tmp_path: Path) -> None:
    file = tmp_path / "costs.csv"
    file.write_text("truth,torn,good,stained\ngood,2,0,1\nstained,3,8,0\ntorn,0,9,4\n", encoding="utf-8")
    assert costs_of(str(file), CLASSES, []).tolist() == [[0, 2, 1], [9, 0, 4], [8, 3, 0]]


@pytest.mark.parametrize(("text", "said"), [
    ("10,x", "is no number"), ("-1,1", "is no cost"), ("nan,1", "is no cost"), ("gone.csv", "cannot be read"),
])  # fmt: skip
def test_bad_costs_are_refused(text: str, said: str) -> None:
    with pytest.raises((ConfigError, ReadError), match=said):
        costs_of(text, CLASSES, ["good"])


def test_misses_and_alarms_need_a_sound_class_and_a_file_needs_all_classes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no class is known to be sound"):
        costs_of("10,1", CLASSES, [])
    file = tmp_path / "costs.csv"
    file.write_text("truth,good,torn\ngood,0,1\ntorn,1,0\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="name each class once"):
        costs_of(str(file), CLASSES, [])


def test_least_expected_cost_pays_less_than_the_likeliest_class_and_the_threshold_sees_no_test_sample() -> None:
    rng = np.random.default_rng(0)
    chance = rng.random(4000)
    y = (rng.random(4000) < chance).astype(int)
    probs = np.stack([1 - chance, chance], 1)
    costs = np.array([[0.0, 1.0], [10.0, 0.0]])
    alone = np.full(4000, None, object)
    held = ((rng.random(2000) < 0.5).astype(int), np.zeros((2000, 2)))
    held[1][:, 1] = np.clip(rng.normal(0.3 + 0.4 * held[0], 0.1), 0, 1)
    held[1][:, 0] = 1 - held[1][:, 1]
    found = cost_report(y, probs, costs, ("good", "torn"), groups=alone, normal=(0,), out_of_fold=held, draws=200)
    ways = found["ways"]
    plain, least = ways["likeliest class"], ways["least expected cost"]
    assert least["high"] < plain["low"]
    expected = 1000 * costs[y, (chance > 1 / 11).astype(int)].mean()  # Elkan's threshold
    assert least["value"] == pytest.approx(expected)
    assert ways["always torn"]["value"] == pytest.approx(1000 * (y == 0).mean())
    again = cost_report(1 - y, probs, costs, ("good", "torn"), groups=alone, normal=(0,), out_of_fold=held, draws=20)
    assert again["threshold"] == found["threshold"]
