from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scarce.errors import ConfigError, DataError
from scarce.loss_spec import LossSpec
from scarce.rebalance import AbstractRebalance
from scarce.rebalance.balanced_softmax import BalancedSoftmax, logit_prior
from scarce.rebalance.class_weight import ClassWeight, class_weights
from scarce.rebalance.effective_number import EffectiveNumber, effective_number_weights
from scarce.rebalance.focal import Focal, focal_loss
from scarce.rebalance.oversample import Oversample
from scarce.rebalance.target import kept_counts, target_counts
from scarce.rebalance.undersample import Undersample
from scarce.registry import load, names

LONG_TAIL = (4000, 2000, 1000, 750, 500, 350, 200, 100, 60, 40)


def test_class_weights_are_scikit_learns_balanced() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.repeat(np.arange(10), LONG_TAIL)
    wanted = compute_class_weight("balanced", classes=np.arange(10), y=labels)
    assert np.allclose(class_weights(LONG_TAIL), wanted)


@pytest.mark.parametrize("weights", [class_weights, effective_number_weights])
def test_weights_are_one_on_average_over_the_samples(weights: Any) -> None:
    found = weights([900, 90, 0, 10])
    assert np.isclose((found * [900, 90, 0, 10]).sum(), 1000)
    assert found[2] == 1
    assert found[0] < found[1] < found[3]


def test_power_zero_is_no_weight() -> None:
    assert np.allclose(class_weights(LONG_TAIL, power=0.0), 1)


def test_effective_numbers_follow_the_paper() -> None:
    beta, n = 0.999, np.array(LONG_TAIL)
    paper = (1 - beta) / (1 - beta**n)
    found = effective_number_weights(LONG_TAIL, beta=beta)
    assert np.allclose(found / found[0], paper / paper[0])
    assert np.allclose(effective_number_weights(LONG_TAIL, beta=0.0), 1)
    nearly = effective_number_weights(LONG_TAIL, beta=1 - 1e-12)
    assert np.allclose(nearly, class_weights(LONG_TAIL), rtol=1e-4)


def test_the_prior_turns_balanced_logits_into_the_posterior() -> None:
    # two Gaussians of unit variance: with equal priors the logit is linear; the prior moves the boundary as Bayes says
    x, counts = np.linspace(-4, 4, 101), np.array([900, 100])
    logits = np.stack([-0.5 * (x + 1) ** 2, -0.5 * (x - 1) ** 2], axis=1) + logit_prior(counts)
    joint = np.exp(-0.5 * (x[:, None] - [-1, 1]) ** 2) * counts
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert np.allclose(probs, joint / joint.sum(1, keepdims=True))


def test_prior_with_strength_and_empty_class() -> None:
    assert np.allclose(logit_prior([90, 10], tau=2.0), 2 * np.log([0.9, 0.1]))
    assert np.isfinite(logit_prior([90, 10, 0])).all()


@pytest.mark.slow
def test_focal_loss_is_torchvisions() -> None:
    torch = pytest.importorskip("torch")
    from torchvision.ops import sigmoid_focal_loss

    logits = np.random.default_rng(0).normal(0, 3, 200)
    wanted = sigmoid_focal_loss(torch.tensor(logits), torch.ones(200, dtype=torch.float64), alpha=0.25, gamma=2.0)
    probs = np.stack([1 / (1 + np.exp(logits)), 1 / (1 + np.exp(-logits))], axis=1)
    assert np.allclose(focal_loss(probs, np.ones(200, int)), wanted.numpy())


def test_focal_loss_with_gamma_zero_is_cross_entropy_and_stays_finite() -> None:
    probs = np.array([[0.2, 0.8], [1.0, 0.0]])
    assert np.allclose(focal_loss(probs[:1], np.array([1]), gamma=0.0, alpha=1.0), -np.log(0.8))
    assert np.isfinite(focal_loss(probs, np.array([1, 1]))).all()


def test_targets_reach_the_ratio_but_not_beyond_the_cap() -> None:
    assert target_counts([900, 300, 100, 0], ratio=3.0, cap=20).tolist() == [900, 300, 300, 0]
    assert target_counts([900, 10], ratio=1.0, cap=4).tolist() == [900, 50]
    assert target_counts([5, 5], ratio=3.0).tolist() == [5, 5]
    assert target_counts(np.array([900.0, 99.5]), ratio=3.0).tolist() == [900, 300]
    assert (target_counts(LONG_TAIL, ratio=3.0) >= LONG_TAIL).all()
    assert Oversample(ratio=3.0).adjust([900, 100]).extra == (0, 200)


def test_undersampling_keeps_at_most_the_ratio() -> None:
    assert kept_counts([900, 50, 10, 0], ratio=10.0).tolist() == [100, 50, 10, 0]
    assert Undersample(ratio=2.0).adjust([900, 50]).keep == (100, 50)


def test_each_method_asks_for_what_it_says() -> None:
    assert ClassWeight().adjust([9, 1]).loss.class_weights == pytest.approx((10 / 18, 5.0))
    assert EffectiveNumber().adjust([9, 1]).loss.class_weights is not None
    assert BalancedSoftmax().adjust([9, 1]).loss.prior == pytest.approx((np.log(0.9), np.log(0.1)))
    assert Focal().adjust([9, 1]).loss == LossSpec(kind="focal", gamma=2.0, alpha=0.25)


@pytest.mark.parametrize("name", names("rebalance"))
@pytest.mark.parametrize("counts", [[], [0, 0], [-1, 5], [np.inf, 1], [[1, 2]]])
def test_wrong_counts_are_explained(name: str, counts: Any) -> None:
    plugin = load("rebalance", name, AbstractRebalance)()  # type: ignore[type-abstract]
    with pytest.raises(DataError, match=f"rebalance.{name}"):
        plugin.adjust(counts)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("class_weight", {"power": 2.0}),
        ("effective_number", {"beta": 1.0}),
        ("balanced_softmax", {"tau": -1.0}),
        ("focal", {"gamma": -1.0}),
        ("focal", {"alpha": 0.0}),
        ("oversample", {"ratio": 0.5}),
        ("undersample", {"ratio": 0.0}),
    ],
)
def test_settings_out_of_range_are_refused(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        load("rebalance", name, AbstractRebalance).from_params(settings)  # type: ignore[type-abstract]


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "hinge"}, {"gamma": 2.0}, {"kind": "focal", "gamma": float("nan")}, {"class_weights": (1.0, -1.0)},
        {"class_weights": (float("inf"),)}, {"prior": (0.0, float("-inf"))}, {"alpha": 2.0},
    ],
)  # fmt: skip
def test_a_loss_that_cannot_be_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        LossSpec(**settings)


def test_a_plain_loss_knows_it() -> None:
    assert LossSpec().plain
    assert not LossSpec(prior=(0.0, 1.0)).plain
