"""Drift: does production still look like what the champion was trained for?

One look compares the champion's logged predictions, and the samples that were kept, with held-out samples of the data
that it was trained on: the input (features, properties of pictures), the predictions (class mix, confidence, shares of
``unknown`` and ``ask``), how honest probabilities are on confirmed samples that were drawn at random, and compact
groups of unknown samples, which may be new classes. All tests of a look share one false-alarm rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from scarce.errors import DataError, ReadError
from scarce.flywheel._chance import WHO, YEAR_DAYS, checked_rate, spent
from scarce.flywheel._look import look
from scarce.flywheel._seen import CALIBRATION, INPUT, NEW_CLASS, PREDICTION, Confirmed, Look, Reading, Seen, Strangers
from scarce.flywheel._served import INSTEAD, unserved
from scarce.flywheel.promote import CHAMPION
from scarce.state import DRIFT

if TYPE_CHECKING:
    from scarce.flywheel._observed import Observed
    from scarce.project import Project

__all__ = ["Confirmed", "Drift", "Look", "Reading", "Seen", "Settings", "Strangers", "drift", "last_alarms", "look"]

ALARM, QUIET, UNTESTED = "alarm", "no alarm", "not tested"
LOOK, YEAR = "look", "year"
HELD_OUT, PRODUCTION = "held-out", "production"
MOST_MEMBERS: Final = 200
CAUSES: Final[Mapping[str, tuple[str, str]]] = {
    "image": ("camera, light and lens", "another camera or light"),
    "text": ("where the texts come from, their language and form", "another source of texts"),
}
"""Kind of data to what makes samples look different: what to check, and what it is where it is no class."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a look is made.

    Attributes:
        days: of production that it looks at.
        rate: chance of any false alarm, in (0, 0.5].
        per: ``look``: that is the rate of each look; ``year``: of all looks of a year together, of which each may spend
            what its time since the look before allows.
        against: ``held-out`` samples of the champion's data, or its own first answers in ``production``, where the data
            was never drawn as production is.
        together_minutes: samples of one source within so many minutes are one unit, of which one is drawn; 0 = each
            stands alone.
        seed: of everything random.
    """

    days: float = 7.0
    rate: float = 0.01
    per: str = LOOK
    against: str = HELD_OUT
    together_minutes: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no setting.

        Raises:
            DataError: a number out of its range, or an unknown word.
        """
        checked_rate(self.rate)
        if not self.rate:
            raise DataError(WHO, "a rate of 0", do="give a share above 0: 0.01 is 1 %")
        if not 0 < self.days <= 3660:
            raise DataError(WHO, f"{self.days:g} days", do="give a number above 0 and up to 3660")
        if not 0 <= self.together_minutes <= 525_960:
            raise DataError(WHO, f"{self.together_minutes:g} minutes", do="give 0 or more, up to a year")
        for name, words in (("per", (LOOK, YEAR)), ("against", (HELD_OUT, PRODUCTION))):
            if getattr(self, name) not in words:
                raise DataError(WHO, f"{name} = {getattr(self, name)!r}", do=f"give {' or '.join(words)}")


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What a look says.

    Attributes:
        verdict: ``alarm``, ``no alarm``, or ``not tested`` where there was too little of everything.
        champion, version: the model, and the data that it was trained on.
        since, until: the window, UTC.
        predictions: that the champion logged in it.
        reference: ``held-out`` or ``production``.
        rate: chance of any false alarm of this look.
        expected_a_year: false alarms a year that are to be expected of looks like this one, back to back.
        tests: what each test says.
        groups: possible new classes: ``size``, ``members`` (content hashes, the most central first), ``before``
            (reference samples in it), ``p``, ``nearest`` (known class), ``away`` (in radii of a class), ``spread``,
            ``others_too`` (ordinary samples differ as well), ``modality`` (kind of data), ``sheet`` (a picture of its
            members, or None).
        notes: what to know about the samples.
        next_steps: what to do.
    """

    verdict: str
    champion: str
    version: str | None
    since: str
    until: str
    predictions: int
    reference: str
    rate: float
    expected_a_year: float
    tests: tuple[Reading, ...]
    groups: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = field(default=())
    next_steps: tuple[str, ...] = field(default=())

    @property
    def alarms(self) -> tuple[Reading, ...]:
        """The tests that raise an alarm."""
        return tuple(test for test in self.tests if test.alarm)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "verdict": self.verdict, "alarms": [test.name for test in self.alarms], "champion": self.champion,
            "version": self.version, "since": self.since, "until": self.until, "predictions": self.predictions,
            "reference": self.reference, "rate": self.rate, "expected_a_year": self.expected_a_year,
            "tests": [test.to_json() for test in self.tests], "groups": [dict(group) for group in self.groups],
            "notes": list(self.notes), "next": list(self.next_steps),
        }  # fmt: skip


def drift(
    project: Project, settings: Settings | None = None, *, now: datetime | None = None, record: bool = True
) -> Drift:
    """Look for drift once, and write the look into the ledger (run ``drift``).

    Args:
        project: with a ``@champion`` and logged predictions.
        settings: how; None = as by default, at the rate of ``[flywheel] drift_rate``.
        now: the end of the window; None = the present.
        record: write the look, and the pictures of possible new classes.

    Raises:
        DataError: there is no ``@champion``, no reference, or the champion is not answered over HTTP.
    """
    from scarce.flywheel import _observed

    own = settings or Settings(rate=project.config.flywheel.drift_rate)
    champion = project.state.aliases().get(CHAMPION)
    if champion is None:
        raise DataError(WHO, "there is no @champion", do="scarce train, then scarce promote")
    until = (now or datetime.now(UTC)).astimezone(UTC)
    window = _observed.Window(since=until - timedelta(days=own.days), until=until,
                              together_minutes=own.together_minutes)  # fmt: skip
    model = _load(project, champion)
    if what := unserved(model.card):
        there = "no prediction is logged that a look could compare, and data that was added later is not compared"
        raise DataError(WHO, f"{champion} {what}, which is not answered over HTTP", there, INSTEAD)
    rate, notes = _rate(project, own, champion, until)
    reference, surplus = _observed.held_out(project, model, seed=own.seed)
    if own.against == PRODUCTION:
        reference = _observed.earlier(project, model, champion, window, seed=own.seed)
    new = _observed.production(project, model, champion, window, seed=own.seed)
    truth = _observed.confirmed(project, champion, surplus, until)
    found = look(reference.seen, new.seen, truth, rate=rate, seed=own.seed)
    tested = any(test.p is not None for test in found.tests)
    kind = str(model.card.get("modality", "image"))
    groups = _groups(project, found, new, until, modality=kind, draw=record)
    body = Drift(
        verdict=ALARM if found.alarms else QUIET if tested else UNTESTED, champion=champion,
        version=(model.card.get("data") or {}).get("version"), since=_text(window.since), until=_text(until),
        predictions=new.rows, reference=own.against, rate=rate, expected_a_year=_expected(own), tests=found.tests,
        groups=groups, notes=(*notes, *reference.notes, *new.notes), next_steps=_next(found, groups, kind),
    )  # fmt: skip
    if record:
        _record(project, body)
    return body


def last_alarms(project: Project, *, looks: int = 1) -> list[dict[str, Any]]:
    """Return the alarms of the last looks, newest look first; none where the last looks raised none.

    Args:
        project: whose ledger is read.
        looks: how many looks count.

    Returns:
        For each alarm ``name``, ``kind``, ``said``, ``p``, ``adjusted``, ``at`` (of the look), ``champion`` and, of a
        new class, ``groups``.
    """
    rows = project.state.ledger(DRIFT)[::-1][:looks]
    return [
        {**{key: test[key] for key in ("name", "kind", "said", "p", "adjusted")}, "at": row["at"],
         "champion": row["champion"], "groups": row["groups"] if test["kind"] == NEW_CLASS else []}
        for row in rows for test in row["tests"] if test["alarm"]
    ]  # fmt: skip


def _load(project: Project, name: str) -> Any:
    from scarce.train import load

    try:
        return load(project.models / name)
    except ReadError as error:
        raise DataError(
            WHO,
            f"@champion {name} cannot be loaded",
            str(error),
            "scarce rebuild, or scarce rollback",
        ) from error


def _rate(project: Project, own: Settings, champion: str, until: datetime) -> tuple[float, list[str]]:
    """Return the rate of this look, and what is to be said about it."""
    if own.per == LOOK:
        return own.rate, []
    before = [row for row in project.state.ledger(DRIFT) if row["champion"] == champion]
    if not before:
        return spent(own.rate, own.days), []
    elapsed = (until - max(datetime.fromisoformat(row["until"]) for row in before)).total_seconds() / 86_400
    if elapsed <= 0:
        said = "The look before this one is not older, so that no part of the year's rate is left to spend."
        return 0.0, [f"{said} Nothing can raise an alarm. Clocks may disagree."]
    return spent(own.rate, elapsed), []


def _expected(own: Settings) -> float:
    return own.rate if own.per == YEAR else own.rate * YEAR_DAYS / own.days


def _groups(
    project: Project, found: Look, new: Observed, until: datetime, *, modality: str, draw: bool
) -> tuple[Mapping[str, Any], ...]:
    from scarce.flywheel._sheet import sheet
    from scarce.flywheel.pool import folder_of

    out: list[Mapping[str, Any]] = []
    for number, group in enumerate(found.groups, start=1):
        assert new.seen.ids is not None
        members = [str(name) for name in new.seen.ids[group.rows]]
        place = project.reports / "drift" / f"{until:%Y%m%d-%H%M%S}-group-{number}.png"
        shown = sheet(folder_of(project), members, place) if draw else None
        out.append({
            "size": len(members), "members": members[:MOST_MEMBERS], "before": group.before, "p": group.p,
            "nearest": group.nearest, "away": group.away, "spread": group.spread, "others_too": group.others_too,
            "modality": modality,
            "sheet": str(shown.relative_to(project.folder)) if shown is not None else None,
        })  # fmt: skip
    return tuple(out)


def _next(found: Look, groups: tuple[Mapping[str, Any], ...], modality: str) -> tuple[str, ...]:
    """Return what to do, the most pressing first."""
    kinds = {test.kind for test in found.alarms}
    names = {test.name for test in found.alarms}
    said = []
    for group in groups:
        sheet = f" Look at {group['sheet']}." if group["sheet"] else ""
        said.append(f"{group['size']} strange samples lie together ({group['before']} before), nearest to "
                    f"{group['nearest']}, {group['away']:.1f} class radii away.{sheet} " + meaning(group))  # fmt: skip
    if INPUT in kinds and NEW_CLASS not in kinds:
        said.append(f"The samples look different: check {CAUSES[modality][0]} first; if it is meant to stay, label "
                    "some of the new ones and start a round.")  # fmt: skip
    if "class mix" in names and INPUT not in kinds:
        said.append("Other classes are answered than before: if production really changed, nothing is wrong; else look "
                    "at the answers that became common.")  # fmt: skip
    if PREDICTION in kinds and "class mix" not in names and INPUT not in kinds:
        said.append("The model is unsure of other samples than before: queue and label them.")
    if CALIBRATION in kinds:
        said.append("Probabilities are no longer honest: train a challenger with the confirmed samples; until then "
                    "thresholds let through another share than they say.")  # fmt: skip
    return tuple(said)


def meaning(group: Mapping[str, Any]) -> str:
    """Return what a group of strange samples probably is, and what to do."""
    if group["others_too"]:
        cause = CAUSES[group.get("modality", "image")][1]
        return f"Ordinary samples look different as well: more likely {cause} than a class. Check that first."
    return (f"A new class: label them, and start a round. {group['nearest']} after all: correct them by feedback, so "
            "that the next model knows them.")  # fmt: skip


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _record(project: Project, found: Drift) -> None:
    body = found.to_json()
    project.state.add_ledger_rows(
        [{**body, "decision": "look for drift", "kept": False, "gain": None, "version_before": None,
          "version_after": None}], run=DRIFT,
    )  # fmt: skip
