from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scarce.cli import main


def told(capsys: Any, *arguments: str) -> tuple[int, Any]:
    code = main([*arguments, "--json", "--quiet"])
    text = capsys.readouterr().out
    return code, json.loads(text) if text else None


def test_from_folders_of_classes(photos: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "o"
    arguments = ["synthesize", "stain", str(photos), "--normal", "Bag", "--out", str(out), "--set", "severity=0.9"]
    code, body = told(capsys, *arguments, "--n", "6")
    assert code == 0
    assert (body["accepted"], body["class"], body["ended"]) == (6, "stain", "enough")
    assert body["rejected"] == sum(body["reasons"].values())
    assert len(list((out / "images" / "train").glob("*.png"))) == 6 == len(list((out / "masks").glob("*.png")))
    coco = json.loads((out / "instances_train.json").read_text())
    assert len(coco["images"]) == 6
    assert {item["file_name"] for item in coco["images"]} == {
        f"images/train/{p.name}" for p in (out / "masks").iterdir()
    }
    assert len(list((out / "labels" / "train").glob("*.txt"))) == 6
    assert "stain" in (out / "data.yaml").read_text()
    code, body = told(capsys, *arguments, "--n", "8")
    assert body["accepted"] == 8
    assert main([*arguments, "--n", "8", "--quiet"]) == 0
    assert "8 of 8 samples of stain" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--normal", "Bags"], "did you mean 'Bag'"),
        (["--normal", "Bag", "--set", "severity"], "NAME=VALUE"),
        (["--normal", "Bag", "--set", "severity=7"], "out of range"),
        (["--normal", "Bag", "--set", "depth=7"], "unknown setting"),
        ([], "no class is known to be sound"),
    ],
)
def test_misuse_is_explained(photos: Path, tmp_path: Path, capsys: Any, more: list[str], word: str) -> None:
    assert main(["synthesize", "dent", str(photos), "--n", "2", "--out", str(tmp_path / "o"), *more, "--quiet"]) == 2
    assert word in " ".join(capsys.readouterr().err.split())


def test_an_unknown_kind_names_the_closest(photos: Path, tmp_path: Path, capsys: Any) -> None:
    assert main(["synthesize", "scrach", str(photos), "--n", "2", "--out", str(tmp_path / "o"), "--quiet"]) == 2
    assert "scratch" in capsys.readouterr().err
    assert main(["synthesize", "image-ap", str(photos), "--n", "2", "--out", str(tmp_path / "o"), "--quiet"]) == 2
    assert "did you mean 'image-api'" in capsys.readouterr().err
