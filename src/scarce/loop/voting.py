"""A project's votes and annotations: joined, counted, written, and asked about again where people disagree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from scarce.columns import sample_names
from scarce.errors import ConfigError, unknown_name
from scarce.label import vote
from scarce.loop.answering import gather, only_answered
from scarce.loop.asking import LABEL, put

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.project import Project


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """Which votes to ask for next.

    Attributes:
        votes: how many.
        people: who is available; empty = all but those who seem to answer without looking.
        most_each: of one person; 0 = an equal part for all of them.
        ask: whether the samples go into the queue, too.
    """

    votes: int = 0
    people: tuple[str, ...] = ()
    most_each: int = 0
    ask: bool = False


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
    changed_at: datetime | None = None, ahead: Ahead = Ahead(), commit: bool = True, seed: int = 0,
) -> Counted:  # fmt: skip
    """Join a project's votes and annotations, write one label a sample, and ask about those in doubt.

    Args:
        project: the project.
        method: of the consensus; None = that of the settings.
        least: probability that a label must exceed.
        overwrite: whether labels that a person corrected may change, too.
        changed_at: compare agreement before and after this time.
        ahead: votes to ask for that would tell most.
        commit: whether labels, votes and questions are written.
        seed: of everything drawn.

    Raises:
        DataError: nobody voted.
        UnknownNameError: there is no such method.
    """
    vote.check(method or project.config.label.vote.method)
    got = gather(project)
    ds = got.dataset
    found = consensus(project, ds, method=method, least=least, overwrite=overwrite, seed=seed)
    change = vote.agreement_before_and_after(ds, changed_at, seed=seed) if changed_at else None
    wanted = next_votes(ds, found, ahead) if ahead.votes else None
    if not commit:
        return Counted(found, None, got.votes, got.lost, 0, change, wanted)
    version = project.commit(found.dataset, f"label: votes ({found.method})", owner=got.owners)
    project.state.freeze_annotations(got.numbers, version)
    asked = put(project, [
        {**row, "reason": f"{LABEL}: vote, {row['reason']}", "version": version} for row in found.questions()
    ])  # fmt: skip
    if wanted is not None and ahead.ask:
        asked += put(project, [
            {"sample": str(ds.ids[row]), "reason": f"{LABEL}: vote, {found.voters[voter]} tells most ({gain:.2f} bits)",
             "priority": float(gain) / (1 + float(gain)), "version": version}
            for row, voter, gain in zip(*wanted, strict=True)
        ])  # fmt: skip
    return Counted(found, version, got.votes, got.lost, asked, change, wanted)


def next_votes(ds: Dataset, found: vote.Voted, ahead: Ahead) -> vote.Next:
    """Return the votes that tell most, shared among the people who are available.

    Only kept real samples are asked about whose label is no given one and no correction. Where nobody voted yet, the
    newest probabilities of a model in the dataset say what is likely, or else the shares of the classes.

    Args:
        ds: the dataset.
        found: what its votes say.
        ahead: how many, and of whom.

    Raises:
        UnknownNameError: somebody available has never voted.
        ConfigError: a negative number.
    """
    if ahead.votes < 0 or ahead.most_each < 0:
        raise ConfigError("label.vote", f"{ahead.votes} votes, at most {ahead.most_each} each", do="give 0 or more")
    for name in ahead.people:
        if name not in found.voters:
            raise unknown_name("label.vote", "annotator", name, found.voters)
    careless = {one.name for one in found.annotators if one.verdict}
    people = ahead.people or tuple(name for name in found.voters if name not in careless) or found.voters
    who = np.array([found.voters.index(name) for name in people])
    settled = np.isin(ds["label_source"].astype(str), ("given", "human")) & (ds["label"] >= 0)
    pool = np.flatnonzero(ds["keep"].astype(bool) & (ds["origin"] == "real") & ~settled)
    posterior, voted = found.fitted.posterior[pool], found.votes[np.ix_(pool, who)]
    models = [name for name in ds.wide if name.startswith("pred_probs.")]
    if models:
        told = np.asarray(ds[models[-1]][pool])
        silent = (found.votes[pool] < 0).all(axis=1) & np.isfinite(told).all(axis=1)
        posterior = np.where(silent[:, None], told, posterior)
    each = ahead.most_each or -(-ahead.votes // len(who))
    rows, voters, gains = vote.next_votes(
        posterior, found.fitted.confusion[who], ahead.votes, voted=voted, most_each=each
    )  # fmt: skip
    return vote.Next(pool[rows], who[voters], gains)


def consensus(
    project: Project, ds: Dataset, *, method: str | None = None, least: float = vote.LEAST, overwrite: bool = False,
    seed: int = 0,
) -> vote.Voted:  # fmt: skip
    """Return what the votes of a dataset say together, with the project's settings [label.vote].

    An answer to a question for a label is one vote among others; what a review or cleaning decided is a correction and
    stays.

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
