"""A year of production played from labelled pictures: what came when, and what nobody but the player knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from scarce.ballot import vouched
from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import DataError
from scarce.folds import development, groups_of
from scarce.metric.interval import group_codes
from scarce.probe import Projection

FIRST, HELD_OUT, SUPPLIER, UNUSED = -1, -2, -3, -9
COMPONENTS: Final = 64
BLUR, LIGHT = 0.04, -30.0
"""The other camera: blur as a share of the side, and gray levels of 255."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Year:
    """N samples in the order of nothing.

    Attributes:
        features: (N, D) as the camera of their week saw them.
        codes: (N,) true classes.
        week: (N,) when each comes; ``FIRST`` = labelled before the first week, ``HELD_OUT`` = judges promotions,
            ``SUPPLIER`` = comes with an import whose labels are spoiled, ``UNUSED``.
        classes: K names.
        newcomer: code of the class that nobody knew before ``appears``.
        appears, camera: weeks in which the new class and the other camera come.
        imports: week to rows and the labels that came with them: two classes are swapped.
        weeks: how many.
    """

    features: Floats
    codes: Ints
    week: Ints
    classes: tuple[str, ...]
    newcomer: int
    appears: int
    camera: int
    imports: Mapping[int, tuple[Ints, Ints]]
    weeks: int

    def of(self, week: int) -> Ints:
        """Return the rows of a week, or of one of the other parts."""
        return np.flatnonzero(self.week == week)


@dataclass(frozen=True, kw_only=True)
class Plot:
    """What happens in the year.

    Attributes:
        weeks: how many, >= 4.
        weekly: samples a week.
        first: labelled samples at the beginning.
        held_out: labelled samples of the beginning that judge promotions.
        tail: the commonest class comes so many times as often as the rarest.
        season: how much the mix swings over the year, 0 = not at all, 1 = by a factor e each way.
        spoiled: samples of each import whose labels are swapped.
    """

    weeks: int = 52
    weekly: int = 250
    first: int = 600
    held_out: int = 1500
    tail: float = 5.0
    season: float = 0.6
    spoiled: int = 300

    @property
    def appears(self) -> int:
        """The week in which the new class comes."""
        return round(0.3 * self.weeks)

    @property
    def camera(self) -> int:
        """The week in which the camera is changed."""
        return round(0.65 * self.weeks)

    @property
    def imports(self) -> tuple[int, ...]:
        """The weeks in which labels come that are swapped."""
        return tuple(round(share * self.weeks) for share in (0.15, 0.5, 0.8))


def year_of(ds: Dataset, plot: Plot, *, seed: int) -> Year:
    """Draw a year from labelled pictures.

    Args:
        ds: what :func:`usable` returned.
        plot: what happens.
        seed: of order, mix, new class and swapped classes.

    Raises:
        DataError: too few samples for the year.
    """
    rng = np.random.default_rng([seed, 0x796561])
    codes = ds["label"].astype(np.int64)
    classes = ds.schema.classes
    turn = rng.permutation(len(classes))
    newcomer = int(turn[-1])
    left = {code: list(rng.permutation(np.flatnonzero(codes == code))) for code in range(len(classes))}
    week = np.full(len(codes), UNUSED)
    mixes = [_mix(plot, turn, at, newcomer) for at in range(plot.weeks)]
    old = _mix(plot, turn, -1, newcomer)
    parts = [(FIRST, plot.first, old), (HELD_OUT, plot.held_out, old)]
    parts += [(SUPPLIER, plot.spoiled * len(plot.imports), old)]
    parts += [(at, plot.weekly, mix) for at, mix in enumerate(mixes)]
    for at, size, mix in parts:
        for code, many in enumerate(rng.multinomial(size, mix)):
            if many > len(left[code]):
                raise DataError("study.flywheel", f"{classes[code]} has {int((codes == code).sum())} samples",
                                f"the year needs more of them: {plot.weeks} weeks of {plot.weekly}",
                                "take fewer weeks or samples a week, or --fashion")  # fmt: skip
            week[[left[code].pop() for _ in range(many)]] = at
    shown = np.flatnonzero(week >= plot.camera)
    (features,) = ds.wide.values()
    seen = features.astype(np.float32, copy=True)
    seen[shown] = _other_camera(ds, shown)
    fitted = Projection.fit(seen[week == FIRST], components=COMPONENTS)
    return Year(
        features=np.asarray(fitted(seen), np.float32), codes=codes, week=week, classes=classes, newcomer=newcomer,
        appears=plot.appears, camera=plot.camera, weeks=plot.weeks,
        imports=_imports(plot, np.flatnonzero(week == SUPPLIER), codes, turn[:-1], rng),
    )  # fmt: skip


