"""What was answered and what came of it, from the log, from what people said, and from the audited samples of the data.

The log is counted inside the database: a year of answers is not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce._state_layout import tables
from scarce.dataset import Array, Dataset
from scarce.flywheel._blind import blind_answers
from scarce.flywheel.feedback import latest
from scarce.flywheel.kpi import Outcomes, Traffic
from scarce.flywheel.promote import PRODUCTION
from scarce.metric.interval import group_codes

if TYPE_CHECKING:
    from scarce.project import Project
    from scarce.state import State

MANY: Final = 500
SHADOW: Final = "shadow"
FOR_A_PERSON: Final = ("ask", "unknown")
NONE: Final = -1
Row = Mapping[str, Any]


def outcomes(project: Project, ds: Dataset | None) -> Outcomes:
    """Return every answer whose truth is known: what people said about it, or the label of an audited sample.

    Args:
        project: with a log of predictions and feedback.
        ds: its newest data, whose ``meta.inclusion`` names the samples that were drawn at random; None = no data yet.
    """
    said = {request: row for request, row in latest(project.state.feedback()).items() if row["label"]}
    answers = {row["request"]: row for row in _chunks(project.state, "requests", list(said))
               if row["served_as"] != SHADOW}  # fmt: skip
    heard = {row["sample"] for request, row in answers.items() if said[request]["inclusion"]}
    audited = {sample: told for sample, told in audited_samples(project, ds).items() if sample not in heard}
    first: dict[str, Row] = {}  # a sample was drawn once, however often it was answered
    for row in _chunks(project.state, "samples", list(audited)):
        if row["served_as"] != SHADOW:
            first.setdefault(row["sample"], row)
    found = [(row, *audited[sample]) for sample, row in first.items()]
    counted = {row["request"] for row in first.values()}
    found += [(row, said[request]["label"], said[request]["inclusion"])
              for request, row in answers.items() if request not in counted]  # fmt: skip
    return from_rows(found, ds.schema.classes if ds is not None else (), sound_of(project, ds))


def sound_of(project: Project, ds: Dataset | None) -> tuple[str, ...]:
    """Return the sound classes: those of the data, or where it knows none those of the settings."""
    if ds is None:
        return ()
    named = project.config.project.normal_classes
    return ds.schema.normal_classes or tuple(name for name in ds.schema.classes if name in named)


def from_rows(rows: Iterable[tuple[Row, str, float | None]], classes: Sequence[str], normal: Sequence[str]) -> Outcomes:
    """Return logged answers with their truth as arrays.

    Args:
        rows: a row of the log, the true label, and the probability with which it was drawn (None = not at random).
            A label beyond the classes counts as a defect, and as none of them.
        classes: names.
        normal: the sound ones.
    """
    known = list(rows)
    codes = {name: code for code, name in enumerate(classes)}
    return Outcomes(
        at=moments([row["at"] for row, _, _ in known]),
        truth=np.array([codes.get(label, len(classes)) for _, label, _ in known], np.int64),
        answer=np.array([codes.get(row["label"], NONE) for row, _, _ in known], np.int64),
        called=np.array([_called(row, normal) for row, _, _ in known], bool),
        probability=np.array([_probability(row) for row, _, _ in known], np.float64),
        inclusion=np.array([np.nan if share is None else share for _, _, share in known], np.float64),
        groups=group_codes(np.array([row["sample"] for row, _, _ in known], object)),
    )  # fmt: skip


def traffic(project: Project, ds: Dataset | None) -> Traffic:
    """Return answers by day, and when people labelled what was answered; counted by the database.

    Args:
        project: with a log of predictions.
        ds: its newest data: whose annotated samples were answered in production.
    """
    import sqlalchemy as sql

    log = tables().tables["predictions"]
    day = sql.func.substr(log.c.at, sql.literal_column("1"), sql.literal_column("10"))
    served = log.c.served_as != SHADOW
    first = sql.select(sql.func.min(log.c.number)).group_by(log.c.sample)  # a shadow's answer is never the first
    new = sql.func.sum(sql.case((log.c.number.in_(first), 1), else_=0))
    chosen = sql.select(day, log.c.verdict, sql.func.count(), new).where(served).group_by(day, log.c.verdict)
    counts = project.state.select(chosen)
    days = sorted({row[0] for row in counts})
    found = np.zeros((3, len(days)), np.int64)
    for name, verdict, count, fresh in counts:
        found[:, days.index(name)] += (count, count if verdict in FOR_A_PERSON else 0, int(fresh))
    return Traffic(day=np.array(days, "datetime64[D]"), answered=found[0], asked=found[1], fresh=found[2],
                   labels=labelled(project.state, ds, served=True))  # fmt: skip


def labelled(state: State, ds: Dataset | None, *, served: bool = False) -> Array:
    """Return when people labelled samples, (L,) datetime64[s]: each sample once, the first time.

    Args:
        state: with feedback (by hash of the content) and annotations (by id of the sample).
        ds: the data that the ids are of.
        served: only samples that production met.
    """
    import sqlalchemy as sql

    said, noted = tables().tables["feedback"], tables().tables["annotations"]
    found = dict(state.select(sql.select(said.c.sample, sql.func.min(said.c.at)).group_by(said.c.sample)))
    chosen = sql.select(noted.c.sample, sql.func.min(noted.c.at)).where(noted.c.kind == "human")
    by_id = dict(state.select(chosen.where(noted.c.label.is_not(None)).group_by(noted.c.sample)))
    names = _names(ds, np.array(list(by_id), str))
    for sample, at in by_id.items():
        name, from_production = names.get(sample, (sample, False))
        if from_production or not served:
            found[name] = min(at, found.get(name, at))
    return moments(list(found.values()))


def moments(times: Sequence[str]) -> Array:
    """Return times (ISO 8601, UTC) as (N,) datetime64[s]."""
    return np.array([time[:19] for time in times], "datetime64[s]")


def audited_samples(project: Project, ds: Dataset | None) -> dict[str, tuple[str, float]]:
    """Return content hash to label and inclusion probability of drawn samples that somebody named who was asked."""
    if ds is None or "meta.inclusion" not in ds.table.column_names or "content_hash" not in ds.table.column_names:
        return {}
    shares = ds.table["meta.inclusion"].to_numpy(zero_copy_only=False).astype(np.float64)
    asked = np.isin(ds.ids.astype(str), list(blind_answers(project)))
    rows = np.flatnonzero((shares > 0) & (ds["label"] >= 0) & ds["keep"].astype(bool) & asked)
    hashes, labels = ds.table["content_hash"].take(rows).to_pylist(), ds["label"][rows]
    return {
        str(name): (ds.schema.classes[label], float(share))
        for name, label, share in zip(hashes, labels.tolist(), shares[rows].tolist(), strict=True) if name
    }  # fmt: skip


def _names(ds: Dataset | None, ids: Array) -> dict[str, tuple[str, bool]]:
    """Return id to content hash, and whether it came from production, of some samples."""
    if ds is None or "content_hash" not in ds.table.column_names:
        return {}
    rows = np.flatnonzero(np.isin(ds.ids.astype(str), ids))
    hashes, served = ds.table["content_hash"].take(rows).to_pylist(), ds["source"][rows] == PRODUCTION
    named = zip(ds.ids[rows].astype(str).tolist(), hashes, served.tolist(), strict=True)
    return {sample: (name or sample, bool(mine)) for sample, name, mine in named}


def _called(row: Row, normal: Sequence[str]) -> bool:
    if row["verdict"] in {"accept", "reject"}:
        return bool(row["verdict"] == "reject")
    return bool(normal) and row["label"] is not None and row["label"] not in normal


def _probability(row: Row) -> float:
    """Return how sure the answer was, where classes are as common as in training if the model says so."""
    natural = (row["body"] or {}).get("natural_probability")
    value = row["probability"] if natural is None else natural
    return float("nan") if value is None else float(value)


def _chunks(state: State, by: str, names: Sequence[str]) -> list[Row]:
    """Return the logged answers to some requests, or about some samples, oldest first in each part."""
    found: list[Row] = []
    for start in range(0, len(names), MANY):
        part = names[start : start + MANY]
        found += state.predictions(requests=part) if by == "requests" else state.predictions(samples=part)
    return found
