"""``scarce synthesize`` with a generator, from the command line to the files that others read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from scarce import io
from scarce.cli import main
from scarce.config import Config
from scarce.errors import ConfigError

if TYPE_CHECKING:
    from conftest import Service
    from scarce.dataset import Dataset


@pytest.fixture(scope="module")
def photos(parts: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders: sound trousers, a few bags, and a broken file among the sound ones."""
    from scarce import modality

    base = tmp_path_factory.mktemp("photos")
    for folder, label, most in (("good", "Trouser", 12), ("bag", "Bag", 4)):
        (base / folder).mkdir()
        rows = np.flatnonzero(parts["label"] == parts.schema.classes.index(label))[:most]
        for row, picture in zip(rows, modality.open_samples(parts, rows), strict=True):
            cv2.imwrite(str(base / folder / f"{row}.png"), np.asarray(picture))
    (base / "good" / "broken.png").write_bytes(b"no picture")
    return base


def asked(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    code = main(["synthesize", *map(str, words), "--no-screen", "--json"])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    return json.loads(shown.out)


def test_inpainted_photos_come_with_coco_yolo_and_class_folders(
    service: Service, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.faults = [None, "broken base64"]
    words = ("image-api", photos, "--n", 14, "--out", tmp_path / "g", "--set", f"base_url={service.url}",
             "--set", "model=tiny", "--set", "mode=inpaint")  # fmt: skip
    body = asked(capsys, *words)
    assert (body["accepted"], body["rejected"], body["ended"], body["class"]) == (14, 1, "enough", "bag")
    assert "base64" in next(iter(body["reasons"]))
    assert body["originals"] > 5
    coco = json.loads((tmp_path / "g" / "instances_train.json").read_text("utf-8"))
    assert len(coco["images"]) == len(coco["annotations"]) == 14
    for row in coco["annotations"]:
        name = next(image["file_name"] for image in coco["images"] if image["id"] == row["image_id"])
        mask = cv2.imread(str(tmp_path / "g" / "masks" / Path(name).name), cv2.IMREAD_GRAYSCALE) > 127
        ys, xs = np.nonzero(mask)
        assert row["bbox"] == [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]
    assert len(list((tmp_path / "g" / "labels" / "train").glob("*.txt"))) == 14
    back = io.read(tmp_path / "g" / "classes")
    assert back.table["label"].to_pylist() == ["bag"] * 14
    again = asked(capsys, *words)
    assert again["accepted"] == 14
    assert len(service.calls) == 15


def test_a_server_that_fails_half_way_is_told_in_whole_sentences(
    service: Service, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.faults = [None, 500]
    words = ["synthesize", "image-api", str(photos), "--n", "3", "--out", str(tmp_path / "g"), "--no-screen", "--set",
             f"base_url={service.url}", "--set", "model=tiny", "--set", "tries=1", "--quiet"]  # fmt: skip
    assert main(words) == 2
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 3 samples of bag made by image_api:" in said
    assert ".." not in said.replace("...", "")
    assert main(words) == 0


@pytest.mark.slow
def test_prompt_only_pictures_get_class_folders_and_a_server_that_fails_says_so(
    service: Service, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.faults = [None, None, 500]
    words = ("image-api", photos, "--n", 4, "--out", tmp_path / "g", "--set", f"base_url={service.url}",
             "--set", "model=tiny", "--set", "tries=1")  # fmt: skip
    assert main(["synthesize", *map(str, words), "--no-screen", "--json"]) == 2
    body = json.loads(capsys.readouterr().out)
    assert (body["accepted"], body["ended"]) == (2, "fault")
    assert "ordered 500" in body["notes"][0]
    assert "instances_train.json" not in body["files"]
    assert len(list((tmp_path / "g" / "classes" / "bag").iterdir())) == 2
    assert asked(capsys, *words)["accepted"] == 4
    assert (
        main(["synthesize", "image-api", str(photos), "--n", "1", "--out", str(tmp_path / "x"), "--set", "model=m"])
        == 2
    )
    assert "unless you name an address" in " ".join(capsys.readouterr().err.split())


def test_per_combination_says_how_many(
    service: Service, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    combined = ["--set", 'garments=["a shirt", "a coat"]', "--set", 'damages=["a hole"]', "--per-combination", 2]
    body = asked(capsys, "image-api", photos, "--out", tmp_path / "g", "--set", f"base_url={service.url}",
                 "--set", "model=tiny", *combined)  # fmt: skip
    assert (body["wanted"], body["accepted"]) == (4, 4)


def test_generators_have_sections_of_their_own() -> None:
    config = Config.from_toml(
        '[synthesize.generate]\nmost_rejected = 7\n[synthesize.generate.image-api]\nmodel = "m"\n'
    )
    assert config.synthesize.generate.most_rejected == 7
    assert config.synthesize.generate.plugins == {"image_api": {"model": "m"}}
    with pytest.raises(ConfigError, match="image_api"):
        Config.from_toml("[synthesize.generate.image-apo]\n")


def test_a_project_keeps_generated_rows_and_opens_them_again(service: Service, photos: Path, tmp_path: Path) -> None:
    from scarce import modality
    from scarce.project import Project
    from scarce.synthesize import generate
    from scarce.synthesize.generate.image_api import ImageApi

    ds = io.read(photos)
    ds = ds.with_columns({"split": ["train"] * len(ds)})
    with Project.init(tmp_path / "p") as project:
        project.commit(ds, "read")
        plugin = ImageApi(base_url=service.url, model="tiny", mode="inpaint")
        got = generate.run(project.dataset(), plugin, counts={"bag": 3}, out=tmp_path / "g")
        project.commit(got.dataset, "generated", owner="synthesize")
    with Project.open(tmp_path / "p") as project:
        back = modality.scan(project.dataset())
        rows = back.rows_of(got.ids)
        assert all(back["keep"][rows])
        assert [picture.shape for picture in modality.open_samples(back, rows)] == [(28, 28, 3)] * 3
        assert list(back["content_hash"][rows]) == list(got.dataset["content_hash"][got.dataset.rows_of(got.ids)])
        assert set(back["meta.model"][rows]) == {"tiny"}
        assert "image_api" in [step.name for step in back.steps]
