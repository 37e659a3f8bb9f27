"""The checklist of a data-centric project: each line is ticked by evidence of this run, or left open."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from scarce.kin import COPIES

if TYPE_CHECKING:
    from scarce.loop.conclude import Outcome
    from scarce.loop.weigh import Weighed
    from scarce.report import ChecklistItem


def checklist(weighed: Weighed, outcome: Outcome, result: Mapping[str, Any]) -> tuple[ChecklistItem, ...]:
    """Return the lines in the order of a project."""
    from scarce import report

    rows = {row["decision"]: row for row in result["ledger"]}
    counts, findings = result["counts"], result["findings"]
    origins = weighed.dataset["origin"]
    augmented = int((origins == "augmented").sum())
    held_out = {origin for split in ("val", "test") for by in counts.get(split, {}).values() for origin in by}
    judged = [name for name in rows if name.startswith("rebalance.") and rows[name]["verdict"] != "not applicable"]
    agreement = _agreement(weighed)
    mistakes = outcome.test["mistakes"]
    untested = [name for name, row in outcome.test.get("per_class", {}).items() if not row["n"]]

    def line(text: str, evidence: str, *, done: bool) -> ChecklistItem:
        return report.ChecklistItem(text=text, done=done, evidence=evidence)

    return (
        line("Augmentation is strong enough and not too strong", _verdict(rows, "augment"),
             done=rows.get("augment", {}).get("verdict") == "helped"),
        line("Domain rules are respected (what may be flipped, cropped, recolored)",
             _policy(weighed), done=weighed.policy_named),
        line("Synthetic samples were checked for quality", _screened(outcome.synthetic),
             done=bool(outcome.synthetic)),
        line("The gap between synthetic and real data is known", _verdict(rows, "synthesize"),
             done=rows.get("synthesize", {}).get("verdict") in ("helped", "hurt", "no evidence")),
        line("Class ratios are known", f"ratio {weighed.plan.ratio:.4g} before; see the counts", done=True),
        line("Copies per original are bounded", f"{augmented} copies, at most {_copies(weighed)} of one original",
             done=True),
        line("Loss settings were measured, not guessed", ", ".join(judged) or "none measured", done=bool(judged)),
        line("Validation and test hold real samples only", "val and test: " + (", ".join(sorted(held_out)) or "empty"),
             done=held_out == {"real"}),
        line("Every class has test samples",
             f"not judged: {', '.join(untested)}" if untested else f"{outcome.test['n']} test samples of all classes",
             done=not untested),
        line("Annotators agree (above .8)", agreement[0], done=agreement[1]),
        line("Label errors were sought", f"{findings.get('label_error', 0)} contradicted (flagged, not proven)",
             done="label_error" in findings),
        line("Duplicates were looked for and never cut by the split",
             f"{sum(findings.get(name, 0) for name in COPIES)} groups of copies and of pictures of one object",
             done=not {"near_duplicate", "exact_duplicate"}.isdisjoint(findings)),
        line("Outliers were looked for", f"{findings.get('outlier', 0)} findings", done="outlier" in findings),
        line("Failures are collected for the next round",
             f"{mistakes['n']} mistakes on the test set, the {len(mistakes['worst'])} surest listed",
             done=bool(mistakes["n"])),
        line("The audit has a date", date.today().isoformat(), done=True),  # noqa: DTZ011  the user's own calendar
    )  # fmt: skip


def _verdict(rows: Mapping[str, Mapping[str, Any]], name: str) -> str:
    row = rows.get(name)
    if row is None:
        return "not measured"
    if row["verdict"] == "not applicable":
        return f"not applicable: {row['why']}"
    return f"{row['verdict']}: {100 * row['gain']:+.1f} points [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"


def _screened(body: Mapping[str, Any]) -> str:
    if not body:
        return "none were made"
    return f"{body['made']:,} made, {body['accepted']:,} passed the screens, {body['refused']:,} were refused"


def _policy(weighed: Weighed) -> str:
    if not weighed.policy:
        return "no augmentation for this kind of data"
    return f"policy {weighed.policy!r}, " + ("named by you" if weighed.policy_named else "guessed: nobody confirmed it")


def _copies(weighed: Weighed) -> int:
    table = weighed.dataset.table
    parents = [row[0] for row, origin in zip(table["parents"].to_pylist(), table["origin"].to_pylist(), strict=True)
               if origin == "augmented" and row]  # fmt: skip
    return int(np.unique(parents, return_counts=True)[1].max()) if parents else 0


def _agreement(weighed: Weighed) -> tuple[str, bool]:
    """Return what is known about the annotators' agreement, and whether it is proven to be above .8."""
    from scarce.audit import agreement
    from scarce.ballot import ratings_of

    ds = weighed.dataset
    if not len(ds.votes):
        return "one label a sample, no second annotator: agreement is unknown", False
    ratings, voters = ratings_of(ds)
    found = agreement.judge_agreement(ratings)
    if not found.items:
        return f"{len(ds.votes)} votes, no sample with two: agreement is unknown", False
    alpha, word = found.alpha, agreement.in_words(found.alpha.value)
    sure = f"95 % interval {alpha.low:.2f} to {alpha.high:.2f}"
    told = f"Krippendorff's alpha {alpha.value:.2f} ({word}; {sure}) of {len(voters)} annotators"
    return f"{told} on {found.items} samples", bool(alpha.low > 0.8)
