"""XML from strangers: parsed without document types, so that no entity can grow or open a file."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from scarce.errors import ReadError
from scarce.io._picture import read_file

_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse(data: bytes, path: Path) -> Element:
    """Return the root of an XML document.

    Args:
        data: the document.
        path: where it is from, for messages.

    Raises:
        ReadError: it is no XML, or declares a document type.
    """
    parser = ET.XMLParser(target=_NoTypes())  # noqa: S314 - no document types, so there are no entities
    try:
        parser.feed(data)
        return parser.close()
    except _TypeDeclaredError:
        what = f"{path} declares a document type, through which XML can grow without end or open other files"
        raise ReadError("io", what, do="take <!DOCTYPE ...> out of it") from None
    except (ET.ParseError, ValueError, LookupError) as error:
        raise ReadError("io", f"{path} is no readable XML ({error})", do="write it again") from None


class _TypeDeclaredError(Exception):
    """A document declares a document type."""


class _NoTypes(ET.TreeBuilder):
    """Builds a tree, but refuses document types before any entity of theirs exists."""

    def doctype(self, *_: object) -> None:
        """Refuse."""
        raise _TypeDeclaredError


def begins(path: Path, root: str) -> bool:
    """Return whether a file's first element has a name; False where it cannot be read."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(4096).decode("utf-8", "replace")
    except OSError:
        return False
    found = re.search(r"<([A-Za-z_][\w.-]*)", head)
    return found is not None and found[1] == root


def child(parent: Element, name: str, value: object | None = None, /, **attributes: str) -> Element:
    """Add an element with text and return it; signs that XML cannot hold are left out."""
    found = SubElement(parent, name, {key: legal(text) for key, text in attributes.items()})
    if value is not None:
        found.text = legal(str(value))
    return found


def legal(text: str) -> str:
    """Return a text without the signs that XML cannot hold."""
    return _ILLEGAL.sub("", text)


def to_text(root: Element) -> str:
    """Return a document with line breaks."""
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def text_of(parent: Element, name: str) -> str | None:
    """Return the text of an element below, without blanks around; None where there is none."""
    found = parent.findtext(name)
    return (found or "").strip() or None


__all__ = ["Element", "begins", "child", "legal", "parse", "read_file", "text_of", "to_text"]
