"""What a run says: the JSON object and the report."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce import metric as metrics
from scarce import quality
from scarce.audit import skipped, things_found
from scarce.dataset import Dataset
from scarce.folds import groups_of
from scarce.loop import gallery, sift
from scarce.loop.checklist import checklist
from scarce.loop.conclude import Outcome
from scarce.loop.heard import guessed, heard, picked_test
from scarce.loop.options import Clock, Options
from scarce.loop.prepare import Ready
from scarce.loop.weigh import Weighed, train_counts

if TYPE_CHECKING:
    from scarce.project import Project

WEAK = 0.7
"""Below this balanced accuracy a model is called weak."""
MOST_VALUES, MOST_CONDITIONS = 12, 6
"""A column of the manifest is a condition if it has at most so many values; so many are shown."""
TOLD = ("agreement", "source_shift", "missing", "table_schema", "imbalance")
"""Checks of the whole set; the report shows their first sentence."""
PACKAGES = ("scarce", "numpy", "scikit-learn", "pyarrow", "pylance", "opencv-python-headless", "torch", "timm")


@dataclass(frozen=True)
class Made:
    """Everything a run made, and figures to show beside it (name to per cent)."""

    path: str | Path
    options: Options
    ready: Ready
    weighed: Weighed
    outcome: Outcome
    published: Mapping[str, float]


def write(project: Project, made: Made, clock: Clock) -> tuple[dict[str, Any], Path]:
    """Write ``reports/<version>.json`` and ``.html``; return the JSON object and the report's path."""
    with clock.step("report"):
        outcome = made.outcome
        folder = Path(project.reports)
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{outcome.version}.html"
        result = as_json(made, clock)
        result["notes"] += picked_test(project, made.outcome.dataset)
        result["report"] = str(target)
        data = as_report(made, result)
        from scarce.report import render

        render(data, target)
    result["seconds"] = round(clock.seconds, 2)
    result["steps"] = {name: round(seconds, 2) for name, seconds in clock.steps.items()}
    temporary = target.with_suffix(".json.tmp")
    temporary.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(target.with_suffix(".json"))
    return result, target


def as_json(made: Made, clock: Clock) -> dict[str, Any]:
    """Return the object of ``scarce run --json``."""
    ready, weighed, outcome, options = made.ready, made.weighed, made.outcome, made.options
    ds = outcome.dataset
    rate = None if np.isnan(weighed.error_rate) else weighed.error_rate
    doubt = contradicted(rate, weighed)
    return {
        "version": outcome.version,
        "source": str(made.path),
        "classes": list(ds.schema.classes),
        "normal_classes": list(ds.schema.normal_classes),
        "modality": ds.schema.modality,
        "counts": counts(ds),
        "findings": finding_counts(ds),
        "quality": quality.measure(ready.dataset).to_json(),
        "set_aside": set_aside(ds),
        "label_error_rate": rate,
        "plan": {"steps": list(weighed.plan.steps), "why": list(weighed.plan.why)},
        "metric": options.metric,
        "ledger": outcome.ledger.to_json(),
        "development": {"baseline": weighed.ledger.baseline, "final": weighed.ledger.planned},
        "test": {**outcome.test, "groups": test_groups(outcome)},
        "operating_point": outcome.operating_point,
        "split_comparison": {name: {"by_group": a, "at_random": b} for name, (a, b) in ready.flattering.items()},
        "model": str(outcome.model_folder),
        "trainer": outcome.trainer,
        "encoder": ready.embedding.removeprefix("embedding."),
        "policy": weighed.policy,
        "synthetic": dict(outcome.synthetic),
        "notes": [
            *(row["why"] for row in heard(ds)),
            *guessed(ready.dataset),
            *ready.notes,
            *([doubt] if doubt else ()),
            *outcome.notes,
        ],
        "seed": options.seed,
        "seconds": round(clock.seconds, 2),
    }


