from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from scarce import io, modality, train
from scarce.dataset import FoldView
from scarce.errors import ConfigError
from scarce.train.logmel_network import LogmelNetwork, masked, picture, shifted
from scarce.train.predict import predict


@pytest.fixture(scope="module")
def digits(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> FoldView:
    """The digits 1, 6 and 8 of three speakers: 25 takes of each speaker to learn, 5 to judge."""
    pytest.importorskip("soundfile")
    source = shared_data / "audio_digits"
    path = tmp_path_factory.mktemp("digits") / "index.csv"
    with (source / "index.csv").open() as file, path.open("w", newline="") as out:
        table = csv.writer(out)
        table.writerow(["file", "label", "split"])
        for row in csv.DictReader(file):
            if row["digit"] in "168" and int(row["take"]) < 30:
                table.writerow([source / row["file"], row["digit"], row["split"]])
    ds = modality.scan(io.read(path))
    test = ds["split"] == "test"
    return ds.fold(ds.ids[~test], ds.ids[test])


def test_learns_digits(digits: FoldView, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    model = train.fit(digits, LogmelNetwork(epochs=6, batch=16, bands=32), seed=0)
    torch.set_num_threads(before)
    probs = model.predict_proba(digits.eval)
    assert (probs.argmax(1) == digits.eval["label"]).mean() > 0.85
    again = train.load(model.save(tmp_path / "m"))
    np.testing.assert_allclose(again.predict_proba(digits.eval), probs, atol=1e-5)
    file = Path(digits.eval.sources[digits.eval.table["source"][0].as_py()]) / digits.eval.table["uri"][0].as_py()
    found = predict(model, file)
    assert found[0].probability is not None


def test_pictures_are_changed_as_they_say() -> None:
    rng = np.random.default_rng(0)
    sound = np.sin(np.arange(16000) * 2 * np.pi * 1000 / 16000).astype(np.float32)
    sound[:8000] = 0
    drawn = picture(sound, 32, 64)
    assert drawn.shape == (32, 64)
    assert drawn.max() == 255
    assert drawn[:, -20:].mean() > drawn[:, :4].mean(), "the loud half is seen"
    short = picture(sound[8000:11200], 32, 64)
    assert not short[:, :20].any()
    images = np.stack([short[..., None]] * 8)
    moved = shifted(images, 0.25, rng)
    assert moved.shape == images.shape
    assert all(np.array_equal(np.sort(one.ravel()), np.sort(images[0].ravel())) for one in moved), "nothing was lost"
    assert not np.array_equal(moved, images)
    blank = masked(np.full((50, 32, 64, 1), 9, np.uint8), 0.25, rng)
    share = (blank == 0).mean((1, 2, 3))
    assert 0 < share.mean() < 0.4
    assert share.max() <= 1 - (1 - 8 / 32) * (1 - 16 / 64)


def test_refuses_settings_out_of_range() -> None:
    with pytest.raises(ConfigError, match="bands = 1"):
        LogmelNetwork(bands=1)
