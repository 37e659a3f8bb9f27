"""How good a data set is, in five parts between 0 and 1, per class and over all.

**1 = best**, the other way round than the scores of the audit: what remains when the faults are taken off. A part
is read from what a version holds (labels, what was set aside, what the audit found) and opens no file. What was never
measured is unknown, never perfect.

======================  =======================================================================================
part                    1 minus ... (N judged samples: real and kept)
======================  =======================================================================================
``completeness``        samples that cannot be read, have no label or lack a wanted value, each as 1; of a row of
                        a table or series the share of its values that is missing
``uniqueness``          share of the samples that are further copies of another one
``balance``             not a share: evenness H / log K of the class counts; of a class, its count over the largest
``label_quality``       mean probability that the given label is wrong
``consistency``         share of the samples whose form or label disagrees with the others
``overall``             geometric mean of the parts that are known, so that no part can make up for another
======================  =======================================================================================

Shares get an exact (Clopper-Pearson) interval: what the same source would show with endless data. Where samples share
a group of the user's, groups are counted. Balance is a count of this data and has none. The interval of label quality
is widened on both sides by the share of labels that the model itself expects to misjudge, the mean of min(p, 1 - p):
its probabilities err together, which no number of samples mends; see ``benchmarks/quality.py``.

Where ``label_error`` judged the same samples, its interval is the one that is shown. Where the label is a number there
are no classes: label quality is the mean probability of ``number_error``, and balance is not measured.

Source: evenness is Pielou 1966; the interval Clopper and Pearson 1934, see :mod:`scarce.metric.interval`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce.audit import numeric_label
from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.errors import DataError, unknown_name
from scarce.metric import clopper_pearson

PARTS: Final = ("completeness", "uniqueness", "balance", "label_quality", "consistency")
NO_LABELS: Final = "no sample has a label; name its column (--label), or label some"
NUMBERS: Final = "not measured: the label is a number, which has no classes to balance"
_RATE: Final = re.compile(
    r"about ([\d.]+) % of the labels are wrong \(95 % interval ([\d.]+) to ([\d.]+) %\); \d+ of (\d+) are flagged"
)
"""What ``label_error`` says of all labels."""
UNREADABLE: Final = ("missing", "empty", "truncated", "huge", "broken", "web")
"""First words of the reasons for which a sample that cannot be read is set aside."""
COPIES: Final = ("exact_duplicate", "near_duplicate")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of the quality, 1 = best.

    Attributes:
        value: in [0, 1]; NaN = not known.
        low, high: bounds of the interval; both are the value where it is a count and no estimate.
        n: samples that were judged.
        units: independent ones among them: groups, where several samples share one.
        doubt: by how much the judge itself may err, part of the interval; more samples do not make it smaller.
        why: why it is not known, and what to do; empty where it is.
        counted: what was counted as a fault, with the numbers; empty where the value says all.
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    units: int = 0
    doubt: float = 0.0
    why: str = ""
    counted: str = ""

    @property
    def known(self) -> bool:
        """Whether it was measured."""
        return math.isfinite(self.value)

    @property
    def faults(self) -> float:
        """How many of the n samples are at fault; a fraction where probabilities are added up."""
        return (1 - self.value) * self.n

    def to_json(self) -> dict[str, Any]:
        """Return plain values; null = not known."""
        numbers = {name: _number(getattr(self, name)) for name in ("value", "low", "high")}
        told = {name: text for name, text in (("why", self.why), ("counted", self.counted)) if text}
        return {**numbers, "n": self.n, **told}


@dataclass(frozen=True, kw_only=True)
class Quality:
    """The quality of a data set, 1 = best.

    Attributes:
        overall: geometric mean of the known parts; its bounds hold for all parts at once.
        parts: name to part, in the order of :data:`PARTS`.
        classes: class to its parts and its ``overall``.
    """

    overall: Part
    parts: Mapping[str, Part]
    classes: Mapping[str, Mapping[str, Part]] = field(default_factory=dict)

    @property
    def weakest(self) -> str:
        """Return the name of the lowest known part; empty if none is known."""
        known = {name: part.value for name, part in self.parts.items() if part.known}
        return min(known, key=lambda name: known[name]) if known else ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values: ``overall``, ``weakest``, each part, and ``classes``."""
        return {
            "overall": self.overall.to_json(), "weakest": self.weakest,
            **{name: part.to_json() for name, part in self.parts.items()},
            "classes": {
                name: {part: value.to_json() for part, value in parts.items()} for name, parts in self.classes.items()
            },
        }  # fmt: skip


