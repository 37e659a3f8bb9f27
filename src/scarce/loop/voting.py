"""A project's votes and annotations: joined, counted, written, and asked about again where people disagree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from scarce.columns import sample_names
from scarce.label import vote
from scarce.loop.answering import gather, only_answered
from scarce.loop.asking import LABEL, put

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.project import Project


@dataclass(frozen=True, eq=False)
class Counted:
    """What came of counting a project's votes.

    Attributes:
        voted: the consensus.
        version: the new version, if one was made.
        joined: annotations that became votes.
        lost: annotations of samples that are not in the data; they wait for them.
        asked: samples that were put into the review queue.
        change: agreement before and after a time, if asked for.
        ahead: votes to ask for next.
    """

    voted: vote.Voted
    version: str | None
    joined: int
    lost: int
    asked: int
    change: vote.Change | None
    ahead: vote.Next | None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        ids, ahead = self.voted.dataset.ids, self.ahead
        names = sample_names(self.voted.dataset.table) if ahead is not None else {}
        wanted = [] if ahead is None else [
            {"sample": str(ids[row]), "file": names[ids[row]], "annotator": self.voted.voters[voter],
             "bits": float(gain)}
            for row, voter, gain in zip(*ahead, strict=True)
        ]  # fmt: skip
        return {
            **self.voted.to_json(), "version": self.version, "annotations": self.joined, "lost": self.lost,
            "asked": self.asked, "change": None if self.change is None else self.change.to_json(), "next": wanted,
        }  # fmt: skip


def count_votes(  # noqa: PLR0913 - one knob each
    project: Project, *, method: str | None = None, least: float = vote.LEAST, overwrite: bool = False,
    changed_at: datetime | None = None, ahead: int = 0, commit: bool = True, seed: int = 0,
) -> Counted:  # fmt: skip
    """Join a project's votes and annotations, write one label a sample, and ask about those in doubt.

    Args:
        project: the project.
        method: of the consensus; None = that of the settings.
        least: probability that a label must exceed.
        overwrite: whether labels that a person corrected may change, too.
        changed_at: compare agreement before and after this time.
        ahead: votes to name that would tell most.
        commit: whether labels, votes and questions are written.
        seed: of everything drawn.

    Raises:
        DataError: nobody voted.
    """
    got = gather(project)
    ds = got.dataset
    found = consensus(project, ds, method=method, least=least, overwrite=overwrite, seed=seed)
    change = vote.agreement_before_and_after(ds, changed_at, seed=seed) if changed_at else None
    wanted = None
    if ahead:
        usable = ds["keep"].astype(bool) & (ds["origin"] == "real")
        posterior = found.fitted.posterior.copy()
        posterior[~usable] = 0.0
        wanted = vote.next_votes(posterior, found.fitted.confusion, ahead, voted=found.votes)
    if not commit:
        return Counted(found, None, got.votes, got.lost, 0, change, wanted)
    version = project.commit(found.dataset, f"label: votes ({found.method})", owner=got.owners)
    project.state.freeze_annotations(got.numbers, version)
    asked = put(project, [
        {**row, "reason": f"{LABEL}: vote, {row['reason']}", "version": version} for row in found.questions()
    ])  # fmt: skip
    return Counted(found, version, got.votes, got.lost, asked, change, wanted)


def consensus(
    project: Project, ds: Dataset, *, method: str | None = None, least: float = vote.LEAST, overwrite: bool = False,
    seed: int = 0,
) -> vote.Voted:  # fmt: skip
    """Return what the votes of a dataset say together, with the project's settings [label.vote].

    A label that came from an answer alone is one vote among others and may change; a correction stays.

    Args:
        project: whose settings, features and answers count.
        ds: with votes.
        method: of the consensus; None = that of the settings.
        least: probability that a label must exceed.
        overwrite: whether corrections may change, too.
        seed: of everything drawn.

    Raises:
        DataError: nobody voted.
    """
    settings = project.config.label.vote
    ds = _with_features(project, ds, method or settings.method, seed)
    return vote.run(ds, method=method or settings.method, settings=settings.plugins, least=least, seed=seed,
                    overwrite=overwrite or only_answered(project, ds))  # fmt: skip


def _with_features(project: Project, ds: Dataset, method: str, seed: int) -> Dataset:
    """Return the dataset with features where the method weighs a model beside the votes."""
    if method.replace("-", "_") != "crowdlab":
        return ds
    from scarce.loop.measure import with_features, with_scan

    return with_features(project, with_scan(project, ds, workers=None), seed=seed)
