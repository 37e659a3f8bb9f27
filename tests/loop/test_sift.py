"""Synthetic candidates of a run: to the target, screened in every fold, told in JSON and report."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scarce
from scarce import encode, synthesize
from scarce.config import Config
from scarce.dataset import Dataset, Schema
from scarce.decision import fold_of_view
from scarce.errors import ScarceError
from scarce.loop import Run, sift
from scarce.project import Project

QUICK: dict[str, Any] = {"encoder": "pixel", "trainer": "linear_probe", "folds": 3, "repeats": 2}
COUNTS = {"free": 120, "blowhole": 24}


@pytest.fixture(scope="module")
def tiles(shared_data: Path) -> Dataset:
    """A hundred and twenty sound tiles, twenty-four with blowholes; all are train."""
    root = shared_data / "magnetic_tile"
    with (root / "index.csv").open() as file:
        every = list(csv.DictReader(file))
    rows = [row for name, n in COUNTS.items() for row in [row for row in every if row["class"] == name][:n]]
    values = {
        "id": [f"{row:03d}" for row in range(len(rows))], "uri": [row["image"] for row in rows],
        "source": ["tiles"] * len(rows), "label": [row["class"] for row in rows],
        "mask_uri": [row["mask"] or None for row in rows], "split": ["train"] * len(rows),
        "split_group": [row["tile_group"] for row in rows],
    }  # fmt: skip
    schema = Schema(classes=tuple(COUNTS), normal_classes=("free",))
    return Dataset.from_columns(schema, values, sources={"tiles": str(root)})


@pytest.fixture(scope="module")
def done(tiles: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("sift")
    place = Path(tiles.sources["tiles"])
    for name in ("images", "masks"):
        (folder / name).symlink_to(place / name)
    table = ["image,label,mask,group"]
    for uri, code, mask, group in zip(
        tiles["uri"], tiles["label"], tiles["mask_uri"], tiles["split_group"], strict=True
    ):
        table.append(f"{uri},{tiles.schema.classes[code]},{mask or ''},{group}")
    (folder / "tiles.csv").write_text("\n".join(table) + "\n", "utf-8")
    Project.init(folder / "p").close()
    settings = folder / "p" / "scarce.toml"
    settings.write_text(settings.read_text("utf-8") + "[synthesize.screen.probe_confidence]\nshare = 0.0\n", "utf-8")
    return scarce.run(folder / "tiles.csv", project=folder / "p", normal=("free",), **QUICK)


def test_a_run_says_what_was_refused_and_why(done: Run) -> None:
    body = json.loads(json.dumps(done.result))["synthetic"]
    row = body["classes"]["blowhole"]
    assert body["made"] == body["accepted"] + body["refused"] > 0
    assert sum(body["by_screen"].values()) == body["refused"]
    assert row["target"] <= row["real"] * (1 + row["copies"])
    assert row["made"] == row["target"] - row["real"]
    assert row["share"] == pytest.approx(row["accepted"] / (row["accepted"] + row["real"]), abs=1e-6)
    assert row["accepted"] > 0
    assert {"kid", "frechet", "domain_gap"} <= set(body["distances"])
    text = re.sub(r"<[^>]+>", " ", Path(done.result["report"]).read_text("utf-8"))
    assert "synthetic candidates passed the screens" in text
    assert f"target {row['target']}" in text
    assert f"{row['share']:.0%} of the class" in text
    assert f"{body['made']:,} made, {body['accepted']:,} passed the screens" in text
    assert "not built yet" not in text


def test_verdicts_of_a_fold_do_not_see_its_other_side(tiles: Dataset) -> None:
    config = Config()
    ds = sift.make(encode.run(tiles, "pixel"), config, seed=1)
    ds = sift.without_broken(encode.again(ds, "embedding.pixel"), "embedding.pixel", config)
    chosen = sift.decision(config)
    real = ds["origin"] == "real"
    groups = np.array([int(name[5:]) % 3 == 0 for name in ds["split_group"]])
    sides = ds.ids[real & ~groups], ds.ids[real & groups]

    def verdicts(data: Dataset) -> tuple[list[str], list[str]]:
        fold, _ = fold_of_view(data.fold(*sides), "embedding.pixel", 0, 64)
        start = fold.start()
        rows = chosen.apply(start, fold).rows
        found = chosen.judge(fold)
        assert sorted(set(fold.train.ids[rows]) - set(fold.train.ids[start.rows])) == sorted(found.passed)
        return found.ids.tolist(), list(found.reasons)

    noise = ds.wide["embedding.pixel"].copy()
    noise[real & groups] = np.random.default_rng(0).normal(size=noise.shape[1])
    once = verdicts(ds)
    assert once == verdicts(replace(ds, wide={**ds.wide, "embedding.pixel": noise}))
    parents = dict(zip(ds.ids.tolist(), ds.table["parents"].to_pylist(), strict=True))
    assert all(set(parents[name]) <= set(sides[0]) for name in once[0])


def test_nothing_to_grow_on_is_said(tiles: Dataset) -> None:
    with pytest.raises(ScarceError, match="no class is known to be sound"):
        sift.make(replace(tiles, schema=replace(tiles.schema, normal_classes=())), Config())
    config = Config.from_toml("[synthesize.screen]\nonly = ['distant']\n[synthesize]\nonly = ['hole']\nratio = 2.0\n")
    assert sift.decision(config).screens == ("distant",)
    made = sift.make(tiles, config)
    assert len(made) - len(tiles) == 60 - 24
    assert {step.name for step in made.steps} == {"hole"}
    assert synthesize.servable(tiles, "hole")["blowhole"] == ""
