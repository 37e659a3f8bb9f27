"""The driver of the audit: which checks run, on which rows, and where their results go."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from scarce import progress, registry
from scarce.audit._base import AbstractCheck, Finding, Measurement, finding
from scarce.audit._shared import run_memory
from scarce.dataset import Dataset
from scarce.errors import DataError, ScarceError, unknown_name
from scarce.lineage import Step

SKIPPED: Final = "skipped: "
"""How the finding of a check that could not run begins."""
FIRST_TIME: Final = "The first audit on a machine compiles its loops, which takes about 10 seconds more, once."
_log = logging.getLogger("scarce.audit")
Settings = Mapping[str, Mapping[str, Any]]


def run(
    ds: Dataset,
    only: str | Sequence[str] | None = None,
    *,
    seed: int = 0,
    workers: int | None = None,
    settings: Settings | None = None,
    skip: Sequence[str] = (),
) -> Dataset:
    """Measure what may be wrong with the data; nothing is changed.

    Only rows that are kept and real are judged. Each check writes ``audit.<check>.score`` (N,) float32, 1 = worst,
    NaN where it does not apply, and findings. A check that cannot run is skipped with a finding that says why.

    Args:
        ds: the dataset; ``scan.*`` and ``embedding.*`` widen what can be checked.
        only: names of the checks to run; None = all.
        seed: for cross-validation folds and subsamples.
        workers: threads at most; None = as many as there are cores.
        skip: names of checks to leave out.
        settings: parameters per check, for example ``{"near_duplicate": {"threshold": 0.97}}``.

    Raises:
        UnknownNameError: a name in ``only`` or ``settings`` is no check.
        ConfigError: a parameter is unknown or has a wrong value.
        DataError: a check that was asked for by name cannot judge this data.
    """
    checks = [check for check in ordered(only, settings, seed=seed) if check.plugin_name() not in skip]
    rows = np.flatnonzero(ds["keep"].astype(bool) & (ds["origin"] == "real"))
    rows = rows[np.argsort(ds.ids[rows].astype(str), kind="stable")]
    view = ds.take(rows)
    beside = " ".join(sorted({"scan" if array.startswith("scan.") else array for array in ds.wide}))
    if not _compiled():
        progress.say(FIRST_TIME)
    with _threads(workers), run_memory():
        for check in progress.track(checks, "audit"):
            name, started = check.plugin_name(), time.perf_counter()
            result = _measured(check, view, asked=only is not None)
            score = np.full(len(ds), np.nan, np.float32)
            score[rows] = np.clip(result.score, 0, 1)
            step = Step(stage="audit", name=name, params=check.params(), seed=seed, inputs={"beside": beside})
            findings = list(result.findings)
            view = view.with_findings(name, findings)
            ds = ds.with_columns({f"audit.{name}.score": score}).with_findings(name, findings)
            ds = ds.with_step(step.stamped(seconds=time.perf_counter() - started))
    return ds


def skipped(ds: Dataset) -> dict[str, str]:
    """Return check to reason, for checks that could not run on this dataset."""
    rows = ds.findings.filter(pc.equal(ds.findings["level"], "data")).to_pylist()
    return {row["check"]: row["why"].removeprefix(SKIPPED) for row in rows if says_skipped(row)}


def says_skipped(row: Finding) -> bool:
    """Return whether a finding says only that its check could not run."""
    return row["level"] == "data" and (row["why"] or "").startswith(SKIPPED)


def needs_features(only: str | Sequence[str] | None) -> bool:
    """Return whether one of the checks (None = all) looks at features.

    Raises:
        UnknownNameError: no such check.
    """
    return any("embedding" in need for check in ordered(only) for need in check.needs)


def ordered(
    only: str | Sequence[str] | None, settings: Settings | None = None, *, seed: int = 0
) -> list[AbstractCheck]:
    """Return the checks with their parameters, those first whose findings others read."""
    known, asked = registry.names("audit"), [only] if isinstance(only, str) else only
    wanted = known if asked is None else [registry.canonical(name) for name in asked]
    params = {registry.canonical(name): values for name, values in (settings or {}).items()}
    for name in (*wanted, *params):
        if name not in known:
            raise unknown_name("scarce.audit", "check", name, known)
    pending = {name: registry.load("audit", name, AbstractCheck) for name in dict.fromkeys(wanted)}  # type: ignore[type-abstract]
    checks: list[AbstractCheck] = []
    while pending:
        ready = [name for name, plugin in pending.items() if not set(plugin.after) & set(pending)] or list(pending)[:1]
        checks += [_built(pending.pop(name), params.get(name, {}), seed) for name in ready]
    return checks


def _built(plugin: type[AbstractCheck], params: Mapping[str, Any], seed: int) -> AbstractCheck:
    draws = any(field.name == "seed" for field in dataclasses.fields(plugin))
    return plugin.from_params({"seed": seed, **params} if draws else params)


def _measured(check: AbstractCheck, view: Dataset, *, asked: bool) -> Measurement:
    reason = check.unmet(view) if len(view) else "there are no usable samples"
    if not reason:
        try:
            result = check.measure(view)
        except ScarceError as error:
            if asked:
                raise
            reason = f"it could not run ({error})"
        else:
            return _valid(check, result, len(view))
    _log.info("%s skipped: %s", check.plugin_name(), reason)
    told: list[Finding] = [finding("data", (), 0.0, f"{SKIPPED}{reason}")]
    return Measurement(np.full(len(view), np.nan, np.float32), told)


def _valid(check: AbstractCheck, result: Measurement, n: int) -> Measurement:
    score = np.asarray(result.score, np.float32)
    if score.shape != (n,) or np.nanmax(score, initial=0) > 1 or np.nanmin(score, initial=0) < 0:
        raise DataError(
            f"audit.{check.plugin_name()}", f"its score has shape {score.shape} or leaves [0, 1]", f"N = {n}"
        )
    return Measurement(score, result.findings)


def _compiled() -> bool:
    """Return whether numba keeps compiled loops of the audit from an earlier call."""
    import os

    held, here = os.environ.get("NUMBA_CACHE_DIR"), Path(__file__).parent
    if held:
        return any(Path(held).rglob("*.nbi"))
    return not os.access(here, os.W_OK) or any((here / "__pycache__").glob("*.nbi"))


def _threads(workers: int | None) -> AbstractContextManager[Any]:
    if workers is None:
        return nullcontext()
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(limits=max(1, workers))
    return limits
