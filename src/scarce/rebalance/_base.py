"""The base class of rebalancing methods, and what they answer."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import ConfigError, DataError, closest
from scarce.loss_spec import LossSpec
from scarce.registry import Plugin, refuse_types

if TYPE_CHECKING:
    from scarce.rebalance._resample import Resampled, Samples

ELSEWHERE: Final = {
    "sampling_strategy": "here it is ratio, or target_count (class to its size)", "k_neighbors": "here it is neighbors",
    "n_neighbors": "here it is neighbors", "m_neighbors": "here it is around",
    "random_state": "here it is seed, of fit_resample", "categorical_features": "here it is categories",
}  # fmt: skip
"""What settings of imbalanced-learn are called here."""
Counts = Sequence[int] | Sequence[float] | Array | Mapping[Any, int]


@dataclass(frozen=True)
class Adjustment:
    """What a rebalancing method asks for, in ``schema.classes`` order.

    Attributes:
        loss: the loss to train with.
        extra: (K,) rows to add to each class: augmented copies first, repeats where there are none; None = none.
        keep: (K,) rows of each class to train on; None = all.
    """

    loss: LossSpec = LossSpec()  # noqa: RUF009  frozen
    extra: tuple[int, ...] | None = None
    keep: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class AbstractRebalance(Plugin, ABC):
    """Base of rebalancing methods: from the counts of the training rows to an :class:`Adjustment`.

    Methods that change the samples and not the loss also follow imbalanced-learn's convention, ``fit_resample``.
    """

    interpolates: ClassVar[bool] = False
    """Whether new rows lie between others, which means nothing for pixels."""

    def __new__(cls, **settings: Any) -> Self:
        """Refuse a setting that the method does not have, before the dataclass does.

        Raises:
            ConfigError: with the closest name, or what a setting of imbalanced-learn is called here.
        """
        known = [field.name for field in fields(cls)]
        for name in settings:
            if name not in known:
                raise ConfigError(f"rebalance.{cls.plugin_name()}", f"unknown setting {name!r}",
                                  ELSEWHERE.get(name, closest(name, known)),
                                  f"its settings are {', '.join(known)}" if known else "")  # fmt: skip
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Refuse values of a wrong type, then those that are out of range."""
        refuse_types(f"rebalance.{self.plugin_name()}", self)
        self._check()

    def _check(self) -> None:
        """Refuse settings out of range.

        Raises:
            ConfigError: a setting is.
        """

    @abstractmethod
    def adjust(self, counts: Counts) -> Adjustment:
        """Return what to change for (K,) counts of training rows (or sums of their weights); a mapping names them."""

    def fit_resample(
        self, X: Any, y: Any, *, seed: int = 0, neighbors: Array | None = None
    ) -> tuple[Any, Any]:  # fmt: skip
        """Return features and labels with samples added or left out; see :meth:`resample`.

        A DataFrame comes back as one with the same columns, a Series of labels as a Series; else they are arrays.
        """
        found = self.resample(X, y, seed=seed, neighbors=neighbors)
        if hasattr(X, "iloc") and found.repeats:
            features: Any = X.iloc[found.sources].reset_index(drop=True)
        else:
            features = found.arrays()[0]
            features = type(X)(features, columns=X.columns).infer_objects() if hasattr(X, "iloc") else features
        labels = y.iloc[found.sources].reset_index(drop=True) if hasattr(y, "iloc") else found.labels
        return features, labels

    def resample(self, X: Any, y: Any, *, seed: int = 0, neighbors: Array | None = None) -> Resampled:
        """Return which samples stay and which are new, with what each was made from; features are made when asked for.

        Args:
            X: (N, D) features, an array or a DataFrame; pictures (N, H, W, ...) work, with a warning where rows are
                interpolated. What only repeats samples or leaves some out takes text and missing values, too.
            y: (N,) labels: numbers or text, none missing.
            seed: of what is drawn.
            neighbors: (N, m) rows of the nearest others of every sample, near ones first, where that is known already:
                saves the search for methods that look at the other classes.

        Raises:
            DataError: the method changes no samples, or cannot use these.
            ConfigError: the wanted sizes name a class that is not there, or the seed is no whole number >= 0.
        """
        from scarce.rebalance._resample import samples

        name = self.plugin_name()
        if type(self)._draw is AbstractRebalance._draw:
            raise DataError(f"rebalance.{name}", "this method changes the loss and no samples",
                            do="take its loss from adjust, or take oversample, undersample or smote")  # fmt: skip
        if self.interpolates and _like_pixels(X):
            warn_of_pixels(name)
        return self._draw(samples(self, X, y, seed=seed, neighbors=neighbors))

    def _draw(self, given: Samples) -> Resampled:
        """Return what the method draws; methods that only change the loss have none."""
        raise NotImplementedError


def _like_pixels(X: Any) -> bool:
    """Return whether samples look like raw pixels: pictures, bytes, or many columns of gray levels as numbers."""
    if np.ndim(X) > 2 or getattr(X, "dtype", None) == np.uint8:
        return True
    if not isinstance(X, np.ndarray) or X.ndim != 2 or X.shape[1] < 64 or X.dtype.kind != "f" or not len(X):
        return False
    some = X[:: -(-len(X) // 100)]
    if not np.isfinite(some).all() or some.min() < 0 or some.max() > 255 or not some.max() > 0:
        return False
    levels = some * 255 if some.max() <= 1 else some
    return bool(np.abs(levels - np.round(levels)).max() < 1e-3)


def warn_of_pixels(who: str) -> None:
    """Warn that points between raw pixels mean little, and point to features."""
    warnings.warn(
        f"{who} between raw pixels draws two pictures over each other: give features in their place "
        "(scarce encode, then scarce.rebalance.resample)", UserWarning, stacklevel=4,
    )  # fmt: skip


def checked_counts(counts: Counts, who: str) -> Floats:
    """Return (K,) float64 counts.

    Raises:
        DataError: not one number a class, negative or infinite ones, or no sample at all.
    """
    counts = list(counts.values()) if isinstance(counts, Mapping) else counts
    values = np.asarray(counts, np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all() or (values < 0).any():
        raise DataError(f"rebalance.{who}", f"counts = {np.asarray(counts).tolist()} are no class counts",
                        do="give one number >= 0 for each class")  # fmt: skip
    if not values.any():
        raise DataError(f"rebalance.{who}", "no class has a training sample", do="label or split the data first")
    return values


def normalized(weights: Floats, counts: Floats) -> Floats:
    """Return weights scaled to 1 on average over the samples; a class without samples gets weight 1."""
    present = counts > 0
    mean = float((weights[present] * counts[present]).sum() / counts.sum())
    return np.where(present, weights / mean, 1.0)
