"""The queue as one HTML page: pictures inside, works without a network, answers leave it as a CSV."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scarce.errors import DataError, ReadError
from scarce.lineage import canonical_json, digest
from scarce.loop.asking import HEADS, KEYS, REVIEWED, Question, questions, safe
from scarce.loop.gallery import exhibits
from scarce.report.markup import Safe, join, tag
from scarce.report.picture import Album

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.project import Project

LIMIT: Final = 4_500_000
"""Bytes that the pictures of a page may take together."""
MOST: Final = 500
"""Questions on one page; the rest waits for the next one."""


def write_page(
    project: Project, ds: Dataset, path: str | Path, kinds: Collection[str] = REVIEWED, *, most: int = MOST
) -> int:
    """Write the questions that wait as an HTML page and return how many are on it.

    A person answers with keys or the mouse; the page keeps the answers in the browser and saves them as the CSV that
    ``scarce review --answers`` takes.

    Args:
        project: whose queue it is.
        ds: its newest version.
        path: the file to write; its folder is made.
        kinds: of questions, see :data:`scarce.loop.asking.KINDS`.
        most: questions on the page, the most urgent ones.

    Raises:
        DataError: no question waits.
        ReadError: the file cannot be written.
    """
    every = questions(project, ds, kinds)
    waiting = every[:most]
    if not waiting:
        raise DataError("review", "no question waits", do=f"scarce review {project.folder} --ask puts some there")
    text = to_html(ds, waiting, title=project.name, of=len(every))
    place = Path(path)
    part = place.with_name(place.name + ".part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(place)
    except OSError as error:
        raise ReadError("review", f"{path} cannot be written ({error.strerror})", do="choose another file") from error
    return len(waiting)


def to_html(ds: Dataset, waiting: Sequence[Question], *, title: str, of: int = 0) -> str:
    """Return the page as text.

    Args:
        ds: where the samples are.
        waiting: the questions on the page.
        title: of the page.
        of: how many questions wait in all; the page says if it holds fewer.
    """
    shown = exhibits(ds, list(dict.fromkeys(item.sample for item in waiting)))
    album = Album(shown.values(), limit=LIMIT)
    cards = []
    for item in waiting:
        exhibit = shown[item.sample]
        picture = album[exhibit]
        cards.append({
            "number": item.number, "sample": item.sample, "file": item.file or exhibit.name, "label": item.label or "",
            "split": item.split or "", "reason": item.reason, "kind": item.kind, "suggestion": item.suggestion,
            "probability": round(item.probability, 2), "picture": picture.uri if picture else "",
            "pixels": bool(picture and picture.pixels), "text": exhibit.text,
        })  # fmt: skip
    name = digest(canonical_json([title, [[item.number, item.sample] for item in waiting]]))[:16]
    body: dict[str, Any] = {
        "name": name, "title": title, "classes": list(ds.schema.classes), "keys": _keys(ds.schema.classes),
        "heads": [*(head for head in HEADS if head != "content"), "voter"],
        "risky": [mark for mark in "=+-@\t\r" if safe(mark) != mark], "cards": cards,
    }  # fmt: skip
    script, style = (Safe(files("scarce.review").joinpath(f"page.{kind}").read_text("utf-8")) for kind in ("js", "css"))
    mark = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{mark}'"
    data = json.dumps(body, ensure_ascii=False).replace("<", "\\u003c")
    head = tag(
        "head", tag("meta", charset="utf-8"), tag("meta", name="viewport", content="width=device-width"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy), tag("title", f"Review: {title}"),
        tag("style", style),
    )  # fmt: skip
    whole = tag("html", head, tag(
        "body", _frame(title, (len(waiting), of)), tag("script", Safe(data), type="application/json", id="data"),
        tag("script", script),
    ), lang="en")  # fmt: skip
    return f"<!doctype html>\n{whole}\n"


def _keys(classes: Sequence[str]) -> list[str]:
    """Return the key of each class; "" where the keys do not suffice."""
    return [KEYS[place] if place < len(KEYS) else "" for place in range(len(classes))]


def _frame(title: str, held: tuple[int, int]) -> Safe:
    """Return what the script fills; ``held`` are the questions on the page and all that wait."""
    few = f"The {held[0]:,} most urgent of {held[1]:,} questions; the others come on the next page."
    told = (
        "Enter or r: right. A class's key: relabel. x: set aside. u: unsure. Left and right: back and on. "
        "Delete: take the answer back. s: save."
    )  # fmt: skip
    top = tag(
        "header", tag("h1", f"Review: {title}"),
        tag("p", tag("span", id="done"), " of ", tag("span", id="all"), " answered"),
        *([tag("p", few, class_="told")] if held[1] > held[0] else []),
        tag("label", "Your name ", Safe('<input id="voter" autocomplete="name" required>')),
        tag("button", "Save answers (CSV)", id="save", type="button"),
    )  # fmt: skip
    card = tag(
        "main", tag("figure", tag("img", id="picture", alt=""), tag("pre", id="text"), tag("figcaption", id="file")),
        tag("section", tag("p", id="label"), tag("p", id="reason"), tag("p", id="verdict", role="status"),
            tag("div", id="verdicts", class_="buttons"), tag("div", id="classes", class_="buttons"),
            tag("p", told, class_="told")),
    )  # fmt: skip
    return join(top, card, tag("nav", id="strip", aria_label="All questions"))
