"""A look at the test set with a saved model, and what stands beside it: foreign samples, the field, another model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.dataset import Array, Dataset, FoldView
from scarce.errors import DataError
from scarce.lineage import Step

if TYPE_CHECKING:
    from scarce.project import Project

WHO: Final = "evaluate"
SHARE_CLEANER: Final = 0.5
"""Of the questions, how many are about labels that may be wrong where any are."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is asked of a look.

    Attributes:
        folder: of the model; ``against`` of another one to compare it with.
        version: None = the newest.
        foreign: samples of none of the classes: how well the model tells them.
        field: unlabelled samples from where the model works: is the test set as varied.
        robust: also measure accuracy under noise, light, rotation and blur.
        ask: so many questions about the weakest classes and pairs go into the queue.
        false_positive_rate: wanted share of false alarms.
        seed: of everything random.
        workers: threads at most; None = all cores.
    """

    folder: Path
    against: Path | None = None
    version: str | None = None
    foreign: Path | None = None
    field: Path | None = None
    robust: bool = False
    ask: int = 0
    false_positive_rate: float = 0.01
    seed: int = 0
    workers: int | None = None


def judge(project: Project, look: Look) -> dict[str, Any]:
    """Look at the test set with a saved model; the look is counted.

    Raises:
        DataError: the version has no test sample, or a path holds data of another kind.
    """
    from scarce import evaluate, train
    from scarce.evaluate.compare import compare
    from scarce.folds import groups_of
    from scarce.loop.measure import with_scan
    from scarce.metric.calibration import expected_calibration_error

    model = train.load(look.folder)
    if model.card.get("task") == "boxes":
        from scarce.loop import boxes

        return boxes.judge(project, look, model)
    other = None if look.against is None else train.load(look.against)
    name = project.store.version(look.version).name
    ds = with_scan(project, project.dataset(name), workers=look.workers)
    beside = {
        kind: None if path is None else read_plain(path, ds.schema.modality)
        for kind, path in (("foreign", look.foreign), ("field", look.field))
    }
    view = test_view(ds)
    logits, features = model.answers(view.eval)
    probs = model.probabilities(logits, view.eval.schema)
    entry = model.card.get("ambiguous") or {}
    report = evaluate.run(
        view, probs, seed=look.seed, false_positive_rate=look.false_positive_rate, features=features,
        set_threshold=entry.get("threshold"),
    )  # fmt: skip
    looks = project.state.count_test_look(version=name, metric="balanced_accuracy")
    natural = model.natural(probs, view.eval.schema)
    body = {
        "version": name, "model": str(look.folder), "looks": looks, **report.to_json(),
        **_frozen(model, view.eval, probs),
        "out_of_distribution": _foreign(model, view, (logits, features), beside["foreign"]),
        "ece_natural": expected_calibration_error(view.eval["label"], natural) if natural is not probs else None,
        "variety": _variety(model, view, features, beside["field"], look.seed),
    }  # fmt: skip
    if other is not None:
        found = compare(
            view.eval["label"], other.predict_proba(view.eval), probs, groups=groups_of(view.eval), seed=look.seed
        )
        body["compare"] = {"first": str(look.against), "second": str(look.folder), **found.to_json()}
    if look.robust:
        from scarce.evaluate.robustness import robustness

        body["robustness"] = {**robustness(model, view.eval, seed=look.seed), **_gap(model)}
    if look.ask:
        body["asked"] = _ask(project, ds, model, body["next"]["pairs"], look)
    return body


def test_view(ds: Dataset) -> FoldView:
    """Return the real labelled test rows, beside what was trained on."""
    from scarce.loop.conclude import held_out

    real = ds["keep"].astype(bool) & (ds["origin"] == "real") & (ds["label"] >= 0)
    test, others = held_out(ds), real & np.isin(ds["split"], ("train", "val"))
    return ds.fold(ds.ids[others], ds.ids[test])


def read_plain(path: Path, modality: str) -> Dataset:
    """Return samples without labels: a folder or a table that is not part of the project.

    Raises:
        DataError: it holds data of another kind, or nothing that can be opened.
    """
    from scarce import io
    from scarce import modality as kinds

    ds = io.read(path)
    if ds.schema.modality != modality:
        raise DataError(WHO, f"{path} holds {ds.schema.modality}", f"the project's data is {modality}",
                        "give data of the same kind")  # fmt: skip
    bare = replace(ds.with_columns({"label": [None] * len(ds)}), schema=replace(ds.schema, classes=()))
    scanned = kinds.scan(bare)
    if not scanned["keep"].any():
        raise DataError(WHO, f"nothing in {path} can be opened", f"{len(ds)} rows", "look at the files")
    return scanned.with_step(Step(stage="io", name="beside", params={}))


def _frozen(model: Any, ds: Dataset, probs: Array) -> dict[str, Any]:
    """Return the operating point at the threshold that the model was given before anybody looked."""
    from scarce.evaluate.operating_point import defect_score, operating_point
    from scarce.folds import groups_of

    point = model.card.get("operating_point") or {}
    normal = [ds.schema.classes.index(name) for name in ds.schema.normal_classes]
    defects = ~np.isin(ds["label"], normal) if normal else None
    if defects is None or point.get("threshold") is None or defects.all() or not defects.any():
        return {}
    found = operating_point(
        defects, defect_score(probs, tuple(normal)), threshold=point["threshold"],
        false_positive_rate=point.get("false_positive_rate", 0.01), groups=groups_of(ds),
    )  # fmt: skip
    return {"operating_point": found.to_json()}


def _foreign(
    model: Any, view: FoldView, seen: tuple[Array, Array | None], foreign: Dataset | None
) -> dict[str, Any] | None:
    """Return how the stored threshold does on the test, and every detector on the foreign samples where given."""
    from scarce.evaluate._base import plain
    from scarce.evaluate.guard import fitted, known_of, unlabelled
    from scarce.evaluate.out_of_distribution.detection import detection, sweep
    from scarce.evaluate.out_of_distribution.knn import evenly
    from scarce.metric.interval import clopper_pearson
    from scarce.train._said import foreign_scores

    stored = model.card.get("unknown")
    if not stored and foreign is None:
        return None
    logits, features = seen
    right = _right(model, view.eval, logits)
    body: dict[str, Any] = {"stored": None, "foreign": 0, "detectors": {}, "sweep": []}
    others = None if foreign is None else unlabelled(model, foreign)
    if stored:
        scores = foreign_scores(model, logits, features)
        cut = stored["threshold"] if stored["threshold"] is not None else np.inf
        called = scores > cut
        low, high = clopper_pearson(int(called.sum()), len(called))
        body["stored"] = {
            "detector": stored["detector"], "threshold": stored["threshold"], "kept": stored["kept"],
            "chosen_on": stored["chosen_on"], "tried_on": stored["foreign"],
            "known_called_unknown": float(called.mean()), "low": low, "high": high,
            "accuracy": float(right.mean()), "accuracy_passed": float((right & ~called).mean()),
        }  # fmt: skip
        if others is not None:
            caught = int((foreign_scores(model, others.logits, others.features) > cut).sum())
            low, high = clopper_pearson(caught, len(others.logits))
            body["stored"]["foreign_found"] = {"value": caught / max(1, len(others.logits)), "low": low, "high": high}
    if others is not None and len(others.logits):
        train = view.train.take(evenly(view.train["label"], 5000))
        known = known_of(model, train)
        body["foreign"] = len(others.logits)
        for name, one in fitted(known).items():
            own = one.score(features, logits)
            body["detectors"][name] = detection(own, one.score(others.features, others.logits), right).to_json()
        labels = np.where(right, logits.argmax(1), -1)
        body["sweep"] = sweep(logits, labels, others.logits)
    return plain(body)  # type: ignore[no-any-return]


def _right(model: Any, ds: Dataset, logits: Array) -> Array:
    answers = np.asarray(model.classes)[logits.argmax(1)]
    return np.asarray(answers == np.asarray(ds.schema.classes)[ds["label"]])


def _variety(
    model: Any, view: FoldView, features: Array | None, field: Dataset | None, seed: int
) -> dict[str, Any] | None:
    from scarce.evaluate.variety import variety
    from scarce.folds import groups_of

    if field is None:
        return None
    if features is None:
        raise DataError(WHO, f"{model.card['trainer']} keeps no features", do="compare with a model that does")
    kept = field.take(field["keep"].astype(bool))
    seen = model.answers(kept)[1]
    good = np.isfinite(seen).all(1)
    found = variety(features, seen[good], groups=groups_of(view.eval), seed=seed)
    uris = kept.table["uri"].to_pylist()
    places = np.flatnonzero(good)[found.strange]
    return {**found.to_json(), "strange": [uris[place] for place in places[:50]], "strange_count": len(places)}


def _gap(model: Any) -> dict[str, Any]:
    """Return what the training itself recorded: the last loss on training and the score on held-back samples."""
    card = model.card.get("members", {}).get("finetune", model.card)
    return {"history": card.get("history") or [], "augment": card.get("augment")}


def _ask(project: Project, ds: Dataset, model: Any, pairs: list[dict[str, Any]], look: Look) -> dict[str, Any]:
    """Put samples of the weakest pairs into the queue: labels to check, and unlabelled ones that lie between."""
    from scarce.evaluate.next import between
    from scarce.loop.asking import LABEL, put

    names = list(ds.schema.classes)
    codes = [(names.index(pair["true"]), names.index(pair["predicted"])) for pair in pairs]
    kept = ds["keep"].astype(bool) & (ds["origin"] == "real") & ~np.isin(ds["split"], ("test", "val"))
    rows: list[dict[str, Any]] = []
    labelled = np.flatnonzero(kept & (ds["label"] >= 0) & (ds["label_source"] != "human"))
    doubted = [number for number, pair in enumerate(pairs) if pair["needs"] == "cleaner"]
    pool = np.flatnonzero(kept & (ds["label"] < 0))
    room = look.ask if not len(pool) else int(look.ask * SHARE_CLEANER)
    if len(labelled) and pairs:
        probs = model.predict_proba(ds.take(labelled))
        for number in doubted or range(len(pairs)):
            true, answer = codes[number]
            own = np.flatnonzero((ds["label"][labelled] == true) & (probs.argmax(1) == answer))
            rows += [
                {"sample": str(ds.ids[labelled[row]]), "priority": float(probs[row, answer]),
                 "reason": f"{names[true]} is mixed up with {names[answer]}: is this label right?"} for row in own
            ]  # fmt: skip
    rows = sorted(rows, key=lambda row: -row["priority"])[:room]
    if len(pool) and pairs:
        probs = model.predict_proba(ds.take(pool))
        good = np.flatnonzero(np.isfinite(probs).all(1))
        costs = np.array([pair["share"] for pair in pairs])
        for row, number in between(probs[good], codes, costs, look.ask - len(rows)):
            pair = pairs[number]
            rows.append({
                "sample": str(ds.ids[pool[good[row]]]), "priority": 0.5,
                "reason": f"{LABEL}: lies between {pair['true']} and {pair['predicted']}, which are mixed up",
            })  # fmt: skip
    new = put(project, [{**row, "version": project.head} for row in rows])
    return {"questions": len(rows), "new": new}
