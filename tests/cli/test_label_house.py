"""The parts of labelling meet in one queue and one set of answers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scarce import ballot
from scarce.cli import main
from scarce.errors import ConfigError
from scarce.label.query._run import built
from scarce.loop import asking, picking
from scarce.loop.answering import Answer, freeze, say
from scarce.loop.rounds import Loop, Plan, history
from scarce.loop.voting import count_votes
from scarce.project import Project

if TYPE_CHECKING:
    from conftest import Hidden


def first(ds: Any, n: int, seed: int) -> Any:
    """Pick the first rows; quick."""
    del seed
    return picking.pool_of(ds)[:n]


def label(project: Project, sample: str, name: str, voter: str, reason: str = "") -> None:
    say(project, [Answer(number=None, sample=sample, verdict="label", label=name, voter=voter, reason=reason)])


def test_a_round_begins_with_what_scarce_query_asked(hidden: Hidden, call: Callable[..., Any]) -> None:
    project = hidden.project
    asked = call("query", project.folder, "--budget", 3, "--strategy", "random")
    now = Loop(project, Plan(initial=5), pick=first).go_on()
    assert now.waiting == 5
    assert now.round is not None
    assert {row["id"] for row in asked["samples"]} <= set(now.round["samples"])
    assert now.round["strategy"] == "own and asked before"
    assert len(asking.questions(project, project.dataset(), ("label",))) == 5, "nothing is asked twice"
    assert call("query", project.folder, "--budget", 1000, "--strategy", "random")["queued"] == 395


def test_settings_reach_strategies_and_the_parts_of_a_mix(hidden: Hidden) -> None:
    mixed = built("core_set+mc_dropout", {"mc_dropout": {"passes": 7}, "margin": {}}, 3)
    assert [part.params().get("passes") for part in mixed.members()] == [None, 7]  # type: ignore[attr-defined]
    named = built("mix", {"mix": {"parts": ["mc-dropout", "random"]}, "mc-dropout": {"passes": 9}}, 3)
    assert named.members()[0].params()["passes"] == 9  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="passes"):
        built("mc_dropout+random", {"mc_dropout": {"passes": "many"}}, 0)
    file = hidden.project.folder / "scarce.toml"
    file.write_text(file.read_text("utf-8") + "\n[label.query.mc_dropout]\npasses = 7\n", "utf-8")
    with Project.open(hidden.project.folder) as opened:
        assert Plan.of(opened).settings == {"mc_dropout": {"passes": 7}}


def test_it_stops_where_the_curve_is_flat_or_predictions_are_stable_and_says_how_to_go_on(hidden: Hidden) -> None:
    state = hidden.project.state
    standing = {"labels": 10, "metric": "balanced_accuracy", "judged_on": "val", "n": 200, "low": 0.4, "high": 0.6}
    for turn, value in enumerate((0.5, 0.501, 0.499, 0.502)):
        body = {"round": turn + 1, "strategy": "random", "asked": 0, "samples": {}, "before": {}, "note": ""}
        state.open_round(body, hidden.project.head)
        after = {**standing, "value": value, "accuracy": value, "accuracy_low": 0.4, "accuracy_high": 0.6, "note": ""}
        said = {"of": "same", "codes": [0, 1, 2, 3]}
        state.update_round(turn + 1, {**body, "after": after, "predicted": said}, status="done", version="v1")
    stopped = Loop(hidden.project, Plan(), pick=first).go_on().stopped
    assert stopped.startswith("the curve is flat: the last 3 rounds gained +0.0020, less than 0.005")
    assert "flat_rounds = 0" in stopped
    stopped = Loop(hidden.project, Plan(flat_rounds=0), pick=first).go_on().stopped
    assert stopped.startswith("predictions are stable: neighboring rounds agree with kappa 1.000")
    assert Loop(hidden.project, Plan(flat_rounds=0, stable=1, initial=2), pick=first).go_on().waiting == 2
    assert len(history(hidden.project)) == 5


def test_answers_can_be_outvoted_and_corrections_cannot(hidden: Hidden) -> None:
    project = hidden.project
    one, two = (str(name) for name in project.dataset().ids[project.dataset()["split"] == "train"][:2])
    for sample in (one, two):
        for voter, name in (("anna", "Bag"), ("ben", "Bag"), ("eva", "Trouser")):
            label(project, sample, name, voter)
    freeze(project)
    label(project, two, "Trouser", "judge", "label_error: it looks wrong")
    freeze(project)
    ds = project.dataset()
    assert [ds.schema.classes[code] for code in ds["label"][ds.rows_of([one, two])]] == ["Trouser", "Trouser"]
    counted = count_votes(project, method="majority")
    ds = project.dataset()
    assert [ds.schema.classes[code] for code in ds["label"][ds.rows_of([one, two])]] == ["Bag", "Trouser"]
    assert counted.voted.kept == 1
    assert ballot.ratings_of(ds)[1] == ["anna", "ben", "eva"]


def test_truth_vote_takes_the_method_of_the_settings(hidden: Hidden) -> None:
    project = hidden.project
    file = project.folder / "scarce.toml"
    text = file.read_text("utf-8")
    assert "[label.vote]\n" in text
    file.write_text(text.replace("[label.vote]\n", '[label.vote]\nmethod = "mojority"\n'), "utf-8")
    with Project.open(project.folder) as opened:
        sample = str(opened.dataset().ids[opened.dataset()["split"] == "train"][0])
        label(opened, sample, "Bag", "anna")
        with pytest.raises(Exception, match="did you mean 'majority'"):
            freeze(opened, truth="vote")
        assert len(opened.state.annotations(frozen=False)) == 1, "nothing is lost"


def test_a_second_person_answers_the_same_table(hidden: Hidden, tmp_path: Path) -> None:
    project, table = hidden.project, tmp_path / "q.csv"
    Loop(project, Plan(initial=4), pick=first).go_on()
    asking.write_questions(project, project.dataset(), table, (asking.LABEL,))
    head, *rows = table.read_text("utf-8").splitlines()
    for voter, name, taken in (("anna", "Bag", 4), ("ben", "Trouser", 4), ("ben", "Bag", 0), ("a person", "Bag", 0)):
        place = head.split(",").index("new_label")
        filled = [",".join([*row.split(",")[:2], name]) for row in rows]
        table.write_text("\n".join(["number,sample,new_label", *filled]), "utf-8")
        assert place > 0
        heard = asking.read_answers(project, project.dataset(), table, voter=voter)
        asking.take(project, heard)
        assert len(heard.said) == taken
    votes, voters = ballot.ratings_of(project.dataset())
    assert (voters, int((votes >= 0).sum())) == (["anna", "ben"], 8)


def test_votes_say_how_many_labels_join_several_people(
    hidden: Hidden, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project, table = hidden.project, tmp_path / "q.csv"
    Loop(project, Plan(initial=4), pick=first).go_on()
    asking.write_questions(project, project.dataset(), table, (asking.LABEL,))
    _, *rows = table.read_text("utf-8").splitlines()
    for voter, n in (("anna", 4), ("ben", 3)):
        filled = [",".join([*row.split(",")[:2], "Bag"]) for row in rows[:n]]
        table.write_text("\n".join(["number,sample,new_label", *filled]), "utf-8")
        asking.take(project, asking.read_answers(project, project.dataset(), table, voter=voter))
    folder = str(project.folder)
    project.close()
    assert main(["label", "vote", folder]) == 0
    assert "3 of these labels join the votes of two people or more" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("kind", ["boxes", "label_set", "human"])
def test_votes_without_a_label_abstain(hidden: Hidden, kind: str) -> None:
    from scarce.label import vote

    ds = hidden.project.dataset()
    one = str(ds.ids[0])
    said = [{"sample": one, "voter": who, "label": "Bag"} for who in ("anna", "ben")]
    ds = ballot.with_votes(ds, [*said, {"sample": one, "voter": "eva", "kind": kind, "label": None}])
    votes, voters = ballot.ratings_of(ds)
    assert voters == ["anna", "ben"]
    assert int((votes >= 0).sum()) == 2
    found = vote.run(ds, method="majority")
    assert (found.to_json()["votes"], found.unknown, len(found.doubtful)) == (2, {}, 0)


def test_an_empty_pool_and_a_budget_beyond_the_pool(hidden: Hidden, call: Callable[..., Any]) -> None:
    project = hidden.project
    got = call("query", project.folder, "--budget", 1000, "--strategy", "random")
    assert got["queued"] <= 400
    assert any("larger than the pool" in note or "copies" in note for note in got["notes"])
    left = 400 - got["queued"]
    if not left:
        error = call("query", project.folder, "--budget", 5, "--strategy", "random", code=2)["error"]["message"]
        assert "no sample is left to ask about" in error
    for item in asking.questions(project, project.dataset(), ("label",)):
        say(project, [Answer(number=item.number, sample=item.sample, verdict="label",
                             label=hidden.truth[item.sample], voter="anna", reason=item.reason)])  # fmt: skip
    stopped = Loop(project, Plan(target=1.0), pick=first).go_on()
    assert stopped.waiting == left or stopped.stopped.startswith("nothing is left to ask")


ASK = "from scarce.cli import main; import sys; sys.exit(main(sys.argv[1:]))"


@pytest.mark.slow
def test_two_processes_ask_at_once_and_nothing_is_asked_twice(hidden: Hidden) -> None:
    folder = str(hidden.project.folder)
    command = [sys.executable, "-W", "ignore", "-c", ASK, "query", folder, "--strategy", "random", "--budget", "30"]
    both = [subprocess.Popen([*command, "--seed", seed, "--quiet"], stderr=subprocess.PIPE) for seed in "12"]
    for one in both:
        _, error = one.communicate(timeout=200)
        assert one.returncode == 0, error
    samples = [row["sample"] for row in hidden.project.state.queue()]
    assert 30 <= len(samples) == len(set(samples)) <= 60
