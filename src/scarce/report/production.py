"""The page about production: figures by week with their intervals, drawn and in a table, and what comes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from scarce.report.curve import Line, lines
from scarce.report.look_parts import cell, of
from scarce.report.markup import Safe, join, tag
from scarce.report.page import document
from scarce.report.words import count, percent

NAMES: Final = {"curves": "Week by week", "table": "Months", "next": "Next"}
FIGURES: Final = {
    "detection": "defects that were called defect", "false_defect": "sound samples called defect",
    "accuracy": "answers whose class is right", "to_person": "answers left to a person",
}  # fmt: skip


def to_html(title: str, body: Mapping[str, Any], version: str = "") -> str:
    """Return the page as text.

    Args:
        title: of the project.
        body: what :func:`scarce.flywheel.overview.overview` returns.
        version: of scarce.
    """
    weeks, months, whole = (body["kpis"][name] for name in ("weeks", "months", "all"))
    shown = [name for name in FIGURES if whole and whole[name] is not None]
    charts = [_chart(weeks, name) for name in shown if sum(_said(row[name]) for row in weeks) > 1]
    plan = body["plan"]
    blocks = [
        ("curves", NAMES["curves"], join(*_notes(whole), tag("div", charts, class_="charts"))) if charts else None,
        ("table", NAMES["table"], _table([*months, whole], shown)) if whole else None,
        ("next", NAMES["next"], join(tag("p", f"Phase: {plan['phase']}. {plan['why']}."), tag("p", plan["next"]["why"]),
                                     tag("pre", plan["next"]["command"]))),
    ]  # fmt: skip
    header = tag("header", tag("p", tag("span", "scarce", class_="brand"), tag("span", title, class_="subject"),
                               class_="eyebrow"), tag("h1", "How production does", class_="lead"),
                 class_="masthead")  # fmt: skip
    first = tag("p", "Nothing was answered yet.") if whole is None else tag("p", _labels(whole), class_="intro")
    kept = [block for block in blocks if block is not None]
    return document(f"{title} · scarce production", header, first, kept, NAMES, version)


def _said(row: Mapping[str, Any] | None) -> bool:
    return row is not None and row["value"] is not None


def _chart(weeks: Sequence[Mapping[str, Any]], name: str) -> Safe:
    points = tuple(
        (float(place), row[name]["value"], row[name]["low"], row[name]["high"])
        for place, row in enumerate(weeks) if _said(row[name])
    )  # fmt: skip
    title = (name.replace("_", " ").capitalize(), "week", "%")
    return lines([Line(FIGURES[name], points)], title, x_text=lambda place: str(weeks[round(place)]["period"])[2:])


def _labels(whole: Mapping[str, Any]) -> str:
    told = f"{count(whole['labels_spent'])} labels in place of {count(whole['labels_full'])}"
    return told + (f": {percent(whole['share_saved'])} % saved." if whole["share_saved"] is not None else ".")


def _notes(whole: Mapping[str, Any] | None) -> list[Safe]:
    if whole is None:
        return []
    text = (
        f"In %, each with its 95 % interval, from {count(whole['drawn'])} samples that were drawn at random; "
        f"{count(whole['left_out'])} other confirmed answers are left out, since they were asked for because a model "
        "doubted. Answers left to a person are all counted."
    )
    return [tag("p", text, class_="intro")]


def _table(rows: Sequence[Mapping[str, Any]], shown: Sequence[str]) -> Safe:
    heads = ["", "answers", "labels", "saved", "drawn", *(name.replace("_", " ") for name in shown)]
    lines_ = [
        tag("tr", tag("th", row["period"], scope="row"), tag("td", count(row["answered"])),
            tag("td", count(row["labels_spent"])),
            tag("td", "–" if row["share_saved"] is None else percent(row["share_saved"])),
            tag("td", count(row["drawn"])),
            *(cell(of(row[name])) for name in shown)) for row in rows
    ]  # fmt: skip
    head = tag("tr", [tag("th", name, scope="col") for name in heads])
    return tag("div", tag("table", tag("thead", head), tag("tbody", lines_)), class_="scroll")
