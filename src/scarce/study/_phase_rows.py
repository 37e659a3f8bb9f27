"""What the study of phases trains on: an imbalance drawn from real samples, and rows that each phase adds to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from scarce import encode
from scarce.dataset import Dataset, Floats, Ints
from scarce.errors import DataError, unknown_name
from scarce.folds import groups_of
from scarce.metric.ranking import average_precision
from scarce.probe import LinearProbe
from scarce.rebalance.smote import Smote
from scarce.study._candidates import Candidates, as_training, grow, spread_over_groups
from scarce.study._data import parts_of, test_of
from scarce.synthesize._base import AbstractDefect

REAL, REPEAT, AUGMENT, SYNTHESIZE, HYBRID = "real", "repeat", "augment", "synthesize", "hybrid"
ARMS: Final[Mapping[str, str]] = {
    REAL: "real samples alone",
    REPEAT: "control: rare ones repeated",
    AUGMENT: "phase 1: and augmented ones",
    SYNTHESIZE: "phase 2: and synthetic ones",
    HYBRID: "phase 3: half augmented, half synthetic",
}
STAGES: Final = {"augmented": "augment.", "synthetic": "synthesize."}
NEIGHBORS: Final = 5


def classes_of(ds: Dataset, asked: Sequence[str], rows: Ints, number: int) -> tuple[int, ...]:
    """Return codes, the majority first: those asked for, or a sound class (else the largest) and the next largest.

    Args:
        ds: the data.
        asked: names; empty = chosen here.
        rows: those that may be drawn.
        number: how many classes are wanted.

    Raises:
        UnknownNameError: there is no such class.
        DataError: there are too few classes, or one is named twice.
    """
    names = ds.schema.classes
    for name in asked:
        if name not in names:
            raise unknown_name("study", "class", name, names)
    if asked:
        if len(set(asked)) != number or len(asked) != number:
            do = f"name {number} different ones, the majority first"
            raise DataError("study", f"{len(asked)} classes for {number} counts", ", ".join(asked), do)
        return tuple(names.index(name) for name in asked)
    sizes = np.bincount(ds["label"][rows].astype(np.int64), minlength=len(names))
    normal = [names.index(name) for name in ds.schema.normal_classes]
    found = sorted(np.flatnonzero(sizes).tolist(), key=lambda code: (code not in normal, -int(sizes[code]), code))
    chosen = [code for place, code in enumerate(found) if not place or code not in normal][:number]
    if len(chosen) < number:
        raise DataError("study", f"{len(chosen)} classes have labelled samples", f"{number} are wanted", "label more")
    return tuple(chosen)


@dataclass(frozen=True, eq=False)
class Source:
    """Where draws come from: samples with features, of some classes.

    Attributes:
        ds: the data, with features.
        codes: of the classes, the majority first.
        counts: real training samples of each.
        times: rows that a phase adds for each real one of a rare class.
        policies: of augmentation.
        kinds: generators of pictures.
        cache: folder of features that are known.
    """

    ds: Dataset
    codes: tuple[int, ...]
    counts: tuple[int, ...]
    times: float
    policies: tuple[str, ...] = ()
    kinds: tuple[AbstractDefect, ...] = ()
    cache: Path | None = None

    @property
    def wanted(self) -> dict[str, int]:
        """Class to rows that a phase adds; the majority gets none."""
        names = self.ds.schema.classes
        pairs = zip(self.codes[1:], self.counts[1:], strict=True)
        return {names[code]: round(self.times * count) for code, count in pairs}

    @property
    def has_test(self) -> bool:
        """Whether the test split has samples of every class."""
        labels = self.ds["label"][test_of(self.ds)[0]]
        return all((labels == code).any() for code in self.codes)

    def trial(self, seed: int, *, test: bool = False) -> Trial:
        """Return one draw: rows that are trained on, what phases add to them, and real samples that judge.

        Args:
            seed: of the held-out part, the draw and what is grown.
            test: judge by the test split; what is trained on stays the same.

        Raises:
            DataError: a class has too few samples.
        """
        rows, held, features = parts_of(self.ds, seed)
        drawn = self.drawn(rows[~held], seed)
        rows, features = test_of(self.ds) if test else (rows[held], features[held])
        truth = self.ds["label"][rows].astype(np.int64)
        use = np.isin(truth, self.codes)
        missing = [self.ds.schema.classes[code] for code in self.codes if not (truth == code).any()]
        if missing:
            what = f"no held-out sample is of class {missing[0]}"
            raise DataError("study", what, do="name another class, or label more of it")
        embedding = [column for column in self.ds.wide if column.startswith("embedding.")][-1]
        made = self._encoded(grow(drawn, self.kinds, self.policies, self.wanted, seed=seed), embedding)
        points = np.asarray(made.ds[embedding], np.float32)
        return Trial(made, self.codes, self.wanted, points, features[use], truth[use], seed)

    def drawn(self, free: Ints, seed: int) -> Dataset:
        """Return as many real rows of each class as are wanted, from as many groups as there are.

        Args:
            free: rows that do not judge.
            seed: of the draw.

        Raises:
            DataError: a class has too few samples.
        """
        names, labels = self.ds.schema.classes, self.ds["label"][free].astype(np.int64)
        groups, taken, short = groups_of(self.ds)[free], [], []
        for code, wanted in zip(self.codes, self.counts, strict=True):
            if (there := int((labels == code).sum())) < wanted:
                short.append(f"{names[code]} has {there}, {wanted} are wanted")
            keep = spread_over_groups(labels, groups, [code], wanted, seed)
            taken.append(np.flatnonzero(keep & (labels == code)))
        if short:
            what = "a class has too few samples beside those that judge"
            raise DataError("study", what, "; ".join(short), "lower --count, or name other classes")
        return as_training(self.ds, free[np.sort(np.concatenate(taken))])

    def _encoded(self, made: Candidates, embedding: str) -> Candidates:
        """Return the candidates with features; those that no phase takes, or that have none, are left out."""
        names = self.ds.schema.classes
        used: list[Ints] = [np.flatnonzero(made.ds["origin"] == "real")]
        used += [_grown(made, kind, names.index(name))[:most] for kind in STAGES for name, most in self.wanted.items()]
        ds = encode.again(made.ds.take(np.sort(np.concatenate(used))), embedding, cache=self.cache)
        finite = np.isfinite(ds[embedding]).all(axis=1)
        return replace(made, ds=ds.take(np.flatnonzero(finite)))


@dataclass(frozen=True, eq=False)
class Trial:
    """One draw with everything that phases may add to it.

    Attributes:
        made: the drawn rows and those grown from them.
        codes: of the classes, the majority first.
        wanted: class to rows that a phase adds.
        points: (N, D) features of the rows.
        judged: (M, D) features of real samples that judge; ``truth``: (M,) their codes.
        seed: of the draw.
    """

    made: Candidates
    codes: tuple[int, ...]
    wanted: Mapping[str, int]
    points: Floats
    judged: Floats
    truth: Ints
    seed: int

    def measured(self, arm: str) -> dict[str, Any]:
        """Return class to recall, to average precision and to the rows of each kind, of a linear probe in one arm."""
        names = self.made.ds.schema.classes
        labels, real = self.made.ds["label"].astype(np.int64), self.made.ds["origin"] == "real"
        points, codes, counts = [self.points[real]], [labels[real]], {}
        for code in self.codes:
            counts[names[code]] = {"real": int((labels[real] == code).sum())}
            added = {kind: self.points[rows] for kind, rows in added_rows(self.made, self.wanted, arm, code).items()}
            if "synthetic" in added and not len(added["synthetic"]):
                added["between"] = self._between(code, _drawn(arm, self.wanted[names[code]]))
            for kind, found in added.items():
                counts[names[code]][kind] = len(found)
                points.append(found)
                codes.append(np.full(len(found), code))
        fitted = LinearProbe().fit(np.concatenate(points), np.concatenate(codes), len(names))
        return {**per_class(fitted.predict_proba(self.judged), self.truth, self.codes, names), "counts": counts}

    def _between(self, code: int, number: int) -> Floats:
        """Return (m, D) points between real ones of a class (SMOTE); there are none beside one sample alone."""
        real = np.flatnonzero(self.made.ds["origin"] == "real")
        labels = self.made.ds["label"][real].astype(np.int64)
        own = int((labels == code).sum())
        if own < 2:
            return np.zeros((0, self.points.shape[1]), np.float32)
        smote = Smote(neighbors=min(NEIGHBORS, own - 1), target_count={str(code): own + number})
        found, _ = smote.fit_resample(self.points[real], labels.astype(str), seed=self.seed)
        return np.asarray(found[len(real) :], np.float32)


def per_class(probs: Floats, truth: Ints, codes: Sequence[int], names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return class to recall and to average precision, one class against the rest.

    Args:
        probs: (M, K).
        truth: (M,) codes.
        codes: of the classes that are asked for.
        names: (K,).
    """
    answers = probs.argmax(axis=1)
    recall = {names[code]: float((answers[truth == code] == code).mean()) for code in codes}
    precision = {names[code]: float(average_precision(truth == code, probs[:, code])) for code in codes}
    return {"recall": recall, "average_precision": precision}


