"""Rows that are made from others: which samples may be grown, and what a grown row inherits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce import columns
from scarce.dataset import Dataset, Ints
from scarce.errors import DataError, LeakError, unknown_name
from scarce.lineage import digest


def growable(ds: Dataset, ids: Sequence[str] | None = None, *, who: str) -> Ints:
    """Return the row numbers of kept, real, labelled training samples, in id order.

    Raises:
        LeakError: the data is not split yet, all of it is judged on, or ``ids`` reaches outside the training split.
        DataError: it is a table.
    """
    refuse_ungrown(ds, who=who)
    if "split" not in ds:
        way = "; --all-train where nothing of it is judged on" if who.partition(".")[0] == "augment" else ""
        raise LeakError(who, "the data has no split yet", "copies of later test samples would be trained on",
                        f"split first: scarce split, or a column split in the manifest{way}")  # fmt: skip
    train = (ds["split"] == "train") & (ds["origin"] == "real")
    if ids is not None:
        rows = ds.rows_of(list(ids))
        outside = rows[~train[rows]]
        if len(outside):
            where = ds["split"][outside[0]] if ds["origin"][outside[0]] == "real" else ds["origin"][outside[0]]
            raise LeakError(who, f"{len(outside)} samples to grow from are no real training samples",
                            f"{ds.ids[outside[0]]} is {where}", "grow real training samples only")  # fmt: skip
        train &= np.isin(np.arange(len(ds)), rows)
    found: Ints = np.flatnonzero(train & ds["keep"].astype(bool) & (ds["label"] >= 0))
    return found


def refuse_ungrown(ds: Dataset, *, who: str) -> None:
    """Refuse what copies and made samples do not fit: tables, and data that is judged on as a whole.

    Raises:
        DataError: it is a table.
        LeakError: every row lies in val or test.
    """
    if ds.schema.modality == "tabular":
        raise DataError(who, "rows of tables are neither changed nor drawn", "the data is tabular",
                        "SMOTE makes new ones: scarce run judges it, scarce.rebalance.smote does it")  # fmt: skip
    held = sorted({str(name) for name in ds["split"]}) if "split" in ds else []
    if held and set(held) <= {"val", "test"}:
        raise LeakError(who, f"all rows lie in {' and '.join(held)}", "nothing is grown from what is judged on",
                        "name training data")  # fmt: skip


def real_rows_of_class(ds: Dataset, parents: Ints, name: str, *, who: str) -> Ints:
    """Return the parents of one class.

    Raises:
        UnknownNameError: no such class.
        DataError: the class has no usable training sample.
    """
    if name not in ds.schema.classes:
        raise unknown_name(who, "class", name, ds.schema.classes)
    code = ds.schema.classes.index(name)
    rows: Ints = parents[ds["label"][parents] == code]
    if not len(rows):
        elsewhere = int((ds["label"] == code).sum())
        raise DataError(who, f"class {name!r} has no kept real training sample to grow from",
                        f"{elsewhere} of its samples are in other splits or set aside; those are never grown",
                        "label or collect training samples of this class")  # fmt: skip
    return rows


def grown_columns(
    ds: Dataset, made: Sequence[tuple[int, str, tuple[int, ...]]], *, origin: str, labels: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the columns of new rows; everything is inherited from the base but what says where the bytes lie.

    Args:
        ds: the data.
        made: for each new row its base's row, its recipe, and the rows of all other samples it was made from.
        origin: augmented or synthetic.
        labels: class of each new row; None = the base's.
    """
    rows = np.fromiter((row for row, _, _ in made), np.int64, count=len(made))
    table, n = ds.table.take(pa.array(rows)), len(made)
    known = ds.table["content_hash"].to_pylist()
    families = [(row, *(other for other in others if other != row)) for row, _, others in made]
    recipes = [recipe for _, recipe, _ in made]
    inherited = [name for name in table.column_names if name in _INHERITED or name.startswith("meta.")]
    values: dict[str, Any] = {name: table[name].combine_chunks() for name in inherited}
    if labels is not None:
        values |= {"label": list(labels), "label_probs": pa.nulls(n, columns.describe("label_probs").type)}
    hashes = [
        digest(recipe, *(known[row] or "" for row in rows)) for recipe, rows in zip(recipes, families, strict=True)
    ]
    return {
        **values,
        "id": [digest(origin, recipe)[:16] for recipe in recipes],
        "content_hash": hashes,
        "label_source": ["inherited"] * n,
        "origin": [origin] * n,
        "parents": [[str(ds.ids[row]) for row in family] for family in families],
        "recipe": recipes,
    }


def with_reasons(ds: Dataset, stage: str, reasons: Sequence[Mapping[str, Any]]) -> Dataset:
    """Return the data with findings about classes that got less than was asked; those of other classes stay."""
    if not reasons:
        return ds
    told = {name for row in reasons for name in row["members"]}
    before = ds.findings.filter(pc.equal(ds.findings["check"], stage)).to_pylist()
    kept = [{key: row[key] for key in row if key != "check"} for row in before if not told & set(row["members"])]
    return ds.with_findings(stage, [*kept, *reasons])


_INHERITED: Final = ("source", "group", "captured_at", "label", "label_probs", "split", "split_group")
