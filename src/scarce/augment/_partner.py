"""Partners: which other training samples an operation takes, and the labels that come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import DataError
from scarce.io.boxes import objects_in
from scarce.lineage import key64
from scarce.recipe import PARTNER, Params, Scene

_SALT: Final = 0x9A27
BOXES: Final = "object_boxes"
"""Key of the drawn parameters that says where the partner's objects are, where it has no mask."""


class Pool:
    """The samples that may be partners.

    Args:
        ids: of training samples.
        codes: (M,) their classes.
        marked: (M,) whether each has a mask; None = none has.
        scene: opens one by id; needed where pixels are mixed in batches.
        boxes: sample to the (M, 4) x0 y0 x1 y1 pixels of its objects, of samples with boxes and no mask.
    """

    def __init__(
        self, ids: Sequence[str], codes: Ints, marked: Array | None = None,
        scene: Callable[[str], Scene] | None = None, boxes: Mapping[str, Floats] | None = None,
    ) -> None:  # fmt: skip
        order = np.argsort(np.asarray(ids, object).astype(str), kind="stable")
        self.ids = [str(ids[row]) for row in order.tolist()]
        self.codes = np.asarray(codes, np.int64)[order]
        self.marked = np.zeros(len(order), bool) if marked is None else np.asarray(marked, bool)[order]
        self.scene, self.boxes = scene, dict(boxes or {})
        self._members: dict[tuple[int, bool], Ints] = {}

    def told(self, operation: AbstractOperation, names: Sequence[str]) -> dict[str, Any]:
        """Return what a recipe says of drawn partners beside their names: boxes, where an object has no mask."""
        known = [self.boxes[name].tolist() for name in names if name in self.boxes]
        return {BOXES: known[0]} if known and operation.pool()[1] else {}

    @cached_property
    def place(self) -> dict[int, int]:
        """Key of a sample to its place."""
        return {key64(name): index for index, name in enumerate(self.ids)}

    def label(self, name: str, n_classes: int) -> Floats:
        """Return the (K,) label of a sample."""
        return np.asarray(np.eye(n_classes, dtype=np.float32)[self.codes[self.place[key64(name)]]])

    def choose(self, operation: AbstractOperation, key: int, rng: np.random.Generator) -> list[str]:
        """Return the partners of the sample with a key, none of them itself; empty where there is no other.

        Where there are fewer than are wanted, one comes several times.
        """
        own, masked = operation.pool()
        place = self.place.get(key)
        members = self._of(int(self.codes[place]) if own and place is not None else -1, masked)
        at = int(np.searchsorted(members, place)) if place is not None else len(members)
        inside = at < len(members) and int(members[at]) == place
        n = len(members) - inside
        if n < 1:
            return []
        drawn = [int(rng.integers(n)) for _ in range(operation.partners)]
        return [self.ids[members[one + (inside and one >= at)]] for one in drawn]

    def _of(self, code: int, masked: bool) -> Ints:  # noqa: FBT001  the key of a table
        if (code, masked) not in self._members:
            fits = (self.codes == code) if code >= 0 else np.ones(len(self.ids), bool)
            self._members[code, masked] = np.flatnonzero(fits & self.marked if masked else fits)
        return self._members[code, masked]


def generator(key: int, seed: int, copy: int) -> np.random.Generator:
    """Return where the partners of one copy of a sample are drawn from, whatever the order."""
    return np.random.default_rng([seed, key, _SALT, copy])


def with_partners(
    drawn: Sequence[tuple[str, Params]], wanted: Mapping[str, AbstractOperation], pool: Pool, *, base: str,
    key: tuple[int, int],
) -> list[tuple[str, Params]]:  # fmt: skip
    """Return drawn operations; those that take partners name them, or are left out where there is none.

    Args:
        drawn: (``augment.name``, parameters).
        wanted: ``augment.name`` to the operation, of those that take partners.
        pool: who may be one.
        base: id of the sample that is changed.
        key: seed and copy; with the base's id they decide, whatever the order.
    """
    found: list[tuple[str, Params]] = []
    own = key64(base)
    rng = generator(own, *key)
    for name, params in drawn:
        if name not in wanted:
            found.append((name, params))
        elif chosen := pool.choose(wanted[name], own, rng):
            named = {PARTNER: chosen if len(chosen) > 1 else chosen[0]}
            found.append((name, {**params, **named, **pool.told(wanted[name], chosen)}))
    return found


def partners_of(drawn: Sequence[tuple[str, Params]]) -> list[str]:
    """Return the ids of the partners that drawn operations name, in order."""
    return [str(one) for _, params in drawn if PARTNER in params for one in np.atleast_1d(params[PARTNER])]


def shared_label(
    drawn: Sequence[tuple[str, Params]], wanted: Mapping[str, AbstractOperation], pool: Pool, own: Floats
) -> Floats | None:
    """Return the (K,) label of a mixed sample, or None where the label is the sample's own."""
    label, mixed = own, False
    for name, params in drawn:
        if name not in wanted or PARTNER not in params:
            continue
        weights = wanted[name].shares(params)
        names = partners_of([(name, params)])
        label = mix_labels(label, weights, [pool.label(one, len(own)) for one in names])
        mixed |= weights[0] < 1
    return label if mixed else None


def mix_labels(own: Floats, weights: Sequence[float], others: Sequence[Floats]) -> Floats:
    """Return a (K,) label of shares of its own and the partners' ones."""
    parts = [weight * label for weight, label in zip(weights, [own, *others], strict=True)]
    return np.asarray(np.sum(parts, axis=0), np.float32)


def same_kind(ds: Dataset, policy: Any) -> None:
    """Refuse a policy of another kind of data.

    Raises:
        DataError: it is.
    """
    if policy.operations and policy.modality != ds.schema.modality:
        raise DataError("augment", f"policy {policy.name!r} changes {policy.modality} samples",
                        f"this data is {ds.schema.modality}", "name a policy for this kind of data")  # fmt: skip


def pool_of(ds: Dataset, rows: Ints, scene: Callable[[str], Scene] | None = None) -> Pool:
    """Return the pool of some rows; an object that has no mask may have boxes."""
    ids = [str(name) for name in ds.ids[rows]]
    masks, cells = (
        ds.table[name].to_pylist() if name in ds.table.column_names else [None] * len(ds)
        for name in ("mask_uri", "meta.boxes")
    )
    boxes = {name: corners_of(cells[row]) for name, row in zip(ids, rows.tolist(), strict=True) if not masks[row]}
    known = {name: found for name, found in boxes.items() if found is not None}
    marked = [bool(masks[row]) or name in known for name, row in zip(ids, rows.tolist(), strict=True)]
    return Pool(ids, ds["label"][rows], np.array(marked, bool), scene, known)


def corners_of(cell: Any) -> Floats | None:
    """Return the (M, 4) x0 y0 x1 y1 pixels of the objects of a cell of boxes; None where there are none."""
    objects = objects_in(cell)
    if not objects:
        return None
    found = np.array([item["bbox"] for item in objects], np.float64)
    found[:, 2:] += found[:, :2]
    return found
