"""The label book of a project: words from its file, pictures from its data, a version for every change of the words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.ballot import ratings_of
from scarce.errors import StoreError
from scarce.label.guideline import EACH, Book, Chosen, Page, add_missing, changes, choose_examples, read_book
from scarce.loop.measure import with_features, with_scan

if TYPE_CHECKING:
    from scarce.dataset import Dataset, Ints
    from scarce.project import Project
    from scarce.report.label_book import BookData, BookPage, Gallery
    from scarce.report.model import Exhibit

FOLDER, WORDS, HISTORY = "guideline", "book.toml", "versions.json"
MOST_ROWS: Final = 20_000
"""Labelled rows that examples are chosen from; more are thinned evenly within each class."""
PARTS: Final = (
    ("Definition", "definition"), ("What it is not", "not_this"), ("Decision rules", "rules"),
    ("Edge cases", "edge_cases"), ("When unsure", "default"), ("Checklist", "checklist"),
)  # fmt: skip


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        version: number of the words' version; the same as before where they did not change.
        changed: what changed since the version before; empty if nothing did.
        words: the file that people edit.
        html: the book as one page.
        pages: class to its Markdown page.
        warnings: what is missing or below the wanted quality.
    """

    version: int
    changed: tuple[str, ...]
    words: Path
    html: Path
    pages: Mapping[str, Path]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "version": self.version, "changed": list(self.changed), "words": str(self.words), "html": str(self.html),
            "pages": {name: str(path) for name, path in self.pages.items()}, "warnings": list(self.warnings),
        }  # fmt: skip


def write_guideline(project: Project, *, workers: int | None = None, seed: int = 0) -> Written:
    """Write the label book; the words are read and kept as a version, never changed.

    Args:
        project: the project; it must have a version with classes.
        workers: threads; None = all cores.
        seed: of the folds that keep a sample from vouching for itself.

    Raises:
        ConfigError: the words' file is no TOML of its form.
        StoreError: the history of versions is damaged.
    """
    folder = project.folder / FOLDER
    ds = with_scan(project, project.dataset(), workers=workers)
    add_missing_safely(folder / WORDS, ds.schema.classes)
    book = read_book(folder / WORDS, ds.schema.classes)
    version = _versioned(folder, book)
    shown = with_features(project, ds, workers=workers, seed=seed) if (ds["label"] >= 0).any() else ds
    data = _data(project, shown, book, version, seed=seed)
    return _write(folder, data, version)


def add_missing_safely(path: Path, classes: Sequence[str]) -> None:
    """Add pages of new classes to a file that can be read as TOML; a broken one is reported by the reader instead."""
    read_book(path, classes)
    add_missing(path, classes)


def versions(folder: str | Path) -> list[dict[str, Any]]:
    """Return the versions of a project's label book, oldest first: ``version``, ``at``, ``hash``, ``changed``.

    Raises:
        StoreError: the file is damaged.
    """
    path = Path(folder) / FOLDER / HISTORY
    if not path.exists():
        return []
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return [{**row, "version": int(row["version"]), "at": str(row["at"])} for row in found]
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError("guideline", f"{path} is damaged ({error})", do="bring it back from a backup") from error


def in_force(history: Sequence[Mapping[str, Any]], at: str) -> int:
    """Return the version of the label book that an annotation was made under, 0 = before the first.

    Args:
        history: what :func:`versions` returned.
        at: when the annotation was made, as ``State.annotations`` has it (ISO, UTC).
    """
    when = datetime.fromisoformat(at)
    return max((row["version"] for row in history if datetime.fromisoformat(row["at"]) <= when), default=0)


def _versioned(folder: Path, book: Book) -> dict[str, Any]:
    """Return the words' version, a new one if they changed."""
    history = versions(folder.parent)
    if history and history[-1]["hash"] == book.hash:
        return history[-1]
    before = history[-1]["words"] if history else None
    told = changes(before, book.plain()) if before else ["first version"]
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    row = {"version": len(history) + 1, "at": at, "hash": book.hash, "changed": told, "words": book.plain()}
    _replace(folder / HISTORY, json.dumps([*history, row], indent=1, ensure_ascii=False) + "\n")
    return row


