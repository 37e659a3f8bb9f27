"""The report as one self-contained HTML page: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias

from scarce.errors import ReadError
from scarce.report import decisions, evidence, goodness, outcome
from scarce.report.markup import Child, Safe, join, tag
from scarce.report.model import ChecklistItem, Exhibit, ReportData
from scarce.report.picture import Album
from scarce.report.words import count, duration, known, many

LIMIT = 5_000_000
"""Bytes that a report never exceeds."""
TEXT_RESERVE = 900_000
"""Bytes of the limit that are kept free for everything but pictures."""
NAMES = {
    "ledger": "Decisions",
    "classes": "Classes",
    "operating": "Sound or damaged",
    "compare": "Comparison",
    "confusion": "Mix-ups",
    "proof": "Proof",
    "plan": "Plan",
    "notes": "Notes",
    "counts": "Counts",
    "quality": "Data quality",
    "checks": "Audit",
    "labels": "Labels",
    "duplicates": "Duplicates",
    "faults": "Quality",
    "grown": "Grown",
    "mistakes": "Mistakes",
    "checklist": "Checklist",
    "origin": "Origin",
}
"""Short names of the sections, for the contents line."""
NOTES = 6
"""Notes that are shown at once; the rest is folded."""
Block: TypeAlias = tuple[str, str, Safe]
"""Key, title and body of a section."""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def render(report: ReportData, path: str | os.PathLike[str]) -> Path:
    """Write the report as one HTML file under 5 MB that opens offline.

    Args:
        report: what to show.
        path: the file to write; its folder is made.

    Raises:
        ReadError: the file cannot be written.
    """
    return save(to_html(report), path)


def save(text: str, path: str | os.PathLike[str]) -> Path:
    """Write a page; the file appears whole or not at all, and its folder is made.

    Raises:
        ReadError: the file cannot be written.
    """
    place = Path(path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=place.parent, suffix=".part", delete=False) as file:
            file.write(text)
        Path(file.name).replace(place)
        place.chmod(0o644)
    except OSError as error:
        raise ReadError("report", f"{place} cannot be written ({error})", do="choose another folder") from error
    return place


def to_html(report: ReportData, *, limit: int = LIMIT) -> str:
    """Return the page as text; pictures are reduced until it keeps under ``limit`` bytes."""
    return within(limit, evidence.shown_exhibits(report), lambda album: _page(report, album))


def within(limit: int, shown: Sequence[Exhibit], draw: Callable[[Album], str]) -> str:
    """Return a page that keeps under ``limit`` bytes: its pictures are reduced until it does.

    Args:
        limit: bytes.
        shown: the pictures, the most important first.
        draw: makes the page with an album of them.
    """
    room = max(0, limit - TEXT_RESERVE)
    text = ""
    for _ in range(4):
        album = Album(shown, limit=room)
        text = draw(album)
        over = len(text.encode()) - limit
        if over <= 0 or room == 0:
            break
        room = max(0, room - over - 50_000)
    return text


def _page(report: ReportData, album: Album) -> str:
    blocks = [block for block in _sections(report, album) if block is not None]
    return document(
        f"{report.title} · scarce report", outcome.masthead(report), outcome.figures(report), blocks, NAMES,
        report.versions.get("scarce", ""),
    )  # fmt: skip


def document(  # noqa: PLR0917  the parts of a page
    title: str, header: Safe, first: Safe, blocks: Sequence[Block], names: Mapping[str, str], version: str
) -> str:
    """Return a whole page.

    Args:
        title: of the window.
        header: title and headline.
        first: what stands above the sections.
        blocks: key, title and body of each section.
        names: key to short name, for the contents line.
        version: of scarce.
    """
    style = files("scarce.report").joinpath("style.css").read_text("utf-8")
    links = [tag("a", names[key], href=f"#{key}") for key, _, _ in blocks]
    sections = [
        tag("section", tag("h2", heading, id=f"{key}-title"), body, id=key, aria_labelledby=f"{key}-title")
        for key, heading, body in blocks
    ]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="generator", content="scarce"),
        tag("title", title),
        tag("style", Safe(style)),
    )
    body = tag(
        "body",
        tag("a", "Skip to the results", href="#main", class_="skip"),
        header,
        tag("nav", links, aria_label="Contents"),
        tag("main", first, sections, id="main"),
        tag("footer", f"Made by scarce {version}. This file holds everything it shows."),
    )
    return "<!doctype html>\n" + tag("html", head, body, lang="en") + "\n"


def _sections(report: ReportData, album: Album) -> list[Block | None]:
    test = report.test
    return [
        ("ledger", "What each decision gained", decisions.ledger(report)) if report.ledger else None,
        ("classes", "Class by class", outcome.per_class(test, report.normal_classes))
        if test and test.per_class
        else None,
        _operating(report),
        ("compare", "Beside other figures", outcome.comparisons(report.comparisons)) if report.comparisons else None,
        _confusions(report),
        ("proof", "What the counts can prove", _notes(report.proofs)) if report.proofs else None,
        ("plan", "Why this plan", _notes(report.plan)) if report.plan else None,
        ("notes", "Notes", _notes(report.notes)) if report.notes else None,
        _counts(report),
        ("quality", "How good the data is", goodness.quality(report.quality)) if report.quality else None,
        _checks(report),
        _label_errors(report, album),
        _duplicates(report, album),
        ("faults", "Picture quality and outliers", evidence.faults(report.faults, album)) if report.faults else None,
        _grown(report, album),
        _mistakes(report, album),
        ("checklist", "Checklist of a data-centric project", _checklist(report.checklist))
        if report.checklist
        else None,
        ("origin", "How this report was made", _origin(report)),
    ]


def _intro(text: str) -> Safe:
    return tag("p", text, class_="intro")


def _operating(report: ReportData) -> Block | None:
    if report.operating_point:
        return ("operating", "Sound or damaged", outcome.operating(report.operating_point))
    return ("operating", "Sound or damaged", _intro(report.no_point)) if report.no_point else None


def _confusions(report: ReportData) -> Block | None:
    test = report.test
    if test is None or not test.confusion:
        return None
    curve = outcome.reliable(test) if test.reliability else None
    return ("confusion", "What it mixes up", tag("div", outcome.confusion(test), curve, class_="side"))


def _counts(report: ReportData) -> Block | None:
    if not (report.before or report.after or report.counts):
        return None
    bars = decisions.class_counts(report) if report.before or report.after else None
    body = join(bars, decisions.split_counts(report), decisions.conditions(report))
    return ("counts", "Training samples, before and after", body)


def _checks(report: ReportData) -> Block | None:
    if not (report.checks or report.set_aside):
        return None
    aside: Child = None
    if report.set_aside:
        total = sum(report.set_aside.values())
        reasons = [tag("li", f"{reason}: {count(number)}") for reason, number in report.set_aside.items()]
        words = f"{many(total, 'sample')} set aside, none deleted"
        aside = tag("details", tag("summary", words), tag("ul", reasons, class_="plain"))
    return ("checks", "What the audit found", join(evidence.checks(report.checks) if report.checks else None, aside))


def _label_errors(report: ReportData, album: Album) -> Block | None:
    if not report.label_errors:
        return None
    intro = (
        "A model fitted on the rest of the data contradicts these labels; the figure is how sure it is of the other "
        "one. Please look: a proposal changes nothing until somebody agrees."
    )
    intro = f"{report.contradicted} {intro}".strip()
    return (
        "labels",
        "Labels that the data contradicts",
        join(_intro(intro), evidence.label_errors(report.label_errors, album)),
    )


def _duplicates(report: ReportData, album: Album) -> Block | None:
    if not report.duplicates:
        return None
    intro = (
        "Each group shows the same thing. A group is never split between training and test, which would flatter the "
        "result."
    )
    return (
        "duplicates",
        "The same thing more than once",
        join(_intro(intro), evidence.duplicates(report.duplicates, album)),
    )


def _grown(report: ReportData, album: Album) -> Block | None:
    if not report.grown:
        return None
    intro = "Left what was photographed, right what was made of it. Made samples are never tested on. "
    growing = ("augment", "synthesize", "rebalance.oversample")
    if any(row.kept and row.decision.startswith(growing) for row in report.ledger):
        intro += "The final model is trained on them."
    else:
        intro += "The ledger left these out of the final model." + (
            " The network draws changed copies of its own in every epoch." if report.draws_copies else ""
        )
    return ("grown", "What was grown", join(_intro(intro), evidence.grown(report.grown, album)))


def _mistakes(report: ReportData, album: Album) -> Block | None:
    if not report.mistakes:
        return None
    intro = (
        "Real test samples that the model gets wrong, the surest answers first. They are the best hint at what data is "
        "missing."
    )
    return ("mistakes", "Where it fails", join(_intro(intro), evidence.mistakes(report.mistakes, album)))


def _notes(notes: tuple[str, ...]) -> Safe:
    lines = [tag("li", note) for note in notes]
    first = tag("ul", lines[:NOTES], class_="notes")
    if len(lines) <= NOTES + 1:
        return tag("ul", lines, class_="notes")
    rest = tag("ul", lines[NOTES:], class_="notes")
    return join(first, tag("details", tag("summary", f"{len(lines) - NOTES} more"), rest))


def _checklist(items: tuple[ChecklistItem, ...]) -> Safe:
    lines = []
    for item in items:
        sign = tag(
            "span", "✓" if item.done else "", class_="box", role="img", aria_label="done" if item.done else "open"
        )
        evidence_text = item.evidence or ("" if item.done else "open: no evidence in this run")
        words = tag("div", tag("b", item.text), tag("span", evidence_text, class_="sub"))
        lines.append(tag("li", sign, words, class_="done" if item.done else "open"))
    done = sum(item.done for item in items)
    return join(
        _intro(f"{done} of {len(items)} are ticked by evidence from this run."), tag("ul", lines, class_="checklist")
    )


def _origin(report: ReportData) -> Safe:
    facts = [
        ("Command", tag("code", report.command, class_="command") if report.command else None),
        ("Data version", report.version),
        ("Model", report.model),
        ("Seed", None if report.seed is None else str(report.seed)),
        ("Time", duration(report.seconds) if known(report.seconds) else None),
        ("Budget", report.budget),
        ("Looks at the test set", str(report.test.looks) if report.test else None),
        ("Versions", ", ".join(f"{name} {number}" for name, number in report.versions.items())),
        ("Made", report.when),
    ]
    return tag("dl", [[tag("dt", name), tag("dd", value)] for name, value in facts if value], class_="origin")
