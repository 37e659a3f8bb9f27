"""What several annotators and a model say together: consensus labels, and who is to be trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit._base import AbstractCheck, Finding, Measurement, ds_embedding, finding, has_column
from scarce.audit._consensus import Consensus, votes_consensus
from scarce.audit._shape import real_numbers
from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import DataError
from scarce.extras import need

EXTRA, WHO = "crowd", "audit.crowd_label"


def crowd_consensus(ratings: Array, pred_probs: Array) -> Consensus:
    """Return the consensus of annotators and a model, by CROWDLAB.

    Args:
        ratings: (N, R) class codes; -1 or NaN = no vote.
        pred_probs: (N, K) out-of-sample probabilities of a model fitted on some first consensus.

    Raises:
        DataError: wrong shapes or types, codes that are no whole numbers or out of range, probabilities that are NaN,
            leave [0, 1] or sum to 0, or no item has two votes.
        MissingExtraError: cleanlab is not installed.

    Source: Goh, Tkachenko and Mueller 2022, through cleanlab.
    """
    who = WHO
    rows, probs = _codes(who, ratings), real_numbers(who, "pred_probs", pred_probs, 2).astype(np.float64)
    if len(rows) != len(probs):
        raise DataError(who, f"ratings have shape {rows.shape}, probabilities {probs.shape}", do="pass (N, R), (N, K)")
    bad = np.flatnonzero(~(((probs >= 0) & (probs <= 1)).all(axis=1) & (probs.sum(axis=1) > 0)))
    if len(bad):
        what = f"{len(bad)} rows of the probabilities are NaN, leave [0, 1] or sum to 0"
        raise DataError(who, what, f"row {bad[0]} begins {np.array2string(probs[bad[0]][:8], precision=3)}")
    if rows.size and (rows.min() < -1 or rows.max() >= probs.shape[1]):
        raise DataError(who, f"ratings reach from {rows.min()} to {rows.max()}", f"K = {probs.shape[1]}")
    voted = np.flatnonzero((rows >= 0).any(axis=1))
    raters = np.flatnonzero((rows >= 0).any(axis=0))
    if not ((rows >= 0).sum(axis=1) >= 2).any():
        raise DataError(who, "no item has two votes")
    crowd = need("cleanlab.multiannotator", extra=EXTRA)
    table = np.where(rows[np.ix_(voted, raters)] < 0, np.nan, rows[np.ix_(voted, raters)])
    said = crowd.get_label_quality_multiannotator(
        table, probs[voted] / probs[voted].sum(axis=1, keepdims=True), verbose=False, return_detailed_quality=False
    )
    label, quality = np.full(len(rows), -1), np.full(len(rows), np.nan)
    label[voted] = said["label_quality"]["consensus_label"].to_numpy()
    quality[voted] = said["label_quality"]["consensus_quality_score"].to_numpy()
    annotator = np.full(rows.shape[1], np.nan)
    stats = said["annotator_stats"]["annotator_quality"]
    annotator[raters[np.asarray(stats.index, np.int64)]] = stats.to_numpy()
    return Consensus(label, quality, annotator)


def _codes(who: str, ratings: Array) -> Ints:
    """Return (N, R) whole codes, -1 for NaN."""
    rows = real_numbers(who, "ratings", ratings, 2)
    if rows.dtype.kind == "f":
        rows = np.where(np.isnan(rows), -1, rows)
        if not (np.isfinite(rows).all() and (rows == np.round(rows)).all()):
            raise DataError(who, "ratings hold values that are no whole numbers", do="pass class codes; -1 = no vote")
    return np.asarray(rows.astype(np.int64))


@final
@dataclass(frozen=True, kw_only=True)
class CrowdLabel(AbstractCheck):
    """Weigh the votes of several annotators and a model: which labels the consensus contradicts, whom to trust.

    Use when samples have two votes or more. Do not use with one vote a sample: ``label_error`` is for that.
    It shares no code with ``scarce label vote``, which may have written the labels: an audit that shares its code with
    what it judges finds the same mistakes right.
    Needs: votes. Features (N, D) and the extra ``crowd`` let a model's opinion count beside them; without, or where
    the samples are known by a name alone, the votes are weighed by themselves.
    Writes: score (N,) = 1 - the probability that the label is right; sample findings where the consensus is another
    class, or is hardly more than a guess; a data finding with the quality of each annotator.
    Source: CROWDLAB, Goh, Tkachenko and Mueller 2022, through cleanlab; the votes alone by Dawid and Skene 1979.

    Args:
        encoder: whose features; empty = the newest.
        least: consensus below this probability is a finding.
        folds: of the cross-validation.
        seed: of the folds.
    """

    extra: ClassVar[str | None] = EXTRA
    needs: ClassVar[tuple[str, ...]] = ("label", "label|embedding")
    reads_content: ClassVar[bool] = False
    encoder: str = ""
    least: float = 0.5
    folds: int = 5
    seed: int = 0

    def unmet(self, ds: Dataset) -> str:
        """Return why it cannot run: no sample has two votes, or cleanlab is missing."""
        from scarce.ballot import ratings_of

        if not len(ds.votes) or not ((ratings_of(ds)[0] >= 0).sum(axis=1) >= 2).any():
            return "it needs samples with two votes or more"
        return super().unmet(ds)

    def measure(self, ds: Dataset) -> Measurement:
        """Weigh all votes.

        Raises:
            DataError: the votes name fewer than two classes.
        """
        from scarce.ballot import ratings_of

        ratings, voters = ratings_of(ds)
        names = ds.schema.classes
        counts = np.stack([(ratings == code).sum(axis=1) for code in range(len(names))], axis=1)
        rows = np.flatnonzero(counts.sum(axis=1) > 0)
        if len(np.unique(counts[rows].argmax(axis=1))) < 2:
            raise DataError(WHO, "the votes name fewer than two classes")
        agreed, told = self._agreed(ds, ratings, counts, rows)
        given = np.where(ds["label"][rows] >= 0, ds["label"][rows], agreed.label)
        right = right_of(given, agreed, len(names))
        score = np.full(len(ds), np.nan)
        score[rows] = np.clip(1 - right, 0, 1)
        found = [_annotators(agreed.annotator, voters)]
        better = (given != agreed.label) & (agreed.quality > np.maximum(right, 0.5))
        doubtful = better | (right < self.least)
        for i in np.flatnonzero(doubtful)[np.argsort(-score[rows[doubtful]], kind="stable")]:
            cast = ", ".join(f"{names[code]} {n}" for code, n in enumerate(counts[rows[i]]) if n)
            says = "no class is settled"
            if better[i] or (given[i] == agreed.label[i]):
                says = f"consensus {names[agreed.label[i]]} ({agreed.quality[i]:.2f})"
            why = f"labelled {names[given[i]]}, {says}; votes: {cast}; {told(int(i))}"
            found.append(finding("sample", [ds.ids[rows[i]]], float(score[rows[i]]), why))
        return Measurement(score, found)

    def _agreed(self, ds: Dataset, ratings: Ints, counts: Ints, rows: Ints) -> tuple[Consensus, Callable[[int], str]]:
        """Return the consensus of the rows, and what else is said about one of them."""
        from scarce.ballot import holds_content
        from scarce.extras import available

        k = len(ds.schema.classes)
        if has_column(ds, "embedding") and holds_content(ds) and available("cleanlab"):
            from scarce import probe
            from scarce.audit.label_error import groups_of_copies

            features = ds_embedding(ds, self.encoder)[1][rows]
            if np.isfinite(features).all() and (counts[rows].sum(axis=1) >= 2).any():
                probs = probe.cross_val_probs(
                    features, counts[rows].argmax(axis=1), k, groups=groups_of_copies(ds, rows), folds=self.folds,
                    seed=self.seed,
                )  # fmt: skip
                agreed = crowd_consensus(ratings[rows], probs)
                return agreed, lambda i: f"the model gives it {probs[i, agreed.label[i]]:.2f}"
        return votes_consensus(ratings[rows], k), lambda i: "judged by the votes alone"  # noqa: ARG005


def right_of(given: Ints, agreed: Consensus, classes: int) -> Floats:
    """Return (N,) the probability that the given labels are right, as far as the consensus tells it.

    Where the label is not the consensus it gets what the consensus leaves; of more than two classes that is more than
    its due, so that it counts as even at best.

    Args:
        given: (N,) class codes.
        agreed: of the same N items.
        classes: K.
    """
    rest = 1 - agreed.quality
    return np.asarray(np.where(given == agreed.label, agreed.quality, rest if classes == 2 else np.minimum(rest, 0.5)))


def _annotators(quality: Floats, voters: list[str]) -> Finding:
    order = [int(i) for i in np.argsort(np.nan_to_num(quality, nan=2.0), kind="stable") if np.isfinite(quality[i])]
    worst = ", ".join(f"{voters[i]} {quality[i]:.2f}" for i in order[:10])
    return finding(
        "data", (), float(1 - np.nanmean(quality)), f"quality of {len(order)} annotators, worst first: {worst}"
    )
