"""A network on the pixels and a linear head on features, averaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, FoldView, Ints, Mask
from scarce.errors import ConfigError
from scarce.extras import need
from scarce.loss_spec import LossSpec
from scarce.metric.calibration import fit_temperature
from scarce.probe import softmax
from scarce.train._base import AbstractTrainer, Setup, originals, training_rows
from scarce.train._named_loss import ClassWeights, LossName
from scarce.train._start import named_start
from scarce.train._validation import TRUSTED, free_of, group_names, held_back, learned_shares, shifting, verdict
from scarce.train.finetune import Finetune
from scarce.train.linear_probe import LinearProbe
from scarce.train.model import Model, base_card

WHO = "train.blend"
SHARES = np.linspace(0.0, 1.0, 21)
FEWEST = TRUSTED
"""With fewer held-back samples the two count alike."""


@final
@dataclass(frozen=True, kw_only=True)
class Blend(AbstractTrainer):
    """Average the log-probabilities of a network (finetune) and of a linear head on features (linear_probe).

    Use for small pictures and short budgets: the two err differently, and the average beats both, most clearly where
    the network had little time. Do not use where a prediction must be as cheap as one of them.

    Needs: pictures, and ``embedding.<encoder>`` (N, D); predicting on new files encodes them.
    Writes: a model. The share of the head is chosen on the samples that the network holds back, which a head fitted
    without them judges too: of the shares whose log loss is within one standard error of the best, the one nearest to
    a half. The head that is kept is fitted on all rows.
    Source: soft voting; the one-standard-error rule of Breiman et al. 1984.

    Args:
        embedding: column of the head, with or without ``embedding.``; None = the only one there is.
        share: of the head, in [0, 1]; None = chosen on held-back samples.
        loss: of both; a name or a specification.
        class_weights: of both, in place of the loss's: ``auto`` (inverse frequency) or one for each class.
        network, epochs, minutes, batch, augment, policy, validation, device, start: of the network, see finetune.
        l2, components: of the head, see linear_probe.
    """

    extra: ClassVar[str | None] = "train"
    modalities: ClassVar[tuple[str, ...]] = ("image",)
    needs: ClassVar[tuple[str, ...]] = ("embedding",)

    embedding: str | None = None
    share: float | None = None
    loss: LossSpec | LossName = "balanced_softmax"
    class_weights: ClassWeights | None = None
    network: str = "auto"
    epochs: int | None = None
    minutes: float | None = None
    batch: int = 64
    augment: Literal["light", "upright", "none"] = "light"
    policy: str | None = None
    validation: float = 0.1
    device: str = "auto"
    l2: float = 1e-3
    components: int = 256
    start: str = ""

    def __post_init__(self) -> None:
        """Refuse settings out of range, those of the two members included."""
        if self.share is not None and not 0 <= self.share <= 1:
            raise ConfigError(WHO, f"share = {self.share} is out of range", "it takes 0 to 1")
        self._members()

    def fit(self, view: FoldView, *, seed: int = 0, setup: Setup | None = None) -> Model:
        """Fit both on the training side of the fold."""
        need("torch", extra="train")
        setup = setup or Setup()
        train, (slow, fast) = view.train, self._members()
        rows = training_rows(train, setup, who=WHO).rows if setup.rows is None else np.asarray(setup.rows, np.int64)
        setup = replace(setup, rows=rows)
        held = held_back(train, share=self.validation, seed=seed)
        trial = self._head_without(view, fast, setup, held, seed)
        head = fast.fit(view, seed=seed, setup=setup)
        drawn = setup.online is not None or self.policy is not None or self.augment != "none"
        net = slow.fit(
            view, seed=seed, setup=replace(setup, rows=originals(train, train.ids[rows])) if drawn else setup
        )
        card = base_card(view, "blend", named_start(self.params()), seed=seed) | {
            "share": 0.5 if self.share is None else self.share, "scales": [net.temperature, 1.0],
            "loss": head.card["loss"], "absent_classes": head.card["absent_classes"],
            "fitted_rows": head.card["fitted_rows"], "fitted": head.card["fitted"],
            "held_back_rows": int(held.sum()), "members": {"finetune": net.card, "linear_probe": head.card},
        }  # fmt: skip
        card |= {"started_from": net.card["started_from"]} if self.start else {}
        model = BlendModel(card=card, net=net, head=head)
        if trial is None:
            return model
        counts = np.bincount(train["label"][rows], minlength=len(train.schema.classes)).astype(np.float64)
        return self._weighed(model, trial, train, held, learned_shares(counts, card["loss"]))

    def _weighed(self, model: BlendModel, trial: Model, train: Dataset, held: Mask, learned: Floats) -> BlendModel:
        """Return the model with the share, temperatures and threshold that the held-back samples ask for."""
        judged = train.take(np.flatnonzero(held))
        sides = model.net.logits(judged), trial.logits(judged)
        good = np.flatnonzero(np.isfinite(sides[1]).all(1))
        if not len(good):
            return model
        sides = sides[0][good], sides[1][good]
        labels, groups = judged["label"][good], group_names(judged)[good]
        shift = shifting(labels, learned)
        weights = None if shift is None else shift[1]
        trust = len(labels) / (len(labels) + TRUSTED)
        scales = [fit_temperature(side, labels, weights=weights) ** trust for side in sides]
        share = best_share(sides, scales, labels, weights) if self.share is None else self.share
        card = model.card | {"scales": scales, "share": share}
        logits = mixed(sides, scales, share)
        found, told = verdict(logits, labels, card, learned=learned, groups=groups)
        return replace(model, card={**card, **found}, held_out=told, held_ids=judged.ids[good], held_logits=logits)

    @classmethod
    def restore(cls, card: Mapping[str, Any], tensors: Mapping[str, Array]) -> Model:
        """Rebuild both members."""
        parts: dict[str, dict[str, Array]] = {"finetune": {}, "linear_probe": {}}
        for name, array in tensors.items():
            member, _, own = name.partition("/")
            parts[member][own] = array
        net = Finetune.restore(card["members"]["finetune"], parts["finetune"])
        head = LinearProbe.restore(card["members"]["linear_probe"], parts["linear_probe"])
        return BlendModel(card=dict(card), net=net, head=head)

    def _members(self) -> tuple[Finetune, LinearProbe]:
        slow = Finetune(
            network=self.network, epochs=self.epochs, minutes=self.minutes, batch=self.batch, loss=self.loss,
            class_weights=self.class_weights,
            augment=self.augment, policy=self.policy, validation=self.validation, device=self.device,
            start=self.start,
        )  # fmt: skip
        fast = LinearProbe(
            embedding=self.embedding, loss=self.loss, class_weights=self.class_weights, l2=self.l2,
            components=self.components, folds=0,
        )  # fmt: skip
        return slow, fast

    def _head_without(self, view: FoldView, fast: LinearProbe, setup: Setup, held: Mask, seed: int) -> Model | None:
        """Return a head that has not seen the held-back samples; None where nothing is held back."""
        if not held.any() or setup.rows is None:
            return None
        free = free_of(view.train, held)[setup.rows]
        weights = None if setup.weights is None else np.asarray(setup.weights)[free]
        return fast.fit(view, seed=seed, setup=replace(setup, rows=setup.rows[free], weights=weights))


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class BlendModel(Model):
    """A network and a linear head whose log-probabilities are averaged."""

    net: Model
    head: Model

    def logits(self, ds: Dataset) -> Floats:
        """Return (N, K) averaged log-probabilities; set-aside rows are NaN."""
        return mixed((self.net.logits(ds), self.head.logits(ds)), self.card["scales"], float(self.card["share"]))

    def answers(self, ds: Dataset) -> tuple[Floats, Floats | None]:
        """Return averaged log-probabilities and the features of the network."""
        net, features = self.net.answers(ds)
        return mixed((net, self.head.logits(ds)), self.card["scales"], float(self.card["share"])), features

    def tensors(self) -> dict[str, Array]:
        """Return the weights of both."""
        sides = {"finetune": self.net, "linear_probe": self.head}
        return {f"{member}/{name}": array for member, one in sides.items() for name, array in one.tensors().items()}


def mixed(sides: tuple[Floats, Floats], scales: list[float], share: float) -> Floats:
    """Return (N, K) averaged log-probabilities of network and head.

    Args:
        sides: (N, K) logits of the network and of the head.
        scales: their temperatures.
        share: of the head.
    """
    from scipy.special import log_softmax

    net, head = (log_softmax(side / scale, axis=1) for side, scale in zip(sides, scales, strict=True))
    return np.asarray((1 - share) * net + share * head, np.float64)


def best_share(sides: tuple[Floats, Floats], scales: list[float], labels: Ints, weights: Floats | None) -> float:
    """Return the share of the head nearest to a half whose log loss is within one standard error of the best.

    Args:
        sides: (N, K) logits of network and head, of samples that neither was fitted on.
        scales: their temperatures.
        labels: (N,) codes.
        weights: (N,) sample weights, mean 1; None = alike.
    """
    if len(labels) < FEWEST:
        return 0.5
    own = np.arange(len(labels)), labels
    weight = np.ones(len(labels)) if weights is None else weights
    costs = np.stack([
        -weight * np.log(np.maximum(softmax(mixed(sides, scales, share))[own], 1e-12)) for share in SHARES.tolist()
    ])  # fmt: skip
    best = costs[costs.mean(1).argmin()]
    excess = costs - best
    error = excess.std(1, ddof=1) / np.sqrt(len(labels))
    near = SHARES[excess.mean(1) <= error + 1e-9]
    return float(near[np.abs(near - 0.5).argmin()])
