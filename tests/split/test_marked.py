from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce import io, split
from scarce.dataset import Dataset
from scarce.errors import DataError


@pytest.fixture(scope="module")
def boards(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Every fifth board of deep_pcb with its boxes and group, read from a table; on ten nobody looked."""
    drawn: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with (shared_data / "deep_pcb" / "boxes.csv").open() as file:
        for row in csv.DictReader(file):
            drawn[row["id"]].append({"label": row["class"], **{key: int(row[key]) for key in ("x1", "y1", "x2", "y2")}})
    path = tmp_path_factory.mktemp("boards") / "boards.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["uri", "board", "boxes"])
        for turn, name in enumerate(sorted(drawn)[::5]):
            picture = shared_data / "deep_pcb" / "test" / f"{name}.png"
            cell = "" if turn < 10 else "[]" if turn >= 290 else json.dumps(drawn[name])
            writer.writerow([str(picture), name[:5], cell])
    return io.read(path, group="board")


def test_boards_with_boxes_alone_are_split_by_group_and_class(boards: Dataset) -> None:
    assert boards.schema.classes == ("copper", "mousebite", "open", "pin-hole", "short", "spur")
    out = split.run(boards, seed=0)
    parts, groups, cells = out["split"], out["group"], out["meta.boxes"]
    looked = np.array([isinstance(cell, str) for cell in cells.tolist()])
    assert set(parts[~looked]) <= {"pool"}
    assert not (parts[looked] == "pool").any()
    for name in np.unique(groups[looked]):
        assert len(set(parts[looked & (groups == name)])) == 1
    for part, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        inside = parts == part
        assert abs(inside.sum() / looked.sum() - share) < 0.1
        found = {item["label"] for cell in cells[inside] for item in json.loads(cell)}
        assert found == set(out.schema.classes)
    told = [row["why"] for row in out.findings.to_pylist() if row["check"] == "split" and row["level"] == "class"]
    counted = sum('"short"' in cell for cell in cells[parts == "test"])
    assert any(f"the {counted} test samples" in why for why in told if why.startswith("short"))
    assert split.run(out, seed=3)["split"].tolist() == parts.tolist()
    assert out["label"].tolist() == [-1] * len(out)


def test_a_cell_that_is_no_list_of_boxes_is_told(boards: Dataset) -> None:
    ds = boards.with_columns({"meta.boxes": ["[3]"] * len(boards)})
    with pytest.raises(DataError, match="cannot be read"):
        split.run(ds)
