"""A model's card for people: what it was trained on, how good it is, where its threshold lies, and what nobody knows.

Everything comes from ``card.json``, from what ``scarce evaluate --json`` printed, and from the project's contract; what
is missing there is said to be missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scarce.errors import DataError
from scarce.report.label_book import plain
from scarce.report.markup import join, tag

FEWEST: Final = 50
"""Below so many training samples or groups of a class its figures are called weak."""
SCORES: Final = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1"}
STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}"
    "table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .75rem;border-bottom:1px solid #ccc;"
    "text-align:left;overflow-wrap:anywhere}"
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A heading with sentences, and perhaps a table."""

    title: str
    lines: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def parts(
    card: Mapping[str, Any], *, tested: Mapping[str, Any] | None = None, contract: str | None = None
) -> list[Part]:
    """Return the card as headings, sentences and tables.

    Args:
        card: what ``card.json`` holds.
        tested: what ``scarce evaluate --json`` printed of the same model; None = it was not looked at.
        contract: what the data must keep to, in a sentence; None = there is no contract.
    """
    each = [_each(tested)] if tested else []
    return [
        _what(card), _data(card, contract), _classes(card), _figures(card, tested), *each, _point(card, tested),
        _limits(card, tested), _training(card),
    ]  # fmt: skip


def refuse_other(card: Mapping[str, Any], tested: Mapping[str, Any], *, name: str) -> None:
    """Refuse figures that are not of this model. Those of another version of the data hold; the card names it.

    Args:
        card: what ``card.json`` holds.
        tested: what ``scarce evaluate --json`` printed.
        name: of the model, as people call it.

    Raises:
        DataError: weights or classes differ; both sides are named.
    """
    version, other = (card.get("data") or {}).get("version"), Path(str(tested.get("model"))).name
    own, theirs = ((side.get("weights"), sorted(side.get("classes") or ())) for side in (card, tested))
    if own == theirs:
        return
    differ = [what for what, a, b in zip(("weights", "classes"), own, theirs, strict=True) if a != b]
    raise DataError(
        "export", f"the evaluation is of {other} on {tested.get('version')}, the card of {name} on {version}",
        f"other {' and other '.join(differ)}", "scarce evaluate --model DIR --json > FILE, of this model",
    )  # fmt: skip


def to_markdown(given: Sequence[Part], *, title: str) -> str:
    """Return the parts as Markdown; names from users' files show as they are."""
    lines = [f"# {plain(title)}", ""]
    for part in given:
        lines += [f"## {part.title}", ""]
        lines += [f"- {plain(line)}" for line in part.lines] + [""] * bool(part.lines)
        if part.rows:
            lines += [_row(part.head), _row(["---"] * len(part.head), raw=True), *map(_row, part.rows), ""]
    return "\n".join(lines)


def to_html(given: Sequence[Part], *, title: str) -> str:
    """Return the parts as one page without anything from elsewhere."""
    body = [tag("h1", title)]
    for part in given:
        body += [tag("h2", part.title)]
        body += [tag("ul", [tag("li", line) for line in part.lines])] if part.lines else []
        if part.rows:
            head = tag("tr", [tag("th", cell, scope="col") for cell in part.head])
            body.append(tag("table", head, [tag("tr", [tag("td", cell) for cell in row]) for row in part.rows]))
    view = tag("meta", name="viewport", content="width=device-width, initial-scale=1")
    front = tag("head", tag("meta", charset="utf-8"), view, tag("title", title), tag("style", STYLE))
    return "<!doctype html>\n" + join(tag("html", front, tag("body", body), lang="en")) + "\n"


def _row(cells: Sequence[str], *, raw: bool = False) -> str:
    return "| " + " | ".join(cell if raw else plain(cell) for cell in cells) + " |"


def _what(card: Mapping[str, Any]) -> Part:
    normal = card.get("normal_classes") or []
    seen = card.get("encoder") or card.get("network") or "; ".join(_members(card))
    lines = [
        f"It tells {len(card['classes'])} classes of {card.get('modality', 'image')} data apart.",
        f"Trainer: {card['trainer']}" + (f", on {seen}." if seen else "."),
        *_size(card),
        f"Made {card.get('made', 'at an unknown time')}.",
        f"Without a defect means: {', '.join(normal)}." if normal else "No class is known to be without a defect.",
    ]
    return Part(title="What it is", lines=tuple(lines))


def _size(card: Mapping[str, Any]) -> list[str]:
    """Return how large the model is, and what its weights began as."""
    found = [f"{card['parameters']:,} parameters"] if card.get("parameters") is not None else []
    found += [f"a file of {card['weights_bytes'] / 1e6:.2f} MB"] if card.get("weights_bytes") is not None else []
    began = [f"Its weights began as: {card['weights_from']}."] if card.get("weights_from") else []
    more = "; the encoder of its features is not counted." if card.get("encoder") else "."
    return ([f"Size: {', '.join(found)}{more}"] if found else []) + began


