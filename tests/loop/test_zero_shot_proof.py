"""What a zero-shot proof may rest on: samples that chance drew, not those that a strategy picked, on real garments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scarce.cli import main
from scarce.loop import zero_shot
from scarce.loop.heard import picked_test
from scarce.loop.querying import Wish, ask_next
from scarce.loop.rounds import Loop, Plan, picked
from scarce.loop.ruling import drawn_gold

if TYPE_CHECKING:
    from conftest import Hidden


def rounds_of(hidden: Hidden, tmp_path: Path, drawn: int, chosen: int) -> tuple[set[str], set[str]]:
    """Answer a round drawn at random and one that a strategy picked; return the samples of both."""
    found = []
    for number, (strategy, n) in enumerate((("random", drawn), ("margin", chosen))):
        plan = Plan(initial=n, budget=n, strategy=strategy, judge="folds", target=1.0, seed=number)
        loop = Loop(hidden.project, plan)
        loop.go_on()
        hidden.answer(tmp_path / f"{strategy}.csv")
        loop.finish()
        found.append(set(hidden.project.state.rounds()[-1]["body"]["samples"]))
    return found[0], found[1]


def test_picked_samples_teach_and_do_not_prove(hidden: Hidden, tmp_path: Path) -> None:
    drawn, chosen = rounds_of(hidden, tmp_path, 80, 60)
    ds, found = zero_shot.proposed(hidden.project, "prototype", precision=0.9)
    assert found.proof == {"rests_on": "drawn", "drawn": 80, "picked": 60}
    assert found.gates[""].labelled == sum(one.labelled for one in found.classes) == 80
    assert not any("picked" in note for note in found.notes)
    assert not set(ds.ids[found.rows]) & (drawn | chosen)
    from scarce.label.zero_shot import propose

    taught = propose(ds, found.method, precision=0.9, cache=hidden.project.features)
    assert taught.gates[""].labelled == 140, "without knowing which were picked all of them count"


def test_a_proof_on_picked_samples_says_so(hidden: Hidden, tmp_path: Path, capsys: Any) -> None:
    rounds_of(hidden, tmp_path, 10, 60)
    folder = str(hidden.project.folder)
    hidden.project.close()
    words = ["label", "zero-shot", folder, "--method", "prototype", "--precision", "0.9", "--dry-run", "--json"]
    assert main(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["proof"] == {"rests_on": "picked", "drawn": 10, "picked": 60}
    assert sum(one["labelled"] for one in said["classes"]) == 70
    assert any("the proof rests on picked samples: 60 of 70" in note for note in said["notes"])


def test_what_scarce_query_picked_counts_as_picked(hidden: Hidden, tmp_path: Path) -> None:
    chosen = {one.id for one in ask_next(hidden.project, Wish(strategy="core_set", budget=20))[0].samples}
    hidden.answer(tmp_path / "a.csv")
    drawn = {one.id for one in ask_next(hidden.project, Wish(strategy="random", budget=20))[0].samples}
    hidden.answer(tmp_path / "b.csv")
    assert picked(hidden.project) == chosen
    assert not drawn & chosen
    again = [{"sample": sample, "reason": "label: vote, annotators disagree: coat or shirt", "priority": 0.5,
              "version": None} for sample in sorted(drawn)[:5]]  # fmt: skip
    from scarce.loop.asking import put

    assert put(hidden.project, again) == 5
    assert picked(hidden.project) == chosen, "further votes do not make a drawn sample a picked one"
    assert np.isin(list(drawn), hidden.project.dataset().ids).all()


def test_rules_are_judged_on_drawn_samples_and_the_run_names_picked_ones(hidden: Hidden, tmp_path: Path) -> None:
    drawn, chosen = rounds_of(hidden, tmp_path, 40, 20)
    ds = hidden.project.dataset()
    gold, note = drawn_gold(hidden.project, ds)
    assert (set(ds.ids[gold >= 0]), note) == (drawn, "")
    few = ds.with_columns({"label": np.where(np.isin(ds.ids, sorted(drawn)[:20]), -1, ds["label"])})
    gold, note = drawn_gold(hidden.project, few)
    assert (gold >= 0).sum() == 40
    assert note.startswith("20 of 40 gold labels are of samples that a strategy picked")
    assert picked_test(hidden.project, ds) == []
    parts = np.where(np.isin(ds.ids, [*sorted(chosen)[:3], *sorted(drawn)[:2]]), "test", "pool").tolist()
    [told] = picked_test(hidden.project, ds.with_columns({"split": parts}))
    assert told.startswith("3 of 5 test samples were chosen by a strategy")