def contradicted(rate: float | None, weighed: Weighed) -> str:
    """Return what share of the labels is contradicted, and whether by a weak model; empty where none is."""
    if not rate:
        return ""
    text = f"{100 * rate:.{1 if rate >= 0.001 else 2}f} % of the labels are contradicted (flagged, not proven)"
    return text + ("; the model that contradicts them is weak itself." if development(weighed) < WEAK else ".")


def development(weighed: Weighed) -> float:
    """Return the development balanced accuracy of the baseline; of the final plan where another metric was judged."""
    if weighed.design.metric == "balanced_accuracy":
        return weighed.ledger.baseline
    labels, k = weighed.folds.labels, len(weighed.dataset.schema.classes)
    return float(np.mean([metrics.balanced_accuracy(labels, probs.argmax(1), k) for probs in weighed.probs]))


def test_groups(outcome: Outcome) -> int:
    """Return how many groups the judged samples come from."""
    return len(set(groups_of(outcome.dataset.take(outcome.dataset.rows_of(outcome.test_ids)))))


def counts(ds: Dataset) -> dict[str, dict[str, dict[str, int]]]:
    """Return split to class to origin to number of kept rows; unlabelled rows count under ``(unlabelled)``."""
    out: dict[str, dict[str, dict[str, int]]] = {}
    keep = ds["keep"].astype(bool)
    names = np.array([*ds.schema.classes, "(unlabelled)"], object)[ds["label"]]
    splits = np.where(ds["split"] == None, "(none)", ds["split"])  # noqa: E711  elementwise
    for split, name, origin in zip(splits[keep], names[keep], ds["origin"][keep], strict=True):
        cell = out.setdefault(str(split), {}).setdefault(str(name), {})
        cell[origin] = cell.get(origin, 0) + 1
    return out


def finding_counts(ds: Dataset) -> dict[str, int]:
    """Return check to number of findings; notes, links in a group and checks that could not run are not counted."""
    not_run = skipped(ds)
    ran = {name.split(".")[1]: 0 for name in ds.table.column_names if name.startswith("audit.")}
    ran = {name: count for name, count in ran.items() if name not in not_run}
    return ran | things_found(ds.findings)


def set_aside(ds: Dataset) -> dict[str, int]:
    """Return reason to number of rows that were set aside."""
    out: dict[str, int] = {}
    for reason in ds["drop_reason"][~ds["keep"].astype(bool)]:
        word = str(reason or "unknown").split(":")[0]
        out[word] = out.get(word, 0) + 1
    return out


def versions() -> dict[str, str]:
    """Return the versions of everything that touches the numbers."""
    out = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            continue
    return out


def command() -> str:
    """Return the command line that is running, as a person would type it."""
    head = Path(sys.argv[0]).name or "python"
    return shlex.join(["scarce" if head in ("scarce", "__main__.py") else head, *sys.argv[1:]])


def as_report(made: Made, result: Mapping[str, Any]) -> Any:
    """Return what the page is drawn from."""
    from scarce import report

    ready, weighed, outcome, options = made.ready, made.weighed, made.outcome, made.options
    ds = outcome.dataset
    after = {name: sum(by.values()) for name, by in result["counts"].get("train", {}).items()}
    data = report.ReportData(
        title=Path(made.path).absolute().name, command=command(), version=outcome.version, versions=versions(),
        seed=options.seed, seconds=result["seconds"], model=outcome.trainer,
        budget=f"{options.minutes:g} minutes were given; {result['seconds'] / 60:.1f} were used.",
        metric=metrics.describe(options.metric), classes=ds.schema.classes, normal_classes=ds.schema.normal_classes,
        counts=result["counts"], conditions=conditions(ds, options.hold_out), before=train_counts(ready.dataset),
        after={name: after.get(name, 0) for name in ds.schema.classes},
        ledger=tuple(report.Decision.from_json(row) for row in result["ledger"]),
        test=test_result(result["test"]), operating_point=point_of(outcome.operating_point), chosen=chosen_of(result),
        no_point=missing_side(result), draws_copies=draws_copies(outcome.model.card),
        contradicted=contradicted(result["label_error_rate"], weighed),
        comparisons=comparisons(made), checks=checks(result, made.outcome.dataset),
        quality=report.QualityPart.all_of(result["quality"]), set_aside=result["set_aside"],
        notes=tuple(result["notes"]),
        plan=(*result["plan"]["why"], *sift.in_words(result["synthetic"])), proofs=tuple(said(ds, "split")), when=now(),
        checklist=checklist(weighed, outcome, result),
    )  # fmt: skip
    return replace(
        data, label_errors=gallery.label_errors(ds), duplicates=gallery.duplicates(ds), faults=gallery.faults(ds),
        grown=gallery.grown(weighed.dataset), mistakes=gallery.mistakes(ds, outcome),
    )  # fmt: skip


