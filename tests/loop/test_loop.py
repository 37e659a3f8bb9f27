"""The whole loop on a few real garments: what it promises in JSON, Python and on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import scarce
from scarce import encode, modality
from scarce.errors import ConfigError, DataError, UnknownNameError
from scarce.loop import Run, default_folder
from scarce.loop.gallery import suggestion
from scarce.loop.options import Options
from scarce.train import _loop, finetune

QUICK: dict[str, Any] = {"encoder": "pixel", "trainer": "linear_probe", "folds": 3, "repeats": 2}


def part_of(garments: Path, counts: dict[str, int], place: Path) -> Path:
    table = pq.read_table(next(iter(garments.glob("*.parquet"))) if garments.is_dir() else garments)
    labels = np.array(table["label"].to_pylist())
    train = np.array(table["split"].to_pylist()) == "train"
    rows = np.concatenate([np.flatnonzero(train & (labels == name))[:n] for name, n in counts.items()])
    pq.write_table(table.take(pa.array(rows)).drop_columns(["split"]), place)
    return place


@pytest.fixture(scope="module")
def done(garments: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("loop")
    data = part_of(garments, {"Trouser": 120, "Bag": 40, "Sandal": 24}, folder / "some.parquet")
    return scarce.run(data, project=folder / "project", normal=("Trouser",), **QUICK)


def test_the_json_holds_what_was_promised(done: Run) -> None:
    body = json.loads(json.dumps(done.result))
    for name in (
        "version",
        "classes",
        "counts",
        "findings",
        "ledger",
        "test",
        "operating_point",
        "model",
        "report",
        "seconds",
    ):
        assert name in body
    for row in body["ledger"]:
        assert {"decision", "gain", "low", "high", "seconds", "verdict", "kept"} <= set(row)
    assert {"value", "low", "high"} <= set(body["test"]["balanced_accuracy"])
    for row in body["test"]["per_class"].values():
        assert {"n", "recall", "precision", "low", "high"} <= set(row)
    named = {row["decision"] for row in body["ledger"]}
    assert {"rebalance.class_weight", "rebalance.focal", "rebalance.balanced_softmax"} <= named
    assert body["operating_point"]["defects"] + body["operating_point"]["normals"] == body["test"]["n"]


def test_the_summary_says_what_is_known_and_what_is_not(done: Run) -> None:
    from types import SimpleNamespace

    from scarce.loop import summary
    from scarce.rebalance import strategy

    result = done.result
    assert 0 < result["test"]["groups"] <= result["test"]["n"]
    chosen = summary.chosen_of(result)
    assert (chosen.name, chosen.test.value) == ("balanced_accuracy", result["test"]["balanced_accuracy"]["value"])
    assert summary.chosen_of({**result, "metric": "recall_at_fpr"}).test.value == result["operating_point"]["recall"]
    assert summary.missing_side(result) == ""
    rows = {name: {"n": 0 if name == "Trouser" else 5} for name in result["classes"]}
    bare = {**result, "operating_point": None, "test": {"per_class": rows}}
    assert "no sound sample" in summary.missing_side(bare)
    assert summary.missing_side({**bare, "normal_classes": []}) == ""

    def judged(score: float) -> Any:
        ledger = SimpleNamespace(baseline=score)
        return SimpleNamespace(design=SimpleNamespace(metric="balanced_accuracy"), ledger=ledger)

    flagged = "12.4 % of the labels are contradicted (flagged, not proven)"
    assert summary.contradicted(0.124, judged(0.8)) == f"{flagged}."
    assert summary.contradicted(0.124, judged(0.6)) == f"{flagged}; the model that contradicts them is weak itself."
    assert summary.contradicted(None, judged(0.6)) == ""
    probs = np.eye(2)[[0, 1, 0, 0]][None]
    other = SimpleNamespace(
        design=SimpleNamespace(metric="macro_f1"), probs=probs, folds=SimpleNamespace(labels=np.array([0, 1, 0, 1])),
        dataset=SimpleNamespace(schema=SimpleNamespace(classes=("a", "b"))),
    )  # fmt: skip
    assert summary.development(other) == pytest.approx(0.75)  # type: ignore[arg-type]
    plan = strategy.choose({"a": 900, "b": 40}, label_error_rate=0.124)
    assert any(line.startswith("12.4% of the labels are contradicted (flagged, not proven)") for line in plan.why)


def test_it_learns_and_counts_its_look(done: Run) -> None:
    assert done.result["test"]["balanced_accuracy"]["value"] > 0.8
    assert done.result["test"]["majority"]["balanced_accuracy"] == pytest.approx(1 / 3)
    assert done.result["test"]["looks"] == 1


def test_only_real_samples_are_judged_and_no_group_is_cut(done: Run) -> None:
    held = [origin for split in ("val", "test") for by in done.result["counts"][split].values() for origin in by]
    assert set(held) == {"real"}
    groups: dict[str, set[str]] = {}
    for split, group in zip(done.dataset["split"], done.dataset["split_group"], strict=True):
        groups.setdefault(group, set()).add(split)
    assert all(len(splits) == 1 for splits in groups.values())


def test_the_model_comes_back_and_the_project_opens(done: Run) -> None:
    from scarce import train

    again = train.load(done.result["model"])
    assert again.card["operating_point"]["threshold"] == done.result["operating_point"]["threshold"]
    opened = scarce.open(done.project)
    assert len(opened) == len(done.dataset)
    assert done.report.stat().st_size < 5_000_000


def test_a_second_run_on_the_project_counts_another_look(done: Run) -> None:
    second = scarce.run(done.project, **QUICK)
    assert second.result["test"]["looks"] == 2
    assert second.result["test"]["n"] == done.result["test"]["n"]


def test_outer_folds_judge_every_sample(garments: Path, tmp_path: Path) -> None:
    data = part_of(garments, {"Trouser": 40, "Bag": 24}, tmp_path / "few.parquet")
    result = scarce.run(data, project=tmp_path / "p", test="cv", normal=("Trouser",), **QUICK).result
    assert result["test"]["n"] == 64
    assert result["test"]["balanced_accuracy"]["value"] > 0.9


@pytest.mark.slow
def test_outer_folds_judge_the_kind_of_model_that_is_kept(garments: Path, tmp_path: Path) -> None:
    """Not the ledger's probe: with a network as final model, networks answer in every outer fold."""
    data = part_of(garments, {"Trouser": 40, "Bag": 24}, tmp_path / "few.parquet")
    seen: list[str] = []
    inner = finetune.Finetune.fit

    def counted(self: Any, view: Any, **more: Any) -> Any:
        seen.append(",".join(sorted(view.train.ids)))
        return inner(self, view, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finetune.Finetune, "fit", counted)
        result = scarce.run(
            data, project=tmp_path / "p", test="cv", normal=("Trouser",), minutes=1.0,
            **{**QUICK, "trainer": "finetune"},
        ).result  # fmt: skip
    assert len(seen) == 2 + 2 * QUICK["folds"]
    assert len(set(seen)) == 1 + QUICK["folds"], "each fold trains on other samples, without and with its plan"
    assert result["test"]["n"] == 64
    assert any("models like the final one (finetune)" in note for note in result["notes"])


