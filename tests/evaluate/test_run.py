from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as oracle

from scarce import evaluate
from scarce.dataset import Dataset, FoldView, Schema
from scarce.errors import DataError, LeakError
from scarce.evaluate.calibrator import judge_kinds
from scarce.metric import clopper_pearson, provable

CLASSES = ("good", "hole", "stain")


def make(n: int = 600, *, normal: bool = True, seed: int = 0) -> tuple[FoldView, np.ndarray]:
    """A fold of n rows, the last two thirds judged, with probabilities that are often right."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, n, p=[0.8, 0.14, 0.06])
    schema = Schema(classes=CLASSES, normal_classes=("good",) if normal else ())
    ds = Dataset.from_columns(schema, {
        "id": [f"{row:05d}" for row in range(n)], "label": [CLASSES[code] for code in labels],
        "split_group": [f"tile {row // 3}" for row in range(n)], "meta.camera": rng.choice(["a", "b"], n).tolist(),
        "meta.serial": [f"{row}" for row in range(n)],
    })  # fmt: skip
    cut = n // 9 * 3
    view = ds.fold(ds.ids[:cut], ds.ids[cut:])
    probs = rng.dirichlet([1, 1, 1], n - cut)
    probs[np.arange(n - cut), view.eval["label"]] += 0.35
    return view, probs / probs.sum(1, keepdims=True)


def test_scores_match_scikit_learn() -> None:
    view, probs = make()
    report = evaluate.run(view, probs).to_json()
    y, pred = view.eval["label"], probs.argmax(1)
    assert report["n"] == 402
    assert report["groups"] == len(set(view.eval["split_group"]))
    assert report["balanced_accuracy"]["value"] == pytest.approx(oracle.balanced_accuracy_score(y, pred))
    assert report["macro_f1"]["value"] == pytest.approx(oracle.f1_score(y, pred, average="macro"))
    assert report["confusion"]["matrix"] == oracle.confusion_matrix(y, pred).tolist()
    table = oracle.precision_recall_fscore_support(y, pred)
    for code, name in enumerate(CLASSES):
        own = report["per_class"][name]
        assert (own["precision"], own["recall"], own["f1"], own["n"]) == pytest.approx([row[code] for row in table])
        assert own["low"] <= own["recall"] <= own["high"]
        assert own["average_precision"] == pytest.approx(oracle.average_precision_score(y == code, probs[:, code]))
        assert own["average_precision_low"] <= own["average_precision"] <= own["average_precision_high"]
    assert report["calibration"]["log_loss"] == pytest.approx(oracle.log_loss(y, probs))
    for score in ("balanced_accuracy", "macro_f1", "rare_average_precision", "accuracy"):
        assert report[score]["low"] <= report[score]["value"] <= report[score]["high"]
    for score in ("balanced_accuracy", "macro_f1", "rare_average_precision"):
        assert report[score]["baseline"] < report[score]["value"]
    assert report["accuracy"]["baseline"] == pytest.approx((y == 0).mean()), "always 'good'"


def test_the_report_is_json_and_the_same_for_the_same_seed() -> None:
    view, probs = make(300)
    texts = [json.dumps(evaluate.run(view, probs, seed=4).to_json(), allow_nan=False) for _ in range(2)]
    assert texts[0] == texts[1]
    assert json.dumps(evaluate.run(view, probs, seed=5).to_json()) != texts[0]


def test_cells_and_mistakes_name_the_samples() -> None:
    view, probs = make()
    report = evaluate.run(view, probs, samples=5).to_json()
    label_of = dict(zip(view.eval.ids, view.eval["label"], strict=True))
    answer_of = dict(zip(view.eval.ids, probs.argmax(1), strict=True))
    for cell in report["confusion"]["cells"]:
        assert 1 <= len(cell["ids"]) <= 5
        for sample in cell["ids"]:
            assert (CLASSES[label_of[sample]], CLASSES[answer_of[sample]]) == (cell["true"], cell["predicted"])
    assert sum(cell["n"] for cell in report["confusion"]["cells"]) == report["mistakes"]["n"]
    gaps = [item["probability"] - item["true_probability"] for item in report["mistakes"]["worst"]]
    assert gaps == sorted(gaps, reverse=True)
    assert len(gaps) == 5


def test_slices_by_the_manifests_own_columns() -> None:
    view, probs = make()
    slices = evaluate.run(view, probs).to_json()["per_slice"]
    assert set(slices) == {"camera"}, "a column of serial numbers is no condition"
    assert sum(part["n"] for part in slices["camera"].values()) == 402
    own = view.eval["meta.camera"] == "a"
    assert slices["camera"]["a"]["accuracy"] == pytest.approx((probs.argmax(1) == view.eval["label"])[own].mean())


def test_the_threshold_comes_from_out_of_fold_scores() -> None:
    view, probs = make()
    frozen = evaluate.run(view, probs, oof=(view.eval["label"], probs * 0.5 + 1 / 6)).operating_point
    chosen = evaluate.run(view, probs).operating_point
    assert frozen is not None
    assert chosen is not None
    assert (frozen["in_sample"], chosen["in_sample"]) == (False, True)
    assert frozen["threshold"] != chosen["threshold"]
    assert chosen["false_alarm_rate"] <= 0.01 < chosen["false_alarm_high"]
    assert "counted by group" in frozen["why"]
    assert frozen["held_out_normals"] == int((view.eval["label"] == 0).sum())
    assert frozen["rate_resolved"]
    aligned = np.full((len(view.train), 3), np.nan)
    aligned[:50] = 1 / 3
    blind = evaluate.run(view, probs, oof=aligned).operating_point
    assert blind is not None
    assert (blind["threshold"], blind["recall"]) == (None, 0.0), "scores that are all equal allow no threshold"


def test_bounds_count_groups_where_samples_share_them() -> None:
    view, _ = make()
    sure = np.eye(3)[view.eval["label"]] * 0.9 + 0.1 / 3
    grouped = evaluate.run(view, sure, oof=(view.eval["label"], sure)).to_json()
    alone = view.dataset.with_columns({"split_group": list(view.dataset.ids)}).fold(view.train_ids, view.eval_ids)
    exact = evaluate.run(alone, sure, oof=(view.eval["label"], sure)).to_json()
    for name in CLASSES:
        own, other = grouped["per_class"][name], exact["per_class"][name]
        assert own["groups"] < own["n"] == other["groups"]
        assert (own["low"], own["precision_low"]) == pytest.approx(
            [clopper_pearson(own["groups"], own["groups"])[0]] * 2
        )
        assert other["low"] == pytest.approx(clopper_pearson(own["n"], own["n"])[0])
    point, single = grouped["operating_point"], exact["operating_point"]
    assert point["recall_low"] == pytest.approx(provable(point["defect_groups"]))
    assert point["false_alarm_high"] == pytest.approx(1 - 0.05 ** (1 / point["normal_groups"]))
    assert single["recall_low"] == pytest.approx(provable(single["defects"]))
    assert single["recall_low"] > point["recall_low"]
    assert (point["grouped"], single["grouped"]) == (True, False)
    assert "counted by group" not in single["why"]
    assert grouped["accuracy"]["low"] == pytest.approx(clopper_pearson(grouped["groups"], grouped["groups"])[0])
    assert exact["per_slice"]["camera"]["a"]["low"] > grouped["per_slice"]["camera"]["a"]["low"]


def test_too_few_sound_samples_cannot_show_the_rate() -> None:
    view, probs = make()
    labels = np.array([0] * 20 + [1] * 10)
    defect = np.r_[np.linspace(0.1, 0.6, 20), np.linspace(0.5, 0.9, 10)]
    oof = np.stack([1 - defect, defect / 2, defect / 2], 1)
    point = evaluate.run(view, probs, oof=(labels, oof)).operating_point
    assert point is not None
    lowest = defect[20:][defect[20:] > 0.6].min()
    assert 0.6 < point["threshold"] < lowest, "the lowest without a false alarm"
    assert point["threshold"] == pytest.approx(lowest, abs=1.1e-4)
    assert not point["rate_resolved"]
    assert "20 held-out sound samples cannot show 1 %" in point["why"]
    assert point["half_found_at"] == 0


def test_where_nothing_is_found_it_says_from_which_rate_on_half_would_be() -> None:
    view, probs = make()
    labels = np.array([0] * 20 + [1] * 10)
    defect = np.r_[np.linspace(0, 0.9, 19), 0.99, np.linspace(0.1, 0.95, 10)]
    oof = np.stack([1 - defect, defect / 2, defect / 2], 1)
    point = evaluate.run(view, probs, oof=(labels, oof)).operating_point
    assert point is not None
    assert (point["threshold"], point["recall"]) == (None, 0.0)
    half = np.sort(defect[20:])[::-1][4]
    assert point["half_found_at"] == pytest.approx((defect[:20] >= half).mean())
    assert "no defect is found" in point["why"]
    assert f"{100 * point['half_found_at']:.1f} %" in point["why"]
    assert "the threshold lies beyond every score" in point["why"]


def test_without_a_normal_class_every_class_stands_against_the_rest() -> None:
    view, probs = make(normal=False)
    report = evaluate.run(view, probs).to_json()
    assert report["operating_point"] is None
    assert set(report["one_vs_rest"]) == set(CLASSES)


def test_a_class_without_test_samples_is_reported_as_such() -> None:
    view, probs = make()
    keep = view.eval["label"] != 2
    smaller = view.dataset.fold(view.train_ids, view.eval.ids[keep])
    report = evaluate.run(smaller, probs[keep]).to_json()
    own = report["per_class"]["stain"]
    assert (own["n"], own["recall"], own["low"], own["average_precision"]) == (0, None, None, None)
    assert json.dumps(report, allow_nan=False)


def test_refuses_what_does_not_fit() -> None:
    view, probs = make()
    with pytest.raises(DataError, match="classes in schema order"):
        evaluate.run(view, probs[:-1])
    with pytest.raises(DataError, match="no finite probability"):
        evaluate.run(view, np.full_like(probs, np.nan))
    empty = view.dataset.with_columns({"label": np.full(len(view.dataset), -1)}).fold(view.train_ids, view.eval_ids)
    with pytest.raises(DataError, match="no evaluation sample that people labelled"):
        evaluate.run(empty, probs)


def test_grown_rows_cannot_be_judged() -> None:
    view, _ = make(60)
    grown = view.dataset.with_columns({"origin": ["augmented"] * 60})
    with pytest.raises(LeakError, match="real samples only"):
        grown.fold((), grown.ids[:3])


def test_a_class_from_one_group_has_no_interval_of_its_average_precision() -> None:
    view, probs = make(300)
    ds, y = view.dataset, view.eval["label"]
    names = np.where(ds["label"] == 2, "one tile", ds["split_group"]).tolist()
    alone = ds.with_columns({"split_group": names})
    kept = alone.ids[np.isin(alone.ids, view.eval.ids)]
    report = evaluate.run(alone.fold((), kept), probs).to_json()
    stain = report["per_class"]["stain"]
    assert (stain["groups"], int((y == 2).sum()) > 1) == (1, True)
    assert (stain["average_precision_low"], stain["average_precision_high"]) == (None, None)
    assert report["per_class"]["hole"]["average_precision_low"] is not None
    whole = ds.with_columns({"split_group": ["one"] * len(ds)})
    said = evaluate.run(whole.fold((), kept), probs).to_json()
    assert said["groups"] == 1
    assert {row["average_precision_low"] for row in said["per_class"].values()} == {None}
    assert said["balanced_accuracy"]["high"] - said["balanced_accuracy"]["low"] > 0.5


def test_kinds_of_calibration_are_cross_fitted_by_group() -> None:
    """Six photos of one part fell into several folds; a map that was fitted on five of them knows the sixth."""
    view, probs = make(600)
    rng = np.random.default_rng(0)
    parts = np.arange(200) // 8
    ds = view.dataset.with_columns({"split_group": [*(f"part {part}" for part in parts), *["far"] * 400]})
    view = ds.fold(ds.ids[:200], ds.ids[200:])
    answers, labels = rng.dirichlet([1, 1, 1], 25)[parts], rng.integers(3, size=25)[parts]
    view_probs = probs[-400:]
    found = evaluate.run(view, view_probs, oof=(labels, answers), oof_groups=parts).to_json()["calibration"]["kinds"]
    logits = np.log(np.maximum(answers, 1e-12))
    apart = judge_kinds(logits, labels)["isotonic"]["log_loss"]
    whole = judge_kinds(logits, labels, groups=parts)["isotonic"]["log_loss"]
    assert whole > 1.1 * apart, "what leaks is seen here"
    assert found["isotonic"]["log_loss"] == pytest.approx(whole)
    aligned = answers.copy()
    aligned[:40] = np.nan
    found = evaluate.run(view, view_probs, oof=aligned).to_json()["calibration"]["kinds"]
    y = view.train["label"]
    wanted = judge_kinds(logits[40:], y[40:], groups=view.train["split_group"][40:])
    assert found["isotonic"]["log_loss"] == pytest.approx(wanted["isotonic"]["log_loss"])