def conditions(ds: Dataset, hold_out: str | None) -> dict[str, dict[str, dict[str, int]]]:
    """Return condition (a column of the manifest with few values) to value to split to number of samples."""
    from scarce import split

    named = [(hold_out or "").partition("=")[0].removeprefix("meta.")]
    for column in ds.table.column_names:
        kind = ds.table.schema.field(column).type
        if column.startswith("meta.") and (pa.types.is_string(kind) or pa.types.is_integer(kind)):
            named.append(column.removeprefix("meta."))
    out: dict[str, dict[str, dict[str, int]]] = {}
    for column in dict.fromkeys(name for name in named if name):
        if column != named[0] and not 2 <= pc.count_distinct(ds.table[f"meta.{column}"]).as_py() <= MOST_VALUES:
            continue
        found = split.conditions(ds, column)
        out[column] = {value: {part: sum(by.values()) for part, by in parts.items()} for value, parts in found.items()}
        if len(out) == MOST_CONDITIONS:
            break
    return out


def draws_copies(card: Mapping[str, Any]) -> bool:
    """Return whether a model's network augmented its pictures in every epoch."""
    return bool(card.get("members", {}).get("finetune", card).get("augment"))


def test_result(test: Mapping[str, Any]) -> Any:
    """Return the report's test section."""
    from scarce import report

    per_class = tuple(
        report.ClassResult(
            name=name, n=row["n"], groups=row.get("groups", 0),
            recall=report.Interval(value=_nan(row["recall"]), low=_nan(row["low"]), high=_nan(row["high"])),
            precision=interval(row, "precision"),
            average_precision=interval(row, "average_precision"),
        )
        for name, row in test["per_class"].items()
    )  # fmt: skip
    matrix = test.get("confusion", ())
    nothing = report.Interval(value=float("nan"))
    return report.TestResult(
        n=test["n"], balanced_accuracy=report.Interval.of(test["balanced_accuracy"]) or nothing,
        macro_f1=report.Interval.of(test["macro_f1"]), baseline=report.Interval.of(test["baseline"]),
        majority=_nan(test["majority"]["balanced_accuracy"]), majority_class=str(test["majority"]["answers"]),
        difference=report.Interval.of(test["difference"]), per_class=per_class,
        confusion=tuple(tuple(int(cell) for cell in row) for row in matrix),
        reliability=tuple(
            (_nan(item["confidence"]), _nan(item["accuracy"]), int(item["n"])) for item in test["calibration"]["bins"]
        ),
        looks=test["looks"], groups=test["groups"],
    )  # fmt: skip


def interval(row: Mapping[str, Any], name: str) -> Any:
    """Return a value with its ``_low`` and ``_high``."""
    from scarce import report

    low, high = _nan(row.get(f"{name}_low")), _nan(row.get(f"{name}_high"))
    return report.Interval(value=_nan(row.get(name)), low=low, high=high)


def point_of(point: Mapping[str, Any] | None) -> Any:
    """Return the report's operating point."""
    from scarce import report

    if point is None:
        return None
    return report.OperatingPoint(
        recall=report.Interval(value=_nan(point["recall"]), low=_nan(point["recall_low"])),
        false_alarms=report.Interval(value=_nan(point["false_alarm_rate"]), high=_nan(point["false_alarm_high"])),
        defects=int(point["defects"]), sound=int(point["normals"]), threshold=_nan(point["threshold"]),
        wanted=_nan(point["false_positive_rate"]), defect_groups=point["defect_groups"],
        sound_groups=point["normal_groups"], held_out_sound=point["held_out_normals"] or 0,
        rate_resolved=point["rate_resolved"] is not False, in_sample=point["in_sample"],
        half_found_at=_nan(point["half_found_at"]),
    )  # fmt: skip


