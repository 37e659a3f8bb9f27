"""Monte Carlo dropout: doubt of the model about itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, final

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError
from scarce.label.query._arrays import checked_features
from scarce.label.query._base import AbstractQuery, Pool
from scarce.label.query.entropy import entropy_utility

SUPPORTED: Final = (
    "the linear probe (dropout of features)",
    "linear classifiers with coef_ and intercept_, such as LogisticRegression (dropout of features)",
    "torch modules with dropout layers that return logits",
)
"""Models that can be asked with dropout."""
COPIES, BLOCK = 4, 1 << 15


def predictive_entropy_utility(probs: Array) -> Floats:
    """Return (N,) entropy of the mean prediction over log K, in [0, 1]: 1 = ask first.

    Args:
        probs: (T, N, K) probabilities of T passes.

    Raises:
        DataError: another shape, or rows that are no probabilities.
    """
    return entropy_utility(_passes(probs).mean(axis=0, dtype=np.float32))


def bald_utility(probs: Array) -> Floats:
    """Return (N,) information that a label would give about the model, over log K, in [0, 1]: 1 = ask first.

    The entropy of the mean prediction minus the mean entropy of the predictions: large where passes are sure and
    contradict one another, small where all of them see a toss-up.

    Args:
        probs: (T, N, K) probabilities of T passes.

    Raises:
        DataError: another shape, or rows that are no probabilities.

    Source: Houlsby et al. 2011; Gal, Islam and Ghahramani 2017.
    """
    passes = _passes(probs)
    expected = np.zeros(passes.shape[1])
    for one in passes:
        expected += entropy_utility(one)
    return np.clip(predictive_entropy_utility(passes) - expected / len(passes), 0, 1)


def _passes(probs: Array) -> Array:
    found = np.asarray(probs)
    if found.ndim != 3 or not len(found):
        raise DataError("label.query.mc_dropout", f"probs have shape {found.shape}", "wanted is (T, N, K)")
    return found


def dropout_probs(model: Any, features: Array, *, passes: int = 20, rate: float = 0.2, seed: int) -> Floats:
    """Return (T, N, K) float32 probabilities of T passes, each with other parts of the model left out.

    For the linear models one pass leaves the same features out for all rows: it is one drawn model.

    Args:
        model: one of :data:`SUPPORTED`, fitted.
        features: (N, D) what it takes.
        passes: T.
        rate: chance that a feature is left out; a torch module has its own rates.
        seed: of the draws.

    Raises:
        DataError: the model has nothing that could be left out, or passes or rate make no sense.
    """
    if passes < 2 or not 0 < rate < 1:
        raise DataError(
            "label.query.mc_dropout",
            f"passes = {passes} and rate = {rate}",
            "passes >= 2 and 0 < rate < 1 are possible",
        )
    if hasattr(model, "named_modules"):
        return _torch_probs(model, features, passes=passes, seed=seed)
    rows, coef, bias = _linear(model, checked_features(features))
    rng = np.random.default_rng(seed)
    out = np.empty((passes, len(rows), coef.shape[1]), np.float32)
    for place in range(passes):
        kept = (rng.random(len(coef)) >= rate) / (1 - rate)
        out[place] = _softmax(rows @ (coef * kept[:, None]).astype(np.float32) + bias)
    return out


def _linear(model: Any, features: Array) -> tuple[Array, Array, Array]:
    """Return (N, P) inputs, (P, K) weights and (K,) bias of a linear model."""
    if hasattr(model, "projection"):
        return model.projection(features), model.coef, model.bias.astype(np.float32)
    if not hasattr(model, "coef_") or not hasattr(model, "intercept_"):
        raise DataError(
            "label.query.mc_dropout", f"{type(model).__name__} has nothing that could be left out",
            f"supported are {'; '.join(SUPPORTED)}", "pass one of these, or take margin or entropy",
        )  # fmt: skip
    coef, bias = np.asarray(model.coef_, np.float32).T, np.asarray(model.intercept_, np.float32)
    if coef.shape[1] == 1:  # two classes, one logit
        coef, bias = np.column_stack([np.zeros_like(coef), coef]), np.array([0, bias[0]], np.float32)
    return np.asarray(features, np.float32), coef, bias


def _softmax(logits: Array) -> Array:
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits


def _torch_probs(model: Any, features: Array, *, passes: int, seed: int) -> Floats:
    """Ask a torch module with its dropout layers awake; all else stays as in evaluation."""
    import torch

    layers = [part for _, part in model.named_modules() if "Dropout" in type(part).__name__]
    if not layers:
        raise DataError(
            "label.query.mc_dropout", f"{type(model).__name__} has no dropout layer",
            f"supported are {'; '.join(SUPPORTED)}", "add dropout and train again, or take margin or entropy",
        )  # fmt: skip
    was = model.training
    model.eval()
    for layer in layers:
        layer.train()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            rows = torch.as_tensor(np.asarray(features, np.float32))
            drawn = [torch.cat([model(part) for part in torch.split(rows, 1024)]).softmax(1) for _ in range(passes)]
        return np.asarray(torch.stack(drawn).float().numpy())
    finally:
        model.train(was)


def fit_dropout_probe(features: Array, codes: Ints, n_classes: int, *, rate: float = 0.2, seed: int) -> Any:
    """Return a linear probe fitted with dropout of features: on several copies of each row, each with other gaps.

    Args:
        features: (N, D) of labeled rows.
        codes: (N,) class codes.
        n_classes: K.
        rate: chance that a feature is left out.
        seed: of the draws.
    """
    from scarce.probe import FittedProbe, LinearProbe, Projection

    projection = Projection.fit(np.asarray(features, np.float32), components=192)
    rows = projection(np.asarray(features, np.float32))
    rng = np.random.default_rng(seed)
    copies = np.concatenate([rows * ((rng.random(rows.shape) >= rate) / (1 - rate)) for _ in range(COPIES)])
    inner = LinearProbe().fit(
        copies.astype(np.float32), np.tile(codes, COPIES), n_classes, projection=Projection.identity(rows.shape[1])
    )
    return FittedProbe(projection, inner.coef, inner.bias)


@final
@dataclass(frozen=True, kw_only=True)
class McDropout(AbstractQuery):
    """Ask first about samples on which passes with dropout disagree (BALD), or whose mean prediction is spread.

    Use when some doubt cannot be helped (blurred, between two classes): BALD leaves it alone.
    Do not use with a model that has nothing to leave out. Supported: the linear probe, linear classifiers of
    scikit-learn, torch modules with dropout layers.
    Needs: embedding (N, D) and labels of two classes.
    Source: Gal and Ghahramani 2016; Gal, Islam and Ghahramani 2017.

    Args:
        score: ``bald`` or ``predictive_entropy``.
        passes: T.
        rate: chance that a feature of a linear model is left out.
        seed: of the draws.
    """

    needs: ClassVar[tuple[str, ...]] = ("embedding", "pred_probs")
    score: Literal["bald", "predictive_entropy"] = "bald"
    passes: int = 20
    rate: float = 0.2
    seed: int = 0

    def probs(self, pool: Pool) -> Iterator[Floats]:
        """Yield (T, n, K) probabilities of the candidates, some thousands at a time, all of the same T models."""
        model = self._model(pool)
        for start in range(0, len(pool.candidates), BLOCK):
            rows = pool.features[pool.candidates[start : start + BLOCK]]
            yield dropout_probs(model, rows, passes=self.passes, rate=self.rate, seed=self.seed)

    def utility(self, pool: Pool) -> Floats:
        """Return (M,) in [0, 1]; 1 = ask first."""
        judge = bald_utility if self.score == "bald" else predictive_entropy_utility
        return np.concatenate([np.zeros(0), *(judge(part) for part in self.probs(pool))])

    def _model(self, pool: Pool) -> Any:
        if pool.model is not None and not hasattr(pool.model, "projection"):
            return pool.model
        codes = pool.labels[pool.labeled]
        if len(np.unique(codes)) < 2:
            pool.probs  # noqa: B018  says what is missing
        k = max(len(pool.classes), int(codes.max()) + 1)
        return fit_dropout_probe(pool.features[pool.labeled], codes, k, rate=self.rate, seed=self.seed)

    def say(self, pool: Pool, rows: Ints, value: Floats) -> list[str]:
        """Return the reasons."""
        how = "contradict one another" if self.score == "bald" else "are undecided"
        k = max(len(pool.classes), 2)
        return [
            f"{self.passes} passes with dropout {how} ({gain * math.log2(k):.2f} of {math.log2(k):.2f} bits); "
            f"most likely {pool.likely(row)}"
            for row, gain in zip(rows, value, strict=True)
        ]
