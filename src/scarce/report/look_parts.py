"""Sections of the page of a look: classes, operating point, costs, slices, field, robustness, another model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from scarce.report import outcome
from scarce.report.chart import Axis, reliability, strip
from scarce.report.curve import Line, lines
from scarce.report.markup import Child, Safe, join, tag
from scarce.report.model import Interval, ReportData, number
from scarce.report.words import count, known, many, percent, span, variety_told

NONE: Final = "no interval"
SHARE: Final = Axis(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0), width=150.0)
LEVELS: Final = {
    "noise": "deviation of gray levels", "light": "shift of gray levels", "rotation": "degrees",
    "blur": "share of the side",
}  # fmt: skip


def of(row: Mapping[str, Any], name: str = "value", *, bare: bool = False) -> Interval:
    """Return a value with its ``low`` and ``high``, or with bounds that carry its name.

    Args:
        row: plain values.
        name: of the value.
        bare: its bounds are called ``low`` and ``high`` all the same.
    """
    edges = ("low", "high") if bare or name == "value" else (f"{name}_low", f"{name}_high")
    return Interval(value=number(row.get(name)), low=number(row.get(edges[0])), high=number(row.get(edges[1])))


def cell(value: Interval) -> Safe:
    """Return a table's cell: the value with its interval in figures, above a strip."""
    if not known(value.value):
        return tag("td", "–", class_="figure-cell")
    words = [tag("b", percent(value.value)), " ", tag("span", span(value) or NONE, class_="bounds")]
    return tag("td", words, strip(value, SHARE, class_="thin"), class_="figure-cell")


def at_least(value: float, low: float) -> Safe:
    """Return a table's cell: a value with its one-sided lower bound, and all that it leaves possible."""
    words = [tag("b", percent(value)), " ", tag("span", f"at least {percent(low)}", class_="bounds")]
    shown = Interval(value=value, low=low, high=1.0 if known(low) else low)
    return tag("td", words, strip(shown, SHARE, class_="thin"), class_="figure-cell")


def grid(head: Sequence[Child], rows: Sequence[Sequence[Child]], *, class_: str = "looked") -> Safe:
    """Return a table; a cell that is not a ``<td>`` yet becomes one, the first of a row its heading."""
    top = tag("tr", [tag("th", name, scope="col") for name in head])
    body = [
        tag("tr", tag("th", row[0], scope="row"),
            [item if isinstance(item, Safe) and item.startswith("<td") else tag("td", item) for item in row[1:]])
        for row in rows
    ]  # fmt: skip
    return tag("div", tag("table", tag("thead", top), tag("tbody", body), class_=class_), class_="scroll", tabindex="0")


AVERAGE: Final = (
    "over whole groups for average precision; a class from one group, or ranked alike in all draws, has none."
)


def classes(body: Mapping[str, Any], normal: Sequence[str]) -> Safe:
    """Return every class with recall, precision, F1 and average precision, each with its interval."""
    rows = []
    for name, row in body["per_class"].items():
        title = [name, tag("span", "sound", class_="chip") if name in normal else None]
        of_groups = f" of {count(row['groups'])} groups" if row["grouped"] else ""
        rows.append([
            title, tag("td", count(row["n"]), tag("small", of_groups), class_="number"),
            tag("td", count(row["train"]), class_="number"), cell(of(row, "recall", bare=True)),
            cell(of(row, "precision")), cell(of(row, "f1")), cell(of(row, "average_precision")),
        ])  # fmt: skip
    head = ("Class", "Test", "Training", "Found (recall), %", "Right when named (precision), %", "F1, %",
            "Average precision, %")  # fmt: skip
    note = "95 % intervals: exact ones for recall and precision, from what the counts leave possible for F1, bootstrap "
    judged = tag("p", body["judged_as"], class_="intro") if body.get("judged_as") else None
    if body["groups"] == 1:
        seen_as_one = "All test samples are of one group: no bootstrap over groups has an interval."
        judged = join(judged, tag("p", seen_as_one, class_="intro"))
    seen = [tag("p", tag("b", why), class_="intro") for why in body.get("seen") or ()]
    return join(*seen, judged, grid(head, rows), tag("p", note + AVERAGE, class_="note"))


