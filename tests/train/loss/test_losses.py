from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional

from scarce.errors import DataError
from scarce.loss_spec import LossSpec
from scarce.train import loss
from scarce.train._named_loss import loss_of

COUNTS = (900, 90, 10)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(64, 3, generator=generator), torch.randint(0, 3, (64,), generator=generator)


def test_cross_entropy_is_torchs(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = batch
    torch.testing.assert_close(loss.CrossEntropy()(logits, target), functional.cross_entropy(logits, target))
    smooth = loss.CrossEntropy(label_smoothing=0.1)(logits, target)
    torch.testing.assert_close(smooth, functional.cross_entropy(logits, target, label_smoothing=0.1))
    soft = torch.rand(64, 3).softmax(1)
    torch.testing.assert_close(loss.CrossEntropy()(logits, soft), functional.cross_entropy(logits, soft))
    weights = torch.tensor([1.0, 2.0, 5.0])
    ours = loss.CrossEntropy(class_weights=weights.tolist())(logits, target) * 64
    torch.testing.assert_close(ours, functional.cross_entropy(logits, target, weights, reduction="sum"))


def test_focal_is_the_formula(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = batch
    p = logits.softmax(1)[torch.arange(64), target]
    torch.testing.assert_close(loss.Focal(gamma=2, alpha=0.25)(logits, target), (-0.25 * (1 - p) ** 2 * p.log()).mean())
    torch.testing.assert_close(loss.Focal(gamma=0, alpha=1)(logits, target), functional.cross_entropy(logits, target))


def test_balanced_softmax_is_the_formula(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = batch
    counts = torch.tensor(COUNTS, dtype=torch.float32)
    top = counts[target] * logits[torch.arange(64), target].exp()
    expected = -(top / (counts * logits.exp()).sum(1)).log().mean()
    torch.testing.assert_close(loss.BalancedSoftmax(COUNTS)(logits, target), expected)
    torch.testing.assert_close(
        loss.BalancedSoftmax(COUNTS, tau=0)(logits, target), functional.cross_entropy(logits, target)
    )


def test_class_balanced_weights_follow_the_effective_number() -> None:
    weights = loss.ClassBalanced(COUNTS, beta=0.99).class_weights
    assert weights is not None
    effective = (1 - 0.99 ** np.array(COUNTS)) / 0.01
    np.testing.assert_allclose(weights / weights[0], effective[0] / effective, rtol=1e-5)
    assert float((weights * torch.tensor(COUNTS)).sum() / sum(COUNTS)) == pytest.approx(1, rel=1e-5)
    inverse = loss.ClassBalanced(COUNTS, beta=0.9999999).class_weights
    assert inverse is not None
    np.testing.assert_allclose(inverse / inverse[0], np.array(COUNTS)[0] / np.array(COUNTS), rtol=1e-3)


def test_weights_act_like_repeated_samples(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = batch
    times = torch.randint(1, 4, (64,), generator=torch.Generator().manual_seed(1))
    for module in (loss.Focal(), loss.BalancedSoftmax(COUNTS), loss.ClassBalanced(COUNTS)):
        repeated = module(logits.repeat_interleave(times, 0), target.repeat_interleave(times))
        torch.testing.assert_close(module(logits, target, times.float()), repeated)


def test_names_and_modules_agree(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = batch
    counts = np.array(COUNTS, float)
    pairs = (("balanced_softmax", loss.BalancedSoftmax(COUNTS)), ("class_balanced", loss.ClassBalanced(COUNTS)),
             ("focal", loss.Focal()), ("cross_entropy", loss.CrossEntropy()))  # fmt: skip
    for name, module in pairs:
        ours = loss.ImbalanceLoss.from_spec(loss_of(name, counts))  # type: ignore[arg-type]
        torch.testing.assert_close(ours(logits, target), module(logits, target))


def test_the_probe_and_the_networks_mean_the_same_loss(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    """A linear model by L-BFGS in NumPy and by autograd ends in the same place for a mixed specification."""
    from scarce.probe import LinearProbe, Projection

    rng = np.random.default_rng(0)
    labels = rng.choice(3, 200, p=[0.7, 0.2, 0.1])
    features = (rng.normal(size=(200, 2)) + labels[:, None]).astype(np.float32)
    spec = LossSpec(kind="focal", gamma=1.5, class_weights=(0.5, 1.0, 3.0), prior=(-0.4, -1.6, -2.3))
    probe = LinearProbe(l2=0.01, iterations=500).fit(features, labels, 3, loss=spec, projection=Projection.identity(2))
    module = loss.ImbalanceLoss.from_spec(spec)
    coef = torch.tensor(probe.coef, dtype=torch.float64, requires_grad=True)
    bias = torch.tensor(probe.bias, dtype=torch.float64, requires_grad=True)
    logits = torch.tensor(features, dtype=torch.float64) @ coef + bias
    weights = torch.tensor(np.array(spec.class_weights)[labels], dtype=torch.float64)
    scale = float(weights.sum()) / 200
    total = module(logits, torch.tensor(labels)) / scale + 0.005 * (coef**2).sum()
    total.backward()
    assert coef.grad is not None
    assert float(coef.grad.abs().max()) < 2e-3


def test_counts_are_checked() -> None:
    with pytest.raises(DataError, match="not all 0"):
        loss.BalancedSoftmax([0, 0])
    with pytest.raises(DataError, match="counts"):
        loss.ClassBalanced([-1, 2])
    empty = loss.ClassBalanced([10, 0]).class_weights
    assert empty is not None
    assert empty[1] == 0


def test_weights_are_one_number_for_each_sample(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = batch
    weights = torch.ones(64)
    for module in (loss.CrossEntropy(), loss.Focal(), loss.ExpectedCost([[0, 1, 1], [2, 0, 2], [1, 1, 0]])):
        for bad in (weights[:, None], weights[:3], torch.tensor(1.0)):
            with pytest.raises(DataError, match=r"of shape \(64,\)"):
                module(logits, target, bad)
        with pytest.raises(DataError, match="a weight is negative"):
            module(logits, target, -weights)
        for odd in (float("nan"), float("inf")):
            with pytest.raises(DataError, match="a weight is not finite"):
                module(logits, target, torch.where(target > 0, weights, odd))


def test_logits_of_64_bits_keep_them(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = batch[0].double() * 3, batch[1]
    found = loss.CrossEntropy(class_weights=[1, 2, 5], label_smoothing=0.1)(logits, target)
    assert found.dtype == torch.float64
    every = (
        loss.BalancedSoftmax(COUNTS), loss.ClassBalanced(COUNTS), loss.ClassBalancedFocal(COUNTS), loss.CrossEntropy(),
        loss.Deferred(COUNTS), loss.ExpectedCost([[0, 1, 1], [2, 0, 2], [1, 1, 0]]), loss.Focal(), loss.Ldam(COUNTS),
        loss.GeneralizedCrossEntropy(), loss.LabelSmoothing(), loss.LogitAdjustment(COUNTS),
        loss.SymmetricCrossEntropy(),
    )  # fmt: skip
    for module in every:
        found = module(logits, target, torch.rand(64))
        assert found.dtype == torch.float64
        assert module(logits.float(), target).dtype == torch.float32
    mean = loss.CrossEntropy()(logits, target)
    assert float(mean) == pytest.approx(float(functional.cross_entropy(logits, target)), abs=1e-14)


def test_losses_are_listed_before_they_are_loaded() -> None:
    program = (
        "import sys; from scarce.train import loss; print(*dir(loss)); print(*(n for n in sys.modules if 'torch' in n))"
    )
    names, modules = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split("\n")[:2]
    assert set(loss.__all__) <= set(names.split())
    assert not modules
