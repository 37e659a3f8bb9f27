"""Second samples: which other sample of the same class an operation takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scarce.dataset import Dataset, Ints
from scarce.errors import DataError
from scarce.lineage import key64
from scarce.recipe import PARTNER, Params

_SALT = 0x9A27


def with_partners(
    drawn: Sequence[tuple[str, Params]],
    wanted: Mapping[str, bool],
    ids: Sequence[str],
    *,
    base: str,
    key: Sequence[int],
) -> list[tuple[str, Params]]:
    """Return drawn operations; those that take a partner name one of ``ids`` other than the base.

    Args:
        drawn: (``augment.name``, parameters).
        wanted: ``augment.name`` to whether it takes a partner.
        ids: samples of the base's class that may be used, in id order.
        base: id of the sample that is changed.
        key: seed and copy; with the base's id they decide, whatever the order.
    """
    found: list[tuple[str, Params]] = []
    rng = np.random.default_rng([key[0], key64(base), _SALT, key[1]])
    others = [name for name in ids if name != base]
    for name, params in drawn:
        if not wanted.get(name):
            found.append((name, params))
        elif others:
            found.append((name, {**params, PARTNER: others[int(rng.integers(len(others)))]}))
    return found


def partners_of(drawn: Sequence[tuple[str, Params]]) -> list[str]:
    """Return the ids of the partners that drawn operations name."""
    return [str(params[PARTNER]) for _, params in drawn if PARTNER in params]


def same_kind(ds: Dataset, policy: Any) -> None:
    """Refuse a policy of another kind of data.

    Raises:
        DataError: it is.
    """
    if policy.operations and policy.modality != ds.schema.modality:
        raise DataError("augment", f"policy {policy.name!r} changes {policy.modality} samples",
                        f"this data is {ds.schema.modality}", "name a policy for this kind of data")  # fmt: skip


def ids_of(ds: Dataset, rows: Ints) -> list[str]:
    """Return the ids of rows, sorted."""
    return sorted(str(name) for name in ds.ids[rows])
