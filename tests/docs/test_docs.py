"""The documentation is true: its code runs, its links lead somewhere, its tables are fresh."""

from __future__ import annotations

import ast
import importlib
import re
import runpy
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest

import scarce
from scarce import testing
from scarce.cli._group import load

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, *, run: bool) -> list[str]:
    found = BLOCK.findall(path.read_text("utf-8"))
    return [body for language, more, body in found if language == "python" and ("no-run" not in more) is run]


@pytest.mark.parametrize("path", [path for path in PAGES if blocks(path, run=True)], ids=name)
def test_code_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("documented")
    monkeypatch.setitem(sys.modules, "documented", module)
    for body in blocks(path, run=True):
        exec(compile(body, name(path), "exec", flags=0, dont_inherit=True), module.__dict__)


@pytest.mark.parametrize("path", [path for path in PAGES if blocks(path, run=False)], ids=name)
def test_code_that_is_not_run_still_names_what_exists(path: Path) -> None:
    """Blocks that would need somebody's photos: they parse, and every `scarce.x` and `stage.x` in them exists."""
    for body in blocks(path, run=False):
        tree = ast.parse(body)
        modules = {"scarce": scarce}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "scarce":
                modules |= {item.name: importlib.import_module(f"scarce.{item.name}") for item in node.names}
        used = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
        known = [node for node in used if node.value.id in modules]
        assert known, "nothing in this block is checked"
        for node in known:
            assert hasattr(modules[node.value.id], node.attr), f"{node.value.id}.{node.attr}"


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text("utf-8")):
        if not re.match(r"[a-z]+:", target):
            place = (path.parent / target.partition("#")[0]).resolve()
            assert place.exists(), f"{name(path)} links to {target}"


def quoted_commands() -> list[tuple[str, list[str]]]:
    """Return every ``scarce ...`` line in code blocks and between backticks, without its comment."""
    found = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        shell = [body for language, _, body in BLOCK.findall(text) if language in {"sh", "console"}]
        lines = [line.strip() for body in shell for line in body.splitlines()]
        lines += re.findall(r"`(scarce [^`\n]+)`", BLOCK.sub("", text))
        for line in lines:
            words = re.sub(r"^\$ |^\.venv/bin/", "", line)
            if re.match(r"scarce [a-z]", words) and not re.search(r"\[OPTIONS\]|\.\.\.|[A-Z]{3,}", words):
                found.append((path.name, shlex.split(words.partition(" #")[0].partition(" > ")[0])[1:]))
    return found


@pytest.mark.parametrize(("page", "words"), quoted_commands())
def test_quoted_commands_exist_as_quoted(page: str, words: list[str]) -> None:
    command = load(words[0])
    rest = words[1:]
    while hasattr(command, "commands") and rest and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    if rest:
        command.make_context(page, rest)


def test_generated_parts_are_fresh() -> None:
    build = runpy.run_path(str(ROOT / "docs" / "build.py"))
    stale = [name(path) for path, text in build["pages"]().items() if path.read_text("utf-8") != text]
    assert not stale, f"run `make docs`: {', '.join(stale)}"


def test_every_stage_has_a_page() -> None:
    missing = [
        stage
        for stage in testing.stages()
        if not (ROOT / "docs" / "stages" / f"{stage.rpartition('.')[2]}.md").exists()
    ]
    assert not missing


@pytest.mark.parametrize(
    "term",
    [
        "augmentation",
        "synthesis",
        "oversampling",
        "online",
        "offline",
        "SMOTE",
        "generative",
        "class weights",
        "focal loss",
    ],
)
def test_terms_are_explained(term: str) -> None:
    heads = re.findall(r"^\*\*(.+?)\*\*", (ROOT / "docs" / "terms.md").read_text("utf-8"), re.MULTILINE)
    assert any(term.lower() in head.lower() for head in heads)


def test_the_picture_in_the_readme_is_small() -> None:
    assert (ROOT / "docs" / "images" / "report.png").stat().st_size < 300_000


@pytest.mark.parametrize("path", sorted(ROOT.glob("docs/design/*.md")), ids=name)
def test_design_notes_have_their_four_parts(path: Path) -> None:
    text = path.read_text("utf-8").lower()
    for part in ("## question", "## choice", "## rejected", "## what would change our mind"):
        assert part in text, part
