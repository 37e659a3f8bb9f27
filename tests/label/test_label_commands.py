"""``scarce label rule`` and ``scarce label vote`` over projects on disk."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce.cli import main
from scarce.project import Project

sys.path.insert(0, str(Path(__file__).parent))
from crowd import drawn, read_rules

RULES = """
import re
from scarce.label.rule import labeling_function

@labeling_function()
def subscribe(x):
    return "SPAM" if "subscribe" in x.text.lower() else -1

@labeling_function()
def check_out(x):
    return "SPAM" if re.search("check.*out", x.text, re.I) else -1

@labeling_function()
def short(x):
    return "HAM" if len(x.text.split()) < 5 else -1

@labeling_function()
def song(x):
    return "HAM" if "song" in x.text else -1

@labeling_function()
def broken(x):
    return x.nothing
"""


def told(capsys: Any, *arguments: str | Path) -> dict[str, Any]:
    code = main([*map(str, arguments), "--json"])
    out = capsys.readouterr()
    assert code == 0, out.err
    body: dict[str, Any] = json.loads(out.out)
    return body


@pytest.fixture
def comments(shared_data: Path, tmp_path: Path) -> Path:
    texts, gold, _ = read_rules(shared_data / "weak_votes" / "youtube" / "train.csv")
    lines = ["text,label,split"]
    for number, (text, code) in enumerate(zip(texts[:400], gold, strict=False)):
        quoted = text.replace('"', '""')
        lines.append(f'"{quoted}",{("HAM", "SPAM")[code] if number < 80 else ""},{"train" if number > 20 else "test"}')
    (tmp_path / "comments.csv").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "rules.py").write_text(RULES, encoding="utf-8")
    assert main(["init", str(tmp_path / "project"), "--from", str(tmp_path / "comments.csv"), "--quiet"]) == 0
    return tmp_path


def test_rules_label_a_project(comments: Path, capsys: Any) -> None:
    project, rules = comments / "project", comments / "rules.py"
    capsys.readouterr()
    shown = told(capsys, "label", "rule", project, "--functions", rules, "--dry-run")
    assert shown["version"] is None
    assert shown["labeled"] > 50
    assert shown["failures"][0]["name"] == "broken"
    assert shown["failures"][0]["count"] == 400
    assert "nothing" in shown["failures"][0]["first"]
    done = told(capsys, "label", "rule", project, "--functions", rules, "--ask")
    assert done["labeled"] == shown["labeled"]
    assert done["remembered"] == 1600
    with Project.open(project) as opened:
        ds = opened.dataset()
        assert (ds["label_source"] == "rule").sum() == done["labeled"]
        assert not (ds["split"][ds["label_source"] == "rule"] == "test").any()
        assert np.isfinite(ds["label_probs"][ds["label_source"] == "rule"]).all()
        assert len(opened.state.queue()) == done["asked"]
    assert main(["label", "rule", str(project), "--functions", str(rules), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "broken failed on 400 samples" in out
    assert "subscribe" in out


def test_gold_labels_come_from_a_table_and_mistakes_in_it_are_told(comments: Path, capsys: Any) -> None:
    project, gold = comments / "project", comments / "gold.csv"
    with Project.open(project) as opened:
        ids = opened.dataset().ids
    gold.write_text("sample,label\n" + "\n".join(f"{one},{'HAM' if i % 2 else 'SPAM'}" for i, one in enumerate(ids)))
    capsys.readouterr()
    command = ["label", "rule", project, "--functions", comments / "rules.py", "--gold", gold, "--dry-run"]
    body = told(capsys, *command)
    assert body["gold"] > 80
    assert {one["name"] for one in body["compared"]} >= {"majority", "triplet"}
    for text, message in (("sample,label\nnobody,HAM\n", "line 2"), (f"sample,label\n{ids[0]},HAMM\n", "did you mean"),
                          ("a,b\n1,2\n", "no columns sample and label")):  # fmt: skip
        gold.write_text(text)
        assert main([str(part) for part in command]) == 2
        assert message in capsys.readouterr().err
    assert main(["label", "rule", str(project)]) == 2
    assert "--functions rules.py" in capsys.readouterr().err


@pytest.fixture
def crowd(tmp_path: Path, capsys: Any) -> Path:
    truth, votes = drawn(200)
    names = np.array(["good", "scratch", "stain", ""])
    lines = ["text,annotator_1,annotator_2,annotator_3,annotator_4,annotator_5,annotator_6"]
    lines += [f"part number {i} of {names[truth[i]]}s," + ",".join(names[row]) for i, row in enumerate(votes)]
    (tmp_path / "crowd.csv").write_text("\n".join(lines), encoding="utf-8")
    assert main(["init", str(tmp_path / "project"), "--from", str(tmp_path / "crowd.csv"), "--quiet"]) == 0
    capsys.readouterr()
    return tmp_path / "project"


def test_votes_and_annotations_are_joined_and_corrections_stay(crowd: Path, capsys: Any) -> None:
    with Project.open(crowd) as opened:
        ds = opened.dataset()
        assert len(ds.votes) > 500
        ids = ds.ids
        opened.state.annotate([{"sample": one, "voter": "eva", "label": "stain", "seconds": 2.0} for one in ids[:5]])
        opened.state.annotate([{"sample": "gone", "voter": "eva", "label": "stain"}])
        opened.state.annotate([{"sample": ids[9], "voter": "eva", "label": "stane"}])
        fixed = ds["label"].copy()
        fixed[7] = (fixed[7] + 1) % 3
        source = ["human" if row == 7 else value for row, value in enumerate(ds["label_source"])]
        opened.commit(ds.with_columns({"label": fixed, "label_source": source}), "a person mends one", owner=("label",))
    shown = told(capsys, "label", "vote", crowd, "--dry-run", "--next", "5")
    assert (shown["version"], shown["annotations"], shown["lost"]) == (None, 6, 1)
    assert shown["unknown"] == {"stane": 1}
    assert len(shown["next"]) == 5
    done = told(capsys, "label", "vote", crowd)
    assert done["labeled"] == shown["labeled"] > 150
    assert [one["name"] for one in done["annotators"]][-2:] != ["annotator_1", "annotator_2"]
    with Project.open(crowd) as opened:
        ds = opened.dataset()
        assert ds["label_source"][7] == "human"
        assert ds["label"][7] == fixed[7]
        assert (ds["label_source"] == "vote").sum() >= done["labeled"]
        assert "eva" in ds.votes["voter"].to_pylist()
        assert len(opened.state.annotations(frozen=False)) == 1
        assert len(opened.state.queue()) == done["asked"] == done["doubtful"]
    again = told(capsys, "label", "vote", crowd)
    assert again["annotations"] == again["asked"] == 0
    assert main(["label", "vote", str(crowd), "--dry-run", "--method", "majority"]) == 0
    assert "annotator_1" in capsys.readouterr().out


def test_without_votes_it_says_what_to_do(comments: Path, capsys: Any) -> None:
    assert main(["label", "vote", str(comments / "project")]) == 2
    assert "no vote names a class" in capsys.readouterr().err
