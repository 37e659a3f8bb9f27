"""Three ways from a pile to a model, as a person types them: pictures, rows of a table, texts."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow.parquet as pq
import pytest

from scarce.project import Project

Call: TypeAlias = Callable[..., Any]
pytestmark = pytest.mark.slow
TEXT_RULES = """
from scarce.label.rule import labeling_function

@labeling_function()
def link(x):
    return "spam" if "http" in x.text or "www." in x.text else None

@labeling_function()
def asks(x):
    return "spam" if "check out" in x.text.lower() or "subscribe" in x.text.lower() else None

@labeling_function()
def short(x):
    return "ham" if len(x.text.split()) < 8 else None

@labeling_function()
def song(x):
    return "ham" if "song" in x.text.lower() or "love" in x.text.lower() else None
"""
TABLE_RULES = """
from scarce.label.rule import labeling_function

@labeling_function()
def first(x):
    return "nasal" if x.row["f0"] > 0.5 else None

@labeling_function()
def broken(x):
    return x.row["nothing"]
"""


def filled(table: Path, truth: dict[str, str], voter: str, *, wrong: float = 0.0) -> Path:
    """Answer every question of a table in a copy, some of them wrongly."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    classes, rng = sorted(set(truth.values())), np.random.default_rng(len(voter))
    out = table.with_name(f"{voter}.csv")
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            right = truth[row["file"].rpartition("/")[2].rpartition("#")[2]]
            others = [name for name in classes if name != right]
            said = str(rng.choice(others)) if rng.random() < wrong else right
            writer.writerow({**row, "new_label": said, "seconds": "2"})
    return out


def sources(folder: Path) -> Counter[tuple[str, str]]:
    """Count the labelled rows by split and by who labelled them."""
    with Project.open(folder) as project:
        ds = project.dataset()
    rows = np.flatnonzero(ds["label"] >= 0)
    return Counter(zip(ds["split"][rows].astype(str).tolist(), ds["label_source"][rows].astype(str).tolist(),
                       strict=True))  # fmt: skip


def test_pictures_from_a_pile_to_an_export(garments: Path, call: Call, tmp_path: Path) -> None:
    truth: dict[str, str] = {}
    shown: Counter[str] = Counter()
    rows = pq.read_table(garments, columns=["image", "label", "split", "row"]).to_pylist()
    some = [row for row in rows if row["split"] == "test" and row["label"] in ("Bag", "Coat", "Trouser")]
    for row in (some[place] for place in np.random.default_rng(0).permutation(len(some))[:400]):
        shown[row["label"]] += 1
        place = tmp_path / "photos" / (row["label"] if shown[row["label"]] <= 5 else "unlabeled")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{row['row']}.png").write_bytes(row["image"])
        truth[f"{row['row']}.png"] = row["label"]
    folder, table = tmp_path / "p", tmp_path / "questions.csv"
    call("init", folder, "--from", tmp_path / "photos")
    settings = folder / "scarce.toml"
    settings.write_text(settings.read_text("utf-8").replace('#encoder = "auto"', 'encoder = "pixel"'), "utf-8")
    call("query", folder, "--budget", "30")
    for voter, wrong in (("anna", 0.0), ("ben", 0.3), ("eva", 0.1)):
        if voter == "anna":
            assert call("label", "export", folder, "--csv", table)["questions"] == 50
        got = call("label", "import", folder, "--csv", filled(table, truth, voter, wrong=wrong), "--voter", voter)
    assert got["rounds"][0]["by"] == {"anna": 50, "ben": 50, "eva": 50}
    voted = call("label", "vote", folder)
    assert (voted["votes"], voted["labeled"]) == (150, 50)
    call("label", "export", folder, "--csv", table, "--strategy", "random")
    told = call("label", "import", folder, "--csv", filled(table, truth, "anna"), "--voter", "anna")
    assert told["rounds"][1]["after"]["value"] > 0.8
    assert "scarce split" in call("train", folder, "--trainer", "linear_probe", code=2)["error"]["message"]
    call("split", folder)
    call("train", folder, "--trainer", "linear_probe")
    assert call("evaluate", folder)["balanced_accuracy"]["value"] > 0.8
    call("export", tmp_path / "out", "--format", "csv", "--project", folder)
    with (tmp_path / "out" / "index.csv").open(encoding="utf-8") as file:
        assert {row["label"] for row in csv.DictReader(file)} >= set(truth.values())


