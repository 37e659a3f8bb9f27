"""Rounds of labelling on real garments, with the truth as the person."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from scarce import ballot
from scarce.dataset import Dataset, Ints
from scarce.errors import ConfigError, DataError, UnknownNameError
from scarce.loop import answering, asking, picking, rounds, standing
from scarce.loop.rounds import Loop, Plan, history
from scarce.project import Project

if TYPE_CHECKING:
    from conftest import Hidden


def test_rounds_ask_learn_and_keep_their_history(hidden: Hidden, tmp_path: Path) -> None:
    project, table = hidden.project, tmp_path / "q.csv"
    loop = Loop(project, Plan(initial=40, budget=20, rounds=3, target=1.0))
    now = loop.go_on()
    assert (now.waiting, now.stopped, now.standing.judged_on) == (40, "", "nothing")
    assert hidden.answer(table, most=25) == 25
    assert Loop(project, Plan(budget=7)).go_on().waiting == 15, "the round goes on in another process, as it was begun"
    assert hidden.answer(table) == 15
    assert loop.go_on().waiting == 20
    assert hidden.answer(table) == 20
    loop.go_on()
    assert hidden.answer(table) == 20
    end = loop.go_on()
    assert end.stopped == "3 rounds are done"
    told = history(project)
    assert [(item["strategy"], item["asked"], item["answered"], item["seconds"]) for item in told] == [
        ("typi_clust", 40, 40, 60.0), ("priority", 20, 20, 30.0), ("priority", 20, 20, 30.0)
    ]  # fmt: skip
    assert [item["after"]["labels"] for item in told] == [40, 60, 80]
    assert told[1]["before"] == told[0]["after"]
    for item in told:
        after = item["after"]
        assert (after["judged_on"], after["n"], after["metric"]) == ("val", 200, "balanced_accuracy")
        assert after["low"] <= after["value"] <= after["high"]
        assert after["accuracy_low"] < after["accuracy"] < after["accuracy_high"]
        assert item["by"] == {"oracle": item["asked"]}
    assert told[-1]["after"]["value"] > 0.5, "chance is a quarter"
    assert all("more likely" in why for why in told[1]["samples"].values())
    ds = project.dataset()
    rows = ds.rows_of([sample for item in told for sample in item["samples"]])
    assert (ds["label_source"][rows] == "human").all()
    assert [ds.schema.classes[code] for code in ds["label"][rows]] == [hidden.truth[name] for name in ds.ids[rows]]
    assert (ballot.ratings_of(ds)[0] >= 0).sum() == 80
    assert project.state.annotations(frozen=False) == []
    assert project.state.test_looks() == 0


@pytest.mark.slow
def test_it_stops_at_the_target_and_says_why(hidden: Hidden, tmp_path: Path) -> None:
    loop = Loop(hidden.project, Plan(initial=60, target=0.6))
    loop.go_on()
    hidden.answer(tmp_path / "q.csv")
    now = loop.go_on()
    assert now.waiting == 0
    assert now.stopped.startswith("target reached: balanced_accuracy 0.")
    assert "judged on val) >= 0.6" in now.stopped
    assert len(history(hidden.project)) == 1


def test_what_waits_is_asked_though_the_target_is_reached(hidden: Hidden, tmp_path: Path) -> None:
    project, table = hidden.project, tmp_path / "q.csv"
    loop = Loop(project, Plan(initial=60, target=0.5))
    loop.go_on()
    hidden.answer(table)
    assert loop.go_on().stopped.startswith("target reached")
    ds = project.dataset()
    free = ds.ids[rounds.askable(project, ds)][:3].tolist()
    asking.put(project, [{"sample": name, "reason": "label: production, drawn at random", "priority": 1.0,
                          "version": project.head} for name in free])  # fmt: skip
    now = loop.go_on()
    assert (now.waiting, now.stopped) == (3, "")
    assert set(history(project)[-1]["samples"]) == set(free), "nothing is picked beside what waits"
    assert hidden.answer(table) == 3
    assert loop.go_on().stopped.startswith("target reached")


def test_a_class_may_stand_in_either_column_of_the_answers(hidden: Hidden, tmp_path: Path) -> None:
    project, table = hidden.project, tmp_path / "q.csv"
    Loop(project, Plan(initial=3)).go_on()
    asking.write_questions(project, project.dataset(), table, (asking.LABEL,))
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    def written(words: list[str]) -> asking.Answers:
        with table.open("w", encoding="utf-8", newline="") as file:
            out = csv.DictWriter(file, asking.HEADS)
            out.writeheader()
            out.writerows({**row, "answer": word} for row, word in zip(rows, words, strict=True))
        return asking.read_answers(project, project.dataset(), table, voter="ann")

    some = project.dataset().schema.classes[0]
    said = written([some, "Unsure", ""])
    assert [(one.verdict, one.label) for one in said.said] == [("label", some), ("unsure", None)]
    assert said.waiting == 1
    with pytest.raises(DataError, match="or a class"):
        written([f"{some}s", "", ""])


@pytest.mark.slow
def test_a_budget_larger_than_the_pool_asks_what_is_there_and_then_stops(hidden: Hidden, tmp_path: Path) -> None:
    loop = Loop(hidden.project, Plan(initial=1000, target=1.0))
    assert loop.go_on().waiting == 400
    assert history(hidden.project)[0]["note"] == "1000 were wanted, the pool has 400"
    hidden.answer(tmp_path / "q.csv")
    assert loop.go_on().stopped.startswith("nothing is left to ask")


def test_an_unsure_person_is_not_asked_again_and_nothing_is_overwritten(hidden: Hidden, tmp_path: Path) -> None:
    project, table = hidden.project, tmp_path / "q.csv"
    Loop(project, Plan(initial=20)).go_on()
    first = asking.questions(project, project.dataset(), ("label",))[0]
    answering.say(project, [answering.Answer(number=first.number, sample=first.sample, verdict="unsure", label=None,
                                             voter="anna", reason=first.reason, seconds=2.0)])  # fmt: skip
    hidden.answer(table, label=lambda _: "Bag", voter="anna")
    before = project.state.annotations()
    wrong = next(name for name, kind in hidden.truth.items() if kind == "Trouser" and name in {
        row["sample"] for row in before if row["label"]})  # fmt: skip
    answering.say(project, [answering.Answer(number=None, sample=wrong, verdict="label", label="Trouser", voter="ben")])
    answering.freeze(project)
    ds = project.dataset()
    assert ds.table["label"][int(ds.rows_of([wrong])[0])].as_py() == "Trouser", "the newest answer counts"
    assert [{**row, "frozen": None} for row in project.state.annotations()[: len(before)]] == [
        {**row, "frozen": None} for row in before
    ]  # fmt: skip
    votes, voters = ballot.ratings_of(ds)
    assert voters == ["anna", "ben"]
    row = int(ds.rows_of([wrong])[0])
    assert [ds.schema.classes[code] for code in votes[row]] == ["Bag", "Trouser"]
    Loop(project, Plan(budget=380)).go_on()
    assert first.sample not in history(project)[1]["samples"]
    assert history(project)[0]["unsure"] == 1


def test_what_was_taken_back_leaves_no_label(hidden: Hidden) -> None:
    project = hidden.project
    Loop(project, Plan(initial=3)).go_on()
    one, two, _ = asking.questions(project, project.dataset(), ("label",))

    def say(question: asking.Question, verdict: str, label: str | None) -> None:
        answering.say(project, [answering.Answer(number=question.number, sample=question.sample, verdict=verdict,
                                                 label=label, voter="anna", reason=question.reason)])  # fmt: skip

    say(one, "label", "Bag")
    say(one, "undo", None)
    say(two, "label", "Bag")
    assert answering.freeze(project).labels == 2
    say(two, "undo", None)
    answering.freeze(project)
    ds = project.dataset()
    assert (ds["label"][ds.rows_of([one.sample, two.sample])] == -1).all()
    assert len(asking.questions(project, ds, ("label",))) == 3
    assert (ballot.ratings_of(ds)[0] >= 0).sum() == 0
    assert len(project.state.annotations()) == 4


def test_a_process_killed_between_saying_and_freezing_loses_nothing(hidden: Hidden) -> None:
    project = hidden.project
    Loop(project, Plan(initial=5)).go_on()
    waiting = asking.questions(project, project.dataset(), ("label",))
    answering.say(project, [answering.Answer(number=item.number, sample=item.sample, verdict="label", label="Bag",
                                             voter="anna", reason=item.reason) for item in waiting])  # fmt: skip
    with Project.open(project.folder) as other:
        assert Loop(other, Plan(initial=5, rounds=0)).finish().stopped == "round 1 is done"
        assert int((other.dataset()["label_source"] == "human").sum()) == 5
    numbers = [row["number"] for row in project.state.annotations()]
    project.state._update("annotations", "number", numbers, {"frozen": None})
    answering.freeze(project)
    assert len(project.dataset().votes) == 5, "frozen twice is frozen once"


RACER = """
import sys
from scarce.loop.answering import Answer, freeze, say
from scarce.loop.asking import questions
from scarce.loop.rounds import Loop, Plan
from scarce.project import Project
with Project.open(sys.argv[1]) as project:
    Loop(project, Plan(initial=30)).go_on()
    for item in questions(project, project.dataset(), ("label",))[int(sys.argv[2])::2]:
        say(project, [Answer(number=item.number, sample=item.sample, verdict="label", label="Bag", voter=sys.argv[2],
                             reason=item.reason)])
        freeze(project)
