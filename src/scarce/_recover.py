"""Removing what a killed writer left in a store."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from scarce._lance import Table
from scarce._objects import Objects


def mend(dirty: Path, table: Table, objects: Objects, parts: Callable[[int], list[str]]) -> bool:
    """Finish what had begun, remove what was half written, and return whether there was anything. Needs the lock.

    Args:
        dirty: the mark of a writer; it holds the versions that were being deleted, or nothing.
        table: the versions.
        objects: their side files.
        parts: version number to the side files that it points at.
    """
    if not dirty.exists():
        return False
    table.forget(_condemned(dirty, table))
    numbers, tags = table.numbers(), table.tags()
    for number in (number for number in numbers if f"v{number}" not in tags):
        table.tag(f"v{number}", number)
    table.sweep()
    objects.sweep(objects.used(parts(number) for number in numbers))
    dirty.unlink()
    return True


def _condemned(dirty: Path, table: Table) -> list[int]:
    """Return the versions whose deletion has begun; it must be finished, for their files are half gone."""
    with suppress(ValueError):  # killed while it wrote the list: nothing was deleted yet
        return sorted({*json.loads(dirty.read_text(encoding="utf-8") or "[]")} & {*table.numbers()})
    return []
