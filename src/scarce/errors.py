"""Every error that scarce raises on purpose, each in four parts: who, what, what is there, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class ScarceError(Exception):
    """Base of all errors that a user can cause or mend.

    Args:
        who: the part of scarce that speaks, for example ``"audit.label_error"``.
        what: what is wrong, naming the offending values.
        there: what was found instead, or what is available; may be empty.
        do: what the user can do about it; may be empty.
    """

    def __init__(self, who: str, what: str, there: str = "", do: str = "") -> None:
        self.who, self.what, self.there, self.do = who, what, there, do
        parts = (part if part.endswith("?") else part.rstrip(".") + "." for part in (what, there, do) if part)
        super().__init__(f"{who}: " + " ".join(parts))

    def __reduce__(self) -> tuple[type[ScarceError], tuple[str, str, str, str]]:
        """Pickle across processes with all four parts."""
        return (type(self), (self.who, self.what, self.there, self.do))


class DataError(ScarceError, ValueError):
    """The data cannot be used as it is."""


class ReadError(ScarceError, OSError):
    """A source, file or row cannot be read."""

    def __str__(self) -> str:
        """Return the four parts (OSError would print its own)."""
        return str(self.args[0])


class LeakError(DataError):
    """An operation would let evaluation data reach training, or the reverse."""


class ConfigError(ScarceError, ValueError):
    """A setting is unknown or has a wrong value."""


class UnknownNameError(ScarceError, LookupError):
    """A name (plugin, class, column, version, model) does not exist."""


class MissingExtraError(ScarceError, ImportError):
    """An optional package is not installed."""


class StoreError(ScarceError, RuntimeError):
    """The store on disk cannot do what was asked."""


class ConflictError(StoreError):
    """Somebody else committed first and the two changes cannot both hold."""


class ContractError(ScarceError, ValueError):
    """The data breaks a rule of its contract."""


class TrainError(ScarceError, RuntimeError):
    """Training could not produce a usable model."""


def closest(name: str, known: Iterable[str], *, most: int = 3) -> str:
    """Return a hint with the closest known names, or the first few when none is close."""
    names = sorted(str(item) for item in known)
    near = get_close_matches(name, names, n=most, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(item) for item in near) + "?"
    if not names:
        return "nothing is available"
    more = "" if len(names) <= 12 else f" and {len(names) - 12} more"
    return "known are " + ", ".join(names[:12]) + more


def unknown_name(who: str, kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """Return the uniform error for a name that does not exist."""
    return UnknownNameError(who, f"there is no {kind} {str(name)!r}", closest(str(name), known))
