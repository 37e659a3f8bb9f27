"""Label errors of other shapes: label sets, boxes, masks, numbers, votes; and the estimator."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.svm import LinearSVC

from scarce import audit, columns, io, modality
from scarce.audit import _shape
from scarce.audit._shape import Boxes
from scarce.audit.box_error import BoxError, box_issues, cut_out
from scarce.audit.clean_learning import CleanLearning
from scarce.audit.crowd_label import CrowdLabel, crowd_consensus
from scarce.audit.mask_error import MaskError, mask_disagreement
from scarce.audit.multi_label_error import MultiLabelError, flag_multi_label_errors
from scarce.audit.number_error import NumberError, cross_val_numbers, number_error_probability
from scarce.dataset import Dataset, Schema
from scarce.errors import ConfigError, DataError


def dataset(n: int, *, classes: tuple[str, ...] = (), **values: object) -> Dataset:
    return Dataset.from_columns(
        Schema(classes=classes), {"id": [f"{row:05d}" for row in range(n)], **values}
    )  # fmt: skip


# label sets


def two_digits(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of real digits side by side, and which of five digits each pair shows."""
    data = load_digits()
    rows = np.flatnonzero(data.target < 5)
    pairs = np.random.default_rng(seed).permutation(rows)[: len(rows) // 2 * 2].reshape(-1, 2)
    sets = np.zeros((len(pairs), 5), np.int8)
    for side in (0, 1):
        sets[np.arange(len(pairs)), data.target[pairs[:, side]]] = 1
    return np.hstack([data.data[pairs[:, 0]], data.data[pairs[:, 1]]]).astype(np.float32), sets


def test_flipped_entries_of_label_sets_are_found() -> None:
    features, truth = two_digits()
    wrong = np.random.default_rng(1).random(truth.shape) < 0.05
    given = np.where(wrong, 1 - truth, truth)
    cells = ["|".join(f"d{code}" for code in np.flatnonzero(row)) for row in given]
    ds = dataset(len(given), **{"meta.tags": cells}).with_columns({"embedding.x": features})
    measured = MultiLabelError().measure(ds)
    flagged = {item["members"][0] for item in measured.findings if item["level"] == "sample"}
    bad = set(ds.ids[wrong.any(axis=1)])
    assert len(flagged & bad) >= 0.6 * len(bad)
    assert len(flagged & bad) >= 0.5 * len(flagged)
    assert any("is probably missing" in item["why"] for item in measured.findings)
    clean = ["|".join(f"d{code}" for code in np.flatnonzero(row)) for row in truth]
    silent = MultiLabelError().measure(ds.with_columns({"meta.tags": clean}))
    assert sum(item["level"] == "sample" for item in silent.findings) < 0.12 * len(truth)


def test_label_sets_are_read_in_every_notation() -> None:
    cells = ["a|b", '["b", "c"]', "a; c", "", None, "['a']"]
    labels, names = _shape.label_sets(dataset(6, **{"meta.tags": cells}), "meta.tags")
    assert names == ("a", "b", "c")
    assert labels.tolist() == [[1, 1, 0], [0, 1, 1], [1, 0, 1], [0, 0, 0], [-1, -1, -1], [1, 0, 0]]
    assert "names two classes" in MultiLabelError().unmet(dataset(2, **{"meta.tags": ["a", "b"]}))
    assert "it needs a column" in MultiLabelError().unmet(dataset(2))


def test_label_sets_of_wrong_form_are_refused() -> None:
    with pytest.raises(DataError, match="pass"):
        flag_multi_label_errors(np.zeros((3, 2)), np.zeros((3, 3)))
    with pytest.raises(DataError, match="other values"):
        flag_multi_label_errors(np.full((3, 2), 2), np.zeros((3, 2)))
    with pytest.raises(DataError, match="NaN"):
        flag_multi_label_errors(np.zeros((3, 2)), np.full((3, 2), np.nan))
    assert not flag_multi_label_errors(np.ones((9, 2), int), np.full((9, 2), 0.5)).any()


# numbers


def test_wrong_values_are_found_and_clean_ones_left_alone() -> None:
    data = load_diabetes()
    rng = np.random.default_rng(0)
    values = data.target.copy()
    bad = rng.choice(len(values), 12, replace=False)
    values[bad] = np.where(values[bad] > 150, 3000.0, -900.0)
    names = [f"{value:g}" for value in values]
    classes = tuple(sorted(set(names)))
    ds = dataset(len(values), classes=classes, label=names).with_columns({"embedding.x": data.data.astype(np.float32)})
    found = audit.run(ds, ["number_error"])
    flagged = {row["members"][0] for row in found.findings.to_pylist() if row["level"] == "sample"}
    assert set(ds.ids[bad]) <= flagged
    assert len(flagged) <= len(bad) + 2
    clean = number_error_probability(data.target, cross_val_numbers(data.data, data.target))
    assert (clean > 0.5).mean() < 0.01


def test_a_label_of_numbers_is_no_class() -> None:
    """Every other check that needs classes steps aside; few values, or digits as classes, stay classes."""
    names = [f"{value / 7:.3f}" for value in range(120)]
    many = dataset(120, classes=tuple(sorted(names)), label=names).with_columns({"embedding.x": np.eye(120, 8)})
    table = audit.run(many).findings.to_pylist()
    assert any(row["check"] == "imbalance" and "number_error judges it" in row["why"] for row in table)
    digits = [str(value % 10) for value in range(120)]
    few = dataset(120, classes=tuple("0123456789"), label=digits).with_columns({"embedding.x": np.eye(120, 8)})
    assert "more than 20 different numbers" in NumberError().unmet(few)


def test_numbers_of_wrong_form_are_refused() -> None:
    with pytest.raises(DataError, match="twice"):
        number_error_probability(np.zeros(3), np.zeros(4))
    with pytest.raises(DataError, match="not finite"):
        number_error_probability(np.zeros(20), np.full(20, np.nan))
    ds = dataset(30, **{"meta.price": ["cheap"] * 30}).with_columns({"embedding.x": np.eye(30, 4)})
    with pytest.raises(DataError, match="holds no numbers"):
        NumberError(column="price").measure(ds)
    assert np.isnan(number_error_probability(np.array([np.nan] * 9), np.zeros(9))).all()
    assert (number_error_probability(np.ones(50), np.ones(50)) == 0).all()
    assert (number_error_probability(np.arange(50.0), np.arange(50.0)) == 0).all()


# boxes


def test_geometry_of_boxes_is_judged_without_a_model() -> None:
    usual = [[10.0 * i, 10, 10.0 * i + 8, 18] for i in range(12)]
    odd = [[5, 5, 5, 9], [90, 90, 140, 98], [0, 0, 95, 95], [10.2, 10, 18, 18]]
    boxes = Boxes(np.array(usual + odd, np.float64), np.zeros(16, np.int64), np.ones(16))
    found = {issue.kind: issue for issue in box_issues([boxes], None, [(130, 100)], ("dent",))}
    assert set(found) == {"empty", "outside", "odd_size", "twice"}
    assert found["outside"].corners.tolist() == [90, 90, 140, 98]
    assert "drawn twice" in found["twice"].why


def test_predictions_show_missing_moved_swapped_and_invented_boxes() -> None:
    rng = np.random.default_rng(2)
    given, said = [], []
    for _ in range(60):
        at = rng.uniform(0, 60, (3, 2)) + np.array([[0, 0], [100, 0], [0, 100]])
        corners = np.concatenate([at, at + 30], axis=1)
        codes = rng.integers(0, 2, 3)
        given.append(Boxes(corners, codes, np.ones(3)))
        said.append(Boxes(corners + rng.normal(0, 1, (3, 4)), codes, rng.uniform(0.8, 1, 3)))
    first = given[0]
    given[0] = Boxes(first.corners[1:], first.codes[1:], first.scores[1:])
    given[1] = replace(given[1], codes=1 - given[1].codes)
    moved = given[2].corners.copy()
    moved[0] += [12, 12, 12, 12]
    given[2] = replace(given[2], corners=moved)
    ghost = np.array([[150.0, 150, 180, 180]])
    given[3] = Boxes(np.r_[given[3].corners, ghost], np.r_[given[3].codes, 0], np.ones(4))
    found = [issue for issue in box_issues(given, said, [None] * 60, ("dent", "stain")) if issue.score >= 0.5]
    kinds = {(issue.kind, issue.picture) for issue in found}
    planted = {("badly_placed", 2), ("extra", 3), ("missing", 0), ("wrong_class", 1)}
    assert planted <= kinds
    assert len(kinds - planted) <= 2
    assert sum(issue.kind == "wrong_class" for issue in found) == 3


def test_wrong_classes_of_real_boxes_are_found(shared_data: Path) -> None:
    """Circuit boards: a tenth of the pin-holes and shorts is called the other."""
    base = shared_data / "deep_pcb"
    kinds = {"pin-hole", "short"}
    boxes: dict[str, list[dict[str, object]]] = {}
    with (base / "boxes.csv").open() as file:
        next(file)
        for line in file:
            name, *corners, label = line.strip().split(",")
            if (label in kinds and len(boxes) < 150) or name in boxes:
                entry = {"label": label, **dict(zip(("x1", "y1", "x2", "y2"), map(float, corners), strict=True))}
                boxes.setdefault(name, []).append(entry)
    rng = np.random.default_rng(0)
    wrong = set()
    for name, some in boxes.items():
        some[:] = [box for box in some if box["label"] in kinds]
        for box in some:
            if rng.random() < 0.1:
                box["label"] = next(iter(kinds - {box["label"]}))
                wrong.add((name, round(float(box["x1"])), round(float(box["y1"]))))
    names = sorted(boxes)
    ds = Dataset.from_columns(
        Schema(), {"id": names, "uri": [f"test/{name}.png" for name in names], "source": ["b"] * len(names),
                   "meta.boxes": [json.dumps(boxes[name]) for name in names]}, sources={"b": str(base)},
    )  # fmt: skip
    measured = BoxError(encoder="pixel").measure(ds)
    flagged = set()
    for item in measured.findings:
        if item["level"] == "box" and item["why"].startswith("wrong class"):
            x, y = item["why"].split("(")[1].split(", ")[:2]
            flagged.add((item["members"][0], int(x), int(y)))
    assert len(flagged & wrong) >= 0.7 * len(wrong)
    assert len(flagged & wrong) >= 0.6 * len(flagged)


@pytest.mark.parametrize("cell", ['{"label": 3}', "[{}]", '[{"label": "a"}]', '[{"label": "a", "bbox": [1, 2]}]', "x"])
def test_boxes_of_wrong_form_name_the_sample(cell: str) -> None:
    ds = dataset(2, **{"meta.boxes": ["[]", cell], "uri": ["a.png", "b.png"]})
    with pytest.raises(DataError, match=r"boxes of b\.png cannot be read"):
        BoxError().measure(ds)


def test_cut_outs_stay_inside_the_picture() -> None:
    picture = np.arange(400, dtype=np.uint8).reshape(20, 20)
    for corners in ([-5, -5, 3, 3], [18, 18, 30, 22], [19.9, 0, 20, 20], [0, 0, 20, 20]):
        cut = cut_out(picture, np.array(corners, np.float64))
        assert min(cut.shape) >= 2


# masks


def test_real_masks_that_contradict_their_label(shared_data: Path, tmp_path: Path) -> None:
    base = shared_data / "magnetic_tile"
    ds = io.read(base / "index.csv")
    ds = replace(ds, schema=replace(ds.schema, normal_classes=("free",)))
    found = MaskError().measure(modality.scan(ds.take(np.arange(0, len(ds), 4))))
    assert np.nanmax(found.score) <= 1
    marked = next(row for row in range(len(ds)) if ds["mask_uri"][row] and ds["label"][row] >= 0
                  and ds.schema.classes[ds["label"][row]] != "free")  # fmt: skip
    mask = cv2.imread(str(base / ds["mask_uri"][marked]), 0)
    cv2.imwrite(str(tmp_path / "good.png"), mask)
    cv2.imwrite(str(tmp_path / "empty.png"), np.zeros_like(mask))
    cv2.imwrite(str(tmp_path / "small.png"), mask[:-9])
    (tmp_path / "broken.png").write_bytes(b"no picture")
    uris = ["good.png", "empty.png", "small.png", "broken.png", None, "good.png"]
    labels = ["crack"] * 5 + ["free"]
    few = Dataset.from_columns(
        Schema(classes=("crack", "free"), normal_classes=("free",)),
        {"id": list("abcdef"), "label": labels, "source": ["m"] * 6, "mask_uri": uris}, sources={"m": str(tmp_path)},
    ).with_columns({"scan.width": np.full(6, mask.shape[1]), "scan.height": np.full(6, mask.shape[0])})  # fmt: skip
    judged = MaskError().measure(few)
    assert judged.score.round(2).tolist() == [0.0, 0.9, 1.0, 1.0, 0.5, 0.9]
    why = " ".join(item["why"] for item in judged.findings)
    assert "nothing is marked" in why
    assert "its picture" in why
    assert "cannot be opened" in why


def test_masks_against_predictions() -> None:
    mask = np.zeros((80, 80), np.uint8)
    mask[10:30, 10:30] = 255
    assert mask_disagreement(mask, np.roll(mask, 1, 0)) is None
    both = mask.copy()
    both[50:70, 50:70] = 1
    assert mask_disagreement(mask, both).kind == "missing"
    assert mask_disagreement(both, mask).kind == "extra"
    assert mask_disagreement(mask, np.roll(mask, 12, 1)).kind == "badly_drawn"
    with pytest.raises(DataError):
        mask_disagreement(mask, mask[1:])


# votes


def test_crowd_consensus_beats_the_worst_annotator() -> None:
    pytest.importorskip("cleanlab")
    data = load_digits()
    rng = np.random.default_rng(0)
    rows = np.flatnonzero(data.target < 4)[:500]
    truth, features = data.target[rows], data.data[rows].astype(np.float32)
    skill = np.array([0.95, 0.9, 0.85, 0.3])
    ratings = np.where(rng.random((500, 4)) < skill, truth[:, None], rng.integers(0, 4, (500, 4)))
    ratings[rng.random(ratings.shape) < 0.3] = -1
    names = tuple(f"d{code}" for code in range(4))
    votes = [
        {"sample": f"{row:05d}", "voter": f"person {rater}", "kind": "human", "label": names[ratings[row, rater]]}
        for row in range(500) for rater in range(4) if ratings[row, rater] >= 0
    ]  # fmt: skip
    given = truth.copy()
    given[:40] = (given[:40] + 1) % 4
    ds = dataset(500, classes=names, label=[names[code] for code in given])
    ds = replace(ds, votes=pa.Table.from_pylist(votes, schema=columns.VOTE)).with_columns({"embedding.x": features})
    judged = CrowdLabel().measure(ds)
    contradicted = {item["members"][0] for item in judged.findings if item["level"] == "sample" and item["score"] > 0.5}
    assert len(contradicted & set(ds.ids[:40])) >= 36
    assert len(contradicted) <= 70, "at most 30 of the 460 others, whose votes are few and split"
    assert "person 3" in judged.findings[0]["why"].split(",")[1]
    assert "two votes" in CrowdLabel().unmet(dataset(3))
    with pytest.raises(DataError, match="no item has two votes"):
        crowd_consensus(np.array([[0], [1]]), np.full((2, 2), 0.5))
    with pytest.raises(DataError, match="ratings reach"):
        crowd_consensus(np.array([[0, 7]]), np.full((1, 2), 0.5))


# the estimator


@pytest.mark.parametrize("repair", ["prune", "fix"])
def test_clean_learning_gains_on_real_rows_with_flipped_labels(repair: str) -> None:
    data, plain, repaired = load_breast_cancer(), 0.0, 0.0
    names = np.array(["benign", "malignant"])
    for seed in range(3):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(data.target))
        train, test = order[:400], order[400:]
        given, bad = names[data.target[train]], rng.random(400) < 0.2
        given = np.where(bad, names[1 - data.target[train]], given)
        model = CleanLearning(RandomForestClassifier(60, random_state=0), repair=repair)  # type: ignore[arg-type]
        both = model.compare(data.data[train], given, data.data[test], names[data.target[test]])
        plain, repaired = plain + both["plain"], repaired + both["repaired"]
        issues = model.get_label_issues()
        flags = issues["is_label_issue"]
        assert (flags & bad).sum() >= 0.65 * bad.sum()
        assert (flags & bad).sum() >= 0.75 * flags.sum()
        fixed = flags & bad
        assert (issues["suggested_label"][fixed] == names[data.target[train]][fixed]).mean() > 0.95
    assert repaired >= plain


