"""A project of a table, whose champion is not answered over HTTP: what does not work says what does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scarce.cli import main

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of 400 rows of the oil spill table, with a champion."""
    source: Path = request.getfixturevalue("shared_data") / "tabular_imbalanced" / "oil_spill.csv"
    folder = tmp_path_factory.mktemp("rows")
    lines = source.read_text(encoding="utf-8").splitlines()
    (folder / "oil.csv").write_text("\n".join(lines[:401]) + "\n", encoding="utf-8")
    (folder / "more.csv").write_text("\n".join([lines[0], *lines[401:]]) + "\n", encoding="utf-8")
    project = str(folder / "p")
    for words in (["init", project, "--from", str(folder / "oil.csv")], ["split", project],
                  ["train", project, "--trainer", "linear_probe"], ["promote", project]):  # fmt: skip
        assert main([*words, "--quiet"]) == 0
    return Path(project)


def test_status_queue_and_drift_say_what_works(rows: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    step = call("status", rows)["plan"]["next"]
    assert step["command"] == f"scarce add DATA --project {rows}"
    assert "not answered over HTTP" in step["why"]
    for command in ("queue", "drift"):
        assert main([command, str(rows)]) == 2
        told = " ".join(capsys.readouterr().err.split())
        assert "reads tabular data, which is not answered over HTTP" in told
        assert "scarce add takes new labelled data in" in told
        assert "keep_images" not in told


def test_the_server_says_what_answers_instead(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("uvicorn")
    assert main(["serve", str(rows), "--port", "0"]) == 2
    assert "scarce predict answers" in " ".join(capsys.readouterr().err.split())


def test_new_rows_make_a_round(rows: Path, call: Call) -> None:
    call("add", rows.parent / "more.csv", "--project", rows)
    assert call("status", rows)["plan"]["next"]["command"] == f"scarce round {rows}"
