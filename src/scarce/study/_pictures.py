"""Labelled pictures of a study of networks: what is trained on, what choices are made on, what judges at the end."""

from __future__ import annotations

import numpy as np

from scarce.ballot import vouched
from scarce.dataset import Dataset, FoldView, Ints
from scarce.errors import DataError
from scarce.evaluate.out_of_distribution.knn import evenly
from scarce.folds import development, groups_of
from scarce.probe import fold_of
from scarce.study._data import FEWEST, PARTS


def picture_fold(ds: Dataset, *, most: int, judged: int, seed: int, apart: bool = False) -> FoldView:
    """Return a fold of pictures that people labelled.

    On the training side split ``val`` is a grouped, stratified quarter of what is outside test, of which trainers stop
    and studies choose, and ``train`` the rest. The evaluation side is the test split.

    Args:
        ds: pictures with labels.
        most: training samples at most, evenly over the classes: rare ones are kept whole.
        judged: samples of each of the other two parts at most.
        seed: of the parts and of the draw.
        apart: where there is no test split, a further quarter takes its place; else the evaluation side is empty then.

    Raises:
        DataError: no pictures, or too few labels.
    """
    if ds.schema.modality != "image":
        raise DataError("study", f"this is {ds.schema.modality}", "networks are studied on pictures")
    spoken = vouched(ds) & ds["keep"].astype(bool) & (ds["origin"] == "real")
    rows: Ints = np.flatnonzero(development(ds) & spoken)
    tests: Ints = np.flatnonzero(spoken & (ds["split"] == "test"))
    labels = ds["label"][rows].astype(np.int64)
    if len(rows) < FEWEST or len(np.unique(labels)) < 2:
        raise DataError("study", f"{len(rows)} pictures outside test have a label that a person gave",
                        f"{FEWEST} of at least two classes are needed", "label more, or take --fashion")  # fmt: skip
    place = fold_of(labels, groups_of(ds)[rows], PARTS, seed=seed)
    if apart and not len(tests):
        tests, rows, place = rows[place == 1], rows[place != 1], place[place != 1]
    fitted, chosen = (_some(ds, rows[part], size, seed) for part, size in ((place != 0, most), (place == 0, judged)))
    tests = _some(ds, tests, judged, seed)
    part = ds.take(np.concatenate([fitted, chosen, tests]))
    sizes = (len(fitted), len(chosen), len(tests))
    part = part.with_columns({"split": np.repeat(["train", "val", "test"], sizes).tolist()})
    return part.fold(part.ids[: sizes[0] + sizes[1]], part.ids[sizes[0] + sizes[1] :])


def _some(ds: Dataset, rows: Ints, most: int, seed: int) -> Ints:
    """Return rows drawn evenly over the classes."""
    drawn = np.random.default_rng([seed, 0x706963]).permutation(rows)
    return np.asarray(drawn[evenly(ds["label"][drawn].astype(np.int64), most)])
