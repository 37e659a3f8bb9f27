"""What gold labels must prove before labels of functions are written, on real comments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce import io
from scarce.cli import main
from scarce.dataset import Dataset
from scarce.label import rule
from scarce.label.rule._proof import prove, worse_than_chance

sys.path.insert(0, str(Path(__file__).parents[1]))
from crowd import read_rules


@rule.labeling_function()
def subscribe(x: Any) -> int:
    return 1 if "subscribe" in x.text.lower() else -1


@rule.labeling_function()
def short(x: Any) -> int:
    return 0 if len(x.text.split()) < 6 else -1


@rule.labeling_function()
def upside_down(x: Any) -> int:
    return 0 if "check" in x.text.lower() or "http" in x.text.lower() else -1


@rule.labeling_function()
def by_letter(x: Any) -> int:
    return 1 if x.text[:1].lower() < "m" else -1


@pytest.fixture(scope="module")
def table(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real comments; 150 of them have a label."""
    texts, gold, _ = read_rules(shared_data / "weak_votes" / "youtube" / "train.csv")
    lines = ["text,label,split"]
    for number, (text, code) in enumerate(zip(texts[:600], gold, strict=False)):
        quoted = text.replace('"', '""')
        lines.append(f'"{quoted}",{("HAM", "SPAM")[code] if number < 150 else ""},train')
    path = tmp_path_factory.mktemp("comments") / "comments.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def comments(table: Path) -> Dataset:
    return io.read(table, label="label", text="text", split="split")


def test_functions_that_prove_nothing_write_nothing(comments: Dataset) -> None:
    found = rule.run(comments, [by_letter])
    assert found.choice.proof is not None
    assert not found.choice.proof.holds
    assert "not proven better than chance" in found.refused
    assert not len(found.rows)
    np.testing.assert_array_equal(found.dataset["label"], comments["label"])
    assert any("SPAM of all" in said for said in found.warnings)
    forced = rule.run(comments, [by_letter], even_so=True)
    assert not forced.refused
    assert len(forced.rows) > 100


def test_good_functions_are_written(comments: Dataset) -> None:
    found = rule.run(comments, [subscribe, short])
    assert found.choice.proof is not None
    assert found.choice.proof.holds
    assert found.choice.proof.low < found.choice.proof.balanced_accuracy
    assert not found.refused
    assert not found.left_out
    assert not found.warnings
    assert len(found.rows) > 50


def test_a_function_worse_than_chance_is_left_out(comments: Dataset) -> None:
    with_it = rule.run(comments, [subscribe, upside_down, short])
    assert with_it.left_out == ("upside_down",)
    alone = rule.run(comments, [subscribe, short])
    np.testing.assert_array_equal(with_it.dataset["label"], alone.dataset["label"])
    assert "upside_down" in set(with_it.dataset.votes["voter"].to_pylist())
    assert not rule.run(comments, [subscribe, upside_down, short], even_so=True).left_out


def test_without_gold_labels_it_says_that_nothing_is_proven(comments: Dataset) -> None:
    none = np.full(len(comments), -1)
    found = rule.run(comments, [subscribe], gold=none)
    assert len(found.rows)
    assert found.choice.proof is None
    assert any("too few gold labels" in said for said in found.warnings)
    assert any("SPAM of all" in said for said in found.warnings)


def test_a_class_without_labels_is_told(table: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.csv"
    more.write_text(table.read_text("utf-8") + "\nbuy a sofa,ZINE,train\nbuy a lamp,ZINE,train", "utf-8")
    found = rule.run(io.read(more, label="label", text="text", split="split"), [subscribe, short], model="majority",
                     even_so=True)  # fmt: skip
    assert any(said.startswith("no label for ZINE") for said in found.warnings)


def test_the_bound_covers_and_a_few_hits_prove_nothing() -> None:
    rng, covered = np.random.default_rng(0), 0
    for _ in range(400):
        truth = np.repeat([0, 1], [60, 15])
        right = rng.random(75) < np.where(truth == 0, 0.9, 0.6)
        covered += prove(right.astype(float), truth).low <= 0.75
    assert covered / 400 > 0.93
    assert not prove(np.ones(4), np.array([0, 0, 1, 1])).low > 0.9
    constant = prove(np.repeat([1.0, 0.0], [90, 10]), np.repeat([0, 1], [90, 10]))
    assert constant.balanced_accuracy == constant.chance == 0.5
    assert not constant.holds


def test_a_rule_for_a_rare_class_is_judged_by_that_class() -> None:
    truth = np.repeat([0, 1], [950, 50])
    votes = np.full((1000, 2), -1)
    votes[910:990, 0] = 1  # half of its votes are right, twenty times the base rate
    votes[900:1000, 1] = 0  # half of its votes are right, and nearly all samples are of that class
    assert worse_than_chance(votes, truth, 2).tolist() == [1]


def test_the_command_ends_with_a_failed_gate(table: Path, tmp_path: Path, capsys: Any) -> None:
    rules = tmp_path / "rules.py"
    rules.write_text("from scarce.label.rule import labeling_function\n\n\n@labeling_function()\ndef letter(x):\n"
                     "    return 1 if x.text[:1].lower() < 'm' else -1\n")  # fmt: skip
    project = tmp_path / "project"
    assert main(["init", str(project), "--from", str(table), "--quiet"]) == 0
    assert main(["label", "rule", str(project), "--functions", str(rules)]) == 1
    out = capsys.readouterr().out
    assert "Nothing is written" in out
    assert "--even-so" in out
    assert main(["label", "rule", str(project), "--functions", str(rules), "--even-so"]) == 0
    assert "version v2" in capsys.readouterr().out


def test_functions_are_left_out_by_gold_labels_that_do_not_judge() -> None:
    rng, better, seen = np.random.default_rng(0), [], 0
    for seed in range(150):
        votes = np.where(rng.random((60, 8)) < 0.5, rng.integers(0, 2, (60, 8)), -1)
        gold = rng.integers(0, 2, 60)
        honest = rule.choose_model(votes, 2, gold, models=["majority"], sift=True, seed=seed)
        kept = np.setdiff1d(np.arange(8), honest.left_out)
        biased = rule.choose_model(votes[:, kept], 2, gold, models=["majority"], seed=seed)
        assert honest.proof is not None
        assert biased.proof is not None
        np.testing.assert_array_equal(honest.fitted.posterior, biased.fitted.posterior)
        if honest.left_out:
            seen += 1
            better.append(biased.proof.balanced_accuracy - honest.proof.balanced_accuracy)
    assert seen >= 10
    assert np.mean(better) > 0.02, "functions chosen on the labels that judge flatter the model"
