"""Another training of the same version does not write over the first; the same one does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scarce.cli import main


def test_another_loss_gets_a_folder_of_its_own(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["split", str(project), "--json"]) == 0
    capsys.readouterr()

    def trained(*told: str) -> Path:
        assert main(["train", str(project), "--model", "linear-probe", *told, "--json"]) == 0
        return Path(json.loads(capsys.readouterr().out)["model"])

    plain, focal = trained(), trained("--loss", "focal")
    assert focal.name == f"{plain.name}-2"
    assert trained() == plain
    assert trained("--loss", "focal") == focal
    assert (plain / "weights.safetensors").read_bytes() != (focal / "weights.safetensors").read_bytes()


def test_classes_with_too_little_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    rows = ["width,height,label,split"]
    for label, split, count in (("sound", "train", 30), ("bent", "train", 12), ("torn", "train", 1), ("wet", "test", 3),
                                ("sound", "test", 9)):  # fmt: skip
        rows += [f"{rng.normal():.3f},{rng.normal() + len(label):.3f},{label},{split}" for _ in range(count)]
    (tmp_path / "parts.csv").write_text("\n".join(rows) + "\n")
    folder = str(tmp_path / "p")
    assert main(["init", folder, "--from", str(tmp_path / "parts.csv"), "--quiet"]) == 0
    capsys.readouterr()
    assert main(["train", folder, "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert "No training sample: wet; the model never answers so." in body["notes"]
    assert "One training sample: torn; none can be held back to calibrate on." in body["notes"]
    (tmp_path / "new.csv").write_text("width,height\n0.1,4.2\n0.3\n0.5,5.1\n")
    assert main(["predict", body["model"], str(tmp_path / "new.csv"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["error"] is None for row in said["predictions"]] == [True, True, False]
    assert "1 lines do not have 2 cells" in said["predictions"][2]["error"]  # no part is passed over in silence
    card = json.loads((Path(body["model"]) / "card.json").read_text("utf-8"))
    assert card["weights_bytes"] == (Path(body["model"]) / "weights.safetensors").stat().st_size
    assert 0 < card["parameters"] * 4 <= card["weights_bytes"]


def test_nothing_but_a_broken_file_ends_with_1(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["split", str(project), "--json"]) == 0
    assert main(["train", str(project), "--model", "linear-probe", "--json"]) == 0
    capsys.readouterr()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    assert main(["predict", str(project), str(broken), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["unreadable"] == 1
