"""Champion and challenger: a model goes into production where paired tests prove that no class loses by it.

What is compared: recall of every class, on the real held-out samples and on recent confirmed production samples that
were drawn at random (never on those that were picked because a model doubted: they cannot estimate anything). A sample
that either model was trained on takes no part. A trial in production that shows a loss refuses as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.dataset import Array, Dataset, Mask
from scarce.errors import DataError, ReadError, ScarceError
from scarce.flywheel._blind import blind_answers
from scarce.flywheel._paired import OPEN, UNDECIDED, WORSE, Evidence, Samples, per_class, unlosable
from scarce.flywheel.mirror import mirror
from scarce.folds import groups_of
from scarce.state import PROMOTIONS

if TYPE_CHECKING:
    from scarce.project import Project

WHO: Final = "flywheel.promote"
CHAMPION, CHALLENGER = "champion", "challenger"
JUDGED: Final = "judge "
"""So begin decisions of the ledger that judged a model and promoted nothing; ``proven`` where no class loses."""
PROVEN: Final = "proven"
PRODUCTION: Final = "production"
"""Name of the source that confirmed production samples come from."""


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What became of a challenger.

    Attributes:
        verdict: ``promoted``, ``refused``, ``not provable``, or ``overridden`` (promoted because a person said so).
        champion, challenger: names of the models; no champion = the first one, judged by nobody.
        version: the data that the champion stands on now.
        margin: recall that a class may lose.
        evidence: a row for each class and source.
        compare: the whole held-out data: McNemar and paired bootstrap; None without a champion.
        left_out: held-out samples that one of the two was trained on, and drawn ones that both were.
        why: sentences for people.
        notes: what else people should know: clocks that disagree, a registry that could not be reached.
    """

    verdict: str
    champion: str | None
    challenger: str
    version: str | None
    margin: float
    evidence: tuple[Evidence, ...] = ()
    compare: Mapping[str, Any] | None = None
    left_out: int = 0
    why: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())

    @property
    def promoted(self) -> bool:
        """Return whether the challenger answers now."""
        return self.verdict in {"promoted", "overridden"}

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "verdict": self.verdict, "promoted": self.promoted, "champion": self.champion,
            "challenger": self.challenger, "version": self.version, "margin": self.margin,
            "evidence": [row.to_json() for row in self.evidence], "compare": self.compare and dict(self.compare),
            "left_out": self.left_out, "why": list(self.why), "notes": list(self.notes),
        }  # fmt: skip


def promote(  # noqa: PLR0913 - one knob each
    project: Project, challenger: str | None = None, *, margin: float | None = None, override: str = "",
    days: float = 30.0, dry_run: bool = False, seed: int = 0,
) -> Promotion:  # fmt: skip
    """Judge a challenger against the champion, and let it take over where no class loses by it.

    Args:
        project: with models, and a version with test samples.
        challenger: name of a model; None = what ``@challenger`` means, else the newest model.
        margin: recall that a class may lose, in (0, 1): the lower bound of each difference must lie above minus it;
            None = that of the settings.
        override: why a person promotes it although nothing proves it; recorded. Empty = nobody does.
        days: how old confirmed production samples may be.
        dry_run: judge only; nothing is written but the look at the test set.
        seed: of the bootstrap.

    Raises:
        DataError: there is no such model, it is the champion already, or its classes are not the data's.
        ConflictError: somebody else promoted meanwhile.
    """
    margin = project.config.flywheel.margin if margin is None else margin
    if not 0 < margin < 1:
        raise DataError(WHO, f"a margin of {margin:g}", do="give a share between 0 and 1: 0.05 is 5 points")
    aliases = project.state.aliases()
    name = wanted(project, challenger, aliases)
    old = aliases.get(CHAMPION)
    if name == old:
        raise DataError(WHO, f"{name} is @champion already", do="name another model, or train one")
    model = _load(project, name)
    if old is None:
        found = Promotion(verdict="promoted", champion=None, challenger=name, version=_version(model), margin=margin,
                          why=("There was no champion to compare it with.",))  # fmt: skip
    else:
        rivals = ((old, _load(project, old)), (name, model))
        found = _judged(project, rivals, margin=margin, override=override, days=days, seed=seed)
    if not dry_run:
        _carry_out(project, found, model)
        found = replace(found, notes=(*found.notes, *filter(None, [mirror(project)])))
    return found


