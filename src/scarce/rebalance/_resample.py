"""Samples that are repeated, interpolated or left out: what was drawn; rows are made of it when they are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Floats, Ints, Mask
from scarce.errors import ConfigError, DataError
from scarce.execute.local import spread
from scarce.rebalance._base import AbstractRebalance
from scarce.rebalance.target import target_counts

BLOCK: Final = 1 << 15
"""Rows that a thread copies or makes at a time."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """Which samples stay, and which are new: 12 bytes for a new one until its features are asked for.

    A new row is ``X[first] + weight * (X[second] - X[first])``; a repeat has weight 0.

    Attributes:
        X: (N, ...) the samples that were given.
        y: (N,) their labels.
        kept: (n,) rows of X that stay.
        parents: (M, 2) int32 rows of X that a new row lies between.
        weight: (M,) float32 in [0, 1): 0 is the first parent, 1 would be the second.
        donors: (M, C) int32 rows of X whose category each new row takes, for ``categories``; None = there are none.
        categories: columns of X that hold categories.
        notes: sentences for people about what could not be done as asked.
    """

    X: Array
    y: Array
    kept: Ints
    parents: Ints
    weight: Floats
    donors: Ints | None = None
    categories: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return n + M: how many samples there are now."""
        return len(self.kept) + len(self.weight)

    @cached_property
    def repeats(self) -> bool:
        """Whether no new row lies between others, so that nothing is computed and anything can be repeated."""
        return not self.weight.any()

    @property
    def sources(self) -> Ints:
        """(n + M,) row of X that each sample is, or is first made of."""
        return np.concatenate([self.kept, self.parents[:, 0].astype(np.int64)])

    @property
    def labels(self) -> Array:
        """(n + M,) labels, those that stay first."""
        found: Array = self.y[self.sources]
        return found

    def rows(self, numbers: Array) -> Array:
        """Return (m, ...) features of some of the n + M samples, made now: for a batch at a time.

        Args:
            numbers: (m,) in [0, n + M); below n a sample that stays, from n on a new one.
        """
        numbers = np.asarray(numbers, np.int64)
        out = np.empty((len(numbers), *self.X.shape[1:]), self._dtype())
        fresh = numbers >= len(self.kept)
        out[~fresh] = self.X[self.kept[numbers[~fresh]]]
        out[fresh] = self._made(numbers[fresh] - len(self.kept))
        return out

    def arrays(self) -> tuple[Array, Array]:
        """Return (n + M, ...) features, those that stay first, and (n + M,) labels."""
        out = np.empty((len(self), *self.X.shape[1:]), self._dtype())
        n, everything = len(self.kept), len(self.kept) == len(self.X)

        def fill(start: int) -> None:
            stop = min(start + BLOCK, n) if start < n else min(start + BLOCK, len(self))
            if start >= n:
                out[start:stop] = self._made(np.arange(start - n, stop - n))
            else:
                out[start:stop] = self.X[start:stop] if everything else self.X[self.kept[start:stop]]

        spread(fill, [*range(0, n, BLOCK), *range(n, len(self), BLOCK)])
        return out, self.labels

    def lineage(self, ids: Sequence[str] | Array) -> list[dict[str, Any]]:
        """Return of each new row its ``parents`` (ids) and ``weight``, and the ``donors`` of its categories.

        Args:
            ids: (N,) names of the given samples.
        """
        names = np.asarray(ids)
        donors = [[]] * len(self.weight) if self.donors is None else names[self.donors].tolist()
        return [
            {"parents": pair, "weight": share, **({"donors": given} if given else {})}
            for pair, share, given in zip(names[self.parents].tolist(), self.weight.tolist(), donors, strict=True)
        ]

    def only(self, mask: Mask) -> Resampled:
        """Return the (n + M,) samples where the mask is true."""
        old, new = mask[: len(self.kept)], mask[len(self.kept) :]
        donors = None if self.donors is None else self.donors[new]
        return replace(
            self, kept=self.kept[old], parents=self.parents[new], weight=self.weight[new], donors=donors
        )  # fmt: skip

    def with_categories(self, columns: tuple[int, ...]) -> Resampled:
        """Return the same with the columns named whose values are taken from donors."""
        return replace(self, categories=columns)

    def _dtype(self) -> Any:
        return self.X.dtype if self.X.dtype.kind in "fO" or self.repeats else np.dtype(np.float64)

    def _made(self, numbers: Array) -> Array:
        first, second = self.parents[numbers].T
        if self.repeats:
            return np.asarray(self.X[first])
        weight = self.weight[numbers].reshape(-1, *[1] * (self.X.ndim - 1))
        if not self.categories:
            return _between(self.X[first], self.X[second], weight)
        out = np.empty((len(numbers), self.X.shape[1]), self._dtype())
        plain = np.setdiff1d(np.arange(self.X.shape[1]), self.categories)
        ends = [self.X[np.ix_(rows, plain)].astype(np.float64) for rows in (first, second)]
        out[:, plain] = _between(ends[0], ends[1], weight)
        assert self.donors is not None
        for place, column in enumerate(self.categories):
            out[:, column] = self.X[self.donors[numbers, place], column]
        return out


