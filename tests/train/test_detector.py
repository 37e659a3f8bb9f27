from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from scarce import train
from scarce.dataset import Dataset, FoldView
from scarce.errors import ConfigError, DataError, TrainError, UnknownNameError
from scarce.metric.box import mean_average_precision
from scarce.train._boxes import boxes_of
from scarce.train._detection_work import DetectorModel
from scarce.train.detection import detect, draw, truth_and_found, write_csv, write_json
from scarce.train.detector import Detector

SMALL: dict[str, Any] = {"network": "small_resnet", "size": 128, "crop": 64, "epochs": 1, "batch": 2}


@pytest.fixture(scope="module")
def fold(boards: Dataset) -> FoldView:
    return boards.fold(boards.ids[:4], boards.ids[4:])


@pytest.fixture(scope="module")
def model(fold: FoldView) -> DetectorModel:
    found = train.fit(fold, Detector(**SMALL), seed=1)
    assert isinstance(found, DetectorModel)
    return found


def test_a_detector_learns_and_comes_back(model: DetectorModel, fold: FoldView, tmp_path: Path) -> None:
    assert np.isfinite(model.card["history"][0]["loss"])
    back = train.load(model.save(tmp_path / "m"))
    assert isinstance(back, DetectorModel)
    for one, two in zip(model.detect(fold.eval), back.detect(fold.eval), strict=True):
        assert one is not None
        assert two is not None
        assert np.allclose(one.corners, two.corners)
        assert np.allclose(one.scores, two.scores)
    truth, found = truth_and_found(model, fold.eval)
    assert len(truth.picture) > 0
    assert found.score is not None
    with pytest.raises(TrainError, match="draws boxes"):
        model.logits(fold.eval)


