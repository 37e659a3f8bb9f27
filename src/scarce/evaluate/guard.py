"""What a model refuses to judge: chooses a detector of foreign samples and the thresholds that travel with the model.

Nothing here sees a test sample: detectors learn from training samples, thresholds come from samples that were held
back from training, and the foreign samples are given by the user or made from held-back pictures.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from scarce import registry
from scarce.dataset import Array, Dataset, Floats, FoldView, Ints
from scarce.errors import DataError
from scarce.evaluate._base import plain
from scarce.evaluate._foreign import foreign_pictures, foreign_rows
from scarce.evaluate.conformal import conformal_threshold
from scarce.evaluate.out_of_distribution import AbstractDetector
from scarce.evaluate.out_of_distribution.detection import detection, sweep, threshold_keeping
from scarce.evaluate.out_of_distribution.knn import evenly
from scarce.metric.ranking import beside
from scarce.probe import fold_of

STAGE = "evaluate.out_of_distribution"
UNTRIED: Final = ("knn", "energy")
"""What is taken, in this order, where there are no foreign samples to choose a detector by."""
MOST = 5000
"""Training samples that detectors learn from, and held-back ones that thresholds are chosen on, at most."""
FEWEST = 20
MADE = 300
"""Foreign samples that are made where none are given."""
MAKERS: Final[dict[str, tuple[Callable[..., Dataset | None], str]]] = {
    "image": (foreign_pictures, "pictures: patches shuffled, phases scrambled, pictures woven, signs drawn"),
    "tabular": (foreign_rows, "rows: columns permuted independently, numbers beyond the range"),
}
"""How foreign samples of a kind of data are made, and what is said of it."""


class Guarded(Protocol):
    """A model that says what it saw: :class:`scarce.train.model.Model`."""

    card: dict[str, Any]
    held_out: tuple[Ints, Floats] | None
    held_ids: Array | None
    held_logits: Floats | None

    def answers(self, ds: Dataset) -> tuple[Floats, Floats | None]:
        """Return logits and features."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Known:
    """Samples of the known classes as a model sees them.

    Attributes:
        logits: (N, K).
        features: (N, D), or None.
        labels: (N,) codes in the model's order.
    """

    logits: Floats
    features: Array | None
    labels: Ints


@dataclass(frozen=True, eq=False, kw_only=True)
class Guard:
    """What is stored with a model.

    Attributes:
        unknown: the card's entry: ``detector``, ``params``, ``threshold`` (above it a sample is unknown), ``kept``
            (share of known samples that pass; less than asked for where few were held back), ``chosen_on``,
            ``foreign`` (what it was tried on), ``detectors`` (name to AUROC, FPR95 and cost) and ``sweep``. None where
            nothing was held back.
        ambiguous: the card's entry: ``threshold`` of the sets of classes, ``coverage``, ``chosen_on``; or None.
        arrays: the detector's state.
    """

    unknown: dict[str, Any] | None
    ambiguous: dict[str, Any] | None
    arrays: Mapping[str, Array]


def guard(  # noqa: PLR0913  one knob each
    model: Guarded, view: FoldView, *, foreign: Dataset | None = None, kept: float = 0.99, coverage: float = 0.95,
    seed: int = 0, ready: Callable[[Dataset], Dataset] | None = None,
) -> Guard:  # fmt: skip
    """Choose detector and thresholds on samples that were held back from training.

    Args:
        model: a model that kept ``held_ids`` and ``held_logits`` when it was trained.
        view: the fold that it was trained on; the evaluation side is not looked at.
        foreign: samples of none of the classes, not of the test; None = made from held-back samples: of pictures
            patches are shuffled, phases scrambled, two woven together, signs drawn; of tables columns are permuted
            independently and numbers moved beyond the range; of other data none are made.
        kept: share of known samples that shall not be called unknown, in (0, 1).
        coverage: share of samples whose set of classes shall hold the truth, in (0, 1).
        seed: of the made samples.
        ready: adds features to foreign samples before the model sees them, for example those that were kept.
    """
    ambiguous = _ambiguous(model, coverage)
    learned, tried = _known(model, view, seed)
    if learned is None or tried is None:
        return Guard(unknown=None, ambiguous=ambiguous, arrays={})
    said, others = _others(model, view, foreign, (seed, ready or (lambda ds: ds)))
    only = None if others is not None else UNTRIED  # nothing could choose among all
    detectors = fitted(learned, settings_of(model.card), names=only)
    scores = {name: one.score(tried.features, tried.logits) for name, one in detectors.items()}
    table: dict[str, dict[str, Any]] = {}
    if others is not None:
        right = tried.logits.argmax(1) == tried.labels
        for name, one in detectors.items():
            table[name] = detection(scores[name], one.score(others.features, others.logits), right).to_json()
    best = max(table, key=lambda name: (table[name]["auroc"], -table[name]["fpr95"])) if table else (
        next(name for name in UNTRIED if name in detectors)
    )  # fmt: skip
    kept = min(kept, len(tried.labels) / (len(tried.labels) + 1))  # more than the highest score keeps is not shown
    threshold = beside(threshold_keeping(scores[best], kept), scores[best], above=True)
    unknown = {
        "detector": best, "params": detectors[best].params(), "threshold": threshold, "kept": kept,
        "chosen_on": f"{len(tried.labels)} samples held back from training", "foreign": said, "detectors": table,
        "sweep": sweep(tried.logits, tried.labels, others.logits) if others is not None else [],
    }  # fmt: skip
    return Guard(unknown=plain(unknown), ambiguous=ambiguous, arrays=detectors[best].state)


