from __future__ import annotations

import csv
import io
import json
import os
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

from scarce import modality, train
from scarce.dataset import Dataset, Floats, FoldView
from scarce.errors import DataError
from scarce.train._said import verdict
from scarce.train.model import Model
from scarce.train.predict import predict, safe_cell, write_csv, write_json


class Bright(Model):
    """Says ``normal`` for bright pictures: a model whose answers one can see."""

    def logits(self, ds: Dataset) -> Floats:
        out = np.full((len(ds), 2), np.nan)
        for row in np.flatnonzero(ds["keep"].astype(bool)):
            image = np.asarray(modality.open_samples(ds, [row])[0])
            out[row] = [(float(image.mean()) - 128) / 16, 0.0]
        return out

    def tensors(self) -> dict[str, np.ndarray]:
        return {}


CARD = {"classes": ["ok", "=stain"], "normal_classes": ["ok"], "modality": "image",
        "operating_point": {"threshold": 0.9}}  # fmt: skip


def test_a_folder_is_searched_for_every_picture_that_reading_takes() -> None:
    from scarce.io._walk import IMAGES
    from scarce.train.predict import SUFFIXES

    assert SUFFIXES["image"] == IMAGES


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    import cv2

    folder = tmp_path / "füße 照片"
    (folder / "deep").mkdir(parents=True)
    for name, value in (("a.png", 250), ("deep/b.png", 5), ("=c.png", 120)):
        data = cv2.imencode(".png", np.full((20, 30), value, np.uint8))[1].tobytes()
        (folder / name).write_bytes(data)
    (folder / "broken.jpg").write_bytes(b"not a picture")
    (folder / "empty.png").write_bytes(b"")
    (folder / "notes.txt").write_text("hello")
    return folder


def test_files_and_folders_with_broken_ones(pictures: Path) -> None:
    found = {Path(row.path).name: row for row in predict(Bright(card=dict(CARD)), [pictures, pictures / "nothing.png"])}
    assert set(found) == {"a.png", "b.png", "=c.png", "broken.jpg", "empty.png", "nothing.png"}
    assert (found["a.png"].label, found["a.png"].verdict) == ("ok", "accept")
    assert (found["b.png"].label, found["b.png"].verdict) == ("=stain", "reject")
    assert found["=c.png"].verdict == "ambiguous", "below the threshold, but the class that remains is a defect"
    assert found["=c.png"].label == "=stain"
    assert found["b.png"].probability == pytest.approx(found["b.png"].defect_score)
    for name in ("broken.jpg", "empty.png", "nothing.png"):
        assert found[name].label is None
        assert found[name].error
    strict = predict(Bright(card=dict(CARD)), pictures / "=c.png", threshold=0.5)
    assert [row.verdict for row in strict] == ["reject"]
    without = Bright(card={**CARD, "operating_point": None, "normal_classes": []})
    assert {row.verdict for row in predict(without, pictures)} == {None}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
