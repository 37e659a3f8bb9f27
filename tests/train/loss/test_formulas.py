"""Each loss against its published formula, written down a second time in NumPy, and against reference code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from scarce.errors import ConfigError, DataError, TrainError
from scarce.loss_spec import LossSpec
from scarce.probe import LinearProbe
from scarce.train import loss
from scarce.train._named_loss import _BY_NAME, loss_of

COUNTS = (900, 90, 10)
Batch = tuple[Tensor, Tensor]


@pytest.fixture
def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    return 2 * torch.randn(64, 3, generator=generator), torch.randint(0, 3, (64,), generator=generator)


def reference_ldam(cosines: Tensor, target: Tensor, counts: tuple[int, ...], weight: Tensor | None) -> Tensor:
    """The authors' published code (kaidic/LDAM-DRW, losses.py, max_m = .5, s = 30), in our words."""
    margins = 1.0 / np.sqrt(np.sqrt(np.array(counts)))
    margins = torch.tensor(margins * (0.5 / margins.max()), dtype=torch.float32)
    moved = torch.where(functional.one_hot(target, len(counts)).bool(), cosines - margins[target][:, None], cosines)
    return functional.cross_entropy(30 * moved, target, weight=weight)


def test_ldam_is_the_authors_code(batch: Batch) -> None:
    cosines, target = batch[0].tanh(), batch[1]
    torch.testing.assert_close(loss.Ldam(COUNTS)(30 * cosines, target), reference_ldam(cosines, target, COUNTS, None))
    late = loss.Ldam(COUNTS, deferred=0.8)
    late.at(0.5)
    torch.testing.assert_close(late(30 * cosines, target), reference_ldam(cosines, target, COUNTS, None))
    late.at(0.8)
    effective = 1.0 - np.power(0.9999, COUNTS)
    weights = torch.tensor((1 - 0.9999) / effective, dtype=torch.float32)
    share = late.class_weights[target].mean()  # type: ignore[index]  # theirs divides by the weights of the batch
    torch.testing.assert_close(late(30 * cosines, target) / share, reference_ldam(cosines, target, COUNTS, weights))


def test_the_rarest_class_has_the_widest_margin() -> None:
    margins = loss.Ldam((10_000, 16, 1, 0), margin=0.5, scale=1.0).margins
    assert margins is not None
    np.testing.assert_allclose(margins, [0.05, 0.25, 0.5, 0.0])


def test_deferred_weights_wait(batch: Batch) -> None:
    module, plain = loss.Deferred(COUNTS, start=0.6), functional.cross_entropy(*batch)
    late = loss.CrossEntropy(class_weights=module.class_weights.tolist())(*batch)  # type: ignore[union-attr]
    torch.testing.assert_close(module(*batch), late)
    for progress, expected in ((0.0, plain), (0.59, plain), (0.6, late), (1.0, late)):
        module.at(progress)
        torch.testing.assert_close(module(*batch), expected)


def test_generalized_cross_entropy_is_the_formula_and_has_its_limits(batch: Batch) -> None:
    logits, target = batch
    p = logits.softmax(1)[torch.arange(64), target].numpy()
    for q in (0.3, 0.7, 1.0):
        ours = float(loss.GeneralizedCrossEntropy(exponent=q)(logits, target))
        assert ours == pytest.approx(float(np.mean((1 - p**q) / q)), rel=1e-5)
    absolute = functional.l1_loss(logits.softmax(1), functional.one_hot(target, 3).float(), reduction="none").sum(1)
    assert float(loss.GeneralizedCrossEntropy(exponent=1.0)(logits, target)) == pytest.approx(
        float(absolute.mean()) / 2
    )
    nearly = loss.GeneralizedCrossEntropy(exponent=1e-3)(logits, target)
    torch.testing.assert_close(nearly, functional.cross_entropy(logits, target), rtol=1e-2, atol=1e-2)


