from __future__ import annotations

import warnings
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scarce.dataset import Array
from scarce.errors import DataError
from scarce.flywheel._rate import rate
from scarce.flywheel.kpi import MONTH, Outcomes, Traffic, changes, figures, measure, over_time, periods

CLASSES = ("Pullover", "Coat", "Shirt", "Bag")
SOUND = (1,)
BUDGET, AUDIT = 300, 0.2


@pytest.fixture(scope="module")
def year(garments: Path) -> Outcomes:
    """What a model that learned from 200 real garments says about 2,600 others; all of them with their truth."""
    from PIL import Image
    from sklearn.linear_model import LogisticRegression

    rows = pq.read_table(garments, columns=["image", "label"]).to_pylist()
    rows = [row for row in rows if row["label"] in CLASSES]
    order = np.random.default_rng(0).permutation(len(rows))[:2800]
    labels = np.array([CLASSES.index(rows[row]["label"]) for row in order])
    pixels = np.stack([
        np.asarray(Image.open(BytesIO(rows[row]["image"])).convert("L").resize((14, 14)), float).ravel() / 255
        for row in order
    ])  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        probs = LogisticRegression(max_iter=200).fit(pixels[:200], labels[:200]).predict_proba(pixels[200:])
    n, answer = len(probs), probs.argmax(1)
    assert n > 2000
    return Outcomes(
        at=np.datetime64("2026-01-05", "s") + np.arange(n) * np.timedelta64(3600, "s"), truth=labels[200:],
        answer=answer, called=~np.isin(answer, SOUND), probability=probs.max(1), inclusion=np.full(n, np.nan),
        groups=np.arange(n),
    )  # fmt: skip


def truth_of(found: Outcomes) -> dict[str, float]:
    whole = figures(replace(found, inclusion=np.ones(len(found))), CLASSES, SOUND)
    assert whole.detection is not None
    assert whole.false_defect is not None
    rates = {"accuracy": whole.accuracy, "detection": whole.detection, "false_defect": whole.false_defect,
             "calibration_gap": whole.calibration_gap, "Shirt": whole.classes["Shirt"]}  # fmt: skip
    return {name: float(found.value) for name, found in rates.items() if found.value is not None}


def labelled(found: Outcomes, seed: int) -> Outcomes:
    """What people labelled: a part drawn at random, the rest where the model was least sure."""
    rng = np.random.default_rng(seed)
    many = round(AUDIT * BUDGET)
    drawn = rng.choice(len(found), many, replace=False)
    rest = np.setdiff1d(np.argsort(found.probability), drawn, assume_unique=True)
    doubtful = np.argsort(np.where(np.isin(np.arange(len(found)), drawn), 9.0, found.probability))
    assert len(rest) == len(found) - many
    rows = np.concatenate([drawn, doubtful[: BUDGET - many]])
    inclusion = np.full(len(rows), np.nan)
    inclusion[:many] = many / len(found)
    return replace(found.take(rows), inclusion=inclusion)


def test_the_audit_is_unbiased_the_doubtful_are_not_and_intervals_cover(year: Outcomes) -> None:
    true, found, naive = truth_of(year), [], []
    for seed in range(300):
        part = labelled(year, seed)
        found.append(figures(part, CLASSES, SOUND))
        naive.append(truth_of(part))
    assert all(one.left_out == BUDGET - 60 and one.drawn == 60 for one in found)
    for name, wanted in true.items():
        rates = [one.classes[name] if name in CLASSES else getattr(one, name) for one in found]
        values = np.array([one.value for one in rates], float)
        error = values.std() / np.sqrt(len(values))
        assert abs(values.mean() - wanted) < 4 * error + 0.003, name
        assert np.mean([one.low <= wanted <= one.high for one in rates]) >= 0.94, name
    biased = np.mean([one["accuracy"] for one in naive])
    assert biased < true["accuracy"] - 0.1  # what people are asked about because it is hard
    assert all(one.accuracy.low > biased for one in found[:1])


@pytest.mark.parametrize(("sure", "doubtful"), [(0.01, 0.4), (0.02, 1.0), (0.05, 0.05)])
def test_unequal_inclusion_probabilities_are_unbiased_and_covered(year: Outcomes, sure: float, doubtful: float) -> None:
    right = year.answer == year.truth
    share = np.where(year.probability < 0.6, doubtful, sure)
    rng = np.random.default_rng(1)
    found = []
    for seed in range(300):
        taken = rng.random(len(right)) < share
        found.append(rate(right[taken], share[taken], seed=seed))
    values = np.array([one.value for one in found], float)
    assert abs(values.mean() - right.mean()) < 4 * values.std() / np.sqrt(len(values)) + 0.01
    assert np.mean([one.low <= right.mean() <= one.high for one in found]) >= 0.94


