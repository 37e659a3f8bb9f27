"""The phases as a detector sees them: boxes that people drew, or around what masks show, and how well it finds them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scarce import modality, train
from scarce.ballot import vouched
from scarce.dataset import Array, Dataset, Floats, FoldView, Ints, Mask
from scarce.decision import TrainSet
from scarce.errors import DataError, ScarceError
from scarce.folds import development
from scarce.metric.box import mean_average_precision, ranked
from scarce.metric.ranking import average_precision
from scarce.progress import say
from scarce.recipe import mask_opener, parse, render_full
from scarce.study._candidates import Candidates, as_training, grow
from scarce.study._data import PARTS, held_out
from scarce.study._phase_rows import Source, added_rows
from scarce.train._boxes import LEAST_SIDE, BoxModel, Drawn, boxes_of, joined
from scarce.train.detector import Detector

WHO: Final = "study"
BOXES: Final = "meta.boxes"
SURE: Final = 0.5
"""A box from this score on is an alarm."""
NOTHING: Final = Drawn.of([], [])


@dataclass(frozen=True, eq=False)
class BoxSource:
    """Where draws come from for a detector: pictures of one class each, of which one is sound, with boxes or masks.

    Attributes:
        rows: what is drawn and grown.
        shown: (N,) which pictures are sound, or have boxes of their class alone, or a mask.
        steps: of every training.
        settings: of the detector.
    """

    rows: Source
    shown: Mask
    steps: int
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, rows: Source, steps: int, settings: Mapping[str, Any]) -> BoxSource:
        """Look for boxes and masks; defects without either are left out.

        Raises:
            DataError: no class is known to be sound.
        """
        ds = rows.ds
        if not ds.schema.normal_classes:
            what, do = "no class is known to be sound", "say which one is, or study phases with the probe"
            raise DataError(WHO, what, do=do)
        shown = np.isin(ds["label"], _sound(ds))
        defects = np.flatnonzero(~shown & (ds["label"] >= 0) & (ds["origin"] == "real"))
        shown[defects] = [found is not None for found in shown_boxes(ds, defects)]
        if not shown[defects].all():
            left = int((~shown[defects]).sum())
            say(f"{left} of {len(defects)} pictures of a defect are left out: no mask, no box, or one of another class")
        return cls(rows, shown, steps, settings)

    @property
    def has_test(self) -> bool:
        """Whether the test split has pictures of every class."""
        labels = self.rows.ds["label"][self._labelled(test=True)]
        return all((labels == code).any() for code in self.rows.codes)

    def trial(self, seed: int, *, test: bool = False) -> BoxTrial:
        """Return one draw; see :meth:`scarce.study._phase_rows.Source.trial`.

        Raises:
            DataError: a class has too few pictures with boxes or a mask.
        """
        ds, codes = self.rows.ds, self.rows.codes
        rows = self._labelled()
        held = held_out(ds, rows, PARTS, seed)
        drawn = self.rows.drawn(rows[~held], seed)
        judged = self._labelled(test=True) if test else rows[held]
        judged = judged[np.isin(ds["label"][judged], codes)]
        made = grow(drawn, self.rows.kinds, self.rows.policies, self.rows.wanted, seed=seed)
        whole = as_training(ds, np.concatenate([ds.rows_of(drawn.ids), judged]))
        new = made.ds.table.filter(np.isin(made.ds.ids, whole.ids, invert=True))
        if len(new):
            whole = whole.append({column: new[column].combine_chunks() for column in new.column_names})
        whole = with_boxes(whole)
        kept = made.ds.take(np.flatnonzero(np.isin(made.ds.ids, whole.ids)))
        made = Candidates(kept, made.made, made.served, made.refused)
        return BoxTrial(made, whole, ds.ids[judged], self, seed)

    def _labelled(self, *, test: bool = False) -> Ints:
        """Return rows that people labelled outside the test split, or inside it."""
        ds = self.rows.ds
        use = ds["keep"].astype(bool) & (ds["origin"] == "real") & (ds["split"] == "test") if test else development(ds)
        return np.flatnonzero(use & vouched(ds) & self.shown)


@dataclass(frozen=True, eq=False)
class BoxTrial:
    """One draw with everything that phases may add to it.

    Attributes:
        made: the drawn pictures and those grown from them.
        ds: these and the ones that judge, with boxes.
        judged: (M,) ids of real pictures that judge.
        source: where they come from.
        seed: of the draw and the first weights.
    """

    made: Candidates
    ds: Dataset
    judged: Array
    source: BoxSource
    seed: int

    @property
    def truth(self) -> Ints:
        """(M,) codes of the judged pictures."""
        return np.asarray(self.ds["label"][self.ds.rows_of(self.judged)], np.int64)

    def measured(self, arm: str) -> dict[str, Any]:
        """Return class to recall, to average precision and to the rows of each kind, of a detector in one arm."""
        names, codes = self.made.ds.schema.classes, self.source.rows.codes
        labels, real = self.made.ds["label"], self.made.ds["origin"] == "real"
        chosen: list[Array] = [np.flatnonzero(real)]
        counts: dict[str, dict[str, int]] = {}
        for code in codes:
            counts[names[code]] = {"real": int((labels[real] == code).sum())}
            for kind, rows in added_rows(self.made, self.source.rows.wanted, arm, code).items():
                counts[names[code]][kind] = len(rows)
                chosen.append(rows)
        view = self.ds.fold(self.made.ds.ids, self.judged)
        rows = view.train.rows_of(self.made.ds.ids[np.concatenate(chosen)])
        epochs = max(1, round(self.source.steps * Detector.batch / len(rows)))
        detector = Detector.from_params({"epochs": epochs, **self.source.settings})
        model = train.fit(view, detector, seed=self.seed, given=TrainSet(rows, np.ones(len(rows))))
        return {**judged_boxes(model, view, codes), "counts": counts}


def judged_boxes(model: train.Model, view: FoldView, codes: Sequence[int]) -> dict[str, Any]:
    """Return class to recall and to average precision on the judged pictures.

    Of a defect: COCO's average precision of its boxes, and the share of them that an alarm (score from .5 on) overlaps
    by half. Of sound pictures: average precision of being the one with the least alarming box, and the share without an
    alarm.
    """
    if not isinstance(model, BoxModel):
        raise DataError(WHO, f"{type(model).__name__} draws no boxes")
    ds = view.eval
    truth = [one or NOTHING for one in boxes_of(ds, WHO)]
    found = [one or NOTHING for one in model.detect(ds)]
    sure = joined([one.only(one.scores >= SURE) for one in found])
    there = joined(truth)
    precision = mean_average_precision(there, joined(found)).per_class
    worst = np.array([one.scores.max(initial=0.0) for one in found])
    recall: dict[str, float] = {}
    average: dict[str, float] = {}
    for code in codes:
        name = ds.schema.classes[code]
        if name in ds.schema.normal_classes:
            own: Mask = np.asarray(ds["label"] == code)
            recall[name] = float((worst[own] < SURE).mean())
            average[name] = float(average_precision(own, 1.0 - worst))
        else:
            hits = ranked(there, sure, code, 100)
            recall[name] = float(hits.right[0].sum() / max(sum(hits.wanted.values()), 1))
            average[name] = float(precision.get(code, 0.0))
    return {"recall": recall, "average_precision": average}


def with_boxes(ds: Dataset) -> Dataset:
    """Return the pictures, real and grown, with the boxes of their class; one of whose defect nothing is left goes."""
    cells, keep = ["[]"] * len(ds), np.ones(len(ds), bool)
    defects = np.flatnonzero(~np.isin(ds["label"], _sound(ds)))
    for row, found in zip(defects.tolist(), shown_boxes(ds, defects), strict=True):
        name, keep[row] = ds.schema.classes[int(ds["label"][row])], found is not None
        cells[row] = json.dumps([
            {"label": name, "bbox": [left, top, right - left, bottom - top]}
            for left, top, right, bottom in ([] if found is None else found.round(2).tolist())
        ])  # fmt: skip
    return ds.with_columns({BOXES: cells}).take(np.flatnonzero(keep))


def shown_boxes(ds: Dataset, rows: Ints) -> Iterator[Floats | None]:
    """Yield the (B, 4) boxes of the class of some rows: as people drew them, else one around the mask; replayed.

    None where nobody knows them, where nothing is left of them, or where a picture shows other classes, too.

    Args:
        ds: real and grown pictures; parents of grown ones must be in it.
        rows: of pictures that show something.
    """
    drawn = boxes_of(ds, WHO) if BOXES in ds else [None] * len(ds)
    opened, recipes, labels = mask_opener(ds), ds.table["recipe"].to_pylist(), ds["label"]

    def picture(sample_id: str) -> Array:
        return np.asarray(modality.open_samples(ds, ds.rows_of([sample_id]))[0])

    for row in rows.tolist():
        base = row if not recipes[row] else int(ds.rows_of([parse(recipes[row]).base])[0])
        own = drawn[base]
        if own is not None and not np.isin(own.codes, [labels[row]]).all():
            yield None
            continue
        try:
            if recipes[row]:
                scene = render_full(recipes[row], picture, opened, boxes=None if own is None else own.corners)
                found, mask = scene.boxes, scene.mask
            else:
                found, mask = (None, opened(str(ds.ids[row]))) if own is None else (own.corners, None)
        except ScarceError:
            found, mask = None, None
        yield _left(_around(mask) if found is None and mask is not None else found)


def _left(boxes: Floats | None) -> Floats | None:
    """Return the boxes that are no mere line, or None where none is."""
    kept = None if boxes is None else boxes[(boxes[:, 2:] - boxes[:, :2] >= LEAST_SIDE).all(axis=1)]
    return kept if kept is not None and len(kept) else None


def _around(mask: Array) -> Floats:
    """Return the (1, 4) box around a mask; (0, 4) where it is empty."""
    y, x = np.nonzero(mask)
    return np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]] if len(x) else np.zeros((0, 4)), np.float64)


def _sound(ds: Dataset) -> list[int]:
    return [ds.schema.classes.index(name) for name in ds.schema.normal_classes]
