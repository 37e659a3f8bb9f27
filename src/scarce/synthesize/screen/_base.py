"""The frame of a screen: what it sees, the one hook it fills, and what it returns."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np

from scarce import modality
from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import DataError, ScarceError
from scarce.recipe import parse
from scarce.registry import Plugin

T = TypeVar("T")


class Candidate(NamedTuple):
    """A sample that was just made and is in no dataset yet.

    Attributes:
        name: unique; names sort in the order in which the samples were made.
        content: uint8 picture (H, W) or (H, W, 3), or text.
        label: the class that it claims.
        canvas: id of the real picture that it was drawn on; "" = none.
        parents: ids of all real samples that it was made from.
    """

    name: str
    content: Array | str
    label: str
    canvas: str = ""
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Exam:
    """Real training samples and the synthetic ones that want to join them; nothing else may be fitted on.

    Attributes:
        ds: a fold's training side, real and synthetic rows.
        real: (R,) row numbers of the real, labelled samples.
        made: (M,) row numbers of the synthetic samples.
        embedding: the column that holds the features.
        seed: of everything drawn.
        fresh: the M synthetic samples, where they are in memory only; empty = the rows say where they lie.
        earlier: class code to names and (E, D) features of samples that were accepted before these.
        memo: what was fitted on the real samples, kept from one exam to the next by :meth:`once`.
    """

    ds: Dataset
    real: Ints
    made: Ints
    embedding: str
    seed: int = 0
    fresh: tuple[Candidate, ...] = ()
    earlier: Mapping[int, tuple[Sequence[str], Floats]] = field(default_factory=dict)
    memo: dict[Any, Any] = field(default_factory=dict)

    def once(self, key: Any, fit: Callable[[], T]) -> T:
        """Return what was fitted on the real samples under a key; it is fitted the first time only."""
        if key not in self.memo:
            self.memo[key] = fit()
        found: T = self.memo[key]
        return found

    @cached_property
    def real_features(self) -> Floats:
        """(R, D) float32."""
        return np.asarray(self.ds[self.embedding][self.real], np.float32)

    @cached_property
    def made_features(self) -> Floats:
        """(M, D) float32; NaN where a sample could not be encoded."""
        return np.asarray(self.ds[self.embedding][self.made], np.float32)

    @cached_property
    def sound(self) -> Ints:
        """Places among ``made`` whose features are known."""
        return np.flatnonzero(np.isfinite(self.made_features).all(axis=1))

    @cached_property
    def labels(self) -> Ints:
        """(R,) class codes of the real samples."""
        return np.asarray(self.ds["label"][self.real], np.int64)

    @cached_property
    def wanted(self) -> Ints:
        """(M,) class codes that the synthetic samples claim."""
        return np.asarray(self.ds["label"][self.made], np.int64)

    @cached_property
    def groups(self) -> Array:
        """(N,) name of the split group of every row of ``ds``; a row without one stands alone."""
        named = self.ds["split_group"] if "split_group" in self.ds else np.full(len(self.ds), None, object)
        return np.array([i if g is None else g for g, i in zip(named, self.ds.ids, strict=True)], object)

    @cached_property
    def canvases(self) -> Array:
        """(M,) id of the picture that each sample was drawn on; "" where it has none."""
        if self.fresh:
            return np.array([candidate.canvas for candidate in self.fresh], object)
        return np.array([canvas_of(recipe) for recipe in self.ds["recipe"][self.made]], object)

    @cached_property
    def kin(self) -> Array:
        """(M,) split group of the canvas, whose pictures are alike by design; "" where there is none."""
        group_of = dict(zip(self.ds.ids.tolist(), self.groups.tolist(), strict=True))
        return np.array([group_of.get(canvas, "") for canvas in self.canvases], object)

    def within(self, places: Ints) -> Exam:
        """Return the exam with some of the synthetic samples only."""
        fresh = tuple(self.fresh[place] for place in places.tolist()) if self.fresh else ()
        return replace(self, made=self.made[places], fresh=fresh)

    def opened(self, places: Sequence[int]) -> list[Array | str]:
        """Return decoded samples; a reason in place of those that cannot be opened; texts count as opened."""
        if self.ds.schema.modality == "text":
            return [np.zeros(1) for _ in places]
        if self.fresh:
            return [np.asarray(self.fresh[place].content) for place in places]
        return opened_rows(self.ds, [int(self.made[place]) for place in places])

    def codes(self) -> list[int]:
        """Return the classes that synthetic samples claim."""
        return [int(code) for code in np.unique(self.wanted)]

    def name(self, code: int) -> str:
        """Return the name of a class."""
        return self.ds.schema.classes[code]


@dataclass(frozen=True)
class Judgement:
    """What a screen says about M synthetic samples.

    Attributes:
        score: (M,) in [0, 1], 1 = worst; NaN = not judged.
        reasons: place among the samples to the reason why it is refused; those that are not named pass.
        summary: plain values for JSON: limits, distances, what was compared.
        warnings: sentences for people.
    """

    score: Floats
    reasons: Mapping[int, str] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class AbstractScreen(Plugin, ABC):
    """Base of every screen: it sees a fold's training side and refuses synthetic samples with a reason."""

    turn: ClassVar[int] = 1
    """When it runs: 0 first, 1 on what is left, 2 to compare those with each other, 3 to measure what passed."""

    @abstractmethod
    def judge(self, exam: Exam) -> Judgement:
        """Judge the M synthetic samples of an exam; M >= 1, and real samples are there."""