def test_symmetric_cross_entropy_is_the_authors_formula(batch: Batch) -> None:
    logits, target = batch
    p = logits.softmax(1).clamp(1e-7, 1)
    one_hot = functional.one_hot(target, 3).float().clamp(float(np.exp(-4)), 1)
    reverse = -(p * one_hot.log()).sum(1).mean()
    expected = 0.1 * functional.cross_entropy(logits, target) + reverse
    torch.testing.assert_close(loss.SymmetricCrossEntropy()(logits, target), expected)


def test_noise_robust_losses_pull_less_at_wrong_labels() -> None:
    sure = torch.tensor([[8.0, 0.0]], requires_grad=True)
    pulls = {}
    for module in (loss.CrossEntropy(), loss.GeneralizedCrossEntropy(), loss.SymmetricCrossEntropy(shares=(0.0, 1.0))):
        sure.grad = None
        module(sure, torch.tensor([1])).backward()
        assert sure.grad is not None
        pulls[type(module).__name__] = float(sure.grad.abs().max())
    assert pulls["GeneralizedCrossEntropy"] < 0.01 * pulls["CrossEntropy"]
    assert pulls["SymmetricCrossEntropy"] < 0.01 * pulls["CrossEntropy"]


def test_expected_cost_is_the_formula(batch: Batch) -> None:
    logits, target = batch
    costs = np.array([[0, 1, 4], [2, 0, 1], [9, 3, 0]], float)
    p = logits.softmax(1).double().numpy()
    expected = np.mean(-np.log(p[np.arange(64), target]) + (costs[target] * p).sum(1))
    assert float(loss.ExpectedCost(costs.tolist())(logits, target)) == pytest.approx(expected, rel=1e-5)
    free = loss.ExpectedCost(np.zeros((3, 3)).tolist())(logits, target)
    torch.testing.assert_close(free, functional.cross_entropy(logits, target))


def test_label_smoothing_is_torchs_and_logit_adjustment_the_formula(batch: Batch) -> None:
    logits, target = batch
    expected = functional.cross_entropy(logits, target, label_smoothing=0.1)
    torch.testing.assert_close(loss.LabelSmoothing()(logits, target), expected)
    prior = torch.tensor(COUNTS).div(1000).log()
    adjusted = functional.cross_entropy(logits + 0.5 * prior, target)
    torch.testing.assert_close(loss.LogitAdjustment(COUNTS, tau=0.5)(logits, target), adjusted)
    torch.testing.assert_close(
        loss.LogitAdjustment(COUNTS)(logits, target), loss.BalancedSoftmax(COUNTS)(logits, target)
    )


def test_class_balanced_focal_is_both(batch: Batch) -> None:
    logits, target = batch
    p = logits.softmax(1)[torch.arange(64), target].double().numpy()
    weights = (1 - 0.999) / (1 - 0.999 ** np.array(COUNTS, float))
    weights *= 1000 / (weights * COUNTS).sum()
    expected = np.mean(weights[target] * (1 - p) ** 2 * -np.log(p))
    assert float(loss.ClassBalancedFocal(COUNTS)(logits, target)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("class_balanced_focal", loss.ClassBalancedFocal(COUNTS)), ("logit_adjustment", loss.LogitAdjustment(COUNTS)),
        ("ldam", loss.Ldam(COUNTS)), ("ldam_drw", loss.Ldam(COUNTS, deferred=0.8)), ("deferred", loss.Deferred(COUNTS)),
        ("label_smoothing", loss.LabelSmoothing()), ("generalized_cross_entropy", loss.GeneralizedCrossEntropy()),
        ("symmetric_cross_entropy", loss.SymmetricCrossEntropy()),
    ],
)  # fmt: skip
def test_names_and_modules_agree(name: Any, module: loss.ImbalanceLoss, batch: Batch) -> None:
    ours = loss.ImbalanceLoss.from_spec(loss_of(name, np.array(COUNTS, float)))
    for progress in (0.0, 1.0):
        ours.at(progress)
        module.at(progress)
        torch.testing.assert_close(ours(*batch), module(*batch))


