"""Chooses a plan from class counts, imbalance and noise, and says why; the ledger has the last word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, Final

import numpy as np

from scarce.errors import DataError
from scarce.rebalance.target import target_counts

WHO: Final = "rebalance.strategy"
ALWAYS: Final = ("smote", "class_weight", "focal", "balanced_softmax", "threshold")
"""Rows that the ledger always measures, recommended or not."""
ORDER: Final = ("clean", "augment", "synthesize", "oversample", *ALWAYS)
GROWN: Final = {"image": ("augment", "synthesize"), **dict.fromkeys(("text", "audio", "time_series"), ("augment",))}
"""What can be grown, by modality; others are added with their operations."""
RATIO, CAP = 3.0, 20
"""What growing aims at: largest class to any other, and most new samples for one that is there."""
GROW_BELOW: Final = "third"
"""Of the largest class: a smaller one is to grow. The same as ``RATIO``, in words."""
PUBLISHED: Final = (
    "class weights are no default: published on CIFAR-10 at 100:1, plain training reached 70.4 %, class weights 68.3 %,"
    " balanced softmax 77.5 %, mixup with deferred re-weighting 82.1 %"
)
DEFERRED: Final = "scarce train --loss deferred or ldam_drw; scarce study losses compares them"


@dataclass(frozen=True, kw_only=True)
class StrategyThresholds:
    """Where the chooser changes its mind.

    Args:
        mild: up to this ratio (exclusive) of the largest to the smallest class, augmentation is enough.
        moderate: up to this ratio (exclusive), the loss is adjusted too.
        severe: up to this ratio (inclusive), synthesis and logit adjustment; above it the full hybrid.
        oversample_total: under this many samples, rare classes are oversampled too.
        hybrid_total: under this many samples, the full hybrid where a class is to grow.
        balanced: up to this ratio (exclusive), classes count as equally large: nothing is rebalanced.
        label_error_rate: from this share of label errors on, cleaning comes first.
        clean_total: under this many samples ("a few thousand"), cleaning comes first: each wrong label weighs more.
    """

    balanced: float = 1.25
    mild: float = 10.0
    moderate: float = 50.0
    severe: float = 100.0
    oversample_total: int = 10_000
    hybrid_total: int = 1_000
    label_error_rate: float = 0.05
    clean_total: int = 5_000


@dataclass(frozen=True)
class Plan:
    """What to do, in order, and why.

    Attributes:
        tier: augment, reweight, synthesize or hybrid.
        steps: recommended decisions in order; names of stages (clean, augment, synthesize) and of rebalance plugins.
        why: one sentence for people about each thing that was weighed.
        rows: what the ledger measures: the steps, and the reweightings that are always rows.
        ratio: largest class over smallest class that has samples.
        total: number of samples.
        targets: class to the size that growing aims at, for the classes that are to grow.
    """

    tier: str
    steps: tuple[str, ...]
    why: tuple[str, ...]
    rows: tuple[str, ...]
    ratio: float
    total: int
    targets: Mapping[str, int] = field(default_factory=dict)

    @property
    def hybrid(self) -> bool:
        """Return whether everything is to be combined."""
        return self.tier == "hybrid"

    def explain(self) -> str:
        """Return the plan as text."""
        return "\n".join([f"plan: {' -> '.join(self.steps) or 'nothing'}", *(f"- {line}" for line in self.why)])


def choose(
    counts: Mapping[str, int] | Sequence[int],
    *,
    label_error_rate: float | None = None,
    noise: float | None = None,
    modality: str = "image",
    thresholds: StrategyThresholds | None = None,
    normal_classes: Sequence[str] | None = None,
) -> Plan:
    """Return the plan for class counts.

    Args:
        counts: training samples by class.
        label_error_rate: estimated share of wrong labels, if known.
        noise: share of samples with another fault (blurred, near-duplicate, outlier), if known.
        modality: what can be grown depends on it.
        thresholds: where it changes its mind; the defaults are those of the documentation.
        normal_classes: names of the sound classes, which synthetic defects are drawn on; None = not known yet.

    Raises:
        DataError: no class has a sample, a count is no whole number >= 0, or a share is outside 0 to 1.
    """
    limits = thresholds or StrategyThresholds()
    named = _counted(counts)
    _check_share("label_error_rate", label_error_rate)
    _check_share("noise", noise)
    present = {name: n for name, n in named.items() if n > 0}
    if not present:
        raise DataError(WHO, "no class has a training sample", do="label or split the data first")
    total = sum(present.values())
    largest, smallest = max(present, key=lambda name: present[name]), min(present, key=lambda name: present[name])
    ratio = present[largest] / present[smallest]
    why = [_sizes(present, largest, smallest)]
    why += [
        f"{name} has no training sample: no plan can help it, collect some" for name in named if name not in present
    ]
    if len(present) == 1:
        why.append("there is one class, so nothing is to be balanced")
    targets = _targets(present)
    tier, steps, reason = _by_ratio(ratio, total, limits, grows=bool(targets))
    if len(present) == 1:
        reason = []
    first = _clean_reasons(total, label_error_rate, noise, limits)
    steps |= {"clean"} if first else set()
    why += [*reason, *first]
    steps, lost = _possible(steps, modality, normal_classes, grows=bool(targets))
    why += lost
    if not steps & {"augment", "synthesize", "oversample"}:
        targets = {}
    elif not targets and len(present) > 1:
        why.append(f"no class is to grow: each has at least a {GROW_BELOW} of the largest")
    why += [f"{name} is to grow from {present[name]:,} to {size:,} (at most {CAP} new ones for each that is there)"
            for name, size in targets.items()]  # fmt: skip
    why += [f"{name} has one sample: nothing can be interpolated from it or judged by it, collect more"
            for name, n in present.items() if n == 1]  # fmt: skip
    if "balanced_softmax" in steps:
        why.append(PUBLISHED)
    ordered = tuple(name for name in ORDER if name in steps)
    rows = tuple(name for name in ORDER if name in steps or name in ALWAYS)
    if ratio >= limits.mild:
        why.append("SMOTE lies between features and never between pixels; held-out samples are never its parents")
    why.append(
        "class weights, focal loss, logit adjustment, SMOTE and moved thresholds are measured in any case; the ledger "
        "decides"
    )
    return Plan(tier, ordered, tuple(why), rows, ratio, total, targets)


def _counted(counts: Mapping[str, int] | Sequence[int]) -> dict[str, int]:
    """Return class to count.

    Raises:
        DataError: one is no whole number >= 0.
    """
    items = counts.items() if isinstance(counts, Mapping) else ((f"class {i}", n) for i, n in enumerate(counts))
    out: dict[str, int] = {}
    for name, n in items:
        if not isinstance(n, Integral | float | np.floating) or isinstance(n, bool) or n != n // 1:
            raise DataError(WHO, f"counts hold {n!r} for {name}, which is no whole number", do="give counts of samples")
        if n < 0:
            raise DataError(WHO, f"counts = {n} for {name} is below 0", do="give counts of samples")
        out[str(name)] = int(n)
    return out


def _check_share(name: str, value: Any) -> None:
    """Refuse what is no share.

    Raises:
        DataError: it is no number in [0, 1].
    """
    if value is None or (isinstance(value, int | float | np.number) and 0 <= value <= 1):
        return
    raise DataError(WHO, f"{name} = {value!r} is no share", do="give a number from 0 to 1, or leave it out")


def _sizes(present: Mapping[str, int], largest: str, smallest: str) -> str:
    """Return what the counts are, in words."""
    total, most, fewest = sum(present.values()), present[largest], present[smallest]
    if len(present) == 1:
        return f"{most:,} {largest} and no other class"
    if most == fewest:
        return f"{len(present)} classes of {most:,} each: ratio 1, {total:,} samples"
    return f"{most:,} {largest} against {fewest:,} {smallest}: ratio {most / fewest:.4g}, {total:,} samples"


def _targets(present: Mapping[str, int]) -> dict[str, int]:
    sizes = target_counts(present, RATIO, CAP, who="strategy")
    return {name: int(size) for (name, there), size in zip(present.items(), sizes, strict=True) if size > there}


def _by_ratio(
    ratio: float, total: int, limits: StrategyThresholds, *, grows: bool
) -> tuple[str, set[str], list[str]]:  # fmt: skip
    everything = {"clean", "augment", "synthesize", "oversample", "balanced_softmax"}
    if ratio < min(limits.balanced, limits.mild):
        return "augment", {"augment"}, [f"under {limits.balanced:g}:1 classes are as good as equal: augmentation only"]
    if total < limits.hybrid_total and grows:
        return "hybrid", everything, [f"under {limits.hybrid_total:,} samples every means is needed: the full hybrid"]
    if ratio > limits.severe:
        return "hybrid", everything, [f"above {limits.severe:g}:1 no single means is enough: the full hybrid"]
    if ratio < limits.mild:
        return "augment", {"augment"}, [f"under {limits.mild:g}:1 augmentation is enough"]
    if ratio >= limits.moderate:
        reason = "the rare class needs new samples (synthesis), and a loss that knows the counts (logit adjustment)"
        why = [
            f"from {limits.moderate:g}:1 to {limits.severe:g}:1 {reason}",
            f"deferred re-weighting, with mixup or without, is the next to try: {DEFERRED}",
        ]
        return "synthesize", {"augment", "synthesize", "balanced_softmax"}, why
    steps = {"augment", "balanced_softmax"}
    why = [
        f"from {limits.mild:g}:1 to {limits.moderate:g}:1 the loss is adjusted too: logit adjustment, or class weights"
    ]
    if total < limits.oversample_total and grows:
        steps.add("oversample")
        why.append(f"under {limits.oversample_total:,} samples rare classes are oversampled, to be seen in every batch")
    return "reweight", steps, why


def _clean_reasons(total: int, errors: float | None, noise: float | None, limits: StrategyThresholds) -> list[str]:
    why = []
    if errors is not None and errors >= limits.label_error_rate:
        why.append(
            f"{errors:.1%} of the labels are contradicted (flagged, not proven): clean first, growing would multiply "
            "wrong ones"
        )
    if noise is not None and noise >= limits.label_error_rate:
        why.append(f"{noise:.1%} of the samples have a fault: clean first, growing would multiply them")
    if total < limits.clean_total:
        why.append(f"with {total:,} samples (a few thousand or less) each wrong label weighs much: clean first")
    return why


def _possible(
    steps: set[str], modality: str, normal_classes: Sequence[str] | None, *, grows: bool
) -> tuple[set[str], list[str]]:  # fmt: skip
    can = GROWN.get(modality, ())
    steps = steps if grows else steps - {"synthesize", "oversample"}
    lost = {name for name in ("augment", "synthesize") if name in steps and name not in can}
    why = []
    if lost:
        instead = ": rare classes are oversampled instead" if grows else ""
        why.append(f"there is no {' and no '.join(sorted(lost))} for {modality} yet{instead}")
        steps = (steps - lost) | ({"oversample"} if grows else set())
    if "synthesize" in steps and normal_classes is not None and not normal_classes:
        why.append("no class is known to be sound, so there is nothing to draw defects on: name it with --normal")
        steps = steps - {"synthesize"}
    return steps, why
