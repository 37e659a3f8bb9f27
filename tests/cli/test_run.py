from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scarce.cli import main

Call = Callable[..., Any]


@pytest.mark.slow
def test_the_whole_loop_keeps_its_promise(
    photos: Path, tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", photos, "--project", tmp_path / "p", "--encoder", "pixel", "--trainer", "linear_probe", "--folds",
             2, "--repeats", 2, "--normal", "Trouser", "--minutes", 5, "--seed", 4]  # fmt: skip
    body = call(*words)
    assert body["classes"] == ["Bag", "Coat", "Trouser"]
    assert body["seed"] == 4
    assert sum(n for by in body["counts"].values() for row in by.values() for n in row.values()) == 72
    assert all(isinstance(count, int) for count in body["findings"].values())
    for row in body["ledger"]:
        assert {"decision", "gain", "low", "high", "seconds", "verdict", "kept"} <= set(row)
    test = body["test"]
    assert {"value", "low", "high"} <= set(test["balanced_accuracy"])
    assert set(test["per_class"]) == set(body["classes"])
    for row in test["per_class"].values():
        assert {"n", "recall", "precision", "low", "high"} <= set(row)
    assert body["operating_point"]["defects"] + body["operating_point"]["normals"] == test["n"]
    assert Path(body["report"]).read_text(encoding="utf-8").startswith("<!")
    assert body["seconds"] > 0
    assert call("report", tmp_path / "p")["test"] == test
    assert call("status", tmp_path / "p")["test_looks"] == 1
    said = call("predict", tmp_path / "p", photos / "Coat")
    assert {row["verdict"] for row in said["predictions"]} <= {"accept", "reject", "ambiguous"}
    assert main(["report", str(tmp_path / "p")]) == 0
    assert "balanced accuracy on" in capsys.readouterr().out


def test_only_what_was_given_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: Call) -> None:
    """Options that are not named keep the defaults of Options; names and types arrive as Options wants them."""
    from scarce import loop
    from scarce.loop.options import Options

    seen: dict[str, Any] = {}

    def fake(path: Path, **options: Any) -> Any:
        seen.update(options, path=path)
        Options.of({name: value for name, value in options.items() if name != "path"})
        return SimpleNamespace(result={"ok": True})

    monkeypatch.setattr(loop, "run", fake)
    assert call("run", tmp_path) == {"ok": True}
    assert seen == {"path": tmp_path, "seed": 0}
    seen.clear()
    call("run", tmp_path, "--ratios", "0.6,0.2,0.2", "--normal", "a", "--normal", "b", "--confirm", "--workers", 2,
         "--false-positive-rate", 0.05, "--hold-out", "camera=B", "--test", "cv", "--minutes", 2.5)  # fmt: skip
    assert seen == {
        "path": tmp_path, "seed": 0, "ratios": (0.6, 0.2, 0.2), "normal": ("a", "b"), "confirm": True, "workers": 2,
        "false_positive_rate": 0.05, "hold_out": "camera=B", "test": "cv", "minutes": 2.5,
    }  # fmt: skip


def test_demo_prints_published_figures_beside_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], call: Call, outcome: dict[str, Any]
) -> None:
    """What the demo prints; the loop itself is replaced by the result of another run."""
    import scarce.loop.demo as module

    result = {**outcome, "trainer": "finetune"}
    monkeypatch.setattr(module, "demo", lambda **_: SimpleNamespace(result=result))
    assert main(["demo", "--seed", "5"]) == 0
    shown = capsys.readouterr()
    assert "Time budget" in shown.err
    for part in (
        "70.58 %",
        "81.48 %",
        "83.03 %",
        "83.63 %",
        "88.1 %",
        "2105.02340",
        "seed 5",
        "2,000 real test pictures",
    ):
        assert part in " ".join(shown.out.split()), part
    body = call("demo")
    assert body["published"]["DeepSMOTE"] == 83.63
    assert body["test"]["balanced_accuracy"]["value"] == 0.8812
