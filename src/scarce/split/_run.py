"""The driver of splitting: what is given, what must stay together, what is free, and what is said about it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scarce import registry
from scarce.ballot import vouched
from scarce.dataset import Array, Dataset, Ints, Mask
from scarce.errors import ConfigError, DataError, unknown_name
from scarce.kin import chain, component_codes
from scarce.lineage import Step
from scarce.split._base import NAMES, TEST, TRAIN, VAL, AbstractSplitter, Units, shares_of
from scarce.split._component import Links, components, links
from scarce.split._marked import labelled, marks_of
from scarce.split._new import Past, shares_left, why_waiting
from scarce.split._prove import proofs

FREE, POOL = -1, 3
CODES = {None: FREE, "train": TRAIN, "val": VAL, "test": TEST, "pool": POOL}
SHOWN = 50
"""Members that a finding about many samples names."""


def run(
    ds: Dataset,
    *,
    ratios: Sequence[float] = (0.7, 0.1, 0.2),
    seed: int = 0,
    hold_out: str | None = None,
    test: str | Path | None = None,
    splitter: str | AbstractSplitter = "grouped",
) -> Dataset:
    """Set ``split`` and ``split_group``, and say in findings what each class's counts can prove.

    What the data came with is respected: test stays test. Where val or test is missing, it is carved out of train.

    New rows (no split yet, beside rows that have one) go to train and val, so that scores on the test stay comparable.
    A class without a test sample could never be judged so: its new rows, with all of their groups, go to train, val
    and test, as many as bring the class nearest to its shares, and so do those that it gets later. Only where the test
    was named (``hold_out``, ``test``) does no other row enter it. Copies of test samples among the new rows, and rows
    that would bridge two splits, wait in the pool; a finding of level ``sample`` says why, and they stay kept, since a
    later split may take them. Unlabelled rows are the pool; once labelled, they count as new.

    Labels of rules and models are trained on and never judged by: such rows follow their group into train; where their
    group is judged on, they wait in the pool.

    Where a given split cuts a group, its evaluation rows stay and its training rows wait in the pool.

    Pictures that have boxes and no label are divided by the classes of their boxes, those without a box as one more
    class; where nobody looked for boxes, they are the pool.

    Args:
        ds: the dataset; audited, if duplicates are to be kept together.
        ratios: shares of train, val and test.
        seed: of what is drawn.
        hold_out: ``column=value``: these samples are the test.
        test: name or folder of the source that is the test.
        splitter: name of a splitter, or one itself.

    Raises:
        ConfigError: the ratios are no shares, or two options contradict each other.
        UnknownNameError: there is no such splitter, column, value or source.
        DataError: nothing would be left to train on.
    """
    started = time.perf_counter()
    shares = shares_of(ratios)
    chosen = _chosen(splitter, hold_out)
    marks = marks_of(ds)
    told = ds if marks is None else labelled(ds, marks)
    given = _given(told, test)
    if hold_out and (given == TEST).any():
        raise ConfigError("split", f"hold_out = {hold_out!r}", f"{int((given == TEST).sum())} samples are test already",
                          "give one or the other")  # fmt: skip
    real = np.flatnonzero(ds["origin"] == "real")
    real = real[np.argsort(ds.ids[real].astype(str), kind="stable")]
    job = _Job(told.take(real), given[real], shares, chosen, seed, _past(ds, given, test))
    job.marks = None if marks is None else marks[real]
    job.trust()
    job.keep_together()
    job.repair()
    job.admit()
    job.divide()
    out = _written(ds, real, job)
    params = {**chosen.params(), "ratios": list(shares), **job.past.params()}
    params |= {"test": _sources(ds, test)[:1]} if test is not None else {}
    step = Step(stage="split", name=chosen.plugin_name(), params=params, seed=seed)
    out = out.with_step(step.stamped(seconds=time.perf_counter() - started))
    return out.with_findings("split", [*proofs(out, marks), *job.findings])


def forget(ds: Dataset) -> Dataset:
    """Return the dataset as if it had never been split."""
    none = [None] * len(ds)
    return ds.with_columns({"split": none, "split_group": none}).with_step(Step(stage="split", name="forget"))


def _chosen(splitter: str | AbstractSplitter, hold_out: str | None) -> AbstractSplitter:
    if not isinstance(splitter, str):
        return splitter
    name = "hold_out" if hold_out and registry.canonical(splitter) == "grouped" else splitter
    plugin = registry.load("split", name, AbstractSplitter)  # type: ignore[type-abstract]
    return plugin.from_params({"where": hold_out} if hold_out else {})


def _given(ds: Dataset, test: str | Path | None) -> Ints:
    """Return (N,) what each row's split is already."""
    given = np.array([CODES.get(name, FREE) for name in ds.table["split"].to_pylist()], np.int64)
    if "split_group" in ds:
        given[(given == POOL) & ds["keep"].astype(bool) & (ds["label"] >= 0)] = FREE
    if test is None:
        return given
    wanted = _sources(ds, test)
    if not wanted:
        if (given == TEST).any():
            return given
        raise unknown_name("split", "source", test, ds.sources)
    given[np.isin(ds["source"].astype(str), wanted)] = TEST
    return given


