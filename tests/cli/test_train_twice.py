"""Another training of the same version does not write over the first; the same one does."""

from __future__ import annotations

import json
from pathlib import Path

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
