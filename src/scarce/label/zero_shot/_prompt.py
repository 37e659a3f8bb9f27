"""Words for the classes: templates with a gap, names that fill it, and whole sentences."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scarce.errors import ConfigError, DataError, ReadError, closest, unknown_name

GAP: Final = "{}"
TEMPLATES: Final = ("a photo of a {}.", "a close-up photo of a {}.")
KEYS: Final = ("templates", "names", "prompts")


@dataclass(frozen=True)
class Prompt:
    """One sentence about one class, and the template it came from (empty for a whole sentence)."""

    code: int
    text: str
    template: str = ""


def prompts_for(
    classes: Sequence[str], *, templates: Sequence[str] = (), names: Sequence[str] = (), prompts: Sequence[str] = ()
) -> tuple[list[Prompt], list[str]]:
    """Return the sentences of all classes, and notes about classes that have none of their own.

    Args:
        classes: class names.
        templates: sentences with a gap ``{}``; empty = two common ones.
        names: ``CLASS=WORDS`` that fill the gap; repeat a class for several.
        prompts: ``CLASS=SENTENCE`` that stand as they are; a class may have both.

    Raises:
        UnknownNameError: words for a class that does not exist.
        DataError: a template has no gap, or an entry is no ``CLASS=WORDS``.
    """
    templates = tuple(templates) or TEMPLATES
    for template in templates:
        if GAP not in template:
            raise DataError("label.zero_shot", f"the template {template!r} has no gap", do=f"write {GAP} for the class")
    words, whole = _by_class(names, classes), _by_class(prompts, classes)
    out, notes = [], []
    for code, name in enumerate(classes):
        own = words.get(name, [])
        if not own and name not in whole:
            own = [name.replace("_", " ").strip()]
            notes.append(f"{name} has no words of its own: its name was put into the templates")
        texts = {template.replace(GAP, word): template for word in own for template in templates}
        texts |= dict.fromkeys(whole.get(name, []), "")
        out += [Prompt(code, text, template) for text, template in texts.items()]
    return out, notes


def read_prompts(path: str | Path) -> dict[str, list[str]]:
    """Return templates, names and prompts of a TOML or JSON file, as settings of ``image_text``.

    The file has ``templates`` (a list), and below ``names`` and ``prompts`` a text or a list for each class.

    Raises:
        ReadError: it cannot be read.
        ConfigError: it is no TOML or JSON of this form.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError("label.zero_shot", f"{path} cannot be read ({error})", do="give a TOML or JSON file") from error
    try:
        body = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise ConfigError("label.zero_shot", f"{path} cannot be understood: {error}", do="mend that line") from error
    if not isinstance(body, Mapping):
        raise ConfigError("label.zero_shot", f"{path} holds no table", do=f"write {', '.join(KEYS)}")
    strange = [key for key in body if key not in KEYS]
    if strange:
        raise ConfigError("label.zero_shot", f"unknown key {strange[0]!r} in {path}", closest(strange[0], KEYS))
    found = {key: _entries(path, key, body[key]) for key in ("names", "prompts") if key in body}
    return {"templates": _texts(path, "templates", body.get("templates", [])), **found}


def _entries(path: Path, key: str, value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        raise ConfigError("label.zero_shot", f"{key} in {path} is no table", do=f'write [{key}] and crack = "..."')
    return [f"{name}={text}" for name, texts in value.items() for text in _texts(path, f"{key}.{name}", texts)]


def _texts(path: Path, key: str, value: Any) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ConfigError("label.zero_shot", f"{key} = {value!r} in {path}", "a text or a list of texts is wanted")
    return texts


def _by_class(entries: Iterable[str], classes: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in entries:
        name = max((own for own in classes if entry.startswith(f"{own}=")), key=len, default=None)
        if name is None and "=" not in entry:
            raise DataError("label.zero_shot", f"{entry!r} names no class", do='write "crack=a tile with a crack"')
        if name is None:
            raise unknown_name("label.zero_shot", "class", entry.partition("=")[0], classes)
        found.setdefault(name, []).append(entry[len(name) + 1 :].strip())
    return found
