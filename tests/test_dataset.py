from __future__ import annotations

import inspect

import numpy as np
import pyarrow as pa
import pytest

from scarce.dataset import Dataset, Schema, normal_classes
from scarce.errors import DataError, LeakError, UnknownNameError
from scarce.lineage import Step

CLASSES = ("good", "torn")


def small(n: int = 6, **values: object) -> Dataset:
    ids = [f"s{i}" for i in range(n)]
    labels = [CLASSES[i % 2] for i in range(n)]
    return Dataset.from_columns(Schema(classes=CLASSES), {"id": ids, "label": labels, **values})


def test_a_dataset_has_at_most_fifteen_public_methods() -> None:
    names = [name for name, _ in inspect.getmembers(Dataset) if not name.startswith("_")]
    fields = set(Dataset.__dataclass_fields__)
    assert len(set(names) - fields) <= 15


def test_rows_are_sorted_by_id_in_byte_order() -> None:
    given = ["é", "z", "a", "Z", "\U0001f600", "\uffff"]
    ds = Dataset.from_columns(Schema(), {"id": given})
    assert ds.ids.tolist() == sorted(given, key=str.encode)
    grown = Dataset.from_columns(Schema(), {"id": given[:3]}).append({"id": given[3:]})
    assert grown.ids.tolist() == ds.ids.tolist()


def test_label_comes_as_codes_and_takes_codes() -> None:
    ds = small().with_columns({"label": np.array([1, 1, 0, -1, 0, 0])})
    assert ds["label"].tolist() == [1, 1, 0, -1, 0, 0]
    assert ds.table["label"].to_pylist()[3] is None


def test_a_change_leaves_the_old_value_alone() -> None:
    ds = small()
    ds.with_columns({"label": ["torn"] * 6, "weight": [2.0] * 6})
    assert ds.table["label"].to_pylist() == ["good", "torn"] * 3
    assert ds["weight"].tolist() == [1.0] * 6


@pytest.mark.parametrize("values", [{"label": ["good"]}, {"label": [1, 2]}, {"captured_at": ["yesterday", "today"]}])
def test_wrong_lengths_and_types_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(DataError, match=next(iter(values))):
        Dataset.from_columns(Schema(classes=CLASSES), {"id": ["a", "b"], **values})


def test_a_missing_id_column_is_refused() -> None:
    with pytest.raises(DataError, match="no column 'id'"):
        Dataset.from_columns(Schema(), {"label": ["a"]})


def test_an_unknown_column_names_the_closest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'label'"):
        small()["lable"]


def test_mixed_columns_of_the_manifest_become_text() -> None:
    ds = Dataset.from_columns(Schema(), {"id": ["a", "b", "c"], "meta.rating": [3, "n/a", None]})
    assert ds.table["meta.rating"].to_pylist() == ["3", "n/a", None]
    numbers = Dataset.from_columns(Schema(), {"id": ["a"], "meta.rating": [3]})
    assert numbers.append({"id": ["b"], "meta.rating": ["n/a"]}).table["meta.rating"].to_pylist() == ["3", "n/a"]
    assert numbers.append({"id": ["b"], "meta.rating": [1.5]}).table["meta.rating"].to_pylist() == [3.0, 1.5]
    assert numbers.append({"id": ["b"]}).table["meta.rating"].to_pylist() == [3, None]


def test_append_keeps_wide_arrays_with_their_rows() -> None:
    ds = small(2).with_columns({"embedding.x": np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)})
    grown = ds.append({"id": ["s00"], "label": ["torn"]})
    assert grown.ids.tolist() == ["s0", "s00", "s1"]
    assert np.isnan(grown["embedding.x"][1]).all()
    assert grown["embedding.x"][[0, 2]].tolist() == [[1, 2], [3, 4]]


def test_append_refuses_a_known_id() -> None:
    with pytest.raises(DataError, match="s1 is already present"):
        small().append({"id": ["s1"]})


def test_take_and_rows_of_agree() -> None:
    ds = small().with_columns({"embedding.x": np.arange(12.0).reshape(6, 2)})
    part = ds.take(ds.rows_of(["s4", "s1"]))
    assert part.ids.tolist() == ["s4", "s1"]
    assert part["embedding.x"].tolist() == [[8, 9], [2, 3]]
    with pytest.raises(UnknownNameError, match="sample id"):
        ds.rows_of(["nobody"])


