"""The production pool: what a served model answered and kept, and what waits without a label in the project.

A sample is its content: what was sent twice is in the pool once, with its first answer for the record and its newest
one for the choice. Bytes that the project held before they were sent (somebody tried the server with a training
picture) are no production.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.flywheel._blind import draws
from scarce.flywheel.queue import Candidates
from scarce.io._listing import sample_id, to_dataset
from scarce.io.production import SOURCE, listed, write_samples

if TYPE_CHECKING:
    from scarce.project import Project

SHADOW: Final = "shadow"
UNKNOWN: Final = "unknown"
MOST: Final = 10_000
"""So many candidates are encoded at most: the most doubtful and rare ones. The audit is drawn from all."""


@dataclass(frozen=True, kw_only=True)
class Logged:
    """One kept production sample.

    Attributes:
        sample: hash of its content.
        request: id of the first answer about it.
        number: of that answer in the log.
        at: when it came.
        answer: class that was answered first; None = none.
        probabilities: class to probability, of the newest answer.
        verdict: of the newest answer.
    """

    sample: str
    request: str
    number: int
    at: str
    answer: str | None
    probabilities: Mapping[str, float]
    verdict: str | None


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool:
    """What may be asked about.

    Attributes:
        candidates: as :func:`~scarce.flywheel.queue.choose` sees them.
        ids: (N,) of the samples, in the project or once they join it.
        logged: (N,) the answers; None = a sample of the project that no served model saw.
        mark: number of the newest answer in the log.
        lost: production samples whose bytes were not kept.
        notes: what a person should know.
    """

    candidates: Candidates
    ids: tuple[str, ...]
    logged: tuple[Logged | None, ...]
    mark: int
    lost: int
    notes: tuple[str, ...] = ()


def folder_of(project: Project) -> Path:
    """Return where production samples are kept."""
    return project.folder / ".scarce" / "production"


def id_of(project: Project, ds: Dataset, sample: str) -> str:
    """Return the id that a kept sample has once it joins the data."""
    return sample_id(source_of(project, ds), sample)


def source_of(project: Project, ds: Dataset) -> str:
    """Return the name of the source that kept samples have in a data set.

    That is ``production``, unless a folder of the user has this name: then it gets a number.
    """
    here = folder_of(project).resolve()
    known = next((name for name, place in ds.sources.items() if Path(place).resolve() == here), None)
    if known is not None:
        return known
    name, turn = SOURCE, 2
    while name in ds.sources:
        name, turn = f"{SOURCE}-{turn}", turn + 1
    return name


def beside(project: Project, ds: Dataset, rows: Sequence[Mapping[str, Any]], *, written: bool = False) -> Dataset:
    """Return the data with kept samples beside it; what is there already stays as it is.

    Args:
        project: in whose folder they lie.
        ds: what there is.
        rows: see :func:`scarce.io.production.listed`.
        written: write the list beside the samples, so that the version can be made again.
    """
    from scarce import io

    source, folder = source_of(project, ds), folder_of(project).resolve()
    if written:
        new = io.read(write_samples(folder, ds.schema.modality, rows), source=source)
    else:
        new = to_dataset(listed(folder, ds.schema.modality, rows, source))
    place = ds.sources.get(source, str(folder))
    return io.merge_sources(ds, replace(new, sources={source: place}))


def logged(rows: Iterable[Mapping[str, Any]]) -> dict[str, Logged]:
    """Return each sample that was answered, by its hash; unseen answers of a challenger do not count.

    Args:
        rows: of the log of predictions, oldest first.
    """
    found: dict[str, Logged] = {}
    for row in rows:
        if row["served_as"] == SHADOW:
            continue
        first = found.get(row["sample"])
        found[row["sample"]] = Logged(
            sample=row["sample"], request=first.request if first else row["request"],
            number=first.number if first else row["number"], at=first.at if first else row["at"],
            answer=first.answer if first else row["label"],
            probabilities=(row["body"] or {}).get("probabilities") or {}, verdict=row["verdict"],
        )  # fmt: skip
    return found


def pool_of(project: Project, *, mark: int = 0, workers: int | None = None, seed: int = 0) -> Pool:
    """Return everything that may be drawn or picked, with features.

    Args:
        project: with a log of predictions.
        mark: number in the log up to which samples were in the frame of an earlier draw.
        workers: threads at most; None = all cores.
        seed: recorded; nothing is drawn.
    """
    ds = project.dataset()
    log = project.state.predictions()
    answers = logged(log)
    held = _Held.of(project, ds)
    both, waiting = held.entrants(answers, mark)
    codes = np.where(_learnt_from(ds), ds["label"], -1)
    probs = _said(both, ds.schema.classes)
    seen = _shortlist(probs, np.bincount(codes[codes >= 0], minlength=len(ds.schema.classes)))
    new = [one for one, wanted in zip(both, seen, strict=True) if wanted and one.sample not in held.own]
    full, features, groups = _encoded(project, ds, new, workers, seed)
    ids = [*(held.id_of(one.sample) for one in both), *(str(ds.ids[row]) for row in waiting)]
    place = {str(name): row for row, name in enumerate(full.ids)}
    rows = np.array([place.get(name, -1) for name in ids], np.int64)
    known = held.covered(ids)
    near = full.rows_of(ds.ids[known])
    none = [False] * len(waiting)
    candidates = Candidates(
        features=np.where((rows >= 0)[:, None], features[rows], np.nan) if len(features) else features,
        probs=_all_probs(full, features, probs, rows[len(both):]),
        frame=np.array([*(one.number > mark for one in both), *none], bool),
        answered=np.array([*(held.is_answered(one.sample) for one in both), *none], bool),
        groups=np.where(rows >= 0, groups[rows], groups.max(initial=-1) + 1 + np.arange(len(ids))),
        known_features=features[near], known_labels=codes[known], known_groups=groups[near],
        classes=ds.schema.classes,
    )  # fmt: skip
    lost = sum(one.sample not in held.kept and one.sample not in held.hashes for one in answers.values())
    notes = [f"{lost} production samples were not kept and cannot be asked about: keep_images = true, below [serve]"]
    more = [f"{int((~seen).sum())} candidates are neither doubtful nor rare; of them only the audit draws"]
    return Pool(
        candidates=candidates, ids=tuple(ids), logged=(*both, *[None] * len(waiting)), lost=lost,
        mark=max((int(row["number"]) for row in log), default=0),
        notes=(*notes * bool(lost), *more * bool((~seen).any())),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Held:
    """What a project has of production.

    Attributes:
        project, ds: the project and its newest version.
        kept: hashes whose bytes lie in the folder of production.
        hashes: of all samples of the data.
        own: hash to row of those that came from production.
        told: hashes that somebody gave feedback about.
        asked: hashes that somebody was asked about in a draw, whatever the data holds now.
        free: (N,) rows that may be asked about.
    """

    project: Project
    ds: Dataset
    kept: frozenset[str]
    hashes: frozenset[str]
    own: Mapping[str, int]
    told: frozenset[str]
    asked: frozenset[str]
    free: Mask

    @classmethod
    def of(cls, project: Project, ds: Dataset) -> _Held:
        from scarce.loop.rounds import askable

        folder, mine = folder_of(project), source_of(project, ds)
        hashes, sources = ds.table["content_hash"].to_pylist(), ds.table["source"].to_pylist()
        own = {name: row for row, (name, source) in enumerate(zip(hashes, sources, strict=True)) if source == mine}
        return cls(
            project, ds, kept=frozenset(one.name for one in folder.iterdir()) if folder.is_dir() else frozenset(),
            hashes=frozenset(name for name in hashes if name is not None), own=own, free=askable(project, ds),
            asked=frozenset(row["sample"] for one in draws(project) for row in one["rows"]),
            told=frozenset(row["sample"] for row in project.state.feedback() if row["label"] is not None),
        )  # fmt: skip

    def entrants(self, answers: Mapping[str, Logged], mark: int) -> tuple[list[Logged], list[int]]:
        """Return the answered samples that may be drawn or picked, by hash, and the rows that nobody answered."""
        both = [
            one for _, one in sorted(answers.items())
            if (one.sample in self.kept and one.sample not in self.hashes and one.sample not in self.asked)
            or (one.sample in self.own and (one.number > mark or self.free[self.own[one.sample]]))
        ]  # fmt: skip
        hashes = self.ds.table["content_hash"].to_pylist()
        answered = {one.sample for one in both}
        return both, [row for row in np.flatnonzero(self.free).tolist() if hashes[row] not in answered]

    def id_of(self, sample: str) -> str:
        row = self.own.get(sample)
        return id_of(self.project, self.ds, sample) if row is None else str(self.ds.ids[row])

    def is_answered(self, sample: str) -> bool:
        """Return whether the label of a sample is known, or asked for already."""
        row = self.own.get(sample)
        return sample in self.told or (row is not None and not self.free[row])

    def covered(self, candidates: list[str]) -> Ints:
        """Return the rows that are labelled, judged on, or wait for an answer, and are no candidates."""
        asked = {row["sample"] for row in self.project.state.queue()}
        ds, names = self.ds, self.ds.ids.astype(str)
        mask = (ds["label"] >= 0) | np.isin(ds["split"].astype(str), ("val", "test")) | np.isin(names, list(asked))
        mask &= ds["keep"].astype(bool) & (ds["origin"] == "real") & ~np.isin(names, candidates)
        return np.flatnonzero(mask)


def _learnt_from(ds: Dataset) -> Mask:
    from scarce.loop.standing import learnt_from

    return learnt_from(ds)


def _said(rows: list[Logged], classes: tuple[str, ...]) -> Floats:
    """Return (N, K) probabilities in the data's order; all alike where the model found a sample unknown."""
    found = np.zeros((len(rows), len(classes)))
    for place, one in enumerate(rows):
        if one.verdict != UNKNOWN:
            found[place] = [one.probabilities.get(name, 0.0) for name in classes]
    total = found.sum(axis=1, keepdims=True)
    alike = np.full_like(found, 1 / max(len(classes), 1))
    return np.where(total > 0, found / np.where(total > 0, total, 1), alike)


