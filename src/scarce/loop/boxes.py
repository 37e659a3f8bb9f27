"""Detectors in a project: what they are trained on, and the look at the test set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scarce.dataset import Dataset, FoldView
from scarce.errors import DataError

if TYPE_CHECKING:
    from scarce.loop.judging import Look
    from scarce.project import Project


def training_view(ds: Dataset) -> FoldView:
    """Return the pictures of train and val on which somebody looked for boxes as the training side.

    Raises:
        DataError: there is none.
    """
    from scarce.train.detection import looked_at

    rows = looked_at(ds) & np.isin(ds["split"], ("train", "val"))
    if not rows.any():
        raise DataError("train", "no picture of the train split has been looked at for boxes", f"{len(ds)} rows",
                        "draw boxes, or split: scarce split")  # fmt: skip
    return ds.fold(ds.ids[rows], ())


def judge(project: Project, look: Look, model: Any) -> dict[str, Any]:
    """Look at the test set with a detector; the look is counted.

    Raises:
        DataError: no test picture was looked at, or something was asked that only classifiers have.
    """
    from scarce.evaluate.boxes import boxes
    from scarce.folds import groups_of
    from scarce.loop.measure import with_scan
    from scarce.train.detection import looked_at, truth_and_found

    if look.against or look.foreign or look.field or look.robust or look.ask:
        raise DataError("evaluate", "--compare, --foreign, --field, --robust and --ask are not for detectors",
                        do="leave them out")  # fmt: skip
    name = project.store.version(look.version).name
    ds = with_scan(project, project.dataset(name), workers=look.workers)
    rows = looked_at(ds) & (ds["split"] == "test")
    if not rows.any():
        raise DataError("evaluate", "no test picture has been looked at for boxes", f"{len(ds)} rows", "scarce split")
    test = ds.take(rows)
    truth, found = truth_and_found(model, test)
    told = boxes(truth, found, ds.schema.classes, groups_of(test), seed=look.seed)
    looks = project.state.count_test_look(version=name, metric="mean_average_precision")
    return {
        "version": name, "model": str(look.folder), "task": "boxes", "looks": looks, "n": len(test),
        "boxes": len(truth.picture), "groups": len(np.unique(groups_of(test))), **told,
    }  # fmt: skip
