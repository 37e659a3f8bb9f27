"""The label book as pages: one HTML file that opens offline, and Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from scarce.report.evidence import exhibit
from scarce.report.markup import Safe, join, tag
from scarce.report.model import Exhibit
from scarce.report.page import LIMIT, POLICY
from scarce.report.picture import Album

TEXT_RESERVE = 1_500_000
"""Bytes of the limit that are kept free for words; the rest is for pictures."""
EMPTY = "Nothing is written here yet."
STYLE = """
.book h3 { font: 600 1rem/1.3 var(--sans); margin: 22px 0 6px; } .book p, .book ul { margin: 0 0 8px; max-width: 62em; }
.book ul { padding-left: 1.2em; } .book li { margin-bottom: 4px; } .book .missing { color: var(--bad); }
.book .ticks { list-style: "\\2610\\00a0\\00a0"; } .book table { border-collapse: collapse; }
.book section { padding-top: 26px; } .book nav a { overflow-wrap: anywhere; } .book h2 { overflow-wrap: anywhere; }
.masthead h1 { overflow-wrap: anywhere; } .book .sample-text { padding: 10px 11px; overflow-wrap: anywhere; }
.book .card .sample-text { white-space: pre-line; font-size: .84rem; line-height: 1.4; }
"""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One heading of a page with its words; ``box`` gives each a box to tick."""

    title: str
    words: tuple[str, ...]
    box: bool = False


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Samples below one heading, each with a line of why it is there."""

    title: str
    exhibits: tuple[Exhibit, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class BookPage:
    """One class."""

    name: str
    facts: str
    parts: tuple[Part, ...]
    galleries: tuple[Gallery, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class BookData:
    """The whole book.

    Attributes:
        title: the project's name.
        version: number of the words' version.
        stamp: date and hash.
        changed: what changed since the version before.
        checklist: for all classes.
        quality: sentences about agreement and gold items.
        warnings: of the book as a whole.
        pages: one a class.
    """

    title: str
    version: int
    stamp: str
    changed: tuple[str, ...]
    checklist: tuple[str, ...]
    quality: tuple[str, ...]
    warnings: tuple[str, ...]
    pages: tuple[BookPage, ...]


def to_html(book: BookData, *, limit: int = LIMIT) -> str:
    """Return the book as one page below ``limit`` bytes; pictures are reduced until they fit."""
    album = Album((item for page in book.pages for gallery in page.galleries for item in gallery.exhibits),
                  limit=max(0, limit - TEXT_RESERVE))  # fmt: skip
    style = files("scarce.report").joinpath("style.css").read_text("utf-8") + STYLE
    head = tag(
        "head", tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("title", f"{book.title} · label book"), tag("style", Safe(style)),
    )  # fmt: skip
    links = [join(tag("a", page.name, href=f"#class-{place}"), " ") for place, page in enumerate(book.pages)]
    masthead = tag("header", tag("h1", f"{book.title}: label book"), tag("p", book.stamp, class_="note"),
                   class_="masthead")  # fmt: skip
    body = tag(
        "body", masthead, tag("nav", links, aria_label="Classes"),
        tag("main", _front(book), [_page(page, place, album) for place, page in enumerate(book.pages)], id="main"),
        tag("footer", "The words are those of the people who label; the pictures are chosen from the data."),
        class_="book",
    )  # fmt: skip
    return "<!doctype html>\n" + tag("html", head, body, lang="en") + "\n"


def _front(book: BookData) -> Safe:
    blocks = [("What changed", book.changed, False), ("Before handing in", book.checklist, True),
              ("Quality", book.quality, False), ("Warnings", book.warnings, False)]  # fmt: skip
    return tag("section", [_words(title, words, box=box) for title, words, box in blocks if words])


def _page(page: BookPage, place: int, album: Album) -> Safe:
    shown = [
        join(tag("h3", gallery.title), tag("div", [_card(*pair, album) for pair in zip(
            gallery.exhibits, gallery.lines, strict=True)], class_="gallery"))
        for gallery in page.galleries if gallery.exhibits
    ]  # fmt: skip
    warned = tag("ul", [tag("li", text, class_="missing") for text in page.warnings]) if page.warnings else None
    parts = [_words(part.title, part.words, box=part.box) for part in page.parts]
    return tag("section", tag("h2", page.name), tag("p", page.facts, class_="note"), warned, parts, shown,
               id=f"class-{place}")  # fmt: skip


def _words(title: str, words: Sequence[str], *, box: bool) -> Safe:
    if not words:
        return join(tag("h3", title), tag("p", EMPTY, class_="missing"))
    if len(words) == 1 and not box:
        return join(tag("h3", title), tag("p", words[0]))
    return join(tag("h3", title), tag("ul", [tag("li", text) for text in words], class_="ticks" if box else None))


def _card(item: Exhibit, line: str, album: Album) -> Safe:
    name = tag("p", _file(item.name), class_="file", title=item.name)
    return tag("figure", exhibit(item, album), tag("figcaption", tag("p", line, class_="labels"), name), class_="card")


def _file(name: str) -> str:
    return re.sub(r"^.*/", "", re.sub(r"^.*(#\d+)(:.*)?$", r"\1", name, flags=re.DOTALL)) or name


def to_markdown(page: BookPage, pictures: Mapping[str, str]) -> str:
    """Return the page of one class as Markdown; the words stay as they were written, names are escaped.

    Args:
        page: the class.
        pictures: exhibit name to the picture's file, relative to the page.
    """
    lines = [f"# {plain(page.name)}", "", page.facts, ""]
    lines += [f"> **Missing:** {plain(text)}" for text in page.warnings] + [""] * bool(page.warnings)
    for part in page.parts:
        mark = "- [ ] " if part.box else "- "
        lines += [f"## {part.title}", "", *([f"{mark}{text}" for text in part.words] or [f"*{EMPTY}*"]), ""]
    for gallery in page.galleries:
        if gallery.exhibits:
            lines += [f"## {gallery.title}", ""]
            for item, line in zip(gallery.exhibits, gallery.lines, strict=True):
                shown = f"![]({pictures[item.name]}) " if item.name in pictures else ""
                text = f": {plain(item.text)}" if item.text else ""
                lines.append(f"- {shown}{plain(line)} ({plain(_file(item.name))}){text}")
            lines.append("")
    return "\n".join(lines)


def plain(text: str) -> str:
    """Return text from users' files that Markdown shows as it is; what means nothing where it stands is not escaped.

    A bracket escaped leaves the parentheses and the exclamation mark beside it without a meaning, and an underscore
    between letters has none.
    """
    shown = escape(re.sub(r"\s+", " ", text), quote=False)
    shown = re.sub(r"([\\`*\[\]|~]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", shown)
    shown = re.sub(r"(?<=\s)(#+)$", r"\\\1", shown)  # would close a heading
    return re.sub(r"^(\d*)([#+.)-])(?=[\s#-]|$)", r"\1\\\2", shown)
