from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from scarce import io
from scarce import recipe as recipes
from scarce.augment import OneOf, Policy, adapt, apply_batch, offline, policy, strength
from scarce.augment.brightness_contrast import BrightnessContrast
from scarce.augment.flip import Flip
from scarce.augment.gaussian_blur import GaussianBlur
from scarce.augment.gaussian_noise import GaussianNoise
from scarce.augment.rotate import Rotate
from scarce.cli import app
from scarce.dataset import Dataset
from scarce.errors import DataError, LeakError, ScarceError, UnknownNameError
from scarce.modality import open_samples


@pytest.fixture(scope="module")
def tiles(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real tiles: 8 blowholes and 8 sound ones to train on, 2 of each to test on."""
    root = tmp_path_factory.mktemp("tiles")
    for name in ("blowhole", "free"):
        own = next(place for place in sorted((shared_data / "magnetic_tile").rglob("*")) if place.is_dir()
                   and name in place.name.lower() and any(place.rglob("*.jpg")))  # fmt: skip
        for place, file in enumerate(sorted(own.rglob("*.jpg"))[:10]):
            target = root / ("train" if place < 8 else "test") / name / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
            cv2.imwrite(str(target), cv2.resize(image, (image.shape[1] // 3, image.shape[0] // 3)))
    return root


def hashes(folder: Path) -> dict[str, str]:
    found = sorted(folder.rglob("*.png"))
    return {str(item.relative_to(folder)): hashlib.sha256(item.read_bytes()).hexdigest() for item in found}


def test_files_are_the_recipes_pixels_whatever_the_workers(tiles: Path, tmp_path: Path) -> None:
    ds, chosen = io.read(tiles), Policy((Flip(), Rotate(), GaussianNoise(), OneOf(((GaussianBlur(),), (Flip(),)))))
    one = offline.write(ds, chosen, tmp_path / "a", per_sample=3, seed=4, workers=1)
    two = offline.write(ds, chosen, tmp_path / "b", per_sample=3, seed=4, workers=4)
    assert (one.written, two.written, one.failed) == (48, 48, {})
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    with one.manifest.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    trained = {str(ds.ids[row]) for row in np.flatnonzero(ds["split"] == "train")}
    assert {row["parent"] for row in rows} == trained
    for row in rows[::7]:
        opened = open_samples(ds, ds.rows_of([row["parent"]]))[0]
        found = cv2.imread(str(tmp_path / "a" / row["file"]), cv2.IMREAD_UNCHANGED)
        assert isinstance(opened, np.ndarray)
        assert np.array_equal(found, recipes.render(row["recipe"], lambda _, image=opened: image))
        online = apply_batch(opened[None], [row["parent"]], chosen, 4, int(row["copy"]))[0]
        assert np.array_equal(found, online)
        assert Path(row["file"]).stem == f"{Path(row['source_file']).stem}_aug_{row['copy']}"
    again = io.read(one.manifest)
    assert len(again) == 48
    assert set(again.schema.classes) == {"blowhole", "free"}


def test_an_interrupted_run_goes_on_and_another_one_is_refused(tiles: Path, tmp_path: Path) -> None:
    ds, out = io.read(tiles), tmp_path / "o"
    offline.write(ds, policy("surface"), out, per_sample=2)
    whole = hashes(out)
    for name in list(whole)[::3]:
        (out / name).unlink()
    (out / "manifest.csv").unlink()
    kept = {name: (out / name).stat().st_mtime_ns for name in hashes(out)}
    done = offline.write(ds, policy("surface"), out, per_sample=2)
    assert (done.written, done.reused) == (len(whole) - len(kept), len(kept))
    assert hashes(out) == whole
    assert all((out / name).stat().st_mtime_ns == at for name, at in kept.items())
    with pytest.raises(DataError, match="another policy"):
        offline.write(ds, policy("surface"), out, per_sample=2, seed=1)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        offline.write(ds, policy("surface"), tmp_path / "full")


def test_one_broken_picture_is_listed_and_the_rest_is_made(tiles: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(tiles, tmp_path / "in")
    bad = min((tmp_path / "in" / "train" / "free").iterdir())
    ds = io.read(tmp_path / "in")
    bad.write_bytes(bad.read_bytes()[:100])
    done = offline.write(ds, policy("surface"), tmp_path / "out", per_sample=1)
    assert done.written == 15
    assert [Path(name).name for name in done.failed] == [bad.name]


def test_data_without_a_split_is_refused_unless_all_is_for_training(tiles: Path, tmp_path: Path) -> None:
    ds = io.read(tiles / "train")
    with pytest.raises(LeakError, match="no split"):
        offline.write(ds, policy("surface"), tmp_path / "o")
    assert offline.write(offline.as_train(ds), policy("surface"), tmp_path / "o", per_sample=1).written == 16
    with pytest.raises(LeakError, match="split of its own"):
        offline.as_train(io.read(tiles))


def test_boxes_and_masks_are_written_along(tiles: Path, tmp_path: Path) -> None:
    ds = io.read(tiles)
    cell = json.dumps([{"label": "blowhole", "bbox": [4, 6, 10, 8]}])
    ds = ds.with_columns({"meta.boxes": [cell] * len(ds)})
    done = offline.write(ds, Policy((Flip(horizontal=1.0),)), tmp_path / "o", per_sample=1)
    with done.manifest.open(encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    width = cv2.imread(str(tmp_path / "o" / row["file"])).shape[1]
    assert json.loads(row["boxes"])[0]["bbox"] == [width - 14, 6, 10, 8]


def test_the_command_writes_copies_and_a_sheet(tiles: Path, tmp_path: Path) -> None:
    line = ["augment", str(tiles), "--policy", "garment", "--per-sample", "2", "--out", str(tmp_path / "o")]
    found = CliRunner().invoke(app, [*line, "--preview", str(tmp_path / "s.png"), "--json"])
    assert found.exit_code == 0, found.output
    body = json.loads(found.stdout)
    assert body["written"] == 32
    sheet = cv2.imread(str(tmp_path / "s.png"))
    assert sheet.shape == (6 * 128, 8 * 128, 3)
    assert len(np.unique(sheet)) > 50


@pytest.fixture(scope="module")
def some(garments: Path) -> Dataset:
    ds = io.read(garments)
    train = np.flatnonzero(ds["split"] == "train")
    return ds.take(np.sort(np.random.default_rng(0).permutation(train)[:2500]))


@pytest.fixture(scope="module")
def judge(some: Dataset) -> strength.Judge:
    return strength.Judge(some, seed=0)


@pytest.mark.parametrize(("operation", "passes"), [
    (Rotate(angle=(-180.0, 180.0), border="constant"), False),
    (BrightnessContrast(brightness=0.9, contrast=0.0), False),
    (GaussianNoise(deviation=(0.5, 0.5)), False),
    (Rotate(angle=(-15.0, 15.0), border="constant"), True),
    (BrightnessContrast(brightness=0.2, contrast=0.0), True),
    (GaussianNoise(deviation=(0.01, 0.01)), True),
])  # fmt: skip
def test_the_guard_refuses_what_is_too_strong_on_real_garments(
    judge: strength.Judge, operation: Any, passes: bool
) -> None:
    found = judge.measure(Policy((operation,)))
    assert found.passes == passes, found.line()


def test_the_preset_of_a_domain_passes_on_its_own_pictures_and_another_does_not(judge: strength.Judge) -> None:
    own, other = judge.measure(policy("garment")), judge.measure(policy("surface"))
    assert own.passes, own.line()
    assert not other.passes, other.line()


def test_what_the_probe_no_longer_knows_is_shown(judge: strength.Judge, tmp_path: Path) -> None:
    found = judge.measure(policy("surface"))
    assert all(one.true != one.taken and one.image.shape == (28, 28) for one in found.lost)
    sheet = cv2.imread(str(offline.lost_sheet(found.lost[:4], tmp_path / "lost.png")))
    assert sheet.shape == (2 * 144, 3 * 256, 3)


def test_no_group_lies_on_both_sides_of_the_judge(some: Dataset) -> None:
    groups = [f"g{row // 3}" for row in range(600)]
    ds = some.take(np.arange(600)).with_columns({"group": groups})
    of = dict(zip(ds.ids.tolist(), ds["group"].tolist(), strict=True))
    seen: list[int] = []

    def embed(images: list[Any]) -> Any:
        seen.append(len(images))
        return strength.small_pixels(images)

    held = strength.Judge(ds, embed=embed, domain="text_in_picture")
    inside = {of[name] for name in held.ids.tolist()}
    assert seen[1] == len(held.ids)
    half, other = strength._halves(ds, np.arange(600), np.random.default_rng(0), 0)
    assert not {of[name] for name in ds.ids[half].tolist()} & {of[name] for name in ds.ids[other].tolist()}
    assert inside


def test_other_originals_of_the_same_names_need_a_new_folder(tiles: Path, tmp_path: Path) -> None:
    ds = offline.as_train(io.read(tiles / "train"))
    offline.write(ds, policy("surface"), tmp_path / "o", per_sample=1)
    assert offline.write(ds, policy("surface"), tmp_path / "o", per_sample=1).reused == 16
    fewer = ds.take(np.arange(12))
    with pytest.raises(DataError, match="copies of other originals"):
        offline.write(fewer, policy("surface"), tmp_path / "o", per_sample=1)
    swapped = ds.with_columns({"label": [ds.schema.classes[code] for code in np.roll(ds["label"], 5)]})
    with pytest.raises(DataError, match="copies of other originals"):
        offline.write(swapped, policy("surface"), tmp_path / "o", per_sample=1)


def test_tuning_ends_at_a_strength_that_passes(judge: strength.Judge) -> None:
    found = judge.tune(Policy((Rotate(angle=(-120.0, 120.0), border="constant"),)))
    assert not found.tried[0].passes
    assert found.chosen is not None
    [turned] = found.chosen.policy.operations
    assert isinstance(turned, Rotate)
    assert 10 < turned.angle[1] < 120
    assert any("strongest" in line for line in found.lines())


def test_yolo_keys_become_a_policy_flat_or_nested() -> None:
    body = {"fliplr": 0.5, "flipud": 0.1, "degrees": 10, "scale": 0.2, "hsv_h": 0.015, "mosaic": 1.0}
    flat, nested = adapt.from_yolo(body), adapt.from_yolo({"augment": body})
    assert flat.operations == nested.operations
    assert [one.plugin_name() for one in flat.parts()] == [
        "mosaic",
        "flip",
        "shift_scale_rotate",
        "hue_saturation_value",
    ]
    assert "upside down" in adapt.warnings(flat, "garment")[0]
    assert adapt.warnings(adapt.from_yolo({"fliplr": 0.5}), "garment") == []
    with pytest.raises(UnknownNameError, match="degrees"):
        adapt.from_yolo({"degres": 10})
    for wrong in ({}, {"fliplr": "often"}, [1]):
        with pytest.raises(ScarceError):
            adapt.from_yolo(wrong)


def test_a_training_file_of_ultralytics_is_read_and_says_what_it_passed_over(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    training = (
        "task: detect\nmodel: yolo11n.pt\nlr0: 0.01\nmomentum: 0.937\nbox: 7.5\ncls: 0.5\ncos_lr: false\nfreeze: null\n"
    )
    pictures = "hsv_h: 0.015\nfliplr: 0.5\ncutmix: 0.2\nbgr: 0.0\nauto_augment: randaugment\n"
    (tmp_path / "args.yaml").write_text(training + pictures)
    nested = training + "augment:\n" + "".join(f"  {line}\n" for line in ["lr0: 0.01", *pictures.splitlines()])
    (tmp_path / "nested.yaml").write_text(nested)
    for name in ("args.yaml", "nested.yaml"):
        chosen = adapt.policy_of(str(tmp_path / name))
        assert [one.plugin_name() for one in chosen.parts()] == ["cutmix", "flip", "hue_saturation_value"]
        assert "not done here: auto_augment;" in chosen.why
        assert all(key in chosen.why for key in ("lr0", "momentum", "box", "cls", "cos_lr", "freeze", "task", "model"))
    (tmp_path / "args.yaml").write_text(training + "flipIr: 0.5\n")
    with pytest.raises(UnknownNameError, match=r"'flipIr'.*fliplr"):
        adapt.policy_of(str(tmp_path / "args.yaml"))
    with pytest.raises(ScarceError, match="known keys are"):
        adapt.from_yolo({"lr0": 0.01, "box": 7.5})


def test_a_yaml_file_is_a_policy(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    (tmp_path / "hyp.yaml").write_text("augment:\n  fliplr: 0.5\n  shear: 3\n")
    chosen = adapt.policy_of(str(tmp_path / "hyp.yaml"))
    assert [one.plugin_name() for one in chosen.parts()] == ["flip", "shear"]
    assert adapt.policy_of("surface") == policy("surface")


@pytest.mark.parametrize("domain", ["garment", "surface", "gray", "text_in_picture", "natural", "medical"])
def test_presets_keep_the_rules_of_their_own_domain(domain: str) -> None:
    assert adapt.warnings(policy(domain), domain) == []


def test_a_policy_without_a_reason_says_where_it_is_from(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('[[operation]]\nop = "flip"\n')
    assert adapt.policy_of(str(tmp_path / "own.toml")).why == f"read from {tmp_path / 'own.toml'}"
