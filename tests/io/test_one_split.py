"""Data whose rows all lie in one split: nothing of a test set may become training data."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scarce import io
from scarce.augment import offline, policy
from scarce.cli import app
from scarce.errors import DataError, LeakError
from scarce.synthesize import make


@pytest.fixture(scope="module", params=["test", "val"])
def manifest(request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real tiles, all of one split."""
    folder = shared_data / "magnetic_tile"
    with (folder / "index.csv").open(encoding="utf-8") as file:
        every = list(csv.DictReader(file))
    rows = [row for name in ("free", "crack") for row in [one for one in every if one["class"] == name][:12]]
    path = tmp_path_factory.mktemp("one") / "tiles.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "split"])
        table.writerows([str(folder / row["image"]), row["class"], request.param] for row in rows)
    return path


def test_it_keeps_its_split_and_grows_nothing(manifest: Path, tmp_path: Path) -> None:
    ds = io.read(manifest)
    assert set(ds["split"]) in ({"test"}, {"val"})
    with pytest.raises(DataError):
        make(ds, "crack", n=2, out=tmp_path / "made")
    with pytest.raises(LeakError, match="all rows lie in"):
        offline.write(ds, policy("surface"), tmp_path / "copies")
    assert not (tmp_path / "made").exists()
    for command in (
        ["synthesize", "crack", str(manifest), "--normal", "free", "--n", "2", "--out"],
        ["augment", str(manifest), "--out"],
    ):
        found = CliRunner().invoke(app, [*command, str(tmp_path / "o")])
        assert found.exit_code == 2, found.output
        assert "nothing is grown from what is judged on" in " ".join(found.output.split())


def test_tables_are_told_where_their_rows_grow(shared_data: Path, tmp_path: Path) -> None:
    table = next((shared_data / "tabular_imbalanced").rglob("*.csv"))
    for command in (["augment", str(table), "--all-train", "--out"], ["synthesize", "crack", str(table), "--out"]):
        found = CliRunner().invoke(app, [*command, str(tmp_path / "o")])
        assert found.exit_code == 2, found.output
        assert "scarce.rebalance.smote" in found.output
