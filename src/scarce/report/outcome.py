"""The report's first pages: what the model can do, in words, per class and beside others."""

from __future__ import annotations

import math
from collections.abc import Mapping

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
    told = (words.chosen_sentence, words.gain_sentence, words.weakest_sentence, words.untested_sentence)
    extra = [text for sentence in told if (text := sentence(report))]
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
    """Return the key figures as tiles, each with its interval; the metric that the user chose comes first."""
    test, point = report.test, report.operating_point
    chosen = report.chosen.name if report.chosen else ""
    tiles: list[tuple[str, Safe]] = []
    if point is not None:
        tiles += [("recall_at_fpr", tile) for tile in _point_tiles(point)]
    if test is not None:
        who = f"‘{test.majority_class}’" if test.majority_class else "the commonest class"
        note = f"always answering {who}: {percent(test.majority)} %" if known(test.majority) else ""
        score = _tile("Balanced accuracy", test.balanced_accuracy, note, reference=test.majority)
        tiles.append(("balanced_accuracy", score))
        if test.macro_f1 is not None:
            note = "mean over classes of precision and recall together"
            tiles.append(("macro_f1", _tile("Macro F1", test.macro_f1, note)))
    if report.chosen and report.chosen.test and chosen == "rare_average_precision":
        tiles.append((chosen, _tile("Rare classes: AP", report.chosen.test, report.chosen.title)))
    weak = point is not None and point.finds_nothing
    usual = "balanced_accuracy" if weak else "recall_at_fpr"
    first = usual if chosen in ("", "balanced_accuracy") else chosen
    last = "recall_at_fpr" if weak and first != "recall_at_fpr" else ""
    tiles.sort(key=lambda item: (item[0] == last) - (item[0] == first))
    return tag("div", [tile for _, tile in tiles], class_="tiles") if tiles else Safe("")


def _point_tiles(point: OperatingPoint) -> list[Safe]:
    low = Interval(value=point.recall.value, low=point.recall.low, high=math.nan)
    high = Interval(value=point.false_alarms.value, low=math.nan, high=point.false_alarms.high)
    damaged = f"{count(point.defects)} damaged{words.by_group(point.defects, point.defect_groups)}, one-sided 95 %"
    sound = f"{count(point.sound)} sound{words.by_group(point.sound, point.sound_groups)}, one-sided 95 %"
    return [
        _tile("Damage found", low, damaged, bound="at least"), _tile("False alarms", high, sound, bound="at most")
    ]  # fmt: skip


def _tile(name: str, value: Interval, note: str, *, bound: str = "", reference: float = math.nan) -> Safe:
    edge = value.low if bound == "at least" else value.high
    if bound:
        bounds = f"{bound} {percent(edge)}" if known(edge) else ""
        low, high = (edge, 1.0) if bound == "at least" else (0.0, edge)  # one-sided: all that is left possible
        low, high = (low, high) if known(edge) else (math.nan, math.nan)
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
    table = tag("table", head, tag("tbody", rows), class_="classes")
    if not any(0 < row.groups < row.n for row in test.per_class):
        return table
    note = (
        "Several samples share one group, so the intervals are counted by group: k found of n samples from g groups "
        "count as k·g/n of g. Many photos of few objects leave them wide."
    )
    return join(table, tag("p", note, class_="note"))


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
            first = value is row.recall
            word = "never named" if row.n else "no test sample: not judged" if first else "–"
            cells += [tag("td", "", class_="plot"), tag("td", word, class_="span")]
            continue
        figure = tag("b", percent(value.value))
        cells.append(tag("td", strip(value, SHARE, class_="thin"), class_="plot", data_label=label))
        cells.append(tag("td", figure, " ", tag("span", span(value), class_="bounds"), class_="span"))
    return tag("tr", cells)


def confusion(test: TestResult, links: Mapping[tuple[int, int], str] | None = None) -> Safe:
    """Return the confusion matrix as a table whose shade is the share of the row.

    Args:
        test: for the matrix.
        links: (truth, answer) to where the samples behind that cell are shown.
    """
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
            href = (links or {}).get((index, other))
            shown: Child = tag("a", str(value), href=href) if href and value else str(value) if value else "·"
            cells.append(tag("td", shown, class_=kind + dark, style=shade, title=title))
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
    damaged = f" of {count(point.defects)}{words.by_group(point.defects, point.defect_groups)}"
    sound = f" of {count(point.sound)} sound samples{words.by_group(point.sound, point.sound_groups)}"
    lines = [
        join("Damage found: ", tag("b", f"{percent(point.recall.value)} %"), damaged),
        join("False alarms: ", tag("b", f"{percent(point.false_alarms.value)} %"), sound),
    ]
    bounds = (point.recall.low, point.false_alarms.high)
    for index, (word, value) in enumerate(zip(("at least", "at most"), bounds, strict=True)):
        if known(value):
            lines[index] = join(lines[index], f"; {word} {percent(value)} % with 95 % confidence")
    nothing = (
        tag("p", tag("b", "At the wanted rate nothing is found."), class_="intro") if point.finds_nothing else None
    )
    how = " ".join(part for part in _threshold(point) if part)
    return join(nothing, tag("ul", [tag("li", line) for line in lines], class_="plain"), tag("p", how, class_="note"))


def _threshold(point: OperatingPoint) -> list[str]:
    """Return where the threshold lies, what it was chosen on, and what that can show."""
    wanted = words.rate_text(point.wanted)
    beyond = "The threshold lies beyond every score." if point.finds_nothing else ""
    chosen = (
        "The threshold was chosen on the test samples themselves, so these figures are optimistic."
        if point.in_sample
        else "The threshold was chosen on held-out training folds, then frozen."
    )
    few = ""
    if not point.rate_resolved and wanted and not point.in_sample and point.held_out_sound:
        found = known(point.threshold)
        lowest = "the lowest one without a false alarm on them" if found else "none that finds a defect"
        held = words.many(point.held_out_sound, "held-out sound sample")
        few = f"{held} cannot show {wanted}: the threshold is {lowest}."
    return [
        f"An alarm is a defect score (1 − p(sound)) of {point.threshold:.3g} or more."
        if known(point.threshold)
        else beyond,
        chosen,
        f"Wanted: at most {wanted} false alarms." if wanted else "",
        few,
        words.half_sentence(point),
    ]


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
