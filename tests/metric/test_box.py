from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from scarce.errors import DataError
from scarce.metric.box import Boxes, mean_average_precision


def make(seed: int, *, crowd: bool) -> tuple[Boxes, Boxes]:
    rng = np.random.default_rng(seed)
    picture = np.repeat(np.arange(25), 6)
    low = rng.integers(0, 80, (150, 2)).astype(float)
    corners = np.concatenate([low, low + rng.integers(4, 30, (150, 2))], axis=1)
    truth = Boxes(
        picture=picture, corners=corners, label=rng.integers(3, size=150),
        crowd=rng.random(150) < 0.1 if crowd else None,
    )  # fmt: skip
    kept = np.flatnonzero(rng.random(150) < 0.8)
    moved = corners[kept] + rng.integers(-3, 4, (len(kept), 4))
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    label = np.where(rng.random(len(kept)) < 0.9, truth.label[kept], (truth.label[kept] + 1) % 3)
    low = rng.integers(0, 80, (60, 2)).astype(float)
    false = np.concatenate([low, low + rng.integers(4, 30, (60, 2))], axis=1)
    found = Boxes(
        picture=np.concatenate([picture[kept], rng.integers(25, size=60)]), corners=np.concatenate([moved, false]),
        label=np.concatenate([label, rng.integers(3, size=60)]), score=rng.random(len(kept) + 60),
    )  # fmt: skip
    return truth, found


def oracle(truth: Boxes, found: Boxes) -> list[float]:
    coco = pytest.importorskip("pycocotools.coco")
    judge = pytest.importorskip("pycocotools.cocoeval")
    size = truth.corners[:, 2:] - truth.corners[:, :2]
    crowd = np.zeros(len(size), int) if truth.crowd is None else truth.crowd.astype(int)
    api = coco.COCO()
    api.dataset = {
        "images": [{"id": int(item)} for item in range(25)], "categories": [{"id": code} for code in range(3)],
        "annotations": [
            {"id": row + 1, "image_id": int(truth.picture[row]), "category_id": int(truth.label[row]),
             "bbox": [*truth.corners[row, :2], *size[row]], "area": float(size[row].prod()), "iscrowd": int(crowd[row])}
            for row in range(len(size))
        ],
    }  # fmt: skip
    wide = found.corners[:, 2:] - found.corners[:, :2]
    assert found.score is not None
    rows = [
        {"image_id": int(found.picture[row]), "category_id": int(found.label[row]), "score": float(found.score[row]),
         "bbox": [*found.corners[row, :2], *wide[row]]} for row in range(len(wide))
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        api.createIndex()
        run = judge.COCOeval(api, api.loadRes(rows), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return [float(run.stats[place]) for place in (0, 1, 2, 8)]


@pytest.mark.parametrize("crowd", [False, True])
def test_it_is_that_of_pycocotools(crowd: bool) -> None:
    for seed in range(3):
        truth, found = make(seed, crowd=crowd)
        ours = mean_average_precision(truth, found)
        assert [ours.mean, ours.at_50, ours.at_75, ours.recall] == pytest.approx(oracle(truth, found), abs=1e-9)
        assert 0.05 < ours.mean < 0.95
        assert ours.mean == pytest.approx(np.mean(list(ours.per_class.values())))


def test_exact_boxes_are_perfect_and_bad_ones_are_refused() -> None:
    truth, _ = make(0, crowd=False)
    same = Boxes(picture=truth.picture, corners=truth.corners, label=truth.label, score=np.ones(150))
    assert mean_average_precision(truth, same).mean == pytest.approx(1.0)
    none = Boxes(picture=np.zeros(0), corners=np.zeros((0, 4)), label=np.zeros(0), score=np.zeros(0))
    assert mean_average_precision(truth, none).mean == 0.0
    assert np.isnan(mean_average_precision(none, same).mean)
    with pytest.raises(DataError, match="scores"):
        mean_average_precision(truth, truth)
    with pytest.raises(DataError, match="ends before"):
        Boxes(picture=np.zeros(1), corners=np.array([[5, 5, 1, 9]]), label=np.zeros(1))