@dataclass(frozen=True)
class _Share:
    """Which rows a part judges, and how much each is at fault, in [0, 1]; doubtful = a fault is a probability.

    ``tell`` says of some of the judged rows what was counted.
    """

    judged: Mask
    fault: Floats
    why: str = ""
    doubtful: bool = False
    tell: Callable[[Ints], str] = lambda rows: ""  # noqa: ARG005


def measure(ds: Dataset, *, required: Sequence[str] = (), confidence: float = 0.95) -> Quality:
    """Return the quality of a data set; nothing is opened or changed.

    Args:
        ds: N rows with what the audit wrote: ``audit.label_error.score``, ``audit.consistency.score`` and the groups of
            ``exact_duplicate`` and ``near_duplicate``. Parts whose check did not run are unknown.
        required: columns that every sample must have a value in, beside readable content and a label.
        confidence: of the intervals.

    Raises:
        DataError: the confidence is not between 0 and 1.
        UnknownNameError: a required column does not exist.
    """
    if not 0 < confidence < 1:
        raise DataError("quality", f"confidence {confidence}", do="give a share between 0 and 1")
    known = [*ds.table.column_names, *ds.wide]
    for name in required:
        if name not in known:
            raise unknown_name("quality", "column", name, known)
    numbers = numeric_label(ds)
    shares = {
        "completeness": _completeness(ds, required), "uniqueness": _uniqueness(ds),
        "label_quality": _label_quality(ds), "consistency": _consistency(ds),
    }  # fmt: skip
    strict = 1 - (1 - confidence) / len(shares)
    units, labels = _units(ds), ds["label"]
    counts = np.bincount(labels[_judged(ds) & (labels >= 0)], minlength=len(ds.schema.classes))
    both = [_parts(shares, np.ones(len(ds), bool), units, level) for level in (confidence, strict)]
    even = Part(why=NUMBERS) if numbers else _evenness(counts)
    if confidence == 0.95:
        for own in both:
            own["label_quality"] = _as_audited(ds, own["label_quality"])
    parts = _ordered(both[1], even)
    overall = _overall(parts) if counts.any() else Part(why=f"not measured: {NO_LABELS}")
    classes = {}
    for code, name in enumerate(() if numbers else ds.schema.classes):
        rows = labels == code
        balance = _count(counts[code] / max(counts.max(), 1), counts[code])
        own, wide = (_parts(shares, rows, units, level) for level in (confidence, strict))
        classes[name] = {**_ordered(own, balance), "overall": _overall(_ordered(wide, balance))}
    return Quality(overall=overall, parts=_ordered(both[0], even), classes=classes)


