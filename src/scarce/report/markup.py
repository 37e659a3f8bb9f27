"""HTML that is escaped by construction: only :class:`Safe` text passes unescaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TypeAlias

VOID = frozenset({"img", "br", "hr", "meta", "col", "line", "rect", "circle", "path", "polyline", "polygon"})


class Safe(str):
    """Text that is already markup."""

    __slots__ = ()


Child: TypeAlias = "str | int | float | Sequence[Child] | None"


def flatten(child: Child) -> str:
    """Return a child as markup; plain text is escaped, a number never parts from its per cent sign, None is nothing."""
    if child is None:
        return ""
    if isinstance(child, Safe):
        return child
    if isinstance(child, list | tuple):
        return "".join(flatten(item) for item in child)
    return escape(str(child), quote=False).replace(" %", "\N{NO-BREAK SPACE}%")


def tag(name: str, /, *children: Child, **attributes: object) -> Safe:
    """Return an element.

    ``class_`` and ``for_`` lose the underscore, others become hyphens (``aria_label``). An attribute that is None or
    False is left out; True gives it without a value.
    """
    parts = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        word = key.rstrip("_").replace("_", "-")
        word = {"viewbox": "viewBox", "preserveaspectratio": "preserveAspectRatio"}.get(word, word)
        parts.append(word if value is True else f'{word}="{escape(str(value), quote=True)}"')
    opening = " ".join(parts)
    if name in VOID and not children:
        return Safe(f"<{opening}>") if name in ("img", "br", "hr", "meta", "col") else Safe(f"<{opening}/>")
    return Safe(f"<{opening}>{flatten(children)}</{name}>")


def join(*children: Child) -> Safe:
    """Return the children one after another."""
    return Safe(flatten(children))
