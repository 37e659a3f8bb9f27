from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce.flywheel._missing import missing
from scarce.flywheel._standing import Looks, Standing
from scarce.flywheel.kpi import Outcomes, measure
from scarce.flywheel.plan import (
    INITIAL_DATA,
    INITIAL_MODEL,
    LOOP,
    STABLE,
    Steady,
    allowance,
    growing,
    next_step,
    phase,
    plan,
    steadiness,
)
from scarce.flywheel.promote import promote
from scarce.project import Project

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)  # a Wednesday
CLASSES, SOUND = ("good", "scratch"), (0,)


def audited(weeks: list[tuple[int, float]], *, each: int = 12) -> Outcomes:
    """Audited answers: weeks ago and accuracy in each of them; half of the parts are scratched."""
    at, truth, answer = [], [], []
    for ago, accuracy in weeks:
        for number in range(each):
            at.append(np.datetime64((NOW - timedelta(weeks=ago)).replace(tzinfo=None), "s"))
            truth.append(number % 2)
            answer.append(number % 2 if number < round(accuracy * each) else 1 - number % 2)
    n = len(at)
    return Outcomes(
        at=np.array(at, "datetime64[s]"), truth=np.array(truth), answer=np.array(answer),
        called=np.array(answer) == 1, probability=np.full(n, 0.9), inclusion=np.full(n, 0.02), groups=np.arange(n),
    )  # fmt: skip


LOOKED = Looks(at=tuple(NOW - timedelta(weeks=ago) for ago in (8, 6, 4, 2, 0)))


def test_stable_are_eight_alike_weeks_in_which_somebody_looked() -> None:
    calm = audited([(ago, 11 / 12) for ago in range(1, 9)])
    found = steadiness(calm, CLASSES, SOUND, looks=LOOKED, now=NOW)
    assert found.stable, found.why
    assert "would have shown" in found.why[0]
    assert found.changes.drawn == (48, 48)
    for other, looks, word in (
        (audited([(ago, 11 / 12) for ago in range(1, 9)], each=6), LOOKED, "24 and 24 samples"),
        (audited([(ago, 1.0 if ago > 4 else 0.4) for ago in range(1, 9)]), LOOKED, "accuracy changed by"),
        (calm, Looks(), "nobody looked"),
        (calm, Looks(at=LOOKED.at[-1:]), "nobody looked"),
        (calm, replace(LOOKED, alarms=((NOW - timedelta(weeks=3), "input"),)), "1 alarm of drift"),
        (audited([]), LOOKED, "0 and 0 samples"),
    ):
        told = steadiness(other, CLASSES, SOUND, looks=looks, now=NOW)
        assert not told.stable
        assert any(word in line for line in told.why), told.why
    old = replace(LOOKED, alarms=((NOW - timedelta(weeks=9, days=3), "input"),))
    assert steadiness(calm, CLASSES, SOUND, looks=old, now=NOW).stable


def test_phases_follow_what_is_there() -> None:
    few, enough = {"good": 40, "scratch": 4}, {"good": 40, "scratch": 12}
    steady = Steady(stable=True, why=("calm",))
    assert phase(Standing(), None)[0] == INITIAL_DATA
    assert phase(Standing(version="v1", train=few), None)[0] == INITIAL_DATA
    assert phase(Standing(version="v1", train=enough), None)[0] == INITIAL_MODEL
    assert phase(Standing(version="v1", train=enough, champion="m"), None)[0] == LOOP
    assert phase(Standing(version="v1", train=enough, champion="m"), replace(steady, stable=False))[0] == LOOP
    assert phase(Standing(version="v1", train=enough, champion="m"), steady) == (STABLE, "calm")


def test_each_next_step_has_its_reason() -> None:
    labels = np.zeros(0, "datetime64[s]")
    week = allowance(labels, "week", 100, now=NOW)
    spent = replace(week, spent=100)
    have = Standing(version="v2", train={"good": 40, "scratch": 12}, test={"good": 9, "scratch": 3}, split=True)
    served = replace(have, champion="m", models=1, fresh=5)
    group = {"others_too": False, "nearest": "good"}
    strange = {"kind": "new class", "name": "new class", "said": "12 lie together", "groups": [group]}
    camera = {**strange, "groups": [{**group, "others_too": True}]}
    bright = {"kind": "input", "name": "brightness", "said": "median 0.04167 before, 0.06452 now", "groups": []}
    for standing, budget, alarm, command in (
        (Standing(), week, None, "scarce add PHOTOS --project '/tmp/my project'"),
        (replace(have, train={"good": 40, "scratch": 4}), week, None, "scarce add PHOTOS --project '/tmp/my project'"),
        (replace(have, train={"good": 4}, unlabelled=90), week, None, "scarce label session '/tmp/my project'"),
        (replace(have, split=False, test={}), week, None, "scarce split '/tmp/my project'"),
        (have, week, None, "scarce train '/tmp/my project'"),
        (replace(have, models=1), week, None, "scarce promote '/tmp/my project'"),
        (served, week, strange, "scarce round '/tmp/my project'"),
        (replace(served, fresh=100), week, camera, "scarce drift '/tmp/my project'"),
        (replace(served, asked=7), week, bright, "scarce drift '/tmp/my project'"),
        (replace(served, proposed=True, challenger="n", asked=7), week, strange, "scarce promote '/tmp/my project'"),
        (replace(served, asked=7), week, None, "scarce label session '/tmp/my project'"),
        (replace(served, answers=7), week, None, "scarce collect '/tmp/my project'"),
        (replace(served, challenger="n"), week, None, "scarce promote '/tmp/my project'"),
        (replace(served, fresh=100), week, None, "scarce round '/tmp/my project'"),
        (served, week, None, "scarce queue '/tmp/my project'"),
        (served, spent, None, "scarce status '/tmp/my project'"),
    ):
        found = next_step(standing, "/tmp/my project", budget, retrain_after=100, alarms=[alarm] if alarm else [])
        assert found.command == command
        assert found.why
    told = next_step(served, "p", week, retrain_after=100, alarms=[bright]).why
    assert told.startswith(
        "Alarm: samples look different (brightness: median 0.04167 before, 0.06452 now). Check camera"
    )
    assert "a round trains nothing for it" in told
    texts = next_step(replace(served, modality="text"), "p", week, retrain_after=100, alarms=[bright]).why
    assert "Check where the samples come from first" in texts


