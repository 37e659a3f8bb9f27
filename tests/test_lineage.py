from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from scarce.lineage import Step, canonical_json, compare, content_id, differs, digest, key64


def table(**values: object) -> pa.Table:
    return pa.table({"id": ["a", "b", "c"], **values})


def test_content_id_does_not_depend_on_order_or_chunks() -> None:
    one = table(x=[1, 2, 3], y=["p", None, ""])
    other = one.select(["y", "id", "x"]).take([2, 0, 1])
    chunked = pa.concat_tables([one.slice(0, 1), one.slice(1)])
    assert content_id(one, {}) == content_id(other, {}) == content_id(chunked, {})


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([None, "", "x"], ["", None, "x"]),
        ([None, "", "x"], [None, None, "x"]),
        ([1, 2, 3], ["1", "2", "3"]),
        ([1, 2, 3], [1.0, 2.0, 3.0]),
        ([True, False, True], ["true", "false", "true"]),
        ([True, False, True], [1, 0, 1]),
        ([None, 0, 1], [0, None, 1]),
        ([None, 0.0, 1.0], [0.0, None, 1.0]),
        ([float("nan"), 0.0, 1.0], [None, 0.0, 1.0]),
        (["ab", "c", ""], ["a", "bc", ""]),
        ([[], None, ["x"]], [None, [], ["x"]]),
        ([["a", "b"], [], []], [["a"], ["b"], []]),
        ([["ab"], [], []], [["a", "b"], [], []]),
        ([["1"], [], []], [[1], [], []]),
        ([None, [None], []], [None, [], [None]]),
        ([dt.date(2020, 1, 1), None, None], ["2020-01-01", None, None]),
        ([b"x", None, None], ["x", None, None]),
    ],
)
def test_content_id_tells_values_and_kinds_apart(left: list[object], right: list[object]) -> None:
    assert content_id(table(x=left), {}) != content_id(table(x=right), {})


def test_content_id_does_not_depend_on_how_a_kind_is_stored() -> None:
    words, numbers = ["p", None, "q"], [1, None, 3]
    same = [
        [pa.array(words), pa.array(words, pa.large_string()), pa.array(words).dictionary_encode()],
        [pa.array(numbers, kind) for kind in (pa.int8(), pa.int64(), pa.uint16())],
        [pa.array([0.5, None, float("nan")], kind) for kind in (pa.float32(), pa.float64())],
        [pa.array([dt.datetime(2020, 1, 2)] * 3, pa.timestamp(unit)) for unit in ("us", "ns", "s")],  # noqa: DTZ001
    ]
    for group in same:
        assert len({content_id(table(x=array), {}) for array in group}) == 1


def test_an_empty_column_counts_like_a_missing_one_and_the_schema_counts() -> None:
    assert content_id(table(x=pa.nulls(3)), {}) == content_id(table(), {})
    assert content_id(table(), {"classes": ["a"]}) != content_id(table(), {"classes": ["b"]})


def test_content_id_of_large_unsigned_numbers() -> None:
    big = pa.array([2**63 + 5, 1, None], pa.uint64())
    assert content_id(table(x=big), {}) != content_id(table(x=pa.array([2**63 + 6, 1, None], pa.uint64())), {})


def test_differs_knows_null_and_nan() -> None:
    nan = float("nan")
    left = pa.chunked_array([pa.array([1.0, nan, None, None, nan], pa.float32())])
    right = pa.chunked_array([pa.array([1.0, nan, None, 0.0, 2.0], pa.float32())])
    assert differs(left, right).tolist() == [False, False, False, True, True]
    lists = pa.chunked_array([[["a"], None, [], ["b"]]]), pa.chunked_array([[["a"], [], [], ["c"]]])
    assert differs(*lists).tolist() == [False, True, False, True]
    texts = pa.chunked_array([["1", None]]), pa.chunked_array([pa.array([1, None])])
    assert differs(*texts).tolist() == [True, False]