def _data(project: Project, ds: Dataset, book: Book, version: Mapping[str, Any], *, seed: int) -> BookData:
    from scarce.report.label_book import BookData

    rows, chosen = _examples(ds, seed=seed)
    quality, warnings = _quality(ds, book)
    warnings += [f"[classes.{name}] in {WORDS} is no class of the data" for name in book.strange]
    counts = np.bincount(ds["label"][rows], minlength=len(ds.schema.classes)) if len(rows) else np.zeros(1)
    pages = tuple(
        _page(ds, name, book.pages[name], chosen[code], int(counts[code]) if len(rows) else 0)
        for code, name in enumerate(ds.schema.classes)
    )
    day = version["at"][:10]
    return BookData(
        title=project.name, version=version["version"], changed=tuple(version["changed"]), checklist=book.checklist,
        stamp=f"Version {version['version']} of {day}, {version['hash']}; data {project.head}",
        quality=tuple(quality), warnings=tuple(warnings), pages=pages,
    )  # fmt: skip


def _examples(ds: Dataset, *, seed: int) -> tuple[Ints, list[Chosen]]:
    """Return the labelled rows that may be shown (none of val and test), and each class's examples as row numbers."""
    from scarce.label.zero_shot.prototype import half_whitened

    column = next((name for name in reversed(list(ds.wide)) if name.startswith("embedding.")), "")
    k = len(ds.schema.classes)
    shown = ds["keep"].astype(bool) & (ds["origin"] == "real") & (ds["label"] >= 0)
    shown &= ~np.isin(ds["split"].astype(str), ("val", "test"))
    if column:
        shown &= np.isfinite(ds[column]).all(axis=1)
    rows = np.flatnonzero(shown)
    if not len(rows):
        return rows, [Chosen((), (), ())] * k
    part = _thinned(rows, ds["label"][rows], k)
    name = next((name for name in ("split_group", "group") if name in ds), None)
    groups = ds[name][part] if name else None
    found = choose_examples(half_whitened(ds[column][part]), ds["label"][part], k, groups=groups, seed=seed)
    disputed = _disputed(ds, rows)
    corrected = _corrected(ds)
    return rows, [_joined(part, one, disputed.get(code, []), corrected.get(code, [])) for code, one in enumerate(found)]


