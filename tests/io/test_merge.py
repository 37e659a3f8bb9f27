"""Adding a second source."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from scarce import io
from scarce.dataset import Dataset
from scarce.errors import DataError, UnknownNameError
from scarce.train._boxes import boxes_of


def put(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", np.full((6, 6), value, np.uint8))[1].tobytes())


def test_old_rows_stay_as_they_are(tmp_path: Path) -> None:
    for name in ("a/good/1.png", "a/hole/1.png", "b/ok/1.png", "b/tear/1.png"):
        put(tmp_path / name)
    old, new = io.read(tmp_path / "a"), io.read(tmp_path / "b")
    both = io.merge_sources(old, new, {"ok": "good"})
    assert both.schema.classes == ("good", "hole", "tear")
    assert both.schema.normal_classes == ("good",)
    assert both.sources == {**old.sources, **new.sources}
    rows = both.rows_of(old.ids)
    assert both.take(rows).table.select(old.table.column_names).equals(old.table)
    labels = dict(zip(both["uri"], both.table["label"].to_pylist(), strict=True))
    assert labels == {"good/1.png": "good", "hole/1.png": "hole", "ok/1.png": "good", "tear/1.png": "tear"}
    assert len(io.fetch(both, np.arange(4))) == 4


def test_the_same_place_again_brings_only_what_is_new(tmp_path: Path) -> None:
    put(tmp_path / "a" / "x" / "1.png")
    put(tmp_path / "a" / "y" / "1.png")
    old = io.read(tmp_path / "a")
    put(tmp_path / "a" / "y" / "2.png")
    both = io.merge_sources(old, io.read(tmp_path / "a"))
    assert len(both) == 3
    assert set(both.sources) == {"a"}
    assert len(io.merge_sources(both, io.read(tmp_path / "a"))) == 3


def test_another_place_of_the_same_name_gets_its_own_ids(tmp_path: Path) -> None:
    for where in ("one", "two"):
        for name in ("x", "y"):
            put(tmp_path / where / "photos" / name / "1.png", 1 if where == "one" else 2)
    (tmp_path / "two" / "photos" / "x" / "empty.png").touch()
    both = io.merge_sources(io.read(tmp_path / "one" / "photos"), io.read(tmp_path / "two" / "photos"))
    assert len(both) == 5
    assert set(both.sources) == {"photos", "photos-2"}
    assert len(set(io.fetch(both, np.flatnonzero(both["keep"])))) == 2
    (note,) = [row for row in both.findings.to_pylist() if "empty: 0 bytes" in row["why"]]
    assert [both["uri"][row] for row in both.rows_of(note["members"])] == ["x/empty.png"]
    put(tmp_path / "two" / "photos" / "x" / "2.png", 3)
    again = io.merge_sources(both, io.read(tmp_path / "two" / "photos"))
    assert len(again) == 6
    assert set(again.sources) == {"photos", "photos-2"}


def test_what_cannot_be_put_together(tmp_path: Path) -> None:
    put(tmp_path / "a" / "x" / "1.png")
    (tmp_path / "t.csv").write_text("u,v,label\n1,2,x\n3,4,y\n")
    pictures, table = io.read(tmp_path / "a"), io.read(tmp_path / "t.csv")
    with pytest.raises(DataError, match="tabular"):
        io.merge_sources(pictures, table)
    with pytest.raises(UnknownNameError, match="'z'"):
        io.merge_sources(pictures, io.read(tmp_path / "a"), {"z": "x"})


def test_columns_of_their_own(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.png")
    put(tmp_path / "b" / "1.png")
    (tmp_path / "a" / "index.csv").write_text("path,label,camera\n1.png,x,C1\n")
    (tmp_path / "b" / "index.csv").write_text("path,label,light\n1.png,y,0.5\n")
    both = io.merge_sources(io.read(tmp_path / "a"), io.read(tmp_path / "b"))
    assert sorted(map(str, both["meta.camera"])) == ["C1", "None"]
    assert np.nansum(both["meta.light"]) == 0.5
    (tmp_path / "b" / "index.csv").write_text("path,label,camera\n1.png,y,7\n")
    merged = io.merge_sources(io.read(tmp_path / "a"), io.read(tmp_path / "b"))
    assert sorted(merged["meta.camera"]) == ["7", "C1"]


def test_what_was_true_of_one_source_alone_is_not_said_of_both(tmp_path: Path) -> None:
    for name in ("a/x/1.png", "a/x/2.png", "b/y/1.png", "b/y/2.png", "c/x/3.png", "c/y/3.png", "c/z/1.png"):
        put(tmp_path / name)
    (tmp_path / "a" / "x" / "empty.png").touch()

    def said(ds: Dataset) -> list[str]:
        return [row["why"] for row in ds.findings.to_pylist() if row["check"] == "read"]

    one, two, three = (io.read(tmp_path / name) for name in "abc")
    assert any("only one class" in why for why in said(one))
    assert any("only one class" in why for why in said(io.merge_sources(one, one))), "still true"
    both = io.merge_sources(one, two)
    assert not any("only one class" in why for why in said(both))
    assert sum("empty: 0 bytes" in why for why in said(both)) == 1
    assert any(why.startswith("x has 1 usable sample") for why in said(three))
    all_three = said(io.merge_sources(both, three))
    assert [why for why in all_three if "1 usable sample" in why] == [
        "z has 1 usable sample: it cannot be learned and judged at once"
    ]
    assert sum("empty: 0 bytes" in why for why in said(io.merge_sources(both, one))) == 1, "said once"


def test_classes_of_boxes_are_mapped_and_join_ours(tmp_path: Path) -> None:
    drawn = {
        "a": {"1.png": [{"label": "hole", "bbox": [0, 0, 2, 2]}], "2.png": []},
        "b": {
            "3.png": [
                {"label": "Loch", "bbox": [1, 1, 2, 2], "annotator": "eva"},
                {"label": "tear", "bbox": [0, 0, 1, 1]},
            ],
            "4.png": None,
        },
    }  # fmt: skip
    for folder, files in drawn.items():
        for name in files:
            put(tmp_path / folder / name, int(name[0]))
        lines = [
            json.dumps({"uri": name} if boxes is None else {"uri": name, "boxes": boxes})
            for name, boxes in files.items()
        ]
        (tmp_path / folder / "list.jsonl").write_text("\n".join(lines))
    old, new = (io.read(tmp_path / folder / "list.jsonl") for folder in ("a", "b"))
    assert set(new.schema.classes) == {"Loch", "tear"}
    (why,) = [row["why"] for row in new.findings.to_pylist() if "label" in row["why"]]
    assert why == "no sample has a label of its own, but boxes of 2 classes are drawn: scarce train --model detector"
    both = io.merge_sources(old, new, {"Loch": "hole"})
    assert both.schema.classes == ("hole", "tear")
    cells = dict(zip(both["uri"].tolist(), both["meta.boxes"].tolist(), strict=True))
    assert json.loads(cells["3.png"]) == [
        {"label": "hole", "bbox": [1, 1, 2, 2], "annotator": "eva"}, {"label": "tear", "bbox": [0, 0, 1, 1]},
    ]  # fmt: skip
    assert cells["1.png"] == old["meta.boxes"][old["uri"].tolist().index("1.png")]
    assert cells["4.png"] is None
    assert [None if one is None else one.codes.tolist() for one in boxes_of(both, "test")].count([0, 1]) == 1
