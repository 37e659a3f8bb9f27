"""One turn of the wheel, unattended: collect, audit, contract gate, drift, ask or train, compare, propose.

Safe in cron. One round at a time turns a project; what each step gave is written down at once, so that after a kill the
next call goes on where the last one stopped, with the same result; and where nothing is new nothing is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce._lock import FileLock
from scarce.errors import ContractError, DataError, ScarceError
from scarce.flywheel import _admission as admission
from scarce.flywheel._challenge import SCRATCH, TUNED, Challenge
from scarce.flywheel._journal import KIND, OVERTAKEN, Journal, Result
from scarce.flywheel.promote import CHALLENGER, CHAMPION, Promotion, promote

if TYPE_CHECKING:
    from scarce.dataset import Dataset
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
    resumed: bool = False
    why: tuple[str, ...] = ()
    steps: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 = nothing for a person to do, 1 = somebody should look, 4 = another round runs."""
        return 4 if self.state == BUSY else 1 if self.state in PERSON else 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "state": self.state, "exit_code": self.exit_code, "number": self.number, "new": self.new,
            "needed": self.needed, "champion": self.champion, "challenger": self.challenger, "version": self.version,
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

    New labels below ``retrain_after`` of ``[flywheel]`` wait for more. From there on the rare classes are grown anew
    (what the ledger keeps), two challengers are trained, one that goes on from the champion and one from scratch, and
    the better one by held-back samples is ``@challenger`` and is compared with the champion on the test samples.

    Where the contract does not hold with the new samples and holds without them, they are set aside with the reason and
    the round goes on without them. Where the older data breaks it as well, the round stops for a person.

    Args:
        project: with data.
        orders: what it is told.

    Raises:
        DataError: there is no data, or data that rounds cannot train on.
        ConflictError: somebody else committed or promoted meanwhile; call again.
    """
    from scarce.project import HIDDEN

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
        from scarce.loop.options import Options, from_config

        given = {"seed": orders.seed} | ({} if orders.workers is None else {"workers": orders.workers})
        self.project, self.orders = project, orders
        self.options = Options.of({**from_config(project.config), **given})
        self.champion = project.state.aliases().get(CHAMPION)
        self.needed = project.config.flywheel.retrain_after

    def go(self) -> Turn:
        """Go on with the round that was left, or begin one if there is reason to."""
        if self.project.head is None:
            raise DataError(WHO, "the project holds no data yet", do="scarce add, or scarce run SOURCE --project DIR")
        journal = Journal.unfinished(self.project)
        if journal is not None and (journal.overtaken() or journal.body["champion"] != self.champion):
            journal.close(OVERTAKEN)
            journal = None
        resumed = journal is not None
        if journal is None:
            journal = self._begun()
        if journal is None:
            return self._standing()
        found = self._turned(journal)
        journal.close(state=found.state, why=list(found.why), new=found.new)
        return replace(found, resumed=resumed, steps=journal.steps, version=self.project.head, number=journal.number)

    def _begun(self) -> Journal | None:
        """Begin a round if the data changed since the last one ended."""
        done = self._last()
        if done is not None and done["head"] == self.project.head:
            return None
        return Journal.begin(self.project, head=self.project.head, champion=self.champion, seed=self.orders.seed)

    def _last(self) -> Mapping[str, Any] | None:
        rows = [row for row in self.project.state.rounds(KIND) if row["status"] == "done"]
        return rows[-1]["body"] if rows else None

    def _standing(self) -> Turn:
        """Return where things stand when nothing is to be done."""
        last = self._last() or {}
        challenger = self.project.state.aliases().get(CHALLENGER)
        base = Turn(state=NOTHING, needed=self.needed, new=int(last.get("new", 0)), champion=self.champion,
                    challenger=challenger, version=self.project.head)  # fmt: skip
        why = ["Nothing is new since the last round; nothing was done."]
        if last.get("state") == PROPOSED and challenger is not None:
            return replace(base, state=PROPOSED, why=(*why, f"{challenger} waits for scarce promote."))
        return replace(base, why=tuple(why))

    def _turned(self, journal: Journal) -> Turn:
        admit = journal.once("admit", lambda: self._admit(journal))
        base = Turn(state=NOTHING, needed=self.needed, new=admit["new"], champion=self.champion)
        told = "; ".join(admit["broken"])
        why = [f"{admit['refused']:,} new samples are set aside: {told}."] if admit["refused"] else []
        if not admit["fine"]:
            return replace(base, state=GATE, why=(f"The contract does not hold: {told}.",
                                                  "Nothing was trained. Mend the data, or the contract."))  # fmt: skip
        if not self._enough(admit):
            why.append(f"{admit['new']:,} new labelled samples; training begins at {self.needed:,}.")
            return replace(base, state=GATE if admit["refused"] else WAITING, why=tuple(why))
        return self._trained(journal, replace(base, why=tuple(why)))

    def _enough(self, admit: Mapping[str, Any]) -> bool:
        """Return whether to train: enough new labels, or no model yet."""
        return bool(admit["new"] >= self.needed or (admit["new"] and admit["since"] is None))

    def _admit(self, journal: Journal) -> Result:
        since = self._since()
        before: Dataset | None = None if since is None else self.project.dataset(since)
        ds = admission.measured(self.project, self.project.dataset(journal.head), self.options)
        found = admission.admitted(self.project, ds, before)
        told: Result = {"since": since, "broken": list(found.broken), "refused": len(found.refused),
                        "fine": found.fine, "version": None}  # fmt: skip
        if not found.fine:
            return {**told, "new": len(found.new)}
        try:
            told["version"] = journal.commit(found.dataset, "admit", ("io", "audit", "split", "clean"))
        except ContractError as error:  # a rule that only a commit sees
            return {**told, **admission.refused_by(error)}
        left = admission.fresh(found.dataset, before)
        trainable = left & (found.dataset["split"].astype(str) == "train")
        return {**told, "new": int(left.sum()) if trainable.any() else 0}

    def _since(self) -> str | None:
        """Return the version that a model was trained on last; None = none was."""
        for row in reversed(self.project.state.rounds(KIND)):
            grow = row["body"]["steps"].get("grow")
            if row["status"] == "done" and grow:
                return str(grow["from"])
        if self.champion is None:
            return None
        found = [row for row in self.project.state.alias_history(CHAMPION) if row["target"] == self.champion]
        version = found[-1]["version"] if found else None
        try:
            return None if version is None else str(self.project.store.version(version).name)
        except ScarceError:  # pruned
            return None

    def _trained(self, journal: Journal, base: Turn) -> Turn:
        challenge = Challenge(self.project, journal, self.champion, self.options, self.orders.minutes)
        journal.once("grow", challenge.grow)
        for kind in (TUNED, SCRATCH):
            journal.once(kind, lambda kind=kind: challenge.train(kind))  # type: ignore[misc]
        chosen = journal.once("choose", lambda: challenge.choose().to_json())
        name = str(journal.steps[chosen["model"]]["model"])
        journal.once("name", lambda: self._named(name, str(chosen["why"]), journal))
        verdict = journal.once("compare", lambda: self._compared(name))
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

    def _compared(self, name: str) -> Result:
        if self.project.state.aliases().get(CHAMPION) == name:  # promoted by a process that was killed then
            return {"verdict": "promoted", "moved": True, "why": ["It was promoted."]}
        found: Promotion = promote(self.project, name, margin=self.project.config.flywheel.margin,
                                   dry_run=not self.orders.promote, seed=self.orders.seed)  # fmt: skip
        if found.verdict == REFUSED:  # proven worse: it shall not answer in the shadow either
            self.project.state.set_alias(CHALLENGER, None, why=" ".join(found.why))
        return {**found.to_json(), "moved": found.promoted and self.orders.promote}