def usable(ds: Dataset) -> Dataset:
    """Return the pictures outside test that a person labelled, one of each group, with their newest features.

    Args:
        ds: pictures with labels and features.

    Raises:
        DataError: no pictures, no features, or none with a label.
    """
    if ds.schema.modality != "image" or ds.schema.task != "class":
        raise DataError("study.flywheel", f"this is {ds.schema.modality} with {ds.schema.task} labels",
                        "the camera of a year is changed", "take pictures with classes, or --fashion")  # fmt: skip
    found = [name for name in ds.wide if name.startswith("embedding.")]
    if not found:
        raise DataError("study.flywheel", "there are no features", do="run scarce encode")
    rows = np.flatnonzero(development(ds) & vouched(ds) & ds["keep"].astype(bool) & (ds["origin"] == "real")
                          & np.isfinite(ds.wide[found[-1]]).all(1))  # fmt: skip
    alone = np.unique(group_codes(groups_of(ds)[rows]), return_index=True)[1] if len(rows) else rows
    part = ds.take(rows[np.sort(alone)])
    if len(np.unique(part["label"])) < 3:
        what = f"{len(part)} independent pictures outside test have a label of a person"
        raise DataError("study.flywheel", what, "three classes are needed, one of which comes later",
                        "label more, or take --fashion")  # fmt: skip
    return replace(part, wide={found[-1]: part.wide[found[-1]]})


def _mix(plot: Plot, turn: Ints, week: int, newcomer: int) -> Floats:
    """Return the shares of the classes in a week: a long tail whose members have seasons."""
    k = len(turn)
    share = np.zeros(k)
    share[turn] = plot.tail ** (-np.arange(k) / max(1, k - 1))
    phase = 2 * np.pi * (max(week, 0) / plot.weeks + np.argsort(turn) / k)
    share *= np.exp(plot.season * np.sin(phase))
    if week < plot.appears:
        share[newcomer] = 0.0
    return np.asarray(share / share.sum(), np.float64)


def _imports(
    plot: Plot, rows: Ints, codes: Ints, known: Ints, rng: np.random.Generator
) -> dict[int, tuple[Ints, Ints]]:
    """Return each import: rows, and labels with two of the four commonest classes swapped."""
    found = {}
    rows = rng.permutation(rows)
    for place, week in enumerate(plot.imports):
        own = np.sort(rows[place * plot.spoiled : (place + 1) * plot.spoiled])
        common = known[np.argsort(-np.bincount(codes[own], minlength=len(known) + 1)[known], kind="stable")][:4]
        first, second = rng.choice(common, 2, replace=False).tolist()
        labels = codes[own].copy()
        labels[codes[own] == first], labels[codes[own] == second] = second, first
        found[week] = (own, labels)
    return found


def _other_camera(ds: Dataset, rows: Sequence[int] | Ints) -> Floats:
    """Return the features of pictures that the other camera took."""
    from scarce import modality
    from scarce.encode import encoder_of
    from scarce.evaluate.robustness import disturbed

    (embedding,) = ds.wide
    encoder, rng = encoder_of(ds, embedding), np.random.default_rng(0)  # neither blur nor light draws
    found: list[Any] = []
    for start in range(0, len(rows), 512):
        block = np.asarray(rows[start : start + 512])
        changed: list[Array | str] = [
            disturbed(disturbed(np.asarray(one), "blur", BLUR, rng), "light", LIGHT, rng)
            for one in modality.open_samples(ds, block)
        ]
        found.append(encoder.features_of(changed))
    return np.concatenate(found) if found else np.zeros((0, ds.wide[embedding].shape[1]), np.float32)
