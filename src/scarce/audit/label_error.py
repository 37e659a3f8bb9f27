"""Wrong labels, by confident learning and a noise model of our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal, NamedTuple, final

import numpy as np

from scarce.audit._base import AbstractCheck, Finding, Measurement, ds_embedding, finding
from scarce.audit._group import tied
from scarce.columns import sample_names
from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.errors import ConfigError, DataError, closest
from scarce.kin import COPIES

RULES: Final = (
    "adaptive", "prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given",
    "low_normalized_margin", "low_self_confidence",
)  # fmt: skip
METHODS: Final = ("self_confidence", "normalized_margin", "confidence_weighted_entropy", "entropy")
Rule = Literal[
    "adaptive", "prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given",
    "low_normalized_margin", "low_self_confidence",
]  # fmt: skip


class LabelJudgement(NamedTuple):
    """What the adaptive rule thinks of N labels.

    Attributes:
        wrong: (N,) probability that the given label is wrong; NaN where there is no label.
        suggested: (N,) likeliest other class; for an unlabelled row the likeliest class.
        rate, low, high: estimated share of wrong labels with a 95 % interval.
        noise: (K, K) probability of the given class (column) by true class (row).
        blind: (K,) bool: classes that the probabilities tell from the others hardly better than chance. Labels of
            these, and suggestions of them, are doubted at most by half, so that they are never flagged.
        sure: (N,) probability of the suggested class.
    """

    wrong: Floats
    suggested: Ints
    rate: float
    low: float
    high: float
    noise: Floats
    blind: Mask
    sure: Floats


def flag_label_errors(labels: Array, pred_probs: Array, *, rule: str = "adaptive", seed: int = 0) -> Mask:
    """Return (N,) bool: which given labels are probably wrong.

    Args:
        labels: (N,) given class codes; -1 = no label, never flagged.
        pred_probs: (N, K) out-of-sample probabilities, rows sum to 1; may be memory-mapped.
        rule: ``adaptive`` decides by itself how many to flag; the other names are cleanlab's and give equal masks.
        seed: of the adaptive rule's subsample (more than 2 million probabilities).

    Raises:
        DataError: wrong shapes, codes out of range, NaN, or rows that do not sum to 1.
        ConfigError: the rule is unknown.
    """
    if rule not in RULES:
        raise ConfigError("audit.label_error", f"there is no rule {rule!r}", closest(rule, RULES))
    if rule == "adaptive":
        return np.asarray(np.nan_to_num(judge_labels(labels, pred_probs, seed=seed).wrong) > 0.5)
    codes, probs = _shaped(labels, pred_probs)
    known = codes >= 0
    if known.all():
        return _classic(codes, probs, rule) if len(codes) else np.zeros(0, bool)
    out = np.zeros(len(codes), bool)
    codes, probs = _valid(codes, probs)
    out[known] = _classic(codes[known], probs[known], rule) if known.any() else False
    return out


def label_error_score(labels: Array, pred_probs: Array, *, method: str = "self_confidence") -> Floats:
    """Return (N,) scores in [0, 1], 1 = worst; NaN where there is no label.

    Args:
        labels: (N,) given class codes; -1 = no label.
        pred_probs: (N, K) out-of-sample probabilities.
        method: ``self_confidence`` 1 - p(given); ``normalized_margin`` (1 + best other - p(given)) / 2;
            ``confidence_weighted_entropy`` (or ``entropy``) normalized entropy over p(given), squashed to (0, 1).

    Raises:
        DataError, ConfigError: as :func:`flag_label_errors`.
    """
    if method not in METHODS:
        raise ConfigError("audit.label_error", f"there is no method {method!r}", closest(method, METHODS))
    codes, probs = _valid(labels, pred_probs)
    score = np.full(len(codes), np.nan)
    rows = np.flatnonzero(codes >= 0)
    if not len(rows):
        return score
    own = probs[rows, codes[rows]].astype(np.float64)
    if method == "self_confidence":
        score[rows] = 1 - own
    elif method == "normalized_margin":
        score[rows] = (_best_other(codes, probs)[rows] - own + 1) / 2
    else:
        entropy = np.empty(len(rows))
        for a in range(0, len(rows), 65_536):
            part = probs[rows[a : a + 65_536]].astype(np.float64)
            entropy[a : a + 65_536] = -(part * np.log(np.clip(part, 1e-300, None))).sum(axis=1)
        ratio = np.maximum(entropy / np.log(max(probs.shape[1], 2)) / np.clip(own, 1e-6, None), 1e-6)
        score[rows] = 1 - np.log1p(ratio) / ratio
    return np.asarray(np.clip(score, 0, 1))


def label_evidence(
    features: Array, labels: Array, classes: int, *, groups: Array | None = None, folds: int = 5, seed: int = 0
) -> Floats:
    """Return (N, K) probabilities to judge labels by: no row, and nothing of its group, was used to judge it.

    A linear probe under cross-validation; where a class has 200 rows or fewer, also the distance to the middle of each
    class and a vote of the nearest rows, both without the row's own group.

    Args:
        features: (N, D), finite.
        labels: (N,) codes in [0, K).
        classes: K.
        groups: (N,) names of what must stay together; None = nothing.
        folds: of the cross-validation.
        seed: of the folds.

    Raises:
        DataError: wrong shapes, codes out of range, or fewer than two groups.
    """
    from scarce.audit import _evidence

    rows, codes = np.asarray(features), np.asarray(labels)
    if rows.ndim != 2 or codes.shape != (len(rows),) or (groups is not None and len(groups) != len(rows)):
        raise DataError(
            "audit.label_error", f"features have shape {rows.shape}, labels {codes.shape}", do="pass (N, D) and (N,)"
        )
    if not len(codes) or codes.dtype.kind not in "iu" or codes.min() < 0 or codes.max() >= classes:
        raise DataError("audit.label_error", "labels are not class codes", f"K = {classes}", "pass 0 to K - 1")
    return _evidence.out_of_sample(rows, codes.astype(np.int64), classes, groups=groups, folds=folds, seed=seed)


def judge_labels(labels: Array, pred_probs: Array, *, seed: int = 0) -> LabelJudgement:
    """Return the adaptive rule's whole opinion; see :class:`LabelJudgement`."""
    from scarce.audit import _confident, _noise_model

    codes, probs = _valid(labels, pred_probs)
    classes = probs.shape[1]
    known = np.flatnonzero(codes >= 0)
    wrong = np.full(len(codes), np.nan)
    suggested = np.zeros(len(codes), np.int64)
    rest = np.flatnonzero(codes < 0)
    for a in range(0, len(rest), 65_536):
        suggested[rest[a : a + 65_536]] = probs[rest[a : a + 65_536]].argmax(axis=1)
    if classes < 2 or len(known) < 2:
        wrong[known], suggested[known] = 0.0, probs[known].argmax(axis=1) if len(known) else 0
        return LabelJudgement(wrong, suggested, 0.0, 0.0, 1.0, np.eye(classes), np.zeros(classes, bool), wrong * 0)
    given, part = (codes, probs) if len(known) == len(codes) else (codes[known], probs[known])
    seen = _confident.scan(given, part)
    model = _noise_model.fit(given, part, seen, seed=seed)
    sure = np.full(len(codes), np.nan)
    found = _noise_model.in_order_of_odds(given, part, model.posterior(given, part))
    wrong[known], suggested[known], sure[known] = found
    preferred = known[seen.best == given]  # no label is flagged that is the likeliest of all
    wrong[preferred], sure[preferred] = np.minimum(wrong[preferred], 0.5), np.minimum(sure[preferred], 0.5)
    low, rate, high = _rate(wrong[known], model.rates)
    blind = model.blind[suggested] | (model.blind[codes] & (codes >= 0))
    if blind.any():  # of such classes nothing is known: neither that they are clean, nor that they are not
        wrong[blind], sure[blind] = wrong[blind] / 2, sure[blind] / 2
        rate, low = float(wrong[known].mean()), min(low, float((wrong * ~blind)[known].mean()))
    return LabelJudgement(wrong, suggested, rate, low, high, model.noise, model.blind, sure)


