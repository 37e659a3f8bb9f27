from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scarce import split
from scarce.dataset import Dataset, Schema
from scarce.errors import ConfigError, DataError, UnknownNameError


def made(n: int = 60, *, classes: tuple[str, ...] = ("a", "b"), **columns: object) -> Dataset:
    values = {"id": [f"{i:04d}" for i in range(n)], "label": [classes[i % len(classes)] for i in range(n)]}
    return Dataset.from_columns(Schema(classes=classes), {**values, **columns})


def near(ds: Dataset, *pairs: tuple[int, int]) -> Dataset:
    rows = [{"level": "pair", "members": [str(ds.ids[a]), str(ds.ids[b])], "score": 0.97, "why": ""} for a, b in pairs]
    return ds.with_findings("near_duplicate", rows)


def told(ds: Dataset) -> str:
    return "\n".join(row["why"] for row in ds.findings.to_pylist() if row["check"] == "split")


def uncut(ds: Dataset) -> bool:
    rows = np.flatnonzero(np.isin(ds["split"], ("train", "val", "test")))
    pairs = set(zip(ds["split_group"][rows], ds["split"][rows], strict=True))
    return len(pairs) == len({group for group, _ in pairs})


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12)), min_size=6, max_size=60),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=6),
    st.integers(0, 3),
)
def test_no_group_is_cut_and_order_changes_nothing(rows, pairs, seed):
    names = {"id": [f"{(i * 37) % 101:04d}" for i in range(len(rows))], "label": [label for label, _ in rows]}
    names["group"] = [f"g{group}" if group else None for _, group in rows]
    ds = near(Dataset.from_columns(Schema(classes=("a", "b")), names), *pairs)
    out = split.run(ds, seed=seed)
    assert uncut(out)
    codes = out["split_group"]
    loosened = "were left out so that they can be split" in told(out)
    for a, b in pairs:
        assert loosened or codes[a] == codes[b]
    for name in set(names["group"]) - {None}:
        assert len(set(codes[out["group"] == name])) == 1
    order = np.random.default_rng(seed).permutation(len(ds))
    again = split.run(ds.take(order), seed=seed)
    assert (again["split"] == out["split"][order]).all()
    assert (again["split_group"] == codes[order]).all()