def test_clean_learning_is_an_estimator() -> None:
    data = load_digits()
    model = CleanLearning(RandomForestClassifier(10, random_state=0), cv_n_folds=3)
    other = clone(model).set_params(clf__n_estimators=12, seed=4)
    assert (other.clf.n_estimators, other.seed, model.seed) == (12, 4, 0)
    fitted = other.fit(data.data[:600], data.target[:600])
    assert fitted is other
    assert other.predict_proba(data.data[600:610]).shape == (10, 10)
    assert other.score(data.data[600:], data.target[600:]) > 0.8
    scores = cross_val_score(CleanLearning(LogisticRegression(max_iter=500)), data.data[:300], data.target[:300], cv=3)
    assert scores.mean() > 0.8
    with pytest.raises(ConfigError, match="gives no probabilities"):
        CleanLearning(LinearSVC()).fit(data.data[:300], data.target[:300])
    with pytest.raises(ConfigError, match="no parameter"):
        model.set_params(folds=3)
    with pytest.raises(DataError, match="call fit"):
        CleanLearning().predict(data.data)
    with pytest.raises(DataError, match="one label a row"):
        CleanLearning().fit(data.data, data.target[:5])
    with pytest.raises(DataError, match="are missing"):
        CleanLearning().fit(data.data[:4], [1, None, 2, 1])
    with pytest.raises(DataError, match="1 classes"):
        CleanLearning().fit(data.data[:4], [1, 1, 1, 1])
    with pytest.raises(ConfigError, match="'prune' or 'fix'"):
        CleanLearning(repair="drop").fit(data.data, data.target)  # type: ignore[arg-type]


