"""What is judged, and the base class of the sections of a report."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.registry import Plugin


@dataclass(frozen=True, eq=False, kw_only=True)
class Judged:
    """Real labelled evaluation samples beside what a model said about them.

    Attributes:
        ids: (N,) sample ids.
        y: (N,) true codes.
        probs: (N, K) probabilities.
        classes: K names.
        normal: codes of the sound classes; empty if none is known.
        groups: (N,) split groups, drawn whole in bootstraps; None entries stand alone.
        train_counts: (K,) real samples that the model was fitted on.
        slices: name to (N,) values, one for every ``meta`` column that may be sliced by.
        out_of_fold: (labels, probabilities) of training samples from models that did not see them, or None.
        out_of_fold_groups: (M,) groups of those samples, which cross-fitting keeps whole; None = each stands alone.
        features: (N, D) what the model saw in them, or None.
        set_threshold: probability from which on a class belongs to a sample's set, as stored with the model; or None.
        false_positive_rate: wanted share of false alarms.
        draws: bootstrap draws.
        listed: most sample ids that a list names.
        seed: of the bootstraps.
    """

    ids: Array
    y: Ints
    probs: Floats
    classes: tuple[str, ...]
    normal: tuple[int, ...] = ()
    groups: Array
    train_counts: Ints
    slices: Mapping[str, Array] = field(default_factory=dict)
    out_of_fold: tuple[Ints, Floats] | None = None
    out_of_fold_groups: Array | None = None
    features: Array | None = None
    set_threshold: float | None = None
    false_positive_rate: float = 0.01
    draws: int = 1000
    listed: int = 50
    seed: int = 0

    @property
    def pred(self) -> Ints:
        """(N,) likeliest codes."""
        return np.asarray(self.probs.argmax(1), np.int64)

    @property
    def n_classes(self) -> int:
        """K."""
        return len(self.classes)

    def group_count(self, mask: Array) -> int:
        """Return how many groups the masked samples come from."""
        from scarce.metric.interval import group_codes

        return len(np.unique(group_codes(self.groups)[mask]))


@dataclass(frozen=True, kw_only=True)
class AbstractSection(Plugin, ABC):
    """Base of the sections of a report: the plugin fills one hook."""

    @abstractmethod
    def measure(self, judged: Judged) -> Any:
        """Return the section as plain values (None where it does not apply)."""


def plain(value: Any) -> Any:
    """Return a value that JSON can hold: NaN and infinities become None, NumPy numbers plain ones."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
