"""A source that is run on again: tests stay tests, corrections stay, new samples find their place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scarce
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError
from scarce.loop.again import carried_over
from scarce.project import Project
from scarce.train.predict import predict

QUICK: dict[str, Any] = {"trainer": "linear_probe", "folds": 3, "repeats": 2}


def rows(n: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    out = []
    for row in range(n):
        label = "worn" if rng.random() < 0.3 else "good"
        x = rng.normal(2.0 if label == "worn" else 0.0, 1.0, 3)
        out.append(f"{row},{x[0]:.4f},{x[1]:.4f},{x[2]:.4f},{label}")
    return out


def test_a_grown_source_keeps_its_test_samples_and_corrections(tmp_path: Path) -> None:
    file, project = tmp_path / "parts.csv", tmp_path / "p"
    lines = rows(200)
    file.write_text("\n".join(["row,a,b,c,label", *lines]) + "\n", encoding="utf-8")
    first = scarce.run(file, project=project, **QUICK).dataset
    splits = dict(zip(first.ids.tolist(), first["split"].tolist(), strict=True))
    worst = first.ids[np.flatnonzero(first["split"] == "train")[:2]].tolist()
    with Project.open(project) as opened:
        ds = opened.dataset()
        label, source = ds.table["label"].to_pylist(), ds.table["label_source"].to_pylist()
        keep, why = ds["keep"].astype(bool).copy(), ds["drop_reason"].copy()
        at = ds.rows_of(worst)
        label[at[0]], source[at[0]] = "worn" if label[at[0]] == "good" else "good", "human"
        keep[at[1]], why[at[1]] = False, "not a part"
        corrected = label[at[0]]
        changed = {"label": label, "label_source": source, "keep": keep, "drop_reason": why}
        opened.commit(ds.with_columns(changed), "by hand", owner=("clean", "label"))
    more = rows(240, seed=0)[:200] + rows(240, seed=9)[200:]
    file.write_text("\n".join(["row,a,b,c,label", *more]) + "\n", encoding="utf-8")
    run = scarce.run(file, project=project, **QUICK)
    again = run.dataset
    assert len(again) == 240
    now = dict(zip(again.ids.tolist(), again["split"].tolist(), strict=True))
    moved = [sample for sample, split in splits.items() if now[sample] != split and split == "test"]
    assert not moved, "old test samples stay test"
    assert not [sample for sample, split in now.items() if split == "test" and splits.get(sample, "new") != "test"]
    place = again.rows_of(worst)
    assert again.table["label"][int(place[0])].as_py() == corrected
    assert again["drop_reason"][place[1]] == "not a part"
    assert any("40 are new" in note for note in run.result["notes"])


def test_files_say_what_nobody_corrected() -> None:
    def made(labels: list[str], **more: Any) -> Dataset:
        values = {"id": ["a", "b", "c"], "label": labels, "label_source": ["given"] * 3, **more}
        return Dataset.from_columns(Schema(classes=("x", "y")), values)

    notes: list[str] = []
    head = made(["x", "x", "y"], split=["train", "test", "val"], keep=[True, False, True],
                drop_reason=[None, "broken: no picture", None])  # fmt: skip
    now = carried_over(made(["y", "x", "y"]), head, notes, splits=True)
    assert now.table["label"].to_pylist() == ["y", "x", "y"]
    assert now["split"].tolist() == ["train", "test", "val"]
    assert now["keep"].tolist() == [True, True, True], "a file that was broken is read anew"
    assert "split" not in carried_over(made(["y", "x", "y"]), head, notes, splits=False)
    given = made(["y", "x", "y"], split=["test", "test", "train"])
    assert carried_over(given, head, notes, splits=True)["split"].tolist() == ["test", "test", "train"]


def test_the_report_counts_each_condition(tmp_path: Path) -> None:
    lines = [f"{line},{'AB'[row % 2]}" for row, line in enumerate(rows(160))]
    file = tmp_path / "parts.csv"
    file.write_text("\n".join(["row,a,b,c,label,camera", *lines]) + "\n", encoding="utf-8")
    run = scarce.run(file, project=tmp_path / "p", hold_out="camera=B", **QUICK)
    ds = run.dataset
    assert set(ds["split"][ds["meta.camera"] == "B"]) == {"test"}
    text = run.report.read_text(encoding="utf-8")
    assert "Counts per condition" in text
    assert 'scope="col">camera<' in text


@pytest.mark.parametrize("trainer", ["linear_probe", "auto"])
def test_a_model_of_a_table_predicts_rows(tmp_path: Path, trainer: str) -> None:
    file = tmp_path / "parts.csv"
    file.write_text("\n".join(["row,a,b,c,label", *rows(160)]) + "\n", encoding="utf-8")
    run = scarce.run(file, project=tmp_path / "p", **{**QUICK, "trainer": trainer})
    assert run.result["trainer"] == {"auto": "gradient_boosting"}.get(trainer, trainer)
    new = [line.rpartition(",") for line in rows(40, seed=5)]
    (tmp_path / "new.csv").write_text("\n".join(["row,a,b,c", *(line[0] for line in new)]) + "\n", encoding="utf-8")
    found = predict(run.model, tmp_path / "new.csv")
    assert [item.path.split("#")[1].split(":")[0] for item in found] == [str(row) for row in range(40)]
    right = [item.label == line[2] for item, line in zip(found, new, strict=True)]
    assert np.mean(right) > 0.8
    (tmp_path / "text.csv").write_text("text,label\n" + "some words here that go on,x\n" * 9, encoding="utf-8")
    with pytest.raises(DataError, match="the model reads tabular"):
        predict(run.model, tmp_path / "text.csv")
