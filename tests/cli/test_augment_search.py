"""``scarce augment --search`` on a project of real garments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scarce.cli import _augment_search, main


def test_the_search_judges_each_and_names_a_choice(
    project: Path, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_augment_search, "GRID", _augment_search.GRID[:2])
    settings = project / "scarce.toml"
    more = "\n[study.growth]\nfolds = 2\ndraws = 60\nper_class = 12\n"
    settings.write_text(settings.read_text("utf-8") + more, "utf-8")
    found = call("augment", project, "--search", "--all-train")["search"]
    assert set(found["tried"]) == {"rand_augment_n2_m9", "rand_augment_n1_m5"}
    for one in found["tried"].values():
        assert one["low"] <= one["gain"] <= one["high"]
        assert one["verdict"] in ("helped", "hurt", "no evidence")
    helped = [name for name, one in found["tried"].items() if one["verdict"] == "helped"]
    assert (found["chosen"] in helped) if helped else (found["chosen"] is None)
    assert found["default"] == "rand_augment_n2_m9"
    assert Path(found["page"]).is_file()


def test_the_choice_is_said_in_one_sentence() -> None:
    unsure = {"gain": 0.2, "verdict": "no evidence"}
    tried = {"rand_augment_n2_m9": unsure, "rand_augment_n1_m5": {"gain": 0.1, "verdict": "helped"}}
    assert _augment_search.choice(tried) == ["Use --policy rand_augment_n1_m5."]
    said = " ".join(_augment_search.choice({"rand_augment_n2_m9": unsure, "rand_augment_n1_m5": unsure}))
    assert "Choice: no augmentation." in said
    assert "--policy rand_augment_n2_m9" in said
    hurt = {"gain": -0.2, "verdict": "hurt"}
    assert _augment_search.choice({"rand_augment_n2_m9": hurt}) == [
        "None of 1 helped beyond doubt. Choice: no augmentation."
    ]


def test_a_search_without_a_project_or_pictures_is_refused(
    photos: Path, shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["augment", str(photos), "--search"]) == 2
    assert "scarce init" in capsys.readouterr().err
    texts = tmp_path / "texts"
    assert main(["init", str(texts), "--from", str(shared_data / "text_small" / "cr.csv"), "--quiet"]) == 0
    assert main(["augment", str(texts), "--search"]) == 2
    assert "scarce study growth" in capsys.readouterr().err
