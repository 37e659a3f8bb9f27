"""The losses by name: from the counts of the training rows to a specification."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Literal, TypeAlias

import numpy as np

from scarce.dataset import Floats
from scarce.errors import TrainError
from scarce.loss_spec import LossSpec

LossName: TypeAlias = Literal[
    "cross_entropy", "class_weight", "class_balanced", "class_balanced_focal", "focal", "balanced_softmax",
    "logit_adjustment", "ldam", "ldam_drw", "deferred", "label_smoothing", "generalized_cross_entropy",
    "symmetric_cross_entropy",
]  # fmt: skip
ClassWeights: TypeAlias = Literal["auto"] | tuple[float, ...]
BETA: Final = 0.999
"""Of the effective number."""
LATE_BETA: Final = 0.9999
"""Of the effective number in deferred re-weighting (Cao et al. 2019)."""
LATE: Final = 0.8
"""Share of the training before deferred weights (epoch 160 of 200 in Cao et al. 2019)."""
MARGIN, SCALE = 0.5, 30.0
"""Of LDAM: largest margin between cosines, and what cosines are multiplied with."""


def loss_of(
    loss: LossSpec | LossName, counts: Floats, *, tau: float = 1.0, gamma: float = 2.0,
    class_weights: ClassWeights | None = None,
) -> LossSpec:  # fmt: skip
    """Return the loss of a name for (K,) training counts; a specification stays as it is.

    Args:
        loss: ``class_weight`` is inverse frequency; ``class_balanced`` the effective number; ``deferred`` plain
            cross-entropy that is weighted late; ``ldam_drw`` LDAM that is weighted late; ``logit_adjustment`` and
            ``balanced_softmax`` add the prior, the former with strength ``tau``.
        counts: (K,) weighted samples; classes without one get weight 0, the prior of half a sample, and no margin.
        tau: strength of balanced softmax and logit adjustment.
        gamma: exponent of focal.
        class_weights: replace the loss's own; ``auto`` is inverse frequency.

    Raises:
        TrainError: weights for another number of classes.
    """
    counts = np.asarray(counts, np.float64)
    spec = loss if isinstance(loss, LossSpec) else _BY_NAME[loss](counts, tau, gamma)
    if class_weights is None:
        return spec
    weights = tuple(inverse(counts) if class_weights == "auto" else class_weights)
    if len(weights) != len(counts):
        raise TrainError("train", f"{len(weights)} class weights", f"there are {len(counts)} classes",
                         "give one weight for each, in the order of the classes, or auto")  # fmt: skip
    return replace(spec, class_weights=tuple(float(weight) for weight in weights))


def inverse(counts: Floats) -> tuple[float, ...]:
    """Return (K,) inverse frequencies, 1 on average over the samples; a class without one weighs 0."""
    return _weights(counts, counts)


def effective(counts: Floats, beta: float) -> tuple[float, ...]:
    """Return (K,) weights by the effective number of samples (Cui et al. 2019), 1 on average over the samples."""
    return _weights(counts, (1 - beta**counts) / (1 - beta))


def prior_of(counts: Floats, tau: float) -> tuple[float, ...]:
    """Return (K,) ``tau * log`` of the classes' shares."""
    shares = np.maximum(counts, 0.5) / np.maximum(counts, 0.5).sum()
    return tuple((tau * np.log(shares)).tolist())


def margins_of(counts: Sequence[float] | Floats, *, largest: float = MARGIN, scale: float = SCALE) -> tuple[float, ...]:
    """Return (K,) margins in logits, in proportion to ``count ** -1/4``; that of the rarest class is the largest.

    Source: Cao, Wei, Gaidon, Arechiga and Ma 2019, LDAM, equation 13.
    """
    values = np.asarray(counts, np.float64)
    root = np.divide(1.0, values**0.25, out=np.zeros_like(values), where=values > 0)
    return tuple((scale * largest * root / root.max()).tolist())


def _weights(counts: Floats, size: Floats) -> tuple[float, ...]:
    weights = np.divide(1.0, size, out=np.zeros_like(counts), where=counts > 0)
    weights *= counts.sum() / (weights * counts).sum()
    return tuple(weights.tolist())


_BY_NAME: Final[dict[str, Callable[[Floats, float, float], LossSpec]]] = {
    "cross_entropy": lambda _n, _t, _g: LossSpec(),
    "class_weight": lambda n, _t, _g: LossSpec(class_weights=inverse(n)),
    "class_balanced": lambda n, _t, _g: LossSpec(class_weights=effective(n, BETA)),
    "class_balanced_focal": lambda n, _t, g: LossSpec(kind="focal", gamma=g, class_weights=effective(n, BETA)),
    "focal": lambda _n, _t, g: LossSpec(kind="focal", gamma=g, alpha=0.25),
    "balanced_softmax": lambda n, t, _g: LossSpec(prior=prior_of(n, t)),
    "logit_adjustment": lambda n, t, _g: LossSpec(prior=prior_of(n, t)),
    "ldam": lambda n, _t, _g: LossSpec(kind="ldam", margins=margins_of(n)),
    "ldam_drw": lambda n, _t, _g: LossSpec(
        kind="ldam", margins=margins_of(n), class_weights=effective(n, LATE_BETA), deferred=LATE
    ),
    "deferred": lambda n, _t, _g: LossSpec(class_weights=effective(n, LATE_BETA), deferred=LATE),
    "label_smoothing": lambda _n, _t, _g: LossSpec(smoothing=0.1),
    "generalized_cross_entropy": lambda _n, _t, _g: LossSpec(kind="generalized_cross_entropy"),
    "symmetric_cross_entropy": lambda _n, _t, _g: LossSpec(kind="symmetric_cross_entropy"),
}
