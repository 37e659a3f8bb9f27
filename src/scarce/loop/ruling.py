"""Labelling functions over a project: its settings, its gold labels, its cache, its versions."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from scarce.errors import ConfigError, DataError, ReadError, closest
from scarce.label import rule
from scarce.loop.asking import LABEL, put
from scarce.loop.rounds import picked

if TYPE_CHECKING:
    from scarce.dataset import Dataset, Ints
    from scarce.project import Project

WHO: Final = "label.rule"
ENOUGH: Final = 30
"""Gold labels drawn at random that are judged by alone."""


def label_by_rules(  # noqa: PLR0913 - one knob each
    project: Project, functions: Path | None = None, *, model: str | None = None, gold: Path | None = None,
    least: float = 0.0, ask: bool = False, even_so: bool = False, commit: bool = True, workers: int | None = None,
    seed: int = 0,
) -> tuple[rule.Ruled, str | None, int]:  # fmt: skip
    """Run a project's labelling functions; return what came of it, the new version, and how many samples were asked.

    Args:
        project: the project.
        functions: Python file; None = that of the settings.
        model: label model; None = that of the settings.
        gold: CSV with the columns ``sample`` (id or path) and ``label``.
        least: probability that a label needs at least.
        ask: whether undecided samples go to the review queue.
        even_so: whether labels that are not proven better than chance are written, too.
        commit: whether labels are written.
        workers: threads or processes at most.
        seed: of the folds that choose the model.

    Raises:
        ConfigError: no file of functions was named.
        ReadError: the file of functions or of gold labels cannot be used.
    """
    settings = project.config.label.rule
    if functions is None and not settings.functions:
        raise ConfigError(WHO, "no file of labelling functions is named", do="give --functions rules.py, or set "
                          "functions in [label.rule] of scarce.toml")  # fmt: skip
    written = rule.load_functions(functions or project.folder / settings.functions)
    ds = project.dataset()
    judged, note = (read_gold(ds, gold), "") if gold is not None else drawn_gold(project, ds)
    found = rule.run(
        ds, written, model=model or settings.model, settings=settings.plugins, least=least, workers=workers, seed=seed,
        gold=judged, cache=project.features / "rules", even_so=even_so,
    )  # fmt: skip
    found = replace(found, warnings=(*found.warnings, note)) if note else found
    if not commit or found.refused:
        return found, None, 0
    version = project.commit(found.dataset, "label: rules", owner=("label",))
    reason = f"{LABEL}: rule, labelling functions contradict each other"
    rows = [{"sample": one, "reason": reason, "priority": 0.5, "version": version} for one in ds.ids[found.undecided]]
    return found, version, put(project, rows) if ask else 0


def drawn_gold(project: Project, ds: Dataset) -> tuple[Ints, str]:
    """Return (N,) gold codes, -1 = none, and a warning where they are no fair sample of the pile.

    Samples that a strategy picked are harder than the rest: they count only where too few others have a label.
    """
    gold = rule.gold_of(ds)
    strange = np.isin(ds.ids.astype(str), list(picked(project))) & (gold >= 0)
    drawn = np.where(strange, -1, gold)
    if not strange.any():
        return gold, ""
    if (drawn >= 0).sum() >= ENOUGH and len(np.unique(drawn[drawn >= 0])) == len(np.unique(gold[gold >= 0])):
        return drawn, ""
    return gold, (
        f"{int(strange.sum())} of {int((gold >= 0).sum())} gold labels are of samples that a strategy picked, which "
        f"are harder than the rest: the figures are no estimate for the pile; label {ENOUGH} random ones"
    )


def read_gold(ds: Dataset, path: Path) -> Ints:
    """Return (N,) codes of a table of gold labels; -1 where there is none.

    Raises:
        ReadError: the file cannot be read.
        DataError: a column is missing, or a sample or class does not exist.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(WHO, f"{path} cannot be read ({error})", do="give a CSV file in UTF-8") from error
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or not {"sample", "label"} <= set(rows[0]):
        there = f"its columns are {', '.join(rows[0])}" if rows else "it is empty"
        raise DataError(WHO, f"{path} has no columns sample and label", there, "name them in the first line")
    place = {name: row for row, name in enumerate(ds.table["uri"].to_pylist()) if name}
    place |= {name: row for row, name in enumerate(ds.ids.tolist())}
    out = np.full(len(ds), -1, np.int64)
    for line, row in enumerate(rows, start=2):
        if row["sample"] not in place:
            raise DataError(WHO, f"line {line} of {path} names {row['sample']!r}, which is no sample",
                            do="give ids or paths of the data")  # fmt: skip
        if row["label"] not in ds.schema.classes:
            there = closest(str(row["label"]), ds.schema.classes)
            raise DataError(WHO, f"line {line} of {path} names {row['label']!r}, which is no class", there)
        out[place[row["sample"]]] = ds.schema.classes.index(row["label"])
    return out
