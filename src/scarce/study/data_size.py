"""How much data is enough, and with how little of it augmentation helps: pictures, texts and series."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from scarce import augment, train
from scarce.augment._run import MOST_COPIES
from scarce.augment.flip import Flip
from scarce.augment.policy import Policy, guess_domain, policy
from scarce.augment.rotate import Rotate
from scarce.ballot import vouched
from scarce.dataset import Array, Dataset, FoldView, Ints
from scarce.errors import ConfigError, DataError
from scarce.folds import development, groups_of
from scarce.lineage import digest
from scarce.study._base import AbstractStudy, Finding, within
from scarce.study._candidates import as_training
from scarce.study._data import held_out, scores
from scarce.study._forest import forest
from scarce.study._journal import Journal
from scarce.study._page import results_page
from scarce.study._seeds import gain_over_seeds, judge, over_seeds, points, share_over_seeds, shares
from scarce.train.finetune import Finetune
from scarce.train.minirocket import Minirocket
from scarce.train.tfidf_linear import TfidfLinear

QUESTION: Final = "How much data is enough, and where does augmentation help?"
PLAIN: Final = "real"
FLIPS: Final = Policy((Flip(horizontal=0.5), Rotate(angle=(-15.0, 15.0))), name="flip_rotation")
PARTS: Final = 5
"""One part of five judges: 80/20."""
TEST: Final = "test"
METRICS: Final = ("balanced_accuracy", "accuracy")


@final
@dataclass(frozen=True, kw_only=True)
class DataSize(AbstractStudy):
    """Train on all data, on less, and on less with augmentation, and say where augmentation helps.

    Use before growing a data set or collecting more of it. Pictures teach a small network from scratch, which sees
    another variant in each epoch; texts a linear head on TF-IDF and series MiniRocket, on the samples and ``copies``
    variants of each. Every seed holds out another grouped, stratified fifth, which judges; smaller sizes are parts of
    the larger ones, each class keeps its share and at least one sample. After the last seed the test split is looked
    at once, with the first seed and the most epochs.
    Needs: labels of people. Writes nothing to the data.
    Source: the learning curves of Wei and Zou 2019 (EDA): most gain with 500 texts, least with all.

    Args:
        sizes: training samples of the reduced data.
        epochs: of the network, each by itself; texts and series are fitted to the end.
        policies: of augmentation; empty = for pictures ``flip_rotation`` (mirrored left-right, turned by up to 15
            degrees) and the policy of the domain, else that of the kind of data.
        copies: variants of each text or series.
        most: training samples that are taken as all.
        judged: held-out samples at most.
        seeds: repeats, each with its own held-out fifth, samples and first weights.
        network: of ``finetune``.
        batch: samples a step.
    """

    sizes: tuple[int, ...] = (100, 300)
    epochs: tuple[int, ...] = (10, 30)
    policies: tuple[str, ...] = ()
    copies: int = 4
    most: int = 1000
    judged: int = 1000
    seeds: int = 10
    network: str = "auto"
    batch: int = 32

    def run(self, ds: Dataset, *, journal: Path | None, minutes: float, seed: int) -> Finding:
        """Return scores, gains of augmentation and verdicts; see the base.

        Raises:
            ConfigError: numbers that leave nothing to train or judge, or more than the data has.
            DataError: data that is not studied, or a class without training samples.
            UnknownNameError: there is no such policy.
        """
        self._check()
        work = _Work.of(ds, self)
        setting = {name: value for name, value in self.params().items()
                   if name not in {"seeds", "sizes", "epochs", "policies"}}  # fmt: skip
        kept = Journal(journal, {**setting, "seed": seed, "content": work.content()})
        cells = [_Cell(size, epochs, arm) for size in work.sizes for epochs in work.epochs for arm in work.arms]
        keys = [f"{repeat}/{cell}" for repeat in range(self.seeds) for cell in cells]
        looks = [f"{TEST}/{cell}" for cell in cells if cell.epochs == work.epochs[-1]] if len(work.test) else []
        for key in within([*keys, *looks], list(kept.done), minutes=minutes, what="trainings"):
            repeat, _, name = key.partition("/")
            cell = next(cell for cell in cells if str(cell) == name)
            number = 0 if repeat == TEST else int(repeat)
            kept.add(key, work.measured(cell, seed + number, test=repeat == TEST))
        body = self._found(work, cells, kept.done, seed)
        return Finding(QUESTION, body, _page(body))

    def _check(self) -> None:
        least = (*self.sizes, *self.epochs, self.copies, self.most, self.judged, self.seeds, self.batch)
        if min(least) < 1 or not self.sizes or not self.epochs or self.copies > MOST_COPIES:
            what = (
                f"sizes = {list(self.sizes)}, epochs = {list(self.epochs)}, copies = {self.copies}, "
                f"most = {self.most}, judged = {self.judged}, seeds = {self.seeds}, batch = {self.batch}"
            )
            do = f"take 1 or more of each, and at most {MOST_COPIES} copies"
            raise ConfigError("study", what, do=do)

    def _found(self, work: _Work, cells: list[_Cell], done: Mapping[str, Any], seed: int) -> dict[str, Any]:
        whole = [r for r in range(self.seeds) if all(f"{r}/{cell}" in done for cell in cells)]
        body: dict[str, Any] = {
            "question": QUESTION, "setting": self.params(), "seed": seed, "seeds_done": len(whole),
            "seeds_wanted": self.seeds, "modality": work.ds.schema.modality, "classes": list(work.ds.schema.classes),
            "all": work.sizes[-1], "judged": len(work.split(seed)[1]), "arms": work.told(), "cells": [],
            "seconds": round(sum(found["seconds"] for found in done.values()), 1), "tested": len(work.test),
        }  # fmt: skip
        if not whole:
            return body

        def values(cell: _Cell, name: str) -> Array:
            return np.array([done[f"{r}/{cell}"][name] for r in whole], np.float64)

        for cell in cells:
            plain = _Cell(cell.size, cell.epochs, PLAIN)
            own = {name: values(cell, name) for name in METRICS}
            row: dict[str, Any] = {"size": cell.size, "epochs": cell.epochs or None, "arm": cell.arm}
            row |= {name: {**share_over_seeds(found), "spread": _spread(found)} for name, found in own.items()}
            took = values(cell, "seconds")
            row["training_seconds"] = {**over_seeds(took), "spread": _spread(took)}
            row["rows"] = round(float(values(cell, "rows").mean()), 1)
            if cell.arm != PLAIN:
                row["gain"] = gain_over_seeds(own[METRICS[0]] - values(plain, METRICS[0]))
            look = done.get(f"{TEST}/{cell}")
            row["test"] = None if look is None else {name: look[name] for name in METRICS}
            body["cells"].append(row)
        judge([row["gain"] for row in body["cells"] if "gain" in row])
        return body


@dataclass(frozen=True)
class _Cell:
    """What is trained: so many real samples, epochs (0 = to the end) and an arm."""

    size: int
    epochs: int
    arm: str

    def __str__(self) -> str:
        return f"{self.size}/{self.epochs}/{self.arm}"


@dataclass(frozen=True, eq=False)
class _Work:
    """The samples that are drawn from, and how they are augmented and learned."""

    ds: Dataset
    study: DataSize
    rows: Ints
    test: Ints
    policies: Mapping[str, Policy]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, ds: Dataset, study: DataSize) -> _Work:
        kind = ds.schema.modality
        if kind not in ("image", "text", "time_series") or ds.schema.task != "class":
            what = f"this is {kind} with {ds.schema.task} labels"
            raise DataError("study", what, "data_size is about classes of pictures, texts and series")
        rows = np.flatnonzero(development(ds) & vouched(ds))
        counts = np.bincount(ds["label"][rows].astype(np.int64), minlength=len(ds.schema.classes))
        short = [f"{name} has {count}" for name, count in zip(ds.schema.classes, counts, strict=True) if count < 2]
        if short or len(counts) < 2:
            what = "every class needs two labelled samples outside test, and two classes are needed"
            there = "; ".join(short) or f"{len(counts)} class"
            raise DataError("study", what, there, "label more, or leave the class out")
        judging = ds["keep"].astype(bool) & (ds["label"] >= 0) & (ds["origin"] == "real") & (ds["split"] == "test")
        work = cls(ds, study, rows, np.flatnonzero(judging), _policies(ds, study.policies), ())
        left = len(work.split(0)[0])
        most = min(study.most, left - left // 50)  # folds of groups differ a little in size
        if max(study.sizes) >= most or min(study.sizes) < len(counts):
            what = f"sizes = {sorted(study.sizes)}"
            said = f"{left} samples are left to train on after a fifth was held out, most = {study.most}"
            raise ConfigError("study", what, said, f"take sizes from {len(counts)} (one of a class) to below {most}")
        return cls(ds, study, rows, work.test, work.policies, (*sorted(set(study.sizes)), most))

    @property
    def epochs(self) -> tuple[int, ...]:
        """Numbers of epochs; (0,) where models are fitted to the end."""
        return tuple(sorted(set(self.study.epochs))) if self.ds.schema.modality == "image" else (0,)

    @property
    def arms(self) -> tuple[str, ...]:
        """The plain arm, and one for each policy."""
        return (PLAIN, *self.policies)

    def told(self) -> dict[str, Any]:
        """Return arm to its policy in plain values."""
        return {PLAIN: None, **{name: chosen.params() for name, chosen in self.policies.items()}}

    def content(self) -> str:
        """Return a hash of samples, labels, groups and policies."""
        told = [*self.ds.ids[self.rows].tolist(), *map(str, self.ds["label"][self.rows])]
        told += [*map(str, groups_of(self.ds)[self.rows]), *self.ds.ids[self.test].tolist()]
        return digest("data_size", *told, *(repr(chosen.params()) for chosen in self.policies.values()))

    def split(self, seed: int) -> tuple[Ints, Ints]:
        """Return the rows that may be trained on, those that a smaller size takes first, and those that judge."""
        held = held_out(self.ds, self.rows, PARTS, seed)
        rng = np.random.default_rng([seed, 0x73697A])
        own = rng.permutation(self.rows[~held])
        codes, place = self.ds["label"][own].astype(np.int64), np.empty(len(own))
        for code in np.unique(codes):
            of_class = np.flatnonzero(codes == code)
            place[of_class] = (np.arange(len(of_class)) + 0.5) / len(of_class)
            place[of_class[0]] -= 1.0
        return own[np.argsort(place, kind="stable")], rng.permutation(self.rows[held])[: self.study.judged]

    def measured(self, cell: _Cell, seed: int, *, test: bool) -> dict[str, Any]:
        """Return the scores of one training, its rows and its seconds."""
        own, judged = self.split(seed)
        judged, fitted = self.test if test else judged, own[: cell.size]
        part = as_training(self.ds, np.concatenate([fitted, judged]))
        ids, chosen = part.ids, self.policies.get(cell.arm)
        learned = ids[: len(fitted)]
        started = time.perf_counter()
        if self.ds.schema.modality == "image":
            trainer = Finetune(network=self.study.network, batch=self.study.batch, epochs=cell.epochs, validation=0.0,
                               loss="cross_entropy", sampling=0.0, augment="none", mirror="no")  # fmt: skip
            view = part.fold(learned, ids[len(fitted) :])
            model = train.fit(view, trainer, seed=seed, online=chosen)
        else:
            view = self._grown(part, learned, ids[len(fitted) :], chosen, seed)
            head = TfidfLinear(folds=0) if self.ds.schema.modality == "text" else Minirocket(folds=0)
            model = train.fit(view, head, seed=seed)
        seconds = time.perf_counter() - started
        found = scores(view.eval["label"].astype(np.int64), model.logits(view.eval).argmax(1))
        return {**found, "rows": len(view.train), "seconds": round(seconds, 2)}

    def _grown(self, part: Dataset, learned: Array, judged: Array, chosen: Policy | None, seed: int) -> FoldView:
        if chosen is None:
            return part.fold(learned, judged)
        names, codes = part.schema.classes, part["label"][: len(learned)].astype(np.int64)
        counts = {name: self.study.copies * count for name, count in
                  zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True) if count}  # fmt: skip
        grown = augment.run(part, chosen, counts=counts, seed=seed, ids=learned.tolist())
        new = grown.ids[np.isin(grown.ids, part.ids, invert=True)]
        return grown.fold(np.concatenate([learned, new]), judged)


def _policies(ds: Dataset, asked: tuple[str, ...]) -> dict[str, Policy]:
    """Return name to policy: those asked for, or the usual ones, ready and for this kind of data."""
    kind = ds.schema.modality
    usual = ("flip_rotation", guess_domain(ds)[0]) if kind == "image" else (guess_domain(ds)[0],)
    found = {name: FLIPS if name == FLIPS.name else policy(name) for name in asked or usual}
    for name, chosen in found.items():
        if chosen.modality != kind:
            raise ConfigError("study", f"policy {name} changes {chosen.modality}", f"this is {kind}", "name another")
        for operation in chosen.parts():
            operation.ready()
    return found


def _spread(values: Array) -> float | None:
    """Return the standard deviation between seeds; None of one."""
    return float(values.std(ddof=1)) if len(values) > 1 else None


def conclusion(body: Mapping[str, Any]) -> str:
    """Return where augmentation helps, where it hurts, and where nothing is proven, and what less data cost."""
    if not body["cells"]:
        return "Nothing was measured yet."
    said: dict[str, list[str]] = {"helps": [], "hurts": [], "no evidence": []}
    for row in body["cells"]:
        if "gain" in row:
            said[row["gain"]["verdict"]].append(f"{row['arm']} with {_where(row)} ({points(row['gain'])})")
    parts = [f"{verdict}: {', '.join(cells)}" for verdict, cells in said.items() if cells]
    if not said["helps"]:
        parts.insert(0, "augmentation is nowhere proven to help")
    last = max(row["epochs"] or 0 for row in body["cells"])
    plain = [row for row in body["cells"] if row["arm"] == PLAIN and (row["epochs"] or 0) == last]
    curve = ", ".join(f"{row[METRICS[0]]['mean']:.1%} with {row['size']:,}" for row in plain)
    return f"Real samples alone reach {curve}. Augmentation, points with 95 % intervals: {'; '.join(parts)}."


def _where(row: Mapping[str, Any]) -> str:
    return f"{row['size']:,}" + (f" in {row['epochs']} epochs" if row["epochs"] else "")


def table_of(body: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the table."""
    head = ["samples", "trained on", "balanced accuracy", "spread", "gain", "verdict", "seconds", "test, one look"]
    rows = []
    for row in body["cells"]:
        own, gain, took = row[METRICS[0]], row.get("gain"), row["training_seconds"]
        rows.append([
            _where(row), row["arm"], shares(own), "" if own["spread"] is None else f"{100 * own['spread']:.1f}",
            "" if gain is None else points(gain), "" if gain is None else gain["verdict"],
            f"{took['mean']:.1f}" + ("" if took["spread"] is None else f" (spread {took['spread']:.1f})"),
            "" if row["test"] is None else f"{row['test'][METRICS[0]]:.1%}",
        ])  # fmt: skip
    return head, rows


def _page(body: Mapping[str, Any]) -> str:
    looked = any(row["test"] for row in body["cells"])
    said = [
        (
            f"{body['seeds_done']} of {body['seeds_wanted']} seeds; all is {body['all']:,} training samples; judged on "
            f"{body['judged']:,} others, one fifth, another one with every seed; {body['seconds'] / 60:.0f} minutes of "
            "training in all."
        ),
        conclusion(body),
        "Gains are against the same samples without augmentation, in points, with 95 % intervals over seeds; verdicts "
        "are corrected for the number of gains (Holm). Spread is the standard deviation between seeds, in points. The "
        "test split was " + ("looked at once, with the first seed." if looked else "not looked at."),
    ]  # fmt: skip
    head, rows = table_of(body)
    panels: dict[str, dict[str, Any]] = {}
    for row in body["cells"]:
        panels.setdefault(_where(row), {})[row["arm"]] = row[METRICS[0]]
    figure = forest(panels, "balanced accuracy by size, epochs and augmentation") if panels else None
    return results_page(QUESTION, said, head, rows, figure=figure)
