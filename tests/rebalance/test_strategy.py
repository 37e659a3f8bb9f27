from __future__ import annotations

from typing import Any

import pytest

from scarce.errors import DataError
from scarce.rebalance.strategy import ALWAYS, StrategyThresholds, choose

HYBRID = ("clean", "augment", "synthesize", "oversample", "balanced_softmax")


def test_50000_to_10000_is_augmentation_only() -> None:
    plan = choose({"good": 50_000, "stained": 10_000})
    assert plan.steps == ("augment",)
    assert plan.tier == "augment"


def test_10000_to_500_is_augmentation_and_reweighting() -> None:
    assert choose({"good": 10_000, "stained": 500}).steps == ("augment", "balanced_softmax")


def test_10000_to_100_is_augmentation_synthesis_and_logit_adjustment() -> None:
    plan = choose({"good": 10_000, "torn": 100})
    assert plan.steps == ("augment", "synthesize", "balanced_softmax")
    assert "focal" in plan.rows, "focal loss is measured, not recommended"
    assert any("77.5" in line for line in plan.why)
    assert any("--loss deferred" in line for line in plan.why)


def test_10000_to_100_to_50_is_the_full_hybrid() -> None:
    plan = choose({"good": 10_000, "torn": 100, "stained": 50})
    assert plan.hybrid
    assert plan.steps == HYBRID


def test_a_small_moderate_set_is_oversampled_too() -> None:
    assert choose([7000, 500]).steps == ("augment", "oversample", "balanced_softmax")


def test_under_a_thousand_samples_everything_is_needed() -> None:
    assert choose([800, 199]).steps == HYBRID
    assert choose([800, 200]).steps == ("clean", "augment")


@pytest.mark.parametrize("modality", ["image", "text", "tabular"])
def test_where_no_class_is_to_grow_no_growing_is_proposed(modality: str) -> None:
    plan = choose({"a": 500, "b": 400}, modality=modality)
    assert plan.targets == {}
    assert not {"synthesize", "oversample", "balanced_softmax"} & set(plan.steps)
    assert plan.tier == "augment"
    assert not any("oversampled instead" in line for line in plan.why)
    assert choose([2000, 800], thresholds=StrategyThresholds(mild=2.0)).steps == (
        "clean",
        "augment",
        "balanced_softmax",
    )


@pytest.mark.parametrize(
    ("counts", "tier"),
    [
        ([99_900, 10_000], "augment"), ([100_000, 10_000], "reweight"), ([499_900, 10_000], "reweight"),
        ([500_000, 10_000], "synthesize"), ([1_000_000, 10_000], "synthesize"), ([1_010_000, 10_000], "hybrid"),
    ],
)  # fmt: skip
def test_the_borders_are_as_written(counts: list[int], tier: str) -> None:
    assert choose(counts).tier == tier


def test_label_errors_put_cleaning_first_and_say_why() -> None:
    plan = choose({"good": 50_000, "stained": 10_000}, label_error_rate=0.05)
    assert plan.steps == ("clean", "augment")
    assert any("5.0%" in line and "clean first" in line for line in plan.why)
    assert choose({"good": 50_000, "stained": 10_000}, label_error_rate=0.049).steps == ("augment",)
    assert choose({"good": 50_000, "stained": 10_000}, noise=0.2).steps == ("clean", "augment")


def test_a_few_thousand_samples_put_cleaning_first_and_say_why() -> None:
    plan = choose([3000, 1500])
    assert plan.steps[0] == "clean"
    assert any("4,500 samples" in line and "clean first" in line for line in plan.why)
    assert "clean" not in choose([4000, 1000]).steps


@pytest.mark.parametrize("counts", [[50_000, 10_000], [10_000, 500], [10_000, 100], [10_000, 100, 50], [5]])
def test_the_three_losses_are_always_rows(counts: list[int]) -> None:
    plan = choose(counts)
    assert set(ALWAYS) <= set(plan.rows)
    assert set(plan.steps) <= set(plan.rows)
    assert plan.why


def test_what_cannot_be_done_is_not_proposed() -> None:
    text = choose([10_000, 100], modality="text")
    assert text.steps == ("augment", "oversample", "balanced_softmax")
    assert any("for text" in line for line in text.why)
    blind = choose([10_000, 100], normal_classes=())
    assert "synthesize" not in blind.steps
    assert any("sound" in line for line in blind.why)
    assert "synthesize" in choose({"good": 10_000, "torn": 100}, normal_classes=("good",)).steps


def test_what_the_evidence_ranks_first_is_recommended_with_wrong_labels_too() -> None:
    plan = choose([10_000, 100], label_error_rate=0.08)
    assert plan.steps == ("clean", "augment", "synthesize", "balanced_softmax")
    assert choose([4000, 40]).steps == ("clean", "augment", "synthesize", "balanced_softmax")


@pytest.mark.parametrize("counts", [[300, 299], [5, 5], [40, 40, 41]])
def test_equal_classes_are_not_rebalanced(counts: list[int]) -> None:
    plan = choose(counts)
    assert plan.steps == ("clean", "augment")
    assert plan.tier == "augment"
    assert not plan.targets


def test_equal_classes_are_not_named_twice() -> None:
    assert choose([5, 5]).why[0] == "2 classes of 5 each: ratio 1, 10 samples"


def test_one_class_is_not_rebalanced() -> None:
    plan = choose({"good": 300})
    assert plan.steps == ("clean", "augment")
    assert plan.why[0] == "300 good and no other class"
    assert any("nothing is to be balanced" in line for line in plan.why)
    assert not any("as good as equal" in line for line in plan.why)


@pytest.mark.parametrize("settings", [{"label_error_rate": 7.0}, {"label_error_rate": -0.1}, {"noise": float("nan")}])
def test_what_is_no_share_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(DataError, match="is no share"):
        choose([100, 10], **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("counts", [{"good": "many"}, ["10", "5"], [10, 2.5], [10, None], [10, float("nan")]])
def test_what_is_no_count_is_refused(counts: Any) -> None:
    with pytest.raises(DataError, match="no whole number"):
        choose(counts)


def test_the_plan_says_how_far_to_grow() -> None:
    plan = choose({"good": 10_000, "torn": 100, "stained": 5000})
    assert plan.targets == {"torn": 2100}
    assert any("torn is to grow from 100 to 2,100" in line for line in plan.why)
    assert choose({"good": 900, "torn": 400}).targets == {}
    assert any("no default" in line and "68.3" in line for line in plan.why)


def test_thresholds_are_configuration() -> None:
    assert choose([50_000, 10_000], thresholds=StrategyThresholds(mild=4.0)).tier == "reweight"
    assert choose([800, 199], thresholds=StrategyThresholds(hybrid_total=0, clean_total=0)).steps == ("augment",)


def test_odd_counts() -> None:
    with pytest.raises(DataError, match="no class has a training sample"):
        choose([0, 0])
    with pytest.raises(DataError, match="below 0"):
        choose([10, -1])
    assert any("collect more" in line for line in choose({"good": 10, "torn": 1}).why)
    empty = choose({"good": 10_000, "torn": 5_000, "lost": 0})
    assert empty.ratio == 2
    assert any("lost has no training sample" in line for line in empty.why)
    assert any("one class" in line for line in choose([9000]).why)


def test_the_plan_explains_itself() -> None:
    text = choose({"good": 10_000, "torn": 100, "stained": 50}).explain()
    assert "clean -> augment -> synthesize" in text
    assert "10,000 good against 50 stained" in text
    assert "200" in text
