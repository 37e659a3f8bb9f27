"""``scarce study`` and ``scarce label spread`` on projects of real garments."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scarce.cli import main


def test_a_study_writes_its_page_and_goes_on_where_it_stopped(project: Path, call: Callable[..., Any]) -> None:
    settings = project / "scarce.toml"
    settings.write_text(settings.read_text("utf-8") + "\n[study.query_strategies]\ninitial = 6\nstep = 6\n", "utf-8")
    asked = ("study", "query-strategies", project, "--strategy", "margin", "--budget", 18, "--seeds", 2)
    first = call(*asked, "--minutes", 0)
    assert first["seeds_done"] == 0
    body = call(*asked)
    assert body["seeds_done"] == 2
    assert body["strategies"]["margin"]["labels"] == [6, 12, 18]
    page = Path(body["page"])
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert json.loads(page.with_suffix(".json").read_text("utf-8"))["seeds_done"] == 2
    assert len(page.with_suffix(".jsonl").read_text("utf-8").splitlines()) == 1 + 5
    worth = call("study", "zero-shot", project, "--examples", 30, "--precision", 0.6, "--seeds", 1)
    assert worth["arms"]["all_human"]["mean"] > 0.5
    assert main(["study", "query-strategies", str(project), "--strategy", "margins"]) == 2


@pytest.fixture
def partly(photos: Path, tmp_path: Path) -> Path:
    """A manifest of which every third picture has a label."""
    place = tmp_path / "partly.csv"
    files = sorted(path for path in photos.glob("*/*.png") if path.name != "broken.png")
    with place.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label"])
        rows.writerows((str(path), path.parent.name if number % 3 == 0 else "") for number, path in enumerate(files))
    return place


def test_labels_spread_over_a_project_as_a_new_version(
    partly: Path, tmp_path: Path, call: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "p"
    assert main(["init", str(folder), "--from", str(partly), "--quiet"]) == 0
    settings = folder / "scarce.toml"
    text = settings.read_text("utf-8").replace('#encoder = "auto"', 'encoder = "pixel"')
    settings.write_text(text, "utf-8")
    capsys.readouterr()
    dry = call("label", "spread", folder, "--confidence", 0.6, "--dry-run")
    assert dry["version"] is None
    body = call("label", "spread", folder, "--confidence", 0.6)
    assert body["written"] == dry["written"] > 20
    assert body["labels"] + body["unlabelled"] == 72
    assert body["check"]["held_out"] == 24
    assert call("status", folder)["head"] == body["version"]
    assert main(["label", "spread", str(folder), "--share", "Hat=0.5"]) == 2
    assert "Hat" in capsys.readouterr().err
    assert main(["label", "spread", str(folder), "--confidence", "0.9"]) == 0
    assert "held-out labels" in capsys.readouterr().out


def test_studies_of_networks_run_on_a_project(project: Path, call: Callable[..., Any]) -> None:
    call("split", project)
    asked = (project, "--seeds", 1, "--epochs", 1, "--most", 30, "--judged", 20)
    nets = ("--network", "small_resnet", "--network", "small_convnext")
    for _ in range(2):  # the second call only shows what was measured
        body = call("study", "architectures", *asked, *nets)
        assert body["tested_once"]
        assert call("status", project)["test_looks"] == 1
    assert list(body["networks"]) == ["small_resnet", "small_convnext"]
    assert Path(body["page"]).read_text("utf-8").count("<svg") == 3
    body = call("study", "out-of-distribution", *asked)
    assert body["seeds_done"] == 1
    assert list(body["choices"]) == ["glyphs", "digits"]
    assert main(["study", "out-of-distribution", str(project), "--unknown", "glyphs", "--quiet"]) == 2
