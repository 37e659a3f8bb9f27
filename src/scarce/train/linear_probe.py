"""The linear probe on cached features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from scarce import probe as probes
from scarce import registry
from scarce.between import Between, nothing_between
from scarce.dataset import Array, Dataset, Floats, FoldView, Ints
from scarce.errors import TrainError
from scarce.loss_spec import LossSpec
from scarce.train._base import AbstractTrainer, Setup, TrainRows, training_rows
from scarce.train._folds import absent, calibrated
from scarce.train._named_loss import ClassWeights, LossName, loss_of
from scarce.train.model import Model, base_card

if TYPE_CHECKING:
    from scarce.encode import FeatureCache

WHO = "train.linear_probe"
PREFIX = "embedding."


@final
@dataclass(frozen=True, kw_only=True)
class LinearProbe(AbstractTrainer):
    """A linear head on cached features, fitted in seconds.

    Use for the first minute, for few samples, and as the ledger's instrument. Do not use where the encoder cannot see
    the difference (28 pixel pictures, defects of a few pixels): finetune a network.

    Needs: ``embedding.<encoder>`` (N, D); predicting on new files encodes them.
    Writes: a model; its temperature and threshold come from out-of-fold probabilities of whole groups.

    Args:
        embedding: the column, with or without ``embedding.``; None = the only one there is.
        loss: a name, or a specification; those that bend with the answers are for networks.
        class_weights: replace those of the loss: ``auto`` (inverse frequency) or one for each class.
        l2: weight decay > 0.
        iterations: of L-BFGS.
        components: principal components kept.
        folds: of the cross-validation that calibrates; 0 = do not calibrate.
    """

    needs: ClassVar[tuple[str, ...]] = ("embedding",)

    embedding: str | None = None
    loss: LossSpec | LossName = "cross_entropy"
    class_weights: ClassWeights | None = None
    l2: float = 1e-3
    iterations: int = 80
    components: int = 256
    folds: int = 5

    def fit(self, view: FoldView, *, seed: int = 0, setup: Setup | None = None) -> Model:
        """Fit on all rows of the training side; rows without features are left out."""
        setup = setup or Setup()
        train = view.train
        name = embedding_name(train, self.embedding)
        features = np.asarray(train[name], np.float32)
        used = training_rows(train, setup, who=WHO)
        used = used.only(np.asarray(np.isfinite(features[used.rows]).all(axis=1)))
        if len(np.unique(used.codes)) < 2:
            raise TrainError(WHO, f"fewer than two classes have rows with {name}", do="encode the dataset first")
        spec = setup.loss or loss_of(self.loss, used.counts, class_weights=self.class_weights)
        between = (setup.between or nothing_between()).within(used.rows)
        fitted = self._fit(features, used, spec, between)
        card = base_card(view, "linear_probe", self.params(), seed=seed)
        card |= {
            "embedding": name, "encoder": name.removeprefix(PREFIX), "dimensions": int(features.shape[1]),
            "encoder_params": encoder_params(view.dataset, name.removeprefix(PREFIX)),
            "loss": asdict(spec),
            "absent_classes": absent(train.schema.classes, used), **used.told(train),
            "virtual_rows": _counted(between, train) if len(between) else {},
        }  # fmt: skip
        model = ProbeModel(card=card, fitted=fitted)

        def judge(inside: TrainRows, judged: Ints) -> Floats:
            return self._fit(features, inside, spec, between.within(inside.rows)).logits(features[judged])

        return calibrated(model, view, used, judge, folds=self.folds, seed=seed)

    def _fit(self, features: Array, used: TrainRows, spec: LossSpec, between: Between) -> probes.FittedProbe:
        probe = probes.LinearProbe(l2=self.l2, iterations=self.iterations, components=self.components)
        points, soft, weights = features[used.rows], used.soft, used.weights
        projection = probes.Projection.fit(points, components=self.components)
        if len(between):
            first = dict(zip(used.rows.tolist(), range(len(used.rows)), strict=True))
            own = [first[row] for row in between.parents[:, 0].tolist()]
            points = np.concatenate([points, between.points(features)])
            soft = np.concatenate([soft, soft[own]])
            weights = np.concatenate([weights, np.ones(len(between))])
        return probe.fit(points, soft, soft.shape[1], weights=weights, loss=spec, projection=projection)

    @classmethod
    def restore(cls, card: Mapping[str, Any], tensors: Mapping[str, Array]) -> Model:
        """Rebuild the model."""
        projection = probes.Projection(tensors["mean"], tensors["scale"], tensors["basis"])
        fitted = probes.FittedProbe(projection, tensors["coef"], tensors["bias"])
        if fitted.coef.shape[1] != len(card["classes"]):
            raise KeyError(f"{fitted.coef.shape[1]} classes in the weights, {len(card['classes'])} in the card")
        return ProbeModel(card=dict(card), fitted=fitted)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class ProbeModel(Model):
    """A linear head on the features of an encoder."""

    fitted: probes.FittedProbe

    def logits(self, ds: Dataset) -> Floats:
        """Return (N, K); rows without features are encoded first, set-aside ones are NaN."""
        return self.answers(ds)[0]

    def answers(self, ds: Dataset) -> tuple[Floats, Floats | None]:
        """Return logits and the encoder's features, (N, D)."""
        features = features_of(ds, self.card)
        out = np.full((len(ds), len(self.classes)), np.nan)
        good = np.isfinite(features).all(1)
        out[good] = self.fitted.logits(features[good])
        return out, features

    def tensors(self) -> dict[str, Array]:
        """Return projection and head."""
        head, projection = self.fitted, self.fitted.projection
        return {
            "mean": projection.mean, "scale": projection.scale, "basis": projection.basis, "coef": head.coef,
            "bias": head.bias,
        }  # fmt: skip