def operating(body: Mapping[str, Any], report: ReportData) -> Safe:
    """Return the operating point, what its counts prove, and the wish the other way round."""
    point = body["operating_point"]
    if point is None or report.operating_point is None:
        return _one_vs_rest(body)
    parts: list[Child] = [outcome.operating(report.operating_point), _proof(point)]
    if point.get("per_class"):
        rows = [
            [name, tag("td", f"{row['caught']} of {row['n']}", class_="number"),
             at_least(row["recall"], number(row["low"]))]
            for name, row in point["per_class"].items()
        ]  # fmt: skip
        parts.append(grid(("Defect", "Found", "Recall, % (one-sided 95 %)"), rows))
    wished = point.get("at_detection_rate")
    if wished:
        parts.append(tag(
            "p", f"The other way round: to find {percent(wished['detection_rate'], digits=0)} % of the defects, the "
            f"threshold on held-out samples is {wished['threshold']:.3g}; on test it finds {percent(wished['recall'])} "
            f"% (at least {percent(wished['recall_low'])} %) at {percent(wished['false_alarm_rate'])} % false alarms "
            f"(at most {percent(wished['false_alarm_high'])} %).",
        ))  # fmt: skip
    return join(*parts)


def _proof(point: Mapping[str, Any]) -> Safe:
    units = "groups of defects" if point["defect_groups"] < point["defects"] else "defects"
    said = [(f"Without a miss, {count(point['defect_groups'])} {units} prove {percent(point['provable_recall'])} % at "
            "most (one-sided 95 %).")]  # fmt: skip
    for goal, more in point["more_defects"].items():
        wanted = percent(float(goal), digits=0)
        said.append(
            f"{wanted} % recall is proven." if more == 0 else
            f"To prove {wanted} % recall, {count(more)} more {units}, all of them found, would be needed."
        )  # fmt: skip
    return tag("ul", [tag("li", line) for line in said], class_="plain")


def _one_vs_rest(body: Mapping[str, Any]) -> Safe:
    rows = [
        [name, tag("td", percent(row["recall"]), class_="number"),
         tag("td", percent(number(row["recall_low"])), class_="number"),
         tag("td", percent(row["false_alarm_rate"]), class_="number"),
         tag("td", percent(number(row["false_alarm_high"])), class_="number"),
         tag("td", *(count(row["more_defects"].get(goal, 0)) for goal in ("0.99",)), class_="number")]
        for name, row in (body.get("one_vs_rest") or {}).items()
    ]  # fmt: skip
    if not rows:
        return tag("p", "Not judged: the test has no defective or no sound sample.", class_="intro")
    intro = "No class is known to be sound, so each stands against the rest, at the wanted false-alarm rate."
    head = ("Class", "Found, %", "at least", "False alarms, %", "at most", "More samples to prove 99 %")
    marked = any(row["in_sample"] for row in body["one_vs_rest"].values())
    note = tag("p", "The thresholds were chosen on these samples: optimistic.", class_="note") if marked else None
    return join(tag("p", intro, class_="intro"), grid(head, rows), note)


def costs(body: Mapping[str, Any]) -> Safe | None:
    """Return what each way to answer costs."""
    found = body.get("costs")
    if not found:
        return None
    most = max([value for row in found["ways"].values() for value in (row["value"], row["high"] or 0.0)] + [1e-9])
    axis = Axis(0.0, most, (), width=150.0)
    rows = []
    for name, row in found["ways"].items():
        bounds = NONE if row["low"] is None else f"{row['low']:.4g}–{row['high']:.4g}"
        words = [tag("b", f"{row['value']:.4g}"), " ", tag("span", bounds, class_="bounds")]
        rows.append([name, tag("td", words, strip(of(row), axis, class_="thin"), class_="figure-cell")])
    matrix = [[true, *(tag("td", f"{value:g}", class_="number") for value in line)]
              for true, line in zip(found["classes"], found["matrix"], strict=True)]  # fmt: skip
    cut = found["threshold"]
    note = "" if cut is None else f"The threshold of least cost on held-out samples is {cut:.3g} of 1 − p(sound). "
    return join(
        grid(("Way to answer", "Cost per 1,000 samples"), rows),
        tag("p", note + "At the class frequencies of the test set.", class_="note"),
        tag("details", tag("summary", "The costs: rows are the truth, columns the answer"),
            grid(("", *found["classes"]), matrix)),
    )  # fmt: skip