def proposal(project: Project) -> str | None:
    """Return the challenger that is proven better than the present champion and waits for a person; None = none does.

    It stands until it is promoted, is judged otherwise, or another model is ``@challenger``.
    """
    aliases = project.state.aliases()
    name, champion = aliases.get(CHALLENGER), aliases.get(CHAMPION)
    if name in (None, champion):
        return None
    rows = [row for row in project.state.ledger(PROMOTIONS)
            if row.get("challenger") == name and not row["decision"].startswith("challenge ")]  # fmt: skip
    proven = bool(rows) and rows[-1]["verdict"] == PROVEN and rows[-1].get("champion") == champion
    return name if proven else None


def wanted(project: Project, challenger: str | None, aliases: Mapping[str, str]) -> str:
    """Return the name of the model that is meant: by name, folder or alias; None = ``@challenger``, else the newest.

    Raises:
        DataError: there is none.
    """
    there = sorted(project.models.glob("*/card.json"), key=lambda card: card.stat().st_mtime)
    names = [card.parent.name for card in there]
    if challenger is None:
        if CHALLENGER in aliases:
            return aliases[CHALLENGER]
        if not names:
            do = "scarce train" if project.head else "scarce add, then scarce train"
            raise DataError(WHO, "the project has no model", do=do)
        return names[-1]
    asked = challenger.rstrip("/")
    asked = aliases.get(asked.removeprefix("@"), asked) if asked.startswith("@") else Path(asked).name
    if asked not in names:
        raise DataError(WHO, f"there is no model {challenger}", f"models: {', '.join(sorted(names)) or 'none'}",
                        "name one of them, or train one")  # fmt: skip
    return asked


def _load(project: Project, name: str) -> Any:
    from scarce.train import load

    try:
        return load(project.models / name)
    except ReadError as error:
        do = "scarce rebuild makes it again; or train it anew, or name another one"
        raise DataError(WHO, f"{name} cannot be loaded", str(error), do) from error


def _version(model: Any) -> str | None:
    found = (model.card.get("data") or {}).get("version")
    return str(found) if found else None


def _judged(
    project: Project,
    rivals: tuple[tuple[str, Any], tuple[str, Any]],
    *,
    margin: float,
    override: str,
    days: float,
    seed: int,
) -> Promotion:
    from scarce.evaluate.compare import compare
    from scarce.flywheel.pool import source_of
    from scarce.flywheel.trial import evidence_of
    from scarce.loop.judging import test_view
    from scarce.loop.measure import with_scan

    names, models = (rivals[0][0], rivals[1][0]), (rivals[0][1], rivals[1][1])
    ds = with_scan(project, project.dataset(), workers=None)
    held = test_view(ds).eval
    learned, lost = _trained_on(project, models, ds, held)
    parts = _sources(project, held, {PRODUCTION, source_of(project, ds)}, days)
    usable = np.asarray(~learned.any(axis=0))
    field = parts[PRODUCTION]
    usable[field] = ~learned[:, field].all(axis=0)
    left_out, held, learned = int((~usable).sum()), held.take(usable), learned[:, usable]
    free = np.asarray(~learned.any(axis=0))
    if not free.any():
        raise DataError(WHO, "no held-out sample is left that neither model was trained on",
                        do="add labelled samples to the test split")  # fmt: skip
    probs = tuple(_answers(model, held) for model in models)
    project.state.count_test_look(version=str(project.head), why=WHO, metric="recall of each class")
    evidence: list[Evidence] = []
    for source, mask in parts.items():
        rows = mask[usable]
        part = held.take(rows)
        samples = Samples(
            source=source, labels=part["label"], answers=(probs[0][rows].argmax(1), probs[1][rows].argmax(1)),
            groups=groups_of(part), weights=_weights(part) if source == PRODUCTION else None, learned=learned[:, rows],
        )  # fmt: skip
        evidence += per_class(samples, ds.schema.classes, margin=margin, seed=seed)
    evidence = [row for row in evidence if row.n or row.source != PRODUCTION]
    evidence, news = unlosable(evidence, names, set(models[1].classes) - set(models[0].classes))
    evidence += evidence_of(project, names, margin)
    news += _said_of(names, learned)
    whole = compare(held["label"][free], probs[0][free], probs[1][free], groups=groups_of(held)[free], seed=seed)
    verdict, why = _verdict(evidence, margin, override, lost)
    return Promotion(verdict=verdict, champion=names[0], challenger=names[1], version=_version(models[1]),
                     margin=margin, evidence=tuple(evidence), compare=whole.to_json(), left_out=left_out,
                     why=why, notes=(*news, *_clocks(held)))  # fmt: skip