def _data(card: Mapping[str, Any], contract: str | None) -> Part:
    data = card.get("data") or {}
    lines = (
        f"Version (step): {data.get('version') or 'not from a project'}.",
        f"Content of the training side: {data.get('content_id') or 'unknown'}.",
        f"Contract: {contract or 'none was agreed on for this data'}.",
    )
    return Part(title="Data", lines=lines)


def _learned(card: Mapping[str, Any]) -> Mapping[str, Mapping[str, int]]:
    """Return class to origin to the samples that it was fitted on; of a detector all boxes of its training side."""
    return card.get("fitted") or (card.get("data") or {}).get("counts") or {}


def _classes(card: Mapping[str, Any]) -> Part:
    counts = _learned(card)
    origins = sorted({origin for own in counts.values() for origin in own})
    rows = tuple(
        (name, *(f"{counts.get(name, {}).get(origin, 0):,}" for origin in origins)) for name in card["classes"]
    )
    return Part(title="Training samples", head=("class", *origins), rows=rows)


def _figures(card: Mapping[str, Any], tested: Mapping[str, Any] | None) -> Part:
    held = (card.get("metrics") or {}).get("held_out") or {}
    lines = []
    if held:
        found = ", ".join(
            f"{shown} {_percent(held[key])}" for key, shown in SCORES.items() if held.get(key) is not None
        )
        lines.append(
            f"On {held.get('n', 0):,} held-back training samples, which also set temperature and threshold: {found}."
        )
    if tested is None:
        return Part(
            title="How good it is", lines=(*lines, "The test set was not looked at: no figure here is unbiased.")
        )
    rows = [(shown, _between(tested[key])) for key, shown in SCORES.items() if tested.get(key)]
    rare = tested.get("rare_average_precision") or {}
    if rare.get("value") is not None:
        rows.append((f"average precision, mean of the rare classes ({', '.join(rare['classes'])})", _between(rare)))
    rows += [(shown, _between(tested[key]) if isinstance(tested[key], Mapping) else write(tested[key]))
             for key, shown, write in (("ece", "calibration error", _percent), ("brier", "Brier score", _brier))
             if tested.get(key) is not None]  # fmt: skip
    lines.append(f"On {tested.get('n', 0):,} real test samples of {tested.get('version', 'the test split')}, "
                 f"look number {tested.get('looks', 'unknown')}:")  # fmt: skip
    return Part(title="How good it is", lines=tuple(lines), head=("figure", "value, 95 % interval"), rows=tuple(rows))


def _each(tested: Mapping[str, Any]) -> Part:
    rows = tuple(
        (name, f"{row['n']:,}", _between(row, "recall", bare=True), _between(row, "precision"),
         _between(row, "average_precision"))
        for name, row in (tested.get("per_class") or {}).items()
    )  # fmt: skip
    head = ("class", "test samples", "recall, 95 % interval", "precision, 95 % interval",
            "average precision, 95 % interval")  # fmt: skip
    return Part(title="Class by class, on the test", head=head, rows=rows)


def _point(card: Mapping[str, Any], tested: Mapping[str, Any] | None) -> Part:
    point, unknown, several = card.get("operating_point"), card.get("unknown"), card.get("ambiguous")
    lines = ["It has no operating point: it does not accept or reject."]
    if point:
        lines = [f"Reject where 1 - p(normal) is at least {point['threshold']:.6g}."]
        if point.get("false_positive_rate") is not None:
            lines.append(
                f"Chosen for {_percent(point['false_positive_rate'])} false alarms on {point.get('chosen_on')}."
            )
        if point.get("defects"):
            lines.append(f"There it found {point['caught']:,} of {point['defects']:,} defects; proven at 95 %: "
                         f"{_percent(point['recall_low'])} of them.")  # fmt: skip
        if point.get("in_sample"):
            lines.append("These figures come from the samples that the threshold was chosen on: they are optimistic.")
    lines += _point_tested((tested or {}).get("operating_point"))
    lines.append(f"Probabilities are softmax(logits / {float(card.get('temperature') or 1):.6g}).")
    natural = card.get("natural")
    if natural:
        held = (card.get("metrics") or {}).get("held_out") or {}
        bias = ", ".join(f"{name} {value:+.3f}" for name, value in zip(card["classes"], natural["bias"], strict=True))
        lines.append(
            "It was trained for other class frequencies than the data has. At the natural ones its probabilities are "
            f"softmax((logits + bias) / {float(natural['temperature']):.6g}), bias by class: "
            f"{bias}; calibration error on held-back samples {_percent(held.get('ece'))} before, "
            f"{_percent(held.get('ece_natural'))} after."
        )
    if unknown and unknown.get("threshold") is not None:
        lines.append(f"Unknown above {unknown['threshold']:.6g} by {unknown['detector']}, chosen to pass "
                     f"{_percent(unknown['kept'])} of known samples.")  # fmt: skip
    if card.get("task") != "boxes" and (unknown or {}).get("threshold") is None:
        lines.append("It has no threshold for samples of none of its classes: it never says unknown.")
    stored = ((tested or {}).get("out_of_distribution") or {}).get("stored") or {}
    if stored.get("known_called_unknown") is not None:
        named = (("of the test samples", {**stored, "value": stored["known_called_unknown"]}),
                 ("of the foreign samples", stored.get("foreign_found") or {}))  # fmt: skip
        called = " and ".join(f"{_between(row)} {whose}" for whose, row in named if row.get("value") is not None)
        lines.append(f"It called {called} unknown.")
    if several:
        lines.append(
            f"Classes that reach {several['threshold']:.6g} remain possible. Ambiguous below the operating "
            "point where one of them is no normal class; without normal classes, where several remain."
        )
    return Part(title="Operating point", lines=tuple(lines))


