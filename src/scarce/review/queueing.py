"""Which samples of a version are worth a look, and in which order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.dataset import Dataset, Ints
from scarce.errors import unknown_name
from scarce.loop.asking import DOUBTED, REVIEWED, put

if TYPE_CHECKING:
    from scarce.project import Project

FLAGGED: Final = ("label_error", "label_conflict")
Rows = Iterator[dict[str, Any]]


def ask(
    project: Project, ds: Dataset, kinds: Collection[str] = REVIEWED, *, per_class: int = 20, seed: int = 0
) -> dict[str, int]:
    """Put what should be looked at into the queue; return kind to how many questions are new.

    Flagged labels come all, the worst first. Labels of zero-shot models and synthetic samples come as a random sample
    of each class, drawn anew with every seed: its share of right ones is an estimate for the whole class.

    Args:
        project: whose queue it is.
        ds: its newest version, with the findings of an audit.
        kinds: of :data:`scarce.loop.asking.REVIEWED`; ``unsure`` adds nothing: a zero-shot run put those there.
        per_class: samples of each class, for zero_shot and synthetic.
        seed: of the draw.

    Raises:
        UnknownNameError: there is no such kind.
    """
    for kind in kinds:
        if kind not in (*REVIEWED, DOUBTED):
            raise unknown_name("review", "kind", kind, (*REVIEWED, DOUBTED))
    counts = {}
    for kind in REVIEWED:
        if kind in kinds:
            found = _flagged(ds, kind) if kind in FLAGGED else _sampled(ds, kind, per_class, seed)
            rows = [{**row, "version": project.head} for row in found]
            counts[kind] = put(project, rows)
    return counts


def _flagged(ds: Dataset, check: str) -> Rows:
    """Yield the samples that a check flagged; each once, for its worst finding."""
    place = {sample: row for row, sample in enumerate(ds.ids.tolist())}
    keep, labels, sources = ds["keep"].astype(bool), ds["label"], ds["label_source"]
    worst: dict[str, tuple[float, str]] = {}
    for found in ds.findings.to_pylist():
        told = (found["why"] or "").startswith("skipped:")
        if found["check"] != check or found["level"] not in ("sample", "group", "pair") or told:
            continue
        for sample in found["members"] or ():
            row = place.get(sample)
            if row is not None and keep[row] and labels[row] >= 0 and sources[row] != "human":
                worst[sample] = max(worst.get(sample, (0.0, "")), (float(found["score"] or 0), found["why"] or ""))
    for sample, (score, why) in worst.items():
        yield {"sample": sample, "reason": f"{check}: {why}", "priority": score}


def _sampled(ds: Dataset, kind: str, per_class: int, seed: int) -> Rows:
    """Yield a random sample of each class, the classes in turn."""
    grown = ds["origin"] == "synthetic"
    mine = grown if kind == "synthetic" else (ds["label_source"] == "zero_shot") & ~grown
    rows = np.flatnonzero(mine & ds["keep"].astype(bool) & (ds["label"] >= 0))
    by_class: dict[int, list[int]] = defaultdict(list)
    for row in _shuffled(rows, seed).tolist():
        by_class[int(ds["label"][row])].append(row)
    for code in sorted(by_class):
        of = len(by_class[code])
        for turn, row in enumerate(by_class[code][:per_class]):
            reason = f"{kind}: one of {min(per_class, of)} drawn from {of} of {ds.schema.classes[code]}"
            yield {"sample": str(ds.ids[row]), "reason": reason, "priority": 0.5 * (1 - turn / per_class)}


def _shuffled(rows: Ints, seed: int) -> Ints:
    return np.random.default_rng([seed, 0x726576]).permutation(rows)
