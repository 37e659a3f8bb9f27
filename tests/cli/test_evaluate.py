"""``scarce evaluate`` as a user sees it: the page of a look, its samples, costs, the wish for another rate."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scarce import train
from scarce.cli import main
from scarce.dataset import Schema
from scarce.project import Project
from scarce.train.predict import predict

FEW = {"good": 120, "Coat": 60, "Shirt": 40}
SECTIONS = ("classes", "confusion", "cells", "operating", "costs", "calibration", "unknown", "ambiguous", "slices",
            "next", "mistakes", "origin")  # fmt: skip


@pytest.fixture(scope="module")
def judged(garments: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A project of three look-alike garments, a model with balanced softmax, and one look at it with everything."""

    from contextlib import redirect_stdout

    base = tmp_path_factory.mktemp("look")
    rows = [row for row in pq.read_table(garments).to_pylist() if row["label"] in ("Pullover", "Coat", "Shirt")]
    made: list[dict[str, Any]] = []
    rng = np.random.default_rng(0)
    for row in rows:
        name = {"Pullover": "good"}.get(row["label"], row["label"])
        kind = "test" if row["split"] == "test" else "train"
        if sum(one["label"] == name and one["split"] == kind for one in made) < (FEW[name] if kind == "train" else 60):
            made.append({"image": row["image"], "label": name, "split": kind, "camera": rng.choice(["a<b", "c"]),
                         "angle": float(rng.uniform(-9, 9))})  # fmt: skip
    pq.write_table(pa.Table.from_pylist(made), base / "g.parquet")
    project = base / "p"
    assert main(["init", str(project), "--from", str(base / "g.parquet"), "--quiet"]) == 0
    settings = project / "scarce.toml"
    settings.write_text(settings.read_text().replace('#encoder = "auto"', 'encoder = "pixel"'), encoding="utf-8")
    assert main(["train", str(project), "--model", "linear-probe", "--loss", "balanced_softmax", "--quiet"]) == 0
    said = io.StringIO()
    with redirect_stdout(said):
        assert main(["evaluate", str(project), "--costs", "10,1", "--ask", "5", "--json", "--quiet"]) == 0
    return {"project": project, **json.loads(said.getvalue())}


def test_the_page_has_every_section_and_each_number_of_the_matrix_leads_to_samples(judged: dict[str, Any]) -> None:
    text = Path(judged["report"]).read_text(encoding="utf-8")
    for key in SECTIONS:
        assert f'<section id="{key}"' in text or f'id="{key}"' in text, key
    for place in set(re.findall(r'href="#(cell-[^"]+)"', text)):
        assert f'id="{place}"' in text
    for cell in judged["confusion"]["cells"]:
        place = [judged["classes"].index(cell[side]) for side in ("true", "predicted")]
        assert f'href="#cell-{place[0]}-{place[1]}"' in text
    assert text.count("data:image/") >= 20
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    assert "a&lt;b" in text
    assert "a<b" not in text
    assert Path(judged["report"]).with_suffix(".json").is_file()


def test_every_class_has_intervals_around_its_f1(judged: dict[str, Any]) -> None:
    for row in judged["per_class"].values():
        assert row["f1_low"] < row["f1"] < row["f1_high"]


def test_thresholds_come_from_held_back_samples_at_the_rate_that_is_asked_for(
    judged: dict[str, Any], call: Callable[..., Any]
) -> None:
    model = train.load(judged["model"])
    assert judged["operating_point"]["threshold"] == model.card["operating_point"]["threshold"]
    assert judged["operating_point"]["in_sample"] is False
    assert judged["operating_point"]["at_detection_rate"]["detection_rate"] == 0.99
    assert set(judged["calibration"]["kinds"]) == {"none", "temperature", "vector", "isotonic"}
    other = call("evaluate", judged["project"], "--false-positive-rate", 0.1, "--page", judged["project"] / "o.html")
    labels, probs = model.held_out
    score = 1 - probs[labels == model.classes.index("good"), model.classes.index("good")]
    cut = other["operating_point"]["threshold"]
    assert (score >= cut).mean() <= 0.1
    assert cut < judged["operating_point"]["threshold"]
    assert Path(other["report"]) == judged["project"] / "o.html"