def _between(first: Array, second: Array, weight: Array) -> Array:
    """Return points between two rows; both are copies that may be changed."""
    if first.dtype.kind != "f":
        first, second = first.astype(np.float64), second.astype(np.float64)
    second -= first
    second *= weight.astype(second.dtype)
    second += first
    return second


@dataclass(eq=False)
class Samples:
    """What a method draws from.

    Attributes:
        X: (N, ...) as given.
        y: (N,) labels.
        points: (N, D) finite numbers that nearness is measured in; categories are left out.
        names: (K,) classes, sorted.
        codes: (N,) class of each sample.
        rng: of everything that is drawn.
        graph: (N, m) nearest others of every sample, near ones first, if that is known already.
        notes: sentences for people; added to.
    """

    X: Array
    y: Array
    points: Array
    names: Array
    codes: Ints
    rng: np.random.Generator
    graph: Ints | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[Any, int]:
        """Class to its number of samples."""
        return dict(zip(self.names.tolist(), np.bincount(self.codes).tolist(), strict=True))

    def missing(self, ratio: float, cap: int | None, target_count: Mapping[Any, int] | None) -> list[tuple[int, int]]:
        """Return code and number of new rows of every class that gets some."""
        counts = self.counts
        more = target_counts(counts, ratio, cap, target_count=target_count) - np.array(list(counts.values()))
        if not more.any():
            wanted = f"target_count = {dict(target_count)}" if target_count is not None else f"ratio = {ratio:g}"
            self.notes.append(f"{wanted} is met already by {counts}: nothing was added")
        return [(int(code), int(more[code])) for code in np.flatnonzero(more > 0)]

    def own(self, code: int, who: str) -> Ints:
        """Return the rows of a class that is to be interpolated.

        Raises:
            DataError: it has one sample.
        """
        rows = np.flatnonzero(self.codes == code)
        if len(rows) < 2:
            raise DataError(
                f"rebalance.{who}", f"the class {self.names[code]!s} has one sample, and a point between two is wanted",
                do="collect a second one, take oversample, or leave the class out by target_count",
            )  # fmt: skip
        return rows

    def kin(self, rows: Ints, neighbors: int, *, of: Ints | None = None, points: Array | None = None) -> Ints:
        """Return the nearest samples of the same class, as row numbers, fewer where there are fewer.

        Args:
            rows: of the class.
            neighbors: wanted.
            of: places in ``rows`` that are asked for; None = all.
            points: (rows, D) other points of the class to measure in.
        """
        from scarce.rebalance import _nearest

        most = min(neighbors, len(rows) - 1)
        if most < neighbors:
            name = self.names[self.codes[rows[0]]]
            self.notes.append(f"{name!s} has {len(rows)} samples: {most} neighbors are used in place of {neighbors}")
        points = np.ascontiguousarray(self.points[rows]) if points is None else points
        asked = np.arange(len(rows)) if of is None else of
        return rows[_nearest.nearest(points[asked], points, most, own=asked)]

    def around(self, rows: Ints, neighbors: int) -> Ints:
        """Return (len(rows), neighbors) nearest samples of any class; looked up where the graph is known."""
        from scarce.rebalance import _nearest

        neighbors = min(neighbors, len(self.points) - 1)
        if self.graph is not None and self.graph.shape[1] >= neighbors:
            return np.asarray(self.graph[rows, :neighbors])
        return _nearest.nearest(self.points[rows], self.points, neighbors, own=rows)

    def made(self, parents: Sequence[Ints], weight: Sequence[Floats], donors: Sequence[Ints] = ()) -> Resampled:
        """Return everything that was given, and the new rows."""
        pairs = np.concatenate([*parents, np.zeros((0, 2), np.int32)]).astype(np.int32, copy=False)
        share = np.concatenate([*weight, np.zeros(0, np.float32)]).astype(np.float32, copy=False)
        return Resampled(
            self.X, self.y, np.arange(len(self.y)), pairs, share,
            donors=np.concatenate(donors) if donors else None, notes=tuple(self.notes),
        )  # fmt: skip

    def pairs(self, base: Ints, kin: Ints, count: int | Ints) -> tuple[Ints, Floats]:
        """Return (m, 2) parents and (m,) weights of new rows between base samples and one of their kin, at random.

        A number in all is shared evenly: no base sample gets two more than another.

        Args:
            base: (b,) rows.
            kin: (b, k) rows.
            count: how many in all, or (b,) how many of each base.
        """
        if isinstance(count, int):
            place = np.resize(self.rng.permutation(len(base)).astype(np.int32), count)
        else:
            place = np.repeat(np.arange(len(base), dtype=np.int32), count)
        parents = np.empty((len(place), 2), np.int32)
        parents[:, 0] = base[place]
        parents[:, 1] = kin[place, self.rng.integers(0, kin.shape[1], len(place), np.int32)]
        return parents, self.rng.random(len(place), np.float32)


