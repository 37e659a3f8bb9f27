from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from scarce.cli import main

WANTED = {"Bag": 16, "Coat": 24, "Trouser": 32}


@pytest.fixture(scope="session")
def photos(garments: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders with a few real garments and one broken file."""
    base = tmp_path_factory.mktemp("data") / "photos"
    table = pq.read_table(garments, columns=["image", "label", "split", "row"])
    found: Counter[str] = Counter()
    for row in table.to_pylist():
        if row["split"] == "train" and found[row["label"]] < WANTED.get(row["label"], 0):
            found[row["label"]] += 1
            place = base / row["label"]
            place.mkdir(parents=True, exist_ok=True)
            image = row["image"]["bytes"] if isinstance(row["image"], dict) else row["image"]
            (place / f"{row['row']}.png").write_bytes(image)
    assert found == WANTED
    (base / "Bag" / "broken.png").write_bytes(b"no picture")
    return base


def make_project(folder: Path, source: Path) -> Path:
    """A project whose encoder needs no network."""
    assert main(["init", str(folder), "--from", str(source), "--quiet"]) == 0
    settings = folder / "scarce.toml"
    text = settings.read_text(encoding="utf-8")
    assert '#encoder = "auto"' in text
    settings.write_text(text.replace('#encoder = "auto"', 'encoder = "pixel"'), encoding="utf-8")
    return folder


@pytest.fixture
def project(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A fresh project with one version."""
    made = make_project(tmp_path / "photos-scarce", photos)
    capsys.readouterr()
    return made


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command with --json and return its object; its exit code must be the given one."""

    def run(*words: object, code: int = 0) -> Any:
        assert main([*(str(word) for word in words), "--json"]) == code
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return json.loads(shown.out)

    return run
