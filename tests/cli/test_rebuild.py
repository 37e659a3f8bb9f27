from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scarce.errors import DataError, ReadError
from scarce.flywheel import promote
from scarce.flywheel.rebuild import rebuild
from scarce.project import Project
from scarce.train import load

Call = Callable[..., Any]


@pytest.fixture
def promoted(project: Path, photos: Path, call: Call, tmp_path: Path) -> Path:
    """A project of photos of its own, with a linear probe as champion."""
    shutil.copytree(photos, tmp_path / "own")
    own = tmp_path / "own-scarce"
    call("init", own, "--from", tmp_path / "own")
    shutil.copy(project / "scarce.toml", own / "scarce.toml")
    call("split", own)
    call("train", own, "--model", "linear-probe", "--seed", "5")
    call("promote", own)
    return own


def champion(folder: Path) -> Path:
    return next(folder.glob(".scarce/models/*linear*/card.json")).parent


def test_a_model_whose_folder_is_gone_comes_back_byte_by_byte(promoted: Path, call: Call) -> None:
    place = champion(promoted)
    before = {file.name: file.read_bytes() for file in place.iterdir()}
    found = call("rebuild", promoted)
    assert (found["same"], found["data"], found["folder"]) == (True, "same", None)  # it is there: only compared
    shutil.rmtree(place)
    dry = call("rebuild", promoted, "--dry-run")
    assert dry["same"]
    assert not place.exists()
    found = call("rebuild", promoted, "--promotion", "1")
    assert found["weights"][0] == found["weights"][1] == json.loads(before["card.json"])["weights"]
    assert found["differs"] == []
    assert {file.name: file.read_bytes() for file in place.iterdir()} == before
    (place / "weights.safetensors").write_bytes(b"damaged")
    assert call("rebuild", promoted)["folder"] == str(place)
    assert load(place).card["seed"] == 5


def test_the_ledger_and_the_sources_are_enough(promoted: Path, call: Call) -> None:
    before = (champion(promoted) / "weights.safetensors").read_bytes()
    for name in ("models", "data.lance", "objects", "features"):
        shutil.rmtree(promoted / ".scarce" / name)
    (promoted / ".scarce" / "models").mkdir()
    (promoted / ".scarce" / "features").mkdir()
    found = call("rebuild", promoted)
    assert (found["same"], found["data"]) == (True, "same")
    assert (champion(promoted) / "weights.safetensors").read_bytes() == before


def test_sources_that_are_gone_are_named_and_the_store_stands_in(promoted: Path, tmp_path: Path) -> None:
    lost = sorted((tmp_path / "own" / "Coat").iterdir())[:2]
    for file in lost:
        file.unlink()
    with Project.open(promoted) as opened:
        found = rebuild(opened)
        assert found.data == "store"
        assert found.same  # features are remembered by content
        said = " ".join(found.differs)
        assert "2 of " in said
        assert all(file.name in said for file in lost)
        shutil.rmtree(promoted / ".scarce" / "data.lance")
    with Project.open(promoted) as opened, pytest.raises(ReadError, match="cannot be made again") as caught:
        rebuild(opened)
    assert "sources lay in" in str(caught.value)


def test_what_differs_is_said_and_the_new_model_lies_beside(promoted: Path) -> None:
    with Project.open(promoted) as opened:
        row = opened.state.ledger("promotions")[-1]
        other = {**row, "rebuild": {**row["rebuild"], "machine": {"system": "another", "processor": "another"}}}
        other["card"] = {**row["card"], "seed": 6, "versions": {**row["card"]["versions"], "numpy": "1.0"}}
        model = load(opened.models / row["challenger"])
        other["card"]["params"] = {**row["card"]["params"], "l2": model.card["params"]["l2"] * 7}
        opened.state.add_ledger_rows([{key: other[key] for key in other if key not in ("run", "at")}], run="promotions")
        found = rebuild(opened)
        assert not found.same
        assert found.folder == str(opened.models / f"{row['challenger']}-rebuilt")
        said = " ".join(found.differs)
        for text in ("numpy was 1.0", "The processor was another", "Weights differ by", "log loss on held-back"):
            assert text in said
        assert load(opened.models / row["challenger"]).card["weights"] == row["card"]["weights"]  # untouched
        assert found.held_out[0]["n"] == found.held_out[1]["n"] > 0


def test_promotions_that_do_not_hold_enough_are_told(promoted: Path) -> None:
    with Project.open(promoted) as opened:
        with pytest.raises(DataError, match="there is no promotion 3"):
            rebuild(opened, promotion=3)
        with pytest.raises(DataError, match="v9-none was never promoted"):
            rebuild(opened, model="v9-none")
        row = opened.state.ledger("promotions")[-1]
        old = {key: row[key] for key in row if key not in ("run", "at", "rebuild")}
        opened.state.add_ledger_rows([old], run="promotions")
        with pytest.raises(DataError, match="an older scarce did not record"):
            rebuild(opened)
        assert rebuild(opened, promotion=1).same


def test_without_any_promotion_there_is_nothing_to_make(project: Path) -> None:
    with Project.open(project) as opened, pytest.raises(DataError, match="no model was ever promoted"):
        rebuild(opened)


@pytest.mark.slow
def test_a_model_of_a_whole_run_comes_back(promoted: Path, call: Call) -> None:
    call("run", promoted, "--minutes", "1", "--trainer", "linear_probe")
    newest = max(promoted.glob(".scarce/models/*/card.json"), key=lambda card: card.stat().st_mtime).parent
    with Project.open(promoted) as opened:
        assert promote(opened, newest.name, override="for this test").promoted
        shutil.rmtree(newest)
        found = rebuild(opened, workers=2)
        assert found.same, found.differs
    assert newest.is_dir()
