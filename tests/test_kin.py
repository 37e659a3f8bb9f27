"""What must stay together, before and after a split."""

from __future__ import annotations

import numpy as np

from scarce.dataset import Dataset, Schema
from scarce.folds import groups_of
from scarce.kin import families
from scarce.study._data import held_out, ties


def rows(**columns: object) -> Dataset:
    ids = [f"s{row}" for row in range(8)]
    ds = Dataset.from_columns(Schema(classes=("a", "b")), {"id": ids, "label": ["a", "b"] * 4, **columns})
    pairs = [{"level": "pair", "members": [f"s{one}", f"s{other}"], "score": 1.0, "why": None}
             for one, other in ((0, 5), (6, 7))]  # fmt: skip
    return ds.with_findings("near_duplicate", pairs)


def test_before_a_split_groups_and_copies_tell_what_stays_together() -> None:
    ds = rows(group=[None, "x", "x", None, None, "x", None, None])
    assert families(ds).tolist() == ["s0", "s0", "s0", None, None, "s0", "s6", "s6"]
    assert groups_of(ds).tolist() == ["s0", "s0", "s0", "s3", "s4", "s0", "s6", "s6"]
    for seed in range(20):
        held = held_out(ds, np.arange(8), 4, seed)
        assert len(set(held[[0, 1, 2, 5]])) == len(set(held[[6, 7]])) == 1


def test_after_it_split_groups_do_and_copies_of_rows_without_one() -> None:
    ds = rows(split_group=["g", "g", "h", "h", None, None, "i", "j"])
    assert groups_of(ds).tolist() == ["g", "g", "h", "h", "s4", "g", "i", "j"]
    assert ties(ds) == ["s5 g"]
    split = ds.with_columns({"split_group": ["g", "g", "h", "h", "k", "l", "i", "j"]})
    assert groups_of(split).tolist() == ["g", "g", "h", "h", "k", "l", "i", "j"]
    assert not ties(split)
    assert not ties(rows().take(np.arange(4)))
