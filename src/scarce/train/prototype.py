"""One mean picture of each class in feature space: the model of the first minute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, FoldView, Ints
from scarce.errors import TrainError
from scarce.train._base import AbstractTrainer, Setup, TrainRows, refuse_out_of_range, training_rows
from scarce.train._folds import absent, calibrated, far_below
from scarce.train.linear_probe import PREFIX, embedding_name, encoder_params, features_of
from scarce.train.model import Model, base_card

WHO = "train.prototype"


@final
@dataclass(frozen=True, kw_only=True)
class Prototype(AbstractTrainer):
    """Answer with the class whose mean feature is nearest by angle; one sample a class is enough.

    Use in the first minute, with one to five samples a class. Do not use where classes have several looks, or from some
    ten samples a class on: take linear_probe.

    Needs: ``embedding.<encoder>`` (N, D); predicting on new files encodes them.
    Writes: a model; a class counts as much as any other, however rare. Temperature and threshold come from out-of-fold
    answers of whole groups.
    Source: Snell, Swersky and Zemel 2017 (prototypical networks), Wang et al. 2019 (SimpleShot: centred, length 1).

    Args:
        embedding: the column, with or without ``embedding.``; None = the only one there is.
        shrink: samples of the overall mean that each class mean is pulled by; 0 = not.
        scale: what cosines are multiplied by before they are calibrated.
        folds: of the cross-validation that calibrates; 0 = do not calibrate.
    """

    needs: ClassVar[tuple[str, ...]] = ("embedding",)

    embedding: str | None = None
    shrink: float = 0.0
    scale: float = 10.0
    folds: int = 5

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        refuse_out_of_range(WHO, self, {"shrink": (0.0, 1e9), "scale": (1e-6, 1e6), "folds": (0, 100)})

    def fit(self, view: FoldView, *, seed: int = 0, setup: Setup | None = None) -> Model:
        """Average the training side of the fold; a loss in the setup changes nothing, since nothing is descended."""
        train = view.train
        name = embedding_name(train, self.embedding)
        features = np.asarray(train[name], np.float32)
        used = training_rows(train, setup or Setup(), who=WHO)
        used = used.only(np.asarray(np.isfinite(features[used.rows]).all(axis=1)))
        if len(np.unique(used.codes)) < 2:
            raise TrainError(WHO, f"fewer than two classes have rows with {name}", do="encode the dataset first")
        card = base_card(view, "prototype", self.params(), seed=seed) | {
            "embedding": name, "encoder": name.removeprefix(PREFIX), "dimensions": int(features.shape[1]),
            "encoder_params": encoder_params(view.dataset, name.removeprefix(PREFIX)), "loss": {"prior": None},
            "absent_classes": absent(train.schema.classes, used), **used.told(train),
        }  # fmt: skip
        model = PrototypeModel(card=card, means=self._means(features, used))

        def judge(inside: TrainRows, judged: Ints) -> Floats:
            return self._means(features, inside).logits(features[judged], self.scale)

        return calibrated(model, view, used, judge, folds=self.folds, seed=seed)

    def _means(self, features: Floats, used: TrainRows) -> Means:
        rows = features[used.rows].astype(np.float64)
        share = used.soft * used.weights[:, None]
        total = share.sum(0)
        overall = np.average(rows, axis=0, weights=used.weights)
        means = (share.T @ rows + self.shrink * overall) / np.maximum(total + self.shrink, 1e-12)[:, None]
        middle = means[total > 0].mean(0)
        spread = np.maximum(rows.std(0), 1e-6)
        centred = (means - middle) / spread
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        return Means(middle, spread, np.where(total[:, None] > 0, centred / np.maximum(length, 1e-12), np.nan))

    @classmethod
    def restore(cls, card: Mapping[str, Any], tensors: Mapping[str, Array]) -> Model:
        """Rebuild the model."""
        means = Means(tensors["middle"], tensors["spread"], tensors["means"])
        if len(means.means) != len(card["classes"]):
            raise KeyError(f"{len(means.means)} classes in the weights, {len(card['classes'])} in the card")
        return PrototypeModel(card=dict(card), means=means)


@dataclass(frozen=True, eq=False)
class Means:
    """Prototypes.

    Attributes:
        middle: (D,) mean of the class means; ``spread`` (D,) deviation of the training rows.
        means: (K, D) of length 1 around the middle; NaN for a class without training samples.
    """

    middle: Floats
    spread: Floats
    means: Floats

    def logits(self, features: Floats, scale: float) -> Floats:
        """Return (N, K) cosines times ``scale``."""
        rows = (features.astype(np.float64) - self.middle) / self.spread
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        gone = np.flatnonzero(np.isnan(self.means).any(1))
        return far_below(scale * rows @ np.nan_to_num(self.means).T, gone)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class PrototypeModel(Model):
    """Class means on the features of an encoder."""

    means: Means

    def logits(self, ds: Dataset) -> Floats:
        """Return (N, K); rows without features are encoded first, set-aside ones are NaN."""
        features = features_of(ds, self.card)
        out = np.full((len(ds), len(self.classes)), np.nan)
        good = np.isfinite(features).all(1)
        out[good] = self.means.logits(features[good], float(self.card["params"]["scale"]))
        return out

    def tensors(self) -> dict[str, Array]:
        """Return the prototypes."""
        return {"middle": self.means.middle, "spread": self.means.spread, "means": self.means.means}