def _verdict(
    evidence: list[Evidence], margin: float, override: str, lost: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    """Return the verdict and why; ``lost`` names data that was learned from and that nobody knows now."""
    worse = [row for row in evidence if row.verdict == WORSE]
    thin = [row for row in evidence if row.verdict == OPEN and row.source == PRODUCTION and row.worth < row.needed]
    unsure = [row for row in evidence if row.verdict == OPEN and row not in thin]
    points = f"{100 * margin:g} points"
    why = [f"The data {name} was pruned: which held-out samples were learned from it is not known." for name in lost]
    why += [
        f"{row.name} ({row.source}, {row.n} samples) loses {-100 * row.gain:.1f} points of recall, at least "
        f"{-100 * row.high:.1f}: more than {points}." for row in worse
    ]  # fmt: skip
    why += [
        f"{row.name} ({row.source}): {row.n} samples" + f", worth {row.worth} independent ones," * (row.worth < row.n)
        + f" leave open whether it loses more than {points} (lower bound {100 * row.low:+.1f}); {row.needed} on which "
        "both agree would prove that it does not." for row in unsure
    ]  # fmt: skip
    if thin:
        named = ", ".join(f"{row.name} ({row.worth})" for row in thin)
        why.append(f"Drawn production samples of {named} are too few to prove anything ({thin[0].needed} of each): "
                   "they can stop a promotion, and are not waited for.")  # fmt: skip
    verdict = "refused" if worse else "not provable" if unsure or lost else "promoted"
    if lost and not worse and not unsure:
        why.append(f"So it proves nothing that no class seems to lose more than {points}.")
    if verdict == "promoted":
        why.append(f"No class loses more than {points} of recall: every lower bound lies above that.")
        why += ["The trial in production has not decided yet; it can stop a promotion, and is not waited for."] * any(
            row.verdict == UNDECIDED for row in evidence
        )
    elif override:
        why.append(f"Promoted all the same, by a person: {override}")
        verdict = "overridden"
    return verdict, tuple(why)


def _answers(model: Any, ds: Dataset) -> Array:
    """Return (N, K) probabilities in the data's order; classes that the model does not know get none."""
    logits = model.logits(ds)
    known = model.probabilities(logits, type(ds.schema)(classes=model.classes))
    out = np.zeros((len(ds), len(ds.schema.classes)))
    for place, name in enumerate(ds.schema.classes):
        if name in model.classes:
            out[:, place] = known[:, model.classes.index(name)]
    return np.nan_to_num(out)


def _trained_on(
    project: Project, models: tuple[Any, ...], ds: Dataset, held: Dataset
) -> tuple[Mask, tuple[str, ...]]:  # fmt: skip
    """Return (2, N) which held-out samples of today each model learned from, and the versions that nobody knows now.

    Learned from are the training and validation samples of its data, and of what its network was begun with. A test
    sample that is in a group with one of them (the same part, a copy) counts as learned, too.
    """
    groups, ids = groups_of(ds), ds.ids.astype(str)
    found, lost = np.zeros((len(models), len(held)), bool), list[str]()
    for side, model in enumerate(models):
        learned: set[str] = set()
        for version in dict.fromkeys([*(model.card.get("started_from") or {}).get("versions", ()), _version(model)]):
            try:
                then = project.dataset(version) if version else ds
            except ScarceError:  # pruned
                lost.append(str(version))
                continue
            learned |= set(then.ids[np.isin(then["split"], ("train", "val"))].astype(str).tolist())
        known = np.isin(ids, list(learned))
        test = (ds["split"] == "test") & (known | np.isin(groups, groups[known]))
        found[side] = np.isin(held.ids.astype(str), ids[test])
    return found, tuple(dict.fromkeys(lost))


def _said_of(names: tuple[str, str], learned: Mask) -> list[str]:
    """Return a sentence for each model that learned from drawn samples which the other one did not."""
    told = "drawn samples, which say nothing about it: the bounds hold whatever it would have answered."
    counts = zip(names, learned.sum(axis=1).tolist(), strict=True)
    return [f"{name} learned from {count:,} {told}" for name, count in counts if count]


def _sources(project: Project, held: Dataset, names: set[str], days: float) -> dict[str, Mask]:
    """Return (N,) which rows are held-out data proper, and which recent production that was drawn and asked about."""
    field_rows = np.isin(held["source"].astype(str), list(names))
    recent = field_rows & np.array([_younger(value, days) for value in _times(held)], bool)
    if "meta.inclusion" in held.table.column_names:
        recent &= np.array([value is not None for value in held.table["meta.inclusion"].to_pylist()], bool)
    recent &= np.isin(held.ids.astype(str), list(blind_answers(project)))
    return {"held-out": ~field_rows, PRODUCTION: recent}


def _times(ds: Dataset) -> list[Any]:
    return ds.table["captured_at"].to_pylist() if "captured_at" in ds.table.column_names else [None] * len(ds)


def _younger(value: datetime | None, days: float) -> bool:
    if value is None:
        return True
    at = value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.now(UTC) - at <= timedelta(days=days)


def _clocks(ds: Dataset) -> tuple[str, ...]:
    """Say where samples were taken later than now; they count as recent."""
    now = datetime.now(UTC) + timedelta(minutes=5)
    later = [at for at in _times(ds) if at is not None and (at if at.tzinfo else at.replace(tzinfo=UTC)) > now]
    if not later:
        return ()
    said = f"{len(later):,} samples were taken later than now by this machine's clock: one of the clocks is wrong."
    return (f"{said} They count as recent.",)


def _weights(ds: Dataset) -> Array | None:
    """Return inverse inclusion probabilities where samples were drawn with stored ones."""
    if "meta.inclusion" not in ds.table.column_names:
        return None
    shares = np.array([value or np.nan for value in ds.table["meta.inclusion"].to_pylist()], np.float64)
    return None if np.isnan(shares).any() else 1 / shares


def _carry_out(project: Project, found: Promotion, model: Any) -> None:
    """Write the decision, and where it is a yes the aliases with it, in one transaction."""
    from scarce.flywheel.rebuild import record

    why = " ".join(found.why)
    row = {
        "decision": f"promote {found.challenger}", "verdict": found.verdict, "kept": found.promoted,
        "gain": (found.compare or {}).get("differences", {}).get("balanced_accuracy", {}).get("value"),
        "version_before": None, "version_after": found.version, "card": dict(model.card), **found.to_json(), "why": why,
    }  # fmt: skip
    moves: list[dict[str, Any]] = []
    if found.promoted:
        row["rebuild"] = record(project, model, found.version)
        moves.append({"name": CHAMPION, "target": found.challenger, "version": found.version, "why": why})
        if project.state.aliases().get(CHALLENGER) == found.challenger:
            moves.append({"name": CHALLENGER, "target": None, "version": None, "why": "is the champion now"})
    project.state.move_aliases(moves, row, expected={CHAMPION: found.champion})