def slices(body: Mapping[str, Any]) -> Safe | None:
    """Return accuracy, balanced accuracy and macro-F1 for every value of every column."""
    tables = body.get("per_slice") or {}
    if not tables:
        return None
    blocks = []
    for column, rows in tables.items():
        found = [
            [value, tag("td", count(row["n"]), class_="number"), cell(of(row, "accuracy", bare=True)),
             tag("td", percent(number(row["balanced_accuracy"])), class_="number"),
             tag("td", percent(number(row["macro_f1"])), class_="number")]
            for value, row in rows.items()
        ]  # fmt: skip
        head = (column, "Test", "Accuracy, %", "Balanced, %", "Macro-F1, %")
        blocks.append(grid(head, found))
    worst = min(
        ((row["high"], column, value) for column, rows in tables.items() for value, row in rows.items()), default=None
    )
    low = number(body["accuracy"]["low"])
    said = None
    if worst is not None and worst[0] is not None and worst[0] < low:
        said = tag("p", f"Weaker than the whole beyond chance of one look: {worst[1]} = {worst[2]}.", class_="intro")
    return join(said, tag("div", blocks, class_="tables"))


def field_variety(body: Mapping[str, Any]) -> Safe | None:
    """Return how the field compares with the test set."""
    found = body.get("variety")
    if not found:
        return None
    said = [
        (f"{percent(found['covered'])} % ({percent(found['low'])}–{percent(found['high'])}) of {count(found['field'])} "
        f"samples from the field lie as near to test samples as those lie to each other; 95 % is alike."),
        (f"A classifier tells field from test with an area of {found['told_apart']:.3f} "
        f"({number(found.get('told_low')):.3f}–{number(found.get('told_high')):.3f}); 0.5 is not at all."),
        f"The field spreads {found['spread']:.2f} times as wide.",
    ]  # fmt: skip
    names = ", ".join(found["strange"][:8])
    strange = tag("p", f"Strangest: {names}", class_="note") if names else None
    listed = tag("ul", [tag("li", line) for line in said], class_="plain")
    return join(tag("p", variety_told(found["verdict"]), class_="intro"), listed, strange)


def robustness(body: Mapping[str, Any]) -> Safe | None:
    """Return the curves of the four disturbances, and the course of the training."""
    found = body.get("robustness")
    if not found:
        return None
    sides = [(found, False)] + ([(found["other"], True)] if found.get("other") else [])
    charts = []
    for name, rows in found["curves"].items():
        drawn = [Line(_named(side, other), _points(side, name), other) for side, other in sides if rows]
        charts.append(lines(drawn, (name.capitalize(), LEVELS[name], "accuracy, %")))
    clean = found["clean"]
    intro = (
        f"The same {many(found['n'], 'test picture')}, disturbed; undisturbed {percent(clean['accuracy'])} % "
        f"({percent(clean['low'])}–{percent(clean['high'])})."
    )
    charts += _course(sides)
    return join(tag("p", intro, class_="intro"), tag("div", charts, class_="charts"), *gap_told(sides))


def _named(side: Mapping[str, Any], other: bool) -> str:  # noqa: FBT001  which of two sides it is
    augment = side.get("augment")
    how = "with augmentation" if augment and augment != "none" else "without augmentation"
    return f"{'the other model' if other else 'this model'}, {how}"