def _point_tested(point: Mapping[str, Any] | None) -> list[str]:
    """Return what the operating point did on the test samples, with bounds."""
    if not point:
        return []
    units = "; bounds counted by group" if point.get("grouped") else ""
    lines = [(
        f"On the test, at {point['threshold']:.6g}: {point['caught']:,} of {point['defects']:,} defects found, "
        f"{_percent(point['recall'])} (at least {_percent(point['recall_low'])}), and {point['false_alarms']:,} of "
        f"{point['normals']:,} sound samples rejected, {_percent(point['false_alarm_rate'])} (at most "
        f"{_percent(point['false_alarm_high'])}; {_percent(point['false_positive_rate'])} were wanted). "
        f"The bounds are one-sided 95 % ones{units}."
    )]  # fmt: skip
    if point.get("in_sample"):
        lines.append("That threshold was chosen on the test samples themselves: optimistic.")
    return lines


def _limits(card: Mapping[str, Any], tested: Mapping[str, Any] | None) -> Part:
    counts = _learned(card)
    sums = {name: sum(counts.get(name, {}).values()) for name in card["classes"]}
    few = [f"{name} ({count})" for name, count in sums.items() if 0 < count < FEWEST]
    lines = []
    if few:
        lines.append(f"Fewer than {FEWEST} training samples, so weakly known: {', '.join(few)}.")
    if card.get("absent_classes"):
        lines.append(f"Never seen in training, so never answered: {', '.join(card['absent_classes'])}.")
    given = tested or {}
    looked = {
        "Not tested on samples of none of its classes.": (given.get("out_of_distribution") or {}).get("foreign"),
        "Not tested on unlabelled samples from the field.": given.get("variety"),
        "Not compared with another model on the same samples.": given.get("compare"),
    }  # fmt: skip
    if card.get("modality", "image") == "image":  # nothing else can be turned or blurred
        looked = {"Not tested on noise, light, rotation or blur.": given.get("robustness"), **looked}
    lines += [text for text, found in looked.items() if not found]
    lines.append("Not tested on other cameras, sites or times than those of the data version above.")
    return Part(title="Limits, and what it was not tested on", lines=tuple(lines))


def _training(card: Mapping[str, Any]) -> Part:
    rows = [(str(key), _short(value)) for key, value in sorted((card.get("params") or {}).items())]
    rows += [(key, _short(card[key])) for key in ("seed", "seconds", "epochs", "size", "mean", "std") if key in card]
    rows += [(f"version of {name}", str(value)) for name, value in (card.get("versions") or {}).items()]
    return Part(title="Training", head=("setting", "value"), rows=tuple(rows))


def _members(card: Mapping[str, Any]) -> list[str]:
    found = (card.get("members") or {}).values()
    return [f"{one['trainer']} ({one.get('encoder') or one.get('network')})" for one in found]


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_short(item) for item in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _percent(value: Any) -> str:
    return "unknown" if value is None else f"{100 * float(value):.1f} %"


def _brier(value: Any) -> str:
    return f"{float(value):.4f} (0 is best)"


def _between(found: Mapping[str, Any], name: str = "value", *, bare: bool = False) -> str:
    """Return a value with its ``low`` and ``high``, or with bounds that carry its name unless they are ``bare``."""
    value = found.get(name)
    if isinstance(value, Mapping):
        return _between(value)
    edges = ("low", "high") if bare or name == "value" else (f"{name}_low", f"{name}_high")
    low, high = (found.get(edge) for edge in edges)
    return _percent(value) + ("" if low is None or high is None else f" ({_percent(low)} to {_percent(high)})")
