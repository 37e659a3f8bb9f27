"""The words of the label book, and which samples it shows."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from scarce.errors import ConfigError
from scarce.label.guideline import EACH, add_missing, changes, choose_examples, read_book

CLASSES = ("free", 'odd "name"\n[x]', "crack")


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_the_skeleton_is_empty_and_asks_for_every_part(tmp_path: Path) -> None:
    path = tmp_path / "guideline" / "book.toml"
    assert add_missing(path, CLASSES) == list(CLASSES)
    book = read_book(path, CLASSES)
    assert list(book.pages) == list(CLASSES)
    assert book == read_book(tmp_path / "none.toml", CLASSES)
    assert len(book.pages["crack"].gaps()) == 7


def test_words_are_never_overwritten(tmp_path: Path) -> None:
    mine = '# mine\n[book]\nchecklist = ["look twice"]\n\n[classes.crack]\ndefinition = "dark"  # keep'
    path = write(tmp_path / "book.toml", mine)
    assert add_missing(path, CLASSES) == list(CLASSES[:2])
    text = path.read_text()
    assert text.startswith(mine)
    assert set(tomllib.loads(text)["classes"]) == set(CLASSES)
    assert add_missing(path, CLASSES) == []
    assert path.read_text() == text


def test_parts_are_read_and_gaps_told(tmp_path: Path) -> None:
    text = """
    [classes.crack]
    definition = "a dark line"
    not = "a scratch"
    rules = ["longer than wide"]
    edge_cases = ["at the rim"]
    default = "free"
    checklist = ["zoom in"]
    gold = ["a.png"]
    [classes.gone]
    definition = "renamed"
    """
    book = read_book(write(tmp_path / "book.toml", text), CLASSES)
    assert book.pages["crack"].not_this == ("a scratch",)
    assert book.pages["crack"].gaps() == ["a rule with a measurable limit (none holds a number)"]
    assert book.strange == ("gone",)
    measured = read_book(write(tmp_path / "book.toml", text.replace("longer than wide", "longer than 2 mm")), CLASSES)
    assert measured.pages["crack"].gaps() == []
    assert measured.hash != book.hash
    assert changes(book.plain(), measured.plain()) == ["crack: decision rules changed"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[classes.crack]\ndefinitio = 'x'", "did you mean 'definition'"), ("[clases.crack]", "did you mean 'classes'"),
        ("[classes", "is not TOML"), ("[classes]\ncrack = 3", "is no table"),
        ("[classes.crack]\nrules = 3", "wrong type"), ("[book]\nwanted_agreement = 'x'", "wrong type"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path / "book.toml", text)
    with pytest.raises(ConfigError, match=said):
        read_book(path, CLASSES)
    assert path.read_text() == text


def test_what_changed_is_listed() -> None:
    old = {"wanted_agreement": 0.8, "checklist": [], "classes": {"a": {"definition": "x"}, "b": {}}}
    new = {"wanted_agreement": 0.9, "checklist": [], "classes": {"a": {"rules": ["y"]}, "c": {}}}
    assert changes(old, new) == [
        "wanted agreement changed", "class c is new", "class b is gone", "a: definition removed",
        "a: decision rules written",
    ]  # fmt: skip


def rows(seed: int = 0, each: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), each)
    axes = np.eye(8)[:3]
    points = axes[labels] + rng.normal(0, 0.25, (3 * each, 8))
    points[5] = axes[0] + axes[1]  # lies between two classes
    points[70] = axes[0]  # of class 1, looks just like class 0
    return points / np.linalg.norm(points, axis=1, keepdims=True), labels


def test_typical_are_central_counter_examples_foreign_and_borderline_between() -> None:
    points, labels = rows()
    chosen = choose_examples(points, labels, 3)
    center = points[labels == 0].mean(0) / np.linalg.norm(points[labels == 0].mean(0))
    central = points @ center
    first = chosen[0]
    assert [len(part) for part in (first.typical, first.counter, first.borderline)] == [EACH] * 3
    assert (labels[list(first.typical)] == 0).all()
    assert central[list(first.typical)].min() >= np.median(central[labels == 0])
    assert first.counter[0] == 70
    assert (labels[list(first.counter)] != 0).all()
    assert 5 in first.borderline
    assert not set(first.typical) & set(first.borderline)
    assert chosen == choose_examples(points, labels, 3)


def test_typical_ones_do_not_show_one_object_five_times() -> None:
    points, labels = rows()
    points[:6] = points[:6].mean(0) / np.linalg.norm(points[:6].mean(0))  # six pictures of one part
    groups = np.array([f"g{place}" for place in range(len(labels))], object)
    groups[:6] = "part"
    typical = choose_examples(points, labels, 3, groups=groups)[0].typical
    assert len(set(groups[list(typical)])) == EACH
    assert len([row for row in choose_examples(points, labels, 3)[0].typical if row < 6]) <= 1


def test_small_classes_and_unlabelled_rows() -> None:
    points, labels = rows()
    labels = labels.copy()
    labels[labels == 2] = -1
    labels[179] = 2
    chosen = choose_examples(points, labels, 4)
    assert chosen[2].typical == (179,)
    assert len(chosen[2].counter) == EACH
    assert chosen[3].typical == ()
    alone = choose_examples(points[labels == 0], labels[labels == 0], 1)[0]
    assert alone.counter == alone.borderline == ()
    assert len(alone.typical) == EACH


def test_a_warning_that_all_classes_share_is_told_once() -> None:
    from scarce.loop.guideline import _once
    from scarce.report.label_book import BookPage

    pages = [BookPage(name=name, facts="", parts=(), galleries=(), warnings=("still empty: rules", *more))
             for name, more in (("coat", ()), ("shirt", ("few examples",)))]  # fmt: skip
    assert _once(pages) == ["coat, shirt: still empty: rules", "shirt: few examples"]
