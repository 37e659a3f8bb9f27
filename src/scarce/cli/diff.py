"""``scarce diff``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scarce.cli._options import AsJson, Debug, InProject, folder_of
from scarce.cli._screen import screen, table

if TYPE_CHECKING:
    from rich.console import Console

    from scarce.dataset import Dataset

MADE = ("augmented", "synthetic")


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="Number, tag or branch of the older version.")],
    new: Annotated[
        str | None, typer.Argument(metavar="[NEW]", help="The newer one.", show_default="the newest")
    ] = None,
    project: InProject = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="List so many samples of each kind.")] = 20,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what changed between two versions: samples, labels, classes, rows that were grown.

    Where no sample differs, the steps that came between are named.

    Example:
        scarce diff v2 v5
        scarce diff before-cleaning --project photos-scarce --json
    """
    with screen(as_json, debug=debug) as out:
        from scarce.columns import sample_names
        from scarce.project import Project

        with Project.open(folder_of(project)) as opened:
            old_name, new_name = opened.store.version(old).name, opened.store.version(new).name
            found = opened.diff(old_name, new_name)
            before, after = opened.dataset(old_name), opened.dataset(new_name)
        places: dict[str, str] = {}
        for ds in (before, after):
            places |= sample_names(ds.table)
        relabeled = [
            {"id": sample, "uri": places.get(sample), "old": was, "new": now} for sample, was, now in found.relabeled
        ]
        kept, moved, grown = _kept(before, after), _moved(before, after), _grown(before, after)
        steps = {"added": _steps(after, before), "removed": _steps(before, after)}
        body = {
            "old": old_name, "new": new_name, "same": found.empty, "added": found.added, "removed": found.removed,
            "relabeled": relabeled, "keep": kept, "moved": moved, "changed": found.changed, "grown": grown,
            "classes": {"old": found.classes[0], "new": found.classes[1]} if found.classes else None, "steps": steps,
        }  # fmt: skip

        def draw(console: Console) -> None:
            console.print(f"{old_name} -> {new_name}" + (f": {_nothing(steps)}" if found.empty else ""))
            if found.classes:
                console.print(f"classes: {', '.join(found.classes[0])} -> {', '.join(found.classes[1])}")
            if found.changed:
                console.print(
                    table(("column", "samples that differ"), found.changed.items(), right=("samples that differ",))
                )
            if grown:
                more = [(name, *(f"{some.get(kind, 0):+,}" for kind in MADE)) for name, some in grown.items()]
                console.print(table(("grown", *MADE), more, right=MADE))
            for word, head, some in (("relabeled", "label was", relabeled), ("moved", "split was", moved)):
                if some:
                    rows = [(row["uri"], row["old"], row["new"]) for row in some[:limit]]
                    console.print(table(("sample", head, "is"), rows, title=f"{len(some):,} {word}"))
            for word, now, reason in (("set aside", False, "why"), ("brought back", True, "why it was set aside")):
                those = [row for row in kept if row["new"] is now]
                if those:
                    shown = [(row["uri"], row["reason"]) for row in those[:limit]]
                    console.print(table(("sample", reason), shown, title=f"{len(those):,} {word}"))
            _list_rows(console, {"added": found.added, "removed": found.removed}, places, limit)

        out.show(body, draw)


def _grown(before: Dataset, after: Dataset) -> dict[str, dict[str, int]]:
    """Return class to how many more rows of it are augmented or synthetic, where that differs."""
    from scarce.classes import by_origin

    then, now = by_origin(before), by_origin(after)
    found = {
        name: {kind: more for kind in MADE
               if (more := now.get(name, {}).get(kind, 0) - then.get(name, {}).get(kind, 0))}
        for name in {**then, **now}
    }  # fmt: skip
    return {name: some for name, some in found.items() if some}


def _list_rows(console: Console, rows: Mapping[str, Sequence[str]], places: Mapping[str, str], limit: int) -> None:
    """Show the samples that only one of two versions has."""
    for word, ids in rows.items():
        if ids:
            shown = [(sample, places.get(sample)) for sample in ids[:limit]]
            console.print(table(("id", "sample"), shown, title=f"{len(ids):,} {word}"))


def _kept(before: Dataset, after: Dataset) -> list[dict[str, Any]]:
    """Return the samples of both versions that one keeps and the other does not, with the reason to set them aside."""
    then = {row["id"]: row for row in before.table.select(["id", "keep", "drop_reason"]).to_pylist()}
    found = []
    for row in after.table.select(["id", "uri", "keep", "drop_reason"]).to_pylist():
        was = then.get(row["id"])
        if was is not None and was["keep"] != row["keep"]:
            reason = was["drop_reason"] if row["keep"] else row["drop_reason"]
            found.append({"id": row["id"], "uri": row["uri"], "old": was["keep"], "new": row["keep"], "reason": reason})
    return found


def _moved(before: Dataset, after: Dataset) -> list[dict[str, Any]]:
    """Return the samples of both versions that went from one split to another."""
    then = dict(zip(before.table["id"].to_pylist(), before.table["split"].to_pylist(), strict=True))
    return [
        {"id": row["id"], "uri": row["uri"], "old": then[row["id"]], "new": row["split"]}
        for row in after.table.select(["id", "uri", "split"]).to_pylist()
        if then.get(row["id"]) is not None and then[row["id"]] != row["split"]
    ]


def _steps(ds: Dataset, other: Dataset) -> list[dict[str, Any]]:
    """Return the steps of a version that another does not have."""
    known = {step.step_id for step in other.steps}
    return [
        {"stage": step.stage, "name": step.name, "params": step.params, "at": step.at}
        for step in ds.steps
        if step.step_id not in known
    ]


def _nothing(steps: dict[str, list[dict[str, Any]]]) -> str:
    """Return what to say of two versions with the same content: which steps came between them."""
    said = []
    for word, some in (("in between", steps["added"]), ("left out again", steps["removed"])):
        names = [".".join(filter(None, (step["stage"], step["name"]))) for step in some]
        said += [f"{word}: {', '.join(dict.fromkeys(names))}"] * bool(names)
    return "; ".join(["the samples do not differ", *said]) if said else "nothing differs"