def chosen_of(result: Mapping[str, Any]) -> Any:
    """Return the metric that the user chose, on development data and, where it is judged there, on test."""
    from scarce import report

    name, point = result["metric"], result["operating_point"]
    test = report.Interval.of(result["test"].get(name))
    if name == "recall_at_fpr" and point is not None:
        test = report.Interval(value=_nan(point["recall"]), low=_nan(point["recall_low"]))
    made = result["development"]
    return report.ChosenMetric(
        name=name, title=metrics.describe(name), baseline=_nan(made["baseline"]), planned=_nan(made["final"]), test=test
    )


def missing_side(result: Mapping[str, Any]) -> str:
    """Return why there is no operating point although a sound class is known; empty where there is one."""
    if result["operating_point"] is not None or not result["normal_classes"]:
        return ""
    held = {name: row["n"] for name, row in result["test"]["per_class"].items()}
    sound = sum(held.get(name, 0) for name in result["normal_classes"])
    word = "no sound sample" if not sound else "no defective sample"
    return f"Not judged: the test has {word}."


def now() -> str:
    """Return the present time in the local zone."""
    return datetime.now().astimezone().isoformat(sep=" ", timespec="minutes")


def comparisons(made: Made) -> tuple[Any, ...]:
    """Return published figures beside ours, and the honest score beside the flattering one."""
    from scarce import report

    ready, test = made.ready, made.outcome.test
    out: list[Any] = []
    if made.published:
        own = test["balanced_accuracy"]
        out = [
            report.Comparison(name=name, value=value / 100, note="published, full balanced test of 10,000")
            for name, value in made.published.items()
        ]
        note = f"this run: seed {made.options.seed}, {made.outcome.trainer}, {test['n']:,} real balanced test pictures"
        out.append(
            report.Comparison(name="scarce", value=own["value"], low=own["low"], high=own["high"], note=note, ours=True)
        )
    names = {"macro_f1": "macro-F1", "balanced_accuracy": "balanced accuracy"}
    for name, (by_group, at_random) in ready.flattering.items():
        out += [
            report.Comparison(
                name="split by group", value=by_group, ours=True, metric=names[name],
                note="linear probe, cross-validation; whole groups on one side: what new objects will show",
            ),
            report.Comparison(
                name="split at random", value=at_random, metric=names[name],
                note="the same probe with pictures of one object on both sides: flattering, do not quote it",
            ),
        ]  # fmt: skip
    return tuple(out)


def checks(result: Mapping[str, Any], ds: Dataset) -> tuple[Any, ...]:
    """Return one line per check; what those in :data:`TOLD` found about the whole set stands below it."""
    from scarce import registry, report
    from scarce.audit._base import AbstractCheck

    known, not_run = set(registry.names("audit")), skipped(ds)
    out = []
    for name, found in sorted(result["findings"].items(), key=lambda item: -item[1]):
        if name in known:
            summary = registry.load("audit", name, AbstractCheck).summary()  # type: ignore[type-abstract]
            told = said(ds, name, ("data",)) if name in TOLD and name not in not_run else ()
            out.append(report.Check(name=name, found=found, summary=summary, action=told[0] if told else ""))
    return tuple(out)


def said(ds: Dataset, stage: str, levels: Sequence[str] = ("class", "data")) -> Sequence[str]:
    """Return the sentences of a check, as ``split`` on what each class's counts can prove."""
    rows = ds.findings.filter(pc.equal(ds.findings["check"], stage)).to_pylist()
    return [row["why"] for row in rows if row["level"] in levels]


def _nan(value: Any) -> float:
    return float("nan") if value is None else float(value)
