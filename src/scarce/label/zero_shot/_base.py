"""The frame of a zero-shot method: a dataset in, logits of every row out, held out where a row has a label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scarce.dataset import Dataset, Floats, Mask
from scarce.registry import Plugin


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a method thinks.

    Attributes:
        logits: (N, K) scores on a log scale; -inf for classes it knows nothing about, NaN rows for samples it cannot
            judge. Rows that taught it something are judged as if they had not.
        notes: what a person should know.
        details: plain values for the report, for example how each prompt did.
    """

    logits: Floats
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AbstractZeroShot(Plugin, ABC):
    """Base of every zero-shot method."""

    @abstractmethod
    def with_features(self, ds: Dataset, *, cache: str | Path | None, workers: int | None) -> Dataset:
        """Return the dataset with the features that :meth:`judge` reads; those that are there are not computed again.

        Args:
            ds: N rows.
            cache: folder of known features, so that an interrupted run goes on where it stopped.
            workers: threads; None = one a processor.
        """

    @abstractmethod
    def judge(self, ds: Dataset, known: Mask, *, seed: int) -> Judgement:
        """Return logits of all rows.

        Args:
            ds: N rows with features.
            known: (N,) rows whose label may be used; no other label is looked at.
            seed: of folds.
        """
