"""Limits of a contract: three outcomes against an interval, how many more samples decide, clear errors."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import beta

from scarce import audit, columns, io, modality
from scarce.audit.agreement import alpha_interval
from scarce.ballot import ratings_of
from scarce.contract import Contract, Outcome, judge
from scarce.contract._limit import Share, fewest, side
from scarce.dataset import Dataset, Schema
from scarce.errors import ConfigError, ReadError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def table(n: int, *, classes: tuple[str, ...] = ("good", "torn"), **values: Any) -> Dataset:
    ids = [f"s{row:06d}" for row in range(n)]
    label = values.pop("label", [classes[row % len(classes)] for row in range(n)])
    schema = Schema(classes=classes, normal_classes=classes[:1])
    return Dataset.from_columns(schema, {"id": ids, "uri": ids, "label": label, **values})


def one(contract: Contract, ds: Dataset, rule: str) -> Outcome:
    return next(item for item in judge(contract, ds, now=NOW) if item.rule == rule)


def copies(n: int, bad: int) -> Dataset:
    ds = table(n, **{"audit.exact_duplicate.score": [0.0] * n})
    groups = [{"level": "group", "members": [str(ds.ids[0]), *map(str, ds.ids[1 : bad + 1])], "score": 1.0, "why": "."}]
    return ds.with_findings("exact_duplicate", groups if bad else [])


@pytest.mark.parametrize(
    ("n", "bad", "outcome"),
    [(2000, 2, "holds"), (298, 0, "unknown"), (299, 0, "holds"), (2000, 60, "broken"), (2000, 20, "unknown"),
     (40, 1, "unknown"), (40, 8, "broken")],
)  # fmt: skip
def test_a_rate_holds_is_broken_or_cannot_be_told(n: int, bad: int, outcome: str) -> None:
    found = one(Contract(max_duplicate_rate=0.01), copies(n, bad), "max_duplicate_rate")
    assert found.outcome == outcome
    assert found.value == pytest.approx(bad / n)
    low = beta.ppf(0.05, bad, n - bad + 1) if bad else 0.0
    assert (found.low, found.high) == pytest.approx((low, beta.ppf(0.95, bad + 1, n - bad)))
    assert (found.level == "") is (outcome == "holds")


@pytest.mark.parametrize(("n", "bad", "limit"), [(40, 0, 0.01), (100, 3, 0.05), (60, 3, 0.02), (500, 8, 0.02)])
def test_so_many_more_samples_decide_and_fewer_do_not(n: int, bad: int, limit: float) -> None:
    share = Share(value=bad / n, n=n, units=n)
    assert share.verdict(limit, at_least=False) == "unknown"
    more = share.needed(limit, at_least=False)
    assert more is not None

    def told(total: int) -> str:
        hits = total * bad / n
        low = beta.ppf(0.05, hits, total - hits + 1) if hits else 0.0
        return side(low, beta.ppf(0.95, hits + 1, total - hits), limit, at_least=False)

    assert told(n + more) != "unknown"
    assert told(int((n + more) * 0.97) - 1) == "unknown"


def test_at_the_limit_no_number_of_samples_tells() -> None:
    assert Share(value=0.01, n=1000, units=1000).needed(0.01, at_least=False) is None
    assert Share(value=0.04, n=1000, units=1000, doubt=0.02).needed(0.05, at_least=False) is None  # the judge errs more
    assert fewest(lambda times: times >= 3, 100) == 200


def test_a_limit_without_room_is_a_fact() -> None:
    assert Share(value=1.0, n=5, units=5).verdict(1.0, at_least=True) == "holds"
    assert Share(value=0.999, n=1000, units=1000).verdict(1.0, at_least=True) == "broken"
    assert Share(value=0.0, n=5, units=5).verdict(0.0, at_least=False) == "holds"


def test_groups_make_a_limit_harder_to_prove() -> None:
    limit = Contract(min_completeness=0.99)
    assert one(limit, table(600), "min_completeness").outcome == "holds"
    grouped = table(600, group=[f"tile{row // 6}" for row in range(600)])
    found = one(limit, grouped, "min_completeness")
    assert (found.outcome, found.level) == ("unknown", "warning")
    assert found.needed is not None
    assert 1100 < found.needed < 1250  # 299 tiles of six


def test_lost_labels_and_broken_files_break_completeness() -> None:
    ds = table(400, label=[None] * 20 + ["good"] * 380, keep=[True] * 390 + [False] * 10,
               drop_reason=[None] * 390 + ["broken: not an image"] * 10)  # fmt: skip
    found = one(Contract(min_completeness=0.99), ds, "min_completeness")
    assert (found.outcome, found.value) == ("broken", pytest.approx(1 - 30 / 400))
    assert found.examples[0] == "s000000"


def test_copies_that_were_set_aside_are_no_example_of_incomplete_samples() -> None:
    ds = table(400, label=["good"] * 395 + [None] * 5, keep=[False] * 30 + [True] * 370,
               drop_reason=["copy of s000399"] * 30 + [None] * 370)  # fmt: skip
    found = one(Contract(min_completeness=0.99), ds, "min_completeness")
    assert found.value == pytest.approx(1 - 5 / 370)
    assert found.examples == tuple(f"s{row:06d}" for row in range(395, 400))


def test_the_label_error_rate_takes_the_doubt_of_the_model_along() -> None:
    contract = Contract(max_label_error_rate=0.05)
    sure = table(2000, **{"audit.label_error.score": [1.0] * 40 + [0.0] * 1960})
    assert one(contract, sure, "max_label_error_rate").outcome == "holds"
    unsure = table(2000, **{"audit.label_error.score": [0.04] * 2000})
    found = one(contract, unsure, "max_label_error_rate")
    assert (found.outcome, found.needed) == ("unknown", None)
    assert "more samples like these would not tell" in found.what


def test_what_was_not_measured_is_not_told_and_says_what_to_do() -> None:
    found = one(Contract(max_label_error_rate=0.05), table(100), "max_label_error_rate")
    assert (found.outcome, found.level) == ("unknown", "warning")
    assert "run scarce audit" in found.what
    assert one(Contract(min_agreement=0.8), table(100), "min_agreement").level == "note"


def test_minimum_per_class_counts_what_lacks() -> None:
    contract = Contract(class_minimum={"good": 60, "torn": 50, "stained": 5}, warn=("class_minimum",))
    found = one(contract, table(100), "class_minimum")
    assert (found.outcome, found.level, found.needed) == ("broken", "warning", 15)
    assert "good has 50 of 60; stained has 0 of 5" in found.what
    single = table(3, label=["good", "good", "torn"])
    assert one(Contract(class_minimum={"torn": 2}), single, "class_minimum").needed == 1


@pytest.mark.parametrize(
    ("hours", "outcome"), [(1.0, "holds"), (24.0, "holds"), (24.1, "broken"), (-5.0, "holds"), (-30.0, "broken")]
)
def test_staleness_is_counted_from_now(hours: float, outcome: str) -> None:
    times = [(NOW - timedelta(hours=hours + row)).replace(tzinfo=None) for row in range(10)]
    found = one(Contract(max_staleness_hours=24), table(10, captured_at=times), "max_staleness_hours")
    assert found.outcome == outcome


@pytest.mark.parametrize(
    ("days", "outcome"),
    [(range(120), "holds"), (range(0, 120, 2), "broken"), (range(5), "unknown"), ([0] * 5, "unknown"),
     ([0, 300], "broken")],
)  # fmt: skip
def test_updates_are_judged_by_the_periods_that_brought_samples(days: Any, outcome: str) -> None:
    times = [(NOW - timedelta(days=day, hours=1)).replace(tzinfo=None) for day in days]
    found = one(Contract(update_hours=24), table(len(times), captured_at=times), "update_hours")
    assert found.outcome == outcome
    assert (found.needed is not None) is (outcome == "unknown")


def test_without_a_time_of_capture_freshness_is_not_told() -> None:
    found = [one(Contract(update_hours=24, max_staleness_hours=24), table(5), rule) for rule in
             ("update_hours", "max_staleness_hours")]  # fmt: skip
    assert {(item.outcome, item.level) for item in found} == {("unknown", "note")}


def with_votes(ds: Dataset, voters: int, wrong: float, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    rows = []
    for sample, label in zip(ds.ids.tolist(), ds.table["label"].to_pylist(), strict=True):
        for voter in range(voters):
            other = next(name for name in ds.schema.classes if name != label)
            vote = other if rng.random() < wrong else label
            rows.append({"sample": sample, "voter": f"v{voter}", "kind": "human", "label": vote})
    return replace(ds, votes=pa.Table.from_pylist(rows, schema=columns.VOTE))


@pytest.mark.parametrize(
    ("n", "wrong", "outcome"), [(600, 0.01, "holds"), (600, 0.15, "broken"), (40, 0.06, "unknown")]
)
def test_agreement_is_held_against_its_interval(n: int, wrong: float, outcome: str) -> None:
    found = one(Contract(min_agreement=0.8), with_votes(table(n), 3, wrong), "min_agreement")
    assert found.outcome == outcome
    assert found.low is not None
    assert found.low <= found.value <= found.high
    assert (found.needed is not None) is (outcome == "unknown")


@pytest.mark.slow
def test_the_interval_of_alpha_covers_the_truth() -> None:
    truth = alpha_interval(ratings_of(with_votes(table(20_000), 2, 0.1))[0])[0].value
    small = [ratings_of(with_votes(table(150), 2, 0.1, seed=seed))[0] for seed in range(40)]
    found = [alpha_interval(ratings, level=0.9, repeats=250)[0] for ratings in small]
    covered = np.mean([item.low <= truth <= item.high for item in found])
    assert 0.8 <= covered <= 0.98  # two one-sided 95 % bounds: 90 %


def test_a_later_vote_replaces_and_an_abstention_does_not_count() -> None:
    votes = [(0, "a", "good"), (0, "a", "torn"), (0, "b", "torn"), (1, "a", "good"), (1, "b", None), (9, "a", "good")]
    rows = [{"sample": f"s{row:06d}", "voter": voter, "label": label} for row, voter, label in votes]
    ds = replace(table(3), votes=pa.Table.from_pylist(rows, schema=columns.VOTE))
    assert ratings_of(ds)[0].tolist() == [[1, 1], [0, -1], [-1, -1]]


def test_a_learned_contract_has_the_usual_limits_and_warns_of_counts_and_time() -> None:
    made = Contract.learn(table(40))
    assert (made.min_completeness, made.max_label_error_rate, made.max_duplicate_rate) == (0.99, 0.05, 0.01)
    assert (made.min_agreement, made.update_hours, made.max_staleness_hours) == (0.8, 24.0, 24.0)
    assert made.class_minimum == {"good": 1000, "torn": 50}
    assert made.warn == ("class_minimum", "update_hours", "max_staleness_hours")
    assert Contract.from_toml(made.to_toml()) == made
    assert not [item for item in judge(made, table(40), now=NOW) if item.level == "error"]


def test_another_data_set_breaks_the_contract_in_words() -> None:
    found = one(Contract(classes=("good", "torn")), table(10, classes=("ok", "burnt")), "classes")
    assert (found.outcome, found.level) == ("broken", "error")
    assert "new ['burnt', 'ok']; gone ['good', 'torn']" in found.what


@pytest.mark.parametrize("contract", [Contract(), Contract.learn(table(4)), Contract(min_completeness=1.0)])
def test_an_empty_data_set_gets_an_answer(contract: Contract) -> None:
    empty = table(0)
    found = judge(contract, empty, now=NOW)
    assert [item.rule for item in found if item.outcome == "broken" and item.level == "error"]
    assert all(item.what for item in found)
    assert Contract.learn(empty).min_rows == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("min_completeness = nan", r"min_completeness = nan. it takes a number from 0 to 1"),
        ("max_label_error_rate = 5", "max_label_error_rate = 5"), ("max_duplicate_rate = -0.1", "max_duplicate_rate"),
        ("min_agreement = 1.5", "from -1 to 1"), ("update_hours = 0.0", "update_hours = 0"),
        ("update_hours = inf", "update_hours = inf"), ("max_staleness_hours = nan", "max_staleness_hours = nan"),
        ("min_rows = -1", "min_rows = -1"), ("max_set_aside = 2.0", "max_set_aside = 2"),
        ("update_hours = 48.0\nmax_staleness_hours = 24.0", "data that keeps the one breaks the other"),
        ("[ranges]\n'meta.x' = [3.0, 1.0]", "holds no number"), ("[ranges]\n'meta.x' = [nan, 1.0]", "holds no number"),
        ("[allowed]\n'meta.x' = []", "no value is left"), ("[completeness]\nlabel = 1.5", "completeness.label = 1.5"),
        ("classes = ['a', 'b']\n[class_minimum]\nc = 3", "'c', which is no class"),
        ("classes = ['a', 'a']", "names a class twice"), ("warn = ['class_minimm']", "did you mean 'class_minimum'"),
        ("min_completness = 0.9", "did you mean 'min_completeness'"), ("min_agreement = 'high'", "min_agreement"),
        ("[class_minimum]\ntorn = -5", "class_minimum.torn = -5"),
    ],
)  # fmt: skip
def test_wrong_limits_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Contract.from_toml(text)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"gone\.toml cannot be read"):
        Contract.load(tmp_path / "gone.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ReadError, match="no UTF-8"):
        Contract.load(tmp_path / "binary.toml")


@pytest.mark.slow
def test_real_tiles_against_the_usual_limits(shared_data: Path) -> None:
    """1,344 photos without copies: the duplicate limit holds; 225 tiles are too few for completeness by tile."""
    ds = modality.scan(io.read(shared_data / "magnetic_tile" / "index.csv", group="tile_group"))
    ds = audit.run(ds, ["exact_duplicate", "near_duplicate"])
    made = Contract.learn(ds)
    duplicates, complete = one(made, ds, "max_duplicate_rate"), one(made, ds, "min_completeness")
    assert duplicates.n == complete.n == 1344
    assert complete.outcome == "unknown"  # 225 tiles without a gap prove 98.7 %
    assert complete.low == pytest.approx(0.05 ** (1 / 225), abs=1e-6)
    alone = one(made, ds.with_columns({"group": [None] * len(ds)}), "min_completeness")
    assert alone.outcome == "holds"
    lacking = one(made, ds, "class_minimum")
    assert "fray has 32 of 50" in lacking.what
    assert lacking.level == "warning"