def _sources(ds: Dataset, test: str | Path) -> list[str]:
    """Return the names of the sources that a name or a folder means."""
    return sorted(name for name, place in ds.sources.items() if str(test) in (name, place) or _same(place, test))


def _past(ds: Dataset, given: Ints, test: str | Path | None) -> Past:
    """Return what still holds of the last split; nothing does where it was forgotten."""
    past = Past.of(ds) if (given == TEST).any() else Past()
    return replace(past, apart=past.apart or test is not None)


def _same(place: str, test: str | Path) -> bool:
    return Path(place).resolve() == Path(test).resolve()


@dataclass(eq=False)
class _Job:
    """The real rows of a dataset while they are split.

    ``code`` (N,) is the component of each row, ``split`` (N,) what is decided, ``pooled`` the rows that wait,
    ``marks`` (N, K) the classes on each picture where boxes say them.
    """

    ds: Dataset
    given: Ints
    ratios: tuple[float, float, float]
    splitter: AbstractSplitter
    seed: int
    past: Past
    marks: Mask | None = None

    def __post_init__(self) -> None:
        self.findings: list[Mapping[str, Any]] = []
        self.labels: Ints = self.ds["label"]
        self.usable: Mask = self.ds["keep"].astype(bool) & (self.labels >= 0)
        self.spoken: Mask = self.usable & vouched(self.ds)
        self.split: Ints = self.given.copy()
        self.code: Ints = np.arange(len(self.ds))
        self.links = Links(np.zeros((0, 2), np.int64), np.zeros((0, 2), np.int64), np.zeros(0, np.float32))

    def trust(self) -> None:
        """Let rows wait in the pool that were to be judged on with the label of a rule or a model."""
        echo = self.usable & ~self.spoken & np.isin(self.given, (VAL, TEST))
        if echo.any():
            self.split[echo] = self.given[echo] = POOL
            self._tell(np.flatnonzero(echo), "their label is a rule's or a model's; they are not judged on", score=1.0)

    def keep_together(self) -> None:
        """Find the components: old rows among themselves first, so that no new row can tie old splits together."""
        if not self.splitter.whole:
            return
        found = links(self.ds)
        old = self.given != FREE
        if "split_group" in self.ds and old.any():
            found = _tied(found, self.ds["split_group"], old)
        if "group" in self.ds and old.any():
            found = _tied(found, self.ds["group"], old)
        self.links = found
        joined = components(self.ds, found, labels=np.where(self.usable, self.labels, -1), n_classes=self._k)
        self.findings += joined.findings
        self.code = joined.code
        if old.any() and not old.all():
            self.code = self._without_bridges(joined.code, found, old)

    @property
    def _k(self) -> int:
        return len(self.ds.schema.classes)

    def _without_bridges(self, code: Ints, found: Links, old: Mask) -> Ints:
        """Return components in which new rows that would tie two splits together stand alone, in the pool."""
        pairs = np.concatenate([found.sure, found.near])
        pairs = pairs[(code[pairs[:, 0]] == code[pairs[:, 1]])] if len(pairs) else pairs
        inside = old[pairs].all(axis=1)
        before = component_codes(len(code), pairs[inside])
        bridging = np.zeros(len(code), bool)
        mixed = _kinds(code, np.where(old, self.given, FREE)).sum(1) > 1
        for members in _members(code, np.flatnonzero(~old & mixed[code])):
            if len(np.unique(before[members][old[members]])) > 1:
                new = members[~old[members]]
                bridging[new] = True
                self._tell(
                    new, "they are new, near samples of two splits, and would bridge them; they wait in the pool"
                )
        if not bridging.any():
            return code
        decided = np.where(old, self.given, FREE)
        self.findings += why_waiting(self.ds, found, code, decided, np.flatnonzero(bridging))
        self.split[bridging] = POOL
        return component_codes(len(code), pairs[~bridging[pairs].any(axis=1)])

    def repair(self) -> None:
        """Where a given split cuts a group, keep its evaluation rows and let its other rows wait in the pool."""
        mixed = _kinds(self.code, self.split).sum(1) > 1
        moved = []
        for members in _members(self.code, np.flatnonzero(mixed[self.code])):
            kinds = self.split[members]
            best = TEST if (kinds == TEST).any() else VAL
            wrong = members[((kinds == TRAIN) | (kinds == VAL)) & (kinds != best)]
            where = " and ".join(sorted({NAMES[kind] for kind in self.split[wrong]}))
            self.split[wrong] = POOL
            moved.append(wrong)
            if len(moved) <= SHOWN:
                why = f"leakage: {where} samples of a group that is also in {NAMES[best]}; "
                self._tell(wrong, why + f"the {NAMES[best]} samples stay, these wait in the pool", score=1.0)
        if len(moved) > SHOWN:
            self._tell(np.concatenate(moved[SHOWN:]), f"leakage in {len(moved) - SHOWN} more groups", score=1.0)
        had = (self.given == TRAIN) & self.usable
        if had.any() and not ((self.split == TRAIN) & self.usable).any():
            raise DataError(
                "split", f"every one of the {int(had.sum())} training samples shares a group with evaluation samples",
                "the given split cuts the groups", "leave out the given split or the group column, or mend one of them",
            )  # fmt: skip

    def admit(self) -> None:
        """Let new rows join the split of their group; never as a copy of a test sample."""
        new = self.given == FREE
        if not new.any() or new.all():
            return
        kinds = _kinds(self.code, self.split)[self.code]
        new &= self.split == FREE
        self.split[new & kinds[:, TRAIN]] = TRAIN
        self.split[new & kinds[:, VAL]] = VAL
        self.split[new & kinds[:, VAL] & self.usable & ~self.spoken] = POOL
        held = np.flatnonzero(new & kinds[:, TEST])
        if len(held):
            self.split[held] = POOL
            self._tell(held, "they are copies of test samples, or of their group; they wait in the pool")
            self.findings += why_waiting(self.ds, self.links, self.code, self.split, held)

    def divide(self) -> None:
        """Divide what is free by the splitter, and put unlabelled rows into the pool."""
        self._spread()
        ratios, source = self._open()
        free = (self.usable if self.splitter.by_value else self.spoken) & np.isin(self.split, source)
        if free.any() and max(ratios) > 0:
            self._assign(free, ratios)
        self._follow()
        loose = self.split == FREE
        self.split[loose & self.ds["keep"].astype(bool)] = POOL
        tied = np.full(int(self.code.max(initial=0)) + 1, FREE)
        decided = np.flatnonzero((self.split >= TRAIN) & (self.split <= TEST))
        tied[self.code[decided]] = self.split[decided]
        self.split = np.where(self.split == FREE, tied[self.code], self.split)

    def _follow(self) -> None:
        """Put rows that a rule or a model labelled into train, or into the pool where their group is judged on."""
        if self.usable.any() and not self.spoken.any():
            raise DataError(
                "split", f"all {int(self.usable.sum())} labels were given by rules or models",
                "no model can be judged by them", "label some samples yourself: scarce label, or scarce review",
            )  # fmt: skip
        follow = self.usable & ~self.spoken & (self.split != POOL)
        kinds = _kinds(self.code, self.split)[self.code]
        seen = follow & (kinds[:, VAL] | kinds[:, TEST])
        self.split[follow] = TRAIN
        self.split[seen] = POOL
        if seen.any():
            why = "a rule or a model labelled them, and their group is judged on; they wait in the pool"
            self._tell(np.flatnonzero(seen), why)

    def _spread(self) -> None:
        """Divide the new rows of classes that have no test sample, or had none when they came, and of their groups."""
        tested = (self.given == TEST) & self.spoken
        if not tested.any() or not self.ratios[TEST] or self.past.apart:
            return
        late = set(self.past.late)
        for k in np.unique(self.labels[self.spoken & (self.split == FREE)]).tolist():
            if not (tested & (self.labels == k)).any():
                late.add(self.ds.schema.classes[k])
        self.past = replace(self.past, late=frozenset(late & set(self.ds.schema.classes)))
        codes = [self.ds.schema.classes.index(name) for name in self.past.late]
        for k in sorted(codes, key=lambda k: (int((self.spoken & (self.labels == k) & (self.split == FREE)).sum()), k)):
            self._spread_class(k)

    def _spread_class(self, k: int) -> None:
        mine = self.spoken & (self.labels == k)
        new = mine & (self.split == FREE)
        if not new.any():
            return
        have = np.bincount(self.split[mine & (self.split >= TRAIN) & (self.split <= TEST)], minlength=3)
        rows = self.spoken & (self.split == FREE) & np.isin(self.code, self.code[new])
        self._assign(rows, shares_left(have, int(new.sum()), self.ratios))
        went = ", ".join(f"{name} {int((self.split[new] == kind).sum())}" for kind, name in enumerate(NAMES))
        name = self.ds.schema.classes[k]
        self._tell(np.flatnonzero(new), f"they are new, and {name} came after the test was drawn: {went}", score=0.0)

    def _open(self) -> tuple[tuple[float, float, float], tuple[int, ...]]:
        """Return the shares of what is still to be filled, and from which rows."""
        train, val, test = self.ratios
        has = {kind: bool(((self.given == kind) & self.spoken).any()) for kind in (TRAIN, VAL, TEST)}
        if has[TEST] or has[VAL]:
            test, val = (0.0 if has[TEST] else test), (0.0 if has[VAL] and not has[TEST] else val)
        if has[TEST] and has[VAL]:
            return _normal(train, val, 0.0), (FREE,)
        return _normal(train, val, test), ((FREE, TRAIN) if has[TRAIN] else (FREE,))

    def _assign(self, free: Mask, ratios: tuple[float, float, float]) -> None:
        rows = np.flatnonzero(free)
        settled = np.zeros(int(self.code.max()) + 1, bool)
        settled[self.code[(self.split == VAL) | (self.split == TEST)]] = True
        rows = rows[~settled[self.code[rows]]]
        if not len(rows):
            return
        labels = np.unique(self.code[rows], return_inverse=True)[1]
        marks = None if self.marks is None else self.marks[rows]
        units = Units(self.ds.take(rows), labels.astype(np.int64), ratios, marks)
        assigned = self.splitter.assign(units, seed=self.seed)
        out = self.splitter.left_out(units, assigned)
        self.split[rows] = np.where(out, POOL, assigned[units.code])
        if out.any():
            self._tell(rows[out], "they share a group with held-out ones and wait in the pool")

    def _tell(self, rows: Array, why: str, *, score: float = 0.5) -> None:
        members = self.ds.ids[np.asarray(rows)[:SHOWN]].tolist()
        told = f"{len(rows)} sample{'s' * (len(rows) != 1)}: {why}"
        self.findings.append({"level": "group", "members": members, "score": score, "why": told})


