from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from scarce.contract import Contract, Violation, invariants, refuse
from scarce.dataset import Dataset, Schema
from scarce.errors import ConfigError, ContractError

CLASSES = ("good", "stained", "torn")


def sample(n: int = 12, **values: object) -> Dataset:
    ids = [f"s{i:02d}" for i in range(n)]
    return Dataset.from_columns(
        Schema(classes=CLASSES), {"id": ids, "uri": ids, "label": [CLASSES[i % 3] for i in range(n)], **values}
    )


def split_sample() -> Dataset:
    splits = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    return sample(split=splits, split_group=[f"g{i}" for i in range(12)])


def grown(ds: Dataset, **values: object) -> Dataset:
    given = {
        "id": ["x"],
        "label": ["torn"],
        "origin": ["augmented"],
        "parents": [["s00"]],
        "split": ["train"],
        **values,
    }
    return ds.append(given)


def rules(found: list[Violation]) -> list[str]:
    return [item.rule for item in found]


def test_good_data_breaks_nothing() -> None:
    ds = grown(split_sample())
    assert invariants(ds) == []
    assert invariants(ds, split_sample(), "augment") == []


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda ds: replace(ds, table=ds.table.take([0, 0, 1])), "unique_ids"),
        (lambda ds: ds.with_columns({"id": [None, *ds.ids[1:]]}), "ids_present"),
        (lambda ds: ds.with_columns({"id": ["", *ds.ids[1:]]}), "ids_present"),
        (lambda ds: ds.with_columns({"label": ["holed"] * 12}), "known_labels"),
        (lambda ds: ds.with_columns({"split": ["trian"] * 12}), "known_values"),
        (lambda ds: ds.with_columns({"label_source": ["somebody"] * 12}), "known_values"),
        (lambda ds: ds.with_columns({"keep": [None] + [True] * 11}), "keep_is_known"),
        (lambda ds: ds.with_columns({"label_probs": [[0.5, 0.4, 0.3]] + [None] * 11}), "probabilities"),
        (lambda ds: ds.with_columns({"label_probs": [[1.5, -0.5, 0.0]] + [None] * 11}), "probabilities"),
        (lambda ds: ds.with_columns({"label_probs": [[0.5, 0.5]] + [None] * 11}), "probabilities"),
        (lambda ds: ds.with_columns({"label_probs": [[np.nan, 0.5, 0.5]] + [None] * 11}), "probabilities"),
        (lambda ds: ds.with_columns({"weight": [-1.0] + [1.0] * 11}), "ranges"),
        (lambda ds: ds.with_columns({"weight": [np.inf] + [1.0] * 11}), "ranges"),
        (lambda ds: ds.with_columns({"audit.blur.score": [1.5] + [None] * 11}), "ranges"),
        (lambda ds: grown(ds, parents=[["nobody"]]), "known_parents"),
        (lambda ds: grown(ds, split=["val"]), "grown_only_in_train"),
        (lambda ds: grown(ds, split=["test"]), "grown_only_in_train"),
        (lambda ds: grown(ds, split=["pool"]), "grown_only_in_train"),
        (lambda ds: grown(ds, parents=[["s00", "s11"]]), "no_leaking_parents"),
        (lambda ds: grown(ds, parents=[["s07"]], split=[None]), "no_leaking_parents"),
        (lambda ds: ds.with_columns({"split_group": ["g0"] * 12}), "groups_are_whole"),
    ],
)
def test_each_rule_is_kept_by_construction(change: object, rule: str) -> None:
    assert rules(invariants(change(split_sample()))) == [rule]


def test_descent_is_followed_over_generations() -> None:
    ds = split_sample().append({
        "id": ["x1", "x2", "x3"], "origin": ["augmented"] * 3, "split": ["train"] * 3, "label": ["torn"] * 3,
        "parents": [["s00", "s09"], ["x1"], ["x2"]],
    })  # fmt: skip
    found = invariants(ds)
    assert rules(found) == ["no_leaking_parents"]
    assert (found[0].count, found[0].examples) == (3, ("x1", "x2", "x3"))


def test_rows_that_are_set_aside_may_bridge() -> None:
    ds = split_sample()
    groups = ["g0"] + [f"g{i}" for i in range(1, 11)] + ["g0"]
    keep = [True] * 11 + [False]
    assert rules(invariants(ds.with_columns({"split_group": groups}))) == ["groups_are_whole"]
    assert invariants(ds.with_columns({"split_group": groups, "keep": keep})) == []