def _counted(between: Between, train: Dataset) -> dict[str, int]:
    """Return class to the number of virtual rows that it was given."""
    counts = np.bincount(train["label"][between.parents[:, 0]], minlength=len(train.schema.classes))
    return {name: int(n) for name, n in zip(train.schema.classes, counts, strict=True) if n}


def embedding_name(ds: Dataset, wanted: str | None) -> str:
    """Return the name of the feature column.

    Raises:
        TrainError: there is none, or the choice is not clear.
    """
    known = sorted(name for name in ds.wide if name.startswith(PREFIX))
    if wanted is not None:
        name = wanted if wanted.startswith(PREFIX) else PREFIX + wanted
        if name in known:
            return name
    if wanted is None and len(known) == 1:
        return known[0]
    what = f"there is no {wanted!r}" if wanted else "it is not clear which features to use"
    raise TrainError(WHO, what, f"there are {', '.join(known) or 'no features'}", "encode first, or name one")


def features_of(ds: Dataset, card: Mapping[str, Any]) -> Floats:
    """Return (N, D) float32 features that a model's card names; rows without them are encoded first.

    Raises:
        TrainError: the features that are there have another width.
    """
    name = str(card["embedding"])
    if name not in ds.wide:
        ds = encoded(ds, str(card["encoder"]), card["encoder_params"])
    features = np.asarray(ds[name], np.float32)
    if features.shape[1] != card["dimensions"]:
        raise TrainError(
            "model", f"{name} has {features.shape[1]} columns", f"the model knows {card['dimensions']}",
            "encode with the same encoder and size",
        )  # fmt: skip
    return features


def encoded(ds: Dataset, encoder: str, params: Mapping[str, Any], *, cache: FeatureCache | None = None) -> Dataset:
    """Return the dataset with features of its kept rows, made by that encoder with those parameters.

    What the cache knows is not opened; the rest is put into it.
    """
    from scarce import encode

    plugin = registry.load("encode", encoder, encode.AbstractEncoder)  # type: ignore[type-abstract]
    return encode.run(ds, plugin.from_params(params), cache=cache)


def with_own_features(model: Model, ds: Dataset, *, cache: FeatureCache) -> Dataset:
    """Return the dataset with the encoder's features that a model, or a member of it, asks for; as it is for others."""
    for card in (model.card, *model.card.get("members", {}).values()):
        if "embedding" in card and str(card["embedding"]) not in ds.wide:
            return encoded(ds, str(card["encoder"]), card["encoder_params"], cache=cache)
    return ds


def encoder_params(ds: Dataset, encoder: str) -> dict[str, Any]:
    """Return the parameters that the features were made with, as the lineage says."""
    steps = [step for step in ds.steps if step.stage == "encode" and step.name == encoder]
    return dict(steps[-1].params) if steps else {}
