"""The short text after ``scarce run``: headline, ledger, operating point, where to read on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scarce.cli._bar import clock
from scarce.cli._screen import relative, safe, table
from scarce.errors import ReadError, closest

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table
    from rich.text import Text

METRICS = {
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "rare_average_precision": "average precision of the rare classes",
    "recall_at_fpr": "recall at the false-alarm rate",
}
MOST_REASONS = 5
MOST_CLASSES = 20
COLORS = {"helped": "bold green", "hurt": "bold red", "no evidence": "dim", "not applicable": "dim"}


def draw_run(console: Console, result: Mapping[str, Any]) -> None:
    """Print what a run found."""
    console.print(headline(result))
    if result.get("ledger"):
        metric = METRICS.get(result.get("metric", ""), result.get("metric", ""))
        console.print("Ledger: what each decision gained on held-out development data,")
        console.print(f"in points of {metric} (cross-validated, same folds with and without it)")
        console.print(ledger(result))
        for line in ledger_notes(result):
            console.print(line)
        console.print()
    for line in notes(result):
        console.print(line)


def last_result(reports: Path, version: str | None = None) -> dict[str, Any]:
    """Return what a run of this project wrote: of one version, or the latest.

    Raises:
        ReadError: no run has ended here, or its file is damaged.
    """
    names = {path.stem: path for path in reports.glob("v*.json") if path.stem[1:].isdigit()}
    if not names:
        raise ReadError("report", f"no run has ended in {reports.parent}", do="scarce run SOURCE --project DIR")
    name = version or max(names, key=lambda item: int(item[1:]))
    if name not in names:
        raise ReadError("report", f"there is no report of {name}", closest(name, names))
    try:
        found: dict[str, Any] = json.loads(names[name].read_text(encoding="utf-8"))
    except ValueError as error:
        raise ReadError("report", f"{names[name]} is damaged", do="run again") from error
    return {**found, "report": str(names[name].with_suffix(".html"))}


def headline(result: Mapping[str, Any]) -> Text:
    """Return the test score with its interval, beside the majority baseline and the plain model."""
    from rich.text import Text

    test, metric = result["test"], result.get("metric")
    score, gain = test["balanced_accuracy"], test.get("difference") or {}
    out = Text()
    out.append(f"\n{safe(result.get('source', ''))}", style="bold")
    out.append(f"  version {result['version']}, {clock(result['seconds'])}\n\n", style="dim")
    own = chosen(result)
    for line in own if metric != "balanced_accuracy" else ():
        out.append(f"{line}\n", style="bold")
    out.append(f"  {percent(score['value']):>7}", style="bold green")
    out.append(f"  balanced accuracy on {test['n']:,} held-out real samples")
    out.append(f"  {interval(score)}\n", style="dim")
    for line in own if metric == "balanced_accuracy" else ():
        out.append(f"{line}\n")
    if (plain := test.get("baseline")) is not None:
        out.append(f"  {percent(plain['value']):>7}  the same model without the plan  {interval(plain)}\n")
    majority = (test.get("majority") or {}).get("balanced_accuracy", score.get("baseline"))
    if majority is not None:
        out.append(f"  {percent(majority):>7}  always answering the majority class\n")
    if gain.get("value") is not None:
        out.append(f"  {points(gain['value']):>7}  points from the plan, paired on the same samples  {span(gain)}\n")
    if (f1 := test.get("macro_f1")) is not None and metric != "macro_f1":
        out.append(f"  {percent(f1['value']):>7}  macro-F1  {interval(f1)}\n")
    return out


def chosen(result: Mapping[str, Any]) -> list[str]:
    """Return the lines about the metric that the user chose: on test, where it is judged there, and on development."""
    name = result.get("metric", "")
    title, test, made = METRICS.get(name, name), result["test"], result.get("development") or {}
    out = []
    point = result.get("operating_point")
    if name == "recall_at_fpr":
        if point and point.get("recall") is not None:
            out.append(
                f"  {percent(point['recall']):>7}  {title} on test  [at least {percent(point.get('recall_low'))}]"
            )
        else:
            out.append(f"  {'-':>7}  {title}: not judged on test")
    elif name != "balanced_accuracy" and (found := test.get(name)) is not None:
        out.append(f"  {percent(value_of(found)):>7}  {title} on test  {interval(found)}")
    if made.get("final") is not None:
        before = f"{percent(made['baseline'])} without the plan, " if made.get("baseline") is not None else ""
        told = f"{title} on development data with the plan ({before}cross-validated)"
        out.append(f"  {percent(made['final']):>7}  {told}")
    return out


def ledger(result: Mapping[str, Any]) -> Table:
    """Return the ledger: one row a decision."""
    from rich.text import Text

    rows = []
    for row in result["ledger"]:
        verdict = Text(row["verdict"] + ("*" if row.get("proxy") else ""), style=COLORS.get(row["verdict"], ""))
        kept = Text("kept", style="green") if row["kept"] else Text("")
        rows.append((row["decision"], points(row["gain"]), span(row), verdict, kept, f"{row['seconds']:.1f}"))
    names = ("decision", "gain", "95 %", "verdict", "", "seconds")
    return table(names, rows, right=("gain", "95 %", "seconds"))


def ledger_notes(result: Mapping[str, Any]) -> list[str]:
    """Return what must be said below the ledger: what a star means, and why something does not apply."""
    rows = result["ledger"]
    out = ["* measured with the linear probe, not with the final network"] * any(row.get("proxy") for row in rows)
    return out + [
        safe(f"{row['decision']}: {row['why']}")
        for row in rows
        if row["verdict"] == "not applicable" and row.get("why")
    ]


def notes(result: Mapping[str, Any]) -> list[str]:
    """Return the closing lines: what was not judged, operating point, looks, model, report."""
    out = [*intervals(result), *left_out(result), operating(result)]
    looks = result["test"].get("looks")
    if looks is not None:
        out.append(f"Test set: looked at {looks} time{'s' * (looks != 1)} in this project.")
    out += [f"Note: {safe(line)}" for line in result.get("notes", ())]
    out += [f"Model:  {safe(relative(result['model']))}", f"Report: {safe(relative(result['report']))}"]
    return out


def intervals(result: Mapping[str, Any]) -> list[str]:
    """Return how to read the intervals, and which classes no interval is about."""
    test = result["test"]
    rows, groups = test.get("per_class") or {}, test.get("groups")
    out = ["In brackets: 95 % intervals."]
    if groups and groups < test["n"]:
        shared = f"The {test['n']:,} test samples come from {groups:,} groups and are counted by group."
        out = [f"{out[0]} {shared}"]
    if untested := [name for name, row in rows.items() if not row["n"]]:
        out.append(f"No test sample of {safe(', '.join(untested))}: not judged.")
    return out


def left_out(result: Mapping[str, Any]) -> list[str]:
    """Return how many samples were set aside, and why."""
    reasons = sorted((result.get("set_aside") or {}).items(), key=lambda item: -item[1])
    if not reasons:
        return []
    total = sum(n for _, n in reasons)
    shown = len(reasons) if len(reasons) == MOST_REASONS + 1 else MOST_REASONS
    told = ", ".join(f"{n:,} {reason}" for reason, n in reasons[:shown])
    more = sum(n for _, n in reasons[shown:])
    told += f", {more:,} for other reasons" if more else ""
    return [f"{total:,} sample{'s' * (total != 1)} set aside, none deleted: {safe(told)}."]


def operating(result: Mapping[str, Any]) -> str:
    """Return the operating point in words, or why there is none."""
    point = result.get("operating_point")
    if not point or point.get("recall") is None:
        return f"Operating point: none, since {safe(no_point(result))}."
    if not point["recall"]:
        half = point.get("half_found_at")
        wanted = point.get("false_positive_rate")
        rate = "" if wanted is None else f" of {100 * wanted:g} %"
        tail = "" if half is None else f" Half of the held-out defects are found from {percent(half)} false alarms on."
        none = f"none of {point['defects']:,} defects is found"
        return f"Operating point: at the wanted false-alarm rate{rate} {none}.{unresolved(point)}{tail}"
    shared = (("defect", "defects"), ("normal", "normals"))
    counted = "; bounds counted by group" * any(point.get(f"{a}_groups", point[b]) < point[b] for a, b in shared)
    return (
        f"Operating point: {percent(point['recall'])} of {point['defects']:,} defects found (at least "
        f"{percent(point['recall_low'])}, one-sided 95 %{counted}) at {percent(point['false_alarm_rate'])} false "
        f"alarms among {point['normals']:,} sound parts; threshold {number(point['threshold'])}.{unresolved(point)}"
    )


def unresolved(point: Mapping[str, Any]) -> str:
    """Return a sentence where too few held-out sound samples chose the threshold to show the wanted rate."""
    if point.get("rate_resolved") is not False or not point.get("held_out_normals"):
        return ""
    n, wanted = point["held_out_normals"], 100 * point["false_positive_rate"]
    return f" {n:,} held-out sound sample{'s' * (n != 1)} cannot show {wanted:g} %."


def no_point(result: Mapping[str, Any]) -> str:
    """Return why there is no operating point."""
    normal = result.get("normal_classes") or ()
    if not normal:
        return "no class is known to be sound (name it: --normal CLASS)"
    held = {name: row["n"] for name, row in (result["test"].get("per_class") or {}).items()}
    side = "sound" if not sum(held.get(name, 0) for name in normal) else "defective"
    return f"the test has no {side} sample (sound: {', '.join(normal)})"


def percent(value: float | None) -> str:
    """Return a share as ``87.4 %``; a dash where there is none."""
    return "-" if value is None else f"{100 * value:.1f} %"


def number(value: float | None) -> str:
    """Return a threshold; a word where nothing reaches it."""
    return "beyond every score" if value is None else f"{value:.4f}"


def value_of(body: Any) -> float | None:
    """Return the value of a score that comes alone or with its interval."""
    found: float | None = body.get("value") if isinstance(body, Mapping) else body
    return found


def points(value: float | None) -> str:
    """Return a difference of shares as ``+1.3``; a dash where there is none."""
    return "-" if value is None else f"{100 * value:+.1f}"


def interval(body: Mapping[str, Any]) -> str:
    """Return ``[86.0, 88.7]`` of a value in per cent."""
    low, high = body.get("low"), body.get("high")
    return "" if low is None or high is None else f"[{100 * low:.1f}, {100 * high:.1f}]"


def span(body: Mapping[str, Any]) -> str:
    """Return ``[+0.3, +2.1]`` of a difference in points."""
    low, high = body.get("low"), body.get("high")
    return "" if low is None or high is None else f"[{points(low)}, {points(high)}]"


def quality_table(body: Mapping[str, Any]) -> Group:
    """Return the five parts of the quality over all data, and below them per class, the worst first; 100 = best."""
    from rich.console import Group

    parts = [name for name in body if name not in ("classes", "weakest")]
    parts = [*parts[1:], parts[0]]
    rows = [
        (part.replace("_", " "), percent(body[part]["value"]), interval(body[part]),
         body[part].get("why") or body[part].get("counted", "")) for part in parts
    ]  # fmt: skip
    out: list[Table | str] = [table(("quality", "all", "95 % interval", ""), rows, right=("all",))]
    classes = body["classes"]
    if classes:
        heads = [part.replace("_", " ") for part in parts]
        worst = sorted(classes, key=lambda name: (classes[name]["overall"]["value"] or 0.0, name))
        cells = [
            (name, *(percent(classes[name][part]["value"]) for part in parts)) for name in worst[:MOST_CLASSES]
        ]  # fmt: skip
        out.append(table(("class", *heads), cells, right=heads))
    if len(classes) > MOST_CLASSES:
        out.append(f"{len(classes) - MOST_CLASSES} better classes are not shown: --json.")
    return Group(*out)