def test_the_same_seed_gives_the_same_weights_also_after_a_kill(
    fold: FoldView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train.fit(fold, Detector(**{**SMALL, "epochs": 2, "loss": "ldam"}), seed=1, checkpoint=tmp_path / "a")
    told: list[int] = []

    def killed(_: Any) -> None:
        told.append(1)
        raise KeyboardInterrupt

    from scarce.train._checkpoint import Checkpoint

    real = Checkpoint.save

    def save(self: Checkpoint, tensors: Any, state: Any) -> None:
        real(self, tensors, state)
        killed(state)

    monkeypatch.setattr(Checkpoint, "save", save)
    with pytest.raises(KeyboardInterrupt):
        train.fit(fold, Detector(**{**SMALL, "epochs": 2, "loss": "ldam"}), seed=1, checkpoint=tmp_path / "b")
    monkeypatch.undo()
    assert told == [1]
    resumed = train.fit(fold, Detector(**{**SMALL, "epochs": 2, "loss": "ldam"}), seed=1, checkpoint=tmp_path / "b")
    for name, array in whole.tensors().items():
        assert np.array_equal(array, resumed.tensors()[name]), name


def test_boxes_of_files(model: DetectorModel, shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    files = [shared_data / "deep_pcb" / "test" / "00041000.png", tmp_path / "broken.png"]
    found = detect(model, files)
    assert found[0].error is None
    assert found[1].error
    write_csv(found, tmp_path / "b.csv")
    write_json(found, tmp_path / "b.json")
    assert [item["path"] for item in json.loads((tmp_path / "b.json").read_text())] == [str(file) for file in files]
    with (tmp_path / "b.csv").open() as file:
        assert len(list(csv.reader(file))) == 1 + max(1, len(found[0].boxes)) + 1
    assert [path.name for path in draw(model, found, tmp_path / "out")] == ["00041000.png"]


def test_bad_boxes_are_told(boards: Dataset) -> None:
    def with_boxes(cell: str | None) -> FoldView:
        ds = boards.with_columns({"meta.boxes": [cell] * len(boards)})
        return ds.fold(ds.ids[:4], ())

    with pytest.raises(TrainError, match="no training picture has a box"):
        train.fit(with_boxes("[]"), Detector(**SMALL))
    with pytest.raises(DataError, match="strange"):
        train.fit(with_boxes('[{"label": "strange", "bbox": [1, 1, 5, 5]}]'), Detector(**SMALL))
    with pytest.raises(DataError, match="ends before it begins"):
        train.fit(with_boxes('[{"label": "open", "bbox": [9, 1, -5, 5]}]'), Detector(**SMALL))
    bare = boards.take(np.arange(4))
    bare = bare.with_columns({"meta.boxes": [None] * 4})
    with pytest.raises((TrainError, DataError), match="box"):
        train.fit(bare.fold(bare.ids, ()), Detector(**SMALL))


def test_a_box_outside_is_cut(boards: Dataset) -> None:
    ds = boards.with_columns({"meta.boxes": ['[{"label": "open", "bbox": [600, 600, 90, 90]}]'] * len(boards)})
    one = boxes_of(ds, "test")[0]
    assert one is not None
    assert one.inside(640, 640).corners.tolist() == [[600, 600, 640, 640]]
    assert not len(one.inside(500, 500))


def test_a_setting_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="too small"):
        Detector(crop=16)
    with pytest.raises(ConfigError, match="overlap"):
        Detector(overlap=2.0)


def test_pictures_keep_their_size_where_they_are_judged_too(model: DetectorModel) -> None:
    """Torchvision brings them to 800 pixels: objects then have sizes that nothing was learned at."""
    seen: list[tuple[int, ...]] = []
    handle = model.net.whole.backbone.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    with torch.no_grad():
        model.net([torch.rand(3, 64, 96)])
    handle.remove()
    assert seen == [(1, 3, 64, 96)]


@pytest.mark.slow
def test_small_windows_are_learned(shared_data: Path, tmp_path: Path) -> None:
    """Of boards, each with one defect: what was learned from is found again, at its place and in its size."""
    from scarce import io, modality

    rng, rows = np.random.default_rng(0), []
    with (shared_data / "deep_pcb" / "boxes.csv").open(encoding="utf-8", newline="") as file:
        boxes = [row for row in csv.DictReader(file) if row["class"] in ("copper", "open")]
    with (shared_data / "deep_pcb" / "pairs.csv").open(encoding="utf-8", newline="") as file:
        pairs = {row["id"]: row for row in csv.DictReader(file)}
    for number in rng.permutation(len(boxes))[:24].tolist():
        row = boxes[number]
        x, y, right, low = (int(row[key]) for key in ("x1", "y1", "x2", "y2"))
        board = cv2.imread(str(shared_data / "deep_pcb" / pairs[row["id"]]["tested_image"]), 0)
        left, top = (int(np.clip((a + b) // 2 - 32, 0, 640 - 64)) for a, b in ((x, right), (y, low)))
        cv2.imwrite(str(tmp_path / f"{number}.png"), board[top : top + 64, left : left + 64])
        rows.append({"file": f"{number}.png", "label": row["class"], "boxes": json.dumps(
            [{"label": row["class"], "bbox": [x - left, y - top, right - x, low - y]}])})  # fmt: skip
    with (tmp_path / "list.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, ["file", "label", "boxes"])
        out.writeheader()
        out.writerows(rows)
    ds = modality.scan(io.read(tmp_path / "list.csv"))
    ds = ds.with_columns({"split": ["train"] * len(ds), "split_group": [str(k) for k in range(len(ds))]})
    found = train.fit(ds.fold(ds.ids[1:], ds.ids[:1]), Detector(epochs=30, crop=0, augment="none"))
    assert isinstance(found, DetectorModel)
    told = mean_average_precision(*truth_and_found(found, ds.take(np.arange(1, len(ds)))))
    assert told.at_50 > 0.6


def test_levels_follow_the_boxes() -> None:
    from scarce.train._detection_network import strides_for

    assert strides_for(np.full(100, 34.0), (4, 8, 16, 32)) == (8,)
    assert strides_for(np.full(100, 14.0), (4, 8, 16, 32)) == (4,)
    assert strides_for(np.array([14.0] * 50 + [300.0] * 50), (4, 8, 16, 32)) == (4, 8, 16, 32)
    assert strides_for(np.full(100, 34.0), (16, 32)) == (16,)
    assert strides_for(np.zeros(0), (8, 16)) == (8, 16)


def test_weights_of_torchvision_that_cannot_be_had_are_told_soon(
    fold: FoldView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: Any, **__: Any) -> None:
        raise OSError("there is no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("socket.getaddrinfo", no_network)
    started = time.perf_counter()
    with pytest.raises(TrainError, match=r"weights of fcos_resnet50_fpn cannot be had.*no network"):
        train.fit(fold, Detector(network="fcos_resnet50_fpn"))
    assert time.perf_counter() - started < 10
    with pytest.raises(TrainError, match=r"weights of retinanet_resnet50_fpn_v2 cannot be had.*no\.pth"):
        train.fit(fold, Detector(network="retinanet_resnet50_fpn_v2", pretrained="no.pth"))
    with pytest.raises(UnknownNameError, match="fcos_resnet50_fpn"):
        train.fit(fold, Detector(network="fcos_resnet50_fp"))


def test_weights_of_torchvision_are_taken_and_kept(
    fold: FoldView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.models import get_model, get_model_weights

    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(3)
    state = get_model(name, weights=None, weights_backbone=None).state_dict()
    place = tmp_path / "hub" / "checkpoints" / get_model_weights(name)["DEFAULT"].url.rpartition("/")[2]
    place.parent.mkdir(parents=True)
    torch.save(state, place)
    model = train.fit(fold, Detector(**{**SMALL, "network": name}))
    assert model.card["weights_from"] == "pretrained"
    held = {key.partition(".body.levels.")[2]: value for key, value in model.tensors().items()}
    weights = [key for key in state if key.startswith("backbone.") and not key.endswith("num_batches_tracked")]
    assert len(weights) > 100
    assert all(np.array_equal(held[key.removeprefix("backbone.")], state[key].numpy()) for key in weights)
    place.unlink()
    back = train.load(model.save(tmp_path / "m"))
    assert isinstance(back, DetectorModel)
    one, two = (each.detect(fold.eval)[0] for each in (model, back))
    assert one is not None
    assert two is not None
    assert np.allclose(one.scores, two.scores)
