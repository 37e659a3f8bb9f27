"""New data before anything is trained on it: measured, audited, split, and held against the contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.ballot import vouched
from scarce.dataset import Dataset
from scarce.errors import ContractError

if TYPE_CHECKING:
    from scarce.contract import Outcome
    from scarce.dataset import Mask
    from scarce.loop.options import Options
    from scarce.project import Project

CHECK: Final = "contract"
EVALUATED: Final = ("val", "test")
SHOWN: Final = 5


@dataclass(frozen=True, eq=False, kw_only=True)
class Admitted:
    """What became of new data.

    Attributes:
        dataset: audited and split, with features; what the gate refused is set aside in it.
        new: ids of the samples that came, or were labelled, since.
        refused: ids that the gate set aside.
        broken: what the contract says of it, before anything was set aside.
        fine: whether the contract holds now.
        why_not: why the gate could not set the new samples aside, where it is not fine.
        writable: whether a version of this data could be committed; limits on shares are no rules of a commit.
    """

    dataset: Dataset
    new: tuple[str, ...]
    refused: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    fine: bool = True
    why_not: str = ""
    writable: bool = True


def fresh(ds: Dataset, before: Dataset | None) -> Mask:
    """Return (N,) bool: kept real samples with a label by people that they did not have before.

    Args:
        ds: the data now.
        before: what a model was trained on last; None = nothing.
    """
    told = ds["keep"].astype(bool) & (ds["origin"] == "real") & vouched(ds)
    if before is None:
        return np.asarray(told)
    known = dict(zip(before.ids.tolist(), _names(before), strict=True))
    return np.asarray(told & np.array([known.get(name) != label for name, label in
                                       zip(ds.ids.tolist(), _names(ds), strict=True)], bool))  # fmt: skip


def measured(project: Project, ds: Dataset, options: Options) -> Dataset:
    """Return a version without what was grown, with features, audited by the project's checks, and split."""
    from scarce import split
    from scarce.kin import COPIES
    from scarce.loop.measure import with_features, with_scan
    from scarce.loop.prepare import audited, without_grown

    ds = with_scan(project, without_grown(ds), workers=options.workers)
    ds = with_features(project, ds, workers=options.workers, seed=options.seed)
    ds = audited(project, ds, options, lambda name: name in COPIES)
    ds = split.run(ds, ratios=options.ratios, seed=options.seed)
    return audited(project, ds, options, lambda name: name not in COPIES)


def admitted(project: Project, ds: Dataset, before: Dataset | None) -> Admitted:
    """Hold audited data against the project's contract.

    Where the contract holds without the new samples and not with them, those of the training side are set aside as an
    action of cleaning, all of them: a limit on a share names no rows. Samples of val and test are left to a person, and
    so is all where setting aside would break a rule itself.

    Args:
        project: with or without a contract.
        ds: audited.
        before: what a model was trained on last; None = nothing, so that nothing can be told apart.
    """
    new = ds.ids[fresh(ds, before)].astype(str)
    names = tuple(new.tolist())
    broken = _broken(project, ds)
    if not broken:
        return Admitted(dataset=ds, new=names)
    told = tuple(f"{item.rule}: {item.what}" for item in broken)
    shut = Admitted(dataset=ds, new=names, broken=told, fine=False, writable=_writable(project, ds))
    movable = np.isin(ds.ids.astype(str), new) & ~np.isin(ds["split"].astype(str), EVALUATED)
    n = int(movable.sum())
    if before is None:
        return replace(shut, why_not="Nothing tells which samples are new, so that none was set aside.")
    if not n:
        return replace(shut, why_not="No new training sample is there that could be set aside.")
    if _broken(project, ds.take(np.flatnonzero(~movable))):
        return replace(shut, why_not=f"Without the {n:,} new training samples it does not hold either.")
    aside = ds.ids[movable].astype(str).tolist()
    after = set_aside(ds, aside, told)
    others = _broken(project, after)
    if others:
        named = "; ".join(f"{item.rule}: {item.what}" for item in others)
        return replace(shut, why_not=f"To set the {n:,} new training samples aside would break another rule: {named}.")
    return Admitted(dataset=after, new=names, refused=tuple(aside), broken=told)


def set_aside(ds: Dataset, ids: Sequence[str], why: Sequence[str]) -> Dataset:
    """Return the dataset with samples set aside; ``scarce clean --undo`` brings them back."""
    from scarce import clean

    reason = f"the contract did not hold with them: {'; '.join(why[:SHOWN])}"
    none = (None,) * len(ids)
    action = clean.Action(samples=tuple(ids), kind="set_aside", old=none, new=(f"{CHECK}: {reason}",) * len(ids),
                          reason=reason, check=CHECK)  # fmt: skip
    return clean.apply(ds, [action])


def _broken(project: Project, ds: Dataset) -> list[Outcome]:
    from scarce.contract import judge

    contract = project.contract
    if contract is None or contract.is_empty:
        return []
    return [item for item in judge(contract, ds) if item.level == "error"]


def _writable(project: Project, ds: Dataset) -> bool:
    contract = project.contract
    if contract is None or contract.on_violation != "refuse":
        return True
    return all(item.rule in contract.warn for item in contract.check(ds))


def _names(ds: Dataset) -> list[str | None]:
    kept, classes = ds["keep"].astype(bool) & vouched(ds), ds.schema.classes
    return [classes[code] if here else None for code, here in zip(ds["label"].tolist(), kept.tolist(), strict=True)]


def refused_by(error: ContractError, found: Admitted) -> dict[str, Any]:
    """Return what a step gives whose version a rule of every commit refused."""
    told = f"{error.what}. {error.there}".strip(". ")
    return {"fine": False, "broken": [*found.broken, told], "refused": 0, "new": len(found.new), "writable": False,
            "why_not": ""}  # fmt: skip
