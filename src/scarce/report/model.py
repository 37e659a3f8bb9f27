"""What a report shows, as plain frozen values: the page is drawn from these and from nothing else.

Shares, scores and gains are fractions (0.83, not 83). ``nan`` means "not known". Samples are shown as
:class:`Exhibit`: a picture's bytes, or a text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value and where the truth may lie.

    Args:
        value: the estimate, a fraction.
        low, high: bounds of the interval; NaN if there is none.
    """

    value: float
    low: float = math.nan
    high: float = math.nan

    @classmethod
    def of(cls, body: Any) -> Interval | None:
        """Return an interval from a number, from ``{"value", "low", "high"}``, or None from nothing."""
        if body is None or isinstance(body, Interval):
            return body
        if isinstance(body, Mapping):
            return cls(value=number(body.get("value")), low=number(body.get("low")), high=number(body.get("high")))
        return cls(value=number(body))


def number(value: Any) -> float:
    """Return a float; None becomes NaN."""
    return math.nan if value is None else float(value)


class FromJson:
    """Gives a flat dataclass ``from_json``: unknown keys are left out, None in a number's place becomes NaN."""

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Build the value from plain ones."""
        known = {item.name: item for item in fields(cls)}  # type: ignore[arg-type]
        values = {key: value for key, value in body.items() if key in known}
        for key, value in values.items():
            if value is None and known[key].type == "float":
                values[key] = math.nan
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """One sample as it is shown: a picture or a text.

    Args:
        name: what the user calls it (relative path); also the alternative text.
        data: PNG, JPEG or other bytes that Pillow reads; empty for a text.
        text: shown where there is no picture.
        label: its class as it stands.
        origin: ``real``, ``augmented`` or ``synthetic``.
        split: where it belongs.
    """

    name: str
    data: bytes = b""
    text: str = ""
    label: str = ""
    origin: str = "real"
    split: str = ""


@dataclass(frozen=True, kw_only=True)
class LabelError:
    """A sample whose label the rest of the data contradicts; ``probability`` is that of the suggested class."""

    exhibit: Exhibit
    given: str
    suggested: str
    probability: float
    action: str = ""


@dataclass(frozen=True, kw_only=True)
class DuplicateGroup:
    """Samples that show the same thing; ``why`` in one sentence."""

    exhibits: tuple[Exhibit, ...]
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A sample that a check names: blurred, dark, an outlier."""

    check: str
    exhibit: Exhibit
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Grown:
    """A sample that was made, beside the samples that it was made from; ``how`` names the operations."""

    exhibit: Exhibit
    parents: tuple[Exhibit, ...]
    how: str = ""


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A real test sample that the model gets wrong; ``probability`` is that of its answer."""

    exhibit: Exhibit
    given: str
    predicted: str
    probability: float = math.nan


@dataclass(frozen=True, kw_only=True)
class Check(FromJson):
    """One check of the audit: how many samples it names, and what that means."""

    name: str
    found: int
    summary: str = ""
    action: str = ""


@dataclass(frozen=True, kw_only=True)
class QualityPart:
    """One part of the data's quality, 1 = best; ``why`` it is not known, and the same part of each class."""

    name: str
    share: Interval
    why: str = ""
    classes: Mapping[str, Interval] = field(default_factory=dict)

    @classmethod
    def all_of(cls, body: Mapping[str, Any]) -> tuple[QualityPart, ...]:
        """Return the parts of ``Quality.to_json()``, ``overall`` last."""
        names = [name for name in body if name not in ("overall", "weakest", "classes")]
        return tuple(
            cls(
                name=name, share=Interval.of(body[name]) or Interval(value=math.nan), why=body[name].get("why", ""),
                classes={key: Interval.of(parts[name]) or Interval(value=math.nan)
                         for key, parts in body["classes"].items()},
            )
            for name in (*names, "overall")
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Decision(FromJson):
    """One row of the ledger, as in ``scarce run --json``.

    Args:
        gain, low, high: difference of the metric on real held-out data, positive = better.
        detectable: smallest gain that this data could have shown.
        against: what it is compared with.
        proxy: measured with another model than the final one.
    """

    decision: str
    gain: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    p_holm: float = math.nan
    detectable: float = math.nan
    seconds: float = math.nan
    verdict: str = "not applicable"
    kept: bool = False
    instrument: str = ""
    proxy: bool = False
    against: str = "baseline"
    why: str = ""
    version_before: str = ""
    version_after: str = ""


@dataclass(frozen=True, kw_only=True)
class ClassResult:
    """How one class fares on real test data; ``n`` test samples from so many ``groups``, 0 if that is not known."""

    name: str
    n: int
    recall: Interval
    groups: int = 0
    precision: Interval | None = None
    average_precision: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """Defect or sound at one frozen threshold.

    Args:
        recall: share of defects found; ``low`` is the one-sided 95 % bound.
        false_alarms: share of sound samples that raise an alarm; ``high`` is the one-sided 95 % bound.
        defects, sound: how many test samples of each.
        defect_groups, sound_groups: groups that they come from, 0 if that is not known. Where that is fewer, the bounds
            are counted by group.
        threshold: of 1 - p(normal).
        wanted: the false-alarm rate that was asked for.
        held_out_sound: held-out sound samples that the threshold was chosen on, 0 if that is not known.
        rate_resolved: whether they are enough to show the wanted rate.
        in_sample: the threshold was chosen on the test samples themselves.
        half_found_at: smallest false-alarm rate at which half of the held-out defects are found.
    """

    recall: Interval
    false_alarms: Interval
    defects: int = 0
    sound: int = 0
    threshold: float = math.nan
    wanted: float = math.nan
    defect_groups: int = 0
    sound_groups: int = 0
    held_out_sound: int = 0
    rate_resolved: bool = True
    in_sample: bool = False
    half_found_at: float = math.nan

    @property
    def finds_nothing(self) -> bool:
        """Whether no defect is found at the wanted rate."""
        return self.defects > 0 and self.recall.value == 0


@dataclass(frozen=True, kw_only=True)
class ChosenMetric:
    """The metric that the user chose.

    Args:
        name: of the metric, ``macro_f1`` for example; ``title`` as people call it.
        baseline, planned: on development data (cross-validated), without the plan and with it.
        test: on the real test data; None where it is not judged there.
    """

    name: str
    title: str
    baseline: float = math.nan
    planned: float = math.nan
    test: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """The look at the real test data.

    Args:
        n: real test samples, from so many ``groups`` (0 if that is not known).
        baseline: the same score without any of the decisions.
        majority: the score of always answering the commonest class.
        majority_class: that class.
        difference: final minus baseline, paired.
        confusion: rows = truth, columns = answer, in the order of ``per_class``.
        reliability: (stated probability, share right, samples) per bin.
        looks: how often this test set was looked at.
    """

    __test__ = False

    n: int
    balanced_accuracy: Interval
    macro_f1: Interval | None = None
    baseline: Interval | None = None
    majority: float = math.nan
    majority_class: str = ""
    difference: Interval | None = None
    per_class: tuple[ClassResult, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    reliability: tuple[tuple[float, float, int], ...] = ()
    looks: int = 1
    groups: int = 0


@dataclass(frozen=True, kw_only=True)
class Comparison(FromJson):
    """One line of a comparison: a published figure, or the same model under another split."""

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    note: str = ""
    ours: bool = False
    metric: str = "balanced accuracy"


@dataclass(frozen=True, kw_only=True)
class ChecklistItem(FromJson):
    """One line of the data-centric checklist; done only with evidence."""

    text: str
    done: bool = False
    evidence: str = ""


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything one report shows.

    Args:
        title: what the data is called.
        command: the exact command that gave this report.
        metric: the metric of the ledger, as people call it.
        counts: split, then class, then origin, to number of kept samples.
        before: class to number of training samples as they came; ``after``: as trained on.
        conditions: title of a condition (``camera``) to its values to numbers of samples per split.
        plan: why this plan was proposed, one sentence each.
        proofs: what each class's counts can prove, one sentence each.
        notes: warnings and whatever else a person should know.
        budget: one line on the time that was given and used.
        set_aside: reason to number of samples.
        chosen: the metric that the user chose, on development data and on test.
        no_point: why there is no operating point although a sound class is known.
        draws_copies: the network draws changed copies in every epoch, whatever the ledger kept.
        contradicted: what share of the labels is contradicted, one sentence.
        quality: the parts of the quality of the data as it came, ``overall`` last.
    """

    title: str
    command: str = ""
    when: str = ""
    version: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    seconds: float = math.nan
    budget: str = ""
    model: str = ""
    metric: str = "balanced accuracy"
    classes: tuple[str, ...] = ()
    normal_classes: tuple[str, ...] = ()
    counts: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    before: Mapping[str, int] = field(default_factory=dict)
    after: Mapping[str, int] = field(default_factory=dict)
    conditions: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    ledger: tuple[Decision, ...] = ()
    test: TestResult | None = None
    chosen: ChosenMetric | None = None
    operating_point: OperatingPoint | None = None
    no_point: str = ""
    draws_copies: bool = False
    contradicted: str = ""
    comparisons: tuple[Comparison, ...] = ()
    checks: tuple[Check, ...] = ()
    quality: tuple[QualityPart, ...] = ()
    set_aside: Mapping[str, int] = field(default_factory=dict)
    label_errors: tuple[LabelError, ...] = ()
    duplicates: tuple[DuplicateGroup, ...] = ()
    faults: tuple[Fault, ...] = ()
    grown: tuple[Grown, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    plan: tuple[str, ...] = ()
    proofs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    checklist: tuple[ChecklistItem, ...] = ()
