from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from scarce import io
from scarce.augment._text import parts_of
from scarce.augment.offline import as_train
from scarce.augment.policy import build
from scarce.errors import DataError, LeakError
from scarce.loop.vary import vary
from scarce.modality.audio import read_sound

SWAPS = build([("random_swap", {"n": 2}), ("random_deletion", {"share": 0.2})])


def reviews(tmp_path: Path, shared: Path) -> Path:
    """60 questions: 40 in train, 10 in val, 10 in test."""
    with (shared / "text_small" / "trec.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"][:60]
    with (tmp_path / "questions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "split"])
        parts = ["train"] * 40 + ["val"] * 10 + ["test"] * 10
        writer.writerows([row["text"], f"c{row['label']}", part] for row, part in zip(rows, parts, strict=True))
    return tmp_path / "questions.csv"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_texts_are_written_with_label_and_parent_and_never_from_test(tmp_path: Path, shared_data: Path) -> None:
    source = reviews(tmp_path, shared_data)
    ds = io.read(source)
    found = vary(ds, SWAPS, tmp_path / "out", per_sample=3, seed=1)
    texts, manifest = read(tmp_path / "out" / "texts.csv"), read(tmp_path / "out" / "manifest.csv")
    assert found.originals == 40
    assert found.kept_out == {"test": 10, "val": 10}
    assert len(manifest) == 120 == len(texts) + sum(found.rejected.values())
    assert sum(found.made.values()) == len(texts)
    originals = read(source)
    assert Counter(row["label"] for row in texts) == found.made
    for row in texts:
        parent = originals[int(row["parent"].rpartition("#")[2].partition(":")[0])]
        assert parent["split"] == "train"
        assert parent["label"] == row["label"]
        assert row["text"] != parent["text"]
        assert set(parts_of(row["text"])) <= set(parts_of(parent["text"]))
    assert len({(row["parent"], row["text"]) for row in texts}) == len(texts)
    assert sum(io.read(tmp_path / "out" / "texts.csv")["keep"]) >= len(texts) - 1


def test_a_killed_run_goes_on_and_ends_with_the_same_files(tmp_path: Path, shared_data: Path) -> None:
    ds = io.read(reviews(tmp_path, shared_data))
    whole = vary(ds, SWAPS, tmp_path / "whole", per_sample=3)
    vary(ds, SWAPS, tmp_path / "cut", per_sample=3)
    lines = (tmp_path / "whole" / "manifest.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "cut" / "manifest.csv").write_text("".join(lines[:31]), encoding="utf-8")  # whole parents: 3 each
    again = vary(ds, SWAPS, tmp_path / "cut", per_sample=3)
    assert again == whole
    for name in ("texts.csv", "manifest.csv", "plan.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    with pytest.raises(DataError, match="other settings"):
        vary(ds, SWAPS, tmp_path / "cut", per_sample=2)


def test_sounds_and_series_become_files_that_read_back(tmp_path: Path, shared_data: Path) -> None:
    for digit in ("3", "7"):
        folder = tmp_path / "wav" / digit
        folder.mkdir(parents=True)
        for take in range(2):
            name = f"{digit}_theo_{take}.wav"
            (folder / name).write_bytes((shared_data / "audio_digits" / "wav" / digit / name).read_bytes())
    ds = io.read(tmp_path / "wav")
    with pytest.raises(LeakError, match="no split"):
        vary(ds, "sound", tmp_path / "sounds", per_sample=2)
    found = vary(as_train(ds), "sound", tmp_path / "sounds", per_sample=2)
    assert found.made + Counter(found.rejected) == Counter({"3": 4, "7": 4}) or sum(found.made.values()) >= 6
    files = [row["file"] for row in read(tmp_path / "sounds" / "manifest.csv") if row["file"]]
    assert len(files) == sum(found.made.values())
    for name in files:
        sound, rate = read_sound((tmp_path / "sounds" / name).read_bytes())
        assert rate == 16_000
        assert np.abs(sound).max() > 0.01
    assert {name.partition("_aug_")[0] for name in files} <= {f"{d}/{d}_theo_{t}" for d in "37" for t in range(2)}
    series = io.read(shared_data / "time_series" / "GunPoint.npz")
    train = np.flatnonzero(series["split"] == "train")
    made = vary(series, build([("guided_warp", {})]), tmp_path / "series", per_sample=1)
    assert made.originals == len(train) == 50
    assert made.kept_out == {"test": 150}
    row = read(tmp_path / "series" / "manifest.csv")[0]
    assert np.load(tmp_path / "series" / row["file"]).shape == (150,)
    assert "partner" in json.loads(row["recipe"])["ops"][0]["params"]


def test_sounds_of_one_name_do_not_overwrite_each_other(tmp_path: Path, shared_data: Path) -> None:
    rows = []
    for digit in "37":
        for take in range(3):
            place = (
                tmp_path / "rec" / f"day_{take}" / f"TAKE_{digit}.wav"
                if take
                else tmp_path / "rec" / f"take_{digit}.wav"
            )
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes((shared_data / "audio_digits" / "wav" / digit / f"{digit}_theo_{take}.wav").read_bytes())
            rows.append((place.relative_to(tmp_path).as_posix(), "digit"))
    with (tmp_path / "takes.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    found = vary(as_train(io.read(tmp_path / "takes.csv")), "sound", tmp_path / "out", per_sample=2)
    written = [row["file"] for row in read(tmp_path / "out" / "manifest.csv") if row["file"]]
    assert sum(found.made.values()) == len(written) == len({name.lower() for name in written}) >= 9
    assert sorted(written) == sorted(
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.wav")
    )
    assert vary(as_train(io.read(tmp_path / "takes.csv")), "sound", tmp_path / "out", per_sample=2) == found


def test_test_data_other_folders_and_pictures_are_refused(tmp_path: Path, shared_data: Path, garments: Path) -> None:
    ds = io.read(reviews(tmp_path, shared_data))
    with pytest.raises(LeakError, match="nothing is grown from what is judged on"):
        vary(ds.take(ds["split"] == "test"), SWAPS, tmp_path / "no")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        vary(ds, SWAPS, tmp_path / "full")
    with pytest.raises(DataError, match="image"):
        vary(io.read(garments), "natural", tmp_path / "no")
    with pytest.raises(DataError, match="changes audio samples"):
        vary(ds, "sound", tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_the_command(tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from scarce.cli import main

    own = tmp_path / "swap.toml"
    own.write_text('[[operation]]\nop = "random_swap"\n')
    source = reviews(tmp_path, shared_data)
    call = ["augment", str(source), "--policy", str(own), "--per-sample", "2", "--out", str(tmp_path / "out"), "--json"]
    assert main(call) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["originals"] == 40
    assert sum(body["made"].values()) + sum(body["rejected"].values()) == 80
