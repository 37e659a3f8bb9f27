"""The gate: screens on samples that are being made, the same verdicts in one go and in two, rows in a project."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scarce import encode, synthesize
from scarce.cli import main
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError
from scarce.project import Project
from scarce.provenance._again import Scene, again
from scarce.synthesize import screen
from scarce.synthesize.screen import Candidate, Gate

SETTINGS = {"probe_confidence": {"share": 0.05}}


@pytest.fixture(scope="module")
def tiles(shared_data: Path) -> Dataset:
    """Sixty sound tiles and thirty with blowholes; about a quarter is test."""
    root = shared_data / "magnetic_tile"
    with (root / "index.csv").open() as file:
        every = list(csv.DictReader(file))
    rows = [row for row in every if row["class"] == "free"][:60] + [row for row in every if row["class"] == "blowhole"][
        :30
    ]
    values = {
        "id": [f"{row:03d}" for row in range(len(rows))], "uri": [row["image"] for row in rows],
        "source": ["tiles"] * len(rows), "label": [row["class"] for row in rows],
        "mask_uri": [row["mask"] or None for row in rows],
        "split_group": [row["tile_group"] for row in rows],
        "split": ["test" if int(row["tile_group"][5:]) % 4 == 0 else "train" for row in rows],
    }  # fmt: skip
    schema = Schema(classes=("free", "blowhole"), normal_classes=("free",))
    return Dataset.from_columns(schema, values, sources={"tiles": str(root)})


@pytest.fixture(scope="module")
def encoded(tiles: Dataset) -> Dataset:
    return encode.run(tiles, "pixel")


@pytest.fixture
def gate(encoded: Dataset) -> Callable[[], Gate]:
    return lambda: Gate(screen.training_view(encoded), label="blowhole", settings=SETTINGS)


def picture(ds: Dataset, row: int) -> Any:
    return cv2.imread(str(Path(ds.sources["tiles"]) / ds["uri"][row]), 0)


def test_copies_repeats_and_broken_ones_are_refused(encoded: Dataset, gate: Callable[[], Gate]) -> None:
    bad = int(np.flatnonzero((encoded["label"] == 1) & (encoded["split"] == "train"))[3])
    turned = cv2.flip(picture(encoded, bad), 0)
    given = [
        Candidate("a", picture(encoded, bad), "blowhole"), Candidate("b", turned, "blowhole"),
        Candidate("c", turned, "blowhole"), Candidate("d", np.full((90, 90), 8, np.uint8), "blowhole"),
    ]  # fmt: skip
    one = gate()
    together = one.judge(given)
    assert "memorized: copies" in together[0]
    assert "broken: it is blank" in together[3]
    two, said = gate(), []
    for item in given:
        said += two.judge([item])
        two.admit([item] if not said[-1] else [])
    assert said == together
    if not together[1]:
        assert "repeats b" in together[2]
        real = int(((encoded["label"] == 1) & (encoded["split"] == "train")).sum())
        assert two.share()["blowhole"] == pytest.approx(1 / (1 + real))


def test_only_the_training_side_is_fitted_on(encoded: Dataset) -> None:
    view = screen.training_view(encoded)
    column = next(iter(encoded.wide))
    noise = encoded.wide[column].copy()
    noise[encoded["split"] == "test"] = np.random.default_rng(0).normal(size=noise.shape[1])
    given = [Candidate(f"{row}", cv2.flip(picture(encoded, row), 1), "blowhole") for row in range(12)]
    other = screen.training_view(replace(encoded, wide={column: noise}))
    assert Gate(view).judge(given) == Gate(other).judge(given)
    with pytest.raises(DataError, match="no features"):
        Gate(screen.training_view(replace(encoded, wide={})))


@pytest.mark.slow
def test_two_goes_make_what_one_makes(encoded: Dataset, gate: Callable[[], Gate], tmp_path: Path) -> None:
    kind: dict[str, Any] = {"label": "blowhole", "seed": 2}
    synthesize.make(encoded, "hole", n=10, out=tmp_path / "a", screen=gate(), **kind)
    synthesize.make(encoded, "hole", n=4, out=tmp_path / "b", screen=gate(), **kind)
    synthesize.make(encoded, "hole", n=10, out=tmp_path / "b", screen=gate(), **kind)
    tries = [(tmp_path / name / "tries.jsonl").read_text() for name in "ab"]
    assert tries[0] == tries[1]
    with pytest.raises(DataError, match="another screen"):
        synthesize.make(encoded, "hole", n=12, out=tmp_path / "b", **kind)


@pytest.mark.slow
def test_accepted_ones_become_rows_that_can_be_made_again(
    tiles: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from scarce import modality

    with Project.init(tmp_path / "p") as project:
        project.commit(modality.scan(tiles), "tiles", owner="io")
    settings = tmp_path / "p" / "scarce.toml"
    text = settings.read_text("utf-8").replace('#encoder = "auto"', 'encoder = "pixel"')
    settings.write_text(text.replace("#ratio = 3.0", "ratio = 1.5").replace("#most_share = 0.5", "most_share = 0.2"))
    words = ["synthesize", "hole", str(tmp_path / "p"), "--class", "blowhole", "--out", str(tmp_path / "o"), "--add"]
    assert main([*words, "--json", "--quiet"]) == 0
    body = json.loads(capsys.readouterr().out)
    goal = body["targets"]["blowhole"]
    real, sound = (int(((tiles["label"] == code) & (tiles["split"] == "train")).sum()) for code in (1, 0))
    n = -(-2 * sound // 3) - real
    assert (goal["real"], goal["target"], body["wanted"]) == (real, real + n, n)
    assert (body["accepted"], body["added"], body["version"]) == (n, n, "v2")
    assert body["synthetic_share"] == pytest.approx(n / (n + real))
    assert f"{n / (n + real):.0%}" in body["warnings"][0]
    told = json.loads((tmp_path / "o" / "screen.json").read_text("utf-8"))
    assert told["accepted"] == n
    assert [row["accepted"] for row in told["samples"]].count(False) == body["rejected"]
    assert "<script" not in (tmp_path / "o" / "screen.html").read_text("utf-8")
    with Project.open(tmp_path / "p") as project:
        ds = project.dataset()
        made = np.flatnonzero(ds["origin"] == "synthetic")
        assert len(made) == n
        pictures = modality.open_samples(ds, made)
        files = [cv2.imread(str(path), 0) for path in (tmp_path / "o" / "images" / "train").iterdir()]
        assert all(any(np.array_equal(one, file) for file in files) for one in pictures)
        redone = again(project.dataset("v1"), ds.steps[-1], Scene(None, ds.sources))
        assert redone.table.select(["id", "recipe", "label"]).equals(ds.table.select(["id", "recipe", "label"]))
    assert main([*words, "--quiet"]) == 2
    assert "lacks no samples" in " ".join(capsys.readouterr().err.split())