def redundant(ds: Dataset, checks: Sequence[str] = COPIES) -> Mask:
    """Return (N,) bool: samples that are further copies: all but the first id of each group, groups that meet as one.

    Only rows that are kept and real count, so that a copy that was set aside is none any more.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    usable = _judged(ds)
    groups = [row["members"] for row in ds.findings.select(["check", "level", "members"]).to_pylist()
              if row["check"] in checks and row["level"] == "group" and row["members"]]  # fmt: skip
    names = pa.array([sample for group in groups for sample in group], pa.string())
    found = pc.fill_null(pc.index_in(names, value_set=ds.table["id"].combine_chunks()), -1).to_numpy()
    links: list[tuple[int, int]] = []
    for part in np.split(np.asarray(found), np.cumsum([len(group) for group in groups])[:-1]) if groups else ():
        rows = [row for row in part.tolist() if row >= 0 and usable[row]]
        links += [(rows[0], row) for row in rows[1:]]
    out = np.zeros(len(ds), bool)
    if links:
        pairs = np.array(links)
        graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(len(ds), len(ds)))
        home = connected_components(graph, directed=False)[1]
        first = np.unique(home, return_index=True)[1]
        out[:] = True
        out[first] = False
    return out


def incomplete(ds: Dataset, required: Sequence[str] = ()) -> Ints:
    """Return the rows that completeness counts as faults, the worst first; what was set aside as a copy is none.

    Args:
        ds: N rows.
        required: see :func:`measure`.
    """
    share = _completeness(ds, required)
    fault = np.where(share.judged, share.fault, 0.0)
    return np.asarray(np.argsort(-fault, kind="stable")[: int((fault > 0).sum())])


def _judged(ds: Dataset) -> Mask:
    return np.asarray(ds["keep"].astype(bool) & (ds["origin"] == "real"))


def _completeness(ds: Dataset, required: Sequence[str]) -> _Share:
    unreadable = np.zeros(len(ds), bool)
    aside = np.flatnonzero(~ds["keep"].astype(bool))
    reasons = ds["drop_reason"][aside] if "drop_reason" in ds.table.column_names else np.full(len(aside), None, object)
    unreadable[aside] = [str(reason or "").partition(":")[0] in UNREADABLE for reason in reasons]
    pool = ds["split"] == "pool" if "split" in ds.table.column_names else np.zeros(len(ds), bool)
    fault = np.zeros(len(ds))
    cells = next((name for name in ("scan.missing", "audit.missing.score") if name in ds), "")
    if cells:
        fault = np.clip(np.nan_to_num(ds[cells].astype(np.float64)), 0, 1)
    unlabelled = ~unreadable & (ds["label"] < 0) & np.asarray(pool == False, bool)  # noqa: E712  elementwise
    if "meta.inclusion" in ds.table.column_names:  # drawn from production: somebody is asked about it
        unlabelled &= ds.table["meta.inclusion"].is_null().to_numpy()
    wanting = np.zeros(len(ds), bool)
    for name in required:
        if name in ds.table.column_names:
            wanting |= np.asarray(ds.table[name].is_null().to_numpy(), bool)
    fault[unreadable | unlabelled | wanting] = 1.0

    def tell(rows: Ints) -> str:
        left = rows[~(unreadable | unlabelled | wanting)[rows]]
        told = [f"{int(unreadable[rows].sum()):,} cannot be read, {int(unlabelled[rows].sum()):,} have no label"]
        if required:
            told.append(f"{int(wanting[rows].sum()):,} lack {' or '.join(required)}")
        if cells and len(left) and (share := float(fault[left].mean())) > 0:
            told.append(f"of the values of the others {100 * share:.2g} % are missing")
        return f"of {len(rows):,} samples {', '.join(told)}"

    return _Share(_judged(ds) | (unreadable & (ds["origin"] == "real")), fault, tell=tell)


def _uniqueness(ds: Dataset) -> _Share:
    columns = [f"audit.{check}.score" for check in COPIES if f"audit.{check}.score" in ds]
    if not columns:
        return _unknown(ds, "copies were not looked for: run scarce audit")
    seen = np.any([np.isfinite(ds[name].astype(np.float64)) for name in columns], axis=0)
    return _Share(_judged(ds) & seen, redundant(ds).astype(np.float64))


def _as_audited(ds: Dataset, part: Part) -> Part:
    """Return the label quality with the share and interval that ``label_error`` gave the same samples: one, not two.

    Its scores rank samples of scarce classes higher than their share of errors says: their mean is not the rate.

    Where samples came or went since, or share groups of the user's, the own interval stays.
    """
    if not part.known or part.units < part.n:
        return part
    rows = ds.findings.filter(pc.equal(ds.findings["check"], "label_error")).to_pylist()
    said = next((found for row in rows if row["level"] == "data" and (found := _RATE.match(row["why"] or ""))), None)
    if said is None or int(said[4]) != part.n:
        return part
    value, low, high = (1 - float(said[place]) / 100 for place in (1, 3, 2))
    return replace(part, value=value, low=min(low, value), high=max(high, value))


def _label_quality(ds: Dataset) -> _Share:
    if numeric_label(ds):
        return _number_quality(ds)
    if "audit.label_error.score" not in ds:
        return _unknown(ds, "label errors were not looked for: run scarce audit")
    score = ds["audit.label_error.score"].astype(np.float64)
    steps = [step for step in ds.steps if (step.stage, step.name) == ("audit", "label_error")]
    if steps and steps[-1].params.get("rule", "adaptive") != "adaptive":
        return _unknown(ds, 'the rule of label_error gives no probabilities: use rule = "adaptive"')
    return _Share(_judged(ds) & np.isfinite(score) & (ds["label"] >= 0), np.nan_to_num(score), doubtful=True)


def _number_quality(ds: Dataset) -> _Share:
    """Return how probably each number is wrong, where the label is a number and no class."""
    if "audit.number_error.score" not in ds:
        return _unknown(ds, "wrong numbers were not looked for: run scarce audit")
    score = ds["audit.number_error.score"].astype(np.float64)
    return _Share(_judged(ds) & np.isfinite(score), np.nan_to_num(score), doubtful=True)


def _consistency(ds: Dataset) -> _Share:
    if "audit.consistency.score" not in ds:
        return _unknown(ds, "consistency was not looked at: run scarce audit")
    score = ds["audit.consistency.score"].astype(np.float64)
    return _Share(_judged(ds) & np.isfinite(score), np.where(np.nan_to_num(score) >= 0.5, 1.0, 0.0))


def _unknown(ds: Dataset, why: str) -> _Share:
    return _Share(np.zeros(len(ds), bool), np.zeros(len(ds)), why)


def _units(ds: Dataset) -> Ints | None:
    """Return (N,) codes of the user's groups; None where each sample stands alone."""
    if "group" not in ds:
        return None
    from scarce.metric.interval import group_codes

    return group_codes(ds["group"])


