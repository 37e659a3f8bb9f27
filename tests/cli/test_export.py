"""``scarce export --format``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scarce.cli import app


def test_a_version_is_written_for_other_tools(tmp_path: Path) -> None:
    from tests.io.test_exchange import made

    made(tmp_path / "a")
    run = CliRunner().invoke
    assert run(app, ["init", str(tmp_path / "p")]).exit_code == 0
    assert run(app, ["add", str(tmp_path / "a"), "--project", str(tmp_path / "p")]).exit_code == 0
    asked = ["export", "--project", str(tmp_path / "p"), "--json"]
    shown = run(app, [*asked, "--format", "coco", str(tmp_path / "b")])
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["samples"] == 4
    assert (tmp_path / "b/annotations").is_dir()
    assert run(app, [*asked, "--format", "coco"]).exit_code != 0
    assert run(app, [*asked, "--files", "link", "--dvc"]).exit_code != 0


@pytest.mark.slow
def test_a_model_is_one_file_that_predicts_the_same(
    project: Path, photos: Path, call: Callable[..., Any], tmp_path: Path
) -> None:
    for name in ("torch", "onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    call("split", project)
    call("train", project, "--model", "linear-probe")
    file = tmp_path / "m.onnx"
    written = call("export", "--format", "onnx", file, "--project", project)
    assert written["checked"]["samples"] == 72
    assert written["checked"]["difference"] <= 1e-4
    assert written["checked"]["other_classes"] == written["checked"]["other_verdicts"] == 0
    told = [call("predict", model, photos / "Bag")["predictions"] for model in (project, file)]
    assert len(told[0]) == 17
    for one, other in zip(*told, strict=True):
        assert set(one) == set(other)
        assert (one["path"], one["label"], one["verdict"]) == (other["path"], other["label"], other["verdict"])
        assert bool(one["error"]) == bool(other["error"]) == one["path"].endswith("broken.png")
        assert one["probability"] == (None if other["error"] else pytest.approx(other["probability"], abs=1e-4))
    assert "is there already" in call("export", "--format", "onnx", file, "--project", project, code=2)["error"]["what"]
    (tmp_path / "empty").mkdir()
    assert "nothing to predict" in call("predict", file, tmp_path / "empty", code=2)["error"]["what"]
    folder = next((project / ".scarce" / "models").glob("*/card.json")).parent.rename(tmp_path / "m")
    refused = call("export", "--format", "onnx", tmp_path / "n.onnx", "--model", folder, "--project", tmp_path, code=2)
    assert "unchecked one is not written" in refused["error"]["what"]
