from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce import train
from scarce.augment.policy import policy
from scarce.dataset import Dataset
from scarce.errors import ConfigError, MissingExtraError, TrainError
from scarce.train import ultralytics as adapter
from scarce.train._ultralytics_policy import OFF, settings_of
from scarce.train.detection import truth_and_found
from scarce.train.ultralytics import Ultralytics, UltralyticsModel, read_history

AGREE = """
import json, sys
from ultralytics import YOLO
found = YOLO(sys.argv[1]).predict(sys.argv[2], conf=0.0, iou=0.5, imgsz=160, max_det=5, verbose=False, save=False)
print("@", json.dumps({"corners": found[0].boxes.xyxy.tolist(), "scores": found[0].boxes.conf.tolist()}))
"""


@pytest.fixture(scope="module")
def python(root: Path) -> str:
    """The Python of an environment with Ultralytics."""
    found = Path(os.environ.get("SCARCE_ULTRALYTICS", root / ".venv-ultralytics" / "bin" / "python"))
    if not found.is_file():
        pytest.skip("Ultralytics is not here: .ci/ultralytics installs it, or set SCARCE_ULTRALYTICS to its Python")
    return str(found)


@pytest.mark.ultralytics
def test_it_trains_from_random_weights_and_what_comes_back_draws_the_same_boxes(
    boards: Dataset, python: str, tmp_path: Path
) -> None:
    ds = boards.with_columns({"split": ["train"] * 4 + ["val"] * 2})
    trainer = Ultralytics(
        python=python, size=160, epochs=1, batch=2, threads=1, score=0.0, most=5, policy="natural", class_weights="auto"
    )
    model = train.fit(ds.fold(ds.ids, ()), trainer, seed=1, checkpoint=tmp_path / "run")
    assert isinstance(model, UltralyticsModel)
    assert len(model.card["history"]) == 1
    assert np.isfinite(model.card["history"][0]["train/box_loss"])
    assert model.card["augment_settings"]["fliplr"] == 0.5
    assert model.card["metrics"]["held_out"]["pictures"] == 2
    given = (tmp_path / "run" / "run" / "args.yaml").read_text()
    assert "fliplr: 0.5" in given
    assert "mosaic: 0.0" in given
    assert "cls_pw: 1.0" in given
    back = train.load(model.save(tmp_path / "model"))
    assert isinstance(back, UltralyticsModel)
    ours = back.detect(ds)[5]
    assert ours is not None
    picture = next((tmp_path / "run" / "data" / "images" / "val").glob(f"*{Path(ds['uri'][5]).stem}*"))
    weights = tmp_path / "run" / "run" / "weights" / "best.pt"
    env = {**os.environ, "YOLO_CONFIG_DIR": str(tmp_path), "YOLO_OFFLINE": "true", "OMP_NUM_THREADS": "1"}
    said = subprocess.run(
        [python, "-W", "ignore", "-c", AGREE, str(weights), str(picture)], capture_output=True, text=True, env=env,
        check=True, cwd=tmp_path,
    ).stdout  # fmt: skip
    theirs = json.loads(next(line for line in said.splitlines() if line.startswith("@"))[1:])
    assert len(ours) == 5
    assert np.allclose(ours.corners, theirs["corners"], atol=0.1)
    assert np.allclose(ours.scores, theirs["scores"], atol=1e-4)
    truth, found = truth_and_found(back, ds)
    assert len(found.picture) == 30
    assert len(truth.picture) > 0


def fake(folder: Path, body: str) -> str:
    """Write an interpreter that is none."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_what_ultralytics_says_when_it_fails_is_told(boards: Dataset, tmp_path: Path) -> None:
    trainer = Ultralytics(python=fake(tmp_path, "echo no such network; exit 7"), size=160)
    with pytest.raises(TrainError, match=r"code 7.*no such network"):
        train.fit(boards.fold(boards.ids, ()), trainer)


def test_the_data_are_written_as_yolo_wants_them(boards: Dataset, tmp_path: Path) -> None:
    path = adapter._written(boards, (np.arange(4), np.arange(4, 6)), tmp_path / "data")
    text = path.read_text()
    assert "train: images/train" in text
    assert "val: images/val" in text
    assert len(list((tmp_path / "data" / "images" / "train").iterdir())) == 4
    lines = [line.split() for file in (tmp_path / "data" / "labels" / "val").iterdir() for line in
             file.read_text().splitlines()]  # fmt: skip
    assert len(lines) == sum(len(json.loads(cell)) for cell in boards["meta.boxes"][4:6])
    assert all(0 <= float(value) <= 1 for line in lines for value in line[1:])
    alone = adapter._written(boards, (np.arange(4), np.arange(0)), tmp_path / "alone")
    assert "val: images/train" in alone.read_text()


def test_a_policy_becomes_settings() -> None:
    told, without = settings_of(policy("natural").parts())
    assert set(told) == set(OFF)
    assert told["fliplr"] == 0.5
    assert told["mosaic"] == 0.0
    assert not set(without) & {"flip"}


def test_settings_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no multiple of 32"):
        Ultralytics(size=100)
    weights: Any = (1.0, 2.0)
    with pytest.raises(ConfigError, match="no list"):
        Ultralytics(class_weights=weights)
    with pytest.raises(ConfigError, match="no interpreter"):
        adapter.interpreter(str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(adapter, "available", lambda _: False)
    with pytest.raises(MissingExtraError, match="AGPL"):
        adapter.interpreter()


def test_its_results_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["epoch", " metrics/mAP50(B)"], [1, 0.25], [2, 0.5]])
    assert read_history(path) == [{"epoch": 1.0, "metrics/mAP50(B)": 0.25}, {"epoch": 2.0, "metrics/mAP50(B)": 0.5}]
    path.write_text("epoch\n")
    with pytest.raises(TrainError, match="no epoch"):
        read_history(path)
    with pytest.raises(TrainError, match="cannot be read"):
        read_history(tmp_path / "none.csv")
