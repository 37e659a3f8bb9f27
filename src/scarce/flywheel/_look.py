"""One look at production: all tests for drift on plain arrays, with one false-alarm rate for all of them together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from scarce.dataset import Array, Floats, Ints, Mask
from scarce.flywheel import _apart
from scarce.flywheel._chance import checked_rate, one_each
from scarce.flywheel._seen import (
    ASK,
    CALIBRATION,
    INPUT,
    NEW_CLASS,
    PREDICTION,
    UNKNOWN,
    Confirmed,
    Look,
    Reading,
    Seen,
    Strangers,
)
from scarce.flywheel._strangers import class_variance, groups_of_strangers
from scarce.metric.interval import holm

FEWEST: Final = 20
"""Independent samples of a side that a test needs."""
FEWEST_CONFIRMED: Final = 30
"""Confirmed samples, as many as equal weights would need, below which nothing is said about calibration."""
MOST: Final = 1000
"""Samples of a side that the tests on features compare; of more, so many are drawn."""
MOST_LOOKED: Final = 5000
STRANGE: Final = 0.1
"""Share of the samples of both sides, those with the highest unknown score, that count as strange beside those that are
called unknown: a detector that lets nearly every known sample pass calls few of a new class unknown."""
OTHERS: Final = 0.01
"""From this p-value down ordinary samples are said to differ too."""
NOT_KEPT: Final = "no production sample was kept ([serve] keep_images = true keeps them)"
PLENTY: Final = 3
"""So many permutations are drawn for each one that the strictest threshold needs, at most."""
LEAST_DRAWS, MOST_DRAWS = 1999, 49_999


def look(
    reference: Seen, new: Seen, confirmed: Confirmed | None = None, *, rate: float = 0.01, seed: int = 0,
    only: frozenset[str] | None = None,
) -> Look:  # fmt: skip
    """Compare production with the reference.

    Of each group one sample is drawn, so that what is compared is independent. Every test holds its rate at any number
    of samples; Holm makes the rate that of the whole look.

    Args:
        reference: held-out samples of the data that the model was trained on.
        new: of production.
        confirmed: samples of production whose truth is known; None = none are.
        rate: chance of any false alarm of this look, in [0, 0.5]; 0 = nothing may raise one.
        seed: of everything random.
        only: kinds of tests; None = all.

    Raises:
        DataError: a rate that is none, or features of different encoders.
    """
    checked_rate(rate)
    plans = [plan for plan in _plans(reference, new, confirmed, seed) if only is None or plan.test.kind in only]
    count = sum(plan.run is not None for plan in plans)
    draws = min(max(LEAST_DRAWS, math.ceil(PLENTY * count / rate)), MOST_DRAWS) if rate else LEAST_DRAWS
    done = [_made(plan, draws) for plan in plans]
    adjusted = iter(holm([test.p for test, _ in done if test.p is not None]))
    tests: list[Reading] = []
    groups: tuple[Strangers, ...] = ()
    for test, found in done:
        if test.p is None:
            tests.append(test)
            continue
        value = next(adjusted)
        alarm = rate > 0 and value <= rate
        tests.append(replace(test, adjusted=value, alarm=alarm))
        if alarm and found:
            groups = found[:1] + tuple(group for group in found[1:] if group.p <= rate)
    return Look(tests=tuple(tests), rate=rate, groups=groups)


class _Said(NamedTuple):
    """What a test found, in words, and groups where it looks for some."""

    found: _apart.Apart
    words: str
    groups: tuple[Strangers, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """A test that can be made: what is known about it, and what makes it."""

    test: Reading
    run: Callable[[int], _Said] | None = None


def _made(plan: _Plan, draws: int) -> tuple[Reading, tuple[Strangers, ...]]:
    if plan.run is None:
        return plan.test, ()
    said = plan.run(draws)
    return replace(plan.test, statistic=said.found.statistic, p=said.found.p, said=said.words), said.groups


def _plans(reference: Seen, new: Seen, confirmed: Confirmed | None, seed: int) -> list[_Plan]:
    return [
        *_features(reference, new, seed), *_properties(reference, new, seed), *_answers(reference, new, seed),
        _calibration(confirmed, seed), _strange(reference, new, seed),
    ]  # fmt: skip


def _few(name: str, kind: str, n: int, m: int, why: str = "") -> _Plan:
    said = why or f"{n} reference and {m} production samples that are independent; {FEWEST} of each are needed"
    return _Plan(test=Reading(name=name, kind=kind, reference=n, new=m, said=said))


def _drawn(seen: Seen, rows: Array, seed: int, most: int = MOST_LOOKED) -> Ints:
    """Return one of the rows of each unit, at most so many."""
    own = np.flatnonzero(rows)
    own = own[one_each(seen.units[own], seed)]
    if len(own) <= most:
        return own
    return np.sort(np.random.default_rng([seed, 0x6D6F]).choice(own, most, replace=False))


def _features(reference: Seen, new: Seen, seed: int) -> list[_Plan]:
    sides = [_drawn(side, side.shown, seed, MOST) for side in (reference, new)]
    n, m = len(sides[0]), len(sides[1])
    names = ("embedding mmd", "embedding classifier")
    if min(n, m) < FEWEST:
        return [_few(name, INPUT, n, m, NOT_KEPT * (not m)) for name in names]
    first, second = _apart.together(reference.features[sides[0]], new.features[sides[1]])

    def kernel(draws: int) -> _Said:
        found = _apart.kernel_test(first, second, permutations=draws, seed=seed)
        return _Said(found, f"squared kernel distance {found.statistic:.4f}")

    def classifier(draws: int) -> _Said:
        found = _apart.classifier_test(first, second, permutations=draws, seed=seed)
        return _Said(found, f"a classifier tells production from the reference with AUROC {found.statistic:.3f}")

    return [_Plan(test=Reading(name=name, kind=INPUT, reference=n, new=m), run=run)
            for name, run in zip(names, (kernel, classifier), strict=True)]  # fmt: skip


def _properties(reference: Seen, new: Seen, seed: int) -> list[_Plan]:
    plans = []
    for name in sorted(set(reference.properties) & set(new.properties)):
        pair = [np.asarray(side.properties[name], np.float64) for side in (reference, new)]
        rows = [_drawn(side, np.isfinite(values), seed) for side, values in zip((reference, new), pair, strict=True)]
        first, second = (values[own] for values, own in zip(pair, rows, strict=True))
        if len(first) and len(second) and np.ptp(np.concatenate([first, second])) == 0:
            continue  # nothing to compare: a number that never varies
        plans.append(_number(name, INPUT, first, second))
    return plans


def _number(name: str, kind: str, first: Floats, second: Floats) -> _Plan:
    n, m = len(first), len(second)
    if min(n, m) < FEWEST:
        return _few(name, kind, n, m)

    def run(draws: int) -> _Said:
        del draws
        words = f"median {np.median(first):.4g} before, {np.median(second):.4g} now"
        return _Said(_apart.number_test(first, second), words)

    return _Plan(test=Reading(name=name, kind=kind, reference=n, new=m), run=run)


def _answers(reference: Seen, new: Seen, seed: int) -> list[_Plan]:
    rows = [_drawn(side, np.ones(len(side), bool), seed) for side in (reference, new)]
    n, m = len(rows[0]), len(rows[1])
    names = ("class mix", "confidence", "share of unknown", "share of ask")
    if min(n, m) < FEWEST:
        return [_few(name, PREDICTION, n, m) for name in names]
    first, second = (side.answers[own] for side, own in zip((reference, new), rows, strict=True))

    def mix(draws: int) -> _Said:
        found = _apart.mix_test(first, second, permutations=draws, seed=seed)
        kinds = np.unique(np.concatenate([first, second]))
        change = np.array([np.mean(second == kind) - np.mean(first == kind) for kind in kinds])
        most = int(np.abs(change).argmax())
        before = float(np.mean(first == kinds[most]))
        return _Said(found, f"{100 * found.statistic:.1f} % of the answers moved; most of all {kinds[most]}: "
                       f"{100 * before:.1f} % before, {100 * (before + change[most]):.1f} % now")  # fmt: skip

    plans = [_Plan(test=Reading(name=names[0], kind=PREDICTION, reference=n, new=m), run=mix)]
    sure = [np.asarray(side.sure, np.float64)[own] for side, own in zip((reference, new), rows, strict=True)]
    plans.append(_number(names[1], PREDICTION, *(values[np.isfinite(values)] for values in sure)))
    foreign = [np.asarray(side.foreign, np.float64)[own] for side, own in zip((reference, new), rows, strict=True)]
    if all(np.isfinite(values).any() for values in foreign):
        plans.append(_number("unknown score", PREDICTION, *(values[np.isfinite(values)] for values in foreign)))
    for name, verdict in zip(names[2:], (UNKNOWN, ASK), strict=True):
        hits = [np.asarray(side.verdicts)[own] == verdict for side, own in zip((reference, new), rows, strict=True)]
        if any(values.any() for values in hits):
            plans.append(_share(name, *hits))
    return plans


def _share(name: str, first: Mask, second: Mask) -> _Plan:
    def run(draws: int) -> _Said:
        del draws
        words = f"{100 * first.mean():.1f} % before, {100 * second.mean():.1f} % now"
        return _Said(_apart.share_test(first, second), words)

    return _Plan(test=Reading(name=name, kind=PREDICTION, reference=len(first), new=len(second)), run=run)


def _calibration(confirmed: Confirmed | None, seed: int) -> _Plan:
    name = "calibration"
    if confirmed is None or not len(confirmed.surplus):
        return _few(name, CALIBRATION, 0, 0, "no answer of this champion that was drawn at random is confirmed yet")
    weights = np.asarray(confirmed.weights, np.float64)
    good = np.isfinite(weights) & (weights > 0) & np.isfinite(confirmed.surplus)
    units = np.arange(len(good)) if confirmed.groups is None else np.asarray(confirmed.groups)
    own = np.flatnonzero(good)
    own = own[one_each(units[own], seed)]
    new, weights, old = confirmed.surplus[own], weights[own], confirmed.reference
    worth = float(weights.sum() ** 2 / (weights**2).sum()) if len(own) else 0.0  # Kish
    if worth < FEWEST_CONFIRMED or len(old) < FEWEST_CONFIRMED:
        why = (f"{len(own)} confirmed samples drawn at random, worth {worth:.0f} of equal weight, and {len(old)} of "
               f"the reference; {FEWEST_CONFIRMED} of each are needed")  # fmt: skip
        return _few(name, CALIBRATION, len(old), len(own), why)
    even = weights.max() - weights.min() <= 1e-9 * weights.max()

    def run(draws: int) -> _Said:
        found = _apart.surplus_test(old, new, None if even else weights, permutations=draws, seed=seed)
        now = float(new @ weights / weights.sum())
        words = "surer" if now > 0 else "less sure"
        return _Said(found, f"answers are on average {100 * abs(now):.1f} points {words} than right; "
                            f"{100 * float(old.mean()):+.1f} on the reference")  # fmt: skip

    return _Plan(test=Reading(name=name, kind=CALIBRATION, reference=len(old), new=len(own)), run=run)


def _strange(reference: Seen, new: Seen, seed: int) -> _Plan:
    rows = [_drawn(side, side.shown, seed) for side in (reference, new)]
    n, m = len(rows[0]), len(rows[1])
    if min(n, m) < FEWEST:
        return _few(NEW_CLASS, NEW_CLASS, n, m, NOT_KEPT * (not m))
    strange = _are_strange(reference, new, rows)
    if not strange[n:].any():
        return _few(NEW_CLASS, NEW_CLASS, n, m, "no production sample is called unknown, and there is no unknown score")

    def run(draws: int) -> _Said:
        spots = np.concatenate(_apart.together(reference.features[rows[0]], new.features[rows[1]]))
        answers = np.concatenate([reference.answers[rows[0]], new.answers[rows[1]]])
        variance = class_variance(spots[~strange], answers[~strange])
        p, groups = groups_of_strangers((spots[:n], strange[:n]), (spots[n:], strange[n:]), variance=variance,
                                        permutations=draws, seed=seed)  # fmt: skip
        if not groups:
            return _Said(_apart.Apart(0.0, p), "no compact group of strange samples is commoner than before")
        kinds = np.unique(answers[:n])
        middles = np.stack([spots[:n][answers[:n] == kind].mean(0) for kind in kinds])
        calm = np.flatnonzero(~strange)
        others = _apart.classifier_test(spots[calm[calm < n]], spots[calm[calm >= n]], permutations=LEAST_DRAWS,
                                        seed=seed).p <= OTHERS  # fmt: skip
        found = []
        for group in groups:
            away = np.sqrt(((middles - group.center) ** 2).sum(1) / max(variance, 1e-12))
            found.append(Strangers(
                rows=rows[1][group.rows], before=group.before, p=group.p, spread=group.spread,
                nearest=str(kinds[away.argmin()]), away=float(away.min()), others_too=others,
            ))  # fmt: skip
        size, before = len(found[0].rows), found[0].before
        return _Said(_apart.Apart(float(size), p), f"a compact group of strange samples: {before} before, {size} now",
                     tuple(found))  # fmt: skip

    return _Plan(test=Reading(name=NEW_CLASS, kind=NEW_CLASS, reference=n, new=m), run=run)


def _are_strange(reference: Seen, new: Seen, rows: list[Ints]) -> Mask:
    """Return (N + M,) whether samples are called unknown, or are among the most foreign of both sides together."""
    sides = list(zip((reference, new), rows, strict=True))
    foreign = np.concatenate([np.asarray(side.foreign, np.float64)[own] for side, own in sides])
    unknown = np.concatenate([side.verdicts[own] == UNKNOWN for side, own in sides])
    if not np.isfinite(foreign).any():
        return np.asarray(unknown)
    foreign = np.where(np.isfinite(foreign), foreign, -np.inf)
    return np.asarray(unknown | (foreign > np.quantile(foreign, 1 - STRANGE)))