def test_a_stage_writes_only_what_it_owns() -> None:
    ds = split_sample()
    labels = ["torn", *ds.table["label"].to_pylist()[1:]]
    relabeled = ds.with_columns({"label": labels})
    assert invariants(relabeled, ds, "clean") == []
    assert invariants(relabeled, ds, None) == []
    assert invariants(relabeled, ds, ("split", "clean")) == []
    assert rules(invariants(relabeled, ds, "audit")) == ["own_columns"]
    more = ds.append({"id": ["new"], "label": ["torn"]})
    assert invariants(more, ds, "io") == []
    assert rules(invariants(more, ds, "clean")) == ["own_rows"]


def test_grow_stages_touch_no_row_that_is_there() -> None:
    ds = split_sample()
    assert rules(invariants(grown(ds).with_columns({"label": ["torn"] * 13}), ds, "augment")) == ["own_columns"]
    assert rules(invariants(ds.with_columns({"recipe": ["{}"] * 12}), ds, "augment")) == ["own_columns"]
    assert invariants(ds.with_columns({"weight": [2.0] * 12}), ds, "rebalance") == []


def test_real_rows_do_not_vanish_but_grown_ones_may() -> None:
    ds = grown(split_sample())
    assert rules(invariants(ds.take(np.arange(5)), ds)) == ["nothing_is_lost"]
    assert invariants(ds.take(np.flatnonzero(ds["origin"] == "real")), ds, "augment") == []


def test_refuse_names_rules_and_remedies() -> None:
    with pytest.raises(ContractError, match=r"2 rules would be broken: a: one; b: two\. mend it"):
        refuse("store", [Violation(rule="a", what="one", do="mend it"), Violation(rule="b", what="two")])
    refuse("store", [])
    assert Violation(rule="a", what="one", examples=("x",)).to_json()["examples"] == ["x"]


def test_a_learned_contract_is_kept_by_what_it_was_learned_from() -> None:
    ds = sample(
        40, **{"meta.camera": ["A", "B"] * 20, "meta.serial": [str(i) for i in range(40)], "meta.half": [1, None] * 20}
    )
    contract = Contract.learn(ds)
    assert contract.check(ds) == []
    assert contract.classes == CLASSES
    assert contract.allowed == {"meta.camera": ("A", "B")}
    assert contract.completeness["meta.half"] == 0.5
    assert contract.min_per_class == 6
    assert Contract.from_toml(contract.to_toml()) == contract


@pytest.mark.parametrize(
    ("contract", "rule"),
    [
        (Contract(min_rows=100), "min_rows"),
        (Contract(classes=("good", "torn")), "classes"),
        (Contract(classes=(*CLASSES, "holed")), "classes"),
        (Contract(min_per_class=5), "min_per_class"),
        (Contract(required=("group",)), "required"),
        (Contract(types={"meta.camera": "number"}), "types"),
        (Contract(types={"meta.angle": "integer"}), "types"),
        (Contract(completeness={"meta.camera": 0.9}), "completeness"),
        (Contract(completeness={"meta.none": 0.9}), "completeness"),
        (Contract(allowed={"meta.camera": ("A", "B")}), "allowed"),
        (Contract(ranges={"meta.angle": (0.0, 50.0)}), "ranges"),
        (Contract(ranges={"meta.camera": (0.0, 50.0)}), "ranges"),
        (Contract(unique=("meta.camera",)), "unique"),
        (Contract(max_set_aside=0.1), "max_set_aside"),
        (Contract(max_age_days=1.0), "freshness"),
    ],
)
def test_each_rule_of_a_contract(contract: Contract, rule: str) -> None:
    ds = sample(**{"meta.camera": ["A", "C", None] * 4, "meta.angle": [float(i * 5) for i in range(12)],
                   "keep": [False, False, *[True] * 10]})  # fmt: skip
    assert Contract().check(ds) == []
    assert rules(contract.check(ds)) == [rule]


def test_freshness_is_counted_from_now() -> None:
    ds = sample(captured_at=[datetime(2026, 1, 1)] * 11 + [None])  # noqa: DTZ001
    contract = Contract(max_age_days=10)
    assert contract.check(ds, now=datetime(2026, 1, 9, tzinfo=UTC)) == []
    found = contract.check(ds, now=datetime(2026, 1, 21, tzinfo=UTC))
    assert found[0].what == "the newest sample is 20.0 days old, 10 allowed"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("min_row = 3", "did you mean 'min_rows'"),
        ("min_rows = 'many'", "min_rows = 'many'"),
        ("[types]\n'meta.x' = 'strng'", "did you mean 'string'"),
        ("on_violation = 'shout'", "on_violation = 'shout'"),
        ("format = 9", "upgrade scarce"),
        ("[ranges]\n'meta.x' = [1]", "ranges.meta.x"),
        ("min_rows = ", "this is not TOML"),
    ],
)
def test_wrong_contracts_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Contract.from_toml(text)
