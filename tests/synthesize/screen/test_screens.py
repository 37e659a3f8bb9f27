"""Screens on real tiles: what is planted is refused with its reason, and nothing is learned from held-out samples."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from scarce import encode, synthesize
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError, UnknownNameError
from scarce.synthesize import screen

PLANTED = ("blank", "copied", "gone", "twice_a", "twice_b", "sound")


@pytest.fixture(scope="module")
def tiles(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """350 magnetic tiles with 40 pasted blowholes and six pictures of a generator, most of them bad."""
    root, folder = shared_data / "magnetic_tile", tmp_path_factory.mktemp("made")
    with (root / "index.csv").open() as file:
        every = [row for row in csv.DictReader(file) if row["class"] in ("free", "blowhole")]
    rows = [row for row in every if row["class"] == "blowhole"] + [row for row in every if row["class"] == "free"][:240]
    values = {
        "id": [f"{row:05d}" for row in range(len(rows))], "uri": [row["image"] for row in rows],
        "source": ["tiles"] * len(rows), "label": [row["class"] for row in rows],
        "mask_uri": [row["mask"] or None for row in rows], "split_group": [row["tile_group"] for row in rows],
        "split": ["test" if int(row["tile_group"][5:]) % 4 == 0 else "train" for row in rows],
    }  # fmt: skip
    schema = Schema(classes=("free", "blowhole"), normal_classes=("free",))
    ds = Dataset.from_columns(schema, values, sources={"tiles": str(root), "made": str(folder)})
    ds = synthesize.run(ds, "cut_paste", counts={"blowhole": 40}, seed=3)
    train = np.flatnonzero((ds["split"] == "train") & (ds["label"] == 1) & (ds["origin"] == "real"))
    pictures = [cv2.imread(str(root / uri), cv2.IMREAD_GRAYSCALE) for uri in ds["uri"][train[[0, 30, 50]]]]
    turned = cv2.flip(pictures[1], -1)
    drawn = {
        "blank": np.full((200, 200), 90, np.uint8), "copied": pictures[0], "twice_a": turned, "twice_b": turned,
        "sound": cv2.flip(pictures[2], 1),
    }  # fmt: skip
    for name, picture in drawn.items():
        cv2.imwrite(str(folder / f"{name}.png"), picture)
    made = {
        "id": [f"made_{name}" for name in PLANTED], "uri": [f"{name}.png" for name in PLANTED],
        "source": ["made"] * len(PLANTED), "label": ["blowhole"] * len(PLANTED), "split": ["train"] * len(PLANTED),
        "origin": ["synthetic"] * len(PLANTED), "parents": [[str(ds.ids[train[7]])]] * len(PLANTED),
    }  # fmt: skip
    return encode.run(ds.append(made), "pixel")


def test_what_is_planted_is_refused_with_its_reason(tiles: Dataset) -> None:
    found = screen.judge(screen.training_view(tiles), settings={"probe_confidence": {"least": 0.0, "share": 0.0}})
    why = dict(zip(found.ids.tolist(), found.reasons, strict=True))
    assert why["made_blank"].startswith("broken: it is blank")
    assert why["made_gone"].startswith("broken: it cannot be opened")
    assert "memorized: copies" in why["made_copied"]
    assert why["made_twice_b"].startswith("duplicate: repeats made_twice_a")
    pasted = np.array([not name.startswith("made_") for name in found.ids])
    assert found.accepted[pasted].mean() > 0.7
    assert sum(found.counts().values()) == (~found.accepted).sum()
    body = found.to_json()
    assert json.loads(json.dumps(body)) == body
    assert body["accepted"] == found.accepted.sum()
    distance = body["screens"]["kid"]["classes"]["blowhole"]
    assert distance["low"] < distance["value"] < distance["high"]
    assert "pixel" in body["screens"]["frechet"]["distance"]
    assert "FID" not in body["screens"]["frechet"]["distance"]
    assert 0 <= body["screens"]["domain_gap"]["classes"]["blowhole"]["auroc"] <= 1


def test_what_is_like_nothing_real_is_refused(tiles: Dataset) -> None:
    found = screen.judge(screen.training_view(tiles), "distant")
    why = dict(zip(found.ids.tolist(), found.reasons, strict=True))
    assert why["made_blank"].startswith("distant: distance")
    assert found.accepted.mean() > 0.9


def test_refused_ones_are_set_aside_and_a_large_share_is_told(tiles: Dataset) -> None:
    ds = screen.run(tiles, ["broken", "duplicate"], most_share=0.2)
    said = dict(zip(ds.ids.tolist(), ds["drop_reason"], strict=True))
    aside = set(ds.ids[~ds["keep"].astype(bool)].tolist())
    assert {"made_blank", "made_gone", "made_twice_b"} <= aside
    assert said["made_blank"].startswith("screen: broken: it is blank")
    assert all(ds["origin"][~ds["keep"].astype(bool)] == "synthetic")
    told = [row["why"] for row in ds.findings.to_pylist() if row["check"] == "screen"]
    assert len(told) == 1
    assert "more than 20%" in told[0]
    again = screen.run(ds, ["broken", "duplicate"], most_share=0.9)
    assert np.array_equal(again["keep"], ds["keep"])
    assert "screen" not in again.findings["check"].to_pylist()


def test_held_out_samples_change_nothing(tiles: Dataset) -> None:
    held = tiles["split"] == "test"
    rng = np.random.default_rng(1)
    features = tiles["embedding.pixel"].copy()
    features[held] = rng.permutation(features[held]) * 3 + 1
    labels = tiles.table["label"].to_pylist()
    turned = [("free" if name == "blowhole" else "blowhole") if out else name
              for name, out in zip(labels, held, strict=True)]  # fmt: skip
    other = replace(tiles, wide={**tiles.wide, "embedding.pixel": features}).with_columns({"label": turned})
    only = ["probe_confidence", "memorized", "distant", "duplicate", "kid", "frechet", "domain_gap"]
    first, second = (screen.judge(screen.training_view(ds), only) for ds in (tiles, other))
    assert first.to_json() == second.to_json()


def test_a_fold_judges_only_what_it_may_train_on(tiles: Dataset) -> None:
    real = (tiles["split"] == "train") & (tiles["origin"] == "real")
    groups = np.unique(tiles["split_group"][real].astype(str))
    inside = real & np.isin(tiles["split_group"].astype(str), groups[::2])
    view = tiles.fold(tiles.ids[inside], tiles.ids[real & ~inside])
    found = screen.judge(view, "memorized")
    parents = dict(zip(tiles.ids.tolist(), tiles.table["parents"].to_pylist(), strict=True))
    assert len(found.ids)
    assert all(set(parents[name]) <= set(tiles.ids[inside].tolist()) for name in found.ids)


def test_a_defect_that_changes_nothing_is_broken(tiles: Dataset) -> None:
    row = next(row for row in tiles.table.to_pylist() if row["origin"] == "synthetic" and row["recipe"])
    body = json.loads(row["recipe"])
    body["ops"] = []
    ds = tiles.append({
        "id": ["made_unchanged"], "label": ["blowhole"], "split": ["train"], "origin": ["synthetic"],
        "parents": [row["parents"]], "recipe": [json.dumps(body)], "split_group": [row["split_group"]],
    })  # fmt: skip
    found = screen.judge(screen.training_view(ds), "broken")
    why = dict(zip(found.ids.tolist(), found.reasons, strict=True))
    assert why["made_unchanged"].startswith("broken: nothing was drawn")
    assert not why[row["id"]]


def test_limits_refuse_whole_classes(tiles: Dataset) -> None:
    found = screen.judge(screen.training_view(tiles), "kid", settings={"kid": {"limit": 1e-9}})
    low = found.summary["kid"]["classes"]["blowhole"]["low"]
    assert found.counts().get("kid", 0) == (len(found.ids) - 1 if low > 1e-9 else 0)
    gap = screen.judge(screen.training_view(tiles), "domain_gap", settings={"domain_gap": {"most": 0.5}})
    told = gap.summary["domain_gap"]["classes"]["blowhole"]
    assert bool(gap.counts()) == (told["low"] > 0.5)


def test_what_cannot_be_screened_is_said(tiles: Dataset) -> None:
    with pytest.raises(UnknownNameError, match="memorised"):
        screen.run(tiles, "memorised")
    with pytest.raises(UnknownNameError):
        screen.run(tiles, "broken", settings={"sharpness": {}})
    bare = replace(tiles, wide={})
    with pytest.raises(DataError, match="no embedding"):
        screen.run(bare, "kid")
    real = tiles.take(tiles["origin"] == "real")
    assert len(screen.judge(screen.training_view(real)).ids) == 0


def test_the_page_shows_both_sides_and_needs_nothing_else(tiles: Dataset, tmp_path: Path) -> None:
    from scarce.loop.screening import screened

    ds, found = screened(tiles, tmp_path / "out", only=["broken", "duplicate", "kid"])
    page = (tmp_path / "out" / "screen.html").read_text("utf-8")
    body = json.loads((tmp_path / "out" / "screen.json").read_text("utf-8"))
    assert body["accepted"] == found.accepted.sum() == (ds["keep"].astype(bool) & (ds["origin"] == "synthetic")).sum()
    assert "it is blank" in page
    assert "cut paste" in page
    assert page.count("data:image/") > 10
    assert "<script" not in page
    assert "http://" not in page
    assert len(page) < 5_000_000


def test_a_copy_of_a_photo_that_is_decoded_at_reduced_size_is_found(shared_data: Path, tmp_path: Path) -> None:
    root = shared_data / "magnetic_tile"
    with (root / "index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["class"] == "free"][:24]
    for number, row in enumerate(rows):
        large = cv2.resize(cv2.imread(str(root / row["image"])), (1800, 1500), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(tmp_path / f"{number:02d}.jpg"), large, (cv2.IMWRITE_JPEG_QUALITY, 60))
    names = [f"{number:02d}" for number in range(24)]
    values = {"id": names, "uri": [f"{name}.jpg" for name in names], "source": ["s"] * 24, "label": ["a", "b"] * 12,
              "split": ["train"] * 24}  # fmt: skip
    ds = Dataset.from_columns(Schema(classes=("a", "b")), values, sources={"s": str(tmp_path)})
    ds = encode.run(ds, "pixel")
    gate = screen.Gate(screen.training_view(ds), only=["memorized"], settings={"memorized": {"share": 0.0}})
    full = [cv2.cvtColor(cv2.imread(str(tmp_path / f"{name}.jpg")), cv2.COLOR_BGR2RGB) for name in names]
    copies = gate.judge([screen.Candidate(f"c{name}", picture, "a") for name, picture in zip(names, full, strict=True)])
    assert all(f"copies {name}" in why for name, why in zip(names, copies, strict=True))
    turned = gate.judge([screen.Candidate(f"t{n}", cv2.rotate(p, 1), "a") for n, p in zip(names, full, strict=True)])
    assert not any(turned)
