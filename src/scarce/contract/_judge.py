"""Every rule of a contract judged on one version: facts as they are, estimates against their interval."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow.compute as pc

from scarce.ballot import ratings_of
from scarce.columns import sample_name
from scarce.contract import _schema
from scarce.contract._beside import SCAN, with_columns_beside
from scarce.contract._limit import CONFIDENCE, Level, Outcome, Share, fewest, side
from scarce.contract._terms import LIMITS, SCHEMA_RULES, Contract
from scarce.dataset import Dataset, Floats, Ints
from scarce.errors import closest
from scarce.invariant import EXAMPLES, column_of, invariants
from scarce.quality import Part, incomplete, measure, redundant

PERIODS_KEPT = 0.9
"""Share of the periods in which an update must have come."""
MOST_PERIODS = 365
AHEAD_HOURS = 24.0
"""A newest sample dated further ahead of now than this (no time zone is further off) is a wrong clock."""


def judge(contract: Contract, ds: Dataset, *, now: datetime | None = None) -> list[Outcome]:
    """Return one outcome per rule: broken ones first, then those that cannot be told, then those that hold.

    Rules about the version as it is hold or are broken. Limits on shares are compared with one-sided 95 % bounds: a
    limit holds or is broken only where the whole interval says so, else it cannot be told, with the number of further
    samples that would decide. What was not measured cannot be told either.

    Args:
        contract: what was promised.
        ds: a version with what the audit wrote; see :func:`scarce.quality.measure`.
        now: the time that freshness is counted from.
    """
    now = now or datetime.now(UTC)
    found = [*_always(ds), *_facts(contract, ds, now), *_shares(contract, ds), *_agreed(contract, ds)]
    found += [*_minimum(contract, ds), *_fresh(contract, ds, now)]
    rank = {"error": 0, "warning": 1, "note": 2, "": 3}
    judged = [replace(item, level=_level(contract, item)) for item in found]
    return sorted(judged, key=lambda item: (item.outcome != "broken", rank[item.level]))


def _level(contract: Contract, item: Outcome) -> Level:
    if item.level or item.outcome == "holds":
        return item.level
    only_warns = item.rule in contract.warn or contract.on_violation == "warn"
    if item.outcome == "broken":
        return "warning" if only_warns else "error"
    return "note" if only_warns else "warning"


def _always(ds: Dataset) -> Iterator[Outcome]:
    """Yield the rules that no version may break; they are errors whatever the contract says."""
    for item in invariants(ds):
        yield Outcome(
            rule=item.rule, outcome="broken", level="error", what=item.what, examples=item.examples, do=item.do
        )


def _facts(contract: Contract, ds: Dataset, now: datetime) -> Iterator[Outcome]:
    whole = with_columns_beside(ds, contract.ranges)
    broken = _schema.violations(contract, whole, now, files=True)
    for item in broken:
        yield Outcome(rule=item.rule, outcome="broken", what=item.what, examples=item.examples, do=item.do)
    wrong = {item.rule for item in broken}
    for rule in ("ranges", "allowed", "unique"):
        lost = _schema.nowhere(contract, whole, rule)
        unscanned = [name for name in lost if name.startswith(SCAN)] if not any(map(_scanned, ds.wide)) else []
        strange = [name for name in lost if name not in unscanned]
        wrong |= {rule} if lost else set()
        if unscanned:
            yield Outcome(rule=rule, outcome="unknown", what=f"{', '.join(unscanned)}: not measured",
                          do="scan the dataset first (scarce.modality.scan)")  # fmt: skip
        if strange:
            known = [
                *whole.table.column_names,
                *(name for name in ds.wide if _scanned(name) and ds.wide[name].ndim == 1),
            ]
            yield Outcome(rule=rule, outcome="unknown", what=f"{', '.join(strange)}: there is no such column",
                          do=closest(strange[0], known))  # fmt: skip
    active = {
        "freshness": contract.max_age_days > 0, "max_set_aside": contract.max_set_aside < 1,
        **{rule: bool(getattr(contract, rule)) for rule in SCHEMA_RULES if rule not in ("freshness", "max_set_aside")},
    }  # fmt: skip
    for rule in SCHEMA_RULES:
        if active[rule] and rule not in wrong:
            yield Outcome(rule=rule, outcome="holds", what="as promised")


def _scanned(name: str) -> bool:
    return name.startswith(SCAN)


def _shares(contract: Contract, ds: Dataset) -> Iterator[Outcome]:
    limits = {name: getattr(contract, name) for name in LIMITS[:3]}
    if all(limit is None for limit in limits.values()):
        return
    parts = measure(ds).parts
    told = {
        "min_completeness": ("completeness", "of the samples are complete"),
        "max_label_error_rate": ("label_quality", "of the labels are probably wrong"),
        "max_duplicate_rate": ("uniqueness", "of the samples are further copies of another one"),
    }
    for rule, limit in limits.items():
        if limit is not None:
            part, words = told[rule]
            yield _share(rule, limit, parts[part], words, _worst(ds, rule))


def _share(rule: str, limit: float, part: Part, words: str, examples: tuple[str, ...]) -> Outcome:
    at_least = rule.startswith("min")
    if not part.known:
        least = math.ceil(math.log(1 - CONFIDENCE) / math.log(limit if at_least else 1 - limit)) if 0 < limit < 1 else 1
        return Outcome(rule=rule, outcome="unknown", what=f"not measured: {part.why}", limit=limit, n=0, needed=least)
    share = Share(value=part.value if at_least else 1 - part.value, n=part.n, units=part.units, doubt=part.doubt)
    low, high = share.interval()
    verdict = share.verdict(limit, at_least=at_least)
    needed = share.needed(limit, at_least=at_least) if verdict == "unknown" else None
    bound = f"at least {limit:.4g}" if at_least else f"at most {limit:.4g}"
    what = f"{share.value:.4f} {words} ({low:.4f} to {high:.4f}, {part.n:,} samples), {bound} promised"
    what += f" ({part.counted})" if part.counted and verdict != "holds" else ""
    return Outcome(
        rule=rule, outcome=verdict, what=f"{what}{_more(verdict, needed, 'samples')}", value=share.value, low=low,
        high=high, limit=limit, n=part.n, needed=needed, examples=() if verdict == "holds" else examples,
    )  # fmt: skip


def _more(verdict: str, needed: int | None, unit: str) -> str:
    if verdict != "unknown":
        return ""
    if needed is None:
        return f"; cannot be told: it is too near the limit, and more {unit} like these would not tell"
    return f"; cannot be told: about {needed:,} more {unit} like these would"


def _worst(ds: Dataset, rule: str) -> tuple[str, ...]:
    """Return the files of some samples that are at fault."""
    if rule == "max_duplicate_rate":
        rows: Ints = np.flatnonzero(redundant(ds))
    elif rule == "max_label_error_rate" and "audit.label_error.score" in ds:
        score = np.where(ds["keep"].astype(bool), np.nan_to_num(ds["audit.label_error.score"].astype(float)), 0.0)
        rows = np.argsort(-score, kind="stable")[: int((score > 0.5).sum())]
    else:
        rows = incomplete(ds)
    return tuple(sample_name(ds["uri"][row], str(ds.ids[row])) for row in rows[:EXAMPLES])


def _agreed(contract: Contract, ds: Dataset) -> Iterator[Outcome]:
    limit = contract.min_agreement
    if limit is None:
        return
    from scarce.audit.agreement import alpha_interval

    ratings = ratings_of(ds.take(ds["keep"].astype(bool) & (ds["origin"] == "real")))[0]
    found, items = alpha_interval(ratings, level=0.9)
    if math.isnan(found.value):
        why = "no sample has two votes" if not items else "so few votes for so few classes leave it undefined"
        yield Outcome(rule="min_agreement", outcome="unknown", level="note", what=f"not measured: {why}", limit=limit,
                      n=items, do="ask a second annotator")  # fmt: skip
        return
    low, high = (-1.0, 1.0) if math.isnan(found.low) else (min(found.low, found.value), max(found.high, found.value))
    verdict = side(low, high, limit, at_least=True)
    below, above = found.value - low, high - found.value

    def decides(times: float) -> bool:
        shrunk = math.sqrt(times)
        return side(found.value - below / shrunk, found.value + above / shrunk, limit, at_least=True) != "unknown"

    needed = fewest(decides, items) if verdict == "unknown" else None
    what = (
        f"Krippendorff's alpha is {found.value:.3f} ({low:.3f} to {high:.3f}, {items:,} samples), "
        f"at least {limit:.4g} promised{_more(verdict, needed, 'samples with two votes')}"
    )
    yield Outcome(rule="min_agreement", outcome=verdict, what=what, value=found.value, low=low, high=high,
                  limit=limit, n=items, needed=needed)  # fmt: skip


def _minimum(contract: Contract, ds: Dataset) -> Iterator[Outcome]:
    if not contract.class_minimum:
        return
    real = _schema.real_rows(ds)
    kept = column_of(real, "keep").astype(bool)
    counts = np.bincount(real["label"][kept & (real["label"] >= 0)], minlength=len(ds.schema.classes))
    there = dict(zip(ds.schema.classes, counts.tolist(), strict=True))
    lacking = {name: least - there.get(name, 0) for name, least in contract.class_minimum.items()}
    few = {name: more for name, more in lacking.items() if more > 0}
    if not few:
        yield Outcome(rule="class_minimum", outcome="holds", what="every class has the promised number")
        return
    parts = [f"{name} has {there.get(name, 0):,} of {contract.class_minimum[name]:,}" for name in [*few][:EXAMPLES]]
    yield Outcome(rule="class_minimum", outcome="broken", what=f"{'; '.join(parts)}: {sum(few.values()):,} are lacking",
                  examples=tuple(few)[:EXAMPLES], needed=sum(few.values()))  # fmt: skip


def _fresh(contract: Contract, ds: Dataset, now: datetime) -> Iterator[Outcome]:
    rules = [name for name in ("update_hours", "max_staleness_hours") if getattr(contract, name) is not None]
    hours = _ages(ds, now) if rules else np.zeros(0)
    for rule in rules:
        limit = float(getattr(contract, rule))
        if not len(hours):
            yield Outcome(rule=rule, outcome="unknown", what="no sample says when it was captured (captured_at)",
                          level="note", limit=limit, do="name the column of the time of capture (--time)")  # fmt: skip
        elif hours.min() < -AHEAD_HOURS:
            yield Outcome(rule=rule, outcome="broken", what=f"the newest sample is {-hours.min():.0f} hours ahead",
                          value=float(hours.min()), limit=limit, do="check the clock of the camera")  # fmt: skip
        else:
            yield (_updates if rule == "update_hours" else _staleness)(np.maximum(hours, 0.0), limit)


def _ages(ds: Dataset, now: datetime) -> Floats:
    """Return the hours since each kept real sample was captured, of those that say so; times are UTC."""
    real = _schema.real_rows(ds)
    if "captured_at" not in real.table.column_names:
        return np.zeros(0)
    times = real.table["captured_at"].filter(pc.fill_null(real.table["keep"], False)).drop_null()
    at = times.to_numpy().astype("datetime64[us]")
    present = np.datetime64(now.astimezone(UTC).replace(tzinfo=None), "us")
    return np.asarray((present - at) / np.timedelta64(1, "h"), np.float64)


def _staleness(hours: Floats, limit: float) -> Outcome:
    age = float(hours.min())
    verdict = "holds" if age <= limit else "broken"
    what = f"the newest sample is {_span(age)} old, {_span(limit)} promised"
    return Outcome(rule="max_staleness_hours", outcome=verdict, what=what, value=age, limit=limit)  # type: ignore[arg-type]


def _updates(hours: Floats, limit: float) -> Outcome:
    """Judge in what share of the periods since the first sample (the last year of them) new samples came."""
    rule = "update_hours"
    total = min(int(hours.max() / limit), MOST_PERIODS)
    if not total:
        return Outcome(rule=rule, outcome="unknown", what=f"the data is younger than one period of {_span(limit)}",
                       limit=limit, n=0, needed=1)  # fmt: skip
    period = (hours / limit).astype(np.int64)
    seen = len(np.unique(period[period < total]))
    share = Share(value=seen / total, n=total, units=total)
    verdict = share.verdict(PERIODS_KEPT, at_least=True)
    needed = share.needed(PERIODS_KEPT, at_least=True) if verdict == "unknown" else None
    low, high = share.interval()
    what = (
        f"new samples came in {seen:,} of {total:,} periods of {_span(limit)}, at least {PERIODS_KEPT:.0%} promised"
        f"{_more(verdict, needed, 'periods')}"
    )
    return Outcome(rule=rule, outcome=verdict, what=what, value=share.value, low=low, high=high, limit=limit, n=total,
                   needed=needed)  # fmt: skip


def _span(hours: float) -> str:
    return f"{hours:.4g} hours" if hours < 72 else f"{hours / 24:.4g} days"
