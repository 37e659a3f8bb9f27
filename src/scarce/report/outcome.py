"""The report's first pages: what the model can do, in words, per class and beside others."""

from __future__ import annotations

import math

from scarce.report import words
from scarce.report.chart import Axis, reliability, strip, strip_axis
from scarce.report.markup import Child, Safe, join, tag
from scarce.report.model import ClassResult, Comparison, Interval, OperatingPoint, ReportData, TestResult
from scarce.report.words import count, known, percent, span

SHARE = Axis(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0), width=240.0)
TILE = Axis(0.0, 1.0, SHARE.ticks, width=340.0)


def masthead(report: ReportData) -> Safe:
    """Return the title line and the headline sentences."""
    sentences: list[Child] = []
    for index, (main, more) in enumerate(words.headline(report)):
        sentences.append(tag("h1" if index == 0 else "p", main, class_="lead" if index == 0 else "lead second"))
        sentences.append(tag("p", more, class_="proof") if more else None)
    extra = [text for text in (words.gain_sentence(report), words.weakest_sentence(report)) if text]
    facts = [report.when, f"version {report.version}" if report.version else "", report.model]
    return tag(
        "header",
        tag("p", tag("span", "scarce", class_="brand"), tag("span", report.title, class_="subject"), class_="eyebrow"),
        sentences,
        tag("ul", [tag("li", text) for text in extra], class_="asides") if extra else None,
        tag("p", " · ".join(fact for fact in facts if fact), class_="facts"),
        class_="masthead",
    )


def figures(report: ReportData) -> Safe:
    """Return the key figures as tiles, each with its interval."""
    tiles = []
    test, point = report.test, report.operating_point
    if point is not None:
        low = Interval(value=point.recall.value, low=point.recall.low, high=math.nan)
        tiles.append(_tile("Damage found", low, f"{count(point.defects)} damaged, one-sided 95 %", bound="at least"))
        high = Interval(value=point.false_alarms.value, low=math.nan, high=point.false_alarms.high)
        tiles.append(_tile("False alarms", high, f"{count(point.sound)} sound, one-sided 95 %", bound="at most"))
    if test is not None:
        who = f"‘{test.majority_class}’" if test.majority_class else "the commonest class"
        note = f"always answering {who}: {percent(test.majority)} %" if known(test.majority) else ""
        tiles.append(_tile("Balanced accuracy", test.balanced_accuracy, note, reference=test.majority))
        if test.macro_f1 is not None:
            tiles.append(_tile("Macro F1", test.macro_f1, "mean over classes of precision and recall together"))
    return tag("div", tiles, class_="tiles") if tiles else Safe("")


def _tile(name: str, value: Interval, note: str, *, bound: str = "", reference: float = math.nan) -> Safe:
    edge = value.low if bound == "at least" else value.high
    if bound:
        bounds = f"{bound} {percent(edge)}" if known(edge) else ""
        low, high = (edge, value.value) if bound == "at least" else (value.value, edge)
        shown = Interval(value=value.value, low=low, high=high)
    else:
        bounds, shown = span(value), value
    return tag(
        "div",
        tag("p", name, class_="name"),
        tag("p", percent(value.value), tag("small", " %"), class_="figure"),
        tag("p", bounds, class_="bounds"),
        strip(shown, TILE, class_="thin", reference=reference),
        tag("p", note, class_="note"),
        class_="tile",
    )


def per_class(test: TestResult, normal: tuple[str, ...]) -> Safe:
    """Return recall and precision of every class with intervals."""
    rows = [_class_row(row, sound=row.name in normal) for row in test.per_class]
    scale = tag("span", strip_axis(SHARE), class_="only-wide")
    head = tag(
        "thead",
        tag(
            "tr",
            tag("th", "Class", scope="col"),
            tag("th", "Test samples", scope="col", class_="number"),
            tag("th", "Found (recall), %", scale, scope="col"),
            tag("th", "", scope="col"),
            tag("th", "Right when named (precision), %", scale, scope="col"),
            tag("th", "", scope="col"),
        ),
    )
    return tag("table", head, tag("tbody", rows), class_="classes")


def _class_row(row: ClassResult, *, sound: bool) -> Safe:
    cells: list[Child] = [
        tag("th", row.name, tag("span", "sound", class_="chip") if sound else None, scope="row"),
        tag(
            "td",
            count(row.n),
            tag("small", f" from {count(row.groups)} groups") if 0 < row.groups < row.n else None,
            class_="number",
            data_label="Test samples",
        ),
    ]
    for label, value in (("Found (recall)", row.recall), ("Right when named (precision)", row.precision)):
        if value is None or not known(value.value):
            cells += [tag("td", "", class_="plot"), tag("td", "never named" if row.n else "no samples", class_="span")]
            continue
        figure = tag("b", percent(value.value))
        cells.append(tag("td", strip(value, SHARE, class_="thin"), class_="plot", data_label=label))
        cells.append(tag("td", figure, " ", tag("span", span(value), class_="bounds"), class_="span"))
    return tag("tr", cells)