@pytest.mark.slow
def test_an_interrupted_run_goes_on_with_its_network(garments: Path, tmp_path: Path) -> None:
    data = part_of(garments, {"Trouser": 60, "Bag": 24}, tmp_path / "few.parquet")
    asked: dict[str, Any] = {**QUICK, "trainer": "finetune", "normal": ("Trouser",), "project": tmp_path / "p"}
    begun = tmp_path / "p" / ".scarce" / "models" / "begun"
    inner, told = _loop._epoch, []

    def stopped(course: Any, *rest: Any) -> None:
        told.append(course.epoch)
        if len(told) == 13:
            raise KeyboardInterrupt
        inner(course, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_loop, "_epoch", stopped)
        with pytest.raises(KeyboardInterrupt):
            scarce.run(data, minutes=0.2, **asked)
        at = told[-1]
        assert list(begun.iterdir())
        scarce.run(data, minutes=0.2, **asked)
    assert told[13] == at, f"it went on at epoch {told[13]}, not {at}"
    assert not begun.exists()


def test_a_network_on_pictures_is_refused_for_tables(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pa.table({"a": rng.normal(size=60), "b": rng.normal(size=60), "label": ["x", "y"] * 30})
    pq.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(ConfigError, match="finetune does not take tabular"):
        scarce.run(tmp_path / "rows.parquet", project=tmp_path / "p", trainer="finetune")
    assert not (tmp_path / "p").exists()


def test_the_checklist_ticks_only_what_was_shown(done: Run) -> None:
    text = done.report.read_text(encoding="utf-8")
    assert f"{done.result['test']['mistakes']['n']} mistakes on the test set" in text
    assert "guessed: nobody confirmed it" in text


def test_one_class_and_empty_folders_say_what_to_do(garments: Path, tmp_path: Path) -> None:
    one = part_of(garments, {"Bag": 12}, tmp_path / "one.parquet")
    with pytest.raises(DataError, match="two classes"):
        scarce.run(one, project=tmp_path / "p", **QUICK)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError):
        scarce.run(tmp_path / "empty", project=tmp_path / "q", **QUICK)
    with pytest.raises(DataError, match=r"did you mean 'one\.parquet'"):
        default_folder(tmp_path / "one.parket")


