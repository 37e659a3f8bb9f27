"""What a cleaning action is, and the frame of the plugins that propose them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from scarce.dataset import Dataset
from scarce.errors import DataError
from scarce.lineage import canonical_json, digest
from scarce.registry import Plugin

KINDS: Final = ("set_aside", "bring_back", "merge", "relabel", "resplit", "ask")
Kind = Literal["set_aside", "bring_back", "merge", "relabel", "resplit", "ask"]
AWAY: Final = ("set_aside", "merge")
"""Kinds after which a sample is not kept any more."""
COLUMN: Final[Mapping[str, str]] = {
    "relabel": "label", "resplit": "split", "set_aside": "drop_reason", "merge": "drop_reason",
    "bring_back": "drop_reason",
}  # fmt: skip
"""The column that shows what an action decided."""
WHO: Final = ("model", "human")
ID_DIGITS: Final = 12
TOLD: Final = ("id", "files")
"""What a plan says for people only."""


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _texts_or_null(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(item is None or isinstance(item, str) for item in value)


def _share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "samples": _texts, "old": _texts_or_null, "new": _texts_or_null, "source": _texts_or_null, "score": _share,
    "apply": lambda value: isinstance(value, bool), "into": lambda value: value is None or isinstance(value, str),
    "kind": lambda value: isinstance(value, str), "reason": lambda value: isinstance(value, str),
}  # fmt: skip
WANTED: Final = {
    "samples": "a list of ids", "old": "a list of texts or null", "new": "a list of texts or null",
    "source": "a list of texts or null", "score": "a number from 0 to 1", "apply": "true or false",
    "into": "an id or null", "kind": "a text", "reason": "a text",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Action:
    """One change that can be undone, or a question to a person.

    Args:
        samples: ids that it is about; ``old`` and ``new`` follow their order.
        kind: ``set_aside``, ``merge`` and ``bring_back`` change keep and drop_reason, ``relabel`` changes label and
            label_source, ``resplit`` changes split, ``ask`` nothing.
        old, new: values before and after: label for relabel and ask, split for resplit, drop_reason for the others;
            null = none. A relabel from a label to the same one says that a person found it right.
        reason: one sentence for a person.
        check: the audit that found it.
        score: how bad it is, in [0, 1], 1 = worst.
        apply: whether ``apply`` carries it out; a proposal waits for a person.
        source: label_source before, per sample (relabel only), so that it can be undone.
        into: merge only: the sample that stays for all of them; it must be kept when the action is carried out.
        by: ``model``, or ``human`` where a person decided; only a person may change validation and test.
    """

    samples: tuple[str, ...]
    kind: Kind
    old: tuple[str | None, ...]
    new: tuple[str | None, ...]
    reason: str
    check: str
    score: float = 1.0
    apply: bool = True
    source: tuple[str | None, ...] = ()
    into: str | None = None
    by: str = "model"

    @cached_property
    def id(self) -> str:
        """The name of the action: the hash of what it changes, so that a plan keeps its ids on disk and in lineage."""
        return digest(canonical_json([self.kind, self.samples, self.old, self.new, self.into]))[:ID_DIGITS]

    def __post_init__(self) -> None:
        """Refuse actions that do not fit together."""
        if not self.samples or len(set(self.samples)) < len(self.samples):
            twice = next((item for item in self.samples if self.samples.count(item) > 1), None)
            what = (
                f"action {self.kind!r} names sample {twice} twice" if twice else f"action {self.kind!r} has no sample"
            )
            raise DataError("clean", what, do="name each sample once")
        if self.kind not in KINDS or not len(self.samples) == len(self.old) == len(self.new):
            raise DataError("clean", f"action {self.kind!r} has {len(self.samples)} samples, {len(self.old)} old and "
                            f"{len(self.new)} new values", f"kinds are {', '.join(KINDS)}")  # fmt: skip
        if self.by not in WHO or (self.kind == "merge") != (self.into is not None):
            what = f"action {self.kind!r} has by = {self.by!r} and into = {self.into!r}"
            raise DataError("clean", what, f"by is {' or '.join(WHO)}; into belongs to merge, and to nothing else")

    def to_json(self) -> dict[str, Any]:
        """Return plain values; ``id`` is shown for people and found anew when it is read."""
        return {
            "id": self.id, "samples": list(self.samples), "kind": self.kind, "old": list(self.old),
            "new": list(self.new), "reason": self.reason, "check": self.check, "score": round(float(self.score), 6),
            "apply": self.apply, "source": list(self.source), "into": self.into, "by": self.by,
        }  # fmt: skip

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Action:
        """Rebuild an action from :meth:`to_json`.

        Raises:
            DataError: a key is missing or unknown, or a value has a wrong type.
        """
        lists = {"samples", "old", "new", "source"}
        if not isinstance(body, Mapping):
            raise DataError(
                "clean", f"an action of the plan is {body!r}", do="an action is an object with samples, kind"
            )
        for key, value in body.items():
            if key in TYPES and not TYPES[key](value):
                what = f"{key} = {value!r} in the action {body.get('kind', '')!r} of the plan"
                raise DataError("clean", what, f"it must be {WANTED[key]}", "mend it, or plan again")
        try:
            values: dict[str, Any] = {key: tuple(value) if key in lists else value for key, value in body.items()}
            for told in TOLD:
                values.pop(told, None)
            return cls(**values)
        except TypeError as error:
            raise DataError(
                "clean", f"an action of the plan cannot be read ({error})", f"it has {sorted(body)}"
            ) from error


@dataclass(frozen=True, kw_only=True)
class AbstractAction(Plugin, ABC):
    """Base of every cleaner: it reads findings and proposes actions; nothing is changed before ``apply``."""

    @abstractmethod
    def propose(self, ds: Dataset) -> list[Action]:
        """Return actions for a dataset that has been audited."""


def findings_of(ds: Dataset, check: str, level: str) -> list[dict[str, Any]]:
    """Return the findings of one check and level, in their order."""
    return [dict(row) for row in ds.findings.to_pylist() if row["check"] == check and row["level"] == level]


def trainable(ds: Dataset, rows: Sequence[int]) -> list[int]:
    """Return the rows that are kept, real and not for evaluation: split train, pool or none."""
    keep, origin, split = ds["keep"], ds["origin"], ds["split"]
    return [row for row in rows if keep[row] and origin[row] == "real" and split[row] not in ("val", "test")]
