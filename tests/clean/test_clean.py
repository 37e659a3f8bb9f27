from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from scarce import audit, clean
from scarce.clean import Action
from scarce.clean.relabel import suggestion
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError, UnknownNameError


def made() -> Dataset:
    n = 12
    values = {
        "id": [f"s{row:02d}" for row in range(n)],
        "label": ["good"] * 6 + ["hole"] * 6,
        "label_source": ["given"] * n,
        "split": ["train"] * 8 + ["val"] * 2 + ["test"] * 2,
    }
    ds = Dataset.from_columns(Schema(classes=("good", 'a "hole"', "hole")), values)
    return ds.with_columns({"scan.width": np.arange(n) + 10, "scan.height": np.full(n, 10)})


def flag(ds: Dataset, check: str, level: str, *members: str, why: str = "blank", score: float = 1.0) -> Dataset:
    rows = [row for row in ds.findings.to_pylist() if row["check"] == check]
    rows = [{key: row[key] for key in ("level", "members", "score", "why")} for row in rows]
    return ds.with_findings(check, [*rows, {"level": level, "members": list(members), "score": score, "why": why}])


def test_one_of_each_group_stays_and_it_is_the_best() -> None:
    ds = flag(made(), "exact_duplicate", "group", "s00", "s01", "s02", why="3 copies: the same pixels")
    ds = ds.with_columns({"label_source": ["given", "human", *["given"] * 10]})
    actions = clean.plan(ds, "merge-duplicates")
    assert [action.samples for action in actions] == [("s00", "s02")]
    done = clean.apply(ds, actions)
    assert done.ids[~done["keep"].astype(bool)].tolist() == ["s00", "s02"]
    assert done["drop_reason"][0] == "exact duplicate of s01"
    plain = flag(made(), "exact_duplicate", "group", "s00", "s01", "s02")
    assert clean.plan(plain, "merge_duplicates")[0].samples == ("s00", "s01"), "the larger picture stays"


def test_the_evaluation_copy_always_stays() -> None:
    ds = flag(made(), "exact_duplicate", "group", "s06", "s07", "s10", why="3 copies")
    done = clean.apply(ds, clean.plan(ds))
    assert done["keep"].tolist() == [True] * 6 + [False] * 2 + [True] * 4
    assert "which is in test" in done["drop_reason"][6]


def test_conflicting_labels_are_set_aside_and_asked() -> None:
    ds = flag(made(), "near_duplicate", "group", "s05", "s06", why="2 copies: similarity 0.999")
    actions = clean.plan(ds, "merge_duplicates")
    assert [action.kind for action in actions] == ["ask", "set_aside"]
    assert actions[0].old == ("good", "hole")
    assert clean.apply(ds, actions)["keep"].sum() == 10


def test_less_similar_shots_of_one_part_stay() -> None:
    ds = flag(made(), "near_duplicate", "group", "s00", "s01", why="2 copies: nearly the same (similarity 0.951)")
    assert clean.plan(ds, "merge_duplicates") == []
    assert len(clean.plan(ds, "merge_duplicates", merge_duplicates={"least_similarity": 0.9})) == 1


def test_near_rows_of_measurements_are_no_copies() -> None:
    ds = replace(made(), schema=replace(made().schema, modality="tabular"))
    near = flag(ds, "near_duplicate", "group", "s00", "s01", why="2 copies: similarity 0.999")
    assert clean.plan(near, "merge_duplicates") == []
    same = flag(ds, "exact_duplicate", "group", "s00", "s01", why="2 copies: the same values")
    assert len(clean.plan(same, "merge_duplicates")) == 1


def test_relabel_is_a_proposal_unless_applied_and_never_touches_evaluation() -> None:
    ds = made()
    for sample in ("s00", "s09", "s11"):
        why = 'labelled "good", more likely "a \\"hole\\"" (probability 0.93); the model gives 0.02 to the label'
        ds = flag(ds, "label_error", "sample", sample, why=why, score=0.97)
    proposals = clean.plan(ds, "relabel")
    assert [(action.samples, action.new, action.apply) for action in proposals] == [(("s00",), ('a "hole"',), False)]
    assert clean.apply(ds, proposals) is ds
    accepted = clean.plan(ds, "relabel", relabel={"apply": True})
    done = clean.apply(ds, accepted)
    assert done.table["label"].to_pylist()[0] == 'a "hole"'
    assert done["label_source"][0] == "model"
    back = clean.revert(done, accepted)
    assert back.table.equals(ds.table)


