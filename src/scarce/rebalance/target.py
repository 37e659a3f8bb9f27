"""How many samples a class is to have: the one owner of ratios and target counts.

Growing (augment, synthesize), repeating and interpolating only ask here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scarce.dataset import Ints
from scarce.errors import ConfigError, DataError, closest
from scarce.rebalance._base import Adjustment, Counts, checked_counts


def target_counts(
    counts: Counts,
    ratio: float = 3.0,
    cap: int | None = 20,
    *,
    target_count: Mapping[Any, int] | None = None,
    who: str = "target",
) -> Ints:
    """Return (K,) sizes to reach: at least ``largest / ratio``, at most ``1 + cap`` times what is there.

    Classes that are large enough stay as they are; an empty class stays empty.

    Args:
        counts: samples of each class; a mapping names the classes, in a list they are called by their number.
        ratio: of the largest class to any other, >= 1; 1 to 3 is usual.
        cap: most new samples for one that is there; None = no cap.
        target_count: class to its size, in place of the ratio; a class that is not named stays as it is.
        who: which method asks, for messages.

    Raises:
        ConfigError: a ratio under 1, a negative cap, an unknown class, or a size that is no count.
        DataError: a wanted class has no sample, or more than are wanted.
    """
    values = np.ceil(checked_counts(counts, who)).astype(np.int64)
    check_target(ratio, cap, target_count, who=who)
    if target_count is None:
        wanted = np.where(values > 0, np.maximum(values, int(np.ceil(values.max() / ratio))), 0)
    else:
        names = list(counts) if isinstance(counts, Mapping) else list(range(len(values)))
        wanted = _named(values, names, target_count, f"rebalance.{who}")
    most = wanted if cap is None else values * (1 + cap)
    return np.asarray(np.minimum(wanted, most), np.int64)


def added(
    counts: Counts, ratio: float, cap: int | None, target_count: Mapping[Any, int] | None, *, who: str = "target"
) -> Adjustment:
    """Return how many rows to add to each class; see :func:`target_counts`."""
    wanted = target_counts(counts, ratio, cap, target_count=target_count, who=who)
    there = np.ceil(checked_counts(counts, who)).astype(np.int64)
    return Adjustment(extra=tuple(int(value) for value in wanted - there))


def kept_counts(
    counts: Counts, ratio: float = 10.0, *, target_count: Mapping[Any, int] | None = None, who: str = "undersample"
) -> Ints:
    """Return (K,) sizes to leave samples out down to: at most ``ratio`` times the smallest class that has samples.

    Args:
        counts: samples of each class; a mapping names the classes, in a list they are called by their number.
        ratio: of any class to the smallest, >= 1.
        target_count: class to its size, in place of the ratio; a class that is not named stays as it is.
        who: which method asks, for messages.

    Raises:
        ConfigError: a ratio under 1, an unknown class, or a size that is no count above 0.
        DataError: a wanted class has fewer samples than are wanted.
    """
    values = np.floor(checked_counts(counts, who)).astype(np.int64)
    check_target(ratio, None, target_count, who=who)
    if target_count is None:
        return np.asarray(np.minimum(values, int(np.floor(values[values > 0].min() * ratio))), np.int64)
    who, names = f"rebalance.{who}", list(counts) if isinstance(counts, Mapping) else list(range(len(values)))
    for name, there, size in _wanted(values, names, target_count, who):
        if not size:
            raise ConfigError(who, f"target_count of {names[name]!r} is 0", do="give 1 or more; a class is not emptied")
        if size > there:
            raise DataError(who, f"the class {str(names[name])!r} has {there} samples", f"target_count wants {size}",
                            "to add samples, use oversample or smote; this only leaves out")  # fmt: skip
        values[name] = size
    return values


def check_target(ratio: float, cap: int | None, target_count: Mapping[Any, int] | None, *, who: str = "target") -> None:
    """Refuse what no target can be.

    Raises:
        ConfigError: a ratio under 1, a negative cap, or a size below 0.
    """
    if not 1 <= ratio < np.inf or (cap is not None and cap < 0):
        raise ConfigError(
            f"rebalance.{who}", f"ratio = {ratio}, cap = {cap} are out of range", do="use ratio >= 1 and cap >= 0"
        )
    if target_count is not None and not isinstance(target_count, Mapping):
        raise ConfigError(f"rebalance.{who}", f"target_count = {target_count!r} names no class",
                          do="give a mapping from class to its size")  # fmt: skip
    sizes: Mapping[Any, Any] = target_count or {}
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise ConfigError(
                f"rebalance.{who}", f"target_count of {name!r} is {value!r}", do="give a whole number >= 0"
            )


def check_neighbors(who: str, *numbers: int) -> None:
    """Refuse numbers of neighbors under 1.

    Raises:
        ConfigError: one is.
    """
    if min(numbers) < 1:
        raise ConfigError(f"rebalance.{who}", f"{min(numbers)} neighbors are too few", do="use 1 or more; 5 is usual")


def _named(values: Ints, names: list[Any], target_count: Mapping[Any, int], who: str) -> Ints:
    wanted = values.copy()
    for place, there, size in _wanted(values, names, target_count, who):
        if size and not there:
            raise DataError(who, f"the class {str(names[place])!r} has no sample", f"{size} are wanted",
                            "collect or synthesize some first: nothing can be made from none")  # fmt: skip
        if size < there:
            raise DataError(who, f"the class {str(names[place])!r} has {there} samples", f"target_count wants {size}",
                            "to leave samples out, use undersample; this only adds")  # fmt: skip
        wanted[place] = size
    return wanted


def _wanted(
    values: Ints, names: list[Any], target_count: Mapping[Any, int], who: str
) -> list[tuple[int, int, int]]:  # fmt: skip
    """Return place, samples that are there, and wanted size of every class that is named."""
    place = {str(name): number for number, name in enumerate(names)}
    for name in target_count:
        if str(name) not in place:
            raise ConfigError(who, f"target_count names the class {str(name)!r}, which is not there",
                              closest(str(name), place))  # fmt: skip
    pairs = ((place[str(name)], int(size)) for name, size in target_count.items())
    return [(number, int(values[number]), size) for number, size in pairs]
