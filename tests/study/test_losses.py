"""The study of losses on real garments, short."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from scarce.dataset import Dataset, Schema
from scarce.errors import ConfigError, DataError, ReadError, UnknownNameError
from scarce.study._fashion import fashion_mnist, some_fashion
from scarce.study._seeds import points
from scarce.study.losses import METHODS, Losses, conclusion, table_of, tail

NAMES = ("T-shirt", "Trouser", "Pullover")
SHORT = Losses(methods=("class_weight", "undersample", "moved_prior", "smote_features"), ratios=(4.0,), most=24,
               judged=10, epochs=2, seeds=2, batch=16)  # fmt: skip


@pytest.fixture(scope="module")
def ds(garments: Path) -> Dataset:
    labels = np.array(pq.read_table(garments, columns=["label"])["label"].to_pylist())
    rows = np.sort(np.concatenate([np.flatnonzero(labels == name)[:60] for name in NAMES]))
    return Dataset.from_columns(
        Schema(classes=NAMES),
        {
            "id": [f"{row:06d}" for row in rows], "uri": [f"{garments.name}#{row}:image" for row in rows],
            "source": ["garments"] * len(rows), "label": labels[rows].tolist(), "label_source": ["given"] * len(rows),
            "split": ["train"] * len(rows),
        },
        sources={"garments": str(garments.parent)},
    )  # fmt: skip


def test_a_tail_falls_evenly_on_a_log_scale() -> None:
    assert tail(1000, 100.0, 3).tolist() == [1000, 100, 10]
    assert tail(50, 200.0, 10)[-1] == 1
    assert tail(500, 10.0, 10)[0] / tail(500, 10.0, 10)[-1] == pytest.approx(10)


def test_draws_are_a_tail_and_a_balanced_rest(ds: Dataset) -> None:
    labels = ds["label"].astype(int)
    alone = np.arange(len(labels))
    fitted, judged = SHORT.draw(labels, 4.0, 0, alone)
    assert np.bincount(labels[fitted]).tolist() == [24, 12, 6]
    assert np.bincount(labels[judged]).tolist() == [10, 10, 10]
    assert not set(fitted) & set(judged)
    assert set(SHORT.draw(labels, 4.0, 1000, alone)[1]) != set(judged)


def test_no_group_is_on_both_sides_of_a_draw(ds: Dataset) -> None:
    labels = ds["label"].astype(int)
    rng = np.random.default_rng(0)
    three, mixed = np.arange(len(labels)) // 3, rng.integers(0, 70, len(labels))
    pairs = np.arange(len(labels))
    pairs[[0, 60, 120]] = pairs[[1, 61, 121]]
    cut = 0
    for groups in (three, mixed, pairs):
        for seed in range(20):
            fitted, judged = SHORT.draw(labels, 4.0, seed, groups)
            assert not set(groups[fitted]) & set(groups[judged])
            assert len(set(fitted)) == len(fitted)
            assert np.bincount(labels[judged]).tolist() == [10, 10, 10]
            assert (np.bincount(labels[fitted], minlength=3) <= [24, 12, 6]).all()
            by_one = SHORT.draw(labels, 4.0, seed, np.arange(len(labels)))
            cuts = bool(set(groups[by_one[0]]) & set(groups[by_one[1]]))
            cut += cuts
            assert cuts or all((one == other).all() for one, other in zip(by_one, (fitted, judged), strict=True))
        if groups is not mixed:
            assert np.bincount(labels[fitted]).tolist() == [24, 12, 6]
    assert 40 <= cut < 60, "some draws of pairs cut none, and stay as they are"


def test_a_project_with_groups_is_studied(ds: Dataset, tmp_path: Path) -> None:
    names = [f"part{row // 3}" for row in range(len(ds))]
    journal = tmp_path / "losses.jsonl"
    study = Losses(methods=("moved_prior",), ratios=(4.0,), most=24, judged=10, epochs=1, seeds=2, batch=16)
    alone = ds.with_columns({"split_group": list(ds.ids)})
    study.run(alone, journal=journal, minutes=0.0, seed=0)
    parts = ds.with_columns({"split_group": names})
    found = study.run(parts, journal=journal, minutes=60.0, seed=0)
    assert found.body["seeds_done"] == 2
    begun = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [line.get("key") for line in begun] == [None, "0/4/cross_entropy", "1/4/cross_entropy"]
    unsplit = ds.with_columns({"group": names})
    assert "split_group" not in ds
    assert study.run(unsplit, journal=None, minutes=0.0, seed=0).body["classes"] == list(NAMES)
    with pytest.raises(ReadError, match="other samples"):
        study.run(unsplit, journal=journal, minutes=0.0, seed=0)
    whole = ds.with_columns({"split_group": [f"part{code}" for code in ds["label"]]})
    with pytest.raises(DataError, match=r"is cut\. of T-shirt 0 are left to train on beside 10 that judge, 24"):
        study.run(whole, journal=None, minutes=60.0, seed=0)


def test_a_projects_rarest_class_is_the_rarest_of_the_tail(ds: Dataset) -> None:
    labels = ds["label"].astype(int)
    most = np.concatenate([np.flatnonzero(labels == code)[:size] for code, size in enumerate((20, 60, 40))])
    fitted, judged = SHORT.draw(labels[most], 4.0, 0, np.arange(len(most)))
    assert np.bincount(labels[most][fitted]).tolist() == [6, 24, 12]
    assert np.bincount(labels[most][judged]).tolist() == [10, 10, 10]
    small = Losses(methods=("moved_prior",), ratios=(4.0,), most=24, judged=10, epochs=1, seeds=1, batch=16)
    found = small.run(ds.take(most), journal=None, minutes=60.0, seed=0).body
    assert found["classes"] == ["Trouser", "Pullover", "T-shirt"]
    row = found["ratios"]["4"]["methods"]["cross_entropy"]
    assert row["few"]["mean"] == pytest.approx(row["recall"][-1], abs=1e-3)
    assert row["many"]["mean"] == pytest.approx(row["recall"][0], abs=1e-3)


def test_the_study_goes_on_where_it_stopped_and_ends_the_same(ds: Dataset, tmp_path: Path) -> None:
    journal = tmp_path / "losses.jsonl"
    begun = SHORT.run(ds, journal=journal, minutes=0.0, seed=0)
    assert begun.body["seeds_done"] == 0
    assert len(journal.read_text().splitlines()) == 2
    found = SHORT.run(ds, journal=journal, minutes=60.0, seed=0)
    assert found.body["seeds_done"] == 2
    rows = found.body["ratios"]["4"]["methods"]
    assert list(rows) == ["cross_entropy", "class_weight", "undersample", "moved_prior", "smote_features"]
    for row in rows.values():
        assert row["low"] is None or row["low"] <= row["mean"] <= row["high"]
        assert row["mean"] == pytest.approx(np.mean(row["recall"]), abs=1e-3)
    own = rows["cross_entropy"]["gain"]
    assert (own["mean"], own["low"], own["high"]) == (0.0, None, None), "against itself the seeds agree"
    assert all(row["gain"]["p_holm"] >= row["gain"]["p"] for name, row in rows.items() if name != "cross_entropy")
    assert rows["smote_features"]["mean"] > 0.6
    assert "<svg" in found.page
    assert "smote_features" in found.page
    again = SHORT.run(ds, journal=journal, minutes=60.0, seed=0)
    assert again.body == found.body
    head, table = table_of(found.body)
    assert len(head) == len(table[0]) == 4
    assert "has the highest mean" in conclusion(found.body)
    json.dumps(found.body)


def test_points_and_an_empty_result() -> None:
    assert points({"mean": 0.012, "low": -0.01, "high": 0.034}) == "+1.2 (-1.0 to +3.4)"
    assert points({"mean": 0.012, "low": None, "high": None}) == "+1.2"
    assert "Nothing" in conclusion({"ratios": {}})


def test_surely_better_is_so_after_correction_for_all_comparisons() -> None:
    study = Losses(ratios=(10.0,), seeds=5, judged=10)
    rng = np.random.default_rng(1)
    methods = study._methods()
    done: dict[str, dict[str, object]] = {}
    for seed in range(5):
        for name in methods:
            one = {name: (0.5 + 0.02 * rng.normal(size=3)).tolist()}
            done[f"{seed}/10/{name}"] = {"seconds": 1.0, **one}
        plain = done[f"{seed}/10/cross_entropy"]
        for name in ("moved_prior", "smote_features"):
            plain[name] = (0.5 + 0.02 * rng.normal(size=3)).tolist()
        plain["no_smote"] = ["Bag"]
        step = 0.001 * np.arange(3) * seed
        done[f"{seed}/10/focal"]["focal"] = (np.array(plain["cross_entropy"]) + 0.3 + step).tolist()
        slight = np.array(plain["cross_entropy"]) + (0.01, 0.02, 0.03, 0.004, 0.03)[seed]
        done[f"{seed}/10/ldam"]["ldam"] = slight.tolist()
    body = study._found(methods, done, ["Coat", "Dress", "Bag"], np.arange(3), 0)
    rows = body["ratios"]["10"]["methods"]
    assert rows["focal"]["gain"]["verdict"] == "helps"
    assert rows["ldam"]["gain"]["low"] > 0, "alone its interval lies above 0"
    assert rows["ldam"]["gain"]["verdict"] == "no evidence"
    said = conclusion(body)
    assert "1 surely better than plain" in said
    assert "worse" not in said
    assert "smote_features is plain training, in part at least, since Bag had one sample" in said


def test_every_method_names_a_loss_that_finetune_takes() -> None:
    from scarce.train.finetune import Finetune

    for settings in METHODS.values():
        Finetune.from_params({key: value for key, value in settings.items() if key != "rows"})


def test_bad_input_is_explained(ds: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="ldam_drw"):
        Losses(methods=("ldam_dwr",)).run(ds, journal=None, minutes=1.0, seed=0)
    with pytest.raises(DataError, match=r"T-shirt has 60, 1200 are wanted"):
        Losses().run(ds, journal=None, minutes=1.0, seed=0)
    with pytest.raises(ConfigError, match="seeds = 0"):
        Losses(seeds=0).run(ds, journal=None, minutes=1.0, seed=0)
    with pytest.raises(ReadError, match="dataset-fashion-mnist"):
        fashion_mnist(tmp_path, tmp_path)


def test_fashion_mnist_is_read_from_its_files(tmp_path: Path) -> None:
    pixels, codes = np.arange(3 * 784, dtype=np.int64).astype(np.uint8), np.array([9, 0, 1], np.uint8)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + pixels.tobytes()))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + codes.tobytes()))
    found = fashion_mnist(tmp_path, tmp_path / "work")
    from scarce.modality import open_samples

    assert found["label"].tolist() == [9, 0, 1]
    images = [np.asarray(image) for image in open_samples(found, np.arange(3))]
    np.testing.assert_array_equal(images[1].reshape(28, 28, -1)[..., 0], pixels.reshape(3, 28, 28)[1])
    whole = np.concatenate([np.full(4, code, np.uint8) for code in (0, 1)])
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + bytes(range(16)) * 392))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + whole.tobytes()))
    some = some_fashion(tmp_path, tmp_path / "other", most=3, judged=2)
    assert (some["split"] == "train").sum() == 6
    assert np.bincount(some["label"][some["split"] == "test"]).tolist() == [2, 2]
    assert len(some["embedding.pixel"]) == 10
