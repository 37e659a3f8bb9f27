"""The driver: orders until enough are accepted, a limit is reached or the model fails; then rows in a dataset."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from scarce import modality, progress
from scarce.dataset import Dataset, Ints
from scarce.errors import DataError, ReadError, ScarceError, unknown_name
from scarce.lineage import key64
from scarce.recipe import growable, with_reasons
from scarce.registry import load
from scarce.synthesize._region import mask_box
from scarce.synthesize.generate._base import AbstractGenerator, Made, Maker, Order, Source, Stopped
from scarce.synthesize.generate._check import Copies, fault
from scarce.synthesize.generate._journal import Journal, content_key
from scarce.synthesize.generate._judged import Judged
from scarce.synthesize.generate._rows import Asked, sample_id, source_name, with_rows
from scarce.synthesize.screen._base import Candidate
from scarce.synthesize.screen._gate import Gate

STAGE: Final = "synthesize.generate"
Accept = Callable[[Made, str], str]


def _candidate(line: Mapping[str, Any], content: Any, *, marked: bool) -> Candidate:
    """Return a sample as screens see it; where the defect's pixels are known, it was drawn on its first parent."""
    name = f"{line['label']}/{line['order']:06d}-{line['position']:03d}"
    parents = tuple(line["parents"])
    return Candidate(name, content, line["label"], parents[0] if marked and parents else "", parents)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What may enter, and when to give up.

    Args:
        most_rejected: so many rejected ones in one call end it.
        most_in_a_row: so many rejected ones without an accepted one between them end it, too.
        seconds: of wall time in one call; None = no limit.
        ids: if given, only these real samples are shown to the model (a fold's train side).
        accept: called with a sample and its class; returns why it is rejected, empty to accept it.
        gate: screens that were fitted on real training samples; they see what ``accept`` left.
    """

    most_rejected: int = 100
    most_in_a_row: int = 20
    seconds: float | None = None
    ids: Sequence[str] | None = None
    accept: Accept | None = None
    gate: Gate | None = None


@dataclass(frozen=True, eq=False)
class Generated:
    """What came out.

    Attributes:
        dataset: the data with one row for each accepted sample.
        ids: of these rows, in the order in which they were made.
        folder: where their files lie.
        accepted: class to number.
        rejected: class to reason to number.
        stopped: why it ended before enough were accepted; empty if it did not.
        failed: whether that was a fault of a model or server rather than a limit.
        spent: calls and money, earlier sessions included.
    """

    dataset: Dataset
    ids: tuple[str, ...]
    folder: Path
    accepted: Mapping[str, int]
    rejected: Mapping[str, Mapping[str, int]]
    stopped: str = ""
    failed: bool = False
    spent: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        return {
            "folder": str(self.folder), "accepted": dict(self.accepted),
            "rejected": {name: dict(reasons) for name, reasons in self.rejected.items()},
            "stopped": self.stopped, "failed": self.failed, "spent": dict(self.spent),
        }  # fmt: skip


def run(
    ds: Dataset, kind: AbstractGenerator | str, *, counts: Mapping[str, int], out: str | Path, seed: int = 0,
    limits: Limits | None = None,
) -> Generated:  # fmt: skip
    """Generate samples until so many of each class are accepted; the same call again goes on where it stopped.

    Args:
        ds: the data, split.
        kind: a generator or its name.
        counts: class to number of accepted samples in the folder, those of earlier sessions included.
        out: folder for files and journal; new, or that of an earlier call with the same settings.
        seed: seed of everything drawn.
        limits: what may enter, and when to give up.

    Raises:
        LeakError: the data is not split, or the ids reach outside the training split.
        DataError: the generator makes another kind of data.
        ConfigError: the folder holds something else.
        ScarceError: the model or server failed before anything was made.
    """
    plugin = load(STAGE, kind, AbstractGenerator)() if isinstance(kind, str) else kind  # type: ignore[type-abstract]
    job = _Job(ds, plugin, dict(counts), Path(out), seed=seed, limits=limits or Limits())
    stopped, failed = job.work()
    return job.result(stopped, failed=failed)


class _Job:
    """The state of one call."""

    def __init__(
        self, ds: Dataset, plugin: AbstractGenerator, counts: dict[str, int], out: Path, *, seed: int, limits: Limits
    ) -> None:  # fmt: skip
        self.ds, self.plugin, self.counts, self.seed, self.limits = ds, plugin, counts, seed, limits
        self.who = f"synthesize.{plugin.plugin_name()}"
        self._refuse()
        self.rows = growable(ds, limits.ids, who=self.who)
        self.pools = {name: self._pool(name) for name in counts}
        params = {key: value for key, value in plugin.params().items() if key not in plugin.free}
        gate = self.limits.gate
        screened = {"screen": gate.plan()} if gate is not None else {}
        self.journal = Journal(out, {"kind": plugin.plugin_name(), "seed": seed, **params, **screened})
        if gate is not None:
            for line in self.journal.accepted:
                gate.admit([_candidate(line, self.journal.content(line), marked="mask" in line)])
        self.seen = {line["sha"] for line in self.journal.samples}
        self.copies = self._copies()
        self.judged = Judged(ds) if plugin.makes == "image" and self.limits.ids is None else None
        self.rejected, self.in_a_row = 0, 0

    def _refuse(self) -> None:
        if self.ds.schema.modality != self.plugin.makes:
            raise DataError(self.who, f"it makes {self.plugin.makes} data", f"this is {self.ds.schema.modality} data")
        for name, wanted in self.counts.items():
            if name not in self.ds.schema.classes:
                raise unknown_name(self.who, "class", name, self.ds.schema.classes)
            if wanted < 0:
                raise DataError(self.who, f"{wanted} samples of {name!r} are asked for", do="ask for 0 or more")

    def _pool(self, name: str) -> Ints:
        """Return the rows that orders of a class may show to the model."""
        which, _ = self.plugin.sources()
        if which == "none":
            return np.zeros(0, np.int64)
        wanted = (name,) if which == "class" else self.ds.schema.normal_classes
        codes = [self.ds.schema.classes.index(item) for item in wanted]
        pool = self.rows[np.isin(self.ds["label"][self.rows], codes)]
        if not len(pool) and self.counts[name]:
            told = name if which == "class" else "a class that is known to be sound"
            do = "label some, name the sound class (--normal good), or choose a mode without them"
            raise DataError(self.who, f"it starts from training samples of {told}, and there is none", do=do)
        return np.asarray(pool)

    def _copies(self) -> Copies | None:
        if self.plugin.makes != "text":
            return None
        rows = self.rows if self.limits.ids is not None else np.flatnonzero(self.ds["origin"] == "real")
        copies = Copies(str(text) for text in modality.open_samples(self.ds, rows))
        for line in self.journal.accepted:
            copies.add(line["text"])
        return copies

    def work(self) -> tuple[str, bool]:
        """Make what is missing; return why it ended early, and whether that was a fault."""
        if not any(self._missing(name) for name in self.counts):
            return "", False
        begun = time.monotonic()
        try:
            with self.plugin.maker(dict(self.journal.spent)) as maker:
                for name in self.counts:
                    while self._missing(name):
                        if self.limits.seconds is not None and time.monotonic() - begun >= self.limits.seconds:
                            return "the time is over", False
                        self._order(maker, name)
                        if self.rejected >= self.limits.most_rejected or self.in_a_row >= self.limits.most_in_a_row:
                            return f"{self.rejected} samples were rejected; {self._why_rejected()}", False
        except Stopped as end:
            return str(end), False
        except ScarceError as error:
            if not self.journal.samples:
                raise
            return str(error), True
        return "", False

    def _missing(self, name: str) -> dict[int, int]:
        """Return the number of a combination (-1 = any) to how many of it are wanted still."""
        done = Counter(line["combination"] for line in self.journal.accepted if line["label"] == name)
        each = self.plugin.per_combination
        if not each:
            left = self.counts[name] - done.total()
            return {-1: left} if left > 0 else {}
        todo = range(len(self.plugin.combinations(name))) if self.counts[name] else range(0)
        return {key: each - done[key] for key in todo if done[key] < each}

    def _order(self, maker: Maker, name: str) -> None:
        index, missing = self.journal.orders[name], self._missing(name)
        combinations = self.plugin.combinations(name)
        key = sorted(missing)[index % len(missing)]
        at = index % len(combinations) if key < 0 else key
        rng = np.random.default_rng([self.seed, key64(name), key64(self.plugin.plugin_name()), index])
        seed = int(rng.integers(2**31))
        count = min(missing[key], self.plugin.per_order())
        sources = self._sources(name, rng)
        order = Order(index, name, seed, count, combinations[at], self.ds.schema.classes, sources)
        before, position = Counter(maker.spent), 0
        try:
            for made in maker.make(order):
                self._judge(made, order, at, position)
                position += 1
            if not position:
                self._judge(Made("", refused="nothing came back"), order, at, 0)
        finally:
            self.journal.spend({key: value - before[key] for key, value in maker.spent.items()})

    def _sources(self, name: str, rng: np.random.Generator) -> tuple[Source, ...]:
        """Return real samples to start from; those that cannot be opened are passed over."""
        _, most = self.plugin.sources()
        labels, found = self.ds.table["label"], list[Source]()
        for row in rng.permutation(self.pools[name]).tolist():
            if len(found) == most:
                break
            try:
                content = modality.open_samples(self.ds, [row])[0]
            except ReadError:
                continue
            found.append(Source(str(self.ds.ids[row]), str(labels[row].as_py()), content))
        if most and not found:
            raise ReadError(self.who, f"none of the {len(self.pools[name])} samples to start from can be opened")
        return tuple(found)

    def _judge(self, made: Made, order: Order, combination: int, position: int) -> None:
        why = fault(made, self.seen, self.copies)
        if not why and self.judged is not None and (twin := self.judged.find(np.asarray(made.content))):
            why = f"copies {twin}, which is judged on"
        if not why and self.limits.accept is not None:
            why = self.limits.accept(made, order.label)
        line = {
            "order": order.index, "position": position, "label": order.label, "accepted": not why, "why": why,
            "combination": combination, "values": dict(order.values), "seed": order.seed,
            "parents": list(made.parents), "sha": content_key(made.content), "record": dict(made.record),
        }  # fmt: skip
        gate = self.limits.gate
        if not why and gate is not None:
            candidate = _candidate(line, made.content, marked=made.mask is not None)
            why = gate.judge([candidate])[0]
            line |= {"accepted": not why, "why": why}
            if not why:
                gate.admit([candidate])
        if made.mask is not None and not why:
            line["box"] = mask_box(made.mask).tolist()
        usable = isinstance(made.content, str) or made.content.dtype == np.uint8
        self.journal.write(line, made.content if usable else "", made.mask)
        self.seen.add(line["sha"])
        if why:
            self.rejected, self.in_a_row = self.rejected + 1, self.in_a_row + 1
            return
        self.in_a_row = 0
        if self.copies is not None:
            self.copies.add(str(made.content))
        wanted = sum(self.counts.values())
        progress.report("generate", len(self.journal.accepted), max(wanted, len(self.journal.accepted)))

    def _why_rejected(self) -> str:
        reasons = Counter(line["why"] for line in self.journal.samples if not line["accepted"])
        return ", ".join(f"{why} ({count})" for why, count in reasons.most_common(3))

    def result(self, stopped: str, *, failed: bool) -> Generated:
        """Return the dataset with what the folder holds of the classes asked for."""
        if self.plugin.makes == "text":
            self.journal.write_texts()
        else:
            self.journal.write_labels(self.ds.schema.classes)
        lines = [(row, line) for row, line in enumerate(self.journal.accepted) if line["label"] in self.counts]
        ids = [sample_id(self.plugin, line) for _, line in lines]
        present = set(self.ds.ids)
        new = [(name, *pair) for name, pair in zip(ids, lines, strict=True) if name not in present]
        params = {**self.plugin.params(), "counts": self.counts}
        asked = Asked(self.plugin, params, self.seed, source_name(self.plugin, self.journal.folder))
        grown = with_rows(self.ds, self.journal.folder, new, asked) if new else self.ds
        accepted = Counter(line["label"] for _, line in lines)
        rejected: dict[str, Counter[str]] = {name: Counter() for name in self.counts}
        for line in self.journal.samples:
            if not line["accepted"] and line["label"] in rejected:
                rejected[line["label"]][line["why"]] += 1
        findings = [
            {"level": "class", "members": [name], "score": float(np.clip(1 - accepted[name] / wanted, 0, 1)),
             "why": f"{accepted[name]} of {wanted} samples generated by {self.plugin.plugin_name()}: {stopped}"}
            for name, wanted in self.counts.items() if stopped and accepted[name] < wanted
        ]  # fmt: skip
        grown = with_reasons(grown, "synthesize", findings)
        counts = {name: accepted[name] for name in self.counts}
        spent = dict(self.journal.spent)
        return Generated(grown, tuple(ids), self.journal.folder, counts, rejected, stopped, failed, spent)