def _parts(shares: Mapping[str, _Share], rows: Mask, units: Array | None, level: float) -> dict[str, Part]:
    return {name: _part(share, rows, units, level) for name, share in shares.items()}


def _part(share: _Share, rows: Mask, units: Array | None, level: float) -> Part:
    judged = np.flatnonzero(share.judged & rows)
    n = len(judged)
    if not n:
        return Part(why=share.why or "there are no samples")
    groups = n if units is None else len(np.unique(units[judged]))
    good = n - float(share.fault[judged].sum())
    fault = share.fault[judged]
    doubt = float(np.minimum(fault, 1 - fault).mean()) if share.doubtful else 0.0
    low, high = bounds(good / n, n, groups, doubt=doubt, confidence=level)
    return Part(value=good / n, low=low, high=high, n=n, units=groups, doubt=doubt, counted=share.tell(judged))


def bounds(value: float, n: int, units: int, *, doubt: float = 0.0, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of a share that was seen in n samples.

    Args:
        value: the share, in [0, 1].
        n: samples.
        units: independent ones among them, at most n.
        doubt: by how much the judge itself may err; it does not shrink with n.
        confidence: two-sided.
    """
    low, high = clopper_pearson(min(max(value, 0.0), 1.0) * n, n, confidence, groups=units if units < n else None)
    return max(0.0, low - doubt), min(1.0, high + doubt)


def _evenness(counts: Ints) -> Part:
    """Return H / log K: 1 = all classes of one size; classes without samples count."""
    if len(counts) < 2 or not counts.sum():
        return Part(why="there are fewer than two classes")
    share = counts[counts > 0] / counts.sum()
    return _count(abs(float(-(share * np.log(share)).sum() / math.log(len(counts)))), int(counts.sum()))


def _count(value: float, n: int) -> Part:
    return Part(value=float(value), low=float(value), high=float(value), n=int(n), units=int(n))


def _ordered(parts: Mapping[str, Part], balance: Part) -> dict[str, Part]:
    return {name: balance if name == "balance" else parts[name] for name in PARTS}


def _overall(parts: Mapping[str, Part]) -> Part:
    known = [part for part in parts.values() if part.known]
    if not known:
        return Part(why="no part is known")
    value, low, high = (math.exp(math.fsum(_logs(known, name)) / len(known)) for name in ("value", "low", "high"))
    unknown = ", ".join(name for name, part in parts.items() if not part.known)
    n = max(part.n for part in known)
    return Part(value=value, low=low, high=high, n=n, units=n, why=f"without {unknown}" if unknown else "")


def _logs(parts: Sequence[Part], name: str) -> Iterator[float]:
    for part in parts:
        number = getattr(part, name)
        yield math.log(number) if number > 0 else -math.inf


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