def _normal(*shares: float) -> tuple[float, float, float]:
    total = sum(shares)
    return shares[0] / total, shares[1] / total, shares[2] / total


def _kinds(code: Ints, split: Ints) -> Mask:
    """Return (C, 3) which of train, val and test each component holds."""
    found = np.zeros((int(code.max(initial=-1)) + 1, 3), bool)
    rows = np.flatnonzero((split >= TRAIN) & (split <= TEST))
    found[code[rows], split[rows]] = True
    return found


def _tied(found: Links, names: Array, rows: Mask) -> Links:
    """Return the links with rows of the same name tied together, some rows only."""
    chosen = names.astype(object)
    chosen[~rows] = None
    return replace(found, sure=np.concatenate([found.sure, chain(chosen)]))


def _members(code: Ints, rows: Ints) -> list[Ints]:
    """Return the members of each component that holds one of the rows."""
    wanted = np.unique(code[rows])
    order = np.argsort(code, kind="stable")
    starts = np.searchsorted(code[order], wanted)
    ends = np.searchsorted(code[order], wanted, side="right")
    return [order[a:b] for a, b in zip(starts, ends, strict=True)]


def _written(ds: Dataset, real: Ints, job: _Job) -> Dataset:
    """Return the dataset with both columns; grown rows follow their parents into train, others have no split."""
    splits: list[str | None] = [None] * len(ds)
    groups: list[str | None] = [None] * len(ds)
    first = np.full(int(job.code.max(initial=-1)) + 1, len(job.ds))
    np.minimum.at(first, job.code, np.arange(len(job.ds)))
    owners = job.ds.ids[first[job.code]] if len(job.ds) else np.zeros(0, object)
    names = (*NAMES, "pool")
    for place, row in enumerate(real.tolist()):
        kind = int(job.split[place])
        splits[row] = names[kind] if kind >= 0 else None
        groups[row] = str(owners[place]) if job.splitter.whole else None
    grown = np.setdiff1d(np.arange(len(ds)), real)
    if len(grown):
        place_of = {sample: row for row, sample in enumerate(ds.ids.tolist())}
        families = ds["parents"]
        for row in grown.tolist():
            family = [
                place_of[name] for name in (families[row] if families[row] is not None else ()) if name in place_of
            ]
            trains = bool(family) and all(splits[parent] == "train" for parent in family)
            splits[row] = "train" if trains else None
            groups[row] = groups[family[0]] if trains else None
    return ds.with_columns({"split": splits, "split_group": groups})
