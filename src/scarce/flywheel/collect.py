"""What came back becomes data: feedback and answered questions as annotations, kept samples as rows of the project.

What chance drew is judged by those alone who are asked about it: feedback about it stays feedback, whenever it came.

A correction, and the confirmation of an unsure answer, is worth training on; the confirmation of a sure one is not, and
stays where it is. What chance drew is test from the draw on; all else goes to train, unless it shows what a test sample
shows: then it waits in the pool. Every answer is written down first and frozen by the version that holds it, so that
whoever is killed in between loses nothing and says nothing twice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce import ballot, classes, clean
from scarce.clean import Action
from scarce.dataset import Dataset
from scarce.flywheel import feedback
from scarce.flywheel._blind import blind_answers, drawn_rows, draws
from scarce.flywheel.draw import OWNERS, admitted, moved, settle
from scarce.flywheel.pool import beside, folder_of, id_of, source_of
from scarce.flywheel.queue import AUDIT
from scarce.loop.answering import ASKED, gather, labelled, standing, verdict_of
from scarce.loop.asking import LABEL, kind_of

if TYPE_CHECKING:
    from scarce.project import Project

QUEUE: Final = "queue"
"""Source of feedback rows that were answered in the queue: they have been annotations before."""
FED: Final = re.compile(rf"{LABEL}: feedback (\d+), ")
"""Reasons of annotations that were feedback, with its number."""


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What a call took in.

    Attributes:
        version: the new version; None = nothing had to change.
        annotations: rows of feedback that became annotations.
        labels: samples that got their label, from feedback or from the queue.
        samples: kept production samples that joined the data.
        trained: samples that were in the pool and are in train now.
        heard: answers of the queue that now stand beside the prediction that they are about.
        classes: that were added.
        wishes: label that is no class to how often it was said; such feedback waits.
        unkept: requests of feedback whose sample was not kept; it cannot be learned from.
        sure: confirmations of sure answers, which are not worth a sample.
        drawn: rows of feedback about drawn samples, whose label only those give who are asked about them.
        waiting: ids of labelled production samples that wait in the pool, since they show what a test sample shows.
        open: questions about production samples that have no answer yet.
    """

    version: str | None
    annotations: int = 0
    labels: int = 0
    samples: int = 0
    trained: int = 0
    heard: int = 0
    classes: tuple[str, ...] = ()
    wishes: Mapping[str, int] = field(default_factory=dict)
    unkept: tuple[str, ...] = ()
    sure: int = 0
    drawn: int = 0
    waiting: tuple[str, ...] = ()
    open: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def collect(project: Project, *, new_classes: bool = False, workers: int | None = None, seed: int = 0) -> Collected:
    """Take feedback and answered questions into the project, as one new version.

    Doing it again changes nothing. Where classes are new, they are a version of their own before it.

    Args:
        project: with feedback or answered questions.
        new_classes: make classes of the labels that are none yet; without it such feedback waits and is told.
        workers: threads at most; None = all cores.
        seed: of the split.

    Raises:
        ContractError: the project's contract refuses the result; what was said is kept for the next call.
    """
    settle(project)
    with project.store.locked():
        found = _Found.of(project)
        fresh = tuple(sorted(found.wishes)) if new_classes else ()
        if fresh:
            project.commit(classes.add(project.dataset(), fresh), f"classes: add {', '.join(fresh)}")
            found = _Found.of(project)
        if found.rows:
            project.state.annotate(found.rows)
        _close(project)
        before = project.dataset()
        rows = _joining(project, before)
        labels, numbers, after = _written(project, before, rows, workers=workers, seed=seed)
        version = None
        if not after.table.equals(before.table) or len(after.votes) != len(before.votes):
            told = (
                f"collect: {labels} labels, {len(rows)} new samples, {moved(before, after, 'pool', 'train')} into train"
            )
            version = project.commit(after, told, owner=("label", *OWNERS))
        if numbers:
            project.state.freeze_annotations(numbers, version or project.head or "none")
        heard = _heard(project)
        ds = project.dataset()
        return Collected(
            version=version, annotations=len(found.rows), labels=labels, samples=len(rows), heard=heard, classes=fresh,
            trained=moved(before, ds, "pool", "train"),
            wishes=found.wishes, unkept=found.unkept, sure=found.sure, drawn=found.drawn, waiting=_waiting(project, ds),
            open=sum(row["reason"].startswith(f"{LABEL}: production, ") for row in project.state.queue()),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Found:
    """Feedback that is no annotation yet.

    Attributes:
        rows: as annotations.
        wishes, unkept, sure, drawn: see :class:`Collected`.
    """

    rows: tuple[dict[str, Any], ...]
    wishes: Mapping[str, int]
    unkept: tuple[str, ...]
    sure: int
    drawn: int

    @classmethod
    def of(cls, project: Project) -> _Found:
        ds = project.dataset()
        taken = {number for row in project.state.annotations() if (number := _number(row)) is not None}
        ids = _ids(project, ds)
        kept = {one.name for one in folder_of(project).iterdir()} if folder_of(project).is_dir() else set()
        chance = {row["sample"] for row in drawn_rows(project)}
        rows, wishes, unkept, sure, drawn = [], Counter[str](), [], 0, 0
        for row in feedback.latest(project.state.feedback()).values():
            if row["source"] == QUEUE or row["number"] in taken or row["label"] is None:
                continue
            sample = ids.get(row["sample"])
            if row["sample"] in chance:
                drawn += 1
            elif sample is None and row["worth"] == feedback.LOW:
                sure += 1
            elif sample is None and row["sample"] not in kept:
                unkept.append(row["request"])
            elif row["label"] not in ds.schema.classes:
                wishes[row["label"]] += 1
            else:
                reason = f"{LABEL}: feedback {row['number']}, {row['source']}: {row['kind']}, {row['worth']}"
                rows.append({
                    "sample": sample or id_of(project, ds, row["sample"]), "voter": row["voter"] or "operator",
                    "label": row["label"], "note": f"{LABEL}{ASKED}{reason}", "version": project.head, "at": row["at"],
                })  # fmt: skip
        return cls(rows=tuple(rows), wishes=dict(sorted(wishes.items())), unkept=tuple(unkept), sure=sure,
                   drawn=drawn)  # fmt: skip


def _number(row: Mapping[str, Any]) -> int | None:
    """Return the number of the feedback that an annotation was; None = it was none."""
    told = FED.match(verdict_of(row)[1])
    return int(told[1]) if told else None


def _ids(project: Project, ds: Dataset) -> dict[str, str]:
    """Return hash to id of the samples that are there; of copies the one from production."""
    mine = source_of(project, ds)
    hashes, sources = ds.table["content_hash"].to_pylist(), ds.table["source"].to_pylist()
    order = sorted(range(len(ds)), key=lambda row: sources[row] == mine)
    real = ds["origin"] == "real"
    return {hashes[row]: str(ds.ids[row]) for row in order if real[row] and hashes[row] is not None}


def _close(project: Project) -> None:
    """Take questions for a label off the queue that feedback has answered meanwhile."""
    told = {row["sample"] for row in project.state.annotations() if _number(row) is not None}
    blind = {(row["id"], row["reason"]) for row in drawn_rows(project)}
    over = [row["number"] for row in project.state.queue() if row["sample"] in told
            and kind_of(row["reason"]) == LABEL and (row["sample"], row["reason"]) not in blind]  # fmt: skip
    if over:
        project.state.settle(over)


def _joining(project: Project, ds: Dataset) -> list[dict[str, Any]]:
    """Return the kept samples that annotations speak of and the data lacks."""
    known = set(ds.ids.astype(str).tolist())
    wanted = {number: row["sample"] for row in project.state.annotations(frozen=False)
              if row["sample"] not in known and (number := _number(row)) is not None}  # fmt: skip
    if not wanted:
        return []
    said = {row["number"]: row for row in project.state.feedback() if row["number"] in wanted}
    when = _predicted(project, [row["request"] for row in said.values()])
    rows = {
        row["sample"]: {"sample": row["sample"], "at": when.get(row["request"], row)["at"], "split": "train",
                        "worth": row["worth"]}
        for _, row in sorted(said.items())
    }  # fmt: skip
    return [rows[name] for name in sorted(rows)]


def _written(
    project: Project, before: Dataset, rows: Sequence[Mapping[str, Any]], *, workers: int | None, seed: int
) -> tuple[int, tuple[int, ...], Dataset]:
    """Return how many labels there are, the numbers of their annotations, and the data with them, split again."""
    ds = beside(project, before, rows, written=True) if rows else before
    got = gather(project, ds)
    after = labelled(project, got)
    actions = _to_train(project, after)
    if actions:
        after = clean.apply(after, actions)
    if after is not before:
        after = admitted(project, after, workers=workers, seed=seed)
    return len(got.labels), got.numbers, after


def _confirmed(project: Project, ds: Dataset) -> Any:
    """Return (N,) bool: kept production rows whose label people stand behind, and that were not drawn."""
    mask = ds["keep"].astype(bool) & (ds["source"] == source_of(project, ds)) & ballot.vouched(ds)
    if "meta.inclusion" in ds.table.column_names:
        mask &= ~np.isfinite(np.array(ds.table["meta.inclusion"].to_pylist(), np.float64))
    return mask


def _to_train(project: Project, ds: Dataset) -> list[Action]:
    """Return the actions by which answered picks leave the pool for train."""
    rows = np.flatnonzero(_confirmed(project, ds) & (ds["split"] == "pool"))
    if not len(rows):
        return []
    names = tuple(ds.ids[rows].astype(str).tolist())
    return [Action(samples=names, kind="resplit", old=("pool",) * len(rows), new=("train",) * len(rows),
                   reason="people named their class", check=QUEUE)]  # fmt: skip


def _waiting(project: Project, ds: Dataset) -> tuple[str, ...]:
    rows = _confirmed(project, ds) & (ds["split"] == "pool")
    return tuple(ds.ids[rows].astype(str).tolist())


def _heard(project: Project) -> int:
    """Write the answers to questions of a draw beside the predictions that they are about; return how many are new."""
    ds = project.dataset()
    vouched = ballot.vouched(ds)
    labels = {str(ds.ids[row]): ds.schema.classes[ds["label"][row]] for row in np.flatnonzero(vouched)}
    blind = blind_answers(project)
    asked = [row for draw in draws(project) for row in draw["rows"] if row["request"] and row["id"] in labels
             and (row["kind"] != AUDIT or row["id"] in blind)]  # fmt: skip
    if not asked:
        return 0
    there = {(row["request"], row["label"], row["inclusion"] is not None) for row in project.state.feedback()}
    there |= {(request, label, False) for request, label, drawn in there if drawn}
    people = [row for row in project.state.annotations() if row["kind"] not in ballot.MACHINES]
    told = {row["sample"]: row for row in standing(people)}
    missing = [row for row in asked if (row["request"], labels[row["id"]], row["kind"] == AUDIT) not in there
               and row["id"] in told]  # fmt: skip
    answers = _predicted(project, [row["request"] for row in missing])
    rows = []
    for row in missing:
        about, said = answers[row["request"]], told[row["id"]]
        kind = feedback.CONFIRMED if labels[row["id"]] == about["label"] else feedback.CORRECTED
        worth = feedback.worth_of(kind, about["probability"], sure=project.config.flywheel.sure)
        rows.append({
            "sample": row["sample"], "model": about["model"], "predicted": about["label"], "label": labels[row["id"]],
            "request": row["request"], "kind": kind, "worth": worth,
            "voter": said["voter"], "source": QUEUE, "probability": about["probability"],
            "inclusion": row["inclusion"], "at": said["at"],
        })  # fmt: skip
    if rows:
        project.state.add_feedback(rows)
    return len(rows)


def _predicted(project: Project, requests: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the logged answers to requests."""
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(requests), feedback.MANY):
        part = project.state.predictions(requests=requests[start : start + feedback.MANY])
        found |= {row["request"]: row for row in part}
    return found
