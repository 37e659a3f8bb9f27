"""One batch: which model answers which sample, what is logged, and what the client is told."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final, Protocol

from scarce.errors import ReadError, ScarceError, StoreError
from scarce.flywheel._deployed import Deployed, Deployment
from scarce.flywheel._gather import Item
from scarce.flywheel._limits import RefusedError
from scarce.flywheel.promote import CHALLENGER, CHAMPION
from scarce.lineage import digest

if TYPE_CHECKING:
    from scarce.project import Project
    from scarce.train.predict import Prediction

SHADOW: Final = "shadow"
ASK: Final = "ask"
"""Verdict where the model leaves several classes possible, or has no operating point: a person decides."""
BACKLOG: Final = 8
"""Batches that may wait for the challenger's unseen answers; beyond them they are left out and counted."""
log = logging.getLogger("scarce.serve")


class Observer(Protocol):
    """What is told about batches."""

    def batch(self, size: int, seconds: float) -> None:
        """One batch was answered by a model."""

    def predicted(self, served_as: str, verdict: str) -> None:
        """One prediction was logged."""

    def dropped(self, count: int) -> None:
        """So many samples got no shadow answer."""

    def unlogged(self) -> None:
        """A batch could not be logged."""


class Answering:
    """Answers batches and keeps what was answered.

    Args:
        project: where predictions are logged.
        deployment: the models.
        observer: is told.
    """

    def __init__(self, project: Project, deployment: Deployment, observer: Observer) -> None:
        settings = project.config.serve
        self._project, self._deployment, self._observer = project, deployment, observer
        self._share, self._kept = settings.share, settings.keep_images
        self._folder = project.folder / ".scarce" / "production"
        self._shadows: Queue[list[Item]] | None = Queue(BACKLOG) if settings.shadow else None
        self._ended = Event()
        self._shade = Thread(target=self._follow, name="shadow", daemon=True)
        if self._shadows is not None:
            self._shade.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Finish the shadow answers that wait."""
        self._ended.set()
        if self._shadows is not None:
            self._shade.join(seconds)

    def idle(self) -> None:
        """Follow the aliases while nobody asks anything."""
        try:
            self._deployment.look()
        except (StoreError, OSError) as error:
            log.debug("the aliases cannot be read: %s", error)

    def __call__(self, items: list[Item]) -> None:
        """Settle every item of a batch; what is answered has been logged."""
        try:
            champion, challenger = self._deployment.look()
            parts = self._parts(items, champion, challenger)
            share = self._share if challenger is not None and 0 < self._share < 1 else None
            told: list[tuple[Item, dict[str, Any]]] = []
            rows: list[dict[str, Any]] = []
            for served_as, model, own in parts:
                for item, found in self._predicted(model, own):
                    rows.append(_row(item, found, model, served_as, share=share))
                    told.append((item, _told(item, found, model)))
            self._keep([item for item, _ in told])
            self._log(rows)
        except (StoreError, OSError) as error:
            if isinstance(error, ReadError):
                raise
            self._observer.unlogged()
            log.error("nothing was answered: %s", error)  # noqa: TRY400 - an operator's line, no traceback
            for item in items:
                item.settle(RefusedError(503, f"the prediction cannot be logged: {error}", after=5))
            return
        for item, answer in told:
            item.settle(answer)
        for row in rows:
            self._observer.predicted(row["served_as"], row["verdict"])
        self._shadow([item for served_as, _, own in parts if served_as == CHAMPION for item in own], challenger)

    def _parts(
        self, items: list[Item], champion: Deployed, challenger: Deployed | None
    ) -> list[tuple[str, Deployed, list[Item]]]:
        """Return who answers what; a sample is always given to the same model."""
        if challenger is None or not self._share:
            return [(CHAMPION, champion, items)]
        chosen = [int(digest(challenger.name, item.sample)[:8], 16) < self._share * 2**32 for item in items]
        parts = [
            (CHAMPION, champion, [item for item, other in zip(items, chosen, strict=True) if not other]),
            (CHALLENGER, challenger, [item for item, other in zip(items, chosen, strict=True) if other]),
        ]
        return [part for part in parts if part[2]]

    def _predicted(self, model: Deployed, items: Sequence[Item]) -> list[tuple[Item, Prediction]]:
        """Return the predictions; a sample that has none is settled with the reason."""
        since = time.perf_counter()
        try:
            found = model.answer([item.content for item in items])
        except Exception as error:
            if len(items) == 1:
                if not isinstance(error, ScarceError):
                    log.exception("a sample broke the model %s", model.name)
                items[0].settle(RefusedError(422, f"the model cannot answer this: {error}"))
                return []
            return [pair for item in items for pair in self._predicted(model, [item])]
        self._observer.batch(len(items), time.perf_counter() - since)
        pairs = []
        for item, prediction in zip(items, found, strict=True):
            if prediction.error is not None:
                item.settle(RefusedError(422, prediction.error))
            else:
                pairs.append((item, prediction))
        return pairs

    def _log(self, rows: list[dict[str, Any]]) -> None:
        """Write predictions in one transaction; once more where the database was only busy.

        Raises:
            StoreError: it cannot be written; nothing was.
        """
        if not rows:
            return
        try:
            self._project.state.log_predictions(rows)
        except StoreError as error:
            if "full" in error.what or "cannot be written" in error.what:
                raise
            log.warning("%s; trying once more", error)
            there = self._project.state.predictions(requests=[row["request"] for row in rows[:1]])
            if not there:  # a lost connection may hide that it was written
                self._project.state.log_predictions(rows)

    def _keep(self, items: Sequence[Item]) -> None:
        """Write the samples themselves where the project says so."""
        if not self._kept:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        for item in items:
            keep(self._folder / item.sample, item.content)

    def _shadow(self, items: list[Item], challenger: Deployed | None) -> None:
        if self._shadows is None or challenger is None or not items:
            return
        try:
            self._shadows.put_nowait(items)
        except Full:
            self._observer.dropped(len(items))

    def _follow(self) -> None:
        """Let the challenger answer what the champion has answered; nobody waits for it."""
        assert self._shadows is not None
        while True:
            try:
                items = self._shadows.get(timeout=0.2)
            except Empty:
                if self._ended.is_set():
                    return
                continue
            model = self._deployment.challenger
            if model is None:
                continue
            try:
                found = model.answer([item.content for item in items])
                rows = [_row(item, one, model, SHADOW) for item, one in zip(items, found, strict=True) if not one.error]
                self._log(rows)
                for row in rows:
                    self._observer.predicted(SHADOW, row["verdict"])
            except Exception as error:  # noqa: BLE001 - the champion's answers must not suffer
                self._observer.dropped(len(items))
                log.warning("no shadow answer of %s: %s", model.name, error)


def keep(place: Path, content: bytes) -> None:
    """Write a sample once; the file appears whole or not at all."""
    if place.exists():
        return
    part = place.with_name(f".{place.name}.part")
    try:
        part.write_bytes(content)
        part.replace(place)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def verdict_of(found: Prediction) -> str:
    """Return ``accept``, ``reject``, ``unknown`` or ``ask``."""
    return found.verdict if found.verdict in {"accept", "reject", "unknown"} else ASK


def _told(item: Item, found: Prediction, model: Deployed) -> dict[str, Any]:
    return {
        "request": item.request, "class": found.label, "probability": found.probability,
        "natural_probability": found.natural_probability, "verdict": verdict_of(found),
        "candidates": list(found.candidates), "defect_score": found.defect_score,
        "unknown_score": found.unknown_score, "model": model.name, "version": model.version, "sample": item.sample,
    }  # fmt: skip


def _row(
    item: Item, found: Prediction, model: Deployed, served_as: str, *, share: float | None = None
) -> dict[str, Any]:
    """Return what is logged; a shadow answer has the request of the answer that it follows, with an ending.

    Args:
        item: what was asked.
        found: the answer.
        model: who gave it.
        served_as: ``champion``, ``challenger`` or ``shadow``.
        share: probability with which the challenger was given this sample, whoever was; None = nothing was drawn.
    """
    body: dict[str, Any] = {
        "probabilities": found.probabilities, "defect_score": found.defect_score, "candidates": list(found.candidates),
        "natural_probability": found.natural_probability,
    }  # fmt: skip
    if share is not None:
        body["share"] = share
    if served_as == SHADOW:
        body["of"] = item.request
    return {
        "request": f"{item.request}-shadow" if served_as == SHADOW else item.request, "sample": item.sample,
        "model": model.name, "version": model.version, "served_as": served_as, "label": found.label,
        "probability": found.probability, "verdict": verdict_of(found), "unknown_score": found.unknown_score,
        "seconds": time.perf_counter() - item.since, "source": item.source or None, "body": body,
    }  # fmt: skip