def test_real_tiles_stay_whole_and_every_class_is_everywhere(shared_data):
    with (shared_data / "magnetic_tile" / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    values = {"id": [f"{i:05d}" for i in range(len(rows))], "label": [row["class"] for row in rows]}
    classes = tuple(sorted(set(values["label"])))
    values |= {"group": [row["tile_group"] for row in rows], "meta.exposure": [row["exposure"] for row in rows]}
    out = split.run(Dataset.from_columns(Schema(classes=classes, normal_classes=("free",)), values))
    assert uncut(out)
    assert len(set(out["split_group"])) == 225
    labels, parts = out["label"], out["split"]
    share = np.array([[np.mean(parts[labels == k] == part) for part in ("train", "val", "test")] for k in range(6)])
    assert (share > 0).all()
    np.testing.assert_allclose(share, np.tile([0.7, 0.1, 0.2], (6, 1)), atol=0.08)
    counts = split.conditions(out, "exposure")
    assert sum(n for by in counts.values() for cell in by.values() for n in cell.values()) == len(rows)
    flattering = split.run(Dataset.from_columns(Schema(classes=classes), values), splitter="stratified")
    tiles = [set(flattering["group"][flattering["split"] == part]) for part in ("train", "test")]
    assert len(tiles[0] & tiles[1]) > 100
    assert "split_group" not in flattering


def test_says_what_the_counts_prove():
    classes = ("good", "scratch")
    ds = made(1000, label=["good"] * 250 + ["scratch"] * 750, classes=classes)
    sentences = {row["members"][0]: row for row in split.run(ds).findings.to_pylist() if row["level"] == "class"}
    assert "150 test samples would prove a recall of at least 98.0 %" in sentences["scratch"]["why"]
    assert "99 % needs 299" in sentences["scratch"]["why"]
    alone = made(10, label=["good"] * 9 + ["scratch"], classes=classes)
    assert "Nothing can be proved" in told(split.run(alone))
    grouped = split.run(made(100, group=[f"g{i // 5}" for i in range(100)]))
    assert "(4 groups)" in told(grouped)
    assert "counted by group, 47.2 %" in told(grouped)


def test_given_splits_stay_and_val_is_carved_out_of_train():
    ds = made(100, split=["train"] * 70 + ["test"] * 30)
    out = split.run(ds)
    assert (out["split"][70:] == "test").all()
    assert (out["split"][:70] == "val").sum() in (8, 9), "one part in eight of 70"
    assert set(out["split"][:70]) == {"train", "val"}
    whole = made(100, split=["train"] * 60 + ["val"] * 10 + ["test"] * 30)
    assert (split.run(whole)["split"] == whole["split"]).all()
    only = split.run(made(100, split=["train"] * 100))
    assert set(only["split"]) == {"train", "val", "test"}
    no_test = split.run(made(100, split=["train"] * 80 + ["val"] * 20))
    assert (no_test["split"][80:] == "val").all()
    assert set(no_test["split"][:80]) == {"train", "test"}
    again = split.run(out, seed=9)
    assert (again["split"] == out["split"]).all()


def test_copies_across_given_splits_leave_training():
    ds = near(made(100, split=["train"] * 60 + ["val"] * 10 + ["test"] * 30), (0, 99), (1, 65), (66, 98))
    out = split.run(ds)
    assert out["split"][[0, 99, 1, 65, 66, 98]].tolist() == ["pool", "test", "pool", "val", "pool", "test"]
    assert out["split_group"][0] == out["split_group"][99]
    assert told(out).count("leakage") == 3
    assert uncut(out)
    assert out["keep"].all()
    out.fold(out.ids[out["split"] == "train"], out.ids[out["split"] == "test"])
    with pytest.raises(DataError, match="training samples"):
        split.run(made(10, split=["train"] * 6 + ["test"] * 4, group=["one"] * 10))


def test_new_rows_never_bring_copies_of_test_into_train():
    old = split.run(made(60))
    old = old.take(np.argsort(old.ids))
    train, val, test = (int(np.flatnonzero(old["split"] == part)[0]) for part in ("train", "val", "test"))
    other = int(np.flatnonzero(old["split"] == "train")[1])
    new = {"id": [f"x{i}" for i in range(30)], "label": ["a", "b"] * 15}
    ds = old.append(new)
    rows = ds.rows_of(new["id"])
    ds = near(ds, (rows[0], test), (rows[1], train), (rows[2], val), (rows[3], train), (rows[3], test),
              (rows[4], rows[5]), (rows[5], train), (rows[5], val), (rows[6], train), (rows[6], other))  # fmt: skip
    out = split.run(ds)
    assert (out["split"][out.rows_of(old.ids)] == old["split"]).all()
    found = dict(zip(new["id"], out["split"][rows], strict=True))
    assert found["x0"] == "pool"
    assert [found[name] for name in ("x3", "x4", "x5")] == ["pool"] * 3
    assert set(out["split"][rows]) <= {"train", "val", "pool"}
    assert (out["split"][rows[7:]] == "train").sum() >= 18
    assert "copies of test" in told(out) or "bridge" in told(out)
    assert uncut(out)


def test_a_new_copy_of_a_training_sample_joins_it():
    old = split.run(made(60))
    train = int(np.flatnonzero(old["split"] == "train")[0])
    ds = old.append({"id": ["x0"], "label": ["a"]})
    out = split.run(near(ds, (int(ds.rows_of(["x0"])[0]), train)))
    assert out["split"][out.rows_of(["x0"])[0]] == "train"
    assert "bridge" not in told(out)


def test_a_new_row_that_bridges_waits_and_old_rows_stay():
    old = split.run(made(60))
    a, b = (int(np.flatnonzero(old["split"] == part)[0]) for part in ("train", "test"))
    ds = old.append({"id": ["x0"], "label": ["a"]})
    row = int(ds.rows_of(["x0"])[0])
    out = split.run(near(ds, (row, a), (row, b)))
    assert out["split"][row] == "pool"
    assert (out["split"][out.rows_of(old.ids)] == old["split"]).all()
    assert "bridge" in told(out)
    assert uncut(out)


def test_unlabelled_rows_wait_and_join_once_labelled():
    ds = made(60, label=["a", "b", None] * 20)
    out = split.run(ds)
    assert (out["split"][out["label"] < 0] == "pool").all()
    labelled = out.with_columns({"label": ["a", "b", "a"] * 20})
    later = split.run(labelled)
    assert set(later["split"][np.arange(2, 60, 3)]) <= {"train", "val"}
    rest = np.arange(60) % 3 < 2
    assert (later["split"][rest] == out["split"][rest]).all()


def by(n: int, people: int) -> list[str]:
    """Return label sources: people labelled the first rows, models and rules the rest."""
    return [
        ("given", "human", "vote")[i % 3] if i < people else ("zero_shot", "rule", "model")[i % 3] for i in range(n)
    ]


def test_labels_of_models_are_trained_on_and_never_judged_by():
    groups = [f"g{i // 3}" for i in range(600)]
    ds = made(600, label_source=by(600, 100), group=groups)
    out = split.run(ds)
    parts, people = out["split"], np.arange(600) < 100
    assert set(parts[people]) == {"train", "val", "test"}
    assert set(parts[~people]) <= {"train", "pool"}
    assert (parts[~people] == "train").sum() >= 490  # all but those that share a group with a judged row
    assert 15 <= (parts == "test").sum() <= 25
    assert uncut(out)
    alone = split.run(ds.take(people))
    assert (alone["split"] == parts[people]).all()  # what models said moves no test sample


def test_later_labels_of_models_do_not_enter_val():
    ds = made(200, label=["a", "b"] * 30 + [None] * 140, label_source=["given"] * 60 + [None] * 140)
    out = split.run(ds, ratios=(0.6, 0.2, 0.2))
    more = out.with_columns({"label": ["a", "b"] * 100, "label_source": by(200, 60)})
    later = split.run(more, ratios=(0.6, 0.2, 0.2))
    assert (later["split"][60:] == "train").all()
    assert (later["split"][:60] == out["split"][:60]).all()


def test_a_given_test_set_keeps_only_what_people_labelled():
    ds = made(90, split=["train"] * 45 + ["val"] * 15 + ["test"] * 30, label_source=by(90, 75))
    out = split.run(ds)
    assert (out["split"][75:] == "pool").all()
    assert (out["split"][60:75] == "test").all()
    assert "label is a rule's or a model's" in told(out)


def test_a_condition_that_is_held_out_is_not_trained_on_by_labels_of_models():
    cameras = ["A", "B"] * 100
    ds = made(200, label=["a", "a", "b", "b"] * 50, label_source=by(200, 100), **{"meta.camera": cameras})
    out = split.run(ds, hold_out="camera=B")
    held = np.array(cameras) == "B"
    assert (out["split"][held & (np.arange(200) < 100)] == "test").all()
    assert (out["split"][held & (np.arange(200) >= 100)] == "pool").all()


def test_set_aside_and_grown_rows():
    ds = made(40, keep=[i != 3 for i in range(40)])
    out = split.run(ds)
    assert out["split"][3] is None
    mother = {part: str(out.ids[np.flatnonzero(out["split"] == part)[0]]) for part in ("train", "test")}
    grown = out.append({
        "id": ["y0", "y1", "y2"], "label": ["a"] * 3, "origin": ["augmented"] * 3,
        "parents": [[mother["train"]], [mother["test"]], [mother["train"], mother["test"]]],
    })  # fmt: skip
    again = split.run(grown)
    rows = again.rows_of(["y0", "y1", "y2"])
    assert again["split"][rows].tolist() == ["train", None, None]
    assert again["split_group"][rows[0]] == again["split_group"][again.rows_of([mother["train"]])[0]]


def test_a_separate_test_source():
    ds = made(60, source=["main"] * 40 + ["extra"] * 20)
    ds = near(ds, (0, 59))
    with_sources = Dataset(ds.schema, ds.table, {"main": "/a", "extra": "/b"}, findings=ds.findings)
    out = split.run(with_sources, test="/b")
    assert (out["split"][40:] == "test").all()
    assert out["split"][0] == "pool"
    assert set(out["split"][1:40]) == {"train", "val"}
    with pytest.raises(UnknownNameError, match="extra"):
        split.run(with_sources, test="extr")


@pytest.mark.parametrize("ratios", [(0.5, 0.5), (0.5, 0.2, 0.2), (0.0, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_wrong_ratios(ratios):
    with pytest.raises(ConfigError, match="sum to 1"):
        split.run(made(), ratios=ratios)


def test_edges():
    empty = split.run(made(0))
    assert len(empty) == 0
    unlabelled = split.run(made(5, label=[None] * 5))
    assert unlabelled["split"].tolist() == ["pool"] * 5
    assert split.run(made(1))["split"].tolist() == ["train"]
    with pytest.raises(UnknownNameError, match="by_time"):
        split.run(made(), splitter="by_tim")
    with pytest.raises(UnknownNameError):
        split.conditions(made(), "camera")


def later(old: Dataset, labels: list[str], *, group: int = 1) -> Dataset:
    """Old rows and new ones of a class that may be unknown so far; ``group`` new rows share a group."""
    classes = (*old.schema.classes, *sorted(set(labels) - set(old.schema.classes)))
    grown = replace(old, schema=replace(old.schema, classes=classes))
    start = len(old)
    new = {"id": [f"x{start + i:04d}" for i in range(len(labels))], "label": labels}
    return grown.append({**new, "group": [f"n{start + i // group}" for i in range(len(labels))]})


def spread(ds: Dataset, name: str) -> list[int]:
    mine = ds["label"] == ds.schema.classes.index(name)
    return [int((ds["split"][mine] == part).sum()) for part in ("train", "val", "test")]


def test_a_class_that_comes_later_reaches_test_whole_groups_and_all():
    old = split.run(made(60))
    out = split.run(later(old, ["c"] * 60 + ["a"] * 10, group=3))
    assert (out["split"][out.rows_of(old.ids)] == old["split"]).all()
    assert spread(out, "c") == [42, 6, 12]
    assert spread(out, "a")[2] == spread(old, "a")[2], "a class that has test samples gets no others"
    assert uncut(out)
    assert "c came after the test was drawn: train 42, val 6, test 12" in told(out)
    assert (split.run(out)["split"] == out["split"]).all()


def test_a_later_class_is_filled_up_to_its_shares_as_it_comes():
    ds = split.run(made(60))
    for _ in range(20):
        ds = split.run(later(ds, ["c"]))
    train, val, test = spread(ds, "c")
    assert train + val + test == 20
    assert abs(train - 14) <= 1
    assert test in (3, 4, 5)
    ds = split.run(later(ds, ["c"] * 80))
    assert spread(ds, "c") == [70, 10, 20]


def test_a_class_in_train_alone_gets_its_test_samples_from_new_rows():
    labels = ["a", "b"] * 30 + ["c"] * 20
    parts = ["train", "train", "val", "test"] * 15 + ["train"] * 20
    ds = split.run(made(80, label=labels, classes=("a", "b", "c"), split=parts))
    assert spread(ds, "c")[2] == 0
    out = split.run(later(ds, ["c"] * 20))
    assert spread(out, "c") == [28, 4, 8]


def test_nothing_enters_a_test_that_was_named():
    ds = made(60, source=["main"] * 40 + ["extra"] * 20)
    named = split.run(Dataset(ds.schema, ds.table, {"main": "/a", "extra": "/b"}), test="extra")
    held = split.run(made(60, **{"meta.camera": ["A", "A", "B"] * 20}), hold_out="camera=B")
    for old in (named, held):
        out = split.run(later(old, ["c"] * 20))
        again = split.run(later(out, ["c"] * 20))
        assert spread(again, "c")[2] == 0
        assert spread(again, "c")[1] > 0
    anew = again.with_columns({"split": [None] * len(again), "split_group": [None] * len(again)})
    assert spread(split.run(anew), "c") == [28, 4, 8]


def test_every_row_that_waits_says_what_holds_it_back():
    old = split.run(made(60, uri=[f"{i}.png" for i in range(60)]))
    a, b = (int(np.flatnonzero(old["split"] == part)[0]) for part in ("train", "test"))
    ds = old.append({"id": ["x0", "x1", "x2"], "label": ["a"] * 3, "uri": ["n0.png", "n1.png", "n2.png"]})
    rows = ds.rows_of(["x0", "x1", "x2"])
    test = str(old["uri"][b])
    copied = split.run(near(ds, (rows[0], b), (rows[1], rows[0])))
    why = {row["members"][0]: row["why"] for row in copied.findings.to_pylist() if row["level"] == "sample"}
    assert set(why) == {"x0", "x1"}
    assert why["x0"].startswith(f"nearly the same as test sample {test}")
    assert why["x1"].startswith(f"through other samples near to test sample {test}")
    bridging = split.run(near(ds, (rows[0], a), (rows[0], b)))
    (row,) = [row for row in bridging.findings.to_pylist() if row["level"] == "sample"]
    assert row["members"] == ["x0"]
    assert str(old["uri"][a]) in row["why"]
    assert "would bridge train and test" in row["why"]
    assert bridging["keep"].all(), "it waits, it is not set aside"