def test_options_refuse_before_anything_is_read() -> None:
    with pytest.raises(ConfigError, match="did you mean 'minutes'"):
        Options.of({"minuts": 3})
    with pytest.raises(UnknownNameError, match="macro_f1"):
        Options.of({"metric": "macro_f"})
    assert Options.of({"trainer": "linear-probe"}).trainer == "linear_probe"
    assert Options.of({"encoder": "Timm:vit-a"}).encoder == "timm:vit-a"
    with pytest.raises(UnknownNameError, match="timm:resnet18"):
        Options.of({"encoder": "resnet18"})


def test_suggestions_are_read_from_the_findings_own_words() -> None:
    assert suggestion('given "A b", more likely "T-shirt" (probability 0.93)') == ("T-shirt", 0.93)


def test_no_label_of_the_test_set_reaches_a_decision(done: Run, tmp_path: Path) -> None:
    """The whole plan is weighed again with the test labels shuffled: nothing may change."""
    from dataclasses import replace

    from scarce.loop.options import Clock
    from scarce.loop.prepare import Ready, compare_splits, feature_cache
    from scarce.loop.weigh import weigh
    from scarce.project import Project

    options = Options.of({**QUICK, "normal": ("Trouser",)})
    with Project.open(done.project) as project:
        ds = modality.scan(project.dataset("v1"))
        ds = encode.run(ds, "pixel", cache=feature_cache(project))
        labels = ds.table["label"].to_pylist()
        test = np.flatnonzero(ds["split"] == "test")
        for row, label in zip(test, np.random.default_rng(0).permutation([labels[row] for row in test]), strict=True):
            labels[row] = str(label)
        sides = []
        for here in (ds, ds.with_columns({"label": labels})):
            ready = Ready(here, "embedding.pixel", "v1", (), {})
            ledger = weigh(project, ready, options, Clock(5.0)).ledger
            sides.append(
                (
                    [replace(row, seconds=0.0).to_json() for row in ledger.rows],
                    compare_splits(here, "embedding.pixel", options),
                )
            )
    assert (ds["label"][test] != ds.with_columns({"label": labels})["label"][test]).any()
    assert sides[0] == sides[1]


def test_the_design_does_not_depend_on_how_fast_the_machine_is(done: Run) -> None:
    from scarce.decision import ProbeInstrument
    from scarce.loop.options import Clock
    from scarce.loop.weigh import design_for

    ds = done.dataset
    ds = ds.with_columns({"embedding.pixel": np.zeros((len(ds), 64), np.float32)})
    options = Options.of({"minutes": 5.0})
    early, late = Clock(5.0), Clock(5.0)
    late.begun -= 120.0
    designs = [design_for(ds, [], ProbeInstrument("embedding.pixel"), options, clock) for clock in (early, late)]
    assert designs[0] == designs[1]


def test_one_class_is_read_and_audited_all_the_same(garments: Path, tmp_path: Path) -> None:
    from scarce.project import Project

    data = part_of(garments, {"Bag": 40}, tmp_path / "one.parquet")
    with pytest.raises(DataError, match="at least two classes"):
        scarce.run(data, project=tmp_path / "p", **QUICK)
    with Project.open(tmp_path / "p") as project:
        assert project.head == "v1"
        assert "audit.near_duplicate.score" in project.dataset().table.column_names


def test_the_plan_as_a_whole_is_a_row(done: Run) -> None:
    row = next(row for row in done.ledger.rows if row.decision == "full_hybrid")
    assert row.against != "baseline"
    assert row.why.startswith("together: ")
