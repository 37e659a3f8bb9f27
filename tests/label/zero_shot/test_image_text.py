"""Sentences against pictures, on a tiny model built here: its answers are known because the test chooses them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from scarce import io, modality
from scarce.dataset import Dataset
from scarce.encode.clip import unit
from scarce.errors import MissingExtraError
from scarce.extras import available
from scarce.label import zero_shot
from scarce.label.zero_shot import Prompt
from scarce.label.zero_shot.image_text import ImageText, class_vectors, compare_prompts, compare_templates

sys.path.insert(0, str(Path(__file__).parents[2] / "encode"))
import tiny_clip

CLASSES = ("bag", "coat", "shirt")


def space(n: int = 300, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors of pictures, their codes, and one direction a class."""
    rng = np.random.default_rng(seed)
    axes = unit(rng.normal(size=(3, 12)))
    codes = rng.integers(0, 3, n)
    return unit(axes[codes] + rng.normal(0, 0.25, (n, 12))), codes, axes


def test_a_bad_prompt_is_at_the_end_and_is_named() -> None:
    features, codes, axes = space()
    prompts = [Prompt(code, f"a photo of a {name}", "a photo of a {}") for code, name in enumerate(CLASSES)]
    prompts += [Prompt(1, "a bag, they say")]
    texts = np.concatenate([axes, axes[:1]])
    rows = compare_prompts(prompts, features @ texts.T, codes, CLASSES)
    assert [row["class"] for row in rows] == ["bag", "coat", "coat", "shirt"]
    assert rows[2]["prompt"] == "a bag, they say"
    assert rows[2]["high"] < rows[1]["low"]
    told = compare_templates(prompts, texts, features, codes)
    assert [row["template"] for row in told] == ["a photo of a {}"]
    assert told[0]["low"] < told[0]["accuracy"] < told[0]["high"]
    assert told[0]["accuracy"] > 0.9


def test_sentences_of_a_class_are_averaged() -> None:
    texts = unit(np.array([[1.0, 0], [0, 1], [-1, 0]]))
    np.testing.assert_allclose(class_vectors(texts, np.array([0, 0, 1]), 2), [[0.7071, 0.7071], [-1, 0]], atol=1e-4)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A tiny SigLIP with random weights."""
    pytest.importorskip("transformers", reason="transformers is not installed")
    made: Path = tiny_clip.write_siglip(tmp_path / "model")
    return made


def garment_rows(garments: Path, share: float) -> tuple[Dataset, np.ndarray]:
    ds = io.read(garments)
    wanted = np.isin(ds["label"], [ds.schema.classes.index(name) for name in ("Bag", "Trouser")])
    ds = modality.scan(ds.take(np.flatnonzero(wanted & (ds["split"] == "train"))[:240]))
    truth = ds["label"]
    known = np.random.default_rng(0).random(len(ds)) < share
    labels = [name if here else None for name, here in zip(ds.table["label"].to_pylist(), known, strict=True)]
    return ds.with_columns({"label": labels, "label_source": ["given" if here else None for here in known]}), truth


@pytest.mark.slow
def test_real_pictures_through_a_real_checkpoint(checkpoint: Path, garments: Path, tmp_path: Path) -> None:
    """Random weights know nothing: nothing may be labelled, and the report says so for every prompt."""
    ds, _ = garment_rows(garments, 0.5)
    method = ImageText(model=str(checkpoint), prompts=("Bag=a black bag", "Bag=a photo of the bag"))
    found = zero_shot.propose(ds, method, precision=0.95, cache=tmp_path / "cache")
    body = found.to_json()
    assert body["taken"] == 0
    assert body["judged"] == len(found.rows) > 90
    assert "no threshold proves" in body["gates"]["all"]["reason"]
    assert {row["class"] for row in body["details"]["prompts"]} == set(ds.schema.classes)
    assert all(row["low"] <= row["auroc"] <= row["high"] for row in body["details"]["prompts"] if row["class"] == "Bag")
    assert any("has no words of its own" in note for note in body["notes"])
    again = zero_shot.propose(ds, method, precision=0.95, cache=tmp_path / "cache")
    np.testing.assert_array_equal(found.probs, again.probs)


@pytest.mark.slow
def test_without_labels_nothing_is_proven(checkpoint: Path, garments: Path) -> None:
    ds, _ = garment_rows(garments, 0.0)
    found = zero_shot.propose(ds, ImageText(model=str(checkpoint)))
    assert not found.taken.any()
    assert "needs 59 held-out labelled rows without an error, there are 0" in " ".join(found.notes)
    assert found.temperature == 1


def test_the_method_follows_from_what_is_given() -> None:
    assert zero_shot.built("auto", {"prompts": ["a=b"]}).plugin_name() == "image_text"
    assert zero_shot.built("auto", {}).plugin_name() == "prototype"


@pytest.mark.skipif(available("transformers"), reason="transformers is installed")
def test_without_the_extra_it_names_the_extra(garments: Path) -> None:
    ds, _ = garment_rows(garments, 0.5)
    with pytest.raises(MissingExtraError, match=re.escape("scarce[clip]")):
        zero_shot.propose(ds, "image_text")
