"""Features of data without a project."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from scarce import encode, io
from scarce.config import Config
from scarce.loop.gate import gate_for
from scarce.loop.measure import user_cache


@pytest.fixture
def tiles(tmp_path: Path, shared_data: Path) -> Path:
    """Six pictures of sound and six of holed tiles, a folder a class."""
    root, seen = shared_data / "magnetic_tile", {"free": 0, "blowhole": 0}
    with (root / "index.csv").open() as file:
        for row in csv.DictReader(file):
            if seen.get(row["class"], 6) < 6:
                seen[row["class"]] += 1
                place = tmp_path / "tiles" / row["class"] / Path(row["image"]).name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / row["image"], place)
    return tmp_path / "tiles"


def test_pictures_without_a_project_are_encoded_once(
    tiles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCARCE_CACHE", str(tmp_path / "cache"))
    encoded: list[int] = []
    plain = encode._run.batches

    def counted(ds, encoder, rows, todo, **rest):  # type: ignore[no-untyped-def]
        encoded.append(len(todo))
        return plain(ds, encoder, rows, todo, **rest)

    monkeypatch.setattr("scarce.encode._run.batches", counted)

    def features() -> np.ndarray:  # type: ignore[type-arg]
        gate = gate_for(io.with_normal(io.read(tiles), ["free"]), "blowhole", Config(), workers=2)
        return np.asarray(gate._ds.wide[gate.embedding])

    first, second = features(), features()
    assert (first == second).all()
    assert sum(encoded) == 12
    changed = next((tiles / "free").iterdir())
    picture = np.asarray(cv2.imread(str(changed)))
    cv2.imwrite(str(changed), 255 - picture)
    third = features()
    assert sum(encoded) == 13
    assert (third != first).any(axis=1).sum() == 1
    monkeypatch.setenv("SCARCE_CACHE", "")
    assert np.allclose(features(), third, atol=2e-3)
    assert sum(encoded) == 13 + 12


def test_the_place_is_the_systems_and_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCARCE_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache() == tmp_path / "scarce"
    (tmp_path / "file").touch()
    monkeypatch.setenv("SCARCE_CACHE", str(tmp_path / "file" / "below"))
    assert user_cache() is None