def as_one_object(opinion: LabelJudgement, labels: Ints, groups: Array) -> LabelJudgement:
    """Return the opinion with more doubt where all pictures of one object carry one label.

    The model has never seen the object, so how many objects of the class it has seen says how often a right label looks
    foreign to it: of G at least one in G + 2 (rule of succession). Against that stands how often whole objects of the
    class seem to be wrong. Where pictures of one object are labelled differently, nothing is changed.

    Args:
        opinion: of N labelled rows.
        labels: (N,) codes.
        groups: (N,) names of objects.
    """
    member = np.unique(groups, return_inverse=True)[1].reshape(-1)
    pairs = np.unique(np.stack([member, labels], axis=1), axis=0)
    agreed = (np.bincount(member) > 1) & (np.bincount(pairs[:, 0]) == 1)
    objects, wrong, sure = np.bincount(pairs[:, 1]), opinion.wrong.copy(), opinion.sure.copy()
    for code in np.unique(labels):
        rows = np.flatnonzero(agreed[member] & (labels == code))
        if len(rows):
            seems = float(wrong[rows].mean())
            share = seems / (seems + 1 / (objects[code] + 2))
            wrong[rows], sure[rows] = wrong[rows] * share, sure[rows] * share
    rate = float(wrong.mean())
    return opinion._replace(wrong=wrong, sure=sure, rate=rate, low=min(opinion.low, rate), high=max(opinion.high, rate))


