from __future__ import annotations

import pyarrow as pa
import pytest

from scarce import columns
from scarce.dataset import Dataset, Schema
from scarce.errors import UnknownNameError

NAMES = [
    "meta.Camera", "meta.camera", "meta.a.b", "meta.a%2Eb", "meta.Größe (mm)", "meta.日本", "meta.x/y",
    "audit.blur.score",
]  # fmt: skip


def test_disk_layout_round_trips_any_name() -> None:
    ds = Dataset.from_columns(Schema(), {"id": ["1", "2"], **{name: [0.5, None] for name in NAMES}})
    disk = columns.to_disk(ds.table)
    assert all("." not in field.name for field in disk.schema)
    assert columns.from_disk(disk).equals(ds.table)
    inner = [("meta", child.name) for child in disk.schema.field("meta").type]
    wanted = sorted(name for name in NAMES if name.startswith("meta"))
    assert sorted(columns.disk_name(path) for path in inner) == wanted
    assert columns.disk_name(("label_probs", "item")) == "label_probs"


def test_every_column_has_a_meaning_and_an_owner() -> None:
    for column in columns.NARROW:
        assert column.meaning
        assert column.owner
    assert columns.describe("meta.x").name == "meta.*"
    with pytest.raises(UnknownNameError, match="did you mean 'label'"):
        columns.describe("lable")


def test_defaults() -> None:
    assert columns.empty("keep", 2).to_pylist() == [True, True]
    assert columns.empty("parents", 1).to_pylist() == [[]]
    assert columns.empty("label", 1).to_pylist() == [None]


def test_order_puts_dotted_names_last() -> None:
    given = ["audit.b", "label", "id", "audit.a", "meta.z"]
    assert columns.order(given) == ["id", "label", "audit.a", "audit.b", "meta.z"]


def test_sort_leaves_sorted_tables_alone() -> None:
    table = pa.table({"id": ["a", "b"]})
    assert columns.sort(table) is table
    assert columns.sort(table.take([1, 0])).equals(table)


def test_meta_name() -> None:
    assert columns.meta_name("  light \n angle ") == "meta.light angle"
