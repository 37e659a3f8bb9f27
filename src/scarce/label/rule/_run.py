"""The driver: labelling functions over a dataset, joined by a label model, written where no person has spoken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from scarce.ballot import with_ratings
from scarce.dataset import Array, Dataset, Ints
from scarce.errors import DataError
from scarce.label._write import EVALUATED, Labels, free_rows, spoken, with_labels
from scarce.label.rule._apply import Applied, apply_functions
from scarce.label.rule._choose import Choice, choose_model, model_of
from scarce.label.rule._function import LabelingFunction
from scarce.label.rule._proof import SINGLE, without
from scarce.label.rule._summary import FunctionSummary, summarize_functions
from scarce.lineage import Step

WHO: Final = "label.rule"


@dataclass(frozen=True, eq=False)
class Ruled:
    """What labelling functions made of a dataset.

    Attributes:
        dataset: with the new labels (source ``rule``, soft labels beside them) and votes (kind ``rule``).
        applied: what the functions said.
        choice: the label model.
        summary: figures of each function, on the gold labels where there are any.
        rows: (M,) rows that got a label.
        undecided: (U,) rows that a function votes on and that stay without a label, for people.
        left_out: names of functions that gold labels prove worse than chance; the model did not see their votes.
        refused: why no label was written although the model has some; empty = nothing was refused.
        warnings: what a person should know about the labels.
    """

    dataset: Dataset
    applied: Applied
    choice: Choice
    summary: tuple[FunctionSummary, ...]
    rows: Ints
    undecided: Ints
    left_out: tuple[str, ...] = ()
    refused: str = ""
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        ds, choice = self.dataset, self.choice
        counts = np.bincount(ds["label"][self.rows], minlength=len(ds.schema.classes))
        compared = [
            {key: None if isinstance(value, float) and np.isnan(value) else value for key, value in asdict(one).items()}
            for one in choice.candidates
        ]
        return {
            "labeled": len(self.rows), "undecided": len(self.undecided),
            "covered": float((self.applied.votes >= 0).any(axis=1).mean()) if len(ds) else 0.0,
            "classes": dict(zip(ds.schema.classes, map(int, counts), strict=True)),
            "model": choice.name, "why": choice.why, "gold": choice.judged,
            "compared": compared, "proof": None if choice.proof is None else choice.proof.to_json(),
            "left_out": list(self.left_out), "refused": self.refused, "warnings": list(self.warnings),
            "functions": [one.to_json(ds.schema.classes) for one in self.summary],
            "failures": [asdict(one) for one in self.applied.failures], "remembered": self.applied.remembered,
        }  # fmt: skip


def run(  # noqa: PLR0913 - one knob each
    ds: Dataset,
    functions: Sequence[LabelingFunction],
    *,
    model: str = "auto",
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    gold: Array | None = None,
    least: float = 0.0,
    even_so: bool = False,
    cache: str | Path | None = None,
    workers: int | None = None,
    seed: int = 0,
) -> Ruled:
    """Let labelling functions vote on every kept real sample, and label those that no person has labelled.

    A sample of validation or test is never labelled, and its label, if it has one, never chooses the model. Where
    nobody votes, or two classes tie, there is no label. Functions that gold labels prove worse than chance are left
    out, chosen anew in each fold that judges; and where there are enough gold labels but they do not prove the model
    better than chance, nothing is written.

    Args:
        ds: the dataset.
        functions: made with :func:`scarce.label.rule.labeling_function`.
        model: name of the label model; ``auto`` = the best on the gold labels, majority without any.
        settings: parameters by model.
        gold: (N,) right codes, -1 = not known; None = what people labelled in train and pool.
        least: probability that a label needs at least.
        even_so: leave no function out, and write labels that are not proven better than chance.
        cache: folder that keeps answers of functions.
        workers: threads or processes at most.
        seed: of the folds that choose the model.

    Raises:
        DataError: no functions, no classes, or no sample to vote on.
        UnknownNameError: there is no such model.
    """
    k = len(ds.schema.classes)
    if not 0 <= least <= 1:
        raise DataError(WHO, f"least is {least}", do="give a probability between 0 and 1")
    models = None if model == "auto" else [model_of(model, settings).plugin_name()]
    usable = np.flatnonzero(ds["keep"].astype(bool) & (ds["origin"] == "real"))
    if not len(usable) or not k:
        raise DataError(WHO, f"there are {len(usable)} usable samples and {k} classes", do="add samples and classes")
    view = ds.take(usable)
    applied = apply_functions(functions, view, workers=workers, cache=cache)
    known = gold_of(ds) if gold is None else np.asarray(gold)
    if known.shape != (len(ds),):
        raise DataError(WHO, f"gold has shape {known.shape}", f"there are {len(ds)} samples", "pass -1 where unknown")
    choice = choose_model(
        applied.votes, k, known[usable], models=models, settings=settings, sift=not even_so, seed=seed
    )
    votes, soft = without(applied, np.array(choice.left_out, np.int64))
    probs = choice.fitted.predict_proba(votes, soft=soft) if soft else choice.fitted.posterior
    covered = (votes >= 0).any(axis=1)
    best = np.sort(probs, axis=1)[:, -2:] if k > 1 else np.hstack([np.zeros_like(probs), probs])
    sure = covered & (best[:, -1] >= least) & (best[:, -1] - best[:, 0] > 1e-6)
    free = free_rows(ds, "rule")[usable]
    refused = "" if even_so else _refusal(choice)
    meant = np.flatnonzero(sure & free)
    place = meant[:0] if refused else meant
    step = Step(
        stage="label", name="rule", seed=seed,
        params={"functions": list(applied.names), "model": choice.name, "least": least, "labeled": len(place)},
        inputs={one.name: one.source_hash() for one in functions},
    )  # fmt: skip
    exact = probs[place].astype(np.float64)
    new = Labels(usable[place], probs[place].argmax(axis=1), "rule", exact / exact.sum(axis=1, keepdims=True))
    voted = with_ratings(
        ds, usable, applied.votes, applied.names, kind="rule", soft=applied.soft, when=datetime.now(UTC)
    )
    summary = summarize_functions(applied.votes, applied.names, known[usable], n_classes=k)
    undecided = usable[covered & ~sure & free & (ds["label"][usable] < 0)]
    left_out = tuple(applied.names[column] for column in choice.left_out)
    counts = np.bincount(probs[meant].argmax(axis=1), minlength=k)
    return Ruled(with_labels(voted, new, step), applied, choice, tuple(summary), new.rows, undecided, left_out, refused,
                 tuple(_doubts(choice, counts, ds.schema.classes, proven=not refused)))  # fmt: skip


def _refusal(choice: Choice) -> str:
    """Return why the labels of a model are not to be written; empty = they may be."""
    proof = choice.proof
    if proof is None or proof.holds:
        return ""
    return (f"the labels of {choice.name} are not proven better than chance: balanced accuracy "
            f"{proof.balanced_accuracy:.3f} on {choice.judged} gold labels, lower bound {proof.low:.3f}, "
            f"chance {proof.chance:.3f}")  # fmt: skip


def _doubts(choice: Choice, counts: Ints, classes: Sequence[str], *, proven: bool) -> list[str]:
    """Return what is strange about labels: nothing to prove them, one class for all, a class without any."""
    found = []
    if choice.proof is None and proven and counts.sum():
        found.append("too few gold labels to prove these labels better than chance: label 10 samples or more of two "
                     "classes")  # fmt: skip
    given = [name for name, count in zip(classes, counts, strict=True) if count]
    if len(given) == 1 < len(classes) and counts.sum() >= SINGLE:
        found.append(f"the model says {given[0]} of all {counts.sum():,} samples: the functions tell classes apart "
                     "badly, or none names another class")  # fmt: skip
    elif given and len(given) < len(classes):
        missing = ", ".join(name for name, count in zip(classes, counts, strict=True) if not count)
        found.append(f"no label for {missing}: a model trained on these labels alone never finds it")
    return found


def gold_of(ds: Dataset) -> Ints:
    """Return (N,) the labels that people stand behind outside validation and test; -1 elsewhere."""
    judged = spoken(ds) & ~np.isin(ds["split"].astype(str), EVALUATED)
    return np.asarray(np.where(judged, ds["label"], -1))
