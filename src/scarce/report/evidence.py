"""The report's pictures: what the checks found, what was grown, where the model fails."""

from __future__ import annotations

import re
from collections.abc import Sequence

from scarce.report.markup import Child, Safe, join, tag
from scarce.report.model import Check, DuplicateGroup, Exhibit, Fault, Grown, LabelError, Mistake, ReportData
from scarce.report.picture import Album
from scarce.report.words import check_title, count, known, many, whole

MOST = {"label_errors": 24, "duplicates": 12, "members": 6, "faults": 6, "grown": 12, "mistakes": 24}
"""How many are shown of each kind; the rest is counted."""


def shown_exhibits(report: ReportData) -> list[Exhibit]:
    """Return every exhibit that the page will show, the most important first."""
    out = [item.exhibit for item in report.label_errors[: MOST["label_errors"]]]
    out += [item for group in report.duplicates[: MOST["duplicates"]] for item in group.exhibits[: MOST["members"]]]
    for grown in report.grown[: MOST["grown"]]:
        out += [grown.exhibit, *grown.parents[:2]]
    out += [item.exhibit for item in report.mistakes[: MOST["mistakes"]]]
    for faults in _by_check(report.faults).values():
        out += [item.exhibit for item in faults[: MOST["faults"]]]
    return out


def exhibit(item: Exhibit, album: Album) -> Safe:
    """Return a picture, a text, or the name where there is neither."""
    shown = album[item]
    if shown is not None:
        sharp = "pixels" if shown.pixels else None
        return tag(
            "img",
            src=shown.uri,
            alt=f"{item.name} ({item.label})" if item.label else item.name,
            width=shown.width,
            height=shown.height,
            loading="lazy",
            class_=sharp,
        )
    if item.text:
        return tag("p", item.text[:400] + ("…" if len(item.text) > 400 else ""), class_="sample-text")
    return tag("p", "no picture", class_="sample-text missing")


def card(item: Exhibit, album: Album, *lines: Child, class_: str = "") -> Safe:
    """Return a sample with lines below it and the end of its name."""
    name = tag("p", _short(item.name), class_="file", title=item.name)
    return tag("figure", exhibit(item, album), tag("figcaption", lines, name), class_=f"card {class_}".strip())


def _short(name: str, most: int = 16) -> str:
    """Return the end of a long name; a row of a table is known by its number."""
    name = re.sub(r"^.*(#\d+)(:\w+)?$", r"\1", name)
    return name if len(name) <= most else "…" + name[1 - most :]


def _rest(total: int, most: int, one: str) -> Safe | None:
    return tag("p", f"And {many(total - most, one)} more, in the JSON report.", class_="note") if total > most else None


def checks(rows: Sequence[Check]) -> Safe:
    """Return what each check found."""
    body = []
    for row in rows:
        number = tag("td", count(row.found), class_="number" + (" zero" if row.found == 0 else ""))
        text = [row.summary, tag("span", row.action, class_="sub") if row.action else None]
        body.append(tag("tr", tag("th", check_title(row.name), scope="row"), number, tag("td", text)))
    head = tag(
        "tr",
        tag("th", "Check", scope="col"),
        tag("th", "Found", scope="col", class_="number"),
        tag("th", "", scope="col"),
    )
    return tag("table", tag("thead", head), tag("tbody", body), class_="checks")


def label_errors(items: Sequence[LabelError], album: Album) -> Safe:
    """Return the likeliest label errors: the picture, what it is called, what it looks like."""
    cards = []
    for item in items[: MOST["label_errors"]]:
        sure = f"{whole(item.probability)} %" if known(item.probability) else ""
        words = [
            tag("p", tag("s", item.given), " → ", tag("b", item.suggested), class_="labels"),
            tag("p", _meter(item.probability), sure, class_="sure") if sure else None,
            tag("p", item.action, class_="sub") if item.action else None,
        ]
        cards.append(card(item.exhibit, album, words))
    return join(tag("div", cards, class_="gallery"), _rest(len(items), MOST["label_errors"], "sample"))


def _meter(share: float) -> Safe:
    return tag("span", tag("span", "", style=f"width:{100 * share:.0f}%"), class_="meter", aria_hidden="true")


def duplicates(groups: Sequence[DuplicateGroup], album: Album) -> Safe:
    """Return duplicate groups side by side."""
    blocks = []
    for group in groups[: MOST["duplicates"]]:
        labels = {item.label for item in group.exhibits}
        cards = [
            card(
                item,
                album,
                tag("p", item.label or "no label", class_="labels"),
                tag("p", item.split, class_="sub") if item.split else None,
            )
            for item in group.exhibits[: MOST["members"]]
        ]
        more = len(group.exhibits) - MOST["members"]
        clash = tag("span", "carries several labels", class_="chip warn") if len(labels) > 1 else None
        head = tag(
            "p",
            tag("b", many(len(group.exhibits), "sample")),
            " ",
            clash,
            tag("span", group.why, class_="sub"),
            class_="head",
        )
        tail = tag("p", f"and {more} more", class_="note") if more > 0 else None
        blocks.append(tag("div", head, tag("div", cards, class_="row"), tail, class_="group"))
    return join(tag("div", blocks, class_="groups beside"), _rest(len(groups), MOST["duplicates"], "group"))


def faults(items: Sequence[Fault], album: Album) -> Safe:
    """Return the worst samples of each quality check."""
    blocks = []
    for check, rows in _by_check(items).items():
        cards = [card(row.exhibit, album, tag("p", row.why, class_="sub")) for row in rows[: MOST["faults"]]]
        head = tag(
            "p",
            tag("b", check_title(check)),
            " ",
            many(len(rows), "sample") if len(rows) > MOST["faults"] else "",
            class_="head",
        )
        blocks.append(tag("div", head, tag("div", cards, class_="gallery tight"), class_="group"))
    return tag("div", blocks, class_="groups")


def _by_check(items: Sequence[Fault]) -> dict[str, list[Fault]]:
    out: dict[str, list[Fault]] = {}
    for item in items:
        out.setdefault(item.check, []).append(item)
    return out


def grown(items: Sequence[Grown], album: Album) -> Safe:
    """Return grown samples beside their parents."""
    cards = []
    for item in items[: MOST["grown"]]:
        pictures: list[Child] = [exhibit(parent, album) for parent in item.parents[:2]]
        arrow = tag("span", "→", class_="arrow", aria_label="becomes")
        caption = [
            tag(
                "p",
                tag("b", item.exhibit.label),
                tag("span", item.exhibit.origin, class_=f"chip {item.exhibit.origin}"),
            ),
            tag("p", item.how, class_="sub"),
        ]
        cards.append(
            tag(
                "figure",
                tag("div", pictures, arrow, exhibit(item.exhibit, album), class_="pair"),
                tag("figcaption", caption),
                class_="card family",
            )
        )
    return join(tag("div", cards, class_="gallery wide"), _rest(len(items), MOST["grown"], "sample"))


def mistakes(items: Sequence[Mistake], album: Album) -> Safe:
    """Return test samples that the model gets wrong, the surest first."""
    cards = []
    for item in items[: MOST["mistakes"]]:
        sure = f", {whole(item.probability)} % sure" if known(item.probability) else ""
        words = [
            tag("p", "is ", tag("b", item.given), class_="labels"),
            tag("p", "said ", tag("b", item.predicted), sure, class_="labels wrong"),
        ]
        cards.append(card(item.exhibit, album, words))
    return join(tag("div", cards, class_="gallery"), _rest(len(items), MOST["mistakes"], "mistake"))