def test_the_suggestion_of_the_real_audit_is_understood() -> None:
    rng = np.random.default_rng(0)
    codes = np.arange(120) % 2
    features = rng.standard_normal((120, 8)).astype(np.float32) * 0.3
    features[np.arange(120), codes] += 3
    names = np.array(["good", 'a "hole"'])
    labels = names[codes].tolist()
    labels[3] = "good"
    values = {"id": [f"{row:04d}" for row in range(120)], "label": labels, "label_source": ["given"] * 120}
    ds = Dataset.from_columns(Schema(classes=("good", 'a "hole"')), values).with_columns({"embedding.x": features})
    ds = audit.run(ds, only="label_error")
    actions = clean.plan(ds, "relabel", relabel={"apply": True})
    assert [(action.samples, action.old, action.new) for action in actions] == [(("0003",), ("good",), ('a "hole"',))]
    assert clean.apply(ds, actions)["label"][3] == 1
    assert suggestion("nothing suggested") == ("", 0.0)


def test_only_blank_pictures_are_set_aside_and_never_much_of_a_class() -> None:
    ds = made()
    for sample in ("s00", "s01", "s10"):
        ds = flag(ds, "low_information", "sample", sample, why="low information: 0.00 bits, usual 7.1", score=0.9)
    ds = flag(ds, "blurred", "sample", "s02", score=1.0)
    assert [action.kind for action in clean.plan(ds, "set_aside")] == ["ask", "ask"]
    some = clean.plan(ds, "set_aside", set_aside={"most": 0.2})
    assert [(action.kind, action.samples) for action in some] == [("set_aside", ("s00",)), ("ask", ("s01",))]
    assert clean.apply(ds, some)["drop_reason"][0] == "low information: 0.00 bits, usual 7.1"


def test_one_action_is_undone_later_without_losing_the_rest() -> None:
    ds = flag(made(), "exact_duplicate", "group", "s00", "s01")
    ds = flag(ds, "exact_duplicate", "group", "s02", "s03")
    actions = clean.plan(ds, "merge_duplicates")
    done = clean.apply(ds, actions)
    later = done.with_columns({"group": [f"g{row}" for row in range(12)]})
    back = clean.revert(later, actions[:1])
    assert back["keep"].sum() == 11
    assert back["group"].tolist() == later["group"].tolist()
    with pytest.raises(DataError, match="out of date"):
        clean.revert(back, actions[:1])
    with pytest.raises(DataError, match="out of date"):
        clean.apply(done, actions)
    assert done.steps[-1].stage == "clean"


def test_plans_survive_json(tmp_path) -> None:
    ds = flag(made(), "exact_duplicate", "group", "s00", "s01")
    actions = clean.plan(ds)
    clean.save(actions, tmp_path / "plan.json")
    assert clean.load(tmp_path / "plan.json") == actions
    with pytest.raises(DataError, match="no plan"):
        clean.from_json("[1]")
    with pytest.raises(DataError, match="format 9"):
        clean.from_json(json.dumps({"format": 9, "actions": []}))
    with pytest.raises(DataError, match="cannot be read"):
        clean.from_json(json.dumps({"format": 1, "actions": [{"kind": "ask", "sample": []}]}))


def test_wrong_plans_are_refused() -> None:
    ds = made()
    with pytest.raises(UnknownNameError, match="relabel"):
        clean.plan(ds, "relabl")
    one = {"samples": ("s10",), "kind": "relabel", "old": ("hole",), "reason": "x", "check": "y"}
    with pytest.raises(DataError, match="is in test"):
        clean.apply(ds, [Action(**one, new=("good",))])
    with pytest.raises(UnknownNameError, match="class"):
        clean.apply(ds, [Action(**{**one, "samples": ("s06",)}, new=("goood",))])
    with pytest.raises(DataError, match="action 'drop'"):
        Action(**{**one, "kind": "drop"}, new=("good",))
