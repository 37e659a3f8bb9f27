"""``scarce export --format``."""

from __future__ import annotations

import json
from pathlib import Path

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
