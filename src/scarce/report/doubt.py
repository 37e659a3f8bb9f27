"""Sections of the page of a look that say how far answers can be believed, and what to ask people next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scarce.report import evidence
from scarce.report.curve import Line, lines
from scarce.report.look_parts import grid, of, reliable
from scarce.report.markup import Child, Safe, join, tag
from scarce.report.model import Exhibit, number
from scarce.report.picture import Album
from scarce.report.words import count, many, percent, span

QUESTIONS, SHOWN, OF_CLUSTER = 24, 12, 5
"""Questions, ambiguous samples and samples of a cluster that are shown."""
Exhibits = Mapping[str, Exhibit]


def calibration(body: Mapping[str, Any]) -> Safe:
    """Return the reliability before and after calibration, at natural frequencies, and what other kinds would give."""
    found = body["calibration"]
    plots = []
    if found.get("before"):
        plots.append(reliable(found["before"]["bins"], "Before calibration", found["before"]["ece"]))
    plots.append(reliable(found["bins"], "As the model answers", found["ece"]))
    intro = "On the diagonal, a stated 80 % is right 80 times of 100. Below it, the model is too sure."
    scores = f"Brier score {found['brier']:.4f} (0 best, 2 worst), log loss {found['log_loss']:.4f}."
    parts: list[Child] = [
        tag("p", intro, class_="intro"), tag("div", plots, class_="charts"), tag("p", scores, class_="note"),
    ]  # fmt: skip
    natural = found.get("natural")
    if natural:
        before, after = of(natural["ece_before"]), of(natural["ece"])
        parts.append(tag(
            "p", "The model was trained as if the classes had other frequencies, and answers that way. Where they are "
            f"as common as in training, its natural probabilities hold: calibration error {_error(after)} in place of "
            f"{_error(before)} (test samples weighed to those frequencies).",
        ))  # fmt: skip
    kinds = found.get("kinds")
    if kinds:
        rows = [
            [name, *(tag("td", f"{100 * row[key]:.2f}", class_="number") for key in ("ece", "accuracy")),
             *(tag("td", f"{row[key]:.4f}", class_="number") for key in ("brier", "log_loss"))]
            for name, row in kinds.items()
        ]  # fmt: skip
        table = grid(("Calibration", "Error, %", "Accuracy, %", "Brier", "Log loss"), rows)
        parts.append(tag("details", tag("summary", "Other kinds, on held-out training samples"), table))
    return join(*parts)


def _error(value: Any) -> str:
    return f"{percent(value.value, digits=2)} % ({span(value, digits=2) or 'no interval'})"


def unknown(body: Mapping[str, Any]) -> Safe | None:
    """Return how samples of none of the classes are told: the stored threshold, and every detector."""
    found = body.get("out_of_distribution")
    if not found:
        return None
    said, stored = [], found.get("stored")
    if stored:
        if stored["threshold"] is not None:
            said.append(f"{stored['detector']} calls a sample unknown above {stored['threshold']:.4g}, chosen to pass "
                        f"{percent(stored['kept'])} % of {stored['chosen_on']}.")  # fmt: skip
        said.append(
            f"Of the test samples {percent(stored['known_called_unknown'])} % ({percent(stored['low'])}–"
            f"{percent(stored['high'])}) are called unknown. {percent(stored['accuracy'])} % are right, "
            f"{percent(stored['accuracy_passed'])} % right and passed."
        )
        caught = stored.get("foreign_found")
        if caught:
            said.append(f"Of {count(found['foreign'])} foreign samples {percent(caught['value'])} % "
                        f"({percent(caught['low'])}–{percent(caught['high'])}) are.")  # fmt: skip
    parts: list[Child] = [tag("ul", [tag("li", line) for line in said], class_="plain")]
    parts.append(_detectors(found.get("detectors") or {}, f"{count(found['foreign'])} foreign samples"))
    tried = found.get("tried") or {}
    if not found.get("detectors") and tried:
        parts.append(_detectors(tried, str(stored["tried_on"]) if stored else "made samples"))
    if found.get("sweep"):
        rows = [
            [row["detector"], *(tag("td", text, class_="number") for text in (
                f"{row['temperature']:g}", percent(row["kept"], digits=0), f"{row['threshold']:.4g}",
                f"{row['auroc']:.4f}", percent(row["foreign_found"]), percent(row["accuracy"])))]
            for row in found["sweep"] if row["threshold"] is not None
        ]  # fmt: skip
        head = ("Score", "Temperature", "Known kept, %", "Threshold", "AUROC", "Foreign found, %", "Passed, right, %")
        on = f"Thresholds were chosen on {found.get('sweep_chosen_on') or 'the test samples themselves'}."
        swept = tag("summary", "Temperature and threshold, swept"), grid(head, rows), tag("p", on, class_="note")
        parts.append(tag("details", *swept))
    return join(*parts)


def _detectors(table: Mapping[str, Mapping[str, Any]], against: str) -> Safe | None:
    if not table:
        return None
    rows = [
        [name.replace("_", " "), *(tag("td", text, class_="number") for text in (
            f"{row['auroc']:.4f}{_ends(row, 'auroc', '{:.3f}')}",
            f"{percent(row['fpr95'])}{_ends(row, 'fpr95', '{:.1%}')}", percent(number(row.get("cost95")), digits=2)))]
        for name, row in sorted(table.items(), key=lambda item: -item[1]["auroc"])
    ]  # fmt: skip
    head = ("Detector", "AUROC", "Foreign that pass at 95 % known (FPR95), %", "Accuracy that it costs, points")
    note = "At the threshold that 95 % of the known samples here pass; it is not the stored one."
    return join(grid(head, rows), tag("p", f"Tried on {_tried(against)}. {note}", class_="note"))


def _ends(row: Mapping[str, Any], name: str, form: str) -> str:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return "" if low is None or high is None else f" ({form.format(low)}–{form.format(high)})".replace("%", "")


def _tried(against: str) -> str:
    """Return what foreign samples were, so that it fits into a sentence."""
    if against == "given":
        return "the foreign samples that were given to the training"
    return f"samples {against}" if against.startswith("made from") else against


def ambiguous(body: Mapping[str, Any], exhibits: Exhibits, album: Album) -> Safe | None:
    """Return the risk-coverage curve, the conformal sets, and samples that keep several classes."""
    found = body.get("ambiguous")
    if not found:
        return None
    points = tuple((row["answered"], row["error"]) for row in found["curve"])
    names = ("Error among the surest answers", "share answered, %", "error, %")
    chart = lines([Line("error", points)], names, x_text=lambda value: percent(value, digits=0))
    sets, cards = found.get("sets"), []
    said = ["Answering only where it is surest, the model errs less; the rest goes to a person."]
    if sets:
        said += [
            (
                f"Sets of classes hold the truth for {percent(sets['covered'])} % of the test samples; "
                f"{percent(sets['coverage'], digits=0)} % were wanted."
            ),
            (
                f"{percent(sets['ambiguous'])} % keep several classes ({sets['mean_size']:.2f} on average): ambiguous. "
                f"Without them the accuracy is {percent(number(sets['accuracy_sure']))} % instead of "
                f"{percent(sets['accuracy'])} %."
            ),
        ]
        cards = [
            evidence.card(exhibits[row["id"]], album, tag("p", " or ".join(row["classes"]), class_="labels"))
            for row in sets["examples"][:SHOWN] if row["id"] in exhibits
        ]  # fmt: skip
    words = tag("ul", [tag("li", line) for line in said], class_="plain")
    return join(tag("div", words, chart, class_="side"), tag("div", cards, class_="gallery tight") if cards else None)


def following(body: Mapping[str, Any], exhibits: Exhibits, album: Album) -> Safe:
    """Return pairs that need more or cleaner data, the questions about them, and subclasses."""
    found = body["next"]
    rows = [
        [join(pair["true"], " → ", pair["predicted"]), tag("td", str(pair["n"]), class_="number"),
         tag("td", f"{percent(pair['share'])} %", " ", tag("span", f"{percent(pair['low'])}–{percent(pair['high'])}",
                                                         class_="bounds")),
         tag("td", tag("b", f"{pair['needs']} data")), tag("td", pair["why"])]
        for pair in found["pairs"]
    ]  # fmt: skip
    parts: list[Child] = [
        grid(("Truth → answer", "Mix-ups", "Share of the class", "Needs", "Why"), rows) if rows
        else tag("p", "No pair of classes is mixed up often enough to be named.", class_="intro")
    ]  # fmt: skip
    questions = [row for row in found.get("questions", []) if row["sample"] in exhibits]
    if questions:
        asked = body.get("asked")
        waits = f"{asked['new']} of them new in the queue: scarce review, scarce label." if asked else (
            "scarce evaluate --ask puts them into the labelling queue."
        )  # fmt: skip
        cards = [evidence.card(exhibits[row["sample"]], album, tag("p", row["reason"], class_="sub"))
                 for row in questions[:QUESTIONS]]  # fmt: skip
        parts += [tag("p", f"{many(len(questions), 'sample')} to look at first; {waits}", class_="intro"),
                  tag("div", cards, class_="gallery")]  # fmt: skip
    return join(*parts, _subclasses(found["classes"], exhibits, album))


def _subclasses(classes: Mapping[str, Any], exhibits: Exhibits, album: Album) -> Safe | None:
    if not classes:
        return None
    rows = [
        [name, tag("td", f"{row['spread']:.2f}", class_="number"),
         tag("td", "–" if row["silhouette"] is None else f"{row['silhouette']:.2f}", class_="number"),
         tag("td", f"{len(row['subclasses'])} clusters" if row["subclasses"] else "one")]
        for name, row in classes.items()
    ]  # fmt: skip
    head = ("Class", "Spread (1 = average)", "Best clusters lie apart (silhouette)", "Proposed")
    blocks = []
    for name, row in classes.items():
        for place, part in enumerate(row["subclasses"], start=1):
            cards = [evidence.card(exhibits[item], album) for item in part["ids"][:OF_CLUSTER] if item in exhibits]
            words = f"{name}, cluster {place}: {many(part['n'], 'sample')}, {percent(part['recall'])} % found"
            blocks.append(tag("div", tag("p", tag("b", words), class_="head"),
                              tag("div", cards, class_="few"), class_="group"))  # fmt: skip
    shown = tag("div", blocks, class_="groups") if blocks else None
    return join(tag("h3", "Within the classes"), grid(head, rows), shown)
