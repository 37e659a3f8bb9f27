"""The decisions that the ledger judges, and the instruments that judge them.

A decision changes what a fold trains on: it may drop rows, add grown rows, change weights or the loss. It sees the
training side of the fold and nothing else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np

from scarce.between import Between, nothing_between
from scarce.dataset import Array, Dataset, FoldView
from scarce.loss_spec import LossSpec
from scarce.probe import PLAIN, FittedProbe, LinearProbe, Projection, cross_val_probs

if TYPE_CHECKING:
    from scarce.synthesize.screen import Screened

REWEIGHTING = ("class_weight", "effective_number", "balanced_softmax", "focal", "threshold")
"""Decisions that exclude each other: each of them replaces the loss."""
PREFERRED = "rebalance.balanced_softmax"


@dataclass(frozen=True)
class TrainSet:
    """What a model is trained on.

    Attributes:
        rows: (n,) row numbers of the fold's training side; a row may occur more than once.
        weights: (n,) sample weights.
        loss: the loss.
        online: name of the augmentation policy that a network applies while training; None = none.
        between: virtual rows between two of the rows, each with weight 1.
    """

    rows: Array
    weights: Array
    loss: LossSpec = PLAIN
    online: str | None = None
    between: Between = field(default_factory=nothing_between)

    def only(self, mask: Array) -> TrainSet:
        """Return the set without the rows where the mask is False, and without what lies between one of those."""
        rows = self.rows[mask]
        return replace(self, rows=rows, weights=self.weights[mask], between=self.between.within(rows))

    def plus(self, rows: Array, weights: Array) -> TrainSet:
        """Return the set with rows added."""
        both = (np.concatenate([self.rows, rows]), np.concatenate([self.weights, weights]))
        return replace(self, rows=both[0], weights=both[1])


@dataclass(eq=False)
class Fold:
    """The training side of one fold as decisions see it.

    Attributes:
        train: all rows that may be used: real ones and the grown ones whose parents are all in train.
        points: (N, P) their projected features; the projection was fitted on the real rows.
        seed: of this fold.
    """

    train: Dataset
    points: Array
    projection: Projection
    seed: int
    memo: dict[Any, Any] = field(default_factory=dict)

    @property
    def n_classes(self) -> int:
        """K."""
        return len(self.train.schema.classes)

    @property
    def labels(self) -> Array:
        """(N,) codes."""
        return self.train["label"]

    def start(self) -> TrainSet:
        """Return the baseline: the labelled real rows as they are."""
        rows = np.flatnonzero((self.train["origin"] == "real") & (self.labels >= 0))
        weights = self.train["weight"][rows].astype(np.float64) if "weight" in self.train else np.ones(len(rows))
        return TrainSet(rows, weights)

    def grown(self, origin: str) -> Array:
        """Return the row numbers of grown rows of one origin."""
        return np.flatnonzero((self.train["origin"] == origin) & (self.labels >= 0))

    def counts(self, rows: Array) -> Array:
        """Return (K,) how many of the rows each class has."""
        return np.bincount(self.labels[rows], minlength=self.n_classes)

    def groups(self, rows: Array) -> Array | None:
        """Return the split groups of the rows, if there are any."""
        return self.train["split_group"][rows] if "split_group" in self.train else None


@final
@dataclass(frozen=True, kw_only=True)
class SetAsideLabelErrors:
    """Leave out training rows whose label the other rows contradict."""

    name: str = "clean.label_error"
    folds: int = 3

    def apply(self, given: TrainSet, fold: Fold) -> TrainSet:
        """Drop flagged rows; the probabilities come from cross-validation inside the training side."""
        key = ("flagged", self.folds)
        if key not in fold.memo:
            from scarce.audit.label_error import flag_label_errors

            rows = fold.start().rows
            labels = fold.labels[rows]
            probs = cross_val_probs(
                fold.points[rows], labels, fold.n_classes, groups=fold.groups(rows), folds=self.folds, seed=fold.seed,
                projection=Projection.identity(fold.points.shape[1]), workers=1,
            )  # fmt: skip
            flagged = np.zeros(len(fold.train), bool)
            flagged[rows] = flag_label_errors(labels, probs)
            fold.memo[key] = _spare_the_last(flagged, fold)
        return given.only(~fold.memo[key][given.rows])


@final
@dataclass(frozen=True, kw_only=True)
class DropRows:
    """Leave out training rows that an audit named, for example extra copies of a duplicate."""

    name: str
    ids: frozenset[str]

    def apply(self, given: TrainSet, fold: Fold) -> TrainSet:
        """Drop the rows."""
        ids = fold.train.ids[given.rows]
        return given.only(np.array([sample not in self.ids for sample in ids], bool))


@final
@dataclass(frozen=True, kw_only=True)
class Augment:
    """Add augmented copies; every class keeps the total weight it had."""

    name: str = "augment"
    policy: str = "natural"

    def apply(self, given: TrainSet, fold: Fold) -> TrainSet:
        """Add the copies and share each class's weight among its rows."""
        extra = fold.grown("augmented")
        more = given.plus(extra, np.ones(len(extra)))
        before = np.bincount(fold.labels[given.rows], given.weights, fold.n_classes)
        after = np.bincount(fold.labels[more.rows], more.weights, fold.n_classes)
        factor = np.divide(before, after, out=np.ones(fold.n_classes), where=after > 0)
        return replace(more, weights=more.weights * factor[fold.labels[more.rows]], online=self.policy)


