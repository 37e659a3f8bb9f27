"""A project on disk: settings, versions, features, models, reports and what people said, in one folder.

``scarce.toml`` and ``contract.toml`` belong to the user; ``.scarce`` holds versions (:mod:`scarce.store`), SQL state
(:mod:`scarce.state`), features and models. A commit writes both sides: intent in SQL, then the Lance transaction that
carries the intent's token, then done in SQL. What a crash leaves in between is settled by the next opening or commit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from scarce import progress
from scarce._lance import spoken
from scarce._places import HIDDEN, nearest, size_of, write_json
from scarce._version import Version
from scarce.config import Config
from scarce.contract import Contract
from scarce.dataset import Dataset
from scarce.errors import ContractError, StoreError
from scarce.invariant import Violation, refuse
from scarce.lineage import Changes
from scarce.state import State
from scarce.store import Change, Store

MOVE = "To move it: scarce backup FILE without state_url, then scarce backup FILE --bring-back with it"
FORMAT = 1
MIGRATIONS: tuple[Callable[[Path, dict[str, Any]], dict[str, Any]], ...] = ()
"""Entry k turns a project of format k + 1 into format k + 2; it gets the project's folder and ``project.json``."""
SETTINGS, CONTRACT, GIB = "scarce.toml", "contract.toml", 2**30


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What became of the sources.

    Attributes:
        checked: how many samples were compared.
        changed: ids of samples whose content is another one now.
        missing: id to reason of samples that cannot be read any more.
    """

    checked: int
    changed: tuple[str, ...]
    missing: Mapping[str, str]

    @property
    def fine(self) -> bool:
        """Return whether every sample is as it was."""
        return not self.changed and not self.missing

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"checked": self.checked, "changed": list(self.changed), "missing": dict(self.missing)}


class Project:
    """One project; make it with :meth:`init` or :meth:`open`.

    Args:
        folder: the project's folder.
        config: its settings.
    """

    def __init__(self, folder: Path, config: Config) -> None:
        self.folder = folder
        self.config = config
        self.store = Store(folder / HIDDEN, root=folder)
        self.features = folder / HIDDEN / "features"
        self.models = folder / HIDDEN / "models"
        self.reports = folder / "reports"
        self._seen: dict[str, str | None] = {}
        self._unsettled = folder / HIDDEN / "intent"

    @classmethod
    def init(cls, folder: str | Path, *, name: str = "", config: Config | None = None) -> Project:
        """Make a project in a folder, which may hold other files; return it.

        Raises:
            StoreError: there is one already, or the folder cannot be written.
        """
        folder = Path(folder)
        if (folder / HIDDEN / "project.json").exists():
            raise StoreError("project", f"{folder} is a project already", do="open it, or choose another folder")
        settings = (config or Config()).with_values("project", name=name) if name else config or Config()
        with spoken(folder):
            for place in (
                folder / HIDDEN,
                folder / "reports",
                *(folder / HIDDEN / part for part in ("features", "models")),
            ):
                place.mkdir(parents=True, exist_ok=True)
            if not (folder / SETTINGS).exists():
                (folder / SETTINGS).write_text(settings.to_toml(), encoding="utf-8")
            (folder / HIDDEN / ".gitignore").write_text("*\n", encoding="utf-8")
            write_json(folder / HIDDEN / "project.json", {"format": FORMAT, "made": datetime.now(UTC).isoformat()})
        return cls.open(folder)

    @classmethod
    def open(cls, folder: str | Path) -> Project:
        """Open a project; what a crash left is finished or rolled back.

        Raises:
            StoreError: there is no project (the closest one is named), or it is of a later format.
            ConfigError: something in `scarce.toml` is wrong.
        """
        folder = Path(folder)
        place = folder / HIDDEN / "project.json"
        if not place.is_file():
            raise StoreError("project", f"{folder} is no project", nearest(folder), f"scarce init {folder}")
        try:
            body = json.loads(place.read_text(encoding="utf-8"))
        except ValueError as error:
            raise StoreError("project", f"{place} is damaged", do='write {"format": 1} into it') from error
        _migrate(folder, body)
        config = Config.load(folder / SETTINGS) if (folder / SETTINGS).exists() else Config()
        project = cls(folder, config)
        project.store.recover()
        project._settle()
        project._seen["main"] = project.store.head()
        return project

    def close(self) -> None:
        """Let the database go."""
        if "state" in self.__dict__:
            self.state.close()

    def __enter__(self) -> Self:
        """Return the project."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    @cached_property
    def state(self) -> State:
        """What people said and what was decided."""
        url, own = self.config.project.state_url, self.folder / HIDDEN / "state.db"
        found = State(url or str(own))
        if not url:
            return found
        made = json.loads((self.folder / HIDDEN / "project.json").read_text(encoding="utf-8")).get("made")
        if found.claim(str(made)) and own.exists():
            progress.say(f"the database is new; what {own} holds stays there. {MOVE}")
        return found

    @property
    def name(self) -> str:
        """Return the name that reports show."""
        return self.config.project.name or self.folder.absolute().name

    @property
    def head(self) -> str | None:
        """Return the newest version of main; None before the first."""
        return self.store.head()

    @property
    def contract(self) -> Contract | None:
        """Return what the project promises about its data, if there is a `contract.toml`."""
        path = self.folder / CONTRACT
        return Contract.load(path) if path.is_file() else None

    def dataset(self, version: str | None = None, *, branch: str = "main") -> Dataset:
        """Return a version's data, the head of a branch by default, which the next commit then builds on.

        Its sound classes are those that `scarce.toml` names, where it names some; a step of the lineage says so.
        """
        if version is None:
            version = self._seen[branch] = self.store.head(branch)
        ds, told = self.store.open(version), self.config.project.normal_classes
        named = [name for name in ds.schema.classes if name in told]
        if not named or {*named} == {*ds.schema.normal_classes}:
            return ds
        from scarce.io import with_normal

        return with_normal(ds, named)

    def commit(
        self, ds: Dataset, message: str, *, owner: str | Sequence[str] | None = None, branch: str = "main"
    ) -> str:
        """Write a version on top of the one that this object saw last, and return its name.

        Raises:
            ConflictError: somebody else committed since; open the new head and do it again, or use :meth:`change`.
            ContractError: a rule of the data type, or of the project's contract, would be broken.
        """
        parent = self._seen[branch] if branch in self._seen else self.store.head(branch)
        return self._write(ds, parent, Draft(message, owner, branch))

    def change(
        self, change: Change, message: str, *, owner: str | Sequence[str] | None = None, branch: str = "main"
    ) -> str:
        """Apply a change to the head and commit it; done again on the new head when somebody was faster.

        Raises:
            ConflictError: the other change and this one cannot both hold.
        """
        draft = Draft(message, owner, branch)
        return self.store.retry(change, lambda ds, parent: self._write(ds, parent, draft), branch=branch)

    def restore(self, version: str, *, branch: str = "main") -> str:
        """Bring an old version's content back as a new version; newer ones stay."""
        name = self._seen[branch] = self.store.restore(version, branch=branch)
        return name

    def log(self) -> list[Version]:
        """Return all versions, newest first."""
        return self.store.log()

    def tag(self, name: str, version: str | None = None) -> None:
        """Name a version, the head by default."""
        self.store.tag(name, version)

    def diff(self, old: str | None, new: str | None = None) -> Changes:
        """Return what differs between two versions."""
        return self.store.diff(old, new)

    def verify(self, version: str | None = None) -> Verified:
        """Read every source again and compare it with the hash that the version holds.

        Also checks that the version itself holds what was committed.
        """
        from scarce.modality import BrokenSampleError, raw
        from scarce.modality._base import content_hash

        self.store.verify(version)
        ds = self.store.open(version)
        hashes = ds.table["content_hash"].to_pylist() if "content_hash" in ds.table.column_names else [None] * len(ds)
        real = ds["origin"] == "real"
        rows = np.flatnonzero([bool(known) and bool(here) for known, here in zip(hashes, real, strict=True)])
        changed: list[str] = []
        missing: dict[str, str] = {}
        for row, place in progress.track(
            zip(rows, raw.addresses(ds, rows), strict=True), "verify sources", total=len(rows)
        ):
            try:
                same = content_hash(raw.content(place, ds.schema.modality)) == hashes[row]
            except BrokenSampleError as error:
                missing[str(ds.ids[row])] = str(error)
                continue
            if not same:
                changed.append(str(ds.ids[row]))
        return Verified(checked=len(rows), changed=tuple(changed), missing=missing)

    def status(self) -> dict[str, Any]:
        """Return head, counts and sizes as plain values."""
        head = self.store.head()
        body: dict[str, Any] = {
            "name": self.name, "folder": str(self.folder), "head": head, "branches": self.store.branches(),
            "tags": self.store.tags(), "store": self.store.size(),
            "bytes": {name: size_of(place) for name, place in (
                ("features", self.features), ("models", self.models), ("reports", self.reports))},
            "models": self._models(head),
        }  # fmt: skip
        if head:
            version, ds = self.store.version(head), self.store.open(head)
            kept = ds["keep"].astype(bool)
            counts = np.bincount(ds["label"][kept & (ds["label"] >= 0)], minlength=len(ds.schema.classes))
            body |= {
                "rows": len(ds), "kept": int(kept.sum()), "message": version.message, "at": version.at,
                "classes": {name: int(n) for name, n in zip(ds.schema.classes, counts, strict=True)},
            }  # fmt: skip
        return body

    def clean_up(self) -> dict[str, int]:
        """Bring features and checkpoints within their quotas, the longest unused first; return the bytes freed."""
        quotas = {"features": (self.features, self.config.encode.quota_gib),
                  "models": (self.models, self.config.train.quota_gib)}  # fmt: skip
        return {name: self._prune(name, place, int(gib * GIB)) for name, (place, gib) in quotas.items()}

    def _prune(self, name: str, place: Path, quota: int) -> int:
        """Delete the oldest files beyond a quota; finished models are never touched, only checkpoints."""
        files = [path for path in place.rglob("*") if path.is_file()]
        total, freed = sum(path.stat().st_size for path in files), 0
        loose = [path for path in files if name == "features" or "checkpoint" in str(path.relative_to(place))]
        for path in sorted(loose, key=lambda path: path.stat().st_mtime):
            if total - freed <= quota:
                break
            freed += path.stat().st_size
            path.unlink()
        return freed

    def _models(self, head: str | None) -> list[dict[str, Any]]:
        classes = list(self.store.version(head).schema["classes"]) if head else []
        kept = self.config.project.state_url or (self.folder / HIDDEN / "state.db").exists()
        aliases = self.state.aliases() if kept else {}
        found = []
        for card in sorted(self.models.glob("*/card.json")):
            try:
                body = json.loads(card.read_text(encoding="utf-8"))
            except ValueError:
                body = {}
            name = card.parent.name
            known = set(body.get("normal_classes", ())) <= set(classes) if body.get("sound_only") else None
            stale = body.get("classes") != classes if known is None else not known
            found.append({"name": name, "bytes": size_of(card.parent), "stale": stale,
                          "aliases": [alias for alias, target in aliases.items() if target == name]})  # fmt: skip
        return found

    def _promised(self, ds: Dataset) -> tuple[str, ...]:
        """Check the project's contract; return what only warns.

        Raises:
            ContractError: the contract refuses.
        """
        contract = self.contract
        broken: list[Violation] = contract.check(ds) if contract else []
        if contract and contract.on_violation == "refuse":
            try:
                refuse("contract", [item for item in broken if item.rule not in contract.warn])
            except ContractError as error:
                do = f"mend the data, or change {CONTRACT}"
                raise ContractError(error.who, error.what, error.there, do) from None
        return tuple(f"{item.rule}: {item.what}" for item in broken)

    def _write(self, ds: Dataset, parent: str | None, draft: Draft) -> str:
        """Write both sides under the lock: intent in SQL, Lance commit that carries it, done in SQL."""
        notes = self._promised(ds)
        with self.store.locked():
            self._settle()
            self._unsettled.touch()
            token, version = self.state.begin(draft.message), None
            try:
                version = self.store.commit(
                    ds, parent=parent, message=draft.message, owner=draft.owner, branch=draft.branch, intent=token,
                    notes=notes,
                )  # fmt: skip
            finally:
                self.state.finish(token, version or self.store.fulfilled(token))
                self._unsettled.unlink(missing_ok=True)
        self._seen[draft.branch] = version
        return version

    def _settle(self) -> None:
        """Finish or roll back what a killed process intended, unless somebody is writing now."""
        if not self._unsettled.exists():
            return
        with self.store.alone() as held:
            if held:
                for row in self.state.intents("open"):
                    self.state.finish(row["token"], self.store.fulfilled(row["token"]))
                self._unsettled.unlink(missing_ok=True)


@dataclass(frozen=True)
class Draft:
    """What is to be written: message, owner, branch."""

    message: str
    owner: str | Sequence[str] | None
    branch: str


def is_project(folder: str | Path) -> bool:
    """Return whether a folder is (or was) a project, rather than data to be read."""
    return (Path(folder) / HIDDEN).is_dir() or (Path(folder) / SETTINGS).exists()


def open_dataset(path: str | Path, version: str | None = None) -> Dataset:
    """Return a version of a project's data: by number (``v3``), tag or branch; the newest by default.

    Args:
        path: the project's folder.
        version: which one.
    """
    with Project.open(path) as project:
        return project.dataset(version)


def _migrate(folder: Path, body: dict[str, Any]) -> None:
    version = body.get("format", 1)
    if not isinstance(version, int) or version > FORMAT:
        raise StoreError(
            "project", f"{folder} has format {version!r}", f"this scarce knows up to {FORMAT}", "upgrade scarce"
        )
    for step in MIGRATIONS[version - 1 : FORMAT - 1]:
        body = step(folder, body)
    if version < FORMAT:
        write_json(folder / HIDDEN / "project.json", {**body, "format": FORMAT})
