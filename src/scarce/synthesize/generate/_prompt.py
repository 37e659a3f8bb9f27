"""Prompts: templates with names in braces, in files that people edit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from scarce.errors import ConfigError, ReadError, closest

SHIPPED: Final = Path(__file__).parent / "prompts"


def prompt_files(folder: str | Path) -> list[Path]:
    """Copy the shipped prompts into a folder, to be edited; files that are there already stay as they are.

    Returns:
        The files, those that stayed included.
    """
    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for file in sorted(SHIPPED.glob("*.txt")):
        target = folder / file.name
        if not target.exists():
            target.write_text(file.read_text("utf-8"), "utf-8")
        found.append(target)
    return found


def read_prompt(folder: str, name: str, *, who: str) -> str:
    """Return a prompt: the user's file if the folder holds one, else the shipped one.

    Raises:
        ReadError: the folder or file cannot be read, or it is empty.
    """
    if folder and not Path(folder).expanduser().is_dir():
        raise ReadError(
            who, f"there is no folder {folder}", do="scarce.synthesize.generate.prompt_files(FOLDER) writes one"
        )
    own = Path(folder).expanduser() / f"{name}.txt" if folder else SHIPPED / f"{name}.txt"
    try:
        text = (own if own.is_file() else SHIPPED / f"{name}.txt").read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(who, f"the prompt {own} cannot be read ({error})") from error
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    if not "".join(lines).strip():
        raise ReadError(who, f"the prompt {own} is empty", do="write one, or remove the file")
    return "\n".join(lines).strip()


def read_templates(folder: str, name: str, *, who: str) -> tuple[str, ...]:
    """Return the templates of a file that holds one a line; lines with # are notes."""
    return tuple(line.strip() for line in read_prompt(folder, name, who=who).splitlines() if line.strip())


def fill(template: str, values: Mapping[str, str], *, who: str) -> str:
    """Return a template with its names in braces replaced; braces around anything else stay.

    Raises:
        ConfigError: a name is unknown; the message has the closest ones.
    """

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise ConfigError(who, f"the prompt names {{{found[1]}}}", closest(found[1], values))
        return values[found[1]]

    return re.sub(r"\{([a-z_]+)\}", value, template)


def picture_prompt(templates: Sequence[str], values: Mapping[str, str], *, turn: int, who: str) -> str:
    """Return the prompt of one picture; the templates take turns."""
    if not templates:
        raise ConfigError(
            who, "there is no template", do="give at least one, such as 'a photo of {garment} with {damage}'"
        )
    text = re.sub(r"\s+", " ", fill(templates[turn % len(templates)], values, who=who))
    return re.sub(r" +([,.])", r"\1", text).strip().strip(",")  # what an empty style leaves behind


def combined(garments: Sequence[str], damages: Sequence[str], name: str) -> list[dict[str, str]]:
    """Return every garment with every damage; without any, "the part" and the name of the class."""
    faults = tuple(damages) or (name.replace("_", " ").replace("-", " "),)
    return [{"garment": garment, "damage": damage} for garment in tuple(garments) or ("the part",) for damage in faults]
