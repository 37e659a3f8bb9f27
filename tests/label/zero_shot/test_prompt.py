"""Words for the classes: from files, from the command line, and wrong ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scarce.errors import ConfigError, DataError, ReadError, UnknownNameError
from scarce.label.zero_shot import prompts_for, read_prompts

CLASSES = ("free", "edge_crack")


def test_templates_names_and_whole_sentences() -> None:
    found, notes = prompts_for(
        CLASSES,
        templates=("a photo of {}.", "{} up close"),
        names=("free=a sound tile",),
        prompts=("free=all well",),
    )
    assert [(one.code, one.text) for one in found] == [
        (0, "a photo of a sound tile."), (0, "a sound tile up close"), (0, "all well"),
        (1, "a photo of edge crack."), (1, "edge crack up close"),
    ]  # fmt: skip
    assert notes == ["edge_crack has no words of its own: its name was put into the templates"]


def test_names_with_an_equals_sign() -> None:
    found, _ = prompts_for(("a", "a=b"), templates=("{}",), names=("a=b=c", "a=x"))
    assert [(one.code, one.text) for one in found] == [(0, "x"), (1, "c")]


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"prompts.{suffix}"
    body = {"templates": ["a {}"], "names": {"free": "sound tile"}, "prompts": {"edge_crack": ["cracked", "broken"]}}
    toml = 'templates = ["a {}"]\n[names]\nfree = "sound tile"\n[prompts]\nedge_crack = ["cracked", "broken"]\n'
    path.write_text(json.dumps(body) if suffix == "json" else toml)
    assert read_prompts(path) == {
        "templates": ["a {}"], "names": ["free=sound tile"], "prompts": ["edge_crack=cracked", "edge_crack=broken"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("templates = [", "cannot be understood"), ("template = []", "did you mean 'templates'"),
        ("templates = [3]", "a text or a list of texts"), ("names = 3", "is no table"),
        ('[names]\nfree = ""', "a text or a list of texts"),
    ],
)  # fmt: skip
def test_files_that_do_not_fit(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "prompts.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_prompts(path)
    with pytest.raises(ReadError, match="cannot be read"):
        read_prompts(tmp_path / "none.toml")


def test_words_that_do_not_fit() -> None:
    with pytest.raises(UnknownNameError, match="edge_crack"):
        prompts_for(CLASSES, prompts=("edge_crak=a crack",))
    with pytest.raises(DataError, match="names no class"):
        prompts_for(CLASSES, prompts=("a crack",))
    with pytest.raises(DataError, match="has no gap"):
        prompts_for(CLASSES, templates=("a photo",))