def added_rows(made: Candidates, wanted: Mapping[str, int], arm: str, code: int) -> dict[str, Ints]:
    """Return kind to the rows that an arm adds to a class; a row may occur more than once.

    Args:
        made: the drawn rows and those grown from them.
        wanted: class to rows that a phase adds.
        arm: one of :data:`ARMS`.
        code: of the class.
    """
    most = wanted.get(made.ds.schema.classes[code], 0)
    if arm == REAL or not most:
        return {}
    if arm == REPEAT:
        return {"repeated": np.resize(np.flatnonzero((made.ds["origin"] == "real") & (made.ds["label"] == code)), most)}
    drawn = _drawn(arm, most)
    shares = {"augmented": most - drawn, "synthetic": drawn}
    return {kind: _grown(made, kind, code)[:share] for kind, share in shares.items() if share}


def _drawn(arm: str, most: int) -> int:
    """Return how many of the rows that an arm adds are synthetic."""
    return {AUGMENT: 0, SYNTHESIZE: most}.get(arm, most // 2)


def _grown(made: Candidates, kind: str, code: int) -> Ints:
    """Return the grown rows of a kind and a class, the makers' in turn."""
    of_class = np.flatnonzero(made.ds["label"] == code)
    parts: list[Ints] = []
    for name, ids in made.made.items():
        if name.startswith(STAGES[kind]) and "+" not in name:
            own = of_class[[sample in ids for sample in made.ds.ids[of_class].tolist()]]
            parts.append(np.stack([np.arange(len(own)), np.full(len(own), len(parts)), own]))
    if not parts:
        return np.zeros(0, np.int64)
    turn, maker, rows = np.concatenate(parts, axis=1)
    return np.asarray(rows[np.lexsort((maker, turn))], np.int64)
