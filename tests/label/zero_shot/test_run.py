"""What is labelled, what is left for people, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scarce import encode, io, modality
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError, UnknownNameError
from scarce.label import zero_shot
from scarce.testing import tiny_dataset


def masked(ds: Dataset, known: np.ndarray, **more: object) -> Dataset:
    """The dataset with labels of some rows only."""
    labels = [name if here else None for name, here in zip(ds.table["label"].to_pylist(), known, strict=True)]
    sources = ["human" if here else None for here in known]
    return ds.with_columns({"label": labels, "label_source": sources, "split": ["train"] * len(ds), **more})


def easy(share: float = 0.5) -> tuple[Dataset, np.ndarray]:
    ds = tiny_dataset({"good": 500, "scratch": 300, "stain": 100})
    return masked(ds, np.random.default_rng(0).random(len(ds)) < share), ds["label"]


def test_sure_ones_become_labels_and_nobody_is_overruled() -> None:
    ds, truth = easy()
    split = np.array(["train"] * len(ds), object)
    split[:50], split[50:100] = "test", "val"
    ds = ds.with_columns({"split": split.tolist()})
    found = zero_shot.propose(ds, precision=0.9)
    after = zero_shot.apply(ds, found)
    new = np.flatnonzero(after["label_source"] == "zero_shot")
    assert found.method.plugin_name() == "prototype"
    assert len(new) == found.taken.sum() > 300
    assert (after["label"][new] == truth[new]).mean() > 0.9
    assert not np.isin(after["split"][new], ("val", "test")).any()
    assert np.isin(new, found.rows).all()
    np.testing.assert_allclose(after["label_probs"][new].sum(1), 1, atol=1e-5)
    before = ds["label"] >= 0
    assert (after["label"][before] == ds["label"][before]).all()
    step = after.steps[-1]
    assert (step.stage, step.name) == ("label", "zero_shot")
    assert step.params["method"] == "prototype"


def test_a_class_that_is_not_proven_by_itself_waits_for_people_unless_wanted() -> None:
    ds = tiny_dataset({"good": 500, "scratch": 300, "stain": 60})
    truth = ds["label"]
    known = np.random.default_rng(0).random(len(ds)) < np.where(truth == 2, 0.3, 0.5)
    ds = masked(ds, known)
    careful, bold = (zero_shot.propose(ds, precision=0.9, unproven=wanted) for wanted in (False, True))
    assert careful.gates[""].opens
    stain, wanted = careful.classes[2], bold.classes[2]
    assert (stain.verdict, stain.taken, wanted.verdict) == ("unproven", 0, "unproven")
    assert wanted.taken > 0
    assert not (careful.codes[careful.taken] == 2).any()
    (said,) = [note for note in careful.notes if "--unproven" in note]
    assert f"not for stain ({stain.n}): left to people" in said
    assert "29 without an error" in said
    assert not [note for note in bold.notes if "--unproven" in note]
    np.testing.assert_array_equal(careful.taken, bold.taken & (bold.codes != 2))
    assert zero_shot.apply(ds, bold).steps[-1].params["unproven"] is True


def test_labels_that_are_evaluated_on_are_never_looked_at() -> None:
    ds, _ = easy()
    split = np.where(np.arange(len(ds)) % 3 == 0, "test", "train")
    ds = ds.with_columns({"split": split.tolist()})
    other = ds.table["label"].to_pylist()
    other = ["stain" if part == "test" and name else name for part, name in zip(split, other, strict=True)]
    one, two = (zero_shot.propose(data, precision=0.9) for data in (ds, ds.with_columns({"label": other})))
    np.testing.assert_array_equal(one.probs, two.probs)
    np.testing.assert_array_equal(one.taken, two.taken)


def test_a_second_run_takes_back_what_is_no_longer_sure() -> None:
    ds, _ = easy()
    once = zero_shot.run(ds, precision=0.9)
    assert (once["label_source"] == "zero_shot").sum() > 0
    again = zero_shot.run(once, precision=1.0)
    assert (again["label_source"] == "zero_shot").sum() == 0
    assert (again["label"] >= 0).sum() == (ds["label"] >= 0).sum()


def test_per_class_promises_and_a_class_that_cannot() -> None:
    ds, truth = easy()
    found = zero_shot.propose(ds, precision=0.95, per_class=True)
    assert set(found.gates) == {"good", "scratch", "stain"}
    assert found.gates["good"].opens
    assert not found.gates["stain"].opens
    assert "stain: a precision of 0.95 needs 59" in " ".join(found.notes)
    assert not (found.codes[found.taken] == 2).any()
    assert (truth[found.rows[found.taken]] == found.codes[found.taken]).mean() > 0.95


def test_a_bad_class_is_seen_and_left_out() -> None:
    ds, truth = easy(0.6)
    rng = np.random.default_rng(1)
    mixed = np.asarray(ds["embedding.tiny"]).copy()
    foreign = rng.permutation(np.flatnonzero(truth == 0))[:150]
    mixed[foreign] = mixed[rng.choice(np.flatnonzero(truth == 2), 150)]
    found = zero_shot.propose(ds.with_columns({"embedding.tiny": mixed}), precision=0.7)
    by_name = {one.name: one for one in found.classes}
    assert by_name["stain"].verdict == "bad"
    assert by_name["stain"].taken == 0
    assert by_name["stain"].proposed > 0
    assert by_name["scratch"].verdict == "proven"
    assert not (found.codes[found.taken] == 2).any()


def test_labelled_rows_that_are_no_random_draw_are_noticed() -> None:
    ds = tiny_dataset({"good": 800, "scratch": 300, "stain": 100})
    rng = np.random.default_rng(0)
    fair = masked(ds, rng.random(len(ds)) < 0.3)
    picked = np.concatenate([rng.permutation(np.flatnonzero(ds["label"] == code))[:60] for code in range(3)])
    unfair = masked(ds, np.isin(np.arange(len(ds)), picked))
    said = ["no random draw" in " ".join(zero_shot.propose(data, precision=0.9).notes) for data in (fair, unfair)]
    assert said == [False, True]


def test_few_labels_label_nothing_and_say_so() -> None:
    ds, _ = easy(0.0)
    with pytest.raises(DataError, match="no labelled example"):
        zero_shot.propose(ds)
    known = np.zeros(len(ds), bool)
    known[np.flatnonzero(tiny_dataset({"good": 500, "scratch": 300, "stain": 100})["label"] == 0)[:1]] = True
    ds = masked(tiny_dataset({"good": 500, "scratch": 300, "stain": 100}), known)
    found = zero_shot.propose(ds)
    assert not found.taken.any()
    said = " ".join(found.notes)
    assert "good has one example" in said
    assert "stain has no example: it is never proposed" in said
    assert "needs 59" in said
    assert not (found.codes == 2).any()


def test_a_class_without_samples_and_rows_without_features() -> None:
    ds, _ = easy()
    features = np.asarray(ds["embedding.tiny"]).copy()
    unlabelled = np.flatnonzero(ds["label"] < 0)
    features[unlabelled[:7]] = np.nan
    wide = Dataset(Schema(classes=(*ds.schema.classes, "hole")), ds.table, wide={"embedding.tiny": features})
    found = zero_shot.propose(wide, precision=0.9)
    assert "hole has no example" in " ".join(found.notes)
    assert "7 rows have no features" in " ".join(found.notes)
    assert found.classes[3].verdict == "never proposed"
    assert not np.isin(unlabelled[:7], found.rows).any()


def test_names_are_checked() -> None:
    ds, _ = easy()
    with pytest.raises(UnknownNameError, match="prototype"):
        zero_shot.propose(ds, "prototyp")
    with pytest.raises(DataError, match="two or more"):
        zero_shot.propose(Dataset(Schema(classes=("good",)), ds.table, wide=ds.wide))


def test_shares_and_seconds() -> None:
    ds, _ = easy()
    after = zero_shot.run(ds, precision=0.9)
    shares = zero_shot.label_shares(after)
    assert shares["human"] + shares["zero_shot"] == pytest.approx(1)
    assert zero_shot.seconds_saved(10, [2.0, 3.0, 400.0, None]) == 30
    assert zero_shot.seconds_saved(10, []) == 50


@pytest.mark.slow
def test_spoken_digits_keep_the_promise(shared_data: Path) -> None:
    """20 draws of 300 labels from 1,500 real recordings: the wanted precision holds for what is labelled."""
    ds = encode.run(modality.scan(io.read(shared_data / "audio_digits")), "logmel")
    truth, broken, coverage = ds["label"], 0, []
    for draw in range(20):
        chosen = np.random.default_rng(draw).choice(len(ds), 300, replace=False)
        given = masked(ds, np.isin(np.arange(len(ds)), chosen))
        found = zero_shot.propose(given, precision=0.9, seed=draw, unproven=True)
        coverage.append(found.taken.mean())
        rows = found.rows[found.taken]
        broken += len(rows) > 0 and (truth[rows] == found.codes[found.taken]).mean() < 0.9
    assert broken <= 2
    assert np.mean(coverage) > 0.7