@final
@dataclass(frozen=True, kw_only=True)
class LabelError(AbstractCheck):
    """Find labels that are probably wrong, and say what they should be.

    Use when classes can be told apart from the features at least roughly.
    Do not use when classes are defined by what the features cannot see; then every flag is a guess.
    Needs: label, embedding (N, D). Probabilities come from a linear probe under cross-validation and, for classes of
    few samples, from prototypes and neighbors without the row itself. Groups of the user, copies and pictures of one
    object are never on both sides. Test labels take no part in what is said of other samples.
    Writes: score (N,) = posterior probability that the label is wrong; sample findings with the suggested class; a
    data finding with the error rate and its interval; class findings for pairs of classes that are confused.
    Source: Northcutt et al. 2021 (thresholds, joint); the noise model and its decision are ours.

    Args:
        rule: ``adaptive``, or one of cleanlab's filter names.
        encoder: whose features; empty = the newest.
        folds: of the cross-validation.
        seed: of the folds.
    """

    needs: ClassVar[tuple[str, ...]] = ("label", "embedding")
    after: ClassVar[tuple[str, ...]] = COPIES
    rule: Rule = "adaptive"
    encoder: str = ""
    folds: int = 5
    seed: int = 0

    def measure(self, ds: Dataset) -> Measurement:
        """Return the posterior of a wrong label and the flags with their reasons."""
        from scarce.audit import _label_findings as told

        _, features = ds_embedding(ds, self.encoder)
        rows = np.flatnonzero(np.isfinite(features).all(axis=1) & (ds["label"] >= 0))
        labels, classes = ds["label"][rows], ds.schema.classes
        score = np.full(len(ds), np.nan)
        if len(np.unique(labels)) < 2:
            raise DataError("audit.label_error", "fewer than two classes have labelled samples with features")
        groups = groups_of_copies(ds, rows)
        held = ds["split"][rows] == "test" if "split" in ds else np.zeros(len(rows), bool)
        probs, opinion = self._opinion(features[rows], labels, len(classes), groups, held)
        if groups is not None:
            opinion = as_one_object(opinion, labels, groups)
        flagged = opinion.wrong > 0.5
        score[rows] = opinion.wrong
        if self.rule != "adaptive":  # decided by all rows together
            flagged = flag_label_errors(labels, probs, rule=self.rule)
            score[rows] = label_error_score(labels, probs)
        found: list[Finding] = [
            told.overall(opinion, int(flagged.sum()), len(rows)),
            *told.confusions(labels, flagged, opinion, classes),
            *told.scarce_classes(labels, opinion, classes),
            *told.blind_classes(labels, opinion, classes),
        ]
        places = list(sample_names(ds.table).values())
        alike = told.look_alikes(features[rows], labels, opinion.suggested, flagged, groups)
        for i in np.flatnonzero(flagged)[np.argsort(-score[rows[flagged]], kind="stable")]:
            better = int(opinion.suggested[i])
            given, other = told.name(classes[labels[i]]), told.name(classes[better])
            near = [
                f"; nearest {name} is {places[rows[row]]} (cosine {value:.2f})"
                for name, (row, value) in zip((given, other), alike[int(i)], strict=True)
                if row >= 0
            ]
            why = (
                f"labelled {given}, more likely {other} (probability {opinion.sure[i]:.2f}); by the features alone "
                f"{probs[i, better]:.2f} against {probs[i, labels[i]]:.2f} for the label{''.join(near)}"
            )
            found.append(finding("sample", [ds.ids[rows[i]]], float(score[rows[i]]), why))
        return Measurement(score, found)

    def _opinion(
        self, features: Floats, labels: Ints, classes: int, groups: Array | None, held: Mask
    ) -> tuple[Floats, LabelJudgement]:
        """Return probabilities and opinion; what is said of rows that are not held out is said without those that are.

        Held-out rows are predicted by a probe that is fitted on all others.
        """
        from scarce.probe import LinearProbe

        free = np.flatnonzero(~held)
        if not held.any() or len(np.unique(labels[free])) < 2:
            free = np.arange(len(labels))
        own = None if groups is None or len(np.unique(groups[free])) < 2 else groups[free]
        inside = label_evidence(features[free], labels[free], classes, groups=own, folds=self.folds, seed=self.seed)
        first = judge_labels(labels[free], inside, seed=self.seed)
        if len(free) == len(labels):
            return inside, first
        probs = np.empty((len(labels), classes))
        probs[free] = inside
        said = LinearProbe().fit(features[free], labels[free], classes).predict_proba(features[held])
        probs[held] = said / said.sum(axis=1, keepdims=True)
        opinion = judge_labels(labels, probs, seed=self.seed)
        opinion.wrong[free], opinion.suggested[free] = first.wrong, first.suggested
        return probs, opinion


