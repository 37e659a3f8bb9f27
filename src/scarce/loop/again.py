"""A source that is read again: the splits and corrections of its project are carried over."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from scarce.dataset import Dataset
from scarce.lineage import Step

SPOKEN: Final = ("human", "vote", "rule", "zero_shot", "model")
"""Sources of labels that stand over what the file says."""
UNREADABLE: Final = ("missing", "empty", "truncated", "huge", "broken", "unreadable")
"""First words of reasons that reading finds anew."""


def carried_over(fresh: Dataset, head: Dataset, notes: list[str], *, splits: bool) -> Dataset:
    """Return what was just read with what the project knows about the same samples.

    Labels that somebody corrected stay corrected, samples that were set aside stay set aside with their reason, and
    each sample keeps its split, so that what was tested on is never trained on later. Labels that the project only
    read are taken from the files as they are now.

    Args:
        fresh: the source as it is now.
        head: the newest version of the project, without what was grown.
        notes: gets a sentence for people.
        splits: whether the splits stay, too; not where the user asks for another test set.
    """
    old = {sample: row for row, sample in enumerate(head.ids.tolist())}
    pairs = [(row, old[sample]) for row, sample in enumerate(fresh.ids.tolist()) if sample in old]
    if not pairs:
        return fresh
    columns = {name: fresh.table[name].to_pylist() for name in ("label", "label_source", "keep", "drop_reason")}
    known = {name: head.table[name].to_pylist() for name in (*columns, "split", "split_group")}
    corrected = aside = 0
    for row, at in pairs:
        if known["label_source"][at] in SPOKEN and known["label"][at] is not None:
            columns["label"][row], columns["label_source"][row] = known["label"][at], known["label_source"][at]
            corrected += 1
        reason = known["drop_reason"][at] or ""
        if columns["keep"][row] and not known["keep"][at] and not reason.startswith(UNREADABLE):
            columns["keep"][row], columns["drop_reason"][row] = False, reason
            aside += 1
    own_split = "split" in fresh and any(value is not None for value in fresh.table["split"].to_pylist())
    if splits and not own_split:
        for name in ("split", "split_group"):
            values: list[str | None] = [None] * len(fresh)
            for row, at in pairs:
                values[row] = known[name][at]
            columns[name] = values
    classes = (*fresh.schema.classes, *sorted({name for name in columns["label"] if name} - set(fresh.schema.classes)))
    fresh = replace(fresh, schema=replace(fresh.schema, classes=classes)).with_columns(columns)
    new = len(fresh) - len(pairs)
    notes.append(
        f"The project knows {len(pairs):,} of these samples ({new:,} are new): "
        f"{'their splits, ' if 'split' in columns else ''}{corrected:,} corrected labels and {aside:,} set aside stay "
        "as they are. Take another --project to begin anew."
    )
    params = {"samples": len(pairs), "labels": corrected, "set_aside": aside, "splits": "split" in columns}
    return fresh.with_step(Step(stage="io", name="carry_over", params=params))
