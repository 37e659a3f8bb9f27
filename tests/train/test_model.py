from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scarce import train
from scarce.dataset import FoldView
from scarce.errors import ReadError, TrainError
from scarce.train.model import CARD, WEIGHTS, Model


@pytest.fixture(scope="module")
def model(featured: FoldView) -> Model:
    return train.fit(featured)


def test_round_trip(model: Model, featured: FoldView, tmp_path: Path) -> None:
    folder = model.save(tmp_path / "champion")
    assert sorted(path.name for path in folder.iterdir()) == [CARD, WEIGHTS]
    again = train.load(folder)
    np.testing.assert_array_equal(again.predict_proba(featured.eval), model.predict_proba(featured.eval))
    card = json.loads((folder / CARD).read_text())
    for key in ("classes", "normal_classes", "data", "seed", "temperature", "operating_point", "metrics", "versions"):
        assert key in card
    assert card["data"]["counts"]["Bag"] == {"real": 12}
    assert [path.name for path in tmp_path.iterdir()] == ["champion"]


def test_saving_again_replaces_the_model_whole(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    model.stamped(note="second").save(tmp_path / "m")
    assert train.load(tmp_path / "m").card["note"] == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_crash_between_the_renames_loses_nothing(model: Model, tmp_path: Path) -> None:
    (model.save(tmp_path / "m")).rename(tmp_path / ".m.old")
    assert train.load(tmp_path / "m").classes == model.classes


def test_a_killed_save_leaves_the_old_model_whole(model: Model, tmp_path: Path) -> None:
    """A child saves over and over and is killed at random moments."""
    model.save(tmp_path / "m")
    code = (
        "import sys; from scarce import train\n"
        "m = train.load(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "while True: m.save(sys.argv[1])\n"
    )
    rng = np.random.default_rng(0)
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "m")], stdout=subprocess.PIPE, env=os.environ
        )
        assert child.stdout is not None
        child.stdout.readline()
        try:
            child.wait(timeout=float(rng.uniform(0.01, 0.2)))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()
        assert train.load(tmp_path / "m").classes == model.classes


def test_corrupt_missing_and_foreign_folders(model: Model, tmp_path: Path) -> None:
    folder = model.save(tmp_path / "m")
    with pytest.raises(ReadError, match="models beside it: m"):
        train.load(tmp_path / "n")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    with pytest.raises(ReadError, match=r"holds no card.json.*a\.jpg"):
        train.load(tmp_path / "photos")
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:-7])
    with pytest.raises(ReadError, match="corrupt or from another model"):
        train.load(folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(ReadError, match="missing"):
        train.load(folder)
    (folder / WEIGHTS).write_bytes(whole)
    card = json.loads((folder / CARD).read_text())
    for change, message in (
        ({"format": 99}, "format 99"), ({"trainer": "linear_prob"}, "linear_prob"),
        ({"classes": ["a", "b"]}, "fit their card"),
    ):  # fmt: skip
        (folder / CARD).write_text(json.dumps({**card, **change}))
        with pytest.raises((ReadError, TrainError), match=message):
            train.load(folder)
    (folder / CARD).write_text("{")
    with pytest.raises(ReadError, match="cannot be read"):
        train.load(folder)
    (folder / CARD).write_text("[1]")
    with pytest.raises(ReadError, match="no card of scarce"):
        train.load(folder)


def test_equal_weights_are_equal_bytes(model: Model, tmp_path: Path) -> None:
    written = {(model.save(tmp_path / f"m{turn}") / WEIGHTS).read_bytes() for turn in range(12)}
    assert len(written) == 1


def test_no_pickle_anywhere(model: Model, tmp_path: Path) -> None:
    raw = (model.save(tmp_path / "m") / WEIGHTS).read_bytes()
    head = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    own = {name for name in head if not name.startswith(("held/", "guard/"))}
    assert own - {"__metadata__"} == set(model.tensors())