def _thinned(rows: Ints, labels: Ints, k: int) -> Ints:
    if len(rows) <= MOST_ROWS:
        return rows
    most = max(MOST_ROWS // k, EACH)
    parts = [rows[labels == code] for code in range(k)]
    return np.sort(np.concatenate([part[:: max(1, len(part) // most)][:most] for part in parts]))


def _joined(part: Ints, one: Chosen, disputed: Sequence[int], corrected: Sequence[int]) -> Chosen:
    """Return row numbers; corrected label errors and disputed samples come first, at most three and four of them."""
    typical, counter, close = (
        [int(part[place]) for place in places] for places in (one.typical, one.counter, one.borderline)
    )
    counter = list(dict.fromkeys([*corrected[:3], *counter]))
    close = list(dict.fromkeys([*disputed[:4], *close]))
    close = [row for row in close if row not in typical and row not in counter]
    return Chosen(tuple(typical), tuple(counter[: EACH + 1]), tuple(close[:EACH]))


def _disputed(ds: Dataset, rows: Ints) -> dict[int, list[int]]:
    """Return class code to rows that somebody gave this class and others did not, the most disputed first."""
    if not len(ds.votes):
        return {}
    from scarce.audit.agreement import disagreement

    ratings, voters = ratings_of(ds)
    if not len(voters):
        return {}
    score = np.nan_to_num(disagreement(ratings, len(ds.schema.classes)))
    found: dict[int, list[int]] = {}
    for row in rows[np.argsort(-score[rows], kind="stable")].tolist():
        if score[row] <= 0:
            break
        for code in np.unique(ratings[row][ratings[row] >= 0]).tolist():
            found.setdefault(int(code), []).append(row)
    return found


def _corrected(ds: Dataset) -> dict[int, list[int]]:
    """Return class code to rows that had this class by mistake and were given another one since."""
    from scarce import clean

    found: dict[int, list[int]] = {}
    place = {sample: row for row, sample in enumerate(ds.ids.tolist())}
    for done in reversed(clean.history(ds)):
        action = done.action
        if action.kind != "relabel" or done.state != "applied":
            continue
        for sample, old in zip(action.samples, action.old, strict=False):
            row = place.get(sample, -1)
            if old in ds.schema.classes and row >= 0 and ds["split"][row] not in ("val", "test"):
                found.setdefault(ds.schema.classes.index(str(old)), []).append(row)
    return found


def _page(ds: Dataset, name: str, page: Page, chosen: Chosen, count: int) -> BookPage:
    from scarce.report.label_book import BookPage, Gallery, Part

    words = {key: (value,) if isinstance(value, str) else value for key, value in vars(page).items() if value}
    parts = tuple(Part(title=title, words=words.get(key, ()), box=key == "checklist") for title, key in PARTS)
    warnings = ["still empty: " + ", ".join(page.gaps())] * bool(page.gaps())
    galleries = []
    kinds = (("Typical", chosen.typical, EACH), ("Not this class", chosen.counter, EACH),
             ("Borderline", chosen.borderline, 1))  # fmt: skip
    for title, rows, least in kinds:
        exhibits = _shown(ds, rows)
        lines = tuple(_line(title, item) for item in exhibits)
        galleries.append(Gallery(title=title, exhibits=exhibits, lines=lines))
        if len(rows) < least:
            had = "nothing" if not rows else f"{len(rows)} only"
            warnings.append(f"{title.lower()} examples: {had}; {least} are wanted")
    facts = f"{count:,} labelled samples" if count != 1 else "1 labelled sample"
    return BookPage(name=name, facts=facts, parts=parts, galleries=tuple(galleries), warnings=tuple(warnings))


def _line(title: str, item: Exhibit) -> str:
    return {"Typical": item.label, "Not this class": f"is {item.label}"}.get(title, f"labelled {item.label}")


def _shown(ds: Dataset, rows: Iterable[int]) -> tuple[Exhibit, ...]:
    """Return rows as exhibits: pictures and drawn lines, texts, or the values of a table's row."""
    from scarce.loop.gallery import exhibits
    from scarce.modality import raw

    ids = [str(ds.ids[row]) for row in rows]
    found = exhibits(ds, ids) if ids else {}
    out = [found[sample] for sample in ids]
    if ds.schema.modality == "tabular":
        texts = [raw.told(place) for place in raw.addresses(ds, ds.rows_of(ids))] if ids else []
        out = [replace(item, data=b"", text=text) if text else item for item, text in zip(out, texts, strict=True)]
    return tuple(out)


def _quality(ds: Dataset, book: Book) -> tuple[list[str], list[str]]:
    """Return sentences about agreement and gold items, and warnings where they are below what is wanted."""
    told, warnings = [], []
    ratings, voters = ratings_of(ds)
    if len(voters) and ((ratings >= 0).sum(axis=1) >= 2).any():
        from scarce.audit.agreement import alpha_interval, judge_agreement

        alpha, items = alpha_interval(ratings)
        told.append(f"agreement (Krippendorff's alpha) {alpha.value:.2f}, 95 % interval {alpha.low:.2f} to "
                    f"{alpha.high:.2f}, {items} samples with two votes or more")  # fmt: skip
        if alpha.value < book.wanted_agreement:
            warnings.append(f"agreement is {alpha.value:.2f}, {book.wanted_agreement:g} is wanted: sharpen the rules")
        for name, one in zip(ds.schema.classes, judge_agreement(ratings, repeats=1).per_class, strict=False):
            if one.value < book.wanted_agreement:
                warnings.append(f"agreement on {name} is {one.value:.2f}, {book.wanted_agreement:g} is wanted")
    else:
        told.append("agreement is not known: no sample has two votes")
    gold_told, gold_warned = _gold(ds, book, ratings)
    return told + gold_told, warnings + gold_warned


def _gold(ds: Dataset, book: Book, ratings: Ints) -> tuple[list[str], list[str]]:
    names = {str(name): row for row, name in enumerate(ds.ids.tolist())}
    names |= {str(uri): row for row, uri in enumerate(ds.table["uri"].to_pylist()) if uri}
    gold = {item: code for code, page in enumerate(book.pages.values()) for item in page.gold}
    lost = [item for item in gold if item not in names]
    warnings = [f"gold item {item} is no sample (neither id nor file)" for item in lost[:10]]
    rows = np.array([names[item] for item in gold if item in names], np.int64)
    codes = np.array([code for item, code in gold.items() if item in names], np.int64)
    votes = ratings[rows] if ratings.size and len(rows) else np.zeros((0, 0), np.int64)
    given = int((votes >= 0).sum())
    if not given:
        return [f"{len(rows)} gold items, no votes on them"], warnings
    right = int(((votes == codes[:, None]) & (votes >= 0)).sum()) / given
    if right < book.wanted_agreement:
        warnings.append(f"{right:.0%} of the votes on gold items are right, {book.wanted_agreement:.0%} are wanted")
    return [f"{len(rows)} gold items, {right:.0%} of {given} votes on them are right"], warnings


def _write(folder: Path, data: BookData, version: Mapping[str, Any]) -> Written:
    from scarce.report.label_book import to_html, to_markdown

    place = folder / f"v{version['version']}"
    (place / "pictures").mkdir(parents=True, exist_ok=True)
    _replace(place / WORDS, (folder / WORDS).read_text(encoding="utf-8"))
    _replace(place / "book.html", to_html(data))
    pages: dict[str, Path] = {}
    for code, page in enumerate(data.pages):
        slug = f"{code:02d}-{re.sub(r'[^a-z0-9]+', '-', page.name.lower()).strip('-')[:40] or 'class'}"
        pages[page.name] = place / f"{slug}.md"
        _replace(pages[page.name], to_markdown(page, _pictures(place, slug, page.galleries)))
    _replace(place / "book.md", _index(data, pages))
    told = [*data.warnings, *_once(data.pages)]
    changed = tuple(version["changed"])
    return Written(version["version"], changed, folder / WORDS, place / "book.html", pages, tuple(told))


def _once(pages: Sequence[BookPage]) -> list[str]:
    """Return what the pages warn of, each warning once with all its classes."""
    names: dict[str, list[str]] = {}
    for page in pages:
        for text in page.warnings:
            names.setdefault(text, []).append(page.name)
    return [f"{', '.join(own)}: {text}" for text, own in names.items()]


def _pictures(place: Path, slug: str, galleries: Sequence[Gallery]) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in (item for gallery in galleries for item in gallery.exhibits if item.data):
        name = f"pictures/{slug}-{len(found)}.png"
        (place / name).write_bytes(item.data)
        found[item.name] = name
    return found


def _index(data: BookData, pages: Mapping[str, Path]) -> str:
    from scarce.report.label_book import plain

    lines = [f"# {plain(data.title)}: label book", "", data.stamp, "", "## What changed", ""]
    lines += [f"- {plain(text)}" for text in data.changed] + ["", "## Classes", ""]
    lines += [f"- [{plain(name)}]({path.name})" for name, path in pages.items()] + ["", "## Before handing in", ""]
    lines += [f"- [ ] {text}" for text in data.checklist] or ["*Nothing is written here yet.*"]
    lines += ["", "## Quality", "", *(f"- {plain(text)}" for text in (*data.quality, *data.warnings)), ""]
    return "\n".join(lines)


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