def settings_of(card: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return detector to its settings for the features of a model.

    ``features = "rows"`` are the columns of a table in units of their own. There it counts how far out a row lies, not
    its direction only, and whether it is far from all classes, not whether from one more than from others; marks of
    what training hardly saw weigh as much as they are unlikely, not without limit.
    """
    if card.get("features") != "rows":
        return {}
    return {"knn": {"direction": False, "least": 0.25}, "mahalanobis": {"relative": False, "least": 0.25}}


def fitted(
    known: Known, settings: Mapping[str, Mapping[str, Any]] | None = None, *, names: Sequence[str] | None = None
) -> dict[str, AbstractDetector]:  # fmt: skip
    """Return every detector that the samples allow, fitted, by name; those that need more samples are left out.

    Args:
        known: samples of the known classes.
        settings: detector to its settings where they are not the defaults; see :func:`settings_of`.
        names: of the detectors; None = all.
    """
    found = {}
    for name in names or registry.names(STAGE):
        kind = registry.load(STAGE, name, AbstractDetector)  # type: ignore[type-abstract]
        one = kind.from_params((settings or {}).get(name, {}))
        if not one.uses_features or known.features is not None:
            with suppress(DataError) if one.uses_features else nullcontext():
                found[name] = one.fit(known.features, known.logits, known.labels)
    return found


def known_of(model: Guarded, ds: Dataset) -> Known:
    """Return labelled samples as the model sees them; rows that it cannot judge are left out."""
    logits, features = model.answers(ds)
    good = np.isfinite(logits).all(1)
    if features is not None:
        good &= np.isfinite(features).all(1)
    codes = _codes(model, ds)
    good &= codes >= 0
    return Known(logits=logits[good], features=None if features is None else features[good], labels=codes[good])


def _codes(model: Guarded, ds: Dataset) -> Ints:
    """Return (N,) labels in the model's own class order."""
    names = list(model.card["classes"])
    place = np.array([*(names.index(name) if name in names else -1 for name in ds.schema.classes), -1], np.int64)
    return np.asarray(place[ds["label"]], np.int64)


def _ambiguous(model: Guarded, coverage: float) -> dict[str, Any] | None:
    """Return the threshold of the sets, half way to the next lower probability: no set loses a class by that."""
    if model.held_out is None or len(model.held_out[0]) < FEWEST:
        return None
    labels, probs = model.held_out
    cut = conformal_threshold(labels, probs, coverage=coverage)  # one of the probabilities: rounding must not decide
    return {
        "threshold": max(0.0, beside(cut, probs.ravel())), "coverage": coverage,
        "chosen_on": f"{len(labels)} samples held back from training",
    }  # fmt: skip


def _known(model: Guarded, view: FoldView, seed: int) -> tuple[Known | None, Known | None]:
    """Return samples to learn from, and samples that neither model nor detector was fitted on."""
    ids, logits = model.held_ids, model.held_logits
    if ids is None or logits is None or len(ids) < FEWEST:
        return None, None
    train = view.train
    groups = next((train[name] for name in ("split_group", "group") if name in train), np.full(len(train), None))
    held = train.rows_of(ids)
    if len(held) > len(train) / 2:  # out-of-fold answers about nearly all: a fifth of the groups is kept for choosing
        part = fold_of(train["label"][held], groups[held], 5, seed=seed) == 0
        held, logits, ids = held[part], logits[part], ids[part]
    if len(held) < FEWEST:
        return None, None
    shut = {group for group in groups[held].tolist() if group is not None}
    free = (train["origin"] == "real") & (train["label"] >= 0) & train["keep"].astype(bool)
    free[held] = False
    free &= ~np.array([group in shut for group in groups.tolist()], bool)
    rows = np.flatnonzero(free)
    if len(rows) < FEWEST:
        return None, None
    rows = rows[evenly(train["label"][rows], MOST)]
    few = np.sort(np.random.default_rng([seed, 0x6775]).permutation(len(held))[:MOST])
    seen = model.answers(train.take(held[few]))[1]
    tried = Known(logits=logits[few], features=seen, labels=_codes(model, train)[held[few]])
    good = np.isfinite(tried.logits).all(1) & (True if seen is None else np.isfinite(seen).all(1))
    tried = Known(
        logits=tried.logits[good], features=None if seen is None else seen[good], labels=tried.labels[good]
    )  # fmt: skip
    return known_of(model, train.take(rows)), tried


def _others(
    model: Guarded, view: FoldView, foreign: Dataset | None, made: tuple[int, Callable[[Dataset], Dataset]]
) -> tuple[str, Known | None]:
    """Return what the foreign samples are, and how the model sees them; ``made`` is the seed and what adds features."""
    seed, ready = made
    if foreign is not None:
        return "given", unlabelled(model, ready(foreign))
    how = MAKERS.get(str(model.card.get("modality", "image")))
    if how is None or model.held_ids is None:
        return "none: no foreign samples were given, so the detector is the default one", None
    make, what = how
    with tempfile.TemporaryDirectory(prefix="scarce-foreign-") as folder:
        ds = make(view.train, model.held_ids, Path(folder), count=MADE, seed=seed)
        found = None if ds is None else unlabelled(model, ready(ds))
    if found is None or not len(found.logits):
        return "none: no held-back sample could be opened", None
    return f"made from held-back {what}", found


def unlabelled(model: Guarded, ds: Dataset) -> Known:
    """Return samples without labels as the model sees them; what cannot be opened is left out."""
    ds = ds.take(ds["keep"].astype(bool))
    logits, features = model.answers(ds)
    good = np.isfinite(logits).all(1) & (True if features is None else np.isfinite(features).all(1))
    return Known(
        logits=logits[good], features=None if features is None else features[good],
        labels=np.full(int(good.sum()), -1, np.int64),
    )  # fmt: skip
