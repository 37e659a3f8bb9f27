"""The label book: what each class means, in the words of the people who label, and pictures chosen from the data.

The words live in one TOML file that belongs to its authors; it is read, never rewritten (classes that are new are added
at its end). Every change of the words is a version with a number, a date, a hash and a list of what changed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from scarce.config import check_types, value_to_toml
from scarce.dataset import Array, Floats, Ints
from scarce.errors import ConfigError, ReadError, closest
from scarce.label.zero_shot.prototype import prototype_cosines
from scarce.lineage import canonical_json, digest

EACH: Final = 5
"""Pictures of a kind that a page should have at least."""
WINDOW: Final = 6
"""Examples are chosen among so many times the samples that are wanted, so that they differ from one another."""
HEAD: Final = """# The label book. These are your words: scarce reads them and never changes them.
# After a change, `scarce label guideline` writes the pages anew and keeps the change as a version.

[book]
wanted_agreement = 0.8  # Krippendorff's alpha; below it the book warns
checklist = []          # what everybody checks before handing in
"""
SKELETON: Final = """
[classes.{name}]
definition = ""   # what it is, in one or two sentences
not = []          # what it is not, and which class that is
rules = []        # decisions with a limit that can be measured: "longer than 2 mm is a crack"
edge_cases = []   # cases that people asked about, and the answer
default = ""      # what to choose when unsure
checklist = []    # what to check before choosing this class
gold = []         # ids or files of samples that everybody must get right
"""


@dataclass(frozen=True, kw_only=True)
class Page:
    """The words about one class; empty where nobody wrote them yet."""

    definition: str = ""
    not_this: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    edge_cases: tuple[str, ...] = ()
    default: str = ""
    checklist: tuple[str, ...] = ()
    gold: tuple[str, ...] = ()

    def gaps(self) -> list[str]:
        """Return what is still missing."""
        empty = [SPOKEN[item.name] for item in fields(self) if not getattr(self, item.name)]
        unmeasured = bool(self.rules) and not any(re.search(r"\d", rule) for rule in self.rules)
        return empty + ["a rule with a measurable limit (none holds a number)"] * unmeasured


SPOKEN: Final = {
    "definition": "definition", "not_this": "what it is not", "rules": "decision rules", "edge_cases": "edge cases",
    "default": "the default when unsure", "checklist": "checklist", "gold": "gold items",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Book:
    """All words.

    Attributes:
        pages: class to its page.
        checklist: for all classes.
        wanted_agreement: Krippendorff's alpha that is asked for.
        strange: classes in the file that do not exist (any more).
    """

    pages: Mapping[str, Page]
    checklist: tuple[str, ...] = ()
    wanted_agreement: float = 0.8
    strange: tuple[str, ...] = field(default=(), compare=False)

    def plain(self) -> dict[str, Any]:
        """Return the words as plain values."""
        pages = {
            name: {key: value for key, value in asdict(page).items() if value} for name, page in self.pages.items()
        }
        return {"wanted_agreement": self.wanted_agreement, "checklist": list(self.checklist), "classes": pages}

    @property
    def hash(self) -> str:
        """Return 12 hex digits over the words."""
        return digest(canonical_json(self.plain()))[:12]


def read_book(path: str | Path, classes: Sequence[str]) -> Book:
    """Return the words of a file; classes without any have an empty page.

    Args:
        path: the file; need not exist.
        classes: class names, in order.

    Raises:
        ReadError: it cannot be read.
        ConfigError: it is no TOML of this form; the message names the key.
    """
    path = Path(path)
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8-sig")) if path.exists() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError("label.guideline", f"{path} cannot be read ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("label.guideline", f"{path} is not TOML: {error}", do="mend that line") from error
    strange = [key for key in body if key not in ("book", "classes")]
    if strange:
        there = closest(strange[0], ("book", "classes"))
        raise ConfigError("label.guideline", f"unknown section [{strange[0]}] in {path.name}", there)
    said = body.get("classes", {})
    words = {name: _page(path, name, part) for name, part in said.items()}
    general = check_types(f"{path.name} [book]", _General, body.get("book", {}))
    pages = {name: words.get(name, Page()) for name in classes}
    return Book(pages=pages, strange=tuple(name for name in words if name not in pages), **general)


@dataclass(frozen=True, kw_only=True)
class _General:
    """The keys of ``[book]``."""

    wanted_agreement: float = 0.8
    checklist: tuple[str, ...] = ()


def _page(path: Path, name: str, part: Any) -> Page:
    who = f"{path.name} [classes.{name}]"
    if not isinstance(part, Mapping):
        raise ConfigError("label.guideline", f"{who} is no table", do=f"write [classes.{name}]")
    renamed = {"not_this" if key == "not" else key: value for key, value in part.items()}
    lists = {item.name for item in fields(Page) if item.type.startswith("tuple")}
    body = {key: [value] if key in lists and isinstance(value, str) else value for key, value in renamed.items()}
    return Page(**check_types(who, Page, body))


def add_missing(path: str | Path, classes: Sequence[str]) -> list[str]:
    """Add empty pages of new classes at the end of a file, or write it; return the names. What is there stays.

    Args:
        path: the file.
        classes: class names.
    """
    path = Path(path)
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    known = tomllib.loads(old.removeprefix("\ufeff")).get("classes", {}) if old else {}
    new = [name for name in classes if name not in known]
    if new:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = old or HEAD
        text += "\n" * (not text.endswith("\n")) + "".join(SKELETON.format(name=value_to_toml(name)) for name in new)
        part = path.with_name(path.name + ".part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    return new


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return what differs between the words of two versions (:meth:`Book.plain`), for people."""
    out = [f"{key.replace('_', ' ')} changed" for key in ("wanted_agreement", "checklist") if old[key] != new[key]]
    before, after = old["classes"], new["classes"]
    out += [f"class {name} is new" for name in after if name not in before]
    out += [f"class {name} is gone" for name in before if name not in after]
    for name in after:
        for key in SPOKEN:
            was, now = before.get(name, {}).get(key), after[name].get(key)
            if name in before and was != now:
                verb = "written" if not was else "removed" if not now else "changed"
                out.append(f"{name}: {SPOKEN[key]} {verb}")
    return out