@final
@dataclass(frozen=True, kw_only=True)
class Oversample:
    """Raise rare classes to a target count with augmented copies, then with repeats."""

    name: str = "rebalance.oversample"
    ratio: float = 3.0
    cap: int = 20
    policy: str = "natural"

    def apply(self, given: TrainSet, fold: Fold) -> TrainSet:
        """Add up to ``cap`` copies per original until majority : class is ``ratio``."""
        from scarce.rebalance.target import target_counts

        counts = fold.counts(given.rows)
        wanted = np.asarray(target_counts(counts, ratio=self.ratio, cap=self.cap)) - counts
        rng = np.random.default_rng([fold.seed, 31])
        pool = fold.grown("augmented")
        added = []
        for code in np.flatnonzero(wanted > 0):
            fresh = pool[fold.labels[pool] == code]
            own = given.rows[fold.labels[given.rows] == code]
            fresh = rng.permutation(fresh)[: wanted[code]]
            repeats = rng.choice(own, wanted[code] - len(fresh)) if len(own) else own
            added += [fresh, repeats]
        rows = np.concatenate([*added, np.zeros(0, np.int64)]).astype(np.int64)
        return replace(given.plus(rows, np.ones(len(rows))), online=given.online or self.policy)


@final
@dataclass(frozen=True, kw_only=True)
class Synthesize:
    """Add synthetic samples that pass the screens, which are fitted on the real rows of the fold's training side.

    Args:
        name: of the decision.
        screens: that judge on the fold's projected features; none = every sample enters.
        settings: parameters per screen.
        most_real: real rows of a class that the screens are fitted on.
    """

    name: str = "synthesize"
    screens: tuple[str, ...] = ()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    most_real: int = 500

    def apply(self, given: TrainSet, fold: Fold) -> TrainSet:
        """Add the synthetic rows whose parents are all in train and that are not refused."""
        rows = fold.grown("synthetic")
        if self.screens and len(rows):
            rows = rows[np.isin(fold.train.ids[rows], self.judge(fold).passed)]
        return given.plus(rows, np.ones(len(rows)))

    def judge(self, fold: Fold) -> Screened:
        """Return what the screens say of a fold's synthetic rows; they see nothing but its training side."""
        key = ("screened", self.name, self.screens)
        if key not in fold.memo:
            from scarce.synthesize import screen

            rng, real = np.random.default_rng([fold.seed, 47]), fold.start().rows
            labels = fold.labels[real]
            few = [rng.permutation(real[labels == code])[: self.most_real] for code in range(fold.n_classes)]
            rows = np.sort(np.concatenate([*few, fold.grown("synthetic")]))
            ds = replace(fold.train.take(rows), wide={"embedding.projected": fold.points[rows]})
            fold.memo[key] = screen.judge(
                ds.fold(ds.ids[ds["origin"] == "real"], ()), self.screens, settings=self.settings, seed=fold.seed
            )
        found: Screened = fold.memo[key]
        return found


@final
@dataclass(frozen=True, kw_only=True)
class Reweight:
    """Replace the loss: ``spec`` maps the (K,) counts of the training rows to a loss."""

    name: str
    spec: Callable[[Array], LossSpec]

    def apply(self, given: TrainSet, fold: Fold) -> TrainSet:
        """Set the loss from the counts that are trained on."""
        counts = np.bincount(fold.labels[given.rows], given.weights, fold.n_classes)
        counts += fold.counts(given.between.parents[:, 0])
        return replace(given, loss=self.spec(counts))


@final
@dataclass(frozen=True, kw_only=True)
class Interpolate:
    """Raise rare classes to a target count with virtual rows between neighbors in the space of the features (SMOTE).

    Nothing is copied: a row is two parents and a weight. Both parents are trained on. A class of one row stays as it
    is.

    Args:
        name: of the decision.
        ratio: largest class to any other.
        cap: most new rows for one that is there.
        neighbors: of the same class that a row is joined with one of.
    """

    name: str = "rebalance.smote"
    ratio: float = 3.0
    cap: int = 20
    neighbors: int = 5

    def apply(self, given: TrainSet, fold: Fold) -> TrainSet:
        """Add the virtual rows; parents and weights come from the fold's training side and its seed alone."""
        from scarce.rebalance.smote import Smote
        from scarce.rebalance.target import target_counts

        rows = np.unique(given.rows)
        rows = rows[fold.labels[rows] >= 0]
        counts = fold.counts(rows)
        wanted = np.asarray(target_counts(counts, ratio=self.ratio, cap=self.cap))
        goals = {int(code): int(wanted[code]) for code in np.flatnonzero((counts > 1) & (wanted > counts))}
        if not goals:
            return given
        smote = Smote(neighbors=self.neighbors, target_count=goals)  # type: ignore[arg-type]  # codes are the names
        made = smote.resample(fold.points[rows], fold.labels[rows], seed=fold.seed)
        return replace(given, between=Between(rows[made.parents], made.weight))