def test_usable_leaves_out_what_was_set_aside() -> None:
    ds = small(split=["train", "test"] * 3, keep=[True, True, False, False, True, True])
    assert ds.usable().ids.tolist() == ["s0", "s1", "s4", "s5"]
    assert ds.usable("test").ids.tolist() == ["s1", "s5"]


def test_label_probs_are_a_matrix_with_nan_rows() -> None:
    ds = small(2, label_probs=[[0.25, 0.75], None])
    assert ds["label_probs"].shape == (2, 2)
    assert ds["label_probs"][0].tolist() == [0.25, 0.75]
    assert np.isnan(ds["label_probs"][1]).all()


def test_fold_refuses_what_leaks() -> None:
    ds = small(4, split_group=["g", "g", "h", "i"])
    with pytest.raises(LeakError, match="groups are in train and evaluation"):
        ds.fold(["s0"], ["s1"])
    with pytest.raises(LeakError, match="samples are in train and evaluation"):
        ds.fold(["s0"], ["s0"])
    assert ds.fold(["s0", "s1"], ["s2"]).eval.ids.tolist() == ["s2"]


def test_fold_hides_grown_rows_with_a_parent_outside_train() -> None:
    ds = small(3).append({
        "id": ["x0", "x01", "x1", "y"], "origin": ["augmented", "synthetic", "augmented", "augmented"],
        "parents": [["s0"], ["s0", "s1"], ["s1"], ["x1"]],
    })  # fmt: skip
    view = ds.fold(["s0", "s2", "x1", "x01"], ["s1"])
    assert view.train.ids.tolist() == ["s0", "s2", "x0"]
    with pytest.raises(LeakError, match="evaluation samples are augmented"):
        ds.fold(["s0"], ["x1"])


def test_permuting_evaluation_labels_changes_nothing_that_the_fold_trains_on() -> None:
    ds = small(6, split_group=["a", "b", "c", "d", "e", "f"])
    other = ds.with_columns({"label": ["good", "torn", "good", "good", "torn", "good"]})
    train, held = ds.ids[:3], ds.ids[3:]
    assert ds.fold(train, held).train.table.equals(other.fold(train, held).train.table)


def test_schema_refuses_repeated_and_strange_classes() -> None:
    with pytest.raises(DataError, match="named twice"):
        Schema(classes=("a", "a"))
    with pytest.raises(UnknownNameError, match="did you mean 'good'"):
        Schema(classes=("good", "torn"), normal_classes=("goods",))
    assert Schema(classes=("good", "torn"), normal_classes=("good",)).defect_codes == (1,)


def test_normal_classes_are_told_by_name() -> None:
    assert normal_classes(["OK", "defect-free", "torn", "Not good"]) == ("OK", "defect-free")


def test_an_empty_dataset_works() -> None:
    ds = Dataset.from_columns(Schema(), {"id": []})
    assert len(ds.usable()) == 0
    assert list(ds.samples()) == []
    assert ds.append({"id": ["a"]}).ids.tolist() == ["a"]


def test_samples_know_their_path() -> None:
    ds = Dataset.from_columns(
        Schema(), {"id": ["a", "b"], "uri": ["x/1.png", "t.csv#7"], "source": ["p", "p"]}, sources={"p": "/data"}
    )
    assert [sample.path.as_posix() for sample in ds.samples() if sample.path] == ["/data/x/1.png", "/data/t.csv"]


def test_columns_of_other_lengths_are_refused_and_arrow_passes() -> None:
    ds = small(2)
    with pytest.raises(DataError, match="weight has 3 values"):
        ds.with_columns({"weight": [1.0, 2.0, 3.0]})
    with pytest.raises(DataError, match=r"embedding\.x has 3 rows"):
        ds.with_columns({"embedding.x": np.zeros((3, 2))})
    assert ds.with_columns({"meta.n": pa.array([1, 2])})["meta.n"].tolist() == [1, 2]


def test_its_repr_is_one_short_line() -> None:
    ds = small(4).with_columns({"split": ["test", "train", "train", None]}).with_step(Step(stage="split", name="cut"))
    n = len(ds.schema.classes)
    assert repr(ds) == f"Dataset(4 rows, {n} classes, train 2, test 1, image, last step split.cut)"
    assert repr(Dataset.from_columns(Schema(), {"id": []})) == "Dataset(0 rows, 0 classes, image)"
