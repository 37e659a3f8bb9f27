"""Optional packages: one uniform message when one is missing."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from importlib import metadata
from types import ModuleType

from scarce.errors import MissingExtraError


def need(module: str, *, extra: str) -> ModuleType:
    """Import and return an optional module.

    Args:
        module: dotted import name, for example ``"torch"``.
        extra: the extra of scarce that brings it, for example ``"train"``.

    Raises:
        MissingExtraError: the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            "scarce",
            f"this needs the package {module!r}, which cannot be imported ({error})",
            do=f"pip install 'scarce[{extra}]'",
        ) from error


@cache
def installed(package: str) -> str:
    """Return the version of an installed package, by its name on the package index; looked up once.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    return metadata.version(package)


def available(module: str) -> bool:
    """Return whether a module could be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
