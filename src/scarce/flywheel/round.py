"""One turn of the wheel, unattended: collect, audit, contract gate, drift, ask or train, compare, propose.

Safe in cron. One round at a time turns a project; what each step gave is written down at once, so that after a kill the
next call goes on where the last one stopped, with the same result; and where nothing is new nothing is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from scarce._lock import FileLock
from scarce.errors import ContractError, DataError
from scarce.flywheel import _admission as admission
from scarce.flywheel import _alarms as alarms
from scarce.flywheel import _intake as intake
from scarce.flywheel._challenge import SCRATCH, TUNED, Challenge
from scarce.flywheel._journal import KIND, OVERTAKEN, Journal, Result
from scarce.flywheel._learnt import Learnt, learnt, more_than
from scarce.flywheel.drift import last_alarms
from scarce.flywheel.promote import CHALLENGER, CHAMPION, JUDGED, PROVEN, Promotion, promote, proposal
from scarce.state import PROMOTIONS

if TYPE_CHECKING:
    from scarce.project import Project

WHO: Final = "flywheel.round"
LOCK: Final = "round.lock"
NOTHING, WAITING, BUSY, GATE = "nothing new", "waiting", "busy", "gate"
PROPOSED, PROMOTED, REFUSED, UNPROVEN = "proposed", "promoted", "refused", "not provable"
PERSON: Final = (GATE, PROPOSED, UNPROVEN)
"""States in which a person should look."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What a round did.

    Attributes:
        state: ``nothing new``, ``waiting`` (for labels), ``gate`` (the contract refused new data), ``proposed`` (a
            challenger is proven, a person may promote it), ``promoted``, ``refused``, ``not provable``, or ``busy``
            (another round turns this project; nothing was done).
        number: of the round; None = none was needed.
        new: labelled samples that no model was trained on yet.
        needed: how many of them start a training.
        champion, challenger: names of models.
        version: the newest version of the data.
        waiting: questions for a label that have no answer.
        collected: what came back from production and from the queue; only what is not nothing.
        alarms: of drift, since the round before.
        wanted: labels of feedback that are no class of the project.
        resumed: whether a round that a killed process left was gone on with.
        why: sentences for people.
        steps: what each step gave.
    """

    state: str
    number: int | None = None
    new: int = 0
    needed: int = 0
    champion: str | None = None
    challenger: str | None = None
    version: str | None = None
    waiting: int = 0
    collected: Mapping[str, Any] = field(default_factory=dict)
    alarms: tuple[Mapping[str, Any], ...] = ()
    wanted: tuple[str, ...] = ()
    resumed: bool = False
    why: tuple[str, ...] = ()
    steps: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 = nothing for a person to do, 1 = somebody should look, 4 = another round runs."""
        if self.state == BUSY:
            return 4
        return 1 if self.state in PERSON or self.alarms or self.wanted else 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "state": self.state, "exit_code": self.exit_code, "number": self.number, "new": self.new,
            "needed": self.needed, "waiting": self.waiting, "collected": dict(self.collected),
            "alarms": [dict(row) for row in self.alarms], "wanted": list(self.wanted),
            "champion": self.champion, "challenger": self.challenger, "version": self.version,
            "resumed": self.resumed, "why": list(self.why), "steps": dict(self.steps),
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What a round is told.

    Args:
        promote: let a proven challenger take over without a person.
        minutes: for each network that is trained; None = as long as its epochs take.
        seed: of everything random.
        workers: threads at most; None = all cores.
    """

    promote: bool = False
    minutes: float | None = None
    seed: int = 0
    workers: int | None = None


def turn(project: Project, orders: Orders | None = None) -> Turn:
    """Turn the wheel once.

    Feedback and answers are taken in first, and where the last look for drift is a day old another one is made. New
    labels below ``retrain_after`` of ``[flywheel]`` wait for more, and people are asked within the budget; after an
    alarm of a new class, whose samples are asked about at once, any number of answers is enough. From there on the rare
    classes are grown anew (what the ledger keeps), two challengers are trained, one that goes on from the champion and
    one from scratch, and the better one by held-back samples is ``@challenger`` and is compared with the champion on
    the test samples.

    Where the contract does not hold with the new samples and holds without them, they are set aside with the reason and
    the round goes on without them. Where the older data breaks it as well, the round stops for a person.

    Args:
        project: with data.
        orders: what it is told.

    Raises:
        DataError: there is no data, or data that rounds cannot train on.
        ConflictError: somebody else committed or promoted meanwhile; call again.
    """
    from scarce._places import HIDDEN

    lock = FileLock(project.folder / HIDDEN / LOCK)
    if not lock.take(wait=False):
        return Turn(state=BUSY, why=("Another round turns this project; nothing was done.",))
    try:
        return _Turning(project, orders or Orders()).go()
    finally:
        lock.release()


class _Turning:
    """A round while it runs."""

    def __init__(self, project: Project, orders: Orders) -> None:
        from scarce.loop.fitting import refuse_settings
        from scarce.loop.options import Options, from_config

        given = {"seed": orders.seed} | ({} if orders.workers is None else {"workers": orders.workers})
        self.project, self.orders = project, orders
        self.options = Options.of({**from_config(project.config), **given})
        refuse_settings(project.config.train, self.options.trainer)
        self.champion = project.state.aliases().get(CHAMPION)
        self.needed = project.config.flywheel.retrain_after
        self.alarms: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self.idle: list[str] = []
        self.taken: Result = {}

    def go(self) -> Turn:
        """Go on with the round that was left, or begin one if there is reason to."""
        if self.project.head is None:
            raise DataError(WHO, "the project holds no data yet", do="scarce add, or scarce run SOURCE --project DIR")
        journal = Journal.unfinished(self.project)
        if journal is not None and (journal.overtaken() or journal.body["champion"] != self._was(journal)):
            journal.close(OVERTAKEN)
            journal = None
        resumed = journal is not None
        if journal is None:
            try:
                self._take_in()
            except ContractError as error:
                return self._told(Turn(state=GATE, champion=self.champion, needed=self.needed,
                                       why=(f"What came back is not taken in: {intake.plain(error)}",)))  # fmt: skip
            journal = self._begun()
        if journal is None:
            return self._told(self._standing())
        self.alarms, self.taken = journal.body["alarms"], journal.body["collected"]
        found = self._told(self._turned(journal))
        found = replace(found, resumed=resumed, steps=journal.steps, version=self.project.head, number=journal.number)
        at = journal.body["alarm_at"]
        if "groups" not in journal.steps and alarms.new_classes(self.alarms):  # the next round asks about them
            at = (self._last() or {}).get("alarm_at")
        journal.close(state=found.state, why=list(found.why), new=0 if "grow" in journal.steps else found.new,
                      stopped=not journal.steps["admit"]["fine"], seen=self.project.head, alarm_at=at)  # fmt: skip
        return found

    def _was(self, journal: Journal) -> str | None:
        """Return the champion, or the one before where this round itself has just promoted its challenger."""
        name = journal.steps.get("name", {}).get("challenger")
        return journal.body["champion"] if name is not None and name == self.champion else self.champion

    def _take_in(self) -> None:
        """Collect what came back, and look for drift where that is due; both can be done again."""
        from scarce.flywheel.collect import collect

        found = collect(self.project, workers=self.orders.workers, seed=self.orders.seed)
        self.taken = {key: value for key, value in found.to_json().items() if value}
        self.notes = intake.look(self.project, seed=self.orders.seed)
        self.alarms = [dict(row) for row in alarms.unhandled(last_alarms(self.project), alarms.handled(self.project))]

    def _begun(self) -> Journal | None:
        """Begin a round if the data changed since the last one, an alarm is new, or people can be asked again."""
        last = self._last()
        same = last is not None and last["seen"] == self.project.head and not last["stopped"]
        if same and not self.alarms:
            due, self.idle = intake.asking_due(self.project, seed=self.orders.seed, workers=self.orders.workers)
            if not due:
                return None
        at = max((row["at"] for row in self.alarms), default=(last or {}).get("alarm_at"))
        return Journal.begin(
            self.project, head=self.project.head, champion=self.champion, seed=self.orders.seed, alarms=self.alarms,
            alarm_at=at, collected=self.taken,
        )  # fmt: skip

    def _last(self) -> Mapping[str, Any] | None:
        rows = [row for row in self.project.state.rounds(KIND) if row["status"] == "done"]
        return rows[-1]["body"] if rows else None

    def _told(self, found: Turn) -> Turn:
        """Return a turn with what came in, the alarms, and what else a person should know."""
        wishes = self.taken.get("wishes") or {}
        why = alarms.told(self.alarms, self._modality()) if self.alarms else []
        if wishes:
            named = ", ".join(f"{name} ({n:,})" for name, n in wishes.items())
            why.append(f"Feedback names classes that the project does not have: {named}. To make them: scarce collect "
                       f"{self.project.folder} --new-classes")  # fmt: skip
        told = [*why, *self.notes, *found.why]
        proven = proposal(self.project)
        if proven is not None and found.state in (NOTHING, WAITING, GATE):
            told.append(f"{proven} is proven and waits for a person: scarce promote {self.project.folder}")
            found = replace(found, state=GATE if found.state == GATE else PROPOSED, challenger=proven)
        return replace(found, why=tuple(told), collected=self.taken, alarms=tuple(self.alarms),
                       wanted=tuple(wishes), waiting=intake.waiting(self.project))  # fmt: skip

    def _modality(self) -> str:
        return str(self.project.store.version(self.project.head).schema["modality"])

    def _standing(self) -> Turn:
        """Return where things stand when nothing is to be done."""
        last, asked = self._last() or {}, intake.waiting(self.project)
        challenger = self.project.state.aliases().get(CHALLENGER)
        why = ("Nothing is new since the last round; nothing was done.", *self._open(asked), *self.idle)
        return Turn(state=WAITING if asked else NOTHING, needed=self.needed, new=int(last.get("new", 0)), why=why,
                    champion=self.champion, challenger=challenger, version=self.project.head)  # fmt: skip

    def _turned(self, journal: Journal) -> Turn:
        admit = journal.once("admit", lambda: self._admit(journal))
        base = Turn(state=NOTHING, needed=self.needed, new=admit["new"], champion=self.champion)
        told = "; ".join(admit["broken"])
        why = [admit["note"]] * bool(admit["note"])
        why += [f"{admit['refused']:,} new samples are set aside: {told}."] if admit["refused"] else []
        if not admit["fine"]:
            return self._shut(journal, replace(base, state=GATE, why=(*why, f"The contract does not hold: {told}.")))
        reason = journal.once("decide", lambda: {"train": self._reason(admit)})["train"]
        if reason:
            return self._trained(journal, replace(base, why=(*why, reason)))
        why.append(f"{admit['new']:,} new labelled samples; training begins at {self.needed:,}.")
        return self._asked(journal, replace(base, state=GATE if admit["refused"] else WAITING, why=tuple(why)))

    def _shut(self, journal: Journal, base: Turn) -> Turn:
        """Say what a person can do about the contract, and ask all the same where that can be written."""
        admit, at = journal.steps["admit"], self.project.folder
        do = (f"Nothing was trained. Go through what is wrong (scarce contract check {at}, scarce audit {at}, scarce "
              f"review {at}), or change the rule in contract.toml.")  # fmt: skip
        base = replace(base, why=(*base.why, *[admit["why_not"]] * bool(admit["why_not"]), do))
        return self._asked(journal, base) if admit["writable"] else base

    def _reason(self, admit: Mapping[str, Any]) -> str:
        """Return why to train; empty = there is no reason yet."""
        if not admit["new"]:
            return ""
        told = f"{admit['new']:,} new labelled samples"
        if admit["since"] is None:
            return f"{told}, and no model was trained on any yet."
        if admit["new"] >= self.needed:
            return f"{told}; {self.needed:,} were wanted."
        return f"{told} after an alarm of a new class." if self._new_class_answered() else ""

    def _new_class_answered(self) -> bool:
        """Return whether a round before asked about a new class since the last training, and no such question waits."""
        reported = False  # what this round is told is asked about first
        for row in reversed(self.project.state.rounds(KIND)[:-1]):
            if row["status"] == "done" and "grow" in row["body"]["steps"]:
                break
            reported |= bool(alarms.new_classes(row["body"]["alarms"]))
        return reported and not intake.waiting(self.project, intake.GROUP)

    def _asked(self, journal: Journal, base: Turn) -> Turn:
        """Ask about what may be a new class, and about what is worth most within the budget."""
        orders, why = self.orders, list(base.why)
        groups = journal.once(
            "groups", lambda: intake.ask_about(self.project, alarms.new_classes(self.alarms), journal)
        )  # fmt: skip
        asked = journal.once("ask", lambda: intake.ask_people(self.project, seed=orders.seed, workers=orders.workers))
        if groups["asked"]:
            why.append(f"{groups['asked']:,} samples that may be of a new class are asked about at once.")
        if asked["asked"]:
            why.append(f"{asked['asked']:,} samples are asked about within the budget of {asked['period']}.")
        left = intake.waiting(self.project)
        if base.state == WAITING and not left and not base.new:
            base = replace(base, state=NOTHING)
        return replace(base, why=(*why, *self._open(left), *groups["notes"], *asked["notes"]))

    def _open(self, n: int) -> list[str]:
        return [f"{n:,} questions wait for an answer: scarce label session {self.project.folder}"] if n else []

    def _admit(self, journal: Journal) -> Result:
        last = self._last() or {}
        then = self._learnt()
        if last.get("seen") == journal.head and not last["stopped"]:  # audited already
            return {"since": then.version, "broken": [], "refused": 0, "fine": True, "why_not": "", "writable": True,
                    "version": journal.head, "new": int(last["new"]), "note": ""}  # fmt: skip
        ds = admission.measured(self.project, self.project.dataset(journal.head), self.options)
        found = admission.admitted(self.project, ds, then.dataset)
        told: Result = {"since": then.version, "broken": list(found.broken), "refused": len(found.refused),
                        "fine": found.fine, "why_not": found.why_not, "writable": found.writable, "version": None,
                        "note": then.note}  # fmt: skip
        if not found.fine:
            return {**told, "new": len(found.new)}
        try:
            told["version"] = journal.commit(found.dataset, "admit", ("io", "audit", "split", "clean"))
        except ContractError as error:  # a rule that only a commit sees
            return {**told, **admission.refused_by(error, found)}
        left = admission.fresh(found.dataset, then.dataset) & (found.dataset["split"].astype(str) == "train")
        new = int(left.sum())
        return {**told, "new": new if then.counts is None else min(new, more_than(found.dataset, then.counts))}

    def _learnt(self) -> Learnt:
        """Return what the last training knew: that of the last round that trained, else the champion's."""
        for row in reversed(self.project.state.rounds(KIND)):
            steps = row["body"]["steps"]
            if row["status"] == "done" and "grow" in steps:
                names = str(steps["grow"]["from"]), str(steps["grow"]["version"])
                return learnt(self.project, names, (steps.get("name") or {}).get("challenger"))
        found = [row for row in self.project.state.alias_history(CHAMPION) if row["target"] == self.champion]
        version = found[-1]["version"] if found and self.champion else None
        return learnt(self.project, (version,) if version else (), self.champion)

    def _trained(self, journal: Journal, base: Turn) -> Turn:
        challenge = Challenge(self.project, journal, self.champion, self.options, self.orders.minutes)
        journal.once("grow", challenge.grow)
        for kind in (TUNED, SCRATCH):
            journal.once(kind, lambda kind=kind: challenge.train(kind))  # type: ignore[misc]
        chosen = journal.once("choose", lambda: challenge.choose().to_json())
        name = str(journal.steps[chosen["model"]]["model"])
        journal.once("name", lambda: self._named(name, str(chosen["why"]), journal))
        verdict = journal.once("compare", lambda: self._compared(name, journal.number))
        state = {"promoted": PROMOTED if verdict["moved"] else PROPOSED, "refused": REFUSED}.get(
            verdict["verdict"], UNPROVEN)  # fmt: skip
        do = {PROPOSED: f"scarce promote {self.project.folder}"}.get(state)
        why = (*base.why, f"{name} challenges {self.champion or 'nobody'}: {chosen['why']}.", *verdict["why"],
               *([f"It waits for a person: {do}."] if do else []))  # fmt: skip
        return replace(base, state=state, challenger=name, why=why,
                       champion=self.project.state.aliases().get(CHAMPION))  # fmt: skip

    def _named(self, name: str, why: str, journal: Journal) -> Result:
        """Let @challenger mean the new model, with a row of the ledger."""
        state, version = self.project.state, str(journal.steps["grow"]["version"])
        if state.aliases().get(CHALLENGER) != name:
            row = {"decision": f"challenge {name}", "verdict": "challenger", "kept": True, "version_after": version,
                   "version_before": journal.steps["grow"]["from"], "challenger": name, "champion": self.champion,
                   "round": journal.number, "why": why}  # fmt: skip
            state.move_aliases([{"name": CHALLENGER, "target": name, "version": version, "why": why}], row,
                               expected={CHAMPION: self.champion})  # fmt: skip
        return {"challenger": name}

    def _ruled(self, found: Promotion, name: str, number: int) -> None:
        """Keep the verdict of a round that promotes nothing in the ledger, once."""
        judged = f"{JUDGED}{name}"
        told = [row["round"] for row in self.project.state.ledger(PROMOTIONS) if row["decision"] == judged]
        if number not in told:
            verdict = PROVEN if found.promoted else found.verdict  # nothing is promoted by it
            row = {**found.to_json(), "decision": judged, "verdict": verdict, "kept": False, "promoted": False,
                   "version_before": None, "version_after": found.version, "why": " ".join(found.why),
                   "round": number}  # fmt: skip
            self.project.state.add_ledger_rows([row], run=PROMOTIONS)

    def _compared(self, name: str, number: int) -> Result:
        if self.project.state.aliases().get(CHAMPION) == name:  # promoted by a process that was killed then
            return {"verdict": "promoted", "moved": True, "why": ["It was promoted."]}
        found: Promotion = promote(self.project, name, margin=self.project.config.flywheel.margin,
                                   dry_run=not self.orders.promote, seed=self.orders.seed)  # fmt: skip
        if not self.orders.promote:
            self._ruled(found, name, number)
        if found.verdict == REFUSED:  # proven worse: it shall not answer in the shadow either
            self.project.state.set_alias(CHALLENGER, None, why=" ".join(found.why))
        return {**found.to_json(), "moved": found.promoted and self.orders.promote}
