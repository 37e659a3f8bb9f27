"""``scarce label guideline`` and ``scarce label zero-shot`` on real garments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scarce.cli import main
from scarce.project import Project


def forget(project: Path, every: int = 2) -> None:
    """Take the label away from every second sample."""
    with Project.open(project) as opened:
        ds = opened.dataset()
        rows = zip(ds.table["label"].to_pylist(), ds.table["label_source"].to_pylist(), strict=True)
        pairs = [(None, None) if place % every else pair for place, pair in enumerate(rows)]
        names, sources = zip(*pairs, strict=True)
        opened.commit(ds.with_columns({"label": list(names), "label_source": list(sources)}), "forget")


def test_the_book_and_then_labels(project: Path, call: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    book = call("label", "guideline", project)
    assert Path(book["html"]).is_file()
    assert set(book["pages"]) == {"Bag", "Coat", "Trouser"}
    assert call("label", "guideline", project)["version"] == book["version"] == 1
    forget(project)
    dry = call("label", "zero-shot", project, "--method", "prototype", "--precision", 0.6, "--dry-run")
    assert (dry["version"], dry["method"]) == (None, "prototype")
    done = call("label", "zero-shot", project, "--precision", 0.6)
    assert done["taken"] == dry["taken"] > 0
    assert done["taken"] + done["asked"] == done["judged"] > 30
    with Project.open(project) as opened:
        assert opened.head == done["version"]
        assert (opened.dataset()["label_source"] == "zero_shot").sum() == done["taken"]
        assert len(opened.state.queue()) == done["asked"]
    assert main(["label", "zero-shot", str(project), "--precision", "0.95", "--dry-run", "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert f"0 of {done['judged']} rows would be labelled" in shown
    assert "note: a precision of 0.95 needs 59 held-out labelled rows" in shown


def test_bad_words_are_named(project: Path, call: Callable[..., Any], tmp_path: Path) -> None:
    forget(project)
    error = call("label", "zero-shot", project, "--prompt", "Bagg=a bag", code=2)["error"]
    assert "did you mean 'Bag'" in error["message"]
    error = call("label", "zero-shot", project, "--prompts", tmp_path / "none.toml", code=2)["error"]
    assert "cannot be read" in error["message"]
    error = call("label", "zero-shot", project, "--model", tmp_path / "none", code=2)["error"]
    assert error["kind"] in ("MissingExtraError", "ReadError")
    assert "scarce[clip]" in error["message"] or "--method prototype" in error["message"]
    error = call("label", "zero-shot", project, "--model", "x", "--method", "prototype", code=2)["error"]
    assert "unknown setting 'model'" in error["message"]