def test_a_sign_is_no_other_spelling() -> None:
    names = ["1", "-1"] * 10 + ["torn seam"] * 5 + ["Torn-Seam"]
    ds = dataset(26, classes=("1", "-1", "torn seam", "Torn-Seam"), label=names)
    found = [row["why"] for row in audit.run(ds, "consistency").findings.to_pylist()]
    assert any("one class in 2 spellings: 'torn seam' (5), 'Torn-Seam' (1)" in why for why in found)
    assert not any("'-1'" in why for why in found)


def boxed(cells: list[str], size: int = 100) -> Dataset:
    n = len(cells)
    ds = dataset(n, **{"meta.boxes": cells})
    return ds.with_columns({"scan.width": np.full(n, size), "scan.height": np.full(n, size)})


def test_one_unreadable_cell_costs_one_row() -> None:
    good = json.dumps([{"label": "a", "x1": 3, "y1": 5, "x2": 40, "y2": 22}])
    bad = json.dumps([{"label": "a", "x1": 3, "y1": 5, "x2": 5000, "y2": 22}])
    ds = boxed([good] * 57 + ["[{", bad, good])
    found = BoxError(classes=False).measure(ds)
    told = [row["why"] for row in found.findings]
    assert any(why.startswith("not judged: the boxes of") for why in told)
    assert any(why.startswith("outside: a at") for why in told)
    assert (np.nan_to_num(found.score) > 0.5).sum() == 2


def test_a_box_outside_its_picture_is_judged_by_nothing_else() -> None:
    from scarce.audit._box import Issue
    from scarce.audit.box_error import _merged

    corners = np.array([3.0, 5, 5000, 22])
    issues = [
        Issue(0, "wrong_class", corners, 0, 1, 1.0, "looks like b"),
        Issue(0, "outside", corners, 0, -1, 0.9, "out"),
    ]
    assert [issue.kind for issue in _merged(issues)] == ["outside"]


def test_missing_values_in_rows_are_told_in_words() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X = X.copy()
    X[3, 2] = np.nan
    with pytest.raises(DataError, match=r"1 rows hold NaN"):
        CleanLearning().fit(X, y)
    from sklearn.ensemble import HistGradientBoostingClassifier

    clf = HistGradientBoostingClassifier(max_iter=5)
    assert CleanLearning(clf, cv_n_folds=2).fit(X, y).predict(X).shape == y.shape