def test_rows_of_a_table_by_people_and_rules(shared_data: Path, call: Call, tmp_path: Path) -> None:
    with (shared_data / "tabular_imbalanced" / "phoneme.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:800]
    truth = {str(place): ("nasal", "oral")[int(row["target"])] for place, row in enumerate(rows)}
    with (tmp_path / "parts.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["part", "f0", "f1", "f2", "f3", "f4", "kind"])
        for place, row in enumerate(rows):
            writer.writerow([f"p{place}", *list(row.values())[:5], truth[str(place)] if place % 20 == 0 else ""])
    folder, table, rules = tmp_path / "p", tmp_path / "questions.csv", tmp_path / "rules.py"
    call("init", folder, "--from", tmp_path / "parts.csv", "--label", "kind")
    asked = call("query", folder, "--budget", "20")
    assert all("#" in row["uri"] for row in asked["samples"])
    call("label", "export", folder, "--csv", table)
    with table.open(encoding="utf-8", newline="") as file:
        first = next(csv.DictReader(file))
    assert f"f0: {float(rows[int(first['file'].rpartition('#')[2])]['f0']):g}" in first["content"]
    assert call("label", "import", folder, "--csv", filled(table, truth, "anna"))["labels"] == 50
    rules.write_text(TABLE_RULES, encoding="utf-8")
    refused = call("label", "rule", folder, "--functions", rules, code=1)
    assert "not proven better than chance" in refused["refused"], "rules that name one class only"
    ruled = call("label", "rule", folder, "--functions", rules, "--even-so")
    assert ruled["classes"]["nasal"] > 100
    assert ruled["classes"]["oral"] == 0
    done = call("run", folder, "--minutes", "1")
    by = sources(folder)
    assert by["train", "rule"] > 100
    assert not by["test", "rule"] + by["val", "rule"], "what a rule said is no measure of a model"
    assert done["test"]["n"] == by["test", "given"] + by["test", "human"]


def test_texts_by_rules_several_people_and_a_review(shared_data: Path, call: Call, tmp_path: Path) -> None:
    with (shared_data / "weak_votes" / "youtube" / "train.csv").open(encoding="utf-8") as file:
        found = {row["text"]: ("ham", "spam")[int(row["label"])] for row in list(csv.DictReader(file))[:500]}
    truth = {str(place): label for place, label in enumerate(found.values())}
    with (tmp_path / "comments.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows([text, label if place < 30 else ""] for place, (text, label) in enumerate(found.items()))
    folder, table, rules = tmp_path / "p", tmp_path / "questions.csv", tmp_path / "rules.py"
    call("init", folder, "--from", tmp_path / "comments.csv")
    rules.write_text(TEXT_RULES, encoding="utf-8")
    ruled = call("label", "rule", folder, "--functions", rules, "--ask")
    assert ruled["labeled"] > 100
    assert ruled["asked"] > 30
    assert call("label", "export", folder, "--csv", table)["questions"] == ruled["asked"]
    for voter, wrong in (("anna", 0.02), ("ben", 0.2), ("eva", 0.1)):
        call("label", "import", folder, "--csv", filled(table, truth, voter, wrong=wrong), "--voter", voter)
    voted = call("label", "vote", folder)
    assert (voted["votes"], voted["labeled"]) == (3 * ruled["asked"], ruled["asked"])
    quality = {one["name"]: one["accuracy"] for one in voted["annotators"]}
    assert quality["anna"] > quality["ben"]
    call("audit", folder, "--only", "label-error")
    review = call("review", folder, "--csv", tmp_path / "review.csv")
    if review["waiting"]:
        call("review", folder, "--answers", filled(tmp_path / "review.csv", truth, "anna"), "--voter", "anna")
    done = call("run", folder, "--minutes", "1")
    assert not sum(count for (split, source), count in sources(folder).items()
                   if source == "rule" and split in ("test", "val"))  # fmt: skip
    assert done["test"]["balanced_accuracy"]["value"] > 0.6