def _shortlist(probs: Floats, counts: Ints, most: int = MOST) -> Mask:
    """Return (N,) bool: the most doubtful and rare rows, all where they are few."""
    from scarce.label.query.margin import margin_utility
    from scarce.label.query.priority import rarity_utility

    chosen = np.ones(len(probs), bool)
    if len(probs) > most:
        worth = 0.5 * margin_utility(probs) + 0.3 * rarity_utility(probs, counts)
        chosen[np.argsort(-worth, kind="stable")[most:]] = False
    return chosen


def _encoded(
    project: Project, ds: Dataset, new: list[Logged], workers: int | None, seed: int
) -> tuple[Dataset, Array, Ints]:
    """Return the data with new samples, its features (N, D) and a number that copies share."""
    from scarce import audit, modality
    from scarce.label.query import copy_groups
    from scarce.loop.measure import with_features

    rows = [{"sample": one.sample, "at": one.at} for one in new]
    full = beside(project, ds, rows) if rows else ds
    full = modality.scan(full, workers=workers, cache=project.features / "scan")
    full = with_features(project, full, workers=workers, seed=seed)
    name = next(name for name in reversed(list(full.wide)) if name.startswith("embedding."))
    checked = audit.run(full, ("exact_duplicate", "near_duplicate"), seed=seed, workers=workers,
                        settings=project.config.audit.plugins)  # fmt: skip
    return full, np.asarray(full[name], np.float32), copy_groups(checked)


def _all_probs(full: Dataset, features: Array, probs: Floats, waiting: Ints) -> Floats:
    """Return the probabilities with those of a probe for samples that no served model saw."""
    from scarce.loop.standing import probabilities

    if not len(waiting):
        return probs
    found = probabilities(full, features)
    alike = np.full((len(waiting), probs.shape[1]), 1 / max(probs.shape[1], 1))
    return np.concatenate([probs, alike if found is None else found[waiting]])
