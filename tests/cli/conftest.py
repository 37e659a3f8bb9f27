from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from scarce.cli import main

ROW = {
    "decision": "rebalance.balanced_softmax", "gain": 0.0412, "low": 0.021, "high": 0.0613, "verdict": "helped",
    "kept": True, "seconds": 3.21, "proxy": True, "why": "",
}  # fmt: skip
RESULT: dict[str, Any] = {
    "version": "v7", "source": "photos/\x1b[31m[bold]", "seconds": 205.0, "metric": "macro_f1",
    "test": {
        "n": 2000, "balanced_accuracy": {"value": 0.8812, "low": 0.87, "high": 0.8931, "baseline": 0.1}, "looks": 3,
        "macro_f1": {"value": 0.877, "low": 0.86, "high": 0.89}, "baseline": {"value": 0.8, "low": 0.78, "high": 0.82},
        "majority": {"balanced_accuracy": 0.1}, "difference": {"value": 0.0812, "low": 0.06, "high": 0.1},
    },
    "ledger": [
        ROW,
        {**ROW, "decision": "synthesize", "gain": None, "low": None, "high": None, "verdict": "not applicable",
         "kept": False, "proxy": False, "why": "no class is known to be sound"},
    ],
    "operating_point": {
        "recall": 0.94, "recall_low": 0.89, "defects": 150, "false_alarm_rate": 0.008, "normals": 900,
        "threshold": None,
    },
    "notes": ["a note"], "model": "m", "report": "r.html",
}  # fmt: skip

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


@pytest.fixture
def outcome() -> dict[str, Any]:
    """What a run may say, every part filled, with a name that must not reach the terminal as it is."""
    return RESULT
