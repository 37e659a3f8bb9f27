"""From a path to a dataset that is read, checked, encoded, audited and split, each step a version."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scarce import progress
from scarce.ballot import vouched
from scarce.dataset import Array, Dataset
from scarce.errors import DataError
from scarce.execute.local import cores
from scarce.kin import COPIES
from scarce.lineage import Step
from scarce.loop.again import carried_over
from scarce.loop.options import Clock, Options

if TYPE_CHECKING:
    from scarce.project import Project

SAMPLE_TO_TIME = 48
"""Samples that are encoded first to tell what the whole will take."""
WARM_UP = 4
"""Samples encoded before that, so that loading a network is not counted."""
SHARE_TO_ENCODE = 0.45
"""At most this share of the time that is left goes into features; beyond it a cheaper encoding is taken."""
SHARE_TO_COMPARE, SHARE_TO_FINISH = 0.25, 0.3
"""At most this share goes into the search for pictures of one object; this share stays free for ledger and model."""
PAIR_SECONDS, ROW_SECONDS, OBJECT_SECONDS, LEDGER_SECONDS = 1e-7, 3e-3, 7e-3, 7e-3
"""What the audit takes a pair of samples, a sample, and a photo that is compared in detail; what the ledger takes a
sample. Measured on two cores."""
FALLBACK_SIZES = (160, 128, 96)
SEARCH = "same_object"


@dataclass(frozen=True)
class Ready:
    """Data that can be judged.

    Attributes:
        dataset: the split version with ``scan.*`` and ``embedding.*`` arrays beside it.
        embedding: the column of the features.
        version: its name in the store.
        notes: sentences for people.
        flattering: metric name to (split by group, split at random), or empty where no groups exist.
    """

    dataset: Dataset
    embedding: str
    version: str
    notes: tuple[str, ...]
    flattering: Mapping[str, tuple[float, float]]


def prepare(project: Project, path: str | Path, options: Options, clock: Clock) -> Ready:
    """Read, scan, encode, audit and split."""
    from scarce import modality, split

    notes: list[str] = []
    with clock.step("read"):
        ds = read(project, path, options, notes)
    options.refuse_trainer(ds.schema.modality)
    with clock.step("scan"):
        ds = modality.scan(ds, workers=options.workers, cache=Path(project.features) / "scan")
        usable = _usable(ds)
    progress.say(
        f"{len(ds):,} samples, {usable:,} usable, {len(ds.schema.classes)} classes; budget {options.minutes:g} min"
    )
    with clock.step("encode"):
        ds, embedding = encode_in_time(project, ds, options, clock, notes)
    slow = too_slow(project, ds, clock, notes)
    with clock.step("audit"):
        ds = audited(project, ds, options, lambda name: name in COPIES and name not in slow)
    with clock.step("split"):
        ds = split.run(
            ds, ratios=options.ratios, seed=options.seed, hold_out=options.hold_out,
            test=None if options.test in (None, "cv") else options.test,
        )  # fmt: skip
    with clock.step("audit"):
        ds = audited(project, ds, options, lambda name: name not in COPIES and name not in slow)
    version = project.commit(ds, message="read, scanned, audited and split", owner=("io", "audit", "split", "clean"))
    _refuse_unusable(ds, project)
    with clock.step("compare splits"):
        flattering = compare_splits(ds, embedding, options)
    return Ready(ds, embedding, version, tuple(notes), flattering)


def audited(project: Project, ds: Dataset, options: Options, wanted: Callable[[str], bool]) -> Dataset:
    """Run some of the project's checks.

    Copies are sought before the split, which keeps them together; the other checks come after it, so that what is said
    of development labels does not come from test labels.
    """
    from scarce import audit, registry

    asked = [registry.canonical(name) for name in project.config.audit.only]
    names = [name for name in asked or registry.names("audit") if wanted(name)]
    if not names:
        return ds
    more: dict[str, Any] = {"seed": options.seed, "workers": options.workers or cores()}  # algebra on all cores
    more["settings"] = project.config.audit.plugins
    if asked:
        return audit.run(ds, names, **more)
    return audit.run(ds, skip=[name for name in registry.names("audit") if name not in names], **more)


def read(project: Project, path: str | Path, options: Options, notes: list[str]) -> Dataset:
    """Read a source, or take the project's head without what was grown.

    Where the project knows samples of the source already, their splits and corrections are carried over.
    """
    from scarce import io

    head = project.dataset() if project.head else None
    if Path(path).resolve() == Path(project.folder).resolve():
        if head is None:
            raise DataError(
                "run", f"the project {project.folder} holds no data yet", do="scarce run SOURCE --project DIR"
            )
        named = head.schema.normal_classes if options.normal is None else options.normal
        return without_grown(head if {*named} == {*head.schema.normal_classes} else io.with_normal(head, named))
    wanted = {name: getattr(options, name) for name in ("label", "group", "split", "time", "text")}
    ds: Dataset = io.read(path, **wanted)
    if isinstance(options.test, Path) or (options.test not in (None, "cv")):
        ds = with_test_source(ds, str(options.test), wanted)
    if options.normal is not None:
        ds = io.with_normal(ds, options.normal)
    if head is not None:
        same_test = options.hold_out is None and options.test in (None, "cv") and options.split is None
        ds = carried_over(ds, without_grown(head), notes, splits=same_test)
    return ds


def with_test_source(ds: Dataset, test: str, wanted: Mapping[str, Any]) -> Dataset:
    """Append a separate test set; what was read first becomes train and val only."""
    from scarce import io

    merged: Dataset = io.merge_sources(ds, io.as_test(io.read(test, source="test", **wanted)))
    return merged


def without_grown(ds: Dataset) -> Dataset:
    """Return the real rows only."""
    real = ds["origin"] == "real"
    if real.all():
        return ds
    return ds.take(np.flatnonzero(real)).with_step(Step(stage="loop", name="without_grown"))


def feature_cache(project: Project) -> Any:
    """Return the project's cache of features, which keeps to the quota of ``scarce.toml``."""
    from scarce.encode import FeatureCache

    return FeatureCache(Path(project.features), quota_bytes=int(project.config.encode.quota_gib * 2**30))


