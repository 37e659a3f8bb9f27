"""Samples for the report: pictures (or texts) of label errors, duplicates, faults, grown samples and mistakes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from scarce.dataset import Array, Dataset
from scarce.errors import ScarceError

if TYPE_CHECKING:
    from scarce.loop.conclude import Outcome
    from scarce.report import DuplicateGroup, Exhibit, Fault, Grown, LabelError, Mistake

SIZE = 160
MOST = {"label_errors": 24, "groups": 8, "members": 6, "faults": 18, "grown": 16, "mistakes": 24}
QUALITY = (
    "blurred", "dark", "bright", "low_information", "odd_size", "odd_aspect_ratio", "outlier", "spurious",
    "source_shift",
)  # fmt: skip


def exhibits(ds: Dataset, ids: Sequence[str]) -> dict[str, Exhibit]:
    """Return id to exhibit; a sample that cannot be opened is shown by its name."""
    from scarce import report

    rows = ds.rows_of(list(ids))
    shown = _contents(ds, rows)
    columns = {
        name: ds.table[name].take(rows).to_pylist() for name in ("id", "uri", "label", "origin", "split", "parents")
    }
    out = {}
    for place, sample in enumerate(columns["id"]):
        name = columns["uri"][place] or f"from {(columns['parents'][place] or ['?'])[0]}"
        data, text = shown[place]
        out[sample] = report.Exhibit(
            name=name, data=data, text=text, label=columns["label"][place] or "(unlabelled)",
            origin=columns["origin"][place], split=columns["split"][place] or "",
        )  # fmt: skip
    return out


def _contents(ds: Dataset, rows: Array) -> list[tuple[bytes, str]]:
    from scarce import modality
    from scarce.modality.words import words_of

    if ds.schema.modality == "tabular":
        return [(b"", said or "(cannot be shown)") for said in words_of(ds, rows)]
    out: list[tuple[bytes, str]] = []
    for row in rows:
        try:
            if ds.schema.modality == "text":
                out.append((b"", str(modality.open_samples(ds, [row])[0])[:400]))
            else:
                out.append((_png(modality.thumbnails(ds, [row], size=SIZE)[0]), ""))
        except (ScarceError, OSError):
            out.append((b"", "(cannot be shown)"))
    return out


def _png(image: Array) -> bytes:
    import cv2

    shown = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".png", shown)[1].tobytes())


def found(ds: Dataset, check: str, level: str) -> list[dict[str, Any]]:
    """Return the findings of a check, worst first."""
    rows = ds.findings.filter(pc.and_(pc.equal(ds.findings["check"], check), pc.equal(ds.findings["level"], level)))
    return sorted(rows.to_pylist(), key=lambda row: -(row["score"] or 0))


def label_errors(ds: Dataset) -> tuple[LabelError, ...]:
    """Return the worst suspected label errors, the rare classes first among equals."""
    from scarce import report

    rows = found(ds, "label_error", "sample")[: MOST["label_errors"]]
    shown = exhibits(ds, [row["members"][0] for row in rows])
    out = []
    for row in rows:
        exhibit = shown[row["members"][0]]
        suggested, probability = suggestion(row["why"])
        out.append(
            report.LabelError(exhibit=exhibit, given=exhibit.label, suggested=suggested, probability=probability)
        )
    return tuple(out)


def suggestion(why: str) -> tuple[str, float]:
    """Return the suggested class and its probability from the reason of a label-error finding."""
    found = re.search(r'more likely "(.+?)" \(probability ([\d.]+)\)', why)
    return (found[1], float(found[2])) if found else ("?", float("nan"))


def duplicates(ds: Dataset) -> tuple[DuplicateGroup, ...]:
    """Return the largest duplicate groups side by side, those with conflicting labels first."""
    from scarce import report
    from scarce.kin import COPIES

    groups = [row for check in COPIES for row in found(ds, check, "group")]
    labels = dict(zip(ds.ids, ds.table["label"].to_pylist(), strict=True))
    groups.sort(key=lambda row: (-len({labels.get(name) for name in row["members"]}), -len(row["members"])))
    groups = groups[: MOST["groups"]]
    wanted = [name for row in groups for name in row["members"][: MOST["members"]]]
    shown = exhibits(ds, list(dict.fromkeys(wanted)))
    return tuple(
        report.DuplicateGroup(exhibits=tuple(shown[name] for name in row["members"][: MOST["members"]]), why=row["why"])
        for row in groups
    )


def faults(ds: Dataset) -> tuple[Fault, ...]:
    """Return samples that quality checks name, a few of each check."""
    from scarce import report

    each = max(2, MOST["faults"] // len(QUALITY))
    rows = [(check, row) for check in QUALITY for row in found(ds, check, "sample")[:each]]
    shown = exhibits(ds, list(dict.fromkeys(row["members"][0] for _, row in rows)))
    return tuple(report.Fault(check=check, exhibit=shown[row["members"][0]], why=row["why"]) for check, row in rows)


def grown(ds: Dataset) -> tuple[Grown, ...]:
    """Return grown samples beside their parents, spread over origins and classes."""
    from scarce import report

    rows = np.flatnonzero((ds["origin"] != "real") & ds["keep"].astype(bool))
    if not len(rows):
        return ()
    kinds = np.array([f"{a}|{b}" for a, b in zip(ds["origin"][rows], ds["label"][rows], strict=True)])
    order = np.lexsort((rows, [np.sum(kinds[:place] == kind) for place, kind in enumerate(kinds)]))
    rows = rows[order][: MOST["grown"]]
    table = ds.table.take(rows).to_pylist()
    wanted = [name for row in table for name in (row["id"], *row["parents"][:2])]
    shown = exhibits(ds, list(dict.fromkeys(wanted)))
    return tuple(
        report.Grown(
            exhibit=shown[row["id"]], parents=tuple(shown[name] for name in row["parents"][:2]), how=how(row["recipe"])
        )
        for row in table
    )  # fmt: skip


def how(recipe: str | None) -> str:
    """Return the operations of a recipe in words."""
    try:
        operations = json.loads(recipe or "{}").get("ops", [])
        return ", ".join(str(item["op"]).split(".")[-1].replace("_", " ") for item in operations)
    except (ValueError, AttributeError, KeyError):
        return ""


def mistakes(ds: Dataset, outcome: Outcome) -> tuple[Mistake, ...]:
    """Return the model's most confident mistakes on the test set."""
    from scarce import report

    rows = ds.rows_of(outcome.test_ids)
    labels, answer = ds["label"][rows], outcome.test_probs.argmax(1)
    sure = outcome.test_probs.max(1)
    wrong = np.flatnonzero(labels != answer)
    wrong = wrong[np.argsort(-sure[wrong])][: MOST["mistakes"]]
    shown = exhibits(ds, list(outcome.test_ids[wrong]))
    names = ds.schema.classes
    return tuple(
        report.Mistake(
            exhibit=shown[outcome.test_ids[place]], given=names[labels[place]], predicted=names[answer[place]],
            probability=float(sure[place]),
        )
        for place in wrong
    )  # fmt: skip
