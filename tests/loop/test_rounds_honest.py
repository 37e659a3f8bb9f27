"""Who answered, one model a question, and no figure that machine labels flatter, on real garments."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scarce.loop import asking, rounds, standing
from scarce.loop.querying import Wish, ask_next
from scarce.loop.rounds import Loop, Plan, history

if TYPE_CHECKING:
    from conftest import Hidden
    from scarce.dataset import Dataset


def test_everybody_who_answered_is_in_the_history(hidden: Hidden, tmp_path: Path) -> None:
    project, table = hidden.project, tmp_path / "q.csv"
    Loop(project, Plan(initial=12, strategy="random")).go_on()
    asking.write_questions(project, project.dataset(), table, (asking.LABEL,))
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for voter, most, seconds in (("anna", 12, "2"), ("ben", 12, "3"), ("eva", 5, "")):
        with table.open("w", encoding="utf-8", newline="") as file:
            out = csv.DictWriter(file, asking.HEADS)
            out.writeheader()
            for row in rows[:most]:
                out.writerow({**row, "new_label": hidden.truth[row["sample"]], "seconds": seconds})
        asking.take(project, asking.read_answers(project, project.dataset(), table, voter=voter))
    told = history(project)[0]
    assert told["by"] == {"anna": 12, "ben": 12, "eva": 5}
    assert told["seconds_by"] == {"anna": 24.0, "ben": 36.0, "eva": 0.0}
    assert (told["asked"], told["answered"], told["unsure"], told["seconds"]) == (12, 12, 0, 60.0)


def flattered(hidden: Hidden, tmp_path: Path) -> Dataset:
    """Return the data after a round of 60 drawn labels and a machine that says one class of everything else."""
    project = hidden.project
    loop = Loop(project, Plan(initial=60, strategy="random", judge="folds"))
    loop.go_on()
    hidden.answer(tmp_path / "q.csv")
    loop.finish()

    def machine(ds: Dataset) -> Dataset:
        free = (ds["label"] < 0) & (ds["split"] == "train")
        return ds.with_columns({
            "label": [ds.schema.classes[0] if one else name
                      for one, name in zip(free, ds.table["label"].to_pylist(), strict=True)],
            "label_source": ["zero_shot" if one else name
                             for one, name in zip(free, ds.table["label_source"].to_pylist(), strict=True)],
        })  # fmt: skip

    project.change(machine, "a machine")
    return project.dataset()


def test_a_question_shows_one_model_that_never_saw_the_machines_label_of_it(hidden: Hidden, tmp_path: Path) -> None:
    ds = flattered(hidden, tmp_path)
    batch, _, _ = ask_next(hidden.project, Wish(strategy="margin", budget=40))
    assert batch.probs is not None
    waiting = [row for row in hidden.project.state.queue() if row["reason"].startswith("label: query")]
    assert len(waiting) == 40
    first = [re.search(r'more likely "(.*?)"', row["reason"])[1] for row in waiting]  # type: ignore[index]
    said = dict(zip((one.id for one in batch.samples), batch.probs.argmax(axis=1), strict=True))
    assert first == [ds.schema.classes[said[row["sample"]]] for row in waiting]
    assert len(set(first)) > 1, "the machine said one class of all of them"


def test_a_strategy_without_a_model_shows_one_out_of_sample(hidden: Hidden, tmp_path: Path) -> None:
    flattered(hidden, tmp_path)
    ask_next(hidden.project, Wish(strategy="random", budget=40))
    waiting = [row for row in hidden.project.state.queue() if row["reason"].startswith("label: query")]
    names = [re.search(r'more likely "(.*?)"', row["reason"])[1] for row in waiting]  # type: ignore[index]
    right = np.mean([name == hidden.truth[row["sample"]] for name, row in zip(names, waiting, strict=True)])
    assert right > 0.5, "the machine's label is right about a quarter of the time"


def test_machine_labels_do_not_change_figures_out_of_fold(hidden: Hidden, tmp_path: Path) -> None:
    ds = flattered(hidden, tmp_path)
    _, features = rounds.featured(hidden.project)
    bare = ds.with_columns({"label": np.where(standing.spoken(ds), ds["label"], -1)})
    with_them, without = (standing.judge(hidden.project, one, features, judge_on="folds") for one in (ds, bare))
    assert with_them.n == without.n == 60
    assert with_them == without