def test_compare_finds_samples_labels_and_cells() -> None:
    old = pa.table({"id": ["a", "b", "c"], "label": ["x", "x", None], "weight": [1.0, 1.0, 1.0]})
    new = pa.table({"id": ["d", "c", "b"], "label": ["x", "y", "x"], "weight": [1.0, 1.0, 2.0]})
    found = compare(old, new, classes=(["x"], ["x", "y"]))
    assert (found.added, found.removed) == (("d",), ("a",))
    assert found.relabeled == (("c", None, "y"),)
    assert found.changed == {"label": 1, "weight": 1}
    assert found.classes == (("x",), ("x", "y"))
    assert not found.empty


def test_compare_agrees_with_a_slow_oracle() -> None:
    rng = np.random.default_rng(3)
    names = np.array([f"{i:03d}" for i in range(60)])

    def draw() -> pa.Table:
        ids = rng.permutation(rng.choice(names, 40, replace=False))
        values = [None if rng.random() < 0.3 else str(rng.integers(3)) for _ in ids]
        scores = [None if rng.random() < 0.3 else float(rng.integers(3)) for _ in ids]
        return pa.table({"id": ids, "label": pa.array(values, pa.string()), "audit.x": pa.array(scores, pa.float32())})

    for _ in range(20):
        old, new = draw(), draw()
        one, two = ({row["id"]: row for row in part.to_pylist()} for part in (old, new))
        common = sorted(set(one) & set(two))
        found = compare(old, new)
        assert list(found.added) == sorted(set(two) - set(one))
        assert list(found.removed) == sorted(set(one) - set(two))
        for name in ("label", "audit.x"):
            assert found.changed.get(name, 0) == sum(one[key][name] != two[key][name] for key in common)
        labels = [(key, one[key]["label"], two[key]["label"]) for key in common]
        assert list(found.relabeled) == [item for item in labels if item[1] != item[2]]


def test_compare_takes_a_new_column_as_change_where_it_has_values() -> None:
    old = pa.table({"id": ["a", "b"]})
    new = pa.table({"id": ["a", "b"], "meta.x": [None, 5]})
    assert compare(old, new).changed == {"meta.x": 1}
    assert compare(old, old).empty


def test_step_id_covers_all_but_the_clock() -> None:
    step = Step(stage="audit", name="blur", params={"b": 1, "a": (1, 2)}, seed=3)
    assert step.step_id == step.stamped(seconds=4.0).step_id
    assert step.step_id == Step(stage="audit", name="blur", params={"a": [1, 2], "b": 1}, seed=3).step_id
    for other in (
        Step(stage="audit", name="blur", params={"b": 1, "a": (1, 2)}, seed=4),
        Step(stage="audit", name="blur", params={"b": 1, "a": (2, 1)}, seed=3),
        Step(stage="audit", name="blur", params={"b": 1, "a": (1, 2)}, seed=3, inputs={"manifest": "x"}),
    ):
        assert step.step_id != other.step_id


def test_step_survives_json() -> None:
    step = Step(stage="clean", params={"n": np.int64(3), "names": ("a", "b")}, parents=("p",)).stamped(seconds=1.25)
    again = Step.from_json(step.to_json())
    assert again.step_id == step.step_id
    assert (again.at, again.seconds, again.parents) == (step.at, 1.25, ("p",))


def test_digest_and_key64_are_pinned_to_the_standard_library() -> None:
    import hashlib

    expected = hashlib.blake2b((1).to_bytes(8, "little") + b"a" + (0).to_bytes(8, "little"), digest_size=16).hexdigest()
    assert digest("a", b"") == expected
    assert digest("a", "bc") != digest("ab", "c")
    assert key64("a") == int.from_bytes(hashlib.blake2b(b"a", digest_size=8).digest(), "little")


def test_canonical_json_is_one_text_per_value() -> None:
    assert canonical_json({"b": np.float32(0.5), "a": {3, 1}}) == '{"a":[1,3],"b":0.5}'