@dataclass(frozen=True)
class Chosen:
    """Rows that a page shows, best first.

    Attributes:
        typical: of the class, from the half nearest to its center, each of another look.
        counter: of other classes, nearest to this class's center.
        borderline: of the class, then of its neighbors, where features hardly tell which.
    """

    typical: tuple[int, ...]
    counter: tuple[int, ...]
    borderline: tuple[int, ...]


def choose_examples(
    points: Floats, labels: Ints, n_classes: int, *, groups: Array | None = None, each: int = EACH, seed: int = 0
) -> list[Chosen]:
    """Return the examples of each class.

    Args:
        points: (N, P) unit vectors, for example :func:`scarce.label.zero_shot.prototype.half_whitened`.
        labels: (N,) codes, -1 = unlabelled.
        n_classes: K.
        groups: (N,) groups (parts, patients); at most one sample of a group in each row of pictures where possible.
        each: pictures of a kind.
        seed: of the folds that keep a sample from vouching for itself.
    """
    cosines = prototype_cosines(points, labels, n_classes, groups=groups, seed=seed)
    cosines = np.where(np.isfinite(cosines), cosines, -1.0)
    known = labels >= 0
    own = np.where(known, cosines[np.arange(len(labels)), np.maximum(labels, 0)], -1.0)
    others = cosines.copy()
    others[np.arange(len(labels)), np.maximum(labels, 0)] = -np.inf
    margin = own - (others.max(axis=1) if n_classes > 1 else -1.0)
    rival = others.argmax(axis=1) if n_classes > 1 else np.full(len(labels), -1)
    look = _Looks(points, groups)
    out = []
    for code in range(n_classes):
        mine, foreign = np.flatnonzero(labels == code), np.flatnonzero(known & (labels != code))
        mine = mine[np.argsort(-own[mine], kind="stable")]
        foreign = foreign[np.argsort(-cosines[foreign, code], kind="stable")]
        foreign = foreign[_place_in_class(labels[foreign]) < 2 * each]
        typical = look.choose(mine[: max(each, -(-len(mine) // 2))], each)
        counter = look.choose(foreign[: WINDOW * each], each)
        shown = (*typical, *counter)
        close = np.argsort(np.abs(margin), kind="stable") if n_classes > 1 else np.zeros(0, np.int64)
        close = close[known[close] & ~np.isin(close, shown)]
        inside, outside = close[labels[close] == code], close[(labels[close] != code) & (rival[close] == code)]
        border = look.choose(inside[: WINDOW * each], each - min(each // 2, len(outside)))
        out.append(Chosen(typical, counter, (*border, *look.choose(outside[: WINDOW * each], each - len(border)))))
    return out


def _place_in_class(labels: Ints) -> Ints:
    """Return (N,) how many rows of the same class stand before each row."""
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], labels[order])
    out = np.empty(len(labels), np.int64)
    out[order] = np.arange(len(labels)) - starts
    return out


@dataclass(frozen=True)
class _Looks:
    """Chooses rows that differ from one another."""

    points: Floats
    groups: Array | None

    def choose(self, rows: Ints, most: int) -> tuple[int, ...]:
        """Return the first row and then, again and again, the one least like those chosen; other groups first."""
        chosen = [int(row) for row in rows[: min(most, 1)]]
        rows = rows[len(chosen) :]
        alike = np.full(len(rows), -np.inf)
        while len(chosen) < most and len(rows):
            last = chosen[-1]
            alike = np.maximum(alike, self.points[rows] @ self.points[last])
            if self.groups is not None and self.groups[last] is not None:
                alike[self.groups[rows] == self.groups[last]] = np.inf
            place = int(alike.argmin())
            chosen.append(int(rows[place]))
            rows, alike = np.delete(rows, place), np.delete(alike, place)
        return tuple(chosen)
