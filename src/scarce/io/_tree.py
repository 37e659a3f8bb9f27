"""Class folders: ``dir/<class>/*``, ``dir/<split>/<class>/*``, or one flat folder without classes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from scarce.errors import DataError
from scarce.io._base import Options
from scarce.io._listing import INFO, WARN, Listing, Note
from scarce.io._walk import Found, Walked

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training", "trn", "tr"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "development", "eval"), "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
    **dict.fromkeys(("pool", "unlabeled", "unlabelled"), "pool"),
}
UNLABELED = frozenset(("unlabeled", "unlabelled", "unsorted", "pool"))
TABLES = frozenset((".csv", ".tsv", ".json", ".jsonl"))
MOST_TABLES, MOST_LOOKED_AT, NAMES, HEAD_BYTES = 5, 20, 50, 2**20
"""Unread tables that are named; that are opened beside a folder; names that are sought in them; in so many bytes."""
WRAPPERS = frozenset("images image imgs img data dataset photos pictures raw input wav wavs audio sounds".split())


def only_train(splits: Iterable[str | None]) -> bool:
    """Return whether every sample is for training: then a new split is cut; what is all test stays test."""
    return {split for split in splits if split} == {"train"}


def split_name(name: object) -> str | None:
    """Return train, val, test or pool for one of their many names, else None."""
    return SPLIT_NAMES.get(str(name).strip().lower())


def list_tree(path: Path, walked: Walked, files: Sequence[Found], *, modality: str, options: Options) -> Listing:
    """Return the samples of a folder tree of files.

    Raises:
        DataError: an option names a column, and there is no table.
    """
    refuse_columns(path, options)
    depth = wrapper_depth(files)
    has_splits, labels, splits, rest = places(files, depth)
    columns: dict[str, Any] = {"label": labels}
    notes = walked.notes(frozenset(file.suffix for file in files))
    notes += unread_tables(path, walked, files)
    if has_splits and not only_train(splits):
        columns["split"] = splits
    elif has_splits:
        notes.append(Note("data", "all samples lie in the train folder: a new split will be made", INFO))
    if any(rest):
        columns["meta.folder"] = rest
    if any(label is None for label in labels) and any(labels):
        why = "files outside class folders (or in one called unlabeled) were read without a label"
        notes.append(Note("data", why, INFO))
    inner = sorted({deeper.split("/")[0] for deeper in rest if deeper})
    if len(set(labels)) == 1 and labels[0] and len(inner) > 1 and all(rest) and not has_splits:
        where = path.joinpath(*files[0].parts[: depth + 1])
        why = f"the only class is the folder {labels[0]!r}; if {', '.join(inner[:5])} are the classes, read {where} "
        why += "instead"
        notes.append(Note("data", why, WARN))
    columns.update(own_groups(files, options))
    return Listing(
        base=path, source=options.name_for(path), modality=modality, uris=[file.uri for file in files],
        columns=columns, reasons=[file.reason for file in files], notes=notes,
    )  # fmt: skip


def unread_tables(path: Path, walked: Walked, files: Sequence[Found]) -> list[Note]:
    """Return a warning for each table that lies among the samples, or beside their folder, and was not read.

    Of the folder above, only tables that name one of the samples count; tables that belong to one sample each do not.
    """
    stems = {file.stem for file in files}
    inside = [
        path / file.uri for file in walked.of(TABLES)
        if len(file.parts) < 2 and file.stem not in stems and not file.reason
    ]  # fmt: skip
    try:
        above = sorted(item for item in path.absolute().parent.iterdir() if item.suffix.lower() in TABLES)
    except OSError:
        above = []
    names = [Path(file.uri).name.encode(errors="replace") for file in files[:: max(1, len(files) // NAMES)]]
    told = [*inside, *(item for item in above[:MOST_LOOKED_AT] if _names_one(item, names))]
    return [
        Note("data", f"{item.name} lies beside the samples and was not read: scarce audit {item} reads it", WARN)
        for item in told[:MOST_TABLES]
    ]


def _names_one(table: Path, names: Sequence[bytes]) -> bool:
    try:
        if not table.is_file():
            return False
        with table.open("rb") as opened:
            head = opened.read(HEAD_BYTES)
    except OSError:
        return False
    return any(name in head for name in names)


def refuse_columns(path: Path, options: Options) -> None:
    """Raise where an option names a column of a table that is not there."""
    for name in ("label", "time", "text"):
        value = getattr(options, name)
        if value:
            what = f"{name}={value!r} names a column, but {path} is read as folders of files"
            raise DataError("io", what, do="give the path of the CSV or Parquet file that has this column")


def wrapper_depth(files: Sequence[Found]) -> int:
    """Return how many folders above classes and splits only wrap (``images/``)."""
    depth = 0
    while True:
        names = {file.parts[depth] if len(file.parts) > depth + 1 else "" for file in files}
        if len(names) != 1 or next(iter(names)).lower() not in WRAPPERS:
            return depth
        depth += 1


def places(files: Sequence[Found], depth: int) -> tuple[bool, list[str | None], list[str | None], list[str | None]]:
    """Return whether there are split folders, and label, split and deeper folder of each file."""
    tops = {file.parts[depth].lower() for file in files if len(file.parts) > depth}
    named = {top for top in tops if top in SPLIT_NAMES}
    all_deep = all(len(file.parts) > depth + 1 for file in files)
    trained = any(SPLIT_NAMES[top] == "train" for top in named)
    has_splits = trained or (bool(named) and named == tops and all_deep and len(named) > 1)
    labels: list[str | None] = []
    splits: list[str | None] = []
    rest: list[str | None] = []
    for file in files:
        parts = file.parts[depth:]
        split = None
        if has_splits and parts:
            split = split_name(parts[0]) or "pool"
            parts = parts[1:] if split_name(parts[0]) else ()
        label = parts[0] if parts and parts[0].lower() not in UNLABELED else None
        labels.append(label)
        splits.append(split)
        rest.append("/".join(parts[1:]) or None)
    return has_splits, labels, splits, rest


def own_groups(files: Sequence[Found], options: Options) -> dict[str, Any]:
    """Return the column of groups that the option asks for: by the file's stem, its folder, or a pattern."""
    rule = options.group
    if not rule:
        return {}
    if rule == "stem":
        return {"group": [file.stem for file in files]}
    if rule == "parent":
        return {"group": ["/".join(file.parts) or None for file in files]}
    try:
        pattern = re.compile(rule)
    except re.error as error:
        what = f"group={rule!r} is no pattern ({error})"
        raise DataError("io", what, do="use stem, parent, or one with (a group)") from None
    if pattern.groups != 1:
        what = f"group={rule!r} names a column, but this is a folder of files"
        raise DataError("io", what, do="use group='stem', 'parent', or a pattern with one (group) for the file's path")
    matches = [pattern.search(file.uri) for file in files]
    if not any(matches):
        raise DataError("io", f"the pattern {rule!r} fits no file", f"the first one is {files[0].uri}")
    return {"group": [match[1] if match else None for match in matches]}


def suspicious_pairs(files: Sequence[Found]) -> Note | None:
    """Return a note where nearly every file name occurs in each of several class folders: pairs, not classes."""
    folders: dict[tuple[str, ...], set[str]] = {}
    for file in files:
        folders.setdefault(file.parts, set()).add(file.stem)
    groups = list(folders.values())
    if len(groups) < 2 or min(map(len, groups)) < 20:
        return None
    common = set.intersection(*groups)
    if len(common) < 0.9 * max(map(len, groups)) or sum(name.isdecimal() and len(name) < 5 for name in common) > 9:
        return None
    why = f"{len(common)} file names occur in every folder: if they show the same thing, use --group stem"
    return Note("data", why, WARN)