def samples(method: AbstractRebalance, X: Any, y: Any, *, seed: Any, neighbors: Array | None = None) -> Samples:
    """Return checked samples.

    Args:
        method: that draws from them: one that interpolates measures distances, but not between its ``categories``.
        X: (N, ...) features; more than two dimensions count as pixels.
        y: (N,) labels: numbers or text.
        seed: of what is drawn, a whole number >= 0.
        neighbors: (N, m) rows of the nearest others of every sample, near ones first.

    Raises:
        DataError: X and y do not fit together, features are no finite numbers where distances are measured, a label is
            missing, or there is one class.
        ConfigError: the seed is no such number.
    """
    from scipy import sparse

    who, categories = f"rebalance.{method.plugin_name()}", tuple(getattr(method, "categories", ()))
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ConfigError(who, f"seed = {seed!r}", do="give a whole number >= 0")
    if sparse.issparse(X):
        raise DataError(who, "X is a sparse matrix", do="reduce it first, for example by scikit-learn's TruncatedSVD")
    X, labels = np.asarray(X), np.asarray(y)
    if X.ndim < 2 or labels.ndim != 1 or len(X) != len(labels):
        raise DataError(who, f"X has shape {X.shape} and y {labels.shape}", do="give (N, D) features and (N,) labels")
    names, codes = _classes(who, y)
    wrong = [column for column in categories if not -X.shape[1] <= column < X.shape[1]]
    if wrong or (categories and X.ndim > 2):
        raise DataError(who, f"categories = {list(categories)}", f"X has the shape {X.shape}", "name columns of X")
    points = X.reshape(len(X), -1)
    if categories:
        points = np.delete(points, categories, axis=1)
    points = _numbers(who, points) if method.interpolates else points
    if neighbors is not None:
        neighbors = np.asarray(neighbors)
        if neighbors.ndim != 2 or len(neighbors) != len(X) or neighbors.min() < 0 or neighbors.max() >= len(X):
            raise DataError(who, f"neighbors have shape {neighbors.shape} for {len(X)} samples",
                            do="give (N, m) row numbers of X")  # fmt: skip
    return Samples(X, labels, points, names, codes, np.random.default_rng([int(seed), 0x736D74]), neighbors)


def _classes(who: str, labels: Any) -> tuple[Array, Ints]:
    """Return (K,) sorted names and (N,) codes of labels none of which is missing."""
    absent, given = _absent(labels), np.asarray(labels)
    if absent:
        raise DataError(who, f"{absent} of {len(given)} labels are missing",
                        do="leave these samples out, or label them")  # fmt: skip
    try:
        names, codes = np.unique(given, return_inverse=True)
    except TypeError as error:
        raise DataError(who, "labels are of several types", do="give numbers or text") from error
    if len(names) < 2:
        raise DataError(who, f"y holds {len(names)} classes", do="two or more are needed to balance anything")
    return names, codes


def _absent(labels: Any) -> int:
    """Return how many labels are None, NaN or another sign of what is missing."""
    dtype = getattr(labels, "dtype", None)
    kind = dtype.kind if isinstance(dtype, np.dtype) else "O"
    if kind in "iubSU":
        return 0
    if kind in "fcmM":
        return int((np.isnan if kind in "fc" else np.isnat)(np.asarray(labels)).sum())
    return sum(_is_absent(label) for label in labels)


def _is_absent(label: Any) -> bool:
    if label is None:
        return True
    try:
        return bool(label != label)  # noqa: PLR0124  what is not equal to itself
    except (TypeError, ValueError):  # pandas' NA has no truth
        return np.ndim(label) == 0


def _numbers(who: str, points: Array) -> Array:
    if points.dtype.kind not in "fiub":
        try:
            points = points.astype(np.float64)
        except (TypeError, ValueError) as error:
            do = "name the columns that hold categories and take smote_nc, or encode them"
            raise DataError(who, f"X holds what is no number ({error})", do=do) from error
    if points.dtype.kind == "f":
        bad = sum(
            int((~np.isfinite(points[start : start + BLOCK])).any(axis=1).sum())
            for start in range(0, len(points), BLOCK)
        )
        if bad:
            raise DataError(who, f"{bad} of {len(points)} rows have features that are missing or infinite",
                            do="fill them in first, for example by scikit-learn's SimpleImputer")  # fmt: skip
    return points