def test_dead_links_pipes_and_sockets_are_broken_samples_and_never_opened(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe would hold whoever opens it until somebody writes."""
    (pictures / "dead.png").symlink_to("gone.png")
    (pictures / "round.png").symlink_to("round.png")
    (pictures / "fine.png").symlink_to("a.png")
    (pictures / "deep" / "folder.png").mkdir()
    os.mkfifo(pictures / "pipe.png")
    os.mkfifo(pictures / "pipe.txt")
    monkeypatch.chdir(pictures)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.png")
        rows = predict(Bright(card=dict(CARD)), pictures)
    found = {Path(row.path).name: row for row in rows}
    links = {"dead.png", "round.png", "fine.png", "pipe.png", "socket.png"}
    assert set(found) == {"a.png", "b.png", "=c.png", "broken.jpg", "empty.png"} | links
    assert found["fine.png"].label == "ok"
    assert found["dead.png"].error == "missing: a broken link"
    assert found["pipe.png"].error == found["socket.png"].error == "broken: not a regular file"
    assert found["round.png"].label is None
    assert found["round.png"].error


def test_csv_is_safe_for_spreadsheets(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pictures)
    rows = predict(Bright(card=dict(CARD)), ["=c.png", "broken.jpg"])
    write_csv(rows, tmp_path / "out.csv")
    cells = list(csv.reader((tmp_path / "out.csv").open(encoding="utf-8", newline="")))
    heads = ["path", "class", "probability", "verdict", "defect_score", "error", "unknown_score", "candidates"]
    assert cells[0] == [*heads, "natural_probability", "p(ok)", "p('=stain)"]
    assert cells[1][:2] == ["'=c.png", "'=stain"]
    assert cells[2][1:5] == ["", "", "", ""]
    assert "image" in cells[2][5]
    for evil in ("=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"):
        assert safe_cell(evil).startswith("'")
    assert safe_cell("bolt-3.png") == "bolt-3.png"


def test_json_holds_the_same(pictures: Path) -> None:
    rows = predict(Bright(card=dict(CARD)), pictures)
    text = io.StringIO()
    write_json(rows, text)
    body = json.loads(text.getvalue())
    assert [item["path"] for item in body] == [row.path for row in rows]
    assert [item["class"] for item in body] == [row.label for row in rows]


def test_nothing_to_predict_and_other_kinds_of_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing to predict\. 1 path was given"):
        predict(Bright(card=dict(CARD)), tmp_path)
    with pytest.raises(DataError, match="empty folder"):
        predict(Bright(card={**CARD, "modality": "text"}), tmp_path)


def test_a_trained_model_answers_for_new_files(fold: FoldView, tmp_path: Path) -> None:
    """Features are made anew for the files, as they were made for training."""
    from scarce import encode

    ds = encode.run(fold.dataset, "efficientnet_lite0", size=32)
    model = train.fit(ds.fold(fold.train_ids, fold.eval_ids))
    folder = model.save(tmp_path / "m")
    raw = modality.raw.fetch(fold.eval, range(5))
    for number, cell in enumerate(raw):
        assert isinstance(cell, bytes)
        (tmp_path / f"{number}.png").write_bytes(cell)
    found = predict(train.load(folder), [tmp_path / f"{number}.png" for number in range(5)])
    expected = model.predict_proba(ds.take(ds.rows_of(fold.eval.ids[:5])))
    np.testing.assert_allclose([list((row.probabilities or {}).values()) for row in found], expected, atol=1e-4)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_not_utf8_costs_no_other_file_its_answer(pictures: Path, tmp_path: Path) -> None:
    bad = Path(os.fsdecode(os.fsencode(pictures) + b"/caf\xe9.png"))
    bad.write_bytes((pictures / "a.png").read_bytes())
    rows = predict(Bright(card=dict(CARD)), pictures)
    found = {Path(row.path).name: row for row in rows}
    assert found["a.png"].label == "ok"
    odd = found["caf\\xe9.png"]
    assert odd.label is None
    assert odd.error is not None
    assert "not valid UTF-8" in odd.error
    write_csv(rows, tmp_path / "out.csv")
    write_json(rows, tmp_path / "out.json")
    assert "caf\\xe9.png" in (tmp_path / "out.csv").read_text(encoding="utf-8")
    body = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [item["path"] for item in body] == [row.path for row in rows]


def test_nothing_but_unreadable_files(pictures: Path) -> None:
    """The model is not asked, for there are no features that it could know."""

    class Silent(Bright):
        def logits(self, ds: Dataset) -> Floats:
            raise AssertionError(f"{len(ds)} rows")

    broken = [pictures / "broken.jpg", pictures / "empty.png", pictures / "nothing.png"]
    found = predict(Silent(card=dict(CARD)), broken)
    assert [row.label for row in found] == [None, None, None]
    assert all(row.error for row in found)


def test_where_no_class_is_sound_what_leaves_one_class_possible_is_accepted(pictures: Path) -> None:
    card = {**CARD, "normal_classes": [], "operating_point": None}
    bare = {Path(row.path).name: row for row in predict(Bright(card=card), [pictures])}
    assert bare["a.png"].verdict is None, "no threshold was ever chosen"
    told = {
        Path(row.path).name: row for row in predict(Bright(card={**card, "ambiguous": {"threshold": 0.2}}), [pictures])
    }
    assert (told["a.png"].verdict, told["b.png"].verdict, told["=c.png"].verdict) == ("accept", "accept", "ambiguous")


@pytest.mark.parametrize(
    ("cut", "wanted"),
    [
        (0.6, {0.3: "ambiguous", 0.7: "accept", 0.05: "reject"}),
        (0.25, {0.3: "ambiguous", 0.7: "ambiguous", 0.8: "accept", 0.05: "reject"}),
    ],
)
def test_only_what_can_be_nothing_but_sound_is_accepted(cut: float, wanted: dict[float, str]) -> None:
    """A part that can only be a defect passed once, because its score lay below the operating point."""
    model = Bright(card={**CARD, "ambiguous": {"threshold": cut}})
    said = {sound: verdict(model, np.array([sound, 1 - sound]), 0.0, 0.9) for sound in wanted}
    assert said == wanted