def test_verdicts_on_the_test_are_those_of_predict(judged: dict[str, Any]) -> None:
    with Project.open(judged["project"]) as project:
        ds = project.dataset(judged["version"])
    rows = np.flatnonzero((ds["split"] == "test") & ds["keep"].astype(bool) & (ds["label"] >= 0))
    files = [Path(ds.sources[str(ds["source"][row])]) / str(ds["uri"][row]) for row in rows]
    found = predict(train.load(judged["model"]), files)
    names = [ds.schema.classes[code] for code in ds["label"][rows]]
    counts = Counter((name, one.verdict) for name, one in zip(names, found, strict=True))
    told = judged["verdicts"]
    assert {(name, one): n for name, row in told["counts"].items() for one, n in row.items() if n} == dict(counts)
    passed, stopped = told["defects_accepted"], told["sound_not_accepted"]
    sound = judged["normal_classes"]
    assert passed["count"] == sum(n for (name, one), n in counts.items() if one == "accept" and name not in sound)
    assert stopped["count"] == sum(n for (name, one), n in counts.items() if one != "accept" and name in sound)
    assert passed["low"] <= passed["value"] <= passed["high"]


def test_a_card_takes_no_figures_of_another_model(
    judged: dict[str, Any], call: Callable[..., Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    place, project = tmp_path / "e.json", judged["project"]
    card = ("export", "--format", "model_card", "--project", project, "--model", judged["model"], "--evaluation", place)
    others = ({"weights": "0" * 32, "model": "p/.scarce/models/v9-other"}, {"classes": ["a", "b"]})
    for change in others:
        place.write_text(json.dumps({**judged, "project": None, **change}), encoding="utf-8")
        assert main([*map(str, card), str(tmp_path / "c.md")]) == 2
        told = " ".join(capsys.readouterr().err.split())
        assert Path(judged["model"]).name in told
        assert Path(change.get("model", judged["model"])).name in told
        assert not (tmp_path / "c.md").exists()
    place.write_text(json.dumps({**judged, "project": None, "version": "v99"}), encoding="utf-8")
    call(*card, tmp_path / "c.md")
    written = (tmp_path / "c.md").read_text(encoding="utf-8")
    assert "balanced accuracy" in written
    assert "real test samples of v99" in written


def test_natural_probabilities_calibration_and_slices_are_told(judged: dict[str, Any]) -> None:
    told = judged["calibration"]
    assert told["before"]["ece"]["value"] > told["ece"]["value"]
    assert told["natural"]["shares"]["good"] == pytest.approx(120 / 220, abs=0.02)
    assert {"camera", "angle", "brightness (measured)"} <= set(judged["per_slice"])
    assert judged["ece_natural"] == told["natural"]["ece"]


def test_what_to_look_at_next_are_training_samples_that_models_without_them_doubt(judged: dict[str, Any]) -> None:
    from scarce.project import Project

    asked = judged["next"]["questions"]
    assert 0 < len(asked) <= 5
    assert judged["asked"]["new"] == len(asked)
    with Project.open(judged["project"]) as project:
        ds = project.dataset()
        assert set(ds["split"][ds.rows_of([row["sample"] for row in asked])]) == {"train"}
        assert {row["sample"] for row in project.state.queue()} == {row["sample"] for row in asked}
    model = train.load(judged["model"])
    held = dict(zip(model.held_ids.tolist(), model.probabilities(model.held_logits, Schema(classes=model.classes)),
                    strict=True))  # fmt: skip
    for row in asked:
        assert row["priority"] == pytest.approx(held[row["sample"]].max())


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1200])
def test_in_a_browser_nothing_sticks_out_and_nothing_is_fetched(
    judged: dict[str, Any], tmp_path: Path, width: int
) -> None:
    browser = next((path for name in ("chromium", "chromium-browser", "google-chrome")
                    if (path := shutil.which(name))), None)  # fmt: skip
    if browser is None:
        pytest.skip("no Chromium on this machine")
    page = shutil.copy(judged["report"], tmp_path / "look.html")
    probe = tmp_path / "probe.html"
    probe.write_text(
        f"<iframe id=f src={Path(page).name} style='width:{width}px;height:900px;border:0'></iframe><p id=o>?</p>"
        "<script>f.onload=()=>{const d=f.contentDocument.documentElement;"
        "o.textContent='width '+d.scrollWidth+' of '+d.clientWidth}</script>"
    )
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0", "--dump-dom",
         "--allow-file-access-from-files", "--virtual-time-budget=5000", f"--user-data-dir={tmp_path / 'profile'}",
         probe.as_uri()], capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr, done.stderr
    measured = re.search(r"width (\d+) of (\d+)", done.stdout)
    assert measured is not None
    assert int(measured[1]) <= int(measured[2])


def test_costs_that_cannot_be_read_are_misuse(judged: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(judged["project"]), "--costs", "10;1", "--quiet"]) == 2
    assert "give MISS,ALARM" in capsys.readouterr().err