def encode_in_time(
    project: Project, ds: Dataset, options: Options, clock: Clock, notes: list[str]
) -> tuple[Dataset, str]:
    """Encode all samples with the wanted encoder, or with a cheaper one where the time would not do."""
    from scarce import encode

    cache = feature_cache(project)
    chosen = project.config.encode
    more: dict[str, Any] = {"seed": options.seed, "batch": chosen.batch}
    rows = np.flatnonzero(ds["keep"].astype(bool))
    sample = rows[:: max(1, len(rows) // SAMPLE_TO_TIME)][:SAMPLE_TO_TIME]
    audit = audit_seconds(len(rows), _compared(project, ds, clock))
    allowed = min(SHARE_TO_ENCODE * clock.left, max(0.0, (1 - SHARE_TO_FINISH) * clock.left - audit))
    own = encode.own_size(
        ds, options.encoder, settings=dict(chosen.plugins.get(encode.choose(ds, options.encoder), {}))
    )
    smaller = [size for size in FALLBACK_SIZES if own is None or size < own]
    sizes: tuple[int | None, ...] = (None, *smaller) if options.size is None else (options.size,)
    tries: list[tuple[str, int | None]] = [(options.encoder, size) for size in sizes]
    if options.encoder == "auto" and ds.schema.modality == "image":
        tries.append(("pixel", None))
    encoder, size, encode_seconds = *tries[0], 0.0
    for encoder, size in tries:
        more |= {"size": size, "settings": dict(chosen.plugins.get(encode.choose(ds, encoder), {}))}
        encode.run(ds.take(sample[:WARM_UP]), encoder, cache=None, **more)
        started = time.perf_counter()
        encode.run(ds.take(sample), encoder, cache=cache, workers=options.workers, **more)
        encode_seconds = (time.perf_counter() - started) * len(rows) / max(1, len(sample))
        if encode_seconds <= allowed or (encoder, size) == tries[-1]:
            break
        notes.append(
            f"Encoding with {encode.choose(ds, encoder)} at {size or own or 'all'} px would take about "
            f"{encode_seconds / 60:.1f} min, more than the time left allows."
        )
    if (encoder, size) != tries[0]:
        taken = encode.choose(ds, encoder) + (f" at {size} px" if size else "")
        notes.append(f"So the features come from {taken}, which is weaker; more --minutes avoid it.")
    progress.say(outlook(len(rows), encode_seconds, audit, clock))
    ds = encode.run(ds, encoder, cache=cache, workers=options.workers, **more)
    embedding = next(name for name in reversed(list(ds.wide)) if name.startswith("embedding."))
    return ds, embedding


def audit_seconds(n: int, compared: int) -> float:
    """Return about what the audit of n samples takes, of which so many pictures are compared in detail."""
    return PAIR_SECONDS * n * n + ROW_SECONDS * n + OBJECT_SECONDS * compared


def outlook(n: int, encode_seconds: float, audit: float, clock: Clock) -> str:
    """Return what the rest of the run will take, as far as it can be told before it begins.

    Args:
        n: usable samples.
        encode_seconds: what their features will take.
        audit: what the audit will take, in seconds.
        clock: what is left of the budget.
    """
    ledger = min(0.35 * clock.left, LEDGER_SECONDS * n)
    parts = {"features": encode_seconds, "audit": audit, "ledger": ledger}
    told = ", ".join(f"{name} {max(seconds, 1):.0f} s" for name, seconds in parts.items())
    rest = max((clock.seconds + sum(parts.values())) / 60, 0.1)
    end = (
        f"with it and the report at most {clock.minutes:g} min, the budget" if rest < clock.minutes
        else f"the budget of {clock.minutes:g} min is too small for this data, and will be passed"
    )  # fmt: skip
    return f"expected: about {told}, so {rest:.1f} min without the model; {end}"


def too_slow(project: Project, ds: Dataset, clock: Clock, notes: list[str]) -> tuple[str, ...]:
    """Return the checks that the time left does not allow: the search for pictures of one object, on many pictures."""
    if project.config.audit.only or not _searched(ds) or _compared(project, ds, clock):
        return ()
    notes.append(
        f"Pictures of one object were not searched for: it would take about {OBJECT_SECONDS * _searched(ds) / 60:.1f} "
        "min. Where parts were photographed more than once, pass --group, or give more --minutes."
    )
    return (SEARCH,)


def _compared(project: Project, ds: Dataset, clock: Clock) -> int:
    """Return how many pictures the search for pictures of one object will open: none where it takes too long."""
    only, many = project.config.audit.only or None, _searched(ds)
    if only is not None:
        return many if SEARCH in only else 0
    return many if OBJECT_SECONDS * many <= SHARE_TO_COMPARE * clock.left else 0


def _searched(ds: Dataset) -> int:
    """Return how many pictures could be searched for those of one object."""
    from scarce.audit.same_object import SameObject

    kept = ds.usable()
    return 0 if SameObject().unmet(kept) else len(kept)


def compare_splits(ds: Dataset, embedding: str, options: Options) -> dict[str, tuple[float, float]]:
    """Return macro-F1 and balanced accuracy by cross-validation by group and at random, where groups exist."""
    from scarce.folds import development, groups_of
    from scarce.metric import balanced_accuracy, macro_f1
    from scarce.probe import LinearProbe, cross_val_probs

    good = development(ds) & vouched(ds) & np.isfinite(ds[embedding]).all(1)
    rows = ds.take(np.flatnonzero(good))
    groups = groups_of(rows)
    if len(np.unique(groups.astype(str))) > 0.98 * len(rows) or len(np.unique(rows["label"])) < 2:
        return {}
    labels, k = rows["label"], len(ds.schema.classes)
    sides = [
        cross_val_probs(rows[embedding], labels, k, groups=which, seed=options.seed, probe=LinearProbe()).argmax(1)
        for which in (groups, None)
    ]
    return {
        "macro_f1": (macro_f1(labels, sides[0], k), macro_f1(labels, sides[1], k)),
        "balanced_accuracy": (balanced_accuracy(labels, sides[0], k), balanced_accuracy(labels, sides[1], k)),
    }


def _usable(ds: Dataset) -> int:
    keep: Array = ds["keep"].astype(bool)
    if not keep.any():
        reasons = sorted({str(reason) for reason in ds["drop_reason"] if reason})[:3]
        raise DataError("run", f"none of the {len(ds)} samples can be used", "; ".join(reasons), "check the files")
    return int(keep.sum())


def _refuse_unusable(ds: Dataset, project: Project) -> None:
    keep = ds["keep"].astype(bool)
    known = np.unique(ds["label"][keep & (ds["label"] >= 0)])
    told = np.unique(ds["label"][keep & vouched(ds)])
    if len(told) >= 2:
        return
    if len(known) >= 2:
        raise DataError(
            "run", f"people labelled samples of {len(told) or 'no'} class{'es' * (len(told) != 1)} only",
            f"{int((keep & (ds['label'] >= 0) & ~vouched(ds)).sum())} labels are those of rules or models, "
            "which are no truth to judge by",
            "label some samples of each class by hand: scarce query, then scarce label",
        )  # fmt: skip
    found = [ds.schema.classes[code] for code in known]
    heard = " ".join(row["why"] for row in ds.findings.to_pylist() if row["check"] == "read")
    there = f"the only class is {found[0]!r}" if found else "no sample has a label"
    raise DataError(
        "run", "a model needs at least two classes", f"{there}. {heard}".strip() if heard else there,
        "add samples of another class (one folder per class, or a label column). What was found so far is kept: "
        f"scarce audit {project.folder}",
    )  # fmt: skip