AnyDecision = SetAsideLabelErrors | DropRows | Augment | Oversample | Synthesize | Reweight | Interpolate


def combine(helped: Sequence[Any], gains: Mapping[str, float]) -> list[Any]:
    """Return what can stand together: one loss, one use of the augmented copies, one way to add rows of rare classes.

    The larger gain wins.

    Logit adjustment wins over other losses where it reaches three quarters of the best gain: on networks class weights
    are known to do less, or harm, at strong imbalance (Ren et al. 2020).
    """
    families = (
        tuple(f"rebalance.{name}" for name in REWEIGHTING), ("augment", "rebalance.oversample"),
        ("rebalance.oversample", "rebalance.smote"),
    )  # fmt: skip
    out = list(helped)
    for family in families:
        rivals = [decision for decision in out if decision.name in family]
        best = max(rivals, key=lambda decision: gains[decision.name], default=None)
        likely = next((decision for decision in rivals if decision.name == PREFERRED), None)
        if best is not None and likely is not None and gains[likely.name] >= 0.75 * gains[best.name]:
            best = likely
        out = [decision for decision in out if decision.name not in family or decision is best]
    return out


def train_set(fold: Fold, decisions: Sequence[Any]) -> TrainSet:
    """Return the training set after the decisions, in plan order."""
    given = fold.start()
    for decision in decisions:
        given = decision.apply(given, fold)
    return given


@dataclass(eq=False)
class ProbeInstrument:
    """Judges decisions with the linear probe on cached features.

    Args:
        embedding: the column that holds the features.
        probe: its settings.
    """

    embedding: str
    probe: LinearProbe = field(default_factory=LinearProbe)
    name: str = "linear_probe"
    workers: int | None = None
    _folds: dict[int, tuple[FoldView, Fold, Array]] = field(default_factory=dict, repr=False)

    def fold(self, view: FoldView, seed: int) -> tuple[Fold, Array]:
        """Return the prepared training side and the (n, P) points of the evaluation rows."""
        if id(view) not in self._folds:
            self._folds[id(view)] = (view, *fold_of_view(view, self.embedding, seed, self.probe.components))
        return self._folds[id(view)][1:]

    def probabilities(self, view: FoldView, decisions: Sequence[Any], *, seed: int) -> Array:
        """Return (n, K) probabilities of the evaluation rows."""
        fold, points = self.fold(view, seed)
        return self.fit(fold, train_set(fold, decisions)).predict_proba(points)

    def fit(self, fold: Fold, given: TrainSet) -> FittedProbe:
        """Fit the probe on projected points."""
        start, between = fold.memo.get("baseline"), given.between
        points, labels, weights = fold.points[given.rows], fold.labels[given.rows], given.weights
        if len(between):
            points = np.concatenate([points, between.points(fold.points)])
            labels = np.concatenate([labels, fold.labels[between.parents[:, 0]]])
            weights = np.concatenate([weights, np.ones(len(between))])
        fitted = self.probe.fit(
            points, labels, fold.n_classes, weights=weights, loss=given.loss,
            projection=Projection.identity(fold.points.shape[1]), start=start,
        )  # fmt: skip
        fold.memo.setdefault("baseline", fitted)
        return fitted


def fold_of_view(view: FoldView, embedding: str, seed: int, components: int) -> tuple[Fold, Array]:
    """Return the training side with features projected by what its real rows taught, and the evaluation points."""
    features = view.dataset[embedding]
    rows = view.train_rows[np.isfinite(features[view.train_rows]).all(1)]
    train = replace(view.dataset, wide={}).take(rows)
    real = (train["origin"] == "real") & (train["label"] >= 0)
    projection = Projection.fit(features[rows[real]], components=components)
    evaluation = np.nan_to_num(features[view.dataset.rows_of(view.eval_ids)])
    return Fold(train, projection(features[rows]), projection, seed), projection(evaluation)


def _spare_the_last(flagged: Array, fold: Fold) -> Array:
    """Unflag a class that would lose more than half of its rows: that says the model is weak, not the labels."""
    rows = fold.start().rows
    labels = fold.labels
    out = flagged.copy()
    for code in range(fold.n_classes):
        own = rows[labels[rows] == code]
        if len(own) and flagged[own].mean() > 0.5:
            out[own] = False
    return out


def describe(decision: Any) -> dict[str, Any]:
    """Return a decision's parameters as plain values for the lineage."""
    values = {item.name: getattr(decision, item.name) for item in dataclasses.fields(decision) if item.name != "spec"}
    return {key: sorted(value) if isinstance(value, frozenset) else value for key, value in values.items()}