def _classic(codes: Ints, probs: Floats, rule: str) -> Mask:
    from scarce.audit import _confident as cl

    try:
        found = cl.scan(codes, probs)
    except cl.BadRowError as error:
        _refuse(probs, error.row)
        raise
    if rule == "predicted_neq_given":
        return np.asarray(~found.agrees)
    if rule == "prune_by_noise_rate":
        return cl.prune_by_noise_rate(codes, probs, found)
    if rule == "prune_by_class":
        return cl.prune_by_class(codes, probs, found)
    if rule == "both":
        return cl.prune_by_noise_rate(codes, probs, found) & cl.prune_by_class(codes, probs, found)
    if rule == "confident_learning":
        return cl.confident_errors(codes, found)
    return cl.low_quality(codes, probs, found, margin=rule == "low_normalized_margin")


def _valid(labels: Array, pred_probs: Array) -> tuple[Ints, Floats]:
    """Return codes and probabilities, every row of them checked."""
    codes, probs = _shaped(labels, pred_probs)
    if len(probs):
        from scarce.audit import _scan

        _refuse(probs, _scan.first_bad_row(probs))
    return codes, probs


def _shaped(labels: Array, pred_probs: Array) -> tuple[Ints, Floats]:
    """Return codes and probabilities of the right shapes and types; the rows are not looked at."""
    who = "audit.label_error"
    codes, probs = np.asarray(labels), np.asarray(pred_probs)
    if probs.ndim != 2 or codes.ndim != 1 or len(codes) != len(probs):
        raise DataError(
            who, f"labels have shape {codes.shape} and probabilities {probs.shape}", do="pass (N,) and (N, K)"
        )
    if probs.dtype.kind not in "fiub":
        raise DataError(who, f"the probabilities are {probs.dtype}", do="pass real numbers")
    if codes.dtype.kind not in "iu" and not (
        codes.dtype.kind == "f" and np.isfinite(codes).all() and (codes == codes.round()).all()
    ):
        raise DataError(
            who, f"labels are {codes.dtype}", do="pass class codes: whole numbers from 0 to K - 1, -1 = no label"
        )
    codes = codes.astype(np.int64)
    if len(codes) and (codes.min() < -1 or codes.max() >= probs.shape[1]):
        raise DataError(who, f"labels reach from {codes.min()} to {codes.max()}", f"there are {probs.shape[1]} columns")
    if probs.dtype not in (np.float32, np.float64):
        probs = probs.astype(np.float32 if probs.dtype.itemsize <= 2 and probs.dtype.kind == "f" else np.float64)
    return codes, probs


def _refuse(probs: Floats, bad: int) -> None:
    """Raise an error about a row; -1 = none."""
    if bad < 0:
        return
    row = np.array2string(probs[bad][:8], precision=3)
    what = "holds NaN" if np.isnan(probs[bad]).any() else f"sums to {float(probs[bad].sum()):.3f} or leaves [0, 1]"
    raise DataError(
        "audit.label_error", f"row {bad} of the probabilities {what}", f"it begins {row}", "pass rows that sum to 1"
    )


def _best_other(codes: Ints, probs: Floats) -> Floats:
    from scarce.audit import _confident

    return _confident.best_other(np.maximum(codes, 0), probs).astype(np.float64)


def _rate(wrong: Floats, between: tuple[float, float]) -> tuple[float, float, float]:
    """Return low, estimate, high of the share of wrong labels: what is believed of the model, widened by sampling."""
    n = len(wrong)
    rate = float(wrong.mean())
    spread = 1.96 * float(np.sqrt((wrong * (1 - wrong)).sum() / n**2 + wrong.var() / n))
    low, high = rate - spread, rate + spread
    if rate * n < 5:
        from scipy.stats import beta

        hits = rate * n
        low, high = float(beta.ppf(0.025, hits + 1e-9, n - hits + 1)), float(beta.ppf(0.975, hits + 1, n - hits))
    return max(0.0, min(low, between[0] - spread)), rate, min(1.0, max(high, between[1] + spread))


def groups_of_copies(ds: Dataset, rows: Ints) -> Array | None:
    """Return group numbers of the rows: user groups and found copies or pictures of one object, tied together."""
    groups = tied(ds)[rows]
    return groups if 2 <= len(np.unique(groups)) < len(groups) else None
