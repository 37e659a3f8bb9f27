from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from scarce import encode, modality, progress
from scarce.dataset import Dataset, Schema
from scarce.encode import AbstractEncoder, FeatureCache
from scarce.encode._name import parse
from scarce.errors import ConfigError, DataError, UnknownNameError


@dataclass(frozen=True, kw_only=True)
class Means(AbstractEncoder):
    """Mean of each channel, and a record of what was asked."""

    size: int = 8
    record: str = ""

    @classmethod
    def plugin_name(cls) -> str:
        return "means"

    def embed(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        if self.record:
            with Path(self.record).open("a") as file:
                file.write(f"{len(batch)}\n")
        return np.array([[np.mean(image), np.std(image), 1.0 / 3.0] for image in batch])


def asked(record: Path) -> int:
    return sum(int(line) for line in record.read_text().split()) if record.exists() else 0


@pytest.fixture
def pictures(tmp_path) -> Dataset:
    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(30):
        cv2.imwrite(str(folder / f"{number:02d}.png"), rng.integers(0, 255, (20, 24, 3)).astype(np.uint8))
    (folder / "29.png").write_bytes((folder / "03.png").read_bytes())
    ids = [f"{(number * 7) % 30:04d}" for number in range(30)]
    values = {"id": ids, "uri": [f"{number:02d}.png" for number in range(30)], "source": ["main"] * 30}
    values["label"] = ["a" if number % 2 else "b" for number in range(30)]
    ds = Dataset.from_columns(Schema(classes=("a", "b")), values, sources={"main": str(folder)})
    return modality.scan(ds)


def test_order_batch_and_workers_change_nothing(pictures):
    one = encode.run(pictures, Means(), workers=1, batch=64)["embedding.means"]
    assert one.shape == (30, 3)
    assert one.dtype == np.float32
    for workers, batch in ((3, 4), (2, 1)):
        np.testing.assert_array_equal(
            encode.run(pictures, Means(), workers=workers, batch=batch)["embedding.means"], one
        )
    order = np.random.default_rng(1).permutation(30)
    np.testing.assert_array_equal(encode.run(pictures.take(order), Means())["embedding.means"], one[order])
    samples = modality.open_samples(pictures, range(30))
    np.testing.assert_array_equal(
        one[:, 0], np.array([image.mean() for image in samples], np.float16).astype(np.float32)
    )


def test_cached_features_are_equal_and_nothing_is_opened(pictures, tmp_path):
    record = tmp_path / "record"
    encoder = Means(record=str(record))
    fresh = encode.run(pictures, encoder, cache=tmp_path / "cache")["embedding.means"]
    assert asked(record) == 29, "two samples have the same content"
    for path in Path(pictures.sources["main"]).iterdir():
        path.unlink()
    again = encode.run(pictures, encoder, cache=tmp_path / "cache")["embedding.means"]
    assert asked(record) == 29
    np.testing.assert_array_equal(again, fresh)
    uncached = encode.run(pictures, encoder)
    assert np.isnan(uncached["embedding.means"]).all()
    assert len(uncached.findings) >= 29


def test_other_parameters_are_other_features(pictures, tmp_path):
    record = tmp_path / "record"
    encode.run(pictures, Means(record=str(record)), cache=tmp_path / "cache")
    encode.run(pictures, Means(record=str(record)), size=16, cache=tmp_path / "cache")
    assert asked(record) == 58
    assert Means(size=8).fingerprint() != Means(size=16).fingerprint()


def test_an_interrupted_run_goes_on(pictures, tmp_path):
    record = tmp_path / "record"
    encoder = Means(record=str(record))

    class StopHereError(Exception):
        pass

    def listener(what: str, done: int, total: int | None) -> None:
        if done >= 8:
            raise StopHereError

    with pytest.raises(StopHereError), progress.listen(listener):
        encode.run(pictures, encoder, cache=tmp_path / "cache", workers=1, batch=4)
    before = asked(record)
    assert 8 <= before < 29
    values = encode.run(pictures, encoder, cache=tmp_path / "cache", workers=1, batch=4)["embedding.means"]
    assert np.isfinite(values).all()
    assert asked(record) <= 29 + before - 8


def test_rows_set_aside_are_nan_and_broken_ones_are_told(pictures):
    keep = [True] * 30
    keep[4] = False
    ds = pictures.with_columns({"keep": keep})
    bad = ds.table["uri"][7].as_py()
    Path(ds.sources["main"], bad).write_bytes(b"broken")
    out = encode.run(ds, Means())
    values = out["embedding.means"]
    assert np.flatnonzero(np.isnan(values).any(1)).tolist() == [4, 7]
    told = [row for row in out.findings.to_pylist() if row["check"] == "encode"]
    assert [row["members"] for row in told] == [[ds.ids[7]]]
    assert bad in told[0]["why"]
    step = out.steps[-1]
    assert (step.stage, step.name, step.params["size"]) == ("encode", "means", 8)


def test_grown_rows_are_rendered_and_keyed_by_recipe_and_parents(pictures, tmp_path):
    from scarce import recipe

    base = str(pictures.ids[0])
    text = recipe.write(base, [], seed=0, copy=0)
    row = {"id": ["zz"], "uri": [None], "source": [None], "label": ["a"], "origin": ["augmented"], "parents": [[base]]}
    grown = pictures.append({**row, "recipe": [text]})
    cache = FeatureCache(tmp_path / "cache")
    out = encode.run(grown, "pixel", cache=cache)
    place = int(out.rows_of(["zz"])[0])
    np.testing.assert_allclose(out["embedding.pixel"][place], out["embedding.pixel"][out.rows_of([base])[0]], atol=1e-3)
    other = pictures.with_columns({"content_hash": ["0" * 32, *pictures.table["content_hash"].to_pylist()[1:]]})
    changed = other.append({**row, "recipe": [text]})
    keys = [encode._content.content_keys(ds, np.array([place])) for ds in (grown, changed)]
    assert keys[0] != keys[1]
    assert json.loads(text)["base"] == base


def test_again_fills_only_what_is_missing(pictures, tmp_path):
    from scarce import recipe

    out = encode.run(pictures, "pixel", size=40)
    text = recipe.write(str(pictures.ids[1]), [], seed=0, copy=0)
    row = {"id": ["zz"], "label": ["a"], "origin": ["augmented"], "parents": [[str(pictures.ids[1])]], "recipe": [text]}
    grown = out.append(row)
    assert np.isnan(grown["embedding.pixel"][-1]).all()
    marked = grown["embedding.pixel"].copy()
    marked[0] = 7
    full = encode.again(grown.with_columns({"embedding.pixel": marked}), "embedding.pixel")
    assert (full["embedding.pixel"][0] == 7).all()
    assert np.isfinite(full["embedding.pixel"]).all()
    assert full.steps[-1].params["size"] == 40
    np.testing.assert_array_equal(full["embedding.pixel"][-1], out["embedding.pixel"][1])


def test_auto_and_errors(pictures, monkeypatch):
    assert encode.choose(pictures, "efficientnet-lite0") == "efficientnet_lite0"
    monkeypatch.setattr(encode._run, "available", lambda _: False)
    assert encode.choose(pictures) == "pixel"
    with pytest.raises(UnknownNameError, match="pixel"):
        encode.run(pictures, "pixels")
    with pytest.raises(DataError, match="text"):
        encode.run(pictures, "tfidf")
    with pytest.raises(ConfigError):
        encode.run(pictures, "pixel", size=2)
    with pytest.raises(ConfigError, match="size"):
        encode.run(pictures, "pixel", settings={"sizes": 3})
    assert encode.run(pictures.take(np.zeros(0, np.int64)), Means())["embedding.means"].shape[0] == 0
    assert encode.estimate(pictures, "pixel") > 0


def test_progress_counts(pictures):
    seen: list[tuple[str, int, int | None]] = []
    with progress.listen(lambda *event: seen.append(event)):
        encode.run(pictures, Means(), batch=10)
    assert seen[0][1:] == (0, 29), "two samples have the same content"
    assert seen[-1][1:] == (29, 29)


def test_a_network_is_named_with_its_package(pictures):
    assert parse("timm:vit-a.b") == ("timm", {"model": "vit-a.b"})
    assert parse(" Timm:resnet18") == ("timm", {"model": "resnet18"})
    assert encode.choose(pictures, "timm:resnet18") == "timm"
    with pytest.raises(UnknownNameError, match=r"no encoder 'resnet18'.*timm:resnet18"):
        encode.run(pictures, "resnet18")
    with pytest.raises(UnknownNameError, match=r"no encoder 'tim:resnet18'.*did you mean 'timm'"):
        encode.run(pictures, "tim:resnet18")
    with pytest.raises(ConfigError, match="pixel runs no other network"):
        encode.run(pictures, "pixel:resnet18")
    with pytest.raises(ConfigError, match="auto runs no other network"):
        encode.run(pictures, "auto:resnet18")
    with pytest.raises(ConfigError, match="names no network"):
        encode.run(pictures, "timm:")


def test_a_named_network_is_the_one_that_runs(pictures):
    pytest.importorskip("timm")
    name, settings = "timm:test_resnet.r160_in1k", {"weights": "random", "precision": "float32"}
    ds = encode.run(pictures, name, size=32, workers=1, settings={**settings, "model": "another"})
    assert ds.steps[-1].params["model"] == "test_resnet.r160_in1k"
    assert np.isfinite(ds["embedding.timm"]).all()
