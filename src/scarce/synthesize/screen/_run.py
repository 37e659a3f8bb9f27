"""The driver of the screen: which synthetic samples may be trained on, and why the others may not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from scarce import encode, registry
from scarce.dataset import Array, Dataset, FoldView, Ints, Mask
from scarce.errors import DataError, unknown_name
from scarce.lineage import Step
from scarce.progress import track
from scarce.synthesize.screen._base import AbstractScreen, Exam, plain

WHO: Final = "synthesize.screen"
STAGE: Final = "synthesize.screen"
MARK: Final = "screen: "
"""How the drop reason of a refused sample begins."""
Settings = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Screened:
    """What became of M synthetic samples.

    Attributes:
        ids: (M,) samples.
        classes: (M,) class that each claims.
        reasons: (M,) why it was refused, the screen's name first; "" = accepted.
        scores: screen to (M,) scores in [0, 1], 1 = worst, NaN where it did not judge.
        summary: screen to what it measured, plain values.
        share: class to synthetic share of the training samples, accepted ones counted.
        warnings: sentences for people.
    """

    ids: Array
    classes: Array
    reasons: tuple[str, ...]
    scores: Mapping[str, Array] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    share: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def accepted(self) -> Mask:
        """(M,) bool."""
        return np.array([not why for why in self.reasons], bool)

    @property
    def passed(self) -> Array:
        """Ids of the accepted samples."""
        return self.ids[self.accepted]

    def counts(self) -> dict[str, int]:
        """Return how many each screen refused; a sample counts for the first screen that refused it."""
        first = [why.partition(":")[0] for why in self.reasons if why]
        return {name: first.count(name) for name in dict.fromkeys(first)}

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        samples = [
            {"id": str(sample), "class": str(name), "accepted": not why, "reason": why,
             "scores": {screen: float(values[row]) for screen, values in self.scores.items()}}
            for row, (sample, name, why) in enumerate(zip(self.ids, self.classes, self.reasons, strict=True))
        ]  # fmt: skip
        return plain({
            "accepted": int(self.accepted.sum()), "refused": int((~self.accepted).sum()), "by_screen": self.counts(),
            "synthetic_share": dict(self.share), "warnings": list(self.warnings), "screens": dict(self.summary),
            "samples": samples,
        })  # fmt: skip


def judge(
    view: FoldView, only: str | Sequence[str] | None = None, *, embedding: str = "", seed: int = 0,
    settings: Settings | None = None, most_share: float = 0.5,
) -> Screened:  # fmt: skip
    """Judge the synthetic samples that a fold may train on, by its real training samples alone.

    Args:
        view: its evaluation side is never looked at.
        only: names of screens; None = all.
        embedding: the features' column, ``embedding.<encoder>``; "" = the newest. What is missing is encoded.
        seed: of everything drawn.
        settings: parameters per screen, for example ``{"duplicate": {"distance": 0.01}}``.
        most_share: synthetic share of a class's training samples above which a warning is given.

    Raises:
        UnknownNameError: no such screen.
        ConfigError: a parameter is unknown or has a wrong value.
        DataError: there are no features, or no real training sample.
    """
    screens = ordered(only, settings)
    exam = _exam(view, embedding, seed)
    n = len(exam.made)
    if not n:
        return Screened(np.zeros(0, object), np.zeros(0, object), ())
    found = by_turn(screens, exam)
    share = _share(exam, found.accepted)
    return replace(found, share=share, warnings=(*found.warnings, *share_warnings(share, most_share)))


def share_warnings(share: Mapping[str, float], most: float) -> tuple[str, ...]:
    """Return a sentence for each class whose synthetic share is over the limit."""
    return tuple(
        f"{name}: {part:.0%} of its training samples would be synthetic, more than {most:.0%}"
        for name, part in share.items() if part > most
    )  # fmt: skip


def by_turn(screens: Sequence[AbstractScreen], exam: Exam) -> Screened:
    """Let screens judge one exam, each on what those of earlier turns left."""
    n = len(exam.made)
    reasons: list[list[str]] = [[] for _ in range(n)]
    scores: dict[str, Array] = {}
    summary: dict[str, Any] = {}
    warnings: list[str] = []
    for turn in sorted({screen.turn for screen in screens}):
        left = np.flatnonzero([not why for why in reasons])
        if not len(left):
            break
        part = exam.within(left)
        for screen in track([screen for screen in screens if screen.turn == turn], "screen"):
            name, found = screen.plugin_name(), screen.judge(part)
            scores[name] = np.full(n, np.nan)
            scores[name][left] = found.score
            summary[name] = {**found.summary, "judged": len(left), "refused": len(found.reasons)}
            warnings += [f"{name}: {text}" for text in found.warnings]
            for place, why in found.reasons.items():
                reasons[int(left[place])].append(f"{name}: {why}")
    names = np.array([exam.name(code) for code in exam.wanted], object)
    told = tuple("; ".join(why) for why in reasons)
    return Screened(exam.ds.ids[exam.made], names, told, scores, summary, {}, tuple(warnings))


def run(
    ds: Dataset, only: str | Sequence[str] | None = None, *, embedding: str = "", seed: int = 0,
    settings: Settings | None = None, most_share: float = 0.5,
) -> Dataset:  # fmt: skip
    """Set aside the synthetic samples that do not pass; real and augmented ones are not touched.

    Everything is fitted on kept, real, labelled training samples. Refused samples get ``keep`` = False and a
    ``drop_reason`` that begins with ``screen:``; warnings become findings of the check ``screen``.

    Args:
        ds: the data with synthetic rows, split.
        only: see :func:`judge`.
        embedding: see :func:`judge`.
        seed: see :func:`judge`.
        settings: see :func:`judge`.
        most_share: see :func:`judge`.

    Raises:
        LeakError, UnknownNameError, ConfigError, DataError: see :func:`judge`.
    """
    found = judge(training_view(ds), only, embedding=embedding, seed=seed, settings=settings, most_share=most_share)
    return applied(ds, found, params={"only": _names(only), "settings": dict(settings or {}), "seed": seed})


def training_view(ds: Dataset) -> FoldView:
    """Return the view whose training side is all of the training split and whose evaluation side is empty."""
    train = (ds["split"] == "train") & (ds["origin"] == "real") & ds["keep"].astype(bool)
    return ds.fold(ds.ids[train], ())


def applied(ds: Dataset, found: Screened, *, params: Mapping[str, Any] | None = None) -> Dataset:
    """Return the data with the refused samples set aside and the warnings as findings.

    A kept synthetic sample that was not judged, since one of its parents is no kept real training sample, is set aside.
    """
    keep = ds["keep"].astype(bool).copy()
    why = ds["drop_reason"].astype(object).copy()
    said = dict(zip(found.ids.tolist(), found.reasons, strict=True))
    for row in np.flatnonzero(keep & (ds["origin"] == "synthetic")).tolist():
        reason = said.get(ds.ids[row], "parents: one of them is no kept real training sample")
        if reason:
            keep[row], why[row] = False, MARK + reason
    told = [
        {"level": "data", "members": [], "score": 0.5, "why": text} for text in found.warnings
    ]  # fmt: skip
    out = ds.with_columns({"keep": keep, "drop_reason": why.tolist()})
    if told or "screen" in ds.findings["check"].to_pylist():
        out = out.with_findings("screen", told)
    values = {**(params or {}), "accepted": int(found.accepted.sum()), "refused": int((~found.accepted).sum())}
    return out.with_step(Step(stage="synthesize", name="screen", params=values))


def _names(only: str | Sequence[str] | None) -> list[str]:
    known = registry.names(STAGE)
    asked = list(known) if only is None else [only] if isinstance(only, str) else list(only)
    for name in asked:
        if registry.canonical(name) not in known:
            raise unknown_name(WHO, "screen", name, known)
    return [registry.canonical(name) for name in asked]


def ordered(only: str | Sequence[str] | None, settings: Settings | None) -> list[AbstractScreen]:
    """Return the screens of these names with their settings, in the order of their turns."""
    params = {registry.canonical(name): values for name, values in (settings or {}).items()}
    wanted = _names(only)
    _names(list(params))
    kinds = [registry.load(STAGE, name, AbstractScreen) for name in dict.fromkeys(wanted)]  # type: ignore[type-abstract]
    built = [kind.from_params(params.get(kind.plugin_name(), {})) for kind in kinds]
    return sorted(built, key=lambda screen: screen.turn)


def _exam(view: FoldView, embedding: str, seed: int) -> Exam:
    ds = view.train
    column = embedding or ([""] + [name for name in ds.wide if name.startswith("embedding.")])[-1]
    if not column or column not in ds.wide:
        there = ", ".join(name for name in ds.wide if name.startswith("embedding.")) or "no features"
        raise DataError(WHO, f"there is no {column or 'embedding'}", f"there are {there}", "run scarce encode")
    made: Ints = np.flatnonzero((ds["origin"] == "synthetic") & (ds["label"] >= 0))
    if len(made) and not np.isfinite(ds[column][made]).all():
        ds = encode.again(ds, column, seed=seed)
    finite = np.isfinite(ds[column]).all(axis=1)
    real: Ints = np.flatnonzero((ds["origin"] == "real") & (ds["label"] >= 0) & finite)
    if len(made) and not len(real):
        raise DataError(WHO, "there is no real, labelled training sample with features", do="label some, and encode")
    return Exam(ds, real, made, column, seed)


def _share(exam: Exam, accepted: Mask) -> dict[str, float]:
    made = np.bincount(exam.wanted[accepted], minlength=len(exam.ds.schema.classes))
    real = np.bincount(exam.labels, minlength=len(exam.ds.schema.classes))
    return {exam.name(code): float(made[code] / max(made[code] + real[code], 1)) for code in exam.codes()}