@pytest.mark.parametrize("name", list(_BY_NAME))
def test_every_loss_learns_weighs_and_takes_soft_labels(name: Any, batch: Batch) -> None:
    logits, target = batch
    module = loss.ImbalanceLoss.from_spec(loss_of(name, np.array(COUNTS, float)))
    moved = logits.clone().requires_grad_()
    before = module(moved, target)
    before.backward()
    assert moved.grad is not None
    assert bool(torch.isfinite(moved.grad).all())
    before = before.detach()
    assert float(module(logits - moved.grad, target)) < float(before)
    hard = functional.one_hot(target, 3).float()
    torch.testing.assert_close(module(logits, hard), before)
    times = torch.randint(1, 4, (64,), generator=torch.Generator().manual_seed(1))
    repeated = module(logits.repeat_interleave(times, 0), target.repeat_interleave(times))
    torch.testing.assert_close(module(logits, target, times.float()), repeated)


def test_class_weights_replace_those_of_a_loss() -> None:
    counts = np.array(COUNTS, float)
    auto = loss_of("focal", counts, class_weights="auto")
    assert auto.kind == "focal"
    np.testing.assert_allclose(auto.class_weights, 1000 / 3 / counts)  # type: ignore[arg-type]
    assert loss_of("cross_entropy", counts, class_weights=(1.0, 2.0, 5.0)).class_weights == (1.0, 2.0, 5.0)
    with pytest.raises(TrainError, match=r"2 class weights.*3 classes"):
        loss_of("cross_entropy", counts, class_weights=(1.0, 2.0))
    with pytest.raises(ConfigError, match="negative"):
        loss_of("cross_entropy", counts, class_weights=(1.0, -2.0, 1.0))


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "ldam"}, {"margins": (1.0,)}, {"kind": "expected_cost"}, {"deferred": 1.0}, {"smoothing": 1.0},
        {"kind": "expected_cost", "costs": ((0.0, 1.0), (1.0,))}, {"exponent": 0.0}, {"shares": (0.0, 0.0)},
        {"kind": "ldam", "margins": (-1.0,)},
    ],
)  # fmt: skip
def test_a_loss_that_cannot_be_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="loss"):
        LossSpec(**settings)


def test_bad_input_is_explained() -> None:
    with pytest.raises(DataError, match="counts"):
        loss.Ldam([-1, 2])
    with pytest.raises(ConfigError, match="below 0"):
        loss.CrossEntropy(class_weights=[1.0, -1.0])
    with pytest.raises(ConfigError, match="not all finite"):
        loss.CrossEntropy(class_weights=[1.0, float("nan")])
    with pytest.raises(ConfigError, match="exponent"):
        loss.GeneralizedCrossEntropy(exponent=2.0)
    with pytest.raises(ConfigError, match="shares"):
        loss.SymmetricCrossEntropy(shares=(0.0, 0.0))
    with pytest.raises(ConfigError, match="K, K"):
        loss.ExpectedCost([[0.0, 1.0], [1.0]])
    with pytest.raises(ConfigError, match=r"probe.*finetune"):
        LinearProbe().fit(np.zeros((4, 2), np.float32), np.array([0, 1, 0, 1]), 2, loss=loss_of("ldam", np.ones(2)))


@pytest.mark.parametrize("settings", [{"gamma": -1.0}, {"gamma": float("nan")}, {"alpha": [0.5, 0.5]}, {"alpha": -1.0}])
def test_focal_refuses_what_is_no_number_from_0_on(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        loss.Focal(**settings)


@pytest.mark.parametrize("made", [loss.Focal(), loss.CrossEntropy(), loss.BalancedSoftmax(COUNTS), loss.Ldam(COUNTS)])
def test_targets_that_do_not_fit_are_told(made: Any, batch: Batch) -> None:
    logits, target = batch
    for wrong, said in (
        (target + 1, "codes reach from 1 to 3"), (target - 1, "outside the classes"), (target[:5], "shape"),
        (target.float(), "no codes"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=said):
            made(logits, wrong)


def test_another_number_of_class_weights_is_told(batch: Batch) -> None:
    with pytest.raises(DataError, match=r"2 class_weights.* 3 classes"):
        loss.Focal(class_weights=[1.0, 2.0])(*batch)
    with pytest.raises(DataError, match="4 prior"):
        loss.BalancedSoftmax([5, 5, 5, 5])(*batch)