def test_few_counts_none_and_groups_are_told_as_they_are() -> None:
    none = rate(np.zeros(0, bool))
    assert (none.value, none.low, none.high, none.n) == (None, 0.0, 1.0, 0)
    assert "nothing can be said" in none.why
    one = rate(np.ones(1, bool))
    assert (one.value, one.high) == (1.0, 1.0)
    assert one.low == pytest.approx(0.025)
    alone, shared = rate(np.arange(40) < 36), rate(np.arange(40) < 36, groups=np.arange(40) // 10)
    assert alone.value == shared.value == 0.9
    assert shared.low < alone.low
    assert (shared.groups, alone.groups) == (4, 40)
    heavy = rate(np.arange(20) < 18, np.where(np.arange(20) < 2, 0.01, 1.0))
    assert heavy.effective < 3
    assert heavy.low < 0.25


def test_wrong_inclusion_probabilities_and_lengths_are_refused(year: Outcomes) -> None:
    with pytest.raises(DataError, match="inclusion probability"):
        replace(year, inclusion=np.full(len(year), 1.5))
    with pytest.raises(DataError, match="different lengths"):
        replace(year, truth=year.truth[:-1])
    with pytest.raises(DataError, match="every 'day'"):
        periods(year.at, "day")


@given(st.lists(st.dates(date(1999, 1, 1), date(2040, 1, 1)), max_size=20))
def test_weeks_and_months_are_those_of_the_calendar(days: list[date]) -> None:
    times = np.array(days, "datetime64[s]")
    assert periods(times).tolist() == [day.strftime("%G-W%V") for day in days]
    assert periods(times, MONTH).tolist() == [day.strftime("%Y-%m") for day in days]


def test_periods_hold_what_happened_in_them(year: Outcomes) -> None:
    part = labelled(year, 0)
    days, place = np.unique(year.at.astype("datetime64[D]"), return_inverse=True)
    counts = np.bincount(place)
    passed = Traffic(day=days, answered=counts, asked=counts // 10, fresh=counts - 1, labels=part.at)
    weeks = over_time(part, passed, CLASSES, SOUND)
    months = over_time(part, passed, CLASSES, SOUND, every=MONTH)
    (whole,) = over_time(part, passed, CLASSES, SOUND, every="all")
    assert weeks[0].name == "2026-W02"
    assert [row.name for row in weeks] == sorted(row.name for row in weeks)
    for rows in (weeks, months):
        assert sum(row.answered for row in rows) == whole.answered == len(year)
        assert sum(row.figures.drawn for row in rows) == whole.figures.drawn == 60
        assert sum(row.labels_spent for row in rows) == whole.labels_spent == BUDGET
    assert whole.labels_saved == len(year) - len(days) - BUDGET
    assert whole.to_person.value == pytest.approx((counts // 10).sum() / len(year))
    assert over_time(part, passed, CLASSES, SOUND, most=2) == weeks[-2:]


def test_changes_are_found_and_rarely_claimed(year: Outcomes) -> None:
    rng, claimed = np.random.default_rng(3), 0
    for _ in range(200):
        first, second = (drawn(year, rng.choice(len(year), 40, replace=False)) for _ in range(2))
        claimed += bool(changes(first, second, CLASSES, SOUND).proven)
    assert claimed / 200 <= 0.05
    worse = year.answer.copy()
    worse[::2] = (worse[::2] + 2) % 4  # a camera that turns half of the answers
    broken = replace(year, answer=worse, called=~np.isin(worse, SOUND))
    found = changes(drawn(year, np.arange(60)), drawn(broken, np.arange(60, 120)), CLASSES, SOUND)
    assert "accuracy" in {row.name for row in found.proven}
    assert all(row.low <= row.value <= row.high for row in found.figures)


def drawn(found: Outcomes, rows: Array) -> Outcomes:
    return replace(found.take(rows), inclusion=np.full(len(rows), 0.01))


def test_a_project_is_judged_by_what_was_drawn(line: Any, open_line: Any) -> None:
    from scarce.flywheel.feedback import give

    requests = line.answer([content for content, _ in line.new[:60]])
    truth = [label for _, label in line.new[:60]]
    project = open_line()
    give(project, [{"request": request, "label": label} for request, label in zip(requests, truth, strict=True)
                   if label in {"Bag", "Coat", "Trouser"}], source="cli")  # fmt: skip
    found = measure(project)
    assert found.whole is not None
    assert found.whole.answered == found.whole.labels_full == 60
    assert (found.whole.figures.drawn, found.whole.figures.accuracy.value) == (0, None)
    many = found.whole.figures.left_out
    assert many == sum(label in {"Bag", "Coat", "Trouser"} for label in truth) == found.whole.labels_spent
    answers = {row["request"]: row for row in project.state.predictions()}
    chosen = [row for row in project.state.feedback() if row["number"] % 2]
    project.state.add_feedback([
        {key: row[key] for key in ("sample", "model", "predicted", "label", "request", "kind", "voter", "probability")}
        | {"inclusion": 0.5, "source": "queue"} for row in chosen
    ])  # fmt: skip
    whole = measure(project).whole
    assert whole is not None
    assert (whole.figures.drawn, whole.figures.left_out, whole.labels_spent) == (len(chosen), many - len(chosen), many)
    right = np.mean([answers[row["request"]]["label"] == row["label"] for row in chosen])
    assert whole.figures.accuracy.value == pytest.approx(right)
    assert whole.figures.detection is not None
    called = [row for row in chosen if row["label"] != "Coat"]
    assert whole.figures.detection.n == len(called)
    week = measure(project).weeks[-1]
    assert week.name == datetime.now(UTC).strftime("%G-W%V")
    assert week.to_json()["accuracy"]["low"] < right


def test_every_database_counts_the_same(state_url: str, tmp_path: Path) -> None:
    from scarce.config import Config
    from scarce.flywheel.feedback import give
    from scarce.project import Project

    config = Config().with_values("project", state_url=state_url if "://" in state_url else "")
    with Project.init(tmp_path / "p", config=config) as project:
        at = [f"2026-0{1 + n // 20}-0{1 + n % 9}T10:00:00.000+00:00" for n in range(60)]
        rows: list[dict[str, Any]] = [
            {"at": at[n], "request": f"r{n}", "sample": f"s{n % 50}", "model": "m", "served_as": "champion",
             "label": "a", "probability": 0.8, "verdict": "ask" if n % 5 == 0 else "accept", "body": {}}
            for n in range(60)
        ]  # fmt: skip
        project.state.log_predictions(rows)
        project.state.log_predictions([{**row, "request": f"{row['request']}-shadow", "served_as": "shadow"}
                                       for row in rows])  # fmt: skip
        give(project, [{"request": f"r{n}", "label": "a" if n else "b"} for n in range(8)], source="http")
        found = measure(project)
    assert [(row.name, row.answered, row.labels_full) for row in found.months][:3] == [
        ("2026-01", 20, 20), ("2026-02", 20, 20), ("2026-03", 20, 10),
    ]  # fmt: skip
    assert found.whole is not None
    assert (found.whole.to_person.value, found.whole.figures.left_out) == (0.2, 8)


def test_a_sample_that_was_drawn_counts_once(line: Any, open_line: Any) -> None:
    from scarce.flywheel.collect import collect
    from scarce.flywheel.draw import ask
    from scarce.flywheel.feedback import give

    known = [(content, label) for content, label in line.new if label != "Sandal"][:30]
    line.answer([content for content, _ in known])
    project = open_line()
    told = ask(project, budget=20)
    drawn = {row["sample"]: row["inclusion"] for row in told.rows if row["kind"] == "audit"}
    assert len(drawn) == 2
    again = line.answer([content for content, _ in known])
    give(project, [{"request": row["request"], "label": line.truth[row["sample"]]}
                   for row in project.state.predictions()], source="http")  # fmt: skip
    collect(project)
    found = measure(project)
    assert found.whole is not None
    assert (found.whole.figures.drawn, found.untold) == (0, {"open": 2, "unsure": 0})
    line.label(project, line.folder / "q.csv", line.truth.__getitem__)
    found = measure(project)  # what was answered counts before it is collected
    assert found.whole is not None
    assert found.whole.figures.drawn == len(drawn)
    assert found.whole.figures.left_out == 2 * len(again) - len(drawn)
    assert set(found.outcomes.inclusion[found.outcomes.drawn]) == set(drawn.values())


def test_an_empty_project_says_nothing(open_line: Any) -> None:
    found = measure(open_line())
    assert (found.weeks, found.months, found.whole) == ((), (), None)


def test_a_monday_begins_a_week() -> None:
    sunday = datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)
    times = np.array([sunday.replace(tzinfo=None), (sunday + timedelta(seconds=1)).replace(tzinfo=None)], "M8[s]")
    assert periods(times).tolist() == ["2026-W47", "2026-W48"]