def _points(side: Mapping[str, Any], name: str) -> tuple[tuple[float, ...], ...]:
    clean = side["clean"]
    rows = [(0.0, clean["accuracy"], clean["low"], clean["high"])]
    rows += [(row["level"], row["accuracy"], row["low"], row["high"]) for row in side["curves"][name]]
    return tuple(sorted(rows))


def _course(sides: Sequence[tuple[Mapping[str, Any], bool]]) -> list[Safe]:
    """Return training loss and held-back score over epochs, where a network was trained."""
    charts = []
    for key, title, share in (("loss", "Loss in training", False), ("balanced_accuracy", "Score on held-back", True)):
        drawn = [
            Line(_named(side, other), tuple((row["epoch"], number(row.get(key))) for row in side["history"]), other)
            for side, other in sides if len(side.get("history") or ()) > 1
        ]  # fmt: skip
        if drawn:
            y_name = "balanced accuracy, %" if share else "loss"
            charts.append(lines(drawn, (title, "epoch", y_name), zero=False, in_percent=share))
    drawn = [Line(_named(side, other), gap, other) for side, other in sides if len(gap := _gap(side)) > 1]
    if drawn:
        charts.append(lines(drawn, ("Gap between training and held-back", "epoch", "points")))
    return charts


def _ends(row: Mapping[str, Any]) -> str:
    return NONE if row["low"] is None else f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}"


def _gap(side: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    """Return epoch and by how much balanced accuracy on training samples is above that on held-back ones."""
    names = ("training_balanced_accuracy", "balanced_accuracy")
    rows = [row for row in side.get("history") or () if all(row.get(name) is not None for name in names)]
    return tuple((row["epoch"], row[names[0]] - row[names[1]]) for row in rows)


def gap_told(sides: Sequence[tuple[Mapping[str, Any], bool]]) -> list[Safe]:
    """Return what the gap was in the last epoch, a sentence for each network."""
    said = []
    for side, other in sides:
        if gap := _gap(side):
            own = side["history"][-1]
            said.append(
                f"After the last epoch {_named(side, other)}, was right on {percent(own['training_balanced_accuracy'])}"
                f" % of its training samples and on {percent(own['balanced_accuracy'])} % of the held-back ones "
                f"(balanced accuracy): a gap of {100 * gap[-1][1]:+.1f} points."
            )
    return [tag("p", text) for text in said]


def compare(body: Mapping[str, Any]) -> Safe | None:
    """Return the paired comparison with another model."""
    found = body.get("compare")
    if not found:
        return None
    names = {"accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy", "macro_f1": "Macro-F1"}
    rows = [
        [names[key], tag("td", percent(row["first"]), class_="number"),
         tag("td", percent(row["second"]), class_="number"),
         tag("td", tag("b", f"{100 * row['value']:+.1f}"), " ",
             tag("span", _ends(row), class_="bounds"))]
        for key, row in found["differences"].items()
    ]  # fmt: skip
    said = {"better": "this model is better", "worse": "this model is worse"}.get(
        found["verdict"], "this test set cannot tell the two apart"
    )
    intro = (
        f"By balanced accuracy {said} than {found['first']}."
        if found["verdict"] != "no evidence"
        else f"By balanced accuracy {said}: {found['first']}."
    ) + (
        f" By accuracy, {found['only_second']} samples only this one gets right, {found['only_first']} only the other; "
        f"McNemar p = {found['p']:.3g} on {many(found['groups'], 'independent sample')}."
    )
    return join(tag("p", intro, class_="intro"),
                grid(("", "The other, %", "This one, %", "Difference, points"), rows))  # fmt: skip


def reliable(bins: Sequence[Mapping[str, Any]], title: str, ece: Mapping[str, Any]) -> Safe:
    """Return one reliability plot with its calibration error."""
    dots = [(number(row["confidence"]), number(row["accuracy"]), int(row["n"])) for row in bins]
    words = f"calibration error {percent(ece['value'], digits=2)} %"
    if ece.get("low") is not None:
        words += f" ({percent(ece['low'], digits=2)}–{percent(ece['high'], digits=2)})"
    return tag("figure", reliability(dots), tag("figcaption", tag("b", title), ": ", words))
