"""Wrong labels planted into labels that are known, and what the own audit makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scarce.audit.label_error import LabelJudgement, judge_labels, label_evidence
from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.errors import DataError
from scarce.faults._base import Material
from scarce.faults.label_flip import LabelFlip
from scarce.folds import groups_of
from scarce.probe import LinearProbe
from scarce.study._data import parts_of, scores, test_of, ties

Kind = Literal["symmetric", "asymmetric", "annotator"]


@dataclass(frozen=True, eq=False)
class Noisy:
    """Training samples some of which carry a wrong label, and samples with true labels that judge.

    Attributes:
        features: (N, D) of the training samples.
        truth: (N,) their true codes.
        given: (N,) the codes that are told.
        groups: (N,) names of what stays together.
        judged: (M, D).
        answers: (M,) true codes of these.
        n_classes: K.
        seed: of the audit's folds.
    """

    features: Floats
    truth: Ints
    given: Ints
    groups: Array
    judged: Floats
    answers: Ints
    n_classes: int
    seed: int

    def opinion(self) -> LabelJudgement:
        """Return what the audit of label errors thinks of the given labels; it knows nothing else."""
        probs = label_evidence(self.features, self.given, self.n_classes, groups=self.groups, seed=self.seed)
        return judge_labels(self.given, probs, seed=self.seed)

    def probe(self, labels: Ints, rows: Mask | None = None, weights: Floats | None = None) -> dict[str, float]:
        """Return the scores of a linear probe that was fitted on these labels.

        Args:
            labels: (N,).
            rows: (N,) which are fitted on; None = all.
            weights: (N,); None = all alike.
        """
        use = np.ones(len(labels), bool) if rows is None else rows
        fitted = LinearProbe().fit(
            self.features[use], labels[use], self.n_classes, weights=None if weights is None else weights[use]
        )
        return scores(self.answers, fitted.logits(self.judged).argmax(axis=1))

    def boosted(self, labels: Ints, rows: Mask | None = None, *, trees: int) -> dict[str, float]:
        """Return the scores of gradient-boosted trees that were fitted on these labels."""
        from sklearn.ensemble import HistGradientBoostingClassifier
        from threadpoolctl import threadpool_limits

        use = np.ones(len(labels), bool) if rows is None else rows
        machine = HistGradientBoostingClassifier(
            max_iter=trees, learning_rate=0.06, max_leaf_nodes=15, l2_regularization=1.0, max_features=0.7,
            early_stopping=False, random_state=self.seed,
        )  # fmt: skip
        with threadpool_limits(1, "openmp"):  # so few rows are not worth a thread, and a busy machine makes them wait
            machine.fit(self.features[use], labels[use])
        return scores(self.answers, np.asarray(machine.predict(self.judged), np.int64))

    def repaired(self, opinion: LabelJudgement) -> tuple[Ints, Mask]:
        """Return (N,) labels after the audit, and which rows are kept.

        A label that is probably wrong is replaced where one other class is likelier than not, else its row goes.
        """
        doubted = np.nan_to_num(opinion.wrong) > 0.5
        mended = doubted & (np.nan_to_num(opinion.sure) > 0.5)
        return np.where(mended, opinion.suggested, self.given), ~doubted | mended

    def audit(self, opinion: LabelJudgement) -> dict[str, Any]:
        """Return how well the audit found the planted errors, and what is wrong after the repair."""
        wrong, doubted = self.given != self.truth, np.nan_to_num(opinion.wrong) > 0.5
        labels, kept = self.repaired(opinion)
        hit = int((wrong & doubted).sum())
        return {
            "wrong": float(wrong.mean()), "estimated": opinion.rate, "flagged": int(doubted.sum()),
            "precision": hit / int(doubted.sum()) if doubted.any() else None,
            "recall": hit / int(wrong.sum()) if wrong.any() else None,
            "wrong_after": float((labels != self.truth)[kept].mean()), "removed": int((~kept).sum()),
        }  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Where noisy samples are drawn from: everything outside test, or training and test.

    Args:
        ds: has features and labels of people.
        most: training samples at most.
        components: leading principal components of the training features that all models see.
    """

    ds: Dataset
    most: int
    components: int = 64

    def draw(self, rate: float, kind: Kind, seed: int, *, test: bool = False) -> Noisy:
        """Return samples with a share of wrong labels; training samples never depend on ``test``.

        Args:
            rate: share of wrong labels in training; 0 = none.
            kind: of :class:`~scarce.faults.label_flip.LabelFlip`.
            seed: of the split, the draw and the errors.
            test: judge on the test split in place of the held-out quarter.

        Raises:
            DataError: too few samples, or features that are not there.
        """
        from scarce.probe import Projection

        rows, held, features = parts_of(self.ds, seed)
        labels, groups = self.ds["label"][rows].astype(np.int64), groups_of(self.ds)[rows]
        rng = np.random.default_rng([seed, 0x6E6F69])
        own = np.sort(rng.permutation(np.flatnonzero(~held))[: self.most])
        judged, answers = features[held], labels[held]
        if test:
            rows, judged = test_of(self.ds)
            if not len(rows):
                raise DataError("study", "the test split has no sample with a label that a person gave")
            answers = self.ds["label"][rows].astype(np.int64)
        axes = Projection.fit(features[own], components=self.components)
        points, truth, classes = axes(features[own]), labels[own], self.ds.schema.classes
        given = truth
        if rate > 0:
            material = Material(list(points), truth, classes, names=tuple(map(str, range(points.shape[1]))))
            given = LabelFlip(rate=rate, kind=kind).plant(material, seed=seed)[0].labels
        return Noisy(points, truth, given, groups[own], axes(judged), answers, len(classes), seed)

    @property
    def has_test(self) -> bool:
        """Whether there is a test split to look at."""
        return bool(len(test_of(self.ds)[0]))

    def content(self) -> list[str]:
        """Return what results depend on: samples, labels, splits and features, in short."""
        from hashlib import blake2b

        found = next(reversed([name for name in self.ds.wide if name.startswith("embedding.")]), "")
        made = blake2b(digest_size=12)
        if found:
            made.update(np.ascontiguousarray(self.ds.wide[found], np.float32).tobytes())
        told = [*self.ds.ids.tolist(), *map(str, self.ds["label"]), *map(str, self.ds["split"]), made.hexdigest()]
        return [*told, *ties(self.ds)]