"""


@pytest.mark.slow
def test_two_processes_at_one_queue(hidden: Hidden) -> None:
    """Both begin the round, both answer, both freeze after every answer."""
    command = [sys.executable, "-W", "ignore", "-c", RACER, str(hidden.project.folder)]
    both = [subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True) for name in "01"]
    for process in both:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    project = hidden.project
    assert len(history(project)) == 1
    told = project.state.annotations()
    assert len({row["sample"] for row in told}) >= 15
    assert all(row["frozen"] for row in told)
    ds = project.dataset()
    human = ds["label_source"] == "human"
    assert set(ds.ids[human]) == {row["sample"] for row in told}
    project.store.verify()


def test_answers_can_be_done_again_from_the_record(hidden: Hidden, tmp_path: Path) -> None:
    from scarce.provenance._again import Scene, again

    before = hidden.project.dataset()
    Loop(hidden.project, Plan(initial=6)).go_on()
    hidden.answer(tmp_path / "q.csv")
    after = hidden.project.dataset()
    assert after.steps[-1].stage == "label"
    assert again(before, after.steps[-1], Scene(features=None, sources={})).table.equals(after.table)


def test_a_strategy_of_ones_own(hidden: Hidden) -> None:
    def last(ds: Dataset, n: int, seed: int) -> Ints:
        return picking.pool_of(ds)[::-1][:n]

    now = Loop(hidden.project, Plan(initial=10), pick=last).go_on()
    ds = hidden.project.dataset()
    free = ds.ids[rounds.askable(hidden.project, ds)]
    assert now.round is not None
    assert set(now.round["samples"]).isdisjoint(free)
    assert max(free) < min(now.round["samples"])


@pytest.mark.parametrize("rows", [[0, 0], [10**6], "val"])
def test_a_strategy_that_picks_nonsense_is_refused(hidden: Hidden, rows: object) -> None:
    ds = hidden.project.dataset()
    picked = np.flatnonzero(ds["split"] == "val")[:2] if rows == "val" else np.array(rows)
    with pytest.raises(DataError, match="outside the pool or some twice"):
        Loop(hidden.project, Plan(initial=5), pick=lambda *_: picked).go_on()
    assert history(hidden.project) == []


@pytest.mark.slow
def test_out_of_fold_figures_count_drawn_labels_only(hidden: Hidden, tmp_path: Path) -> None:
    project = hidden.project
    for strategy in ("random", "margin"):
        loop = Loop(project, Plan(initial=120, budget=60, target=1.0, judge="folds", strategy=strategy))
        assert loop.go_on().stopped == ""
        hidden.answer(tmp_path / "q.csv")
    loop.finish()
    after = history(project)[-1]["after"]
    assert (after["judged_on"], after["n"], after["labels"]) == ("folds", 120, 180)
    assert after["low"] < after["value"]
    assert "not picked" in after["note"]
    ds, features = rounds.featured(project)
    everything = standing.judge(project, ds, features, judge_on="folds", picked=ds.ids.tolist())
    assert everything.n == 180
    assert "no estimate" in everything.note


def test_the_test_split_is_judged_only_when_asked_for_and_the_look_is_counted(hidden: Hidden, tmp_path: Path) -> None:
    project = hidden.project
    project.change(lambda ds: ds.with_columns({"split": np.where(ds["split"] == "val", "test", "train").tolist()}), "x")
    loop = Loop(project, Plan(initial=60, judge="test", target=1.0))
    loop.go_on()
    hidden.answer(tmp_path / "q.csv")
    assert loop.finish().standing.judged_on == "test"
    assert project.state.test_looks() == 1
    assert Loop(project, Plan(target=1.0)).go_on().standing.judged_on == "test", "what is known is not judged again"
    assert project.state.test_looks() == 1


def test_bad_plans_and_empty_projects(hidden: Hidden, tmp_path: Path) -> None:
    for bad in ({"budget": 0}, {"initial": 0}, {"target": 1.5}, {"rounds": -1}, {"judge": "guess"}):
        with pytest.raises(ConfigError):
            Plan(**bad)
    with pytest.raises(UnknownNameError, match="margn"):
        Loop(hidden.project, Plan(strategy="margn")).go_on()
    with pytest.raises(ConfigError, match="truth"):
        answering.freeze(hidden.project, truth="loudest")
    ds = hidden.project.dataset()
    bare = Dataset(type(ds.schema)(), ds.table.set_column(
        ds.table.column_names.index("label"), "label", pa.nulls(len(ds), pa.string())), ds.sources)  # fmt: skip
    with Project.init(tmp_path / "bare", config=hidden.project.config) as project:
        project.commit(bare.with_columns({"label_source": [None] * len(ds)}), "bare")
        with pytest.raises(DataError, match="no classes"):
            Loop(project, Plan()).go_on()
