"""The report's middle: what each decision gained, and how the class counts changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scarce.report.chart import Axis, count_axis, count_bars, forest_axis, forest_row
from scarce.report.markup import Child, Safe, join, tag
from scarce.report.model import Decision, Interval, ReportData
from scarce.report.words import count, decision_title, duration, known, points

SIGNS = {"helped": "▲", "hurt": "▼", "no evidence": "○", "not applicable": "–"}


def ledger(report: ReportData) -> Safe:
    """Return the ledger: table and forest plot in one, on a common axis."""
    rows = report.ledger
    judged = [row for row in rows if known(row.gain)]
    reach = [value for row in judged for value in (row.gain, row.low, row.high)]
    axis = Axis.around(reach)
    head = tag(
        "tr",
        tag("th", "Decision", scope="col"),
        tag("th", "Verdict", scope="col"),
        tag("th", "Gain in points", scope="col", class_="number"),
        tag("th", forest_axis(axis), scope="col", class_="axis only-wide"),
        tag("th", "p", scope="col", class_="number"),
        tag("th", "Cost", scope="col", class_="number"),
        tag("th", "In the plan", scope="col"),
    )
    body = [_row(row, axis) for row in rows]
    return join(
        tag("table", tag("thead", head), tag("tbody", body), class_="ledger"),
        tag("p", _legend(rows, report.metric), class_="note"),
        _reverts(rows),
    )


def _row(row: Decision, axis: Axis) -> Safe:
    kind = {"helped": "helped", "hurt": "hurt"}.get(row.verdict, "none")
    title = [tag("span", decision_title(row.decision), class_="what"), tag("code", row.decision, class_="sub")]
    if row.against and row.against != "baseline":
        title.append(tag("span", f"against {decision_title(row.against).lower()}", class_="sub"))
    if row.why:
        title.append(tag("span", row.why, class_="sub"))
    sign = tag("span", SIGNS.get(row.verdict, "○"), class_="sign", aria_hidden="true")
    proxy = tag("span", f"proxy: {row.instrument.replace('_', ' ')}", class_="sub") if row.proxy else _instrument(row)
    if not known(row.gain):
        plot: Child = tag("td", "", class_="plot")
        gain: Child = tag("td", "–", class_="number gain")
    else:
        interval = Interval(value=row.gain, low=row.low, high=row.high)
        plot = tag("td", forest_row(interval, axis, verdict=kind, detectable=row.detectable), class_="plot")
        bounds = f"{points(row.low)} to {points(row.high)}" if known(row.low) else ""
        gain = tag("td", tag("b", points(row.gain)), tag("span", bounds, class_="sub bounds"), class_="number gain")
    chosen = tag("span", "kept", class_="chip kept") if row.kept else tag("span", "left out", class_="chip")
    return tag(
        "tr",
        tag("th", title, scope="row"),
        tag("td", tag("span", sign, " ", row.verdict, class_=f"verdict {kind}"), proxy, data_label="Verdict"),
        gain,
        plot,
        tag("td", _p(row), class_="number", data_label="p"),
        tag("td", duration(row.seconds), class_="number", data_label="Cost"),
        tag("td", chosen, data_label="In the plan"),
        class_="kept" if row.kept else None,
    )


def _instrument(row: Decision) -> Safe | None:
    return tag("span", row.instrument.replace("_", " "), class_="sub") if row.instrument else None


def _p(row: Decision) -> str:
    value = row.p_holm if known(row.p_holm) else row.p
    if not known(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _legend(rows: Sequence[Decision], metric: str) -> str:
    text = (
        f"A gain is the difference in {metric}. Each decision was tried with and without, on the same folds and seeds "
        "of the development data; no test sample took part. The bar is the 95 % interval of the gain"
    )
    if any(known(row.detectable) for row in rows):
        text += ", the shaded band the gains too small for this data to tell from nothing"
    if any(known(row.p_holm) for row in rows):
        text += "; p is corrected for the number of decisions (Holm)"
    if any(row.proxy for row in rows):
        text += "; “proxy” means measured on another model than the final one"
    return text + ". “No evidence” means neither that it helps nor that it does not."


def _reverts(rows: Sequence[Decision]) -> Safe | None:
    done = [row for row in rows if row.kept and row.version_before]
    if not done:
        return None
    lines = [
        tag("li", f"{decision_title(row.decision)}: ", tag("code", f"scarce restore {row.version_before}"))
        for row in done
    ]
    return tag("details", tag("summary", "How to take a kept decision back"), tag("ul", lines, class_="plain"))


def class_counts(report: ReportData) -> Safe:
    """Return the number of training samples per class, as it came and as trained on, on a log scale."""
    before, after = dict(report.before), dict(report.after)
    names = [name for name in (report.classes or before) if name in before or name in after]
    top = max([*before.values(), *after.values(), 10])
    body = []
    for name in names:
        was, now = before.get(name, 0), after.get(name, 0)
        change = f"{count(was)} → {count(now)}" if was != now else count(was)
        body.append(
            tag(
                "tr",
                tag("th", name, scope="row"),
                tag("td", count_bars(was, now, top, name=name), class_="plot"),
                tag("td", change, class_="span"),
            )
        )
    head = tag(
        "tr",
        tag("th", "Class", scope="col"),
        tag("th", count_axis(top), scope="col"),
        tag("th", "Samples", scope="col"),
    )
    key = tag(
        "p",
        tag("span", "", class_="key before"),
        " as it came ",
        tag("span", "", class_="key after"),
        " as trained on (set aside taken off, grown added); logarithmic scale",
        class_="note",
    )
    return join(key, tag("table", tag("thead", head), tag("tbody", body), class_="counts"))


def split_counts(report: ReportData) -> Safe | None:
    """Return the number of samples per split, class and origin as a table."""
    splits = [name for name in ("train", "val", "test", "pool") if name in report.counts]
    splits += [name for name in report.counts if name not in splits]
    if not splits:
        return None
    names = list(dict.fromkeys([*report.classes, *(name for split in splits for name in report.counts[split])]))
    columns = [(split, origin) for split in splits for origin in _origins(report.counts[split])]
    head = [tag("th", f"{split}, {origin}", scope="col", class_="number") for split, origin in columns]
    body = []
    for name in names:
        cells = [report.counts[split].get(name, {}).get(origin, 0) for split, origin in columns]
        body.append(
            tag("tr", tag("th", name, scope="row"), [tag("td", count(cell), class_="number") for cell in cells])
        )
    table = tag(
        "table", tag("thead", tag("tr", tag("th", "Class", scope="col"), head)), tag("tbody", body), class_="small"
    )
    return tag(
        "details", tag("summary", "Every split, class and origin"), tag("div", table, class_="scroll", tabindex="0")
    )


def _origins(split: Mapping[str, Mapping[str, int]]) -> list[str]:
    found = {origin for counts in split.values() for origin in counts}
    return [name for name in ("real", "augmented", "synthetic") if name in found] + sorted(
        found - {"real", "augmented", "synthetic"}
    )


def conditions(report: ReportData) -> Safe | None:
    """Return counts per condition (camera, light ...), one table each."""
    blocks = []
    for title, values in report.conditions.items():
        splits = list(dict.fromkeys(split for counts in values.values() for split in counts))
        head = tag(
            "tr", tag("th", title, scope="col"), [tag("th", name, scope="col", class_="number") for name in splits]
        )
        body = [
            tag(
                "tr",
                tag("th", value, scope="row"),
                [tag("td", count(counts.get(split, 0)), class_="number") for split in splits],
            )
            for value, counts in values.items()
        ]
        blocks.append(tag("table", tag("thead", head), tag("tbody", body), class_="small"))
    return tag("details", tag("summary", "Counts per condition"), blocks) if blocks else None
