"""Grown candidates of a study, each maker's apart, and what a model is trained on in each arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from scarce import augment, synthesize
from scarce.augment.policy import guess_domain
from scarce.dataset import Array, Dataset, Floats, FoldView, Ints, Mask
from scarce.decision import Fold, fold_of_view
from scarce.errors import ConfigError, ScarceError, unknown_name
from scarce.probe import LinearProbe, Projection
from scarce.registry import load, names
from scarce.study._patches import Patches, PatchFold
from scarce.synthesize import screen
from scarce.synthesize._base import AbstractDefect

REAL, ALL, SCREENED, ONLY, BARE = "real", "all_synthesis", "all_synthesis_screened", "synthetic_only", "without"
SAMPLE_SCREENS: Final = ("probe_confidence", "memorized", "distant", "duplicate")
"""What refuses samples one by one by their features; broken ones have none."""


@dataclass(frozen=True)
class Candidates:
    """Real rows, and the rows that each maker grew from them.

    Attributes:
        ds: all of them, split train.
        made: arm to ids of the rows that it adds.
        served: classes that synthetic rows were made of, by code.
        refused: maker to why it made nothing, or less.
        limits: arm to the most grown rows that it takes of a class, as a multiple of the real ones there.
        patches: the cells of all rows; without them whole pictures are learned from.
    """

    ds: Dataset
    made: Mapping[str, frozenset[str]]
    served: tuple[int, ...]
    refused: Mapping[str, str]
    limits: Mapping[str, float] = field(default_factory=dict)
    patches: Patches | None = None


def policies_of(ds: Dataset, asked: Sequence[str]) -> list[str]:
    """Return the augmentation policies: those asked for, or the one of the domain."""
    return list(asked) if asked else [guess_domain(ds)[0]]


def kinds_of(asked: Sequence[str], shows: Sequence[str]) -> list[AbstractDefect]:
    """Return the generators of pictures with the classes that the user says they show.

    Args:
        asked: names; empty = all of them, ``none`` = none.
        shows: ``kind:class``.

    Raises:
        ConfigError: an entry of ``shows`` is no pair of a kind and a class.
        UnknownNameError: there is no such generator.
    """
    extra: dict[str, list[str]] = {}
    for pair in shows:
        kind, colon, name = pair.partition(":")
        if not colon or not name:
            raise ConfigError("study", f"shows has {pair!r}", "wanted is KIND:CLASS", "for example scratch:crack")
        if kind not in names("synthesize"):
            raise unknown_name("study", "generator", kind, names("synthesize"))
        extra.setdefault(kind, []).append(name)
    if list(asked) == ["none"]:
        return []
    found = []
    for name in asked or names("synthesize"):
        plugin = load("synthesize", name, AbstractDefect)  # type: ignore[type-abstract]
        found.append(plugin.from_params({"classes": extra.get(plugin.plugin_name(), [])}))
    return found


def spread_over_groups(labels: Ints, groups: Array, codes: Sequence[int], few: int, seed: int) -> Mask:
    """Return (N,) which rows are kept when classes are cut to a few rows each, from as many groups as there are.

    Args:
        labels: (N,) codes.
        groups: (N,) names.
        codes: the classes that are cut; all others are kept whole.
        few: rows of each.
        seed: of the draw.
    """
    keep: Mask = ~np.isin(labels, codes)
    for code in codes:
        rows = np.random.default_rng([seed, few, code]).permutation(np.flatnonzero(labels == code))
        seen: dict[str, int] = {}
        turn = []
        for row in rows.tolist():
            turn.append(seen.setdefault(str(groups[row]), 0))
            seen[str(groups[row])] += 1
        keep[rows[np.argsort(turn, kind="stable")[:few]]] = True
    return keep


def grow(
    ds: Dataset, kinds: Sequence[AbstractDefect], policies: Sequence[str], wanted: Mapping[str, int], *, seed: int,
    ratios: Sequence[float] = (),
) -> Candidates:  # fmt: skip
    """Let every policy and every generator make its candidates of the wanted classes.

    Args:
        ds: real rows, all of split train.
        kinds: generators.
        policies: names of augmentation policies.
        wanted: class to rows; a generator makes only the classes that it can show.
        seed: each maker adds its place to it.
        ratios: arms with so many synthetic rows (where there are none: augmented ones) for each real one.
    """
    joint, made, refused = ds, {}, {}
    served: set[int] = set()
    makers: list[tuple[str, Any]] = [(f"augment.{name}", name) for name in policies]
    makers += [(f"synthesize.{kind.plugin_name()}", kind) for kind in kinds]
    for place, (name, maker) in enumerate(makers):
        try:
            if isinstance(maker, str):
                grown = augment.run(ds, maker, counts=wanted, seed=seed + place)
            else:
                reasons = synthesize.servable(ds, maker)
                counts = {title: number for title, number in wanted.items() if not reasons[title]}
                if not counts:
                    refused[name] = "; ".join(dict.fromkeys(reasons[title] for title in wanted))
                    continue
                grown = synthesize.run(ds, maker, counts=counts, seed=seed + place)
        except ScarceError as error:
            refused[name] = error.what
            continue
        new = grown.table.filter(np.isin(grown.ids, ds.ids, invert=True))
        new = new.filter(np.isin(new["id"].to_numpy(zero_copy_only=False), joint.ids, invert=True))
        if not len(new):
            refused[name] = "it made no sample"
            continue
        joint = joint.append({column: new[column].combine_chunks() for column in new.column_names})
        made[name] = frozenset(new["id"].to_pylist())
        if not isinstance(maker, str):
            served |= {ds.schema.classes.index(title) for title in new["label"].unique().to_pylist()}
    drawn = {name: rows for name, rows in made.items() if name.startswith("synthesize.")}
    if drawn:
        every = frozenset().union(*drawn.values())
        made |= {ALL: every, SCREENED: every, ONLY: every, BARE: frozenset()}
        first = next((name for name in made if name.startswith("augment.")), None)
        if first:
            made[f"{first}+{ALL}"] = every | made[first]
    mixed = next((name for name in (ALL, *made) if name in made), None)
    limits = {f"{mixed}_x{ratio:g}": ratio for ratio in ratios if mixed}
    made |= {name: made[mixed] for name in limits if mixed}
    return Candidates(joint, {REAL: frozenset(), **made}, tuple(sorted(served)), refused, limits)


@dataclass(eq=False)
class Trial:
    """One fold: its training side is projected once for all arms.

    Attributes:
        candidates: what may be added.
        view: who is trained on and who is judged.
        embedding: the features' column.
        seed: of the fold.
    """

    candidates: Candidates
    view: FoldView
    embedding: str
    seed: int
    _fold: tuple[Fold, Array] | None = field(default=None, repr=False)
    _cells: PatchFold | None = field(default=None, repr=False)
    _passed: frozenset[str] | None = field(default=None, repr=False)

    def probs(self, arm: str) -> tuple[Floats, dict[str, tuple[int, int]]]:
        """Return (n, K) probabilities of the judged rows by an arm's probe, and class to its grown and real rows.

        Every class weighs the same in every arm, so that what is measured is new pictures and not new weights.
        """
        if self._fold is None:
            self._fold = fold_of_view(self.view, self.embedding, self.seed, LinearProbe().components)
        fold, points = self._fold
        added = self.candidates.made[arm]
        if arm == SCREENED:
            added = added & self._accepted()
        labels, ids = fold.labels, fold.train.ids
        use = (fold.train["origin"] == "real") & (labels >= 0)
        if arm in (ONLY, BARE):
            use &= ~np.isin(labels, self.candidates.served)
        extra = np.array([name in added for name in ids], bool)
        if arm in self.candidates.limits:
            extra = self._at_most(extra, labels, np.bincount(labels[use], minlength=fold.n_classes), arm)
        rows: Ints = np.flatnonzero(use | extra)
        counts = np.bincount(labels[rows], minlength=fold.n_classes)
        patches = self.candidates.patches
        if patches is None:
            fitted = LinearProbe().fit(
                fold.points[rows], labels[rows], fold.n_classes, weights=1.0 / counts[labels[rows]],
                projection=Projection.identity(fold.points.shape[1]),
            )  # fmt: skip
            probs = fitted.predict_proba(points)
        else:
            probs = self._of_cells(patches, ids[rows])
        told = np.bincount(labels[extra], minlength=fold.n_classes)
        classes = fold.train.schema.classes
        return probs, {
            classes[code]: (int(told[code]), int(counts[code] - told[code])) for code in np.flatnonzero(told)
        }

    def _of_cells(self, patches: Patches, trained: Array) -> Floats:
        """Return (n, K) probabilities of the judged pictures by a probe on the cells of those that are trained on."""
        ds = self.view.dataset
        if self._cells is None:
            train = self.view.train_rows
            real = train[ds["origin"][train] == "real"]
            self._cells = PatchFold(patches, real, train, ds.rows_of(self.view.eval_ids))
        normal = [ds.schema.classes.index(name) for name in ds.schema.normal_classes]
        return self._cells.probs(ds.rows_of(trained.tolist()), len(ds.schema.classes), normal)

    def _at_most(self, extra: Mask, labels: Ints, real: Ints, arm: str) -> Mask:
        """Return the grown rows without those beyond the arm's multiple of the real ones of their class."""
        out: Mask = np.zeros(len(extra), bool)
        for code in np.unique(labels[extra]):
            rows = np.random.default_rng([self.seed, int(code)]).permutation(np.flatnonzero(extra & (labels == code)))
            out[rows[: round(self.candidates.limits[arm] * int(real[code]))]] = True
        return out

    def _accepted(self) -> frozenset[str]:
        """Return the synthetic rows that pass screens fitted on this fold's training side."""
        if self._passed is None:
            found = screen.judge(self.view, SAMPLE_SCREENS, embedding=self.embedding, seed=self.seed)
            self._passed = frozenset(found.ids[found.accepted].tolist())
        return self._passed


def as_training(ds: Dataset, rows: Ints) -> Dataset:
    """Return some rows as if all were of split train: folds are cut from them, nothing else is judged."""
    part = ds.take(rows)
    return replace(part.with_columns({"split": ["train"] * len(part)}), findings=part.findings.slice(0, 0))
