"""Labelling functions over samples: in parallel, remembered, and no function stops the others."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from scarce import progress
from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import DataError
from scarce.execute.local import cores, spread
from scarce.label.rule._function import ABSTAIN, LabelingFunction, answer_of, refuse_twins
from scarce.label.rule._memory import Memory
from scarce.label.rule._sample import row_keys, rule_samples

WHO: Final = "label.rule"
BLOCK: Final = 256
TRIAL: Final = 32
WORTH_PROCESSES: Final = 3.0
"""Seconds of work from which processes pay for their start."""
Pool = Literal["auto", "threads", "processes"]


@dataclass(frozen=True)
class Failure:
    """A labelling function that could not answer somewhere.

    Attributes:
        name: of the function.
        count: samples on which it failed; it abstains there.
        first: the first error.
        sample: the sample of the first error: its id, or its number.
    """

    name: str
    count: int
    first: str
    sample: str


@dataclass(frozen=True, eq=False)
class Applied:
    """What labelling functions said.

    Attributes:
        votes: (N, m) class codes, -1 = abstained: the matrix L.
        names: of the m functions.
        soft: column to (N, K) float32 probabilities where a function gave some; rows of NaN elsewhere.
        failures: functions that failed somewhere, most failures first.
        remembered: how many answers came from the cache.
    """

    votes: Ints
    names: tuple[str, ...]
    soft: Mapping[int, Floats] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    remembered: int = 0


@dataclass(frozen=True)
class Task:
    """What one worker does: functions that are asked about a block of samples."""

    functions: tuple[LabelingFunction, ...]
    classes: tuple[str, ...]

    def __call__(self, block: Sequence[Any]) -> list[list[Any]]:
        """Return, function by function, an answer a sample: a code, (code, probabilities), or the text of an error."""
        return [[self.ask(function, sample) for sample in block] for function in self.functions]

    def ask(self, function: LabelingFunction, sample: Any) -> Any:
        """Return one answer."""
        try:
            code, probs = answer_of(function(sample), self.classes)
        except Exception as error:  # noqa: BLE001 - one bad function must not stop the others
            kind = type(error).__name__
            return f"{error}" if kind == "ValueError" and str(error).startswith("it answered") else f"{kind}: {error}"
        return code if probs is None else (code, probs)


def apply_functions(
    functions: Sequence[LabelingFunction],
    samples: Dataset | Iterable[Any],
    classes: Sequence[str] | int | None = None,
    *,
    workers: int | None = None,
    pool: Pool = "auto",
    cache: str | Path | None = None,
) -> Applied:
    """Return what labelling functions say about samples.

    A function that raises, or answers what is no class, abstains on that sample; the count and the first error are in
    ``failures``.

    Args:
        functions: made with :func:`labeling_function`; at least one.
        samples: a dataset, of which functions see :class:`RuleSample`; or any objects, passed as they are.
        classes: names of the classes, or how many; a dataset's own by default.
        workers: threads or processes at most; None = as many as there are cores.
        pool: ``threads`` suit functions that read files; ``processes`` those that compute in Python; ``auto`` times a
            few samples and chooses.
        cache: a folder that keeps answers by content, columns and source of the function; datasets only.

    Raises:
        DataError: no functions, two of one name, or no classes.
    """
    functions = list(functions)
    refuse_twins(functions)
    names = _classes(samples, classes)
    if not functions:
        raise DataError(WHO, "there are no labelling functions", do="write @labeling_function() above a function")
    if isinstance(samples, Dataset):
        rows = np.arange(len(samples))
        memory = Memory(Path(cache), row_keys(samples, rows), names) if cache is not None else None
        ids: Sequence[str] = samples.ids.tolist()
        n = len(rows)
    else:
        samples = list(samples)
        memory, n = None, len(samples)
        ids = [str(number) for number in range(n)]
    out = _Answers(functions, len(names), ids)
    todo = _remembered(out, functions, memory)
    for group, open_rows in todo:
        task = Task(tuple(functions[column] for column in group), names)
        given = rule_samples(samples, open_rows) if isinstance(samples, Dataset) else (samples[i] for i in open_rows)
        begin = 0
        for answers in _answers(task, given, len(open_rows), workers, pool):
            part = open_rows[begin : begin + len(answers[0])]
            for column, said in zip(group, answers, strict=True):
                out.take(column, part, said)
            begin += len(part)
    if memory is not None:
        for column, function in enumerate(functions):
            memory.keep(function, out.votes[:, column], out.soft.get(column), out.failed[column])
    return out.applied()


def _classes(samples: Any, classes: Sequence[str] | int | None) -> tuple[str, ...]:
    if classes is None and isinstance(samples, Dataset):
        classes = samples.schema.classes
    names = tuple(str(code) for code in range(classes)) if isinstance(classes, int) else tuple(classes or ())
    if not names:
        raise DataError(WHO, "there are no classes", do="name the classes: classes=('ham', 'spam')")
    return names


class _Answers:
    """The answers so far."""

    def __init__(self, functions: Sequence[LabelingFunction], k: int, ids: Sequence[str]) -> None:
        n, self.ids, self.k = len(ids), ids, k
        self.names = tuple(function.name for function in functions)
        kind = np.int8 if self.k < 128 else np.int32
        self.votes = np.full((n, len(functions)), ABSTAIN, kind)
        self.failed = np.zeros((len(functions), n), bool)
        self.first: dict[int, tuple[int, str]] = {}
        self.soft: dict[int, Floats] = {}
        self.remembered = 0

    def take(self, column: int, rows: Array, said: Sequence[Any]) -> None:
        """Keep the answers of one function about some rows."""
        for row, answer in zip(rows, said, strict=True):
            if isinstance(answer, str):
                self.failed[column, row] = True
                if column not in self.first or row < self.first[column][0]:
                    self.first[column] = int(row), answer
            elif isinstance(answer, tuple):
                self.votes[row, column] = answer[0]
                self.keep_soft(column, np.array([row]), answer[1][None])
            else:
                self.votes[row, column] = answer

    def keep_soft(self, column: int, rows: Array, probs: Array) -> None:
        """Keep probabilities."""
        if column not in self.soft:
            self.soft[column] = np.full((len(self.votes), self.k), np.nan, np.float32)
        self.soft[column][rows] = probs

    def applied(self) -> Applied:
        """Return the result."""
        found = [
            Failure(self.names[column], int(self.failed[column].sum()), text, self.ids[row])
            for column, (row, text) in self.first.items()
        ]
        found.sort(key=lambda one: (-one.count, one.name))
        return Applied(self.votes, self.names, self.soft, tuple(found), self.remembered)


def _remembered(
    out: _Answers, functions: Sequence[LabelingFunction], memory: Memory | None
) -> list[tuple[list[int], Ints]]:
    """Take over what is remembered; return groups of functions with the rows that they are still to be asked about."""
    every = np.arange(len(out.votes))
    groups: dict[bytes, tuple[list[int], Ints]] = {}
    for column, function in enumerate(functions):
        rows = every
        if memory is not None:
            known, votes, soft = memory.recall(function)
            out.votes[known, column] = votes
            out.remembered += len(known)
            if soft is not None:
                out.keep_soft(column, known, soft)
            rows = np.setdiff1d(every, known)
        if len(rows):
            groups.setdefault(rows.tobytes(), ([], rows))[0].append(column)
    return list(groups.values())


def _answers(
    task: Task, given: Iterable[Any], total: int, workers: int | None, pool: Pool
) -> Iterable[list[list[Any]]]:
    """Yield the answers about blocks of samples, in order."""
    given = iter(given)
    most = max(1, workers or cores())
    wall, processor = time.perf_counter(), time.process_time()
    trial = list(islice(given, TRIAL))
    yield task(trial)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    left = total - len(trial)
    if pool == "auto":
        long = wall / max(len(trial), 1) * left > WORTH_PROCESSES
        pool = "processes" if long and processor > 0.5 * wall and most > 1 else "threads"
    blocks = _blocks(given)
    if pool == "processes" and most > 1 and left:
        yield from _by_processes(task, blocks, most, total)
        return
    for group in progress.track(_several(blocks, 4 * most), "labelling functions"):
        yield from spread(task, group, workers=most)


def _blocks(given: Iterable[Any]) -> Iterable[list[Any]]:
    given = iter(given)
    while block := list(islice(given, BLOCK)):
        yield block


def _several(blocks: Iterable[list[Any]], most: int) -> Iterable[list[list[Any]]]:
    blocks = iter(blocks)
    while group := list(islice(blocks, most)):
        yield group


def _by_processes(task: Task, blocks: Iterable[list[Any]], workers: int, total: int) -> Iterable[list[list[Any]]]:
    """Yield answers that processes of joblib give; functions travel by value, so that those of a notebook do, too."""
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=workers, backend="loky", return_as="generator")
    done = parallel(delayed(task)(block) for block in blocks)
    yield from progress.track(done, "labelling functions", total=-(-total // BLOCK))