def canvas_of(recipe: str | None) -> str:
    """Return the id of the picture that a recipe draws on; "" without a recipe that scarce can replay."""
    try:
        return parse(recipe).base if recipe else ""
    except DataError:
        return ""


def real_limits(nearest: Floats, share: float) -> float:
    """Return the ``share`` quantile of the real samples' own distances; NaN where fewer than 8 are known."""
    known = nearest[np.isfinite(nearest)]
    return float(np.quantile(known, share)) if len(known) >= 8 else float("nan")


def nearest_real(exam: Exam, block: int = 1024) -> tuple[Floats, Floats, Ints]:
    """Return how far each sample lies from the nearest real one of another group, in standardized features.

    Distances are one minus the cosine after the mean of the real samples was taken off.

    Returns:
        (R,) distances of the real samples, (M,) of the synthetic ones (their canvas's group is left out), and (M,) the
        place among the real ones that is nearest; inf and -1 where there is none.
    """
    center, real = exam.once("real", lambda: _centered(exam.real_features))
    made = unit_rows(exam.made_features - center)
    names = exam.groups[exam.real].tolist()
    named = {name: code for code, name in enumerate(dict.fromkeys(names))}
    own = np.array([named[name] for name in names], np.int64)
    kin = np.array([named.get(name, -1) for name in exam.kin], np.int64)
    far_real = exam.once("far", lambda: np.concatenate([
        _nearest(real[start : start + block], own[start : start + block], real, own)[0]
        for start in range(0, len(real), block)
    ]))  # fmt: skip
    parts = [_nearest(made[s : s + block], kin[s : s + block], real, own) for s in range(0, len(made), block)]
    return far_real, np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _centered(features: Floats) -> tuple[Floats, Floats]:
    center = features.mean(axis=0)
    return center, unit_rows(features - center)


def opened_rows(ds: Dataset, rows: list[int]) -> list[Array | str]:
    """Return decoded rows; a reason in place of those that cannot be opened; texts count as opened."""
    if ds.schema.modality == "text":
        return [np.zeros(1) for _ in rows]
    try:
        return [np.asarray(item) for item in modality.open_samples(ds, rows)]
    except (ScarceError, OSError) as error:
        if len(rows) == 1:
            return [f"it cannot be opened: {getattr(error, 'what', error)}"]
    return [item for row in rows for item in opened_rows(ds, [row])]


def _nearest(rows: Floats, own: Ints, real: Floats, groups: Ints) -> tuple[Floats, Ints]:
    likeness = rows @ real.T
    likeness[own[:, None] == groups[None]] = -np.inf
    place = np.where(np.isfinite(rows).all(axis=1), np.nan_to_num(likeness, nan=-np.inf).argmax(axis=1), -1)
    best = likeness[np.arange(len(rows)), place]
    return np.where(np.isfinite(best), 1 - best, np.where(np.isnan(best), np.nan, np.inf)), place


def unit_rows(rows: Floats) -> Floats:
    length = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    unit: Floats = rows / np.where(length > 1e-12, length, np.inf)[:, None]
    return unit


def distance_name(encoder: str, plain: str, inception: str) -> str:
    """Return what a distance may be called: FID and KID stand for Inception features, others name their encoder."""
    name = encoder.removeprefix("embedding.")
    return inception if name.startswith("inception") else f"{plain} on {name}"


def checked_features(real: Array, synthetic: Array, who: str, least: int = 2) -> tuple[Floats, Floats]:
    """Return both as float arrays.

    Raises:
        DataError: they are no (N, D) and (M, D) with finite values, or one has fewer rows than ``least``.
    """
    first, second = np.asarray(real), np.asarray(synthetic)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        what = f"features have shapes {first.shape} and {second.shape}"
        raise DataError(who, what, do="give (N, D) and (M, D) of one encoder")
    if min(len(first), len(second)) < least:
        what = f"there are {len(first)} real and {len(second)} synthetic samples"
        raise DataError(who, what, f"at least {least} of both are needed", "make or collect more")
    for name, rows in (("real", first), ("synthetic", second)):
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            what = f"{int((~finite).sum())} of {len(rows)} {name} rows have features that are not finite"
            raise DataError(who, what, do="leave them out")
    return first, second


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return numbers as JSON can hold them: NaN and infinities become null."""

    def clean(item: Any) -> Any:
        if isinstance(item, Mapping):
            return {str(key): clean(value) for key, value in item.items()}
        if isinstance(item, list | tuple):
            return [clean(value) for value in item]
        if isinstance(item, float | np.floating):
            return round(float(item), 6) if np.isfinite(item) else None
        return item.item() if isinstance(item, np.generic) else item

    made: dict[str, Any] = json.loads(json.dumps(clean(values)))
    return made
