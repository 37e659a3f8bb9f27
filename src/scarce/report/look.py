"""The page of one look at the test set: what ``scarce evaluate`` measured, with the samples behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from scarce.report import doubt, evidence, look_parts, outcome
from scarce.report.markup import Safe, join, tag
from scarce.report.model import Exhibit, Mistake, ReportData
from scarce.report.page import LIMIT, Block, document, within
from scarce.report.picture import Album
from scarce.report.words import many, whole

CELLS, OF_CELL, OF_RIGHT, OF_CLUSTER = 24, 6, 4, 5
"""Cells of the confusion matrix that are shown with samples, and samples of a cell, a right answer, a cluster."""
NAMES: Final = {
    "classes": "Classes", "confusion": "Mix-ups", "cells": "Samples", "operating": "Sound or damaged",
    "costs": "Costs", "calibration": "Probabilities", "unknown": "Unknown", "ambiguous": "Ambiguous",
    "slices": "Slices", "field": "Field", "robustness": "Robustness", "compare": "Comparison", "next": "Next",
    "mistakes": "Mistakes", "origin": "Origin",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LookData:
    """What the page shows.

    Attributes:
        report: the figures that every report has: test result, operating point, model, version.
        body: what ``scarce evaluate --json`` prints.
        exhibits: sample id to how it is shown, for :func:`shown_ids`.
        notes: sentences for people.
    """

    report: ReportData
    body: Mapping[str, Any]
    exhibits: Mapping[str, Exhibit] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def shown_ids(body: Mapping[str, Any]) -> list[str]:
    """Return the ids of every sample that the page shows, the most important first."""
    return list(dict.fromkeys(_ids(body)))


def _ids(body: Mapping[str, Any]) -> Iterator[str]:
    for cell in body["confusion"]["cells"][:CELLS]:
        yield from cell["ids"][:OF_CELL]
    yield from (row["id"] for row in body["mistakes"]["worst"][: evidence.MOST["mistakes"]])
    yield from (row["sample"] for row in body["next"].get("questions", [])[: doubt.QUESTIONS])
    sets = (body.get("ambiguous") or {}).get("sets") or {}
    yield from (row["id"] for row in sets.get("examples", [])[: doubt.SHOWN])
    for row in body["confusion"].get("right", {}).values():
        yield from row["ids"][:OF_RIGHT]
    for row in body["next"]["classes"].values():
        for part in row["subclasses"]:
            yield from part["ids"][:OF_CLUSTER]


def to_html(look: LookData, *, limit: int = LIMIT) -> str:
    """Return the page as text, under ``limit`` bytes."""
    shown = [look.exhibits[item] for item in shown_ids(look.body) if item in look.exhibits]
    return within(limit, shown, lambda album: _page(look, album))


def _page(look: LookData, album: Album) -> str:
    report = look.report
    blocks = [block for block in _sections(look, album) if block is not None]
    return document(
        f"{report.title} · scarce evaluate", outcome.masthead(report), outcome.figures(report), blocks, NAMES,
        report.versions.get("scarce", ""),
    )  # fmt: skip


def _sections(look: LookData, album: Album) -> list[Block | None]:
    body, report = look.body, look.report
    test = report.test
    assert_test = test is not None and bool(test.per_class)
    blocks: list[Block | None] = [
        ("classes", "Class by class", look_parts.classes(body, report.normal_classes)),
        ("confusion", "What it mixes up", _matrix(look)) if assert_test else None,
        ("cells", "The samples behind each cell", _cells(look, album)),
        ("operating", "Sound or damaged", look_parts.operating(body, report)),
    ]
    parts = (
        ("costs", "What the mistakes cost", look_parts.costs(body)),
        ("calibration", "Whether its probabilities hold", doubt.calibration(body)),
        ("unknown", "Samples of none of the classes", doubt.unknown(body)),
        ("ambiguous", "Samples between classes", doubt.ambiguous(body, look.exhibits, album)),
        ("slices", "Under each condition", look_parts.slices(body)),
        ("field", "Whether the test set is as varied as the field", look_parts.field_variety(body)),
        ("robustness", "Under noise, light, rotation and blur", look_parts.robustness(body)),
        ("compare", "Beside another model", look_parts.compare(body)),
        ("next", "What to label or clean next", doubt.following(body, look.exhibits, album)),
        ("mistakes", "The surest mistakes", _mistakes(look, album)),
    )
    blocks += [(key, title, part) for key, title, part in parts if part is not None]
    return [*blocks, ("origin", "How this page was made", _origin(look))]


def _matrix(look: LookData) -> Safe:
    names = look.body["classes"]
    links = {}
    for cell in look.body["confusion"]["cells"][:CELLS]:
        place = names.index(cell["true"]), names.index(cell["predicted"])
        links[place] = f"#cell-{place[0]}-{place[1]}"
    for code, name in enumerate(names):
        if look.body["confusion"].get("right", {}).get(name, {}).get("n"):
            links[code, code] = f"#cell-{code}-{code}"
    test = look.report.test
    note = tag("p", "Every number leads to samples behind it.", class_="note")
    return join(outcome.confusion(test, links), note) if test is not None else note


def _cells(look: LookData, album: Album) -> Safe:
    body, names = look.body, look.body["classes"]
    cells = body["confusion"]["cells"]
    blocks = []
    for cell in cells[:CELLS]:
        place = names.index(cell["true"]), names.index(cell["predicted"])
        words = (tag("b", cell["true"]), " taken for ", tag("b", cell["predicted"]), f": {cell['n']}")
        blocks.append(_group(look, album, f"cell-{place[0]}-{place[1]}", words, cell["ids"][:OF_CELL]))
    rest = len(cells) - CELLS
    more = tag("p", f"And {many(rest, 'rarer pair')}, in the JSON.", class_="note") if rest > 0 else None
    right = [
        _group(look, album, f"cell-{code}-{code}", (tag("b", name), f" found: {row['n']}, the least sure first"),
               row["ids"][:OF_RIGHT])
        for code, name in enumerate(names) if (row := body["confusion"].get("right", {}).get(name)) and row["n"]
    ]  # fmt: skip
    intro = "Wrong answers first, the surest of each pair in front; then right ones."
    shown = tag("details", tag("summary", "Right answers"), tag("div", right, class_="pairs")) if right else None
    return join(tag("p", intro, class_="intro"), tag("div", blocks, class_="pairs"), more, shown)


def _group(look: LookData, album: Album, key: str, words: tuple[Any, ...], ids: list[str]) -> Safe:
    cards = [evidence.card(look.exhibits[item], album) for item in ids if item in look.exhibits]
    return tag("div", tag("p", words, class_="head"), tag("div", cards, class_="few"), class_="group", id=key)


def _mistakes(look: LookData, album: Album) -> Safe | None:
    rows = [row for row in look.body["mistakes"]["worst"] if row["id"] in look.exhibits]
    if not rows:
        return None
    found = [
        Mistake(exhibit=look.exhibits[row["id"]], given=row["true"], predicted=row["predicted"],
                probability=row["probability"])
        for row in rows
    ]  # fmt: skip
    total = look.body["mistakes"]["n"]
    intro = f"{many(total, 'wrong answer')} in all. Many sure ones are wrong labels; the rest show what is missing."
    return join(tag("p", intro, class_="intro"), evidence.mistakes(found[: evidence.MOST["mistakes"]], album))


def _origin(look: LookData) -> Safe:
    body, report = look.body, look.report
    wrong = body["baseline"]
    facts = [
        ("Command", tag("code", report.command, class_="command") if report.command else None),
        ("Model", body["model"]), ("Trainer", report.model), ("Data version", body["version"]),
        ("Looks at this test set", str(body["looks"])),
        ("Always the commonest class", f"{wrong['answers']}: {whole(wrong['balanced_accuracy'])} % balanced accuracy"),
        ("Seed of the intervals", str(body["seed"])),
        ("Versions", ", ".join(f"{name} {number}" for name, number in report.versions.items())),
    ]  # fmt: skip
    notes = tag("ul", [tag("li", note) for note in look.notes], class_="notes") if look.notes else None
    listed = [[tag("dt", name), tag("dd", value)] for name, value in facts if value]
    return join(notes, tag("dl", listed, class_="origin"))
