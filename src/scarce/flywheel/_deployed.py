"""The models that ``@champion`` and ``@challenger`` mean now, loaded in the background as that changes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, Thread
from typing import TYPE_CHECKING, Final

from scarce.errors import DataError, ScarceError
from scarce.flywheel._limits import KINDS
from scarce.flywheel._served import INSTEAD, unserved
from scarce.flywheel.promote import CHALLENGER, CHAMPION
from scarce.train.model import Model, load
from scarce.train.predict import Prediction, predict_contents

if TYPE_CHECKING:
    from scarce.project import Project

WHO: Final = "flywheel.serve"
AGAIN: Final = 5.0
"""Seconds until a model that could not be loaded is tried again."""
log = logging.getLogger("scarce.serve")


@dataclass(frozen=True, eq=False, kw_only=True)
class Deployed:
    """A model that answers.

    Attributes:
        name: of its folder.
        version: the data that it stands on.
        model: itself.
    """

    name: str
    version: str | None
    model: Model

    @property
    def modality(self) -> str:
        """The kind of data that it reads."""
        return str(self.model.card.get("modality", "image"))

    def answer(self, contents: list[bytes]) -> list[Prediction]:
        """Return one prediction a sample, in order."""
        return predict_contents(self.model, contents)


class Deployment:
    """What answers now.

    Args:
        project: whose aliases are followed.
        challenger: load ``@challenger`` as well.
        warm: called with a model before it answers for the first time.

    Raises:
        DataError: there is no ``@champion``, or one whose data cannot be answered over HTTP.
        ReadError: it cannot be loaded.
    """

    def __init__(self, project: Project, *, challenger: bool, warm: Callable[[Deployed], None]) -> None:
        self.trouble: dict[str, str] = {}
        self._project, self._warm = project, warm
        self._followed = (CHAMPION, CHALLENGER) if challenger else (CHAMPION,)
        self._loaded: dict[str, Deployed] = {}
        self._tried: dict[str, float] = {}
        self._loading: set[str] = set()
        self._lock = Lock()
        name = project.state.aliases().get(CHAMPION)
        if name is None:
            there = any(project.models.glob("*/card.json"))
            raise DataError(
                WHO, "there is no @champion", do="scarce promote" if there else "scarce train, then scarce promote"
            )
        self.champion = self._open(name)
        self.challenger: Deployed | None = None
        self._loaded[name] = self.champion

    def look(self) -> tuple[Deployed, Deployed | None]:
        """Return champion and challenger; a champion that is still being loaded leaves the former one in its place.

        Called by one thread.

        Raises:
            StoreError: the database cannot be read.
        """
        meant = self._project.state.aliases()
        for alias in self._followed:
            name = meant.get(alias)
            found = self._loaded.get(name) if name is not None else None
            if name is not None and found is None:
                self._begin(name)
            if alias == CHALLENGER:
                self.challenger = found
            elif found is not None and found is not self.champion:
                log.info("@champion is %s now, it was %s", found.name, self.champion.name)
                self.champion = found
                self._forget({*meant.values(), *list(self._loaded)[-2:]})
        return self.champion, self.challenger

    def _forget(self, kept: set[str]) -> None:
        """Let models go but these: those that are meant, and the last ones, which a rollback may want at once."""
        with self._lock:
            for name in [name for name in self._loaded if name not in kept and name != self.champion.name]:
                del self._loaded[name]

    def _begin(self, name: str) -> None:
        with self._lock:
            if name in self._loading or time.monotonic() - self._tried.get(name, -AGAIN) < AGAIN:
                return
            self._loading.add(name)
            self._tried[name] = time.monotonic()
        Thread(target=self._fetch, args=(name,), name=f"load {name}", daemon=True).start()

    def _fetch(self, name: str) -> None:
        try:
            found = self._open(name)
            with self._lock:
                self._loaded[name] = found
            self.trouble.pop(name, None)
        except Exception as error:  # noqa: BLE001 - told in /ready; the former model goes on
            self.trouble[name] = str(error)
            log.error("%s cannot be loaded: %s", name, error)  # noqa: TRY400 - an operator's line, no traceback
        finally:
            with self._lock:
                self._loading.discard(name)

    def _open(self, name: str) -> Deployed:
        try:
            model = load(self._project.models / name)
        except ScarceError as error:
            raise DataError(
                WHO,
                f"{name} cannot be loaded",
                str(error),
                "scarce rebuild, or scarce rollback",
            ) from error
        found = Deployed(name=name, version=(model.card.get("data") or {}).get("version"), model=model)
        if what := unserved(model.card):
            raise DataError(
                WHO, f"{name} {what}, which is not answered over HTTP", f"answered: {', '.join(KINDS)}", INSTEAD
            )
        self._warm(found)
        return found
