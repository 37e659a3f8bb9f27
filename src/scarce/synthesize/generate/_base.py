"""The frame of a generator: an order in, samples with a record of how they were made out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from scarce.dataset import Array
from scarce.registry import Plugin


class Stopped(Exception):  # noqa: N818  not a fault: a limit that the user set was reached
    """A budget is used up; what was made so far is kept."""


@dataclass(frozen=True, eq=False)
class Source:
    """A real training sample that an order is made from.

    Attributes:
        id: its sample id; it becomes a parent.
        label: its class.
        content: uint8 picture (H, W) or (H, W, 3), or text.
    """

    id: str
    label: str
    content: Array | str


@dataclass(frozen=True, eq=False)
class Order:
    """What is to be made next.

    Attributes:
        index: number of the order; the same number with the same seed asks for the same thing.
        label: class of what comes out.
        seed: for everything random in it.
        count: how many are wanted at most.
        values: what the combination holds, for example garment and damage.
        classes: all classes of the data.
        sources: real samples that may be shown to the model or changed by it.
    """

    index: int
    label: str
    seed: int
    count: int = 1
    values: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, eq=False)
class Made:
    """One sample that came out.

    Attributes:
        content: uint8 picture (H, W) or (H, W, 3), or text.
        mask: (H, W) bool pixels of the defect; None where nobody knows them.
        parents: ids of the real samples that it was made from.
        record: plain values: prompt, model, revision, settings of this one.
        refused: why it cannot be used, where that is known already.
    """

    content: Array | str
    mask: Array | None = None
    parents: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""


class Maker(Protocol):
    """A model that is loaded, or a server that is spoken to."""

    @property
    def spent(self) -> Mapping[str, float]:
        """Calls and money so far, in this session."""
        ...

    def make(self, order: Order) -> Iterator[Made]:
        """Yield what came out, as it comes; a fault half way leaves what was yielded."""
        ...


@dataclass(frozen=True, kw_only=True)
class AbstractGenerator(Plugin, ABC):
    """Base of generators.

    Args:
        per_combination: so many accepted ones of every combination (garment with damage, kind of edge case, angle with
            light), in place of the number asked for; 0 = the combinations take turns.
    """

    makes: ClassVar[str] = "image"
    """The kind of data: image or text."""
    free: ClassVar[tuple[str, ...]] = ()
    """Parameters that may change between two sessions on one folder, since no sample depends on them."""

    per_combination: int = 0

    @abstractmethod
    def maker(self, spent: Mapping[str, float]) -> AbstractContextManager[Maker]:
        """Load the model, or get ready to speak to the server.

        Args:
            spent: calls and money that earlier sessions spent on the same folder; budgets count them.
        """

    def sources(self) -> tuple[str, int]:
        """Return which real training samples an order needs (none, normal, class), and how many."""
        return "none", 0

    def per_order(self) -> int:
        """Return how many samples one order may bring."""
        return 1

    def combinations(self, name: str) -> list[dict[str, str]]:  # noqa: ARG002  a hook
        """Return the values of every combination for one class; at least one."""
        return [{}]
