"""Numbers and findings in plain words."""

from __future__ import annotations

import math

from scarce.report.model import Interval, OperatingPoint, ReportData, TestResult

TITLES = {
    "clean": "Clean the labels",
    "clean.label_error": "Set aside contradicted labels",
    "clean.merge_duplicates": "Merge copies into one",
    "clean.machine_labels": "Leave out labels of rules and models",
    "augment": "Augmented copies",
    "synthesize": "Synthetic defects",
    "rebalance.oversample": "Oversample rare classes",
    "rebalance.class_weight": "Class weights",
    "rebalance.effective_number": "Effective-number weights",
    "rebalance.balanced_softmax": "Balanced softmax",
    "rebalance.focal": "Focal loss",
    "rebalance.smote": "SMOTE between features",
    "rebalance.threshold": "Thresholds moved",
    "rebalance.deferred": "Deferred re-weighting",
    "full_hybrid": "All of it together",
}
CHECKS = {
    "label_error": "Contradicted labels",
    "exact_duplicate": "Exact duplicates",
    "near_duplicate": "Near-duplicates",
    "same_object": "Same object, other picture",
    "label_conflict": "Labels that contradict each other",
    "leakage": "Leaks between splits",
    "outlier": "Outliers",
    "spurious": "Shortcuts",
    "slice": "Weak slices",
    "order": "Drift along time or files",
    "imbalance": "Rare classes",
    "agreement": "Annotators' agreement",
    "source_shift": "Sources told apart",
    "missing": "Missing values",
    "table_schema": "Columns of the table",
    "blurred": "Blurred",
    "dark": "Too dark",
    "bright": "Too bright",
    "low_information": "Nearly empty",
    "odd_size": "Odd size",
    "odd_aspect_ratio": "Odd shape",
    "scan": "Unreadable files",
    "split": "What the counts can prove",
}


def decision_title(name: str) -> str:
    """Return a decision as people call it: ``rebalance.focal`` gives ``Focal loss``."""
    if name in TITLES:
        return TITLES[name]
    stage, _, rest = name.partition(".")
    words = rest.replace("_", " ").replace("-", " ")
    return f"{TITLES.get(stage, stage.capitalize())}: {words}" if rest else name.replace("_", " ").capitalize()


def check_title(name: str) -> str:
    """Return a check as people call it."""
    return CHECKS.get(name, name.replace("_", " ").capitalize())


def known(value: float | None) -> bool:
    """Return whether there is a number."""
    return value is not None and not math.isnan(value)


def percent(value: float, *, digits: int = 1) -> str:
    """Return a fraction as percent: 0.8363 gives ``83.6``."""
    if not known(value):
        return "–"
    text = f"{100 * value:.{digits}f}"
    return "0" + text[2:] if text.startswith("-0") and float(text) == 0 else text


def variety_told(verdict: str) -> str:
    """Return what :mod:`scarce.evaluate.variety` found of test set and field, as a sentence."""
    return {
        "as varied": "The test set is as varied as the field.",
        "less varied": "The test set is less varied than the field: its figures promise too much.",
        "different": "A classifier tells the field from the test set, whose figures therefore say little about it.",
    }.get(verdict, "Whether the test set is as varied as the field is not shown: take more field samples.")


def points(value: float) -> str:
    """Return a gain in points with its sign: ``+3.2``."""
    if not known(value):
        return "–"
    rounded = round(100 * value, 1)
    return "0.0" if rounded == 0 else f"{rounded:+.1f}".replace("-", "−")


def span(interval: Interval | None, *, digits: int = 1) -> str:
    """Return the bounds of an interval in percent: ``79.9–86.8``."""
    if interval is None or not (known(interval.low) and known(interval.high)):
        return ""
    return f"{percent(interval.low, digits=digits)}–{percent(interval.high, digits=digits)}"


def count(value: int) -> str:
    """Return a whole number with thousands set off."""
    return f"{value:,}"


def many(value: int, one: str, more: str = "") -> str:
    """Return a number with its noun: ``1 photo``, ``2 photos``."""
    return f"{value:,} {one if value == 1 else more or one + 's'}"


def duration(seconds: float) -> str:
    """Return seconds as people say them: ``3 min 20 s``."""
    if not known(seconds):
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def whole(value: float) -> str:
    """Return a fraction as a whole number of a hundred, never rounding an imperfect result up to 100 or down to 0."""
    rounded = round(100 * value)
    if rounded == 100 and value < 1:
        return f"{math.floor(1000 * value) / 10:.1f}"
    if rounded == 0 and value > 0:
        return f"{math.ceil(1000 * value) / 10:.1f}"
    return str(rounded)


def headline(report: ReportData) -> list[tuple[str, str]]:
    """Return the report's first sentences as (main sentence, what belongs to it in smaller print).

    Where the operating point finds nothing, the class result leads.
    """
    out, point = [], report.operating_point
    if report.test is not None and known(report.test.balanced_accuracy.value):
        out.append(_classes(report.test))
    if point is not None and point.defects:
        out.insert(len(out) if point.finds_nothing else 0, _nothing(point) if point.finds_nothing else _defects(point))
    if not out:
        out.append(("This run looked at the data and trained no model.", ""))
    return out


