"""A challenger on trial in production: what it answers unseen, or to a share of the samples, against the champion.

While ``scarce serve`` runs with ``[serve] shadow`` or ``share``, the log holds what both would have said. Where they
agree needs no labels. Whether the challenger loses right answers is asked of confirmed samples that were drawn at
random, by a sequential test: look as often as you like, stop when you like, the error rate holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.dataset import Floats
from scarce.errors import DataError
from scarce.flywheel._answering import SHADOW
from scarce.flywheel._outcomes import audited_samples
from scarce.flywheel._paired import PROVEN, UNDECIDED, WORSE, Evidence
from scarce.flywheel._trial import Agreement, Judged, agreement, judged
from scarce.flywheel.feedback import latest
from scarce.flywheel.promote import CHALLENGER, CHAMPION, wanted
from scarce.metric.sequential import STAKES

if TYPE_CHECKING:
    from scarce.project import Project

WHO: Final = "flywheel.trial"
SPLIT: Final = "share"
"""How the challenger answers in a trial without shadow answers."""
CONFIDENCE: Final = 0.95


@dataclass(frozen=True, kw_only=True)
class Trial:
    """How a trial stands.

    Attributes:
        verdict: ``not worse`` (in no class), ``worse`` (in one, or in all together), or ``undecided``.
        champion, challenger: names of the models.
        mode: ``shadow`` (both answered every sample), ``share`` (one of them did), or None (nothing was answered yet).
        since: when it began, UTC.
        margin: share of right answers that may be lost.
        confidence: of the verdict, over all looks together.
        answered: distinct samples that take part.
        labelled: those with a confirmed label.
        drawn: those of them that were drawn with a known probability: what the test stands on.
        chances: the least and the greatest of these probabilities; None where nothing was drawn.
        worth: how many samples drawn with one probability tell as much (Kish).
        evidence: a row for all classes together, and one for each.
        agreement: None where no sample was answered by both.
        why: sentences for people.
    """

    verdict: str
    champion: str
    challenger: str
    mode: str | None
    since: str
    margin: float
    confidence: float
    answered: int = 0
    labelled: int = 0
    drawn: int = 0
    chances: tuple[float, float] | None = None
    worth: float = 0.0
    evidence: tuple[Evidence, ...] = ()
    agreement: Agreement | None = None
    why: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "verdict": self.verdict, "champion": self.champion, "challenger": self.challenger, "mode": self.mode,
            "since": self.since, "margin": self.margin, "confidence": self.confidence, "answered": self.answered,
            "labelled": self.labelled, "drawn": self.drawn,
            "chances": self.chances and list(self.chances), "worth": self.worth,
            "evidence": [row.to_json() for row in self.evidence],
            "agreement": self.agreement and self.agreement.to_json(), "why": list(self.why),
        }  # fmt: skip


def begin(project: Project, challenger: str, *, why: str = "") -> None:
    """Let ``@challenger`` mean a model; a server that runs loads it, and the ledger gets a row.

    Args:
        project: with a ``@champion``.
        challenger: name of a model, or its folder.
        why: said in the ledger.

    Raises:
        DataError: there is no such model, it is the champion, or there is none.
        ConflictError: somebody else moved an alias meanwhile.
    """
    aliases = project.state.aliases()
    if CHAMPION not in aliases:
        raise DataError(WHO, "there is no @champion", do="scarce promote lets the first model answer")
    name = wanted(project, challenger, aliases)
    if name == aliases[CHAMPION]:
        raise DataError(WHO, f"{name} is @champion already", do="name another model")
    project.state.move_aliases(
        [{"name": CHALLENGER, "target": name, "version": None, "why": why}],
        {"decision": f"trial {name}", "verdict": "begun", "kept": True, "champion": aliases[CHAMPION], "why": why},
        expected={CHAMPION: aliases[CHAMPION], CHALLENGER: aliases.get(CHALLENGER)},
    )  # fmt: skip


def trial(project: Project, *, margin: float | None = None, confidence: float = CONFIDENCE) -> Trial:
    """Return how the trial of ``@challenger`` stands; may be asked at any time, as often as wanted.

    Args:
        project: with ``@champion`` and ``@challenger``.
        margin: share of right answers that may be lost, in (0, 1); None = that of the settings.
        confidence: of the verdict over all looks together, in (0.5, 1).

    Raises:
        DataError: one of the two is missing, or a margin or confidence that cannot be.
    """
    margin = project.config.flywheel.margin if margin is None else margin
    if not 0 < margin < 1 or not 0.5 < confidence < 1:
        raise DataError(WHO, f"a margin of {margin:g}, a confidence of {confidence:g}",
                        do="give a margin between 0 and 1, and a confidence between 0.5 and 1")  # fmt: skip
    aliases = project.state.aliases()
    for alias, do in ((CHAMPION, "scarce promote"), (CHALLENGER, "scarce trial --model NAME begins a trial")):
        if alias not in aliases:
            raise DataError(WHO, f"there is no @{alias}", do=do)
    names = aliases[CHAMPION], aliases[CHALLENGER]
    since = max(_since(project, alias) for alias in (CHAMPION, CHALLENGER))
    pairs, alone = _answered(project, names, since)
    mode = SHADOW if pairs else SPLIT if any(row["model"] == names[1] for row in alone) else None
    told = [first for first, _ in pairs] if mode == SHADOW else alone
    labels = _labels(project, told)
    samples = sorted((row["sample"] for row in told if row["sample"] in labels), key=lambda one: labels[one][2])
    drawn = [sample for sample in samples if labels[sample][1] is not None]
    inclusion = np.array([labels[sample][1] for sample in drawn], np.float64)
    classes = _classes(project)
    truth = [labels[sample][0] for sample in drawn]
    if mode == SHADOW:
        found = _shadowed(pairs, drawn, truth, classes, inclusion)
    else:
        found = _shared(alone, drawn, truth, classes, inclusion, challenger=names[1])
    evidence = tuple(judged(found, classes, margin=margin, confidence=confidence))
    same = agreement(pairs, confidence) if pairs else None
    now = Trial(
        verdict=_verdict(evidence), champion=names[0], challenger=names[1], mode=mode, since=since, margin=margin,
        confidence=confidence, answered=len(told), labelled=len(samples), drawn=len(drawn),
        chances=(float(inclusion.min()), float(inclusion.max())) if drawn else None,
        worth=float((1 / inclusion).sum() ** 2 / (1 / inclusion**2).sum()) if drawn else 0.0,
        evidence=evidence, agreement=same,
    )  # fmt: skip
    return replace(now, why=(*_why(now), *_weighed(now, inclusion)))


def evidence_of(project: Project, names: tuple[str, str], margin: float) -> list[Evidence]:
    """Return what the trial of two models says so far; nothing where it is not they that are on trial.

    Args:
        project: with aliases and a log.
        names: champion and challenger of a promotion.
        margin: share of right answers that may be lost.
    """
    aliases = project.state.aliases()
    if (aliases.get(CHAMPION), aliases.get(CHALLENGER)) != names:
        return []
    return [row for row in trial(project, margin=margin).evidence if row.n]


def _verdict(evidence: Sequence[Evidence]) -> str:
    verdicts = {row.verdict for row in evidence}
    return WORSE if WORSE in verdicts else PROVEN if verdicts == {PROVEN} else UNDECIDED


def _since(project: Project, alias: str) -> str:
    """Return since when an alias has had its present meaning."""
    rows = project.state.alias_history(alias)
    found = rows[-1]
    for row in reversed(rows):
        if row["target"] != found["target"]:
            break
        found = row
    return str(found["at"])


def _answered(
    project: Project, names: tuple[str, str], since: str
) -> tuple[list[tuple[dict[str, Any], dict[str, Any]]], list[dict[str, Any]]]:
    """Return pairs of rows about samples that both answered, and rows of samples that one was drawn for; each once."""
    champion: dict[str, dict[str, Any]] = {}
    shadows: list[dict[str, Any]] = []
    alone: dict[str, dict[str, Any]] = {}
    for row in project.state.predictions(since=since):
        if row["served_as"] == SHADOW and row["model"] == names[1]:
            shadows.append(row)
        elif (row["served_as"], row["model"]) in ((CHAMPION, names[0]), (CHALLENGER, names[1])):
            if row["served_as"] == CHAMPION:
                champion[row["request"]] = row
            if "share" in row["body"]:
                alone.setdefault(row["sample"], row)
    both: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for row in shadows:
        first = champion.get(row["body"]["of"])
        if first is not None:
            both.setdefault(row["sample"], (first, row))
    return list(both.values()), list(alone.values())


def _labels(project: Project, rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, float | None, int]]:
    """Return sample to its confirmed label, the probability with which it was drawn (None = not drawn), and its place.

    What people answered to a drawn question becomes a sample of the source ``production``; what they said by
    themselves about an answer stays feedback, and counts where it was drawn.
    """
    wanted = {row["sample"]: row["inclusion"] for row in rows}
    found: dict[str, tuple[str, float | None, int]] = {}
    said = latest(project.state.feedback())
    for row in sorted(said.values(), key=lambda row: row["number"]):
        if row["sample"] in wanted and row["label"] is not None:
            inclusion = row["inclusion"] or wanted[row["sample"]]
            if row["sample"] not in found or inclusion is not None:
                found[row["sample"]] = (row["label"], inclusion, int(row["number"]))
    after = max((place for _, _, place in found.values()), default=0) + 1
    for place, (sample, label, inclusion) in enumerate(_collected(project)):
        if sample in wanted and (sample not in found or found[sample][1] is None):
            found[sample] = (label, inclusion, after + place)
    return found


def _collected(project: Project) -> list[tuple[str, str, float]]:
    """Return content hash, label and inclusion of the drawn samples in the data that were named, in its order."""
    told = audited_samples(project, project.dataset() if project.head else None)
    return [(sample, label, inclusion) for sample, (label, inclusion) in told.items()]


def _classes(project: Project) -> tuple[str, ...]:
    return tuple(project.store.version(project.head).schema["classes"]) if project.head else ()


def _shadowed(
    pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]], drawn: Sequence[str], truth: Sequence[str],
    classes: Sequence[str], inclusion: Floats,
) -> Judged:  # fmt: skip
    by_sample = {first["sample"]: (first["label"], second["label"]) for first, second in pairs}
    right = np.array([[by_sample[one][side] == label for one, label in zip(drawn, truth, strict=True)]
                      for side in (0, 1)], bool).reshape(2, -1)  # fmt: skip
    return Judged(inclusion=inclusion, labels=_codes(truth, classes), right=(right[0], right[1]))


def _shared(
    alone: Sequence[dict[str, Any]], drawn: Sequence[str], truth: Sequence[str], classes: Sequence[str],
    inclusion: Floats, *, challenger: str,
) -> Judged:  # fmt: skip
    by_sample = {row["sample"]: row for row in alone}
    rows = [by_sample[one] for one in drawn]
    right = np.array([row["label"] == label for row, label in zip(rows, truth, strict=True)], bool)
    return Judged(inclusion=inclusion, labels=_codes(truth, classes), right=(right, right),
                  share=np.array([row["body"]["share"] for row in rows], np.float64),
                  asked=np.array([row["model"] == challenger for row in rows], bool))  # fmt: skip


def _codes(labels: Sequence[str], classes: Sequence[str]) -> Any:
    known = {name: code for code, name in enumerate(classes)}
    return np.array([known.get(label, -1) for label in labels], np.int64)


def _why(found: Trial) -> tuple[str, ...]:
    points = f"{100 * found.margin:g} points"
    same = found.agreement
    if found.mode is None:
        told = "shadow = true, or share, below [serve] lets it; a server reads its settings when it starts"
        return (f"Nothing was answered by the challenger yet: {told}.",)
    out = [f"{row.name}: it loses at least {-100 * row.high:.1f} points of right answers ({row.n} samples), more than "
           f"{points}." for row in found.evidence if row.verdict == WORSE]  # fmt: skip
    if found.verdict == PROVEN:
        out.append(f"It loses more than {points} of right answers in no class.")
    if same is not None and 1 - same.low < found.margin:
        out.append(f"They differ on at most {100 * (1 - same.low):.1f} % of the samples: over all classes together it "
                   f"cannot lose more than {points}, whatever the labels.")  # fmt: skip
    if not found.drawn:
        out.append("No confirmed sample was drawn at random: nothing can be said about right answers.")
    elif found.verdict == UNDECIDED:
        out += [
            f"{row.name}: {row.n} drawn samples leave it open (lower bound {100 * row.low:+.1f})"
            + (f"; about {row.needed} like these would prove it." if row.n and row.needed else ".")
            for row in found.evidence if row.verdict == UNDECIDED
        ]  # fmt: skip
    return tuple(out)


def _weighed(found: Trial, inclusion: Floats) -> tuple[str, ...]:
    """Return what follows from draws with unlike probabilities."""
    if found.chances is None or found.chances[1] <= 2 * found.chances[0]:
        return ()
    low, high = found.chances
    told = f"They were drawn with probabilities from {low:.2g} to {high:.2g}, and each weighs the inverse: "
    out = [f"{told}{found.drawn} tell as much as {found.worth:.0f} that were drawn alike."]
    if inclusion[0] / low * STAKES[0] >= 1:
        out.append(f"The first was drawn with {inclusion[0]:.2g}, a later one so much more rarely that all classes "
                   "together can prove nothing any more in this trial.")  # fmt: skip
    return tuple(out)
