"""What a cleaning action is, and the frame of the plugins that propose them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from scarce.dataset import Dataset
from scarce.errors import DataError
from scarce.registry import Plugin

KINDS: Final = ("set_aside", "relabel", "ask")
Kind = Literal["set_aside", "relabel", "ask"]


@dataclass(frozen=True, kw_only=True)
class Action:
    """One change that can be undone, or a question to a person.

    Args:
        samples: ids that it is about; ``old`` and ``new`` follow their order.
        kind: ``set_aside`` changes keep and drop_reason, ``relabel`` changes label and label_source, ``ask`` nothing.
        old, new: values before and after: label for relabel and ask, drop_reason for set_aside; null = none.
        reason: one sentence for a person.
        check: the audit that found it.
        score: how bad it is, in [0, 1], 1 = worst.
        apply: whether ``apply`` carries it out; a proposal waits for a person.
        source: label_source before, per sample (relabel only), so that it can be undone.
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

    def __post_init__(self) -> None:
        """Refuse actions that do not fit together."""
        if self.kind not in KINDS or not len(self.samples) == len(self.old) == len(self.new):
            raise DataError("clean", f"action {self.kind!r} has {len(self.samples)} samples, {len(self.old)} old and "
                            f"{len(self.new)} new values", f"kinds are {', '.join(KINDS)}")  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "samples": list(self.samples), "kind": self.kind, "old": list(self.old), "new": list(self.new),
            "reason": self.reason, "check": self.check, "score": round(float(self.score), 6), "apply": self.apply,
            "source": list(self.source),
        }  # fmt: skip

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Action:
        """Rebuild an action from :meth:`to_json`.

        Raises:
            DataError: a key is missing or unknown.
        """
        lists = {"samples", "old", "new", "source"}
        try:
            values: dict[str, Any] = {key: tuple(value) if key in lists else value for key, value in body.items()}
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
