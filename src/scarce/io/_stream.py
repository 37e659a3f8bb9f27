"""Large JSON documents, one member of their lists at a time."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Callable, Mapping
from json.scanner import make_scanner
from pathlib import Path
from typing import Any, Final

from scarce.errors import ReadError
from scarce.modality.table import refuse_special

_BLANK: Final = re.compile(r"[ \t\r\n]*")
_decode = json.JSONDecoder().raw_decode
_scan = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]


def stream(data: bytes, path: Path, take: Mapping[str, Callable[[Any], None]]) -> dict[str, Any]:
    """Return the members of a JSON object; members of some lists are handed over one by one, and not kept.

    So a list of a million members costs the memory of one.

    Args:
        data: the document.
        path: where it is from, for messages.
        take: name of a list to what takes each of its members.

    Raises:
        ReadError: it is no JSON object; the message says where it breaks.
    """
    try:
        text = data.decode("utf-8-sig")
        return _object(text, take)
    except RecursionError:
        raise ReadError("io", f"{path} is nested too deeply to be read", do="is it what its name says?") from None
    except (ValueError, IndexError) as error:
        what = f"{path} is no readable JSON ({str(error)[:160] or 'it ends too early'})"
        raise ReadError("io", what, do="write it again, or take the broken part out") from None


def _object(text: str, take: Mapping[str, Callable[[Any], None]]) -> dict[str, Any]:
    rest: dict[str, Any] = {}
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("it is no object")
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = _decode(text, at)
        at = _skip(text, at)
        if not isinstance(key, str) or text[at] != ":":
            raise ValueError(f"a name or its colon is missing at character {at}")
        at = _skip(text, at + 1)
        if key in take and text[at] == "[":
            at = _members(text, at + 1, take[key])
        else:
            rest[key], at = _decode(text, at)
        at = _separator(text, at, "}")
    return rest


def _members(text: str, at: int, take: Callable[[Any], None]) -> int:
    at = _skip(text, at)
    scan = _scan
    while text[at] != "]":
        try:
            value, at = scan(text, at)
        except StopIteration:
            raise ValueError(f"a value is missing at character {at}") from None
        take(value)
        if text[at] == "," and text[at + 1] == "{":
            at += 1
        else:
            at = _separator(text, at, "]")
    return at + 1


def _separator(text: str, at: int, close: str) -> int:
    at = _skip(text, at)
    if text[at] == ",":
        return _skip(text, at + 1)
    if text[at] != close:
        raise ValueError(f"a comma is missing at character {at}")
    return at


def _skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    assert found is not None
    return found.end()


def holds(path: Path, first: bytes, *patterns: bytes) -> bool:
    """Return whether a file's first sign is one of some, and every pattern occurs in it; False where it is unreadable.

    The file is searched where it lies, not loaded.
    """
    try:
        refuse_special(path, path.stat().st_mode)
        with path.open("rb") as file:
            head = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
            if not head or head[0] not in first:
                return False
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as body:
                return all(re.search(pattern, body) for pattern in patterns)
    except (OSError, ValueError):
        return False
