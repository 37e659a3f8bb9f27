"""The report's table of the data's quality: five parts, each with its interval, over all and per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from scarce.report.chart import Axis, strip, strip_axis
from scarce.report.markup import Child, Safe, join, tag
from scarce.report.model import QualityPart
from scarce.report.words import known, percent, span

SHARE: Final = Axis(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0), width=240.0)
MEANINGS: Final = {
    "completeness": "can be read, have a label, and (tables, series) lack no value",
    "uniqueness": "are no further copy of another sample",
    "balance": "evenness of the class counts; of a class, its count over the largest",
    "label_quality": "have the right label, as far as a model of the rest can tell",
    "consistency": "have the usual form, and one label for one thing",
    "overall": "geometric mean of the parts that are known",
}
INTRO: Final = (
    "The data as it came; 100 % is best. Intervals say what the same source would show with more data. A rare class "
    "has a low balance because it is rare; that is no fault."
)


def quality(parts: Sequence[QualityPart]) -> Safe:
    """Return the parts over all as a table with intervals, and the values of each class below."""
    head = tag(
        "tr", tag("th", "Part", scope="col"), tag("th", "Share of the samples that ...", scope="col"),
        tag("th", "%", tag("span", strip_axis(SHARE), class_="only-wide"), scope="col"), tag("th", "", scope="col"),
    )  # fmt: skip
    table = tag("table", tag("thead", head), tag("tbody", [_row(part) for part in parts]), class_="classes quality")
    return join(tag("p", INTRO, class_="intro"), table, _classes(parts))


def _row(part: QualityPart) -> Safe:
    cells: list[Child] = [tag("th", title(part.name), scope="row"), tag("td", MEANINGS.get(part.name, ""))]
    if not known(part.share.value):
        return tag("tr", cells, tag("td", "", class_="plot"), tag("td", f"not known: {part.why}", class_="span"))
    exact = part.share.low == part.share.high
    bounds = "counted" if exact else span(part.share)
    cells.append(tag("td", strip(part.share, SHARE, class_="thin"), class_="plot"))
    cells.append(
        tag("td", tag("b", percent(part.share.value)), " ", tag("span", bounds, class_="bounds"), class_="span")
    )
    return tag("tr", cells)


def _classes(parts: Sequence[QualityPart]) -> Safe | None:
    names = list(parts[0].classes) if parts else []
    if not names:
        return None
    head = tag("tr", tag("th", "Class", scope="col"),
               [tag("th", title(part.name), scope="col", class_="number") for part in parts])  # fmt: skip
    rows = []
    for name in names:
        values = [part.classes[name] for part in parts]
        cells = [tag("td", percent(value.value) if known(value.value) else "–", class_="number",
                     title=span(value) if known(value.value) else None) for value in values]  # fmt: skip
        rows.append(tag("tr", tag("th", name, scope="row"), cells))
    summary = tag("summary", "Class by class, in %")
    return tag("details", summary, tag("div", tag("table", tag("thead", head), tag("tbody", rows)), class_="scroll"))


def title(name: str) -> str:
    """Return the name of a part for people."""
    return name.replace("_", " ").capitalize()
