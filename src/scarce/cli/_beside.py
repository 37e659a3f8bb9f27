"""What a look at the test set says beside the scores, as sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from scarce.cli._screen import safe
from scarce.cli._summary import percent


def beside(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield one sentence for each thing that was measured."""
    from scarce.report.words import variety_told

    yield from (f"Warning: {safe(why)}" for why in body.get("seen") or ())
    if body.get("judged_as"):
        yield safe(body["judged_as"])
    if body.get("groups") == 1:
        yield "All test samples are of one group: no bootstrap over groups has an interval."
    yield from _unknown(body.get("out_of_distribution") or {})
    sets = (body.get("ambiguous") or {}).get("sets")
    if sets:
        yield (
            f"Ambiguous: {percent(sets['ambiguous'])} of the samples keep several classes; without them the accuracy "
            f"is {percent(sets['accuracy_sure'])} instead of {percent(sets['accuracy'])}."
        )
    other = body.get("compare")
    if other:
        found, plain = (other["differences"][name] for name in ("balanced_accuracy", "accuracy"))
        yield (
            f"Against {safe(other['first'])}: balanced accuracy {_points(found['value'])} points "
            f"({_ends(found, _points)}): {other['verdict']}; accuracy "
            f"{_points(plain['value'])} points, {other['only_second']} samples only this one gets right, "
            f"{other['only_first']} only the other, McNemar p = {other['p']:.3g}."
        )
    yield from _in_use(body.get("verdicts") or {})
    field = body.get("variety")
    if field:
        yield (
            f"Field: {percent(field['covered'])} of {field['field']:,} samples look like test samples. "
            f"{variety_told(field['verdict'])}"
        )
    robust = body.get("robustness")
    if robust:
        worst = {name: max(row["lost"] for row in rows) for name, rows in robust["curves"].items()}
        said = [f"{name} {100 * lost:.1f} points" if lost > 0 else f"{name} none" for name, lost in worst.items()]
        yield f"Accuracy lost at worst: {', '.join(said)}."
    if body.get("costs"):
        yield from _costs(body["costs"])
    for pair in (body.get("next") or {}).get("pairs", [])[:3]:
        yield f"Next: {safe(pair['true'])} taken for {safe(pair['predicted'])} {pair['n']} times; {safe(pair['why'])}."
    if body.get("asked"):
        yield f"{body['asked']['new']} new questions wait in the queue: scarce label, scarce review."


def _in_use(found: Mapping[str, Any]) -> Iterator[str]:
    if passed := found.get("defects_accepted"):
        stopped = found["sound_not_accepted"]
        yield (
            f"In use {passed['count']} of {passed['n']} defects would be accepted ({_ends(passed, percent)}), and "
            f"{stopped['count']} of {stopped['n']} sound samples not ({_ends(stopped, percent)}): rejected, or left to "
            "a person."
        )


def _costs(found: Mapping[str, Any]) -> Iterator[str]:
    ways = ", ".join(
        f"{name} {row['value']:.4g} ({_ends(row, '{:.4g}'.format)})" for name, row in found["ways"].items()
    )
    yield f"Costs of 1,000 samples, by the way to answer: {safe(ways)}."


def _ends(row: Mapping[str, Any], form: Callable[[float], str]) -> str:
    return "no interval" if row["low"] is None else f"{form(row['low'])} to {form(row['high'])}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _unknown(found: Mapping[str, Any]) -> Iterator[str]:
    stored = found.get("stored")
    if stored:
        caught = stored.get("foreign_found")
        more = f", and of {found['foreign']:,} foreign ones {percent(caught['value'])}" if caught else ""
        yield f"Unknown ({stored['detector']}): {percent(stored['known_called_unknown'])} of the test samples{more}."
    for name, row in sorted((found.get("detectors") or {}).items(), key=lambda item: -item[1]["auroc"]):
        yield f"  {name}: AUROC {row['auroc']:.4f}, FPR95 {percent(row['fpr95'])}"