def confusion(test: TestResult) -> Safe:
    """Return the confusion matrix as a table whose shade is the share of the row."""
    names = [row.name for row in test.per_class]
    head = tag("tr", tag("td", tag("span", "truth ↓ answer →"), class_="corner"), [_column(name) for name in names])
    rows = []
    for index, line in enumerate(test.confusion):
        total = sum(line)
        cells = []
        for other, value in enumerate(line):
            share = value / total if total else 0.0
            kind = "right" if index == other else "wrong"
            dark = " dark" if share > (0.45 if kind == "right" else 0.3) else ""
            title = f"{names[index]} taken for {names[other]}: {value} of {total}"
            mix = 0 if value == 0 else max(6, round(100 * (share if kind == "right" else min(1.0, share * 1.6))))
            shade = f"--mix:{mix}%"
            cells.append(tag("td", str(value) if value else "·", class_=kind + dark, style=shade, title=title))
        rows.append(tag("tr", tag("th", names[index], scope="row"), cells))
    caption = tag("caption", "Rows are the truth, columns the answer; the shade is the share of the row.")
    return tag(
        "div",
        tag("table", caption, tag("thead", head), tag("tbody", rows), class_="confusion"),
        class_="scroll",
        tabindex="0",
    )


def _column(name: str) -> Safe:
    return tag("th", tag("span", name), scope="col")


def operating(point: OperatingPoint) -> Safe:
    """Return the operating point in words."""
    wanted = f"Wanted: at most {percent(point.wanted)} % false alarms" if known(point.wanted) else ""
    lines = [
        join("Damage found: ", tag("b", f"{percent(point.recall.value)} %"), f" of {count(point.defects)}"),
        join(
            "False alarms: ",
            tag("b", f"{percent(point.false_alarms.value)} %"),
            f" of {count(point.sound)} sound samples",
        ),
    ]
    bounds = (point.recall.low, point.false_alarms.high)
    for index, (word, value) in enumerate(zip(("at least", "at most"), bounds, strict=True)):
        if known(value):
            lines[index] = join(lines[index], f"; {word} {percent(value)} % with 95 % confidence")
    threshold = (
        f"An alarm is a defect score (1 − p(sound)) of {point.threshold:.3g} or more" if known(point.threshold) else ""
    )
    how = ". ".join(
        part for part in (threshold, "The threshold was chosen on held-out training folds, then frozen", wanted) if part
    )
    return join(tag("ul", [tag("li", line) for line in lines], class_="plain"), tag("p", how + ".", class_="note"))


def reliable(test: TestResult) -> Safe:
    """Return the reliability diagram with how to read it."""
    return tag(
        "figure",
        reliability(test.reliability),
        tag("figcaption", "On the diagonal, a stated 80 % is right 80 times of 100. Below it, the model is too sure."),
    )


def comparisons(rows: tuple[Comparison, ...]) -> Safe:
    """Return figures beside each other on one axis per metric."""
    metrics = list(dict.fromkeys(row.metric for row in rows))
    blocks = []
    for metric in metrics:
        lines = [row for row in rows if row.metric == metric]
        values = [value for row in lines for value in (row.value, row.low, row.high)]
        axis = Axis.around(values, zero=False)
        body = [_comparison(row, axis) for row in lines]
        head = tag(
            "tr",
            tag("th", metric[:1].upper() + metric[1:], scope="col"),
            tag("th", strip_axis(axis), scope="col", class_="only-wide"),
            tag("th", "%", scope="col", class_="unit"),
        )
        blocks.append(tag("table", tag("thead", head), tag("tbody", body), class_="compare"))
    return join(*blocks)


def _comparison(row: Comparison, axis: Axis) -> Safe:
    interval = Interval(value=row.value, low=row.low, high=row.high)
    name = [row.name, tag("span", row.note, class_="sub") if row.note else None]
    return tag(
        "tr",
        tag("th", name, scope="row"),
        tag("td", strip(interval, axis, class_="ours" if row.ours else "theirs"), class_="plot"),
        tag(
            "td",
            tag("b", percent(row.value, digits=2 if not known(row.low) else 1)),
            " ",
            tag("span", span(interval), class_="bounds"),
            class_="span",
        ),
        class_="ours" if row.ours else None,
    )