def test_a_week_ends_on_monday_and_a_month_on_the_first() -> None:
    labels = np.array(["2026-11-15T23:59:59", "2026-11-16", "2026-11-01", "2026-10-31"], "datetime64[s]")
    week, month = (allowance(labels, every, 100, now=NOW) for every in ("week", "month"))
    assert (week.period, week.spent, week.left, week.ends) == ("2026-W47", 1, 99, "2026-11-23")
    assert (month.period, month.spent, month.left, month.ends) == ("2026-11", 3, 97, "2026-12-01")
    assert allowance(labels, "month", 2, now=NOW).left == 0
    assert allowance(labels, "month", 2, now=datetime(2026, 12, 31, tzinfo=UTC)).ends == "2027-01-01"


def test_real_samples_are_named_before_any_are_made() -> None:
    train, test = {"good": 10_000, "damaged": 100, "stained": 3}, {"good": 400, "damaged": 40, "stained": 1}
    rows = {row.name: row for row in missing(train, test, ["good"])}
    assert list(rows) == ["damaged", "stained"]  # good has all
    assert (rows["damaged"].to_learn, rows["damaged"].to_promote, rows["damaged"].to_prove) == (2000, 12, 258)
    assert (rows["stained"].to_learn, rows["stained"].to_promote, rows["stained"].to_prove) == (60, 51, 258)
    assert {row.to_prove for row in missing(train, test, ["good"], more_defects=500)} == {500}
    assert {row.to_prove for row in missing(train, test, [])} == {None}
    assert missing({}, {}, []) == ()
    (found,) = missing({"good": 20}, {"good": 10}, ["good"])
    assert (found.to_learn, found.to_promote, found.to_prove) == (0, 42, 289)
    standing = Standing(version="v1", train=train, normal=("good",))
    made = growing(standing, missing(train, test, ["good"]), "p")
    assert made is not None
    assert made.why.startswith("only where real samples cannot be had: synthesize damaged (+2,000)")
    assert growing(Standing(version="v1", train={"good": 50, "bad": 48}), (), "p") is None


def test_a_real_project_goes_through_the_phases(line: Any, open_line: Callable[[], Project]) -> None:
    project = open_line()
    served = plan(project, measure(project))
    assert served.phase == LOOP
    assert served.next.command == f"scarce queue {project.folder}"
    assert served.budget.total == 100
    assert served.retrain == (0, 100)
    assert served.missing[0].name == "Trouser"
    assert served.missing[0].to_promote == 52 - 3
    line.answer([content for content, _ in line.new[:40]])
    from scarce.flywheel.draw import ask

    told = ask(project, budget=10)
    after = plan(project, measure(project))
    assert after.budget.spent == told.budget.spent == 10
    assert after.next.command == f"scarce label session {project.folder}"
    name = project.state.aliases()["champion"]
    project.state.set_alias("champion", None)
    first = plan(project, measure(project))
    assert (first.phase, first.next.command) == (INITIAL_DATA, f"scarce add PHOTOS --project {project.folder}") or (
        first.phase == INITIAL_MODEL and first.next.command == f"scarce promote {project.folder}"
    )
    promote(project, name)
    assert plan(project, measure(project)).phase == LOOP


def test_an_empty_project_has_a_plan(tmp_path: Path) -> None:
    with Project.init(tmp_path / "p") as project:
        found = plan(project, measure(project))
    assert (found.phase, found.missing, found.grow, found.steady) == (INITIAL_DATA, (), None, None)
    assert found.to_json()["budget"]["left"] == 100


def test_a_pruned_version_and_a_damaged_card_stop_nothing(line: Any, open_line: Callable[[], Project]) -> None:
    project = open_line()
    for card in project.models.glob("*/card.json"):
        card.write_text("{", encoding="utf-8")
    found = plan(project, measure(project))
    assert found.retrain[0] is None
    shutil.rmtree(project.models)
    assert plan(project, measure(project)).phase == LOOP


@pytest.mark.parametrize("period", ["week", "month"])
def test_the_settings_may_fix_the_period(line: Any, open_line: Callable[[], Project], period: str) -> None:
    line.set("period", f'"{period}"')
    project = open_line()
    assert plan(project, measure(project)).budget.every == period
