"""A look at the test set with a saved model, and what stands beside it: foreign samples, the field, another model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from scarce.dataset import Array, Dataset, Floats, FoldView, Ints, Schema
from scarce.errors import DataError
from scarce.lineage import Step
from scarce.loop.verdicts import verdicts_of

if TYPE_CHECKING:
    from scarce.project import Project

WHO: Final = "evaluate"
SHARE_CLEANER: Final = 0.5
"""Of the questions, how many are about labels that may be wrong where any are."""
SHOWN: Final = 24
"""Labels to check that are listed where nobody asked for a number."""


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
        costs: of mistakes, as :func:`scarce.evaluate.cost.costs_of` reads them.
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
    costs: str | None = None
    false_positive_rate: float = 0.01
    seed: int = 0
    workers: int | None = None


def judge(project: Project, look: Look) -> dict[str, Any]:
    """Look at the test set with a saved model; the look is counted, unless it fails and shows nothing.

    Raises:
        DataError: the version has no test sample, or a path holds data of another kind.
    """
    from scarce import evaluate, train
    from scarce.evaluate.cost import costs_of
    from scarce.loop.asking import put
    from scarce.loop.foreign import foreign_told
    from scarce.loop.measure import with_scan
    from scarce.loop.seen import seen_by

    model = train.load(look.folder)
    if model.card.get("task") == "boxes":
        from scarce.loop import boxes

        return boxes.judge(project, look, model)
    other = None if look.against is None else train.load(look.against)
    name = project.store.version(look.version).name
    whole = with_scan(project, _fitting(project.dataset(name), (model, other)), workers=look.workers)
    ds = model.judged_on(whole)
    schema = ds.schema
    costs = None if look.costs is None else costs_of(look.costs, schema.classes, schema.normal_classes)
    beside = {
        kind: None if path is None else read_plain(path, schema.modality)
        for kind, path in (("foreign", look.foreign), ("field", look.field))
    }
    view = test_view(ds)
    logits, features = model.answers(view.eval)
    probs, held = model.probabilities(logits, schema), held_of(model, schema)
    entry = model.card.get("ambiguous") or {}
    report = evaluate.run(
        view, probs, seed=look.seed, false_positive_rate=look.false_positive_rate, features=features,
        oof=None if held is None else held[1:], set_threshold=entry.get("threshold"),
        fitted=model.card.get("fitted"), oof_groups=None if held is None else _groups_of(ds, held[0]),
    )  # fmt: skip
    body = {
        "version": name, "model": str(look.folder), "weights": model.card.get("weights"), "looks": 0,
        **report.to_json(), "normal_classes": list(schema.normal_classes), "judged_as": _judged_as(whole, ds),
        "seen": [why for place, one in ((look.folder, model), (look.against, other))
                 if place and one and (why := seen_by(place, one.card, view.eval))],
        **_frozen(model, view.eval, probs, held, look), "verdicts": verdicts_of(model, view.eval, logits, features),
        "calibration": {**report.sections["calibration"], **_honest(model, view.eval, logits, probs, look.seed)},
        "out_of_distribution": foreign_told(
            model, (test_view(whole).train, view.eval), (logits, features, probs), beside["foreign"], seed=look.seed,
        ),
        "variety": _variety(model, view, features, beside["field"], look.seed),
    }  # fmt: skip
    body["ece_natural"] = (body["calibration"]["natural"] or {}).get("ece")
    if costs is not None:
        body["costs"] = _costs(model, view.eval, (probs, costs), held, look.seed)
    if other is not None:
        found = _compared((other, model), whole, view.eval, probs, look.seed)
        body["compare"] = {"first": str(look.against), "second": str(look.folder), **found.to_json()}
    if look.robust:
        body["robustness"] = _robust(model, view.eval, look.seed)
        if other is not None:
            alike = other.judged_on(whole).take(whole.rows_of(view.eval.ids))
            body["robustness"]["other"] = {"model": str(look.against), **_robust(other, alike, look.seed)}
    questions = _questions(ds, model, body["next"]["pairs"], held, look.ask)
    body["next"]["questions"] = questions
    if look.ask:
        new = put(project, [{**row, "version": project.head} for row in questions])
        body["asked"] = {"questions": len(questions), "new": new, "why": _unasked(ds, body["next"]["pairs"], questions)}
    body["looks"] = project.state.count_test_look(version=name, metric="balanced_accuracy")
    return body


Held: TypeAlias = tuple[Array, Ints, Floats]
"""Ids (M,), labels (M,) and probabilities (M, K) of samples that were held back from training."""


def held_of(model: Any, schema: Schema) -> Held | None:
    """Return the model's answers about samples that it did not fit, in the schema's order; None where it kept none."""
    if model.held_out is None or model.held_logits is None or not len(model.held_ids):
        return None
    place = np.array([schema.classes.index(name) for name in model.classes], np.int64)
    return model.held_ids, place[model.held_out[0]], model.probabilities(model.held_logits, schema)


def _groups_of(ds: Dataset, ids: Array) -> Array:
    """Return (M,) the groups of samples; None for one that stands alone, or is gone."""
    from scarce.folds import groups_of

    known = dict(zip(ds.ids.tolist(), groups_of(ds).tolist(), strict=True))
    return np.array([known.get(sample) for sample in ids.tolist()], object)


def _honest(model: Any, ds: Dataset, logits: Array, probs: Array, seed: int) -> dict[str, Any]:
    """Return how honest the probabilities are before calibration, and at the natural class frequencies."""
    from scarce.evaluate._base import plain
    from scarce.evaluate.calibration import honesty
    from scarce.folds import groups_of

    y, groups, raw = ds["label"], groups_of(ds), model.stamped(temperature=1.0).probabilities(logits, ds.schema)
    entry = model.card.get("natural")
    if not entry:
        return {"before": plain(honesty(y, raw, groups, seed=seed)), "natural": None}
    order = [model.classes.index(name) for name in ds.schema.classes]
    shares = np.asarray(entry["shares"], np.float64)[order]
    weights = (shares / np.maximum(np.bincount(y, minlength=len(shares)) / len(y), 1e-12))[y]
    sides = [honesty(y, some, groups, weights=weights, seed=seed)["ece"]
             for some in (probs, model.natural(probs, ds.schema))]  # fmt: skip
    natural = {
        "shares": dict(zip(ds.schema.classes, shares.tolist(), strict=True)), "ece_before": sides[0], "ece": sides[1],
    }  # fmt: skip
    return plain({"before": honesty(y, raw, groups, seed=seed), "natural": natural})  # type: ignore[no-any-return]


def _costs(model: Any, ds: Dataset, sides: tuple[Array, Array], held: Held | None, seed: int) -> dict[str, Any]:
    from scarce.evaluate.cost import cost_report
    from scarce.folds import groups_of

    names, (probs, costs) = ds.schema.classes, sides
    return cost_report(
        ds["label"], probs, costs, names, groups=groups_of(ds), natural=model.natural(probs, ds.schema), seed=seed,
        normal=[names.index(name) for name in ds.schema.normal_classes], out_of_fold=None if held is None else held[1:],
    )  # fmt: skip


def _robust(model: Any, ds: Dataset, seed: int) -> dict[str, Any]:
    from scarce.evaluate.robustness import robustness

    return {**robustness(model, ds, seed=seed), **_gap(model)}


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
    bare = replace(
        ds.with_columns({"label": [None] * len(ds)}), schema=replace(ds.schema, classes=(), normal_classes=())
    )
    scanned = kinds.scan(bare)
    if not scanned["keep"].any():
        raise DataError(WHO, f"nothing in {path} can be opened", f"{len(ds)} rows", "look at the files")
    return scanned.with_step(Step(stage="io", name="beside", params={}))


def _frozen(model: Any, ds: Dataset, probs: Array, held: Held | None, look: Look) -> dict[str, Any]:
    """Return the operating point at the threshold that the model was given before anybody looked.

    A model that kept its answers about held-back samples has it chosen on those, at the rate that is asked for.
    """
    from scarce.evaluate.operating_point import defect_score, operating_point
    from scarce.folds import groups_of

    point = model.card.get("operating_point") or {}
    if held is not None or point.get("false_positive_rate") != look.false_positive_rate:
        return {}
    normal = [ds.schema.classes.index(name) for name in ds.schema.normal_classes]
    defects = ~np.isin(ds["label"], normal) if normal else None
    if defects is None or point.get("threshold") is None or defects.all() or not defects.any():
        return {}
    found = operating_point(
        defects, defect_score(probs, tuple(normal)), threshold=point["threshold"],
        false_positive_rate=look.false_positive_rate, groups=groups_of(ds),
    )  # fmt: skip
    return {"operating_point": found.to_json()}


def _fitting(ds: Dataset, models: tuple[Any, ...]) -> Dataset:
    """Return the data, whose classes all models must know, before anything is measured for them."""
    for model in filter(None, models):
        model.refuse_stale(ds.schema)
    return ds


def _judged_as(whole: Dataset, ds: Dataset) -> str | None:
    """Return how the classes are judged, where that is not one by one."""
    said = f"The model tells no defect from another: judged is {' or '.join(ds.schema.classes)}."
    return None if whole.schema.classes == ds.schema.classes else said


def _compared(models: tuple[Any, Any], whole: Dataset, ds: Dataset, probs: Array, seed: int) -> Any:
    """Return the paired comparison of another model with this one, both in the classes that both can be judged in.

    Args:
        models: the other and this one.
        whole: the data in its own classes.
        ds: N test samples in the classes of this one.
        probs: (N, K) what this one says of them.
        seed: of everything random.
    """
    from scarce.evaluate.compare import compare
    from scarce.folds import groups_of

    rows = whole.take(whole.rows_of(ds.ids))
    sides = [model.judged_on(rows) for model in models]
    said = [models[0].predict_proba(sides[0]), probs]
    joint = min(sides, key=lambda side: len(side.schema.classes))
    sound = {*whole.schema.normal_classes, *joint.schema.normal_classes, *(
        name for model in models for name in model.card.get("normal_classes", ())
    )}  # fmt: skip
    for place, side in enumerate(sides):
        if side.schema.classes != joint.schema.classes:
            good = said[place][:, np.isin(side.schema.classes, list(sound))].sum(1)
            said[place] = np.stack([good, said[place].sum(1) - good], axis=1)
    return compare(joint["label"], *said, groups=groups_of(ds), seed=seed)


def _variety(
    model: Any, view: FoldView, features: Array | None, field: Dataset | None, seed: int
) -> dict[str, Any] | None:
    from scarce.evaluate.variety import variety
    from scarce.folds import groups_of

    if field is None:
        return None
    if features is None:
        raise DataError(WHO, f"{model.card['trainer']} keeps no features",
                        do="leave out --field, or judge a linear_probe or finetune")  # fmt: skip
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


def _unasked(ds: Dataset, pairs: list[dict[str, Any]], questions: list[dict[str, Any]]) -> str | None:
    """Return why there is nothing to ask; None where there is something."""
    if questions:
        return None
    if not pairs:
        return "no two classes are mixed up often enough to ask about"
    if not (ds["keep"].astype(bool) & (ds["label"] < 0)).any():
        return "there is no unlabelled sample, and no label that was held back and not given by people is in doubt"
    return "no unlabelled sample of the train side could be judged, and no label is in doubt"


def _questions(
    ds: Dataset, model: Any, pairs: list[dict[str, Any]], held: Held | None, ask: int
) -> list[dict[str, Any]]:
    """Return what to ask people next: labels to check, and with ``ask`` unlabelled samples that lie between classes.

    Labels are doubted by answers of models that did not see them, where the model kept those.
    """
    from scarce.evaluate.next import between
    from scarce.loop.asking import LABEL

    names = list(ds.schema.classes)
    codes = [(names.index(pair["true"]), names.index(pair["predicted"])) for pair in pairs]
    kept = ds["keep"].astype(bool) & (ds["origin"] == "real") & ~np.isin(ds["split"], ("test", "val"))
    labelled = np.flatnonzero(kept & (ds["label"] >= 0) & (ds["label_source"] != "human"))
    if held is not None:
        labelled = labelled[np.isin(ds.ids[labelled], held[0])]
    doubted = [number for number, pair in enumerate(pairs) if pair["needs"] == "cleaner"]
    pool = np.flatnonzero(kept & (ds["label"] < 0)) if ask else np.zeros(0, np.int64)
    most = ask or SHOWN
    room = most if not len(pool) else int(most * SHARE_CLEANER)
    rows: list[dict[str, Any]] = []
    if len(labelled) and pairs:
        place = {} if held is None else {sample: row for row, sample in enumerate(held[0].tolist())}
        probs = model.predict_proba(ds.take(labelled)) if held is None else (
            held[2][[place[sample] for sample in ds.ids[labelled].tolist()]]
        )  # fmt: skip
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
        for row, number in between(probs[good], codes, costs, ask - len(rows)):
            pair = pairs[number]
            rows.append({
                "sample": str(ds.ids[pool[good[row]]]), "priority": 0.5,
                "reason": f"{LABEL}: lies between {pair['true']} and {pair['predicted']}, which are mixed up",
            })  # fmt: skip
    return rows
