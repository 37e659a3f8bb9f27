"""Whether two changes of one version can both hold."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from scarce import columns, lineage
from scarce.dataset import Dataset
from scarce.errors import ConflictError

FAMILIES = (("label", "label_source", "label_probs"), ("split", "split_group"), ("keep", "drop_reason"))
"""Columns that one decision writes together: two changes that write different ones of a family are at odds."""


def clash(base: Dataset, ours: Dataset, theirs: Dataset, name: str) -> None:
    """Refuse when two changes of one version cannot both hold."""
    mine, other = lineage.compare(base.table, ours.table), lineage.compare(base.table, theirs.table)
    twice = sorted(set(mine.added) & set(other.added))
    if twice:
        raise ConflictError("store", f"{len(twice)} samples were added by {name} as well, for example {twice[0]}",
                            do="look at that version; nothing of it was changed")  # fmt: skip
    if ours.schema != base.schema and theirs.schema not in (base.schema, ours.schema):
        raise ConflictError("store", f"{name} changed the classes as well", do="look at that version and do it again")
    decided = [column for column in {*mine.changed, *other.changed} if not column.startswith("audit.")]
    families = [*FAMILIES, *((column,) for column in decided if not any(column in family for family in FAMILIES))]
    for family in families:
        rows = _edited(base, ours, family) & _edited(base, theirs, family)
        if rows:
            what = f"{name} changed {' or '.join(family)} of {len(rows)} of the same samples, for example {min(rows)}"
            raise ConflictError("store", what, do="look at that version and do it again")


def _edited(base: Dataset, new: Dataset, family: Sequence[str]) -> set[str]:
    names = [name for name in family if name in base.table.column_names and name in new.table.column_names]
    common = pc.is_in(base.table["id"], value_set=new.table["id"].combine_chunks())
    before = columns.sort(base.table.filter(common))
    after = columns.sort(new.table.filter(pc.is_in(new.table["id"], value_set=before["id"].combine_chunks())))
    ids: set[str] = set()
    for name in names:
        ids.update(before["id"].filter(pa.array(lineage.differs(before[name], after[name]))).to_pylist())
    return ids
