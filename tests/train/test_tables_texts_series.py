"""Trainers of tables, texts and series on real data: they learn, are calibrated, saved and loaded, and refuse."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce import io, modality, train
from scarce.dataset import Dataset, FoldView
from scarce.errors import ConfigError, TrainError
from scarce.loop.fitting import guarded
from scarce.metric.confusion import balanced_accuracy
from scarce.modality.raw import feature_columns
from scarce.train._row_features import UNIT, RowFeatures
from scarce.train.gradient_boosting import NOTHING, GradientBoosting
from scarce.train.minirocket import Minirocket
from scarce.train.predict import Prediction, predict
from scarce.train.tfidf_linear import TfidfLinear

TREES = GradientBoosting(trees=40, folds=3)


def halves(ds: Dataset, *, most: int = 400) -> FoldView:
    rows = np.random.default_rng(0).permutation(len(ds))[:most]
    return ds.fold(ds.ids[rows[: len(rows) // 2]], ds.ids[rows[len(rows) // 2 :]])


def same_after_saving(model: train.Model, view: FoldView, folder: Path) -> None:
    again = train.load(model.save(folder))
    np.testing.assert_allclose(again.predict_proba(view.eval), model.predict_proba(view.eval), atol=1e-6)


def score(model: train.Model, view: FoldView) -> float:
    return balanced_accuracy(view.eval["label"], model.predict_proba(view.eval).argmax(1), len(model.classes))


@pytest.fixture(scope="module")
def tables(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> FoldView:
    """Phonemes, the first measurement as words, the second with holes."""
    with (shared_data / "tabular_imbalanced" / "phoneme.csv").open() as file:
        head, *rows = csv.reader(file)
    words = ["low", "middle", "high"]
    path = tmp_path_factory.mktemp("tables") / "phoneme.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["kind", *head])
        for number, row in enumerate(rows[::5]):
            kind = words[int(float(row[0]) > 0) + int(float(row[0]) > 1)] if number % 17 else ""
            row[1] = "" if number % 3 == 0 else row[1]
            out.writerow([kind, *row])
    return halves(modality.scan(io.read(path)), most=1000)


def test_trees_take_holes_and_categories(tables: FoldView, tmp_path: Path) -> None:
    model = train.fit(tables, TREES, seed=1)
    assert score(model, tables) > 0.7
    assert set(model.card["levels"]["kind"]) == {"low", "middle", "high"}
    assert model.card["columns"][0] == "kind"
    assert model.held_out is not None
    assert len(model.held_out[0]) == len(tables.train_ids)
    same_after_saving(model, tables, tmp_path / "m")
    again = train.fit(tables, TREES, seed=1).tensors()
    for name, array in model.tensors().items():
        np.testing.assert_array_equal(array, again[name])


@pytest.fixture(scope="module")
def guarded_trees(tables: FoldView) -> train.Model:
    """Trees with their guard."""
    view = tables.dataset.fold(tables.train_ids, ())
    model: train.Model = guarded(train.fit(view, TREES, seed=1), view, seed=1)
    return model


def cells(view: FoldView) -> dict[str, list[Any]]:
    """The columns of the rows that were held out."""
    return {name: column.to_pylist() for name, column in feature_columns(view.eval).items()}


def answered(model: train.Model, columns: dict[str, list[Any]], path: Path) -> list[Prediction]:
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(columns)
        out.writerows(["" if cell is None else cell for cell in row] for row in zip(*columns.values(), strict=True))
    return predict(model, path)


def share(rows: list[Prediction]) -> float:
    return float(np.mean([row.verdict == "unknown" for row in rows]))


def test_trees_know_rows_far_from_all_that_they_saw(
    guarded_trees: train.Model, tables: FoldView, tmp_path: Path
) -> None:
    entry = guarded_trees.card["unknown"]
    assert entry["foreign"] == "made from held-back rows: columns permuted independently, numbers beyond the range"
    assert {"knn", "mahalanobis", "vim"} < set(entry["detectors"])
    model = train.load(guarded_trees.save(tmp_path / "m"))
    for before, after in zip(guarded_trees.answers(tables.eval), model.answers(tables.eval), strict=True):
        np.testing.assert_allclose(after, before)
    plain = cells(tables)
    numbers = [name for name in plain if name != "kind"]
    assert share(answered(model, plain, tmp_path / "plain.csv")) <= 0.03, "99 % are promised; 100 were held back"
    large = {name: [None if cell is None else cell * 1000 for cell in plain[name]] for name in numbers}
    assert share(answered(model, plain | large, tmp_path / "large.csv")) == 1
    rows = len(tables.eval)
    strange = {name: (np.linspace(-40, 40, rows) + place).tolist() for place, name in enumerate(numbers)}
    assert share(answered(model, {"kind": ["unheard of"] * rows} | strange, tmp_path / "strange.csv")) > 0.8
    huge = {name: [1e308] * rows for name in numbers}
    assert share(answered(model, plain | huge, tmp_path / "huge.csv")) == 1, "differences overflow"


def test_empty_rows_are_set_aside_and_empty_columns_are_holes(
    guarded_trees: train.Model, tables: FoldView, tmp_path: Path
) -> None:
    plain = {name: column[:6] for name, column in cells(tables).items()}
    empty = {name: [*column[:5], None] for name, column in plain.items()}
    rows = answered(guarded_trees, empty, tmp_path / "empty.csv")
    assert [row.error for row in rows] == [None] * 5 + ["empty: every feature is missing"]
    rows = answered(guarded_trees, empty | {"shift": list("abcabc"), "heat": [7.5] * 6}, tmp_path / "more.csv")
    assert [row.error for row in rows] == [None] * 5 + [NOTHING]
    holes = answered(guarded_trees, plain | {"f1": [None] * 6}, tmp_path / "holes.csv")
    assert all(row.probability is not None for row in holes)


def test_what_is_rare_is_marked_and_what_occurs_seldom_counts_as_never_seen() -> None:
    levels = np.repeat([0.0, 1.0, 2.0, np.nan], [60, 30, 3, 6])
    numbers = np.tile(np.arange(99.0)[:, None], 3)
    numbers[:, 1] = 5.0
    numbers[:, 2] *= 1e6
    features = RowFeatures.of(np.column_stack([levels, numbers]), (3,))
    rows = np.array([
        [0, 49, 5, 49e6], [1, 49, 5, 49e6], [2, 49, 5, 49e6], [3, 49, 5, 49e6],
        [np.nan, 49, 5, 49e6], [0, np.nan, 5, 49e6], [0, np.nan, np.nan, 49e6], [0, 1e308, -1e308, 98e6],
    ])  # fmt: skip
    found = features(rows)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0, [0, 1, 2, -1]], 0, atol=1e-12)
    rarity = found[:, 3]
    assert rarity[0] < rarity[1] < rarity[2] == rarity[3]
    assert rarity[3] == pytest.approx(UNIT * np.sqrt(-2 * np.log(4 / 94)))
    assert found[4, -2] == pytest.approx(UNIT * np.sqrt(-2 * np.log(7 / 101))), "a hole where there were some"
    assert found[5, -1] == pytest.approx(UNIT * np.sqrt(2 * np.log(101))), "a hole where there was none"
    assert found[6, -1] == pytest.approx(UNIT * np.sqrt(4 * np.log(101)))
    assert found[7, 2] < 2
    assert found[7, 0] > 100
    again = RowFeatures.restored(features.tensors())
    np.testing.assert_array_equal(again(rows), found)


def test_trees_answer_a_file_with_new_categories_and_refuse_other_columns(tables: FoldView, tmp_path: Path) -> None:
    model = train.fit(tables, replace(TREES, folds=0))
    names = list(model.card["columns"])
    new = tmp_path / "new.csv"
    new.write_text(",".join(names) + "\nunheard of," + ",".join("0.5" for _ in names[1:]) + "\n")
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(TrainError, match="the column 'kind' is not there"):
        predict(model, other)
    found = predict(model, new)
    assert found[0].probability is not None
    words = tmp_path / "words.csv"
    rest = "," + ",".join("0.5" for _ in names[2:]) + "\n"
    words.write_text(",".join(names) + "\n" + "".join(f"low,{cell}{rest}" for cell in ("0.5", "much", "0.7", "")))
    told = predict(model, words)
    assert told[1].error == f"column {names[1]!r} holds 'much', and training had numbers there"
    assert [item.error for item in told[:1] + told[2:]] == [None] * 3
    clean = tmp_path / "clean.csv"
    clean.write_text(",".join(names) + "\n" + "".join(f"low,{cell}{rest}" for cell in ("0.5", "0.7", "")))
    alone = [item.probability for item in predict(model, clean)]
    assert [item.probability for item in told[:1] + told[2:]] == alone


def test_no_column_of_a_new_table_is_taken_for_the_label(tables: FoldView, tmp_path: Path) -> None:
    """The last column has few values, and columns are sorted so that a category is the last one."""
    model = train.fit(tables, replace(TREES, folds=0))
    names = sorted(model.card["columns"], key=lambda name: name == "kind")
    new = tmp_path / "new.csv"
    rows = [[*("0.5" for _ in names[1:]), ("low", "high")[number % 2]] for number in range(8)]
    new.write_text("\n".join(",".join(row) for row in (names, *rows)) + "\n")
    found = predict(model, new)
    assert [item.error for item in found] == [None] * 8
    labelled = tmp_path / "labelled.csv"
    said = ["target", *(model.classes[number % 2] for number in range(8))]
    labelled.write_text("\n".join(",".join([*row, end]) for row, end in zip((names, *rows), said, strict=True)) + "\n")
    assert [item.probability for item in predict(model, labelled)] == [item.probability for item in found]


def test_texts_in_files_of_their_own(shared_data: Path, tmp_path: Path) -> None:
    ds = modality.scan(io.read(shared_data / "text_small" / "trec.csv"))
    view = halves(ds, most=300)
    model = train.fit(view, TfidfLinear(folds=3))
    texts = [str(text) for text in modality.open_samples(view.eval, range(4))]
    folder = tmp_path / "new" / "deep"
    folder.mkdir(parents=True)
    for number, text in enumerate(texts):
        (folder / f"{number}.txt").write_text(text, "utf-8")
    (folder / "5.txt").write_bytes(b"")
    expected = model.predict_proba(view.eval)[:4].max(1)
    for given in (tmp_path / "new", sorted(folder.iterdir())):
        found = predict(model, given)
        assert [item.error is None for item in found] == [True] * 4 + [False]
        np.testing.assert_allclose([item.probability for item in found[:4]], expected, atol=1e-6)
    lines = tmp_path / "two lines.txt"
    lines.write_text("who was the first president?\nof which country?\n")
    assert len(predict(model, lines)) == 1, "a file is one text"


def test_trees_know_the_losses(tables: FoldView) -> None:
    shares = {}
    for loss in ("cross_entropy", "class_weight", "balanced_softmax"):
        model = train.fit(tables, GradientBoosting.from_params({"trees": 20, "folds": 0, "loss": loss}))
        shares[loss] = model.predict_proba(tables.eval)[:, 1].mean()
    assert shares["class_weight"] > shares["cross_entropy"] + 0.02
    assert shares["balanced_softmax"] > shares["cross_entropy"] + 0.02


def test_trees_on_soft_labels_and_without_a_class(tables: FoldView) -> None:
    ds = tables.dataset
    soft = [[0.2, 0.8] if label == 0 else [0.0, 1.0] for label in ds["label"]]
    view = ds.with_columns({"label_probs": soft}).fold(tables.train_ids, tables.eval_ids)
    model = train.fit(view, replace(TREES, folds=0))
    assert model.predict_proba(view.eval)[:, 1].mean() > 0.8
    one = tables.train.ids[tables.train["label"] == 0]
    with pytest.raises(TrainError, match="at least two classes"):
        train.fit(ds.fold(one, ()), TREES)
    with pytest.raises(ConfigError, match="learning_rate = 0"):
        GradientBoosting(learning_rate=0)


def test_texts(shared_data: Path, tmp_path: Path) -> None:
    ds = modality.scan(io.read(shared_data / "text_small" / "trec.csv"))
    view = halves(ds, most=900)
    model = train.fit(view, TfidfLinear(folds=3))
    assert score(model, view) > 0.5
    assert model.card["temperature"] != 1.0
    same_after_saving(model, view, tmp_path / "m")
    (tmp_path / "new.csv").write_text("text\nwho wrote this book ?\nwhere is the longest river ?\n")
    who, where = predict(model, tmp_path / "new.csv")
    assert who.label != where.label


def test_words_of_judged_texts_change_nothing(shared_data: Path) -> None:
    """Weights of words are counted on the training side only."""
    ds = modality.scan(io.read(shared_data / "text_small" / "trec.csv"))
    rows = np.random.default_rng(1).permutation(len(ds))[:300]
    first = train.fit(ds.fold(ds.ids[rows[:200]], ds.ids[rows[200:]]), TfidfLinear(folds=0)).tensors()
    second = train.fit(ds.fold(ds.ids[rows[:200]], ()), TfidfLinear(folds=0)).tensors()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


def test_series(shared_data: Path, tmp_path: Path) -> None:
    ds = modality.scan(io.read(shared_data / "time_series" / "GunPoint.npz"))
    split = ds["split"]
    view = ds.fold(ds.ids[split == "train"], ds.ids[split == "test"])
    model = train.fit(view, Minirocket(features=1000, folds=3))
    assert score(model, view) > 0.93
    same_after_saving(model, view, tmp_path / "m")


def wide(path: Path, rows: list[tuple[str, np.ndarray]]) -> Path:
    """Write series as rows; short ones end in empty cells."""
    longest = max(len(values) for _, values in rows)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["class", *(f"t{place}" for place in range(longest))])
        for name, values in rows:
            out.writerow([name, *(f"{value:.4f}" for value in values), *[""] * (longest - len(values))])
    return path


@pytest.mark.parametrize("several", [False, True])
def test_series_of_a_length_that_training_never_saw_are_set_aside(several: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def drawn(number: int, length: int) -> tuple[str, np.ndarray]:
        slow = number % 2 == 0
        return "slow" if slow else "fast", np.sin(np.arange(length) / (6 if slow else 2)) + rng.normal(0, 0.1, length)

    known = wide(tmp_path / "known.csv", [drawn(n, 60 + 8 * (several and n % 3)) for n in range(40)])
    ds = modality.scan(io.read(known))
    model = train.fit(ds.fold(ds.ids, ()), Minirocket(features=168, folds=0))
    new = wide(tmp_path / "new.csv", [drawn(n, (60, 90, 30)[n % 3]) for n in range(6)])
    rows = predict(train.load(model.save(tmp_path / "m")), new)
    if several:
        assert [row.error for row in rows] == [None] * 6
        return
    reasons = [row.error for row in rows]
    assert reasons[::3] == [None, None]
    assert [rows[0].label, rows[3].label] == ["slow", "fast"]
    assert reasons[1] == "length: 90 points, all training series had 60"
    assert reasons[2] == "length: 30 points, all training series had 60"
    assert rows[1].label is None


def test_series_of_several_channels_and_lengths() -> None:
    """The transform against its definition, on drawn curves of two channels."""
    from scarce.train import _rocket as rocket

    rng = np.random.default_rng(0)
    curves = rng.normal(size=(3, 2, 40)).astype(np.float32)
    shape = rocket.plan(40, 84 * 6)
    subsets = rng.random((len(shape[0]), 84, 2)) < 0.7
    levels = rocket.levels_of(curves, shape, subsets, seed=0)
    found = rocket.transform(curves, shape, subsets, levels)
    assert found.shape == (3, 84 * 6)
    assert shape[0][0] == 1
    assert shape[0][-1] <= (40 - 1) / 8
    at = 0
    for step, (dilation, count) in enumerate(zip(*shape, strict=True)):
        for kernel, triple in enumerate(rocket.TRIPLES):
            weights = np.full(9, -1.0)
            weights[triple] = 2.0
            answer = np.zeros((3, 40))
            padded = np.pad(curves, ((0, 0), (0, 0), (4 * dilation, 4 * dilation)))
            for place in range(9):
                part = padded[:, :, place * dilation : place * dilation + 40]
                answer += weights[place] * (part * subsets[step, kernel][None, :, None]).sum(1)
            edge = 4 * dilation if (step + kernel) % 2 and 8 * dilation < 40 else 0
            inside = answer[:, edge : 40 - edge]
            for _ in range(count):
                np.testing.assert_allclose(
                    found[:, at], (inside > levels[at] + 1e-5).mean(1), atol=1.01 / inside.shape[1]
                )
                at += 1
    assert at == len(levels)
