"""Texts, tables and series as arrays; hypothesis where any value may come."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scarce.modality import BrokenSampleError, of, table
from scarce.modality.tabular import category_code, feature_matrix
from scarce.modality.text import normal_form


def test_categories_are_told_apart_whatever_else_is_there() -> None:
    few = feature_matrix(pa.table({"kind": ["a", "b", None], "x": [1.0, None, 3.0]}))
    many = feature_matrix(pa.table({"x": [5.0, 6.0], "kind": ["z", "b"]}))
    assert few[1] == many[1]
    np.testing.assert_array_equal(few[0][1, :16], many[0][1, :16])
    assert (few[0][2, :16] == 0).all()
    codes = np.stack([category_code("kind", f"level {index}") for index in range(12)])
    assert np.linalg.matrix_rank(codes) == 12


def test_times_and_booleans_are_numbers() -> None:
    days = pa.array([0, 86_400_000_000], pa.timestamp("us"))
    matrix, names = feature_matrix(pa.table({"when": days, "ok": [True, None]}))
    assert names == ["ok", "when"]
    np.testing.assert_array_equal(matrix, [[1, 0], [np.nan, 1]])


def test_a_row_without_one_filled_cell_is_missing_throughout() -> None:
    """Of a missing category nothing is left but zeros, which look like an answer."""
    matrix, _ = feature_matrix(pa.table({"kind": ["a", None, None], "x": [1.0, None, None], "ok": [True, False, None]}))
    assert np.isfinite(matrix[:2, :17]).all(1).tolist() == [True, True]
    assert np.isnan(matrix[1]).tolist() == [False] * 17 + [True]
    assert np.isnan(matrix[2]).all()


@given(st.lists(st.floats(-1e6, 1e6) | st.none(), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_numbers_survive_a_csv(values: list[float | None]) -> None:
    text = pa.array([None if value is None else repr(value) for value in values], pa.string())
    found = table.infer(text)
    if any(value is not None for value in values):
        assert found.to_pylist() == pytest.approx(list(values))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2", "NA"], pa.int64()),
        (["1", "2.5"], pa.float64()),
        (["01", "2"], pa.string()),
        (["0", "0.5"], pa.float64()),
        (["true", "False"], pa.bool_()),
        (["1", "x"], pa.string()),
        (["", None], pa.string()),
        (["1e3", "2"], pa.float64()),
    ],
)
def test_types_are_what_the_values_are(values: list[str | None], kind: pa.DataType) -> None:
    assert table.infer(pa.array(values, pa.string())).type == kind


@given(st.text(max_size=80))
@settings(max_examples=100, deadline=None)
def test_any_text_can_be_measured(text: str) -> None:
    kind = of("text")
    if not text.strip():
        with pytest.raises(BrokenSampleError, match=r"^empty"):
            kind.measure(text)
        return
    found = kind.measure(text)
    assert found["length"] == len(text)
    assert 0 <= found["capitals"] <= 1
    assert normal_form(text) == normal_form(f"  {text} ")


def test_series() -> None:
    kind = of("time_series")
    found = kind.measure(np.array([[1.0, np.nan, 3.0], [1, 1, 1]]))
    assert (found["length"], found["channels"], found["missing"]) == (3, 2, pytest.approx(1 / 6))
    assert kind.measure(np.ones(5))["flat"]
    with pytest.raises(BrokenSampleError):
        kind.measure(np.full(4, np.nan))
    with pytest.raises(BrokenSampleError):
        kind.decode("no numbers")
    picture = kind.thumbnail(np.linspace(0, 1, 200), 32)
    assert picture.shape == (32, 32)
    dark = [int(np.flatnonzero(picture[:, column] == 0).mean()) for column in range(32)]
    assert dark == sorted(dark, reverse=True)


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_some_text(data: bytes) -> None:
    text, encoding = table.decode_text(b"a" + data)
    assert isinstance(text, str)
    assert encoding in {"utf-8", "cp949", "latin-1"}


def test_a_changed_table_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("a\n1\n")
    assert table.load(file).table["a"].to_pylist() == [1]
    file.write_text("a\n1\n22\n")
    assert table.load(file).table["a"].to_pylist() == [1, 22]


def test_a_table_is_read_and_let_go_of_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    class Held(io.BytesIO):
        def __del__(self) -> None:
            threads.append(threading.get_ident())

    monkeypatch.setattr(table, "io", SimpleNamespace(BytesIO=Held))
    for _ in range(300):
        assert table._delimited(b"a,b\n1,2\n3,4\n", "x.csv").table.num_rows == 2
    assert threads == [threading.get_ident()] * 300
