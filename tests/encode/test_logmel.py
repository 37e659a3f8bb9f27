from __future__ import annotations

import csv

import numpy as np

from scarce.encode.logmel import RATE, Logmel, log_mel, mel_filters
from scarce.modality.audio import Audio
from scarce.probe import LinearProbe


def test_a_tone_is_loudest_in_its_band():
    seconds = np.arange(RATE) / RATE
    centers = np.fft.rfftfreq(512, 1 / RATE)[mel_filters(48).argmax(0)]
    for hertz in (300.0, 1000.0, 4000.0):
        band = log_mel(np.sin(2 * np.pi * hertz * seconds).astype(np.float32)).mean(0).argmax()
        assert abs(centers[band] - hertz) < 0.12 * hertz + 40


def test_any_length_gives_finite_rows():
    rng = np.random.default_rng(0)
    sounds = [rng.normal(size=n).astype(np.float32) for n in (1, 100, 400, 5000, 50_000)] + [np.zeros(3000, np.float32)]
    found = Logmel().embed(sounds)
    assert found.shape == (6, 48 * 12)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(Logmel().embed(sounds[3:4])[0], found[3])


def test_recognizes_real_digits(shared_data):
    folder = shared_data / "audio_digits"
    with (folder / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    rows = [row for row in rows if int(row["take"]) < 12]
    features = Logmel().embed([Audio().decode((folder / row["file"]).read_bytes()) for row in rows])
    labels = np.array([int(row["digit"]) for row in rows])
    test = np.array([row["split"] == "test" for row in rows])
    probe = LinearProbe().fit(features[~test], labels[~test], 10)
    assert (probe.predict_proba(features[test]).argmax(1) == labels[test]).mean() > 0.85
