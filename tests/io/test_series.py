"""Series from NPZ: the same row number in two arrays is two samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scarce import io


def test_rows_of_train_and_test_arrays_are_different_samples(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {f"{kind}_{part}": value for part, n in (("train", 12), ("test", 9)) for kind, value in (
        ("x", rng.normal(size=(n, 30)).astype(np.float32)), ("y", np.arange(n) % 2))}  # fmt: skip
    np.savez(tmp_path / "s.npz", **arrays)
    ds = io.read(tmp_path / "s.npz")
    assert len(set(ds.ids)) == 21
    assert (ds["split"] == "test").sum() == 9
    rows = ds.rows_of(ds.ids[:4])
    for content, uri in zip(io.fetch(ds, rows), ds["uri"][rows], strict=True):
        number, _, name = uri.partition("#")[2].partition(":")
        assert np.allclose(content, arrays[name][int(number)])