def _defects(point: OperatingPoint) -> tuple[str, str]:
    alarms = f"with a false alarm on {whole(point.false_alarms.value)} of 100 sound ones"
    main = f"Of 100 damaged ones it finds {whole(point.recall.value)}, {alarms}."
    proof = []
    if known(point.recall.low):
        proof.append(
            f"Counted on {many(point.defects, 'damaged test sample')}{by_group(point.defects, point.defect_groups)} "
            f"it never trained on: with 95 % confidence it finds at least {percent(point.recall.low)} %."
        )
    if known(point.false_alarms.high):
        proof.append(
            f"On {many(point.sound, 'sound test sample')}{by_group(point.sound, point.sound_groups)}, false alarms are "
            f"at most {percent(point.false_alarms.high)} %."
        )
    return main, " ".join(proof)


def by_group(n: int, groups: int) -> str:
    """Return how samples that share groups are counted: `` (counted by group: 7)``; empty where each stands alone."""
    return f" (counted by group: {count(groups)})" if 0 < groups < n else ""


def rate_text(rate: float) -> str:
    """Return a wanted rate as it was asked for: ``1 %``, ``0.5 %``."""
    return f"{100 * rate:.3g} %" if known(rate) else ""


def _nothing(point: OperatingPoint) -> tuple[str, str]:
    at = f"of at most {rate_text(point.wanted)}" if known(point.wanted) else ""
    main = f"At the wanted false-alarm rate {at}".rstrip() + (
        f" it finds none of {many(point.defects, 'damaged test sample')}."
    )
    return main, half_sentence(point)


def half_sentence(point: OperatingPoint) -> str:
    """Return from which false-alarm rate on half of the held-out defects are found, or an empty text."""
    if not known(point.half_found_at):
        return ""
    return (
        "The smallest false-alarm rate at which half of the held-out defects are found is "
        f"{percent(point.half_found_at)} % (counted on held-out training folds, not on test)."
    )


def _classes(test: TestResult) -> tuple[str, str]:
    score = test.balanced_accuracy
    bounds = span(score)
    main = f"It names the right class for {whole(score.value)} of 100 samples, each class counting the same."
    more = [f"{percent(score.value)} % balanced accuracy" + (f" ({bounds})" if bounds else "")]
    more[0] += f" on {many(test.n, 'real test sample')}{by_group(test.n, test.groups)} it never trained on."
    if known(test.majority):
        who = f"‘{test.majority_class}’" if test.majority_class else "the commonest class"
        more.append(f"Always answering {who} would score {percent(test.majority)} %.")
    return main, " ".join(more)


def gain_sentence(report: ReportData) -> str:
    """Return what all kept decisions gained on the test set, or an empty text."""
    test = report.test
    if test is None or test.difference is None or not known(test.difference.value):
        return ""
    change = test.difference
    kept = not report.ledger or any(row.kept for row in report.ledger)
    if not kept and not report.draws_copies:
        return "No decision was kept: none has shown that it helps, so the model is trained on the data as it came."
    verb = "added" if change.value >= 0 else "cost"
    copies = "the changed copies that the network draws in every epoch"
    subject = f"The kept decisions and {copies}" if report.draws_copies else "The kept decisions"
    subject = subject if kept else copies.capitalize()
    text = f"{subject} {verb} {percent(abs(change.value))} points"
    if known(change.low) and known(change.high):
        text += f" ({points(change.low)} to {points(change.high)})"
        if change.low <= 0 <= change.high:
            return text + ": this test set cannot tell whether that is more than chance."
    return text + (", compared with training on the data as it came." if not text.endswith(".") else "")


def weakest_sentence(report: ReportData) -> str:
    """Return which class is found worst, with its interval, or an empty text."""
    rows = [row for row in report.test.per_class if row.n and known(row.recall.value)] if report.test else []
    if len(rows) < 2:
        return ""
    worst = min(rows, key=lambda row: row.recall.value)
    bounds = span(worst.recall)
    text = f"Weakest class: {worst.name}, found in {whole(worst.recall.value)} of 100 cases"
    return text + (
        f" (95 % interval {bounds}, {worst.n} test samples{by_group(worst.n, worst.groups)})." if bounds else "."
    )


def untested_sentence(report: ReportData) -> str:
    """Return which classes have no test sample, or an empty text."""
    test = report.test
    names = [f"‘{row.name}’" for row in test.per_class if not row.n] if test else []
    return f"No test sample of {', '.join(names)}: not judged." if names else ""


def chosen_sentence(report: ReportData) -> str:
    """Return how the metric that the user chose does on development data and on test, or an empty text."""
    chosen = report.chosen
    if chosen is None or not known(chosen.planned):
        return ""
    text = f"The chosen metric, {chosen.title}: "
    if known(chosen.baseline):
        text += f"{percent(chosen.baseline)} % without the plan and "
    text += f"{percent(chosen.planned)} % with it on development data (cross-validated)"
    if chosen.test is None or not known(chosen.test.value):
        return text + "; it is not judged on test."
    bounds = span(chosen.test) or (f"at least {percent(chosen.test.low)}" if known(chosen.test.low) else "")
    return text + f"; {percent(chosen.test.value)} % on test" + (f" ({bounds})." if bounds else ".")
