"""The one pass over all bytes: what it fills in, sets aside, remembers and survives."""

from __future__ import annotations

import json
import threading
from hashlib import blake2b
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from scarce import io, modality, progress
from scarce.dataset import Dataset
from scarce.errors import DataError, ReadError
from scarce.modality import _run
from scarce.modality.image import Image


def picture(seed: int, size: tuple[int, int] = (40, 50)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 256, (5, 6, 3), np.uint8), size[::-1], interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("good", "hole"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for index in range(40):
            data = cv2.imencode(".jpg", picture(index + (100 if name == "hole" else 0)))[1].tobytes()
            (tmp_path / "data" / name / f"{index}.jpg").write_bytes(data)
    return tmp_path / "data"


def same(left: Dataset, right: Dataset) -> bool:
    if not left.table.equals(right.table) or left.wide.keys() != right.wide.keys():
        return False
    return all(np.array_equal(left[name], right[name], equal_nan=left[name].dtype.kind == "f") for name in left.wide)


def test_everything_is_filled_in(folder: Path) -> None:
    ds = modality.scan(io.read(folder))
    for name, kind in Image.properties.items():
        array = ds[f"scan.{name}"]
        assert len(array) == 80
        assert array.dtype == np.dtype(kind).base
    assert ds["scan.thumbnail"].shape == (80, 32, 32)
    assert set(ds["scan.width"]) == {50}
    for row in (0, 41):
        data = (folder / ds["uri"][row]).read_bytes()
        assert ds["content_hash"][row] == blake2b(len(data).to_bytes(8, "little") + data, digest_size=16).hexdigest()
    assert ds["keep"].all()


def test_workers_and_order_change_nothing(folder: Path) -> None:
    ds = io.read(folder)
    assert same(modality.scan(ds, workers=1), modality.scan(ds, workers=4))


def test_bad_files_are_set_aside_with_their_reason(folder: Path) -> None:
    whole = cv2.imencode(".jpg", picture(7, (200, 200)))[1].tobytes()
    (folder / "hole" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "hole" / "text.jpg").write_text("no picture at all")
    (folder / "hole" / "late.jpg").write_bytes(whole)
    ds = io.read(folder)
    (folder / "hole" / "late.jpg").unlink()
    ds = modality.scan(ds)
    why = {uri: reason for uri, reason in zip(ds["uri"], ds["drop_reason"], strict=True) if reason}
    assert {uri: reason.partition(":")[0] for uri, reason in why.items()} == {
        "hole/cut.jpg": "truncated", "hole/text.jpg": "broken", "hole/late.jpg": "missing",
    }  # fmt: skip
    row = ds["uri"].tolist().index("hole/text.jpg")
    assert not ds["keep"][row]
    assert np.isnan(ds["scan.mean"][row])
    assert ds["content_hash"][row] is not None
    assert ds["content_hash"][ds["uri"].tolist().index("hole/late.jpg")] is None
    with pytest.raises(ReadError, match=r"text\.jpg.*not an image"):
        modality.open_samples(ds, [row])


def test_what_others_set_aside_stays_so(folder: Path) -> None:
    ds = io.read(folder)
    keep = [row != 3 for row in range(80)]
    ds = modality.scan(ds.with_columns({"keep": keep, "drop_reason": [None if ok else "duplicate" for ok in keep]}))
    assert ds["keep"].tolist() == keep
    assert ds["drop_reason"][3] == "duplicate"
    assert ds["scan.width"][3] == 50


def test_a_second_scan_reads_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ds = io.read(folder)
    first = modality.scan(ds, cache=tmp_path / "cache")
    opened: list[Path] = []
    content = _run.raw_content.content

    def counting(place: _run.raw_content.Address, kind: str) -> object:
        opened.append(place.path)
        return content(place, kind)

    monkeypatch.setattr(_run.raw_content, "content", counting)
    assert same(modality.scan(ds, cache=tmp_path / "cache"), first)
    assert opened == []
    changed = folder / "good" / "3.jpg"
    changed.write_bytes(cv2.imencode(".jpg", picture(999, (60, 70)))[1].tobytes())
    again = modality.scan(ds, cache=tmp_path / "cache")
    assert opened == [changed]
    assert again["scan.width"][ds["uri"].tolist().index("good/3.jpg")] == 70
    assert not list((tmp_path / "cache").glob("*.tmp"))


def test_reasons_are_remembered_and_a_broken_cache_is_no_harm(folder: Path, tmp_path: Path) -> None:
    (folder / "hole" / "text.jpg").write_text("no picture at all")
    ds = io.read(folder)
    first = modality.scan(ds, cache=tmp_path / "cache")
    assert same(modality.scan(ds, cache=tmp_path / "cache"), first)
    (file,) = (tmp_path / "cache").iterdir()
    for damage in (b"", b"junk", file.read_bytes()[:500]):
        file.write_bytes(damage)
        assert same(modality.scan(ds, cache=tmp_path / "cache"), first)


def test_interrupted_scan_stops_and_keeps_what_it_has(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = io.read(folder)
    count, lock = [0], threading.Lock()
    measure = Image.measure

    def failing(self: Image, raw: object) -> dict[str, object]:
        with lock:
            count[0] += 1
        if count[0] > 60:
            raise KeyboardInterrupt
        return measure(self, raw)  # type: ignore[arg-type]

    monkeypatch.setattr(Image, "measure", failing)
    with pytest.raises(KeyboardInterrupt):
        modality.scan(ds, workers=1, cache=tmp_path / "cache")
    assert 60 <= count[0] < 80
    assert threading.active_count() < 10
    monkeypatch.setattr(Image, "measure", measure)
    held = _run.ScanCache(tmp_path / "cache", _run._cache_name(Image()), Image.properties)
    assert 0 < len(held) < 80
    assert same(modality.scan(ds, cache=tmp_path / "cache"), modality.scan(ds))


def test_progress_and_settings_of_opencv(folder: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    threads = cv2.getNumThreads()
    with progress.listen(lambda _, done, total: seen.append((done, total))):
        modality.scan(io.read(folder))
    assert seen[0] == (0, 80)
    assert seen[-1] == (80, 80)
    assert cv2.getNumThreads() == threads


def test_open_samples_and_thumbnails(folder: Path) -> None:
    ds = io.read(folder)
    rows = [5, 2, 5]
    found = modality.open_samples(ds, rows)
    for row, sample in zip(rows, found, strict=True):
        oracle = np.asarray(PIL.Image.open(folder / ds["uri"][row]).convert("RGB"))
        assert np.abs(np.asarray(sample).astype(int) - oracle).max() <= 3
    assert [small.shape for small in modality.thumbnails(ds, rows, size=24)] == [(24, 24, 3)] * 3


def test_grown_rows_are_rendered_from_their_parents(folder: Path) -> None:
    ds = io.read(folder)
    parent = str(ds.ids[0])
    recipe = {
        "v": 1,
        "base": parent,
        "ops": [{"op": "augment.flip", "params": {"horizontal": True, "vertical": False, "diagonal": False}}],
    }
    recipe |= {"seed": 0, "copy": 0}
    pytest.importorskip("scarce.recipe")
    values = {
        "id": ["grown"],
        "label": ["good"],
        "origin": ["augmented"],
        "parents": [[parent]],
        "recipe": [json.dumps(recipe)],
    }
    grown = ds.append(values)
    (sample,) = modality.open_samples(grown, grown.rows_of(["grown"]))
    (mother,) = modality.open_samples(grown, grown.rows_of([parent]))
    np.testing.assert_array_equal(sample, np.asarray(mother)[:, ::-1])
    scanned = modality.scan(grown)
    row = int(scanned.rows_of(["grown"])[0])
    assert scanned["keep"][row]
    assert scanned["scan.width"][row] == 50
    assert scanned["content_hash"][row] is None
    with pytest.raises(DataError, match="not in this dataset"):
        modality.open_samples(grown.take(grown.rows_of(["grown"])), [0])


def test_nothing_to_scan(folder: Path) -> None:
    ds = io.read(folder)
    empty = modality.scan(ds.take(np.zeros(80, bool)))
    assert len(empty) == 0
    assert empty["scan.thumbnail"].shape == (0, 32, 32)


def test_embedded_garments(garments: Path) -> None:
    ds = io.read(garments)
    ds = modality.scan(ds.take(np.arange(0, len(ds), 40)))
    assert ds["keep"].all()
    assert set(ds["scan.width"]) == {28}
    assert ds["scan.gray"].all()
    assert len(set(ds["content_hash"])) == len(ds)


def test_text_hashes_see_through_case_and_blanks(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('text,label\n"A  fine Day",x\n"a fine day",y\nother words,x\n42,y\n', "utf-8")
    ds = modality.scan(io.read(tmp_path / "t.csv"))
    texts = modality.open_samples(ds, np.arange(4))
    by_text = dict(zip(texts, ds["scan.text_hash"].tolist(), strict=True))
    assert by_text["A  fine Day"] == by_text["a fine day"] != by_text["other words"]
    lengths = dict(zip(texts, ds["scan.length"].tolist(), strict=True))
    assert lengths["a fine day"] == 10
    assert len(set(ds["content_hash"])) == 4
    assert modality.of(ds).encoders == ("tfidf",)


def test_tables(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,label\n1,0,x\n1,,y\n,,x\n1,0,y\n")
    ds = modality.scan(io.read(tmp_path / "t.csv"))
    numbers = [int(uri.partition("#")[2].partition(":")[0]) for uri in ds["uri"]]
    missing = dict(zip(numbers, ds["scan.missing"].tolist(), strict=True))
    assert missing[0] == 0
    assert missing[1] == 0.5
    hashes = dict(zip(numbers, ds["content_hash"].tolist(), strict=True))
    assert hashes[0] == hashes[3] != hashes[1]
    assert dict(zip(numbers, ds["drop_reason"].tolist(), strict=True))[2] == "empty: every feature is missing"


@pytest.mark.parametrize(
    "name",
    [
        "audio_digits",
        "tabular_imbalanced/oil_spill.csv",
        "text_small/trec.csv",
        "time_series/Trace.npz",
        "weak_votes/youtube",
    ],
)
def test_other_kinds_of_real_data(shared_data: Path, name: str) -> None:
    ds = io.read(shared_data / name)
    part = ds.take(np.arange(0, len(ds), max(1, len(ds) // 200)))
    scanned = modality.scan(part)
    assert scanned["keep"].all()
    assert all(len(str(text)) == 32 for text in scanned["content_hash"])
    for column, array in scanned.wide.items():
        assert array.dtype.kind != "f" or np.isfinite(array).all(), column
    assert len(modality.thumbnails(scanned, [0], size=32)[0]) == 32


def test_magnetic_tiles_scan_clean(shared_data: Path) -> None:
    ds = io.read(shared_data / "magnetic_tile")
    scanned = modality.scan(ds.take(np.arange(0, len(ds), 6)))
    assert scanned["keep"].all()
    assert scanned["scan.gray"].all()
    width = dict(zip(scanned["uri"], scanned["scan.width"], strict=True))
    stated = dict(zip(ds["uri"], ds["meta.w"], strict=True))
    assert all(stated[uri] == size for uri, size in width.items())
